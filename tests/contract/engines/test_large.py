"""Cases too large for the oracles: the engines, which share no code that decides, find the same."""

from __future__ import annotations

import numpy as np
import pytest

from tests.contract.engines.cases import Case, polygon
from tests.contract.engines.engines import ENGINES, Candidate, asked
from tests.contract.engines.laws import check_progress, check_witness
from tests.contract.engines.runs import Run, prepared, run, run_case, task_of
from tropnet import Box, Domain, Layer, Network, Polytope, enumerate_regions

BY_NAME = {tested.name: tested for tested in ENGINES}


def agree(net: Network, domain: Domain | None, *, proofs: int = 20) -> list[Run]:
    """Check that all engines that are asked find the same patterns, with proofs, and count as many; return the runs."""
    case = Case("large", net, domain)
    runs: list[Run] = []
    for tested in ENGINES:
        if tested.is_asked(net, domain, runs[0].n_regions if runs else 0):
            found = run(prepared(tested.engine, task_of(net, domain)))
            assert found.undecided == []
            check_progress(found)
            step = max(1, len(found.listed) // proofs)
            for pattern, witness in list(zip(found.listed, found.witnesses, strict=True))[::step]:
                check_witness(case, pattern, witness)
            engine = tested.tiny if found.n_regions < 100 and tested.engine.compiled else tested.engine
            if tested.engine.compiled:
                counted = run(prepared(engine, task_of(net, domain, only_count=True)))
                assert counted.n_regions == len(found.patterns)
            runs.append(found)
    assert len(runs) > 1
    assert all(found.patterns == runs[0].patterns for found in runs)
    return runs


@pytest.mark.parametrize("n_inputs", range(4, 13))
@pytest.mark.parametrize("domain", [None, Box(-1, 1)], ids=["R^d", "box"])
def test_up_to_twelve_inputs(n_inputs: int, domain: Domain | None) -> None:
    """With a skip past the second layer, and where the first is narrow in R^d, on a slice of the inputs."""
    width = 4 if n_inputs < 6 else 3
    net = Network.random([n_inputs, width, width, width, 1], skips=[(1, 3)], seed=n_inputs)
    assert BY_NAME["simplex"].takes(net, domain)
    agree(net, domain)


@pytest.mark.parametrize(
    ("widths", "skips", "domain"),
    [
        ([2, 10, 10, 1], [], Box(-10, 10)),
        ([2, 8, 8, 8, 1], [(1, 3)], None),
        ([3, 6, 6, 1], [], None),
        ([4, 5, 5, 1], [], Box(-10, 10)),
        ([4, 5, 4, 1], [], None),
        ([7, 7, 3, 1], [], None),
        ([9, 5, 5, 1], [], Box(-3, 3)),
        ([12, 6, 5, 1], [], Box(-3, 3)),
        ([12, 4, 3, 1], [], None),
    ],
    ids=str,
)
def test_ordinary_networks(widths: list[int], skips: list[tuple[int, int]], domain: Domain | None) -> None:
    """On ordinary networks hardly anything is left to exact arithmetic."""
    for found in agree(Network.random(widths, skips=skips, seed=1), domain):
        assert found.builder.counters["settled_exactly"] <= 2


@pytest.mark.parametrize("widths", [[4, 10, 10], [6, 12], [8, 9, 5]], ids=str)
def test_many_regions_on_all_of_space(widths: list[int]) -> None:
    """Hundreds and thousands of regions of R^4, R^6 and R^8."""
    assert all(found.n_regions > 500 for found in agree(Network.random([*widths, 1], seed=0), None, proofs=5))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_skips_and_slopes_at_all_scales(scale: float) -> None:
    """Dense sources, the input among them, and two slopes, in boxes of very different sizes and outside of all."""
    for seed in range(2):
        rng = np.random.default_rng(seed)
        sizes = [3, 6, 5, 4]
        layers = [
            Layer(
                {k: rng.normal(size=(sizes[index], sizes[k])) for k in range(index)},
                rng.normal(size=sizes[index]) * scale,
                (rng.choice([0.0, 0.2, -1.0]), 1.0),
            )
            for index in (1, 2, 3)
        ]
        net = Network([*layers, Layer({3: np.ones((1, 4))}, np.zeros(1))])
        for domain in (Box(-scale, scale), None):
            agree(net, domain, proofs=5)


@pytest.mark.parametrize("seed", range(12))
def test_random_networks_on_random_domains(seed: int) -> None:
    """In one to six dimensions, with skips, slopes of all kinds, repeated, dead and affine neurons."""
    rng = np.random.default_rng(seed)
    d = seed % 6 + 1
    degenerate = seed >= 6
    widths = [*rng.integers(2, 5, 2).tolist(), 3]
    sizes = [d, *widths]
    layers = []
    for index, width in enumerate(widths, start=1):
        sources = [k for k in range(index) if k == index - 1 or rng.random() < 0.3]
        weights = {
            k: rng.integers(-1, 2, (width, sizes[k])).astype(float)
            if degenerate
            else rng.normal(size=(width, sizes[k]))
            for k in sources
        }
        if degenerate:
            for weight in weights.values():
                weight[1] = weight[0] * rng.choice([1.0, -1.0, 2.0])
        slopes = np.tile([[0.0, 1.0], [0.1, 1.0], [-1.0, 1.0], [1.0, -0.5]][rng.integers(4)], (width, 1))
        slopes[0] = [1.0, 1.0] if rng.random() < 0.3 else slopes[0]
        layers.append(Layer(weights, rng.integers(-1, 2, width) if degenerate else rng.normal(size=width), slopes))
    net = Network([*layers, Layer({3: np.ones((1, 3))}, np.zeros(1))], d)
    sides = Polytope(np.concatenate([rng.normal(size=(3, d)), np.eye(d)]), rng.uniform(0.5, 2.0, d + 3))
    for domain in (sides, Box(-1e6, 1e6), Box([-1.0] + [-np.inf] * (d - 1), np.inf)):
        if BY_NAME["vertex"].takes(net, domain):
            agree(net, domain)
    agree(net, Box(-2, 2))


# --- the limits of masks and stacks


def corners_of(n: int) -> Network:
    """Return twelve lines that cut a corner each off a polygon of n sides, or in a coarse one a little more."""
    angles = 2 * np.pi * (np.arange(12) * 5 + 0.5) / n
    return Network.mlp(
        [np.column_stack([np.cos(angles), np.sin(angles)]), np.ones((1, 12))],
        [np.full(12, -0.5 * (1 + 1 / np.cos(np.pi / n))), [0]],
    )


@pytest.mark.parametrize("n", [20, 61, 100])
def test_more_facets_than_a_word_has_bits(n: int) -> None:
    """Lines that cut corners off a polygon give cells with more and more facets."""
    runs = agree(corners_of(n), polygon(n))
    assert all(found.n_regions > 10 for found in runs)
    assert len(runs) == (4 if n < 64 else 3)


def test_a_cell_outgrows_the_facets_a_mask_holds() -> None:
    """61 sides and 12 cut corners are more than 64 facets: the subtree goes to the simplex engine, nothing is lost."""
    regions = enumerate_regions(corners_of(61), polygon(61), engine="vertex")
    assert regions.stats["subtrees_by_simplex"] > 0
    assert len(regions) == 13
    assert len(enumerate_regions(corners_of(61), polygon(61), engine="simplex")) == 13


@pytest.mark.parametrize("d", [3, 4])
def test_domains_that_are_not_simple(d: int) -> None:
    """The cross-polytope, in whose vertices 2^(d-1) facets meet, cut anywhere and through its vertices."""
    cross = Polytope(np.array(np.meshgrid(*[[-1.0, 1.0]] * d)).reshape(d, -1).T, np.ones(2**d))
    agree(Network.random([d, 5, 4, 1], seed=d), cross)
    through = np.vstack([np.eye(d), np.ones((1, d))])
    agree(Network.mlp([through, np.ones((2, d + 1)), np.ones((1, 2))], [np.zeros(d + 1), [-0.5, -1.0], [0]]), cross)


def test_two_hundred_neurons_a_layer() -> None:
    """Patterns take several words, and nothing else changes."""
    agree(Network.random([2, 200, 200, 1], seed=0), Box(-0.3, 0.3), proofs=2)
    agree(Network.random([2, 3, 210, 1], seed=1), Box(-0.3, 0.3), proofs=2)


def test_thirty_layers() -> None:
    """Rounding grows from layer to layer; what the bounds no longer settle, exact arithmetic does."""
    skips = [(layer, layer + 2) for layer in range(1, 29, 4)]
    net = Network.random([2, *[4] * 30, 1], skips=skips, init="kaiming_normal", seed=3)
    assert all(found.n_regions > 20 for found in agree(net, Box(-10, 10), proofs=2))


# --- what is left to exact arithmetic

GENERIC = Case("generic", Network.random([2, 8, 8, 1], seed=0), None)
SMALL = Case("small", Network.random([2, 3, 2, 1], seed=3), None)


@asked(among=[SMALL])
def test_generic_networks_need_no_exact_arithmetic(tested: Candidate, cases: list[Case]) -> None:
    """On a generic network floating point proves every cell, and `Regions.stats` says so, and by which engine."""
    for case in cases:
        regions = enumerate_regions(case.net, engine=tested.engine)
        assert regions.stats["settled_exactly"] == 0
        assert regions.stats["engine"] == tested.name
        assert regions.stats["backend"] == "highs"


@pytest.mark.parametrize("tested", [t for t in ENGINES if t.engine.compiled], ids=lambda tested: tested.name)
def test_compiled_engines_leave_no_generic_decision_to_exact_arithmetic(tested: Candidate) -> None:
    """Floating point settles all of a generic network; what is left of others, `test_ties` looks at."""
    assert run_case(tested.engine, GENERIC).builder.counters["settled_exactly"] == 0


def test_algorithm_2_is_pruned_by_the_failing_layer() -> None:
    """Three of four patterns of layer 1 occur; under the other one a single leaf is visited, not 2^3."""
    net = Network.mlp([[[1.0], [-1.0]], np.ones((3, 2)), np.ones((1, 3))], [[0.0, -1.0], [-1.0, -2.0, -3.0], [0.0]])
    assert enumerate_regions(net, engine="reference").stats["leaves"] == 3 * 2**3 + 1

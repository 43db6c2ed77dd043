"""The compiled engines keep the contract of all engines: brute force, degenerate cells, limits of their arrays."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.checks import distinct, show
from tests.contract.test_engines import COINCIDENT, check_all, check_partial
from tests.strategies import problems
from tropnet import (
    Box,
    Domain,
    Layer,
    Network,
    Polytope,
    Regions,
    Tolerances,
    UndecidedError,
    count_regions,
    enumerate_regions,
    iter_regions,
)
from tropnet.enumeration.engines.simplex.engine import simplex_engine_fits
from tropnet.enumeration.engines.vertex.engine import vertex_engine_fits
from tropnet.network.domain import as_domain

N = settings().max_examples
FITS = {"vertex": vertex_engine_fits, "simplex": simplex_engine_fits}
ENGINES = list(FITS)


def same(net: Network, domain: Domain | None, *engines: str) -> int:
    """Check that the engines find the same patterns, each once, and count as many; return the number."""
    first, *others = (distinct(enumerate_regions(net, domain, engine=engine).patterns) for engine in engines)
    assert all(other == first for other in others)
    assert {count_regions(net, domain, engine=engine) for engine in engines} == {len(first)}
    return len(first)


@pytest.mark.parametrize("n_inputs", [1, 2, 3])
@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=2 * N)
@given(data=st.data())
def test_the_patterns_of_the_brute_force(engine: str, n_inputs: int, data: st.DataObject) -> None:
    """Every pattern that occurs is found once, with a witness strictly inside: degenerate networks, any domain."""
    net, domain = data.draw(problems(n_inputs, max_neurons=7 if n_inputs < 3 else 6))
    assume(FITS[engine](net, as_domain(domain, n_inputs)))
    check_all(net, domain, enumerate_regions(net, domain, engine=engine))


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=N // 2)
@given(problem=problems(max_neurons=6))
def test_counting_streaming_and_limits(engine: str, problem: tuple[Network, Domain | None]) -> None:
    """`count_regions`, `iter_regions` and `max_regions` agree with the whole enumeration."""
    net, domain = problem
    assume(FITS[engine](net, as_domain(domain, net.n_inputs)))
    show(net, domain)
    regions = enumerate_regions(net, domain, engine=engine)
    assert count_regions(net, domain, engine=engine) == len(regions)
    streamed = list(iter_regions(net, domain, engine=engine))
    assert [region.pattern.tolist() for region in streamed] == regions.patterns.tolist()
    half = len(regions) // 2 + 1
    part = enumerate_regions(net, domain, engine=engine, max_regions=half)
    assert part.patterns.tolist() == regions.patterns[:half].tolist()
    assert part.complete == (half >= len(regions))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("width", [5e-324, 1e-300, 1e-12, 1e308])
def test_the_size_of_a_box_does_not_matter(engine: str, width: float) -> None:
    net = Network.mlp([[[1, 0], [0, 1], [1, 1]], np.ones((1, 3))], [np.zeros(3), [0]])
    regions = enumerate_regions(net, Box(-width, width), engine=engine)
    assert len(regions) == 6
    check_all(net, Box(-width, width), regions)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("factor", [5e-324, 1e-200, 1e200])
def test_the_magnitude_of_a_row_does_not_matter(engine: str, factor: float) -> None:
    net = Network.mlp([[[factor, 0], [0, 1], [1, 1]], np.ones((1, 3))], [[factor, 0, 0], [0]])
    regions = enumerate_regions(net, engine=engine)
    assert len(regions) == 7
    check_all(net, None, regions)


@pytest.mark.parametrize("engine", ENGINES)
def test_cells_and_signs_below_float64(engine: str) -> None:
    """A cell between two floats has a rational witness; 0.1 + 0.2 exceeds 0.3 by less than float64 shows."""
    between = Network.mlp([[[3.0], [1.0]], [[1.0, 1.0]]], [[-1.0, -1 / 3], [0.0]])
    regions = enumerate_regions(between, engine=engine)
    assert len(regions) == 3
    assert len(regions.rational_witnesses) == 1
    check_all(between, None, regions)
    cancelling = Network(
        [
            Layer({0: [[0.1], [0.2]]}, [0.0, 0.0]),
            Layer({1: [[1.0, 1.0]], 0: [[-0.3]]}, [0.0]),
            Layer({2: [[1.0]]}, [0.0]),
        ]
    )
    assert distinct(enumerate_regions(cancelling, engine=engine).patterns) == {(True, True, True), (False, False, True)}


@pytest.mark.parametrize("engine", ENGINES)
def test_without_exact_arithmetic_nothing_is_guessed(engine: str) -> None:
    options = {"engine": engine, "tolerances": Tolerances(exact_pivots=0)}
    regions = enumerate_regions(COINCIDENT, on_undecided="collect", **options)
    assert regions.undecided
    check_partial(COINCIDENT, None, regions)
    with pytest.raises(UndecidedError, match="undecided") as caught:
        count_regions(COINCIDENT, **options)
    assert caught.value.partial == len(regions)
    assert enumerate_regions(COINCIDENT, engine=engine).complete


# --- the two against each other, and against lp


@pytest.mark.parametrize("n_inputs", range(4, 13))
@pytest.mark.parametrize("domain", [None, Box(-1, 1)], ids=["R^d", "box"])
def test_simplex_agrees_with_lp_up_to_twelve_inputs(n_inputs: int, domain: Domain | None) -> None:
    """Pattern by pattern, with a skip past the second layer."""
    width = 5 if n_inputs < 8 else 4
    net = Network.random([n_inputs, width, width, width, 1], skips=[(1, 3)], seed=n_inputs)
    if domain is None and n_inputs > width:
        # The first layer's hyperplanes leave lines: the regions are those of a slice.
        assert simplex_engine_fits(net, as_domain(None, n_inputs))
    same(net, domain, "simplex", "lp")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("widths", [[4, 10, 10], [6, 12], [8, 9, 5]])
def test_the_compiled_engines_agree_on_all_of_space(widths: list[int], seed: int) -> None:
    net = Network.random([*widths, 1], seed=seed)
    assert same(net, None, "vertex", "simplex") > 500


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_compiled_engines_agree_with_skips_and_slopes(scale: float, seed: int) -> None:
    """Dense sources, the input among them, and two slopes, in boxes of very different sizes."""
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
        same(net, domain, "vertex", "simplex", "lp")


# --- the limits of masks and stacks


def polygon(n: int) -> Polytope:
    """Return a regular polygon of n sides around the origin."""
    angles = 2 * np.pi * np.arange(n) / n
    return Polytope(np.column_stack([np.cos(angles), np.sin(angles)]), np.ones(n))


@pytest.mark.parametrize("n", [20, 61, 100])
def test_more_facets_than_a_word_has_bits(n: int) -> None:
    """Lines that cut corners off a polygon give cells with more and more facets."""
    angles = 2 * np.pi * (np.arange(12) * 5 + 0.5) / n
    # Each cuts one corner off, or in the coarse polygon a little more.
    net = Network.mlp(
        [np.column_stack([np.cos(angles), np.sin(angles)]), np.ones((1, 12))],
        [np.full(12, -0.5 * (1 + 1 / np.cos(np.pi / n))), [0]],
    )
    domain = polygon(n)
    engines = ["simplex", "lp"] if n > 60 else ["vertex", "simplex", "lp"]
    assert vertex_engine_fits(net, domain) == (n < 64)
    assert same(net, domain, *engines) > 10


def test_a_cell_outgrows_the_facets_a_mask_holds() -> None:
    """61 sides and 12 cut corners are more than 64 facets: the subtree goes to the lp engine, nothing is lost."""
    n = 61
    angles = 2 * np.pi * (np.arange(12) * 5 + 0.5) / n
    net = Network.mlp(
        [np.column_stack([np.cos(angles), np.sin(angles)]), np.ones((1, 12))],
        [np.full(12, -0.5 * (1 + 1 / np.cos(np.pi / n))), [0]],
    )
    regions = enumerate_regions(net, polygon(n), engine="vertex")
    assert regions.stats["subtrees_by_lp"] > 0
    assert len(regions) == 13
    assert len(enumerate_regions(net, polygon(n), engine="simplex")) == 13


@pytest.mark.parametrize("d", [2, 3, 4])
def test_domains_that_are_not_simple(d: int) -> None:
    """The cross-polytope: 2^(d-1) facets meet in each vertex."""
    cross = Polytope(np.array(list(product([-1.0, 1.0], repeat=d))), np.ones(2**d))
    for net in (
        Network.random([d, 5, 4, 1], seed=d),
        # Hyperplanes through the vertices.
        Network.mlp([np.vstack([np.eye(d), np.ones((1, d))]), np.ones((2, d + 1))[:, :], np.ones((1, 2))],
                    [np.zeros(d + 1), [-0.5, -1.0], [0]]),
    ):  # fmt: skip
        same(net, cross, "vertex", "simplex", "lp")


def test_two_hundred_neurons_a_layer() -> None:
    net = Network.random([2, 200, 200, 1], seed=0)
    assert same(net, Box(-0.3, 0.3), "vertex", "simplex") > 2000


def test_thirty_layers() -> None:
    """Rounding grows from layer to layer; what the bounds no longer settle, exact arithmetic does."""
    skips = [(layer, layer + 2) for layer in range(1, 29, 4)]
    net = Network.random([2, *[4] * 30, 1], skips=skips, init="kaiming_normal", seed=3)
    assert same(net, Box(-10, 10), "vertex", "simplex", "lp") > 20


@pytest.mark.parametrize("engine", ENGINES)
def test_the_filter_reports_what_it_left_to_exact_arithmetic(engine: str) -> None:
    generic = enumerate_regions(Network.random([3, 8, 8, 1], seed=0), engine=engine)
    assert generic.stats["settled_exactly"] == 0
    degenerate = enumerate_regions(COINCIDENT, engine=engine)
    assert degenerate.stats["settled_exactly"] > 0
    assert degenerate.stats["uncertain"] >= degenerate.stats["settled_exactly"]
    assert degenerate.stats["seconds_exact"] > 0
    assert isinstance(degenerate, Regions)

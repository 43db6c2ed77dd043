"""The simplex engine gives the patterns of the lp engine, with proofs, in any dimension and on all domains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import comb
from typing import Any

import numpy as np
import pytest

from tests.oracles.brute_force import exact_forward
from tropnet import Box, Domain, Layer, Network, Polytope, Tolerances, enumerate_regions
from tropnet.arrays.patterns import unpack
from tropnet.enumeration.engine import Chunk, ChunkBuilder, Task
from tropnet.enumeration.engines.simplex.engine import enumerate_by_simplex, simplex_engine_fits
from tropnet.enumeration.engines.vertex.engine import enumerate_by_vertices
from tropnet.network.domain import as_domain
from tropnet.regions import ActivationRegion

Pattern = tuple[bool, ...]


def task_of(net: Network, domain: Domain | None, **options: Any) -> Task:
    return Task(net, as_domain(domain, net.n_inputs), "highs", Tolerances(), **options)


def search(task: Task) -> tuple[list[Chunk], ChunkBuilder]:
    builder = ChunkBuilder(task.network.n_neurons, task.network.n_inputs)
    return list(enumerate_by_simplex(task, builder)), builder


def pattern_set(net: Network, chunks: Sequence[Chunk]) -> set[Pattern]:
    listed = [tuple(row) for chunk in chunks for row in unpack(chunk.packed, net.n_neurons).tolist()]
    assert len(set(listed)) == len(listed), "a pattern comes twice"
    return set(listed)


def patterns_by_lp(net: Network, domain: Domain | None) -> set[Pattern]:
    return set(map(tuple, enumerate_regions(net, domain, engine="lp").patterns.tolist()))


def check_witnesses(net: Network, domain: Domain | None, chunks: Sequence[Chunk]) -> None:
    """Every witness is strictly inside the domain and on no hyperplane that cuts, exactly."""
    A, b = as_domain(domain, net.n_inputs).halfspaces
    for chunk in chunks:
        patterns, cuts = unpack(chunk.packed, net.n_neurons), unpack(chunk.packed_cuts, net.n_neurons)
        for i, (pattern, cut) in enumerate(zip(patterns, cuts, strict=True)):
            witness = chunk.witness(i)
            x = witness.fractions
            assert exact_forward(net, x)[1] == tuple(pattern.tolist())
            for row, side in zip(A.tolist(), b.tolist(), strict=True):
                assert sum(Fraction(a) * t for a, t in zip(row, x, strict=True)) < Fraction(side)
            rows = np.concatenate(net.integer_maps(pattern)[:-1])[cut]
            assert all(witness.sign(row.tolist()) != 0 for row in rows)


def check(net: Network, domain: Domain | None) -> ChunkBuilder:
    """Compare with the lp engine, check the proofs, and count."""
    chunks, builder = search(task_of(net, domain))
    found = pattern_set(net, chunks)
    assert found == patterns_by_lp(net, domain)
    assert not any(chunk.undecided for chunk in chunks)
    assert builder.fraction == 1.0
    check_witnesses(net, domain, chunks)
    counted, _ = search(task_of(net, domain, only_count=True))
    assert sum(chunk.n_regions for chunk in counted) == len(found)
    return builder


def random_network(rng: np.random.Generator, n_inputs: int, widths: Sequence[int], degenerate: bool) -> Network:
    """Return a network with dense skips, all kinds of slopes, and if degenerate small integers and repeated rows."""

    def matrix(*shape: int) -> np.ndarray[Any, Any]:
        return rng.integers(-1, 2, shape).astype(float) if degenerate else rng.normal(size=shape)

    sizes, layers = [n_inputs, *widths], []
    for index, width in enumerate(widths, start=1):
        sources = [k for k in range(index) if k == index - 1 or rng.random() < 0.3]
        weights = {k: matrix(width, sizes[k]) for k in sources}
        bias = matrix(width) * (rng.random() < 0.7)
        if degenerate and width > 1:
            for weight in weights.values():
                weight[1] = weight[0] * rng.choice([1.0, -1.0, 2.0])
            bias[1] = bias[0]
        slopes = np.tile([[0.0, 1.0], [0.1, 1.0], [-1.0, 1.0], [1.0, -0.5]][rng.integers(4)], (width, 1))
        if rng.random() < 0.3:
            slopes[0] = 1.0
        layers.append(Layer(weights, bias, slopes))
    layers.append(Layer({len(widths): np.ones((1, widths[-1]))}, np.zeros(1)))
    return Network(layers, n_inputs)


def domains(rng: np.random.Generator, d: int) -> dict[str, Domain | None]:
    sides = rng.normal(size=(d + 3, d))
    return {
        "R^d": None,
        "box": Box(-2, 2),
        "thin box": Box([-1e-9] + [-1] * (d - 1), [1e-9] + [1] * (d - 1)),
        "huge box": Box(-1e6, 1e6),
        "tiny box": Box(0.5, 0.5 + 1e-6),
        "open box": Box([-1] + [-np.inf] * (d - 1), [np.inf] * d),
        "half-space": Polytope(np.ones((1, d)), [1.0]),
        "slab": Polytope(np.vstack([np.ones(d), -np.ones(d)]), [1.0, 1.0]),
        "wedge": Polytope(np.eye(d) - 0.125, np.full(d, 2.0)),
        "polyhedron": Polytope(sides, rng.uniform(0.5, 2.0, d + 3)),
    }


KINDS = list(domains(np.random.default_rng(0), 2))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("degenerate", [False, True], ids=["general", "degenerate"])
def test_simplex_agrees_with_lp_on_random_networks(kind: str, degenerate: bool) -> None:
    """In one to six dimensions, with skips, slopes of all kinds, repeated, dead and affine neurons."""
    n_fit = 0
    for seed in range(8):
        rng = np.random.default_rng([seed, degenerate])
        d = int(rng.integers(1, 7))
        net = random_network(rng, d, rng.integers(1, 5, rng.integers(1, 4)).tolist(), degenerate)
        domain = domains(rng, d)[kind]
        if simplex_engine_fits(net, as_domain(domain, d)):
            n_fit += 1
            check(net, domain)
    assert n_fit


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
def test_simplex_agrees_with_lp_on_larger_networks(
    widths: list[int], skips: list[tuple[int, int]], domain: Domain | None
) -> None:
    """On ordinary networks hardly anything is left to exact arithmetic."""
    builder = check(Network.random(widths, skips=skips, seed=1), domain)
    assert builder.counters["uncertain"] <= 2


def test_zero_biases_and_leaky_slopes_in_the_whole_space() -> None:
    """Fans: all hyperplanes through the origin, and every cell a cone."""
    for slopes in ((0.0, 1.0), (0.1, 1.0), (-1.0, 1.0)):
        net = Network.random([3, 5, 4, 1], seed=3, slopes=slopes)
        fan = Network([replace(layer, bias=np.zeros(layer.width)) for layer in net.layers], 3)
        check(fan, None)


def test_one_layer_in_the_whole_space_by_zaslavsky() -> None:
    """One layer in general position has sum C(n, i) cells in R^d, at any scale of its biases."""
    rng = np.random.default_rng(0)
    for d, n in ((2, 40), (3, 20), (6, 11), (10, 11)):
        for scale in (1.0, 1e-9, 1e9):
            net = Network.mlp([rng.normal(size=(n, d)), np.ones((1, n))], [scale * rng.normal(size=n), [0]])
            chunks, _ = search(task_of(net, None, only_count=True))
            assert sum(chunk.n_regions for chunk in chunks) == sum(comb(n, i) for i in range(d + 1))


def test_many_neurons_in_a_layer() -> None:
    """More than 200 neurons, so that patterns take several words, in one layer and as a second one."""
    rng = np.random.default_rng(1)
    n = 230
    single = Network.mlp([rng.normal(size=(n, 2)), np.ones((1, n))], [rng.normal(size=n), [0]])
    chunks, _ = search(task_of(single, None))
    assert len(pattern_set(single, chunks)) == 1 + n + comb(n, 2)
    deep = Network.random([2, 3, 210, 1], seed=1)
    chunks, _ = search(task_of(deep, Box(-0.3, 0.3)))
    regions = enumerate_regions(deep, Box(-0.3, 0.3), engine="vertex")
    assert pattern_set(deep, chunks) == set(map(tuple, regions.patterns.tolist()))


def test_what_depends_on_few_combinations_of_the_inputs() -> None:
    """Rank-deficient first layers on unbounded domains: solved on a slice of the inputs, or refused by name."""
    rng = np.random.default_rng(2)
    flat = Network.mlp(
        [rng.integers(-3, 4, (5, 2)) @ rng.integers(-3, 4, (2, 6)), np.ones((1, 5))], [rng.normal(size=5), [0]]
    )
    check(flat, None)
    narrow = Network([Layer({0: np.eye(1, 3)}, np.ones(1)), Layer({0: np.eye(3), 1: np.ones((3, 1))}, np.ones(3))], 3)
    line = Network([*narrow.hidden, Layer({0: np.eye(3)}, np.ones(3)), narrow.layers[-1]], 3)
    for net in (line, Network.mlp([np.zeros((1, 2)), [[1.0]]], [[1.0], [0]]), Network.mlp([np.eye(2)], [[0.0, 0.0]])):
        assert not simplex_engine_fits(net, as_domain(None, net.n_inputs))
        with pytest.raises(ValueError, match="engine 'simplex' needs"):
            search(task_of(net, None))
    check(line, Box(-1, 1))


@pytest.mark.parametrize("domain", [None, Box(-3, 3), Polytope([[1.0, 1.0, 1.0]], [1.0])], ids=str)
def test_fixed_bits_restrict_the_search_to_their_subtree(domain: Domain | None) -> None:
    """The subtrees of all prefixes of one length that occur are the whole tree."""
    net = Network.random([3, 4, 4, 1], seed=4)
    everything = pattern_set(net, search(task_of(net, domain))[0])
    for length in (1, 3, 4, 6, 8):
        parts: set[Pattern] = set()
        for prefix in {pattern[:length] for pattern in everything}:
            fixed = dict(enumerate(prefix))
            found = pattern_set(net, search(task_of(net, domain, fixed=fixed))[0])
            assert found == {pattern for pattern in everything if pattern[:length] == prefix}
            counted = search(task_of(net, domain, fixed=fixed, only_count=True))[0]
            assert sum(chunk.n_regions for chunk in counted) == len(found)
            parts |= found
        assert parts == everything


def test_small_buffers_and_steps_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search can be left and entered again at any place, also while it asks for exact decisions."""
    networks = [Network.random([3, 6, 6, 1], seed=1), random_network(np.random.default_rng(1), 3, [4, 4], True)]
    for net in networks:
        expected, _ = search(task_of(net, Box(-5, 5), facets=True))
        with monkeypatch.context() as patch:
            for name, value in (("_BUFFER", 3), ("_STEPS", 2)):
                patch.setattr(f"tropnet.enumeration.engines.simplex.engine.{name}", value)
            found, _ = search(task_of(net, Box(-5, 5), facets=True))
        assert len(found) >= len(expected)
        for name in ("packed", "packed_cuts", "points", "packed_facets"):
            parts = [[getattr(chunk, name) for chunk in chunks] for chunks in (expected, found)]
            one, other = (np.concatenate([part for part in column if part is not None]) for column in parts)
            assert (one == other).all()


def facet_table(net: Network, domain: Domain | None, chunks: Sequence[Chunk]) -> dict[Pattern, list[int]]:
    """Return by pattern the rows that define facets, as `ActivationRegion.rows`."""
    n, sides = net.n_neurons, len(as_domain(domain, net.n_inputs).halfspaces[1])
    table = {}
    for chunk in chunks:
        if chunk.packed_facets is None:
            # Left to others: what the lp engine found, and nothing.
            continue
        assert chunk.packed_facets.shape == (len(chunk.packed), -(-(n + sides) // 8))
        flags = unpack(chunk.packed_facets, n + sides)
        for pattern, row in zip(unpack(chunk.packed, n), flags, strict=True):
            table[tuple(pattern.tolist())] = [*(-1 - np.flatnonzero(row[n:])).tolist(), *np.flatnonzero(row[:n])]
    return table


def check_facets(net: Network, domain: Domain | None, **options: Any) -> ChunkBuilder:
    """Compare all facets with exact ones, region by region."""
    fitted = as_domain(domain, net.n_inputs)
    chunks, builder = search(task_of(net, domain, facets=True, **options))
    found = facet_table(net, domain, chunks)
    numbers = {-1 - int(number): -1 - i for i, number in enumerate(fitted.row_numbers)}
    for chunk in chunks:
        patterns, cuts = unpack(chunk.packed, net.n_neurons), unpack(chunk.packed_cuts, net.n_neurons)
        for i, (pattern, cut) in enumerate(zip(patterns, cuts, strict=True)):
            region = ActivationRegion(net, fitted, pattern, cut, chunk.witness(i))
            expected = region.rows[region.facets()].tolist()
            assert chunk.packed_facets is None or found[tuple(pattern.tolist())] == [
                numbers.get(row, row) for row in expected
            ]
    return builder


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("degenerate", [False, True], ids=["general", "degenerate"])
def test_facets_are_exact_on_random_networks(kind: str, degenerate: bool) -> None:
    """In one to six dimensions; also below fixed bits, where rows may be implied, touching or coincident."""
    for seed in range(6):
        rng = np.random.default_rng([seed, degenerate])
        d = seed + 1
        net = random_network(rng, d, rng.integers(1, 4, rng.integers(1, 4)).tolist(), degenerate)
        domain = domains(rng, d)[kind]
        if simplex_engine_fits(net, as_domain(domain, d)):
            check_facets(net, domain)
            pattern = sorted(pattern_set(net, search(task_of(net, domain))[0]))[0]
            for length in (1, len(pattern)):
                check_facets(net, domain, fixed=dict(enumerate(pattern[:length])))


@pytest.mark.parametrize(
    ("widths", "domain"),
    [
        ([2, 8, 8, 1], Box(-10, 10)),
        ([2, 8, 8, 1], None),
        ([3, 5, 5, 1], None),
        ([4, 4, 4, 1], Box(-10, 10)),
        ([4, 5, 3, 1], Polytope(np.vstack([np.eye(4), np.ones(4)]), [1.0, 2.0, 1.0, 2.0, 1.0])),
        ([6, 4, 3, 1], Box(-1, 1)),
    ],
    ids=str,
)
def test_facets_of_ordinary_networks_hardly_need_exact_arithmetic(widths: list[int], domain: Domain | None) -> None:
    """They are those of the vertex engine."""
    net = Network.random(widths, seed=2)
    builder = check_facets(net, domain)
    assert builder.counters.get("exact_facets", 0) <= builder.counters["branchings"] / 10
    other = ChunkBuilder(net.n_neurons, net.n_inputs)
    chunks = list(enumerate_by_vertices(task_of(net, domain, facets=True), other))
    assert facet_table(net, domain, chunks) == facet_table(net, domain, search(task_of(net, domain, facets=True))[0])


def test_facets_of_what_others_decide() -> None:
    """Slices of the inputs, subtrees of the lp engine, coincident and touching rows."""
    rng = np.random.default_rng(2)
    flat = Network.mlp(
        [rng.integers(-3, 4, (4, 2)) @ rng.integers(-3, 4, (2, 4)), np.ones((1, 4))], [rng.normal(size=4), [0]]
    )
    check_facets(flat, None)
    check_facets(Network.mlp([np.array([[5e-324, 0], [0, 1], [1, 1]]), np.ones((1, 3))], [[5e-324, 0, 0], [0]]), None)
    fan = Network.mlp([np.array([[1.0, 0], [0, 1], [1, 1], [2, 2]]), np.ones((1, 4))], [[0, 0, 0, 0], [0]])
    check_facets(fan, None)
    check_facets(fan, Polytope([[-1, 0], [-2, 0], [0, -1], [-1, -1]], [0, 0, 0, 0]))
    for bits in ((1, 1, 1, 1), (0, 1, 1, 1)):
        check_facets(fan, Box(-1, 1), fixed={j: bool(bit) for j, bit in enumerate(bits)})


def test_cells_between_floats_and_beyond_them() -> None:
    """A cell between 1/3 and the float next to it has a rational witness; magnitudes of rows do not matter."""
    gap = Network.mlp([[[3.0], [1.0]], [[1.0, 1.0]]], [[-1.0, -1 / 3], [0.0]])
    check(gap, None)
    check(gap, Box(-1, 1))
    for factor in (5e-324, 1e-200, 1e200):
        check(Network.mlp([np.array([[factor, 0], [0, 1], [1, 1]]), np.ones((1, 3))], [[factor, 0, 0], [0]]), None)
    check(Network.mlp([[[1e-200]], [[1.0]]], [[1e200], [0.0]]), None)


def test_what_exact_arithmetic_may_not_settle_is_reported() -> None:
    """With exact arithmetic off, the undecided prefixes cover all that is missing."""
    n_undecided = 0
    for seed in range(20):
        net = random_network(np.random.default_rng(seed), 2, [4, 3], True)
        if not simplex_engine_fits(net, as_domain(None, 2)):
            continue
        truth = patterns_by_lp(net, None)
        chunks, _ = search(replace(task_of(net, None), tolerances=Tolerances(exact_pivots=0)))
        found = pattern_set(net, chunks)
        undecided = [prefix for chunk in chunks for prefix in chunk.undecided]
        n_undecided += len(undecided)
        assert found <= truth
        for pattern in truth - found:
            assert any(pattern[: len(prefix)] == prefix for prefix in undecided)
    assert n_undecided

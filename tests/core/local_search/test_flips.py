"""Flips to the nearest region with data against shortest paths between regions found by trying every pattern."""

from __future__ import annotations

from itertools import combinations

import networkx as nx
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.checks import cell, exact_point, neuron_rows, share_a_facet, show, value
from tests.oracles.brute_force import brute_force_patterns, exact_forward
from tests.oracles.exact import Pattern
from tests.strategies import domains, halfspaces, networks, points
from tropnet import (
    Box,
    Domain,
    DomainError,
    FlipBounds,
    FlipDistance,
    Layer,
    Network,
    NonFiniteError,
    ShapeError,
    TropnetError,
    UndecidedError,
    UnsupportedModuleError,
    enumerate_regions,
)
from tropnet.arrays.hamming import nearest_patterns
from tropnet.arrays.patterns import pack, unpack
from tropnet.local_search.flip_search import lone_bits
from tropnet.local_search.flip_segments import n_crossings
from tropnet.network.domain import as_domain

# Neurons 0 and 1 share a hyperplane; neuron 3 reads neuron 0 and has no bias, so it flips with them.
COINCIDENT = Network.mlp(
    [[[1.0, 0.0], [-2.0, 0.0], [0.0, 1.0]], [[1.0, 0.0, 0.0], [0.5, 1.0, 1.0]], np.ones((1, 2))],
    [np.zeros(3), [0.0, -1.0], [0.0]],
)
CROSS = Network.mlp([np.eye(2), np.ones((1, 2))], [np.zeros(2), [0.0]])
STAIRS = Network.mlp([np.ones((4, 1)), np.ones((1, 4))], [[0.0, -1.0, -2.0, -3.0], [0.0]])


# --- by definition


def adjacency(net: Network, domain: Domain | None) -> nx.Graph:
    """Return the graph of all patterns whose cells have interior, by trying all bit vectors and all pairs."""
    sides = halfspaces(domain, net.n_inputs)
    patterns = sorted(brute_force_patterns(net, sides))
    cells = {pattern: cell(net, pattern, sides) for pattern in patterns}
    graph = nx.Graph()
    graph.add_nodes_from(patterns)
    graph.add_edges_from((p, q) for p, q in combinations(patterns, 2) if share_a_facet(cells[p], cells[q]))
    return graph


def touching(net: Network, patterns: set[Pattern], x: list[float]) -> set[Pattern]:
    """Return the region of the pattern at x; if none has it, all regions whose closure x is in."""
    exact = exact_forward(net, exact_point(x))[1]
    # Within rounding the library follows the float64 bit.
    assume(tuple(net.activation_pattern(x).tolist()) == exact)
    if exact in patterns:
        return {exact}
    point = exact_point(x)
    closed = {p: neuron_rows(net, p).values() for p in patterns}
    return {p for p, rows in closed.items() if all(value(a, point) <= b for a, b in rows)}


def check(net: Network, domain: Domain | None, data: list[list[float]], x: list[list[float]]) -> None:
    """Compare enumerated flips with the oracle's, and bounds with them."""
    show(net, f"{domain}, {data}, {x}")
    graph = adjacency(net, domain)
    nodes = set(graph)
    regions = enumerate_regions(net, domain, facets=True)
    flips = FlipDistance(regions, data)
    held = {tuple(pattern) for pattern in unpack(flips.packed, net.n_neurons).tolist()}
    places = [touching(net, nodes, point) for point in data]
    assert all(held & place for place in places)
    assert held <= set().union(*places)
    distances = nx.multi_source_dijkstra_path_length(graph, held)

    found = flips(x)
    assert found.exact.all()
    assert found.lower.dtype == np.int64
    for point, n in zip(x, found.lower.tolist(), strict=True):
        assert n in {distances[place] for place in touching(net, nodes, point)}
    assert not flips(data).upper.any()
    assert flips(x[0]) == FlipBounds(found.lower[0], found.upper[0])

    for max_regions in (1, 3, 10**6):
        search = FlipDistance(net, data, domain, max_regions=max_regions)
        assert np.array_equal(search.packed, flips.packed)
        bounds = search(x)
        assert (bounds.lower <= found.lower).all()
        assert (found.upper <= bounds.upper).all()
        assert ((found.lower > 0) == (bounds.lower > 0)).all()
    assert bounds.exact.all()


@st.composite
def _inside(draw: st.DrawFn, net: Network, domain: Domain | None, n: int) -> list[list[float]]:
    """Draw points of the domain: small integers, generic ones, the witness of a region."""
    drawn = np.array(draw(points(net.n_inputs, n)))
    witness = enumerate_regions(net, domain, max_regions=1).witnesses[0]
    inside = as_domain(domain, net.n_inputs).contains(drawn)
    assume(as_domain(domain, net.n_inputs).contains(witness))
    return np.where(inside[:, None], drawn, witness).tolist()


@given(st.data())
def test_flips_are_shortest_paths(data: st.DataObject) -> None:
    """Any wiring, slopes and domain, degenerate ones included: enumerated flips are exact, bounds enclose them."""
    net = data.draw(networks(data.draw(st.integers(1, 2)), max_neurons=5, nearly_degenerate=False))
    domain = data.draw(domains(net.n_inputs))
    check(net, domain, data.draw(_inside(net, domain, 2)), data.draw(_inside(net, domain, 4)))


@given(seed=st.integers(0, 10**6), d=st.integers(1, 3), data=st.data())
def test_degenerate_networks(seed: int, d: int, data: st.DataObject) -> None:
    """Small integers and hardly a bias: several neurons flip at one facet, points lie on faces of all dimensions."""
    rng = np.random.default_rng(seed)
    weights = [rng.integers(-1, 2, (3, d)), rng.integers(-1, 2, (3, 3)), np.ones((1, 3))]
    net = Network.mlp(weights, [np.zeros(3), rng.integers(-1, 2, 3), [0]], skips=[(1, 3)])
    domain = data.draw(st.none() | st.just(Box(-4.0, 4.0)))
    check(net, domain, data.draw(_inside(net, domain, 2)), [[0.0] * d, *data.draw(_inside(net, domain, 3))])


# --- general position


@pytest.mark.parametrize("skips", [[], [(1, 3)]])
@pytest.mark.parametrize("slopes", [(0.0, 1.0), (0.1, 1.0)])
def test_search_in_general_position(skips: list[tuple[int, int]], slopes: tuple[float, float]) -> None:
    """Random weights are in general position: with enough regions all scores are exact, with few they are enclosed."""
    net = Network.random([3, 6, 6, 6, 1], skips=skips, slopes=slopes, seed=1)
    rng = np.random.default_rng(0)
    data, x = rng.uniform(-1, 1, (3, 3)), rng.uniform(-9, 9, (12, 3))
    flips = FlipDistance(enumerate_regions(net, Box(-10, 10), facets=True), data)(x).lower
    assert flips.max() > 3
    exact = FlipDistance(net, data, Box(-10, 10), max_regions=2000, general_position=True)(x)
    assert exact.exact.all()
    assert np.array_equal(exact.lower, flips)
    for general in (False, True):
        search = FlipDistance(net, data, Box(-10, 10), max_regions=3, n_segments=1, general_position=general)
        bounds = search(x, progress=True)
        assert (bounds.lower <= flips).all()
        assert (flips <= bounds.upper).all()
        if not general:
            assert not bounds.exact.all()
        else:
            assert (bounds.lower >= np.minimum(search.hamming(x), bounds.upper)).all()


def test_neither_distance_bounds_the_other() -> None:
    """One flip can change several bits; and a shortest path can be longer than the Hamming distance."""
    regions = enumerate_regions(COINCIDENT, facets=True)
    flips = FlipDistance(regions, [[1.0, 2.0]])
    assert (flips([-1.0, 2.0]).lower, flips.hamming([-1.0, 2.0])) == (1, 3)
    # |x|, and whether that is above 1.
    net = Network.mlp([[[1.0]], [[1.0]], [[1.0]]], [[0.0], [-1.0], [0.0]], slopes=[(-1.0, 1.0), (0.0, 1.0)])
    for source in (net, enumerate_regions(net, facets=True)):
        flips = FlipDistance(source, [[2.0]])
        assert (flips([-2.0]), flips.hamming([-2.0])) == ((3, 3), 1)


@pytest.mark.parametrize("n_segments", [0, 1])
def test_an_exception_to_general_position_is_named(n_segments: int) -> None:
    """Where several neurons flip, the assumption is refused, at a region looked at and on a segment."""
    with pytest.raises(TropnetError, match=r"neurons \[0, 1, 3\] flip at one facet. Use general_position=False"):
        FlipDistance(COINCIDENT, [[1.0, 2.0]], general_position=True, n_segments=n_segments)([-1.0, 2.0])
    bounds = FlipDistance(COINCIDENT, [[1.0, 2.0]], n_segments=n_segments)([[-1.0, 2.0], [-1.0, -9.0]])
    assert (bounds.lower.tolist(), bounds.upper.tolist()) == ([1, 2], [1, 2])


def test_no_path_is_an_error() -> None:
    """Where neither segments nor a search of few regions reach the data, nothing is claimed."""
    with pytest.raises(UndecidedError, match="no path to the data was found; raise max_regions"):
        FlipDistance(STAIRS, [[-1.0]], max_regions=1, n_segments=0)([9.0])
    assert FlipDistance(STAIRS, [[-1.0]], n_segments=0)([9.0]) == (4, 4)


def test_lone_bits_name_every_hyperplane_of_the_input_once() -> None:
    """Multiples of a row, constant, affine and deeper neurons do not count; layers that read the input alone do."""
    first = Layer({0: np.array([[1, 2], [-3, -6], [1, 2], [0, 0], [5, 0.0]])}, np.array([1, -3, 0, 1, 2.0]))
    slopes = np.array([[0, 1], [1, 1], [0, 1.0]])
    second = Layer({0: np.array([[0.5, 1], [0, 1], [0, 1]])}, np.array([0.5, 0, 0]), slopes)
    third = Layer({1: np.ones((1, 5)), 0: np.ones((1, 2))}, np.zeros(1))
    net = Network([first, second, third, Layer({3: np.ones((1, 1))}, np.zeros(1))])
    assert np.flatnonzero(lone_bits(net)).tolist() == [0, 2, 4, 7]


# --- segments and points on faces


def test_a_segment_through_a_face_tells_nothing() -> None:
    """Through the crossing of two hyperplanes it gives no path; beside it, or through coinciding ones, it does."""
    goals = {pack([[False, False]])[0].tobytes()}
    assert n_crossings(CROSS, np.array([1.0, 1.0]), np.array([-1.0, -1.0]), goals) is None
    assert n_crossings(CROSS, np.array([1.0, 2.0]), np.array([-1.0, -1.0]), goals) == 2
    assert n_crossings(CROSS, np.array([1.0, 2.0]), np.array([1.0, 3.0]), goals) is None
    assert n_crossings(CROSS, np.array([1.0, 2.0]), np.array([1.0, 2.0]), goals) is None
    goals = {pack(COINCIDENT.activation_pattern([[-1.0, 2.0]]))[0].tobytes()}
    assert n_crossings(COINCIDENT, np.array([1.0, 2.0]), np.array([-1.0, 2.0]), goals) == 1
    bounds = FlipDistance(CROSS, [[-1.0, -1.0]], max_regions=1)([1.0, 1.0])
    assert bounds == (2, 2)


def test_points_on_faces_are_in_a_region_that_touches_them() -> None:
    """Both neurons of |x| are inactive at 0, in no region: 0 is in one of the two, as data too."""
    net = Network.mlp([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    for source in (net, enumerate_regions(net, facets=True)):
        flips = FlipDistance(source, [[0.0]])
        assert len(flips.packed) == 1
        assert flips([0.0]) == (0, 0)
        assert sorted(flips([[-1.0], [1.0]]).lower.tolist()) == [0, 1]
        assert flips.hamming([[0.0], [1.0]]).tolist() == [0, 1]


# --- many inputs


def test_many_inputs() -> None:
    """In 784 inputs: data score 0, a little away the flips are exact, repeatable, and the same from another order."""
    net = Network.random([784, 10, 10, 10, 2], skips=[(1, 3)], seed=0)
    rng = np.random.default_rng(0)
    data = rng.random((40, 784))
    x = 0.5 + 2 * (rng.random((6, 784)) - 0.5)
    flips = FlipDistance(net, data, max_regions=60, general_position=True)
    bounds = flips(x)
    assert not flips(data).upper.any()
    assert (bounds.lower > 0).any()
    assert (bounds.lower <= bounds.upper).all()
    assert (bounds.lower >= np.minimum(flips.hamming(x), bounds.upper)).all()
    again = FlipDistance(net, data[::-1], max_regions=60, general_position=True)(x[::-1])
    assert np.array_equal(again.lower[::-1], bounds.lower)
    assert str(flips) == f"FlipDistance({len(flips.packed)} regions with data, up to 60 regions around a point, {net})"


# --- Hamming distances


@given(st.data(), st.integers(0, 150))
def test_nearest_patterns_are_the_nearest(data: st.DataObject, n_neurons: int) -> None:
    """Of any number of bits, distances and the first place of each are those of a comparison bit by bit."""
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    table = rng.random((data.draw(st.integers(1, 9)), n_neurons)) < 0.5
    queries = np.concatenate([table[:1], rng.random((data.draw(st.integers(0, 9)), n_neurons)) < 0.5])
    mask = rng.random(n_neurons) < 0.5
    for bits in (None, mask):
        counted = np.ones(n_neurons, dtype=np.bool_) if bits is None else bits
        expected = ((queries[:, None] != table[None]) & counted).sum(axis=2)
        packed = None if bits is None else pack(bits[None])[0]
        distances, places = nearest_patterns(pack(queries), pack(table), packed)
        assert distances.tolist() == expected.min(axis=1).tolist()
        assert places.tolist() == expected.argmin(axis=1).tolist()


def test_hamming_distances_of_no_points_and_of_one() -> None:
    flips = FlipDistance(STAIRS, [[0.5], [1.5]])
    assert flips.hamming(np.empty((0, 1))).shape == (0,)
    assert flips.hamming([3.5]) == 2
    assert flips(np.empty((0, 1))).exact.shape == (0,)
    with pytest.raises(ValueError, match=r"m >= 1, got \(1, 1\) and \(0, 1\)"):
        nearest_patterns(np.zeros((1, 1), np.uint8), np.zeros((0, 1), np.uint8))


# --- misuse


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"max_regions": 0}, ValueError, "max_regions must be an integer of at least 1, got 0"),
        ({"n_segments": 1.5}, ValueError, r"n_segments must be an integer of at least 0, got 1\.5"),
        ({"data": np.empty((0, 1))}, ShapeError, "data must hold at least one point"),
        ({"data": [[0.0, 1.0]]}, ShapeError, r"\(n, 1\)"),
        ({"data": [[np.nan]]}, NonFiniteError, "finite"),
        (
            {"data": [[0.0], [9.0], [8.0]]},
            DomainError,
            r"data must be in the domain .*; point 1 is not \(2 such points\)",
        ),
        ({"net_or_regions": 3}, UnsupportedModuleError, r"tropnet\.Network"),
        ({"net_or_regions": enumerate_regions(STAIRS)}, DomainError, "regions bring their domain, .*leave out Box"),
        (
            {"net_or_regions": enumerate_regions(STAIRS, max_regions=2), "domain": None},
            ValueError,
            "regions must be complete.*pass the network",
        ),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, object], error: type[Exception], message: str) -> None:
    defaults = {"net_or_regions": STAIRS, "data": [[0.0]], "domain": Box(-5.0, 5.0)}
    with pytest.raises(error, match=message):
        FlipDistance(**{**defaults, **arguments})


def test_points_outside_the_domain_are_an_error() -> None:
    regions = enumerate_regions(STAIRS, Box(-5.0, 5.0), facets=True)
    for flips in (FlipDistance(regions, [[0.0]]), FlipDistance(STAIRS, [[0.0]], Box(-5.0, 5.0))):
        with pytest.raises(DomainError, match=r"x must be in the domain .*; point 1 is not \(1 such point\)"):
            flips([[0.0], [6.0]])

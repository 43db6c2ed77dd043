"""The complex against its definitions, exactly: facets between all pairs of regions, linear regions, boundaries."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import combinations
from random import Random

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.checks import Row, cell, meets, opposite, restricted, share_a_facet, show
from tests.oracles.brute_force import exact_affine_map
from tests.oracles.exact import HalfSpace, Pattern
from tests.oracles.fourier_motzkin import has_interior
from tests.strategies import domains, halfspaces, networks, problems
from tropnet import Box, Domain, Layer, Network, Polytope, Regions, ShapeError, TropnetError, enumerate_regions
from tropnet.enumeration.engines import REGISTRY
from tropnet.polyhedral_complex import (
    DecisionBoundary,
    LinearRegions,
    adjacency_graph,
    count_linear_regions,
    decision_boundary,
    flip_path,
    linear_regions,
    statistics,
)
from tropnet.regions.crossings import surely_single

N = settings().max_examples
Problem = tuple[Network, Domain | None]


def relu_layers(*layers: tuple[Sequence[Sequence[float]], Sequence[float]], n_inputs: int | None = None) -> Network:
    return Network(
        [Layer({k: np.array(w, dtype=float)}, np.array(b, float)) for k, (w, b) in enumerate(layers)], n_inputs
    )


IDENTITY = relu_layers(([[1], [-1]], [0, 0]), ([[1, -1]], [0]))
# relu(relu(x)), and a third layer that repeats: bits flip together though no row tells.
NESTED = relu_layers(([[1, 0]], [0]), ([[1]], [0]), ([[2]], [0]), ([[1]], [0]))
DEGENERATE = {
    "identity": IDENTITY,
    "nested": NESTED,
    "copies": relu_layers(([[1, 0], [3, 0], [-1, 0], [0, 1]], [0] * 4), ([[1, 1, 1, 1]], [0])),
    # x1 > 0, then relu(x1) + relu(-x1) > 0 on both sides of the facet on which it vanishes.
    "fold": relu_layers(([[1, 0], [-1, 0]], [0, 0]), ([[1, 1], [1, -1]], [0, 0]), ([[1, 1]], [0])),
    # The second layer vanishes on the quadrant and is cut along a ray elsewhere.
    "quadrant": relu_layers(([[1, 0], [0, 1]], [0, 0]), ([[1, -1], [-1, 2]], [0, 0]), ([[1, 1]], [0])),
    "no hidden layer": relu_layers(([[1, 2]], [3])),
    "no bias": Network.mlp(
        [np.eye(2) - 0.5, np.ones((3, 2)) - np.eye(3, 2), np.ones((1, 3))], [np.zeros(2), np.zeros(3), [0]]
    ),
}


# --- by definition


def pattern_tuples(regions: Regions) -> list[Pattern]:
    return [tuple(pattern) for pattern in regions.patterns.tolist()]


def check_graph(regions: Regions, sides: list[HalfSpace]) -> nx.Graph:
    graph = adjacency_graph(regions)
    patterns = pattern_tuples(regions)
    cells = [cell(regions.network, pattern, sides) for pattern in patterns]
    expected = {
        (i, j): tuple(k for k, (a, b) in enumerate(zip(patterns[i], patterns[j], strict=True)) if a != b)
        for i, j in combinations(range(len(patterns)), 2)
        if share_a_facet(cells[i], cells[j])
    }
    assert {(min(i, j), max(i, j)): flips for i, j, flips in graph.edges(data="neurons")} == expected
    assert list(graph) == list(range(len(regions)))
    assert graph.graph["complete"] == regions.complete
    return graph


@pytest.mark.parametrize("known", [True, False])
@settings(max_examples=2 * N)
@given(problem=problems(max_neurons=5))
def test_edges_are_the_shared_facets(known: bool, problem: Problem) -> None:
    """Two regions are joined iff their closures meet in dimension d - 1; what flips is where the patterns differ."""
    net, domain = problem
    show(net, domain)
    regions = enumerate_regions(net, domain, facets=True)
    graph = check_graph(regions if known else replace(regions, packed_facets=None), halfspaces(domain, net.n_inputs))
    assert nx.is_connected(graph)


@settings(max_examples=2 * N)
@given(seed=st.integers(0, 10**6), d=st.integers(1, 3), data=st.data())
def test_edges_of_degenerate_networks(seed: int, d: int, data: st.DataObject) -> None:
    """Small integers and no biases make neurons of several layers flip at one facet."""
    rng = np.random.default_rng(seed)
    weights = [rng.integers(-1, 2, (2, d)), rng.integers(-1, 2, (2, 2)), rng.integers(-1, 2, (2, 2)), np.ones((1, 2))]
    net = Network.mlp(weights, [np.zeros(2), np.zeros(2), rng.integers(-1, 2, 2), [0]])
    domain = data.draw(domains(d))
    show(net, domain)
    graph = check_graph(enumerate_regions(net, domain, facets=True), halfspaces(domain, d))
    assert nx.is_connected(graph)


@pytest.mark.parametrize("name", DEGENERATE)
@pytest.mark.parametrize("domain", [None, Box(-1, 2), Polytope([[1.0, 0.0]], [0.0])], ids=str)
def test_edges_of_constructed_networks(name: str, domain: Domain | None) -> None:
    net = DEGENERATE[name]
    if net.n_inputs == 1 and isinstance(domain, Polytope):
        domain = Polytope([[1.0]], [0.0])
    check_graph(enumerate_regions(net, domain, facets=True), halfspaces(domain, net.n_inputs))


@pytest.mark.parametrize("engine", REGISTRY)
def test_every_engine_names_facets_alike_from_both_sides(engine: str) -> None:
    """Engines choose which of coincident neurons cuts; the graph does not depend on it."""
    for net in filter(lambda net: net.hidden and (engine != "polygon" or net.n_inputs == 2), DEGENERATE.values()):
        regions = enumerate_regions(net, Box(-2, 1), engine=engine, facets=True)
        check_graph(regions, halfspaces(Box([-2] * net.n_inputs, [1] * net.n_inputs), net.n_inputs))


def test_flips_across_layers() -> None:
    regions = enumerate_regions(NESTED, facets=True)
    assert list(adjacency_graph(regions).edges(data="neurons")) == [(0, 1, (0, 1, 2))]


@settings(max_examples=N)
@given(net=networks(max_neurons=6), limit=st.integers(1, 12), domain=st.none() | st.just(Box(-2, 1)))
def test_some_of_the_regions_have_the_edges_among_them(net: Network, limit: int, domain: Domain | None) -> None:
    show(net, domain)
    every = enumerate_regions(net, domain, facets=True)
    some = enumerate_regions(net, domain, facets=True, max_regions=limit)
    graph, part = adjacency_graph(every), adjacency_graph(some)
    index = {pattern: i for i, pattern in enumerate(pattern_tuples(every))}
    chosen = [index[pattern] for pattern in pattern_tuples(some)]
    names = dict(zip(chosen, range(len(chosen)), strict=True))
    assert part.graph["complete"] == some.complete
    assert nx.utils.edges_equal(
        list(part.edges(data=True)), list(nx.relabel_nodes(graph.subgraph(chosen), names).edges(data=True))
    )


@settings(max_examples=N)
@given(problem=problems(max_neurons=6))
def test_the_float_filter_never_hides_a_second_flip(problem: Problem) -> None:
    """Where floating point is sure that one neuron flips, exactly one does."""
    net, domain = problem
    show(net, domain)
    regions = enumerate_regions(net, domain, facets=True)
    for i, j, flips in adjacency_graph(regions).edges(data="neurons"):
        sure = surely_single(net, regions.patterns[[i, j]], np.array([flips[0]] * 2))
        assert len(flips) == 1 or not sure.any()


def test_long_patterns() -> None:
    """Patterns of more than one machine word are told apart."""
    net = Network.random([2, 50, 50, 40, 1], seed=0)
    regions = enumerate_regions(net, Box(-1, 1), facets=True)
    graph = adjacency_graph(regions)
    assert nx.is_connected(graph)
    n_inner = (regions.facets().rows >= 0).sum()
    assert 2 * graph.number_of_edges() == n_inner
    patterns = regions.patterns
    for i, j, flips in graph.edges(data="neurons"):
        assert np.flatnonzero(patterns[i] != patterns[j]).tolist() == list(flips)


def test_paths_flip_what_lies_between() -> None:
    regions = enumerate_regions(Network.random([2, 6, 6, 1], seed=3), facets=True)
    graph = adjacency_graph(regions)
    path = flip_path(graph, 0, len(regions) - 1)
    pattern = regions.patterns[0].copy()
    for flips in path:
        pattern[list(flips)] ^= True
    assert pattern.tolist() == regions.patterns[-1].tolist()
    assert len(path) == nx.shortest_path_length(graph, 0, len(regions) - 1)
    assert flip_path(graph, 0, 0) == []
    with pytest.raises(ValueError, match="source and target"):
        flip_path(graph, 0, len(regions))
    with pytest.raises(ValueError, match="no path"):
        flip_path(nx.empty_graph(2), 0, 1)


def test_regions_that_do_not_fit_are_refused() -> None:
    regions = enumerate_regions(Network.random([2, 3, 1], seed=0), facets=True)
    part = slice(1, None)
    columns = regions.packed[part], regions.packed_cuts[part], regions.witnesses[part]
    broken = Regions(regions.network, regions.domain, *columns, packed_facets=regions.packed_facets[part])
    with pytest.raises(TropnetError, match="do not fit together"):
        adjacency_graph(broken)
    none = np.zeros_like(regions.packed_facets)
    none[0] = regions.packed_facets[0]
    columns = regions.packed, regions.packed_cuts, regions.witnesses
    with pytest.raises(TropnetError, match="do not fit together"):
        adjacency_graph(Regions(regions.network, regions.domain, *columns, packed_facets=none))


# --- linear regions


def partition(labels: Sequence[int]) -> set[frozenset[int]]:
    return {frozenset(i for i, own in enumerate(labels) if own == label) for label in set(labels)}


def check_linear_regions(regions: Regions, sides: list[HalfSpace]) -> LinearRegions:
    graph = adjacency_graph(regions)
    found = linear_regions(regions, graph)
    patterns = pattern_tuples(regions)
    maps = [exact_affine_map(regions.network, pattern) for pattern in patterns]
    equal = nx.Graph()
    equal.add_nodes_from(graph)
    equal.add_edges_from((i, j) for i, j in graph.edges if maps[i] == maps[j])
    components = {frozenset(component) for component in nx.connected_components(equal)}
    assert partition(found.labels.tolist()) == components
    assert [frozenset(found.members(i).tolist()) for i in range(len(found))] == sorted(components, key=min)
    assert np.array_equal(linear_regions(regions).labels, found.labels)
    cells = [cell(regions.network, pattern, sides) for pattern in patterns]
    for i in range(len(found)):
        members = found.members(i).tolist()
        assert found.convex[i] == is_convex(members, cells)
    return found


def is_convex(members: list[int], cells: list[list[Row]]) -> bool:
    """Return whether no other cell meets the hull of some cells: each pair of members, and everything between.

    The union of closed cells is convex iff no segment between two open members meets another open cell. In products:
    (x, y, t) is not linear, but the segment leaves the union through a facet of a member that no member is behind.
    """
    for i in members:
        for row in cells[i]:
            if any(row[0]) and meets(cells[i], row):
                behind = (tuple(-c for c in row[0]), -row[1])
                covered = any(k != i and share_on(cells[i], cells[k], row) for k in members)
                if not covered and any(has_interior([*cells[k], behind]) for k in members):
                    return False
    return True


def share_on(one: list[Row], other: list[Row], row: Row) -> bool:
    return meets([*one, *other], row)


@settings(max_examples=2 * N)
@given(problem=problems(max_neurons=5))
def test_linear_regions_join_neighbours_with_equal_maps(problem: Problem) -> None:
    net, domain = problem
    show(net, domain)
    check_linear_regions(enumerate_regions(net, domain, facets=True), halfspaces(domain, net.n_inputs))


@pytest.mark.parametrize("name", DEGENERATE)
def test_linear_regions_of_constructed_networks(name: str) -> None:
    net = DEGENERATE[name]
    check_linear_regions(enumerate_regions(net, facets=True), [])


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        (IDENTITY, 1),
        (NESTED, 2),
        # max(x1, x2, 0) by two duplicated units.
        (relu_layers(([[1, 0], [1, 0]], [0, 0]), ([[1, 1]], [0])), 2),
        # They cancel.
        (relu_layers(([[1, 0], [1, 0]], [0, 0]), ([[1, -1]], [0])), 1),
        # The same in decimals: 0.1 and 0.2 double exactly, 0.3 is not their sum.
        (relu_layers(([[0.1], [0.2]], [0, 0]), ([[2, -1]], [0])), 1),
        (relu_layers(([[0.1], [0.2], [0.3]], [0, 0, 0]), ([[1, 1, -1]], [0])), 2),
        # A hat has the same map, 0, on its two outer pieces, which share no facet.
        (relu_layers(([[1], [1], [1]], [1, 0, -1]), ([[1, -2, 1]], [0])), 4),
        # Equal slopes split nothing; the second unit is dead from there on.
        (Network.mlp([[[1.0], [1.0]], [[1.0, 1.0]]], [[0.0, 1.0], [0.0]], slopes=[[(1, 1), (0, 1)]]), 2),
        (Network.mlp([[[1.0]], [[0.0]]], [[0.0], [1.0]]), 1),
        # A last layer that reads nothing from one unit.
        (relu_layers(([[1, 0], [0, 1]], [0, 0]), ([[1, 0]], [0])), 2),
        # relu(x1) - relu(x1 - 1) - ... on a corner: not convex outside the quadrant.
        (relu_layers(([[1, 0], [0, 1]], [0, 0]), ([[1, 1]], [-1]), ([[1]], [0])), 4),
    ],
)
def test_counts(net: Network, expected: int) -> None:
    assert count_linear_regions(net) == expected


def test_a_linear_region_that_is_not_convex() -> None:
    """min(relu(x1), relu(x2)) = relu(x1) - relu(relu(x1) - relu(x2)) is 0 on three quadrants."""
    net = relu_layers(([[1, 0], [0, 1]], [0, 0]), ([[1, 0], [1, -1]], [0, 0]), ([[1, -1]], [0]))
    found = check_linear_regions(enumerate_regions(net, facets=True), [])
    assert len(found) == 3
    assert sorted(zip(map(len, map(found.members, range(3))), found.convex.tolist(), strict=True)) == [
        (1, True),
        (1, True),
        (3, False),
    ]


@settings(max_examples=N)
@given(problem=problems(max_neurons=4), data=st.data())
def test_splitting_a_neuron_changes_nothing(problem: Problem, data: st.DataObject) -> None:
    """Two halves of a neuron make the same activation regions, one bit longer, and the same linear regions."""
    net, domain = problem
    if not net.hidden:
        return
    show(net, domain)
    index = data.draw(st.integers(1, len(net.hidden)))
    k = data.draw(st.integers(0, net.widths[index - 1] - 1))
    layers = [Layer({s: w.copy() for s, w in y.weights.items()}, y.bias, np.asarray(y.slopes)) for y in net.layers]
    own = layers[index - 1]
    again = [*range(len(own.bias)), k]
    layers[index - 1] = Layer({s: w[again] for s, w in own.weights.items()}, own.bias[again], own.slopes[again])
    for n, layer in enumerate(layers[index:], start=index):
        if index in layer.weights:
            wide = layer.weights[index][:, again]
            wide[:, [k, -1]] *= 0.5
            layers[n] = Layer({**layer.weights, index: wide}, layer.bias, layer.slopes)
    split = Network(layers, net.n_inputs)
    one, other = (enumerate_regions(each, domain, facets=True) for each in (net, split))
    place = sum(net.widths[:index])
    names = {pattern: i for i, pattern in enumerate(pattern_tuples(one))}
    renamed = [names[(*pattern[:place], *pattern[place + 1 :])] for pattern in pattern_tuples(other)]
    assert sorted(renamed) == list(range(len(one)))
    first, second = linear_regions(one), linear_regions(other)
    blocks = {frozenset(renamed[i] for i in block) for block in partition(second.labels.tolist())}
    assert blocks == partition(first.labels.tolist())
    assert first.convex.sum() == second.convex.sum()


# --- decision boundary


def comparisons(net: Network, pattern: Pattern) -> list[tuple[tuple[Fraction, ...], Fraction]]:
    """Return the forms (a, c) of the competing outputs; of one output 0 and y."""
    weights, biases = exact_affine_map(net, pattern)
    forms = list(zip(weights, biases, strict=True))
    return [((Fraction(0),) * net.n_inputs, Fraction(0)), *forms] if len(forms) == 1 else forms


def difference(one: tuple, other: tuple) -> Row:
    """Return one - other >= 0 as a row a . x <= b."""
    return tuple(q - p for p, q in zip(one[0], other[0], strict=True)), one[1] - other[1]


@settings(max_examples=N)
@given(problem=problems(max_neurons=4), n_outputs=st.integers(1, 5), seed=st.integers(0, 10**6))
def test_pieces_are_where_two_classes_tie(problem: Problem, n_outputs: int, seed: int) -> None:
    net, domain = problem
    *hidden, last = net.layers
    rng = np.random.default_rng(seed)
    weights = {k: rng.integers(-1, 2, (n_outputs, w.shape[1])).astype(float) for k, w in last.weights.items()}
    net = Network([*hidden, Layer(weights, rng.integers(-1, 2, n_outputs).astype(float))], net.n_inputs)
    show(net, domain)
    sides = halfspaces(domain, net.n_inputs)
    regions = enumerate_regions(net, domain, facets=True)
    boundary = decision_boundary(regions)
    found = set(zip(boundary.region.tolist(), boundary.first.tolist(), boundary.second.tolist(), strict=True))
    assert len(found) == len(boundary)
    ties = set(map(tuple, boundary.ties.tolist()))
    cells, on_facets = [], set()
    for index, pattern in enumerate(pattern_tuples(regions)):
        rows = cell(net, pattern, sides)
        cells.append(rows)
        forms = comparisons(net, pattern)
        for i, j in combinations(range(len(forms)), 2):
            gap = difference(forms[i], forms[j])
            others = [difference(forms[i], forms[k]) for k in range(len(forms)) if k not in (i, j)]
            if any(gap[0]):
                key = index, i, j
                if meets([*rows, *others], gap):
                    facet = not (has_interior([*rows, gap]) and has_interior([*rows, opposite(gap)]))
                    if facet:
                        on_facets.add((key, gap))
                    else:
                        assert key in found
                        found.discard(key)
                else:
                    assert key not in found
            else:
                strict = [row for row in others if any((*row[0], row[1]))]
                assert ((index, i, j) in ties) == (not gap[1] and has_interior([*rows, *strict]))
    # A piece on a facet stands once, for the smaller of the regions that have it.
    for (index, i, j), gap in on_facets:
        twin = any(
            other < index and (i, j) == (p, q) and meets([*cells[index], *cells[other]], gap)
            for (other, p, q), _ in on_facets
        )
        assert ((index, i, j) in found) == (not twin)
        found.discard((index, i, j))
    assert not found
    check_adjacency(net, boundary, cells)
    again = decision_boundary(replace(regions, packed_facets=None))
    for name in ("region", "first", "second", "ties"):
        assert np.array_equal(getattr(boundary, name), getattr(again, name))
    for i in range(len(boundary)):
        for x in boundary.vertices(i):
            outputs = net(x) if n_outputs > 1 else np.array([0.0, net(x).item()])
            scale = 1e-6 * (1 + np.abs(x).max()) * (1 + np.abs(outputs).max())
            assert outputs[boundary.first[i]] == pytest.approx(outputs[boundary.second[i]], abs=scale)


SEGMENT = Box([3.0, 1.0], [3.0, 2.0])


@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150])
@pytest.mark.parametrize(("d", "domain"), [(1, None), (2, None), (2, Box(-1, 1)), (2, SEGMENT)], ids=str)
def test_pieces_of_ten_classes(d: int, domain: Domain | None, scale: float) -> None:
    """Ten outputs of any size: pieces are where two tie and no other is larger."""
    rng = np.random.default_rng(4)
    weights = [rng.integers(-9, 10, (3, d)), rng.integers(-9, 10, (2, 3)), rng.integers(-99, 100, (10, 2)) * scale]
    net = Network.mlp(weights, [rng.integers(-9, 10, 3), rng.integers(-9, 10, 2), rng.integers(-99, 100, 10) * scale])
    regions = enumerate_regions(net, domain)
    boundary = decision_boundary(regions)
    expected = []
    for index, pattern in enumerate(pattern_tuples(regions)):
        rows, forms = cell(net, pattern, [] if domain is SEGMENT else halfspaces(domain, d)), comparisons(net, pattern)
        if domain is SEGMENT:
            rows = [((a[1],), b - 3 * a[0]) for a, b in rows if a[1]] + [((-1,), -1), ((1,), 2)]
            forms = [((a[1],), c + 3 * a[0]) for a, c in forms]
        for i, j in combinations(range(10), 2):
            gap = difference(forms[i], forms[j])
            others = [difference(forms[i], forms[k]) for k in range(10) if k not in (i, j)]
            if any(gap[0]) and meets([*rows, *others], gap):
                expected.append([index, i, j])
    assert expected
    assert np.column_stack([boundary.region, boundary.first, boundary.second]).tolist() == expected


def check_adjacency(net: Network, boundary: DecisionBoundary, cells: list[list[Row]]) -> None:
    """Pieces are adjacent iff they meet in dimension d - 2."""
    if net.n_inputs == 1:
        assert not len(boundary.adjacent())
        return
    closed, planes = [], []
    for r, i, j in zip(boundary.region.tolist(), boundary.first.tolist(), boundary.second.tolist(), strict=True):
        forms = comparisons(net, tuple(boundary.regions.patterns[r].tolist()))
        planes.append(difference(forms[i], forms[j]))
        closed.append([*cells[r], *(difference(forms[i], forms[k]) for k in range(len(forms)) if k not in (i, j))])
    if net.n_inputs > 2 and not all(len(boundary.vertices(i)) for i in range(len(boundary))):
        with pytest.raises(TropnetError, match="line"):
            boundary.adjacent()
        return
    expected = []
    for i, j in combinations(range(len(boundary)), 2):
        both = [*closed[i], *closed[j], planes[j], opposite(planes[j])]
        on = restricted(both, planes[i])
        # On the hyperplane of piece i: does some row cut a set of dimension d - 2 off what they share?
        if on is not None and any(meets(on, row) for row in on):
            expected.append([i, j])
    assert boundary.adjacent().tolist() == expected


def test_areas() -> None:
    """The square |x1| + |x2| = 1, and the octahedron."""
    for d, expected in ((2, 4 * 2**0.5), (3, 8 * 3**0.5 / 2)):
        eye = np.eye(d)
        net = Network.mlp([np.vstack([eye, -eye]), np.ones((1, 2 * d))], [np.zeros(2 * d), [-1.0]])
        boundary = decision_boundary(enumerate_regions(net))
        assert len(boundary) == 2**d
        assert boundary.areas.sum() == pytest.approx(expected, rel=1e-12)
        assert boundary.one_vs_rest(0).tolist() == list(range(2**d))
        # A cycle of four, the edges of the cube's dual.
        assert len(boundary.adjacent()) == {2: 4, 3: 12}[d]
        corners = np.unique(np.concatenate([boundary.vertices(i) for i in range(2**d)]) + 0.0, axis=0)
        assert sorted(corners.tolist()) == sorted([*eye.tolist(), *(-eye + 0.0).tolist()])
    half = decision_boundary(enumerate_regions(Network.mlp([[[1.0, 1.0]]], [[0.0]])))
    assert half.areas.tolist() == [np.inf]
    assert half.vertices(0).shape == (0, 2)
    point = decision_boundary(enumerate_regions(Network.mlp([[[2.0]]], [[1.0]])))
    assert (point.areas.tolist(), point.vertices(0).tolist()) == ([1.0], [[-0.5]])


def test_three_classes_meet_in_a_point() -> None:
    """Y = (x1, x2, 0) on a square: three segments from the origin; two classes alone have one of length 2 sqrt 2."""
    net = Network.mlp([[[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]], [[0.0, 0.0, 0.0]])
    regions = enumerate_regions(net, Box(-1, 1))
    boundary = decision_boundary(regions)
    pairs = list(zip(boundary.first.tolist(), boundary.second.tolist(), boundary.areas.tolist(), strict=True))
    assert pairs == [(0, 1, pytest.approx(2**0.5)), (0, 2, 1.0), (1, 2, 1.0)]
    assert boundary.one_vs_rest(2).tolist() == [1, 2]
    assert boundary.adjacent().tolist() == [[0, 1], [0, 2], [1, 2]]
    assert all([0.0, 0.0] in boundary.vertices(i).tolist() for i in range(3))
    assert decision_boundary(regions, [1, 0], progress=True).areas.tolist() == [pytest.approx(8**0.5)]
    same = Network.mlp([[[1.0, 1.0], [1.0, 1.0]]], [[0.0, 0.0]])
    assert decision_boundary(enumerate_regions(same, facets=True)).ties.tolist() == [[0, 0, 1]]
    for classes in ([0], [0, 0], [0, 3], [-1, 0]):
        with pytest.raises(ShapeError, match="classes"):
            decision_boundary(regions, classes)


# --- statistics


@settings(max_examples=N)
@given(problem=problems(max_neurons=5))
def test_statistics_count(problem: Problem) -> None:
    net, domain = problem
    show(net, domain)
    regions = enumerate_regions(net, domain, facets=True)
    graph = adjacency_graph(regions)
    volumes = np.arange(1.0, len(regions) + 1)
    found = statistics(regions, graph, volumes=volumes)
    assert (
        found.n_neighbours.tolist()
        == [degree for _, degree in graph.degree]
        == statistics(regions).n_neighbours.tolist()
    )
    assert found.n_facets.tolist() == [len(region.facets()) for region in regions]
    for counts, values in (
        (found.facet_distribution(), found.n_facets),
        (found.degree_distribution(), found.n_neighbours),
    ):
        assert counts.tolist() == [(values == k).sum() for k in range(len(counts))]
    assert found.active_share == pytest.approx((volumes[:, None] * regions.patterns).sum(axis=0) / volumes.sum())
    starts = np.cumsum([0, *net.widths])
    for start, layer, *listed in zip(
        starts, net.hidden, found.never_active, found.always_active, found.never_cut, strict=False
    ):
        never, always, uncut = (set(each.tolist()) for each in listed)
        for k in range(layer.width):
            own = regions.patterns[:, start + k]
            splits = not layer.affine_neurons[k]
            assert (k in never, k in always) == (splits and not own.any(), splits and bool(own.all()))
            assert (k in uncut) == (splits and not any(region.cuts[start + k] for region in regions))


def test_statistics_refuse_other_volumes() -> None:
    regions = enumerate_regions(Network.random([2, 2, 1], seed=0), facets=True)
    with pytest.raises(ShapeError, match="volumes"):
        statistics(regions, volumes=[1.0])
    with pytest.raises(ValueError, match="finite"):
        statistics(regions, volumes=np.full(len(regions), np.inf))
    with pytest.raises(ShapeError, match="inradii"):
        statistics(regions, inradii=[1.0])
    with pytest.raises(ValueError, match="inradii"):
        statistics(regions, inradii=np.full(len(regions), np.nan))


def test_distributions_of_sizes() -> None:
    """Every region is counted once, in a bin that holds its size, or as zero or infinite."""
    regions = enumerate_regions(Network.random([2, 8, 8, 1], seed=1), Box(-3, 3), facets=True)
    radii = regions.chebyshev_balls().radii.copy()
    radii[:3] = [np.inf, 0.0, np.inf]
    found = statistics(regions, volumes=regions.volumes(), inradii=radii)
    for n in (1, 2, 7):
        for (counts, edges, n_zero, n_infinite), sizes in (
            (found.volume_distribution(n), regions.volumes()),
            (found.inradius_distribution(n), radii),
        ):
            inner = sizes[(sizes > 0) & (sizes < np.inf)]
            assert (n_zero, n_infinite) == ((sizes == 0).sum(), np.isinf(sizes).sum())
            assert counts.sum() + n_zero + n_infinite == len(regions)
            assert (edges[0], edges[-1]) == (inner.min(), inner.max())
            assert np.allclose(np.diff(np.log(edges)), np.log(edges[-1] / edges[0]) / n)
            below = [(inner < edge).sum() for edge in edges[1:-1]]
            assert np.cumsum(counts)[:-1].tolist() == below
    endless = statistics(enumerate_regions(Network.random([1, 1, 1], seed=0)), inradii=[np.inf, np.inf])
    assert endless.inradius_distribution(3).counts.tolist() == [0, 0, 0]
    assert endless.inradius_distribution().n_infinite == 2
    with pytest.raises(ValueError, match="pass volumes="):
        endless.volume_distribution()
    with pytest.raises(ValueError, match="n_bins"):
        endless.inradius_distribution(0)


# --- whose a graph is


@given(networks(2, max_neurons=5), st.randoms(use_true_random=False))
def test_a_graph_serves_its_regions_only(net: Network, random: Random) -> None:
    """The regions' own graph, copied or pickled, gives what no graph gives; of reordered or other regions it raises."""
    show(net, None)
    regions = enumerate_regions(net, Box(-2, 2), facets=True)
    graph = adjacency_graph(regions)
    labels = linear_regions(regions).labels.tolist()
    degrees = statistics(regions).n_neighbours.tolist()
    pickled = pickle.loads(pickle.dumps(graph))  # noqa: S301 (its own)
    for same in (graph, graph.copy(), pickled, copy.deepcopy(graph)):
        assert linear_regions(regions, same).labels.tolist() == labels
        assert statistics(regions, same).n_neighbours.tolist() == degrees
    order = list(range(len(regions)))
    random.shuffle(order)
    last = net.layers[-1]
    others = [
        Regions(net, regions.domain, regions.packed[order], regions.packed_cuts[order], regions.witnesses[order]),
        enumerate_regions(Network([*net.layers[:-1], Layer(last.weights, last.bias + 1)], net.n_inputs), Box(-2, 2)),
        enumerate_regions(net, Box(-2, 2.5)),
    ]
    for other in others if order != sorted(order) else others[1:]:
        for use in (linear_regions, statistics):
            with pytest.raises(ValueError, match="got that of another network, domain or enumeration"):
                use(other, graph)


def test_parts_of_graphs_and_foreign_graphs_are_refused() -> None:
    """A graph with other nodes or edges, renumbered or not made by adjacency_graph cannot stand for the regions."""
    regions = enumerate_regions(Network.random([2, 4, 1], seed=0), Box(-2, 2), facets=True)
    graph = adjacency_graph(regions)
    fewer = graph.copy()
    fewer.remove_edge(*next(iter(graph.edges)))
    moved = fewer.copy()
    moved.add_edge(*next(iter(nx.non_edges(graph))), neurons=(0,))
    flipped = graph.copy()
    first = next(iter(flipped.edges))
    flipped.edges[first]["neurons"] = (3 - flipped.edges[first]["neurons"][0],)
    bare = graph.copy()
    bare.edges[first].clear()
    by_degree = sorted(graph, key=graph.degree)
    assert graph.degree[by_degree[0]] < graph.degree[by_degree[-1]]
    turned = nx.relabel_nodes(graph, {by_degree[0]: by_degree[-1], by_degree[-1]: by_degree[0]})
    shifted = nx.relabel_nodes(graph, {i: i + 1 for i in graph})
    for use in (linear_regions, statistics):
        with pytest.raises(ValueError, match=r"got one with 3 nodes, a part of it"):
            use(regions, graph.subgraph([0, 1, 2]))
        for altered in (fewer, moved, flipped, bare, turned):
            with pytest.raises(ValueError, match="one with other edges, or other neurons on them"):
                use(regions, altered)
        with pytest.raises(ValueError, match="a part of it or renumbered"):
            use(regions, shifted)
        with pytest.raises(ValueError, match="adjacency_graph did not make"):
            use(regions, nx.empty_graph(len(regions)))
    assert flip_path(graph.subgraph([0]), 0, 0) == []
    with pytest.raises(ValueError, match="lack 'neurons'"):
        flip_path(nx.path_graph(3), 0, 2)

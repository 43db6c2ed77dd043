"""Public calls on domains of lower dimension: what the slice that is built by hand gives, in the coordinates of x.

Numbers are dyadic, so that `Network.restrict` does not round and both are the same function.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from math import inf, sqrt
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

import tropnet as tn
from tropnet.cli import main
from tropnet.network.domain import RationalPolytope
from tropnet.regions.halfspaces import compose_rows
from tropnet.regions.row_index import RowIndex

X, Y = 0.25, -1.5


def _network(seed: int = 0, n_outputs: int = 3) -> tn.Network:
    """Return a network of skips and leaky neurons, with weights in sixteenths, whose outputs tie near a point."""
    net = tn.Network.random([4, 5, 5, n_outputs], skips=[(1, 3)], slopes=(0.25, 1.0), seed=seed)
    weights = [np.round(16 * layer.weights[k - 1]) / 16 for k, layer in enumerate(net.layers, start=1)]
    biases = [np.round(16 * np.random.default_rng(seed).normal(size=layer.width)) / 16 for layer in net.layers]
    first = tn.Network.mlp(weights, biases, skips=[(1, 3)], slopes=(0.25, 1.0))
    biases[-1] -= np.round(16 * first([0.5, X, 0.5, Y])) / 16
    return tn.Network.mlp(weights, biases, skips=[(1, 3)], slopes=(0.25, 1.0))


NET = _network()
FLAT = tn.Box([-2, X, -1, Y], [2, X, 3, Y])
SLICE = NET.restrict([0, X, 0, Y], np.eye(4)[[0, 2]])
BOX = tn.Box([-2, -1], [2, 3])
# Thirds, where no float64 point is: the same regions as with one in their place.
THIRDS = tn.Polytope(
    [[0, 3, 0, 0], [0, -3, 0, 0], *np.eye(4)[[0, 2, 3]], *-np.eye(4)[[0, 2, 3]]], [1, -1, 2, 3, Y, 2, 1, -Y]
)
# The same as BOX, turned by 45 degrees: x_3 = x_1, so lengths along it grow by sqrt(2).
TURNED = tn.Polytope(
    [[1, 0, 0, -1], [-1, 0, 0, 1], [0, 1, 0, 0], [0, -1, 0, 0], *np.eye(4)[[0, 2]], *-np.eye(4)[[0, 2]]],
    [0, 0, X, -X, 2, 3, 2, 1],
)
DIAGONAL = NET.restrict([0, X, 0, 0], [[1, 0, 0, 1], [0, 0, 1, 0]])
# Orthonormal but for rounding.
ORTHONORMAL = NET.restrict([0, X, 0, 0], [[sqrt(0.5), 0, 0, sqrt(0.5)], [0, 0, 1, 0]])
LONG_BOX = tn.Box([-2 * sqrt(2), -1], [2 * sqrt(2), 3])


def lifted(points: np.ndarray) -> np.ndarray:
    """Return points of the slice in all coordinates."""
    return np.column_stack([points[:, 0], np.full(len(points), X), points[:, 1], np.full(len(points), Y)])


def by_pattern(regions: tn.Regions) -> dict[tuple[bool, ...], int]:
    """Return the index of each pattern."""
    return {tuple(pattern): i for i, pattern in enumerate(regions.patterns.tolist())}


@pytest.fixture(scope="module")
def both() -> tuple[tn.Regions, tn.Regions, list[int]]:
    """Return the regions of the flat box, those of the slice by hand, and where the former are among the latter."""
    flat, sliced = tn.enumerate_regions(NET, FLAT, facets=True), tn.enumerate_regions(SLICE, BOX, facets=True)
    places = by_pattern(sliced)
    return flat, sliced, [places[tuple(pattern)] for pattern in flat.patterns.tolist()]


def test_geometry_is_that_of_the_slice(both: tuple[tn.Regions, tn.Regions, list[int]]) -> None:
    """Volumes, balls, vertices, facets, boundedness; in bulk and by region."""
    flat, sliced, order = both
    assert len(flat) == len(sliced) > 10
    np.testing.assert_allclose(flat.volumes(), sliced.volumes()[order], rtol=1e-9)
    np.testing.assert_allclose(flat.volume_estimates(4000).values, flat.volumes(), rtol=0.2)
    assert flat.bounded().all()
    radii, centres = flat.chebyshev_balls().radii, flat.chebyshev_balls().centres
    np.testing.assert_allclose(radii, sliced.chebyshev_balls().radii[order], rtol=1e-9)
    np.testing.assert_array_equal(centres[:, [1, 3]], np.broadcast_to([X, Y], (len(flat), 2)))
    rows, offsets = flat.facets()
    hand, at = sliced.facets()
    # Sides 0, 1 of the slice are those of input 0, and 2, 3 those of input 2.
    names = {-1: -1, -2: -2, -3: -5, -4: -6}
    corners, ends = flat.vertices()
    known, limits = sliced.vertices()
    for i, j in enumerate(order):
        expected = {names.get(row, row) for row in hand[at[j] : at[j + 1]].tolist()}
        assert set(rows[offsets[i] : offsets[i + 1]].tolist()) == expected
        region, other = flat[i], sliced[j]
        assert set(region.rows[region.facets()].tolist()) == expected
        assert region.volume() == pytest.approx(other.volume(), rel=1e-12)
        assert region.chebyshev_ball().radius == pytest.approx(other.chebyshev_ball().radius, rel=1e-9)
        points = lifted(known[limits[j] : limits[j + 1]]).tolist()
        for found in (corners[ends[i] : ends[i + 1]], region.vertices()):
            np.testing.assert_allclose(sorted(found.tolist()), sorted(points), atol=1e-9)
        assert region.is_bounded()
        assert region.contains(region.witness)
        assert not region.contains(np.add(region.witness, [0, 1e-9, 0, 0]))
        np.testing.assert_allclose(
            region.project(np.add(region.witness, [0, 1.0, 0, -2.0])), region.witness, atol=1e-12
        )
        np.testing.assert_array_equal(region.affine.weight, NET.affine_map(region.pattern).weight)


def test_the_complex_is_that_of_the_slice(both: tuple[tn.Regions, tn.Regions, list[int]]) -> None:
    """Adjacency and flips, linear regions and convexity, statistics, decision boundary."""
    flat, sliced, order = both
    graph, known = tn.adjacency_graph(flat), tn.adjacency_graph(sliced)
    edges = {(*sorted((order[i], order[j])), neurons) for i, j, neurons in graph.edges(data="neurons")}
    assert edges == {(*sorted((i, j)), neurons) for i, j, neurons in known.edges(data="neurons")}
    assert nx.is_connected(graph)
    path = tn.flip_path(graph, 0, len(flat) - 1)
    assert len(path) == len(tn.flip_path(known, order[0], order[-1]))
    for given in (None, graph):
        merged, expected = tn.linear_regions(flat, given), tn.linear_regions(sliced)
        assert len(merged) == len(expected)
        assert sorted(merged.convex.tolist()) == sorted(expected.convex.tolist())
    assert tn.count_linear_regions(NET, FLAT) == tn.count_linear_regions(SLICE, BOX)
    volumes = flat.volumes()
    one = tn.statistics(flat, graph, volumes=volumes, inradii=flat.chebyshev_balls().radii)
    other = tn.statistics(sliced, volumes=sliced.volumes())
    assert one.facet_distribution().tolist() == other.facet_distribution().tolist()
    assert one.degree_distribution().tolist() == other.degree_distribution().tolist()
    np.testing.assert_allclose(one.active_share, other.active_share, rtol=1e-9)
    boundary, hand = tn.decision_boundary(flat), tn.decision_boundary(sliced)
    assert len(boundary) == len(hand) > 0
    np.testing.assert_allclose(sorted(boundary.areas), sorted(hand.areas), rtol=1e-9)
    assert len(boundary.adjacent()) == len(hand.adjacent())
    for i in range(len(boundary)):
        outputs = np.sort(NET(boundary.vertices(i)), axis=1)
        np.testing.assert_allclose(outputs[:, -1], outputs[:, -2], atol=1e-9)


def test_maps_that_differ_only_off_the_hull_are_one_linear_region() -> None:
    """relu(x + y) and relu(-x - y) cancel on x + y = 0 for no pattern, x - y splits nothing more."""
    net = tn.Network.mlp([[[1, 1], [1, -1], [-1, 1]], [[5, 1, -1]]], [[1, 0, 0], [0]])
    domain = tn.Polytope([[1, 1], [-1, -1], [1, 0], [-1, 0]], [0, 0, 1, 1])
    assert tn.count_regions(net, domain) == 2
    assert tn.count_linear_regions(net, domain) == 1


def test_neurons_whose_hyperplanes_meet_the_hull_in_the_same_place_flip_together() -> None:
    """The zeros of x + y and x - y are two hyperplanes, and one point on y = 0."""
    net = tn.Network.mlp([[[1, 1], [1, -1]], [[1, 1]]], [[0, 0], [0]])
    regions = tn.enumerate_regions(net, tn.Box([-1, 0], [1, 0]), facets=True)
    assert list(tn.adjacency_graph(regions).edges(data="neurons")) == [(0, 1, (0, 1))]


@pytest.mark.parametrize("suffix", ["npz", "parquet"])
def test_files_hold_network_and_domain_as_given(
    both: tuple[tn.Regions, tn.Regions, list[int]], suffix: str, tmp_path: Path
) -> None:
    """The slice is made again from them."""
    for regions in (both[0], tn.enumerate_regions(NET, THIRDS, facets=True)):
        path = tmp_path / f"regions.{suffix}"
        getattr(regions, f"to_{suffix}")(path)
        again = getattr(tn.Regions, f"from_{suffix}")(path)
        assert again.domain.description == regions.domain.description
        assert again.rational_witnesses == regions.rational_witnesses
        assert again.patterns.tolist() == regions.patterns.tolist()
        assert again.facets().rows.tolist() == regions.facets().rows.tolist()
        assert again.volumes().tolist() == regions.volumes().tolist()


@pytest.mark.parametrize("suffix", ["npz", "parquet"])
def test_regions_within_the_hull_are_written_too(suffix: str, tmp_path: Path) -> None:
    """Also where sides have too many digits for float64, as on 3 x + 7 y + 5 z = 1 in tenths."""
    equation = [0.3, 0.7, 0.5]
    domain = tn.Polytope([equation, [-a for a in equation], *np.eye(3), *-np.eye(3)], [0.1, -0.1, *[1.0] * 6])
    within = tn.enumerate_regions(tn.Network.random([3, 6, 1], seed=0), domain).within
    assert not within.domain.is_exact
    path = tmp_path / f"regions.{suffix}"
    getattr(within, f"to_{suffix}")(path)
    again = getattr(tn.Regions, f"from_{suffix}")(path)
    assert again.domain.integer_rows.tolist() == within.domain.integer_rows.tolist()
    assert again.patterns.tolist() == within.patterns.tolist()
    assert again.volumes().tolist() == within.volumes().tolist()


@pytest.mark.parametrize("method", ["auto", "enumerate", "branch"])
@pytest.mark.parametrize("form", [0, [1.0, -2.0, 0.5]])
def test_extremes_are_those_of_the_slice(method: str, form: Any) -> None:
    """The value is exact, and attained at a point of the domain in a region whose closure holds it."""
    for find in (tn.maximum, tn.minimum):
        found, expected = find(NET, FLAT, form, method=method), find(SLICE, BOX, form, method=method)
        assert found.exact == expected.exact
        assert FLAT.contains(found.point)
        region = tn.find_linear_region(NET, found.pattern, FLAT)
        assert isinstance(region, tn.ActivationRegion)
        x = found.certificate.fractions
        assert [x[1], x[3]] == [Fraction(X), Fraction(Y)]


@pytest.mark.parametrize("method", ["enumerate", "branch"])
def test_extremes_where_no_float64_point_is(method: str) -> None:
    """Of x / 3 + ... at x = 1/3: exact fractions."""
    net = tn.Network.mlp([np.eye(2), [[3.0, 1.0]]], [[0, 0], [0.5]])
    third = tn.Polytope([[3, 0], [-3, 0], [0, 1], [0, -1]], [1, -1, 2, 1])
    top = tn.maximum(net, third, method=method)
    assert (top.exact, top.certificate.fractions) == (Fraction(7, 2), (Fraction(1, 3), Fraction(2)))
    assert tn.minimum(net, third, method=method).exact == Fraction(3, 2)


def test_extremes_of_unbounded_hulls() -> None:
    """Rays lead along the hull."""
    net = tn.Network.mlp([np.eye(2), [[1.0, 1.0]]], [[0, 0], [0]])
    top = tn.maximum(net, tn.Polytope([[1, 1], [-1, -1]], [1, -1]))
    assert top.value == inf
    np.testing.assert_allclose(abs(top.ray), [sqrt(0.5), sqrt(0.5)])
    assert tn.minimum(net, tn.Polytope([[1, 1], [-1, -1]], [1, -1])).exact == 1


def test_lipschitz_constants_are_those_of_the_restricted_function() -> None:
    """On axes by all norms, else by the l2 norm, as of orthonormal coordinates; no other."""
    for norm in (1, 2, inf):
        found, expected = tn.lipschitz_constant(NET, FLAT, norm), tn.lipschitz_constant(SLICE, BOX, norm)
        assert found.value == pytest.approx(expected.value, rel=1e-12)
        assert found.pattern.tolist() in tn.enumerate_regions(NET, FLAT).patterns.tolist()
    turned, expected = tn.lipschitz_constant(NET, TURNED), tn.lipschitz_constant(ORTHONORMAL, LONG_BOX)
    assert turned.value == pytest.approx(expected.value, rel=1e-9)
    with pytest.raises(ValueError, match="norm must be 2 on a domain of lower dimension whose affine hull is parallel"):
        tn.lipschitz_constant(NET, TURNED, 1)
    assert tn.lipschitz_constant(NET, tn.Box(0.1, 0.1)).value == 0


def test_functions_that_agree_on_the_hull_are_the_same() -> None:
    """They need not agree elsewhere."""
    a = tn.Network.mlp([[[1.0, 1.0]], [[1.0]]], [[0.0], [0.0]])
    b = tn.Network.mlp([[[1.0, 3.0]], [[1.0]]], [[-0.5], [0.0]])
    assert tn.same_function(a, b, tn.Box([-1, 0.25], [1, 0.25]))
    different = tn.same_function(a, b, tn.Box([-1, 0.5], [1, 0.5]))
    assert (different.difference, different.output) == (0.5, 0)
    assert different.extremum.point[1] == 0.5
    assert not tn.same_function(NET, _network(1), FLAT)
    assert tn.same_function(NET, NET, THIRDS)


@pytest.mark.parametrize("norm", [1, 2, inf])
def test_distances_to_the_boundary(norm: float) -> None:
    """In x, between points of the hull."""
    rng = np.random.default_rng(0)
    for t in rng.uniform([-2, -1], [2, 3], (5, 2)):
        near = tn.distance_to_boundary(NET, lifted(t[None])[0], FLAT, norm)
        hand = tn.distance_to_boundary(SLICE, t, BOX, norm)
        assert near.distance == pytest.approx(hand.distance, rel=1e-9)
        assert near.target == hand.target
        if near.distance < inf:
            np.testing.assert_allclose(near.point, lifted(hand.point[None])[0], atol=1e-9)
        x = np.array([t[0], X, t[1], t[0]])
        turned = tn.distance_to_boundary(NET, x, TURNED, norm)
        if norm == 2:
            other = tn.distance_to_boundary(ORTHONORMAL, [t[0] * sqrt(2), t[1]], LONG_BOX)
            assert turned.distance == pytest.approx(other.distance, rel=1e-6)
        elif turned.distance < inf:
            assert np.linalg.norm(turned.point - x, norm) == pytest.approx(turned.distance)
            assert turned.point[0] == turned.point[3]
    with pytest.raises(tn.DomainError, match="x must lie in the domain"):
        tn.distance_to_boundary(NET, [0, 0, 0, 0], FLAT, norm)


def test_regions_around_a_point() -> None:
    """Found by crossing facets within the hull, in the order of flips."""
    start = np.array([0.3, X, 0.7, Y])
    near, hand = tn.regions_near(NET, start, FLAT), tn.regions_near(SLICE, start[[0, 2]], BOX)
    assert near.regions.complete
    flips = dict(zip(map(tuple, near.regions.patterns.tolist()), near.n_flips.tolist(), strict=True))
    assert flips == dict(zip(map(tuple, hand.regions.patterns.tolist()), hand.n_flips.tolist(), strict=True))
    assert sorted(np.diff(near.regions.facets().offsets)) == sorted(np.diff(hand.regions.facets().offsets))
    thirds = tn.regions_near(NET, [0.3, 1 / 3, 0.7, Y], THIRDS)
    assert len(thirds) == tn.count_regions(NET, THIRDS)
    with pytest.raises(tn.DomainError, match="x is outside the domain"):
        tn.regions_near(NET, [0.3, 0.3, 0.7, Y], FLAT)


def test_flips_to_data() -> None:
    """Enumerated, and by searches, of the same regions."""
    rng = np.random.default_rng(1)
    points = rng.uniform([-2, -1], [2, 3], (8, 2))
    data, asked = points[:2], points[2:]
    for flat, sliced in (
        ((NET, FLAT), (SLICE, BOX)),
        ((tn.enumerate_regions(NET, FLAT, facets=True), None), (tn.enumerate_regions(SLICE, BOX, facets=True), None)),
    ):
        ours, hand = _flips(*flat, lifted(data)), _flips(*sliced, data)
        bounds, known = ours(lifted(asked)), hand(asked)
        assert (bounds.lower <= known.upper).all()
        assert (known.lower <= bounds.upper).all()
        assert ours.hamming(lifted(asked)).tolist() == hand.hamming(asked).tolist()
        assert sorted(ours.packed.tolist()) == sorted(hand.packed.tolist())
    assert bounds.lower.tolist() == known.lower.tolist()
    with pytest.raises(tn.DomainError, match="x must be in the domain"):
        ours([0.0, 0.0, 0.0, 0.0])


def _flips(what: Any, domain: Any, data: np.ndarray) -> Any:
    from tropnet.local_search.flip_distance import FlipDistance

    return FlipDistance(what, data, domain)


def test_predictors() -> None:
    """Compiled ones take boxes with fixed inputs; where hardly any float64 point lies they say what to do."""
    predict = tn.compile_regions(NET, FLAT)
    points = lifted(np.random.default_rng(0).uniform([-2, -1], [2, 3], (500, 2)))
    np.testing.assert_allclose(predict(points), NET(points), atol=1e-12)
    with pytest.raises(tn.DomainError, match="x must lie in the domain"):
        predict(np.add(points, [0, 1e-9, 0, 0]))
    with pytest.raises(tn.DomainError, match=r"a predictor needs a domain of float64 points.*compile net.restrict"):
        tn.compile_regions(NET, THIRDS)
    cached = tn.CachedPredictor(NET)
    np.testing.assert_allclose(cached(points), NET(points), atol=1e-12)


def test_maps_refuse_what_has_no_area() -> None:
    """They name what draws it."""
    net = tn.Network.random([2, 3, 1], seed=0)
    line = tn.enumerate_regions(net, tn.Box([-1, 0.5], [1, 0.5]))
    skew = tn.enumerate_regions(net, tn.Polytope([[1, 1], [-1, -1], [1, 0], [-1, 0]], [0.5, -0.5, 1, 1]))
    boundary = lambda regions: tn.plot_boundary(tn.decision_boundary(regions))  # noqa: E731 -- as the others
    for draw in (tn.plot_regions, tn.plot_hyperplanes, tn.plot_graph, boundary):
        with pytest.raises(tn.ShapeError, match=r"2 inputs, got 1 that the domain leaves free; .* plot_function"):
            draw(line)
        with pytest.raises(tn.DomainError, match=r"needs .* interior, .*, got Polytope.*net.restrict.* plot_function"):
            draw(skew)


def test_balls_of_skew_hulls() -> None:
    """By Euclidean distance in x: as of orthonormal coordinates."""
    turned, known = tn.enumerate_regions(NET, TURNED), tn.enumerate_regions(ORTHONORMAL, LONG_BOX)
    assert turned.volumes().sum() == pytest.approx(16 * sqrt(2))
    places = by_pattern(known)
    order = [places[tuple(pattern)] for pattern in turned.patterns.tolist()]
    np.testing.assert_allclose(turned.volumes(), known.volumes()[order], rtol=1e-6)
    np.testing.assert_allclose(turned.chebyshev_balls().radii, known.chebyshev_balls().radii[order], rtol=1e-6)
    assert turned[0].chebyshev_ball().radius == pytest.approx(known[order[0]].chebyshev_ball().radius, rel=1e-6)
    pieces, hand = tn.decision_boundary(turned), tn.decision_boundary(known)
    np.testing.assert_allclose(sorted(pieces.areas), sorted(hand.areas), rtol=1e-6)


def test_a_point_is_one_region() -> None:
    """Its bits are the signs there; a neuron that vanishes is False. Its volume is 1, and balls of any size fit."""
    net = tn.Network.mlp([[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [[1.0, 2.0, 4.0]]], [[0, 0, 0.5], [1]])
    regions = tn.enumerate_regions(net, tn.Box([0, -0.25], [0, -0.25]), facets=True)
    assert regions.patterns.tolist() == [[False, False, True]]
    assert regions.witnesses.tolist() == [[0, -0.25]]
    assert (regions.volumes().tolist(), regions.chebyshev_balls().radii.tolist()) == ([1.0], [inf])
    assert (regions[0].volume(), regions[0].chebyshev_ball().radius) == (1.0, inf)
    assert regions.vertices().points.tolist() == regions[0].vertices().tolist() == [[0, -0.25]]
    assert len(regions.facets().rows) == len(regions[0].facets()) == 0
    assert regions.bounded().tolist() == [True]
    assert tn.maximum(net, regions.domain).exact == 2
    assert tn.statistics(regions).n_facets.tolist() == [0]
    assert len(tn.linear_regions(regions)) == 1
    assert tn.distance_to_boundary(net, [0, -0.25], regions.domain).distance == inf
    assert len(tn.regions_near(net, [0, -0.25], regions.domain)) == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda net: net.activation_pattern(np.zeros(2)),
        lambda net: tn.enumerate_regions(net, tn.Box(0, 0)).patterns[0],
        lambda net: next(tn.iter_regions(net, tn.Polytope([*np.eye(2), *-np.eye(2)], np.zeros(4)))).pattern,
    ],
)
def test_zeros_at_a_point_are_false(call: Callable[[tn.Network], Any]) -> None:
    """As everywhere."""
    net = tn.Network.mlp([np.eye(2), [[1.0, 1.0]]], [[0, 0], [0]])
    assert call(net).tolist() == [False, False]


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """--box takes a number for each input, low = high among them."""
    path, out = tmp_path / "net.npz", tmp_path / "regions.npz"
    NET.save(path)
    n = tn.count_regions(SLICE, BOX)

    def run(command: str, *arguments: str) -> str:
        box = ["--box", f"-2,{X},-1,{Y}", f"2,{X},3,{Y}"]
        monkeypatch.setattr("sys.argv", ["tropnet", command, str(path), *box, *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        assert caught.value.code == 0
        return capsys.readouterr().out

    for command in (["count", "-q"], ["regions", "-q"], ["estimate"]):
        found = json.loads(run(*command, "--json"))
        assert n in found.values()
        assert found["domain"] == FLAT.description
    assert f"{n} activation regions" in run("regions", "-q", "--out", str(out))
    assert len(tn.Regions.from_npz(out)) == n


OBLIQUE = [(seed, d, n) for seed, (d, n) in enumerate([(3, 1), (4, 1), (4, 2), (3, 2)])]


def _oblique(seed: int, d: int, n: int) -> tn.Regions:
    """Return the regions on a part of a box, cut out by n equations with numbers of 53 bits."""
    rng = np.random.default_rng(seed)
    E, middle, eye = rng.normal(size=(n, d)), rng.normal(size=d).round(1) / 8, np.eye(d)
    sides = np.concatenate([E @ middle, -(E @ middle), np.ones(2 * d)])
    net = tn.Network.random([d, 6, 5, 2], seed=seed)
    return tn.enumerate_regions(net, tn.Polytope(np.vstack([E, -E, eye, -eye]), sides))


@pytest.mark.parametrize(("seed", "d", "n"), OBLIQUE)
def test_oblique_hulls_are_measured_in_bulk(seed: int, d: int, n: int) -> None:
    """Sides that are no float64 numbers enter with their errors: nothing is left to exact geometry, all is as there."""
    regions = _oblique(seed, d, n)
    equations, level = regions.domain.A[:n], regions.domain.b[:n]
    inner = regions.within
    assert not inner.domain.is_exact
    assert len(regions) > 4

    def exactly(i: int) -> Any:
        raise AssertionError(f"region {i} was left in doubt")

    measures = replace(inner.measures, packed_facets=None, polyhedron=exactly)
    volumes = measures.volumes(np.ones(len(inner), dtype=np.bool_), progress=False)
    corners, ends = measures.vertices(1e-8)
    assert not regions.restriction.keeps_lengths
    radii = measures.balls(np.zeros(len(inner), dtype=np.bool_), regions.restriction).radii
    np.testing.assert_array_equal(radii, regions.chebyshev_balls().radii)
    for ball, region, centre in zip(radii.tolist(), regions, regions.chebyshev_balls().centres, strict=True):
        assert ball == pytest.approx(region.chebyshev_ball().radius, rel=2e-9)
        assert np.abs(equations @ centre - level).max() < 1e-12
    flags = RowIndex.of(inner.network, inner.domain).unpack(measures.facets())
    for i, region in enumerate(inner):
        assert volumes[i] == pytest.approx(region.volume(), rel=1e-9)
        found, exact = corners[ends[i] : ends[i + 1]], region.vertices()
        np.testing.assert_allclose(sorted(found.tolist()), sorted(exact.tolist()), rtol=1e-9, atol=1e-9)
        places = RowIndex.of(inner.network, inner.domain).places(region.rows[region.facets()])
        assert np.flatnonzero(flags[i]).tolist() == sorted(places.tolist())
        assert regions[i].volume() == pytest.approx(regions.volumes()[i], rel=1e-9)


@pytest.mark.parametrize("twofold", [False, True])
def test_rounded_sides_have_bounds_on_their_errors(twofold: bool) -> None:
    """Of rows with many digits, of sizes that float64 does not hold, and of float64 rows, which have no errors."""
    given = [
        [1, 3, 7], [10**40 + 1, 3, -(10**20) - 7], [2**60 + 1, 2**53 + 1, 2**200 + 1], [3**900, 1, 5**40],
        [2**1200 + 1, 2**30 + 1, 3], [1, 2, 3**800], [-(3**50), 3**20, 0],
    ]  # fmt: skip
    domain = RationalPolytope(np.array(given, dtype=object))
    net = tn.Network.random([2, 3, 1], seed=0)
    none = np.zeros((2, 1), dtype=np.uint8)
    rows, _, offsets = compose_rows(net, domain, none, none, twofold=twofold)
    assert offsets.tolist() == [0, 7, 14]
    for place in range(14):
        *a, c = given[place % 7]
        scale = 2 ** max(map(abs, a)).bit_length()
        high, low = rows.high[place], rows.low[place] if twofold else np.zeros(3)
        wrong = [
            abs(Fraction(value, scale) - Fraction(x) - Fraction(y))
            for value, x, y in zip([-a[0], -a[1], c], high.tolist(), low.tolist(), strict=True)
        ]
        length, size = rows.error[place].tolist()
        assert length == inf or wrong[0] ** 2 + wrong[1] ** 2 <= Fraction(length) ** 2
        assert size == inf or wrong[2] <= Fraction(size)
        assert size == inf or size <= abs(high[2]) * 2.0 ** (-105 if twofold else -52) + 1e-320
    assert (rows.error[[0, 7]] == 0).all()
    assert np.isinf(rows.error[[5, 12]]).all()


@pytest.mark.parametrize("slope", [2.0**20, 1e20, 1e200])
def test_balls_of_steep_hulls(slope: float) -> None:
    """Of hulls of any slope they are those of the regions, one by one over the integers."""
    row = np.array([[slope, 3.0, -1.0]])
    domain = tn.Polytope(np.vstack([row, -row, np.eye(3), -np.eye(3)]), [0, 0, *[1.0] * 6])
    regions = tn.enumerate_regions(tn.Network.random([3, 4, 1], seed=1), domain)
    exact = [region.chebyshev_ball().radius for region in regions]
    np.testing.assert_allclose(regions.chebyshev_balls().radii, exact, rtol=2e-9)

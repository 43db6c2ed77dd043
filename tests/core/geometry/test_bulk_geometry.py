"""Balls, vertices, boundedness and volume estimates of all regions at once, against exact and independent answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.spatial import ConvexHull

from tests.checks import cell, exact_point, nearest_float, show
from tests.oracles.fourier_motzkin import has_interior
from tests.strategies import domains, halfspaces, problems
from tropnet import Box, Domain, Network, Polytope, Regions, TropnetError, enumerate_regions
from tropnet.geometry.balls import balls
from tropnet.geometry.boundedness import directions
from tropnet.geometry.centred import centred
from tropnet.geometry.polyhedron import Polyhedron
from tropnet.geometry.vertices import vertices

N = settings().max_examples
Problem = tuple[Network, Domain | None]
# Three planes and more through one point, and the same plane twice: no cell at the origin is simple.
FAN = Network.mlp(
    [[[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 1, 1], [2, 0, 0]], np.ones((1, 6))], [np.zeros(6), [0]]
)


def largest_radius(A: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the radius of a largest ball in {x : A x <= b} by linear programming."""
    norms = np.linalg.norm(A, axis=1)
    d = A.shape[1]
    rows = np.column_stack([A / norms[:, None], np.ones(len(A))])
    result = linprog(
        np.append(np.zeros(d), -1), A_ub=rows, b_ub=b / norms, bounds=[(None, None)] * d + [(0, None)], method="highs"
    )
    return float(result.x[-1]) if result.status == 0 else np.inf


@pytest.mark.parametrize("facets", [True, False])
@settings(max_examples=N)
@given(problem=problems(max_neurons=5))
def test_balls_are_inside_and_infinite_only_where_there_is_no_largest(facets: bool, problem: Problem) -> None:
    """Infinite iff some direction leads away from all rows, exactly; else no row is nearer than the radius."""
    net, domain = problem
    show(net, domain)
    regions = enumerate_regions(net, domain, facets=facets)
    centres, radii = regions.chebyshev_balls()
    sides = halfspaces(domain, net.n_inputs)
    for region, centre, radius in zip(regions, centres, radii, strict=True):
        rows = cell(net, region.pattern.tolist(), sides)
        assert rows is not None
        away = [(a, 0 * b) for a, b in rows if any(a)]
        assert (radius == np.inf) == has_interior(away)
        assert np.isnan(centre).all() == (radius == np.inf)
        if radius < np.inf:
            x = exact_point(centre)
            for a, b in rows:
                slack = b - sum(s * t for s, t in zip(a, x, strict=True))
                distance = nearest_float(slack * slack / sum(t * t for t in a)) ** 0.5
                rounding = 1e-8 * radius + 1e-12 * (1 + np.abs(centre).max())
                assert (distance if slack > 0 else -distance) >= radius - rounding


@settings(max_examples=N)
@given(problem=problems(max_neurons=5, nearly_degenerate=False))
def test_balls_are_the_largest(problem: Problem) -> None:
    """As large as linear programming over the rows finds."""
    net, domain = problem
    show(net, domain)
    regions = enumerate_regions(net, domain, facets=True)
    for region, radius in zip(regions, regions.chebyshev_balls().radii, strict=True):
        if np.isfinite(radius):
            assert radius == pytest.approx(largest_radius(region.A, region.b), rel=1e-6, abs=1e-7)


@pytest.mark.parametrize(("d", "widths"), [(1, [9, 9]), (2, [16, 16]), (3, [8, 6]), (6, [6, 5])])
@pytest.mark.parametrize("half_width", [1e-6, 1.0, 1e4])
def test_balls_of_generic_networks(d: int, widths: list[int], half_width: float) -> None:
    regions = enumerate_regions(Network.random([d, *widths, 1], seed=d), Box([-half_width] * d, half_width))
    radii = regions.chebyshev_balls().radii
    for i in range(0, len(regions), max(1, len(regions) // 25)):
        region = regions[i]
        assert radii[i] == pytest.approx(half_width * largest_radius(region.A, region.b / half_width), rel=1e-6)
        assert radii[i] == pytest.approx(region.chebyshev_ball().radius, rel=1e-8)


@settings(max_examples=2 * N)
@given(problem=problems(max_neurons=6))
def test_bounded_iff_there_are_no_rays(problem: Problem) -> None:
    """Bounded iff the double description over the integers has no ray and no line; one by one the same."""
    net, domain = problem
    show(net, domain)
    regions = enumerate_regions(net, domain)
    expected = [not len(region.polyhedron.rays()) for region in regions]
    assert regions.bounded().tolist() == expected
    assert [region.is_bounded() for region in regions] == expected


@settings(max_examples=2 * N)
@given(seed=st.integers(0, 10**6), d=st.integers(1, 4), data=st.data())
def test_bounded_and_volumes_of_integer_networks(seed: int, d: int, data: st.DataObject) -> None:
    """Parallel and coincident hyperplanes, strips, cones: bounded iff the volume is finite."""
    rng = np.random.default_rng(seed)
    weights = [rng.integers(-1, 2, (4, d)), rng.integers(-1, 2, (3, 4)), np.ones((1, 3))]
    net = Network.mlp(weights, [rng.integers(-1, 2, 4), rng.integers(-1, 2, 3), [0]])
    domain = data.draw(domains(d))
    show(net, domain)
    regions = enumerate_regions(net, domain, facets=True)
    expected = [not len(region.polyhedron.rays()) for region in regions]
    assert regions.bounded().tolist() == expected
    assert np.isfinite(regions.volumes()).tolist() == expected


def check_vertices(regions: Regions) -> None:
    """Compare with the exact vertices, point by point."""
    points, offsets = regions.vertices()
    assert points.shape == (offsets[-1], regions.network.n_inputs)
    assert len(offsets) == len(regions) + 1
    for i, region in enumerate(regions):
        found, exact = points[offsets[i] : offsets[i + 1]], region.vertices()
        assert len(found) == len(exact)
        if len(exact):
            size = 1e-9 * (np.ptp(exact, axis=0).max() + np.abs(exact).max() + np.abs(region.witness).max())
            apart = np.abs(found[:, None] - exact[None]).max(axis=2)
            # Each within rounding of another one.
            assert sorted(apart.argmin(axis=1).tolist()) == list(range(len(exact)))
            assert apart.min(axis=1).max() <= size


@pytest.mark.parametrize("facets", [True, False])
@settings(max_examples=N)
@given(problem=problems(max_neurons=6, nearly_degenerate=False))
def test_vertices_are_the_exact_ones(facets: bool, problem: Problem) -> None:
    net, domain = problem
    show(net, domain)
    check_vertices(enumerate_regions(net, domain, facets=facets))


@settings(max_examples=N)
@given(problem=problems(max_neurons=6))
def test_there_are_as_many_vertices_as_exactly(problem: Problem) -> None:
    """Slivers included, of which the vertices themselves may round to one point."""
    net, domain = problem
    show(net, domain)
    regions = enumerate_regions(net, domain, facets=True)
    counts = np.diff(regions.vertices().offsets)
    assert counts.tolist() == [len(region.vertices()) for region in regions]


@pytest.mark.parametrize("accuracy", [1e-2, 1e-4, 1e-8])
@pytest.mark.parametrize("far", [0.0, 1e6])
def test_vertices_are_as_accurate_as_they_are_asked_to_be(far: float, accuracy: float) -> None:
    """A part of the distance of the witness to the nearest side at most, far from the origin too; none is missing."""
    net = Network.random([2, 24, 24, 1], seed=3)
    first = net.layers[0]
    moved = [first.bias - far * first.weights[0].sum(axis=1), *(layer.bias for layer in net.layers[1:])]
    net = Network.mlp([layer.weights[k] for k, layer in enumerate(net.layers)], moved)
    regions = enumerate_regions(net, Box(far - 2, far + 2))
    points, offsets = regions.vertices(accuracy)
    for region, found in zip(regions, np.split(points, offsets[1:-1]), strict=True):
        exact = region.vertices()
        assert len(found) == len(exact)
        near = ((region.b - region.A @ region.witness) / np.linalg.norm(region.A, axis=1)).min()
        apart = np.abs(found[:, None] - exact[None]).max(axis=2)
        farthest = np.abs(exact - region.witness).max()
        assert apart.min(axis=0).max() <= 1.01 * max(accuracy * near, 1e-10 * farthest) + 4e-16 * far


@pytest.mark.parametrize("accuracy", [0, -1.0, np.nan, "fine", None])
def test_accuracies_that_are_none(accuracy: object) -> None:
    regions = enumerate_regions(FAN, Box(-1, 2))
    with pytest.raises(ValueError, match="accuracy must be a positive part of a length, such as 1e-8, got"):
        regions.vertices(accuracy)  # type: ignore[arg-type]


@pytest.mark.parametrize("domain", [None, Box(-1, 2), Polytope([[1.0, 1.0, 1.0]], [3.0])], ids=str)
def test_cells_that_are_not_simple(domain: Domain | None) -> None:
    regions = enumerate_regions(FAN, domain, facets=True)
    check_vertices(regions)
    assert regions.bounded().all() == isinstance(domain, Box)


@pytest.mark.parametrize(("d", "widths"), [(2, [12, 12]), (3, [7, 6]), (4, [5, 5]), (5, [5, 3])])
def test_vertices_of_generic_networks(d: int, widths: list[int]) -> None:
    """Of cells cut many times; and their hulls have the volumes of the cells."""
    net = Network.random([d, *widths, 1], seed=d)
    for domain in (Box([-1.0] * d, 1.0), None):
        check_vertices(enumerate_regions(net, domain, max_regions=60, on_undecided="collect"))
    regions = enumerate_regions(net, Box([-1.0] * d, 1.0), facets=True)
    points, offsets = regions.vertices()
    hulls = [ConvexHull(part).volume for part in np.split(points, offsets[1:-1])]
    assert sum(hulls) == pytest.approx(2.0**d, rel=1e-9)


def test_compiled_kernels_prefer_doubt() -> None:
    """What is within rounding of flat, far, not simple or not closed is never trusted."""
    square = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    offsets, origin = np.array([0, 4]), np.zeros((1, 2))
    for b in ([1e-17, 1e-17, 1.0, 1.0], [0.0, 1.0, 1.0, 1.0], [-1.0, 2.0, 1.0, 1.0], [np.inf] * 4):
        far = np.full((1, 2), 1e3)
        rows = centred(square, np.array(b) + square @ far[0], offsets, far)
        assert (balls(rows, offsets, far)[2] > 1e-9).all()
        assert vertices(rows, offsets, far, 1e-8)[2].all()
    # A strip; and one whose sides meet 1e15 away.
    for slope in (0.0, 1e-15):
        strip = np.array([[slope, 1.0], [0.0, -1.0], [-1.0, 0.0]])
        found = directions(strip, np.array([0, 3]))
        errors = np.full(1, 1e-14)
        assert not found.bounded(errors, 2).any()
        assert not found.unbounded(errors).any()
        rows = centred(strip, np.ones(3), np.array([0, 3]), origin)
        assert vertices(rows, np.array([0, 3]), origin, 1e-8)[2].all()
    # The corner is cut off at 1e-16.
    corner = np.vstack([square, [[1.0, 1.0]]])
    rows = centred(corner, np.array([1.0, 1.0, 1.0, 1.0, 2.0 - 2.0**-52]), np.array([0, 5]), origin)
    assert vertices(rows, np.array([0, 5]), origin, 1e-8)[2].all()


def test_boundedness_in_many_dimensions_needs_no_vertices() -> None:
    """A cross-polytope in 12 dimensions, a cube in 40, and the cube without one side."""
    signs = np.array(np.meshgrid(*[[1, -1]] * 8)).reshape(8, -1).T
    cross = np.column_stack([-signs, np.ones(len(signs))]).astype(np.int64).astype(object)
    assert Polyhedron(cross).is_bounded()
    eye = np.eye(40, dtype=np.int64)
    cube = np.column_stack([np.vstack([eye, -eye]), np.ones(80, dtype=np.int64)]).astype(object)
    assert Polyhedron(cube).is_bounded()
    assert not Polyhedron(cube[1:]).is_bounded()


# --- volume estimates


@pytest.mark.parametrize(("d", "widths"), [(1, [5]), (2, [6, 5]), (3, [5, 4]), (4, [4, 4]), (5, [4, 3])])
def test_estimates_agree_with_exact_volumes(d: int, widths: list[int]) -> None:
    """Within five standard errors, each region and their sum; the errors of all regions are as large as they say."""
    for domain in (Box([-1.0] * d, 1.0), Polytope(np.vstack([np.eye(d), -np.ones((1, d))]), np.ones(d + 1)), None):
        regions = enumerate_regions(Network.random([d, *widths, 1], seed=d), domain, facets=True)
        values, errors = regions.volume_estimates(2000, seed=1)
        exact = regions.volumes()
        bounded = regions.bounded()
        assert np.array_equal(np.isinf(values), ~bounded)
        assert not errors[~bounded].any()
        off = values[bounded] - exact[bounded]
        tiny = 1e-9 * exact[bounded]
        assert (np.abs(off) <= 5 * errors[bounded] + tiny).all()
        assert abs(off.sum()) <= 5 * np.linalg.norm(errors) + tiny.sum()
        if d > 1 and bounded.sum() > 20:
            assert 0.5 < np.sqrt(np.mean((off / errors[bounded]) ** 2)) < 1.5
        assert np.array_equal(values, regions.volume_estimates(2000, seed=1).values)


def test_estimates_in_many_dimensions_add_up_to_the_box() -> None:
    """In 8 dimensions, where exact vertices take long."""
    regions = enumerate_regions(Network.random([8, 4, 3, 1], seed=0), Box([-1.0] * 8, 1.0), facets=True)
    values, errors = regions.volume_estimates(2000)
    assert abs(values.sum() - 2.0**8) <= 5 * np.linalg.norm(errors)
    assert np.linalg.norm(errors) < 0.05 * 2.0**8


@settings(max_examples=N // 2)
@given(problem=problems(max_neurons=4))
def test_estimates_of_slivers(problem: Problem) -> None:
    """Regions of any scale, slivers included: within six standard errors of the volume from exact vertices."""
    net, domain = problem
    show(net, domain)
    regions = enumerate_regions(net, domain)
    values, errors = regions.volume_estimates(300)
    exact = np.array([region.volume() for region in regions])
    inside = np.isfinite(exact)
    assert np.array_equal(np.isfinite(values), inside)
    assert (np.abs(values[inside] - exact[inside]) <= 6 * errors[inside] + 1e-8 * exact[inside] + 1e-320).all()


@pytest.mark.parametrize("width", [1e-15, 1e-18, 1e-200, 1e-310])
def test_slivers_of_many_dimensions_are_refused(width: float) -> None:
    """Where vertices take too long, a region that float64 cannot sample is refused by its number."""
    sides = np.concatenate([np.eye(7), -np.eye(7)])
    sides[0, 1], sides[7, 1] = 1.0, -1.0
    sliver = Polytope(sides, np.where(np.arange(14) % 7, 1.0, width))
    regions = enumerate_regions(Network.mlp([np.zeros((1, 7))], [[0.0]]), sliver)
    with pytest.raises(TropnetError, match="region 0 is too thin for its volume to be estimated"):
        regions.volume_estimates(300)


def test_estimates_refuse_too_few_samples() -> None:
    with pytest.raises(ValueError, match="n_samples must be an integer of at least 2"):
        enumerate_regions(Network.random([2, 2, 1], seed=0), Box(-1, 1)).volume_estimates(1)


def test_regions_without_rows() -> None:
    """All of R^2 as one region, and none at all."""
    everything = enumerate_regions(Network.mlp([[[1.0, 0.0]]], [[0.0]]))
    assert everything.bounded().tolist() == [False]
    assert everything.chebyshev_balls().radii.tolist() == [np.inf]
    assert everything.vertices().offsets.tolist() == [0, 0]
    assert everything.volume_estimates().values.tolist() == [np.inf]
    none = Regions(everything.network, everything.domain, *[everything.packed[:0]] * 2, everything.witnesses[:0])
    assert none.bounded().shape == none.chebyshev_balls().radii.shape == none.volumes().shape == (0,)
    assert none.vertices().points.shape == (0, 2)
    assert none.volume_estimates().values.shape == (0,)

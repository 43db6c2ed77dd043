"""Projections, exactly, against every set of rows that may be met with equality."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.checks import nearest_float, show
from tests.strategies import points, problems, systems
from tropnet import Box, Domain, Network, NonFiniteError, ShapeError, TropnetError, enumerate_regions
from tropnet.exact.projection import nearest_point
from tropnet.geometry.polyhedron import Polyhedron

N = settings().max_examples
Vector = tuple[Fraction, ...]


def dot(a: Sequence[Fraction | int], b: Sequence[Fraction | int]) -> Fraction:
    return sum((Fraction(p) * q for p, q in zip(a, b, strict=True)), Fraction(0))


def onto_flat(rows: Sequence[Sequence[int]], x: Vector) -> Vector | None:
    """Return the nearest point of {p : a p + c = 0 for all rows}, by Gram-Schmidt; None if the rows are dependent."""
    basis: list[tuple[Vector, Fraction]] = []
    for *a, c in rows:
        normal, offset = tuple(map(Fraction, a)), Fraction(c)
        for other, shift in basis:
            factor = dot(normal, other) / dot(other, other)
            normal = tuple(p - factor * q for p, q in zip(normal, other, strict=True))
            offset -= factor * shift
        if not any(normal):
            return None
        basis.append((normal, offset))
    for normal, offset in basis:
        factor = (dot(normal, x) + offset) / dot(normal, normal)
        x = tuple(p - factor * q for p, q in zip(x, normal, strict=True))
    return x


def nearest_by_brute_force(rows: Sequence[Sequence[int]], x: Sequence[float]) -> tuple[Fraction, Vector] | None:
    """Return squared distance and point: the nearest of the feasible projections onto all flats of the rows."""
    start, best = tuple(map(Fraction, x)), None
    for size in range(len(x) + 1):
        for chosen in combinations(rows, size):
            p = onto_flat(chosen, start)
            if p is None or any(dot(a, p) + c < 0 for *a, c in rows):
                continue
            square = dot(*[[s - q for s, q in zip(start, p, strict=True)]] * 2)
            if best is None or square < best[0]:
                best = square, p
    return best


def check(rows: Sequence[Sequence[int]], x: Sequence[float]) -> None:
    expected = nearest_by_brute_force(rows, x)
    found = nearest_point(np.array(rows, dtype=object).reshape(-1, len(x) + 1), np.array(x))
    if expected is None:
        assert found is None
        return
    assert found is not None
    square, point = expected
    assert found.point.tolist() == [nearest_float(value) for value in point]
    assert (found.distance == 0) == (square == 0)
    root = Fraction(found.distance)
    ulp = Fraction(np.spacing(found.distance))
    assert max(root - ulp, Fraction(0)) ** 2 <= square <= (root + ulp) ** 2


@settings(max_examples=4 * N)
@given(data=st.data(), d=st.integers(1, 3))
def test_the_nearest_point_of_polyhedra_flat_and_empty_ones_included(data: st.DataObject, d: int) -> None:
    """Every coordinate is the exact one, rounded once; None iff the closed polyhedron is empty."""
    check(data.draw(systems(d)), data.draw(points(d, 1))[0])


@settings(max_examples=2 * N)
@given(problem=problems(max_neurons=5), data=st.data())
def test_the_nearest_point_of_regions(problem: tuple[Network, Domain | None], data: st.DataObject) -> None:
    """Slivers of one rounding, rows scaled by 2**70, unbounded and degenerate regions: all exact."""
    net, domain = problem
    show(net, domain)
    drawn = data.draw(points(net.n_inputs, 3))
    for region in enumerate_regions(net, domain)[:3]:
        rows = region.integer_rows.tolist()
        for x in [*drawn, (1e9 * np.array(drawn[0])).tolist(), (1e-9 * np.array(drawn[0])).tolist()]:
            check(rows, x)
            assert (region.distance(x) == 0.0) == region.contains(x)
            if region.contains(x):
                assert region.project(x).tolist() == x
        assert np.array_equal(region.project(drawn), [region.project(x) for x in drawn])
        assert np.array_equal(region.distance(drawn), [region.distance(x) for x in drawn])


@pytest.mark.parametrize("scale", [1e-150, 1e-30, 1.0, 1e30, 1e150])
def test_thin_and_far_wedges(scale: float) -> None:
    """A wedge of angle 2**-40 at a point far away: from behind, its apex is nearest."""
    net = Network.mlp([[[2.0**-40, 1.0], [2.0**-40, -1.0]], [[1.0, 1.0]]], [[-scale, -scale], [0.0]])
    wedge = next(region for region in enumerate_regions(net) if region.pattern.all())
    assert wedge.project([0.0, 0.0]).tolist() == [2.0**40 * scale, 0.0]
    assert wedge.distance([0.0, 0.0]) == 2.0**40 * scale
    assert wedge.distance([2.0**41 * scale, 0.25 * scale]) == 0.0


def test_projections_of_many_dimensions_meet_the_conditions_of_optimality() -> None:
    """In 24 dimensions: inside, and nothing inside is on the near side of the plane through the nearest point."""
    rng = np.random.default_rng(0)
    net = Network.random([24, 12, 12, 1], seed=1)
    region = enumerate_regions(net, Box(-1, 1), max_regions=1, on_undecided="collect")[0]
    corners = rng.uniform(-1, 1, (200, 24))
    inside = region.witness + 0.1 * corners
    inside = inside[region.contains(inside)]
    inside = np.vstack([inside, region.witness])
    for x in rng.normal(size=(5, 24)):
        nearest = region.project(x)
        assert region.distance(x) == pytest.approx(np.linalg.norm(nearest - x), rel=1e-14)
        assert (region.A @ nearest <= region.b + 1e-12).all()
        assert ((inside - nearest) @ (x - nearest) <= 1e-12).all()


def test_projections_refuse_what_they_cannot_answer() -> None:
    square = Polyhedron(np.array([[1, 0, 0], [-1, 0, 1], [0, 1, 0], [0, -1, 1]], dtype=object))
    for method in (square.project, square.distance):
        with pytest.raises(ShapeError, match="2"):
            method([1.0])
        with pytest.raises(NonFiniteError):
            method([np.nan, 0.0])
    empty = Polyhedron(np.array([[1, 0], [-1, -1]], dtype=object))
    with pytest.raises(TropnetError, match="empty"):
        empty.project([0.0])
    with pytest.raises(TropnetError, match="interior"):
        empty.chebyshev_ball()
    everything = Polyhedron(np.empty((0, 3), dtype=object))
    assert everything.project([1.0, 2.0]).tolist() == [1.0, 2.0]
    assert not everything.is_bounded()

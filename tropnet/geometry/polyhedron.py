"""Polyhedra in H-representation, exactly: vertices, rays, facets by the double description method over the integers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from math import factorial, hypot, isqrt, prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tropnet.arrays.checks import as_points
from tropnet.arrays.rounding import EPSILON, SMALLEST_SUBNORMAL
from tropnet.arrays.types import FloatArray, IntegerArray
from tropnet.errors import TropnetError
from tropnet.exact.certificates import Witness
from tropnet.exact.dyadic import nearest_float, unit_rows
from tropnet.exact.elimination import eliminate, rank
from tropnet.exact.linear_programs import maximise
from tropnet.exact.projection import Projection, nearest_point
from tropnet.exact.reduction import reduced, summed
from tropnet.feasibility import Backend, Feasible, deciding_backend
from tropnet.geometry.balls import balls
from tropnet.geometry.boundedness import directions
from tropnet.geometry.centred import Centred, as_centred
from tropnet.geometry.double_description import Ray, double_description
from tropnet.geometry.facets import DOUBTFUL, FACET, IMPLIED, facets
from tropnet.geometry.rays import facets_of_one

__all__ = ["Ball", "Polyhedron", "Simplex"]

# Of the norms of rows, which are irrational: far more than float64 has.
_NORM_BITS = 64
# In more dimensions compiled linear programs would take minutes; those of HiGHS take less.
_PROGRAMS = 128
# The relative accuracy of radii.
_ACCURACY = 1e-12


class Ball(NamedTuple):
    """A ball: `centre` (d,) and `radius`."""

    centre: FloatArray
    radius: float


class Simplex(NamedTuple):
    """A simplex: its vertices X / w as homogeneous integers (X, w), w > 0, and the size of their determinant."""

    vectors: tuple[tuple[int, ...], ...]
    determinant: int


class Polyhedron:
    """The closed polyhedron {x : a x + c >= 0 for every row (a | c)}, which must have interior.

    Parameters
    ----------
    rows
        Integers, shape (m, d + 1), no row with a = 0.

    Notes
    -----
    The generators are computed once, over the integers, by the double description method (Motzkin et al. 1953; Fukuda
    and Prodon 1996, doi:10.1007/3-540-61576-8_77). The cost grows with the number of vertices, which is what limits it
    in high dimension; degenerate and unbounded polyhedra need no special care.

    Examples
    --------
    The triangle x >= 0, y >= 0, x + y <= 2 with a redundant row x <= 5:

    >>> triangle = Polyhedron(np.array([[1, 0, 0], [0, 1, 0], [-1, -1, 2], [-1, 0, 5]], dtype=object))
    >>> triangle.facets().tolist(), triangle.volume()
    ([0, 1, 2], 2.0)
    >>> sorted(triangle.vertices().tolist())
    [[0.0, 0.0], [0.0, 2.0], [2.0, 0.0]]
    """

    def __init__(self, rows: IntegerArray) -> None:
        self.rows = rows

    @property
    def dimension(self) -> int:
        """The dimension d of the space."""
        return int(self.rows.shape[1]) - 1

    def generators(self) -> list[tuple[tuple[int, ...], int]]:
        """Return the extreme rays of the cone over the polyhedron, exactly, with the rows on which they lie.

        Each is a homogeneous integer vector (X, w), the vertex X / w or, if w = 0, the direction X, and a bit mask: bit
        i for row i, bit m for infinity. Empty if the polyhedron contains a line.
        """
        return [] if self._lines else [(ray.vector, ray.zeros) for ray in self._rays]

    def vertices(self) -> FloatArray:
        """Return the vertices, float64 of shape (n, d), each coordinate the one nearest to the exact value.

        There are none if the polyhedron contains a line.
        """
        proper = [] if self._lines else [ray.vector for ray in self._rays if ray.vector[-1] > 0]
        points = [[nearest_float(x, w) for x in coordinates] for *coordinates, w in proper]
        return np.array(points, dtype=np.float64).reshape(-1, self.dimension)

    def rays(self) -> FloatArray:
        """Return unit vectors along the extreme rays, shape (n, d); a line counts as two. Empty iff bounded."""
        vectors = [ray.vector for ray in self._rays if ray.vector[-1] == 0]
        for line in self._lines:
            vectors += [line, tuple(-x for x in line)]
        rows = np.array(vectors, dtype=object).reshape(-1, self.dimension + 1)
        return unit_rows(rows, self.dimension)[:, :-1]

    def is_bounded(self) -> bool:
        """Return whether the polyhedron is bounded (a polytope), exactly, without its vertices.

        In every direction that leads to infinity no row decreases. So there is none iff the sum of all rows has a
        maximum and no direction is orthogonal to all rows. Floating point proves most cases, by weights under which the
        rows cancel or a direction away from all of them, with a margin beyond all rounding; one exact linear program
        decides the others.

        Raises
        ------
        TropnetError
            The polyhedron was found to have no interior.

        Examples
        --------
        >>> Polyhedron(np.array([[1, 0, 0], [0, 1, 0], [-1, 0, 2]], dtype=object)).is_bounded()
        False
        """
        if len(self.rows) <= self.dimension:
            return self.dimension == 0
        bounded, endless = self._sure
        if bounded or endless:
            return bounded
        if rank(self.rows[:, :-1].tolist()) < self.dimension:
            return False
        return not maximise(self.rows, self._witness, self.rows.sum(axis=0)).ray

    def project(self, x: ArrayLike) -> FloatArray:
        """Return the point of the polyhedron nearest to `x` in l2; for many points that of each.

        Parameters
        ----------
        x
            float64, shape (d,) or (n, d).

        Returns
        -------
        float64 of the same shape: the exact nearest point, each coordinate rounded once (so it may lie beyond a side by
        that rounding); `x` itself where `x` is in the polyhedron.

        Raises
        ------
        ShapeError, NonFiniteError
            `x` does not fit the polyhedron.
        TropnetError
            The polyhedron is empty.

        Notes
        -----
        Exact for thin, far, unbounded and degenerate polyhedra alike: a quadratic program over the rationals, whose
        answer floating point only guesses (see `tropnet.exact.projection`). A few tenths of a millisecond in two or
        three dimensions, about 0.1 s in thirty.

        Examples
        --------
        >>> triangle = Polyhedron(np.array([[1, 0, 0], [0, 1, 0], [-1, -1, 2]], dtype=object))
        >>> triangle.project([3.0, 1.0]), triangle.distance([[2.0, 2.0], [0.5, 0.5]])
        (array([2., 0.]), array([1.41421356, 0.        ]))
        """
        points, single = as_points(x, self.dimension)
        found = np.array([self._nearest(point).point for point in points]).reshape(-1, self.dimension)
        return np.asarray(found[0] if single else found)

    def distance(self, x: ArrayLike) -> Any:
        """Return the l2 distance of `x` to the polyhedron; for many points that of each, float64 of shape (n,).

        It is 0.0 iff `x` is in the polyhedron, else the exact distance within one unit in the last place. Parameters,
        errors and cost as for `project`.
        """
        points, single = as_points(x, self.dimension)
        found = [self._nearest(point).distance for point in points]
        return found[0] if single else np.array(found, dtype=np.float64)

    def _nearest(self, point: FloatArray) -> Projection:
        found = nearest_point(self.rows, point)
        if found is None:
            raise TropnetError("the polyhedron is empty, so no point of it is nearest.")
        return found

    def facets(self, proven: NDArray[np.int8] | None = None) -> NDArray[np.int64]:
        """Return the indices of the rows that define facets, ascending; of coincident rows the first.

        Rays and multipliers prove most in float64, from an exact point inside (see `tropnet.geometry.facets`). For what
        is left, row i defines a facet iff beyond it there are points that no other row excludes: an exact decision.

        Parameters
        ----------
        proven
            int8, shape (m,): what is proven of each row already: `FACET`, `IMPLIED` or `DOUBTFUL`. If it is nothing, or
            not given, float64 is asked here.

        Raises
        ------
        TropnetError
            The polyhedron has no interior.
        """
        known = self._proven_facets() if proven is None or (proven == DOUBTFUL).all() else proven
        first: dict[tuple[int, ...], int] = {}
        # What does not touch the polyhedron excludes nothing that the others leave.
        for i in np.flatnonzero(known != IMPLIED).tolist():
            first.setdefault(reduced(self.rows[i].tolist()), i)
        found = known == FACET
        doubtful = [i for i in first.values() if known[i] == DOUBTFUL]
        backend = deciding_backend(self.dimension)
        for i in first.values() if doubtful else ():
            if known[i] != DOUBTFUL:
                backend.push(self.rows[i])
        for i in self._reaching_beyond(doubtful, backend):
            found[i] = True
        return np.flatnonzero(found)

    def _proven_facets(self) -> NDArray[np.int8]:
        """Return what is proven of each row in float64."""
        rows = self.from_inside()
        if self.dimension <= _PROGRAMS:
            return facets(rows, np.array([0, len(self.rows)]), self.extent())
        return facets_of_one(rows, self.extent())

    def _reaching_beyond(self, some: list[int], backend: Backend) -> Iterator[int]:
        """Yield those of some rows beyond which there are points that no other of them, nor one pushed, excludes.

        Halves are asked with the other half pushed, so that a row is pushed as often as a list can be halved.
        """
        if len(some) < 2:
            for i in some:
                backend.push(-self.rows[i])
                if isinstance(backend.decide(), Feasible):
                    yield i
            return
        n_rows = backend.n_rows
        for asked, pushed in ((some[::2], some[1::2]), (some[1::2], some[::2])):
            for i in pushed:
                backend.push(self.rows[i])
            yield from self._reaching_beyond(asked, backend)
            backend.truncate(n_rows)

    def volume(self) -> float:
        """Return the d-dimensional volume, rounded once: the finite float64 nearest to it, or infinity if unbounded.

        However thin, long, far, small or large the polyhedron is: a pulling triangulation of its exact vertices, over
        the integers. Volumes beyond float64 become its largest number, about 1.8e308, or 0.0.

        Examples
        --------
        >>> Polyhedron(np.array([[1, 0], [-3, 1]], dtype=object)).volume()
        0.3333333333333333
        """
        if self._lines or any(ray.vector[-1] == 0 for ray in self._rays):
            return float("inf")
        parts = ((simplex.determinant, prod(x[-1] for x in simplex.vectors)) for simplex in self.simplices())
        total, divisor = summed(parts)
        return nearest_float(total, divisor * factorial(self.dimension))

    def simplices(self) -> Iterator[Simplex]:
        """Yield simplices that a polytope is made of: a pulling triangulation, exactly.

        Raises
        ------
        TropnetError
            The polyhedron is unbounded.

        Notes
        -----
        Each face is made of pyramids over those of its facets that do not hold its first vertex. Their determinants are
        reduced together, one vertex at a time, so d! simplices of a cube cost about as much as its faces.

        Examples
        --------
        The square [0, 2] x [0, 2] is two triangles, of the areas 4 / 2:

        >>> square = Polyhedron(np.array([[1, 0, 0], [0, 1, 0], [-1, 0, 2], [0, -1, 2]], dtype=object))
        >>> [simplex.determinant for simplex in square.simplices()]
        [4, 4]
        """
        if self._lines or any(ray.vector[-1] == 0 for ray in self._rays):
            raise TropnetError("the polyhedron is unbounded, so it is not made of simplices.")
        sides = {sum(1 << v for v, ray in enumerate(self._rays) if ray.zeros >> i & 1) for i in range(len(self.rows))}
        vectors = {v: ray.vector for v, ray in enumerate(self._rays)}
        for chosen, determinant in _pyramids((1 << len(vectors)) - 1, sides, vectors, 1):
            yield Simplex(tuple(vectors[v] for v in chosen), determinant)

    def from_inside(self) -> Centred:
        """Return the rows seen from a point inside, which is exact: rounded once or twice, however thin or far it is.

        Distances underflow or overflow only where float64 ends.

        Raises
        ------
        TropnetError
            The polyhedron has no interior.

        Examples
        --------
        From 5 to 5.5:

        >>> rows = Polyhedron(np.array([[1, -5], [-2, 11]], dtype=object)).from_inside()
        >>> rows.units.ravel().tolist(), round(float((rows.sides * rows.reach).sum()), 12)
        ([-1.0, 1.0], 0.5)
        """
        *x, w = self._witness.homogeneous
        distances = []
        for *a, c in self.rows.tolist():
            slack = sum(p * q for p, q in zip(a, x, strict=True)) + c * w
            distances.append(nearest_float(slack << _NORM_BITS, _norm(a) * w))
        sides = np.array(distances, dtype=np.float64)
        units = np.full(len(sides), (self.dimension + 8) * EPSILON)
        errors = 2 * EPSILON * sides + SMALLEST_SUBNORMAL
        return as_centred(
            -unit_rows(self.rows, self.dimension)[:, :-1], sides, units, errors, np.array([0, len(sides)])
        )

    def extent(self) -> float:
        """Return a bound on the distance of two points: the diagonal of the box that some of the rows are, or infinity.

        Examples
        --------
        >>> Polyhedron(np.array([[1, 0, 0], [0, 1, 0], [-1, 0, 3], [0, -1, 4]], dtype=object)).extent() < 5.000001
        True
        """
        sides: dict[tuple[int, bool], Fraction] = {}
        for *a, c in self.rows.tolist():
            along = [i for i, value in enumerate(a) if value]
            if len(along) == 1:
                # a x + c >= 0 is x >= -c / a or x <= c / -a.
                key, bound = (along[0], a[along[0]] > 0), Fraction(c, abs(a[along[0]]))
                sides[key] = min(bound, sides.get(key, bound))
        if len(sides) < 2 * self.dimension:
            return float("inf")
        widths = [sides[i, True] + sides[i, False] for i in range(self.dimension)]
        # Rounding, of subnormal widths too.
        return hypot(*(nearest_float(width.numerator, width.denominator) for width in widths)) * (1 + 1e-12) + 1e-300

    def chebyshev_ball(self, metric: tuple[IntegerArray, int] | None = None) -> Ball:
        """Return a largest inscribed ball; radius inf (and no centre) if there is no largest.

        The radius is within 1e-12 of the largest one, relatively; a ball of that radius around the centre reaches
        beyond no side by more, before the centre is rounded to float64. Radii beyond float64 become its largest number;
        of subnormal ones the last digit may be wrong. Whether there is a largest ball is decided exactly.

        A linear program in float64, from an exact point inside and in units of its distance to the sides, is taken if
        multipliers prove all that, with bounds on all rounding (see `tropnet.geometry.balls`). Else the program is
        solved over the integers, with norms of the rows (they are irrational) to 64 bits more than those of the
        integers, rounded up: that makes no radius smaller by more than 2^-64 of it, and none larger.

        Parameters
        ----------
        metric
            Of skew coordinates: integers H (d, d), positive definite, and h > 0, such that the largest slope of a x + c
            is sqrt(a H a / h). The program is then solved over the integers.

        Raises
        ------
        TropnetError
            The polyhedron has no interior.

        Examples
        --------
        >>> Polyhedron(np.array([[1, 0, 0], [0, 1, 0], [-3, -4, 12]], dtype=object)).chebyshev_ball()
        Ball(centre=array([1., 1.]), radius=1.0)
        """
        nothing = Ball(np.full(self.dimension, np.nan), float("inf"))
        if not len(self.rows) or self._sure[1]:
            return nothing
        d, witness = self.dimension, self._witness
        if metric is None:
            offsets = np.array([0, len(self.rows)])
            centres, radii, gaps = balls(self.from_inside(), offsets, witness.point[None], self.extent())
            if gaps.item() <= _ACCURACY:
                return Ball(centres[0], float(radii.item()))
        *x, w = witness.homogeneous
        rows_of_balls, nearest = [], None
        for *a, c in self.rows.tolist():
            norm = _norm(a) if metric is None else _skew_norm(a, *metric)
            rows_of_balls.append([*(value << _NORM_BITS for value in a), -norm, c << _NORM_BITS])
            distance = Fraction(sum(p * q for p, q in zip(a, x, strict=True)) + c * w << _NORM_BITS, norm * w)
            nearest = distance if nearest is None else min(nearest, distance)
        # Strictly inside: the ball of half the distance to the nearest side.
        start = Witness.from_fractions([*witness.fractions, (nearest or Fraction(0)) / 2])
        radius_only = np.array([0] * d + [1, 0], dtype=object)
        optimum = maximise(np.array(rows_of_balls, dtype=object), start, radius_only)
        if optimum.ray:
            return nothing
        return Ball(optimum.point.point[:-1], nearest_float(optimum.value.numerator, optimum.value.denominator))

    @cached_property
    def _sure(self) -> tuple[bool, bool]:
        """Whether floating point proves that the polyhedron is bounded, and that it holds balls of any size."""
        units = unit_rows(self.rows, self.dimension)[:, :-1]
        errors = np.full(1, 4 * (self.dimension + 4) * EPSILON)
        found = directions(units, np.array([0, len(units)]))
        return bool(found.bounded(errors, self.dimension).item()), bool(found.unbounded(errors).item())

    @cached_property
    def _witness(self) -> Witness:
        """A point strictly inside, exactly."""
        backend = deciding_backend(self.dimension)
        for row in self.rows:
            backend.push(row)
        answer = backend.decide()
        if not isinstance(answer, Feasible):
            raise TropnetError("the polyhedron has no interior.")
        return answer.witness

    @property
    def _rays(self) -> list[Ray]:
        return self._generators[0]

    @property
    def _lines(self) -> list[tuple[int, ...]]:
        return self._generators[1]

    @cached_property
    def _generators(self) -> tuple[list[Ray], list[tuple[int, ...]]]:
        """The extreme rays and lines of the cone over the polyhedron; bit i of `zeros`: row i is tight."""
        return double_description(self.rows)


def _pyramids(
    face: int, sides: Collection[int], vectors: Mapping[int, Sequence[int]], last: int
) -> Iterator[tuple[tuple[int, ...], int]]:
    """Yield the simplices of a face: their vertices, and |det| of the vectors that these were.

    Parameters
    ----------
    face, sides
        Sets of vertices, as bits: those of the face, and those on each row.
    vectors
        The homogeneous vectors of its vertices, after elimination by the vertices already taken.
    last
        The last pivot.
    """
    apex = (face & -face).bit_length() - 1
    pivot = vectors[apex]
    if len(pivot) == 1:
        yield (apex,), abs(pivot[0])
        return
    # The facets of a face are the largest of its intersections with rows.
    parts = {face & side for side in sides} - {face, 0}
    at = next(i for i, value in enumerate(pivot) if value)
    left = {v: eliminate(vector, pivot, at, last) for v, vector in vectors.items() if v != apex}
    for vector in left.values():
        del vector[at]
    for part in parts:
        if not part >> apex & 1 and not any(part & other == part for other in parts if other != part):
            kept = {v: vector for v, vector in left.items() if part >> v & 1}
            for chosen, determinant in _pyramids(part, parts, kept, pivot[at]):
                yield (apex, *chosen), determinant


def _skew_norm(a: Sequence[int], square: IntegerArray, scale: int) -> int:
    """Return sqrt(a square a / scale) times 2**_NORM_BITS, rounded up."""
    vector = np.array(a, dtype=object)
    return isqrt((int(vector @ square @ vector) << 2 * _NORM_BITS) // scale) + 1


def _norm(a: Sequence[int]) -> int:
    """Return the length of a vector times 2**_NORM_BITS, rounded up."""
    return isqrt(sum(value * value for value in a) << 2 * _NORM_BITS) + 1

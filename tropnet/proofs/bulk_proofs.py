"""Proofs in float64 of one region after another: boxes, implied rows and points of facets, each with its margin.

The vertices of a simple region say all: where a linear function is least, the d rows that meet there combine to it with
multipliers that are not negative. In many dimensions, where there are too many, linear programs do. What multipliers
and points that are rounded prove is computed here again with bounds on all rounding, so that what passes holds over the
rationals, too; the rest is left to exact arithmetic. What overflows proves nothing:
callers switch numpy's warnings off.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import BoolArray
from tropnet.arrays.rounding import EPSILON
from tropnet.arrays.types import FloatArray

__all__ = ["MANY", "Cell", "Combination", "coarse", "lower_bounds"]

IndexArray = NDArray[np.int64]

_TINY = 1e-290
# What rounding to 24 bits changes at most, as a part; and how much of a cell's width it may cost.
_COARSE, _ALLOWED = 2.0**-23, 1e-3
# From so many dimensions on, linear programs in float64 are faster than vertices, and than those over the integers.
MANY = 9


class Combination(NamedTuple):
    """Nonnegative multiples of rows: places (q, k), and multipliers (q, k)."""

    places: IndexArray
    multipliers: FloatArray


class Cell:
    """A region by its rows in float64.

    Parameters
    ----------
    rows, errors
        Shapes (n, k + 1) and (n, 2): see `Rows`.
    facets
        int64: the places of those that define facets.
    vertices
        float64, shape (v, k); no vertices if they are not known, or not simple.

    Attributes
    ----------
    is_open
        Whether nothing is to be had in float64: without vertices, in few dimensions exact arithmetic is faster than
        linear programs are, which serve in more.
    """

    def __init__(self, rows: FloatArray, errors: FloatArray, facets: IndexArray, vertices: FloatArray) -> None:
        self.rows, self.errors, self.facets, self.vertices = rows, errors, facets, vertices
        k = rows.shape[1] - 1
        A, c = rows[facets, :k], rows[facets, k]
        self.is_open = not len(vertices) and (k < MANY or not len(facets))
        self._norms = np.sqrt((A * A).sum(axis=1))
        self._units, self._sides = A / self._norms[:, None], c / self._norms
        far = np.abs(vertices @ self._units.T + self._sides)
        self.tight = (
            np.argpartition(far, k - 1, axis=1)[:, :k]
            if len(vertices) and len(facets) > k
            else (np.broadcast_to(np.arange(k), (len(vertices), k)))
        )

    # --- points of facets

    def facet_points(self, which: IndexArray) -> tuple[FloatArray, BoolArray]:
        """Return for some facets, by their order, a point well inside of each, and the rows not clear of it.

        The points are off the facet's hyperplane by a rounding in the coordinate in which it is steepest; the flags
        (p, n) say of which other rows it is not certain that they are positive once that is put right.
        """
        k = self.rows.shape[1] - 1
        if len(self.vertices):
            on = np.zeros((len(self.vertices), len(self.facets)))
            np.put_along_axis(on, self.tight, 1.0, axis=1)
            points = on[:, which].T @ self.vertices / on[:, which].sum(axis=0)[:, None]
        else:
            points = np.stack([self._centre(facet) for facet in which.tolist()])
        unclear = np.ones((len(which), len(self.rows)), dtype=np.bool_)
        left = np.arange(len(which))
        along = np.abs(self.rows[self.facets[which], :k]).argmax(axis=1)
        for rounded in (coarse(points), points):
            tried = rounded[left]
            unclear[left] = self._unclear(tried, self.facets[which[left]], along[left])
            points[left] = tried
            left = left[unclear[left].any(axis=1)]
        return points, unclear

    def _unclear(self, points: FloatArray, facets: IndexArray, along: IndexArray) -> BoolArray:
        """Put points onto facets; return which other rows are not certainly positive there."""
        k, each = self.rows.shape[1] - 1, np.arange(len(points))
        rows, errors = self.rows[facets], self.errors[facets]
        A, c = self.rows[:, :k], self.rows[:, k]
        points[each, along] = 0.0
        steepest = rows[each, along]
        points[each, along] = -((rows[:, :k] * points).sum(axis=1) + rows[:, k]) / steepest
        sizes = np.abs(points)
        lengths = np.sqrt((sizes * sizes).sum(axis=1)) * (1 + 1e-9)
        wrong = errors[:, 0] * lengths + errors[:, 1]
        wrong += (k + 8) * EPSILON * ((np.abs(rows[:, :k]) * sizes).sum(axis=1) + np.abs(rows[:, k])) + _TINY
        shift = 2.0 * wrong / np.abs(steepest)
        values = points @ A.T + c
        bound = lengths[:, None] * self.errors[:, 0] + self.errors[:, 1]
        bound += (k + 8) * EPSILON * (sizes @ np.abs(A).T + np.abs(c)) + _TINY
        bound += shift[:, None] * (np.abs(A).max(axis=1) + self.errors[:, 0])
        unclear = ~(values > bound * (1 + 1e-9))
        unclear[each, facets] = False
        return np.asarray(unclear)

    # --- multipliers

    def combine(self, functions: FloatArray) -> Combination:
        """Return multiples of facets that add up to linear functions (q, k) but for constants: those of least value."""
        if not len(self.vertices):
            found = [self._program(function, self._units, -self._sides) for function in functions]
            parts = np.stack([multipliers for _, multipliers in found])
            places = np.broadcast_to(self.facets, parts.shape)
            return Combination(places, np.where(parts > 0, parts, 0.0) / self._norms)
        at = (self.vertices @ functions.T).argmin(axis=0)
        tight = self.tight[at]
        inverses = _inverses(self._units[tight])
        parts = (functions[:, None, :] @ inverses)[:, 0, :]
        parts[~(parts > 1e-12 * np.abs(functions).max(axis=1, initial=0.0)[:, None])] = 0.0
        return Combination(self.facets[tight], parts / self._norms[tight])

    def box(self, low: FloatArray, high: FloatArray) -> tuple[FloatArray, Combination]:
        """Return the sides low_1, ..., -high_1, ... of a box around the cell (2 k,), by multipliers.

        Parameters
        ----------
        low, high
            A box around the domain; where multipliers leave a rest, its sides bound it.
        """
        k = self.rows.shape[1] - 1
        ways = np.concatenate([np.eye(k), -np.eye(k)])
        found, errors = self.combine(ways), np.zeros((2 * k, 2))
        functions = np.column_stack([ways, np.zeros(2 * k)])
        bounds = lower_bounds(self, functions, errors, found, low, high)
        width = np.tile(-bounds[:k] - bounds[k:], 2) * _ALLOWED
        rounded = found._replace(multipliers=coarse(found.multipliers))
        loose = lower_bounds(self, functions, errors, rounded, low, high)
        kept = ~(loose >= bounds - width)
        rounded.multipliers[kept] = found.multipliers[kept]
        sides = np.where(kept, bounds, loose)
        fewer = coarse(sides - np.abs(sides) * _COARSE)
        return np.where(fewer >= sides - width, fewer, sides), rounded

    def positive(
        self, functions: FloatArray, errors: FloatArray, low: FloatArray, high: FloatArray
    ) -> tuple[Combination, BoolArray]:
        """Return multiples of facets that prove functions (q, k + 1) positive on the cell, in a box; and whether."""
        found = self.combine(functions[:, :-1])
        rounded = found._replace(multipliers=coarse(found.multipliers))
        proven = lower_bounds(self, functions, errors, rounded, low, high) > 0
        left = np.flatnonzero(~proven)
        if len(left):
            rounded.multipliers[left] = found.multipliers[left]
            some = Combination(found.places[left], found.multipliers[left])
            proven[left] = lower_bounds(self, functions[left], errors[left], some, low, high) > 0
        return rounded, proven

    def least(self, functions: FloatArray) -> FloatArray:
        """Return the least values of functions (q, k + 1) on the cell, in units of their slopes; rounded."""
        if len(self.vertices):
            values = (self.vertices @ functions[:, :-1].T).min(axis=0)
        else:
            values = np.array(
                [self._program(each[:-1], self._units, -self._sides)[0] @ each[:-1] for each in functions]
            )
        return np.asarray((values + functions[:, -1]) / np.abs(functions[:, :-1]).max(axis=1))

    # --- linear programs

    def _centre(self, facet: int) -> FloatArray:
        """Return a point of a facet, by its order, as far from all others as can be, up to 1; NaN if not found."""
        k = self._units.shape[1]
        inside = np.column_stack([self._units, np.full(len(self._units), -1.0)])
        inside[facet, k] = 0.0
        last = np.append(np.zeros(k), -1.0)
        # On the facet, and the distance at most 1.
        rows = np.concatenate([inside, [-inside[facet], last]])
        return self._program(last, rows, np.concatenate([-self._sides, [self._sides[facet], -1.0]]))[0][:k]

    def _program(self, function: FloatArray, rows: FloatArray, bounds: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return where a function is least if rows are at least their bounds, and its multipliers; NaN if not found."""
        from scipy.optimize import linprog

        nothing = np.full(len(function), np.nan), np.full(len(bounds), np.nan)
        size = np.abs(function).max()
        if not size > 0 or not all(np.isfinite(each).all() for each in (function / size, rows, bounds)):
            return nothing
        found = linprog(function / size, -rows, -bounds, bounds=(None, None), method="highs")
        return nothing if found.status else (np.asarray(found.x), -size * np.asarray(found.ineqlin.marginals))


def lower_bounds(
    cell: Cell, functions: FloatArray, errors: FloatArray, less: Combination, low: FloatArray, high: FloatArray
) -> FloatArray:
    """Return lower bounds on a box of functions (q, k + 1) minus multiples of rows; NaN or -inf where there is none."""
    k = functions.shape[1] - 1
    rows, row_errors, parts = cell.rows[less.places], cell.errors[less.places], less.multipliers
    rest = functions - (parts[:, :, None] * rows).sum(axis=1)
    sizes = np.abs(functions) + (parts[:, :, None] * np.abs(rows)).sum(axis=1)
    wrong = errors + (parts[:, :, None] * row_errors).sum(axis=1)
    farthest = np.maximum(np.abs(low), np.abs(high))
    lost = wrong[:, 0] * np.sqrt((farthest * farthest).sum()) + wrong[:, 1]
    lost += (2 * k + 16) * EPSILON * (sizes[:, :k] @ farthest + sizes[:, k]) + _TINY
    return np.asarray(rest[:, k] + np.minimum(rest[:, :k] * low, rest[:, :k] * high).sum(axis=1) - lost * (1 + 1e-9))


def coarse(values: FloatArray) -> FloatArray:
    """Return numbers of 24 bits, next to the given ones towards 0: files of them are smaller, products shorter."""
    return (np.ascontiguousarray(values).view(np.int64) & ~((1 << 29) - 1)).view(np.float64)


def _inverses(matrices: FloatArray) -> FloatArray:
    """Return the inverses of matrices (n, k, k); NaN where one is singular."""
    try:
        return np.asarray(np.linalg.inv(matrices))
    except np.linalg.LinAlgError:
        if len(matrices) == 1:
            return np.full_like(matrices, np.nan)
        return np.concatenate([_inverses(matrix[None]) for matrix in matrices])

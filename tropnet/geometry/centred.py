"""Rows of many polyhedra, each seen from a point inside it, with bounds on their errors."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.rounding import EPSILON
from tropnet.arrays.types import FloatArray
from tropnet.kernels import compiled

__all__ = ["Centred", "as_centred", "centred", "from_distances", "seen_along"]

# What a few roundings among subnormal numbers may lose.
_TINY = 1e-320
_SMALL, _LARGE = 1e-100, 1e100


class Centred(NamedTuple):
    """Rows of many polyhedra {y : u y <= s} seen from a point inside each, in units of the nearest side's distance.

    The true rows are unit rows u*, and distances s* from the point, with |u* - u| <= `unit_errors` in l2 and
    |s* - s| <= `side_errors`; where a bound is infinite or NaN nothing is known.

    Attributes
    ----------
    units
        float64, shape (n, d): unit rows, up to rounding.
    sides
        float64, shape (n,): distances, at least 1.
    unit_errors, side_errors
        float64, shape (n,).
    reach
        float64, shape (R,): the unit; not positive, infinite or NaN where it means nothing.
    """

    units: FloatArray
    sides: FloatArray
    unit_errors: FloatArray
    side_errors: FloatArray
    reach: FloatArray


def centred(
    A: FloatArray, b: FloatArray, offsets: NDArray[np.int64], points: FloatArray, errors: FloatArray | None = None
) -> Centred:
    """Return the rows {x : A x <= b} of many polyhedra seen from a point strictly inside each.

    Parameters
    ----------
    A, b
        float64, shapes (n, d) and (n,): the rows of polyhedron i are offsets[i], ..., offsets[i + 1] - 1.
    offsets
        int64, shape (R + 1,).
    points
        float64, shape (R, d).
    errors
        float64, shape (n, 2): how wrong a row of A is at most, in l2, and how wrong its b; not at all if not given.

    Notes
    -----
    With n terms a sum of products is wrong by at most n eps / (1 - n eps) times the sum of their sizes, however it is
    ordered (Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.1).
    """
    return as_centred(*_distances(A, b, np.repeat(points, np.diff(offsets), axis=0), errors), offsets)


def seen_along(rows: Centred, A: FloatArray, b: FloatArray, points: FloatArray, errors: FloatArray) -> Centred:
    """Return further rows as seen from the same points, in the units of `rows`, as many for each polyhedron.

    Parameters
    ----------
    rows
        The rows of R polyhedra, seen from `points`, (R, d).
    A, b
        float64, shapes (R, k, d) and (R, k); the points may lie on the sides of these, and beyond.
    errors
        float64, shape (R, k, 2): as for `centred`.
    """
    k, d = A.shape[1:]
    units, distances, unit_errors, distance_errors = _distances(
        A.reshape(-1, d), b.ravel(), np.repeat(points, k, axis=0), errors.reshape(-1, 2)
    )
    sides, side_errors = _in_units(units, distances, distance_errors, np.repeat(rows.reach, k))
    return Centred(units, sides, unit_errors, side_errors, rows.reach)


def _distances(
    A: FloatArray, b: FloatArray, where: FloatArray, errors: FloatArray | None
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return unit rows and their distances from points, one for each row, and how wrong both are at most."""
    n, d = A.shape
    units, found = np.empty((n, d)), np.empty((3, n))
    wrong = np.zeros((n, 2)) if errors is None else errors
    _fill_distances(*(np.ascontiguousarray(array) for array in (A, b, where, wrong)), units, *found)
    return units, found[0], found[1], found[2]


@compiled(entry=True)
def _fill_distances(
    A: Any, b: Any, where: Any, errors: Any, units: Any, sides: Any, unit_errors: Any, side_errors: Any
) -> None:
    """Fill in unit rows, their distances from points, and how wrong both are at most."""
    n, d = A.shape
    unit = (d + 8) * EPSILON
    for i in range(n):
        largest = square = 0.0
        for k in range(d):
            largest = max(largest, abs(A[i, k]))
        # Squares of others overflow or vanish.
        if _SMALL < largest < _LARGE:
            largest = 1.0
        for k in range(d):
            units[i, k] = A[i, k] if largest == 1.0 else A[i, k] / largest
            square += units[i, k] * units[i, k]
        scale = 1.0 / np.sqrt(square)
        level = b[i] / largest * scale
        value = size = total = 0.0
        for k in range(d):
            units[i, k] *= scale
            value += units[i, k] * where[i, k]
            size += abs(units[i, k] * where[i, k])
            total += abs(where[i, k])
        # The true row may be a tenth shorter, which makes a unit row of its error: more errors are not known.
        wrong, shift = 1.1 * errors[i, 0] / largest * scale, 1.1 * errors[i, 1] / largest * scale
        sides[i] = level - value
        unit_errors[i] = unit + 2.0 * wrong
        side_errors[i] = unit * (abs(level) + size + abs(sides[i])) + _TINY + wrong * (total + abs(sides[i])) + shift
        if not wrong < 0.1:
            side_errors[i] = np.inf


def from_distances(
    A: FloatArray, errors: FloatArray, slacks: FloatArray, slack_errors: FloatArray, offsets: NDArray[np.int64]
) -> Centred:
    """Return the same from the slacks of the rows at the points.

    Parameters
    ----------
    A
        float64, shape (n, d): the coefficients.
    errors
        float64, shape (n,): how wrong a row is at most, in l2.
    slacks, slack_errors
        float64, shape (n,): b - a x, not divided by the row's length, and how wrong they are at most.
    offsets
        int64, shape (R + 1,).
    """
    unit = (A.shape[1] + 8) * EPSILON
    with np.errstate(all="ignore"):
        largest = np.abs(A).max(axis=1, initial=0.0)
        units = A / largest[:, None]
        norms = np.sqrt(np.einsum("ij,ij->i", units, units))
        units /= norms[:, None]
        wrong = 1.1 * errors / largest / norms
        distances = slacks / largest / norms
        distance_errors = 1.1 * slack_errors / largest / norms + (unit + wrong) * np.abs(distances) + _TINY
        distance_errors[~(wrong < 0.1)] = np.inf
    return as_centred(units, distances, unit + 2 * wrong, distance_errors, offsets)


def as_centred(
    units: FloatArray,
    distances: FloatArray,
    unit_errors: FloatArray,
    distance_errors: FloatArray,
    offsets: NDArray[np.int64],
) -> Centred:
    """Return rows whose distances from the points are known, in units of the nearest one."""
    filled = np.diff(offsets) > 0
    reach = np.full(len(filled), np.inf)
    with np.errstate(all="ignore"):
        if filled.any():
            reach[filled] = np.minimum.reduceat(distances, offsets[:-1][filled])
    sides, side_errors = _in_units(units, distances, distance_errors, np.repeat(reach, np.diff(offsets)))
    return Centred(np.ascontiguousarray(units), sides, unit_errors, side_errors, reach)


def _in_units(
    units: FloatArray, distances: FloatArray, distance_errors: FloatArray, reach: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return distances in other units, one for each row, and how wrong they are; infinitely, if nothing is known."""
    with np.errstate(all="ignore"):
        sides = distances / reach
        side_errors = distance_errors / reach * (1 + 2 * EPSILON) + EPSILON * np.abs(sides)
    # Kernels compare; whatever is no number would look small.
    known = np.isfinite(units).all(axis=1) & np.isfinite(sides)
    side_errors[~(known & np.isfinite(side_errors))] = np.inf
    return sides, side_errors

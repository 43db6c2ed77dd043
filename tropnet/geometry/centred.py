"""Rows of many polyhedra, each seen from a point inside it, with bounds on their errors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.rounding import EPSILON
from tropnet.arrays.types import FloatArray

__all__ = ["Centred", "as_centred", "centred", "from_distances"]

# What a few roundings among subnormal numbers may lose.
_TINY = 1e-320


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
    n, d = np.diff(offsets), A.shape[1]
    unit = (d + 8) * EPSILON
    with np.errstate(all="ignore"):
        largest = np.abs(A).max(axis=1, initial=0.0)
        # Scaled first, so that squares neither overflow nor vanish.
        units = A / largest[:, None]
        norms = np.sqrt(np.einsum("ij,ij->i", units, units))
        units /= norms[:, None]
        where = np.repeat(points, n, axis=0)
        level = b / largest / norms
        sides = level - np.einsum("ij,ij->i", units, where)
        where = np.abs(where, out=where)
        side_errors = unit * (np.abs(level) + np.einsum("ij,ij->i", np.abs(units), where) + np.abs(sides)) + _TINY
        unit_errors = np.full(len(b), unit)
        if errors is not None:
            # The true row may be a tenth shorter, which makes a unit row of its error: more errors are not known.
            wrong, shift = (1.1 * errors / largest[:, None] / norms[:, None]).T
            unit_errors += 2 * wrong
            side_errors += wrong * (where.sum(axis=1) + np.abs(sides)) + shift
            side_errors[~(wrong < 0.1)] = np.inf
    return as_centred(units, sides, unit_errors, side_errors, offsets)


def from_distances(
    A: FloatArray, errors: FloatArray, slacks: FloatArray, slack_errors: FloatArray, offsets: NDArray[np.int64]
) -> Centred:
    """Return the same from the slacks of the rows at the points.

    Parameters
    ----------
    A, errors
        float64, shape (n, d): the coefficients and how wrong they are at most.
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
        wrong = 1.1 * np.sqrt(((errors / largest[:, None]) ** 2).sum(axis=1)) / norms
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
        own = np.repeat(reach, np.diff(offsets))
        sides = distances / own
        side_errors = distance_errors / own * (1 + 2 * EPSILON) + EPSILON * np.abs(sides)
    # Kernels compare; whatever is no number would look small.
    known = np.isfinite(units).all(axis=1) & np.isfinite(sides)
    side_errors[~(known & np.isfinite(side_errors))] = np.inf
    return Centred(np.ascontiguousarray(units), sides, unit_errors, side_errors, reach)

"""Largest inscribed balls of many polyhedra in skew coordinates: found in others that are nearly orthonormal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.rounding import EPSILON, SMALLEST_NORMAL
from tropnet.arrays.types import FloatArray
from tropnet.geometry.balls import balls
from tropnet.geometry.centred import Centred, from_distances
from tropnet.network.restriction import Orthonormal

__all__ = ["skew_balls"]

# Beyond this the coordinates are too far from orthonormal for a proof.
_MOST = 1e-9


def skew_balls(
    rows: Centred, offsets: NDArray[np.int64], points: FloatArray, extent: float, coordinates: Orthonormal
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return balls by true lengths, as `tropnet.geometry.balls.balls` does by lengths in the coordinates given.

    Examples
    --------
    The unit square in t, where a step in t is twice as long as it seems:

    >>> from tropnet.geometry.centred import centred
    >>> A, b = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]), np.array([1.0, 0.0, 1.0, 0.0])
    >>> offsets, points = np.array([0, 4]), np.array([[0.25, 0.25]])
    >>> doubled = Orthonormal(np.eye(2) / 2, 2.0, 0.0)
    >>> centres, radii, gaps = skew_balls(centred(A, b, offsets, points), offsets, points, 2.0, doubled)
    >>> centres.round(9).tolist(), radii.round(9).tolist(), gaps < 1e-12
    ([[0.5, 0.5]], [1.0], array([ True]))
    """
    M, stretch, error = coordinates
    if not error < _MOST:
        unknown = np.full(len(points), np.inf)
        return points, unknown, unknown
    with np.errstate(all="ignore"):
        size = float(np.linalg.norm(M)) * (1 + 1e-9)
        # What the product rounds, of unit rows that are a little longer by rounding.
        errors = (rows.unit_errors + 2 * (len(M) + 4) * EPSILON) * size + len(M) * SMALLEST_NORMAL
        seen = from_distances(rows.units @ M, errors, rows.sides, rows.side_errors, offsets)
        seen = seen._replace(reach=seen.reach * rows.reach)
        # In z two points are no farther apart than their true distance but for the error.
        steps, radii, gaps = balls(seen, offsets, np.zeros_like(points), extent * stretch * (1 + 2 * error))
        centres = points + steps @ M.T
    gaps[~np.isfinite(centres).all(axis=1)] = np.inf
    return centres, radii, gaps + 4 * (error + EPSILON)

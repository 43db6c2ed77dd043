"""Points as users give them: one of shape (d,) or many of shape (n, d)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tropnet.dyadic import FloatArray
from tropnet.errors import NonFiniteError, ShapeError

__all__ = ["as_points"]


def as_points(x: ArrayLike, dimension: int) -> tuple[FloatArray, bool]:
    """Return `x` as a float64 array (n, d), and whether it was a single point.

    Raises
    ------
    ShapeError
        `x` has neither shape (d,) nor (n, d).
    NonFiniteError
        A coordinate is NaN or infinite.

    Examples
    --------
    >>> as_points([1.0, 2.0], 2)
    (array([[1., 2.]]), True)
    """
    points = np.asarray(x, dtype=np.float64)
    if points.ndim not in (1, 2) or points.shape[-1] != dimension:
        raise ShapeError(f"x must have shape ({dimension},) or (n, {dimension}), got {points.shape}.")
    single = points.ndim == 1
    points = np.atleast_2d(points)
    bad = np.argwhere(~np.isfinite(points))
    if len(bad):
        row, column = bad[0].tolist()
        raise NonFiniteError(f"x must be finite, got {points[row, column]} in point {row}, coordinate {column}.")
    return points, single

"""Affine maps x -> W x + b."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tropnet.dyadic import FloatArray
from tropnet.errors import ShapeError
from tropnet.points import as_points

__all__ = ["AffineMap"]


@dataclass(frozen=True, eq=False)
class AffineMap:
    """The map x -> weight @ x + bias.

    Parameters
    ----------
    weight
        float64, shape (n_out, n_in).
    bias
        float64, shape (n_out,).

    Raises
    ------
    ShapeError
        `weight` is not a matrix, or `bias` does not have one entry per row of it.

    Examples
    --------
    >>> double = AffineMap(2 * np.eye(2), np.zeros(2))
    >>> shift = AffineMap(np.eye(2), np.ones(2))
    >>> (shift @ double)([1.0, 2.0])
    array([3., 5.])
    """

    weight: FloatArray
    bias: FloatArray

    def __post_init__(self) -> None:
        weight = np.asarray(self.weight, dtype=np.float64)
        bias = np.asarray(self.bias, dtype=np.float64)
        if weight.ndim != 2 or bias.shape != weight.shape[:1]:
            raise ShapeError(
                f"weight must have shape (n_out, n_in) and bias (n_out,), got {weight.shape} and {bias.shape}."
            )
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "bias", bias)

    def __call__(self, x: ArrayLike) -> FloatArray:
        """Return the image of one point (n_in,) or of many (n, n_in)."""
        points, single = as_points(x, self.weight.shape[1])
        images = points @ self.weight.T + self.bias
        return np.asarray(images[0] if single else images)

    def __matmul__(self, inner: AffineMap) -> AffineMap:
        """Return the composition self after `inner`."""
        if self.weight.shape[1] != inner.weight.shape[0]:
            raise ShapeError(
                f"the outer map takes {self.weight.shape[1]} inputs, the inner one gives {inner.weight.shape[0]}."
            )
        return AffineMap(self.weight @ inner.weight, self.weight @ inner.bias + self.bias)

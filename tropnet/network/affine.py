"""Affine maps x -> W x + b, with W dense or sparse."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from tropnet.arrays.checks import as_points
from tropnet.arrays.types import FloatArray
from tropnet.errors import ShapeError

__all__ = ["AffineMap", "Matrix"]

_MOSTLY_ZERO = 0.25

Matrix: TypeAlias = FloatArray | sparse.csr_array


@dataclass(frozen=True, eq=False)
class AffineMap:
    """The map x -> weight @ x + bias.

    Maps compose (`outer @ inner`), add (`f + g`) and scale (`0.5 * f`); a result is sparse if all its parts are.

    Parameters
    ----------
    weight
        float64, shape (n_out, n_in): a numpy array, or any scipy.sparse matrix or array, kept as `csr_array`.
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
    >>> (0.5 * shift + double.to_sparse())([1.0, 2.0])
    array([3. , 5.5])
    """

    weight: Matrix
    bias: FloatArray

    # Arrays leave the operators to this class; else a numpy number times a map would be an array of one object.
    __array_ufunc__: ClassVar[None] = None

    def __post_init__(self) -> None:
        bias = np.asarray(self.bias, dtype=np.float64)
        weight: Matrix
        if sparse.issparse(self.weight):
            weight = sparse.csr_array(self.weight, dtype=np.float64)
        else:
            weight = np.asarray(self.weight, dtype=np.float64)
        if weight.ndim != 2 or bias.shape != weight.shape[:1]:
            raise ShapeError(
                f"weight must have shape (n_out, n_in) and bias (n_out,), got {weight.shape} and {bias.shape}."
            )
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "bias", bias)

    @property
    def n_inputs(self) -> int:
        """The dimension of x."""
        return int(self.weight.shape[1])

    @property
    def n_outputs(self) -> int:
        """The dimension of the image."""
        return len(self.bias)

    @property
    def is_sparse(self) -> bool:
        """Whether `weight` is a `scipy.sparse.csr_array`."""
        return not isinstance(self.weight, np.ndarray)

    def to_dense(self) -> AffineMap:
        """Return the same map with a numpy array as its weight."""
        if isinstance(self.weight, np.ndarray):
            return self
        return AffineMap(self.weight.toarray(), self.bias)

    def to_sparse(self) -> AffineMap:
        """Return the same map with a `csr_array` as its weight; exact zeros are not stored."""
        return self if self.is_sparse else AffineMap(sparse.csr_array(self.weight), self.bias)

    def compacted(self) -> AffineMap:
        """Return the same map in sparse form if at most a quarter of the matrix is not zero, else in dense form.

        A sparse entry takes 12 bytes and a dense one 8, and a sparse product several times longer per entry.
        """
        n_stored = np.count_nonzero(self.weight) if isinstance(self.weight, np.ndarray) else self.weight.count_nonzero()
        if n_stored > _MOSTLY_ZERO * self.n_inputs * self.n_outputs:
            return self.to_dense()
        if not isinstance(self.weight, np.ndarray) and self.weight.nnz == n_stored:
            return self
        thin = sparse.csr_array(self.weight, copy=True)
        thin.eliminate_zeros()
        return AffineMap(thin, self.bias)

    def __call__(self, x: ArrayLike) -> FloatArray:
        """Return the image of one point (n_in,) or of many (n, n_in).

        Raises
        ------
        ShapeError, NonFiniteError
            `x` has another shape, or a coordinate is not finite.
        """
        points, single = as_points(x, self.n_inputs)
        # scipy multiplies from the left without making the transpose.
        products = (self.weight @ points.T).T if self.is_sparse else points @ self.weight.T
        images = products + self.bias
        return np.asarray(images[0] if single else images)

    def __matmul__(self, inner: AffineMap) -> AffineMap:
        """Return the composition self after `inner`; raise ShapeError where the dimensions do not chain."""
        if not isinstance(inner, AffineMap):
            return NotImplemented
        if self.n_inputs != inner.n_outputs:
            raise ShapeError(f"the outer map takes {self.n_inputs} inputs, the inner one gives {inner.n_outputs}.")
        return AffineMap(self.weight @ inner.weight, self.weight @ inner.bias + self.bias)

    def __add__(self, other: AffineMap) -> AffineMap:
        """Return the map x -> self(x) + other(x); raise ShapeError where dimensions differ."""
        if not isinstance(other, AffineMap):
            return NotImplemented
        if self.weight.shape != other.weight.shape:
            raise ShapeError(
                f"maps that are added must have weights of one shape, got {self.weight.shape} and {other.weight.shape}."
            )
        return AffineMap(self.weight + other.weight, self.bias + other.bias)

    def __mul__(self, factor: float) -> AffineMap:
        """Return the map x -> factor * self(x)."""
        if not isinstance(factor, Real):
            return NotImplemented
        return AffineMap(self.weight * float(factor), self.bias * float(factor))

    __rmul__ = __mul__

"""Tensors that are affine in the outputs of earlier activations: what stands between two activations, collapsed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tropnet.arrays.types import FloatArray
from tropnet.network.affine import AffineMap, Matrix
from tropnet.operators.operator import Operator, Shape, sparse_identity

__all__ = ["Expression", "Indices", "combined", "constant", "gathered_leaves", "stacked", "stacked_matrices", "totals"]

Indices: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Expression:
    """A tensor that is ``sum over units k of terms[k] nu_k + bias``, flattened in C order.

    Parameters
    ----------
    shape
        Of the tensor of one input, without the batch; () is one number.
    terms
        By unit (0 is the input), the matrix (size, width of the unit); None is the identity, so that plain chains pass
        through without arithmetic.
    bias
        float64, shape (size,); None is zero.
    """

    shape: Shape
    terms: Mapping[int, Matrix | None]
    bias: FloatArray | None = None

    @property
    def size(self) -> int:
        """The number of entries."""
        return math.prod(self.shape)

    @property
    def constants(self) -> FloatArray:
        """The bias as an array."""
        return np.zeros(self.size) if self.bias is None else self.bias

    def mapped(self, weight: Matrix, bias: FloatArray | None, shape: Sequence[int]) -> Expression:
        """Return weight @ self + bias, as a tensor of another shape."""
        # NaN, infinity and overflow are for Network to report, with the layer's name.
        with np.errstate(all="ignore"):
            terms = {k: weight if matrix is None else _compacted(weight @ matrix) for k, matrix in self.terms.items()}
            constants = None if self.bias is None else np.asarray(weight @ self.bias)
            if bias is not None:
                constants = bias if constants is None else constants + bias
        return Expression(tuple(shape), terms, constants)

    def through(self, operator: Operator) -> Expression:
        """Return the image under an operator on tensors of this shape."""
        bias = operator.affine.bias if operator.affine.bias.any() else None
        return self.mapped(operator.affine.weight, bias, operator.output_shape)

    def reshaped(self, shape: Sequence[int]) -> Expression:
        """Return the same entries as a tensor of another shape."""
        return Expression(tuple(shape), self.terms, self.bias)

    def gathered(self, places: Indices) -> Expression:
        """Return the tensor of the entries at flat `places`; -1 is a zero."""
        flat = places.ravel()
        if np.array_equal(flat, np.arange(self.size)):
            return self.reshaped(places.shape)
        there = flat >= 0
        bias = None if self.bias is None else np.where(there, self.bias[flat], 0.0)
        terms: dict[int, Matrix | None] = {}
        rows: Matrix | None = None  # made once if several terms need it
        for k, matrix in self.terms.items():
            if isinstance(matrix, np.ndarray):
                terms[k] = np.where(there[:, None], matrix[flat], 0.0)
                continue
            if rows is None:
                pointers = np.concatenate([[0], np.cumsum(there)])
                rows = sparse.csr_array((np.ones(pointers[-1]), flat[there], pointers), shape=(len(flat), self.size))
            terms[k] = rows if matrix is None else rows @ matrix
        return Expression(places.shape, terms, bias)

    def broadcast_to(self, shape: Sequence[int]) -> Expression:
        """Return the tensor repeated along new axes and axes of length one, as numpy does."""
        places = np.arange(self.size).reshape(self.shape)
        return self.gathered(np.broadcast_to(places, tuple(shape)))

    def plus(self, other: Expression, sign: float = 1.0) -> Expression:
        """Return self + sign * other, for equal shapes."""
        terms = dict(self.terms)
        for k, matrix in other.terms.items():
            term = matrix if sign == 1 else _matrix(matrix, other.size) * sign
            terms[k] = term if k not in terms else _sum(terms[k], term, self.size)
        bias = self.bias
        if other.bias is not None:
            bias = self.constants + sign * other.bias
        return Expression(self.shape, terms, bias)

    def shifted(self, values: FloatArray | float) -> Expression:
        """Return self + values, which broadcast to the shape of self."""
        flat = np.broadcast_to(values, self.shape).ravel()
        if self.bias is None and not flat.any():
            return self
        return Expression(self.shape, self.terms, self.constants + flat)

    def scaled(self, factors: FloatArray | float) -> Expression:
        """Return factors * self, entry by entry; they broadcast to the shape of self."""
        flat = np.broadcast_to(np.asarray(factors, dtype=np.float64), self.shape).ravel()
        if (flat == 1).all():
            return self
        with np.errstate(all="ignore"):
            terms = {k: _scaled(matrix, flat) for k, matrix in self.terms.items()}
            return Expression(self.shape, terms, None if self.bias is None else self.bias * flat)

    def holds_copies(self) -> bool:
        """Return whether every entry is one entry of one unit, or zero: differences are those of the entries."""
        n_entries = np.zeros(self.size, dtype=np.int64)
        for matrix in self.terms.values():
            if matrix is None:
                n_entries += 1
            elif isinstance(matrix, np.ndarray):
                n_entries += np.where(matrix == 0, 0, np.where(matrix == 1, 1, 2)).sum(axis=1)
            else:
                scaled = np.concatenate([[0], np.cumsum(matrix.data != 1)])
                n_entries += np.diff(matrix.indptr) + scaled[matrix.indptr[1:]] - scaled[matrix.indptr[:-1]]
        return not self.constants.any() and bool((n_entries <= 1).all())


def constant(values: Any) -> Expression:
    """Return a tensor that does not depend on the input."""
    array = np.asarray(values, dtype=np.float64)
    return Expression(array.shape, {}, array.ravel())


def combined(kind: str, left: Any, right: Any, shape: Sequence[int]) -> Expression | None:
    """Return a sum, difference, product or quotient, entry by entry, None if it is not affine.

    Parameters
    ----------
    kind
        "add", "sub", "mul" or "div".
    left, right
        Expressions, at least one, or numbers or arrays; they broadcast to `shape`.
    shape
        Of the result.
    """
    both = [part.broadcast_to(shape) if isinstance(part, Expression) else part for part in (left, right)]
    if isinstance(left, Expression) and isinstance(right, Expression):
        return both[0].plus(both[1], 1.0 if kind == "add" else -1.0) if kind in ("add", "sub") else None
    first = isinstance(left, Expression)
    x: Expression = both[0] if first else both[1]
    values = np.asarray(both[1] if first else both[0], dtype=np.float64)
    match kind:
        case "add":
            return x.shifted(values)
        case "sub":
            return x.shifted(-values) if first else x.scaled(-1.0).shifted(values)
        case "mul":
            return x.scaled(values)
        case _:
            return x.scaled(1.0 / values) if first and (values != 0).all() else None


def stacked(parts: Sequence[Expression]) -> Expression:
    """Return all entries of some tensors in one vector."""
    if len(parts) == 1:
        return parts[0].reshaped((parts[0].size,))
    size = sum(part.size for part in parts)
    units = sorted({k for part in parts for k in part.terms})
    terms: dict[int, Matrix | None] = {}
    for k in units:
        width = next(_matrix(part.terms[k], part.size).shape[1] for part in parts if k in part.terms)
        blocks = [
            _matrix(part.terms[k], part.size) if k in part.terms else sparse.csr_array((part.size, width))
            for part in parts
        ]
        terms[k] = stacked_matrices(blocks)
    bias = None if all(part.bias is None for part in parts) else np.concatenate([part.constants for part in parts])
    return Expression((size,), terms, bias)


def totals(x: Expression, places: Indices, shape: Sequence[int], *, mean: bool = False) -> Expression:
    """Return the sum, or mean, of the entries at each row of flat `places`, as a tensor of a shape."""
    pointers = np.arange(len(places) + 1) * places.shape[1]
    values = np.full(places.size, 1.0 / places.shape[1] if mean else 1.0)
    matrix = sparse.csr_array((values, places.ravel(), pointers), shape=(len(places), x.size))
    return x.mapped(matrix, None, shape)


def stacked_matrices(blocks: Sequence[Matrix]) -> Matrix:
    """Return matrices one below the other, dense if all are."""
    if all(isinstance(block, np.ndarray) for block in blocks):
        return np.concatenate(blocks)
    return sparse.vstack([sparse.csr_array(block) for block in blocks], format="csr")


def gathered_leaves(
    step: Callable[[list[FloatArray]], list[FloatArray]], leaves: Sequence[Expression], batch: int
) -> list[Expression] | None:
    """Return what a step makes of tensors if it only moves their entries and adds constants, else None.

    The step is run on the numbers of the entries, so that its own code tells where each goes. A step that moves
    entries between the inputs of a batch is not one of these.

    Parameters
    ----------
    step
        Takes and returns tensors (batch, *shape) as float64 arrays.
    leaves
        The tensors that depend on the input.
    batch
        How many inputs a batch has.
    """
    fixed = step([np.zeros((batch, *leaf.shape)) for leaf in leaves])
    # A mean of numbers can be one of them: of numbers at random hardly ever, and of two draws not the same one.
    draws = [_places(step, leaves, batch, fixed, seed) for seed in range(2)]
    moved, joined = [], stacked(leaves)
    for places, again, bias in zip(*draws, fixed, strict=True):
        if places is None or again is None or not (places == again).all():
            return None
        moved.append(joined.gathered(places).shifted(bias[0]))
    return moved


def _places(
    step: Callable[[list[FloatArray]], list[FloatArray]],
    leaves: Sequence[Expression],
    batch: int,
    fixed: Sequence[FloatArray],
    seed: int,
) -> list[NDArray[np.int64] | None]:
    """Return which entry each entry of a step's results is, -1 for none, for one draw of numbers; None if another."""
    total = sum(leaf.size for leaf in leaves)
    rng = np.random.default_rng(seed)
    # Distinct, in no order and no progression.
    mixed = 64 * rng.permutation(batch * total) + rng.integers(1, 64, size=batch * total)
    numbers = mixed.reshape(batch, total).astype(np.float64)
    ends = np.cumsum([leaf.size for leaf in leaves])
    moved = step([
        numbers[:, end - leaf.size : end].reshape(batch, *leaf.shape).copy()
        for leaf, end in zip(leaves, ends.tolist(), strict=True)
    ])  # fmt: skip
    by_result: list[NDArray[np.int64] | None] = []
    for image, bias in zip(moved, fixed, strict=True):
        if image.ndim < 1 or len(image) != batch or not image.size:
            return [None] * len(moved)
        with np.errstate(all="ignore"):
            values = image - bias
        order = np.argsort(numbers[0])
        at = order[np.minimum(np.searchsorted(numbers[0], values[0], sorter=order), total - 1)] if total else None
        places = np.full(values[0].shape, -1) if at is None else np.where(values[0] == 0, -1, at)
        there = places >= 0
        expected = np.where(there, numbers[:, places] if total else 0.0, 0.0)
        by_result.append(places.astype(np.int64) if (values == expected).all() else None)
    return by_result


# --- matrices, dense or sparse, or None for the identity


def _matrix(matrix: Matrix | None, size: int) -> Matrix:
    return sparse_identity(size) if matrix is None else matrix


def _compacted(weight: Matrix) -> Matrix:
    return weight if isinstance(weight, np.ndarray) else AffineMap(weight, np.zeros(weight.shape[0])).compacted().weight


def _sum(left: Matrix | None, right: Matrix | None, size: int) -> Matrix:
    a, b = _matrix(left, size), _matrix(right, size)
    total = a + b
    # numpy's matrix class, or a sparse one, by what is added.
    return total if sparse.issparse(total) else np.asarray(total)


def _scaled(matrix: Matrix | None, factors: FloatArray) -> Matrix:
    if isinstance(matrix, np.ndarray):
        return matrix * factors[:, None]
    diagonal = sparse.csr_array(sparse.diags_array(factors))
    return diagonal if matrix is None else sparse.csr_array(diagonal @ matrix)

"""What a rule sees of a node, and products of tensors of which one depends on the input."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeAlias

import numpy as np
from scipy import sparse

from tropnet.arrays.types import FloatArray
from tropnet.importers.common.expression import Expression
from tropnet.importers.common.jumps import Jump
from tropnet.importers.common.lowering import Lowering, RefusedError
from tropnet.network.affine import Matrix
from tropnet.operators.operator import sparse_identity

__all__ = ["Rule", "Step", "along_axes", "product", "transposed"]


@dataclass(frozen=True)
class Step:
    """A node with at least one input that depends on the model's.

    Attributes
    ----------
    to
        Takes the activations.
    inputs
        Expressions of whole tensors, the batch of one included; arrays, those of floats in float64; jumps; or
        None for what is left out.
    attributes
        By name.
    opset
        The version of ONNX's operators.
    run
        Gives the outputs of the node for other inputs, all arrays.
    """

    to: Lowering
    inputs: Sequence[Any]
    attributes: Mapping[str, Any]
    opset: int
    run: Callable[[Sequence[Any]], list[Any]]

    @property
    def x(self) -> Expression:
        """The first input, which must depend on the model's."""
        if not isinstance(self.inputs[0], Expression):
            raise RefusedError("takes a constant as its first input, and the model's input elsewhere")
        return self.inputs[0]

    def fixed(self, place: int, name: str | None = None) -> Any:
        """Return a constant: input `place`, or the attribute that older versions have in its stead; None if neither."""
        value = self.inputs[place] if len(self.inputs) > place else None
        if isinstance(value, Expression | Jump):
            raise RefusedError(f"takes its input {place} from the model's input, where only constants can be read")
        return self.attributes.get(name) if value is None and name is not None else value

    def axes(self, place: int = 1) -> list[int]:
        """Return the axes of a reduction."""
        n_axes, given = len(self.x.shape), self.fixed(place, "axes")
        if given is None or not np.size(given):
            return [] if self.attributes.get("noop_with_empty_axes", 0) else list(range(n_axes))
        return sorted({int(axis) % n_axes for axis in np.ravel(given)})

    def of_variables(self, values: Sequence[FloatArray], *, zeroed: Sequence[int] = ()) -> list[Any]:
        """Return the outputs with arrays in place of the expressions; constants at places `zeroed` count as zero."""
        filled = iter(values)
        return self.run(
            [
                next(filled)
                if isinstance(part, Expression)
                else (np.zeros_like(part) if i in zeroed and part is not None else part)
                for i, part in enumerate(self.inputs)
            ]
        )


Rule: TypeAlias = Callable[[Step], Any]


def transposed(x: Expression, axes: Sequence[int]) -> Expression:
    """Return the tensor with its axes in another order."""
    return x.gathered(np.arange(x.size).reshape(x.shape).transpose(tuple(axes)))


def product(left: Any, right: Any) -> Expression:
    """Return the matrix product, as numpy's matmul, of an expression and an array, in either order."""
    if isinstance(left, Expression) and isinstance(right, Expression):
        raise RefusedError("multiplies values that both depend on the input")
    first = isinstance(left, Expression)
    x: Expression = left if first else right
    factor = right if first else left
    if not x.shape or not np.ndim(factor):
        raise RefusedError("takes a number where a matrix product needs vectors or matrices")
    if first and np.ndim(factor) == 2 and x.size == x.shape[-1] == len(factor):
        return x.mapped(np.ascontiguousarray(factor.T), None, (*x.shape[:-1], factor.shape[1]))
    places = np.arange(x.size).reshape(x.shape)
    a, b = (places, np.asarray(factor)) if first else (np.asarray(factor), places)
    rows, columns = a.ndim > 1, b.ndim > 1  # whether the result has them
    a, b = (a if rows else a[None]), (b if columns else b[:, None])
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(f"lengths {a.shape[-1]} and {b.shape[-2]} of a matrix product")
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    whole = (*stack, a.shape[-2], b.shape[-1], a.shape[-1])
    a = np.broadcast_to(a[..., :, None, :], whole).ravel()
    b = np.broadcast_to(np.swapaxes(b, -1, -2)[..., None, :, :], whole).ravel()
    at, values = (a, b) if first else (b, a)
    n_rows = len(at) // whole[-1]
    weight = sparse.csr_array((values, at, np.arange(n_rows + 1) * whole[-1]), shape=(n_rows, x.size))
    shape = (*stack, *whole[-3:-2][: int(rows)], *whole[-2:-1][: int(columns)])
    return x.mapped(weight, None, shape)


def along_axes(x: Expression, matrices: Sequence[Matrix]) -> Expression:
    """Return the tensor with a matrix applied along each of its last axes."""
    n_lead = len(x.shape) - len(matrices)
    weight = reduce(
        lambda left, right: sparse.kron(left, sparse.csr_array(right), format="csr"),
        matrices,
        sparse_identity(math.prod(x.shape[:n_lead])),
    )
    return x.mapped(sparse.csr_array(weight), None, (*x.shape[:n_lead], *(matrix.shape[0] for matrix in matrices)))

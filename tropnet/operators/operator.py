"""Affine maps between tensors of stated shapes, and how they are put together."""

from __future__ import annotations

import math
import operator as index_operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from numbers import Real
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from tropnet.arrays.checks import finite_array
from tropnet.arrays.types import FloatArray
from tropnet.errors import ShapeError
from tropnet.network.affine import AffineMap, Matrix

__all__ = [
    "Operator",
    "Shape",
    "as_channels",
    "as_shape",
    "concatenation",
    "identity",
    "one_per_axis",
    "reshaping",
    "selection",
    "separable",
    "sparse_identity",
    "transposition",
    "weighted_sum",
]

Shape: TypeAlias = tuple[int, ...]


def as_shape(shape: Any, name: str = "input_shape") -> Shape:
    """Return a tensor's shape as a tuple of positive integers.

    Raises
    ------
    ShapeError
        It is no sequence of positive integers; the message calls it `name`.

    Examples
    --------
    >>> as_shape([3, 32, 32])
    (3, 32, 32)
    """
    try:
        lengths = tuple(map(index_operator.index, shape))
    except TypeError as error:
        raise ShapeError(f"{name} must be a sequence of integers, as in (3, 32, 32), got {shape!r}.") from error
    if not lengths or min(lengths) < 1:
        raise ShapeError(f"{name} must hold positive lengths, at least one, without the batch, got {lengths}.")
    return lengths


def as_channels(shape: Any, n_axes: int | None = None) -> tuple[int, Shape]:
    """Return the channels and the lengths of the axes of (channels, height, width) or the like.

    Raises
    ------
    ShapeError
        There is no axis after the channels, or not `n_axes` of them.
    """
    channels, *axes = as_shape(shape)
    if not axes or n_axes not in (None, len(axes)):
        wanted = "at least one axis" if n_axes is None else f"{n_axes} axes"
        raise ShapeError(f"input_shape must have {wanted} after the channels, got {(channels, *axes)}.")
    return channels, tuple(axes)


def one_per_axis(value: Any, n_axes: int, name: str, minimum: int) -> Shape:
    """Return one integer per axis from one for all axes or a sequence.

    Raises
    ------
    ShapeError
        There is another number of them, one is no integer, or one is less than `minimum`.
    """
    try:
        values = (index_operator.index(value),) * n_axes if np.ndim(value) == 0 else tuple(map(int, value))
    except TypeError as error:
        raise ShapeError(f"{name} must be an integer, or one per axis ({n_axes}), got {value!r}.") from error
    if len(values) not in (1, n_axes) or min(values) < minimum:
        raise ShapeError(f"{name} must be an integer >= {minimum}, or one per axis ({n_axes}), got {value!r}.")
    return values * (n_axes // len(values))


@dataclass(frozen=True, eq=False)
class Operator:
    """An affine map between tensors of stated shapes; `affine` acts on them flattened in C order.

    Operators compose (`outer @ inner`), add (`f + g`) and scale (`0.5 * f`).

    Parameters
    ----------
    affine
        The map of the flattened tensors.
    input_shape, output_shape
        Shapes of one input and one output, without the batch; images are (channels, height, width).

    Raises
    ------
    ShapeError
        A shape is not one of positive integers, or its size is not that of the map.

    Examples
    --------
    >>> swap = transposition((2, 3), (1, 0))
    >>> swap([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    array([[1., 4.], [2., 5.], [3., 6.]])
    """

    affine: AffineMap
    input_shape: Shape
    output_shape: Shape

    # Arrays leave the operators to this class; else a numpy number times a map would be an array of one object.
    __array_ufunc__: ClassVar[None] = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "input_shape", as_shape(self.input_shape))
        object.__setattr__(self, "output_shape", as_shape(self.output_shape, "output_shape"))
        sizes = math.prod(self.input_shape), math.prod(self.output_shape)
        if sizes != (self.affine.n_inputs, self.affine.n_outputs):
            raise ShapeError(
                f"the map takes {self.affine.n_inputs} values and gives {self.affine.n_outputs}, which must be the"
                f" sizes of input_shape {self.input_shape} and output_shape {self.output_shape}."
            )

    def __call__(self, x: ArrayLike) -> FloatArray:
        """Return the image of one tensor (*input_shape) or of many (n, *input_shape).

        Raises
        ------
        ShapeError, NonFiniteError
            `x` has another shape, or an entry is not finite.
        """
        tensors = finite_array(x, "x")
        single = tensors.shape == self.input_shape
        if not single and tensors.shape[1:] != self.input_shape:
            raise ShapeError(f"x must have shape {self.input_shape} or (n, *{self.input_shape}), got {tensors.shape}.")
        images = self.affine(tensors.reshape(1 if single else len(tensors), self.affine.n_inputs))
        return images.reshape(self.output_shape if single else (len(images), *self.output_shape))

    def __matmul__(self, inner: Operator) -> Operator:
        """Return the composition self after `inner`; raise ShapeError where the shapes do not chain."""
        if not isinstance(inner, Operator):
            return NotImplemented
        if self.input_shape != inner.output_shape:
            raise ShapeError(
                f"the outer operator takes shape {self.input_shape}, the inner one gives {inner.output_shape}."
            )
        return Operator(self.affine @ inner.affine, inner.input_shape, self.output_shape)

    def __add__(self, other: Operator) -> Operator:
        """Return the operator x -> self(x) + other(x); raise ShapeError where the shapes differ."""
        if not isinstance(other, Operator):
            return NotImplemented
        _require_same_input([self, other])
        if self.output_shape != other.output_shape:
            raise ShapeError(
                f"operators that are added must give one shape, got {self.output_shape} and {other.output_shape}."
            )
        return Operator(self.affine + other.affine, self.input_shape, self.output_shape)

    def __mul__(self, factor: float) -> Operator:
        """Return the operator x -> factor * self(x)."""
        if not isinstance(factor, Real):
            return NotImplemented
        return Operator(self.affine * factor, self.input_shape, self.output_shape)

    __rmul__ = __mul__


def _require_same_input(operators: Sequence[Operator]) -> None:
    for operator in operators[1:]:
        if operator.input_shape != operators[0].input_shape:
            raise ShapeError(
                f"the operators must take one input shape, got {operators[0].input_shape} and {operator.input_shape}."
            )


def weighted_sum(operators: Sequence[Operator], weights: ArrayLike | None = None) -> Operator:
    """Return the operator x -> sum over i of weights[i] * operators[i](x).

    Parameters
    ----------
    operators
        At least one, all with the same shapes.
    weights
        One number per operator; without them, all are one.

    Raises
    ------
    ShapeError
        There is no operator, not one weight for each, or shapes differ.
    NonFiniteError
        A weight is not finite.

    Examples
    --------
    >>> mean = weighted_sum([selection((2,), slice(0, 1)), selection((2,), slice(1, 2))], [0.5, 0.5])
    >>> mean([1.0, 4.0])
    array([2.5])
    """
    factors = np.ones(len(operators)) if weights is None else finite_array(weights, "weights")
    if not operators or factors.shape != (len(operators),):
        raise ShapeError(
            f"weighted_sum needs operators, and one weight for each, got {len(operators)} and weights of shape"
            f" {factors.shape}."
        )
    terms = (
        operator if factor == 1 else factor * operator for factor, operator in zip(factors, operators, strict=True)
    )
    return reduce(Operator.__add__, terms)


def concatenation(operators: Sequence[Operator], axis: int = 0) -> Operator:
    """Return the operator that joins the outputs of several along `axis`, as DenseNet does along the channels.

    Parameters
    ----------
    operators
        At least one, all with the same input shape.
    axis
        Of the outputs, without the batch; negative ones count from the end.

    Raises
    ------
    ShapeError
        There is no operator, input shapes differ, or output shapes differ along another axis.

    Examples
    --------
    >>> twice = concatenation([identity((1, 2)), 2.0 * identity((1, 2))])
    >>> twice([[1.0, 3.0]])
    array([[1., 3.], [2., 6.]])
    """
    if not operators:
        raise ShapeError("concatenation needs at least one operator, got none.")
    _require_same_input(operators)
    shapes = [operator.output_shape for operator in operators]
    n_axes = len(shapes[0])
    if not -n_axes <= axis < n_axes:
        raise ShapeError(f"axis must be in [-{n_axes}, {n_axes}), the axes of the outputs {shapes[0]}, got {axis}.")
    axis %= n_axes
    if len({(*shape[:axis], None, *shape[axis + 1 :]) for shape in shapes}) > 1:
        raise ShapeError(f"outputs that are joined along axis {axis} must agree in all others, got {shapes}.")
    lengths = [shape[axis] for shape in shapes]
    output_shape = (*shapes[0][:axis], sum(lengths), *shapes[0][axis + 1 :])
    rows = np.arange(math.prod(output_shape)).reshape(output_shape)
    places = [part.ravel() for part in np.split(rows, np.cumsum(lengths)[:-1], axis=axis)]
    order = np.argsort(np.concatenate(places))
    weights = [operator.affine.weight for operator in operators]
    if all(operator.affine.is_sparse for operator in operators):
        stacked = sparse.vstack(weights, format="csr")
    else:
        stacked = np.concatenate([operator.affine.to_dense().weight for operator in operators])
    bias = np.concatenate([operator.affine.bias for operator in operators])
    return Operator(AffineMap(stacked[order], bias[order]), operators[0].input_shape, output_shape)


def identity(input_shape: Sequence[int]) -> Operator:
    """Return the operator x -> x, sparse.

    Raises
    ------
    ShapeError
        `input_shape` does not hold positive integers.

    Examples
    --------
    >>> identity((1, 2))([[3.0, 4.0]])
    array([[3., 4.]])
    """
    return reshaping(input_shape, input_shape)


def reshaping(input_shape: Sequence[int], output_shape: Sequence[int]) -> Operator:
    """Return the operator that gives the same values, in C order, another shape; flattening is one case.

    Raises
    ------
    ShapeError
        The shapes differ in size, or do not hold positive integers.

    Examples
    --------
    >>> reshaping((2, 2), (4,))([[1.0, 2.0], [3.0, 4.0]])
    array([1., 2., 3., 4.])
    """
    shape = as_shape(input_shape)
    size = math.prod(shape)
    return Operator(AffineMap(sparse_identity(size), np.zeros(size)), shape, tuple(output_shape))


def selection(input_shape: Sequence[int], key: Any) -> Operator:
    """Return the operator x -> x[key], with numpy's meaning of the key.

    Parameters
    ----------
    input_shape
        Shape of x, without the batch.
    key
        What numpy takes between brackets: slices, integers, an ellipsis, arrays of integers or of bool, tuples of them.

    Raises
    ------
    ShapeError
        The key does not fit the shape, or selects nothing.

    Examples
    --------
    Every second column of the last channel:

    >>> selection((2, 1, 4), (-1, slice(None), slice(None, None, 2)))([[[0.0, 1, 2, 3]], [[4, 5, 6, 7]]])
    array([[4., 6.]])
    """
    shape = as_shape(input_shape)
    try:
        chosen = np.arange(math.prod(shape)).reshape(shape)[key]
    except IndexError as error:
        raise ShapeError(f"key must select from a tensor of shape {shape}, got {key!r}: {error}.") from error
    if chosen.size == 0:
        raise ShapeError(f"key must select at least one entry of a tensor of shape {shape}, got {key!r}.")
    return _gather(shape, chosen.reshape(chosen.shape or (1,)))


def transposition(input_shape: Sequence[int], axes: Sequence[int]) -> Operator:
    """Return the operator that puts the axes in another order: axis i of the output is axis axes[i] of the input.

    Raises
    ------
    ShapeError
        `axes` does not name each axis once.

    Examples
    --------
    >>> transposition((1, 2, 3), (2, 0, 1)).output_shape
    (3, 1, 2)
    """
    shape = as_shape(input_shape)
    if sorted(axes) != list(range(len(shape))):
        raise ShapeError(f"axes must name each of the {len(shape)} axes once, from 0, got {list(axes)}.")
    return _gather(shape, np.arange(math.prod(shape)).reshape(shape).transpose(axes))


def separable(input_shape: Shape, matrices: Sequence[Matrix], bias: float = 0.0) -> Operator:
    """Return the operator that applies one matrix along each axis of every channel: kron(I, M_1, M_2, ...).

    Parameters
    ----------
    input_shape
        Channels, then the lengths of the axes.
    matrices
        One per axis, shape (length after, length before).
    bias
        Added where the product of the matrices' row sums is zero: a row that reads nothing.
    """
    weight = reduce(_kron, matrices, sparse_identity(input_shape[0]))
    constant = np.zeros(weight.shape[0])
    if bias:
        constant[np.diff(weight.indptr) == 0] = bias
    output_shape = (input_shape[0], *(matrix.shape[0] for matrix in matrices))
    return Operator(AffineMap(weight, constant), input_shape, output_shape)


def sparse_identity(size: int) -> sparse.csr_array:
    """Return the identity matrix as a `csr_array`."""
    return sparse.csr_array(sparse.diags_array(np.ones(size)))


def _kron(left: Matrix, right: Matrix) -> Matrix:
    return sparse.kron(sparse.csr_array(left), sparse.csr_array(right), format="csr")


def _gather(input_shape: Shape, columns: Any) -> Operator:
    """Return the operator whose output holds the flat input entries `columns`."""
    size = columns.size
    entries = np.ones(size), columns.ravel(), np.arange(size + 1)
    weight = sparse.csr_array(entries, shape=(size, math.prod(input_shape)))
    return Operator(AffineMap(weight, np.zeros(size)), input_shape, columns.shape)

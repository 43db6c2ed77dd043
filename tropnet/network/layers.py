"""Layers in the general form, the recurrence that composes them, and the checks at the door.

The recurrence is generic over the arithmetic: the same lines run on float64 and on exact integers.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tropnet.arrays.checks import finite_array
from tropnet.arrays.patterns import BoolArray
from tropnet.arrays.types import FloatArray, IntegerArray
from tropnet.errors import ShapeError, SkipError
from tropnet.network.affine import Matrix

__all__ = [
    "AFFINE",
    "RELU",
    "Layer",
    "activate",
    "checked_layer",
    "compose",
    "compose_bounded",
    "compose_many",
    "dense_layer",
    "evaluate",
    "finite_matrix",
    "identity_map",
    "layer_map",
    "skip_sources",
    "slopes_per_layer",
]

RELU = (0.0, 1.0)
AFFINE = (1.0, 1.0)


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer: weights by source, bias, and two slopes per neuron.

    Parameters
    ----------
    weights
        Maps each source k to W[l, k], float64 of shape (n_l, n_k): a numpy array, or any scipy.sparse matrix or
        array, which a network keeps as `csr_array`.
    bias
        float64, shape (n_l,).
    slopes
        float64, shape (n_l, 2): the slopes for z <= 0 and for z > 0. One pair serves all neurons. Equal slopes make
        a neuron affine: it splits nothing and its pattern bit is always False.
    """

    weights: Mapping[int, Any]
    bias: NDArray[Any]
    slopes: NDArray[Any] | tuple[float, float] = RELU

    def __reduce__(self) -> tuple[Any, ...]:
        # The checked mapping is a read-only view, which does not pickle.
        return Layer, (dict(self.weights), self.bias, self.slopes)

    @property
    def width(self) -> int:
        """The number of neurons."""
        return len(self.bias)

    @cached_property
    def affine_neurons(self) -> BoolArray:
        """Which neurons have equal slopes, bool of shape (n_l,)."""
        slopes = np.asarray(self.slopes)
        return np.asarray(slopes[:, 0] == slopes[:, 1], dtype=np.bool_)


def layer_map(layer: Layer, outputs: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return the rows (a | c), shape (n_l, d + 1), of the pre-activation z_l = a x + c.

    Parameters
    ----------
    layer
        Layer l, float64 or integer (see `IntegerNetwork`).
    outputs
        The maps of nu_0, ..., nu_{l-1} on the cell at hand, each of shape (n_k, d + 1) and of the layer's dtype.

    Notes
    -----
    Costs O(n_l n_k d) per source; rows of `outputs` that vanish (inactive neurons) are skipped.
    """
    width = outputs[0].shape[1]
    rows = np.zeros((layer.width, width), dtype=layer.bias.dtype)
    for source, weight in layer.weights.items():
        values = outputs[source]
        live = np.asarray(values != 0, dtype=np.bool_).any(axis=1)
        if live.all():
            rows = rows + weight @ values
        elif live.any():
            rows = rows + weight[:, live] @ values[live]
    rows[:, -1] += layer.bias
    return rows


def activate(layer: Layer, rows: NDArray[Any], bits: BoolArray) -> NDArray[Any]:
    """Return the rows of nu_l from those of z_l and the layer's pattern bits (True takes the positive slope)."""
    slopes = np.asarray(layer.slopes)
    return np.asarray(np.where(bits, slopes[:, 1], slopes[:, 0])[:, None] * rows)


def identity_map(n_inputs: int, dtype: Any) -> NDArray[Any]:
    """Return the rows (I | 0) of nu_0 = x."""
    return np.eye(n_inputs, n_inputs + 1, dtype=np.int64).astype(dtype)


def compose(layers: Sequence[Layer], pattern: BoolArray, n_inputs: int) -> list[NDArray[Any]]:
    """Return the rows (a | c) of z_1, z_2, ... of all layers where the flat `pattern` of the hidden ones holds."""
    outputs: list[NDArray[Any]] = [identity_map(n_inputs, layers[0].bias.dtype)]
    maps, start = [], 0
    for layer in layers:
        maps.append(layer_map(layer, outputs))
        bits = pattern[start : start + layer.width]
        start += layer.width
        if len(bits) == layer.width:
            outputs.append(activate(layer, maps[-1], bits))
    return maps


def evaluate(layers: Sequence[Layer], point: IntegerArray, unit: int) -> list[IntegerArray]:
    """Return z_1, z_2, ... of integer layers at the point x = `point` / `unit`, exactly, multiplied by `unit`."""
    outputs, values = [point], []
    for layer in layers:
        z = sum((weight @ outputs[k] for k, weight in layer.weights.items()), start=layer.bias * unit)
        values.append(z)
        slopes = np.asarray(layer.slopes)
        outputs.append(np.where(np.asarray(z > 0, dtype=np.bool_), slopes[:, 1], slopes[:, 0]) * z)
    return values


def compose_many(layers: Sequence[Layer], patterns: BoolArray, n_inputs: int) -> list[FloatArray]:
    """Return the rows of `compose` for many patterns (m, n_neurons) at once: float64, shapes (m, n_l, d + 1)."""
    outputs: list[FloatArray] = [np.eye(n_inputs, n_inputs + 1)[None]]
    maps, start = [], 0
    for layer in layers:
        rows = np.zeros((len(patterns), layer.width, n_inputs + 1))
        rows[:, :, -1] = layer.bias
        for source, weight in layer.weights.items():
            rows += _products(weight, outputs[source])
        maps.append(rows)
        bits = patterns[:, start : start + layer.width]
        start += layer.width
        if layer is not layers[-1]:
            slopes = np.asarray(layer.slopes)
            outputs.append(np.where(bits, slopes[:, 1], slopes[:, 0])[:, :, None] * rows)
    return maps


def compose_bounded(
    layers: Sequence[Layer], patterns: BoolArray, n_inputs: int
) -> tuple[list[FloatArray], list[FloatArray]]:
    """Return the rows of `compose` for many patterns (m, n_neurons), in float64, and bounds on their errors.

    The bounds hold wherever they are finite: each layer adds its rounding (n terms in any order: n u / (1 - n u) of
    their sizes, u = 2^-53) to what its sources hand on, multiplied by the weights' sizes. Layers that read the input
    alone are not rounded at all.
    """
    outputs, output_errors = [np.eye(n_inputs, n_inputs + 1)[None]], [np.zeros((1, 1, 1))]
    rounding = 0.5 * float(np.finfo(np.float64).eps)
    maps, errors, start = [], [], 0
    with np.errstate(over="ignore", invalid="ignore"):
        for layer in layers:
            rows = np.zeros((len(patterns), layer.width, n_inputs + 1))
            rows[:, :, -1] = layer.bias
            size, error = np.abs(rows), np.zeros_like(rows)
            for source, weight in layer.weights.items():
                rows += _products(weight, outputs[source])
                size += _products(abs(weight), np.abs(outputs[source]))
                error += _products(abs(weight), np.broadcast_to(output_errors[source], outputs[source].shape))
            n_terms = 4 + sum(weight.shape[1] + 1 for weight in layer.weights.values())
            unit, tiny = n_terms * rounding, n_terms * float(np.finfo(np.float64).tiny)
            if set(layer.weights) != {0}:
                error = (error + unit * size) * (1 + unit) + tiny
            maps.append(rows)
            errors.append(error)
            bits = patterns[:, start : start + layer.width]
            start += layer.width
            if layer is not layers[-1]:
                slopes = np.asarray(layer.slopes)
                chosen = np.where(bits, slopes[:, 1], slopes[:, 0])[:, :, None]
                outputs.append(chosen * rows)
                output_errors.append((np.abs(chosen) * error + unit * np.abs(outputs[-1])) * (1 + unit) + tiny)
    return maps, errors


def _products(weight: Matrix, stack: FloatArray) -> FloatArray:
    """Return weight @ rows for every matrix `rows` of a stack (m, n, d); a sparse weight takes no stack itself."""
    if isinstance(weight, np.ndarray):
        return weight @ stack
    return np.stack([weight @ rows for rows in stack]) if len(stack) else np.empty((0, weight.shape[0], stack.shape[2]))


def dense_layer(layer: Layer) -> Layer:
    """Return a layer with numpy arrays as its weights; sources that share a matrix share the copy."""
    copies: dict[int, FloatArray] = {}
    weights: dict[int, FloatArray] = {}
    for source, weight in layer.weights.items():
        if id(weight) not in copies:
            copies[id(weight)] = weight.toarray() if sparse.issparse(weight) else weight
        weights[source] = copies[id(weight)]
    return Layer(weights, layer.bias, layer.slopes)


def finite_matrix(values: Any, name: str) -> Matrix:
    """Return `values` as a read-only float64 matrix, or raise an error that calls it `name`; sparse stays sparse."""
    if sparse.issparse(values):
        return _finite_sparse(values, name)
    matrix = finite_array(values, name)
    if matrix.ndim != 2:
        raise ShapeError(f"{name} must be a matrix (n_out, n_in), got shape {matrix.shape}.")
    return matrix


def _finite_sparse(values: Any, name: str) -> sparse.csr_array:
    if values.ndim != 2:
        raise ShapeError(f"{name} must be a matrix (n_out, n_in), got shape {values.shape}.")
    matrix = sparse.csr_array(values, copy=True)
    matrix.check_format(full_check=True)
    matrix.sum_duplicates()
    matrix = sparse.csr_array(
        (finite_array(matrix.data, f"the entries of {name}"), matrix.indices, matrix.indptr), shape=matrix.shape
    )
    for part in (matrix.indices, matrix.indptr):
        part.setflags(write=False)
    return matrix


def checked_layer(layer: Layer, index: int, widths: Sequence[int], *, affine: bool) -> Layer:
    """Return layer `index` (from 1) with checked read-only arrays; `widths` are those of nu_0, ..., nu_{index-1}."""
    where = f"layer {index}"
    if not isinstance(layer, Layer):
        raise ShapeError(f"{where} must be a Layer(weights, bias, slopes), got {type(layer).__name__}.")
    bias = finite_array(layer.bias, f"{where}: bias")
    if bias.ndim != 1 or not len(bias):
        raise ShapeError(f"{where}: bias must have shape (n_out,) with n_out >= 1, got {bias.shape}.")
    weights: dict[int, Matrix] = {}
    copies: dict[int, Matrix] = {}
    for source, weight in sorted(layer.weights.items()):
        name = f"{where}: weights[{source}]"
        if not 0 <= source < index:
            raise ShapeError(f"{name}: a layer reads sources 0 to {index - 1}, got {source}.")
        # A skip reads the same matrix as the main path; keep one copy of it.
        matrix = copies.setdefault(id(weight), finite_matrix(weight, name))
        if matrix.shape != (len(bias), widths[source]):
            raise ShapeError(
                f"{name} must have shape (len(bias), width of layer {source}) ="
                f" {(len(bias), widths[source])}, got {matrix.shape}."
                + (" Did you pass the transpose?" if matrix.T.shape == (len(bias), widths[source]) else "")
            )
        weights[source] = matrix
    if not weights:
        raise ShapeError(f"{where} must read at least one source, got none.")
    slopes = finite_array(AFFINE if affine else layer.slopes, f"{where}: slopes")
    if slopes.shape not in ((2,), (len(bias), 2)):
        raise ShapeError(
            f"{where}: slopes must be a pair (s_neg, s_pos) or have shape ({len(bias)}, 2), got {slopes.shape}."
        )
    slopes = np.broadcast_to(slopes, (len(bias), 2))
    return Layer(MappingProxyType(weights), bias, slopes)


def slopes_per_layer(slopes: Any, n_hidden: int) -> list[Any]:
    """Return one entry per hidden layer from one pair (s_neg, s_pos) or a list."""
    if np.isscalar(slopes) or slopes is None:
        raise ShapeError(f"slopes must be a pair (s_neg, s_pos) or one entry per hidden layer, got {slopes!r}.")
    if len(slopes) == len(RELU) and all(np.isscalar(slope) for slope in slopes):
        return [slopes] * n_hidden
    if len(slopes) != n_hidden:
        raise ShapeError(
            f"slopes must be one pair (s_neg, s_pos) or one entry per hidden layer ({n_hidden}), got {len(slopes)}."
        )
    return list(slopes)


def skip_sources(skips: Iterable[tuple[int, int]], widths: Sequence[int]) -> dict[int, list[int]]:
    """Return the extra sources of each layer from the skips (k, l); `widths` are those of nu_0, ..., nu_{L+1}."""
    n_layers = len(widths) - 1
    sources: dict[int, list[int]] = {}
    if not isinstance(skips, Iterable):
        raise SkipError(f"skips must be pairs (k, l), such as [(1, 3)], got {skips!r}.")
    for skip in skips:
        try:
            k, target = map(operator.index, skip)
        except (TypeError, ValueError) as error:
            raise SkipError(
                f"each of the skips must be a pair (k, l) of integers, as in [(1, 3)], got {skip!r}."
            ) from error
        if not 0 <= k < target - 1 or target > n_layers:
            raise SkipError(
                f"a skip (k, l) needs 0 <= k < l - 1 and l <= {n_layers} (the output layer), got {(k, target)}."
            )
        if widths[k] != widths[target - 1]:
            raise SkipError(
                f"the skip {(k, target)} adds the output of layer {k} (width {widths[k]}) to the input of layer"
                f" {target} (width {widths[target - 1]}): the widths must be equal. For a projection, give layer"
                f" {target} its own weights for source {k} in Network([...])."
            )
        if k in sources.setdefault(target, []):
            raise SkipError(f"the skip {(k, target)} is given twice.")
        sources[target].append(k)
    return sources

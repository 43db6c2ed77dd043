"""Networks on affine slices of their input space: each weight computed exactly, and rounded once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from tropnet.arrays.checks import finite_array
from tropnet.arrays.types import IntegerArray
from tropnet.errors import ShapeError
from tropnet.exact.dyadic import to_float, to_integers
from tropnet.network.affine import Matrix
from tropnet.network.layers import Layer, finite_matrix

__all__ = ["exact_slice", "restricted_layers"]


def restricted_layers(
    layers: Sequence[Layer], n_inputs: int, origin: ArrayLike, basis: ArrayLike
) -> tuple[list[Layer], int]:
    """Return layers as functions of t, x = origin + t @ basis, and the length of t; see `Network.restrict`.

    Raises
    ------
    ShapeError, NonFiniteError
        The shapes do not fit, or an entry given is not finite.
    """
    start, directions = finite_array(origin, "origin"), finite_matrix(basis, "basis")
    if start.shape != (n_inputs,) or directions.shape != (len(directions) or 1, n_inputs):
        raise ShapeError(
            f"origin and basis must have shapes ({n_inputs},) and (k, {n_inputs}) with k >= 1,"
            f" got {start.shape} and {directions.shape}."
        )
    columns, scale = to_integers(np.vstack([directions, start]).T)
    return [
        _rounded(layer, *_composed(layer, columns, scale)) if 0 in layer.weights else layer for layer in layers
    ], len(directions)


def exact_slice(layers: Sequence[Layer], columns: IntegerArray, scale: int) -> list[Layer] | None:
    """Return layers as functions of t, x = columns (t, 1) / 2**scale, if their weights are float64 numbers, else None.

    Parameters
    ----------
    columns
        Integers, shape (d, k + 1).
    """
    restricted = []
    for layer in layers:
        if 0 in layer.weights:
            rows, exponent = _composed(layer, columns, scale)
            layer = _rounded(layer, rows, exponent)
            values = np.column_stack([layer.weights[0], layer.bias])
            if not np.isfinite(values).all():
                return None
            integers, power = to_integers(values)
            if power > exponent or (integers << (exponent - power) != rows).any():
                return None
        restricted.append(layer)
    return restricted


def _composed(layer: Layer, columns: IntegerArray, scale: int) -> tuple[IntegerArray, int]:
    """Return the rows (a | c) in t of a layer that reads the input, as integers and by which power of two."""
    products, exponent = _integer_products(layer.weights[0], columns)
    bias, bias_exponent = to_integers(layer.bias)
    rows = products << bias_exponent
    rows[:, -1] += bias << (exponent + scale)
    return rows, exponent + scale + bias_exponent


def _rounded(layer: Layer, rows: IntegerArray, exponent: int) -> Layer:
    """Return a layer with other weights and biases, from rows (a | c), for the input."""
    values = to_float(rows, exponent)
    return Layer({**layer.weights, 0: values[:, :-1]}, values[:, -1], layer.slopes)


def _integer_products(weight: Matrix, columns: IntegerArray) -> tuple[IntegerArray, int]:
    """Return weight @ columns exactly, as integers and by which power of two they are multiplied."""
    if isinstance(weight, np.ndarray):
        integers, exponent = to_integers(weight)
        return integers @ columns, exponent
    entries, exponent = to_integers(weight.data)
    products = np.zeros((weight.shape[0], columns.shape[1]), dtype=object)
    filled = np.flatnonzero(np.diff(weight.indptr))
    if len(filled):
        products[filled] = np.add.reduceat(entries[:, None] * columns[weight.indices], weight.indptr[filled], axis=0)
    return products, exponent

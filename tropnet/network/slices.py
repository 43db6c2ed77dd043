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

__all__ = ["restricted_layers"]


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
    restricted = []
    for layer in layers:
        if 0 not in layer.weights:
            restricted.append(layer)
            continue
        products, exponent = _integer_products(layer.weights[0], columns)
        bias, bias_exponent = to_integers(layer.bias)
        rows = products << bias_exponent
        rows[:, -1] += bias << (exponent + scale)
        values = to_float(rows, exponent + scale + bias_exponent)
        restricted.append(Layer({**layer.weights, 0: values[:, :-1]}, values[:, -1], layer.slopes))
    return restricted, len(directions)


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

"""Affine neurons folded away: what read such a neuron reads, instead, what the neuron reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tropnet.arrays.types import FloatArray
from tropnet.network.affine import AffineMap, Matrix
from tropnet.network.layers import Layer

__all__ = ["without_affine_neurons"]

_Rows = tuple[dict[int, Matrix], FloatArray]


def without_affine_neurons(layers: Sequence[Layer], n_inputs: int) -> list[Layer]:
    """Return layers without the neurons of equal slopes; see `Network.without_affine_neurons`."""
    with np.errstate(over="ignore", invalid="ignore"):
        return _folded(layers, n_inputs)


def _folded(layers: Sequence[Layer], n_inputs: int) -> list[Layer]:
    kept = [np.arange(n_inputs)]
    # Of each layer: its affine neurons as functions of the neurons that stay, and which they are.
    affine: list[tuple[NDArray[np.int64], _Rows]] = [(np.empty(0, dtype=np.int64), ({}, np.empty(0)))]
    made: list[Layer] = []
    # The new number of each layer that stays, by its old one.
    numbers = {0: 0}
    for index, layer in enumerate(layers, start=1):
        weights, bias = _unfolded(layer, kept, affine)
        slopes = np.asarray(layer.slopes)
        folds = layer.affine_neurons & (index < len(layers))
        # Slopes of zero hand nothing on.
        folded, stays = np.flatnonzero(folds & (slopes[:, 0] != 0)), np.flatnonzero(~folds)
        scales = slopes[folded, 0]
        affine.append((folded, ({k: _scaled(w[folded], scales) for k, w in weights.items()}, scales * bias[folded])))
        kept.append(stays)
        if not len(stays):
            continue
        own = {numbers[k]: _stored(_rows(weight, stays)) for k, weight in weights.items()}
        made.append(Layer(own or {0: sparse.csr_array((len(stays), n_inputs))}, bias[stays], slopes[stays]))
        numbers[index] = len(made)
    return made


def _unfolded(
    layer: Layer, kept: Sequence[NDArray[np.int64]], affine: Sequence[tuple[NDArray[np.int64], _Rows]]
) -> _Rows:
    """Return the weights of a layer for the neurons that stay, by their old layers, and its bias."""
    weights: dict[int, Matrix] = {}
    bias = np.asarray(layer.bias)
    for source, weight in layer.weights.items():
        folded, (below, constants) = affine[source]
        if len(kept[source]):
            weights[source] = _sum(weights.get(source), _columns(weight, kept[source]))
        if len(folded):
            through = weight[:, folded]
            bias = bias + through @ constants
            for k, matrix in below.items():
                weights[k] = _sum(weights.get(k), through @ matrix)
    return weights, bias


def _sum(left: Matrix | None, right: Matrix) -> Matrix:
    if left is None:
        return right
    return left + right if sparse.issparse(left) == sparse.issparse(right) else _dense(left) + _dense(right)


def _dense(matrix: Any) -> FloatArray:
    return np.asarray(matrix.toarray() if sparse.issparse(matrix) else matrix)


def _scaled(matrix: Matrix, factors: FloatArray) -> Matrix:
    return (
        sparse.csr_array(sparse.diags_array(factors) @ matrix) if sparse.issparse(matrix) else factors[:, None] * matrix
    )


def _columns(matrix: Matrix, places: NDArray[np.int64]) -> Matrix:
    # The same object where nothing changes: skips share the matrix of the main path.
    return matrix if len(places) == matrix.shape[1] else matrix[:, places]


def _stored(matrix: Matrix) -> Matrix:
    """Return a sparse matrix that has filled up as a dense one."""
    return AffineMap(matrix, np.zeros(matrix.shape[0])).compacted().weight if sparse.issparse(matrix) else matrix


def _rows(matrix: Matrix, places: NDArray[np.int64]) -> Matrix:
    return matrix if len(places) == matrix.shape[0] else matrix[places]

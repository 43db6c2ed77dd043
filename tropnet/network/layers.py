"""Layers in the general form, and the checks at the door."""

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
from tropnet.arrays.types import FloatArray
from tropnet.errors import ShapeError, SkipError
from tropnet.network.affine import Matrix

__all__ = [
    "AFFINE",
    "RELU",
    "Layer",
    "checked_layer",
    "dense_layer",
    "finite_matrix",
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
    """Return `values` as a read-only float64 matrix, or raise an error that calls it `name`; sparse stays sparse.

    Raises
    ------
    ShapeError, NonFiniteError
        They are no matrix of real numbers, or not finite.
    """
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
    """Return layer `index` (from 1) with checked read-only arrays; `widths` are those of nu_0, ..., nu_{index-1}.

    Raises
    ------
    ShapeError, NonFiniteError
        A shape does not fit, a source is no earlier layer, or an entry is not finite; the message says where.
    """
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
    """Return one entry per hidden layer from one pair (s_neg, s_pos) or a list.

    Raises
    ------
    ShapeError
        They are neither a pair nor one entry per hidden layer.
    """
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
    """Return the extra sources of each layer from the skips (k, l); `widths` are those of nu_0, ..., nu_{L+1}.

    Raises
    ------
    SkipError
        A skip breaks 0 <= k < l - 1 <= L, is given twice, or joins layers of unequal width.
    """
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

"""The recurrence that composes layers to affine maps: on one path of decisions, or on many patterns at once.

Rows (a | c) mean the affine function a x + c. On one path the same lines run on float64 and on exact integers; many
patterns are composed in float64, with bounds on the rounding if asked for.
"""

from __future__ import annotations

import operator
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import BoolArray
from tropnet.arrays.rounding import SMALLEST_NORMAL, UNIT_ROUNDOFF
from tropnet.arrays.types import FloatArray, IntegerArray
from tropnet.exact.products import product
from tropnet.network.affine import Matrix
from tropnet.network.layers import Layer

__all__ = ["Composition", "chosen_slopes", "compose", "compose_bounded", "compose_many", "evaluate", "identity_map"]


class _Entered(NamedTuple):
    """The rows of a layer when it was last entered, and the rows of the sources that it read then."""

    rows: NDArray[Any]
    sources: Mapping[int, NDArray[Any]]


class Composition:
    """The maps of a network's layers along one path of decisions.

    A layer is entered (the rows of its pre-activation are composed from the outputs before), then decided (its bits
    give the rows of its output), and so on.

    Parameters
    ----------
    layers
        The layers, output layer included; float64, or integers (see `IntegerNetwork`).
    inputs
        The rows of nu_0, shape (d, n_columns), of the layers' dtype; biases are added to the last column.

    Attributes
    ----------
    rows
        Of the layers entered: ``rows[l - 1]``, shape (n_l, n_columns), is the map of z_l.
    outputs
        Of the layers decided: ``outputs[k]``, shape (n_k, n_columns), is the map of nu_k.

    Notes
    -----
    Entering layer l costs O(n_l n_columns) for every entry of its sources that does not vanish. Integers never round,
    so an integer layer that was entered before is only updated by the entries that have changed since.

    Examples
    --------
    relu(x) and relu(1 - x), added up, for 0 < x < 1 and for x > 1:

    >>> from tropnet import Network
    >>> net = Network.mlp([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 1.0], [0.0]])
    >>> maps = Composition.of(net.layers, net.n_inputs)
    >>> maps.follow(np.array([True, True]), 1), maps.follow(np.array([True, False]), 1)
    (array([[0., 1.]]), array([[1., 0.]]))
    """

    def __init__(self, layers: Sequence[Layer], inputs: NDArray[Any]) -> None:
        self.layers = layers
        self.rows: list[NDArray[Any]] = []
        self.outputs = [inputs]
        self._starts = [*accumulate((layer.width for layer in layers), initial=0)]
        self._bits: list[bytes] = []
        self._entered: list[_Entered | None] = [None] * len(layers)

    @classmethod
    def of(cls, layers: Sequence[Layer], n_inputs: int) -> Composition:
        """Return the maps as functions of the input: those of nu_0 are (I | 0)."""
        return cls(layers, identity_map(n_inputs, layers[0].bias.dtype))

    def enter(self) -> NDArray[Any]:
        """Return the rows of the next layer's pre-activation; the layer before must be decided."""
        index = len(self.rows)
        layer, last = self.layers[index], self._entered[index]
        sources = {k: self.outputs[k] for k in layer.weights}
        if last is None:
            rows = _weighted(layer, sources, self.outputs[0].shape[1])
            rows[:, -1] += layer.bias
        else:
            changes = {k: new - last.sources[k] for k, new in sources.items() if new is not last.sources[k]}
            rows = last.rows + _weighted(layer, changes, self.outputs[0].shape[1])
        if rows.dtype == object:
            self._entered[index] = _Entered(rows, sources)
        self.rows.append(rows)
        return rows

    def decide(self, bits: BoolArray) -> None:
        """Choose the bits of the layer entered last, bool of shape (n_l,): True takes the positive slope."""
        self.outputs.append(chosen_slopes(self.layers[len(self.rows) - 1], bits)[:, None] * self.rows[-1])
        self._bits.append(bits.tobytes())

    def follow(self, pattern: BoolArray, index: int) -> NDArray[Any]:
        """Return the rows of layer `index` (from 0) where the flat `pattern` decides the layers before.

        What agrees with the path before is kept; the path then ends at that layer, entered and not decided.
        """
        n_same = 0
        while n_same < min(index, len(self._bits)) and self._bits[n_same] == self._part(pattern, n_same).tobytes():
            n_same += 1
        del self._bits[n_same:], self.outputs[n_same + 1 :], self.rows[n_same + 1 :]
        while len(self.rows) <= index:
            if self.rows:
                self.decide(self._part(pattern, len(self.rows) - 1))
            self.enter()
        return self.rows[index]

    def row(self, neuron: int) -> NDArray[Any]:
        """Return the row of a neuron, counted through all layers, of a layer that was entered."""
        index = bisect_right(self._starts, neuron) - 1
        return np.asarray(self.rows[index][neuron - self._starts[index]])

    def _part(self, pattern: BoolArray, index: int) -> BoolArray:
        """Return the bits of one layer of a flat pattern."""
        return pattern[self._starts[index] : self._starts[index + 1]]


def identity_map(n_inputs: int, dtype: Any) -> NDArray[Any]:
    """Return the rows (I | 0) of nu_0 = x."""
    return np.eye(n_inputs, n_inputs + 1, dtype=np.int64).astype(dtype)


def compose(layers: Sequence[Layer], pattern: BoolArray, n_inputs: int) -> list[NDArray[Any]]:
    """Return the rows (a | c) of z_1, z_2, ... of all layers where the flat `pattern` of the hidden ones holds."""
    maps = Composition.of(layers, n_inputs)
    maps.follow(pattern, len(layers) - 1)
    return maps.rows


def evaluate(layers: Sequence[Layer], point: IntegerArray, unit: int) -> list[IntegerArray]:
    """Return z_1, z_2, ... of integer layers at the point x = `point` / `unit`, exactly, multiplied by `unit`."""
    # All values on one column, where maps have their constants.
    values = Composition([replace(layer, bias=layer.bias * unit) for layer in layers], point[:, None])
    for _ in layers:
        values.decide(np.asarray(values.enter()[:, 0] > 0, dtype=np.bool_))
    return [rows[:, 0] for rows in values.rows]


def compose_many(layers: Sequence[Layer], patterns: BoolArray, n_inputs: int) -> list[FloatArray]:
    """Return the rows of `compose` for many patterns (m, n_neurons) at once: float64, shapes (m, n_l, d + 1)."""
    outputs: list[FloatArray] = [np.eye(n_inputs, n_inputs + 1)[None]]
    maps = []
    for layer, bits in _decided(layers, patterns):
        rows = _biases(layer, len(patterns), n_inputs)
        for source, weight in layer.weights.items():
            rows += _products(weight, outputs[source])
        maps.append(rows)
        if layer is not layers[-1]:
            outputs.append(chosen_slopes(layer, bits)[:, :, None] * rows)
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
    maps, errors = [], []
    with np.errstate(over="ignore", invalid="ignore"):
        for layer, bits in _decided(layers, patterns):
            rows = _biases(layer, len(patterns), n_inputs)
            size, error = np.abs(rows), np.zeros_like(rows)
            for source, weight in layer.weights.items():
                rows += _products(weight, outputs[source])
                size += _products(abs(weight), np.abs(outputs[source]))
                error += _products(abs(weight), np.broadcast_to(output_errors[source], outputs[source].shape))
            n_terms = 4 + sum(weight.shape[1] + 1 for weight in layer.weights.values())
            unit, tiny = n_terms * UNIT_ROUNDOFF, n_terms * SMALLEST_NORMAL
            if set(layer.weights) != {0}:
                error = (error + unit * size) * (1 + unit) + tiny
            maps.append(rows)
            errors.append(error)
            if layer is not layers[-1]:
                chosen = chosen_slopes(layer, bits)[:, :, None]
                outputs.append(chosen * rows)
                output_errors.append((np.abs(chosen) * error + unit * np.abs(outputs[-1])) * (1 + unit) + tiny)
    return maps, errors


def _weighted(layer: Layer, sources: Mapping[int, NDArray[Any]], width: int) -> NDArray[Any]:
    """Return the sum over sources of weight times rows; rows that vanish (inactive neurons) are skipped."""
    total = np.zeros((layer.width, width), dtype=layer.bias.dtype)
    times: Callable[[Any, Any], Any] = product if total.dtype == object else operator.matmul
    for source, values in sources.items():
        weight = layer.weights[source]
        live = np.asarray(values != 0, dtype=np.bool_).any(axis=1)
        if live.all():
            total = total + times(weight, values)
        elif live.any():
            total = total + times(weight[:, live], values[live])
    return total


def chosen_slopes(layer: Layer, bits: BoolArray) -> NDArray[Any]:
    """Return the slopes that the bits (..., n_l) choose."""
    slopes = np.asarray(layer.slopes)
    return np.where(bits, slopes[:, 1], slopes[:, 0])


def _decided(layers: Sequence[Layer], patterns: BoolArray) -> Iterator[tuple[Layer, BoolArray]]:
    """Yield each layer with its columns of the patterns; what has none, the output layer, gets an empty array."""
    start = 0
    for layer in layers:
        yield layer, patterns[:, start : start + layer.width]
        start += layer.width


def _biases(layer: Layer, n_patterns: int, n_inputs: int) -> FloatArray:
    """Return rows (0 | bias), once for each pattern."""
    rows = np.zeros((n_patterns, layer.width, n_inputs + 1))
    rows[:, :, -1] = layer.bias
    return rows


def _products(weight: Matrix, stack: FloatArray) -> FloatArray:
    """Return weight @ rows for every matrix `rows` of a stack (m, n, d); a sparse weight takes no stack itself."""
    if isinstance(weight, np.ndarray):
        return weight @ stack
    return np.stack([weight @ rows for rows in stack]) if len(stack) else np.empty((0, weight.shape[0], stack.shape[2]))

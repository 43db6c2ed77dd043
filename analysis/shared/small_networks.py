"""Small ReLU networks with one output, trained on all points at once by Adam in compiled loops.

A network of a hundred parameters is so small that a framework spends its time on calls and on memory. Here a block of
points passes through all layers and back while it is in the first cache: a step of 2-5-5-5-5-5-1 on 40,401 points takes
a millisecond on one core.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

import tropnet as tn

__all__ = ["SmallNetwork"]

# Points that pass through the layers together: their values at all layers fit into the first cache.
_BLOCK = 256
_DECAY_OF_MEAN, _DECAY_OF_SQUARES, _SMALLEST = 0.9, 0.999, 1e-8  # Adam's, as in PyTorch

_compiled = njit(cache=True, error_model="numpy", fastmath={"contract", "reassoc"})


class SmallNetwork:
    """A ReLU network with one output whose layers read mixtures of earlier layers.

    Layer l reads u_l = sum_k mixing[l, k] nu_k, where nu_0 is the input and nu_k the output of hidden layer k. Weights
    and values are float32, as in PyTorch; sums over blocks of points, and Adam's means, are float64.

    Parameters
    ----------
    widths
        Inputs, hidden widths, 1.
    skips
        Pairs (k, l): the output of layer k is added to the input of layer l.
    averaged
        Whether layers with skips read the mean of what they read instead of the sum.
    seed
        Of the first weights, by PyTorch's default rule.

    Attributes
    ----------
    weights, biases
        float32, shapes (L + 1, m, m) and (L + 1, m) for m the largest width, zero beyond the width of a layer.
    steps
        Steps taken so far.
    """

    def __init__(
        self, widths: Sequence[int], skips: Sequence[tuple[int, int]] = (), *, averaged: bool = False, seed: ArrayLike
    ) -> None:
        self.widths = np.array(widths)
        n_layers, widest = len(widths) - 1, max(widths)
        drawn = tn.Network.random(widths, init="torch", seed=np.random.default_rng(seed))
        self.weights = np.zeros((n_layers, widest, widest), dtype=np.float32)
        self.biases = np.zeros((n_layers, widest), dtype=np.float32)
        for index, layer in enumerate(drawn.layers):
            self.weights[index, : widths[index + 1], : widths[index]] = layer.weights[index]
            self.biases[index, : widths[index + 1]] = layer.bias
        self.mixing = np.eye(n_layers + 1, n_layers, -1, dtype=np.float32)
        for source, target in skips:
            self.mixing[target, source] = 1
        if averaged:
            self.mixing[1:] /= self.mixing[1:].sum(axis=1, keepdims=True)
        self.steps = 0
        self._means = [np.zeros((2, *array.shape)) for array in (self.weights, self.biases)]

    def train(self, points: ArrayLike, values: ArrayLike, n_steps: int, learning_rate: float) -> None:
        """Take steps of Adam on the mean squared error at all points (n, 2), from where the last call ended."""
        x, y = _float32(points, values)
        parameters = (self.weights, self.biases)
        _train(*parameters, *self._means, self.mixing, self.widths, x, y, self.steps, n_steps, learning_rate)
        self.steps += n_steps

    def loss(self, points: ArrayLike, values: ArrayLike) -> float:
        """Return the mean squared error."""
        x, y = _float32(points, values)
        sums = [np.zeros(array.shape) for array in (self.weights, self.biases)]
        return float(_loss(self.weights, self.biases, self.mixing, self.widths, x, y, *sums))

    def network(self) -> tn.Network:
        """Return the network as it is now; float64 holds its weights exactly, their mixtures where those are dyadic."""
        layers = []
        for index, (n, m) in enumerate(zip(self.widths[1:], self.widths, strict=False)):
            weight = self.weights[index, :n, :m].astype(np.float64)
            shares = self.mixing[index + 1].astype(np.float64)
            sources = {int(k): shares[k] * weight for k in np.flatnonzero(shares)}
            layers.append(tn.Layer(sources, self.biases[index, :n].astype(np.float64)))
        return tn.Network(layers)


def _float32(points: ArrayLike, values: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return points by coordinate, and values."""
    return np.ascontiguousarray(np.asarray(points, dtype=np.float32).T), np.asarray(values, dtype=np.float32)


# --- compiled


@_compiled
def _add(factor: Any, x: Any, z: Any, n: int) -> None:
    for p in range(n):
        z[p] += factor * x[p]


@_compiled
def _dot(x: Any, y: Any, n: int) -> Any:
    total = np.float32(0)
    for p in range(n):
        total += x[p] * y[p]
    return total


@_compiled
def _loss(
    weights: Any, biases: Any, mixing: Any, widths: Any, x: Any, y: Any, by_weights: Any, by_biases: Any
) -> float:
    """Return the mean squared error, and write half its gradient, times the number of points, into the last two."""
    n_layers, widest, n_points = len(weights), weights.shape[1], x.shape[1]
    zero = np.float32(0)
    outputs = np.zeros((n_layers + 1, widest, _BLOCK), np.float32)  # nu, of the last layer before its ReLU
    inputs = np.zeros((n_layers + 1, widest, _BLOCK), np.float32)  # u
    slopes = np.zeros((n_layers + 1, widest, _BLOCK), np.float32)  # half the derivative of the error by nu
    by_input = np.zeros(_BLOCK, np.float32)
    by_weights[:] = 0
    by_biases[:] = 0
    loss = 0.0
    for first in range(0, n_points, _BLOCK):
        n = min(_BLOCK, n_points - first)
        for j in range(widths[0]):
            for p in range(n):
                outputs[0, j, p] = x[j, first + p]
        for layer in range(1, n_layers + 1):
            for j in range(widths[layer - 1]):
                share = mixing[layer, layer - 1]
                for p in range(n):
                    inputs[layer, j, p] = share * outputs[layer - 1, j, p]
                for k in range(layer - 1):
                    if mixing[layer, k] != 0:
                        _add(mixing[layer, k], outputs[k, j], inputs[layer, j], n)
            for i in range(widths[layer]):
                z = outputs[layer, i]
                for p in range(n):
                    z[p] = biases[layer - 1, i]
                for j in range(widths[layer - 1]):
                    _add(weights[layer - 1, i, j], inputs[layer, j], z, n)
                if layer < n_layers:
                    for p in range(n):
                        z[p] = max(z[p], zero)
        slopes[:n_layers] = 0
        for p in range(n):
            slopes[n_layers, 0, p] = outputs[n_layers, 0, p] - y[first + p]
        loss += _dot(slopes[n_layers, 0], slopes[n_layers, 0], n)
        for layer in range(n_layers, 0, -1):
            for i in range(widths[layer]):
                slope, total = slopes[layer, i], zero
                if layer < n_layers:
                    for p in range(n):
                        slope[p] = slope[p] if outputs[layer, i, p] > 0 else zero
                for p in range(n):
                    total += slope[p]
                by_biases[layer - 1, i] += total
                for j in range(widths[layer - 1]):
                    by_weights[layer - 1, i, j] += _dot(slope, inputs[layer, j], n)
            if layer > 1:
                for j in range(widths[layer - 1]):
                    by_input[:] = 0
                    for i in range(widths[layer]):
                        _add(weights[layer - 1, i, j], slopes[layer, i], by_input, n)
                    for k in range(1, layer):
                        if mixing[layer, k] != 0:
                            _add(mixing[layer, k], by_input, slopes[k, j], n)
    return loss / n_points


@_compiled
def _adam(parameters: Any, slopes: Any, means: Any, factor: float, step: int, learning_rate: float) -> None:
    """Take a step of Adam by the gradient `factor` * `slopes`; `means` holds those of it and of its square."""
    for index in np.ndindex(parameters.shape):
        slope = factor * slopes[index]
        mean = _DECAY_OF_MEAN * means[0][index] + (1 - _DECAY_OF_MEAN) * slope
        square = _DECAY_OF_SQUARES * means[1][index] + (1 - _DECAY_OF_SQUARES) * slope * slope
        means[0][index], means[1][index] = mean, square
        spread = np.sqrt(square / (1 - _DECAY_OF_SQUARES**step)) + _SMALLEST
        parameters[index] -= learning_rate * mean / (1 - _DECAY_OF_MEAN**step) / spread


@_compiled
def _train(
    weights: Any,
    biases: Any,
    means_of_weights: Any,
    means_of_biases: Any,
    mixing: Any,
    widths: Any,
    x: Any,
    y: Any,
    step: int,
    n_steps: int,
    learning_rate: float,
) -> None:
    by_weights, by_biases = np.zeros(weights.shape), np.zeros(biases.shape)
    for taken in range(step + 1, step + n_steps + 1):
        _loss(weights, biases, mixing, widths, x, y, by_weights, by_biases)
        _adam(weights, by_weights, means_of_weights, 2 / len(y), taken, learning_rate)
        _adam(biases, by_biases, means_of_biases, 2 / len(y), taken, learning_rate)

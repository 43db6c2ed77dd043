"""Bounds on what neurons reach where their inputs have bounds: interval arithmetic, rounded outwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tropnet.arrays.rounding import EPSILON, SMALLEST_NORMAL
from tropnet.arrays.types import FloatArray
from tropnet.network.affine import Matrix
from tropnet.network.layers import Layer

__all__ = ["Interval", "output_interval", "output_intervals", "pre_activation_interval", "times"]

Interval = tuple[FloatArray, FloatArray]


def output_intervals(layers: Sequence[Layer], inputs: Interval) -> list[Interval]:
    """Return bounds on nu_0, nu_1, ... of all layers from those of nu_0 = x, float64 of shapes (n_k,).

    Rigorous for the exact values of the float64 network: every bound holds whatever rounding, underflow or overflow
    does. Bounds may be infinite, as those of the inputs.

    Examples
    --------
    relu(x - y) for 0 <= x <= 1 and y >= 0:

    >>> layer = Layer({0: np.array([[1.0, -1.0]])}, np.array([0.0]), np.array([[0.0, 1.0]]))
    >>> low, high = output_intervals([layer], (np.zeros(2), np.array([1.0, np.inf])))[1]
    >>> low, high.round(12)
    (array([0.]), array([1.]))
    """
    outputs = [inputs]
    for layer in layers:
        outputs.append(output_interval(layer, pre_activation_interval(layer, outputs)))
    return outputs


def pre_activation_interval(layer: Layer, outputs: Sequence[Interval]) -> Interval:
    """Return bounds on z of a layer from those of its sources, rounded outwards; infinite where they overflow."""
    low = high = layer.bias
    size, n_terms = np.abs(layer.bias), 2
    has_terms = np.zeros(layer.width, dtype=np.bool_)
    with np.errstate(over="ignore", invalid="ignore"):
        for source, weight in layer.weights.items():
            below, above = outputs[source]
            plus, minus = _signed_parts(weight)
            (finite_below, no_below), (finite_above, no_above) = map(_finite, (below, above))
            low = low + (plus @ finite_below + minus @ finite_above)
            high = high + (plus @ finite_above + minus @ finite_below)
            size = size + abs(weight) @ np.maximum(np.abs(finite_below), np.abs(finite_above))
            n_terms += 2 * weight.shape[1] + 2
            has_terms |= abs(weight) @ ((below != 0) | (above != 0)).astype(np.float64) > 0
            if no_below.any() or no_above.any():
                # Counts instead of sums: 0 * infinity is 0.
                low = np.where((plus > 0) @ no_below + (minus < 0) @ no_above > 0, -np.inf, low)
                high = np.where((plus > 0) @ no_above + (minus < 0) @ no_below > 0, np.inf, high)
        # Without terms, as in a pruned neuron, z is the bias.
        error = np.where(has_terms, n_terms * (EPSILON * size * 2 + SMALLEST_NORMAL), 0.0)
        low, high = low - error, high + error
    return np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)


def output_interval(layer: Layer, z: Interval) -> Interval:
    """Return bounds on nu of a layer from those of its pre-activation z, rounded outwards."""
    low, high = z
    s_neg, s_pos = np.asarray(layer.slopes).T
    ends, slopes = np.stack([low, high]), np.stack([np.where(end > 0, s_pos, s_neg) for end in z])
    values = times(slopes, ends)
    # Products with zero are exact: what is zero everywhere must not look as if it had a sign.
    rounded = (slopes != 0) & (ends != 0)
    kink = (low < 0) & (high > 0)
    sides = [np.where(rounded, np.nextafter(values, side), values) for side in (-np.inf, np.inf)]
    lows, highs = (np.concatenate([side, np.where(kink, 0.0, side[:1])]) for side in sides)
    return lows.min(axis=0), highs.max(axis=0)


def times(factors: FloatArray, values: FloatArray) -> FloatArray:
    """Return products of finite factors and values that may be infinite, with 0 * infinity = 0."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(factors == 0, 0.0, factors * values)


def _finite(side: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the finite bounds of a side, 0 in place of others, and where those are, as 0 and 1."""
    infinite = np.isinf(side)
    return np.where(infinite, 0.0, side), infinite.astype(np.float64)


def _signed_parts(weight: Matrix) -> tuple[Any, Any]:
    """Return the matrices of the positive and of the negative weights."""
    if isinstance(weight, np.ndarray):
        return np.maximum(weight, 0), np.minimum(weight, 0)
    return weight.maximum(0), weight.minimum(0)

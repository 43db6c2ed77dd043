"""Forward passes of layers at many points: values in float64, and bits that a bound on the rounding proves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tropnet.arrays.patterns import BoolArray
from tropnet.arrays.rounding import EPSILON, SMALLEST_NORMAL
from tropnet.arrays.types import FloatArray
from tropnet.errors import NonFiniteError
from tropnet.network.layers import Layer
from tropnet.network.recurrence import chosen_slopes

__all__ = ["certain_bits", "pre_activations"]


def pre_activations(layers: Sequence[Layer], points: FloatArray) -> list[FloatArray]:
    """Return z_1, z_2, ... of all layers at points (n, d), float64 of shapes (n, n_l).

    Raises
    ------
    NonFiniteError
        A layer overflows float64.
    """
    outputs, values = [points], []
    with np.errstate(over="ignore", invalid="ignore"):
        for layer in layers:
            z = sum((outputs[k] @ weight.T for k, weight in layer.weights.items()), start=layer.bias)
            z = np.broadcast_to(z, (len(points), layer.width))
            values.append(z)
            outputs.append(chosen_slopes(layer, z > 0) * z)
    for index, z in enumerate(values, start=1):
        bad = np.argwhere(~np.isfinite(z))
        if len(bad):
            raise NonFiniteError(f"layer {index} overflows float64 at point {bad[0, 0]} of x; scale the input.")
    return values


def certain_bits(layers: Sequence[Layer], points: FloatArray) -> tuple[BoolArray, BoolArray]:
    """Return the bits of all neurons at points (n, d), and where all are proven; see `Network.certain_pattern`."""
    outputs, errors = [points], [np.zeros_like(points)]
    bits, certain = [np.empty((len(points), 0), dtype=np.bool_)], np.ones(len(points), dtype=np.bool_)
    with np.errstate(over="ignore", invalid="ignore"):
        for layer in layers:
            n_terms = 3 + sum(weight.shape[1] for weight in layer.weights.values())
            # A product that underflows is off by less than the smallest normal number.
            unit, lost = n_terms * EPSILON, n_terms * SMALLEST_NORMAL
            z = np.broadcast_to(layer.bias, (len(points), layer.width))
            size, error = np.abs(z), np.zeros_like(z)
            for source, weight in layer.weights.items():
                z = z + outputs[source] @ weight.T
                size = size + np.abs(outputs[source]) @ abs(weight).T
                error = error + errors[source] @ abs(weight).T
            blank = size == 0
            if blank.any():
                # Terms of size 0 are zero unless they underflowed. (Where no bit so far is in doubt, an output is
                # exactly zero iff its float64 value has no error to carry.)
                blank = np.broadcast_to(layer.bias == 0, blank.shape)
                for source, weight in layer.weights.items():
                    live = ((outputs[source] != 0) | (errors[source] != 0)).astype(np.float32)
                    blank = blank & ~(live @ (weight != 0).astype(np.float32).T > 0)
            error = np.where(blank, 0.0, (error + unit * size) * (1 + unit) + lost)
            certain &= ((np.abs(z) > error) | layer.affine_neurons | blank).all(axis=1)
            bits.append((z > 0) & ~layer.affine_neurons)
            chosen = chosen_slopes(layer, z > 0)
            outputs.append(chosen * z)
            carried = np.abs(chosen) * error * (1 + unit) + unit * np.abs(chosen * z) + lost
            errors.append(np.where((chosen == 0) | blank, 0.0, carried))
    return np.concatenate(bits, axis=1), certain

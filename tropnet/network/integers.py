"""Networks over the integers: every float64 is an integer times a power of two, so no sign is ever rounded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse

from tropnet.exact.dyadic import to_integers
from tropnet.network.layers import Layer

__all__ = ["IntegerNetwork", "over_integers", "underflows"]

# Products of weights down to 2**-900 keep all their digits, and sums of them and biases too.
_SMALLEST_EXPONENT = -900.0


class IntegerNetwork(NamedTuple):
    """A network's layers over the integers, each layer multiplied by a power of two.

    `layers` obeys the same recurrence as the float64 layers; its pre-activations are ``z_l * 2**exponents[l - 1]``,
    so every sign is the exact sign of the stored float64 network.
    """

    layers: tuple[Layer, ...]
    exponents: tuple[int, ...]


def over_integers(layers: Sequence[Layer]) -> IntegerNetwork:
    """Return dense layers over the integers."""
    scaled_layers, exponents, output_exponents = [], [], [0]
    for layer in layers:
        scaled = {source: to_integers(weight) for source, weight in layer.weights.items()}
        bias, bias_exponent = to_integers(layer.bias)
        exponent = max([bias_exponent, *(power + output_exponents[k] for k, (_, power) in scaled.items())])
        slopes, slope_exponent = to_integers(np.asarray(layer.slopes))
        scaled_layers.append(
            Layer(
                {k: w << (exponent - power - output_exponents[k]) for k, (w, power) in scaled.items()},
                np.asarray(bias << (exponent - bias_exponent)),
                slopes,
            )
        )
        exponents.append(exponent)
        output_exponents.append(exponent + slope_exponent)
    return IntegerNetwork(tuple(scaled_layers), tuple(exponents))


def underflows(layers: Sequence[Layer]) -> bool:
    """Return whether a product of weights and slopes, one of each layer, could be smaller than float64 holds."""
    exponent = 0.0
    for layer in layers:
        factors = [weight.data if sparse.issparse(weight) else weight for weight in layer.weights.values()]
        for values in (np.concatenate([np.ravel(each) for each in factors]), np.ravel(layer.slopes)):
            sizes = np.abs(values[values != 0])
            exponent += min(0.0, float(np.log2(sizes.min()))) if len(sizes) else 0.0
    return exponent < _SMALLEST_EXPONENT

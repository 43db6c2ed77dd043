"""Two networks on the same inputs as one network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tropnet.arrays.types import FloatArray
from tropnet.errors import ShapeError
from tropnet.network.layers import Layer
from tropnet.network.network import Network, dense_network

__all__ = ["side_by_side"]


def side_by_side(a: Network, b: Network) -> Network:
    """Return the network with the outputs of both: the hidden layers of `a`, those of `b`, and both output layers.

    Raises
    ------
    ShapeError
        The networks have different numbers of inputs or outputs.

    Examples
    --------
    >>> one, two = (Network.mlp([[[w]], [[1.0]]], [[0.0], [0.0]]) for w in (1.0, 2.0))
    >>> side_by_side(one, two)([3.0])
    array([3., 6.])
    """
    a, b = dense_network(a), dense_network(b)
    if (a.n_inputs, a.n_outputs) != (b.n_inputs, b.n_outputs):
        raise ShapeError(
            "the networks must have the same numbers of inputs and outputs, got"
            f" {a.n_inputs} and {a.n_outputs}, {b.n_inputs} and {b.n_outputs}."
        )
    shift = len(a.hidden)

    def moved(layer: Layer) -> dict[int, FloatArray]:
        return {k + shift if k else 0: weight for k, weight in layer.weights.items()}

    hidden = [*a.hidden, *(replace(layer, weights=moved(layer)) for layer in b.hidden)]
    upper, lower = a.layers[-1].weights, moved(b.layers[-1])
    weights = {}
    for source in sorted({*upper, *lower}):
        width = hidden[source - 1].width if source else a.n_inputs
        nothing = np.zeros((a.n_outputs, width))
        weights[source] = np.concatenate([upper.get(source, nothing), lower.get(source, nothing)])
    last = Layer(weights, np.concatenate([a.layers[-1].bias, b.layers[-1].bias]))
    return Network([*hidden, last], a.n_inputs)

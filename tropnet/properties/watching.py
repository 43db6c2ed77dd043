"""A network with neurons that watch inequalities of its inputs and outputs: where one is off, its inequality is false.

With them the engines, which decide every sign exactly, tell in which regions a formula can hold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tropnet.arrays.types import FloatArray
from tropnet.network.intervals import output_intervals
from tropnet.network.layers import AFFINE, RELU, Layer
from tropnet.network.network import Network
from tropnet.properties.formula import Inequality
from tropnet.properties.rows import float_row

__all__ = ["Watched", "watched"]

# How far an inequality may fail where its neuron is on, in units of its largest coefficient. It must be more than 0, so
# that what holds at single points only is not lost; and rather more than rounding, which exact arithmetic would settle.
_SLACK = 2.0**-36


class Watched(NamedTuple):
    """A network with two more hidden layers: its outputs, as affine neurons, and a neuron for each inequality.

    Attributes
    ----------
    network
        It has the regions of the network given, cut further where a watching neuron changes its sign.
    inequalities
        Those watched, one for each of the last neurons, in order.
    """

    network: Network
    inequalities: tuple[Inequality, ...]

    @property
    def outputs(self) -> int:
        """The index of the hidden layer, from 0, whose pre-activations are the outputs of the network given."""
        return len(self.network.layers) - 2 - bool(self.inequalities)


def watched(net: Network, bounds: tuple[FloatArray, FloatArray], inequalities: Sequence[Inequality]) -> Watched:
    """Return a network whose last neurons are on wherever one of the inequalities holds for inputs in their bounds.

    Those that float64 cannot hold are left out.
    """
    x_sizes, y_sizes = (
        np.maximum(np.abs(low), np.abs(high)) for low, high in (bounds, output_intervals(net.layers, bounds)[-1])
    )
    d, m = net.n_inputs, net.n_outputs
    rows: list[FloatArray] = []
    seen: list[Inequality] = []
    for each in inequalities:
        row = float_row(each, x_sizes, y_sizes)
        if row is not None and row[:-1].any():
            row[-1] = math.nextafter(row[-1] + _SLACK, math.inf)
            rows.append(row)
            seen.append(each)
    last, n_hidden = net.layers[-1], len(net.hidden)
    layers = [*net.hidden, Layer(last.weights, last.bias, AFFINE)]
    if rows:
        matrix = np.array(rows)
        weights = {n_hidden + 1: matrix[:, d:-1]}
        if matrix[:, :d].any():
            weights[0] = matrix[:, :d]
        layers.append(Layer(weights, matrix[:, -1], RELU))
    n_last = len(rows) or m
    return Watched(Network([*layers, Layer({len(layers): np.zeros((1, n_last))}, np.zeros(1))], d), tuple(seen))

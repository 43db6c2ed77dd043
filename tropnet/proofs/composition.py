"""A network over the integers, and its rows on one activation pattern after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import lcm
from operator import mul
from typing import Any

from tropnet.errors import CertificateError
from tropnet.proofs.rows import Row, Scaled, integers
from tropnet.proofs.statement import Layers

__all__ = ["Composition", "IntegerNetwork"]


class _Layer:
    """A layer over the integers: weights by source, a tuple for each neuron there, over one unit."""

    def __init__(self, weights: Mapping[int, Any], bias: Sequence[float], slopes: Sequence[Sequence[float]]) -> None:
        self.width = n = len(bias)
        sources = sorted(weights)
        flat, self.unit = integers([*(w for k in sources for row in weights[k] for w in row), *bias])
        self.columns: dict[int, list[Row]] = {}
        place = 0
        for k in sources:
            m = len(weights[k][0])
            self.columns[k] = [tuple(flat[place + i : place + n * m : m]) for i in range(m)]
            place += n * m
        self.bias = tuple(flat[place:])
        pairs, self.slope_unit = integers([slope for pair in slopes for slope in pair])
        self.slopes = [(pairs[2 * j], pairs[2 * j + 1]) for j in range(len(slopes))]

    def pre_activations(self, outputs: Sequence[Sequence[Row | None]], units: Sequence[int]) -> tuple[list[Row], int]:
        """Return z as rows with their unit, from the outputs of all layers before; None is a neuron that is zero."""
        common = lcm(*[units[k] for k in self.columns])
        constants = len(outputs[0][0] or ()) - 1  # no input is None
        weights, rows = [self.bias], [(0,) * constants + (common,)]
        for k, columns in self.columns.items():
            factor = common // units[k]
            for column, row in zip(columns, outputs[k], strict=True):
                if row is not None:
                    weights.append(column)
                    rows.append(row if factor == 1 else tuple([factor * value for value in row]))
        coordinates = list(zip(*rows, strict=True))
        z = [tuple([sum(map(mul, w, x)) for x in coordinates]) for w in zip(*weights, strict=True)]
        return z, self.unit * common

    def activations(self, z: Sequence[Row], bits: Sequence[bool]) -> list[Row | None]:
        """Return the outputs, over the unit of z times that of the slopes; a bit chooses the slope for z > 0."""
        return [_times(pair[bit], row) for pair, row, bit in zip(self.slopes, z, bits, strict=True)]


def _times(factor: int, row: Row) -> Row | None:
    return row if factor == 1 else tuple([factor * value for value in row]) if factor else None


class IntegerNetwork:
    """The layers of a network over the integers, and where the neurons of each begin in a pattern."""

    def __init__(self, layers: Layers, n_inputs: int) -> None:
        *hidden, (weights, bias, _) = layers
        self.hidden = [_Layer(*layer) for layer in hidden]
        self.last = _Layer(weights, bias, [])
        self.n_inputs, self.n_neurons = n_inputs, sum(layer.width for layer in self.hidden)

    def at(self, x: Sequence[Fraction]) -> list[Fraction]:
        """Return the outputs at a point."""
        values, unit = integers(x)
        outputs: list[Sequence[Row | None]] = [[(value,) for value in values]]
        units = [unit]
        for layer in self.hidden:
            z, unit = layer.pre_activations(outputs, units)
            outputs.append(layer.activations(z, [row[0] > 0 for row in z]))
            units.append(unit * layer.slope_unit)
        y, unit = self.last.pre_activations(outputs, units)
        return [Fraction(row[0], unit) for row in y]


class Composition:
    """The rows of one pattern after another; what the first layers make of equal bits is kept."""

    def __init__(self, network: IntegerNetwork, inputs: list[Row], unit: int) -> None:
        self._network = network
        self._bits: list[Sequence[bool]] = []
        self._z: list[tuple[list[Row], int]] = []
        self._rows: list[list[Scaled | None]] = []
        self._outputs: list[Sequence[Row | None]] = [inputs]
        self._units = [unit]

    def rows(self, bits: Sequence[bool]) -> list[Scaled | None]:
        """Rule PATTERN: return the row of each neuron, its pre-activation with the sign of its bit.

        None where there is none to check: of affine neurons, whose bit must be False; of constant pre-activations,
        whose bit must say whether they are positive.
        """
        place, same = 0, True
        for index, layer in enumerate(self._network.hidden):
            own = bits[place : place + layer.width]
            if not same:
                self._z.append(layer.pre_activations(self._outputs, self._units))
            elif index == len(self._z):
                self._z.append(layer.pre_activations(self._outputs, self._units))
                same = False
            elif own != self._bits[index]:
                del self._z[index + 1 :], self._bits[index:], self._rows[index:], self._outputs[index + 1 :]
                del self._units[index + 1 :]
                same = False
            if not same:
                z, unit = self._z[index]
                self._bits.append(own)
                self._rows.append([_signed(layer, j, z[j], unit, bit, place + j) for j, bit in enumerate(own)])
                self._outputs.append(layer.activations(z, own))
                self._units.append(unit * layer.slope_unit)
            place += layer.width
        return [row for rows in self._rows for row in rows]

    def outputs(self) -> tuple[list[Row], int]:
        """Return the outputs y on the region of the last pattern."""
        return self._network.last.pre_activations(self._outputs, self._units)


def _signed(layer: _Layer, j: int, z: Row, unit: int, bit: bool, neuron: int) -> Scaled | None:
    low, high = layer.slopes[j]
    if low != high and any(z[:-1]):
        return (z if bit else tuple([-value for value in z])), unit
    if bit != (low != high and z[-1] > 0):
        kind = "affine" if low == high else "zero or negative" if bit else "positive"
        raise CertificateError(f"neuron {neuron} has the bit {bit}, but it is {kind} everywhere in this pattern.")
    return None

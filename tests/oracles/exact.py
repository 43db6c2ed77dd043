"""Exact rational reading of a network, shared by the oracles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

Number = float | Fraction
HalfSpace = tuple[Sequence[Number], Number]
Pattern = tuple[bool, ...]
Vector = tuple[Fraction, ...]


class LayerLike(Protocol):
    """What the oracles read of a layer; arrays need only iterate and index."""

    @property
    def weights(self) -> Mapping[int, Any]: ...
    @property
    def bias(self) -> Any: ...
    @property
    def slopes(self) -> Any: ...


class NetworkLike(Protocol):
    """What the oracles read of a network."""

    @property
    def layers(self) -> Sequence[LayerLike]: ...
    @property
    def n_inputs(self) -> int: ...


def rational(value: Any) -> Fraction:
    """Return the exact value of a finite number, NumPy scalars included."""
    # A NumPy integer would survive inside Fraction and silently wrap around at 64 bits.
    return Fraction(value.tolist() if hasattr(value, "tolist") else value)


def rationals(values: Iterable[Any]) -> Vector:
    """Return the exact values of a sequence of finite numbers."""
    return tuple(map(rational, values))


@dataclass(frozen=True)
class Neuron:
    """One neuron: ``z = sum of weights[k] . nu_k + bias``, then two slopes."""

    weights: Mapping[int, Vector]
    bias: Fraction
    slopes: tuple[Fraction, Fraction]

    @property
    def splits(self) -> bool:
        """Whether the neuron has a breakpoint, that is, unequal slopes."""
        return self.slopes[0] != self.slopes[1]

    def pre_activation(self, outputs: Sequence[Sequence[Vector]], width: int) -> Vector:
        """Return ``z``, given ``outputs[k]``, the values of the neurons of source ``k``.

        A value is a tuple of `width` coefficients with the constant last: an affine form in the
        inputs has ``width = n_inputs + 1``, a plain number has ``width = 1``.
        """
        z = [Fraction(0)] * (width - 1) + [self.bias]
        for source, row in self.weights.items():
            for weight, value in zip(row, outputs[source], strict=True):
                if weight and any(value):
                    z = [c + weight * v for c, v in zip(z, value, strict=True)]
        return tuple(z)

    def output(self, z: Vector, bit: bool) -> Vector:
        """Return ``nu`` on the side of the breakpoint that `bit` names."""
        slope = self.slopes[bit]
        return z if slope == 1 else tuple(slope * c for c in z)


def exact_layers(net: NetworkLike) -> list[list[Neuron]]:
    """Return the neurons of every layer of `net`, the affine output layer last.

    The output layer is affine by definition, so its slopes are not read.
    """
    last = len(net.layers) - 1
    return [
        [
            Neuron(
                {source: rationals(_dense_row(matrix, i)) for source, matrix in layer.weights.items()},
                rational(bias),
                (Fraction(1), Fraction(1))
                if index == last
                else (rational(layer.slopes[i][0]), rational(layer.slopes[i][1])),
            )
            for i, bias in enumerate(layer.bias)
        ]
        for index, layer in enumerate(net.layers)
    ]


def _dense_row(matrix: Any, i: int) -> Any:
    """Return row i of a matrix that may be sparse; older sparse arrays have no rows of one dimension."""
    return matrix[[i]].toarray()[0] if hasattr(matrix, "toarray") else matrix[i]


def coordinate_forms(n_inputs: int) -> list[Vector]:
    """Return the coordinate functions of the input space as affine forms, constant last."""
    return [tuple(Fraction(i == j) for j in range(n_inputs + 1)) for i in range(n_inputs)]

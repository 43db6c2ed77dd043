"""Proofs that an open cell is non-empty (a witness) or empty (multipliers), and their exact check.

A cell is given by integer rows (a | c), each meaning ``a x + c > 0``. Checking a proof takes a few integer products and
needs no solver; nothing here knows how a proof was found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import lcm

import numpy as np
from numpy.typing import ArrayLike

from tropnet.arrays.types import FloatArray, IntegerArray
from tropnet.exact.dyadic import nearest_float, to_integers

__all__ = ["Witness", "multipliers_prove_empty", "witness_is_inside"]


@dataclass(frozen=True)
class Witness:
    """A rational point, in homogeneous integer coordinates.

    Parameters
    ----------
    homogeneous
        Integers (X_1, ..., X_d, w) with w > 0; the point is X / w.

    Examples
    --------
    >>> Witness((1, -2, 4)).fractions
    (Fraction(1, 4), Fraction(-1, 2))
    """

    homogeneous: tuple[int, ...]

    @classmethod
    def at(cls, point: ArrayLike) -> Witness:
        """Return the witness at a float64 point (d,), exactly."""
        integers, exponent = to_integers(point)
        return cls((*integers.tolist(), 1 << exponent))

    @classmethod
    def from_fractions(cls, values: Sequence[Fraction]) -> Witness:
        """Return the witness with these exact coordinates."""
        denominator = lcm(*(value.denominator for value in values))
        numerators = (value.numerator * (denominator // value.denominator) for value in values)
        return cls((*numerators, denominator))

    @cached_property
    def fractions(self) -> tuple[Fraction, ...]:
        """The exact coordinates."""
        *numerators, denominator = self.homogeneous
        return tuple(Fraction(numerator, denominator) for numerator in numerators)

    @cached_property
    def point(self) -> FloatArray:
        """The nearest finite float64 point, shape (d,). It is the witness itself iff `is_float`."""
        *numerators, denominator = self.homogeneous
        return np.array([nearest_float(numerator, denominator) for numerator in numerators], dtype=np.float64)

    @cached_property
    def is_float(self) -> bool:
        """Whether the coordinates are float64 numbers."""
        return all(Fraction(x) == value for x, value in zip(self.point.tolist(), self.fractions, strict=True))

    def sign(self, row: Sequence[int]) -> int:
        """Return the exact sign, -1, 0 or 1, of a x + c at this point for a row (a | c)."""
        value = sum(a * x for a, x in zip(row, self.homogeneous, strict=True))
        return (value > 0) - (value < 0)


def witness_is_inside(rows: Sequence[IntegerArray], witness: Witness) -> bool:
    """Return whether a x + c > 0 holds at the witness for every row (a | c).

    Examples
    --------
    >>> witness_is_inside([np.array([1, 0], dtype=object)], Witness((1, 2)))
    True
    """
    return all(witness.sign(row.tolist()) > 0 for row in rows)


def multipliers_prove_empty(rows: Sequence[IntegerArray], multipliers: Mapping[int, int]) -> bool:
    """Return whether the multipliers prove that {x : a x + c > 0 for every row} is empty.

    They do iff y >= 0, y != 0, ``sum y_i a_i = 0`` and ``sum y_i c_i <= 0``: a point inside would make the sum of the
    ``y_i (a_i x + c_i)`` positive. Equality is allowed, so this proves emptiness of interiors, which a Farkas
    certificate does not. By Gordan's theorem every empty cell has such multipliers.

    Examples
    --------
    ``x > 0`` and ``-x > 0``:

    >>> rows = [np.array([1, 0], dtype=object), np.array([-1, 0], dtype=object)]
    >>> multipliers_prove_empty(rows, {0: 1, 1: 1}), multipliers_prove_empty(rows, {0: 1})
    (True, False)
    """
    if not any(multipliers.values()) or min(multipliers.values()) < 0:
        return False
    # Summed as plain integers: dtype object never rounds.
    total = sum(y * rows[i] for i, y in multipliers.items()).tolist()
    return not any(total[:-1]) and total[-1] <= 0

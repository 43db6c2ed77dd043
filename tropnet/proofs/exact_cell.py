"""What is proven of one region over the integers: least values with multipliers, and points of facets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import lcm
from typing import NamedTuple

import numpy as np

from tropnet.errors import TropnetError
from tropnet.exact.certificates import Witness
from tropnet.exact.simplex import Dictionary
from tropnet.feasibility import Feasible, deciding_backend
from tropnet.proofs.frame import ExactRow

__all__ = ["ExactCell", "Least"]


class Least(NamedTuple):
    """The least value of a function on a region, and multipliers of rows, by place, that prove it.

    The function is the sum of these multiples, and of the value.
    """

    value: Fraction
    multipliers: dict[int, Fraction]


class ExactCell:
    """A region by its exact rows.

    Parameters
    ----------
    rows
        All rows, by place.
    facets
        The places of those that define facets.
    witness
        A point strictly inside.
    n_sides
        How many rows, the last ones, are those of the domain.
    """

    def __init__(self, rows: Sequence[ExactRow], facets: Sequence[int], witness: Witness, n_sides: int) -> None:
        self.rows, self.facets, self._witness = rows, facets, witness
        self._inner = [place for place in facets if place < len(rows) - n_sides]

    def is_tied(self, place: int) -> bool:
        """Return whether a row is a positive multiple of one of a neuron that defines a facet."""
        return any(self.rows[place].is_multiple_of(self.rows[facet]) for facet in self._inner)

    def least(self, functions: Sequence[ExactRow]) -> Iterator[Least | None]:
        """Yield the least value of each function on the closed region; None where it has none.

        One dictionary serves them all: each program starts where the one before ended.
        """
        k = len(self._witness.homogeneous) - 1
        given = [self.rows[place].values for place in self.facets] + [each.values for each in functions]
        names = [-1 - k - i for i in range(len(functions))]
        dictionary = _dictionary(given, self._witness, names)
        for name, function in zip(names, functions, strict=True):
            if dictionary.optimise(name, -1) is not None:
                yield None
                continue
            row = dictionary.table[dictionary.basis.index(name)].tolist()
            yield Least(
                function.unit * Fraction(row[-1], dictionary.det * self._witness.homogeneous[-1]),
                {
                    self.facets[slack]: Fraction(value, dictionary.det)
                    * function.unit
                    / self.rows[self.facets[slack]].unit
                    for slack, value in zip(dictionary.cobasis, row, strict=False)
                    if value
                },
            )

    def largest_of_least(self, functions: Sequence[ExactRow]) -> list[Fraction]:
        """Return weights that add up to 1, and make the least value on the region of the sum of functions largest.

        By duality that is the least s with f(t) <= s for all functions f and some point t; the weights are the
        multipliers of these rows.
        """
        k, m = len(self._witness.homogeneous) - 1, len(self.facets)
        # With integer functions times one unit, s is in that unit.
        unit = Fraction(1, lcm(*(function.unit.denominator for function in functions)))
        scaled = [[int(value * function.unit / unit) for value in function.values] for function in functions]
        point = self._witness.homogeneous
        values = [Fraction(sum(p * q for p, q in zip(row, point, strict=True)), point[-1]) for row in scaled]
        start = Witness.from_fractions([*self._witness.fractions, max(values) + 1])
        rows = [[*values[:-1], 0, values[-1]] for values in (self.rows[place].values for place in self.facets)]
        rows += [[*(-value for value in row[:-1]), 1, -row[-1]] for row in scaled]
        dictionary = _dictionary([*rows, [*[0] * k, 1, 0]], start, [-2 - k])
        if dictionary.optimise(-2 - k, -1) is not None:
            # All functions get as small as one likes; no weights prove anything.
            return [Fraction(1, len(functions))] * len(functions)
        row = dictionary.table[dictionary.basis.index(-2 - k)].tolist()
        weights = [Fraction(0)] * len(functions)
        for slack, value in zip(dictionary.cobasis, row, strict=False):
            if slack >= m:
                weights[slack - m] = Fraction(value, dictionary.det)
        return weights

    def facet_point(self, facet: int) -> tuple[Fraction, ...]:
        """Return a point in the relative interior of a facet, all of whose coordinates but one are float64 if possible.

        That one is the first in which the row is steepest; the row determines it.
        """
        *a, c = self.rows[facet].values
        along = max(range(len(a)), key=lambda j: (abs(a[j]), -j))
        sign, size = (1 if a[along] > 0 else -1), abs(a[along])
        others = [j for j in range(len(a)) if j != along]
        t: list[Fraction] = []
        if others:
            backend = deciding_backend(len(others), "exact")
            for place in self.facets:
                row = self.rows[place].values
                # The row at t with a t + c = 0, times |a_along|.
                factor = sign * row[along]
                inside = [row[j] * size - factor * a[j] for j in others]
                if any(inside):
                    backend.push(np.array([*inside, row[-1] * size - factor * c], dtype=object))
            answer = backend.decide() if backend.n_rows else None
            if answer is None:
                t = [Fraction(0)] * len(others)
            elif isinstance(answer, Feasible):
                t = list(answer.witness.fractions)
            else:
                raise TropnetError(
                    f"the regions do not fit together: row {facet} of one touches it in less than a facet."
                )
        rest = sum((a[j] * value for j, value in zip(others, t, strict=True)), Fraction(c))
        t.insert(along, -rest / a[along])
        return tuple(t)


def _dictionary(rows: Sequence[Sequence[int]], start: Witness, names: Sequence[int]) -> Dictionary:
    """Return a dictionary of slacks 0, 1, ... and then functions with `names`, over the step from a point inside."""
    k = len(start.homogeneous) - 1
    table = np.array(rows, dtype=object).reshape(-1, k + 1)
    table[:, -1] = table @ np.array(start.homogeneous, dtype=object)
    return Dictionary(table, [*range(len(rows) - len(names)), *names], [-1 - j for j in range(k)])

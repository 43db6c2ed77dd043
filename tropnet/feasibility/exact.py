"""The exact backend: a dual simplex over the integers with fraction-free pivots.

The cell {x : a_i x + c_i > 0} has interior iff the homogeneous system ``M X >= w`` has a solution, where the rows of M
are the (a_i | c_i) and (0 | 1), X = (x, 1) times a positive factor, and w > 0 is arbitrary. The dictionary writes the
slacks s = M X - w over a cobasis of slacks, ``det * s_i = sum_j T[i, j] s_j + T[i, -1]``, with integer T whose entries
are minors of (M | w), so divisions are exact and numbers stay small (Edmonds; Azulay and Pique, doi:10.1145/365723).
There is no objective, so any entering column is admissible and the smallest-index rule (Bland) terminates. A row with a
negative constant and no positive coefficient holds the multipliers of Gordan's theorem.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from typing import Any, final

import numpy as np

from tropnet.arrays.types import IntegerArray
from tropnet.exact.certificates import Witness, witness_is_inside
from tropnet.feasibility.contract import Answer, Backend, Feasible, Infeasible, Undecided
from tropnet.feasibility.tolerances import Tolerances

__all__ = ["ExactBackend", "solve_exactly"]


@final
class ExactBackend(Backend):
    """Decide over the integers; undecided only when `Tolerances.exact_pivots` runs out."""

    def __init__(self, dimension: int, tolerances: Tolerances) -> None:
        super().__init__(dimension, tolerances)
        self._rows: list[IntegerArray] = []

    @property
    def n_rows(self) -> int:
        """The number of rows on the stack."""
        return len(self._rows)

    def push(self, row: IntegerArray) -> None:
        """Put a row on the stack."""
        self._rows.append(row)

    def truncate(self, n_rows: int) -> None:
        """Drop all but the first `n_rows` rows."""
        del self._rows[n_rows:]

    def decide(self) -> Answer:
        """Answer with a proof; the witness is central, and a float64 point where one could be found."""
        return solve_exactly(self._rows, self.dimension, self.tolerances.exact_pivots, central=True)


def solve_exactly(rows: Sequence[IntegerArray], dimension: int, max_pivots: int, *, central: bool) -> Answer:
    """Decide whether {x : a x + c > 0 for every row (a | c)} is non-empty.

    Parameters
    ----------
    rows
        Integer rows (a | c).
    dimension
        The dimension d of x.
    max_pivots
        Give up after so many pivots.
    central
        Go on to a point whose distance to the nearest side is (nearly) largest, capped at 1, and round it to float64
        if the rounded point is inside.

    Notes
    -----
    A pivot costs O(m d) products of integers whose length is at most d + 1 times that of the entries.
    """
    if max_pivots <= 0:
        return Undecided("exact arithmetic is switched off (exact_pivots=0)")
    dictionary = _Dictionary(rows, dimension, max_pivots)
    answer = dictionary.solve()
    if not isinstance(answer, Feasible) or not central:
        return answer
    dictionary.centre()
    witness = dictionary.witness()
    rounded = Witness.at(witness.point)
    return Feasible(rounded if witness_is_inside(rows, rounded) else witness)


class _Dictionary:
    """The integer dictionary: rows are basic variables, columns cobasic ones, the last column the constants.

    Variables 0..m-1 are the slacks of the rows, m that of (0 | 1), and -1-j the free coordinate X_j.
    """

    def __init__(self, rows: Sequence[IntegerArray], dimension: int, max_pivots: int) -> None:
        m = len(rows)
        self.table: Any = np.zeros((m + 1, dimension + 2), dtype=object)
        for i, row in enumerate(rows):
            # The norm as weight makes the common slack a distance, up to rounding of the root.
            weight = isqrt(sum(a * a for a in row[:-1].tolist())) + 1
            self.table[i, :-1] = row
            self.table[i, -1] = -weight
        self.table[m, -2:] = (1, -1)
        self.det = 1
        self.basis = list(range(m + 1))
        self.cobasis = [-1 - j for j in range(dimension + 1)]
        self.pivots_left = max_pivots

    def solve(self) -> Answer:
        self._enter_free_columns()
        while self.pivots_left > 0:
            violated = [i for i, name in enumerate(self.basis) if name >= 0 and self.table[i, -1] < 0]
            if not violated:
                return Feasible(self.witness())
            r = min(violated, key=self.basis.__getitem__)
            coefficients = self.table[r, :-1].tolist()
            columns = [j for j, value in enumerate(coefficients) if value > 0 and self.cobasis[j] >= 0]
            if not columns:
                return Infeasible(self._multipliers(r, coefficients))
            self._pivot(r, min(columns, key=self.cobasis.__getitem__))
        return Undecided("the exact backend ran out of pivots (Tolerances.exact_pivots)")

    def centre(self) -> None:
        """Minimise the homogenising coordinate: its inverse is the common slack."""
        last = -1 - (len(self.cobasis) - 1)
        while self.pivots_left > 0:
            objective = self.table[self.basis.index(last), :-1].tolist()
            columns = [j for j, value in enumerate(objective) if value < 0 and self.cobasis[j] >= 0]
            if not columns:
                return
            c = min(columns, key=self.cobasis.__getitem__)
            # The row of (0 | 1) always bounds the objective, so some row blocks.
            blocking = [i for i, name in enumerate(self.basis) if name >= 0 and self.table[i, c] < 0]
            best = blocking[0]
            for i in blocking[1:]:
                difference = self.table[i, -1] * self.table[best, c] - self.table[best, -1] * self.table[i, c]
                # Both coefficients are negative: a larger product means a smaller ratio.
                if difference > 0 or (difference == 0 and self.basis[i] < self.basis[best]):
                    best = i
            self._pivot(best, c)

    def witness(self) -> Witness:
        """Return the basic solution as a point."""
        dimension = len(self.cobasis) - 1
        coordinates = [0] * (dimension + 1)
        for i, name in enumerate(self.basis):
            if name < 0:
                coordinates[-1 - name] = self.table[i, -1]
        return Witness(tuple(coordinates))

    def _enter_free_columns(self) -> None:
        for j in range(len(self.cobasis)):
            rows = [i for i, name in enumerate(self.basis) if name >= 0 and self.table[i, j] != 0]
            # A column without a row is a direction the cell is invariant under: its coordinate stays 0.
            if rows:
                self._pivot(min(rows, key=self.basis.__getitem__), j)

    def _multipliers(self, r: int, coefficients: list[int]) -> dict[int, int]:
        values = {self.basis[r]: self.det}
        values |= {self.cobasis[j]: -value for j, value in enumerate(coefficients) if value}
        # The multiplier of (0 | 1) is implied by the others.
        values.pop(len(self.basis) - 1, None)
        return values

    def _pivot(self, r: int, c: int) -> None:
        self.pivots_left -= 1
        table, pivot = self.table, self.table[r, c]
        row, column = table[r].copy(), table[:, c].copy()
        table = (table * pivot - np.outer(column, row)) // self.det
        table[:, c] = column
        table[r] = -row
        table[r, c] = self.det
        self.det = pivot
        if pivot < 0:
            table, self.det = -table, -pivot
        self.table = table
        self.basis[r], self.cobasis[c] = self.cobasis[c], self.basis[r]

"""The exact backend: a dual simplex method over the integers.

The cell {x : a_i x + c_i > 0} has interior iff the homogeneous system ``M X >= w`` has a solution, where the rows of M
are the (a_i | c_i) and (0 | 1), X = (x, 1) times a positive factor, and w > 0 is arbitrary. The dictionary writes the
slacks s = M X - w over a cobasis of slacks. There is no objective, so any entering column is admissible. A row with a
negative constant and no positive coefficient holds the multipliers of Gordan's theorem.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from typing import final

import numpy as np

from tropnet.arrays.types import IntegerArray
from tropnet.exact.certificates import Witness, witness_is_inside
from tropnet.exact.simplex import Dictionary
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
    cell = _dictionary(rows, dimension, max_pivots)
    cell.enter_free_columns()
    contradiction = cell.restore()
    if contradiction is not None:
        return Infeasible(_multipliers(cell, contradiction))
    if cell.pivots_left <= 0:
        return Undecided("the exact backend ran out of pivots (Tolerances.exact_pivots)")
    if not central:
        return Feasible(_witness(cell))
    # The inverse of the homogenising coordinate is the common slack; the row (0 | 1) bounds it.
    cell.optimise(-1 - dimension, -1)
    witness = _witness(cell)
    rounded = Witness.at(witness.point)
    return Feasible(rounded if witness_is_inside(rows, rounded) else witness)


def _dictionary(rows: Sequence[IntegerArray], dimension: int, max_pivots: int) -> Dictionary:
    """Return the slacks s = M X - w over X: 0, ..., m - 1 are those of the rows, m that of (0 | 1), -1 - j is X_j."""
    m = len(rows)
    table = np.zeros((m + 1, dimension + 2), dtype=object)
    for i, row in enumerate(rows):
        # The norm as weight makes the common slack a distance, up to rounding of the root.
        weight = isqrt(sum(a * a for a in row[:-1].tolist())) + 1
        table[i, :-1] = row
        table[i, -1] = -weight
    table[m, -2:] = (1, -1)
    return Dictionary(table, list(range(m + 1)), [-1 - j for j in range(dimension + 1)], max_pivots)


def _witness(cell: Dictionary) -> Witness:
    """Return the basic solution as a point."""
    return Witness(tuple(cell.coordinates(-1)))


def _multipliers(cell: Dictionary, r: int) -> dict[int, int]:
    """Return the multipliers of rows that row `r` of the dictionary proves contradictory by."""
    values = {cell.basis[r]: cell.det}
    values |= {cell.cobasis[j]: -value for j, value in enumerate(cell.table[r, :-1].tolist()) if value}
    # The multiplier of (0 | 1) is implied by the others.
    values.pop(len(cell.basis) - 1, None)
    return values

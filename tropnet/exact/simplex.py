"""The simplex method over the integers: a dictionary whose pivots divide exactly."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tropnet.arrays.types import IntegerArray

__all__ = ["Dictionary"]


class Dictionary:
    """Basic variables as affine functions of cobasic ones: det * basic_i = sum_j table[i, j] cobasic_j + table[i, -1].

    Variables have names: 0, 1, ... are slacks, to be kept at 0 or more, and -1, -2, ... are free; a basic free variable
    never leaves the basis. Of several candidates the one with the smallest name is taken (Bland), so every rule
    terminates.

    Parameters
    ----------
    table
        Integers, dtype object, shape (number of basic variables, number of cobasic ones + 1). It is replaced, not
        changed.
    basis, cobasis
        The names of rows and columns.
    max_pivots
        Rules stop when so many pivots are done; `pivots_left` says how many there are.

    Notes
    -----
    The entries are minors of the given table, so numbers stay as small as determinants are (Edmonds; Azulay and
    Pique, doi:10.1145/365723). A pivot costs one product, one difference and one division for every entry.

    Examples
    --------
    Maximise z = x + y (names -3, -1, -2) where the slacks x, y and 2 - x - 2 y are not negative:

    >>> table = np.array([[1, 0, 0], [0, 1, 0], [-1, -2, 2], [1, 1, 0]], dtype=object)
    >>> dictionary = Dictionary(table, [0, 1, 2, -3], [-1, -2])
    >>> dictionary.optimise(-3), dictionary.coordinates(-1), dictionary.det
    (None, [2, 0, 2], 1)
    """

    def __init__(self, table: IntegerArray, basis: list[int], cobasis: list[int], max_pivots: float = math.inf) -> None:
        self.table: Any = table
        self.basis, self.cobasis = basis, cobasis
        self.det = 1
        self._n_free = -min(*basis, *cobasis, 0)
        self.pivots_left = max_pivots

    def pivot(self, r: int, c: int) -> None:
        """Exchange the basic variable of row `r` and the cobasic one of column `c`."""
        self.pivots_left -= 1
        pivot, row, column = self.table[r, c], self.table[r].copy(), self.table[:, c].copy()
        table = (self.table * pivot - np.outer(column, row)) // self.det
        table[:, c], table[r], table[r, c] = column, -row, self.det
        # The determinant stays positive, so that entries have the signs of what they stand for.
        self.table, self.det = (table, pivot) if pivot > 0 else (-table, -pivot)
        self.basis[r], self.cobasis[c] = self.cobasis[c], self.basis[r]

    def enter_free_columns(self) -> None:
        """Make free variables basic, as far as a slack depends on them; what is left over keeps the value 0."""
        for c in range(len(self.cobasis)):
            rows = [i for i, name in enumerate(self.basis) if name >= 0 and self.table[i, c]]
            if self.cobasis[c] < 0 and rows:
                self.pivot(min(rows, key=self.basis.__getitem__), c)

    def restore(self) -> int | None:
        """Pivot until no basic slack is negative; None then, or when pivots run out.

        Free variables that slacks depend on must be basic. Else returns a row that no values of the slacks make 0 or
        more: its constant is negative, and so are its coefficients or 0.
        """
        while self.pivots_left > 0:
            violated = [i for i, name in enumerate(self.basis) if name >= 0 and self.table[i, -1] < 0]
            if not violated:
                return None
            r = min(violated, key=self.basis.__getitem__)
            columns = [j for j, name in enumerate(self.cobasis) if name >= 0 and self.table[r, j] > 0]
            if not columns:
                return r
            self.pivot(r, min(columns, key=self.cobasis.__getitem__))
        return None

    def optimise(self, name: int, sign: int = 1) -> tuple[int, int] | None:
        """Maximise a basic free variable (`sign` 1), or minimise it (-1), while no slack, basic or not, gets negative.

        At the start none must be.

        Returns
        -------
        None at the optimum, or when pivots run out; else a column and 1 or -1: which cobasic variable grows or falls
        for ever, and the variable with it.
        """
        r = self.basis.index(name)
        while self.pivots_left > 0:
            gains = (self.table[r, :-1] * sign).tolist()
            entering = [j for j, other in enumerate(self.cobasis) if gains[j] > 0 or (gains[j] and other < 0)]
            if not entering:
                return None
            c = min(entering, key=self.cobasis.__getitem__)
            way = 1 if gains[c] > 0 else -1
            leaving = self._leaving(c, way)
            if leaving is None:
                return c, way
            self.pivot(leaving, c)
        return None

    def coordinates(self, column: int) -> list[int]:
        """Return the entries of a column in the rows of the free variables -1, -2, ...; 0 for those that have none."""
        values = [0] * self._n_free
        for i, name in enumerate(self.basis):
            if name < 0:
                values[-1 - name] = self.table[i, column]
        return values

    def _leaving(self, c: int, way: int) -> int | None:
        """Return the row of the slack that is 0 first when the variable of column `c` grows (`way` 1) or falls (-1)."""
        rates, rests = (self.table[:, c] * -way).tolist(), self.table[:, -1].tolist()
        best = None
        for i in sorted((i for i, name in enumerate(self.basis) if name >= 0), key=self.basis.__getitem__):
            if rates[i] > 0 and (best is None or rests[i] * rates[best] < rests[best] * rates[i]):
                best = i
        return best

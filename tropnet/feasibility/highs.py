"""The HiGHS backend: one linear program kept hot, its rows changed in place along the path of the search."""

from __future__ import annotations

from typing import final

import highspy
import numpy as np

from tropnet.arrays.types import FloatArray, IntegerArray
from tropnet.feasibility.floating import FloatingBackend, Proposal
from tropnet.feasibility.tolerances import Tolerances

__all__ = ["HighsBackend", "QuietHighs"]

_INF = float(highspy.kHighsInf)


class QuietHighs(highspy.Highs):  # type: ignore[misc]
    """HiGHS that prints nothing, with the simplex method, one thread and no presolve.

    Version 1.16 writes a banner to standard output when callbacks are enabled, as its constructor does, unless output
    is off by then.
    """

    def __init__(self) -> None:
        super().__init__()
        for name, value in {"output_flag": False, "presolve": "off", "solver": "simplex", "threads": 1}.items():
            self.setOptionValue(name, value)

    def enableCallbacks(self) -> None:
        """Switch output off before anything can be printed."""
        self.setOptionValue("output_flag", False)
        super().enableCallbacks()


@final
class HighsBackend(FloatingBackend):
    """Maximise the slack with HiGHS's simplex, warm from the previous decision.

    Row i of the program is slot i of the stack. Dropping a row frees its bounds instead of deleting it, so the basis
    stays valid and the next solve starts from it.
    """

    def __init__(self, dimension: int, tolerances: Tolerances) -> None:
        super().__init__(dimension, tolerances)
        self._columns = np.arange(dimension + 1, dtype=np.int32)
        self._n_slots = 0
        self._highs = QuietHighs()
        self._highs.setOptionValue("simplex_iteration_limit", 100_000)
        for _ in range(dimension):
            self._highs.addVar(-_INF, _INF)
        self._highs.addVar(-_INF, 1.0)
        self._highs.changeColCost(dimension, -1.0)

    def push(self, row: IntegerArray) -> None:
        """Put a row on the stack and into its slot of the program."""
        super().push(row)
        slot = self.n_rows - 1
        # A row too large for HiGHS keeps its slot, free.
        large = self._is_large(self._units[slot])
        unit = np.zeros(self.dimension + 1) if large else self._units[slot]
        lower = -_INF if large else -unit[-1]
        if slot < self._n_slots:
            for column in range(self.dimension):
                self._highs.changeCoeff(slot, column, unit[column])
            self._highs.changeRowBounds(slot, lower, _INF)
        else:
            coefficients = np.append(unit[:-1], -1.0)
            self._highs.addRow(lower, _INF, self.dimension + 1, self._columns, coefficients)
            self._n_slots += 1

    def truncate(self, n_rows: int) -> None:
        """Drop rows and free their slots."""
        for slot in range(n_rows, self.n_rows):
            self._highs.changeRowBounds(slot, -_INF, _INF)
        super().truncate(n_rows)

    def _solve(self, rows: FloatArray) -> Proposal | str:
        self._highs.run()
        status = self._highs.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            # A bad basis would slow down or spoil later solves.
            self._highs.clearSolver()
            return f"HiGHS stopped with status {self._highs.modelStatusToString(status)}"
        solution = self._highs.getSolution()
        values = np.array(solution.col_value)
        return Proposal(values[:-1], float(values[-1]), np.abs(solution.row_dual[: len(rows)]))

"""What the floating-point backends share: they propose, exact arithmetic on a few rows disposes."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from tropnet.arrays.rounding import EPSILON, SAFE_HIGH
from tropnet.arrays.types import FloatArray, IntegerArray
from tropnet.exact.certificates import Witness
from tropnet.exact.dyadic import unit_rows
from tropnet.feasibility.contract import Answer, Backend, Feasible, Infeasible, Undecided
from tropnet.feasibility.exact import solve_exactly
from tropnet.feasibility.tolerances import Tolerances

__all__ = ["FloatingBackend", "Proposal"]

# Each entry of a unit row is rounded three times, a product and a sum over d + 1 terms at most d + 2 times.
_ROUNDINGS = 8
# What underflow may lose of values below SAFE_HIGH, with a wide margin.
_UNDERFLOW = 1e-200
# What solvers take as infinite begins at 1e20.
_LARGEST_SIDE = 1e19


@dataclass(frozen=True)
class Proposal:
    """An optimum of: maximise t over a x + c >= t (unit rows) and t <= 1, as a solver sees it.

    Attributes
    ----------
    point
        float64, shape (d,).
    slack
        t.
    duals
        Non-negative, one per row; only their support is used.
    """

    point: FloatArray
    slack: float
    duals: FloatArray


class FloatingBackend(Backend):
    """A backend that solves max slack in float64 and proves the outcome over the integers.

    A positive slack proposes a witness, which is checked: by a running error bound, and exactly where the bound is not
    enough. Otherwise the rows with positive duals, at most d + 2 for a basic solution, propose an empty subsystem,
    which a few exact pivots confirm. What fails either way is undecided.
    """

    def __init__(self, dimension: int, tolerances: Tolerances) -> None:
        super().__init__(dimension, tolerances)
        self._integers: list[IntegerArray] = []
        self._units = np.empty((16, dimension + 1))

    @staticmethod
    def _is_large(row: FloatArray) -> bool:
        """Return whether a unit row is beyond what solvers take; `decide` asks none while one is on the stack."""
        return not np.abs(row).max() < _LARGEST_SIDE

    @abstractmethod
    def _solve(self, rows: FloatArray) -> Proposal | str:
        """Return a proposal for unit rows (m, d + 1), or why there is none (any status but optimal)."""

    @property
    def n_rows(self) -> int:
        """The number of rows on the stack."""
        return len(self._integers)

    def push(self, row: IntegerArray) -> None:
        """Put a row on the stack."""
        m = self.n_rows
        if m == len(self._units):
            self._units = np.concatenate([self._units, np.empty_like(self._units)])
        self._units[m] = unit_rows(row[None, :], self.dimension)[0]
        self._integers.append(row)

    def truncate(self, n_rows: int) -> None:
        """Drop all but the first `n_rows` rows."""
        del self._integers[n_rows:]

    def decide(self) -> Answer:
        """Solve in float64, prove exactly."""
        if not self._integers:
            return Feasible(Witness((0,) * self.dimension + (1,)))
        rows = self._units[: self.n_rows]
        proposal = self._solve(rows) if np.abs(rows).max() < _LARGEST_SIDE else "a row is too badly scaled"
        if isinstance(proposal, str):
            return Undecided(proposal)
        if proposal.slack > self.tolerances.slack:
            witness = self._prove_inside(rows, proposal.point)
            return Feasible(witness) if witness else Undecided("the witness found is not strictly inside")
        support = np.flatnonzero(proposal.duals > 1e-9 * proposal.duals.max(initial=0.0)).tolist()
        subset = [self._integers[i] for i in support]
        answer = solve_exactly(subset, self.dimension, self.tolerances.exact_pivots, central=False)
        if not isinstance(answer, Infeasible):
            return Undecided("the rows found do not prove the cell empty")
        return Infeasible({support[i]: y for i, y in answer.multipliers.items()})

    def _prove_inside(self, rows: FloatArray, point: FloatArray) -> Witness | None:
        if not np.abs(point).max() < SAFE_HIGH:
            return None
        homogeneous = np.append(point, 1.0)
        bound = (self.dimension + _ROUNDINGS) * EPSILON * (np.abs(rows) @ np.abs(homogeneous)) + _UNDERFLOW
        witness = Witness.at(point)
        for i in np.flatnonzero(~(rows @ homogeneous > bound)):
            if witness.sign(self._integers[i].tolist()) <= 0:
                return None
        return witness

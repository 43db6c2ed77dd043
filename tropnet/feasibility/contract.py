"""The contract of all feasibility backends, which decide whether {x : a x + c > 0 for every row} is non-empty."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from tropnet.arrays.types import IntegerArray
from tropnet.exact.certificates import Witness
from tropnet.feasibility.tolerances import Tolerances

__all__ = ["Answer", "Backend", "Cascade", "Feasible", "Infeasible", "Undecided"]


@dataclass(frozen=True)
class Feasible:
    """The cell has interior: `witness` lies strictly inside (checked exactly)."""

    witness: Witness


@dataclass(frozen=True)
class Infeasible:
    """The cell has no interior: `multipliers`, by row index, prove it (found in exact arithmetic)."""

    multipliers: Mapping[int, int]


@dataclass(frozen=True)
class Undecided:
    """The backend could not prove either; `reason` says why."""

    reason: str


Answer = Feasible | Infeasible | Undecided


class Backend(ABC):
    """A stack of open half-spaces and one question about their intersection.

    Laws: an answer depends only on the rows on the stack. `Feasible` and `Infeasible` carry proofs that hold in exact
    arithmetic for the integer rows pushed, whatever arithmetic found them; everything else is `Undecided`.

    Parameters
    ----------
    dimension
        The dimension d of x, at least 1.
    tolerances
        See `Tolerances`.

    Attributes
    ----------
    n_settled
        The number of decisions so far that floating point left undecided and exact arithmetic was asked for.
    """

    def __init__(self, dimension: int, tolerances: Tolerances) -> None:
        self.dimension = dimension
        self.tolerances = tolerances
        self.n_settled = 0

    @property
    @abstractmethod
    def n_rows(self) -> int:
        """The number of rows on the stack."""

    @abstractmethod
    def push(self, row: IntegerArray) -> None:
        """Put the half-space a x + c > 0 on the stack; `row` is (a | c), integers, a not zero."""

    @abstractmethod
    def truncate(self, n_rows: int) -> None:
        """Drop all but the first `n_rows` rows."""

    @abstractmethod
    def decide(self) -> Answer:
        """Answer for the rows on the stack, with a proof or a reason."""


@final
class Cascade(Backend):
    """Ask a floating-point backend first and let the exact one settle what it leaves undecided."""

    def __init__(self, first: Backend, second: Backend) -> None:
        super().__init__(first.dimension, first.tolerances)
        self._backends = (first, second)

    @property
    def n_rows(self) -> int:
        """The number of rows on the stack."""
        return self._backends[0].n_rows

    def push(self, row: IntegerArray) -> None:
        """Push on both stacks."""
        for backend in self._backends:
            backend.push(row)

    def truncate(self, n_rows: int) -> None:
        """Truncate both stacks."""
        for backend in self._backends:
            backend.truncate(n_rows)

    def decide(self) -> Answer:
        """Return the first backend's answer, or the second's where the first has none."""
        answer = self._backends[0].decide()
        if isinstance(answer, Undecided):
            self.n_settled += 1
            answer = self._backends[1].decide()
        return answer

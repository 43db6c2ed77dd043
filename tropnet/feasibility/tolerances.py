"""The numbers that steer floating-point work. None of them decides anything: exact arithmetic does."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from tropnet.arrays.checks import as_count

__all__ = ["Tolerances"]


@dataclass(frozen=True)
class Tolerances:
    """Limits and tolerances of one enumeration; always passed, never global.

    Parameters
    ----------
    slack
        A cell whose largest slack (in unit rows) a floating-point solver puts below this is first tried as empty,
        otherwise as non-empty. A wrong guess costs time, never a region.
    exact_pivots
        Pivots the exact rational backend may spend on one decision before it gives up and the decision is reported as
        undecided. 0 switches exact arithmetic off.

    Examples
    --------
    >>> Tolerances(exact_pivots=0).exact_pivots
    0
    """

    slack: float = 1e-9
    exact_pivots: int = 100_000

    def __post_init__(self) -> None:
        if not (0 <= self.slack < 1):
            raise ValueError(f"slack must lie in [0, 1), got {self.slack}.")
        as_count(self.exact_pivots, "exact_pivots", 0)


# With these, exact arithmetic always decides.
EXACTLY = Tolerances(exact_pivots=sys.maxsize)

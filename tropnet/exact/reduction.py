"""Integer vectors in lowest terms: equal for vectors that point the same way."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

__all__ = ["reduced"]


def reduced(vector: Sequence[int]) -> tuple[int, ...]:
    """Return the integers divided by their greatest common divisor; zeros stay.

    Rows (a | c) of one half-space a x + c > 0 have the same reduced row.

    Examples
    --------
    >>> reduced([4, -6]), reduced([0, 0])
    ((2, -3), (0, 0))
    """
    divisor = gcd(*vector) or 1
    return tuple(value // divisor for value in vector)

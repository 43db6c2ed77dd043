"""Integer vectors in lowest terms, equal for vectors that point the same way; and sums of many rational numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import gcd, lcm
from typing import Any

__all__ = ["reduced", "summed"]


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


def summed(terms: Iterable[tuple[Any, int]]) -> tuple[Any, int]:
    """Return the sum of numerators / denominators as one of these pairs; (0, 1) if there are none.

    Numerators are integers or arrays of them, one shape for all; denominators are positive.

    Notes
    -----
    Neighbours are added first, then sums of two, of four, and so on: denominators of sums are as long as all of theirs
    together, so that adding one term after the other would cost the square of their number.

    Examples
    --------
    >>> summed([(1, 2), (1, 3), (1, 6)])
    (6, 6)
    """
    sums: list[tuple[int, Any, int]] = []
    for numerator, denominator in terms:
        sums.append((1, numerator, denominator))
        while len(sums) > 1 and sums[-2][0] == sums[-1][0]:
            _add_last(sums)
    while len(sums) > 1:
        _add_last(sums)
    return sums[0][1:] if sums else (0, 1)


def _add_last(sums: list[tuple[int, Any, int]]) -> None:
    """Replace the last two of some sums, each with the number of its terms, by one."""
    (n, p, q), (m, r, s) = sums.pop(), sums.pop()
    common = lcm(q, s)
    sums.append((n + m, p * (common // q) + r * (common // s), common))

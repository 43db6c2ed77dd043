"""Decisions over the integers that the parts of the complex share."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from math import gcd

from tropnet.arrays.types import IntegerArray
from tropnet.feasibility import Backend, Feasible, make_backend
from tropnet.feasibility.tolerances import Tolerances

__all__ = ["exact_backend", "has_interior", "reduced"]


def reduced(row: Sequence[int]) -> tuple[int, ...]:
    """Return the integers divided by their greatest common divisor."""
    divisor = gcd(*row)
    return tuple(value // divisor for value in row)


def exact_backend(dimension: int) -> Backend:
    """Return a backend that always decides."""
    return make_backend("highs", dimension, Tolerances(exact_pivots=sys.maxsize))


def has_interior(backend: Backend, rows: Sequence[IntegerArray]) -> bool:
    """Return whether a x + c > 0 in all rows has a solution; constant rows included."""
    if any(row[-1] <= 0 for row in rows if not row[:-1].any()):
        return False
    backend.truncate(0)
    for row in rows:
        if row[:-1].any():
            backend.push(row)
    return isinstance(backend.decide(), Feasible)

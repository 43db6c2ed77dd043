"""Decisions over the integers that the parts of the complex share."""

from __future__ import annotations

from collections.abc import Sequence

from tropnet.arrays.types import IntegerArray
from tropnet.feasibility import Backend, Feasible

__all__ = ["has_interior"]


def has_interior(backend: Backend, rows: Sequence[IntegerArray]) -> bool:
    """Return whether a x + c > 0 in all rows has a solution; constant rows included."""
    if any(row[-1] <= 0 for row in rows if not row[:-1].any()):
        return False
    backend.truncate(0)
    for row in rows:
        if row[:-1].any():
            backend.push(row)
    return isinstance(backend.decide(), Feasible)

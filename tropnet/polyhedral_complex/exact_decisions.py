"""Decisions over the integers that the parts of the complex share."""

from __future__ import annotations

from collections.abc import Sequence

from tropnet.arrays.types import IntegerArray
from tropnet.feasibility import Backend, Feasible

__all__ = ["has_interior", "put", "reaches"]


def has_interior(backend: Backend, rows: Sequence[IntegerArray]) -> bool:
    """Return whether a x + c > 0 in all rows has a solution; constant rows included."""
    if any(row[-1] <= 0 for row in rows if not row[:-1].any()):
        return False
    put(backend, rows)
    return isinstance(backend.decide(), Feasible)


def put(backend: Backend, rows: Sequence[IntegerArray]) -> int:
    """Put rows on an empty stack, but for constant ones; return how many there are."""
    backend.truncate(0)
    for row in rows:
        if row[:-1].any():
            backend.push(row)
    return backend.n_rows


def reaches(backend: Backend, n_rows: int, row: IntegerArray) -> bool:
    """Return whether a x + c > 0 has a solution besides the first `n_rows` rows of the stack; a is not 0."""
    backend.truncate(n_rows)
    backend.push(row)
    return isinstance(backend.decide(), Feasible)

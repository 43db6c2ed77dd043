"""Points of a region at which linear inequalities hold, strict ones too: by linear programs over the integers."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from tropnet.arrays.types import IntegerArray
from tropnet.exact.certificates import Witness
from tropnet.exact.linear_programs import maximise

__all__ = ["point_where"]


def point_where(
    cell: IntegerArray, start: Witness, rows: IntegerArray, strict: Sequence[bool], wanted: int
) -> tuple[Fraction, ...] | None:
    """Return a point of a closed cell at which all rows are at least 0, and the strict ones more; None proves: none.

    Parameters
    ----------
    cell
        Integer rows (a | c), each meaning a x + c >= 0, shape (k, d + 1).
    start
        A point of the cell.
    rows, strict
        Integer rows, shape (m, d + 1), and which of them must be more than 0.
    wanted
        So many of the last rows are to be as far from 0 as possible, in units of their coefficients: a point at which
        they hold by much survives rounding.

    Notes
    -----
    First the largest violation t of the rows is minimised, from where it is at the start. From a point without any, the
    least of the wanted rows is maximised; where that is 0, the least of the strict rows.

    Examples
    --------
    x >= 0 and 1 - x >= 0 and 2 x - 2 >= 0 hold at 1 only, and 2 x - 2 > 0 nowhere:

    >>> cell, row = np.array([[1, 0], [-1, 1]], dtype=object), np.array([[2, -2]], dtype=object)
    >>> point_where(cell, Witness((1, 2)), row, [False], 1), point_where(cell, Witness((1, 2)), row, [True], 1)
    ((Fraction(1, 1),), None)
    """
    if any(
        not any(row[:-1]) and (row[-1] < 0 or (tight and not row[-1])) for row, tight in zip(rows, strict, strict=True)
    ):
        return None
    keep = [i for i, row in enumerate(rows) if any(row[:-1])]
    wanted = sum(i >= len(rows) - wanted for i in keep)
    rows, strict = rows[keep], [strict[i] for i in keep]
    if not len(rows):
        return start.fractions
    sizes = np.array([sum(map(abs, row)) for row in rows[:, :-1].tolist()], dtype=object)
    found = _without_violation(cell, start, rows, sizes)
    if found is None:
        return None
    chosen = np.arange(len(rows)) >= len(rows) - wanted
    if wanted:
        deep, margin = _deepest(cell, found, rows, sizes, chosen)
        if margin > 0:
            found = deep
    tight = np.array(strict, dtype=np.bool_)
    if all(found.sign(row) > 0 for row in rows[tight].tolist()):
        return found.fractions
    deep, margin = _deepest(cell, found, rows, sizes, tight)
    return deep.fractions if margin > 0 else None


def _without_violation(cell: IntegerArray, start: Witness, rows: IntegerArray, sizes: IntegerArray) -> Witness | None:
    """Return a point of the cell at which all rows are at least 0, or None if there is none."""
    if all(start.sign(row) >= 0 for row in rows.tolist()):
        return start
    at = start.fractions
    worst = max(-_value(row, at) / size for row, size in zip(rows.tolist(), sizes.tolist(), strict=True))
    program = _with_variable(cell, rows, sizes, np.ones(len(rows), dtype=np.bool_))
    # t >= 0, so that the program stops where there is no violation.
    floor = np.array([[*[0] * len(at), 1, 0]], dtype=object)
    best = maximise(
        np.concatenate([program, floor]),
        Witness.from_fractions([*at, worst]),
        np.array([*[0] * len(at), -1, 0], dtype=object),
    )
    return Witness.from_fractions(best.point.fractions[:-1]) if not best.value else None


def _deepest(
    cell: IntegerArray, start: Witness, rows: IntegerArray, sizes: IntegerArray, chosen: np.typing.NDArray[np.bool_]
) -> tuple[Witness, Fraction]:
    """Return a point at which the least of the chosen rows is largest, up to a size of 1, and that; others are kept."""
    at = start.fractions
    program = _with_variable(cell, rows, -sizes, chosen)
    ceiling = np.array([[*[0] * len(at), -1, 1]], dtype=object)
    best = maximise(
        np.concatenate([program, ceiling]),
        Witness.from_fractions([*at, Fraction(0)]),
        np.array([*[0] * len(at), 1, 0], dtype=object),
    )
    *point, margin = best.point.fractions
    return Witness.from_fractions(point), margin


def _with_variable(
    cell: IntegerArray, rows: IntegerArray, factors: IntegerArray, chosen: np.typing.NDArray[np.bool_]
) -> IntegerArray:
    """Return the rows of a cell and others with one more variable, which the chosen ones have with these factors."""
    nothing = np.zeros((len(cell), 1), dtype=object)
    column = np.where(chosen, factors, 0)[:, None]
    return np.concatenate(
        [
            np.concatenate([cell[:, :-1], nothing, cell[:, -1:]], axis=1),
            np.concatenate([rows[:, :-1], column, rows[:, -1:]], axis=1),
        ]
    )


def _value(row: Sequence[int], point: Sequence[Fraction]) -> Fraction:
    return sum((a * x for a, x in zip(row, point, strict=False)), Fraction(row[-1]))

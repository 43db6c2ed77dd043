"""Linear programs over the integers, exactly, from a point inside."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from tropnet.arrays.types import IntegerArray
from tropnet.exact.certificates import Witness

__all__ = ["Optimum", "maximise"]


class Optimum(NamedTuple):
    """The largest value and where; or, if `ray` is not empty, a direction in which there is none."""

    value: Fraction
    point: Witness
    ray: tuple[int, ...] = ()


def maximise(rows: IntegerArray, start: Witness, objective: IntegerArray) -> Optimum:
    """Maximise g x + g_0 over {x : a x + c >= 0 for every row (a | c)} over the integers, from a point strictly inside.

    With y = w (x - start) the slacks are affine in y and positive at y = 0: a feasible dictionary ``det * basic_i =
    sum_j T[i, j] * cobasic_j + T[i, -1]`` whose pivots divide exactly. Slacks are named 0, ..., m - 1, y_j is -1 - j
    and free: it never leaves the basis. The smallest-index rule (Bland) terminates.

    Examples
    --------
    x + y on the triangle x >= 0, y >= 0, x + 2 y <= 2:

    >>> triangle = np.array([[1, 0, 0], [0, 1, 0], [-1, -2, 2]], dtype=object)
    >>> maximise(triangle, Witness((1, 1, 4)), np.array([1, 1, 0], dtype=object)).point.fractions
    (Fraction(2, 1), Fraction(0, 1))
    """
    *origin, w = start.homogeneous
    m, d = len(rows), len(origin)
    table: Any = np.concatenate([rows, objective[None, :]])
    table[:, -1] = table @ np.array([*origin, w], dtype=object)
    basis, cobasis, det = list(range(m)), [-1 - j for j in range(d)], 1

    def moved(column: int) -> list[int]:
        values = [0] * d
        for i, name in enumerate(basis):
            if name < 0:
                values[-1 - name] = table[i, column]
        return values

    while True:
        gains = table[m, :-1].tolist()
        entering = [j for j, name in enumerate(cobasis) if gains[j] > 0 or (gains[j] and name < 0)]
        y = moved(-1)
        point = tuple(x * det + step for x, step in zip(origin, y, strict=True))
        if not entering:
            return Optimum(Fraction(table[m, -1], det * w), Witness((*point, w * det)))
        c = min(entering, key=cobasis.__getitem__)
        way = 1 if gains[c] > 0 else -1
        blocking = [i for i, name in enumerate(basis) if name >= 0 and table[i, c] * way < 0]
        if not blocking:
            ray = [way * step for step in moved(c)]
            if cobasis[c] < 0:
                ray[-1 - cobasis[c]] = way * det
            return Optimum(Fraction(0), Witness((*point, w * det)), tuple(ray))
        r = min(blocking, key=lambda i: (Fraction(table[i, -1], -way * table[i, c]), basis[i]))
        row, column, pivot = table[r].copy(), table[:, c].copy(), table[r, c]
        table = (table * pivot - np.outer(column, row)) // det
        table[:, c], table[r] = column, -row
        table[r, c], det = det, pivot
        if pivot < 0:
            table, det = -table, -pivot
        basis[r], cobasis[c] = cobasis[c], basis[r]

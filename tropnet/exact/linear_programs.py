"""Linear programs over the integers, exactly, from a point inside."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from tropnet.arrays.types import IntegerArray
from tropnet.exact.certificates import Witness
from tropnet.exact.simplex import Dictionary

__all__ = ["Optimum", "maximise"]


class Optimum(NamedTuple):
    """The largest value and where; or, if `ray` is not empty, a direction in which there is none."""

    value: Fraction
    point: Witness
    ray: tuple[int, ...] = ()


def maximise(rows: IntegerArray, start: Witness, objective: IntegerArray) -> Optimum:
    """Maximise g x + g_0 over {x : a x + c >= 0 for every row (a | c)} over the integers, from a point strictly inside.

    With y = w (x - start) the slacks are affine in y and positive at y = 0: a dictionary to start from, in which the
    y_j and the objective are free variables.

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
    dictionary = Dictionary(table, [*range(m), -1 - d], [-1 - j for j in range(d)])
    endless = dictionary.optimise(-1 - d)
    *y, value = dictionary.coordinates(-1)
    point = (x * dictionary.det + step for x, step in zip(origin, y, strict=True))
    witness = Witness((*point, w * dictionary.det))
    if endless is None:
        return Optimum(Fraction(value, dictionary.det * w), witness)
    column, way = endless
    ray = [way * step for step in dictionary.coordinates(column)[:-1]]
    if dictionary.cobasis[column] < 0:
        ray[-1 - dictionary.cobasis[column]] = way * dictionary.det
    return Optimum(Fraction(0), witness, tuple(ray))

"""Extreme rays of cones over the integers: the double description method.

Motzkin et al. 1953; Fukuda and Prodon 1996, doi:10.1007/3-540-61576-8_77.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tropnet.arrays.types import IntegerArray
from tropnet.exact.reduction import reduced

__all__ = ["Ray", "double_description"]


class Ray(NamedTuple):
    """An extreme ray: integers without a common divisor, and the rows on which it lies, as bits."""

    vector: tuple[int, ...]
    zeros: int


def double_description(rows: IntegerArray) -> tuple[list[Ray], list[tuple[int, ...]]]:
    """Return extreme rays and lines that span the cone over the polyhedron {x : a x + c >= 0 for every row (a | c)}.

    A ray is (X, w), the vertex X / w or, if w = 0, the direction X. Bit i of `zeros` stands for row i, bit m of m rows
    for infinity, w = 0.

    Examples
    --------
    Of the half-line x >= 2 the vertex 2 / 1, on row 0, and the direction 1, on row 1:

    >>> import numpy as np
    >>> double_description(np.array([[1, -2]], dtype=object))
    ([Ray(vector=(1, 0), zeros=2), Ray(vector=(2, 1), zeros=1)], [])
    """
    size = rows.shape[1]
    lines = [tuple(int(i == j) for j in range(size)) for i in range(size)]
    rays: list[Ray] = []
    at_infinity = lines[-1]
    for i, row in enumerate([*map(tuple, rows.tolist()), at_infinity]):
        rays, lines = _cut(rays, lines, row, i)
    return rays, lines


def _dot(u: Sequence[int], v: Sequence[int]) -> int:
    return sum(a * b for a, b in zip(u, v, strict=True))


def _combine(s: int, u: Sequence[int], t: int, v: Sequence[int]) -> tuple[int, ...]:
    return reduced([s * a + t * b for a, b in zip(u, v, strict=True)])


def _cut(
    rays: list[Ray], lines: list[tuple[int, ...]], row: tuple[int, ...], i: int
) -> tuple[list[Ray], list[tuple[int, ...]]]:
    """Intersect the cone with row . X >= 0; `i` is the row's bit."""
    crossing = next((line for line in lines if _dot(row, line)), None)
    if crossing is not None:
        value = _dot(row, crossing)
        up = crossing if value > 0 else tuple(-x for x in crossing)
        value = abs(value)
        kept = [Ray(_combine(value, ray.vector, -_dot(row, ray.vector), up), ray.zeros | 1 << i) for ray in rays]
        others = [_combine(value, line, -_dot(row, line), up) for line in lines if line is not crossing]
        return [*kept, Ray(up, (1 << i) - 1)], others
    values = [_dot(row, ray.vector) for ray in rays]
    result = [
        Ray(ray.vector, ray.zeros | (0 if value else 1 << i))
        for ray, value in zip(rays, values, strict=True)
        if value >= 0
    ]
    above = [j for j, value in enumerate(values) if value > 0]
    below = [j for j, value in enumerate(values) if value < 0]
    for j in above:
        for k in below:
            common = rays[j].zeros & rays[k].zeros
            # Two rays are adjacent iff no third one lies on every row that both lie on.
            if any(common & ray.zeros == common for n, ray in enumerate(rays) if n not in (j, k)):
                continue
            result.append(Ray(_combine(values[j], rays[k].vector, -values[k], rays[j].vector), common | 1 << i))
    return result, lines

"""Rows, points and boxes over the integers, for the checker of certificates.

A *row* is an affine function of the coordinates t in R^k of the domain: a tuple of k + 1 integers (a_1, ..., a_k, c),
the function (a t + c) / unit with an integer unit > 0 that is kept beside it. A *point* is a tuple of k + 1 integers
(p_1, ..., p_k, q), q > 0: t = p / q. So the sign of a row at a point is that of the sum of products.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from math import gcd, lcm
from operator import mul
from typing import NamedTuple

from tropnet.errors import CertificateError
from tropnet.proofs.statement import fraction

__all__ = [
    "Box",
    "Point",
    "Row",
    "Scaled",
    "box_of",
    "exact_point",
    "integers",
    "left_over",
    "moved_onto",
    "primitive",
    "value_at",
]

Row = tuple[int, ...]
Point = tuple[int, ...]
Scaled = tuple[Row, int]  # a row and its unit


def integers(values: Iterable[float | Fraction]) -> tuple[list[int], int]:
    """Return numbers as integers over one denominator, exactly; NaN and infinity raise."""
    ratios = [value.as_integer_ratio() for value in values]
    unit = lcm(*[d for _, d in ratios])
    return [n * (unit // d) for n, d in ratios], unit


def primitive(values: Row) -> Row:
    """Divide integers by their greatest common divisor: equal iff they are positive multiples of each other."""
    divisor = gcd(*values)
    return tuple([value // divisor for value in values])


def value_at(row: Row, point: Point) -> int:
    """Return the value of a row at a point, times a positive number."""
    return sum(map(mul, row, point))


class Box(NamedTuple):
    """The box low <= t <= high, integers over one unit; None where a side is open."""

    low: Sequence[int | None]
    high: Sequence[int | None]
    unit: int

    def least(self, row: Row) -> int | None:
        """Return the least value of a row on the box, times a positive number; None for none."""
        total = row[-1] * self.unit
        for a, low, high in zip(row, self.low, self.high):  # noqa: B905 - a row has its constant besides
            if a > 0:
                if low is None:
                    return None
                total += a * low
            elif a < 0:
                if high is None:
                    return None
                total += a * high
        return total

    def holds(self, point: Point) -> bool:
        """Return whether a point is in the box."""
        q = point[-1]
        return all(
            (low is None or low * q <= p * self.unit) and (high is None or p * self.unit <= high * q)
            for p, low, high in zip(point, self.low, self.high)  # noqa: B905 - a point has its denominator besides
        )

    def sides(self) -> Iterator[tuple[int, Scaled]]:
        """Yield the sides that are not open as rows: number i is t_i - low_i, k + i is high_i - t_i."""
        k = len(self.low)
        for i, side in enumerate([*self.low, *self.high]):
            if side is not None:
                sign = 1 if i < k else -1
                yield i, ((*[sign * self.unit * (j == i % k) for j in range(k)], -sign * side), self.unit)


def box_of(sides: Sequence[float | Fraction | None]) -> Box:
    """Return the box of 2 k sides, all lows and then all highs."""
    finite, unit = integers([side for side in sides if side is not None])
    numbers = iter(finite)
    values = [None if side is None else next(numbers) for side in sides]
    k = len(values) // 2
    return Box(values[:k], values[k:], unit)


def exact_point(written: str | None, numbers: Sequence[float], k: int) -> Point:
    """Return a point from fractions as text, or from floats."""
    values = numbers if written is None else [fraction(each) for each in written.split()]
    if len(values) != k:
        raise CertificateError(f"a point must have k = {k} coordinates, got {len(values)}.")
    coordinates, unit = integers(values)
    return (*coordinates, unit)


def moved_onto(hyperplane: Row, numbers: Sequence[float]) -> Point:
    """Return the point of a hyperplane with these coordinates, but for the one with the largest coefficient."""
    coordinates, unit = integers(numbers)
    sizes = [abs(a) for a in hyperplane[:-1]]
    i = sizes.index(max(sizes))
    a = hyperplane[i]
    rest = value_at(hyperplane, (*coordinates, unit)) - a * coordinates[i]
    point = [a * p for p in (*coordinates, unit)]
    point[i] = -rest
    return primitive(tuple(point) if a > 0 else tuple([-p for p in point]))


def left_over(target: Scaled, terms: Sequence[tuple[Scaled, int, int]], box: Box) -> int | None:
    """Return the least value on a box, times a positive number, of a row minus multiples n / d of other rows."""
    if not terms:
        return box.least(target[0])
    common = lcm(target[1], *[unit * d for (_, unit), _, d in terms])
    factors = [common // target[1], *[-n * (common // (unit * d)) for (_, unit), n, d in terms]]
    columns = zip(target[0], *[row for (row, _), _, _ in terms], strict=True)
    return box.least(tuple([sum(map(mul, factors, column)) for column in columns]))

"""Twofold precision: unevaluated sums of two float64 numbers, compiled, with bounds on their errors.

Products and sums are split without error into a rounded value and its rounding (Dekker 1971, doi:10.1007/BF01397083;
Knuth, The Art of Computer Programming 2, section 4.2.2), so cancellation costs 106 bits, not 53. What overflows on the
way becomes infinite or NaN, and proves nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tropnet.arrays.types import FloatArray
from tropnet.kernels import compiled

__all__ = ["TINY", "UNIT", "Twofold", "add_product", "slacks"]

# One operation, relative to its operands; the true constant is below 2^-103 (Joldes et al. 2017, doi:10.1145/3121432).
UNIT = 2.0**-98
# Products of small numbers lose their low part.
TINY = 2.0**-1040
_SPLIT = 134217729.0


class Twofold(NamedTuple):
    """Rows (a | c) = high + low, float64 of shape (n, d + 1), and how wrong a is at most, in l2, and c: shape (n, 2).

    Errors are infinite or NaN where nothing is known. Where float64 is enough, `low` is empty, shape (0, d + 1).
    """

    high: FloatArray
    low: FloatArray
    error: FloatArray

    def take(self, rows: Any) -> Twofold:
        """Return some of the rows."""
        return Twofold(self.high[rows], self.low[rows] if len(self.low) else self.low, self.error[rows])


def slacks(rows: Twofold, points: FloatArray, owners: Any) -> tuple[FloatArray, FloatArray]:
    """Return b - a x for rows (a | b) (n, d + 1), row i at points[owners[i]], and bounds on the errors."""
    found, errors = np.empty(len(owners)), np.empty(len(owners))
    with np.errstate(all="ignore"):
        _slacks(*rows, points, owners, found, errors)
    return found, errors


@compiled(inline=True)
def _product(a: float, b: float) -> tuple[float, float]:
    """Return a b as a rounded product and what is missing."""
    p = a * b
    t = _SPLIT * a
    high = t - (t - a)
    low = a - high
    t = _SPLIT * b
    top = t - (t - b)
    rest = b - top
    return p, ((high * top - p) + high * rest + low * top) + low * rest


@compiled(inline=True)
def _sum(a: float, b: float) -> tuple[float, float]:
    """Return a + b as a rounded sum and what is missing."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


@compiled(inline=True)
def add_product(high: float, low: float, w: float, x: float, y: float) -> tuple[float, float]:
    """Return high + low + w (x + y)."""
    p, rest = _product(w, x)
    s, missing = _sum(high, p)
    return _sum(s, missing + (low + (rest + w * y)))


@compiled(entry=True)
def _slacks(high: Any, low: Any, error: Any, points: Any, owners: Any, found: Any, errors: Any) -> None:
    d = points.shape[1]
    for i in range(len(owners)):
        s, rest = high[i, d], low[i, d]
        size, wrong = abs(s), error[i, 1]
        for k in range(d):
            x = points[owners[i], k]
            s, rest = add_product(s, rest, -x, high[i, k], low[i, k])
            size += abs(x * high[i, k])
            wrong += abs(x) * error[i, 0]
        found[i] = s
        errors[i] = wrong * (1.0 + 1e-12) + (d + 2) * (UNIT * size + TINY) + abs(rest)

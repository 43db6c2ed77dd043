"""Which of many polyhedra are bounded, and which hold balls of any size: proofs by small linear programs, compiled."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import BoolArray
from tropnet.arrays.rounding import EPSILON
from tropnet.arrays.types import FloatArray
from tropnet.geometry.balls import DONE, RAY, invert, solve
from tropnet.kernels import compiled

__all__ = ["Directions", "directions"]


class Directions(NamedTuple):
    """What proves that polyhedra {x : A x <= b} with unit rows A are bounded or not; all shapes (R,).

    Attributes
    ----------
    inwards
        Some unit vector u has a . u <= -inwards for all rows; -inf if none is known.
    spread
        Some d of the rows have no singular value below this, and if `residual` were 0, some weights of at least 1 would
        make all rows cancel; -inf if none are known.
    residual, total
        By how much those weights leave a rest, and their sum.
    """

    inwards: FloatArray
    spread: FloatArray
    residual: FloatArray
    total: FloatArray

    def unbounded(self, errors: FloatArray) -> BoolArray:
        """Return which are surely unbounded, and hold balls of any size, if the unit rows are wrong by `errors`."""
        return np.asarray(self.inwards > errors, dtype=np.bool_)

    def bounded(self, errors: FloatArray, dimension: int) -> BoolArray:
        """Return which are surely bounded if the unit rows are wrong by `errors` at most.

        Let u be a unit vector with a u <= 0 for all true rows a, y >= 1 the weights and e the rest of the true rows.
        Then |a u| <= sum y |a u| = |e u| <= |e| for each row, so |B u| <= sqrt(d) |e| for the d rows B; but |B u| is at
        least the smallest singular value of the true B.
        """
        with np.errstate(invalid="ignore", over="ignore"):
            rest = self.residual + self.total * errors
            return np.asarray(self.spread > 2 * np.sqrt(dimension) * (errors + rest), dtype=np.bool_)


def directions(units: FloatArray, offsets: NDArray[np.int64]) -> Directions:
    """Return proofs that polyhedra with these unit rows are bounded or not: two linear programs each.

    Parameters
    ----------
    units
        float64, shape (n, d): the rows of polyhedron i are offsets[i], ..., offsets[i + 1] - 1.
    offsets
        int64, shape (R + 1,).

    Examples
    --------
    A wedge and a square:

    >>> units = np.array([[-0.6, 0.8], [-0.6, -0.8], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> found = directions(units, np.array([0, 2, 6]))
    >>> found.unbounded(np.full(2, 1e-15)), found.bounded(np.full(2, 1e-15), 2)
    (array([ True, False]), array([False,  True]))
    """
    d, R = units.shape[1], len(offsets) - 1
    most = int(np.diff(offsets).max(initial=0))
    found = np.empty((R, 4))
    table, names = np.empty((most + 1, d + 2)), np.empty(most + d + 1, dtype=np.int64)
    _directions(np.ascontiguousarray(units), offsets, table, names, np.empty((d, 2 * d)), np.empty(most), found)
    return Directions(*np.ascontiguousarray(found.T))


@compiled(entry=True)
def _directions(units: Any, offsets: Any, table: Any, names: Any, square: Any, y: Any, found: Any) -> None:
    d = units.shape[1]
    for r in range(len(found)):
        start, m = offsets[r], offsets[r + 1] - offsets[r]
        found[r, 0] = found[r, 1] = -np.inf
        found[r, 2] = found[r, 3] = np.inf
        if m == 0:
            found[r, 0] = np.inf
            continue
        # All sides at distance 1: only the rows decide. First, is there a ball of any size?
        for i in range(m):
            for k in range(d):
                table[i, k] = -units[start + i, k]
            table[i, d], table[i, d + 1] = -1.0, 1.0
        table[m, :] = 0.0
        table[m, d] = 1.0
        ended, column = solve(table, m, d + 1, names)
        if ended == RAY:
            found[r, 0] = _inwards(units, start, m, table, names, column)
            continue
        # Second, a sum of -a over the rows: in every direction to infinity it grows, unless all rows vanish there. The
        # weights differ, so that it has its maximum at a vertex, where d rows meet.
        table[m, :] = 0.0
        for i in range(m):
            for k in range(d):
                table[i, k] = -units[start + i, k]
                table[m, k] -= _weight(i) * units[start + i, k]
            table[i, d] = 1.0
        if solve(table, m, d, names)[0] != DONE:
            continue
        for i in range(m):
            y[i] = _weight(i)
        full = True
        for j in range(d):
            if names[m + j] < 0:
                full = False
            else:
                y[names[m + j]] += max(-table[m, j], 0.0)
        if not full:
            continue
        total = rest = 0.0
        for i in range(m):
            total += y[i]
        for k in range(d):
            value = 0.0
            for i in range(m):
                value += y[i] * units[start + i, k]
            rest += abs(value)
        found[r, 1] = _spread(units, start, m, names, square)
        found[r, 2], found[r, 3] = rest + 4.0 * (m + 4) * d * EPSILON * total, total


@compiled(inline=True)
def _weight(i: int) -> float:
    """Return a number between 1 and 2; those of different rows are in no simple relation."""
    return 1.0 + (0.6180339887498949 * (i + 1)) % 1.0


@compiled()
def _inwards(units: Any, start: int, m: int, table: Any, names: Any, column: int) -> float:
    """Return how far inwards the ray of `column` points at the nearest row."""
    d = units.shape[1]
    way = 1.0 if table[m, column] > 0.0 else -1.0
    worst, norm = -np.inf, 0.0
    for i in range(m + 1):
        name = names[i] if i < m else names[m + column]
        if name < 0 and name >= -d:
            value = way * table[i, column] if i < m else way
            norm += value * value
    norm = np.sqrt(norm)
    for i in range(m):
        value = 0.0
        for q in range(m + 1):
            name = names[q] if q < m else names[m + column]
            if name < 0 and name >= -d:
                step = way * table[q, column] if q < m else way
                value += units[start + i, -1 - name] * step
        worst = max(worst, value)
    return -worst / norm - 4.0 * (d + 4) * EPSILON if norm > 0.0 else -np.inf


@compiled()
def _spread(units: Any, start: int, m: int, names: Any, square: Any) -> float:
    """Return a lower bound on the singular values of the rows that are not basic: (1 - |I - B X|) / |X|, X ~ 1 / B."""
    d = units.shape[1]
    for i in range(d):
        for k in range(d):
            square[i, k] = units[start + names[m + i], k]
            square[i, d + k] = 1.0 if i == k else 0.0
    if not invert(square, d):
        return -np.inf
    size = off = 0.0
    for i in range(d):
        for k in range(d):
            value = 0.0
            for j in range(d):
                value += units[start + names[m + i], j] * square[j, d + k]
            off += (value - (1.0 if i == k else 0.0)) ** 2
            size += square[i, d + k] ** 2
    # The last term is the rounding of the product itself.
    return float((1.0 - np.sqrt(off) - 4.0 * d * d * EPSILON * np.sqrt(size)) / np.sqrt(size))

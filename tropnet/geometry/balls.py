"""Largest balls, bounded or not: small linear programs for many polyhedra at once, compiled, in any dimension.

All programs have the form: maximise g . v over slacks s_i = h_i + T_i v >= 0 with h > 0 and v free, so v = 0 is a
feasible start. They are solved by a dense primal simplex on this dictionary (n + 1 columns for n variables), and what
comes out is only a proposal: primal and dual solution are checked against the rows themselves, and what does not pass
is called doubtful.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import BoolArray
from tropnet.arrays.rounding import EPSILON
from tropnet.arrays.types import FloatArray
from tropnet.kernels import compiled

__all__ = ["FAR", "Directions", "balls", "centred", "directions"]

# Gains and rates below this count as zero; rows are unit rows.
_ZERO = 1e-11
# The largest relative gap between a ball and the proof that there is no larger one.
_GAP = 1e-9
FAR = 1e15
_DONE, _RAY, _STUCK = 0, 1, 2


class Centred(NamedTuple):
    """Rows of many polyhedra seen from a point inside each, in units of the distance to the nearest side.

    Attributes
    ----------
    units
        float64, shape (n, d): unit rows.
    sides
        float64, shape (n,): distances, at least 1 and at most 1e15.
    errors
        float64, shape (n,): about how much of a side is rounding.
    reach
        float64, shape (R,): the unit; not positive, infinite or NaN where it means nothing.
    """

    units: FloatArray
    sides: FloatArray
    errors: FloatArray
    reach: FloatArray


def centred(A: FloatArray, b: FloatArray, offsets: NDArray[np.int64], points: FloatArray) -> Centred:
    """Return the rows {x : A x <= b} of many polyhedra seen from a point strictly inside each.

    Parameters
    ----------
    A, b
        float64, shapes (n, d) and (n,): the rows of polyhedron i are offsets[i], ..., offsets[i + 1] - 1.
    offsets
        int64, shape (R + 1,).
    points
        float64, shape (R, d).
    """
    n = np.diff(offsets)
    with np.errstate(all="ignore"):
        largest = np.abs(A).max(axis=1, initial=0.0)
        # Scaled first, so that squares neither overflow nor vanish.
        scaled = A / largest[:, None]
        norms = np.sqrt((scaled * scaled).sum(axis=1))
        units = scaled / norms[:, None]
        where = np.repeat(points, n, axis=0)
        level = b / largest / norms
        sides = level - (units * where).sum(axis=1)
        errors = 64 * EPSILON * (np.abs(level) + (np.abs(units) * np.abs(where)).sum(axis=1))
        reach = np.full(len(points), np.inf)
        filled = n > 0
        if filled.any():
            reach[filled] = np.minimum.reduceat(sides, offsets[:-1][filled])
        own = np.repeat(reach, n)
        return Centred(units, np.minimum(sides / own, FAR), errors / own, reach)


def balls(rows: Centred, offsets: NDArray[np.int64], points: FloatArray) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Return centres (R, d) and radii (R,) of largest inscribed balls, and which of them are not to be trusted.

    A ball is trusted if multipliers prove that none is larger by more than 1e-9 of it; an unbounded program is not, see
    `directions`.

    Examples
    --------
    >>> A, b = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]), np.array([2.0, 0.0, 1.0, 0.0])
    >>> offsets, points = np.array([0, 4]), np.array([[0.25, 0.25]])
    >>> balls(centred(A, b, offsets, points), offsets, points)[1:]
    (array([0.5]), array([False]))
    """
    d = points.shape[1]
    most = int(np.diff(offsets).max(initial=0))
    steps, radii = np.empty(points.shape), np.empty(len(points))
    doubtful = np.empty(len(points), dtype=np.bool_)
    table, names = np.empty((most + 1, d + 2)), np.empty(most + d + 1, dtype=np.int64)
    _balls(rows.units, rows.sides, rows.errors, rows.reach, offsets, table, names, steps, radii, doubtful)
    # Where a side was moved nearer, the answer is that of another polyhedron.
    doubtful[np.repeat(np.arange(len(points)), np.diff(offsets))[rows.sides >= FAR]] = True
    with np.errstate(invalid="ignore", over="ignore"):
        return points + steps * rows.reach[:, None], radii * rows.reach, doubtful


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


@compiled()
def _simplex(table: Any, m: int, n: int, names: Any) -> tuple[int, int]:
    """Maximise row m of the dictionary table[:m + 1, :n + 1], in place.

    Variable i >= 0 is slack i, -1 - j is the free v_j. names[:m] are the basic ones, names[m:m + n] the others.

    Returns
    -------
    How it ended (done, a ray, stuck), and the column of the ray.
    """
    for i in range(m):
        names[i] = i
    for j in range(n):
        names[m + j] = -1 - j
    for _ in range(20 * (m + n) + 50):
        c, best = -1, _ZERO
        for j in range(n):
            gain = table[m, j]
            gain = abs(gain) if names[m + j] < 0 else gain
            if gain > best:
                c, best = j, gain
        if c < 0:
            return _DONE, -1
        way = 1.0 if table[m, c] > 0.0 else -1.0
        r, shortest = -1, np.inf
        for i in range(m):
            rate = -way * table[i, c]
            if names[i] >= 0 and rate > _ZERO:
                length = max(table[i, n], 0.0) / rate
                # Of rows that block together the one with the largest pivot is the safest.
                if length < shortest * (1.0 - 1e-12) or (length <= shortest and rate > -way * table[r, c]):
                    r, shortest = i, length
        if r < 0:
            return _RAY, c
        _pivot(table, m, n, r, c)
        names[r], names[m + c] = names[m + c], names[r]
    return _STUCK, -1


@compiled()
def _pivot(table: Any, m: int, n: int, r: int, c: int) -> None:
    """Exchange the basic variable of row r and the other of column c."""
    inverse = 1.0 / table[r, c]
    for j in range(n + 1):
        table[r, j] *= -inverse
    table[r, c] = inverse
    for i in range(m + 1):
        factor = table[i, c]
        if i == r or factor == 0.0:
            continue
        for j in range(n + 1):
            table[i, j] += factor * table[r, j]
        table[i, c] = factor * inverse


@compiled(entry=True)
def _balls(
    units: Any, sides: Any, errors: Any, reach: Any, offsets: Any, table: Any, names: Any, steps: Any, radii: Any,
    doubtful: Any,
) -> None:  # fmt: skip
    d = units.shape[1]
    for r in range(len(reach)):
        start, m = offsets[r], offsets[r + 1] - offsets[r]
        steps[r, :] = 0.0
        radii[r] = 0.0
        doubtful[r] = True
        if m == 0 or not (reach[r] > 0.0 and reach[r] < np.inf):
            continue
        for i in range(m):
            for k in range(d):
                table[i, k] = -units[start + i, k]
            table[i, d], table[i, d + 1] = -1.0, sides[start + i]
        table[m, :] = 0.0
        table[m, d] = 1.0
        if _simplex(table, m, d + 1, names)[0] != _DONE:
            continue
        for i in range(m):
            if names[i] < 0 and names[i] >= -d:
                steps[r, -1 - names[i]] = table[i, d + 1]
        size, radius, error = 1.0, np.inf, 0.0
        for k in range(d):
            size = max(size, abs(steps[r, k]))
        for i in range(m):
            slack = sides[start + i]
            for k in range(d):
                slack -= units[start + i, k] * steps[r, k]
            if slack < radius:
                radius = slack
            # Only rows that the ball nearly touches matter.
            if slack < 2.0 * radius:
                error = max(error, errors[start + i])
        # Weights y >= 0 with sum 1 under which the rows cancel: no ball has a larger radius than y . sides.
        bound, weight = 0.0, 0.0
        for j in range(d + 1):
            if names[m + j] >= 0:
                bound += max(-table[m, j], 0.0) * sides[start + names[m + j]]
                weight += max(-table[m, j], 0.0)
        rest = abs(weight - 1.0) * radius
        for k in range(d):
            value = 0.0
            for j in range(d + 1):
                if names[m + j] >= 0:
                    value += max(-table[m, j], 0.0) * units[start + names[m + j], k]
            rest += abs(value) * size
        radii[r] = radius
        doubtful[r] = not (bound + rest + error - radius <= _GAP * radius and size < FAR)


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
        ended, column = _simplex(table, m, d + 1, names)
        if ended == _RAY:
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
        if _simplex(table, m, d, names)[0] != _DONE:
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


@compiled()
def invert(square: Any, d: int) -> bool:
    """Turn (B | I) into (I | 1 / B) by rows, in place; False if a pivot vanishes."""
    for k in range(d):
        p = k
        for i in range(k + 1, d):
            if abs(square[i, k]) > abs(square[p, k]):
                p = i
        if square[p, k] == 0.0:
            return False
        if p != k:
            for j in range(2 * d):
                square[k, j], square[p, j] = square[p, j], square[k, j]
        inverse = 1.0 / square[k, k]
        for j in range(2 * d):
            square[k, j] *= inverse
        for i in range(d):
            factor = square[i, k]
            if i != k and factor != 0.0:
                for j in range(2 * d):
                    square[i, j] -= factor * square[k, j]
    return True

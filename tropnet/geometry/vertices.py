"""Vertices of many polyhedra at once, compiled: a walk along the edges from one vertex.

A vertex of a simple polyhedron lies on d sides, and leaving one of them leads along an edge to another vertex or to
infinity. The walk finds all vertices: some linear form has its only maximum at any given one, and the simplex method
leads there, along edges, from wherever it starts. That a polyhedron is simple is seen on the way: at no vertex another
row may be within rounding of it. What fails that, or is too flat, is doubtful.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import BoolArray
from tropnet.arrays.rounding import EPSILON
from tropnet.arrays.types import FloatArray
from tropnet.geometry.balls import Centred, invert
from tropnet.kernels import compiled

__all__ = ["vertices"]

# Rates of unit rows along unit edges; what is more nearly parallel counts as that, or is doubtful.
_PARALLEL = 1e-9
_ZERO = 1e-11
# Vertices of one polyhedron; with more the search among those seen, which is linear, would take too long.
_MOST = 1 << 12
_PART = 1 << 20


def vertices(
    rows: Centred, offsets: NDArray[np.int64], points: FloatArray
) -> tuple[FloatArray, NDArray[np.int64], BoolArray]:
    """Return the vertices of polyhedra, and for which of them they are not to be trusted.

    Parameters
    ----------
    rows
        The rows, seen from points inside: those of polyhedron i are offsets[i], ..., offsets[i + 1] - 1.
    offsets
        int64, shape (R + 1,).
    points
        float64, shape (R, d): those points.

    Returns
    -------
    corners
        float64, shape (n, d).
    counts
        int64, shape (R,): how many each polyhedron has; 0 where doubtful.
    doubtful
        bool, shape (R,).

    Notes
    -----
    O(d (d^2 + m d)) operations for each vertex and m rows, and a search among the vertices seen.

    Examples
    --------
    >>> from tropnet.geometry.balls import centred
    >>> A, b = np.array([[-1.0, 0.0], [0.0, -1.0], [1.0, 1.0]]), np.array([0.0, 0.0, 2.0])
    >>> offsets, inside = np.array([0, 3]), np.array([[0.5, 0.5]])
    >>> corners, counts, doubtful = vertices(centred(A, b, offsets, inside), offsets, inside)
    >>> sorted(corners.round(12).tolist()), doubtful
    ([[0.0, 0.0], [0.0, 2.0], [2.0, 0.0]], array([False]))
    """
    R, d = points.shape
    most = int(np.diff(offsets).max(initial=0))
    counts, doubtful = np.zeros(R, dtype=np.int64), np.ones(R, dtype=np.bool_)
    table, names = np.empty((most, d + 1)), np.empty(most + d, dtype=np.int64)
    seen, slacks = np.empty((_MOST, d), dtype=np.int64), np.empty(most)
    corners = np.empty((max(_PART, _MOST), d))
    parts, r = [np.empty((0, d))], 0
    while r < R:
        r, n = _walk(
            rows.units, rows.sides, rows.errors, rows.reach, offsets, r, table, names, np.empty((d, 2 * d)), seen,
            slacks, corners, counts, doubtful,
        )  # fmt: skip
        parts.append(corners[:n].copy())
    steps = np.concatenate(parts)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.repeat(points, counts, axis=0) + steps * np.repeat(rows.reach, counts)[:, None], counts, doubtful


@compiled(entry=True)
def _walk(
    units: Any, sides: Any, errors: Any, reach: Any, offsets: Any, first: int, table: Any, names: Any, square: Any,
    seen: Any, slacks: Any, corners: Any, counts: Any, doubtful: Any,
) -> tuple[int, int]:  # fmt: skip
    """Fill `corners` with the vertices of polyhedra from `first` on; return the next one, and how many there are."""
    d, total = units.shape[1], 0
    for r in range(first, len(reach)):
        if total + len(seen) > len(corners):
            return r, total
        start, m = offsets[r], offsets[r + 1] - offsets[r]
        counts[r] = 0
        doubtful[r] = True
        if m < d or not (reach[r] > 0.0 and reach[r] < np.inf) or not _first(units, sides, start, m, table, names):
            continue
        for k in range(d):
            seen[0, k] = names[m + k]
        _sort(seen, 0, d)
        n, at, sure = 1, 0, True
        while sure and at < n:
            n = _neighbours(units, sides, errors, start, m, square, seen, n, at, slacks, corners, total)
            sure = n > 0
            at += 1
        if sure:
            counts[r] = n
            doubtful[r] = False
            total += n
    return len(reach), total


@compiled()
def _first(units: Any, sides: Any, start: int, m: int, table: Any, names: Any) -> bool:
    """Walk from the origin to a vertex, one coordinate at a time; the rows it lies on are names[m:m + d]."""
    d = units.shape[1]
    for i in range(m):
        names[i] = i
        for k in range(d):
            table[i, k] = -units[start + i, k]
        table[i, d] = sides[start + i]
    for c in range(d):
        names[m + c] = -1 - c
    for c in range(d):
        r, shortest = -1, np.inf
        for i in range(m):
            if names[i] >= 0 and abs(table[i, c]) > _ZERO:
                length = max(table[i, d], 0.0) / abs(table[i, c])
                if length < shortest:
                    r, shortest = i, length
        if r < 0:
            return False
        # The nearest row in either direction: both are feasible only up to the first one in that direction.
        inverse = 1.0 / table[r, c]
        for j in range(d + 1):
            table[r, j] *= -inverse
        table[r, c] = inverse
        for i in range(m):
            factor = table[i, c]
            if i != r and factor != 0.0:
                for j in range(d + 1):
                    table[i, j] += factor * table[r, j]
                table[i, c] = factor * inverse
        names[r], names[m + c] = names[m + c], names[r]
    return True


@compiled()
def _neighbours(
    units: Any, sides: Any, errors: Any, start: int, m: int, square: Any, seen: Any, n: int, at: int, slacks: Any,
    corners: Any, total: int,
) -> int:  # fmt: skip
    """Compute vertex `at` and append the vertices next to it; return how many there are now, or -1 if in doubt."""
    d = units.shape[1]
    for i in range(d):
        for k in range(d):
            square[i, k] = units[start + seen[at, i], k]
            square[i, d + k] = 1.0 if i == k else 0.0
    if not invert(square, d):
        return -1
    size, reach, error = 0.0, 1.0, 0.0
    for k in range(d):
        value = 0.0
        for i in range(d):
            value += square[k, d + i] * sides[start + seen[at, i]]
            size = max(size, abs(square[k, d + i]))
            error = max(error, errors[start + seen[at, i]])
        corners[total + at, k] = value
        reach = max(reach, abs(value))
    for i in range(m):
        slack = sides[start + i]
        for k in range(d):
            slack -= units[start + i, k] * corners[total + at, k]
        slacks[i] = slack
        tight = False
        for k in range(d):
            tight = tight or seen[at, k] == i
        doubt = (64.0 * d * EPSILON * (reach + sides[start + i]) + error + errors[start + i]) * (1.0 + d * size)
        if not tight and not slack > doubt:
            return -1
    for k in range(d):
        norm = 0.0
        for j in range(d):
            norm += square[j, d + k] * square[j, d + k]
        norm = np.sqrt(norm)
        # Along -X e_k, away from row k and on the other d - 1.
        entering, shortest, doubt = -1, np.inf, False
        for i in range(m):
            on = False
            for j in range(d):
                on = on or seen[at, j] == i
            if on:
                continue
            rate = 0.0
            for j in range(d):
                rate -= units[start + i, j] * square[j, d + k]
            rate /= norm
            if rate > _PARALLEL:
                if slacks[i] / rate < shortest:
                    entering, shortest = i, slacks[i] / rate
            elif rate > -_PARALLEL:
                doubt = True
        if entering < 0:
            # To infinity, unless a row that is nearly parallel ends the edge far away.
            if doubt:
                return -1
            continue
        if n == len(seen):
            return -1
        for j in range(d):
            seen[n, j] = seen[at, j]
        seen[n, k] = entering
        _sort(seen, n, d)
        new = True
        for q in range(n):
            same = True
            for j in range(d):
                same = same and seen[q, j] == seen[n, j]
            if same:
                new = False
                break
        n += new
    return n


@compiled()
def _sort(seen: Any, n: int, d: int) -> None:
    for i in range(1, d):
        j = i
        while j > 0 and seen[n, j] < seen[n, j - 1]:
            seen[n, j], seen[n, j - 1] = seen[n, j - 1], seen[n, j]
            j -= 1

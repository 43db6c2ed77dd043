"""Vertices of many polyhedra at once, compiled: a walk along the edges from one vertex, with proofs.

A vertex of a simple polyhedron lies on d sides, and leaving one of them leads along an edge to another vertex or to
infinity. The walk finds all vertices: some linear form has its only maximum at any given one, and the simplex method
leads there, along edges, from wherever it starts.

Each vertex is proven: an approximate inverse X of its d unit rows B shows that B is regular and bounds how far the
vertex computed is from the true one (with rho the residual of the d equations, all errors included, and G = I - B X,
by |X| (1 - |G|)^-1 |rho|: Rump 2010, doi:10.1017/S096249291000005X, section 10), and every other row must stay farther
away than that, so that the point is a vertex and the polyhedron simple there. What fails that is doubtful.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import BoolArray
from tropnet.arrays.rounding import EPSILON
from tropnet.arrays.types import FloatArray
from tropnet.geometry.balls import invert
from tropnet.geometry.centred import Centred
from tropnet.kernels import compiled

__all__ = ["MOST", "vertices", "walk"]

# Rates of unit rows along unit edges; what is more nearly parallel counts as that, or is doubtful.
_PARALLEL = 1e-9
_ZERO = 1e-11
# Vertices of one polyhedron; with more the search among those seen, which is linear, would take too long.
MOST = 1 << 12
_PART = 1 << 20


def vertices(
    rows: Centred, offsets: NDArray[np.int64], points: FloatArray, accuracy: float
) -> tuple[FloatArray, NDArray[np.int64], BoolArray]:
    """Return the vertices of polyhedra, and for which of them they are not proven.

    Parameters
    ----------
    rows
        The rows, seen from points inside: those of polyhedron i are offsets[i], ..., offsets[i + 1] - 1.
    offsets
        int64, shape (R + 1,).
    points
        float64, shape (R, d): those points.
    accuracy
        How wrong a coordinate may be before it is rounded, in units of the distance of the point to the nearest side.

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
    >>> from tropnet.geometry.centred import centred
    >>> A, b = np.array([[-1.0, 0.0], [0.0, -1.0], [1.0, 1.0]]), np.array([0.0, 0.0, 2.0])
    >>> offsets, inside = np.array([0, 3]), np.array([[0.5, 0.5]])
    >>> corners, counts, doubtful = vertices(centred(A, b, offsets, inside), offsets, inside, 1e-12)
    >>> sorted(corners.round(12).tolist()), doubtful
    ([[0.0, 0.0], [0.0, 2.0], [2.0, 0.0]], array([False]))
    """
    R, d = points.shape
    most = int(np.diff(offsets).max(initial=0))
    counts, doubtful = np.zeros(R, dtype=np.int64), np.ones(R, dtype=np.bool_)
    # Fewer than d rows leave a line, and no vertex.
    few = np.diff(offsets) < d
    table, names = np.empty((most, d + 1)), np.empty(most + d, dtype=np.int64)
    seen, work, edges = np.empty((MOST, d), dtype=np.int64), np.empty((3, most + d)), np.empty((0, 3), dtype=np.int64)
    corners, errors = np.empty((max(_PART, MOST), d)), np.empty(max(_PART, MOST))
    parts, r = [np.empty((0, d))], 0
    while r < R:
        r, n = _vertices(
            *rows, offsets, r, accuracy, table, names, np.empty((d, 2 * d)), seen, work, corners, errors, edges, counts,
            doubtful,
        )  # fmt: skip
        parts.append(corners[:n].copy())
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        steps = np.concatenate(parts) * np.repeat(rows.reach, counts)[:, None]
        found = np.repeat(points, counts, axis=0) + steps
    wrong = ~np.isfinite(found).all(axis=1)
    if wrong.any():
        owner = np.repeat(np.arange(R), counts)
        doubtful[owner[wrong]] = True
        found = found[~doubtful[owner]]
        counts[doubtful] = 0
    doubtful[few] = False
    return found, counts, doubtful


@compiled(entry=True)
def _vertices(
    units: Any, sides: Any, unit_errors: Any, side_errors: Any, reach: Any, offsets: Any, first: int, accuracy: float,
    table: Any, names: Any, square: Any, seen: Any, work: Any, corners: Any, errors: Any, edges: Any, counts: Any,
    doubtful: Any,
) -> tuple[int, int]:  # fmt: skip
    """Fill `corners` with the vertices of polyhedra from `first` on; return the next one, and how many there are."""
    total = 0
    for r in range(first, len(reach)):
        if total + len(seen) > len(corners):
            return r, total
        start, m = offsets[r], offsets[r + 1] - offsets[r]
        counts[r] = 0
        doubtful[r] = True
        if not (reach[r] > 0.0 and reach[r] < np.inf):
            continue
        n = walk(
            units, sides, unit_errors, side_errors, start, m, table, names, square, seen, work, corners, errors, total,
            edges,
        )[0]  # fmt: skip
        sure = n > 0
        for at in range(total, total + n):
            sure = sure and errors[at] <= accuracy
        if sure:
            counts[r] = n
            doubtful[r] = False
            total += n
    return len(reach), total


@compiled()
def walk(
    units: Any, sides: Any, unit_errors: Any, side_errors: Any, start: int, m: int, table: Any, names: Any, square: Any,
    seen: Any, work: Any, corners: Any, errors: Any, total: int, edges: Any,
) -> tuple[int, int]:  # fmt: skip
    """Find all vertices of one polyhedron, the m rows from `start` on, which contains the origin.

    Parameters
    ----------
    units, sides, unit_errors, side_errors
        As in `Centred`.
    table, names, square, work
        Space: shapes (m, d + 1), (m + d,), (d, 2 d) and (3, m).
    seen
        Out, int64, shape (MOST, d): the rows on which each vertex lies, ascending.
    corners, errors
        Out, from place `total` on: the vertices, and how wrong they are at most, in l1.
    edges
        Out, int64, shape (n, 3): for each edge that is no ray a vertex, a later one, and which of the d rows of the
        first is left; none are stored where n is 0.

    Returns
    -------
    How many vertices and edges there are; no vertices if anything is in doubt.
    """
    d = units.shape[1]
    if m < d or not _first(units, sides, start, m, table, names):
        return 0, 0
    for i in range(m):
        if not side_errors[start + i] < np.inf:
            return 0, 0
    for k in range(d):
        seen[0, k] = names[m + k]
    _sort(seen, 0, d)
    n, at, n_edges = 1, 0, 0
    while at < n:
        if not _locate(
            units, sides, unit_errors, side_errors, start, m, square, seen, at, work, corners, errors, total
        ):
            return 0, 0
        n, n_edges = _neighbours(units, unit_errors, start, m, square, seen, n, at, work, edges, n_edges)
        if n == 0:
            return 0, 0
        at += 1
    return n, n_edges


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
def _locate(
    units: Any, sides: Any, unit_errors: Any, side_errors: Any, start: int, m: int, square: Any, seen: Any, at: int,
    work: Any, corners: Any, errors: Any, total: int,
) -> bool:  # fmt: skip
    """Compute vertex `at`, leaving X beside B in `square` and the slacks of the rows in work[0]; False if in doubt.

    work[1, :d] is left with bounds on how wrong the columns of X are, as directions of the edges.
    """
    d, place = units.shape[1], total + at
    for i in range(d):
        for k in range(d):
            square[i, k] = units[start + seen[at, i], k]
            square[i, d + k] = 1.0 if i == k else 0.0
    if not invert(square, d):
        return False
    for k in range(d):
        corners[place, k] = 0.0
    # The point, and once more with its residual, which is left in work[2].
    for _ in range(2):
        for i in range(d):
            row = start + seen[at, i]
            value = sides[row]
            for k in range(d):
                value -= units[row, k] * corners[place, k]
            work[2, i] = value
        for k in range(d):
            value = 0.0
            for i in range(d):
                value += square[k, d + i] * work[2, i]
            corners[place, k] += value
    size = 0.0
    for k in range(d):
        size += abs(corners[place, k])
    # |rho| and |G|, all errors included; columns of |X| first.
    unit, worst, largest = (d + 3) * EPSILON, 0.0, 0.0
    for i in range(d):
        total_column = 0.0
        for k in range(d):
            total_column += abs(square[k, d + i])
        work[1, i] = total_column
    for i in range(d):
        row = start + seen[at, i]
        value = sides[row]
        for k in range(d):
            value -= units[row, k] * corners[place, k]
        work[2, i] = abs(value) + unit * (sides[row] + size) + side_errors[row] + unit_errors[row] * size
        largest = max(largest, work[2, i])
        off = 0.0
        for j in range(d):
            value = 1.0 if i == j else 0.0
            for k in range(d):
                value -= units[row, k] * square[k, d + j]
            off += abs(value) + (unit + unit_errors[row]) * (1.0 + work[1, j])
        worst = max(worst, off)
    if not worst < 0.5:
        return False
    error = 0.0
    for i in range(d):
        error += work[1, i] * (work[2, i] + largest * worst / (1.0 - worst))
    error *= 1.0 + 2.0 * unit
    errors[place] = error
    columns = 0.0
    for i in range(d):
        columns += work[1, i]
    for k in range(d):
        work[1, k] = columns * worst / (1.0 - worst)
    k = 0
    for i in range(m):
        if k < d and seen[at, k] == i:
            k += 1
            continue
        row = start + i
        slack = sides[row]
        for j in range(d):
            slack -= units[row, j] * corners[place, j]
        if not slack > unit * (sides[row] + size) + side_errors[row] + unit_errors[row] * (size + error) + error:
            return False
        work[0, i] = slack
    return True


@compiled()
def _neighbours(
    units: Any, unit_errors: Any, start: int, m: int, square: Any, seen: Any, n: int, at: int, work: Any, edges: Any,
    n_edges: int,
) -> tuple[int, int]:  # fmt: skip
    """Append the vertices next to vertex `at`, and the edges there; return how many there are, or 0 if in doubt."""
    d = units.shape[1]
    for k in range(d):
        norm = 0.0
        for j in range(d):
            norm += square[j, d + k] * square[j, d + k]
        norm = np.sqrt(norm)
        # Along -X e_k, away from row k and on the other d - 1. The next vertex is proven where it is computed: on this
        # line it can only be the other end of the edge.
        entering, shortest, doubt = -1, np.inf, 2.0 * work[1, k] / norm > 0.25 * _PARALLEL
        position = 0
        for i in range(m):
            if position < d and seen[at, position] == i:
                position += 1
                continue
            rate = 0.0
            for j in range(d):
                rate -= units[start + i, j] * square[j, d + k]
            rate /= norm
            if rate > _PARALLEL:
                if work[0, i] / rate < shortest:
                    entering, shortest = i, work[0, i] / rate
            elif rate > -_PARALLEL or not unit_errors[start + i] < 0.25 * _PARALLEL:
                doubt = True
        if entering < 0:
            # To infinity, unless a row that is nearly parallel ends the edge far away.
            if doubt:
                return 0, 0
            continue
        if n == len(seen):
            return 0, 0
        for j in range(d):
            seen[n, j] = seen[at, j]
        seen[n, k] = entering
        _sort(seen, n, d)
        other = n
        for q in range(n):
            same = True
            for j in range(d):
                same = same and seen[q, j] == seen[n, j]
            if same:
                other = q
                break
        n += other == n
        if other > at and len(edges):
            if n_edges == len(edges):
                return 0, 0
            edges[n_edges, 0], edges[n_edges, 1], edges[n_edges, 2] = at, other, k
            n_edges += 1
    return n, n_edges


@compiled()
def _sort(seen: Any, n: int, d: int) -> None:
    for i in range(1, d):
        j = i
        while j > 0 and seen[n, j] < seen[n, j - 1]:
            seen[n, j], seen[n, j - 1] = seen[n, j - 1], seen[n, j]
            j -= 1

"""A walk along vertices of one polyhedron on which most of its rows are found to define facets or not to touch it.

Seen from a point inside, the rows are u y <= s with s > 0. All rows are in one dictionary, their slacks at a vertex and
rates along its d edges, and each that is not yet known is minimised from where the one before ended. At its end the
rates are multipliers, which prove that a row does not touch the polyhedron (see `tropnet.geometry.implied_rows`).

Close to a vertex at which d rows are tight there are points beyond any single one of them: back along its own edge, and
forth along all others, half as far as the other rows allow. If the row surely excludes such a point, and no other row
that is not implied does, it defines a facet. Both are seen in the rows as they were given, so what the dictionary loses
by rounding costs answers and makes none wrong. At degenerate vertices, where more rows are tight, it has none.

Polyhedra one after another often share rows. Where multipliers of shared rows prove something, it stays proven.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.rounding import EPSILON
from tropnet.arrays.types import FloatArray
from tropnet.geometry.implied_rows import is_implied, is_surely_spanned
from tropnet.kernels import compiled

__all__ = ["DOUBTFUL", "FACET", "IMPLIED", "UNKNOWN", "Path", "make_path", "recall", "walk"]

UNKNOWN, FACET, IMPLIED, DOUBTFUL, _LEFT = 0, 1, 2, 3, 4
# Rates below this count as zero; rows are unit rows.
_FLAT = 1e-11
# Slacks are taken to be at least this, so that of rows that are tight the steepest blocks.
_LEAST = 1e-30
# So many pivots for each row, on the average, before the walk is given up.
_PIVOTS = 20
# Lines over the columns of the table: sums; over the rows: sums, what they hold at least, errors, descending edges.
_SUMS, _RATES, _LIMITS, _ERRORS, _DESCENTS = 0, 1, 2, 3, 4
# Vectors: a point close to the vertex, inverse lengths of the edges.
_POINT, _SIZES = 0, 1
_NEVER = 1 << 62


class Path(NamedTuple):
    """Where a walk is, at a vertex of a polyhedron with m rows, and what is remembered of the last polyhedron.

    Attributes
    ----------
    table
        float64, shape (d + 1, d + at least m): the directions of the edges, and the rows' rates along them; last the
        vertex, and the rows' slacks there.
    tight
        int64, shape (d,): by edge the row that it leaves, as a place in `names`; -1 if no row is tight.
    names
        int64, shape (at least m,): which rows of the polyhedron the table holds, ascending; implied ones are left out.
    columns
        float64, shape (d, at least m): the coefficients.
    lines
        float64, shape (5, d + at least m).
    vectors
        float64, shape (2, d).
    ends
        int64, shape (d,): the tight rows, among all that were given.
    implied_by
        int64, shape (at least m,): by row of the polyhedron the number of first rows that surely imply it.
    """

    table: FloatArray
    tight: NDArray[np.int64]
    names: NDArray[np.int64]
    columns: FloatArray
    lines: FloatArray
    vectors: FloatArray
    ends: NDArray[np.int64]
    implied_by: NDArray[np.int64]


def make_path(most: int, d: int) -> Path:
    """Return space for walks of polyhedra with at most so many rows, in d dimensions."""
    return Path(
        np.empty((d + 1, d + most)), np.empty(d, dtype=np.int64), np.empty(most, dtype=np.int64),
        np.empty((d, most)), np.empty((5, d + most)), np.empty((2, d)), np.empty(d, dtype=np.int64),
        np.full(most, _NEVER),
    )  # fmt: skip


@compiled()
def recall(path: Any, known: Any, start: int, m: int, n_shared: int) -> None:
    """Mark rows that are implied by rows shared with the polyhedron before, and all others as unknown."""
    for i in range(m):
        if i < n_shared and path.implied_by[i] <= n_shared:
            known[start + i] = IMPLIED
        else:
            path.implied_by[i] = _NEVER
            known[start + i] = UNKNOWN


@compiled()
def walk(
    path: Any, units: Any, sides: Any, unit_errors: Any, side_errors: Any, start: int, m: int, farthest: float,
    known: Any, square: Any, work: Any,
) -> None:  # fmt: skip
    """Find out what is known of the rows start, ..., start + m - 1 that are not; some may stay unknown."""
    d = units.shape[1]
    n = _load(path, units, sides, unit_errors, side_errors, start, m, known)
    table, names = path.table, path.names
    descents, limits = path.lines[_DESCENTS, :n], path.lines[_LIMITS]
    fresh = _find_vertex(path, n)
    goal = -1
    for _ in range(n * _PIVOTS if fresh else 0):
        if fresh:
            _mark_tight(path, sides, side_errors, start, n, known)
        if goal < 0 or known[start + names[goal]] != UNKNOWN:
            goal = -1
            _count_descents(table[:, d : d + n], descents)
            for i in range(n):
                row = start + names[i]
                if known[row] != UNKNOWN:
                    continue
                if descents[i] == 0.0:
                    known[row] = _settle_least(
                        path, units, sides, unit_errors, side_errors, start, i, farthest, square, work
                    )
                    if known[row] == IMPLIED:
                        limits[i] = np.inf
                elif goal < 0 or descents[i] < descents[goal]:
                    goal = i
            if goal < 0:
                break
        k = 0
        for j in range(1, d):
            if table[j, d + goal] < table[k, d + goal]:
                k = j
        entering = _first_to_block(path, k, n) if table[k, d + goal] < -_FLAT else -1
        if entering < 0:
            goal, fresh = -1, False
            continue
        _exchange(path, k, entering, n)
        fresh = known[start + names[entering]] == UNKNOWN
    for i in range(start, start + m):
        if known[i] == _LEFT:
            known[i] = UNKNOWN


@compiled(reorder=True)
def _load(path: Any, units: Any, sides: Any, unit_errors: Any, side_errors: Any, start: int, m: int, known: Any) -> int:
    """Put the unknown rows into the dictionary, seen from the point inside; return how many they are."""
    d = units.shape[1]
    table, names, columns, lines = path.table, path.names, path.columns, path.lines
    n = 0
    for i in range(m):
        if known[start + i] == UNKNOWN:
            names[n] = i
            n += 1
    for i in range(n):
        row = start + names[i]
        for k in range(d):
            columns[k, i] = units[row, k]
            table[k, d + i] = -units[row, k]
        table[d, d + i] = sides[row]
        lines[_LIMITS, i] = (sides[row] - side_errors[row]) * (1.0 - 4.0 * EPSILON)
        lines[_ERRORS, i] = (unit_errors[row] + (d + 3) * EPSILON) * (1.0 + 4.0 * EPSILON)
    for k in range(d):
        path.tight[k] = -1
        for u in range(d):
            table[k, u] = 1.0 if k == u else 0.0
        table[d, k] = 0.0
    return n


@compiled(reorder=True)
def _find_vertex(path: Any, n: int) -> bool:
    """Go along each edge that leaves no row to the nearest row in either direction; False if there is none."""
    d = len(path.tight)
    slacks = path.table[d, d : d + n]
    for k in range(d):
        rates = path.table[k, d : d + n]
        row, fastest = -1, 0.0
        for i in range(n):
            rate = abs(rates[i]) / max(slacks[i], _LEAST)
            if rate > fastest:
                row, fastest = i, rate
        if row < 0:
            return False
        if rates[row] > 0.0:
            line = path.table[k, : d + n]
            for i in range(d + n):
                line[i] = -line[i]
        _exchange(path, k, row, n)
    return True


@compiled(reorder=True)
def _first_to_block(path: Any, k: int, n: int) -> int:
    """Return the first row that edge k meets, -1 if none."""
    d = len(path.tight)
    rates, slacks, inverse = path.table[k, d : d + n], path.table[d, d : d + n], path.lines[_SUMS, :n]
    for i in range(n):
        inverse[i] = -rates[i] / max(slacks[i], _LEAST)
    row, fastest = -1, 0.0
    for i in range(n):
        if inverse[i] > fastest:
            row, fastest = i, inverse[i]
    return row


@compiled(reorder=True)
def _exchange(path: Any, k: int, row: int, n: int) -> None:
    """Go along edge k to a row, which is tight there instead of the one that the edge left."""
    d = len(path.tight)
    own = path.table[k, : d + n]
    scale = 1.0 / own[d + row]
    for i in range(d + n):
        own[i] *= scale
    own[d + row] = 1.0
    for j in range(d + 1):
        line = path.table[j, : d + n]
        factor = line[d + row]
        if j == k or factor == 0.0:
            continue
        for i in range(d + n):
            line[i] -= factor * own[i]
        line[d + row] = 0.0
    path.tight[k] = row


@compiled(reorder=True)
def _count_descents(table: Any, descents: Any) -> None:
    """Count the edges along which each row comes closer."""
    n = len(descents)
    for i in range(n):
        descents[i] = 0.0
    for k in range(len(table) - 1):
        rates = table[k]
        for i in range(n):
            descents[i] += 1.0 if rates[i] < -_FLAT else 0.0


@compiled(reorder=True)
def _mark_tight(path: Any, sides: Any, side_errors: Any, start: int, n: int, known: Any) -> None:
    """Mark tight rows as facets beyond which there surely are points that no other row excludes."""
    d, table = len(path.tight), path.table
    slacks, lines = table[d, d : d + n], path.lines
    sums, rates, point, sizes = lines[_SUMS, : d + n], lines[_RATES, :n], path.vectors[_POINT], path.vectors[_SIZES]
    for i in range(d + n):
        sums[i] = 0.0
    for k in range(d):
        line, size = table[k, : d + n], 0.0
        for u in range(d):
            size = max(size, abs(line[u]))
        size = 1.0 / size
        sizes[k] = size
        for i in range(d + n):
            sums[i] += size * line[i]
    for k in range(d):
        own = path.tight[k]
        row = start + path.names[own]
        if known[row] != UNKNOWN:
            continue
        twice, line = 2.0 * sizes[k], table[k, d : d + n]
        for i in range(n):
            rates[i] = twice * line[i] - sums[d + i]
        rates[own] = 0.0
        fastest = 0.5
        for i in range(n):
            fastest = max(fastest, rates[i] / max(slacks[i], _LEAST))
        for u in range(d):
            point[u] = table[d, u] + 0.5 / fastest * (sums[u] - twice * table[k, u])
        if _is_beyond_alone(path, (sides[row] + side_errors[row]) * (1.0 + 4.0 * EPSILON), own, n):
            known[row] = FACET


@compiled(reorder=True)
def _is_beyond_alone(path: Any, most: float, own: int, n: int) -> bool:
    """Return whether the point is surely beyond row `own`, at most so far away, and inside all others not implied."""
    point, reached = path.vectors[_POINT], path.lines[_RATES, :n]
    errors, limits = path.lines[_ERRORS, :n], path.lines[_LIMITS, :n]
    d, size = len(point), 0.0
    for k in range(d):
        size += point[k] * point[k]
    size = np.sqrt(size) * (1.0 + (d + 4) * EPSILON) + _LEAST
    if not size < np.inf:
        return False
    for i in range(n):
        reached[i] = errors[i] * size
    for k in range(d):
        x, line = point[k], path.columns[k, :n]
        for i in range(n):
            reached[i] += x * line[i]
    if not reached[own] - 2.0 * errors[own] * size > most:
        return False
    n_outside = 0
    for i in range(n):
        n_outside += not reached[i] < limits[i]
    return n_outside == 1


@compiled()
def _settle_least(
    path: Any, units: Any, sides: Any, unit_errors: Any, side_errors: Any, start: int, column: int, farthest: float,
    square: Any, work: Any,
) -> int:  # fmt: skip
    """Return what is known of a row that is least at the vertex."""
    row, n_first, n_all = start + path.names[column], 0, 0
    for k in range(len(path.tight)):
        name = path.names[path.tight[k]]
        path.ends[k] = start + name
        multiplier = path.table[k, len(path.tight) + column]
        work[2, k] = multiplier
        n_all = max(n_all, name + 1)
        if multiplier > 0.0:
            n_first = max(n_first, name + 1)
    if is_implied(units, sides, unit_errors, side_errors, row, path.ends, work, farthest):
        path.implied_by[path.names[column]] = n_first
        return IMPLIED
    if is_surely_spanned(units, sides, unit_errors, side_errors, row, path.ends, square, work):
        path.implied_by[path.names[column]] = n_all
        return IMPLIED
    return _LEFT

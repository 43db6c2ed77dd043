"""Which rows of many polyhedra define facets, and which do not touch them: proofs in float64, in any dimension.

Seen from a point inside, the rows are u y <= s with s > 0. Two things can be proven of row i:

It defines a facet if some ray from the point meets its hyperplane strictly before that of any other row: there the
polyhedron ends at row i alone.

It does not even touch the polyhedron if u_i y < s_i for all y in it, for then no facet can lie on it, and the others
describe the same polyhedron without it. Multipliers of other rows prove that (see `tropnet.geometry.implied_rows`).

A walk along the polyhedron's vertices finds nearly all (see `tropnet.geometry.facet_walk`). Rows that it leaves, as at
degenerate vertices, are asked in turn: the linear program max u_i y over the rows found so far ends below s_i, with
multipliers, or beyond, in a direction in which a ray meets another facet (Clarkson 1994, doi:10.1109/SFCS.1994.365723).
So programs have as many rows as there are facets, not as there are rows. Coincident rows, and rows that touch the
polyhedron in less than a facet, are in neither case: they are doubtful.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.rounding import EPSILON
from tropnet.geometry.balls import DONE, solve
from tropnet.geometry.centred import Centred
from tropnet.geometry.facet_walk import DOUBTFUL, FACET, IMPLIED, UNKNOWN, make_path, recall, walk
from tropnet.geometry.implied_rows import is_implied, is_surely_spanned
from tropnet.kernels import Record, compiled

__all__ = ["DOUBTFUL", "FACET", "IMPLIED", "facets", "untouched"]

# How often a direction that leads to several rows at once is moved, and how far the first time and each next.
_TRIES = 3
_SHIFT = 1e-2
# Inverse distances may be subnormal.
_TINY = 1e-300


def facets(
    rows: Centred, offsets: NDArray[np.int64], extent: float = np.inf, n_shared: NDArray[np.int64] | None = None
) -> NDArray[np.int8]:
    """Return what is proven of each row: it defines a facet, does not touch the polyhedron, or is doubtful.

    Parameters
    ----------
    rows
        The rows, seen from points strictly inside: those of polyhedron i are offsets[i], ..., offsets[i + 1] - 1.
    offsets
        int64, shape (R + 1,).
    extent
        No two points of a polyhedron are farther apart than this; with `n_shared`, no two points of all of them.
    n_shared
        int64, shape (R,): so many rows of each, the first ones, are those of the polyhedron before, in the same places;
        none if not given. What these imply is not asked again.

    Returns
    -------
    int8, shape (n,): `FACET`, `IMPLIED` or `DOUBTFUL`. Of rows that are coincident none is more than doubtful.

    Notes
    -----
    About m vertices for m rows that no shared rows imply, each O(m d) operations; where the walk ends in doubt, and for
    f facets, linear programs with f rows, and O(m) operations for each ray and dimension.

    Examples
    --------
    A triangle, a row farther away, and one that touches a corner:

    >>> from tropnet.geometry.centred import centred
    >>> A = np.array([[-1.0, 0.0], [0.0, -1.0], [1.0, 1.0], [1.0, 0.0], [2.0, 1.0]])
    >>> offsets = np.array([0, 5])
    >>> rows = centred(A, np.array([0.0, 0.0, 2.0, 3.0, 4.0]), offsets, np.array([[0.5, 0.5]]))
    >>> facets(rows, offsets).tolist() == [FACET, FACET, FACET, IMPLIED, DOUBTFUL]
    True
    """
    d = rows.units.shape[1]
    most = int(np.diff(offsets).max(initial=0))
    known = np.full(len(rows.units), DOUBTFUL, dtype=np.int8)
    table, names = np.empty((most + 2, d + 1)), np.empty(most + d + 1, dtype=np.int64)
    shared = np.zeros(len(rows.reach), dtype=np.int64) if n_shared is None else n_shared
    _facets(
        *rows, offsets, shared, extent, known, Record(make_path(most, d)), np.empty(most, dtype=np.int64), table, names,
        np.empty((d, 2 * d)), np.empty((4, d)),
    )  # fmt: skip
    return known


@compiled(entry=True)
def _facets(
    units: Any, sides: Any, unit_errors: Any, side_errors: Any, reach: Any, offsets: Any, n_shared: Any, extent: float,
    known: Any, path: Any, active: Any, table: Any, names: Any, square: Any, work: Any,
) -> None:  # fmt: skip
    """Fill in what is known of each row; `active` is space for the rows found so far, work[0] for a direction."""
    d = units.shape[1]
    for r in range(len(reach)):
        start, m = offsets[r], offsets[r + 1] - offsets[r]
        recall(path, known, start, m, n_shared[r])
        sure = reach[r] > 0.0 and reach[r] < np.inf
        for i in range(start, start + m):
            sure = sure and side_errors[i] < sides[i] and unit_errors[i] < 1.0
        if not sure:
            known[start : start + m] = DOUBTFUL
            continue
        walk(path, units, sides, unit_errors, side_errors, start, m, extent / reach[r], known, square, work)
        n = 0
        for i in range(start, start + m):
            if known[i] == FACET:
                active[n] = i
                n += 1
        for i in range(start, start + m):
            if known[i] != UNKNOWN:
                continue
            for k in range(d):
                work[0, k] = units[i, k]
            first = _first(units, sides, unit_errors, side_errors, start, m, known, work)
            if first >= 0 and known[first] != FACET:
                n = _found(first, known, active, n)
            while known[i] == UNKNOWN:
                first = -1
                if _beyond(units, sides, i, active, n, table, names, work):
                    first = _first_near(units, sides, unit_errors, side_errors, start, m, known, work)
                elif _ends_below(
                    units, sides, unit_errors, side_errors, i, active, n, table, names, path.ends, square, work,
                    extent / reach[r],
                ):  # fmt: skip
                    known[i] = IMPLIED
                    break
                if first >= 0:
                    n = _found(first, known, active, n)
                else:
                    # It stays among the rows of the next programs, which may end at it.
                    known[i] = DOUBTFUL
                    active[n] = i
                    n += 1


def untouched(rows: Centred, offsets: NDArray[np.int64], asked: Centred, extent: float = np.inf) -> NDArray[np.bool_]:
    """Return which further rows surely do not touch the polyhedra: on all of each, they hold strictly.

    Parameters
    ----------
    rows, offsets, extent
        The polyhedra, as for `facets`.
    asked
        The further rows, as many for each polyhedron (see `seen_along`).

    Returns
    -------
    bool, shape (R k,).

    Notes
    -----
    A linear program over the rows of the polyhedron for each. False proves nothing.

    Examples
    --------
    A triangle, with a row that is farther away and one that touches a corner:

    >>> from tropnet.geometry.centred import centred, seen_along
    >>> A, point = np.array([[-1.0, 0.0], [0.0, -1.0], [1.0, 1.0]]), np.array([[0.5, 0.5]])
    >>> rows = centred(A, np.array([0.0, 0.0, 2.0]), np.array([0, 3]), point)
    >>> further, b = np.array([[[1.0, 0.0], [2.0, 1.0]]]), np.array([[3.0, 4.0]])
    >>> untouched(rows, np.array([0, 3]), seen_along(rows, further, b, point, np.zeros((1, 2, 2)))).tolist()
    [True, False]
    """
    d, R = rows.units.shape[1], len(rows.reach)
    most = int(np.diff(offsets).max(initial=0))
    found = np.zeros(len(asked.units), dtype=np.bool_)
    if not len(found):
        return found
    some = tuple(np.empty((most + 1, *array.shape[1:])) for array in rows[:4])
    _untouched(
        *rows, offsets, *asked[:4], len(found) // R, extent, found, *some, np.arange(most + 1),
        np.empty((most + 3, d + 1)), np.empty(most + d + 2, dtype=np.int64), np.empty(d, dtype=np.int64),
        np.empty((d, 2 * d)), np.empty((4, d)),
    )  # fmt: skip
    return found


@compiled(entry=True)
def _untouched(
    units: Any, sides: Any, unit_errors: Any, side_errors: Any, reach: Any, offsets: Any, asked_units: Any,
    asked_sides: Any, asked_unit_errors: Any, asked_side_errors: Any, k: int, extent: float, found: Any,
    some_units: Any, some_sides: Any, some_unit_errors: Any, some_side_errors: Any, active: Any, table: Any, names: Any,
    ends: Any, square: Any, work: Any,
) -> None:  # fmt: skip
    """Fill in which rows are surely not touched; `some` is space for a polyhedron's rows and the one that is asked."""
    d = units.shape[1]
    for r in range(len(reach)):
        start, m = offsets[r], offsets[r + 1] - offsets[r]
        sure = reach[r] > 0.0 and reach[r] < np.inf
        for i in range(m):
            for j in range(d):
                some_units[i, j] = units[start + i, j]
            some_sides[i], some_side_errors[i] = sides[start + i], side_errors[start + i]
            some_unit_errors[i] = unit_errors[start + i]
            sure = sure and some_side_errors[i] < some_sides[i] and some_unit_errors[i] < 1.0
        if not sure:
            continue
        for q in range(r * k, r * k + k):
            if not (asked_side_errors[q] < asked_sides[q] and asked_unit_errors[q] < 1.0):
                continue
            for j in range(d):
                some_units[m, j] = asked_units[q, j]
            some_sides[m], some_side_errors[m] = asked_sides[q], asked_side_errors[q]
            some_unit_errors[m] = asked_unit_errors[q]
            found[q] = not _beyond(some_units, some_sides, m, active, m, table, names, work) and _ends_below(
                some_units, some_sides, some_unit_errors, some_side_errors, m, active, m, table, names, ends, square,
                work, extent / reach[r],
            )  # fmt: skip


@compiled()
def _found(row: int, known: Any, active: Any, n: int) -> int:
    """Mark a facet, and put it among the active rows if it is not there; return how many there are."""
    if known[row] != DOUBTFUL:
        active[n] = row
        n += 1
    known[row] = FACET
    return n


@compiled()
def _first(
    units: Any, sides: Any, unit_errors: Any, side_errors: Any, start: int, m: int, known: Any, work: Any
) -> int:
    """Return the row that the ray along work[0] surely meets strictly before all others, or -1."""
    d = units.shape[1]
    size = 0.0
    for k in range(d):
        size += work[0, k] * work[0, k]
    size = np.sqrt(size) * (1.0 + (d + 4) * EPSILON)
    if not size < np.inf:
        return -1
    # Inverse distances, in units of the direction: bounds of the largest, and of the others.
    row, low, high, other = -1, 0.0, 0.0, 0.0
    for i in range(start, start + m):
        if known[i] == IMPLIED:
            continue
        rate = 0.0
        for k in range(d):
            rate += units[i, k] * work[0, k]
        error = (unit_errors[i] + (d + 2) * EPSILON) * size
        most = (rate + error) / (sides[i] - side_errors[i]) * (1.0 + 8.0 * EPSILON)
        if most > high:
            row, other, high = i, high, most
            low = (rate - error) / (sides[i] + side_errors[i]) * (1.0 - 8.0 * EPSILON)
        elif most > other:
            other = most
    return row if low > other and low > _TINY and high < np.inf else -1


@compiled()
def _first_near(
    units: Any, sides: Any, unit_errors: Any, side_errors: Any, start: int, m: int, known: Any, work: Any
) -> int:
    """Return a row not known to be a facet that a ray along work[0], or close to it, surely meets first; -1 if none."""
    d = units.shape[1]
    size = 0.0
    for k in range(d):
        work[1, k] = work[0, k]
        size = max(size, abs(work[0, k]))
    for attempt in range(_TRIES + 1):
        first = _first(units, sides, unit_errors, side_errors, start, m, known, work)
        if first >= 0 and known[first] != FACET:
            return int(first)
        shift = size * _SHIFT ** (attempt + 1)
        for k in range(d):
            # Numbers in no simple relation.
            work[0, k] = work[1, k] + shift * ((0.6180339887498949 * (k + 1 + attempt * d)) % 1.0 - 0.5)
    return -1


@compiled()
def _beyond(units: Any, sides: Any, i: int, active: Any, n: int, table: Any, names: Any, work: Any) -> bool:
    """Return whether the active rows seem to leave points beyond row i, and put one into work[0].

    The last row of the program is row i itself, twice as far away, so that there is an end.
    """
    d = units.shape[1]
    for q in range(n):
        for k in range(d):
            table[q, k] = -units[active[q], k]
        table[q, d] = sides[active[q]]
    for k in range(d):
        table[n, k] = -units[i, k]
        table[n + 1, k] = units[i, k]
    table[n, d], table[n + 1, d] = 2.0 * sides[i], 0.0
    if solve(table, n + 1, d, names)[0] != DONE or not table[n + 1, d] > sides[i]:
        return False
    for k in range(d):
        work[0, k] = 0.0
    for q in range(n + 1):
        if names[q] < 0:
            work[0, -1 - names[q]] = table[q, d]
    return True


@compiled()
def _ends_below(
    units: Any, sides: Any, unit_errors: Any, side_errors: Any, i: int, active: Any, n: int, table: Any, names: Any,
    ends: Any, square: Any, work: Any, farthest: float,
) -> bool:  # fmt: skip
    """Return whether the rows where the program ended prove that row i does not touch the polyhedron."""
    for j in range(units.shape[1]):
        name = names[n + 1 + j]
        # The last row of the program is none of the polyhedron.
        ends[j] = active[name] if 0 <= name < n else -1
        work[2, j] = -table[n + 1, j]
    return bool(
        is_implied(units, sides, unit_errors, side_errors, i, ends, work, farthest)
        or is_surely_spanned(units, sides, unit_errors, side_errors, i, ends, square, work)
    )

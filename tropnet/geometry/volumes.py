"""Volumes of many polytopes at once, compiled, in one to four dimensions, with proofs.

The vertices and edges of a simple polytope are found, and proven, by a walk (see `tropnet.geometry.vertices`). With a
point inside, and one vertex of each face of two dimensions or more, every edge of every such chain of faces spans a
simplex, and all of them together are the polytope (a pulling triangulation), so

    vol(P) = 1/d! * sum over chains of |det|,

where nothing cancels. The errors of the vertices bound that of each determinant.

That is the volume of the polytope Q whose rows are exactly those given. The true one lies between (1 - e) Q and
(1 + e) Q, seen from any point inside, if no row is wrong by more than e times its distance from it; the mean of the
vertices is taken. So its volume differs by about d e at most. For the same reason distances may be changed by 1e-12 of
themselves (if need be 1e-10), each by another factor, where more than d rows meet: then all vertices are simple.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.rounding import EPSILON
from tropnet.arrays.types import FloatArray
from tropnet.geometry.centred import Centred
from tropnet.geometry.vertices import MOST, walk
from tropnet.kernels import compiled

__all__ = ["MAX_DIMENSION", "volumes"]

MAX_DIMENSION = 4
# At first; then 16 and 256 times that.
_LEAST_MOVE = 2.0**-42
# Volumes outside are, or come from, subnormal or infinite numbers.
_LEAST, _LARGEST = 1e-290, 1e290


def volumes(rows: Centred, offsets: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    """Return the volumes of polytopes in one to four dimensions, and bounds on their relative errors.

    Parameters
    ----------
    rows
        The rows, seen from points inside: those of polytope i are offsets[i], ..., offsets[i + 1] - 1.
    offsets
        int64, shape (R + 1,).

    Returns
    -------
    volumes
        float64, shape (R,).
    errors
        float64, shape (R,): infinite where nothing is proven, as for unbounded polyhedra.

    Notes
    -----
    O(d (d^2 + m d)) operations for each vertex and m rows, and d! for each edge.

    Examples
    --------
    >>> from tropnet.geometry.centred import centred
    >>> A, b = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]), np.array([2.0, 0.0, 1.0, 0.0])
    >>> found, errors = volumes(centred(A, b, np.array([0, 4]), np.array([[0.5, 0.5]])), np.array([0, 4]))
    >>> found, errors < 1e-12
    (array([2.]), array([ True]))
    """
    R, d = len(rows.reach), rows.units.shape[1]
    most = int(np.diff(offsets).max(initial=0))
    found, errors = np.zeros(R), np.full(R, np.inf)
    with np.errstate(all="ignore"):
        scale = rows.reach**d
    table, names = np.empty((most, d + 1)), np.empty(most + d, dtype=np.int64)
    seen, work, edges = np.empty((MOST, d), np.int64), np.empty((3, most + d)), np.empty((d * MOST, 3), np.int64)
    pulled, nothing, moved = np.empty((most + 1, most + 1), np.int64), np.zeros(len(rows.sides)), rows.sides.copy()
    _volumes(
        *rows, offsets, moved, nothing, table, names, np.empty((d, 2 * d)), seen,
        work, np.empty((3, 4, 5)), np.empty((MOST, d)), np.empty(MOST), edges, pulled, found, errors,
    )  # fmt: skip
    with np.errstate(all="ignore"):
        found *= scale
        bad = ~((found > _LEAST) & (found < _LARGEST) & (scale > _LEAST) & (scale < _LARGEST) & np.isfinite(errors))
    errors[bad] = np.inf
    return found, errors


@compiled(entry=True)
def _volumes(
    units: Any, sides: Any, unit_errors: Any, side_errors: Any, reach: Any, offsets: Any, moved: Any, nothing: Any,
    table: Any, names: Any, square: Any, seen: Any, work: Any, space: Any, corners: Any, gaps: Any, edges: Any,
    pulled: Any, found: Any, errors: Any,
) -> None:  # fmt: skip
    """Fill `found` and `errors`; `moved` is a copy of the sides, and `nothing` zeros."""
    d = units.shape[1]
    for r in range(len(reach)):
        start, m = offsets[r], offsets[r + 1] - offsets[r]
        if not (reach[r] > 0.0 and reach[r] < np.inf):
            continue
        known = True
        for i in range(start, start + m):
            known = known and side_errors[i] < np.inf
        if not known:
            continue
        n, n_edges, shift = 0, 0, 0.0
        for attempt in range(4):
            # It may not be simple: the less is moved, the better.
            if attempt > 0:
                shift = _LEAST_MOVE * 16.0 ** (attempt - 1)
                for i in range(m):
                    moved[start + i] = sides[start + i] * (1.0 + shift * _factor(i))
            n, n_edges = walk(
                units, moved, nothing, nothing, start, m, table, names, square, seen, work, corners, gaps, 0, edges
            )
            if n > 0:
                break
        if n <= d:
            continue
        volume, error = _triangulate(d, n, n_edges, m, seen, corners, gaps, edges, pulled, space)
        wrong = _relative_errors(units, sides, unit_errors, side_errors, start, m, n, corners, gaps, work)
        # Twice is more than enough for the powers of 1 + e, and of 1 / (1 - e).
        wrong += shift + 4.0 * EPSILON
        found[r] = volume
        if volume > 0.0 and wrong < 1e-2 and error < 0.5 * volume:
            part = error / (volume - error)
            errors[r] = part + d * wrong * (1.0 + 8.0 * d * wrong) * (1.0 + part) + 16.0 * EPSILON


@compiled()
def _relative_errors(
    units: Any, sides: Any, unit_errors: Any, side_errors: Any, start: int, m: int, n: int, corners: Any, gaps: Any,
    work: Any,
) -> float:  # fmt: skip
    """Return how wrong rows are, relative to their distance from the mean of n vertices, within the polytope."""
    d = units.shape[1]
    for k in range(d):
        work[0, k] = 0.0
    extent = gap = 0.0
    for v in range(n):
        size = 0.0
        for k in range(d):
            size += abs(corners[v, k])
            work[0, k] += corners[v, k] / n
        extent, gap = max(extent, size + gaps[v]), max(gap, gaps[v])
    wrong = 0.0
    for i in range(start, start + m):
        slack = sides[i] - gap - (d + n) * EPSILON * (sides[i] + extent)
        for k in range(d):
            slack -= units[i, k] * work[0, k]
        error = side_errors[i] + unit_errors[i] * extent
        if not slack > error:
            return np.inf
        wrong = max(wrong, error / slack)
    return wrong


@compiled(inline=True)
def _factor(i: int) -> float:
    """Return a number between -1 and 1; those of different rows are in no simple relation."""
    part = (0.6180339887498949 * (i + 1)) % 1.0
    return 2.0 * part * part - 1.0


@compiled()
def _triangulate(
    d: int, n: int, n_edges: int, m: int, seen: Any, corners: Any, gaps: Any, edges: Any, pulled: Any, space: Any
) -> tuple[float, float]:
    """Return the volume of a simple polytope around the origin, and a bound on its error."""
    if d == 1:
        return abs(corners[0, 0]) + abs(corners[1, 0]), gaps[0] + gaps[1] + EPSILON * (
            1.0 + abs(corners[0, 0]) + abs(corners[1, 0])
        )
    # The first vertex on row i, and on rows i and j.
    for i in range(m):
        pulled[i, m] = -1
        for j in range(m if d == 4 else 0):
            pulled[i, j] = -1
    for v in range(n):
        for p in range(d):
            i = seen[v, p]
            if pulled[i, m] < 0:
                pulled[i, m] = v
            for q in range(d if d == 4 else 0):
                if pulled[i, seen[v, q]] < 0:
                    pulled[i, seen[v, q]] = v
    total = error = 0.0
    for e in range(n_edges):
        a, b, left = edges[e, 0], edges[e, 1], edges[e, 2]
        if d == 2:
            total, error = _add(total, error, corners, gaps, space, d, a, b, -1, -1)
            continue
        for p in range(d):
            if p == left:
                continue
            first = pulled[seen[a, p], m]
            if d == 3:
                if first != a and first != b:
                    total, error = _add(total, error, corners, gaps, space, d, first, a, b, -1)
                continue
            for q in range(d):
                if q in (left, p):
                    continue
                second = pulled[seen[a, p], seen[a, q]]
                if second != first and second != a and second != b:
                    total, error = _add(total, error, corners, gaps, space, d, first, second, a, b)
    factorial = 1.0
    for k in range(2, d + 1):
        factorial *= k
    # Up to twelve simplices for each edge are added.
    return total / factorial, (error + 2.0 * (d * d * n_edges + 4) * EPSILON * total) / factorial


@compiled()
def _add(
    total: float, error: float, corners: Any, gaps: Any, space: Any, d: int, first: int, second: int, third: int,
    fourth: int,
) -> tuple[float, float]:  # fmt: skip
    """Add |det| of d vertices and a bound on its error: rows are the first, and each less the one before.

    Row errors e_k change a determinant by sum |e_k|_1 |C_k|_max at first order, C being its cofactors. With n_k the l1
    norms of the rows and s = sum |e_k|_1 / n_k, the other orders sum up to at most s^2 times the product of all n_k.
    Rounding adds to that a multiple of the permanent of the absolute values.
    """
    rows, upper, lower = space[0], space[1], space[2]
    last, product, bound, relative, linear = -1, 1.0, 1.0, 0.0, 0.0
    for k in range(d):
        v = first if k == 0 else second if k == 1 else third if k == 2 else fourth
        size, gap = 0.0, gaps[v]
        for j in range(d):
            rows[k, j] = corners[v, j]
            if last >= 0:
                rows[k, j] -= corners[last, j]
            size += abs(rows[k, j])
        if last >= 0:
            gap += gaps[last] + EPSILON * size
        rows[k, 4] = gap
        product *= size
        bound *= size + gap
        relative += gap / size if size > 0.0 else np.inf
        last = v
    if not relative < 1e-3:
        # Vertices about as near to each other as their errors, where a vertex was split into simple ones.
        return total, error + bound * (1.0 + 1e-9)
    value = permanent = 0.0
    if d == 2:
        one, other = rows[0, 0] * rows[1, 1], rows[0, 1] * rows[1, 0]
        value, permanent = one - other, abs(one) + abs(other)
        for k in range(2):
            linear += rows[k, 4] * max(abs(rows[1 - k, 0]), abs(rows[1 - k, 1]))
    elif d == 3:
        for k in range(3):
            a, b, largest = (k + 1) % 3, (k + 2) % 3, 0.0
            for j in range(3):
                p, q = (j + 1) % 3, (j + 2) % 3
                one, other = rows[a, p] * rows[b, q], rows[a, q] * rows[b, p]
                largest = max(largest, abs(one - other))
                if k == 0:
                    value += rows[0, j] * (one - other)
                    permanent += abs(rows[0, j]) * (abs(one) + abs(other))
            linear += rows[k, 4] * largest
    else:
        # By the minors of the first two rows and those of the others.
        for p in range(3):
            for q in range(p + 1, 4):
                upper[p, q] = rows[0, p] * rows[1, q] - rows[0, q] * rows[1, p]
                upper[q, p] = abs(rows[0, p] * rows[1, q]) + abs(rows[0, q] * rows[1, p])
                lower[p, q] = rows[2, p] * rows[3, q] - rows[2, q] * rows[3, p]
                lower[q, p] = abs(rows[2, p] * rows[3, q]) + abs(rows[2, q] * rows[3, p])
        for p in range(3):
            for q in range(p + 1, 4):
                s = 0 if p != 0 and q != 0 else 1 if p != 1 and q != 1 else 2
                t = 6 - p - q - s
                value += (-1.0 if (p + q) % 2 == 0 else 1.0) * upper[p, q] * lower[s, t]
                permanent += upper[q, p] * lower[t, s]
        for k in range(4):
            # The other row of the two, and the minors of the other two rows.
            other, largest = k + 1 - 2 * (k % 2), 0.0
            minors = lower if k < 2 else upper
            for j in range(4):
                p, q, r = (1 if j == 0 else 0), (2 if j <= 1 else 1), (3 if j <= 2 else 2)
                cofactor = rows[other, p] * minors[q, r] - rows[other, q] * minors[p, r] + rows[other, r] * minors[p, q]
                largest = max(largest, abs(cofactor))
            linear += rows[k, 4] * largest
    rounding = 8.0 * EPSILON * permanent
    return total + abs(value), error + linear + rounding + 1.1 * relative * (relative + 32.0 * EPSILON) * product

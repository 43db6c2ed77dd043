"""Volumes of many polyhedra at once, compiled, in two to four dimensions.

Lasserre's recursion (1983, doi:10.1007/BF00935543): with c_i the distance from a point to the hyperplane of row i,

    vol(P) = 1/d * sum over rows of c_i * vol(facet i),

down to polygons. The point is inside, so all terms are positive and nothing cancels; a row that defines no facet adds
nothing. In a polygon the same is done from a point between its sides.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.types import FloatArray
from tropnet.kernels import compiled

__all__ = ["MAX_DIMENSION", "volumes"]

MAX_DIMENSION = 4
# What is more nearly parallel, or coincident, counts as that; where it matters the result is doubtful.
_PARALLEL = 1e-10
_SAME = 1e-12
_THIN = 1e-6


def volumes(A: FloatArray, b: FloatArray, offsets: NDArray[np.int64], points: FloatArray) -> tuple[FloatArray, Any]:
    """Return the volumes of polyhedra {x : A x <= b}, and which of them are not to be trusted.

    Parameters
    ----------
    A, b
        float64, shapes (n, d) and (n,), 1 <= d <= 4: the rows of polyhedron i are offsets[i], ..., offsets[i + 1] - 1.
    offsets
        int64, shape (R + 1,).
    points
        float64, shape (R, d): a point strictly inside each.

    Returns
    -------
    volumes
        float64, shape (R,).
    doubtful
        bool, shape (R,): the polyhedron is unbounded, or not by less than rounding, or very thin.

    Notes
    -----
    O(m^d) operations for m rows.

    Examples
    --------
    >>> A, b = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]), np.array([2.0, 0.0, 1.0, 0.0])
    >>> volumes(A, b, np.array([0, 4]), np.array([[0.5, 0.5]]))
    (array([2.]), array([False]))
    """
    most = int(np.diff(offsets).max(initial=0))
    d = A.shape[1]
    work = np.empty((max(d, 2), most, max(d, 2) + 1))
    found, doubtful = np.empty(len(points)), np.empty(len(points), dtype=np.bool_)
    _volumes(np.ascontiguousarray(A), b, offsets, points, work, np.empty((most, 2)), found, doubtful)
    return found, doubtful


@compiled(entry=True)
def _volumes(A: Any, b: Any, offsets: Any, points: Any, work: Any, ends: Any, found: Any, doubtful: Any) -> None:
    d = A.shape[1]
    for r in range(points.shape[0]):
        # Unit rows around the point; the last column is the distance. Of rows that coincide one is kept.
        m = 0
        rows = work[d - 1]
        for i in range(offsets[r], offsets[r + 1]):
            norm = distance = 0.0
            for k in range(d):
                norm += A[i, k] * A[i, k]
                distance -= A[i, k] * points[r, k]
            norm = np.sqrt(norm)
            for k in range(d):
                rows[m, k] = A[i, k] / norm
            rows[m, d] = (distance + b[i]) / norm
            new = True
            for j in range(m):
                apart = abs(rows[m, d] - rows[j, d]) / rows[j, d]
                for k in range(d):
                    apart = max(apart, abs(rows[m, k] - rows[j, k]))
                new = new and apart > _SAME
            m += new
        nearest, farthest = np.inf, 0.0
        for i in range(m):
            nearest, farthest = min(nearest, rows[i, d]), max(farthest, rows[i, d])
        found[r] = _measure(work, d, m, farthest, ends)
        doubtful[r] = not (found[r] < np.inf and nearest > _THIN * farthest)


@compiled()
def _measure(work: Any, d: int, m: int, size: float, ends: Any) -> float:
    """Return the volume of the polyhedron in work[d - 1], the origin being inside."""
    rows = work[d - 1]
    if d == 1:
        low, high = -np.inf, np.inf
        for i in range(m):
            if rows[i, 0] > 0.0:
                high = min(high, rows[i, 1])
            else:
                low = max(low, -rows[i, 1])
        return high - low
    if d == 2:
        return float(_area(rows, m, ends))
    total = 0.0
    for i in range(m):
        n, k = _facet(rows, m, i, d, size, work[d - 2])
        if n < 0:
            continue
        facet = _area(work[1], n, ends) if d == 3 else _volume(work, n, size, ends)
        total += rows[i, d] / abs(rows[i, k]) * facet
    return total / d if m else np.inf


@compiled()
def _volume(work: Any, m: int, size: float, ends: Any) -> float:
    """Return the volume of the polyhedron in work[2], three dimensions, the origin being anywhere."""
    rows, total = work[2], 0.0
    for i in range(m):
        n, k = _facet(rows, m, i, 3, size, work[1])
        if n == -2:
            return 0.0
        if n < 0:
            continue
        total += rows[i, 3] / abs(rows[i, k]) * _area(work[1], n, ends)
    return max(total, 0.0) / 3.0


@compiled()
def _facet(rows: Any, m: int, i: int, d: int, size: float, out: Any) -> tuple[int, int]:
    """Eliminate coordinate k, the largest of row i, on its hyperplane.

    Returns
    -------
    The number of rows left (-1: it defines no facet, -2: the polyhedron is flat), and k.
    """
    k = 0
    for j in range(1, d):
        if abs(rows[i, j]) > abs(rows[i, k]):
            k = j
    n = 0
    for other in range(m):
        if other == i:
            continue
        factor = rows[other, k] / rows[i, k]
        place = 0
        norm = 0.0
        for j in range(d + 1):
            if j != k:
                value = rows[other, j] - factor * rows[i, j]
                out[n, place] = value
                place += 1
                if j < d:
                    norm += value * value
        norm = np.sqrt(norm)
        if norm > _PARALLEL:
            for j in range(d):
                out[n, j] /= norm
            # Where three hyperplanes share a ridge, two rows coincide here: keep one.
            new = True
            for q in range(n):
                apart = abs(out[n, d - 1] - out[q, d - 1]) / size
                for j in range(d - 1):
                    apart = max(apart, abs(out[n, j] - out[q, j]))
                new = new and apart > _SAME
            n += new
        elif factor < 0.0 and abs(out[n, d - 1]) <= _SAME * size:
            # Opposite and at the same place: the polyhedron is flat.
            return -2, k
        elif out[n, d - 1] < 0.0:
            # Parallel and before it: the hyperplane misses the polyhedron.
            return -1, k
    return n, k


@compiled()
def _area(rows: Any, m: int, ends: Any) -> float:
    """Return the area of the polygon {y : rows[:, :2] y <= rows[:, 2]}, unit rows, the origin being anywhere."""
    n = 0
    x = y = 0.0
    for i in range(m):
        a, b, c = rows[i, 0], rows[i, 1], rows[i, 2]
        # The line is c (a, b) + t (-b, a).
        low, high = -np.inf, np.inf
        for j in range(m):
            if j == i:
                continue
            rate = rows[j, 1] * a - rows[j, 0] * b
            slack = rows[j, 2] - c * (rows[j, 0] * a + rows[j, 1] * b)
            if rate > _PARALLEL:
                high = min(high, slack / rate)
            elif rate < -_PARALLEL:
                low = max(low, slack / rate)
            elif slack < 0.0:
                high = low
            if high <= low:
                break
        ends[i, 0], ends[i, 1] = low, high
        if high <= low:
            continue
        if not high - low < np.inf:
            return np.inf
        middle = 0.5 * (low + high)
        x += c * a - middle * b
        y += c * b + middle * a
        n += 1
    if n < 3:
        return 0.0 if m else np.inf
    x /= n
    y /= n
    total = 0.0
    for i in range(m):
        if ends[i, 1] > ends[i, 0]:
            total += (rows[i, 2] - rows[i, 0] * x - rows[i, 1] * y) * (ends[i, 1] - ends[i, 0])
    return 0.5 * total

"""Volumes and moments of many polytopes at once, compiled, in one to five dimensions, with proofs.

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

from math import factorial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.rounding import EPSILON
from tropnet.arrays.types import FloatArray
from tropnet.geometry.centred import Centred
from tropnet.geometry.cubature import rule_for
from tropnet.geometry.vertices import MOST, walk
from tropnet.kernels import compiled

__all__ = ["MAX_DIMENSION", "Moments", "moments", "volumes"]

MAX_DIMENSION = 5
# Rows with vertices, in five dimensions: triples of them have places in a table.
_MOST_ROWS = 64
# At first; then 16 and 256 times that.
_LEAST_MOVE = 2.0**-42
# Volumes outside are, or come from, subnormal or infinite numbers.
_LEAST, _LARGEST = 1e-290, 1e290
# The same for moments, of which five lengths may be multiplied; and the errors to which bounds hold.
_LEAST_SIZE, _LEAST_EXTENT, _LARGEST_ERROR = 1e-120, 1e-60, 1e-3


def volumes(rows: Centred, offsets: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    """Return the volumes of polytopes in one to five dimensions, and bounds on their relative errors.

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
    d = rows.units.shape[1]
    found = _measured(rows, offsets, np.empty((0, d + 1)), np.empty(0), np.empty((1, 0, d + 1)))
    with np.errstate(all="ignore"):
        scale = rows.reach**d
        values = found.volumes * scale
        bad = ~((values > _LEAST) & (values < _LARGEST) & (scale > _LEAST) & (scale < _LARGEST))
    found.errors[bad | ~np.isfinite(found.errors)] = np.inf
    return values, found.errors


class Moments(NamedTuple):
    """Integrals over polytopes of a product of affine factors times all products of two of (y, 1), y = x - point.

    Entry [r, i, j] is wrong by ``errors[r] * sizes[r] * extents[r, i] * extents[r, j]`` at most.

    Attributes
    ----------
    values
        float64, shape (R, d + 1, d + 1), symmetric: [r, d, d] is the integral of the factors alone.
    sizes
        float64, shape (R,): about the volumes, times bounds on the factors.
    extents
        float64, shape (R, d + 1): bounds on the sizes of the coordinates y in the polytope, and 1.
    errors
        float64, shape (R,): infinite where nothing is proven.
    """

    values: FloatArray
    sizes: FloatArray
    extents: FloatArray
    errors: FloatArray


def moments(rows: Centred, offsets: NDArray[np.int64], factors: FloatArray, factor_errors: FloatArray) -> Moments:
    """Return the moments up to degree two of polytopes in one to five dimensions, weighted by products of factors.

    Each simplex of the triangulation adds its volume times a sum over points that is exact for polynomials of that
    degree (`rule_for`). On the polytope Q of the rows given, that is wrong by what the errors of vertices and
    determinants change; and the integral over the true one, which lies between (1 - e) Q and (1 + e) Q, differs by the
    volume between these times the largest value there.

    Parameters
    ----------
    rows, offsets
        As for `volumes`.
    factors
        float64, shape (R, k, d + 1): rows (a | c) of the factors a y + c.
    factor_errors
        float64, shape (R, k): how wrong c is at most; a may be wrong by 8 roundings.

    Notes
    -----
    As `volumes`, and for each simplex O((k + d) d) operations for each of the binomial(d + s + 1, s) points of a rule,
    s = (k + 2) // 2.

    References
    ----------
    Baldoni et al., How to integrate a polynomial over a simplex, 2011, doi:10.1090/S0025-5718-2010-02378-6.

    Examples
    --------
    The integrals of 1, y and y^2 over [-1, 3], seen from 0:

    >>> from tropnet.geometry.centred import centred
    >>> offsets = np.array([0, 2])
    >>> rows = centred(np.array([[1.0], [-1.0]]), np.array([3.0, 1.0]), offsets, np.zeros((1, 1)))
    >>> found = moments(rows, offsets, np.empty((1, 0, 2)), np.empty((1, 0)))
    >>> found.values.round(12).tolist()
    [[[9.333333333333, 4.0], [4.0, 4.0]]]
    """
    R, k, width = factors.shape
    d = width - 1
    rule = rule_for(d, k + 2)
    with np.errstate(all="ignore"):
        lengths = np.column_stack([np.repeat(rows.reach[:, None], d, axis=1), np.ones(R)])
        scaled = factors * lengths[:, None, :]
        found = _measured(rows, offsets, rule.nodes, rule.weights, scaled)
        upper = np.triu(np.ones((width, width)))
        values = np.where(upper, found.integrals, found.integrals.transpose(0, 2, 1))
        values = values / factorial(d) * (rows.reach**d)[:, None, None] * lengths[:, :, None] * lengths[:, None, :]
        wrong, gap, n_simplices = found.details.T
        # What is larger in the true polytope, and in that of the rows.
        extents = np.column_stack([(found.extents + gap[:, None]) * (1 + 8 * wrong + 8 * EPSILON)[:, None], np.ones(R)])
        bounds = np.einsum("rkj,rj->rk", np.abs(scaled), extents) * (1 + 4 * width * EPSILON)
        # A little more than the volume makes up for what is of second order in the errors.
        sizes = 1.01 * found.volumes * rows.reach**d * (bounds + factor_errors).prod(axis=1)
        roundings = (k + 2) * (d + 12) + k + len(rule.weights) + n_simplices + 16
        errors = found.errors + 2.2 * d * wrong
        errors += rule.amplification * (1.1 * (k + 2) * gap + EPSILON * roundings)
        errors += 1.1 * np.where(factor_errors > 0, factor_errors / (bounds + factor_errors), 0.0).sum(axis=1)
        extents *= lengths
        # Products of these must be far from the ends of float64.
        least, most = (each(extents[:, :-1], axis=1) for each in (np.min, np.max))
        safe = (sizes > _LEAST_SIZE) & (sizes < 1 / _LEAST_SIZE) & (least > _LEAST_EXTENT) & (most < 1 / _LEAST_EXTENT)
        safe &= (gap < _LARGEST_ERROR) & (errors < _LARGEST_ERROR) & np.isfinite(values).all(axis=(1, 2))
    errors[~safe] = np.inf
    return Moments(values, sizes, extents, errors)


class _Measured(NamedTuple):
    """What the kernel fills, in units of the reach: `integrals` times d! and in their upper halves.

    `details` are how wrong rows are, relatively, how wrong vertices are, and the number of simplices.
    """

    volumes: FloatArray
    errors: FloatArray
    integrals: FloatArray
    extents: FloatArray
    details: FloatArray


def _measured(
    rows: Centred, offsets: NDArray[np.int64], nodes: FloatArray, weights: FloatArray, factors: FloatArray
) -> _Measured:
    """Run the kernel, without integrals if there are no nodes."""
    R, d = len(rows.reach), rows.units.shape[1]
    most = int(np.diff(offsets).max(initial=0))
    n = R if len(nodes) else 0
    found = _Measured(
        np.zeros(R), np.full(R, np.inf), np.zeros((n, d + 1, d + 1)), np.zeros((n, d)), np.full((n, 3), np.inf)
    )
    table, names = np.empty((most, d + 1)), np.empty(most + d, dtype=np.int64)
    seen, work, edges = np.empty((MOST, d), np.int64), np.empty((3, most + d)), np.empty((d * MOST, 3), np.int64)
    places = min(most, _MOST_ROWS) if d > 4 else most
    pulled = np.empty((places, places if d > 3 else 1, places if d > 4 else 1), np.int64)
    _volumes(
        *rows, offsets, rows.sides.copy(), np.zeros(len(rows.sides)), table, names, np.empty((d, 2 * d)), seen,
        work, np.empty((3, 5, 6)), np.empty((MOST, d)), np.empty(MOST), edges, pulled, nodes, weights,
        np.ascontiguousarray(factors), np.empty((d + 2, d + 1)), *found,
    )  # fmt: skip
    return found


@compiled(entry=True)
def _volumes(
    units: Any, sides: Any, unit_errors: Any, side_errors: Any, reach: Any, offsets: Any, moved: Any, nothing: Any,
    table: Any, names: Any, square: Any, seen: Any, work: Any, space: Any, corners: Any, gaps: Any, edges: Any,
    pulled: Any, nodes: Any, weights: Any, factors: Any, mean: Any, volumes: Any, errors: Any, integrals: Any,
    extents: Any, details: Any,
) -> None:  # fmt: skip
    """Fill the arrays of `_Measured`; `moved` is a copy of the sides, and `nothing` zeros."""
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
        volume, error, n_simplices = _triangulate(
            d, n, n_edges, m, seen, corners, gaps, edges, names, pulled, space, nodes, weights, factors, r, mean,
            integrals,
        )  # fmt: skip
        wrong = _relative_errors(units, sides, unit_errors, side_errors, start, m, n, corners, gaps, work)
        # Twice is more than enough for the powers of 1 + e, and of 1 / (1 - e).
        wrong += shift + 4.0 * EPSILON
        volumes[r] = volume
        if len(nodes):
            details[r, 0], details[r, 1], details[r, 2] = wrong, 0.0, float(n_simplices)
            for v in range(n):
                details[r, 1] = max(details[r, 1], gaps[v])
                for k in range(d):
                    extents[r, k] = max(extents[r, k], abs(corners[v, k]))
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
    d: int, n: int, n_edges: int, m: int, seen: Any, corners: Any, gaps: Any, edges: Any, labels: Any, pulled: Any,
    space: Any, nodes: Any, weights: Any, factors: Any, r: int, mean: Any, sums: Any,
) -> tuple[float, float, int]:  # fmt: skip
    """Return the volume of a simple polytope around the origin, a bound on its error, and the number of simplices.

    With nodes, sums[r], which is 0, is filled with d! times the integrals. `seen` is changed.
    """
    # Only rows with vertices need a place in the table.
    n_rows = 0
    for i in range(m):
        labels[i] = -1
    for v in range(n):
        for p in range(d):
            i = seen[v, p]
            if labels[i] < 0:
                labels[i] = n_rows
                n_rows += 1
            seen[v, p] = labels[i]
    if n_rows > len(pulled):
        return 0.0, np.inf, 0
    # The first vertex on row i, at [i, 0, 0], [i, i, 0] or [i, i, i], on rows i and j, and on rows i, j and k.
    for i in range(n_rows if d > 2 else 0):
        for j in range(n_rows if d > 3 else 1):
            for k in range(n_rows if d > 4 else 1):
                pulled[i, j, k] = -1
    for v in range(n if d > 2 else 0):
        for p in range(d):
            for q in range(d if d > 3 else 1):
                for t in range(d if d > 4 else 1):
                    i, j, k = seen[v, p], seen[v, q] if d > 3 else 0, seen[v, t] if d > 4 else 0
                    if pulled[i, j, k] < 0:
                        pulled[i, j, k] = v
    total = error = 0.0
    n_simplices = 0
    for e in range(2 if d == 1 else n_edges):
        a, b, left = e, e, 0
        if d > 1:
            a, b, left = edges[e, 0], edges[e, 1], edges[e, 2]
        # Chains of faces that hold the edge, by the rows that they lie on.
        for p in range(d if d > 2 else 1):
            if d > 2 and p == left:
                continue
            for q in range(d if d > 3 else 1):
                if d > 3 and q in (left, p):
                    continue
                for t in range(d if d > 4 else 1):
                    if d > 4 and t in (left, p, q):
                        continue
                    first = second = third = -1
                    i, j, k = seen[a, p], seen[a, q], seen[a, t]
                    if d == 3:
                        first = pulled[i, 0, 0]
                    elif d == 4:
                        first, second = pulled[i, i, 0], pulled[i, j, 0]
                    elif d == 5:
                        first, second, third = pulled[i, i, i], pulled[i, j, j], pulled[i, j, k]
                    last = first if d == 3 else second if d == 4 else third
                    # A vertex of the next face makes no simplex with it.
                    if d > 2 and (last in (a, b) or (d > 3 and second == first) or (d > 4 and third == second)):
                        continue
                    if d == 3:
                        second, third = a, b
                    elif d == 4:
                        third = a
                    fourth = b if d == 4 else a
                    if d < 3:
                        first, second = a, b
                    value, wrong = _determinant(corners, gaps, space, d, first, second, third, fourth, b)
                    total += value
                    error += wrong
                    n_simplices += 1
                    if len(nodes) and value > 0.0:
                        _add_integrals(
                            value, d, corners, first, second, third, fourth, b, nodes, weights, factors, r, mean, sums
                        )
    factorial = 1.0
    for k in range(2, d + 1):
        factorial *= k
    error += 2.0 * (n_simplices + 4) * EPSILON * total
    return total / factorial, error / factorial, n_simplices


@compiled()
def _add_integrals(
    value: float, d: int, corners: Any, first: int, second: int, third: int, fourth: int, fifth: int, nodes: Any,
    weights: Any, factors: Any, r: int, mean: Any, sums: Any,
) -> None:  # fmt: skip
    """Add `value` times the means over a simplex of all products of two of (y, 1) and the factors, to sums[r].

    Vertex 0 of the simplex is the origin. Only the upper half of sums[r] is filled.
    """
    for i in range(d + 1):
        for j in range(i, d + 1):
            mean[i, j] = 0.0
    mean[d + 1, d] = 1.0
    for q in range(len(nodes)):
        for j in range(d):
            y = nodes[q, 1] * corners[first, j]
            if d > 1:
                y += nodes[q, 2] * corners[second, j]
            if d > 2:
                y += nodes[q, 3] * corners[third, j]
            if d > 3:
                y += nodes[q, 4] * corners[fourth, j]
            if d > 4:
                y += nodes[q, 5] * corners[fifth, j]
            mean[d + 1, j] = y
        product = weights[q]
        for t in range(factors.shape[1]):
            factor = factors[r, t, d]
            for j in range(d):
                factor += factors[r, t, j] * mean[d + 1, j]
            product *= factor
        for i in range(d + 1):
            for j in range(i, d + 1):
                mean[i, j] += product * mean[d + 1, i] * mean[d + 1, j]
    for i in range(d + 1):
        for j in range(i, d + 1):
            sums[r, i, j] += value * mean[i, j]


@compiled()
def _determinant(
    corners: Any, gaps: Any, space: Any, d: int, first: int, second: int, third: int, fourth: int, fifth: int
) -> tuple[float, float]:
    """Return |det| of d vertices and a bound on its error: rows are the first, and each less the one before.

    Row errors e_k change a determinant by sum |e_k|_1 |C_k|_max at first order, C being its cofactors. With n_k the l1
    norms of the rows and s = sum |e_k|_1 / n_k, the other orders sum up to at most s^2 times the product of all n_k.
    Rounding adds to that a multiple of the permanent of the absolute values.
    """
    rows, upper, lower = space[0], space[1], space[2]
    last, product, bound, relative, linear = -1, 1.0, 1.0, 0.0, 0.0
    for k in range(d):
        v = first if k == 0 else second if k == 1 else third if k == 2 else fourth if k == 3 else fifth
        size, gap = 0.0, gaps[v]
        for j in range(d):
            rows[k, j] = corners[v, j]
            if last >= 0:
                rows[k, j] -= corners[last, j]
            size += abs(rows[k, j])
        if last >= 0:
            gap += gaps[last] + EPSILON * size
        rows[k, 5] = gap
        product *= size
        bound *= size + gap
        relative += gap / size if size > 0.0 else np.inf
        last = v
    if not relative < 1e-3:
        # Vertices about as near to each other as their errors, where a vertex was split into simple ones.
        return 0.0, bound * (1.0 + 1e-9)
    value = permanent = 0.0
    if d == 1:
        value = permanent = rows[0, 0]
        linear = rows[0, 5]
    elif d == 2:
        one, other = rows[0, 0] * rows[1, 1], rows[0, 1] * rows[1, 0]
        value, permanent = one - other, abs(one) + abs(other)
        for k in range(2):
            linear += rows[k, 5] * max(abs(rows[1 - k, 0]), abs(rows[1 - k, 1]))
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
            linear += rows[k, 5] * largest
    elif d == 4:
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
            linear += rows[k, 5] * largest
    else:
        # By the minors of the first two rows, and those of the other three on the columns that are left.
        for p in range(4):
            for q in range(p + 1, 5):
                x = 0 if p != 0 and q != 0 else 1 if p != 1 and q != 1 else 2
                z = 4 if p != 4 and q != 4 else 3 if p != 3 and q != 3 else 2
                y = 10 - p - q - x - z
                one, other = rows[3, y] * rows[4, z], rows[3, z] * rows[4, y]
                three, size = rows[2, x] * (one - other), abs(rows[2, x]) * (abs(one) + abs(other))
                one, other = rows[3, z] * rows[4, x], rows[3, x] * rows[4, z]
                three, size = three + rows[2, y] * (one - other), size + abs(rows[2, y]) * (abs(one) + abs(other))
                one, other = rows[3, x] * rows[4, y], rows[3, y] * rows[4, x]
                three, size = three + rows[2, z] * (one - other), size + abs(rows[2, z]) * (abs(one) + abs(other))
                one, other = rows[0, p] * rows[1, q], rows[0, q] * rows[1, p]
                sign = -1.0 if (p + q) % 2 == 0 else 1.0
                value += sign * (one - other) * three
                permanent += (abs(one) + abs(other)) * size
                upper[p, q], lower[p, q] = sign * (one - other), sign * three
        for k in range(5):
            # The cofactors of row k are collected in the last column.
            for j in range(5):
                lower[j, 5] = 0.0
            for p in range(4):
                for q in range(p + 1, 5):
                    if k < 2:
                        lower[p, 5] += rows[1 - k, q] * lower[p, q]
                        lower[q, 5] -= rows[1 - k, p] * lower[p, q]
                        continue
                    x = 0 if p != 0 and q != 0 else 1 if p != 1 and q != 1 else 2
                    z = 4 if p != 4 and q != 4 else 3 if p != 3 and q != 3 else 2
                    y = 10 - p - q - x - z
                    i, j = 2 + (k - 1) % 3, 2 + k % 3
                    lower[x, 5] += upper[p, q] * (rows[i, y] * rows[j, z] - rows[i, z] * rows[j, y])
                    lower[y, 5] += upper[p, q] * (rows[i, z] * rows[j, x] - rows[i, x] * rows[j, z])
                    lower[z, 5] += upper[p, q] * (rows[i, x] * rows[j, y] - rows[i, y] * rows[j, x])
            largest = 0.0
            for j in range(5):
                largest = max(largest, abs(lower[j, 5]))
            linear += rows[k, 5] * largest
    rounding = 12.0 * EPSILON * permanent
    return abs(value), linear + rounding + 1.1 * relative * (relative + 32.0 * EPSILON) * product

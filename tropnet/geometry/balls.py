"""Largest inscribed balls: small linear programs for many polyhedra at once, compiled, in any dimension.

All programs have the form: maximise g . v over slacks s_i = h_i + T_i v >= 0 with h > 0 and v free, so v = 0 is a
feasible start. They are solved by a dense primal simplex on this dictionary (n + 1 columns for n variables), and what
comes out is only a proposal, which the rows themselves then prove.

Let v be the centre found and t_i the true distance from v to side i. The ball around v with radius min t_i fits. The
basis names d + 1 rows, and the linear system sum y_i u_i = 0, sum y_i = 1 over them has one solution y if its matrix
is regular, which an approximate inverse proves, with a bound on every y_i (Rump 2010, doi:10.1017/S096249291000005X,
section 10). A ball of radius r around v + w that fits has u_i w + r <= t_i; if y >= 0, then adding up gives
r <= sum y_i t_i <= max t_i over the d + 1 rows (weak duality). What cannot be proven not to be negative, by its
bound, costs that much times |w|, which the polyhedron's extent bounds, if one is known.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.rounding import EPSILON
from tropnet.arrays.types import FloatArray
from tropnet.geometry.centred import Centred
from tropnet.kernels import compiled

__all__ = ["DONE", "RAY", "balls", "invert", "solve"]

# Gains and rates below this count as zero; rows are unit rows.
_ZERO = 1e-13
# Below this a product with a step may be subnormal.
_LEAST = 1e-290
DONE, RAY, _STUCK = 0, 1, 2


def balls(
    rows: Centred, offsets: NDArray[np.int64], points: FloatArray, extent: float = np.inf
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return largest inscribed balls, and how much of each radius it may differ from the largest one.

    Parameters
    ----------
    rows
        The rows, seen from points inside: those of polyhedron i are offsets[i], ..., offsets[i + 1] - 1.
    offsets
        int64, shape (R + 1,).
    points
        float64, shape (R, d): those points.
    extent
        No two points of a polyhedron are farther apart than this.

    Returns
    -------
    centres, radii
        float64, shapes (R, d) and (R,).
    gaps
        float64, shape (R,): a proof, all rounding included, that radius and largest radius differ by no more than this
        part of either, and that the ball of the largest radius around the centre (before the centre is rounded) reaches
        beyond no side by more. Infinite where nothing is proven, as for unbounded polyhedra without a largest ball.

    Examples
    --------
    >>> from tropnet.geometry.centred import centred
    >>> A, b = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]), np.array([2.0, 0.0, 1.0, 0.0])
    >>> offsets, points = np.array([0, 4]), np.array([[0.25, 0.25]])
    >>> _, radii, gaps = balls(centred(A, b, offsets, points), offsets, points, extent=3.0)
    >>> radii, gaps < 1e-12
    (array([0.5]), array([ True]))
    """
    d = points.shape[1]
    most = int(np.diff(offsets).max(initial=0))
    steps, radii, gaps = np.empty(points.shape), np.empty(len(points)), np.empty(len(points))
    table, names = np.empty((most + 1, d + 2)), np.empty(most + d + 1, dtype=np.int64)
    _balls(*rows, offsets, extent, table, names, np.empty((d + 1, 2 * d + 2)), np.empty((2, d + 1)), steps, radii, gaps)
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        centres, radii = points + steps * rows.reach[:, None], radii * rows.reach
    # Subnormal numbers have few digits, infinite ones none.
    gaps[~((radii > _LEAST) & np.isfinite(centres).all(axis=1) & (radii < np.inf))] = np.inf
    return centres, radii, gaps


@compiled()
def solve(table: Any, m: int, n: int, names: Any) -> tuple[int, int]:
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
            return DONE, -1
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
            return RAY, c
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
    units: Any, sides: Any, unit_errors: Any, side_errors: Any, reach: Any, offsets: Any, extent: float, table: Any,
    names: Any, square: Any, work: Any, steps: Any, radii: Any, gaps: Any,
) -> None:  # fmt: skip
    d = units.shape[1]
    for r in range(len(reach)):
        start, m = offsets[r], offsets[r + 1] - offsets[r]
        steps[r, :] = 0.0
        radii[r] = 0.0
        gaps[r] = np.inf
        if m == 0 or not (reach[r] > 0.0 and reach[r] < np.inf):
            continue
        known = True
        for i in range(m):
            known = known and side_errors[start + i] < np.inf
            for k in range(d):
                table[i, k] = -units[start + i, k]
            table[i, d], table[i, d + 1] = -1.0, sides[start + i]
        table[m, :] = 0.0
        table[m, d] = 1.0
        if not known or solve(table, m, d + 1, names)[0] != DONE:
            continue
        for i in range(m):
            if names[i] < 0 and names[i] >= -d:
                steps[r, -1 - names[i]] = table[i, d + 1]
        size = 0.0
        for k in range(d):
            size += abs(steps[r, k])
        # Distances of the sides from the centre, with their errors.
        radius, low, high = np.inf, np.inf, 0.0
        for i in range(m):
            slack, error = _slack(units, sides, unit_errors, side_errors, start + i, steps, r, size)
            radius, low = min(radius, slack), min(low, slack - error)
        for j in range(d + 1):
            if names[m + j] >= 0:
                slack, error = _slack(units, sides, unit_errors, side_errors, start + names[m + j], steps, r, size)
                high = max(high, slack + error)
        negative, other = _multipliers(units, unit_errors, start, m, names, square, work)
        radii[r] = radius
        bound = (1.0 + negative) * high
        if negative + other > 0.0:
            bound += (negative + other) * extent / reach[r]
        if low > 0.0:
            gaps[r] = (max(bound - radius, radius - low) / low + 16.0 * EPSILON) * (1.0 + 1e-9)
        if not gaps[r] >= 0.0:
            gaps[r] = np.inf


@compiled()
def _slack(
    units: Any, sides: Any, unit_errors: Any, side_errors: Any, i: int, steps: Any, r: int, size: float
) -> tuple[float, float]:
    """Return the distance from a centre to side i, and a bound on its error; `size` is the l1 norm of the step."""
    d = units.shape[1]
    slack = sides[i]
    for k in range(d):
        slack -= units[i, k] * steps[r, k]
    return slack, side_errors[i] + unit_errors[i] * size + (d + 2) * EPSILON * (sides[i] + size)


@compiled()
def _multipliers(
    units: Any, unit_errors: Any, start: int, m: int, names: Any, square: Any, work: Any
) -> tuple[float, float]:
    """Return how negative the multipliers of the rows may be, in sum, and how large those of other variables.

    Row j of the matrix M is (u_j, 1) for a row that is not basic, (e_k, 0) for a free variable that is not. The
    multipliers are the last row of its inverse. With X about 1 / M, z the last row of X, rho = e - z M and G = I - M X
    they are z + rho X (1 - G)^-1.
    """
    d = units.shape[1]
    n = d + 1
    for j in range(n):
        name = names[m + j]
        for k in range(n):
            square[j, k] = _entry(units, start, name, k)
            square[j, n + k] = 1.0 if j == k else 0.0
    if not invert(square, n):
        return np.inf, np.inf
    unit = (n + 3) * EPSILON
    # The residual of z, and the part of G that is rounding or errors of rows, with the column sums of |X|.
    for k in range(n):
        value, error = 1.0 if k == d else 0.0, 0.0
        for j in range(n):
            name = names[m + j]
            term = square[d, n + j] * _entry(units, start, name, k)
            value -= term
            error += unit * abs(term)
            if name >= 0 and k < d:
                error += unit_errors[start + name] * abs(square[d, n + j])
        work[0, k] = abs(value) + error
    worst = 0.0
    for j in range(n):
        name, total = names[m + j], 0.0
        for q in range(n):
            value, error = 1.0 if j == q else 0.0, unit
            for k in range(n):
                term = _entry(units, start, name, k) * square[k, n + q]
                value -= term
                error += unit * abs(term)
                if name >= 0 and k < d:
                    error += unit_errors[start + name] * abs(square[k, n + q])
            total += abs(value) + error
        worst = max(worst, total)
    if not worst < 0.5:
        return np.inf, np.inf
    shift = 0.0
    for j in range(n):
        value = 0.0
        for k in range(n):
            value += work[0, k] * abs(square[k, n + j])
        work[1, j] = value
        shift += value
    shift *= worst / (1.0 - worst)
    negative = other = 0.0
    for j in range(n):
        error = (work[1, j] + shift) * (1.0 + 2.0 * unit)
        if names[m + j] >= 0:
            negative += max(error - square[d, n + j], 0.0)
        else:
            other += abs(square[d, n + j]) + error
    return negative, other


@compiled(inline=True)
def _entry(units: Any, start: int, name: int, k: int) -> float:
    """Return entry k of the row of a name: (u, 1) for a side, a unit vector for a variable."""
    if name < 0:
        return 1.0 if k == -1 - name else 0.0
    return float(units[start + name, k]) if k < units.shape[1] else 1.0


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

"""Which rows do not even touch a polyhedron: proofs by multipliers of other rows, in float64.

Seen from a point inside, the rows are u y <= s. With multipliers l >= 0 of other rows, u_i y = sum l_j u_j y + e y with
a rest e, so u_i y <= sum l_j s_j + |e| |y| (weak duality). An extent of the polyhedron bounds |y|; where none is known,
the rest must be 0: the linear system u_i = sum l_j u_j over d rows has one solution, if its matrix is regular, which an
approximate inverse proves, with bounds on every l_j (Rump 2010, doi:10.1017/S096249291000005X, section 10).
"""

from __future__ import annotations

from typing import Any

from tropnet.arrays.rounding import EPSILON
from tropnet.geometry.balls import invert
from tropnet.kernels import compiled

__all__ = ["is_implied", "is_surely_spanned"]

# Products of multipliers and rows may be subnormal.
_TINY = 1e-300


@compiled()
def is_implied(
    units: Any, sides: Any, unit_errors: Any, side_errors: Any, i: int, ends: Any, work: Any, farthest: float
) -> bool:
    """Return whether positive multipliers of other rows prove that row i does not touch the polyhedron.

    They are work[2] for the rows `ends`, of which negative ones are none; no point of the polyhedron is farther away
    than `farthest`. Only those rows and that distance are of importance.
    """
    d = units.shape[1]
    for k in range(d):
        work[1, k] = units[i, k]
    bound, total, rest = 0.0, 1.0, unit_errors[i] + _TINY
    for j in range(d):
        row, multiplier = ends[j], work[2, j]
        if row < 0 or not multiplier > 0.0:
            continue
        for k in range(d):
            work[1, k] -= multiplier * units[row, k]
        bound += multiplier * (sides[row] + side_errors[row])
        rest += multiplier * unit_errors[row]
        total += multiplier
    for k in range(d):
        rest += abs(work[1, k])
    rest += d * (d + 3) * EPSILON * total
    bound += rest * farthest
    return bool(bound * (1.0 + 4.0 * (d + 4) * EPSILON) < (sides[i] - side_errors[i]) * (1.0 - 2.0 * EPSILON))


@compiled()
def is_surely_spanned(
    units: Any, sides: Any, unit_errors: Any, side_errors: Any, i: int, ends: Any, square: Any, work: Any
) -> bool:
    """Return whether row i surely is a sum of positive multiples of the d rows `ends`, and farther away.

    With X about 1 / B, multipliers l = u X, rho = u - l B and G = I - B X they are l + rho X (1 - G)^-1.
    """
    d = units.shape[1]
    for j in range(d):
        if ends[j] < 0:
            return False
        for k in range(d):
            square[j, k] = units[ends[j], k]
            square[j, d + k] = 1.0 if j == k else 0.0
    if not invert(square, d):
        return False
    unit, total = (d + 3) * EPSILON, 0.0
    for j in range(d):
        value = 0.0
        for k in range(d):
            value += units[i, k] * square[k, d + j]
        work[1, j] = value
        total += abs(value) * (unit_errors[ends[j]] + unit)
    for k in range(d):
        value = units[i, k]
        for j in range(d):
            value -= work[1, j] * units[ends[j], k]
        work[2, k] = abs(value) + total + unit_errors[i] + unit
    worst = 0.0
    for j in range(d):
        row, off = ends[j], 0.0
        for q in range(d):
            value, size = 1.0 if j == q else 0.0, 1.0
            for k in range(d):
                value -= units[row, k] * square[k, d + q]
                size += abs(square[k, d + q])
            off += abs(value) + (unit + unit_errors[row]) * size
        worst = max(worst, off)
    if not worst < 0.5:
        return False
    shift = 0.0
    for j in range(d):
        value = 0.0
        for k in range(d):
            value += work[2, k] * abs(square[k, d + j])
        work[3, j] = value
        shift += value
    shift *= worst / (1.0 - worst)
    bound = 0.0
    for j in range(d):
        row, error = ends[j], (work[3, j] + shift) * (1.0 + 2.0 * unit)
        if not work[1, j] >= error:
            return False
        bound += (work[1, j] + error) * (sides[row] + side_errors[row])
    return bool(bound * (1.0 + 2.0 * unit) < (sides[i] - side_errors[i]) * (1.0 - 2.0 * EPSILON))

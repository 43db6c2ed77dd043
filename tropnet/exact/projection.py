"""The nearest point of a polyhedron, exactly.

The problem: minimise |p|^2 / 2 over the steps p with a_i p + s_i >= 0, where s_i is the value of row i at the point.
Its solution is p = sum y_i a_i with y >= 0, where y_i > 0 only on rows that are met with equality (Karush, Kuhn and
Tucker), so what must be found is a set of rows. Floating point proposes one, by non-negative least squares (Lawson and
Hanson 1974, chapter 23, doi:10.1137/1.9781611971217), which needs no feasible start and no tolerance for feasibility,
as the quadratic solver of HiGHS does. A dual active-set method over the rationals (Goldfarb and Idnani 1983,
doi:10.1007/BF02591962) starts from the proposal, or from nothing if it is wrong, and ends with the exact solution:
each step raises the dual objective or drops a row, so no set comes twice.
"""

from __future__ import annotations

from fractions import Fraction
from math import isqrt, lcm, ulp
from typing import NamedTuple

import numpy as np

from tropnet.arrays.types import FloatArray, IntegerArray
from tropnet.exact.dyadic import nearest_float, to_integers, unit_rows
from tropnet.exact.elimination import solve

__all__ = ["Projection", "nearest_point", "square_root"]


class Projection(NamedTuple):
    """The nearest point, float64 (d,), and its distance; both the exact values, rounded."""

    point: FloatArray
    distance: float


def nearest_point(rows: IntegerArray, x: FloatArray) -> Projection | None:
    """Return the point of {p : a p + c >= 0 for every row (a | c)} nearest to `x` in l2, or None if there is none.

    Parameters
    ----------
    rows
        Integers, shape (m, d + 1), no row with a = 0.
    x
        float64, shape (d,), finite.

    Returns
    -------
    Projection
        Each coordinate is the float64 nearest to the exact one, the distance is within one unit in the last place; it
        is 0.0 iff `x` is in the polyhedron, and the point is then `x`.

    Notes
    -----
    With k rows met with equality, O(k^3 + m (k + d)) products of integers if the proposal is right, else some
    repetitions of that.

    Examples
    --------
    >>> quadrant = np.array([[1, 0, 0], [0, 1, 0]], dtype=object)
    >>> nearest_point(quadrant, np.array([-3.0, -4.0]))
    Projection(point=array([0., 0.]), distance=5.0)
    """
    origin, exponent = to_integers(x)
    values = rows[:, :-1] @ origin + (rows[:, -1] << exponent)
    if (values >= 0).all():
        return Projection(np.array(x, dtype=np.float64), 0.0)
    solution = _solve(rows[:, :-1], values)
    if solution is None:
        return None
    which, y = solution
    scale = 1 << exponent
    denominator = lcm(*(weight.denominator for weight in y))
    weights = np.array([weight.numerator * (denominator // weight.denominator) for weight in y], dtype=object)
    moved = origin * denominator + weights @ rows[which, :-1]
    point = np.array([nearest_float(value, denominator * scale) for value in moved.tolist()])
    # Where the rows are met with equality |p|^2 = sum y_i a_i p = -sum y_i s_i.
    square = -sum((w * int(values[i]) for w, i in zip(y, which, strict=True)), Fraction(0)) / scale**2
    # A point outside is never at distance 0, however near.
    return Projection(point, square_root(square) or ulp(0.0))


def _solve(A: IntegerArray, s: IntegerArray) -> tuple[list[int], list[Fraction]] | None:
    """Return the rows met with equality and their multipliers, or None if the polyhedron is empty."""
    products: dict[int, IntegerArray] = {}

    def column(i: int) -> IntegerArray:
        if i not in products:
            products[i] = A @ A[i]
        return products[i]

    def multipliers(which: list[int], right: list[int]) -> list[Fraction] | None:
        return solve([[int(column(j)[i]) for j in which] for i in which], right)

    which = _propose(A, s)
    proposed = multipliers(which, [-int(s[i]) for i in which])
    y = [] if proposed is None or min(proposed, default=Fraction(0)) < 0 else proposed
    which = which if y else []
    # The sizes only choose between violated rows; any would do.
    sizes = [isqrt(int(a @ a)) + 1 for a in A]
    while True:
        denominator = lcm(*(weight.denominator for weight in y))
        values = s * denominator
        for i, weight in zip(which, y, strict=True):
            values = values + weight.numerator * (denominator // weight.denominator) * column(i)
        violated = np.flatnonzero(np.asarray(values < 0, dtype=np.bool_)).tolist()
        if not violated:
            return which, y
        entering = min(violated, key=lambda i: nearest_float(int(values[i]), denominator * sizes[i]))
        value, own = Fraction(int(values[entering]), denominator), Fraction(0)
        while True:
            towards = [int(column(entering)[i]) for i in which]
            rates = multipliers(which, towards) or []
            # How fast the entering row's value rises along its part orthogonal to the others.
            rise = int(column(entering)[entering]) - sum(
                (rate * g for rate, g in zip(rates, towards, strict=True)), Fraction(0)
            )
            blocking = [n for n, rate in enumerate(rates) if rate > 0]
            drop = min(blocking, key=lambda n: y[n] / rates[n]) if blocking else None
            full = -value / rise if rise else None
            # The first multiplier to vanish, if it does before the entering row is met.
            partial = None if drop is None else y[drop] / rates[drop]
            t = min((length for length in (full, partial) if length is not None), default=None)
            if t is None:
                return None
            y = [weight - t * rate for weight, rate in zip(y, rates, strict=True)]
            own += t
            value += t * rise
            if t == full:
                which, y = [*which, entering], [*y, own]
                break
            which = [i for n, i in enumerate(which) if n != drop]
            y = [weight for n, weight in enumerate(y) if n != drop]


def _propose(A: IntegerArray, s: IntegerArray) -> list[int]:
    """Return rows that floating point takes to be met with equality; perhaps wrongly, perhaps none."""
    rows = unit_rows(np.column_stack([A, s]), A.shape[1])
    units, slack = rows[:, :-1], rows[:, -1]
    scale = -float(slack.min())
    if not 0 < scale < np.inf:
        return []
    with np.errstate(over="ignore"):
        system = np.vstack([units.T, -np.minimum(slack / scale, 1e15)[None, :]])
    try:
        from scipy.optimize import nnls

        weights, _ = nnls(system, np.append(np.zeros(A.shape[1]), 1.0), maxiter=100 * len(A) + 100)
    except RuntimeError:
        return []
    chosen: list[int] = np.flatnonzero(weights > 0).tolist()
    return chosen


def square_root(square: Fraction) -> float:
    """Return the square root of a rational of at least 0 within one unit in the last place.

    Examples
    --------
    >>> square_root(Fraction(9, 4))
    1.5
    """
    # 64 bits more than the root has are enough for the quotient's floor not to matter.
    shift = max(0, 64 + (square.denominator.bit_length() - square.numerator.bit_length()) // 2)
    return nearest_float(isqrt((square.numerator << 2 * shift) // square.denominator), 1 << shift)

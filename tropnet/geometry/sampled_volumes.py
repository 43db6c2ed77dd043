"""Volumes of polytopes by random directions, for dimensions in which exact vertices are out of reach.

For any point inside a convex body, with r(u) the distance to the boundary in direction u and w_d the volume of the
unit ball, vol = w_d E[r(u)^d] over uniform unit vectors u: polar coordinates. A linear map first makes the body round,
so that r varies little: the inverse of the Dikin ellipsoid {y : sum (a_i y / s_i)^2 <= 1} at the analytic centre, s_i
being the slacks there. A polytope with m sides lies within m times its ellipsoid (Nesterov and Nemirovskii 1994,
doi:10.1137/1.9781611970791).
"""

from __future__ import annotations

from math import lgamma, log, pi, sqrt

import numpy as np

from tropnet.arrays.rounding import EPSILON, SMALLEST_NORMAL
from tropnet.arrays.types import FloatArray
from tropnet.geometry.centred import Centred

__all__ = ["sampled_volume"]

# From a point as near to a side as 1e-300 of the body: such a distance grows by half in a step.
_STEPS = 2_000
# By how much wrong rows may change a volume, relatively: little beside any standard error.
_TRUSTED = 1e-6
# The factorisations round to 1e-16 of the longest axis.
_THINNEST = 1e-9
_PART = 1 << 22


def sampled_volume(rows: Centred, n_samples: int, rng: np.random.Generator) -> tuple[float, float]:
    """Return an unbiased estimate of the volume of a polytope and its standard error.

    Parameters
    ----------
    rows
        The rows of one bounded polytope.
    n_samples
        The number of lines through the centre, at least 2; each gives two opposite directions.
    rng
        Where the directions come from.

    Returns
    -------
    The natural logarithm of the estimate (volumes in many dimensions overflow), and the standard error divided by the
    estimate; NaN where rounding may change the volume by more than about 1e-6 of it, as in very thin or long bodies.

    Examples
    --------
    >>> from tropnet.geometry.centred import centred
    >>> A = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> square = centred(A, np.ones(4), np.array([0, 4]), np.zeros((1, 2)))
    >>> value, error = sampled_volume(square, 10_000, np.random.default_rng(0))
    >>> bool(abs(np.exp(value) - 4) < 5 * 4 * error), error < 0.01
    (True, True)
    """
    units, sides, reach = rows.units, rows.sides, rows.reach.item()
    n_rows, d = units.shape
    if not (0 < reach < np.inf and rows.side_errors.max(initial=0.0) < 1):
        return np.nan, np.nan
    centre = _analytic_centre(units, sides)
    if centre is None:
        return np.nan, np.nan
    slacks = sides - units @ centre
    with np.errstate(all="ignore"):
        scaled = units / slacks[:, None]
    if not (slacks.min(initial=np.inf) > 0 and np.isfinite(scaled).all()):
        return np.nan, np.nan
    # scaled = Q R: in z = R (y - centre) the ellipsoid is the unit ball, and the rows are those of Q.
    scaled, factor = np.linalg.qr(scaled)
    scale = np.abs(np.diag(factor))
    axes = np.linalg.svd(factor, compute_uv=False)
    if not (scale.min() > 0 and axes[-1] > _THINNEST * axes[0]):
        return np.nan, np.nan
    # Rows wrong by e of their slacks change the volume by d e of it; twice, as the centre is not exact.
    extent = float(np.linalg.norm(centre)) + 2 * n_rows / axes[-1]
    wrong = (rows.side_errors + (rows.unit_errors + 4 * EPSILON) * extent) / slacks
    if not d * wrong.max() < _TRUSTED:
        return np.nan, np.nan
    size = max(1, _PART // (n_rows + d))
    powers = np.empty(n_samples)
    for i in range(0, n_samples, size):
        directions = rng.normal(size=(min(size, n_samples - i), d))
        directions /= np.linalg.norm(directions, axis=1)[:, None]
        rates = directions @ scaled.T
        high, low = rates.max(axis=1), -rates.min(axis=1)
        if not (high.min() > 0 and low.min() > 0):
            return np.nan, np.nan
        with np.errstate(over="ignore"):
            powers[i : i + size] = np.logaddexp(-d * np.log(high), -d * np.log(low)) - log(2)
    shift = float(powers.max())
    values = np.exp(powers - shift)
    mean = float(values.mean())
    error = float(values.std(ddof=1)) / sqrt(n_samples)
    ball = 0.5 * d * log(pi) - lgamma(0.5 * d + 1)
    return shift + log(mean) + ball - float(np.log(scale).sum()) + d * log(reach), error / mean


def _analytic_centre(units: FloatArray, sides: FloatArray) -> FloatArray | None:
    """Return about the point that maximises the sum of the logarithms of the slacks: damped Newton steps from 0.

    None if that is not reached. Any point inside gives an unbiased estimate, but far from the centre hardly any
    direction sees most of the volume, and the standard error is far too small.
    """
    y = np.zeros(units.shape[1])
    for _ in range(_STEPS):
        slacks = sides - units @ y
        if not (slacks.min(initial=np.inf) > 0 and slacks.max() < 1 / SMALLEST_NORMAL):
            break
        rows = units / slacks[:, None]
        step, *_ = np.linalg.lstsq(rows, -np.ones(len(rows)), rcond=None)
        # The Newton decrement: a step of length below 1 in the ellipsoid stays inside.
        length = float(np.linalg.norm(rows @ step))
        y = y + step / (1 + length)
        if length < 1e-3:
            return y
    return None

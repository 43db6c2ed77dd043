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

from tropnet.arrays.types import FloatArray

__all__ = ["sampled_volume"]

_STEPS = 50
# Unit rows are rounded to 1e-16, and lines through a thinner body would see that.
_THINNEST = 1e-9
_PART = 1 << 22


def sampled_volume(
    units: FloatArray, sides: FloatArray, n_samples: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Return an unbiased estimate of the volume of {y : units y <= sides} and its standard error.

    Parameters
    ----------
    units, sides
        float64, shapes (m, d) and (m,): unit rows, all sides positive; bounded.
    n_samples
        The number of lines through the centre, at least 2; each gives two opposite directions.
    rng
        Where the directions come from.

    Returns
    -------
    The natural logarithm of the estimate (volumes in many dimensions overflow), and the standard error divided by the
    estimate; NaN if rounding left no bounded body, or one so thin that its sides are no longer told apart well.

    Examples
    --------
    >>> square = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> value, error = sampled_volume(square, np.ones(4), 10_000, np.random.default_rng(0))
    >>> bool(abs(np.exp(value) - 4) < 5 * 4 * error), error < 0.01
    (True, True)
    """
    d = units.shape[1]
    if not (sides.min(initial=np.inf) > 0 and sides.max(initial=0.0) < np.inf):
        return np.nan, np.nan
    centre = _analytic_centre(units, sides)
    rows = units / (sides - units @ centre)[:, None]
    if not np.isfinite(rows).all():
        return np.nan, np.nan
    # rows = Q R: in z = R (y - centre) the ellipsoid is the unit ball, and the rows are those of Q.
    rows, factor = np.linalg.qr(rows)
    scale = np.abs(np.diag(factor))
    axes = np.linalg.svd(factor, compute_uv=False)
    if not (scale.min() > 0 and axes[-1] > _THINNEST * axes[0]):
        return np.nan, np.nan
    size = max(1, _PART // (len(rows) + d))
    powers = np.empty(n_samples)
    for i in range(0, n_samples, size):
        directions = rng.normal(size=(min(size, n_samples - i), d))
        directions /= np.linalg.norm(directions, axis=1)[:, None]
        rates = directions @ rows.T
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
    return shift + log(mean) + ball - float(np.log(scale).sum()), error / mean


def _analytic_centre(units: FloatArray, sides: FloatArray) -> FloatArray:
    """Return about the point that maximises the sum of the logarithms of the slacks: damped Newton steps from 0.

    Any point inside would do; the nearer to the centre, the less the estimate varies.
    """
    y = np.zeros(units.shape[1])
    for _ in range(_STEPS):
        rows = units / (sides - units @ y)[:, None]
        step, *_ = np.linalg.lstsq(rows, -np.ones(len(rows)), rcond=None)
        # The Newton decrement: a step of length below 1 in the ellipsoid stays inside.
        length = float(np.linalg.norm(rows @ step))
        y = y + step / (1 + length)
        if length < 1e-3:
            break
    return y

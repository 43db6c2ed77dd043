"""Looking for an input that breaks a property at random points, and uphill from the best of them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from tropnet.arrays.types import FloatArray
from tropnet.errors import NonFiniteError
from tropnet.exact.dyadic import float_or_inf
from tropnet.network.network import Network
from tropnet.properties.formula import AllOf, Formula, Inequality
from tropnet.properties.input_set import InputSet

__all__ = ["climbed_points", "drawn_points"]

_SEED = 0
_FEW_POINTS, _MANY_POINTS, _N_BEST, _N_STEPS, _N_TRIES = 128, 4096, 32, 24, 64
_FIRST_REACH, _SHRINKING = 0.5, 0.8


def drawn_points(net: Network, inputs: InputSet, formula: Formula) -> FloatArray:
    """Return float64 points (n, d) in the bounds of the inputs where float64 says that a formula holds: of a few drawn.

    None where inputs are unbounded, or have no float64 numbers in their bounds; the same every time.
    """
    box = _box(inputs)
    if box is None:
        return np.empty((0, inputs.n))
    points = _drawn(box, _FEW_POINTS, np.random.default_rng(_SEED))
    return points[_scores(net, formula, points) >= 0]


def climbed_points(net: Network, inputs: InputSet, formula: Formula, turn: int = 0) -> FloatArray:
    """Return such points found by falling random steps uphill from the best of many drawn; each turn finds others."""
    box = _box(inputs)
    if box is None:
        return np.empty((0, inputs.n))
    low, high = box
    rng = np.random.default_rng([_SEED, turn])
    points = _drawn(box, _MANY_POINTS, rng)
    best = points[np.argsort(-_scores(net, formula, points), kind="stable")[:_N_BEST]]
    reach, n = _FIRST_REACH, len(best)
    for _ in range(_N_STEPS):
        steps = rng.uniform(-reach, reach, (n, _N_TRIES, inputs.n))
        # Single coordinates as often as all of them: corners and faces are reached by clipping.
        steps *= rng.random(steps.shape) < rng.choice([0.3, 1.0], (n, _N_TRIES, 1))
        tried = np.clip(best[:, None] + (high - low) * steps, low, high)
        tried[:, 0] = best
        scores = _scores(net, formula, tried.reshape(-1, inputs.n)).reshape(n, _N_TRIES)
        best = tried[np.arange(n), scores.argmax(axis=1)]
        reach *= _SHRINKING
    # What holds by most is first: there exact arithmetic agrees.
    order = np.argsort(-scores.max(axis=1), kind="stable")
    holds = scores.max(axis=1)[order] >= 0
    return np.asarray(best[order][holds], dtype=np.float64)


def _box(inputs: InputSet) -> tuple[FloatArray, FloatArray] | None:
    box = inputs.inner_box()
    if box is None:
        return None
    with np.errstate(over="ignore"):
        is_bounded = bool(np.isfinite(box[1] - box[0]).all())
    return box if is_bounded else None


def _drawn(box: tuple[FloatArray, FloatArray], n: int, rng: np.random.Generator) -> FloatArray:
    low, high = box
    return np.clip(low + (high - low) * rng.random((n, len(low))), low, high)


def _scores(net: Network, formula: Formula, points: FloatArray) -> FloatArray:
    """Return numbers that are at least 0 where float64 says that the formula holds."""
    with np.errstate(over="ignore", invalid="ignore"):
        try:
            scores = _score(formula)(points, net(points))
            return np.asarray(np.where(np.isnan(scores), -np.inf, scores))
        except NonFiniteError:  # the network overflows at one of them
            return np.full(len(points), -np.inf)


def _score(formula: Formula) -> Callable[[FloatArray, FloatArray], FloatArray]:
    """Return a function of points (n, d) and outputs (n, m) that is at least 0 where float64 says the formula holds."""
    if isinstance(formula, Inequality):
        size = sum((abs(value) for _, value in (*formula.inputs, *formula.outputs)), Fraction(0)) or Fraction(1)
        terms = [[(i, float_or_inf(value / size)) for i, value in part] for part in (formula.inputs, formula.outputs)]
        constant = float_or_inf(formula.constant / size)

        def linear(x: FloatArray, y: FloatArray) -> FloatArray:
            total = np.full(len(x), constant)
            for values, part in zip((x, y), terms, strict=True):
                for i, factor in part:
                    total += factor * values[:, i]
            return total

        return linear
    parts = [_score(part) for part in formula.parts]
    is_all = isinstance(formula, AllOf)
    start, choose = (np.inf, np.minimum) if is_all else (-np.inf, np.maximum)

    def combined(x: FloatArray, y: FloatArray) -> FloatArray:
        total = np.full(len(x), start)
        for part in parts:
            total = choose(total, part(x, y))
        return total

    return combined

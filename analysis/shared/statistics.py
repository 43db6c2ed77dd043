"""Statistics that more than one study takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

__all__ = ["interval", "superiority"]


def superiority(a: ArrayLike, b: ArrayLike) -> float:
    """Return P(a > b) + P(a = b) / 2, which is U / (n_a n_b), and the area under a ROC curve.

    Examples
    --------
    >>> superiority([3, 4], [1, 3])
    0.875
    """
    ordered = np.sort(b)
    doubled = np.searchsorted(ordered, a, side="left").sum() + np.searchsorted(ordered, a, side="right").sum()
    return float(doubled / (2 * np.size(a) * np.size(b)))


def interval(values: Sequence[float]) -> dict[str, Any]:
    """Return n, mean and the 95 % interval of the mean by Student's t; low and high are None for a single value.

    Examples
    --------
    >>> interval([0.5])
    {'n': 1, 'mean': 0.5, 'low': None, 'high': None}
    """
    mean, low, high = float(np.mean(values)), None, None
    if len(values) > 1:
        half = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
        low, high = mean - half, mean + half
    return {"n": len(values), "mean": mean, "low": low, "high": high}

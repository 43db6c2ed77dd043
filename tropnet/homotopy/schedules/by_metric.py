"""Schedules that follow the validation: by thresholds, or where it stops improving."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tropnet.arrays.checks import as_count
from tropnet.errors import SkipError
from tropnet.homotopy.models.skips import checked_strength
from tropnet.homotopy.schedules.base import MetricSkipStrengthScheduler
from tropnet.homotopy.schedules.checks import (
    checked_mode,
    checked_size,
    checked_threshold,
    checked_values,
    listed,
)

__all__ = ["ReduceSkipStrengthOnPlateau", "ThresholdSkipStrength"]


class ThresholdSkipStrength(MetricSkipStrengthScheduler):
    """Pass to the next listed strength when the validation passes a threshold.

    Parameters
    ----------
    module
        What holds the skips.
    values
        Strengths, in [0, 1], the first for the start.
    thresholds
        One fewer than `values`: from thresholds[i] on, values[i + 1] is set.
    mode
        "max" if larger measurements are better, as an accuracy; "min" if smaller ones are, as a loss.

    Raises
    ------
    SkipError
        The numbers of values and thresholds do not fit, thresholds are no numbers or not in order, a value is no number
        in [0, 1], `mode` is another word, or the module holds no skip with a strength.
    NonFiniteError
        `step` was given NaN.

    Notes
    -----
    A strength that was left is not set again when the measurement falls back. Several thresholds may be passed at once.

    References
    ----------
    J. Joyce and J. Verschelde, arXiv:2408.07815, section 5.3: "set thresholds for validation accuracy that, when
    passed, result in a pre-specified, lower value of t".

    Examples
    --------
    >>> from torch import nn
    >>> from tropnet.homotopy import WeightedSkip
    >>> schedule = ThresholdSkipStrength(WeightedSkip(nn.ReLU()), [0.9, 0.4, 0.0], [0.8, 0.95])
    >>> for accuracy in (0.7, 0.9, 0.6, 0.96):
    ...     schedule.step(accuracy)
    ...     print(schedule.get_last_t(), end=" ")
    0.9 0.4 0.4 0.0
    """

    def __init__(self, module: Any, values: Sequence[float], thresholds: Sequence[float], mode: str = "max") -> None:
        self.values = checked_values(values)
        self.thresholds = [checked_threshold(threshold) for threshold in listed("thresholds", thresholds)]
        self.mode = checked_mode(mode)
        self.n_passed = 0
        if len(self.values) != len(self.thresholds) + 1:
            raise SkipError(
                f"there must be one value more than thresholds, got {len(self.values)} values and"
                f" {len(self.thresholds)} thresholds. The first value is set at the start."
            )
        if self.thresholds != sorted(self.thresholds, reverse=mode == "min"):
            raise SkipError(
                f"thresholds must be in the order in which mode '{mode}' passes them, got {self.thresholds}."
            )
        super().__init__(module, self.values[0])

    def next_t(self, metric: float) -> float:
        """Return the value after the last threshold that was ever passed."""
        passed = sum(metric >= limit if self.mode == "max" else metric <= limit for limit in self.thresholds)
        self.n_passed = max(self.n_passed, passed)
        return self.values[self.n_passed]


class ReduceSkipStrengthOnPlateau(MetricSkipStrengthScheduler):
    """Multiply the strength by a factor when the validation stops improving, and set it to 0 once it is small.

    Parameters
    ----------
    module
        What holds the skips.
    start
        Strength at the start, in [0, 1].
    mode, factor, patience, threshold, threshold_mode, cooldown
        As of torch.optim.lr_scheduler.ReduceLROnPlateau: more than `patience` epochs in a row that are not better than
        the best by `threshold` (a fraction of it, or with threshold_mode "abs" a difference) reduce the strength; the
        next `cooldown` epochs do not count.
    zero_below
        A strength that would be smaller is 0, from which on nothing changes: products alone never reach it.

    Raises
    ------
    SkipError
        `start` is no number in [0, 1], `factor` none in [0, 1), `patience` or `cooldown` no integer of at least 0,
        `threshold` or `zero_below` no number of at least 0, a mode is another word, or the module holds no skip with a
        strength.
    NonFiniteError
        `step` was given NaN.

    Examples
    --------
    >>> from torch import nn
    >>> from tropnet.homotopy import WeightedSkip
    >>> schedule = ReduceSkipStrengthOnPlateau(WeightedSkip(nn.ReLU()), 0.5, patience=0, factor=0.2, zero_below=0.05)
    >>> for loss in (1.0, 1.0, 0.5, 0.6):
    ...     schedule.step(loss)
    ...     print(schedule.get_last_t(), end=" ")
    0.5 0.1 0.1 0.0
    """

    def __init__(
        self,
        module: Any,
        start: float = 0.5,
        mode: str = "min",
        factor: float = 0.5,
        patience: int = 1,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        zero_below: float = 0.01,
    ) -> None:
        if not 0 <= factor < 1:
            raise SkipError(f"factor must be in [0, 1), so that the strength decreases, got {factor}.")
        if threshold_mode not in ("rel", "abs"):
            raise SkipError(f"threshold_mode must be 'rel' or 'abs', got {threshold_mode!r}.")
        self.mode = checked_mode(mode)
        self.factor = float(factor)
        self.patience = as_count(patience, "patience", 0, error=SkipError)
        self.cooldown = as_count(cooldown, "cooldown", 0, error=SkipError)
        self.threshold, self.threshold_mode = checked_size("threshold", threshold), threshold_mode
        self.zero_below = checked_size("zero_below", zero_below)
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = 0
        self.cooldown_counter = 0
        super().__init__(module, checked_strength(start, "start"))

    def next_t(self, metric: float) -> float:
        """Return the strength so far, reduced if there was no progress for too long."""
        if self._is_better(metric):
            self.best = metric
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs <= self.patience:
            return self._last_t
        self.num_bad_epochs = 0
        self.cooldown_counter = self.cooldown
        reduced = self._last_t * self.factor
        return 0.0 if reduced < self.zero_below else reduced

    def _is_better(self, metric: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        limit = self.best + sign * self.threshold
        if self.threshold_mode == "rel":
            limit = self.best * (1 + sign * self.threshold)
        return metric > limit if self.mode == "max" else metric < limit

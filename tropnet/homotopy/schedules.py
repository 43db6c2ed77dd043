"""Schedules of the skip strength t, in the manner of torch.optim.lr_scheduler."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tropnet.errors import NonFiniteError, SkipError
from tropnet.homotopy.models.skips import checked_strength, set_skip_strength

__all__ = [
    "PUBLISHED_SCHEDULES",
    "CosineSkipStrength",
    "LinearSkipStrength",
    "ListSkipStrength",
    "MetricSkipStrengthScheduler",
    "ReduceSkipStrengthOnPlateau",
    "SkipStrengthScheduler",
    "ThresholdSkipStrength",
]

# Section 5.3. The second is printed with 0.05 after 0.01, where 0.005 is probably meant: here both ways.
PUBLISHED_SCHEDULES: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "from 0.9": (0.9, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.025, 0.01, 0.0),
        "from 0.5, as printed": (0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.025, 0.01, 0.05, 0.0),
        "from 0.5, corrected": (0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.025, 0.01, 0.005, 0.0),
    }
)


class SkipStrengthScheduler:
    """Base class of the schedules of t: as torch.optim.lr_scheduler.LRScheduler, with a module for the optimizer.

    The constructor sets the first value; `step`, once after each epoch (or batch), sets the next. A subclass gives the
    value: it defines `get_t`, which reads `last_epoch`.

    Parameters
    ----------
    module
        What holds the skips. Schedules of parts of one network may differ.
    last_epoch
        Number of `step`s done before, less one; -1 begins anew.

    Attributes
    ----------
    last_epoch
        Index, from 0, of the epoch whose t is set.

    Raises
    ------
    SkipError
        The module holds no skip with a strength, or `get_t` gives no number in [0, 1].

    References
    ----------
    J. Joyce and J. Verschelde, arXiv:2408.07815, section 5.3.

    Examples
    --------
    >>> from torch import nn
    >>> from tropnet.homotopy import WeightedSkip
    >>> class Halving(SkipStrengthScheduler):
    ...     def get_t(self):
    ...         return 0.5**self.last_epoch
    >>> schedule = Halving(WeightedSkip(nn.ReLU()))
    >>> for epoch in range(2):
    ...     schedule.step()
    >>> schedule.get_last_t(), schedule.last_epoch
    (0.25, 2)
    """

    def __init__(self, module: Any, last_epoch: int = -1) -> None:
        self.module = module
        self.last_epoch = last_epoch
        self.step()

    def get_t(self) -> float:
        """Return the strength at `last_epoch`; of this class there is none."""
        raise NotImplementedError(f"{type(self).__name__} must define get_t(self), the strength at self.last_epoch.")

    def step(self) -> None:
        """Set the strength of the next epoch."""
        self.last_epoch += 1
        self._set(self.get_t())

    def get_last_t(self) -> float:
        """Return the strength that was set last."""
        return self._last_t

    def state_dict(self) -> dict[str, Any]:
        """Return the kind of the schedule and its attributes, but for the module and functions."""
        own = {key: value for key, value in vars(self).items() if key != "module" and not callable(value)}
        return {"_kind": type(self).__name__, **own}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state, and set the strength that was set there.

        Raises
        ------
        SkipError
            The state is that of another kind of schedule, or holds no strength in [0, 1]; all stays as it was.
        """
        own, given = set(self.state_dict()), set(state_dict)
        if own != given or state_dict["_kind"] != type(self).__name__:
            raise SkipError(
                f"the state must be that of a {type(self).__name__}, with {sorted(own)}, got that of a"
                f" {state_dict.get('_kind', 'schedule of unknown kind')}, with {sorted(given)}."
            )
        t = checked_strength(state_dict["_last_t"], "the t of the state")
        vars(self).update({key: value for key, value in state_dict.items() if key != "_kind"})
        self._set(t)

    def _set(self, t: float) -> None:
        self._last_t = checked_strength(t, f"the t of {type(self).__name__}")
        set_skip_strength(self.module, self._last_t)


class ListSkipStrength(SkipStrengthScheduler):
    """Set a listed strength in each epoch, and the last of the list from then on.

    Parameters
    ----------
    module
        What holds the skips.
    values
        Strength in each epoch, in [0, 1]; `PUBLISHED_SCHEDULES` has the paper's.
    last_epoch
        Number of `step`s done before, less one; -1 begins anew.

    Raises
    ------
    SkipError
        There is no value, one is no number in [0, 1], or the module holds no skip with a strength.

    References
    ----------
    J. Joyce and J. Verschelde, arXiv:2408.07815, section 5.3.

    Examples
    --------
    >>> from torch import nn
    >>> from tropnet.homotopy import WeightedSkip
    >>> schedule = ListSkipStrength(WeightedSkip(nn.ReLU()), PUBLISHED_SCHEDULES["from 0.9"])
    >>> for epoch in range(10):
    ...     print(schedule.get_last_t(), end=" ")
    ...     schedule.step()
    0.9 0.7 0.5 0.3 0.2 0.1 0.05 0.025 0.01 0.0
    """

    def __init__(self, module: Any, values: Sequence[float], last_epoch: int = -1) -> None:
        self.values = _checked_values(values)
        if not self.values:
            raise SkipError("values must hold at least one skip strength, got none. End with 0 to remove the skips.")
        super().__init__(module, last_epoch)

    def get_t(self) -> float:
        """Return the value of this epoch."""
        return self.values[min(self.last_epoch, len(self.values) - 1)]


class _Decay(SkipStrengthScheduler):
    """From `start` to exactly 0 in `total_iters` steps."""

    def __init__(self, module: Any, start: float, total_iters: int, last_epoch: int = -1) -> None:
        self.start = checked_strength(start, "start")
        self.total_iters = _checked_number("total_iters, the steps from start to 0,", total_iters, 1)
        super().__init__(module, last_epoch)

    def get_t(self) -> float:
        """Return the strength at this epoch, exactly 0 at the end."""
        if self.last_epoch >= self.total_iters:
            return 0.0
        return self.start * self._remaining(self.last_epoch / self.total_iters)

    def _remaining(self, fraction: float) -> float:
        raise NotImplementedError


class LinearSkipStrength(_Decay):
    """Decrease the strength linearly: ``t = start (1 - epoch / total_iters)``, and exactly 0 from `total_iters` on.

    Parameters
    ----------
    module
        What holds the skips.
    start
        Strength in the first epoch, in [0, 1].
    total_iters
        Number of steps until 0. To train the last of n epochs without skips, n - 1.
    last_epoch
        Number of `step`s done before, less one; -1 begins anew.

    Raises
    ------
    SkipError
        `start` is no number in [0, 1], `total_iters` no positive integer, or the module holds no skip with a strength.

    Examples
    --------
    >>> from torch import nn
    >>> from tropnet.homotopy import WeightedSkip
    >>> schedule = LinearSkipStrength(WeightedSkip(nn.ReLU()), 0.5, total_iters=4)
    >>> for epoch in range(6):
    ...     print(schedule.get_last_t(), end=" ")
    ...     schedule.step()
    0.5 0.375 0.25 0.125 0.0 0.0
    """

    def _remaining(self, fraction: float) -> float:
        return 1 - fraction


class CosineSkipStrength(_Decay):
    """Decrease the strength along half a cosine: ``t = start (1 + cos(pi epoch / total_iters)) / 2``, then exactly 0.

    Parameters
    ----------
    module
        What holds the skips.
    start
        Strength in the first epoch, in [0, 1].
    total_iters
        Number of steps until 0. To train the last of n epochs without skips, n - 1.
    last_epoch
        Number of `step`s done before, less one; -1 begins anew.

    Raises
    ------
    SkipError
        `start` is no number in [0, 1], `total_iters` no positive integer, or the module holds no skip with a strength.

    References
    ----------
    I. Loshchilov and F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017, (5), for the
    learning rate.

    Examples
    --------
    >>> from torch import nn
    >>> from tropnet.homotopy import WeightedSkip
    >>> schedule = CosineSkipStrength(WeightedSkip(nn.ReLU()), 0.8, total_iters=2)
    >>> for epoch in range(3):
    ...     print(round(schedule.get_last_t(), 12), end=" ")
    ...     schedule.step()
    0.8 0.4 0.0
    """

    def _remaining(self, fraction: float) -> float:
        return (1 + math.cos(math.pi * fraction)) / 2


class MetricSkipStrengthScheduler(SkipStrengthScheduler):
    """Base class of the schedules whose `step` takes a measurement of the validation, as those of `Trainer` do.

    A subclass gives the value: it defines `next_t`, which reads the measurement, `last_epoch` and `get_last_t`.

    Parameters
    ----------
    module
        What holds the skips.
    start
        Strength at the start, in [0, 1].

    Raises
    ------
    SkipError
        `start`, or what `next_t` gives, is no number in [0, 1], or the module holds no skip with a strength.
    NonFiniteError
        `step` was given NaN.

    Examples
    --------
    >>> from torch import nn
    >>> from tropnet.homotopy import WeightedSkip
    >>> class AsTheLoss(MetricSkipStrengthScheduler):
    ...     def next_t(self, metric):
    ...         return min(metric, self.get_last_t())
    >>> schedule = AsTheLoss(WeightedSkip(nn.ReLU()), start=0.5)
    >>> for loss in (2.0, 0.25, 0.3):
    ...     schedule.step(loss)
    ...     print(schedule.get_last_t(), end=" ")
    0.5 0.25 0.25
    """

    def __init__(self, module: Any, start: float) -> None:
        self.module = module
        self.last_epoch = 0
        self._set(start)

    def step(self, metric: Any) -> None:  # type: ignore[override]  # as ReduceLROnPlateau: step(metric)
        """Set the strength of the next epoch by the measurement after this one.

        Raises
        ------
        NonFiniteError
            The measurement is NaN; the state stays.
        """
        value = float(metric)
        if math.isnan(value):
            raise NonFiniteError(
                f"the metric of {type(self).__name__} must be a number, got {value} after epoch {self.last_epoch}. Has"
                " the training diverged?"
            )
        self.last_epoch += 1
        self._set(self.next_t(value))

    def next_t(self, metric: float) -> float:
        """Return the strength of the next epoch; of this class there is none."""
        raise NotImplementedError(f"{type(self).__name__} must define next_t(self, metric), the next epoch's strength.")


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
        self.values = _checked_values(values)
        self.thresholds = [_checked_threshold(threshold) for threshold in _listed("thresholds", thresholds)]
        self.mode = _checked_mode(mode)
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
        self.mode = _checked_mode(mode)
        self.factor = float(factor)
        self.patience = _checked_number("patience", patience, 0)
        self.cooldown = _checked_number("cooldown", cooldown, 0)
        self.threshold, self.threshold_mode = _checked_size("threshold", threshold), threshold_mode
        self.zero_below = _checked_size("zero_below", zero_below)
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


def _checked_mode(mode: str) -> str:
    if mode not in ("min", "max"):
        raise SkipError(f"mode must be 'min' (a loss) or 'max' (an accuracy), got {mode!r}.")
    return mode


def _listed(what: str, values: Any) -> Iterable[Any]:
    if not isinstance(values, Iterable):
        raise SkipError(f"{what} must be a list of numbers, got {values!r}.")
    return values


def _checked_values(values: Any) -> list[float]:
    return [checked_strength(value, f"values[{index}]") for index, value in enumerate(_listed("values", values))]


def _checked_threshold(threshold: Any) -> float:
    value = float(threshold)
    if math.isnan(value):
        raise SkipError(f"thresholds must be numbers, got {threshold!r}, which nothing passes.")
    return value


def _checked_number(what: str, value: Any, least: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if number < least:
        raise SkipError(f"{what} must be an integer of at least {least}, got {value!r}.")
    return number


def _checked_size(what: str, value: Any) -> float:
    if not value >= 0:
        raise SkipError(f"{what} must be a number of at least 0, got {value!r}.")
    return float(value)

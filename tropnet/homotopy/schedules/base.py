"""What all schedules of the skip strength t share: those by the epoch, and those by a measurement."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tropnet.errors import NonFiniteError, SkipError
from tropnet.homotopy.models.skips import checked_strength, set_skip_strength

__all__ = ["MetricSkipStrengthScheduler", "SkipStrengthScheduler"]


class SkipStrengthScheduler:
    """Base class of the schedules of t: as torch.optim.lr_scheduler.LRScheduler, with a module for the optimizer.

    The constructor sets the first value; `step`, once after each epoch (or batch), sets the next. A subclass gives the
    value: it defines `get_t`, which reads `last_epoch`.

    Parameters
    ----------
    module
        What holds the skips. Schedules of parts of one network may differ.
    last_epoch
        Number of calls of `step` before, less one; -1 begins anew.

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

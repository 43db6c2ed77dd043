"""Schedules that know the strength of each epoch beforehand: a list, a line, half a cosine."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tropnet.arrays.checks import as_count
from tropnet.errors import SkipError
from tropnet.homotopy.models.skips import checked_strength
from tropnet.homotopy.schedules.base import SkipStrengthScheduler
from tropnet.homotopy.schedules.checks import checked_values

__all__ = ["PUBLISHED_SCHEDULES", "CosineSkipStrength", "LinearSkipStrength", "ListSkipStrength"]

# Section 5.3. The second is printed with 0.05 after 0.01, where 0.005 is probably meant: here both ways.
PUBLISHED_SCHEDULES: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "from 0.9": (0.9, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.025, 0.01, 0.0),
        "from 0.5, as printed": (0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.025, 0.01, 0.05, 0.0),
        "from 0.5, corrected": (0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.025, 0.01, 0.005, 0.0),
    }
)


class ListSkipStrength(SkipStrengthScheduler):
    """Set a listed strength in each epoch, and the last of the list from then on.

    Parameters
    ----------
    module
        What holds the skips.
    values
        Strength in each epoch, in [0, 1]; `PUBLISHED_SCHEDULES` has the paper's.
    last_epoch
        Number of calls of `step` before, less one; -1 begins anew.

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
        self.values = checked_values(values)
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
        self.total_iters = as_count(total_iters, "total_iters, the steps from start to 0,", error=SkipError)
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
        Number of calls of `step` before, less one; -1 begins anew.

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
    module, start, total_iters, last_epoch
        As of `LinearSkipStrength`.

    Raises
    ------
    SkipError
        As of `LinearSkipStrength`.

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

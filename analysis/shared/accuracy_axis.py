"""An axis of accuracies on which 97 and 98 % differ as visibly as 40 and 50 %."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

__all__ = ["logistic"]

_TICKS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 0.97, 0.98, 0.985, 0.99, 0.995)


def logistic(axes: Axes) -> None:
    """Set the vertical axis of what has been drawn to a logistic scale, with ticks where accuracies have them."""
    axes.set(ylabel="accuracy on the test images", yscale="logit")
    low, high = axes.get_ylim()
    axes.set_yticks([value for value in _TICKS if low <= value <= high])
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_locator(NullLocator())

"""What is measured of a batch: means over its examples, which add up to those of an epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from tropnet.errors import ShapeError

__all__ = ["Measure", "accuracy", "added", "mean", "stacked"]

Measure = Callable[[Any, Any], Any]


def accuracy(outputs: Any, targets: Any) -> Any:
    """Return the fraction of rows of `outputs` (n, n_classes) whose largest entry is at `targets` (n,).

    Examples
    --------
    >>> accuracy(torch.tensor([[0.0, 1.0], [3.0, 2.0]]), torch.tensor([1, 1])).item()
    0.5
    """
    return (outputs.argmax(1) == targets).float().mean()


def mean(name: str, measure: Measure) -> Measure:
    """Return a measure that refuses to be anything but one number."""

    def checked(outputs: Any, targets: Any) -> Any:
        found = measure(outputs, targets)
        if not isinstance(found, torch.Tensor) or found.ndim:
            shape = f"shape {tuple(found.shape)}" if isinstance(found, torch.Tensor) else type(found).__name__
            raise ShapeError(
                f"the {name} must be a tensor without dimensions, the mean of the batch, got {shape}. Does it need"
                " reduction='mean'?"
            )
        return found

    return checked


def stacked(values: Sequence[Any]) -> Any:
    """Return measurements in one tensor, on their device."""
    return torch.stack([value.detach().float() for value in values])


def added(sums: Sequence[Any], values: Sequence[Any], weight: int) -> list[Any]:
    """Return sums over examples, with the means over `weight` more; of trials, lists."""
    return [(total + np.asarray(value) * weight).tolist() for total, value in zip(sums, values, strict=True)]

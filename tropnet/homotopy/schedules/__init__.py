"""Schedules of the skip strength t, in the manner of torch.optim.lr_scheduler."""

from tropnet.homotopy.schedules.base import MetricSkipStrengthScheduler, SkipStrengthScheduler
from tropnet.homotopy.schedules.by_epoch import (
    PUBLISHED_SCHEDULES,
    CosineSkipStrength,
    LinearSkipStrength,
    ListSkipStrength,
)
from tropnet.homotopy.schedules.by_metric import ReduceSkipStrengthOnPlateau, ThresholdSkipStrength

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

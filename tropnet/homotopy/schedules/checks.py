"""Options of schedules, checked at the door; `SkipError` says what they must be."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from tropnet.errors import SkipError
from tropnet.homotopy.models.skips import checked_strength

__all__ = ["checked_mode", "checked_size", "checked_threshold", "checked_values", "listed"]


def checked_mode(mode: str) -> str:
    """Return whether small or large measurements are better, "min" or "max"."""
    if mode not in ("min", "max"):
        raise SkipError(f"mode must be 'min' (a loss) or 'max' (an accuracy), got {mode!r}.")
    return mode


def listed(what: str, values: Any) -> Iterable[Any]:
    """Return something that holds several values."""
    if not isinstance(values, Iterable):
        raise SkipError(f"{what} must be a list of numbers, got {values!r}.")
    return values


def checked_values(values: Any) -> list[float]:
    """Return strengths as numbers in [0, 1]."""
    return [checked_strength(value, f"values[{index}]") for index, value in enumerate(listed("values", values))]


def checked_threshold(threshold: Any) -> float:
    """Return a threshold, which is a number."""
    value = float(threshold)
    if math.isnan(value):
        raise SkipError(f"thresholds must be numbers, got {threshold!r}, which nothing passes.")
    return value


def checked_size(what: str, value: Any) -> float:
    """Return a number of at least 0."""
    if not value >= 0:
        raise SkipError(f"{what} must be a number of at least 0, got {value!r}.")
    return float(value)

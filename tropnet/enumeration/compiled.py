"""Moved."""

from tropnet.compiled import compiled, uniform

__all__ = ["compiled", "uniform"]

"""Which activation patterns occur: engines that search the tree of patterns, behind one contract."""

from typing import Any

from tropnet.enumeration.algorithm_1 import EmptyRegion, find_linear_region
from tropnet.enumeration.calls import count_regions, enumerate_regions, estimate_regions, iter_regions
from tropnet.enumeration.estimate import Estimate
from tropnet.enumeration.search import ENGINES
from tropnet.moved import moved_name

__all__ = [
    "ENGINES",
    "EmptyRegion",
    "Estimate",
    "count_regions",
    "enumerate_regions",
    "estimate_regions",
    "find_linear_region",
    "iter_regions",
]


def __getattr__(name: str) -> Any:
    """Find what moved from here."""
    return moved_name(__name__, name)

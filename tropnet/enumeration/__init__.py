"""Which activation patterns occur: engines that search the tree of patterns, behind one contract."""

from tropnet.enumeration.algorithm_1 import EmptyRegion, find_linear_region
from tropnet.enumeration.calls import count_regions, enumerate_regions, estimate_regions, iter_regions
from tropnet.enumeration.estimate import Estimate
from tropnet.enumeration.search import ENGINES

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

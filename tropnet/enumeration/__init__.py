"""Which activation patterns occur: engines that search the tree of patterns, behind one contract."""

from tropnet.enumeration.linear_region import EmptyRegion, find_linear_region
from tropnet.enumeration.search import ENGINES, count_regions, enumerate_regions, iter_regions

__all__ = ["ENGINES", "EmptyRegion", "count_regions", "enumerate_regions", "find_linear_region", "iter_regions"]

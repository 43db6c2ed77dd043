"""Which activation patterns occur: engines that search the tree of patterns, behind one contract."""

from tropnet.enumeration.estimate import Estimate
from tropnet.enumeration.linear_region import EmptyRegion, find_linear_region
from tropnet.enumeration.near import NearRegions, regions_near
from tropnet.enumeration.run import ENGINES
from tropnet.enumeration.search import count_regions, enumerate_regions, estimate_regions, iter_regions
from tropnet.enumeration.segment import SegmentRegions, regions_on_segment

__all__ = [
    "ENGINES",
    "EmptyRegion",
    "Estimate",
    "NearRegions",
    "SegmentRegions",
    "count_regions",
    "enumerate_regions",
    "estimate_regions",
    "find_linear_region",
    "iter_regions",
    "regions_near",
    "regions_on_segment",
]

"""Local searches: the regions around a point or along a segment, and how many facets lie between two points."""

from tropnet.local_search.flip_distance import FlipBounds, FlipDistance
from tropnet.local_search.near import NearRegions, regions_near
from tropnet.local_search.segment import SegmentRegions, regions_on_segment

__all__ = ["FlipBounds", "FlipDistance", "NearRegions", "SegmentRegions", "regions_near", "regions_on_segment"]

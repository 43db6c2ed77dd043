"""How many facets lie between a point and the regions that hold data: an out-of-distribution score.

Section 7.1 of Joyce and Verschelde proposes it: map out the regions as a graph, and count the path length to the
nearest element of the distribution.
"""

from tropnet.flips.distance import FlipBounds, FlipDistance

__all__ = ["FlipBounds", "FlipDistance"]

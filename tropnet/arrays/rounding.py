"""How float64 rounds: the numbers of which error bounds are made."""

from __future__ import annotations

import sys

__all__ = ["EPSILON", "LARGEST", "SAFE_HIGH", "SAFE_LOW", "SMALLEST_NORMAL", "SMALLEST_SUBNORMAL", "UNIT_ROUNDOFF"]

# A sum, product, quotient or root is off by at most this part of itself, unless it overflows or underflows.
UNIT_ROUNDOFF = 2.0**-53
# The distance from 1 to the next float64, twice the unit roundoff: for bounds that are themselves rounded.
EPSILON = 2.0**-52
# Below this, a product or quotient loses digits (underflow): it is off by half the smallest subnormal number or less.
SMALLEST_NORMAL = 2.0**-1022
SMALLEST_SUBNORMAL = 2.0**-1074
# What is larger than this overflows.
LARGEST = sys.float_info.max
# Of numbers between these sizes, products of two neither overflow nor underflow, by far.
SAFE_LOW, SAFE_HIGH = 1e-100, 1e100

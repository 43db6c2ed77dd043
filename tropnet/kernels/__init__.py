"""Compiled code: how kernels are compiled, and how arrays are lent to them."""

from tropnet.kernels.compiling import compiled, copied, popcount, weight_if_kept
from tropnet.kernels.records import Lender, Record

__all__ = ["Lender", "Record", "compiled", "copied", "popcount", "weight_if_kept"]

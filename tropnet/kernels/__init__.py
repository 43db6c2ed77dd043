"""Compiled code: how kernels are compiled, and how arrays are lent to them."""

from tropnet.kernels.compiling import compiled, copied, popcount, weight_if_kept
from tropnet.kernels.parts import Parts, call_part
from tropnet.kernels.records import Lender, Record

__all__ = ["Lender", "Parts", "Record", "call_part", "compiled", "copied", "popcount", "weight_if_kept"]

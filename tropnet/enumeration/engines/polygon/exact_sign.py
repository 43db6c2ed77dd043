"""Signs of determinants of float64 numbers without rounding, compiled.

A sum of products is an expansion: float64 numbers whose exact sum it is, of increasing size and without overlap, so the
last that is not 0 has its sign. Shewchuk, Adaptive Precision Floating-Point Arithmetic and Fast Robust Geometric
Predicates, 1997, doi:10.1007/PL00009321: theorems 2 (two-sum), 10 (grow-expansion), 17 (split) and 18 (two-product).
"""

from __future__ import annotations

from typing import Any

from tropnet.kernels import compiled

__all__ = ["UNKNOWN", "corner_sign"]

UNKNOWN = 2
# Products of three numbers between these sizes neither overflow nor lose digits, nor do their errors.
_SMALL, _LARGE = 1e-80, 1e80
_SPLITTER = 2.0**27 + 1.0


@compiled(inline=True)
def _two_product(a: float, b: float) -> tuple[float, float]:
    """Return a product and its error, exactly."""
    product = a * b
    c, d = _SPLITTER * a, _SPLITTER * b
    a_high, b_high = c - (c - a), d - (d - b)
    a_low, b_low = a - a_high, b - b_high
    return product, a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)


@compiled(inline=True)
def _grow(expansion: Any, size: int, value: float) -> int:
    """Add a number to an expansion in place; return the new length."""
    total = value
    for k in range(size):
        part = expansion[k]
        upper = total + part
        virtual = upper - total
        expansion[k] = (total - (upper - virtual)) + (part - virtual)
        total = upper
    expansion[size] = total
    return size + 1


@compiled()
def _add_product(expansion: Any, size: int, a: float, b: float, c: float) -> int:
    """Add a product of three numbers to an expansion in place; return the new length, at most 4 more."""
    if a == 0.0 or b == 0.0 or c == 0.0:
        return size
    upper, lower = _two_product(a, b)
    for part in (upper, lower):
        product, error = _two_product(part, c)
        size = _grow(expansion, size, error)
        size = _grow(expansion, size, product)
    return size


@compiled(inline=True)
def _sign(expansion: Any, size: int) -> int:
    for k in range(size - 1, -1, -1):
        if expansion[k] != 0.0:
            return 1 if expansion[k] > 0.0 else -1
    return 0


@compiled()
def corner_sign(
    a_0: float,
    a_1: float,
    a_2: float,
    b_0: float,
    b_1: float,
    b_2: float,
    c_0: float,
    c_1: float,
    c_2: float,
    expansion: Any,
) -> int:
    """Return the sign of c_0 x + c_1 y + c_2 where a_0 x + a_1 y + a_2 = 0 and b_0 x + b_1 y + b_2 = 0.

    It is that of det(a, b, c) times that of a_0 b_1 - a_1 b_0. `expansion` is room for 24 numbers. 2 if the numbers are
    too large or too small to be multiplied.
    """
    for value in (a_0, a_1, a_2, b_0, b_1, b_2, c_0, c_1, c_2):
        if value != 0.0 and not _SMALL < abs(value) < _LARGE:
            return UNKNOWN
    size = _add_product(expansion, 0, a_0, b_1, 1.0)
    size = _add_product(expansion, size, -a_1, b_0, 1.0)
    orientation = _sign(expansion, size)
    if orientation == 0:
        return UNKNOWN
    size = _add_product(expansion, 0, a_1, b_2, c_0)
    size = _add_product(expansion, size, -a_2, b_1, c_0)
    size = _add_product(expansion, size, a_2, b_0, c_1)
    size = _add_product(expansion, size, -a_0, b_2, c_1)
    size = _add_product(expansion, size, a_0, b_1, c_2)
    size = _add_product(expansion, size, -a_1, b_0, c_2)
    return orientation * _sign(expansion, size)

"""Rational inequalities as float64 rows that hold wherever they do."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from tropnet.arrays.types import FloatArray
from tropnet.exact.dyadic import float_or_inf
from tropnet.properties.formula import Inequality

__all__ = ["float_row"]


def float_row(
    inequality: Inequality, input_sizes: FloatArray, output_sizes: FloatArray, slack: float = 0.0
) -> FloatArray | None:
    """Return a float64 row (a | b | c) with a x + b y + c >= 0 wherever the inequality holds; None if there is none.

    Its coefficients are those of the inequality times one number, where float64 has them; else the constant makes up
    for their rounding.

    Parameters
    ----------
    inequality
        Of the inputs x and outputs y.
    input_sizes, output_sizes
        What |x_i| and |y_j| do not exceed, float64; may be infinite. The row has a coefficient for each.
    slack
        How much larger c is made where float64 does not hold the row, in units of the largest coefficient.
    """
    n = len(input_sizes)
    terms = [*inequality.inputs, *((n + j, value) for j, value in inequality.outputs)]
    scale = Fraction(math.lcm(inequality.constant.denominator, *(value.denominator for _, value in terms)))
    largest = max((abs(value) * scale for _, value in terms), default=Fraction(1))
    # A power of two changes no digit.
    scale /= 1 << max(int(largest).bit_length() - 1, 0)
    sizes = np.concatenate([input_sizes, output_sizes])
    row, lost = np.zeros(len(sizes) + 1), Fraction(0)
    for place, value in terms:
        exact = value * scale
        row[place] = float_or_inf(exact)
        rounding = abs(Fraction(row[place]) - exact)
        if rounding:
            if not math.isfinite(sizes[place]):
                return None
            lost += rounding * Fraction(sizes[place])
    constant = inequality.constant * scale + lost
    row[-1] = float_or_inf(constant)
    if math.isfinite(row[-1]) and (lost or Fraction(row[-1]) != constant):
        row[-1] = math.nextafter(row[-1] + slack, math.inf)
    return row if np.isfinite(row).all() else None

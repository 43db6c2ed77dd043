"""float64 arrays as exact integers times a power of two, and back.

A finite float64 is an integer times 2**-e. Scaling a whole array by one power of two turns every exact statement
about the array (a sign, a rank, an inequality) into one about Python integers, which never round.
Integer arrays have dtype object; `numpy` applies Python's integer arithmetic elementwise.
"""

from __future__ import annotations

from fractions import Fraction
from math import hypot
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tropnet.arrays.rounding import LARGEST
from tropnet.arrays.types import FloatArray, IntegerArray

__all__ = ["float_or_inf", "float_parts", "nearest_float", "to_float", "to_fractions", "to_integers", "unit_rows"]

_MANTISSA_BITS = 53


def to_integers(array: ArrayLike) -> tuple[IntegerArray, int]:
    """Return integers `n` and the exponent `e` >= 0 with `array == n / 2**e` exactly.

    Parameters
    ----------
    array
        Finite float64 values of any shape.

    Examples
    --------
    >>> to_integers([0.5, -3.0])
    (array([1, -6], dtype=object), 1)
    """
    values = np.asarray(array, dtype=np.float64)
    # The matrices of convolutions are mostly zeros.
    places = np.flatnonzero(values.ravel())
    fraction, power = np.frexp(values.ravel()[places])
    mantissas = np.ldexp(fraction, _MANTISSA_BITS).astype(np.int64).tolist()
    powers = (power - _MANTISSA_BITS).tolist()
    pairs = []
    smallest = 0
    for mantissa, shift in zip(mantissas, powers, strict=True):
        zeros = (mantissa & -mantissa).bit_length() - 1
        pairs.append((mantissa >> zeros, shift + zeros))
        smallest = min(smallest, shift + zeros)
    scale = -smallest
    out = np.zeros(values.size, dtype=object)
    out[places] = [mantissa << (shift + scale) for mantissa, shift in pairs]
    return out.reshape(values.shape), scale


def to_float(integers: IntegerArray, exponent: int) -> FloatArray:
    """Return the float64 values nearest to `integers / 2**exponent` (too large ones become infinite).

    Examples
    --------
    >>> to_float(np.array([1, -6], dtype=object), 1)
    array([ 0.5, -3. ])
    """
    denominator = 1 << exponent
    flat = [_divide(value, denominator) for value in integers.ravel()]
    return np.array(flat, dtype=np.float64).reshape(integers.shape)


def float_parts(integers: IntegerArray, exponent: int) -> list[FloatArray] | None:
    """Return float64 arrays whose exact sum is `integers / 2**exponent`, each nearest to what those before leave.

    None if numbers from 2^-1074 to 2^1023 do not add up to it.

    Examples
    --------
    >>> float_parts(np.array([2**60 + 1, 3], dtype=object), 60)
    [array([1.00000000e+00, 2.60208521e-18]), array([8.67361738e-19, 0.00000000e+00])]
    """
    rest: Any = np.array(integers, dtype=object)
    parts: list[FloatArray] = []
    while rest.any():
        values = to_float(rest, exponent)
        if not np.isfinite(values).all() or not values.any():
            return None
        found, power = to_integers(values)
        rest = rest - (found << (exponent - power))
        parts.append(values)
    return parts


def nearest_float(numerator: int, denominator: int) -> float:
    """Return the finite float64 nearest to `numerator / denominator`; `denominator` > 0.

    Examples
    --------
    >>> nearest_float(1, 3), nearest_float(10**400, 1)
    (0.3333333333333333, 1.7976931348623157e+308)
    """
    try:
        return numerator / denominator
    except OverflowError:
        return LARGEST if numerator > 0 else -LARGEST


def float_or_inf(value: Fraction) -> float:
    """Return the float64 nearest to `value`, infinite where its size exceeds float64.

    Examples
    --------
    >>> float_or_inf(Fraction(1, 3)), float_or_inf(Fraction(-(10**400)))
    (0.3333333333333333, -inf)
    """
    return _divide(value.numerator, value.denominator)


def to_fractions(array: ArrayLike) -> NDArray[np.object_]:
    """Return the array's exact values as `fractions.Fraction`.

    Examples
    --------
    >>> to_fractions([0.25]).tolist()
    [Fraction(1, 4)]
    """
    values = np.asarray(array)
    out = np.empty(values.size, dtype=object)
    out[:] = [Fraction(value) for value in values.ravel().tolist()]
    return out.reshape(values.shape)


def unit_rows(rows: IntegerArray, norm_columns: int) -> FloatArray:
    """Return float64 rows proportional to integer `rows`, with Euclidean norm 1 over the first `norm_columns` columns.

    Each entry is rounded; only exact integers decide a sign. Rows that vanish on those columns are divided by their
    largest entry instead.

    Examples
    --------
    >>> unit_rows(np.array([[3, 4, 10]], dtype=object), 2)
    array([[0.6, 0.8, 2. ]])
    """
    scaled, norms = [], []
    for row in rows.tolist():
        head = max(map(abs, row[:norm_columns]), default=0) or max(map(abs, row))
        # Dividing Python integers rounds correctly at any size, where converting them to float first would overflow.
        scaled.append([_divide(value, head) for value in row])
        norms.append(hypot(*scaled[-1][:norm_columns]) or 1.0)
    out = np.array(scaled, dtype=np.float64).reshape(rows.shape)
    out /= np.array(norms).reshape(-1, 1)
    return out


def _divide(numerator: Any, denominator: int) -> float:
    try:
        return float(numerator / denominator)
    except OverflowError:
        return float("inf") if (numerator > 0) == (denominator > 0) else float("-inf")

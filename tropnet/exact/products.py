"""Products of integer matrices of any size, by parts that float64 multiplies without rounding."""

from __future__ import annotations

import numpy as np

from tropnet.arrays.types import FloatArray, IntegerArray

__all__ = ["product"]

# Of two parts of so many bits, 2**13 products add up to less than 2**53.
_BITS, _TERMS = 20, 1 << 13
# As many bits at a time as int64 holds, in whole parts.
_PARTS_PER_WORD = 3
# Where the columns of the first matrix are fewer, splitting costs more than it saves.
_FEWEST_TERMS, _FEWEST_PRODUCTS = 24, 1 << 16


def product(left: IntegerArray, right: IntegerArray) -> IntegerArray:
    """Return the product of two matrices of Python integers, (m, n) and (n, k), exactly.

    Notes
    -----
    Large ones are cut into parts of 20 bits. Their products are those of float64, which are exact, so a product takes
    one of BLAS for each pair of parts instead of m n k of Python's.

    Examples
    --------
    >>> product(np.array([[2**70, 1]], dtype=object), np.array([[3], [-5]], dtype=object)).item() == 3 * 2**70 - 5
    True
    """
    (m, n), k = left.shape, right.shape[1]
    if n < _FEWEST_TERMS or m * n * k < _FEWEST_PRODUCTS:
        return np.asarray(left @ right)
    total = np.zeros((m, k), dtype=object)
    for start in range(0, n, _TERMS):
        lefts = _parts(left[:, start : start + _TERMS])
        rights = _parts(right[start : start + _TERMS])
        for place in range(len(lefts) + len(rights) - 1):
            # Fewer than 2**10 of these fit into int64.
            pairs = [(i, place - i) for i in range(len(lefts)) if 0 <= place - i < len(rights)]
            added = sum(((lefts[i] @ rights[j]).astype(np.int64) for i, j in pairs), start=np.int64(0))
            total += np.asarray(added).astype(object) << (_BITS * place)
    return total


def _parts(matrix: IntegerArray) -> list[FloatArray]:
    """Return matrices of less than 20 bits whose sum, each times 2**20 to the power of its place, is the matrix."""
    signs = np.where(np.asarray(matrix < 0, dtype=np.bool_), -1.0, 1.0)
    left, parts = np.abs(matrix), []
    word = (1 << _BITS * _PARTS_PER_WORD) - 1
    for _ in range(0, max(int(left.max(initial=0)).bit_length(), 1), _BITS * _PARTS_PER_WORD):
        low = (left & word).astype(np.int64)
        parts += [signs * ((low >> _BITS * i) & ((1 << _BITS) - 1)) for i in range(_PARTS_PER_WORD)]
        left = left >> (_BITS * _PARTS_PER_WORD)
    while len(parts) > 1 and not parts[-1].any():
        parts.pop()
    return parts

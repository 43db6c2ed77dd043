"""How many regions the first layers have: the distinct prefixes of the patterns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import PackedArray

__all__ = ["count_by_layer"]

# The place of the lowest bit that is set in a byte.
_LOWEST_BIT = np.array([(byte & -byte).bit_length() - 1 for byte in range(256)])


def count_by_layer(packed: PackedArray, widths: Sequence[int]) -> NDArray[np.int64]:
    """Return how many distinct prefixes distinct patterns have at the end of each layer, int64 of shape (L,).

    Of all regions of a network on a domain these are the regions of its first 1, ..., L layers there: what has interior
    holds a region, and what holds a region has interior. Costs a sort.

    Examples
    --------
    >>> count_by_layer(np.array([[0b101], [0b001], [0b011]], np.uint8), [1, 2])
    array([1, 3])
    """
    ends = np.cumsum(widths, dtype=np.int64)
    if not len(packed) or not packed.shape[1]:
        return np.full(len(ends), len(packed), dtype=np.int64)
    # With the first neuron in the highest bit, patterns that share a prefix are neighbours in the order of their bytes.
    reversed_bits = np.packbits(np.unpackbits(packed, axis=1, bitorder="little"), axis=1)
    ordered = packed[np.lexsort(reversed_bits.T[::-1])]
    differences = ordered[1:] ^ ordered[:-1]
    byte = np.argmax(differences != 0, axis=1)
    parting = 8 * byte + _LOWEST_BIT[differences[np.arange(len(differences)), byte]]
    # Two neighbours part at their first difference: from the layer of that neuron on, there is one prefix more.
    new = np.bincount(np.searchsorted(ends, parting, side="right"), minlength=len(ends))
    return 1 + np.cumsum(new)

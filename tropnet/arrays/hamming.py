"""Hamming distances between packed patterns, many at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import PackedArray
from tropnet.kernels import compiled

__all__ = ["nearest_patterns"]

Words = NDArray[np.uint64]


def nearest_patterns(
    queries: PackedArray, table: PackedArray, mask: PackedArray | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the Hamming distance from each pattern to the nearest one of a table, and which that is (the first).

    Parameters
    ----------
    queries, table
        uint8, shapes (n, b) and (m, b), m >= 1: patterns as `tropnet.arrays.patterns.pack` packs them.
    mask
        uint8, shape (b,): count only the bits that are set here.

    Returns
    -------
    int64 arrays of shape (n,).

    Raises
    ------
    ValueError
        The table is empty, or the numbers of bytes differ.

    Notes
    -----
    Costs n m ceil(b / 8) exclusive ors and population counts, below a nanosecond each where the machine has an
    instruction for that; no array of shape (n, m) is made.

    Examples
    --------
    >>> from tropnet.arrays.patterns import pack
    >>> distances, places = nearest_patterns(pack([[True, True, False]]), pack([[False] * 3, [True] * 3]))
    >>> distances.tolist(), places.tolist()
    ([1], [1])
    """
    if not len(table) or queries.shape[1] != table.shape[1]:
        raise ValueError(
            f"queries and table must have shapes (n, b) and (m, b) with m >= 1, got {queries.shape} and {table.shape}."
        )
    counted = np.full(table.shape[1], 255, dtype=np.uint8) if mask is None else mask
    distances, places = (np.zeros(len(queries), dtype=np.int64) for _ in range(2))
    _nearest(_words(queries & counted), _words(table & counted), distances, places)
    return distances, places


def _words(packed: PackedArray) -> Words:
    """Return packed patterns as whole words, at least one, padded with zeros."""
    size = max(8, -(-packed.shape[1] // 8) * 8)
    return np.pad(packed, ((0, 0), (0, size - packed.shape[1]))).view(np.uint64)


@compiled(entry=True)
def _nearest(queries: Any, table: Any, distances: Any, places: Any) -> None:
    """Write the least number of differing bits, and the first row of the table that has it.

    Bits are counted in parallel, in pairs, in fours, in bytes; compilers know this and take the machine's instruction.
    """
    pairs, fours = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333)
    bytes_, ones = np.uint64(0x0F0F0F0F0F0F0F0F), np.uint64(0x0101010101010101)
    for i in range(len(queries)):
        nearest, place = np.int64(64 * queries.shape[1] + 1), np.int64(0)
        for j in range(len(table)):
            n = np.int64(0)
            for k in range(queries.shape[1]):
                x = queries[i, k] ^ table[j, k]
                x -= (x >> np.uint64(1)) & pairs
                x = (x & fours) + ((x >> np.uint64(2)) & fours)
                x = (x + (x >> np.uint64(4))) & bytes_
                n += np.int64((x * ones) >> np.uint64(56))
            if n < nearest:
                nearest, place = n, np.int64(j)
        distances[i], places[i] = nearest, place

"""Distinct patterns in the order in which they first appeared, found again by a hash."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import PackedArray
from tropnet.polyhedral_complex.adjacency import positions

__all__ = ["PatternTable"]

# Odd numbers without a pattern of their own: 2^64 divided by the golden ratio, and the first multiplier of SplitMix64.
_GOLDEN, _SPREAD = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)


class PatternTable:
    """Packed patterns, numbered as they come: 16 bytes each, beside their bits.

    Attributes
    ----------
    packed
        uint8, shape (M, ceil(n_neurons / 8)), by number.
    """

    def __init__(self, packed: PackedArray) -> None:
        self.packed = packed
        hashes = _hashes(packed)
        self._order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]

    def __len__(self) -> int:
        return len(self.packed)

    def find(self, packed: PackedArray) -> NDArray[np.int64]:
        """Return the number of each pattern (n, bytes), int64 of shape (n,), -1 of those that are not there."""
        if not len(self.packed):
            return np.full(len(packed), -1, dtype=np.int64)
        hashes = _hashes(packed)
        place = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        same = self._hashes[place] == hashes
        numbers = np.where(same, self._order[place], -1)
        # Another pattern may have the hash: bits decide, and of those that differ, all others are compared.
        other = np.flatnonzero(same)
        other = other[(self.packed[numbers[other]] != packed[other]).any(axis=1)]
        if len(other):
            numbers[other] = positions(self.packed, packed[other])
        return numbers

    def add(self, packed: PackedArray) -> NDArray[np.int64]:
        """Return the number of each of some distinct patterns; those that are not there get the next ones."""
        numbers = self.find(packed)
        new = np.flatnonzero(numbers < 0)
        numbers[new] = len(self.packed) + np.arange(len(new))
        if len(new):
            hashes = _hashes(packed[new])
            order = np.argsort(hashes, kind="stable")
            place = np.searchsorted(self._hashes, hashes[order])
            self._hashes = np.insert(self._hashes, place, hashes[order])
            self._order = np.insert(self._order, place, numbers[new][order])
            self.packed = np.concatenate([self.packed, packed[new]])
        return numbers


def _hashes(packed: PackedArray) -> NDArray[np.uint64]:
    """Return a number for each pattern that hardly any other has."""
    found = np.zeros(len(packed), dtype=np.uint64)
    size = -(-packed.shape[1] // 8) * 8
    for word in np.pad(packed, ((0, 0), (0, size - packed.shape[1]))).view(np.uint64).T:
        found = (found ^ word) * _GOLDEN
        found = (found ^ (found >> np.uint64(31))) * _SPREAD
    return found

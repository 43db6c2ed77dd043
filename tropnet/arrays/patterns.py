"""Activation patterns as packed bits: bit j of a pattern is neuron j, layers concatenated, True for active (z > 0)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["BoolArray", "PackedArray", "as_bools", "format_pattern", "pack", "shifted", "split", "unpack"]

BoolArray = NDArray[np.bool_]
PackedArray = NDArray[np.uint8]


def pack(patterns: ArrayLike) -> PackedArray:
    """Pack bool patterns (n, n_neurons) into bytes, shape (n, ceil(n_neurons / 8)), first neuron in the lowest bit.

    Examples
    --------
    >>> pack([[True, False, True]])
    array([[5]], dtype=uint8)
    """
    return np.packbits(np.asarray(patterns, dtype=np.bool_), axis=1, bitorder="little")


def unpack(packed: PackedArray, n_neurons: int) -> BoolArray:
    """Undo `pack`.

    Examples
    --------
    >>> unpack(pack([[True, False, True]]), 3)
    array([[ True, False,  True]])
    """
    return np.unpackbits(packed, axis=1, count=n_neurons, bitorder="little").astype(np.bool_)


def shifted(packed: PackedArray, n_neurons: int, shift: int) -> PackedArray:
    """Return packed patterns of `n_neurons` behind `shift` more neurons whose bits are False, or without -`shift`.

    Examples
    --------
    >>> shifted(pack([[True, False, True]]), 3, 2), shifted(pack([[True, False, True]]), 3, -1)
    (array([[20]], dtype=uint8), array([[2]], dtype=uint8))
    """
    if not shift:
        return packed
    bits = unpack(packed, n_neurons)
    return pack(bits[:, -shift:]) if shift < 0 else pack(np.pad(bits, ((0, 0), (shift, 0))))


def split(pattern: BoolArray, widths: Sequence[int]) -> tuple[BoolArray, ...]:
    """Split the last axis of flat patterns by layer.

    Examples
    --------
    >>> [part.tolist() for part in split(np.array([True, False, True]), [2, 1])]
    [[True, False], [True]]
    """
    return tuple(np.split(pattern, np.cumsum(widths)[:-1], axis=-1))


def format_pattern(pattern: BoolArray, widths: Sequence[int]) -> str:
    """Write a pattern as 0 and 1, layers separated by a bar.

    Examples
    --------
    >>> format_pattern(np.array([True, False, True]), [2, 1])
    '10|1'
    """
    return "|".join("".join("01"[int(bit)] for bit in part) for part in split(pattern, widths))


def as_bools(pattern: NDArray[Any]) -> BoolArray:
    """Return a pattern of bools or of 0 and 1 as one of bools.

    Raises
    ------
    ValueError
        An entry is neither (the papers' -1 and +1 change their meaning between pages).
    """
    if pattern.dtype.kind not in "biuf" or not ((pattern == 0) | (pattern == 1)).all():
        raise ValueError(
            "pattern must hold bools (or 0 and 1), True meaning active, z > 0;"
            f" got {set(pattern.ravel().tolist())}. For the -1 and +1 of the papers, pass `pattern > 0` or `< 0`."
        )
    return pattern.astype(np.bool_)

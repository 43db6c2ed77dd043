"""How many regions the first layers have: the distinct prefixes of the patterns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import PackedArray

__all__ = ["count_by_layer"]

# Bytes of prefixes that are held at a time; to sort them takes about four times as many.
_ROOM = 12 << 20
_ROWS = 1 << 16
_BYTES = np.arange(256, dtype=np.uint8)
# Each byte with its bits in the opposite order, and the place, counted from the highest, of its highest bit.
_REVERSED = np.packbits(np.unpackbits(_BYTES[:, None], axis=1, bitorder="little"), axis=1).tobytes()
_HIGHEST_BIT = np.array([8 - int(byte).bit_length() for byte in _BYTES])


def count_by_layer(
    read: Callable[[], Iterable[PackedArray]], n_patterns: int, widths: Sequence[int], room: int = _ROOM
) -> NDArray[np.int64]:
    """Return how many distinct prefixes distinct patterns have at the end of each layer, int64 of shape (L,).

    Of all regions of a network on a domain these are the regions of its first 1, ..., L layers there: what has interior
    holds a region, and what holds a region has interior.

    The prefixes before the last layer are sorted, those of the first neurons first, so that neighbours part in the
    layers in which one prefix more begins. As many of the smallest as there is room for are held at a time, and the
    patterns are read again for the next ones.

    Parameters
    ----------
    read
        Yields all patterns, packed, some rows at a time, whenever it is called.
    n_patterns
        How many there are.
    widths
        Of the hidden layers.
    room
        How many bytes of prefixes to hold.

    Examples
    --------
    >>> count_by_layer(lambda: [np.array([[0b101], [0b001], [0b011]], np.uint8)], 3, [1, 2])
    array([1, 3])
    """
    counts = np.full(len(widths), n_patterns, dtype=np.int64)
    ends = np.cumsum(widths, dtype=np.int64)[:-1]
    if not len(ends) or not n_patterns:
        return counts
    size = -(-int(ends[-1]) // 8)
    last = np.uint8(0xFF >> (8 * size - int(ends[-1])))
    counts[:-1] = 1
    below = np.empty((0, size), dtype=np.uint8)
    more = True
    while more:
        found, more = _smallest(read(), size, last, below, max(room // size, 2))
        for start in range(0, len(found), _ROWS):
            # Two neighbours part at their first difference: from the layer of that neuron on, there is one prefix more.
            rows = np.concatenate([below, found[start : start + _ROWS]])
            differences = rows[1:] ^ rows[:-1]
            byte = np.argmax(differences != 0, axis=1)
            parting = 8 * byte + _HIGHEST_BIT[differences[np.arange(len(differences)), byte]]
            counts[:-1] += np.cumsum(np.bincount(np.searchsorted(ends, parting, side="right"), minlength=len(ends)))
            below = rows[-1:]
        del found
    return counts


def _smallest(
    pieces: Iterable[PackedArray], size: int, last: np.uint8, below: PackedArray, room: int
) -> tuple[PackedArray, bool]:
    """Return the smallest distinct prefixes above `below`, in order, at most `room`, and whether there are more.

    Prefixes of `size` bytes, of the last of which only the bits in `last` count; the first neuron in the highest bit,
    so that their order as text is that of their neurons.
    """
    kind = f"S{size}"
    held, n_held = np.empty(2 * room + 1, dtype=kind), 0
    low = below.view(kind).ravel()
    high: NDArray[np.bytes_] | None = None
    for piece in pieces:
        prefixes = piece[:, :size].copy()
        prefixes[:, -1] &= last
        # Searches go by prefix, so most are that of the row before.
        prefixes = prefixes[_new(prefixes.view(kind).ravel())]
        texts = np.frombuffer(prefixes.tobytes().translate(_REVERSED), dtype=kind)
        if len(low):
            texts = texts[texts > low]
        while len(texts):
            if high is not None:
                texts = texts[texts < high]
            few = texts[: len(held) - n_held]
            held[n_held : n_held + len(few)] = few
            n_held, texts = n_held + len(few), texts[len(few) :]
            if n_held == len(held):
                n_held = _sorted(held)
                if n_held > room:
                    n_held, high = room, held[room - 1 : room].copy()
    n_held = _sorted(held[:n_held])
    more = high is not None or n_held > room
    return held[: min(n_held, room)].view(np.uint8).reshape(-1, size), more


def _sorted(texts: NDArray[np.bytes_]) -> int:
    """Sort texts in place, each once, which are so many; sorted runs are merged."""
    texts.sort(kind="stable")
    new, n = _new(texts), 0
    for start in range(0, len(texts), _ROWS):
        distinct = texts[start : start + _ROWS][new[start : start + _ROWS]]
        texts[n : n + len(distinct)] = distinct
        n += len(distinct)
    return n


def _new(texts: NDArray[np.bytes_]) -> NDArray[np.bool_]:
    """Return which texts are not that before them."""
    new = np.ones(len(texts), dtype=np.bool_)
    np.not_equal(texts[1:], texts[:-1], out=new[1:])
    return new

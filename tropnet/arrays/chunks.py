"""Long work in chunks that fit into memory."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["chunks"]

# 64 MB of float64.
_FLOATS = 1 << 23


def chunks(n: int, floats_each: int) -> Iterator[slice]:
    """Yield slices of n items, in order, with so many that their float64 numbers take about 64 MB; at least one each.

    Examples
    --------
    >>> [(part.start, part.stop) for part in chunks(5, 4_000_000)]
    [(0, 2), (2, 4), (4, 6)]
    """
    size = max(1, _FLOATS // max(floats_each, 1))
    return (slice(i, i + size) for i in range(0, n, size))

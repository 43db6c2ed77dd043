"""Distinct prefixes of patterns, counted with little memory."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tropnet.arrays.patterns import pack
from tropnet.regions.prefixes import count_by_layer


@given(
    widths=st.lists(st.integers(1, 9), max_size=4),
    seed=st.integers(0, 2**32),
    n=st.integers(0, 40),
    room=st.sampled_from([1, 7, 30, 1 << 24]),
    rows=st.integers(1, 9),
    density=st.sampled_from([0.1, 0.5]),
)
def test_prefixes_are_counted(widths: list[int], seed: int, n: int, room: int, rows: int, density: float) -> None:
    """Distinct ones, at the end of every layer, in whatever order, however few are held at a time."""
    rng = np.random.default_rng(seed)
    distinct = rng.permutation(np.unique(rng.random((n, sum(widths))) < density, axis=0))
    packed = pack(distinct)
    expected = [len({tuple(row[:end]) for row in distinct.tolist()}) for end in np.cumsum(widths, dtype=np.int64)]
    pieces = [packed[i : i + rows] for i in range(0, len(packed), rows)]
    assert count_by_layer(lambda: pieces, len(packed), widths, room).tolist() == expected

"""The rows of many regions, composed together, with bounds on their errors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import PackedArray
from tropnet.arrays.rounding import EPSILON
from tropnet.arrays.types import FloatArray
from tropnet.network.domain import Domain
from tropnet.network.network import Network
from tropnet.network.selected_rows import compose_selected
from tropnet.network.twofold import Twofold
from tropnet.regions.row_index import RowIndex

__all__ = ["RegionRows", "compose_rows", "compose_unit_rows"]


class RegionRows(NamedTuple):
    """Rows (A | b) of many regions, wrong by no more than their `error`; see `Halfspaces` for `owners`, `offsets`."""

    rows: Twofold
    owners: NDArray[np.int64]
    offsets: NDArray[np.int64]


def compose_rows(
    net: Network, domain: Domain, packed: PackedArray, packed_cuts: PackedArray, *, twofold: bool = False
) -> RegionRows:
    """Return the rows of regions given by their patterns and which neurons contribute a row.

    With `twofold` they have about 30 digits; else their low parts are empty.
    """
    A, b = domain.halfspaces
    rows, owners, offsets = compose_selected(
        net.layers, packed, packed_cuts, domain.dimension, gap=len(b), twofold=twofold
    )
    at, index = offsets[:-1, None] + np.arange(len(b)), RowIndex.of(net, domain)
    rows.high[at] = np.column_stack([A, b])
    rows.error[at] = 0.0
    if twofold:
        rows.low[at] = 0.0
    owners[at] = index.named(index.sides)
    return RegionRows(rows, owners, offsets)


class UnitRows(NamedTuple):
    """Normals of many regions: unit rows (n, d), how wrong those of a region may be (R,), and offsets (R + 1,)."""

    units: FloatArray
    errors: FloatArray
    offsets: NDArray[np.int64]


def compose_unit_rows(net: Network, domain: Domain, packed: PackedArray, packed_cuts: PackedArray) -> UnitRows:
    """Return the unit normals of regions, with a rigorous bound on their error in l2 (infinite where there is none)."""
    d = domain.dimension
    rows, _, offsets = compose_rows(net, domain, packed, packed_cuts)
    A = rows.high[:, :d]
    with np.errstate(all="ignore"):
        largest = np.abs(A).max(axis=1)
        scaled = A / largest[:, None]
        norms = np.sqrt((scaled * scaled).sum(axis=1))
        units = scaled / norms[:, None]
        # |a / |a| - a' / |a'|| <= 2 |a - a'| / |a|, and what normalising rounds.
        errors = 2 * (rows.error[:, 0] / largest) / norms * (1 + 1e-9)
        errors += 4 * (d + 4) * EPSILON
    unknown = ~(np.isfinite(units).all(axis=1) & (errors < 1))
    units[unknown], errors[unknown] = 0.0, np.inf
    worst = np.zeros(len(packed))
    filled = np.diff(offsets) > 0
    if filled.any():
        worst[filled] = np.maximum.reduceat(errors, offsets[:-1][filled])
    return UnitRows(units, worst, offsets)

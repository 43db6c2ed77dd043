"""The rows of many regions, composed together, with bounds on their errors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import PackedArray
from tropnet.arrays.rounding import EPSILON
from tropnet.arrays.types import FloatArray
from tropnet.network.domain import Domain
from tropnet.network.layers import Layer
from tropnet.network.network import Network
from tropnet.network.recurrence import compose_bounded
from tropnet.network.selected_rows import compose_selected
from tropnet.network.twofold import Twofold
from tropnet.regions.row_index import RowIndex

__all__ = ["RegionRows", "compose_rows", "compose_unit_rows", "row_errors"]


def row_errors(net: Network) -> FloatArray:
    """Return how wrong the rows of `compose_many` are at most, in any region: of a in l2, of c, (n, 2), outputs last.

    The bounds on the errors where all weights are positive and all neurons active hold for every pattern.
    """
    layers = [
        Layer(
            {source: abs(weight) for source, weight in layer.weights.items()},
            np.abs(layer.bias),
            np.repeat(np.abs(np.asarray(layer.slopes)).max(axis=1, keepdims=True), 2, axis=1),
        )
        for layer in net.layers
    ]
    _, errors = compose_bounded(layers, np.ones((1, net.n_neurons), dtype=np.bool_), net.n_inputs)
    rows = np.concatenate([np.empty((0, net.n_inputs + 1)), *(part[0] for part in errors)])
    with np.errstate(over="ignore"):
        # Sizes were rounded themselves.
        return np.column_stack([np.sqrt((rows[:, :-1] ** 2).sum(axis=1)), rows[:, -1]]) * (1 + 1e-9)


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

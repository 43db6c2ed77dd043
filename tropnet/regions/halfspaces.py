"""The rows of many regions, composed in float64 together."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.chunks import chunks
from tropnet.arrays.patterns import BoolArray, PackedArray, unpack
from tropnet.arrays.rounding import EPSILON
from tropnet.arrays.types import FloatArray
from tropnet.network.domain import Domain
from tropnet.network.layers import Layer
from tropnet.network.network import Network
from tropnet.network.recurrence import compose_bounded, compose_many
from tropnet.network.twofold import Twofold, compose_twofold
from tropnet.regions.arrays import Halfspaces
from tropnet.regions.row_index import RowIndex

__all__ = ["TwofoldRows", "compose_halfspaces", "compose_twofold_rows", "compose_unit_rows", "row_errors"]


def compose_halfspaces(net: Network, domain: Domain, patterns: BoolArray, packed_cuts: PackedArray) -> Halfspaces:
    """Return the rows of regions given by their patterns and which neurons contribute a row."""
    d = domain.dimension

    def compose(part: BoolArray, _: BoolArray) -> FloatArray:
        maps = compose_many(net.layers, part, d)[:-1]
        return np.concatenate([np.empty((len(part), 0, d + 1)), *maps], axis=1)

    rows, owners, offsets = _gather(net, domain, patterns, packed_cuts, d + 1, compose)
    A = rows[:, :-1]
    return Halfspaces(A, rows[:, -1], owners, offsets)


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


class TwofoldRows(NamedTuple):
    """Rows (a | b) of many regions, (n, d + 1), as unevaluated sums with bounds on their errors; see `Halfspaces`."""

    rows: Twofold
    owners: NDArray[np.int64]
    offsets: NDArray[np.int64]


def compose_twofold_rows(net: Network, domain: Domain, patterns: BoolArray, packed_cuts: PackedArray) -> TwofoldRows:
    """Return the rows of `compose_halfspaces` with about 30 digits, and bounds on what is missing."""
    width = domain.dimension + 1

    def compose(part: BoolArray, cuts: BoolArray) -> FloatArray:
        maps = compose_twofold(net.layers, part, cuts, domain.dimension)
        signs = np.where(part, -1.0, 1.0)[:, :, None]
        highs, lows, errors = (
            np.concatenate([np.empty((len(part), 0, width)), *parts], axis=1)
            for parts in (zip(*maps, strict=True) if maps else [()] * 3)
        )
        lows *= signs
        lows[:, :, -1] *= -1
        return np.concatenate([highs, lows, errors], axis=2)

    rows, owners, offsets = _gather(net, domain, patterns, packed_cuts, 3 * width, compose)
    parts = (np.ascontiguousarray(rows[:, i * width : (i + 1) * width]) for i in range(3))
    return TwofoldRows(Twofold(*parts), owners, offsets)


class UnitRows(NamedTuple):
    """Normals of many regions: unit rows (n, d), how wrong those of a region may be (R,), and offsets (R + 1,)."""

    units: FloatArray
    errors: FloatArray
    offsets: NDArray[np.int64]


def compose_unit_rows(net: Network, domain: Domain, patterns: BoolArray, packed_cuts: PackedArray) -> UnitRows:
    """Return the unit normals of regions, with a rigorous bound on their error in l2 (infinite where there is none)."""
    d = domain.dimension

    def compose(part: BoolArray, _: BoolArray) -> FloatArray:
        maps, errors = compose_bounded(net.layers, part, d)
        both = [np.concatenate(pair, axis=2) for pair in zip(maps[:-1], errors[:-1], strict=True)]
        return np.concatenate([np.empty((len(part), 0, 2 * d + 2)), *both], axis=1)

    rows, _, offsets = _gather(net, domain, patterns, packed_cuts, 2 * d + 2, compose)
    with np.errstate(all="ignore"):
        largest = np.abs(rows[:, :d]).max(axis=1)
        scaled = rows[:, :d] / largest[:, None]
        norms = np.sqrt((scaled * scaled).sum(axis=1))
        units = scaled / norms[:, None]
        # |a / |a| - a' / |a'|| <= 2 |a - a'| / |a|, and what normalising rounds.
        errors = 2 * np.sqrt(((rows[:, d + 1 : -1] / largest[:, None]) ** 2).sum(axis=1)) / norms * (1 + 1e-9)
        errors += 4 * (d + 4) * EPSILON
    unknown = ~(np.isfinite(units).all(axis=1) & (errors < 1))
    units[unknown], errors[unknown] = 0.0, np.inf
    worst = np.zeros(len(patterns))
    filled = np.diff(offsets) > 0
    if filled.any():
        worst[filled] = np.maximum.reduceat(errors, offsets[:-1][filled])
    return UnitRows(units, worst, offsets)


def _gather(
    net: Network,
    domain: Domain,
    patterns: BoolArray,
    packed_cuts: PackedArray,
    width: int,
    compose: Callable[[BoolArray, BoolArray], FloatArray],
) -> tuple[FloatArray, NDArray[np.int64], NDArray[np.int64]]:
    """Return rows (n, width), what each is, and offsets; what stands beside a row (A | b) of the domain is 0."""
    cuts = unpack(packed_cuts, net.n_neurons)
    A, b = domain.halfspaces
    d, m = domain.dimension, len(b)
    offsets = np.concatenate([[0], np.cumsum(m + cuts.sum(axis=1))])
    rows = np.zeros((offsets[-1], width))
    index, owners = RowIndex.of(net, domain), np.empty(offsets[-1], dtype=np.int64)
    at = offsets[:-1, None] + np.arange(m)
    rows[at, : d + 1] = np.column_stack([A, b])
    owners[at] = index.named(index.sides)
    neurons = np.ones(offsets[-1], dtype=np.bool_)
    neurons[at.ravel()] = False
    owners[neurons] = np.nonzero(cuts)[1]
    parts = [np.empty((0, width))]
    for chunk in chunks(len(patterns), width * net.n_neurons):
        bits = patterns[chunk]
        part = compose(bits, cuts[chunk])
        part[:, :, : d + 1] *= np.where(bits, -1.0, 1.0)[:, :, None]
        parts.append(part[cuts[chunk]])
    rows[neurons] = np.concatenate(parts)
    rows[neurons, d] *= -1
    return rows, owners, offsets

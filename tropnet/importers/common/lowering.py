"""A network from affine segments and activations: the intermediate form of all importers.

An importer turns a graph into `Expression`s, each affine in the outputs of earlier activations, and asks a `Lowering`
for each activation. What saturates or compares becomes ReLUs; activations of one depth become one layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from tropnet.arrays.types import FloatArray
from tropnet.importers.common.expression import Expression, Indices, stacked
from tropnet.network.affine import AffineMap, Matrix
from tropnet.network.layers import AFFINE, RELU, Layer
from tropnet.network.network import Network
from tropnet.operators.operator import Shape

__all__ = ["Lowering", "RefusedError", "adaptive_windows", "over_axes", "sliding_windows", "windows_of"]

# Smaller matrices stay dense whatever they hold: they take no more than half a megabyte.
_SMALL = 2**16


class RefusedError(Exception):
    """A step is not piecewise linear, or is not understood; the message says why, after the name of the step."""


@dataclass(frozen=True, eq=False)
class _Unit:
    """What one activation is applied to; `depth` is the number of activations on the longest way to it, itself too."""

    value: Expression
    slopes: FloatArray
    depth: int


class Lowering:
    """The activations so far of a model that takes one tensor.

    Max-pool and maxout become ``max(a, b) = a + relu(b - a)`` in a tournament. The entries of ``b - a`` are differences
    of stored numbers, so to be exactly those of the compared values the values must be outputs of neurons: where they
    are not (each a multiple of one such output), a layer of affine neurons holds them first.
    """

    def __init__(self, input_shape: Sequence[int]) -> None:
        self.input = Expression(tuple(input_shape), {0: None})
        self.units: list[_Unit] = []

    # --- activations

    def activation(self, value: Expression, negative: Any = RELU[0], positive: Any = RELU[1]) -> Expression:
        """Return act(value) with two slopes, numbers or arrays that broadcast to the shape of value."""
        slopes = np.stack(
            [
                np.broadcast_to(np.asarray(slope, dtype=np.float64), value.shape).ravel()
                for slope in (negative, positive)
            ],
            axis=1,
        )
        if (slopes == 1).all():
            return value
        depth = 1 + max((self.units[k - 1].depth for k in value.terms if k), default=0)
        self.units.append(_Unit(value, slopes, depth))
        return Expression(value.shape, {len(self.units): None})

    def clipped(self, value: Expression, low: Any = None, high: Any = None) -> Expression:
        """Return min(max(value, low), high), by two ReLUs if there are two bounds."""
        if low is None and high is None:
            return value
        if low is None:
            return self.activation(value.scaled(-1.0).shifted(high)).scaled(-1.0).shifted(high)
        if high is None:
            return self.activation(value.shifted(np.negative(low))).shifted(low)
        if (np.asarray(low) > high).any():  # the upper bound is the last to be applied
            low = np.minimum(low, high)
        lower = self.activation(value.shifted(np.negative(low)))
        return lower.plus(self.activation(value.shifted(np.negative(high))), -1.0).shifted(low)

    def maximum(self, left: Expression, right: Expression) -> Expression:
        """Return max(left, right), entry by entry, for equal shapes."""
        if not right.terms:
            return self.clipped(left, low=right.constants.reshape(left.shape))
        if not left.terms:
            return self.clipped(right, low=left.constants.reshape(left.shape))
        numbers = np.arange(2 * left.size).reshape(2, -1).T
        return self.maximum_over(stacked([left, right]), numbers, left.shape)

    def minimum(self, left: Expression, right: Expression) -> Expression:
        """Return min(left, right), entry by entry, for equal shapes."""
        return self.maximum(left.scaled(-1.0), right.scaled(-1.0)).scaled(-1.0)

    def maximum_over(self, value: Expression, windows: Indices, shape: Sequence[int]) -> Expression:
        """Return the maximum over each row of `windows`, flat places in `value`; -1 is none.

        Notes
        -----
        A window of k entries takes k - 1 comparisons in ceil(log2 k) layers; windows share equal comparisons.
        """
        table = np.where(windows >= 0, windows, -1)
        used = np.unique(table[table >= 0])
        entries = value.reshaped((value.size,)).gathered(used)
        table = np.where(table >= 0, np.searchsorted(used, table), -1)
        if table.shape[1] > 1 and not entries.holds_copies():
            entries = self._held(entries)
        while table.shape[1] > 1:
            entries, table = self._round(entries, table)
        return entries.gathered(table[:, 0]).reshaped(shape)

    def ordered(self, value: Expression, axis: int, n_kept: int, *, largest: bool = True) -> Expression:
        """Return the largest entries along an axis in descending order, or the smallest in ascending order."""
        sign, length = 1.0 if largest else -1.0, value.shape[axis]
        if not 0 <= n_kept <= length:
            raise RefusedError(f"keeps {n_kept} of {length} entries")
        places = np.moveaxis(np.arange(value.size).reshape(value.shape), axis, -1)
        rows = value.scaled(sign).gathered(places.reshape(value.size // length, length))
        if n_kept == 1:
            best = self.maximum_over(rows, np.arange(rows.size).reshape(rows.shape), (rows.shape[0], 1))
        else:
            best = self._sorted_rows(rows)
        kept = np.arange(best.size).reshape(best.shape)[:, :n_kept].reshape(*places.shape[:-1], n_kept)
        return best.gathered(np.moveaxis(kept, -1, axis)).scaled(sign)

    def _sorted_rows(self, value: Expression) -> Expression:
        """Return a matrix with each row in descending order.

        Notes
        -----
        Batcher's network of comparisons: a row of n takes O(n log(n)^2) ReLUs in O(log(n)^2) layers.
        """
        entries = value if value.holds_copies() else self._held(value)
        table = np.arange(value.size).reshape(value.shape)
        for pairs in _rounds(value.shape[1]):
            left, right = (entries.gathered(table[:, list(side)]) for side in zip(*pairs, strict=True))
            gain = self.activation(right.plus(left, -1.0))
            rest = [j for j in range(value.shape[1]) if j not in {i for pair in pairs for i in pair}]
            columns = [*(i for i, _ in pairs), *(j for _, j in pairs), *rest]
            parts = [left.plus(gain), right.plus(gain, -1.0)]
            if rest:
                parts.append(entries.gathered(table[:, rest]))
            ends = np.cumsum([part.size for part in parts])
            places = [
                np.arange(end - part.size, end).reshape(part.shape) for end, part in zip(ends, parts, strict=True)
            ]
            entries = stacked(parts).gathered(np.concatenate(places, axis=1)[:, np.argsort(columns)])
        return entries

    def _held(self, value: Expression) -> Expression:
        """Return the outputs of affine neurons that hold `value`."""
        depth = 1 + max((self.units[k - 1].depth for k in value.terms if k), default=0)
        self.units.append(_Unit(value, np.ones((value.size, 2)), depth))
        return Expression(value.shape, {len(self.units): None})

    def _round(self, entries: Expression, table: Indices) -> tuple[Expression, Indices]:
        """Return the winners of neighbours in each window, and the windows of winners."""
        # Those that are there come first; each once.
        table = np.take_along_axis(table, np.argsort(table < 0, axis=1, kind="stable"), axis=1)
        if table.shape[1] % 2:
            table = np.pad(table, ((0, 0), (0, 1)), constant_values=-1)
        left, right = table[:, ::2].ravel(), table[:, 1::2].ravel()
        alone = (right < 0) | (left == right)
        right = np.where(alone, left, right)
        pairs, winners = np.unique(np.stack([left, right], axis=1), axis=0, return_inverse=True)
        there, met = pairs[:, 0] >= 0, pairs[:, 0] != pairs[:, 1]
        numbers = np.where(there, np.cumsum(there) - 1, -1)
        first, second = entries.gathered(pairs[there, 0]), entries.gathered(pairs[there, 1])
        met = met[there]
        if met.any():
            places = np.flatnonzero(met)
            gain = self.activation(second.gathered(places).plus(first.gathered(places), -1.0))
            first = first.plus(gain.gathered(np.where(met, np.cumsum(met) - 1, -1)))
        return first, numbers[winners.ravel()].reshape(len(table), -1)

    # --- the network

    def network(self, output: Expression) -> Network:
        """Return the network of the activations that `output` depends on; they keep their order within a depth."""
        needed = self._needed(output)
        depths = {k: self.units[k - 1].depth for k in needed}
        layers_of = [
            [k for k in needed if depths[k] == depth] for depth in range(1, max(depths.values(), default=0) + 1)
        ]
        at: dict[int, tuple[int, int]] = {0: (0, 0)}
        widths = [self.input.size]
        for layer, members in enumerate(layers_of, start=1):
            sizes = [self.units[k - 1].value.size for k in members]
            starts = np.cumsum([0, *sizes]).tolist()
            at |= {k: (layer, start) for k, start in zip(members, starts, strict=False)}
            widths.append(starts[-1])
        layers = []
        for members in layers_of:
            units = [self.units[k - 1] for k in members]
            slopes = np.concatenate([unit.slopes for unit in units])
            layers.append(_layer([unit.value for unit in units], slopes, at, widths))
        return Network([*layers, _layer([output], AFFINE, at, widths)], self.input.size)

    def _needed(self, output: Expression) -> list[int]:
        needed: set[int] = set()
        pending = [k for k in output.terms if k]
        while pending:
            k = pending.pop()
            if k not in needed:
                needed.add(k)
                pending += [source for source in self.units[k - 1].value.terms if source]
        return sorted(needed)


def _layer(values: Sequence[Expression], slopes: Any, at: dict[int, tuple[int, int]], widths: Sequence[int]) -> Layer:
    """Return the layer whose pre-activations are `values`, one below the other."""
    blocks: dict[int, list[tuple[int, int, Matrix | None]]] = {}
    start = 0
    for value in values:
        for k, matrix in value.terms.items():
            layer, column = at[k]
            blocks.setdefault(layer, []).append((start, column, matrix))
        start += value.size
    sizes = [value.size for value in values]
    whole: dict[int, Matrix] = {}  # one matrix for all sources that share it
    weights = {}
    for layer, parts in sorted(blocks.items()):
        if len(values) == len(parts) == 1 and parts[0][2] is not None and parts[0][2].shape[1] == widths[layer]:
            matrix = parts[0][2]
            weights[layer] = whole.setdefault(id(matrix), _stored(matrix))
        else:
            weights[layer] = _stored(_assembled(parts, (start, widths[layer]), sizes))
    if not weights:
        weights[0] = _stored(sparse.csr_array((start, widths[0])))
    return Layer(weights, np.concatenate([value.constants for value in values]), slopes)


def _assembled(parts: Any, shape: tuple[int, int], sizes: Sequence[int]) -> Matrix:
    starts = dict(zip(np.cumsum([0, *sizes]).tolist(), sizes, strict=False))
    rows, columns, entries = [], [], []
    for row, column, matrix in parts:
        block = sparse.coo_array(sparse.eye_array(starts[row]) if matrix is None else matrix)
        rows.append(block.coords[0].astype(np.int64) + row)
        columns.append(block.coords[1].astype(np.int64) + column)
        entries.append(block.data)
    places = (np.concatenate(rows), np.concatenate(columns))
    return sparse.csr_array((np.concatenate(entries), places), shape=shape)


def _stored(matrix: Matrix) -> Matrix:
    """Return a matrix in the form in which a layer keeps it."""
    affine = AffineMap(matrix, np.zeros(matrix.shape[0]))
    return (affine.to_dense() if math.prod(matrix.shape) <= _SMALL else affine.compacted()).weight


def _rounds(n: int) -> list[list[tuple[int, int]]]:
    """Return the rounds of Batcher's odd-even merge sort: pairs of places, the larger entry goes to the first."""
    rounds = []
    for p in (2**i for i in range((n - 1).bit_length())):
        for k in (p // 2**i for i in range(p.bit_length())):
            rounds.append([
                (i + j, i + j + k)
                for j in range(k % p, n - k, 2 * k)
                for i in range(min(k, n - j - k))
                if (i + j) // (2 * p) == (i + j + k) // (2 * p)
            ])  # fmt: skip
    return [pairs for pairs in rounds if pairs]


# --- windows


def sliding_windows(
    length: int, size: int, step: int, pads: tuple[int, int], gap: int, *, ceil_mode: bool = False
) -> Indices:
    """Return the places that each window reads along an axis, shape (n_out, size); -1 lies in the padding.

    With `ceil_mode` a last window that is cut off counts if it starts within the input or the padding before it.
    """
    span = gap * (size - 1) + 1
    free = length + sum(pads) - span
    n_out = (-(-free // step) if ceil_mode else free // step) + 1
    if ceil_mode and (n_out - 1) * step >= length + pads[0]:
        n_out -= 1
    places = np.arange(max(n_out, 0))[:, None] * step - pads[0] + np.arange(size) * gap
    return np.where((places >= 0) & (places < length), places, -1)


def over_axes(shape: Shape, axes: Sequence[int], *, keeps: bool) -> tuple[Indices, Shape]:
    """Return the flat places that each output of a reduction over axes reads, and the shape of the outputs.

    With `keeps` the axes stay, with length 1.
    """
    rest = [axis for axis in range(len(shape)) if axis not in axes]
    places = np.arange(math.prod(shape)).reshape(shape).transpose([*rest, *axes])
    kept = tuple(shape[axis] for axis in rest)
    whole = tuple(1 if axis in axes else length for axis, length in enumerate(shape))
    return places.reshape(math.prod(kept), -1), whole if keeps else kept


def adaptive_windows(length: int, size: int) -> Indices:
    """Return the places that adaptive pooling to `size` reads along an axis, shape (size, longest); -1 is none."""
    outputs = np.arange(size)
    starts, ends = outputs * length // size, -(-(outputs + 1) * length // size)
    places = starts[:, None] + np.arange((ends - starts).max())
    return np.where(places < ends[:, None], places, -1)


def windows_of(shape: Shape, tables: Sequence[Indices]) -> tuple[Indices, Shape]:
    """Return flat places (n_windows, n_places) from those along the last axes, and the shape of the outputs.

    Every leading axis keeps its length: each of its entries is pooled by itself.
    """
    n_lead = len(shape) - len(tables)
    lead = math.prod(shape[:n_lead])
    outputs = np.zeros((1, 1), dtype=np.int64)
    for length, table in zip(shape[n_lead:], tables, strict=True):
        # Windows of this axis within those of the axes before it: (outputs, new outputs, places, new places).
        before, within = outputs[:, None, :, None], table[None, :, None, :]
        both = np.where((before >= 0) & (within >= 0), before * length + within, -1)
        outputs = both.reshape(len(outputs) * len(table), -1)
    size = math.prod(shape[n_lead:])
    whole = np.where(outputs >= 0, outputs + np.arange(lead)[:, None, None] * size, -1)
    return whole.reshape(lead * len(outputs), -1), (*shape[:n_lead], *(len(table) for table in tables))

"""Networks without skips: what a skip hands on is carried through the layers in between by neurons of their own.

Such a neuron is relu(nu + c) with a constant c so large that nu + c >= 1 everywhere: always active, never near zero, so
it divides no region. The layer that reads it subtracts c again, in its bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tropnet.arrays.types import FloatArray
from tropnet.errors import DomainError
from tropnet.exact.dyadic import nearest_float
from tropnet.network.domain import Box
from tropnet.network.intervals import Interval, output_intervals
from tropnet.network.layers import RELU, Layer

__all__ = ["without_skips"]

# Beyond this, 1 is less than rounding.
_FAR = 2.0**52


class _Skipped(NamedTuple):
    """What skips read of one layer's output: which entries, the last layer that does, and the constants c."""

    entries: NDArray[np.int64]
    last_reader: int
    shifts: FloatArray


def without_skips(layers: Sequence[Layer], n_inputs: int, box: Box | None) -> list[Layer]:
    """Return layers of which each reads the one before only; see `Network.without_skips`.

    Raises
    ------
    DomainError
        What a skip hands on has no lower bound on the box.
    """
    skipped = _skipped(layers, n_inputs, box)
    # Where the carried entries of nu_k stand in the output of the layer before, and how long that is.
    places: dict[int, NDArray[np.int64]] = {}
    width = n_inputs
    made = []
    for index, layer in enumerate(layers, start=1):
        blocks, biases = [sparse.csr_array((layer.width, width))], [layer.bias]
        for k, weight in sorted(layer.weights.items()):
            if k == index - 1:
                blocks[0] += _placed(weight, np.arange(weight.shape[1]), width)
            elif k in places:
                entries, _, shifts = skipped[k]
                blocks[0] += _placed(weight[:, entries], places[k], width)
                biases[0] = _reduced(biases[0], weight[:, entries], shifts)
        carried = {}
        for k in [k for k, (_, last, _) in skipped.items() if k < index < last]:
            entries, _, shifts = skipped[k]
            here = places.get(k, entries)
            start = sum(block.shape[0] for block in blocks)
            carried[k] = np.arange(start, start + len(here))
            blocks.append(_placed(sparse.eye(len(here)), here, width))
            biases.append(np.zeros(len(here)) if k in places else shifts)
        matrix = sparse.csr_array(sparse.vstack(blocks))
        slopes, n_carried = np.asarray(layer.slopes), matrix.shape[0] - layer.width
        made.append(
            Layer(
                {index - 1: matrix if any(map(sparse.issparse, layer.weights.values())) else matrix.toarray()},
                np.concatenate(biases),
                np.concatenate([slopes, np.broadcast_to(_carrying(slopes), (n_carried, 2))]),
            )
        )
        places, width = carried, matrix.shape[0]
    return made


def _skipped(layers: Sequence[Layer], n_inputs: int, box: Box | None) -> dict[int, _Skipped]:
    """Return what skips read, by source; entries with zero weights only are not read."""
    inputs = (np.full(n_inputs, -np.inf), np.full(n_inputs, np.inf)) if box is None else (box.low, box.high)
    bounds: list[Interval] | None = None
    found = {}
    for k in range(len(layers)):
        readers = {
            index: layer.weights[k] for index, layer in enumerate(layers, 1) if index > k + 1 and k in layer.weights
        }
        used = [np.unique(sparse.coo_array(weight).col) for weight in readers.values()]
        entries = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *used]))
        if len(entries):
            if k and _is_nonnegative(layers[k - 1]):
                shifts = np.ones(len(entries))
            else:
                bounds = output_intervals(layers[:-1], inputs) if bounds is None else bounds
                shifts = _shifts(bounds[k][0][entries], k)
            found[k] = _Skipped(entries, max(readers), shifts)
    return found


def _is_nonnegative(layer: Layer) -> bool:
    """Return whether the outputs of a layer are, whatever it reads: those of ReLU and the absolute value."""
    slopes = np.asarray(layer.slopes)
    return bool(((slopes[:, 0] <= 0) & (slopes[:, 1] >= 0)).all())


def _shifts(lows: FloatArray, source: int) -> FloatArray:
    """Return powers of two, so that sums of few bits stay sums of few bits, of at least 1 - low."""
    if not (lows >= -_FAR).all():
        what = "the input" if source == 0 else f"layer {source}, whose slopes let it be negative,"
        raise DomainError(
            f"a skip hands on {what} without a lower bound (of -2**52 or more), so no constant makes a carried neuron"
            " active everywhere. Pass domain=Box(low, high) with finite sides, around all points of interest."
        )
    return np.exp2(np.ceil(np.log2(np.maximum(1.0 - lows, 1.0))))


def _placed(weight: Any, columns: NDArray[np.int64], width: int) -> sparse.csr_array:
    """Return a matrix of `width` columns that holds those of `weight` at `columns`."""
    entries = sparse.coo_array(weight)
    rows, own = entries.row, entries.col
    return sparse.csr_array((entries.data, (rows, columns[own])), shape=(weight.shape[0], width))


def _reduced(bias: FloatArray, weight: Any, shifts: FloatArray) -> FloatArray:
    """Return bias - weight @ shifts, exactly, rounded once."""
    totals = [Fraction(value) for value in bias.tolist()]
    entries = sparse.coo_array(weight)
    for row, column, value in zip(entries.row, entries.col, entries.data.tolist(), strict=True):
        totals[row] -= Fraction(value) * Fraction(float(shifts[column]))
    return np.array([nearest_float(total.numerator, total.denominator) for total in totals])


def _carrying(slopes: FloatArray) -> tuple[float, float]:
    """Return slopes for neurons that are always active: the layer's if they leave those as they are, else ReLU's."""
    first = slopes[0]
    return (float(first[0]), 1.0) if first[0] != first[1] == 1.0 and (slopes == first).all() else RELU

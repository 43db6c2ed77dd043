"""Composed rows of some neurons for many patterns, compiled, with bounds on their errors.

Patterns that follow each other mostly agree in the first layers, as those of an enumeration do: what they share is
composed once. Of the other layers only those rows are composed that are asked for, or that another layer reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tropnet.arrays.patterns import PackedArray
from tropnet.arrays.rounding import EPSILON, SMALLEST_NORMAL, UNIT_ROUNDOFF
from tropnet.kernels import compiled
from tropnet.network.layers import Layer
from tropnet.network.twofold import TINY, UNIT, Twofold, add_product

__all__ = ["SelectedRows", "compose_selected"]

# How many bits of a byte are set.
_ONES = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1, dtype=np.uint8)


class SelectedRows(NamedTuple):
    """Rows A x <= b of many patterns: those of pattern i are rows offsets[i], ..., offsets[i + 1] - 1.

    Attributes
    ----------
    rows
        (A | b); without twofold precision `low` is empty.
    neurons
        int64, shape (n,): whose rows they are.
    offsets
        int64, shape (m + 1,).
    """

    rows: Twofold
    neurons: NDArray[np.int64]
    offsets: NDArray[np.int64]


def compose_selected(
    layers: Sequence[Layer],
    packed: PackedArray,
    packed_wanted: PackedArray,
    n_inputs: int,
    *,
    gap: int = 0,
    twofold: bool = False,
) -> SelectedRows:
    """Return for many patterns the side A x <= b of each neuron that is wanted, on which the pattern has it.

    Where neuron j is active, its row is -a x <= c, of its pre-activation a x + c; elsewhere it is a x <= -c.

    Parameters
    ----------
    layers
        The layers, output layer included.
    packed, packed_wanted
        Packed bits (m, n_neurons): the patterns, and whose rows are wanted.
    gap
        So many rows are left free, not even 0, before those of each pattern.
    twofold
        Whether to compose in twofold precision instead of float64.

    Notes
    -----
    A sum of n products is wrong by at most n u / (1 - n u) times the sum of their sizes, u = 2^-53, however it is
    ordered (Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.1), and hands on the errors of what
    it reads; in l2 both are sums of |w| times lengths. Rows that read the input alone are not rounded at all.

    Examples
    --------
    >>> from tropnet.arrays.patterns import pack
    >>> layers = [Layer({k: np.array([[w]])}, np.ones(1), np.array([[0.0, 1.0]])) for k, w in enumerate([2.0, 3.0, 1])]
    >>> high, _, error = compose_selected(layers, pack([[True, False]]), pack([[True, True]]), 1).rows
    >>> high.tolist(), error[0].tolist(), bool((error[1] < 1e-14).all())
    ([[-2.0, 1.0], [6.0, -4.0]], [0.0, 0.0], True)

    1e17 (x + 1) - 1e17 x is 1e17; float64 keeps that only if nothing smaller is near.

    >>> first = Layer({0: np.array([[1e17], [1e17]])}, np.array([1.0, 0.0]), np.ones((2, 2)))
    >>> layers = [first, *(Layer({1: np.array([[1.0, -1.0]])}, np.zeros(1), np.ones((1, 2))) for _ in range(2))]
    >>> compose_selected(layers, pack(np.zeros((1, 3))), pack([[0, 0, 1]]), 1, twofold=True).rows.high
    array([[ 0., -1.]])
    """
    hidden, width = layers[:-1], n_inputs + 1
    offsets = np.concatenate([[0], np.cumsum(gap + _ONES[packed_wanted].sum(axis=1, dtype=np.int64))])
    n_rows = int(offsets[-1])
    found = Twofold(np.empty((n_rows, width)), np.empty((n_rows if twofold else 0, width)), np.empty((n_rows, 2)))
    neurons = np.empty(n_rows, dtype=np.int64)
    if n_rows == gap * len(packed):
        return SelectedRows(found, neurons, offsets)
    # The layers as one matrix: a row for each hidden neuron, a column for each input and each neuron that is read.
    starts = np.cumsum([0, *(layer.width for layer in hidden)])
    sizes = [n_inputs, *(layer.width for layer in hidden[:-1])]
    blocks = [
        [sparse.csr_array(layer.weights.get(source, (layer.width, size))) for source, size in enumerate(sizes)]
        for layer in hidden
    ]
    matrix = sparse.csr_array(sparse.vstack([sparse.hstack(row, format="csr") for row in blocks], format="csr"))
    matrix.sort_indices()
    unit = (int(np.diff(matrix.indptr).max(initial=0)) + 8) * (UNIT if twofold else UNIT_ROUNDOFF)
    n, n_nodes = int(starts[-1]), n_inputs + int(starts[-2])
    outputs = Twofold(np.zeros((n_nodes, width)), np.zeros((n_nodes, width)), np.zeros((n_nodes, 2)))
    outputs.high[:n_inputs] = np.eye(n_inputs, width)
    outputs.error[:n_inputs, 0] = unit
    rows = Twofold(np.empty((n, width)), np.empty((n, width)), np.empty((n, 2)))
    with np.errstate(all="ignore"):
        _compose(
            _writable(matrix.data), matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64),
            np.concatenate([layer.bias for layer in hidden]),
            np.concatenate([np.asarray(layer.slopes, dtype=np.float64) for layer in hidden]), starts, twofold, unit,
            TINY if twofold else SMALLEST_NORMAL, _writable(packed), _writable(packed_wanted), gap, *outputs, *rows,
            np.zeros((2, n), dtype=np.int64), *found, neurons,
        )  # fmt: skip
    return SelectedRows(found, neurons, offsets)


def _writable(values: NDArray[Any]) -> NDArray[Any]:
    """Return an array of the one kind for which the kernel is compiled."""
    return np.require(values, requirements=["C", "W"])


@compiled(entry=True)
def _compose(
    data: Any, indices: Any, indptr: Any, biases: Any, slopes: Any, starts: Any, twofold: bool, unit: float,
    tiny: float, packed: Any, wanted: Any, gap: int, out_high: Any, out_low: Any, out_error: Any, high: Any, low: Any,
    error: Any, versions: Any, found_high: Any, found_low: Any, found_error: Any, neurons: Any,
) -> None:  # fmt: skip
    """Compose row after row, each when it is first needed.

    Rows (`high`, `low`, `error`) and outputs (`out_...`, after those of the inputs) are those of the current pattern.
    Row i is valid if its version, versions[0, i], is that of its layer, versions[1, l], which grows whenever a bit of
    an earlier layer changes. The errors of outputs are kept as what a reader has to add for each unit of weight: their
    own, and its rounding, `unit` times their length.
    """
    d = high.shape[1] - 1
    n_read, at = len(out_high) - d, 0
    for layer in range(len(starts) - 1):
        versions[1, layer] = 1
    for p in range(len(packed)):
        at += gap
        changed = False
        for layer in range(len(starts) - 1):
            entered = changed or p == 0
            if entered:
                versions[1, layer] += 1
            i = starts[layer]
            while i < starts[layer + 1]:
                byte, bit = i >> 3, 1 << (i & 7)
                if not entered and bit == 1 and wanted[p, byte] == 0 and packed[p, byte] == packed[p - 1, byte]:
                    # Nothing to do for eight neurons, of which some may be of the next layer.
                    i += 8
                    continue
                active, asked = packed[p, byte] & bit != 0, wanted[p, byte] & bit != 0
                differs = p > 0 and (packed[p, byte] ^ packed[p - 1, byte]) & bit != 0
                changed = changed or differs
                slope = slopes[i, 1] if active else slopes[i, 0]
                new = i < n_read and (entered or differs)
                if (asked or (new and slope != 0.0)) and versions[0, i] != versions[1, layer]:
                    _row(
                        data, indices, indptr, biases, twofold, unit, tiny, out_high, out_low, out_error, high, low,
                        error, i,
                    )  # fmt: skip
                    versions[0, i] = versions[1, layer]
                if new:
                    _output(slope, twofold, unit, tiny, high, low, error, i, out_high, out_low, out_error, d + i)
                if asked:
                    _side(active, twofold, high, low, error, i, found_high, found_low, found_error, at)
                    neurons[at] = i
                    at += 1
                i += 1


@compiled(inline=True)
def _side(
    active: bool, twofold: bool, high: Any, low: Any, error: Any, i: int, found_high: Any, found_low: Any,
    found_error: Any, at: int,
) -> None:  # fmt: skip
    """Write down the side of row i on which the pattern is."""
    d = high.shape[1] - 1
    sign = -1.0 if active else 1.0
    for c in range(d):
        found_high[at, c] = sign * high[i, c]
    found_high[at, d] = -sign * high[i, d]
    if twofold:
        for c in range(d):
            found_low[at, c] = sign * low[i, c]
        found_low[at, d] = -sign * low[i, d]
    found_error[at, 0] = error[i, 0]
    found_error[at, 1] = error[i, 1]


@compiled(inline=True)
def _row(
    data: Any, indices: Any, indptr: Any, biases: Any, twofold: bool, unit: float, tiny: float, out_high: Any,
    out_low: Any, out_error: Any, high: Any, low: Any, error: Any, i: int,
) -> None:  # fmt: skip
    """Compose row i from the outputs it reads."""
    width = high.shape[1]
    first, last = indptr[i], indptr[i + 1]
    for c in range(width):
        high[i, c] = 0.0
        low[i, c] = 0.0
    high[i, width - 1] = biases[i]
    wrong, shift = 0.0, 0.0
    # The output of an inactive neuron is 0, without an error.
    for t in range(first, last):
        j, w = indices[t], data[t]
        if out_error[j, 0] != 0.0:
            wrong += abs(w) * out_error[j, 0]
            shift += abs(w) * out_error[j, 1]
            if not twofold:
                for c in range(width):
                    high[i, c] += w * out_high[j, c]
    if twofold:
        for t in range(first, last):
            j, w = indices[t], data[t]
            if out_error[j, 0] != 0.0:
                for c in range(width):
                    high[i, c], low[i, c] = add_product(high[i, c], low[i, c], w, out_high[j, c], out_low[j, c])
    if last == first or indices[last - 1] < width - 1:
        error[i, 0] = 0.0
        error[i, 1] = 0.0
    else:
        lost = (last - first) * width * tiny
        error[i, 0] = wrong * (1.0 + 2.0 * (last - first + 8) * EPSILON) + lost
        error[i, 1] = (shift + unit * abs(biases[i])) * (1.0 + 2.0 * (last - first + 8) * EPSILON) + lost


@compiled(inline=True)
def _output(
    slope: float, twofold: bool, unit: float, tiny: float, high: Any, low: Any, error: Any, i: int, out_high: Any,
    out_low: Any, out_error: Any, j: int,
) -> None:  # fmt: skip
    """Make output j, of a slope times row i."""
    width = high.shape[1]
    d = width - 1
    for c in range(width):
        out_high[j, c] = 0.0
        out_low[j, c] = 0.0
    out_error[j, 0] = 0.0
    out_error[j, 1] = 0.0
    if slope == 0.0:
        return
    largest = 0.0
    for c in range(width):
        if twofold:
            out_high[j, c], out_low[j, c] = add_product(0.0, 0.0, slope, high[i, c], low[i, c])
        else:
            out_high[j, c] = slope * high[i, c]
        if c < d:
            # NaN stays NaN.
            largest = largest if abs(out_high[j, c]) <= largest else abs(out_high[j, c])
    square = 0.0
    if largest != 0.0:
        for c in range(d):
            square += (out_high[j, c] / largest) ** 2
    length = largest * np.sqrt(square) * (1.0 + (d + 8) * EPSILON)
    out_error[j, 0] = (abs(slope) * error[i, 0] + unit * length) * (1.0 + 8.0 * EPSILON) + width * tiny
    out_error[j, 1] = (abs(slope) * error[i, 1] + unit * abs(out_high[j, d])) * (1.0 + 8.0 * EPSILON) + width * tiny

"""The compiled recurrence: pre-activations as rows of the input, updated by one rank-one term per neuron, with errors.

A row of layer m is the linear form z = (a | c) . (x, 1) on the current path of a search. It is a sum over the blocks
(source k, reader m) of the weights, and the neurons of a source are decided in two steps: most of them when the search
enters their layer, the few that cut the cell later, differently on each path below. So each block keeps two partial
sums,

    entered  =  the sum before this block  +  the neurons of the source decided on entering it,
    done     =  entered  +  the others, once they are decided,

and the rows of layer m are the `done` of its last block. In a chain a cell costs one rank-one term per cutting neuron.

Errors. `norm[j]` is the 1-norm of row j as stored, and

    |stored row - exact row|_1  <=  error[j],    0 only if the row is exact,

from the standard model of rounding: the terms' own errors, and `rounding` times the sum of their magnitudes, which is
carried along as one more component of each partial sum.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.rounding import SAFE_HIGH, SAFE_LOW, UNIT_ROUNDOFF
from tropnet.arrays.types import FloatArray
from tropnet.kernels import Record, compiled
from tropnet.network.network import Network

__all__ = [
    "PENDING",
    "Problem",
    "Rows",
    "add_neurons",
    "complete_layer",
    "copy_sums",
    "count_products",
    "enter_layer",
    "measure_rows",
    "start_composition",
]

PENDING = 2
# The least factor of an error.
_SMALLEST = 1e-60
# Networks of up to so many weights keep their flat arrays for the next search; for others they are quickly made.
_SMALL = 1 << 20


class Problem(NamedTuple):
    """A network in flat arrays. Layers count from 0 here; blocks are those with a hidden source, by source."""

    widths: NDArray[np.int64]  # (L,)
    first_neuron: NDArray[np.int64]  # (L + 1,)
    slopes: NDArray[np.float64]  # (n_neurons, 2): for bit 0 and bit 1
    bias_is_zero: NDArray[np.bool_]  # (n_neurons,)
    input_is_zero: NDArray[np.bool_]  # (n_neurons,): no weight from the input
    reader: NDArray[np.int64]  # (B,)
    first_block: NDArray[np.int64]  # (L + 1,): the blocks with source k are first_block[k], ..., first_block[k + 1] - 1
    is_last: NDArray[np.bool_]  # (B,): no later source of the same reader
    weights_at: NDArray[np.int64]  # (B,) into `weights`
    weights: NDArray[np.float64]  # each block transposed: weight from i to j at i * width of the reader + j
    sizes: NDArray[np.float64]  # their absolute values, at least 1e-60 if not 0
    before_at: NDArray[np.int64]  # (B,) into `Rows.done`: the sum before this block
    done_at: NDArray[np.int64]  # (B,) into `Rows.done` and `Rows.entered`
    rows_at: NDArray[np.int64]  # (L,) into `Rows.done`: the complete rows of a layer
    base_norm: NDArray[np.float64]  # (n_neurons,) 1-norms of weights from the input and bias
    rounding: float  # unit roundoff times the longest chain of operations, with room


class Rows(NamedTuple):
    """Partial sums on the current path: component k of row j at `at + k * width + j`; component d + 1 is the error."""

    done: NDArray[np.float64]
    entered: NDArray[np.float64]
    norm: NDArray[np.float64]  # (n_neurons,)
    error: NDArray[np.float64]  # (n_neurons,)
    chosen: NDArray[np.int64]  # (widest,) scratch: neurons to add, their slopes, one component of their rows
    slope: NDArray[np.float64]
    value: NDArray[np.float64]


class _Start(NamedTuple):
    """A network in flat arrays, and the partial sums at the start of a search."""

    problem: Record
    norm: NDArray[np.float64]
    done: NDArray[np.float64]
    error: NDArray[np.float64]


def start_composition(net: Network, rows: Rows | None = None) -> tuple[Record, Rows]:
    """Return the `Problem` of a network with at least one hidden layer, and its rows at the start of a search.

    The problem is shared between searches; the rows are this search's own, if given those of a network of the same
    shape.
    """
    size = sum(weight.size for layer in net.hidden for weight in layer.weights.values())
    start = net.derived(_start) if size <= _SMALL else _start(net)
    if rows is None:
        widest, n = max(net.widths), len(start.norm)
        rows = Rows(
            np.empty_like(start.done), np.empty_like(start.done), np.empty(n), np.empty(n), np.zeros(widest, np.int64),
            np.zeros(widest), np.zeros(widest),
        )  # fmt: skip
    rows.done[:], rows.norm[:], rows.error[:] = start.done, start.norm, start.error
    rows.entered.fill(0.0)
    return start.problem, rows


def _start(net: Network) -> _Start:
    layout = _layout(net.n_inputs, net.widths, tuple(tuple(layer.weights) for layer in net.hidden))
    done = _initial_sums(net, layout.size)
    problem = _make_problem(net, layout, done)
    norm = problem.base_norm
    # Tiny and huge rows are exact, too, but what is computed with them is not within the bounds.
    safe = (norm == 0) | (norm > SAFE_LOW) & (norm < SAFE_HIGH)
    return _Start(Record(problem), norm, done, np.where(safe, 0.0, np.inf))


class _Layout(NamedTuple):
    """What the shape of a network says of its arrays: its blocks (source, reader), and the size of `Rows.done`."""

    blocks: list[tuple[int, int]]
    size: int
    arrays: dict[str, NDArray[np.int64]]
    is_last: NDArray[np.bool_]


@lru_cache(maxsize=256)
def _layout(n_inputs: int, widths: tuple[int, ...], sources: tuple[tuple[int, ...], ...]) -> _Layout:
    """Return the layout of the networks of a shape: studies and training runs ask for many of one."""
    components = n_inputs + 2
    blocks = sorted((source - 1, reader) for reader, each in enumerate(sources) for source in each if source > 0)
    first_neuron = [*accumulate(widths, initial=0)]
    base_at = [components * first for first in first_neuron]
    *done_at, size = accumulate((components * widths[reader] for _, reader in blocks), initial=base_at[-1])
    sizes = (widths[source] * widths[reader] for source, reader in blocks)
    last: dict[int, int] = {}
    before_at = []
    for block, (_, reader) in enumerate(blocks):
        before_at.append(done_at[last[reader]] if reader in last else base_at[reader])
        last[reader] = block
    arrays = {
        "widths": widths,
        "first_neuron": first_neuron,
        "reader": [reader for _, reader in blocks],
        "first_block": [bisect_left(blocks, (source,)) for source in range(len(widths) + 1)],
        "weights_at": [*accumulate(sizes, initial=0)][:-1],
        "before_at": before_at,
        "done_at": done_at,
        "rows_at": [done_at[last[layer]] if layer in last else base_at[layer] for layer in range(len(widths))],
    }
    return _Layout(
        blocks,
        size,
        {name: np.array(values, dtype=np.int64) for name, values in arrays.items()},
        np.array([last[reader] == block for block, (_, reader) in enumerate(blocks)], dtype=np.bool_),
    )


def _make_problem(net: Network, layout: _Layout, done: NDArray[np.float64]) -> Problem:
    """Return a network in flat arrays; `done` holds weights from the input and biases, as in `_initial_sums`."""
    d, components, n = net.n_inputs, net.n_inputs + 2, net.n_neurons
    bias, input_norm, base_norm = np.empty(n), np.empty(n), np.empty(n)
    slopes, first = np.empty((n, 2)), 0
    # Where these overflow, no sign is certain in float64.
    with np.errstate(over="ignore"):
        for layer, width in zip(net.hidden, net.widths, strict=True):
            own, at = slice(first, first + width), components * first
            sizes = np.abs(done[at : at + (d + 1) * width].reshape(d + 1, width))
            bias[own], slopes[own] = layer.bias, layer.slopes
            sizes[:d].sum(axis=0, out=input_norm[own])
            np.add(input_norm[own], sizes[d], out=base_norm[own])
            first += width
    longest = max(sum(w.shape[1] for w in layer.weights.values()) for layer in net.hidden)
    matrices = [net.hidden[reader].weights[source + 1].T.ravel() for source, reader in layout.blocks]
    weights = np.concatenate(matrices) if matrices else np.empty(0)
    # No product of a size and an error underflows.
    sizes = np.maximum(np.abs(weights), _SMALLEST)
    sizes[weights == 0] = 0.0
    return Problem(
        **layout.arrays,
        slopes=slopes,
        bias_is_zero=bias == 0,
        input_is_zero=input_norm == 0,
        is_last=layout.is_last,
        weights=weights,
        sizes=sizes,
        base_norm=base_norm,
        rounding=(longest + d + 12) * 2 * UNIT_ROUNDOFF,
    )


def _initial_sums(net: Network, size: int) -> NDArray[np.float64]:
    """Return `Rows.done` at the start of a search: weights from the input and biases."""
    components = net.n_inputs + 2
    done = np.zeros(size)
    at = 0
    for layer in net.hidden:
        rows = done[at : at + components * layer.width].reshape(components, layer.width)
        if 0 in layer.weights:
            rows[: net.n_inputs] = layer.weights[0].T
        rows[net.n_inputs] = layer.bias
        at += rows.size
    return done


def count_products(net: Network) -> tuple[FloatArray, FloatArray]:
    """Return how many products `enter_layer` takes for each layer, and `complete_layer` for each pending neuron."""
    read = np.zeros(len(net.hidden))
    for layer in net.hidden:
        for source in layer.weights:
            if source > 0:
                read[source - 1] += layer.width
    completing = read * (net.n_inputs + 2)
    # About half of the neurons have a slope, if they are ReLUs.
    return completing * (np.array(net.widths) / 2 + 1), completing


@compiled(inline=True, reorder=True)
def add_neurons(problem: Any, rows: Any, target: Any, at: int, block: int, layer: int, m: int, D: int) -> None:
    """Add the outputs of the `m` neurons of a layer listed in `chosen` to the partial sum of a reader in `target`.

    Slices, as a loop over one vectorises; four neurons at a time, as each pass reads and writes the sum.
    """
    n, width = problem.widths[problem.reader[block]], problem.widths[layer]
    first, weights_at = problem.first_neuron[layer], problem.weights_at[block]
    for k in range(D + 1):
        out = target[at + k * n : at + (k + 1) * n]
        weights = problem.sizes if k == D else problem.weights
        for q in range(m):
            i, slope = rows.chosen[q], rows.slope[q]
            if k < D:
                rows.value[q] = slope * rows.done[problem.rows_at[layer] + k * width + i]
            else:
                rows.value[q] = max(abs(slope), _SMALLEST) * (
                    rows.error[first + i] + problem.rounding * rows.norm[first + i]
                )
        q = 0
        while q + 4 <= m:
            a, b = weights_at + rows.chosen[q] * n, weights_at + rows.chosen[q + 1] * n
            c, d = weights_at + rows.chosen[q + 2] * n, weights_at + rows.chosen[q + 3] * n
            wa, wb, wc, wd = weights[a : a + n], weights[b : b + n], weights[c : c + n], weights[d : d + n]
            va, vb, vc, vd = rows.value[q], rows.value[q + 1], rows.value[q + 2], rows.value[q + 3]
            for u in range(n):
                out[u] += (wa[u] * va + wb[u] * vb) + (wc[u] * vc + wd[u] * vd)
            q += 4
        while q < m:
            a = weights_at + rows.chosen[q] * n
            wa, va = weights[a : a + n], rows.value[q]
            for u in range(n):
                out[u] += wa[u] * va
            q += 1


@compiled(inline=True)
def copy_sums(source: Any, target: Any) -> None:
    """Copy partial sums."""
    for u in range(source.shape[0]):
        target[u] = source[u]


@compiled(inline=True)
def enter_layer(problem: Any, rows: Any, layer: int, state: Any, D: int) -> None:
    """Compute `entered` of all blocks with this source.

    `state`, uint8 by neuron, holds the bits of the neurons decided on entering the layer, `PENDING` for the others.
    """
    begin, end = problem.first_block[layer], problem.first_block[layer + 1]
    if begin == end:
        return
    first, m = problem.first_neuron[layer], np.int64(0)
    for i in range(problem.widths[layer]):
        bit = state[first + i]
        if bit != PENDING and problem.slopes[first + i, bit] != 0.0:
            rows.chosen[m], rows.slope[m] = i, problem.slopes[first + i, bit]
            m += 1
    for block in range(begin, end):
        size = (D + 1) * problem.widths[problem.reader[block]]
        at, before = problem.done_at[block], problem.before_at[block]
        copy_sums(rows.done[before : before + size], rows.entered[at : at + size])
        add_neurons(problem, rows, rows.entered, at, block, layer, m, D)


@compiled(inline=True)
def complete_layer(problem: Any, rows: Any, layer: int, pending: Any, n_pending: int, bits: Any, D: int) -> None:
    """Compute `done` of all blocks with this source, and norms and errors of the rows that are complete with it.

    `pending` lists the neurons (within the layer) that were pending on entering it; `bits`, packed into uint64 words by
    neuron, holds what they were decided to be.
    """
    begin, end = problem.first_block[layer], problem.first_block[layer + 1]
    if begin == end:
        return
    first, m = problem.first_neuron[layer], np.int64(0)
    for p in range(n_pending):
        j = first + pending[p]
        bit = np.int64((bits[j >> 6] >> np.uint64(j & 63)) & np.uint64(1))
        if problem.slopes[j, bit] != 0.0:
            rows.chosen[m], rows.slope[m] = pending[p], problem.slopes[j, bit]
            m += 1
    for block in range(begin, end):
        at, n = problem.done_at[block], problem.widths[problem.reader[block]]
        copy_sums(rows.entered[at : at + (D + 1) * n], rows.done[at : at + (D + 1) * n])
        add_neurons(problem, rows, rows.done, at, block, layer, m, D)
        measure_rows(problem, rows, block, D)


@compiled(inline=True)
def measure_rows(problem: Any, rows: Any, block: int, D: int) -> None:
    """Compute norms and errors of a reader's rows from `done` of a block, if that is its last."""
    if not problem.is_last[block]:
        return
    reader, at = problem.reader[block], problem.done_at[block]
    n, start = problem.widths[reader], problem.first_neuron[reader]
    norm, error = rows.norm[start : start + n], rows.error[start : start + n]
    base, wrong = problem.base_norm[start : start + n], rows.done[at + D * n : at + (D + 1) * n]
    row = rows.done[at : at + n]
    for u in range(n):
        norm[u] = abs(row[u])
    for k in range(1, D):
        row = rows.done[at + k * n : at + (k + 1) * n]
        for u in range(n):
            norm[u] += abs(row[u])
    for u in range(n):
        # Underflow or overflow would escape the bounds.
        bound = wrong[u] * (1.0 + problem.rounding) + problem.rounding * base[u]
        sure = bound if SAFE_LOW < norm[u] < SAFE_HIGH else np.inf
        # 0: nothing but the weights from the input and the bias was added, and these are exact.
        error[u] = sure if wrong[u] != 0.0 or not (norm[u] == 0.0 or SAFE_LOW < norm[u] < SAFE_HIGH) else 0.0

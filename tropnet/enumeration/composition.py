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

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tropnet.network import Network

__all__ = ["EPS", "PENDING", "Problem", "Rows", "complete_layer", "enter_layer", "make_problem", "make_rows"]

EPS = 2.0**-53
PENDING = 2
_TINY, _HUGE = 1e-100, 1e100


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
    sizes: NDArray[np.float64]  # their absolute values
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


def make_problem(net: Network) -> Problem:
    """Return the arrays of a network with at least one hidden layer."""
    n_layers, components = len(net.hidden), net.n_inputs + 2
    blocks = sorted(
        (source - 1, reader) for reader, layer in enumerate(net.hidden) for source in layer.weights if source > 0
    )
    matrices = [np.ascontiguousarray(net.hidden[reader].weights[source + 1].T).ravel() for source, reader in blocks]
    base_at = components * np.cumsum([0, *net.widths])
    done_at = base_at[-1] + components * np.cumsum([0, *(net.widths[reader] for _, reader in blocks)])
    last: dict[int, int] = {}
    before_at = []
    for block, (_, reader) in enumerate(blocks):
        before_at.append(done_at[last[reader]] if reader in last else base_at[reader])
        last[reader] = block
    base = _base(net)
    longest = max(sum(w.shape[1] for w in layer.weights.values()) for layer in net.hidden)
    bias = np.concatenate([layer.bias for layer in net.hidden])
    weights = np.concatenate([np.empty(0), *matrices])
    return Problem(
        widths=np.array(net.widths),
        first_neuron=np.cumsum([0, *net.widths]),
        slopes=np.concatenate([np.asarray(layer.slopes) for layer in net.hidden]),
        bias_is_zero=bias == 0,
        input_is_zero=np.concatenate([~rows[:-1].any(axis=0) for rows in base]),
        reader=np.array([reader for _, reader in blocks], dtype=np.int64),
        first_block=np.searchsorted([source for source, _ in blocks], np.arange(n_layers + 1)).astype(np.int64),
        is_last=np.array([last[reader] == block for block, (_, reader) in enumerate(blocks)], dtype=np.bool_),
        weights_at=np.cumsum([0, *map(len, matrices)])[:-1],
        weights=weights,
        sizes=np.abs(weights),
        before_at=np.array(before_at, dtype=np.int64),
        done_at=done_at[:-1],
        rows_at=np.array([done_at[last[layer]] if layer in last else base_at[layer] for layer in range(n_layers)]),
        base_norm=np.concatenate([np.abs(rows).sum(axis=0) for rows in base]),
        rounding=(longest + net.n_inputs + 12) * 2 * EPS,
    )


def make_rows(net: Network, problem: Problem) -> Rows:
    """Return the partial sums at the start of a search: weights from the input and biases."""
    components = net.n_inputs + 2
    size = components * (sum(net.widths) + sum(net.widths[reader] for reader in problem.reader.tolist()))
    done = np.zeros(size)
    at = 0
    for rows in _base(net):
        done[at : at + rows.size] = rows.ravel()
        at += rows.size + rows.shape[1]
    return Rows(done, np.zeros(size), problem.base_norm.copy(), np.zeros(net.n_neurons))


def _base(net: Network) -> list[NDArray[np.float64]]:
    """Return, by layer, the exact rows (d + 1, width) of weights from the input and bias."""
    return [
        np.vstack([layer.weights.get(0, np.zeros((layer.width, net.n_inputs))).T, layer.bias]) for layer in net.hidden
    ]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _add_neuron(problem: Any, rows: Any, target: Any, block: int, layer: int, i: int, bit: int, D: int) -> None:
    """Add the output of neuron i of a layer to a partial sum of its reader: one rank-one term."""
    j = problem.first_neuron[layer] + i
    slope = problem.slopes[j, bit]
    if slope == 0.0:
        return
    n, width = problem.widths[problem.reader[block]], problem.widths[layer]
    at, weights = problem.done_at[block], problem.weights_at[block] + i * n
    for k in range(D):
        value = slope * rows.done[problem.rows_at[layer] + k * width + i]
        if value != 0.0:
            for u in range(n):
                target[at + k * n + u] += problem.weights[weights + u] * value
    wrong = abs(slope) * (rows.error[j] + problem.rounding * rows.norm[j])
    if wrong != 0.0:
        for u in range(n):
            target[at + D * n + u] += problem.sizes[weights + u] * wrong


@njit(cache=True, nogil=True)
def enter_layer(problem: Any, rows: Any, layer: int, state: Any, D: int) -> None:
    """Compute `entered` of all blocks with this source.

    `state`, uint8 by neuron, holds the bits of the neurons decided on entering the layer, `PENDING` for the others.
    """
    first = problem.first_neuron[layer]
    for block in range(problem.first_block[layer], problem.first_block[layer + 1]):
        n = problem.widths[problem.reader[block]]
        at, before = problem.done_at[block], problem.before_at[block]
        for u in range((D + 1) * n):
            rows.entered[at + u] = rows.done[before + u]
        for i in range(problem.widths[layer]):
            if state[first + i] != PENDING:
                _add_neuron(problem, rows, rows.entered, block, layer, i, state[first + i], D)


@njit(cache=True, nogil=True)
def complete_layer(problem: Any, rows: Any, layer: int, pending: Any, n_pending: int, bits: Any, D: int) -> None:
    """Compute `done` of all blocks with this source, and norms and errors of the rows that are complete with it.

    `pending` lists the neurons (within the layer) that were pending on entering it; `bits`, packed into uint64 words by
    neuron, holds what they were decided to be.
    """
    first = problem.first_neuron[layer]
    for block in range(problem.first_block[layer], problem.first_block[layer + 1]):
        reader = problem.reader[block]
        n = problem.widths[reader]
        at = problem.done_at[block]
        for u in range((D + 1) * n):
            rows.done[at + u] = rows.entered[at + u]
        for p in range(n_pending):
            j = first + pending[p]
            bit = (bits[j >> 6] >> np.uint64(j & 63)) & np.uint64(1)
            _add_neuron(problem, rows, rows.done, block, layer, pending[p], np.int64(bit), D)
        if not problem.is_last[block]:
            continue
        start = problem.first_neuron[reader]
        for u in range(n):
            rows.norm[start + u] = 0.0
        for k in range(D):
            for u in range(n):
                rows.norm[start + u] += abs(rows.done[at + k * n + u])
        for u in range(n):
            wrong, norm = rows.done[at + D * n + u], rows.norm[start + u]
            if wrong == 0.0:
                # Nothing but the weights from the input and the bias was added.
                rows.error[start + u] = 0.0
            elif _TINY < norm < _HUGE:
                rows.error[start + u] = wrong * (1.0 + problem.rounding) + problem.rounding * problem.base_norm[
                    start + u
                ]
            else:
                # Underflow or overflow would escape the bounds.
                rows.error[start + u] = np.inf

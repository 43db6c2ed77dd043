"""A balanced binary search tree over all activation regions of a network.

An inner node asks for the sign of one pre-activation. It stands where all layers before are decided, so that this is
the sign of one affine function, and only where the function changes sign among the regions below. Then no region lies
on both sides, and R regions make R - 1 nodes, whatever the order of the questions inside a layer: the order is free to
halve the number of regions.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.chunks import chunks
from tropnet.arrays.patterns import pack
from tropnet.arrays.rounding import EPSILON
from tropnet.arrays.types import FloatArray
from tropnet.errors import TropnetError
from tropnet.kernels import compiled
from tropnet.network.recurrence import compose_bounded
from tropnet.regions import Regions

__all__ = ["Tree", "balanced_tree", "shared"]


class Tree(NamedTuple):
    """Nodes, by number; a leaf i is written ~i.

    Attributes
    ----------
    functions
        float64, shape (m, d + 3): different affine functions (a | c), and two bounds (e_a, e_c) for each: computed in
        float64, a x + c is wrong by at most e_a max |x| + e_c.
    asks
        int64, shape (n,): the function that a node asks the sign of.
    children
        int32, shape (n, 2): where to go for a x + c <= 0 and > 0. Parents come before their children.
    roots
        int32: where to start.
    """

    functions: FloatArray
    asks: NDArray[np.int64]
    children: NDArray[np.int32]
    roots: NDArray[np.int32]


def balanced_tree(regions: Regions, leaf_of: NDArray[np.int64]) -> Tree:
    """Return the tree over all regions of a network, whose leaf for region i is ~leaf_of[i].

    Each node asks the neuron, of the first undecided layer, that divides the regions below most evenly.
    Costs O(R n log R) for R regions and n neurons, and one composition per node.

    Raises
    ------
    TropnetError
        A pattern stands twice among the regions.
    """
    net = regions.network
    bits = regions.patterns.view(np.uint8)
    order = np.arange(len(bits))
    neurons = np.empty(max(len(bits) - 1, 0), dtype=np.int64)
    representatives = np.empty_like(neurons)
    children = np.empty((len(neurons), 2), dtype=np.int32)
    starts = np.cumsum([0, *net.widths])
    if len(bits) > 1:
        stack, counts = np.empty((len(bits), 4), dtype=np.int64), np.empty(net.n_neurons, dtype=np.int64)
        if not _grow(bits, starts, order, neurons, representatives, children, stack, counts):
            raise TropnetError("a pattern stands twice among these regions; enumerate them again.")
    rows = np.empty((len(neurons), net.n_inputs + 3))
    for index, first in enumerate(starts[:-1].tolist()):
        here = np.flatnonzero((first <= neurons) & (neurons < starts[index + 1]))
        prefixes = bits[representatives[here]]
        prefixes[:, first:] = 0
        _, place, inverse = np.unique(pack(prefixes), axis=0, return_index=True, return_inverse=True)
        rows[here] = _rows(regions, index, prefixes[place], neurons[here] - first, inverse.ravel())
    functions, asks = np.unique(rows, axis=0, return_inverse=True)
    # numpy 2.0.0 returned the inverse as a column.
    named = np.where(children < 0, ~leaf_of[np.maximum(~children, 0)], children).astype(np.int32)
    root = 0 if len(neurons) else ~leaf_of[0]
    return Tree(functions, asks.ravel(), named, np.array([root], dtype=np.int32))


def _rows(
    regions: Regions, index: int, prefixes: NDArray[Any], neurons: NDArray[np.int64], owners: NDArray[np.int64]
) -> FloatArray:
    """Return the rows of some neurons of hidden layer `index`, each where the prefix of its owner holds."""
    layers, d = regions.network.layers[: index + 1], regions.network.n_inputs
    rows = np.empty((len(neurons), d + 3))
    by_owner = np.argsort(owners, kind="stable")
    for part in chunks(len(prefixes), 2 * (d + 1) * sum(layer.width for layer in layers)):
        here = by_owner[slice(*np.searchsorted(owners[by_owner], [part.start, part.stop]))]
        maps, errors = compose_bounded(layers, prefixes[part].astype(np.bool_), d)
        at = owners[here] - part.start, neurons[here]
        functions, wrong = maps[-1][at], errors[-1][at]
        with np.errstate(over="ignore", invalid="ignore"):
            # What the composition rounded, and what the evaluation rounds.
            wrong = (wrong + (d + 3) * EPSILON * np.abs(functions)) * (1 + (d + 3) * EPSILON)
            rows[here] = np.column_stack([functions, wrong[:, :-1].sum(axis=1), wrong[:, -1]])
    return rows


def shared(tree: Tree) -> Tree:
    """Return the tree with equal subtrees stored once, and without nodes whose two children are equal.

    From the leaves up, by a hash table of what a node asks and its children. Costs O(n).
    """
    n = len(tree.children)
    children, becomes = tree.children.astype(np.int64), np.arange(n)
    _merge(tree.asks, children, becomes, np.full(1 << (2 * n + 1).bit_length(), -1))
    roots = _followed(becomes, tree.roots)
    order, stack = np.empty(n, dtype=np.int64), np.empty(2 * n + 1, dtype=np.int64)
    n_kept = _postorder(children, roots, np.zeros(n, dtype=np.uint8), stack, order)
    kept = order[:n_kept][::-1]
    number = np.empty(n, dtype=np.int64)
    number[kept] = np.arange(len(kept))
    merged, starts = _followed(number, children[kept]), _followed(number, roots)
    return Tree(tree.functions, tree.asks[kept], merged.astype(np.int32), starts.astype(np.int32))


def _followed(becomes: NDArray[np.int64], values: NDArray[Any]) -> NDArray[np.int64]:
    """Return what nodes became; leaves stay."""
    found = values.astype(np.int64)
    inner = found >= 0
    found[inner] = becomes[found[inner]]
    return found


@compiled(entry=True)
def _merge(asks: Any, children: Any, becomes: Any, table: Any) -> None:
    """Write which node or leaf each node becomes, and let children be what they became; parents come first.

    `table` holds -1 everywhere; its length is a power of two and more than twice the number of nodes.
    """
    mask = len(table) - 1
    for node in range(len(children) - 1, -1, -1):
        for side in range(2):
            if children[node, side] >= 0:
                children[node, side] = becomes[children[node, side]]
        left, right = children[node, 0], children[node, 1]
        if left == right:
            becomes[node] = left
            continue
        # Odd constants, and the high bits of the product, which all bits of the factors reach.
        mixed = (asks[node] * 0x9E3779B97F4A7C + left) * 0x2545F4914F6CDD1D + right
        place = ((mixed * 0x2545F4914F6CDD1D) >> 20) & mask
        while table[place] >= 0:
            other = table[place]
            if asks[other] == asks[node] and children[other, 0] == left and children[other, 1] == right:
                becomes[node] = other
                break
            place = (place + 1) & mask
        if table[place] < 0:
            table[place] = node


@compiled(entry=True)
def _postorder(children: Any, roots: Any, seen: Any, stack: Any, order: Any) -> int:
    """Write the nodes that can be reached, children before their parents and subtrees together; return their number."""
    n = 0
    for root in roots:
        top = 0
        stack[0] = root
        while top >= 0:
            node = stack[top]
            if node < 0 or seen[node] == 2:
                top -= 1
            elif seen[node] == 1:
                seen[node] = 2
                order[n] = node
                n += 1
                top -= 1
            else:
                seen[node] = 1
                stack[top + 1], stack[top + 2] = children[node, 0], children[node, 1]
                top += 2
    return n


@compiled(entry=True)
def _grow(
    bits: Any, starts: Any, order: Any, neurons: Any, representatives: Any, children: Any, stack: Any, counts: Any
) -> bool:
    """Write which neuron each node asks, one region below it, and its children; parents come first.

    A stack entry is a range of `order`, the first layer that may divide it, and where its node is to be written.
    Returns whether the patterns are different.
    """
    n_nodes = 0
    top = 0
    stack[0, 0], stack[0, 1], stack[0, 2], stack[0, 3] = 0, len(order), 0, -1
    while top >= 0:
        first, last, layer, slot = stack[top, 0], stack[top, 1], stack[top, 2], stack[top, 3]
        top -= 1
        if last - first == 1:
            if slot >= 0:
                children[slot >> 1, slot & 1] = ~order[first]
            continue
        best = -1
        while best < 0:
            if layer == len(starts) - 1:
                return False
            low, high = starts[layer], starts[layer + 1]
            counts[low:high] = 0
            for i in range(first, last):
                row = order[i]
                for j in range(low, high):
                    counts[j] += bits[row, j]
            smallest = last - first
            for j in range(low, high):
                off = abs(2 * counts[j] - (last - first))
                if off < smallest:
                    best, smallest = j, off
            if best < 0:
                layer += 1
        neurons[n_nodes], representatives[n_nodes] = best, order[first]
        if slot >= 0:
            children[slot >> 1, slot & 1] = n_nodes
        middle = first
        for i in range(first, last):
            if not bits[order[i], best]:
                order[i], order[middle] = order[middle], order[i]
                middle += 1
        stack[top + 1, 0], stack[top + 1, 1], stack[top + 1, 2], stack[top + 1, 3] = first, middle, layer, 2 * n_nodes
        stack[top + 2, 0], stack[top + 2, 1], stack[top + 2, 2], stack[top + 2, 3] = (
            middle,
            last,
            layer,
            2 * n_nodes + 1,
        )
        top += 2
        n_nodes += 1
    return True

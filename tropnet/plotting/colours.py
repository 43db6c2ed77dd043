"""Colours that can be told apart: palettes, and numbers for regions so that adjacent ones differ."""

from __future__ import annotations

import networkx as nx
import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from tropnet.arrays.types import FloatArray

__all__ = ["FILLS", "LINES", "colouring", "fills"]

# Tol's "light" scheme for fills and "bright" for lines (personal.sros.nl/~pault, technical note SRON/EPS/TN/09-002):
# distinct for all kinds of colour vision.
FILLS = ("#77AADD", "#EEDD88", "#EE8866", "#44BB99", "#FFAABB", "#BBCC33", "#99DDFF", "#AAAA00", "#DDDDDD")
LINES = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#AA3377", "#66CCEE")


def colouring(
    n: int, first: NDArray[np.int64], second: NDArray[np.int64], given: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Return a number for each of `n` nodes such that the ends `first` and `second` of an edge differ.

    Nodes whose number is `given`, int64 of shape (n,), keep it, two neighbours that have the same, too; the others, -1
    there, differ from all their neighbours.

    The node of smallest degree is taken off again and again, and the nodes numbered in the opposite order: of those in
    the plane no more than five neighbours come before a node. Of the numbers of `FILLS` that they leave, it gets the
    one that is used least so far, so that all are about as frequent; where they leave none, a new one.
    """
    graph = nx.Graph()
    graph.add_nodes_from(range(n))
    graph.add_edges_from(zip(first.tolist(), second.tolist(), strict=True))
    numbers = [-1] * n if given is None else given.tolist()
    uses = np.bincount([number for number in numbers if number >= 0], minlength=len(FILLS)).tolist()
    rest = graph.subgraph([node for node in range(n) if numbers[node] < 0])
    for node in nx.coloring.strategy_smallest_last(rest, {}):
        taken = {numbers[other] for other in graph[node]}
        free = [number for number in range(len(uses)) if number not in taken]
        if not free:
            free = [len(uses)]
            uses.append(0)
        number = min(free, key=uses.__getitem__)
        numbers[node] = number
        uses[number] += 1
    return np.array(numbers, dtype=np.int64)


def fills(numbers: NDArray[np.int64]) -> FloatArray:
    """Return the fill colour of each number, float64 of shape (n, 3); past the last one they begin again."""
    return np.array([to_rgb(colour) for colour in FILLS])[numbers % len(FILLS)]

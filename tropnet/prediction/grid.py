"""A grid over small trees: where a point lies in a box of few dimensions tells most of the way down at once."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.rounding import EPSILON
from tropnet.arrays.types import FloatArray
from tropnet.kernels import compiled
from tropnet.prediction.tree import Tree

__all__ = ["MAX_DIMENSION", "Grid", "cover"]

MAX_DIMENSION = 3


class Grid(NamedTuple):
    """Equal boxes; the last coordinate counts fastest.

    Attributes
    ----------
    low, steps
        float64, shape (d,): the corner, and how many boxes there are in a unit of length.
    shape
        int64, shape (d,): boxes along each coordinate.
    """

    low: FloatArray
    steps: FloatArray
    shape: NDArray[np.int64]

    @classmethod
    def over(cls, low: FloatArray, high: FloatArray, n_cells: int) -> Grid | None:
        """Divide a box into about `n_cells` boxes; None if it is so large or small that the steps overflow."""
        shape = np.full(len(low), max(1, round(n_cells ** (1 / len(low)))))
        with np.errstate(over="ignore", divide="ignore"):
            steps = shape / (high - low)
        return cls(low, steps, shape) if np.all((steps > 0) & np.isfinite(steps)) else None


def cover(tree: Tree, grid: Grid, most: int) -> Tree | None:
    """Return a tree for each box of the grid, with the nodes whose hyperplane meets the box; then the given trees.

    The boxes' roots come before those of `tree`, the last of which is the whole tree. None if that takes more than
    `most` nodes. A box of which rounding could decide whether a point lies in it counts for both. Costs
    O(boxes * depth * d), and O(d) a node.
    """
    roots = np.empty(int(grid.shape.prod()), dtype=np.int32)
    stack = np.empty((len(tree.asks) + 2, 2), dtype=np.int64)
    none, no_children = np.empty(0, dtype=np.int64), np.empty((0, 2), dtype=np.int32)
    root = int(tree.roots[-1])
    parts = tree.functions, tree.asks, tree.children, root, *grid, stack, roots
    n = _cover(*parts, none, no_children, most, False)
    if n > most:
        return None
    taken, children = np.empty(n, dtype=np.int64), np.empty((n, 2), dtype=np.int32)
    _cover(*parts, taken, children, most, True)
    own, starts = (np.where(each >= 0, each + n, each) for each in (tree.children, tree.roots))
    return Tree(
        tree.functions,
        np.concatenate([tree.asks[taken], tree.asks]),
        np.concatenate([children, own]).astype(np.int32),
        np.concatenate([roots, starts]).astype(np.int32),
    )


@compiled(entry=True)
def _cover(
    functions: Any, asks: Any, children: Any, root: Any, low: Any, steps: Any, shape: Any, stack: Any,
    roots: Any, taken: Any, new_children: Any, most: Any, write: Any,
) -> int:  # fmt: skip
    """Write the trees of all boxes, parents first, or only count their nodes, up to a little more than `most`."""
    d = len(low)
    n = 0
    for cell in range(len(roots)):
        if n > most:
            break
        stack[0, 0], stack[0, 1] = root, -1
        top = 0
        while top >= 0 and n <= most:
            node, slot = stack[top, 0], stack[top, 1]
            top -= 1
            both = False
            while node >= 0 and not both:
                row = functions[asks[node]]
                middle, radius, far = row[d], 0.0, 0.0
                rest = cell
                for j in range(d - 1, -1, -1):
                    place = rest % shape[j]
                    rest //= shape[j]
                    x = low[j] + (place + 0.5) / steps[j]
                    # A point next to the box may be counted to it: the place is computed in float64.
                    inexact = 16 * EPSILON * (abs(low[j]) + abs(low[j] + shape[j] / steps[j]))
                    half = (0.5 / steps[j] + inexact) * (1 + 1e-9)
                    middle += row[j] * x
                    radius += abs(row[j]) * half
                    far = max(far, abs(x) + half)
                margin = radius * (1 + 1e-9) + 2 * (row[d + 1] * far + row[d + 2])
                if middle > margin:
                    node = children[node, 1]
                elif middle < -margin:
                    node = children[node, 0]
                else:
                    both = True
            if write:
                here = n if both else node
                if slot < 0:
                    roots[cell] = here
                else:
                    new_children[slot >> 1, slot & 1] = here
            if both:
                if write:
                    taken[n] = node
                stack[top + 1, 0], stack[top + 1, 1] = children[node, 0], 2 * n
                stack[top + 2, 0], stack[top + 2, 1] = children[node, 1], 2 * n + 1
                top += 2
                n += 1
    return n

"""Descend a search tree with many points, and apply the affine maps at its leaves."""

from __future__ import annotations

from typing import Any

import numpy as np

from tropnet.arrays.rounding import EPSILON, SMALLEST_NORMAL
from tropnet.kernels import compiled

__all__ = ["DONE", "NEAR", "OUTSIDE", "OVERFLOW", "count_comparisons", "descend"]

DONE, NEAR, OUTSIDE, OVERFLOW = range(4)


@compiled(inline=True)
def _start(x: Any, roots: Any, grids: Any) -> int:
    """Return the root for a point: that of its box in the first grid that holds it, or the last one beyond all."""
    first = 0
    for g in range(len(grids)):
        cell, n_cells = 0, 1
        inside = True
        for j in range(grids.shape[2]):
            place = (x[j] - grids[g, 0, j]) * grids[g, 1, j]
            size = int(grids[g, 2, j])
            inside &= 0.0 <= place <= size
            cell = cell * size + (min(int(place), size - 1) if inside else 0)
            n_cells *= size
        if inside:
            return int(roots[first + cell])
        first += n_cells
    return int(roots[len(roots) - 1])


@compiled(inline=True)
def _scale(x: Any, unit: Any) -> float:
    """Return by what the bounds on rounding are to be multiplied at a point."""
    largest = 0.0
    for j in range(len(x)):
        largest = max(largest, abs(x[j]))
    return float(1.0 + largest / unit)


@compiled(inline=True)
def _side(x: Any, box: Any, sides: Any) -> int:
    """Return `DONE` if a point surely lies in the domain, `OUTSIDE` if surely not (NaN and infinities do not)."""
    d = len(x)
    for j in range(d):
        if not box[0, j] <= x[j] <= box[1, j]:
            return OUTSIDE
    state = DONE
    for i in range(len(sides)):
        z, size = -sides[i, d], abs(sides[i, d])
        for j in range(d):
            z += sides[i, j] * x[j]
            size += abs(sides[i, j] * x[j])
        bound = (d + 3) * EPSILON * size + SMALLEST_NORMAL
        if z > bound:
            return OUTSIDE
        if not z < -bound:
            state = NEAR
    return state


@compiled(entry=True)
def descend(
    points: Any, rows: Any, children: Any, roots: Any, grids: Any, box: Any, sides: Any, unit: Any, maps: Any,
    outputs: Any, states: Any, places: Any, scales: Any,
) -> int:  # fmt: skip
    """Write the output at each point, or why there is none; return how many have none.

    The points of a block go down together, a level at a time, and those that are at a leaf leave the list: so the
    processor waits neither for memory nor for a comparison, which is what one point alone would make it do.

    Parameters
    ----------
    points
        float64, shape (n, d).
    rows, children, roots
        float64 (nodes, d + 2): (a | c) and the bound on the error of a x + c, times `_scale`; int32 (nodes, 2); int32:
        those of the boxes of all grids, and of the whole tree.
    grids
        float64, shape (g, 3, d): low, steps and shape of each `Grid`.
    box, sides, unit
        float64, shapes (2, d) and (m, d + 1): the domain is low <= x <= high and rows (A | b) with A x <= b. A length.
    maps
        float64, shape (n_maps, n_outputs, d + 1).
    outputs, states
        float64 (n, n_outputs) and uint8 (n,), written: `DONE`, `NEAR` (a hyperplane or side within rounding),
        `OUTSIDE`, or `OVERFLOW`.
    places, scales
        int64 (2, block) and float64 (block,): scratch, a column for each point of a block.
    """
    n, d = points.shape
    failed = 0
    for first in range(0, n, places.shape[1]):
        size = min(places.shape[1], n - first)
        n_active = 0
        for p in range(size):
            x = points[first + p]
            state = _side(x, box, sides)
            states[first + p] = state
            node = _start(x, roots, grids) if state == DONE else -1
            scales[p] = _scale(x, unit)
            places[0, p] = node
            places[1, n_active] = p
            n_active += node >= 0
        while n_active > 0:
            n_left = 0
            for k in range(n_active):
                p = places[1, k]
                node = places[0, p]
                row, x = rows[node], points[first + p]
                z = row[d]
                for j in range(d):
                    z += row[j] * x[j]
                below = children[node, 1 if z > 0 else 0]
                if not abs(z) > row[d + 1] * scales[p]:
                    states[first + p] = NEAR
                    below = -1
                places[0, p] = below
                places[1, n_left] = p
                n_left += below >= 0
            n_active = n_left
        for p in range(size):
            leaf = ~places[0, p]
            finite = True
            for k in range(maps.shape[1]):
                value = maps[leaf, k, d]
                for j in range(d):
                    value += maps[leaf, k, j] * points[first + p, j]
                outputs[first + p, k] = value
                finite &= abs(value) < np.inf
            if not finite and states[first + p] == DONE:
                states[first + p] = OVERFLOW
            failed += states[first + p] != DONE
    return failed


@compiled(entry=True)
def count_comparisons(points: Any, rows: Any, children: Any, roots: Any, grids: Any, counts: Any) -> None:
    """Write how many nodes each point meets, wherever rounding leads it."""
    d = points.shape[1]
    for i in range(len(points)):
        x = points[i]
        node = _start(x, roots, grids)
        counts[i] = 0
        while node >= 0:
            z = rows[node, d]
            for j in range(d):
                z += rows[node, j] * x[j]
            node = children[node, 1 if z > 0 else 0]
            counts[i] += 1

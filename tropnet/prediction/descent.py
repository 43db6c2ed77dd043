"""Descend a search tree with many points, and apply the affine maps at its leaves."""

from __future__ import annotations

from typing import Any

from tropnet.compiled import compiled

__all__ = ["DONE", "NEAR", "OUTSIDE", "count_comparisons", "descend"]

DONE, NEAR, OUTSIDE = range(3)


@compiled(inline=True)
def _start(x: Any, roots: Any, grid: Any) -> int:
    """Return the root for a point: that of its box in the grid, or the last one beyond the grid."""
    cell = 0
    for j in range(grid.shape[1]):
        place = (x[j] - grid[0, j]) * grid[1, j]
        size = grid[2, j]
        if not 0.0 <= place <= size:
            return int(roots[len(roots) - 1])
        cell = cell * int(size) + min(int(place), int(size) - 1)
    return int(roots[cell])


@compiled(inline=True)
def _scale(x: Any, bounded: Any) -> float:
    """Return by what the bounds on rounding are to be multiplied: they hold in the whole domain if it is bounded."""
    scale = 1.0
    if not bounded:
        for j in range(len(x)):
            scale = max(scale, 1.0 + abs(x[j]))
    return scale


@compiled(inline=True)
def _inside(x: Any, box: Any, sides: Any) -> bool:
    """Return whether a point lies in the domain; NaN and infinities do not."""
    d = len(x)
    for j in range(d):
        if not box[0, j] <= x[j] <= box[1, j]:
            return False
    for i in range(len(sides)):
        z = 0.0
        for j in range(d):
            z += sides[i, j] * x[j]
        if not z <= sides[i, d]:
            return False
    return True


@compiled(entry=True)
def descend(
    points: Any, rows: Any, children: Any, roots: Any, grid: Any, box: Any, sides: Any, bounded: Any, maps: Any,
    outputs: Any, states: Any,
) -> int:  # fmt: skip
    """Write the output at each point, or why there is none; return how many have none.

    Parameters
    ----------
    points
        float64, shape (n, d).
    rows, children, roots
        float64 (nodes, d + 2): (a | c) and the bound on the error of a x + c, times `_scale`; int32 (nodes, 2), int32.
    grid
        float64, shape (3, g): low, steps, shape of a `Grid`, g = 0 for none.
    box, sides
        float64, shapes (2, d) and (m, d + 1): the domain is low <= x <= high and rows (A | b) with A x <= b.
    maps
        float64, shape (n_maps, n_outputs, d + 1).
    outputs, states
        float64 (n, n_outputs) and uint8 (n,), `DONE`, `NEAR` a hyperplane than rounding tells, or `OUTSIDE`; written.
    """
    d = points.shape[1]
    failed = 0
    for i in range(len(points)):
        x = points[i]
        states[i] = DONE
        if not _inside(x, box, sides):
            states[i] = OUTSIDE
            failed += 1
            continue
        scale = _scale(x, bounded)
        node = _start(x, roots, grid)
        while node >= 0:
            z = rows[node, d]
            for j in range(d):
                z += rows[node, j] * x[j]
            if not abs(z) > rows[node, d + 1] * scale:
                break
            node = children[node, 1 if z > 0 else 0]
        if node >= 0:
            states[i] = NEAR
            failed += 1
            continue
        leaf = ~node
        for k in range(maps.shape[1]):
            value = maps[leaf, k, d]
            for j in range(d):
                value += maps[leaf, k, j] * x[j]
            outputs[i, k] = value
    return failed


@compiled(entry=True)
def count_comparisons(points: Any, rows: Any, children: Any, roots: Any, grid: Any, counts: Any) -> None:
    """Write how many nodes each point meets, wherever rounding leads it."""
    d = points.shape[1]
    for i in range(len(points)):
        x = points[i]
        node = _start(x, roots, grid)
        counts[i] = 0
        while node >= 0:
            z = rows[node, d]
            for j in range(d):
                z += rows[node, j] * x[j]
            node = children[node, 1 if z > 0 else 0]
            counts[i] += 1

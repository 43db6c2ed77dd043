"""Entering a layer, compiled: what the generators, or the box around them, decide; slots for the other neurons."""

from __future__ import annotations

from typing import Any

import numpy as np

from tropnet.enumeration.engines.composition import PENDING, enter_layer
from tropnet.enumeration.engines.vertex.generators import gather, look_again, products, refine
from tropnet.enumeration.engines.vertex.stack import DECISIONS, ROUNDING
from tropnet.kernels import compiled, popcount

__all__ = ["enter", "look", "take_bits"]

# Cells of more generators enter a layer by the box around them; of up to so many, each is looked at.
_MANY = 10
# Generators that are less certain than this share of the width of a cell, towards the neurons of a layer that cut it,
# are computed anew on entering the layer: before many others come of them.
_WORN = 1e-5


@compiled(inline=True, reorder=True)
def enter(problem: Any, rows: Any, stack: Any, frame: int) -> bool:
    """Enter the frame's layer: decide what does not cut, give slots to other neurons; False if a fixed bit is missed.

    Where there are not slots for all, the others stay in `later` until those are decided.
    """
    layer, D = stack.layer[frame], stack.rows.shape[0]
    first = problem.first_neuron[layer]
    start, size = stack.start[frame], stack.size[frame]
    slack = 2.0 * ROUNDING * D + stack.spread[frame]
    scale = 1.0 + stack.spread[frame]
    candidates, low, high, z = stack.candidates, stack.low, stack.high, stack.z
    m = stack.n_later[frame]
    again = m > 0
    if again:
        for c in range(m):
            candidates[c] = stack.later[frame, c]
    else:
        m = _range_over_layer(problem, rows, stack, frame, slack, scale)
        if m < 0:
            return False
    if again or size > _MANY:
        gather(problem, rows, stack, layer, candidates, m)
        for p in range(start, start + size):
            products(stack, np.int64(stack.members[p]), m, z)
            if p == start:
                for c in range(m):
                    low[c] = z[c]
                    high[c] = z[c]
            else:
                for c in range(m):
                    low[c] = z[c] if z[c] < low[c] else low[c]
                    high[c] = z[c] if z[c] > high[c] else high[c]
    left = 0
    reach = 0.0
    for c in range(m):
        i = candidates[c]
        j = first + i
        bound = rows.norm[j] * slack + rows.error[j] * scale
        bit = 2
        if low[c] > bound:
            bit = 1
        elif high[c] < -bound:
            bit = 0
        elif low[c] >= -bound or high[c] <= bound:
            bit = _constant_bit(problem, rows, stack, layer, i)
        if bit != 2:
            stack.totals[DECISIONS] += 1
            if stack.fixed[j] == 1 - bit:
                return False
            stack.state[j] = bit
            if bit:
                stack.bits[frame, j >> 6] |= np.uint64(1) << np.uint64(j & 63)
            continue
        if not again:
            stack.state[j] = PENDING
            stack.listed[layer, left] = i
        reach += (high[c] - low[c]) / rows.norm[j]
        candidates[left] = i
        left += 1
    if not again:
        stack.n_listed[layer] = left
        enter_layer(problem, rows, layer, stack.state, D)
    S = stack.slots.shape[1]
    m = min(left, S)
    # The last ones are decided first.
    stack.n_later[frame] = left - m
    for c in range(left - m):
        stack.later[frame, c] = candidates[c]
    if m > 0:
        _give_slots(problem, rows, stack, frame, candidates[left - m : left], m, _WORN * reach / left)
    return True


@compiled(inline=True, reorder=True)
def _range_over_layer(problem: Any, rows: Any, stack: Any, frame: int, slack: float, scale: float) -> int:
    """Decide what the generators, or the box around many, decide; list the others, with `low` and `high`, and count.

    Returns
    -------
    The number of `candidates`, -1 if a fixed bit is missed.
    """
    layer, D = stack.layer[frame], stack.rows.shape[0]
    first, n = problem.first_neuron[layer], problem.widths[layer]
    at = problem.rows_at[layer]
    start, size = stack.start[frame], stack.size[frame]
    low, high = stack.low[:n], stack.high[:n]
    row_0, row_1 = rows.done[at : at + n], rows.done[at + n : at + 2 * n]
    if size <= _MANY:
        for p in range(start, start + size):
            u = stack.members[p]
            x_0, x_1 = stack.X[u, 0], stack.X[u, 1]
            if D == 3:
                # The common case in one pass.
                row_2, x_2 = rows.done[at + 2 * n : at + 3 * n], stack.X[u, 2]
                if p == start:
                    for i in range(n):
                        low[i] = (row_0[i] * x_0 + row_1[i] * x_1) + row_2[i] * x_2
                        high[i] = low[i]
                else:
                    for i in range(n):
                        z_i = (row_0[i] * x_0 + row_1[i] * x_1) + row_2[i] * x_2
                        low[i] = z_i if z_i < low[i] else low[i]
                        high[i] = z_i if z_i > high[i] else high[i]
                continue
            z = stack.z[:n]
            for i in range(n):
                z[i] = row_0[i] * x_0 + row_1[i] * x_1
            for k in range(2, D):
                row, x = rows.done[at + k * n : at + (k + 1) * n], stack.X[u, k]
                for i in range(n):
                    z[i] += row[i] * x
            if p == start:
                for i in range(n):
                    low[i] = z[i]
                    high[i] = z[i]
            else:
                for i in range(n):
                    low[i] = z[i] if z[i] < low[i] else low[i]
                    high[i] = z[i] if z[i] > high[i] else high[i]
    else:
        # The range of z over the smallest box around the generators.
        for i in range(n):
            low[i] = 0.0
            high[i] = 0.0
        for k in range(D):
            least = most = stack.X[stack.members[start], k]
            for p in range(start + 1, start + size):
                x = stack.X[stack.members[p], k]
                least = min(least, x)
                most = max(most, x)
            centre, reach = 0.5 * (least + most), 0.5 * (most - least)
            row = rows.done[at + k * n : at + (k + 1) * n]
            for i in range(n):
                low[i] += row[i] * centre - abs(row[i]) * reach
                high[i] += row[i] * centre + abs(row[i]) * reach
    left = 0
    for i in range(n):
        j = first + i
        bound = rows.norm[j] * slack + rows.error[j] * scale
        word, bit = j >> 6, np.uint64(1) << np.uint64(j & 63)
        if low[i] > bound and problem.slopes[j, 0] != problem.slopes[j, 1]:
            if stack.fixed[j] == 0:
                return -1
            stack.state[j] = 1
            stack.bits[frame, word] |= bit
            continue
        if high[i] < -bound or problem.slopes[j, 0] == problem.slopes[j, 1]:
            if stack.fixed[j] == 1:
                return -1
            stack.state[j] = 0
            continue
        if stack.cuts[frame, word] & bit:
            # Decided before the search, to make a cell with a vertex.
            stack.state[j] = stack.bits[frame, word] & bit != 0
            if stack.fixed[j] == 1 - stack.state[j]:
                return -1
            continue
        stack.candidates[left] = i
        low[left], high[left] = low[i], high[i]
        left += 1
    return left


@compiled(inline=True)
def _constant_bit(problem: Any, rows: Any, stack: Any, layer: int, i: int) -> int:
    """Return the bit of a neuron if its row is exactly constant, else 2."""
    n, at, j = problem.widths[layer], problem.rows_at[layer] + i, problem.first_neuron[layer] + i
    if rows.error[j] != 0.0:
        return 2
    d = stack.rows.shape[0] - 1
    for k in range(d):
        if rows.done[at + k * n] != 0.0:
            return 2
    return int(rows.done[at + d * n] > 0.0)


@compiled(inline=True, reorder=True)
def _give_slots(problem: Any, rows: Any, stack: Any, frame: int, neurons: Any, m: int, worn: float) -> None:
    """Copy the generators to the top of the pool, for the frame and those that come of it, with z of m neurons there.

    Those with a radius above `worn` are computed anew before.
    """
    layer, D = stack.layer[frame], stack.rows.shape[0]
    first = problem.first_neuron[layer]
    start, size, top = stack.start[frame], stack.size[frame], stack.top[frame]
    level = stack.level[frame] + 1
    stack.level[frame], stack.n_slots[level], stack.tried[frame] = level, m, False
    stack.layers[level] = layer
    for s in range(m):
        i = neurons[s]
        stack.slots[level, s] = i
        stack.norms[level, s], stack.wrong[level, s] = rows.norm[first + i], rows.error[first + i]
    gather(problem, rows, stack, layer, neurons, m)
    spread, rounding = stack.spread[frame], ROUNDING * D
    for s in range(m):
        stack.bounds[s] = stack.norms[level, s] * (rounding + spread) + stack.wrong[level, s] * (1.0 + spread)
    for p in range(size):
        u, w = np.int64(stack.members[start + p]), top + p
        if stack.radius[u] > worn and refine(problem, rows, stack, frame, u) and level > 0:
            # Frames below still list it, with the slots of the level before.
            look_again(problem, rows, stack, level - 1, u)
        for k in range(D):
            stack.X[w, k] = stack.X[u, k]
        stack.radius[w], stack.tight[w] = stack.radius[u], stack.tight[u]
        z = stack.X[w, D : D + m]
        products(stack, w, m, z)
        positive = negative = np.uint64(0)
        for s in range(m):
            positive |= np.uint64(z[s] > stack.bounds[s]) << np.uint64(s)
            negative |= np.uint64(z[s] < -stack.bounds[s]) << np.uint64(s)
        stack.positive[w], stack.negative[w], stack.zero[w] = positive, negative, np.uint64(0)
        stack.members[start + p] = w
    stack.top[frame] = top + size
    # As 64 bits are not shifted by 64.
    stack.open[frame] = (np.uint64(2) << np.uint64(m - 1)) - np.uint64(1)
    look(stack, frame)


@compiled(inline=True)
def look(stack: Any, frame: int) -> None:
    """Set what the signs at a frame's generators say of its slots."""
    positive = negative = zero = np.uint64(0)
    certain = ~np.uint64(0)
    for p in range(stack.start[frame], stack.start[frame] + stack.size[frame]):
        u = stack.members[p]
        positive |= stack.positive[u]
        negative |= stack.negative[u]
        zero |= stack.zero[u]
        certain &= stack.positive[u] | stack.negative[u] | stack.zero[u]
    stack.some_positive[frame], stack.some_negative[frame], stack.some_zero[frame] = positive, negative, zero
    stack.certain[frame] = certain


@compiled(inline=True)
def take_bits(problem: Any, stack: Any, frame: int) -> bool:
    """Decide the open slots whose neurons certainly do not cut; return False if a fixed bit is missed."""
    positive, negative = stack.some_positive[frame], stack.some_negative[frame]
    decided = stack.open[frame] & stack.certain[frame] & ~(positive & negative)
    stack.open[frame] &= ~decided
    first, level = problem.first_neuron[stack.layer[frame]], stack.level[frame]
    right = True
    while decided:
        lowest = decided & (~decided + np.uint64(1))
        decided ^= lowest
        j = first + stack.slots[level, popcount(lowest - np.uint64(1))]
        bit = positive & lowest != 0
        stack.totals[DECISIONS] += 1
        if bit:
            stack.bits[frame, j >> 6] |= np.uint64(1) << np.uint64(j & 63)
        right = right and stack.fixed[j] != 1 - bit
    return right

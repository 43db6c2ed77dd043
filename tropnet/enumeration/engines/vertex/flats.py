"""The regions of the last layer counted by flats, compiled: the part of the search that only counts need."""

from __future__ import annotations

from typing import Any

import numpy as np

from tropnet.enumeration.engines.vertex.generators import crossing, highest, most_crossing, signs_by_bound, spans_edge
from tropnet.enumeration.engines.vertex.stack import ROUNDING
from tropnet.kernels import compiled, popcount

__all__ = ["count_below"]


@compiled(apart=True, reorder=True)
def count_below(stack: Any, frame: int) -> int:
    """Count the regions into which the open slots of the last layer cut a frame's cell, without making them.

    By deletion and restriction: forms h_1, ..., h_m that cut a cell of dimension d (or a flat of it) cut it into

        1 + sum over k of (regions of the cell on h_k = 0, cut by h_1, ..., h_{k-1}),

    where k is left out if one of the earlier forms vanishes on all of h_k = 0. So there are as many regions as flats,
    which are smaller from dimension to dimension, and of which only those count that two forms or more cut
    (Zaslavsky 1975, doi:10.1090/memo/0154).

    The signs of the open slots at the generators of the cell are certain, and all of them cut it.

    Returns
    -------
    -1 if a sign on a flat is not certain, -2 if the arrays are too small; nothing has changed then.
    """
    level, D = stack.level[frame], stack.rows.shape[0]
    members, tight = stack.members, stack.tight
    flat_start, flat_size, flat_open, flat_top = stack.flat_start, stack.flat_size, stack.flat_open, stack.flat_top
    flat_start[0], flat_size[0] = stack.start[frame], stack.size[frame]
    flat_open[0], flat_top[0] = stack.open[frame], stack.top[frame]
    stack.flat_simple[0] = stack.simple[frame]
    total, depth = 1, 0
    while depth >= 0:
        if flat_open[depth] == 0:
            depth -= 1
            continue
        # The highest slot, restricted to which the lower ones are looked at.
        slot = highest(flat_open[depth])
        mask = np.uint64(1) << np.uint64(slot)
        flat_open[depth] ^= mask
        lower = flat_open[depth]
        if lower == 0:
            total += 1
            continue
        start, size, first = flat_start[depth], flat_size[depth], flat_top[depth]
        end = start + size
        n_positive = n_negative = 0
        for p in range(start, end):
            u = members[p]
            if stack.positive[u] & mask:
                stack.all[n_positive] = u
                n_positive += 1
            elif stack.negative[u] & mask:
                stack.across[n_negative] = u
                stack.across_tight[n_negative] = tight[u]
                n_negative += 1
        n_zero = size - n_positive - n_negative
        simple = stack.flat_simple[depth]
        most = n_zero + most_crossing(n_positive, n_negative, D, simple)
        if members.shape[0] - end < most or stack.X.shape[0] - first < most:
            return -2
        n_columns = D + highest(lower) + 1
        n_new, top = 0, first
        some_positive = some_negative = np.uint64(0)
        if n_zero:
            for p in range(start, end):
                u = members[p]
                if not (stack.positive[u] | stack.negative[u]) & mask:
                    if not stack.zero[u] & mask:
                        return -1
                    members[end + n_new] = u
                    n_new += 1
                    some_positive |= stack.positive[u]
                    some_negative |= stack.negative[u]
                    if lower & ~(stack.positive[u] | stack.negative[u] | stack.zero[u]):
                        return -1
        norm, error = stack.norms[level, slot], stack.wrong[level, slot]
        for p in range(n_positive):
            u = np.int64(stack.all[p])
            tight_u, ru = tight[u], stack.radius[u]
            zu = max(abs(stack.X[u, D + slot]), norm * ROUNDING)
            for m in range(n_negative):
                common = tight_u & stack.across_tight[m]
                if popcount(common) < D - 2 - depth:
                    continue
                v = np.int64(stack.across[m])
                if not simple and not spans_edge(stack, members, start, end, u, v, common):
                    continue
                radius, _ = crossing(stack, slot, norm, error, u, ru, zu, v, top, n_columns)
                if radius == np.inf:
                    return -1
                positive, negative = signs_by_bound(stack, level, stack.X[top, D:n_columns], radius)
                if lower & ~(positive | negative):
                    return -1
                stack.radius[top], tight[top] = radius, common
                stack.positive[top], stack.negative[top], stack.zero[top] = positive, negative, np.uint64(0)
                some_positive |= positive
                some_negative |= negative
                members[end + n_new] = top
                n_new += 1
                top += 1
        if lower & ~(some_positive | some_negative):
            # An earlier form vanishes on this flat: it is its own, too.
            continue
        total += 1
        lower &= some_positive & some_negative
        if lower & (lower - np.uint64(1)) == 0:
            total += lower != 0
            continue
        depth += 1
        flat_start[depth], flat_size[depth], flat_open[depth], flat_top[depth] = end, n_new, lower, top
        stack.flat_simple[depth] = simple and n_zero == 0
    return total

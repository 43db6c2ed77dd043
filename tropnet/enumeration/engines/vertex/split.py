"""A cell split by a hyperplane, compiled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tropnet.arrays.rounding import SAFE_LOW
from tropnet.enumeration.engines.vertex.generators import (
    crossing,
    highest,
    look_again,
    most_crossing,
    refine,
    signs_by_bound,
    spans_edge,
)
from tropnet.enumeration.engines.vertex.slots import look
from tropnet.enumeration.engines.vertex.stack import ASIDE, GROW, N_FRAMES, ROUNDING
from tropnet.kernels import compiled, popcount

__all__ = ["split"]

# New generators that are less certain than this are computed anew from their facets at once.
_COARSE = 1e-2


@compiled(inline=True, reorder=True)
def split(problem: Any, rows: Any, stack: Any, frame: int, slot: int) -> int:
    """Split the top frame by the neuron of a slot: it becomes the inactive side, and frame + 1 the active one.

    The pool of generators, and the lists of a frame's generators (indices into the pool), before and after; - 0 + are
    the signs of z at the old generators, 0' copies of those on the hyperplane with the bit of the new facet, n the new
    ones on crossing edges::

        pool     | older frames | this frame's: - + 0 ... | free
        pool     | older frames | this frame's: - + 0 ... | 0' 0' n n n | free
                                                           ^ top before   ^ top of both sides

        members  | older lists  | - + 0 - + ...     | free
        members  | older lists  | - - ... 0' 0' n n | + + ... 0' 0' n n | free
                                 ^ start[frame]      ^ start[frame + 1]

    Both sides share the generators of the pool that they have in common. The active side is searched first; when it is
    done, the free room begins at `top` of the inactive side again. Old generators keep their place and bits, as frames
    below still list them.

    Returns
    -------
    0, or (then nothing has changed) `GROW` if the arrays are too small, `ASIDE` if no facet bit is free.
    """
    start, size, layer, level = stack.start[frame], stack.size[frame], stack.layer[frame], stack.level[frame]
    D = stack.rows.shape[0]
    j = problem.first_neuron[layer] + stack.slots[level, slot]
    members, tight = stack.members, stack.tight
    mask = np.uint64(1) << np.uint64(slot)
    used = np.uint64(0)
    n_positive = n_negative = 0
    for p in range(size):
        u = members[start + p]
        stack.all[p] = u
        used |= tight[u]
        if stack.positive[u] & mask:
            n_positive += 1
        elif stack.negative[u] & mask:
            stack.across[n_negative] = u
            stack.across_tight[n_negative] = tight[u]
            n_negative += 1
    n_zero = size - n_positive - n_negative
    if ~used == np.uint64(0):
        return ASIDE
    bit = ~used & (used + np.uint64(1))
    # Room for both lists beside a list of the new generators, and for those in the pool.
    most = n_zero + most_crossing(n_positive, n_negative, D, stack.simple[frame])
    first = stack.top[frame]
    room = min(members.shape[0] - start - 2 * size, stack.X.shape[0] - first)
    if room < 3 * most or frame + 2 > stack.layer.shape[0]:
        return GROW
    open_ = stack.open[frame] & ~mask
    n_columns = D + highest(open_) + 1
    above, low, high, top = frame + 1, start, start + size + most, first
    for p in range(size):
        u = members[start + p]
        if stack.positive[u] & mask:
            members[high] = u
            high += 1
        elif stack.negative[u] & mask:
            members[low] = u
            low += 1
        else:
            # Above its sibling frames' generator of the same place, whose bits mean something else.
            for k in range(n_columns):
                stack.X[top, k] = stack.X[u, k]
            stack.radius[top] = stack.radius[u]
            tight[top] = tight[u] | bit
            stack.positive[top], stack.negative[top] = stack.positive[u], stack.negative[u]
            stack.zero[top] = stack.zero[u]
            top += 1
    norm, error = stack.norms[level, slot], stack.wrong[level, slot]
    rounding, simple = ROUNDING * D, stack.simple[frame]
    for p in range(start + size + most, high):
        u = np.int64(members[p])
        tight_u, ru = tight[u], stack.radius[u]
        zu = max(abs(stack.X[u, D + slot]), norm * ROUNDING)
        for m in range(n_negative):
            common = tight_u & stack.across_tight[m]
            if popcount(common) < D - 2:
                continue
            v = np.int64(stack.across[m])
            if not simple and not spans_edge(stack, stack.all, np.int64(0), size, u, v, common):
                continue
            radius, largest = crossing(stack, slot, norm, error, u, ru, zu, v, top, n_columns)
            x = stack.X[top, :n_columns]
            if largest < 0.01:
                # A power of two scales exactly. What z lost is scaled, too.
                scale = math.ldexp(1.0, -math.frexp(max(largest, SAFE_LOW))[1])
                for k in range(n_columns):
                    x[k] *= scale
                radius = (radius + rounding) * scale
            stack.radius[top] = radius
            tight[top] = common | bit
            positive, negative = signs_by_bound(stack, level, x[D:], radius)
            stack.positive[top], stack.negative[top], stack.zero[top] = positive, negative, np.uint64(0)
            top += 1
    number = np.int64(popcount(bit - np.uint64(1)))
    stack.owner[frame, number] = j
    for w in range(first + n_zero, top):
        if stack.radius[w] > _COARSE and refine(problem, rows, stack, frame, np.int64(w)):
            look_again(problem, rows, stack, level, np.int64(w))

    # The lists: what is left of the old one below, the copy with the other side above.
    n_new = top - first
    for w in range(n_new):
        members[low + w] = first + w
    up = low + n_new
    for p in range(n_positive):
        members[up + p] = members[start + size + most + p]
    for w in range(n_new):
        members[up + n_positive + w] = first + w

    word, own = j >> 6, np.uint64(1) << np.uint64(j & 63)
    stack.share[frame] *= 0.5
    stack.cuts[frame, word] |= own
    for k in range(64):
        stack.owner[above, k] = stack.owner[frame, k]
    for k in range(stack.bits.shape[1]):
        stack.bits[above, k] = stack.bits[frame, k]
        stack.cuts[above, k] = stack.cuts[frame, k]
    stack.bits[above, word] |= own
    stack.layer[above], stack.level[above] = layer, level
    stack.tried[frame] = stack.tried[above] = False
    stack.share[above] = stack.share[frame]
    stack.n_later[above] = stack.n_later[frame]
    for k in range(stack.n_later[frame]):
        stack.later[above, k] = stack.later[frame, k]
    stack.open[frame] = stack.open[above] = open_
    stack.size[frame] = up - start
    stack.start[above] = up
    stack.size[above] = n_positive + n_new
    stack.top[frame] = stack.top[above] = top
    _summarise(stack, frame)
    _summarise(stack, above)
    stack.totals[N_FRAMES] += 1
    return 0


@compiled(inline=True)
def _summarise(stack: Any, frame: int) -> None:
    """Set `spread` and `simple` of a frame, and what the signs at its generators say."""
    D = stack.rows.shape[0]
    simple, spread = True, 0.0
    for p in range(stack.start[frame], stack.start[frame] + stack.size[frame]):
        u = stack.members[p]
        spread = max(spread, stack.radius[u])
        simple = simple and popcount(stack.tight[u]) == D - 1
    stack.simple[frame], stack.spread[frame] = simple, spread
    look(stack, frame)

"""Signs at generators that float64 does not make certain, compiled: the part of the search that only ties need."""

from __future__ import annotations

from typing import Any

import numpy as np

from tropnet.enumeration.engines.residues import UNKNOWN, sign_at
from tropnet.enumeration.engines.vanishing import vanishes
from tropnet.enumeration.engines.vertex.generators import look_again, refine
from tropnet.enumeration.engines.vertex.regions import is_facet
from tropnet.enumeration.engines.vertex.slots import look
from tropnet.enumeration.engines.vertex.stack import N_MEMO, ROUNDING, UNCERTAIN, VANISHED
from tropnet.kernels import compiled, popcount

__all__ = ["certify"]


@compiled(apart=True)
def certify(problem: Any, rows: Any, stack: Any, frame: int, slot: int) -> int:
    """Make the signs of a slot at all generators certain, and return 1; 0 if the caller must answer `memo`.

    Without a slot, -1, name facets after the first neuron that vanishes on them, as `_name_facets` says.
    """
    if slot < 0:
        _name_facets(problem, stack, frame)
        return 1
    layer, level = stack.layer[frame], stack.level[frame]
    i = stack.slots[level, slot]
    mask = np.uint64(1) << np.uint64(slot)
    for m in range(stack.totals[N_MEMO]):
        # The caller has moved the generator, too.
        u, sign = stack.memo[m, 0], stack.memo[m, 1]
        look_again(problem, rows, stack, stack.level[frame], u)
        _set_sign(stack, u, mask, sign)
    asked = 0
    for p in range(stack.start[frame], stack.start[frame] + stack.size[frame]):
        u = np.int64(stack.members[p])
        if (stack.positive[u] | stack.negative[u] | stack.zero[u]) & mask:
            continue
        sign = _settle(problem, rows, stack, frame, layer, i, slot, u)
        if sign == 2:
            stack.memo[asked, 0], stack.memo[asked, 1] = u, 2
            asked += 1
        else:
            _set_sign(stack, u, mask, sign)
    stack.totals[N_MEMO] = asked
    stack.asked[0], stack.asked[1] = i, slot
    look(stack, frame)
    return int(asked == 0)


@compiled()
def _name_facets(problem: Any, stack: Any, frame: int) -> None:
    """Name facets after neurons that vanish on them, and that come before those that cut there.

    Those neurons have open slots that are certain and do not cut the cell.
    """
    touching = stack.open[frame] & stack.certain[frame] & stack.some_zero[frame]
    touching &= ~(stack.some_positive[frame] & stack.some_negative[frame])
    first, level = problem.first_neuron[stack.layer[frame]], stack.level[frame]
    while touching:
        lowest = touching & (~touching + np.uint64(1))
        touching ^= lowest
        j = np.int64(first + stack.slots[level, popcount(lowest - np.uint64(1))])
        _name_facet(stack, frame, j, lowest)


@compiled()
def _name_facet(stack: Any, frame: int, j: int, mask: Any) -> None:
    """Name a facet after neuron j, if that vanishes on just this one, and it has the name of a later neuron."""
    n_neurons = stack.fixed.shape[0]
    used, on_face = np.uint64(0), ~np.uint64(0)
    for p in range(stack.start[frame], stack.start[frame] + stack.size[frame]):
        u = stack.members[p]
        used |= stack.tight[u]
        if stack.zero[u] & mask:
            on_face &= stack.tight[u]
    while on_face:
        lowest = on_face & (~on_face + np.uint64(1))
        on_face ^= lowest
        bit = np.int64(popcount(lowest - np.uint64(1)))
        owner = np.int64(stack.owner[frame, bit])
        if not j < owner < n_neurons:
            continue
        # The row that cut there vanishes on all of the face, and is to vanish nowhere else.
        within = True
        for p in range(stack.start[frame], stack.start[frame] + stack.size[frame]):
            u = stack.members[p]
            within = within and (stack.zero[u] & mask != 0 or not stack.tight[u] & lowest)
        if within and is_facet(stack, n_neurons, frame, used, bit):
            stack.owner[frame, bit] = j
            stack.cuts[frame, owner >> 6] &= ~(np.uint64(1) << np.uint64(owner & 63))
            stack.cuts[frame, j >> 6] |= np.uint64(1) << np.uint64(j & 63)


@compiled(inline=True)
def _set_sign(stack: Any, u: int, mask: Any, sign: int) -> None:
    if sign > 0:
        stack.positive[u] |= mask
    elif sign < 0:
        stack.negative[u] |= mask
    else:
        stack.zero[u] |= mask


@compiled()
def _settle(problem: Any, rows: Any, stack: Any, frame: int, layer: int, i: int, slot: int, u: int) -> int:
    """Return the certain sign of z at generator u, 2 if exact arithmetic is needed."""
    D, j = stack.rows.shape[0], problem.first_neuron[layer] + i
    for attempt in range(2):
        z = stack.X[u, D + slot]
        bound = rows.norm[j] * (ROUNDING * D + stack.radius[u]) + rows.error[j] * (1.0 + stack.radius[u])
        if z > bound:
            return 1
        if z < -bound:
            return -1
        if attempt == 0:
            stack.totals[UNCERTAIN] += 1
            if _sign_at(problem, rows, stack, frame, layer, j, u, np.bool_(True)) == 0:
                stack.totals[VANISHED] += 1
                return 0
            if not refine(problem, rows, stack, frame, u):
                break
            look_again(problem, rows, stack, stack.level[frame], u)
    origin = stack.radius[u] == 0.0
    for k in range(D - 1):
        origin = origin and stack.X[u, k] == 0.0
    if vanishes(
        problem, stack.scratch, stack.bits[frame], stack.owner[frame], stack.tight[u], origin, layer, np.int64(j)
    ):
        stack.totals[VANISHED] += 1
        return 0
    sign = _sign_at(problem, rows, stack, frame, layer, j, u, np.bool_(False))
    return 2 if sign == UNKNOWN else sign


@compiled()
def _sign_at(problem: Any, rows: Any, stack: Any, frame: int, layer: int, j: int, u: int, zero_only: bool) -> int:
    """Return the sign of neuron j at generator u by residues; `UNKNOWN` if they are too few, or it is not 0 only."""
    D = stack.rows.shape[0]
    c = 0
    for k in range(1, D):
        if abs(stack.X[u, k]) > abs(stack.X[u, c]):
            c = k
    if not zero_only and not abs(stack.X[u, c]) > stack.radius[u]:
        return UNKNOWN
    sign = sign_at(
        problem, rows, stack.residues, stack.bits[frame], stack.owner[frame], stack.tight[u], layer, j, np.int64(c),
        zero_only,
    )  # fmt: skip
    return -sign if sign != UNKNOWN and stack.X[u, c] < 0.0 else sign

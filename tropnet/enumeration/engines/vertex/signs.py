"""Signs at generators that float64 does not make certain, compiled: the part of the search that only ties need."""

from __future__ import annotations

from typing import Any

import numpy as np

from tropnet.enumeration.engines.residues import UNKNOWN, sign_at
from tropnet.enumeration.engines.vanishing import vanishes
from tropnet.enumeration.engines.vertex.generators import look_again, refine
from tropnet.enumeration.engines.vertex.slots import look
from tropnet.enumeration.engines.vertex.stack import N_MEMO, ROUNDING, UNCERTAIN, VANISHED
from tropnet.kernels import compiled

__all__ = ["certify"]


@compiled(apart=True)
def certify(problem: Any, rows: Any, stack: Any, frame: int, slot: int) -> int:
    """Make the signs of a slot at all generators certain, and return 1; 0 if the caller must answer `memo`."""
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

"""The compiled search of the vertex engine: cells as lists of generators, every sign certified.

Everything is homogeneous: a point x is X = (x, 1) times a positive factor, a direction (r, 0), so bounded and unbounded
cells are the same thing, a pointed cone in D = d + 1 dimensions spanned by its generators. A neuron's pre-activation
is the linear form z = row . X. It cuts the cell iff z is positive at one generator and negative at another; the
generators of the two parts are the old ones on their side, those on the hyperplane, and one new one on each edge that
crosses it.

Error bounds. Generators have max-norm at most 2, vertices of a bounded domain the same last component. `radius[u]`
bounds the max-norm distance from the stored generator to the exact one (up to a positive factor); with norm and error
of the row,

    |computed z - exact z|  <=  norm * (rounding + radius) + error * (1 + radius),

and a sign is certain iff |z| exceeds that. Otherwise, in this order: residues prove z to vanish (see `residues`); the
generator is computed anew from its facets, with a verified bound; it is looked up whether z vanishes there because
every term of it does; residues give the sign; exact arithmetic (the caller's) answers. So no sign is ever guessed, and
generators on a hyperplane, as in degenerate networks, are ordinary.

Facets. A bit of `tight[u]` stands for a row that vanishes at generator u; `owner` says which. Two generators span an
edge iff at least D - 2 rows vanish at both and at no third one (Fukuda and Prodon 1996, doi:10.1007/3-540-61576-8_77);
in a simple cell, where every generator has D - 1 facets, counting is enough.

Frames. The search is depth first on an explicit stack. A frame is a cell on its way through one layer (-1: before the
first), with its generators (a list of indices into a pool), its bits, and the neurons of the layer that are still
undecided. A split leaves the inactive side in its place and puts the active side on top. The pool is a stack as well:
what lies above `top` of the frame at work is free. Composed rows are kept per layer (see `composition`).

Slots. On entering a layer most neurons are found not to cut the cell: by the box around its generators, then by the
generators. Of the others up to 64 get a slot: the generators are copied, with z there, which is interpolated like their
coordinates at the generators that come of them (the bound above holds for it, too); and a bit of `positive`, `negative`
or `zero` says that its sign is certain. So one pass over the words of a cell's generators decides all slots at once.

The last layer. A count does not make its cells, but counts flats (see `_count_below`); a list does not make the two
cells of the last cut (see `_emit_halves`).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.rounding import SAFE_HIGH, SAFE_LOW, UNIT_ROUNDOFF
from tropnet.enumeration.engines.composition import PENDING, complete_layer, enter_layer
from tropnet.enumeration.engines.residues import UNKNOWN, sign_at
from tropnet.kernels import Record, compiled, popcount, weight_if_kept
from tropnet.regions.row_index import INFINITY

__all__ = ["ASIDE", "DONE", "FREE", "FULL", "GROW", "MOST_SLOTS", "QUERY", "Stack", "search"]

DONE, FULL, GROW, QUERY, ASIDE = 0, 1, 2, 3, 4
FREE = 2
N_TOTALS = 7
N_FRAMES, N_MEMO, DECISIONS, BRANCHINGS, UNCERTAIN, REFINED, VANISHED = range(N_TOTALS)
N_PRICES = 9
DECIDING, LOOKING, LEAF, ENTERING, RANGING, COMPLETING, SPLITTING, PAIRING, REFINING = range(N_PRICES)
# Cells of more generators enter a layer by the box around them; of up to so many, each is looked at.
_MANY = 10
# Of neurons at a time; their signs at a generator are bits of a word.
MOST_SLOTS = 64
# Products and sums of D terms are wrong by less than this times D, relatively.
_ROUNDING = 8.0 * UNIT_ROUNDOFF
# New generators that are less certain than this are computed anew from their facets at once.
_COARSE = 1e-2
# Generators that are less certain than this share of the width of a cell, towards the neurons of a layer that cut it,
# are computed anew on entering the layer: before many others come of them.
_WORN = 1e-5


class Stack(NamedTuple):
    """The state of a search; it can be left and entered again."""

    X: NDArray[np.float64]  # (P, D + S) generators, then z there by slot
    radius: NDArray[np.float64]  # (P,)
    tight: NDArray[np.uint64]  # (P,)
    positive: NDArray[np.uint64]  # (P,) by slot: z is certainly positive there, negative, zero
    negative: NDArray[np.uint64]
    zero: NDArray[np.uint64]
    members: NDArray[np.int32]  # (P,) the lists of the frames, one above the other
    owner: NDArray[np.int32]  # (F, 64): by bit of a mask, the place of its row (`RowIndex`), INFINITY included
    layer: NDArray[np.int64]  # (F,)
    start: NDArray[np.int64]  # (F,) into `members`
    size: NDArray[np.int64]  # (F,)
    top: NDArray[np.int64]  # (F,) into the pool
    simple: NDArray[np.bool_]  # (F,)
    spread: NDArray[np.float64]  # (F,) largest radius
    level: NDArray[np.int64]  # (F,) how many tables of slots there are up to the frame's own
    open: NDArray[np.uint64]  # (F,) by slot: undecided
    some_positive: NDArray[np.uint64]  # (F,) by slot: at some generator
    some_negative: NDArray[np.uint64]
    certain: NDArray[np.uint64]  # (F,) by slot: the sign at all generators is certain
    tried: NDArray[np.bool_]  # (F,) whether the regions of the last layer could not be counted by flats
    n_later: NDArray[np.int64]  # (F,)
    later: NDArray[np.int32]  # (F, widest) undecided neurons of the layer that have no slot yet
    layers: NDArray[np.int64]  # (levels,) of which the slots are
    n_slots: NDArray[np.int64]  # (levels,)
    slots: NDArray[np.int32]  # (levels, S) neurons of the layer
    norms: NDArray[np.float64]  # (levels, S) of their rows
    wrong: NDArray[np.float64]  # (levels, S) errors of their rows
    share: NDArray[np.float64]  # (F,)
    bits: NDArray[np.uint64]  # (F, words)
    cuts: NDArray[np.uint64]  # (F, words)
    sides: NDArray[np.float64]  # (m + 1, D) rows of the domain, then infinity; exact
    fixed: NDArray[np.uint8]  # (n_neurons,) bits decided beforehand, or FREE
    state: NDArray[np.uint8]  # (n_neurons,) bits decided on entering the layer, or PENDING
    listed: NDArray[np.int32]  # (L, widest) the neurons that are pending
    n_listed: NDArray[np.int64]  # (L,)
    low: NDArray[np.float64]  # (widest,) scratch: range of z over the generators
    high: NDArray[np.float64]
    z: NDArray[np.float64]
    gathered: NDArray[np.float64]  # (D * widest,) scratch: rows of some neurons of the layer
    candidates: NDArray[np.int32]  # (widest,) scratch: which
    bounds: NDArray[np.float64]  # (S,) scratch
    all: NDArray[np.int32]  # (P,) scratch: the generators of a frame
    across: NDArray[np.int32]  # (P,) scratch: those on the inactive side, and what is tight there
    across_tight: NDArray[np.uint64]  # (P,)
    flat_start: NDArray[np.int64]  # (D + 1,) scratch, by codimension: the generators of a flat in `members`
    flat_size: NDArray[np.int64]
    flat_open: NDArray[np.uint64]  # (D + 1,) its slots that are still to be restricted
    flat_top: NDArray[np.int64]  # (D + 1,) into the pool
    flat_simple: NDArray[np.bool_]  # (D + 1,)
    asked: NDArray[np.int64]  # (2,) the neuron of the layer that `memo` is about, and its slot
    rows: NDArray[np.float64]  # (D, D) scratch: facets of a generator, and what belongs to them
    inverse: NDArray[np.float64]  # (D, D)
    errors: NDArray[np.float64]  # (D,)
    residual: NDArray[np.float64]  # (D,)
    order: NDArray[np.int64]  # (D,)
    row_x: NDArray[np.float64]  # (D,)
    row_m: NDArray[np.float64]  # (D,)
    scratch: NDArray[np.uint8]  # (n_neurons + L,)
    memo: NDArray[np.int64]  # (P, 2) generators whose sign the caller gives (2: asked for)
    targets: NDArray[np.float64]  # by stratum, of the sampling; empty to keep all
    free: NDArray[np.int64]  # (1,): keep all down to this depth
    depth: NDArray[np.int64]  # (F,) branchings on the path
    weight: NDArray[np.float64]  # (F,) inverse of the probability that the frame was kept
    phase: NDArray[np.float64]  # by stratum, of the sampling
    nodes: NDArray[np.float64]  # by stratum: weighted number of nodes
    leaves: NDArray[np.float64]  # (4,) weighted number of leaves; nodes left out; cost at `prices`, and weighted
    prices: NDArray[np.float64]  # (N_PRICES, L): see `_price`
    totals: NDArray[np.int64]
    done: NDArray[np.float64]  # (1,) fraction of the tree
    residues: Record  # of `Residues`; none before the first query


@compiled(inline=True, reorder=True)
def _gather(problem: Any, rows: Any, stack: Any, layer: int, neurons: Any, m: int) -> None:
    """Put the rows of m neurons of a layer side by side: component k of the c-th at k * m + c."""
    n, at = problem.widths[layer], problem.rows_at[layer]
    for k in range(stack.rows.shape[0]):
        for c in range(m):
            stack.gathered[k * m + c] = rows.done[at + k * n + neurons[c]]


@compiled(inline=True, reorder=True)
def _products(stack: Any, u: int, m: int, z: Any) -> None:
    """Compute the forms of the gathered rows at generator u."""
    D = stack.rows.shape[0]
    row, other = stack.gathered[:m], stack.gathered[m : 2 * m]
    x, y = stack.X[u, 0], stack.X[u, 1]
    for c in range(m):
        z[c] = row[c] * x + other[c] * y
    for k in range(2, D):
        row, x = stack.gathered[k * m : (k + 1) * m], stack.X[u, k]
        for c in range(m):
            z[c] += row[c] * x


@compiled(inline=True, reorder=True)
def _enter(problem: Any, rows: Any, stack: Any, frame: int) -> bool:
    """Enter the frame's layer: decide what does not cut, give slots to other neurons; False if a fixed bit is missed.

    Where there are not slots for all, the others stay in `later` until those are decided.
    """
    layer, D = stack.layer[frame], stack.rows.shape[0]
    first = problem.first_neuron[layer]
    start, size = stack.start[frame], stack.size[frame]
    slack = 2.0 * _ROUNDING * D + stack.spread[frame]
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
        _gather(problem, rows, stack, layer, candidates, m)
        for p in range(start, start + size):
            _products(stack, np.int64(stack.members[p]), m, z)
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
    _gather(problem, rows, stack, layer, neurons, m)
    spread, rounding = stack.spread[frame], _ROUNDING * D
    for s in range(m):
        stack.bounds[s] = stack.norms[level, s] * (rounding + spread) + stack.wrong[level, s] * (1.0 + spread)
    for p in range(size):
        u, w = np.int64(stack.members[start + p]), top + p
        if stack.radius[u] > worn and _refine(problem, rows, stack, frame, u) and level > 0:
            # Frames below still list it, with the slots of the level before.
            _look_again(problem, rows, stack, level - 1, u)
        for k in range(D):
            stack.X[w, k] = stack.X[u, k]
        stack.radius[w], stack.tight[w] = stack.radius[u], stack.tight[u]
        z = stack.X[w, D : D + m]
        _products(stack, w, m, z)
        positive = negative = np.uint64(0)
        for s in range(m):
            positive |= np.uint64(z[s] > stack.bounds[s]) << np.uint64(s)
            negative |= np.uint64(z[s] < -stack.bounds[s]) << np.uint64(s)
        stack.positive[w], stack.negative[w], stack.zero[w] = positive, negative, np.uint64(0)
        stack.members[start + p] = w
    stack.top[frame] = top + size
    # As 64 bits are not shifted by 64.
    stack.open[frame] = (np.uint64(2) << np.uint64(m - 1)) - np.uint64(1)
    _look(stack, frame)


@compiled(inline=True)
def _highest(mask: Any) -> int:
    """Return the place of the highest bit."""
    place = np.int64(-1)
    while mask:
        mask >>= np.uint64(1)
        place += 1
    return int(place)


@compiled(inline=True)
def _look(stack: Any, frame: int) -> None:
    """Set what the signs at a frame's generators say of its slots."""
    positive = negative = np.uint64(0)
    certain = ~np.uint64(0)
    for p in range(stack.start[frame], stack.start[frame] + stack.size[frame]):
        u = stack.members[p]
        positive |= stack.positive[u]
        negative |= stack.negative[u]
        certain &= stack.positive[u] | stack.negative[u] | stack.zero[u]
    stack.some_positive[frame], stack.some_negative[frame], stack.certain[frame] = positive, negative, certain


@compiled(inline=True)
def _take_bits(problem: Any, stack: Any, frame: int) -> bool:
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


@compiled()
def _certify(problem: Any, rows: Any, stack: Any, frame: int, slot: int) -> bool:
    """Make the signs of a slot at all generators certain; False if the caller must answer what `memo` lists."""
    layer, level = stack.layer[frame], stack.level[frame]
    i = stack.slots[level, slot]
    mask = np.uint64(1) << np.uint64(slot)
    for m in range(stack.totals[N_MEMO]):
        # The caller has moved the generator, too.
        u, sign = stack.memo[m, 0], stack.memo[m, 1]
        _look_again(problem, rows, stack, stack.level[frame], u)
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
    _look(stack, frame)
    return asked == 0


@compiled(inline=True)
def _set_sign(stack: Any, u: int, mask: Any, sign: int) -> None:
    if sign > 0:
        stack.positive[u] |= mask
    elif sign < 0:
        stack.negative[u] |= mask
    else:
        stack.zero[u] |= mask


@compiled()
def _look_again(problem: Any, rows: Any, stack: Any, level: int, u: int) -> None:
    """Compute z of the slots at a generator of a level that has moved; signs that were certain are."""
    layer, D = stack.layers[level], stack.rows.shape[0]
    n, at = problem.widths[layer], problem.rows_at[layer]
    radius = stack.radius[u]
    # All slots: frames that share the generator may have others open.
    for s in range(stack.n_slots[level]):
        mask = np.uint64(1) << np.uint64(s)
        z = 0.0
        for k in range(D):
            z += rows.done[at + k * n + stack.slots[level, s]] * stack.X[u, k]
        stack.X[u, D + s] = z
        bound = stack.norms[level, s] * (_ROUNDING * D + radius) + stack.wrong[level, s] * (1.0 + radius)
        if not (stack.positive[u] | stack.negative[u] | stack.zero[u]) & mask:
            if z > bound:
                stack.positive[u] |= mask
            elif z < -bound:
                stack.negative[u] |= mask


@compiled()
def _settle(problem: Any, rows: Any, stack: Any, frame: int, layer: int, i: int, slot: int, u: int) -> int:
    """Return the certain sign of z at generator u, 2 if exact arithmetic is needed."""
    D, j = stack.rows.shape[0], problem.first_neuron[layer] + i
    for attempt in range(2):
        z = stack.X[u, D + slot]
        bound = rows.norm[j] * (_ROUNDING * D + stack.radius[u]) + rows.error[j] * (1.0 + stack.radius[u])
        if z > bound:
            return 1
        if z < -bound:
            return -1
        if attempt == 0:
            stack.totals[UNCERTAIN] += 1
            if _sign_at(problem, rows, stack, frame, layer, j, u, np.bool_(True)) == 0:
                stack.totals[VANISHED] += 1
                return 0
            if not _refine(problem, rows, stack, frame, u):
                break
            _look_again(problem, rows, stack, stack.level[frame], u)
    if _vanishes(problem, stack, frame, layer, j, u):
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


@compiled()
def _vanishes(problem: Any, stack: Any, frame: int, layer: int, neuron: int, u: int) -> bool:
    """Return whether z of a neuron is zero at generator u because all its terms are: bias, input, earlier outputs."""
    D = stack.rows.shape[0]
    n_layers = problem.widths.shape[0]
    n_neurons = problem.first_neuron[n_layers]
    tight = stack.scratch[:n_neurons]
    silent = stack.scratch[n_neurons:]
    infinite = False
    for bit in range(64):
        if stack.tight[u] >> np.uint64(bit) & np.uint64(1):
            owner = stack.owner[frame, bit]
            if owner == INFINITY:
                infinite = True
            elif owner < n_neurons:
                tight[owner] = 1
    origin = stack.radius[u] == 0.0
    for k in range(D - 1):
        origin = origin and stack.X[u, k] == 0.0
    # `silent[l]`: every output of layer l is zero at u. A layer's sources are known when it is reached.
    vanishes = False
    for m in range(layer + 1):
        loud = False
        for block in range(problem.reader.shape[0]):
            source = np.searchsorted(problem.first_block, block, side="right") - 1
            if problem.reader[block] == m and not silent[source]:
                loud = True
        silent[m] = 1
        for j in range(problem.first_neuron[m], problem.first_neuron[m + 1]):
            zero = tight[j] == 1 or (
                not loud and (infinite or problem.bias_is_zero[j]) and (origin or problem.input_is_zero[j])
            )
            if j == neuron:
                vanishes = zero
            elif not zero:
                active = (stack.bits[frame, j >> 6] >> np.uint64(j & 63)) & np.uint64(1)
                if problem.slopes[j, np.int64(active)] != 0.0:
                    silent[m] = 0
    for bit in range(64):
        owner = stack.owner[frame, bit]
        if stack.tight[u] >> np.uint64(bit) & np.uint64(1) and 0 <= owner < n_neurons:
            tight[owner] = 0
    return vanishes


@compiled(inline=True)
def _facet_row(problem: Any, rows: Any, stack: Any, frame: int, bit: int, out: Any) -> tuple[float, float]:
    """Copy the row of a facet; return its 1-norm and error."""
    D = stack.rows.shape[0]
    owner = stack.owner[frame, bit]
    n_neurons = problem.first_neuron[problem.widths.shape[0]]
    if owner == INFINITY or owner >= n_neurons:
        # Infinity is the last of the sides.
        i = stack.sides.shape[0] - 1 if owner == INFINITY else owner - n_neurons
        norm = 0.0
        for k in range(D):
            out[k] = stack.sides[i, k]
            norm += abs(out[k])
        return norm, 0.0
    layer = 0
    while problem.first_neuron[layer + 1] <= owner:
        layer += 1
    n = problem.widths[layer]
    at = problem.rows_at[layer] + owner - problem.first_neuron[layer]
    for k in range(D):
        out[k] = rows.done[at + k * n]
    return rows.norm[owner], rows.error[owner]


@compiled(reorder=True)
def _refine(problem: Any, rows: Any, stack: Any, frame: int, u: int) -> bool:
    """Compute generator u anew from its D - 1 facets; return whether that is surely more accurate.

    Interpolation along short edges lets errors grow from generation to generation; this does not. One component c stays
    as it is, the others solve M x = -m_c X_c, where (M, m_c) are the facets' rows. With C near the inverse of M and the
    exact rows r*, the exact solution differs from the new one, y, by at most |C r* y| / (1 - |1 - C M*|).
    """
    D = stack.rows.shape[0]
    d = D - 1
    if popcount(stack.tight[u]) != d:
        return False
    M, C, x = stack.rows, stack.inverse, stack.row_x
    c, largest = 0, 0.0
    for k in range(D):
        x[k] = stack.X[u, k]
        if abs(x[k]) > largest:
            c, largest = k, abs(x[k])
    directed = stack.radius[u] < 0.5 * largest
    x[c], x[d] = x[d], x[c]
    r = 0
    mask = stack.tight[u]
    while mask:
        bit = popcount((mask & (~mask + np.uint64(1))) - np.uint64(1))
        mask &= mask - np.uint64(1)
        norm, error = _facet_row(problem, rows, stack, frame, bit, M[r])
        if not SAFE_LOW < norm < SAFE_HIGH:
            return False
        # Rows of norm 1, nearly; component c goes last.
        scale = 1.0 / norm
        stack.errors[r] = error * scale + 2.0 * UNIT_ROUNDOFF
        for k in range(D):
            M[r, k] *= scale
        M[r, c], M[r, d] = M[r, d], M[r, c]
        for k in range(d):
            C[r, k] = M[r, k]
        stack.order[r] = r
        r += 1
    # Gauss-Jordan in place: C becomes the inverse, its columns in the order of the pivots.
    for k in range(d):
        pivot = k
        for r in range(k + 1, d):
            if abs(C[r, k]) > abs(C[pivot, k]):
                pivot = r
        if C[pivot, k] == 0.0:
            return False
        if pivot != k:
            stack.order[k], stack.order[pivot] = stack.order[pivot], stack.order[k]
            for m in range(d):
                C[k, m], C[pivot, m] = C[pivot, m], C[k, m]
        inverse = 1.0 / C[k, k]
        C[k, k] = 1.0
        for m in range(d):
            C[k, m] *= inverse
        for r in range(d):
            if r != k:
                factor = C[r, k]
                C[r, k] = 0.0
                for m in range(d):
                    C[r, m] -= factor * C[k, m]
    residual = stack.residual
    for step in range(2):
        for r in range(d):
            row = M[stack.order[r]]
            total = 0.0
            for k in range(D):
                total += row[k] * x[k]
            residual[r] = total
        if step == 0:
            for k in range(d):
                for r in range(d):
                    x[k] -= C[k, r] * residual[r]
    contraction = wrong = largest = 0.0
    for r in range(d):
        residual[r] = abs(residual[r]) + 2.0 * (_ROUNDING * D + stack.errors[stack.order[r]])
    for k in range(d):
        row = stack.row_m
        for m in range(d):
            row[m] = 0.0
        row[k] = -1.0
        size = total = 0.0
        for r in range(d):
            entry = C[k, r]
            size += abs(entry) * (stack.errors[stack.order[r]] + _ROUNDING * D)
            total += abs(entry) * residual[r]
            for m in range(d):
                row[m] += entry * M[stack.order[r], m]
        for m in range(d):
            size += abs(row[m])
        contraction = max(contraction, size)
        wrong = max(wrong, total)
        largest = max(largest, abs(x[k]))
    radius = 1.1 * wrong / (1.0 - contraction)
    if not (contraction < 0.5 and radius < stack.radius[u] and largest <= 2.0):
        return False
    x[c], x[d] = x[d], x[c]
    sign = 1.0
    if not directed:
        # Component c was not certain, nor which of two opposite directions is meant; the last one is never negative.
        if not abs(x[d]) > radius:
            return False
        sign = math.copysign(1.0, x[d])
    for k in range(D):
        stack.X[u, k] = sign * x[k]
    stack.radius[u] = radius
    stack.totals[REFINED] += 1
    return True


@compiled(inline=True)
def _most_crossing(n_positive: int, n_negative: int, D: int, simple: bool) -> int:
    """Return how many edges cross a hyperplane at most; of a simple cell, d = D - 1 edges meet in each generator."""
    every = n_positive * n_negative
    return min(every, (D - 1) * min(n_positive, n_negative)) if simple else every


@compiled(inline=True, reorder=True)
def _split(problem: Any, rows: Any, stack: Any, frame: int, slot: int) -> int:
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
    most = n_zero + _most_crossing(n_positive, n_negative, D, stack.simple[frame])
    first = stack.top[frame]
    room = min(members.shape[0] - start - 2 * size, stack.X.shape[0] - first)
    if room < 3 * most or frame + 2 > stack.layer.shape[0]:
        return GROW
    open_ = stack.open[frame] & ~mask
    n_columns = D
    while open_ >> np.uint64(n_columns - D):
        n_columns += 1
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
    rounding = _ROUNDING * D
    simple = stack.simple[frame]
    for p in range(start + size + most, high):
        u = members[p]
        tight_u, ru = tight[u], stack.radius[u]
        # Where the caller gave the sign, z may have the other one.
        zu = max(abs(stack.X[u, D + slot]), norm * _ROUNDING)
        for m in range(n_negative):
            common = tight_u & stack.across_tight[m]
            if popcount(common) < D - 2:
                continue
            v = stack.across[m]
            if not simple:
                blocked = False
                for w in range(size):
                    other = stack.all[w]
                    if other != u and other != v and tight[other] & common == common:
                        blocked = True
                        break
                if blocked:
                    continue
            # The new generator is X_u + t (X_v - X_u): an error in t moves it along the edge only.
            zv = max(abs(stack.X[v, D + slot]), norm * _ROUNDING)
            rv = stack.radius[v]
            wrong_u = norm * (rounding + ru) + error * (1.0 + ru)
            wrong_v = norm * (rounding + rv) + error * (1.0 + rv)
            if zu <= wrong_u or zv <= wrong_v:
                # The caller gave the sign.
                wrong_u, wrong_v = 2.0 * wrong_u, 2.0 * wrong_v
            inverse = 1.0 / (zu + zv)
            t = zu * inverse
            largest = apart = 0.0
            x_u, x_v, x = stack.X[u, :n_columns], stack.X[v, :n_columns], stack.X[top, :n_columns]
            for k in range(n_columns):
                x[k] = x_u[k] + t * (x_v[k] - x_u[k])
            for k in range(D):
                apart = max(apart, abs(x_v[k] - x_u[k]))
                largest = max(largest, abs(x[k]))
            wrong_t = 1.2 * (wrong_u * zv + wrong_v * zu) * inverse * inverse
            radius = ru + t * (rv - ru) + wrong_t * (apart + ru + rv) + rounding
            if not (wrong_u + wrong_v) * inverse < 0.1:
                radius = np.inf
            if largest < 0.01:
                # A power of two scales exactly. What z lost is scaled, too.
                scale = math.ldexp(1.0, -math.frexp(max(largest, SAFE_LOW))[1])
                for k in range(n_columns):
                    x[k] *= scale
                radius = (radius + rounding) * scale
            stack.radius[top] = radius
            tight[top] = common | bit
            positive = negative = np.uint64(0)
            for s in range(n_columns - D):
                bound = stack.norms[level, s] * (rounding + radius) + stack.wrong[level, s] * (1.0 + radius)
                positive |= np.uint64(x[D + s] > bound) << np.uint64(s)
                negative |= np.uint64(x[D + s] < -bound) << np.uint64(s)
            stack.positive[top], stack.negative[top], stack.zero[top] = positive, negative, np.uint64(0)
            top += 1
    number = np.int64(popcount(bit - np.uint64(1)))
    stack.owner[frame, number] = j
    for w in range(first + n_zero, top):
        if stack.radius[w] > _COARSE and _refine(problem, rows, stack, frame, np.int64(w)):
            _look_again(problem, rows, stack, level, np.int64(w))

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


@compiled(reorder=True)
def _count_below(stack: Any, frame: int) -> int:
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
    rounding = _ROUNDING * D
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
        slot = _highest(flat_open[depth])
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
        most = n_zero + _most_crossing(n_positive, n_negative, D, simple)
        if members.shape[0] - end < most or stack.X.shape[0] - first < most:
            return -2
        n_columns = D + _highest(lower) + 1
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
            u = stack.all[p]
            tight_u, ru = tight[u], stack.radius[u]
            zu = max(abs(stack.X[u, D + slot]), norm * _ROUNDING)
            for m in range(n_negative):
                common = tight_u & stack.across_tight[m]
                if popcount(common) < D - 2 - depth:
                    continue
                v = stack.across[m]
                if not simple:
                    blocked = False
                    for q in range(start, end):
                        w = members[q]
                        if w != u and w != v and tight[w] & common == common:
                            blocked = True
                            break
                    if blocked:
                        continue
                zv = max(abs(stack.X[v, D + slot]), norm * _ROUNDING)
                rv = stack.radius[v]
                wrong_u = norm * (rounding + ru) + error * (1.0 + ru)
                wrong_v = norm * (rounding + rv) + error * (1.0 + rv)
                if zu <= wrong_u or zv <= wrong_v:
                    # The caller gave the sign.
                    wrong_u, wrong_v = 2.0 * wrong_u, 2.0 * wrong_v
                inverse = 1.0 / (zu + zv)
                t = zu * inverse
                apart = 0.0
                x_u, x_v, x = stack.X[u, :n_columns], stack.X[v, :n_columns], stack.X[top, :n_columns]
                for k in range(n_columns):
                    x[k] = x_u[k] + t * (x_v[k] - x_u[k])
                for k in range(D):
                    apart = max(apart, abs(x_v[k] - x_u[k]))
                wrong_t = 1.2 * (wrong_u * zv + wrong_v * zu) * inverse * inverse
                radius = ru + t * (rv - ru) + wrong_t * (apart + ru + rv) + rounding
                if not (wrong_u + wrong_v) * inverse < 0.1:
                    return -1
                stack.radius[top] = radius
                tight[top] = common
                positive = negative = np.uint64(0)
                for s in range(n_columns - D):
                    bound = stack.norms[level, s] * (rounding + radius) + stack.wrong[level, s] * (1.0 + radius)
                    positive |= np.uint64(x[D + s] > bound) << np.uint64(s)
                    negative |= np.uint64(x[D + s] < -bound) << np.uint64(s)
                if lower & ~(positive | negative):
                    return -1
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
    _look(stack, frame)


@compiled(inline=True)
def _emit(problem: Any, rows: Any, stack: Any, frame: int, out: Any, r: int) -> None:
    """Write a region: bits, cuts, and the sum of the generators as a point, checked against the facets."""
    D = stack.rows.shape[0]
    for k in range(stack.bits.shape[1]):
        out.bits[r, k] = stack.bits[frame, k]
        out.cuts[r, k] = stack.cuts[frame, k]
    used = np.uint64(0)
    row = stack.rows[0]
    for k in range(D):
        row[k] = 0.0
    for p in range(stack.start[frame], stack.start[frame] + stack.size[frame]):
        u = stack.members[p]
        used |= stack.tight[u]
        for k in range(D):
            row[k] += stack.X[u, k]
    largest = 1.0
    inside = True
    for k in range(D - 1):
        x = row[k] / row[D - 1]
        out.points[r, k] = x
        largest = max(largest, abs(x))
        inside = inside and abs(x) < SAFE_HIGH
    row = stack.rows[1]
    n_neurons = np.int64(problem.first_neuron[problem.widths.shape[0]])
    for bit in range(64):
        if inside and used >> np.uint64(bit) & np.uint64(1):
            norm, error = _facet_row(problem, rows, stack, frame, bit, row)
            z = row[D - 1]
            for k in range(D - 1):
                z += row[k] * out.points[r, k]
            owner = stack.owner[frame, bit]
            if 0 <= owner < n_neurons and not (stack.bits[frame, owner >> 6] >> np.uint64(owner & 63)) & np.uint64(1):
                z = -z
            inside = norm > SAFE_LOW and z > (norm * _ROUNDING * D + error) * largest
    out.inside[r] = inside
    if out.facets.shape[0] == 0:
        return
    for k in range(out.facets.shape[1]):
        out.facets[r, k] = 0
    for bit in range(64):
        if used >> np.uint64(bit) & np.uint64(1) and (
            stack.simple[frame] or _is_facet(stack, n_neurons, frame, used, bit)
        ):
            owner = np.int64(stack.owner[frame, bit])
            if owner != INFINITY:
                out.facets[r, owner >> 6] |= np.uint64(1) << np.uint64(owner & 63)


@compiled(reorder=True)
def _emit_halves(problem: Any, rows: Any, stack: Any, frame: int, slot: int, out: Any, r: int) -> bool:
    """Write the two regions into which the last open slot cuts a simple cell, without making their cells.

    With the sums S+ and S- of the generators on the two sides, C = |z(S-)| S+ + z(S+) S- lies on the hyperplane and, as
    all generators are in it (those with z = 0 are added), inside the cell; so the means of C and S+, C and S- are
    inside the two regions. A facet of the cell is one of a region iff one of its generators lies on that side.

    Returns
    -------
    False, and nothing is written, if a sum lies at infinity.
    """
    D, level = stack.rows.shape[0], stack.level[frame]
    d = D - 1
    mask = np.uint64(1) << np.uint64(slot)
    above, below, middle, row = stack.rows[0], stack.rows[1], stack.row_x, stack.row_m
    for k in range(D):
        above[k] = below[k] = middle[k] = 0.0
    z_above = z_below = 0.0
    used_above = used_below = used = np.uint64(0)
    for p in range(stack.start[frame], stack.start[frame] + stack.size[frame]):
        u = stack.members[p]
        tight = stack.tight[u]
        used |= tight
        if stack.positive[u] & mask:
            used_above |= tight
            z_above += abs(stack.X[u, D + slot])
            for k in range(D):
                above[k] += stack.X[u, k]
        elif stack.negative[u] & mask:
            used_below |= tight
            z_below += abs(stack.X[u, D + slot])
            for k in range(D):
                below[k] += stack.X[u, k]
        else:
            for k in range(D):
                middle[k] += stack.X[u, k]
    if not (above[d] > 1e-100 and below[d] > 1e-100 and z_above > 1e-100 and z_below > 1e-100):
        return False
    share = z_below / (z_above + z_below)
    for k in range(D):
        middle[k] += share * above[k] + (1.0 - share) * below[k]
    scale_middle, scale_above, scale_below = 0.5 / middle[d], 0.5 / above[d], 0.5 / below[d]
    largest_above = largest_below = 1.0
    inside_above = inside_below = True
    for k in range(d):
        centre = middle[k] * scale_middle
        x, y = centre + above[k] * scale_above, centre + below[k] * scale_below
        out.points[r, k], out.points[r + 1, k] = x, y
        largest_above, largest_below = max(largest_above, abs(x)), max(largest_below, abs(y))
        inside_above = inside_above and abs(x) < SAFE_HIGH
        inside_below = inside_below and abs(y) < SAFE_HIGH
    n_neurons = np.int64(problem.first_neuron[problem.widths.shape[0]])
    number = -1
    while number < 64:
        own = number < 0
        if own:
            n, i = problem.widths[stack.layer[frame]], stack.slots[level, slot]
            at = problem.rows_at[stack.layer[frame]] + i
            for k in range(D):
                row[k] = rows.done[at + k * n]
            norm, error = stack.norms[level, slot], stack.wrong[level, slot]
        elif used >> np.uint64(number) & np.uint64(1):
            norm, error = _facet_row(problem, rows, stack, frame, number, row)
        else:
            number += 1
            continue
        z_above = z_below = row[d]
        for k in range(d):
            z_above += row[k] * out.points[r, k]
            z_below += row[k] * out.points[r + 1, k]
        if own:
            z_below = -z_below
        else:
            owner = stack.owner[frame, number]
            if 0 <= owner < n_neurons and not (stack.bits[frame, owner >> 6] >> np.uint64(owner & 63)) & np.uint64(1):
                z_above, z_below = -z_above, -z_below
        bound = norm * _ROUNDING * D + error
        inside_above = inside_above and norm > SAFE_LOW and z_above > bound * largest_above
        inside_below = inside_below and norm > SAFE_LOW and z_below > bound * largest_below
        number += 1
    out.inside[r], out.inside[r + 1] = inside_above, inside_below
    j = problem.first_neuron[stack.layer[frame]] + stack.slots[level, slot]
    word, own_bit = j >> 6, np.uint64(1) << np.uint64(j & 63)
    for k in range(stack.bits.shape[1]):
        out.bits[r, k] = out.bits[r + 1, k] = stack.bits[frame, k]
        out.cuts[r, k] = out.cuts[r + 1, k] = stack.cuts[frame, k]
    out.bits[r, word] |= own_bit
    out.cuts[r, word] |= own_bit
    out.cuts[r + 1, word] |= own_bit
    if out.facets.shape[0] == 0:
        return True
    for side in range(2):
        used = used_below if side else used_above
        for k in range(out.facets.shape[1]):
            out.facets[r + side, k] = 0
        out.facets[r + side, word] |= own_bit
        while used:
            number = popcount((used & (~used + np.uint64(1))) - np.uint64(1))
            used &= used - np.uint64(1)
            owner = np.int64(stack.owner[frame, number])
            if owner != INFINITY:
                out.facets[r + side, owner >> 6] |= np.uint64(1) << np.uint64(owner & 63)
    return True


@compiled()
def _is_facet(stack: Any, n_neurons: int, frame: int, used: Any, bit: int) -> bool:
    """Return whether a row that vanishes somewhere defines a facet; of coincident rows the first.

    Every face lies in a facet, so it does iff its generators are not a proper part of those of another row.
    """
    one = np.uint64(1)
    wider = used
    for p in range(stack.start[frame], stack.start[frame] + stack.size[frame]):
        tight = stack.tight[stack.members[p]]
        if tight >> np.uint64(bit) & one:
            wider &= tight
    for other in range(64):
        if other == bit or not wider >> np.uint64(other) & one:
            continue
        within = True
        for p in range(stack.start[frame], stack.start[frame] + stack.size[frame]):
            tight = stack.tight[stack.members[p]]
            within = within and (tight >> np.uint64(bit) & one or not tight >> np.uint64(other) & one)
        if not within:
            return False
        a, b = stack.owner[frame, bit], stack.owner[frame, other]
        # Sides of the domain come first, in their order, then neurons; infinity is no row.
        if b != INFINITY and ((b >= n_neurons and (a < n_neurons or b < a)) or (b < a < n_neurons)):
            return False
    return True


@compiled(inline=True)
def _pass_over(stack: Any, frame: int, n_layers: int) -> None:
    """Leave nothing to do for a frame when its turn comes."""
    stack.layer[frame] = n_layers
    stack.open[frame], stack.n_later[frame] = np.uint64(0), 0


@compiled()
def _prune(stack: Any, frame: int, stratum: int, n_layers: int) -> None:
    """Keep each of the two new top frames with the probability of their stratum."""
    depth, weight = stack.depth[frame] + 1, stack.weight[frame]
    stack.nodes[stratum] += 2.0 * weight
    for child in range(2):
        stack.depth[frame + child] = depth
        if depth > stack.free[0]:
            stack.weight[frame + child] = weight_if_kept(stack.phase, stack.targets, stratum, weight)
        if stack.weight[frame + child] == 0.0:
            # Passed over when its turn comes.
            stack.leaves[1] += 1.0
            _pass_over(stack, frame + child, n_layers)


@compiled(inline=True)
def _price(stack: Any, frame: int, n_layers: int) -> float:
    """Return what the next step of the top frame costs by the prices of its layer, before it is known what it is."""
    layer, size = stack.layer[frame], stack.size[frame]
    if stack.open[frame]:
        return float(stack.prices[DECIDING, layer] + stack.prices[LOOKING, layer] * size)
    price = stack.prices[LEAF, 0]
    if layer + 1 < n_layers and stack.n_later[frame] == 0:
        price = stack.prices[ENTERING, layer + 1] + stack.prices[RANGING, layer + 1] * size
        if layer >= 0:
            price += stack.prices[COMPLETING, layer] * stack.n_listed[layer]
    return float(price)


@compiled(inline=True)
def _spend(stack: Any, frame: int, price: float) -> None:
    """Add to the cost."""
    stack.leaves[2] += price
    stack.leaves[3] += price * stack.weight[frame]


@compiled(entry=True)
def search(problem: Any, rows: Any, stack: Any, out: Any, listing: bool, max_steps: int) -> tuple[int, int]:
    """Run until done, the output is full, the arrays are too small, an answer is needed, or for `max_steps`.

    Returns
    -------
    status, n_regions
        `FULL` also stands for `max_steps`. `QUERY`: set the signs in `memo` for the neuron `asked` of the top frame's
        layer. `ASIDE`: the top frame has too many facets; take it off. Regions go to `out` if `listing`, else they are
        only counted.
    """
    n_layers = problem.widths.shape[0]
    D = stack.rows.shape[0]
    regions = steps = 0
    # Whether the regions of the last layer may be counted in any order, all of them.
    countable = not listing
    for j in range(problem.first_neuron[n_layers - 1], problem.first_neuron[n_layers]):
        countable = countable and stack.fixed[j] == FREE
    n_refined, weight = stack.totals[REFINED], 0.0
    while stack.totals[N_FRAMES] > 0:
        if steps >= max_steps or (listing and regions + 1 >= out.bits.shape[0]):
            return FULL, regions
        frame = stack.totals[N_FRAMES] - 1
        layer = stack.layer[frame]
        alive = True
        price = stack.prices[REFINING, 0] * (stack.totals[REFINED] - n_refined)
        stack.leaves[2] += price
        stack.leaves[3] += price * weight
        n_refined, weight = stack.totals[REFINED], stack.weight[frame]
        _spend(stack, frame, _price(stack, frame, n_layers))
        if stack.open[frame]:
            alive = _take_bits(problem, stack, frame)
            open_ = stack.open[frame]
            if alive and open_:
                unsure = open_ & ~stack.certain[frame]
                below = countable and layer + 1 == n_layers and stack.n_later[frame] == 0
                cut = open_ & stack.some_positive[frame] & stack.some_negative[frame]
                slot = _highest(unsure if below and unsure else cut if cut else open_)
                if stack.totals[N_MEMO]:
                    # The one that was asked about.
                    slot = stack.asked[1]
                if not stack.certain[frame] >> np.uint64(slot) & np.uint64(1):
                    if not _certify(problem, rows, stack, frame, slot):
                        return QUERY, regions
                    continue
                j = problem.first_neuron[layer] + stack.slots[stack.level[frame], slot]
                fixed = stack.fixed[j]
                last = layer + 1 == n_layers and stack.n_later[frame] == 0 and open_ & (open_ - np.uint64(1)) == 0
                if last and not listing and fixed == FREE:
                    # The last split needs no cells to be counted.
                    stack.totals[BRANCHINGS] += 1
                    stack.totals[DECISIONS] += 1
                    regions += 2
                    alive = False
                    if stack.targets.shape[0]:
                        stack.nodes[problem.first_neuron[n_layers]] += 2.0 * stack.weight[frame]
                        stack.leaves[0] += 2.0 * stack.weight[frame]
                elif (
                    last
                    and fixed == FREE
                    and stack.simple[frame]
                    and _emit_halves(problem, rows, stack, frame, slot, out, regions)
                ):
                    stack.totals[BRANCHINGS] += 1
                    stack.totals[DECISIONS] += 1
                    regions += 2
                    if stack.targets.shape[0]:
                        stack.nodes[problem.first_neuron[n_layers]] += 2.0 * stack.weight[frame]
                        stack.leaves[0] += 2.0 * stack.weight[frame]
                    alive = False
                else:
                    n_below = -1
                    if below and not stack.tried[frame]:
                        size, n_flats = stack.size[frame], popcount(open_)
                        price = stack.prices[SPLITTING, layer] + stack.prices[PAIRING, layer] * size * size
                        _spend(stack, frame, price * n_flats)
                        n_below = _count_below(stack, frame)
                        if n_below == -2:
                            return GROW, regions
                        stack.tried[frame] = True
                    if n_below > 0:
                        stack.totals[BRANCHINGS] += n_below - 1
                        stack.totals[DECISIONS] += popcount(open_)
                        regions += n_below
                        if stack.targets.shape[0]:
                            stack.nodes[problem.first_neuron[n_layers]] += n_below * stack.weight[frame]
                            stack.leaves[0] += n_below * stack.weight[frame]
                        stack.done[0] += stack.share[frame]
                        stack.totals[N_FRAMES] -= 1
                        steps += n_below
                        continue
                    size = stack.size[frame]
                    _spend(stack, frame, stack.prices[SPLITTING, layer] + stack.prices[PAIRING, layer] * size * size)
                    status = _split(problem, rows, stack, frame, slot)
                    if status != 0:
                        return status, regions
                    steps += 1
                    stack.totals[DECISIONS] += 1
                    stack.depth[frame + 1], stack.weight[frame + 1] = stack.depth[frame], stack.weight[frame]
                    if fixed == FREE:
                        stack.totals[BRANCHINGS] += 1
                        if stack.targets.shape[0]:
                            n_left = popcount(stack.open[frame]) + stack.n_later[frame]
                            stratum = problem.first_neuron[layer + 1] - n_left
                            _prune(stack, frame, stratum, n_layers)
                    elif fixed == 0:
                        stack.share[frame] *= 2.0
                        stack.totals[N_FRAMES] -= 1
                    else:
                        # The inactive side is passed over when its turn comes.
                        stack.share[frame + 1] *= 2.0
                        stack.share[frame] = 0.0
                        _pass_over(stack, frame, n_layers)
                    continue
            elif alive:
                continue
        elif layer == n_layers:
            alive = False
        elif stack.n_later[frame] > 0 or layer + 1 < n_layers:
            if stack.X.shape[0] - stack.top[frame] < stack.size[frame]:
                return GROW, regions
            if stack.n_later[frame] == 0:
                if layer >= 0:
                    complete_layer(
                        problem, rows, layer, stack.listed[layer], stack.n_listed[layer], stack.bits[frame], D
                    )
                stack.layer[frame] += 1
            if _enter(problem, rows, stack, frame):
                continue
            alive = False
        if alive:
            if listing:
                _emit(problem, rows, stack, frame, out, regions)
            regions += 1
            stack.leaves[0] += stack.weight[frame]
        stack.done[0] += stack.share[frame]
        stack.totals[N_FRAMES] -= 1
        steps += 1
    return DONE, regions

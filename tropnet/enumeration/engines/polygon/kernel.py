"""The compiled search of the polygon engine: cells of the plane as cyclic lists of corners, every sign certified.

A cell of two inputs is a convex polygon: its corners in counterclockwise order, and for each the row whose line carries
the side from there to the next one. Corners are homogeneous, X = (x, y, 1) times a positive factor, or (r, 0) for a
direction, so unbounded cells are nothing special: they have a side at infinity. A neuron's pre-activation is a linear
form, z = row . X; it cuts the cell iff z is positive at one corner and negative at another. Then both parts keep the
order, with one new corner on each side of the cell that crosses the line. So the sides of a cell are its facets, each
once, and of coincident rows the first that was decided.

Error bounds. Corners have max-norm at most 2; in a bounded domain all have the same last component, which is exact. The
radius of a corner bounds the max-norm distance from the stored one to the exact one (up to a positive factor); with
norm and error of the row (see `composition`),

    |computed z - exact z|  <=  norm * (rounding + radius) + error * (1 + radius),

and a sign is certain iff |z| exceeds that. Otherwise, in this order: residues prove z to vanish (see `residues`); the
corner is computed anew from its two lines, with a verified bound; it is looked up whether z vanishes because every term
of it does; residues give the sign; exact arithmetic (the caller's) answers. So no sign is ever guessed, and lines that
meet in a corner are ordinary.

Frames. The search is depth first on an explicit stack. A frame is a cell on its way through one layer (-1: before the
first), with the neurons of the layer that may cut it, and, for every later layer that reads this one, the partial sums
of its rows over the neurons decided so far. A decision adds one rank-one term to them, which all cells below share:
that replaces composing the rows of each cell, and it is less work than the pre-activations at all corners. A split
leaves the inactive side in its place and puts the active side on top.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.rounding import SAFE_HIGH, SAFE_LOW, UNIT_ROUNDOFF
from tropnet.enumeration.engines.composition import add_neurons, copy_sums, measure_rows
from tropnet.enumeration.engines.residues import UNKNOWN, sign_at
from tropnet.enumeration.engines.vanishing import vanishes
from tropnet.kernels import Record, compiled, popcount, weight_if_kept
from tropnet.regions.row_index import INFINITY

__all__ = ["ASIDE", "DONE", "FULL", "GROW", "QUERY", "UNKNOWN", "State", "search"]

# There is no cell that the kernel would lay aside.
DONE, FULL, GROW, QUERY, ASIDE = 0, 1, 2, 3, 4
FREE = 2
AFFINE, FALLING, RISING = range(3)
# The columns of `State.frames`. DEBT is a neuron that is decided but not yet in the sums, or -1.
N_COLUMNS = 8
LAYER, START, SIZE, TOP, N_LEFT, DEBT, FRESH, DEPTH = range(N_COLUMNS)
SHARE, WEIGHT, SPREAD = range(3)
N_TOTALS = 8
# BOUNDED: whether all roots are.
N_FRAMES, BOUNDED, ANSWERED, DECISIONS, BRANCHINGS, UNCERTAIN, REFINED, VANISHED = range(N_TOTALS)
N_PRICES = 5
DECIDING, LEAF, ENTERING, ADDING, SPLITTING = range(N_PRICES)
RADIUS = 3
_D = 3
# Products and sums of three terms are wrong by less than this, relatively, with room for corners up to size 2.
_ROUNDING = 24.0 * UNIT_ROUNDOFF
# New corners that are less certain than this are computed anew from their lines at once.
_COARSE = 1e-8
# With so many neurons left, those that no longer cut a part of the cell are decided together.
_MANY = 3


class State(NamedTuple):
    """The state of a search; it can be left and entered again."""

    points: NDArray[np.float64]  # (P, 4) corners: homogeneous, and the radius
    lines: NDArray[np.int64]  # (P, 2) places of the rows that meet there
    polygon: NDArray[np.int32]  # (M, 2) the cells of the frames, one above the other: corner, place of the next side
    values: NDArray[np.float64]  # (M,) z at the corners of the cell, by position
    signs: NDArray[np.int8]  # (M,) 2: unknown
    known: NDArray[np.int8]  # (M,) signs that the caller gave for the decision at hand; 2: none
    frames: NDArray[np.int64]  # (F, 8)
    shares: NDArray[np.float64]  # (F, 3)
    bits: NDArray[np.uint64]  # (F, words)
    cuts: NDArray[np.uint64]  # (F, words)
    left: NDArray[np.int32]  # (F, widest) neurons of the layer that are still undecided
    base: NDArray[np.int64]  # (L,) the frame that entered the layer
    span: NDArray[np.int64]  # (L,) the length of the sums of a frame
    sums_at: NDArray[
        np.int64
    ]  # (L,) into `sums`: frame f of layer l has its own at sums_at[l] + (f - base[l]) * span[l]
    sums: NDArray[np.float64]
    low: NDArray[np.float64]  # (widest,) scratch: range of z over the corners
    high: NDArray[np.float64]
    fixed: NDArray[np.uint64]  # (2, words) the neurons whose bit is fixed beforehand to be 0, to be 1
    masks: NDArray[np.uint64]  # (3, words) the neurons that are affine, and whose slope is not 0 for bit 0, for bit 1
    sides: NDArray[np.float64]  # (m, 3) rows of the domain; exact
    scratch: NDArray[np.uint8]  # (L,)
    targets: NDArray[np.float64]  # by stratum, of the sampling; empty to keep all
    free: NDArray[np.int64]  # (1,): keep all down to this depth
    phase: NDArray[np.float64]  # by stratum, of the sampling
    nodes: NDArray[np.float64]  # by stratum: weighted number of nodes
    leaves: NDArray[np.float64]  # (4,) weighted number of leaves; nodes left out; cost at `prices`, and weighted
    prices: NDArray[np.float64]  # (N_PRICES, L): see `_price`
    totals: NDArray[np.int64]
    done: NDArray[np.float64]  # (1,) fraction of the tree
    residues: Record  # of `Residues`; none before the first query


@compiled(inline=True)
def _sums_of(state: Any, frame: int, layer: int) -> Any:
    """Return where the sums of a frame begin."""
    return state.sums_at[layer] + (frame - state.base[layer]) * state.span[layer]


@compiled(inline=True)
def _is_fixed(state: Any, j: int, bit: int) -> bool:
    """Return whether a neuron's bit is fixed to be this one."""
    return bool((state.fixed[bit, j >> 6] >> np.uint64(j & 63)) & np.uint64(1))


@compiled(inline=True, reorder=True)
def _enter(problem: Any, rows: Any, state: Any, frame: int) -> Any:
    """Enter the frame's layer: decide the neurons that surely do not cut, list the others in `left`.

    Returns
    -------
    How many are listed in `chosen`, or -1 if a fixed bit is missed.
    """
    layer = state.frames[frame, LAYER]
    first, n = problem.first_neuron[layer], problem.widths[layer]
    at = problem.rows_at[layer]
    start, size = state.frames[frame, START], state.frames[frame, SIZE]
    low, high = state.low[:n], state.high[:n]
    row_x, row_y, row_c = rows.done[at : at + n], rows.done[at + n : at + 2 * n], rows.done[at + 2 * n : at + 3 * n]
    spread = 0.0
    for p in range(start, start + size):
        u = state.polygon[p, 0]
        x, y, w = state.points[u, 0], state.points[u, 1], state.points[u, 2]
        spread = max(spread, state.points[u, RADIUS])
        if p == start:
            for i in range(n):
                low[i] = row_x[i] * x + row_y[i] * y + row_c[i] * w
                high[i] = low[i]
        else:
            for i in range(n):
                z = row_x[i] * x + row_y[i] * y + row_c[i] * w
                low[i] = z if z < low[i] else low[i]
                high[i] = z if z > high[i] else high[i]
    state.shares[frame, SPREAD] = spread
    slack, scale = _ROUNDING + spread, 1.0 + spread
    norm, error = rows.norm[first : first + n], rows.error[first : first + n]
    for i in range(n):
        bound = norm[i] * slack + error[i] * scale
        low[i] -= bound
        high[i] += bound
    state.base[layer] = frame
    begin, end = problem.first_block[layer], problem.first_block[layer + 1]
    left: Any = np.int64(0)
    m: Any = np.int64(0)
    # The first neuron is decided first, so that it owns a line that several share; it goes last in the list.
    for word in range((first + n - 1) >> 6, (first >> 6) - 1, -1):
        above = below = neurons = np.uint64(0)
        for j in range(max(first, word << 6), min(first + n, (word + 1) << 6)):
            bit = np.uint64(1) << np.uint64(j & 63)
            neurons |= bit
            above |= bit if low[j - first] > 0.0 else np.uint64(0)
            below |= bit if high[j - first] < 0.0 else np.uint64(0)
        # Decided before the search, to make a cell with a corner.
        before, affine = state.cuts[frame, word] & neurons, state.masks[AFFINE, word] & neurons
        active = (above & ~affine) | (before & state.bits[frame, word])
        pending = neurons & ~(above | below | before | affine)
        silent = neurons & ~(active | pending)
        if (active & state.fixed[0, word]) | (silent & state.fixed[1, word]):
            return -1
        state.bits[frame, word] |= active
        count = popcount(pending)
        for k in range(count):
            j = (word << 6) + popcount((pending & (~pending + np.uint64(1))) - np.uint64(1))
            state.left[frame, left + count - 1 - k] = j - first
            pending &= pending - np.uint64(1)
        left += count
        if begin < end:
            loud = (active & state.masks[RISING, word]) | (silent & state.masks[FALLING, word])
            while loud:
                j = (word << 6) + popcount((loud & (~loud + np.uint64(1))) - np.uint64(1))
                is_active = np.int64((active >> np.uint64(j & 63)) & np.uint64(1))
                rows.chosen[m], rows.slope[m] = j - first, problem.slopes[j, is_active]
                m += 1
                loud &= loud - np.uint64(1)
    state.frames[frame, N_LEFT] = left
    state.frames[frame, DEBT] = -1
    state.frames[frame, FRESH] = 0
    here = _sums_of(state, frame, layer)
    for block in range(begin, end):
        length = (_D + 1) * problem.widths[problem.reader[block]]
        before, to = problem.before_at[block], here + problem.done_at[block] - problem.done_at[begin]
        copy_sums(rows.done[before : before + length], state.sums[to : to + length])
    return m


@compiled(inline=True)
def _leave(problem: Any, rows: Any, state: Any, frame: int) -> None:
    """Hand the complete sums of the frame's layer on to the layers that read it."""
    layer = state.frames[frame, LAYER]
    begin, here = problem.first_block[layer], _sums_of(state, frame, layer)
    for block in range(begin, problem.first_block[layer + 1]):
        length = (_D + 1) * problem.widths[problem.reader[block]]
        to, at = problem.done_at[block], here + problem.done_at[block] - problem.done_at[begin]
        copy_sums(state.sums[at : at + length], rows.done[to : to + length])
        measure_rows(problem, rows, block, _D)


@compiled(inline=True, reorder=True)
def _filter(problem: Any, rows: Any, state: Any, frame: int, m: Any) -> Any:
    """Decide those of the neurons left that surely do not cut this part of the cell; returns as `_enter`.

    The next one to decide stays, as its signs are asked for anyway.
    """
    layer = state.frames[frame, LAYER]
    first, n = problem.first_neuron[layer], problem.widths[layer]
    start, size = state.frames[frame, START], state.frames[frame, SIZE]
    spread = state.shares[frame, SPREAD]
    slack, scale = _ROUNDING + spread, 1.0 + spread
    left: Any = np.int64(0)
    last = state.frames[frame, N_LEFT] - 1
    missed = False
    for q in range(last):
        i = np.int64(state.left[frame, q])
        at, j = problem.rows_at[layer] + i, first + i
        a, b, c = rows.done[at], rows.done[at + n], rows.done[at + 2 * n]
        u = state.polygon[start, 0]
        low = a * state.points[u, 0] + b * state.points[u, 1] + c * state.points[u, 2]
        high = low
        for p in range(start + 1, start + size):
            u = state.polygon[p, 0]
            z = a * state.points[u, 0] + b * state.points[u, 1] + c * state.points[u, 2]
            low = z if z < low else low
            high = z if z > high else high
        bound = rows.norm[j] * slack + rows.error[j] * scale
        bit = np.int64(low > bound)
        decided = bit | np.int64(high < -bound)
        state.bits[frame, j >> 6] |= np.uint64(bit) << np.uint64(j & 63)
        missed = missed or (decided == 1 and _is_fixed(state, j, 1 - bit))
        slope = problem.slopes[j, bit]
        rows.chosen[m], rows.slope[m] = i, slope
        m += decided & np.int64(slope != 0.0)
        state.left[frame, left] = i
        left += np.int64(1) - decided
    if missed:
        return -1
    state.left[frame, left] = state.left[frame, last]
    state.frames[frame, N_LEFT] = left + 1
    return m


@compiled(inline=True, reorder=True)
def _decide(problem: Any, rows: Any, state: Any, frame: int, i: int) -> int:
    """Put z of neuron i at the corners into `values` and its signs into `signs`.

    Returns
    -------
    1 or 0 if the neuron does not cut (its bit), 2 if it does, 3 if the caller must answer where `signs` is 2.
    """
    layer = state.frames[frame, LAYER]
    n = problem.widths[layer]
    at, j = problem.rows_at[layer] + i, problem.first_neuron[layer] + i
    norm, error = rows.norm[j], rows.error[j]
    a, b, c = rows.done[at], rows.done[at + n], rows.done[at + 2 * n]
    if error == 0.0 and a == 0.0 and b == 0.0:
        return int(rows.done[at + 2 * n] > 0.0)
    spread = state.shares[frame, SPREAD]
    bound = norm * (_ROUNDING + spread) + error * (1.0 + spread)
    start, size = state.frames[frame, START], state.frames[frame, SIZE]
    positive: Any = 0
    negative: Any = 0
    for p in range(size):
        u = state.polygon[start + p, 0]
        z = a * state.points[u, 0] + b * state.points[u, 1] + c * state.points[u, 2]
        state.values[p] = z
        above, below = np.int64(z > bound), np.int64(z < -bound)
        state.signs[p] = above - below
        positive += above
        negative += below
    if positive + negative < size:
        positive, negative, asked = _settle(problem, rows, state, frame, layer, np.int64(i))
        if asked:
            return 3
    state.totals[ANSWERED] = 0
    if positive and negative:
        return 2
    return int(positive > 0)


@compiled()
def _settle(problem: Any, rows: Any, state: Any, frame: int, layer: int, i: int) -> tuple[int, int, int]:
    """Settle the signs that are 0 so far; return how many are positive, negative, and left to the caller (2)."""
    n = problem.widths[layer]
    at, j = problem.rows_at[layer] + i, problem.first_neuron[layer] + i
    a, b, c = rows.done[at], rows.done[at + n], rows.done[at + 2 * n]
    norm, error = rows.norm[j], rows.error[j]
    start, size = state.frames[frame, START], state.frames[frame, SIZE]
    answered = state.totals[ANSWERED] == 1
    positive = negative = asked = zero = 0
    for p in range(size):
        if state.signs[p] == 0:
            u = np.int64(state.polygon[start + p, 0])
            z, sign = state.values[p], np.int64(UNKNOWN)
            if zero > 2:
                # A linear form that vanishes at three corners is 0.
                sign = np.int64(0)
            elif answered:
                sign = np.int64(state.known[p])
            for attempt in range(2):
                if sign != UNKNOWN:
                    break
                radius = state.points[u, RADIUS]
                bound = norm * (_ROUNDING + radius) + error * (1.0 + radius)
                if z > bound:
                    sign = np.int64(1)
                elif z < -bound:
                    sign = np.int64(-1)
                elif attempt == 0:
                    state.totals[UNCERTAIN] += 1
                    if _sign_at(problem, rows, state, frame, layer, j, u, np.bool_(True)) == 0:
                        state.totals[VANISHED] += 1
                        sign = np.int64(0)
                        break
                    if not _refine(problem, rows, state, u):
                        break
                    z = a * state.points[u, 0] + b * state.points[u, 1] + c * state.points[u, 2]
            origin = state.points[u, 0] == 0.0 and state.points[u, 1] == 0.0 and state.points[u, RADIUS] == 0.0
            if sign == UNKNOWN and vanishes(
                problem, state.scratch, state.bits[frame], state.lines[u], np.uint64(3), origin, layer, np.int64(j)
            ):
                state.totals[VANISHED] += 1
                sign = np.int64(0)
            if sign == UNKNOWN:
                sign = np.int64(_sign_at(problem, rows, state, frame, layer, j, u, np.bool_(False)))
            if sign == UNKNOWN:
                asked += 1
            elif sign == 0:
                zero += 1
                z = 0.0
            else:
                # With the right sign, and not farther from the exact value than twice the bound.
                z = sign * max(abs(z), norm * _ROUNDING)
            state.values[p], state.signs[p] = z, sign
        positive += state.signs[p] == 1
        negative += state.signs[p] == -1
    return positive, negative, asked


@compiled()
def _sign_at(problem: Any, rows: Any, state: Any, frame: int, layer: int, j: int, u: int, zero_only: bool) -> int:
    """Return the sign of neuron j at corner u by residues; `UNKNOWN` if they are too few, or it is not 0 only."""
    c = 2
    if not state.totals[BOUNDED]:
        for k in range(2):
            if abs(state.points[u, k]) > abs(state.points[u, c]):
                c = k
        if not zero_only and not abs(state.points[u, c]) > state.points[u, RADIUS]:
            return UNKNOWN
    sign = sign_at(
        problem, rows, state.residues, state.bits[frame], state.lines[u], np.uint64(3), layer, j, np.int64(c), zero_only
    )
    return -sign if sign != UNKNOWN and state.points[u, c] < 0.0 else sign


@compiled()
def _line(problem: Any, rows: Any, state: Any, place: int) -> tuple[float, float, float, float, float]:
    """Return the row of a place, its 1-norm and its error."""
    n_layers = problem.widths.shape[0]
    n_neurons = problem.first_neuron[n_layers]
    if place == INFINITY:
        return 0.0, 0.0, 1.0, 1.0, 0.0
    if place >= n_neurons:
        side = state.sides[place - n_neurons]
        return side[0], side[1], side[2], abs(side[0]) + abs(side[1]) + abs(side[2]), 0.0
    layer = 0
    while problem.first_neuron[layer + 1] <= place:
        layer += 1
    n = problem.widths[layer]
    at = problem.rows_at[layer] + place - problem.first_neuron[layer]
    return rows.done[at], rows.done[at + n], rows.done[at + 2 * n], rows.norm[place], rows.error[place]


@compiled()
def _refine(problem: Any, rows: Any, state: Any, u: int) -> bool:
    """Compute corner u anew from its two lines; return whether that is surely more accurate.

    One component c stays as it is, in a bounded domain the last; the others solve M y = -m_c X_c, where (M, m_c) are
    the two rows. With C near the inverse of M, and the exact rows r*, the exact solution differs from the new one by at
    most |C r*(y)| / (1 - |1 - C M*|).
    """
    a_0, a_1, a_2, norm_a, error_a = _line(problem, rows, state, state.lines[u, 0])
    b_0, b_1, b_2, norm_b, error_b = _line(problem, rows, state, state.lines[u, 1])
    if not (SAFE_LOW < norm_a < SAFE_HIGH and SAFE_LOW < norm_b < SAFE_HIGH):
        return False
    bounded, old = state.totals[BOUNDED], state.points[u, RADIUS]
    k, unit = 2, state.points[u, 2]
    if not bounded:
        for m in range(2):
            if abs(state.points[u, m]) > abs(unit):
                k, unit = m, state.points[u, m]
    directed = bounded or old < 0.5 * abs(unit)
    if k == 0:
        a_0, a_1, a_2, b_0, b_1, b_2 = a_1, a_2, a_0, b_1, b_2, b_0
    elif k == 1:
        a_0, a_1, a_2, b_0, b_1, b_2 = a_2, a_0, a_1, b_2, b_0, b_1
    # Rows of norm 1, nearly.
    scale_a, scale_b = 1.0 / norm_a, 1.0 / norm_b
    a_0, a_1, a_2, error_a = a_0 * scale_a, a_1 * scale_a, a_2 * scale_a * unit, error_a * scale_a + _ROUNDING
    b_0, b_1, b_2, error_b = b_0 * scale_b, b_1 * scale_b, b_2 * scale_b * unit, error_b * scale_b + _ROUNDING
    determinant = a_0 * b_1 - a_1 * b_0
    if determinant == 0.0:
        return False
    inverse = 1.0 / determinant
    c_00, c_01, c_10, c_11 = b_1 * inverse, -a_1 * inverse, -b_0 * inverse, a_0 * inverse
    x, y = -(c_00 * a_2 + c_01 * b_2), -(c_10 * a_2 + c_11 * b_2)
    at_a, at_b = a_0 * x + a_1 * y + a_2, b_0 * x + b_1 * y + b_2
    x, y = x - (c_00 * at_a + c_01 * at_b), y - (c_10 * at_a + c_11 * at_b)
    if not (abs(x) <= 2.0 and abs(y) <= 2.0):
        return False
    at_a = abs(a_0 * x + a_1 * y + a_2) + 2.0 * (_ROUNDING + error_a)
    at_b = abs(b_0 * x + b_1 * y + b_2) + 2.0 * (_ROUNDING + error_b)
    wrong_a, wrong_b = error_a + _ROUNDING, error_b + _ROUNDING
    size_x = abs(c_00 * a_0 + c_01 * b_0 - 1.0) + abs(c_00 * a_1 + c_01 * b_1)
    size_y = abs(c_10 * a_0 + c_11 * b_0) + abs(c_10 * a_1 + c_11 * b_1 - 1.0)
    size_x += abs(c_00) * wrong_a + abs(c_01) * wrong_b
    size_y += abs(c_10) * wrong_a + abs(c_11) * wrong_b
    contraction = max(size_x, size_y)
    wrong = max(abs(c_00) * at_a + abs(c_01) * at_b, abs(c_10) * at_a + abs(c_11) * at_b)
    radius = 1.1 * wrong / (1.0 - contraction)
    if not (contraction < 0.5 and radius < old):
        return False
    if k == 0:
        x, y, w = unit, x, y
    elif k == 1:
        x, y, w = y, unit, x
    else:
        w = unit
    sign = 1.0
    if not directed:
        # The component was not certain, nor which of two opposite directions is meant; the last is never negative.
        if not abs(w) > radius:
            return False
        sign = math.copysign(1.0, w)
    state.points[u, 0], state.points[u, 1], state.points[u, 2] = sign * x, sign * y, sign * w
    state.points[u, RADIUS] = radius
    state.totals[REFINED] += 1
    return True


@compiled(inline=True)
def _split(problem: Any, rows: Any, state: Any, frame: int, i: int) -> int:
    """Split the top frame by neuron i: it becomes the inactive side, and frame + 1 the active one.

    The pool of corners, and the cells (lists of indices into the pool), before and after; - 0 + are the signs of z at
    the old corners in cyclic order, n the new ones on crossing sides::

        points   | older frames | this frame's: - + + 0 - | free
        points   | older frames | this frame's: - + + 0 - | n | free
                                                 ^ top before  ^ top of both sides

        polygon  | older cells  | - + + 0 -    | free
        polygon  | older cells  | - n 0 -    . | n + + 0 | free
                                 ^ start        ^ start of the active side: at start + size + 1

    Both sides share the corners that they have in common. The active side is searched first; when it is done, the free
    room begins at `top` of the inactive side again.

    Returns
    -------
    0, or (then nothing has changed) `GROW` if the arrays are too small.
    """
    start, size, layer = state.frames[frame, START], state.frames[frame, SIZE], state.frames[frame, LAYER]
    top, above = state.frames[frame, TOP], frame + 1
    up_start = start + size + 1
    if (
        up_start + size + 1 > state.polygon.shape[0]
        or top + 2 > state.points.shape[0]
        or above >= state.frames.shape[0]
    ):
        return GROW
    j = problem.first_neuron[layer] + i
    norm, error = rows.norm[j], rows.error[j]
    low, up = start, up_start
    spread = state.shares[frame, SPREAD]
    u, side, sign, z = state.polygon[start, 0], state.polygon[start, 1], state.signs[0], state.values[0]
    u_0, side_0, sign_0, z_0 = u, side, sign, z
    for p in range(1, size + 1):
        # The inactive side overtakes the reading by one corner at most.
        if p < size:
            v, side_v, sign_v, z_v = (
                state.polygon[start + p, 0],
                state.polygon[start + p, 1],
                state.signs[p],
                state.values[p],
            )
        else:
            v, side_v, sign_v, z_v = u_0, side_0, sign_0, z_0
        if sign <= 0:
            state.polygon[low, 0], state.polygon[low, 1] = u, side if sign < 0 or sign_v < 0 else j
            low += 1
        if sign >= 0:
            state.polygon[up, 0], state.polygon[up, 1] = u, side if sign > 0 or sign_v > 0 else j
            up += 1
        if sign * sign_v < 0:
            # The new corner is u + t (v - u): an error in t moves it along the side only.
            size_u, size_v = abs(z), abs(z_v)
            radius_u, radius_v = state.points[u, RADIUS], state.points[v, RADIUS]
            wrong_u = norm * (_ROUNDING + radius_u) + error * (1.0 + radius_u)
            wrong_v = norm * (_ROUNDING + radius_v) + error * (1.0 + radius_v)
            if size_u <= wrong_u or size_v <= wrong_v:
                # The sign was settled otherwise.
                wrong_u, wrong_v = 2.0 * wrong_u, 2.0 * wrong_v
            inverse = 1.0 / (size_u + size_v)
            t = size_u * inverse
            largest = apart = 0.0
            for k in range(_D):
                x = state.points[u, k]
                along = state.points[v, k] - x
                x += t * along
                state.points[top, k] = x
                apart = max(apart, abs(along))
                largest = max(largest, abs(x))
            wrong_t = 1.2 * (wrong_u * size_v + wrong_v * size_u) * inverse * inverse
            radius = radius_u + t * (radius_v - radius_u) + wrong_t * (apart + radius_u + radius_v) + _ROUNDING
            if not (wrong_u + wrong_v) * inverse < 0.1:
                radius = np.inf
            if largest < 0.01 and not state.totals[BOUNDED]:
                # A power of two scales exactly.
                scale = math.ldexp(1.0, -math.frexp(max(largest, SAFE_LOW))[1])
                for k in range(_D):
                    state.points[top, k] *= scale
                radius *= scale
            state.points[top, RADIUS] = radius
            state.lines[top, 0], state.lines[top, 1] = side, j
            if not radius < _COARSE:
                _refine(problem, rows, state, np.int64(top))
                radius = state.points[top, RADIUS]
            spread = max(spread, radius)
            state.polygon[low, 0], state.polygon[low, 1] = top, j if sign < 0 else side
            state.polygon[up, 0], state.polygon[up, 1] = top, j if sign > 0 else side
            low += 1
            up += 1
            top += 1
        u, side, sign, z = v, side_v, sign_v, z_v

    word, mask = j >> 6, np.uint64(1) << np.uint64(j & 63)
    state.cuts[frame, word] |= mask
    for k in range(state.bits.shape[1]):
        state.bits[above, k] = state.bits[frame, k]
        state.cuts[above, k] = state.cuts[frame, k]
    state.bits[above, word] |= mask
    n_left = state.frames[frame, N_LEFT]
    for k in range(n_left):
        state.left[above, k] = state.left[frame, k]
    state.shares[frame, SHARE] *= 0.5
    state.shares[frame, SPREAD] = spread
    for k in range(3):
        state.shares[above, k] = state.shares[frame, k]
    state.frames[frame, SIZE], state.frames[frame, TOP] = low - start, top
    state.frames[frame, DEBT], state.frames[frame, FRESH] = i, 1
    for k in range(N_COLUMNS):
        state.frames[above, k] = state.frames[frame, k]
    state.frames[above, START], state.frames[above, SIZE] = up_start, up - up_start
    span = state.span[layer]
    if span:
        here = _sums_of(state, frame, layer)
        copy_sums(state.sums[here : here + span], state.sums[here + span : here + 2 * span])
    state.totals[N_FRAMES] += 1
    return 0


@compiled(inline=True, reorder=True)
def _inside(state: Any, frame: int, x: float, y: float, w: float, reach: float) -> bool:
    """Return whether (x, y, w) is surely inside the exact cell: on the inner side of every side.

    Corners are moved along (x, y, w) to where their last component is 0; `reach` is how far errors grow by that.
    """
    start, size = state.frames[frame, START], state.frames[frame, SIZE]
    inside, inverse = True, 1.0 / w
    u = state.polygon[start + size - 1, 0]
    share = state.points[u, 2] * inverse
    u_x, u_y = state.points[u, 0] - share * x, state.points[u, 1] - share * y
    radius_u = state.points[u, RADIUS]
    for p in range(start, start + size):
        v = state.polygon[p, 0]
        share = state.points[v, 2] * inverse
        v_x, v_y = state.points[v, 0] - share * x, state.points[v, 1] - share * y
        radius_v = state.points[v, RADIUS]
        wrong = reach * (radius_u + radius_v + 2.0 * _ROUNDING)
        bound = 1.1 * wrong * (abs(u_x) + abs(u_y) + abs(v_x) + abs(v_y) + 2.0 * wrong)
        inside = inside and u_x * v_y - u_y * v_x > bound
        u_x, u_y, radius_u = v_x, v_y, radius_v
    return inside


@compiled(inline=True, reorder=True)
def _emit(problem: Any, rows: Any, state: Any, frame: int, out: Any, r: int) -> None:
    """Write a region: bits, cuts, the mean of its corners, checked against its sides, and the sides."""
    start, size = state.frames[frame, START], state.frames[frame, SIZE]
    for k in range(state.bits.shape[1]):
        out.bits[r, k] = state.bits[frame, k]
        out.cuts[r, k] = state.cuts[frame, k]
    for attempt in range(2):
        x = y = w = 0.0
        for p in range(start, start + size):
            u = state.polygon[p, 0]
            x += state.points[u, 0]
            y += state.points[u, 1]
            w += state.points[u, 2]
        if state.totals[BOUNDED]:
            # All last components are the same power of two.
            share, unit = 1.0 / size, state.points[state.polygon[start, 0], 2]
            x, y, w, reach = x * share, y * share, unit, 1.0
            out.points[r, 0], out.points[r, 1] = x / unit, y / unit
        else:
            x, y, w = x / w, y / w, 1.0
            reach = 1.0 + max(abs(x), abs(y))
            out.points[r, 0], out.points[r, 1] = x, y
        inside = reach < SAFE_HIGH and _inside(state, frame, x, y, w, reach)
        if inside or attempt:
            break
        for p in range(start, start + size):
            _refine(problem, rows, state, np.int64(state.polygon[p, 0]))
    out.inside[r] = inside
    if out.facets.shape[0]:
        for k in range(out.facets.shape[1]):
            out.facets[r, k] = 0
        for p in range(start, start + size):
            place = np.int64(state.polygon[p, 1])
            if place == INFINITY:
                continue
            out.facets[r, place >> 6] |= np.uint64(1) << np.uint64(place & 63)


@compiled()
def _prune(state: Any, frame: int, stratum: int, n_layers: int) -> None:
    """Keep each of the two new top frames with the probability of their stratum."""
    depth, weight = state.frames[frame, DEPTH] + 1, state.shares[frame, WEIGHT]
    state.nodes[stratum] += 2.0 * weight
    for child in range(2):
        state.frames[frame + child, DEPTH] = depth
        if depth > state.free[0]:
            state.shares[frame + child, WEIGHT] = weight_if_kept(state.phase, state.targets, stratum, weight)
        if state.shares[frame + child, WEIGHT] == 0.0:
            # Passed over when its turn comes.
            state.leaves[1] += 1.0
            state.frames[frame + child, LAYER] = n_layers


@compiled(inline=True)
def _spend(state: Any, frame: int, price: float) -> None:
    """Add to the cost."""
    state.leaves[2] += price
    state.leaves[3] += price * state.shares[frame, WEIGHT]


@compiled(entry=True)
def search(problem: Any, rows: Any, state: Any, out: Any, listing: bool, max_steps: int) -> tuple[int, int]:
    """Run until done, the output is full, the arrays are too small, an answer is needed, or for `max_steps`.

    Returns
    -------
    status, n_regions
        `FULL` also stands for `max_steps`. `QUERY`: the caller sets `known` where `signs` is 2, for the last of the
        neurons `left` of the top frame, and `totals[ANSWERED]`. Regions go to `out` if `listing`, else they are only
        counted.
    """
    n_layers = problem.widths.shape[0]
    regions = steps = 0
    m: Any = np.int64(0)
    while state.totals[N_FRAMES] > 0:
        if steps >= max_steps or (listing and regions >= out.bits.shape[0]):
            return FULL, regions
        frame = state.totals[N_FRAMES] - 1
        layer = state.frames[frame, LAYER]
        # Other frames are passed over.
        alive = layer < n_layers
        if alive:
            # List the neurons whose outputs go into the sums now.
            n_left, debt = state.frames[frame, N_LEFT], state.frames[frame, DEBT]
            if n_left == 0 and debt < 0 and layer + 1 < n_layers:
                if layer >= 0:
                    _leave(problem, rows, state, frame)
                layer += 1
                state.frames[frame, LAYER] = layer
                m = _enter(problem, rows, state, frame)
                _spend(state, frame, state.prices[ENTERING, layer])
            else:
                m = np.int64(0)
                if debt >= 0:
                    j = problem.first_neuron[layer] + debt
                    bit = np.int64((state.bits[frame, j >> 6] >> np.uint64(j & 63)) & np.uint64(1))
                    if problem.slopes[j, bit] != 0.0:
                        rows.chosen[0], rows.slope[0] = debt, problem.slopes[j, bit]
                        m = np.int64(1)
                    state.frames[frame, DEBT] = -1
                if state.frames[frame, FRESH] and n_left >= _MANY:
                    m = _filter(problem, rows, state, frame, m)
                state.frames[frame, FRESH] = 0
            alive = m >= 0
            if m > 0:
                _spend(state, frame, state.prices[ADDING, layer] * m)
                begin, here = problem.first_block[layer], _sums_of(state, frame, layer)
                for block in range(begin, problem.first_block[layer + 1]):
                    at = here + problem.done_at[block] - problem.done_at[begin]
                    add_neurons(problem, rows, state.sums, at, block, layer, m, _D)
        n_left = state.frames[frame, N_LEFT]
        if alive and n_left > 0:
            i = np.int64(state.left[frame, n_left - 1])
            j = problem.first_neuron[layer] + i
            state.totals[DECISIONS] += 1
            _spend(state, frame, state.prices[DECIDING, layer] * n_left)
            answer = _decide(problem, rows, state, frame, i)
            if answer == 3:
                return QUERY, regions
            fixed = 0 if _is_fixed(state, j, 0) else 1 if _is_fixed(state, j, 1) else FREE
            if answer == 2:
                if not listing and fixed == FREE and layer + 1 == n_layers and n_left == 1:
                    # The last split needs no cells to be counted.
                    state.totals[BRANCHINGS] += 1
                    regions += 2
                    alive = False
                    if state.targets.shape[0]:
                        state.nodes[problem.first_neuron[n_layers]] += 2.0 * state.shares[frame, WEIGHT]
                        state.leaves[0] += 2.0 * state.shares[frame, WEIGHT]
                else:
                    state.frames[frame, N_LEFT] = n_left - 1
                    status = _split(problem, rows, state, frame, i)
                    if status != 0:
                        state.frames[frame, N_LEFT] = n_left
                        return status, regions
                    steps += 1
                    _spend(state, frame, state.prices[SPLITTING, layer])
                    if fixed == FREE:
                        state.totals[BRANCHINGS] += 1
                        if state.targets.shape[0]:
                            _prune(state, frame, problem.first_neuron[layer + 1] - n_left + 1, n_layers)
                    elif fixed == 0:
                        state.shares[frame, SHARE] *= 2.0
                        state.totals[N_FRAMES] -= 1
                    else:
                        # The inactive side is passed over when its turn comes.
                        state.shares[frame + 1, SHARE] *= 2.0
                        state.shares[frame, SHARE] = 0.0
                        state.frames[frame, LAYER] = n_layers
                    continue
            else:
                state.frames[frame, N_LEFT] = n_left - 1
                state.frames[frame, DEBT] = i
                if answer == 1:
                    state.bits[frame, j >> 6] |= np.uint64(1) << np.uint64(j & 63)
                if fixed in (FREE, answer):
                    continue
                alive = False
        elif alive and layer + 1 < n_layers:
            continue
        if alive:
            if listing:
                _emit(problem, rows, state, frame, out, regions)
            regions += 1
            _spend(state, frame, state.prices[LEAF, 0])
            state.leaves[0] += state.shares[frame, WEIGHT]
        state.done[0] += state.shares[frame, SHARE]
        state.totals[N_FRAMES] -= 1
        steps += 1
    return DONE, regions

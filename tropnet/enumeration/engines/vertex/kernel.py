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
first), with its generators (a list of indices into a pool), the neurons of the layer that are still undecided, and its
bits. A split leaves the inactive side in its place and puts the active side on top. The pool is a stack as well: what
lies above `top` of the frame at work is free. Composed rows are kept per layer (see `composition`).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.rounding import SAFE_HIGH, SAFE_LOW, UNIT_ROUNDOFF
from tropnet.enumeration.engines.composition import PENDING, complete_layer, enter_layer
from tropnet.enumeration.engines.residues import UNKNOWN, Residues, sign_at
from tropnet.kernels import compiled, popcount, weight_if_kept
from tropnet.regions.row_index import INFINITY

__all__ = ["ASIDE", "DONE", "FREE", "FULL", "GROW", "QUERY", "Stack", "search"]

DONE, FULL, GROW, QUERY, ASIDE = 0, 1, 2, 3, 4
FREE = 2
N_TOTALS = 7
N_FRAMES, N_MEMO, DECISIONS, BRANCHINGS, UNCERTAIN, REFINED, VANISHED = range(N_TOTALS)
N_PRICES = 9
DECIDING, LOOKING, LEAF, ENTERING, RANGING, COMPLETING, SPLITTING, PAIRING, REFINING = range(N_PRICES)
# Cells of more generators enter a layer by the box around them; of up to so many, each is looked at.
_MANY = 10
# Products and sums of D terms are wrong by less than this times D, relatively.
_ROUNDING = 8.0 * UNIT_ROUNDOFF
# New generators that are less certain than this are computed anew from their facets at once.
_COARSE = 1e-2


class Stack(NamedTuple):
    """The state of a search; it can be left and entered again."""

    X: NDArray[np.float64]  # (P, D) generators
    radius: NDArray[np.float64]  # (P,)
    tight: NDArray[np.uint64]  # (P,)
    members: NDArray[np.int32]  # (P,) the lists of the frames, one above the other
    owner: NDArray[np.int32]  # (F, 64): by bit of a mask, the place of its row (`RowIndex`), INFINITY included
    layer: NDArray[np.int64]  # (F,)
    start: NDArray[np.int64]  # (F,) into `members`
    size: NDArray[np.int64]  # (F,)
    top: NDArray[np.int64]  # (F,) into the pool
    simple: NDArray[np.bool_]  # (F,)
    spread: NDArray[np.float64]  # (F,) largest radius
    n_left: NDArray[np.int64]  # (F,)
    left: NDArray[np.int32]  # (F, widest) undecided neurons of the layer
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
    values: NDArray[np.float64]  # (P,) z at the generators of the cell, by position
    signs: NDArray[np.int8]  # (P,)
    across: NDArray[np.int32]  # (P,) scratch: the generators on the inactive side, and what is tight there
    across_tight: NDArray[np.uint64]  # (P,)
    row: NDArray[np.float64]  # (D,) scratch: the neuron to decide
    rows: NDArray[np.float64]  # (D, D) scratch: facets of a generator, and what belongs to them
    inverse: NDArray[np.float64]  # (D, D)
    errors: NDArray[np.float64]  # (D,)
    residual: NDArray[np.float64]  # (D,)
    order: NDArray[np.int64]  # (D,)
    row_x: NDArray[np.float64]  # (D,)
    row_m: NDArray[np.float64]  # (D,)
    scratch: NDArray[np.uint8]  # (n_neurons + L,)
    memo: NDArray[np.int64]  # (P, 2) generators whose sign the caller gives (2: asked for) for the decision at hand
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
    residues: Residues  # none before the first query


@compiled(inline=True, reorder=True)
def _enter(problem: Any, rows: Any, stack: Any, frame: int) -> bool:
    """Enter the frame's layer: decide the neurons that do not cut, list the others. False if a fixed bit is missed."""
    layer, D = stack.layer[frame], stack.X.shape[1]
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
    slack = 2.0 * _ROUNDING * D + stack.spread[frame]
    scale = 1.0 + stack.spread[frame]
    left = 0
    for i in range(n):
        j = first + i
        bound = rows.norm[j] * slack + rows.error[j] * scale
        word, bit = j >> 6, np.uint64(1) << np.uint64(j & 63)
        if low[i] > bound and problem.slopes[j, 0] != problem.slopes[j, 1]:
            if stack.fixed[j] == 0:
                return False
            stack.state[j] = 1
            stack.bits[frame, word] |= bit
            continue
        if high[i] < -bound or problem.slopes[j, 0] == problem.slopes[j, 1]:
            if stack.fixed[j] == 1:
                return False
            stack.state[j] = 0
            continue
        if stack.cuts[frame, word] & bit:
            # Decided before the search, to make a cell with a vertex.
            stack.state[j] = stack.bits[frame, word] & bit != 0
            if stack.fixed[j] == 1 - stack.state[j]:
                return False
            continue
        stack.state[j] = PENDING
        stack.left[frame, left] = i
        stack.listed[layer, left] = i
        left += 1
    stack.n_left[frame] = left
    stack.n_listed[layer] = left
    enter_layer(problem, rows, layer, stack.state, D)
    return True


@compiled(inline=True, reorder=True)
def _decide(problem: Any, rows: Any, stack: Any, frame: int, i: int) -> int:
    """Put z of neuron i at the generators into `values` and its signs into `signs`.

    Returns
    -------
    1 or 0 if the neuron does not cut (its bit), 2 if it does, 3 if the caller must answer what `memo` lists.
    """
    layer, D = stack.layer[frame], stack.X.shape[1]
    n = problem.widths[layer]
    at, j = problem.rows_at[layer] + i, problem.first_neuron[layer] + i
    norm, error = rows.norm[j], rows.error[j]
    constant = error == 0.0
    for k in range(D - 1):
        constant = constant and rows.done[at + k * n] == 0.0
    if constant:
        return int(rows.done[at + (D - 1) * n] > 0.0)
    bound = norm * (_ROUNDING * D + stack.spread[frame]) + error * (1.0 + stack.spread[frame])
    start, size = stack.start[frame], stack.size[frame]
    row = stack.row
    for k in range(D):
        row[k] = rows.done[at + k * n]
    positive = negative = 0
    answered = asked = stack.totals[N_MEMO]
    for p in range(size):
        u = stack.members[start + p]
        x = stack.X[u]
        z = row[0] * x[0] + row[1] * x[1]
        for k in range(2, D):
            z += row[k] * x[k]
        sign = 2
        if z > bound:
            sign = 1
        elif z < -bound:
            sign = -1
        else:
            z, sign = _settle(problem, rows, stack, frame, layer, i, u, z)
            if sign == 2:
                stack.memo[asked, 0], stack.memo[asked, 1] = u, 2
                asked += 1
                continue
        stack.values[p] = z
        stack.signs[p] = sign
        positive += sign == 1
        negative += sign == -1
    if asked > answered:
        stack.totals[N_MEMO] = asked
        return 3
    stack.totals[N_MEMO] = 0
    if positive and negative:
        return 2
    return positive > 0


@compiled()
def _settle(problem: Any, rows: Any, stack: Any, frame: int, layer: int, i: int, u: int, z: float) -> tuple[float, int]:
    """Return z and its certain sign at generator u, 2 if exact arithmetic is needed."""
    D, n = stack.X.shape[1], problem.widths[layer]
    at, j = problem.rows_at[layer] + i, problem.first_neuron[layer] + i
    for m in range(stack.totals[N_MEMO]):
        if stack.memo[m, 0] == u and stack.memo[m, 1] != 2:
            # With the right sign, and not farther from the exact value than twice the bound.
            sign = stack.memo[m, 1]
            return sign * max(abs(z), rows.norm[j] * _ROUNDING), sign
    for attempt in range(2):
        bound = rows.norm[j] * (_ROUNDING * D + stack.radius[u]) + rows.error[j] * (1.0 + stack.radius[u])
        if z > bound:
            return z, 1
        if z < -bound:
            return z, -1
        if attempt == 0:
            stack.totals[UNCERTAIN] += 1
            if _sign_at(problem, rows, stack, frame, layer, j, u, np.bool_(True)) == 0:
                stack.totals[VANISHED] += 1
                return 0.0, 0
            if not _refine(problem, rows, stack, frame, np.int64(u)):
                break
            z = 0.0
            for k in range(D):
                z += rows.done[at + k * n] * stack.X[u, k]
    if _vanishes(problem, stack, frame, layer, j, u):
        stack.totals[VANISHED] += 1
        return 0.0, 0
    sign = _sign_at(problem, rows, stack, frame, layer, j, u, np.bool_(False))
    if sign == UNKNOWN:
        return z, 2
    return sign * max(abs(z), rows.norm[j] * _ROUNDING), sign


@compiled()
def _sign_at(problem: Any, rows: Any, stack: Any, frame: int, layer: int, j: int, u: int, zero_only: bool) -> int:
    """Return the sign of neuron j at generator u by residues; `UNKNOWN` if they are too few, or it is not 0 only."""
    D = stack.X.shape[1]
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
    D = stack.X.shape[1]
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
    D = stack.X.shape[1]
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
    D = stack.X.shape[1]
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
def _split(problem: Any, rows: Any, stack: Any, frame: int, i: int) -> int:
    """Split the top frame by neuron i: it becomes the inactive side, and frame + 1 the active one.

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
    start, size, layer = stack.start[frame], stack.size[frame], stack.layer[frame]
    D = stack.X.shape[1]
    j = problem.first_neuron[layer] + i
    members, values, signs, tight = stack.members, stack.values, stack.signs, stack.tight
    used = np.uint64(0)
    n_zero = n_positive = 0
    for p in range(size):
        used |= tight[members[start + p]]
        n_zero += signs[p] == 0
        n_positive += signs[p] == 1
    if ~used == np.uint64(0):
        return ASIDE
    bit = ~used & (used + np.uint64(1))
    # Room for both lists beside a list of the new generators, and for those in the pool.
    most = n_zero + n_positive * (size - n_zero - n_positive)
    top = stack.top[frame]
    room = min(members.shape[0] - start - 2 * size, stack.X.shape[0] - top)
    if room < 3 * most or frame + 2 > stack.layer.shape[0]:
        return GROW
    norm, error, rounding = rows.norm[j], rows.error[j], _ROUNDING * D
    simple = stack.simple[frame]
    for p in range(size):
        if signs[p] == 0:
            # Above its sibling frames' generator of the same place, whose bits mean something else.
            u = members[start + p]
            for k in range(D):
                stack.X[top, k] = stack.X[u, k]
            stack.radius[top] = stack.radius[u]
            tight[top] = tight[u] | bit
            top += 1
    n_negative = 0
    for p in range(size):
        if signs[p] == -1:
            stack.across[n_negative] = p
            stack.across_tight[n_negative] = tight[members[start + p]]
            n_negative += 1
    for p in range(size):
        if signs[p] != 1:
            continue
        u, zu = members[start + p], values[p]
        tight_u, ru = tight[u], stack.radius[u]
        for m in range(n_negative):
            common = tight_u & stack.across_tight[m]
            if popcount(common) < D - 2:
                continue
            q = stack.across[m]
            if not simple:
                blocked = False
                for s in range(size):
                    if s != p and s != q and tight[members[start + s]] & common == common:
                        blocked = True
                        break
                if blocked:
                    continue
            # The new generator is X_u + t (X_v - X_u): an error in t moves it along the edge only.
            v, zv = members[start + q], -values[q]
            rv = stack.radius[v]
            wrong_u = norm * (rounding + ru) + error * (1.0 + ru)
            wrong_v = norm * (rounding + rv) + error * (1.0 + rv)
            if zu <= wrong_u or zv <= wrong_v:
                # The caller gave the sign.
                wrong_u, wrong_v = 2.0 * wrong_u, 2.0 * wrong_v
            inverse = 1.0 / (zu + zv)
            t = zu * inverse
            largest = apart = 0.0
            for k in range(D):
                x = stack.X[u, k]
                difference = stack.X[v, k] - x
                x += t * difference
                stack.X[top, k] = x
                apart = max(apart, abs(difference))
                largest = max(largest, abs(x))
            wrong_t = 1.2 * (wrong_u * zv + wrong_v * zu) * inverse * inverse
            radius = ru + t * (rv - ru) + wrong_t * (apart + ru + rv) + rounding
            if not (wrong_u + wrong_v) * inverse < 0.1:
                radius = np.inf
            if largest < 0.01:
                # A power of two scales exactly.
                scale = math.ldexp(1.0, -math.frexp(max(largest, SAFE_LOW))[1])
                for k in range(D):
                    stack.X[top, k] *= scale
                radius *= scale
            stack.radius[top] = radius
            tight[top] = common | bit
            top += 1
    number = np.int64(popcount(bit - np.uint64(1)))
    stack.owner[frame, number] = j
    for w in range(stack.top[frame] + n_zero, top):
        if stack.radius[w] > _COARSE:
            _refine(problem, rows, stack, frame, np.int64(w))

    # The lists: what is left of the old one below, the copy with the other side above.
    above = frame + 1
    n_new = top - stack.top[frame]
    low = start
    high = start + size + n_new
    for p in range(size):
        u = members[start + p]
        if signs[p] < 0:
            members[low] = u
            low += 1
        elif signs[p] > 0:
            members[high] = u
            high += 1
    up = low + n_new
    for p in range(start + size + n_new, high):
        members[up + p - start - size - n_new] = members[p]
    n_up = high - start - size - n_new
    for w in range(n_new):
        members[low + w] = stack.top[frame] + w
        members[up + n_up + w] = stack.top[frame] + w

    word, mask = j >> 6, np.uint64(1) << np.uint64(j & 63)
    stack.share[frame] *= 0.5
    stack.cuts[frame, word] |= mask
    for k in range(64):
        stack.owner[above, k] = stack.owner[frame, k]
    for k in range(stack.bits.shape[1]):
        stack.bits[above, k] = stack.bits[frame, k]
        stack.cuts[above, k] = stack.cuts[frame, k]
    stack.bits[above, word] |= mask
    stack.layer[above] = layer
    stack.share[above] = stack.share[frame]
    stack.n_left[above] = stack.n_left[frame]
    for k in range(stack.n_left[frame]):
        stack.left[above, k] = stack.left[frame, k]
    stack.size[frame] = low + n_new - start
    stack.start[above] = up
    stack.size[above] = n_up + n_new
    stack.top[frame] = top
    stack.top[above] = top
    _summarise(stack, frame)
    _summarise(stack, above)
    stack.totals[N_FRAMES] += 1
    return 0


@compiled(inline=True)
def _summarise(stack: Any, frame: int) -> None:
    """Set `spread` and `simple` of a frame."""
    D = stack.X.shape[1]
    simple, spread = True, 0.0
    for p in range(stack.start[frame], stack.start[frame] + stack.size[frame]):
        u = stack.members[p]
        spread = max(spread, stack.radius[u])
        simple = simple and popcount(stack.tight[u]) == D - 1
    stack.simple[frame], stack.spread[frame] = simple, spread


@compiled(inline=True)
def _emit(problem: Any, rows: Any, stack: Any, frame: int, out: Any, r: int) -> None:
    """Write a region: bits, cuts, and the sum of the generators as a point, checked against the facets."""
    D = stack.X.shape[1]
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
            stack.layer[frame + child] = n_layers
            stack.n_left[frame + child] = 0


@compiled(inline=True)
def _price(stack: Any, frame: int, n_layers: int) -> float:
    """Return what the next step of the top frame costs by the prices of its layer, before it is known what it is."""
    layer, size = stack.layer[frame], stack.size[frame]
    if stack.n_left[frame] > 0:
        return float(stack.prices[DECIDING, layer] + stack.prices[LOOKING, layer] * size)
    price = stack.prices[LEAF, 0]
    if layer + 1 < n_layers:
        price = stack.prices[ENTERING, layer + 1] + stack.prices[RANGING, layer + 1] * min(size, _MANY)
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
        `FULL` also stands for `max_steps`. `QUERY`: set the signs in `memo` for the neuron `left[frame, n_left - 1]` of
        the top frame. `ASIDE`: the top frame has too many facets; take it off. Regions go to `out` if `listing`, else
        they are only counted.
    """
    n_layers = problem.widths.shape[0]
    D = stack.X.shape[1]
    regions = steps = 0
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
        if stack.n_left[frame] > 0:
            i = stack.left[frame, stack.n_left[frame] - 1]
            j = problem.first_neuron[layer] + i
            stack.totals[DECISIONS] += 1
            answer = _decide(problem, rows, stack, frame, i)
            if answer == 3:
                return QUERY, regions
            fixed = stack.fixed[j]
            if answer == 2:
                if not listing and fixed == FREE and layer + 1 == n_layers and stack.n_left[frame] == 1:
                    # The last split needs no cells to be counted.
                    stack.totals[BRANCHINGS] += 1
                    regions += 2
                    alive = False
                    if stack.targets.shape[0]:
                        stack.nodes[problem.first_neuron[n_layers]] += 2.0 * stack.weight[frame]
                        stack.leaves[0] += 2.0 * stack.weight[frame]
                else:
                    stack.n_left[frame] -= 1
                    size = stack.size[frame]
                    _spend(stack, frame, stack.prices[SPLITTING, layer] + stack.prices[PAIRING, layer] * size * size)
                    status = _split(problem, rows, stack, frame, i)
                    if status != 0:
                        stack.n_left[frame] += 1
                        return status, regions
                    steps += 1
                    stack.depth[frame + 1], stack.weight[frame + 1] = stack.depth[frame], stack.weight[frame]
                    if fixed == FREE:
                        stack.totals[BRANCHINGS] += 1
                        if stack.targets.shape[0]:
                            stratum = problem.first_neuron[layer + 1] - stack.n_left[frame]
                            _prune(stack, frame, stratum, n_layers)
                    elif fixed == 0:
                        stack.share[frame] *= 2.0
                        stack.totals[N_FRAMES] -= 1
                    else:
                        # The inactive side is passed over when its turn comes.
                        stack.share[frame + 1] *= 2.0
                        stack.share[frame] = 0.0
                        stack.layer[frame] = n_layers
                        stack.n_left[frame] = 0
                    continue
            else:
                stack.n_left[frame] -= 1
                if answer == 1:
                    stack.bits[frame, j >> 6] |= np.uint64(1) << np.uint64(j & 63)
                if fixed in (FREE, answer):
                    continue
                alive = False
        elif layer == n_layers:
            alive = False
        elif layer + 1 < n_layers:
            if layer >= 0:
                complete_layer(problem, rows, layer, stack.listed[layer], stack.n_listed[layer], stack.bits[frame], D)
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

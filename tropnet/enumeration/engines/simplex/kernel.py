"""The compiled search of the simplex engine: depth first over the cells of `simplex.cell`.

The cell at hand lives in `Cell`; a frame of `Tree` keeps what the other side of a branching needs. Rows of cuts lie
contiguously in the order of the path, twice: by row and by component.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tropnet.enumeration.engines.composition import PENDING, complete_layer, enter_layer
from tropnet.enumeration.engines.simplex.cell import (
    AGE,
    ANSWERED,
    ANSWERS,
    BRANCHINGS,
    CROSSING,
    CUT,
    DECIDING,
    DECISIONS,
    DEPTH,
    ENTERING,
    FRACTION,
    G_ERROR,
    G_NORM,
    HAS_SLACKS,
    HAS_VERTEX,
    LAYER,
    LEAVING,
    N_COUNTED,
    N_FRAMES,
    N_OUT,
    N_ROWS,
    N_SAME,
    NEURON,
    ON_WITNESS,
    P_MAX,
    PHASE,
    PIVOTS,
    PLACE,
    POOR,
    Q_MAX,
    QUALITY,
    REACHED,
    REFACTOR,
    ROUNDING,
    SETTLED,
    SHARE,
    SIGN,
    UNSURE,
    WEIGHT,
    P,
    Q,
    Y,
    child_vertex,
    cross,
    decide,
    find_vertex,
    is_inside,
    leave_hyperplane,
    load,
    push,
    recentre,
    set_bit,
    value_at,
)
from tropnet.enumeration.engines.simplex.facets import FoundFacets, find_facets
from tropnet.enumeration.engines.simplex.ties import passes_through_face, vanishes
from tropnet.kernels import Parts, Record, call_part, compiled, weight_if_kept

# What `search` returns: LOST if there is no vertex to start from.
DONE, FULL, QUERY, LOST = 0, 1, 2, 3
# Replies to a query, for each side: others take care of what is TAKEN; what is OUTSIDE is no part of the tree.
EMPTY, OPEN, TAKEN, OUTSIDE = 0, 1, 2, 3
# What is forced of a neuron: a bit, nothing, or a bit whose row is one of the root cell.
FREE, ROOT = 2, 4
# How a layer is entered: not, as there is no vertex; well; or a bit that is forced is missed.
_LOST, _WELL, _MISSED = range(3)
# What has a price; pivots and rows of `Tree.prices[:, L]` are those for facets.
N_PRICES = 6
NODE, DECISION, PIVOT, PIVOT_ROW, ENTERED, COMPLETED = range(N_PRICES)


@compiled(reorder=True)
def _enter(problem: Any, rows: Any, cell: Any, tree: Any, residues: Any, layer: int) -> int:
    """Enter a layer: decide the neurons that do not cut the cell, list the others."""
    first = problem.first_neuron[layer]
    width = problem.widths[layer]
    D = cell.T.shape[0]
    at = cell.at
    n = 0
    for i in range(width):
        j = first + i
        set_bit(tree.cuts, j, np.int64(0))
        set_bit(tree.bits, j, np.int64(0))
        tree.state[j] = PENDING
        if problem.slopes[j, 0] == problem.slopes[j, 1]:
            tree.state[j] = 0
            continue
        constant = rows.error[j] == 0.0
        if constant:
            for k in range(D - 1):
                if rows.done[problem.rows_at[layer] + k * width + i] != 0.0:
                    constant = False
                    break
        if constant:
            bit = 1 if rows.done[problem.rows_at[layer] + (D - 1) * width + i] > 0.0 else 0
            if tree.forced[j] == 1 - bit:
                return _MISSED
            tree.state[j] = bit
            set_bit(tree.bits, j, bit)
        elif tree.forced[j] >= ROOT:
            bit = tree.forced[j] - ROOT
            load(problem, rows, cell, layer, i)
            sign = 1.0 if bit else -1.0
            push(cell, sign, tree.offsets[j] * cell.numbers[G_NORM], j)
            tree.state[j] = bit
            set_bit(tree.bits, j, bit)
            set_bit(tree.cuts, j, np.int64(1))
            at[HAS_VERTEX] = 0
    for k in range(D):
        cell.vectors[Q, k] = cell.vectors[P, k]
    if not at[HAS_VERTEX] and not is_inside(cell):
        return _LOST
    for i in range(width):
        j = first + i
        if tree.state[j] != PENDING:
            continue
        if not at[HAS_VERTEX] and not find_vertex(cell):
            return _LOST
        load(problem, rows, cell, layer, i)
        found = decide(problem, cell, tree, layer, np.bool_(False))
        if found == SETTLED or (
            found == UNSURE and passes_through_face(problem, rows, cell, tree, residues, layer, np.int64(j))
        ):
            bit = 1 if at[SIGN] > 0 else 0
            if tree.forced[j] == 1 - bit:
                return _MISSED
            tree.state[j] = bit
            set_bit(tree.bits, j, bit)
        else:
            tree.pending[layer, n] = i
            n += 1
    tree.n_pending[layer] = n
    enter_layer(problem, rows, layer, tree.state, D)
    return _WELL


@compiled(reorder=True)
def _complete(problem: Any, rows: Any, cell: Any, tree: Any, layer: int) -> None:
    """Compose the rows that read a layer, all of whose neurons are decided; count those with a slope."""
    complete_layer(problem, rows, layer, tree.pending[layer], tree.n_pending[layer], tree.bits, cell.T.shape[0])
    n = 0
    for j in range(problem.first_neuron[layer], problem.first_neuron[layer + 1]):
        bit = (tree.bits[j >> 6] >> np.uint64(j & 63)) & np.uint64(1)
        if problem.slopes[j, np.int64(bit)] != 0.0:
            n += 1
    tree.n_active[layer] = n


@compiled(inline=True, reorder=True)
def _branch(cell: Any, tree: Any, layer: int, j: int, point: int, later: int, k: int, poor: bool) -> None:
    """Go on with G > 0 at `point`; leave the other side with `later` as its point in a frame.

    `k` is the crossing edge, or -1 if the vertices are to be found anew; `poor` says that `later` is close to a side.
    """
    at = cell.at
    D, frame = cell.T.shape[0], at[N_FRAMES]
    at[BRANCHINGS] += 1
    cell.numbers[SHARE] *= 0.5
    offset = later_offset = tree.offsets[j] * cell.numbers[G_NORM]
    if k >= 0:
        # The vertices of both children must stay on the edge, one end of which may be as good as on the hyperplane.
        begin, end = cell.vectors[Y, D - 1], cell.numbers[REACHED]
        low, high = min(begin, end), max(begin, end)
        if high > 0.0:
            offset, later_offset = min(offset, -0.5 * low), min(offset, 0.5 * high)
        else:
            later_offset = high - min(offset, 0.25 * (high - low))
            offset = -later_offset
    bit = 1 if at[SIGN] > 0 else 0
    set_bit(tree.cuts, j, np.int64(1))
    set_bit(tree.bits, j, 1 - bit)
    tree.frame_at[frame, 0], tree.frame_at[frame, 1] = layer, at[PLACE] + 1
    tree.frame_at[frame, 2], tree.frame_at[frame, 3] = at[N_ROWS], 1 - bit
    tree.frame_at[frame, 4] = 1 if k >= 0 else 0
    tree.frame_at[frame, 5] = poor
    tree.frame_share[frame], tree.frame_offset[frame] = cell.numbers[SHARE], later_offset
    for u in range(tree.bits.shape[0]):
        tree.frame_bits[frame, u], tree.frame_cuts[frame, u] = tree.bits[u], tree.cuts[u]
    for u in range(D):
        tree.frame_point[frame, u] = cell.vectors[later, u]
    for u in range(D):
        cell.vectors[P, u] = cell.vectors[point, u]
    if k >= 0:
        for u in range(D - 1):
            tree.frame_basis[frame, u] = cell.basis[u]
        tree.frame_basis[frame, k] = at[N_ROWS]
        child_vertex(cell, np.int64(k), -1.0, later_offset, tree.frame_inverse[frame])
        scale = 1.0 / cell.vectors[Y, k]
        for u in range(D):
            cell.T[k, u] *= scale
        for v in range(D):
            if v != k:
                a = cell.vectors[Y, v]
                if v == D - 1:
                    a += offset
                for u in range(D):
                    cell.T[v, u] -= a * cell.T[k, u]
        cell.basis[k] = at[N_ROWS]
        at[AGE] += 1
    else:
        at[HAS_VERTEX] = 0
    at[N_FRAMES] = frame + 1
    at[HAS_SLACKS] = 0
    set_bit(tree.bits, j, bit)
    push(cell, 1.0, offset, j)
    _measure(cell)
    at[PLACE] += 1
    tree.frame_at[frame, 6], tree.frame_weight[frame] = at[DEPTH], cell.numbers[WEIGHT]


@compiled(inline=True, reorder=True)
def _keep_side(problem: Any, rows: Any, cell: Any, tree: Any, j: int, bit: int) -> None:
    """After a branching of the neuron, go on with one side only, as if the other were no part of the tree."""
    at = cell.at
    at[BRANCHINGS] -= 1
    if (tree.bits[j >> 6] >> np.uint64(j & 63)) & np.uint64(1) == np.uint64(bit):
        at[N_FRAMES] -= 1
    else:
        _pop(problem, rows, cell, tree)
    cell.numbers[SHARE] *= 2.0


@compiled(inline=True, reorder=True)
def _prune(cell: Any, tree: Any, after: int, layer: int) -> bool:
    """After a branching, keep each side with the probability of its stratum; False if that at hand is left out.

    `after` is the first neuron of the next layer.
    """
    if tree.targets.shape[0] == 0:
        return True
    at, frame = cell.at, cell.at[N_FRAMES] - 1
    at[DEPTH] += 1
    depth, weight = at[DEPTH], cell.numbers[WEIGHT]
    stratum = after - (tree.n_pending[layer] - at[PLACE])
    tree.nodes[stratum] += 2.0 * weight
    tree.frame_at[frame, 6] = depth
    if depth <= tree.free[0]:
        return True
    tree.frame_weight[frame] = weight_if_kept(tree.phase, tree.targets, stratum, weight)
    if tree.frame_weight[frame] == 0.0:
        tree.leaves[1] += 1.0
        at[N_FRAMES] = frame
    kept = weight_if_kept(tree.phase, tree.targets, stratum, weight)
    if kept == 0.0:
        tree.leaves[1] += 1.0
        return False
    cell.numbers[WEIGHT] = kept
    return True


@compiled(inline=True, reorder=True)
def _measure(cell: Any) -> None:
    """Set P_MAX, the largest coordinate of P."""
    largest = 1.0
    for u in range(cell.T.shape[0] - 1):
        largest = max(largest, abs(cell.vectors[P, u]))
    cell.numbers[P_MAX] = largest


@compiled(inline=True, reorder=True)
def _pop(problem: Any, rows: Any, cell: Any, tree: Any) -> bool:
    """Go on with the latest frame, if there is one."""
    at = cell.at
    if at[N_FRAMES] == 0:
        return False
    at[N_FRAMES] -= 1
    frame, D = at[N_FRAMES], cell.T.shape[0]
    layer = tree.frame_at[frame, 0]
    at[LAYER], at[PLACE] = layer, tree.frame_at[frame, 1]
    at[N_ROWS] = tree.frame_at[frame, 2]
    at[N_SAME] = min(at[N_SAME], at[N_ROWS])
    at[HAS_VERTEX], at[HAS_SLACKS] = tree.frame_at[frame, 4], 0
    at[AGE] = REFACTOR // 2
    cell.numbers[SHARE] = tree.frame_share[frame]
    at[DEPTH], cell.numbers[WEIGHT] = tree.frame_at[frame, 6], tree.frame_weight[frame]
    for u in range(tree.bits.shape[0]):
        tree.bits[u], tree.cuts[u] = tree.frame_bits[frame, u], tree.frame_cuts[frame, u]
    for u in range(D):
        cell.vectors[P, u] = tree.frame_point[frame, u]
    _measure(cell)
    if at[HAS_VERTEX]:
        for k in range(D - 1):
            cell.basis[k] = tree.frame_basis[frame, k]
        for k in range(D):
            for u in range(D):
                cell.T[k, u] = tree.frame_inverse[frame, k, u]
    i = tree.pending[layer, at[PLACE] - 1]
    j = problem.first_neuron[layer] + i
    load(problem, rows, cell, layer, i)
    push(cell, 1.0 if tree.frame_at[frame, 3] else -1.0, tree.frame_offset[frame], j)
    at[PHASE] = DECIDING
    if tree.frame_at[frame, 5] and at[HAS_VERTEX]:
        recentre(cell)
    return True


@compiled(reorder=True)
def _answer(cell: Any, tree: Any, after: int, layer: int, j: int) -> bool:
    """Go on as the replies say, G being oriented as the neuron's row; False if no side is left."""
    at = cell.at
    off, on = tree.replies[0], tree.replies[1]
    if off == OPEN and on == OPEN:
        at[SIGN] = 1
        _branch(cell, tree, layer, j, np.int64(ANSWERS + 1), np.int64(ANSWERS), np.int64(-1), np.bool_(False))
        return _prune(cell, tree, after, layer)
    if off != OPEN and on != OPEN:
        return False
    bit = 1 if on == OPEN else 0
    set_bit(tree.bits, j, bit)
    for u in range(cell.T.shape[0]):
        cell.vectors[P, u] = cell.vectors[ANSWERS + bit, u]
    _measure(cell)
    if off == TAKEN or on == TAKEN:
        cell.numbers[SHARE] *= 0.5
        cell.numbers[FRACTION] += cell.numbers[SHARE]
    if off >= TAKEN or on >= TAKEN:
        set_bit(tree.cuts, j, np.int64(1))
        push(cell, 1.0 if bit else -1.0, tree.offsets[j] * cell.numbers[G_NORM], j)
        at[HAS_VERTEX] = 0
    at[PLACE] += 1
    return True


@compiled(entry=True, reorder=True)
def is_usable(problem: Any, rows: Any, cell: Any, point: Any, bit: int) -> bool:
    """Return whether a point (x, 1) is certainly strictly inside the cell, on a side of the neuron that was asked."""
    layer = cell.at[LAYER]
    load(problem, rows, cell, layer, cell.at[NEURON] - problem.first_neuron[layer])
    for k in range(cell.T.shape[0]):
        cell.vectors[Q, k] = point[k]
    if not is_inside(cell):
        return False
    z = value_at(cell.vectors, np.int64(Q)) if bit else -value_at(cell.vectors, np.int64(Q))
    return bool(z > (cell.numbers[G_ERROR] + cell.numbers[ROUNDING] * cell.numbers[G_NORM]) * cell.numbers[Q_MAX])


# Compiled when a run first asks for facets.
_PARTS = Parts(find_facets)
_NO_FACETS = Record(FoundFacets(np.zeros((0, 0), np.uint64), np.zeros((0, 0), np.uint64)))


def _run(
    problem: Any,
    rows: Any,
    cell: Any,
    tree: Any,
    residues: Any,
    listing: Any,
    bits: Any,
    cuts: Any,
    points: Any,
    facets: Any,
    unsure: Any,
    steps: Any,
) -> int:
    """Search on until the tree is done, the buffers are full (or `steps` are), or an exact decision is needed.

    Regions are listed in `bits`, `cuts`, `points` up to `n_out`, or only counted in `n_counted`. Their facets go to
    `facets`, and to `unsure` the rows to be decided exactly, unless both are None.
    """
    wanted = facets is not None
    found = Record(FoundFacets(facets, unsure)) if wanted else _NO_FACETS
    parts = _PARTS.lend(problem, cell, tree, found)
    if wanted:
        _PARTS.load(parts, 0, (problem, cell, tree, found), 1)
    return _search(problem, rows, cell, tree, residues, parts, listing, bits, cuts, points, found, steps)


# As callers give the records in one list.
search: Callable[..., int] = _run


@compiled(entry=True, reorder=True)
def _search(
    problem: Any,
    rows: Any,
    cell: Any,
    tree: Any,
    residues: Any,
    parts: Any,
    listing: bool,
    bits: Any,
    cuts: Any,
    points: Any,
    lists: Any,
    steps: int,
) -> int:
    """Search as `_run` says."""
    at, numbers, vectors = cell.at, cell.numbers, cell.vectors
    L, D = problem.widths.shape[0], cell.T.shape[0]
    at[N_OUT] = at[N_COUNTED] = 0
    weight, n_decisions, n_pivots = numbers[WEIGHT], at[DECISIONS], at[PIVOTS]
    while True:
        layer = at[LAYER]
        price = tree.prices[DECISION, layer] * (at[DECISIONS] - n_decisions)
        price += (tree.prices[PIVOT, layer] + tree.prices[PIVOT_ROW, layer] * at[N_ROWS]) * (at[PIVOTS] - n_pivots)
        tree.leaves[2] += price
        tree.leaves[3] += price * weight
        weight, n_decisions, n_pivots = numbers[WEIGHT], at[DECISIONS], at[PIVOTS]
        if at[PHASE] == LEAVING:
            tree.leaves[2] += tree.prices[NODE, layer]
            tree.leaves[3] += tree.prices[NODE, layer] * weight
            numbers[FRACTION] += numbers[SHARE]
            if not _pop(problem, rows, cell, tree):
                return DONE
            continue
        if at[PHASE] == ENTERING:
            if layer == L:
                if listing:
                    out = at[N_OUT]
                    if out == bits.shape[0]:
                        return FULL
                    for u in range(tree.bits.shape[0]):
                        bits[out, u], cuts[out, u] = tree.bits[u], tree.cuts[u]
                    for k in range(D - 1):
                        points[out, k] = vectors[P, k]
                    if lists.facets.shape[0]:
                        call_part(parts.of[0], problem, cell, tree, lists, out)
                    at[N_OUT] = out + 1
                else:
                    at[N_COUNTED] += 1
                tree.leaves[0] += numbers[WEIGHT]
                at[PHASE] = LEAVING
                continue
            entered = _enter(problem, rows, cell, tree, residues, layer)
            if entered == _LOST:
                return LOST
            tree.leaves[2] += tree.prices[ENTERED, layer]
            tree.leaves[3] += tree.prices[ENTERED, layer] * weight
            at[PHASE], at[PLACE] = DECIDING if entered == _WELL else LEAVING, 0
            continue
        if at[PHASE] == DECIDING:
            place = at[PLACE]
            if place == tree.n_pending[layer]:
                if layer < L - 1:
                    price = tree.prices[COMPLETED, layer] * tree.n_pending[layer]
                    tree.leaves[2] += price
                    tree.leaves[3] += price * weight
                    _complete(problem, rows, cell, tree, layer)
                at[LAYER] = layer + 1
                at[PHASE] = ENTERING
                continue
            if steps == 0:
                return FULL
            steps -= 1
            i = tree.pending[layer, place]
            j = problem.first_neuron[layer] + i
            if not at[HAS_VERTEX] and not find_vertex(cell):
                return LOST
            load(problem, rows, cell, layer, i)
            found = decide(problem, cell, tree, layer, np.bool_(True))
            if found == ON_WITNESS and leave_hyperplane(cell):
                found = decide(problem, cell, tree, layer, np.bool_(True))
            if found == UNSURE and passes_through_face(problem, rows, cell, tree, residues, layer, np.int64(j)):
                found = SETTLED
            if found == UNSURE and at[HAS_VERTEX]:
                recentre(cell)
                load(problem, rows, cell, layer, i)
                found = decide(problem, cell, tree, layer, np.bool_(True))
            if (found == UNSURE and passes_through_face(problem, rows, cell, tree, residues, layer, np.int64(j))) or (
                found == ON_WITNESS and vanishes(problem, rows, cell, tree, residues, layer, np.int64(j))
            ):
                found = SETTLED
            forced = tree.forced[j]
            if found == SETTLED:
                bit = np.int64(at[SIGN] > 0)
                set_bit(tree.bits, j, bit)
                at[PLACE] = place + 1
                if forced == 1 - bit:
                    at[PHASE] = LEAVING
            elif found == CUT:
                if forced == FREE and not listing and layer == L - 1 and place == tree.n_pending[layer] - 1:
                    at[N_COUNTED] += 2
                    at[BRANCHINGS] += 1
                    if tree.targets.shape[0]:
                        tree.nodes[problem.first_neuron[L]] += 2.0 * numbers[WEIGHT]
                        tree.leaves[0] += 2.0 * numbers[WEIGHT]
                    at[PHASE] = LEAVING
                    continue
                if at[CROSSING] < 0:
                    cross(cell)
                poor = numbers[QUALITY] < POOR
                _branch(cell, tree, layer, j, np.int64(P), np.int64(Q), at[CROSSING], poor)
                if forced != FREE:
                    _keep_side(problem, rows, cell, tree, np.int64(j), np.int64(forced))
                elif not _prune(cell, tree, problem.first_neuron[layer + 1], layer):
                    at[PHASE] = LEAVING
            else:
                at[NEURON] = j
                at[PHASE] = ANSWERED
                return QUERY
            continue
        # A query was answered.
        i = tree.pending[layer, at[PLACE]]
        load(problem, rows, cell, layer, i)
        after = problem.first_neuron[layer + 1]
        at[PHASE] = DECIDING if _answer(cell, tree, after, layer, problem.first_neuron[layer] + i) else LEAVING

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

The last layer. A count does not make its cells, but counts flats (see `flats`); a list does not make the two
cells of the last cut (see `regions`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tropnet.enumeration.engines.composition import complete_layer
from tropnet.enumeration.engines.vertex.flats import count_below
from tropnet.enumeration.engines.vertex.generators import highest
from tropnet.enumeration.engines.vertex.goals import pursue
from tropnet.enumeration.engines.vertex.regions import write_regions
from tropnet.enumeration.engines.vertex.signs import certify
from tropnet.enumeration.engines.vertex.slots import enter, take_bits
from tropnet.enumeration.engines.vertex.split import split
from tropnet.enumeration.engines.vertex.stack import (
    ASIDE,
    BRANCHINGS,
    COMPLETING,
    DECIDING,
    DECISIONS,
    DONE,
    ENTERING,
    FREE,
    FULL,
    GROW,
    LEAF,
    LOOKING,
    MOST_SLOTS,
    N_FRAMES,
    N_MEMO,
    N_PRICES,
    N_TOTALS,
    PAIRING,
    QUERY,
    RANGING,
    REFINED,
    REFINING,
    SPLITTING,
    UNCERTAIN,
    Stack,
)
from tropnet.kernels import Parts, Record, call_part, compiled, popcount, weight_if_kept

__all__ = [
    "ASIDE",
    "BRANCHINGS",
    "COMPLETING",
    "DECIDING",
    "DECISIONS",
    "DONE",
    "ENTERING",
    "FREE",
    "FULL",
    "GROW",
    "LEAF",
    "LOOKING",
    "MOST_SLOTS",
    "N_FRAMES",
    "N_MEMO",
    "N_PRICES",
    "N_TOTALS",
    "PAIRING",
    "QUERY",
    "RANGING",
    "REFINED",
    "REFINING",
    "SPLITTING",
    "UNCERTAIN",
    "Stack",
    "search",
]

# The parts that are compiled when a run first needs them.
_SIGNS, _FLATS, _REGIONS, _GOALS = range(4)
_PARTS = Parts(certify, count_below, write_regions, pursue)
_LACKING = 8


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


def search(problem: Record, rows: Record, stack: Record, out: Record, listing: bool, max_steps: int) -> tuple[int, int]:
    """Run until done, the output is full, the arrays are too small, an answer is needed, or for `max_steps`.

    Returns
    -------
    status, n_regions
        `FULL` also stands for `max_steps`. `QUERY`: set the signs in `memo` for the neuron `asked` of the top frame's
        layer. `ASIDE`: the top frame has too many facets; take it off. Regions go to `out` if `listing`, else they are
        only counted.
    """
    parts = _PARTS.lend(problem, rows, stack, out)
    if len(stack.state.goal.state.about):
        _PARTS.load(parts, _GOALS, (problem, rows, stack), 1)
    while True:
        status, n_regions = _search(problem, rows, stack, out, parts, listing, max_steps)
        if status < _LACKING:
            return status, n_regions
        takes = ((problem, rows, stack), 2), ((stack,), 1), ((problem, rows, stack, out), 3)
        _PARTS.load(parts, status - _LACKING, *takes[status - _LACKING])
        if n_regions:
            return FULL, n_regions


@compiled(entry=True)
def _search(
    problem: Any, rows: Any, stack: Any, out: Any, parts: Any, listing: bool, max_steps: int
) -> tuple[int, int]:
    """Search as `search` says; stop with `_LACKING` + k, too, if part k is not compiled."""
    if listing and not parts.of[_REGIONS]:
        return _LACKING + _REGIONS, 0
    n_layers = problem.widths.shape[0]
    D = stack.rows.shape[0]
    regions = steps = 0
    # Whether the regions of the last layer may be counted in any order, all of them.
    pursuing = stack.goal.about.shape[0] > 0
    countable = not listing and not pursuing
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
        # What is taken back if nothing comes of the step.
        spent, spent_weighted = stack.leaves[2], stack.leaves[3]
        _spend(stack, frame, _price(stack, frame, n_layers))
        if stack.open[frame]:
            touching = stack.open[frame] & stack.certain[frame] & stack.some_zero[frame]
            if listing and touching & ~(stack.some_positive[frame] & stack.some_negative[frame]):
                if not parts.of[_SIGNS]:
                    stack.leaves[2], stack.leaves[3] = spent, spent_weighted
                    return _LACKING + _SIGNS, regions
                call_part(parts.of[_SIGNS], problem, rows, stack, frame, np.int64(-1))
            alive = take_bits(problem, stack, frame)
            open_ = stack.open[frame]
            if alive and open_:
                unsure = open_ & ~stack.certain[frame]
                below = countable and layer + 1 == n_layers and stack.n_later[frame] == 0
                cut = open_ & stack.some_positive[frame] & stack.some_negative[frame]
                slot = highest(unsure if below and unsure else cut if cut else open_)
                if stack.totals[N_MEMO]:
                    # The one that was asked about.
                    slot = stack.asked[1]
                if not stack.certain[frame] >> np.uint64(slot) & np.uint64(1):
                    if not parts.of[_SIGNS]:
                        stack.leaves[2], stack.leaves[3] = spent, spent_weighted
                        return _LACKING + _SIGNS, regions
                    if not call_part(parts.of[_SIGNS], problem, rows, stack, frame, slot):
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
                    and call_part(parts.of[_REGIONS], problem, rows, stack, out, frame, slot, regions)
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
                        if not parts.of[_FLATS]:
                            stack.leaves[2], stack.leaves[3] = spent, spent_weighted
                            return _LACKING + _FLATS, regions
                        size, n_flats = stack.size[frame], popcount(open_)
                        price = stack.prices[SPLITTING, layer] + stack.prices[PAIRING, layer] * size * size
                        _spend(stack, frame, price * n_flats)
                        n_below = call_part(parts.of[_FLATS], stack, frame)
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
                    status = split(problem, rows, stack, frame, slot)
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
            new = stack.n_later[frame] == 0
            if new:
                if layer >= 0:
                    complete_layer(
                        problem, rows, layer, stack.listed[layer], stack.n_listed[layer], stack.bits[frame], D
                    )
                stack.layer[frame] += 1
            if enter(problem, rows, stack, frame) and (
                not pursuing
                or not new
                or layer + 2 == n_layers
                or call_part(parts.of[_GOALS], problem, rows, stack, frame)
            ):
                continue
            alive = False
        if alive and (not pursuing or call_part(parts.of[_GOALS], problem, rows, stack, frame)):
            if listing:
                call_part(parts.of[_REGIONS], problem, rows, stack, out, frame, np.int64(-1), regions)
                if pursuing:
                    out.upper[regions] = stack.goal.upper[0]
            regions += 1
            stack.leaves[0] += stack.weight[frame]
        stack.done[0] += stack.share[frame]
        stack.totals[N_FRAMES] -= 1
        steps += 1
    return DONE, regions

"""Regions written out with a point inside and their facets, compiled: the part of the search that only lists need."""

from __future__ import annotations

from typing import Any

import numpy as np

from tropnet.arrays.rounding import SAFE_HIGH, SAFE_LOW
from tropnet.enumeration.engines.vertex.generators import facet_row
from tropnet.enumeration.engines.vertex.stack import ROUNDING
from tropnet.kernels import compiled, popcount
from tropnet.regions.row_index import INFINITY

__all__ = ["is_facet", "write_regions"]


@compiled(apart=True)
def write_regions(problem: Any, rows: Any, stack: Any, out: Any, frame: int, slot: int, r: int) -> int:
    """Write the region of a frame, or of a slot >= 0 the two into which that cuts it, and return how many.

    Returns
    -------
    0, and nothing is written, if the two can only be had by splitting the cell.
    """
    if slot >= 0:
        return 2 if _emit_halves(problem, rows, stack, frame, slot, out, r) else 0
    _emit(problem, rows, stack, frame, out, r)
    return 1


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
            norm, error = facet_row(problem, rows, stack, frame, bit, row)
            z = row[D - 1]
            for k in range(D - 1):
                z += row[k] * out.points[r, k]
            owner = stack.owner[frame, bit]
            if 0 <= owner < n_neurons and not (stack.bits[frame, owner >> 6] >> np.uint64(owner & 63)) & np.uint64(1):
                z = -z
            inside = norm > SAFE_LOW and z > (norm * ROUNDING * D + error) * largest
    out.inside[r] = inside
    if out.facets.shape[0] == 0:
        return
    for k in range(out.facets.shape[1]):
        out.facets[r, k] = 0
    for bit in range(64):
        if used >> np.uint64(bit) & np.uint64(1) and (
            stack.simple[frame] or is_facet(stack, n_neurons, frame, used, bit)
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
            norm, error = facet_row(problem, rows, stack, frame, number, row)
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
        bound = norm * ROUNDING * D + error
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
def is_facet(stack: Any, n_neurons: int, frame: int, used: Any, bit: int) -> bool:
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

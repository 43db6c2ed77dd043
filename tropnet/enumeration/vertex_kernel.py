"""The compiled search of the vertex engine: cells as lists of generators, every sign certified or set aside.

Everything is homogeneous: a point x is X = (x, 1) times a positive factor, a direction (r, 0), so bounded and unbounded
cells are the same thing, a pointed cone in D = d + 1 dimensions spanned by generators X. A neuron's pre-activation is
the linear form z = row . X. It cuts the cell iff its signs at the generators differ.

Error bounds. Generators are scaled by powers of two (exactly) to max-norm at most 1. `radius[u]` bounds the max-norm
distance from the stored generator to the exact one (up to a positive factor); `form_error[j]` bounds the effect of
rounding in the composed row j on vectors of max-norm 1; `form_norm[j]` is the row's 1-norm. Then

    |computed z - exact z|  <=  form_norm * (ROUND + radius) + form_error * (1 + radius),

and a sign is certain iff |z| exceeds that. A generator whose sign is not certain stops the neuron from being decided;
the others go first, as the cell may shrink away from it. When only uncertain neurons are left, the cell is set aside
for exact arithmetic. So no cut ever passes through a generator, and all cells are simple: a generator lies on exactly
D - 1 facets, and two are adjacent iff they share D - 2.

Frames. The search is depth first on an explicit stack. A frame is a cell on its way through one layer:

    layer (-1: not yet entered) | share of the tree | generators [start, start + count) of the pool
    | undecided neurons | bits | cuts | owners of the facet bits

The pool is a stack as well: the top frame owns its upper end. A split leaves the inactive side below and goes on with
the active side. Composed rows are kept per layer, not per frame: all frames of a layer's subtree are done before the
layer is entered again.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["DONE", "FULL", "GROW", "UNDECIDED", "Problem", "Stack", "search"]

DONE, FULL, GROW = 0, 1, 2
UNDECIDED = 2
_TINY, _HUGE = 1e-100, 1e100


class Problem(NamedTuple):
    """The network in flat arrays; layers count from 0 here, outputs nu_0, nu_1, ... as sources."""

    widths: NDArray[np.int64]  # (L,)
    first_neuron: NDArray[np.int64]  # (L + 1,)
    blocks: NDArray[np.int64]  # (B, 3): source, offset into weights, columns; the blocks of a layer are contiguous
    first_block: NDArray[np.int64]  # (L + 1,)
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]  # (n_neurons,)
    slopes: NDArray[np.float64]  # (n_neurons, 2)
    rounding: float  # unit roundoff times the longest chain of operations, with room


class Stack(NamedTuple):
    """The state of a search; it can be left and entered again."""

    X: NDArray[np.float64]  # (P, D) generators
    radius: NDArray[np.float64]  # (P,)
    facets: NDArray[np.uint64]  # (P,) bit masks
    owner: NDArray[np.int64]  # (F, 64) whose facet each bit is: a neuron, or -1 - i for row i of `sides`
    sides: NDArray[np.float64]  # (m + 1, D) rows of the domain, then infinity; exact
    layer: NDArray[np.int64]  # (F,)
    start: NDArray[np.int64]  # (F,)
    size: NDArray[np.int64]  # (F,) number of generators
    n_left: NDArray[np.int64]  # (F,)
    left: NDArray[np.int32]  # (F, widest) undecided neurons of the layer
    share: NDArray[np.float64]  # (F,)
    bits: NDArray[np.uint8]  # (F, n_neurons)
    cuts: NDArray[np.uint8]  # (F, n_neurons)
    forms: NDArray[np.float64]  # (L, widest, D) rows of z
    form_norm: NDArray[np.float64]  # (L, widest)
    form_error: NDArray[np.float64]  # (L, widest)
    outputs: NDArray[np.float64]  # (L + 1, widest or d, D) rows of nu
    output_norm: NDArray[np.float64]
    output_error: NDArray[np.float64]
    values: NDArray[np.float64]  # (P,) scratch
    rows: NDArray[np.float64]  # (D + 1, D) scratch
    totals: NDArray[np.int64]  # frames, regions, set aside, decisions, branchings
    done: NDArray[np.float64]  # (1,) share of the tree done


@njit(cache=True, nogil=True)
def _compose(problem: Any, stack: Any, layer: int) -> None:
    """Compute the rows of z of a layer from the outputs of its sources."""
    D = stack.X.shape[1]
    first = problem.first_neuron[layer]
    for i in range(problem.widths[layer]):
        row = stack.forms[layer, i]
        row[:] = 0.0
        row[D - 1] = problem.bias[first + i]
        magnitude, error = 0.0, 0.0
        for block in range(problem.first_block[layer], problem.first_block[layer + 1]):
            source, offset, columns = problem.blocks[block]
            base = offset + i * columns
            for j in range(columns):
                norm = stack.output_norm[source, j]
                if norm == 0.0 and stack.output_error[source, j] == 0.0:
                    continue
                w = problem.weights[base + j]
                for k in range(D):
                    row[k] += w * stack.outputs[source, j, k]
                magnitude += abs(w) * norm
                error += abs(w) * stack.output_error[source, j]
        total = 0.0
        for k in range(D):
            total += abs(row[k])
        stack.form_norm[layer, i] = total
        if layer == 0 or (magnitude == 0.0 and error == 0.0):
            # Weights times the identity, or nothing at all, was added: nothing was rounded.
            stack.form_error[layer, i] = 0.0
        elif not _TINY < total < _HUGE:
            # Underflow or overflow would escape the bounds.
            stack.form_error[layer, i] = np.inf
        else:
            bias = abs(problem.bias[first + i])
            stack.form_error[layer, i] = error * (1.0 + problem.rounding) + problem.rounding * (magnitude + bias)


@njit(cache=True, nogil=True)
def _activate(problem: Any, stack: Any, layer: int, bits: Any) -> None:
    """Compute the rows of nu of a layer (source layer + 1) from its bits."""
    D = stack.X.shape[1]
    first = problem.first_neuron[layer]
    for i in range(problem.widths[layer]):
        slope = problem.slopes[first + i, bits[first + i]]
        for k in range(D):
            stack.outputs[layer + 1, i, k] = slope * stack.forms[layer, i, k]
        norm = abs(slope) * stack.form_norm[layer, i]
        stack.output_norm[layer + 1, i] = norm
        error = abs(slope) * stack.form_error[layer, i]
        if slope != 1.0 and slope != -1.0 and slope != 0.0:
            error = error * (1.0 + problem.rounding) + problem.rounding * norm
        stack.output_error[layer + 1, i] = error


@njit(cache=True, nogil=True)
def _signs(problem: Any, stack: Any, layer: int, i: int, start: int, count: int) -> int:
    """Put z at the generators into `values`; return the certain sign of all of them, 0 if cut, 2 if uncertain."""
    D = stack.X.shape[1]
    norm, error = stack.form_norm[layer, i], stack.form_error[layer, i]
    positive = negative = 0
    for u in range(start, start + count):
        z = 0.0
        for k in range(D):
            z += stack.forms[layer, i, k] * stack.X[u, k]
        stack.values[u] = z
        bound = norm * (problem.rounding + stack.radius[u]) + error * (1.0 + stack.radius[u])
        if z > bound:
            positive += 1
        elif z < -bound:
            negative += 1
    if positive + negative < count:
        return 2
    if negative == 0:
        return 1
    if positive == 0:
        return -1
    return 0


@njit(cache=True, nogil=True)
def _popcount(x: Any) -> int:
    n = 0
    while x:
        x &= x - np.uint64(1)
        n += 1
    return n


@njit(cache=True, nogil=True)
def _enter(problem: Any, stack: Any, frame: int) -> None:
    """Enter the frame's layer: compose its rows, decide the neurons that do not cut, list the others."""
    layer = stack.layer[frame]
    D = stack.X.shape[1]
    _compose(problem, stack, layer)
    first = problem.first_neuron[layer]
    n = 0
    for i in range(problem.widths[layer]):
        j = first + i
        if layer == 0 and stack.bits[frame, j] != UNDECIDED:
            # Decided before the search, to make a cell with a vertex.
            continue
        stack.cuts[frame, j] = 0
        if problem.slopes[j, 0] == problem.slopes[j, 1]:
            stack.bits[frame, j] = 0
            continue
        constant = stack.form_error[layer, i] == 0.0
        if constant:
            for k in range(D - 1):
                if stack.forms[layer, i, k] != 0.0:
                    constant = False
                    break
        if constant:
            stack.bits[frame, j] = stack.forms[layer, i, D - 1] > 0.0
            continue
        stack.totals[3] += 1
        sign = _signs(problem, stack, layer, i, stack.start[frame], stack.size[frame])
        if sign == 1:
            stack.bits[frame, j] = 1
        elif sign == -1:
            stack.bits[frame, j] = 0
        else:
            stack.bits[frame, j] = UNDECIDED
            stack.left[frame, n] = i
            n += 1
    stack.n_left[frame] = n


@njit(cache=True, nogil=True)
def _room(stack: Any, frame: int) -> int:
    """Count the generators a split by the current `values` makes; -1 if the arrays are too small."""
    start, count = stack.start[frame], stack.size[frame]
    D = stack.X.shape[1]
    new = 0
    for u in range(start, start + count):
        if stack.values[u] > 0.0:
            for v in range(start, start + count):
                if stack.values[v] < 0.0 and _popcount(stack.facets[u] & stack.facets[v]) == D - 2:
                    new += 1
    # The old cell, both children, and the working copy above them.
    if start + 3 * (count + 2 * new) > stack.X.shape[0] or frame + 1 >= stack.layer.shape[0]:
        return -1
    return new


@njit(cache=True, nogil=True)
def _facet_row(problem: Any, stack: Any, frame: int, bit: int, out: Any) -> tuple[float, float]:
    """Copy the row of a facet; return its 1-norm and error."""
    D = stack.X.shape[1]
    owner = stack.owner[frame, bit]
    if owner < 0:
        norm = 0.0
        for k in range(D):
            out[k] = stack.sides[-1 - owner, k]
            norm += abs(out[k])
        return norm, 0.0
    layer = 0
    while problem.first_neuron[layer + 1] <= owner:
        layer += 1
    i = owner - problem.first_neuron[layer]
    for k in range(D):
        out[k] = stack.forms[layer, i, k]
    return stack.form_norm[layer, i], stack.form_error[layer, i]


@njit(cache=True, nogil=True)
def _normal(rows: Any, out: Any) -> None:
    """Compute the vector orthogonal to D - 1 rows, their generalised cross product, for D = 3 or 4."""
    if out.shape[0] == 3:
        a, b = rows[0], rows[1]
        out[0] = a[1] * b[2] - a[2] * b[1]
        out[1] = a[2] * b[0] - a[0] * b[2]
        out[2] = a[0] * b[1] - a[1] * b[0]
        return
    a, b, c = rows[0], rows[1], rows[2]
    m01, m02, m03 = a[0] * b[1] - a[1] * b[0], a[0] * b[2] - a[2] * b[0], a[0] * b[3] - a[3] * b[0]
    m12, m13, m23 = a[1] * b[2] - a[2] * b[1], a[1] * b[3] - a[3] * b[1], a[2] * b[3] - a[3] * b[2]
    out[0] = -(c[1] * m23 - c[2] * m13 + c[3] * m12)
    out[1] = c[0] * m23 - c[2] * m03 + c[3] * m02
    out[2] = -(c[0] * m13 - c[1] * m03 + c[3] * m01)
    out[3] = c[0] * m12 - c[1] * m02 + c[2] * m01


@njit(cache=True, nogil=True)
def _intersect(problem: Any, stack: Any, frame: int, facets: Any, layer: int, i: int, u: int) -> None:
    """Replace generator u by the intersection of its facets' rows if that is surely more accurate.

    Interpolation along short edges lets errors grow from generation to generation; this does not. The product of D - 1
    rows with errors e_r and 1-norms n_r is wrong by at most prod (n_r + e_r) - prod n_r, and by rounding.
    """
    D = stack.X.shape[1]
    n = 0
    norms, total = 1.0, 1.0
    for bit in range(64):
        if facets >> np.uint64(bit) & np.uint64(1):
            norm, error = _facet_row(problem, stack, frame, bit, stack.rows[n])
            total *= norm + error
            norms *= norm
            n += 1
    for k in range(D):
        stack.rows[n, k] = stack.forms[layer, i, k]
    norm, error = stack.form_norm[layer, i], stack.form_error[layer, i]
    total *= norm + error
    norms *= norm
    new = stack.rows[D]
    _normal(stack.rows, new)
    largest = agreement = 0.0
    for k in range(D):
        largest = max(largest, abs(new[k]))
        agreement += new[k] * stack.X[u, k]
    # The interpolated generator says which of the two opposite vectors is meant.
    if not (_TINY < largest < _HUGE and abs(agreement) > 0.1 * largest and stack.radius[u] < 0.01):
        return
    scale = math.ldexp(1.0, -math.frexp(largest)[1])
    radius = (total - norms + problem.rounding * total) * scale * (1.0 + problem.rounding)
    if radius < stack.radius[u]:
        if agreement < 0.0:
            scale = -scale
        for k in range(D):
            stack.X[u, k] = new[k] * scale
        stack.radius[u] = radius


@njit(cache=True, nogil=True)
def _move(stack: Any, source: int, target: int) -> None:
    for k in range(stack.X.shape[1]):
        stack.X[target, k] = stack.X[source, k]
    stack.radius[target] = stack.radius[source]
    stack.facets[target] = stack.facets[source]


@njit(cache=True, nogil=True)
def _split(problem: Any, stack: Any, frame: int, i: int, new: int) -> bool:
    """Split the top frame by neuron i; it becomes the inactive side, and frame + 1 the active one.

    False if no facet bit is free (then nothing has changed).
    """
    start, count, layer = stack.start[frame], stack.size[frame], stack.layer[frame]
    D = stack.X.shape[1]
    used = np.uint64(0)
    for u in range(start, start + count):
        used |= stack.facets[u]
    free = ~used
    if free == np.uint64(0):
        return False
    bit = free & (~free + np.uint64(1))
    norm, error = stack.form_norm[layer, i], stack.form_error[layer, i]
    rounding = problem.rounding

    # New generators, on the edges that cross, go above the cell first.
    top = start + count
    for u in range(start, start + count):
        zu = stack.values[u]
        if zu <= 0.0:
            continue
        for v in range(start, start + count):
            zv = -stack.values[v]
            if zv <= 0.0:
                continue
            common = stack.facets[u] & stack.facets[v]
            if _popcount(common) != D - 2:
                continue
            ru, rv = stack.radius[u], stack.radius[v]
            eu = norm * (rounding + ru) + error * (1.0 + ru)
            ev = norm * (rounding + rv) + error * (1.0 + rv)
            largest = 0.0
            for k in range(D):
                x = zv * stack.X[u, k] + zu * stack.X[v, k]
                stack.X[top, k] = x
                largest = max(largest, abs(x))
            wrong = zv * ru + ev * (1.0 + ru) + zu * rv + eu * (1.0 + rv) + rounding * (zu + zv)
            if 0.0 < largest < np.inf:
                # A power of two scales exactly.
                scale = math.ldexp(1.0, -math.frexp(largest)[1])
                for k in range(D):
                    stack.X[top, k] *= scale
                stack.radius[top] = wrong * scale * (1.0 + rounding)
            else:
                stack.radius[top] = np.inf
            if 3 <= D <= 4 and stack.radius[top] > 32.0 * rounding:
                _intersect(problem, stack, frame, common, layer, i, top)
            stack.facets[top] = common | bit
            top += 1

    # Copy the active side above, then close up the inactive side below it.
    up = top
    for u in range(start, start + count):
        if stack.values[u] > 0.0:
            _move(stack, u, up)
            up += 1
    for u in range(start + count, top):
        _move(stack, u, up)
        up += 1
    n_active = up - top
    low = start
    for u in range(start, start + count):
        if stack.values[u] < 0.0:
            _move(stack, u, low)
            low += 1
    for u in range(start + count, start + count + new):
        _move(stack, u, low)
        low += 1
    for u in range(n_active):
        _move(stack, top + u, low + u)

    above = frame + 1
    j = problem.first_neuron[layer] + i
    stack.share[frame] *= 0.5
    stack.cuts[frame, j] = 1
    number = 0
    while bit > np.uint64(1) << np.uint64(number):
        number += 1
    stack.owner[frame, number] = j
    for k in range(64):
        stack.owner[above, k] = stack.owner[frame, k]
    stack.layer[above] = layer
    stack.share[above] = stack.share[frame]
    stack.n_left[above] = stack.n_left[frame]
    for k in range(stack.n_left[frame]):
        stack.left[above, k] = stack.left[frame, k]
    for k in range(problem.first_neuron[layer + 1]):
        stack.bits[above, k] = stack.bits[frame, k]
        stack.cuts[above, k] = stack.cuts[frame, k]
    stack.bits[frame, j] = 0
    stack.bits[above, j] = 1
    stack.size[frame] = low - start
    stack.start[above] = low
    stack.size[above] = n_active
    stack.totals[0] += 1
    stack.totals[4] += 1
    return True


@njit(cache=True, nogil=True)
def search(
    problem: Any,
    stack: Any,
    emit: bool,
    out_bits: Any,
    out_cuts: Any,
    out_points: Any,
    aside: Any,
    max_steps: int,
) -> tuple[int, int, int]:
    """Run until done, a buffer is full, the arrays are too small, or `max_steps` splits and leaves.

    Returns
    -------
    status, n_regions, n_aside
        `FULL` also stands for `max_steps`. Regions go to the `out_` arrays if `emit`, else they are only counted.
    """
    n_layers = problem.widths.shape[0]
    D = stack.X.shape[1]
    n_neurons = problem.first_neuron[n_layers]
    regions = n_aside = steps = 0
    while stack.totals[0] > 0:
        frame = stack.totals[0] - 1
        if steps >= max_steps or n_aside == aside.shape[0] or (emit and regions == out_bits.shape[0]):
            return FULL, regions, n_aside
        # Decide the neurons left in the layer, those with certain signs first.
        position = 0
        split = stuck = False
        while position < stack.n_left[frame]:
            i = stack.left[frame, position]
            stack.totals[3] += 1
            sign = _signs(problem, stack, stack.layer[frame], i, stack.start[frame], stack.size[frame])
            if sign == 2:
                position += 1
                continue
            new = 0
            if sign == 0:
                new = _room(stack, frame)
                if new < 0:
                    return GROW, regions, n_aside
            stack.n_left[frame] -= 1
            for k in range(position, stack.n_left[frame]):
                stack.left[frame, k] = stack.left[frame, k + 1]
            if sign == 0:
                split = _split(problem, stack, frame, i, new)
                stuck = not split
                break
            stack.bits[frame, problem.first_neuron[stack.layer[frame]] + i] = sign == 1
            position = 0
        if split:
            steps += 1
            continue
        if stuck or stack.n_left[frame] > 0:
            for k in range(n_neurons):
                aside[n_aside, k] = UNDECIDED
            for k in range(problem.first_neuron[stack.layer[frame] + 1]):
                aside[n_aside, k] = stack.bits[frame, k]
            n_aside += 1
        elif stack.layer[frame] + 1 < n_layers:
            if stack.layer[frame] >= 0:
                _activate(problem, stack, stack.layer[frame], stack.bits[frame])
            stack.layer[frame] += 1
            _enter(problem, stack, frame)
            continue
        else:
            if emit:
                for k in range(n_neurons):
                    out_bits[regions, k] = stack.bits[frame, k]
                    out_cuts[regions, k] = stack.cuts[frame, k]
                for k in range(D):
                    total = 0.0
                    for u in range(stack.start[frame], stack.start[frame] + stack.size[frame]):
                        total += stack.X[u, k]
                    out_points[regions, k] = total
            regions += 1
        stack.done[0] += stack.share[frame]
        stack.totals[0] -= 1
        steps += 1
    return DONE, regions, n_aside

"""Generators of cells, compiled: forms there, new ones where an edge crosses a hyperplane, and anew from facets."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tropnet.arrays.rounding import SAFE_HIGH, SAFE_LOW, UNIT_ROUNDOFF
from tropnet.enumeration.engines.vertex.stack import REFINED, ROUNDING
from tropnet.kernels import compiled, popcount
from tropnet.regions.row_index import INFINITY

__all__ = [
    "crossing",
    "facet_row",
    "gather",
    "highest",
    "look_again",
    "most_crossing",
    "products",
    "refine",
    "signs_by_bound",
    "spans_edge",
]


@compiled(inline=True, reorder=True)
def gather(problem: Any, rows: Any, stack: Any, layer: int, neurons: Any, m: int) -> None:
    """Put the rows of m neurons of a layer side by side: component k of the c-th at k * m + c."""
    n, at = problem.widths[layer], problem.rows_at[layer]
    for k in range(stack.rows.shape[0]):
        for c in range(m):
            stack.gathered[k * m + c] = rows.done[at + k * n + neurons[c]]


@compiled(inline=True, reorder=True)
def products(stack: Any, u: int, m: int, z: Any) -> None:
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


@compiled(inline=True)
def highest(mask: Any) -> int:
    """Return the place of the highest bit."""
    place = np.int64(-1)
    while mask:
        mask >>= np.uint64(1)
        place += 1
    return int(place)


@compiled()
def look_again(problem: Any, rows: Any, stack: Any, level: int, u: int) -> None:
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
        bound = stack.norms[level, s] * (ROUNDING * D + radius) + stack.wrong[level, s] * (1.0 + radius)
        if not (stack.positive[u] | stack.negative[u] | stack.zero[u]) & mask:
            if z > bound:
                stack.positive[u] |= mask
            elif z < -bound:
                stack.negative[u] |= mask


@compiled(inline=True)
def facet_row(problem: Any, rows: Any, stack: Any, frame: int, bit: int, out: Any) -> tuple[float, float]:
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
def refine(problem: Any, rows: Any, stack: Any, frame: int, u: int) -> bool:
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
        norm, error = facet_row(problem, rows, stack, frame, bit, M[r])
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
        residual[r] = abs(residual[r]) + 2.0 * (ROUNDING * D + stack.errors[stack.order[r]])
    for k in range(d):
        row = stack.row_m
        for m in range(d):
            row[m] = 0.0
        row[k] = -1.0
        size = total = 0.0
        for r in range(d):
            entry = C[k, r]
            size += abs(entry) * (stack.errors[stack.order[r]] + ROUNDING * D)
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
def most_crossing(n_positive: int, n_negative: int, D: int, simple: bool) -> int:
    """Return how many edges cross a hyperplane at most; of a simple cell, d = D - 1 edges meet in each generator."""
    every = n_positive * n_negative
    return min(every, (D - 1) * min(n_positive, n_negative)) if simple else every


@compiled(inline=True)
def spans_edge(stack: Any, generators: Any, begin: int, end: int, u: int, v: int, common: Any) -> bool:
    """Return whether generators u and v span an edge of a cell: no third one of it has all facets they have in common.

    The cell's generators are listed from `begin` up to `end`.
    """
    for p in range(begin, end):
        w = generators[p]
        if w != u and w != v and stack.tight[w] & common == common:
            return False
    return True


@compiled(inline=True, reorder=True)
def crossing(
    stack: Any, slot: int, norm: float, error: float, u: int, ru: float, zu: float, v: int, to: int, n_columns: int
) -> tuple[float, float]:
    """Compute, to a place in the pool, the generator where the edge from u to v crosses the hyperplane of a slot.

    It is X_u + t (X_v - X_u): an error in t moves it along the edge only. So are the first `n_columns` numbers that go
    with it. `norm` and `error` are those of the slot's row, `ru` the radius of u, and zu >= |z| > 0 at u.

    Returns
    -------
    Its radius, infinite where z is too uncertain at the ends, and its max-norm.
    """
    D = stack.rows.shape[0]
    rounding = ROUNDING * D
    # Where the caller gave the sign, z may have the other one.
    zv = max(abs(stack.X[v, D + slot]), norm * ROUNDING)
    rv = stack.radius[v]
    wrong_u = norm * (rounding + ru) + error * (1.0 + ru)
    wrong_v = norm * (rounding + rv) + error * (1.0 + rv)
    if zu <= wrong_u or zv <= wrong_v:
        wrong_u, wrong_v = 2.0 * wrong_u, 2.0 * wrong_v
    inverse = 1.0 / (zu + zv)
    t = zu * inverse
    largest = apart = 0.0
    x_u, x_v, x = stack.X[u, :n_columns], stack.X[v, :n_columns], stack.X[to, :n_columns]
    for k in range(n_columns):
        x[k] = x_u[k] + t * (x_v[k] - x_u[k])
    for k in range(D):
        apart = max(apart, abs(x_v[k] - x_u[k]))
        largest = max(largest, abs(x[k]))
    wrong_t = 1.2 * (wrong_u * zv + wrong_v * zu) * inverse * inverse
    radius = ru + t * (rv - ru) + wrong_t * (apart + ru + rv) + rounding
    if not (wrong_u + wrong_v) * inverse < 0.1:
        radius = np.inf
    return radius, largest


@compiled(inline=True, reorder=True)
def signs_by_bound(stack: Any, level: int, z: Any, radius: float) -> tuple[Any, Any]:
    """Return the bits of the first slots that are certainly positive, negative, by z at a new generator."""
    rounding = ROUNDING * stack.rows.shape[0]
    positive = negative = np.uint64(0)
    for s in range(z.shape[0]):
        bound = stack.norms[level, s] * (rounding + radius) + stack.wrong[level, s] * (1.0 + radius)
        positive |= np.uint64(z[s] > bound) << np.uint64(s)
        negative |= np.uint64(z[s] < -bound) << np.uint64(s)
    return positive, negative

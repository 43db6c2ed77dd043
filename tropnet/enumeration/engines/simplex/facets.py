"""The facets of one cell of the simplex engine, compiled.

A row defines one iff the cell without it has points beyond it. One such point, certainly inside all other rows, proves
that; multipliers as in `simplex.cell` prove the contrary, as a row that is positive on the closed cell never bounds it,
and prove it for all cells that share the rows with multipliers. Each row is minimised in turn. Close to every vertex on
the way there are points beyond any single row of the basis, unless the vertex is degenerate. What is left, as rows that
touch the cell in less than a facet, is minimised over the cell without that row; there the last rows come first, so
that of coincident rows the first one stays. What is certain in none of these ways is left for an exact decision.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.enumeration.engines.simplex.cell import (
    AGE,
    ANSWERS,
    BIG,
    DOUBTFUL,
    ERROR,
    FACET,
    FLAT,
    G_ERROR,
    G_NORM,
    HAS_SLACKS,
    HAS_VERTEX,
    HIGH,
    HIGH_OFFSET,
    IMPLIED,
    IS_BOX,
    LOW,
    LOW_OFFSET,
    MAX_PIVOTS,
    N_ROWS,
    N_SAME,
    NEVER,
    NO_ROW,
    NONE,
    NORM,
    OFFSET,
    P_MAX,
    PIVOTS,
    QUALITY,
    REFACTOR,
    ROUNDING,
    TINY,
    TOUCHING,
    U_MAX,
    UNKNOWN,
    VALUE,
    A,
    G,
    H,
    P,
    Q,
    W,
    Y,
    find_prices,
    find_slacks,
    find_values,
    find_vertex,
    is_inside,
    is_member,
    lies_in_cone,
    normalise_q,
    passes_by,
    pivot,
    ratio,
    refactor,
    set_bit,
    set_slack,
    take_q,
)
from tropnet.kernels import compiled
from tropnet.regions.row_index import INFINITY

__all__ = ["FoundFacets", "find_facets"]


@compiled(inline=True)
def _place(row: int, capacity: int) -> int:
    """Return the place of a row or side in `known`."""
    return row if row >= 0 else capacity - 1 - row


@compiled(reorder=True)
def _load_own(g: Any, numbers: Any, about: Any, rows: Any, box: Any, row: int) -> None:
    """Put a row of the cell or a side of the box into G."""
    D = g.shape[0]
    if row >= 0:
        own = rows[row]
        for j in range(D):
            g[j] = own[j]
        numbers[G_NORM], numbers[G_ERROR] = about[NORM, row], about[ERROR, row]
        return
    side = -1 - row
    c, upper = side >> 1, side & 1
    bound = box[LOW + upper, c]
    for j in range(D):
        g[j] = 0.0
    g[c] = -1.0 if upper else 1.0
    g[D - 1] = bound if upper else -bound
    numbers[G_NORM], numbers[G_ERROR] = 1.0 + abs(bound), 0.0


@compiled(inline=True, reorder=True)
def _mark_basis(cell: Any, n: int) -> None:
    """Mark rows of the basis as facets, after `_fill_table`.

    A step from the vertex back along edge k and forth along all others, half as far as the other rows allow, leads to a
    point that lies beyond row k only, unless the vertex is degenerate. That is checked at the point.
    """
    D, m = cell.T.shape[0], cell.at[N_ROWS]
    T, vectors, basis, table = cell.T, cell.vectors, cell.basis, cell.table
    sizes, total = vectors[W], vectors[A]
    for u in range(D):
        total[u] = 0.0
    for k in range(D - 1):
        if basis[k] == NONE:
            return
        size, edge = 0.0, T[k]
        for u in range(D):
            size = max(size, abs(edge[u]))
        sizes[k] = 1.0 / size
        for u in range(D):
            total[u] += edge[u] / size
    slacks, rates, sums = table[D - 1, :n], table[D, :n], table[D + 1, :n]
    for i in range(n):
        sums[i] = 0.0
    for k in range(D - 1):
        size, line = sizes[k], table[k, :n]
        for i in range(n):
            sums[i] += size * line[i]
    for k in range(D - 1):
        place = _place(basis[k], cell.owner.shape[0])
        if cell.known[place] != UNKNOWN:
            continue
        twice, line = 2.0 * sizes[k], table[k, :n]
        for i in range(n):
            rates[i] = sums[i] - twice * line[i]
        own = basis[k] if basis[k] >= 0 else m - 1 - basis[k]
        rates[own] = 0.0
        step = 2.0
        for i in range(n):
            if rates[i] < 0.0 and slacks[i] < -step * rates[i]:
                step = slacks[i] / -rates[i]
        step *= 0.5
        for u in range(D):
            vectors[Q, u] = T[D - 1, u] + step * (total[u] - twice * T[k, u])
        if step > 0.0 and _is_beyond_alone(cell, basis[k]):
            cell.known[place] = FACET


@compiled(reorder=True)
def _is_beyond_alone(cell: Any, own: int) -> bool:
    """Return whether Q is certainly beyond row `own` and inside all others not implied; make its last coordinate 1."""
    D, m = cell.T.shape[0], cell.at[N_ROWS]
    vectors, about, box, known = cell.vectors, cell.about, cell.box, cell.known
    if not normalise_q(cell):
        return False
    largest = 1.0
    for k in range(D - 1):
        x = vectors[Q, k]
        if not abs(x) < BIG:
            return False
        largest = max(largest, abs(x))
        if cell.at[IS_BOX]:
            below, above = -1 - 2 * k, -2 - 2 * k
            if own == below:
                if not x < box[LOW, k]:
                    return False
            elif not x > box[LOW, k] and known[_place(below, cell.owner.shape[0])] != IMPLIED:
                return False
            if own == above:
                if not x > box[HIGH, k]:
                    return False
            elif not x < box[HIGH, k] and known[_place(above, cell.owner.shape[0])] != IMPLIED:
                return False
    value, norm, error = about[VALUE, :m], about[NORM, :m], about[ERROR, :m]
    find_values(cell.columns, vectors[Q], value)
    if own >= 0:
        value[own] = -value[own]
    rounding = cell.numbers[ROUNDING]
    n_outside = 0
    for i in range(m):
        n_outside += not value[i] > (error[i] + rounding * norm[i]) * largest and known[i] != IMPLIED
    if n_outside:
        return False
    if cell.beyond.shape[1]:
        place = _place(own, cell.owner.shape[0])
        for u in range(D):
            cell.beyond[place, u] = vectors[Q, u]
    return True


@compiled(inline=True)
def _recall(cell: Any) -> int:
    """Mark the rows that the rows shared with the cell before imply; return how many rows are left."""
    m, n_same = cell.at[N_ROWS], cell.at[N_SAME]
    for i in range(n_same, m):
        cell.implied_by[i] = NEVER
    n_left = 0
    for number in range(m + (2 * cell.basis.shape[0] if cell.at[IS_BOX] else 0)):
        place = number if number < m else number - m + cell.owner.shape[0]
        if cell.implied_by[place] <= n_same:
            cell.known[place] = IMPLIED
        else:
            cell.implied_by[place] = NEVER
            n_left += cell.known[place] == UNKNOWN
    cell.at[N_SAME] = m
    return n_left


@compiled(reorder=True)
def _is_beyond(cell: Any, own: int) -> bool:
    """Return whether a mean Q of W and P is certainly beyond G, row `own`, and inside all others not implied."""
    D = cell.T.shape[0]
    vectors = cell.vectors
    beyond = before = scale = 0.0
    for k in range(D):
        beyond -= vectors[G, k] * vectors[W, k]
        before += vectors[G, k] * vectors[P, k]
        scale += vectors[H, k] * vectors[P, k]
    before /= scale
    weight = beyond / (2.0 * (beyond + before))
    if not 0.0 < weight < 1.0:
        return False
    other = weight / scale
    for k in range(D):
        vectors[Q, k] = (1.0 - weight) * vectors[W, k] + other * vectors[P, k]
    return _is_beyond_alone(cell, own)


@compiled(inline=True, reorder=True)
def _fill_table(cell: Any) -> None:
    """Compute the rates of all rows and sides along the edges of the vertex, and their slacks there, last."""
    D, m = cell.T.shape[0], cell.at[N_ROWS]
    T, box = cell.T, cell.box
    for k in range(D):
        line, edge = cell.table[k], T[k]
        find_values(cell.columns, edge, line[:m])
        if cell.at[IS_BOX]:
            for c in range(D - 1):
                line[m + 2 * c], line[m + 2 * c + 1] = edge[c], -edge[c]
    line, offset = cell.table[D - 1, :m], cell.about[OFFSET, :m]
    for i in range(m):
        line[i] += offset[i]
    if cell.at[IS_BOX]:
        line = cell.table[D - 1, m:]
        for c in range(D - 1):
            line[2 * c] += box[LOW_OFFSET, c] - box[LOW, c]
            line[2 * c + 1] += box[HIGH_OFFSET, c] + box[HIGH, c]


@compiled(reorder=True)
def _pivot_table(table: Any, T: Any, k: int, number: int, n: int) -> None:
    """Put row `number` of the table in place of row k of the basis."""
    D = T.shape[0]
    own, edge = table[k, :n], T[k]
    scale = 1.0 / own[number]
    for i in range(n):
        own[i] *= scale
    for u in range(D):
        edge[u] *= scale
    own[number] = 1.0
    for j in range(D):
        other = table[j, :n]
        a = other[number]
        if j != k and a != 0.0:
            line = T[j]
            for i in range(n):
                other[i] -= a * own[i]
            for u in range(D):
                line[u] -= a * edge[u]
            other[number] = 0.0


@compiled(reorder=True)
def _count_descents(table: Any, out: Any) -> None:
    """Count the edges along which each row of the table decreases."""
    D, n = table.shape[0] - 2, out.shape[0]
    for i in range(n):
        out[i] = 0.0
    for k in range(D - 1):
        rates = table[k, :n]
        for i in range(n):
            out[i] += 1.0 if rates[i] < -FLAT else 0.0


@compiled(inline=True, reorder=True)
def _settle_least(cell: Any, row: int) -> int:
    """Return what is known of a row that is minimal at the vertex."""
    _load_own(cell.vectors[G], cell.numbers, cell.about, cell.rows, cell.box, row)
    find_prices(cell.vectors, cell.T)
    if not passes_by(cell.vectors, cell.numbers, cell.about, cell.rows, cell.box, cell.basis):
        return TOUCHING
    n = 0
    for k in range(cell.basis.shape[0]):
        if cell.vectors[Y, k] > 0.0:
            n = max(n, cell.basis[k] + 1)
    cell.implied_by[_place(row, cell.owner.shape[0])] = n
    return IMPLIED


@compiled(inline=True, reorder=True)
def _walk(cell: Any, n: int) -> None:
    """Minimise the rows of the cell in turn, marking facets on the way, until each is settled or found to touch it.

    Afterwards `answers` holds the sum of all vertices met.
    """
    D, m = cell.T.shape[0], cell.at[N_ROWS]
    known, table, T = cell.known, cell.table, cell.T
    shift = cell.owner.shape[0] - m
    slacks, total, counts = table[D - 1, :n], cell.vectors[ANSWERS], table[D, :n]
    for u in range(D):
        total[u] = T[D - 1, u]
    number, stale, fresh = -1, True, True
    for _ in range(n * MAX_PIVOTS):
        if cell.at[AGE] > REFACTOR:
            if not refactor(cell):
                return
            stale = True
        if stale:
            _fill_table(cell)
        if fresh:
            _mark_basis(cell, n)
        stale = fresh = False
        if number < 0 or known[number if number < m else number + shift] != UNKNOWN:
            number = -1
            _count_descents(table, counts)
            for i in range(n):
                place = i if i < m else i + shift
                if known[place] == UNKNOWN:
                    if counts[i] == 0.0:
                        known[place] = _settle_least(cell, i if i < m else m - 1 - i)
                    elif number < 0 or counts[i] < counts[number]:
                        number = i
            if number < 0:
                return
        place = number if number < m else number + shift
        k = 0
        for j in range(1, D - 1):
            if table[j, number] < table[k, number]:
                k = j
        if not table[k, number] < -FLAT:
            number = -1
            continue
        rates = table[k, :n]
        largest, edge = 0.0, T[k]
        for j in range(D):
            largest = max(largest, abs(edge[j]))
        tiny = -FLAT * largest
        length, entering = BIG, -1
        for i in range(n):
            if rates[i] < tiny and slacks[i] < -length * rates[i]:
                length, entering = max(slacks[i], 0.0) / -rates[i], i
        if entering < 0:
            known[place] = TOUCHING
            continue
        _pivot_table(table, T, k, entering, n)
        cell.basis[k] = entering if entering < m else m - 1 - entering
        cell.at[PIVOTS] += 1
        cell.at[AGE] += 1
        for u in range(D):
            total[u] += T[D - 1, u]
        fresh = known[entering if entering < m else entering + shift] == UNKNOWN


@compiled(reorder=True)
def _find_slacks_without(cell: Any, own: int) -> None:
    """Compute the slacks, but let no edge end at row `own` or at implied rows."""
    find_slacks(cell)
    set_slack(cell.about, cell.box, own, BIG)
    m, n_sides = cell.at[N_ROWS], 2 * cell.basis.shape[0] if cell.at[IS_BOX] else 0
    for number in range(m + n_sides):
        row = number if number < m else m - 1 - number
        if cell.known[_place(row, cell.owner.shape[0])] == IMPLIED:
            set_slack(cell.about, cell.box, row, BIG)


@compiled(reorder=True)
def _leave_out(problem: Any, cell: Any, tree: Any, own: int) -> int:
    """Return what is known of a row after minimising it over the cell without it.

    It is not dropped because it lies in the cone of doubtful rows, as a coincident one could be dropped later.
    """
    at, vectors, numbers, T = cell.at, cell.vectors, cell.numbers, cell.T
    D = T.shape[0]
    for k in range(D):
        for j in range(D):
            cell.spare[k, j] = T[k, j]
    for k in range(D - 1):
        cell.spare_basis[k] = cell.basis[k]
    _load_own(cell.vectors[G], cell.numbers, cell.about, cell.rows, cell.box, own)
    find_prices(cell.vectors, cell.T)
    _find_slacks_without(cell, own)
    tiny = TINY * numbers[G_NORM] * numbers[U_MAX]
    forced = -1
    for k in range(D - 1):
        if cell.basis[k] == own:
            forced = k
            cell.basis[k] = NONE
            vectors[Y, k] = -vectors[Y, k]
            for j in range(D):
                T[k, j] = -T[k, j]
    found = DOUBTFUL
    for _ in range(MAX_PIVOTS):
        value, k = vectors[Y, D - 1], 0
        if value < -tiny:
            for j in range(D):
                vectors[W, j] = T[D - 1, j]
            if _is_beyond(cell, own):
                found = FACET
                break
        for j in range(1, D - 1):
            if vectors[Y, j] < vectors[Y, k]:
                k = j
        if forced >= 0:
            k, forced = forced, -1
        elif not vectors[Y, k] < -FLAT * numbers[G_NORM]:
            if passes_by(cell.vectors, cell.numbers, cell.about, cell.rows, cell.box, cell.basis) or _is_structural(
                problem, cell, tree, own
            ):
                found = IMPLIED
                break
            if at[AGE] == 0 or not refactor(cell):
                break
            find_prices(cell.vectors, cell.T)
            _find_slacks_without(cell, own)
            continue
        length, row = ratio(cell.T[k], cell.columns, cell.about, cell.box, cell.at[N_ROWS], cell.at[IS_BOX])
        if row in (NONE, own):
            for j in range(D):
                vectors[W, j] = T[k, j]
            if _is_beyond(cell, own):
                found = FACET
            break
        if value + length * vectors[Y, k] < -tiny:
            for j in range(D):
                vectors[W, j] = T[D - 1, j] + length * T[k, j]
            if _is_beyond(cell, own):
                found = FACET
                break
        pivot(cell, np.int64(k), row, length)
    if found != IMPLIED:
        for k in range(D):
            for j in range(D):
                T[k, j] = cell.spare[k, j]
        for k in range(D - 1):
            cell.basis[k] = cell.spare_basis[k]
        at[AGE] += 1
    at[HAS_SLACKS] = 0
    return found


@compiled(reorder=True)
def _is_structural(problem: Any, cell: Any, tree: Any, own: int) -> bool:
    """Return whether row `own`, in G, certainly lies in the cone of rows that are neither implied nor doubtful."""
    if cell.at[IS_BOX] or cell.owner[own] == INFINITY or cell.owner[own] >= tree.layer_of.shape[0]:
        return False
    for k in range(cell.basis.shape[0]):
        if cell.basis[k] < 0 or cell.basis[k] == own:
            return False
    owner = cell.owner[own]
    first = tree.layer_of[owner]
    for layer in range(first, tree.n_levels.shape[0]):
        level = lies_in_cone(problem, cell, tree, layer, INFINITY if layer == first else owner)
        n_open = 0
        for k in range(cell.basis.shape[0]):
            row = cell.basis[k]
            if level >= 0 and cell.known[row] in (IMPLIED, DOUBTFUL):
                n_open += is_member(problem, tree, layer, level, cell.owner[row])
        if level >= 0 and n_open == 0:
            return True
    return False


@compiled(reorder=True)
def _centre(cell: Any) -> None:
    """Move P towards the vertices met, no farther than P is from the origin, if that is farther from all sides.

    Of an unbounded cell most vertices can be at infinity, where the constants of the rows would be lost.
    """
    vectors, largest = cell.vectors, 0.0
    for u in range(cell.T.shape[0]):
        vectors[Q, u] = vectors[P, u]
        largest = max(largest, abs(vectors[ANSWERS, u]))
    is_inside(cell)
    before = cell.numbers[QUALITY]
    scale = cell.numbers[P_MAX] / largest
    for u in range(cell.T.shape[0]):
        vectors[Q, u] = vectors[P, u] + scale * vectors[ANSWERS, u]
    if normalise_q(cell) and is_inside(cell) and cell.numbers[QUALITY] > before:
        take_q(cell)


class FoundFacets(NamedTuple):
    """Where facets go."""

    facets: NDArray[np.uint64]  # (n, words) by region: bit j for neuron j, n_neurons + i for side i
    unsure: NDArray[np.uint64]  # (n, words) the rows to be decided exactly


@compiled(apart=True, reorder=True)
def find_facets(problem: Any, cell: Any, tree: Any, found: Any, r: int) -> int:
    """Find the facets of the cell, for region r; returns how many rows it has."""
    _find(problem, cell, tree)
    _write(cell, tree.layer_of.shape[0], found.facets[r], found.unsure[r])
    return int(cell.at[N_ROWS])


@compiled(reorder=True)
def _find(problem: Any, cell: Any, tree: Any) -> None:
    """Find out in `known` which rows of the cell define facets."""
    at, known = cell.at, cell.known
    m, n_sides = at[N_ROWS], 2 * cell.basis.shape[0] if at[IS_BOX] else 0
    first_side = cell.owner.shape[0]
    for i in range(m):
        known[i] = NO_ROW if cell.owner[i] == INFINITY else UNKNOWN
    for side in range(n_sides):
        known[first_side + side] = UNKNOWN
    if _recall(cell) == 0:
        return
    if not at[HAS_VERTEX] and not find_vertex(cell):
        return
    _walk(cell, m + n_sides)
    at[HAS_SLACKS] = 0
    central = False
    for number in range(m + n_sides):
        row = m - 1 - number
        place = _place(row, cell.owner.shape[0])
        if known[place] != UNKNOWN and known[place] != TOUCHING:
            continue
        if at[AGE] > 0 and not refactor(cell):
            return
        if not central:
            _centre(cell)
            central = True
        known[place] = _leave_out(problem, cell, tree, row)


@compiled()
def _write(cell: Any, n_neurons: int, facets: Any, unsure: Any) -> None:
    """Write the bits of the facets and of the rows that are to be decided exactly."""
    for u in range(facets.shape[0]):
        facets[u] = unsure[u] = np.uint64(0)
    m, n_sides = cell.at[N_ROWS], 2 * cell.basis.shape[0] if cell.at[IS_BOX] else 0
    for number in range(m + n_sides):
        row = number if number < m else m - 1 - number
        known = cell.known[_place(row, cell.owner.shape[0])]
        bit = cell.owner[row] if number < m else n_neurons + number - m
        if known == FACET:
            set_bit(facets, bit, np.int64(1))
        elif known in (UNKNOWN, TOUCHING, DOUBTFUL):
            set_bit(unsure, bit, np.int64(1))

"""The compiled search of the simplex engine: cells by their rows, a vertex and a point, every decision proven.

Everything is homogeneous: a point x is X = (x, 1) times a positive factor, a row r means r . X > 0, and a cell is the
pointed cone of its rows in D = d + 1 dimensions, looked at where h . X = 1. In a box h is the last coordinate, else
h is a positive combination of D independent rows of the cell. Either way |X_k| <= U_k is known for all of the cell.

State of a cell. A vertex is given by d tight rows (`basis`) and the inverse T of the matrix of these rows and h: T[k],
k < d, is the edge on which only row k of the basis becomes slack, T[d] the vertex. P = (x, 1) is a float64 point proven
strictly inside. Offsets of about 1e-11 are added to the slacks of the simplex method, so that no two of its vertices
coincide; they move vertices, not edges, and no proof sees them.

Deciding a neuron. Its sign at P proves one side. For the other, a row g with g . P > 0 is minimised from the vertex at
hand. If a vertex W beyond the hyperplane is met, the mean Q of W and P (weighted such that half of g . W is left) is
checked against all rows: that proves the other side. Otherwise there are multipliers y >= 0,

    g = sum y_k r_k + c h + rho,   g . X >= c - sum |rho_k| U_k - errors,

which proves the hyperplane passes by if the right side is positive. On unbounded domains c is often exactly 0: rows of
a layer lie in the space V spanned by the last unit vector and the rows of its sources' neurons with a slope, and V is
orthogonal to rays of the cell. If as many rows of the basis are known to lie in V as V can have dimensions, they span
it, the other multipliers are 0 exactly, and bounds on the error of y prove these positive. What is certain in none of
these ways is handed to the caller, who decides it exactly.

Facets. A row defines one iff the cell without it has points beyond it. One such point, certainly inside all other
rows, proves that; multipliers as above prove the contrary, as a row that is positive on the closed cell never bounds
it, and prove it for all cells that share the rows with multipliers. Each row is minimised in turn. Close to every
vertex on the way there are points beyond any single row of the basis, unless the vertex is degenerate. What is left, as
rows that touch the cell in less than a facet, is minimised over the cell without that row; there the last rows come
first, so that of coincident rows the first one stays. What is certain in none of these ways is decided exactly, too.

Frames. The search is depth first. The cell at hand lives in `Cell`; a frame of `Tree` keeps what the other side of a
branching needs. Rows of cuts lie contiguously in the order of the path, twice: by row and by component.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.compiled import compiled, uniform
from tropnet.enumeration.composition import PENDING, complete_layer, enter_layer

# What `search` returns: LOST if there is no vertex to start from.
DONE, FULL, QUERY, LOST = 0, 1, 2, 3
# Replies to a query, for each side.
EMPTY, OPEN, TAKEN = 0, 1, 2
FREE = 2

_SETTLED, _CUT, _UNSURE, _ON_WITNESS = 0, 1, 2, 3
# What is known of a row: that of infinity is no candidate.
_UNKNOWN, _FACET, _IMPLIED, _TOUCHING, _DOUBTFUL, _NO_ROW = 0, 1, 2, 3, 4, 5
_NONE = -(1 << 40)
NEVER = 1 << 40
_BIG = 1e300
_MAX_PIVOTS = 60
_REFACTOR = 40
_POOR = 1e-6
_STRIDE = 0.5
_NEAR = 1e-11
_FLAT = 1e-12


# Places of `Cell.at`.
PHASE, LAYER, PLACE, N_ROWS, N_FRAMES, HAS_VERTEX, HAS_SLACKS, N_OUT, N_COUNTED = range(9)
CROSSING, SIGN, NEURON, AGE, DECISIONS, BRANCHINGS, PIVOTS, IS_BOX, RECENTRED, DEPTH, N_SAME = range(9, 20)
ENTERING, DECIDING, ANSWERED, LEAVING = range(4)
# Vectors of a cell.
P, Q, Y, G, A, H, U, W, ANSWERS = 0, 1, 2, 3, 4, 5, 6, 7, 8
# Numbers of a cell.
H_NORM, H_ERROR, U_MAX, P_MAX, Q_MAX, G_NORM, G_ERROR, ROUNDING, SHARE, FRACTION, QUALITY, REACHED, WEIGHT = range(13)
# About each row.
NORM, ERROR, OFFSET, SLACK, RATE, VALUE = range(6)
# About each coordinate of a box.
LOW, HIGH, LOW_OFFSET, HIGH_OFFSET, LOW_SLACK, HIGH_SLACK = range(6)


class Cell(NamedTuple):
    """The cell at hand. Tight rows are row numbers, or -1 - 2 k and -2 - 2 k: the sides of coordinate k of a box."""

    at: NDArray[np.int64]  # places as above
    numbers: NDArray[np.float64]
    vectors: NDArray[np.float64]  # (10, D)
    T: NDArray[np.float64]  # (D, D)
    basis: NDArray[np.int64]  # (d,)
    rows: NDArray[np.float64]  # (M, D): domain (and infinity), then cuts, oriented and scaled by powers of two
    columns: NDArray[np.float64]  # (D, M), the same
    about: NDArray[np.float64]  # (6, M)
    box: NDArray[np.float64]  # (6, d)
    owner: NDArray[np.int64]  # (M,): a neuron, -1 for infinity, -2 - i for row i of the domain
    work: NDArray[np.float64]  # (D, 2 D)
    known: NDArray[np.uint8]  # (M + 2 d,): what is known of rows, then of the sides of a box, as facets
    implied_by: NDArray[np.int64]  # (M + 2 d,): how many of the first rows imply a row (or side)
    table: NDArray[np.float64]  # (D + 2, M + 2 d): of rows, then of sides, the rates along edges; slacks; scratch twice
    spare: NDArray[np.float64]  # (D, D)
    spare_basis: NDArray[np.int64]  # (d,)


class Tree(NamedTuple):
    """The path to the cell at hand and the sides left for later."""

    bits: NDArray[np.uint64]
    cuts: NDArray[np.uint64]
    state: NDArray[np.uint8]  # by neuron, for `enter_layer`
    forced: NDArray[np.uint8]  # by neuron: a bit or FREE
    pending: NDArray[np.int64]  # (L, widest)
    n_pending: NDArray[np.int64]  # (L,)
    n_active: NDArray[np.int64]  # (L,) neurons with a slope
    layer_of: NDArray[np.int64]  # by neuron
    levels: NDArray[np.uint8]  # (L, levels, L): 1 where neurons with a slope lie in V, 2 where all do
    n_levels: NDArray[np.int64]  # (L,)
    offsets: NDArray[np.float64]  # by neuron
    replies: NDArray[np.int64]  # (2,)
    frame_at: NDArray[np.int64]  # (F, 7): layer, place, rows, bit, has vertex, poor, depth
    frame_share: NDArray[np.float64]
    frame_offset: NDArray[np.float64]
    frame_inverse: NDArray[np.float64]  # (F, D, D)
    frame_basis: NDArray[np.int64]
    frame_point: NDArray[np.float64]
    frame_bits: NDArray[np.uint64]
    frame_cuts: NDArray[np.uint64]
    frame_weight: NDArray[np.float64]
    keep: NDArray[np.float64]  # by depth: the probability to keep a node; empty to keep all
    random: NDArray[np.uint64]  # (1,)
    nodes: NDArray[np.float64]  # by depth: weighted number of nodes
    leaves: NDArray[np.float64]  # (1,) weighted number of leaves


# --- rows and points


@compiled(inline=True, reorder=True)
def _set_bit(words: Any, j: int, bit: int) -> None:
    one = np.uint64(1) << np.uint64(j & 63)
    if bit:
        words[j >> 6] |= one
    else:
        words[j >> 6] &= ~one


@compiled(inline=True, reorder=True)
def _load(problem: Any, rows: Any, cell: Any, layer: int, i: int) -> None:
    """Put row i of a layer into G, scaled by a power of two."""
    j = problem.first_neuron[layer] + i
    D = cell.T.shape[0]
    norm, error = rows.norm[j], rows.error[j]
    scale = 1.0
    if 0.0 < norm < np.inf:
        scale = math.ldexp(1.0, -max(min(math.frexp(norm)[1], 1000), -1000))
    at, width = problem.rows_at[layer] + i, problem.widths[layer]
    for k in range(D):
        cell.vectors[G, k] = rows.done[at + k * width] * scale
    cell.numbers[G_NORM] = norm * scale
    # Room for what the scaling loses to underflow.
    cell.numbers[G_ERROR] = error * scale + 1e-300


@compiled(inline=True, reorder=True)
def _push(cell: Any, sign: float, offset: float, owner: int) -> None:
    """Add sign * G to the rows of the cell."""
    m = cell.at[N_ROWS]
    for k in range(cell.T.shape[0]):
        value = sign * cell.vectors[G, k]
        cell.rows[m, k] = value
        cell.columns[k, m] = value
    norm = cell.numbers[G_NORM]
    cell.about[NORM, m], cell.about[ERROR, m] = norm, cell.numbers[G_ERROR]
    cell.about[OFFSET, m] = offset
    cell.owner[m] = owner
    cell.at[N_ROWS] = m + 1


@compiled(inline=True, reorder=True)
def _find_values(columns: Any, X: Any, out: Any) -> None:
    """Compute the values of all rows at X. Slices, as a loop over one vectorises; two columns at a time."""
    D, m = X.shape[0], out.shape[0]
    column, x = columns[0, :m], X[0]
    other, y = columns[1, :m], X[1]
    for i in range(m):
        out[i] = column[i] * x + other[i] * y
    k = 2
    while k + 2 <= D:
        column, x = columns[k, :m], X[k]
        other, y = columns[k + 1, :m], X[k + 1]
        for i in range(m):
            out[i] += column[i] * x + other[i] * y
        k += 2
    if k < D:
        column, x = columns[k, :m], X[k]
        for i in range(m):
            out[i] += column[i] * x


@compiled(inline=True, reorder=True)
def _is_inside(cell: Any) -> bool:
    """Return whether Q = (x, 1) is certainly strictly inside all rows; set Q_MAX and QUALITY."""
    D, m = cell.T.shape[0], cell.at[N_ROWS]
    vectors, about, box = cell.vectors, cell.about, cell.box
    largest = 1.0
    for k in range(D - 1):
        x = abs(vectors[Q, k])
        # Not a number fails, too.
        if not x < _BIG:
            return False
        largest = max(largest, x)
    quality = np.inf
    if cell.at[IS_BOX]:
        for k in range(D - 1):
            slack = min(vectors[Q, k] - box[LOW, k], box[HIGH, k] - vectors[Q, k])
            quality = min(quality, slack / (box[HIGH, k] - box[LOW, k]))
        if not quality > 0.0:
            return False
    value, norm, error = about[VALUE, :m], about[NORM, :m], about[ERROR, :m]
    _find_values(cell.columns, vectors[Q], value)
    worst = np.inf
    rounding = cell.numbers[ROUNDING]
    n_unsure = 0
    for i in range(m):
        slack = value[i] - (error[i] + rounding * norm[i]) * largest
        n_unsure += 0 if slack > 0.0 else 1
        worst = min(worst, slack / norm[i])
    cell.numbers[Q_MAX] = largest
    cell.numbers[QUALITY] = min(quality, worst / largest)
    return n_unsure == 0


@compiled(inline=True, reorder=True)
def _value(vectors: Any, point: int) -> float:
    z, g, X = 0.0, vectors[G], vectors[point]
    for k in range(g.shape[0]):
        z += g[k] * X[k]
    return z


@compiled(inline=True, reorder=True)
def _take_q(cell: Any) -> None:
    for k in range(cell.T.shape[0]):
        cell.vectors[P, k] = cell.vectors[Q, k]
    cell.numbers[P_MAX] = cell.numbers[Q_MAX]


@compiled(inline=True, reorder=True)
def _normalise_q(cell: Any) -> bool:
    """Divide Q by its last coordinate; False if that is not positive."""
    d = cell.T.shape[0] - 1
    last = cell.vectors[Q, d]
    if not last > 1e-250:
        return False
    if last != 1.0:
        for k in range(d):
            cell.vectors[Q, k] /= last
        cell.vectors[Q, d] = 1.0
    return True


@compiled(inline=True, reorder=True)
def _reaches_beyond(cell: Any) -> bool:
    """Return whether a mean Q of W and P is certainly inside the cell and beyond G."""
    D = cell.T.shape[0]
    vectors, numbers = cell.vectors, cell.numbers
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
    if not _normalise_q(cell):
        return False
    if not _is_inside(cell):
        return False
    return bool(
        -_value(cell.vectors, np.int64(Q)) > (numbers[G_ERROR] + numbers[ROUNDING] * numbers[G_NORM]) * numbers[Q_MAX]
    )


# --- the simplex method


@compiled(reorder=True)
def _find_slacks(cell: Any) -> None:
    """Compute the slacks at the vertex; those of the basis are out of reach."""
    D, m = cell.T.shape[0], cell.at[N_ROWS]
    about, box = cell.about, cell.box
    slack, offset = about[SLACK, :m], about[OFFSET, :m]
    _find_values(cell.columns, cell.T[D - 1], slack)
    for i in range(m):
        slack[i] += offset[i]
    if cell.at[IS_BOX]:
        for k in range(D - 1):
            box[LOW_SLACK, k] = cell.T[D - 1, k] - box[LOW, k] + box[LOW_OFFSET, k]
            box[HIGH_SLACK, k] = box[HIGH, k] - cell.T[D - 1, k] + box[HIGH_OFFSET, k]
    for k in range(D - 1):
        _set_slack(cell.about, cell.box, cell.basis[k], _BIG)
    cell.at[HAS_SLACKS] = 1


@compiled(inline=True, reorder=True)
def _set_slack(about: Any, box: Any, row: int, slack: float) -> None:
    if row >= 0:
        about[SLACK, row] = slack
    elif row != _NONE:
        side = -1 - row
        box[LOW_SLACK + (side & 1), side >> 1] = slack


@compiled(reorder=True)
def _ratio(edge: Any, columns: Any, about: Any, box: Any, m: int, is_box: bool) -> tuple[float, int]:
    """Return how far an edge goes, and the row that stops it; afterwards `rate` of the rows is along the edge."""
    D = edge.shape[0]
    rates, slacks = about[RATE, :m], about[SLACK, :m]
    length, row = _BIG, _NONE
    largest = 0.0
    for j in range(D):
        largest = max(largest, abs(edge[j]))
    tiny = 1e-12 * largest
    _find_values(columns, edge, rates)
    for i in range(m):
        rate = -rates[i]
        if rate > tiny and slacks[i] < length * rate:
            length, row = max(slacks[i], 0.0) / rate, i
    if is_box:
        low, high = box[LOW_SLACK], box[HIGH_SLACK]
        for j in range(D - 1):
            rate = edge[j]
            if rate < -tiny:
                if low[j] < -length * rate:
                    length, row = max(low[j], 0.0) / -rate, -1 - 2 * j
            elif rate > tiny and high[j] < length * rate:
                length, row = max(high[j], 0.0) / rate, -2 - 2 * j
    return length, row


@compiled(reorder=True)
def _pivot(cell: Any, k: int, row: int, length: float) -> None:
    """Move along edge k by `length` to `row`, after `_ratio`; T, prices Y and slacks follow."""
    D, m = cell.T.shape[0], cell.at[N_ROWS]
    T, about, box, vectors = cell.T, cell.about, cell.box, cell.vectors
    slacks, rates, edge = about[SLACK, :m], about[RATE, :m], T[k]
    for i in range(m):
        slacks[i] += length * rates[i]
    if cell.at[IS_BOX]:
        low, high = box[LOW_SLACK], box[HIGH_SLACK]
        for j in range(D - 1):
            low[j] += length * edge[j]
            high[j] -= length * edge[j]
    _set_slack(cell.about, cell.box, cell.basis[k], length)
    _set_slack(cell.about, cell.box, row, _BIG)
    if row >= 0:
        entering = cell.rows[row]
        for j in range(D):
            a, line = 0.0, T[j]
            for u in range(D):
                a += entering[u] * line[u]
            vectors[A, j] = a
        vectors[A, D - 1] += about[OFFSET, row]
    else:
        side = -1 - row
        c = side >> 1
        if side & 1:
            for j in range(D - 1):
                vectors[A, j] = -T[j, c]
            vectors[A, D - 1] = box[HIGH, c] - T[D - 1, c] + box[HIGH_OFFSET, c]
        else:
            for j in range(D - 1):
                vectors[A, j] = T[j, c]
            vectors[A, D - 1] = T[D - 1, c] - box[LOW, c] + box[LOW_OFFSET, c]
    cell.basis[k] = row
    scale = 1.0 / vectors[A, k]
    for u in range(D):
        edge[u] *= scale
    vectors[Y, k] *= scale
    price = vectors[Y, k]
    for j in range(D):
        a = vectors[A, j]
        if j != k and a != 0.0:
            line = T[j]
            for u in range(D):
                line[u] -= a * edge[u]
            vectors[Y, j] -= a * price
    cell.at[PIVOTS] += 1
    cell.at[AGE] += 1


@compiled(inline=True, reorder=True)
def _find_prices(vectors: Any, T: Any) -> None:
    """Compute Y = G T."""
    D = T.shape[0]
    g, prices = vectors[G], vectors[Y]
    for k in range(D):
        y, edge = 0.0, T[k]
        for j in range(D):
            y += g[j] * edge[j]
        prices[k] = y


@compiled(reorder=True)
def _basis_row(cell: Any, k: int, out: Any) -> float:
    """Copy row k of the basis into out[:D]; return its offset."""
    D = cell.T.shape[0]
    row = cell.basis[k]
    if row >= 0:
        for j in range(D):
            out[j] = cell.rows[row, j]
        return float(cell.about[OFFSET, row])
    side = -1 - row
    c, upper = side >> 1, side & 1
    for j in range(D):
        out[j] = 0.0
    out[c] = -1.0 if upper else 1.0
    out[D - 1] = cell.box[HIGH, c] if upper else -cell.box[LOW, c]
    return float(cell.box[LOW_OFFSET + upper, c])


@compiled(reorder=True)
def _refactor(cell: Any) -> bool:
    """Compute T anew from the basis; False if the basis is singular (T is spoilt then)."""
    D = cell.T.shape[0]
    work, T = cell.work, cell.T
    for k in range(D):
        for j in range(2 * D):
            work[k, j] = 0.0
        if k < D - 1:
            _basis_row(cell, k, work[k])
        else:
            for j in range(D):
                work[k, j] = cell.vectors[H, j]
        work[k, D + k] = 1.0
    for k in range(D):
        best = k
        for i in range(k + 1, D):
            if abs(work[i, k]) > abs(work[best, k]):
                best = i
        if not abs(work[best, k]) > 1e-200:
            return False
        if best != k:
            for j in range(2 * D):
                work[k, j], work[best, j] = work[best, j], work[k, j]
        scale = 1.0 / work[k, k]
        for j in range(k, 2 * D):
            work[k, j] *= scale
        for i in range(D):
            factor = work[i, k]
            if i != k and factor != 0.0:
                for j in range(k, 2 * D):
                    work[i, j] -= factor * work[k, j]
    for k in range(D):
        for j in range(D):
            T[k, j] = work[j, D + k]
    for k in range(D - 1):
        offset = _basis_row(cell, k, work[0])
        for j in range(D):
            T[D - 1, j] -= offset * T[k, j]
    if cell.at[IS_BOX]:
        for k in range(D - 1):
            T[k, D - 1] = 0.0
        T[D - 1, D - 1] = 1.0
    cell.at[HAS_SLACKS] = 0
    cell.at[AGE] = 0
    return True


@compiled(reorder=True)
def _find_vertex(cell: Any) -> bool:
    """Go from P to a vertex: along each direction in turn to the nearer side. False if there is none."""
    D = cell.T.shape[0]
    T, vectors = cell.T, cell.vectors
    main, scale = 0, 0.0
    for j in range(D):
        if abs(vectors[H, j]) > abs(vectors[H, main]):
            main = j
        scale += vectors[H, j] * vectors[P, j]
    if not scale > 0.0:
        return False
    k = 0
    for j in range(D):
        T[D - 1, j] = vectors[P, j] / scale
        vectors[Y, j] = 0.0
        if j != main:
            for u in range(D):
                T[k, u] = 0.0
            T[k, j] = 1.0
            T[k, main] = -vectors[H, j] / vectors[H, main]
            k += 1
    for k in range(D - 1):
        cell.basis[k] = _NONE
    _find_slacks(cell)
    for k in range(D - 1):
        forth, row = _ratio(cell.T[k], cell.columns, cell.about, cell.box, cell.at[N_ROWS], cell.at[IS_BOX])
        for u in range(D):
            T[k, u] = -T[k, u]
        back, other = _ratio(cell.T[k], cell.columns, cell.about, cell.box, cell.at[N_ROWS], cell.at[IS_BOX])
        if row != _NONE and forth < back:
            for u in range(D):
                T[k, u] = -T[k, u]
            forth, row = _ratio(cell.T[k], cell.columns, cell.about, cell.box, cell.at[N_ROWS], cell.at[IS_BOX])
            _pivot(cell, np.int64(k), row, forth)
        elif other != _NONE:
            _pivot(cell, np.int64(k), other, back)
        else:
            return False
    cell.at[HAS_VERTEX] = 1
    return _refactor(cell)


@compiled(reorder=True)
def _recentre(cell: Any) -> None:
    """Move P to the mean of the vertex and its neighbours if that is farther from all sides."""
    D = cell.T.shape[0]
    vectors = cell.vectors
    for j in range(D):
        vectors[Q, j] = vectors[P, j]
    _is_inside(cell)
    before = cell.numbers[QUALITY]
    if not cell.at[HAS_SLACKS]:
        _find_slacks(cell)
    for j in range(D):
        vectors[Q, j] = cell.T[D - 1, j]
    for k in range(D - 1):
        length, row = _ratio(cell.T[k], cell.columns, cell.about, cell.box, cell.at[N_ROWS], cell.at[IS_BOX])
        if row != _NONE:
            for j in range(D):
                vectors[Q, j] += length / D * cell.T[k, j]
    cell.at[RECENTRED] += 1
    if _normalise_q(cell) and _is_inside(cell) and cell.numbers[QUALITY] > before:
        _take_q(cell)


@compiled(reorder=True)
def _leave_hyperplane(cell: Any) -> bool:
    """Move P within the cell to where the sign of G is certain."""
    D, m = cell.T.shape[0], cell.at[N_ROWS]
    vectors, numbers, about = cell.vectors, cell.numbers, cell.about
    _find_prices(cell.vectors, cell.T)
    best = 0
    for k in range(D - 1):
        if abs(vectors[Y, k]) > abs(vectors[Y, best]):
            best = k
    for j in range(D):
        vectors[Q, j] = vectors[P, j]
        vectors[W, j] = cell.T[best, j]
    _is_inside(cell)
    length = _BIG
    for i in range(m):
        rate = 0.0
        for j in range(D):
            rate -= cell.rows[i, j] * vectors[W, j]
        if rate > 0.0:
            length = min(length, about[VALUE, i] / rate)
    if cell.at[IS_BOX]:
        for j in range(D - 1):
            x = vectors[W, j]
            room = cell.box[HIGH, j] - vectors[P, j] if x > 0.0 else vectors[P, j] - cell.box[LOW, j]
            if x != 0.0:
                length = min(length, room / abs(x))
    if not 0.0 < length < _BIG:
        return False
    for j in range(D):
        vectors[Q, j] = vectors[P, j] + _STRIDE * length * vectors[W, j]
    if not _normalise_q(cell) or not _is_inside(cell):
        return False
    if (
        abs(_value(cell.vectors, np.int64(Q)))
        > (numbers[G_ERROR] + numbers[ROUNDING] * numbers[G_NORM]) * numbers[Q_MAX]
    ):
        _take_q(cell)
        return True
    return False


@compiled(reorder=True)
def _passes_by(vectors: Any, numbers: Any, about: Any, rows: Any, box: Any, basis: Any) -> bool:
    """Return whether the multipliers Y prove that G is positive on the cell."""
    D = vectors.shape[1]
    c = vectors[Y, D - 1]
    size, wrong = numbers[G_NORM], numbers[G_ERROR]
    rest, g, h, reach = vectors[W], vectors[G], vectors[H], vectors[U]
    for j in range(D):
        rest[j] = g[j]
    for k in range(D - 1):
        y = vectors[Y, k]
        if y <= 0.0:
            continue
        row = basis[k]
        if row >= 0:
            line = rows[row]
            for j in range(D):
                rest[j] -= y * line[j]
            size += y * about[NORM, row]
            wrong += y * about[ERROR, row]
            c += y * about[OFFSET, row]
        else:
            side = -1 - row
            u, upper = side >> 1, side & 1
            bound = box[LOW + upper, u]
            vectors[W, u] += y if upper else -y
            vectors[W, D - 1] -= y * bound if upper else -y * bound
            size += y * (1.0 + abs(bound))
            c += y * box[LOW_OFFSET + upper, u]
    left = 0.0
    for j in range(D):
        left += abs(rest[j] - c * h[j]) * reach[j]
    size += abs(c) * numbers[H_NORM]
    wrong += abs(c) * numbers[H_ERROR]
    left += numbers[U_MAX] * (wrong + numbers[ROUNDING] * size)
    return bool(c > left * 1.000001)


@compiled(reorder=True)
def _lies_in_cone(problem: Any, cell: Any, tree: Any, layer: int, owner: int) -> bool:
    """Return whether G is certainly a non-negative combination of the rows of the basis that lie in a space V.

    V is that of a layer, at a level in which G, the row of this owner, is known to lie, too; -1 if it lies in all.
    """
    D = cell.T.shape[0]
    vectors, numbers, about, T = cell.vectors, cell.numbers, cell.about, cell.T
    n_levels = tree.n_levels[layer]
    level, least = -1, D
    # V of a level contains those of the levels before it.
    for t in range(n_levels - 1, -1, -1):
        dimension, members = 1, 0
        for source in range(layer):
            if tree.levels[layer, t, source] == 1:
                dimension += tree.n_active[source]
        least = min(least, dimension)
        for k in range(D - 1):
            members += _is_member(problem, tree, layer, np.int64(t), cell.owner[cell.basis[k]])
        if members == least and _is_member(problem, tree, layer, np.int64(t), owner):
            level = t
    if level < 0:
        return False
    norm = 0.0
    for j in range(D):
        total = 0.0
        for k in range(D):
            total += abs(T[k, j])
        norm = max(norm, total)
    # How far T is from the inverse, as a sum over each row of I - M T; and G - Y M.
    defect = 0.0
    c = vectors[Y, D - 1]
    size, wrong = numbers[G_NORM], numbers[G_ERROR]
    for j in range(D):
        vectors[W, j] = vectors[G, j]
    for k in range(D):
        row = cell.basis[k] if k < D - 1 else _NONE
        total = 0.0
        for i in range(D):
            entry = 0.0
            for j in range(D):
                entry += (cell.rows[row, j] if k < D - 1 else vectors[H, j]) * T[i, j]
            total += abs(entry - (1.0 if i == k else 0.0))
        if k < D - 1:
            y = vectors[Y, k]
            for j in range(D):
                vectors[W, j] -= y * cell.rows[row, j]
            c += y * about[OFFSET, row]
            size += abs(y) * about[NORM, row]
            wrong += abs(y) * about[ERROR, row]
            total += (about[ERROR, row] + numbers[ROUNDING] * about[NORM, row]) * norm
        else:
            total += numbers[ROUNDING] * numbers[H_NORM] * norm
        defect = max(defect, total)
    if not defect < 0.5:
        return False
    wrong += numbers[ROUNDING] * (size + abs(c) * numbers[H_NORM])
    for j in range(D):
        wrong += abs(vectors[W, j] - c * vectors[H, j])
    bound = 1.000001 * wrong * norm / (1.0 - defect)
    for k in range(D - 1):
        if not vectors[Y, k] > bound and _is_member(problem, tree, layer, level, cell.owner[cell.basis[k]]):
            return False
    return True


@compiled(reorder=True)
def _is_member(problem: Any, tree: Any, layer: int, level: int, owner: int) -> int:
    """Return 1 if the row of this owner is known to lie in the space V of a layer, at a level."""
    if owner < 0:
        return 1 if owner == -1 else 0
    kind = tree.levels[layer, level, tree.layer_of[owner]]
    if kind == 1:
        bit = (tree.bits[owner >> 6] >> np.uint64(owner & 63)) & np.uint64(1)
        return 1 if problem.slopes[owner, np.int64(bit)] != 0.0 else 0
    return 1 if kind == 2 else 0


@compiled(reorder=True)
def _decide(problem: Any, cell: Any, tree: Any, layer: int, prove: bool) -> int:
    """Decide the neuron whose row is in G; afterwards G is positive at P and `sign` tells its bit there.

    Without `prove`, a cut is only proposed. After a proof, Q is beyond, `crossing` an edge to the other side or -1.
    """
    at, vectors, numbers, T = cell.at, cell.vectors, cell.numbers, cell.T
    D = T.shape[0]
    at[DECISIONS] += 1
    bound = (numbers[G_ERROR] + numbers[ROUNDING] * numbers[G_NORM]) * numbers[P_MAX]
    z = _value(vectors, np.int64(P))
    at[SIGN] = 0
    if not abs(z) > bound:
        return _ON_WITNESS
    at[SIGN] = 1 if z > 0.0 else -1
    if z < 0.0:
        for j in range(D):
            vectors[G, j] = -vectors[G, j]
    if at[AGE] > _REFACTOR and not _refactor(cell):
        at[HAS_VERTEX] = 0
        return _UNSURE
    _find_prices(cell.vectors, cell.T)
    tiny = 4e-16 * numbers[G_NORM] * numbers[U_MAX]
    for attempt in range(_MAX_PIVOTS):
        value = vectors[Y, D - 1]
        if value < -tiny:
            if not prove:
                return _CUT
            for j in range(D):
                vectors[W, j] = T[D - 1, j]
            if _reaches_beyond(cell):
                at[CROSSING] = -1
                return _CUT
        k = 0
        for j in range(1, D - 1):
            if vectors[Y, j] < vectors[Y, k]:
                k = j
        if not vectors[Y, k] < -1e-12 * numbers[G_NORM]:
            if _passes_by(cell.vectors, cell.numbers, cell.about, cell.rows, cell.box, cell.basis):
                return _SETTLED
            if not at[IS_BOX] and _lies_in_cone(problem, cell, tree, layer, -1):
                return _SETTLED
            if at[AGE] == 0 or attempt == _MAX_PIVOTS - 1:
                return _UNSURE
            if not _refactor(cell):
                at[HAS_VERTEX] = 0
                return _UNSURE
            _find_prices(cell.vectors, cell.T)
            continue
        if not at[HAS_SLACKS]:
            _find_slacks(cell)
        length, row = _ratio(cell.T[k], cell.columns, cell.about, cell.box, cell.at[N_ROWS], cell.at[IS_BOX])
        if row == _NONE:
            return _UNSURE
        if value + length * vectors[Y, k] < -tiny:
            if not prove:
                return _CUT
            for j in range(D):
                vectors[W, j] = T[D - 1, j] + length * T[k, j]
            if _reaches_beyond(cell):
                at[CROSSING] = k if value > -_NEAR * numbers[G_NORM] * numbers[U_MAX] else -1
                numbers[REACHED] = value + length * vectors[Y, k]
                return _CUT
        _pivot(cell, np.int64(k), row, length)
    return _UNSURE


@compiled(inline=True, reorder=True)
def _cross(cell: Any) -> None:
    """From a vertex beyond G, go to one with an edge that crosses to the side of P; set `crossing`, -1 for failure."""
    vectors = cell.vectors
    D = cell.T.shape[0]
    cell.at[CROSSING] = -1
    for _ in range(_MAX_PIVOTS):
        k = 0
        for j in range(1, D - 1):
            if vectors[Y, j] > vectors[Y, k]:
                k = j
        if not vectors[Y, k] > 0.0:
            return
        if not cell.at[HAS_SLACKS]:
            _find_slacks(cell)
        length, row = _ratio(cell.T[k], cell.columns, cell.about, cell.box, cell.at[N_ROWS], cell.at[IS_BOX])
        if row == _NONE:
            return
        reached = vectors[Y, D - 1] + length * vectors[Y, k]
        if reached > 0.0:
            cell.at[CROSSING] = k
            cell.numbers[REACHED] = reached
            return
        _pivot(cell, np.int64(k), row, length)


@compiled(inline=True, reorder=True)
def _child_vertex(cell: Any, k: int, sign: float, offset: float, out: Any) -> None:
    """Compute the T of the point where edge k meets sign * G, for that row in place of row k of the basis."""
    D = cell.T.shape[0]
    vectors, T = cell.vectors, cell.T
    scale = 1.0 / (sign * vectors[Y, k])
    for u in range(D):
        out[k, u] = T[k, u] * scale
    for j in range(D):
        if j != k:
            a = sign * vectors[Y, j]
            if j == D - 1:
                a += offset
            for u in range(D):
                out[j, u] = T[j, u] - a * out[k, u]


# --- facets


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
        if basis[k] == _NONE:
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
        if cell.known[place] != _UNKNOWN:
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
            cell.known[place] = _FACET


@compiled(reorder=True)
def _is_beyond_alone(cell: Any, own: int) -> bool:
    """Return whether Q is certainly beyond row `own` and inside all others not implied; make its last coordinate 1."""
    D, m = cell.T.shape[0], cell.at[N_ROWS]
    vectors, about, box, known = cell.vectors, cell.about, cell.box, cell.known
    if not _normalise_q(cell):
        return False
    largest = 1.0
    for k in range(D - 1):
        x = vectors[Q, k]
        if not abs(x) < _BIG:
            return False
        largest = max(largest, abs(x))
        if cell.at[IS_BOX]:
            below, above = -1 - 2 * k, -2 - 2 * k
            if own == below:
                if not x < box[LOW, k]:
                    return False
            elif not x > box[LOW, k] and known[_place(below, cell.owner.shape[0])] != _IMPLIED:
                return False
            if own == above:
                if not x > box[HIGH, k]:
                    return False
            elif not x < box[HIGH, k] and known[_place(above, cell.owner.shape[0])] != _IMPLIED:
                return False
    value, norm, error = about[VALUE, :m], about[NORM, :m], about[ERROR, :m]
    _find_values(cell.columns, vectors[Q], value)
    if own >= 0:
        value[own] = -value[own]
    rounding = cell.numbers[ROUNDING]
    for i in range(m):
        if not value[i] > (error[i] + rounding * norm[i]) * largest and known[i] != _IMPLIED:
            return False
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
            cell.known[place] = _IMPLIED
        else:
            cell.implied_by[place] = NEVER
            n_left += cell.known[place] == _UNKNOWN
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
    D, m = cell.T.shape[0], cell.at[N_ROWS]
    T, box = cell.T, cell.box
    for k in range(D):
        line, edge = cell.table[k], T[k]
        _find_values(cell.columns, edge, line[:m])
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
            out[i] += 1.0 if rates[i] < -_FLAT else 0.0


@compiled(inline=True, reorder=True)
def _settle_least(cell: Any, row: int) -> int:
    """Return what is known of a row that is minimal at the vertex."""
    _load_own(cell.vectors[G], cell.numbers, cell.about, cell.rows, cell.box, row)
    _find_prices(cell.vectors, cell.T)
    if not _passes_by(cell.vectors, cell.numbers, cell.about, cell.rows, cell.box, cell.basis):
        return _TOUCHING
    n = 0
    for k in range(cell.basis.shape[0]):
        if cell.vectors[Y, k] > 0.0:
            n = max(n, cell.basis[k] + 1)
    cell.implied_by[_place(row, cell.owner.shape[0])] = n
    return _IMPLIED


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
    for _ in range(n * _MAX_PIVOTS):
        if cell.at[AGE] > _REFACTOR:
            if not _refactor(cell):
                return
            stale = True
        if stale:
            _fill_table(cell)
        if fresh:
            _mark_basis(cell, n)
        stale = fresh = False
        if number < 0 or known[number if number < m else number + shift] != _UNKNOWN:
            number = -1
            _count_descents(table, counts)
            for i in range(n):
                place = i if i < m else i + shift
                if known[place] == _UNKNOWN:
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
        if not table[k, number] < -_FLAT:
            number = -1
            continue
        rates = table[k, :n]
        largest, edge = 0.0, T[k]
        for j in range(D):
            largest = max(largest, abs(edge[j]))
        tiny = -1e-12 * largest
        length, entering = _BIG, -1
        for i in range(n):
            if rates[i] < tiny and slacks[i] < -length * rates[i]:
                length, entering = max(slacks[i], 0.0) / -rates[i], i
        if entering < 0:
            known[place] = _TOUCHING
            continue
        _pivot_table(table, T, k, entering, n)
        cell.basis[k] = entering if entering < m else m - 1 - entering
        cell.at[PIVOTS] += 1
        cell.at[AGE] += 1
        for u in range(D):
            total[u] += T[D - 1, u]
        fresh = known[entering if entering < m else entering + shift] == _UNKNOWN


@compiled(reorder=True)
def _leave_out(problem: Any, cell: Any, tree: Any, own: int, alone: bool) -> int:
    """Return what is known of a row after minimising it over the cell without it.

    `alone` tells that no other row is doubtful. Only then a row may be dropped because it lies in the cone of others,
    of which a coincident one could be dropped later.
    """
    at, vectors, numbers, T = cell.at, cell.vectors, cell.numbers, cell.T
    D = T.shape[0]
    for k in range(D):
        for j in range(D):
            cell.spare[k, j] = T[k, j]
    for k in range(D - 1):
        cell.spare_basis[k] = cell.basis[k]
    _load_own(cell.vectors[G], cell.numbers, cell.about, cell.rows, cell.box, own)
    _find_prices(cell.vectors, cell.T)
    _find_slacks(cell)
    _set_slack(cell.about, cell.box, own, _BIG)
    tiny = 4e-16 * numbers[G_NORM] * numbers[U_MAX]
    forced = -1
    for k in range(D - 1):
        if cell.basis[k] == own:
            forced = k
            cell.basis[k] = _NONE
            vectors[Y, k] = -vectors[Y, k]
            for j in range(D):
                T[k, j] = -T[k, j]
    found = _DOUBTFUL
    for _ in range(_MAX_PIVOTS):
        value, k = vectors[Y, D - 1], 0
        if value < -tiny:
            for j in range(D):
                vectors[W, j] = T[D - 1, j]
            if _is_beyond(cell, own):
                found = _FACET
                break
        for j in range(1, D - 1):
            if vectors[Y, j] < vectors[Y, k]:
                k = j
        if forced >= 0:
            k, forced = forced, -1
        elif not vectors[Y, k] < -1e-12 * numbers[G_NORM]:
            if _passes_by(cell.vectors, cell.numbers, cell.about, cell.rows, cell.box, cell.basis) or (
                alone and _is_structural(problem, cell, tree, own)
            ):
                found = _IMPLIED
                break
            if at[AGE] == 0 or not _refactor(cell):
                break
            _find_prices(cell.vectors, cell.T)
            _find_slacks(cell)
            _set_slack(cell.about, cell.box, own, _BIG)
            continue
        length, row = _ratio(cell.T[k], cell.columns, cell.about, cell.box, cell.at[N_ROWS], cell.at[IS_BOX])
        if row in (_NONE, own):
            for j in range(D):
                vectors[W, j] = T[k, j]
            if _is_beyond(cell, own):
                found = _FACET
            break
        if value + length * vectors[Y, k] < -tiny:
            for j in range(D):
                vectors[W, j] = T[D - 1, j] + length * T[k, j]
            if _is_beyond(cell, own):
                found = _FACET
                break
        _pivot(cell, np.int64(k), row, length)
    if found != _IMPLIED:
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
    """Return whether row `own`, in G, certainly lies in the cone of the basis, and none of that is implied itself."""
    if cell.at[IS_BOX] or cell.owner[own] < 0:
        return False
    for k in range(cell.basis.shape[0]):
        row = cell.basis[k]
        if row < 0 or row == own or cell.known[row] == _IMPLIED:
            return False
    owner = cell.owner[own]
    first = tree.layer_of[owner]
    for layer in range(first, tree.n_levels.shape[0]):
        if _lies_in_cone(problem, cell, tree, layer, -1 if layer == first else owner):
            return True
    return False


@compiled(reorder=True)
def _centre(cell: Any) -> None:
    """Move P towards the vertices met if that is farther from all sides."""
    vectors, scale = cell.vectors, 0.0
    for u in range(cell.T.shape[0]):
        vectors[Q, u] = vectors[P, u]
        scale += vectors[H, u] * vectors[P, u]
    _is_inside(cell)
    before = cell.numbers[QUALITY]
    for u in range(cell.T.shape[0]):
        vectors[Q, u] = vectors[ANSWERS, u] + vectors[P, u] / scale
    if _normalise_q(cell) and _is_inside(cell) and cell.numbers[QUALITY] > before:
        _take_q(cell)


@compiled(reorder=True)
def _find_facets(problem: Any, cell: Any, tree: Any) -> None:
    """Find out in `known` which rows of the cell define facets."""
    at, known = cell.at, cell.known
    m, n_sides = at[N_ROWS], 2 * cell.basis.shape[0] if at[IS_BOX] else 0
    first_side = cell.owner.shape[0]
    for i in range(m):
        known[i] = _NO_ROW if cell.owner[i] == -1 else _UNKNOWN
    for side in range(n_sides):
        known[first_side + side] = _UNKNOWN
    if _recall(cell) == 0:
        return
    if not at[HAS_VERTEX] and not _find_vertex(cell):
        return
    _walk(cell, m + n_sides)
    at[HAS_SLACKS] = 0
    alone, central = True, False
    for number in range(m + n_sides):
        row = m - 1 - number
        place = _place(row, cell.owner.shape[0])
        if known[place] != _UNKNOWN and known[place] != _TOUCHING:
            continue
        if at[AGE] > 0 and not _refactor(cell):
            return
        if not central:
            _centre(cell)
            central = True
        known[place] = _leave_out(problem, cell, tree, row, alone)
        alone = alone and known[place] != _DOUBTFUL


@compiled()
def _write_facets(cell: Any, n_neurons: int, facets: Any, unsure: Any) -> None:
    """Write the bits of the facets and of the rows that are to be decided exactly."""
    for u in range(facets.shape[0]):
        facets[u] = unsure[u] = np.uint64(0)
    m, n_sides = cell.at[N_ROWS], 2 * cell.basis.shape[0] if cell.at[IS_BOX] else 0
    for number in range(m + n_sides):
        row = number if number < m else m - 1 - number
        known = cell.known[_place(row, cell.owner.shape[0])]
        if number >= m:
            bit = n_neurons - 1 - row
        elif cell.owner[row] >= 0:
            bit = cell.owner[row]
        else:
            bit = n_neurons - 2 - cell.owner[row]
        if known == _FACET:
            _set_bit(facets, bit, np.int64(1))
        elif known in (_UNKNOWN, _TOUCHING, _DOUBTFUL):
            _set_bit(unsure, bit, np.int64(1))


# --- the tree


@compiled(reorder=True)
def _enter(problem: Any, rows: Any, cell: Any, tree: Any, layer: int) -> bool:
    """Enter a layer: decide the neurons that do not cut the cell, list the others. False if there is no vertex."""
    first = problem.first_neuron[layer]
    width = problem.widths[layer]
    D = cell.T.shape[0]
    at = cell.at
    n = 0
    for i in range(width):
        j = first + i
        _set_bit(tree.cuts, j, np.int64(0))
        _set_bit(tree.bits, j, np.int64(0))
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
            tree.state[j] = bit
            _set_bit(tree.bits, j, bit)
        elif tree.forced[j] != FREE:
            bit = tree.forced[j]
            _load(problem, rows, cell, layer, i)
            sign = 1.0 if bit else -1.0
            _push(cell, sign, tree.offsets[j] * cell.numbers[G_NORM], j)
            tree.state[j] = bit
            _set_bit(tree.bits, j, bit)
            _set_bit(tree.cuts, j, np.int64(1))
            at[HAS_VERTEX] = 0
    for k in range(D):
        cell.vectors[Q, k] = cell.vectors[P, k]
    if not at[HAS_VERTEX] and not _is_inside(cell):
        return False
    for i in range(width):
        j = first + i
        if tree.state[j] != PENDING:
            continue
        if not at[HAS_VERTEX] and not _find_vertex(cell):
            return False
        _load(problem, rows, cell, layer, i)
        if _decide(problem, cell, tree, layer, np.bool_(False)) == _SETTLED:
            bit = 1 if at[SIGN] > 0 else 0
            tree.state[j] = bit
            _set_bit(tree.bits, j, bit)
        else:
            tree.pending[layer, n] = i
            n += 1
    tree.n_pending[layer] = n
    enter_layer(problem, rows, layer, tree.state, D)
    return True


@compiled(reorder=True)
def _complete(problem: Any, rows: Any, cell: Any, tree: Any, layer: int) -> None:
    complete_layer(problem, rows, layer, tree.pending[layer], tree.n_pending[layer], tree.bits, cell.T.shape[0])
    n = 0
    for j in range(problem.first_neuron[layer], problem.first_neuron[layer + 1]):
        bit = (tree.bits[j >> 6] >> np.uint64(j & 63)) & np.uint64(1)
        if problem.slopes[j, np.int64(bit)] != 0.0:
            n += 1
    tree.n_active[layer] = n


@compiled(inline=True, reorder=True)
def _branch(cell: Any, tree: Any, layer: int, j: int, point: int, later: int, k: int, poor: bool) -> bool:
    """Go on with G > 0 at `point`; leave the other side with `later` as its point in a frame.

    `k` is the crossing edge, or -1 if the vertices are to be found anew; `poor` says that `later` is close to a side.
    False if the tree is only sampled and this side left out.
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
    _set_bit(tree.cuts, j, np.int64(1))
    _set_bit(tree.bits, j, 1 - bit)
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
        _child_vertex(cell, np.int64(k), -1.0, later_offset, tree.frame_inverse[frame])
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
    _set_bit(tree.bits, j, bit)
    _push(cell, 1.0, offset, j)
    _measure(cell)
    at[PLACE] += 1
    if tree.keep.shape[0] == 0:
        return True
    at[DEPTH] += 1
    depth = at[DEPTH]
    tree.nodes[depth] += 2.0 * cell.numbers[WEIGHT]
    cell.numbers[WEIGHT] /= tree.keep[depth]
    tree.frame_at[frame, 6], tree.frame_weight[frame] = depth, cell.numbers[WEIGHT]
    if uniform(tree.random) >= tree.keep[depth]:
        at[N_FRAMES] = frame
    return bool(uniform(tree.random) < tree.keep[depth])


@compiled(inline=True, reorder=True)
def _measure(cell: Any) -> None:
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
    at[AGE] = _REFACTOR // 2
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
    _load(problem, rows, cell, layer, i)
    _push(cell, 1.0 if tree.frame_at[frame, 3] else -1.0, tree.frame_offset[frame], j)
    at[PHASE] = DECIDING
    if tree.frame_at[frame, 5] and at[HAS_VERTEX]:
        _recentre(cell)
    return True


@compiled(reorder=True)
def _answer(cell: Any, tree: Any, layer: int, j: int) -> bool:
    """Go on as the replies say, G being oriented as the neuron's row; False if no side is left."""
    at = cell.at
    off, on = tree.replies[0], tree.replies[1]
    if off == OPEN and on == OPEN:
        at[SIGN] = 1
        return _branch(cell, tree, layer, j, np.int64(ANSWERS + 1), np.int64(ANSWERS), np.int64(-1), np.bool_(False))
    if off != OPEN and on != OPEN:
        return False
    bit = 1 if on == OPEN else 0
    _set_bit(tree.bits, j, bit)
    for u in range(cell.T.shape[0]):
        cell.vectors[P, u] = cell.vectors[ANSWERS + bit, u]
    _measure(cell)
    if off == TAKEN or on == TAKEN:
        cell.numbers[SHARE] *= 0.5
        cell.numbers[FRACTION] += cell.numbers[SHARE]
        _set_bit(tree.cuts, j, np.int64(1))
        _push(cell, 1.0 if bit else -1.0, tree.offsets[j] * cell.numbers[G_NORM], j)
        at[HAS_VERTEX] = 0
    at[PLACE] += 1
    return True


@compiled(entry=True, reorder=True)
def is_usable(problem: Any, rows: Any, cell: Any, point: Any, bit: int) -> bool:
    """Return whether a point (x, 1) is certainly strictly inside the cell, on a side of the neuron that was asked."""
    layer = cell.at[LAYER]
    _load(problem, rows, cell, layer, cell.at[NEURON] - problem.first_neuron[layer])
    for k in range(cell.T.shape[0]):
        cell.vectors[Q, k] = point[k]
    if not _is_inside(cell):
        return False
    z = _value(cell.vectors, np.int64(Q)) if bit else -_value(cell.vectors, np.int64(Q))
    return bool(z > (cell.numbers[G_ERROR] + cell.numbers[ROUNDING] * cell.numbers[G_NORM]) * cell.numbers[Q_MAX])


@compiled(entry=True, reorder=True)
def search(
    problem: Any,
    rows: Any,
    cell: Any,
    tree: Any,
    listing: bool,
    bits: Any,
    cuts: Any,
    points: Any,
    facets: Any,
    unsure: Any,
    steps: int,
) -> int:
    """Search on until the tree is done, the buffers are full (or `steps` are), or an exact decision is needed.

    Regions are listed in `bits`, `cuts`, `points` up to `n_out`, or only counted in `n_counted`. Their facets go to
    `facets`, and to `unsure` the rows to be decided exactly; with None for both nothing of that is even compiled.
    """
    at, numbers, vectors = cell.at, cell.numbers, cell.vectors
    L, D = problem.widths.shape[0], cell.T.shape[0]
    at[N_OUT] = at[N_COUNTED] = 0
    while True:
        layer = at[LAYER]
        if at[PHASE] == LEAVING:
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
                    if facets is not None:
                        _find_facets(problem, cell, tree)
                        _write_facets(cell, tree.layer_of.shape[0], facets[out], unsure[out])
                    at[N_OUT] = out + 1
                else:
                    at[N_COUNTED] += 1
                tree.leaves[0] += numbers[WEIGHT]
                at[PHASE] = LEAVING
                continue
            if not _enter(problem, rows, cell, tree, layer):
                return LOST
            at[PHASE], at[PLACE] = DECIDING, 0
            continue
        if at[PHASE] == DECIDING:
            place = at[PLACE]
            if place == tree.n_pending[layer]:
                if layer < L - 1:
                    _complete(problem, rows, cell, tree, layer)
                at[LAYER] = layer + 1
                at[PHASE] = ENTERING
                continue
            if steps == 0:
                return FULL
            steps -= 1
            i = tree.pending[layer, place]
            j = problem.first_neuron[layer] + i
            if not at[HAS_VERTEX] and not _find_vertex(cell):
                return LOST
            _load(problem, rows, cell, layer, i)
            found = _decide(problem, cell, tree, layer, np.bool_(True))
            if found == _ON_WITNESS and _leave_hyperplane(cell):
                found = _decide(problem, cell, tree, layer, np.bool_(True))
            if found == _UNSURE and at[HAS_VERTEX]:
                _recentre(cell)
                _load(problem, rows, cell, layer, i)
                found = _decide(problem, cell, tree, layer, np.bool_(True))
            if found == _SETTLED:
                _set_bit(tree.bits, j, np.int64(at[SIGN] > 0))
                at[PLACE] = place + 1
            elif found == _CUT:
                if not listing and layer == L - 1 and place == tree.n_pending[layer] - 1:
                    at[N_COUNTED] += 2
                    at[BRANCHINGS] += 1
                    if tree.keep.shape[0]:
                        tree.nodes[at[DEPTH] + 1] += 2.0 * numbers[WEIGHT]
                        tree.leaves[0] += 2.0 * numbers[WEIGHT]
                    at[PHASE] = LEAVING
                    continue
                if at[CROSSING] < 0:
                    _cross(cell)
                if not _branch(cell, tree, layer, j, np.int64(P), np.int64(Q), at[CROSSING], numbers[QUALITY] < _POOR):
                    at[PHASE] = LEAVING
            else:
                at[NEURON] = j
                at[PHASE] = ANSWERED
                return QUERY
            continue
        # A query was answered.
        i = tree.pending[layer, at[PLACE]]
        _load(problem, rows, cell, layer, i)
        at[PHASE] = DECIDING if _answer(cell, tree, layer, problem.first_neuron[layer] + i) else LEAVING

"""The cells of the simplex engine: their rows, a vertex and a point, and decisions that are proven; compiled.

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
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.kernels import compiled
from tropnet.regions.row_index import INFINITY

SETTLED, CUT, UNSURE, ON_WITNESS = 0, 1, 2, 3
# What is known of a row: that of infinity is no candidate.
UNKNOWN, FACET, IMPLIED, TOUCHING, DOUBTFUL, NO_ROW = 0, 1, 2, 3, 4, 5
# Row numbers that no row has.
NONE = -(1 << 40)
NEVER = 1 << 40

# Farther than any vertex: slacks of tight rows, and the length of an edge that nothing stops.
BIG = 1e300
# More pivots than decisions take, hundreds of times over: what still goes on is circling, and left to exact arithmetic.
MAX_PIVOTS = 400
# After so many pivots the inverse is computed anew; its error grows by about a digit in forty.
REFACTOR = 40
# A point that is closer to a side than this (relative to its size) is moved inwards when its turn comes.
POOR = 1e-6
# From a point on a hyperplane, how far to go towards where the cell ends: half way is farthest from both.
_STRIDE = 0.5
# How close to 0 a pre-activation at a vertex may be for its edge still to count as crossing: offsets move it so much.
_NEAR = 1e-11
# A rate (relative to the largest coordinate of the edge) or a multiplier (relative to the row) below this is taken for
# 0: it is rounding, and a pivot on it would lose the inverse. What follows from that is only a proposal.
FLAT = 1e-12
# Two units in the last place: a value below this, relative to its terms, is not worth a proof.
TINY = 4e-16
# Bounds are computed in float64 themselves; this is more than the few operations of one can lose.
_BOUNDS_ROUND = 1.000001
# Added to the error of a row, so that what underflows is within it.
UNDERFLOW = 1e-300


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
    owner: NDArray[np.int64]  # (M,): the place of each row (`RowIndex`), INFINITY included
    work: NDArray[np.float64]  # (D, 2 D)
    known: NDArray[np.uint8]  # (M + 2 d,): what is known of rows, then of the sides of a box, as facets
    beyond: NDArray[np.float64]  # (M + 2 d, D): of facets, a point beyond that one only; without columns: not kept
    implied_by: NDArray[np.int64]  # (M + 2 d,): how many of the first rows imply a row (or side)
    table: NDArray[np.float64]  # (D + 2, M + 2 d): of rows, then of sides, the rates along edges; slacks; scratch twice
    spare: NDArray[np.float64]  # (D, D)
    spare_basis: NDArray[np.int64]  # (d,)


class Tree(NamedTuple):
    """The path to the cell at hand and the sides left for later."""

    bits: NDArray[np.uint64]
    cuts: NDArray[np.uint64]
    state: NDArray[np.uint8]  # by neuron, for `enter_layer`
    forced: NDArray[np.uint8]  # by neuron: a bit, FREE, or ROOT + a bit
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
    targets: NDArray[np.float64]  # by stratum, of the sampling; empty to keep all
    free: NDArray[np.int64]  # (1,): keep all down to this depth
    phase: NDArray[np.float64]  # by stratum, of the sampling
    nodes: NDArray[np.float64]  # by stratum: weighted number of nodes
    leaves: NDArray[np.float64]  # (4,) weighted number of leaves; nodes left out; cost at `prices`, and weighted
    prices: NDArray[np.float64]  # (N_PRICES, L + 1): see `kernel.search`


# --- rows and points


@compiled(inline=True, reorder=True)
def set_bit(words: Any, j: int, bit: int) -> None:
    """Set bit j of packed words."""
    one = np.uint64(1) << np.uint64(j & 63)
    if bit:
        words[j >> 6] |= one
    else:
        words[j >> 6] &= ~one


@compiled(inline=True, reorder=True)
def load(problem: Any, rows: Any, cell: Any, layer: int, i: int) -> None:
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
    cell.numbers[G_ERROR] = error * scale + UNDERFLOW


@compiled(inline=True, reorder=True)
def push(cell: Any, sign: float, offset: float, owner: int) -> None:
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
def find_values(columns: Any, X: Any, out: Any) -> None:
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
def is_inside(cell: Any) -> bool:
    """Return whether Q = (x, 1) is certainly strictly inside all rows; set Q_MAX and QUALITY."""
    D, m = cell.T.shape[0], cell.at[N_ROWS]
    vectors, about, box = cell.vectors, cell.about, cell.box
    largest = 1.0
    for k in range(D - 1):
        x = abs(vectors[Q, k])
        # Not a number fails, too.
        if not x < BIG:
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
    find_values(cell.columns, vectors[Q], value)
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
def value_at(vectors: Any, point: int) -> float:
    """Return the value of G at one of the vectors."""
    z, g, X = 0.0, vectors[G], vectors[point]
    for k in range(g.shape[0]):
        z += g[k] * X[k]
    return z


@compiled(inline=True, reorder=True)
def take_q(cell: Any) -> None:
    """Make Q the point of the cell."""
    for k in range(cell.T.shape[0]):
        cell.vectors[P, k] = cell.vectors[Q, k]
    cell.numbers[P_MAX] = cell.numbers[Q_MAX]


@compiled(inline=True, reorder=True)
def normalise_q(cell: Any) -> bool:
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
    if not normalise_q(cell):
        return False
    if not is_inside(cell):
        return False
    return bool(
        -value_at(cell.vectors, np.int64(Q)) > (numbers[G_ERROR] + numbers[ROUNDING] * numbers[G_NORM]) * numbers[Q_MAX]
    )


# --- the simplex method


@compiled(reorder=True)
def find_slacks(cell: Any) -> None:
    """Compute the slacks at the vertex; those of the basis are out of reach."""
    D, m = cell.T.shape[0], cell.at[N_ROWS]
    about, box = cell.about, cell.box
    slack, offset = about[SLACK, :m], about[OFFSET, :m]
    find_values(cell.columns, cell.T[D - 1], slack)
    for i in range(m):
        slack[i] += offset[i]
    if cell.at[IS_BOX]:
        for k in range(D - 1):
            box[LOW_SLACK, k] = cell.T[D - 1, k] - box[LOW, k] + box[LOW_OFFSET, k]
            box[HIGH_SLACK, k] = box[HIGH, k] - cell.T[D - 1, k] + box[HIGH_OFFSET, k]
    for k in range(D - 1):
        set_slack(cell.about, cell.box, cell.basis[k], BIG)
    cell.at[HAS_SLACKS] = 1


@compiled(inline=True, reorder=True)
def set_slack(about: Any, box: Any, row: int, slack: float) -> None:
    """Set the slack of a row or side."""
    if row >= 0:
        about[SLACK, row] = slack
    elif row != NONE:
        side = -1 - row
        box[LOW_SLACK + (side & 1), side >> 1] = slack


@compiled(reorder=True)
def ratio(edge: Any, columns: Any, about: Any, box: Any, m: int, is_box: bool) -> tuple[float, int]:
    """Return how far an edge goes, and the row that stops it; afterwards `rate` of the rows is along the edge."""
    D = edge.shape[0]
    rates, slacks = about[RATE, :m], about[SLACK, :m]
    length, row = BIG, NONE
    largest = 0.0
    for j in range(D):
        largest = max(largest, abs(edge[j]))
    tiny = FLAT * largest
    find_values(columns, edge, rates)
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
def pivot(cell: Any, k: int, row: int, length: float) -> None:
    """Move along edge k by `length` to `row`, after `ratio`; T, prices Y and slacks follow."""
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
    set_slack(cell.about, cell.box, cell.basis[k], length)
    set_slack(cell.about, cell.box, row, BIG)
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
def find_prices(vectors: Any, T: Any) -> None:
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
def refactor(cell: Any) -> bool:
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
def find_vertex(cell: Any) -> bool:
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
        cell.basis[k] = NONE
    find_slacks(cell)
    for k in range(D - 1):
        forth, row = ratio(cell.T[k], cell.columns, cell.about, cell.box, cell.at[N_ROWS], cell.at[IS_BOX])
        for u in range(D):
            T[k, u] = -T[k, u]
        back, other = ratio(cell.T[k], cell.columns, cell.about, cell.box, cell.at[N_ROWS], cell.at[IS_BOX])
        if row != NONE and forth < back:
            for u in range(D):
                T[k, u] = -T[k, u]
            forth, row = ratio(cell.T[k], cell.columns, cell.about, cell.box, cell.at[N_ROWS], cell.at[IS_BOX])
            pivot(cell, np.int64(k), row, forth)
        elif other != NONE:
            pivot(cell, np.int64(k), other, back)
        else:
            return False
    cell.at[HAS_VERTEX] = 1
    return refactor(cell)


@compiled(reorder=True)
def recentre(cell: Any) -> None:
    """Move P to the mean of the vertex and its neighbours if that is farther from all sides."""
    D = cell.T.shape[0]
    vectors = cell.vectors
    for j in range(D):
        vectors[Q, j] = vectors[P, j]
    is_inside(cell)
    before = cell.numbers[QUALITY]
    if not cell.at[HAS_SLACKS]:
        find_slacks(cell)
    for j in range(D):
        vectors[Q, j] = cell.T[D - 1, j]
    for k in range(D - 1):
        length, row = ratio(cell.T[k], cell.columns, cell.about, cell.box, cell.at[N_ROWS], cell.at[IS_BOX])
        if row != NONE:
            for j in range(D):
                vectors[Q, j] += length / D * cell.T[k, j]
    cell.at[RECENTRED] += 1
    if normalise_q(cell) and is_inside(cell) and cell.numbers[QUALITY] > before:
        take_q(cell)


@compiled(reorder=True)
def leave_hyperplane(cell: Any) -> bool:
    """Move P within the cell to where the sign of G is certain."""
    D, m = cell.T.shape[0], cell.at[N_ROWS]
    vectors, numbers, about = cell.vectors, cell.numbers, cell.about
    find_prices(cell.vectors, cell.T)
    best = 0
    for k in range(D - 1):
        if abs(vectors[Y, k]) > abs(vectors[Y, best]):
            best = k
    for j in range(D):
        vectors[Q, j] = vectors[P, j]
        vectors[W, j] = cell.T[best, j]
    is_inside(cell)
    length = BIG
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
    if not 0.0 < length < BIG:
        return False
    for j in range(D):
        vectors[Q, j] = vectors[P, j] + _STRIDE * length * vectors[W, j]
    if not normalise_q(cell) or not is_inside(cell):
        return False
    if (
        abs(value_at(cell.vectors, np.int64(Q)))
        > (numbers[G_ERROR] + numbers[ROUNDING] * numbers[G_NORM]) * numbers[Q_MAX]
    ):
        take_q(cell)
        return True
    return False


@compiled(reorder=True)
def passes_by(vectors: Any, numbers: Any, about: Any, rows: Any, box: Any, basis: Any) -> bool:
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
    return bool(c > left * _BOUNDS_ROUND)


@compiled(reorder=True)
def multiplier_error(cell: Any) -> float:
    """Return a bound on the errors of the multipliers Y of the basis; infinite if none is known."""
    D = cell.T.shape[0]
    vectors, numbers, about, T, line = cell.vectors, cell.numbers, cell.about, cell.T, cell.work[0]
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
        offset = size_k = wrong_k = 0.0
        if k < D - 1:
            offset, row = _basis_row(cell, np.int64(k), line), cell.basis[k]
            size_k = about[NORM, row] if row >= 0 else 1.0 + abs(line[D - 1])
            wrong_k = about[ERROR, row] if row >= 0 else 0.0
        total = 0.0
        for i in range(D):
            entry = 0.0
            for j in range(D):
                entry += (line[j] if k < D - 1 else vectors[H, j]) * T[i, j]
            total += abs(entry - (1.0 if i == k else 0.0))
        if k < D - 1:
            y = vectors[Y, k]
            for j in range(D):
                vectors[W, j] -= y * line[j]
            c += y * offset
            size += abs(y) * size_k
            wrong += abs(y) * wrong_k
            total += (wrong_k + numbers[ROUNDING] * size_k) * norm
        else:
            total += numbers[ROUNDING] * numbers[H_NORM] * norm
        defect = max(defect, total)
    if not defect < 0.5:
        return np.inf
    wrong += numbers[ROUNDING] * (size + abs(c) * numbers[H_NORM])
    for j in range(D):
        wrong += abs(vectors[W, j] - c * vectors[H, j])
    return float(_BOUNDS_ROUND * wrong * norm / (1.0 - defect))


@compiled(reorder=True)
def lies_in_cone(problem: Any, cell: Any, tree: Any, layer: int, owner: int) -> int:
    """Return a level at which G is certainly a combination of the rows of the basis in V, all positive; -1 if none is.

    V is that of a layer; G, the row of this owner, is known to lie in V at that level, too (INFINITY: at all levels).
    """
    D = cell.T.shape[0]
    vectors = cell.vectors
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
            members += is_member(problem, tree, layer, np.int64(t), cell.owner[cell.basis[k]])
        if members == least and is_member(problem, tree, layer, np.int64(t), owner):
            level = t
    if level < 0:
        return -1
    bound = multiplier_error(cell)
    for k in range(D - 1):
        if not vectors[Y, k] > bound and is_member(problem, tree, layer, level, cell.owner[cell.basis[k]]):
            return -1
    return level


@compiled(reorder=True)
def is_member(problem: Any, tree: Any, layer: int, level: int, owner: int) -> int:
    """Return 1 if the row of this owner is known to lie in the space V of a layer, at a level."""
    if owner == INFINITY:
        return 1
    if owner >= tree.layer_of.shape[0]:
        return 0
    kind = tree.levels[layer, level, tree.layer_of[owner]]
    if kind == 1:
        bit = (tree.bits[owner >> 6] >> np.uint64(owner & 63)) & np.uint64(1)
        return 1 if problem.slopes[owner, np.int64(bit)] != 0.0 else 0
    return 1 if kind == 2 else 0


@compiled(reorder=True)
def decide(problem: Any, cell: Any, tree: Any, layer: int, prove: bool) -> int:
    """Decide the neuron whose row is in G; afterwards G is positive at P and `sign` tells its bit there.

    Without `prove`, a cut is only proposed. After a proof, Q is beyond, `crossing` an edge to the other side or -1.
    """
    at, vectors, numbers, T = cell.at, cell.vectors, cell.numbers, cell.T
    D = T.shape[0]
    at[DECISIONS] += 1
    bound = (numbers[G_ERROR] + numbers[ROUNDING] * numbers[G_NORM]) * numbers[P_MAX]
    z = value_at(vectors, np.int64(P))
    at[SIGN] = 0
    if not abs(z) > bound:
        return ON_WITNESS
    at[SIGN] = 1 if z > 0.0 else -1
    if z < 0.0:
        for j in range(D):
            vectors[G, j] = -vectors[G, j]
    if at[AGE] > REFACTOR and not refactor(cell):
        at[HAS_VERTEX] = 0
        return UNSURE
    find_prices(cell.vectors, cell.T)
    tiny = TINY * numbers[G_NORM] * numbers[U_MAX]
    for attempt in range(MAX_PIVOTS):
        value = vectors[Y, D - 1]
        if value < -tiny:
            if not prove:
                return CUT
            for j in range(D):
                vectors[W, j] = T[D - 1, j]
            if _reaches_beyond(cell):
                at[CROSSING] = -1
                return CUT
        k = 0
        for j in range(1, D - 1):
            if vectors[Y, j] < vectors[Y, k]:
                k = j
        if not vectors[Y, k] < -FLAT * numbers[G_NORM]:
            if passes_by(cell.vectors, cell.numbers, cell.about, cell.rows, cell.box, cell.basis):
                return SETTLED
            if not at[IS_BOX] and lies_in_cone(problem, cell, tree, layer, INFINITY) >= 0:
                return SETTLED
            if at[AGE] == 0 or attempt == MAX_PIVOTS - 1:
                return UNSURE
            if not refactor(cell):
                at[HAS_VERTEX] = 0
                return UNSURE
            find_prices(cell.vectors, cell.T)
            continue
        if not at[HAS_SLACKS]:
            find_slacks(cell)
        length, row = ratio(cell.T[k], cell.columns, cell.about, cell.box, cell.at[N_ROWS], cell.at[IS_BOX])
        if row == NONE:
            return UNSURE
        if value + length * vectors[Y, k] < -tiny:
            if not prove:
                return CUT
            for j in range(D):
                vectors[W, j] = T[D - 1, j] + length * T[k, j]
            if _reaches_beyond(cell):
                at[CROSSING] = k if value > -_NEAR * numbers[G_NORM] * numbers[U_MAX] else -1
                numbers[REACHED] = value + length * vectors[Y, k]
                return CUT
        pivot(cell, np.int64(k), row, length)
    return UNSURE


@compiled(inline=True, reorder=True)
def cross(cell: Any) -> None:
    """From a vertex beyond G, go to one with an edge that crosses to the side of P; set `crossing`, -1 for failure."""
    vectors = cell.vectors
    D = cell.T.shape[0]
    cell.at[CROSSING] = -1
    for _ in range(MAX_PIVOTS):
        k = 0
        for j in range(1, D - 1):
            if vectors[Y, j] > vectors[Y, k]:
                k = j
        if not vectors[Y, k] > 0.0:
            return
        if not cell.at[HAS_SLACKS]:
            find_slacks(cell)
        length, row = ratio(cell.T[k], cell.columns, cell.about, cell.box, cell.at[N_ROWS], cell.at[IS_BOX])
        if row == NONE:
            return
        reached = vectors[Y, D - 1] + length * vectors[Y, k]
        if reached > 0.0:
            cell.at[CROSSING] = k
            cell.numbers[REACHED] = reached
            return
        pivot(cell, np.int64(k), row, length)


@compiled(inline=True, reorder=True)
def child_vertex(cell: Any, k: int, sign: float, offset: float, out: Any) -> None:
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

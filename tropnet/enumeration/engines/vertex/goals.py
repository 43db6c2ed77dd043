"""What a search for the best is after, compiled: upper bounds on what a cell can give, and so which cells to leave out.

Every goal is a number to be made large, attained somewhere in the closed domain. A cell is left out iff an upper bound
on all that lies in it, rounding included, does not exceed the best that is known.

Zonotopes. When a cell enters a layer, the neurons before are affine on it and known exactly, up to rounding. Those of
the layer that cut the cell, and all later ones, are enclosed: z_j is

    row_j . X + sum_k e_jk s_k + r_j,     |s_k| <= 1,  |r_j| <= rest_j,

with a symbol s_k for each neuron whose sign is open: on [l, u] an activation with the slopes a and b lies in a strip
around its chord, of slope (b u - a l) / (u - l). The range over the cell is that over its vertices plus the sum of
|e_jk|. What earlier cells on the path say of a neuron holds for all that come of them, and narrows it.

Whether that pays is measured: a layer on whose entry bounds cost more than what they leave out is looked at now and
then only.

Sources: Singh, Gehr, Mirman, Püschel and Vechev, Fast and effective robustness certification, 2018; Bak, nnenum:
Verification of ReLU neural networks with optimized abstraction refinement, 2021, doi:10.1007/978-3-030-76384-8_2.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.enumeration.engine import Goal, GoalKind
from tropnet.enumeration.engines.composition import PENDING
from tropnet.enumeration.engines.vertex.generators import look_again, refine
from tropnet.enumeration.engines.vertex.stack import ROUNDING
from tropnet.kernels import Record, compiled
from tropnet.network.network import Network

__all__ = ["NO_GOAL", "Pursuit", "pursue", "pursuit_of"]

FEASIBLE, VALUE, NORM, DISTANCE = (kind.value for kind in GoalKind)
_KIND, _FIRST_PLAIN = range(2)
_ENTERED, _BOUNDED, _LEFT_OUT, _WORK = range(4)
# Of a zonotope, beyond the neurons' own rows.
_MOST_SYMBOLS = 256
# Of a layer, so many bounds first; where they do not pay, one in so many.
_AT_FIRST, _NOW_AND_THEN = 64, 32
# Seconds of a product and of a row added, and of a cell that enters a layer with all that comes before the next.
_PRODUCT, _ROW, _CELL = 2.0e-10, 4.0e-9, 1.5e-6
_ROOM = 1.0 + 1e-13
_TINY = 1e-290
# Smaller sums of squares may have lost terms.
_SMALLEST_SQUARE = 1e-270
# Generators of regions that may be the best are computed anew if they are less certain.
_WORN = 1e-14


class Pursuit(NamedTuple):
    """A goal as the kernel sees it. None if `about` is empty."""

    about: NDArray[np.int64]  # (2,): the kind; the first layer of those that only the goal needs
    best: NDArray[np.float64]  # (1,) that is attained; other threads, and the caller, may raise it
    upper: NDArray[np.float64]  # (1,) the bound on the cell at hand
    point: NDArray[np.float64]  # (d,) from which distances are
    norm: NDArray[np.float64]  # (1,): 1, 2 or infinity
    known_at: NDArray[np.int64]  # (L,) the last layer up to this one on whose entry ranges were found, or -1
    low: NDArray[np.float64]  # (L, n_neurons) ranges found on the entry of a layer
    high: NDArray[np.float64]
    zonotopes: NDArray[np.float64]  # (n_neurons * C,): of a layer, component k of neuron i at k * width + i
    chord: NDArray[np.float64]  # (n_neurons,) slope, middle and half width of the strip
    middle: NDArray[np.float64]
    half: NDArray[np.float64]
    symbol: NDArray[np.int64]  # (n_neurons,) the component of the neuron's own symbol, 0 for none
    size: NDArray[np.float64]  # (n_neurons,) 1-norm of all components
    wrong: NDArray[np.float64]  # (n_neurons,) error of the row
    rest: NDArray[np.float64]  # (n_neurons,)
    reach: NDArray[np.float64]  # (widest,) scratch: sums of the |e_jk|
    n_components: NDArray[np.int64]  # (L,) of the zonotopes of a layer
    least: NDArray[np.float64]  # (widest,) scratch
    most: NDArray[np.float64]
    value: NDArray[np.float64]
    slope_low: NDArray[np.float64]  # (n_neurons,) of the activations that are possible
    slope_high: NDArray[np.float64]
    centre: NDArray[np.float64]  # (n_neurons * d,) of the derivatives, component k of neuron i at k * width + i
    radius: NDArray[np.float64]  # (n_neurons * d,)
    tally: NDArray[np.float64]  # (L, 4): cells that entered, bounds, cells left out, work of the bounds


def _no_pursuit() -> Pursuit:
    none, number = np.zeros(0), np.zeros(0, np.int64)
    table = np.zeros((0, 0))
    return Pursuit(
        number, none, none, none, none, number, table, table, none, none, none, none, number, none, none, none, none,
        number, none, none, none, none, none, none, none, table,
    )  # fmt: skip


def pursuit_of(net: Network, goal: Goal) -> Pursuit:
    """Return a goal as the kernel sees it, at the start of a search."""
    n, L, widest, d = net.n_neurons, len(net.hidden), max(*net.widths, net.n_inputs), net.n_inputs
    numbers = {name: np.zeros(n) for name in _BY_NEURON}
    return Pursuit(
        about=np.array([goal.kind.value, L - goal.n_layers]),
        best=goal.best,
        upper=np.zeros(1),
        point=np.asarray(goal.point, dtype=np.float64),
        norm=np.array([goal.norm], dtype=np.float64),
        known_at=np.full(L, -1),
        low=np.zeros((L, n)),
        high=np.zeros((L, n)),
        zonotopes=np.zeros(n * (d + 1 + min(n, _MOST_SYMBOLS))),
        symbol=np.zeros(n, np.int64),
        reach=np.zeros(widest),
        n_components=np.zeros(L, np.int64),
        least=np.zeros(widest),
        most=np.zeros(widest),
        value=np.zeros(widest),
        centre=np.zeros(n * d if goal.kind is GoalKind.NORM else 0),
        radius=np.zeros(n * d if goal.kind is GoalKind.NORM else 0),
        tally=np.zeros((L, 4)),
        **numbers,
    )


_BY_NEURON = ("chord", "middle", "half", "size", "wrong", "rest", "slope_low", "slope_high")

NO_GOAL = Record(_no_pursuit())


@compiled(apart=True)
def pursue(problem: Any, rows: Any, stack: Any, frame: int) -> int:
    """Return 0 if nothing in the cell of the top frame can be better than the best that is known, else 1.

    The frame has entered its layer, or is a region if that has no open neuron and is the last.
    """
    layer, L = stack.layer[frame], problem.widths.shape[0]
    goal = stack.goal
    done = layer + 1 == L and stack.open[frame] == np.uint64(0) and stack.n_later[frame] == 0
    if not done and layer >= goal.about[_FIRST_PLAIN]:
        return 1
    if goal.about[_KIND] == DISTANCE:
        goal.upper[0] = -_distance(stack, frame)
        if goal.upper[0] <= goal.best[0]:
            return 0
    if done:
        return _settle(problem, rows, stack, frame)
    goal.tally[layer, _ENTERED] += 1.0
    if not _pays(goal, layer):
        goal.known_at[layer] = goal.known_at[layer - 1] if layer > 0 else np.int64(-1)
        return 1
    goal.tally[layer, _BOUNDED] += 1.0
    if _enclose(problem, rows, stack, frame):
        return 1
    goal.tally[layer, _LEFT_OUT] += 1.0
    return 0


@compiled(inline=True)
def _pays(goal: Any, layer: int) -> bool:
    """Return whether to bound a cell that enters a layer."""
    n = goal.tally[layer, _BOUNDED]
    if n < _AT_FIRST:
        return True
    entered = goal.tally[layer, _ENTERED]
    below = 0.0
    for later in range(layer + 1, goal.tally.shape[0]):
        below += goal.tally[later, _ENTERED]
    left_out = goal.tally[layer, _LEFT_OUT]
    # Of all that entered, those that were not left out have what is below.
    each = _CELL * (1.0 + below / max(entered - left_out, 1.0))
    if (left_out + 0.5) / (n + 1.0) * each > goal.tally[layer, _WORK] / n:
        return True
    return bool(entered % _NOW_AND_THEN == 0.0)


@compiled(inline=True)
def _settle(problem: Any, rows: Any, stack: Any, frame: int) -> int:
    """Bound what a region gives, from both sides, and remember the best; 0 if it is no better."""
    goal = stack.goal
    kind = goal.about[_KIND]
    if kind not in (VALUE, NORM):
        return 1
    layer, D = stack.layer[frame], stack.rows.shape[0]
    first, n, at = problem.first_neuron[layer], problem.widths[layer], problem.rows_at[layer]
    if kind == NORM:
        _take_rows(problem, rows, goal, layer, D - 1)
        goal.upper[0] = _norm(goal, first * (D - 1), n, D - 1)
        return 0 if goal.upper[0] <= goal.best[0] else 1
    upper, lower = -np.inf, -np.inf
    for i in range(n):
        norm, error = rows.norm[first + i], rows.error[first + i]
        for p in range(stack.start[frame], stack.start[frame] + stack.size[frame]):
            u = np.int64(stack.members[p])
            above, below = _value(rows, stack, u, at + i, n, norm, error)
            radius, last = stack.radius[u], stack.X[u, D - 1]
            if above > goal.best[0] * last and radius > _WORN and refine(problem, rows, stack, frame, u):
                # Frames below that have the same slots list it, too.
                if stack.level[frame] >= 0:
                    look_again(problem, rows, stack, stack.level[frame], u)
                above, below = _value(rows, stack, u, at + i, n, norm, error)
                radius, last = stack.radius[u], stack.X[u, D - 1]
            if not (last > 2.0 * radius and above - below < np.inf):
                # At infinity, or nothing is known.
                upper = np.inf
                continue
            upper = max(upper, above / (last - radius if above > 0.0 else last + radius))
            lower = max(lower, below / (last + radius if below > 0.0 else last - radius))
    upper += abs(upper) * 4e-16 + _TINY
    lower -= abs(lower) * 4e-16 + _TINY
    goal.upper[0] = upper
    if upper <= goal.best[0]:
        return 0
    if lower > goal.best[0]:
        goal.best[0] = lower
    return 1


@compiled(inline=True, reorder=True)
def _value(rows: Any, stack: Any, u: int, at: int, n: int, norm: float, error: float) -> tuple[float, float]:
    """Return bounds from above and below on a row at a generator."""
    D, z = stack.rows.shape[0], 0.0
    for k in range(D):
        z += rows.done[at + k * n] * stack.X[u, k]
    # Coordinates are at most 2.
    bound = 2.0 * (norm * (ROUNDING * D + stack.radius[u]) + error * (1.0 + stack.radius[u])) + _TINY
    return z + bound, z - bound


@compiled(inline=True)
def _distance(stack: Any, frame: int) -> float:
    """Return a lower bound on the distance of the point from the cell."""
    goal, D = stack.goal, stack.rows.shape[0]
    d = D - 1
    norm, start, stop = goal.norm[0], stack.start[frame], stack.start[frame] + stack.size[frame]
    # To the box around it, per coordinate; the nearest vertex.
    total, farthest, nearest, place = 0.0, 0.0, np.inf, start
    direction = goal.value
    for k in range(d):
        low, high = np.inf, -np.inf
        for p in range(start, stop):
            u = stack.members[p]
            last, radius = stack.X[u, d], stack.radius[u]
            if not last > 2.0 * radius:
                return 0.0
            x = stack.X[u, k] / last
            slack = 2.0 * (1.0 + abs(x)) * radius / (last - radius) + 4e-16 * abs(x) + _TINY
            low, high = min(low, x - slack), max(high, x + slack)
        gap = max(low - goal.point[k], goal.point[k] - high)
        gap = max(gap - 4e-16 * (abs(goal.point[k]) + abs(gap)), 0.0)
        farthest = max(farthest, gap)
        if norm == 1.0:
            total += gap
        elif norm == 2.0:
            total += gap * gap
        else:
            total = max(total, gap)
    if norm == 2.0:
        total = math.sqrt(total)
        # Where the sum of squares overflows, or underflows, the largest gap is a bound, too.
        total = farthest if total == np.inf else max(total, farthest)
    total *= 1.0 - 1e-15 * d
    # A hyperplane through the nearest vertex, orthogonal to the way there, as far as it separates.
    for p in range(start, stop):
        u = stack.members[p]
        length = 0.0
        for k in range(d):
            gap = stack.X[u, k] / stack.X[u, d] - goal.point[k]
            length += gap * gap
        if length < nearest:
            nearest, place = length, p
    if not _SMALLEST_SQUARE < nearest < 1.0 / _SMALLEST_SQUARE:
        return float(total)
    u = stack.members[place]
    size, largest = 0.0, 0.0
    for k in range(d):
        direction[k] = stack.X[u, k] / stack.X[u, d] - goal.point[k]
        largest = max(largest, abs(direction[k]))
        size += abs(direction[k])
    # The dual norm of the direction.
    dual = largest
    if norm == 2.0:
        dual = math.sqrt(nearest) * (1.0 + 1e-14)
    elif norm == np.inf:
        dual = size
    least = np.inf
    for p in range(start, stop):
        u = stack.members[p]
        last, radius = stack.X[u, d], stack.radius[u]
        along, slack = 0.0, _TINY
        for k in range(d):
            x = stack.X[u, k] / last
            along += direction[k] * (x - goal.point[k])
            slack += abs(direction[k]) * (
                2.0 * (1.0 + abs(x)) * radius / (last - radius) + 1e-15 * d * (abs(x) + abs(goal.point[k]))
            )
        least = min(least, along - slack)
    return float(max(total, least / dual * (1.0 - 1e-14) if dual > 0.0 else total))


@compiled(inline=True, reorder=True)
def _norm(goal: Any, at: int, n: int, d: int) -> float:
    """Return an upper bound on the operator norms of all matrices within `radius` of `centre`."""
    centre, radius = goal.centre[at : at + n * d], goal.radius[at : at + n * d]
    by_column, by_row, squares = 0.0, 0.0, 0.0
    for k in range(d):
        total = 0.0
        for i in range(n):
            entry = abs(centre[k * n + i]) + radius[k * n + i]
            total += entry
            squares += entry * entry
        by_column = max(by_column, total)
    for i in range(n):
        total = 0.0
        for k in range(d):
            total += abs(centre[k * n + i]) + radius[k * n + i]
        by_row = max(by_row, total)
    room = 1.0 + 1e-15 * (n + d + 4)
    if not squares < np.inf:
        return np.inf
    if goal.norm[0] == 1.0:
        return float(by_column * room + _TINY)
    if goal.norm[0] == 2.0:
        return float(math.sqrt(min(squares, by_column * by_row) + _TINY) * room)
    return float(by_row * room + _TINY)


@compiled(inline=True)
def _strip(problem: Any, goal: Any, j: int, low: float, high: float) -> None:
    """Enclose the activation of a neuron on a range in a strip."""
    a, b = problem.slopes[j, 0], problem.slopes[j, 1]
    goal.symbol[j], goal.middle[j], goal.half[j] = 0, 0.0, 0.0
    if low >= 0.0 or a == b:
        goal.chord[j] = goal.slope_low[j] = goal.slope_high[j] = b
        return
    if high <= 0.0:
        goal.chord[j] = goal.slope_low[j] = goal.slope_high[j] = a
        return
    goal.slope_low[j], goal.slope_high[j] = min(a, b), max(a, b)
    chord = (b * high - a * low) / (high - low)
    if not min(a, b) <= chord <= max(a, b):
        chord = 0.5 * (a + b)
    # The activation less the chord is extreme at the ends and at 0, for any slope.
    left, right = (a - chord) * low, (b - chord) * high
    margin = 4e-15 * (abs(a) + abs(b) + abs(chord)) * (high - low) + _TINY
    bottom, top = min(left, right, 0.0) - margin, max(left, right, 0.0) + margin
    goal.chord[j], goal.middle[j] = chord, 0.5 * (bottom + top)
    goal.half[j] = 0.5 * (top - bottom) * _ROOM


@compiled(inline=True, reorder=True)
def _add(sums: Any, at: int, weights: Any, weights_at: int, n: int, factor: float) -> None:
    """Add a multiple of a neuron's weights to a component of the neurons that read it."""
    out, w = sums[at : at + n], weights[weights_at : weights_at + n]
    for u in range(n):
        out[u] += w[u] * factor


@compiled(reorder=True)
def _range(stack: Any, frame: int, rows: Any, at: int, n: int, least: Any, most: Any) -> None:
    """Set the least and the most of n rows at the generators of a cell."""
    D, z = stack.rows.shape[0], stack.goal.value[:n]
    start = stack.start[frame]
    for p in range(start, start + stack.size[frame]):
        u = stack.members[p]
        row, x = rows[at : at + n], stack.X[u, 0]
        for i in range(n):
            z[i] = row[i] * x
        for k in range(1, D):
            row, x = rows[at + k * n : at + (k + 1) * n], stack.X[u, k]
            for i in range(n):
                z[i] += row[i] * x
        if p == start:
            for i in range(n):
                least[i] = z[i]
                most[i] = z[i]
        else:
            for i in range(n):
                least[i] = z[i] if z[i] < least[i] else least[i]
                most[i] = z[i] if z[i] > most[i] else most[i]


@compiled(reorder=True)
def _affine_part(problem: Any, rows: Any, stack: Any, layer: int, m: int, C: int) -> None:
    """Set the zonotopes of a later layer to the sum over its sources that are affine on the cell."""
    goal, D, n, first = stack.goal, stack.rows.shape[0], problem.widths[m], problem.first_neuron[m]
    z = goal.zonotopes[first * C : first * C + goal.n_components[m] * n]
    at, place = problem.rows_at[m], np.int64(2)
    block = problem.first_block[layer]
    while block < problem.first_block[m] and place == 2:
        if problem.reader[block] == m:
            # What came on the entry of this layer; or all before a block of a later source.
            entered = block < problem.first_block[layer + 1]
            at, place = (problem.done_at[block], np.int64(1)) if entered else (problem.before_at[block], np.int64(0))
        block += 1
    sums = rows.entered if place == 1 else rows.done
    for k in range(D * n):
        z[k] = sums[at + k]
    for k in range(D * n, z.shape[0]):
        z[k] = 0.0
    for i in range(n):
        total = problem.base_norm[first + i]
        for k in range(D):
            total += abs(z[k * n + i])
        goal.wrong[first + i] = sums[at + D * n + i] * _ROOM + 2.0 * problem.rounding * total
        goal.rest[first + i] = 0.0


@compiled(reorder=True)
def _add_source(problem: Any, rows: Any, stack: Any, layer: int, source: int, block: int, m: int, C: int) -> float:
    """Add the outputs of the open neurons of a layer to the zonotopes of a reader; return the work."""
    goal, D, n, width = stack.goal, stack.rows.shape[0], problem.widths[m], problem.widths[source]
    first, target = problem.first_neuron[source], problem.first_neuron[m]
    z = goal.zonotopes[target * C : target * C + goal.n_components[m] * n]
    wrong, rest = goal.wrong[target : target + n], goal.rest[target : target + n]
    own_rows = rows.done if source == layer else goal.zonotopes
    at = problem.rows_at[source] if source == layer else first * C
    n_rows = 0
    for i in range(width):
        j = first + i
        chord, half = goal.chord[j], goal.half[j]
        # The others of this layer are in the sum already.
        summed = source == layer and stack.state[j] != PENDING
        if summed or (chord == 0.0 and half == 0.0):
            continue
        w = problem.weights_at[block] + i * n
        if chord != 0.0:
            for k in range(goal.n_components[source]):
                _add(z, k * n, problem.weights, w, n, chord * own_rows[at + k * width + i])
            n_rows += goal.n_components[source]
        if goal.middle[j] != 0.0:
            _add(z, (D - 1) * n, problem.weights, w, n, goal.middle[j])
        own = goal.symbol[j]
        if own > 0:
            _add(z, own * n, problem.weights, w, n, half)
        lost = abs(chord) * (goal.wrong[j] + 2.0 * problem.rounding * goal.size[j])
        lost += 2.0 * problem.rounding * (abs(goal.middle[j]) + half) + _TINY
        apart = abs(chord) * goal.rest[j] * _ROOM + (half if own == 0 else 0.0)
        sizes = problem.sizes[w : w + n]
        for u in range(n):
            wrong[u] += sizes[u] * lost
            rest[u] += sizes[u] * apart * _ROOM
        n_rows += 4
    return float(n_rows * (_ROW + _PRODUCT * n))


@compiled(reorder=True)
def _enclose(problem: Any, rows: Any, stack: Any, frame: int) -> bool:
    """Enclose the neurons from the frame's layer on; return whether the cell can hold what is better than the best."""
    goal = stack.goal
    layer, L, D = stack.layer[frame], problem.widths.shape[0], stack.rows.shape[0]
    C = goal.zonotopes.shape[0] // goal.chord.shape[0]
    kind = goal.about[_KIND]
    known = goal.known_at[layer - 1] if layer > 0 else np.int64(-1)
    goal.known_at[layer] = -1
    # What generators are divided by.
    small, large, spread = np.inf, 0.0, 0.0
    for p in range(stack.start[frame], stack.start[frame] + stack.size[frame]):
        u = stack.members[p]
        radius, last = stack.radius[u], stack.X[u, D - 1]
        small, large, spread = min(small, last - radius), max(large, last + radius), max(spread, radius)
    if not small > spread:
        return True
    n_symbols = 0
    least, most, reach = goal.least, goal.most, goal.reach
    for m in range(layer, L):
        n, first = problem.widths[m], problem.first_neuron[m]
        goal.n_components[m] = D if m == layer else D + n_symbols
        if m == layer:
            _range(stack, frame, rows.done, problem.rows_at[m], n, least, most)
            for i in range(n):
                goal.size[first + i], goal.wrong[first + i] = rows.norm[first + i], rows.error[first + i]
                goal.rest[first + i] = reach[i] = 0.0
        else:
            _affine_part(problem, rows, stack, layer, m, C)
            work = _PRODUCT * n * (stack.size[frame] * D + 3 * (D + n_symbols))
            for source in range(layer, m):
                for block in range(problem.first_block[source], problem.first_block[source + 1]):
                    if problem.reader[block] == m:
                        work += _add_source(problem, rows, stack, layer, np.int64(source), np.int64(block), m, C)
            goal.tally[layer, _WORK] += work
            z = goal.zonotopes[first * C : first * C + (D + n_symbols) * n]
            _range(stack, frame, z, np.int64(0), n, least, most)
            sizes = goal.size[first : first + n]
            for i in range(n):
                sizes[i] = reach[i] = 0.0
            for k in range(D):
                row = z[k * n : (k + 1) * n]
                for i in range(n):
                    sizes[i] += abs(row[i])
            for k in range(D, D + n_symbols):
                row = z[k * n : (k + 1) * n]
                for i in range(n):
                    reach[i] += abs(row[i])
            for i in range(n):
                sizes[i] += reach[i]
        upper = -np.inf
        for i in range(n):
            j = first + i
            bound = 2.0 * goal.size[j] * (ROUNDING * (D + n_symbols) + spread) + 2.0 * goal.wrong[j] * (1.0 + spread)
            apart = (reach[i] + goal.rest[j]) * _ROOM
            low, high = least[i] - bound, most[i] + bound
            low = low / (large if low > 0.0 else small) - apart
            high = high / (small if high > 0.0 else large) + apart
            low -= abs(low) * 4e-16 + _TINY
            high += abs(high) * 4e-16 + _TINY
            if not low <= high:
                low, high = -np.inf, np.inf
            fixed = stack.fixed[j]
            if m > layer and ((fixed == 1 and high < 0.0) or (fixed == 0 and low > 0.0)):
                return False
            if known >= 0:
                low, high = max(low, goal.low[known, j]), min(high, goal.high[known, j])
            goal.low[layer, j], goal.high[layer, j] = low, high
            upper = max(upper, high)
            if m == layer and stack.state[j] != PENDING:
                side = 1.0 if stack.state[j] else -1.0
                _strip(problem, goal, j, side, side)
                continue
            if m < L - 1 and not high - low < np.inf:
                # Nothing is known.
                return True
            _strip(problem, goal, j, low, high)
            if goal.half[j] > 0.0 and D + n_symbols < C:
                goal.symbol[j] = D + n_symbols
                n_symbols += 1
        if m == L - 1 and kind == VALUE:
            goal.known_at[layer] = layer
            return bool(upper > goal.best[0])
    goal.known_at[layer] = layer
    if kind != NORM:
        return True
    _differentiate(problem, rows, stack, layer)
    first = problem.first_neuron[L - 1]
    return not _norm(goal, first * (D - 1), problem.widths[L - 1], D - 1) <= goal.best[0]


@compiled(inline=True)
def _take_rows(problem: Any, rows: Any, goal: Any, layer: int, d: int) -> None:
    """Take the derivatives of a layer that is composed."""
    first, n, at = problem.first_neuron[layer], problem.widths[layer], problem.rows_at[layer]
    for k in range(d):
        for i in range(n):
            goal.centre[first * d + k * n + i] = rows.done[at + k * n + i]
            goal.radius[first * d + k * n + i] = rows.error[first + i]


@compiled(reorder=True)
def _differentiate(problem: Any, rows: Any, stack: Any, layer: int) -> None:
    """Enclose the derivatives of the neurons after a layer, whose activations have slopes in ranges that are set."""
    goal, L, d = stack.goal, problem.widths.shape[0], stack.rows.shape[0] - 1
    _take_rows(problem, rows, goal, layer, d)
    for m in range(layer + 1, L):
        n, to = problem.widths[m], problem.first_neuron[m] * d
        C = goal.zonotopes.shape[0] // goal.chord.shape[0]
        _affine_part(problem, rows, stack, layer, m, C)
        z = goal.zonotopes[problem.first_neuron[m] * C : problem.first_neuron[m] * C + d * n]
        for k in range(d):
            for i in range(n):
                goal.centre[to + k * n + i] = z[k * n + i]
                goal.radius[to + k * n + i] = goal.wrong[problem.first_neuron[m] + i]
        for source in range(layer, m):
            width, first = problem.widths[source], problem.first_neuron[source]
            for block in range(problem.first_block[source], problem.first_block[source + 1]):
                if problem.reader[block] != m:
                    continue
                goal.tally[layer, _WORK] += 2 * width * d * (_ROW + _PRODUCT * n)
                for i in range(width):
                    j = first + i
                    if source == layer and stack.state[j] != PENDING:
                        continue
                    middle = 0.5 * (goal.slope_low[j] + goal.slope_high[j])
                    half = 0.5 * (goal.slope_high[j] - goal.slope_low[j]) * _ROOM
                    w = problem.weights_at[block] + i * n
                    for k in range(d):
                        centre = goal.centre[first * d + k * width + i]
                        radius = goal.radius[first * d + k * width + i]
                        radius = (abs(middle) * radius + half * (abs(centre) + radius)) * _ROOM
                        radius += 2.0 * problem.rounding * abs(middle * centre) + _TINY
                        _add(goal.centre, to + k * n, problem.weights, w, n, middle * centre)
                        _add(goal.radius, to + k * n, problem.sizes, w, n, radius * _ROOM)

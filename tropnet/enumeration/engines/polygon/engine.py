"""The polygon engine: two inputs, cells as convex polygons; signs the kernel cannot certify are settled exactly."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, final

import numpy as np

from tropnet.arrays.patterns import BoolArray
from tropnet.arrays.rounding import UNIT_ROUNDOFF
from tropnet.arrays.types import IntegerArray
from tropnet.enumeration.algorithm_1 import root_backend
from tropnet.enumeration.engine import Ability, Chunk, ChunkBuilder, Engine, Plan, Refusal, Sample, Sampling, Task
from tropnet.enumeration.engines.composition import Problem, make_problem, make_rows
from tropnet.enumeration.engines.listing import chunk_of, make_out, unpacked
from tropnet.enumeration.engines.lp import enumerate_by_lp
from tropnet.enumeration.engines.polygon import kernel
from tropnet.enumeration.engines.polygon.kernel import State, search
from tropnet.enumeration.engines.roots import Root, dot, pointed_roots
from tropnet.exact.elimination import null_vector
from tropnet.network.domain import Box, Domain
from tropnet.network.network import Network
from tropnet.network.recurrence import Composition
from tropnet.regions.row_index import INFINITY

__all__ = ["PolygonEngine"]

_N_INPUTS = 2


class _Polygon(NamedTuple):
    """A cell to start from.

    Its exact corners (X, Y, w) in counterclockwise order, directions with w = 0; the place of the side after each (of a
    side of the domain, counted from the last neuron); and the neurons decided to get it.
    """

    corners: list[tuple[int, ...]]
    sides: list[int]
    bits: dict[int, bool]

    @property
    def is_bounded(self) -> bool:
        return all(w for _, _, w in self.corners)


@final
@dataclass(frozen=True)
class PolygonEngine(Engine):
    """Cells of the plane by their corners in cyclic order, compiled, in bounded domains.

    Attributes
    ----------
    pool, buffer, steps
        Room for corners to begin with, regions a chunk, and steps between two looks at the outside.
    seconds_per_chunk
        For the linear programs that settle what the kernel leaves open.
    """

    name = "polygon"
    abilities = frozenset(Ability)
    compiled = True
    pool: int = 1 << 10
    buffer: int = 1 << 14
    steps: int = 1 << 18
    seconds_per_chunk: float = Engine.seconds_per_chunk

    def _plan(self, task: Task) -> Plan | Refusal:
        net = task.network
        roots = _polygons(net, task.domain) if net.hidden and net.n_inputs == _N_INPUTS else None
        if roots is not None:
            return _PolygonPlan(self, task, roots)
        return Refusal(
            "engine 'polygon' needs two inputs, a hidden layer, and a domain that, together with the first layer,"
            " contains no line; use engine='vertex', 'simplex' or 'lp'."
        )


@final
@dataclass(frozen=True)
class _PolygonPlan(Plan):
    engine: PolygonEngine
    task: Task
    roots: list[_Polygon]

    def run(self, builder: ChunkBuilder) -> Generator[Chunk, None, None]:
        return _enumerate(self.engine, self.task, self.roots, builder)

    def adapted(self, task: Task) -> Plan | Refusal:
        """Return the plan for another task: the roots are those of the network and the domain."""
        return replace(self, task=task)


def _enumerate(
    engine: PolygonEngine, task: Task, roots: list[_Polygon], builder: ChunkBuilder
) -> Generator[Chunk, None, None]:
    """Run the kernel, and do in between what it leaves to others: exact signs, more room, subtrees by lp."""
    net = task.network
    if not roots:
        # Nothing to start from means that the domain has no interior, which this says.
        root_backend(task.backend, task.domain, task.tolerances)
    problem = make_problem(net)
    rows, exponent = make_rows(net, problem), _exponent(roots)
    state, exact = _state(task, problem, roots, exponent, engine.pool), None
    out = make_out(task, engine.buffer)
    status, seconds_exact = kernel.FULL, 0.0
    while status != kernel.DONE:
        status, n_regions = search(problem, rows, state, out, not task.only_count, engine.steps)
        builder.fraction = min(float(state.done[0]), 1.0) if status != kernel.DONE else 1.0
        begin = time.perf_counter()
        aside = None
        if status == kernel.GROW:
            state = _grown(state)
        elif status == kernel.QUERY and task.tolerances.exact_pivots > 0:
            exact = exact or _Exact(net, task.domain, problem, state, exponent)
            exact.answer(state)
        elif status == kernel.QUERY:
            aside = _top(task, state)
        seconds_exact += time.perf_counter() - begin
        totals = state.totals.tolist()
        builder.counters.update(
            decisions=totals[kernel.DECISIONS],
            branchings=totals[kernel.BRANCHINGS],
            uncertain=totals[kernel.UNCERTAIN],
            settled_exactly=totals[kernel.DETERMINANTS] + (exact.n_answers if exact else 0),
            seconds_exact=seconds_exact,
            determinants=totals[kernel.DETERMINANTS], refined=totals[kernel.REFINED], vanished=totals[kernel.VANISHED],
        )
        if n_regions or status == kernel.DONE:
            yield replace(chunk_of(task, builder, out, n_regions), sample=_sample(task, state))
        if aside is not None:
            builder.count("subtrees_by_lp")
            for chunk in enumerate_by_lp(aside, builder.sibling()):
                yield replace(chunk, fraction=builder.fraction, counters=dict(builder.counters))


def _sample(task: Task, state: State) -> Sample | None:
    """Take out what was seen of a sampled tree."""
    if task.sampling is None:
        return None
    sample = Sample(float(state.done[1]), state.nodes.copy())
    state.done[1], state.nodes[:] = 0.0, 0.0
    return sample


def _top(task: Task, state: State) -> Task:
    """Take the top frame off; return its subtree: all earlier layers, and what is decided of its own."""
    net = task.network
    frame = state.totals[kernel.N_FRAMES] - 1
    state.totals[kernel.N_FRAMES] -= 1
    state.totals[kernel.ANSWERED] = 0
    state.done[0] += state.shares[frame, kernel.SHARE]
    bits = unpacked(state.bits[frame], net.n_neurons)
    layer, n_left, depth = state.frames[frame, [kernel.LAYER, kernel.N_LEFT, kernel.DEPTH]].tolist()
    first = sum(net.widths[:layer])
    left = {first + i for i in state.left[frame, :n_left].tolist()}
    decided = {j: bool(bits[j]) for j in range(first + net.widths[layer]) if j not in left}
    # What was fixed of neurons that are still to come stays fixed.
    fixed = {**task.fixed, **decided}
    sampling = task.sampling and replace(task.sampling, depth=depth, weight=float(state.shares[frame, kernel.WEIGHT]))
    return replace(task, fixed=fixed, sampling=sampling)


class _Exact:
    """Answers the kernel's queries over the integers: the sign of a neuron at a corner.

    Where there is one tie there are others, so it also tells the kernel what lets it settle more of them itself: of
    which power of two the rows of a layer are multiples, and which neurons of a layer have the same line.
    """

    def __init__(self, net: Network, domain: Domain, problem: Problem, state: State, exponent: int) -> None:
        self.maps = Composition.of(net.integers.layers, net.n_inputs)
        self.n_neurons = net.n_neurons
        self.sides = domain.integer_rows.tolist()
        self.exponent = exponent
        self.n_answers = 0
        for layer, power in enumerate(net.integers.exponents[:-1]):
            problem.grain[layer] = 2.0 ** (53 - power) if abs(power) < _LARGEST_POWER else 0.0
        state.twin[:] = _twins(net)

    def answer(self, state: State) -> None:
        """Set the signs asked for in `known`, and make those corners as exact as float64 allows."""
        frame = state.totals[kernel.N_FRAMES] - 1
        layer, start, size, n_left = state.frames[
            frame, [kernel.LAYER, kernel.START, kernel.SIZE, kernel.N_LEFT]
        ].tolist()
        bits = unpacked(state.bits[frame], self.n_neurons)
        row = self.maps.follow(bits, layer)[state.left[frame, n_left - 1]].tolist()
        if not state.totals[kernel.ANSWERED]:
            state.known[:size] = kernel.UNKNOWN
        for p in np.flatnonzero(state.signs[:size] == kernel.UNKNOWN).tolist():
            u = state.polygon[start + p, 0]
            vector = null_vector([self._row(place) for place in state.lines[u].tolist()])
            if vector[-1] < 0 or (vector[-1] == 0 and self._is_opposite(vector, state.polygon[start:][:size, 1], bits)):
                vector = [-x for x in vector]
            value = dot(row, vector)
            state.known[p] = (value > 0) - (value < 0)
            state.points[u] = _rounded(vector, self.exponent)
            self.n_answers += 1
        state.totals[kernel.ANSWERED] = 1

    def _is_opposite(self, direction: list[int], places: IntegerArray, bits: BoolArray) -> bool:
        """Return whether a direction of the cell with these sides is the opposite one."""
        for place in places.tolist():
            value = dot(self._row(place), direction)
            if value:
                return (value < 0) == (place >= self.n_neurons or place == INFINITY or bool(bits[place]))
        return False

    def _row(self, place: int) -> list[int]:
        if place == INFINITY:
            return [0, 0, 1]
        row: list[int] = (
            self.sides[place - self.n_neurons] if place >= self.n_neurons else self.maps.row(place).tolist()
        )
        return row


_LARGEST_POWER = 900


def _twins(net: Network) -> list[int]:
    """Return for each neuron the first of its layer with the same row, up to its sign."""
    twins: list[int] = []
    for layer in net.hidden:
        first, start = {}, len(twins)
        rows = np.column_stack([*layer.weights.values(), layer.bias]) + 0.0
        for j, (row, affine) in enumerate(zip(rows, layer.affine_neurons.tolist(), strict=True), start):
            leading = row[np.flatnonzero(row)[:1]]
            key = ((row if leading.sum() >= 0 else -row) + 0.0).tobytes()
            twins.append(first.get(key, j))
            if not affine:
                first.setdefault(key, j)
    return twins


# --- from a network and a domain to arrays


def _polygons(net: Network, domain: Domain) -> list[_Polygon] | None:
    """Return polygons that together make up the domain; None if it contains a line that the first layer does not cut."""
    if isinstance(domain, Box) and np.isfinite([domain.low, domain.high]).all():
        (low_x, low_y), (high_x, high_y) = (
            [value.as_integer_ratio() for value in side.tolist()] for side in (domain.low, domain.high)
        )
        corners = [_corner(x, y) for x, y in ((low_x, low_y), (high_x, low_y), (high_x, high_y), (low_x, high_y))]
        return [_Polygon(corners, [net.n_neurons + side for side in (2, 1, 3, 0)], {})]
    roots, n_sides = pointed_roots(net, domain), len(domain.halfspaces[1])
    if roots is None:
        return None
    sides = [net.n_neurons + i for i in range(n_sides)]
    return [_cyclic(root, [*sides, *root.bits, INFINITY]) for root in roots]


def _corner(x: tuple[int, int], y: tuple[int, int]) -> tuple[int, int, int]:
    """Return a point whose coordinates have powers of two as denominators."""
    w = max(x[1], y[1])
    return x[0] * (w // x[1]), y[0] * (w // y[1]), w


def _cyclic(root: Root, places: list[int]) -> _Polygon:
    """Return a cell with its corners in order; `places` are those of its rows, of which the first has a shared side."""
    after: dict[int, tuple[int, int]] = {}
    inside = [sum(values) for values in zip(*root.generators, strict=True)]
    for bit, place in enumerate(places):
        on = [k for k, mask in enumerate(root.facets) if mask >> bit & 1]
        if len(on) == 2:
            begin, end = on
            if dot(inside, _cross(root.generators[begin], root.generators[end])) < 0:
                begin, end = end, begin
            after.setdefault(begin, (end, place))
    order = [0]
    while (following := after[order[-1]][0]) != 0:
        order.append(following)
    return _Polygon([root.generators[k] for k in order], [after[k][1] for k in order], root.bits)


def _cross(a: Sequence[int], b: Sequence[int]) -> list[int]:
    return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]


def _exponent(roots: list[_Polygon]) -> int:
    """Return the power of two by which corners are divided."""
    far = max((abs(x) // w for root in roots for *corner, w in root.corners if w for x in corner), default=0)
    return int(far).bit_length()


def _rounded(corner: Sequence[int], exponent: int) -> tuple[float, float, float, float]:
    """Return a corner rounded once, (x, y, 1) / 2**exponent where that is small enough, and a bound on the rounding."""
    divisor, largest = corner[-1] << exponent, max(map(abs, corner))
    if divisor == 0 or largest > divisor:
        divisor = 1 << largest.bit_length()
    x, y, w = (value / divisor for value in corner)
    exact = all(
        n * divisor == value * m for (n, m), value in zip(map(float.as_integer_ratio, (x, y, w)), corner, strict=True)
    )
    return x, y, w, 0.0 if exact else UNIT_ROUNDOFF


def _state(task: Task, problem: Problem, roots: list[_Polygon], exponent: int, pool: int) -> State:
    """Allocate the kernel's arrays, with a frame for each root."""
    net = task.network
    n, n_layers, size = net.n_neurons, len(net.hidden), sum(len(root.corners) for root in roots)
    widest, words, F = max(net.widths), -(-n // 64), n + 1 + len(roots)
    P = pool + 2 * size
    span = np.zeros(n_layers, np.int64)
    for block, source in enumerate(np.repeat(np.arange(n_layers), np.diff(problem.first_block)).tolist()):
        span[source] += 4 * problem.widths[problem.reader[block]]
    sums_at = np.zeros(n_layers + 1, np.int64)
    np.cumsum(span * (problem.widths + 1), out=sums_at[1:])
    A, b = task.domain.halfspaces
    sampling = task.sampling or Sampling(np.empty(0), 0)
    frames = np.zeros((F, kernel.N_COLUMNS), np.int64)
    shares = np.zeros((F, 3))
    state = State(
        points=np.empty((P, 4)),
        lines=np.empty((P, 2), np.int64),
        polygon=np.empty((P, 2), np.int32),
        values=np.empty(P),
        signs=np.empty(P, np.int8),
        known=np.empty(P, np.int8),
        frames=frames,
        shares=shares,
        bits=np.zeros((F, words), np.uint64),
        cuts=np.zeros((F, words), np.uint64),
        left=np.empty((F, widest), np.int32),
        base=np.zeros(n_layers, np.int64),
        span=span,
        sums_at=sums_at,
        sums=np.empty(int(sums_at[-1])),
        low=np.empty(widest),
        high=np.empty(widest),
        fixed=np.full(n, kernel.FREE, np.uint8),
        sides=np.column_stack([-A, b]),
        twin=np.arange(n),
        scratch=np.empty(64 + n_layers),
        keep=sampling.keep.copy(),
        random=np.array([sampling.seed | 1], np.uint64),
        nodes=np.zeros(len(sampling.keep)),
        totals=np.zeros(kernel.N_TOTALS, np.int64),
        done=np.zeros(2),
    )
    for neuron, bit in task.fixed.items():
        state.fixed[neuron] = bit
    top = 0
    for frame, root in enumerate(roots):
        frames[frame] = -1, top, len(root.corners), size, 0, -1, 0, sampling.depth
        shares[frame] = 1.0 / len(roots), sampling.weight, 0.0
        for neuron, bit in root.bits.items():
            state.bits[frame, neuron >> 6] |= np.uint64(bit << (neuron & 63))
            state.cuts[frame, neuron >> 6] |= np.uint64(1 << (neuron & 63))
        for corner, side, before in zip(root.corners, root.sides, [root.sides[-1], *root.sides], strict=False):
            state.points[top] = _rounded(corner, exponent)
            state.lines[top] = before, side
            state.polygon[top] = top, side
            top += 1
    state.totals[kernel.N_FRAMES] = len(roots)
    state.totals[kernel.EXACT] = task.tolerances.exact_pivots > 0
    state.totals[kernel.BOUNDED] = all(root.is_bounded for root in roots)
    return state


_POOLED = ("points", "lines", "polygon", "values", "signs", "known")


def _grown(state: State) -> State:
    """Return the state with twice the room for corners and cells."""
    pooled = {name: getattr(state, name) for name in _POOLED}
    return state._replace(**{name: np.concatenate([array, np.empty_like(array)]) for name, array in pooled.items()})

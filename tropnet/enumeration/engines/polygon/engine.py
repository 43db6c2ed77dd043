"""The polygon engine: two inputs, cells as convex polygons; signs the kernel cannot certify are settled exactly."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import Any, ClassVar, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import BoolArray, pack
from tropnet.arrays.rounding import UNIT_ROUNDOFF
from tropnet.arrays.types import FloatArray
from tropnet.enumeration.algorithm_1 import root_backend
from tropnet.enumeration.engine import (
    NO_SAMPLING,
    Ability,
    Chunk,
    ChunkBuilder,
    Engine,
    Plan,
    Refusal,
    Task,
)
from tropnet.enumeration.engines.composition import count_products
from tropnet.enumeration.engines.driver import ExactSigns, Frame, Stock, VertexSearch
from tropnet.enumeration.engines.listing import unpacked
from tropnet.enumeration.engines.polygon import kernel
from tropnet.enumeration.engines.polygon.kernel import State
from tropnet.enumeration.engines.residues import NO_RESIDUES
from tropnet.enumeration.engines.roots import ExactCell, below, common_exponent, dot, pointed_cells, rounded_vector
from tropnet.exact.elimination import null_vector
from tropnet.kernels import copied
from tropnet.network.domain import Box, Domain
from tropnet.network.network import Network
from tropnet.network.recurrence import Composition
from tropnet.regions.row_index import INFINITY

__all__ = ["PolygonEngine"]

_N_INPUTS = 2


class _Polygon(NamedTuple):
    """A cell to start from: its corners in counterclockwise order, rounded, with the place of the side after each."""

    points: FloatArray  # (k, 4), as `State.points`
    sides: list[int]
    bits: dict[int, bool]  # the neurons decided to get it
    exponent: int  # vertices are (x, y, 1) / 2**exponent


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
    abilities = frozenset(Ability) - {Ability.GOAL}
    compiled = True
    divides = True
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
            "engine 'polygon' needs two inputs, a hidden layer, and a domain of two dimensions that, together with the"
            " first layer, contains no line; use engine='vertex', 'simplex' or 'lp'."
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
    """Search from the roots."""
    if not roots:
        # Nothing to start from means that the domain has no interior, which this says.
        root_backend(task.backend, task.domain, task.tolerances)
    return _search(engine, task, below(task.fixed, roots)).run(builder)


@dataclass
class _Search(VertexSearch):
    """The polygon kernel, driven. Vertices are (x, y, 1) / 2**exponent."""

    kernel: ClassVar[Any] = kernel
    stock: ClassVar[Stock] = Stock()
    exponent: int

    def _exact_signs(self) -> ExactSigns:
        return _Exact(self.task.network, self.task.domain, self.exponent)

    def _grow(self) -> None:
        self.state = _grown(self.state)

    def _take_back(self) -> None:
        self.state.totals[kernel.DECISIONS] -= 1
        self.state.totals[kernel.ANSWERED] = 0

    def _frame(self, frame: int) -> Frame:
        state = self.state
        layer, n_left, depth = state.frames[frame, [kernel.LAYER, kernel.N_LEFT, kernel.DEPTH]].tolist()
        first = sum(self.task.network.widths[:layer])
        left = {first + i for i in state.left[frame, :n_left].tolist()}
        share, weight = state.shares[frame, [kernel.SHARE, kernel.WEIGHT]].tolist()
        return Frame(layer, left, share, depth, weight)

    def _oldest(self, n_frames: int) -> State:
        return _rest(self.state, n_frames)

    def _pass_over(self, frames: slice) -> None:
        self.state.frames[frames, kernel.LAYER] = len(self.task.network.hidden)
        self.state.shares[frames, kernel.SHARE] = 0.0


class _Exact:
    """Answers the kernel's queries over the integers: the sign of a neuron at a corner."""

    def __init__(self, net: Network, domain: Domain, exponent: int) -> None:
        self.net, self.domain, self.exponent = net, domain, exponent
        self.n_neurons = net.n_neurons
        self.n_answers = 0

    # Most searches of small networks ask nothing.

    @cached_property
    def maps(self) -> Composition:
        return Composition.of(self.net.integers.layers, self.net.n_inputs)

    @cached_property
    def sides(self) -> list[list[int]]:
        rows: list[list[int]] = self.domain.integer_rows.tolist()
        return rows

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
            state.points[u, :3], state.points[u, 3] = rounded_vector(vector, self.exponent)
            self.n_answers += 1
        state.totals[kernel.ANSWERED] = 1

    def _is_opposite(self, direction: list[int], places: NDArray[np.int32], bits: BoolArray) -> bool:
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


# --- from a network and a domain to arrays


def _polygons(net: Network, domain: Domain) -> list[_Polygon] | None:
    """Return polygons that together make up the domain; None if it contains a line that no neuron of layer 1 cuts."""
    n = net.n_neurons
    corners = domain.derived(_box_corners) if isinstance(domain, Box) else None
    if corners is not None:
        return [_Polygon(corners[0], [n + 2, n + 1, n + 3, n], {}, corners[1])]
    cells = pointed_cells(net, domain)
    if cells is None:
        return None
    exponent, sides = common_exponent(cells), range(n, n + len(domain.halfspaces[1]))
    return [_cyclic(cell, [*sides, *cell[2], INFINITY], exponent) for cell in cells]


def _box_corners(box: Box) -> tuple[FloatArray, int] | None:
    """Return the corners of a bounded box, as `State.points`, and the exponent of their scale."""
    far = float(max(np.abs(box.low).max(), np.abs(box.high).max()))
    if far == np.inf:
        return None
    (x_0, y_0), (x_1, y_1) = box.low, box.high
    corners = np.array([[x_0, y_0, 1.0, 0.0], [x_1, y_0, 1.0, 0.0], [x_1, y_1, 1.0, 0.0], [x_0, y_1, 1.0, 0.0]])
    exponent = int(far).bit_length()
    points = np.ldexp(corners, -exponent)
    # A power of two scales exactly, but for underflow.
    points[(np.ldexp(points, exponent) != corners).any(axis=1), kernel.RADIUS] = UNIT_ROUNDOFF
    return points, exponent


def _cyclic(cell: ExactCell, places: list[int], exponent: int) -> _Polygon:
    """Return a cell with its corners in order; of the rows, whose `places` are given, the first has a shared side."""
    generators, facets, bits = cell
    after: dict[int, tuple[int, int]] = {}
    inside = [sum(values) for values in zip(*generators, strict=True)]
    for bit, place in enumerate(places):
        on = [k for k, mask in enumerate(facets) if mask >> bit & 1]
        if len(on) == 2:
            (a_0, a_1, a_2), (b_0, b_1, b_2) = (generators[k] for k in on)
            normal = a_1 * b_2 - a_2 * b_1, a_2 * b_0 - a_0 * b_2, a_0 * b_1 - a_1 * b_0
            begin, end = on if dot(inside, normal) > 0 else on[::-1]
            after.setdefault(begin, (end, place))
    order = [0]
    while (following := after[order[-1]][0]) != 0:
        order.append(following)
    rounded = [rounded_vector(generators[k], exponent) for k in order]
    points = np.array([[*vector, radius] for vector, radius in rounded])
    return _Polygon(points, [after[k][1] for k in order], bits, exponent)


def _side_rows(domain: Domain) -> FloatArray:
    """Return the rows of the domain, positive inside; exact."""
    A, b = domain.halfspaces
    return np.column_stack([-A, b])


def _spans(net: Network) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return `State.span` and `State.sums_at`."""
    spans = [0] * len(net.hidden)
    for layer in net.hidden:
        for source in layer.weights:
            if source > 0:
                spans[source - 1] += (_N_INPUTS + 2) * layer.width
    starts = accumulate((span * (width + 1) for span, width in zip(spans, net.widths, strict=True)), initial=0)
    return np.array(spans), np.array([*starts])


def _masks(net: Network) -> NDArray[np.uint64]:
    """Return `State.masks`."""
    slopes = np.concatenate([np.asarray(layer.slopes) for layer in net.hidden])
    flags = np.stack([slopes[:, 0] == slopes[:, 1], slopes[:, 0] != 0, slopes[:, 1] != 0])
    masks = np.zeros((3, -(-net.n_neurons // 64) * 8), np.uint8)
    masks[:, : -(-net.n_neurons // 8)] = pack(flags)
    return masks.view(np.uint64)


def _search(engine: PolygonEngine, task: Task, roots: list[_Polygon]) -> _Search:
    """Return a search with a frame for each root."""
    room = engine.pool + 2 * sum(len(root.points) for root in roots)
    arrays = _Search.stock.arrays(task, len(roots), room, _allocated)
    _begin(arrays.state, task, roots)
    return _Search(engine, task, *arrays, 0, roots[0].exponent)


def _allocated(task: Task, n_roots: int, P: int) -> State:
    """Return the kernel's arrays, with room for P corners."""
    net = task.network
    n_layers, widest, words, F = len(net.hidden), max(net.widths), -(-net.n_neurons // 64), net.n_neurons + 1 + n_roots
    span, sums_at = net.derived(_spans)
    sampling = task.sampling or NO_SAMPLING
    return State(
        points=np.empty((P, 4)),
        lines=np.empty((P, 2), np.int64),
        polygon=np.empty((P, 2), np.int32),
        values=np.empty(P),
        signs=np.empty(P, np.int8),
        known=np.empty(P, np.int8),
        frames=np.empty((F, kernel.N_COLUMNS), np.int64),
        shares=np.empty((F, 3)),
        bits=np.empty((F, words), np.uint64),
        cuts=np.empty((F, words), np.uint64),
        left=np.empty((F, widest), np.int32),
        base=np.empty(n_layers, np.int64),
        span=span,
        sums_at=sums_at,
        sums=np.empty(int(sums_at[-1])),
        low=np.empty(widest),
        high=np.empty(widest),
        fixed=np.empty((2, words), np.uint64),
        masks=np.empty((3, words), np.uint64),
        sides=np.empty((len(task.domain.halfspaces[1]), _N_INPUTS + 1)),
        scratch=np.empty(n_layers, np.uint8),
        targets=sampling.targets.copy(),
        free=np.array([sampling.free]),
        phase=sampling.phases(),
        nodes=np.empty(len(sampling.targets)),
        leaves=np.empty(4),
        prices=np.empty((kernel.N_PRICES, n_layers)),
        totals=np.empty(kernel.N_TOTALS, np.int64),
        done=np.empty(1),
        residues=NO_RESIDUES,
    )


def _begin(state: State, task: Task, roots: list[_Polygon]) -> None:
    """Fill in what depends on the task, and a frame for each root."""
    net, sampling = task.network, task.sampling or NO_SAMPLING
    for array in (state.bits, state.cuts, state.fixed, state.nodes, state.leaves, state.totals, state.done):
        array.fill(0)
    state.masks[:], state.prices[:] = net.derived(_masks), net.derived(_prices)
    state.sides[:] = task.domain.derived(_side_rows)
    for neuron, bit in task.fixed.items():
        state.fixed[int(bit), neuron >> 6] |= np.uint64(1 << (neuron & 63))
    top, size = 0, sum(len(root.points) for root in roots)
    for frame, root in enumerate(roots):
        cell = slice(top, top + len(root.points))
        state.points[cell] = root.points
        state.lines[cell, 0], state.lines[cell, 1] = [root.sides[-1], *root.sides[:-1]], root.sides
        state.polygon[cell, 0], state.polygon[cell, 1] = range(top, cell.stop), root.sides
        state.frames[frame] = -1, top, len(root.points), size, 0, -1, 0, sampling.depth
        state.shares[frame] = 1.0 / len(roots), sampling.weight, 0.0
        for neuron, bit in root.bits.items():
            state.bits[frame, neuron >> 6] |= np.uint64(bit << (neuron & 63))
            state.cuts[frame, neuron >> 6] |= np.uint64(1 << (neuron & 63))
        top = cell.stop
    state.totals[kernel.N_FRAMES] = len(roots)
    state.totals[kernel.BOUNDED] = all(root.points[:, 2].all() for root in roots)


# Seconds: a decision, by neuron left; a leaf; of a layer that is entered each neuron; a product of the composition; a
# split.
PRICES = (1.5e-8, 3e-8, 2.5e-9, 1.5e-10, 7e-8)


def _prices(net: Network) -> FloatArray:
    """Return what the steps of the kernel cost in each layer, in seconds."""
    deciding, leaf, neuron, product, splitting = PRICES
    adding = product * count_products(net)[1]
    prices = np.empty((kernel.N_PRICES, len(net.hidden)))
    prices[kernel.DECIDING], prices[kernel.LEAF] = deciding, leaf
    # Sums are handed on and copied as well.
    prices[kernel.ENTERING] = neuron * np.array(net.widths) + np.append(0.0, adding[:-1])
    prices[kernel.ADDING], prices[kernel.SPLITTING] = adding, splitting + adding
    return prices


def _rest(state: State, n_frames: int) -> State:
    """Return a copy of the state with its oldest frames only."""
    rest = copied(state)._replace(residues=NO_RESIDUES)
    bounded = state.totals[kernel.BOUNDED]
    rest.totals[:], rest.done[:], rest.leaves[:], rest.nodes[:] = 0, 0.0, 0.0, 0.0
    rest.totals[kernel.N_FRAMES], rest.totals[kernel.BOUNDED] = n_frames, bounded
    return rest


_POOLED = ("points", "lines", "polygon", "values", "signs", "known")


def _grown(state: State) -> State:
    """Return the state with twice the room for corners and cells."""
    pooled = {name: getattr(state, name) for name in _POOLED}
    grown: dict[str, Any] = {name: np.concatenate([array, np.empty_like(array)]) for name, array in pooled.items()}
    return state._replace(**grown)

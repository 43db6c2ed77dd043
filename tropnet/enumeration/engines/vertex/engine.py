"""The vertex engine: cells by their generators in a compiled kernel; signs it cannot certify are settled exactly."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import BoolArray
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
from tropnet.enumeration.engines.residues import NO_RESIDUES
from tropnet.enumeration.engines.roots import ExactCell, below, common_exponent, dot, pointed_cells, rounded_vector
from tropnet.enumeration.engines.vertex import kernel
from tropnet.enumeration.engines.vertex.goals import NO_GOAL, pursuit_of
from tropnet.enumeration.engines.vertex.kernel import Stack
from tropnet.exact.elimination import null_vector
from tropnet.kernels import Record, copied
from tropnet.network.domain import Box, Domain
from tropnet.network.network import Network
from tropnet.network.recurrence import Composition
from tropnet.regions.row_index import INFINITY

__all__ = ["MAX_DIMENSION", "VertexEngine"]

_MAX_FACETS = 64
MAX_DIMENSION = 8


class _Root(NamedTuple):
    """A cell to start from: its generators, rounded, and neurons decided to get it."""

    X: FloatArray  # (G, D)
    radius: FloatArray  # (G,)
    tight: NDArray[np.uint64]  # (G,)
    simple: bool
    bits: dict[int, bool]

    @classmethod
    def of(
        cls, generators: Sequence[tuple[int, ...]], facets: Sequence[int], bits: dict[int, bool], exponent: int
    ) -> _Root:
        """Return the cell of exact generators, homogeneous integers; vertices as (x, 1) / 2**exponent."""
        rounded = [rounded_vector(vector, exponent) for vector in generators]
        return cls(
            np.array([X for X, _ in rounded]),
            np.array([radius for _, radius in rounded]),
            np.array(facets, np.uint64),
            all(mask.bit_count() == len(generators[0]) - 1 for mask in facets),
            bits,
        )


@final
@dataclass(frozen=True)
class VertexEngine(Engine):
    """Cells by their vertices and rays, compiled, in low dimension.

    Attributes
    ----------
    pool, buffer, steps
        Room for generators to begin with, regions a chunk (at least 2), and steps between two looks at the outside.
    seconds_per_chunk
        For the linear programs that settle what the kernel leaves open.
    """

    name = "vertex"
    abilities = frozenset(Ability)
    compiled = True
    divides = True
    pool: int = 1 << 8
    buffer: int = 1 << 14
    steps: int = 1 << 18
    seconds_per_chunk: float = Engine.seconds_per_chunk

    def _plan(self, task: Task) -> Plan | Refusal:
        roots = _roots(task.network, task.domain)
        if roots is not None:
            return _VertexPlan(self, task, roots)
        return Refusal(
            f"engine 'vertex' needs at most {MAX_DIMENSION} inputs, a hidden layer, and a domain of fewer than"
            f" {_MAX_FACETS} sides that, together with the first layer, contains no line; use engine='simplex' or 'lp'."
        )


@final
@dataclass(frozen=True)
class _VertexPlan(Plan):
    engine: VertexEngine
    task: Task
    roots: list[_Root]

    def run(self, builder: ChunkBuilder) -> Generator[Chunk, None, None]:
        return _enumerate(self.engine, self.task, self.roots, builder)

    def adapted(self, task: Task) -> Plan | Refusal:
        """Return the plan for another task: the roots are those of the network and the domain."""
        return replace(self, task=task)


def _enumerate(
    engine: VertexEngine, task: Task, roots: list[_Root], builder: ChunkBuilder
) -> Generator[Chunk, None, None]:
    """Search from the roots."""
    if not roots:
        # Nothing to start from means that the domain has no interior, which this says.
        root_backend(task.backend, task.domain, task.tolerances)
    return _search(engine, task, below(task.fixed, roots)).run(builder)


class _Search(VertexSearch):
    """The vertex kernel, driven."""

    kernel: ClassVar[Any] = kernel
    stock: ClassVar[Stock] = Stock()
    # Both sides of a last branching.
    at_once: ClassVar[int] = 2

    def _exact_signs(self) -> ExactSigns:
        return _Exact(self.task.network, self.task.domain)

    def _grow(self) -> None:
        self.state = _grown(self.state)

    def _take_back(self) -> None:
        self.state.totals[kernel.N_MEMO] = 0

    def _frame(self, frame: int) -> Frame:
        stack = self.state
        layer, slots = int(stack.layer[frame]), _ones(int(stack.open[frame]))
        first = sum(self.task.network.widths[:layer])
        later = stack.later[frame, : stack.n_later[frame]].tolist()
        left = {first + i for i in [*stack.slots[stack.level[frame], slots].tolist(), *later]}
        return Frame(layer, left, float(stack.share[frame]), int(stack.depth[frame]), float(stack.weight[frame]))

    def _oldest(self, n_frames: int) -> Stack:
        return _rest(self.state, n_frames, self.engine.pool)

    def _pass_over(self, frames: slice) -> None:
        stack = self.state
        stack.layer[frames], stack.share[frames] = len(self.task.network.hidden), 0.0
        stack.open[frames], stack.n_later[frames] = 0, 0


class _Exact:
    """Answers the kernel's queries over the integers: the sign of a neuron at a generator."""

    def __init__(self, net: Network, domain: Domain) -> None:
        self.net, self.domain = net, domain
        self.n_neurons = net.n_neurons
        self.infinity = [0] * net.n_inputs + [1]
        self.n_answers = 0

    # Most searches of small networks ask nothing.

    @cached_property
    def maps(self) -> Composition:
        return Composition.of(self.net.integers.layers, self.net.n_inputs)

    @cached_property
    def sides(self) -> list[list[int]]:
        rows: list[list[int]] = self.domain.integer_rows.tolist()
        return rows

    def answer(self, stack: Stack) -> None:
        """Set the signs asked for in `memo`, and make those generators as exact as float64 allows."""
        frame = stack.totals[kernel.N_FRAMES] - 1
        layer = int(stack.layer[frame])
        bits = unpacked(stack.bits[frame], self.n_neurons)
        neuron = stack.asked[0]
        row = self.maps.follow(bits, layer)[neuron].tolist()
        owners = stack.owner[frame].tolist()
        indices = stack.members[stack.start[frame] : stack.start[frame] + stack.size[frame]]
        used = int(np.bitwise_or.reduce(stack.tight[indices]))
        cell = {bit: self._row(owners[bit], bits) for bit in _ones(used)}
        for m in range(stack.totals[kernel.N_MEMO]):
            u, sign = stack.memo[m].tolist()
            if sign != 2:
                continue
            tight = _ones(int(stack.tight[u]))
            vector = null_vector([cell[bit] for bit in tight])
            if any(dot(other, vector) < 0 for other in cell.values()):
                vector = [-x for x in vector]
            value = dot(row, vector)
            last = stack.X[u, len(vector) - 1]
            exponent = 1 - math.frexp(last)[1] if last > 0 else 0
            stack.memo[m, 1] = (value > 0) - (value < 0)
            stack.X[u, : len(vector)], stack.radius[u] = rounded_vector(vector, exponent)
            self.n_answers += 1

    def _row(self, owner: int, bits: BoolArray) -> list[int]:
        """Return the row of a facet's owner, positive inside the cell."""
        if owner == INFINITY:
            return self.infinity
        if owner >= self.n_neurons:
            return self.sides[owner - self.n_neurons]
        row: list[int] = self.maps.row(owner).tolist()
        return row if bits[owner] else [-x for x in row]


def _ones(mask: int) -> list[int]:
    return [bit for bit in range(mask.bit_length()) if mask >> bit & 1]


# --- from a network and a domain to arrays


def _roots(net: Network, domain: Domain) -> list[_Root] | None:
    """Return pointed cells that together make up the domain, or None."""
    if not net.hidden or net.n_inputs > MAX_DIMENSION:
        return None
    root = domain.derived(_box_root) if isinstance(domain, Box) else None
    if root is not None:
        return [root]
    cells = pointed_cells(net, domain, _MAX_FACETS - 1)
    return None if cells is None else _rounded_roots(cells)


def _rounded_roots(cells: list[ExactCell]) -> list[_Root]:
    """Return cells to start from, all vertices in one scale."""
    exponent = common_exponent(cells)
    return [_Root.of(*cell, exponent) for cell in cells]


def _box_root(box: Box) -> _Root | None:
    """Return a bounded box as a cell: its corners, and the d sides on which each lies."""
    d, ends = len(box.low), np.array([box.low, box.high])
    far = float(np.abs(ends).max())
    if far == np.inf:
        return None
    upper = np.arange(1 << d)[:, None] >> np.arange(d - 1, -1, -1) & 1
    corners = np.ones((1 << d, d + 1))
    corners[:, :-1] = ends[upper, np.arange(d)]
    exponent = int(far).bit_length()
    X = np.ldexp(corners, -exponent)
    # A power of two scales exactly, but for underflow.
    exact = np.ldexp(X, exponent) == corners
    tight = (np.uint64(1) << (2 * np.arange(d) + upper).astype(np.uint64)).sum(axis=1, dtype=np.uint64)
    return _Root(X, np.where(exact.all(axis=1), 0.0, UNIT_ROUNDOFF), tight, True, {})


def _side_rows(domain: Domain) -> FloatArray:
    """Return the rows of the domain, positive inside, and that of infinity; exact."""
    A, b = domain.halfspaces
    return np.concatenate([np.column_stack([-A, b]), np.eye(1, domain.dimension + 1, domain.dimension)])


def _search(engine: VertexEngine, task: Task, roots: list[_Root]) -> _Search:
    """Return a search with a frame for each root and its generators in the pool."""
    room = engine.pool + 2 * sum(len(root.X) for root in roots)
    arrays = _Search.stock.arrays(task, len(roots), room, _allocated)
    _begin(arrays.state, task, roots)
    return _Search(engine, task, *arrays, 0)


def _allocated(task: Task, n_roots: int, P: int) -> Stack:
    """Return the kernel's arrays, with room for P generators."""
    net = task.network
    D, n, n_layers = net.n_inputs + 1, net.n_neurons, len(net.hidden)
    widest = max(net.widths)
    words = -(-n // 64)
    F = n_roots + n + 2
    n_slots = min(widest, kernel.MOST_SLOTS)
    # Each of them fills its slots, or is the last of a layer.
    n_levels = n_layers + n // n_slots + 1
    sampling = task.sampling or NO_SAMPLING
    return Stack(
        X=np.zeros((P, D + n_slots)),
        radius=np.zeros(P),
        tight=np.zeros(P, np.uint64),
        positive=np.zeros(P, np.uint64),
        negative=np.zeros(P, np.uint64),
        zero=np.zeros(P, np.uint64),
        members=np.zeros(P, np.int32),
        owner=np.zeros((F, _MAX_FACETS), np.int32),
        layer=np.zeros(F, np.int64),
        start=np.zeros(F, np.int64),
        size=np.zeros(F, np.int64),
        top=np.zeros(F, np.int64),
        simple=np.zeros(F, np.bool_),
        spread=np.zeros(F),
        level=np.zeros(F, np.int64),
        open=np.zeros(F, np.uint64),
        some_positive=np.zeros(F, np.uint64),
        some_negative=np.zeros(F, np.uint64),
        some_zero=np.zeros(F, np.uint64),
        certain=np.zeros(F, np.uint64),
        tried=np.zeros(F, np.bool_),
        n_later=np.zeros(F, np.int64),
        later=np.zeros((F, widest), np.int32),
        layers=np.zeros(n_levels, np.int64),
        n_slots=np.zeros(n_levels, np.int64),
        slots=np.zeros((n_levels, n_slots), np.int32),
        norms=np.zeros((n_levels, n_slots)),
        wrong=np.zeros((n_levels, n_slots)),
        share=np.zeros(F),
        bits=np.zeros((F, words), np.uint64),
        cuts=np.zeros((F, words), np.uint64),
        sides=np.zeros((len(task.domain.halfspaces[1]) + 1, D)),
        fixed=np.zeros(n, np.uint8),
        state=np.zeros(n, np.uint8),
        listed=np.zeros((n_layers, widest), np.int32),
        n_listed=np.zeros(n_layers, np.int64),
        low=np.zeros(widest),
        high=np.zeros(widest),
        z=np.zeros(widest),
        gathered=np.zeros(D * widest),
        candidates=np.zeros(widest, np.int32),
        bounds=np.zeros(n_slots),
        all=np.zeros(P, np.int32),
        across=np.zeros(P, np.int32),
        across_tight=np.zeros(P, np.uint64),
        flat_start=np.zeros(D + 1, np.int64),
        flat_size=np.zeros(D + 1, np.int64),
        flat_open=np.zeros(D + 1, np.uint64),
        flat_top=np.zeros(D + 1, np.int64),
        flat_simple=np.zeros(D + 1, np.bool_),
        asked=np.zeros(2, np.int64),
        rows=np.zeros((D, D)),
        inverse=np.zeros((D, D)),
        errors=np.zeros(D),
        residual=np.zeros(D),
        order=np.zeros(D, np.int64),
        row_x=np.zeros(D),
        row_m=np.zeros(D),
        scratch=np.zeros(n + n_layers, np.uint8),
        memo=np.zeros((P, 2), np.int64),
        targets=sampling.targets.copy(),
        free=np.array([sampling.free]),
        depth=np.zeros(F, np.int64),
        weight=np.zeros(F),
        phase=sampling.phases(),
        nodes=np.zeros(len(sampling.targets)),
        leaves=np.zeros(4),
        prices=np.zeros((kernel.N_PRICES, n_layers)),
        totals=np.zeros(kernel.N_TOTALS, np.int64),
        done=np.zeros(1),
        residues=NO_RESIDUES,
        goal=NO_GOAL if task.goal is None else Record(pursuit_of(net, task.goal)),
    )


def _begin(stack: Stack, task: Task, roots: list[_Root]) -> None:
    """Fill in what depends on the task, and a frame for each root."""
    net, n, D, sampling = task.network, task.network.n_neurons, task.network.n_inputs + 1, task.sampling or NO_SAMPLING
    # What is in the pool is written before it is read.
    for name in _CLEARED:
        getattr(stack, name).fill(0)
    sides = task.domain.derived(_side_rows)
    stack.sides[:], stack.prices[:] = sides, net.derived(_prices)
    stack.level[:] = -1
    stack.layer[:], stack.share[:] = -1, 1 / max(len(roots), 1)
    stack.top[:] = sum(len(root.X) for root in roots)
    stack.fixed[:], stack.depth[:], stack.weight[:] = kernel.FREE, sampling.depth, sampling.weight
    for neuron, bit in task.fixed.items():
        stack.fixed[neuron] = bit
    top = 0
    for frame, root in enumerate(roots):
        cell = slice(top, top + len(root.X))
        owners = [*range(n, n + len(sides) - 1), *root.bits, INFINITY]
        stack.owner[frame, : len(owners)] = owners
        for neuron, bit in root.bits.items():
            stack.bits[frame, neuron >> 6] |= np.uint64(bit << (neuron & 63))
            stack.cuts[frame, neuron >> 6] |= np.uint64(1 << (neuron & 63))
        stack.start[frame], stack.size[frame] = top, len(root.X)
        stack.X[cell, :D], stack.radius[cell], stack.tight[cell] = root.X, root.radius, root.tight
        stack.members[cell] = np.arange(top, cell.stop)
        stack.spread[frame] = root.radius.max()
        stack.simple[frame] = root.simple
        top = cell.stop
    stack.totals[kernel.N_FRAMES] = len(roots)


# Seconds, by fit of the times of many searches (benchmarks/prices.py): a decision, of each generator and coordinate
# that it looks at; a leaf; of a layer that is entered each neuron, and its range by generator and coordinate; a product
# of the composition; a split, and of each pair of generators; a generator computed anew, by D squared (as measured on
# ACAS Xu: in random networks these are few).
PRICES = (2.13e-7, 3.28e-9, 0.0, 4.49e-9, 1.01e-10, 8.27e-11, 2.93e-7, 7.37e-11, 2.0e-8)


def _prices(net: Network) -> FloatArray:
    """Return what the steps of the kernel cost in each layer, in seconds."""
    deciding, looking, leaf, neuron, ranging, product, splitting, pairing, refining = PRICES
    D, widths = net.n_inputs + 1, np.array(net.widths, dtype=np.float64)
    entering, completing = count_products(net)
    prices = np.empty((kernel.N_PRICES, len(widths)))
    prices[kernel.DECIDING], prices[kernel.LOOKING] = deciding, looking * D
    prices[kernel.LEAF] = leaf
    prices[kernel.ENTERING], prices[kernel.RANGING] = neuron * widths + product * entering, ranging * D * widths
    prices[kernel.COMPLETING] = product * completing
    prices[kernel.SPLITTING], prices[kernel.PAIRING] = splitting, pairing
    prices[kernel.REFINING] = refining * D * D
    return prices


def _rest(stack: Stack, n_frames: int, pool: int) -> Stack:
    """Return a copy of the stack with its oldest frames only, and the room for generators that they need."""
    top = n_frames - 1
    used = max(int(stack.top[top]), int(stack.start[top] + stack.size[top]))
    pooled = {name: getattr(stack, name) for name in _POOLED}
    small = stack._replace(**{name: array[: 2 * used + pool] for name, array in pooled.items()})
    goal = stack.goal
    if len(goal.state.about):
        # What is best is known to all.
        goal = Record(copied(goal.state)._replace(best=goal.state.best))
    rest = copied(small)._replace(residues=NO_RESIDUES, goal=goal)
    rest.totals[:], rest.done[:] = 0, 0.0
    rest.totals[kernel.N_FRAMES] = n_frames
    return rest


_POOLED = (
    *("X", "radius", "tight", "positive", "negative", "zero", "members", "all", "across", "across_tight", "memo"),
)
_CLEARED = [
    name
    for name in Stack._fields
    if name not in (*_POOLED, "sides", "prices", "targets", "free", "phase", "residues", "goal")
]


def _grown(stack: Stack) -> Stack:
    """Return the stack with twice the room for generators and their lists."""
    pooled = {name: getattr(stack, name) for name in _POOLED}
    grown: dict[str, Any] = {name: np.concatenate([array, np.zeros_like(array)]) for name, array in pooled.items()}
    return stack._replace(**grown)

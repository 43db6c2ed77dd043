"""The vertex engine: cells by their generators in a compiled kernel; signs it cannot certify are settled exactly."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple, final

import numpy as np

from tropnet.arrays.patterns import BoolArray, unpack
from tropnet.arrays.rounding import UNIT_ROUNDOFF
from tropnet.arrays.types import FloatArray, IntegerArray
from tropnet.enumeration.algorithm_1 import root_backend
from tropnet.enumeration.engine import Ability, Chunk, ChunkBuilder, Engine, Plan, Refusal, Sample, Sampling, Task
from tropnet.enumeration.engines.composition import make_problem, make_rows
from tropnet.enumeration.engines.lp import enumerate_by_lp
from tropnet.enumeration.engines.pointed import pointed_rows
from tropnet.enumeration.engines.vertex import kernel
from tropnet.enumeration.engines.vertex.kernel import Out, Stack, search
from tropnet.exact.certificates import Witness, witness_is_inside
from tropnet.exact.dyadic import to_integers
from tropnet.exact.elimination import null_vector
from tropnet.geometry.polyhedron import Polyhedron
from tropnet.network.domain import Box, Domain, WholeSpace
from tropnet.network.network import Network
from tropnet.network.recurrence import Composition
from tropnet.regions.row_index import INFINITY, RowIndex

__all__ = ["VertexEngine"]

_MAX_FACETS = 64
_MAX_DIMENSION = 8


class _Root(NamedTuple):
    """A cell to start from: exact generators (homogeneous integers), their facets, neurons decided to get it."""

    generators: list[tuple[int, ...]]
    facets: list[int]
    bits: dict[int, bool]


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
    pool: int = 1 << 12
    buffer: int = 1 << 14
    steps: int = 1 << 18
    seconds_per_chunk: float = Engine.seconds_per_chunk

    def _plan(self, task: Task) -> Plan | Refusal:
        roots = _roots(task.network, task.domain)
        if roots is not None:
            return _VertexPlan(self, task, roots)
        return Refusal(
            f"engine 'vertex' needs at most {_MAX_DIMENSION} inputs, a hidden layer, and a domain of fewer than"
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
    """Run the kernel, and do in between what it leaves to others: exact signs, more room, subtrees by lp."""
    net = task.network
    if not roots:
        # Nothing to start from means that the domain has no interior, which this says.
        root_backend(task.backend, task.domain, task.tolerances)
    problem, stack = make_problem(net), _stack(task, roots, engine.pool)
    rows, exact = make_rows(net, problem), _Exact(net, task.domain)
    # The kernel lists both sides of a last branching at once.
    size = max(engine.buffer, 2) if not task.only_count else 1
    words = stack.bits.shape[1]
    out = Out(
        np.empty((size, words), np.uint64),
        np.empty((size, words), np.uint64),
        np.empty((size, net.n_inputs)),
        np.empty(size, np.bool_),
        np.empty((size if task.facets else 0, -(-(net.n_neurons + len(stack.sides) - 1) // 64)), np.uint64),
    )
    status, seconds_exact = kernel.FULL, 0.0
    while status != kernel.DONE:
        status, n_regions = search(problem, rows, stack, out, not task.only_count, engine.steps)
        builder.fraction = min(float(stack.done[0]), 1.0) if status != kernel.DONE else 1.0
        begin = time.perf_counter()
        aside = None
        if status == kernel.GROW:
            stack = _grown(stack)
        elif status == kernel.QUERY and task.tolerances.exact_pivots > 0:
            exact.answer(stack)
        elif status in (kernel.QUERY, kernel.ASIDE):
            aside = _top(task, stack)
        seconds_exact += time.perf_counter() - begin
        totals = stack.totals.tolist()
        builder.counters.update(
            decisions=totals[kernel.DECISIONS],
            branchings=totals[kernel.BRANCHINGS],
            uncertain=totals[kernel.UNCERTAIN],
            settled_exactly=exact.n_answers,
            seconds_exact=seconds_exact,
        )
        if n_regions or status == kernel.DONE:
            yield replace(_chunk(task, builder, out, n_regions), sample=_sample(task, stack))
        if aside is not None:
            builder.count("subtrees_by_lp")
            for chunk in enumerate_by_lp(aside, builder.sibling()):
                yield replace(chunk, fraction=builder.fraction, counters=dict(builder.counters))


def _sample(task: Task, stack: Stack) -> Sample | None:
    """Take out what was seen of a sampled tree."""
    if task.sampling is None:
        return None
    sample = Sample(float(stack.leaves[0]), stack.nodes.copy())
    stack.leaves[:], stack.nodes[:] = 0.0, 0.0
    return sample


def _top(task: Task, stack: Stack) -> Task:
    """Take the top frame off; return its subtree: all earlier layers, and what is decided of its own."""
    net = task.network
    frame = stack.totals[kernel.N_FRAMES] - 1
    stack.totals[kernel.N_FRAMES] -= 1
    stack.totals[kernel.N_MEMO] = 0
    stack.done[0] += stack.share[frame]
    bits = _unpacked(stack.bits[frame], net.n_neurons)
    layer = int(stack.layer[frame])
    first = sum(net.widths[:layer])
    slots = _ones(int(stack.open[frame]))
    later = stack.later[frame, : stack.n_later[frame]].tolist()
    left = {first + i for i in [*stack.slots[stack.level[frame], slots].tolist(), *later]}
    decided = {j: bool(bits[j]) for j in range(first + net.widths[layer]) if j not in left}
    # What was fixed of neurons that are still to come stays fixed.
    fixed = {**task.fixed, **decided}
    sampling = task.sampling and replace(
        task.sampling, depth=int(stack.depth[frame]), weight=float(stack.weight[frame])
    )
    return replace(task, fixed=fixed, sampling=sampling)


def _unpacked(words: np.ndarray[tuple[int, ...], np.dtype[np.uint64]], n: int) -> BoolArray:
    bits: BoolArray = unpack(words.reshape(1, -1).view(np.uint8), n)[0]
    return bits


def _chunk(task: Task, builder: ChunkBuilder, out: Out, n: int) -> Chunk:
    """Copy the kernel's output; find an exact witness where its point is not proven to lie inside."""
    net = task.network
    if task.only_count:
        empty = np.empty((0, -(-net.n_neurons // 8)), np.uint8)
        points = np.empty((0, net.n_inputs))
        return Chunk(empty, empty, points, {}, (), builder.fraction, dict(builder.counters), n)
    packed, cuts = (words[:n].view(np.uint8)[:, : -(-net.n_neurons // 8)].copy() for words in (out.bits, out.cuts))
    points, inside = out.points[:n].copy(), out.inside[:n].copy()
    facets = None
    if task.facets:
        n_bytes = -(-RowIndex.of(net, task.domain).n_places // 8)
        facets = out.facets[:n].view(np.uint8)[:, :n_bytes].copy()
    rational = {}
    for i in np.flatnonzero(~inside).tolist():
        pattern, cut = (unpack(columns[i : i + 1], net.n_neurons)[0] for columns in (packed, cuts))
        witness = _exact_witness(task, pattern, cut, points[i], builder.seconds_per_chunk)
        builder.count("exact_witnesses")
        if witness is None:
            continue
        inside[i] = True
        points[i] = witness.point
        if not witness.is_float:
            rational[i] = witness
    undecided: tuple[tuple[bool, ...], ...] = ()
    if not inside.all():
        undecided = tuple(map(tuple, unpack(packed[~inside], net.n_neurons).tolist()))
        new_index = np.cumsum(inside) - 1
        rational = {int(new_index[i]): witness for i, witness in rational.items()}
        packed, cuts, points = packed[inside], cuts[inside], points[inside]
        facets = None if facets is None else facets[inside]
    return Chunk(
        packed, cuts, points, rational, undecided, builder.fraction, dict(builder.counters), packed_facets=facets
    )


def _exact_witness(
    task: Task, pattern: BoolArray, cuts: BoolArray, guess: FloatArray, seconds_per_chunk: float
) -> Witness | None:
    """Return a proven point inside a region: the guess if exact signs prove it, else by the lp engine."""
    maps = np.concatenate(task.network.integer_maps(pattern)[:-1])
    rows = [*task.domain.integer_rows, *(maps * np.where(pattern, 1, -1).astype(object)[:, None])[cuts]]
    if np.isfinite(guess).all():
        witness = Witness.at(guess)
        if witness_is_inside(rows, witness):
            return witness
    fixed = dict(enumerate(pattern.tolist()))
    task = replace(task, fixed=fixed, only_count=False, sampling=None)
    chunks = enumerate_by_lp(task, ChunkBuilder(len(pattern), len(guess), seconds_per_chunk=seconds_per_chunk))
    return next((chunk.witness(0) for chunk in chunks if len(chunk.packed)), None)


class _Exact:
    """Answers the kernel's queries over the integers: the sign of a neuron at a generator."""

    def __init__(self, net: Network, domain: Domain) -> None:
        self.maps = Composition.of(net.integers.layers, net.n_inputs)
        self.n_neurons = net.n_neurons
        self.sides = domain.integer_rows.tolist()
        self.infinity = [0] * net.n_inputs + [1]
        self.n_answers = 0

    def answer(self, stack: Stack) -> None:
        """Set the signs asked for in `memo`, and make those generators as exact as float64 allows."""
        frame = stack.totals[kernel.N_FRAMES] - 1
        layer = int(stack.layer[frame])
        bits = _unpacked(stack.bits[frame], self.n_neurons)
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
            if any(_dot(other, vector) < 0 for other in cell.values()):
                vector = [-x for x in vector]
            value = _dot(row, vector)
            last = stack.X[u, len(vector) - 1]
            exponent = 1 - math.frexp(last)[1] if last > 0 else 0
            stack.memo[m, 1] = (value > 0) - (value < 0)
            stack.X[u, : len(vector)], stack.radius[u] = _rounded(vector, exponent)
            self.n_answers += 1

    def _row(self, owner: int, bits: BoolArray) -> list[int]:
        """Return the row of a facet's owner, positive inside the cell."""
        if owner == INFINITY:
            return self.infinity
        if owner >= self.n_neurons:
            side: list[int] = self.sides[owner - self.n_neurons]
            return side
        row: list[int] = self.maps.row(owner).tolist()
        return row if bits[owner] else [-x for x in row]


def _ones(mask: int) -> list[int]:
    return [bit for bit in range(mask.bit_length()) if mask >> bit & 1]


def _dot(row: list[int], vector: list[int]) -> int:
    return sum(a * x for a, x in zip(row, vector, strict=True))


def _rounded(vector: list[int] | tuple[int, ...], exponent: int) -> tuple[list[float], float]:
    """Return a generator rounded once, and a bound on that; a vertex as (x, 1) / 2**exponent."""
    divisor = vector[-1] << exponent
    if divisor == 0 or max(map(abs, vector)) > divisor:
        divisor = 1 << max(map(abs, vector)).bit_length()
    rounded = [value / divisor for value in vector]
    ratios = [x.as_integer_ratio() for x in rounded]
    exact = all(n * divisor == value * m for (n, m), value in zip(ratios, vector, strict=True))
    return rounded, 0.0 if exact else UNIT_ROUNDOFF


# --- from a network and a domain to arrays


def _roots(net: Network, domain: Domain) -> list[_Root] | None:
    """Return pointed cells that together make up the domain, or None.

    If the domain contains lines, as R^d does, neurons of the first layer are decided first: d independent hyperplanes
    leave cells with a vertex, whatever their signs.
    """
    d = net.n_inputs
    if not net.hidden or d > _MAX_DIMENSION:
        return None
    if isinstance(domain, Box) and np.isfinite([domain.low, domain.high]).all():
        return [_box_root(domain)]
    sides: IntegerArray = domain.integer_rows
    first = net.hidden[0]
    chosen = pointed_rows(first, domain.halfspaces[0])
    if chosen is None or len(sides) + len(chosen.neurons) >= _MAX_FACETS:
        return None
    rows, neurons = to_integers(np.column_stack([first.weights[0], first.bias]))[0], chosen.neurons
    if isinstance(domain, WholeSpace):
        return _orthants(rows, neurons)
    roots = []
    for signs in product((False, True), repeat=len(neurons)):
        cuts = [rows[i] if bit else -rows[i] for i, bit in zip(neurons, signs, strict=True)]
        cell = np.array([*sides, *cuts], dtype=object).reshape(-1, d + 1)
        generators = Polyhedron(cell).generators()
        if not generators:
            continue
        inside = [sum(values) for values in zip(*(vector for vector, _ in generators), strict=True)]
        if inside[-1] <= 0 or any(_dot(row, inside) <= 0 for row in cell.tolist()):
            continue
        vectors, facets = zip(*generators, strict=True)
        # Facets of the cell are numbered as the sides, then the neurons, then infinity.
        roots.append(_Root(list(vectors), list(facets), dict(zip(neurons, signs, strict=True))))
    return roots


def _box_root(box: Box) -> _Root:
    """Return a bounded box as a cell: its corners, and the d sides on which each lies."""
    d = len(box.low)
    corners = to_integers(np.column_stack([box.low, box.high]))
    one = 1 << corners[1]
    vectors, facets = [], []
    for sides in product((0, 1), repeat=d):
        vectors.append((*(corners[0][k, side] for k, side in enumerate(sides)), one))
        facets.append(sum(1 << (2 * k + side) for k, side in enumerate(sides)))
    return _Root(vectors, facets, {})


def _orthants(rows: IntegerArray, neurons: list[int]) -> list[_Root]:
    """Return the 2**d cells of d independent hyperplanes: cones with one vertex."""
    d = len(neurons)
    basis = [rows[i].tolist() for i in neurons] + [[0] * d + [1]]
    generators = []
    for k, row in enumerate(basis):
        vector = null_vector([other for m, other in enumerate(basis) if m != k])
        generators.append(vector if _dot(row, vector) > 0 else [-x for x in vector])
    everything = (1 << (d + 1)) - 1
    roots = []
    for signs in product((False, True), repeat=d):
        vectors = [
            tuple(vector) if bit else tuple(-x for x in vector)
            for vector, bit in zip(generators, (*signs, True), strict=True)
        ]
        facets = [everything & ~(1 << k) for k in range(d + 1)]
        roots.append(_Root(vectors, facets, dict(zip(neurons, signs, strict=True))))
    return roots


def _stack(task: Task, roots: list[_Root], pool: int) -> Stack:
    """Allocate the kernel's arrays, with a frame for each root and its generators in the pool."""
    net = task.network
    D, n, n_layers = net.n_inputs + 1, net.n_neurons, len(net.hidden)
    widest = max(net.widths)
    words = -(-n // 64)
    n_generators = sum(len(root.generators) for root in roots)
    P, F = pool + 2 * n_generators, len(roots) + n + 2
    n_slots = min(widest, kernel.MOST_SLOTS)
    # Each of them fills its slots, or is the last of a layer.
    n_levels = n_layers + n // n_slots + 1
    A, b = task.domain.halfspaces
    sides = np.concatenate([np.column_stack([-A, b]), np.eye(1, D, D - 1)])
    sampling = task.sampling or Sampling(np.empty(0), 0)
    stack = Stack(
        X=np.zeros((P, D + n_slots)),
        radius=np.zeros(P),
        tight=np.zeros(P, np.uint64),
        positive=np.zeros(P, np.uint64),
        negative=np.zeros(P, np.uint64),
        zero=np.zeros(P, np.uint64),
        members=np.zeros(P, np.int32),
        owner=np.zeros((F, _MAX_FACETS), np.int32),
        layer=np.full(F, -1),
        start=np.zeros(F, np.int64),
        size=np.zeros(F, np.int64),
        top=np.full(F, n_generators),
        simple=np.zeros(F, np.bool_),
        spread=np.zeros(F),
        level=np.full(F, -1),
        open=np.zeros(F, np.uint64),
        some_positive=np.zeros(F, np.uint64),
        some_negative=np.zeros(F, np.uint64),
        certain=np.zeros(F, np.uint64),
        tried=np.zeros(F, np.bool_),
        n_later=np.zeros(F, np.int64),
        later=np.zeros((F, widest), np.int32),
        n_slots=np.zeros(n_levels, np.int64),
        slots=np.zeros((n_levels, n_slots), np.int32),
        norms=np.zeros((n_levels, n_slots)),
        wrong=np.zeros((n_levels, n_slots)),
        share=np.full(F, 1 / max(len(roots), 1)),
        bits=np.zeros((F, words), np.uint64),
        cuts=np.zeros((F, words), np.uint64),
        sides=sides,
        fixed=np.full(n, kernel.FREE, np.uint8),
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
        keep=sampling.keep.copy(),
        depth=np.full(F, sampling.depth),
        weight=np.full(F, sampling.weight),
        random=np.array([sampling.seed | 1], np.uint64),
        nodes=np.zeros(len(sampling.keep)),
        leaves=np.zeros(1),
        totals=np.zeros(kernel.N_TOTALS, np.int64),
        done=np.zeros(1),
    )
    for neuron, bit in task.fixed.items():
        stack.fixed[neuron] = bit
    far = max(
        (abs(x) // w for root in roots for *vector, w in root.generators if w for x in vector),
        default=0,
    )
    exponent = int(far).bit_length()
    top, index = 0, RowIndex.of(net, task.domain)
    for frame, root in enumerate(roots):
        stack.start[frame], stack.size[frame] = top, len(root.generators)
        owners = [*index.sides.tolist(), *root.bits, INFINITY]
        stack.owner[frame, : len(owners)] = owners
        for neuron, bit in root.bits.items():
            stack.bits[frame, neuron >> 6] |= np.uint64(bit << (neuron & 63))
            stack.cuts[frame, neuron >> 6] |= np.uint64(1 << (neuron & 63))
        for vector, facets in zip(root.generators, root.facets, strict=True):
            stack.X[top, :D], stack.radius[top] = _rounded(vector, exponent)
            stack.tight[top], stack.members[top] = facets, top
            top += 1
        cell = slice(stack.start[frame], top)
        stack.spread[frame] = stack.radius[cell].max()
        stack.simple[frame] = all(mask.bit_count() == D - 1 for mask in root.facets)
    stack.totals[kernel.N_FRAMES] = len(roots)
    return stack


_POOLED = (
    *("X", "radius", "tight", "positive", "negative", "zero", "members", "all", "across", "across_tight", "memo"),
)


def _grown(stack: Stack) -> Stack:
    """Return the stack with twice the room for generators and their lists."""
    pooled = {name: getattr(stack, name) for name in _POOLED}
    return stack._replace(**{name: np.concatenate([array, np.zeros_like(array)]) for name, array in pooled.items()})

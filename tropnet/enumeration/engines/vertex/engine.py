"""The vertex engine: cells by their generators in a compiled kernel; signs it cannot certify are settled exactly."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from tropnet.arrays.patterns import BoolArray
from tropnet.arrays.rounding import UNIT_ROUNDOFF
from tropnet.enumeration.algorithm_1 import root_backend
from tropnet.enumeration.engine import Ability, Chunk, ChunkBuilder, Engine, Plan, Refusal, Sample, Sampling, Task
from tropnet.enumeration.engines.composition import make_problem, make_rows
from tropnet.enumeration.engines.listing import chunk_of, make_out, unpacked
from tropnet.enumeration.engines.lp import enumerate_by_lp
from tropnet.enumeration.engines.roots import Root, dot, pointed_roots
from tropnet.enumeration.engines.vertex import kernel
from tropnet.enumeration.engines.vertex.kernel import Stack, search
from tropnet.exact.elimination import null_vector
from tropnet.network.domain import Domain
from tropnet.network.network import Network
from tropnet.network.recurrence import Composition
from tropnet.regions.row_index import INFINITY, RowIndex

__all__ = ["VertexEngine"]

_MAX_FACETS = 64
_MAX_DIMENSION = 8


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
        net = task.network
        roots = pointed_roots(net, task.domain, _MAX_FACETS - 1) if net.n_inputs <= _MAX_DIMENSION else None
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
    roots: list[Root]

    def run(self, builder: ChunkBuilder) -> Generator[Chunk, None, None]:
        return _enumerate(self.engine, self.task, self.roots, builder)

    def adapted(self, task: Task) -> Plan | Refusal:
        """Return the plan for another task: the roots are those of the network and the domain."""
        return replace(self, task=task)


def _enumerate(
    engine: VertexEngine, task: Task, roots: list[Root], builder: ChunkBuilder
) -> Generator[Chunk, None, None]:
    """Run the kernel, and do in between what it leaves to others: exact signs, more room, subtrees by lp."""
    net = task.network
    if not roots:
        # Nothing to start from means that the domain has no interior, which this says.
        root_backend(task.backend, task.domain, task.tolerances)
    problem, stack = make_problem(net), _stack(task, roots, engine.pool)
    rows, exact = make_rows(net, problem), _Exact(net, task.domain)
    # The kernel lists both sides of a last branching at once.
    out = make_out(task, max(engine.buffer, 2))
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
            yield replace(chunk_of(task, builder, out, n_regions), sample=_sample(task, stack))
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
    bits = unpacked(stack.bits[frame], net.n_neurons)
    layer = int(stack.layer[frame])
    first = sum(net.widths[:layer])
    left = {first + i for i in stack.left[frame, : stack.n_left[frame]].tolist()}
    decided = {j: bool(bits[j]) for j in range(first + net.widths[layer]) if j not in left}
    # What was fixed of neurons that are still to come stays fixed.
    fixed = {**task.fixed, **decided}
    sampling = task.sampling and replace(
        task.sampling, depth=int(stack.depth[frame]), weight=float(stack.weight[frame])
    )
    return replace(task, fixed=fixed, sampling=sampling)


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
        bits = unpacked(stack.bits[frame], self.n_neurons)
        neuron = stack.left[frame, stack.n_left[frame] - 1]
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
            exponent = 1 - math.frexp(stack.X[u, -1])[1] if stack.X[u, -1] > 0 else 0
            stack.memo[m, 1] = (value > 0) - (value < 0)
            stack.X[u], stack.radius[u] = _rounded(vector, exponent)
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


def _stack(task: Task, roots: list[Root], pool: int) -> Stack:
    """Allocate the kernel's arrays, with a frame for each root and its generators in the pool."""
    net = task.network
    D, n, n_layers = net.n_inputs + 1, net.n_neurons, len(net.hidden)
    widest = max(net.widths)
    words = -(-n // 64)
    n_generators = sum(len(root.generators) for root in roots)
    P, F = pool + 2 * n_generators, len(roots) + n + 2
    A, b = task.domain.halfspaces
    sides = np.concatenate([np.column_stack([-A, b]), np.eye(1, D, D - 1)])
    sampling = task.sampling or Sampling(np.empty(0), 0)
    stack = Stack(
        X=np.zeros((P, D)),
        radius=np.zeros(P),
        tight=np.zeros(P, np.uint64),
        members=np.zeros(P, np.int32),
        owner=np.zeros((F, _MAX_FACETS), np.int32),
        layer=np.full(F, -1),
        start=np.zeros(F, np.int64),
        size=np.zeros(F, np.int64),
        top=np.full(F, n_generators),
        simple=np.zeros(F, np.bool_),
        spread=np.zeros(F),
        n_left=np.zeros(F, np.int64),
        left=np.zeros((F, widest), np.int32),
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
        values=np.zeros(P),
        signs=np.zeros(P, np.int8),
        across=np.zeros(P, np.int32),
        across_tight=np.zeros(P, np.uint64),
        row=np.zeros(D),
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
            stack.X[top], stack.radius[top] = _rounded(vector, exponent)
            stack.tight[top], stack.members[top] = facets, top
            top += 1
        cell = slice(stack.start[frame], top)
        stack.spread[frame] = stack.radius[cell].max()
        stack.simple[frame] = all(mask.bit_count() == D - 1 for mask in root.facets)
    stack.totals[kernel.N_FRAMES] = len(roots)
    return stack


_POOLED = ("X", "radius", "tight", "members", "values", "signs", "across", "across_tight", "memo")


def _grown(stack: Stack) -> Stack:
    """Return the stack with twice the room for generators and their lists."""
    pooled = {name: getattr(stack, name) for name in _POOLED}
    return stack._replace(**{name: np.concatenate([array, np.zeros_like(array)]) for name, array in pooled.items()})

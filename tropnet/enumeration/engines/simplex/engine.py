"""The simplex engine: cells by their rows, one vertex and one point, in a compiled kernel; any number of inputs."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from math import gcd
from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import BoolArray, PackedArray, pack, unpack
from tropnet.arrays.types import FloatArray, IntegerArray
from tropnet.enumeration.algorithm_1 import root_backend
from tropnet.enumeration.engine import Ability, Chunk, ChunkBuilder, Engine, Plan, Refusal, Sample, Sampling, Task
from tropnet.enumeration.engines.composition import EPS, Problem, Rows, make_problem, make_rows
from tropnet.enumeration.engines.lp import enumerate_by_lp
from tropnet.enumeration.engines.pointed import inverse_and_defect, pointed_rows, scaled, separable_inputs
from tropnet.enumeration.engines.simplex import cell as cells
from tropnet.enumeration.engines.simplex import kernel as kernel
from tropnet.enumeration.engines.simplex.cell import Cell, Tree
from tropnet.errors import TropnetError
from tropnet.exact.certificates import Witness
from tropnet.feasibility import Feasible, Infeasible, make_backend
from tropnet.feasibility.exact import solve_exactly
from tropnet.feasibility.tolerances import Tolerances
from tropnet.network.domain import Box, Domain, Polytope
from tropnet.network.network import Network
from tropnet.network.recurrence import Composition
from tropnet.regions.row_index import INFINITY, RowIndex

__all__ = ["CellFacets", "SimplexEngine", "SimplexSearch", "Start", "find_start", "lift", "restrict_inputs"]

_MAX_INPUTS = 128
_OFFSET = 1e-12
_MAX_DEFECT = 1e-2
_N_LEVELS = 8


class Start(NamedTuple):
    """How to start: inputs to keep, and independent rows (of the domain, of the first layer) that make cells pointed.

    A bounded box needs none.
    """

    inputs: list[int]
    sides: list[int]
    neurons: list[int]
    box: Box | None = None


@final
@dataclass(frozen=True)
class SimplexEngine(Engine):
    """Cells by their rows, one vertex and one point, compiled, for any number of inputs.

    Attributes
    ----------
    buffer, steps
        Regions a chunk, and steps of the kernel between two looks at the outside.
    """

    name = "simplex"
    abilities = frozenset(Ability)
    compiled = True
    buffer: int = 1 << 13
    steps: int = 1 << 16

    def _plan(self, task: Task) -> Plan | Refusal:
        start = find_start(task.network, task.domain, tuple(sorted(task.fixed)))
        if start is not None:
            return _SimplexPlan(self, task, start)
        return Refusal(
            f"engine 'simplex' needs a hidden layer, at most {_MAX_INPUTS} inputs (that the network tells apart), and a"
            " domain that together with the first layer contains no line, nor nearly one; use engine='lp'."
        )


@final
@dataclass(frozen=True)
class _SimplexPlan(Plan):
    engine: SimplexEngine
    task: Task
    start: Start

    def run(self, builder: ChunkBuilder) -> Generator[Chunk, None, None]:
        if len(self.start.inputs) < self.task.network.n_inputs:
            return _enumerate_slice(self.engine, self.task, self.start.inputs, builder)
        return SimplexSearch(self.engine, self.task, builder, self.start).run()


def _enumerate_slice(
    engine: SimplexEngine, task: Task, inputs: list[int], builder: ChunkBuilder
) -> Generator[Chunk, None, None]:
    """Enumerate where all but some inputs are 0: nothing depends on the others but through these."""
    net = task.network
    small_net, domain = restrict_inputs(net, task.domain, inputs)
    plan = engine.prepare(replace(task, network=small_net, domain=domain))
    if isinstance(plan, Refusal):
        raise TropnetError(plan.reason)

    # What it collects is only known once it is lifted, but the counters are shared.
    inner = ChunkBuilder(net.n_neurons, len(inputs), counters=builder.counters)
    for chunk in plan.run(inner):
        builder.fraction = chunk.fraction
        points = np.zeros((len(chunk.points), net.n_inputs))
        points[:, inputs] = chunk.points
        yield replace(
            chunk, points=points, rational={i: lift(w, inputs, net.n_inputs) for i, w in chunk.rational.items()}
        )


def restrict_inputs(net: Network, domain: Domain, inputs: list[int]) -> tuple[Network, Domain]:
    """Return the network and the domain where all but some inputs are 0."""
    layers = [
        replace(layer, weights={k: w[:, inputs] if k == 0 else w for k, w in layer.weights.items()})
        for layer in net.layers
    ]
    A, b = domain.halfspaces
    return Network(layers, len(inputs)), Polytope(A[:, inputs], b)


def lift(witness: Witness, inputs: list[int], n_inputs: int) -> Witness:
    """Return the point whose other inputs are 0."""
    values = [0] * n_inputs
    for k, value in zip(inputs, witness.homogeneous, strict=False):
        values[k] = value
    return Witness((*values, witness.homogeneous[-1]))


# --- where to start


def find_start(net: Network, domain: Domain, fixed: tuple[int, ...] = ()) -> Start | None:
    """Return how to start with some neurons fixed; None if the engine cannot."""
    d = net.n_inputs
    if not net.hidden:
        return None
    if (
        d <= _MAX_INPUTS
        and isinstance(domain, Box)
        and np.isfinite(domain.low).all()
        and np.isfinite(domain.high).all()
    ):
        return Start(list(range(d)), [], [], domain)
    sides, first, inputs = domain.halfspaces[0], net.hidden[0], list(range(d))
    rows = pointed_rows(first, sides, fixed)
    if rows is None:
        weights = [layer.weights[0] for layer in net.hidden if 0 in layer.weights]
        inputs = separable_inputs(np.concatenate([sides, *weights]))
        if not 0 < len(inputs) < d:
            return None
        rows = pointed_rows(replace(first, weights={0: first.weights[0][:, inputs]}), sides[:, inputs], fixed)
    if rows is None or not rows.well_conditioned or len(inputs) > _MAX_INPUTS:
        return None
    return Start(inputs, rows.sides, rows.neurons)


# --- the search


class CellFacets(NamedTuple):
    """What the kernel knows of one cell: a point inside, its facets (bool, neurons before rows of the domain).

    `beyond` holds, for facets of neurons, points that lie beyond that facet only; facets decided exactly have none.
    """

    point: FloatArray
    facets: BoolArray
    beyond: dict[int, FloatArray]


class SimplexSearch:
    """The state of a search, and what it needs besides the kernel: root cells and exact decisions."""

    def __init__(
        self, engine: SimplexEngine, task: Task, builder: ChunkBuilder, plan: Start, *, keep_beyond: bool = False
    ) -> None:
        net = task.network
        self.engine = engine
        self.keep_beyond = keep_beyond
        self.task, self.builder, self.plan = task, builder, plan
        self.net = net
        self.d = net.n_inputs
        self.index = RowIndex.of(net, task.domain)
        self.start = task.sampling
        self.is_box = plan.box is not None
        self.problem: Problem = make_problem(net)
        self.rows: Rows = make_rows(net, self.problem)
        A, b = task.domain.halfspaces
        self.sides = np.empty((0, self.d + 1)) if self.is_box else scaled(np.column_stack([-A, b]))
        self.cell, self.tree = self._cell(), self._tree()
        self.maps = Composition.of(net.integers.layers, net.n_inputs)
        self.first = np.cumsum([0, *net.widths]).tolist()

    def run(self) -> Generator[Chunk, None, None]:
        """Yield the regions of the whole tree."""
        task, builder, plan = self.task, self.builder, self.plan
        for name in ("decisions", "branchings", "pivots", "uncertain", "settled_exactly"):
            builder.count(name, 0)
        start = self._interior()
        if start is None:
            # Nothing is known to be inside: what there is to say, the lp engine says.
            yield from enumerate_by_lp(task, builder)
            return
        if plan.box is not None:
            self._set_box(plan.box)
            yield from self._search({}, start, 1.0)
        else:
            yield from self._search_roots(start)
        builder.fraction = 1.0
        yield builder.flush(self._sample())

    def _sample(self) -> Sample | None:
        """Take out what was seen of a sampled tree."""
        if self.task.sampling is None:
            return None
        sample = Sample(float(self.tree.leaves[0]), self.tree.nodes.copy())
        self.tree.leaves[:], self.tree.nodes[:] = 0.0, 0.0
        return sample

    @cached_property
    def _constant(self) -> PackedArray:
        """The fixed neurons that are constant, packed: float64 may have a row for them, which cuts nothing."""
        flags = np.zeros(self.net.n_neurons, dtype=np.bool_)
        for j, row in self._fixed_rows.items():
            flags[j] = not row[:-1].any()
        return pack(flags[None])[0]

    @cached_property
    def _fixed_rows(self) -> dict[int, IntegerArray]:
        """The exact rows of the fixed neurons."""
        if not self.task.fixed:
            return {}
        pattern = np.zeros(self.net.n_neurons, dtype=np.bool_)
        pattern[list(self.task.fixed)] = list(self.task.fixed.values())
        maps = np.concatenate(self.net.integer_maps(pattern)[:-1])
        return {j: maps[j] for j in sorted(self.task.fixed)}

    def _interior(self) -> FloatArray | None:
        """Return a point inside the domain and the fixed rows, or nearly so."""
        task, net = self.task, self.net
        box = self.plan.box
        if not task.fixed and box is not None:
            return np.asarray(box.low / 2 + box.high / 2)
        backend, answer = root_backend(task.backend, task.domain, task.tolerances)
        if task.fixed:
            for j, row in self._fixed_rows.items():
                if row[:-1].any() and not self.net.affine_neurons[j]:
                    backend.push(row if task.fixed[j] else -row)
            answer = backend.decide()  # type: ignore[assignment]
        return answer.witness.point if isinstance(answer, Feasible) else None

    def _search_roots(self, start: FloatArray) -> Iterator[Chunk]:
        """Search from each cell that the chosen neurons of the first layer make, all signs of which occur."""
        task, plan = self.task, self.plan
        layer = self.net.hidden[0]
        weights = layer.weights.get(0, np.empty((0, self.d)))
        fixed_rows = [j for j in task.fixed if j < layer.width and not layer.affine_neurons[j]]
        free = [j for j in plan.neurons if j not in task.fixed]
        known = scaled(np.concatenate([self.sides[:, :-1], weights[fixed_rows]]))
        known /= np.where(known.any(axis=1), np.linalg.norm(known, axis=1), 1.0)[:, None]
        directions = np.linalg.svd(known)[2] if len(known) else np.eye(self.d)
        lines = directions[self.d - len(free) :].T
        root, bounds = self._bounded_root
        free_rows = root[len(plan.sides) : -1][[j in free for j in plan.neurons]]
        with np.errstate(all="ignore"):
            # From where all the hyperplanes meet, as far as that is from the origin.
            steps = lines @ np.linalg.pinv(free_rows[:, :-1] @ lines) if bounds else lines
            meeting = start - steps @ (free_rows @ np.append(start, 1.0))
            reach = np.linalg.norm(free_rows[:, :-1], axis=1) * np.abs(meeting).max(initial=1.0)
        for signs in self._signs(len(free)):
            bits = dict(zip(free, signs, strict=True))
            every = {**task.fixed, **bits}
            point = meeting + steps @ np.where(signs, reach, -reach) if free else start
            if bounds is None or not np.isfinite(point).all():
                self.builder.count("uncertain")
                self.builder.count("settled_exactly")
                yield from self._by_lp(every, self.start)
                continue
            self._set_root(root, bounds, every)
            yield from self._search(bits, point, 2.0 ** -len(free))

    def _set_root(self, root: FloatArray, bounds: tuple[FloatArray, FloatArray], bits: Mapping[int, bool]) -> None:
        """Look at cells in the cone of the root's rows, those of neurons oriented by their bits."""
        generators, U = bounds
        plan = self.plan
        orientation = [1.0] * len(plan.sides) + [1.0 if bits[j] else -1.0 for j in plan.neurons] + [1.0]
        parts = root * (generators * np.array(orientation))[:, None]
        # Where this overflows, the root is decided in exact arithmetic.
        with np.errstate(over="ignore"):
            size, total = float(np.abs(parts).sum()), parts.sum(axis=0)
        self._set_base(total, (len(root) + 4) * 2 * EPS * size, U)

    @cached_property
    def _bounded_root(self) -> tuple[FloatArray, tuple[FloatArray, FloatArray] | None]:
        root = self._root()
        return root, _simplex_bounds(root)

    def _root(self) -> FloatArray:
        """Return the rows that make root cells pointed, and infinity."""
        layer, plan = self.net.hidden[0], self.plan
        weights = layer.weights.get(0, np.empty((layer.width, self.d)))
        neurons = scaled(np.column_stack([weights, layer.bias])[plan.neurons])
        return np.concatenate([self.sides[plan.sides], neurons, np.eye(1, self.d + 1, self.d)])

    def _signs(self, n: int) -> Iterable[tuple[bool, ...]]:
        """Return all signs of the neurons that make the root cells, or some, at random, if the tree is only sampled."""
        every = product((False, True), repeat=n)
        sampling = self.task.sampling
        if sampling is None:
            return every
        depth = sampling.depth + n
        self.tree.nodes[sampling.depth + 1 : depth + 1] += sampling.weight * 2.0 ** np.arange(1, n + 1)
        self.start = replace(sampling, depth=depth)
        kept = float(np.prod(sampling.keep[sampling.depth + 1 : depth + 1]))
        if kept == 1.0:
            return every
        n_kept = max(1, round(2.0**n * kept))
        self.start = replace(sampling, depth=depth, weight=sampling.weight * 2.0**n / n_kept)
        rng = np.random.default_rng(sampling.seed)
        return [tuple(row) for row in (rng.random((n_kept, n)) < 0.5).tolist()]

    def _search(self, bits: dict[int, bool], point: FloatArray, share: float) -> Iterator[Chunk]:
        """Search below some bits of the first layer from a point inside."""
        task, builder, cell, tree = self.task, self.builder, self.cell, self.tree
        n_words, n_bytes = len(tree.bits), (self.net.n_neurons + 7) // 8
        listing = not task.only_count
        shape = self.engine.buffer if listing else 1
        out = np.zeros((shape, n_words), np.uint64), np.zeros((shape, n_words), np.uint64)
        points = np.zeros((shape, self.d))
        facets = unsure = None
        if listing and task.facets:
            facets, unsure = (np.zeros((shape, self.index.n_places // 64 + 1), np.uint64) for _ in range(2))
        self._start({**task.fixed, **bits}, point, share)
        status = kernel.FULL
        while status != kernel.DONE:
            status = kernel.search(
                self.problem, self.rows, cell, tree, listing, *out, points, facets, unsure, self.engine.steps
            )
            n = int(cell.at[cells.N_OUT])
            builder.fraction = min(float(cell.numbers[cells.FRACTION]), 1.0)
            for name, place in _COUNTERS.items():
                builder.counters[name] = int(cell.at[place])
            if n or cell.at[cells.N_COUNTED]:
                packed, cuts = (words[:n].view(np.uint8)[:, :n_bytes].copy() for words in out)
                cuts &= ~self._constant
                found = None
                if facets is not None and unsure is not None:
                    found = self._facets(packed, cuts, facets[:n], unsure[:n])
                yield Chunk(
                    packed, cuts, points[:n].copy(), {}, (), builder.fraction, dict(builder.counters),
                    int(cell.at[cells.N_COUNTED]), found,
                )  # fmt: skip
            if status == kernel.LOST:
                cell.at[cells.PHASE] = cells.LEAVING
                builder.count("uncertain")
                builder.count("settled_exactly")
                yield from self._by_lp(self._decided(), self._below())
            elif status == kernel.QUERY:
                yield from self._settle()

    def _start(self, bits: Mapping[int, bool], point: FloatArray, share: float) -> None:
        """Put the kernel at the root below some bits, with a point inside."""
        cell, tree = self.cell, self.tree
        tree.forced[:] = kernel.FREE
        for j, bit in bits.items():
            tree.forced[j] = bit
        cell.at[: cells.DECISIONS] = 0
        cell.at[cells.N_ROWS] = self.n_rows
        cell.at[cells.N_SAME] = 0
        cell.implied_by[:] = cells.NEVER
        cell.vectors[cells.P] = np.append(point, 1.0)
        cell.numbers[cells.P_MAX] = max(1.0, float(np.abs(point).max()))
        cell.numbers[cells.SHARE] = share
        cell.at[cells.DEPTH], cell.numbers[cells.WEIGHT] = (
            (self.start.depth, self.start.weight) if self.start else (0, 1)
        )

    def cell_facets(self, pattern: BoolArray, point: FloatArray) -> CellFacets | None:
        """Find the facets of the cell of a pattern from a point inside; None if the kernel finds no way in."""
        cell, plan = self.cell, self.plan
        bits = dict(enumerate(pattern.tolist()))
        if plan.box is not None:
            self._set_box(plan.box)
        else:
            root, bounds = self._bounded_root
            if bounds is None:
                return None
            self._set_root(root, bounds, bits)
        self._start(bits, point, 1.0)
        n_words = len(self.tree.bits)
        words, cuts = np.zeros((1, n_words), np.uint64), np.zeros((1, n_words), np.uint64)
        facets, unsure = (np.zeros((1, self.index.n_places // 64 + 1), np.uint64) for _ in range(2))
        points = np.zeros((1, self.d))
        kernel.search(
            self.problem, self.rows, cell, self.tree, True, words, cuts, points, facets, unsure, self.engine.steps
        )
        if cell.at[cells.N_OUT] != 1:
            return None
        packed, packed_cuts = (array.view(np.uint8)[:, : (len(pattern) + 7) // 8] for array in (words, cuts))
        found = unpack(self._facets(packed, packed_cuts, facets, unsure), self.index.n_places)[0]
        owners = cell.owner[: cell.at[cells.N_ROWS]].tolist()
        beyond = {
            owner: cell.beyond[i, :-1].copy()
            for i, owner in enumerate(owners)
            if 0 <= owner < self.net.n_neurons and cell.known[i] == cells.FACET
        }
        return CellFacets(cell.vectors[cells.P, :-1].copy(), found, beyond)

    def _decided(self) -> dict[int, bool]:
        """Return the bits on the path: all of the earlier layers, and those before the neuron at hand."""
        at, tree = self.cell.at, self.tree
        layer = int(at[cells.LAYER])
        n = self.first[layer]
        bits = self._pattern()
        found = {j: bool(tree.forced[j]) for j in range(len(bits)) if tree.forced[j] != kernel.FREE}
        if at[cells.PHASE] != cells.ENTERING and layer < len(self.net.widths):
            place = int(at[cells.PLACE])
            pending = tree.pending[layer, : tree.n_pending[layer]]
            n += int(pending[place]) if place < len(pending) else 0
        return found | {j: bool(bits[j]) for j in range(n)}

    def _pattern(self) -> BoolArray:
        return np.asarray(unpack(self.tree.bits.view(np.uint8)[None], self.net.n_neurons)[0])

    def _below(self) -> Sampling | None:
        """Return the sampling of a subtree at the node at hand."""
        at, numbers = self.cell.at, self.cell.numbers
        return self.start and replace(self.start, depth=int(at[cells.DEPTH]), weight=float(numbers[cells.WEIGHT]))

    def _by_lp(self, fixed: dict[int, bool], sampling: Sampling | None) -> Iterator[Chunk]:
        """Enumerate a subtree with the lp engine."""
        begin = time.perf_counter()
        task = replace(self.task, fixed=fixed, sampling=sampling)
        for chunk in enumerate_by_lp(task, ChunkBuilder(self.net.n_neurons, self.d)):
            self._spend(begin)
            yield replace(chunk, fraction=self.builder.fraction, counters=dict(self.builder.counters))
            begin = time.perf_counter()

    def _spend(self, begin: float) -> None:
        seconds = self.builder.counters.get("seconds_exact", 0) + time.perf_counter() - begin
        self.builder.counters["seconds_exact"] = seconds

    # --- exact decisions

    def _facets(
        self, packed: PackedArray, cuts: PackedArray, facets: NDArray[np.uint64], unsure: NDArray[np.uint64]
    ) -> PackedArray:
        """Return the facets that the kernel found, packed, after exact decisions on rows of which it was unsure."""
        n = self.index.n_places
        flags = facets.view(np.uint8)[:, : -(-n // 8)].copy()
        for i in np.flatnonzero(unsure.any(axis=1)).tolist():
            begin = time.perf_counter()
            sure, open_ = (unpack(words[i : i + 1].view(np.uint8), n)[0] for words in (facets, unsure))
            rows = _region_rows(self.task, packed[i], cuts[i])
            # The other rows are implied by these.
            rows = {place: row for place, row in rows.items() if sure[place] or open_[place]}
            asked = [place for place in rows if open_[place]]
            self.builder.count("exact_facets", len(asked))
            sure[_facets_among(self.task, rows, asked)] = True
            flags[i] = pack(sure[None])[0]
            self._spend(begin)
        return flags

    def _settle(self) -> Iterator[Chunk]:
        """Answer a query of the kernel, which sides of a neuron the cell meets."""
        begin = time.perf_counter()
        builder, cell, tree = self.builder, self.cell, self.tree
        builder.count("uncertain")
        builder.count("settled_exactly")
        neuron, sign = int(cell.at[cells.NEURON]), int(cell.at[cells.SIGN])
        row = self._exact_row(neuron)
        here = cell.vectors[cells.P].copy()
        set_aside: list[bool] = []
        taken: list[bool] = []
        tree.replies[:] = kernel.EMPTY
        if not row[:-1].any():
            self._reply(bool(row[-1] > 0), here)
        else:
            for bit in (False, True):
                if sign == (1 if bit else -1):
                    self._reply(bit, here)
                    continue
                answer = self._ask(row if bit else -row, sign != 0)
                if isinstance(answer, Infeasible):
                    continue
                tree.replies[int(bit)] = kernel.TAKEN
                if not isinstance(answer, Feasible):
                    set_aside.append(bit)
                    continue
                point = np.append(answer.witness.point, 1.0)
                if kernel.is_usable(self.problem, self.rows, cell, point, bit):
                    self._reply(bit, point)
                else:
                    taken.append(bit)
            if tree.replies.tolist().count(kernel.EMPTY) == 1 and taken:
                # The hyperplane does not cut, so the point at hand is on the right side of it.
                self._reply(taken.pop(), here)
        prefix = self._decided()
        self._spend(begin)
        for bit in set_aside:
            known = [prefix[j] for j in range(neuron)]
            builder.set_aside(np.array([*known, bit]))
            yield builder.flush()
        for bit in taken:
            yield from self._by_lp({**prefix, neuron: bit}, self._below())

    def _reply(self, bit: bool, point: FloatArray) -> None:
        self.tree.replies[int(bit)] = kernel.OPEN
        self.cell.vectors[cells.ANSWERS + int(bit)] = point

    def _exact_row(self, neuron: int) -> IntegerArray:
        """Return the exact row of a neuron of the layer at hand or one before."""
        self.maps.follow(self._pattern(), int(self.cell.at[cells.LAYER]))
        return np.asarray(self.maps.row(neuron))

    def _ask(self, row: IntegerArray, has_multipliers: bool) -> Feasible | Infeasible | object:
        """Decide exactly whether the cell meets a half-space."""
        cell, task = self.cell, self.task
        pattern, sides = self._pattern(), task.domain.integer_rows

        def exact(owner: int) -> IntegerArray:
            if owner >= self.net.n_neurons:
                return np.asarray(sides[owner - self.net.n_neurons])
            return self.maps.row(owner) if pattern[owner] else -self.maps.row(owner)

        owners = [int(owner) for owner in cell.owner[: cell.at[cells.N_ROWS]] if owner != INFINITY]
        if has_multipliers:
            some = []
            for k, y in enumerate(cell.vectors[cells.Y, :-1].tolist()):
                i = int(cell.basis[k])
                if y > 0:
                    some.append(int(cell.owner[i]) if i >= 0 else self.net.n_neurons - 1 - i)
            subset = [exact(owner) for owner in some if owner != INFINITY]
            answer = solve_exactly([*subset, row], self.d, task.tolerances.exact_pivots, central=False)
            if isinstance(answer, Infeasible):
                return answer
        backend = make_backend(task.backend, self.d, task.tolerances)
        if self.is_box:
            for side in sides:
                backend.push(side)
        for owner in owners:
            backend.push(exact(owner))
        backend.push(row)
        return backend.decide()

    # --- arrays

    @property
    def n_rows(self) -> int:
        """The number of rows of the root cell."""
        return 0 if self.is_box else len(self.sides) + 1

    def _cell(self) -> Cell:
        D, n_rows = self.d + 1, self.n_rows
        capacity = n_rows + self.net.n_neurons + 1
        cell = Cell(
            at=np.zeros(20, np.int64),
            numbers=np.zeros(13),
            vectors=np.zeros((10, D)),
            T=np.zeros((D, D)),
            basis=np.zeros(self.d, np.int64),
            rows=np.zeros((capacity, D)),
            columns=np.zeros((D, capacity)),
            about=np.zeros((6, capacity)),
            box=np.zeros((6, self.d)),
            owner=np.zeros(capacity, np.int64),
            work=np.zeros((D, 2 * D)),
            known=np.zeros(capacity + 2 * self.d, np.uint8),
            beyond=np.zeros((capacity + 2 * self.d, D if self.keep_beyond else 0)),
            implied_by=np.zeros(capacity + 2 * self.d, np.int64),
            table=np.zeros((D + 2, capacity + 2 * self.d)),
            spare=np.zeros((D, D)),
            spare_basis=np.zeros(self.d, np.int64),
        )
        cell.numbers[cells.ROUNDING] = self.problem.rounding
        if n_rows:
            rows = np.concatenate([self.sides, np.eye(1, D, self.d)])
            cell.rows[:n_rows], cell.columns[:, :n_rows] = rows, rows.T
            cell.about[cells.NORM, :n_rows] = np.abs(rows).sum(axis=1)
            cell.about[cells.ERROR, :n_rows] = 1e-300
            cell.owner[:n_rows] = [*self.index.sides.tolist(), INFINITY]
        return cell

    def _set_box(self, box: Box) -> None:
        low, high = np.asarray(box.low), np.asarray(box.high)
        rng = np.random.default_rng(1)
        table = self.cell.box
        table[cells.LOW], table[cells.HIGH] = low, high
        table[cells.LOW_OFFSET : cells.HIGH_OFFSET + 1] = (_OFFSET * high - _OFFSET * low) * rng.uniform(
            0.5, 1, (2, self.d)
        )
        self.cell.at[cells.IS_BOX] = 1
        self._set_base(np.eye(self.d + 1)[self.d], 0.0, np.append(np.maximum(np.abs(low), np.abs(high)), 1.0))

    def _set_base(self, h: FloatArray, error: float, U: FloatArray) -> None:
        """Look at cells where h . X = 1, in which |X| <= U."""
        cell = self.cell
        cell.vectors[cells.H], cell.vectors[cells.U] = h, U
        cell.numbers[cells.H_NORM], cell.numbers[cells.H_ERROR] = np.abs(h).sum(), error
        cell.numbers[cells.U_MAX] = largest = float(U.max())
        rng = np.random.default_rng(0)
        self.tree.offsets[:] = _OFFSET * largest * rng.uniform(0.5, 1, self.net.n_neurons)
        n = self.n_rows
        cell.about[cells.OFFSET, :n] = _OFFSET * largest * rng.uniform(0.5, 1, n) * cell.about[cells.NORM, :n]

    def _tree(self) -> Tree:
        net = self.net
        n, L, D = net.n_neurons, len(net.hidden), self.d + 1
        words, frames = (n + 63) // 64, n + 2
        levels, n_levels = _levels(net)
        sampling = self.task.sampling or Sampling(np.empty(0), 0)
        return Tree(
            bits=np.zeros(words, np.uint64),
            cuts=np.zeros(words, np.uint64),
            state=np.zeros(n, np.uint8),
            forced=np.full(n, kernel.FREE, np.uint8),
            pending=np.zeros((L, max(net.widths)), np.int64),
            n_pending=np.zeros(L, np.int64),
            n_active=np.zeros(L, np.int64),
            layer_of=np.repeat(np.arange(L), net.widths),
            levels=levels,
            n_levels=n_levels,
            offsets=np.zeros(n),
            replies=np.zeros(2, np.int64),
            frame_at=np.zeros((frames, 7), np.int64),
            frame_share=np.zeros(frames),
            frame_offset=np.zeros(frames),
            frame_inverse=np.zeros((frames, D, D)),
            frame_basis=np.zeros((frames, self.d), np.int64),
            frame_point=np.zeros((frames, D)),
            frame_bits=np.zeros((frames, words), np.uint64),
            frame_cuts=np.zeros((frames, words), np.uint64),
            frame_weight=np.zeros(frames),
            keep=sampling.keep.copy(),
            random=np.array([sampling.seed | 1], np.uint64),
            nodes=np.zeros(len(sampling.keep)),
            leaves=np.zeros(1),
        )


def _region_rows(task: Task, packed: PackedArray, cuts: PackedArray) -> dict[int, IntegerArray]:
    """Return the exact rows of a region, by their places in `Chunk.packed_facets`, those of the domain first."""
    net = task.network
    pattern, cut = (unpack(column[None], net.n_neurons)[0] for column in (packed, cuts))
    maps = np.concatenate(net.integer_maps(pattern)[:-1])
    sides = {net.n_neurons + i: row for i, row in enumerate(task.domain.integer_rows)}
    # A row that is only nearly zero in float64 is no row.
    neurons = (int(j) for j in np.flatnonzero(cut) if maps[j, :-1].any())
    return sides | {j: maps[j] if pattern[j] else -maps[j] for j in neurons}


def _facets_among(task: Task, rows: dict[int, IntegerArray], asked: Iterable[int]) -> list[int]:
    """Return which of the rows asked for define facets, by exact decisions; of coincident rows the first."""
    first: dict[tuple[int, ...], int] = {}
    for place, row in rows.items():
        divisor = gcd(*row.tolist())
        first.setdefault(tuple(value // divisor for value in row.tolist()), place)
    kept = set(first.values())
    backend = make_backend(task.backend, task.network.n_inputs, Tolerances(exact_pivots=sys.maxsize))
    found = []
    for own in asked:
        if own in kept:
            backend.truncate(0)
            for place in kept:
                backend.push(-rows[place] if place == own else rows[place])
            if isinstance(backend.decide(), Feasible):
                found.append(own)
    return found


_COUNTERS = {
    "decisions": cells.DECISIONS,
    "branchings": cells.BRANCHINGS,
    "pivots": cells.PIVOTS,
}


def _levels(net: Network) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return which rows are known to lie in the spaces V of each layer, the smallest V first.

    V of level 0 is spanned by the rows of the sources' neurons with a slope; these lie in the span of the rows of their
    own sources' neurons, which is level 1, and so on until a layer reads the input.
    """
    sources = [{source - 1 for source in layer.weights} for layer in net.hidden]
    L = len(sources)
    levels = np.zeros((L, _N_LEVELS, L), np.uint8)
    n_levels = np.zeros(L, np.int64)
    for layer in range(L):
        spanning, within = sources[layer], {layer}
        t = 0
        while -1 not in spanning and t < _N_LEVELS:
            levels[layer, t, list(spanning)] = 1
            levels[layer, t, list(within - spanning)] = 2
            t += 1
            within = within | spanning
            spanning = set().union(*(sources[source] for source in spanning))
        n_levels[layer] = t
    return levels, n_levels


def _simplex_bounds(rows: FloatArray) -> tuple[FloatArray, FloatArray] | None:
    """Return weights and bounds U: |X| <= U where all rows are >= 0 and their weighted sum is 1. None if ill-posed."""
    inverse, size = inverse_and_defect(rows)
    if not size < _MAX_DEFECT:
        return None
    with np.errstate(all="ignore"):
        largest = np.abs(inverse).max(axis=0)
        # The exact inverse is that times the inverse of I - defect.
        wrong = np.abs(inverse).sum(axis=1).max() * size / (1 - size)
        bounds = ((np.abs(inverse) + wrong) / largest).max(axis=1) * (1 + 1e-12)
    return (largest, bounds) if np.isfinite(bounds).all() else None

"""A search from the root cells down: the kernel, driven, and what it leaves to others."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from itertools import product

import numpy as np

from tropnet.arrays.patterns import PackedArray, pack
from tropnet.arrays.types import FloatArray, IntegerArray
from tropnet.enumeration.algorithm_1 import root_backend
from tropnet.enumeration.engine import Chunk, ChunkBuilder, Sampling, Task
from tropnet.enumeration.engines.lp import enumerate_by_lp
from tropnet.enumeration.engines.residues import make_residues
from tropnet.enumeration.engines.simplex import cell as cells
from tropnet.enumeration.engines.simplex import kernel
from tropnet.enumeration.engines.simplex.exact import ExactDecisions, spend
from tropnet.enumeration.engines.simplex.roots import RootCells
from tropnet.enumeration.engines.simplex.start import Start
from tropnet.enumeration.engines.simplex.state import SearchState
from tropnet.feasibility import Answer, Feasible

__all__ = ["SimplexSearch"]

_COUNTERS = {
    "decisions": cells.DECISIONS,
    "branchings": cells.BRANCHINGS,
    "pivots": cells.PIVOTS,
}


class SimplexSearch:
    """One run of the engine: every root cell, subtree by subtree.

    Parameters
    ----------
    task, start, builder
        What to search, from where, and what to collect in.
    buffer, steps
        As in `SimplexEngine`.
    """

    def __init__(self, task: Task, start: Start, builder: ChunkBuilder, buffer: int, steps: int) -> None:
        self.task, self.start, self.builder = task, start, builder
        self.buffer, self.steps = buffer, steps
        self.state = SearchState(task.network, task.domain, is_box=start.box is not None, sampling=task.sampling)
        self.roots = RootCells(self.state, start)
        self.exact = ExactDecisions(self.state, task, builder)
        self.sampling = task.sampling

    def run(self) -> Generator[Chunk, None, None]:
        """Yield the regions of the whole tree."""
        task, builder = self.task, self.builder
        for name in ("decisions", "branchings", "pivots", "uncertain", "settled_exactly"):
            builder.count(name, 0)
        inside = self._interior()
        if inside is None:
            # Nothing is known to be inside: what there is to say, the lp engine says.
            yield from enumerate_by_lp(task, builder)
            return
        if self.start.box is not None:
            self.roots.enter({})
            yield from self._search({}, inside, 1.0)
        else:
            yield from self._search_roots(inside)
        builder.fraction = 1.0
        yield builder.flush(None if task.sampling is None else self.state.take_sample())

    @cached_property
    def _fixed_rows(self) -> dict[int, IntegerArray]:
        """The exact rows of the fixed neurons."""
        net, fixed = self.task.network, self.task.fixed
        if not fixed:
            return {}
        pattern = np.zeros(net.n_neurons, dtype=np.bool_)
        pattern[list(fixed)] = list(fixed.values())
        maps = np.concatenate(net.integer_maps(pattern)[:-1])
        return {j: maps[j] for j in sorted(fixed)}

    @cached_property
    def _constant(self) -> PackedArray:
        """The fixed neurons that are constant, packed: float64 may have a row for them, which cuts nothing."""
        flags = np.zeros(self.task.network.n_neurons, dtype=np.bool_)
        flags[[j for j, row in self._fixed_rows.items() if not row[:-1].any()]] = True
        return np.asarray(pack(flags[None])[0])

    def _interior(self) -> FloatArray | None:
        """Return a point inside the domain and the fixed rows, or nearly so."""
        task, box = self.task, self.start.box
        if not task.fixed and box is not None:
            return np.asarray(box.low / 2 + box.high / 2)
        answer: Answer
        backend, answer = root_backend(task.backend, task.domain, task.tolerances)
        if task.fixed:
            for j, row in self._fixed_rows.items():
                if row[:-1].any() and not task.network.affine_neurons[j]:
                    backend.push(row if task.fixed[j] else -row)
            answer = backend.decide()
        return answer.witness.point if isinstance(answer, Feasible) else None

    def _search_roots(self, inside: FloatArray) -> Iterator[Chunk]:
        """Search from each cell that the chosen neurons of the first layer make, all signs of which occur."""
        fixed = self.task.fixed
        free = [j for j in self.start.neurons if j not in fixed]
        points = self.roots.points(inside, fixed, free)
        for signs in self._signs(len(free)):
            bits = dict(zip(free, signs, strict=True))
            every = {**fixed, **bits}
            point = points.inside(signs) if free else inside
            if not np.isfinite(point).all() or not self.roots.enter(every):
                self.builder.count("uncertain")
                self.builder.count("settled_exactly")
                yield from self._by_lp(every, self.sampling)
                continue
            yield from self._search(bits, point, 2.0 ** -len(free))

    def _signs(self, n: int) -> Iterable[tuple[bool, ...]]:
        """Return all signs of the neurons that make the root cells, or some, at random, if the tree is only sampled."""
        every = product((False, True), repeat=n)
        sampling = self.task.sampling
        if sampling is None:
            return every
        depth = sampling.depth + n
        self.state.tree.nodes[sampling.depth + 1 : depth + 1] += sampling.weight * 2.0 ** np.arange(1, n + 1)
        self.sampling = replace(sampling, depth=depth)
        kept = float(np.prod(sampling.keep[sampling.depth + 1 : depth + 1]))
        if kept == 1.0:
            return every
        n_kept = max(1, round(2.0**n * kept))
        self.sampling = replace(sampling, depth=depth, weight=sampling.weight * 2.0**n / n_kept)
        rng = np.random.default_rng(sampling.seed)
        return [tuple(row) for row in (rng.random((n_kept, n)) < 0.5).tolist()]

    def _search(self, bits: dict[int, bool], point: FloatArray, share: float) -> Iterator[Chunk]:
        """Search below some bits of the first layer from a point inside."""
        task, builder, state = self.task, self.builder, self.state
        cell, tree = state.cell, state.tree
        n_words, n_bytes = len(tree.bits), (task.network.n_neurons + 7) // 8
        listing = not task.only_count
        shape = self.buffer if listing else 1
        out = np.zeros((shape, n_words), np.uint64), np.zeros((shape, n_words), np.uint64)
        points = np.zeros((shape, state.d))
        facets = unsure = None
        if listing and task.facets:
            facets, unsure = (np.zeros((shape, state.index.n_places // 64 + 1), np.uint64) for _ in range(2))
        at = self.sampling or Sampling(np.empty(0), 0)
        state.begin({**task.fixed, **bits}, point, share, at.depth, at.weight)
        status = kernel.FULL
        while status != kernel.DONE:
            status = kernel.search(
                state.problem, state.rows, cell, tree, state.residues, listing, *out, points, facets, unsure, self.steps
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
                    found = self.exact.facets(packed, cuts, facets[:n], unsure[:n])
                yield Chunk(
                    packed, cuts, points[:n].copy(), {}, (), builder.fraction, dict(builder.counters),
                    int(cell.at[cells.N_COUNTED]), found,
                )  # fmt: skip
            if status == kernel.LOST:
                cell.at[cells.PHASE] = cells.LEAVING
                builder.count("uncertain")
                builder.count("settled_exactly")
                yield from self._by_lp(state.decided(), self._below())
            elif status == kernel.QUERY and not len(state.residues.primes) and task.tolerances.exact_pivots > 0:
                # The kernel asks again only what these leave open.
                state.residues = make_residues(task.network, task.domain)
                cell.at[cells.PHASE] = cells.DECIDING
            elif status == kernel.QUERY:
                yield from self._settle()

    def _settle(self) -> Iterator[Chunk]:
        """Answer a query of the kernel, and yield what it cannot go on with."""
        unsettled = self.exact.settle()
        for prefix in unsettled.undecided:
            self.builder.set_aside(np.array(prefix))
            yield self.builder.flush()
        for fixed in unsettled.subtrees:
            yield from self._by_lp(fixed, self._below())

    def _below(self) -> Sampling | None:
        """Return the sampling of a subtree at the node at hand."""
        at, numbers = self.state.cell.at, self.state.cell.numbers
        return self.sampling and replace(self.sampling, depth=int(at[cells.DEPTH]), weight=float(numbers[cells.WEIGHT]))

    def _by_lp(self, fixed: Mapping[int, bool], sampling: Sampling | None) -> Iterator[Chunk]:
        """Enumerate a subtree with the lp engine."""
        begin = time.perf_counter()
        task = replace(self.task, fixed=fixed, sampling=sampling)
        for chunk in enumerate_by_lp(task, self.builder.sibling()):
            spend(self.builder, begin)
            yield replace(chunk, fraction=self.builder.fraction, counters=dict(self.builder.counters))
            begin = time.perf_counter()

"""A search from the root cells down: the kernel, driven, and what it leaves to others."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping
from copy import copy
from dataclasses import replace
from functools import partial

import numpy as np

from tropnet.arrays.types import FloatArray
from tropnet.enumeration.engine import (
    NO_SAMPLING,
    Chunk,
    ChunkBuilder,
    Pace,
    Rest,
    Sampling,
    Sharing,
    Subtree,
    Task,
    run_within,
)
from tropnet.enumeration.engines.lp import enumerate_by_lp
from tropnet.enumeration.engines.residues import make_residues
from tropnet.enumeration.engines.simplex import cell as cells
from tropnet.enumeration.engines.simplex import kernel
from tropnet.enumeration.engines.simplex.exact import ExactDecisions, spend
from tropnet.enumeration.engines.simplex.roots import RootCells
from tropnet.enumeration.engines.simplex.start import Interior, Start
from tropnet.enumeration.engines.simplex.state import SearchState

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
    task, start, interior, builder
        What to search, from where, a point inside the domain, and what to collect in.
    buffer, steps
        As in `SimplexEngine`.
    """

    def __init__(
        self, task: Task, start: Start, interior: Interior, builder: ChunkBuilder, buffer: int, steps: int
    ) -> None:
        self.task, self.start, self.interior, self.builder = task, start, interior, builder
        self.buffer, self.steps = buffer, steps
        self.state = SearchState(task.network, task.domain, is_box=start.box is not None, sampling=task.sampling)
        self.roots = RootCells(self.state, start)
        self.exact = ExactDecisions(self.state, task, builder)
        self.sampling = task.sampling
        self.free = [j for j in start.neurons if j not in task.fixed]
        self.prefixes: list[tuple[bool, ...]] = []

    def run(self) -> Generator[Chunk, None, None]:
        """Yield the regions of the whole tree."""
        task, builder = self.task, self.builder
        self._start_counters()
        inside = self.interior.point
        if inside is None:
            # Nothing is known to be inside: what there is to say, the lp engine says.
            yield from enumerate_by_lp(task, builder)
            return
        sampled = self._sampled_signs(len(self.free))
        self.prefixes = [()] if sampled is None else sampled[::-1]
        yield from self._search_prefixes(inside)
        if builder.sharing is None:
            builder.fraction = 1.0
        yield builder.flush(None if task.sampling is None else self.state.take_sample())

    def _start_counters(self) -> None:
        for name in ("decisions", "branchings", "pivots", "uncertain", "settled_exactly"):
            self.builder.count(name, 0)

    def _search_prefixes(self, inside: FloatArray) -> Iterator[Chunk]:
        """Search from each cell that the chosen neurons of the first layer make, all signs of which occur.

        Of the signs of the free ones, those that begin with one of `prefixes`, the last first.
        """
        fixed, free, neurons = self.task.fixed, self.free, self.start.neurons
        points = self.roots.points(inside) if neurons else None
        at, share = self.sampling or NO_SAMPLING, 2.0 ** -len(free)
        while self.prefixes:
            signs = self.prefixes.pop()
            if len(signs) < len(free):
                self.prefixes += [(*signs, True), (*signs, False)]
                continue
            every = {**fixed, **dict(zip(free, signs, strict=True))}
            bits = {j: every[j] for j in neurons}
            point = inside if points is None else points.inside([*bits.values()])
            if np.isfinite(point).all() and self.roots.enter(bits):
                self.state.begin(bits, point, share, at.depth, at.weight, fixed=fixed)
                yield from self._search()
            else:
                self.builder.count("uncertain")
                self.builder.count("settled_exactly")
                yield from self._by_lp(every, self.sampling, share)
            self._share_if_wanted()

    def _sampled_signs(self, n: int) -> list[tuple[bool, ...]] | None:
        """Return signs of the neurons that make the root cells, at random; None for all of them."""
        sampling = self.task.sampling
        if sampling is None:
            return None
        depth = sampling.depth + n
        self.sampling = replace(sampling, depth=depth)
        if depth <= sampling.free:
            return None
        n_kept = 2 ** min(max(sampling.free - sampling.depth, 0), n)
        self.state.tree.leaves[1] += 2.0**n - n_kept
        self.sampling = replace(sampling, depth=depth, weight=sampling.weight * 2.0**n / n_kept)
        # Every 2**n / n_kept-th, from a random one on.
        begin = int.from_bytes(np.random.default_rng(sampling.seed).bytes(n // 8 + 1), "little") % 2**n
        numbers = [(begin + (k << n)) // n_kept for k in range(n_kept)]
        return [tuple(bool(number >> (n - 1 - k) & 1) for k in range(n)) for number in numbers]

    def _search(self) -> Iterator[Chunk]:
        """Search from where the kernel is."""
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
        status, pace = kernel.FULL, Pace(self.steps, builder)
        while status != kernel.DONE:
            steps = pace.begin()
            status = kernel.search(*state.lent(), listing, *out, points, facets, unsure, steps)
            n = int(cell.at[cells.N_OUT])
            builder.fraction = min(float(cell.numbers[cells.FRACTION]), 1.0)
            builder.cost = float(tree.leaves[2])
            for name, place in _COUNTERS.items():
                builder.counters[name] = int(cell.at[place])
            asked = status == kernel.QUERY
            if asked:
                # Unless it is answered, the kernel asks again.
                cell.at[cells.PHASE] = cells.DECIDING
                if not len(state.residues.state.primes) and task.tolerances.exact_pivots > 0:
                    # Then only what these leave open.
                    state.residues, asked = make_residues(task.network, task.domain), False
            if status in (kernel.FULL, kernel.QUERY):
                self._share_if_wanted()
            chunk = None
            if n or cell.at[cells.N_COUNTED]:
                packed, cuts = (words[:n].view(np.uint8)[:, :n_bytes].copy() for words in out)
                found = None
                if facets is not None and unsure is not None:
                    found = self.exact.facets(packed, cuts, facets[:n], unsure[:n])
                chunk = Chunk(
                    packed, cuts, points[:n].copy(), {}, (), builder.fraction, dict(builder.counters),
                    int(cell.at[cells.N_COUNTED]), found,
                )  # fmt: skip
            pace.end(took_all=status == kernel.FULL)
            if chunk is not None:
                yield chunk
            if status == kernel.LOST:
                # What is decided is read first, while the phase tells whether the list of pending neurons is that of
                # this layer: where the layer could not be entered, it is still that of another cell.
                decided = state.decided()
                share = state.leave()
                builder.count("uncertain")
                builder.count("settled_exactly")
                yield from self._by_lp(decided, self._below(), share)
            elif asked and state.is_at_hand:
                cell.at[cells.PHASE] = cells.ANSWERED
                yield from self._settle()

    def _share_if_wanted(self) -> None:
        sharing = self.builder.sharing
        if sharing is not None and sharing.wanted():
            self._share(sharing)

    def _share(self, sharing: Sharing, n_younger: int = 0) -> int:
        """Hand over the oldest of what is left, and return how many of the younger parts to hand over, too.

        The root cells come after the frames, and these after the node at hand. What takes frames goes on from a copy of
        all arrays, so that it finds just what this run would have found.
        """
        n_prefixes = len(self.prefixes)
        n_own = n_prefixes + self.state.n_frames + self.state.is_at_hand
        n = sharing.split(n_own + n_younger) if n_own + n_younger else 0
        if n and n_own:
            given, self.prefixes = self.prefixes[:n], self.prefixes[n:]
            state = self.state.split_off(min(n, n_own) - n_prefixes) if n > n_prefixes else None
            sharing.hand_over(Rest(partial(self._rest, state, given), partial(self._subtrees, state, given)))
        return max(n - n_own, 0)

    def _subtrees(self, state: SearchState | None, prefixes: list[tuple[bool, ...]]) -> list[Subtree]:
        """Return root cells, and then what is left of the tree at hand, as subtrees."""
        fixed = self.task.fixed
        roots = [
            Subtree({**fixed, **dict(zip(self.free, signs, strict=False))}, 2.0 ** -len(signs)) for signs in prefixes
        ]
        return [*roots, *(Subtree(*subtree) for subtree in state.subtrees())] if state is not None else roots

    def _rest(
        self, state: SearchState | None, prefixes: list[tuple[bool, ...]], builder: ChunkBuilder
    ) -> Generator[Chunk, None, None]:
        """Search what was handed over: what is left of the tree at hand, and then root cells."""
        other = copy(self)
        other.builder, other.state, other.prefixes = builder, state or self.state.fresh(), prefixes
        other.roots, other.exact = RootCells(other.state, self.start), ExactDecisions(other.state, self.task, builder)
        other._start_counters()
        if state is not None:
            yield from other._search()
        if prefixes and (inside := self.interior.point) is not None:
            yield from other._search_prefixes(inside)
        yield builder.flush()

    def _settle(self) -> Iterator[Chunk]:
        """Answer a query of the kernel, and yield what it cannot go on with."""
        unsettled = self.exact.settle()
        for prefix in unsettled.undecided:
            self.builder.set_aside(np.array(prefix))
            yield self.builder.flush()
        if unsettled.subtree is not None:
            share = float(self.state.cell.numbers[cells.SHARE]) * unsettled.share
            # The kernel counts it as done when it goes on.
            self.state.cell.numbers[cells.FRACTION] -= share
            yield from self._by_lp(unsettled.subtree, self._below(), share)

    def _below(self) -> Sampling | None:
        """Return the sampling of a subtree at the node at hand."""
        at, numbers = self.state.cell.at, self.state.cell.numbers
        return self.sampling and replace(self.sampling, depth=int(at[cells.DEPTH]), weight=float(numbers[cells.WEIGHT]))

    def _by_lp(self, fixed: Mapping[int, bool], sampling: Sampling | None, share: float) -> Iterator[Chunk]:
        """Enumerate a subtree with the lp engine."""
        begin, builder = time.perf_counter(), self.builder
        task = replace(self.task, fixed=fixed, sampling=sampling)
        split = None if builder.sharing is None else partial(self._share, builder.sharing)
        run = run_within(partial(enumerate_by_lp, task), share, builder, split)
        while True:
            try:
                chunk = next(run)
            except StopIteration as end:
                self.state.cell.numbers[cells.FRACTION] += share * end.value
                return
            spend(builder, begin)
            yield replace(chunk, counters=dict(builder.counters))
            begin = time.perf_counter()

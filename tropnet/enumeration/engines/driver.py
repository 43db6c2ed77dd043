"""A compiled search by the vertices of cells, driven, and what it leaves to others."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

from tropnet.enumeration.engine import Chunk, ChunkBuilder, Pace, Plan, Sample, Sharing, Task
from tropnet.enumeration.engines.composition import Rows
from tropnet.enumeration.engines.listing import FIRST_BUFFER, chunk_of, room_for, unpacked
from tropnet.enumeration.engines.lp import enumerate_by_lp
from tropnet.enumeration.engines.residues import make_residues
from tropnet.enumeration.engines.simplex.engine import SimplexEngine
from tropnet.kernels import Lender, Record, copied

__all__ = ["ExactSigns", "VertexSearch"]


class ExactSigns(Protocol):
    """Answers the queries of a kernel over the integers."""

    n_answers: int

    def answer(self, state: Any) -> None:
        """Set the signs that are asked for."""


@dataclass
class VertexSearch(ABC):
    """A search from the frames of a state; frames before the `first` belong to somebody else, and are passed over.

    Attributes
    ----------
    kernel
        The module of the kernel `search`, and of what its numbers mean.
    at_once
        Of how many regions there is room, at least: what the kernel lists at once.
    """

    kernel: ClassVar[Any]
    at_once: ClassVar[int] = 1
    engine: Any
    task: Task
    problem: Record
    rows: Rows
    state: Any
    first: int

    def run(self, builder: ChunkBuilder) -> Generator[Chunk, None, None]:
        """Yield the regions below the frames."""
        task, kernel, pace = self.task, self.kernel, Pace(self.engine.steps, builder)
        exact = self._exact_signs()
        most = max(self.engine.buffer, self.at_once) if not task.only_count else 1
        out = room_for(task, min(most, FIRST_BUFFER))
        status, seconds_exact, lender = kernel.FULL, 0.0, Lender()
        while status != kernel.DONE:
            steps = pace.begin()
            lent = lender.lend(self.problem, self.rows, self.state, out)
            status, n_regions = kernel.search(*lent, not task.only_count, steps)
            pace.end()
            done = builder.sharing is None and status == kernel.DONE
            builder.fraction = 1.0 if done else min(float(self.state.done[0]), 1.0)
            builder.cost = float(self.state.leaves[2])
            begin = time.perf_counter()
            aside = None
            if status == kernel.GROW:
                self._grow()
            elif status == kernel.QUERY and task.tolerances.exact_pivots > 0:
                if len(self.state.residues.state.primes):
                    exact.answer(self.state)
                else:
                    # The kernel asks again only what these leave open.
                    self._take_back()
                    self.state = self.state._replace(residues=make_residues(task.network, task.domain))
            elif status in (kernel.QUERY, kernel.ASIDE):
                aside = self._top()
            seconds_exact += time.perf_counter() - begin
            totals = self.state.totals.tolist()
            builder.counters.update(
                decisions=totals[kernel.DECISIONS],
                branchings=totals[kernel.BRANCHINGS],
                uncertain=totals[kernel.UNCERTAIN],
                settled_exactly=exact.n_answers,
                seconds_exact=seconds_exact,
            )
            if status == kernel.FULL and builder.sharing is not None and builder.sharing.wanted():
                self._share(builder.sharing)
            if n_regions or status == kernel.DONE:
                yield chunk_of(task, builder, out, n_regions, self._sample() if status == kernel.DONE else None)
            if status == kernel.FULL and len(out.bits) < most:
                out = room_for(task, most)
            if aside is not None:
                yield from _elsewhere(aside, builder, by_lp=status == kernel.QUERY)

    @abstractmethod
    def _exact_signs(self) -> ExactSigns:
        """Return what answers queries."""

    @abstractmethod
    def _grow(self) -> None:
        """Make room for more vertices and cells."""

    @abstractmethod
    def _take_back(self) -> None:
        """Forget the query at hand, so that it is asked again."""

    @abstractmethod
    def _top(self) -> Task:
        """Take the top frame off; return its subtree."""

    @abstractmethod
    def _oldest(self, n_frames: int) -> Any:
        """Return a copy of the state with its oldest frames only."""

    @abstractmethod
    def _pass_over(self, frames: slice) -> None:
        """Leave nothing to do for some frames when their turn comes."""

    def _subtree(self, frame: int, layer: int, left: set[int], depth: int, weight: float) -> Task:
        """Return the subtree of a frame: all earlier layers, and its own but for what is `left`, are decided."""
        task, widths = self.task, self.task.network.widths
        bits = unpacked(self.state.bits[frame], task.network.n_neurons)
        decided = {j: bool(bits[j]) for j in range(sum(widths[: layer + 1])) if j not in left}
        sampling = task.sampling and replace(task.sampling, depth=depth, weight=weight)
        # What was fixed of neurons that are still to come stays fixed.
        return replace(task, fixed={**task.fixed, **decided}, sampling=sampling)

    def _share(self, sharing: Sharing) -> None:
        """Hand over the oldest frames, if two are left.

        What takes them goes on from a copy of all arrays, so that it finds just what this run would have found.
        """
        n_frames = int(self.state.totals[self.kernel.N_FRAMES])
        if n_frames - self.first < 2:
            return
        end = self.first + sharing.split(n_frames - self.first)
        state = self._oldest(end)
        if len(self.state.residues.state.primes):
            # What these hold is soon composed again.
            state = state._replace(residues=make_residues(self.task.network, self.task.domain))
        rest = replace(self, rows=copied(self.rows), state=state)
        self._pass_over(slice(self.first, end))
        self.first = end
        sharing.hand_over(rest.run)

    def _sample(self) -> Sample | None:
        """Take out what was seen of a sampled tree."""
        if self.task.sampling is None:
            return None
        state = self.state
        sample = Sample(state.nodes.copy(), *state.leaves.tolist())
        state.leaves[:], state.nodes[:] = 0.0, 0.0
        return sample


def _elsewhere(task: Task, builder: ChunkBuilder, *, by_lp: bool) -> Generator[Chunk, None, None]:
    """Search a subtree by the simplex engine, which any number of facets suits, or by linear programs."""
    plan = None if by_lp else SimplexEngine().prepare(task)
    chunks = plan.run(builder.sibling()) if isinstance(plan, Plan) else enumerate_by_lp(task, builder.sibling())
    builder.count("subtrees_by_simplex" if isinstance(plan, Plan) else "subtrees_by_lp")
    for chunk in chunks:
        yield replace(chunk, fraction=builder.fraction, counters=dict(builder.counters))

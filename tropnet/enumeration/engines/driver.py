"""A compiled search by the vertices of cells, driven, and what it leaves to others."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Hashable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from tropnet.enumeration.engine import (
    Chunk,
    ChunkBuilder,
    Pace,
    Plan,
    Rest,
    Sample,
    Sharing,
    Subtree,
    Task,
    run_within,
)
from tropnet.enumeration.engines.composition import Rows, start_composition
from tropnet.enumeration.engines.listing import FIRST_BUFFER, chunk_of, room_for, unpacked
from tropnet.enumeration.engines.lp import enumerate_by_lp
from tropnet.enumeration.engines.residues import make_residues
from tropnet.enumeration.engines.simplex.engine import SimplexEngine
from tropnet.errors import TooLargeError
from tropnet.kernels import Lender, Record, copied

__all__ = ["ExactSigns", "Frame", "Stock", "VertexSearch"]

# What is kept of searches that are done: of so many shapes, so many of each, up to so many bytes.
_SHAPES, _EACH, _BYTES = 16, 4, 1 << 20


class Kept(NamedTuple):
    """The arrays of a search, and the shape of networks for which they serve."""

    key: Hashable
    rows: Record
    state: Record
    n_bytes: int

    @classmethod
    def of(cls, key: Hashable, rows: Any, state: Any) -> Kept:
        """Return the arrays of two named tuples."""
        n_bytes = sum(array.nbytes for array in (*rows, *state) if isinstance(array, np.ndarray))
        return cls(key, Record(rows), Record(state), n_bytes)


class Stock:
    """Arrays of searches that are done, for the next search of a network of the same shape.

    To allocate fifty arrays, and to make the tables of where they are, takes longer than to find a hundred regions.
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, list[Kept]] = {}

    def take(self, key: Hashable) -> Kept | None:
        """Return arrays that nobody uses, or None. What they hold is left from another search."""
        # Other threads take and give, too.
        try:
            return self._kept[key].pop()
        except (KeyError, IndexError):
            return None

    def arrays(self, task: Task, n_roots: int, room: int, allocate: Callable[[Task, int, int], Any]) -> Arrays:
        """Return arrays for a task, its rows as at the start and its state as it may be left from another search.

        `allocate` makes the state for so many roots, with room for so many vertices.

        Raises
        ------
        TooLargeError
            They do not fit into memory.
        """
        net = task.network
        key = (
            net.n_inputs, net.widths, tuple(tuple(layer.weights) for layer in net.hidden),
            len(task.domain.halfspaces[1]), n_roots, room,
        )  # fmt: skip
        # Samples have arrays of their own lengths, goals more of them.
        reusable = task.sampling is None and task.goal is None
        kept = self.take(key) if reusable else None
        if kept is not None:
            return Arrays(*start_composition(net, kept.rows.state), kept.state.state, kept)
        try:
            problem, rows = start_composition(net)
            state = allocate(task, n_roots, room)
        except MemoryError as error:
            raise TooLargeError(
                f"the arrays of a search must fit into memory, those for {net} do not: {error}. They grow with the"
                " square of the widest layer."
            ) from error
        return Arrays(problem, rows, state, Kept.of(key, rows, state) if reusable else None)

    def give(self, kept: Kept) -> None:
        """Keep arrays that nobody uses any more."""
        if kept.key not in self._kept and len(self._kept) >= _SHAPES:
            self._kept.clear()
        shelf = self._kept.setdefault(kept.key, [])
        arrays = (
            array for record in (kept.rows, kept.state) for array in record.state if isinstance(array, np.ndarray)
        )
        if len(shelf) < _EACH and sum(array.nbytes for array in arrays) <= _BYTES:
            shelf.append(kept)


class Arrays(NamedTuple):
    """What a search takes: the network, its rows, its state, and what to give back when it is done."""

    problem: Record
    rows: Rows
    state: Any
    kept: Kept | None


class ExactSigns(Protocol):
    """Answers the queries of a kernel over the integers."""

    n_answers: int

    def answer(self, state: Any) -> None:
        """Set the signs that are asked for."""


class Frame(NamedTuple):
    """A cell on its way through a layer, -1 before the first; at the number of layers if it is passed over."""

    layer: int
    left: set[int]  # the neurons of the layer that are not decided
    share: float
    depth: int
    weight: float


@dataclass
class VertexSearch(ABC):
    """A search from the frames of a state; frames before the `first` belong to somebody else, and are passed over.

    Attributes
    ----------
    kernel
        The module of the kernel `search`, and of what its numbers mean.
    at_once
        Of how many regions there is room, at least: what the kernel lists at once.
    stock
        Where the arrays come from.
    kept
        The arrays with which the search began, to be given back; None if they are not to.
    """

    kernel: ClassVar[Any]
    at_once: ClassVar[int] = 1
    stock: ClassVar[Stock]
    engine: Any
    task: Task
    problem: Record
    rows: Rows
    state: Any
    kept: Kept | None
    first: int

    def run(self, builder: ChunkBuilder) -> Generator[Chunk, None, None]:
        """Yield the regions below the frames."""
        task, kernel, pace = self.task, self.kernel, Pace(self.engine.steps, builder)
        exact = self._exact_signs()
        most = max(self.engine.buffer, self.at_once) if not task.only_count else 1
        out = room_for(task, min(most, FIRST_BUFFER))
        status, seconds_exact, lender = kernel.FULL, 0.0, Lender(self.problem)
        if self.kept is not None:
            lender = Lender(self.problem, self.kept.rows, self.kept.state)
        while status != kernel.DONE:
            steps = pace.begin()
            lent = lender.lend(self.problem, self.rows, self.state, out)
            status, n_regions = kernel.search(*lent, not task.only_count, steps)
            done = builder.sharing is None and status == kernel.DONE
            builder.fraction = 1.0 if done else min(float(self.state.done[0]), 1.0)
            builder.cost = float(self.state.leaves[2])
            aside: tuple[Task, float] | None = None
            if status == kernel.ASIDE or (status == kernel.QUERY and not task.tolerances.exact_pivots > 0):
                # What is laid aside looks for itself.
                aside = self._taken_off()
            elif status != kernel.DONE and builder.sharing is not None and builder.sharing.wanted():
                # Before an answer moves generators, which the kernel takes account of when it goes on.
                self._share(builder.sharing)
            begin = time.perf_counter()
            if status == kernel.GROW:
                self._grow()
            elif status == kernel.QUERY and aside is None and self._n_left:
                if len(self.state.residues.state.primes):
                    exact.answer(self.state)
                else:
                    # The kernel asks again only what these leave open.
                    self._take_back()
                    self.state = self.state._replace(residues=make_residues(task.network, task.domain))
            seconds_exact += time.perf_counter() - begin
            totals = self.state.totals.tolist()
            builder.counters.update(
                decisions=totals[kernel.DECISIONS],
                branchings=totals[kernel.BRANCHINGS],
                uncertain=totals[kernel.UNCERTAIN],
                settled_exactly=exact.n_answers,
                seconds_exact=seconds_exact,
            )
            # Where most regions are left out, whoever waits for some looks at the time.
            waited_for = task.goal is not None and status == kernel.FULL
            chunk = None
            if n_regions or waited_for or status == kernel.DONE:
                chunk = chunk_of(task, builder, out, n_regions, self._sample() if status == kernel.DONE else None)
            pace.end(took_all=status == kernel.FULL)
            if chunk is not None:
                if status == kernel.DONE and self.kept is not None:
                    self.stock.give(self.kept)
                yield chunk
            if status == kernel.FULL and len(out.bits) < most:
                out = room_for(task, most)
            if aside is not None:
                yield from self._elsewhere(*aside, builder, by_lp=status == kernel.QUERY)

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
    def _frame(self, frame: int) -> Frame:
        """Return where a frame is."""

    @abstractmethod
    def _oldest(self, n_frames: int) -> Any:
        """Return a copy of the state with its oldest frames only."""

    @abstractmethod
    def _pass_over(self, frames: slice) -> None:
        """Leave nothing to do for some frames when their turn comes."""

    @property
    def _n_frames(self) -> int:
        return int(self.state.totals[self.kernel.N_FRAMES])

    @property
    def _n_left(self) -> int:
        """The number of frames from the first on; those before it may be passed over by now."""
        return max(self._n_frames - self.first, 0)

    def _fixed(self, frame: int, at: Frame) -> dict[int, bool]:
        """Return the bits that a frame has: all earlier layers, and its own but for what is left, are decided.

        What was fixed of neurons that are still to come stays fixed.
        """
        net = self.task.network
        bits = unpacked(self.state.bits[frame], net.n_neurons).tolist()
        if at.layer < 0:
            # Those that make the root.
            decided = np.flatnonzero(unpacked(self.state.cuts[frame], net.n_neurons)).tolist()
        else:
            decided = [j for j in range(sum(net.widths[: at.layer + 1])) if j not in at.left]
        return {**self.task.fixed, **{j: bits[j] for j in decided}}

    def _taken_off(self) -> tuple[Task, float]:
        """Take the top frame off; return its subtree, and its share."""
        top = self._n_frames - 1
        at, task = self._frame(top), self.task
        fixed = self._fixed(top, at)
        self.state.totals[self.kernel.N_FRAMES] = top
        self._take_back()
        sampling = task.sampling and replace(task.sampling, depth=at.depth, weight=at.weight)
        return replace(task, fixed=fixed, sampling=sampling), at.share

    def _subtrees(self) -> list[Subtree]:
        """Return the subtrees of all frames that are not passed over."""
        frames = [(frame, self._frame(frame)) for frame in range(self.first, self._n_frames)]
        n_layers = len(self.task.network.hidden)
        return [Subtree(self._fixed(frame, at), at.share) for frame, at in frames if at.layer < n_layers]

    def _share(self, sharing: Sharing, n_younger: int = 0) -> int:
        """Hand over the oldest frames, and return how many of the younger parts to hand over, too.

        What takes the frames goes on from a copy of all arrays, so that it finds just what this run would have found.
        """
        n_frames = self._n_left
        n = sharing.split(n_frames + n_younger) if n_frames + n_younger else 0
        if n and n_frames:
            end = self.first + min(n, n_frames)
            state = self._oldest(end)
            if len(self.state.residues.state.primes):
                # What these hold is soon composed again.
                state = state._replace(residues=make_residues(self.task.network, self.task.domain))
            rest = replace(self, rows=copied(self.rows), state=state, kept=None)
            self._pass_over(slice(self.first, end))
            self.first = end
            sharing.hand_over(Rest(rest.run, rest._subtrees))
        return max(n - n_frames, 0)

    def _elsewhere(
        self, task: Task, share: float, builder: ChunkBuilder, *, by_lp: bool
    ) -> Generator[Chunk, None, None]:
        """Search a subtree by the simplex engine, which any number of facets suits, or by linear programs."""
        task, sharing = replace(task, goal=None), builder.sharing
        plan = None if by_lp else SimplexEngine().prepare(task)
        builder.count("subtrees_by_simplex" if isinstance(plan, Plan) else "subtrees_by_lp")
        run = plan.run if isinstance(plan, Plan) else partial(enumerate_by_lp, task)
        split = None if sharing is None else partial(self._share, sharing)
        self.state.done[0] += share * (yield from run_within(run, share, builder, split))

    def _sample(self) -> Sample | None:
        """Take out what was seen of a sampled tree."""
        if self.task.sampling is None:
            return None
        state = self.state
        sample = Sample(state.nodes.copy(), *state.leaves.tolist())
        state.leaves[:], state.nodes[:] = 0.0, 0.0
        return sample

"""Work that another process, or another day, can do: subtrees, searched for some time, and what is left of them.

A subtree is a pure function of the network, the domain and some decisions, so it can be written down as text, and
whoever searches it finds the same regions. What is searched for some time leaves subtrees again: trees of any shape can
be divided so while they are searched.
"""

from __future__ import annotations

import hashlib
import math
import os
import pickle
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Event, get_ident
from typing import ClassVar, NamedTuple, Protocol

from tropnet.enumeration.engine import Chunk, Plan, Refusal, Rest, Sharing, Task
from tropnet.enumeration.engines.lp import LpEngine
from tropnet.regions.runs.state import OpenSubtree

__all__ = ["Budget", "Outcome", "Packed", "Searchable", "plan_below", "search_subtrees", "text_of"]

# Searches that a worker keeps, for its next piece of work.
_MOST_KEPT = 4
# Engines that this process has searched with.
_BEGUN: set[str] = set()


class Searchable(Protocol):
    """What of a search a piece of work needs."""

    plan: Plan

    @property
    def n_helpers(self) -> int:
        """How many first neurons of the chunks nobody asked for."""

    def completed(self, chunk: Chunk) -> Chunk:
        """Return a chunk of the plan as one of what was asked for."""

    def stored(self, chunks: list[Chunk]) -> bytes:
        """Return the regions of chunks as the bytes of a file."""


class Budget(NamedTuple):
    """When a piece of work is to end: after so many seconds, regions or bytes of regions, whichever comes first.

    The seconds count from when a first region is found, and are at least so many times what that took (`times_first`).
    With no seconds at all it ends after a few hundred nodes of a compiled engine, whether anything was found or not.
    """

    seconds: float
    times_first: float
    n_regions: float
    n_bytes: float


@dataclass(frozen=True)
class Outcome:
    """What came of a piece of work.

    Attributes
    ----------
    n_begun
        So many of the subtrees that were given, the first ones, are replaced by what is `left`.
    left
        What is still to be searched, as it would be met.
    n_regions
        How many regions were found; `chunks` are they, or `stored`, a file of them.
    worker
        Who did it: host, process and thread.
    """

    n_begun: int
    left: tuple[OpenSubtree, ...]
    n_regions: int
    chunks: tuple[Chunk, ...]
    stored: bytes | None
    undecided: tuple[str, ...]
    counters: Mapping[str, float]
    seconds: float
    worker: str


class Packed:
    """A search on its way to another process, which keeps it for the next piece of work."""

    _kept: ClassVar[dict[str, Searchable]] = {}

    def __init__(self, search: Searchable) -> None:
        self.data = pickle.dumps(search)
        self.key = hashlib.sha256(self.data).hexdigest()

    def unpacked(self) -> Searchable:
        """Return the search."""
        search = self._kept.get(self.key)
        if search is None:
            search = pickle.loads(self.data)  # noqa: S301 -- made by this class, in the process that hands out the work
            # Other threads of this worker take and keep, too.
            for key in list(self._kept)[: 1 - _MOST_KEPT]:
                self._kept.pop(key, None)
            self._kept[self.key] = search
        return search


def text_of(fixed: Mapping[int, bool]) -> str:
    """Return decisions as text, a character for each neuron: 1, 0, or a point for what is not decided."""
    return "".join("." if bit is None else "01"[bit] for bit in map(fixed.get, range(1 + max(fixed, default=-1))))


def plan_below(plan: Plan, text: str) -> Plan:
    """Return the plan for the subtree of some decisions; that of the lp engine where the engine refuses it.

    An engine may fit a network, but not below some bits: cells can contain a line.
    """
    if not text:
        return plan
    task = replace(plan.task, fixed={j: bit == "1" for j, bit in enumerate(text) if bit != "."})
    return _or_by_lp(plan.adapted(task), task)


def search_subtrees(
    given: Searchable | Packed,
    subtrees: Sequence[OpenSubtree],
    budget: Budget,
    stop: Event | None = None,
    *,
    store: bool = False,
    attempt: int = 0,
) -> Outcome:
    """Search subtrees, one after the other, until all are done or the budget is spent; what a worker does.

    With `store`, the regions come as the bytes of a file. `attempt` only tells one call from another, for executors
    that would not run the same call twice.
    """
    del attempt
    search = given.unpacked() if isinstance(given, Packed) else given
    begin = time.monotonic()
    deadline = math.inf if budget.seconds > 0 else begin
    # What a first piece takes to begin with is mostly that kernels are loaded, or compiled.
    engine = search.plan.engine.name
    times_first = budget.times_first if engine in _BEGUN else 0.0
    _BEGUN.add(engine)
    chunks: list[Chunk] = []
    left: list[OpenSubtree] = []
    counters: dict[str, float] = {}
    n_regions = n_bytes = n_begun = 0

    def is_over() -> bool:
        """Return whether to hand over what is left; only when something was found, as else nothing might ever be."""
        if stop is not None and stop.is_set():
            return True
        return time.monotonic() > deadline or n_regions > budget.n_regions or n_bytes > budget.n_bytes

    for text, share in subtrees:
        plan = plan_below(search.plan, text)
        builder = plan.builder()
        builder.is_trial = budget.seconds <= 0

        def hand_over(rest: Rest, share: float = share) -> None:
            left.extend(OpenSubtree(text_of(each.fixed), share * each.share) for each in rest.subtrees())

        builder.sharing = Sharing(is_over, hand_over, lambda n: n)
        for raw in plan.run(builder):
            chunk = search.completed(raw)
            n_regions += chunk.n_regions
            n_bytes += _size(chunk)
            if chunk.n_regions or chunk.undecided:
                chunks.append(chunk)
                if deadline == math.inf:
                    now = time.monotonic()
                    deadline = now + max(budget.seconds, times_first * (now - begin))
        for name, value in builder.counters.items():
            counters[name] = counters.get(name, 0) + value
        n_begun += 1
        if is_over():
            break
    undecided = tuple(
        "".join("01"[bit] for bit in prefix[search.n_helpers :]) for chunk in chunks for prefix in chunk.undecided
    )
    listed = [chunk for chunk in chunks if len(chunk.packed)]
    return Outcome(
        n_begun,
        tuple(left),
        n_regions,
        () if store else tuple(chunks),
        search.stored(listed) if store and listed else None,
        undecided,
        counters,
        time.monotonic() - begin,
        f"{socket.gethostname()}:{os.getpid()}:{get_ident()}",
    )


def _or_by_lp(answer: Plan | Refusal, task: Task) -> Plan:
    plan = LpEngine().prepare(task) if isinstance(answer, Refusal) else answer
    if isinstance(plan, Refusal):
        raise TypeError(plan.reason)
    return plan


def _size(chunk: Chunk) -> int:
    facets = 0 if chunk.packed_facets is None else chunk.packed_facets.nbytes
    return chunk.packed.nbytes + chunk.packed_cuts.nbytes + chunk.points.nbytes + facets

"""A search in pieces of work: who does them, how they are divided, and what happens when one is lost.

Pieces are short, by the clock, so that what is left of one is soon there for others: a tree of any shape keeps all
workers busy, and a worker that dies costs no more than its piece. (Budgeted subtrees, as in Avis and Jordan, mplrs: A
scalable parallel vertex/facet enumeration code, 2018, doi:10.1007/s12532-017-0129-y.)
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from threading import Event
from typing import NamedTuple, Protocol

from tropnet.enumeration.subtrees import Budget, Outcome, Packed, Searchable, search_subtrees
from tropnet.errors import TropnetError
from tropnet.regions.runs.state import OpenSubtree, Piece, RunState

__all__ = ["IN_MEMORY", "ON_DISK", "Ledger", "MemoryLedger", "Pace", "failure_message", "search_in_pieces"]

_LOG = logging.getLogger("tropnet.enumeration")
# So often a subtree may kill its worker, or raise an error there.
_MOST_DEATHS = 3
# With fewer subtrees for each worker than that, the largest come first and pieces are as short as can be.
_PLENTY = 4
_SECONDS_OF_PATIENCE = 0.5
# On an interrupt, pieces in this process hand over what is left in a fraction of a second.
_SECONDS_TO_STOP = 10.0
# An executor that has not answered for so long is asked whether it is there, and one that is new has so long to begin.
_SECONDS_TO_ASK, _SECONDS_TO_BEGIN = 10.0, 60.0
# How long a worker counts after its last answer.
_SECONDS_OF_MEMORY = 120.0


class Pace(NamedTuple):
    """How long pieces are: a share of the time so far, but not less and not more than so many seconds; and how large.

    What a killed process loses is that share. Up to so many bytes of regions are found in a piece. A piece also lasts
    `times_first` times what it took to come to a first region, which is what it costs to begin with a subtree.
    """

    least: float
    share: float
    most: float
    n_bytes: float
    times_first: float = 8.0

    def seconds(self, elapsed: float) -> float:
        """Return how long a piece should be after so many seconds."""
        return min(max(self.share * elapsed, self.least), self.most)


IN_MEMORY = Pace(0.1, 0.1, 2.0, float(1 << 26))
ON_DISK = Pace(0.25, 0.01, 30.0, float(1 << 24))


class Ledger(Protocol):
    """Where the pieces of a search are written down."""

    state: RunState

    @property
    def elapsed(self) -> float:
        """Seconds that the search has taken."""

    def finish(self, piece: Piece) -> list[int]:
        """Take over a piece of work; return the numbers of the subtrees that it left."""

    def fail(self, number: int, error: str) -> None:
        """Take over that a subtree could not be searched."""


class MemoryLedger:
    """A ledger that ends with the process."""

    def __init__(self) -> None:
        self.state = RunState()
        self._begin = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._begin

    def finish(self, piece: Piece) -> list[int]:
        """Take over a piece of work."""
        return self.state.finish(piece)

    def fail(self, number: int, error: str) -> None:
        """Take over that a subtree could not be searched."""
        self.state.fail(number, error)


def search_in_pieces(
    search: Searchable,
    ledger: Ledger,
    workers: int | Executor,
    pace: Pace,
    *,
    max_regions: int | None = None,
    store: bool = False,
) -> Generator[Outcome, None, None]:
    """Search what is open in a ledger, by so many threads or by an executor, and yield what comes of each piece.

    The search ends when nothing is open but what failed, or when there are at least `max_regions` regions. A subtree
    fails that killed its worker, or raised an error there, three times. On an interrupt the pieces in threads of this
    process come to an end at once and are yielded before it is raised; those of an executor that are not done are lost,
    and stay open.

    Raises
    ------
    TropnetError
        A piece of work raised it, as where the domain is empty.
    BrokenExecutor
        The executor broke, and is none that can be made anew, as those of processes can.
    """
    schedule = _Schedule(search, ledger, workers, pace, max_regions, store=store)
    try:
        yield from schedule.run()
    finally:
        schedule.close()


def failure_message(state: RunState) -> str:
    """Name the subtrees that failed."""
    number, error = next(iter(state.failed.items()))
    text = state.open[number].text
    several = f"{len(state.failed)} subtrees" if len(state.failed) > 1 else "a subtree"
    return (
        f"{several} killed the worker, or raised an error there, {_MOST_DEATHS} times; regions below are missing. The"
        f" {'first' if len(state.failed) > 1 else 'subtree'} has the decisions {text or '(none)'!r}, a character for"
        f" each neuron, and the last error was {error}"
    )


class _Schedule:
    """What is open, what is being searched, and by whom.

    `queue` holds what is open, as a depth-first search would meet it, the next one last; `suspects` what may have
    killed a worker: they are searched when nothing else is left, one at a time, so that it is known who did it.
    `undivided` are those of them that came back whole. `flying` are the pieces under way, with their subtrees.
    """

    def __init__(
        self,
        search: Searchable,
        ledger: Ledger,
        workers: int | Executor,
        pace: Pace,
        max_regions: int | None,
        *,
        store: bool,
    ) -> None:
        self.ledger, self.pace, self.max_regions, self.store = ledger, pace, max_regions, store
        self.stop: Event | None = None
        self.given: Searchable | Packed = search
        self.owned: Executor | None = None
        self.executor: Executor
        if isinstance(workers, int):
            self.stop = Event()
            self.executor = self.owned = ThreadPoolExecutor(workers, thread_name_prefix="tropnet")
            self.n_workers = workers
        else:
            self.given = Packed(search)
            self.executor = workers
            self.n_workers = int(getattr(workers, "_max_workers", None) or 0)
        self.seen: dict[str, float] = {}
        self.flying: dict[Future[Outcome], list[int]] = {}
        self.queue = list(ledger.state.open)
        self.suspects: list[list[int]] = []
        self.deaths: dict[int, int] = {}
        self.undivided: set[int] = set()
        self.n_attempts = 0
        self.answered = time.monotonic()

    def run(self) -> Generator[Outcome, None, None]:
        """Hand out work until nothing is left."""
        try:
            while not self._is_enough and (self._hand_out() or self.flying):
                done, _ = wait(self.flying, timeout=_SECONDS_OF_PATIENCE, return_when=FIRST_COMPLETED)
                self._look_after(answered=bool(done))
                for future in done:
                    if future in self.flying:
                        yield from self._taken_back(future)
        except KeyboardInterrupt:
            yield from self._stopped()
            raise
        if self.flying:
            yield from self._stopped()

    def _look_after(self, *, answered: bool) -> None:
        """Ask an executor that has not answered for long whether it is still there.

        Raises
        ------
        BrokenExecutor
            It takes no work any more, as one that lost its cluster, whose pieces nobody will ever finish.
        """
        now = time.monotonic()
        if answered:
            self.answered = now
        elif now - self.answered > _SECONDS_TO_ASK and self.stop is None:
            self.answered = now
            self._asked().cancel()

    def _asked(self) -> Future[int]:
        """Hand out nothing to do."""
        try:
            return self.executor.submit(int)
        except BrokenExecutor:
            raise
        except Exception as error:
            raise BrokenExecutor(f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Leave no thread and no piece of work behind; processes end when they are done with what they do."""
        if self.stop is not None:
            self.stop.set()
        for future in self.flying:
            future.cancel()
        if self.owned is not None:
            self.owned.shutdown(wait=self.stop is not None, cancel_futures=True)

    @property
    def _is_enough(self) -> bool:
        return self.max_regions is not None and self.ledger.state.n_regions >= self.max_regions

    @property
    def _capacity(self) -> int:
        """How many pieces to have under way; with an executor some wait there, so that no worker does."""
        if self.stop is not None:
            return self.n_workers
        return 2 * self._n_workers + 2

    @property
    def _n_workers(self) -> int:
        """How many workers there are; of a cluster only those are known who have answered of late."""
        if self.n_workers:
            return self.n_workers
        since = time.monotonic() - _SECONDS_OF_MEMORY
        return max(1, sum(last > since for last in self.seen.values()))

    def _hand_out(self) -> bool:
        """Hand out what is open; return whether anything was."""
        before = self.n_attempts
        while self.queue and len(self.flying) < self._capacity:
            bundle, seconds = self._bundle()
            if not self._submit(bundle, seconds):
                self.queue += bundle[::-1]
                return True
        if not self.flying and self.suspects:
            numbers = self.suspects.pop()
            # One alone is divided as soon as can be, so that little is lost with what no worker survives.
            divided = len(numbers) == 1 and numbers[0] not in self.undivided
            if not self._submit(numbers, 0.0 if divided else self.pace.least):
                self.suspects.append(numbers)
                return True
        return self.n_attempts > before

    def _bundle(self) -> tuple[list[int], float]:
        """Take some of the queue for the next piece, in the order to search them in, and for how long.

        Every so-many-th, so that each has some of the large ones, which come first there, and some are left for whoever
        is done sooner.
        """
        n_free = self._capacity - len(self.flying)
        n_workers = self._n_workers
        step = max(n_workers, n_free)
        taken = self.queue[::step]
        seconds = self.pace.seconds(self.ledger.elapsed)
        if n_workers > 1 and len(self.queue) < _PLENTY * n_workers:
            seconds = self.pace.least
            taken.sort(key=lambda number: -self.ledger.state.open[number].share)
        else:
            taken.reverse()
        del self.queue[::step]
        return taken, seconds

    def _submit(self, numbers: list[int], seconds: float) -> bool:
        """Hand out a piece of work; return whether the executor took it, or is broken."""
        room = float("inf") if self.max_regions is None else self.max_regions - self.ledger.state.n_regions
        subtrees: Sequence[OpenSubtree] = [self.ledger.state.open[number] for number in numbers]
        self.n_attempts += 1
        try:
            future = self.executor.submit(
                search_subtrees,
                self.given,
                subtrees,
                Budget(seconds, self.pace.times_first, room, self.pace.n_bytes),
                self.stop,
                store=self.store,
                attempt=self.n_attempts,
            )
        except BrokenExecutor as error:
            # Those under way, if there are any, are about to say so.
            if not self.flying:
                self._renew(error)
            return False
        except Exception as error:
            # It was shut down, or lost its cluster.
            raise BrokenExecutor(f"{type(error).__name__}: {error}") from error
        self.flying[future] = numbers
        return True

    def _taken_back(self, future: Future[Outcome]) -> Generator[Outcome, None, None]:
        """Write down what came of a piece of work."""
        numbers = self.flying.pop(future)
        try:
            outcome = future.result()
        except CancelledError:
            self.queue += numbers
            return
        except BrokenExecutor as error:
            # Any of those under way may have done it.
            alone = not self.flying
            for other in list(self.flying):
                if other.done() and not other.cancelled() and other.exception() is None:
                    yield from self._taken_back(other)
            broken = [numbers, *self.flying.values()]
            self.flying.clear()
            self._renew(error)
            for each in broken:
                self._suspect(each, error, alone=alone)
            return
        except TropnetError:
            raise
        except Exception as error:  # whatever a worker died of
            self._suspect(numbers, error, alone=True)
            return
        self.seen[outcome.worker] = time.monotonic()
        left = self.ledger.finish(
            Piece(
                numbers[: outcome.n_begun],
                outcome.left,
                outcome.n_regions,
                outcome.stored,
                outcome.undecided,
                outcome.counters,
                outcome.seconds,
            )
        )
        _LOG.debug(
            "%s: %d regions of %d subtrees in %.2f s, %d subtrees left",
            outcome.worker,
            outcome.n_regions,
            outcome.n_begun,
            outcome.seconds,
            len(left),
        )
        if len(left) == 1 and not outcome.n_regions and len(numbers) == 1 and numbers[0] in self.deaths:
            # There was nothing to divide it by.
            self.deaths[left[0]] = self.deaths[numbers[0]]
            self.undivided.add(left[0])
            self.suspects.append(left)
        else:
            self.queue += numbers[outcome.n_begun :][::-1] + left
        yield outcome

    def _suspect(self, numbers: list[int], error: BaseException, *, alone: bool) -> None:
        """Let subtrees be tried again, each by itself if these were alone; give up those that died too often."""
        for number in numbers:
            self.deaths[number] = self.deaths.get(number, 0) + 1
        if not alone:
            self.suspects.append(numbers)
            return
        for number in numbers:
            if self.deaths[number] < _MOST_DEATHS:
                self.suspects.append([number])
            else:
                self.ledger.fail(number, f"{type(error).__name__}: {error}")

    def _renew(self, error: BrokenExecutor) -> None:
        """Go on with a new executor like the one that broke.

        Raises
        ------
        BrokenExecutor
            It is none of processes, or breaks with nothing to do, as where the main module cannot be imported.
        """
        if not isinstance(self.executor, ProcessPoolExecutor):
            raise error
        self.executor = self.owned = ProcessPoolExecutor(
            self.executor._max_workers,  # type: ignore[attr-defined]
            self.executor._mp_context,
            self.executor._initializer,
            self.executor._initargs,
            max_tasks_per_child=self.executor._max_tasks_per_child,  # type: ignore[attr-defined]
        )
        self._asked().result(_SECONDS_TO_BEGIN)
        self.seen.clear()

    def _stopped(self) -> Generator[Outcome, None, None]:
        """Let the pieces under way come to an end, and yield what came of them."""
        if self.stop is not None:
            self.stop.set()
            wait(self.flying, timeout=_SECONDS_TO_STOP)
        for future in list(self.flying):
            future.cancel()
            if future.done():
                yield from self._taken_back(future)

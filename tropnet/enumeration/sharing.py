"""One search by several threads: whoever has nothing to do takes a part of what another has left for later."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from threading import Condition, Thread

from tropnet.enumeration.engine import Chunk, ChunkBuilder, Plan, Rest, Sharing

__all__ = ["enumerate_by_threads"]

_Run = Callable[[ChunkBuilder], Generator[Chunk, None, None]]

# A part that has just begun hands nothing over, so that small searches stay with one thread.
_SECONDS_ALONE = 0.004
# A part that is done sooner was too small to be worth it; one that takes longer was large enough.
_SECONDS_SMALL, _SECONDS_LARGE = 0.02, 0.2
_MAX_FRAMES = 64


class _Part:
    """A part of the search: its run, what it has found, and the part that comes next in the order of one thread."""

    def __init__(self, run: _Run, builder: ChunkBuilder) -> None:
        self.run, self.builder = run, builder
        self.chunks: deque[Chunk] = deque()
        self.next: _Part | None = None
        self.done = False
        self.begin = time.monotonic()


class _Pool:
    """The parts of a search and who works at them; `changed` guards all of it.

    Parts are handed over by their oldest frames, which are the largest where the tree is even. Where that turns out to
    be little, `n_frames`, how many at once, is doubled. With `nearest`, a part keeps so many of its latest frames, and
    hands over all others: what is worked at stays near to what comes next, as a limit asks for.
    """

    def __init__(self, plan: Plan, limit: int | None, *, nearest: bool, seconds_alone: float) -> None:
        self.plan, self.limit, self.nearest, self.seconds_alone = plan, limit, nearest, seconds_alone
        self.changed = Condition()
        self.n_idle, self.n_frames = 0, 1
        self.stopped = False
        self.error: BaseException | None = None
        self.parts: list[_Part] = []
        self.queue: deque[_Part] = deque()
        self.first = self._added(plan.run)

    def work(self) -> None:
        """Run parts until nothing is left; what a thread does."""
        try:
            while (part := self._taken()) is not None:
                self._run(part)
        except BaseException as error:
            # The thread of the caller raises it.
            with self.changed:
                self.error, self.stopped = self.error or error, True
                self.changed.notify_all()

    def stop(self) -> None:
        """Let all threads come to an end."""
        with self.changed:
            self.stopped = True
            self.changed.notify_all()

    @property
    def is_idle(self) -> bool:
        """Whether all parts are done."""
        return all(part.done for part in self.parts)

    @property
    def fraction(self) -> float:
        """The part of the tree that is done."""
        return min(sum(part.builder.fraction for part in self.parts), 1.0)

    def counters(self) -> dict[str, float]:
        """Return the totals of all parts."""
        totals: dict[str, float] = {}
        for part in self.parts:
            for name, value in dict(part.builder.counters).items():
                totals[name] = totals.get(name, 0) + value
        return totals

    def _taken(self) -> _Part | None:
        """Wait for a part; None at the end."""
        with self.changed:
            self.n_idle += 1
            while not self.queue:
                if self.stopped or self.is_idle:
                    self.changed.notify_all()
                    return None
                self.changed.wait()
            self.n_idle -= 1
            return None if self.stopped else self.queue.popleft()

    def _run(self, part: _Part) -> None:
        part.begin = time.monotonic()
        n_regions = 0
        with closing(part.run(part.builder)) as run:
            for chunk in run:
                n_regions += chunk.n_regions
                with self.changed:
                    part.chunks.append(chunk)
                    self.changed.notify_all()
                    if self.stopped or (self.limit is not None and n_regions > self.limit):
                        break
        with self.changed:
            seconds = time.monotonic() - part.begin
            if seconds < _SECONDS_SMALL:
                # The latest frames double, in an even tree, what is kept with each.
                self.n_frames += 1 if self.nearest else self.n_frames
            elif seconds > _SECONDS_LARGE:
                self.n_frames -= 1 if self.nearest else self.n_frames // 2
            self.n_frames = min(max(self.n_frames, 1), _MAX_FRAMES)
            part.done = True
            self.changed.notify_all()

    def _added(self, run: _Run, after: _Part | None = None) -> _Part:
        """Add a part to the end of the order or right after another, which hands it over."""
        builder = self.plan.builder()
        part = _Part(run, builder)

        def wanted() -> bool:
            return self.stopped or (
                self.n_idle > len(self.queue) and time.monotonic() - part.begin > self.seconds_alone
            )

        def hand_over(rest: Rest) -> None:
            with self.changed:
                self._added(rest.run, part)

        def split(n: int) -> int:
            n_frames = n - self.n_frames if self.nearest else self.n_frames
            # Never all: the part goes on.
            return min(max(n_frames, 1), n - 1)

        builder.sharing = Sharing(wanted, hand_over, split)
        if after is not None:
            part.next, after.next = after.next, part
        self.parts.append(part)
        self.queue.append(part)
        self.changed.notify_all() if after is not None else None
        return part


def enumerate_by_threads(
    plan: Plan,
    builder: ChunkBuilder,
    n_threads: int,
    max_regions: int | None,
    *,
    seconds_alone: float = _SECONDS_ALONE,
) -> Generator[Chunk, None, None]:
    """Run a plan of an engine that divides in several threads, the regions in the order of one.

    The search begins as one part, and a part that runs while a thread has nothing to do hands over a part of its own,
    so that trees of any shape keep all threads busy. A part that is handed over comes right after the rest of that
    which it was taken from, so the regions, their points and their order do not depend on the threads. On an interrupt
    all parts stop, and what they found comes before it is raised.
    """
    # Of a count the order is all the same.
    in_order = not plan.task.only_count
    nearest = in_order and max_regions is not None
    pool = _Pool(plan, max_regions, nearest=nearest, seconds_alone=seconds_alone)
    threads = [Thread(target=pool.work, daemon=True) for _ in range(n_threads)]
    interrupt: KeyboardInterrupt | None = None
    for thread in threads:
        thread.start()
    try:
        chunks = _ordered(pool) if in_order else _any(pool)
        while True:
            try:
                chunk = next(chunks, None)
            except KeyboardInterrupt as error:
                interrupt = error
                break
            if chunk is None:
                break
            yield _of_all(chunk, pool, builder)
        pool.stop()
        for thread in threads:
            thread.join()
        if pool.error is not None:
            raise pool.error
        if interrupt is not None:
            for chunk in _rest(pool):
                yield _of_all(chunk, pool, builder)
            raise interrupt
        builder.fraction = 1.0
        yield builder.flush()
    finally:
        pool.stop()
        for thread in threads:
            thread.join()


def _of_all(chunk: Chunk, pool: _Pool, builder: ChunkBuilder) -> Chunk:
    """Return a chunk with the progress of all parts."""
    with pool.changed:
        builder.fraction, builder.counters = pool.fraction, pool.counters()
    return replace(chunk, fraction=builder.fraction, counters=dict(builder.counters))


def _ordered(pool: _Pool) -> Iterator[Chunk]:
    """Yield chunks part after part."""
    part: _Part | None = pool.first
    while part is not None:
        with pool.changed:
            while not part.chunks and not part.done and pool.error is None:
                pool.changed.wait()
            if pool.error is not None:
                return
            chunk = part.chunks.popleft() if part.chunks else None
            if chunk is None:
                part = part.next
        if chunk is not None:
            yield chunk


def _any(pool: _Pool) -> Iterator[Chunk]:
    """Yield chunks as they come."""
    while True:
        with pool.changed:
            while True:
                part = next((part for part in pool.parts if part.chunks), None)
                if part is not None or pool.is_idle or pool.error is not None:
                    break
                pool.changed.wait()
            if part is None:
                return
            chunk = part.chunks.popleft()
        yield chunk


def _rest(pool: _Pool) -> Iterator[Chunk]:
    """Yield what is left of all parts, in order."""
    part: _Part | None = pool.first
    while part is not None:
        yield from part.chunks
        yield part.builder.flush()
        part = part.next

"""A task with its engine: what all public calls run."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator
from concurrent.futures import BrokenExecutor, Executor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import accumulate
from math import log2
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.checks import as_count
from tropnet.arrays.patterns import PackedArray, pack, shifted
from tropnet.enumeration.engine import Ability, Chunk, ChunkBuilder, Engine, Plan, Refusal, Sample, Sampling, Task
from tropnet.enumeration.engines import REGISTRY
from tropnet.enumeration.estimate import TENTH, Count, Estimate, estimate_tree
from tropnet.enumeration.parallel import IN_MEMORY, MemoryLedger, failure_message, search_in_pieces
from tropnet.enumeration.pilot import faster_plan, walk_sample
from tropnet.enumeration.sharing import enumerate_by_threads
from tropnet.errors import SubtreeError
from tropnet.feasibility import BACKENDS
from tropnet.feasibility.tolerances import Tolerances
from tropnet.network.bounds import zaslavsky_bound
from tropnet.network.domain import Domain, RationalPolytope, as_domain
from tropnet.network.network import Network, dense_network
from tropnet.network.neuron_sides import NeuronSides, neuron_sides_of
from tropnet.network.restriction import Restriction, within_hull
from tropnet.progress import Forecast, track
from tropnet.regions import Regions
from tropnet.regions.lifting import lifted_regions
from tropnet.regions.regions import part_of
from tropnet.regions.row_index import RowIndex

__all__ = ["ENGINES", "Search"]

_LOG = logging.getLogger("tropnet.enumeration")
ENGINES = ("auto", *REGISTRY)
# Which engine to begin with: up to so many inputs the vertex engine is rarely the slower one.
_VERTEX_INPUTS = 6
# Here the polygon engine is the fastest, which no pilot has to find out.
_PLANE = 2
# What an engine may cost, in seconds, before others are asked whether they are faster.
_SECONDS_OF_TRIAL = 0.1
# Of a forecast: width, probes and the seconds they may take; for a search that may take so long, more of all.
_QUICK, _CAREFUL, _SECONDS_OF_CARE = (16, 8, 1.0), (256, 16, 10.0), 300.0
# Powers of two that float64 holds.
_MOST_BRANCHINGS = 1000
_Entry = TypeVar("_Entry", bound=np.generic)


@dataclass
class Search:
    """A plan and how to run it: what all public calls run.

    In a domain of lower dimension the chunks are of the `restriction` of `network` to its affine hull, whose task is
    `asked`. If sides of that are no float64 numbers, the plan of a compiled engine has them as neurons (`sides`), which
    its chunks lose.
    """

    network: Network
    domain: Domain
    restriction: Restriction | None
    asked: Task
    sides: NeuronSides | None
    plan: Plan
    max_regions: int | None
    workers: int | Executor
    builder: ChunkBuilder
    rivals: tuple[Engine, ...] = ()
    seconds: float = 0.0
    truncated: bool = False
    probed: bool = False

    @property
    def task(self) -> Task:
        """The task of the plan."""
        return self.plan.task

    @classmethod
    def prepare(
        cls,
        net: Network,
        domain: Domain | None,
        engine: str | Engine,
        backend: str,
        tolerances: Tolerances | None,
        max_regions: int | None,
        workers: int | Executor = 1,
        *,
        only_count: bool = False,
        facets: bool = False,
        needs: frozenset[Ability] = frozenset(),
    ) -> Search:
        """Check the arguments of a public call, choose the engine and let it prepare.

        Raises
        ------
        ValueError
            An argument is none of those allowed, or the engine refuses the task or lacks what the call `needs`.
        """
        if not isinstance(engine, Engine) and engine not in ENGINES:
            raise ValueError(f"engine must be one of {', '.join(ENGINES)} or an Engine, got {engine!r}.")
        if backend not in BACKENDS:
            raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, got {backend!r}.")
        if max_regions is not None:
            max_regions = as_count(max_regions, "max_regions", otherwise=" (or None)")
        if not isinstance(workers, Executor):
            workers = as_count(workers, "workers", otherwise=" or a concurrent.futures.Executor")
        net, limits = dense_network(net), tolerances or Tolerances()
        fitted = as_domain(domain, net.n_inputs)
        # Engines work on parts and slices of the domain, which the message of an empty one should not name.
        with track("setting up the search", "", enabled=False):
            within, inside, restriction = within_hull(net, fitted)
            task = Task(
                within,
                inside,
                backend,
                limits,
                only_count=only_count,
                facets=facets,
            )
            candidates = _candidates(engine, task)
            sides = None
            if isinstance(inside, RationalPolytope) and any(candidate.compiled for candidate in candidates):
                sides = neuron_sides_of(within, inside)
                candidates = candidates if sides is not None else _reading_integers(candidates)
            plan = _planned(task, sides, candidates, needs)
        rivals = _rivals(plan.engine, candidates)
        _LOG.info(
            "engine %s, the first of %s that takes this search%s",
            plan.engine.name,
            ", ".join(candidate.name for candidate in candidates),
            f"; after {_SECONDS_OF_TRIAL} s it is compared with {', '.join(rival.name for rival in rivals)}"
            if rivals
            else "",
        )
        if not plan.engine.compiled:
            sides = None
        return cls(net, fitted, restriction, task, sides, plan, max_regions, workers, plan.builder(), rivals)

    def chunks(self, description: str, progress: bool) -> Generator[Chunk, None, None]:
        """Yield chunks, cut off at `max_regions`."""
        begin = time.perf_counter()
        count = 0
        with (
            track(description, "regions", enabled=progress, forecast=lambda: self._forecast(count)) as update,
            closing(self._run()) as run,
        ):
            for chunk in run:
                if self.max_regions is not None and count + chunk.n_regions > self.max_regions:
                    self.truncated = True
                    chunk = chunk.first(self.max_regions - count)
                count += chunk.n_regions
                update(count, max(chunk.fraction, count / self.max_regions if self.max_regions else 0.0))
                self.seconds = time.perf_counter() - begin
                yield chunk
                if self.truncated:
                    return
            _LOG.info("%d regions by engine %s in %.3f s", count, self.plan.engine.name, self.seconds)

    @property
    def in_pieces(self) -> bool:
        """Whether the search is divided by handing on subtrees, so that its order depends on who is done when."""
        if self.workers == 1 or not self.task.network.n_neurons or Ability.FIXED not in self.plan.engine.abilities:
            return False
        return not isinstance(self.workers, int) or not self.plan.engine.divides

    def completed(self, chunk: Chunk) -> Chunk:
        """Return a chunk of the plan as one of what was asked for: with facets, without neurons that are sides."""
        if self.task.facets and chunk.packed_facets is None:
            chunk = self._with_facets(chunk)
        return chunk if self.sides is None else self._without_sides(chunk, self.sides)

    def stored(self, chunks: list[Chunk]) -> bytes:
        """Return the regions of chunks as the bytes of a part of a run."""
        return part_of(self.collect(chunks, finished=False))

    @property
    def n_helpers(self) -> int:
        """How many of the first neurons of `asked` are not the network's: inputs that a flat domain makes neurons."""
        return 0 if self.restriction is None else self.restriction.n_helpers

    def alone(self) -> Search:
        """Return the search without those who do it, as it goes to them."""
        return replace(self, workers=1, rivals=(), builder=self.plan.builder())

    def settle(self) -> None:
        """Choose the fastest engine now."""
        if self.rivals:
            self.plan = faster_plan(self.plan, self.rivals)
            self.rivals, self.builder = (), self.plan.builder()

    def take(self, engine: str) -> None:
        """Go on with the engine of that name, if it is one of those that the choice is between."""
        for rival in self.rivals:
            answer = rival.prepare(self.plan.task) if rival.name == engine else None
            if isinstance(answer, Plan):
                self.plan = answer
        self.rivals, self.builder = (), self.plan.builder()

    def _run(self) -> Generator[Chunk, None, None]:
        """Run the plan, or that of a rival which is faster."""
        return self._run_best() if self.rivals else self._run_plan()

    def _run_best(self) -> Generator[Chunk, None, None]:
        """Begin with the plan; where that takes long, go on with that of the engine which is fastest in a pilot.

        Small searches are over before a pilot. What a trial has found is kept if its engine goes on.
        """
        trial: list[Chunk] = []
        self.builder.is_trial = True
        run = self.plan.run(self.builder)
        try:
            for chunk in run:
                trial.append(self.completed(chunk))
                if self.builder.cost > _SECONDS_OF_TRIAL:
                    break
            else:
                yield from trial
                return
            best = faster_plan(self.plan, self.rivals)
        except KeyboardInterrupt:
            yield from trial
            raise
        self.builder.is_trial = False
        if best is self.plan and self.workers == 1:
            yield from trial
            yield from map(self.completed, run)
            return
        run.close()
        self.plan, self.builder = best, best.builder()
        yield from self._run_plan()

    def _run_plan(self) -> Generator[Chunk, None, None]:
        """Run the plan, in parts if there are workers and the engine can search a part of its tree."""
        if self.in_pieces:
            return self._run_in_pieces()
        return self._run_here()

    def _run_here(self) -> Generator[Chunk, None, None]:
        """Run the plan in this process, by threads that take work from one another if there are several."""
        run = self.plan.run(self.builder)
        n_threads = self.workers if isinstance(self.workers, int) else 1
        if n_threads > 1 and self.task.network.n_neurons and self.plan.engine.divides:
            run = enumerate_by_threads(self.plan, self.builder, n_threads, self.max_regions)
        with closing(run):
            yield from map(self.completed, run)

    def _run_in_pieces(self) -> Generator[Chunk, None, None]:
        """Run the plan in pieces that the workers do.

        Raises
        ------
        SubtreeError
            Subtrees failed three times, or the executor broke; without the partial result.
        """
        ledger, builder = MemoryLedger(), self.builder
        try:
            for outcome in search_in_pieces(
                self.alone(), ledger, self.workers, IN_MEMORY, max_regions=self.max_regions
            ):
                builder.fraction, builder.counters = ledger.state.fraction, ledger.state.counters
                for chunk in outcome.chunks:
                    yield replace(chunk, fraction=builder.fraction, counters=dict(builder.counters))
        except BrokenExecutor as error:
            raise SubtreeError(f"the executor broke ({error}); pass a new one.", None) from error
        if ledger.state.failed:
            raise SubtreeError(failure_message(ledger.state), None)
        # What is open is beyond the limit.
        self.truncated = not ledger.state.finished

    def estimate(self, width: int, n_probes: int, seed: int, *, progress: bool = False) -> Estimate:
        """Estimate the number of regions; see `estimate_regions`."""
        with track("estimating", "probes", enabled=progress) as update:
            if self.rivals:
                self.plan = faster_plan(self.plan, self.rivals)
            return estimate_tree(
                self._probe,
                self._count,
                self.task.network.n_neurons,
                width=width,
                n_probes=n_probes,
                seed=seed,
                share=TENTH,
                update=update,
            )

    def _count(self, limit: float, seconds: float) -> Count:
        """Count the regions until there are more than `limit`, or they cost more than so many seconds, as counted."""
        plan = self.plan.adapted(replace(self.task, only_count=True))
        count = 0
        if isinstance(plan, Refusal):
            return Count(0, complete=False)
        builder = plan.builder()
        # So it stops at the same place on every machine.
        builder.is_trial = True
        with closing(plan.run(builder)) as run:
            for chunk in run:
                count += chunk.n_regions
                if count > limit or builder.cost > seconds or chunk.undecided:
                    # Some engines come back by the clock.
                    return Count(min(count, int(limit) + 1), complete=False)
        return Count(count, complete=True)

    def _probe(self, sampling: Sampling, deadline: float = np.inf) -> Sample:
        """Walk a part of the tree and return what was seen; a `TimeoutError` if it takes too long."""
        counting = self.plan.adapted(replace(self.task, only_count=True))
        if isinstance(counting, Refusal):
            raise ValueError(counting.reason)
        return walk_sample(counting, sampling, deadline)

    def _forecast(self, count: int) -> Forecast | None:
        """Return about how many regions there will be, where there are already `count`, or None."""
        found = self._probed(count)
        if found is None:
            found = self._guessed(count)
        if found is not None and self.max_regions is not None and found.at_least > self.max_regions:
            return Forecast(float(self.max_regions), 0.0)
        return found

    def _guessed(self, count: int) -> Forecast | None:
        """Return what the part of the tree that was searched says: each branching halves what is below.

        Where no region is found yet, all branchings were on the way to the first one.
        """
        if count:
            return Forecast(count / self.builder.fraction, None) if self.builder.fraction > 0 else None
        n_branchings = min(self.builder.counters.get("branchings", 0), _MOST_BRANCHINGS)
        # However a path branches, there are no more regions than that.
        net = self.task.network
        most = sum(log2(zaslavsky_bound(width, net.n_inputs)) for width in net.widths)
        return Forecast(2.0 ** min(n_branchings, most), None)

    def _probed(self, count: int) -> Forecast | None:
        """Return what random probes say, where a second is enough for them and `count` does not refute them."""
        if not self.plan.engine.compiled or Ability.SAMPLING not in self.plan.engine.abilities or self.probed:
            return None
        self.probed = True
        found = self._quick_estimate(count, *_QUICK)
        return None if found is None else Forecast(found[0].n_regions, found[0].standard_error)

    def outlook(self) -> dict[str, float] | None:
        """Return about how many regions there will be, and how many seconds of one core they take, or None."""
        if not self.plan.engine.compiled or Ability.SAMPLING not in self.plan.engine.abilities:
            return None
        found = self._quick_estimate(0, *_QUICK)
        if found is None or found[1] > _SECONDS_OF_CARE:
            found = self._quick_estimate(0, *_CAREFUL) or found
        if found is None:
            return None
        guess, seconds = found
        return {"n_regions": guess.n_regions, "standard_error": guess.standard_error, "seconds": seconds}

    def _quick_estimate(self, count: int, width: int, n_probes: int, patience: float) -> tuple[Estimate, float] | None:
        """Return what random probes say of the regions, and of the seconds that they take; None if it takes too long.

        Both are refuted, and None, where `count` regions are too many.
        """
        deadline = time.monotonic() + patience
        costs: list[float] = []

        def probe(sampling: Sampling) -> Sample:
            sample = self._probe(sampling, deadline)
            costs.append(sample.full_cost)
            return sample

        try:
            guess = estimate_tree(
                probe,
                lambda _limit, _seconds: Count(count, complete=False),
                self.task.network.n_neurons,
                width=width,
                n_probes=n_probes,
                seed=0,
                share=np.inf,
                update=_unseen,
            )
        except TimeoutError:
            return None
        if guess.standard_error == np.inf:
            return None
        return guess, float(np.mean(costs[-guess.n_probes :]))

    def _with_facets(self, chunk: Chunk) -> Chunk:
        """Add the facets that the engine left to others: one exact decision per row."""
        net, domain = self.task.network, self.task.domain
        index = RowIndex.of(net, domain)
        flags = np.zeros((len(chunk.packed), index.n_places), dtype=np.bool_)
        regions = Regions(net, domain, chunk.packed, chunk.packed_cuts, chunk.points)
        for i, region in enumerate(regions):
            flags[i, index.places(region.rows[region.facets()])] = True
        return replace(chunk, packed_facets=pack(flags))

    def _without_sides(self, chunk: Chunk, sides: NeuronSides) -> Chunk:
        """Return a chunk of the plan as one of what was asked, without the neurons that are sides of the domain."""
        net, n = self.task.network, sides.n_helpers
        facets = chunk.packed_facets
        if facets is not None:
            facets = pack(sides.facets(RowIndex.of(net, self.task.domain).unpack(facets)))
        return replace(
            chunk,
            packed=shifted(chunk.packed, net.n_neurons, -n),
            packed_cuts=shifted(chunk.packed_cuts, net.n_neurons, -n),
            undecided=tuple(prefix[n:] for prefix in chunk.undecided),
            packed_facets=facets,
        )

    def collect(self, chunks: list[Chunk], *, finished: bool) -> Regions:
        """Stack the chunks into columns; in the order of the patterns where that of the search is left to chance."""
        net, domain = self.asked.network, self.asked.domain
        n_bytes = -(-net.n_neurons // 8)
        undecided = tuple(prefix for chunk in chunks for prefix in chunk.undecided)
        starts = accumulate((len(chunk.packed) for chunk in chunks), initial=0)
        rational = {
            start + i: witness.fractions
            for start, chunk in zip(starts, chunks, strict=False)
            for i, witness in chunk.rational.items()
        }
        packed, cuts = (
            _stacked([getattr(chunk, name) for chunk in chunks], n_bytes, np.uint8)
            for name in ("packed", "packed_cuts")
        )
        points = _stacked([chunk.points for chunk in chunks], net.n_inputs, np.float64)
        facets = self._facets(chunks)
        if self.in_pieces and n_bytes:
            order = np.argsort(packed.view(np.dtype((np.void, n_bytes))).ravel(), kind="stable")
            packed, cuts, points = packed[order], cuts[order], points[order]
            facets = None if facets is None else facets[order]
            place = np.argsort(order)
            rational = {int(place[i]): x for i, x in rational.items()}
        found = Regions(
            net,
            domain,
            packed,
            cuts,
            points,
            rational,
            complete=finished and not self.truncated and not undecided,
            undecided=undecided,
            stats={
                "engine": self.plan.engine.name,
                "backend": self.task.backend,
                "seconds": self.seconds,
                **(chunks[-1].counters if chunks else {}),
            },
            packed_facets=facets,
        )
        return lifted_regions(self.network, self.domain, self.restriction, found)

    def _facets(self, chunks: list[Chunk]) -> PackedArray | None:
        """Stack the packed facets of the chunks; None if the engine has not listed all, and was not asked to."""
        if not self.asked.facets and not all(chunk.packed_facets is not None for chunk in chunks if len(chunk.packed)):
            return None
        n_bytes = -(-RowIndex.of(self.asked.network, self.asked.domain).n_places // 8)
        parts = [chunk.packed_facets for chunk in chunks if chunk.packed_facets is not None]
        return _stacked(parts, n_bytes, np.uint8)


def _unseen(count: int, fraction: float, note: str = "") -> None:
    """Show nothing."""


def _stacked(parts: list[NDArray[_Entry]], width: int, dtype: type[_Entry]) -> NDArray[_Entry]:
    """Return matrices of some width on top of each other; there may be none."""
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty((0, width), dtype), *parts])


def _candidates(engine: str | Engine, task: Task) -> list[Engine]:
    """Return the engines to ask, the fastest first."""
    net = task.network
    if engine != "auto":
        return [engine if isinstance(engine, Engine) else REGISTRY[engine]]
    if task.backend != "highs":
        return [REGISTRY["lp"]]
    names = ("vertex", "simplex", "lp") if net.n_inputs <= _VERTEX_INPUTS else ("simplex", "vertex", "lp")
    if net.n_inputs == _PLANE:
        names = ("polygon", "simplex", "lp")
    return [REGISTRY[name] for name in names]


def _reading_integers(candidates: list[Engine]) -> list[Engine]:
    """Return the engines that need no sides in float64.

    Raises
    ------
    ValueError
        There are none.
    """
    others = [engine for engine in candidates if not engine.compiled]
    if not others:
        raise ValueError(
            f"engine {candidates[0].name!r} needs sides that are sums of numbers from 2^-1074 to 2^1023, which those of"
            " this domain are not in the coordinates of its affine hull; take 'auto' or 'lp'."
        )
    return others


def _rivals(chosen: Engine, candidates: list[Engine]) -> tuple[Engine, ...]:
    """Return the engines that a pilot can compare with the chosen one: all of them compiled and able to sample."""
    if chosen is REGISTRY["polygon"]:
        return ()
    able = [engine for engine in candidates if engine.compiled and Ability.SAMPLING in engine.abilities]
    return tuple(engine for engine in able if engine is not chosen) if chosen in able else ()


def _planned(task: Task, sides: NeuronSides | None, candidates: list[Engine], needs: frozenset[Ability]) -> Plan:
    """Return the plan of the first engine that does the task and is able to do what else is needed.

    A compiled engine has the `sides` of the domain that it cannot read as neurons.
    """
    reasons, read = [], task
    if sides is not None:
        read = replace(task, network=sides.network, domain=sides.domain, fixed=sides.fixed)
    for engine in candidates:
        answer = engine.lacks(needs) or engine.prepare(read if engine.compiled else task)
        if isinstance(answer, Plan):
            return answer
        able = [repr(other.name) for other in REGISTRY.values() if answer.missing in other.abilities]
        _LOG.info("engine %s does not take this search: %s", engine.name, answer.reason)
        reasons.append(answer.reason + (f" These can: {', '.join(able)}." if able else ""))
    raise ValueError(" ".join(reasons))

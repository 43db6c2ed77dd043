"""Runs in pieces: chunks, limits, streams and interrupts change nothing in what is found, nor its order."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings

from tests.checks import show
from tests.contract.engines.cases import FEW, PLAIN, Case, the_case
from tests.contract.engines.engines import ENGINES, Candidate, asked, engines
from tests.contract.engines.laws import check_progress, same_rows
from tests.contract.engines.runs import prepared, run, run_case, task_of
from tests.strategies import problems
from tropnet import (
    Domain,
    EnumerationInterrupted,
    Network,
    count_regions,
    enumerate_regions,
    iter_regions,
)
from tropnet.enumeration.engine import Ability, Chunk, ChunkBuilder, Engine, Plan, Refusal, Task
from tropnet.enumeration.engines.lp import LpEngine

N = settings().max_examples
MIDDLING = Network.random([2, 3, 3, 1], seed=1)


@asked(among=PLAIN, fewer=FEW)
def test_next_to_no_room_changes_nothing(tested: Candidate, cases: list[Case]) -> None:
    """A run that is left and entered again at any place finds the same regions in the same order, facets and all."""
    for case in cases:
        facets = Ability.FACETS in tested.engine.abilities
        one, other = (run_case(engine, case, facets=facets) for engine in (tested.engine, tested.tiny))
        # Exact answers make the vertices that they look at exact, which can be earlier or later.
        assert same_rows(one, other, points=not one.builder.counters["settled_exactly"])
        assert len(other.chunks) >= len(one.chunks)
        if facets:
            assert np.array_equal(one.column("packed_facets"), other.column("packed_facets"))
        check_progress(one)
        check_progress(other)


@engines()
def test_next_to_no_room_means_many_chunks(tested: Candidate) -> None:
    """The tiny engines are what they are there for: they hand on a few regions at a time."""
    everything = run_case(tested.tiny, the_case("generic", "R^d", 2))
    assert len(everything.chunks) > 3
    assert max(len(chunk.packed) for chunk in everything.chunks) < 8 < everything.n_regions


@asked(among=PLAIN, fewer=FEW)
def test_counting_counts_what_is_listed(tested: Candidate, cases: list[Case]) -> None:
    """Where a task asks only for the count, the chunks' numbers of regions add up to it."""
    for case in cases:
        for engine in (tested.engine, tested.tiny):
            assert run_case(engine, case, only_count=True).n_regions == len(case.patterns)


@asked(
    among=[
        the_case(network, domain, 2) for network in ("generic", "small integers", "dead") for domain in ("R^d", "box")
    ]
)
def test_a_plan_is_a_value(tested: Candidate, cases: list[Case]) -> None:
    """A plan run again, or another of the same task, gives the same in every respect, and no array of it changes."""
    for case in cases:
        task = task_of(case.net, case.domain)
        plan = prepared(tested.engine, task)
        before = [array.tobytes() for layer in task.network.layers for array in (*layer.weights.values(), layer.bias)]
        first, second, third = run(plan), run(plan), run(prepared(tested.engine, task))
        assert same_rows(first, second)
        assert same_rows(first, third)
        assert before == [
            array.tobytes() for layer in task.network.layers for array in (*layer.weights.values(), layer.bias)
        ]


@settings(max_examples=N // 2)
@given(problem=problems(max_neurons=5))
def test_public_calls_agree_on_drawn_problems(problem: tuple[Network, Domain | None]) -> None:
    """`count_regions`, `iter_regions`, and either of them up to a limit, agree with `enumerate_regions`, in order."""
    net, domain = problem
    show(net, domain)
    for engine in ("auto", *(tested.tiny for tested in ENGINES if tested.takes(net, domain))):
        regions = enumerate_regions(net, domain, engine=engine)
        assert count_regions(net, domain, engine=engine) == len(regions)
        for one, other in zip(iter_regions(net, domain, engine=engine), regions, strict=True):
            assert one.pattern.tolist() == other.pattern.tolist()
            assert one.certificate.fractions == other.certificate.fractions
            assert one.cuts.tolist() == other.cuts.tolist()
        half = len(regions) // 2 + 1
        part = enumerate_regions(net, domain, engine=engine, max_regions=half)
        assert part.patterns.tolist() == regions.patterns[:half].tolist()
        assert part.complete == (half >= len(regions))


@engines()
def test_max_regions_stops_there(tested: Candidate) -> None:
    """`max_regions` bounds what is found, and the result is complete only if nothing was left to visit."""
    for engine in (tested.engine, tested.tiny):
        everything = enumerate_regions(MIDDLING, engine=engine)
        n = len(everything)
        assert everything.complete
        for limit in (1, 2, n - 1, n, n + 1, 10 * n):
            regions = enumerate_regions(MIDDLING, engine=engine, max_regions=limit)
            expected = everything.patterns[:limit].tolist()
            assert regions.patterns.tolist() == expected
            stream = iter_regions(MIDDLING, engine=engine, max_regions=limit)
            assert [region.pattern.tolist() for region in stream] == expected
            assert count_regions(MIDDLING, engine=engine, max_regions=limit) == len(expected)
            assert regions.complete == (limit >= n)


SIXTY = Network.mlp([np.ones((60, 1)), np.ones((1, 60))], [-10.0 * np.arange(1, 61), [0.0]])


@pytest.mark.parametrize("tested", [t for t in ENGINES if t.is_asked(SIXTY, None)], ids=lambda tested: tested.name)
def test_max_regions_in_a_deep_tree_is_not_complete(tested: Candidate) -> None:
    """Sixty cuts of the line make a tree deeper than float64 has bits; stopping at region 55 is not complete."""
    assert count_regions(SIXTY, engine=tested.engine) == 61
    regions = enumerate_regions(SIXTY, engine=tested.tiny, max_regions=55)
    assert len(regions) == 55
    assert not regions.complete


@engines()
def test_regions_stream_while_they_are_found(tested: Candidate) -> None:
    """The first region of a run comes before half of the tree is done."""
    plan = prepared(tested.tiny, task_of(Network.random([2, 4, 4, 1], seed=0), None))
    builder = ChunkBuilder(8, 2, seconds_per_chunk=tested.tiny.seconds_per_chunk)
    chunks = plan.run(builder)
    first = next(chunk for chunk in chunks if len(chunk.packed))
    assert first.fraction < 0.5
    assert sum(len(chunk.packed) for chunk in chunks) > 10
    assert builder.fraction == 1.0


def test_a_slow_search_reports_before_its_first_region() -> None:
    """In a wide network the first region can take long; the lp engine hands on empty chunks with its progress."""
    net = Network.random([3, 8, 8, 1], seed=0)
    plan = prepared(LpEngine(seconds_per_chunk=0.0), task_of(net, None))
    first = next(plan.run(ChunkBuilder(net.n_neurons, 3, seconds_per_chunk=0.0)))
    assert len(first.packed) == 0


# --- interrupts


class Interrupted(Engine):
    """An engine that meets Ctrl-C when it has found some regions."""

    name = "interrupted"
    abilities = frozenset()

    def __init__(self, inner: Engine, n_regions: int) -> None:
        self.inner, self.n_regions = inner, n_regions
        self.seconds_per_chunk = inner.seconds_per_chunk

    def _plan(self, task: Task) -> Plan | Refusal:
        return InterruptedPlan(self, task, prepared(self.inner, task))


@dataclass
class InterruptedPlan(Plan):
    """The plan of the engine within, interrupted as soon as it has found enough, handed on or not."""

    engine: Interrupted
    task: Task
    inner: Plan

    def run(self, builder: ChunkBuilder) -> Generator[Chunk, None, None]:
        n_added, n_yielded = 0, 0
        add = builder.add

        def interrupting(*region: object) -> None:
            nonlocal n_added
            add(*region)
            n_added += 1
            if n_added == self.engine.n_regions:
                raise KeyboardInterrupt

        builder.add = interrupting
        for chunk in self.inner.run(builder):
            n_yielded += chunk.n_regions
            yield chunk
            if n_yielded >= self.engine.n_regions:
                raise KeyboardInterrupt


@engines()
def test_an_interrupt_loses_nothing_found(tested: Candidate) -> None:
    """Ctrl-C raises `EnumerationInterrupted` with all regions found so far, handed on or not, and not complete."""
    for engine in (tested.engine, tested.tiny):
        everything = enumerate_regions(MIDDLING, engine=engine)
        with pytest.raises(EnumerationInterrupted, match="regions found so far") as caught:
            enumerate_regions(MIDDLING, engine=Interrupted(engine, 5))
        partial = caught.value.partial
        assert not partial.complete
        assert len(partial) >= 5
        assert partial.patterns.tolist() == everything.patterns[: len(partial)].tolist()
        with pytest.raises(EnumerationInterrupted, match="regions found so far") as caught:
            count_regions(MIDDLING, engine=Interrupted(engine, 5))
        assert 0 <= caught.value.partial <= len(everything)
        stream = iter_regions(MIDDLING, engine=Interrupted(engine, 5))
        with pytest.raises(KeyboardInterrupt):
            list(stream)


# --- progress


@settings(max_examples=N // 6)
@given(problem=problems(max_neurons=4))
def test_progress_changes_nothing(problem: tuple[Network, Domain | None]) -> None:
    """The progress display, with its forecast where the engine gives one, changes no result."""
    net, domain = problem
    for engine in ("auto", *(tested.tiny for tested in ENGINES if tested.takes(net, domain))):
        expected = count_regions(net, domain, engine=engine)
        assert count_regions(net, domain, engine=engine, progress=True) == expected

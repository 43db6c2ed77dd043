"""Parts in parallel: the result is that of one search, whatever runs the parts and whether the engine takes them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from tests.checks import distinct
from tests.children import fork_server
from tests.cluster import two_workers
from tests.contract.engines.cases import DOMAINS, FEW, NETWORKS, Case, the_case
from tests.contract.engines.engines import ENGINES, Candidate, asked, engines
from tests.contract.engines.laws import check_cuts, check_witness
from tests.contract.engines.runs import Run, prepared, run, task_of
from tropnet import Network, Regions, count_regions, enumerate_regions, iter_regions
from tropnet.arrays.patterns import unpack
from tropnet.enumeration.engine import Ability, Engine, Plan, Refusal, Task
from tropnet.enumeration.parallel import MemoryLedger, Pace, search_in_pieces
from tropnet.enumeration.search import Search
from tropnet.enumeration.sharing import enumerate_by_threads

# Every kind once in parts, and the plain network on every domain.
KINDS = [the_case(network, "R^d", 2) for network in NETWORKS] + [the_case("generic", domain, 2) for domain in DOMAINS]

SHORTEST = Pace(1e-9, 0.0, 1e-9, float("inf"), 0.0)


@pytest.fixture(scope="module")
def processes() -> Iterator[Executor]:
    """Two processes for all tests."""
    with ProcessPoolExecutor(2, fork_server()) as executor:
        yield executor


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    """Two workers of a Dask cluster."""
    with two_workers(tmp_path_factory.mktemp("dask")) as client:
        yield client.get_executor()


def columns(regions: Regions) -> list[object]:
    """Return what two results that are the same agree in."""
    return [column.tolist() for column in (regions.packed, regions.packed_cuts, regions.witnesses)]


@asked(among=list(dict.fromkeys(KINDS)), fewer=FEW)
def test_parts_are_the_whole(tested: Candidate, cases: list[Case]) -> None:
    """On every kind of network and domain two workers find the patterns of one, each with its proofs."""
    for case in cases:
        regions = enumerate_regions(case.net, case.domain, engine=tested.engine, workers=2)
        assert distinct(regions.patterns) == case.patterns
        assert regions.complete
        for region in regions:
            pattern = tuple(region.pattern.tolist())
            check_witness(case, pattern, region.certificate)
            check_cuts(case, pattern, [j for j in region.rows.tolist() if j >= 0])
        assert count_regions(case.net, case.domain, engine=tested.engine, workers=2) == len(case.patterns)


@engines()
def test_the_order_does_not_depend_on_who_works(tested: Candidate, processes: Executor, cluster: Executor) -> None:
    """Any number of threads finds the same regions in the same order, and so does any executor."""
    whole = the_case("generic", "polyhedron", 2)
    with ThreadPoolExecutor(2) as threads:
        for group in ((2, 3), (threads, processes, cluster)):
            several = [
                enumerate_regions(whole.net, whole.domain, engine=engine, workers=workers)
                for engine in (tested.engine, tested.tiny)
                for workers in group
            ]
            assert distinct(several[0].patterns) == whole.patterns
            for regions in several:
                assert columns(regions) == columns(several[0])


@asked(among=list(dict.fromkeys(KINDS)))
def test_threads_that_share_all_the_time_find_what_one_finds(tested: Candidate, cases: list[Case]) -> None:
    """Where parts are handed over at every step, regions, cuts, facets and their order stay; points but for ties."""
    if not tested.engine.divides:
        return
    for case in cases:
        facets = Ability.FACETS in tested.engine.abilities
        plan = prepared(tested.tiny, task_of(case.net, case.domain, facets=facets))
        alone = run(plan)
        # Exact answers make the generators that they look at exact, which can be earlier or later.
        is_plain = case.kind == "generic" and not alone.builder.counters["uncertain"]
        for limit in (None, len(case.patterns) // 2 + 1):
            builder = plan.builder()
            chunks = list(enumerate_by_threads(plan, builder, 3, limit, seconds_alone=-1.0))
            together = Run(case.net, tuple(chunks), builder)
            n = min(len(together.listed), limit or len(case.patterns))
            assert n == (limit or len(case.patterns))
            assert together.listed[:n] == alone.listed[:n]
            names = ["packed_cuts", *(["points"] if is_plain else [])]
            names += ["packed_facets"] if all(chunk.packed_facets is not None for chunk in alone.chunks) else []
            for name in names:
                assert np.array_equal(together.column(name)[:n], alone.column(name)[:n])
        counting = plan.adapted(task_of(case.net, case.domain, only_count=True))
        counted = enumerate_by_threads(counting, counting.builder(), 3, None, seconds_alone=-1.0)
        assert sum(chunk.n_regions for chunk in counted) == len(case.patterns)


@asked(Ability.FIXED, among=list(dict.fromkeys(KINDS)), fewer=FEW)
def test_pieces_are_the_whole(tested: Candidate, cases: list[Case], tmp_path: Path) -> None:
    """Cut into the shortest pieces, in memory and in a directory, listed and counted: each region once, with proofs."""
    n_pieces = []
    for number, case in enumerate(cases):
        search = Search.prepare(case.net, case.domain, tested.tiny, "highs", None, None)
        ledger, found = MemoryLedger(), []
        for outcome in search_in_pieces(search.alone(), ledger, 1 + number % 2, SHORTEST):
            found += [row for chunk in outcome.chunks for row in unpack(chunk.packed, search.asked.network.n_neurons)]
        assert not ledger.state.open
        n_pieces.append(ledger.state.n_pieces)
        patterns = distinct(np.array(found)[:, search.n_helpers :])
        assert len(found) == ledger.state.n_regions == len(case.patterns)
        assert patterns == case.patterns
        run = enumerate_regions(case.net, case.domain, engine=tested.tiny, out=tmp_path / f"{number}")
        assert run.complete
        regions = run.regions()
        assert distinct(regions.patterns) == case.patterns
        assert len(regions) == len(case.patterns)
        for region in regions:
            check_witness(case, tuple(region.pattern.tolist()), region.certificate)
        out = tmp_path / f"{number}, counted"
        assert count_regions(case.net, case.domain, engine=tested.tiny, out=out) == len(case.patterns)
    # Trees of a few regions, and those that are left to another engine, are one piece.
    assert max(n_pieces) > 1 or cases[0].kind != "generic"


def test_an_error_in_a_thread_is_raised() -> None:
    """What goes wrong in a part comes out of the call, and no thread is left waiting."""
    whole = the_case("generic", "box", 2)
    plan = prepared(ENGINES[0].tiny, task_of(whole.net, whole.domain))

    class Failing(Plan):
        engine, task = plan.engine, plan.task

        def run(self, builder):
            yield from islice(plan.run(builder), 2)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(enumerate_by_threads(Failing(), plan.builder(), 2, None))


@engines()
def test_streams_counts_and_limits_with_workers(tested: Candidate) -> None:
    """With workers, too, public calls agree, and `max_regions` stops there."""
    whole = the_case("small integers", "half-space", 2)
    regions = enumerate_regions(whole.net, whole.domain, engine=tested.engine, workers=2)
    streamed = [
        region.pattern.tolist() for region in iter_regions(whole.net, whole.domain, engine=tested.engine, workers=2)
    ]
    # Others come as pieces of work are done, and are put into the order of their patterns.
    in_order = tested.engine.divides or Ability.FIXED not in tested.engine.abilities
    assert (streamed if in_order else sorted(streamed)) == (
        regions.patterns.tolist() if in_order else sorted(regions.patterns.tolist())
    )
    n = len(regions)
    for limit in (1, n - 1, n):
        part = enumerate_regions(whole.net, whole.domain, engine=tested.engine, workers=2, max_regions=limit)
        assert len(part) == limit
        assert distinct(part.patterns) <= whole.patterns
        if in_order:
            assert part.patterns.tolist() == regions.patterns[:limit].tolist()
        assert part.complete == (limit == n)


class WholeOnly(Engine):
    """An engine that fits the whole of a network only: it refuses every part of its tree, and every shorter network."""

    name = "whole only"
    abilities = frozenset({Ability.FIXED})

    def __init__(self, inner: Engine, net: Network) -> None:
        self.inner, self.n_neurons, self.seconds_per_chunk = inner, net.n_neurons, inner.seconds_per_chunk
        self.refused = 0

    def _plan(self, task: Task) -> Plan | Refusal:
        if task.fixed or task.network.n_neurons < self.n_neurons:
            self.refused += 1
            return Refusal("engine 'whole only' takes no part.")
        return WholePlan(self, task)


class WholePlan(Plan):
    """The plan of the engine within; parts of it are asked of the engine anew."""

    def __init__(self, engine: WholeOnly, task: Task) -> None:
        self.engine, self.task = engine, task

    def run(self, builder):
        """Run the plan of the engine within."""
        return prepared(self.engine.inner, self.task).run(builder)


@engines(Ability.FIXED)
def test_parts_that_an_engine_refuses_are_searched_all_the_same(tested: Candidate) -> None:
    """The lp engine, which refuses nothing, does them: nothing is lost, and no error comes out of a worker."""
    for kind in ("generic", "dead"):
        whole = the_case(kind, "R^d", 2)
        engine = WholeOnly(tested.tiny, whole.net)
        search = Search.prepare(whole.net, whole.domain, engine, "highs", None, None)
        ledger, found = MemoryLedger(), []
        for outcome in search_in_pieces(search.alone(), ledger, 2, SHORTEST):
            found += [row for chunk in outcome.chunks for row in unpack(chunk.packed, whole.net.n_neurons)]
        assert engine.refused or len(whole.patterns) < 8
        assert len(found) == len(whole.patterns)
        assert distinct(np.array(found)) == whole.patterns


def test_first_neurons_alone_need_not_fit() -> None:
    """Neurons without weights come first, which alone leave the whole plane: engines that need a vertex refuse that."""
    first = np.vstack([np.zeros((5, 2)), np.eye(2)])
    net = Network.mlp([first, np.ones((1, 7))], [np.ones(7), [0.0]])
    for engine in ("auto", *(tested.engine for tested in ENGINES)):
        assert count_regions(net, engine=engine, workers=2) == 4

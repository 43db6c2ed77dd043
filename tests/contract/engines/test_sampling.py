"""Samples of the tree: exact where nothing is left out, unbiased otherwise, and determined by the seed."""

from __future__ import annotations

import numpy as np
import pytest

from tests.contract.engines.cases import FEW, SMALL, Case, the_case
from tests.contract.engines.engines import Candidate, asked, engines
from tests.contract.engines.runs import Run, prepared, run, task_of
from tropnet import Box, Domain, Network, count_regions, estimate_regions
from tropnet.enumeration.engine import Ability, Sample, Sampling

NET = Network.random([2, 9, 9, 1], skips=[(1, 3)], seed=3)
DOMAINS = [None, Box(-10, 10)]


def keeping(net: Network, target: float, seed: int = 0, **options: float) -> Sampling:
    """Return a sampling with one target for all strata; its array cannot be written into."""
    return Sampling(np.full(net.n_neurons + 1, target), seed, **options)


def probe(tested: Candidate, net: Network, domain: Domain | None, sampling: Sampling, **options: object) -> Run:
    """Run a sample of the tree."""
    return run(prepared(tested.engine, task_of(net, domain, sampling=sampling, **options)))


def seen(found: Run) -> Sample:
    """Return what all chunks saw together."""
    parts = [chunk.sample for chunk in found.chunks if chunk.sample is not None]
    return sum(parts[1:], parts[0])


@asked(Ability.SAMPLING, among=SMALL, fewer=FEW)
def test_a_tree_of_which_nothing_is_left_out_is_counted(tested: Candidate, cases: list[Case]) -> None:
    """On every kind of network and domain a sample that keeps everything is exact, in one chunk or in many."""
    for case in cases:
        sampling = keeping(case.net, 1.0, free=10**6)
        for engine in (tested.engine, tested.tiny):
            for only_count in (True, False):
                task = task_of(case.net, case.domain, sampling=sampling, only_count=only_count)
                found = run(prepared(engine, task))
                sample = seen(found)
                assert sample.leaves == found.n_regions == len(case.patterns)
                assert sample.n_left_out == 0
                assert sample.full_cost == sample.cost >= 0
                assert sample.nodes.shape == sampling.targets.shape


@pytest.mark.parametrize("domain", DOMAINS, ids=["R^d", "box"])
@engines(Ability.SAMPLING)
def test_a_sample_is_a_function_of_its_seed(tested: Candidate, domain: Domain | None) -> None:
    """The same seed sees the same, by the same plan or another; others see something else; what is listed occurs."""
    everything = {tuple(row) for row in run(prepared(tested.engine, task_of(NET, domain))).listed}
    values = []
    for seed in (1, 3, 5):
        sampling = keeping(NET, 4.0, seed)
        plan = prepared(tested.engine, task_of(NET, domain, sampling=sampling))
        first, second = run(plan), run(plan)
        assert seen(first).leaves == seen(second).leaves
        assert seen(first).leaves == pytest.approx(seen(probe(tested, NET, domain, sampling)).leaves)
        assert seen(first).nodes == pytest.approx(seen(second).nodes)
        assert seen(first).n_left_out > 0
        assert first.listed == second.listed
        assert everything.issuperset(first.listed)
        values.append(seen(first).leaves)
    assert len(set(values)) > 1


@pytest.mark.parametrize("domain", DOMAINS, ids=["R^d", "box"])
@engines(Ability.SAMPLING)
def test_samples_are_unbiased(tested: Candidate, domain: Domain | None) -> None:
    """The mean over many seeds is the number of regions, within four of its standard errors."""
    net = Network.random([2, 5, 5, 1], seed=3)
    truth = count_regions(net, domain, engine="lp")
    plan = prepared(tested.engine, task_of(net, domain, only_count=True))
    leaves = [
        run(
            plan.adapted(task_of(net, domain, only_count=True, sampling=keeping(net, 3.0, 2**40 * seed + 12345)))
        ).leaves
        for seed in range(120)
    ]
    error = np.std(leaves, ddof=1) / np.sqrt(len(leaves))
    assert 0 < error < truth / 5
    assert abs(np.mean(leaves) - truth) < 4 * error


@engines(Ability.SAMPLING)
def test_samples_in_many_chunks_are_the_same(tested: Candidate) -> None:
    """A tiny engine sees the same nodes, however many chunks it hands on."""
    task = task_of(NET, Box(-10, 10), sampling=keeping(NET, 2.0, 7))
    one, other = (run(prepared(engine, task)) for engine in (tested.engine, tested.tiny))
    assert len(other.chunks) > len(one.chunks)
    assert seen(one).leaves == pytest.approx(seen(other).leaves)
    assert seen(one).nodes == pytest.approx(seen(other).nodes)


@asked(
    Ability.SAMPLING, Ability.FIXED, among=[the_case(net, "box", 2) for net in ("generic", "skips", "small integers")]
)
def test_a_sample_below_fixed_bits_has_their_weight(tested: Candidate, cases: list[Case]) -> None:
    """A subtree that was kept with probability 1 / w counts w times, and its strata are those of the whole tree."""
    for case in cases:
        for length in (1, 3, case.net.n_neurons):
            for pattern in case.patterns:
                fixed = dict(enumerate(pattern[:length]))
                n_below = sum(other[:length] == pattern[:length] for other in case.patterns)
                sampling = keeping(case.net, 1.0, depth=1, weight=4.0, free=10**6)
                sample = seen(probe(tested, case.net, case.domain, sampling, fixed=fixed))
                assert sample.leaves == 4.0 * n_below
                assert not sample.nodes[:length].any()


# --- estimates


@asked(
    Ability.SAMPLING,
    among=[the_case(net, domain, 2) for net in ("generic", "fan") for domain in ("R^d", "box", "wedge")],
)
def test_estimates_of_small_trees_are_counts(tested: Candidate, cases: list[Case]) -> None:
    """`estimate_regions` walks a small tree in full and says that it is exact."""
    for case in cases:
        for engine in (tested.engine, tested.tiny):
            estimate = estimate_regions(case.net, case.domain, engine=engine)
            assert estimate.exact
            assert estimate.n_regions == len(case.patterns)
            assert estimate.standard_error == 0

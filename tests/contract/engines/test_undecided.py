"""What exact arithmetic may not settle is said: nothing is guessed, and prefixes cover all that is missing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.checks import distinct, show
from tests.contract.engines.cases import COINCIDENT, DOMAINS, FEW, NETWORKS, Case, the_case
from tests.contract.engines.engines import ENGINES, Candidate, asked, engines
from tests.contract.engines.laws import check_covered, check_cuts, check_witness
from tests.contract.engines.runs import prepared, run, task_of
from tests.strategies import problems
from tropnet import (
    Domain,
    Network,
    Polytope,
    Regions,
    Tolerances,
    UndecidedError,
    count_regions,
    enumerate_regions,
    iter_regions,
)

N = settings().max_examples
NONE = Tolerances(exact_pivots=0)
KINDS = [
    the_case(network, domain, 2) for network in NETWORKS for domain in ("R^d", "box", "thin slab", "cross-polytope")
]
KINDS += [the_case("small integers", domain, 2) for domain in DOMAINS]


def check_partial(case: Case, regions: Regions, tested: Candidate) -> None:
    """Check that every region found is proven, and that the prefixes cover what is missing."""
    check_covered(case, distinct(regions.patterns), regions.undecided, only=tested.in_order)
    for region in regions:
        pattern = tuple(region.pattern.tolist())
        check_witness(case, pattern, region.certificate)
        check_cuts(case, pattern, [j for j in region.rows.tolist() if j >= 0])
    assert regions.complete == (not regions.undecided)
    assert regions.n_undecided == len(regions.undecided)


@asked(among=list(dict.fromkeys(KINDS)), fewer=FEW)
def test_without_exact_arithmetic_prefixes_cover_what_is_missing(tested: Candidate, cases: list[Case]) -> None:
    """With no exact pivot at all, or a few, a run says where regions may be missing, in however many chunks."""
    for case in cases:
        for pivots in (0, 2):
            for engine in (tested.engine, tested.tiny):
                found = run(prepared(engine, task_of(case.net, case.domain, pivots=pivots)))
                check_covered(case, found.patterns, found.undecided, only=tested.in_order)


@settings(max_examples=2 * N)
@given(
    problem=problems(max_neurons=5),
    backend=st.sampled_from(["highs", "exact"]),
    pivots=st.sampled_from([0, 1, 2, 3, 4, 6, 8, 12]),
    slack=st.sampled_from([1e-9, 0.5]),
)
def test_drawn_problems_with_few_exact_pivots(
    problem: tuple[Network, Domain | None], backend: str, pivots: int, slack: float
) -> None:
    """On drawn problems a partial result of every engine says exactly where regions may be missing."""
    net, domain = problem
    show(net, domain)
    drawn = Case("drawn", net, domain)
    tolerances = Tolerances(slack=slack, exact_pivots=pivots)
    for tested in ENGINES:
        if not tested.takes(net, domain):
            continue
        options = {"engine": tested.name, "backend": backend, "tolerances": tolerances}
        regions = enumerate_regions(net, domain, on_undecided="collect", **options)
        check_partial(drawn, regions, tested)
        if regions.undecided:
            with pytest.raises(UndecidedError, match=f"{regions.n_undecided} subtree.* undecided") as caught:
                enumerate_regions(net, domain, **options)
            assert caught.value.partial.undecided == regions.undecided
            assert caught.value.partial.patterns.tolist() == regions.patterns.tolist()


@engines()
def test_undecided_raises_and_carries_the_partial_result(tested: Candidate) -> None:
    """Without exact arithmetic a degenerate network is not silently enumerated: raise, or collect on request."""
    options = {"engine": tested.engine, "tolerances": NONE}
    regions = enumerate_regions(COINCIDENT, on_undecided="collect", **options)
    assert regions.undecided
    assert not regions.complete
    check_partial(Case("coincident", COINCIDENT, None), regions, tested)
    with pytest.raises(UndecidedError, match=r"undecided, so regions may be missing; raise Tolerances.exact_pivots"):
        enumerate_regions(COINCIDENT, **options)
    with pytest.raises(UndecidedError, match="undecided") as caught:
        count_regions(COINCIDENT, **options)
    assert caught.value.partial == len(regions)
    streamed = []
    with pytest.raises(UndecidedError, match="undecided"):
        streamed.extend(region.pattern.tolist() for region in iter_regions(COINCIDENT, **options))
    assert streamed == regions.patterns.tolist()
    assert enumerate_regions(COINCIDENT, engine=tested.engine).complete


# Engines that start from the exact vertices of the domain.
PROVING = [tested for tested in ENGINES if tested.name in ("vertex", "polygon")]


@pytest.mark.parametrize("tested", [t for t in ENGINES if t not in PROVING], ids=lambda tested: tested.name)
def test_an_undecided_domain_leaves_everything_undecided(tested: Candidate) -> None:
    """A domain that nothing proves to have interior gives no region and the empty prefix."""
    sliver = Polytope([[1.0, 0.0], [-1.0, 0.0]], [1e-13, 0.0])
    net = Network.random([2, 2, 1], seed=0)
    regions = enumerate_regions(net, sliver, on_undecided="collect", engine=tested.engine, tolerances=NONE)
    assert (len(regions), regions.undecided, regions.complete) == (0, ((),), False)
    check_partial(Case("sliver", net, sliver), regions, tested)


@pytest.mark.parametrize("tested", PROVING, ids=lambda tested: tested.name)
def test_a_thin_domain_is_proven_by_its_vertices(tested: Candidate) -> None:
    """They are exact whatever the tolerances, so that a sliver with generic cells leaves nothing undecided."""
    sliver = Case("sliver", Network.random([2, 2, 1], seed=0), Polytope([[1.0, 0.0], [-1.0, 0.0]], [1e-13, 0.0]))
    found = run(prepared(tested.engine, task_of(sliver.net, sliver.domain, pivots=0)))
    assert found.patterns == sliver.patterns
    assert found.undecided == []


@engines()
def test_slivers_of_cells_are_set_aside(tested: Candidate) -> None:
    """Of hyperplanes that differ in the last bits, what is not settled is below a prefix, in one part or two."""
    rows = np.array([[1.0, 0.5]] * 4) * (1 + np.array([[0, 0], [1, 2], [-2, 1], [3, -3]]) * 2.0**-50)
    net = Network.mlp([np.vstack([rows, [[0.5, -1.0]]]), np.ones((1, 5))], [[0, 1e-13, -1e-13, 2e-13, 0.25], [0]])
    slivers = Case("slivers", net, None)
    for workers in (1, 2):
        regions = enumerate_regions(net, engine=tested.engine, tolerances=NONE, on_undecided="collect", workers=workers)
        check_covered(slivers, distinct(regions.patterns), regions.undecided, only=tested.in_order)
        assert regions.undecided

"""All engines over all backends: the same set of patterns as brute force, with proofs."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.checks import cell, distinct, exact_halfspaces, nearest_float, neuron_rows, opposite, show, strictly_inside
from tests.oracles.brute_force import brute_force_patterns, exact_forward
from tests.oracles.fourier_motzkin import has_interior
from tests.strategies import halfspaces, networks, problems
from tropnet import (
    Box,
    Domain,
    EnumerationInterrupted,
    Layer,
    Network,
    Polytope,
    Regions,
    Tolerances,
    UndecidedError,
    count_regions,
    enumerate_regions,
    iter_regions,
)
from tropnet.enumeration.engine import ChunkBuilder
from tropnet.feasibility import Cascade

N = settings().max_examples
ENGINES = ["lp", "reference"]
FAST_BACKENDS = ["highs", "exact"]
DIMENSIONS = [1, 2, 3]
CHUNK_SECONDS = "tropnet.enumeration.engine._SECONDS_PER_CHUNK"

# The x axis cut at 0 three times: hyperplanes that floating point alone cannot tell apart.
COINCIDENT = Network.mlp([[[1, 0], [3, 0], [-1, 0], [0, 1]], np.ones((1, 4))], [np.zeros(4), [0]])


def check_all(net: Network, domain: Domain | None, regions: Regions) -> None:
    """Check that the regions are complete, distinct, those of the brute force, and every witness strictly inside."""
    show(net, domain)
    sides = halfspaces(domain, net.n_inputs)
    assert distinct(regions.patterns) == brute_force_patterns(net, sides)
    assert len(regions) == len(regions.patterns) == len(regions.witnesses)
    assert regions.complete
    assert regions.n_undecided == 0
    assert regions.undecided == ()
    for i, region in enumerate(regions):
        pattern = tuple(region.pattern.tolist())
        exact = region.certificate.fractions
        assert strictly_inside(cell(net, pattern, sides), exact)
        assert exact_forward(net, exact)[1] == pattern
        assert region.witness.tolist() == list(map(nearest_float, exact)) == regions.witnesses[i].tolist()
        stored = tuple(map(Fraction, regions.witnesses[i].tolist()))
        assert (stored == exact) == region.certificate.is_float == (i not in regions.rational_witnesses)


@pytest.mark.parametrize("n_inputs", DIMENSIONS)
@pytest.mark.parametrize("backend", FAST_BACKENDS)
@settings(max_examples=2 * N)
@given(data=st.data())
def test_lp_finds_the_patterns_of_the_brute_force(backend: str, n_inputs: int, data: st.DataObject) -> None:
    """The lp engine finds every pattern that occurs, once, with a witness strictly inside."""
    net, domain = data.draw(problems(n_inputs, max_neurons=7 if n_inputs < 3 else 6))
    check_all(net, domain, enumerate_regions(net, domain, engine="lp", backend=backend))


@pytest.mark.parametrize("n_inputs", DIMENSIONS)
@pytest.mark.parametrize("backend", FAST_BACKENDS)
@settings(max_examples=N // 2)
@given(data=st.data())
def test_reference_finds_the_patterns_of_the_brute_force(backend: str, n_inputs: int, data: st.DataObject) -> None:
    """Algorithm 2 finds every pattern that occurs, once, with a witness strictly inside."""
    net, domain = data.draw(problems(n_inputs, max_neurons=6))
    check_all(net, domain, enumerate_regions(net, domain, engine="reference", backend=backend))


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=N // 3)
@given(data=st.data())
def test_cvxpy_finds_the_patterns_of_the_brute_force(engine: str, data: st.DataObject) -> None:
    """Over the cvxpy backend both engines find every pattern that occurs, once, with a witness strictly inside."""
    net, domain = data.draw(problems(max_neurons=4 if engine == "lp" else 3))
    check_all(net, domain, enumerate_regions(net, domain, engine=engine, backend="cvxpy"))


@settings(max_examples=N)
@given(problem=problems(max_neurons=6), slack=st.sampled_from([0.0, 1e-16, 1e-4, 0.5, 0.999]))
def test_the_slack_tolerance_changes_no_region(problem: tuple[Network, Domain | None], slack: float) -> None:
    """A wrong guess of `Tolerances.slack` costs time, never a region."""
    net, domain = problem
    check_all(net, domain, enumerate_regions(net, domain, tolerances=Tolerances(slack=slack)))


@pytest.mark.parametrize("engine", ["auto", *ENGINES])
@settings(max_examples=N // 3)
@given(problem=problems(max_neurons=5))
def test_counting_and_streaming_agree_with_enumerating(engine: str, problem: tuple[Network, Domain | None]) -> None:
    """`count_regions` and `iter_regions` give what `enumerate_regions` gives, in the same order."""
    net, domain = problem
    show(net, domain)
    regions = enumerate_regions(net, domain, engine=engine)
    streamed = list(iter_regions(net, domain, engine=engine))
    assert count_regions(net, domain, engine=engine) == len(regions)
    assert [region.pattern.tolist() for region in streamed] == regions.patterns.tolist()
    for one, other in zip(streamed, regions, strict=True):
        assert one.certificate.fractions == other.certificate.fractions
        assert one.cuts.tolist() == other.cuts.tolist()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("backend", FAST_BACKENDS)
def test_a_search_is_a_function_of_its_task(engine: str, backend: str) -> None:
    """Enumerating twice gives the same regions, in the same order, with the same witnesses."""
    net = Network.random([2, 3, 3, 1], seed=5)
    first, second = (enumerate_regions(net, Box(-2, 2), engine=engine, backend=backend) for _ in range(2))
    assert first.patterns.tolist() == second.patterns.tolist()
    assert first.witnesses.tolist() == second.witnesses.tolist()


# --- cells at the limits of float64


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("backend", ["highs", "cvxpy", "exact"])
def test_a_cell_between_two_floats_has_a_rational_witness(engine: str, backend: str) -> None:
    """Between 1/3 and the float next to it lies a cell without a float64 point; it is found, and flagged."""
    net = Network.mlp([[[3.0], [1.0]], [[1.0, 1.0]]], [[-1.0, -1 / 3], [0.0]])
    assert Fraction(1 / 3) != Fraction(1, 3)
    regions = enumerate_regions(net, engine=engine, backend=backend)
    assert len(regions) == 3
    check_all(net, None, regions)
    (flagged,) = regions.rational_witnesses
    assert regions.patterns[flagged].tolist() == [False, True]
    assert not regions[flagged].certificate.is_float


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("backend", FAST_BACKENDS)
@pytest.mark.parametrize("factor", [5e-324, 1e-200, 1e200])
def test_the_magnitude_of_a_row_does_not_matter(engine: str, backend: str, factor: float) -> None:
    """A neuron multiplied by a tiny or huge number has the same hyperplane and the same regions."""
    net = Network.mlp([[[factor, 0], [0, 1], [1, 1]], np.ones((1, 3))], [[factor, 0, 0], [0]])
    regions = enumerate_regions(net, engine=engine, backend=backend)
    assert len(regions) == 7
    check_all(net, None, regions)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("backend", FAST_BACKENDS)
def test_a_cell_beyond_the_largest_float_counts(engine: str, backend: str) -> None:
    """The hyperplane 1e-200 x = 1e200 lies beyond the largest float64, and both its sides have interior."""
    net = Network.mlp([[[1e-200]], [[1.0]]], [[-1e200], [0.0]])
    regions = enumerate_regions(net, engine=engine, backend=backend)
    assert len(regions) == 2
    check_all(net, None, regions)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("backend", FAST_BACKENDS)
@pytest.mark.parametrize("width", [5e-324, 1e-300, 1e-12, 1e308])
def test_the_size_of_a_box_does_not_matter(engine: str, backend: str, width: float) -> None:
    """Three lines through the centre cut every square around it into six, the smallest and the largest one."""
    net = Network.mlp([[[1, 0], [0, 1], [1, 1]], np.ones((1, 3))], [np.zeros(3), [0]])
    box = Box(-width, width)
    regions = enumerate_regions(net, box, engine=engine, backend=backend)
    assert len(regions) == 6
    check_all(net, box, regions)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_sign_is_not_lost_to_cancellation_between_layers(engine: str) -> None:
    """0.1 + 0.2 exceeds 0.3 by less than float64 shows: relu(0.1 x) + relu(0.2 x) - 0.3 x is positive for x > 0."""
    net = Network(
        [
            Layer({0: [[0.1], [0.2]]}, [0.0, 0.0]),
            Layer({1: [[1.0, 1.0]], 0: [[-0.3]]}, [0.0]),
            Layer({2: [[1.0]]}, [0.0]),
        ]
    )
    regions = enumerate_regions(net, engine=engine)
    assert distinct(regions.patterns) == {(True, True, True), (False, False, True)}


# --- stopping early


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("chunk_seconds", [0.0, 1e9])
def test_max_regions_stops_there(engine: str, chunk_seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """`max_regions` bounds what is found, and the result is complete only if nothing was left to visit."""
    monkeypatch.setattr(CHUNK_SECONDS, chunk_seconds)
    net = Network.random([2, 3, 3, 1], seed=1)
    everything = enumerate_regions(net, engine=engine)
    n = len(everything)
    assert everything.complete
    for limit in (1, 2, n - 1, n, n + 1, 10 * n):
        regions = enumerate_regions(net, engine=engine, max_regions=limit)
        expected = everything.patterns[:limit].tolist()
        assert regions.patterns.tolist() == expected
        assert [r.pattern.tolist() for r in iter_regions(net, engine=engine, max_regions=limit)] == expected
        assert count_regions(net, engine=engine, max_regions=limit) == len(expected)
        assert regions.complete == (limit >= n)


def test_max_regions_in_a_deep_tree_is_not_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty cuts of the line make a tree deeper than float64 has bits; stopping at region 55 is not complete."""
    monkeypatch.setattr(CHUNK_SECONDS, 0.0)
    net = Network.mlp([np.ones((60, 1)), np.ones((1, 60))], [-10.0 * np.arange(1, 61), [0.0]])
    assert count_regions(net) == 61
    regions = enumerate_regions(net, max_regions=55)
    assert len(regions) == 55
    assert not regions.complete


@pytest.mark.parametrize("engine", ENGINES)
def test_an_interrupt_loses_nothing_found(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C raises `EnumerationInterrupted` with all regions found so far, not complete."""
    net = Network.random([2, 3, 3, 1], seed=1)
    found: list[list[bool]] = []
    add, decide = ChunkBuilder.add, Cascade.decide

    def recording_add(self: ChunkBuilder, pattern: object, *rest: object) -> None:
        found.append(pattern.tolist())
        add(self, pattern, *rest)

    def interrupted_decide(self: Cascade) -> object:
        if len(found) == 5:
            raise KeyboardInterrupt
        return decide(self)

    monkeypatch.setattr(ChunkBuilder, "add", recording_add)
    monkeypatch.setattr(Cascade, "decide", interrupted_decide)
    with pytest.raises(EnumerationInterrupted, match="regions found so far") as caught:
        enumerate_regions(net, engine=engine)
    assert not caught.value.partial.complete
    assert caught.value.partial.patterns.tolist() == found


def test_regions_stream_while_they_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first region of a stream comes before the search is over."""
    monkeypatch.setattr(CHUNK_SECONDS, 0.0)
    decisions = 0
    decide = Cascade.decide

    def counting_decide(self: Cascade) -> object:
        nonlocal decisions
        decisions += 1
        return decide(self)

    monkeypatch.setattr(Cascade, "decide", counting_decide)
    stream = iter_regions(Network.random([2, 4, 4, 1], seed=0), engine="lp")
    next(stream)
    at_first = decisions
    rest = list(stream)
    assert len(rest) > 10
    assert at_first < decisions / 2


# --- undecided


def check_partial(net: Network, domain: Domain | None, regions: Regions) -> None:
    """Check that what was found occurs, and what is missing, and only that, lies under undecided prefixes."""
    sides = halfspaces(domain, net.n_inputs)
    expected = brute_force_patterns(net, sides)
    found = distinct(regions.patterns)
    assert found <= expected
    for region in regions:
        neurons = neuron_rows(net, tuple(region.pattern.tolist()))
        assert strictly_inside([*exact_halfspaces(sides), *neurons.values()], region.certificate.fractions)
        rows = [*exact_halfspaces(sides), *(neurons[j] for j in region.rows.tolist() if j >= 0)]
        for j in neurons.keys() - set(region.rows.tolist()):
            assert not has_interior([*rows, opposite(neurons[j])])
    assert regions.complete == (not regions.undecided)
    assert regions.n_undecided == len(regions.undecided)

    def under(pattern: tuple[bool, ...]) -> bool:
        return any(pattern[: len(prefix)] == prefix for prefix in regions.undecided)

    assert all(map(under, expected - found))
    assert not any(map(under, found))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("backend", FAST_BACKENDS)
@settings(max_examples=N)
@given(
    problem=problems(max_neurons=5),
    pivots=st.sampled_from([0, 1, 2, 3, 4, 6, 8, 12]),
    slack=st.sampled_from([1e-9, 0.5]),
)
def test_what_is_missing_is_covered_by_undecided_prefixes(
    engine: str, backend: str, problem: tuple[Network, Domain | None], pivots: int, slack: float
) -> None:
    """With few or no exact pivots a partial result says exactly where regions may be missing."""
    net, domain = problem
    show(net, domain)
    options = {"engine": engine, "backend": backend, "tolerances": Tolerances(slack=slack, exact_pivots=pivots)}
    regions = enumerate_regions(net, domain, on_undecided="collect", **options)
    check_partial(net, domain, regions)
    if regions.undecided:
        with pytest.raises(UndecidedError, match=f"{regions.n_undecided} subtree.* undecided") as caught:
            enumerate_regions(net, domain, **options)
        assert caught.value.partial.undecided == regions.undecided
        assert caught.value.partial.patterns.tolist() == regions.patterns.tolist()


@pytest.mark.parametrize("engine", ENGINES)
def test_undecided_raises_and_carries_the_partial_result(engine: str) -> None:
    """Without exact arithmetic a degenerate network is not silently enumerated: raise, or collect on request."""
    options = {"engine": engine, "tolerances": Tolerances(exact_pivots=0)}
    regions = enumerate_regions(COINCIDENT, on_undecided="collect", **options)
    assert regions.undecided
    assert not regions.complete
    check_partial(COINCIDENT, None, regions)
    with pytest.raises(UndecidedError, match=r"undecided, so regions may be missing; raise Tolerances.exact_pivots"):
        enumerate_regions(COINCIDENT, **options)
    with pytest.raises(UndecidedError, match="undecided") as caught:
        count_regions(COINCIDENT, **options)
    assert caught.value.partial == len(regions)
    streamed = []
    with pytest.raises(UndecidedError, match="undecided"):
        streamed.extend(region.pattern.tolist() for region in iter_regions(COINCIDENT, **options))
    assert streamed == regions.patterns.tolist()
    assert enumerate_regions(COINCIDENT, engine=engine).complete


@pytest.mark.parametrize("engine", ENGINES)
def test_an_undecided_domain_leaves_everything_undecided(engine: str) -> None:
    """A domain that nothing proves to have interior gives no region and the empty prefix."""
    sliver = Polytope([[1.0, 0.0], [-1.0, 0.0]], [1e-13, 0.0])
    net = Network.random([2, 2, 1], seed=0)
    options = {"engine": engine, "tolerances": Tolerances(exact_pivots=0)}
    regions = enumerate_regions(net, sliver, on_undecided="collect", **options)
    assert (len(regions), regions.undecided, regions.complete) == (0, ((),), False)
    check_partial(net, sliver, regions)


@pytest.mark.parametrize("engine", ENGINES)
def test_generic_networks_need_no_exact_arithmetic(engine: str) -> None:
    """On a generic network floating point proves every non-empty cell by itself, so few cells are left to exactness."""
    net = Network.random([2, 3, 2, 1], seed=3)
    regions = enumerate_regions(net, engine=engine)
    assert regions.stats["settled_exactly"] == 0
    assert regions.stats["engine"] == engine
    assert regions.stats["backend"] == "highs"


def test_algorithm_2_is_pruned_by_the_failing_layer() -> None:
    """Three of four patterns of layer 1 occur; under the other one a single leaf is visited, not 2^3."""
    net = Network.mlp([[[1.0], [-1.0]], np.ones((3, 2)), np.ones((1, 3))], [[0.0, -1.0], [-1.0, -2.0, -3.0], [0.0]])
    assert enumerate_regions(net, engine="reference").stats["leaves"] == 3 * 2**3 + 1


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=N // 6)
@given(net=networks(max_neurons=4))
def test_progress_changes_nothing(engine: str, net: Network) -> None:
    """The progress display changes no result."""
    assert count_regions(net, engine=engine, progress=True) == count_regions(net, engine=engine)

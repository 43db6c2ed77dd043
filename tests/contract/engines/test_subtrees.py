"""Below fixed bits an engine finds their subtree, so that parts make the whole."""

from __future__ import annotations

import pytest

from tests.contract.engines.cases import CASES, DOMAINS, FEW, NETWORKS, SMALL, Case, the_case
from tests.contract.engines.engines import Candidate, asked, engines
from tests.contract.engines.laws import check_covered, check_cuts, check_progress, check_witness, same_rows
from tests.contract.engines.pieces import Pieces
from tests.contract.engines.runs import Run, prepared, run, run_case, task_of
from tropnet.arrays.patterns import unpack
from tropnet.enumeration.engine import Ability, Task
from tropnet.enumeration.engines.vertex.engine import VertexEngine

PARTED = [
    the_case(network, domain, d)
    for network, domain, d in (
        ("generic", "R^d", 2),
        ("generic", "polyhedron", 3),
        ("small integers", "half-space", 2),
        ("small integers", "box", 3),
        ("skips", "box", 2),
        ("dense sources", "R^d", 2),
        ("own slopes", "open box", 2),
        ("affine layer", "box", 2),
        ("dead", "R^d", 2),
        ("fan", "R^d", 3),
        ("duplicates", "wedge", 2),
        ("few combinations", "box", 2),
        ("between floats", "R^d", 1),
        ("subnormal row", "R^d", 2),
    )
]


def below(case: Case, fixed: dict[int, bool]) -> set[tuple[bool, ...]]:
    """Return the patterns of a case that have some bits."""
    return {pattern for pattern in case.patterns if all(pattern[j] == bit for j, bit in fixed.items())}


@asked(Ability.FIXED, among=PARTED)
def test_the_subtrees_of_all_prefixes_are_the_whole(tested: Candidate, cases: list[Case]) -> None:
    """At every length, those of the prefixes that occur are disjoint, counted as listed, and together everything."""
    for case in cases:
        whole = prepared(tested.engine, task_of(case.net, case.domain))
        for length in range(1, case.net.n_neurons + 1):
            parts = set()
            for prefix in {pattern[:length] for pattern in case.patterns}:
                fixed = dict(enumerate(prefix))
                task = task_of(case.net, case.domain, fixed=fixed)
                found = run(prepared(tested.engine, task))
                assert found.patterns == below(case, fixed)
                assert found.patterns.isdisjoint(parts)
                assert same_rows(run(whole.adapted(task)), found)
                counted = run(prepared(tested.tiny, task_of(case.net, case.domain, fixed=fixed, only_count=True)))
                assert counted.n_regions == len(found.patterns)
                parts |= found.patterns
            assert parts == case.patterns


@asked(Ability.FIXED, among=SMALL, fewer=FEW)
def test_a_subtree_comes_with_proofs(tested: Candidate, cases: list[Case]) -> None:
    """Below some bits of a pattern, and all of them, witnesses are inside and the cuts describe the cell."""
    for case in cases:
        last = max(case.patterns)
        for length in {case.net.n_neurons // 2, case.net.n_neurons}:
            fixed = dict(enumerate(last[:length]))
            found = run(prepared(tested.engine, task_of(case.net, case.domain, fixed=fixed)))
            assert found.patterns == below(case, fixed)
            check_progress(found)
            cuts = unpack(found.column("packed_cuts"), case.net.n_neurons)
            for pattern, row, witness in zip(found.listed, cuts, found.witnesses, strict=True):
                check_witness(case, pattern, witness)
                check_cuts(case, pattern, row.nonzero()[0].tolist())


@asked(Ability.FIXED, among=PARTED)
def test_bits_need_not_be_the_first_of_their_layer(tested: Candidate, cases: list[Case]) -> None:
    """All earlier layers and any neurons of one more can be fixed."""
    for case in cases:
        width = case.net.widths[0]
        for start, neurons in ((0, range(width)), (width, range(width, case.net.n_neurons))):
            for j in neurons[1:]:
                for pattern in (min(case.patterns), max(case.patterns)):
                    fixed = {**dict(enumerate(pattern[:start])), j: pattern[j]}
                    if start == 0 or j < width + case.net.widths[1]:
                        found = run(prepared(tested.engine, task_of(case.net, case.domain, fixed=fixed)))
                        assert found.patterns == below(case, fixed)


@engines()
def test_a_plan_adapts_to_a_count_and_back(tested: Candidate) -> None:
    """The plan for another task on the same network and domain is that which the engine prepares for it."""
    everything = the_case("generic", "box", 2)
    plan = prepared(tested.engine, task_of(everything.net, everything.domain))
    count = plan.adapted(task_of(everything.net, everything.domain, only_count=True))
    assert run(count).n_regions == len(everything.patterns)
    again = count.adapted(plan.task)
    assert again.task is plan.task
    assert same_rows(run(again), run_case(tested.engine, everything))


@pytest.mark.parametrize("network", ["generic", "small integers", "dead", "skips", "cancelling"])
@engines(Ability.FIXED)
def test_tiny_engines_find_the_same_subtrees(tested: Candidate, network: str) -> None:
    """Next to no room changes nothing below fixed bits, either."""
    asked = the_case(network, "box", 2)
    for pattern in asked.patterns:
        fixed = dict(enumerate(pattern[:3]))
        task: Task = task_of(asked.net, asked.domain, fixed=fixed)
        assert same_rows(run(prepared(tested.engine, task)), run(prepared(tested.tiny, task)))


# --- what a run hands over

KINDS = [
    *(the_case(network, "R^d", 2) for network in NETWORKS),
    *(the_case("generic", domain, 2) for domain in DOMAINS),
    *(the_case(network, domain, 3) for network, domain in (("own slopes", "box"), ("small integers", "half-space"))),
]


@pytest.mark.parametrize("seed", [None, 1])
@asked(Ability.FIXED, among=list(dict.fromkeys(KINDS)), fewer=FEW)
def test_what_runs_hand_over_is_what_they_have_left(tested: Candidate, cases: list[Case], seed: int | None) -> None:
    """In pieces of any size every pattern is found, and counted, once; shares of what is left and done add up to 1."""
    for case in cases:
        found = Pieces(prepared(tested.tiny, task_of(case.net, case.domain)), seed).found
        assert found.patterns == case.patterns
        assert found.undecided == []
        counted = Pieces(prepared(tested.tiny, task_of(case.net, case.domain, only_count=True)), seed).found
        assert counted.n_regions == len(case.patterns)


@asked(Ability.FIXED, Ability.FACETS, among=list(dict.fromkeys(KINDS)))
def test_pieces_come_with_the_same_cuts_and_facets(tested: Candidate, cases: list[Case]) -> None:
    """A region that a kernel lists in a piece has the cuts and facets that it has in the whole."""
    for case in cases:
        task = task_of(case.net, case.domain, facets=True)
        whole = by_pattern(run(prepared(tested.tiny, task)))
        pieces = by_pattern(Pieces(prepared(tested.engine, task), 2).found)
        both = whole.keys() & pieces.keys()
        assert {pattern: whole[pattern] for pattern in both} == {pattern: pieces[pattern] for pattern in both}
        assert both == case.patterns or tested.name == "simplex"


def by_pattern(found: Run) -> dict[tuple[bool, ...], tuple[bytes, bytes]]:
    """Return cuts and facets by pattern, of the chunks that list facets: not those of linear programs."""
    return {
        pattern: (cuts.tobytes(), facets.tobytes())
        for chunk in found.chunks
        if chunk.packed_facets is not None
        for pattern, cuts, facets in zip(
            map(tuple, unpack(chunk.packed, found.net.n_neurons).tolist()),
            chunk.packed_cuts,
            chunk.packed_facets,
            strict=True,
        )
    }


@pytest.mark.parametrize("seed", [None, 1])
@asked(Ability.FIXED, among=list(dict.fromkeys(KINDS)), fewer=FEW)
def test_what_is_left_to_linear_programs_is_handed_over_too(
    tested: Candidate, cases: list[Case], seed: int | None
) -> None:
    """Without exact pivots, engines leave subtrees to others in the middle; what is missing lies under prefixes."""
    for case in cases:
        found = Pieces(prepared(tested.tiny, task_of(case.net, case.domain, pivots=0)), seed).found
        check_covered(case, found.patterns, found.undecided, only=False)


def test_subtrees_of_many_facets_are_handed_over_by_the_engine_that_searches_them() -> None:
    """A cell of 70 lines has more facets than the vertex engine has bits for: the simplex engine searches it."""
    disc = next(case for case in CASES if case.name == "70 lines around a disc")
    engine = VertexEngine(steps=3)
    pieces = Pieces(prepared(engine, task_of(disc.net, disc.domain)), None)
    assert pieces.found.patterns == disc.patterns
    assert any(chunk.counters.get("subtrees_by_simplex") for chunk in pieces.chunks)

"""Below fixed bits an engine finds their subtree, so that parts make the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from tests.contract.engines.cases import DOMAINS, FEW, NETWORKS, SMALL, Case, the_case
from tests.contract.engines.engines import Candidate, asked, engines
from tests.contract.engines.laws import check_cuts, check_progress, check_witness, same_rows
from tests.contract.engines.runs import Run, prepared, run, run_case, task_of
from tropnet.arrays.patterns import unpack
from tropnet.enumeration.engine import Ability, Chunk, Plan, Rest, Sharing, Task
from tropnet.enumeration.engines.lp import LpEngine

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


class Pieces:
    """A search in pieces: runs hand over what they have left, which is searched again, as subtrees or as it is.

    With a seed, `Sharing.wanted` and `Sharing.split` are random, and what goes on as it is, else everything is handed
    over as subtrees at every look. A subtree of which nothing was decided before is searched with twice the patience.
    """

    def __init__(self, plan: Plan, seed: int | None) -> None:
        self.plan = plan
        self.rng = None if seed is None else np.random.default_rng(seed)
        self.chunks: list[Chunk] = []
        # What is left: its share of all, and of all the share of the tree that it says its own shares of.
        self.open: list[tuple[Rest | Mapping[int, bool], float, float, int]] = [(plan.task.fixed, 1.0, 1.0, 1)]
        while self.open:
            self._search(*self.open.pop())

    def _search(self, work: Rest | Mapping[int, bool], share: float, tree: float, patience: int) -> None:
        looks, rests = 0, []

        def wanted() -> bool:
            nonlocal looks
            looks += 1
            return looks > patience and (self.rng is None or self.rng.random() < 0.5)

        def split(n: int) -> int:
            assert n > 0
            return n if self.rng is None else int(self.rng.integers(0, n + 1))

        builder = self.plan.builder()
        builder.sharing = Sharing(wanted, rests.append, split)
        self.chunks += work.run(builder) if isinstance(work, Rest) else self._below(work).run(builder)
        left: list[tuple[Rest | Mapping[int, bool], float, float, int]] = []
        for rest in rests:
            parts = [(fixed, tree * part, tree * part, 1) for fixed, part in rest.subtrees()]
            as_it_is = self.rng is not None and self.rng.random() < 0.5
            left += [(rest, sum(part for _, part, _, _ in parts), tree, 1)] if as_it_is else parts
        if len(left) == 1 and left[0][0] == work:
            left = [(work, share, tree, 2 * patience)]
        assert sum(part for _, part, _, _ in left) + tree * builder.fraction == pytest.approx(share, rel=1e-9)
        self.open += left

    def _below(self, fixed: Mapping[int, bool]) -> Plan:
        task = replace(self.plan.task, fixed=fixed)
        plan = self.plan.adapted(task)
        return plan if isinstance(plan, Plan) else prepared(LpEngine(seconds_per_chunk=0.0), task)


@pytest.mark.parametrize("seed", [None, 1])
@asked(Ability.FIXED, among=list(dict.fromkeys(KINDS)), fewer=FEW)
def test_what_runs_hand_over_is_what_they_have_left(tested: Candidate, cases: list[Case], seed: int | None) -> None:
    """In pieces of any size every pattern is found, and counted, once; shares of what is left and done add up to 1."""
    for case in cases:
        pieces = Pieces(prepared(tested.tiny, task_of(case.net, case.domain)), seed)
        found = Run(case.net, tuple(pieces.chunks), pieces.plan.builder())
        assert found.patterns == case.patterns
        assert found.undecided == []
        counted = Pieces(prepared(tested.tiny, task_of(case.net, case.domain, only_count=True)), seed)
        assert sum(chunk.n_regions for chunk in counted.chunks) == len(case.patterns)

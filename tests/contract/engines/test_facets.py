"""Every region comes with its facets, where they are asked for."""

from __future__ import annotations

import numpy as np
import pytest

from tests.contract.engines.cases import FEW, PLAIN, SMALL, Case, scaled, the_case
from tests.contract.engines.engines import Candidate, asked, engines, engines_that
from tests.contract.engines.runs import Run, prepared, run, run_case, task_of
from tests.oracles.exact import Pattern
from tropnet import Box, Domain, Network, Polytope, enumerate_regions
from tropnet.arrays.patterns import unpack
from tropnet.enumeration.engine import Ability

# What the oracle is fast enough for.
MIDDLING = [item for item in PLAIN if item.net.n_neurons <= 30]


def expected_facets(case: Case, pattern: Pattern) -> list[int]:
    """Return the rows of a cell that define facets, sides before neurons, and of coincident rows the first."""
    sides, neurons = case.rows(pattern)
    rows = {-1 - i: scaled(row) for i, row in enumerate(sides)} | {j: scaled(row) for j, row in neurons.items()}
    first = {row: place for place, row in reversed(rows.items())}
    facets = case.facets(pattern)
    assert facets <= first.keys()
    return [place for place, row in rows.items() if row in facets and first[row] == place]


def check_facets(case: Case, found: Run) -> None:
    """Check the facets of every region that has them."""
    n, n_sides = case.net.n_neurons, len(case.sides)
    for chunk in found.chunks:
        if chunk.packed_facets is None:
            continue
        assert chunk.packed_facets.shape == (len(chunk.packed), -(-(n + n_sides) // 8))
        columns = [unpack(chunk.packed, n), unpack(chunk.packed_cuts, n), unpack(chunk.packed_facets, n + n_sides)]
        for bits, cuts, flags in zip(*columns, strict=True):
            given = [*(-1 - np.flatnonzero(flags[n:])).tolist(), *np.flatnonzero(flags[:n]).tolist()]
            assert given == expected_facets(case, tuple(bits.tolist()))
            assert not (flags[:n] & ~cuts).any()


@asked(Ability.FACETS, among=MIDDLING)
def test_facets_are_exact(tested: Candidate, cases: list[Case]) -> None:
    """Everywhere the facets are the hyperplanes that the closed cell meets in dimension d - 1."""
    for case in cases:
        found = run_case(tested.engine, case, facets=True)
        assert found.patterns == case.patterns
        check_facets(case, found)


@asked(among=FEW)
def test_public_calls_add_the_facets_that_engines_leave_to_others(tested: Candidate, cases: list[Case]) -> None:
    """`Regions.facets` has those of all regions for all engines, by the numbers of `ActivationRegion.rows`."""
    for case in cases:
        regions = enumerate_regions(case.net, case.domain, engine=tested.engine, facets=True)
        assert regions.packed_facets is not None
        rows, offsets = regions.facets()
        for i, region in enumerate(regions):
            expected = expected_facets(case, tuple(region.pattern.tolist()))
            assert rows[offsets[i] : offsets[i + 1]].tolist() == expected
            assert region.rows[region.facets()].tolist() == expected


@engines()
def test_an_engine_that_can_does_list_facets(tested: Candidate) -> None:
    """On a generic network every chunk has facets, of engines that are able to, and none of others."""
    found = run_case(tested.engine, the_case("generic", "box", 2), facets=True)
    able = Ability.FACETS in tested.engine.abilities
    assert {chunk.packed_facets is not None for chunk in found.chunks if len(chunk.packed)} == {able}


@asked(Ability.FACETS, Ability.FIXED, among=SMALL)
def test_facets_below_fixed_bits(tested: Candidate, cases: list[Case]) -> None:
    """Below fixed bits, whose rows may be implied, touching or coincident, too, the facets are those of the cells."""
    for case in cases:
        pattern = min(case.patterns)
        for length in {1, len(pattern) // 2, len(pattern)} - {0}:
            fixed = dict(enumerate(pattern[:length]))
            found = run(prepared(tested.engine, task_of(case.net, case.domain, facets=True, fixed=fixed)))
            assert pattern in found.patterns
            check_facets(case, found)


ORDINARY: list[tuple[list[int], Domain | None]] = [
    ([2, 8, 8, 1], Box(-10, 10)),
    ([2, 8, 8, 1], None),
    ([3, 5, 5, 1], None),
    ([4, 4, 4, 1], Box(-10, 10)),
    ([4, 5, 3, 1], Polytope(np.vstack([np.eye(4), np.ones(4)]), [1.0, 2.0, 1.0, 2.0, 1.0])),
    ([6, 4, 3, 1], Box(-1, 1)),
]


@pytest.mark.parametrize(
    ("tested", "widths", "domain"),
    [
        (tested, widths, domain)
        for tested in engines_that(Ability.FACETS)
        for widths, domain in ORDINARY
        if tested.takes(Network.random(widths, seed=2), domain)
    ],
    ids=lambda value: value.name if isinstance(value, Candidate) else str(value),
)
def test_facets_of_ordinary_networks_hardly_need_exact_arithmetic(
    tested: Candidate, widths: list[int], domain: Domain | None
) -> None:
    """They are those that exact decisions give region by region, and few are left to these on the way."""
    net = Network.random(widths, seed=2)
    regions = enumerate_regions(net, domain, engine=tested.engine, facets=True)
    assert regions.stats.get("exact_facets", 0) <= regions.stats["branchings"] / 10
    rows, offsets = regions.facets()
    for i, region in enumerate(regions):
        assert rows[offsets[i] : offsets[i + 1]].tolist() == region.rows[region.facets()].tolist()

"""Every region comes with a proof: a point strictly inside, and rows that cut it out."""

from __future__ import annotations

from itertools import product

import numpy as np

from tests.contract.engines.cases import FEW, PLAIN, SMALL, Case, the_case
from tests.contract.engines.engines import Candidate, asked, engines
from tests.contract.engines.laws import check_cuts, check_regions, check_witness
from tests.contract.engines.runs import run_case
from tropnet import enumerate_regions
from tropnet.arrays.patterns import unpack


@asked(among=PLAIN, fewer=FEW)
def test_witnesses_are_strictly_inside(tested: Candidate, cases: list[Case]) -> None:
    """Over the rationals every witness is strictly inside its cell, and what is no float64 is flagged."""
    for engine, case in product((tested.engine, tested.tiny), cases):
        found = run_case(engine, case)
        for pattern, witness in zip(found.listed, found.witnesses, strict=True):
            check_witness(case, pattern, witness)
        for chunk in found.chunks:
            assert not any(witness.is_float for witness in chunk.rational.values())


@asked(among=SMALL, fewer=FEW)
def test_the_neurons_that_cut_describe_the_cell(tested: Candidate, cases: list[Case]) -> None:
    """All rows of a cell follow from the domain's and those of the neurons that are said to cut."""
    for case in cases:
        found = run_case(tested.engine, case)
        cuts = unpack(found.column("packed_cuts"), case.net.n_neurons)
        for pattern, row in zip(found.listed, cuts, strict=True):
            check_cuts(case, pattern, np.flatnonzero(row).tolist())


COLUMNS = [
    the_case(network, domain, 2)
    for network in ("generic", "small integers", "between floats", "huge row")
    for domain in ("R^d", "box", "polyhedron", "largest box", "subnormal box")
]


@asked(among=COLUMNS)
def test_columns_of_regions_agree(tested: Candidate, cases: list[Case]) -> None:
    """`Regions` holds the patterns, the float64 points and the exact witnesses of the run, which agree."""
    for case in cases:
        check_regions(case, enumerate_regions(case.net, case.domain, engine=tested.engine))


BETWEEN = the_case("between floats", "R^d", 1)


@engines(net=BETWEEN.net)
def test_a_cell_between_two_floats_has_a_rational_witness(tested: Candidate) -> None:
    """Between 1/3 and the float next to it lies a cell without a float64 point; it is found, and flagged."""
    for engine in (tested.engine, tested.tiny):
        for backend in ("highs", "cvxpy", "exact"):
            regions = enumerate_regions(BETWEEN.net, engine=engine, backend=backend)
            check_regions(BETWEEN, regions)
            (flagged,) = regions.rational_witnesses
            assert regions.patterns[flagged].tolist() == [False, True]
            assert not regions[flagged].certificate.is_float

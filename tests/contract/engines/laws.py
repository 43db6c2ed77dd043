"""The laws that several files check, on runs and on the results of public calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from tests.checks import nearest_float, opposite, strictly_inside
from tests.contract.engines.cases import Case
from tests.contract.engines.runs import Run
from tests.oracles.exact import Pattern
from tests.oracles.fourier_motzkin import has_interior
from tropnet import Regions
from tropnet.exact.certificates import Witness

__all__ = ["check_covered", "check_cuts", "check_progress", "check_regions", "check_witness", "same_rows"]


def check_witness(case: Case, pattern: Pattern, witness: Witness) -> None:
    """Check that the exact witness is strictly inside the exact cell, and its point the nearest in float64."""
    sides, neurons = case.rows(pattern)
    assert strictly_inside((*sides, *neurons.values()), witness.fractions)
    assert witness.point.tolist() == list(map(nearest_float, witness.fractions))
    assert witness.is_float == (witness.fractions == Witness.at(witness.point).fractions)


def check_cuts(case: Case, pattern: Pattern, cuts: Iterable[int]) -> None:
    """Check that the sides of the domain and the neurons that are said to cut imply all others."""
    sides, neurons = case.rows(pattern)
    kept = frozenset(cuts)
    assert kept <= neurons.keys()
    if (pattern, kept) in case.implied:
        return
    rows = [*sides, *(neurons[j] for j in kept)]
    for j in neurons.keys() - kept:
        assert not has_interior([*rows, opposite(neurons[j])])
    case.implied.add((pattern, kept))


def check_regions(case: Case, regions: Regions) -> None:
    """Check that regions are complete, those of the oracle, and that every column says the same of each."""
    assert set(map(tuple, regions.patterns.tolist())) == case.patterns
    assert len(regions) == len(regions.patterns) == len(regions.witnesses) == len(case.patterns)
    assert regions.complete
    assert regions.n_undecided == 0
    assert regions.undecided == ()
    for i, region in enumerate(regions):
        check_witness(case, tuple(region.pattern.tolist()), region.certificate)
        assert region.witness.tolist() == region.certificate.point.tolist() == regions.witnesses[i].tolist()
        assert region.certificate.is_float == (i not in regions.rational_witnesses)


def check_covered(case: Case, found: Iterable[Pattern], undecided: Sequence[Pattern], *, only: bool) -> None:
    """Check that what was found occurs, and that what is missing, and perhaps `only` that, lies under the prefixes."""
    found = set(found)
    assert found <= case.patterns

    def under(pattern: Pattern) -> bool:
        return any(pattern[: len(prefix)] == prefix for prefix in undecided)

    assert all(map(under, case.patterns - found))
    assert not (only and any(map(under, found)))


def check_progress(found: Run) -> None:
    """Check that from chunk to chunk neither a counter nor the part done falls, and that all is done at the end."""
    fractions = [chunk.fraction for chunk in found.chunks]
    assert all(0 <= before <= after <= 1 for before, after in pairwise([0.0, *fractions]))
    assert fractions[-1] == found.builder.fraction == 1.0
    for before, after in pairwise(found.chunks):
        assert all(after.counters[name] >= value for name, value in before.counters.items())


def same_rows(one: Run, other: Run, *, points: bool = True) -> bool:
    """Return whether two runs found the same regions in the same order, perhaps with the same `points` as witnesses."""
    return (
        all(np.array_equal(one.column(name), other.column(name)) for name in ("packed", "packed_cuts"))
        and (not points or [w.fractions for w in one.witnesses] == [w.fractions for w in other.witnesses])
        and one.undecided == other.undecided
    )

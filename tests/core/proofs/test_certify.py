"""Certificates of complete lists: made for every kind of network and domain, accepted, and refused once altered."""

from __future__ import annotations

from pathlib import Path

import pytest

import tropnet as tn
from tests.contract.engines.cases import CASES, NETWORKS, Case
from tests.contract.engines.test_flat_domains import HULLS

# All kinds of networks on two domains, and all kinds of domains for two networks; of flat domains a part.
SOME = [
    case
    for case in CASES
    if case.net.n_inputs != 2
    or case.kind in ("generic", "fan", "duplicates")
    or ", R^d" in case.name
    or ", box" in case.name
]


@pytest.mark.parametrize("case", SOME, ids=lambda case: case.name)
def test_certificates_are_accepted(case: Case, tmp_path: Path) -> None:
    """The number of regions is that of the oracle."""
    path = tmp_path / "cert.parquet"
    assert tn.certify(case.net, case.domain, path).n_regions == len(case.patterns)
    domain = tn.WholeSpace(case.net.n_inputs) if case.domain is None else case.domain
    assert tn.check(case.net, path, domain).n_regions == len(case.patterns)


@pytest.mark.parametrize("name", HULLS)
def test_certificates_of_flat_domains_are_accepted(name: str, tmp_path: Path) -> None:
    """Within the affine hull, however its numbers look."""
    hull = HULLS[name]
    for kind in ("generic", "skips", "own slopes", "dead", "duplicates", "small integers", "constant", "affine layer"):
        net, path = NETWORKS[kind](hull.d), tmp_path / f"{kind}.parquet"
        made = tn.certify(net, hull.domain, path, linear=True)
        checked = tn.check(net, path, hull.domain)
        assert (checked.n_regions, checked.n_linear_regions) == (made.n_regions, made.n_linear_regions)

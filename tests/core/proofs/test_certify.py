"""Certificates of complete lists: made for every kind of network and domain, accepted, and refused once altered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tropnet as tn
from tests.contract.engines.cases import CASES, NETWORKS, Case
from tests.contract.engines.test_flat_domains import HULLS
from tests.core.regions.test_run import write_run

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


@pytest.mark.parametrize("domain", [tn.Box(-1, 1), None, tn.Box([-1] * 8 + [-np.inf], 1)], ids=str)
def test_many_inputs(domain: tn.Domain | None, tmp_path: Path) -> None:
    """With nine inputs linear programs take the place of vertices; maxima and verdicts are certified, too."""
    net, path = tn.Network.random([9, 3, 2, 2], seed=1), tmp_path / "cert.parquet"
    form = None if domain is None else [1.0, 0.5]
    if domain is not None and tn.maximum(net, domain, form).exact is None:
        form = None
    tn.certify(net, domain, path, maximum=form)
    assert tn.check(net, path, domain).n_regions == tn.count_regions(net, domain)
    statement = tn.Property.unsafe(tn.Box(-1, 1), [[1, 0], [0, 1], [-1, -1]], [-0.1, -0.2, 0.1])
    tn.certify_property(net, statement, tmp_path / "property")
    (checked,) = tn.check_property(net, statement, tmp_path / "property")
    assert checked.n_regions == tn.count_regions(net, tn.Box(-1, 1))


@pytest.mark.parametrize("domain", [tn.Box(-1, 1), None, tn.Box([-1, 0.5, -1], [1, 0.5, 1])], ids=str)
def test_runs_are_certified_part_by_part(domain: tn.Domain | None, tmp_path: Path) -> None:
    """One file for each part of the run; together they are accepted, and without one of them refused."""
    net = tn.Network.random([3, 6, 4, 1], seed=1)
    regions = tn.enumerate_regions(net, domain, facets=True)
    # The facets of the third part are not known.
    run = write_run(tmp_path / "run", regions, [3, 3, len(regions) - 2, len(regions)], lambda part: part != 2)
    out = tmp_path / "cert"
    made = tn.certify(run, out=out, linear=True)
    assert (made.n_regions, len([*out.iterdir()])) == (len(regions), 3)
    checked = tn.check(net, out, domain)
    assert checked.n_regions == len(regions)
    assert checked.n_linear_regions == tn.count_linear_regions(net, domain)
    with pytest.raises(tn.CertificateError, match="without Parquet files"):
        tn.certify(run, out=out)
    (out / "part-000001.parquet").unlink()
    with pytest.raises(tn.CertificateError, match="part"):
        tn.check(net, out, domain)


def test_what_cannot_be_certified(tmp_path: Path) -> None:
    """A run that has not finished, a run with a domain, and an infinite maximum are refused."""
    regions = tn.enumerate_regions(tn.Network.random([2, 4, 1], seed=0), facets=True)
    stopped = write_run(tmp_path / "run", regions, [len(regions)], open_at_end=True)
    with pytest.raises(tn.CertificateError, match="must have finished"):
        tn.certify(stopped, out=tmp_path / "cert")
    with pytest.raises(ValueError, match="domain must not be given with a run"):
        tn.certify(stopped, tn.Box(-1, 1), tmp_path / "cert")
    line = tn.Network.mlp([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    with pytest.raises(ValueError, match="maximum must be finite"):
        tn.certify(line, out=tmp_path / "cert.parquet", maximum=0)
    assert not [*tmp_path.glob("cert*")]


@pytest.mark.parametrize(
    "domain",
    [
        tn.Box(-1, 1),
        tn.Box([-1, 0.3], [1, 0.3]),
        tn.Box(0.25, 0.25),
        tn.Polytope([[1, 1], [-1, 0], [0, -1]], [1, 1, 1]),
    ],
    ids=str,
)
def test_maxima_are_certified(domain: tn.Domain, tmp_path: Path) -> None:
    """The claim is the exact maximum, at a point where it is attained; it is that of the vertices of all regions."""
    net, path = tn.Network.random([2, 5, 4, 2], seed=3), tmp_path / "cert.parquet"
    tn.certify(net, domain, path, maximum=[1.0, -2.0])
    (claim,) = tn.check(net, path, domain).claims
    corners, _ = tn.enumerate_regions(net, domain).vertices()
    assert claim.output == (1, -2)
    assert abs(float(claim.value) - (net(corners) @ [1.0, -2.0]).max()) < 1e-12


SQUARE = tn.Network.mlp([[[1, 0], [-1, 0], [0, 1], [0, -1]], [[1, 1, 0, 0], [0, 0, 1, 1]]], [np.zeros(4), np.zeros(2)])


def test_verdicts_are_certified(tmp_path: Path) -> None:
    """|x| and |y| are not both at least 1/2 where |x| + |y| <= 0.9, which no single output shows."""
    diamond = tn.Polytope([[1, 1], [1, -1], [-1, 1], [-1, -1]], [0.9] * 4)
    holds = tn.Property.unsafe(diamond, np.eye(2), [-0.5, -0.5])
    (made,) = tn.certify_property(SQUARE, holds, tmp_path / "holds")
    (checked,) = tn.check_property(SQUARE, holds, tmp_path / "holds")
    assert made.n_regions == checked.n_regions == 4
    stronger = tn.Property.unsafe(diamond, np.eye(2), [-0.5, -0.46])
    with pytest.raises(tn.CertificateError, match="claims something else"):
        tn.check_property(SQUARE, stronger, tmp_path / "holds")
    larger = tn.Property.unsafe(tn.Box(-0.4, 0.4), np.eye(2), [-0.5, -0.5])
    with pytest.raises(tn.CertificateError, match="domain must be the one asked about"):
        tn.check_property(SQUARE, larger, tmp_path / "holds")
    with pytest.raises(tn.CertificateError, match="is missing"):
        tn.check_property(SQUARE, holds, tmp_path)


def test_verdicts_that_are_not_certified(tmp_path: Path) -> None:
    """A violated property needs its counterexample alone; what touches only holds because it is strict."""
    violated = tn.Property.unsafe(tn.Box(-1, 1), [[1, 0]], [-0.5])
    with pytest.raises(tn.CertificateError, match="is violated"):
        tn.certify_property(SQUARE, violated, tmp_path)
    touching = tn.Property.unsafe(tn.Box(-1, 1), [[1, 0]], [-1], strict=True)
    with pytest.raises(tn.CertificateError, match="must hold in every region"):
        tn.certify_property(SQUARE, touching, tmp_path)
    assert not [*tmp_path.iterdir()]
    with pytest.raises(ValueError, match="about one network"):
        tn.certify_property(SQUARE, tn.Property.close_to(SQUARE, tn.Box(-1, 1), 1), tmp_path)


@pytest.mark.parametrize("seed", range(6))
def test_drawn_verdicts(seed: int, tmp_path: Path) -> None:
    """Properties of random networks that hold are certified, in bounded and unbounded domains."""
    rng = np.random.default_rng(seed)
    net = tn.Network.random([2, 6, 5, 3], seed=seed)
    domain = [tn.Box(-1, 1), None, tn.Box([-1, 0.3], [1, 0.3])][seed % 3]
    outputs, constants = rng.normal(size=(3, 3)), -np.abs(rng.normal(size=3))
    statement = tn.Property.unsafe(domain, outputs, constants)
    if tn.verify(net, statement).status == "holds":
        made = tn.certify_property(net, statement, tmp_path)
        checked = tn.check_property(net, statement, tmp_path)
        assert [each.n_regions for each in made] == [each.n_regions for each in checked]
    else:
        with pytest.raises(tn.CertificateError, match="is violated"):
            tn.certify_property(net, statement, tmp_path)

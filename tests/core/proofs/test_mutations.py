"""Certificates as `certify` writes them, altered: each change is refused, with a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tropnet as tn
from tests.contract.engines.cases import COINCIDENT, NETWORKS
from tests.core.proofs.writing import write
from tropnet.proofs.files import read_regions, read_statement

Region = dict[str, Any]
PROBLEMS: dict[str, tuple[tn.Network, tn.Domain | None]] = {
    "two layers": (tn.Network.random([2, 6, 6, 1], seed=0), tn.Box(-1, 1)),
    "three inputs": (tn.Network.random([3, 5, 4, 1], skips=[], seed=1), tn.Box(-1, 1)),
    "all of R^2": (NETWORKS["generic"](2), None),
    "duplicates": (NETWORKS["duplicates"](2), None),
    "a flat box": (tn.Network.random([3, 5, 4, 1], seed=2), tn.Box([-1, 0.3, -1], [1, 0.3, 1])),
}


class Certificate:
    """A certificate as it was made: its statement and its regions, to be altered and written again."""

    def __init__(self, folder: Path, net: tn.Network, domain: tn.Domain | None) -> None:
        self.net, self.domain, self._path = net, domain, folder / "cert.parquet"
        tn.certify(net, domain, self._path)
        self.statement = read_statement(self._path)
        self.regions = [*read_regions(self._path, net.n_neurons)]

    def refused(self, reason: str, regions: list[Region], **changes: Any) -> None:
        """Demand that these regions are refused for a reason."""
        statement = replace(self.statement, n_regions=len(regions), **changes)
        path = write(self._path.with_name("altered.parquet"), statement, regions)
        with pytest.raises(tn.CertificateError, match=reason) as caught:
            tn.check(self.net, path)
        assert "\n" not in str(caught.value)

    def each(self, change: Callable[[Region], Region | None]) -> Iterator[list[Region]]:
        """Yield the regions with one of them changed, for each; those that a change leaves as they are are left out."""
        for i, region in enumerate(self.regions):
            changed = change(region)
            if changed is not None:
                yield [*self.regions[:i], region | changed, *self.regions[i + 1 :]]


@pytest.fixture(scope="module", params=PROBLEMS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Return the certificate of each of the problems."""
    return Certificate(tmp_path_factory.mktemp("made"), *PROBLEMS[request.param])


def test_what_is_not_altered_is_accepted(made: Certificate, tmp_path: Path) -> None:
    """Written again, and in another order, it is the same proof."""
    path = write(tmp_path / "again.parquet", made.statement, made.regions[::-1])
    assert tn.check(made.net, path, made.domain).n_regions == len(made.regions)


def test_a_region_removed(made: Certificate) -> None:
    """Its neighbours have facets with nothing beyond."""
    for i in range(len(made.regions)):
        made.refused("a region must be listed across the facet", [*made.regions[:i], *made.regions[i + 1 :]])


def test_a_region_twice(made: Certificate) -> None:
    """No pattern may be listed twice."""
    for region in made.regions:
        made.refused("pattern must be listed once", [*made.regions, region])


def test_a_region_added(made: Certificate) -> None:
    """A pattern that does not occur has no point inside, or a point that is not inside."""
    known = {region["pattern"] for region in made.regions}
    for pattern in range(1 << made.net.n_neurons):
        bits = pattern.to_bytes(-(-made.net.n_neurons // 8), "little")
        if bits not in known and pattern % 7 == 0:
            made.refused("witness|has the bit", [*made.regions, made.regions[0] | {"pattern": bits}])


def test_a_bit_flipped(made: Certificate) -> None:
    """The witness is not inside the region of another pattern, or the pattern is there already."""
    for j in range(made.net.n_neurons):
        flip = lambda region, j=j: {"pattern": _flipped(region["pattern"], j)}  # noqa: E731
        for regions in [*made.each(flip)][:5]:
            made.refused("region", regions)


def _flipped(pattern: bytes, j: int) -> bytes:
    bits = bytearray(pattern)
    bits[j // 8] ^= 1 << j % 8
    return bytes(bits)


def test_a_witness_outside(made: Certificate) -> None:
    """The point of another region, or one beyond the domain, is not inside."""
    others = [*made.regions[1:], made.regions[0]]
    points = [{name: other[name] for name in ("witness", "witness_exact")} for other in others]
    for i, point in enumerate(points):
        made.refused("witness", [*made.regions[:i], made.regions[i] | point, *made.regions[i + 1 :]])


def test_patterns_exchanged(made: Certificate) -> None:
    """The proofs of two regions do not serve each other."""
    first, *middle, last = made.regions
    made.refused("region 0", [first | {"pattern": last["pattern"]}, *middle, last | {"pattern": first["pattern"]}])


def test_multipliers(made: Certificate) -> None:
    """Negative ones are refused; so are ones that are far off, and proofs that are left out."""
    for regions in made.each(
        lambda region: {"proof_values": [-1.0, *region["proof_values"][1:]]} if region["proof_values"] else None
    ):
        made.refused("must be at least 0", regions)
    for factor in (1e9, 0.0):
        changed = lambda region, factor=factor: (  # noqa: E731
            {"proof_values": [factor * value for value in region["proof_values"]]} if region["proof_values"] else None
        )
        for regions in made.each(changed):
            made.refused("is not proven", regions)


def test_facets(made: Certificate) -> None:
    """A facet that is not named, one whose point is off, and one whose point is another's."""
    k = made.statement.dimension

    def unnamed(region: Region) -> Region:
        return {"facet_rows": region["facet_rows"][1:], "facet_points": region["facet_points"][k:], "facet_exact": None}

    def elsewhere(region: Region) -> Region:
        return {"facet_points": [*region["witness"], *region["facet_points"][k:]], "facet_exact": None}

    for regions in [*made.each(unnamed)][:10] + [*made.each(elsewhere)][:10]:
        made.refused("region", regions)


def test_another_network(made: Certificate, tmp_path: Path) -> None:
    """A weight that is one rounding off makes another network."""
    path = write(tmp_path / "cert.parquet", made.statement, made.regions)
    for index, layer in enumerate(made.net.layers):
        for source, weight in layer.weights.items():
            changed = np.array(weight)
            changed[0, 0] = np.nextafter(changed[0, 0], np.inf)
            layers = [*made.net.layers]
            layers[index] = replace(layer, weights={**layer.weights, source: changed})
            with pytest.raises(tn.CertificateError, match="fingerprint"):
                tn.check(tn.Network(layers, made.net.n_inputs), path)


def test_another_domain(made: Certificate, tmp_path: Path) -> None:
    """Asked about a domain that is one rounding larger, it is refused."""
    path = write(tmp_path / "cert.parquet", made.statement, made.regions)
    with pytest.raises(tn.CertificateError, match="domain must be the one asked about"):
        tn.check(made.net, path, tn.Box(-1, np.nextafter(1, 2)))


def test_coincident_neurons_with_one_side_missing(tmp_path: Path) -> None:
    """Rows of coincident neurons do not prove each other: without the regions on one side all forgeries are refused."""
    made = Certificate(tmp_path, COINCIDENT, None)
    right = [region for region in made.regions if region["pattern"][0] & 1]
    made.refused("a region must be listed across", right)
    # Named as no facet, without and with proofs by each other.
    bare = [_without(region, {0, 1, 2}, made.statement.dimension) for region in right]
    made.refused("not proven", bare)
    forged = [
        region
        | {
            "proof_targets": [0, 1, 2],
            "proof_sizes": [1, 1, 1],
            "proof_rows": [1, 2, 0],
            "proof_values": [1 / 3, 3.0, 1.0],
        }
        for region in bare
    ]
    made.refused("a proof may use rows of facets", forged)


def _without(region: Region, neurons: set[int], k: int) -> Region:
    """Return a region without facets of some neurons, and without proofs."""
    points = [region["facet_points"][k * i : k * i + k] for i in range(len(region["facet_rows"]))]
    kept = [(j, point) for j, point in zip(region["facet_rows"], points, strict=True) if j not in neurons]
    return {
        "pattern": region["pattern"],
        "witness": region["witness"],
        "facet_rows": [j for j, _ in kept],
        "facet_points": [x for _, point in kept for x in point],
    }

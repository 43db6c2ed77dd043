"""Control laws for explicit model predictive control: polytopes by their facets, and the map on each."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from scipy.io import loadmat

import tropnet as tn
from tests.strategies import FloatArray

CASES = {
    "line": (tn.Network.random([1, 12, 2], seed=0), tn.Box(-3, 3)),
    "skips": (tn.Network.random([2, 4, 4, 4, 2], [(1, 3)], seed=1), tn.Box(-5, [5.0, 7.0])),
    "triangle": (tn.Network.random([2, 8, 8, 1], seed=3), tn.Polytope([[-1, 0], [0, -1], [3, 4]], [2, 2, 1])),
    "space": (tn.Network.random([3, 5, 3, 1], slopes=(0.1, 1.0), seed=4), tn.Box(-2, 2)),
    # Twice the same hyperplane, a redundant one at a corner of the box, one that touches a facet; large numbers.
    "ties": (
        tn.Network.mlp([[[1, 1], [2, 2], [1e8, 1e8], [1, -1]], np.ones((2, 4))], [[-2.0, -4.0, 0.0, 0.0], [0.0, 1.0]]),
        tn.Polytope([[1, 0], [-1, 0], [0, 1], [0, -1], [1, 1]], [1, 1, 1, 1, 2]),
    ),
    # In the second layer 2^-200 (x - 1/2) is left of 4 + x and 4 - x: more digits than any floating point has here.
    "cancels": (
        tn.Network.mlp(
            [[[1.0], [-1.0], [2.0**-200], [0.0]], [[1.0, 1.0, 1.0, -1.0]], [[1.0]]],
            [[4.0, 4.0, 0.0, 2.0**-201], [-8.0], [0.0]],
        ),
        tn.Box(-1, 1),
    ),
}


class Law(NamedTuple):
    """One region as it stands in a file."""

    H: FloatArray
    k: FloatArray
    F: FloatArray
    g: FloatArray


def read_mat(path: Path) -> list[Law]:
    cells = loadmat(path)
    assert all(cells[name].shape[1] == 1 for name in Law._fields)
    laws = [Law(*each) for each in zip(*(cells[name][:, 0] for name in Law._fields), strict=True)]
    assert all(law.k.shape[1] == law.g.shape[1] == 1 for law in laws)
    return [Law(law.H, law.k[:, 0], law.F, law.g[:, 0]) for law in laws]


def read_npz(path: Path) -> list[Law]:
    arrays = np.load(path)
    parts = (np.split(arrays[name], arrays["offsets"][1:-1]) for name in ("H", "k"))
    return [Law(*each) for each in zip(*parts, arrays["F"], arrays["g"], strict=True)]


@pytest.mark.parametrize("name", CASES)
def test_a_law_is_the_network(name, tmp_path):
    """Each region has its facets, as exact arithmetic finds them, and its map; together they are the network."""
    net, domain = CASES[name]
    regions = tn.enumerate_regions(net, domain)
    for path in (tmp_path / "law.mat", tmp_path / "law.npz"):
        tn.export_mpc(regions, path)
    laws = read_mat(tmp_path / "law.mat")
    for one, other in zip(laws, read_npz(tmp_path / "law.npz"), strict=True):
        assert all(a.tobytes() == b.tobytes() for a, b in zip(map(np.ascontiguousarray, one), other, strict=True))
    for law, region in zip(laws, regions, strict=True):
        at = region.facets()
        lengths = np.linalg.norm(region.A[at], axis=1)
        assert np.allclose(law.H, region.A[at] / lengths[:, None], rtol=1e-12, atol=1e-12)
        assert np.allclose(law.k, region.b[at] / lengths, rtol=1e-12, atol=1e-11)
        assert (law.H @ region.witness < law.k).all()
        assert law.F @ region.witness + law.g == pytest.approx(net(region.witness), rel=1e-12, abs=1e-12)
        slack = law.k - region.vertices() @ law.H.T
        assert (slack > -1e-9).all()
        assert ((slack < 1e-9).sum(axis=0) >= net.n_inputs).all()
    x = np.random.default_rng(0).uniform(-2, 2, (200, net.n_inputs))
    arrays = np.load(tmp_path / "law.npz")
    inside = domain.contains(x)
    assert (np.all(x @ arrays["domain_H"].T <= arrays["domain_k"], axis=1) == inside).all()
    values = net(x)
    for point, value, within in zip(x, values, inside, strict=True):
        holding = [law for law in laws if (law.H @ point <= law.k).all()]
        assert len(holding) == within
        assert all(law.F @ point + law.g == pytest.approx(value, rel=1e-9, abs=1e-9) for law in holding)


def test_files_say_what_they_are(tmp_path):
    """Kind, version and the fingerprint of the network, in both."""
    net, domain = CASES["line"]
    regions = tn.enumerate_regions(net, domain, facets=True)
    for name, read in (("law.mat", loadmat), ("law.NPZ", np.load)):
        tn.export_mpc(regions, tmp_path / name)
        found = read(tmp_path / name)
        assert (found["tropnet_kind"].item(), found["tropnet_version"].item()) == ("control law", 1)
        assert found["fingerprint"].item() == net.fingerprint


def test_what_is_no_law_is_refused(tmp_path):
    """In one line, and before anything is written."""
    net, domain = CASES["skips"]
    regions = tn.enumerate_regions(net, domain)
    with pytest.raises(ValueError, match=r"must end in \.mat or \.npz, got '.*law\.txt'"):
        tn.export_mpc(regions, tmp_path / "law.txt")
    with pytest.raises(TypeError, match=r"must be a tropnet\.Regions, got Network; see tropnet\.enumerate_regions"):
        tn.export_mpc(net, tmp_path / "law.mat")
    with pytest.raises(tn.TropnetError, match=r"a control law needs all regions, got .* incomplete"):
        tn.export_mpc(tn.enumerate_regions(net, domain, max_regions=3), tmp_path / "law.mat")
    with pytest.raises(tn.DomainError, match=r"needs a bounded domain, got R\^2; enumerate in a tropnet\.Box"):
        tn.export_mpc(tn.enumerate_regions(net), tmp_path / "law.mat")
    with pytest.raises(tn.DomainError, match=r"needs a domain with interior, got Box"):
        tn.export_mpc(tn.enumerate_regions(net, tn.Box([0.0, 1.0], [1.0, 1.0])), tmp_path / "law.mat")
    assert not list(tmp_path.iterdir())

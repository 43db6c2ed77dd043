"""Facets of all regions, found by the engines on the way, are those that exact decisions find region by region."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tropnet import Box, Network, Polytope, Regions, enumerate_regions
from tropnet.enumeration.engines import REGISTRY


def check(regions):
    rows, offsets = regions.facets()
    assert offsets[0] == 0
    assert offsets[-1] == len(rows)
    for i, region in enumerate(regions):
        own = rows[offsets[i] : offsets[i + 1]]
        assert own.tolist() == region.rows[region.facets()].tolist()


DOMAINS = {
    "R^d": lambda d: None,  # noqa: ARG005
    "box": lambda d: Box([-2.0] * d, [1.0] * d),
    "half-space": lambda d: Polytope(np.ones((1, d)), [0.5]),
    "doubled side": lambda d: Polytope(np.vstack([np.eye(d), 2 * np.eye(d), -np.eye(d)]), [1] * d + [2] * d + [1] * d),
}


@pytest.mark.parametrize("domain", DOMAINS)
@given(seed=st.integers(0, 10**6), d=st.integers(1, 3))
def test_facets_of_degenerate_networks(domain, seed, d):
    """Small integers make parallel, coincident and concurrent hyperplanes."""
    rng = np.random.default_rng(seed)
    weights = [rng.integers(-1, 2, (4, d)), rng.integers(-1, 2, (3, 4)), np.ones((1, 3))]
    net = Network.mlp(weights, [rng.integers(-1, 2, 4), rng.integers(-1, 2, 3), [0]], slopes=(-0.5, 1))
    check(enumerate_regions(net, DOMAINS[domain](d), facets=True))


@pytest.mark.parametrize("engine", REGISTRY)
@pytest.mark.parametrize("domain", ["R^d", "box"])
def test_all_engines_find_them(engine, domain):
    net = Network.random([2, 3, 3, 1], seed=4)
    regions = enumerate_regions(net, DOMAINS[domain](2), engine=engine, facets=True)
    assert regions.packed_facets is not None
    check(regions)


@pytest.mark.parametrize("widths", [[2, 8, 8, 1], [3, 6, 6, 1], [4, 5, 5, 1]])
def test_facets_of_generic_networks(widths):
    net = Network.random(widths, seed=1)
    for domain in (None, Box(-3, 3)):
        regions = enumerate_regions(net, domain, engine="vertex", facets=True)
        check(Regions(net, regions.domain, regions.packed[:60], regions.packed_cuts[:60], regions.witnesses[:60],
                      packed_facets=regions.packed_facets[:60]))  # fmt: skip


@pytest.mark.parametrize("suffix", ["parquet", "npz"])
@pytest.mark.parametrize("facets", [True, False])
def test_files_keep_them(tmp_path, suffix, facets):
    path = tmp_path / f"regions.{suffix}"
    regions = enumerate_regions(Network.random([2, 4, 1], seed=0), Box(-1, 1), facets=facets)
    getattr(regions, f"to_{suffix}")(path)
    again = getattr(Regions, f"from_{suffix}")(path)
    assert (again.packed_facets is None) == (not facets)
    for ours, theirs in zip(regions.facets(), again.facets(), strict=True):
        assert np.array_equal(ours, theirs)


def test_without_a_hidden_layer():
    regions = enumerate_regions(Network.mlp([[[1.0, 2.0]]], [[3.0]]), Box(-1, 1), facets=True)
    assert regions.facets().rows.tolist() == [-1, -2, -3, -4]

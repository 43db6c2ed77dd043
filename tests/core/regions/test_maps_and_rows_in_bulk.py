"""Affine maps and rows of all regions at once are those of one region after the other."""

import numpy as np
import pytest

from tropnet import Box, Layer, Network, Polytope, ShapeError, enumerate_regions

NETWORKS = {
    "skip": Network.random([2, 5, 5, 5, 2], skips=[(1, 3)], seed=0),
    "leaky": Network.random([3, 6, 1], slopes=(-0.3, 1), seed=1),
    "input read twice": Network(
        [
            Layer({0: np.eye(2)}, np.zeros(2)),
            Layer({1: np.ones((3, 2)), 0: np.arange(6.0).reshape(3, 2)}, np.ones(3)),
            Layer({2: np.ones((1, 3)), 0: np.ones((1, 2))}, np.zeros(1)),
        ]
    ),
    "no hidden layer": Network.mlp([[[1.0, 2.0]]], [[3.0]]),
}
DOMAINS = {"R^d": None, "box": Box(-2, 1), "half-plane": "half-plane"}


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("name", NETWORKS)
def test_bulk_equals_one_by_one(name, domain):
    net = NETWORKS[name]
    where = Polytope(np.ones((1, net.n_inputs)), [1.0]) if domain == "half-plane" else DOMAINS[domain]
    regions = enumerate_regions(net, where)
    weights, biases = regions.affine_maps()
    A, b, rows, offsets = regions.halfspaces()
    assert offsets[0] == 0
    assert offsets[-1] == len(A) == len(b) == len(rows)
    for i, region in enumerate(regions):
        np.testing.assert_allclose(weights[i], region.affine.weight, rtol=0, atol=1e-12)
        np.testing.assert_allclose(biases[i], region.affine.bias, rtol=0, atol=1e-12)
        own = slice(offsets[i], offsets[i + 1])
        np.testing.assert_allclose(A[own], region.A, rtol=0, atol=1e-12)
        np.testing.assert_allclose(b[own], region.b, rtol=0, atol=1e-12)
        assert np.array_equal(rows[own], region.rows)


def test_patterns_of_another_length_are_refused():
    with pytest.raises(ShapeError, match=r"patterns must have shape \(m, 15\)"):
        NETWORKS["skip"].affine_maps(np.zeros((2, 14), dtype=bool))

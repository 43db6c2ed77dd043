"""The vertex engine keeps pre-activations at generators that several cells share."""

from itertools import pairwise

import numpy as np
import pytest

import tropnet as tn


@pytest.mark.parametrize("scale", [1e6, 1e9, 1e11])
def test_shared_generators_move_with_their_values(scale):
    """Eight regions were counted, of which one is empty: values at a generator computed anew were of its old place."""
    net = tn.Network.mlp([[[0, 1], [1, 0], [0, -1]], [[1, -1, 0]], [[1]]], [[0, 0, -1], [0], [0]])
    assert tn.count_regions(net, tn.Box([-scale] * 2, scale), engine="vertex") == 7


@pytest.mark.parametrize("seed", range(40))
def test_large_boxes(seed):
    """Where coordinates are large, generators are soon less certain than cells are wide."""
    rng = np.random.default_rng(seed)
    d = int(rng.integers(2, 4))
    widths = [d, *rng.integers(2, 8, size=2).tolist(), 1]
    weights = [rng.integers(-3, 4, size=(n, m)).astype(float) for m, n in pairwise(widths)]
    biases = [rng.integers(-3, 4, size=n).astype(float) for n in widths[1:]]
    net, box = (
        tn.Network.mlp(weights, biases),
        tn.Box([-(10.0 ** rng.integers(4, 11))] * d, 10.0 ** rng.integers(4, 11)),
    )
    counts = {engine: tn.count_regions(net, box, engine=engine) for engine in ("vertex", "lp")}
    assert counts["vertex"] == counts["lp"]
    assert len(tn.enumerate_regions(net, box, engine="vertex")) == counts["lp"]


def test_more_cutting_neurons_than_slots():
    """Of a wide layer 64 neurons at a time are looked at."""
    net = tn.Network.random([2, 150, 3, 1], seed=0)
    box = tn.Box([-1e6] * 2, 1e6)
    regions = tn.enumerate_regions(net, box, engine="vertex", facets=True)
    assert len(regions) == tn.count_regions(net, box, engine="vertex") == tn.count_regions(net, box, engine="polygon")


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_parallel_and_coincident_hyperplanes_of_the_last_layer(n):
    """Sections of a cell coincide, and are parallel: the count by deletion and restriction is that of the list."""
    rows = np.vstack([np.eye(n), np.eye(n), 2 * np.eye(n), np.ones((2, n)), np.eye(n)])
    bias = np.concatenate([np.zeros(n), np.full(n, -0.5), np.zeros(n), [0.0, 0.0], np.full(n, 0.25)])
    net = tn.Network.mlp([rows, np.ones((1, len(rows)))], [bias, [0.0]])
    box = tn.Box([-1.0] * n, 1.0)
    count = tn.count_regions(net, box, engine="vertex")
    assert count == len(tn.enumerate_regions(net, box, engine="vertex")) == tn.count_regions(net, box, engine="simplex")

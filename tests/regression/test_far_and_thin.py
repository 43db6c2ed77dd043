"""Bugs fixed where regions are huge or thin, or a boundary is barely missed."""

from fractions import Fraction

import networkx as nx
import numpy as np
import pytest

import tropnet as tn
from tests.oracles.planar import planar_patterns

NORMS = (1, 2, np.inf)


@pytest.mark.parametrize("gap", [1e-5, 1e-8, 1e-9])
def test_a_boundary_that_is_barely_missed_is_infinitely_far(gap):
    """A linear program in float64 took an output of -1e-8 for 0."""
    net = tn.Network.mlp([[[1.0, 1.0], [-1.0, -1.0]], [[-1.0, -1.0]]], [[-0.3, 0.3], [-gap]])
    assert [tn.distance_to_boundary(net, [0.0, 0.0], None, norm).distance for norm in NORMS] == [np.inf] * 3


def test_a_boundary_that_is_near_is_not_at_distance_zero():
    h = 1e-7
    net = tn.Network.mlp([[[1.0, 1.0], [1.0, -2.0], [0.3, 1.0]], [[-1.0, 0, 0]]], [[0.0, 0.3, -h / 3], [h]])
    found = [tn.distance_to_boundary(net, [0.0, 0.0], None, norm).distance for norm in NORMS]
    assert found == pytest.approx([h, h / 2**0.5, h / 2], rel=1e-12)


def test_a_decision_that_is_only_touched_counts():
    """The output -|x| - |y - 1| is 0 at one point, in no region's inside."""
    rows = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
    net = tn.Network.mlp([rows, [[-1.0] * 4]], [[0.0, 0.0, -1.0, 1.0], [0.0]])
    found = [tn.distance_to_boundary(net, [3.0, 2.0], None, norm).distance for norm in NORMS]
    assert found == pytest.approx([4.0, 10**0.5, 3.0], rel=1e-15)


@pytest.mark.parametrize("size", [1e15, 1e17, 1e20])
@pytest.mark.parametrize("engine", ["vertex", "lp"])
def test_balls_of_huge_boxes(size, engine):
    net = tn.Network.mlp([[[1.0, 1.0], [1, -1]], [[1.0, 1]]], [[0, 0], [-1.0]])
    regions = tn.enumerate_regions(net, tn.Box([-size, -size], [size, size]), engine=engine)
    expected = (2**0.5 - 1) * size
    assert regions.chebyshev_balls().radii == pytest.approx([expected] * 4, rel=1e-9)
    assert [region.chebyshev_ball().radius for region in regions] == pytest.approx([expected] * 4, rel=1e-9)
    assert regions.volume_estimates(200).values == pytest.approx(regions.volumes(), rel=0.5)


@pytest.mark.parametrize("h", [1e-6, 1e-10, 1e-12, 1e-14])
def test_slivers_keep_their_digits(h):
    """Strips of width h between two nearly parallel hyperplanes, one at a slant."""
    a = np.array([1.0, 0.37])
    net = tn.Network.mlp([[a, a], [[1.0, 1.0]]], [[0.1, 0.1 + h], [0.0]])
    regions = tn.enumerate_regions(net, tn.Box(-1, [1, 1]))
    exact = 2 * (Fraction(0.1 + h) - Fraction(0.1))
    assert regions.volumes().min() == pytest.approx(float(exact), rel=1e-9)
    values, errors = regions.volume_estimates(2000)
    thin = int(values.argmin())
    assert abs(values[thin] - float(exact)) <= 5 * errors[thin] + 1e-9 * float(exact)


def test_a_graph_of_other_regions_is_refused():
    net = tn.Network.random([2, 3, 1], seed=0)
    regions = tn.enumerate_regions(net, facets=True)
    for call in (tn.statistics, tn.linear_regions):
        with pytest.raises(ValueError, match=r"graph must be the adjacency_graph of these \d+ regions, got"):
            call(regions, nx.path_graph(2))


def test_regions_near_of_an_affine_network():
    net = tn.Network([tn.Layer({0: np.array([[1.0, 2.0]])}, np.zeros(1))], 2)
    near = tn.regions_near(net, [0.0, 0.0])
    assert len(near) == 1
    assert near.regions.complete
    with pytest.raises(tn.ShapeError, match=r"x must be one point of shape \(2,\), got 2 points"):
        tn.regions_near(net, [[0.0, 0.0], [1.0, 1.0]])


def _patterns(net, engine):
    return sorted(map(tuple, tn.enumerate_regions(net, engine=engine).patterns.tolist()))


@pytest.mark.parametrize("exponent", range(30, 61))
def test_a_root_cell_without_a_vertex_keeps_its_regions(exponent):
    """Bits of the root cell before were fixed in one that the lp engine took over: 6 from 2**-39 to 2**-46."""
    rows = [[1, 1], [0, -1], [2.0**-exponent, 0], [0, 1]]
    net = tn.Network.mlp([rows, [[1] * 4]], [[0, 0, 1, 0], [0]])
    assert _patterns(net, "simplex") == sorted(planar_patterns(net, []))
    assert tn.count_regions(net, engine="simplex") == 7


def _almost_constant(rng, d, exponent, deep):
    """Small integers, an almost constant row, and a row that coincides with another or is its opposite."""
    rows = rng.integers(-1, 2, (int(rng.integers(2, 5)), d)).astype(float)
    thin = np.eye(d)[rng.integers(d)] * 2.0**-exponent
    pair = rng.choice([-1, 1, 2]) * rows[rng.integers(len(rows))]
    weights = [rng.permutation(np.vstack([rows, thin, pair]))]
    biases = [rng.integers(-1, 2, len(rows) + 2).astype(float)]
    if deep:
        weights.append(rng.integers(-1, 2, (2, len(rows) + 2)).astype(float))
        biases.append(rng.integers(-1, 2, 2).astype(float))
    return tn.Network.mlp([*weights, np.ones((1, len(weights[-1])))], [*biases, [0.0]])


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(("d", "seed"), [(2, 17), (3, 15)])
def test_almost_constant_neurons_lose_no_regions(d, seed, deep):
    """The same in two and three inputs, with seeds of which some network has such a root cell."""
    for exponent in range(30, 61):
        net = _almost_constant(np.random.default_rng([seed, exponent]), d, exponent, deep)
        expected = sorted(planar_patterns(net, [])) if d == 2 else _patterns(net, "lp")
        assert _patterns(net, "simplex") == expected, exponent
        assert tn.count_regions(net, engine="simplex") == len(expected)

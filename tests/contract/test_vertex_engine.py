"""The compiled vertex engine gives the patterns of the brute force and of the lp engine, on all its domains."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.oracles.brute_force import brute_force_patterns, exact_forward
from tests.strategies import halfspaces, problems
from tropnet import Box, Layer, Network, Polytope, Tolerances, UndecidedError, count_regions, enumerate_regions
from tropnet.enumeration.engines.vertex.engine import vertex_engine_fits
from tropnet.network.domain import as_domain


def pattern_set(regions):
    patterns = set(map(tuple, regions.patterns.tolist()))
    assert len(patterns) == len(regions)
    return patterns


def check_witnesses(regions):
    """Every witness is strictly inside its region, exactly."""
    A, b = regions.domain.halfspaces
    for region in regions:
        x = region.certificate.fractions
        assert exact_forward(regions.network, x)[1] == tuple(region.pattern.tolist())
        for row, side in zip(A.tolist(), b.tolist(), strict=True):
            assert sum(Fraction(a) * t for a, t in zip(row, x, strict=True)) < Fraction(side)
        maps = regions.network.integer_maps(region.pattern)[:-1]
        rows = np.concatenate(maps)[region.cuts]
        assert all(region.certificate.sign(row.tolist()) != 0 for row in rows)


@given(problem=problems(max_neurons=7))
def test_vertex_finds_the_patterns_of_the_brute_force(problem):
    """On degenerate and ordinary networks alike, the patterns are those of the brute force."""
    net, domain = problem
    assume(vertex_engine_fits(net, as_domain(domain, net.n_inputs)))
    regions = enumerate_regions(net, domain, engine="vertex")
    assert pattern_set(regions) == brute_force_patterns(net, halfspaces(domain, net.n_inputs))
    assert regions.complete
    check_witnesses(regions)


NETWORKS = [
    Network.random([1, 5, 5, 5, 1], skips=[(1, 3)], seed=1),
    Network.random([2, 6, 6, 1], seed=2),
    Network.random([2, 4, 4, 4, 4, 1], skips=[(1, 3), (2, 4)], seed=3, slopes=(0.1, 1.0)),
    Network.random([2, 4, 4, 4, 1], skips=[(1, 3)], seed=4, slopes=(1.0, -0.5), init="kaiming_normal"),
    Network.random([3, 4, 4, 1], seed=5),
    Network.random([3, 3, 3, 3, 1], skips=[(1, 3), (2, 4)], seed=6, slopes=(-1.0, 1.0)),
    Network.random([4, 4, 3, 1], seed=7),
    Network.mlp(
        [np.random.default_rng(8).integers(-3, 4, (4, 2)), np.random.default_rng(9).integers(-3, 4, (4, 4)), [[1] * 4]],
        [np.zeros(4), np.zeros(4), [0]],
    ),
    Network(
        [
            Layer({0: np.random.default_rng(1).normal(size=(5, 2))}, np.random.default_rng(2).normal(size=5)),
            Layer(
                {1: np.random.default_rng(3).normal(size=(4, 5)), 0: np.random.default_rng(4).normal(size=(4, 2))},
                np.random.default_rng(5).normal(size=4),
                np.array([[0.0, 1.0], [1.0, 1.0], [-2.0, 0.5], [1.0, 0.0]]),
            ),
            Layer({2: np.ones((1, 4)), 0: np.ones((1, 2))}, np.zeros(1)),
        ]
    ),
]


@pytest.mark.parametrize("net", NETWORKS, ids=repr)
@pytest.mark.parametrize("kind", ["R^d", "thin box", "huge box", "tiny box", "half-space", "wedge"])
def test_vertex_agrees_with_lp(net, kind):
    """On networks too large for brute force, and on all kinds of domains, the lp engine finds the same patterns."""
    d = net.n_inputs
    domain = {
        "R^d": None,
        "thin box": Box([-1e-9] + [-1] * (d - 1), [1e-9] + [1] * (d - 1)),
        "huge box": Box(-1e6, 1e6),
        "tiny box": Box(0.5, 0.5 + 1e-6),
        "half-space": Polytope(np.ones((1, d)), [1.0]),
        "wedge": Polytope(np.eye(d) - 0.125, np.full(d, 2.0)),
    }[kind]
    regions = enumerate_regions(net, domain, engine="vertex")
    assert pattern_set(regions) == pattern_set(enumerate_regions(net, domain, engine="lp"))
    check_witnesses(regions)


def test_vertex_agrees_with_lp_on_larger_networks():
    """Hundreds of regions, in two and three dimensions, without anything left to exact arithmetic in a box."""
    for net in (Network.random([2, 16, 16, 1], seed=0), Network.random([3, 7, 7, 1], seed=0)):
        regions = enumerate_regions(net, Box(-10, 10), engine="vertex")
        assert len(regions) > 250
        assert pattern_set(regions) == pattern_set(enumerate_regions(net, Box(-10, 10), engine="lp"))
        assert regions.stats["settled_exactly"] == 0


def test_the_whole_plane_and_space_by_zaslavsky():
    """One layer in general position has sum C(n, i) cells in R^d, at any scale of its biases."""
    rng = np.random.default_rng(0)
    for scale in (1.0, 1e-12, 1e12):
        plane = Network.mlp([rng.normal(size=(12, 2)), np.ones((1, 12))], [scale * rng.normal(size=12), [0]])
        assert count_regions(plane, engine="vertex") == 1 + 12 + 66
        space = Network.mlp([rng.normal(size=(9, 3)), np.ones((1, 9))], [scale * rng.normal(size=9), [0]])
        assert count_regions(space, engine="vertex") == 1 + 9 + 36 + 84


def test_many_cuts_on_one_path():
    """A path with far more cuts than a mask has bits: seventy lines around a disc."""
    angles = np.linspace(0, 2 * np.pi, 70, endpoint=False) + 0.1
    weights = np.column_stack([np.cos(angles), np.sin(angles)])
    net = Network.mlp([weights, np.ones((1, 70))], [-np.ones(70), [0]])
    regions = enumerate_regions(net, Box(-1.02, 1.02), engine="vertex")
    assert pattern_set(regions) == pattern_set(enumerate_regions(net, Box(-1.02, 1.02), engine="lp"))


def test_arrays_grow_and_buffers_fill_without_losing_anything(monkeypatch):
    """With room for next to nothing the search stops, grows and goes on to the same regions in the same order."""
    net = Network.random([3, 8, 8, 1], seed=1)
    expected = enumerate_regions(net, Box(-10, 10), engine="vertex")
    for name, value in (("_POOL", 0), ("_BUFFER", 7), ("_STEPS", 3)):
        monkeypatch.setattr(f"tropnet.enumeration.engines.vertex.engine.{name}", value)
    regions = enumerate_regions(net, Box(-10, 10), engine="vertex")
    assert len(regions) > 300
    assert (regions.packed == expected.packed).all()
    assert (regions.witnesses == expected.witnesses).all()


@given(seed=st.integers(0, 10**6))
def test_what_exact_arithmetic_may_not_settle_is_reported(seed):
    """With exact arithmetic off, a degenerate network raises; the undecided prefixes cover all that is missing."""
    rng = np.random.default_rng(seed)
    net = Network.mlp([rng.integers(-2, 3, (4, 2)), rng.integers(-2, 3, (2, 4)), [[1, 1]]], [[0] * 4, [0] * 2, [0]])
    assume(vertex_engine_fits(net, as_domain(None, 2)))
    truth = pattern_set(enumerate_regions(net, engine="lp"))
    try:
        partial = enumerate_regions(net, engine="vertex", tolerances=Tolerances(exact_pivots=0))
    except UndecidedError as error:
        partial = error.partial
        assert partial.n_undecided
    found = pattern_set(partial)
    assert found <= truth
    for pattern in truth - found:
        assert any(pattern[: len(prefix)] == prefix for prefix in partial.undecided)


def test_unfit_problems_are_refused_by_name():
    """Too many inputs, no hidden layer, or lines that the first layer leaves: the engine says so and 'auto' copes."""
    lines = Network.mlp([[[1.0, 0.0]], [[1.0]]], [[0.0], [0.0]])
    wide = Network.random([9, 2, 1], seed=0)
    affine = Network.mlp([[[1.0, 0.0]]], [[0.0]])
    for net in (lines, wide, affine):
        with pytest.raises(ValueError, match=r"engine 'vertex' needs at most 8 inputs.*use engine='simplex' or 'lp'"):
            enumerate_regions(net, engine="vertex")
        assert count_regions(net) == 2 if net is lines else count_regions(net) >= 1

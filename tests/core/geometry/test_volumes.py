"""Volumes in bulk: they add up to the domain, agree with exact vertices and with random points."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tropnet import Box, Network, Polytope, enumerate_regions


@pytest.mark.parametrize(("d", "widths"), [(1, [9, 9]), (2, [16, 16, 16]), (3, [9, 9]), (4, [6, 5]), (5, [4, 3])])
@pytest.mark.parametrize("facets", [True, False])
def test_volumes_add_up_to_the_box(d, widths, facets):
    for half_width in (1e-6, 1.0, 1e4):
        net = Network.random([d, *widths, 1], seed=d)
        regions = enumerate_regions(net, Box([-half_width] * d, half_width), facets=facets)
        assert regions.volumes().sum() == pytest.approx((2 * half_width) ** d, rel=1e-9)


@given(seed=st.integers(0, 10**6), d=st.integers(1, 4))
def test_volumes_of_degenerate_networks(seed, d):
    """As from exact vertices, region by region, infinite ones included."""
    rng = np.random.default_rng(seed)
    weights = [rng.integers(-1, 2, (4, d)), rng.integers(-1, 2, (3, 4)), np.ones((1, 3))]
    net = Network.mlp(weights, [rng.integers(-1, 2, 4), rng.integers(-1, 2, 3), [0]], slopes=(-0.5, 1))
    for domain in (None, Box([-2.0] * d, 1.0), Polytope(np.ones((1, d)), [0.5])):
        for facets in (False, True):
            regions = enumerate_regions(net, domain, facets=facets)
            exact = [region.volume() for region in regions]
            np.testing.assert_allclose(regions.volumes(), exact, rtol=1e-9)


@pytest.mark.parametrize(("d", "widths"), [(3, [5, 4]), (4, [4, 3]), (5, [4, 2])])
def test_volumes_agree_with_random_points(d, widths):
    """Within five standard deviations of a binomial count, region by region."""
    net = Network.random([d, *widths, 1], seed=3)
    regions = enumerate_regions(net, Box([-1.0] * d, 1.0), facets=True)
    n = 40_000
    x = np.random.default_rng(0).uniform(-1, 1, (n, d))
    index = {pattern.tobytes(): i for i, pattern in enumerate(regions.patterns)}
    hits = np.bincount([index[pattern.tobytes()] for pattern in net.activation_pattern(x)], minlength=len(regions))
    share = regions.volumes(progress=True) / 2**d
    assert share.sum() == pytest.approx(1, rel=1e-9)
    values, errors = regions.volume_estimates(progress=True)
    assert (np.abs(values - share * 2**d) <= 6 * errors).all()
    assert (np.abs(hits - n * share) <= 5 * np.sqrt(n * share * (1 - share)) + 1).all()

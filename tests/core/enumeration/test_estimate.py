"""Estimates of the number of regions: exact where the tree is small, unbiased otherwise, the same for every seed."""

import numpy as np
import pytest

from tropnet import Box, Network, count_regions, estimate_regions
from tropnet.enumeration.engine import Ability
from tropnet.enumeration.engines import REGISTRY
from tropnet.progress import duration


@pytest.mark.parametrize("engine", [name for name, it in REGISTRY.items() if Ability.SAMPLING in it.abilities])
def test_a_small_tree_is_counted(engine):
    net = Network.random([2, 4, 4, 1], seed=1)
    estimate = estimate_regions(net, Box(-1, 1), engine=engine)
    assert estimate.exact
    assert estimate.n_regions == count_regions(net, Box(-1, 1), engine="lp")
    assert estimate.standard_error == 0


@pytest.mark.parametrize(("engine", "n_seeds"), [("vertex", 60), ("simplex", 60), ("lp", 4)])
def test_the_mean_over_many_seeds_is_the_count(engine, n_seeds):
    """Within four standard errors of the mean of independent estimates, which the probes' own errors agree with."""
    net = Network.random([3, 9, 9, 1], skips=[(1, 3)], seed=3)
    truth = count_regions(net, Box(-10, 10))
    estimates = [
        estimate_regions(net, Box(-10, 10), engine=engine, width=16, n_probes=8, seed=seed) for seed in range(n_seeds)
    ]
    values = np.array([estimate.n_regions for estimate in estimates])
    assert not any(estimate.exact for estimate in estimates)
    assert abs(values.mean() - truth) < 4 * values.std(ddof=1) / np.sqrt(n_seeds)
    if n_seeds > 10:
        claimed = np.mean([estimate.standard_error for estimate in estimates])
        assert 0.5 < claimed / values.std(ddof=1) < 2


def test_the_seed_decides():
    net = Network.random([3, 10, 10, 1], seed=3)
    same = [estimate_regions(net, width=16, n_probes=4, seed=5) for _ in range(2)]
    assert same[0] == same[1]
    assert same[0] != estimate_regions(net, width=16, n_probes=4, seed=6)


@pytest.mark.parametrize(("name", "value"), [("width", 0), ("n_probes", 1)])
def test_too_little_is_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be an integer of at least"):
        estimate_regions(Network.random([2, 4, 1], seed=0), **{name: value})


@pytest.mark.parametrize(
    ("seconds", "text"), [(3.2, "3 seconds"), (90, "1.5 minutes"), (7200, "2 hours"), (1e9, "31.7 years")]
)
def test_durations_are_written_in_the_largest_unit(seconds, text):
    assert duration(seconds) == text

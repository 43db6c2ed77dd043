"""Estimates of the number of regions: exact where the tree is small, unbiased otherwise, the same for every seed."""

import numpy as np
import pytest

from tropnet import Box, Network, count_regions, estimate_regions
from tropnet.enumeration.engine import Ability
from tropnet.enumeration.engines import REGISTRY
from tropnet.enumeration.estimate import estimate_tree
from tropnet.enumeration.search import Search
from tropnet.progress import duration


@pytest.mark.parametrize("engine", [name for name, it in REGISTRY.items() if Ability.SAMPLING in it.abilities])
def test_a_small_tree_is_counted(engine):
    net = Network.random([2, 4, 4, 1], seed=1)
    estimate = estimate_regions(net, Box(-1, 1), engine=engine)
    assert estimate.exact
    assert estimate.n_regions == count_regions(net, Box(-1, 1), engine="lp")
    assert estimate.standard_error == 0


def estimated(net, engine, width, n_probes, seed, share=np.inf, n_counted=None):
    """Estimate with probes, however soon the regions would be counted."""
    search = Search.prepare(net, Box(-10, 10), engine, "highs", None, None, only_count=True)
    return estimate_tree(
        search._probe,
        lambda _limit: n_counted,
        net.n_neurons,
        width=width,
        n_probes=n_probes,
        seed=seed,
        share=share,
        update=lambda _count, _fraction: None,
    )


@pytest.mark.parametrize(("engine", "n_seeds"), [("vertex", 100), ("simplex", 100), ("lp", 4)])
def test_the_mean_over_many_seeds_is_the_count(engine, n_seeds):
    """Within four standard errors, which the probes' own agree with; nine of ten intervals hold the truth."""
    net = Network.random([3, 9, 9, 1], skips=[(1, 3)], seed=3)
    truth = count_regions(net, Box(-10, 10))
    estimates = [estimated(net, engine, 16, 8, seed) for seed in range(n_seeds)]
    values = np.array([estimate.n_regions for estimate in estimates])
    assert not any(estimate.exact for estimate in estimates)
    assert abs(values.mean() - truth) < 4 * values.std(ddof=1) / np.sqrt(n_seeds)
    if n_seeds > 10:
        claimed = np.mean([estimate.standard_error for estimate in estimates])
        assert 0.5 < claimed / values.std(ddof=1) < 2
        assert sum(low <= truth <= high for low, high in (estimate.interval for estimate in estimates)) >= 90


def test_the_seed_decides():
    net = Network.random([3, 10, 10, 1], seed=3)
    same = [estimated(net, "vertex", 16, 4, 5) for _ in range(2)]
    assert same[0] == same[1]
    assert same[0] != estimated(net, "vertex", 16, 4, 6)


def test_where_probes_cost_more_than_a_part_of_the_count_the_regions_are_counted():
    """With next to no budget it counts, unless there are far more regions than expected."""
    net = Network.random([3, 10, 10, 1], seed=3)
    assert estimated(net, "vertex", 16, 4, 5, share=1e-9, n_counted=17) == (17.0, 0.0, 1)
    assert not estimated(net, "vertex", 16, 4, 5, share=1e-9).exact


@pytest.mark.parametrize(("name", "value"), [("width", 0), ("n_probes", 1)])
def test_too_little_is_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be an integer of at least"):
        estimate_regions(Network.random([2, 4, 1], seed=0), **{name: value})


@pytest.mark.parametrize(
    ("seconds", "text"), [(3.2, "3 seconds"), (90, "1.5 minutes"), (7200, "2 hours"), (1e9, "31.7 years")]
)
def test_durations_are_written_in_the_largest_unit(seconds, text):
    assert duration(seconds) == text

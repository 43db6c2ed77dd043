"""Estimates of the number of regions: exact where the tree is small, unbiased otherwise, the same for every seed."""

import numpy as np
import pytest

from tropnet import Box, Network, count_regions, estimate_regions
from tropnet.enumeration.engine import Ability
from tropnet.enumeration.engines import REGISTRY
from tropnet.enumeration.estimate import Count, Estimate, estimate_tree
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
        lambda _limit, _seconds: Count(n_counted or 0, complete=n_counted is not None),
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
    assert estimated(net, "vertex", 16, 4, 5, share=1e-9, n_counted=17) == Estimate(17.0, 0.0, 1, 17.0)
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


def steps(n_inputs, n_thresholds):
    """Return the network of a function that bends at thresholds of each input, neurons in their order."""
    weights = np.repeat(np.eye(n_inputs), n_thresholds, axis=0)
    biases = np.tile(-np.linspace(-0.9, 0.9, n_thresholds), n_inputs)
    return Network.mlp([weights, np.ones((1, len(biases)))], [biases, np.zeros(1)])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("n_inputs", "n_thresholds"), [(1, 100), (1, 3000), (2, 60), (3, 20)])
def test_neurons_in_the_order_of_their_thresholds_are_counted(n_inputs, n_thresholds, seed):
    """Probes see a path of such a tree, whose every branching is a leaf on one side; so nothing is left to them."""
    estimate = estimate_regions(steps(n_inputs, n_thresholds), Box(-1, 1), seed=seed)
    assert estimate.exact
    assert estimate.n_regions == estimate.at_least == (n_thresholds + 1) ** n_inputs


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("n_inputs", "n_thresholds"), [(2, 180), (2, 250)])
def test_what_was_counted_bounds_the_estimate(n_inputs, n_thresholds, seed):
    """Where there are more regions than are counted first, these refute probes that are too small."""
    truth = (n_thresholds + 1) ** n_inputs
    estimate = estimate_regions(steps(n_inputs, n_thresholds), Box(-1, 1), seed=seed)
    low, high = estimate.interval
    assert not estimate.exact
    assert 20_000 < estimate.at_least <= low <= truth <= high
    assert low <= estimate.n_regions <= high


def test_no_part_of_an_interval_lies_below_what_was_counted():
    assert Estimate(100.0, 10.0, 16).raised(95).interval[0] == 95
    raised = Estimate(100.0, 10.0, 16).raised(110)
    assert raised == Estimate(110.0, 11.0, 16, 110.0)
    assert raised.interval[0] == 110
    assert Estimate(100.0, 10.0, 16).raised(200).interval == (200, np.inf)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("n_inputs", "n_thresholds"), [(3, 40), (3, 60), (4, 20)])
def test_intervals_hold_the_truth_where_pilots_go_on_to_see_the_whole_tree(n_inputs, n_thresholds, seed):
    low, high = estimate_regions(steps(n_inputs, n_thresholds), Box(-1, 1), seed=seed).interval
    assert low <= (n_thresholds + 1) ** n_inputs <= high

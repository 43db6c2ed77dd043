"""How many regions will there be? A tree-size estimate with an interval, before the search is run."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tropnet.arrays.types import FloatArray
from tropnet.enumeration.engine import Sample, Sampling
from tropnet.progress import Update

__all__ = ["TENTH", "Count", "Estimate", "estimate_tree", "fitted_targets"]

TENTH = 0.1
# Student's quantile of the interval that is called that of 95 %: at 95 % itself it held the truth for less than nine in
# ten seeds, as the mean of few skewed probes is often too small. What it holds now: results/estimates.json.
_CONFIDENCE = 0.98
# To begin with a few nodes in each stratum, then twice as many, as long as that is a small part of the budget.
_FIRST_WIDTH = 8
_PART_FOR_PILOTS = 0.25
_MIN_PILOTS, _MAX_PILOTS = 3, 6
# More while each meets strata that none before it saw, as long as that costs next to nothing; not where there are so
# many neurons that they would not come far, as each sees a few strata more.
_EXTRA_PILOTS, _SECONDS_OF_EXTRA, _NEURONS_WITH_EXTRA = 64, 0.05, 512
# What a probe takes besides the steps it counts: its arrays.
_SECONDS_PER_PROBE = 1e-3
# A count that was to be quick is given up beyond so many times what was expected.
_SURPRISE = 4.0
# So much is counted whatever pilots say: they see little of a tree whose branchings are all leaves on one side. Where
# so many regions cost more than the probes and more than so many seconds, fewer are.
_COUNTED_FIRST = 20_000
_SECONDS_OF_COUNT = 0.1


class Estimate(NamedTuple):
    """A number of regions, estimated without bias.

    Attributes
    ----------
    n_regions
        The estimate.
    standard_error
        Of the estimate; 0 if nothing was left out, which makes the number exact. Infinite if the count refutes the
        probes: `n_regions` is then only what was counted.
    n_probes
        The number of independent probes that it is the mean of; 1 if the regions were counted.
    at_least
        So many were counted before the probes, or are all if the number is exact.
    """

    n_regions: float
    standard_error: float
    n_probes: int
    at_least: float = 0.0

    @property
    def exact(self) -> bool:
        """Whether the regions were counted: the tree is small, or counting takes little longer than estimating."""
        return self.standard_error == 0 and self.n_probes == 1

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval: by Student's t for the logarithm, as probes of trees are skewed to the right.

        For the same reason the quantile is that of 98 %: measured, it holds the truth for nine in ten seeds or more.
        It never lies below `at_least`, and has no upper end if the standard error is infinite.

        The interval fails where most regions lie behind branchings that probes hardly ever pass, as with many more than
        20,000 regions and a layer of parallel neurons in the order of their thresholds: the probes are without bias,
        but all those at hand may be far too small, and alike. Where they are smaller than what was counted, it is seen.

        Examples
        --------
        >>> low, high = Estimate(1000.0, 100.0, 16).interval
        >>> round(low), round(high)
        (771, 1297)
        >>> Estimate(7.0, 0.0, 1).interval
        (7.0, 7.0)
        >>> Estimate(20_000.0, math.inf, 16, 20_000.0).interval
        (20000.0, inf)
        """
        if self.standard_error == 0:
            return self.n_regions, self.n_regions
        if self.standard_error == math.inf:
            return self.at_least, math.inf
        from scipy.special import stdtrit

        quantile = stdtrit(self.n_probes - 1, 0.5 + _CONFIDENCE / 2)
        factor = math.exp(min(quantile * self.standard_error / self.n_regions, 700.0))
        return max(self.n_regions / factor, self.at_least), self.n_regions * factor

    def raised(self, at_least: int) -> Estimate:
        """Return the estimate with what was counted: not below it, and refuted if the whole interval was.

        Examples
        --------
        >>> Estimate(17.0, 2.0, 16).raised(20_000)
        Estimate(n_regions=20000.0, standard_error=inf, n_probes=16, at_least=20000.0)
        >>> Estimate(30_000.0, 1_000.0, 16).raised(20_000).n_regions
        30000.0
        """
        error = math.inf
        if self.interval[1] >= at_least:
            error = self.standard_error * max(1.0, at_least / self.n_regions)
        return Estimate(max(self.n_regions, float(at_least)), error, self.n_probes, float(at_least))


class Count(NamedTuple):
    """The regions found in a count, and whether these are all."""

    n_regions: int
    complete: bool


def estimate_tree(
    probe: Callable[[Sampling], Sample],
    count: Callable[[float, float], Count],
    n_neurons: int,
    *,
    width: int,
    n_probes: int,
    seed: int,
    share: float,
    update: Update,
) -> Estimate:
    """Estimate the number of leaves of a tree from what probes of it see; see `estimate_regions`.

    Parameters
    ----------
    probe
        Walks a part of the tree.
    count
        Counts the leaves until there are more than so many, or they cost more than so many seconds of counted work.
    n_neurons
        There is a stratum more.
    width, n_probes, seed
        As for `estimate_regions`.
    share
        The part of the cost of a count that the estimate may cost; where that is too little for anything, the leaves
        are counted. Infinity for no limit.
    update
        Reports progress.
    """
    seeds = np.random.SeedSequence(seed).generate_state(_MAX_PILOTS + n_probes + _EXTRA_PILOTS, np.uint64).tolist()
    seeds, probe_seeds = seeds[:_MAX_PILOTS] + seeds[_MAX_PILOTS + n_probes :], seeds[_MAX_PILOTS:][:n_probes]
    nodes, leaves, full_cost, weight = np.zeros(n_neurons + 1), 0.0, 0.0, 0.0
    cost, spent, last_cost, pilot_width = 0.0, 0.0, 0.0, min(_FIRST_WIDTH, width)
    targets = np.full(n_neurons + 1, np.inf)
    n_shown = _MAX_PILOTS + n_probes
    seconds_of_extra = _SECONDS_OF_EXTRA if n_neurons <= _NEURONS_WITH_EXTRA else -1.0
    for pilot, pilot_seed in enumerate(seeds):
        sample = probe(_sampling(targets, pilot_seed, pilot_width))
        if sample.n_left_out == 0:
            return Estimate(sample.leaves, 0.0, 1, sample.leaves)
        # Wide pilots see more.
        is_news = ((sample.nodes > 0) & (nodes == 0)).any()
        nodes, leaves = nodes + pilot_width * sample.nodes, leaves + pilot_width * sample.leaves
        full_cost, weight = full_cost + pilot_width * sample.full_cost, weight + pilot_width
        last_cost, last_width = sample.cost, pilot_width
        spent += last_cost + _SECONDS_PER_PROBE
        cost += last_cost
        done = min(pilot + 1, _MAX_PILOTS)
        update(done, done / n_shown)
        budget = share * full_cost / weight
        many = pilot + 1 >= _MIN_PILOTS and spent + 2 * last_cost > _PART_FOR_PILOTS * budget
        if (many or pilot + 1 >= _MAX_PILOTS) and (cost > seconds_of_extra or not is_news):
            break
        pilot_width = min(2 * pilot_width, width)
        targets = fitted_targets(nodes / weight, pilot_width)
    room = (budget - spent) / n_probes - _SECONDS_PER_PROBE
    fitting = last_width * room / max(last_cost, 1e-9)
    probing = n_probes * (last_cost * min(width, max(fitting, 1.0)) / last_width + _SECONDS_PER_PROBE)
    limit, seconds = float(_COUNTED_FIRST), max(_SECONDS_OF_COUNT, probing)
    if fitting < 1.0:
        limit, seconds = max(limit, _SURPRISE * leaves / weight), max(seconds, _SURPRISE * full_cost / weight)
    counted = count(limit, seconds)
    if counted.complete:
        return Estimate(float(counted.n_regions), 0.0, 1, float(counted.n_regions))
    if fitting < 1.0:
        # The tree is larger than the pilots knew.
        fitting = float(last_width)
    width = int(min(width, fitting))
    targets = fitted_targets(nodes / weight, width)
    found = np.empty(n_probes)
    for i, probe_seed in enumerate(probe_seeds):
        found[i] = probe(_sampling(targets, probe_seed, width)).leaves
        update(_MAX_PILOTS + i + 1, (_MAX_PILOTS + i + 1) / n_shown)
    probed = Estimate(float(found.mean()), float(found.std(ddof=1) / np.sqrt(n_probes)), n_probes)
    return probed.raised(counted.n_regions)


def _sampling(targets: FloatArray, seed: int, width: int) -> Sampling:
    """Return the sampling that branches fully until the width is filled."""
    return Sampling(targets, seed, free=width.bit_length() - 1)


def fitted_targets(nodes: FloatArray, width: int) -> FloatArray:
    """Return the weights with which about `width` of so many nodes are kept in every stratum."""
    # Nothing is known of strata that no pilot saw.
    return np.where(nodes > 0, nodes / width, np.inf)

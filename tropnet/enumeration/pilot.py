"""Which engine is faster on a task? Small samples of their trees tell, by counted operations."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from tropnet.enumeration.engine import Engine, Plan, Rest, Sample, Sampling, Sharing
from tropnet.enumeration.estimate import fitted_targets

__all__ = ["faster_plan", "walk_sample"]

_LOG = logging.getLogger("tropnet.enumeration")
# Nodes to keep in each stratum, pilot by pilot, and what the pilots of an engine may cost, in seconds.
_WIDTHS = (2, 8, 16)
_BUDGET = 0.05
# What is faster by less is not worth to begin again for.
_WORTH = 1.1
# What looks so many times worse after a first pilot is not looked at any more.
_HOPELESS = 5.0


def faster_plan(plan: Plan, rivals: Sequence[Engine]) -> Plan:
    """Return the plan of the engine that does the task of a plan at the least cost, its own if that is about as good.

    Each engine walks a few random parts of its own tree, which has the leaves of all others, and counts what it does
    there. So the choice is a function of the task: no clock is asked, and the same call takes the same engine.
    """
    cost = _cost_of_leaf(plan, np.inf)
    best, least, costs = plan, cost / _WORTH, {plan.engine.name: cost}
    for engine in rivals:
        other = engine.prepare(plan.task)
        if isinstance(other, Plan):
            costs[engine.name] = cost = _cost_of_leaf(other, _HOPELESS * least)
            if cost < least:
                best, least = other, cost
    _LOG.info(
        "engine %s goes on: by counted operations of a few samples, seconds a region are %s",
        best.engine.name,
        ", ".join(f"{name} {cost:.2g}" for name, cost in costs.items()),
    )
    return best


def walk_sample(plan: Plan, sampling: Sampling, deadline: float = math.inf) -> Sample:
    """Walk a part of the tree of a plan and return what was seen.

    Raises
    ------
    ValueError
        The engine refuses.
    TimeoutError
        It is later than the deadline, by `time.monotonic`.
    """
    answer = plan.adapted(replace(plan.task, sampling=sampling))
    if not isinstance(answer, Plan):
        raise ValueError(answer.reason)
    seen, builder = Sample(np.zeros(len(sampling.targets))), answer.builder()
    if deadline < math.inf:
        builder.sharing = Sharing(partial(_look_at_time, deadline), _keep, lambda _: 0)
    for chunk in answer.run(builder):
        seen = seen if chunk.sample is None else seen + chunk.sample
    return seen


def _look_at_time(deadline: float) -> bool:
    if time.monotonic() > deadline:
        raise TimeoutError
    return False


def _keep(_rest: Rest) -> None:
    """Hand over nothing."""


def _cost_of_leaf(plan: Plan, hopeless: float) -> float:
    """Return about what a region costs: the cost of the tree over its leaves, both of which samples estimate.

    No more is asked once it looks more than `hopeless`.
    """
    n_strata = plan.task.network.n_neurons + 1
    targets, seen, spent, weight = np.full(n_strata, np.inf), Sample(np.zeros(n_strata)), 0.0, 0
    for number, width in enumerate(_WIDTHS):
        sample = walk_sample(plan, Sampling(targets, 2 * number + 1, free=width.bit_length() - 1))
        seen, spent, weight = seen + sample.scaled(width), spent + sample.cost, weight + width
        cost = seen.full_cost / seen.leaves if seen.leaves > 0 else np.inf
        if spent > _BUDGET or sample.n_left_out == 0 or cost > hopeless:
            break
        targets = fitted_targets(seen.nodes / weight, _WIDTHS[min(number + 1, len(_WIDTHS) - 1)])
    return cost

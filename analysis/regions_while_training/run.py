"""Train the networks of every arm on every function, with their regions counted along the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tropnet as tn
from analysis.regions_while_training.config import ARMS, Config
from analysis.regions_while_training.evaluate import collected, comparisons, growth, learning, overall
from analysis.shared.blocks import run_blocks
from analysis.shared.functions import FUNCTIONS, grid, sampled
from analysis.shared.main import Job
from analysis.shared.small_networks import SmallNetwork


@dataclass(frozen=True)
class Run:
    """One network of one arm."""

    config: Config
    arm: str
    function: str
    trial: int


def run(config: Config, job: Job) -> dict[str, Any]:
    """Train and count every network, and compare the arms."""
    runs = [
        Run(config, arm, function, trial) for trial in range(config.trials) for function in FUNCTIONS for arm in ARMS
    ]
    found = run_blocks(measured, runs, job.cache, workers=job.workers, description="training")
    paths = {
        function: {
            arm: collected([found[run] for run in runs if (run.arm, run.function) == (arm, function)]) for arm in ARMS
        }
        for function in FUNCTIONS
    }
    train, test = grids(config)
    dropped = {name: [sampled(name, points).n_dropped for points in (train, test)] for name in FUNCTIONS}
    return {
        "epoch": config.milestones,
        "points": [len(train), len(test)],
        "dropped_points": dropped,
        "functions": paths,
        "overall": overall(paths),
        "growth": growth(paths),
        "learning": learning(paths, {name: float(sampled(name, train).values.var()) for name in FUNCTIONS}),
        "comparisons": comparisons(paths, config),
    }


def grids(config: Config) -> tuple[Any, Any]:
    """Return training points, and test points half a spacing beside them."""
    half = 1 / (2 * config.per_unit)
    return grid(config.half_width, config.per_unit), grid(config.half_width, config.per_unit, half)


def first_network(run: Run) -> SmallNetwork:
    """Draw the network of a run."""
    config = run.config
    return SmallNetwork(
        [2, *[config.neurons] * config.layers, 1],
        () if run.arm == "none" else config.skips,
        averaged=run.arm == "averaged",
        seed=[config.seed, list(FUNCTIONS).index(run.function), run.trial],
    )


def measured(run: Run) -> dict[str, list[float]]:
    """Train one network; return its regions and errors at the milestones."""
    config, box = run.config, tn.Box(-run.config.half_width, run.config.half_width)
    train, test = (sampled(run.function, points) for points in grids(config))
    network = first_network(run)
    path: dict[str, list[float]] = {"regions": [], "train_error": [], "test_error": []}
    for epoch in config.milestones:
        network.train(train.points, train.values, epoch - network.steps, config.learning_rate)
        path["regions"].append(tn.count_regions(network.network(), box))
        path["train_error"].append(network.loss(train.points, train.values))
        path["test_error"].append(network.loss(test.points, test.values))
    return path

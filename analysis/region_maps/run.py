"""Train the networks and take the measures of their maps."""

from __future__ import annotations

from typing import Any

from analysis.region_maps.config import Config
from analysis.region_maps.evaluate import depths_compared, evaluated, observations
from analysis.region_maps.training import trained, trainings
from analysis.shared.blocks import run_blocks
from analysis.shared.functions import FUNCTIONS, grid, sampled
from analysis.shared.main import Job


def run(config: Config, job: Job) -> dict[str, Any]:
    """Train every network, unless an earlier run has, and measure all of them."""
    found = run_blocks(trained, trainings(config), job.cache, workers=job.workers, description="training")
    points = grid(config.half_width, config.per_unit)
    rows = evaluated({training: found[training] for training in trainings(config)}, config)
    return {
        "points": len(points),
        "dropped_points": {name: sampled(name, points).n_dropped for name in FUNCTIONS},
        "observations": observations(rows),
        "depths_compared": depths_compared(rows),
        "networks": rows,
    }

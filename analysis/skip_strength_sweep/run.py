"""Train what is missing."""

from __future__ import annotations

from typing import Any

from analysis.shared.main import Job
from analysis.shared.skip_runs import train_all
from analysis.skip_strength_sweep.config import Config, runs
from analysis.skip_strength_sweep.evaluate import published, summarise


def run(config: Config, job: Job) -> dict[str, Any]:
    """Train what is missing, unless told not to, and return the results on what is there."""
    train_all(runs(config), job)
    return {**summarise(config, job.cache), "published": published()}

"""Count the regions of every arm, and evaluate."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.shared.blocks import run_blocks
from analysis.shared.main import Job
from analysis.skip_vs_regions.arms import Arm, blocks_of, control_arms, count_block, sensitivity_cells, table_rows
from analysis.skip_vs_regions.config import Config
from analysis.skip_vs_regions.evaluate import control, mechanism, reproduction, sensitivity


def run(config: Config, job: Job) -> dict[str, Any]:
    """Run the study and return its results; the same configuration gives the same numbers."""
    rows, cells = table_rows(), sensitivity_cells(config)
    blocks = []
    for row in rows:
        arms = [row["with"], row["without"], *control_arms(row).values()]
        blocks += [block for arm in arms for block in blocks_of(arm, config.networks, config.seed)]
    for cell in cells:
        for arm in (cell["with"], cell["without"]):
            blocks += blocks_of(arm, config.sensitivity_networks, config.seed)
    done = run_blocks(count_block, blocks, job.cache, workers=job.workers, description="counting")

    def gather(arm: Arm, n: int, what: str) -> np.ndarray:
        return np.concatenate([done[block][what] for block in blocks_of(arm, n, config.seed)])

    rng = np.random.default_rng([config.seed, 99])
    return {
        "reproduction": reproduction(rows, gather, rng, config),
        "sensitivity": [sensitivity(cell, gather, rng, config) for cell in cells],
        "control": [control(row, gather, rng, config) for row in rows if row["first_reading"]],
        "mechanism": [mechanism(row, gather, config) for row in rows if row["first_reading"]],
    }

"""Does mixed precision change what a network learns, and is it faster? Pairs of one trial, side by side.

    python -m analysis.gpu_studies.precision --out FOLDER --device cuda --workers 10

The pairs are runs of `analysis.skip_strength_sweep` at one strength, and count there.
"""

from __future__ import annotations

import argparse
import shlex
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from analysis.shared.main import Job
from analysis.shared.results import provenance, write_json
from analysis.shared.skip_runs import Run, finished, train_all
from analysis.shared.statistics import interval
from analysis.skip_strength_sweep import config as sweep

NAME = "mixed_precision"
TYPE = "bfloat16"
# Used if it takes less than this share of the time, and if the interval of the difference holds 0 and is so narrow.
LARGEST_SHARE = 0.9
LARGEST_HALF_WIDTH = 0.01


@dataclass(frozen=True)
class Config:
    """The networks: trials of one architecture with static skips of strength t, as `analysis.skip_strength_sweep`."""

    architecture: str
    t: float
    epochs: int
    plan: sweep.Plan


def configure(device: str, *, quick: bool) -> Config:
    """Return the networks: ResNet34 of the full profile at the published strength that is nearest to 1/2."""
    plan = (sweep.quick if quick else sweep.full)(device).plans[2 if quick else 0]
    plan = replace(plan, trials=2) if quick else plan
    return Config(plan.architecture, min(plan.strengths, key=lambda t: abs(t - 0.5)), plan.epochs, plan)


def pairs(config: Config) -> list[tuple[Run, Run]]:
    """Return the runs of each trial, in float32 and in mixed precision."""
    mixed = replace(config.plan.recipe, mixed_precision=TYPE)
    singles = [
        Run(config.architecture, config.plan.recipe, (config.t,), config.epochs, trial)
        for trial in range(config.plan.trials)
    ]
    return [(run, replace(run, recipe=mixed)) for run in singles]


def compare(found: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, Any]:
    """Compare the accuracies on the test images after the last epoch, and the times.

    Returns
    -------
    dict
        difference, `interval` of mixed less float32, in pairs; differences; share_of_time; use, whether it is to be
        used, and why.
    """
    single, mixed = zip(*found, strict=True)
    differences = [
        other["history"][-1]["validation_accuracy"] - one["history"][-1]["validation_accuracy"] for one, other in found
    ]
    difference = interval(differences)
    share = _seconds(mixed) / _seconds(single)
    low, high = difference["low"], difference["high"]
    if low is None or not low <= 0 <= high:
        use, why = False, "the accuracies differ, or there is one pair only"
    elif (high - low) / 2 > LARGEST_HALF_WIDTH:
        use, why = False, f"the accuracies are known to no better than {(high - low) / 2:.3f}"
    elif share > LARGEST_SHARE:
        use, why = False, f"it takes {share:.2f} of the time"
    else:
        use, why = True, f"it takes {share:.2f} of the time and changes no accuracy"
    return {"difference": difference, "differences": differences, "share_of_time": share, "use": use, "why": why}


def _seconds(runs: Sequence[dict[str, Any]]) -> float:
    return statistics.median(sum(entry["seconds"] for entry in run["history"]) for run in runs)


def main(given: Sequence[str]) -> None:
    """Train the pairs, all side by side, and write what was found."""
    parser = argparse.ArgumentParser(prog="python -m analysis.gpu_studies.precision")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args(given)
    config = configure(options.device, quick=options.quick)
    job = Job(options.out / "results" / ".cache" / sweep.NAME, workers=options.workers)
    found = pairs(config)
    train_all([run for pair in found for run in pair], job)
    done = [(finished(one, job.cache) or {}, finished(other, job.cache) or {}) for one, other in found]
    command = shlex.join(["python", "-m", "analysis.gpu_studies.precision", *given])
    record = provenance(config, command, ("torch",)) | ({"quick": True} if options.quick else {})
    record |= {"type": TYPE, **compare(done)}
    write_json(options.out / "results" / f"{NAME}.json", record)
    print(f"{TYPE}: {'used' if record['use'] else 'not used'}, since {record['why']}")


if __name__ == "__main__":
    main(sys.argv[1:])

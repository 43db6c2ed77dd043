"""Accuracies by strength, beside the published ones; what was not run; a summary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from analysis.shared.skip_runs import Run, finished, published_curve, reductions
from analysis.shared.statistics import interval
from analysis.skip_strength_sweep.config import N_PUBLISHED_TRIALS, PUBLISHED, Config, Plan


def summarise(config: Config, cache: Path) -> dict[str, Any]:
    """Return the results on the networks that are done, beside the published ones, and what was not run."""
    architectures, missing = {}, []
    for plan in config.plans:
        rows = []
        for t in plan.strengths:
            trials = [Run(plan.architecture, plan.recipe, (t,), plan.epochs, trial) for trial in range(plan.trials)]
            found = [record for record in (finished(run, cache) for run in trials) if record]
            if found:
                rows.append({"t": t, **_accuracies([record["history"] for record in found])})
        n_done = sum(row["n_trials"] for row in rows)
        n_wanted = len(plan.strengths) * plan.trials
        if n_done < n_wanted:
            missing.append(f"{plan.architecture}: {n_wanted - n_done} of the {n_wanted} networks of this profile")
        reasons = _reductions(plan)
        if reasons:
            missing.append(f"{plan.architecture} as published; run here: {', '.join(reasons)}")
        architectures[plan.architecture] = {"reduced": reasons, "rows": rows, "shape": _shape(rows)}
    if not torch.cuda.is_available():
        missing.append("anything on a GPU: there is none on this machine")
    return {"architectures": architectures, "not_run": missing}


def _accuracies(histories: list[list[dict[str, Any]]]) -> dict[str, Any]:
    """Return the accuracies on the test images after the first and the last epoch, and while training in the last."""
    kinds = {"first": (0, "validation_accuracy"), "last": (-1, "validation_accuracy"), "train": (-1, "accuracy")}
    found: dict[str, Any] = {"n_trials": len(histories)}
    for name, (index, key) in kinds.items():
        values = [history[index][key] for history in histories]
        found[name] = {**interval(values), "trials": values}
    return found


def _reductions(plan: Plan) -> list[str]:
    found = reductions(plan.architecture, plan.recipe)
    if plan.trials < N_PUBLISHED_TRIALS:
        found.append(f"{plan.trials} of {N_PUBLISHED_TRIALS} trials")
    if len(plan.strengths) < len(published_curve("t_vs_accuracy_resnet18", "validation, first epoch")[0]):
        found.append(f"{len(plan.strengths)} strengths")
    return found


def _shape(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Say where the accuracy after the last epoch is largest, and how much smaller it is without and with skips alone.

    Returns
    -------
    dict or None
        best_t and best, the largest mean; at_0, at_0_5 (the row nearest to 1/2) and at_1, each a mean, where there is
        such a row. None without rows.
    """
    if not rows:
        return None
    means = {row["t"]: row["last"]["mean"] for row in rows}
    best = max(means, key=lambda t: means[t])
    middle = min(means, key=lambda t: abs(t - 0.5))
    return {
        "best_t": best,
        "best": means[best],
        "at_0": means.get(0.0),
        "middle_t": middle,
        "at_middle": means[middle],
        "at_1": means.get(1.0),
    }


def published() -> dict[str, Any]:
    """Return the published points, by architecture, figure and epoch."""
    return {
        architecture: {
            figure: dict(zip(("first", "last"), (published_curve(figure, curve) for curve in curves), strict=True))
            for figure, curves in figures_.items()
        }
        for architecture, figures_ in PUBLISHED.items()
    }


def summary(record: dict[str, Any]) -> str:
    """Return the results as a short text."""
    lines = [f"profile: {record['config']['profile']}"]
    for name, found in record["architectures"].items():
        for row in found["rows"]:
            lines.append(
                f"{name}, t = {row['t']:g}: {row['first']['mean']:.4f} after the first epoch,"
                f" {row['last']['mean']:.4f} after the last ({row['n_trials']} trials)"
            )
    lines += [f"not run: {what}" for what in record["not_run"]]
    return "\n".join(lines)

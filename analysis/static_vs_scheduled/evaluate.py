"""Accuracies by setting, each compared with the static skip; what was not run; a summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from analysis.shared.skip_runs import Run, published_curve, reached, reductions
from analysis.shared.statistics import interval
from analysis.static_vs_scheduled.config import (
    FIGURE,
    N_PUBLISHED_EPOCHS,
    N_PUBLISHED_TRIALS,
    PUBLISHED,
    SETTINGS,
    STATIC,
    Config,
    runs,
)

_MEASURES = {"test": "validation_accuracy", "train": "accuracy"}
Entry = dict[str, Any]
History = list[Entry]


def summarise(config: Config, cache: Path) -> dict[str, Any]:
    """Return the results on the epochs that are done, and what was not run."""
    wanted = {run: reached(run, cache) for run in runs(config)}
    found = {run: record for run, record in wanted.items() if record}
    begun = [len(record["history"]) for record in found.values() if len(record["history"]) < config.epochs]
    missing = []
    if len(found) < len(wanted):
        missing.append(f"{len(wanted) - len(found)} of the {len(wanted)} networks of this profile")
    if begun:
        missing.append(f"the last epochs of {len(begun)} networks, which have {', '.join(map(str, sorted(begun)))}")
    reasons = _reductions(config)
    if reasons:
        missing.append(f"Fig. 3 as published; run here: {', '.join(reasons)}")
    if not torch.cuda.is_available():
        missing.append("anything on a GPU: there is none on this machine")
    return {
        "architectures": {name: summarise_architecture(name, found) for name in config.architectures},
        "reduced": reasons,
        "not_run": missing,
    }


def summarise_architecture(name: str, found: Mapping[Run, dict[str, Any]]) -> dict[str, Any]:
    """Return accuracies by setting, and each setting compared with the static skip over the trials that have both.

    The comparisons are of the last epoch that a pair of trials has got to: on the test images after it, as in the
    paper, and on the training images while it lasts, which tells how far the training got, where both have kept it.
    """
    by_setting = {
        setting: {
            run.trial: record for run, record in found.items() if (run.architecture, run.strengths) == (name, strengths)
        }
        for setting, strengths in SETTINGS.items()
    }
    settings = {
        setting: {
            "strengths": list(SETTINGS[setting]),
            "trials": {str(trial): _accuracies(record["history"]) for trial, record in records.items()},
            "epochs": _by_epoch([record["history"] for record in records.values()]),
            **_removed(list(records.values())),
        }
        for setting, records in by_setting.items()
        if records
    }
    static = by_setting[STATIC]
    comparisons = {}
    for setting, records in by_setting.items():
        pairs = [(records[trial]["history"], static[trial]["history"]) for trial in sorted(set(records) & set(static))]
        if setting != STATIC and pairs:
            last, pairs = _at_one_epoch(pairs)
            comparisons[setting] = {
                "epoch": last,
                **{
                    images: compare([ours[key] for ours, _ in pairs], [theirs[key] for _, theirs in pairs])
                    for images, key in _MEASURES.items()
                    if all(key in entry for pair in pairs for entry in pair)
                },
            }
    return {"settings": settings, "against_static": comparisons}


def _at_one_epoch(pairs: Sequence[tuple[History, History]]) -> tuple[int, list[tuple[Entry, Entry]]]:
    """Return the last epoch that a pair has got to, and its entries of all pairs that have.

    Examples
    --------
    >>> one, other = [{"epoch": 1}, {"epoch": 2}], [{"epoch": 1}]
    >>> _at_one_epoch([(one, one), (one, other)])
    (2, [({'epoch': 2}, {'epoch': 2})])
    """
    last = max(min(len(ours), len(theirs)) for ours, theirs in pairs)
    return last, [(ours[last - 1], theirs[last - 1]) for ours, theirs in pairs if min(len(ours), len(theirs)) >= last]


def _accuracies(history: History) -> list[float]:
    return [entry["validation_accuracy"] for entry in history]


def _by_epoch(histories: Sequence[History]) -> list[dict[str, Any]]:
    """Return the interval of each epoch, over the trials that have got so far."""
    columns = zip_longest(*map(_accuracies, histories))
    return [interval([value for value in column if value is not None]) for column in columns]


def _removed(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return how far the accuracy without the skips in the program is from that at t = 0, the largest over trials."""
    changes = [
        abs(record["removed_accuracy"] - _accuracies(record["history"])[-1])
        for record in records
        if "removed_accuracy" in record
    ]
    return {"largest_change_by_removal": max(changes)} if changes else {}


def compare(scheduled: list[float], static: list[float]) -> dict[str, Any]:
    """Compare accuracies of the same trials.

    Returns
    -------
    dict
        difference: `interval` of scheduled less static; differences; p_below, the one-sided p of Student's paired test
        of "scheduled is not below static", and p_below_exact, of the permutation test over all signs of the
        differences. p are None for a single trial, or if all differences are 0. beyond_noise: the interval is below 0.

    Examples
    --------
    >>> found = compare([0.5, 0.5, 0.5], [0.75, 0.625, 0.75])
    >>> found["differences"], found["p_below_exact"], found["beyond_noise"]
    ([-0.25, -0.125, -0.25], 0.125, True)
    """
    differences = np.subtract(scheduled, static)
    found = interval(differences.tolist())
    p, exact = None, None
    if len(differences) > 1 and differences.any():
        error = float(stats.sem(differences))
        # Equal differences have no error, and are as far from 0 as can be.
        p = float(stats.t.cdf(found["mean"] / error, len(differences) - 1)) if error else float(found["mean"] > 0)
        signs = stats.permutation_test(
            (differences,), np.mean, permutation_type="samples", alternative="less", n_resamples=np.inf
        )
        exact = float(signs.pvalue)
    return {
        "difference": found,
        "differences": differences.tolist(),
        "p_below": p,
        "p_below_exact": exact,
        "beyond_noise": found["high"] is not None and found["high"] < 0,
    }


def _reductions(config: Config) -> list[str]:
    found = reductions(config.architectures[0], config.recipe)
    if config.trials < N_PUBLISHED_TRIALS:
        found.append(f"{config.trials} of {N_PUBLISHED_TRIALS} trials")
    if config.epochs < N_PUBLISHED_EPOCHS:
        found.append(f"{config.epochs} of {N_PUBLISHED_EPOCHS} epochs")
    return found


def published() -> dict[str, Any]:
    """Return the published accuracies after each epoch, by setting."""
    return {setting: published_curve(FIGURE, curve)[1] for setting, curve in PUBLISHED.items()}


def summary(record: dict[str, Any]) -> str:
    """Return the results as a short text."""
    lines = [f"profile: {record['config']['profile']}"]
    for name, own in record["architectures"].items():
        for setting, found in own["settings"].items():
            last, n = found["epochs"][-1], len(found["epochs"])
            lines.append(f"{name}, {setting}: {last['mean']:.4f} after epoch {n}, trials: {last['n']}")
        for setting, found in own["against_static"].items():
            lines += [
                f"{name}, {setting} less static, epoch {found['epoch']}, {images} images: {_difference(found[images])}"
                for images in _MEASURES
                if images in found
            ]
    lines += [f"not run: {what}" for what in record["not_run"]]
    return "\n".join(lines)


def _difference(found: dict[str, Any]) -> str:
    difference = found["difference"]
    between = "" if difference["low"] is None else f" ({difference['low']:+.4f} to {difference['high']:+.4f})"
    return f"{difference['mean']:+.4f}{between}{', below beyond the noise' if found['beyond_noise'] else ''}"

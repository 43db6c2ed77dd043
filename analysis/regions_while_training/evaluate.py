"""All functions and trials of an arm together, and pairs of arms compared at every milestone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.regions_while_training.config import ARMS, Config
from analysis.shared.statistics import interval

MEASURES = ("regions", "train_error", "test_error")
PAIRS = (("added", "none"), ("averaged", "none"), ("added", "averaged"))
_LEARNT = 0.99

Paths = Mapping[str, Mapping[str, Mapping[str, list[list[float]]]]]


def collected(paths: list[dict[str, list[float]]]) -> dict[str, list[list[float]]]:
    """Return, for each measure, its path in every trial."""
    return {measure: [path[measure] for path in paths] for measure in MEASURES}


def stacked(functions: Paths, arm: str, measure: str, function: str | None = None) -> NDArray[np.float64]:
    """Return a measure of an arm, shape (functions * trials, milestones); of one function, or of all in order."""
    names = functions if function is None else [function]
    return np.concatenate([functions[name][arm][measure] for name in names]).astype(np.float64)


def overall(functions: Paths) -> dict[str, Any]:
    """Return, for each arm and measure, the mean over functions and trials at every milestone, and its interval."""
    found: dict[str, Any] = {}
    for arm in ARMS:
        found[arm] = {}
        for measure in MEASURES:
            intervals = [interval(values.tolist()) for values in stacked(functions, arm, measure).T]
            found[arm][measure] = {name: [each[name] for each in intervals] for name in ("mean", "low", "high")}
    return found


def comparisons(functions: Paths, config: Config) -> list[dict[str, Any]]:
    """Compare the regions of each pair of arms, over all functions and for each; trials are paired by their weights.

    A milestone's p is that of Wilcoxon's signed ranks, two-sided, over all functions and trials.
    """
    rows = []
    for one, other in PAIRS:
        for function in (None, *functions):
            a, b = (stacked(functions, arm, "regions", function) for arm in (one, other))
            ratio = a.mean(axis=0) / b.mean(axis=0)
            p = [float(stats.wilcoxon(x, y).pvalue) if (x != y).any() else 1.0 for x, y in zip(a.T, b.T, strict=True)]
            lowest = int(np.argmin(ratio))
            rows.append(
                {
                    "arms": [one, other],
                    "function": function or "all",
                    "networks": len(a),
                    "ratio": ratio.tolist(),
                    "lowest_ratio": {"ratio": float(ratio[lowest]), "epoch": config.milestones[lowest]},
                    "milestones_with_more": int((ratio > 1).sum()),
                    "milestones": len(ratio),
                    "larger_at_end": int((a[:, -1] > b[:, -1]).sum()),
                    "p": p,
                    "milestones_with_p_below_5_percent": int((np.array(p) < 0.05).sum()),
                }
            )
    return rows


def growth(functions: Paths) -> dict[str, Any]:
    """Return, for each arm, mean and median regions at the start and the end, how many networks have fewer at the end.

    And for each function Spearman's correlation of regions and training error at the end, over the trials.
    """
    found = {}
    for arm in ARMS:
        regions = stacked(functions, arm, "regions")
        ends = {
            name: [stacked(functions, arm, measure, name)[:, -1] for measure in ("regions", "train_error")]
            for name in functions
        }
        found[arm] = {
            "start": float(regions[:, 0].mean()),
            "end": float(regions[:, -1].mean()),
            "medians": [float(np.median(regions[:, 0])), float(np.median(regions[:, -1]))],
            "fewer_at_end": int((regions[:, -1] < regions[:, 0]).sum()),
            "regions_against_error": {
                name: float(stats.spearmanr(*pair)[0]) if min(map(np.ptp, pair)) > 0 else None
                for name, pair in ends.items()
            },
        }
    return found


def learning(functions: Paths, variances: Mapping[str, float]) -> dict[str, Any]:
    """Return how many networks of each arm learn nothing, and the ratios of regions at the end without these.

    A network has learnt nothing if its training error is 99 % or more of the variance, the error of the best constant.
    """
    explained = {
        arm: np.concatenate(
            [stacked(functions, arm, "train_error", name)[:, -1] < _LEARNT * variances[name] for name in functions]
        )
        for arm in ARMS
    }
    pairs = []
    for one, other in PAIRS:
        both = explained[one] & explained[other]
        a, b = (stacked(functions, arm, "regions")[both, -1] for arm in (one, other))
        pairs.append(
            {
                "arms": [one, other],
                "networks": int(both.sum()),
                "ratio": float(a.mean() / b.mean()) if len(a) else None,
                "p": float(stats.wilcoxon(a, b).pvalue) if (a != b).any() else None,
            }
        )
    return {"learnt_nothing": {arm: int((~explained[arm]).sum()) for arm in ARMS}, "where_both_learnt": pairs}


def summary(record: dict[str, Any]) -> str:
    """Return the comparisons over all functions as text."""
    lines = []
    for row in record["comparisons"]:
        if row["function"] == "all":
            lines.append(
                f"regions, {row['arms'][0]} over {row['arms'][1]}: {row['ratio'][0]:.2f} times at the start,"
                f" {row['ratio'][-1]:.2f} at the end, at least {row['lowest_ratio']['ratio']:.2f} (epoch"
                f" {row['lowest_ratio']['epoch']:,}); p < 0.05 at {row['milestones_with_p_below_5_percent']} of"
                f" {row['milestones']} milestones"
            )
    return "\n".join(lines)

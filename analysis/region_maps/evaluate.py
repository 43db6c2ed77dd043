"""The measures of all trials together, beside those of the networks before training; a summary."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from analysis.region_maps.config import Config
from analysis.region_maps.measures import N_RINGS, measured, network
from analysis.region_maps.training import Training, first_network
from analysis.shared.functions import FUNCTIONS
from analysis.shared.statistics import interval

STAGES = ("untrained", "trained")
_SINGLE = ("regions", "symmetry", "repetition", "peaks", "places_per_later_pattern")
_BY_RING = ("per_area", "median_area", "uneven")
_LEARNT = 0.99


def evaluated(found: dict[Training, dict[str, Any]], config: Config) -> list[dict[str, Any]]:
    """Return, for each function and depth, the measures of every trial before and after training, and one network."""
    rows = []
    for function in FUNCTIONS:
        for depth in config.depths:
            own = {each: values for each, values in found.items() if (each.function, each.depth) == (function, depth)}
            measures = {
                "untrained": [measured(first_network(each).network(), config) for each in own],
                "trained": [measured(network(values["weights"], values["biases"]), config) for values in own.values()],
            }
            values = list(own.values())
            errors = [each["error"] for each in values]
            # Of those that learnt, the trial whose error is in the middle stands for all in the figure.
            n = max(sum(learnt(error, values[0]["variance"]) for error in errors), 1)
            shown = int(np.argsort(errors)[(n - 1) // 2])
            rows.append(
                {
                    "function": function,
                    "depth": depth,
                    "variance": values[0]["variance"],
                    "errors": errors,
                    **measures,
                    "shown": {"trial": shown, **{name: values[shown][name] for name in ("weights", "biases")}},
                }
            )
    return rows


def learnt(error: float, variance: float) -> bool:
    """Return whether a network explains 1 % of the variance or more: else it is as good as the best constant."""
    return error < _LEARNT * variance


def learners(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the measures of the trained networks that learnt something."""
    return [trial for trial, error in zip(row["trained"], row["errors"], strict=True) if learnt(error, row["variance"])]


def observations(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return, for each function and depth, means of the measures with their intervals, before and after training.

    Of the trained networks those count that learnt something.
    """
    found = []
    for row in rows:
        name = row["function"]
        shares = [error / row["variance"] for error in row["errors"]]
        entry: dict[str, Any] = {
            "function": name,
            "depth": row["depth"],
            "trials": len(shares),
            "learnt": len(learners(row)),
            "unexplained": {"median": float(np.median(shares)), "best": min(shares)},
            "with_nine_peaks": sum(trial["peaks"] == 9 for trial in row["trained"]),
        }
        others = [each for each in rows if each["depth"] == row["depth"] and each["function"] != name]
        for stage in STAGES:
            trials = learners(row) if stage == "trained" else row["untrained"]
            entry[stage] = {measure: mean([trial[measure] for trial in trials]) for measure in _SINGLE}
            entry[stage]["bending"] = mean([trial["bending"][name] for trial in trials])
            for measure in _BY_RING:
                entry[stage][measure] = [median([trial[measure][k] for trial in trials]) for k in range(N_RINGS)]
        # Do networks that learnt another function fit this one's bends as well?
        entry["bending_by_others"] = mean([trial["bending"][name] for other in others for trial in learners(other)])
        found.append(entry)
    return found


def depths_compared(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Compare the deepest networks with the shallowest: errors of all, bending of those that learnt; U tests."""
    found = []
    for name in FUNCTIONS:
        own = sorted((row for row in rows if row["function"] == name), key=lambda row: row["depth"])
        pair = own[0], own[-1]
        bending = [[trial["bending"][name] for trial in learners(row)] for row in pair]
        errors = [[error / row["variance"] for error in row["errors"]] for row in pair]
        found.append(
            {
                "function": name,
                "depths": [row["depth"] for row in pair],
                "unexplained": [float(np.median(values)) for values in errors],
                "p_unexplained": float(stats.mannwhitneyu(*errors).pvalue),
                "bending": [mean(values) for values in bending],
                "p_bending": float(stats.mannwhitneyu(*bending).pvalue) if all(bending) else None,
            }
        )
    return found


def mean(values: list[float]) -> dict[str, Any]:
    """Return the mean and its interval; of no values None."""
    return interval(values) if values else {"n": 0, "mean": None, "low": None, "high": None}


def median(values: list[float | None]) -> float | None:
    """Return the median of the values that are there."""
    there = [value for value in values if value is not None]
    return float(np.median(there)) if there else None


def summary(record: dict[str, Any]) -> str:
    """Return regions, errors, and how far density follows bending, as text."""
    lines = []
    for entry in record["observations"]:
        trained, untrained = entry["trained"], entry["untrained"]
        lines.append(
            f"{entry['function']}, {entry['depth']} layers: {entry['learnt']} of {entry['trials']} learn, median"
            f" unexplained {entry['unexplained']['median']:.2f}; regions {shown(trained['regions'], '.0f')} (untrained"
            f" {shown(untrained['regions'], '.0f')}); density against bending {shown(trained['bending'], '.2f')}"
            f" (untrained {shown(untrained['bending'], '.2f')}, trained on others"
            f" {shown(entry['bending_by_others'], '.2f')})"
        )
    return "\n".join(lines)


def shown(found: dict[str, Any], form: str) -> str:
    """Return a mean as text, a dash where there is none."""
    return "-" if found["mean"] is None else f"{found['mean']:{form}}"

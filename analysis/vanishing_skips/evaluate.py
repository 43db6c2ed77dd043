"""All trials of an arm together, and pairs of arms compared."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats


def summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Return all trials of an arm in arrays."""
    paths = [record["path"] for record in records]
    found = {
        "epoch": paths[0]["epoch"],
        "t": paths[0]["t"],
        **{name: [path[name] for path in paths] for name in ("regions", "train_error", "test_error")},
        "held": {"t": records[0]["held"]["t"], "regions": [record["held"]["regions"] for record in records]},
    }
    if "compiled" in records[0]:
        found["compiled"] = [record["compiled"] for record in records]
    return found


def comparisons(arms: dict[str, Any]) -> list[dict[str, Any]]:
    """Return, for each pair of arms, regions at the start and the end and errors at the end, with a paired test."""
    rows = []
    for one, other in (("vanishing", "none"), ("static", "none"), ("vanishing", "static")):
        for measure, when in (("regions", "start"), ("regions", "end"), ("test_error", "end")):
            at = {"start": 0, "end": -1}[when]
            a, b = (np.array([trial[at] for trial in arms[arm][measure]], dtype=np.float64) for arm in (one, other))
            rows.append(
                {
                    "measure": measure,
                    "when": when,
                    "arms": [one, other],
                    "means": [float(a.mean()), float(b.mean())],
                    "medians": [float(np.median(a)), float(np.median(b))],
                    "larger_in": int((a > b).sum()),
                    "trials": len(a),
                    # Wilcoxon's signed ranks, two-sided; equal networks differ in nothing.
                    "p": float(stats.wilcoxon(a, b).pvalue) if (a != b).any() else 1.0,
                }
            )
    return rows


def table(record: dict[str, Any]) -> str:
    """Return the comparisons as text."""
    lines = []
    for row in record["comparisons"]:
        one, other = row["arms"]
        lines.append(
            f"{row['measure']} at the {row['when']}: {one} {row['means'][0]:.4g}, {other} {row['means'][1]:.4g},"
            f" larger with {one} in {row['larger_in']} of {row['trials']} trials, p = {row['p']:.2g}"
        )
    return "\n".join(lines)

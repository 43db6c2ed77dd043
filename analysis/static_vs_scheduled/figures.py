"""The figure of `analysis.static_vs_scheduled`, drawn from its results file only."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.shared.accuracy_axis import logistic

_COLOURS = ("#000000", "#0072b2", "#d55e00", "#e69f00", "#888888")


def draw(results: Path) -> dict[str, Figure]:
    """Return one figure for each architecture of a results file, by name."""
    record = json.loads(results.read_text())
    figures = {}
    for name, found in record["architectures"].items():
        published = record["published"] if name == "resnet34" else {}
        figure = Figure(figsize=(10.5, 4.8), layout="constrained", dpi=150)
        figures[results.stem if name == "resnet34" else f"{results.stem}_{name}"] = figure
        left, right = figure.subplots(1, 2, width_ratios=(1.6, 1))
        draw_curves(left, found["settings"], published)
        draw_differences(right, found["against_static"], list(found["settings"]))
        reasons = "; ".join(record["reduced"])
        profile = record["config"]["profile"]
        title = f"{name}, {profile} profile" + (f": {reasons}" if reasons else "")
        figure.suptitle(textwrap.fill(title, 120), size=9)
    return figures


def draw_curves(axes: Axes, settings: dict[str, Any], published: dict[str, list[float]]) -> None:
    """Draw mean accuracies after each epoch with their intervals, and the published ones."""
    handles = []
    for (setting, found), colour in zip(settings.items(), _COLOURS, strict=False):
        epochs = range(1, len(found["epochs"]) + 1)
        means = [row["mean"] for row in found["epochs"]]
        handles += axes.plot(epochs, means, "o-", ms=3.5, color=colour, label=f"{setting} ({found['epochs'][0]['n']})")
        for trial in found["trials"].values() if found["epochs"][0]["n"] > 1 else ():
            axes.plot(epochs, trial, "-", lw=0.5, color=colour, alpha=0.4)
        if setting in published:
            axes.plot(range(1, len(published[setting]) + 1), published[setting], "x--", ms=5, lw=0.7, color=colour)
    if published:
        handles.append(Line2D([], [], color="black", ls="--", lw=0.7, marker="x", label="published, same colours"))
    axes.set(xlabel="epoch")
    several = any(found["epochs"][0]["n"] > 1 for found in settings.values())
    axes.set_title("Means over trials (their number); thin: each trial" if several else "One trial of each", size=10)
    logistic(axes)
    axes.legend(handles=handles, fontsize=8, loc="lower right")
    axes.grid(alpha=0.3)


def draw_differences(axes: Axes, comparisons: dict[str, Any], settings: list[str]) -> None:
    """Draw the differences from the static skip after the last epoch, trial by trial, with mean and interval."""
    for y, (setting, row) in enumerate(comparisons.items()):
        found = row["test"]
        colour = _COLOURS[settings.index(setting)]
        difference = found["difference"]
        axes.plot(difference["mean"], y, "o", color=colour)
        if difference["low"] is not None:
            axes.plot(found["differences"], [y + 0.18] * len(found["differences"]), ".", ms=5, color=colour, alpha=0.6)
            axes.hlines(y, difference["low"], difference["high"], color=colour)
    axes.axvline(0, color="black", lw=0.8)
    labels = [f"{setting}\nepoch {row['epoch']}" for setting, row in comparisons.items()]
    axes.set_yticks(range(len(comparisons)), labels, size=8)
    axes.set_ylim(len(comparisons) - 0.5, -0.5)
    axes.set_xlabel("accuracy less that of the static skip, same trial")
    several = any(row["test"]["difference"]["low"] is not None for row in comparisons.values())
    axes.set_title("After the last epoch: paired" + (", 95 % intervals" if several else ""), size=10)
    axes.grid(alpha=0.3, axis="x")

"""The figure of `analysis.skip_strength_sweep`, drawn from its results file only."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.shared.accuracy_axis import logistic

_TITLES = {
    "resnet34": "ResNet34",
    "resnet18": "ResNet18",
    "cnn3": "3-layer CNN",
    "cnn3_linear": "3-layer CNN without ReLU",
}
_COLOURS = {"first": "#56b4e9", "last": "#0072b2"}
_FEWEST_JOINED = 5  # strengths: a line through fewer would say what nobody has measured
_MARKERS = {
    "t_vs_accuracy_shallow_relu": ("x", "“shallow, ReLU”"),
    "t_vs_accuracy_shallow": ("+", "“shallow”"),
    "t_vs_accuracy_shallow_linear": ("x", "“shallow, linear”"),
}


def draw(results: Path) -> dict[str, Figure]:
    """Return the figure of a results file, by its name."""
    record = json.loads(results.read_text())
    found = record["architectures"]
    n_rows, n_columns = -(-len(found) // 2), min(len(found), 2)
    figure = Figure(figsize=(5.5 * n_columns, 4.2 * n_rows), layout="constrained", dpi=150)
    for index, name in enumerate(found, start=1):
        axes = figure.add_subplot(n_rows, n_columns, index)
        draw_architecture(axes, name, found[name], record["published"][name])
    profile = record["config"]["profile"]
    figure.suptitle(
        f"Accuracy on MNIST against the strength t of the skips{'' if profile == 'full' else f' — {profile} profile'}"
    )
    return {results.stem: figure}


def draw_architecture(axes: Axes, name: str, found: dict[str, Any], published: dict[str, Any]) -> None:
    """Draw the mean over trials after each epoch, every trial as a dot, and the published points."""
    for figure, curves in published.items():
        marker, label = _MARKERS.get(figure, ("x", ""))
        for epoch, colour in (("first", "#bbbbbb"), ("last", "#666666")):
            text = f"published {label}".strip() + f", {epoch} epoch"
            axes.plot(*curves[epoch], marker, ms=4, mew=0.9, color=colour, label=text)
    for epoch, colour in _COLOURS.items():
        rows = found["rows"]
        strengths = [row["t"] for row in rows]
        line = "-" if len(rows) >= _FEWEST_JOINED else "o"
        means = [row[epoch]["mean"] for row in rows]
        axes.plot(strengths, means, line, ms=3.5, color=colour, label=f"ours, {epoch} epoch")
        for row in rows:
            trials = row[epoch]["trials"]
            axes.plot([row["t"]] * len(trials), trials, "o", ms=3.5, color=colour)
    reduced = "; ".join(found["reduced"])
    axes.set_title(
        _TITLES[name] + (textwrap.fill(f"\nours: {reduced}", 84, replace_whitespace=False) if reduced else ""), size=8
    )
    axes.set(xlabel="t", xlim=(-0.03, 1.03))
    logistic(axes)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=6.5, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3)

"""The figure of `analysis.linear_collapse`, drawn from its results file only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.linear_collapse.config import NAME

_COLOURS = {
    "perceptron": "#000000",
    "cnn": "#009e73",
    "affine": "#0072b2",
    "max-pool": "#d55e00",
    "batch statistics": "#56b4e9",
    "max-pool and batch statistics": "#e69f00",
}
_LABELS = {
    "perceptron": "perceptron",
    "cnn": "3-layer linear CNN",
    "affine": "ResNet34, affine",
    "max-pool": "ResNet34, max-pool left in",
    "batch statistics": "ResNet34, batch norm in training mode",
    "max-pool and batch statistics": "ResNet34, both",
}
_PUBLISHED = {"perceptron": "#000000", "cnn": "#009e73", "resnet34": "#888888"}


def draw(results: Path) -> dict[str, Figure]:
    """Return the figure of a results file, by its name."""
    record = json.loads(results.read_text())
    figure = Figure(figsize=(10.5, 4.6), layout="constrained", dpi=150)
    left, right = figure.subplots(1, 2, width_ratios=(1.7, 1))
    draw_accuracies(left, record)
    draw_ratios(right, record)
    return {NAME: figure}


def draw_accuracies(axes: Axes, record: dict[str, Any]) -> None:
    """Draw the accuracy after each epoch of every network as it was evaluated, beside the published points."""
    curves = {
        name: [entry["accuracy"]["eval"] for entry in record["networks"][name]["history"]]
        for name in ("perceptron", "cnn")
        if name in record["networks"]
    }
    handles = []
    for name, values in {**curves, **record["readings"]}.items():
        epochs = range(1, len(values) + 1)
        handles += axes.plot(epochs, values, "o-", ms=4, color=_COLOURS[name], label=_LABELS[name])
    limit = record["affine_limit"]["best_accuracy"]
    handles.append(axes.axhline(limit, color="#0072b2", ls=":", label="best affine classifier (L-BFGS)"))
    published = record["published"]["accuracy"]
    for name, values in published.items():
        axes.plot(range(1, len(values) + 1), values, "x--", ms=6, lw=0.8, color=_PUBLISHED[name])
    last = len(published["resnet34"])
    axes.text(
        last, published["resnet34"][-1] - 0.006, "ResNet34 without ReLU,\npublished", ha="right", va="top", size=8
    )
    handles.append(Line2D([], [], color="#888888", ls="--", lw=0.8, marker="x", label="published"))
    axes.set(xlabel="epoch", ylabel="accuracy on the 10,000 test images", xticks=range(1, last + 1))
    axes.set_title("Which network reaches the published accuracy?")
    # Between the two groups of curves, whose places the published ones fix.
    axes.set_ylim(min(0.86, axes.get_ylim()[0]), 0.995)
    axes.legend(handles=handles, fontsize=7.5, ncols=2, loc="center", bbox_to_anchor=(0.54, 0.64))
    axes.grid(alpha=0.3)


def draw_ratios(axes: Axes, record: dict[str, Any]) -> None:
    """Draw how many times faster the collapsed network predicts, here and as published."""
    published = record["published"]["microseconds_per_image"]
    bars = {
        f"{_SHORT[name]},\nours ({device})": (row["ratio"], "#0072b2")
        for device, rows in record["times"].items()
        for name, row in rows.items()
    }
    for name in ("cnn", "resnet34"):
        bars[f"{_SHORT[name]},\npublished (GPU)"] = (published[name] / published["collapsed"], "#888888")
    ratios = [ratio for ratio, _ in bars.values()]
    drawn = axes.barh(range(len(bars)), ratios, color=[colour for _, colour in bars.values()])
    axes.bar_label(drawn, [f"{float(f'{ratio:.3g}'):,g}" for ratio in ratios], padding=3)
    axes.set_yticks(range(len(bars)), list(bars))
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(0.5, 10 * max(ratios))
    axes.axvline(1, color="black", lw=0.8)
    axes.set(xlabel="prediction time before / after, batch 64")
    axes.set_title("What does the collapse save?")


_SHORT = {"perceptron": "perceptron", "cnn": "3-layer CNN", "resnet34_average": "ResNet34", "resnet34": "ResNet34"}

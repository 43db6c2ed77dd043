"""The figure of `analysis.vanishing_skips`, drawn from its results file only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.vanishing_skips.config import NAME

_ARMS = {
    "vanishing": ("#0072b2", "vanishing skips"),
    "static": ("#009e73", "static skips"),
    "none": ("#d55e00", "no skips"),
}


def draw(results: Path) -> dict[str, Figure]:
    """Return the figure of a results file, by its name."""
    record = json.loads(results.read_text())
    figure = Figure(figsize=(10.5, 3.4), layout="constrained", dpi=160)
    left, middle, right = figure.subplots(1, 3)
    draw_regions(left, record)
    draw_errors(middle, record)
    draw_held(right, record)
    trials = record["config"]["trials"]
    figure.suptitle(f"Median and middle half of {trials} trials", size=10)
    return {NAME: figure}


def draw_regions(axes: Axes, record: dict[str, Any]) -> None:
    """Draw regions against epochs, and where the skips are gone."""
    for arm, values in record["arms"].items():
        _band(axes, values["epoch"], values["regions"], arm)
    gone = record["arms"]["vanishing"]
    end = next(epoch for epoch, t in zip(gone["epoch"], gone["t"], strict=True) if t == 0)
    axes.axvline(end, color="#888888", linewidth=0.8, linestyle=":")
    axes.annotate("t = 0", (end, axes.get_ylim()[1]), (3, -10), textcoords="offset points", color="#555555", fontsize=8)
    axes.set(xlabel="epoch", ylabel="activation regions", title="While training")
    axes.legend(frameon=False, fontsize=8)


def draw_errors(axes: Axes, record: dict[str, Any]) -> None:
    """Draw test errors against epochs."""
    for arm, values in record["arms"].items():
        _band(axes, values["epoch"], values["test_error"], arm)
    axes.set(xlabel="epoch", ylabel="mean squared error, test", title="Error", yscale="log")


def draw_held(axes: Axes, record: dict[str, Any]) -> None:
    """Draw regions of the trained networks against t."""
    for arm, values in record["arms"].items():
        _band(axes, values["held"]["t"], values["held"]["regions"], arm)
    axes.invert_xaxis()
    axes.set(xlabel="skip strength t", ylabel="activation regions", title="After training, weights held")


def _band(axes: Axes, x: list[float], trials: list[list[float]], arm: str) -> None:
    """Draw the median of the trials over the range of their middle half."""
    colour, label = _ARMS[arm]
    low, middle, high = np.quantile(np.array(trials, dtype=np.float64), [0.25, 0.5, 0.75], axis=0)
    axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(x, middle, color=colour, label=label, linewidth=1.4)

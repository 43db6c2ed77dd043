"""The figure of `analysis.regions_while_training`, drawn from its results file only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.regions_while_training.config import NAME

_ARMS = {
    "added": ("#0072b2", "-", "skips"),
    "averaged": ("#009e73", "--", "averaged skips"),
    "none": ("#d55e00", "-", "no skips"),
}


def draw(results: Path) -> dict[str, Figure]:
    """Return the figure of a results file, by its name: regions above, errors below; all functions first, then each."""
    record = json.loads(results.read_text())
    names = list(record["functions"])
    figure = Figure(figsize=(3.0 * (len(names) + 1), 5.2), layout="constrained", dpi=140)
    axes = figure.subplots(2, len(names) + 1, sharex=True)
    for arm in _ARMS:
        means = record["overall"][arm]
        for row, measure in enumerate(("regions", "test_error")):
            part = means[measure]
            # Errors of four functions together, on a logarithmic scale, have no interval worth a band.
            low, high = (part["low"], part["high"]) if measure == "regions" else (part["mean"], part["mean"])
            _band(axes[row, 0], record["epoch"], arm, low, part["mean"], high)
            for column, name in enumerate(names, start=1):
                trials = np.array(record["functions"][name][arm][measure], dtype=np.float64)
                low, high = np.quantile(trials, [0.25, 0.75], axis=0)
                _band(axes[row, column], record["epoch"], arm, low, trials.mean(axis=0), high)
    n = record["config"]["trials"]
    for axis, title in zip(axes[0], [f"all, mean of {n * len(names)}, 95 %", *map(_name, names)], strict=True):
        axis.set_title(title, fontsize=9)
        axis.set_xscale("symlog", linthresh=1)
        axis.set_ylim(bottom=0)
    for axis in axes[1]:
        axis.set(xlabel="epoch", yscale="log")
    axes[0, 0].set_ylabel("activation regions")
    axes[1, 0].set_ylabel("mean squared error, test")
    axes[0, 0].legend(frameon=False, fontsize=8, loc="upper left")
    return {NAME: figure}


def _name(function: str) -> str:
    return rf"$\phi_{function[-1]}$, mean and middle half"


def _band(axes: Axes, x: list[float], arm: str, low: Any, middle: Any, high: Any) -> None:
    """Draw a line over the range between two others; a single network has none."""
    colour, style, label = _ARMS[arm]
    if None not in list(low):
        axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(x, middle, color=colour, label=label, linewidth=1.4, linestyle=style)

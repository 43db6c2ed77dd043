"""The figures of `analysis.skip_vs_regions`, drawn from its results file only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from analysis.skip_vs_regions.config import NAME

_COLOURS = {"with": "#0072b2", "without": "#d55e00", "averaged": "#009e73", "scaled": "#cc79a7"}
_ARMS = {
    "none": (_COLOURS["without"], "no skip"),
    "added": (_COLOURS["with"], "skip added"),
    "averaged": (_COLOURS["averaged"], "skip averaged"),
    "scaled": (_COLOURS["scaled"], "no skip, weights scaled"),
}
_INIT_LABELS = {
    "torch": "PyTorch default",
    "kaiming_uniform": "He uniform",
    "kaiming_normal": "He normal",
    "glorot_uniform": "Glorot uniform",
    "zero_bias": "PyTorch default,\nzero bias",
}


def draw(results: Path) -> dict[str, Figure]:
    """Return the figures of a results file by name."""
    record = json.loads(results.read_text())
    return {
        f"{NAME}_{part}": function(record)
        for part, function in {
            "reproduction": draw_reproduction,
            "distributions": draw_distributions,
            "sensitivity": draw_sensitivity,
            "control": draw_control,
            "mechanism": draw_mechanism,
        }.items()
    }


def draw_reproduction(record: dict[str, Any]) -> Figure:
    """Draw published means against ours: an interval for the mean of a sample of the published size, and the print."""
    rows = record["reproduction"]["rows"]
    figure = Figure(figsize=(7.2, 0.5 * len(rows) + 1.5), layout="constrained", dpi=160)
    axes = figure.add_subplot()
    for y, row in enumerate(rows):
        ours = row["comparison"]
        for arm, offset in (("with", -0.14), ("without", 0.14)):
            spread = ours[f"standard_error_{arm}"] * np.sqrt(ours["n"] / record["config"]["published_networks"])
            mean = ours[f"mean_{arm}"]
            label = {"with": "with skips", "without": "without skips"}[arm]
            axes.errorbar(
                mean,
                y + offset,
                xerr=1.96 * spread,
                fmt="o",
                ms=4,
                capsize=3,
                color=_COLOURS[arm],
                label=f"ours, {label} (mean; 95 % range of a mean of {record['config']['published_networks']})"
                if not y
                else None,
            )
            axes.plot(
                row["published"][f"mean_{arm}"],
                y + offset,
                marker="|",
                ms=13,
                mew=2,
                color="black",
                ls="",
                label="published" if not y and arm == "with" else None,
            )
    axes.set_yticks(range(len(rows)), [_row_label(row["published"], row["skips"]) for row in rows])
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("mean number of activation regions")
    axes.legend(loc="lower right", fontsize=7.5)
    return figure


def draw_distributions(record: dict[str, Any]) -> Figure:
    """Draw the distribution of the counts in each row, with the shifted Gamma fitted to all of our networks."""
    rows = [row for row in record["reproduction"]["rows"] if row["first_reading"]]
    figure = Figure(figsize=(7.2, 4.6), layout="constrained", dpi=160)
    for axes, row in zip(figure.subplots(2, 3).ravel(), rows, strict=True):
        top = np.quantile(row["counts_with"], 0.995)
        # Whole numbers in every bin: others would give the histogram teeth.
        bins = np.arange(-0.5, top + 1, max(1, round(top / 36)))
        for arm in ("without", "with"):
            counts = np.array(row[f"counts_{arm}"])
            axes.hist(counts, bins=bins, density=True, alpha=0.35, color=_COLOURS[arm])
            x = np.linspace(0, top, 300)
            axes.plot(x, stats.gamma.pdf(x, *stats.gamma.fit(counts)), color=_COLOURS[arm], label=f"{arm} skips")
        axes.set_title(_row_label(row["published"], row["skips"]), fontsize=9)
        axes.set_yticks([])
    figure.axes[0].legend(fontsize=7.5)
    figure.supxlabel("activation regions", fontsize=10)
    figure.supylabel("density (curve: shifted Gamma)", fontsize=10)
    return figure


def draw_sensitivity(record: dict[str, Any]) -> Figure:
    """Draw the ratio of mean counts with and without skips over initialisations, domains and input dimensions."""
    cells = record["sensitivity"]
    shapes = sorted({(c["layers"], c["neurons"]) for c in cells}, reverse=True)
    inputs = sorted({c["n_inputs"] for c in cells})
    inits = list(dict.fromkeys(c["init"] for c in cells))
    widths = list(dict.fromkeys(c["half_width"] for c in cells))
    figure = Figure(figsize=(3.6 * len(inputs), 2.9 * len(shapes)), layout="constrained", dpi=160)
    grid = figure.subplots(len(shapes), len(inputs), squeeze=False, sharex=True, sharey=True)
    shades = ["#a6cee3", "#1f78b4", "#08306b", "black"]
    for i, shape in enumerate(shapes):
        for j, n_inputs in enumerate(inputs):
            axes = grid[i, j]
            axes.axvline(1, color="grey", lw=0.8)
            for k, half_width in enumerate(widths):
                chosen = {
                    c["init"]: c
                    for c in cells
                    if (c["layers"], c["neurons"], c["n_inputs"], c["half_width"]) == (*shape, n_inputs, half_width)
                }
                y = np.arange(len(inits)) + (k - (len(widths) - 1) / 2) * 0.17
                ratio = np.array([chosen[init]["ratio"] for init in inits])
                interval = np.array([chosen[init]["interval"] for init in inits]).T
                label = "whole space" if half_width is None else f"half-width {half_width:g}"
                axes.errorbar(
                    ratio, y, xerr=np.abs(interval - ratio), fmt="o", ms=3.5, capsize=2, color=shades[k], label=label
                )
            axes.set_yticks(range(len(inits)), [_INIT_LABELS[init] for init in inits], fontsize=8)
            axes.set_title(f"{shape[0]} layers of {shape[1]}, {n_inputs} inputs", fontsize=9)
    grid[0, 0].invert_yaxis()
    grid[0, -1].legend(fontsize=7.5)
    figure.supxlabel("mean count with skips / mean count without (95 % interval)", fontsize=10)
    return figure


def draw_control(record: dict[str, Any]) -> Figure:
    """Draw the mean count of each arm of the control relative to no skip, on the same weights."""
    rows = record["control"]
    figure = Figure(figsize=(7.2, 0.62 * len(rows) + 1.2), layout="constrained", dpi=160)
    axes = figure.add_subplot()
    axes.axvline(1, color=_ARMS["none"][0], lw=1.2, label=_ARMS["none"][1])
    modes = [mode for mode in _ARMS if mode != "none"]
    for k, mode in enumerate(modes):
        ratio = np.array([row["arms"][mode]["ratio"] for row in rows])
        interval = np.array([row["arms"][mode]["interval"] for row in rows]).T
        y = np.arange(len(rows)) + (k - 1) * 0.2
        colour, label = _ARMS[mode]
        axes.errorbar(ratio, y, xerr=np.abs(interval - ratio), fmt="o", ms=4, capsize=3, color=colour, label=label)
    axes.set_yticks(range(len(rows)), [_row_label(row, row["skips"]) for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel("mean count relative to no skip, same weights (95 % interval)")
    axes.legend(fontsize=8)
    return figure


def draw_mechanism(record: dict[str, Any]) -> Figure:
    """Draw the fraction of existing cells that a neuron's hyperplane cuts, by layer."""
    rows = record["mechanism"]
    figure = Figure(figsize=(7.2, 4.6), layout="constrained", dpi=160)
    for axes, row in zip(figure.subplots(2, 3, sharey=True).ravel(), rows, strict=True):
        layers = np.arange(1, row["layers"] + 1)
        for mode, (colour, label) in _ARMS.items():
            axes.plot(layers, row["cut_fraction"][mode], "o-", ms=3.5, color=colour, label=label)
        _mark_targets(axes, row)
        axes.set_title(_row_label(row, row["skips"]), fontsize=9)
        axes.set_xticks(layers)
        axes.set_yscale("log")
    figure.axes[-2].legend(fontsize=7, loc="lower left")
    figure.supxlabel("layer (grey: a skip enters)", fontsize=10)
    figure.supylabel("fraction of existing cells cut per neuron (log)", fontsize=10)
    return figure


def _mark_targets(axes: Axes, row: dict[str, Any]) -> None:
    for _, target in row["skips"]:
        if target <= row["layers"]:
            axes.axvspan(target - 0.25, target + 0.25, color="lightgrey", zorder=0)


def _row_label(row: dict[str, Any], skips: list[list[int]]) -> str:
    pairs = ", ".join(f"{k}-{target}" for k, target in skips)
    return f"{row['layers']} x {row['neurons']}, {pairs}"

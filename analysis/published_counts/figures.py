"""The figure of `analysis.published_counts`, drawn from its results file only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.published_counts.config import NAME

_COLOURS = ("#56b4e9", "#0072b2", "#1b2a49", "#e69f00", "#d55e00")


def draw(results: Path) -> dict[str, Figure]:
    """Return the figure of a results file, by its name: neurons, training, facets."""
    record = json.loads(results.read_text())
    figure = Figure(figsize=(10.5, 3.4), layout="constrained", dpi=140)
    left, middle, right = figure.subplots(1, 3)
    _neurons(left, record["growth"]["at_start"])
    _training(middle, record["growth"])
    _facets(right, record["facets"])
    return {NAME: figure}


def _style(shape: str) -> str:
    return "--" if "skips" in shape else "-"


def _neurons(axes: Axes, rows: list[dict[str, Any]]) -> None:
    shapes = list(dict.fromkeys(row["shape"] for row in rows))
    for shape, colour in zip(shapes, _COLOURS, strict=True):
        own = [row for row in rows if row["shape"] == shape]
        x, y = [row["neurons"] for row in own], [row["of_three_images"]["mean"] for row in own]
        axes.plot(x, y, _style(shape), marker="o", markersize=3, color=colour, label=shape, linewidth=1.2)
    x = sorted({row["neurons"] for row in rows})
    axes.plot(x, np.square(x) / 2, ":", color="black", linewidth=1, label=r"$N^2/2$")
    axes.set(xscale="log", yscale="log", xlabel="neurons N", ylabel="activation regions")
    axes.set_xticks(x, [str(n) for n in x], minor=False)
    axes.minorticks_off()
    axes.set_title("planes of three images, at the start", fontsize=9)
    axes.legend(frameon=False, fontsize=7)


def _training(axes: Axes, growth: dict[str, Any]) -> None:
    largest = max(row["neurons"] for row in growth["trained"])
    rows = [row for row in growth["trained"] if row["neurons"] == largest]
    for row, colour in zip(rows, _COLOURS, strict=True):
        parts = row["of_three_images"]
        unit = largest**2 / 2
        low, mean, high = ([part[name] for part in parts] for name in ("low", "mean", "high"))
        if None not in low:
            axes.fill_between(
                growth["epochs"], np.divide(low, unit), np.divide(high, unit), color=colour, alpha=0.12, linewidth=0
            )
        axes.plot(growth["epochs"], np.divide(mean, unit), _style(row["shape"]), color=colour, linewidth=1.2)
    axes.set(xlabel="epoch", ylabel=r"regions over $N^2/2$")
    axes.set_xscale("symlog", linthresh=0.1)
    axes.set_xticks(growth["epochs"], [f"{epoch:g}" for epoch in growth["epochs"]])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_title(f"the same while training, N = {largest}, 95 %", fontsize=9)


def _facets(axes: Axes, rows: list[dict[str, Any]]) -> None:
    dimensions = list(dict.fromkeys(row["dimension"] for row in rows))
    for dimension, colour in zip(dimensions, _COLOURS, strict=False):
        own = max((row for row in rows if row["dimension"] == dimension), key=lambda row: max(row["after"]["regions"]))
        counts = np.array(own["after"]["distribution"]) / sum(own["after"]["distribution"])
        axes.plot(np.arange(len(counts)), counts, color=colour, linewidth=1.2, label=f"{dimension} inputs")
        axes.axvline(2 * dimension, color=colour, linewidth=0.8, linestyle=":")
    axes.set(xlabel="facets of a region (dotted: 2 d)", ylabel="share of the regions", xlim=(0, 20))
    axes.set_title("largest trained networks on blobs", fontsize=9)
    axes.legend(frameon=False, fontsize=7)

"""The figure of `analysis.region_maps`, drawn from its results file only."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import tropnet as tn
from analysis.region_maps.config import NAME
from analysis.region_maps.measures import network
from analysis.shared.functions import FUNCTIONS, grid


def draw(results: Path) -> dict[str, Figure]:
    """Return the figure of a results file, by its name: a row for each function, then a map for each depth."""
    record = json.loads(results.read_text())
    depths, half = record["config"]["depths"], record["config"]["half_width"]
    figure = Figure(figsize=(3.3 * (1 + len(depths)) + 0.9, 3.3 * len(FUNCTIONS)), layout="constrained", dpi=100)
    axes = figure.subplots(len(FUNCTIONS), 1 + len(depths), sharex=True, sharey=True)
    by_name = {(row["function"], row["depth"]): row for row in record["networks"]}
    for row, name in zip(axes, FUNCTIONS, strict=True):
        draw_function(row[0], name, half)
        for axis, depth in zip(row[1:], depths, strict=True):
            shown = by_name[name, depth]["shown"]
            regions = tn.enumerate_regions(network(shown["weights"], shown["biases"]), tn.Box(-half, half), facets=True)
            tn.plot_regions(regions, axis, color="pattern")
            error = by_name[name, depth]["errors"][shown["trial"]] / by_name[name, depth]["variance"]
            axis.set_title(f"{depth} layers: {len(regions)} regions, {error:.0%} unexplained", fontsize=9)
            axis.set_ylabel("")
    for axis in axes[:-1].flat:
        axis.set_xlabel("")
    return {NAME: figure}


def draw_function(axes: Axes, name: str, half_width: float) -> None:
    """Draw a function as a map of its values."""
    points = grid(half_width, 10)
    side = round(len(points) ** 0.5)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = FUNCTIONS[name](points).reshape(side, side)
    image = axes.imshow(values.T, origin="lower", extent=(-half_width, half_width) * 2, cmap="viridis")
    axes.figure.colorbar(image, cax=axes.inset_axes((1.03, 0.0, 0.05, 1.0)))
    axes.set_title(rf"$\phi_{name[-1]}$", fontsize=9)
    axes.set(xlabel="$x_1$", ylabel="$x_2$")

"""The figure of `analysis.out_of_distribution`, drawn from its results file only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from analysis.out_of_distribution.config import NAME

_SCORES = {
    "flips": ("#0072b2", "flips to the nearest region with data", "o"),
    "hamming": ("#e69f00", "Hamming distance to the nearest pattern of data", "x"),
    "softmax": ("#d55e00", "1 - max softmax", "s"),
}
_SIDES = {"inside": ("#009e73", "in distribution"), "outside": ("#cc79a7", "out of distribution")}
_NAMES = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST", "moons": "two moons", "uniform": "uniform"}


def draw(results: Path) -> dict[str, Figure]:
    """Return the figure of a results file, by its name."""
    record = json.loads(results.read_text())
    rows = record["rows"]
    figure = Figure(figsize=(13, 5.2), layout="constrained", dpi=130)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.5, 1, 1.15))
    draw_auroc(left, rows)
    searched = [row for row in rows if row["inside"] == "mnist" and not row["enumerated"]]
    draw_flips(middle, searched[-1])
    draw_moons(right, record["moons"])
    return {NAME: figure}


def draw_auroc(axes: Axes, rows: list[dict[str, Any]]) -> None:
    """Draw the AUROC of every kind of network and score: mean and 95 % interval over networks."""
    for k, (name, (colour, label, marker)) in enumerate(_SCORES.items()):
        found = [row["auroc"][name] for row in rows]
        means = np.array([own["mean"] for own in found])
        low, high = (
            np.array([own["mean"] if own[side] is None else own[side] for own in found]) for side in ("low", "high")
        )
        y = np.arange(len(rows)) + (k - 1) * 0.22
        axes.errorbar(
            means, y, xerr=[means - low, high - means], fmt=marker, ms=4.5, capsize=2.5, color=colour, label=label
        )
    labels = [f"{_NAMES[row['inside']]}: {row['shape']}" for row in rows]
    axes.set_yticks(range(len(rows)), labels, fontsize=8)
    axes.invert_yaxis()
    axes.axvline(0.5, color="black", lw=0.8)
    axes.set_xlim(0, 1)
    axes.set_xlabel("AUROC (1/2: tells nothing), mean and 95 % interval")
    axes.set_title("Which score tells what is out of distribution?", fontsize=10)
    axes.grid(alpha=0.3, axis="x")
    axes.legend(fontsize=7.5, loc="lower center", bbox_to_anchor=(0.4, 1.05))


def draw_flips(axes: Axes, row: dict[str, Any]) -> None:
    """Draw how many flips away points of both kinds are."""
    for k, (side, (colour, label)) in enumerate(_SIDES.items()):
        shares = row["flips"][side]
        name = _NAMES[row[side]]
        axes.bar(np.arange(len(shares)) + (k - 0.5) * 0.4, shares, 0.4, color=colour, label=f"{name} ({label})")
    axes.set_xlabel("flips to a region with a training image")
    axes.set_ylabel("share of test images")
    axes.set_title(f"Network {row['shape']}, trained on {_NAMES[row['inside']]}", fontsize=10)
    axes.set_ylim(0, 1.15 * max(max(row["flips"][side]) for side in _SIDES))
    axes.legend(fontsize=8, loc="upper right")


def draw_moons(axes: Axes, record: dict[str, Any]) -> None:
    """Draw the regions of one network on the moons, coloured by their flips, and its training data."""
    flips = np.array(record["flips"])
    cells = PolyCollection(record["polygons"], array=flips, cmap="Blues", edgecolors="white", linewidths=0.3)
    axes.add_collection(cells)
    data = np.array(record["data"])
    axes.plot(*data.T, ".", ms=2, color="#d55e00")
    corners = np.concatenate([np.array(polygon) for polygon in record["polygons"]])
    axes.set_xlim(corners[:, 0].min(), corners[:, 0].max())
    axes.set_ylim(corners[:, 1].min(), corners[:, 1].max())
    axes.set_aspect("equal")
    axes.set_title("All regions of a network on two moons", fontsize=10)
    axes.figure.colorbar(cells, ax=axes, shrink=0.75, label="flips to a region with data")

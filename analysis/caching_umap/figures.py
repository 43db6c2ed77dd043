"""The figure of `analysis.caching_umap`, drawn from its results file and the points beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from analysis.caching_umap.config import NAME
from analysis.shared.results import published
from tropnet.archives import read_archive

__all__ = ["DRAWN", "DRAWN_FILE", "Panel", "draw", "panels"]

# Points of some megabytes, which a results file does not hold: the kind and version of the archive, and its name.
DRAWN = "points of the panels", 1
DRAWN_FILE = "panels.npz"

_TRAIN, _CACHED, _UNCACHED = "#d4d4d4", "#0072b2", "#d62728"
_NAMES = {"mnist": "MNIST", "cifar10": "CIFAR-10 (gray)", "svhn": "SVHN", "fashion-mnist": "Fashion-MNIST"}


@dataclass(frozen=True)
class Panel:
    """What one panel shows: a data set embedded in the plane, and what one network caches.

    Attributes
    ----------
    dataset, layers, neurons
        Which.
    centred
        Whether the networks saw pixels in [-1, 1] instead of [0, 1].
    in_print
        Whether the paper has this panel.
    train, train_labels
        The training images that were embedded, (n, 2), and their classes.
    test, cached
        The test images, (m, 2), and whether each is cached.
    """

    dataset: str
    layers: int
    neurons: int
    centred: bool
    in_print: bool
    train: NDArray[np.float32]
    train_labels: NDArray[np.int64]
    test: NDArray[np.float32]
    cached: NDArray[np.bool_]


def draw(results: Path) -> dict[str, Figure]:
    """Return the figure of a results file, by its name.

    Raises
    ------
    FileNotFoundError
        The points are not in the cache beside the file: its figure is drawn where the study is run.
    """
    record = json.loads(results.read_text())
    return {NAME: draw_panels(panels(record, results.parent / ".cache" / NAME), record["not_run"])}


def panels(record: dict[str, Any], cache: Path) -> list[Panel]:
    """Return what every panel of a record shows."""
    arrays = read_archive(cache / DRAWN_FILE, *DRAWN)
    in_print = {(row["dataset"], row["layers"], row["neurons"]) for row in published("lr_table_2")["rows"]}
    return [
        Panel(
            dataset=row["dataset"],
            layers=row["layers"],
            neurons=row["neurons"],
            centred=row["pixels"] != [0, 1],
            in_print=(row["dataset"], row["layers"], row["neurons"]) in in_print,
            **{name: arrays[f"{i}_{name}"] for name in ("train", "train_labels", "test", "cached")},
        )
        for i, row in enumerate(record["panels"])
    ]


def draw_panels(panels: Sequence[Panel], not_run: Mapping[str, str]) -> Figure:
    """Return the grid of data sets and sizes; `not_run` has a reason by data set."""
    datasets = list(dict.fromkeys(panel.dataset for panel in panels))
    shapes = list(dict.fromkeys((panel.layers, panel.neurons) for panel in panels))
    figure = Figure(figsize=(3.3 * len(shapes), 3.3 * len(datasets) + 0.5), layout="constrained", dpi=105)
    grid = figure.subplots(len(datasets), len(shapes), squeeze=False)
    for panel in panels:
        i, j = datasets.index(panel.dataset), shapes.index((panel.layers, panel.neurons))
        draw_panel(grid[i, j], panel)
        if i == 0:
            grid[i, j].set_title(f"{panel.layers} layers of {panel.neurons}\n{_share(panel)}", fontsize=10)
        if j == 0:
            pixels = "\npixels in [-1, 1]" if panel.centred else ""
            extra = "" if panel.in_print else "\n(extra, not in the paper)"
            grid[i, j].set_ylabel(_NAMES[panel.dataset] + pixels + extra, fontsize=10)
    handles = [
        Line2D([], [], ls="", marker="o", ms=5, color=colour, label=label)
        for colour, label in (
            (_TRAIN, f"training images ({len(panels[0].train):,} drawn)"),
            (_CACHED, "cached test images"),
            (_UNCACHED, "uncached"),
        )
    ]
    missing = ", ".join(f"{_NAMES[dataset]} not run: {reason}" for dataset, reason in not_run.items()) or None
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=9, title=missing, title_fontsize=8)
    return figure


def draw_panel(axes: Axes, panel: Panel) -> None:
    """Draw training images, over them the test images in random order, and every class at the mean of its images."""
    axes.scatter(*panel.train.T, s=14, color=_TRAIN, linewidths=0)
    # So that neither colour hides the other.
    order = np.random.default_rng(0).permutation(len(panel.test))
    colours = np.where(panel.cached, _CACHED, _UNCACHED)[order]
    axes.scatter(*panel.test[order].T, s=1.1, c=colours, linewidths=0)
    for label in np.unique(panel.train_labels):
        x, y = panel.train[panel.train_labels == label].mean(axis=0)
        outline = [patheffects.withStroke(linewidth=2.5, foreground="white")]
        axes.text(x, y, str(label), ha="center", va="center", fontsize=9, weight="bold", path_effects=outline)
    axes.set(xticks=[], yticks=[])
    axes.margins(0.03)
    if axes.get_subplotspec().rowspan.start:
        axes.set_title(_share(panel), fontsize=10)


def _share(panel: Panel) -> str:
    return f"{int(panel.cached.sum()):,} of {len(panel.cached):,} cached"

"""The figure of `analysis.few_nonlinearities`, drawn from its results file only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from analysis.few_nonlinearities.config import NAME

_STYLES = {
    "negative part, distilled": ("#0072b2", "-", "o"),
    "random, distilled": ("#d55e00", "-", "o"),
    "ambiguity, distilled": ("#009e73", "-", "o"),
    "layer, distilled": ("#cc79a7", "-", "o"),
    "negative part, labels": ("#0072b2", "--", "s"),
    "random, labels": ("#d55e00", "--", "s"),
    "negative part, distilled, at once": ("#56b4e9", ":", "^"),
    "from scratch": ("#888888", "-", "x"),
    "none, labels": ("#000000", ":", "."),
}
_LABELS = {
    "layer, distilled": "first layer first, else random, distilled",
    "none, labels": "all neurons stay, trained on",
    "from scratch": "from scratch, the same neurons as blue",
}
_LAYERS = {"first convolution": "-", "second convolution": "--"}


def draw(results: Path) -> dict[str, Figure]:
    """Return the figure of a results file, by its name."""
    record = json.loads(results.read_text())
    figure = Figure(figsize=(12.5, 8.2), layout="constrained", dpi=110)
    axes = figure.subplots(2, 2)
    draw_accuracies(axes[0, 0], record)
    draw_layers(axes[0, 1], record)
    draw_regions(axes[1, 0], record)
    draw_times(axes[1, 1], record)
    for own in axes.flat:
        own.set_xticks(range(len(record["shares"]) + 1), _ticks(record))
        own.set_xlabel("nonlinear neurons left")
        own.grid(alpha=0.3)
    return {NAME: figure}


def _ticks(record: dict[str, Any]) -> list[str]:
    n = record["n_neurons"]
    return [f"{n}\n100 %", *(f"{round(share * n)}\n{100 * share:g} %" for share in record["shares"])]


def _rows(record: dict[str, Any], variant: str, read: Any) -> Any:
    """Return what is read from each stage, the full network first: one row per seed that has the variant."""
    return np.array(
        [
            [read(stage) for stage in [seed["full"], *seed["variants"][variant]]]
            for seed in record["seeds"].values()
            if variant in seed["variants"]
        ]
    )


def _draw(axes: Axes, variant: str, values: Any, label: str | None = None) -> None:
    colour, line, marker = _STYLES[variant]
    places = range(values.shape[1])
    axes.plot(
        places, values.mean(0), ls=line, marker=marker, ms=4, color=colour, label=label or _LABELS.get(variant, variant)
    )
    axes.fill_between(places, values.min(0), values.max(0), color=colour, alpha=0.15, lw=0)


def draw_accuracies(axes: Axes, record: dict[str, Any]) -> None:
    """Draw the accuracy after each stage, mean and range of the seeds, beside that of affine classifiers."""
    for variant in _STYLES:
        values = _rows(record, variant, lambda stage: 100 * stage["accuracy"])
        if len(values):
            _draw(axes, variant, values)
    axes.axhline(
        100 * record["affine_limit"]["best_accuracy"],
        color="black",
        lw=0.8,
        ls="-.",
        label="best affine classifier, same images",
    )
    axes.set_ylabel("accuracy on the test images, %")
    axes.set_title("What do nonlinear neurons buy? (mean and range of the seeds)")
    # Room for the legend below the line of the affine classifier.
    low, high = axes.get_ylim()
    axes.set_ylim(low - 0.4 * (high - low), high)
    axes.legend(fontsize=7.5, loc="lower left", ncols=2)


def draw_layers(axes: Axes, record: dict[str, Any]) -> None:
    """Draw which share of each layer's neurons is left, by criterion."""
    for variant in ("negative part, distilled", "ambiguity, distilled", "random, distilled"):
        colour = _STYLES[variant][0]
        for layer, (words, line) in enumerate(_LAYERS.items()):
            values = _rows(record, variant, lambda stage, layer=layer: stage["neurons"][layer]).astype(float)
            shares = 100 * (values / values[:, :1]).mean(0)
            axes.plot(
                range(len(shares)),
                shares,
                line,
                color=colour,
                marker="o",
                ms=3,
                label=f"{variant.split(',')[0]}, {words}",
            )
    axes.set_ylabel("neurons left in the layer, %")
    axes.set_title("Which neurons go first?")
    axes.legend(fontsize=7.5)


def draw_regions(axes: Axes, record: dict[str, Any]) -> None:
    """Draw the patterns of the test images and the regions met between two of them."""
    n_images = next(iter(record["seeds"].values()))["full"]["n_images"]
    for variant in ("negative part, distilled", "ambiguity, distilled", "random, distilled"):
        colour, word = _STYLES[variant][0], variant.split(",")[0]
        patterns = _rows(record, variant, lambda stage: stage["patterns"]).mean(0)
        axes.plot(
            range(len(patterns)),
            patterns,
            "-",
            marker="o",
            ms=4,
            color=colour,
            label=f"{word}: patterns of {n_images:,} test images",
        )
        met = _rows(record, variant, lambda stage: np.mean(stage["on_segments"])).mean(0)
        axes.plot(
            range(len(met)), met, "--", marker="s", ms=4, color=colour, label=f"{word}: regions between two test images"
        )
    axes.set_yscale("log")
    axes.set_ylabel("number")
    axes.set_title("How many regions are left around the data?")
    axes.legend(fontsize=7.5, loc="lower left")


def draw_times(axes: Axes, record: dict[str, Any]) -> None:
    """Draw how many times faster the folded networks predict than the full CNN, and how many products they take."""
    ratios = [record["times"][name]["ratio"] for name in ["full", *map(str, record["shares"])]]
    axes.plot(range(len(ratios)), ratios, "o-", color="#0072b2", ms=4)
    for place, ratio in enumerate(ratios):
        axes.annotate(f"{ratio:.2g}", (place, ratio), xytext=(0, 6), textcoords="offset points", ha="center", size=8)
    axes.axhline(1, color="black", lw=0.8)
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.margins(y=0.15)
    axes.set_ylabel("time of the full CNN / of the folded network")
    axes.set_title("How much faster is what remains? (batch 64, one CPU thread)")

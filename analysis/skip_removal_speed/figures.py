"""The figure of `analysis.skip_removal_speed`, drawn from its results file only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.skip_removal_speed.config import NAME

_COLOURS = {"eager": "#56b4e9", "compiled": "#e69f00", "values": "#009e73"}
_MODES = {"eager": "eager", "compiled": "torch.compile", "values": "values needed at one time, without workspace"}
_TITLES = {"resnet34": "ResNet34", "cnn6": "6-layer CNN, all skips"}
_LABELS = {
    "plain": "plain skips",
    "weighted": "weighted, t = 0",
    "removed": "removed",
    "carried": "carried",
    "plain, folded": "plain,\nbatch norm folded",
    "removed, folded": "removed,\nbatch norm folded",
}


def draw(results: Path) -> dict[str, Figure]:
    """Return one figure for each device of a results file, by name."""
    record = json.loads(results.read_text())
    figures = {}
    for device, networks in record["devices"].items():
        figure = Figure(figsize=(10.5, 7.4), layout="constrained", dpi=150)
        figures[NAME if device == "cpu" else f"{NAME}_{device}"] = figure
        for (left, right), (name, found) in zip(figure.subplots(2, 2), networks.items(), strict=True):
            draw_times(left, found, record["published"][name]["ratio"])
            draw_memory(right, found)
            left.set_title(f"{_TITLES[name]}: time per image", size=10)
            right.set_title(f"{_TITLES[name]}: peak memory", size=10)
        handles = {
            label: handle
            for axes in figure.axes
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, fontsize=8)
        batch = record["config"]["batch"]
        figure.suptitle(f"Relative to plain skips, batches of {batch}, {_hardware(record, device)}")
    return figures


def _hardware(record: dict[str, Any], device: str) -> str:
    if device == "cpu":
        return f"one CPU thread, processor time (load average {record['load_average']['before'][0]:.0f})"
    return str(record.get("gpu", device))


def draw_times(axes: Axes, found: dict[str, Any], published: float) -> None:
    """Draw the time of every form relative to plain skips, by mode, with its interval, and the published ratio."""
    bars = {
        (mode, name): row["times"].get("processor", row["times"]["clock"])
        for mode, rows in found["modes"].items()
        for name, row in rows.items()
        if "times" in row
    }
    notes = {key: f"{time['ratio']:.2f}  ({_microseconds(time['microseconds'])})" for key, time in bars.items()}
    ends = {key: (time["low"], time["high"]) for key, time in bars.items() if time["low"] is not None}
    _draw_bars(axes, list(found["forms"]), {key: time["ratio"] for key, time in bars.items()}, notes, ends)
    y = list(found["forms"]).index("removed")
    axes.vlines(published, y - 0.45, y + 0.45, color="#000000", ls=":", lw=2, label="published, removed (GPU)")


def draw_memory(axes: Axes, found: dict[str, Any]) -> None:
    """Draw the peak memory of every form relative to plain skips, by mode, and of its values alone."""
    rows = {(mode, name): row for mode, forms in found["modes"].items() for name, row in forms.items()}
    peaks = {key: (row["peak_bytes"], row["peak_ratio"]) for key, row in rows.items() if "peak_bytes" in row}
    for name, row in found["programs"].items():
        peaks["values", name] = row["values_bytes"], row["values_ratio"]
    notes = {key: f"{ratio:.2f}  ({size / 1e6:.3g} MB)" for key, (size, ratio) in peaks.items()}
    _draw_bars(axes, list(found["forms"]), {key: ratio for key, (_, ratio) in peaks.items()}, notes, {})


def _draw_bars(
    axes: Axes,
    names: list[str],
    ratios: dict[tuple[str, str], float],
    notes: dict[tuple[str, str], str],
    ends: dict[tuple[str, str], tuple[float, float]],
) -> None:
    """Draw a bar for each (mode, form), forms from top to bottom, with its note, and an interval where there is one."""
    modes = list(dict.fromkeys(mode for mode, _ in ratios))
    height = 0.84 / max(len(modes), 1)
    for (mode, name), ratio in ratios.items():
        y = names.index(name) + (modes.index(mode) - (len(modes) - 1) / 2) * height
        axes.barh(y, ratio, 0.92 * height, color=_COLOURS[mode], label=_MODES[mode] if name == "plain" else None)
        low, high = ends.get((mode, name), (ratio, ratio))
        axes.hlines(y, low, high, color="black", lw=1)
        axes.annotate(
            notes[mode, name],
            (max(ratio, high), y),
            (4, 0),
            textcoords="offset points",
            va="center",
            size=7,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )
    axes.axvline(1, color="black", lw=0.8)
    axes.set_yticks(range(len(names)), [_LABELS[name] for name in names], size=8)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0, 1.45 * max(ratios.values(), default=1))


def _microseconds(value: float) -> str:
    return f"{value:,.0f} µs" if value >= 100 else f"{value:.3g} µs"

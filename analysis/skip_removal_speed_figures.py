"""The figure of `analysis.skip_removal_speed`, drawn from its results file only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

_COLOURS = {"eager": "#0072b2", "compiled": "#d55e00"}
_TITLES = {"resnet34": "ResNet34", "cnn6": "6-layer CNN, all skips"}
_LABELS = {
    "plain": "plain skips",
    "weighted": "weighted, t = 0",
    "removed": "removed",
    "carried": "carried",
    "plain, folded": "plain,\nbatch norm folded",
    "removed, folded": "removed,\nbatch norm folded",
}


def draw(results: Path, folder: Path) -> list[Path]:
    """Draw one figure for each device of a results file into `folder` and return their paths."""
    record = json.loads(results.read_text())
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for device, networks in record["devices"].items():
        paths.append(folder / (f"skip_removal_speed{'' if device == 'cpu' else '_' + device}.png"))
        figure = Figure(figsize=(10.5, 7.4), layout="constrained")
        for row, (name, found) in zip(figure.subplots(2, 2), networks.items(), strict=True):
            draw_ratios(row[0], found, "time", record["published"][name]["ratio"])
            draw_ratios(row[1], found, "peak memory", None)
            row[0].set_title(f"{_TITLES[name]}: time per image", size=10)
            row[1].set_title(f"{_TITLES[name]}: peak memory beside parameters and input", size=10)
        figure.suptitle(
            f"Relative to plain skips, batches of {record['config']['batch']}, on {_hardware(record, device)}"
        )
        figure.savefig(paths[-1], dpi=150)
    return paths


def _hardware(record: dict[str, Any], device: str) -> str:
    return f"{record['threads']} CPU thread(s)" if device == "cpu" else record.get("gpu", device)


def draw_ratios(axes: Axes, found: dict[str, Any], what: str, published: float | None) -> None:
    """Draw the ratio of every form to plain skips, by mode, and the published one for removed skips."""
    names = list(found["forms"])
    modes = found["modes"]
    height = 0.8 / len(modes)
    for index, (mode, rows) in enumerate(modes.items()):
        for y, name in enumerate(names):
            row = rows.get(name, {})
            if "times" not in row:
                continue
            place = y + (index - (len(modes) - 1) / 2) * height
            time = row["times"]["clock"]
            ratio = time["ratio"] if what == "time" else row["peak_ratio"]
            axes.barh(place, ratio, height, color=_COLOURS[mode], label=mode if name == "plain" else None)
            note = f"{ratio:.2f}  ({time['microseconds']:.3g} µs)" if what == "time" else _megabytes(row, ratio)
            if what == "time" and time["low"] is not None:
                axes.hlines(place, time["low"], time["high"], color="black", lw=1)
            axes.annotate(note, (max(ratio, time["high"] or 0) if what == "time" else ratio, place), (4, 0),
                          textcoords="offset points", va="center", size=7)  # fmt: skip
    axes.axvline(1, color="black", lw=0.8)
    if published is not None:
        y = names.index("removed")
        axes.vlines(published, y - 0.5, y + 0.5, color="#009e73", lw=2, label="published, removed (GPU)")
    axes.set_yticks(range(len(names)), [_LABELS[name] for name in names], size=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.35 * axes.get_xlim()[1])
    axes.legend(fontsize=7.5, loc="lower right")


def _megabytes(row: dict[str, Any], ratio: float) -> str:
    return f"{ratio:.2f}  ({row['peak_bytes'] / 1e6:.3g} MB)"

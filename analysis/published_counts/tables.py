"""The tables of `analysis.published_counts`, made from its results only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from analysis.published_counts.evaluate import SMALLER, attained
from analysis.shared.markdown import markdown_table, write_between_marks


def write(path: Path, record: dict[str, Any]) -> None:
    """Write the tables into a Markdown file; its other text stays."""
    parts = {
        "Printed and counted": claims(record),
        "CNNs of one layer: the formula, and the counts of random networks": cnns(record),
        "Regions per neuron along segments, and over N^2 / 2 in planes, at initialisation": at_start(record),
        "While training: times the count at the start": training(record),
        "Mean number of facets, after training": facets(record),
    }
    texts = [f"## {title}\n\n{table}" for title, table in parts.items()]
    write_between_marks(path, "\n\n".join(([SMALLER] if record.get("quick") else []) + texts))


def claims(record: dict[str, Any]) -> str:
    """Return a row for each printed count."""
    head = ["source", "setting", "what is counted", "printed", "ours", "verdict"]
    keys = ("source", "setting", "meant", "printed", "ours", "verdict")
    return markdown_table(head, [[row[key] for key in keys] for row in record["claims"]], n_words=6)


def cnns(record: dict[str, Any]) -> str:
    """Return a row for each size."""
    lines = [
        [
            " x ".join(map(str, row["input"])),
            f"{row['filters']} of {row['filter'][0]} x {row['filter'][1]}, stride {row['stride']}",
            f"{row['formula']:,}",
            ", ".join(f"{count:,}" for count in sorted(set(row["counts"]))),
            "yes" if attained(row) else "**no**",
        ]
        for row in record["cnn"]
    ]
    return markdown_table(["input", "filters", "formula", "counted", "attained"], lines)


def at_start(record: dict[str, Any]) -> str:
    """Return linear pieces along segments per neuron, and regions of planes over N^2 / 2, with intervals."""
    head = ["network", "neurons", "0 to image", "image to image", "plane through 0", "plane of three images"]
    measures = (("from_origin_linear", 1), ("between_images_linear", 1), ("with_origin", 2), ("of_three_images", 2))
    lines = []
    for row in record["growth"]["at_start"]:
        units = [row["neurons"] if degree == 1 else row["neurons"] ** 2 / 2 for _, degree in measures]
        cells = [_with_interval(row[measure], unit) for (measure, _), unit in zip(measures, units, strict=True)]
        lines.append([row["shape"], str(row["neurons"]), *cells])
    return markdown_table(head, lines)


def _with_interval(found: dict[str, Any], unit: float) -> str:
    if found["low"] is None:
        return f"{found['mean'] / unit:.2f}"
    return f"{found['mean'] / unit:.2f} ({found['low'] / unit:.2f} to {found['high'] / unit:.2f})"


def training(record: dict[str, Any]) -> str:
    """Return counts relative to the start, by milestone, in planes of three images, and along segments at the end."""
    epochs = record["growth"]["epochs"]
    head = [
        "network",
        "neurons",
        *[f"plane, epoch {epoch:g}" for epoch in epochs[1:]],
        "image to image, end",
        "accuracy",
    ]
    lines = []
    for row in record["growth"]["trained"]:
        cells = [_with_interval(found, 1) for found in row["of_three_images_to_start"][1:]]
        segment = _with_interval(row["between_images_linear_to_start"][-1], 1)
        lines.append([row["shape"], str(row["neurons"]), *cells, segment, f"{100 * row['accuracy']['mean']:.1f} %"])
    return markdown_table(head, lines)


def facets(record: dict[str, Any]) -> str:
    """Return the mean over networks of the mean number of facets, by inputs and size, and the largest network."""
    head = ["inputs", "width", "depth", "regions, largest network", "mean facets", "2 d", "most frequent"]
    lines = []
    for row in record["facets"]:
        found = row["after"]
        mean = sum(found["means"]) / len(found["means"])
        mode = max(range(len(found["distribution"])), key=found["distribution"].__getitem__)
        cells = [str(row["depth"]), f"{max(found['regions']):,}", f"{mean:.2f}", str(2 * row["dimension"]), str(mode)]
        lines.append([str(row["dimension"]), str(row["width"]), *cells])
    return markdown_table(head, lines)

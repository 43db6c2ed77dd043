"""The tables of `analysis.region_maps`, made from its results only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from analysis.region_maps.evaluate import STAGES, shown
from analysis.region_maps.measures import N_RINGS
from analysis.shared.markdown import markdown_table, write_between_marks


def write(path: Path, record: dict[str, Any]) -> None:
    """Write the tables into a Markdown file; its other text stays."""
    trials = record["config"]["trials"]
    parts = {
        f"Regions, errors, and where the boundaries are ({trials} networks)": bending(record),
        "Two layers against five": depths(record),
        "Symmetry and repetition": patterns(record),
        f"Sizes by distance from the centre (median of the networks; rings of width"
        f" {record['config']['half_width'] / N_RINGS:g}, inner to outer)": sizes(record),
    }
    write_between_marks(path, "\n\n".join(f"## {title}\n\n{table}" for title, table in parts.items()))


def bending(record: dict[str, Any]) -> str:
    """Return how the density of boundaries goes with the bends of the function."""
    head = ["function", "layers", "learnt", "unexplained", "best", "regions", "untrained", "density ~ bending"]
    lines = [
        [
            entry["function"],
            str(entry["depth"]),
            f"{entry['learnt']} of {entry['trials']}",
            f"{entry['unexplained']['median']:.1%}",
            f"{entry['unexplained']['best']:.1%}",
            _mean(entry["trained"]["regions"], ".0f"),
            _mean(entry["untrained"]["regions"], ".0f"),
            _mean(entry["trained"]["bending"], ".2f"),
            _mean(entry["untrained"]["bending"], ".2f"),
            _mean(entry["bending_by_others"], ".2f"),
        ]
        for entry in record["observations"]
    ]
    return markdown_table([*head, "untrained", "trained on another function"], lines)


def depths(record: dict[str, Any]) -> str:
    """Return the comparison of the depths."""
    head = ["function", "layers", "unexplained, median", "p", "density ~ bending", "p"]
    lines = [
        [
            row["function"],
            " / ".join(map(str, row["depths"])),
            " / ".join(f"{value:.1%}" for value in row["unexplained"]),
            f"{row['p_unexplained']:.2g}",
            " / ".join(shown(value, ".2f") for value in row["bending"]),
            "-" if row["p_bending"] is None else f"{row['p_bending']:.2g}",
        ]
        for row in record["depths_compared"]
    ]
    return markdown_table(head, lines)


def patterns(record: dict[str, Any]) -> str:
    """Return how symmetric maps are, and how much repeats."""
    measures = ("symmetry", "repetition", "places_per_later_pattern", "peaks")
    lines = [
        [
            entry["function"],
            f"{entry['depth']}, {stage}",
            *[_mean(entry[stage][name], ".1f" if name == "peaks" else ".2f") for name in measures],
            str(entry["with_nine_peaks"]) if stage == "trained" else "-",
        ]
        for entry in record["observations"]
        for stage in STAGES
    ]
    head = [
        "function",
        "layers",
        "symmetry",
        "nine squares alike",
        "places per later pattern",
        "peaks of phi_3, of 9",
        "with all nine",
    ]
    return markdown_table(head, lines)


def sizes(record: dict[str, Any]) -> str:
    """Return the sizes of the regions, ring by ring."""
    lines = [
        [
            entry["function"],
            f"{entry['depth']}, {stage}",
            *[_rings(entry[stage][name]) for name in ("per_area", "median_area", "uneven")],
        ]
        for entry in record["observations"]
        for stage in STAGES
    ]
    head = ["function", "layers", "regions per unit of area", "median area", "standard deviation / mean of areas"]
    return markdown_table(head, lines)


def _mean(found: dict[str, Any], form: str) -> str:
    if found["low"] is None:
        return shown(found, form)
    return f"{found['mean']:{form}} ({found['low']:{form}} to {found['high']:{form}})"


def _rings(values: list[float | None]) -> str:
    return ", ".join("-" if value is None else f"{value:.2g}" for value in values)

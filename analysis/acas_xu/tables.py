"""The table of `analysis.acas_xu`, made from its results only."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from analysis.shared.markdown import markdown_table, write_between_marks

__all__ = ["summary", "write"]


def write(path: Path, record: dict[str, Any]) -> None:
    """Write the tables between the marks of a Markdown file, or as a new file; its other text stays."""
    parts = [
        f"## By property\n\n{_by_property(record)}",
        f"## All regions, beside nnenum's exact mode\n\n{_exact(record)}",
        f"## Where published verdicts contradict each other\n\n{_apart(record)}",
        f"## Regions on the whole domain, estimated (and the standard error)\n\n{_whole(record)}",
    ]
    write_between_marks(path, "\n\n".join(parts))


def summary(record: dict[str, Any]) -> str:
    """Return the results as a short text."""
    totals = record["totals"]
    lines = [
        _by_property(record),
        f"{len(record['rows'])} instances: {totals['holds']} hold, {totals['violated']} are violated,"
        f" {totals['unknown']} unknown; {totals['cpu_seconds']} s of processor time,"
        f" median {totals['median_cpu_seconds']} s, largest {totals['largest_cpu_seconds']} s",
        f"counterexamples confirmed in float64: {totals['confirmed_in_float64']}",
        f"nnenum: {record['nnenum']}"
        + (
            f"; {totals['nnenum_agrees']} verdicts agree, {totals['nnenum_cpu_seconds']} s of processor time"
            if totals["nnenum_agrees"] is not None
            else ""
        ),
        *totals["published_apart"],
    ]
    return "\n".join(lines)


def _by_property(record: dict[str, Any]) -> str:
    head = [
        "property",
        "instances",
        "holds",
        "violated",
        "unknown",
        "regions, least",
        "median",
        "most",
        "s, median",
        "most",
        "nnenum s, median",
        "most",
    ]
    lines = []
    for number in dict.fromkeys(row["property"] for row in record["rows"]):
        rows = [row for row in record["rows"] if row["property"] == number]
        sizes = [sum(box.get("n_regions", box.get("estimate", 0)) for box in row["regions"]) for row in rows]
        estimated = any("estimate" in box for row in rows for box in row["regions"])
        took = [row["cpu_seconds"] for row in rows]
        beside = [row["nnenum"]["cpu_seconds"] for row in rows if "nnenum" in row]
        lines.append(
            [
                str(number),
                str(len(rows)),
                *(str(sum(row["status"] == word for row in rows)) for word in ("holds", "violated", "unknown")),
                *(
                    f"{'about ' * estimated}{value:,.0f}"
                    for value in (min(sizes), statistics.median(sizes), max(sizes))
                ),
                f"{statistics.median(took):.2f}",
                f"{max(took):.2f}",
                *((f"{statistics.median(beside):.1f}", f"{max(beside):.1f}") if beside else ("not run", "not run")),
            ]
        )
    return markdown_table(head, lines)


def _exact(record: dict[str, Any]) -> str:
    """Return how many regions both find, and how many a second: nnenum with its imports, we in a warm process."""
    rows = [row for row in record["rows"] if "nnenum_exact" in row and "n_regions" in row["regions"][0]]
    lines = []
    for row in rows:
        ours, theirs = row["regions"][0], row["nnenum_exact"]
        rates = ours["n_regions"] / max(ours["cpu_seconds"], 0.001), theirs["stars"] / theirs["cpu_seconds"]
        lines.append(
            [
                f"{row['property']} on {row['network']}",
                f"{ours['n_regions']:,}",
                f"{theirs['stars']:,}",
                *(f"{rate:,.0f}" for rate in rates),
                f"{rates[0] / rates[1]:.0f}",
            ]
        )
    head = ["instance", "regions", "nnenum", "regions a second", "nnenum", "times"]
    return markdown_table(head, lines) if lines else f"nnenum: {record['nnenum']}"


def _apart(record: dict[str, Any]) -> str:
    rows = [row for row in record["rows"] if row["published"] and set(row["published"]) != {row["status"]}]
    lines = [
        [
            f"{row['property']} on {row['network']}",
            row["status"],
            *(str(row["published"].get(word, 0)) for word in ("holds", "violated")),
        ]
        for row in rows
    ]
    head = ["instance", "exact verdict", "programs that said holds", "violated"]
    return markdown_table(head, lines) if lines else "Nowhere."


def _whole(record: dict[str, Any]) -> str:
    found = record["whole_domain"]
    rows = sorted({name.split("_")[0] for name in found})
    columns = sorted({name.split("_")[1] for name in found})
    lines = [[i, *(_cell(found[f"{i}_{j}"]) if f"{i}_{j}" in found else "" for j in columns)] for i in rows]
    return markdown_table(["", *(f"_{j}" for j in columns)], lines)


def _cell(guess: dict[str, float]) -> str:
    return f"{guess['estimate']:.2g} ({guess['standard_error']:.1g})"

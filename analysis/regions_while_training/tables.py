"""The tables of `analysis.regions_while_training`, made from its results only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from analysis.regions_while_training.config import ARMS
from analysis.shared.markdown import markdown_table, write_between_marks

_SHOWN = (0, 1, 10, 100, 1_000, 5_000)


def write(path: Path, record: dict[str, Any]) -> None:
    """Write the tables into a Markdown file; its other text stays."""
    parts = {
        f"Mean number of regions, {record['comparisons'][0]['networks']} networks an arm, 95 % interval": means(record),
        "Ratio of the mean numbers of regions": ratios(record),
        "At the end, without networks that learnt nothing": learnt(record),
    }
    write_between_marks(path, "\n\n".join(f"## {title}\n\n{table}" for title, table in parts.items()))


def shown(record: dict[str, Any]) -> list[int]:
    """Return the indices of the milestones in the table: those nearest to round epochs, and the last one."""
    epochs = record["epoch"]
    nearest = {min(range(len(epochs)), key=lambda i: abs(epochs[i] - epoch)) for epoch in _SHOWN}
    return sorted(nearest | {len(epochs) - 1})


def means(record: dict[str, Any]) -> str:
    """Return mean regions, and the median test error, by arm and epoch."""
    lines = []
    for arm in ARMS:
        regions, error = (record["overall"][arm][measure] for measure in ("regions", "test_error"))
        cells = [
            f"{regions['mean'][i]:.1f} ({regions['low'][i]:.1f} to {regions['high'][i]:.1f})" for i in shown(record)
        ]
        lines.append([arm, *cells, f"{error['mean'][-1]:.3g}"])
    head = ["skips", *[f"epoch {record['epoch'][i]:,}" for i in shown(record)], "test error at the end"]
    return markdown_table(head, lines)


def ratios(record: dict[str, Any]) -> str:
    """Return the comparisons of all pairs of arms."""
    lines = [
        [
            f"{row['arms'][0]} / {row['arms'][1]}",
            row["function"],
            *[f"{row['ratio'][i]:.2f}" for i in shown(record)],
            f"{row['lowest_ratio']['ratio']:.2f} (epoch {row['lowest_ratio']['epoch']:,})",
            f"{row['milestones_with_more']} of {row['milestones']}",
            f"{row['milestones_with_p_below_5_percent']} of {row['milestones']}",
            f"{row['p'][-1]:.2g}",
        ]
        for row in record["comparisons"]
    ]
    head = [
        "arms",
        "function",
        *[f"epoch {record['epoch'][i]:,}" for i in shown(record)],
        "lowest",
        "ratio > 1",
        "p < 0.05",
        "p at the end",
    ]
    return markdown_table(head, lines)


def learnt(record: dict[str, Any]) -> str:
    """Return the ratios at the end over the pairs of networks that both learnt something."""
    found = record["learning"]
    lines = [
        [
            f"{one} / {other}",
            ", ".join(f"{arm} {found['learnt_nothing'][arm]}" for arm in (one, other)),
            str(row["networks"]),
            "-" if row["ratio"] is None else f"{row['ratio']:.2f}",
            "-" if row["p"] is None else f"{row['p']:.2g}",
        ]
        for row in found["where_both_learnt"]
        for one, other in [row["arms"]]
    ]
    return markdown_table(["arms", "learnt nothing", "pairs left", "ratio", "p"], lines)

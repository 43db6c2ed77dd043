"""Turn the raw times of a run into a file in `results/`, and one table of ratios for `docs/speed.md`.

python -m benchmarks.report [RAW] [--dry-run]

A run measured regions (`benchmarks.json`) or predictions (`prediction_benchmarks.json`).
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.shared import results
from benchmarks.networks import QUICK, SEED

RAW = results.RESULTS / ".cache" / "benchmarks.json"
_OTHER_PACKAGES = ("numba", "torch", "onnxruntime", "relucent", "parx", "regioncam", "pytest-benchmark")
# What everybody runs, and what it is compared with, at which work.
_OURS = "auto"
_SLOW = {
    "lp": "output",
    "relucent": "output",
    "parx": "output",
    "regioncam": "facets",
    "edge subdivision": "count",
    "plain LP": "count",
    "plain clipping": "count",
}


@dataclass(frozen=True)
class Config:
    """What determines the networks and the effort."""

    seed: int = SEED
    quick: bool = QUICK


def main(arguments: list[str] | None = None) -> None:
    """Read the raw times; write the results and the table of `docs/speed.md`, or only print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("raw", nargs="?", type=Path, default=RAW, help="what pytest --benchmark-json wrote")
    parser.add_argument("--dry-run", action="store_true", help="print the table, write nothing")
    options = parser.parse_args(arguments)
    raw = json.loads(options.raw.read_text())
    rows = [measurement(benchmark) for benchmark in raw["benchmarks"]]
    kind = PREDICTION if any(row["topic"] == "prediction" for row in rows) else REGIONS
    text = kind.table(rows)
    print(text)
    if options.dry_run:
        return
    cpu = raw["machine_info"]["cpu"].get("brand_raw", "unknown processor")
    record = provenance(cpu, f"make {kind.target}")
    results.write_json(results.RESULTS / f"{kind.name}.json", record | {"measurements": rows})
    page = results.ROOT / "docs/speed.md"
    page.write_text(replaced(page.read_text(), kind.name, f"{text}\n\n{kind.note.format(cpu=cpu)}"))


def provenance(cpu: str, command: str, config: Any = None) -> dict[str, Any]:
    """Return seed (or another configuration), versions, hardware and command."""
    record = results.provenance(config or Config(), command, _OTHER_PACKAGES)
    return record | {"hardware": f"{cpu}, {record['hardware']}"}


def processor() -> str:
    """Return the name of the processor, where the system tells it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown processor"


def measurement(benchmark: dict[str, Any]) -> dict[str, Any]:
    """Return what was measured: the question, items per second (median round), and how far the rounds differ."""
    info, stats = benchmark["extra_info"], benchmark["stats"]
    return info | {
        "rate": info.get("n_points", info.get("n_regions")) / stats["median"],
        "seconds": stats["median"],
        "spread": (stats["max"] - stats["min"]) / stats["median"],
        "rounds": stats["rounds"],
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Return regions per second, and how many times the rate of other programs a default call has.

    Counting for each engine; full output and output with all facets by the engine that ``"auto"`` chooses.
    """
    rows = [row for row in rows if row["topic"] == "architectures"]
    engines = [name for name in dict.fromkeys(row["program"] for row in rows) if name not in _SLOW]
    works = [work for work in dict.fromkeys(row["work"] for row in rows) if work != "count"]
    head = ["network", "domain", "regions", *(f"{name}, count/s" for name in engines), *(f"{work}/s" for work in works)]
    lines = [_line([*head, *(f"x {name}" for name in _SLOW)])]
    lines.append(_line(["---", "---", *["---:"] * (1 + len(engines) + len(works) + len(_SLOW))]))
    for question in dict.fromkeys((row["architecture"], row["domain"]) for row in rows):
        here = [row for row in rows if (row["architecture"], row["domain"]) == question]
        slow = {row["program"]: row for row in here if row["work"] == _SLOW.get(row["program"])}
        counts = {row["program"]: row for row in here if row["work"] == "count" and row["program"] in engines}
        ours = {row["work"]: row for row in here if row["program"] == _OURS}
        if not ours:
            continue
        cells = [
            *question,
            _regions(ours["count"]),
            *(_rounded(counts[name]["rate"]) if name in counts else "" for name in engines),
            *(_rounded(ours[work]["rate"]) if work in ours else "" for work in works),
            *(_times(ours[work]["rate"] / slow[name]["rate"]) if name in slow else "" for name, work in _SLOW.items()),
        ]
        lines.append(_line(cells))
    return "\n".join(lines)


def tables(rows: list[dict[str, Any]]) -> str:
    """Return the table of architectures, and that of published networks and ties."""
    return f"{table(rows)}\n\n{published_table(rows)}".rstrip()


def published_table(rows: list[dict[str, Any]]) -> str:
    """Return regions per second of ``engine="auto"`` on networks as they are; "" if none were measured."""
    rows = [row for row in rows if row["topic"] in ("published", "ties")]
    if not rows:
        return ""
    works = list(dict.fromkeys(row["work"] for row in rows))
    lines = [_line(["network", "domain", "regions", *(f"{work}/s" for work in works)])]
    lines.append(_line(["---", "---", *["---:"] * (1 + len(works))]))
    for question in dict.fromkeys((row["architecture"], row["domain"]) for row in rows):
        here = {row["work"]: row for row in rows if (row["architecture"], row["domain"]) == question}
        rates = [_rounded(here[work]["rate"]) if work in here else "" for work in works]
        lines.append(_line([*question, _regions(here[works[0]]), *rates]))
    return "\n".join(lines)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _regions(row: dict[str, Any]) -> str:
    """Return the mean number of regions of a network; where networks were cut off it is more."""
    return f"{'> ' if row['n_cut_off'] else ''}{row['n_regions'] / row['n_networks']:,.0f}"


def _rounded(rate: float) -> str:
    """Write a rate with two digits: rounds differ by some per cent."""
    return f"{float(f'{rate:.2g}'):,.0f}"


def _times(ratio: float) -> str:
    """Write how many times as fast, with two digits."""
    return f"{ratio:.2g}" if ratio < 10 else _rounded(ratio)


def prediction_table(rows: list[dict[str, Any]]) -> str:
    """Return nanoseconds a point with every program, and how many times as fast as the fastest other the tree is."""
    programs = list(dict.fromkeys(row["program"] for row in rows))
    tree, *others = programs
    head = ["network", "regions", "comparisons", "points a call", *(f"{name}, ns" for name in programs)]
    lines = [_line([*head, "x fastest other"]), _line(["---", *["---:"] * (len(programs) + 4)])]
    for architecture, batch in dict.fromkeys((row["architecture"], row["batch"]) for row in rows):
        here = {row["program"]: row for row in rows if (row["architecture"], row["batch"]) == (architecture, batch)}
        # The cache answers through a forward pass; it is no competitor.
        fastest = max(here[name]["rate"] for name in others if not name.startswith("tropnet"))
        size = here[tree]["tree"]
        cells = [
            architecture,
            f"{size['n_regions']:,}",
            f"{size['mean_depth']:.1f}",
            f"{batch:,}",
            *(_rounded(1e9 / here[name]["rate"]) for name in programs),
            f"{here[tree]['rate'] / fastest:.2g}",
        ]
        lines.append(_line(cells))
    return "\n".join(lines)


@dataclass(frozen=True)
class Report:
    """One kind of run: its file and its block in `docs/speed.md`, its make target, its table and what to say below."""

    name: str
    target: str
    table: Callable[[list[dict[str, Any]]], str]
    note: str


REGIONS = Report(
    "benchmarks",
    "benchmark",
    tables,
    'Regions per second on one core of {cpu}, set-up and Python included: counting by default (`"auto"`) and with each'
    " compiled engine, then full output (patterns, points) and output with all facets by default. x: how many times the"
    " rate of other programs a default call has (the plain loops only count; regioncam finds facets in the plane, edge"
    " subdivision vertices and edges, both in float32). Below, networks as they are published, and with ties, by"
    " default. A 2-16-16 network has a few hundred regions, so the set-up of a call is much of its time.",
)
PREDICTION = Report(
    "prediction_benchmarks",
    "benchmark-prediction",
    prediction_table,
    "Nanoseconds a point on one core of {cpu}, through the public calls, points uniform in the box of half-width 10;"
    " tropnet computes in float64, the others in float32 but where it says so. Comparisons: mean over the regions.",
)


def replaced(text: str, name: str, block: str) -> str:
    """Return the text with `block` between the markers of this name.

    Raises
    ------
    ValueError
        The markers are missing.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    new, n = re.subn(f"{begin}.*?{end}", lambda _: f"{begin}\n{block}\n{end}", text, flags=re.DOTALL)
    if n != 1:
        raise ValueError(f"the text must hold one block {begin} ... {end}, got {n}.")
    return new


if __name__ == "__main__":
    main()

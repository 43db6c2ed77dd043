"""What stands between a person and the engines: import, compiling, default calls; this version, or two in turns.

python -m benchmarks.first_minutes [--before FOLDER] [--rounds N] [--dry-run]

Every measurement is a process of its own, by the clock, as a person meets it; those of compiling get an empty cache.
Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.shared import results
from analysis.shared.markdown import markdown_table
from benchmarks.report import processor, provenance, replaced

_PATIENCE = 120
_TIMED = "import time; begin = time.perf_counter(); {}; print(time.perf_counter() - begin)"
_NET = "import tropnet as tn; net = tn.Network.random({widths}, seed=0, init='torch'); box = tn.Box(-{half}, {half})"
_COLD = {"vertex": [3, 8, 8, 1], "polygon": [2, 8, 8, 1], "simplex": [8, 6, 6, 1]}
_PLANE = _NET.format(widths=[2, 64, 64, 64, 1], half=2.5)
_CALLS = {
    "adjacency graph": "tn.adjacency_graph(regions)",
    "linear regions": "tn.linear_regions(regions)",
    "statistics": "tn.statistics(regions)",
    "decision boundary": "tn.decision_boundary(regions)",
    "region map": "tn.plot_regions(regions)",
}


@dataclass(frozen=True)
class Row:
    """One line: `setup` is not timed, `call` is; `cold` runs with an empty cache of compiled kernels."""

    name: str
    setup: str
    call: str
    cold: bool = False


@dataclass(frozen=True)
class Config:
    """How often each is measured."""

    rounds: int


def rows() -> list[Row]:
    """Return all lines."""
    found = [
        Row("import tropnet", "pass", "import tropnet"),
        Row("tropnet --help", "import subprocess, sys", "subprocess.run([sys.executable, '-m', 'tropnet', '--help'])"),
    ]
    for engine, widths in _COLD.items():
        setup = _NET.format(widths=widths, half=1)
        found.append(
            Row(f"first count, {engine}, no cache", setup, f"tn.count_regions(net, box, engine='{engine}')", cold=True)
        )
    setup = f"{_NET.format(widths=_COLD['vertex'], half=1)}; tn.count_regions(net, box, engine='vertex')"
    call = "tn.enumerate_regions(net, box, engine='vertex', facets=True)"
    found.append(Row("first facets after that, vertex, no cache", setup, call, cold=True))
    for facets in ("", ", facets=True"):
        small = f"{_NET.format(widths=[2, 8, 8, 1], half=2.5)}; regions = tn.enumerate_regions(net, box{facets})"
        for name, call in _CALLS.items():
            # A first call compiles, or reads what was compiled.
            setup = f"{small}; {call}; {_PLANE}; regions = tn.enumerate_regions(net, box{facets})"
            with_facets = " of regions with facets" if facets else ""
            found.append(Row(f"{name}{with_facets}, 2-64-64-64", setup, call))
    return found


def measure(row: Row, folder: Path) -> float | None:
    """Return the seconds of one process; None if it takes longer than two minutes."""
    script = f"import contextlib, io\n{row.setup}\n{_TIMED.format(row.call)}"
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "TROPNET_QUIET": "1"}
        if row.cold:
            environment["NUMBA_CACHE_DIR"] = cache
        try:
            done = subprocess.run(  # noqa: S603
                [sys.executable, "-c", script],
                cwd=cache,
                env=environment,
                capture_output=True,
                text=True,
                check=True,
                timeout=_PATIENCE,
            )
        except subprocess.TimeoutExpired:
            return None
    return float(done.stdout.split()[-1])


def table(measured: list[dict[str, Any]]) -> str:
    """Return the rows as a table of seconds."""
    sides = [side for side in ("before", "now") if any(side in row for row in measured)]
    cells = [
        [f"{statistics.median(row[side]):.2g}" if row[side] else f"> {_PATIENCE}" for side in sides] for row in measured
    ]
    lines = [(row["what"], *times) for row, times in zip(measured, cells, strict=True)]
    return markdown_table(("what", *(f"{side}, s" for side in sides)), lines, n_words=1)


def main(arguments: list[str] | None = None) -> None:
    """Measure all rows, write the results file and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, help="another checkout to compare with")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dry-run", action="store_true", help="print the table, write nothing")
    options = parser.parse_args(arguments)
    measured = []
    for row in rows():
        found: dict[str, Any] = {"what": row.name, "now": []}
        if options.before:
            found["before"] = []
        for number in range(options.rounds):
            if options.before and (number == 0 or found["before"]):
                seconds = measure(row, options.before)
                found["before"] += [] if seconds is None else [seconds]
            found["now"] += [] if (now := measure(row, results.ROOT)) is None else [now]
        measured.append(found)
        print(table([found]).splitlines()[-1], flush=True)
    if not options.dry_run:
        record = provenance(processor(), "python -m benchmarks.first_minutes", Config(options.rounds))
        results.write_json(results.RESULTS / "first_minutes.json", record | {"rows": measured})
        readme = results.RESULTS / "README.md"
        readme.write_text(replaced(readme.read_text(), "first_minutes", table(measured)))


if __name__ == "__main__":
    main()

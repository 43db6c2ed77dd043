"""Compare this version with another checkout, row by row, in pairs, and beside other programs.

python -m benchmarks.before_after --before FOLDER [--models FOLDER] [--rows WORD ...] [--rounds N] [--dry-run]

Every measurement is a process of its own on one core; the two versions take turns, and each compiles before it is
timed. Times are of the processor, but those of several workers, which are of the clock.

The other programs are regioncam in the plane, and, where TROPNET_EDGE_SUBDIVISION names its folder, edge subdivision in
small boxes: vertices and edges, of which regions and facets are still to be made.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import tropnet as tn
from analysis.shared import results
from benchmarks import peers
from benchmarks.networks import PLANE, SMALL_BOXES, Case
from benchmarks.published import TIES, Fixed, published
from benchmarks.report import processor, provenance, replaced

_MOST_REGIONS = 1_000_000
# A call is repeated for about so long, and pairs of longer ones are not repeated.
_SECONDS, _LONG = 1.0, 20.0
_WORDS = {"count": "count", "facets": "all facets", "estimate": "estimate", "workers": "count, 2 workers"}


@dataclass(frozen=True)
class Config:
    """What was compared: `before` is the commit of the other checkout."""

    before: str
    rounds: int
    most_regions: int = _MOST_REGIONS


@dataclass(frozen=True)
class Row:
    """One line: a network on a domain, and what is asked."""

    case: Case | Fixed
    work: str

    def __str__(self) -> str:
        return f"{self.case}: {_WORDS[self.work]}"

    @property
    def peer(self) -> str | None:
        """Which other program does it."""
        if self.case in PLANE:
            return "regioncam" if find_spec("regioncam") else None
        return "edge subdivision" if self.case in SMALL_BOXES and peers.edge_subdivision_folder() else None


def rows() -> list[Row]:
    """Return all rows whose networks are there."""
    works = {"property 3": ("count", "estimate", "workers")}
    found = [Row(case, work) for case in published() for work in works.get(case.where, ("count",))]
    small = [Row(case, work) for case in (*PLANE, *SMALL_BOXES) for work in ("count", "facets")]
    return found + small + [Row(case, "count") for case in TIES]


def main(arguments: list[str] | None = None) -> None:
    """Measure; write the results and the table in `results/README.md`, or only print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.before_after", description=__doc__)
    parser.add_argument("--before", type=Path, required=True, help="the root of another checkout")
    parser.add_argument("--models", type=Path, help="the folder of published networks (default: TROPNET_MODELS)")
    parser.add_argument("--rows", nargs="+", help="only rows in whose names one of these words occurs")
    parser.add_argument("--rounds", type=int, default=2, help="pairs a row (default 2)")
    parser.add_argument("--dry-run", action="store_true", help="print the table, write nothing")
    options = parser.parse_args(arguments)
    if options.models:
        os.environ["TROPNET_MODELS"] = str(options.models.resolve())
    chosen = [row for row in rows() if not options.rows or any(word in str(row) for word in options.rows)]
    measured = [measure(row, options.before.resolve(), options.rounds) for row in chosen]
    text = table(measured)
    print(text)
    if options.dry_run:
        return
    git = ["git", "-C", str(options.before), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False)  # noqa: S603 -- the caller's own folder
    config = Config(commit.stdout.strip(), options.rounds)
    record = provenance(processor(), "python -m benchmarks.before_after --before FOLDER", config)
    results.write_json(results.RESULTS / "real_networks.json", record | {"rows": measured})
    readme = results.RESULTS / "README.md"
    readme.write_text(replaced(readme.read_text(), "real_networks", text))


def measure(row: Row, before: Path, rounds: int) -> dict[str, Any]:
    """Return the times of a row in pairs, and of another program; the answers of both versions must agree."""
    folders = {"before": before, "after": results.ROOT}
    seconds: dict[str, list[float]] = {side: [] for side in folders}
    answers = {}
    for number in range(rounds):
        # Who begins changes, as a machine warms up.
        for side in sorted(folders, reverse=number % 2 == 0):
            found = _process(folders[side], row, "tropnet")
            seconds[side].append(found["seconds"])
            answers[side] = found["answer"]
        if max(map(sum, seconds.values())) > _LONG:
            break
    if row.work != "estimate" and answers["before"] != answers["after"]:
        raise AssertionError(f"{row}: {answers['before']} regions before, {answers['after']} after.")
    ratios = [old / new for old, new in zip(seconds["before"], seconds["after"], strict=True)]
    out = {
        "network": row.case.architecture,
        "domain": row.case.where,
        "work": _WORDS[row.work],
        "answer": answers["after"],
        "seconds_before": seconds["before"],
        "seconds_after": seconds["after"],
        "times_as_fast": statistics.median(ratios),
    }
    if row.peer is not None:
        found = _process(results.ROOT, row, row.peer)
        out |= {"peer": row.peer, "seconds_peer": found["seconds"], "peer_differs": found["answer"] != answers["after"]}
    print(f"{row}: {out['times_as_fast']:.2f}", file=sys.stderr, flush=True)
    return out


def _process(folder: Path, row: Row, program: str) -> dict[str, Any]:
    """Measure in a process that has the library of a checkout and the benchmarks of this one."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import tropnet; sys.path[0] = sys.argv[2];"
        "from benchmarks import before_after; before_after.worker(sys.argv[3], sys.argv[4])"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    for path in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        # Other packages may come from there, the library must not.
        if path and not (Path(path) / "tropnet").exists():
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, [environment.get("PYTHONPATH"), path]))
    command = [sys.executable, "-c", code, str(folder), str(results.ROOT), str(row), program]
    done = subprocess.run(  # noqa: S603 -- this module, in this interpreter
        command, capture_output=True, text=True, check=False, env=environment, cwd=folder
    )
    if done.returncode:
        raise RuntimeError(f"{row} failed in {folder}:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def worker(name: str, program: str) -> None:
    """Measure one row in this process, and print seconds a call and the answer as JSON."""
    (row,) = [row for row in rows() if str(row) == name]
    clock = time.process_time
    if row.work == "workers":
        clock = time.perf_counter
    elif hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    small = Case(row.case.inputs, (row.case.inputs + 1, 2), 1.0)
    call, warm = (_call(each, program, row.work) for each in (row.case, small))
    warm()
    begin = clock()
    answer = call()
    best = clock() - begin
    spent = best
    while spent < _SECONDS:
        begin = clock()
        call()
        best, spent = min(best, clock() - begin), spent + max(clock() - begin, 1e-5)
    if program == "edge subdivision":
        answer = len(peers.patterns_at(answer))
    print(json.dumps({"seconds": best, "answer": answer}))


def _call(case: Case | Fixed, program: str, work: str) -> Callable[[], Any]:
    """Return what is timed: the public call, on a network that is there before; or another program."""
    net, domain = case.network(0), case.domain
    if program == "regioncam":
        layers = peers.as_layers(net)
        return lambda: peers.regioncam(layers, case, None)
    if program == "edge subdivision":
        subdivided = peers.as_subdivided(net)
        return lambda: peers.edge_subdivision(subdivided, case, None)
    if work == "facets":
        return lambda: len(tn.enumerate_regions(net, domain, facets=True, max_regions=_MOST_REGIONS))
    if work == "estimate":
        return lambda: round(tn.estimate_regions(net, domain).n_regions)
    workers = 2 if work == "workers" else 1
    return lambda: tn.count_regions(net, domain, workers=workers, max_regions=_MOST_REGIONS)


def table(measured: list[dict[str, Any]]) -> str:
    """Return the rows as a table: times before and after, how many times as fast, and against another program."""
    lines = [
        "| network | domain | work | regions | before, ms | after, ms | times as fast | x other program |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in measured:
        before, after = (statistics.median(row[f"seconds_{side}"]) for side in ("before", "after"))
        peer = f"{row['seconds_peer'] / after:.2g} ({row['peer']})" if "peer" in row else ""
        cells = [
            row["network"],
            row["domain"],
            row["work"],
            f"{row['answer']:,}",
            f"{before * 1e3:,.3g}",
            f"{after * 1e3:,.3g}",
            f"{row['times_as_fast']:.2g}",
            peer,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

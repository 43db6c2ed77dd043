"""Exact maxima of published networks: every output of every ACAS Xu network on the boxes of properties 1 to 4.

TROPNET_MODELS=FOLDER OMP_NUM_THREADS=1 python -m benchmarks.maxima [--properties 1 2 3 4] [--dry-run]

The folder holds, anywhere below it, the 45 networks and the properties as VNN-LIB files (see `published`). Seconds are
of CPU time, of a network that no call has seen; run it on an idle machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tropnet as tn
from analysis.shared import results
from benchmarks.published import input_box
from benchmarks.report import processor, provenance, replaced

_PROPERTIES = (1, 2, 3, 4)


@dataclass(frozen=True)
class Config:
    """Which boxes."""

    properties: tuple[int, ...]


def measure(folder: Path, properties: tuple[int, ...]) -> list[dict[str, Any]]:
    """Return one row per property: the seconds of all its maxima, and how many regions were solved exactly."""
    networks = sorted(folder.rglob("ACASXU_*.onnx"))
    found = []
    for number in properties:
        box = input_box(next(folder.rglob(f"prop_{number}.vnnlib")).read_text())
        seconds, solved = [], []
        for path in networks:
            layers = tn.from_onnx(path)
            for output in range(layers.n_outputs):
                net = tn.Network(layers.layers, layers.n_inputs)
                begin = time.process_time()
                top = tn.maximum(net, box, output)
                seconds.append(time.process_time() - begin)
                solved.append(top.n_solved)
        found.append({"property": number, "networks": len(networks), "seconds": seconds, "solved": solved})
        print(table([found[-1]]).splitlines()[-1], flush=True)
    return found


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a table."""
    lines = [
        "| box of property | maxima | median, s | largest, s | all, s | regions solved exactly, median |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        seconds, solved = row["seconds"], row["solved"]
        lines.append(
            f"| {row['property']} | {len(seconds)} | {statistics.median(seconds):.2g} | {max(seconds):.2g} |"
            f" {sum(seconds):.3g} | {statistics.median(solved):.0f} |"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Measure, write the results file and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--properties", type=int, nargs="+", default=_PROPERTIES, choices=_PROPERTIES)
    parser.add_argument("--dry-run", action="store_true", help="print the table, write nothing")
    options = parser.parse_args(arguments)
    folder = os.environ.get("TROPNET_MODELS")
    if not folder:
        parser.error("TROPNET_MODELS must name the folder with the networks and properties")
    measured = measure(Path(folder), tuple(options.properties))
    if not options.dry_run:
        record = provenance(processor(), "python -m benchmarks.maxima", Config(tuple(options.properties)))
        results.write_json(results.RESULTS / "maxima.json", record | {"rows": measured})
        readme = results.RESULTS / "README.md"
        readme.write_text(replaced(readme.read_text(), "maxima", table(measured)))


if __name__ == "__main__":
    main()

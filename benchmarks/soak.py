"""A run of more than 10^9 regions, killed again and again: ACAS Xu 1_1 on a tenth of its domain, counted.

TROPNET_MODELS=FOLDER OMP_NUM_THREADS=1 python -m benchmarks.soak [--run DIR] [--kills N] [--minutes M] [--report]

The domain is that of the network with the first input between 16 % and 26 % of its range. A process counts with two
threads and is killed (SIGKILL) after a random time, N times; the next one goes on. This program may be stopped, too: it
goes on with the run it finds, and with the list of sessions beside it. `--report` writes how far it is.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from statistics import median
from typing import Any

import numpy as np

import tropnet as tn
from analysis.shared import results
from benchmarks.report import processor, provenance, replaced
from tropnet.regions.runs.journal import is_run, read_manifest
from tropnet.regions.runs.status import status_of

_LOW = (-0.328422877, -0.499999896, -0.499999896, -0.5, -0.5)
_HIGH = (0.679857769, 0.499999896, 0.499999896, 0.5, 0.5)


@dataclass(frozen=True)
class Config:
    """What is counted, and how it is disturbed."""

    begin: float = 0.16
    end: float = 0.26
    workers: int = 2
    kills: int = 8
    minutes: float = 12.0
    seed: int = 0


def domain(config: Config) -> tn.Box:
    """Return the slab of the first input."""
    low, high = np.array(_LOW), np.array(_HIGH)
    length = high[0] - low[0]
    first = low[0] + config.begin * length, low[0] + config.end * length
    return tn.Box(np.r_[first[0], low[1:]], np.r_[first[1], high[1:]])


def work(folder: Path, run: Path, config: Config) -> None:
    """Count in a directory, and say what the process held before and at most; what is killed."""
    net = tn.from_onnx(next(folder.rglob("ACASXU_*_1_1_*.onnx")))
    box = domain(config)
    # What the imported library holds, kernels included.
    tn.count_regions(net, tn.Box(box.low, box.low + 1e-3), workers=config.workers)
    before = getrusage(RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"megabytes_before": before}), flush=True)
    n = tn.count_regions(net, box, out=run, workers=config.workers)
    print(json.dumps({"n_regions": n, "megabytes": getrusage(RUSAGE_SELF).ru_maxrss / 1024 - before}), flush=True)


def sessions_of(run: Path) -> list[dict[str, Any]]:
    """Return what is kept beside a run: what each session did."""
    record = run.with_suffix(".sessions.json")
    return json.loads(record.read_text()) if record.exists() else []


def sessions(run: Path, config: Config) -> list[dict[str, Any]]:
    """Run processes until one ends by itself; return, and keep beside the run, what each of them did."""
    record, done = run.with_suffix(".sessions.json"), sessions_of(run)
    while not (is_run(run) and status_of(run).finished):
        n_before = status_of(run).n_regions if is_run(run) else 0
        killed_before = sum(session["killed"] for session in done)
        patience = None
        if killed_before < config.kills:
            patience = 60 * config.minutes * np.random.default_rng([config.seed, killed_before]).uniform(0.1, 1.0)
        command = [sys.executable, "-m", "benchmarks.soak", "--run", str(run), "--work"]
        begin = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 -- this program
        killed = False
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            killed = True
        except BaseException:
            process.kill()
            raise
        finally:
            said = [json.loads(line) for line in process.communicate()[0].splitlines()]
            values = {name: value for line in said for name, value in line.items()}
            n = status_of(run).n_regions - n_before if is_run(run) else 0
            seconds = time.monotonic() - begin
            done.append({"killed": killed, "seconds": seconds, "regions_kept": n, "code": process.returncode, **values})
            record.write_text(json.dumps(done))
            print(done[-1], flush=True)
        if process.returncode not in (0, -signal.SIGKILL):
            raise SystemExit("the process failed; see above")
    return done


def table(record: dict[str, Any]) -> str:
    """Return what the results say of it."""
    status, done = record["status"], record["sessions"]
    killed = sum(session["code"] == -signal.SIGKILL for session in done)
    hours = sum(session["seconds"] for session in done) / 3600
    before = median(session.get("megabytes_before", 0.0) for session in done)
    state = "all" if status["finished"] else f"so far ({status['fraction']:.0%} of the tree)"
    return "\n".join(
        [
            "| regions | | sessions | killed | hours by the clock | hours of work | MB held at most | of them before it"
            " began |",
            "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
            f"| {status['n_regions']:,} | {state} | {len(done)} | {killed} | {hours:.2f} |"
            f" {status['seconds'] / 3600:.2f} | {(status['memory'] or 0) / 2**20:.0f} | {before:.0f} |",
        ]
    )


def main(arguments: list[str] | None = None) -> None:
    """Run it, write the results file and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=results.RESULTS / ".cache" / "soak", help="where the run is kept")
    parser.add_argument("--kills", type=int, default=Config.kills)
    parser.add_argument("--minutes", type=float, default=Config.minutes, help="the longest time to a kill")
    parser.add_argument("--work", action="store_true", help="be the process that counts")
    parser.add_argument("--report", action="store_true", help="only write how far the run is")
    parser.add_argument("--dry-run", action="store_true", help="write nothing into results/")
    options = parser.parse_args(arguments)
    folder = os.environ.get("TROPNET_MODELS")
    if not folder:
        parser.error("TROPNET_MODELS must name the folder with the networks")
    config = Config(kills=options.kills, minutes=options.minutes)
    options.run.parent.mkdir(parents=True, exist_ok=True)
    if options.work:
        work(Path(folder), options.run, config)
        return
    done = sessions_of(options.run) if options.report else sessions(options.run, config)
    record = provenance(processor(), "python -m benchmarks.soak", config) | {
        "manifest": asdict(read_manifest(options.run)),
        "status": asdict(status_of(options.run)),
        "sessions": done,
    }
    text = table(record)
    print(text)
    if not options.dry_run:
        results.write_json(results.RESULTS / "soak.json", record)
        readme = results.RESULTS / "README.md"
        readme.write_text(replaced(readme.read_text(), "soak", text))


if __name__ == "__main__":
    main()

"""Twenty SIGKILLs at random moments, of a run that enumerates and of one that counts more than 10^6 regions.

OMP_NUM_THREADS=1 python -m benchmarks.killed_runs [--dry-run]

A session is a process that goes on with the run. It is killed after a random time, until all kills are spent; the last
one ends by itself. Then the set of regions must be that of one process in memory, none twice, and the count their
number. Seconds are those of the processor after the library is imported and the kernels are loaded: what all sessions
took beyond one that is not disturbed is what killing and resuming cost.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tropnet as tn
from analysis.shared import results
from benchmarks.report import processor, provenance
from tropnet.regions.runs.journal import is_run, read_state

_BOX = tn.Box(-1.0, 1.0)


@dataclass(frozen=True)
class Config:
    """What is searched, on the box [-1, 1]^d, and how often it is killed.

    Attributes
    ----------
    most
        The most that a session that is killed lasts, of the time that one takes which is not disturbed.
    """

    seed: int = 0
    widths: tuple[int, ...] = (4, 96, 96, 1)
    kills: int = 20
    most: float = 0.07


def work(kind: str, run: Path, config: Config) -> None:
    """Go on with a run; what is killed. Says how long the processor took until it begins."""
    call: Callable[..., Any] = tn.enumerate_regions if kind == "regions" else tn.count_regions
    with tempfile.TemporaryDirectory() as folder:
        call(tn.Network.random([config.widths[0], 4, 4, 1], seed=0), _BOX, out=folder)
    print(time.process_time(), flush=True)
    call(tn.Network.random(list(config.widths), seed=config.seed), _BOX, out=run)


def session(kind: str, run: Path, seconds: float | None) -> dict[str, Any]:
    """Let a process work for so many seconds or to its end; return what became of it."""
    n_before = read_state(run).n_regions if is_run(run) else 0
    command = [sys.executable, "-m", "benchmarks.killed_runs", "--work", kind, str(run)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 -- this program
    assert process.stdout is not None
    begun = float(process.stdout.readline())
    begin = time.monotonic()
    if seconds is not None:
        time.sleep(seconds)
        os.kill(process.pid, signal.SIGKILL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == (0 if seconds is None else -signal.SIGKILL)
    return {
        "seconds_by_the_clock": time.monotonic() - begin,
        "seconds": usage.ru_utime + usage.ru_stime - begun,
        "n_regions": (read_state(run).n_regions if is_run(run) else 0) - n_before,
    }


def sorted_rows(rows: np.ndarray) -> np.ndarray:
    """Return packed patterns in their order, to compare them as sets."""
    return np.sort(np.ascontiguousarray(rows).view(np.dtype((np.void, rows.shape[1]))).ravel())


def study(kind: str, expected: np.ndarray, folder: Path, config: Config) -> dict[str, Any]:
    """Run undisturbed, then with kills; compare."""
    undisturbed = session(kind, folder / f"{kind} undisturbed", None)
    rng, run = np.random.default_rng(config.seed), folder / kind
    most = config.most * undisturbed["seconds_by_the_clock"]
    sessions = [session(kind, run, seconds) for seconds in rng.uniform(0.0, most, config.kills)]
    sessions.append(session(kind, run, None))
    state = read_state(run)
    assert state.finished
    assert state.n_regions == len(expected)
    if kind == "regions":
        found = np.concatenate([regions.packed for regions in tn.Run(run).iter_parts()])
        assert np.array_equal(sorted_rows(found), expected), "another set"
    total = sum(each["seconds"] for each in sessions)
    return {
        "n_regions": state.n_regions,
        "identical": True,
        "kills": config.kills,
        "sessions": sessions,
        "pieces": state.n_pieces,
        "seconds": total,
        "seconds_undisturbed": undisturbed["seconds"],
        "seconds_a_kill": (total - undisturbed["seconds"]) / config.kills,
    }


def main() -> None:
    """Measure, print, and write `results/killed_runs.json`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.killed_runs", description=__doc__)
    parser.add_argument("--dry-run", action="store_true", help="write nothing")
    parser.add_argument("--work", nargs=2, metavar=("KIND", "RUN"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    config = Config()
    if options.work:
        work(options.work[0], Path(options.work[1]), config)
        return
    regions = tn.enumerate_regions(tn.Network.random(list(config.widths), seed=config.seed), _BOX)
    expected = sorted_rows(regions.packed)
    assert (expected[1:] != expected[:-1]).all()
    del regions
    with tempfile.TemporaryDirectory() as folder:
        rows = {kind: study(kind, expected, Path(folder), config) for kind in ("regions", "count")}
    for kind, row in rows.items():
        print(
            f"{kind}: {row['n_regions']:,} regions, identical after {row['kills']} kills; {row['seconds']:.1f} s of CPU"
            f" time, undisturbed {row['seconds_undisturbed']:.1f} s"
        )
    if not options.dry_run:
        record = provenance(processor(), "python -m benchmarks.killed_runs", config)
        results.write_json(results.RESULTS / "killed_runs.json", record | {"rows": rows})


if __name__ == "__main__":
    main()

"""Run the parts one after another, each in a process of its own that is stopped when its time is out.

Two folders: `work` is what the studies write into, checkpoints included; `out` is given what is small (results,
networks that are done, logs), so that it can be carried away, and from it a run on another machine goes on.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.gpu_studies import precision
from analysis.gpu_studies.parts import MINUTES, PARTS, Part, arguments
from analysis.shared.results import ROOT, provenance, write_json

__all__ = ["STATE", "Plan", "call_python", "run"]

STATE = "gpu_studies.json"
# Seconds: a part needs the first at least to be begun, the second to report on what it has done when it is stopped.
_SHORTEST, _REPORT = 15.0, 40.0

Call = Callable[[Sequence[str], float, Path], int | None]


@dataclass(frozen=True)
class Plan:
    """How to run the parts.

    Attributes
    ----------
    out, work
        See the module.
    device
        As PyTorch names it.
    minutes
        After so many all is done or stopped.
    workers
        Processes that share the GPU while networks are trained.
    quick
        One step or so of each part: a rehearsal.
    """

    out: Path
    work: Path
    device: str = "cuda"
    minutes: float = MINUTES
    workers: int = 1
    quick: bool = False


@dataclass(frozen=True)
class _Kind:
    """What a run must share with the one that it goes on from, beside the GPU."""

    device: str
    quick: bool


def run(plan: Plan, call: Call | None = None, parts: Sequence[Part] = PARTS) -> dict[str, Any]:
    """Run the parts that are not done, write what was done into `out`, and return it.

    Parameters
    ----------
    plan
        See there.
    call
        Takes the arguments of Python, seconds and a log file; returns the exit status, None if time was out.
    parts
        In order.
    """
    call = call or call_python
    end = time.monotonic() + 60 * plan.minutes
    state = _begin(plan)
    _copy_finished(plan.out / "finished", plan.work / "results" / ".cache")
    for own_time in (True, False):  # first each in its own time, then what is left of the whole
        for part in parts:
            record = state["parts"].get(part.name, {})
            if record.get("status") in ("done", "failed"):
                continue
            left = end - time.monotonic() - (_REPORT if part.summarised else 0.0)
            own = 60 * part.minutes * plan.minutes / MINUTES
            seconds = min(left, own) if own_time else left
            if seconds < _SHORTEST:
                print(f"{part.name}: no time is left", flush=True)
                continue
            try:
                state["parts"][part.name] = _run_part(part, plan, state, seconds, call)
            finally:  # this command may be stopped, too
                _keep(plan, state)
    return state


def _begin(plan: Plan) -> dict[str, Any]:
    """Return the state of an earlier run of this kind in `out`, or a new one; parts that failed are tried again."""
    path = plan.out / STATE
    state = {**provenance(_Kind(plan.device, plan.quick), "make gpu-studies", ("torch",)), "parts": {}}
    if path.exists():
        earlier = json.loads(path.read_text())
        for key in ("gpu", "config"):
            if earlier.get(key) != state.get(key):
                sys.exit(
                    f"{plan.out} must be an empty folder, or hold what this machine has done, but its {key} is"
                    f" {earlier.get(key)}, here {state.get(key)}. Name another folder."
                )
        state = {**earlier, "parts": {k: v for k, v in earlier["parts"].items() if v["status"] != "failed"}}
    write_json(path, state)
    return state


def _run_part(part: Part, plan: Plan, state: dict[str, Any], seconds: float, call: Call) -> dict[str, Any]:
    if part.mixed_precision and "mixed_precision" not in state:
        state["mixed_precision"] = _shown_harmless(plan)  # once: runs in another precision would be other runs
    given = arguments(
        part,
        device=plan.device,
        workers=plan.workers,
        mixed_precision=state.get("mixed_precision"),
        quick=plan.quick,
        out=_shown(plan.work),
    )
    log = plan.out / "logs" / f"{PARTS.index(part) if part in PARTS else 0}_{part.module}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    print(f"{part.name}: at most {seconds:.0f} s ...", flush=True)
    begin = time.monotonic()
    status = call(["-m", f"analysis.{part.module}", *given], seconds, log)
    if status is None and part.summarised:
        call(["-m", f"analysis.{part.module}", *given, "--summarise"], _REPORT, log)
    found = {
        "status": "stopped" if status is None else "failed" if status else "done",
        "seconds": round(state["parts"].get(part.name, {}).get("seconds", 0) + time.monotonic() - begin, 1),
        "module": part.module,
    }
    print(f"{part.name}: {found['status']} after {found['seconds']:.0f} s in all; see {log}", flush=True)
    return found


def _shown(path: Path) -> str:
    """Return a path as results may show it: that of a folder of the repository does not say where that is."""
    path = path.resolve()
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def _shown_harmless(plan: Plan) -> str | None:
    path = plan.work / "results" / f"{precision.NAME}.json"
    return precision.TYPE if path.exists() and json.loads(path.read_text())["use"] else None


def call_python(given: Sequence[str], seconds: float, log: Path) -> int | None:
    """Run Python with arguments in the checkout, its output into the log; stop it and its children when time is out."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - studies of this repository
            [sys.executable, *given],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                # Checkpoints are written atomically, and networks that are done are kept: nothing is to be tidied.
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _keep(plan: Plan, state: dict[str, Any]) -> None:
    """Write the state, and copy results and networks that are done into `out`."""
    write_json(plan.out / STATE, state)
    results = plan.work / "results"
    (plan.out / "results").mkdir(parents=True, exist_ok=True)
    for path in results.glob("*.json"):
        shutil.copy(path, plan.out / "results")
    _copy_finished(results / ".cache", plan.out / "finished")


def _copy_finished(source: Path, target: Path) -> None:
    """Copy the records of networks that are done, which lie beside the folders of checkpoints."""
    for path in source.glob("*/*.json"):
        copy = target / path.parent.name / path.name
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)

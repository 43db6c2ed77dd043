"""Run the parts one after another, each in a process of its own that is stopped when its time is out.

Two folders: `work` is what the studies write into, checkpoints included; `out` is given what is small (results,
networks that are done, logs), so that it can be carried away, and from it a run on another machine goes on.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.gpu_studies import precision
from analysis.gpu_studies.parts import MINUTES, PARTS, Part, arguments
from analysis.shared.results import ROOT, copy, holds_more, provenance, read_json, write_json
from tropnet.errors import FileFormatError

__all__ = ["STATE", "Plan", "call_python", "run"]

STATE = "gpu_studies.json"
_LOCK = "lock"
# Seconds: a part needs the first at least to be begun; of its time the second is for a report, should it be stopped.
_SHORTEST, _REPORT = 15.0, 25.0

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
    _refuse_folders_of_others(plan)
    with _locked(plan.work, "--work"), _locked(plan.out, "--out"):
        state = _begin(plan)
        if all(_is_over(part, state) for part in parts):
            print("All parts are done.", flush=True)
        _copy_finished(plan.out / "finished", plan.work / "results" / ".cache")
        for own_time in (True, False):  # first each in its own time, then what is left of the whole
            for part in parts:
                if _is_over(part, state):
                    continue
                left, own = end - time.monotonic(), 60 * part.minutes * plan.minutes / MINUTES
                report = _REPORT if part.summarised else 0.0
                seconds = min(left - report, max(own - report, _SHORTEST)) if own_time else left - report
                if seconds < _SHORTEST:
                    print(f"{part.name}: no time is left", flush=True)
                    continue
                try:
                    state["parts"][part.name] = _run_part(part, plan, state, seconds, call)
                finally:  # this command may be stopped, too
                    _keep(plan, state)
    return state


def _is_over(part: Part, state: dict[str, Any]) -> bool:
    """Return whether a part has ended, or its outcome could no longer be used."""
    if part.module == "gpu_studies.precision" and "mixed_precision" in state:
        return True
    return state["parts"].get(part.name, {}).get("status") in ("done", "failed")


@contextlib.contextmanager
def _locked(folder: Path, option: str) -> Iterator[None]:
    """Hold the lock of a folder, in the processes of the parts too: they may outlive this one."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _LOCK
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(
                f"{folder} must be used by one run at a time, but another works there, or a part of one that was"
                f" killed: `fuser {path}` names it. Wait for it or stop it, or name another folder by {option}."
            )
        os.set_inheritable(file.fileno(), True)
        yield


def _refuse_folders_of_others(plan: Plan) -> None:
    """Exit where a folder holds what this command did not write; nothing is written then."""
    for option, folder, inside in (("--work", plan.work, ()), ("--out", plan.out, (plan.work,))):
        if folder.is_dir() and not (folder / STATE).exists():
            found = sorted(path.name for path in folder.iterdir() if path.name != _LOCK and path not in inside)
            if found:
                sys.exit(
                    f"{folder} must be an empty folder, or hold what this command wrote, but it holds {found[0]} and"
                    f" no {STATE}. Name another folder by {option}."
                )


def _begin(plan: Plan) -> dict[str, Any]:
    """Return the state of an earlier run of this kind in `out`, or a new one; parts that failed are tried again.

    Both folders are marked as those of this GPU and version of PyTorch: another would go on with other networks.
    """
    own = {**provenance(_Kind(plan.device, plan.quick), "make gpu-studies", ("torch",)), "parts": {}}
    for option, folder in (("--work", plan.work), ("--out", plan.out)):
        earlier = _earlier(folder / STATE)
        for what, key in (("GPU", _gpu), ("size and device", _config), ("PyTorch", _torch)):
            if earlier is not None and key(earlier) != key(own):
                sys.exit(
                    f"{folder} must be an empty folder, or hold what a machine of this kind has done, but its {what} is"
                    f" {key(earlier)}, here {key(own)}. Name another folder by {option}."
                )
    state = _earlier(plan.out / STATE) or own
    state["parts"] = {name: part for name, part in state["parts"].items() if part["status"] != "failed"}
    write_json(plan.work / STATE, own)
    write_json(plan.out / STATE, state)
    return state


def _earlier(path: Path) -> dict[str, Any] | None:
    """Return the state of an earlier run, None if there is none."""
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text())
        (_gpu(found), _config(found), _torch(found))
        [(part["status"], part["module"], float(part["seconds"])) for part in found["parts"].values()]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileFormatError(
            f"{path} must be the state of a run, as this command writes it ({type(error).__name__}: {error}). Name"
            " another folder."
        ) from error
    return found


def _gpu(state: dict[str, Any]) -> Any:
    return state.get("gpu")


def _config(state: dict[str, Any]) -> Any:
    return state["config"]


def _torch(state: dict[str, Any]) -> Any:
    return state["versions"]["torch"]


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
    log = plan.work / "logs" / f"{PARTS.index(part) if part in PARTS else 0}_{part.module}.log"
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
    found = read_json(path) if path.exists() else None
    shown = isinstance(found, dict) and found.get("use")
    print(f"networks are trained in {precision.TYPE if shown else 'float32'}", flush=True)
    return precision.TYPE if shown else None


def call_python(given: Sequence[str], seconds: float, log: Path) -> int | None:
    """Run Python with arguments in the checkout, its output into the log; stop it and its children when time is out."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    environment.pop("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", None)  # products of matrices in float32 are to be float32
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - studies of this repository
            [sys.executable, *given],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            close_fds=False,  # the lock
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
    """Write the state, and copy results, networks that are done and logs into `out`.

    What another machine has got to stays where this one has not got as far; what cannot be copied is still in `work`.
    """
    results = plan.work / "results"
    try:
        write_json(plan.out / STATE, state)
        for path in results.glob("*.json"):
            target = plan.out / "results" / path.name
            if _is_whole(path) and not holds_more(target, read_json(path)):
                copy(path, target)
        _copy_finished(results / ".cache", plan.out / "finished")
        for path in (plan.work / "logs").glob("*.log"):
            copy(path, plan.out / "logs" / path.name)
    except OSError as error:
        print(f"{plan.out} must take what was found: {error}. It is kept in {plan.work}.", flush=True)


def _copy_finished(source: Path, target: Path) -> None:
    """Copy the records of networks that are done, which lie beside the folders of checkpoints; not damaged ones."""
    for path in source.glob("*/*.json"):
        place = target / path.parent.name / path.name
        if not _is_whole(path):
            print(f"{path} is damaged, and left out: its network is trained again.", flush=True)
        elif not _is_whole(place):
            copy(path, place)


def _is_whole(path: Path) -> bool:
    try:
        json.loads(path.read_text())
    except (OSError, ValueError):
        return False
    return True

"""What the studies have for a GPU, most telling first, in some minutes; and its results beside those of a CPU.

    make gpu-studies OUT=FOLDER
    python -m analysis.gpu_studies --out FOLDER --minutes 12
    python -m analysis.gpu_studies --rehearse
    python -m analysis.gpu_studies --merge FOLDER

A stopped run goes on where it was, as long as the checkout is there; on another machine of its kind, from the networks
that are done in the folder. --rehearse runs a step or so of each part on the CPU.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from analysis.gpu_studies import machine
from analysis.gpu_studies.parts import MINUTES

_WORKERS = 12
_LEAST_MINUTES = 0.5  # a part needs a quarter of one to be begun


def main(given: list[str]) -> None:
    """Do what the command line asks."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis.gpu_studies", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="run, and write what is small into this folder")
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--rehearse", action="store_true", help="a step or so of each part, on the CPU")
    modes.add_argument("--merge", type=Path, metavar="FOLDER", help="take over what a run wrote: into results/gpu/")
    parser.add_argument("--minutes", type=float, default=MINUTES, metavar="N", help="in all (default: %(default)g)")
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help=f"processes on the GPU (default: one a core, at most {_WORKERS}, and no more than its memory holds)",
    )
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="of the data sets (default: that of TROPNET_DATA, else fetched)"
    )
    parser.add_argument(
        "--work", type=Path, metavar="FOLDER", help="of checkpoints (default: results/.cache/gpu_studies)"
    )
    options = parser.parse_args(given)
    if not (options.out or options.rehearse or options.merge):
        parser.error("one of --out, --rehearse and --merge is required")
    if options.out and options.merge:
        parser.error("--merge FOLDER reads FOLDER and writes into results/gpu/; it takes no --out")
    if not _LEAST_MINUTES <= options.minutes < math.inf:
        parser.error(f"--minutes must be a number from {_LEAST_MINUTES:g} on, got {options.minutes:g}")
    if options.workers is not None and options.workers < 1:
        parser.error(f"--workers must be 1 or more, got {options.workers}")
    machine.prepare()
    if options.merge:
        _merge(options.merge)
    else:
        _run(options)


def _merge(folder: Path) -> None:
    from analysis.gpu_studies.merge import merge
    from tropnet.errors import FileFormatError

    try:
        print("\n".join(["wrote:", *(f"  {path}" for path in merge(folder))]))
    except (FileFormatError, OSError) as error:
        sys.exit(f"python -m analysis.gpu_studies: {error}")


def _run(options: argparse.Namespace) -> None:
    from analysis.gpu_studies.run import Plan, run
    from analysis.shared import datasets
    from tropnet.errors import FileFormatError

    begin = time.monotonic()
    stop_with_the_part_under_way()
    name = machine.gpu()
    if name is None and not options.rehearse:
        sys.exit("A GPU that PyTorch can use must be there; there is none. --rehearse runs on the CPU.")
    data = options.data or os.environ.get(datasets.FOLDER_VARIABLE)
    if data:  # the parts run in the checkout, wherever this command was given
        os.environ[datasets.FOLDER_VARIABLE] = str(Path(data).resolve())
    try:
        for split in ("train", "test"):
            datasets.load("mnist", split)
    except (FileFormatError, OSError) as error:
        sys.exit(f"python -m analysis.gpu_studies: {error}")
    out = (options.out or Path(tempfile.mkdtemp(prefix="tropnet-gpu-rehearsal-"))).resolve()
    plan = Plan(
        out,
        _work(options, out),
        "cpu" if options.rehearse else "cuda",
        options.minutes - (time.monotonic() - begin) / 60,  # data may have been fetched
        options.workers or _processes(options.rehearse),
        options.rehearse,
    )
    print(
        f"{name or 'CPU, a rehearsal'}: at most {plan.minutes:.3g} minutes, {plan.workers} processes; into {out}",
        flush=True,
    )
    try:
        state = run(plan)
    except (FileFormatError, OSError) as error:
        sys.exit(f"python -m analysis.gpu_studies: {error}")
    failed = [name for name, part in state["parts"].items() if part["status"] == "failed"]
    if failed:
        sys.exit(
            f"failed: {'; '.join(failed)}. Their logs, which say why, are in {plan.work / 'logs'}. The same line tries"
            " them again, with --workers fewer processes where the GPU's memory was too small."
        )


def stop_with_the_part_under_way() -> None:
    """Let what stops this command stop the part under way, too, which is a process of its own; but nohup is nohup."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def _stop(number: int, _: object) -> None:
    print("Stopped. The same line goes on from the checkpoints.", flush=True)
    sys.exit(128 + number)


def _work(options: argparse.Namespace, out: Path) -> Path:
    """Return the folder of checkpoints."""
    if options.work:
        return Path(options.work).resolve()
    return out / "work" if options.rehearse else machine.ROOT / "results" / ".cache" / "gpu_studies"


def _processes(rehearse: bool) -> int:
    """Return how many processes share the GPU unless the user says so."""
    cores = min(_WORKERS, os.cpu_count() or 1)
    return cores if rehearse else min(cores, machine.fitting_processes())


if __name__ == "__main__":
    main(sys.argv[1:])

"""The one command of all studies: options, where files go, results with their provenance, figures.

A study says in a `Study` what it runs; `main` does the rest. A quick run shows that everything works. It never touches
what full runs have written: it writes into a fresh folder, or into one that is named and holds no full result.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.shared import results
from tropnet.errors import FileFormatError, MissingExtraError
from tropnet.progress import ends_sooner

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Arguments = Mapping[str, Mapping[str, Any]]


def positive(text: str) -> int:
    """Return the number of an option that counts something.

    Raises
    ------
    ArgumentTypeError
        It is no whole number, or less than 1.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on, got {text!r}")
    return int(text)


_METAVARS = {int: "N", positive: "N", float: "X", Path: "FOLDER"}

# Options that more than one study has; each names those that it takes.
DATA: Arguments = {
    "--data": {"type": Path, "help": "folder with the data sets (default: that named by TROPNET_DATA, else fetched)"}
}
DEVICE: Arguments = {"--device": {"default": "cpu", "help": "cpu, cuda, ..."}}
SUMMARISE: Arguments = {"--summarise": {"action": "store_true", "help": "train nothing: report on what is done so far"}}
THREADS: Arguments = {"--threads": {"type": positive, "default": 1, "help": "CPU threads of PyTorch"}}


def workers(default: int) -> Arguments:
    """Return the option for the number of processes."""
    return {"--workers": {"type": positive, "default": default, "help": "processes"}}


@dataclass(frozen=True)
class Job:
    """Where a run finds its data and keeps what is done, and how it works; nothing that changes the numbers.

    Attributes
    ----------
    cache
        Folder of finished parts.
    data
        Folder with the data sets, see `analysis.shared.datasets.load`.
    workers
        Processes.
    train_more
        Whether to train what is missing.
    go_on
        Whether a study of times takes over what an earlier run has measured.
    """

    cache: Path
    data: Path | None = None
    workers: int = 1
    train_more: bool = True
    go_on: bool = False


@dataclass(frozen=True)
class Study:
    """A study, as its command needs it.

    Attributes
    ----------
    name
        Of its package, of its results file, of its part of the cache.
    about
        What it asks and how to run it: the head of the help. Paragraphs are filled, indented ones stay as they are.
    quick
        What a quick run does, with the numbers that it uses.
    configure
        Takes the options and returns the configuration, a frozen dataclass: all that determines the numbers.
    run
        Takes the configuration and a `Job`; returns what goes into the results file beside the provenance.
    summary
        Takes the record of the results file and returns it as a short text.
    draw
        Takes the path of the results file and returns figures by name, drawn from that file.
    tables
        Takes a path and the record, and writes tables into that Markdown file.
    packages
        Whose versions are told beside those that all studies tell.
    reduced
        What the profile between the full and the quick one does, if there is one. Its results have names of their own.
    arguments
        The study's own options, as `argparse.ArgumentParser.add_argument` takes them, by flag.
    """

    name: str
    about: str
    quick: str
    configure: Callable[[argparse.Namespace], Any]
    run: Callable[[Any, Job], dict[str, Any]]
    summary: Callable[[dict[str, Any]], str]
    draw: Callable[[Path], Mapping[str, Figure]] | None = None
    tables: Callable[[Path, dict[str, Any]], None] | None = None
    packages: tuple[str, ...] = ()
    reduced: str | None = None
    arguments: Arguments = field(default_factory=dict)


def main(study: Study, arguments: list[str] | None = None) -> None:
    """Run a study as the command line asks; write its results, draw its figures, print a summary."""
    given = sys.argv[1:] if arguments is None else arguments
    options = parser(study).parse_args(given)
    folder, figures = _folders(study, options)
    if "threads" in options:
        sys.modules["torch"].set_num_threads(options.threads)  # imported by every study that has the option
    config = study.configure(options)
    job = Job(
        cache=folder / ".cache" / study.name,
        data=getattr(options, "data", None),
        workers=getattr(options, "workers", 1),
        train_more=not getattr(options, "summarise", False),
        go_on=getattr(options, "go_on", False),
    )
    command = shlex.join(["python", "-m", f"analysis.{study.name}", *given])
    record = results.provenance(config, command, study.packages) | ({"quick": True} if options.quick else {})
    if "threads" in options:
        record["threads"] = options.threads
    try:
        with ends_sooner(""):  # the size of a study is its configuration's
            record |= study.run(config, job)
    except (MissingExtraError, FileFormatError, OSError) as error:  # what a user can mend: an extra, data, a folder
        sys.exit(f"python -m analysis.{study.name}: {error}")
    name = f"{study.name}_reduced" if getattr(options, "reduced", False) else study.name
    written = [folder / f"{name}.json"]
    if not job.train_more and results.holds_more(written[0], record):
        sys.exit(
            f"python -m analysis.{study.name}: {written[0]} holds more than what is done in {job.cache}. Nothing was"
            " written; --out names another folder."
        )
    results.write_json(written[0], record)
    if study.tables is not None:
        written.append(folder / f"{name}.md")
        study.tables(written[1], record)
    if study.draw is not None:
        written += results.write_figures(study.draw(written[0]), figures)
    print(study.summary(record))
    print("\n".join(["wrote:", *(f"  {path}" for path in written)]))


def parser(study: Study) -> argparse.ArgumentParser:
    """Return the parser of a study's options."""
    found = argparse.ArgumentParser(
        prog=f"python -m analysis.{study.name}", description=study.about, formatter_class=_Help
    )
    for flag, settings in study.arguments.items():
        metavar = {"metavar": _METAVARS[settings["type"]]} if "type" in settings else {}
        found.add_argument(flag, **{**metavar, **settings})
    profiles = found.add_mutually_exclusive_group()
    if study.reduced:
        profiles.add_argument("--reduced", action="store_true", help=study.reduced)
    profiles.add_argument("--quick", action="store_true", help=f"{study.quick}; only to see that everything runs")
    found.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="folder of results/ and paper_figures/ (default: the repository; with --quick a fresh one each time)",
    )
    if study.draw is not None:
        found.add_argument(
            "--figures", type=Path, metavar="FOLDER", help="folder of the figures (default: paper_figures/ in --out)"
        )
    return found


def _folders(study: Study, options: argparse.Namespace) -> tuple[Path, Path]:
    """Return the folders of the results and of the figures, or exit where a quick run must not write."""
    out, figures = options.out, getattr(options, "figures", None)
    if options.quick:
        planned = [out / "results", out / "paper_figures"] if out else []
        reason = next(filter(None, (_reserved(path) for path in (*planned, *([figures] if figures else [])))), None)
        if reason is None and out:
            reason = _full_result(study, out / "results")
        if reason is not None:
            parser(study).error(f"--quick must not {reason}. Name another folder, or none to have a fresh one.")
        if out is None:
            out = Path(tempfile.mkdtemp(prefix=f"tropnet-{study.name}-quick-"))
            print(f"Quick run: results and figures go to {out}", flush=True)
    out = out or results.ROOT
    return out / "results", figures or out / "paper_figures"


def _reserved(folder: Path) -> str | None:
    """Say so where a folder belongs to the results or figures under version control."""
    place = folder.resolve()
    if place.is_relative_to(results.RESULTS.resolve() / ".cache"):
        return None
    if any(place.is_relative_to(home.resolve()) for home in (results.RESULTS, results.FIGURES)):
        return f"write into {folder}, which holds what full runs found"
    return None


def _full_result(study: Study, folder: Path) -> str | None:
    """Say so where a folder holds results of the study that are not those of a quick run."""
    path, others = folder / f"{study.name}.json", sorted(folder.glob(f"{study.name}.*"))
    try:
        quick = json.loads(path.read_text()).get("quick") is True
    except (OSError, ValueError, AttributeError):
        quick = False
    return f"write over {others[0]}, which no quick run wrote" if others and not quick else None


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Fills paragraphs one by one, leaves indented ones as they are, and names every default that is a value."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = textwrap.dedent(text).strip().split("\n\n")
        return "\n\n".join(
            textwrap.indent(part, indent)
            if part.startswith(" ")
            else textwrap.fill(" ".join(part.split()), width, initial_indent=indent, subsequent_indent=indent)
            for part in paragraphs
        )

    def _get_help_string(self, action: argparse.Action) -> str:
        if action.default in (None, False):
            return action.help or ""
        return super()._get_help_string(action) or ""

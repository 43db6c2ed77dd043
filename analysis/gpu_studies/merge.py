"""Results of a GPU beside those of a CPU: files of their own, and a table of both."""

from __future__ import annotations

import importlib
import itertools
import shlex
from pathlib import Path
from typing import Any

from analysis.gpu_studies.parts import PARTS
from analysis.gpu_studies.precision import NAME as PRECISION
from analysis.gpu_studies.run import STATE
from analysis.shared import results
from analysis.shared.main import Study
from analysis.shared.markdown import markdown_table, write_between_marks
from tropnet.errors import FileFormatError

_HEAD = """# GPU and CPU side by side

*From `python -m analysis.gpu_studies --merge FOLDER`; the records of the GPU are in `results/gpu/`.*

<!-- tables -->
<!-- /tables -->
"""
STUDIES = tuple(dict.fromkeys(part.module for part in PARTS if "." not in part.module))


def merge(folder: Path, home: Path = results.ROOT) -> list[Path]:
    """Take over what `run` wrote into a folder: `results/gpu/`, `paper_figures/gpu/`, and the table of both.

    The results of a CPU, `results/<study>.json`, stay as they are. A study that an earlier folder has and this one has
    not stays too; each record, and each line of the table, names its hardware.

    Returns
    -------
    list of Path
        What was written. What an earlier folder had stays, with a word on standard output, where this one holds less.

    Raises
    ------
    FileFormatError
        A file is of a rehearsal, of no GPU, or not what its study writes; then nothing is written.
    FileNotFoundError
        The folder has no results.
    """
    paths = [path for name in (*STUDIES, PRECISION) if (path := folder / "results" / f"{name}.json").exists()]
    if not paths:
        raise FileNotFoundError(f"{folder} must hold results/<study>.json, as gpu_studies writes them; it holds none.")
    records = {path: _checked(path) for path in paths}
    tables(home / "results")  # what is there must be readable, too
    own = home / "results" / "gpu"
    own.mkdir(parents=True, exist_ok=True)
    written = []
    for path, record in records.items():
        target = own / path.name
        if results.holds_more(target, record):
            print(f"{target} stays, which holds more than {path}.")
            continue
        earlier = results.read_json(target) if target.exists() else record
        if earlier != record:
            print(f"{target}, of {earlier['gpu']}, gives way to {path}, of {record['gpu']}.")
        written.append(results.copy(path, target))
        study = _study(path.stem) if path.stem in STUDIES else None
        if study is not None and study.draw is not None:
            written += results.write_figures(study.draw(path), home / "paper_figures" / "gpu")
    if written and (folder / STATE).exists():
        written.append(results.copy(folder / STATE, own / STATE))
    table = home / "results" / "gpu_studies.md"
    if not table.exists():
        table.write_text(_HEAD)
    write_between_marks(table, tables(home / "results"))
    return [*written, table]


def _checked(path: Path) -> dict[str, Any]:
    """Return the record of a file, of which all is tried that a merge does with it."""
    try:
        record: dict[str, Any] = results.read_json(path)
        full = not record.get("quick") and record.get("gpu") and _is_on_a_gpu(record["command"])
        if full and path.stem == PRECISION:
            _precision_lines(record)
        if full and path.stem in STUDIES:
            _lines(path.stem, record)
            draw = _study(path.stem).draw
            if draw is not None:
                draw(path)
    except Exception as error:  # a damaged file can raise anything
        raise FileFormatError(f"{path} must be a result as its study writes it: {error!r}.") from error
    if not full:
        raise FileFormatError(f"{path} must be a result of a full run on a GPU, got one of {record.get('command')!r}.")
    return record


def _is_on_a_gpu(command: str) -> bool:
    """Return whether a command has a GPU as its device.

    Examples
    --------
    >>> _is_on_a_gpu("python -m analysis.x --device cuda"), _is_on_a_gpu("python -m analysis.x --device cpu --out cuda")
    (True, False)
    """
    words = [word for given in shlex.split(command) for word in given.split("=", 1)]
    return any(option == "--device" and value.startswith("cuda") for option, value in itertools.pairwise(words))


def tables(folder: Path) -> str:
    """Return a table for each study of a folder of results: what each hardware found, line by line.

    Raises
    ------
    FileFormatError
        A file is damaged.
    """
    parts = []
    for name in STUDIES:
        lines = []
        for path in (_of_cpu(folder, name), folder / "gpu" / f"{name}.json"):
            if path.exists():
                record = results.read_json(path)
                hardware = record.get("gpu") or f"CPU ({record['hardware']})"
                lines += [(hardware, what, found) for what, found in _lines(name, record)]
        parts.append(f"## {name}\n\n{markdown_table(('hardware', 'what', 'found'), lines)}")
    compared = folder / "gpu" / f"{PRECISION}.json"
    if compared.exists():
        record = results.read_json(compared)
        lines = [(record["gpu"], what, found) for what, found in _precision_lines(record)]
        parts.append(f"## {PRECISION}\n\n{markdown_table(('hardware', 'what', 'found'), lines)}")
    return "\n\n".join(parts)


def _precision_lines(record: dict[str, Any]) -> list[tuple[str, str]]:
    difference, pairs = record["difference"], len(record["differences"])
    between = "" if difference["low"] is None else f" [{difference['low']:+.4f}, {difference['high']:+.4f}]"
    return [
        (f"accuracy in {record['type']} less that in float32", f"{difference['mean']:+.4f}{between}, {pairs} pairs"),
        ("its time over that in float32", f"{record['share_of_time']:.2f}"),
        ("used" if record["use"] else "not used", record["why"]),
    ]


def _of_cpu(folder: Path, name: str) -> Path:
    """Return the file of what a CPU found, at a reduced size if it found nothing else."""
    full = folder / f"{name}.json"
    return full if full.exists() else folder / f"{name}_reduced.json"


def _lines(name: str, record: dict[str, Any]) -> list[tuple[str, str]]:
    lines = (line.strip().replace("|", "/") for line in _study(name).summary(record).splitlines())
    return [(what, found) for what, _, found in (line.partition(": ") for line in lines)]


def _study(name: str) -> Study:
    found: Study = importlib.import_module(f"analysis.{name}.__main__").STUDY
    return found

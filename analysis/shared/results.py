"""Results that say how they were made, the published numbers beside them, and figures: where they are, how written."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tropnet.archives import write_atomically
from tropnet.errors import FileFormatError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROOT = Path(__file__).parents[2]
PUBLISHED = Path(__file__).parents[1] / "published"
RESULTS = ROOT / "results"
FIGURES = ROOT / "paper_figures"

_PACKAGES = ("tropnet", "numpy", "scipy", "highspy")


def published(name: str) -> Any:
    """Return the published numbers `analysis/published/<name>.json`."""
    return json.loads((PUBLISHED / f"{name}.json").read_text())


def provenance(config: Any, command: str, packages: Sequence[str] = ()) -> dict[str, Any]:
    """Return what a reader needs to make the same numbers again: configuration, command, versions, hardware.

    Versions are those of the packages that all studies need and of the given ones, None where one is not installed.
    With PyTorch in use, the GPU too, if there is one.
    """
    record = {
        "config": dataclasses.asdict(config),
        "command": command,
        "python": platform.python_version(),
        "versions": {name: installed(name) for name in (*_PACKAGES, *packages)},
        "hardware": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
    }
    torch = sys.modules.get("torch")  # imported by the studies that need it
    if torch is not None and torch.cuda.is_available():
        record["gpu"] = torch.cuda.get_device_name()
        record["convolutions_by_tf32"] = torch.backends.cudnn.allow_tf32
    return record


def installed(name: str) -> str | None:
    """Return the version of a package, None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def write_json(path: Path, record: Any) -> None:
    """Write JSON atomically; lists of plain numbers stay on one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = _compact(json.dumps(record, indent=1)) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def read_json(path: Path) -> Any:
    """Return what `write_json` wrote.

    Raises
    ------
    FileFormatError
        The file is damaged: an interrupted copy, say.
    """
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise FileFormatError(f"{path} must be JSON, as a study writes it: {error}. Remove it.") from error


def copy(path: Path, target: Path) -> Path:
    """Copy a file atomically: on a full disk what was there stays. Return the copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, lambda file: file.write(path.read_bytes()))
    return target


def n_values(record: Any) -> int:
    """Return the number of values in a record: of two of one study, the one that got further holds more.

    Examples
    --------
    >>> n_values({"accuracy": [0.5, 0.75], "t": 0.0})
    3
    """
    if isinstance(record, Mapping):
        return sum(map(n_values, record.values()))
    return sum(map(n_values, record)) if isinstance(record, list | tuple) else 1


def holds_more(path: Path, record: Any) -> bool:
    """Return whether a results file is there and holds more values than a record of the same study."""
    try:
        return n_values(json.loads(path.read_text())) > n_values(record)
    except (OSError, ValueError):
        return False


def write_figures(figures: Mapping[str, Figure], folder: Path) -> list[Path]:
    """Write figures as PNG under their names, each at its own resolution, and return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.png" for name in figures]
    for path, figure in zip(paths, figures.values(), strict=True):
        figure.savefig(path)
    return paths


def _compact(text: str) -> str:
    """Join the lines of arrays that hold only numbers, strings or null."""
    out, row = [], None
    for line in text.split("\n"):
        stripped = line.strip()
        if row is None:
            if stripped.endswith("["):
                row = [line]
            else:
                out.append(line)
        elif stripped in ("]", "],"):
            out.append(row[0] + " ".join(part.strip() for part in row[1:]) + stripped)
            row = None
        elif stripped.endswith(("[", "{", "}", "},")):
            out += row
            row = [line] if stripped.endswith("[") else None
            if row is None:
                out.append(line)
        else:
            row.append(line)
    return "\n".join(out + (row or []))

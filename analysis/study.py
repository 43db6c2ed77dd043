"""What every study shares: work in resumable blocks, and results that say how they were made."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tropnet.archives import write_atomically
from tropnet.progress import track

ROOT = Path(__file__).parents[1]
PUBLISHED = Path(__file__).parent / "published"
RESULTS = ROOT / "results"
FIGURES = ROOT / "paper_figures"

_PACKAGES = ("tropnet", "numpy", "scipy", "highspy")


def published(name: str) -> Any:
    """Return the published numbers `analysis/published/<name>.json`."""
    return json.loads((PUBLISHED / f"{name}.json").read_text())


def provenance(config: Any) -> dict[str, Any]:
    """Return what a reader needs to make the same numbers again: configuration, versions, hardware, command."""
    return {
        "config": dataclasses.asdict(config),
        "command": " ".join(["python", "-m", sys.modules["__main__"].__spec__.name, *sys.argv[1:]])
        if getattr(sys.modules["__main__"], "__spec__", None)
        else " ".join(sys.argv),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _PACKAGES},
        "hardware": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
    }


def write_json(path: Path, record: Any) -> None:
    """Write JSON atomically; lists of plain numbers stay on one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = _compact(json.dumps(record, indent=1)) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def run_blocks(
    function: Callable[[Any], Any], blocks: Iterable[Any], cache: Path, *, workers: int, description: str
) -> dict[Any, Any]:
    """Return {block: function(block)}, from `cache` where an earlier run got that far.

    Parameters
    ----------
    function
        Pure, at module level; its value must survive JSON.
    blocks
        Frozen dataclasses: all that determines the value.
    cache
        Directory for finished blocks, one file each, written atomically: an interrupted study resumes there.
    workers
        Processes.
    """
    cache.mkdir(parents=True, exist_ok=True)
    todo, results = [], {}
    for block in dict.fromkeys(blocks):
        path = cache / f"{block_key(function, block)}.json"
        if path.exists():
            results[block] = json.loads(path.read_text())
        else:
            todo.append((block, path))
    total = len(todo)
    with (
        track(description, "blocks", enabled=True) as update,
        ProcessPoolExecutor(workers) as pool,
    ):
        futures = {pool.submit(function, block): (block, path) for block, path in todo}
        try:
            for n, future in enumerate(as_completed(futures), start=1):
                block, path = futures[future]
                results[block] = json.loads(json.dumps(future.result()))
                write_json(path, results[block])
                update(n, n / total)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return results


def block_key(function: Callable[[Any], Any], block: Any) -> str:
    """Return the name of the file that holds `function(block)` in the cache of a study."""
    text = json.dumps([function.__name__, version("tropnet"), dataclasses.asdict(block)])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


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

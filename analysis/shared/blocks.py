"""Work in parts that are kept: a stopped study goes on with the first part that is missing."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from analysis.shared.results import installed, read_json, write_json
from tropnet.progress import track


def kept(path: Path, work: Callable[[], Any]) -> Any:
    """Return what an earlier run wrote into a JSON file, or the result of the work, written."""
    if not path.exists():
        write_json(path, work())
    return read_json(path)


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
            results[block] = read_json(path)
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
    text = json.dumps([function.__name__, installed("tropnet"), dataclasses.asdict(block)])
    return hashlib.sha256(text.encode()).hexdigest()[:24]

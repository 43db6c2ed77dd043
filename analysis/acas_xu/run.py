"""Decide every instance, count its regions, estimate those of whole domains, compare."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import tropnet as tn
from analysis.acas_xu.config import Config
from analysis.acas_xu.files import generated, published_files
from analysis.acas_xu.nnenum import Beside, by_nnenum, version_in
from analysis.shared.blocks import run_blocks
from analysis.shared.main import Job
from analysis.shared.results import published

__all__ = ["NNENUM", "Block", "Counted", "count", "decide", "estimate", "run"]

NNENUM = "TROPNET_NNENUM"

# Of property 7: all of what the networks were trained for.
_WHOLE = tn.Box(
    [-0.328422877, -0.499999896, -0.499999896, -0.5, -0.5], [0.679857769, 0.499999896, 0.499999896, 0.5, 0.5]
)


@dataclass(frozen=True)
class Block:
    """An instance: paths of a network and of a property, and the seconds that it may take."""

    network: str
    statement: str
    seconds: float


@dataclass(frozen=True)
class Counted:
    """A network on a box, and up to how many regions to list."""

    network: str
    low: tuple[float, ...]
    high: tuple[float, ...]
    most: int


def decide(block: Block) -> dict[str, Any]:
    """Return the exact verdict on an instance, and what it took."""
    net, statement = tn.load(block.network), tn.read_vnnlib(block.statement)
    cpu = time.process_time()
    verdict = tn.verify(net, statement, time_limit=block.seconds)
    cpu = time.process_time() - cpu
    found = verdict.counterexample
    return {
        "status": verdict.status,
        "seconds": round(verdict.seconds, 3),
        "cpu_seconds": round(cpu, 3),
        "n_regions_looked_at": verdict.n_regions,
        "n_solved_exactly": verdict.n_solved,
        "x": None if found is None else found.point.tolist(),
        "y": None if found is None else found.values.tolist(),
        "confirmed": None if found is None else found.confirmed,
        "left": [remainder.left for remainder in verdict.remaining],
    }


def count(block: Counted) -> dict[str, Any]:
    """Return the number of regions on a box, and a few statistics of them; an estimate where there are too many."""
    net, box = tn.load(block.network), tn.Box(block.low, block.high)
    cpu = time.process_time()
    n = tn.count_regions(net, box, max_regions=block.most + 1)
    cpu = time.process_time() - cpu
    if n > block.most:
        guess = tn.estimate_regions(net, box)
        return {"estimate": _digits(guess.n_regions), "standard_error": _digits(guess.standard_error)}
    regions = tn.enumerate_regions(net, box)
    ones, cuts = np.zeros(net.n_neurons, dtype=np.int64), 0
    step = 100_000
    for start in range(0, n, step):
        part = slice(start, start + step)
        ones += np.unpackbits(regions.packed[part], axis=1, count=net.n_neurons).sum(axis=0, dtype=np.int64)
        cuts += int(np.unpackbits(regions.packed_cuts[part], axis=1, count=net.n_neurons).sum(dtype=np.int64))
    return {
        "n_regions": n,
        "cpu_seconds": round(cpu, 3),
        "n_neurons_that_change": int(((ones > 0) & (ones < n)).sum()),
        "mean_rows_of_neurons": round(cuts / n, 2),
        "mean_active_neurons": round(float(ones.sum()) / n, 1),
    }


def estimate(block: Counted) -> dict[str, Any]:
    """Return the estimated number of regions on a box."""
    guess = tn.estimate_regions(tn.load(block.network), tn.Box(block.low, block.high))
    return {"estimate": _digits(guess.n_regions), "standard_error": _digits(guess.standard_error)}


def run(config: Config, job: Job) -> dict[str, Any]:
    """Decide, count, estimate and compare; nnenum runs beside where `NNENUM` names a Python that has it."""
    files = generated(config, job.cache / "generated") if config.generated else published_files(config, job.data)
    python = None if config.generated else os.environ.get(NNENUM)
    blocks = {
        (number, name): Block(files.networks[name], files.properties[number], config.seconds)
        for number, name in config.instances
    }
    begin = time.perf_counter()
    verdicts = run_blocks(decide, blocks.values(), job.cache, workers=job.workers, description="deciding")
    seconds = time.perf_counter() - begin
    boxes = {key: _boxes(block, config.most_regions) for key, block in blocks.items()}
    counted = run_blocks(
        count, [box for each in boxes.values() for box in each], job.cache, workers=job.workers, description="counting"
    )
    wholes = {name: Counted(path, *_sides(_WHOLE), 0) for name, path in files.networks.items()}
    estimated = run_blocks(estimate, wholes.values(), job.cache, workers=job.workers, description="estimating")
    version = None if python is None else version_in(python)
    beside: dict[Beside, dict[str, Any]] = {}
    if python is not None and version is not None:
        tasks = [_beside(python, blocks[key], exact=False) for key in config.instances]
        tasks += [_beside(python, blocks[key], exact=True) for key in config.exact_beside]
        beside = run_blocks(by_nnenum, tasks, job.cache, workers=job.workers, description="nnenum")
    known = {} if config.generated else published("acas_xu")["verdicts"]
    rows = []
    for (number, name), block in blocks.items():
        ours = verdicts[block]
        said = known.get(f"{number} on {name}")
        row = {
            "property": number,
            "network": name,
            **ours,
            "published": said,
            "regions": [counted[box] for box in boxes[number, name]],
        }
        if beside and python is not None:
            row["nnenum"] = beside[_beside(python, block, exact=False)]
            exact = beside.get(_beside(python, block, exact=True))
            row |= {"nnenum_exact": exact} if exact else {}
        rows.append(row)
    return {
        "nnenum": version or f"not run: {NNENUM} names no Python that has it",
        "seconds_for_all": round(seconds, 1),
        "rows": rows,
        "whole_domain": {name: estimated[block] for name, block in wholes.items()},
        "totals": _totals(rows),
    }


def _totals(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the table says of all instances together."""
    took = [row["cpu_seconds"] for row in rows]
    status = [row["status"] for row in rows]
    said = [row for row in rows if row["published"] is not None]
    beside = [row for row in rows if "nnenum" in row]
    exact = [row for row in rows if "nnenum_exact" in row and row["nnenum_exact"]["stars"]]
    rates = [
        (row["regions"][0]["n_regions"] / max(row["regions"][0]["cpu_seconds"], 0.001))
        / (row["nnenum_exact"]["stars"] / row["nnenum_exact"]["cpu_seconds"])
        for row in exact
        if "n_regions" in row["regions"][0]
    ]
    return {
        **{word: status.count(word) for word in ("holds", "violated", "unknown")},
        "cpu_seconds": round(sum(took), 1),
        "median_cpu_seconds": round(statistics.median(took), 3),
        "largest_cpu_seconds": max(took),
        "confirmed_in_float64": sum(bool(row["confirmed"]) for row in rows),
        "published_by_all": sum(set(row["published"]) == {row["status"]} for row in said),
        "published_apart": [
            f"{row['property']} on {row['network']}: {row['status']}, published {_said(row['published'])}"
            for row in said
            if set(row["published"]) != {row["status"]}
        ],
        "nnenum_agrees": sum(row["nnenum"]["status"] == row["status"] for row in beside) if beside else None,
        "nnenum_cpu_seconds": round(sum(row["nnenum"]["cpu_seconds"] for row in beside), 1) if beside else None,
        "nnenum_seconds": round(sum(row["nnenum"]["seconds"] or 0 for row in beside), 1) if beside else None,
        "times_exact_rate": [round(rate) for rate in rates],
    }


def _said(published_verdicts: Mapping[str, int]) -> str:
    return ", ".join(f"{word} by {n}" for word, n in published_verdicts.items())


def _beside(python: str, block: Block, *, exact: bool) -> Beside:
    return Beside(python, block.network, block.statement, block.seconds, exact)


def _boxes(block: Block, most: int) -> list[Counted]:
    """Return the boxes around the sets of inputs of an instance, with the network: equal ones are counted once."""
    net, statement = tn.load(block.network), tn.read_vnnlib(block.statement)
    return [Counted(block.network, *_sides(inputs.enclosure()), most) for inputs, _ in statement.cases(net)]


def _sides(box: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(box.low.tolist()), tuple(box.high.tolist())


def _digits(value: float) -> float:
    return float(f"{value:.3g}")

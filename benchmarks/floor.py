"""How far the engines are from the fewest products that a region takes.

What is counted is said in `docs/mathematics/cost.md`.

python -m benchmarks.floor [--models FOLDER] [--network FILE --box LOW HIGH] [--dry-run]
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

import tropnet as tn
from analysis.shared import results
from benchmarks.networks import PLANE, SMALL_BOXES, Case
from benchmarks.published import Fixed, published
from benchmarks.report import processor, provenance, replaced
from tropnet.arrays.patterns import unpack
from tropnet.enumeration.engine import Plan, Task
from tropnet.enumeration.engines import REGISTRY
from tropnet.network.domain import as_domain

_MOST_REGIONS = 200_000
_SECONDS = 0.5
_ENGINES = tuple(name for name, engine in REGISTRY.items() if engine.compiled)


@dataclass(frozen=True)
class Config:
    """Networks of more regions are left out."""

    most_regions: int = _MOST_REGIONS


def main(arguments: list[str] | None = None) -> None:
    """Measure; write `results/floor.json` and the table in `docs/mathematics/cost.md`, or only print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.floor", description=__doc__)
    parser.add_argument("--models", type=Path, help="the folder of published networks (default: TROPNET_MODELS)")
    parser.add_argument("--network", type=Path, help="only this network (.npz or .onnx)")
    parser.add_argument("--box", nargs=2, type=float, default=(-1.0, 1.0), help="its domain, the same for all inputs")
    parser.add_argument("--dry-run", action="store_true", help="print the table, write nothing")
    options = parser.parse_args(arguments)
    if options.models:
        os.environ["TROPNET_MODELS"] = str(options.models.resolve())
    if options.network:
        net = tn.load(options.network)
        box = tn.Box(np.full(net.n_inputs, options.box[0]), np.full(net.n_inputs, options.box[1]))
        cases: list[Case | Fixed] = [Fixed(options.network.stem, f"[{box.low[0]}, {box.high[0]}]", lambda: net, box)]
    else:
        cases = [PLANE[0], PLANE[3], *SMALL_BOXES, *published()]
    product = nanoseconds_per_product()
    rows = [row for case in cases if (row := measured(case, product)) is not None]
    text = table(rows)
    print(text)
    if options.dry_run or options.network:
        return
    record = provenance(processor(), "python -m benchmarks.floor", Config())
    results.write_json(results.RESULTS / "floor.json", record | {"nanoseconds_per_product": product, "rows": rows})
    page = results.ROOT / "docs" / "mathematics" / "cost.md"
    page.write_text(replaced(page.read_text(), "floor", f"{text}\n\nA product takes {product:.2g} ns there."))


@dataclass(frozen=True)
class Floor:
    """The fewest products of a search, and of what.

    Attributes
    ----------
    cells
        How many cells enter each layer, and in the end the number of regions.
    composition, ranges, decisions
        Products: rows of the cells, one value for each neuron of a cell, two points for each branching.
    """

    cells: tuple[int, ...]
    composition: int
    ranges: int
    decisions: int

    @property
    def per_region(self) -> float:
        """Products a region."""
        return (self.composition + self.ranges + self.decisions) / self.cells[-1]


def floor(net: tn.Network, patterns: np.ndarray) -> Floor:
    """Return the floor of a search that found these patterns, bool of shape (R, n_neurons).

    The cells that enter layer l are the prefixes of the patterns, of the neurons before it.

    >>> net = tn.Network.mlp([np.eye(2), np.ones((1, 2)), [[1.0]]], [[0.0, 0.0], [-1.0], [0.0]])
    >>> found = floor(net, tn.enumerate_regions(net).patterns)
    >>> found.cells, found.composition, found.ranges, found.decisions
    ((1, 4, 7), 12, 18, 36)
    """
    D, first = net.n_inputs + 1, np.cumsum([0, *net.widths])
    cells = [len(np.unique(patterns[:, :n], axis=0)) if n else 1 for n in first]
    composition = ranges = 0
    for index, layer in enumerate(net.hidden):
        ranges += cells[index] * layer.width * D
        # What a layer reads of another is known once that is decided, in each of its cells.
        composition += sum(cells[source] * layer.width * D for source in layer.weights if source > 0)
    return Floor(tuple(cells), composition, ranges, 2 * D * (cells[-1] - 1))


def measured(case: Case | Fixed, product: float) -> dict[str, Any] | None:
    """Return the floor of a case, and the times of the engines; None if it has too many regions."""
    net, domain = case.network(0), case.domain
    regions = tn.enumerate_regions(net, domain, max_regions=_MOST_REGIONS)
    if not regions.complete:
        return None
    found = floor(net, unpack(regions.packed, net.n_neurons))
    times = {}
    for name in ("auto", *_ENGINES):
        task = Task(net, as_domain(domain, net.n_inputs), "highs", tn.Tolerances())
        if name == "auto" or isinstance(REGISTRY[name].prepare(task), Plan):
            seconds = _best(lambda name=name: tn.count_regions(net, domain, engine=name))
            times[name] = 1e9 * seconds / len(regions)
    return {
        "network": case.architecture,
        "domain": case.where,
        "cells": list(found.cells),
        "composition": found.composition,
        "ranges": found.ranges,
        "decisions": found.decisions,
        "products_per_region": found.per_region,
        "nanoseconds_per_region": times,
        "times_the_floor": {name: time / (found.per_region * product) for name, time in times.items()},
    }


def nanoseconds_per_product() -> float:
    """Return the time of a product and its sum on one core: rows of 64 neurons, in the nearest cache."""
    rows, out, n = np.random.default_rng(0).normal(size=(16, 64)), np.zeros(64), 2000
    _add_rows(rows, out, n)
    return 1e9 * _best(lambda: _add_rows(rows, out, n)) / (n * rows.size)


@njit(fastmath=True)
def _add_rows(rows: np.ndarray, out: np.ndarray, n: int) -> None:
    """Add multiples of rows, as engines compose: the floor's unit."""
    for _ in range(n):
        for i in range(0, rows.shape[0], 4):
            a, b, c, d = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
            for u in range(out.shape[0]):
                out[u] += (a[u] * 1.1 + b[u] * 0.9) + (c[u] * -1.1 + d[u] * -0.9)


def _best(call: Callable[[], Any]) -> float:
    """Return the least processor time of a call, repeated for a while."""
    call()
    times: list[float] = []
    while sum(times) < _SECONDS:
        begin = time.process_time()
        call()
        times.append(max(time.process_time() - begin, 1e-9))
    return min(times)


def table(rows: list[dict[str, Any]]) -> str:
    """Return the floors in products a region, and how many times as long the engines take."""
    names = list(dict.fromkeys(name for row in rows for name in row["times_the_floor"]))
    lines = [
        f"| network | domain | regions | products a region | {' | '.join(f'{name}, ns (x floor)' for name in names)} |",
        f"| --- | --- | {' | '.join(['---:'] * (2 + len(names)))} |",
    ]
    for row in rows:
        times, ratios = row["nanoseconds_per_region"], row["times_the_floor"]
        cells = [f"{times[name]:,.0f} ({ratios[name]:,.0f})" if name in times else "" for name in names]
        front = [row["network"], row["domain"], f"{row['cells'][-1]:,}", f"{row['products_per_region']:,.0f}"]
        lines.append(f"| {' | '.join([*front, *cells])} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

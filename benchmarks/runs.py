"""Long runs: what it costs to write a search down, what memory it takes, and what several processes gain.

OMP_NUM_THREADS=1 python -m benchmarks.runs [--quick] [--dry-run]

Every line is a process of its own. Rates are by CPU time, gains by the clock, in turns: run it on an idle machine with
two cores at least. Memory is the most the process held, above what it held after a small search of the same kind.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any

import numpy as np

import tropnet as tn
from analysis.shared import results
from benchmarks.report import processor, provenance, replaced

_BOX = tn.Box(-1.0, 1.0)
_ROUNDS = 2


@dataclass(frozen=True)
class Config:
    """Networks, by their widths, and regions to stop at."""

    seed: int = 0
    plane: tuple[int, ...] = (2, 512, 512, 512, 1)
    space: tuple[int, ...] = (4, 192, 192, 1)
    many: int = 20_000_000
    some: int = 2_000_000
    shared: tuple[int, ...] = (4, 96, 96, 1)


QUICK = Config(plane=(2, 64, 64, 1), space=(3, 16, 16, 1), many=100_000, some=10_000, shared=(3, 16, 16, 1))


def skewed(widths: tuple[int, ...], seed: int) -> tn.Network:
    """Return a network whose first neuron leaves a twentieth of the box on one side."""
    net = tn.Network.random(list(widths), seed=seed)
    layers = [(dict(layer.weights), layer.bias.copy()) for layer in net.layers]
    weights, bias = layers[0]
    first = np.array(weights[0])
    first[0], bias[0] = np.eye(1, widths[0])[0], 0.9
    matrices = [first, *(weights[index] for index, (weights, _) in enumerate(layers[1:], start=1))]
    return tn.Network.mlp(matrices, [bias for _, bias in layers])


def _held() -> float:
    """Return the most that this process has held, in MB."""
    return getrusage(RUSAGE_SELF).ru_maxrss / 1024


def count_in_memory(config: Config) -> dict[str, float]:
    """Count many regions, without a directory and with one."""
    net = tn.Network.random(list(config.space), seed=config.seed)
    tn.count_regions(net, _BOX, max_regions=1_000)
    before, begin = _held(), time.process_time()
    n = tn.count_regions(net, _BOX, max_regions=config.many)
    return {"n_regions": n, "seconds": time.process_time() - begin, "megabytes": _held() - before}


def count_to_disk(config: Config) -> dict[str, float]:
    """Count as many in a directory."""
    net = tn.Network.random(list(config.space), seed=config.seed)
    with tempfile.TemporaryDirectory() as folder:
        tn.count_regions(net, _BOX, max_regions=1_000, out=Path(folder) / "small")
        before, begin = _held(), time.process_time()
        n = tn.count_regions(net, _BOX, max_regions=config.many, out=Path(folder) / "run")
        return {"n_regions": n, "seconds": time.process_time() - begin, "megabytes": _held() - before}


def _enumerated(config: Config, widths: tuple[int, ...], *, out: bool) -> dict[str, float]:
    net = tn.Network.random(list(widths), seed=config.seed)
    with tempfile.TemporaryDirectory() as folder:
        where: Any = {"out": Path(folder) / "run"} if out else {}
        small: Any = {"out": Path(folder) / "small"} if out else {}
        tn.enumerate_regions(net, _BOX, max_regions=1_000, **small)
        before, begin = _held(), time.process_time()
        found = tn.enumerate_regions(net, _BOX, max_regions=config.some, **where)
        seconds, n_bytes = time.process_time() - begin, 0
        if out:
            n_bytes = sum(path.stat().st_size for path in Path(folder, "run", "parts").iterdir())
        return {
            "n_regions": len(found),
            "seconds": seconds,
            "megabytes": _held() - before,
            "bytes_per_region": n_bytes / len(found),
        }


def plane_in_memory(config: Config) -> dict[str, float]:
    """Enumerate in two dimensions."""
    return _enumerated(config, config.plane, out=False)


def plane_to_disk(config: Config) -> dict[str, float]:
    """Enumerate in two dimensions into a directory."""
    return _enumerated(config, config.plane, out=True)


def space_in_memory(config: Config) -> dict[str, float]:
    """Enumerate in four dimensions."""
    return _enumerated(config, config.space, out=False)


def space_to_disk(config: Config) -> dict[str, float]:
    """Enumerate in four dimensions into a directory."""
    return _enumerated(config, config.space, out=True)


def _warmed(net: tn.Network) -> None:
    """Load what a count needs, and keep this process busy meanwhile, so that another one takes the next."""
    for engine in ("vertex", "simplex"):
        tn.count_regions(net, _BOX, max_regions=1_000, engine=engine)
    time.sleep(1.0)


def _gain(net: tn.Network) -> dict[str, float]:
    """Count with one process and with two, in turns; both have done a small count before."""
    spawn = get_context("spawn")
    with ProcessPoolExecutor(1, spawn) as one, ProcessPoolExecutor(2, spawn) as two:
        for executor in (one, two):
            list(executor.map(_warmed, [net] * 2))
        seconds: dict[str, list[float]] = {"one": [], "two": []}
        counts = set()
        for _ in range(_ROUNDS):
            for name, executor in (("one", one), ("two", two)):
                begin = time.perf_counter()
                counts.add(tn.count_regions(net, _BOX, workers=executor))
                seconds[name].append(time.perf_counter() - begin)
    assert len(counts) == 1
    one_s, two_s = (statistics.median(seconds[name]) for name in ("one", "two"))
    return {"n_regions": counts.pop(), "seconds": one_s, "seconds_of_two": two_s, "gain": one_s / two_s}


def two_processes(config: Config) -> dict[str, float]:
    """Share a tree that is about even."""
    return _gain(tn.Network.random(list(config.shared), seed=config.seed))


def two_processes_skewed(config: Config) -> dict[str, float]:
    """Share a tree of which one side of the first branching holds nearly all."""
    return _gain(skewed(config.shared, config.seed))


LINES: dict[str, Callable[[Config], dict[str, float]]] = {
    function.__name__: function
    for function in (
        count_in_memory,
        count_to_disk,
        plane_in_memory,
        plane_to_disk,
        space_in_memory,
        space_to_disk,
        two_processes,
        two_processes_skewed,
    )
}


def measure(*, quick: bool) -> dict[str, dict[str, float]]:
    """Return what each line found, each in a process of its own."""
    found = {}
    for name in LINES:
        command = [sys.executable, "-m", "benchmarks.runs", "--line", name, *(["--quick"] if quick else [])]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 -- this program
        found[name] = json.loads(text)
        print(name, found[name], flush=True)
    return found


def table(found: dict[str, dict[str, float]], config: Config) -> str:
    """Return the measurements as a table."""
    plane, space, shared = ("-".join(map(str, widths)) for widths in (config.plane, config.space, config.shared))

    def row(what: str, name: str, beside: str | None = None) -> str:
        line = found[name]
        rate = line["n_regions"] / line["seconds"]
        part = "" if beside is None else f"{rate * found[beside]['seconds'] / found[beside]['n_regions']:.0%}"
        size = line.get("bytes_per_region", 0.0)
        return (
            f"| {what} | {line['n_regions']:,.0f} | {rate:,.0f} | {part} | {line['megabytes']:.0f} |"
            f" {f'{size:.0f}' if size else ''} |"
        )

    def gain(what: str, name: str) -> str:
        line = found[name]
        return (
            f"| {what} | {line['n_regions']:,.0f} | {line['seconds']:.1f} | {line['seconds_of_two']:.1f} |"
            f" {line['gain']:.2f} |"
        )

    return "\n".join(
        [
            "| work | regions | regions/s of CPU | of the rate in memory | MB more than a small one | bytes a region |",
            "| --- | ---: | ---: | ---: | ---: | ---: |",
            row(f"count, {space}", "count_in_memory"),
            row("with out=", "count_to_disk", "count_in_memory"),
            row(f"enumerate, {plane}", "plane_in_memory"),
            row("with out=", "plane_to_disk", "plane_in_memory"),
            row(f"enumerate, {space}", "space_in_memory"),
            row("with out=", "space_to_disk", "space_in_memory"),
            "",
            "| count by an executor | regions | 1 process, s | 2 processes, s | times as fast |",
            "| --- | ---: | ---: | ---: | ---: |",
            gain(shared, "two_processes"),
            gain(f"{shared}, first branching 95 to 5", "two_processes_skewed"),
        ]
    )


def main(arguments: list[str] | None = None) -> None:
    """Measure, write the results file and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small networks, to see that it works; writes nothing")
    parser.add_argument("--dry-run", action="store_true", help="print the table, write nothing")
    parser.add_argument("--line", choices=LINES, help="measure this line in this process, and print it as JSON")
    options = parser.parse_args(arguments)
    config = QUICK if options.quick else Config()
    if options.line:
        print(json.dumps(LINES[options.line](config)))
        return
    found = measure(quick=options.quick)
    text = table(found, config)
    print(text)
    if not options.dry_run and not options.quick:
        record = provenance(processor(), "python -m benchmarks.runs", config)
        results.write_json(results.RESULTS / "runs.json", record | {"lines": found, "networks": asdict(config)})
        readme = results.RESULTS / "README.md"
        readme.write_text(replaced(readme.read_text(), "runs", text))


if __name__ == "__main__":
    main()

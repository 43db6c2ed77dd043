"""Do the intervals of `estimate_regions` hold the truth, and what do they cost? Over many seeds, against counts.

    python -m benchmarks.estimates [--seeds 100] [--acas NETWORK.onnx PROPERTY.vnnlib ...]

writes results/estimates.json: for each network how many of the intervals hold the count, the root mean square of the
relative error, how often the regions were counted instead, and CPU seconds of an estimate and of the count.
"""

from __future__ import annotations

import argparse
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tropnet as tn
from analysis.shared import results
from benchmarks.networks import ARCHITECTURES
from benchmarks.report import processor, provenance


@dataclass(frozen=True)
class Config:
    """The seeds are 0, ..., n_seeds - 1; networks are those of seed 0."""

    n_seeds: int


def study(net: tn.Network, domain: tn.Domain | None, n_seeds: int) -> dict[str, Any]:
    """Count the regions, estimate them with each seed, and compare."""
    begin = time.process_time()
    count = tn.count_regions(net, domain)
    counted = time.process_time()
    estimates = [tn.estimate_regions(net, domain, seed=seed) for seed in range(n_seeds)]
    seconds = (time.process_time() - counted) / n_seeds
    sampled = [estimate for estimate in estimates if not estimate.exact]
    errors = [estimate.n_regions / count - 1 for estimate in sampled]
    return {
        "n_regions": count,
        "n_seeds": n_seeds,
        "n_intervals_that_hold": sum(low <= count <= high for low, high in (each.interval for each in estimates)),
        "n_counted": len(estimates) - len(sampled),
        "relative_error_of_samples": round(float(np.sqrt(np.mean(np.square(errors)))), 4) if errors else None,
        "seconds_of_count": round(counted - begin, 4),
        "seconds_of_estimate": round(seconds, 4),
    }


def box_of(path: str) -> tn.Box:
    """Return the bounds on the inputs in a VNN-LIB file."""
    bounds: dict[str, dict[int, float]] = {"<=": {}, ">=": {}}
    for sign, i, value in re.findall(r"\(assert \((<=|>=) X_(\d+) (-?[\d.e+-]+)\)\)", Path(path).read_text()):
        bounds[sign][int(i)] = float(value)
    return tn.Box(*([bounds[sign][i] for i in range(len(bounds[sign]))] for sign in (">=", "<=")))


def main() -> None:
    """Run the study on the networks of the benchmarks, and on those that are named."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--acas", nargs=2, action="append", default=[], metavar=("NETWORK", "PROPERTY"))
    options = parser.parse_args()
    problems = [(str(case), case.network(0), case.domain) for case in ARCHITECTURES if case.inputs <= 10]
    for network, wanted in options.acas:
        problems.append((f"{Path(network).stem}, {Path(wanted).stem}", tn.from_onnx(network), box_of(wanted)))
    rows = {}
    for name, net, domain in problems:
        tn.count_regions(net, domain, max_regions=10)
        rows[name] = study(net, domain, options.seeds)
        print(name, rows[name], flush=True)
    record = provenance(processor(), "python -m benchmarks.estimates --acas NETWORK PROPERTY", Config(options.seeds))
    results.write_json(results.RESULTS / "estimates.json", record | {"rows": rows})


if __name__ == "__main__":
    main()

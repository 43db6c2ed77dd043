"""The counts of the compiled engines, where other programs lose cells: compared with each other and with lp.

Random networks 4-16-16, 6-20 and 8-10-10 on all of R^d, default PyTorch initialisation. The compiled engines must find
the same set of patterns, each with a witness that is checked over the integers; so must the lp engine, which proves
every decision over the integers, for as many networks as time allows (it needs minutes for each). For the one-layer
networks Zaslavsky's formula gives the count of hyperplanes in general position.
"""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

import tropnet as tn
from analysis import study
from tropnet.exact.certificates import witness_is_inside

NAME = "stable_counts"
ENGINES = ("vertex", "simplex", "lp")


@dataclass(frozen=True)
class Config:
    """What determines the results: widths, networks by engine, how many witnesses of each network are checked."""

    widths: tuple[tuple[int, ...], ...] = ((4, 16, 16), (6, 20), (8, 10, 10))
    networks: int = 20
    networks_by_lp: tuple[int, ...] = (5, 2, 2)
    witnesses: int = 500


@dataclass(frozen=True)
class Block:
    """One network and one engine."""

    widths: tuple[int, ...]
    seed: int
    engine: str
    witnesses: int


def count(block: Block) -> dict[str, Any]:
    """Return the number of regions, a digest of the set of patterns, and how many witnesses were checked exactly."""
    net = tn.Network.random([*block.widths, 1], seed=block.seed)
    regions = tn.enumerate_regions(net, engine=block.engine)
    rng = np.random.default_rng(block.seed)
    chosen = rng.permutation(len(regions))[: block.witnesses].tolist()
    for i in chosen:
        region = regions[i]
        if not witness_is_inside(list(region.integer_rows), region.certificate):
            raise AssertionError(f"region {i} of {block}: the witness is not inside.")
    patterns = np.sort(np.ascontiguousarray(regions.packed).view(f"S{regions.packed.shape[1]}").ravel())
    return {
        "n_regions": len(regions),
        "patterns": hashlib.sha256(patterns.tobytes()).hexdigest(),
        "witnesses_checked": len(chosen),
        "settled_exactly": regions.stats["settled_exactly"],
    }


def run(config: Config, *, workers: int, cache: Path) -> dict[str, Any]:
    """Count everything and compare."""
    blocks = [
        Block(widths, seed, engine, config.witnesses)
        for widths, n_lp in zip(config.widths, config.networks_by_lp, strict=True)
        for engine in ENGINES
        for seed in range(n_lp if engine == "lp" else config.networks)
    ]
    results = study.run_blocks(count, blocks, cache, workers=workers, description="counting")
    rows = []
    for widths, group in groupby(sorted(blocks, key=lambda block: block.widths), key=lambda block: block.widths):
        members = list(group)
        by_seed: dict[int, set[str]] = {}
        for block in members:
            by_seed.setdefault(block.seed, set()).add(results[block]["patterns"])
        counts = {block.seed: results[block]["n_regions"] for block in members if block.engine == "simplex"}
        rows.append(
            {
                "widths": list(widths),
                "networks": len(by_seed),
                "networks_by_lp": sum(block.engine == "lp" for block in members),
                "equal": sum(len(patterns) == 1 for patterns in by_seed.values()),
                "n_regions": [counts[seed] for seed in sorted(counts)],
                "zaslavsky": tn.zaslavsky_bound(widths[1], widths[0]) if len(widths) == 2 else None,
                "settled_exactly": {
                    engine: sum(results[block]["settled_exactly"] for block in members if block.engine == engine)
                    for engine in ENGINES
                },
                "witnesses_checked": sum(results[block]["witnesses_checked"] for block in members),
            }
        )
    return {"rows": rows}


def main(arguments: list[str] | None = None) -> None:
    """Run the study and write `results/stable_counts.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=Config.networks, help="per architecture (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="small networks: seconds instead of an hour")
    parser.add_argument("--out", type=Path, default=study.ROOT, help="where results/ is")
    options = parser.parse_args(arguments)
    config = Config(networks=options.networks)
    if options.quick:
        config = Config(((3, 6, 6), (3, 8)), networks=2, networks_by_lp=(1, 1), witnesses=20)
    results = run(config, workers=options.workers, cache=options.out / "results" / ".cache" / NAME)
    study.write_json(options.out / "results" / f"{NAME}.json", {**study.provenance(config), **results})
    for row in results["rows"]:
        exact = f" (Zaslavsky {row['zaslavsky']})" if row["zaslavsky"] else ""
        print(
            f"{'-'.join(map(str, row['widths']))}: {row['equal']} of {row['networks']} networks equal,"
            f" {row['networks_by_lp']} of them by lp too; {min(row['n_regions'])} to {max(row['n_regions'])}"
            f" regions{exact}"
        )


if __name__ == "__main__":
    main()

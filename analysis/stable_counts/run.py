"""Count with every engine, check witnesses, compare."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

import tropnet as tn
from analysis.shared.blocks import run_blocks
from analysis.shared.main import Job
from analysis.stable_counts.config import Config
from tropnet.exact.certificates import witness_is_inside

ENGINES = ("vertex", "simplex", "lp")


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


def run(config: Config, job: Job) -> dict[str, Any]:
    """Count everything and compare."""
    blocks = [
        Block(widths, seed, engine, config.witnesses)
        for widths, n_lp in zip(config.widths, config.networks_by_lp, strict=True)
        for engine in ENGINES
        for seed in range(n_lp if engine == "lp" else config.networks)
    ]
    results = run_blocks(count, blocks, job.cache, workers=job.workers, description="counting")
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


def summary(record: dict[str, Any]) -> str:
    """Return the results as a short text."""
    lines = []
    for row in record["rows"]:
        exact = f" (Zaslavsky {row['zaslavsky']})" if row["zaslavsky"] else ""
        lines.append(
            f"{'-'.join(map(str, row['widths']))}: {row['equal']} of {row['networks']} networks equal,"
            f" {row['networks_by_lp']} of them by lp too; {min(row['n_regions'])} to {max(row['n_regions'])}"
            f" regions{exact}"
        )
    return "\n".join(lines)

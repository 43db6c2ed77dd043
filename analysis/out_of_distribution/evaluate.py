"""AUROC and counts of one network's scores, and means over networks of one kind; a summary."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from analysis.out_of_distribution.config import SCORES
from analysis.shared import statistics

_GRID = np.linspace(0, 1, 101)


def compare(inside: dict[str, Any], outside: dict[str, Any]) -> dict[str, Any]:
    """Compare the scores of points inside and outside: AUROC, counts, how often flips equal the Hamming distance."""
    both = {name: np.concatenate([inside[name], outside[name]]) for name in inside}
    cut = np.quantile(inside["softmax"], 1 - _GRID)
    return {
        "n_points": [len(inside["flips"]), len(outside["flips"])],
        "auroc": {name: statistics.superiority(outside[name], inside[name]) for name in SCORES},
        "exact": float(both["exact"].mean()),
        "equal": float((both["flips"] == both["hamming"]).mean()),
        "fewer": float((both["flips"] < both["hamming"]).mean()),
        "flips": {"inside": np.bincount(inside["flips"]).tolist(), "outside": np.bincount(outside["flips"]).tolist()},
        "softmax_true_positive": [float((outside["softmax"] >= value).mean()) for value in cut],
    }


def summarise(groups: dict[tuple[str, str, str], list[dict[str, Any]]]) -> dict[str, Any]:
    """Return one row for each kind of network, means and 95 % t-intervals over the seeds, and the map of the moons.

    Parameters
    ----------
    groups
        Records of networks, by what is inside, what is outside, and the shape.
    """
    rows = [row(*key, own) for key, own in groups.items()]
    maps = [record["map"] for own in groups.values() for record in own if "map" in record]
    not_run = [
        "training on CIFAR-10 and SVHN, whose caching rates section 7.1 reports too",
        "flips of searched networks outside the samples of test images; other scores are on all (all_test_images)",
    ]
    return {"rows": rows, "moons": maps[0] if maps else None, "not_run": not_run}


def row(inside: str, outside: str, shape: str, records: list[dict[str, Any]]) -> dict[str, Any]:
    """Return means over the networks of one kind."""
    first = records[0]
    values = {name: [record["auroc"][name] for record in records] for name in SCORES}
    found = {
        "inside": inside,
        "outside": outside,
        "shape": shape,
        "networks": len(records),
        "n_points": first["n_points"],
        "enumerated": first["n_regions"] is not None,
        "accuracy": mean(record["accuracy"] for record in records),
        "n_regions": [record["n_regions"] for record in records],
        "n_data_regions": [record["n_data_regions"] for record in records],
        "cached": {
            side: mean(record["flips"][side][0] / record["n_points"][k] for record in records)
            for k, side in enumerate(("inside", "outside"))
        },
        "auroc": {name: interval(own) for name, own in values.items()},
        "difference": {name: interval(np.subtract(values["flips"], values[name])) for name in ("hamming", "softmax")},
        "auroc_of_each": values,
        "exact": mean(record["exact"] for record in records),
        "equal_to_hamming": mean(record["equal"] for record in records),
        "fewer_than_hamming": mean(record["fewer"] for record in records),
        "flips": {side: shares([record["flips"][side] for record in records]) for side in ("inside", "outside")},
        "softmax_true_positive": np.mean([record["softmax_true_positive"] for record in records], axis=0)
        .round(4)
        .tolist(),
    }
    if "all" in first:
        found["all_test_images"] = {name: interval([r["all"][name] for r in records]) for name in first["all"]}
        found["n_differing_bits"] = max(record["n_differing_bits"] for record in records)
        found["seconds"] = {name: mean(r["seconds"][name] for r in records) for name in first["seconds"]}
    if "proven" in first:
        found["proven"] = {
            side: {key: mean(r["proven"][side][key] for r in records) for key in first["proven"][side]}
            for side in first["proven"]
        }
    return found


def mean(values: Iterable[float]) -> float:
    """Return the mean, to six digits."""
    return round(float(np.mean(list(values))), 6)


def interval(values: Iterable[float]) -> dict[str, float | None]:
    """Return mean and 95 % interval over networks, to six digits; no interval for one network."""
    found = statistics.interval(list(values))
    return {name: None if found[name] is None else round(found[name], 6) for name in ("mean", "low", "high")}


def shares(counts: list[list[int]]) -> list[float]:
    """Return which share of all points has 0, 1, 2, ... flips."""
    total = np.zeros(max(map(len, counts)))
    for own in counts:
        total[: len(own)] += own
    return (total / total.sum()).round(6).tolist()


def summary(record: dict[str, Any]) -> str:
    """Return the results as a short text."""
    lines = []
    for own in record["rows"]:
        found = ", ".join(f"{name} {own['auroc'][name]['mean']:.3f}" for name in SCORES)
        lines.append(
            f"{own['inside']} against {own['outside']}, {own['shape']}: AUROC {found};"
            f" {own['exact']:.1%} exact, {own['equal_to_hamming']:.1%} equal to the Hamming distance"
        )
    return "\n".join(lines)

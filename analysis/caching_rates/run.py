"""Train what is missing, arm by arm, and compare the arms."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from analysis.caching_rates.config import Config
from analysis.caching_rates.evaluate import (
    ARMS,
    by_class,
    centroid_distances,
    compare,
    dataset_pairs,
    fit,
    fit_by_setting,
    network_sizes,
    overview,
    separation,
    verdict,
)
from analysis.caching_rates.rows import Row, rows, sensitivity_rows
from analysis.caching_rates.training import Arm, Findings, resume, stored
from analysis.shared import datasets
from analysis.shared.gray_images import GrayImages, load_gray
from analysis.shared.main import Job
from analysis.shared.results import published


@dataclass(frozen=True)
class Parts:
    """The training and the test images of a data set."""

    train: GrayImages
    test: GrayImages

    @cached_property
    def distances(self) -> np.ndarray:
        """The distance of every test image to the mean of the training images of its class, pixels in [0, 1]."""
        return centroid_distances(self.train.scaled(), self.train.labels, self.test.scaled(), self.test.labels)


def load_parts(dataset: str, config: Config, folder: Path | None) -> Parts | None:
    """Return the images of a data set, or None, with a word on standard output, where they are not to be had."""
    try:
        train, test = (load_gray(dataset, split, folder) for split in ("train", "test"))
    except OSError as error:
        print(f"{dataset} is not run, its data is absent: {error}", flush=True)
        return None
    return Parts(train.first(config.n_train), test.first(config.n_test))


# --- the study


def run(config: Config, job: Job) -> dict[str, Any]:
    """Train what is missing, unless told not to, and return the results on what is there.

    The same configuration gives the same numbers, except times, on one machine.
    """
    chosen = [*rows(config), *sensitivity_rows(config)]
    data = {name: load_parts(name, config, job.data) for name in dict.fromkeys(row.dataset for row in chosen)}
    findings: dict[Arm, Findings] = {}
    for row in chosen:
        parts = data[row.dataset]
        for side in ARMS if parts else ():
            arm = row.arm(side, config)
            if job.train_more:
                findings[arm] = resume(arm, parts.train, parts.test, job.cache)
            elif found := stored(arm, parts.train, parts.test, job.cache):
                findings[arm] = found
    return summarise(config, findings, data)


def summarise(config: Config, findings: dict[Arm, Findings], data: dict[str, Parts | None]) -> dict[str, Any]:
    """Return the results on the arms that have been run."""
    not_run: list[dict[str, Any]] = []

    def entries(chosen: list[Row]) -> list[dict[str, Any]]:
        out = []
        for row in chosen:
            found = {side: findings.get(row.arm(side, config)) for side in ARMS}
            parts = data[row.dataset]
            if parts is None:
                not_run.append({**row.record(), "reason": _absence(row.dataset)})
            elif any(arm is None for arm in found.values()):
                not_run.append({**row.record(), "reason": "not trained"})
            else:
                out.append({**row.record(), **compared(row, found, parts.test.labels)})
        return out

    table, sensitivity = entries(rows(config)), entries(sensitivity_rows(config))
    return {
        "published": published("lr_table_2"),
        "data": {name: _sources(name, parts) for name, parts in data.items()},
        "rows": table,
        "verdict": overall([*table, *sensitivity]),
        "sensitivity": sensitivity,
        "fit_by_setting": fit_by_setting([*table, *sensitivity]),
        "observations": {
            **observations(config, findings, data),
            "network_size": network_sizes([*table, *sensitivity]),
            "dataset": dataset_pairs([*table, *sensitivity]),
        },
        "not_run": not_run,
    }


def _absence(dataset: str) -> str:
    names = [file.name for split in ("train", "test") for file in datasets.DATASETS[dataset].files[split]]
    return f"data absent: {', '.join(dict.fromkeys(names))}"


def _sources(dataset: str, parts: Parts | None) -> dict[str, Any]:
    if parts is None:
        return {"source": f"not run, {_absence(dataset)}"}
    return {"source": parts.train.source, "train": len(parts.train), "test": len(parts.test)}


def compared(row: Row, found: dict[str, Findings], labels: np.ndarray) -> dict[str, Any]:
    """Return both arms of a row, their test, and how that compares with print."""
    arms = {side: overview(found[side], labels) for side in ARMS}
    test = compare(*(arms[side]["cached_counts"] for side in ARMS))
    in_print, size = row.published, published("lr_table_2")["setup"]["networks_per_arm"]
    return {
        "published": in_print,
        **arms,
        "test": test,
        "fit": {side: fit(arms[side], in_print, side, size) for side in ARMS} if in_print else None,
        "verdict": verdict(in_print, *(arms[side]["cached"] for side in ARMS), test["p"]),
    }


def overall(rows_: list[dict[str, Any]]) -> dict[str, Any]:
    """Count the rows that are significant in print, were run, and have the published direction, by what is not stated.

    Returns
    -------
    dict
        by_setting: pixels, batch, networks an arm at least, and the counts; text, the same in words.
    """
    known = [row for row in rows_ if row["published"] and row["published"]["reject"]]
    out = []
    for pixels, batch in dict.fromkeys((tuple(row["pixels"]), row["batch"]) for row in known):
        chosen = [row for row in known if (tuple(row["pixels"]), row["batch"]) == (pixels, batch)]
        out.append(
            {
                "pixels": list(pixels),
                "batch": batch,
                "networks": min(row[side]["networks"] for row in chosen for side in ARMS),
                "significant_in_print_and_run": len(chosen),
                "published_direction": sum(row["with"]["cached"] < row["without"]["cached"] for row in chosen),
                "significant_here": sum(row["verdict"].startswith("reproduced") for row in chosen),
            }
        )
    text = " ".join(
        f"Pixels in {entry['pixels']}, batch {entry['batch']}: of {entry['significant_in_print_and_run']} rows that are"
        f" significant in print and were run, {entry['published_direction']} have the published direction here,"
        f" {entry['significant_here']} significantly ({entry['networks']} networks an arm)."
        for entry in out
    )
    return {"by_setting": out, "text": text}


def observations(
    config: Config, findings: dict[Arm, Findings], data: dict[str, Parts | None]
) -> dict[str, list[dict[str, Any]]]:
    """Return section 7.1's observations (a) and (b) as numbers, for every arm."""
    classes, distances = [], []
    for row in (*rows(config), *sensitivity_rows(config)):
        for side in ARMS:
            found, parts = findings.get(row.arm(side, config)), data[row.dataset]
            if found is None or parts is None:
                continue
            name = {**row.record(), "arm": side}
            classes.append({**name, **by_class(found, parts.test.labels)})
            distances.append({**name, **separation(found.cached, parts.distances, parts.test.labels)})
    return {"by_class": classes, "centroid_distance": distances}

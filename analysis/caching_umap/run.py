"""Embed the images, find what the networks of `analysis.caching_rates` cache, and measure distances in the plane."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.caching_rates import config as caching_rates
from analysis.caching_rates.evaluate import centroid_distances, overview, separation
from analysis.caching_rates.rows import Row, rows
from analysis.caching_rates.run import Parts, load_parts
from analysis.caching_rates.training import Arm, Findings, resume
from analysis.caching_umap.config import Config
from analysis.caching_umap.figures import DRAWN, DRAWN_FILE
from analysis.shared.main import Job
from analysis.shared.results import installed
from tropnet.archives import archive_bytes, read_archive, write_atomically
from tropnet.errors import MissingExtraError

_KIND, _VERSION = "umap embedding", 1


@dataclass(frozen=True)
class Embedding:
    """Points of the plane, float32 (n, 2): the chosen training images, their numbers, and all test images."""

    chosen: NDArray[np.int64]
    train: NDArray[np.float32]
    test: NDArray[np.float32]


def embed(points: NDArray[np.float32], config: Config) -> NDArray[np.float32]:
    """Return the UMAP embedding of points (n, d) in the plane, the same for the same seed on one machine.

    Raises
    ------
    MissingExtraError
        umap-learn is not installed.
    """
    try:
        with warnings.catch_warnings():
            # It says that it does without TensorFlow.
            warnings.simplefilter("ignore", ImportWarning)
            import umap
    except ImportError as error:
        raise MissingExtraError(
            "the embedding needs umap-learn, of the extra 'analysis'; install it with: pip install 'tropnet[analysis]'"
        ) from error
    # With a seed UMAP works in one thread anyway, and warns if it was not told to.
    mapper = umap.UMAP(n_neighbors=config.n_neighbors, min_dist=config.min_dist, random_state=config.seed, n_jobs=1)
    return np.asarray(mapper.fit_transform(points), dtype=np.float32)


def embedding(parts: Parts, config: Config, cache: Path) -> Embedding:
    """Return the embedding of a data set, from `cache` where an earlier run made it.

    Raises
    ------
    FileFormatError
        The file in `cache` is damaged.
    MissingExtraError
        There is none, and umap-learn is not installed.
    """
    own = {**dataclasses.asdict(config), "rates": None}
    content = json.dumps([own, installed("umap-learn"), parts.train.digest(), parts.test.digest()])
    path = cache / f"{hashlib.sha256(content.encode()).hexdigest()[:24]}.npz"
    if not path.exists():
        rng = np.random.default_rng(config.seed)
        chosen = np.sort(rng.permutation(len(parts.train))[: config.n_train])
        points = embed(np.concatenate([parts.train.scaled()[chosen], parts.test.scaled()]), config)
        data = archive_bytes(_KIND, _VERSION, {"chosen": chosen, "points": points})
        cache.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda file: file.write(data))
    arrays = read_archive(path, _KIND, _VERSION)
    n_train = len(arrays["chosen"])
    return Embedding(arrays["chosen"], arrays["points"][:n_train], arrays["points"][n_train:])


# --- the study


def run(config: Config, job: Job) -> dict[str, Any]:
    """Return the numbers of every panel; keep what is drawn in it in the cache, where `figures.draw` finds it."""
    records, drawn, not_run = [], {}, {}
    for dataset in dict.fromkeys(row.dataset for row in rows(config.rates)):
        parts = load_parts(dataset, config.rates, job.data)
        if parts is None:
            not_run[dataset] = "data absent"
            continue
        place = embedding(parts, config, job.cache)
        for row, found in _networks(dataset, parts, config, job.cache.parent / caching_rates.NAME):
            arrays = {
                "train": place.train,
                "train_labels": parts.train.labels[place.chosen],
                "test": place.test,
                "cached": found.cached[0],
            }
            drawn |= {f"{len(records)}_{name}": array for name, array in arrays.items()}
            records.append(panel_record(row, found, parts, place))
    job.cache.mkdir(parents=True, exist_ok=True)
    data = archive_bytes(*DRAWN, drawn)
    write_atomically(job.cache / DRAWN_FILE, lambda file: file.write(data))
    return {"panels": records, "not_run": not_run}


def _networks(dataset: str, parts: Parts, config: Config, cache: Path) -> Iterator[tuple[Row, Findings]]:
    """Yield the arms of a data set: those with centred pixels where there are such."""
    centred = dataset in config.rates.centred
    for row in rows(config.rates):
        if row.dataset == dataset and row.centred == centred:
            arm: Arm = row.arm(config.side, config.rates)
            yield row, resume(arm, parts.train, parts.test, cache)


def panel_record(row: Row, found: Findings, parts: Parts, place: Embedding) -> dict[str, Any]:
    """Return the numbers of a panel.

    Returns
    -------
    dict
        cached, of the network shown; cached_mean, of its arm; test_images; embedded training images; in_the_plane:
        distances to the mean of the class, in the plane, uncached against cached, over the networks of the arm.
    """
    labels = parts.train.labels[place.chosen]
    distances = centroid_distances(place.train, labels, place.test, parts.test.labels)
    arm = overview(found, parts.test.labels)
    return {
        **row.record(),
        "skips": [],
        "cached": arm["cached_counts"][0],
        "cached_mean": arm["cached"],
        "accuracy": arm["accuracies"][0],
        "test_images": arm["test_images"],
        "embedded_training_images": len(labels),
        "in_the_plane": separation(found.cached, distances, parts.test.labels),
    }


def summary(record: dict[str, Any]) -> str:
    """Return the results as a short text."""
    lines = []
    for panel in record["panels"]:
        area = panel["in_the_plane"].get("area")
        lines.append(
            f"{panel['dataset']}, {panel['layers']} x {panel['neurons']}: {panel['cached']} of"
            f" {panel['test_images']} cached, uncached farther from the class mean in the plane:"
            f" {'-' if area is None else f'{area:.3f}'}"
        )
    return "\n".join([*lines, *(f"not run: {dataset}: {reason}" for dataset, reason in record["not_run"].items())])

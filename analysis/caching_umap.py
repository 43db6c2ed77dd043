"""Where do cached and uncached test images lie? LR Fig. 4, drawn anew, and its middle column's claim measured.

One UMAP embedding a data set, of all test images and a random sample of the training images, shared by the three sizes
of network. Blue test images share the activation pattern of a training image, of all of them, in the first network of
the arm without skips of `analysis.caching_rates`, whose results are read, or made where they are missing; where that
study has both ranges of pixels, the networks are those that see pixels in [-1, 1].

    python -m analysis.caching_umap --quick
    python -m analysis.caching_umap

Needs umap-learn, which the extra "analysis" installs.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from analysis import caching_rates, study
from analysis import caching_umap_figures as figures
from analysis.caching_rates import Parts, Row, load_parts, rows
from analysis.caching_rates_evaluation import centroid_distances, overview, separation
from analysis.caching_rates_training import Arm, Findings, resume
from tropnet.archives import archive_bytes, read_archive, write_atomically
from tropnet.errors import MissingExtraError

NAME = "caching_umap"
_KIND, _VERSION = "umap embedding", 1


@dataclass(frozen=True)
class Config:
    """Everything that determines the figure.

    Attributes
    ----------
    rates
        How the networks are trained.
    side
        The arm whose first network is shown; the paper's section 7.1 names no skips.
    n_train
        Training images that are embedded and drawn; all of them count for what is cached.
    n_neighbors, min_dist
        Of UMAP, its defaults.
    seed
        Of the sample and of the embedding.
    """

    rates: caching_rates.Config = field(default_factory=caching_rates.Config)
    side: str = "without"
    n_train: int = 10_000
    n_neighbors: int = 15
    min_dist: float = 0.1
    seed: int = 20_250_915


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
    content = json.dumps([own, _umap_version(), parts.train.digest(), parts.test.digest()])
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


def _umap_version() -> str | None:
    try:
        return version("umap-learn")
    except PackageNotFoundError:
        return None


# --- the study


def run(config: Config, *, caches: Path, folder: Path | None = None) -> tuple[dict[str, Any], list[figures.Panel]]:
    """Return the numbers of every panel, and what is drawn in it."""
    records, panels, not_run = [], [], {}
    for dataset in dict.fromkeys(row.dataset for row in rows(config.rates)):
        parts = load_parts(dataset, config.rates, folder)
        if parts is None:
            not_run[dataset] = "data absent"
            continue
        place = embedding(parts, config, caches / NAME)
        for row, found in _networks(dataset, parts, config, caches / caching_rates.NAME):
            records.append(panel_record(row, found, parts, place))
            panels.append(
                figures.Panel(
                    dataset=dataset,
                    layers=row.layers,
                    neurons=row.neurons,
                    centred=row.centred,
                    in_print=row.published is not None,
                    train=place.train,
                    train_labels=parts.train.labels[place.chosen],
                    test=place.test,
                    cached=found.cached[0],
                )
            )
    return {"panels": records, "not_run": not_run}, panels


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


def main(arguments: list[str] | None = None) -> None:
    """Make what is missing, write `results/caching_umap.json`, draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    caching_rates.add_arguments(parser)
    parser.add_argument(
        "--n-train", type=int, default=Config.n_train, help="training images to embed (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    config = Config(rates=caching_rates.configure(options), n_train=options.n_train)
    results, panels = run(config, caches=options.out / "results" / ".cache", folder=options.data)
    record = caching_rates.provenance(config, config.rates.device)
    record["versions"]["umap-learn"] = _umap_version()
    study.write_json(options.out / "results" / f"{NAME}.json", {**record, **results})
    figures.draw(panels, results["not_run"], options.out / "paper_figures")
    for panel in results["panels"]:
        area = panel["in_the_plane"].get("area")
        print(
            f"{panel['dataset']}, {panel['layers']} x {panel['neurons']}: {panel['cached']} of"
            f" {panel['test_images']} cached, uncached farther from the class mean in the plane:"
            f" {'-' if area is None else f'{area:.3f}'}"
        )
    for dataset, reason in results["not_run"].items():
        print(f"not run: {dataset}: {reason}")


if __name__ == "__main__":
    main()

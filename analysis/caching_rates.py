"""How often do test images fall into activation regions of training images? LR Table 2 and section 7.1.

Two arms of networks a row, with skips and without, all networks of an arm trained at once; then every network is frozen
and its activation patterns, in float64, tell which test images are cached: those that share the pattern of a training
image. Beside Table 2: its sensitivity to the batch size, which the paper does not state, and the four observations of
section 7.1 as numbers. Fashion-MNIST is an extra, with nothing in print.

    python -m analysis.caching_rates --quick
    python -m analysis.caching_rates
    python -m analysis.caching_rates --summarise

A stopped run goes on with the arm where it was; --summarise reports on what has been trained so far.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from analysis import caching_rates_tables as tables
from analysis import datasets, study
from analysis.caching_rates_evaluation import (
    ARMS,
    by_class,
    centroid_distances,
    compare,
    dataset_pairs,
    fit,
    network_sizes,
    overview,
    separation,
    verdict,
)
from analysis.caching_rates_training import Arm, Findings, describe, resume, stored
from analysis.gray_images import GrayImages, load_gray

NAME = "caching_rates"
EXTRA_DATASETS = ("fashion-mnist",)


@dataclass(frozen=True)
class Config:
    """Everything that determines the numbers.

    Attributes
    ----------
    networks
        Per arm.
    batch
        Of the rows; the paper states none.
    sensitivity_batches, sensitivity_datasets
        What else is run, on which data sets, in print or not.
    epochs, learning_rate
        Of Adam; as in the paper.
    n_train, n_test
        The first so many images of each part; None takes all.
    seed
        Root of all seeds.
    device
        As PyTorch names it.
    """

    networks: int = 50
    batch: int = 100
    sensitivity_batches: tuple[int, ...] = (50, 200)
    sensitivity_datasets: tuple[str, ...] = ("mnist", "cifar10")
    epochs: int = 5
    learning_rate: float = 5e-4
    n_train: int | None = None
    n_test: int | None = None
    seed: int = 20_250_915
    device: str = "cpu"


@dataclass(frozen=True)
class Row:
    """A row of Table 2, or one with nothing in print: a data set, a shape, skips."""

    dataset: str
    layers: int
    neurons: int
    skips: tuple[tuple[int, int], ...]

    def arm(self, side: str, config: Config, batch: int | None = None) -> Arm:
        """Return the arm "with" or "without" skips."""
        return Arm(
            self.dataset,
            self.layers,
            self.neurons,
            self.skips if side == "with" else (),
            networks=config.networks,
            batch=batch or config.batch,
            epochs=config.epochs,
            learning_rate=config.learning_rate,
            seed=config.seed,
            device=config.device,
        )

    @property
    def published(self) -> dict[str, Any] | None:
        """What is in print."""
        return next((row for row in study.published("lr_table_2")["rows"] if _row(row) == self), None)

    def record(self) -> dict[str, Any]:
        """Return what identifies the row, for JSON."""
        return {"dataset": self.dataset, "layers": self.layers, "neurons": self.neurons, "skips": self.skips}


def _row(published: dict[str, Any], dataset: str | None = None) -> Row:
    skips = tuple((source, target) for source, target in published["skips"])
    return Row(dataset or published["dataset"], published["layers"], published["neurons"], skips)


def rows() -> list[Row]:
    """Return the rows of Table 2, and the same shapes for the extra data sets."""
    published = study.published("lr_table_2")["rows"]
    extra = [_row(row, dataset) for dataset in EXTRA_DATASETS for row in published]
    return list(dict.fromkeys([*map(_row, published), *extra]))


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


def cells(config: Config) -> Iterator[tuple[Row, int]]:
    """Yield what is trained in its order: all rows, then those of the sensitivity study with their batch."""
    yield from ((row, config.batch) for row in rows())
    for dataset in config.sensitivity_datasets:
        for batch in config.sensitivity_batches:
            yield from ((row, batch) for row in rows() if row.dataset == dataset)


def run(config: Config, *, cache: Path, folder: Path | None = None, train_more: bool = True) -> dict[str, Any]:
    """Train what is missing, unless told not to, and return the results on what is there.

    The same configuration gives the same numbers, except times, on one machine.
    """
    data = {name: load_parts(name, config, folder) for name in dict.fromkeys(row.dataset for row in rows())}
    present = {name: parts for name, parts in data.items() if parts is not None}
    findings: dict[Arm, Findings] = {}
    for row, batch in cells(config):
        parts = present.get(row.dataset)
        for side in ARMS if parts else ():
            arm = row.arm(side, config, batch)
            if train_more:
                findings[arm] = resume(arm, parts.train, parts.test, cache)
            elif found := stored(arm, parts.train, parts.test, cache):
                findings[arm] = found
    return summarise(config, findings, data)


def summarise(config: Config, findings: dict[Arm, Findings], data: dict[str, Parts | None]) -> dict[str, Any]:
    """Return the results on the arms that have been run."""
    table, sensitivity, not_run = [], [], []
    for row, batch in cells(config):
        found = {side: findings.get(row.arm(side, config, batch)) for side in ARMS}
        parts = data[row.dataset]
        if parts is None or None in found.values():
            reason = _absence(row.dataset) if parts is None else "not trained"
            not_run.append({**row.record(), "batch": batch, "reason": reason})
            continue
        entry = {**row.record(), "batch": batch, **compared(row, found, parts.test.labels)}
        (table if batch == config.batch else sensitivity).append(entry)
    return {
        "published": study.published("lr_table_2"),
        "data": {name: _sources(name, parts) for name, parts in data.items()},
        "rows": table,
        "verdict": overall(table),
        "sensitivity": sensitivity,
        "observations": observations(config, findings, data, table),
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
    published = row.published
    return {
        "published": published,
        **arms,
        "test": test,
        "fit": {side: fit(arms[side], published, side) for side in ARMS} if published else None,
        "verdict": verdict(published, *(arms[side]["cached"] for side in ARMS), test["p"]),
    }


def overall(table: list[dict[str, Any]]) -> dict[str, Any]:
    """Count the rows that are significant in print, were run, and have the published direction."""
    significant = [row for row in table if row["published"] and row["published"]["reject"]]
    direction = [row for row in significant if row["with"]["cached"] < row["without"]["cached"]]
    reproduced = [row for row in significant if row["verdict"].startswith("reproduced")]
    return {
        "significant_in_print_and_run": len(significant),
        "published_direction": len(direction),
        "significant_here": len(reproduced),
        "text": (
            f"Of {len(significant)} rows that are significant in print and were run, {len(direction)} have the"
            f" published direction here, {len(reproduced)} significantly."
        ),
    }


def observations(
    config: Config, findings: dict[Arm, Findings], data: dict[str, Parts | None], table: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return section 7.1's four observations as numbers, for the arms of the rows."""
    classes, distances = [], []
    for row in rows():
        for side in ARMS:
            found, parts = findings.get(row.arm(side, config)), data[row.dataset]
            if found is None or parts is None:
                continue
            name = {**row.record(), "arm": side}
            classes.append({**name, **by_class(found, parts.test.labels)})
            distances.append({**name, **separation(found.cached, parts.distances, parts.test.labels)})
    return {
        "by_class": classes,
        "centroid_distance": distances,
        "network_size": network_sizes(table),
        "dataset": dataset_pairs(table),
    }


# --- the command


def configure(options: argparse.Namespace) -> Config:
    """Return the configuration that the command line asks for."""
    if options.quick:
        return Config(
            networks=min(4, options.networks),
            batch=options.batch,
            sensitivity_batches=(2 * options.batch,),
            sensitivity_datasets=("mnist",),
            epochs=1,
            n_train=500,
            n_test=200,
            seed=options.seed,
            device=options.device,
        )
    return Config(
        networks=options.networks,
        batch=options.batch,
        sensitivity_batches=tuple(batch for batch in options.sensitivity_batches if batch != options.batch),
        sensitivity_datasets=tuple(options.sensitivity_datasets),
        seed=options.seed,
        device=options.device,
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `configure` and what else this study and its figure share."""
    parser.add_argument("--networks", type=int, default=Config.networks, help="per arm (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=Config.batch, help="of the rows (default: %(default)s)")
    parser.add_argument(
        "--sensitivity-batches", type=int, nargs="*", default=Config.sensitivity_batches, help="default: %(default)s"
    )
    parser.add_argument(
        "--sensitivity-datasets", nargs="*", default=Config.sensitivity_datasets, help="default: %(default)s"
    )
    parser.add_argument("--seed", type=int, default=Config.seed, help="root seed (default: %(default)s)")
    parser.add_argument("--device", default=Config.device, help="cpu, cuda, ... (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of PyTorch (default: %(default)s)")
    parser.add_argument("--data", type=Path, help="folder with the data sets (default: TROPNET_DATA, else fetched)")
    parser.add_argument("--quick", action="store_true", help="one epoch of four networks on 500 images")
    parser.add_argument("--out", type=Path, default=study.ROOT, help="where results/ and paper_figures/ are")


def main(arguments: list[str] | None = None) -> None:
    """Run the study, write `results/caching_rates.json` and the tables of `results/caching_rates.md`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--summarise", action="store_true", help="train nothing: report on the arms done so far")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    config = configure(options)
    folder = options.out / "results"
    results = run(config, cache=folder / ".cache" / NAME, folder=options.data, train_more=not options.summarise)
    record = {**provenance(config, config.device), **results}
    study.write_json(folder / f"{NAME}.json", record)
    tables.write(folder / f"{NAME}.md", record)
    print(tables.table_2(record), results["verdict"]["text"], sep="\n")
    for entry in results["not_run"]:
        print(f"not run: {describe(_row(entry).arm('with', config, entry['batch']))}: {entry['reason']}")


def provenance(config: Any, device: str) -> dict[str, Any]:
    """Return what `study.provenance` does, and PyTorch's part in it."""
    record = study.provenance(config)
    record["versions"]["torch"] = torch.__version__
    record["threads"] = torch.get_num_threads()
    if device.startswith("cuda"):
        record["gpu"] = torch.cuda.get_device_name(device)
    return record


if __name__ == "__main__":
    main()

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
    fit_by_setting,
    network_sizes,
    overview,
    separation,
    verdict,
)
from analysis.caching_rates_training import Arm, Findings, resume, stored
from analysis.gray_images import GrayImages, load_gray

NAME = "caching_rates"
EXTRA_DATASETS = ("fashion-mnist",)


@dataclass(frozen=True)
class Config:
    """Everything that determines the numbers.

    Attributes
    ----------
    networks
        Per arm of the table.
    batch
        Of the table; the paper states none.
    centred
        Data sets whose rows are also run with pixels in [-1, 1] instead of [0, 1]; the paper states neither.
    sensitivity
        What else is run: data set, batch, and whether pixels are in [-1, 1].
    sensitivity_networks
        Per arm of these.
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
    centred: tuple[str, ...] = ("cifar10", "svhn")
    sensitivity: tuple[tuple[str, int, bool], ...] = (
        ("mnist", 50, False),
        ("mnist", 200, False),
        ("mnist", 64, True),
        ("mnist", 100, True),
        ("cifar10", 64, True),
    )
    sensitivity_networks: int = 10
    epochs: int = 5
    learning_rate: float = 5e-4
    n_train: int | None = None
    n_test: int | None = None
    seed: int = 20_250_915
    device: str = "cpu"


@dataclass(frozen=True)
class Row:
    """What a row of Table 2 has in common: data set, shape, skips; and what the paper does not state."""

    dataset: str
    layers: int
    neurons: int
    skips: tuple[tuple[int, int], ...]
    batch: int
    networks: int
    centred: bool = False

    def arm(self, side: str, config: Config) -> Arm:
        """Return the arm "with" or "without" skips."""
        return Arm(
            self.dataset,
            self.layers,
            self.neurons,
            self.skips if side == "with" else (),
            networks=self.networks,
            batch=self.batch,
            epochs=config.epochs,
            learning_rate=config.learning_rate,
            centred=self.centred,
            seed=config.seed,
            device=config.device,
        )

    @property
    def published(self) -> dict[str, Any] | None:
        """What is in print."""
        name = self.dataset, self.layers, self.neurons
        published = study.published("lr_table_2")["rows"]
        return next((row for row in published if (row["dataset"], row["layers"], row["neurons"]) == name), None)

    def record(self) -> dict[str, Any]:
        """Return what identifies the row, for JSON."""
        return {
            "dataset": self.dataset,
            "layers": self.layers,
            "neurons": self.neurons,
            "skips": self.skips,
            "pixels": [-1, 1] if self.centred else [0, 1],
            "batch": self.batch,
        }


def rows(config: Config) -> list[Row]:
    """Return the rows of Table 2; some of them with pixels in [-1, 1]; and the same shapes for the extra data sets."""
    published = list(dict.fromkeys(row["dataset"] for row in study.published("lr_table_2")["rows"]))
    size = config.batch, config.networks
    return [
        *(row for dataset in published for row in _rows_of(dataset, *size)),
        *(row for dataset in config.centred for row in _rows_of(dataset, *size, centred=True)),
        *(row for dataset in EXTRA_DATASETS for row in _rows_of(dataset, *size)),
    ]


def sensitivity_rows(config: Config) -> list[Row]:
    """Return the rows of the sensitivity study, without settings that the table has, with more networks."""
    networks, main = config.sensitivity_networks, {(row.dataset, row.batch, row.centred) for row in rows(config)}
    return [
        row
        for setting in config.sensitivity
        if setting not in main
        for row in _rows_of(setting[0], setting[1], networks, setting[2])
    ]


def _rows_of(dataset: str, batch: int, networks: int, centred: bool = False) -> list[Row]:
    shapes = {
        (row["layers"], row["neurons"]): tuple((source, target) for source, target in row["skips"])
        for row in study.published("lr_table_2")["rows"]
    }
    return [Row(dataset, *shape, skips, batch, networks, centred) for shape, skips in shapes.items()]


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


def run(config: Config, *, cache: Path, folder: Path | None = None, train_more: bool = True) -> dict[str, Any]:
    """Train what is missing, unless told not to, and return the results on what is there.

    The same configuration gives the same numbers, except times, on one machine.
    """
    chosen = [*rows(config), *sensitivity_rows(config)]
    data = {name: load_parts(name, config, folder) for name in dict.fromkeys(row.dataset for row in chosen)}
    findings: dict[Arm, Findings] = {}
    for row in chosen:
        parts = data[row.dataset]
        for side in ARMS if parts else ():
            arm = row.arm(side, config)
            if train_more:
                findings[arm] = resume(arm, parts.train, parts.test, cache)
            elif found := stored(arm, parts.train, parts.test, cache):
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
        "published": study.published("lr_table_2"),
        "data": {name: _sources(name, parts) for name, parts in data.items()},
        "rows": table,
        "verdict": overall(table),
        "sensitivity": sensitivity,
        "fit_by_setting": fit_by_setting([*table, *sensitivity]),
        "observations": {
            **observations(config, findings, data),
            "network_size": network_sizes(table),
            "dataset": dataset_pairs([*table, *(row for row in sensitivity if row["batch"] == config.batch)]),
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
    published, size = row.published, study.published("lr_table_2")["setup"]["networks_per_arm"]
    return {
        "published": published,
        **arms,
        "test": test,
        "fit": {side: fit(arms[side], published, side, size) for side in ARMS} if published else None,
        "verdict": verdict(published, *(arms[side]["cached"] for side in ARMS), test["p"]),
    }


def overall(table: list[dict[str, Any]]) -> dict[str, Any]:
    """Count the rows that are significant in print, were run, and have the published direction, by range of pixels."""
    out: dict[str, Any] = {"by_pixels": []}
    for pixels in ([0, 1], [-1, 1]):
        chosen = [row for row in table if row["published"] and row["published"]["reject"] and row["pixels"] == pixels]
        direction = [row for row in chosen if row["with"]["cached"] < row["without"]["cached"]]
        reproduced = [row for row in chosen if row["verdict"].startswith("reproduced")]
        out["by_pixels"].append(
            {
                "pixels": pixels,
                "significant_in_print_and_run": len(chosen),
                "published_direction": len(direction),
                "significant_here": len(reproduced),
            }
        )
    out["text"] = " ".join(
        f"Pixels in {entry['pixels']}: of {entry['significant_in_print_and_run']} rows that are significant in print"
        f" and were run, {entry['published_direction']} have the published direction here,"
        f" {entry['significant_here']} significantly."
        for entry in out["by_pixels"]
    )
    return out


def observations(
    config: Config, findings: dict[Arm, Findings], data: dict[str, Parts | None]
) -> dict[str, list[dict[str, Any]]]:
    """Return section 7.1's observations (a) and (b) as numbers, for the arms of the table."""
    classes, distances = [], []
    for row in rows(config):
        for side in ARMS:
            found, parts = findings.get(row.arm(side, config)), data[row.dataset]
            if found is None or parts is None:
                continue
            name = {**row.record(), "arm": side}
            classes.append({**name, **by_class(found, parts.test.labels)})
            distances.append({**name, **separation(found.cached, parts.distances, parts.test.labels)})
    return {"by_class": classes, "centroid_distance": distances}


# --- the command


def configure(options: argparse.Namespace) -> Config:
    """Return the configuration that the command line asks for."""
    common = {"batch": options.batch, "seed": options.seed, "device": options.device}
    if options.quick:
        return Config(
            networks=min(4, options.networks),
            centred=("cifar10",),
            sensitivity=(("mnist", 2 * options.batch, False), ("mnist", options.batch, True)),
            sensitivity_networks=2,
            epochs=1,
            n_train=500,
            n_test=200,
            **common,
        )
    return Config(networks=options.networks, sensitivity_networks=options.sensitivity_networks, **common)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `configure` and what else this study and its figure share."""
    parser.add_argument("--networks", type=int, default=Config.networks, help="per arm (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=Config.batch, help="of the table (default: %(default)s)")
    parser.add_argument(
        "--sensitivity-networks",
        type=int,
        default=Config.sensitivity_networks,
        help="per arm of the sensitivity study (default: %(default)s)",
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
        print(f"not run: {tables.name(entry)}: {entry['reason']}")


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

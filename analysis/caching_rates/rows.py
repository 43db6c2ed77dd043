"""The rows of Table 2, and what is run beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from analysis.caching_rates.config import Config
from analysis.caching_rates.training import Arm
from analysis.shared.results import published

EXTRA_DATASETS = ("fashion-mnist",)


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
        return next(
            (row for row in published("lr_table_2")["rows"] if (row["dataset"], row["layers"], row["neurons"]) == name),
            None,
        )

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
    in_print = list(dict.fromkeys(row["dataset"] for row in published("lr_table_2")["rows"]))
    size = config.batch, config.networks
    return [
        *(row for dataset in in_print for row in _rows_of(dataset, *size)),
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
        for row in published("lr_table_2")["rows"]
    }
    return [Row(dataset, *shape, skips, batch, networks, centred) for shape, skips in shapes.items()]

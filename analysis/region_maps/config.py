"""What determines the numbers of `analysis.region_maps`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

NAME = "region_maps"


@dataclass(frozen=True)
class Config:
    """Everything that determines the numbers.

    Attributes
    ----------
    trials
        Networks per function and depth; the paper shows one.
    epochs
        Full-batch steps of Adam.
    learning_rate
        Of Adam.
    depths, neurons
        Hidden layers, and neurons of each.
    half_width, per_unit
        The square, and grid points per unit.
    cells_per_side
        The square is cut into so many by so many cells, in which density and bending are compared.
    seed
        Root of all seeds.
    """

    trials: int = 50
    epochs: int = 20_000
    learning_rate: float = 0.01
    depths: tuple[int, ...] = (2, 5)
    neurons: int = 5
    half_width: float = 10.0
    per_unit: int = 10
    cells_per_side: int = 20
    seed: int = 20_250_917


QUICK = Config(trials=2, epochs=100, per_unit=1)


def configure(options: argparse.Namespace) -> Config:
    """Return the configuration that the command line asks for."""
    return QUICK if options.quick else Config()

"""What determines the numbers of `analysis.regions_while_training`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

NAME = "regions_while_training"
ARMS = ("none", "added", "averaged")


@dataclass(frozen=True)
class Config:
    """Everything that determines the numbers.

    Attributes
    ----------
    trials
        Networks per arm and function; a trial starts all arms from the same weights.
    epochs
        Full-batch steps of Adam; the paper states them for its section 5 only.
    n_counts
        Epochs, at equal distances on a logarithmic scale, after which regions are counted, beside the start.
    learning_rate
        Of Adam.
    layers, neurons
        Hidden layers, and neurons of each.
    skips
        Pairs (k, l) of the arms with skips: "added" adds the output of layer k to the input of layer l, "averaged"
        takes their mean.
    half_width, per_unit
        The square, and grid points per unit; the test grid lies half a spacing beside.
    seed
        Root of all seeds.
    """

    trials: int = 10
    epochs: int = 20_000
    n_counts: int = 41
    learning_rate: float = 0.01
    layers: int = 5
    neurons: int = 4
    skips: tuple[tuple[int, int], ...] = ((1, 3), (2, 4))
    half_width: float = 10.0
    per_unit: int = 5
    seed: int = 20_250_916

    @property
    def milestones(self) -> list[int]:
        """The epochs after which regions are counted, in order."""
        return [0, *np.unique(np.round(np.geomspace(1, self.epochs, self.n_counts)).astype(int)).tolist()]


QUICK = Config(trials=2, epochs=100, n_counts=5, per_unit=1)


def configure(options: argparse.Namespace) -> Config:
    """Return the configuration that the command line asks for."""
    return QUICK if options.quick else Config()

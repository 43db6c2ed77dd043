"""What determines the numbers of `analysis.vanishing_skips`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

NAME = "vanishing_skips"
ARMS = ("vanishing", "static", "none")


@dataclass(frozen=True)
class Config:
    """Everything that determines the numbers.

    Attributes
    ----------
    trials
        Networks per arm; a trial starts all arms from the same weights.
    epochs
        Full-batch steps of Adam.
    learning_rate
        Of Adam.
    layers, neurons
        Hidden layers, and neurons of each.
    skips
        Pairs (k, l) as in the papers.
    strength
        t of the static skips, and where the vanishing ones start.
    half_width, spacing
        The square, and the spacing of the training grid, which keeps off the axes; test points lie between.
    n_strengths
        Values of t at which trained networks are counted with the weights held.
    seed
        Root of all seeds.
    """

    trials: int = 50
    epochs: int = 4_000
    learning_rate: float = 0.01
    layers: int = 5
    neurons: int = 10
    skips: tuple[tuple[int, int], ...] = ((1, 3), (2, 4))
    strength: float = 0.5
    half_width: float = 10.0
    spacing: float = 0.25
    n_strengths: int = 11
    seed: int = 20_240_807


QUICK = Config(trials=2, epochs=200, spacing=1.0)


def configure(options: argparse.Namespace) -> Config:
    """Return the configuration that the command line asks for."""
    return QUICK if options.quick else Config()

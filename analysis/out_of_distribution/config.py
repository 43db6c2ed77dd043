"""What determines the numbers of `analysis.out_of_distribution`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field

NAME = "out_of_distribution"
SCORES = ("flips", "hamming", "softmax")
SHAPES = (
    (4, 8, ()),
    (4, 8, ((1, 3), (2, 4))),
    (3, 16, ()),
    (3, 16, ((1, 3),)),
    (3, 32, ()),
    (3, 32, ((1, 3),)),
)
MOON_SHAPES = ((3, 16, ()), (3, 16, ((1, 3),)))

Skips = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Recipe:
    """How networks are trained and scored.

    Attributes
    ----------
    epochs, batch, learning_rate
        Of Adam on the images: the paper's; it states no batch; 100 comes near its caching rates on MNIST with 3 x 32.
    n_train
        Training images; None takes all.
    n_points
        Images of each test set, drawn at random, that are scored by the search (enumerated networks score all).
    n_proven
        How many of these are scored again without assuming general position, of each test set.
    max_regions, max_regions_proven
        Regions that the search may look at around a point, with and without that assumption.
    moon_points, moon_epochs
        Points of the moons to train on, and as many of each kind to score; epochs of Adam at rate 0.01.
    """

    epochs: int = 5
    batch: int = 100
    learning_rate: float = 5e-4
    n_train: int | None = None
    n_points: int = 500
    n_proven: int = 10
    max_regions: int = 100
    max_regions_proven: int = 30
    moon_points: int = 1000
    moon_epochs: int = 50


@dataclass(frozen=True)
class Config:
    """Everything that determines the numbers.

    Attributes
    ----------
    recipe
        Of every network.
    shapes
        Hidden layers, neurons per layer and skips of the networks on images; as in LR Table 2.
    seeds, reverse_seeds, moon_seeds
        Networks of each shape: on MNIST, on Fashion-MNIST, on the moons.
    """

    recipe: Recipe = field(default_factory=Recipe)
    shapes: tuple[tuple[int, int, Skips], ...] = SHAPES
    seeds: int = 20
    reverse_seeds: int = 12
    moon_seeds: int = 50


QUICK = Config(
    Recipe(
        epochs=1,
        n_train=300,
        n_points=10,
        n_proven=2,
        max_regions=10,
        max_regions_proven=3,
        moon_points=60,
        moon_epochs=3,
    ),
    ((2, 4, ()), (2, 12, ((1, 3),))),
    seeds=1,
    reverse_seeds=1,
    moon_seeds=2,
)


def configure(options: argparse.Namespace) -> Config:
    """Return the configuration that the command line asks for."""
    if options.quick:
        return QUICK
    return Config(seeds=options.seeds, reverse_seeds=options.reverse_seeds, moon_seeds=options.moon_seeds)

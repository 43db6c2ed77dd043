"""What determines the figure of `analysis.caching_umap`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field

from analysis.caching_rates import config as caching_rates

NAME = "caching_umap"


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


def configure(options: argparse.Namespace) -> Config:
    """Return the configuration that the command line asks for."""
    return Config(rates=caching_rates.configure(options), n_train=options.n_train)

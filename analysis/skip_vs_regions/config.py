"""What determines the numbers of `analysis.skip_vs_regions`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

NAME = "skip_vs_regions"


@dataclass(frozen=True)
class Config:
    """Everything that determines the numbers.

    Attributes
    ----------
    networks
        Networks per arm in the reproduction, the control and the mechanism.
    sensitivity_networks
        Networks per arm in each cell of the sensitivity study.
    published_networks
        Networks per arm in the paper; also the size of its sampling distributions.
    resamples
        Bootstrap resamples for intervals and sampling distributions.
    gamma_resamples
        Parametric-bootstrap samples for the Kolmogorov-Smirnov p (each needs a fit).
    sensitivity_shapes
        (hidden layers, neurons per layer) of the sensitivity study.
    seed
        Root of all seeds.
    """

    networks: int = 2_000
    sensitivity_networks: int = 100
    published_networks: int = 50
    resamples: int = 2_000
    gamma_resamples: int = 199
    sensitivity_shapes: tuple[tuple[int, int], ...] = ((5, 4), (3, 4))
    seed: int = 20_250_915


QUICK = Config(
    networks=10,
    sensitivity_networks=2,
    published_networks=10,
    resamples=50,
    gamma_resamples=2,
    sensitivity_shapes=((3, 4),),
)


def configure(options: argparse.Namespace) -> Config:
    """Return the configuration that the command line asks for."""
    if options.quick:
        return replace(QUICK, seed=options.seed)
    return Config(
        networks=options.networks,
        sensitivity_networks=options.sensitivity_networks,
        published_networks=min(Config.published_networks, options.networks),
        seed=options.seed,
    )

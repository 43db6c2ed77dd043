"""What determines the numbers of `analysis.stable_counts`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

NAME = "stable_counts"


@dataclass(frozen=True)
class Config:
    """What determines the results: widths, networks by engine, how many witnesses of each network are checked."""

    widths: tuple[tuple[int, ...], ...] = ((4, 16, 16), (6, 20), (8, 10, 10))
    networks: int = 20
    networks_by_lp: tuple[int, ...] = (5, 2, 2)
    witnesses: int = 500


QUICK = Config(((3, 6, 6), (3, 8)), networks=2, networks_by_lp=(1, 1), witnesses=20)


def configure(options: argparse.Namespace) -> Config:
    """Return the configuration that the command line asks for."""
    return QUICK if options.quick else Config(networks=options.networks)

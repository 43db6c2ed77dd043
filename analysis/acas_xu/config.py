"""What determines the results of `analysis.acas_xu`, and which instances are usual."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

NAME = "acas_xu"

# Properties 1 to 4 on all 45 networks, the others on one each (Katz et al., 2017; VNN-COMP 2021).
GRID = tuple(f"{i}_{j}" for i in range(1, 6) for j in range(1, 10))
SINGLE = {5: "1_1", 6: "1_1", 7: "1_9", 8: "2_9", 9: "3_3", 10: "4_5"}
INSTANCES = tuple((p, name) for p in range(1, 5) for name in GRID) + tuple(SINGLE.items())


@dataclass(frozen=True)
class Config:
    """What determines the results.

    Attributes
    ----------
    instances
        Pairs of a property and a network.
    seconds
        For each instance, and for another program, too.
    most_regions
        Regions are counted up to so many, else estimated.
    exact_beside
        The instances on which another program enumerates all regions, too.
    generated
        Use small random networks and properties instead of the published ones.
    """

    instances: tuple[tuple[int, str], ...] = INSTANCES
    seconds: float = 300.0
    most_regions: int = 2_000_000
    exact_beside: tuple[tuple[int, str], ...] = ((3, "1_1"), (3, "2_1"), (3, "5_1"), (4, "1_1"), (4, "3_2"))
    generated: bool = False


QUICK = Config(((1, "1_1"), (3, "1_1"), (1, "1_2"), (3, "1_2")), 10.0, 500, (), generated=True)


def configure(options: argparse.Namespace) -> Config:
    """Return the configuration that the command line asks for."""
    return QUICK if options.quick else Config()

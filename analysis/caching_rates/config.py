"""What determines the numbers of `analysis.caching_rates`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

from analysis.shared.main import DATA, DEVICE, THREADS, Arguments

NAME = "caching_rates"


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
        ("svhn", 64, True),
    )
    sensitivity_networks: int = 50
    epochs: int = 5
    learning_rate: float = 5e-4
    n_train: int | None = None
    n_test: int | None = None
    seed: int = 20_250_915
    device: str = "cpu"


QUICK = Config(networks=4, centred=("cifar10",), sensitivity_networks=2, epochs=1, n_train=500, n_test=200)
QUICK_TEXT = (
    f"{QUICK.epochs} epoch of {QUICK.networks} networks an arm, {QUICK.n_train} training and {QUICK.n_test} test images"
)
# Those of the study and of its figure.
ARGUMENTS: Arguments = {
    "--networks": {"type": int, "default": Config.networks, "help": "per arm"},
    "--batch": {"type": int, "default": Config.batch, "help": "images in a batch, in the table"},
    "--sensitivity-networks": {
        "type": int,
        "default": Config.sensitivity_networks,
        "help": "per arm of the sensitivity study",
    },
    "--seed": {"type": int, "default": Config.seed, "help": "root of all seeds"},
    **DEVICE,
    **THREADS,
    **DATA,
}


def configure(options: argparse.Namespace) -> Config:
    """Return the configuration that the command line asks for."""
    common = {"batch": options.batch, "seed": options.seed, "device": options.device}
    if options.quick:
        sensitivity = (("mnist", 2 * options.batch, False), ("mnist", options.batch, True))
        return replace(QUICK, networks=min(QUICK.networks, options.networks), sensitivity=sensitivity, **common)
    return Config(networks=options.networks, sensitivity_networks=options.sensitivity_networks, **common)

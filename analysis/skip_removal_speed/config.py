"""What determines what `analysis.skip_removal_speed` measures."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

import torch

NAME = "skip_removal_speed"


@dataclass(frozen=True)
class Config:
    """Everything that determines what is measured.

    Attributes
    ----------
    rounds
        Turns of every form, each over `batches` batches of `batch` test images.
    batches, batch
        See above.
    modes
        "eager" and "compiled".
    devices
        As PyTorch names them.
    width, channels
        Channels of ResNet34's first stage and of the 6-layer CNN, which the paper does not give.
    seed
        Of the weights and of the order of the turns.
    """

    rounds: int = 31
    batches: int = 2
    batch: int = 64
    modes: tuple[str, ...] = ("eager", "compiled")
    devices: tuple[str, ...] = ("cpu",)
    width: int = 64
    channels: int = 8
    seed: int = 0


QUICK = Config(rounds=3, batches=1, batch=8, modes=("eager",), width=4, channels=2)


def configure(options: argparse.Namespace) -> Config:
    """Return the configuration that the command line asks for."""
    config = QUICK if options.quick else Config(options.rounds, options.batches)
    if options.mode:
        config = replace(config, modes=tuple(options.mode))
    return replace(config, devices=tuple(options.device or ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]))

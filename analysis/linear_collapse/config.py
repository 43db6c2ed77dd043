"""What determines the numbers of `analysis.linear_collapse`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, replace

NAME = "linear_collapse"


@dataclass(frozen=True)
class Recipe:
    """What determines the weights after each epoch, apart from the network and the machine.

    Attributes
    ----------
    learning_rate, batch
        Of plain stochastic gradient descent on the cross-entropy.
    seed
        Of the initial weights and of the order of the images.
    n_train, n_test
        The first so many images of each part; None takes all.
    width, channels
        Channels of the first stage of ResNet34, and of the convolutions of the three-layer network.
    device
        As PyTorch names it.
    """

    learning_rate: float = 0.01
    batch: int = 64
    seed: int = 0
    n_train: int | None = None
    n_test: int | None = None
    width: int = 64
    channels: int = 8
    device: str = "cpu"


@dataclass(frozen=True)
class Config:
    """Everything that determines the numbers.

    Attributes
    ----------
    recipe
        How every network is trained.
    epochs
        Of the perceptron and of the three-layer CNN; the paper has 10.
    resnet_epochs
        Of each ResNet34.
    rounds
        How often each prediction is timed.
    limit_iterations
        Of L-BFGS, for the best affine classifier; a multiple of ten.
    timed_on
        Devices on which predictions are timed; None for the CPU, and a GPU if there is one.
    """

    recipe: Recipe = field(default_factory=Recipe)
    epochs: int = 10
    resnet_epochs: int = 10
    rounds: int = 5
    limit_iterations: int = 300
    timed_on: tuple[str, ...] | None = None


QUICK = Config(
    Recipe(n_train=2_000, n_test=1_000, width=8, channels=4), epochs=1, resnet_epochs=1, rounds=2, limit_iterations=10
)


def configure(options: argparse.Namespace) -> Config:
    """Return the configuration that the command line asks for."""
    config = QUICK if options.quick else Config(Recipe(), options.epochs, options.resnet_epochs or options.epochs)
    timed_on = tuple(options.time_on) if options.time_on else None
    return replace(config, timed_on=timed_on, recipe=replace(config.recipe, seed=options.seed, device=options.device))

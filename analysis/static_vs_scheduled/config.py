"""What determines the numbers of `analysis.static_vs_scheduled`, in three profiles."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from analysis.shared.skip_runs import Recipe, Run
from tropnet.homotopy import PUBLISHED_SCHEDULES

NAME = "static_vs_scheduled"
STATIC = "static, t = 0.5"
CONTROL = "no skips, t = 0"
SETTINGS: Mapping[str, tuple[float, ...]] = {STATIC: (0.5,), **PUBLISHED_SCHEDULES, CONTROL: (0.0,)}
# The published curve that a setting is drawn beside.
PUBLISHED = {
    STATIC: "static t=0.5",
    "from 0.9": "scheduled from 0.9",
    "from 0.5, as printed": "scheduled from 0.5",
}
FIGURE = "static_vs_scheduled_t"
N_PUBLISHED_TRIALS = 5
N_PUBLISHED_EPOCHS = 10


@dataclass(frozen=True)
class Config:
    """Everything that determines the numbers.

    Attributes
    ----------
    profile
        Its name.
    architectures
        Of the networks; the paper has ResNet34.
    recipe
        How they are trained.
    trials
        Networks for each setting.
    epochs
        Of each network. The schedules end with 0 in the tenth; with fewer they would not.
    """

    profile: str
    architectures: tuple[str, ...] = ("resnet34",)
    recipe: Recipe = field(default_factory=Recipe)
    trials: int = N_PUBLISHED_TRIALS
    epochs: int = N_PUBLISHED_EPOCHS


def full(device: str) -> Config:
    """Return the paper's profile: ResNet34, all images, 5 trials."""
    return Config("full", recipe=Recipe(device=device))


def reduced(device: str) -> Config:
    """Return a profile for one CPU core: about a quarter of an hour."""
    recipe = Recipe(n_train=2_000, n_test=1_000, width=16, batch=32, learning_rate=0.02, device=device)
    return Config("reduced", recipe=recipe)


def quick(device: str) -> Config:
    """Return a profile that shows that everything runs: seconds."""
    return Config("quick", ("cnn3",), Recipe(n_train=64, n_test=50, width=2, channels=2, device=device), trials=2)


def runs(config: Config) -> list[Run]:
    """Return all networks to train: the first trial of every setting, then the second, ..."""
    return [
        Run(architecture, config.recipe, strengths, config.epochs, trial)
        for trial in range(config.trials)
        for architecture in config.architectures
        for strengths in SETTINGS.values()
    ]


def configure(options: argparse.Namespace) -> Config:
    """Return the configuration that the command line asks for."""
    config = (quick if options.quick else reduced if options.reduced else full)(options.device)
    recipe = replace(config.recipe, mixed_precision=options.mixed_precision)
    return replace(config, recipe=recipe, trials=options.trials or config.trials)

"""What determines the numbers of `analysis.skip_strength_sweep`, in three profiles."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace

from analysis.shared.skip_runs import Recipe, Run, published_curve

NAME = "skip_strength_sweep"
# The published curves that an architecture is drawn beside: a figure, and its curves after the first and last epoch.
# What exactly the three shallow networks were is not stated; "shallow" fits the 3-layer linear CNN of Fig. 1.
PUBLISHED = {
    "resnet34": {"t_vs_accuracy_resnet34": ("validation, first epoch", "validation, last epoch")},
    "resnet18": {"t_vs_accuracy_resnet18": ("validation, first epoch", "validation, last epoch")},
    "cnn3": {"t_vs_accuracy_shallow_relu": ("first epoch", "last epoch")},
    "cnn3_linear": {
        "t_vs_accuracy_shallow": ("validation, first epoch", "validation, last epoch"),
        "t_vs_accuracy_shallow_linear": ("first epoch", "last epoch"),
    },
}
_COARSE = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0)
N_PUBLISHED_EPOCHS = 2
N_PUBLISHED_TRIALS = 5


@dataclass(frozen=True)
class Plan:
    """The networks of one architecture: one for each strength and trial."""

    architecture: str
    recipe: Recipe
    strengths: tuple[float, ...]
    trials: int = N_PUBLISHED_TRIALS
    epochs: int = N_PUBLISHED_EPOCHS


@dataclass(frozen=True)
class Config:
    """Everything that determines the numbers: the profile's name, and a plan for each architecture."""

    profile: str
    plans: tuple[Plan, ...]


def full(device: str) -> Config:
    """Return the paper's profile: all images, 5 trials, 2 epochs, the published strengths."""
    strengths = tuple(published_curve("t_vs_accuracy_resnet34", "validation, first epoch")[0])
    return Config("full", tuple(Plan(name, Recipe(device=device), strengths) for name in PUBLISHED))


def reduced(device: str) -> Config:
    """Return a profile for one CPU core: about a quarter of an hour."""
    narrow = Recipe(n_train=3_000, n_test=2_000, width=16, batch=32, learning_rate=0.02, device=device)
    shallow = Recipe(n_train=10_000, n_test=2_000, device=device)
    return Config(
        "reduced",
        (
            Plan("resnet34", narrow, _COARSE, trials=2),
            Plan("resnet18", narrow, _COARSE, trials=2),
            Plan("cnn3", shallow, _COARSE, trials=2),
            Plan("cnn3_linear", shallow, _COARSE, trials=2),
        ),
    )


def quick(device: str) -> Config:
    """Return a profile that shows that everything runs: seconds."""
    recipe = Recipe(n_train=64, n_test=50, width=2, channels=2, device=device)
    return Config("quick", tuple(Plan(name, recipe, (0.0, 1.0), trials=1) for name in PUBLISHED))


def runs(config: Config) -> list[Run]:
    """Return all networks to train: the first trial of every strength, then the second, ...

    Of each architecture the strengths are taken from all over their range first, so that a stopped run shows its shape.
    """
    return [
        Run(plan.architecture, plan.recipe, (t,), plan.epochs, trial)
        for trial in range(max(plan.trials for plan in config.plans))
        for plan in config.plans
        if trial < plan.trials
        for t in spread(plan.strengths)
    ]


def spread(values: Sequence[float]) -> list[float]:
    """Return values in another order: the first, the last, the middle, then the middles of what lies between.

    Examples
    --------
    >>> spread([0.0, 0.25, 0.5, 0.75, 1.0])
    [0.0, 1.0, 0.5, 0.25, 0.75]
    """
    last = len(values) - 1
    steps = [2**k for k in range(last.bit_length(), -1, -1)]
    places = [0, last, *(k for step in steps for k in range(step, last, 2 * step))]
    return [values[k] for k in dict.fromkeys(places) if k >= 0]


def configure(options: argparse.Namespace) -> Config:
    """Return the configuration that the command line asks for."""
    config = (quick if options.quick else reduced if options.reduced else full)(options.device)
    plans = (
        replace(
            plan,
            recipe=replace(plan.recipe, mixed_precision=options.mixed_precision),
            strengths=tuple(options.strengths or plan.strengths),
            trials=options.trials or plan.trials,
        )
        for plan in config.plans
        if plan.architecture in (options.architectures or PUBLISHED)
    )
    return replace(config, plans=tuple(plans))

"""What determines the numbers of `analysis.few_nonlinearities`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

NAME = "few_nonlinearities"
_N_IMAGES = 60_000  # of MNIST, to train with


@dataclass(frozen=True)
class Recipe:
    """What determines the weights after each stage, apart from the variant and the machine.

    Attributes
    ----------
    channels
        Of both convolutions.
    n_train
        The first so many training images; None takes all.
    batch, learning_rate
        Of Adam.
    base_epochs
        Of the full network, with cosine decay of the rate to zero.
    passage_epochs, settle_epochs
        Of each stage: with slopes on their way to 1, and after that, with linear decay of the rate to zero.
    shares
        Of the neurons that are nonlinear after each stage.
    temperature
        Of the distillation, as in Hinton et al. 2015.
    n_ranked
        Training images by which neurons are ranked.
    """

    channels: int = 8
    n_train: int | None = 20_000
    batch: int = 100
    learning_rate: float = 1e-2
    base_epochs: int = 12
    passage_epochs: int = 2
    settle_epochs: int = 2
    shares: tuple[float, ...] = (0.5, 0.25, 0.12, 0.06, 0.03, 0.01, 0.0)
    temperature: float = 2.0
    n_ranked: int = 5_000


@dataclass(frozen=True)
class Variant:
    """A way to lose nonlinearities.

    Attributes
    ----------
    criterion
        Which neurons go first, one of `CRITERIA`; or "none", where all stay and only the training goes on.
    distilled
        Whether the loss is half that of the labels and half the distance to the full network's softened outputs.
    gradual
        Whether slopes go to 1 step by step; else at once, at the start of each stage.
    """

    criterion: str
    distilled: bool
    gradual: bool = True

    @property
    def name(self) -> str:
        """Return the words of the results file."""
        way = "" if self.gradual else ", at once"
        return f"{self.criterion}, {'distilled' if self.distilled else 'labels'}{way}"


MAIN = Variant("negative part", distilled=True)
VARIANTS = (
    MAIN,
    Variant("random", distilled=True),
    Variant("ambiguity", distilled=True),
    Variant("layer", distilled=True),
    Variant("negative part", distilled=False),
    Variant("random", distilled=False),
    Variant("negative part", distilled=True, gradual=False),
    # Nothing leaves: what training for longer does.
    Variant("none", distilled=False),
)


@dataclass(frozen=True)
class Config:
    """Everything that determines the numbers.

    Attributes
    ----------
    recipe
        How networks are trained.
    seeds
        One full network each.
    scratch_seeds
        Those with networks from scratch too, of the nonlinear neurons of the first variant and as many epochs.
    n_test, n_segments
        Test images, None for all; segments between two of them.
    rounds
        How often each prediction is timed.
    limit_iterations
        Of L-BFGS, for the best affine classifier; a multiple of ten.
    """

    recipe: Recipe = Recipe()
    seeds: tuple[int, ...] = (0, 1, 2)
    scratch_seeds: tuple[int, ...] = (0,)
    n_test: int | None = None
    n_segments: int = 12
    rounds: int = 7
    limit_iterations: int = 300


QUICK = Config(
    Recipe(channels=2, n_train=1_000, base_epochs=1, passage_epochs=1, settle_epochs=1, shares=(0.1, 0.0)),
    seeds=(0,),
    n_test=500,
    n_segments=2,
    rounds=2,
    limit_iterations=10,
)


def configure(options: argparse.Namespace) -> Config:
    """Return the configuration that the command line asks for."""
    if options.quick:
        return QUICK
    seeds = tuple(options.seeds)
    scratch_seeds = tuple(seed for seed in options.scratch_seeds if seed in seeds)
    n_train = None if options.train_images >= _N_IMAGES else options.train_images
    return Config(replace(Config.recipe, n_train=n_train), seeds=seeds, scratch_seeds=scratch_seeds)

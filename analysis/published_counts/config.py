"""What determines the numbers of `analysis.published_counts`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field

NAME = "published_counts"

Skips = tuple[tuple[int, int], ...]

# Hidden layers and skips; the neurons of a network are shared evenly among its layers.
SHAPES: tuple[tuple[int, Skips], ...] = ((2, ()), (3, ()), (4, ()), (3, ((1, 3),)), (4, ((1, 3), (2, 4))))
# Height, width and channels of the input, height and width of a filter, stride, numbers of filters.
CNNS = (
    ((1, 3, 1), (1, 2), 1, (1, 2, 3, 4, 5, 6)),
    ((1, 4, 1), (1, 2), 2, (2, 3, 4)),
    ((1, 5, 1), (1, 3), 1, (2, 3, 4)),
    ((1, 3, 2), (1, 2), 1, (2, 3, 4)),
    ((3, 3, 1), (2, 2), 1, (1, 2, 3)),
    ((3, 3, 2), (2, 2), 1, (2,)),
)


@dataclass(frozen=True)
class Growth:
    """Networks on MNIST, counted along segments and in planes.

    Attributes
    ----------
    totals, seeds
        Hidden neurons and networks of each shape at initialisation.
    trained_totals, trained_seeds
        The same of those that are trained.
    milestones
        Epochs, also parts of one, after which regions are counted.
    segments, planes
        How many of each kind are counted for a network.
    n_train, batch, learning_rate
        Training images (None takes all), and how Adam goes through them; the papers state the rate.
    bias
        Standard deviation of the first biases, as the papers state it.
    """

    totals: tuple[int, ...] = (24, 48, 96, 192)
    seeds: int = 20
    trained_totals: tuple[int, ...] = (48, 96)
    trained_seeds: int = 20
    milestones: tuple[float, ...] = (0, 0.1, 0.5, 1, 2, 5)
    segments: int = 10
    planes: int = 5
    n_train: int | None = None
    batch: int = 128
    learning_rate: float = 1e-3
    bias: float = 1e-3


@dataclass(frozen=True)
class Config:
    """Everything that determines the numbers.

    Attributes
    ----------
    resonance, resonance_whole
        Dimensions of the resonance arrangement up to which it is counted by symmetry, and on all of R^d.
    shi_threshold
        Dimension up to which the Shi-threshold arrangement is counted.
    cnn_seeds, two_layer_seeds
        Random CNNs with one layer, of each size, and with two.
    growth
        The networks of Hanin and Rolnick.
    dimensions, widths, depths, trials
        Inputs, neurons of a layer, hidden layers of the networks whose facets are counted, and how many of each.
    most_neurons
        Networks with five inputs have at most so many neurons: what is beyond has millions of regions.
    maxout_epochs, maxout_train, maxout_repeats
        Epochs of the maxout network on MNIST, its training images, and how often it is trained again with first weights
        that differ in their last digit.
    """

    resonance: int = 7
    resonance_whole: int = 6
    shi_threshold: int = 7
    cnn_seeds: int = 10
    two_layer_seeds: int = 200
    growth: Growth = field(default_factory=Growth)
    dimensions: tuple[int, ...] = (2, 3, 4, 5)
    widths: tuple[int, ...] = (4, 8, 16)
    depths: tuple[int, ...] = (1, 2, 3, 4)
    trials: int = 3
    most_neurons: int = 32
    maxout_epochs: int = 10
    maxout_train: int | None = None
    maxout_repeats: int = 5


QUICK = Config(
    resonance=4,
    resonance_whole=4,
    shi_threshold=4,
    cnn_seeds=2,
    two_layer_seeds=3,
    growth=Growth((12, 24), 1, (12,), 1, (0, 0.5, 1), segments=2, planes=2, n_train=200),
    dimensions=(2, 3),
    widths=(4,),
    depths=(1, 2),
    trials=2,
    maxout_epochs=1,
    maxout_train=200,
    maxout_repeats=1,
)


def configure(options: argparse.Namespace) -> Config:
    """Return the configuration that the command line asks for."""
    return QUICK if options.quick else Config()

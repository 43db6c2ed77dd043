"""Train the networks whose regions are mapped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from analysis.region_maps.config import Config
from analysis.shared.functions import FUNCTIONS, grid, sampled
from analysis.shared.small_networks import SmallNetwork


@dataclass(frozen=True)
class Training:
    """What determines the weights of one network."""

    function: str
    depth: int
    trial: int
    epochs: int
    learning_rate: float
    neurons: int
    half_width: float
    per_unit: int
    seed: int


def trainings(config: Config) -> list[Training]:
    """Return all networks of the study, one trial after the other."""
    return [
        Training(
            function,
            depth,
            trial,
            config.epochs,
            config.learning_rate,
            config.neurons,
            config.half_width,
            config.per_unit,
            config.seed,
        )
        for trial in range(config.trials)
        for function in FUNCTIONS
        for depth in config.depths
    ]


def first_network(training: Training) -> SmallNetwork:
    """Draw a network as it is before training."""
    seed = [training.seed, list(FUNCTIONS).index(training.function), training.depth, training.trial]
    return SmallNetwork([2, *[training.neurons] * training.depth, 1], seed=seed)


def trained(training: Training) -> dict[str, Any]:
    """Train one network; return its error, that of the best constant, and its weights and biases, layer by layer."""
    points, values, _ = sampled(training.function, grid(training.half_width, training.per_unit))
    network = first_network(training)
    network.train(points, values, training.epochs, training.learning_rate)
    layers = network.network().layers
    return {
        "error": network.loss(points, values),
        "variance": float(values.var()),
        "weights": [layer.weights[index].tolist() for index, layer in enumerate(layers)],
        "biases": [layer.bias.tolist() for layer in layers],
    }

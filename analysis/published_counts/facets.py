"""How many facets regions have: networks on blobs of points, as in the experiments of Gaines and Bi."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

import tropnet as tn
from analysis.published_counts.config import Config

_CLASSES, _POINTS, _SPREAD, _BOX = 3, 240, 0.5, 10.0
_EPOCHS, _BATCH, _RATE = 20, 64, 0.01


@dataclass(frozen=True)
class Block:
    """One network: inputs, neurons of a layer, hidden layers, and its seed."""

    dimension: int
    width: int
    depth: int
    trial: int


def blocks(config: Config) -> list[Block]:
    """Return all networks, without the largest with five inputs."""
    return [
        Block(dimension, width, depth, trial)
        for dimension in config.dimensions
        for width in config.widths
        for depth in config.depths
        if dimension < 5 or width * depth <= config.most_neurons
        for trial in range(config.trials)
    ]


def measured(block: Block) -> dict[str, Any]:
    """Return, before and after training, how many regions have 0, 1, 2, ... facets."""
    rng = np.random.default_rng(block.trial)
    centres = rng.uniform(-_BOX, _BOX, (_CLASSES, block.dimension))
    labels = torch.from_numpy(rng.integers(0, _CLASSES, _POINTS))
    points = torch.from_numpy(centres[labels] + rng.normal(0, _SPREAD, (_POINTS, block.dimension))).float()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(block.trial)
        model = tn.SkipMLP([block.dimension, *[block.width] * block.depth, _CLASSES])
        found = {"before": facets(model, block.dimension)}
        optimiser = torch.optim.SGD(model.parameters(), lr=_RATE)
        for _ in range(_EPOCHS):
            for batch in torch.randperm(_POINTS).split(_BATCH):
                optimiser.zero_grad()
                nn.functional.cross_entropy(model(points[batch]), labels[batch]).backward()
                optimiser.step()
    return found | {"after": facets(model, block.dimension)}


def facets(model: tn.SkipMLP, dimension: int) -> list[int]:
    """Return how many activation regions on R^d have 0, 1, 2, ... facets."""
    regions = tn.enumerate_regions(tn.from_torch(model, (dimension,)), facets=True)
    return [int(n) for n in np.bincount(np.diff(regions.facets().offsets))]

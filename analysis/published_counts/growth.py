"""How the number of regions grows with neurons, depth and training: networks on MNIST, as Hanin and Rolnick's.

He's normal weights, biases of standard deviation 1e-3, Adam at rate 1e-3 on the cross-entropy. Regions are counted
along segments from 0 to a test image and between two test images, and in whole planes, through 0 and two test images
and through three.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import tropnet as tn
from analysis.published_counts.config import SHAPES, Growth, Skips
from analysis.shared import mnist

Floats = NDArray[np.float64]

SEGMENTS = ("from_origin", "between_images")
PLANES = ("with_origin", "of_three_images")
MEASURES = tuple(f"{place}_{kind}" for place in SEGMENTS for kind in ("pieces", "linear")) + PLANES


@dataclass(frozen=True)
class Block:
    """One network: its hidden neurons, layers, skips and seed, and whether it is trained."""

    growth: Growth
    total: int
    depth: int
    skips: Skips
    seed: int
    trained: bool


def blocks(growth: Growth) -> list[Block]:
    """Return all networks: first those that are not trained, seed by seed."""
    designs = ((False, growth.totals, growth.seeds), (True, growth.trained_totals, growth.trained_seeds))
    return [
        Block(growth, total, *shape, seed, trained)
        for trained, totals, seeds in designs
        for seed in range(seeds)
        for total in totals
        for shape in SHAPES
    ]


def shape_of(depth: int, skips: Skips) -> str:
    """Return the shape of a network in words."""
    return f"{depth} layers" + (f", skips {', '.join(f'{k}-{target}' for k, target in skips)}" if skips else "")


def first_network(block: Block) -> tn.SkipMLP:
    """Return the network before training."""
    model = tn.SkipMLP([784, *[block.total // block.depth] * block.depth, 10], skips=block.skips)
    rng = torch.Generator().manual_seed(block.seed)
    with torch.no_grad():
        for layer in model.layers:
            layer.weight.normal_(0, (2 / layer.in_features) ** 0.5, generator=rng)
            layer.bias.normal_(0, block.growth.bias, generator=rng)
    return model


def measured(block: Block, folder: Path | None) -> list[dict[str, Any]]:
    """Return the counts of a network at every milestone; only at the start if it is not trained."""
    growth, model = block.growth, first_network(block)
    test = mnist.load("test", None, "cpu", folder)
    points = test.images.flatten(1).numpy().astype(np.float64)
    if not block.trained:
        return [{"epoch": 0} | counts(model, points, block)]
    train = mnist.load("train", growth.n_train, "cpu", folder)
    images = train.images.flatten(1)
    per_epoch = -(-len(images) // growth.batch)
    milestones = [round(epoch * per_epoch) for epoch in growth.milestones]
    optimiser = torch.optim.Adam(model.parameters(), lr=growth.learning_rate)
    order, batches = torch.Generator().manual_seed(block.seed), []
    found, step = [], 0
    for epoch, milestone in zip(growth.milestones, milestones, strict=True):
        while step < milestone:
            batches = batches or list(torch.randperm(len(images), generator=order).split(growth.batch))
            batch = batches.pop()
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(images[batch]), train.labels[batch]).backward()
            optimiser.step()
            step += 1
        with torch.no_grad():
            right = (model(test.images.flatten(1)).argmax(1) == test.labels).float().mean()
        found.append({"epoch": epoch, "accuracy": round(float(right), 4)} | counts(model, points, block))
    return found


def counts(model: tn.SkipMLP, points: Floats, block: Block) -> dict[str, float]:
    """Return the mean number of regions along segments and in planes, which depend on the seed only.

    "pieces" are those of the activation pattern; "linear" those of the function, where neighbours with the same slopes
    are one.
    """
    net, rng = tn.from_torch(model, (784,)), np.random.default_rng(block.seed)
    found: dict[str, float] = {}
    origin = np.zeros(784)
    for place in SEGMENTS:
        lines = []
        for _ in range(block.growth.segments):
            i, j = rng.choice(len(points), 2, replace=False)
            lines.append(tn.regions_on_segment(net, origin if place == "from_origin" else points[i], points[j]))
        found[f"{place}_pieces"] = float(np.mean([len(line) for line in lines]))
        found[f"{place}_linear"] = float(np.mean([linear_pieces(line.slopes) for line in lines]))
    for place in PLANES:
        slices = []
        for _ in range(block.growth.planes):
            i, j, k = rng.choice(len(points), 3, replace=False)
            start = origin if place == "with_origin" else points[k]
            slices.append(net.restrict(start, np.stack([points[i] - start, points[j] - start])))
        found[place] = float(np.mean(tn.count_regions(slices)))
    return found


def linear_pieces(slopes: Floats) -> int:
    """Return how many pieces a function along a segment has, from the slopes (m, n) of the pieces of its pattern."""
    return 1 + int((slopes[1:] != slopes[:-1]).any(axis=1).sum())

"""The networks: what determines one, its training, and the directions that it reads; images and moons."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import tropnet as tn
from analysis.out_of_distribution.config import MOON_SHAPES, Config, Recipe, Skips
from analysis.shared import datasets

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Block:
    """One network: what it is trained on, what is strange to it, its shape, its seed."""

    inside: str
    outside: str
    layers: int
    width: int
    skips: Skips
    seed: int
    recipe: Recipe


def blocks(config: Config) -> list[Block]:
    """Return all networks: moons, MNIST, the reverse; seed by seed, so that a stopped run has whole seeds."""
    pairs = (("mnist", "fashion-mnist", config.seeds), ("fashion-mnist", "mnist", config.reverse_seeds))
    designs = [("moons", "uniform", config.moon_seeds, MOON_SHAPES), *((*pair, config.shapes) for pair in pairs)]
    return [
        Block(inside, outside, *shape, seed, config.recipe)
        for inside, outside, seeds, shapes in designs
        for seed in range(seeds)
        for shape in shapes
    ]


def shape_of(block: Block) -> str:
    """Return the shape of a network in words."""
    skips = ", ".join(f"{k}-{target}" for k, target in block.skips)
    return f"{block.layers} x {block.width}" + (f", skips {skips}" if skips else "")


def train(inputs: Floats, labels: NDArray[np.int64], block: Block, *, epochs: int, rate: float) -> tn.Network:
    """Train a network by Adam on the cross-entropy; seeded, on the CPU."""
    widths = [inputs.shape[1], *[block.width] * block.layers, int(labels.max()) + 1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(block.seed)
        model = tn.SkipMLP(widths, skips=block.skips)
    x, y = torch.from_numpy(inputs).float(), torch.from_numpy(labels)
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    order = torch.Generator().manual_seed(block.seed)
    for _ in range(epochs):
        for batch in torch.randperm(len(x), generator=order).split(block.recipe.batch):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimiser.step()
    return tn.from_torch(model, (inputs.shape[1],))


def reduced(net: tn.Network) -> tuple[tn.Network, Floats, tn.Box]:
    """Return a network of images on the few directions that it reads: itself, the basis, a box around all images.

    The first layer reads x through its weights only, so on an orthonormal basis Q of their span it is a network of
    u = Q'x, equal up to rounding. The box holds Q'x for all x in [0, 1]^d.
    """
    basis = np.linalg.qr(net.layers[0].weights[0].T)[0]
    low, high = np.minimum(basis, 0).sum(axis=0), np.maximum(basis, 0).sum(axis=0)
    # A little wider than rounding.
    margin = 1e-9 * (high - low)
    return net.restrict(np.zeros(net.n_inputs), basis.T), basis, tn.Box(low - margin, high + margin)


@lru_cache(maxsize=4)
def images(name: str, split: str, n: int | None = None, folder: Path | None = None) -> tuple[Floats, NDArray[np.int64]]:
    """Return the first n images as rows in [0, 1], and their labels."""
    found = datasets.load(name, split, folder=folder, progress=False)
    return found.pixels[:n].reshape(len(found.pixels[:n]), -1) / 255, found.labels[:n].astype(np.int64)


def moons(n: int, rng: np.random.Generator) -> tuple[Floats, NDArray[np.int64]]:
    """Return n points on two interleaved half circles, with noise of 0.1, and which of the two they are on."""
    labels = rng.integers(0, 2, n)
    angle = rng.uniform(0, np.pi, n)
    upper = np.column_stack([np.cos(angle), np.sin(angle)])
    points = np.where(labels[:, None] == 1, [1.0, 0.5] - upper, upper)
    return points + rng.normal(scale=0.1, size=(n, 2)), labels

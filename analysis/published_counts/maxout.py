"""The maxout networks of Tseran and Montufar: as their published code draws, trains and cuts them.

A unit of rank 2 is max(a, b) = a + relu(b - a): one ReLU and one affine neuron, and the pattern of the ReLUs says which
argument is largest. So activation regions of the lowered network are those of the paper, where no unit ties.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import orth
from torch import Tensor
from torch.nn import functional

import tropnet as tn
from analysis.shared import datasets

Floats = NDArray[np.float64]

_SEED = 123
_HIDDEN = (7, 7, 6)
_RANK = 2
_HALF_WIDTH_2D, _HALF_WIDTH_SLICE = 3.0, 50.0
_BATCH, _RATE = 128, 0.001
_MEAN, _DEVIATION = 0.1307, 0.3081


def drawn(rng: np.random.RandomState, n_inputs: int, n_outputs: int) -> list[Floats]:
    """Draw weights (n, 2, m) and biases (n, 2) of the maxout layers, then those of the output, in this order."""
    found = []
    for fan_in, n in zip((n_inputs, *_HIDDEN[:-1]), _HIDDEN, strict=True):
        scale = np.sqrt(1 / fan_in)
        found += [rng.normal(0, scale, (n, _RANK, fan_in)), rng.normal(0, scale, (n, _RANK))]
    scale = np.sqrt(2 / _HIDDEN[-1])
    return [*found, rng.normal(0, scale, (n_outputs, _HIDDEN[-1])), rng.normal(0, scale, n_outputs)]


def lowered(parameters: Sequence[Floats]) -> tn.Network:
    """Return the network of ReLUs and affine neurons that is a maxout network of rank 2."""
    layers: list[tn.Layer] = []
    for weights, biases in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
        n = len(weights)
        rows = np.concatenate([weights[:, 1] - weights[:, 0], weights[:, 0]])
        offsets = np.concatenate([biases[:, 1] - biases[:, 0], biases[:, 0]])
        slopes = np.array([[0.0, 1.0]] * n + [[1.0, 1.0]] * n)
        layers.append(tn.Layer({len(layers): _read(rows, layers)}, offsets, slopes))
    return tn.Network([*layers, tn.Layer({len(layers): _read(parameters[-2], layers)}, parameters[-1])])


def _read(rows: Floats, layers: Sequence[tn.Layer]) -> Floats:
    """Return the weights on the layer below: each unit there is the sum of its two neurons."""
    return np.concatenate([rows, rows], axis=1) if layers else rows


def counted(net: tn.Network, domain: tn.Domain, classes: list[int] | None = None) -> dict[str, int]:
    """Count activation regions, linear regions and pieces of the decision boundary."""
    regions = tn.enumerate_regions(net, domain, facets=True)
    return {
        "regions": len(regions),
        "linear_regions": len(tn.linear_regions(regions)),
        "pieces": len(tn.decision_boundary(regions, classes)),
    }


def in_the_plane() -> dict[str, int]:
    """Count the network of the first script: two inputs, two classes, on the square of half-width 3."""
    net = lowered(drawn(np.random.RandomState(_SEED), 2, 2))
    return counted(net, tn.Box([-_HALF_WIDTH_2D] * 2, [_HALF_WIDTH_2D] * 2))


# --- MNIST


def on_mnist(epochs: int, n_train: int | None, repeat: int, folder: Path | None) -> dict[str, Any]:
    """Train the network of the second script, and count it in the plane of three images every 5 epochs.

    `repeat` 0 is the network itself; others multiply its first weights by 1 + 1e-7 u for random u in [-1, 1], which is
    about what rounding to float32 does.
    """
    images, labels = _normalised("train", n_train, folder)
    held_out, answers = _normalised("test", None, folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        parameters = _first(repeat)
        torch.nn.Linear(_HIDDEN[-1], answers.max().item() + 1)  # whose own first weights the code draws and drops
        _draw()  # an iterator over the training images that the code makes and drops
        corners = _three_labels(labels)
        classes = [int(labels[i]) for i in corners]
        a, b, c = (images[i].numpy().astype(np.float64) for i in corners)
        middle, basis = (a + b + c) / 3, orth(np.array([b - a, c - a]).T).T
        optimiser = torch.optim.Adam(parameters, lr=_RATE)
        found: dict[str, Any] = {"classes": classes, "counts": [], "loss": [], "accuracy": []}
        for epoch in range(epochs + 1):
            if epoch:
                found["loss"].append(_epoch(parameters, optimiser, images, labels))
                _order(len(held_out))  # the code shuffles the test images as well
                with torch.no_grad():
                    right = (_logits(parameters, held_out).argmax(1) == answers).float().mean()
                found["accuracy"].append(round(float(right), 4))
            if epoch % 5 == 0 or epoch == epochs:
                net = lowered([own.detach().numpy().astype(np.float64) for own in parameters])
                square = tn.Box([-_HALF_WIDTH_SLICE] * 2, [_HALF_WIDTH_SLICE] * 2)
                found["counts"].append({"epoch": epoch} | counted(net.restrict(middle, basis), square, classes))
    return found


def _first(repeat: int) -> list[Tensor]:
    rng = np.random.default_rng(repeat)
    return [
        torch.tensor(
            own * (1 + (repeat > 0) * rng.uniform(-1e-7, 1e-7, own.shape)), dtype=torch.float32
        ).requires_grad_()
        for own in drawn(np.random.RandomState(_SEED), 784, 10)
    ]


def _normalised(split: str, n: int | None, folder: Path | None) -> tuple[Tensor, Tensor]:
    found = datasets.load("mnist", split, folder=folder, progress=False)
    pixels = torch.from_numpy(found.pixels[:n].reshape(len(found.pixels[:n]), -1)).float() / 255
    return (pixels - _MEAN) / _DEVIATION, torch.from_numpy(found.labels[:n])


def _draw() -> None:
    """Take one number from PyTorch's generator, as an iterator over a DataLoader does for its workers."""
    torch.empty((), dtype=torch.int64).random_()


def _order(n: int) -> Tensor:
    """Shuffle as the DataLoader of PyTorch 1.8 does: it draws a seed, and then shuffles without it."""
    _draw()
    _draw()
    return torch.randperm(n)


def _three_labels(labels: Tensor) -> list[int]:
    """Return the first image, in a random order, of each of the first three labels."""
    chosen: dict[int, int] = {}
    for i in _order(len(labels)).tolist():
        chosen.setdefault(int(labels[i]), i)
        if len(chosen) == 3:
            break
    return list(chosen.values())


def _logits(parameters: Sequence[Tensor], x: Tensor) -> Tensor:
    for weights, biases in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
        x = ((x @ weights.flatten(0, 1).T).view(len(x), *biases.shape) + biases).max(dim=-1).values
    return x @ parameters[-2].T + parameters[-1]


def _epoch(parameters: Sequence[Tensor], optimiser: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> float:
    """Train for an epoch and return the mean of the losses of its batches."""
    losses = []
    for batch in _order(len(images)).split(_BATCH):
        optimiser.zero_grad()
        loss = functional.cross_entropy(_logits(parameters, images[batch]), labels[batch])
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return round(float(np.mean(losses)), 4)

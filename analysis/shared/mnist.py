"""MNIST as tensors, and the outputs of a network on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from analysis.shared import datasets

__all__ = ["Data", "load", "outputs"]


@dataclass(frozen=True)
class Data:
    """Images float32 (n, 1, height, width) in [0, 1] and labels int64 (n,), on one device."""

    images: Tensor
    labels: Tensor


def load(split: str, n: int | None, device: str, folder: Path | None) -> Data:
    """Return the first `n` images of a part of MNIST, in [0, 1], on the device."""
    images = datasets.load("mnist", split, folder=folder)
    pixels = torch.from_numpy(images.pixels[:n]).to(device, torch.float32) / 255
    return Data(pixels, torch.from_numpy(images.labels[:n]).to(device))


def outputs(model: nn.Module, images: Tensor, batch: int = 1_000) -> Tensor:
    """Return the logits of all images, in the mode that the model is in."""
    with torch.no_grad():
        return torch.cat([model(part) for part in images.split(batch)])

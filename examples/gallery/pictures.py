"""What the scripts of the gallery share: their options, training, and how a picture is saved."""

from __future__ import annotations

import argparse
import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image

import tropnet as tn


def arguments(text: str, name: str) -> argparse.ArgumentParser:
    """Return a parser with --out, whose default has the script's name, and --quick."""
    parser = argparse.ArgumentParser(description=text.partition("\n")[0], epilog=text.partition("\n\n")[2])
    parser.add_argument("--out", type=_picture, default=Path(f"{name}.png"), help="the picture (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="train for a tenth of the steps")
    return parser


def _picture(text: str) -> Path:
    """Return the path of a picture, or say at once that its folder does not exist."""
    path = Path(text)
    if not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"no folder to write to: '{path.absolute().parent}'")
    return path


def figure(width: float, height: float) -> Figure:
    """Return a figure of a size in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def save(drawn: Figure, path: Path) -> None:
    """Write a picture, in a palette of 256 colours where it is a PNG, and say so."""
    if path.suffix == ".png":
        buffer = io.BytesIO()
        drawn.savefig(buffer, dpi=110)
        Image.open(buffer).convert("RGB").quantize(256).save(path, optimize=True)
    else:
        drawn.savefig(path)
    print(f"wrote {path}")


def train(
    widths: list[int], points: np.ndarray, targets: np.ndarray, steps: int, *, decay: float = 0.0, seed: int = 0
) -> tn.Network:
    """Train a ReLU network: integer targets are classes, others values; Adam on all points, the same each time."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    layers: list[torch.nn.Module] = []
    for n_inputs, n_outputs in pairwise(widths):
        layers += [torch.nn.Linear(n_inputs, n_outputs), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    loss = torch.nn.functional.cross_entropy if targets.dtype.kind == "i" else torch.nn.functional.mse_loss
    inputs, wanted = torch.tensor(points, dtype=torch.float32), torch.tensor(targets)
    wanted = wanted if targets.dtype.kind == "i" else wanted.float()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=decay)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model(inputs), wanted).backward()
        optimizer.step()
    return tn.from_torch(model)

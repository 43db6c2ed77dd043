"""Train the networks of this folder anew: `python -m tests.trained.train` writes `weights.npz`.

Plain trainings, as people do them: Adam on two moons or on a smooth function, in float32, with PyTorch's default
initialisation and fixed seeds. Another version of PyTorch can give other weights; the tests use those that are here.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn

_STEPS = 1500


def moons(n: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    """Return two interleaving half circles with noise, in [-1.5, 1.5]^2, and which is which."""
    turn = torch.rand(n) * np.pi
    which = torch.arange(n) % 2
    x = torch.where(which == 0, torch.cos(turn), 1 - torch.cos(turn)) - 0.5
    y = torch.where(which == 0, torch.sin(turn), 0.5 - torch.sin(turn)) - 0.25
    return torch.stack([x, y], dim=1) + 0.1 * torch.randn(n, 2), which[:, None].float()


def surface(d: int, n: int = 800) -> tuple[torch.Tensor, torch.Tensor]:
    """Return points in [-1, 1]^d, and a smooth function of them."""
    points = 2 * torch.rand(n, d) - 1
    return points, torch.sin(3 * points[:, :1]) * points[:, 1:2] + points.square().mean(dim=1, keepdim=True)


def outputs(layers: list[nn.Linear], points: torch.Tensor, skips: tuple[tuple[int, int], ...]) -> torch.Tensor:
    """Evaluate a multilayer perceptron whose skip (k, l) adds the output of layer k to the input of layer l."""
    values = [points]
    for index, layer in enumerate(layers, start=1):
        read = values[-1] + sum(values[k] for k, target in skips if target == index)
        values.append(torch.relu(layer(read)) if index < len(layers) else layer(read))
    return values[-1]


def train(
    widths: list[int],
    data: tuple[torch.Tensor, torch.Tensor],
    loss: nn.Module,
    skips: tuple[tuple[int, int], ...] = (),
    kept: float = 1.0,
) -> list[np.ndarray]:
    """Return weights and biases in turn; of each weight matrix only the largest entries, a part `kept`, train on."""
    layers = [nn.Linear(m, n) for m, n in pairwise(widths)]
    masks = [torch.ones_like(layer.weight) for layer in layers]
    parameters = [parameter for layer in layers for parameter in layer.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.01, weight_decay=1e-4)
    for step in range(_STEPS):
        if step == _STEPS // 2:
            sizes = [layer.weight.abs() for layer in layers]
            masks = [(size >= torch.quantile(size, 1 - kept)).float() for size in sizes]
        optimizer.zero_grad()
        loss(outputs(layers, data[0], skips), data[1]).backward()
        optimizer.step()
        with torch.no_grad():
            for layer, mask in zip(layers, masks, strict=True):
                layer.weight *= mask
    return [parameter.detach().numpy() for parameter in parameters]


def quantised(parts: list[np.ndarray]) -> list[np.ndarray]:
    """Round to eight bits: integers from -127 to 127 times a power of two for each matrix and its bias."""
    rounded = []
    for weight, bias in zip(parts[::2], parts[1::2], strict=True):
        largest = max(np.abs(weight).max(), np.abs(bias).max())
        scale = 2.0 ** np.ceil(np.log2(largest / 127))
        rounded += [np.round(part / scale) * scale for part in (weight, bias)]
    return rounded


def main() -> None:
    """Train all networks and write their weights."""
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True)
    two, entropy, squares = moons(), nn.BCEWithLogitsLoss(), nn.MSELoss()
    networks = {
        "moons": train([2, 8, 8, 1], two, entropy),
        "moons with a skip": train([2, 5, 5, 5, 1], two, entropy, skips=((1, 3),)),
        "pruned": train([2, 8, 8, 1], two, entropy, kept=0.4),
        "three inputs": train([3, 8, 8, 8, 1], surface(3), squares),
        "three inputs, small": train([3, 4, 4, 1], surface(3), squares),
        "four inputs": train([4, 8, 8, 1], surface(4), squares),
        "four inputs, small": train([4, 4, 3, 1], surface(4), squares),
    }
    networks["int8"] = quantised(networks["moons"])
    arrays = {
        f"{name}/{i}": part.astype(np.float32) for name, parts in networks.items() for i, part in enumerate(parts)
    }
    np.savez_compressed(Path(__file__).parent / "weights.npz", **arrays)


if __name__ == "__main__":
    main()

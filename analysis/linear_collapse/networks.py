"""The networks of `analysis.linear_collapse`: a perceptron, a linear CNN with a skip, ResNet34 without activations."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["LinearResNet34", "SkipCNN", "perceptron"]

N_CLASSES = 10
_BLOCKS = (3, 4, 6, 3)


def perceptron(size: int) -> nn.Sequential:
    """Return a single-layer perceptron for square gray images of `size` pixels a side."""
    return nn.Sequential(nn.Flatten(), nn.Linear(size * size, N_CLASSES))


class SkipCNN(nn.Module):
    """Three 3x3 convolutions with a skip from the first to the third, weights 1/2, and a linear classifier.

    The recursion (10): nothing is padded, so f_1 is resampled (nearest-exact) to the shape of f_2. The paper gives
    neither kernels nor channels.
    """

    def __init__(self, size: int, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, channels, 3)
        self.second = nn.Conv2d(channels, channels, 3)
        self.third = nn.Conv2d(channels, channels, 3)
        self.inner = size - 4
        self.classifier = nn.Linear(channels * (size - 6) ** 2, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (n, 10) of images (n, 1, size, size)."""
        f_1 = self.first(x)
        f_2 = self.second(f_1)
        resampled = functional.interpolate(f_1, size=(self.inner, self.inner), mode="nearest-exact")
        f_3 = self.third(0.5 * resampled + 0.5 * f_2)
        return self.classifier(torch.flatten(f_3, 1))


class LinearResNet34(nn.Module):
    """ResNet34 with every ReLU taken out: 3, 4, 6 and 3 blocks of two 3x3 convolutions with batch norm and a skip.

    Parameters
    ----------
    pool
        What stands after the first convolution: "max", as in ResNet34, or "average", over the same windows. With
        "average" the network is affine in eval mode, with "max" in no mode.
    width
        Channels of the first stage (64 in ResNet34); they double at each of the other three.
    """

    def __init__(self, pool: str, width: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, width, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(width))
        self.pool = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}[pool](3, stride=2, padding=1)
        blocks, n_in = [], width
        for stage, n_blocks in enumerate(_BLOCKS):
            for index in range(n_blocks):
                n_out = width * 2**stage
                blocks.append(_Block(n_in, n_out, stride=2 if stage and not index else 1))
                n_in = n_out
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n_in, N_CLASSES))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (n, 10) of images (n, 1, height, width)."""
        return self.classifier(self.blocks(self.pool(self.stem(x))))


class _Block(nn.Module):
    """Two 3x3 convolutions with batch norm, and the skip over them: the input, or its 1x1 projection."""

    def __init__(self, n_in: int, n_out: int, *, stride: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
        )
        self.skip: nn.Module = nn.Identity()
        if (stride, n_in) != (1, n_out):
            self.skip = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride=stride, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x) + self.skip(x)

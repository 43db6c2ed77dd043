"""Convolutions and linear layers as maps between channels, and one layer made of several of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

__all__ = ["Block", "ChannelMap", "layer_of"]

_CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


@dataclass(frozen=True, eq=False)
class ChannelMap:
    """Output pixel j reads the input pixels ``stride j + start + dilation u`` with the matrices ``weight[:, :, u]``.

    Pixels outside of the input are 0. Without axes of pixels it is a matrix.

    Attributes
    ----------
    weight
        float64, (n_outputs, n_inputs, *kernel).
    stride, start, dilation
        Per axis; a convolution with padding p starts at -p.
    name
        The module behind it.
    """

    weight: Any
    stride: tuple[int, ...] = ()
    start: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    name: str = ""

    @property
    def dims(self) -> int:
        """Return the number of axes of pixels."""
        return int(self.weight.ndim) - 2

    @property
    def end(self) -> tuple[int, ...]:
        """Return the offset of the last pixel read."""
        kernel = self.weight.shape[2:]
        return tuple(a + d * (k - 1) for a, d, k in zip(self.start, self.dilation, kernel, strict=True))

    @property
    def growth(self) -> tuple[int, ...]:
        """Return how much larger the output is than its input, but for the stride."""
        return tuple(-a - b for a, b in zip(self.start, self.end, strict=True))

    @property
    def is_pointwise(self) -> bool:
        """Return whether each output pixel reads one input pixel, `stride` times its own place."""
        return math.prod(self.weight.shape[2:]) == 1 and not any(self.start)

    def lifted(self, dims: int) -> ChannelMap:
        """Return a matrix as a convolution with so many axes."""
        if self.dims or not dims:
            return self
        weight = self.weight.reshape(*self.weight.shape, *(1,) * dims)
        return replace(self, weight=weight, stride=(1,) * dims, start=(0,) * dims, dilation=(1,) * dims)

    def scaled(self, factors: Any) -> ChannelMap:
        """Return the map with its outputs multiplied, all by a number or each by its own."""
        if isinstance(factors, torch.Tensor):
            factors = factors.reshape(-1, *(1,) * (self.weight.ndim - 1))
        return replace(self, weight=self.weight * factors)

    def after(self, inner: ChannelMap) -> ChannelMap | None:
        """Return this map of what `inner` gives, as one map, or None if that would read a padding of another kind."""
        dims = max(self.dims, inner.dims)
        outer, inner = self.lifted(dims), inner.lifted(dims)
        if inner.is_pointwise:
            weight = torch.einsum("oi...,ij->oj...", outer.weight, inner.weight.flatten(1))
            stride, start, dilation = (
                tuple(n * value for n, value in zip(inner.stride, axis, strict=True)) for axis in outer._axes()
            )
            return ChannelMap(weight, stride, start, dilation, outer.name)
        if outer.is_pointwise and all(s == 1 for s in outer.stride):
            return replace(inner, weight=torch.einsum("oi,ij...->oj...", outer.weight.flatten(1), inner.weight))
        return None

    def on_samples(self, every: tuple[int, ...]) -> ChannelMap | None:
        """Return the same map of every so many-th pixel of its input only, None if it reads others."""
        single = [k == 1 for k in self.weight.shape[2:]]
        if any(
            s % e or a % e or (d % e and not one)
            for s, a, d, e, one in zip(self.stride, self.start, self.dilation, every, single, strict=True)
        ):
            return None
        stride, start, dilation = (
            tuple(value // e for value, e in zip(axis, every, strict=True)) for axis in self._axes()
        )
        # A single pixel has no distance to the next.
        return replace(self, stride=stride, start=start, dilation=tuple(d or 1 for d in dilation))

    def _axes(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        return self.stride, self.start, self.dilation


@dataclass(frozen=True, eq=False)
class Block:
    """A map from some input channels of a layer to some of its output channels, each a slice."""

    outputs: slice
    inputs: slice
    map: ChannelMap


def layer_of(blocks: Sequence[Block], bias: Any, n_inputs: int, dims: int) -> Any:
    """Return one convolution, or linear layer, in float64 that adds up blocks of equal stride and growth.

    Parameters
    ----------
    blocks
        Of maps with the same stride and the same growth, with `dims` axes of pixels.
    bias
        float64 (n_outputs,).
    n_inputs, dims
        Input channels and axes of pixels, of the layer.
    """
    maps = [block.map for block in blocks]
    first = [min(m.start[axis] for m in maps) for axis in range(dims)]
    last = [max(m.end[axis] for m in maps) for axis in range(dims)]
    # The greatest step that all pixels read are multiples of, from the first one.
    steps = [
        math.gcd(
            *(m.start[axis] - first[axis] + m.dilation[axis] * u for m in maps for u in range(m.weight.shape[2 + axis]))
        )
        or 1
        for axis in range(dims)
    ]
    kernel = [(b - a) // step + 1 for a, b, step in zip(first, last, steps, strict=True)]
    weight = torch.zeros(len(bias), n_inputs, *kernel, dtype=torch.float64)
    for block in blocks:
        m = block.map
        taps = tuple(
            slice(
                (m.start[axis] - first[axis]) // steps[axis],
                (m.end[axis] - first[axis]) // steps[axis] + 1,
                max(m.dilation[axis] // steps[axis], 1),
            )
            for axis in range(dims)
        )
        weight[(block.outputs, block.inputs, *taps)] += m.weight
    if not dims:
        layer = nn.utils.skip_init(nn.Linear, n_inputs, len(bias), dtype=torch.float64)
    else:
        layer = nn.utils.skip_init(
            _CONVOLUTIONS[dims],
            n_inputs,
            len(bias),
            tuple(kernel),
            stride=maps[0].stride,
            padding=tuple(-a for a in first),
            dilation=tuple(steps),
            dtype=torch.float64,
        )
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    return layer

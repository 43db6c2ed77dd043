"""A `Network` as a PyTorch module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from tropnet.importers.torch.two_slopes import TwoSlopes
from tropnet.network.layers import AFFINE, Layer
from tropnet.network.network import Network, dense_network

__all__ = ["ExportedNetwork", "exported_layers", "to_torch"]


class ExportedNetwork(nn.Module):  # type: ignore[misc]  # mypy does not follow torch, so nn.Module is Any
    """The module that `to_torch` makes: one nn.Linear per layer and source, the first with the bias.

    Attributes
    ----------
    sources
        The sources of each layer, in the order of its `maps`; 0 is the input.
    maps, activations
        nn.ModuleList of nn.ModuleList of nn.Linear, one list per layer, and one activation per hidden layer.
    """

    def __init__(self, net: Network) -> None:
        super().__init__()
        self.n_inputs = net.n_inputs
        self.sources = [sorted(layer.weights) for layer in net.layers]
        self.maps = nn.ModuleList(map(_maps, net.layers))
        self.activations = nn.ModuleList(map(_activation, net.hidden))

    def forward(self, x: Any) -> Any:
        """Return the outputs, tensor (n, n_outputs), at points (n, n_inputs)."""
        outputs = [x]
        for index, (sources, maps) in enumerate(zip(self.sources, self.maps, strict=True)):
            z = sum(
                (linear(outputs[k]) for k, linear in zip(sources[1:], maps[1:], strict=True)),
                start=maps[0](outputs[sources[0]]),
            )
            outputs.append(self.activations[index](z) if index < len(self.activations) else z)
        return outputs[-1]


def _maps(layer: Layer) -> Any:
    linears: list[Any] = []
    for source in sorted(layer.weights):
        weight = layer.weights[source]
        # Not initialised: that would draw the caller's random numbers.
        linear = nn.utils.skip_init(nn.Linear, weight.shape[1], weight.shape[0], bias=not linears, dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(np.array(weight)))
            if not linears:
                linear.bias.copy_(torch.from_numpy(np.array(layer.bias)))
        linears.append(linear)
    return nn.ModuleList(linears)


def _activation(layer: Layer) -> Any:
    slopes = np.asarray(layer.slopes)
    negative, positive = slopes[0].tolist()
    if (slopes == slopes[0]).all() and positive == 1 and negative != 1:
        return nn.LeakyReLU(negative) if negative else nn.ReLU()
    return TwoSlopes(torch.from_numpy(slopes[:, 0].copy()), torch.from_numpy(slopes[:, 1].copy()))


def to_torch(net: Network) -> Any:
    """Return a PyTorch module that computes the network, with float64 parameters.

    Parameters
    ----------
    net
        Any network.

    Returns
    -------
    torch.nn.Module
        From (n, n_inputs) to (n, n_outputs): one nn.Linear per layer and source, and nn.ReLU, nn.LeakyReLU or a module
        with two slopes per neuron in between. `from_torch` reads it back to an equal network, whatever was learned
        since.

    Raises
    ------
    UnsupportedModuleError
        `net` is no network.
    TooLargeError
        It holds sparse weights that would not fit into memory as the dense ones of nn.Linear.

    Notes
    -----
    A matrix that several sources share becomes several nn.Linear. Costs a copy of the weights.

    Examples
    --------
    >>> net = Network.random([2, 3, 1], seed=0)
    >>> module = to_torch(net)
    >>> bool(abs(module(torch.tensor([[1.0, 2.0]]).double()).item() - net([1.0, 2.0])[0]) < 1e-15)
    True
    """
    return ExportedNetwork(dense_network(net))


def exported_layers(module: Any) -> Network:
    """Return the network of an `ExportedNetwork` with the parameters that it has now."""
    layers = []
    for index, (sources, maps) in enumerate(zip(module.sources, module.maps, strict=True)):
        weights = {k: linear.weight.detach().numpy() for k, linear in zip(sources, maps, strict=True)}
        slopes = _slopes(module.activations, index)
        layers.append(Layer(weights, maps[0].bias.detach().numpy(), slopes))
    return Network(layers, module.n_inputs)


def _slopes(activations: Sequence[Any], index: int) -> Any:
    if index == len(activations):
        return AFFINE
    activation = activations[index]
    if isinstance(activation, TwoSlopes):
        return np.stack([activation.negative.numpy(), activation.positive.numpy()], axis=1)
    return (getattr(activation, "negative_slope", 0.0), 1.0)

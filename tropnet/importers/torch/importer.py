"""PyTorch modules: the papers' multilayer perceptron with skips, and reading a module into a `Network`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from tropnet.arrays.types import FloatArray
from tropnet.errors import ShapeError
from tropnet.importers.common.verification import verify
from tropnet.importers.torch.export import ExportedNetwork, exported_layers
from tropnet.importers.torch.last_step import without_last_step
from tropnet.importers.torch.splitting import split
from tropnet.importers.torch.tracing import Trace, Widening, float64_copy, trace
from tropnet.network.layers import skip_sources
from tropnet.network.network import Network
from tropnet.operators.operator import as_shape

__all__ = ["SkipMLP", "from_torch"]


class SkipMLP(nn.Module):  # type: ignore[misc]  # mypy does not follow torch, so nn.Module is Any
    """The papers' multilayer perceptron: ReLU after every hidden layer, an affine output, and skip connections.

    Layer l computes ``nu_l = relu(W_l (nu_{l-1} + sum of nu_k over the skips (k, l)) + b_l)`` with ``nu_0 = x``;
    the output layer L + 1 leaves the ReLU out. Layers count from 1.

    Parameters
    ----------
    widths
        Input dimension, hidden widths, output dimension.
    skips
        Pairs (k, l): the output of layer k is added to the input of layer l, 0 <= k < l - 1 and l <= L + 1.
    negative_slope
        Slope of the activation for negative values; 0 is ReLU, 0.01 the usual leaky ReLU.

    Raises
    ------
    ShapeError
        `widths` are not at least two positive numbers.
    SkipError
        A skip breaks 0 <= k < l - 1 <= L, is given twice, or joins layers of unequal width.

    References
    ----------
    J. Joyce and J. Verschelde, arXiv:2509.15441, sections 4 and 6.1.

    Examples
    --------
    >>> model = SkipMLP([1, 1, 1, 1], skips=[(1, 3)]).double()
    >>> for parameter in model.parameters():
    ...     _ = nn.init.constant_(parameter, 1.0)

    At x = 1 the hidden layers give 2 and 3, so the output is (3 + 2) + 1:

    >>> model(torch.tensor([[1.0]], dtype=torch.float64)).item()
    6.0
    """

    def __init__(
        self, widths: Sequence[int], skips: Iterable[tuple[int, int]] = (), negative_slope: float = 0.0
    ) -> None:
        super().__init__()
        if len(widths) < 2 or any(int(width) < 1 for width in widths):
            raise ShapeError(
                f"widths must be at least two positive numbers (inputs, ..., outputs), got {list(widths)}."
            )
        self.widths = tuple(int(width) for width in widths)
        self.skips = tuple((int(k), int(target)) for k, target in skips)
        self._sources = skip_sources(self.skips, self.widths)
        self.layers = nn.ModuleList(nn.Linear(fan_in, fan_out) for fan_in, fan_out in pairwise(self.widths))
        self.activation = nn.LeakyReLU(negative_slope) if negative_slope else nn.ReLU()

    def forward(self, x: Any) -> Any:
        """Return the outputs, tensor (n, n_outputs), at points (n, n_inputs)."""
        outputs = [x]
        for index, layer in enumerate(self.layers, start=1):
            z = layer(sum((outputs[k] for k in self._sources.get(index, ())), start=outputs[-1]))
            outputs.append(self.activation(z) if index < len(self.layers) else z)
        return outputs[-1]

    def extra_repr(self) -> str:
        """Return the skips, which the list of submodules does not show."""
        return f"skips={list(self.skips)}"


def from_torch(module: Any, input_shape: Sequence[int] | None = None, *, output: str | None = None) -> Network:
    """Read a piecewise-linear PyTorch module into a `Network`.

    The module is traced and split at its activations; what stands between two of them is collapsed to one affine map
    (Theorem 3.1), with the sources that the graph has: additions, projections and concatenations become W[l, k].

    Parameters
    ----------
    module
        Any torch.nn.Module of one tensor whose steps are affine (see `collapse`) or piecewise linear: ReLU, LeakyReLU,
        PReLU, RReLU, ReLU6, Hardtanh, Hardsigmoid, Softshrink, clamp, abs, max-pooling, maxima and minima of two
        tensors or over axes, sort, topk, median, torch.where and products with comparisons that are continuous; as
        modules, functions or methods. Batch norm, dropout, RReLU in eval mode. A torch.fx.GraphModule, what
        torch.compile returns and ``torch.export.export(...).module()`` (of any batch) are read, TorchScript is not; of
        parametrisations (spectral_norm, weight_norm, orthogonal) the value is read. It is not changed.
    input_shape
        Shape of one input, without the batch, as in (1, 28, 28). Without it, the first layer must be an nn.Linear,
        whose in_features are the shape. A forward that decides, or loops, by the shape of its input needs it.
    output
        ``"logits"`` leaves off a last softmax, log-softmax, sigmoid or argmax, behind which entries may be moved only;
        a module without one is read as it is. None reads the module whole.

    Returns
    -------
    Network
        Of the input flattened in C order, to the output flattened likewise. Activations of equal depth (the number of
        activations on the longest way to them) are one hidden layer, in the order in which the module calls them; those
        that the output does not depend on are left out. Weights are sparse where a matrix has more than 65,536 entries
        and at most a quarter of them is not zero.

    Raises
    ------
    UnsupportedModuleError
        A step is not piecewise linear or not known to be, a module is in training mode where that matters, has hooks or
        a forward of the instance, holds no real numbers, or decides by its data. The message gives the qualified name
        of every such module, or the function and in whose forward, and why.
    ShapeError
        The module does not take `input_shape`, or nothing tells the shape.
    NonFiniteError
        A parameter is NaN or infinite.
    ValueError
        `output` is another word.
    TropnetError
        The outputs of the network and of the module differ at a random point.

    Notes
    -----
    Saturating activations (ReLU6, Hardtanh, clamp) become the difference of two ReLUs, whose biases b - low and
    b - high are rounded once. Max-pool and maxima become ``max(a, b) = a + relu(b - a)`` in a tournament, so counts are
    those of the lowered network: comparisons among losers split cells too. The weights of ``b - a`` are 1 and -1 on the
    neurons that hold a and b, so that two equal values tie exactly; where a and b are no outputs of neurons (a maxout
    of a linear layer), a layer of affine neurons (equal slopes, which split nothing) holds them.

    Parameters, and constants that a forward makes, are widened to float64 exactly; parametrisations are evaluated,
    batch norm and consecutive affine steps composed in float64. The network is the float64 network with these weights;
    a float32 module's own outputs differ from it by their rounding. The result is checked at seeded random points, in a
    batch and alone, against a float64 copy of the module, to a relative error of 1e-10 (or a multiple of the rounding
    error of sums that cancel).

    Convolutions, pooling and moves of entries cost what their sparse matrices hold; other affine steps one evaluation
    of the step per input or output entry.

    References
    ----------
    J. Joyce and J. Verschelde, arXiv:2408.07815, Theorem 3.1.

    Examples
    --------
    >>> module = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> from_torch(module)
    Network(2-3-1)

    Two pools of 2 x 2 pixels take two rounds of comparisons, four and two:

    >>> from_torch(nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU(), nn.MaxPool2d(2)), (1, 4, 6))
    Network(24-8-4-2-2, skips 1-3, 1-4, 2-4)
    """
    if output not in (None, "logits"):
        raise ValueError(f"output must be 'logits' or None, got {output!r}.")
    copy = float64_copy(module)
    with torch.random.fork_rng(devices=[]), torch.no_grad(), Widening():
        # A module that was exported keeps its layers as they are.
        plain = type(copy) is ExportedNetwork
        network = exported_layers(copy) if plain else None
        graph = trace(copy, None if input_shape is None else as_shape(input_shape))
        if network is not None and input_shape is None:
            shape: tuple[int, ...] = (network.n_inputs,)
        else:
            shape = _inferred_shape(graph) if input_shape is None else as_shape(input_shape)
        if network is None:
            if output is not None:
                graph = without_last_step(graph)
            lowering, last = split(graph, shape)
            network = lowering.network(last)
        _verify(network, copy if output is None else graph.graph_module, shape)
    return network


def _inferred_shape(graph: Trace) -> tuple[int, ...]:
    """Return the shape of one input from the first layer, if that is an nn.Linear."""
    for node in graph.graph_module.graph.nodes:
        # A subclass of nn.Linear is traced into.
        called = graph.called(node) if node.op == "call_module" else graph.owner(node)
        if isinstance(called, nn.Linear):
            return (called.in_features,)
        if node.op == "call_module" and any(True for _ in called.parameters()) and not isinstance(called, nn.PReLU):
            break
    raise ShapeError(
        "the module does not begin with an nn.Linear that tells its input dimension; pass input_shape, the shape of one"
        " input without the batch, as in (2,) or (1, 28, 28)."
    )


def _verify(network: Network, copy: Any, shape: tuple[int, ...]) -> None:
    """Compare network and module at random points, in a batch and alone."""

    def outputs(points: FloatArray) -> FloatArray:
        given = torch.from_numpy(points.reshape(len(points), *shape).copy())
        return np.asarray(copy(given).reshape(len(points), -1).numpy())

    def terms(points: FloatArray) -> FloatArray:
        # With |x| and absolute parameters little cancels; `copy` is not used again.
        for parameter in copy.parameters():
            parameter.abs_()
        return np.abs(outputs(np.abs(points)))

    def batched_and_alone(points: FloatArray) -> FloatArray:
        found = outputs(points)
        alone = outputs(points[:1])
        return np.concatenate([alone, found[1:]]) if alone.shape[1] == found.shape[1] else found

    verify(
        network,
        batched_and_alone,
        terms,
        "the module",
        "Does the module, or a global hook of torch, compute something that its graph does not show, mix the entries of"
        " a batch, or keep a state? Else please report the module.",
    )

"""PyTorch modules: the papers' multilayer perceptron with skips, and reading a module into a `Network`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from tropnet.dyadic import FloatArray
from tropnet.errors import ShapeError, TropnetError, UnsupportedModuleError
from tropnet.layers import AFFINE, RELU, Layer, skip_sources
from tropnet.network import Network

__all__ = ["SkipMLP", "from_torch"]

_SUPPORTED = (
    "tropnet reads nn.Sequential (nested too) of nn.Linear, nn.ReLU, nn.LeakyReLU, nn.Identity, nn.Dropout in eval mode"
    " and nn.Flatten at the very front; a bare nn.Linear; and tropnet.SkipMLP"
)
_OTHERWISE = "replace it by these, or give the layers to tropnet.Network([...])"
_FOLD = "fold it into the Linear before it with torch.nn.utils.fuse_linear_bn_eval"
_N_CHECKED_POINTS = 16
_RELATIVE_ERROR = 1e-10
_ROUNDING = 1e-13


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


def from_torch(module: Any, input_shape: Sequence[int] | None = None) -> Network:
    """Read a PyTorch module into a `Network`.

    Parameters
    ----------
    module
        nn.Sequential (nested too) of nn.Linear, nn.ReLU, nn.LeakyReLU, nn.Identity, nn.Dropout in eval mode and
        nn.Flatten at the very front; a bare nn.Linear; or `SkipMLP`, also inside nn.Sequential. It is not changed.
    input_shape
        Shape of one input, without the batch. Checked if given; needed only where no nn.Linear tells it. After
        nn.Flatten any shape of the right size: the network reads its entries in row-major order.

    Returns
    -------
    Network
        One hidden layer per activation. Consecutive nn.Linear become one layer, composed in float64. An activation
        with no nn.Linear before it becomes a layer with identity weights; after an activation at the very end comes
        an identity output layer.

    Raises
    ------
    UnsupportedModuleError
        A module is of another type, has a forward of its own or hooks, is nn.Dropout in training mode, or holds
        parameters that are not real floats; the message gives its qualified name.
    ShapeError
        Widths do not chain, `input_shape` does not fit, or nothing tells the input dimension.
    NonFiniteError
        A parameter is NaN or infinite.
    TropnetError
        The outputs of the network and of the module differ at a random point.

    Notes
    -----
    float32, float16 and bfloat16 parameters are widened exactly: the network is the float64 network with the stored
    weights, and the module's own float32 outputs differ from it by their rounding. The result is checked at a few
    seeded random points against a float64 copy of the module, to a relative error of 1e-10 (or a multiple of the
    rounding error of sums that cancel).

    Examples
    --------
    >>> module = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> from_torch(module)
    Network(2-3-1)
    """
    if not isinstance(module, nn.Module):
        raise UnsupportedModuleError(
            f"module must be a torch.nn.Module, got {_type_name(module)}. For a file or a state dict, build the module"
            " and call its load_state_dict first."
        )
    steps = _steps(module)
    flattened = any(type(step) is nn.Flatten for _, step in steps)
    shape = _input_shape(steps, input_shape, flattened=flattened)
    n_inputs = math.prod(shape)
    network = _build(steps, n_inputs)
    _verify(network, module, shape if flattened else (n_inputs,))
    return network


# --- reading the module tree


def _steps(module: Any) -> list[tuple[str, Any]]:
    """Return the qualified names and modules that the input passes one after the other."""
    steps: list[tuple[str, Any]] = []
    _collect(module, "", steps)
    return steps


def _collect(module: Any, name: str, steps: list[tuple[str, Any]]) -> None:
    _refuse_changed_calls(module, name)
    if _is_plain(module, nn.Sequential):
        # named_children() would leave out the second use of one activation object.
        for key, child in module._modules.items():
            _collect(child, f"{name}.{key}" if name else key, steps)
        return
    kind = type(module)
    if kind is nn.Dropout and module.training:
        raise _refusal(module, name, "acts at random in training mode", "call module.eval() before from_torch")
    if kind is nn.Flatten:
        _check_flatten(module, name, steps)
    elif kind not in (nn.Linear, nn.ReLU, nn.LeakyReLU, nn.Identity, nn.Dropout) and not _is_plain(module, SkipMLP):
        remedy = _FOLD if kind is nn.BatchNorm1d else _OTHERWISE
        raise _refusal(module, name, "is not supported", remedy)
    steps.append((name, module))


def _is_plain(module: Any, kind: Any) -> bool:
    """Whether `module` is a `kind` that computes what `kind` computes; a subclass may only add construction."""
    return isinstance(module, kind) and type(module).forward is kind.forward


def _refuse_changed_calls(module: Any, name: str) -> None:
    """Refuse a module that does more than its type says, or something else."""
    if not isinstance(module, nn.Module):
        return
    if module._forward_hooks or module._forward_pre_hooks:
        remedy = "remove the hooks (weight_norm, spectral_norm and pruning leave one; each has its own remove function)"
        raise _refusal(module, name, "has forward hooks, which may change its values", remedy)
    if "forward" in vars(module) or type(module).__call__ is not nn.Module.__call__:
        raise _refusal(module, name, "has a forward or __call__ of its own", _OTHERWISE)


def _check_flatten(module: Any, name: str, steps: list[tuple[str, Any]]) -> None:
    if any(type(step) not in (nn.Identity, nn.Dropout, nn.Flatten) for _, step in steps):
        raise _refusal(
            module, name, "is not at the very front", "move it to the front; between layers of vectors it does nothing"
        )
    if module.start_dim != 1 or module.end_dim not in (-1, 1):
        dims = f"start_dim={module.start_dim} and end_dim={module.end_dim}"
        raise _refusal(module, name, f"has {dims}", "flatten all but the batch: nn.Flatten()")


def _refusal(module: Any, name: str, reason: str, remedy: str) -> UnsupportedModuleError:
    where = f"{name or 'the module itself'} ({_type_name(module)})"
    return UnsupportedModuleError(f"{where} {reason}. {_SUPPORTED}. What to do: {remedy}.")


def _type_name(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _linears(name: str, module: Any) -> list[tuple[str, Any]]:
    """Return the Linear layers of a step, checked, with their names."""
    if type(module) is nn.Linear:
        return [(name, module)]
    if not isinstance(module, SkipMLP):
        return []
    prefix = f"{name}." if name else ""
    found = [(f"{prefix}layers.{index}", layer) for index, layer in enumerate(module.layers)]
    for where, part in [*found, (f"{prefix}activation", module.activation)]:
        _refuse_changed_calls(part, where)
    for where, layer in found:
        if type(layer) is not nn.Linear:
            raise _refusal(layer, where, "is not supported as a layer of SkipMLP", "use nn.Linear")
    if type(module.activation) not in (nn.ReLU, nn.LeakyReLU):
        remedy = "use nn.ReLU or nn.LeakyReLU"
        raise _refusal(
            module.activation, f"{prefix}activation", "is not supported as the activation of SkipMLP", remedy
        )
    return found


def _input_shape(steps: Sequence[tuple[str, Any]], given: Sequence[int] | None, *, flattened: bool) -> tuple[int, ...]:
    """Return the shape of one input, from the first Linear and what the caller says."""
    shape = None if given is None else tuple(int(length) for length in given)
    linears = [linear for name, step in steps for linear in _linears(name, step)]
    if not linears:
        if shape is None or not (flattened or len(shape) == 1):
            raise ShapeError(
                f"the module holds no nn.Linear that tells its input dimension; pass input_shape=(d,), got {given}."
            )
        return shape
    name, first = linears[0]
    if shape is None:
        return (first.in_features,)
    if (math.prod(shape) if flattened else shape) != (first.in_features if flattened else (first.in_features,)):
        raise ShapeError(
            f"input_shape must be ({first.in_features},){' or a shape of that size' if flattened else ''}, the"
            f" in_features of {name or 'the module itself'}, got {shape}. Is it the shape of one input, without the"
            f" batch{'' if flattened else '; and is an nn.Flatten missing at the front'}?"
        )
    return shape


# --- building the network


@dataclass(frozen=True)
class _Value:
    """A vector that is affine in the outputs of earlier layers: sum of weights[k] nu_k + bias.

    None stands for the identity matrix and for the zero bias, so that plain chains pass through without arithmetic.
    """

    weights: Mapping[int, FloatArray | None]
    bias: FloatArray | None
    width: int

    def mapped(self, weight: FloatArray, bias: FloatArray) -> _Value:
        """Return weight @ self + bias."""
        # NaN, infinity and overflow are for Network to report, with the layer's name.
        with np.errstate(all="ignore"):
            weights = {k: weight if own is None else weight @ own for k, own in self.weights.items()}
            return _Value(weights, bias if self.bias is None else weight @ self.bias + bias, len(bias))

    def __add__(self, other: _Value) -> _Value:
        # An activation lies between any two outputs that a skip joins, so they share no source.
        biases = [bias for bias in (self.bias, other.bias) if bias is not None]
        return _Value({**self.weights, **other.weights}, np.sum(biases, axis=0) if biases else None, self.width)

    def layer(self, slopes: tuple[float, float]) -> Layer:
        """Return the layer that has this value as its pre-activation."""
        bias = np.zeros(self.width) if self.bias is None else self.bias
        weights = {k: np.eye(self.width) if own is None else own for k, own in self.weights.items()}
        return Layer(weights, bias, slopes)


class _Builder:
    """The hidden layers so far; every activation adds one."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []

    def activate(self, value: _Value, module: Any) -> _Value:
        """Add the layer act(value) and return its output."""
        slopes = (float(module.negative_slope), 1.0) if type(module) is nn.LeakyReLU else RELU
        self.layers.append(value.layer(slopes))
        return _Value({len(self.layers): None}, None, value.width)

    def skip_mlp(self, value: _Value, name: str, module: SkipMLP) -> _Value:
        """Add the hidden layers of `module` at `value` and return its output, by the recurrence of its forward."""
        linears = _linears(name, module)
        outputs = [value]
        for index, (where, linear) in enumerate(linears, start=1):
            total = outputs[-1]
            for k in module._sources.get(index, ()):
                total = total + outputs[k]
            z = _linear(total, where, linear)
            outputs.append(self.activate(z, module.activation) if index < len(linears) else z)
        return outputs[-1]


def _build(steps: Sequence[tuple[str, Any]], n_inputs: int) -> Network:
    builder = _Builder()
    value = _Value({0: None}, None, n_inputs)
    for name, module in steps:
        if type(module) is nn.Linear:
            value = _linear(value, name, module)
        elif type(module) in (nn.ReLU, nn.LeakyReLU):
            value = builder.activate(value, module)
        elif isinstance(module, SkipMLP):
            value = builder.skip_mlp(value, name, module)
    return Network([*builder.layers, value.layer(AFFINE)], n_inputs)


def _linear(value: _Value, name: str, module: Any) -> _Value:
    weight = _float64(module.weight, name, module)
    bias = np.zeros(len(weight)) if module.bias is None else _float64(module.bias, name, module)
    if weight.shape[1] != value.width:
        raise ShapeError(
            f"{name} (nn.Linear) must take the {value.width} values of the layer before it, but its in_features are"
            f" {weight.shape[1]}."
        )
    return value.mapped(weight, bias)


def _float64(parameter: Any, name: str, module: Any) -> FloatArray:
    if not parameter.dtype.is_floating_point or parameter.is_meta:
        found = "no data (meta tensors)" if parameter.is_meta else f"{parameter.dtype} parameters"
        raise _refusal(module, name, f"holds {found}, not real floats", "load or convert the parameters first")
    return np.asarray(parameter.detach().cpu().double().numpy())


# --- checking the result


def _verify(network: Network, module: Any, shape: tuple[int, ...]) -> None:
    """Compare network and module at random points, in float64 on the CPU."""
    points = np.random.default_rng(0).normal(size=(_N_CHECKED_POINTS, *shape))
    points[::2] *= 10
    copy = deepcopy(module).cpu().double().eval()
    with torch.inference_mode(), np.errstate(all="ignore"):
        expected = copy(torch.from_numpy(points.copy())).numpy()
        # With |x| and absolute parameters nothing cancels: a bound on all terms, to which rounding is relative.
        for parameter in copy.parameters():
            parameter.abs_()
        terms = copy(torch.from_numpy(np.abs(points))).numpy()
        error = np.abs(network(points.reshape(len(points), -1)) - expected)
        allowed = np.fmax.reduce(_RELATIVE_ERROR * np.abs(expected) + _ROUNDING * terms)
        wrong = ~(error <= allowed) & np.isfinite(expected)
    if wrong.any():
        point, output = np.argwhere(wrong)[0]
        raise TropnetError(
            f"the network must give the module's outputs, but at x = {points[point].tolist()} output {output} differs"
            f" by {error[point, output]:.3g} (allowed {allowed[output]:.3g}). Does the module, or a global hook of"
            " torch, compute something that its layers do not show? Please report the module."
        )

"""The piecewise-linear operations of PyTorch, by name, and how each is lowered.

A new activation is one entry of `_RULES`; what it is made of (slopes, bounds, maxima) are the methods of `Lowering`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import nn

from tropnet.importers.common.expression import Expression, constant
from tropnet.importers.common.lowering import (
    Lowering,
    RefusedError,
    adaptive_windows,
    over_axes,
    sliding_windows,
    windows_of,
)
from tropnet.importers.torch.two_slopes import TwoSlopes
from tropnet.operators.operator import one_per_axis

__all__ = ["arguments", "lowered", "lowers"]

Options: TypeAlias = Mapping[str, Any]
Lower: TypeAlias = Callable[[Lowering, Expression, Options], Any]


def _relu(to: Lowering, x: Expression, _: Options) -> Expression:
    return to.activation(x)


def _leaky(to: Lowering, x: Expression, options: Options) -> Expression:
    return to.activation(x, negative=options.get("negative_slope", 0.01))


def _prelu(to: Lowering, x: Expression, options: Options) -> Expression:
    weight = _array(options["weight"])
    # One slope per channel, the first axis after the batch.
    slopes = weight if weight.size == 1 else weight.reshape(-1, *[1] * (len(x.shape) - 1))
    return to.activation(x, negative=slopes.reshape(()) if slopes.size == 1 else slopes)


def _two_slopes(to: Lowering, x: Expression, options: Options) -> Expression:
    return to.activation(x, *(_array(options["_buffers"][name]) for name in ("negative", "positive")))


def _rrelu(to: Lowering, x: Expression, options: Options) -> Expression:
    if options.get("training", False):
        raise RefusedError("acts at random in training mode; call module.eval() first")
    return to.activation(x, negative=(options.get("lower", 1 / 8) + options.get("upper", 1 / 3)) / 2)


def _hardtanh(to: Lowering, x: Expression, options: Options) -> Expression:
    return to.clipped(x, options.get("min_val", -1.0), options.get("max_val", 1.0))


def _relu6(to: Lowering, x: Expression, _: Options) -> Expression:
    return to.clipped(x, 0.0, 6.0)


def _hardsigmoid(to: Lowering, x: Expression, _: Options) -> Expression:
    return to.clipped(x.shifted(3.0), 0.0, 6.0).scaled(1 / 6)


def _softshrink(to: Lowering, x: Expression, options: Options) -> Expression:
    width = options.get("lambd", 0.5)
    return to.activation(x.shifted(-width)).plus(to.activation(x.scaled(-1.0).shifted(-width)), -1.0)


def _clamp(to: Lowering, x: Expression, options: Options) -> Expression:
    bounds = [None if options.get(name) is None else _like(options[name], x) for name in ("min", "max")]
    return to.clipped(x, *bounds)


def _abs(to: Lowering, x: Expression, _: Options) -> Expression:
    return to.activation(x, -1.0, 1.0)


def _threshold(to: Lowering, x: Expression, options: Options) -> Expression:
    if options["threshold"] != options["value"]:
        raise RefusedError("jumps at its threshold unless its value is the threshold, so it is not continuous")
    return to.clipped(x, low=options["threshold"])


def _larger(to: Lowering, x: Expression, options: Options) -> Expression:
    return to.maximum(*_pair(x, options["other"]))


def _smaller(to: Lowering, x: Expression, options: Options) -> Expression:
    return to.minimum(*_pair(x, options["other"]))


def _amax(to: Lowering, x: Expression, options: Options) -> Expression:
    return _over_axes(to, x, options.get("dim", ()), keepdim=options.get("keepdim", False))


def _amin(to: Lowering, x: Expression, options: Options) -> Expression:
    return _amax(to, x.scaled(-1.0), options).scaled(-1.0)


def _max(to: Lowering, x: Expression, options: Options) -> Any:
    given = options.get("other", options.get("dim"))
    if isinstance(given, Expression | torch.Tensor):
        return to.maximum(*_pair(x, given))
    if given is None:
        raise RefusedError("takes the maximum over a whole batch; give the axes, as in x.amax(dim=1)")
    # The second part, the places of the maxima, is no continuous function of the input.
    return (_amax(to, x, {"dim": given, "keepdim": options.get("keepdim", options.get("number 3", False))}), None)


def _min(to: Lowering, x: Expression, options: Options) -> Any:
    found = _max(to, x.scaled(-1.0), {**options, **_negated(options)})
    return (found[0].scaled(-1.0), None) if isinstance(found, tuple) else found.scaled(-1.0)


def _sorted(to: Lowering, x: Expression, options: Options) -> Any:
    axis = _axis(options, x)
    largest = bool(options.get("descending", False))
    return (to.ordered(x, axis, x.shape[axis], largest=largest), None)


def _top(to: Lowering, x: Expression, options: Options) -> Any:
    return (to.ordered(x, _axis(options, x), int(options["k"]), largest=bool(options.get("largest", True))), None)


def _axis(options: Options, x: Expression) -> int:
    """Return the axis of x that an order goes along, which counts with the batch as axis 0."""
    axis = int(options.get("dim", -1)) % (len(x.shape) + 1)
    if axis == 0:
        raise RefusedError("orders the inputs of a batch; give an axis after the first, as in x.sort(dim=1)")
    return axis - 1


def _negated(options: Options) -> dict[str, Any]:
    return {
        name: value.scaled(-1.0) if isinstance(value, Expression) else -value
        for name, value in options.items()
        if name in ("other", "dim") and isinstance(value, Expression | torch.Tensor)
    }


def _max_pool(n_axes: int) -> Lower:
    def rule(to: Lowering, x: Expression, options: Options) -> Expression:
        if options.get("return_indices", False):
            raise RefusedError("returns the places of its maxima, which are not piecewise linear")
        sizes = one_per_axis(options["kernel_size"], n_axes, "kernel_size", 1)
        steps = one_per_axis(options.get("stride") or sizes, n_axes, "stride", 1)
        pads = one_per_axis(options.get("padding", 0), n_axes, "padding", 0)
        gaps = one_per_axis(options.get("dilation", 1), n_axes, "dilation", 1)
        tables = [
            sliding_windows(length, size, step, (pad, pad), gap, ceil_mode=options.get("ceil_mode", False))
            for length, size, step, pad, gap in zip(x.shape[-n_axes:], sizes, steps, pads, gaps, strict=True)
        ]
        return to.maximum_over(x, *windows_of(x.shape, tables))

    return rule


def _adaptive_max_pool(n_axes: int) -> Lower:
    def rule(to: Lowering, x: Expression, options: Options) -> Expression:
        if options.get("return_indices", False):
            raise RefusedError("returns the places of its maxima, which are not piecewise linear")
        given = options["output_size"]
        lengths = x.shape[-n_axes:]
        sizes = [given] * n_axes if given is None or isinstance(given, int) else list(given)
        tables = [
            adaptive_windows(length, length if size is None else size)
            for length, size in zip(lengths, sizes, strict=True)
        ]
        return to.maximum_over(x, *windows_of(x.shape, tables))

    return rule


class _Rule(NamedTuple):
    """A function or method of PyTorch: its parameters in order, how it is lowered, and which module does the same."""

    names: tuple[str, ...]
    lower: Lower
    module: Any = None


_POOL = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
_RULES: dict[str, _Rule] = {
    "relu": _Rule(("input", "inplace"), _relu, nn.ReLU),
    "leaky_relu": _Rule(("input", "negative_slope", "inplace"), _leaky, nn.LeakyReLU),
    "prelu": _Rule(("input", "weight"), _prelu, nn.PReLU),
    "two slopes": _Rule(("input",), _two_slopes, TwoSlopes),
    "rrelu": _Rule(("input", "lower", "upper", "training", "inplace"), _rrelu, nn.RReLU),
    "relu6": _Rule(("input", "inplace"), _relu6, nn.ReLU6),
    "hardtanh": _Rule(("input", "min_val", "max_val", "inplace"), _hardtanh, nn.Hardtanh),
    "hardsigmoid": _Rule(("input", "inplace"), _hardsigmoid, nn.Hardsigmoid),
    "softshrink": _Rule(("input", "lambd"), _softshrink, nn.Softshrink),
    "threshold": _Rule(("input", "threshold", "value", "inplace"), _threshold, nn.Threshold),
    **dict.fromkeys(("clamp", "clip"), _Rule(("input", "min", "max"), _clamp)),
    "clamp_min": _Rule(("input", "min"), _clamp),
    "clamp_max": _Rule(("input", "max"), _clamp),
    **dict.fromkeys(("abs", "absolute"), _Rule(("input",), _abs)),
    "maximum": _Rule(("input", "other"), _larger),
    "minimum": _Rule(("input", "other"), _smaller),
    "max": _Rule(("input", "dim", "keepdim", "other"), _max),
    "min": _Rule(("input", "dim", "keepdim", "other"), _min),
    "amax": _Rule(("input", "dim", "keepdim"), _amax),
    "amin": _Rule(("input", "dim", "keepdim"), _amin),
    "sort": _Rule(("input", "dim", "descending"), _sorted),
    "topk": _Rule(("input", "k", "dim", "largest", "sorted"), _top),
    **{
        f"max_pool{n}d": _Rule(_POOL, _max_pool(n), module)
        for n, module in enumerate((nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d), start=1)
    },
    **{
        f"adaptive_max_pool{n}d": _Rule(("input", "output_size", "return_indices"), _adaptive_max_pool(n), module)
        for n, module in enumerate((nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d), start=1)
    },
}
_OF_MODULES = {rule.module: name for name, rule in _RULES.items() if rule.module is not None}


def lowers(op: str, target: Any, name: str | None) -> str | None:
    """Return the name of the rule for a step, None if there is none; `name` is that of a function or method."""
    if op == "call_module":
        return _OF_MODULES.get(type(target))
    return name if name in _RULES else None


def arguments(rule: str, target: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a step by name, with the options of a module among them."""
    names = _RULES[rule].names
    options: dict[str, Any] = {}
    if isinstance(target, nn.Module):
        options = {**vars(target), **target._parameters}
    named = {names[i] if i < len(names) else f"number {i + 1}": value for i, value in enumerate(args)}
    return {**options, **named, **kwargs}


def lowered(to: Lowering, rule: str, options: Mapping[str, Any]) -> Any:
    """Return the expression of a step, or a tuple of them, None where a part is not piecewise linear.

    Parameters
    ----------
    to
        Takes the activations.
    rule
        As `lowers` returns it.
    options
        As `arguments` returns them, tensors that depend on the input as expressions.

    Raises
    ------
    RefusedError
        With these options it is not piecewise linear.
    """
    x = options["input"]
    if not isinstance(x, Expression):
        x = constant(_array(x)[0])
    return _RULES[rule].lower(to, x, options)


# --- values


def _array(value: Any) -> Any:
    return value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value, dtype=np.float64)


def _like(value: Any, x: Expression) -> Any:
    """Return a constant that broadcasts to a batch of x as one that broadcasts to x."""
    if isinstance(value, Expression):
        raise RefusedError("has a bound that depends on the input; use torch.maximum and torch.minimum")
    array = _array(value)
    return array[0] if array.ndim == len(x.shape) + 1 else array


def _pair(left: Expression, right: Any) -> tuple[Expression, Expression]:
    if not isinstance(right, Expression):
        right = constant(_like(right, left))
    shape = np.broadcast_shapes(left.shape, right.shape)
    return left.broadcast_to(shape), right.broadcast_to(shape)


def _over_axes(to: Lowering, x: Expression, dim: Any, *, keepdim: bool) -> Expression:
    """Return the maximum over axes, which count with the batch as axis 0."""
    n_axes = len(x.shape) + 1
    axes = sorted({int(axis) % n_axes for axis in ([dim] if isinstance(dim, int) else dim)})
    if not axes or axes[0] == 0:
        raise RefusedError("takes the maximum over a whole batch; give axes after the first, as in x.amax(dim=1)")
    return to.maximum_over(x, *over_axes(x.shape, [axis - 1 for axis in axes], keeps=keepdim))

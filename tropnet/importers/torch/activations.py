"""The piecewise-linear operations of PyTorch, by name, and how each is lowered.

A new activation is one entry of `_RULES`; what it is made of (slopes, bounds, maxima) are the methods of `Lowering`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import nn

from tropnet.importers.common.expression import Expression, constant, totals
from tropnet.importers.common.jumps import Jump, chosen, computed, positive
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


def _nth(to: Lowering, x: Expression, options: Options) -> Any:
    """Return the entry that comes k-th in ascending order; without k the median, of an even number the lower one."""
    if options.get("dim", -1 if "k" in options else None) is None:
        raise RefusedError("orders a whole batch; give an axis after the first, as in x.median(dim=1)")
    axis = _axis(options, x)
    k = int(options.get("k", (x.shape[axis] + 1) // 2))
    smallest = to.ordered(x, axis, k, largest=False)
    places = np.arange(smallest.size).reshape(smallest.shape).take([k - 1], axis)
    return (smallest.gathered(places if options.get("keepdim", False) else places.squeeze(axis)), None)


def _norm(to: Lowering, x: Expression, options: Options) -> Expression:
    p, dim = options.get("p", options.get("ord")), options.get("dim")
    if p not in (1, np.inf):
        raise RefusedError("takes powers, which is not piecewise linear unless p is 1 or infinite")
    if dim is None:
        raise RefusedError("takes the norm of a whole batch; give axes after the first, as in x.norm(p=1, dim=1)")
    sizes, keepdim = to.activation(x, -1.0, 1.0), bool(options.get("keepdim", False))
    if p != 1:
        return _over_axes(to, sizes, dim, keepdim=keepdim)
    return totals(sizes, *over_axes(x.shape, _axes(x, dim), keeps=keepdim))


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


# --- comparisons, and what is computed from them until it is continuous again


def _compared(sign: float) -> Lower:
    def rule(_: Lowering, x: Expression, options: Options) -> Jump:
        left, right = _pair(x, options["other"])
        return positive(left.plus(right, -1.0).scaled(sign))

    return rule


def _where(to: Lowering, x: Any, options: Options) -> Any:
    return chosen(to, options["condition"], x, _broadcastable(options["other"], options["condition"]))


def _masked(to: Lowering, x: Any, options: Options) -> Any:
    return chosen(to, options["mask"], _broadcastable(options["value"], options["mask"]), x)


def _negation(to: Lowering, x: Any, _: Options) -> Any:
    return computed("sub", to, 1.0, x)


def _computed(kind: str, *, swapped: bool = False) -> Lower:
    def rule(to: Lowering, x: Any, options: Options) -> Any:
        if options.get("alpha", 1) != 1 or options.get("rounding_mode") is not None:
            raise RefusedError("computes with a value that jumps, and has options that are not read")
        other = _broadcastable(options["other"], x)
        return computed(kind, to, other, x) if swapped else computed(kind, to, x, other)

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
    "kthvalue": _Rule(("input", "k", "dim", "keepdim"), _nth),
    "median": _Rule(("input", "dim", "keepdim"), _nth),
    "norm": _Rule(("input", "p", "dim", "keepdim"), _norm),
    "linalg_vector_norm": _Rule(("input", "ord", "dim", "keepdim"), _norm),
    **dict.fromkeys(("gt", "ge", "greater", "greater_equal"), _Rule(("input", "other"), _compared(1.0))),
    **dict.fromkeys(("lt", "le", "less", "less_equal"), _Rule(("input", "other"), _compared(-1.0))),
    **dict.fromkeys(("sign", "sgn"), _Rule(("input",), lambda _, x, __: positive(x, -1.0, 2.0))),
    **{
        f"max_pool{n}d": _Rule(_POOL, _max_pool(n), module)
        for n, module in enumerate((nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d), start=1)
    },
    **{
        f"adaptive_max_pool{n}d": _Rule(("input", "output_size", "return_indices"), _adaptive_max_pool(n), module)
        for n, module in enumerate((nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d), start=1)
    },
}
# Of what reads a value that jumps.
_OF_JUMPS: dict[str, _Rule] = {
    "where": _Rule(("condition", "input", "other"), _where),
    "method where": _Rule(("input", "condition", "other"), _where),
    "masked_fill": _Rule(("input", "mask", "value"), _masked),
    **dict.fromkeys(("mul", "multiply"), _Rule(("input", "other"), _computed("mul"))),
    **dict.fromkeys(("div", "divide", "true_divide", "truediv"), _Rule(("input", "other"), _computed("div"))),
    "add": _Rule(("input", "other"), _computed("add")),
    **dict.fromkeys(("sub", "subtract"), _Rule(("input", "other"), _computed("sub"))),
    "rsub": _Rule(("input", "other"), _computed("sub", swapped=True)),
    **dict.fromkeys(("neg", "negative"), _Rule(("input",), lambda to, x, _: computed("mul", to, x, -1.0))),
    **dict.fromkeys(("logical_not", "bitwise_not", "invert"), _Rule(("input",), _negation)),
    **dict.fromkeys(("to", "type", "type_as", "float", "double", "clone"), _Rule(("input",), lambda _, x, __: x)),
}
_OF_MODULES = {rule.module: name for name, rule in _RULES.items() if rule.module is not None}


def lowers(op: str, target: Any, name: str | None, *, jumping: bool = False) -> str | None:
    """Return the name of the rule for a step, None if there is none; `name` is that of a function or method.

    `jumping` is whether it reads a value that jumps.
    """
    if op == "call_module":
        return None if jumping else _OF_MODULES.get(type(target))
    if (op, name) == ("call_method", "where"):  # the one whose arguments come in another order
        name = "method where"
    return name if name in (_OF_JUMPS if jumping else _RULES) else None


def arguments(rule: str, target: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a step by name, with the options of a module among them."""
    names = {**_RULES, **_OF_JUMPS}[rule].names
    options: dict[str, Any] = {}
    if isinstance(target, nn.Module):
        options = {**vars(target), **target._parameters}
    named = {names[i] if i < len(names) else f"number {i + 1}": value for i, value in enumerate(args)}
    return {**options, **named, **kwargs}


def lowered(to: Lowering, rule: str, options: Mapping[str, Any]) -> Any:
    """Return the expression of a step, a jump, or a tuple of expressions, None where a part is not piecewise linear.

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
    x, rules = options["input"], {**_RULES, **_OF_JUMPS}
    if not isinstance(x, Expression | Jump):
        other = next(value for value in options.values() if isinstance(value, Expression | Jump))
        x = _broadcastable(x, other) if rule in _OF_JUMPS else constant(_like(x, other))
    return rules[rule].lower(to, x, options)


# --- values


def _array(value: Any) -> Any:
    return value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value, dtype=np.float64)


def _broadcastable(value: Any, x: Expression | Jump) -> Any:
    """Return a value that broadcasts to a batch of x as one that broadcasts to x."""
    return value if isinstance(value, Expression | Jump) else _like(value, x)


def _like(value: Any, x: Expression | Jump) -> Any:
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
    return to.maximum_over(x, *over_axes(x.shape, _axes(x, dim), keeps=keepdim))


def _axes(x: Expression, dim: Any) -> list[int]:
    """Return the axes of x that axes of a batch of x are."""
    n_axes = len(x.shape) + 1
    axes = sorted({int(axis) % n_axes for axis in ([dim] if isinstance(dim, int) else dim)})
    if not axes or axes[0] == 0:
        raise RefusedError("takes the maximum over a whole batch; give axes after the first, as in x.amax(dim=1)")
    return [axis - 1 for axis in axes]

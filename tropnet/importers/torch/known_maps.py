"""Affine steps of PyTorch whose matrices are known: layers, convolutions, averages, arithmetic.

`known_map` returns None for all others, and where options are beyond what is known: their own code tells then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from tropnet.importers.common.expression import Expression, combined
from tropnet.operators import adaptive_average_pooling, average_pooling, batch_norm, convolution, linear
from tropnet.operators.operator import Operator, Shape

__all__ = ["known_map", "known_module_map"]


def _numbers(value: Any) -> Any:
    return None if value is None else value.detach().double().numpy()


def _dense(x: Expression, weight: Any, bias: Any) -> Expression:
    matrix, constants = _numbers(weight), _numbers(bias)
    if len(x.shape) == 1:
        return x.mapped(matrix, constants, (len(matrix),))
    return x.through(linear(x.shape, matrix, constants))


def _convolved(x: Expression, module: Any) -> Expression:
    operator = convolution(
        x.shape,
        _numbers(module.weight),
        _numbers(module.bias),
        stride=module.stride,
        padding=module.padding,
        dilation=module.dilation,
        groups=module.groups,
        padding_mode=module.padding_mode,
    )
    return x.through(operator)


def _normalised(x: Expression, module: Any) -> Expression:
    statistics = (_numbers(part) for part in (module.running_mean, module.running_var, module.weight, module.bias))
    return x.through(batch_norm(x.shape, *statistics, eps=module.eps))


def _averaged(x: Expression, module: Any) -> Expression | None:
    if len(x.shape) < 2:
        return None
    options = {"stride": module.stride, "padding": module.padding, "ceil_mode": module.ceil_mode}
    size, divisor = module.kernel_size, getattr(module, "divisor_override", None)
    if divisor is not None:
        return None
    return x.through(average_pooling(x.shape, size, count_include_pad=module.count_include_pad, **options))


def _adaptively_averaged(x: Expression, module: Any) -> Expression:
    return x.through(adaptive_average_pooling(x.shape, module.output_size))


_MODULES: dict[Any, Callable[[Expression, Any], Expression | None]] = {
    nn.Linear: lambda x, module: _dense(x, module.weight, module.bias),
    **dict.fromkeys((nn.Conv1d, nn.Conv2d, nn.Conv3d), _convolved),
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d), _normalised),
    **dict.fromkeys((nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d), _averaged),
    **dict.fromkeys((nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d), _adaptively_averaged),
}


def _linear_function(args: Sequence[Any], named: Mapping[str, Any]) -> Expression | None:
    given = {**dict(zip(("input", "weight", "bias"), args, strict=False)), **named}
    if any(isinstance(given.get(name), Expression) for name in ("weight", "bias")):
        return None
    return _dense(given["input"], given["weight"], given.get("bias"))


def _conv_function(args: Sequence[Any], named: Mapping[str, Any]) -> Expression | None:
    names = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
    given = {**dict(zip(names, args, strict=False)), **named}
    x, weight, bias = given.pop("input"), given.pop("weight"), given.pop("bias", None)
    if not isinstance(x, Expression) or isinstance(weight, Expression) or isinstance(bias, Expression):
        return None
    operator: Operator = convolution(x.shape, _numbers(weight), _numbers(bias), **given)
    return x.through(operator)


_FUNCTIONS: dict[str, Callable[[Sequence[Any], Mapping[str, Any]], Expression | None]] = {
    "linear": _linear_function,
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), _conv_function),
}

_ARITHMETIC = {
    "add": "add",
    "sub": "sub",
    "subtract": "sub",
    "mul": "mul",
    "multiply": "mul",
    "truediv": "div",
    "div": "div",
    "divide": "div",
    "true_divide": "div",
}


def _arithmetic(kind: str, args: Sequence[Any], shape: Shape) -> Expression | None:
    left, right = (_fixed(part, shape) for part in args)
    return combined(kind, left, right, shape[1:])


def _fixed(part: Any, shape: Shape) -> Any:
    """Return a constant as an array that belongs to a single input of a batch; an expression stays one."""
    if isinstance(part, torch.Tensor):
        return np.asarray(torch.broadcast_to(part.detach(), shape).numpy()[0], dtype=np.float64)
    return part


def known_module_map(module: Any, x: Expression) -> Expression | None:
    """Return the image of x under a module of PyTorch."""
    known = _MODULES.get(type(module))
    return None if known is None else known(x, module)


def known_map(name: str | None, args: Sequence[Any], named: Mapping[str, Any], shape: Shape) -> Expression | None:
    """Return what a function or method makes of its arguments, some of them expressions.

    Parameters
    ----------
    name
        As `step_name` gives it.
    args, named
        The arguments; constants are tensors of a batch, or numbers.
    shape
        Of the result, with the batch.
    """
    if name in _ARITHMETIC and len(args) == 2 and not named:
        return _arithmetic(_ARITHMETIC[name], args, shape)
    return _FUNCTIONS[name](args, named) if name in _FUNCTIONS else None

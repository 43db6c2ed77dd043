"""The operations of ONNX that are affine or piecewise linear, and how each is lowered.

A new activation is one entry of `RULES`; what it is made of (slopes, bounds, maxima) are the methods of `Lowering`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from scipy import sparse

from tropnet.arrays.types import FloatArray
from tropnet.importers.common.expression import Expression, Indices, combined, constant
from tropnet.importers.common.lowering import Lowering, RefusedError, over_axes, sliding_windows, windows_of
from tropnet.operators import adaptive_average_pooling, average_pooling, batch_norm, convolution, linear, padding
from tropnet.operators.operator import Shape

__all__ = ["MOVES", "RULES", "Step"]

# Defaults are float32, as all attributes are.
_ALPHA, _BETA, _LEAK, _EPSILON = (float(np.float32(value)) for value in (0.2, 0.5, 0.01, 1e-5))
# Steps that only move entries: where to is asked of their own code.
_MOVES = (
    "Concat Flatten Reshape Transpose Slice Split Pad Squeeze Unsqueeze Identity Dropout Expand Tile Gather"
    " DepthToSpace SpaceToDepth Cast Trilu"
)
MOVES = frozenset(_MOVES.split())


@dataclass(frozen=True)
class Step:
    """A node with at least one input that depends on the model's.

    Attributes
    ----------
    to
        Takes the activations.
    inputs
        Expressions, arrays with the batch (those of constants), or None for what is left out.
    attributes
        By name.
    batch
        How many inputs a batch has.
    n_outputs
        How many outputs are asked for.
    """

    to: Lowering
    inputs: Sequence[Any]
    attributes: Mapping[str, Any]
    batch: int
    n_outputs: int

    @property
    def x(self) -> Expression:
        """The first input, which must depend on the model's."""
        if not isinstance(self.inputs[0], Expression):
            raise RefusedError("takes a constant as its first input, which is not supported")
        return self.inputs[0]

    def fixed(self, place: int, name: str | None = None) -> Any:
        """Return a constant: input `place`, or the attribute that older versions have in its stead; None if neither."""
        value = self.inputs[place] if len(self.inputs) > place else None
        if isinstance(value, Expression):
            raise RefusedError(f"depends on the input of the model through its input {place}, which is not supported")
        return self.attributes.get(name) if value is None and name is not None else value

    def like(self, value: Any, shape: Sequence[int]) -> FloatArray:
        """Return a constant that broadcasts with a batch as one that belongs to a single input."""
        return np.asarray(np.broadcast_to(value, (self.batch, *shape))[0], dtype=np.float64)

    def axes(self, place: int = 1) -> list[int]:
        """Return the axes of a reduction, without the batch."""
        n_axes = len(self.x.shape) + 1
        given = self.fixed(place, "axes")
        axes = sorted({int(axis) % n_axes for axis in (range(n_axes) if given is None else np.ravel(given))})
        if not axes or axes[0] == 0:
            raise RefusedError("reduces the batch, its first axis, which is not supported")
        return [axis - 1 for axis in axes]


def _pair(kind: str) -> Callable[[Step], Expression]:
    def rule(step: Step) -> Expression:
        left, right = step.inputs
        shape = np.broadcast_shapes(*(_batched_shape(part, step) for part in (left, right)))[1:]
        both = [part if isinstance(part, Expression) else step.like(part, shape) for part in (left, right)]
        found = combined(kind, both[0], both[1], shape)
        if found is None:
            raise RefusedError("multiplies values that both depend on the input, or divides by such a value or by zero")
        return found

    return rule


def _batched_shape(part: Any, step: Step) -> tuple[int, ...]:
    return (step.batch, *part.shape) if isinstance(part, Expression) else np.shape(part)


def _many(rule: Callable[[Lowering, Expression, Expression], Expression]) -> Callable[[Step], Expression]:
    def fold(step: Step) -> Expression:
        shape = np.broadcast_shapes(*(_batched_shape(part, step) for part in step.inputs))[1:]
        parts = [
            part.broadcast_to(shape) if isinstance(part, Expression) else constant(step.like(part, shape))
            for part in step.inputs
        ]
        return reduce(lambda left, right: rule(step.to, left, right), parts)

    return fold


def _mean(step: Step) -> Expression:
    return _many(lambda _, left, right: left.plus(right))(step).scaled(1.0 / len(step.inputs))


def _gemm(step: Step) -> Expression:
    weight, bias = step.fixed(1), step.fixed(2)
    if step.attributes.get("transA", 0):
        raise RefusedError("transposes a batch, which is not supported")
    matrix = (weight if step.attributes.get("transB", 0) else weight.T) * step.attributes.get("alpha", 1.0)
    shape = (len(matrix),)
    constants = None if bias is None else step.like(bias, shape) * step.attributes.get("beta", 1.0)
    return step.x.mapped(matrix, constants, shape)


def _matmul(step: Step) -> Expression:
    weight = step.fixed(1)
    if weight.ndim != 2:
        raise RefusedError(f"multiplies by a constant with {weight.ndim} axes, and not 2, which is not supported")
    if len(step.x.shape) == 1:
        return step.x.mapped(np.ascontiguousarray(weight.T), None, (weight.shape[1],))
    return step.x.through(linear(step.x.shape, weight.T))


def _pads(step: Step, sizes: Sequence[int], steps: Sequence[int], gaps: Sequence[int]) -> list[tuple[int, int]]:
    """Return the padding before and after each axis."""
    n_axes, mode = len(sizes), step.attributes.get("auto_pad", b"NOTSET").decode()
    if mode in ("NOTSET", "VALID"):
        pads = step.attributes.get("pads", [0] * 2 * n_axes) if mode == "NOTSET" else [0] * 2 * n_axes
        return list(zip(pads[:n_axes], pads[n_axes:], strict=True))
    found = []
    for length, size, stride, gap in zip(step.x.shape[-n_axes:], sizes, steps, gaps, strict=True):
        whole = max(0, (-(-length // stride) - 1) * stride + gap * (size - 1) + 1 - length)
        less, more = whole // 2, whole - whole // 2
        found.append((less, more) if mode == "SAME_UPPER" else (more, less))
    return found


def _window(step: Step, sizes: Sequence[int]) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    steps = list(step.attributes.get("strides", [1] * len(sizes)))
    gaps = list(step.attributes.get("dilations", [1] * len(sizes)))
    return steps, gaps, _pads(step, sizes, steps, gaps)


def _conv(step: Step) -> Expression:
    weight, bias = step.fixed(1), step.fixed(2)
    steps, gaps, pads = _window(step, weight.shape[2:])
    x = step.x
    if any(before or after for before, after in pads):
        x = x.through(padding(x.shape, pads))
    operator = convolution(x.shape, weight, bias, stride=steps, dilation=gaps, groups=step.attributes.get("group", 1))
    return x.through(operator)


def _batch_norm(step: Step) -> Expression:
    if step.attributes.get("training_mode", 0):
        raise RefusedError(
            "normalises by the statistics of its batch, which is not piecewise linear; export in eval mode"
        )
    scale, bias, mean, variance = (step.fixed(place) for place in range(1, 5))
    eps = step.attributes.get("epsilon", _EPSILON)
    return step.x.through(batch_norm(step.x.shape, mean, variance, scale, bias, eps=eps))


def _max_pool(step: Step) -> Expression:
    if step.n_outputs > 1:
        raise RefusedError("returns the places of its maxima, which are not piecewise linear")
    sizes = step.attributes["kernel_shape"]
    steps, gaps, pads = _window(step, sizes)
    ceil_mode = bool(step.attributes.get("ceil_mode", 0))
    tables = [
        sliding_windows(length, size, stride, pad, gap, ceil_mode=ceil_mode)
        for length, size, stride, pad, gap in zip(step.x.shape[-len(sizes) :], sizes, steps, pads, gaps, strict=True)
    ]
    return step.to.maximum_over(step.x, *windows_of(step.x.shape, tables))


def _average_pool(step: Step) -> Expression:
    sizes = step.attributes["kernel_shape"]
    steps, gaps, pads = _window(step, sizes)
    counted = bool(step.attributes.get("count_include_pad", 0))
    x, even = step.x, all(before == after for before, after in pads)
    if set(gaps) != {1} or (not even and not counted):
        raise RefusedError("has gaps, or padding of two widths that does not count, which is not supported")
    if not even:
        x, pads = x.through(padding(x.shape, pads)), [(0, 0)] * len(sizes)
    operator = average_pooling(
        x.shape,
        sizes,
        stride=steps,
        padding=[before for before, _ in pads],
        ceil_mode=bool(step.attributes.get("ceil_mode", 0)),
        count_include_pad=counted,
    )
    return x.through(operator)


def _clip(step: Step) -> Expression:
    bounds = (step.fixed(1, "min"), step.fixed(2, "max"))
    return step.to.clipped(step.x, *(None if bound is None else float(bound) for bound in bounds))


def _prelu(step: Step) -> Expression:
    return step.to.activation(step.x, negative=step.like(step.fixed(1), step.x.shape))


def _hard_sigmoid(step: Step) -> Expression:
    slope, offset = step.attributes.get("alpha", _ALPHA), step.attributes.get("beta", _BETA)
    return step.to.clipped(step.x.scaled(slope).shifted(offset), 0.0, 1.0)


def _groups(step: Step) -> tuple[Indices, Shape]:
    """Return the places that each output of a reduction reads, and the shape of the outputs."""
    return over_axes(step.x.shape, step.axes(), keeps=bool(step.attributes.get("keepdims", 1)))


def _reduced_maximum(step: Step) -> Expression:
    return step.to.maximum_over(step.x, *_groups(step))


def _reduced_minimum(step: Step) -> Expression:
    return step.to.maximum_over(step.x.scaled(-1.0), *_groups(step)).scaled(-1.0)


def _reduced_sum(step: Step, *, mean: bool = False) -> Expression:
    places, shape = _groups(step)
    pointers = np.arange(len(places) + 1) * places.shape[1]
    values = np.full(places.size, 1.0 / places.shape[1] if mean else 1.0)
    matrix = sparse.csr_array((values, places.ravel(), pointers), shape=(len(places), step.x.size))
    return step.x.mapped(matrix, None, shape)


def _global_maximum(step: Step) -> Expression:
    shape = step.x.shape
    places = np.arange(step.x.size).reshape(shape[0], -1)
    return step.to.maximum_over(step.x, places, (shape[0], *[1] * (len(shape) - 1)))


RULES: dict[str, Callable[[Step], Expression]] = {
    "Add": _pair("add"),
    "Sub": _pair("sub"),
    "Mul": _pair("mul"),
    "Div": _pair("div"),
    "Sum": _many(lambda _, left, right: left.plus(right)),
    "Mean": _mean,
    "Max": _many(Lowering.maximum),
    "Min": _many(Lowering.minimum),
    "Neg": lambda step: step.x.scaled(-1.0),
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Conv": _conv,
    "BatchNormalization": _batch_norm,
    "Relu": lambda step: step.to.activation(step.x),
    "LeakyRelu": lambda step: step.to.activation(step.x, negative=step.attributes.get("alpha", _LEAK)),
    "PRelu": _prelu,
    "Clip": _clip,
    "HardSigmoid": _hard_sigmoid,
    "Abs": lambda step: step.to.activation(step.x, -1.0, 1.0),
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": lambda step: step.x.through(adaptive_average_pooling(step.x.shape, 1)),
    "GlobalMaxPool": _global_maximum,
    "ReduceMax": _reduced_maximum,
    "ReduceMin": _reduced_minimum,
    "ReduceSum": _reduced_sum,
    "ReduceMean": lambda step: _reduced_sum(step, mean=True),
}

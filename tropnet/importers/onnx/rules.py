"""The operations of ONNX that are affine or piecewise linear, and how each is lowered.

A new activation is one entry of `RULES`; what it is made of (slopes, bounds, maxima) are the methods of `Lowering`. An
operation that is linear by its definition is one entry of `MOVES` or `LINEAR`: its own code then tells the map.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np
from scipy import sparse

from tropnet.importers.common.expression import Expression, Indices, constant, gathered_leaves, stacked, totals
from tropnet.importers.common.jumps import Jump, arithmetic, chosen, computed, positive
from tropnet.importers.common.lowering import Lowering, RefusedError, over_axes
from tropnet.importers.onnx.evaluation import along_axis
from tropnet.importers.onnx.recurrent import unrolled
from tropnet.importers.onnx.resizing import resized
from tropnet.importers.onnx.steps import Rule, Step, product, transposed
from tropnet.importers.onnx.windows import (
    average_pool,
    batch_normalised,
    convolved,
    max_pool,
    transposed_convolved,
)
from tropnet.operators.operator import Shape

__all__ = ["INTEGRAL", "JUMPING", "LEARNING_RULES", "RULES", "why_not"]

# Defaults are float32, as all attributes are.
_ALPHA, _BETA, _LEAK, _LAMBDA = (float(np.float32(value)) for value in (0.2, 0.5, 0.01, 0.5))


# --- steps that move entries, or are linear by definition: their own code tells the map


def _terms_only(step: Step, places: tuple[int, ...] | None) -> None:
    """Raise RefusedError if an input depends on the model's in which the step is not linear."""
    for i, part in enumerate(step.inputs):
        if places is not None and i not in places:
            step.fixed(i)
        if isinstance(part, Jump):
            raise RefusedError("moves a value that jumps")


def _moved(places: tuple[int, ...] | None) -> Rule:
    def rule(step: Step) -> list[Any]:
        _terms_only(step, places)
        leaves = [part for part in step.inputs if isinstance(part, Expression)]
        zeros = step.of_variables([np.zeros(leaf.shape) for leaf in leaves])
        full = [i for i, image in enumerate(zeros) if image is not None and np.size(image)]

        def moved(given: list[Any]) -> list[Any]:
            images = step.of_variables([part[0] for part in given])
            return [np.asarray(images[i], dtype=np.float64)[None] for i in full]

        results = gathered_leaves(moved, leaves, 1)
        if results is None:
            raise RefusedError("does more than move entries, which is not supported")
        found: list[Any] = list(zeros)
        for i, result in zip(full, results, strict=True):
            found[i] = result
        return found

    return rule


def _laid_out(step: Step) -> Expression:
    """Return the same entries in another shape."""
    _terms_only(step, (0,))
    return step.x.reshaped(np.shape(step.of_variables([np.zeros(step.x.shape)])[0]))


def _linear(terms: tuple[int, ...] | None) -> Rule:
    """Read a step from its images of the unit vectors.

    It is linear in its inputs `terms` jointly; without them it is linear in each input while the others are constant.
    """

    def rule(step: Step) -> Expression:
        _terms_only(step, terms)
        leaves = [part for part in step.inputs if isinstance(part, Expression)]
        if terms is None and len(leaves) > 1:
            raise RefusedError("multiplies values that both depend on the input")
        zeros = [np.zeros(leaf.shape) for leaf in leaves]
        bias = np.array(step.of_variables(zeros)[0])
        rows, columns, values, column = [], [], [], 0
        for array in zeros:
            for place in np.ndindex(array.shape):
                array[place] = 1.0
                image = np.array(step.of_variables(zeros, zeroed=terms or ())[0]).ravel()  # a copy: it may be a view
                array[place] = 0.0
                at = np.flatnonzero(image)
                rows.append(at)
                columns.append(np.full(len(at), column))
                values.append(image[at])
                column += 1
        places = (np.concatenate(rows), np.concatenate(columns))
        weight = sparse.csr_array((np.concatenate(values), places), shape=(bias.size, column))
        return stacked(leaves).mapped(weight, bias.ravel() if bias.any() else None, bias.shape)

    return rule


def _scattered(step: Step) -> Any:
    kind = step.attributes.get("reduction", b"none").decode()
    if kind not in ("none", "add"):
        raise RefusedError(f"has reduction={kind!r}, which is not read; 'none' and 'add' are")
    return (_moved if kind == "none" else _linear)((0, 2))(step)


def _resized(step: Step) -> Expression:
    # Weights that smooth are asked of the operator itself.
    found: Expression = (_linear((0,)) if step.attributes.get("antialias", 0) else resized)(step)
    return found


# --- arithmetic


def _legacy(step: Step) -> tuple[Any, Any]:
    """Return the two inputs; those that are left out of versions before 7 broadcast along an axis of their own."""
    left, right = step.inputs
    axis = step.attributes.get("axis")
    if axis is not None and not isinstance(right, Expression | Jump):
        right = along_axis(right, len(left.shape), int(axis))
    return left, right


def _pair(kind: str) -> Rule:
    return lambda step: computed(kind, step.to, *_legacy(step))


def _many(rule: Callable[[Lowering, Expression, Expression], Expression]) -> Callable[[Step], Expression]:
    def fold(step: Step) -> Expression:
        shapes = [part.shape if isinstance(part, Expression) else np.shape(part) for part in step.inputs]
        shape = np.broadcast_shapes(*shapes)
        parts = [(part if isinstance(part, Expression) else constant(part)).broadcast_to(shape) for part in step.inputs]
        return reduce(lambda left, right: rule(step.to, left, right), parts)

    return fold


_summed = _many(lambda _, left, right: left.plus(right))


def _gemm(step: Step) -> Expression:
    factors = list(step.inputs[:2])
    for i, name in enumerate(("transA", "transB")):
        if step.attributes.get(name, 0):
            part = factors[i]
            factors[i] = transposed(part, (1, 0)) if isinstance(part, Expression) else np.asarray(part).T
    alpha, beta = step.attributes.get("alpha", 1.0), step.attributes.get("beta", 1.0)
    added = step.inputs[2] if len(step.inputs) > 2 else None
    if not any(isinstance(part, Expression) for part in factors):
        return arithmetic("add", alpha * (factors[0] @ factors[1]), step.inputs[2].scaled(beta))
    if not isinstance(factors[1], Expression):
        factors[1] = factors[1] * alpha
    elif not isinstance(factors[0], Expression):
        factors[0] = factors[0] * alpha
    whole = product(factors[0], factors[1])
    if added is None:
        return whole
    return arithmetic("add", whole, added.scaled(beta) if isinstance(added, Expression) else added * beta)


def _power(step: Step) -> Expression:
    exponent = step.fixed(1)
    if (np.asarray(exponent) != 1).any():
        raise RefusedError("raises to a power, which is not piecewise linear")
    return step.x.broadcast_to(np.broadcast_shapes(step.x.shape, np.shape(exponent)))


# --- activations


def _clip(step: Step) -> Expression:
    bounds = (step.fixed(1, "min"), step.fixed(2, "max"))
    return step.to.clipped(step.x, *(None if bound is None else float(np.ravel(bound)[0]) for bound in bounds))


def _prelu(step: Step) -> Expression:
    slope = np.asarray(step.fixed(1))
    if step.opset < 7 and slope.ndim == 1 and len(step.x.shape) > 1:  # one per channel
        slope = slope.reshape(-1, *[1] * (len(step.x.shape) - 2))
    return step.to.activation(step.x, negative=np.broadcast_to(slope, step.x.shape))


def _hard_sigmoid(step: Step) -> Expression:
    slope, offset = step.attributes.get("alpha", _ALPHA), step.attributes.get("beta", _BETA)
    return step.to.clipped(step.x.scaled(slope).shifted(offset), 0.0, 1.0)


def _thresholded(step: Step) -> Expression:
    if step.attributes.get("alpha", 1.0) != 0:
        raise RefusedError("jumps at its threshold, which is not continuous unless alpha is 0")
    return step.to.activation(step.x)


def _shrunk(step: Step) -> Expression:
    width, bias = step.attributes.get("lambd", _LAMBDA), step.attributes.get("bias", 0.0)
    if bias != width or width < 0:
        raise RefusedError("jumps at its thresholds, which is not continuous unless bias is lambd")
    upper, lower = (step.to.activation(step.x.scaled(sign).shifted(-width)) for sign in (1.0, -1.0))
    return upper.plus(lower, -1.0)


def _dropout(step: Step) -> list[Any]:
    """Return the input, and a mask that keeps everything."""
    if step.opset >= 12 and np.any(step.fixed(2)) and np.any(0.5 if step.fixed(1) is None else step.fixed(1)):
        raise RefusedError("drops at random in training mode; export in eval mode")
    return [step.x, np.ones(step.x.shape, dtype=bool)]


# --- reductions


def _groups(step: Step) -> tuple[Indices, Shape]:
    """Return the places that each output of a reduction reads, and the shape of the outputs."""
    return over_axes(step.x.shape, step.axes(), keeps=bool(step.attributes.get("keepdims", 1)))


def _reduced_maximum(step: Step) -> Expression:
    return step.to.maximum_over(step.x, *_groups(step))


def _reduced_minimum(step: Step) -> Expression:
    return step.to.maximum_over(step.x.scaled(-1.0), *_groups(step)).scaled(-1.0)


def _norm_pooled(step: Step) -> Expression:
    """Return LpPool and GlobalLpPool for p = 1: sums of absolute values, where their own code is linear."""
    if step.attributes.get("p", 2) != 1:
        raise RefusedError("takes powers, which is not piecewise linear unless p is 1")
    x = _absolute(step)
    if "kernel_shape" not in step.attributes:
        return totals(x, *_by_channel(step))
    found: Expression = _linear((0,))(replace(step, inputs=[x]))
    return found


def _absolute(step: Step) -> Expression:
    return step.to.activation(step.x, -1.0, 1.0)


def _by_channel(step: Step) -> tuple[Indices, Shape]:
    return over_axes(step.x.shape, range(2, len(step.x.shape)), keeps=True)


# --- orders


def _largest_few(step: Step) -> list[Any]:
    """Return the values of TopK, sorted; their places are not read."""
    axis = step.attributes.get("axis", -1) % len(step.x.shape)
    n_kept = int(np.ravel(step.fixed(1, "k"))[0])
    return [step.to.ordered(step.x, axis, n_kept, largest=bool(step.attributes.get("largest", 1)))]


def _compared(sign: float) -> Rule:
    return lambda step: positive(arithmetic("sub", *_legacy(step)).scaled(sign))


def _where(step: Step) -> Any:
    where, left, right = step.inputs
    return chosen(step.to, where, left, right) if isinstance(where, Jump) else _moved((1, 2))(step)


def _negation(step: Step) -> Any:
    return computed("sub", step.to, 1.0, step.inputs[0])


# --- pipelines of scikit-learn (ai.onnx.ml)


def _standardised(step: Step) -> Expression:
    offset, scale = (np.asarray(step.attributes[name], dtype=np.float64) for name in ("offset", "scale"))
    return step.x.shifted(-offset).scaled(scale)


def _regressed(step: Step) -> Expression:
    kind = step.attributes.get("post_transform", b"NONE").decode()
    if kind != "NONE":
        raise RefusedError(f"has post_transform={kind!r}, which is not piecewise linear")
    weight = np.reshape(step.attributes["coefficients"], (step.attributes.get("targets", 1), -1))
    image = product(step.x, weight.T)
    intercepts = step.attributes.get("intercepts")
    return image if intercepts is None else image.shifted(np.asarray(intercepts))


def _features(step: Step) -> Expression:
    places = np.arange(step.x.size).reshape(step.x.shape)
    return step.x.gathered(np.atleast_2d(places[..., np.ravel(step.fixed(1)).astype(np.int64)]))


RULES: dict[str, Rule] = {
    # Steps that only move entries: where to is asked of their own code.
    **dict.fromkeys(["Flatten", "Reshape", "Squeeze", "Unsqueeze"], _laid_out),
    "Concat": _moved(None),
    **dict.fromkeys(
        [
            "Transpose",
            "Slice",
            "Split",
            "Expand",
            "Tile",
            "Gather",
            "GatherElements",
            "GatherND",
            "DepthToSpace",
            "SpaceToDepth",
            "Trilu",
            "ReverseSequence",
            "Compress",
            "CenterCropPad",
        ],
        _moved((0,)),
    ),
    "Pad": _moved((0, 2)),
    "Identity": lambda step: step.inputs[0],
    "Dropout": _dropout,
    **dict.fromkeys(("Scatter", "ScatterElements", "ScatterND"), _scattered),
    # Linear by definition, in the inputs named or in each: the images of the unit vectors tell.
    **dict.fromkeys(("CumSum", "Col2Im", "GridSample", "AffineGrid"), _linear((0,))),
    "Einsum": _linear(None),
    "MatMul": lambda step: product(*step.inputs),
    "Gemm": _gemm,
    "Add": _pair("add"),
    "Sub": _pair("sub"),
    "Mul": _pair("mul"),
    "Div": _pair("div"),
    "Pow": _power,
    "Sum": _summed,
    "Mean": lambda step: _summed(step).scaled(1.0 / len(step.inputs)),
    "Max": _many(Lowering.maximum),
    "Min": _many(Lowering.minimum),
    "Neg": lambda step: step.x.scaled(-1.0),
    "Conv": convolved,
    "ConvTranspose": transposed_convolved,
    "BatchNormalization": batch_normalised,
    **dict.fromkeys(("Resize", "Upsample"), _resized),
    "Relu": lambda step: step.to.activation(step.x),
    "LeakyRelu": lambda step: step.to.activation(step.x, negative=step.attributes.get("alpha", _LEAK)),
    "PRelu": _prelu,
    "Clip": _clip,
    "HardSigmoid": _hard_sigmoid,
    "ThresholdedRelu": _thresholded,
    "Shrink": _shrunk,
    "Abs": _absolute,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "GlobalAveragePool": lambda step: totals(step.x, *_by_channel(step), mean=True),
    "GlobalMaxPool": lambda step: step.to.maximum_over(step.x, *_by_channel(step)),
    **dict.fromkeys(("LpPool", "GlobalLpPool"), _norm_pooled),
    "ReduceMax": _reduced_maximum,
    "ReduceMin": _reduced_minimum,
    "ReduceSum": lambda step: totals(step.x, *_groups(step)),
    "ReduceMean": lambda step: totals(step.x, *_groups(step), mean=True),
    "ReduceL1": lambda step: totals(_absolute(step), *_groups(step)),
    "TopK": _largest_few,
    "RNN": unrolled,
    **dict.fromkeys(("Greater", "GreaterOrEqual"), _compared(1.0)),
    **dict.fromkeys(("Less", "LessOrEqual"), _compared(-1.0)),
    "Where": _where,
    "Not": _negation,
    "Sign": lambda step: positive(step.x, -1.0, 2.0),
}
LEARNING_RULES: dict[str, Rule] = {
    "Scaler": _standardised,
    "LinearRegressor": _regressed,
    "ArrayFeatureExtractor": _features,
}
# Rules that take values that jump.
JUMPING = frozenset({"Where", "Not", "Add", "Sub", "Mul", "Div", "Identity"})
# Those that compute with integers as with other numbers.
INTEGRAL = frozenset(
    [
        "Flatten",
        "Reshape",
        "Squeeze",
        "Unsqueeze",
        "Concat",
        "Transpose",
        "Slice",
        "Split",
        "Expand",
        "Tile",
        "Gather",
        "GatherElements",
        "GatherND",
        "DepthToSpace",
        "SpaceToDepth",
        "Pad",
        "Identity",
    ]
)

_CURVED = "is not piecewise linear"
_JUMPS = "jumps, which is not piecewise linear"
_STATISTICS = "divides by statistics of its input, which is not piecewise linear"
_PLACES = "gives places of entries, which jump"
_REASONS: Mapping[str, str] = {
    **dict.fromkeys(
        ["Floor", "Ceil", "Round", "Mod", "Equal", "And", "Or", "Xor", "OneHot", "Unique", "NonZero"], _JUMPS
    ),
    **dict.fromkeys(("ArgMax", "ArgMin", "Hardmax"), _PLACES),
    **dict.fromkeys(
        [
            "LRN",
            "InstanceNormalization",
            "LayerNormalization",
            "GroupNormalization",
            "RMSNormalization",
            "LpNormalization",
            "MeanVarianceNormalization",
        ],
        _STATISTICS,
    ),
    **dict.fromkeys(
        ("QuantizeLinear", "DynamicQuantizeLinear"), "rounds, so that it jumps; export without quantised activations"
    ),
    **dict.fromkeys(("Loop", "Scan", "SequenceMap"), "repeats other nodes, which is not supported; export it unrolled"),
}


def why_not(op_type: str) -> str:
    """Return why a node that has no rule is refused, after its name."""
    return _REASONS.get(op_type, f"{_CURVED}, or not known to be")

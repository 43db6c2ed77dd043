"""Which operations of PyTorch are affine, in which of their arguments, and why others are not."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

__all__ = ["CONSTANT", "Kind", "Reason", "changes_in_place", "step_name", "why_not_affine"]


class Kind(Enum):
    """What is the matter with a step that is not affine."""

    CONSTANT = "reads the shape or type of a tensor, not its values"
    PIECEWISE = "is piecewise linear"
    COMPARES = "orders or compares values"
    OTHER = "anything else"


class Reason(NamedTuple):
    """Why a step is not affine: a text that follows the name of the step, and of what kind it is.

    In the text ``{wanted}`` stands for what the step would have to be.
    """

    text: str
    kind: Kind = Kind.OTHER


# No reason against a step, but its result does not depend on the input.
CONSTANT = Reason("reads no values", Kind.CONSTANT)

_PIECEWISE = Reason("is piecewise linear, not {wanted}", Kind.PIECEWISE)
_SLOPE = Reason("is piecewise linear, not {wanted} unless its slope is 1", Kind.PIECEWISE)
_COMPARES = Reason("compares values (a maximum, an order), which is not {wanted}", Kind.COMPARES)
_CURVED = Reason("is not {wanted}")
_LEAVE_OFF = (
    "; as the last step leave it off, as from_torch does with output='logits': the largest output, or the sign of a"
    " single one, tells the class"
)
_LAST = Reason(f"is not {{wanted}}{_LEAVE_OFF}")
_ARGMAX = Reason(f"compares values, which is not {{wanted}}{_LEAVE_OFF}")
_NORMALISES = Reason("divides by statistics of its input, which is not {wanted}")
_BATCH = Reason("normalises by the statistics of its batch, which is not {wanted}; call module.eval() first")
_NO_STATISTICS = Reason("has no stored statistics and normalises by those of its batch, which is not {wanted}")
_RANDOM = Reason("acts at random in training mode; call module.eval() first")
_UNKNOWN = Reason("is not known to be {wanted}")
_DETACHES = Reason("cuts the derivative, from which the linear part is read; remove it")
_WRITES = Reason("writes into a tensor that does not depend on the input, which changes it for the next call")

Values = Mapping[str, Any]
Condition = Callable[[Mapping[str, Any]], Reason | None]


def _words(text: str) -> list[str]:
    return text.split()


@dataclass(frozen=True)
class _Step:
    """An operation that is affine in its terms jointly, and in any one of its factors while the others are constant.

    `names` are its parameters in order; `condition` gives the reason, if any, why its other arguments spoil that.
    """

    names: tuple[str, ...]
    terms: frozenset[str]
    factors: frozenset[str] = frozenset()
    condition: Condition = lambda _: None

    def why_not(self, values: Values, dependent: frozenset[str]) -> Reason | None:
        """Return why it is not affine in the arguments that depend on the input, or None if it is."""
        if len(dependent & self.factors) > 1:
            both = " and ".join(sorted(dependent & self.factors))
            return Reason(f"multiplies values that both depend on the input ({both})")
        other = dependent - self.factors - self.terms
        if other:
            return Reason(f"depends on the input through its argument '{min(other)}', which is not {{wanted}}")
        return self.condition(values)

    def bound(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return arguments by name; those beyond the known ones are called by their number."""
        named = {(self.names[i] if i < len(self.names) else f"number {i + 1}"): value for i, value in enumerate(args)}
        return {**named, **kwargs}


def _terms(*names: str, also: tuple[str, ...] = (), condition: Condition = lambda _: None) -> _Step:
    return _Step((*names, *also), frozenset(names), condition=condition)


def _product(*factors: str, first: tuple[str, ...] = (), last: tuple[str, ...] = ()) -> _Step:
    return _Step((*first, *factors, *last), frozenset(first + last), frozenset(factors))


# --- conditions


def _no_rounding(values: Values) -> Reason | None:
    return _PIECEWISE if values.get("rounding_mode") is not None else None


def _slope_one(values: Values) -> Reason | None:
    slope = values.get("negative_slope", values.get("weight", 0.01))
    return None if bool((torch.as_tensor(slope) == 1).all()) else _SLOPE


def _switched_off(values: Values) -> Reason | None:
    return _RANDOM if values.get("training", True) and values.get("p", 0.5) > 0 else None


def _stored_statistics(values: Values) -> Reason | None:
    if values.get("training", False):
        return _BATCH
    return None if values.get("running_mean") is not None else _NO_STATISTICS


def _instance_statistics(values: Values) -> Reason | None:
    return _NORMALISES if values.get("use_input_stats", True) or values.get("running_mean") is None else None


# --- functions and methods, by name; an in-place form has the name of the other one

_INPUT = _terms("input")
_NORM_NAMES = ("running_mean", "running_var", "weight", "bias")

_STEPS: dict[str, _Step] = {
    **dict.fromkeys(
        _words(
            "view reshape flatten unflatten ravel permute transpose swapaxes swapdims movedim moveaxis t squeeze"
            " unsqueeze expand repeat repeat_interleave tile roll flip fliplr flipud rot90 narrow select"
            " index_select gather chunk split tensor_split unbind contiguous clone getitem diagonal tril triu neg"
            " negative positive pos mean sum cumsum diff trace masked_fill pad pixel_shuffle pixel_unshuffle"
            " channel_shuffle unfold fold avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d"
            " adaptive_avg_pool3d interpolate upsample upsample_nearest upsample_bilinear"
            " cpu type double float half bfloat16"
            # As an exported program names them.
            " slice constant_pad_nd upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_linear1d"
            " upsample_bilinear2d upsample_trilinear3d upsample_bicubic2d reflection_pad1d reflection_pad2d"
            " reflection_pad3d replication_pad1d replication_pad2d replication_pad3d alias lift_fresh_copy"
            " split_with_sizes unsafe_chunk unsafe_split unsafe_split_with_sizes"
        ),
        _INPUT,
    ),
    # Of the second tensor only the shape or the type counts.
    **dict.fromkeys(("expand_as", "view_as", "reshape_as", "to", "type_as"), _terms("input", "other")),
    **dict.fromkeys(("add", "sub", "subtract", "rsub"), _terms("input", "other", also=("alpha",))),
    **dict.fromkeys(
        ("cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack", "column_stack"), _terms("tensors")
    ),
    "index_add": _Step(("input", "dim", "index", "source"), frozenset({"input", "source"})),
    "lerp": _terms("input", "end", also=("weight",)),
    "where": _Step(("condition", "input", "other"), frozenset({"input", "other"})),
    "method where": _Step(("input", "condition", "other"), frozenset({"input", "other"})),
    **dict.fromkeys(("mul", "multiply", "matmul", "dot", "inner", "kron", "tensordot"), _product("input", "other")),
    **dict.fromkeys(("mm", "bmm"), _product("input", "mat2")),
    "mv": _product("input", "vec"),
    "outer": _product("input", "vec2"),
    "linear": _product("input", "weight", last=("bias",)),
    **dict.fromkeys(
        [f"conv{kind}{n}d" for kind in ("", "_transpose") for n in (1, 2, 3)],
        _product("input", "weight", last=("bias",)),
    ),
    "bilinear": _product("input1", "input2", "weight", last=("bias",)),
    "addmm": _product("mat1", "mat2", first=("input",)),
    "baddbmm": _product("batch1", "batch2", first=("input",)),
    "addmv": _product("mat", "vec", first=("input",)),
    "addcmul": _product("tensor1", "tensor2", first=("input",)),
    "einsum": _Step(
        ("equation", "operand 1", "operand 2", "operand 3"),
        frozenset(),
        frozenset({"operand 1", "operand 2", "operand 3"}),
    ),
    **dict.fromkeys(
        ("div", "divide", "true_divide", "truediv"), _terms("input", also=("other",), condition=_no_rounding)
    ),
    "leaky_relu": _terms("input", also=("negative_slope",), condition=_slope_one),
    "prelu": _terms("input", also=("weight",), condition=_slope_one),
    **dict.fromkeys(
        ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"),
        _terms("input", also=("p", "training"), condition=_switched_off),
    ),
    "batch_norm": _terms("input", also=(*_NORM_NAMES, "training"), condition=_stored_statistics),
    "instance_norm": _terms("input", also=(*_NORM_NAMES, "use_input_stats"), condition=_instance_statistics),
}

_OPERATORS = {"iadd": "add", "isub": "sub", "imul": "mul", "itruediv": "truediv", "imatmul": "matmul"}

_SHAPES = frozenset(
    _words(
        "size dim ndimension numel nelement stride is_floating_point is_contiguous get_device element_size"
        " len sym_size zeros_like ones_like full_like new_zeros new_ones new_full"
    )
)
_SHAPE_ATTRIBUTES = frozenset(_words("shape ndim dtype device layout requires_grad is_cuda names"))

_REASONS = {
    **dict.fromkeys(
        _words(
            "relu relu6 leaky_relu prelu rrelu hardtanh hardsigmoid hardswish threshold hardshrink softshrink"
            " clamp clip clamp_min clamp_max abs absolute sign round floor ceil trunc fmod remainder"
            " floor_divide floordiv"
        ),
        _PIECEWISE,
    ),
    **dict.fromkeys(
        _words(
            "max min maximum minimum amax amin aminmax topk sort argsort argmax argmin median kthvalue gt lt ge"
            " le eq ne max_pool1d max_pool2d max_pool3d adaptive_max_pool1d adaptive_max_pool2d"
            " adaptive_max_pool3d fractional_max_pool2d fractional_max_pool3d"
        ),
        _COMPARES,
    ),
    **dict.fromkeys(
        _words(
            "sigmoid tanh softmax log_softmax softmin gumbel_softmax gelu silu mish elu selu celu glu logsigmoid"
            " softplus softsign tanhshrink exp log sqrt rsqrt pow square reciprocal sin cos var std norm prod"
            " linalg_vector_norm logsumexp lp_pool1d lp_pool2d scaled_dot_product_attention cdist"
        ),
        _CURVED,
    ),
    **dict.fromkeys(_words("softmax softmax2d softmin log_softmax logsoftmax sigmoid logsigmoid"), _LAST),
    "argmax": _ARGMAX,
    **dict.fromkeys(
        ["layer_norm", "group_norm", "local_response_norm", "normalize", "rms_norm", "cosine_similarity"], _NORMALISES
    ),
    **dict.fromkeys(("detach", "data"), _DETACHES),
}

# --- modules; the conditions read the module's options

_AFFINE_MODULES = frozenset(
    getattr(nn, name)
    for name in _words(
        "Linear Identity Flatten Unflatten Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d"
        " ConvTranspose3d AvgPool1d AvgPool2d AvgPool3d AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d"
        " Upsample UpsamplingNearest2d UpsamplingBilinear2d ZeroPad1d ZeroPad2d ZeroPad3d ConstantPad1d"
        " ConstantPad2d ConstantPad3d ReflectionPad1d ReflectionPad2d ReflectionPad3d ReplicationPad1d"
        " ReplicationPad2d ReplicationPad3d CircularPad1d CircularPad2d CircularPad3d PixelShuffle"
        " PixelUnshuffle ChannelShuffle Fold Unfold"
    )
)
_CONDITIONS: dict[type, Condition] = {
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm), _stored_statistics),
    **dict.fromkeys(
        (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout), _switched_off
    ),
    nn.LeakyReLU: _slope_one,
    nn.PReLU: _slope_one,
    **dict.fromkeys((nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d), _instance_statistics),
}
_MODULE_REASONS = (
    (nn.modules.activation, _CURVED),
    (nn.modules.pooling, _COMPARES),
    (nn.modules.normalization, _NORMALISES),
    (nn.modules.rnn, _CURVED),
)


def _why_not_module(module: Any) -> Reason | None:
    kind = type(module)
    if kind in _AFFINE_MODULES:
        return None
    if kind in _CONDITIONS:
        options = {"p": 0.0, **vars(module), **module._parameters, **module._buffers}
        return _CONDITIONS[kind]({**options, "use_input_stats": module.training})
    if kind.__name__.lower() in _REASONS:
        return _REASONS[kind.__name__.lower()]
    return next((reason for home, reason in _MODULE_REASONS if kind.__module__ == home.__name__), _UNKNOWN)


# --- the verdict on a step


def _known_name(target: Any) -> str | None:
    """Return the name of one of PyTorch's or Python's own functions, None for any other."""
    if isinstance(target, torch._ops.OpOverload):
        home, _, operation = str(target._schema.name).partition("::")
        return operation if home == "aten" else None
    name: str = getattr(target, "__name__", "")
    homes = (torch, functional, operator, torch._C._nn, torch._C._linalg, torch.Tensor)
    if target in (getattr, len) or any(getattr(home, name, None) is target for home in homes):
        return name
    return None


def _names(op: str, target: Any, args: tuple[Any, ...]) -> tuple[str | None, bool]:
    """Return the name of a function or method in its form that is not in place, and whether it is in place."""
    name = target if op == "call_method" else _known_name(target)
    if name == "getattr":
        name = f".{args[1]}"
    if name is None:
        return None, False
    if name.endswith("_") and not name.endswith("__"):
        return name[:-1], True
    return _OPERATORS.get(name, name), name in _OPERATORS


# What parameters of an operator of ATen, as in an exported program, are called by the function.
_RENAMED = {"self": "input", "train": "training"}


def _by_name(target: Any, args: tuple[Any, ...], kwargs: Values) -> tuple[tuple[Any, ...], Values]:
    """Return the arguments of an operator of ATen by name, as its order need not be that of the function."""
    if not isinstance(target, torch._ops.OpOverload):
        return args, kwargs
    parameters = target._schema.arguments
    given = {**{parameter.name: value for parameter, value in zip(parameters, args, strict=False)}, **kwargs}
    named = {parameter.name: given.get(parameter.name, parameter.default_value) for parameter in parameters}
    return (), {_RENAMED.get(name, name): value for name, value in named.items()}


def step_name(op: str, target: Any, args: tuple[Any, ...]) -> str | None:
    """Return the name of a function, method or attribute (with its dot); None for modules and unknown functions."""
    return None if op == "call_module" else _names(op, target, args)[0]


def changes_in_place(op: str, target: Any, args: tuple[Any, ...]) -> bool:
    """Return whether a step writes into its first argument, a tensor."""
    if op not in ("call_function", "call_method") or not args or not isinstance(args[0], torch.Tensor):
        return False
    name, in_place = _names(op, target, args)
    return in_place or name in ("setitem", "__setitem__")


def why_not_affine(
    op: str,
    target: Any,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    depends: Callable[[Any], bool],
    nodes: tuple[tuple[Any, ...], Mapping[str, Any]],
) -> Reason | None:
    """Return why a step is not affine in the network's input; None if it is, `CONSTANT` if it reads no values.

    Parameters
    ----------
    op, target
        As in torch.fx: "call_function" and the function, "call_method" and its name, "call_module" and the module.
    args, kwargs
        The values of its arguments.
    depends
        Whether an argument as it stands in the graph depends on the network's input.
    nodes
        The arguments as they stand in the graph.
    """
    if op == "call_module":
        return _why_not_module(target)
    name, in_place = _names(op, target, args)
    if name is None:
        return _UNKNOWN
    if name in _SHAPES or (name[0] == "." and name[1:] in _SHAPE_ATTRIBUTES):
        # The values of the others may be read, as in full_like(x, value).
        return _UNKNOWN if any(map(depends, (*nodes[0][1:], *nodes[1].values()))) else CONSTANT
    if name[0] == ".":
        name = {"T": "t", "mT": "t"}.get(name[1:], name[1:])
        args, nodes = args[:1], (nodes[0][:1], {})
    if (op, name) == ("call_method", "where"):  # the one whose arguments come in another order
        name = "method where"
    first = nodes[0][:1]
    args, kwargs = _by_name(target, args, kwargs)
    nodes = _by_name(target, *nodes)
    step = _STEPS.get(name)
    if step is None or kwargs.get("out") is not None:
        return _REASONS.get(name, _UNKNOWN)
    graph_arguments = step.bound(*nodes)
    dependent = frozenset(key for key, value in graph_arguments.items() if depends(value))
    if in_place and first and not depends(first[0]):
        return _WRITES
    return step.why_not(step.bound(args, kwargs), dependent)

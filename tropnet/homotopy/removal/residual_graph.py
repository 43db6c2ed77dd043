"""Reading a module as affine maps between its ReLU, each of any values before it, however its skips are written."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import fx, nn

from tropnet.errors import SkipError, UnsupportedModuleError
from tropnet.homotopy.removal.affine_values import ARITHMETIC, Affine, Atom, ResidualGraph, composed
from tropnet.homotopy.removal.calls import Call
from tropnet.homotopy.removal.channel_maps import ChannelMap
from tropnet.homotopy.removal.pixel_axes import PixelAxes

__all__ = ["read"]

_CONVOLUTIONS = {nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3}
# Those of one axis take (n, features) for one line of n channels, so they tell nothing.
_LINE_POOLS = (nn.MaxPool1d, nn.AvgPool1d, nn.AdaptiveAvgPool1d, nn.AdaptiveMaxPool1d)
_POOLS = {
    **dict.fromkeys((nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d), 2),
    **dict.fromkeys((nn.MaxPool3d, nn.AvgPool3d, nn.AdaptiveAvgPool3d, nn.AdaptiveMaxPool3d), 3),
}
# That of one axis takes features too, without pixels.
_NORMS = {nn.BatchNorm1d: 0, nn.BatchNorm2d: 2, nn.BatchNorm3d: 3}
_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
# Of values that are not negative they give values that are not.
_KEEP_SIGN = (*_POOLS, *_LINE_POOLS, nn.Flatten)
# Functions of which the batch stays the first axis.
_BATCHED = frozenset(
    (
        "leaky_relu", "prelu", "relu6", "hardtanh", "dropout", "dropout2d", "max_pool1d", "max_pool2d", "max_pool3d",
        "avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d",
        "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d", "interpolate",
    )
)  # fmt: skip
_OTHER_NAMES = {"iadd": "add", "isub": "sub", "imul": "mul", "itruediv": "div", "truediv": "div"}


def read(module: Any) -> ResidualGraph:
    """Read a module, on the CPU and in float64, into atoms and affine maps of them; it is put into eval mode.

    Raises
    ------
    SkipError
        It adds no two values, so that it has no skip.
    UnsupportedModuleError
        It cannot be traced, or holds a step that is neither affine nor a function of one value; it is named.
    """
    for name, part in module.named_modules():
        _refuse(part, name)
    try:
        traced = fx.symbolic_trace(module.eval())
    except Exception as error:  # tracing runs the module's code on symbols, which can raise anything
        raise UnsupportedModuleError(
            f"the module must be one that torch.fx can trace, which says: {str(error).rstrip('.')}. Write its forward"
            " for one tensor, without decisions by data or shapes."
        ) from error
    reading = _Reading(traced, type(module).__name__)
    graph = reading.run()
    opaque, split = reading.norms_of_unknown_axes(), graph.leapt_over()
    return _Reading(traced, type(module).__name__, opaque, split).run() if opaque or split else graph


def _refuse(part: Any, name: str) -> None:
    """Refuse a module that does another thing in training, or more than its forward says."""
    where = _described(part, name)
    if part.training and isinstance(part, (*_NORMS, *_DROPOUTS)):
        raise UnsupportedModuleError(f"{where} is in training mode. Call module.eval() first.")
    if part._forward_hooks or part._forward_pre_hooks:
        raise UnsupportedModuleError(f"{where} has forward hooks, which may change its values. Remove the hooks.")


def _described(part: Any, name: str) -> str:
    return f"{name or 'the module itself'} ({type(part).__name__})"


class _Reading:
    """Runs a graph on affine values.

    Attributes
    ----------
    opaque
        Norms to take for modules that are not understood.
    split
        Activations of two slopes to take for the difference of two ReLU, by their names.
    axes
        Axes of pixels of the atoms.
    norms
        Pairs (atom, norm of one axis that was read as a map of it).
    """

    def __init__(self, traced: Any, kind: str, opaque: Sequence[Any] = (), split: frozenset[str] = frozenset()) -> None:
        self.traced = traced
        self.kind = kind
        self.opaque = {id(norm) for norm in opaque}
        self.split = split
        self.atoms = [Atom(Affine(()))]
        self.axes = PixelAxes()
        self.axes.add()
        self.norms: list[tuple[int, Any]] = []
        # Atoms of which a map of each channel among features is read.
        self.features: list[int] = []
        # Atoms whose first axis is the batch.
        self.batched = {0}
        self.values: dict[Any, Any] = {}
        self.adds = False

    def run(self) -> ResidualGraph:
        nodes = list(self.traced.graph.nodes)
        inputs = [node for node in nodes if node.op == "placeholder"]
        if len(inputs) != 1:
            raise UnsupportedModuleError(f"the module must take one tensor, got a forward of {len(inputs)}.")
        for node in nodes[:-1]:
            value = self._value(node)
            # What several steps read is computed once, or one of them would do without what another needs of it.
            shared = isinstance(value, Affine) and len(node.users) > 1
            self.values[node] = self._atom(value, f"'{node.name}'") if shared else value
        output = self._argument(nodes[-1].args[0])
        if not isinstance(output, Affine):
            raise UnsupportedModuleError("the module must give one tensor that depends on its input.")
        if not self.adds:
            raise SkipError(
                f"the module must hold a skip to carry, but {self.kind} adds no two values. Nothing has to be removed."
            )
        atoms = [replace(atom, dims=self.axes.of(number)) for number, atom in enumerate(self.atoms)]
        unknown = [self.atoms[atom].name for atom in self.features if self.axes.of(atom) is None]
        if unknown:
            raise UnsupportedModuleError(
                f"{unknown[0]} has a slope for each channel, but no layer tells whether features or pixels come here."
                " nn.Flatten() before it would."
            )
        by_channel = [*self.features, *(atom for atom, _ in self.norms)]
        flat = {self.axes.groups[a] for a in by_channel if self.axes.of(a) == 0 and not self.axes.is_flat(a)}
        return ResidualGraph(atoms, output, frozenset(flat))

    def norms_of_unknown_axes(self) -> list[Any]:
        """Return the norms of one axis of which no layer tells whether they stand among features or a line."""
        return [norm for atom, norm in self.norms if self.axes.of(atom) not in (0, 1)]

    def _argument(self, argument: Any) -> Any:
        return fx.node.map_arg(argument, lambda node: self.values[node])

    def _value(self, node: Any) -> Any:
        if node.op == "placeholder":
            return Affine(((0, 1.0),))
        if node.op == "get_attr":
            value = self.traced
            for part in node.target.split("."):
                value = getattr(value, part)
            return value
        args, kwargs = self._argument(node.args), self._argument(node.kwargs)
        size = _size_of(node, args, kwargs)
        if size is not None:
            return size
        reads = sum(isinstance(self.values[source], Affine) for source in node.all_input_nodes)
        if node.op == "call_module":
            called = self.traced.get_submodule(node.target)
            if (reads, len(args), len(kwargs)) != (1, 1, 0):
                raise UnsupportedModuleError(f"{_described(called, node.target)} must be called with one tensor.")
            self._refuse_overwriting(node, bool(getattr(called, "inplace", False)))
            return self._module(called, args[0], _described(called, node.target))
        if node.target not in ("view", "reshape", torch.reshape) and _holds((args, kwargs), _Size):
            raise UnsupportedModuleError(
                f"'{node.name}' in the forward of {self._owner(node)} computes with the sizes of a value. Write them as"
                " numbers, or use torch.flatten(x, 1)."
            )
        if not reads:
            call = getattr(args[0], node.target) if node.op == "call_method" else node.target
            return call(*args[1:] if node.op == "call_method" else args, **kwargs)
        return self._call(node, args, kwargs)

    def _call(self, node: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return what a function or method makes of values, at least one of them affine."""
        name = node.target if node.op == "call_method" else getattr(node.target, "__name__", str(node.target))
        in_place = (name.endswith("_") and not name.endswith("__")) or name in ("iadd", "isub", "imul", "itruediv")
        self._refuse_overwriting(node, in_place or bool(kwargs.get("inplace")))
        name = _OTHER_NAMES.get(name.rstrip("_"), name.rstrip("_"))
        where = f"'{name}' in the forward of {self._owner(node)}"
        if not args and "input" in kwargs:
            args, kwargs = (kwargs["input"],), {key: value for key, value in kwargs.items() if key != "input"}
        if name in ARITHMETIC and not kwargs and len(args) == 2:
            result = ARITHMETIC[name](*args)
            if result is not None:
                if all(isinstance(value, Affine) for value in args):
                    self.adds = True
                    self._join(*args, where)
                return result
        if name == "neg" and len(args) == 1:
            return args[0].scaled(-1.0)
        if name == "relu" and args:
            return self._relu(args[0], where)
        slope = _slope(name, args, kwargs)
        if slope is not None and where in self.split:
            return self._two_slopes(args[0], slope, where)
        if name in ("view", "reshape"):
            args = args[0], *(args[1] if len(args) == 2 and isinstance(args[1], tuple | list) else args[1:])
            if len(args) > 2 and self._is_batch(args[1], args[0]):
                if len(args) == 3 and isinstance(args[2], int):
                    return self._made(nn.Flatten(), args[0], where)
                if -1 not in args:
                    args = args[0], -1, *args[2:]
        if name == "flatten" and (args[1:], kwargs) in (((1,), {}), ((), {"start_dim": 1})):
            return self._made(nn.Flatten(), args[0], where)
        if args and isinstance(args[0], Affine) and not _holds((args[1:], kwargs), Affine | _Size):
            return self._made(Call(node.op, node.target, args[1:], kwargs), args[0], where)
        raise UnsupportedModuleError(
            f"{where} must be a sum, a product with a number, or a function of one value, to carry skips past it."
        )

    def _owner(self, node: Any) -> str:
        stack = list((node.meta.get("nn_module_stack") or {}).values())
        name, kind = stack[-1] if stack else ("", None)
        return f"{name or 'the module itself'} ({getattr(kind, '__name__', self.kind)})"

    def _refuse_overwriting(self, node: Any, in_place: bool) -> None:
        first = node.args[0] if in_place and node.args else None
        while isinstance(first, fx.Node):
            if len(first.users) > 1:
                raise UnsupportedModuleError(
                    f"'{node.name}' in the forward of {self._owner(node)} overwrites a value that is read again. Write"
                    " it without inplace=True."
                )
            # What these give is their argument itself.
            same = first.op == "call_module" and isinstance(
                self.traced.get_submodule(first.target), (nn.Identity, *_DROPOUTS)
            )
            first = first.args[0] if same else None

    def _module(self, module: Any, value: Affine, name: str) -> Affine:
        kind = type(module)
        if kind is nn.Identity or kind in _DROPOUTS:
            return value
        if kind is nn.ReLU:
            return self._relu(value, name)
        if kind in (nn.PReLU, nn.LeakyReLU) and name in self.split:
            return self._two_slopes(value, module.weight if kind is nn.PReLU else module.negative_slope, name)
        dims = self._dims(value)
        if kind in _NORMS and module.running_mean is not None and id(module) not in self.opaque:
            if kind is nn.BatchNorm1d:
                self.norms += [(atom, module) for atom, _ in value.terms]
                return self._normalised(module, value, name)
            if self._learned(value, _NORMS[kind]):
                return self._normalised(module, value, name)
        if kind in _CONVOLUTIONS and _is_plain(module) and self._learned(value, _CONVOLUTIONS[kind]):
            return self._mapped(_convolution(module, name), module.bias, value)
        # Of images a linear layer takes the columns for its features.
        if kind is nn.Linear and not dims and self._learned(value, 0):
            return self._mapped(ChannelMap(module.weight.detach(), name=name), module.bias, value)
        return self._made(module, value, name)

    def _learned(self, value: Affine, dims: int) -> bool:
        """Return whether a value has so many axes of pixels, which is learned if nothing was known of it."""
        if self._dims(value) not in (None, dims):
            return False
        for atom, _ in value.terms:
            self.axes.learn(atom, dims)
        return True

    def _join(self, left: Affine, right: Affine, where: str) -> None:
        atoms = [atom for value in (left, right) for atom, _ in value.terms]
        if not all(self.axes.join(atoms[0], atom) for atom in atoms[1:]):
            raise UnsupportedModuleError(
                f"{where} must add up values of equally many axes of pixels, got"
                f" {self._dims(left)} and {self._dims(right)} (a linear layer takes the last axis for features)."
            )

    def _mapped(self, outer: ChannelMap, bias: Any, value: Affine) -> Affine:
        """Return a map of an affine value, through an atom if the two are not one map."""
        image = composed(outer, value)
        if image is None:
            image = composed(outer, self._atom(value, outer.name))
        if image is None:
            raise UnsupportedModuleError(f"{outer.name} must be a convolution of its input.")
        return image if bias is None else image.plus(Affine((), bias.detach()))

    def _normalised(self, norm: Any, value: Affine, name: str) -> Affine:
        scale = 1 / torch.sqrt(norm.running_var + norm.eps)
        shift = -norm.running_mean * scale
        if norm.affine:
            scale, shift = scale * norm.weight.detach(), shift * norm.weight.detach() + norm.bias.detach()
        eye = ChannelMap(torch.diag(scale), name=name).lifted(_NORMS[type(norm)])
        terms = tuple((atom, eye.scaled(m) if isinstance(m, float) else m.scaled(scale)) for atom, m in value.terms)
        return Affine(terms, shift if value.bias is None else value.bias * scale + shift)

    def _relu(self, value: Affine, name: str) -> Affine:
        atom = value.atom
        if atom is not None and self.atoms[atom].is_nonnegative:
            return value
        return self._new(Atom(value, relu=True, is_nonnegative=True, name=name), like=value)

    def _two_slopes(self, value: Affine, slope: Any, name: str) -> Affine:
        """Return ``relu(z) - slope relu(-z)``, with one slope for all or one for each channel."""
        slopes = torch.as_tensor(slope, dtype=torch.float64).detach().reshape(-1)
        if value.atom is not None and self.atoms[value.atom].is_nonnegative:
            return value
        above, below = self._relu(value, name), self._relu(value.scaled(-1.0), name)
        if len(slopes) == 1:
            return above.plus(below.scaled(-float(slopes)))
        self.features += [atom for part in (above, below) for atom, _ in part.terms]
        return above.plus(Affine(((below.terms[0][0], ChannelMap(torch.diag(-slopes), name=name)),)))

    def _is_batch(self, size: Any, value: Affine) -> bool:
        """Return whether a size is that of the batch of a value."""
        if not isinstance(size, _Size) or size.axis != 0:
            return False
        same = len(size.value.terms) == 1 and size.value.terms == value.terms
        return same or all(atom in self.batched for part in (size.value, value) for atom, _ in part.terms)

    def _made(self, module: Any, value: Affine, name: str) -> Affine:
        """Return what a module that is not understood makes of a value."""
        source = self._atom(value, name)
        (number, _), *_ = source.terms
        kind = type(module)
        keeps = self.atoms[number].is_nonnegative and kind in _KEEP_SIGN
        dims = {**_CONVOLUTIONS, **_POOLS}.get(kind)
        is_same = kind in (*_NORMS, *_LINE_POOLS) or (dims is not None and self._learned(source, dims))
        made = self._new(
            Atom(source, module=deepcopy(module), is_nonnegative=keeps, name=name), like=source if is_same else None
        )
        is_flat = kind is nn.Flatten and (module.start_dim, module.end_dim) == (1, -1)
        if dims is not None or is_flat:
            self.axes.learn(made.terms[0][0], dims or 0, is_flat=is_flat)
        return made

    def _atom(self, value: Affine, name: str) -> Affine:
        """Return a value as an atom of its own."""
        return value if value.atom is not None else self._new(Atom(value, name=name), like=value)

    def _dims(self, value: Affine) -> int | None:
        """Return the axes of pixels of a value, None if they are not known or it reads none."""
        return self.axes.of(value.terms[0][0]) if value.terms else None

    def _new(self, atom: Atom, like: Affine | None = None) -> Affine:
        if _keeps_batch(atom.module) and all(a in self.batched for a, _ in atom.source.terms):
            self.batched.add(len(self.atoms))
        self.atoms.append(atom)
        self.axes.add(like.terms[0][0] if like is not None and like.terms else None)
        return Affine(((len(self.atoms) - 1, 1.0),))


@dataclass(frozen=True)
class _Size:
    """The length of an axis of a value, or its shape."""

    value: Affine
    axis: int | None = None


def _size_of(node: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Size | None:
    """Return what a step reads of the shape of a value, None if it is no such step."""
    if not args or kwargs:
        return None
    first, *rest = args
    if isinstance(first, Affine) and (node.target == "size" or (node.target is getattr and rest == ["shape"])):
        return _Size(first, rest[0] if node.target == "size" and rest else None)
    if isinstance(first, _Size) and first.axis is None and node.target is operator.getitem and isinstance(rest[0], int):
        return _Size(first.value, rest[0])
    return None


def _keeps_batch(module: Any) -> bool:
    """Return whether the batch certainly is the first axis of what a module gives, if it is of what it reads."""
    if isinstance(module, Call):
        return getattr(module.target, "__name__", module.target).rstrip("_") in _BATCHED
    return not isinstance(module, nn.Flatten | nn.Unflatten) or getattr(module, "start_dim", 0) == 1


def _slope(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the slope below 0 of a function with two slopes, None if it has none."""
    given = {**dict(zip(("input", "slope"), args, strict=False)), **kwargs}
    if name == "leaky_relu":
        return given.get("negative_slope", given.get("slope", 0.01))
    return given.get("weight", given.get("slope")) if name == "prelu" else None


def _convolution(module: Any, name: str) -> ChannelMap:
    padding = module.padding
    if isinstance(padding, str):
        padding = tuple(n // 2 if padding == "same" else 0 for n in _reach(module))
    start = tuple(-p for p in padding)
    return ChannelMap(module.weight.detach(), module.stride, start, module.dilation, name)


def _reach(module: Any) -> list[int]:
    return [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]


def _is_plain(module: Any) -> bool:
    """Return whether a convolution has no groups and pads both ends alike: "same" may put one pixel more at the end."""
    is_symmetric = module.padding != "same" or not any(n % 2 for n in _reach(module))
    return module.groups == 1 and module.padding_mode == "zeros" and is_symmetric


def _holds(arguments: Any, kind: Any) -> bool:
    found = []
    fx.node.map_aggregate(arguments, lambda value: found.append(isinstance(value, kind)))
    return any(found)

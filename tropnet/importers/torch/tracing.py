"""The graph of a PyTorch module: a float64 copy, traced, with the qualified name of the module behind each step."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.overrides import TorchFunctionMode

from tropnet.errors import UnsupportedModuleError
from tropnet.importers.torch.two_slopes import TwoSlopes
from tropnet.torch_modules.plain import refuse_unreadable, uncompiled, unexported, unparametrized

__all__ = ["Trace", "Widening", "float64_copy", "trace", "type_name"]

_ROOT = "module"
_SCOPE = "tropnet_scope"
_WRITE = "Write its forward for one tensor, without such decisions."
# The lists of parameters have a __call__ of their own, which refuses.
_CALLS = (nn.Module.__call__, nn.ParameterList.__call__, nn.ParameterDict.__call__)


def type_name(value: Any) -> str:
    """Return the type of a value with its module, as in torch.nn.modules.activation.ReLU."""
    return f"{type(value).__module__}.{type(value).__qualname__}"


def float64_copy(module: Any) -> Any:
    """Return a copy of a module with float64 parameters, buffers and tensors on the CPU, in the same mode.

    What torch.compile or torch.export wrapped is unwrapped, and parametrisations are evaluated, in float64.

    Raises
    ------
    UnsupportedModuleError
        It is no module, or one of TorchScript or Keras, does more than its forward says (hooks, a forward of the
        instance), holds numbers that are not real or no numbers at all, has parametrisations that change with every
        call, or cannot be copied.
    """
    refuse_unreadable(module)
    if not isinstance(module, nn.Module):
        raise UnsupportedModuleError(
            f"module must be a torch.nn.Module, got {type_name(module)}. For a file or a state dict, build the module"
            " and call its load_state_dict first."
        )
    module = unexported(module)
    for name, part in module.named_modules():
        for key, tensor in [*part._parameters.items(), *part._buffers.items()]:
            _refuse_numbers(tensor, f"{key} of {_described(part, name)}")
        _refuse_changed_calls(part, _described(part, name))
    try:
        copy = deepcopy(module)
    except Exception as error:  # copying runs code of the module's own
        raise UnsupportedModuleError(f"the module must be one that copy.deepcopy takes: {error}") from error
    for part in copy.modules():
        # Hooks on gradients do not touch the values, but some rebuild the inputs of their module.
        part._backward_hooks.clear()
        part._backward_pre_hooks.clear()
        for key, value in vars(part).items():
            if isinstance(value, torch.Tensor) and value.is_floating_point():
                vars(part)[key] = value.detach().cpu().double()
    with torch.no_grad():
        return unparametrized(uncompiled(copy).cpu().double()).requires_grad_(False)


def _refuse_changed_calls(part: Any, where: str) -> None:
    if "_orig_mod" in part._modules:  # what torch.compile wraps is looked at by itself
        return
    if isinstance(part, fx.GraphModule) and hasattr(part, "_in_spec"):
        raise UnsupportedModuleError(
            f"{where} is a program of torch.export within another module. Put the module that was exported there."
        )
    if part._forward_hooks or part._forward_pre_hooks:
        raise UnsupportedModuleError(
            f"{where} has forward hooks, which may change its values. Remove the hooks (weight_norm, spectral_norm and"
            " pruning leave one; each has its own remove function)."
        )
    own_call = type(part).__call__ not in _CALLS and not isinstance(part, fx.GraphModule)
    if "forward" in vars(part) or own_call:
        raise UnsupportedModuleError(f"{where} has a forward or __call__ of its own. Define a subclass instead.")


def _refuse_numbers(tensor: Any, where: str) -> None:
    if tensor is None:
        return
    if isinstance(tensor, nn.parameter.UninitializedTensorMixin) or tensor.is_meta:
        raise UnsupportedModuleError(f"{where} has no data yet. Load or initialise the parameters first.")
    if tensor.is_complex() or tensor.is_quantized:
        raise UnsupportedModuleError(f"{where} must hold real numbers, got {tensor.dtype}.")


def _described(part: Any, name: str) -> str:
    return f"{name or 'the module itself'} ({type_name(part)})"


class Widening(TorchFunctionMode):  # type: ignore[misc]  # mypy does not follow torch, so it is Any
    """Widens floating tensors to float64 where they meet one, as parameters were: what a forward makes is float32.

    PyTorch does so itself in sums and products, but refuses in convolutions and products of matrices.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of PyTorch, with widened tensors if one of them is float64."""
        given = args, kwargs or {}
        kinds: set[Any] = set()
        fx.node.map_aggregate(given, lambda part: kinds.add(part.dtype) if isinstance(part, torch.Tensor) else None)
        name = getattr(func, "__name__", "")
        writes = name == "__setitem__" or (name.endswith("_") and not name.endswith("__"))
        if torch.float64 in kinds and len(kinds) > 1 and not writes:
            given = fx.node.map_aggregate(given, _widened)
        return func(*given[0], **given[1])


def _widened(part: Any) -> Any:
    return part.double() if isinstance(part, torch.Tensor) and part.is_floating_point() else part


@dataclass(frozen=True, eq=False)
class Trace:
    """The steps of a module's forward.

    Attributes
    ----------
    graph_module
        The graph with the modules it calls.
    root
        The module.
    """

    graph_module: Any
    root: Any

    def called(self, node: Any) -> Any:
        """Return the module that a node calls."""
        return self.graph_module.get_submodule(node.target)

    def owner(self, node: Any) -> Any:
        """Return the module in whose forward a step is."""
        return self.root.get_submodule(_without_root(node.meta.get(_SCOPE, _ROOT)))

    def where(self, node: Any) -> str:
        """Return which module a node calls, or which function or method and in the forward of which module."""
        if node.op == "call_module":
            return _described(self.called(node), _without_root(node.target))
        scope = _without_root(node.meta.get(_SCOPE, _ROOT))
        function = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
        if function == "getattr":
            function = node.args[1]
        kind = "method " if node.op == "call_method" else ""
        return f"{kind}'{function}' in the forward of {_described(self.root.get_submodule(scope), scope)}"


def _without_root(name: str) -> str:
    return name[len(_ROOT) + 1 :]


class _Holder(nn.Module):  # type: ignore[misc]  # mypy does not follow torch, so nn.Module is Any
    """Calls one module, so that a bare nn.Linear is a step like any other."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        setattr(self, _ROOT, module)

    def forward(self, x: Any) -> Any:
        return getattr(self, _ROOT)(x)


class _Tracer(fx.Tracer):  # type: ignore[misc]  # as above
    """Traces into everything but PyTorch's own modules, and remembers in whose forward each step is."""

    # Buffers as steps of the graph: what a forward does to them is to be seen.
    proxy_buffer_attributes = True

    def __init__(self) -> None:
        super().__init__()
        self.scopes = [_ROOT]
        self.failed: str | None = None

    def is_leaf_module(self, m: Any, module_qualified_name: str) -> bool:  # noqa: ARG002 (the name fx gives)
        if type(m) is TwoSlopes:
            return True
        return type(m).__module__.startswith("torch.nn.modules.") and not isinstance(m, nn.Sequential)

    def call_module(self, m: Any, forward: Any, args: Any, kwargs: Any) -> Any:
        self.scopes.append(self.path_of_module(m))
        try:
            return super().call_module(m, forward, args, kwargs)
        except Exception:
            self.failed = self.failed or self.scopes[-1]
            raise
        finally:
            self.scopes.pop()

    def create_node(self, *args: Any, **kwargs: Any) -> Any:
        node = super().create_node(*args, **kwargs)
        node.meta[_SCOPE] = self.scopes[-1]
        return node


def trace(module: Any, shape: Sequence[int] | None = None) -> Trace:
    """Return the steps of a module's forward, for one tensor as its input.

    Parameters
    ----------
    module
        The module.
    shape
        Of one input, without the batch. With it a forward that does not run on a symbol is exported, which settles
        what it decides by the shape of its input.

    Raises
    ------
    UnsupportedModuleError
        The forward does not run on a symbol: it decides by its data, or by their shape and that is not given, or takes
        more than one input.
    """
    try:
        return _traced(module, _WRITE if shape is not None else f"Pass input_shape if it decides by shapes. {_WRITE}")
    except UnsupportedModuleError:
        program = None if shape is None else _exported(module, shape)
        if program is None:
            raise
        return _traced(program, _WRITE)


def _exported(module: Any, shape: Sequence[int]) -> Any:
    """Return a module as a plain graph for batches of any size, as torch.export makes it; None if it does not."""
    example = torch.zeros(2, *shape, dtype=torch.float64)
    said = io.StringIO()
    try:
        with redirect_stdout(said), redirect_stderr(said), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(module, (example,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
            return unexported(program.module())
    except Exception:  # it runs the module's code, and has errors of many kinds
        return None


def _traced(module: Any, advice: str) -> Trace:
    holder = _Holder(module)
    tracer = _Tracer()
    try:
        graph = tracer.trace(holder)
    except Exception as error:  # tracing runs the module's code on symbols, which can raise anything
        scope = _without_root(tracer.failed or _ROOT)
        where = _described(module.get_submodule(scope), scope)
        decides = isinstance(error, fx.proxy.TraceError)
        reason = "decides by data or shapes (control flow)" if decides else "cannot be traced"
        raise UnsupportedModuleError(
            f"{where} {reason}, so that its graph is not known: torch.fx says:"
            f" {next(iter(str(error).splitlines()), '').rstrip('.')}. {advice}"
        ) from error
    return Trace(fx.GraphModule(holder, graph), module)

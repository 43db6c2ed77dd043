"""What PyTorch's tools make of modules, undone: torch.compile, parametrisations, torch.export, and what cannot be."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx
from torch.nn.utils import parametrize

from tropnet.errors import UnsupportedModuleError

__all__ = ["refuse_unreadable", "uncompiled", "unexported", "unparametrized"]

_GUARDS = "_guards_fn"
_ASSERTIONS = ("aten._assert_", "aten.sym_constrain_range")


def refuse_unreadable(module: Any) -> None:
    """Refuse a model whose steps torch.fx cannot read, at whatever depth: TorchScript, Keras.

    Raises
    ------
    UnsupportedModuleError
        The message says of what to read the network instead.
    """
    for name, part in module.named_modules() if isinstance(module, torch.nn.Module) else [("", module)]:
        where = f"{name or 'the module itself'} ({type(part).__module__}.{type(part).__qualname__})"
        if isinstance(part, torch.jit.ScriptModule):
            raise UnsupportedModuleError(
                f"{where} is TorchScript, whose steps cannot be read. Pass the module that torch.jit was given, or"
                " write an ONNX file by torch.onnx.export(module, example, path, dynamo=False) and use from_onnx."
            )
        if any(base.__module__.partition(".")[0] == "keras" for base in type(part).__mro__):
            raise UnsupportedModuleError(
                f"{where} is a Keras model, not one of PyTorch's own layers. Write an ONNX file by"
                " model.export(path, format='onnx') and read it by from_onnx."
            )


def uncompiled(module: Any) -> Any:
    """Return a module with the originals in place of what torch.compile wrapped, at whatever depth; it is changed."""
    return _uncompiled(module, set())


def _uncompiled(module: Any, done: set[int]) -> Any:
    """Do that; `done` holds the modules that were changed."""
    while "_orig_mod" in module._modules:
        module = module._modules["_orig_mod"]
    if id(module) not in done:
        done.add(id(module))
        for name, child in module._modules.items():
            if child is not None:
                module._modules[name] = _uncompiled(child, done)
    return module


def unexported(module: Any) -> Any:
    """Return what torch.export made, ``torch.export.export(...).module()``, as a plain graph; others as they are.

    Raises
    ------
    UnsupportedModuleError
        It was exported for one size of the batch only, or for several tensors.
    """
    if not isinstance(module, fx.GraphModule) or not hasattr(module, "_in_spec"):
        return module
    graph = fx.Graph()
    output = graph.graph_copy(module.graph, {})
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    if len(inputs) != 1 or not isinstance(output, tuple | list) or len(output) != 1:
        raise UnsupportedModuleError("an exported program must take one tensor and give one.")
    value = inputs[0].meta.get("val")
    if isinstance(value, torch.Tensor) and value.ndim and isinstance(value.shape[0], int):
        raise UnsupportedModuleError(
            f"the program was exported for batches of {value.shape[0]} only. Pass the module that was exported, or"
            " export it with dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)."
        )
    for node in graph.nodes:
        target = str(node.target)
        if (node.op == "call_module" and target == _GUARDS) or target.startswith(_ASSERTIONS):
            graph.erase_node(node)
        elif target.startswith("aten.detach_.") and str(node.args[0].target).startswith("aten.lift_fresh_copy."):
            node.replace_all_uses_with(node.args[0])  # a constant that the forward makes
            graph.erase_node(node)
    graph.output(output[0])
    graph.eliminate_dead_code()
    return fx.GraphModule(module, graph)


def unparametrized(module: Any) -> Any:
    """Return a module with the values of its parametrisations for parameters; it is changed.

    They are those of torch.nn.utils.parametrize: spectral_norm, weight_norm, orthogonal, or of the user's own.

    Raises
    ------
    UnsupportedModuleError
        A value is another one each time, as that of spectral_norm in training mode.
    """
    for name, part in module.named_modules():
        if not parametrize.is_parametrized(part):
            continue
        values = {parameter: getattr(part, parameter).clone() for parameter in part.parametrizations}
        for parameter, value in values.items():
            if not torch.equal(value, getattr(part, parameter)):
                raise UnsupportedModuleError(
                    f"the parametrisation of {parameter} of {name or 'the module itself'} gives another value each time"
                    " (spectral_norm does in training mode). Call module.eval() first, or"
                    " torch.nn.utils.parametrize.remove_parametrizations."
                )
        # PyTorch's own removal changes the class, which copies of the module share.
        del part.parametrizations
        part.__class__ = type(part).__bases__[0]
        for parameter, value in values.items():
            part.register_parameter(parameter, torch.nn.Parameter(value))
    return module

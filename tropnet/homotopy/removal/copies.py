"""Copies of modules to take skips out of: with data, not compiled, and of one network."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from torch import nn

from tropnet.errors import SkipError, UnsupportedModuleError
from tropnet.homotopy.training.trials import StackedTrials

__all__ = ["copied"]


def copied(module: Any) -> Any:
    """Return a deep copy of a module without the wrappers of torch.compile, at whatever depth.

    Raises
    ------
    SkipError
        It is no torch.nn.Module, or holds `StackedTrials`.
    UnsupportedModuleError
        A tensor of it is on the meta device, or it cannot be copied.
    """
    if not isinstance(module, nn.Module):
        raise SkipError(f"module must be a torch.nn.Module, got {type(module).__name__}.")
    stacked = [name or "the module itself" for name, m in module.named_modules() if isinstance(m, StackedTrials)]
    if stacked:
        raise SkipError(
            f"module must be one network, but {stacked[0]} is StackedTrials. Remove the skips of each of its"
            " .unstacked() modules."
        )
    tensors = [*module.named_parameters(), *module.named_buffers()]
    empty = [name for name, tensor in tensors if tensor.is_meta]
    if empty:
        raise UnsupportedModuleError(
            f"module must hold data, but {empty[0]} is on the meta device. Call module.to_empty(device=...) and load"
            " its state first."
        )
    try:
        found = deepcopy(module)
    except Exception as error:  # modules copy themselves by their own code, which can raise anything
        raise UnsupportedModuleError(
            f"module must be one that copy.deepcopy can copy, which says: {str(error).rstrip('.')}. Of modules with the"
            " old torch.nn.utils.weight_norm, call remove_weight_norm first, or use that of parametrizations."
        ) from error
    return _uncompiled(found, set())


def _uncompiled(module: Any, done: set[int]) -> Any:
    """Return a module with the originals in place of compiled modules; `done` holds those that were changed."""
    while "_orig_mod" in module._modules:
        module = module._modules["_orig_mod"]
    if id(module) not in done:
        done.add(id(module))
        for name, child in module._modules.items():
            if child is not None:
                module._modules[name] = _uncompiled(child, done)
    return module

"""Copies of modules to take skips out of: with data, not compiled, and of one network."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from torch import nn

from tropnet.errors import SkipError, UnsupportedModuleError
from tropnet.homotopy.training.trials import StackedTrials
from tropnet.torch_modules.plain import refuse_unreadable, uncompiled

__all__ = ["copied"]


def copied(module: Any) -> Any:
    """Return a deep copy of a module without the wrappers of torch.compile, at whatever depth.

    Raises
    ------
    SkipError
        It is no torch.nn.Module, or holds `StackedTrials`.
    UnsupportedModuleError
        A tensor of it is on the meta device, or it cannot be copied, or is TorchScript or of Keras.
    """
    if not isinstance(module, nn.Module):
        raise SkipError(f"module must be a torch.nn.Module, got {type(module).__name__}.")
    refuse_unreadable(module)
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
    return uncompiled(found)

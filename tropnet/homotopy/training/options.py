"""What a `Trainer` is given, checked at the door."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from tropnet.errors import ShapeError, UnsupportedModuleError

__all__ = ["refuse_options", "refuse_parts", "tensors_of"]


def refuse_parts(model: Any, optimizer: Any, schedulers: Any) -> None:
    """Refuse a model without parameters, an optimizer of others, and a single schedule."""
    parameters = {id(parameter) for parameter in model.parameters()}
    if not parameters:
        raise UnsupportedModuleError(f"model must have parameters to train, but {type(model).__name__} has none.")
    if not any(id(one) in parameters for group in getattr(optimizer, "param_groups", ()) for one in group["params"]):
        raise UnsupportedModuleError(
            f"optimizer must be of parameters of the model, but {type(optimizer).__name__} has none of them. Build it"
            " of model.parameters(), after every step that replaces them."
        )
    if not isinstance(schedulers, Iterable):
        raise ShapeError(f"schedulers must be a list, got {type(schedulers).__name__}. Put a single one into [...].")


def refuse_options(measures: Mapping[str, Any], mixed_precision: Any, directory: Any) -> None:
    """Refuse names, types and folders that a run cannot have."""
    if "loss" in measures:
        raise ShapeError("measures must have other names than 'loss', which is that of the loss; pass that as loss=.")
    if mixed_precision not in (None, torch.bfloat16, torch.float16):
        raise ShapeError(f"mixed_precision must be torch.bfloat16, torch.float16 or None, got {mixed_precision!r}.")
    if directory is not None and Path(directory).exists() and not Path(directory).is_dir():
        raise NotADirectoryError(f"directory must be one, or be none yet, but '{directory}' is a file.")


def tensors_of(data: Any, name: str) -> tuple[Any, Any]:
    """Return the inputs and targets of a data set, or of a pair."""
    pair = tuple(getattr(data, "tensors", data)) if hasattr(data, "tensors") or isinstance(data, tuple | list) else ()
    if len(pair) != 2 or not all(isinstance(part, torch.Tensor) for part in pair):
        raise ShapeError(
            f"{name} must be a TensorDataset of inputs and targets, or a pair of tensors, got {type(data).__name__}."
        )
    if len(pair[0]) != len(pair[1]) or not len(pair[0]):
        raise ShapeError(
            f"{name} must have as many inputs as targets, and at least one, got {len(pair[0])} and {len(pair[1])}."
        )
    return pair

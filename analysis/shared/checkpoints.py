"""Checkpoints of networks in training: written atomically, read without running code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tropnet.archives import write_atomically
from tropnet.errors import FileFormatError

__all__ = ["restore", "save"]


def save(state: dict[str, Any], path: Path) -> None:
    """Write tensors and plain values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda file: torch.save(state, file))


def restore(path: Path, owner: str, put: Callable[[dict[str, Any]], Any]) -> bool:
    """Hand the content of a checkpoint to `put` and return True, or return False if there is none.

    Raises
    ------
    FileFormatError
        The checkpoint is damaged, or not that of `owner`, a network in words.
    """
    if not path.exists():
        return False
    try:
        # Tensors and plain values only: such a file can run no code.
        put(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # a damaged file can raise anything
        raise FileFormatError(f"{path} must be a checkpoint of {owner}: {error}. Remove it to begin anew.") from error
    return True

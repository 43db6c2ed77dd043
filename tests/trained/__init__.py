"""Small networks that were really trained (`train.py`), as cases: their layers are no random ones."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from tropnet import Network

__all__ = ["TRAINED", "trained"]

TRAINED = (
    "moons",
    "moons with a skip",
    "pruned",
    "int8",
    "three inputs",
    "three inputs, small",
    "four inputs",
    "four inputs, small",
)
_SKIPS = {"moons with a skip": [(1, 3)]}


@cache
def _parts() -> dict[str, list[np.ndarray]]:
    parts: dict[str, list[np.ndarray]] = {}
    with np.load(Path(__file__).parent / "weights.npz") as archive:
        for key in archive.files:
            parts.setdefault(key.split("/")[0], []).append(archive[key].astype(np.float64))
    return parts


def trained(name: str) -> Network:
    """Return the network of this name: weights of float32 in float64, as a reader of files gives them."""
    parts = _parts()[name]
    return Network.mlp(parts[::2], parts[1::2], _SKIPS.get(name, ()))

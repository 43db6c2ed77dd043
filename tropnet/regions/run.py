"""A run in a directory, to be read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tropnet.regions.journal import read_manifest, read_state

__all__ = ["Run"]


class Run:
    """A run in a directory."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.domain = read_manifest(path).domain
        state = read_state(path)
        self.n_regions, self.undecided, self.complete = state.n_regions, state.undecided, state.finished
        self.stats: dict[str, Any] = dict(state.counters)

    def __len__(self) -> int:
        """Return the number of regions."""
        return self.n_regions

"""Modules that have moved: their old import paths still work, with a warning that says where they went."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["MOVED", "MovedModules"]

MOVED = {
    "affine": "network.affine",
    "balls": "geometry.balls",
    "bounds": "network.bounds",
    "certificates": "exact.certificates",
    "crossings": "regions.crossings",
    "domain": "network.domain",
    "dyadic": "exact.dyadic",
    "enumeration.contract": "enumeration.engine",
    "enumeration.linear_region": "enumeration.algorithm_1",
    "enumeration.near": "local_search.near",
    "enumeration.segment": "local_search.segment",
    "extremes": "verification",
    "flips": "local_search",
    "hamming": "arrays.hamming",
    "importers.collapse": "importers.torch.collapse",
    "importers.torch_export": "importers.torch.export",
    "layers": "network.layers",
    "linear_cnn": "operators.linear_cnn",
    "linear_programs": "exact.linear_programs",
    "patterns": "arrays.patterns",
    "points": "arrays.checks",
    "polyhedron": "geometry.polyhedron",
    "projection": "exact.projection",
    "recurrences": "tropical.recurrences",
    "tolerances": "feasibility.tolerances",
}


class MovedModules(MetaPathFinder, Loader):
    """Finds a module of this package under the name that it had before."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec for the old name of a module, and None for all others."""
        del path, target
        old = fullname.removeprefix("tropnet.")
        return ModuleSpec(fullname, self) if fullname != old and old in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        """Put the module that is meant under the old name."""
        old = module.__name__
        new = f"tropnet.{MOVED[old.removeprefix('tropnet.')]}"
        warnings.warn(f"{old} is now {new}.", DeprecationWarning, stacklevel=2)
        sys.modules[old] = import_module(new)

"""Modules and functions that have moved: old import paths still work, with a warning that says where they went."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["MOVED", "MOVED_NAMES", "MovedModules", "moved_name"]

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
    "extremes.optimum": "verification.maximum_and_minimum",
    "flips": "local_search",
    "flips.distance": "local_search.flip_distance",
    "flips.search": "local_search.flip_search",
    "flips.segments": "local_search.flip_segments",
    "hamming": "arrays.hamming",
    "homotopy.activations": "homotopy.models.activations",
    "homotopy.architectures": "homotopy.models.architectures",
    "homotopy.skips": "homotopy.models.skips",
    "homotopy.trials": "homotopy.training.trials",
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
# Single names, by the module that they left, which calls `moved_name` for them.
MOVED_NAMES = {"network": {"load": "loading"}}


class MovedModules(MetaPathFinder, Loader):
    """Finds a module of this package under the name that it had before."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec for the old name of a module, and None for all others."""
        del path, target
        return ModuleSpec(fullname, self) if _new_name(fullname) is not None else None

    def exec_module(self, module: ModuleType) -> None:
        """Put the module that is meant under the old name."""
        old = module.__name__
        new = _new_name(old)
        if new is None:
            raise ModuleNotFoundError(f"No module named {old!r}", name=old)
        warnings.warn(f"{old} is now {new}.", DeprecationWarning, stacklevel=2)
        sys.modules[old] = import_module(new)


def _new_name(fullname: str) -> str | None:
    """Return the new full name of a module by its old one; what stood in a package that moved went with it."""
    if not fullname.startswith("tropnet."):
        return None
    old = fullname.removeprefix("tropnet.")
    if old in MOVED:
        return f"tropnet.{MOVED[old]}"
    package, _, name = old.rpartition(".")
    return f"tropnet.{MOVED[package]}.{name}" if package in MOVED else None


def moved_name(module: str, name: str) -> Any:
    """Return what moved away from a module, for its `__getattr__`, with a warning that says where it went.

    Raises
    ------
    AttributeError
        Nothing of this name was ever there.
    """
    new = MOVED_NAMES.get(module.removeprefix("tropnet."), {}).get(name)
    if new is None:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    warnings.warn(f"{module}.{name} is now tropnet.{new}.{name}.", DeprecationWarning, stacklevel=3)
    return getattr(import_module(f"tropnet.{new}"), name)

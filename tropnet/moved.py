"""Modules and functions that have moved: old import paths still work, with a warning that says where they went."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.abc import Loader
else:
    # It takes as long to import as all else here, and adds nothing that is needed.
    Loader = object

__all__ = ["MOVED", "MOVED_NAMES", "MovedModules", "moved_name"]

MOVED = {
    "affine": "network.affine",
    "balls": "geometry.balls",
    "bounds": "network.bounds",
    "carrying": "network.carrying",
    "certificates": "exact.certificates",
    "compiled": "kernels",
    "crossings": "regions.crossings",
    "domain": "network.domain",
    "dyadic": "exact.dyadic",
    "enumeration.composition": "enumeration.engines.composition",
    "enumeration.contract": "enumeration.engine",
    "enumeration.executors": "enumeration.parallel",
    "enumeration.linear_region": "enumeration.algorithm_1",
    "enumeration.lp": "enumeration.engines.lp",
    "enumeration.near": "local_search.near",
    "enumeration.reference": "enumeration.engines.reference",
    "enumeration.run": "enumeration.search",
    "enumeration.segment": "local_search.segment",
    "enumeration.simplex": "enumeration.engines.simplex.engine",
    "enumeration.simplex_cell": "enumeration.engines.simplex.cell",
    "enumeration.simplex_facets": "enumeration.engines.simplex.facets",
    "enumeration.simplex_kernel": "enumeration.engines.simplex.kernel",
    "enumeration.vertex": "enumeration.engines.vertex.engine",
    "enumeration.vertex_kernel": "enumeration.engines.vertex.kernel",
    "extremes": "verification",
    "extremes.optimum": "verification.maximum_and_minimum",
    "flips": "local_search",
    "flips.distance": "local_search.flip_distance",
    "flips.search": "local_search.flip_search",
    "flips.segments": "local_search.flip_segments",
    "folding": "network.folding",
    "hamming": "arrays.hamming",
    "homotopy.activations": "homotopy.models.activations",
    "homotopy.architectures": "homotopy.models.architectures",
    "homotopy.carry": "homotopy.removal.carry",
    "homotopy.channel_maps": "homotopy.removal.channel_maps",
    "homotopy.checkpoints": "homotopy.training.checkpoints",
    "homotopy.copies": "homotopy.removal.copies",
    "homotopy.pixel_axes": "homotopy.removal.pixel_axes",
    "homotopy.residual_graph": "homotopy.removal.residual_graph",
    "homotopy.skips": "homotopy.models.skips",
    "homotopy.trials": "homotopy.training.trials",
    "importers.activations": "importers.torch.activations",
    "importers.affine_steps": "importers.torch.affine_steps",
    "importers.collapse": "importers.torch.collapse",
    "importers.expression": "importers.common.expression",
    "importers.lowering": "importers.common.lowering",
    "importers.onnx_steps": "importers.onnx.steps",
    "importers.reading": "importers.torch.interpreter",
    "importers.segments": "importers.torch.splitting",
    "importers.torch_export": "importers.torch.export",
    "importers.tracing": "importers.torch.tracing",
    "importers.two_slopes": "importers.torch.two_slopes",
    "importers.verification": "importers.common.verification",
    "layer_files": "network.files",
    "layers": "network.layers",
    "linear_cnn": "operators.linear_cnn",
    "linear_programs": "exact.linear_programs",
    "patterns": "arrays.patterns",
    "points": "arrays.checks",
    "polyhedron": "geometry.polyhedron",
    "projection": "exact.projection",
    "recurrences": "tropical.recurrences",
    "sampled_volumes": "geometry.sampled_volumes",
    "tolerances": "feasibility.tolerances",
    "vertices": "geometry.vertices",
    "volumes": "geometry.volumes",
}
# Single names, by the module that they left, which calls `moved_name` for them.
MOVED_NAMES = {
    "enumeration": {
        "NearRegions": "local_search",
        "SegmentRegions": "local_search",
        "regions_near": "local_search",
        "regions_on_segment": "local_search",
    },
    "network": {
        "IntegerNetwork": "network.integers",
        "as_network": "network.network",
        "dense_network": "network.network",
        "load": "loading",
    },
}


class MovedModules(Loader):
    """Finds a module of this package under the name that it had before; a finder and loader of `sys.meta_path`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec for the old name of a module, and None for all others."""
        del path, target
        return ModuleSpec(fullname, self) if _new_name(fullname) is not None else None

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to Python to make an empty module."""

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

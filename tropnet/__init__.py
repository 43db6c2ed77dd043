"""All linear regions of a trained piecewise-linear neural network, exactly, with skip connections."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from tropnet.affine import AffineMap
from tropnet.bounds import RegionBounds, region_bounds, zaslavsky_bound
from tropnet.domain import Box, Domain, Polytope, WholeSpace
from tropnet.enumeration import (
    EmptyRegion,
    Estimate,
    count_regions,
    enumerate_regions,
    estimate_regions,
    find_linear_region,
    iter_regions,
)
from tropnet.errors import (
    DomainError,
    EnumerationInterrupted,
    FileFormatError,
    MissingExtraError,
    NonFiniteError,
    ShapeError,
    SkipError,
    TropnetError,
    UndecidedError,
    UnsupportedModuleError,
)
from tropnet.layers import Layer
from tropnet.network import Network, load
from tropnet.prediction import CachedPredictor
from tropnet.regions import ActivationRegion, Regions
from tropnet.tolerances import Tolerances

if TYPE_CHECKING:
    from tropnet.importers.torch import SkipMLP as SkipMLP
    from tropnet.importers.torch import from_torch as from_torch
    from tropnet.plotting.region_map import plot_regions as plot_regions

    __version__: str

__all__ = [
    "ActivationRegion",
    "AffineMap",
    "Box",
    "CachedPredictor",
    "Domain",
    "DomainError",
    "EmptyRegion",
    "EnumerationInterrupted",
    "Estimate",
    "FileFormatError",
    "Layer",
    "MissingExtraError",
    "Network",
    "NonFiniteError",
    "Polytope",
    "RegionBounds",
    "Regions",
    "ShapeError",
    "SkipError",
    "Tolerances",
    "TropnetError",
    "UndecidedError",
    "UnsupportedModuleError",
    "WholeSpace",
    "count_regions",
    "enumerate_regions",
    "estimate_regions",
    "find_linear_region",
    "iter_regions",
    "load",
    "region_bounds",
    "zaslavsky_bound",
]

_EXTRAS = {
    "SkipMLP": ("tropnet.importers.torch", "torch"),
    "from_torch": ("tropnet.importers.torch", "torch"),
    "plot_regions": ("tropnet.plotting.region_map", "plot"),
}


def __getattr__(name: str) -> Any:
    """Import names that need an optional dependency when they are first used."""
    if name == "__version__":
        return version("tropnet")
    if name not in _EXTRAS:
        raise AttributeError(f"module 'tropnet' has no attribute {name!r}")
    module, extra = _EXTRAS[name]
    try:
        return getattr(import_module(module), name)
    except ImportError as error:
        raise MissingExtraError(
            f"tropnet.{name} needs the extra '{extra}'; install it with: pip install 'tropnet[{extra}]'"
        ) from error


def __dir__() -> list[str]:
    return sorted([*__all__, *_EXTRAS])

"""All linear regions of a trained piecewise-linear neural network, exactly, with skip connections."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tropnet.moved import MovedModules

if TYPE_CHECKING:
    from tropnet import arrays as arrays
    from tropnet import enumeration as enumeration
    from tropnet import errors as errors
    from tropnet import exact as exact
    from tropnet import feasibility as feasibility
    from tropnet import geometry as geometry
    from tropnet import homotopy as homotopy
    from tropnet import integrals as integrals
    from tropnet import kernels as kernels
    from tropnet import loading as loading
    from tropnet import local_search as local_search
    from tropnet import network as network
    from tropnet import operators as operators
    from tropnet import polyhedral_complex as polyhedral_complex
    from tropnet import prediction as prediction
    from tropnet import proofs as proofs
    from tropnet import properties as properties
    from tropnet import regions as regions
    from tropnet import tracking as tracking
    from tropnet import verification as verification
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
        CertificateError,
        DomainError,
        EnumerationInterrupted,
        FileFormatError,
        MissingExtraError,
        NonFiniteError,
        RunError,
        ShapeError,
        SkipError,
        SubtreeError,
        TooLargeError,
        TropnetError,
        UndecidedError,
        UnsupportedModuleError,
    )
    from tropnet.feasibility.tolerances import Tolerances
    from tropnet.importers.onnx import from_onnx as from_onnx
    from tropnet.importers.torch import SkipMLP as SkipMLP
    from tropnet.importers.torch import collapse as collapse
    from tropnet.importers.torch import from_torch as from_torch
    from tropnet.importers.torch import to_torch as to_torch
    from tropnet.integrals import Measured, Moments, moments, shares
    from tropnet.loading import example_network, load
    from tropnet.local_search import (
        FlipBounds,
        FlipDistance,
        NearRegions,
        SegmentRegions,
        regions_near,
        regions_on_segment,
    )
    from tropnet.network.affine import AffineMap
    from tropnet.network.bounds import RegionBounds, region_bounds, zaslavsky_bound
    from tropnet.network.domain import Box, Domain, Polytope, WholeSpace
    from tropnet.network.layers import Layer
    from tropnet.network.network import Network
    from tropnet.plotting import plot_boundary as plot_boundary
    from tropnet.plotting import plot_function as plot_function
    from tropnet.plotting import plot_graph as plot_graph
    from tropnet.plotting import plot_hyperplanes as plot_hyperplanes
    from tropnet.plotting import plot_regions as plot_regions
    from tropnet.plotting import plot_slice as plot_slice
    from tropnet.plotting.page import write_page as write_page
    from tropnet.polyhedral_complex import (
        DecisionBoundary,
        LinearRegions,
        Statistics,
        adjacency_graph,
        count_linear_regions,
        decision_boundary,
        flip_path,
        linear_regions,
        statistics,
    )
    from tropnet.prediction import CachedPredictor, CompiledPredictor, compile_regions, export_c, export_mpc
    from tropnet.proofs import Certified, Checked, certify, certify_property, check, check_property
    from tropnet.properties import Counterexample, Property, Verdict, is_monotone, read_vnnlib, verify
    from tropnet.regions import ActivationRegion, Regions, Run
    from tropnet.tracking import RegionTracker
    from tropnet.verification import (
        BoundaryPoint,
        Comparison,
        Extremum,
        LipschitzConstant,
        RobustnessCurve,
        distance_to_boundary,
        lipschitz_constant,
        maximum,
        minimum,
        robustness_curve,
        same_function,
    )

    __version__: str

__all__ = [
    "ActivationRegion",
    "AffineMap",
    "BoundaryPoint",
    "Box",
    "CachedPredictor",
    "CertificateError",
    "Certified",
    "Checked",
    "Comparison",
    "CompiledPredictor",
    "Counterexample",
    "DecisionBoundary",
    "Domain",
    "DomainError",
    "EmptyRegion",
    "EnumerationInterrupted",
    "Estimate",
    "Extremum",
    "FileFormatError",
    "FlipBounds",
    "FlipDistance",
    "Layer",
    "LinearRegions",
    "LipschitzConstant",
    "Measured",
    "MissingExtraError",
    "Moments",
    "NearRegions",
    "Network",
    "NonFiniteError",
    "Polytope",
    "Property",
    "RegionBounds",
    "RegionTracker",
    "Regions",
    "RobustnessCurve",
    "Run",
    "RunError",
    "SegmentRegions",
    "ShapeError",
    "SkipError",
    "Statistics",
    "SubtreeError",
    "Tolerances",
    "TooLargeError",
    "TropnetError",
    "UndecidedError",
    "UnsupportedModuleError",
    "Verdict",
    "WholeSpace",
    "adjacency_graph",
    "certify",
    "certify_property",
    "check",
    "check_property",
    "compile_regions",
    "count_linear_regions",
    "count_regions",
    "decision_boundary",
    "distance_to_boundary",
    "enumerate_regions",
    "estimate_regions",
    "example_network",
    "export_c",
    "export_mpc",
    "find_linear_region",
    "flip_path",
    "is_monotone",
    "iter_regions",
    "linear_regions",
    "lipschitz_constant",
    "load",
    "maximum",
    "minimum",
    "moments",
    "read_vnnlib",
    "region_bounds",
    "regions_near",
    "regions_on_segment",
    "robustness_curve",
    "same_function",
    "shares",
    "statistics",
    "verify",
    "zaslavsky_bound",
]

# Modules are imported when something of theirs is first used: all of them take a second, most of it solvers' and
# compilers'.
_MODULES = {
    "tropnet.enumeration": (
        "EmptyRegion",
        "Estimate",
        "count_regions",
        "enumerate_regions",
        "estimate_regions",
        "find_linear_region",
        "iter_regions",
    ),
    "tropnet.errors": (
        "CertificateError",
        "DomainError",
        "EnumerationInterrupted",
        "FileFormatError",
        "MissingExtraError",
        "NonFiniteError",
        "RunError",
        "ShapeError",
        "SkipError",
        "SubtreeError",
        "TooLargeError",
        "TropnetError",
        "UndecidedError",
        "UnsupportedModuleError",
    ),
    "tropnet.feasibility.tolerances": ("Tolerances",),
    "tropnet.integrals": (
        "Measured",
        "Moments",
        "moments",
        "shares",
    ),
    "tropnet.loading": ("example_network", "load"),
    "tropnet.local_search": (
        "FlipBounds",
        "FlipDistance",
        "NearRegions",
        "SegmentRegions",
        "regions_near",
        "regions_on_segment",
    ),
    "tropnet.network.affine": ("AffineMap",),
    "tropnet.network.bounds": (
        "RegionBounds",
        "region_bounds",
        "zaslavsky_bound",
    ),
    "tropnet.network.domain": (
        "Box",
        "Domain",
        "Polytope",
        "WholeSpace",
    ),
    "tropnet.network.layers": ("Layer",),
    "tropnet.network.network": ("Network",),
    "tropnet.polyhedral_complex": (
        "DecisionBoundary",
        "LinearRegions",
        "Statistics",
        "adjacency_graph",
        "count_linear_regions",
        "decision_boundary",
        "flip_path",
        "linear_regions",
        "statistics",
    ),
    "tropnet.prediction": (
        "CachedPredictor",
        "CompiledPredictor",
        "compile_regions",
        "export_c",
        "export_mpc",
    ),
    "tropnet.proofs": (
        "Certified",
        "Checked",
        "certify",
        "certify_property",
        "check",
        "check_property",
    ),
    "tropnet.properties": (
        "Counterexample",
        "Property",
        "Verdict",
        "is_monotone",
        "read_vnnlib",
        "verify",
    ),
    "tropnet.regions": (
        "ActivationRegion",
        "Regions",
        "Run",
    ),
    "tropnet.tracking": ("RegionTracker",),
    "tropnet.verification": (
        "BoundaryPoint",
        "Comparison",
        "Extremum",
        "LipschitzConstant",
        "RobustnessCurve",
        "distance_to_boundary",
        "lipschitz_constant",
        "maximum",
        "minimum",
        "robustness_curve",
        "same_function",
    ),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}
# Rooms that need no extra, for `tropnet.network` and such without an import of their own.
_ROOMS = {"arrays", "exact", "geometry", "kernels", "operators", *(module.split(".")[1] for module in _MODULES)}
_EXTRAS = {
    "SkipMLP": ("tropnet.importers.torch", "torch"),
    "collapse": ("tropnet.importers.torch", "torch"),
    "from_onnx": ("tropnet.importers.onnx", "onnx"),
    "from_torch": ("tropnet.importers.torch", "torch"),
    "to_torch": ("tropnet.importers.torch", "torch"),
    "plot_boundary": ("tropnet.plotting", "plot"),
    "plot_function": ("tropnet.plotting", "plot"),
    "plot_graph": ("tropnet.plotting", "plot"),
    "plot_hyperplanes": ("tropnet.plotting", "plot"),
    "plot_regions": ("tropnet.plotting", "plot"),
    "plot_slice": ("tropnet.plotting", "plot"),
    "write_page": ("tropnet.plotting.page", "interactive"),
    "homotopy": ("tropnet.homotopy", "torch"),
}

if not any(isinstance(finder, MovedModules) for finder in sys.meta_path):
    sys.meta_path.insert(0, MovedModules())


def _imported(name: str) -> Any:
    """Import names, and rooms, when they are first used."""
    if name == "__version__":
        from importlib.metadata import version

        return version("tropnet")
    if name in _MODULE_OF:
        # Found here from now on.
        globals()[name] = value = getattr(import_module(_MODULE_OF[name]), name)
        return value
    if name in _EXTRAS:
        module, extra = _EXTRAS[name]
        try:
            found = import_module(module)
            return found if module == f"tropnet.{name}" else getattr(found, name)
        except ImportError as error:
            raise import_module("tropnet.errors").MissingExtraError.of(f"tropnet.{name}", extra) from error
    if name in _ROOMS:
        return import_module(f"tropnet.{name}")
    raise AttributeError(f"module 'tropnet' has no attribute {name!r}")


if not TYPE_CHECKING:
    # Type checkers read the imports above, and so name what does not exist.
    __getattr__ = _imported


def __dir__() -> list[str]:
    return sorted([*__all__, *_EXTRAS])

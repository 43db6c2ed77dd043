"""The decision boundary in the plane: its segments, and a view that shows it."""

from __future__ import annotations

import numpy as np

from tropnet.arrays.types import FloatArray
from tropnet.network.domain import Box
from tropnet.plotting.polygons import view_of
from tropnet.polyhedral_complex import DecisionBoundary

__all__ = ["boundary_view", "segments_in"]


def segments_in(boundary: DecisionBoundary, view: Box) -> list[FloatArray]:
    """Return the parts of the pieces in a view, float64 of shape (2, 2) each."""
    return [ends for i in range(len(boundary)) if len(ends := boundary.vertices(i, view)) == 2]


def boundary_view(boundary: DecisionBoundary, view: Box | None = None, held: Box | None = None) -> Box:
    """Return what a map with the boundary shows: the view that is given, or one by default.

    That is the view `held` by axes if some of the boundary is in it. Otherwise that of the regions, of an unbounded
    domain with all vertices of the boundary; if it has none, with the point of it that is nearest to the centre.
    """
    regions = boundary.regions
    shown = view_of(regions, view, held=held)
    if view is not None or not len(boundary) or regions.bounded().all():
        return shown
    if held is not None and segments_in(boundary, shown):
        return shown
    found = np.concatenate([boundary.vertices(i) for i in range(len(boundary))])
    return view_of(regions, None, found if len(found) else _nearest(boundary, (shown.low + shown.high) / 2), held)


def _nearest(boundary: DecisionBoundary, point: FloatArray) -> FloatArray:
    """Return the point of a boundary of whole lines that is nearest to another one, float64 of shape (1, 2)."""
    weights, biases = boundary.regions.affine_maps()
    at, first, second = boundary.region, boundary.first, boundary.second
    if boundary.regions.network.n_outputs == 1:
        normals, limits = weights[at, 0], biases[at, 0]
    else:
        normals = weights[at, first] - weights[at, second]
        limits = biases[at, first] - biases[at, second]
    lengths = np.hypot(*normals.T)
    distances = (normals @ point + limits) / lengths
    nearest = int(np.abs(distances).argmin())
    return np.array([point - distances[nearest] / lengths[nearest] * normals[nearest]])

"""Regions of space as polyhedra: their corners, and the faces between them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.types import FloatArray
from tropnet.errors import DomainError, ShapeError
from tropnet.plotting.polygons import require_interior, require_near
from tropnet.regions import Regions

__all__ = ["Solids", "solids"]

# A corner lies on a facet if it is nearer than this part of the region's size: a thousand times what vertices may err.
_NEAR = 1e-7
_CHUNK = 1 << 14
_CORNERS_OF_A_FACE = 3

IndexArray = NDArray[np.int64]


class Solids(NamedTuple):
    """Convex polyhedra: polyhedron i has the corners ``points[offsets[i]:offsets[i + 1]]``.

    Attributes
    ----------
    points
        float64, shape (n, 3).
    offsets
        int64, shape (m + 1,).
    corners, starts
        int64: face k has the corners ``corners[starts[k]:starts[k + 1]]``, places in `points`, counterclockwise as seen
        from outside.
    owner
        int64, shape (n_faces,): the polyhedron of each face, ascending.
    rows
        int64, shape (n_faces,): the row that defines the face, as in `ActivationRegion.rows`.
    """

    points: FloatArray
    offsets: IndexArray
    corners: IndexArray
    starts: IndexArray
    owner: IndexArray
    rows: IndexArray

    def centres(self) -> FloatArray:
        """Return the mean of each polyhedron's corners, float64 of shape (m, 3)."""
        return np.add.reduceat(self.points, self.offsets[:-1]) / np.diff(self.offsets)[:, None]

    def faces(self) -> list[FloatArray]:
        """Return the corners of each face, float64 of shape (k, 3)."""
        return np.split(self.points[self.corners], self.starts[1:-1])


def solids(regions: Regions) -> Solids:
    """Return the bounded regions of a network with three inputs as polyhedra.

    Their corners are the regions' vertices, as proven as those of `Regions.vertices`; which of them lie on a facet is
    told in float64, for drawing.

    Raises
    ------
    ShapeError
        The network does not have three inputs.
    DomainError
        Some region is not bounded, or the domain is of lower dimension.
    """
    if regions.network.n_inputs != 3:
        raise ShapeError(f"polyhedra need a network with 3 inputs, got {regions.network.n_inputs}.")
    require_interior(regions, "a view in space")
    if not regions.bounded().all():
        raise DomainError("polyhedra are drawn of bounded regions; enumerate in a Box, such as tn.Box(-1, 1).")
    points, offsets = regions.vertices()
    require_near(points)
    facets = regions.facets()
    A, b, names, first = regions.halfspaces()
    # Where the row of each facet stands among all rows of its region.
    span = int(max(names.max(initial=0), -names.min(initial=0))) + 1
    owner = np.repeat(np.arange(len(regions)), np.diff(facets.offsets))
    keys = np.repeat(np.arange(len(regions)), np.diff(first)) * (2 * span) + names + span
    order = np.argsort(keys, kind="stable")
    place = order[np.searchsorted(keys, owner * (2 * span) + facets.rows + span, sorter=order)]
    lengths = np.linalg.norm(A[place], axis=1)
    normals, limits = A[place] / lengths[:, None], b[place] / lengths
    middle = np.add.reduceat(points, offsets[:-1]) / np.diff(offsets)[:, None] if len(points) else points
    sizes = np.linalg.norm(points - np.repeat(middle, np.diff(offsets), axis=0), axis=1)
    near = _NEAR * np.maximum.reduceat(sizes, offsets[:-1]) if len(points) else sizes
    corners, counts = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for begin in range(0, len(owner), _CHUNK):
        part = slice(begin, begin + _CHUNK)
        mine, many = owner[part], np.diff(offsets)[owner[part]]
        face = np.repeat(np.arange(len(mine)), many)
        corner = np.arange(len(face)) - np.repeat(np.cumsum(many) - many, many) + offsets[:-1][mine][face]
        distance = np.abs((points[corner] * normals[part][face]).sum(axis=1) - limits[part][face])
        on = distance <= near[mine][face]
        corners.append(_around(points, corner[on], face[on], normals[part]))
        counts.append(np.bincount(face[on], minlength=len(mine)))
    all_corners, all_counts = np.concatenate(corners), np.concatenate(counts)
    whole = all_counts >= _CORNERS_OF_A_FACE
    kept = np.repeat(whole, all_counts)
    starts = np.concatenate([[0], np.cumsum(all_counts[whole])])
    return Solids(points, offsets, all_corners[kept], starts, owner[whole], facets.rows[whole])


def _around(points: FloatArray, corner: IndexArray, face: IndexArray, normals: FloatArray) -> IndexArray:
    """Return the corners in the order of their faces, counterclockwise around the normals, which point outwards."""
    axis = np.eye(3)[np.abs(normals).argmin(axis=1)]
    across = np.cross(normals, axis)
    across /= np.linalg.norm(across, axis=1)[:, None]
    along = np.cross(normals, across)
    counts = np.maximum(np.bincount(face, minlength=len(normals)), 1)
    middle = np.stack([np.bincount(face, points[corner, k], len(normals)) / counts for k in range(3)], axis=1)
    step = points[corner] - middle[face]
    angle = np.arctan2((step * along[face]).sum(axis=1), (step * across[face]).sum(axis=1))
    ordered: IndexArray = corner[np.lexsort((angle, face))]
    return ordered

"""Regions of the plane as polygons: their corners in order, clipped to a view, and what each side lies on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.types import FloatArray
from tropnet.errors import DomainError, ShapeError
from tropnet.network.domain import Box
from tropnet.regions import Regions

__all__ = [
    "CORNERS",
    "Polygons",
    "clipped",
    "default_view",
    "layer_segments",
    "polygons",
    "require_interior",
    "require_near",
    "sides_of",
    "to_scale",
    "view_of",
]

# How wrong a corner may be in a picture, as a part of the distance of the region's witness to its nearest side.
CORNERS = 1e-4
# Coordinates whose sums and squares are drawn without overflow.
_FARTHEST = 1e150
# How often as long as the other a side of a view may be for one scale of both: the shorter one is still to be seen.
_LONGEST = 20
# Of the corners of regions that reach to infinity, the part beyond a view on either side, and what is left free around
# the others, of their span.
_TAIL, _MARGIN = 0.05, 0.25

IndexArray = NDArray[np.int64]


class Polygons(NamedTuple):
    """Convex polygons: polygon i has the corners ``points[offsets[i]:offsets[i + 1]]``, counterclockwise.

    Attributes
    ----------
    points
        float64, shape (n, 2).
    offsets
        int64, shape (m + 1,): a polygon that lies outside the view has no corners.
    """

    points: FloatArray
    offsets: IndexArray

    @property
    def owner(self) -> IndexArray:
        """The polygon of each corner, int64 of shape (n,)."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    @property
    def following(self) -> IndexArray:
        """The corner after each, around its polygon, int64 of shape (n,): side k runs from corner k to that one."""
        following = np.arange(1, len(self.points) + 1)
        some = np.diff(self.offsets) > 0
        following[self.offsets[1:][some] - 1] = self.offsets[:-1][some]
        return following

    def split(self) -> list[FloatArray]:
        """Return the corners of each polygon that has any, float64 of shape (k, 2)."""
        return [part for part in np.split(self.points, self.offsets[1:-1]) if len(part)]

    def centres(self) -> FloatArray:
        """Return the mean of each polygon's corners, float64 of shape (m, 2), NaN without corners."""
        counts = np.diff(self.offsets)
        sums = np.stack([np.bincount(self.owner, self.points[:, k], len(counts)) for k in range(2)], axis=1)
        with np.errstate(invalid="ignore"):
            return sums / np.where(counts, counts, np.nan)[:, None]


def require_interior(regions: Regions, drawing: str) -> None:
    """Refuse, by a DomainError that says what can be drawn, regions in a domain of lower dimension."""
    if regions.restriction is not None:
        raise DomainError(
            f"{drawing} needs a domain with interior, or a Box that fixes inputs and leaves two free, got"
            f" {regions.domain}; net.restrict(origin, basis) is the network on a slice, of fewer inputs, for"
            " plot_function (1 or 2) or plot_regions (2)."
        )


def require_near(points: FloatArray) -> None:
    """Refuse, by a DomainError, coordinates that are too large to draw."""
    far = np.abs(points).max(initial=0.0)
    if not far < _FARTHEST:
        raise DomainError(
            f"regions reach to {far:.2g}, too far to draw in float64; enumerate in a Box with sides below"
            f" {_FARTHEST:.0e}."
        )


def require_plane(regions: Regions) -> None:
    """Refuse, by a ShapeError or DomainError, regions that are not those of a plane."""
    if regions.network.n_inputs != 2:
        if regions.restriction is not None:
            require_interior(regions, "a map")
        raise ShapeError(
            f"a map needs a network with 2 inputs, got {regions.network.n_inputs} that the domain leaves free;"
            " plot_slice draws a network of more in a plane, a Box with low = high in all but two inputs fixes the"
            " others; plot_function draws one input."
        )
    require_interior(regions, "a map")


def view_of(regions: Regions, view: Box | None, seen: FloatArray | None = None, held: Box | None = None) -> Box:
    """Return what a map shows, of two coordinates: the view that is given, or `default_view`.

    Raises
    ------
    ShapeError
        The network does not have two inputs.
    DomainError
        `view` is no `Box`, unbounded, or empty inside.
    """
    require_plane(regions)
    if view is None:
        return default_view(regions, seen, held).expanded(2)
    if not isinstance(view, Box):
        raise DomainError(f"the view must be a Box, such as tn.Box(-1, 1), got {view!r}.")
    shown = view.expanded(2)
    if len(shown.low) != 2:
        raise DomainError(f"the view must have 2 coordinates, got {view}.")
    if not np.isfinite([shown.low, shown.high]).all() or not (shown.low < shown.high).all():
        raise DomainError(f"the view must be bounded, with low < high in both coordinates, got {view}.")
    return shown


def to_scale(view: Box) -> bool:
    """Whether both coordinates of a view can be shown at one scale, or the map would be but a line."""
    sides = view.high - view.low
    return bool(sides.max() <= _LONGEST * sides.min())


def polygons(regions: Regions, view: Box | None = None) -> Polygons:
    """Return the regions of a network with two inputs as polygons, bounded ones whole, others clipped to a view.

    The corners of bounded regions are their vertices, proven, to 1e-4 of the region's size. Of an unbounded one the
    view, a `Box`, is cut in float64 by the rows of the region; without a view, `default_view` is taken.

    Raises
    ------
    ShapeError
        The network does not have two inputs.
    DomainError
        The regions reach beyond 1e150, too far to draw, or their domain is of lower dimension.
    """
    require_plane(regions)
    points, offsets = regions.vertices(CORNERS)
    require_near(points)
    ordered = _around(Polygons(points, offsets))
    open_ones = np.flatnonzero(~regions.bounded())
    if not len(open_ones):
        return ordered
    frame = _frame(view_of(regions, view))
    cut = Polygons(np.tile(frame, (len(open_ones), 1)), 4 * np.arange(len(open_ones) + 1))
    A, b, _, rows = regions.halfspaces()
    first, counts = rows[:-1][open_ones], np.diff(rows)[open_ones]
    for number in range(int(counts.max())):
        has = np.flatnonzero(counts > number)
        normals, limits = np.zeros((len(open_ones), 2)), np.ones(len(open_ones))
        normals[has], limits[has] = A[first[has] + number], b[first[has] + number]
        cut = clipped(cut, normals, limits)
    parts: list[FloatArray] = (
        ordered.split() if (np.diff(offsets) > 0).all() else np.split(ordered.points, offsets[1:-1])
    )
    for i, part in zip(open_ones.tolist(), np.split(cut.points, cut.offsets[1:-1]), strict=True):
        parts[i] = part
    return Polygons(np.concatenate(parts), np.concatenate([[0], np.cumsum([len(part) for part in parts])]))


def default_view(regions: Regions, seen: FloatArray | None = None, held: Box | None = None) -> Box:
    """Return what a map shows: the domain if it is a bounded box, else where most is to be seen.

    Of other bounded domains that is the box around all corners; else the box around the middle nine tenths of the
    corners in either coordinate, and half as much again. Without corners it is a box around the witnesses. Of axes that
    hold a map it is the view `held` there. It is larger if points to be `seen`, float64 of shape (n, 2), lie outside.

    Raises
    ------
    DomainError
        The points to be seen reach beyond 1e150, too far to draw.
    """
    domain = regions.domain
    if isinstance(domain, Box) and len(domain.halfspaces[1]) == 4:
        return domain
    points = regions.vertices(CORNERS).points
    if len(points) and regions.bounded().all():
        return Box(points.min(axis=0), points.max(axis=0))
    if held is not None:
        return _including(held, seen)
    around = points if len(points) else np.concatenate([regions.witnesses, np.zeros((1, 2))])
    low, high = np.quantile(around, [_TAIL, 1 - _TAIL], axis=0)
    # Where all corners lie on one line, or there is one, both sides are to be seen.
    span = float((high - low).max()) or 1.0
    half = np.maximum(high - low, span / 4) * (0.5 + _MARGIN)
    return _including(Box((low + high) / 2 - half, (low + high) / 2 + half), seen)


def _including(view: Box, points: FloatArray | None) -> Box:
    """Return a view, larger where that takes in points that lie outside, and a margin beside them."""
    if points is None or not len(points):
        return view
    if not np.abs(points).max() < _FARTHEST:
        raise DomainError(
            f"what is to be seen reaches to {np.abs(points).max():.2g}, too far to draw in float64; give a view."
        )
    least, most = points.min(axis=0), points.max(axis=0)
    low, high = np.minimum(view.low, least), np.maximum(view.high, most)
    margin = _TAIL * (high - low)
    return Box(np.where(least < view.low, low - margin, low), np.where(most > view.high, high + margin, high))


def clipped(given: Polygons, normals: FloatArray, limits: FloatArray) -> Polygons:
    """Return the part of each polygon in its half-plane {x : normal x <= limit}, in float64.

    `normals` and `limits` are float64 of shapes (m, 2) and (m,), one half-plane for each polygon.
    """
    owner, following = given.owner, given.following
    values = (given.points * normals[owner]).sum(axis=1) - limits[owner]
    inside = values <= 0
    crosses = inside != inside[following]
    # A corner that stays comes first, then the point where the side after it crosses the line.
    counts = inside.astype(np.int64) + crosses
    place = np.concatenate([[0], np.cumsum(counts)])
    points = np.empty((place[-1], 2))
    points[place[:-1][inside]] = given.points[inside]
    at = np.flatnonzero(crosses)
    if len(at):
        start, end = values[at], values[following[at]]
        share = (start / (start - end))[:, None]
        points[place[at] + inside[at]] = (1 - share) * given.points[at] + share * given.points[following[at]]
    return Polygons(points, place[given.offsets])


def sides_of(regions: Regions, shapes: Polygons, view: Box | None = None) -> IndexArray:
    """Return which neuron each side of a polygon belongs to, int64 of shape (n,), negative on the edge of the domain.

    It is the one of the region's row to which both ends are nearest; sides on the edge of the `view`, by which polygons
    were clipped, are negative, too.
    """
    A, b, names, offsets = regions.halfspaces()
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.hypot(A[:, 0], A[:, 1])
        A, b = A / lengths[:, None], b / lengths
    owner, following = shapes.owner, shapes.following
    # All pairs of a side and a row of its region.
    counts = np.diff(offsets)[owner]
    side = np.repeat(np.arange(len(owner)), counts)
    start = np.cumsum(counts) - counts
    row = np.arange(len(side)) - start[side] + offsets[:-1][owner][side]
    ends = (shapes.points[side], shapes.points[following[side]])
    distance = np.max([np.abs((end * A[row]).sum(axis=1) - b[row]) for end in ends], axis=0)
    order = np.lexsort((distance, side))
    nearest = order[start[counts > 0]]
    found = np.full(len(owner), -1, dtype=np.int64)
    found[counts > 0] = names[row[nearest]]
    if view is not None:
        (x0, y0), (x1, y1) = view.expanded(2).low, view.expanded(2).high
        x, y = shapes.points.T
        for values, edge in ((x, x0), (x, x1), (y, y0), (y, y1)):
            found[(values == edge) & (values[following] == edge)] = -1
    return found


def layer_segments(regions: Regions, shapes: Polygons, view: Box) -> list[FloatArray]:
    """Return for each layer the sides between two regions on its bent hyperplanes, float64 of shape (n, 2, 2)."""
    net = regions.network
    neuron = sides_of(regions, shapes, view)
    segments = np.stack([shapes.points, shapes.points[shapes.following]], axis=1)
    # Each side between two regions is there twice, from the one that is active and from the other.
    once = neuron >= 0
    once[once] = regions.patterns[shapes.owner[once], neuron[once]]
    layer = np.searchsorted(np.cumsum(net.widths), neuron, side="right")
    return [segments[(layer == number) & once] for number in range(len(net.hidden))]


def _around(given: Polygons) -> Polygons:
    """Return polygons with their corners in order, counterclockwise."""
    owner = given.owner
    x, y = (given.points - given.centres()[owner]).T
    return Polygons(given.points[np.lexsort((np.arctan2(y, x), owner))], given.offsets)


def _frame(view: Box) -> FloatArray:
    """Return the corners of a view, counterclockwise."""
    (x0, y0), (x1, y1) = view.low, view.high
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])

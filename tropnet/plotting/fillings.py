"""What the colour of a region tells: numbers by which neighbours differ, values, classes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tropnet.arrays.checks import finite_array
from tropnet.arrays.chunks import chunks
from tropnet.arrays.types import FloatArray
from tropnet.errors import ShapeError
from tropnet.plotting.colours import colouring
from tropnet.plotting.polygons import Polygons, clipped
from tropnet.polyhedral_complex import linear_regions
from tropnet.polyhedral_complex.adjacency import Edges
from tropnet.regions import Regions

__all__ = ["Values", "class_polygons", "colour_numbers", "region_values"]

# A part of a polygon that is smaller than this part of it is rounding.
_SLIVER = 1e-12
_PARTS = 64
_SIZES = {1: "length", 2: "area"}


class Values(NamedTuple):
    """A number for each region, float64 of shape (R,), what it is called, and whether its scale is logarithmic."""

    numbers: FloatArray
    label: str
    logarithmic: bool


def colour_numbers(regions: Regions, color: str, edges: Edges) -> NDArray[np.int64]:
    """Return numbers of colours by which adjacent regions ("pattern") or linear regions ("affine") differ."""
    if color == "pattern":
        return colouring(len(regions), edges.first, edges.second)
    label = linear_regions(regions).labels
    first, second = label[edges.first], label[edges.second]
    apart = first != second
    return colouring(int(label.max(initial=-1)) + 1, first[apart], second[apart])[label]


def region_values(regions: Regions, centres: FloatArray, color: str | ArrayLike, output: int) -> Values:
    """Return what a fill by numbers shows; `centres` are the means of the regions' corners, shape (R, d).

    Raises
    ------
    ShapeError
        `color` is an array that does not hold one number for each region.
    ValueError
        `color` is no word that names numbers.
    """
    if not isinstance(color, str):
        own = finite_array(color, "color")
        if own.shape != (len(regions),):
            raise ShapeError(f"color must have shape ({len(regions)},), one number for each region, got {own.shape}.")
        return Values(own, "", logarithmic=False)
    name = f"$y_{{{output + 1}}}$" if regions.network.n_outputs > 1 else "$y$"
    match color:
        case "output":
            values, net = np.full(len(regions), np.nan), regions.network
            known = np.flatnonzero(np.isfinite(centres).all(axis=1))
            # What stays in the cache is computed faster.
            for part in chunks(len(known), _PARTS * max(net.n_inputs, *net.widths, net.n_outputs)):
                values[known[part]] = net(centres[known[part]])[:, output]
            return Values(values, f"output {name} at the mean of the corners", logarithmic=False)
        case "gradient":
            weights, _ = regions.affine_maps()
            return Values(np.linalg.norm(weights[:, output], axis=1), f"norm of the gradient of {name}", False)
        case "area":
            areas = regions.volumes()
            # On a logarithmic scale there is no place for areas that are infinite or underflow to 0.
            bounded = np.isfinite(areas) & (areas > 0)
            label = _SIZES.get(regions.network.n_inputs, "volume")
            return Values(np.where(bounded, areas, np.nan), label, bool(bounded.any()))
    raise ValueError(
        "color must be 'output', 'pattern', 'affine', 'gradient', 'area', 'class' or an array with a number for each"
        f" region, got {color!r}."
    )


def class_polygons(regions: Regions, shapes: Polygons) -> dict[int, Polygons]:
    """Return for each class that occurs the parts of the polygons whose points have it.

    The class is the largest output, the first of several that are equal throughout a region; of a single output, class
    1 is where it is positive, class 0 elsewhere. Parts without interior, where outputs only touch, are left out.
    """
    weights, biases = regions.affine_maps()
    if regions.network.n_outputs == 1:
        # Class 1 is y > 0, against a constant 0.
        weights = np.concatenate([np.zeros_like(weights), weights], axis=1)
        biases = np.concatenate([np.zeros_like(biases), biases], axis=1)
    n_classes = biases.shape[1]
    found = {}
    for label in range(n_classes):
        part = shapes
        for other in range(n_classes):
            if other != label and len(part.points):
                normals, limits = weights[:, other] - weights[:, label], biases[:, label] - biases[:, other]
                tied = (normals == 0).all(axis=1) & (limits == 0)
                limits[tied] = 1.0 if label < other else -1.0
                part = clipped(part, normals, limits)
        part = _with_interior(part, shapes)
        if len(part.points):
            found[label] = part
    return found


def _with_interior(part: Polygons, whole: Polygons) -> Polygons:
    """Return the parts of polygons without those that are nothing but a corner or a piece of a side."""
    some = np.flatnonzero(np.diff(whole.offsets))
    origin, size = np.zeros((len(whole.offsets) - 1, 2)), np.ones(len(whole.offsets) - 1)
    if len(some):
        origin[some] = whole.points[whole.offsets[some]]
        steps = np.abs(whole.points - origin[whole.owner]).max(axis=1)
        size[some] = np.maximum.reduceat(steps, whole.offsets[some])

    def areas(given: Polygons) -> FloatArray:
        x, y = ((given.points - origin[given.owner]) / size[given.owner, None]).T
        twice = x * y[given.following] - x[given.following] * y
        return np.bincount(given.owner, twice, len(given.offsets) - 1).astype(np.float64)

    kept = areas(part) >= _SLIVER * areas(whole)
    counts = np.diff(part.offsets) * kept
    return Polygons(part.points[kept[part.owner]], np.concatenate([[0], np.cumsum(counts)]))

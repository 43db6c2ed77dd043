"""Networks of many inputs in a plane: the regions of a slice through three points."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from numpy.typing import ArrayLike

from tropnet.arrays.checks import finite_array
from tropnet.arrays.types import FloatArray
from tropnet.enumeration import enumerate_regions
from tropnet.errors import ShapeError
from tropnet.network.domain import Box
from tropnet.network.network import Network
from tropnet.plotting.region_map import plot_boundary, plot_regions
from tropnet.polyhedral_complex import decision_boundary

__all__ = ["mark_corners", "plot_slice", "slice_through"]

# How far the plane is shown beyond the triangle of the points, of its size.
_MARGIN = 0.35
_POINTS = 3
_NAMES = ("A", "B", "C")
_OPTIONS = tuple(signature(plot_regions).parameters)[2:]


class Slice(NamedTuple):
    """A network on a plane through three points, what to show of it, and where the points are there, shape (3, 2)."""

    network: Network
    view: Box
    at: FloatArray


def slice_through(net: Network, points: ArrayLike, margin: float = _MARGIN) -> Slice:
    """Return a network restricted to the plane through three points; see `plot_slice`.

    Raises
    ------
    ShapeError
        `points` is not three points of the network's input space, or they lie on one line.
    ValueError
        `margin` is negative.
    """
    if net.n_inputs < 2:
        raise ShapeError("a plane needs a network with at least 2 inputs, got 1; plot_function draws one of 1 input.")
    if not isinstance(margin, int | float | np.number) or not 0 <= margin < np.inf:
        raise ValueError(f"margin must be a number of at least 0, got {margin!r}.")
    corners = finite_array(points, "points")
    if corners.ndim > 2 and corners.size == _POINTS * net.n_inputs == len(corners) * net.n_inputs:
        corners = corners.reshape(_POINTS, net.n_inputs)
    if corners.shape != (_POINTS, net.n_inputs):
        raise ShapeError(f"points must be three points of shape (3, {net.n_inputs}), got {corners.shape}.")
    directions = corners[1:] - corners[0]
    basis, lengths = np.linalg.qr(directions.T)
    if not min(abs(lengths[0, 0]), abs(lengths[1, 1])) > 1e-9 * np.abs(lengths).max(initial=0.0):
        raise ShapeError("points must not lie on one line: a plane is drawn through three points.")
    signs = np.sign(np.diag(lengths))
    basis, lengths = basis.T * signs[:, None], lengths * signs[:, None]
    at = np.concatenate([np.zeros((1, 2)), lengths.T])
    low, high = at.min(axis=0), at.max(axis=0)
    view = Box(low - margin * (high - low), high + margin * (high - low))
    return Slice(net.restrict(corners[0], basis), view, at)


def plot_slice(
    net: Network,
    points: ArrayLike,
    ax: Axes | None = None,
    *,
    images: ArrayLike | None = None,
    names: Sequence[str] = _NAMES,
    boundary: bool = False,
    margin: float = _MARGIN,
    **options: Any,
) -> Axes:
    """Draw the regions of a network in the plane through three points, such as three images of a data set.

    The plane has an orthonormal basis with A as origin and B on the first axis, so lengths are those of the input
    space. The network is restricted to it (`Network.restrict`: each weight rounded once).

    Parameters
    ----------
    net
        A network with at least two inputs.
    points
        Three points A, B, C, shape (3, n_inputs), or of as many entries, such as images (3, 1, 28, 28); not on one
        line.
    ax
        Axes to draw into; None makes a figure of its own.
    images
        Images of the points, shape (3, height, width) or (3, height, width, 3), drawn beside the corners.
    names
        What the corners are called.
    boundary
        Draw the decision boundary, too.
    margin
        How far to show beyond the triangle, of its width and height.
    options
        As for `plot_regions`: `color` and so on.

    Raises
    ------
    ShapeError
        `points` is not three points of the network's input space, or they lie on one line; `images` or
        `names` are not three.
    ValueError
        `margin` is negative, or as for `plot_regions`.
    TypeError
        An option is none of `plot_regions`.

    Examples
    --------
    >>> net = Network.random([5, 8, 8, 3], seed=0)
    >>> corners = np.eye(3, 5)
    >>> ax = plot_slice(net, corners, color="class", boundary=True)
    """
    for name in options:
        if name not in _OPTIONS:
            raise TypeError(f"plot_slice has no argument {name!r}; those of plot_regions are {', '.join(_OPTIONS)}.")
    sliced = slice_through(net, points, margin)
    if len(names) != _POINTS:
        raise ShapeError(f"names must be three, one for each point, got {len(names)}.")
    pictures = None if images is None else _pictures(images)
    regions = enumerate_regions(sliced.network, sliced.view)
    axes = plot_regions(regions, ax, **{"color": "pattern", **options})
    if boundary:
        plot_boundary(decision_boundary(regions), axes)
    mark_corners(axes, sliced.at, names, pictures)
    return axes


def mark_corners(axes: Axes, at: FloatArray, names: Sequence[str] = _NAMES, pictures: FloatArray | None = None) -> None:
    """Mark the three points of a slice by their names or by pictures, and name the axes after them."""
    axes.scatter(at[:, 0], at[:, 1], s=30, color="black", edgecolors="white", zorder=6)
    middle = at.mean(axis=0)
    for number, (name, place) in enumerate(zip(names, at, strict=True)):
        away = (place - middle) / np.hypot(*(place - middle))
        if pictures is None:
            axes.annotate(name, place, 12 * away, textcoords="offset points", ha="center", va="center", zorder=6)
            continue
        image = OffsetImage(pictures[number], zoom=40 / max(pictures[number].shape[:2]), cmap="gray")
        axes.add_artist(
            AnnotationBbox(image, place, 34 * away, boxcoords="offset points", pad=0.15, arrowprops={"arrowstyle": "-"})
        )
    axes.set(xlabel=f"from {names[0]} towards {names[1]}", ylabel=f"at right angles, towards {names[2]}")


def _pictures(images: ArrayLike) -> FloatArray:
    """Return three images, grey or in colours, as arrays that Matplotlib draws."""
    found = np.asarray(images)
    if found.ndim == 0 or len(found) != _POINTS:
        raise ShapeError(f"images must be three, one for each point, got {len(found) if found.ndim else found}.")
    grey = found.ndim == 3
    if not (grey or (found.ndim == 4 and found.shape[-1] in (3, 4))) or 0 in found.shape:
        raise ShapeError(f"images must have shape (3, height, width) or (3, height, width, 3), got {found.shape}.")
    return found

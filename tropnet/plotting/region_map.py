"""Maps of the plane: activation regions as polygons, bent hyperplanes, decision boundary, adjacency graph."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

from tropnet.arrays.checks import finite_array
from tropnet.arrays.types import FloatArray
from tropnet.errors import ShapeError
from tropnet.network.domain import Box
from tropnet.plotting.arguments import (
    axes_for,
    colour_map,
    counted,
    legend_below,
    limits_of,
    output_number,
    require_regions,
)
from tropnet.plotting.boundary import boundary_view, segments_in
from tropnet.plotting.colours import FILLS, LINES, fills
from tropnet.plotting.fillings import class_polygons, colour_numbers, region_values
from tropnet.plotting.free_inputs import over_free_inputs
from tropnet.plotting.patches import patches
from tropnet.plotting.polygons import Polygons, layer_segments, polygons, to_scale, view_of
from tropnet.polyhedral_complex import DecisionBoundary
from tropnet.polyhedral_complex.adjacency import find_edges
from tropnet.regions import Regions

__all__ = ["plot_boundary", "plot_graph", "plot_hyperplanes", "plot_regions"]

# Regions up to which the lines between them have their full width; of more, they are thinner.
_FEW = 1000
_LINE_WIDTH = 0.5


def plot_regions(
    regions: Regions,
    ax: Axes | None = None,
    *,
    color: str | ArrayLike = "output",
    output: int = 0,
    cmap: str = "viridis",
    view: Box | None = None,
    data: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    colorbar: bool = True,
) -> Axes:
    """Draw a region map: each activation region of a network with two inputs is a polygon.

    Parameters
    ----------
    regions
        Regions of a network with two inputs, or in a `Box` that leaves two inputs free and fixes all others (low =
        high); slopes and areas are those in its plane. Bounded regions are drawn whole, others as far as the view
        reaches.
    ax
        Axes to draw into; None makes a figure of its own (see ``ax.figure.savefig``).
    color
        What the fill tells. ``"output"``: the value of one output at the mean of the corners. ``"gradient"``: the
        Euclidean norm of its gradient. ``"area"``: the area, on a logarithmic scale. ``"class"``: the largest output
        (of a single one, whether it is positive), by which a region is cut where it changes. ``"pattern"``: a colour
        for each region such that adjacent ones differ. ``"affine"``: the same for linear regions, on each of which the
        network is one affine map. Or an array of shape (R,): numbers of your own.
    output
        The output meant by ``"output"`` and ``"gradient"``.
    cmap
        Name of a Matplotlib colour map, for what is a number.
    view
        The `Box` to show. Default: the domain if it is a bounded box, else the corners of most regions and a margin, or
        what the axes show if their limits are set; if the domain is unbounded, with all points of `data`.
    data, labels
        Points to lay over the map, shape (n, 2), and their classes, integers of shape (n,).
    colorbar
        Whether to add a colour bar, of numbers, or a legend, of classes.

    Returns
    -------
    Axes
        Where the map was drawn: one `PathCollection`, first of ``ax.collections``.

    Raises
    ------
    ShapeError
        The network does not have two inputs, or no such output; `color`, `data` or `labels` has the wrong shape.
    DomainError
        A region reaches beyond 1e150, too far to draw, or the view is unbounded.
    ValueError
        `color` is none of the words above.

    Notes
    -----
    Costs 20 to 40 microseconds a region; ``"pattern"`` and ``"affine"`` need the regions' facets, and go fastest if
    they were enumerated with ``facets=True``.

    Examples
    --------
    >>> from tropnet.network.domain import Box
    >>> from tropnet.enumeration import enumerate_regions
    >>> from tropnet.network.network import Network
    >>> net = Network.random([2, 5, 1], seed=0)
    >>> ax = plot_regions(enumerate_regions(net, Box(-3, 3)))
    >>> ax.get_xlim()
    (np.float64(-3.0), np.float64(3.0))
    """
    require_regions(regions)
    regions, *_ = free = over_free_inputs(regions)
    output, colours = output_number(regions.network, output), colour_map(cmap)
    if data is None and labels is not None:
        raise ShapeError("labels are those of points, which were not given: data is None.")
    points, classes = (None, None) if data is None else _points(data, labels)
    axes = axes_for(ax)
    shown = view_of(regions, view, points, limits_of(axes))
    shapes = polygons(regions, shown)
    lines = _LINE_WIDTH * min(1.0, (_FEW / max(len(regions), 1)) ** 0.5)
    options: dict[str, Any] = {"edgecolors": "black", "linewidths": lines}
    drawn = np.flatnonzero(np.diff(shapes.offsets))
    if isinstance(color, str) and color in ("pattern", "affine"):
        numbers = colour_numbers(regions, color, find_edges(regions))[drawn]
        axes.add_collection(patches(shapes, facecolors=fills(numbers), **options), autolim=False)
    elif isinstance(color, str) and color == "class":
        _fill_classes(axes, regions, shapes, options, legend=colorbar)
    else:
        values, label, logarithmic = region_values(regions, shapes.centres(), color, output)
        norm = LogNorm() if logarithmic else None
        collection = patches(shapes, array=values[drawn], cmap=colours, norm=norm, **options)
        axes.add_collection(collection, autolim=False)
        if colorbar:
            # As high as the map, whatever the shape of the axes.
            axes.figure.colorbar(collection, cax=axes.inset_axes((1.04, 0.0, 0.05, 1.0)), label=label)
    _show(axes, shown, free.labels)
    incomplete = "" if regions.complete else " (incomplete)"
    axes.set_title(f"{counted(len(regions))}{incomplete}")
    if points is not None:
        _scatter(axes, points, classes)
    return axes


def plot_hyperplanes(
    regions: Regions,
    ax: Axes | None = None,
    *,
    layers: Iterable[int] | None = None,
    view: Box | None = None,
    legend: bool = True,
) -> Axes:
    """Draw the bent hyperplanes of the neurons of each layer: where their pre-activations are 0 between two regions.

    A neuron of the first layer has a straight line; one of layer l bends where it meets those of the layers before.

    Parameters
    ----------
    regions
        Regions of a network with two inputs.
    ax
        Axes to draw into; None makes a figure of its own.
    layers
        The layers to draw, counted from 1; default all, each in its own colour, thinner from layer to layer.
    view
        As in `plot_regions`.
    legend
        Whether to say which colour is which layer.

    Raises
    ------
    ShapeError
        The network does not have two inputs, or no such layer.
    DomainError
        As for `plot_regions`.

    Examples
    --------
    >>> from tropnet.network.domain import Box
    >>> from tropnet.enumeration import enumerate_regions
    >>> from tropnet.network.network import Network
    >>> net = Network.random([2, 5, 5, 1], seed=0)
    >>> ax = plot_hyperplanes(enumerate_regions(net, Box(-3, 3)))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['layer 1', 'layer 2']
    """
    require_regions(regions)
    n_layers = len(regions.network.hidden)
    if isinstance(layers, str) or (layers is not None and not isinstance(layers, Iterable)):
        raise ShapeError(f"layers must be several numbers, such as [1], got {layers!r}.")
    wanted = range(1, n_layers + 1) if layers is None else list(layers)
    for number in wanted:
        if not isinstance(number, int | np.integer) or not 1 <= number <= n_layers:
            raise ShapeError(f"layers must lie in 1, ..., {n_layers}, got {number!r}.")
    regions, *_ = free = over_free_inputs(regions)
    axes = axes_for(ax)
    shown = view_of(regions, view, held=limits_of(axes))
    segments = layer_segments(regions, polygons(regions, shown), shown)[free.first_layer :]
    for number in wanted:
        axes.add_collection(
            LineCollection(
                list(segments[number - 1]),
                colors=LINES[(number - 1) % len(LINES)],
                linewidths=max(1.6 - 0.3 * (number - 1), 0.6),
                label=f"layer {number}",
                capstyle="round",
                zorder=2 + 0.1 * (n_layers - number),
            )
        )
    _show(axes, shown, free.labels)
    if legend and len(wanted):
        legend_below(axes)
    return axes


def plot_boundary(
    boundary: DecisionBoundary, ax: Axes | None = None, *, view: Box | None = None, color: str = "black"
) -> Axes:
    """Draw the decision boundary of a network with two inputs: where two classes tie for the first place.

    Parameters
    ----------
    boundary
        What `decision_boundary` returned.
    ax
        Axes to draw into, such as those of a region map; None makes a figure of its own.
    view
        As in `plot_regions`; pieces that reach to infinity are drawn as far as it reaches. By default, of an unbounded
        domain, with all vertices of the boundary, or, if it has none, with the point of it nearest to the centre; in
        axes whose limits are set only if none of the boundary were seen there.
    color
        Of the line.

    Raises
    ------
    ShapeError
        The network does not have two inputs.

    Examples
    --------
    >>> from tropnet.network.domain import Box
    >>> from tropnet.enumeration import enumerate_regions
    >>> from tropnet.network.network import Network
    >>> from tropnet.polyhedral_complex import decision_boundary
    >>> regions = enumerate_regions(Network.random([2, 5, 2], seed=1), Box(-3, 3))
    >>> ax = plot_boundary(decision_boundary(regions), plot_regions(regions, color="class"))
    """
    if not isinstance(boundary, DecisionBoundary):
        raise TypeError(f"boundary must be what decision_boundary returns, got {type(boundary).__name__}.")
    regions, *_ = free = over_free_inputs(boundary.regions)
    boundary = replace(boundary, regions=regions)
    axes = axes_for(ax)
    shown = boundary_view(boundary, view, limits_of(axes))
    segments = segments_in(boundary, shown)
    axes.add_collection(LineCollection(segments, colors=color, linewidths=2.0, capstyle="round", zorder=4))
    _show(axes, shown, free.labels)
    return axes


def plot_graph(
    regions: Regions, graph: nx.Graph | None = None, ax: Axes | None = None, *, view: Box | None = None
) -> Axes:
    """Draw the adjacency graph over the plane: a point in each region, a line between regions that share a facet.

    Parameters
    ----------
    regions
        Regions of a network with two inputs.
    graph
        Their `adjacency_graph`, or another graph of their numbers; None makes it.
    ax
        Axes to draw into; None makes a figure of its own.
    view
        As in `plot_regions`.

    Raises
    ------
    ShapeError
        The network does not have two inputs, or the graph has nodes that are no numbers of regions.

    Examples
    --------
    >>> from tropnet.network.domain import Box
    >>> from tropnet.enumeration import enumerate_regions
    >>> from tropnet.network.network import Network
    >>> regions = enumerate_regions(Network.random([2, 5, 1], seed=0), Box(-3, 3))
    >>> ax = plot_graph(regions, ax=plot_regions(regions, color="pattern"))
    """
    require_regions(regions)
    regions, *_ = free = over_free_inputs(regions)
    axes = axes_for(ax)
    shown = view_of(regions, view, held=limits_of(axes))
    shapes = polygons(regions, shown)
    if graph is None:
        edges = find_edges(regions)
        pairs = np.stack([edges.first, edges.second], axis=1)
    else:
        if not all(isinstance(node, int | np.integer) and 0 <= node < len(regions) for node in graph):
            raise ShapeError(f"the graph's nodes must be the numbers of the {len(regions)} regions.")
        pairs = np.array(graph.edges, dtype=np.int64).reshape(-1, 2)
    centres = shapes.centres()
    pairs = pairs[np.isfinite(centres[pairs]).all(axis=(1, 2))]
    axes.add_collection(LineCollection(list(centres[pairs]), colors="0.25", linewidths=0.6, zorder=3))
    size = min(12.0, 6000 / max(len(regions), 1))
    axes.scatter(centres[:, 0], centres[:, 1], s=size, color="black", linewidths=0, zorder=3.5)
    _show(axes, shown, free.labels)
    return axes


def _show(axes: Axes, view: Box, labels: tuple[str, ...]) -> None:
    """Show a view, both coordinates at one scale if that leaves something to be seen."""
    (x0, y0), (x1, y1) = view.low, view.high
    axes.set(xlim=(x0, x1), ylim=(y0, y1), xlabel=labels[0], ylabel=labels[1])
    axes.set_aspect("equal" if to_scale(view) else "auto")


def _fill_classes(axes: Axes, regions: Regions, shapes: Polygons, options: dict[str, Any], *, legend: bool) -> None:
    """Fill each region by the class of its points, cut where that changes."""
    parts = class_polygons(regions, shapes)
    for label, part in parts.items():
        axes.add_collection(patches(part, facecolors=FILLS[label % len(FILLS)], **options), autolim=False)
    if legend and parts:
        handles = [
            Line2D(
                [], [], marker="s", linestyle="", markersize=8, color=FILLS[label % len(FILLS)], label=f"class {label}"
            )
            for label in parts
        ]
        legend_below(axes, handles=handles)


def _points(data: ArrayLike, labels: ArrayLike | None) -> tuple[FloatArray, NDArray[np.int64] | None]:
    """Return points to lay over a map, float64 of shape (n, 2), and their classes."""
    points = finite_array(data, "data")
    if points.ndim != 2 or points.shape[1] != 2:
        raise ShapeError(f"data must have shape (n, 2), got {points.shape}.")
    if labels is None:
        return points, None
    classes = np.asarray(labels)
    if classes.shape != (len(points),):
        raise ShapeError(f"labels must have shape ({len(points)},), one for each point of data, got {classes.shape}.")
    numbers = np.zeros(0) if classes.dtype.kind not in "biuf" else classes
    if len(numbers) != len(classes) or not np.isfinite(numbers).all() or (numbers != np.floor(numbers)).any():
        raise ShapeError("labels must be integers, the numbers of classes from 0 on.")
    return points, classes.astype(np.int64)


def _scatter(axes: Axes, points: FloatArray, classes: NDArray[np.int64] | None) -> None:
    """Lay points over a map, in the colours of their classes."""
    known = np.zeros(len(points), np.int64) if classes is None else classes
    for label in np.unique(known).tolist():
        # Darker than the fill of the class, so that they are seen on it.
        colour = "white" if classes is None else tuple(0.6 * fills(np.array([label]))[0])
        x, y = points[known == label].T
        axes.scatter(x, y, s=14, color=colour, edgecolors="black", linewidths=0.6, zorder=5)

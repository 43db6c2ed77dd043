"""The graph of a network's function over one or two inputs: broken lines, or a surface of polygons."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap

from tropnet.enumeration import enumerate_regions
from tropnet.errors import DomainError, ShapeError
from tropnet.network.domain import Box, as_domain
from tropnet.network.network import Network
from tropnet.plotting.arguments import axes_for, colour_map, counted, legend_below, new_figure, output_number
from tropnet.plotting.colours import LINES
from tropnet.plotting.free_inputs import over_free_inputs
from tropnet.plotting.polygons import polygons, require_near

__all__ = ["plot_function"]

_PLANE = 2


def plot_function(net: Network, box: Box, ax: Axes | None = None, *, output: int = 0, cmap: str = "viridis") -> Axes:
    """Draw the graph of a network over one input, with its breakpoints, or over two, as a surface.

    Parameters
    ----------
    net
        A network.
    box
        A bounded `Box` of inputs that leaves one or two of them free, low < high, and fixes all others, low = high.
    ax
        Axes to draw into (for two inputs made with ``projection="3d"``); None makes a figure of its own.
    output
        Which output.
    cmap
        Name of a Matplotlib colour map, for the height of the surface.

    Returns
    -------
    Axes
        For one input, a line for the function and for each layer one of markers only: a breakpoint has the colour of
        the first layer that changes there.

    Raises
    ------
    ShapeError
        More than two inputs are free, or the network has no such output.
    DomainError
        The box is not bounded, fixes all inputs or has another number of them, or is no `Box`.

    Examples
    --------
    >>> ax = plot_function(Network.mlp([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]]), Box(-1, 2))
    >>> ax.lines[0].get_xydata().tolist()
    [[-1.0, 1.0], [0.0, 0.0], [2.0, 2.0]]
    """
    if not isinstance(net, Network):
        raise TypeError(f"net must be a tropnet.Network, got {type(net).__name__}.")
    output, colours = output_number(net, output), colour_map(cmap)
    fitted = as_domain(box, net.n_inputs)
    n_free = int((fitted.low < fitted.high).sum()) if isinstance(fitted, Box) else 0
    if not isinstance(fitted, Box) or not n_free or not np.isfinite([fitted.low, fitted.high]).all():
        raise DomainError(
            f"a graph is drawn over a Box, bounded and with low < high in one input or two, got {fitted};"
            " net.restrict(origin, basis) has fewer inputs."
        )
    if n_free > _PLANE:
        raise ShapeError(
            f"a graph can be drawn over 1 or 2 inputs, got {n_free} that are free; fix others by low = high in the Box,"
            " or restrict the network to a slice."
        )
    return (_broken_line if n_free == 1 else _surface)(net, fitted, ax, output, colours)


def _broken_line(net: Network, box: Box, ax: Axes | None, output: int, _: Colormap) -> Axes:
    axes = axes_for(ax, (6, 4))
    require_near(box.low)
    require_near(box.high)
    regions = enumerate_regions(net, box)
    free = over_free_inputs(regions)
    (low,), (high,) = box.low[list(free.names)], box.high[list(free.names)]
    order = np.argsort(free.regions.witnesses[:, 0], kind="stable")
    points, offsets = free.regions.vertices()
    breaks = np.sort(points[:, 0].reshape(-1, 2), axis=1)[order] if len(points) == 2 * (len(offsets) - 1) else points
    x = np.append(breaks[:, 0], breaks[-1:, 1])
    inputs = np.tile(box.low, (len(x), 1))
    inputs[:, free.names] = x[:, None]
    y = net(inputs)[:, output]
    axes.plot(x, y, color="black", linewidth=1.2, zorder=2)
    patterns = regions.patterns[order]
    changes = np.argmax(patterns[1:] != patterns[:-1], axis=1) if net.n_neurons else np.empty(0, np.int64)
    layer = np.searchsorted(np.cumsum(net.widths), changes, side="right")
    for number in np.unique(layer).tolist():
        which = 1 + np.flatnonzero(layer == number)
        axes.plot(
            x[which],
            y[which],
            "o",
            markersize=4,
            color=LINES[number % len(LINES)],
            label=f"layer {number + 1}",
            zorder=3,
        )
    axes.set(
        xlim=(float(low), float(high)),
        xlabel="$x$" if net.n_inputs == 1 else free.labels[0],
        ylabel="$y$" if net.n_outputs == 1 else f"$y_{{{output + 1}}}$",
        title=counted(len(regions)),
    )
    if len(layer):
        legend_below(axes, "breakpoints")
    return axes


def _surface(net: Network, box: Box, ax: Axes | None, output: int, cmap: Colormap) -> Axes:
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection

    axes: Any = new_figure().add_subplot(projection="3d") if ax is None else ax
    if not hasattr(axes, "set_zlim"):
        raise ShapeError("a function of 2 inputs is drawn into axes made with projection='3d', got flat ones.")
    free = over_free_inputs(enumerate_regions(net, box))
    regions, names = free.regions, list(free.names)
    shapes = polygons(regions)
    weights, biases = regions.affine_maps()
    heights = (weights[shapes.owner, output] * shapes.points).sum(axis=1) + biases[shapes.owner, output]
    corners = np.column_stack([shapes.points, heights])
    faces = np.split(corners, shapes.offsets[1:-1])
    collection = Poly3DCollection(faces, cmap=cmap, edgecolors="black", linewidths=0.3)
    collection.set_array(np.array([face[:, 2].mean() for face in faces]))
    axes.add_collection3d(collection)
    axes.set(
        xlim=(box.low[names[0]], box.high[names[0]]),
        ylim=(box.low[names[1]], box.high[names[1]]),
        xlabel=free.labels[0],
        ylabel=free.labels[1],
        zlabel="$y$" if net.n_outputs == 1 else f"$y_{{{output + 1}}}$",
        title=counted(len(regions)),
    )
    if heights.min() < heights.max():
        axes.set_zlim(heights.min(), heights.max())
    drawn: Axes = axes
    return drawn

"""Region maps: the activation regions of a network with two inputs, drawn as polygons."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from tropnet.errors import DomainError, ShapeError
from tropnet.regions import Regions

__all__ = ["plot_regions"]

# Coordinates whose sums and squares are drawn without overflow.
_FARTHEST = 1e150


def plot_regions(regions: Regions, ax: Axes | None = None, *, output: int = 0, cmap: str = "viridis") -> Axes:
    """Draw a region map, each region filled by the network's value at the mean of its vertices.

    Parameters
    ----------
    regions
        Regions of a network with two inputs on a bounded domain.
    ax
        Axes to draw into; None makes a figure of its own (see ``ax.figure.savefig``).
    output
        The output whose value gives the colour.
    cmap
        Name of a Matplotlib colour map.

    Raises
    ------
    ShapeError
        The network does not have two inputs, or no such output.
    DomainError
        A region is unbounded, or reaches beyond 1e150, too far to draw: enumerate in a (smaller) box.

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
    net = regions.network
    if net.n_inputs != 2:
        raise ShapeError(f"a region map needs a network with 2 inputs, got {net.n_inputs}.")
    if not 0 <= output < net.n_outputs:
        raise ShapeError(f"output must lie in 0, ..., {net.n_outputs - 1}, got {output}.")
    unbounded = np.flatnonzero(~regions.bounded())
    if len(unbounded):
        raise DomainError(f"region {unbounded[0]} is unbounded; enumerate in a Box to draw a region map.")
    corners, offsets = regions.vertices()
    far = np.abs(corners).max(initial=0.0)
    if not far < _FARTHEST:
        raise DomainError(
            f"regions reach to {far:.2g}, too far to draw in float64; enumerate in a Box with sides below"
            f" {_FARTHEST:.0e}."
        )
    owner = np.repeat(np.arange(len(regions)), np.diff(offsets))
    centres = np.add.reduceat(corners, offsets[:-1]) / np.diff(offsets)[:, None]
    # Around each region, counterclockwise.
    x, y = (corners - centres[owner]).T
    polygons = np.split(corners[np.lexsort((np.arctan2(y, x), owner))], offsets[1:-1])[: len(regions)]
    weights, biases = regions.affine_maps()
    values = (weights[:, output] * centres).sum(axis=1) + biases[:, output]
    axes: Axes = Figure(figsize=(6, 5), layout="constrained").add_subplot() if ax is None else ax
    collection = PolyCollection(polygons, array=values, cmap=cmap, edgecolors="black", linewidths=0.4)
    axes.add_collection(collection)
    if len(corners):
        axes.set_xlim(corners[:, 0].min(), corners[:, 0].max())
        axes.set_ylim(corners[:, 1].min(), corners[:, 1].max())
    axes.set_aspect("equal")
    axes.set(
        xlabel="$x_1$",
        ylabel="$x_2$",
        title=f"{len(regions)} activation regions{'' if regions.complete else ' (incomplete)'}",
    )
    axes.figure.colorbar(collection, ax=axes, label="network output (at the mean of the vertices)")
    return axes

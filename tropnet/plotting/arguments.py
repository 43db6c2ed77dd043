"""What drawings are given, checked at the door: axes, regions, an output, a colour map."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from tropnet.errors import ShapeError
from tropnet.network.domain import Box
from tropnet.network.network import Network
from tropnet.regions import Regions

__all__ = [
    "axes_for",
    "colour_map",
    "counted",
    "legend_below",
    "limits_of",
    "new_figure",
    "output_number",
    "require_page",
    "require_regions",
]

# Inches below axes that numbers and a label take, and columns of a legend below them.
_LABELS, _COLUMNS = 0.45, 3


def new_figure(size: tuple[float, float] = (6, 5)) -> Figure:
    """Return a figure of a size in inches: at a prompt or in a notebook one that is shown, else its caller's only."""
    if hasattr(sys, "ps1"):
        from matplotlib import pyplot

        shown: Figure = pyplot.figure(figsize=size, layout="constrained")
        return shown
    return Figure(figsize=size, layout="constrained")


def legend_below(axes: Axes, title: str | None = None, handles: Sequence[Artist] | None = None) -> None:
    """Add a legend below the axes and their label, where it covers nothing that is drawn."""
    figure: Any = axes.figure
    place = axes.transAxes + ScaledTranslation(0.0, -_LABELS, figure.dpi_scale_trans)
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        bbox_transform=place,
        ncols=_COLUMNS,
        fontsize="small",
        frameon=False,
        handlelength=1.0,
        handletextpad=0.4,
        columnspacing=0.8,
        borderpad=0.0,
        title=title,
        title_fontsize="small",
        handles=axes.get_legend_handles_labels()[0] if handles is None else handles,
    )


def axes_for(ax: Axes | None, size: tuple[float, float] = (6, 5)) -> Axes:
    """Return flat axes to draw into: those given, or of a new figure of that size in inches.

    Raises
    ------
    TypeError
        `ax` is something else.
    ShapeError
        They are axes of a view in space, or polar.
    """
    if ax is None:
        return new_figure(size).add_subplot()
    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be Matplotlib's Axes, such as Figure().add_subplot(), got {type(ax).__name__}.")
    if hasattr(ax, "set_zlim"):
        raise ShapeError("this is drawn into flat axes, got axes made with projection='3d'.")
    if ax.name != "rectilinear":
        raise ShapeError(f"this is drawn into axes of x and y, got axes made with projection={ax.name!r}.")
    return ax


def limits_of(axes: Axes) -> Box | None:
    """Return what axes show, if that is set, as where a map is drawn already."""
    if axes.get_autoscalex_on() or axes.get_autoscaley_on():
        return None
    limits = np.sort([axes.get_xlim(), axes.get_ylim()], axis=1)
    return Box(limits[:, 0], limits[:, 1])


def require_regions(regions: Any) -> None:
    """Refuse, by a TypeError, what is not the regions of a network."""
    if not isinstance(regions, Regions):
        raise TypeError(f"regions must be what enumerate_regions returns, got {type(regions).__name__}.")


def require_page(path: str | os.PathLike[str]) -> None:
    """Refuse, by a ValueError, a file whose name does not say that it is a page."""
    if Path(path).suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"a page must be a .html or .htm file, got '{os.fspath(path)}'.")


def output_number(net: Network, output: Any) -> int:
    """Return which output is meant, from 0 on.

    Raises
    ------
    ShapeError
        There is no such output, or it is no integer.
    """
    whole = isinstance(output, int | np.integer) and not isinstance(output, bool)
    if not whole or not 0 <= output < net.n_outputs:
        raise ShapeError(f"output must lie in 0, ..., {net.n_outputs - 1}, got {output!r}.")
    return int(output)


def colour_map(cmap: Any) -> Colormap:
    """Return a colour map of Matplotlib by its name, or itself.

    Raises
    ------
    ValueError
        There is none of that name.
    """
    if isinstance(cmap, Colormap):
        return cmap
    if not isinstance(cmap, str) or cmap not in colormaps:
        raise ValueError(f"cmap must be the name of a Matplotlib colour map, such as 'viridis', got {cmap!r}.")
    return colormaps[cmap]


def counted(n: int) -> str:
    """Return how many regions there are, for a title."""
    return f"{n:,} activation region{'' if n == 1 else 's'}"

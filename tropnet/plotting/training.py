"""Regions while a network trains: counts against the steps, and maps in colours that stay, one or many in motion."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.animation import AbstractMovieWriter, FFMpegWriter, PillowWriter
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tropnet.archives import write_atomically
from tropnet.network.domain import Box
from tropnet.plotting.arguments import axes_for, counted
from tropnet.plotting.colours import LINES, colouring, fills
from tropnet.plotting.patches import patches
from tropnet.plotting.polygons import polygons, to_scale, view_of
from tropnet.polyhedral_complex.adjacency import find_edges
from tropnet.regions import Regions

__all__ = ["Frame", "Tables", "check_animation", "lasting_colours", "plot_counts", "plot_step", "write_animation"]

IndexArray = NDArray[np.int64]

_INCHES = 5.0


class Tables(NamedTuple):
    """What changes from step to step: the tables of a `RegionTracker`."""

    steps: IndexArray
    by_layer: IndexArray
    births: IndexArray
    deaths: IndexArray
    complete: NDArray[np.bool_]


class Frame(NamedTuple):
    """Regions, and the number of each, which it has at every step, int64 of shape (R,)."""

    regions: Regions
    numbers: IndexArray


def plot_counts(tables: Tables, ax: Axes | None = None) -> Axes:
    """Draw the regions of the first 1, ..., L layers against the step, and how many are born and die.

    A step whose list is incomplete has an open circle; births and deaths that are not known are left out.
    """
    axes = axes_for(ax, (6, 4))
    n_layers = tables.by_layer.shape[1]
    counts = tables.by_layer[:, -1] if n_layers else np.ones(len(tables.steps))
    names = ["layer 1", *(f"layers 1-{layer}" for layer in range(2, n_layers))]
    for layer in range(n_layers - 1):
        shade = 0.75 - 0.45 * layer / max(n_layers - 1, 1)
        axes.plot(tables.steps, tables.by_layer[:, layer], color=str(shade), linewidth=1, label=names[layer])
    axes.plot(tables.steps, counts, color=LINES[0], linewidth=1.8, label="all layers")
    for values, colour, label in ((tables.births, LINES[2], "born"), (tables.deaths, LINES[1], "gone")):
        known = np.where((values >= 0) & (np.arange(len(values)) > 0), values, np.nan)
        axes.plot(tables.steps, known, color=colour, linewidth=1, linestyle=":", marker=".", markersize=3, label=label)
    partial = ~tables.complete
    if partial.any():
        marks: dict[str, Any] = {"marker": "o", "facecolors": "white", "edgecolors": LINES[0], "zorder": 3}
        axes.scatter(tables.steps[partial], counts[partial], label="incomplete", **marks)
    axes.set(xlabel="step", ylabel="activation regions")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize="small")
    return axes


def lasting_colours(frames: Sequence[Frame]) -> IndexArray:
    """Return the colour of each number, the same in all frames; -1 for numbers in none.

    A number gets its colour in the first frame that has it, such that it differs from its neighbours there. Neighbours
    that meet later can have the same.
    """
    colours = np.full(1 + max((int(frame.numbers.max(initial=-1)) for frame in frames), default=-1), -1, dtype=np.int64)
    for regions, numbers in frames:
        edges = find_edges(regions)
        colours[numbers] = colouring(len(regions), edges.first, edges.second, colours[numbers])
    return colours


def plot_step(
    regions: Regions, colours: IndexArray, step: int, ax: Axes | None = None, view: Box | None = None
) -> Axes:
    """Draw regions in given colours, int64 of shape (R,)."""
    shown = view_of(regions, view)
    shapes = polygons(regions, shown)
    axes = axes_for(ax, (_INCHES, _INCHES))
    drawn = np.flatnonzero(np.diff(shapes.offsets))
    faces = patches(shapes, facecolors=fills(colours[drawn]), edgecolors="black", linewidths=0.4)
    axes.add_collection(faces, autolim=False)
    (x0, y0), (x1, y1) = shown.low, shown.high
    axes.set(
        xlim=(x0, x1), ylim=(y0, y1), aspect="equal" if to_scale(shown) else "auto", xlabel="$x_1$", ylabel="$x_2$"
    )
    incomplete = "" if regions.complete else " (incomplete)"
    axes.set_title(f"step {step:,}: {counted(len(regions))}{incomplete}")
    return axes


def check_animation(path: str | os.PathLike[str], per_second: float, dpi: int) -> None:
    """Raise if no animation can be written into such a file, or not at this pace or size.

    Raises
    ------
    ValueError
        The suffix is neither .gif nor .mp4; for .mp4, there is no ffmpeg; a number is out of range.
    """
    # A GIF counts the time of a picture in hundredths of a second, up to 655 s.
    for name, value, least, most in (("per_second", per_second, 0.01, 100), ("dpi", dpi, 10, 1000)):
        if not isinstance(value, int | float | np.number) or not least <= value <= most:
            raise ValueError(f"{name} must be a number from {least} to {most}, got {value!r}.")
    suffix = Path(path).suffix.lower()
    if suffix not in (".gif", ".mp4"):
        raise ValueError(f"an animation must be a .gif or .mp4 file, got '{os.fspath(path)}'.")
    if suffix == ".mp4" and not FFMpegWriter.isAvailable():
        raise ValueError("writing .mp4 needs the program ffmpeg, which was not found; install it or write a .gif.")


def write_animation(
    path: str | os.PathLike[str],
    frames: Sequence[Frame],
    steps: Sequence[int],
    view: Box | None,
    per_second: float,
    dpi: int,
) -> None:
    """Write the maps of all frames, in colours that stay and one view, by default that of the first."""
    suffix, colours = Path(path).suffix.lower(), lasting_colours(frames)
    shown = view_of(frames[0].regions, view)
    figure = Figure(figsize=(_INCHES, _INCHES), layout="constrained")
    axes = figure.subplots()
    made: dict[str, Any] = {".gif": PillowWriter, ".mp4": FFMpegWriter}
    writer: AbstractMovieWriter = made[suffix](fps=per_second)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / f"animation{suffix}"
        writer.setup(figure, str(place), dpi)
        try:
            for (regions, numbers), step in zip(frames, steps, strict=True):
                axes.clear()
                plot_step(regions, colours[numbers], step, axes, shown)
                writer.grab_frame()
        except BaseException:
            # Of no pictures, or of half of them, it makes an error of its own, which would hide this one.
            with suppress(Exception):
                writer.finish()
            raise
        writer.finish()
        data = place.read_bytes()
    write_atomically(path, lambda file: file.write(data))

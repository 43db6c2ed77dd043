"""A page for a browser: the regions of the plane or of space, to be looked at one by one."""

from __future__ import annotations

import base64
import html
import json
import os
import re
from importlib import resources
from typing import Any

import numpy as np
from matplotlib.colors import Colormap, to_hex
from numpy.typing import ArrayLike, NDArray
from plotly.offline import get_plotlyjs

from tropnet.archives import write_atomically
from tropnet.errors import ShapeError
from tropnet.network.domain import Box
from tropnet.plotting.arguments import colour_map, counted, output_number, require_page, require_regions
from tropnet.plotting.boundary import boundary_view, segments_in
from tropnet.plotting.colours import FILLS, LINES
from tropnet.plotting.fillings import class_polygons, colour_numbers, region_values
from tropnet.plotting.polygons import Polygons, layer_segments, polygons, to_scale, view_of
from tropnet.plotting.solids import Solids, solids
from tropnet.polyhedral_complex import DecisionBoundary, decision_boundary
from tropnet.polyhedral_complex.adjacency import Edges, find_edges
from tropnet.regions import Regions

__all__ = ["write_page"]

_PLANE, _SPACE = 2, 3
# Numbers are shown in so many colours; a region without one, whose area is infinite, in the last.
_SHADES = 64
_NONE = "#dddddd"
_TICKS = 6
_FEW = 2000


def write_page(
    regions: Regions,
    path: str | os.PathLike[str],
    *,
    color: str | ArrayLike = "pattern",
    output: int = 0,
    cmap: str = "viridis",
    view: Box | None = None,
    boundary: bool = False,
    shrink: float = 0.15,
) -> None:
    """Write an interactive page of the regions of a network with two or three inputs: one HTML file, read offline.

    The region under the pointer is highlighted with its neighbours, and a panel says its activation pattern by layer,
    its affine map, its area or volume, and the numbers of its neighbours with the neurons that flip between. The bent
    hyperplanes of each layer are switched on one after the other by a slider, or one by one in the legend. A button
    saves what is shown as PNG. Regions of three inputs are polyhedra, shrunk a little towards their centres.

    Parameters
    ----------
    regions
        Regions of a network with two inputs, or bounded ones of a network with three; fastest enumerated with
        ``facets=True``.
    path
        The file to write, `.html` or `.htm`, atomically.
    color, output, cmap
        As in `plot_regions`; with three inputs a region has one colour, and ``"class"`` is refused.
    view
        With two inputs, the `Box` to show first, as in `plot_regions`: unbounded regions end there.
    boundary
        With two inputs, whether to draw the decision boundary.
    shrink
        With three inputs, by which part polyhedra are shrunk, 0 to 1.

    Raises
    ------
    ShapeError
        The network does not have two or three inputs, or no such output; `color` is an array of the wrong shape, or
        something for two inputs was asked of three.
    DomainError
        A region of three inputs is unbounded, of two reaches beyond 1e150, or the view is unbounded.
    ValueError
        `color` is none of the words of `plot_regions`, `shrink` lies outside of 0 to 1, or `path` has another suffix.

    Notes
    -----
    The file holds plotly.js (5 MB, MIT licence), and for each region about 150 bytes, the bits of its pattern and
    its affine map; a content security policy forbids the page to fetch anything. Corners are float64, of
    `Regions.vertices`, in the plane with an `accuracy` of 1e-4.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from tropnet.enumeration import enumerate_regions
    >>> from tropnet.network.network import Network
    >>> regions = enumerate_regions(Network.random([2, 5, 1], seed=0), Box(-3, 3), facets=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_page(regions, Path(folder) / "map.html")
    ...     print([each.name for each in Path(folder).iterdir()])
    ['map.html']
    """
    require_regions(regions)
    require_page(path)
    net = regions.network
    if net.n_inputs not in (_PLANE, _SPACE):
        raise ShapeError(
            f"a page needs a network with 2 or 3 inputs, got {net.n_inputs}; restrict one of more inputs to a plane"
            " (Network.restrict), and draw one of a single input with plot_function."
        )
    output, colours = output_number(net, output), colour_map(cmap)
    tie = decision_boundary(regions) if boundary and net.n_inputs == _PLANE else None
    shown = None
    if net.n_inputs == _PLANE:
        shown = view_of(regions, view) if tie is None else boundary_view(tie, view)
    if not isinstance(shrink, int | float | np.number) or not 0 <= shrink < 1:
        raise ValueError(f"shrink must lie in 0 to 1, without 1, got {shrink!r}.")
    edges = find_edges(regions)
    shapes: Polygons | Solids
    if shown is not None:
        shapes = flat = polygons(regions, shown)
        parts = _flat(regions, flat, shown, tie)
    else:
        if boundary or view is not None or (isinstance(color, str) and color == "class"):
            raise ShapeError("classes, the decision boundary and a view are drawn of 2 inputs, the network has 3.")
        shapes = solid = solids(regions)
        parts = _solid(regions, solid, shrink)
    state = "" if regions.complete else " (incomplete)"
    title = f"{counted(len(regions))} of {net} in {regions.domain}{state}"
    data = {**_known(regions, edges), **parts, **_fill(regions, shapes, edges, color, output, colours)}
    # "<" would end the element that holds the data where a "/" follows.
    pieces = {
        "title": html.escape(title),
        "plotly": get_plotlyjs(),
        "data": json.dumps(data, allow_nan=False).replace("<", "\\u003c"),
        "script": _resource("page.js"),
    }
    page = re.sub(r"\{\{(\w+)\}\}", lambda name: pieces[name[1]], _resource("page.html"))
    write_atomically(path, lambda file: file.write(page.encode()))


def _resource(name: str) -> str:
    return resources.files("tropnet.plotting").joinpath(name).read_text(encoding="utf-8")


def _packed(values: NDArray[Any], kind: str) -> dict[str, str]:
    """Return an array as the page reads it, little-endian in base64; `kind` is float64, int32 or uint8."""
    raw = np.ascontiguousarray(values, dtype=np.dtype(kind).newbyteorder("<")).tobytes()
    return {"type": kind, "data": base64.b64encode(raw).decode()}


def _known(regions: Regions, edges: Edges) -> dict[str, Any]:
    """Return what the panel tells of the regions."""
    net = regions.network
    weights, biases = regions.affine_maps()
    return {
        "dimension": net.n_inputs,
        "widths": list(net.widths),
        "n_outputs": net.n_outputs,
        "patterns": _packed(regions.packed, "uint8"),
        "weights": _packed(weights, "float64"),
        "biases": _packed(biases, "float64"),
        "sizes": _packed(regions.volumes(), "float64"),
        "first": _packed(edges.first, "int32"),
        "second": _packed(edges.second, "int32"),
    }


def _flat(regions: Regions, shapes: Polygons, shown: Box, boundary: DecisionBoundary | None) -> dict[str, Any]:
    """Return polygons, bent hyperplanes and decision boundary."""
    tie = None if boundary is None else _packed(np.array(segments_in(boundary, shown)).reshape(-1, 4), "float64")
    # Of many regions, the lines between them are thinner.
    thin = min(1.0, max(0.5, (_FEW / max(len(regions), 1)) ** 0.5))
    return {
        "points": _packed(shapes.points, "float64"),
        "offsets": _packed(shapes.offsets, "int32"),
        "to_scale": to_scale(shown),
        "view": [float(end) for k in range(2) for end in (shown.low[k], shown.high[k])],
        "layers": [
            {**_layer(k), "width": thin * max(1.8 - 0.3 * k, 0.8), "segments": _packed(segments, "float64")}
            for k, segments in enumerate(layer_segments(regions, shapes, shown))
        ],
        "boundary": tie,
    }


def _solid(regions: Regions, shapes: Solids, shrink: float) -> dict[str, Any]:
    """Return polyhedra, and which of their faces belong to which layer."""
    ends = np.cumsum(regions.network.widths)
    neuron = np.maximum(shapes.rows, 0)
    # Each face between two regions is there twice, from the one that is active and from the other.
    once = shapes.rows >= 0
    once[once] = regions.patterns[shapes.owner[once], neuron[once]]
    layer = np.searchsorted(ends, neuron, side="right")
    return {
        "points": _packed(shapes.points, "float64"),
        "offsets": _packed(shapes.offsets, "int32"),
        "corners": _packed(shapes.corners, "int32"),
        "starts": _packed(shapes.starts, "int32"),
        "face_offsets": _packed(np.searchsorted(shapes.owner, np.arange(len(regions) + 1)), "int32"),
        "shrink": shrink,
        "layers": [
            {**_layer(k), "faces": _packed(np.flatnonzero(once & (layer == k)), "int32")} for k in range(len(ends))
        ],
    }


def _layer(k: int) -> dict[str, Any]:
    return {"name": f"layer {k + 1}", "colour": LINES[k % len(LINES)]}


def _fill(
    regions: Regions, shapes: Polygons | Solids, edges: Edges, color: str | ArrayLike, output: int, cmap: Colormap
) -> dict[str, Any]:
    """Return the colours, which of them each region has, and what they tell."""
    if isinstance(color, str) and color in ("pattern", "affine"):
        groups = colour_numbers(regions, color, edges) % len(FILLS)
        return {"colours": list(FILLS), "groups": _packed(groups, "uint8")}
    if isinstance(color, str) and color == "class" and isinstance(shapes, Polygons):
        classes = [
            {
                "name": f"class {label}",
                "colour": FILLS[label % len(FILLS)],
                "points": _packed(part.points, "float64"),
                "offsets": _packed(part.offsets, "int32"),
            }
            for label, part in class_polygons(regions, shapes).items()
        ]
        return {"colours": [], "groups": _packed(np.zeros(len(regions)), "uint8"), "classes": classes}
    numbers, label, logarithmic = region_values(regions, shapes.centres(), color, output)
    scaled = np.log10(numbers) if logarithmic else numbers
    known = np.isfinite(scaled)
    low, high = (float(scaled[known].min()), float(scaled[known].max())) if known.any() else (0.0, 1.0)
    shades = np.full(len(regions), _SHADES)
    share = (scaled[known] - low) / (high - low) if low < high else np.full(int(known.sum()), 0.5)
    shades[known] = np.minimum(share * _SHADES, _SHADES - 1)
    if not low < high:
        # The colour of a single value is that in the middle.
        low, high = low - max(0.5, abs(low) / 2), high + max(0.5, abs(high) / 2)
    colours = [to_hex(cmap((k + 0.5) / _SHADES)) for k in range(_SHADES)]
    return {
        "colours": [*colours, _NONE],
        "groups": _packed(shades, "uint8"),
        "colour_scale": {
            "label": re.sub(r"\$y(?:_\{(\d+)\})?\$", lambda name: f"y<sub>{name[1] or ''}</sub>", label),
            "low": low,
            "high": high,
            "steps": _SHADES,
            "ticks": _powers(low, high) if logarithmic else None,
        },
    }


def _powers(low: float, high: float) -> tuple[list[float], list[str]]:
    """Return the powers of ten to mark on a logarithmic scale, and what is written there."""
    step = max(1, int(np.ceil((high - low) / _TICKS)))
    ticks: list[float] = list(range(int(np.ceil(low)), int(np.floor(high)) + 1, step))
    if not ticks:
        return [low, high], [f"{10**end:.3g}" for end in (low, high)]
    return ticks, [f"10<sup>{tick}</sup>" for tick in ticks]

"""A page with a slider, the maps of regions at the steps of a training; needs the extra ``tropnet[interactive]``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from tropnet.archives import write_atomically
from tropnet.network.domain import Box
from tropnet.plotting.arguments import counted, require_page
from tropnet.plotting.colours import FILLS, LINES
from tropnet.plotting.polygons import polygons, to_scale, view_of
from tropnet.plotting.training import Frame, IndexArray, Tables, lasting_colours

__all__ = ["require_page", "write_slider"]

# Views for which float32 is enough: their size against their distance from 0, and what is far from under- and overflow.
_FINE, _LEAST, _MOST = 1e-2, 1e-30, 1e30


def write_slider(path: str | os.PathLike[str], frames: Sequence[Frame], tables: Tables, view: Box | None) -> None:
    """Write the page: on the left the map of a step, on the right the counts of all; plotly.js is within (5 MB).

    A map is one outline per colour, its polygons apart by gaps. Coordinates are float32
    where that is enough for the view.
    """
    colours = lasting_colours(frames)
    shown = view_of(frames[0].regions, view)
    kinds = np.unique(colours[colours >= 0] % len(FILLS))
    counts = np.array([len(frame.regions) for frame in frames])
    figure = make_subplots(1, 2, column_widths=[0.58, 0.42], subplot_titles=[_title(tables, counts, 0), ""])
    maps = [_map(frame, colours[frame.numbers], kinds, shown) for frame in frames]
    marks = [_mark(tables.steps[i], counts[i]) for i in range(len(frames))]
    for trace in maps[0]:
        figure.add_trace(trace, 1, 1)
    figure.add_trace(marks[0], 1, 2)
    for trace in _curves(tables, counts):
        figure.add_trace(trace, 1, 2)
    moving = list(range(len(kinds) + 1))
    heading = figure.layout.annotations[0].to_plotly_json()
    figure.frames = [
        go.Frame(
            data=[*traces, mark],
            traces=moving,
            name=str(step),
            layout={"annotations": [{**heading, "text": _title(tables, counts, i)}]},
        )
        for i, (traces, mark, step) in enumerate(zip(maps, marks, tables.steps.tolist(), strict=True))
    ]
    (x0, y0), (x1, y1) = shown.low.tolist(), shown.high.tolist()
    figure.update_xaxes(range=[x0, x1], constrain="domain", title="x<sub>1</sub>", row=1, col=1)
    figure.update_yaxes(
        title="x<sub>2</sub>",
        range=[y0, y1],
        constrain="domain",
        scaleanchor="x" if to_scale(shown) else None,
        row=1,
        col=1,
    )
    figure.update_xaxes(title="step", row=1, col=2)
    figure.update_yaxes(title="activation regions", rangemode="tozero", row=1, col=2)
    figure.update_layout(
        template="plotly_white", height=620, sliders=[_slider(tables.steps.tolist())], updatemenus=[_play()]
    )
    page = figure.to_html(include_plotlyjs=True, full_html=True, auto_play=False)
    write_atomically(path, lambda file: file.write(page.encode()))


def _title(tables: Tables, counts: IndexArray, i: int) -> str:
    """Return what stands above the map of a step."""
    text = f"step {tables.steps[i]:,}: {counted(counts[i])}"
    if i and tables.births[i] >= 0:
        text += f", {tables.births[i]:,} born, {tables.deaths[i]:,} gone"
    return text if tables.complete[i] else f"{text} (incomplete)"


def _map(frame: Frame, colours: IndexArray, kinds: IndexArray, view: Box) -> list[Any]:
    """Return one trace for each colour."""
    shapes = polygons(frame.regions, view)
    corners = np.split(shapes.points, shapes.offsets[1:-1])
    # Far from 0, float32 does not tell the points of a small view apart.
    far = np.abs([view.low, view.high]).max()
    exact = bool((view.high - view.low).min() < _FINE * far or not _LEAST < far < _MOST)
    traces = []
    for kind in kinds.tolist():
        own = [corners[i] for i in np.flatnonzero(colours % len(FILLS) == kind) if len(corners[i])]
        gap = np.full((1, 2), np.nan)
        outline = np.concatenate([part for polygon in own for part in (polygon, polygon[:1], gap)] or [gap])
        x, y = outline.astype(np.float64 if exact else np.float32).T
        traces.append(
            go.Scatter(
                x=x,
                y=y,
                mode="lines",
                fill="toself",
                fillcolor=FILLS[kind],
                line={"color": "black", "width": 0.6},
                hoverinfo="skip",
                showlegend=False,
            )
        )
    return traces


def _curves(tables: Tables, counts: IndexArray) -> list[Any]:
    """Return the curves of all steps: regions, births and deaths."""
    curves = (
        ("regions", counts, LINES[0], 0),
        ("born", tables.births, LINES[2], 1),
        ("gone", tables.deaths, LINES[1], 1),
    )
    return [
        go.Scatter(
            x=tables.steps[first:],
            y=np.where(values >= 0, values, np.nan)[first:],
            name=name,
            mode="lines",
            line={"color": colour},
        )
        for name, values, colour, first in curves
    ]


def _mark(step: Any, count: Any) -> Any:
    """Return the mark of a step on the curve of the regions."""
    return go.Scatter(
        x=[int(step)], y=[int(count)], mode="markers", marker={"color": LINES[0], "size": 10}, showlegend=False
    )


def _slider(steps: list[int]) -> dict[str, Any]:
    at_once = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
    return {
        "currentvalue": {"prefix": "step "},
        "x": 0.14,
        "len": 0.86,
        "pad": {"t": 40},
        "steps": [{"method": "animate", "label": str(step), "args": [[str(step)], at_once]} for step in steps],
    }


def _play() -> dict[str, Any]:
    moving = {"fromcurrent": True, "frame": {"duration": 250, "redraw": True}, "transition": {"duration": 0}}
    still = {"mode": "immediate", "frame": {"duration": 0, "redraw": False}}
    return {
        "type": "buttons",
        "direction": "left",
        "x": 0,
        "y": 0,
        "pad": {"t": 60},
        "xanchor": "left",
        "yanchor": "top",
        "showactive": False,
        "buttons": [
            {"label": "Play", "method": "animate", "args": [None, moving]},
            {"label": "Pause", "method": "animate", "args": [[None], still]},
        ],
    }

"""Many polygons as one artist."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.path import Path

from tropnet.plotting.polygons import Polygons

__all__ = ["patches"]


def patches(shapes: Polygons, **options: Any) -> PathCollection:
    """Return all polygons that have corners, in order, as one artist; `options` are those of a `PathCollection`.

    Matplotlib makes closed paths of polygons with the same number of corners ten times as fast as one by one.
    """
    counts = np.diff(shapes.offsets)
    paths = np.empty(len(counts), dtype=object)
    for count in np.unique(counts[counts > 0]).tolist():
        which = np.flatnonzero(counts == count)
        corners: Any = shapes.points[shapes.offsets[which][:, None] + np.arange(count)]
        paths[which] = PolyCollection(corners).get_paths()
    drawn: list[Path] = paths[counts > 0].tolist()
    return PathCollection(drawn, **options)

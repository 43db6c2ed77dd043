"""The functions of the plane that the first paper's networks learn, (55) to (58), and the grids they are taken on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["FUNCTIONS", "Samples", "grid", "phi_1", "phi_2", "phi_3", "phi_4", "sampled"]


def phi_1(points: NDArray[Any]) -> NDArray[Any]:
    """Return sin(log|x| + log|y|) at points (n, 2) off the axes."""
    return np.sin(np.log(np.abs(points)).sum(axis=1))


def phi_2(points: NDArray[Any]) -> NDArray[Any]:
    """Return sin(r) + r with r = sqrt(x^2 + y^2), as the garbled (56) is read."""
    r = np.hypot(*points.T)
    return np.sin(r) + r


def phi_3(points: NDArray[Any]) -> NDArray[Any]:
    """Return sin(cos(x/2)) sin(cos(y/2))."""
    return np.sin(np.cos(points / 2)).prod(axis=1)


def phi_4(points: NDArray[Any]) -> NDArray[Any]:
    """Return sin(tan(x/2)) sin(tan(y/2)), which oscillates without limit at odd multiples of pi."""
    return np.sin(np.tan(points / 2)).prod(axis=1)


FUNCTIONS: Mapping[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "phi_1": phi_1,
    "phi_2": phi_2,
    "phi_3": phi_3,
    "phi_4": phi_4,
}


class Samples(NamedTuple):
    """Points (n, 2), the function's values (n,) there, and how many points were left out, where it is undefined."""

    points: NDArray[Any]
    values: NDArray[Any]
    n_dropped: int


def grid(half_width: float, per_unit: int, offset: float = 0.0) -> NDArray[Any]:
    """Return the points of [-half_width, half_width]^2 whose coordinates are i / per_unit + offset, i integer.

    Examples
    --------
    >>> grid(1, 1)[:3].tolist(), len(grid(10, 10)), len(grid(10, 5, 0.1))
    ([[-1.0, -1.0], [-1.0, 0.0], [-1.0, 1.0]], 40401, 10000)
    """
    n = int(half_width * per_unit)
    # Divided, not multiplied: zero is zero and each tick is the float64 number nearest to it.
    ticks = np.arange(-n, n + 1) / per_unit + offset
    ticks = ticks[np.abs(ticks) <= half_width]
    return np.stack(np.meshgrid(ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 2)


def sampled(name: str, points: NDArray[Any]) -> Samples:
    """Return a function at those points where it is defined.

    Examples
    --------
    >>> sampled("phi_1", grid(10, 10)).n_dropped, sampled("phi_2", grid(10, 10)).n_dropped
    (401, 0)
    """
    defined = (points != 0).all(axis=1) if name == "phi_1" else np.ones(len(points), dtype=bool)
    return Samples(points[defined], FUNCTIONS[name](points[defined]), int((~defined).sum()))

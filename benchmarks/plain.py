"""Two plain loops, as anyone would write them first, uncertified and uncompiled: they fix the machine's scale."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.optimize import linprog

import tropnet as tn

_TOLERANCE = 1e-9


def count_by_linear_programs(net: tn.Network, half_width: float, max_regions: int | None = None) -> int:
    """Count regions in a box depth first: a neuron branches iff its minimum and maximum over the cell differ in sign.

    Two linear programs (`scipy.optimize.linprog`) per neuron and cell; stops at `max_regions`.
    """
    d = net.n_inputs
    count = 0
    for _ in _cells(net, np.empty((0, d)), np.empty(0), [], half_width):
        count += 1
        if count == max_regions:
            break
    return count


def _cells(net: tn.Network, A: np.ndarray, b: np.ndarray, bits: list[bool], half_width: float) -> Iterator[list[bool]]:
    if len(bits) == net.n_neurons:
        yield bits
        return
    *row, constant = _row(net, bits)
    box = [(-half_width, half_width)] * net.n_inputs
    low, high = (sign * linprog(sign * np.array(row), A_ub=A, b_ub=b, bounds=box).fun + constant for sign in (1, -1))
    if high > _TOLERANCE:
        yield from _cells(net, np.vstack([A, np.negative(row)]), np.append(b, constant), [*bits, True], half_width)
    if low < -_TOLERANCE:
        yield from _cells(net, np.vstack([A, row]), np.append(b, -constant), [*bits, False], half_width)


def _row(net: tn.Network, bits: list[bool]) -> list[float]:
    """Return (a | c) of the next neuron, composed anew from the pattern so far."""
    padded = np.zeros(net.n_neurons, dtype=bool)
    padded[: len(bits)] = bits
    rows = np.vstack(net.composed_maps(padded)[:-1])
    return rows[len(bits)].tolist()


def count_by_clipping(net: tn.Network, half_width: float, max_regions: int | None = None) -> int:
    """Count regions of a ReLU network in a square by cutting convex polygons, layer by layer, in pure Python."""
    w = half_width
    cells = [([(-w, -w), (w, -w), (w, w), (-w, w)], [[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])]
    for layer in net.hidden:
        weights = {source: weight.tolist() for source, weight in layer.weights.items()}
        after = []
        for polygon, outputs in cells:
            rows = [
                _compose([(weight[i], outputs[source]) for source, weight in weights.items()], c)
                for i, c in enumerate(layer.bias.tolist())
            ]
            parts = [(polygon, [])]
            for row in rows:
                parts = [
                    (part, [*active, row if side else [0.0, 0.0, 0.0]])
                    for whole, active in parts
                    for side, part in _split(whole, row)
                ]
            after += [(part, [*outputs, active]) for part, active in parts]
        cells = after
    return len(cells[:max_regions])


def _compose(terms: list[tuple[list[float], list[list[float]]]], constant: float) -> list[float]:
    row = [0.0, 0.0, constant]
    for weights, outputs in terms:
        for weight, output in zip(weights, outputs, strict=True):
            for j in range(3):
                row[j] += weight * output[j]
    return row


def _split(polygon: list[tuple[float, float]], row: list[float]) -> Iterator[tuple[bool, list[tuple[float, float]]]]:
    """Yield the parts of a convex polygon where the row is positive and where it is not."""
    a, b, c = row
    values = [a * x + b * y + c for x, y in polygon]
    if min(values) >= -_TOLERANCE or max(values) <= _TOLERANCE:
        yield max(values) > _TOLERANCE, polygon
        return
    sides: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    for i, ((x, y), value) in enumerate(zip(polygon, values, strict=True)):
        (u, v), before = polygon[i - 1], values[i - 1]
        if (value > 0) != (before > 0):
            t = before / (before - value)
            for side in sides.values():
                side.append((u + t * (x - u), v + t * (y - v)))
        sides[value > 0].append((x, y))
    yield from sides.items()

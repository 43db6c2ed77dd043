"""Composed rows in twofold precision: unevaluated sums of two float64 numbers, compiled, with bounds on their errors.

Products and sums are split without error into a rounded value and its rounding (Dekker 1971, doi:10.1007/BF01397083;
Knuth, The Art of Computer Programming 2, section 4.2.2), so cancellation costs 106 bits, not 53. What overflows on the
way becomes infinite or NaN, and proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from tropnet.arrays.patterns import BoolArray
from tropnet.arrays.rounding import EPSILON
from tropnet.arrays.types import FloatArray
from tropnet.kernels import compiled
from tropnet.network.layers import Layer
from tropnet.network.recurrence import chosen_slopes

__all__ = ["Twofold", "compose_twofold", "slacks"]

# One operation, relative to its operands; the true constant is below 2^-103 (Joldes et al. 2017, doi:10.1145/3121432).
_UNIT = 2.0**-98
# Products of small numbers lose their low part.
_TINY = 2.0**-1040
_SPLIT = 134217729.0


class Twofold(NamedTuple):
    """Numbers high + low, wrong by at most `error`; three float64 arrays of one shape."""

    high: FloatArray
    low: FloatArray
    error: FloatArray

    def take(self, rows: Any) -> Twofold:
        """Return some of the rows."""
        return Twofold(self.high[rows], self.low[rows], self.error[rows])


def compose_twofold(layers: Sequence[Layer], patterns: BoolArray, wanted: BoolArray, n_inputs: int) -> list[Twofold]:
    """Return the rows of the hidden layers for many patterns (m, n_neurons): shapes (m, n_l, d + 1).

    Rows that are neither `wanted`, of the patterns' shape, nor read by another layer are left out, and mean nothing.

    Examples
    --------
    1e17 (x + 1) - 1e17 x is 1e17; float64 keeps that only if nothing smaller is near.

    >>> first = Layer({0: np.array([[1e17], [1e17]])}, np.array([1.0, 0.0]), np.ones((2, 2)))
    >>> layers = [first, *(Layer({1: np.array([[1.0, -1.0]])}, np.zeros(1), np.ones((1, 2))) for _ in range(2))]
    >>> compose_twofold(layers, np.zeros((1, 3), dtype=bool), np.ones((1, 3), dtype=bool), 1)[1].high
    array([[[0., 1.]]])
    """
    m, width = len(patterns), n_inputs + 1
    eye = np.eye(n_inputs, width)[None]
    outputs, maps, start = [Twofold(eye, np.zeros_like(eye), np.zeros_like(eye))], [], 0
    for layer in layers[:-1]:
        rows = Twofold(*(np.zeros((m, layer.width, width)) for _ in range(3)))
        rows.high[:, :, -1] = layer.bias
        size = np.abs(rows.high)
        terms = 2
        bits, needed = (flags[:, start : start + layer.width] for flags in (patterns, wanted))
        chosen = chosen_slopes(layer, bits)
        if layer is not layers[-2]:
            needed = needed | (chosen != 0)
        start += layer.width
        with np.errstate(all="ignore"):
            for source, weight in layer.weights.items():
                matrix = sparse.csr_array(weight)
                terms += matrix.shape[1] + 1
                _accumulate(matrix.data, matrix.indices, matrix.indptr, needed, *outputs[source], *rows, size)
            rows.error[:] = (rows.error + terms * (_UNIT * size + _TINY)) * (1 + 4 * terms * EPSILON)
            high, low, error = (np.zeros_like(rows.high) for _ in range(3))
            _scale(chosen, *rows, high, low, error)
        maps.append(rows)
        outputs.append(Twofold(high, low, error))
    return maps


def slacks(rows: Twofold, points: FloatArray, owners: Any) -> tuple[FloatArray, FloatArray]:
    """Return b - a x for rows (a | b) (n, d + 1), row i at points[owners[i]], and bounds on the errors."""
    found, errors = np.empty(len(owners)), np.empty(len(owners))
    with np.errstate(all="ignore"):
        _slacks(*rows, points, owners, found, errors)
    return found, errors


@compiled(inline=True)
def _product(a: float, b: float) -> tuple[float, float]:
    """Return a b as a rounded product and what is missing."""
    p = a * b
    t = _SPLIT * a
    high = t - (t - a)
    low = a - high
    t = _SPLIT * b
    top = t - (t - b)
    rest = b - top
    return p, ((high * top - p) + high * rest + low * top) + low * rest


@compiled(inline=True)
def _sum(a: float, b: float) -> tuple[float, float]:
    """Return a + b as a rounded sum and what is missing."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


@compiled(inline=True)
def _add_product(high: float, low: float, w: float, x: float, y: float) -> tuple[float, float]:
    """Return high + low + w (x + y)."""
    p, rest = _product(w, x)
    s, missing = _sum(high, p)
    return _sum(s, missing + (low + (rest + w * y)))


@compiled(entry=True)
def _accumulate(
    data: Any, indices: Any, indptr: Any, needed: Any, from_high: Any, from_low: Any, from_error: Any, high: Any,
    low: Any, error: Any, size: Any,
) -> None:  # fmt: skip
    """Add a sparse matrix times the rows of a source, their errors, and the sizes of all terms."""
    for p in range(high.shape[0]):
        q = p if from_high.shape[0] > 1 else 0
        for i in range(high.shape[1]):
            if not needed[p, i]:
                continue
            for t in range(indptr[i], indptr[i + 1]):
                j, w = indices[t], data[t]
                for c in range(high.shape[2]):
                    x = from_high[q, j, c]
                    if x != 0.0:
                        high[p, i, c], low[p, i, c] = _add_product(high[p, i, c], low[p, i, c], w, x, from_low[q, j, c])
                        size[p, i, c] += abs(w * x)
                    error[p, i, c] += abs(w) * from_error[q, j, c]


@compiled(entry=True)
def _scale(
    slopes: Any, from_high: Any, from_low: Any, from_error: Any, high: Any, low: Any, error: Any
) -> None:  # fmt: skip
    """Multiply every row by its slope."""
    for p in range(high.shape[0]):
        for i in range(high.shape[1]):
            w = slopes[p, i]
            if w == 0.0:
                continue
            for c in range(high.shape[2]):
                x = from_high[p, i, c]
                high[p, i, c], low[p, i, c] = _add_product(0.0, 0.0, w, x, from_low[p, i, c])
                error[p, i, c] = abs(w) * from_error[p, i, c] * (1.0 + 1e-15) + 4.0 * _UNIT * abs(w * x) + _TINY


@compiled(entry=True)
def _slacks(high: Any, low: Any, error: Any, points: Any, owners: Any, found: Any, errors: Any) -> None:
    d = points.shape[1]
    for i in range(len(owners)):
        s, rest = high[i, d], low[i, d]
        size, wrong = abs(s), error[i, d]
        for k in range(d):
            x = points[owners[i], k]
            s, rest = _add_product(s, rest, -x, high[i, k], low[i, k])
            size += abs(x * high[i, k])
            wrong += abs(x) * error[i, k]
        found[i] = s
        errors[i] = wrong * (1.0 + 1e-12) + (d + 2) * (_UNIT * size + _TINY) + abs(rest)

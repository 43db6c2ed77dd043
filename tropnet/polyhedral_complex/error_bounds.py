"""Rows of many patterns in float64 with bounds on their errors, and what these prove."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tropnet.dyadic import FloatArray
from tropnet.layers import compose_bounded
from tropnet.network import Network
from tropnet.patterns import BoolArray

__all__ = ["PART", "bounded_rows", "parts", "surely_apart"]

# About 64 MB of float64 at a time.
PART = 1 << 23


def bounded_rows(net: Network, patterns: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return the rows of all layers, outputs last, for many patterns: (m, n, d + 1) in float64, and error bounds."""
    maps, errors = compose_bounded(net.layers, patterns, net.n_inputs)
    return np.concatenate(maps, axis=1), np.concatenate(errors, axis=1)


def parts(n: int, net: Network) -> Iterator[slice]:
    """Yield slices of n patterns whose composed maps fit in memory together."""
    size = max(1, PART // ((net.n_inputs + 1) * max(net.n_neurons + net.n_outputs, 1)))
    return (slice(i, i + size) for i in range(0, n, size))


def surely_apart(maps: FloatArray, errors: FloatArray, h: FloatArray, e: FloatArray) -> BoolArray:
    """Return which rows (m, k, d + 1), known up to `errors`, surely are no multiples of `h` (m, d + 1), up to `e`."""
    m, pivot = np.arange(len(h)), np.argmax(np.abs(h), axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        p, pe = h[m, pivot, None, None], e[m, pivot, None, None]
        q, qe = maps[m, :, pivot, None], errors[m, :, pivot, None]
        h, e = h[:, None], e[:, None]
        gap = np.abs(maps * p - q * h)
        bound = errors * np.abs(p) + (np.abs(maps) + errors) * pe + qe * np.abs(h) + (np.abs(q) + qe) * e
        bound += 8 * np.finfo(np.float64).eps * (np.abs(maps * p) + np.abs(q * h)) + np.finfo(np.float64).tiny
        return np.asarray((gap > bound * (1 + 1e-9)).any(axis=2))

"""What lies beyond a facet: which neurons flip there. In float64 with bounds on errors, or over the integers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.chunks import chunks
from tropnet.arrays.patterns import BoolArray
from tropnet.arrays.rounding import EPSILON, SMALLEST_NORMAL
from tropnet.arrays.types import FloatArray
from tropnet.network.network import Network
from tropnet.network.recurrence import Composition, compose_bounded

__all__ = ["bounded_rows", "multiples", "parts", "pattern_beyond", "surely_apart", "surely_single"]


def pattern_beyond(net: Network, pattern: BoolArray, neuron: int) -> BoolArray:
    """Return the pattern across the facet of `neuron`, the first on it, exactly, layer by layer.

    A neuron whose pre-activation beyond the facet is a multiple c h of the facet's hyperplane (h > 0 on this side) is
    active there iff c < 0, every other keeps its bit.
    """
    beyond = pattern.copy()
    maps = Composition.of(net.integers.layers, net.n_inputs)
    hyperplane: list[int] | None = None
    start = 0
    for layer in net.hidden:
        rows = maps.enter()
        bits = beyond[start : start + layer.width]
        if hyperplane is None and neuron < start + layer.width:
            row = rows[neuron - start].tolist()
            hyperplane = row if pattern[neuron] else [-value for value in row]
        if hyperplane is not None:
            tied, factor = multiples(rows, hyperplane)
            bits[tied] = (factor < 0)[tied]
            bits[layer.affine_neurons] = False
        maps.decide(bits)
        start += layer.width
    return beyond


def surely_single(net: Network, patterns: BoolArray, neurons: NDArray[np.int64]) -> BoolArray:
    """Return where it is certain that only `neurons[i]` flips beyond the facet of `neurons[i]` of `patterns[i]`."""
    sure = np.zeros(len(patterns), dtype=np.bool_)
    for part in parts(len(patterns), net):
        flipped = patterns[part].copy()
        m = np.arange(len(flipped))
        flipped[m, neurons[part]] ^= True
        maps, errors = (rows[:, : net.n_neurons] for rows in bounded_rows(net, flipped))
        apart = surely_apart(maps, errors, maps[m, neurons[part]], errors[m, neurons[part]])
        apart[m, neurons[part]] = True
        sure[part] = (apart | net.affine_neurons).all(axis=1)
    return sure


def multiples(rows: NDArray[Any], hyperplane: Sequence[int]) -> tuple[BoolArray, NDArray[Any]]:
    """Return which integer rows are multiples of `hyperplane`, zero included, and numbers with the factors' signs."""
    pivot = next(i for i, value in enumerate(hyperplane) if value)
    factors = rows[:, pivot] * hyperplane[pivot]
    target = rows[:, pivot, None] * np.array(hyperplane, dtype=object)[None]
    equal = np.asarray(rows * hyperplane[pivot] == target, dtype=np.bool_)
    return np.asarray(equal.all(axis=1)), factors


def bounded_rows(net: Network, patterns: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return the rows of all layers, outputs last, for many patterns: (m, n, d + 1) in float64, and error bounds."""
    maps, errors = compose_bounded(net.layers, patterns, net.n_inputs)
    return np.concatenate(maps, axis=1), np.concatenate(errors, axis=1)


def parts(n: int, net: Network) -> Iterator[slice]:
    """Yield slices of n patterns whose composed maps fit in memory together."""
    return chunks(n, (net.n_inputs + 1) * (net.n_neurons + net.n_outputs))


def surely_apart(maps: FloatArray, errors: FloatArray, h: FloatArray, e: FloatArray) -> BoolArray:
    """Return which rows (m, k, d + 1), known up to `errors`, surely are no multiples of `h` (m, d + 1), up to `e`."""
    m, pivot = np.arange(len(h)), np.argmax(np.abs(h), axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        p, pe = h[m, pivot, None, None], e[m, pivot, None, None]
        q, qe = maps[m, :, pivot, None], errors[m, :, pivot, None]
        h, e = h[:, None], e[:, None]
        gap = np.abs(maps * p - q * h)
        bound = errors * np.abs(p) + (np.abs(maps) + errors) * pe + qe * np.abs(h) + (np.abs(q) + qe) * e
        bound += 8 * EPSILON * (np.abs(maps * p) + np.abs(q * h)) + SMALLEST_NORMAL
        return np.asarray((gap > bound * (1 + 1e-9)).any(axis=2))

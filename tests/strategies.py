"""Hypothesis strategies that draw whole valid inputs: networks and domains, degenerate ones on purpose.

Everything drawn is finite float64, so every oracle can read it exactly. What shrinks, shrinks to few neurons, small
integers, ReLU and no domain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.oracles.exact import HalfSpace
from tropnet import Box, Domain, Layer, Network, Polytope
from tropnet.network.domain import as_domain

__all__ = ["domains", "halfspaces", "networks", "points", "problems", "systems"]

FloatArray = NDArray[np.float64]

RELU = (0.0, 1.0)
# Leaky, absolute value, swapped, mirrored, both negative, and two that split nothing.
SLOPES = [RELU, (0.125, 1.0), (0.01, 1.0), (-1.0, 1.0), (1.0, 0.0), (2.0, -1.0), (-0.5, -2.0), (1.0, 1.0), (0.0, 0.0)]


def halfspaces(domain: Domain | None, dimension: int) -> list[HalfSpace]:
    """Return the half-spaces of a domain as the oracles read them: a list of pairs (a, b)."""
    A, b = as_domain(domain, dimension).halfspaces
    return list(zip(A.tolist(), b.tolist(), strict=True))


# --- numbers


Sampler = Callable[..., FloatArray]


def _sampler(draw: st.DrawFn) -> Sampler:
    """Draw a kind of arithmetic and return a function that draws arrays of it."""
    kind = draw(st.sampled_from(["integers", "dyadic", "decimal", "generic"]))
    if kind == "generic":
        # One seed instead of many floats: these do not shrink, the other kinds do.
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        return lambda *shape: rng.normal(size=shape)
    bound, unit = {"integers": (3, 1), "dyadic": (24, 8), "decimal": (9, 10)}[kind]

    def sample(*shape: int) -> FloatArray:
        size = int(np.prod(shape))
        values = draw(st.lists(st.integers(-bound, bound), min_size=size, max_size=size))
        return np.array(values, dtype=np.float64).reshape(shape) / unit

    return sample


# --- networks


@dataclass
class _Draft:
    """A network that is still being changed: weights by source and biases of every layer, slopes of the hidden ones."""

    weights: list[dict[int, FloatArray]]
    biases: list[FloatArray]
    slopes: list[FloatArray]

    def finish(self, n_inputs: int) -> Network:
        slopes = [*self.slopes, np.ones((len(self.biases[-1]), 2))]
        parts = zip(self.weights, self.biases, slopes, strict=True)
        return Network([Layer(*part) for part in parts], n_inputs)

    def copy_row(self, layer: int, source: int, target: int, factor: float) -> None:
        """Overwrite neuron `target` of a layer by a multiple of neuron `source`."""
        for matrix in self.weights[layer].values():
            matrix[target] = factor * matrix[source]
        self.biases[layer][target] = factor * self.biases[layer][source]


def _hidden_layer(draw: st.DrawFn, draft: _Draft) -> int:
    return draw(st.integers(0, len(draft.slopes) - 1))


def _two_neurons(draw: st.DrawFn, draft: _Draft) -> tuple[int, int, int]:
    layer = _hidden_layer(draw, draft)
    width = len(draft.biases[layer])
    return layer, draw(st.integers(0, width - 1)), draw(st.integers(0, width - 1))


def _zero_biases(draw: st.DrawFn, draft: _Draft) -> None:
    draft.biases[_hidden_layer(draw, draft)][:] = 0


def _kill(draw: st.DrawFn, draft: _Draft) -> None:
    """Make a neuron read nothing: it is constant, and identically zero where the bias is."""
    layer, neuron, _ = _two_neurons(draw, draft)
    for matrix in draft.weights[layer].values():
        matrix[neuron] = 0
    draft.biases[layer][neuron] = draw(st.sampled_from([0.0, 1.0, -1.0]))


def _duplicate(draw: st.DrawFn, draft: _Draft) -> None:
    """Take a hyperplane twice, on the same or the other side; 0.1 makes the copy a rounded one."""
    draft.copy_row(*_two_neurons(draw, draft), draw(st.sampled_from([1.0, -1.0, 2.0, -3.0, 0.1])))


def _shift(draw: st.DrawFn, draft: _Draft) -> None:
    """Make two hyperplanes parallel."""
    layer, source, target = _two_neurons(draw, draft)
    bias = draft.biases[layer][target]
    draft.copy_row(layer, source, target, draw(st.sampled_from([1.0, -1.0])))
    draft.biases[layer][target] = bias


def _concur(draw: st.DrawFn, draft: _Draft) -> None:
    """Take the first layer's hyperplanes through one point, up to the rounding of the biases."""
    matrix = draft.weights[0][0]
    point = np.array(draw(st.lists(st.integers(-2, 2), min_size=matrix.shape[1], max_size=matrix.shape[1])))
    draft.biases[0] = -(matrix @ point.astype(np.float64))


def _cancel(draw: st.DrawFn, draft: _Draft) -> None:
    """Make a neuron nu_j - s_pos z_j, which is identically zero where neuron j is active, by its skips alone."""
    if len(draft.slopes) < 2:
        return
    layer = draw(st.integers(1, len(draft.slopes) - 1))
    j = draw(st.integers(0, len(draft.biases[layer - 1]) - 1))
    target = draw(st.integers(0, len(draft.biases[layer]) - 1))
    slope = draft.slopes[layer - 1][j, 1]
    below = draft.weights[layer - 1]
    for source, matrix in below.items():
        draft.weights[layer].setdefault(source, np.zeros((len(draft.biases[layer]), matrix.shape[1])))
    for source, matrix in draft.weights[layer].items():
        matrix[target] = -slope * below[source][j] if source in below else 0
    # Without the path through layer j there would be nothing to cancel.
    draft.weights[layer].setdefault(layer, np.zeros((len(draft.biases[layer]), len(draft.biases[layer - 1]))))
    draft.weights[layer][layer][target, j] = 1
    draft.biases[layer][target] = -slope * draft.biases[layer - 1][j]


def _nudge(draw: st.DrawFn, draft: _Draft) -> None:
    """Take two hyperplanes that differ in the last bit: a sliver of a cell, or none."""
    layer, source, target = _two_neurons(draw, draft)
    draft.copy_row(layer, source, target, draw(st.sampled_from([1.0, -1.0])))
    up = draw(st.sampled_from([np.inf, -np.inf]))
    matrix = draft.weights[layer][draw(st.sampled_from(sorted(draft.weights[layer])))]
    column = draw(st.integers(0, matrix.shape[1]))
    if column == matrix.shape[1]:
        draft.biases[layer][target] = np.nextafter(draft.biases[layer][target], up)
    else:
        matrix[target, column] = np.nextafter(matrix[target, column], up)


def _rescale(draw: st.DrawFn, draft: _Draft) -> None:
    """Give a hyperplane coefficients of another magnitude."""
    layer, neuron, _ = _two_neurons(draw, draft)
    draft.copy_row(layer, neuron, neuron, 2.0 ** draw(st.integers(-70, 70)))


_EXACT = [_zero_biases, _kill, _duplicate, _shift, _concur, _cancel]
_NEARLY = [*_EXACT, _nudge, _rescale]


def _shapes(max_neurons: int, max_hidden: int) -> list[tuple[int, ...]]:
    """Return all tuples of hidden widths, small ones first."""
    shapes = [
        widths
        for n_hidden in range(max_hidden + 1)
        for widths in product(range(1, max_neurons + 1), repeat=n_hidden)
        if sum(widths) <= max_neurons
    ]
    return sorted(shapes, key=lambda widths: (sum(widths), len(widths)))


def _sources(draw: st.DrawFn, kind: str, layer: int, widths: tuple[int, ...]) -> dict[int, int]:
    """Return the sources of a layer (from 1), each with the source whose matrix it uses."""
    previous = layer - 1
    if kind == "dense":
        chosen = draw(st.sets(st.integers(0, previous), min_size=1)) if layer > 1 else {0}
        return {k: k for k in chosen}
    if kind == "skips":
        fitting = [k for k in range(previous) if widths[k] == widths[previous]]
        skips = draw(st.sets(st.sampled_from(fitting))) if fitting else set()
        return dict.fromkeys((previous, *skips), previous)
    return {previous: previous}


@st.composite
def networks(
    draw: st.DrawFn,
    n_inputs: int | None = None,
    *,
    max_neurons: int = 7,
    max_hidden: int = 3,
    nearly_degenerate: bool = True,
) -> Network:
    """Draw a network of 1 to 3 inputs and at most `max_neurons` hidden neurons in at most `max_hidden` layers.

    A layer reads the one before; or also earlier ones through the same matrix (the papers' skips, wherever widths are
    equal); or any sources through matrices of their own (dense sources, projections). Up to three degenerate changes
    follow; `nearly_degenerate` includes those that are off by one rounding.
    """
    d = draw(st.integers(1, 3)) if n_inputs is None else n_inputs
    sample = _sampler(draw)
    hidden = draw(st.sampled_from(_shapes(max_neurons, max_hidden)))
    widths = (d, *hidden, draw(st.integers(1, 2)))
    kind = draw(st.sampled_from(["chain", "skips", "dense"]))
    weights, biases = [], []
    for layer in range(1, len(widths)):
        sources = _sources(draw, kind, layer, widths)
        matrices = {k: sample(widths[layer], widths[k]) for k in sorted(set(sources.values()))}
        weights.append({k: matrices[own].copy() for k, own in sources.items()})
        biases.append(sample(widths[layer]))
    style = draw(st.sampled_from(["relu", "shared", "own"]))
    shared = draw(st.sampled_from(SLOPES)) if style == "shared" else RELU
    pairs = [draw(st.sampled_from(SLOPES)) if style == "own" else shared for _ in range(sum(hidden))]
    splits = np.cumsum(hidden)[:-1]
    slopes = np.split(np.array(pairs, dtype=np.float64).reshape(-1, 2), splits) if hidden else []
    draft = _Draft(weights, biases, slopes)
    changes = _NEARLY if nearly_degenerate else _EXACT
    for change in draw(st.lists(st.sampled_from(changes), max_size=3)) if hidden else []:
        change(draw, draft)
    return draft.finish(d)


# --- domains


@st.composite
def _boxes(draw: st.DrawFn, d: int, *, bounded: bool) -> Box:
    unit = draw(st.sampled_from([1.0, 0.125, 0.1, 10.0]))
    sides = draw(st.sampled_from(["one number", "one per input"]))
    n = 1 if sides == "one number" else d
    low = np.array(draw(st.lists(st.integers(-4, 1), min_size=n, max_size=n))) * unit
    high = low + np.array(draw(st.lists(st.integers(1, 6), min_size=n, max_size=n))) * unit
    if not bounded:
        open_sides = draw(st.lists(st.sampled_from(["", "low", "high", "both"]), min_size=n, max_size=n))
        low[[side in ("low", "both") for side in open_sides]] = -np.inf
        high[[side in ("high", "both") for side in open_sides]] = np.inf
    return Box(low[0], high[0]) if sides == "one number" else Box(low, high)


@st.composite
def _polytopes(draw: st.DrawFn, d: int, *, bounded: bool) -> Polytope:
    """Draw half-spaces around a point; without a box around it that is half-spaces, strips, wedges, cones."""
    integer = st.integers(-3, 3)
    centre = np.array(draw(st.lists(integer, min_size=d, max_size=d)), dtype=np.float64)
    row = st.lists(integer, min_size=d, max_size=d)
    rows = np.array(draw(st.lists(row, min_size=0 if bounded else 1, max_size=4)), dtype=np.float64).reshape(-1, d)
    if draw(st.booleans()):
        rows = np.concatenate([rows, -rows])
    if bounded:
        rows = np.concatenate([rows, np.eye(d), -np.eye(d)])
    # Exact: small integers and powers of two, so the centre is strictly inside however thin the slab.
    slack = draw(st.lists(st.sampled_from([1.0, 4.0, 2.0**-3, 2.0**-40]), min_size=len(rows), max_size=len(rows)))
    return Polytope(rows, rows @ centre + slack)


def domains(d: int, *, bounded: bool = False) -> st.SearchStrategy[Domain | None]:
    """Draw a domain with interior in R^d; all kinds, or bounded boxes and polytopes only."""
    if bounded:
        return _boxes(d, bounded=True) | _polytopes(d, bounded=True)
    return (
        st.none()
        | _boxes(d, bounded=True)
        | _boxes(d, bounded=False)
        | _polytopes(d, bounded=True)
        | _polytopes(d, bounded=False)
    )


@st.composite
def problems(
    draw: st.DrawFn, n_inputs: int | None = None, *, max_neurons: int = 7, nearly_degenerate: bool = True
) -> tuple[Network, Domain | None]:
    """Draw a network and a domain for it."""
    net = draw(networks(n_inputs, max_neurons=max_neurons, nearly_degenerate=nearly_degenerate))
    return net, draw(domains(net.n_inputs))


# --- points and systems of inequalities


def points(d: int, n: int) -> st.SearchStrategy[list[list[float]]]:
    """Draw `n` float64 points in R^d, many of them on small integers and thus on hyperplanes."""
    coordinate = st.integers(-4, 4).map(float) | st.floats(-8, 8)
    return st.lists(st.lists(coordinate, min_size=d, max_size=d), min_size=n, max_size=n)


@st.composite
def systems(draw: st.DrawFn, d: int) -> list[tuple[int, ...]]:
    """Draw integer rows (a | c), each meaning a x + c > 0 with a != 0, around the edge between empty and not."""
    row = st.lists(st.integers(-3, 3), min_size=d, max_size=d).filter(any)
    normals = draw(st.lists(row, min_size=1, max_size=7))
    offset = st.integers(-3, 3)
    rows = [(*a, draw(offset)) for a in normals]
    if draw(st.booleans()):
        # The negative sum of the rows, shifted: a point, a slice or a sliver is left, or nothing.
        total = np.sum(rows, axis=0)
        if total[:-1].any():
            *a, c = (-total).tolist()
            rows.append((*a, c + draw(st.integers(-1, 1))))
    factor = draw(st.sampled_from([1, 7, 10**30]))
    return [tuple(factor * value for value in row) for row in rows]

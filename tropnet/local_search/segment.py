"""The activation regions that a segment crosses, exactly, in any number of inputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from tropnet.arrays.checks import finite_array
from tropnet.arrays.patterns import BoolArray
from tropnet.arrays.types import FloatArray, IntegerArray
from tropnet.errors import DomainError, ShapeError
from tropnet.exact.dyadic import nearest_float, to_integers
from tropnet.network.layers import Layer
from tropnet.network.network import Network, dense_network
from tropnet.network.recurrence import Composition

__all__ = ["SegmentRegions", "regions_on_segment"]


@dataclass(frozen=True, eq=False)
class SegmentRegions:
    """The pieces of a segment x(t) = start + t (end - start), 0 <= t <= 1, on which the activation pattern is constant.

    Attributes
    ----------
    network, start, end
        Where the pieces live.
    exact_breakpoints
        The m + 1 ends of the m pieces, exactly: 0 = t_0 < ... < t_m = 1. Piece i is t_i < t < t_{i + 1}.
    patterns
        bool, shape (m, n_neurons): the pattern on each piece; neighbours differ.
    outputs
        float64, shape (m + 1, n_outputs): the network at the breakpoints, each value the nearest to the exact one.
    slopes
        float64, shape (m, n_outputs): the derivative of the outputs with respect to t on each piece, likewise.
    """

    network: Network
    start: FloatArray
    end: FloatArray
    exact_breakpoints: tuple[Fraction, ...]
    patterns: BoolArray
    outputs: FloatArray
    slopes: FloatArray

    def __len__(self) -> int:
        return len(self.patterns)

    @property
    def breakpoints(self) -> FloatArray:
        """The breakpoints, float64 of shape (m + 1,), each the nearest to the exact one (so two can coincide)."""
        return np.array([_nearest(t) for t in self.exact_breakpoints])

    @property
    def lengths(self) -> FloatArray:
        """The length of each piece in t, float64 of shape (m,), positive: exact differences, rounded once."""
        return np.array([_nearest(high - low) for low, high in pairwise(self.exact_breakpoints)])

    @property
    def points(self) -> FloatArray:
        """The points x(t) at the breakpoints, float64 of shape (m + 1, d), rounded."""
        t = self.breakpoints[:, None]
        return np.asarray((1 - t) * self.start + t * self.end)

    def __repr__(self) -> str:
        return f"SegmentRegions({len(self)} pieces, {self.network})"


def regions_on_segment(net: Network, x0: ArrayLike, x1: ArrayLike) -> SegmentRegions:
    """Find all activation patterns along the segment from x0 to x1, in order, and where they change.

    On the segment every pre-activation is a piecewise affine function of t alone, where x(t) = x0 + t (x1 - x0). Layer
    by layer, a piece is cut at the roots of the pre-activations that change sign strictly inside it. All of that
    happens over the integers: the order and coincidence of breakpoints are exact for the stored float64 network and
    the exact line through the two float64 points.

    Parameters
    ----------
    net
        The network.
    x0, x1
        float64, shape (d,); they must differ.

    Returns
    -------
    SegmentRegions
        Breakpoints and patterns. Several neurons that change at one point make one breakpoint. Where the segment runs
        inside a neuron's hyperplane the bit is False, so such a pattern need not be that of a region with interior.

    Raises
    ------
    ShapeError, NonFiniteError
        A point has another shape or is not finite.
    DomainError
        x0 equals x1.
    UnsupportedModuleError
        `net` is no `Network`.

    Notes
    -----
    Costs O(n_1 d) integer products once; then, from one piece to the next, O(n_l) for every neuron below layer l whose
    output changes. The integers grow by some 80 bits with every layer. A random network 784-200-200-200-10 takes
    half a second.

    Examples
    --------
    >>> net = Network.mlp([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0]]], [[0.0, -1.0], [0.0]])
    >>> pieces = regions_on_segment(net, [-1.0, 0.0], [1.0, 4.0])
    >>> pieces.breakpoints
    array([0.  , 0.25, 0.5 , 1.  ])
    >>> pieces.patterns.astype(int).tolist()
    [[0, 0], [0, 1], [1, 1]]
    >>> pieces.outputs.ravel(), pieces.slopes.ravel()
    (array([0., 0., 1., 4.]), array([0., 4., 6.]))
    """
    net = dense_network(net)
    start, end = finite_array(x0, "x0"), finite_array(x1, "x1")
    if not start.shape == end.shape == (net.n_inputs,):
        raise ShapeError(f"x0 and x1 must have shape ({net.n_inputs},), got {start.shape} and {end.shape}.")
    if (start == end).all():
        raise DomainError("x0 and x1 must differ, got the same point twice: there is no segment between them.")
    layers, exponent = _on_line(net, start, end)
    cuts, patterns, forms = [Fraction(0)], [], []
    for high, pattern, form in _pieces(layers, net.n_neurons):
        cuts.append(high)
        patterns.append(pattern)
        forms.append(form.tolist())
    scale = 1 << exponent
    slopes = [[nearest_float(a, scale) for a, _ in form] for form in forms]
    # Continuous, so either piece gives the value at a breakpoint.
    outputs = [
        [nearest_float(a * t.numerator + c * t.denominator, scale * t.denominator) for a, c in form]
        for t, form in zip(cuts, [forms[0], *forms], strict=True)
    ]
    return SegmentRegions(net, start, end, tuple(cuts), np.array(patterns), np.array(outputs), np.array(slopes))


def _on_line(net: Network, x0: FloatArray, x1: FloatArray) -> tuple[list[Layer], int]:
    """Return integer layers of the network of t, and the exponent of its outputs."""
    (start, end), shift = to_integers(np.stack([x0, x1]))
    columns = np.stack([end - start, start], axis=1)
    layers = []
    for layer in net.integers.layers:
        bias, weights = layer.bias << shift, dict(layer.weights)
        if 0 in weights:
            line = weights[0] @ columns
            weights[0], bias = line[:, :1], bias + line[:, 1]
        layers.append(replace(layer, weights=weights, bias=bias))
    return layers, net.integers.exponents[-1] + shift


def _pieces(layers: list[Layer], n_neurons: int) -> Iterator[tuple[Fraction, BoolArray, IntegerArray]]:
    """Yield the pieces of 0 < t < 1 from left to right: right end, pattern, and output rows (a | c) for a t + c.

    Depth first, layer by layer; a layer's rows are updated by what has changed in its sources since it was last
    entered.
    """
    maps = Composition.of(layers, 1)
    starts = np.cumsum([0, *(layer.width for layer in layers)]).tolist()
    pattern = np.zeros(n_neurons, dtype=np.bool_)
    stack = [(-1, Fraction(0), Fraction(1), pattern)]
    while stack:
        above, low, high, bits = stack.pop()
        if above >= 0:
            pattern[starts[above] : starts[above + 1]] = bits
        index = above + 1
        rows = maps.follow(pattern, index)
        if index == len(layers) - 1:
            yield high, pattern.copy(), rows
        else:
            affine = layers[index].affine_neurons
            stack += [(index, *part) for part in _split(rows, affine, low, high)][::-1]


def _split(
    rows: IntegerArray, affine: BoolArray, low: Fraction, high: Fraction
) -> Iterator[tuple[Fraction, Fraction, BoolArray]]:
    """Yield the parts of low < t < high, left to right, and on each the bits a t + c > 0 of the rows (a | c)."""
    left, right = (rows[:, 0] * t.numerator + rows[:, 1] * t.denominator for t in (low, high))
    crossing = np.flatnonzero(((left > 0) & (right < 0) | (left < 0) & (right > 0)) & ~affine)
    roots = {int(i): Fraction(-rows[i, 1], rows[i, 0]) for i in crossing}
    bits = np.asarray(((left > 0) | (left == 0) & (right > 0)) & ~affine, dtype=np.bool_)
    for a, b in pairwise([low, *sorted(set(roots.values())), high]):
        here = bits.copy()
        for i, root in roots.items():
            here[i] ^= root <= a
        yield a, b, here


def _nearest(value: Fraction) -> float:
    return nearest_float(value.numerator, value.denominator)

"""Upper bounds on the number of activation regions, from widths and wiring alone.

On a cell of the layers before it, layer l is affine with a linear part of some rank r, so its hyperplanes cut the cell
into at most ``zaslavsky_bound(n_l, r)`` parts; the bounds differ in how well they bound r.

Published for chains, where r is at most the least width so far (Montufar) or the least number of neurons so far whose
output is not constant on the cell (Serra et al.). With skips the layers in between no longer limit r, and the least
width becomes a least cut: if every path from the input to the sources of layer l passes through the layers C, then on
the cell the sources are affine functions of the outputs of C, so r is at most the number of neurons of C that are not
constant there; C = {0}, the input, gives r <= d.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import log10, prod
from typing import NamedTuple

import numpy as np

from tropnet.arrays.checks import as_count
from tropnet.network.network import Network, as_network

__all__ = ["RegionBounds", "region_bounds", "rounded_up", "zaslavsky_bound"]

_LONG_INTEGER = 10**15

_Layers = frozenset[int]


class RegionBounds(NamedTuple):
    """Upper bounds on the number of activation regions: ``serra <= montufar <= zaslavsky <= trivial``.

    Attributes
    ----------
    trivial
        2^n for n neurons that split.
    zaslavsky
        Product over the layers of the cells of n_l hyperplanes in R^d.
    montufar
        The same in the dimension that reaches layer l through the widths before it.
    serra
        Sum over the numbers of inactive neurons per layer, which limit the dimension further.
    """

    trivial: int
    zaslavsky: int
    montufar: int
    serra: int

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={rounded_up(v)}' for k, v in self._asdict().items())})"


class _Shape(NamedTuple):
    """A layer's sources, and its neurons by what they do: ReLU-like, cutting at full rank, affine."""

    sources: _Layers
    n_relu: int
    n_leaky: int
    n_affine: int


def zaslavsky_bound(n: int, d: int) -> int:
    """Return the greatest number of cells of n hyperplanes in R^d, sum over k <= d of C(n, k).

    Hyperplanes in general position attain it. Exact; costs O(min(n, d)) products.

    Raises
    ------
    ValueError
        n or d is negative.

    References
    ----------
    Zaslavsky, Facing up to Arrangements, 1975, doi:10.1090/memo/0154.

    Examples
    --------
    >>> zaslavsky_bound(3, 2)
    7
    """
    if n < 0 or d < 0:
        raise ValueError(f"n and d must not be negative, got {n} and {d}.")
    total = term = 1
    for k in range(1, min(n, d) + 1):
        term = term * (n - k + 1) // k
        total += term
    return total


def rounded_up(value: int) -> str:
    """Write a long integer in scientific notation, rounded up: it is an upper bound.

    Examples
    --------
    >>> rounded_up(372), rounded_up(2**100)
    ('372', '1.27e30')
    """
    if value < _LONG_INTEGER:
        return str(value)
    exponent = int(log10(value))
    mantissa = -(-value * 100 // 10**exponent)
    return f"{mantissa / 100:.2f}e{exponent}"


def region_bounds(net: Network, *, max_states: int = 4_096) -> RegionBounds:
    """Bound the number of activation regions of a network, on R^d or on any convex domain, for whatever weights.

    For a chain of ReLU layers of widths n_1, ..., n_L with d = n_0 inputs, ::

        montufar = prod over l of sum over k <= min(n_0, ..., n_l) of C(n_l, k),
        serra = sum over (j_1, ..., j_L) of prod over l of C(n_l, j_l), where
                0 <= j_l <= min(n_0, n_1 - j_1, ..., n_{l-1} - j_{l-1}, n_l) inactive neurons in layer l.

    Parameters
    ----------
    net
        The network; only the inputs, the widths, who reads whom, and which slopes are zero or equal matter.
    max_states
        How much to keep of what later layers can still see: with more, `montufar` and `serra` may be sharper.

    Returns
    -------
    RegionBounds
        Python integers, exact.

    Raises
    ------
    UnsupportedModuleError
        `net` is no `Network`.
    ValueError
        `max_states` is no integer of at least 1.

    Notes
    -----
    Published for chains of ReLU neurons, extended here as follows.

    *Several sources.* The least width becomes the least cut (see the module), which is the least width in a chain.

    *Other slopes.* A neuron with a zero slope counts as ReLU. One with two different slopes other than zero cuts, but
    never becomes constant; one with equal slopes cuts nothing, and passes dimension on unless they are zero. If p
    ReLU and q other neurons of a layer cut a cell at rank r, at most C(p, j) Z(q, r) parts have j inactive ReLU
    neurons (Z being `zaslavsky_bound`), and there are at most Z(p + q, r) parts in all. More inactive neurons never
    mean more regions later, so filling this total up from j = 0 bounds the sum; for q = 0 the terms are the C(p, j),
    j <= r, of the formula.

    The sum runs over the dimensions that later layers can still see: O(L d max(n_l)) products for a chain, more when
    many skips are open at once; past `max_states` such states neighbours are merged, which keeps a bound a bound.

    References
    ----------
    Montufar, Notes on the number of linear regions of deep neural networks, 2017. Raghu et al., On the Expressive
    Power of Deep Neural Networks, 2017, doi:10.48550/arXiv.1606.05336. Serra, Tjandraatmadja and Ramalingam, Bounding
    and Counting Linear Regions of Deep Neural Networks, 2018, Theorem 1, doi:10.48550/arXiv.1711.02114. Another
    extension to skips: Xie, Chen and Li, 2020, doi:10.48550/arXiv.2012.04428.

    Examples
    --------
    A layer of two neurons lets at most two dimensions through, and where one of them is inactive only one:

    >>> region_bounds(Network.random([3, 2, 8, 1], seed=0))
    RegionBounds(trivial=1024, zaslavsky=372, montufar=148, serra=56)
    """
    net, max_states = as_network(net), as_count(max_states, "max_states")
    d = net.n_inputs
    shapes = [_shape(net, index) for index in range(1, len(net.hidden) + 1)]
    cutting = [shape.n_relu + shape.n_leaky for shape in shapes]
    never_constant = [shape._replace(n_relu=0, n_leaky=n) for shape, n in zip(shapes, cutting, strict=True)]
    montufar = _sum_over_inactive(never_constant, d, max_states)
    return RegionBounds(
        trivial=2 ** sum(cutting),
        zaslavsky=prod(zaslavsky_bound(n, d) for n in cutting),
        montufar=montufar,
        serra=min(montufar, _sum_over_inactive(shapes, d, max_states)),
    )


def _shape(net: Network, index: int) -> _Shape:
    layer = net.hidden[index - 1]
    slopes = np.asarray(layer.slopes)
    zero, affine = (slopes == 0).any(axis=1), layer.affine_neurons
    counts = (zero & ~affine, ~zero & ~affine, ~zero & affine)
    return _Shape(frozenset(layer.weights), *(int(np.count_nonzero(kind)) for kind in counts))


def _sum_over_inactive(shapes: Sequence[_Shape], d: int, max_states: int) -> int:
    """Sum over the numbers of inactive neurons, layer by layer, keeping only the least cuts that later layers ask for.

    The least cut between the input and a set T whose last layer is l, with a neurons that are not constant, either
    holds l or not: ``cut(T) = min(a + cut(T - l), cut((T - l) | sources of l))``. So the sets to know before layer l
    follow from those to know after it; in a chain that is one, the last layer.
    """
    asked = _asked_sets(shapes)
    numbers = Counter({tuple(d if layers else 0 for layers in asked[0]): 1})
    for index, shape in enumerate(shapes, start=1):
        at = {layers: i for i, layers in enumerate(asked[index - 1])}
        origins = [[at[layers] for layers in _asked_before(after, index, shape)] for after in asked[index]]
        reached: Counter[tuple[int, ...]] = Counter()
        for cuts, number in numbers.items():
            for n_active, n_parts in _parts(shape, cuts[at[_known(shape.sources)]]):
                # One origin: the set does not hold this layer. Two: it does, and the cut may go through it.
                state = tuple(
                    cuts[last] if not rest else min(n_active + cuts[rest[0]], cuts[last]) for *rest, last in origins
                )
                reached[state] += number * n_parts
        numbers = _merged(reached, max_states)
    return sum(numbers.values())


def _merged(numbers: Counter[tuple[int, ...]], max_states: int) -> Counter[tuple[int, ...]]:
    """Merge neighbouring states until few are left; the greatest of their dimensions keeps an upper bound one."""
    size = -(-len(numbers) // max_states)
    if size <= 1:
        return numbers
    merged: Counter[tuple[int, ...]] = Counter()
    states = sorted(numbers)
    for start in range(0, len(states), size):
        block = states[start : start + size]
        merged[tuple(map(max, zip(*block, strict=True)))] += sum(numbers[cuts] for cuts in block)
    return merged


def _asked_sets(shapes: Sequence[_Shape]) -> list[list[_Layers]]:
    """Return, for l = 0, ..., L, the sets of layers up to l whose least cuts the layers after l ask for."""
    asked: list[set[_Layers]] = [set()]
    for index in range(len(shapes), 0, -1):
        shape = shapes[index - 1]
        before = {part for layers in asked[-1] for part in _asked_before(layers, index, shape)}
        asked.append({_known(shape.sources), *before})
    return [list(sets) for sets in reversed(asked)]


def _asked_before(layers: _Layers, index: int, shape: _Shape) -> list[_Layers]:
    return [layers - {index}, _known(layers - {index} | shape.sources)] if index in layers else [layers]


def _known(layers: _Layers) -> _Layers:
    """Return {0} for a set that holds the input: nothing else cuts it off, and nothing has to."""
    return frozenset({0}) if 0 in layers else layers


def _parts(shape: _Shape, dimension: int) -> list[tuple[int, int]]:
    """Return pairs (neurons that are not constant, parts of a cell) that bound what a layer makes of a cell."""
    left = zaslavsky_bound(shape.n_relu + shape.n_leaky, dimension)
    each = zaslavsky_bound(shape.n_leaky, dimension)
    parts = []
    ways = 1  # to choose which are active
    for n_active in range(shape.n_relu, -1, -1):
        n_parts = min(left, ways * each)
        ways = ways * n_active // (shape.n_relu - n_active + 1)
        parts.append((n_active + shape.n_leaky + shape.n_affine, n_parts))
        left -= n_parts
        if not left:
            break
    return parts

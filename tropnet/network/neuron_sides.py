"""Sides of a domain that are no float64 numbers, as neurons: for engines that read the sides of domains in float64.

In the coordinates of an affine hull, the sides of a polytope are rational rows (`RationalPolytope`). The functions of a
network are exact, however: a row is a sum of several float64 rows, all but the first of which become affine neurons of
a first layer, and a neuron of a second layer adds them up. Where the bits of the second layer are fixed as True,
regions are those within these sides, and a larger domain of float64 sides is enough around them.
"""

from __future__ import annotations

from fractions import Fraction
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import BoolArray
from tropnet.arrays.types import FloatArray, IntegerArray
from tropnet.exact.dyadic import nearest_float
from tropnet.feasibility import Feasible, Infeasible, deciding_backend
from tropnet.network.domain import Box, Domain, Polytope, RationalPolytope, WholeSpace
from tropnet.network.layers import AFFINE, Layer
from tropnet.network.network import Network

__all__ = ["NeuronSides", "neuron_sides_of"]

# Binary digits by which a bound is pushed out, from the size of a point inside on, before a side counts as open.
_STEPS = (4, 24, 64, 128)
# The exponent of the largest power of two.
_MOST = 1023


class NeuronSides:
    """A network and a domain with interior that is not exact, with those sides as neurons that the new domain lacks.

    Attributes
    ----------
    network, domain
        The network, with two more layers at the beginning, and the domain around: bounds of the inputs if there are
        any, else the sides that are float64 numbers.
    fixed
        The bits that make its regions those of the domain given: of all neurons of the two layers.
    """

    def __init__(self, net: Network, domain: RationalPolytope, around: _Around) -> None:
        self._given = net.n_neurons, len(domain.integer_rows)
        self.domain, self._kept, self._sides = around.domain, around.kept, around.sides
        parts = [part for first, *rest in around.parts for part in rest]
        first, added = np.array([part[0] for part in around.parts]), np.array(parts)
        readers = np.repeat(np.arange(len(first)), [len(rows) - 1 for rows in around.parts])
        sums = (np.arange(len(first))[:, None] == readers).astype(np.float64)
        layers = [
            Layer({0: added[:, :-1]}, added[:, -1], AFFINE),
            Layer({0: first[:, :-1], 1: sums}, first[:, -1]),
        ]
        for layer in net.layers:
            weights = {source + 2 if source else 0: weight for source, weight in layer.weights.items()}
            layers.append(Layer(weights, layer.bias, layer.slopes))
        self.network = Network(layers, net.n_inputs)
        self.n_helpers = len(parts) + len(first)
        self.fixed = {i: i >= len(parts) for i in range(self.n_helpers)}

    def facets(self, flags: BoolArray) -> BoolArray:
        """Return flags by place, of neurons and rows of the domain, (n, n_places), as those of what was given."""
        (n, m), helpers = self._given, self.n_helpers
        found = np.zeros((len(flags), n + m), dtype=np.bool_)
        found[:, :n] = flags[:, helpers : helpers + n]
        found[:, n + self._sides] = flags[:, helpers - len(self._sides) : helpers]
        known = np.flatnonzero(self._kept >= 0)
        found[:, n + self._kept[known]] |= flags[:, helpers + n + known]
        return found


class _Around:
    """What there is around a domain, whatever the network: `domain`, and its sides as sums of float64 rows.

    `kept` is which row of the domain given each of the rows of `domain` is, -1 for none; `sides` are the others, and
    `parts` the sum for each of them. `is_possible` is whether all have one.
    """

    def __init__(self, given: RationalPolytope) -> None:
        sums, (A, b) = given.parts, given.halfspaces
        box, sides = _box_around(given.integer_rows)
        self.domain: Domain
        if box is not None:
            self.domain, self.kept = box, sides
        else:
            self.kept = np.array([i for i, parts in enumerate(sums) if parts and len(parts) == 1], dtype=np.int64)
            self.domain = Polytope(A[self.kept], b[self.kept]) if len(self.kept) else WholeSpace(given.dimension)
        self.sides: NDArray[np.int64] = np.setdiff1d(np.arange(len(sums)), self.kept)
        found = [sums[i] for i in self.sides.tolist()]
        self.is_possible = all(found)
        self.parts: list[list[FloatArray]] = [parts for parts in found if parts]


class _ByNetwork(WeakKeyDictionary[Network, NeuronSides]):
    """The networks with the sides of one domain as neurons."""

    def __init__(self, _: RationalPolytope) -> None:
        super().__init__()


def neuron_sides_of(net: Network, domain: RationalPolytope) -> NeuronSides | None:
    """Return a network with sides of a domain with interior as neurons; None if these have too many digits for that.

    Kept with the domain as long as the network is used.
    """
    around = domain.derived(_Around)
    if not around.is_possible:
        return None
    kept = domain.derived(_ByNetwork)
    if net not in kept:
        kept[net] = NeuronSides(net, domain, around)
    return kept[net]


def _box_around(rows: IntegerArray) -> tuple[Box | None, NDArray[np.int64]]:
    """Return a bounded box around {t : a t + c >= 0}, and the rows that are its sides, -1 for none; None if unbounded.

    Bounds that no row says are found by decisions: the first of a few powers of two beyond which there is nothing.
    """
    d = rows.shape[1] - 1
    # By coordinate: the bounds of -t and of t.
    bounds = np.full((d, 2), np.inf)
    sides = np.full((d, 2), -1)
    for number, (*a, c) in enumerate(rows.tolist()):
        places = [i for i, value in enumerate(a) if value]
        if len(places) == 1:
            place = places[0], int(a[places[0]] < 0)
            bound = Fraction(c, abs(a[places[0]]))
            above = _rounded_up(bound)
            if above < bounds[place] or (sides[place] < 0 and above == bound == bounds[place]):
                bounds[place] = above
                sides[place] = number if above == bound else -1
    if np.isinf(bounds).any() and not _close(bounds, rows):
        return None, sides.ravel()
    return Box(-bounds[:, 0], bounds[:, 1]), sides.ravel()


def _close(bounds: FloatArray, rows: IntegerArray) -> bool:
    """Fill in the bounds that are open, by coordinate those of -t and of t; return whether there are any."""
    d = len(bounds)
    backend = deciding_backend(d)
    for row in rows:
        backend.push(row)
    answer = backend.decide()
    inside = answer.witness.homogeneous if isinstance(answer, Feasible) else (1,)
    size = (max(map(abs, inside)) // inside[-1]).bit_length()
    for i, side in np.argwhere(np.isinf(bounds)).tolist():
        for exponent in (size + step for step in _STEPS if size + step <= _MOST):
            beyond = np.zeros(d + 1, dtype=object)
            beyond[i], beyond[-1] = 2 * side - 1, -(1 << exponent)
            backend.push(beyond)
            answer = backend.decide()
            backend.truncate(len(rows))
            if isinstance(answer, Infeasible):
                bounds[i, side] = 2.0**exponent
                break
        else:
            return False
    return True


def _rounded_up(value: Fraction) -> float:
    """Return the least float64 number that is not less than a value; infinity beyond the largest."""
    near = nearest_float(value.numerator, value.denominator)
    return near if near >= value else float(np.nextafter(near, np.inf))

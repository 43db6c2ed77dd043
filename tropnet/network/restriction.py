"""A network on the affine hull of a domain of lower dimension, without rounding.

With t = x[free] the other inputs are affine functions of t (`AffineHull`). They become affine neurons (slopes 1 and 1)
of a first layer of their own, so every layer that read them reads its neurons instead, and all that works on networks
works on this one, exactly. A function that float64 numbers do not hold is a sum of several that they do, one neuron
each. Where the hull has a denominator D that is no power of two, the network is taken at c x instead of x, for c = D /
2^n in [1/2, 1), with its biases times c: as slopes do not depend on sizes, all pre-activations and outputs are
multiplied by c, and signs stay.

If the composed weights are float64 numbers, as where all fixed inputs are 0, no such layer is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from math import lcm
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import BoolArray, PackedArray, shifted
from tropnet.arrays.rounding import LARGEST
from tropnet.arrays.types import FloatArray, IntegerArray
from tropnet.errors import DomainError
from tropnet.exact.certificates import Witness
from tropnet.exact.dyadic import float_or_inf, float_parts, nearest_float, to_integers
from tropnet.exact.elimination import determinant
from tropnet.exact.projection import square_root
from tropnet.network.affine_hull import AffineHull, affine_hull
from tropnet.network.domain import Box, Domain, Polytope, RationalPolytope, WholeSpace
from tropnet.network.layers import AFFINE, Layer
from tropnet.network.network import Network
from tropnet.network.slices import exact_slice

__all__ = ["Orthonormal", "Restriction", "restriction_of", "within_hull"]


class Orthonormal(NamedTuple):
    """Coordinates z in which lengths are nearly the true ones, where those given, t = M z, are skew.

    Attributes
    ----------
    columns
        M, float64, shape (k, k), which is exact.
    stretch
        True lengths are at most this times those in t.
    error
        True lengths differ from those in z by at most this part of those in z.
    """

    columns: FloatArray
    stretch: float
    error: float


class Restriction:
    """A network and a domain of lower dimension, in the coordinates t of its hull; and the way between t and x.

    Where the hull is a point there is one coordinate, from 0 to 1, that nothing depends on.

    Attributes
    ----------
    hull
        The affine hull.
    network, domain
        The network of t, and the domain of t, which has interior.
    n_helpers
        The number of neurons that come before those of the network given.
    scale
        The number c > 0 by which all pre-activations and outputs are multiplied.
    """

    def __init__(self, net: Network, domain: Domain, hull: AffineHull) -> None:
        self.hull = hull
        self._given = net.n_neurons, len(domain.halfspaces[1])
        self.network, self.n_helpers, self.scale = _restricted(net, hull)
        self.domain = _domain_of(domain, hull)

    @property
    def is_point(self) -> bool:
        """Whether the domain is a point."""
        return not self.hull.dimension

    # --- points

    @cached_property
    def coordinate_rows(self) -> IntegerArray:
        """All coordinates of x as integer rows (a | c) in t, times `AffineHull.denominator`; shape (d, k + 1)."""
        return _columns(self.hull, self.network.n_inputs)

    def coordinates(self, points: FloatArray) -> FloatArray:
        """Return t of points x (n, d) of the hull; of others, that of the point with the same free coordinates."""
        return np.full((len(points), 1), 0.5) if self.is_point else np.ascontiguousarray(points[:, self.hull.free])

    def coordinates_of(self, point: Sequence[Fraction]) -> Witness:
        """Return t of an exact point of the hull."""
        if self.is_point:
            return Witness((1, 2))
        return Witness.from_fractions([point[i] for i in self.hull.free.tolist()])

    def point(self, t: Witness) -> Witness:
        """Return the point x at t, exactly."""
        return Witness(tuple(self.vector(t.homogeneous)))

    def vector(self, t: Sequence[int]) -> list[int]:
        """Return homogeneous coordinates in x from those in t: of a point, or, with w = 0, of a direction."""
        hull = self.hull
        *free, w = t
        if self.is_point:
            free = []
        x = [0] * (len(hull.free) + len(hull.dependent))
        for i, value in zip(hull.free.tolist(), free, strict=True):
            x[i] = value * hull.denominator
        for i, value in zip(
            hull.dependent.tolist(), (hull.rows @ np.array([*free, w], dtype=object)).tolist(), strict=True
        ):
            x[i] = value
        return [*x, w * hull.denominator]

    def points(
        self, points: FloatArray, exact: Mapping[int, Sequence[Fraction]]
    ) -> tuple[FloatArray, dict[int, tuple[Fraction, ...]]]:
        """Return the points x at many t, float64 (n, k) or exact, and those among them that are no float64 points."""
        hull, n = self.hull, len(points)
        values, exponent = to_integers(points[:, : hull.dimension])
        found = np.zeros((n, len(hull.free) + len(hull.dependent)))
        found[:, hull.free] = points[:, : hull.dimension]
        others: dict[int, tuple[Fraction, ...]] = {}
        # Fixed coordinates are the same for all.
        fixed = ~np.asarray(hull.rows[:, :-1] != 0, dtype=np.bool_).any(axis=1)
        constants = [Fraction(value, hull.denominator) for value in hull.rows[fixed, -1].tolist()]
        found[:, hull.dependent[fixed]] = [float(value) for value in constants]
        everywhere_float = all(Fraction(float(value)) == value for value in constants)
        for i in range(n) if not (fixed.all() and everywhere_float) else sorted(exact):
            x = self.point(
                Witness.from_fractions(exact[i]) if i in exact else Witness((*values[i].tolist(), 1 << exponent))
            )
            found[i] = x.point
            if not x.is_float:
                others[i] = x.fractions
        return found, others

    def direction(self, ray: FloatArray) -> FloatArray:
        """Return the unit vector in x of one in t."""
        values = to_integers(ray)[0]
        *x, _ = self.vector([*values.tolist(), 0])
        largest = max(map(abs, x))
        vector = np.array([value / largest for value in x])
        return np.asarray(vector / np.linalg.norm(vector))

    def function(self, rows: FloatArray) -> FloatArray:
        """Return functions (a, ...) of t, of which the first k columns are coefficients, as functions of x."""
        k, d = self.network.n_inputs, len(self.hull.free) + len(self.hull.dependent)
        lifted = np.zeros((*rows.shape[:-1], rows.shape[-1] - k + d))
        lifted[..., self.hull.free] = rows[..., : self.hull.dimension]
        lifted[..., d:] = rows[..., k:]
        return lifted

    def holds(self, domain: Domain, point: FloatArray) -> bool:
        """Return whether a float64 point (d,) is in the domain given, or as near to a point of it as rounding puts it.

        Of a hull that holds few float64 points, that is 1e-9 of the largest coordinate.
        """
        if domain.contains(point):
            return True
        t = self.coordinates(point[None])
        x = self.points(t, {})[0][0]
        near = np.abs(x - point).max() <= 1e-9 * np.abs(x).max()
        return bool(near) and not self.holds_floats and bool(self.domain.contains(t[0]))

    @cached_property
    def holds_floats(self) -> bool:
        """Whether every float64 t is a float64 point x: the hull is parallel to axes, at float64 numbers."""
        constants = (Fraction(value, self.hull.denominator) for value in self.hull.rows[:, -1].tolist())
        return self.keeps_lengths and all(Fraction(float(value)) == value for value in constants)

    # --- patterns and rows

    def widened(self, packed: PackedArray) -> PackedArray:
        """Return packed patterns, or cuts, with those of the helpers, which are False."""
        return shifted(packed, self._given[0], self.n_helpers)

    def stripped(self, packed: PackedArray) -> PackedArray:
        """Return packed patterns, or cuts, without those of the helpers."""
        return shifted(packed, self.network.n_neurons, -self.n_helpers)

    def rows(self, given: IntegerArray) -> IntegerArray:
        """Return integer rows (a | c) in x as rows in t, times a positive number."""
        rows: IntegerArray = given[:, :-1] @ self.coordinate_rows
        rows[:, -1] += given[:, -1] * self.hull.denominator
        return rows

    def pattern(self, given: BoolArray) -> BoolArray:
        """Return a pattern (n_neurons,), or cuts, of the network given with those of the helpers."""
        return np.concatenate([np.zeros(self.n_helpers, dtype=np.bool_), given])

    @cached_property
    def sides(self) -> NDArray[np.int64]:
        """Which row of the domain given each row of `domain` is; -1 for none."""
        return np.full(2, -1) if self.is_point else self.hull.sides

    def facets(self, flags: BoolArray) -> BoolArray:
        """Return flags by place, of neurons and rows of the domain, (n, n_places), as those of what was given."""
        n, m = self._given
        found = np.zeros((len(flags), n + m), dtype=np.bool_)
        found[:, :n] = flags[:, self.n_helpers : self.n_helpers + n]
        known = np.flatnonzero(self.sides >= 0)
        found[:, n + self.sides[known]] = flags[:, self.n_helpers + n + known]
        return found

    def facets_within(self, flags: BoolArray) -> BoolArray:
        """Undo `facets`."""
        n, _ = self._given
        found = np.zeros((len(flags), self.n_helpers + n + len(self.sides)), dtype=np.bool_)
        found[:, self.n_helpers : self.n_helpers + n] = flags[:, :n]
        known = np.flatnonzero(self.sides >= 0)
        found[:, self.n_helpers + n + known] = flags[:, n + self.sides[known]]
        return found

    def places(self, within: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the places, in what was given, of rows by their places in `network` and `domain`; -1 for none."""
        n, _ = self._given
        sides = np.where(self.sides >= 0, n + self.sides, -1)
        return np.concatenate([np.full(self.n_helpers, -1), np.arange(n), sides])[within]

    # --- lengths

    @property
    def keeps_lengths(self) -> bool:
        """Whether distances in t are those in x."""
        return self.hull.is_parallel

    @cached_property
    def metric(self) -> tuple[IntegerArray, int]:
        """Integers G (k, k) and g > 0: the length of a step s in t is sqrt(s G s / g) in x."""
        hull = self.hull
        directions = hull.rows[:, :-1]
        square = hull.denominator**2
        if self.is_point:
            return np.ones((1, 1), dtype=object), 1
        return directions.T @ directions + square * np.eye(hull.dimension, dtype=np.int64).astype(object), square

    @cached_property
    def volume_factor(self) -> float:
        """By how much volumes in x exceed those in t: sqrt(det G / g^k)."""
        gram, square = self.metric
        return square_root(Fraction(determinant(gram.tolist()), square ** len(gram)))

    @cached_property
    def dual_metric(self) -> tuple[IntegerArray, int]:
        """Integers H (k, k) and h > 0: the largest slope in x of a function a t + c is sqrt(a H a / h)."""
        gram, square = self.metric
        inverse = _inverse(gram)
        common = lcm(*(value.denominator for row in inverse for value in row))
        rows = [[int(value * common) * square for value in row] for row in inverse]
        return np.array(rows, dtype=object), common

    @cached_property
    def orthonormal(self) -> Orthonormal:
        """Coordinates z in which distances are nearly those in x: t = M z, and x = B t up to a constant."""
        slopes = self.coordinate_rows[:, :-1].tolist()
        B = np.array([[nearest_float(value, self.hull.denominator) for value in row] for row in slopes])
        k = B.shape[1]
        with np.errstate(all="ignore"):
            size = float(np.linalg.norm(B))
            if not size < LARGEST:
                return Orthonormal(np.eye(k), np.inf, np.inf)
            # B = Q R, so B R^-1 has orthonormal columns. R is regular, but of steep hulls perhaps not when rounded.
            R = np.linalg.qr(B, mode="r")
            M = np.linalg.inv(R) if np.diag(R).all() else np.full((k, k), np.inf)
        if not np.isfinite(M).all():
            return Orthonormal(np.eye(k), np.inf, np.inf)
        gram, square = self.metric
        scaled, exponent = to_integers(M)
        common = square << 2 * exponent
        wrong = scaled.T @ gram @ scaled - common * np.eye(k, dtype=np.int64).astype(object)
        # What a matrix does to lengths is at most the sum of its entries.
        error = float_or_inf(Fraction(sum(map(abs, wrong.ravel().tolist())), common))
        return Orthonormal(M, size * (1 + 1e-9), error * (1 + 1e-9))


class _Affine(NamedTuple):
    """An affine neuron: an affine function of t in float64, and which input it is a part of; -1 for the constant c."""

    weights: FloatArray
    bias: float
    coordinate: int


# By domain, since both are kept with their users.
class _ByNetwork(WeakKeyDictionary[Network, Restriction]):
    """The restrictions of networks to one domain."""

    def __init__(self, _: Domain) -> None:
        super().__init__()


def restriction_of(net: Network, domain: Domain) -> Restriction | None:
    """Return a network on the affine hull of a domain, of its input dimension; None if the domain has interior.

    Kept with the domain as long as the network is used.

    Raises
    ------
    DomainError
        The domain is empty, or its hull has too many digits: numbers from 2^-1074 to 2^1023 must add up to them.
    """
    hull = affine_hull(domain)
    if hull is None:
        return None
    kept = domain.derived(_ByNetwork)
    if net not in kept:
        kept[net] = Restriction(net, domain, hull)
    return kept[net]


def within_hull(net: Network, domain: Domain) -> tuple[Network, Domain, Restriction | None]:
    """Return a network and a domain with interior to work on: those given, or those of the restriction, and that.

    Errors as for `restriction_of`.
    """
    restriction = restriction_of(net, domain)
    if restriction is None:
        return net, domain, None
    return restriction.network, restriction.domain, restriction


def _domain_of(domain: Domain, hull: AffineHull) -> Domain:
    """Return the domain in t."""
    if not hull.dimension:
        return Box([0.0], [1.0])
    if isinstance(domain, Box):
        return Box(domain.low[hull.free], domain.high[hull.free])
    if not len(hull.sides):
        return WholeSpace(hull.dimension)
    found = RationalPolytope(hull.side_rows)
    if all(sides is not None and len(sides) == 1 for sides in found.parts):
        A, b = found.halfspaces
        return Polytope(A, b)
    return found


def _restricted(net: Network, hull: AffineHull) -> tuple[Network, int, Fraction]:
    """Return the network of t, the number of helpers, and the scale."""
    k = max(hull.dimension, 1)
    is_dyadic = not hull.denominator & (hull.denominator - 1)
    if is_dyadic:
        layers = exact_slice(net.layers, _columns(hull, k), hull.denominator.bit_length() - 1)
        if layers is not None:
            return Network(layers, k), 0, Fraction(1)
    exponent = hull.denominator.bit_length() - is_dyadic
    helpers: list[_Affine] = []
    for coordinate, row in zip(hull.dependent.tolist(), hull.rows, strict=True):
        helpers += _parts(row, exponent, k, coordinate)
    if not is_dyadic:
        for place, coordinate in enumerate([*hull.free.tolist(), -1]):
            row = np.zeros(hull.dimension + 1, dtype=object)
            row[place] = hull.denominator
            helpers += _parts(row, exponent, k, coordinate)
    first = Layer({0: np.array([each.weights for each in helpers])}, np.array([each.bias for each in helpers]), AFFINE)
    read = [each.coordinate for each in helpers]
    layers = [first, *(_reading(layer, hull, read, k, is_dyadic=is_dyadic) for layer in net.layers)]
    return Network(layers, k), len(helpers), Fraction(1) if is_dyadic else Fraction(hull.denominator, 1 << exponent)


def _columns(hull: AffineHull, k: int) -> IntegerArray:
    """Return all coordinates as rows (a | c) in t, times the denominator."""
    columns = np.zeros((len(hull.free) + len(hull.dependent), k + 1), dtype=object)
    for i, coordinate in enumerate(hull.free.tolist()):
        columns[coordinate, i] = hull.denominator
    columns[hull.dependent, : hull.dimension] = hull.rows[:, :-1]
    columns[hull.dependent, -1] = hull.rows[:, -1]
    return columns


def _reading(layer: Layer, hull: AffineHull, read: list[int], k: int, *, is_dyadic: bool) -> Layer:
    """Return a layer that reads the helpers, which stand for the inputs `read`."""
    weights: dict[int, Any] = {source + 1: weight for source, weight in layer.weights.items() if source}
    given = layer.weights.get(0)
    columns = np.zeros((layer.width, len(read)))
    for place, coordinate in enumerate(read):
        if coordinate < 0:
            columns[:, place] = layer.bias
        elif given is not None:
            columns[:, place] = given[:, coordinate]
    if is_dyadic and given is not None:
        weights[0] = given[:, hull.free] if hull.dimension else np.zeros((layer.width, k))
    if columns.any() or not weights:
        weights[1] = columns
    return Layer(weights, layer.bias if is_dyadic else np.zeros(layer.width), layer.slopes)


def _parts(row: IntegerArray, exponent: int, k: int, coordinate: int) -> Iterable[_Affine]:
    """Yield affine neurons whose sum is the function row / 2**exponent, an integer row (a | c) in t."""
    parts = float_parts(row, exponent)
    if parts is None:
        raise DomainError(
            f"the affine hull of the domain has more digits in coordinate {max(coordinate, 0)} than numbers from"
            " 2^-1074 to 2^1023 hold; round the equations that define it."
        )
    for values in parts:
        yield _Affine(values[:-1] if len(values) > 1 else np.zeros(k), float(values[-1]), coordinate)


def _inverse(matrix: IntegerArray) -> list[list[Fraction]]:
    """Return the inverse of a positive definite matrix of integers."""
    n = len(matrix)
    rows = [[*map(Fraction, row), *(Fraction(i == j) for j in range(n))] for i, row in enumerate(matrix.tolist())]
    for i in range(n):
        rows[i] = [value / rows[i][i] for value in rows[i]]
        for j in range(n):
            if j != i and rows[j][i]:
                rows[j] = [value - rows[j][i] * other for value, other in zip(rows[j], rows[i], strict=True)]
    return [row[n:] for row in rows]

"""Activation patterns of networks with two inputs by clipping convex polygons.

The point ``(x / w, y / w)`` is written ``(x, y, w)`` with ``w >= 0``, and a convex region is the
cyclic list of the extreme rays of the pointed cone over it. Rays with ``w == 0`` are directions
to infinity, so unbounded regions need no special case, and all coordinates are integers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import product
from math import gcd, lcm

from tests.oracles.exact import (
    HalfSpace,
    NetworkLike,
    Number,
    Pattern,
    Vector,
    coordinate_forms,
    exact_layers,
    rational,
    rationals,
)

Ray = tuple[int, int, int]
Polygon = list[Ray]
# The bits, the polygon and the outputs of the sources so far as affine forms.
Piece = tuple[Pattern, Polygon, list[list[Vector]]]


def planar_patterns(net: NetworkLike, halfspaces: Iterable[HalfSpace]) -> set[Pattern]:
    """Return every pattern whose cell in the interior of the domain is non-empty."""
    return {pattern for pattern, _ in planar_pieces(net, halfspaces)}


def planar_areas(net: NetworkLike, low: Number, high: Number) -> dict[Pattern, Fraction]:
    """Return the exact area of every cell within the box ``[low, high]**2``."""
    box: list[HalfSpace] = [((1, 0), high), ((0, 1), high)]
    box += [((-1, 0), -rational(low)), ((0, -1), -rational(low))]
    areas: dict[Pattern, Fraction] = {}
    for pattern, polygon in planar_pieces(net, box):
        areas[pattern] = areas.get(pattern, Fraction(0)) + _area(polygon)
    return areas


def planar_pieces(net: NetworkLike, halfspaces: Iterable[HalfSpace]) -> Iterator[tuple[Pattern, Polygon]]:
    """Yield polygons with interior that subdivide the domain, with their patterns.

    The whole plane is no pointed cone, so the subdivision starts from the four quadrants and
    up to four pieces share a pattern. The sum of the rays of a piece is a point inside it.
    """
    if net.n_inputs != 2:
        raise ValueError(f"the planar oracle needs 2 inputs, not {net.n_inputs}")
    hidden = exact_layers(net)[:-1]
    pieces: list[Piece] = [((), p, [coordinate_forms(2)]) for p in _domain(halfspaces)]
    for layer in hidden:
        deeper: list[Piece] = []
        for bits, polygon, outputs in pieces:
            forms = [neuron.pre_activation(outputs, 3) for neuron in layer]
            parts: list[tuple[Pattern, Polygon]] = [((), polygon)]
            for neuron, form in zip(layer, forms, strict=True):
                parts = [
                    ((*old, bit), side)
                    for old, part in parts
                    for bit, side in (_split(part, form) if neuron.splits else [(False, part)])
                ]
            for new, part in parts:
                nu = [n.output(z, bit) for n, z, bit in zip(layer, forms, new, strict=True)]
                deeper.append((bits + new, part, [*outputs, nu]))
        pieces = deeper
    for bits, polygon, _ in pieces:
        yield bits, polygon


def _domain(halfspaces: Iterable[HalfSpace]) -> list[Polygon]:
    """Return the parts of the domain with interior in the four quadrants."""
    polygons: list[Polygon] = [[(sx, 0, 0), (0, sy, 0), (0, 0, 1)] for sx, sy in product((1, -1), repeat=2)]
    for a, b in halfspaces:
        outside = (*rationals(a), -rational(b))
        polygons = [side for polygon in polygons for bit, side in _split(polygon, outside) if not bit]
    return polygons


def _split(polygon: Polygon, form: Vector) -> list[tuple[bool, Polygon]]:
    """Return the sides of the polygon that have interior; True marks ``form > 0``.

    An extreme ray with ``form > 0`` exists iff the interior has a point with ``form > 0``. A form
    zero on all rays is zero, and its neuron is off. A constant form has one sign on all rays,
    hence constant neurons need no special case.
    """
    scale = lcm(*(c.denominator for c in form))
    a, b, c = (int(scale * t) for t in form)
    values = [a * x + b * y + c * w for x, y, w in polygon]
    if min(values) >= 0 or max(values) <= 0:
        return [(max(values) > 0, polygon)]
    return [(True, _clip(polygon, values)), (False, _clip(polygon, [-v for v in values]))]


def _clip(polygon: Polygon, values: Sequence[int]) -> Polygon:
    """Return the part where the linear form with these values on the rays is non-negative."""
    clipped: Polygon = []
    for i, (ray, value) in enumerate(zip(polygon, values, strict=True)):
        before, value_before = polygon[i - 1], values[i - 1]
        if value * value_before < 0:
            s, t = abs(value), abs(value_before)
            x, y, w = (s * p + t * q for p, q in zip(before, ray, strict=True))
            common = gcd(x, y, w)
            clipped.append((x // common, y // common, w // common))
        if value >= 0:
            clipped.append(ray)
    return clipped


def _area(polygon: Polygon) -> Fraction:
    """Return the area of a bounded polygon by the shoelace formula."""
    points = [(Fraction(x, w), Fraction(y, w)) for x, y, w in polygon]
    corners = zip(points, points[1:] + points[:1], strict=True)
    return abs(sum((p[0] * q[1] - p[1] * q[0] for p, q in corners), Fraction(0))) / 2

"""The distance from a point to the decision boundary."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import count

import numpy as np
from numpy.typing import ArrayLike

from tropnet.arrays.checks import as_points
from tropnet.arrays.patterns import BoolArray, unpack
from tropnet.arrays.rounding import EPSILON, LARGEST, SMALLEST_NORMAL
from tropnet.arrays.types import FloatArray, IntegerArray
from tropnet.enumeration import enumerate_regions
from tropnet.enumeration.engine import Goal, GoalKind
from tropnet.enumeration.promising import promising_regions
from tropnet.errors import DomainError, ShapeError
from tropnet.exact.certificates import Witness
from tropnet.exact.dyadic import float_or_inf, nearest_float, to_integers
from tropnet.exact.linear_programs import maximise
from tropnet.exact.projection import Projection, nearest_point
from tropnet.network.domain import Box, Domain, Polytope, as_domain
from tropnet.network.network import Network, dense_network
from tropnet.network.recurrence import evaluate
from tropnet.network.restriction import Restriction, restriction_of, within_hull
from tropnet.regions import ActivationRegion, Regions
from tropnet.regions.crossings import bounded_rows, parts
from tropnet.regions.lifting import lifted_regions
from tropnet.verification.lipschitz import check_norm
from tropnet.verification.objective import Candidates, with_condition

__all__ = ["BoundaryPoint", "distance_to_boundary", "exact_decision"]

_DUAL = {1: math.inf, 2: 2, math.inf: 1}
# How far a condition is relaxed, as a share of the margin at x.
_SLACK = 2.0**-20
_STEPS, _BISECTIONS = 30, 20


@dataclass(frozen=True, eq=False)
class BoundaryPoint:
    """A nearest point at which a decision changes.

    Attributes
    ----------
    distance
        In the norm asked for; infinite if the decision changes nowhere in the domain.
    point
        float64, shape (d,); NaN if there is none.
    target
        The class that is reached there; for one output, 1 if it becomes positive and 0 if not; -1 if there is none.
    pattern
        The pattern of a region whose closure holds the point; empty if there is none.
    """

    distance: float
    point: FloatArray
    target: int
    pattern: BoolArray

    def __repr__(self) -> str:
        return f"{type(self).__name__}(distance={self.distance!r}, point={self.point.tolist()}, target={self.target})"


def distance_to_boundary(
    net: Network,
    x: ArrayLike,
    domain: Domain | None = None,
    norm: float = 2,
    *,
    target: int | None = None,
    progress: bool = False,
) -> BoundaryPoint:
    """Find a nearest point of the domain at which the decision of a network changes, and its distance.

    With several outputs the decision at x is the class i of the largest output (the first of equals; exactly, whatever
    float64 says), and the nearest point with ``y_k >= y_i`` for another class k is sought; with one output the sign,
    and the nearest point with ``y <= 0`` (from y(x) > 0) or ``y >= 0``.

    Parameters
    ----------
    net
        The network.
    x
        float64, shape (d,), a point of the domain.
    domain
        None (all of R^d), `Box` or `Polytope`. A box around x keeps the number of regions down, and the answer is the
        global one as long as the distance found is smaller than that to the sides of the box.
    norm
        1, 2 or infinity.
    target
        Consider only this class k.
    progress
        Show a progress bar on standard error; a search that will take hours says so.

    Raises
    ------
    ShapeError, NonFiniteError
        `x` does not fit the network, or `target` is no other class.
    ValueError
        Another norm.
    DomainError
        The domain is empty, of the wrong dimension, or does not hold x.

    Notes
    -----
    A point where the decision changes is found by steepest descent, then the box around x that holds all nearer ones is
    searched (see `maximum`): parts of it that are too far, or in which the decision cannot change, are left out by
    bounds that are float64 less all that rounding can have added. The regions that remain are solved in the order of a
    lower bound on their distance (the most violated row), each with an exact projection (norm 2, see
    `Polyhedron.project`) or a linear program over the integers. Distance and point are exact but for a rounding (to the
    nearest finite number).

    References
    ----------
    Jordan, Lewis and Dimakis, Provable certificates for adversarial examples, 2019, arXiv:1903.08778.

    Examples
    --------
    >>> net = Network.mlp([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [-2.0]])
    >>> near = distance_to_boundary(net, [0.0, 0.0], norm=1)
    >>> near.distance, near.target
    (2.0, 1)
    """
    check_norm(norm)
    net = dense_network(net)
    fitted = as_domain(domain, net.n_inputs)
    restriction = restriction_of(net, fitted)
    points, single = as_points(x, net.n_inputs)
    if not single:
        raise ShapeError(f"x must be one point of shape ({net.n_inputs},), got shape {points.shape}.")
    start = points[0]
    if not (fitted.contains(start) if restriction is None else restriction.holds(fitted, start)):
        raise DomainError(f"x must lie in the domain {fitted}, got {start.tolist()}.")
    forms = _decision_forms(exact_outputs(net, start), target)
    best = BoundaryPoint(math.inf, np.full(net.n_inputs, np.nan), -1, np.empty(0, dtype=np.bool_))
    # No farther than points where the decision has changed.
    reaches = [_reach(net, fitted, start, form, norm) for _, form in forms]
    limit = np.array([-min(reaches)])
    for k in np.argsort(reaches, kind="stable").tolist():
        target, form = forms[k]
        for regions in _promising(net, fitted, start, form, norm, limit, progress=progress):
            best = _nearer(regions, target, form, start, norm, best)
            limit[0] = max(limit[0], -best.distance)
    return best


def _reach(net: Network, domain: Domain, x: FloatArray, form: IntegerArray, norm: float) -> float:
    """Return a distance from x within which form . y <= 0 somewhere in the domain; infinite if no such is found.

    By Newton's steps on the affine map at hand (Moosavi-Dezfooli, Fawzi and Frossard, DeepFool, 2016,
    doi:10.1109/CVPR.2016.282), then by bisection.
    """
    c = form.astype(np.float64)
    low, high = (domain.low, domain.high) if isinstance(domain, Box) else (-np.inf, np.inf)

    def changes(point: FloatArray) -> bool:
        return bool(form @ exact_outputs(net, point) <= 0) and domain.contains(point)

    point, step = x, 1.02
    with np.errstate(all="ignore"):
        for _ in range(_STEPS):
            maps, _errors = bounded_rows(net, net.certain_pattern(point)[0])
            row = c @ maps[0, net.n_neurons :]
            a, value = row[:-1], float(row[:-1] @ point + row[-1])
            if not value > 0 or not np.isfinite(row).all():
                break
            size = np.abs(a)
            if norm == 2:
                move = a / (a @ a)
            elif norm == 1:
                move = np.where(np.arange(len(a)) == size.argmax(), np.sign(a) / size.max(), 0.0)
            else:
                move = np.sign(a) / size.sum()
            moved = np.clip(point - step * value * move, low, high)
            if not np.isfinite(moved).all() or np.array_equal(moved, point):
                return math.inf
            point = moved
    if not np.isfinite(point).all() or not changes(point):
        return math.inf
    inside, outside = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = 0.5 * (inside + outside)
        inside, outside = (inside, middle) if changes(x + middle * (point - x)) else (middle, outside)
    nearest = x + outside * (point - x)
    if outside < 1.0 and not changes(nearest):
        nearest = point
    # Rounded up; scaled, so that no square underflows.
    gaps = np.abs(nearest - x)
    largest = float(gaps.max(initial=0.0))
    length = largest * float(np.linalg.norm(gaps / largest, norm)) if 0 < largest < math.inf else largest
    return length * (1 + 1e-12) + SMALLEST_NORMAL


def _promising(
    net: Network,
    domain: Domain,
    x: FloatArray,
    form: IntegerArray,
    norm: float,
    limit: FloatArray,
    *,
    progress: bool,
) -> Iterator[Regions]:
    """Yield the regions, some at a time, that may hold points with form . y <= 0 nearer than -limit[0]."""
    if math.isfinite(limit[0]):
        domain = _around(domain, x, -float(limit[0]))
    within, inside, restriction = within_hull(net, domain)
    scaled, exponent = to_integers(x)
    margin = Fraction(int(form @ evaluate(net.integers.layers, scaled, 1 << exponent)[-1]), 1 << exponent)
    size = min(float_or_inf(abs(margin / (1 << net.integers.exponents[-1]))), LARGEST)
    slack = max(_SLACK * size, SMALLEST_NORMAL)
    longer, fixed = with_condition(within, -form.astype(np.float64), slack)
    if restriction is None:
        goal = Goal(GoalKind.DISTANCE, 2, limit, x, norm)
    elif restriction.keeps_lengths:
        goal = Goal(GoalKind.DISTANCE, 2, limit, restriction.coordinates(x[None])[0], norm)
    else:
        goal = Goal(GoalKind.FEASIBLE, 2, limit)
    chunks = promising_regions(longer, inside, goal, fixed, progress=progress)
    if chunks is None:
        yield enumerate_regions(net, domain, progress=progress)
        return
    for chunk in chunks:
        if chunk.n_regions:
            yield lifted_regions(net, domain, restriction, Candidates.of(within, inside, [chunk]).regions)


def _around(domain: Domain, x: FloatArray, distance: float) -> Domain:
    """Return the part of a domain in the box that holds all points up to a distance from x."""
    low, high = np.nextafter(x - distance, -np.inf), np.nextafter(x + distance, np.inf)
    if isinstance(domain, Box):
        return Box(np.maximum(domain.low, low), np.minimum(domain.high, high))
    A, b = domain.halfspaces
    eye = np.eye(len(x))
    # Without a known side the box is the domain.
    return Polytope(np.concatenate([A, eye, -eye]), np.concatenate([b, high, -low])) if len(b) else Box(low, high)


def _nearer(
    regions: Regions, target: int, form: IntegerArray, x: FloatArray, norm: float, best: BoundaryPoint
) -> BoundaryPoint:
    """Return the nearest point at which the form is <= 0 in some regions, if it is nearer than the best, or that."""
    lower = _lower_bounds(regions, np.array([form], dtype=np.float64), x, _DUAL[norm])[0]
    for i in np.argsort(lower, kind="stable").tolist():
        if not lower[i] < best.distance:
            break
        if norm == 2:
            near = _nearest_in_l2(regions[i], form, x)
        else:
            near = _nearest(regions.within[i], form, x, norm, regions.restriction)
        if near is not None and (near.distance < best.distance or best.target < 0):
            best = BoundaryPoint(near.distance, near.point, target, regions.patterns[i])
    return best


def exact_outputs(net: Network, point: FloatArray) -> IntegerArray:
    """Return the outputs at a float64 point, exactly, multiplied by a positive number."""
    scaled, exponent = to_integers(point)
    return evaluate(net.integers.layers, scaled, 1 << exponent)[-1]


def exact_decision(net: Network, point: FloatArray) -> int:
    """Return the class at a point, the first of equals; of one output 1 if it is positive, else 0."""
    values = exact_outputs(net, point).tolist()
    return int(values[0] > 0) if len(values) == 1 else max(range(len(values)), key=values.__getitem__)


def _decision_forms(y: IntegerArray, target: int | None) -> list[tuple[int, IntegerArray]]:
    """Return, for every decision that may be reached, the form of the outputs that is <= 0 where it is.

    `y` are the exact outputs at x, multiplied by a positive number.
    """
    eye = np.eye(len(y), dtype=np.int64).astype(object)
    if len(y) == 1:
        if target is not None:
            raise ShapeError("target must be None for a network with one output, whose decision is its sign.")
        return [(0, eye[0]) if y[0] > 0 else (1, -eye[0])]
    values = y.tolist()
    here = max(range(len(values)), key=values.__getitem__)
    others = [k for k in range(len(values)) if k != here and target in (None, k)]
    if not others:
        raise ShapeError(f"target must be a class from 0 to {len(y) - 1} other than that of x, {here}; got {target}.")
    return [(k, eye[here] - eye[k]) for k in others]


def _lower_bounds(regions: Regions, forms: FloatArray, x: FloatArray, dual: float) -> FloatArray:
    """Return numbers (forms, regions) that the distances from x to where a form is <= 0 in a region do not fall below.

    The most violated row of the region and the form, each from float64 and a bound on all its errors.
    """
    net, (A, b) = regions.network, regions.domain.halfspaces
    sides = np.column_stack([-A, b])
    domain = _distances(sides, np.zeros_like(sides), x, dual).max(initial=0.0)
    bounds = np.empty((len(forms), len(regions)))
    cuts = unpack(regions.packed_cuts, net.n_neurons)
    for part in parts(len(regions), net):
        patterns = regions.patterns[part]
        maps, errors = bounded_rows(net, patterns)
        signs = np.where(patterns, 1.0, -1.0)[:, :, None]
        rows = _distances(signs * maps[:, : net.n_neurons], errors[:, : net.n_neurons], x, dual)
        region = np.where(cuts[part], rows, 0.0).max(axis=1, initial=domain)
        with np.errstate(over="ignore", invalid="ignore"):
            gaps = forms @ maps[:, net.n_neurons :]
            wrong = np.abs(forms) @ errors[:, net.n_neurons :]
            wrong = (wrong + 4 * EPSILON * np.abs(gaps)) * (1 + 1e-9)
        bounds[:, part] = np.maximum(region, _distances(-gaps, wrong, x, dual).T)
    return bounds


def _distances(rows: FloatArray, errors: FloatArray, x: FloatArray, dual: float) -> FloatArray:
    """Return lower bounds on the distances of x to a . x + c >= 0, for rows (a | c) known up to `errors`."""
    at, unit = np.append(x, 1.0), 4 * (len(x) + 4) * EPSILON
    with np.errstate(over="ignore", invalid="ignore"):
        short = -(rows @ at) - (
            errors @ np.abs(at) + unit * (np.abs(rows) @ np.abs(at)) + 4 * len(at) * SMALLEST_NORMAL
        )
        normals = np.abs(rows[..., :-1]) + errors[..., :-1]
        # Scaled, so that no square underflows.
        largest = normals.max(axis=-1) + SMALLEST_NORMAL
        # Subnormal norms are rounded by more than the unit; a larger norm is a smaller distance.
        norms = largest * np.linalg.norm(normals / largest[..., None], dual, axis=-1) + SMALLEST_NORMAL
        distances = np.minimum(short / norms * (1 - unit), LARGEST)
        return np.where((short > 0) & np.isfinite(norms) & ~np.isnan(distances), distances, 0.0)


def _nearest_in_l2(region: ActivationRegion, form: IntegerArray, x: FloatArray) -> Projection | None:
    """Return the nearest point of the closed region at which `form` of the outputs is <= 0, exactly, or None."""
    rows, decision = region.integer_rows, -(form @ region.network.integer_maps(region.pattern)[-1])
    if decision[:-1].any():
        rows = np.concatenate([rows, decision[None]])
    elif decision[-1] < 0:
        return None
    return nearest_point(rows, x)


def _nearest(
    region: ActivationRegion, form: IntegerArray, x: FloatArray, norm: float, restriction: Restriction | None
) -> Projection | None:
    """Return the same in l1 or l-infinity; the region is one of a restriction, if there is one.

    A linear program over the integers: the distance plus M times by how much the form is positive, from a point inside
    the region. If M is large enough the latter is 0 at the optimum, and then the former is the least distance.
    """
    d = region.domain.dimension
    # All coordinates of x, times a number, as rows (a | c) in those of the region.
    places = np.eye(d, d + 1, dtype=np.int64).astype(object) if restriction is None else restriction.coordinate_rows
    denominator = 1 if restriction is None else restriction.hull.denominator
    rows, decision = region.integer_rows, form @ region.network.integer_maps(region.pattern)[-1]
    least = maximise(rows, region.certificate, -decision)
    if not least.ray and least.value < 0:
        return None
    n = len(x) if norm == 1 else 1
    scaled, exponent = to_integers(x)
    unit = 1 << exponent
    slack = np.eye(n, dtype=np.int64).astype(object) if norm == 1 else np.ones((len(x), 1), dtype=object)
    zeros = np.zeros((len(x), 1), dtype=object)
    steps = unit * places
    steps[:, -1] -= denominator * scaled
    sides = [
        np.concatenate([sign * steps[:, :-1], unit * denominator * slack, zeros, sign * steps[:, -1:]], axis=1)
        for sign in (1, -1)
    ]
    program = np.concatenate(
        [
            np.concatenate([rows[:, :-1], np.zeros((len(rows), n + 1), dtype=object), rows[:, -1:]], axis=1),
            *sides,
            np.array([[*-decision[:-1], *[0] * n, 1, -decision[-1]], [0] * (d + n) + [1, 0]], dtype=object),
        ]
    )
    inside = region.certificate.fractions
    start = [Fraction(int(value), unit) for value in scaled]

    def point_at(t: Sequence[Fraction]) -> list[Fraction]:
        return [
            (sum((a * p for a, p in zip(row, t, strict=False)), Fraction(0)) + row[-1]) / denominator
            for row in places.tolist()
        ]

    reach = [abs(p - q) + 1 for p, q in zip(point_at(inside), start, strict=True)]
    excess = sum(g * p for g, p in zip(decision.tolist(), inside, strict=False)) + decision[-1]
    witness = Witness.from_fractions([*inside, *(reach if norm == 1 else [max(reach)]), max(excess, Fraction(0)) + 1])
    for power in count(1):
        weight = 1 << 64 * power
        objective = np.array([*[0] * d, *[-1] * n, -weight, 0], dtype=object)
        best = maximise(program, witness, objective).point.fractions
        if best[-1] == 0:
            point = point_at(best[:d])
            lengths = [abs(p - q) for p, q in zip(point, start, strict=True)]
            distance = sum(lengths, Fraction(0)) if norm == 1 else max(lengths)
            nearest = np.array([nearest_float(p.numerator, p.denominator) for p in point])
            return Projection(nearest, nearest_float(distance.numerator, distance.denominator))
    return None

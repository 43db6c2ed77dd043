"""What is promised exactly holds at any magnitude: cancelling terms, 1e-200 to 1e200, subnormals, boxes to 1.7e308."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.checks import cell, show, value
from tests.oracles.brute_force import brute_force_patterns, exact_affine_map, exact_forward
from tests.oracles.exact import Pattern
from tests.oracles.fourier_motzkin import has_interior
from tests.strategies import halfspaces
from tropnet import Box, Domain, Network, distance_to_boundary, lipschitz_constant, maximum, minimum, same_function
from tropnet.enumeration import enumerate_regions
from tropnet.network.recurrence import compose_bounded

# Terms that cancel to one unit in the last place, products that overflow or underflow, sums that swallow the smaller.
MAGNITUDES = [0.0, 1.0, 1.5, 1e16, 1e16 + 2, 1 + 2**-52, 1e-16, 1e-160, 1e-200, 5e-324, 3e-320, 1e160, 1e200, 1.7e308]
NORMS = [1, 2, math.inf]


@st.composite
def extreme_numbers(draw: st.DrawFn, *shape: int) -> np.ndarray:
    """Draw an array of numbers of very different sizes."""
    size = int(np.prod(shape))
    signed = st.tuples(st.sampled_from(MAGNITUDES), st.sampled_from([1, -1])).map(lambda pair: pair[0] * pair[1])
    return np.array(draw(st.lists(signed, min_size=size, max_size=size)), dtype=np.float64).reshape(shape)


@st.composite
def extreme_networks(draw: st.DrawFn, d: int, n_outputs: int | None = None) -> Network:
    """Draw a small network whose weights and biases are of very different sizes."""
    widths = [d, *draw(st.lists(st.integers(1, 2), min_size=1, max_size=2)), n_outputs or draw(st.integers(1, 2))]
    weights = [draw(extreme_numbers(n, m)) for m, n in pairwise(widths)]
    biases = [draw(extreme_numbers(n)) for n in widths[1:]]
    slopes = draw(st.sampled_from([(0.0, 1.0), (-1.0, 1.0), (1e-200, 1.0)]))
    return Network.mlp(weights, biases, slopes=slopes)


def boxes() -> st.SearchStrategy[Box | None]:
    """Draw boxes from subnormal to almost all of float64, and all of R^d."""
    return st.sampled_from([None, Box(-1, 1), Box(-1e200, 1.5e200), Box(-1e-310, 2e-310), Box(-1.7e308, 1.7e308)])


def patterns_of(net: Network, domain: Domain | None) -> set[Pattern]:
    return brute_force_patterns(net, halfspaces(domain, net.n_inputs))


def interval(net: Network, pattern: Pattern, domain: Domain | None) -> tuple[Fraction | None, Fraction | None]:
    """Return the ends of a cell of a network of one input, None where it is unbounded."""
    low = high = None
    for (a,), b in cell(net, list(pattern), halfspaces(domain, 1)) or ():
        end = b / a
        if a > 0:
            high = end if high is None else min(high, end)
        else:
            low = end if low is None else max(low, end)
    return low, high


def nearest_on_a_line(net: Network, x: float, domain: Domain | None) -> Fraction | None:
    """Return the distance from x to the nearest point with another decision, by solving for it in each interval."""
    y = exact_forward(net, [x])[0]
    if len(y) == 1:
        forms = [(Fraction(1),)] if y[0] > 0 else [(Fraction(-1),)]
    else:
        here = max(range(len(y)), key=lambda k: (y[k], -k))
        forms = [tuple(Fraction((j == here) - (j == k)) for j in range(len(y))) for k in range(len(y)) if k != here]
    best: Fraction | None = None
    for pattern in patterns_of(net, domain):
        low, high = interval(net, pattern, domain)
        weights, offsets = exact_affine_map(net, pattern)
        for form in forms:
            # The part of the interval in which a t + c <= 0.
            a, c, ends = value(form, [row[0] for row in weights]), value(form, offsets), [low, high]
            if a == 0 and c > 0:
                continue
            if a > 0:
                ends[1] = -c / a if high is None else min(high, -c / a)
            elif a < 0:
                ends[0] = -c / a if low is None else max(low, -c / a)
            if ends[0] is not None and ends[1] is not None and ends[0] > ends[1]:
                continue
            t = Fraction(x)
            t = t if ends[0] is None else max(t, ends[0])
            t = t if ends[1] is None else min(t, ends[1])
            best = abs(t - Fraction(x)) if best is None else min(best, abs(t - Fraction(x)))
    return best


def rounded(exact: Fraction) -> float:
    """Return the nearest finite float64."""
    try:
        return float(exact)
    except OverflowError:
        return 1.7976931348623157e308 if exact > 0 else -1.7976931348623157e308


def operator_norms(net: Network, domain: Domain | None, norm: float) -> Iterator[Fraction]:
    """Yield the exact norms over all regions of a network with one input or one output, squared for norm 2."""
    for pattern in patterns_of(net, domain):
        weights = exact_affine_map(net, pattern)[0]
        sizes = [[abs(w) for w in row] for row in weights]
        if norm == 2:
            assert min(len(sizes), len(sizes[0])) == 1
            yield sum((w * w for row in sizes for w in row), Fraction(0))
        else:
            yield max(map(sum, sizes if norm == math.inf else zip(*sizes, strict=True)))


# --- distances and Lipschitz constants


@given(extreme_networks(1), boxes(), st.sampled_from([0.0, 0.5, -1e-310, 1e-320]), st.sampled_from(NORMS))
def test_distance_on_a_line_is_exact(net: Network, domain: Box | None, x: float, norm: float) -> None:
    """However outputs cancel, overflow or underflow, the distance is the nearest float64 to the exact one."""
    show(net, (domain, x, norm))
    if domain is not None and not domain.contains([x]):
        return
    expected = nearest_on_a_line(net, x, domain)
    found = distance_to_boundary(net, [x], domain, norm)
    if expected is None:
        assert found.distance == math.inf
        assert found.target == -1
    else:
        # In l2 the root is within one unit in the last place.
        assert found.distance == pytest.approx(rounded(expected), rel=1e-15, abs=5e-324)


@given(extreme_networks(2), st.sampled_from([1, math.inf]))
def test_no_decision_changes_nearer_than_the_distance(net: Network, norm: float) -> None:
    """In the plane no cell holds a point with another decision within the distance, by eliminating variables."""
    box, x = Box(-4, 4), [0.5, -0.25]
    show(net, norm)
    found = distance_to_boundary(net, x, box, norm)
    y = exact_forward(net, x)[0]
    here = max(range(len(y)), key=lambda k: (y[k], -k))
    forms = [[1 if y[0] > 0 else -1]] if len(y) == 1 else [[(j == here) - (j == k) for j in range(2)] for k in (0, 1)]
    reach = Fraction(min(found.distance, 8.0)) * (1 - Fraction(1, 10**12))
    p = [Fraction(t) for t in x]
    normals = [(1, 0), (-1, 0), (0, 1), (0, -1)] if norm == math.inf else [(1, 1), (1, -1), (-1, 1), (-1, -1)]
    ball = [(n, reach + n[0] * p[0] + n[1] * p[1]) for n in normals]
    for pattern in patterns_of(net, box):
        rows = cell(net, list(pattern), halfspaces(box, 2))
        weights, offsets = exact_affine_map(net, pattern)
        for form in forms:
            a = [value(form, column) for column in zip(*weights, strict=True)]
            c = value(form, offsets)
            if rows is not None and any(form) and (any(a) or c < 0):
                assert not has_interior([*rows, *ball, *([(a, -c)] if any(a) else [])])


@given(extreme_networks(2, 1), boxes(), st.sampled_from(NORMS))
def test_lipschitz_constant_is_that_of_the_exact_maps(net: Network, domain: Box | None, norm: float) -> None:
    """It is within 1e-12 of the largest exact norm, nowhere NaN, and infinite only beyond float64."""
    show(net, (domain, norm))
    expected = max(operator_norms(net, domain, norm))
    found = lipschitz_constant(net, domain, norm).value
    largest = Fraction(1.7976931348623157e308)
    if found == math.inf:
        assert expected >= (largest**2 if norm == 2 else largest)
        return
    # Results in the range of subnormals are rounded to a multiple of the smallest.
    low, high = Fraction(found) - Fraction(5e-324), Fraction(found) + Fraction(5e-324)
    slack = Fraction(1, 10**12)
    low, high = max(low * (1 - slack), Fraction(0)), high * (1 + slack)
    assert (low**2 if norm == 2 else low) <= expected <= (high**2 if norm == 2 else high)


# --- extreme values and equality


@given(extreme_networks(1, 1), st.sampled_from([Box(-1, 1), Box(-1e200, 1.5e200), Box(-1e-310, 2e-310)]))
def test_extrema_on_a_line_are_exact(net: Network, domain: Box) -> None:
    """The exact maximum and minimum are those over the ends of all intervals, by every method."""
    show(net, domain)
    ends = {end for pattern in patterns_of(net, domain) for end in interval(net, pattern, domain)}
    values = [exact_forward(net, [end])[0][0] for end in ends if end is not None]
    for method in ("enumerate", "branch"):
        assert maximum(net, domain, method=method).exact == max(values)
        assert minimum(net, domain, method=method).exact == min(values)


@given(st.data(), boxes())
def test_functions_are_compared_exactly(data: st.DataObject, domain: Box | None) -> None:
    """Two networks are the same function iff they agree at the ends, or two points, of every common interval."""
    one, other = data.draw(extreme_networks(1, 1)), data.draw(extreme_networks(1, 1))
    if data.draw(st.booleans()):
        other = Network(
            [*one.layers[:-1], type(one.layers[-1])(one.layers[-1].weights, one.layers[-1].bias * (1 + 2**-52))]
        )
    show(one, domain)
    show(other, domain)
    ends = {
        end
        for net in (one, other)
        for pattern in patterns_of(net, domain)
        for end in interval(net, pattern, domain)
        if end is not None
    }
    if domain is None:
        ends |= {f(ends, default=Fraction(0)) + t for f, t in ((min, -1), (min, -2), (max, 1), (max, 2))}
    largest = max(abs(exact_forward(one, [t])[0][0] - exact_forward(other, [t])[0][0]) for t in ends)
    found = same_function(one, other, domain)
    assert found.equal == (largest == 0)
    if found.extremum is not None and found.extremum.exact is not None:
        assert found.extremum.exact >= largest


# --- bounds on rounding


@given(st.data(), st.integers(1, 3))
def test_certain_bits_are_right(data: st.DataObject, d: int) -> None:
    """Every bit of a point that is called certain is the exact one, underflow and overflow included."""
    net = data.draw(extreme_networks(d))
    points = data.draw(extreme_numbers(6, d))
    show(net, points)
    bits, certain = net.certain_pattern(points)
    for x, pattern, sure in zip(points.tolist(), bits.tolist(), certain.tolist(), strict=True):
        if sure:
            assert tuple(pattern) == exact_forward(net, x)[1]


def test_ordinary_bits_are_certain() -> None:
    """The bound is not so wide that it leaves everything in doubt, nor are neurons without terms in doubt."""
    net = Network.random([3, 8, 8, 1], seed=0)
    assert net.certain_pattern(np.random.default_rng(0).normal(size=(500, 3)))[1].mean() > 0.99
    dead = Network.mlp([np.zeros((2, 1)), [[1.0, 1.0]], [[1.0]]], [[0.0, -1.0], [0.0], [0.0]])
    assert dead.certain_pattern([[3.0]])[1].all()


@given(st.data(), st.integers(1, 3))
def test_bounds_of_composed_maps_hold(data: st.DataObject, d: int) -> None:
    """Composed rows differ from the exact ones by no more than the bound that comes with them, where it is finite."""
    net = data.draw(extreme_networks(d))
    show(net, None)
    pattern = np.array([data.draw(st.lists(st.booleans(), min_size=net.n_neurons, max_size=net.n_neurons))])
    maps, errors = compose_bounded(net.layers, pattern, d)
    for index, (rows, bounds) in enumerate(zip(maps, errors, strict=True)):
        exact = net.integer_maps(pattern[0])[index]
        scale = 1 << net.integers.exponents[index]
        for row, bound, right in zip(rows[0].ravel().tolist(), bounds[0].ravel().tolist(), exact.ravel(), strict=True):
            if math.isfinite(row) and math.isfinite(bound):
                assert abs(Fraction(row) - Fraction(int(right), scale)) <= Fraction(bound)


# --- enumeration itself


@given(extreme_networks(2), boxes())
def test_engines_find_exactly_the_patterns(net: Network, domain: Box | None) -> None:
    """At any magnitude the engines find the patterns that brute force over the rationals finds."""
    show(net, domain)
    expected = patterns_of(net, domain)
    # The compiled engines may refuse networks without a vertex on all of R^2; "auto" then takes another.
    for engine in ("auto", "lp") if domain is None else ("auto", "vertex", "simplex", "lp"):
        found = enumerate_regions(net, domain, engine=engine).patterns.tolist()
        assert set(map(tuple, found)) == expected
        assert len(found) == len(expected)

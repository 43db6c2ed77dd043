"""Integrals agree with the divergence theorem over brute-forced regions, with closed forms and with random points."""

from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles import integrals as oracle
from tests.strategies import domains, halfspaces, networks
from tropnet import (
    Box,
    DomainError,
    Layer,
    Network,
    NonFiniteError,
    Polytope,
    ShapeError,
    TropnetError,
    moments,
    shares,
)

RELU = Network.mlp([[[1.0]], [[1.0]]], [[0.0], [0.0]])


def within_bounds(found, exact):
    """Whether proven float64 values hold the exact ones within their bounds."""
    gaps = [abs(Fraction(v) - x) for v, x in zip(found.values.ravel().tolist(), np.ravel(exact).tolist(), strict=True)]
    return found.is_proven and all(
        gap <= Fraction(e) for gap, e in zip(gaps, found.errors.ravel().tolist(), strict=True)
    )


def tight(found, of=1e-7):
    """Whether bounds are small beside the largest value."""
    return (found.errors <= of * np.abs(found.values).max() + 1e-300).all()


@settings(max_examples=60)
@given(data=st.data())
def test_moments_of_small_networks(data):
    """Exactly, and in float64 within tight bounds: skips, leaky and degenerate networks, boxes and polytopes."""
    net = data.draw(networks(data.draw(st.integers(1, 2)), max_neurons=4))
    domain = data.draw(domains(net.n_inputs, bounded=True))
    expected = np.array(oracle.moments(net, halfspaces(domain, net.n_inputs)), dtype=object)
    found = moments(net, domain, exact=True)
    assert (found.integrals.exact == expected).all()
    assert within_bounds(found.integrals, expected)
    quick = moments(net, domain)
    assert within_bounds(quick.integrals, expected)
    assert tight(quick.integrals)
    assert within_bounds(quick.outputs, expected[net.n_inputs : -1, -1] / expected[-1, -1])


@settings(max_examples=25)
@given(data=st.data())
def test_moments_within_sets_and_under_densities(data):
    """Where outputs lie in a polytope, weighted by tents and steps that may reach beyond the domain."""
    net = data.draw(networks(data.draw(st.integers(1, 2)), max_neurons=3, max_hidden=2))
    domain = data.draw(domains(net.n_inputs, bounded=True))
    number = st.integers(-3, 3)
    rows = np.array(data.draw(st.lists(st.lists(number, min_size=net.n_outputs, max_size=net.n_outputs), max_size=2)))
    rows = rows.reshape(-1, net.n_outputs)[: len(rows)]
    rows = rows[rows.any(axis=1)]
    sides = np.array(data.draw(st.lists(number, min_size=len(rows), max_size=len(rows))), dtype=np.float64)
    weights = st.tuples(st.integers(0, 3), st.integers(1, 3), st.integers(0, 3))
    density = [
        None if data.draw(st.booleans()) else ([-40.0, 0.25, 40.0], data.draw(weights)) for _ in range(net.n_inputs)
    ]
    constraints = list(zip(rows.tolist(), sides.tolist(), strict=True))
    expected = np.array(oracle.moments(net, halfspaces(domain, net.n_inputs), constraints, density), dtype=object)
    where = Polytope(rows, sides)
    found = moments(net, domain, where, density=density, exact=True)
    assert (found.integrals.exact == expected).all()
    assert within_bounds(moments(net, domain, where, density=density).integrals, expected)


@pytest.mark.parametrize(("d", "widths", "seed"), [(3, [3, 2], 0), (3, [4], 1), (4, [2, 2], 2), (5, [1], 3)])
def test_moments_in_more_dimensions(d, widths, seed):
    """Up to five inputs, with small integers as weights, and a tent of one input."""
    rng = np.random.default_rng(seed)
    shape = [d, *widths, 2]
    weights = [rng.integers(-2, 3, (n, m)) for m, n in pairwise(shape)]
    net = Network.mlp(weights, [rng.integers(-1, 2, n) for n in shape[1:]], slopes=(0.25, 1))
    box = Box([-1.0] * d, 2.0)
    density = [([-1.0, 0.0, 2.0], [0.0, 1.0, 0.5])] + [None] * (d - 1)
    for weighted in [(), density] if d < 4 else [()]:
        expected = oracle.moments(net, halfspaces(box, d), density=weighted)
        found = moments(net, box, density=weighted or None, exact=True)
        assert found.integrals.exact.tolist() == expected
        quick = moments(net, box, density=weighted or None)
        assert within_bounds(quick.integrals, expected)
        assert tight(quick.integrals, 1e-9)


@settings(max_examples=25)
@given(data=st.data())
def test_class_shares(data):
    """The first of the largest outputs has the point: ties with volume go to one class, and shares add up to 1."""
    net = data.draw(networks(data.draw(st.integers(1, 2)), max_neurons=4, max_hidden=2))
    domain = data.draw(domains(net.n_inputs, bounded=True))
    expected = [Fraction(0)] * max(2, net.n_outputs)
    for rows, outputs in oracle.cells(net, halfspaces(domain, net.n_inputs)):
        forms = outputs if len(outputs) > 1 else [(Fraction(0),) * (net.n_inputs + 1), outputs[0]]
        for c, own in enumerate(forms):
            cut, empty = list(rows), False
            for i, other in enumerate(forms):
                *normal, constant = (p - q for p, q in zip(other, own, strict=True))
                empty |= not any(normal) and (constant > 0 or (constant == 0 and i < c))
                cut.append((tuple(normal), -constant))
            expected[c] += 0 if empty else oracle.integral(cut, {(0,) * net.n_inputs: Fraction(1)})
    expected = [value / sum(expected) for value in expected]
    found = shares(net, domain, exact=True)
    assert found.exact.tolist() == expected
    assert within_bounds(shares(net, domain), expected)
    assert sum(found.exact) == 1


def test_shares_of_polytopes_and_unions():
    """Of y = x_0, y' = x_1 on the unit square; parts of a union that overlap count once."""
    net = Network([Layer({0: np.eye(2)}, np.zeros(2))])
    left, low = Polytope([[1.0, 0.0]], [0.25]), Polytope([[0.0, 1.0]], [0.5])
    found = shares(net, Box([0, 0], 1), [left, low, [left, low], 1, Polytope([[1.0, 0.0]], [np.inf])], exact=True)
    assert found.exact.tolist() == [Fraction(1, 4), Fraction(1, 2), Fraction(5, 8), Fraction(1, 2), 1]
    quick = shares(net, Box([0, 0], 1), [left, low, [left, low], 1])
    assert within_bounds(quick, found.exact[:4])
    assert (quick.errors < 1e-10).all()


def test_closed_forms():
    """Moments of relu on a symmetric box, and a tent: integrals known by hand."""
    found = moments(RELU, Box(-1, 1), exact=True)
    assert found.mass.exact == 2
    assert found.inputs.exact.tolist() == [0]
    assert found.outputs.exact.tolist() == [Fraction(1, 4)]
    assert found.squares.exact.tolist() == [Fraction(1, 6)]
    assert found.mean([0, 1], [[0, 1], [0, 0]], 3).exact == Fraction(1, 4) + Fraction(1, 6) + 3
    # E relu(x) and E relu(x)^2 for the triangular density on [-1, 1].
    tent = moments(RELU, density=[([-1, 0, 1], [0, 1, 0])], exact=True)
    assert (tent.mass.exact, *tent.outputs.exact, *tent.squares.exact) == (1, Fraction(1, 6), Fraction(1, 12))
    # A uniform density on a part is the domain cut down to it.
    part = moments(RELU, Box(-4, 4), density=[([-1, 1], [1, 1])], exact=True)
    assert part.integrals.exact.tolist() == found.integrals.exact.tolist()


@pytest.mark.parametrize("d", [1, 2, 3, 4, 5])
def test_no_hidden_layer(d):
    """The moments of a box, in float64: E x_i = 1/2, E x_i x_j = 1/4, E x_i^2 = 1/3."""
    net = Network([Layer({0: np.ones((1, d))}, np.zeros(1))])
    found = moments(net, Box([0.0] * d, 1.0))
    expected = np.full((d, d), 0.25) + np.eye(d) / 12
    assert np.abs(found.integrals.values[:d, :d] - expected).max() <= found.integrals.errors.max() < 1e-10
    assert found.squares.values == pytest.approx(expected.sum(), rel=1e-12)


def test_domains_of_lower_dimension():
    """By length within the segment; a fixed input is a constant, and a point has the measure 1."""
    net = Network.mlp([[[1.0, 1.0]], [[1.0]]], [[0.0], [0.0]])
    flat = moments(net, Box([-2, 1], [2, 1]), exact=True)
    assert (flat.mass.exact, *flat.outputs.exact) == (4, Fraction(9, 8))
    assert within_bounds(moments(net, Box([-2, 1], [2, 1])).integrals, flat.integrals.exact)
    # From (0, 0) to (3, 4), of length 5.
    segment = Polytope([[4.0, -3.0], [-4.0, 3.0], [-1.0, 0.0], [1.0, 0.0]], [0.0, 0.0, 0.0, 3.0])
    along = moments(net, segment, exact=True)
    assert (along.mass.exact, *along.outputs.exact) == (5, Fraction(7, 2))
    assert within_bounds(moments(net, segment).integrals, along.integrals.exact)
    point = moments(net, Box([1, 2], [1, 2]), exact=True)
    assert (point.mass.exact, *point.outputs.exact) == (1, 3)
    # The support of a density is closed: at its end it has the value there.
    end = moments(net, Box([-2, 1], [2, 1]), density=[None, ([1, 2], [3, 5])], exact=True)
    assert end.mass.exact == 12
    diagonal = Polytope([[1.0, -1.0], [-1.0, 1.0], [-1.0, 0.0], [1.0, 0.0]], [0.0, 0.0, 0.0, 1.0])
    with pytest.raises(DomainError, match=r"multiples of the root of 2; leave out exact=True"):
        moments(net, diagonal, exact=True)
    assert moments(net, diagonal).mass.values == pytest.approx(2**0.5, rel=1e-12)
    assert moments(net, diagonal).outputs.values == pytest.approx(1.0, rel=1e-12)


def test_thin_and_far_regions():
    """Rows at an angle of 1e-11 and a box far from 0: bounds hold, if need be over the rationals."""
    thin = Network.mlp([[[1e-11, 1.0], [-1e-11, 1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    for net, box in [(thin, Box(-1, 1)), (thin, Box([1e8, 1e8], [1e8 + 1, 1e8 + 1])), (RELU, Box(-1e-9, 1e7))]:
        exact = moments(net, box, exact=True).integrals.exact
        assert within_bounds(moments(net, box).integrals, exact)


@pytest.mark.parametrize("d", [2, 6])
def test_random_points(d):
    """Estimates are within five standard errors of the exact values, or of those of more points."""
    net = Network.random([d, 6, 5, 3], seed=d)
    box, density = Box([-1.0] * d, 1.0), [([-1, 0.5, 1], [0, 1, 2])] + [None] * (d - 1)
    usual = int(net(np.zeros(d)).argmax())
    estimate = moments(net, box, usual, density=density, n_samples=20_000)
    truth, share = moments(net, box, usual, density=density, seed=1), shares(net, box, density=density, seed=1)
    assert truth.integrals.is_proven == (d == 2)
    assert not estimate.integrals.is_proven
    pairs = [
        (estimate.integrals, truth.integrals),
        (estimate.outputs, truth.outputs),
        (estimate.squares, truth.squares),
    ]
    pairs.append((shares(net, box, density=density, n_samples=20_000), share))
    for one, other in pairs:
        gap = np.abs(one.values - other.values)
        assert (
            gap <= 5 * np.hypot(one.errors, 0 if other.is_proven else other.errors) + other.errors * other.is_proven
        ).all()


def test_random_points_in_a_polytope():
    """Points beyond the domain count as 0."""
    net = Network([Layer({0: np.ones((1, 6))}, np.zeros(1))])
    simplex = Polytope(np.concatenate([-np.eye(6), np.ones((1, 6))]), [*[0.0] * 6, 1.0])
    found = moments(net, simplex, n_samples=200_000)
    assert abs(found.mass.values - 1 / 720) <= 5 * found.mass.errors
    assert abs(found.outputs.values[0] - 6 / 7) <= 5 * found.outputs.errors[0]
    assert moments(net, simplex).outputs.is_proven is False


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, DomainError, r"integrals need a bounded domain, got R\^1; give a Box with finite sides"),
        ({"domain": Polytope([[1.0]], [0.0])}, DomainError, "integrals need a bounded domain"),
        ({"domain": Box(0, 1), "where": 2}, ShapeError, "a set of outputs must be a class below 2"),
        ({"domain": Box(0, 1), "where": Polytope([[1.0, 0.0]], [0.0])}, ShapeError, r"A of shape \(m, 1\)"),
        ({"domain": Box(0, 1), "where": []}, ShapeError, "a set of outputs must be"),
        ({"domain": Box(0, 1), "density": [None, None]}, ShapeError, "one entry per input, 1, .* got 2 entries"),
        ({"domain": Box(0, 1), "density": [[0, 1, 2]]}, ShapeError, r"density\[0\] must be None or a pair"),
        ({"domain": Box(0, 1), "density": [([0, 1], [1])]}, ShapeError, r"got \(2,\) and \(1,\)"),
        ({"domain": Box(0, 1), "density": [([1, 0], [1, 1])]}, ValueError, "points must ascend"),
        ({"domain": Box(0, 1), "density": [([0, 1], [-1, 1])]}, ValueError, "values must be at least 0"),
        ({"domain": Box(0, 1), "density": [([0, np.inf], [1, 1])]}, NonFiniteError, r"density\[0\]: points"),
        ({"domain": Box(0, 1), "density": [([1, 2], [1, 1])]}, DomainError, "the density is 0 on the whole domain"),
        ({"domain": Box(0, 1), "exact": True, "n_samples": 10}, ValueError, "exact=True takes no n_samples"),
        ({"domain": Box(0, 1), "n_samples": 1}, ValueError, "n_samples must be an integer of at least 2"),
    ],
)
def test_bad_input(arguments, error, message):
    with pytest.raises(error, match=message):
        moments(RELU, **arguments)


def test_means_of_nothing():
    """A set that no output reaches has the mass 0, and no mean."""
    never = Polytope([[1.0]], [-1.0])
    for exact, reason in [(True, "it is 0"), (False, "float64 does not tell it from 0")]:
        found = moments(RELU, Box(-1, 1), never, exact=exact)
        assert found.mass.values == 0
        with pytest.raises(TropnetError, match=f"a mean needs a set of positive mass; {reason}"):
            _ = found.outputs
    with pytest.raises(ShapeError, match=r"linear must have shape \(2,\)"):
        moments(RELU, Box(-1, 1)).mean([1.0])


def test_the_same_whatever_the_workers():
    net = Network.random([2, 12, 12, 2], seed=0)
    one, two = (moments(net, Box(-2, 2), workers=n).integrals for n in (1, 2))
    assert (np.abs(one.values - two.values) <= one.errors + two.errors).all()


def test_symmetry_and_positivity():
    """Moment matrices are symmetric and positive definite up to their bounds; the mass is the volume of the box."""
    for d, widths in product([2, 3, 4], [[5, 4]]):
        found = moments(Network.random([d, *widths, 2], seed=d), Box(-1, 1)).integrals
        assert (found.values == found.values.T).all() or np.abs(
            found.values - found.values.T
        ).max() < found.errors.max()
        assert np.linalg.eigvalsh(found.values).min() > -found.errors.max()
        assert abs(found.values[-1, -1] - 2.0**d) <= found.errors[-1, -1]


def test_what_float64_cannot_hold_has_no_bound() -> None:
    """A mean of 5e399 is no float64 number: its bound is infinite, and the exact one right."""
    net, box = Network.mlp([[[1e200]], [[1e200]]], [[0.0], [0.0]]), Box(-2, 2)
    assert moments(net, box).outputs.errors[0] == np.inf
    exact = moments(net, box, exact=True).outputs
    assert exact.errors[0] == np.inf
    assert exact.exact[0] == Fraction(1e200) ** 2 / 2

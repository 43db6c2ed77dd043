"""The tropical recurrences (14)-(16), (51)-(54) and explicit tropical rational functions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.brute_force import exact_forward
from tests.oracles.fourier_motzkin import has_interior
from tests.strategies import networks
from tropnet import Layer, Network, TropnetError
from tropnet.tropical.polynomials import TropicalPolynomial, tropical_rational
from tropnet.tropical.recurrences import tropical_recurrences

RATIONALS = st.fractions(-8, 8, max_denominator=16)


def rational_points(net, n):
    return st.lists(st.lists(RATIONALS, min_size=net.n_inputs, max_size=net.n_inputs), min_size=n, max_size=n)


def value(rows, x):
    """Evaluate exact rows (a | c) at a point."""
    point = [*x, Fraction(1)]
    return [sum((a * t for a, t in zip(row, point, strict=True)), Fraction(0)) for row in rows.tolist()]


def layers_at(net, x, form="convex"):
    """Return the values of H, G, F, E of every layer at x, on the pattern of x."""
    terms = tropical_recurrences(net, exact_forward(net, x)[1], form=form, exact=True)
    return [tuple(value(rows, x) for rows in (t.H, t.G, t.F, t.E)) for t in terms]


@given(st.data())
def test_h_minus_g_is_the_pre_activation(data):
    """H - G = A nu + b, and nu = F - E, in both forms, on any pattern."""
    net = data.draw(networks())
    pattern = data.draw(st.lists(st.booleans(), min_size=net.n_neurons, max_size=net.n_neurons))
    for form in ("convex", "printed"):
        outputs = [np.eye(net.n_inputs, net.n_inputs + 1, dtype=int) * Fraction(1)]
        bits = iter(pattern)
        for layer, terms in zip(net.layers, tropical_recurrences(net, pattern, form=form, exact=True), strict=True):
            z = np.zeros((layer.width, net.n_inputs + 1), dtype=int) * Fraction(1)
            for source, weight in layer.weights.items():
                z = z + np.vectorize(Fraction, otypes=[object])(weight) @ outputs[source]
            z[:, -1] += [Fraction(b) for b in layer.bias.tolist()]
            assert (z == terms.H - terms.G).all()
            if layer is not net.layers[-1]:
                slopes = [Fraction(s[1] if next(bits) else s[0]) for s in np.asarray(layer.slopes).tolist()]
                z = np.array(slopes, dtype=object)[:, None] * z
            assert (z == terms.F - terms.E).all()
            outputs.append(z)


@given(st.data())
def test_convex_form_is_convex(data):
    """F, E, H and G of the convex form are convex functions of the input: midpoints lie below chords."""
    net = data.draw(networks())
    x, y = data.draw(rational_points(net, 2))
    middle = [(a + b) / 2 for a, b in zip(x, y, strict=True)]
    for at_x, at_y, at_middle in zip(*(layers_at(net, p) for p in (x, y, middle)), strict=True):
        for left, right, between in zip(at_x, at_y, at_middle, strict=True):
            assert all(2 * m <= a + b for a, b, m in zip(left, right, between, strict=True))


def test_printed_form_is_not_convex():
    """As printed, (51)-(54) lose convexity for a skip from layer 2, while the difference stays the network."""
    one = [[1.0]]
    # nu_2 = 1 - relu(-x) on x > -1 is concave there, and enters the printed H with a positive weight.
    net = Network.mlp([[[-1.0]], [[-1.0]], one, one, one], [[0], [1], [0], [0], [0]], skips=[(2, 4)])
    x, y = [Fraction(-1, 2)], [Fraction(1, 2)]
    middle = [Fraction(0)]
    bends = {
        form: [
            left + right - 2 * between
            for at in zip(*(layers_at(net, p, form)[3] for p in (x, y, middle)), strict=True)
            for left, right, between in zip(*at, strict=True)
        ]
        for form in ("convex", "printed")
    }
    assert min(bends["convex"]) >= 0
    assert min(bends["printed"]) < 0


@pytest.mark.parametrize("form", ["convex", "printed"])
def test_float_and_exact_terms_agree(form):
    """The float64 terms of a small network are the exact ones up to rounding."""
    net = Network.random([2, 3, 3, 3, 1], skips=[(1, 3), (2, 4)], seed=3, slopes=(0.1, 1.0))
    pattern = net.activation_pattern([0.3, -0.2])
    floats, exact = (tropical_recurrences(net, pattern, form=form, exact=e) for e in (False, True))
    for a, b in zip(floats, exact, strict=True):
        for name in ("H", "G", "F", "E"):
            np.testing.assert_allclose(getattr(a, name), getattr(b, name).astype(float), rtol=1e-12)
    with pytest.raises(ValueError, match="form must be one of convex, printed, got 'other'"):
        tropical_recurrences(net, pattern, form="other")


@settings(max_examples=25)
@given(st.data())
def test_tropical_rational_equals_the_network(data):
    """The explicit tropical rational function equals the forward pass at every rational point, exactly."""
    net = data.draw(networks(max_neurons=4, max_hidden=2))
    explicit = tropical_rational(net)
    for x in data.draw(rational_points(net, 4)):
        assert explicit.at(x) == tuple(exact_forward(net, x)[0])


def test_tropical_rational_of_a_skip_network_in_floats():
    """A network with a skip, evaluated in max-plus over float64, equals its forward pass up to rounding."""
    net = Network.random([2, 2, 2, 2, 1], skips=[(1, 3)], seed=5)
    x = np.random.default_rng(0).uniform(-3, 3, (50, 2))
    explicit = tropical_rational(net)
    np.testing.assert_allclose(explicit(x), net(x), atol=1e-12)
    np.testing.assert_allclose(explicit(x[0]), net(x[0]), atol=1e-12)


@given(st.lists(st.tuples(*[st.integers(-3, 3)] * 3), min_size=1, max_size=9), st.data())
def test_reduced_drops_exactly_the_redundant_monomials(monomials, data):
    """`reduced` keeps the values, and every kept monomial is somewhere the only maximum."""
    polynomial = TropicalPolynomial(np.array(monomials, dtype=object).reshape(-1, 3))
    reduced = polynomial.reduced()
    for x in data.draw(st.lists(st.tuples(RATIONALS, RATIONALS), min_size=3, max_size=3)):
        assert reduced.at(x) == polynomial.at(x)
    kept = {tuple(row) for row in reduced.rows.tolist()}
    assert len(kept) == len(reduced)
    for a, b, c in set(monomials):
        others = [((p - a, q - b), c - r) for p, q, r in set(monomials) - {(a, b, c)}]
        assert ((a, b, c) in kept) == has_interior(others)


def test_upper_hull_of_known_points():
    """max(2x, x + 1, 0, x) on the line: x is below max(0, x + 1) everywhere, the others lead somewhere."""
    polynomial = TropicalPolynomial(np.array([[2, 0], [1, 1], [0, 0], [1, 0]], dtype=object))
    assert sorted(polynomial.reduced().rows.tolist()) == [[0, 0], [1, 1], [2, 0]]
    touching = TropicalPolynomial(np.array([[2, 0], [1, 0], [0, 0]], dtype=object))
    assert sorted(touching.reduced().rows.tolist()) == [[0, 0], [2, 0]]


def test_too_many_monomials_are_refused():
    """A network whose polynomials outgrow the limit is refused by layer."""
    net = Network.random([2, 4, 4, 1], seed=0)
    with pytest.raises(TropnetError, match=r"layer 3 needs a tropical polynomial of .* more than max_monomials=10"):
        tropical_rational(net, max_monomials=10)


def test_dense_sources_enter_the_recurrences():
    """A layer that reads the input and an earlier layer with matrices of its own is covered by the recurrences."""
    net = Network(
        [
            Layer({0: np.array([[1.0, -2.0]])}, np.array([0.5])),
            Layer({1: np.array([[3.0]]), 0: np.array([[-1.0, 1.0]])}, np.array([0.0]), (-1.0, 1.0)),
            Layer({2: np.array([[1.0]]), 1: np.array([[-2.0]]), 0: np.array([[0.25, 0.0]])}, np.array([1.0])),
        ]
    )
    x = [Fraction(1, 3), Fraction(2, 5)]
    *_, (H, G, _, _) = layers_at(net, x)
    assert [h - g for h, g in zip(H, G, strict=True)] == list(exact_forward(net, x)[0])

"""Intervals against values over the rationals, at corners of boxes and inside, at any magnitude."""

from fractions import Fraction
from itertools import product
from math import inf, isinf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from tests.core.network.test_carrying import exact_outputs
from tests.oracles.exact import exact_layers
from tests.strategies import networks
from tropnet import Layer, Network
from tropnet.network.intervals import output_intervals, pre_activation_interval

N = settings().max_examples
# The last two underflow and overflow in products.
SCALES = [1.0, 2.0**-30, 2.0**40, 2.0**-600, 2.0**600]


@st.composite
def boxes(draw, d):
    """Draw sides, flat ones on purpose."""
    low = np.array(draw(st.lists(st.floats(-4, 4), min_size=d, max_size=d)))
    wide = np.array(draw(st.lists(st.sampled_from([0.0, 1.0, 0.3]), min_size=d, max_size=d)))
    return low, low + wide


def rescaled(net, scales):
    """Return the network with the weights and biases of each layer multiplied by a power of two."""
    return Network(
        [
            Layer({k: w * s for k, w in layer.weights.items()}, layer.bias * s, layer.slopes)
            for layer, s in zip(net.layers, scales, strict=True)
        ],
        net.n_inputs,
    )


@settings(max_examples=N)
@given(st.data())
def test_no_value_leaves_its_interval(data):
    """Exact values at corners, at the middle and in between lie within the bounds of every neuron."""
    net = data.draw(networks())
    net = rescaled(net, [data.draw(st.sampled_from(SCALES)) for _ in net.layers])
    low, high = data.draw(boxes(net.n_inputs))
    bounds = output_intervals(net.layers, (low, high))
    parts = data.draw(st.lists(st.floats(0, 1), min_size=net.n_inputs, max_size=net.n_inputs))
    inside = np.clip(low + np.array(parts) * (high - low), low, high)
    for x in [*map(list, product(*zip(low.tolist(), high.tolist(), strict=True))), inside.tolist()]:
        for values, (below, above) in zip(exact_outputs(net, x), bounds[1:], strict=True):
            for value, least, most in zip(values, below.tolist(), above.tolist(), strict=True):
                assert least <= value
                assert value <= most


@given(st.data(), st.booleans())
def test_one_layer_has_the_sharpest_bounds_but_for_rounding(data, is_sparse):
    """The extremes of one layer over a box, infinite sides included, are those of its corners, sparse or not."""
    d, n = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    entries = st.lists(st.integers(-3, 3), min_size=d, max_size=d)
    weights = np.array(data.draw(st.lists(entries, min_size=n, max_size=n)), dtype=float)
    low, high = data.draw(boxes(d))
    low[data.draw(st.lists(st.booleans(), min_size=d, max_size=d))] = -inf
    high[data.draw(st.lists(st.booleans(), min_size=d, max_size=d))] = inf
    layer = Layer({0: sparse.csr_array(weights) if is_sparse else weights}, np.ones(n), np.tile([0.0, 1.0], (n, 1)))
    below, above = pre_activation_interval(layer, [(low, high)])
    for row, least, most in zip(weights.tolist(), below.tolist(), above.tolist(), strict=True):
        ends = [sorted((w * a, w * b)) if w else (0.0, 0.0) for w, a, b in zip(row, low, high, strict=True)]
        for bound, terms, side in ((least, [a for a, _ in ends], -1), (most, [b for _, b in ends], 1)):
            if any(map(isinf, terms)):
                assert bound == side * inf
            else:
                exact = 1 + sum(map(Fraction, terms))
                assert 0 <= side * (Fraction(bound) - exact) <= Fraction(1, 10**12)


def test_a_neuron_without_terms_is_its_bias():
    """Where no source that can differ from 0 is read, nothing is rounded."""
    layer = Layer({0: np.array([[0.0, 1.0], [0.0, 0.0]])}, np.array([0.0, 0.5]), np.tile([-1.0, 1.0], (2, 1)))
    assert [b.tolist() for b in output_intervals([layer], (np.array([1.0, 0.0]), np.array([2.0, 0.0])))[1]] == [
        [0.0, np.nextafter(0.5, 0)],
        [0.0, np.nextafter(0.5, 1)],
    ]


@pytest.mark.parametrize("slopes", [(0.0, 1.0), (-1.0, 1.0), (0.1, 3.0), (-0.5, -2.0)])
@pytest.mark.parametrize("end", [1.7e308, 5e-324])
def test_the_ends_of_float64_are_no_exception(slopes, end):
    """Products that overflow or underflow are bounded on the right side."""
    net = Network([Layer({0: np.array([[3.0]])}, np.zeros(1), slopes), Layer({1: np.eye(1)}, np.zeros(1))])
    low, high = output_intervals(net.hidden, (np.array([-end]), np.array([end])))[1]
    for x in (-end, end, end / 2):
        (neuron,) = exact_layers(net)[0]
        z = neuron.pre_activation([[(Fraction(x),)]], 1)
        (value,) = neuron.output(z, z[0] > 0)
        assert low[0] <= value
        assert value <= high[0]

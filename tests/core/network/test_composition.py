"""Composed maps against the network evaluated over the rationals, along paths that turn back and forth."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracles.exact import exact_layers, rationals
from tests.strategies import networks, points
from tropnet import Network
from tropnet.arrays.patterns import pack
from tropnet.exact.dyadic import to_integers
from tropnet.network.recurrence import Composition, compose, compose_bounded, compose_many, evaluate
from tropnet.network.selected_rows import compose_selected


def maps_by_hand(net, pattern):
    """Return the rows of all layers where a pattern holds, as fractions, neuron by neuron."""
    d = net.n_inputs
    outputs = [[rationals(row) for row in np.eye(d, d + 1).tolist()]]
    maps, bits = [], iter(pattern)
    for neurons in exact_layers(net):
        maps.append([neuron.pre_activation(outputs, d + 1) for neuron in neurons])
        if len(maps) <= len(net.hidden):
            outputs.append([n.output(z, bool(next(bits))) for n, z in zip(neurons, maps[-1], strict=True)])
    return maps


def patterns(net, n):
    row = st.lists(st.booleans(), min_size=net.n_neurons, max_size=net.n_neurons)
    return st.lists(row, min_size=n, max_size=n).map(lambda rows: np.array(rows, dtype=bool).reshape(n, -1))


@given(st.data())
def test_a_path_is_followed_from_any_other(data):
    """Whatever was composed before, the rows are those of the pattern: skips, slopes and affine neurons included."""
    net = data.draw(networks())
    maps = Composition.of(net.integers.layers, net.n_inputs)
    for pattern in data.draw(patterns(net, 4)):
        index = data.draw(st.integers(0, len(net.hidden)))
        rows = maps.follow(pattern, index)
        expected = maps_by_hand(net, pattern)
        for layer in range(index + 1):
            scale = 2 ** net.integers.exponents[layer]
            assert [rationals(row) for row in maps.rows[layer].tolist()] == [
                tuple(scale * value for value in row) for row in expected[layer]
            ]
        assert rows is maps.rows[index]
        assert len(maps.rows) == len(maps.outputs) == index + 1
        every = [row for layer in maps.rows for row in layer.tolist()]
        assert [maps.row(j).tolist() for j in range(len(every))] == every


@given(st.data())
def test_layer_by_layer_is_the_same_as_following(data):
    """`enter` and `decide` compose what `follow` and `compose` do; in float64 too."""
    net = data.draw(networks())
    pattern = data.draw(patterns(net, 1))[0]
    for layers in (net.layers, net.integers.layers):
        maps = Composition.of(layers, net.n_inputs)
        for bits in net.split_pattern(pattern):
            maps.enter()
            maps.decide(bits)
        maps.enter()
        for one, other in zip(maps.rows, compose(layers, pattern, net.n_inputs), strict=True):
            assert np.array_equal(one, other)


@given(st.data())
def test_many_patterns_at_once_stay_within_their_bounds(data):
    """Every entry of `compose_bounded` is off by its bound at most, `compose_many` says the same without bounds."""
    net = data.draw(networks())
    several = data.draw(patterns(net, 3))
    maps, errors = compose_bounded(net.layers, several, net.n_inputs)
    for one, other in zip(maps, compose_many(net.layers, several, net.n_inputs), strict=True):
        assert np.array_equal(one, other)
    for m, pattern in enumerate(several):
        for rows, bounds, expected in zip(maps, errors, maps_by_hand(net, pattern), strict=True):
            for row, bound, exact in zip(rows[m].tolist(), bounds[m].tolist(), expected, strict=True):
                for value, wrong, right in zip(rationals(row), rationals(bound), exact, strict=True):
                    assert abs(value - right) <= wrong


def check_selected(net, several, wanted, gap, twofold):
    """Compare `compose_selected` with the oracle, row by row, and return its bounds."""
    rows, neurons, offsets = compose_selected(
        net.layers, pack(several), pack(wanted), net.n_inputs, gap=gap, twofold=twofold
    )
    assert np.diff(offsets).tolist() == [gap + n for n in wanted.sum(axis=1).tolist()]
    for pattern, flags, start in zip(several, wanted, offsets[:-1].tolist(), strict=True):
        exact = [row for layer in maps_by_hand(net, pattern)[:-1] for row in layer]
        for at, j in enumerate(np.flatnonzero(flags).tolist(), start + gap):
            assert neurons[at] == j
            sign = -1 if pattern[j] else 1
            right = [sign * value for value in exact[j][:-1]] + [-sign * exact[j][-1]]
            values = rationals(rows.high[at])
            if twofold:
                values = [high + low for high, low in zip(values, rationals(rows.low[at]), strict=True)]
            off = [value - other for value, other in zip(values, right, strict=True)]
            slope, constant = rationals(rows.error[at])
            assert sum(value**2 for value in off[:-1]) <= slope**2
            assert abs(off[-1]) <= constant
    return rows.error


@given(st.data(), st.booleans())
def test_selected_rows_stay_within_their_bounds(data, twofold):
    """The rows that are asked for, in any order of patterns, are those of the oracle, off by their bounds at most."""
    net = data.draw(networks())
    several, wanted = data.draw(patterns(net, 5)), data.draw(patterns(net, 5))
    check_selected(net, several, wanted, data.draw(st.integers(0, 2)), twofold)


@pytest.mark.parametrize("twofold", [False, True])
@pytest.mark.parametrize("scale", [-900, -300, 0, 200])
def test_bounds_of_selected_rows_hold_where_products_vanish_or_grow(scale, twofold):
    """Weights of 2^scale: what underflows is in the bounds; at ordinary sizes these are of the order of rounding."""
    rng = np.random.default_rng(5)
    widths = [3, 6, 5, 4, 2]
    weights = [2.0**scale * rng.normal(size=(n, m)) for m, n in pairwise(widths)]
    net = Network.mlp(weights, [rng.normal(size=n) for n in widths[1:]])
    several = rng.random((12, net.n_neurons)) < 0.6
    several[1:, :6] = several[0, :6]
    errors = check_selected(net, several, rng.random(several.shape) < 0.5, 0, twofold)
    if scale == 0:
        assert errors.max() < (1e-26 if twofold else 1e-12)


@given(st.data())
def test_values_at_a_point_are_those_of_the_oracle(data):
    """`evaluate` gives every pre-activation at a float64 point, exactly, times its unit."""
    net = data.draw(networks())
    point = data.draw(points(net.n_inputs, 1))[0]
    integers, exponent = to_integers(point)
    values = evaluate(net.integers.layers, integers, 1 << exponent)
    outputs = [[(value,) for value in rationals(point)]]
    for neurons, z, scale in zip(exact_layers(net), values, net.integers.exponents, strict=True):
        right = [neuron.pre_activation(outputs, 1) for neuron in neurons]
        assert rationals(z) == tuple(value * 2 ** (scale + exponent) for (value,) in right)
        outputs.append([neuron.output(value, value[0] > 0) for neuron, value in zip(neurons, right, strict=True)])

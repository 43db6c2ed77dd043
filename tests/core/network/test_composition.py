"""Composed maps against the network evaluated over the rationals, along paths that turn back and forth."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.oracles.exact import exact_layers, rationals
from tests.strategies import networks, points
from tropnet.exact.dyadic import to_integers
from tropnet.network.recurrence import Composition, compose, compose_bounded, compose_many, evaluate


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

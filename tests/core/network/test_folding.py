"""Networks without affine neurons: the same function, the same patterns, on networks with any wiring."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

import tropnet as tn
from tests.checks import show
from tests.oracles.exact import exact_layers, rationals
from tests.strategies import networks, points

N = settings().max_examples


def affine_in_part(net: tn.Network, data: st.DataObject, slopes: list[float]) -> tn.Network:
    """Return the network with some neurons made affine, whole layers among them."""
    layers = []
    for layer in net.hidden:
        chosen = data.draw(st.lists(st.booleans(), min_size=layer.width, max_size=layer.width))
        everywhere = data.draw(st.booleans())
        slope = data.draw(st.sampled_from(slopes))
        own = np.where((np.array(chosen) | everywhere)[:, None], slope, layer.slopes)
        layers.append(tn.Layer(layer.weights, layer.bias, own))
    return tn.Network([*layers, net.layers[-1]], net.n_inputs)


def exact_output(net: tn.Network, x: list[float]) -> list[float]:
    """Return the outputs at x over the rationals."""
    outputs = [[(value,) for value in rationals(x)]]
    for neurons in exact_layers(net):
        z = [neuron.pre_activation(outputs, 1) for neuron in neurons]
        outputs.append([neuron.output(value, value[0] > 0) for neuron, value in zip(neurons, z, strict=True)])
    return [value for (value,) in outputs[-1]]


@settings(max_examples=N)
@given(net=networks(nearly_degenerate=False), data=st.data())
def test_values_are_the_same(net, data):
    """Over the rationals, up to the rounding of the folded weights; no affine neuron is left."""
    net = affine_in_part(net, data, [1.0, 0.0, -0.5])
    show(net, None)
    folded = net.without_affine_neurons()
    assert not folded.affine_neurons.any()
    assert folded.n_neurons == net.n_neurons - net.affine_neurons.sum()
    for x in data.draw(points(net.n_inputs, 4)):
        expected = [float(value) for value in exact_output(net, x)]
        assert [float(value) for value in exact_output(folded, x)] == pytest.approx(expected, rel=1e-9, abs=1e-9)


def integer_network(seed: int) -> tn.Network:
    """Return a network of small integers in which layers read all sources, and some neurons are affine."""
    rng = np.random.default_rng(seed)
    widths = [2, 4, 3, 4, 2]
    layers = []
    for index, width in enumerate(widths[1:], start=1):
        weights = {k: rng.integers(-2, 3, (width, widths[k])).astype(float) for k in range(index)}
        slopes = np.array([(0.0, 1.0), (1.0, 1.0), (-1.0, 1.0), (2.0, 2.0)])[rng.integers(0, 4, width)]
        layers.append(tn.Layer(weights, rng.integers(-2, 3, width).astype(float), slopes))
    return tn.Network(layers)


@pytest.mark.parametrize("seed", range(20))
def test_the_exact_function_and_regions_of_integer_weights(seed):
    """Where sums are float64 numbers nothing is rounded: equal affine maps on equal regions."""
    net = integer_network(seed)
    folded = net.without_affine_neurons()
    box = tn.Box([-3.0, -3.0], 3.0)
    before, after = tn.enumerate_regions(net, box), tn.enumerate_regions(folded, box)
    nonlinear = ~net.affine_neurons
    assert {tuple(p) for p in before.patterns[:, nonlinear]} == {tuple(p) for p in after.patterns}
    assert len(before) == len(after)
    for region in before:
        own, other = net.affine_map(region.pattern), folded.affine_map(region.pattern[nonlinear])
        np.testing.assert_array_equal(own.weight, other.weight)
        np.testing.assert_array_equal(own.bias, other.bias)


def test_no_neuron_left_is_one_affine_map():
    """A network of affine neurons folds to its output layer, which reads the input."""
    net = tn.Network.random([3, 5, 5, 2], skips=[(1, 3)], slopes=(1.0, 1.0), seed=0)
    folded = net.without_affine_neurons()
    assert (folded.widths, folded.layers[0].weights.keys()) == ((), {0})
    np.testing.assert_allclose(folded.layers[0].weights[0], net.affine_map(np.zeros(10, bool)).weight, atol=1e-12)


def test_neurons_of_slope_zero_hand_nothing_on():
    """A layer that read nothing else still reads one source, by zeros."""
    net = tn.Network.random([3, 5, 2], slopes=(0.0, 0.0), seed=0)
    folded = net.without_affine_neurons()
    np.testing.assert_array_equal(folded([1.0, 2.0, 3.0]), net.layers[-1].bias)
    assert folded.n_inputs == 3


def test_a_network_without_affine_neurons_stays_as_it_is():
    net = tn.Network.random([2, 4, 4, 1], skips=[(1, 3)], seed=0)
    assert net.without_affine_neurons().fingerprint == net.fingerprint


def test_sparse_weights_stay_sparse():
    """Sparse layers fold as the dense ones of the same numbers do."""
    rng = np.random.default_rng(0)
    band = sparse.csr_array(sparse.diags_array([1.0, -2.0], offsets=[0, 1], shape=(12, 12)))
    slopes = np.where(rng.random(12) < 0.5, 1.0, 0.0)
    layers = [
        tn.Layer({0: band}, np.ones(12), np.stack([slopes, np.ones(12)], axis=1)),
        tn.Layer({1: band}, np.zeros(12)),
        tn.Layer({2: np.ones((1, 12))}, np.zeros(1)),
    ]
    net = tn.Network(layers)
    folded, dense = net.without_affine_neurons(), net.dense.without_affine_neurons()
    assert sparse.issparse(folded.layers[1].weights[0])
    assert folded.dense.fingerprint == dense.fingerprint


def test_overflow_is_refused():
    net = tn.Network.mlp([[[1e200]], [[1e200]]], [[0.0], [0.0]], slopes=(1.0, 1.0))
    with pytest.raises(tn.NonFiniteError, match="layer 1"):
        net.without_affine_neurons()

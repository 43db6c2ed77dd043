"""Networks without skips: the same function, the same regions, on networks with any wiring."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import sparse

import tropnet as tn
from tests.checks import show
from tests.oracles.exact import exact_layers, rationals
from tests.strategies import networks, points

N = settings().max_examples
BOX = tn.Box(-4.0, [4.0])


def exact_outputs(net: tn.Network, x: list[float]) -> list[list[Fraction]]:
    """Return nu_1, nu_2, ... at x over the rationals."""
    outputs = [[(value,) for value in rationals(x)]]
    for neurons in exact_layers(net):
        z = [neuron.pre_activation(outputs, 1) for neuron in neurons]
        outputs.append([neuron.output(value, value[0] > 0) for neuron, value in zip(neurons, z, strict=True)])
    return [[value for (value,) in layer] for layer in outputs[1:]]


def carried(net: tn.Network) -> tuple[tn.Network, tn.Domain | None]:
    """Return the network without skips, and its domain: R^d if skips hand on outputs >= 0 only, whatever comes in."""
    slopes = [np.asarray(net.layers[k - 1].slopes) if k else np.ones((net.n_inputs, 2)) for k, _ in net.skips]
    box = tn.Box(np.full(net.n_inputs, -4.0), 4.0)
    domain = None if all(((pairs[:, 0] <= 0) & (pairs[:, 1] >= 0)).all() for pairs in slopes) else box
    return net.without_skips(domain), domain


def own_columns(net: tn.Network, chain: tn.Network) -> np.ndarray:
    """Return which neurons of the chain are those of the network."""
    return np.concatenate(
        [np.arange(wide) < own for own, wide in zip(net.widths, chain.widths, strict=True)] or [np.empty(0, bool)]
    )


@settings(max_examples=N)
@given(net=networks(nearly_degenerate=False), data=st.data())
def test_values_are_the_same(net, data):
    """Neuron by neuron over the rationals, up to the one rounding of each bias."""
    show(net, None)
    chain, domain = carried(net)
    assert not chain.skips
    for x in data.draw(points(net.n_inputs, 4)):
        if domain is not None and not domain.contains(x):
            continue
        for index, (own, wide) in enumerate(zip(exact_outputs(net, x), exact_outputs(chain, x), strict=True)):
            assert [float(v) for v in wide[: len(own)]] == pytest.approx([float(v) for v in own], rel=1e-9, abs=1e-9)
            assert all(value >= 1 for value in wide[len(own) :]), f"layer {index + 1} touches zero"


@settings(max_examples=N)
@given(net=networks(nearly_degenerate=False))
def test_regions_are_the_same(net):
    """The patterns, without the carried neurons, are those of the network, and carried neurons are active."""
    show(net, None)
    # So that every difference of biases is a float64 number.
    assume(all(np.all(np.abs(layer.bias * 8) % 1 == 0) for layer in net.layers))
    assume(all(np.all(np.abs(w * 8) % 1 == 0) for layer in net.layers for w in layer.weights.values()))
    chain, domain = carried(net)
    expected, found = (tn.enumerate_regions(each, domain).patterns for each in (net, chain))
    own = own_columns(net, chain)
    assert sorted(found[:, own].tolist()) == sorted(expected.tolist())
    assert found[:, ~own].all()


@pytest.mark.parametrize("skips", [[(1, 3)], [(1, 3), (1, 4), (2, 4)], [(1, 5), (3, 5)]])
def test_networks_of_the_papers(skips):
    """Skips of the first paper on all of the plane: one carried neuron for each entry and layer in between."""
    net = tn.Network.random([2, 6, 6, 6, 6, 1], skips, seed=0)
    chain = net.without_skips()
    between = {(k, layer) for k, target in skips for layer in range(k + 1, target)}
    assert chain.n_neurons == net.n_neurons + 6 * len(between)
    assert tn.count_regions(chain) == tn.count_regions(net)
    x = np.random.default_rng(0).normal(size=(100, 2))
    assert chain(x) == pytest.approx(net(x), abs=1e-12)


def test_a_network_without_skips_stays_as_it_is():
    """Weights, biases and slopes, to the last bit."""
    net = tn.Network.random([2, 4, 4, 1], seed=0)
    assert net.without_skips().fingerprint == net.fingerprint


def test_input_skips_need_a_box():
    """The message says what to pass; with it, the chain is the network on the box."""
    net = tn.Network.random([2, 2, 2, 1], [(0, 2)], seed=0)
    with pytest.raises(tn.DomainError, match=r"hands on the input without a lower bound .*domain=Box"):
        net.without_skips()
    with pytest.raises(tn.DomainError, match="hands on the input"):
        net.without_skips(tn.Box(-np.inf, 0))
    with pytest.raises(tn.DomainError, match="must be a box"):
        net.without_skips(tn.Polytope(np.eye(2), np.ones(2)))
    box = tn.Box(-100.0, [5.0, 7.0])
    chain = net.without_skips(box)
    assert tn.count_regions(chain, box) == tn.count_regions(net, box)
    assert chain.layers[0].bias[2:].tolist() == [128.0, 128.0]


def test_leaky_sources_need_a_box():
    """A leaky neuron has negative outputs; bounded inputs bound them. Carrying neurons are leaky too."""
    net = tn.Network.random([2, 4, 4, 4, 1], [(1, 3)], slopes=(0.5, 1.0), seed=0)
    with pytest.raises(tn.DomainError, match="hands on layer 1, whose slopes let it be negative"):
        net.without_skips()
    box = tn.Box(-3, 3)
    chain = net.without_skips(box)
    assert tn.count_regions(chain, box) == tn.count_regions(net, box)
    assert np.all(chain.layers[1].slopes == (0.5, 1.0))


def test_sparse_weights_stay_sparse_and_zeros_are_not_carried():
    """A skip carries the entries that are read."""
    first = sparse.csr_array(np.eye(3))
    only = sparse.csr_array(np.array([[0.0, 0.0, 2.0]]))
    net = tn.Network(
        [
            tn.Layer({0: first}, np.zeros(3)),
            tn.Layer({1: sparse.csr_array(np.ones((2, 3)))}, -np.ones(2)),
            tn.Layer({2: sparse.csr_array(np.ones((1, 2))), 1: only}, np.zeros(1)),
        ]
    )
    chain = net.without_skips()
    assert chain.widths == (3, 3)
    assert all(sparse.issparse(weight) for layer in chain.layers for weight in layer.weights.values())
    x = np.random.default_rng(0).normal(size=(20, 3))
    assert chain(x) == pytest.approx(net(x))


def test_large_sparse_networks_stay_within_memory():
    """Identities of 20,000 neurons would take 3 GB each if they were unfolded."""
    eye = sparse.csr_array(sparse.eye(20_000))
    layers = [tn.Layer({0: eye}, np.zeros(20_000)), tn.Layer({1: eye}, np.zeros(20_000))]
    net = tn.Network([*layers, tn.Layer({2: eye, 1: eye}, np.zeros(20_000))])
    x = np.arange(20_000.0)
    assert (net.without_skips()(x) == 2 * x).all()


@pytest.mark.parametrize("low", [-(2.0**53), -1.5e308])
def test_boxes_beyond_rounding_are_refused(low):
    """There 1 more or less is none."""
    net = tn.Network.random([1, 1, 1, 1], [(0, 2)], seed=0)
    with pytest.raises(tn.DomainError, match=r"-2\*\*52"):
        net.without_skips(tn.Box(low, 1.0))


def test_one_infinite_side_leaves_the_other():
    """What leaky neurons hand on has a lower bound where x >= 0, however large x may get."""
    leaky = tn.Network.mlp([[[1.0]], [[1.0]], [[1.0]]], [[0.0], [0.0], [0.0]], skips=[(1, 3)], slopes=(0.5, 1.0))
    chain = leaky.without_skips(tn.Box(0.0, np.inf))
    assert not chain.skips
    assert chain([1e6]).tolist() == leaky([1e6]).tolist() == [2e6]

"""Restriction to an affine slice: exact up to one rounding per entry."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.checks import distinct, nearest_float, show
from tests.oracles.brute_force import brute_force_patterns, exact_forward
from tests.strategies import halfspaces, networks, points
from tropnet import Box, Layer, Network, NonFiniteError, ShapeError, enumerate_regions


@given(st.data())
def test_entries_are_the_nearest_floats(data: st.DataObject) -> None:
    """Every weight and bias of the slice is the float64 nearest to the exact one."""
    net = data.draw(networks())
    show(net, None)
    origin, *basis = data.draw(points(net.n_inputs, data.draw(st.integers(2, 4))))
    slice_ = net.restrict(origin, basis)
    assert slice_.n_inputs == len(basis)
    assert slice_.widths == net.widths
    for layer, given_ in zip(slice_.layers, net.layers, strict=True):
        assert layer.weights.keys() == given_.weights.keys()
        assert np.array_equal(layer.slopes, given_.slopes)
        if 0 not in layer.weights:
            assert np.array_equal(layer.bias, given_.bias)
            continue
        for i, row in enumerate(given_.weights[0].tolist()):
            products = [sum(Fraction(w) * Fraction(u) for w, u in zip(row, v, strict=True)) for v in [*basis, origin]]
            products[-1] += Fraction(given_.bias[i])
            expected = [nearest_float(value) for value in products]
            assert [*layer.weights[0][i].tolist(), layer.bias[i]] == expected


@given(st.data())
def test_values_agree_with_the_network(data: st.DataObject) -> None:
    """The slice at t equals the network at origin + t @ basis, exactly so on integers."""
    net = data.draw(networks(nearly_degenerate=False))
    show(net, None)
    integer = st.lists(st.integers(-3, 3).map(float), min_size=net.n_inputs, max_size=net.n_inputs)
    origin, basis = data.draw(integer), data.draw(st.lists(integer, min_size=1, max_size=3))
    slice_ = net.restrict(origin, basis)
    t = data.draw(st.lists(st.integers(-3, 3).map(float), min_size=len(basis), max_size=len(basis)))
    x = np.asarray(origin) + np.asarray(t) @ np.asarray(basis)
    size = 1 + max(np.abs(slice_.pre_activations(t)).max(initial=0), np.abs(net.pre_activations(x)).max(initial=0))
    assert slice_(t) == pytest.approx(net(x), rel=1e-12, abs=1e-11 * size)
    whole = [weight for layer in net.layers for weight in (*layer.weights.values(), layer.bias)]
    if all((weight * 8 == np.round(weight * 8)).all() for weight in whole):
        assert exact_forward(slice_, t) == exact_forward(net, x.tolist())


@given(networks(3, max_neurons=5), st.permutations(range(3)))
def test_coordinate_planes_are_exact(net: Network, order: list[int]) -> None:
    """On a coordinate plane through 0 the weights are columns, so engines find exactly what occurs there."""
    show(net, None)
    basis = np.eye(3)[order[:2]]
    slice_ = net.restrict(np.zeros(3), basis)
    for layer, given_ in zip(slice_.layers, net.layers, strict=True):
        assert np.array_equal(layer.bias, given_.bias)
        if 0 in layer.weights:
            assert np.array_equal(layer.weights[0], given_.weights[0][:, order[:2]])
    box = Box(-2, 2)
    assert distinct(enumerate_regions(slice_, box).patterns) == brute_force_patterns(slice_, halfspaces(box, 2))


def test_identity_changes_nothing() -> None:
    """The slice along the unit vectors through 0 is the network itself, whatever its skips."""
    net = Network.random([4, 4, 4, 4, 2], skips=[(0, 2), (1, 3), (0, 4)], seed=3)
    assert net.restrict(np.zeros(4), np.eye(4)).fingerprint == net.fingerprint


def test_network_that_ignores_its_input() -> None:
    """A network no layer of which reads the input is its own slice, of another dimension."""
    net = Network([Layer({0: np.zeros((1, 3))}, np.ones(1)), Layer({1: np.ones((1, 1))}, np.zeros(1))])
    constant = Network([Layer({0: np.zeros((2, 3))}, np.ones(2))], 3).restrict(np.zeros(3), np.ones((5, 3)))
    assert constant(np.zeros(5)).tolist() == [1, 1]
    assert net.restrict(np.ones(3), np.ones((1, 3)))([7.0]).tolist() == [1]


@pytest.mark.parametrize(
    ("origin", "basis", "message"),
    [
        ([0.0], [[1.0, 0.0]], r"must have shapes \(2,\) and \(k, 2\).*got \(1,\) and \(1, 2\)"),
        ([0.0, 0.0], [[1.0], [0.0]], r"got \(2,\) and \(2, 1\)"),
        ([0.0, 0.0], np.empty((0, 2)), r"k >= 1, got \(2,\) and \(0, 2\)"),
        ([0.0, 0.0], [1.0, 0.0], "basis must be a matrix"),
        ("ab", [[1.0, 0.0]], "origin must be an array of real numbers"),
    ],
)
def test_wrong_shapes_are_named(origin: object, basis: object, message: str) -> None:
    """Shapes that do not fit raise an error that names both."""
    with pytest.raises(ShapeError, match=message):
        Network.random([2, 3, 1], seed=0).restrict(origin, basis)  # type: ignore[arg-type]


def test_entries_that_are_not_finite_are_named() -> None:
    """NaN in the slice raises, and so does a slice whose weights overflow."""
    net = Network.mlp([[[1e200, 1.0]], [[1.0]]], [[0.0], [0.0]])
    with pytest.raises(NonFiniteError, match=r"basis must be finite, got nan at basis\[0\]\[1\]"):
        net.restrict([0.0, 0.0], [[1.0, np.nan]])
    with pytest.raises(NonFiniteError, match=r"layer 1: weights\[0\] must be finite, got inf"):
        net.restrict([0.0, 0.0], [[1e200, 0.0]])

"""Segments: breakpoints and patterns in exact arithmetic."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.checks import distinct, nearest_float, show
from tests.oracles.brute_force import brute_force_patterns, exact_affine_map, exact_forward
from tests.strategies import halfspaces, networks, points
from tropnet import Box, DomainError, Layer, Network, NonFiniteError, ShapeError, enumerate_regions
from tropnet.local_search.segment import regions_on_segment


@given(st.data())
def test_pieces_are_exact(data: st.DataObject) -> None:
    """Inside every piece the exact pattern is the piece's; at every end the exact output is; neighbours differ."""
    net = data.draw(networks())
    show(net, None)
    x0, x1 = data.draw(points(net.n_inputs, 2).filter(lambda ends: ends[0] != ends[1]))
    pieces = regions_on_segment(net, x0, x1)
    cuts = pieces.exact_breakpoints
    assert cuts[0] == 0
    assert cuts[-1] == 1
    assert all(low < high for low, high in pairwise(cuts))
    assert pieces.patterns.shape == (len(pieces), net.n_neurons) == (len(cuts) - 1, net.n_neurons)
    assert pieces.breakpoints.tolist() == [nearest_float(t) for t in cuts]
    assert all(not np.array_equal(*neighbours) for neighbours in pairwise(pieces.patterns))

    def point(t: Fraction) -> list[Fraction]:
        return [Fraction(a) + t * (Fraction(b) - Fraction(a)) for a, b in zip(x0, x1, strict=True)]

    for i, (low, high) in enumerate(pairwise(cuts)):
        # Affine between the breakpoints and constant near both ends: three points on a piece see any change inside.
        for t in ((low + high) / 2, low + (high - low) / 1000, high - (high - low) / 1000):
            assert exact_forward(net, point(t))[1] == tuple(pieces.patterns[i])
        rows, _ = exact_affine_map(net, pieces.patterns[i].tolist())
        rise = [sum(a * (Fraction(q) - Fraction(p)) for a, p, q in zip(row, x0, x1, strict=True)) for row in rows]
        assert pieces.slopes[i].tolist() == [nearest_float(value) for value in rise]
        assert pieces.lengths[i] == nearest_float(high - low)
    for t, output in zip(cuts, pieces.outputs, strict=True):
        assert output.tolist() == [nearest_float(y) for y in exact_forward(net, point(t))[0]]


@given(networks(1, max_neurons=6))
def test_patterns_are_those_of_the_engines(net: Network) -> None:
    """On a line that is the input space itself, the pieces are the regions: of the lp engine and by brute force."""
    show(net, None)
    found = distinct({tuple(pattern) for pattern in regions_on_segment(net, [-4.0], [4.0]).patterns.tolist()})
    box = Box(-4, 4)
    assert found == distinct(enumerate_regions(net, box, engine="lp").patterns)
    assert found == brute_force_patterns(net, halfspaces(box, 1))


@given(st.data())
def test_pieces_are_the_regions_of_an_exact_slice(data: st.DataObject) -> None:
    """Along integer points of integer networks, the pieces are the regions of the restricted network."""
    net = data.draw(networks(max_neurons=6, nearly_degenerate=False))
    integer = st.lists(st.integers(-4, 4).map(float), min_size=net.n_inputs, max_size=net.n_inputs)
    x0 = data.draw(integer)
    x1 = data.draw(integer.filter(lambda x: x != x0))
    weights = [weight for layer in net.layers for weight in (*layer.weights.values(), layer.bias)]
    if any((weight * 8 != np.round(weight * 8)).any() for weight in weights):
        net = Network(
            (
                Layer({k: np.round(w) for k, w in layer.weights.items()}, np.round(layer.bias), layer.slopes)
                for layer in net.layers
            ),
            net.n_inputs,
        )
    show(net, None)
    line = net.restrict(x0, [np.subtract(x1, x0)])
    pieces = regions_on_segment(net, x0, x1)
    expected = enumerate_regions(line, Box(0, 1), engine="lp")
    assert {tuple(p) for p in pieces.patterns.tolist()} == distinct(expected.patterns)
    inner = {t for region in expected for t in region.vertices().ravel().tolist()}
    assert set(pieces.breakpoints.tolist()) <= inner


@given(st.data())
def test_reversal_reverses_the_pieces(data: st.DataObject) -> None:
    """The segment walked backwards has the same pieces in the other order."""
    net = data.draw(networks())
    show(net, None)
    x0, x1 = data.draw(points(net.n_inputs, 2).filter(lambda ends: ends[0] != ends[1]))
    there, back = regions_on_segment(net, x0, x1), regions_on_segment(net, x1, x0)
    assert there.exact_breakpoints == tuple(1 - t for t in reversed(back.exact_breakpoints))
    assert np.array_equal(there.patterns, back.patterns[::-1])
    assert np.array_equal(there.outputs, back.outputs[::-1])


def test_neurons_that_change_together_make_one_breakpoint() -> None:
    """Two neurons with a common root, 1/3, cut once, and so does a later neuron that changes there."""
    net = Network.mlp(
        [[[3.0], [-6.0], [1.0]], [[1.0, -1.0, 0.0]], [[1.0]]],
        [[-1.0, 2.0, -2.0], [0.0], [0.0]],
    )
    pieces = regions_on_segment(net, [0.0], [1.0])
    assert pieces.exact_breakpoints == (0, Fraction(1, 3), 1)
    assert pieces.patterns.astype(int).tolist() == [[0, 1, 0, 0], [1, 0, 0, 1]]
    assert pieces.breakpoints[1] == 1 / 3


def test_breakpoints_one_rounding_apart_stay_apart() -> None:
    """Roots that differ by less than float64 resolves are two breakpoints, in their exact order."""
    bias = -np.nextafter(1.0, 2.0)
    net = Network.mlp([[[3.0], [3.0], [3e20]], [[1.0, 1.0, 1.0]]], [[bias, -1.0, -1e20 - 16384], [0.0]])
    pieces = regions_on_segment(net, [0.0], [1.0])
    roots = sorted([Fraction(-bias) / 3, Fraction(1, 3), Fraction(1e20 + 16384) / Fraction(3e20)])
    assert list(pieces.exact_breakpoints[1:-1]) == roots
    assert len(pieces) == 4
    assert (pieces.lengths > 0).all()


def test_along_a_hyperplane_the_bit_is_false() -> None:
    """On a segment inside a neuron's hyperplane the neuron is identically zero."""
    net = Network.mlp([[[0.0, 1.0], [1.0, 0.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    assert regions_on_segment(net, [-1.0, 0.0], [1.0, 0.0]).patterns.astype(int).tolist() == [[0, 0], [0, 1]]


def test_many_inputs() -> None:
    """In 300 inputs the pieces agree with forward passes at their midpoints; a network without neurons is one piece."""
    net = Network.random([300, 40, 40, 40, 3], skips=[(1, 3)], slopes=(0.1, 1.0), seed=1)
    x0, x1 = np.random.default_rng(0).uniform(-3, 3, (2, 300))
    pieces = regions_on_segment(net, x0, x1)
    assert len(pieces) > 40
    middles = (pieces.points[1:] + pieces.points[:-1]) / 2
    assert np.array_equal(net.activation_pattern(middles), pieces.patterns)
    assert pieces.outputs == pytest.approx(net(pieces.points), abs=1e-12)
    assert pieces.lengths.sum() == pytest.approx(1)
    assert repr(pieces) == f"SegmentRegions({len(pieces)} pieces, {net})"
    assert len(regions_on_segment(Network.random([3, 2], seed=0), np.zeros(3), np.ones(3))) == 1


def test_bad_ends_are_named() -> None:
    """Ends of another shape, not finite, or equal raise errors that say so."""
    net = Network.random([2, 3, 1], seed=0)
    with pytest.raises(ShapeError, match=r"x0 and x1 must have shape \(2,\), got \(2,\) and \(1, 2\)"):
        regions_on_segment(net, [0.0, 0.0], [[0.0, 0.0]])
    with pytest.raises(NonFiniteError, match=r"x1 must be finite, got inf at x1\[1\]"):
        regions_on_segment(net, [0.0, 0.0], [0.0, np.inf])
    with pytest.raises(DomainError, match="x0 and x1 must differ"):
        regions_on_segment(net, [0.0, 1.0], [0.0, 1.0])

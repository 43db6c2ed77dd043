"""Both predictors give the network's exact values, up to rounding, wherever a point lies relative to the facets."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import tropnet as tn
from tests.checks import show
from tests.predictions import exact_values, hard_points
from tests.strategies import FloatArray, networks, points, problems

N = settings().max_examples
EPS = float(np.finfo(np.float64).eps)


def assert_exact(net: tn.Network, batch: FloatArray, outputs: FloatArray) -> None:
    """Each output is the exact one up to rounding."""
    for x, found in zip(batch, outputs, strict=True):
        exact, size = exact_values(net, x)
        allowed = 100 * (net.n_neurons + net.n_inputs + 2) * EPS * size + 1e-300
        wrong = [abs(float(Fraction(value) - each)) for value, each in zip(found.tolist(), exact, strict=True)]
        assert np.all(wrong <= allowed), f"{found.tolist()} at {x.tolist()}, off by {wrong}, allowed {allowed.tolist()}"


@settings(max_examples=N)
@given(problem=problems(), seed=st.integers(0, 99))
def test_a_compiled_network_is_the_network(problem, seed):
    """Skips, leaky and other slopes, degenerate networks; boxes, polytopes and R^d; on, near and away from facets."""
    net, domain = problem
    show(net, domain)
    regions = tn.enumerate_regions(net, domain, max_regions=300)
    assume(regions.complete)
    predict = tn.CompiledPredictor.from_regions(regions)
    batch = hard_points(regions, np.random.default_rng(seed))
    batch = batch[regions.domain.contains(batch)]
    # Polytopes: in float64 a point may lie inside for one order of the sum and outside for another.
    predict.outside = "network" if isinstance(domain, tn.Polytope) else "raise"
    outputs = predict(batch)
    assert_exact(net, batch, outputs)
    for x in batch[:3]:
        assert predict(x.tolist()).shape == (net.n_outputs,)
        assert_exact(net, x[None], predict(x)[None])


@settings(max_examples=N)
@given(net=networks(nearly_degenerate=False), data=st.data())
def test_a_cached_network_is_the_network(net, data):
    """The same for the cache, whose patterns come from a forward pass."""
    show(net, None)
    batch = np.array(data.draw(points(net.n_inputs, 8)))
    predict = tn.CachedPredictor(net, max_size=data.draw(st.integers(1, 4)))
    assert_exact(net, batch, predict(batch))


@settings(max_examples=N // 3)
@given(net=networks(max_neurons=6), data=st.data())
def test_points_outside_are_refused_or_left_to_the_network(net, data):
    """Outside a box, the choice of the caller decides; the other points of the batch are answered."""
    show(net, None)
    box = tn.Box(-1.0, 1.0)
    predict = tn.compile_regions(net, box, outside="network")
    batch = np.array(data.draw(points(net.n_inputs, 6)))
    assert_exact(net, batch, predict(batch))
    inside = box.contains(batch)
    if not inside.all():
        predict.outside = "raise"
        with pytest.raises(tn.DomainError, match=f"at point {np.flatnonzero(~inside)[0]} "):
            predict(batch)
    assert_exact(net, batch[inside], predict(batch[inside]))

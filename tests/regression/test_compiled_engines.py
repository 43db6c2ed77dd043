"""What once went wrong in the compiled engines."""

import numpy as np
import pytest

import tropnet as tn
from tropnet.enumeration.engines.vertex.engine import VertexEngine
from tropnet.network.layers import AFFINE


@pytest.mark.parametrize("engine", ["vertex", "simplex"])
def test_rows_that_underflow_are_not_taken_for_exact(engine):
    """A subnormal bias, scaled down and up again through affine layers: a cut was lost, the count was 2."""
    net = tn.Network(
        [
            tn.Layer({0: [[1.0]]}, [0.0]),
            tn.Layer({1: [[1.0]]}, [5e-324], AFFINE),
            tn.Layer({2: [[0.25]]}, [0.0]),
            tn.Layer({3: [[1e300]]}, [0.0], AFFINE),
            tn.Layer({4: [[1e25]], 0: [[1.0]]}, [0.0]),
            tn.Layer({5: [[1.0]]}, [0.0]),
        ]
    )
    assert tn.count_regions(net, engine=engine) == tn.count_regions(net, engine="lp") == 3
    small = tn.Network(
        [
            tn.Layer({0: [[1.0]]}, [0.0]),
            tn.Layer({1: [[1.0]]}, [1e-250], AFFINE),
            tn.Layer({2: [[1e-70]]}, [0.0], AFFINE),
            tn.Layer({3: [[1e-5]]}, [0.0]),
            tn.Layer({4: [[1.0]]}, [0.0]),
        ]
    )
    found = tn.enumerate_regions(small, engine=engine).patterns.tolist()
    assert sorted(found) == sorted(tn.enumerate_regions(small, engine="lp").patterns.tolist())


@pytest.mark.parametrize("engine", ["vertex", "simplex"])
def test_facets_of_a_sliver_in_a_huge_box(engine):
    """A generator was computed anew though its sign was not known: a side of the box was listed falsely."""
    weights = [[0.9, -0.2, 0, 0.6], [0, 0, 0, 0], [-0.5, -0.1, -0.1, 0.7], [-0.3, -0.8, 0, -0.7], [0.3, 0.8, 0, 0.7]]
    slopes = [[1, 1e200], [-1, 1], [1e-200, 1], [0.01, 1], [-1, 1]]
    net = tn.Network(
        [tn.Layer({0: weights}, [0.5, -1, -0.2, -0.5, 0.5000000000000001], slopes), tn.Layer({1: [[1.0] * 5]}, [0.0])]
    )
    box = tn.Box([-1e300, 0, -2e300, -3e300], [2e300, 2e300, np.inf, 0])
    regions = tn.enumerate_regions(net, box, engine=engine, facets=True)
    rows, offsets = regions.facets()
    for i, region in enumerate(regions):
        assert rows[offsets[i] : offsets[i + 1]].tolist() == region.rows[region.facets()].tolist()


def test_badly_scaled_rows_do_not_stop_the_simplex_engine():
    """Their norms underflowed and overflowed, and the singular value decomposition did not converge or never ended."""
    net = tn.Network([tn.Layer({0: [[1.0, 2.0], [3.0, -1.0]]}, [0.0, 1.0]), tn.Layer({1: [[1.0, 1.0]]}, [0.0])])
    assert len(tn.enumerate_regions(net, tn.Polytope([[1e-200, 0.0]], [1.0]), engine="simplex")) == 4
    weights = [[1e-200] * 6, *np.eye(6)[:5].tolist(), [1] * 6]
    big = tn.Network([tn.Layer({0: weights}, [0.0] * 7), tn.Layer({1: [[1.0] * 7]}, [0.0])])
    for domain in (tn.Polytope([[1e200] + [0] * 5], [1.0]), None):
        counts = {tn.count_regions(big, domain, engine="simplex", workers=workers) for workers in (1, 2)}
        assert counts == {tn.count_regions(big, domain, engine="lp")}


def test_exact_witnesses_do_not_depend_on_the_clock():
    """The witness of one region was expected in a single chunk, which a slow machine splits."""
    net = tn.Network.mlp([[[3.0], [1.0]], [[1.0, 1.0]]], [[-1.0, -1 / 3], [0.0]])
    regions = tn.enumerate_regions(net, engine=VertexEngine(buffer=1, seconds_per_chunk=0.0))
    assert len(regions) == 3
    assert len(regions.rational_witnesses) == 1


def test_a_limit_stops_every_subtree():
    """Workers listed whole subtrees first: with a hundred regions asked for, this took half a minute, or for ever."""
    net = tn.Network.random([6, 40, 40, 1], seed=0)
    assert len(tn.enumerate_regions(net, max_regions=100, workers=2)) == 100


@pytest.mark.parametrize("workers", [2, 3])
def test_an_interrupt_keeps_what_all_workers_found(workers, monkeypatch):
    """Subtrees that were at work were lost."""
    net = tn.Network.random([3, 40, 40, 1], seed=0)
    ordered = tn.enumeration.sharing._ordered

    def interrupted(pool):
        yield next(ordered(pool))
        raise KeyboardInterrupt

    monkeypatch.setattr("tropnet.enumeration.sharing._ordered", interrupted)
    with pytest.raises(tn.EnumerationInterrupted) as caught:
        tn.enumerate_regions(net, engine="simplex", workers=workers)
    assert len(caught.value.partial) > 0
    assert not caught.value.partial.complete


def test_subnormal_rows_do_not_stop_workers():
    """Below fixed bits the norm of such a row was 0, and the singular value decomposition did not converge."""
    net = tn.Network.mlp([[[5e-324, 0], [0, 1], [1, 1]], np.ones((1, 3))], [[5e-324, 0, 0], [0]])
    assert len(tn.enumerate_regions(net, engine="simplex", workers=2)) == 7


def test_workers_list_no_rows_of_constant_neurons():
    """A fixed neuron, constant on the cell, whose row float64 did not find zero, gave the region a zero row."""
    net = tn.Network.random([2, 2, 2, 2, 1], skips=[(1, 3)], seed=2)
    for region in tn.enumerate_regions(net, tn.Box(-2, 1), engine="simplex", workers=2):
        assert region.A.any(axis=1).all()

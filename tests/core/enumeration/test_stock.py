"""Searches take the arrays of others that are done: what these hold must not matter."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tropnet as tn
from tropnet.enumeration.engines.polygon.engine import _Search as PolygonSearch
from tropnet.enumeration.engines.vertex.engine import _Search as VertexSearch

SEARCHES = {"polygon": PolygonSearch, "vertex": VertexSearch}
CASES = [("polygon", 2), ("vertex", 2), ("vertex", 3), ("vertex", 4)]


def networks(n_inputs, n=4):
    """Return networks of one shape, one of them full of ties and one dead."""
    drawn = [tn.Network.random([n_inputs, 6, 5, 1], seed=seed) for seed in range(n)]
    rounded = [np.round(3 * layer.weights[k]) for k, layer in enumerate(drawn[0].layers)]
    ties = tn.Network.mlp(rounded, [np.round(layer.bias) for layer in drawn[0].layers])
    dead = tn.Network.mlp([0 * weight for weight in rounded], [layer.bias for layer in drawn[1].layers])
    return [*drawn, ties, dead]


def patterns(net, domain, engine, **options):
    """Return the patterns and facets found, as a set."""
    regions = tn.enumerate_regions(net, domain, engine=engine, **options)
    return sorted(map(tuple, regions.patterns.tolist())), sorted(np.diff(regions.facets().offsets).tolist())


def spoil(stock):
    """Fill the arrays that a stock keeps with numbers that mean nothing; return how many there were."""
    n = 0
    for kept in [kept for shelf in stock._kept.values() for kept in shelf]:
        for name, array in [*kept.rows.state._asdict().items(), *kept.state.state._asdict().items()]:
            # Of a shape, and of no sampling, always the same.
            if isinstance(array, np.ndarray) and name not in ("span", "sums_at", "targets", "free", "phase"):
                array.fill(np.nan if array.dtype.kind == "f" else 77)
                n += 1
    return n


@pytest.mark.parametrize("domain", [tn.Box(-2, 2), None], ids=["box", "everywhere"])
@pytest.mark.parametrize(("engine", "n_inputs"), CASES)
def test_what_is_left_in_arrays_does_not_matter(engine, n_inputs, domain):
    """Networks of one shape, one after the other, in spoilt arrays: the regions that the lp engine finds."""
    # A dead network has no vertex everywhere.
    nets = networks(n_inputs) if domain else networks(n_inputs)[:-1]
    expected = [patterns(net, domain, "lp") for net in nets]
    stock = SEARCHES[engine].stock
    for net, wanted in zip(nets, expected, strict=True):
        assert patterns(net, domain, engine) == wanted
        assert spoil(stock) > 30
        assert patterns(net, domain, engine, facets=True) == wanted
        spoil(stock)
        assert tn.count_regions(net, domain, engine=engine) == len(wanted[0])


@pytest.mark.parametrize("engine", SEARCHES)
def test_arrays_that_do_not_fit_are_named(engine, monkeypatch):
    """A layer so wide that memory does not hold what a search needs: the network and the size are said."""

    def refused(*_):
        raise MemoryError("Unable to allocate 233. GiB for an array")

    monkeypatch.setattr(sys.modules[SEARCHES[engine].__module__], "_allocated", refused)
    with pytest.raises(tn.TooLargeError, match=r"of a search must fit into memory, those for .* do not: .* 233\. GiB"):
        tn.count_regions(tn.Network.random([2, 19, 1], seed=0), engine=engine)


@pytest.mark.parametrize(("engine", "n_inputs"), CASES)
def test_searches_at_the_same_time(engine, n_inputs):
    """Streams that wait, streams that are dropped, and threads do not disturb each other."""
    box, nets = tn.Box(-2, 2), networks(n_inputs)
    expected = [len(tn.enumerate_regions(net, box, engine="lp")) for net in nets]
    streams = [tn.iter_regions(net, box, engine=engine) for net in nets]
    first = [next(stream) for stream in streams]
    assert len(first) == len(nets)
    streams[0].close()
    assert [1 + sum(1 for _ in stream) for stream in streams[1:]] == expected[1:]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            counts = pool.map(lambda net: tn.count_regions(net, box, engine=engine), nets)
            assert list(counts) == expected


def test_a_box_of_two_numbers_is_made_once():
    """Boxes with the same two numbers become one box, signs of zero included, but not others."""
    assert tn.Box(-1, 1).expanded(3) is tn.Box(-1.0, 1.0).expanded(3)
    assert tn.Box(-1, 1).expanded(3) is not tn.Box(-1, 1).expanded(2)
    assert str(tn.Box(-0.0, 1).expanded(1)) == "Box([-0.0], [1.0])"
    assert str(tn.Box(0.0, 1).expanded(1)) == "Box([0.0], [1.0])"

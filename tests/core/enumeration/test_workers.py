"""Subtrees in parallel give the same regions, whatever runs them."""

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

from tropnet import Box, Network, count_regions, enumerate_regions
from tropnet.enumeration.engines import REGISTRY


@pytest.fixture(scope="module")
def net():
    return Network.random([3, 7, 7, 1], skips=[(1, 3)], seed=2)


@pytest.mark.parametrize("engine", REGISTRY)
@pytest.mark.parametrize("domain", [None, Box(-2, 2)], ids=["R^d", "box"])
def test_the_result_does_not_depend_on_the_workers(engine, domain):
    small = Network.random([2, 4, 3, 1], seed=2)
    alone = enumerate_regions(small, domain, engine=engine)
    for workers in (2, 3):
        together = enumerate_regions(small, domain, engine=engine, workers=workers)
        assert together.complete
        assert set(map(bytes, together.packed)) == set(map(bytes, alone.packed))
        assert len(together) == len(alone)
        assert count_regions(small, domain, engine=engine, workers=workers) == len(alone)


def test_the_order_does_not_depend_on_their_number(net):
    two, five = (enumerate_regions(net, engine="vertex", workers=workers) for workers in (2, 5))
    assert np.array_equal(two.packed, five.packed)
    assert np.array_equal(two.witnesses, five.witnesses)


def test_any_executor_serves(net):
    expected = count_regions(net)
    with ThreadPoolExecutor(2) as threads:
        assert count_regions(net, workers=threads) == expected
    with ProcessPoolExecutor(2) as processes:
        assert count_regions(net, workers=processes) == expected


def test_a_limit_stops_the_others(net):
    regions = enumerate_regions(net, workers=2, max_regions=5)
    assert len(regions) == 5
    assert not regions.complete


@pytest.mark.parametrize("workers", [0, -1, 1.5, "all"])
def test_other_workers_are_refused(net, workers):
    with pytest.raises(ValueError, match="workers must be an integer of at least 1 or a"):
        count_regions(net, workers=workers)

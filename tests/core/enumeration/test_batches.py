"""Many networks are counted in one call, each as it would be alone."""

from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from tropnet import (
    Box,
    EnumerationInterrupted,
    Network,
    Tolerances,
    UndecidedError,
    UnsupportedModuleError,
    count_regions,
)
from tropnet.enumeration.engine import Engine
from tropnet.enumeration.engines.vertex.engine import VertexEngine

NETS = [Network.random([2, 5, 4, 1], seed=seed) for seed in range(40)]


@pytest.fixture(scope="module")
def alone():
    return [count_regions(net, Box(-1, 1)) for net in NETS]


@pytest.mark.parametrize("workers", [1, 3])
def test_every_network_has_the_count_it_has_alone(alone, workers):
    together = count_regions(NETS, Box(-1, 1), workers=workers)
    assert together.dtype == np.int64
    assert together.tolist() == alone


def test_processes_serve_as_workers(alone):
    with ProcessPoolExecutor(1) as processes:
        assert count_regions(NETS, Box(-1, 1), workers=processes).tolist() == alone


def test_networks_may_differ_in_shape_and_the_domain_may_be_all_of_space():
    nets = (Network.random([2, 3, 1], seed=0), Network.random([2, 4, 4, 1], skips=[(1, 3)], seed=1))
    for engine in ("vertex", "simplex", "lp"):
        assert count_regions(nets, engine=engine).tolist() == [count_regions(net) for net in nets]


def test_the_limit_holds_for_each_network(alone):
    assert count_regions(NETS, Box(-1, 1), max_regions=5).tolist() == [min(count, 5) for count in alone]


def test_no_networks_have_no_counts():
    empty = count_regions([])
    assert empty.shape == (0,)
    assert empty.dtype == np.int64


@pytest.mark.parametrize("workers", [1, 2])
def test_an_undecided_network_is_named_and_the_counts_before_it_are_kept(alone, workers):
    # Three lines through a point: floating point does not decide what exact arithmetic is not asked for.
    third = 1 / 3
    tie = Network.mlp([[[1, 3], [3, 1], [4, 4]], [[1, 1, 1]]], [[-4 * third, -4 * third, -8 * third], [0]])
    limits = Tolerances(exact_pivots=0)
    with pytest.raises(UndecidedError, match="network 2: ") as caught:
        count_regions([*NETS[:2], tie, *NETS[2:]], Box(-1, 1), tolerances=limits, workers=workers)
    assert caught.value.partial.tolist() == alone[:2]


def test_what_is_no_network_is_refused():
    with pytest.raises(UnsupportedModuleError, match=r"net must be a tropnet\.Network, got builtins\.int"):
        count_regions([NETS[0], 3])


class _Interrupted(Engine):
    """Plans for three networks, as the vertex engine does; then the user has enough."""

    name = "interrupted"
    abilities = frozenset()

    def __init__(self):
        self.n_plans = 0

    def _plan(self, task):
        if self.n_plans == 3:
            raise KeyboardInterrupt
        self.n_plans += 1
        return VertexEngine().prepare(task)


def test_an_interrupt_keeps_the_counts_so_far(alone):
    with pytest.raises(EnumerationInterrupted) as caught:
        count_regions(NETS, Box(-1, 1), engine=_Interrupted())
    assert caught.value.partial.tolist() == alone[:3]

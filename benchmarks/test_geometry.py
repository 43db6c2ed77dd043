"""The geometry of about 10^5 regions at once, and regions around a point of a network too large to enumerate."""

import numpy as np
import pytest

import tropnet as tn
from benchmarks.networks import QUICK, Case

MANY = {case.inputs: case for case in ([Case(2, (12, 12)), Case(3, (8, 8))] if QUICK else
                                       [Case(2, (128, 128, 128)), Case(3, (46, 46))])}  # fmt: skip
LARGE = Case(784, (32, 32, 32), None)
N_NEAR = 10 if QUICK else 1000
WORKS = {
    "facets": lambda regions: regions.facets().rows,
    "volumes": lambda regions: regions.volumes(),
    "graph": lambda regions: tn.adjacency_graph(regions),
    "balls": lambda regions: regions.chebyshev_balls().radii,
    "vertices": lambda regions: regions.vertices().points,
    "linear regions": lambda regions: tn.linear_regions(regions).labels,
}


def note(benchmark, case, work, n_regions):
    """Note what the report needs."""
    benchmark.extra_info.update(
        topic="geometry", architecture=case.architecture, domain=case.where, work=work, program="tropnet",
        n_networks=1, n_cut_off=0, n_regions=n_regions,
    )  # fmt: skip


@pytest.fixture(scope="module")
def regions_of():
    """Regions with their facets, found once for each case."""
    found = {case: tn.enumerate_regions(case.network(0), case.domain, facets=True) for case in MANY.values()}
    return found.__getitem__


@pytest.mark.parametrize("work", WORKS)
@pytest.mark.parametrize("inputs", MANY)
def test_bulk(benchmark, regions_of, inputs, work):
    """Each kind of geometry of the same regions; what is found is finite and complete."""
    case = MANY[inputs]
    regions = regions_of(case)
    small = Case(inputs, (inputs + 1, 2), case.half_width)
    WORKS[work](tn.enumerate_regions(small.network(0), small.domain, facets=True))
    answer = benchmark.pedantic(WORKS[work], args=(regions,), rounds=1, iterations=1)
    if work == "graph":
        assert len(answer) == len(regions)
    else:
        assert np.isfinite(answer).all()
    if work == "volumes":
        assert abs(answer.sum() / (2 * case.half_width) ** inputs - 1) < 1e-9
    note(benchmark, case, work, len(regions))


def test_near(benchmark):
    """Regions with exact facets around a random point."""
    net = LARGE.network(0)
    x = np.random.default_rng(0).random(LARGE.inputs)
    tn.regions_near(net, x, max_regions=2)
    near = benchmark.pedantic(lambda: tn.regions_near(net, x, max_regions=N_NEAR), rounds=1, iterations=1)
    assert len(near) == N_NEAR
    note(benchmark, LARGE, "near, facets", N_NEAR)

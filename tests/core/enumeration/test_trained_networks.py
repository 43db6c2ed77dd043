"""Networks that were trained: the engines agree on them, and what they find fills the box."""

import networkx
import numpy as np
import pytest

from tests.oracles.planar import planar_areas
from tests.trained import TRAINED, trained
from tropnet import Box, Tolerances, adjacency_graph, count_regions, enumerate_regions, estimate_regions
from tropnet.enumeration.engine import Refusal, Task
from tropnet.enumeration.engines import REGISTRY

# Regions that engines are asked for which are not compiled.
LARGEST = {"lp": 200, "reference": 0}


def box_of(net):
    """Return a box that holds the data, and more."""
    return Box([-2.0] * net.n_inputs, 2.0)


@pytest.fixture(scope="module", params=TRAINED)
def found(request):
    """Return the regions of a network with their facets."""
    net = trained(request.param)
    return enumerate_regions(net, box_of(net), facets=True)


def test_all_engines_find_the_same_patterns(found):
    expected = set(map(bytes, found.packed))
    assert len(expected) == len(found)
    task = Task(found.network, found.domain, "highs", Tolerances())
    for name, engine in REGISTRY.items():
        if len(found) > LARGEST.get(name, 10_000) or isinstance(engine.prepare(task), Refusal):
            continue
        regions = enumerate_regions(found.network, found.domain, engine=engine)
        assert set(map(bytes, regions.packed)) == expected, name


def test_regions_fill_the_box(found):
    box = found.domain
    assert found.volumes().sum() == pytest.approx(np.prod(box.high - box.low), rel=1e-9)


def test_areas_are_those_of_the_oracle(found):
    net = found.network
    if net.n_inputs == 2:
        areas = planar_areas(net, -2, 2)
        assert sum(areas.values()) == 16
        volumes = dict(zip(map(tuple, found.patterns.tolist()), found.volumes().tolist(), strict=True))
        assert volumes == pytest.approx({pattern: float(area) for pattern, area in areas.items()}, rel=1e-6, abs=1e-12)


def test_patterns_at_random_points_are_among_them(found):
    net, box = found.network, found.domain
    points = np.random.default_rng(0).uniform(box.low, box.high, (1000, net.n_inputs))
    patterns, certain = net.certain_pattern(points)
    assert certain.mean() > 0.9
    assert set(map(bytes, np.unique(patterns[certain], axis=0))) <= set(map(bytes, found.patterns))


def test_every_region_is_reached_across_facets(found):
    assert networkx.is_connected(adjacency_graph(found))


def test_estimates_are_of_the_right_size(found):
    # Trained trees are less even than random ones; here they are small enough to be walked wholly.
    estimate = estimate_regions(found.network, found.domain, width=4000, n_probes=2)
    assert estimate.n_regions == len(found)


def test_a_batch_of_them_is_counted_as_each_alone():
    nets = [trained(name) for name in TRAINED if trained(name).n_inputs == 2]
    counts = count_regions(nets, Box(-2, 2))
    assert counts.tolist() == [count_regions(net, Box(-2, 2), engine="simplex") for net in nets]


def test_the_quantised_one_has_integer_weights_and_the_pruned_one_zeros():
    for layer in trained("int8").layers:
        (weight,) = layer.weights.values()
        lattice = np.abs(weight[weight != 0]).min() / 127 / 2
        scale = 2.0 ** np.floor(np.log2(lattice))
        assert np.array_equal(weight / scale, np.round(weight / scale))
    assert all((weight == 0).mean() > 0.5 for layer in trained("pruned").layers for weight in layer.weights.values())

"""Bugs fixed in searches with several workers, and in volumes of nearly flat regions."""

import numpy as np
import pytest
from scipy.spatial import ConvexHull

import tropnet as tn
from tropnet.geometry.polyhedron import Polyhedron


def test_a_subtree_set_aside_by_a_worker_keeps_what_is_fixed_of_later_neurons():
    """The vertex engine gave such a subtree to the lp engine without the worker's prefix: 115 regions, not 25."""
    m = 60
    angles = 2 * np.pi * np.arange(m) / m
    polygon = tn.Polytope(np.column_stack([np.cos(angles), np.sin(angles)]), np.ones(m))
    corners = angles[3:42:6] + np.pi / m
    rng = np.random.default_rng(60)
    weights = [np.column_stack([np.cos(corners), np.sin(corners)]), rng.normal(size=(6, 7)), np.ones((1, 6))]
    biases = [np.full(7, -(1 + 1 / np.cos(np.pi / m)) / 2), rng.normal(size=6) * 1e-4, [0.0]]
    net = tn.Network.mlp(weights, biases)
    expected = tn.count_regions(net, polygon, engine="simplex")
    found = tn.enumerate_regions(net, polygon, engine="vertex", workers=2)
    assert len(found) == len({row.tobytes() for row in found.packed}) == expected == 25


@pytest.mark.parametrize("engine", ["auto", "vertex", "simplex"])
def test_workers_do_not_need_the_first_neurons_alone_to_fit_the_engine(engine):
    """Neurons without weights came first, and the engine refused the whole plane that they left."""
    first = np.vstack([np.zeros((5, 2)), np.eye(2)])
    net = tn.Network.mlp([first, np.ones((1, 7))], [np.ones(7), [0.0]])
    assert tn.count_regions(net, engine=engine, workers=2) == tn.count_regions(net, engine=engine) == 4


@pytest.mark.parametrize("engine", ["vertex", "lp"])
def test_workers_report_what_stays_undecided_among_the_first_neurons(engine):
    """What the first neurons left undecided was dropped, and the result called complete."""
    rows = np.array([[1.0, 0.5]] * 4) * (1 + np.array([[0, 0], [1, 2], [-2, 1], [3, -3]]) * 2.0**-50)
    net = tn.Network.mlp([rows, np.ones((1, 4))], [[0, 1e-13, -1e-13, 2e-13], [0]])
    tolerances = tn.Tolerances(exact_pivots=0)
    one, two = (
        tn.enumerate_regions(net, engine=engine, tolerances=tolerances, on_undecided="collect", workers=workers)
        for workers in (1, 2)
    )
    assert (len(one), one.complete, set(one.undecided)) == (len(two), two.complete, set(two.undecided))
    with pytest.raises(tn.UndecidedError):
        tn.count_regions(net, engine=engine, tolerances=tolerances, workers=2)


def test_volumes_of_slivers_are_exact():
    """One region thinner than the triangulation resolves made all volumes fail."""
    net = tn.Network.mlp([[[1, 1, 1], [1, 1, 1], [1, -1, 0]], np.ones((1, 3))], [[0.1, 0.1 + 1e-14, 0.2], [0]])
    volumes = tn.enumerate_regions(net, tn.Box(-1, 1)).volumes()
    assert (volumes > 0).all()
    assert volumes.min() < 1e-13
    assert abs(volumes.sum() - 8) < 1e-11


def test_volumes_survive_a_triangulation_that_names_points_that_are_not_there():
    rng = np.random.default_rng(1)
    net = tn.Network.mlp([rng.integers(-1, 2, size=(6, 4)), np.ones((1, 6))], [rng.normal(size=6) * 1e-13, [0]])
    regions = tn.enumerate_regions(net, tn.Box(-1, 1))
    assert abs(sum(region.volume() for region in regions) - 16) < 1e-9


@pytest.mark.parametrize("d", [2, 3, 4])
def test_the_exact_triangulation_agrees_with_convex_hulls(d):
    rng = np.random.default_rng(d)
    A, b = rng.integers(-9, 10, size=(3 * d, d)), rng.integers(1, 9, size=3 * d)
    box = np.concatenate([np.eye(d, dtype=int), -np.eye(d, dtype=int)])
    rows = np.concatenate([np.column_stack([-A, b]), np.column_stack([-box, np.full(2 * d, 2)])]).astype(object)
    polytope = Polyhedron(rows)
    hull = ConvexHull(polytope.vertices(), qhull_options="Qt")
    assert polytope.volume() == pytest.approx(hull.volume, rel=1e-12)

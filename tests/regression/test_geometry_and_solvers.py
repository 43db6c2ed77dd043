"""Bugs fixed: geometry of thin and high-dimensional regions, a solver's rows out of step, silent searches."""

import numpy as np
import pytest

import tropnet as tn
from tropnet.enumeration.engine import ChunkBuilder, Task
from tropnet.enumeration.engines.lp import enumerate_by_lp
from tropnet.feasibility import Feasible
from tropnet.feasibility.highs import HighsBackend
from tropnet.geometry.polyhedron import Polyhedron
from tropnet.tropical.polynomials import TropicalPolynomial


def integers(*rows):
    return np.array(rows, dtype=object)


def test_facets_in_ten_dimensions_come_at_once():
    """Facets were read off all vertices, which takes forever in high dimension."""
    net = tn.Network.random([10, 16, 16, 1], seed=0)
    region = next(iter(tn.iter_regions(net, tn.Box(-1, 1), max_regions=1)))
    assert len(region.facets()) > 10


def test_rows_beyond_a_solvers_infinity_keep_their_slot():
    """A side of 1e20 and more was refused by HiGHS, and every later row ended up in the wrong slot."""
    backend = HighsBackend(1, tn.Tolerances())
    backend.push(integers(1, -(10**25)))
    backend.truncate(0)
    backend.push(integers(1, 0))
    backend.push(integers(-1, 5))
    answer = backend.decide()
    assert isinstance(answer, Feasible)
    assert 0 < answer.witness.point[0] < 5


def test_volume_of_small_polytopes_far_away():
    """Areas near 1e-12 at a distance of 1000 lost four digits to rounded vertices."""
    side = 2**20
    square = Polyhedron(
        integers(
            [side, 0, -1000 * side], [-side, 0, 1000 * side + 1], [0, side, -1000 * side], [0, -side, 1000 * side + 1]
        )
    )
    assert square.volume() == pytest.approx(2.0**-40, rel=1e-12)


def test_needles_have_volumes_and_balls():
    """A needle raised scipy's error, and balls of thin regions had radius -0.0."""
    net = tn.Network.mlp([np.zeros((1, 2))], [[0]])
    needle = tn.Polytope([[-1, 0], [1, 0], [1, -1], [-1, 1]], [0, 1, 0, 1e-15])
    (region,) = tn.enumerate_regions(net, needle)
    assert region.volume() == pytest.approx(1e-15, rel=1e-6)
    assert region.chebyshev_ball().radius == pytest.approx(1e-15 / np.sqrt(8), rel=1e-6)
    (tiny,) = tn.enumerate_regions(net, tn.Box([0, 0], [1e-15, 1e-15]))
    assert tiny.chebyshev_ball().radius == pytest.approx(5e-16, rel=1e-6)


def test_tropical_sums_check_scales_and_signs():
    """The maximum of polynomials of different scale was wrong, and a negative power was accepted."""
    half, whole = TropicalPolynomial(integers([1, 0]), 1), TropicalPolynomial(integers([1, 0]), 0)
    with pytest.raises(ValueError, match="the scales of the two polynomials must agree, got 1 and 0"):
        half.maximum(whole)
    with pytest.raises(ValueError, match="must be 0 or more, got -1"):
        _ = -1 * whole


def test_a_search_reports_before_its_first_region():
    """Nothing was reported before the first region, which can take long in wide networks."""
    net = tn.Network.random([3, 8, 8, 1], seed=0)
    domain = tn.Box(-1, 1).expanded(3)
    builder = ChunkBuilder(net.n_neurons, 3, seconds_per_chunk=0.0)
    first = next(enumerate_by_lp(Task(net, domain, "highs", tn.Tolerances()), builder))
    assert len(first.packed) == 0


def test_an_empty_domain_is_refused_by_every_engine():
    """The vertex engine has no cell to start from where the domain is empty, and must not answer 'no regions'."""
    net = tn.Network.random([2, 3, 1], seed=0)
    empty = tn.Polytope([[1, 1], [-1, -1]], [0, -1])
    for engine in ("auto", "vertex", "lp", "reference"):
        with pytest.raises(tn.DomainError, match=r"rows \[0, 1\]"):
            tn.enumerate_regions(net, empty, engine=engine)

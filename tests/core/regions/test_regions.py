"""What a region says of itself, checked exactly: points, maps, rows, facets, vertices, volumes, Algorithm 1, files."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import combinations, product
from math import inf, prod
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.checks import (
    Row,
    cell,
    distinct,
    exact_halfspaces,
    exact_point,
    nearest_float,
    neuron_rows,
    opposite,
    show,
    strictly_inside,
    value,
)
from tests.damage import check_damaged
from tests.oracles.brute_force import brute_force_patterns, exact_affine_map, exact_forward
from tests.oracles.exact import Vector
from tests.oracles.fourier_motzkin import has_interior
from tests.oracles.planar import planar_areas
from tests.strategies import domains, halfspaces, networks, points, problems
from tropnet import (
    ActivationRegion,
    Box,
    Domain,
    EmptyRegion,
    FileFormatError,
    Layer,
    Network,
    NonFiniteError,
    Polytope,
    Regions,
    Tolerances,
    UndecidedError,
    enumerate_regions,
    find_linear_region,
)
from tropnet.network.domain import as_domain, domain_from
from tropnet.regions import files as region_files

N = settings().max_examples
Problem = tuple[Network, Domain | None]
# One neuron, x > 0, in the plane.
HALVES = Network.mlp([[[1.0, 0.0]], [[1.0]]], [[0.0], [0.0]])
# The same line three times.
COINCIDENT = Network.mlp([[[1.0, 0.0], [3.0, 0.0], [-1.0, 0.0]], np.ones((1, 3))], [np.zeros(3), [0.0]])


def exact_rows(region: ActivationRegion) -> list[Row]:
    """Return the rows of a region as its `rows` name them, by the definition."""
    pattern = tuple(region.pattern.tolist())
    neurons = neuron_rows(region.network, pattern)
    numbers = region.domain.row_numbers.tolist()
    sides = dict(zip(numbers, exact_halfspaces(halfspaces(region.domain, region.network.n_inputs)), strict=True))
    return [neurons[j] if j >= 0 else sides[-1 - j] for j in region.rows.tolist()]


def satisfied(rows: Sequence[Row], x: Sequence[Fraction]) -> bool:
    """Return whether a . x <= b for every row."""
    return all(value(a, x) <= b for a, b in rows)


# --- points


@settings(max_examples=2 * N)
@given(problem=problems(max_neurons=6), data=st.data())
def test_every_point_lies_in_its_region_and_the_map_is_the_forward_pass(problem: Problem, data: st.DataObject) -> None:
    """A point of the domain lies in one open cell or on boundaries; on every region around it the map is the network.

    Exactly, over the rationals, so also the continuity of the network across boundaries.
    """
    net, domain = problem
    show(net, domain)
    sides = halfspaces(domain, net.n_inputs)
    regions = enumerate_regions(net, domain)
    for x in data.draw(points(net.n_inputs, 6)):
        exact = exact_point(x)
        outputs, bits = exact_forward(net, exact)
        if not satisfied(exact_halfspaces(sides), exact):
            assert not any(region.contains(x) for region in regions)
            continue
        around = [region for region in regions if region.contains(x)]
        inside = [r for r in around if strictly_inside(cell(net, tuple(r.pattern.tolist()), sides), exact)]
        if inside:
            assert around == inside
            assert [r.pattern.tolist() for r in inside] == [list(bits)]
        else:
            assert around
        for region in around:
            weight, bias = exact_affine_map(net, tuple(region.pattern.tolist()))
            assert tuple(value(row, exact) + c for row, c in zip(weight, bias, strict=True)) == outputs


@settings(max_examples=N)
@given(problem=problems(max_neurons=6, nearly_degenerate=False), data=st.data())
def test_the_affine_map_of_a_region_is_the_network_at_its_points(problem: Problem, data: st.DataObject) -> None:
    """In float64 too `region.affine` equals the network at the witness and at points in the region."""
    net, domain = problem
    show(net, domain)
    sampled = data.draw(points(net.n_inputs, 5))
    for region in enumerate_regions(net, domain):
        weight, bias = exact_affine_map(net, tuple(region.pattern.tolist()))
        assert region.affine.weight == pytest.approx(np.array(weight, dtype=np.float64), rel=1e-9, abs=1e-9)
        assert region.affine.bias == pytest.approx(np.array(bias, dtype=np.float64), rel=1e-9, abs=1e-9)
        for x in [region.witness.tolist(), *(x for x in sampled if region.contains(x))]:
            assert region.affine(x) == pytest.approx(net(x), rel=1e-9, abs=1e-9 * (1 + max(map(abs, x))))


# --- rows


@settings(max_examples=2 * N)
@given(problem=problems(max_neurons=6), data=st.data())
def test_the_rows_are_the_named_inequalities_and_say_what_the_region_contains(
    problem: Problem, data: st.DataObject
) -> None:
    """`A` and `b` are the exact rows that `rows` names, rounded once; `contains` is their exact meaning."""
    net, domain = problem
    show(net, domain)
    sampled = data.draw(points(net.n_inputs, 4))
    for region in enumerate_regions(net, domain):
        rows = exact_rows(region)
        assert region.A.shape == (len(rows), net.n_inputs)
        assert region.A.tolist() == [list(map(nearest_float, a)) for a, _ in rows]
        assert region.b.tolist() == [nearest_float(b) for _, b in rows]
        assert set(region.rows.tolist()) >= {-1 - i for i in region.domain.row_numbers.tolist()}
        expected = [satisfied(rows, exact_point(x)) for x in sampled]
        assert region.contains(sampled).tolist() == expected
        assert [region.contains(x) for x in sampled] == expected
        assert region.contains(region.witness) or not region.certificate.is_float


@pytest.mark.parametrize("engine", ["lp", "reference"])
@settings(max_examples=N)
@given(problem=problems(max_neurons=5))
def test_the_neurons_left_out_are_implied_by_the_rows(engine: str, problem: Problem) -> None:
    """The rows of a region describe the whole cell: no point satisfies them and violates a neuron left out."""
    net, domain = problem
    show(net, domain)
    for region in enumerate_regions(net, domain, engine=engine):
        rows = exact_rows(region)
        neurons = neuron_rows(net, tuple(region.pattern.tolist()))
        for j in neurons.keys() - set(region.rows.tolist()):
            assert not has_interior([*rows, opposite(neurons[j])])


@pytest.mark.parametrize("engine", ["lp", "reference"])
@settings(max_examples=N)
@given(problem=problems(max_neurons=5))
def test_the_facets_are_an_irredundant_description(engine: str, problem: Problem) -> None:
    """Each facet row cuts off something the others allow, the other rows nothing; of coincident rows the first."""
    net, domain = problem
    show(net, domain)
    for region in enumerate_regions(net, domain, engine=engine):
        rows = exact_rows(region)
        facets = region.facets().tolist()
        assert facets == sorted(set(facets))
        for i, row in enumerate(rows):
            others = [rows[j] for j in facets if j != i]
            assert has_interior([*others, opposite(row)]) == (i in facets)
            if i in facets:
                assert not any(coincide(rows[j], row) for j in range(i))


def coincide(one: Row, other: Row) -> bool:
    """Return whether two rows are positive multiples of each other."""
    u, v = (*one[0], one[1]), (*other[0], other[1])
    factor = next(p / q for p, q in zip(u, v, strict=True) if q) if any(v) else Fraction(0)
    return factor > 0 and all(p == factor * q for p, q in zip(u, v, strict=True))


# --- vertices, boundedness, volume


def solve(rows: Sequence[Row]) -> Vector | None:
    """Return the one point with a . x = b for d rows, or None, by elimination over the rationals."""
    matrix = [[*a, b] for a, b in rows]
    for j in range(len(matrix)):
        pivot = next((i for i in range(j, len(matrix)) if matrix[i][j]), None)
        if pivot is None:
            return None
        matrix[j], matrix[pivot] = matrix[pivot], matrix[j]
        matrix[j] = [c / matrix[j][j] for c in matrix[j]]
        for i, row in enumerate(matrix):
            if i != j:
                matrix[i] = [c - row[j] * p for c, p in zip(row, matrix[j], strict=True)]
    return tuple(row[-1] for row in matrix)


def basic_points(rows: Sequence[Row], d: int) -> Iterator[Vector]:
    """Yield the intersections of d hyperplanes."""
    for chosen in combinations(rows, d):
        x = solve(chosen)
        if x is not None:
            yield x


@settings(max_examples=N)
@given(problem=problems(max_neurons=5))
def test_the_vertices_are_the_feasible_intersections_of_the_rows(problem: Problem) -> None:
    """The vertices are all points where d independent rows are tight and none is violated, each rounded once."""
    net, domain = problem
    show(net, domain)
    for region in enumerate_regions(net, domain):
        rows = exact_rows(region)
        expected = {x for x in basic_points(rows, net.n_inputs) if satisfied(rows, x)}
        found = region.vertices()
        assert found.shape == (len(expected), net.n_inputs)
        assert sorted(map(tuple, found.tolist())) == sorted(tuple(map(nearest_float, x)) for x in expected)


@settings(max_examples=N)
@given(problem=problems(max_neurons=5))
def test_a_region_is_bounded_iff_it_stops_beyond_its_last_basic_point(problem: Problem) -> None:
    """Unbounded regions are flagged: they reach past every intersection of rows, and have infinite volume and rays."""
    net, domain = problem
    show(net, domain)
    d = net.n_inputs
    for region in enumerate_regions(net, domain):
        rows = exact_rows(region)
        limit = 1 + max((abs(t) for x in basic_points(rows, d) for t in x), default=Fraction(0))
        beyond = [
            has_interior([*rows, (tuple(Fraction(-s * (i == j)) for j in range(d)), -limit)])
            for i, s in product(range(d), (1, -1))
        ]
        polyhedron = region.polyhedron
        assert polyhedron.is_bounded() == (not any(beyond))
        assert (len(polyhedron.rays()) > 0) == any(beyond)
        assert (region.volume() == inf) == any(beyond)
        for ray in polyhedron.rays():
            assert np.linalg.norm(ray) == pytest.approx(1)
            scales = [float(max(map(abs, a))) for a, _ in rows]
            slopes = [float(value(a, exact_point(ray))) for a, _ in rows]
            assert all(slope <= 1e-9 * scale for slope, scale in zip(slopes, scales, strict=True))


@settings(max_examples=N)
@given(net=networks(2, max_neurons=7, nearly_degenerate=False), sides=st.tuples(st.integers(-4, 0), st.integers(1, 4)))
def test_the_areas_are_those_of_the_clipped_polygons(net: Network, sides: tuple[int, int]) -> None:
    """Each area over a box equals the exact one, and together they are the area of the box."""
    low, high = sides
    show(net, Box(low, high))
    exact = planar_areas(net, low, high)
    total = 0.0
    for region in enumerate_regions(net, Box(low, high)):
        expected = float(exact.pop(tuple(region.pattern.tolist())))
        area = region.volume()
        assert area == pytest.approx(expected, rel=1e-9, abs=1e-12)
        total += area
    assert not exact
    assert total == pytest.approx((high - low) ** 2, rel=1e-9)


@pytest.mark.parametrize("n_inputs", [1, 3])
@settings(max_examples=N // 2)
@given(data=st.data())
def test_the_volumes_add_up_to_the_box(n_inputs: int, data: st.DataObject) -> None:
    """In one and three dimensions the volumes of all regions of a box add up to its volume."""
    net = data.draw(networks(n_inputs, max_neurons=6, nearly_degenerate=False))
    box = data.draw(domains(n_inputs, bounded=True).filter(lambda domain: isinstance(domain, Box)))
    show(net, box)
    expected = prod(np.broadcast_to(box.high - box.low, n_inputs).tolist())
    regions = enumerate_regions(net, box)
    assert sum(region.volume() for region in regions) == pytest.approx(expected, rel=1e-9)


def test_polyhedra_known_by_hand() -> None:
    """Half-plane, strip, quadrant, square and slab: vertices, rays, volume and inscribed ball."""
    plane, half = (enumerate_regions(net)[0] for net in (Network.mlp([[[1.0, 0.0]]], [[0.0]]), HALVES))
    for region, n_rays in ((plane, 4), (half, 3)):
        assert region.vertices().shape == (0, 2)
        assert len(region.polyhedron.rays()) == n_rays
        assert region.volume() == inf
        assert region.chebyshev_ball().radius == inf
    (strip,) = enumerate_regions(Network.mlp([[[1.0, 0.0]]], [[0.0]]), Box([-1, -inf], [3, inf]))
    assert strip.vertices().shape == (0, 2)
    assert strip.facets().tolist() == [0, 1]
    assert strip.chebyshev_ball().radius == pytest.approx(2)
    quadrant = find_linear_region(HALVES, [True], Box([-inf, 0], [inf, inf]))
    assert quadrant.vertices().tolist() == [[0, 0]]
    assert sorted(quadrant.polyhedron.rays().tolist()) == [[0, 1], [1, 0]]
    rectangle = find_linear_region(HALVES, [True], Box([-1, -1], [4, 1]))
    assert rectangle.volume() == pytest.approx(8)
    assert rectangle.chebyshev_ball().radius == pytest.approx(1)
    assert sorted(rectangle.vertices().tolist()) == [[0, -1], [0, 1], [4, -1], [4, 1]]
    # The side x >= -1 of the box is implied by x > 0.
    assert [rectangle.rows[i] for i in rectangle.facets()] == [-2, -3, -4, 0]


def test_geometry_beyond_the_largest_float_is_rounded() -> None:
    """A vertex at 1e400 is rounded to the largest float64, and the ball of a half-line is infinite."""
    far = Network.mlp([[[1e-200]], [[1.0]]], [[-1e200], [0.0]])
    for bit in (False, True):
        region = find_linear_region(far, [bit])
        assert region.vertices().tolist() == [[np.finfo(np.float64).max]]
        assert region.facets().tolist() == [0]
        assert region.volume() == inf
        assert region.chebyshev_ball().radius == inf


@settings(max_examples=N // 2)
@given(problem=problems(max_neurons=5, nearly_degenerate=False))
def test_the_inscribed_ball_is_inside_and_touches(problem: Problem) -> None:
    """The ball's distance to every row is at least its radius, and to at least one row no more."""
    net, domain = problem
    show(net, domain)
    for region in enumerate_regions(net, domain):
        centre, radius = region.chebyshev_ball()
        norms = np.linalg.norm(region.A, axis=1)
        assume(not len(norms) or norms.min() > 1e-6)
        if radius == inf:
            assert not region.polyhedron.is_bounded()
            continue
        distances = (region.b - region.A @ centre) / norms
        assert distances.min() == pytest.approx(radius, rel=1e-6, abs=1e-6)


# --- Algorithm 1


@pytest.mark.parametrize("backend", ["highs", "exact"])
@settings(max_examples=N)
@given(problem=problems(max_neurons=5))
def test_algorithm_1_finds_every_pattern_or_the_first_empty_layer(backend: str, problem: Problem) -> None:
    """All 2^N patterns: one that occurs gives its region, any other the first layer that leaves no interior."""
    net, domain = problem
    show(net, domain)
    sides = halfspaces(domain, net.n_inputs)
    occurring = brute_force_patterns(net, sides)
    ends = np.cumsum(net.widths).tolist()
    for pattern in product((False, True), repeat=net.n_neurons):
        found = find_linear_region(net, pattern, domain, backend=backend)
        if pattern in occurring:
            assert isinstance(found, ActivationRegion)
            assert tuple(found.pattern.tolist()) == pattern
            assert strictly_inside(cell(net, pattern, sides), found.certificate.fractions)
        else:
            assert isinstance(found, EmptyRegion)
            assert not found
            assert found.reason
            prefixes = (cell(net, pattern[:end], sides) for end in ends)
            alive = [rows is not None and has_interior(rows) for rows in prefixes]
            assert found.layer == alive.index(False) + 1


@settings(max_examples=N // 2)
@given(problem=problems(max_neurons=5))
def test_algorithm_1_and_the_enumeration_give_the_same_region(problem: Problem) -> None:
    """The region of an enumerated pattern has the same facets' geometry, whichever way it was found."""
    net, domain = problem
    show(net, domain)
    for region in enumerate_regions(net, domain):
        found = find_linear_region(net, net.split_pattern(region.pattern), domain)
        assert found.pattern.tolist() == region.pattern.tolist()
        assert sorted(map(tuple, found.vertices().tolist())) == sorted(map(tuple, region.vertices().tolist()))
        assert len(found.facets()) == len(region.facets())
        assert found.affine.weight.tolist() == region.affine.weight.tolist()


@pytest.mark.parametrize("convert", [list, tuple, np.array, lambda bits: [int(bit) for bit in bits]])
def test_patterns_may_be_flat_or_one_array_per_layer(convert: object) -> None:
    """Bools or 0 and 1, flat or split by layer, name the same region."""
    net = Network.random([2, 3, 2, 1], seed=4)
    regions = enumerate_regions(net)
    for region in regions[:6]:
        flat = region.pattern.tolist()
        layers = [convert(part.tolist()) for part in net.split_pattern(region.pattern)]
        for pattern in (convert(flat), layers, tuple(layers)):
            assert find_linear_region(net, pattern).pattern.tolist() == flat


def test_the_first_empty_layer_by_hand() -> None:
    """In layer 1 x > 0 and x < -1 contradict; relu(x) - 1 > 0 where x < 0 contradicts in layer 2."""
    net = Network.mlp([[[1.0], [-1.0]], [[1.0, 0.0]], [[1.0]]], [[0.0, -1.0], [-1.0], [0.0]])
    assert find_linear_region(net, [True, True, False]).layer == 1
    assert find_linear_region(net, [True, True, True]).layer == 1
    assert find_linear_region(net, [False, True, True]).layer == 2
    assert find_linear_region(net, [False, True, False]).pattern.tolist() == [False, True, False]
    # On the domain 2 < x < 3 layer 1 already excludes x <= 0, which is no contradiction without it.
    assert find_linear_region(net, [False, False, False], Box(2, 3)).layer == 1


def test_algorithm_1_raises_where_it_stays_undecided() -> None:
    """Without exact arithmetic a layer, or the domain, that floating point cannot settle raises by name."""
    tolerances = Tolerances(exact_pivots=0)
    with pytest.raises(UndecidedError, match=r"layer 1 stayed undecided: .*; raise Tolerances\.exact_pivots"):
        find_linear_region(COINCIDENT, [True, False, False], tolerances=tolerances)
    with pytest.raises(UndecidedError, match=r"the domain stayed undecided: .*; raise Tolerances\.exact_pivots"):
        find_linear_region(COINCIDENT, [True] * 3, Polytope([[1, 0], [-1, 0]], [1e-13, 0]), tolerances=tolerances)
    assert find_linear_region(COINCIDENT, [True, False, False]).layer == 1


# --- containment at the edge


def test_a_closed_region_contains_its_boundary() -> None:
    """Both regions of x > 0 contain 0, the smallest float64 numbers decide, and -0.0 is 0."""
    off, on = (find_linear_region(HALVES, [bit]) for bit in (False, True))
    for x in (0.0, -0.0):
        assert off.contains([x, 1.0])
        assert on.contains([x, 1.0])
    assert on.contains([[5e-324, 0.0], [-5e-324, 0.0]]).tolist() == [True, False]
    assert off.contains([[5e-324, 0.0], [-5e-324, 0.0]]).tolist() == [False, True]
    assert on.contains(np.empty((0, 2))).tolist() == []


@pytest.mark.parametrize("x", [[np.nan, 0.0], [0.0, np.inf], [-np.inf, 1.0]])
def test_no_region_contains_a_point_that_is_none(x: list[float]) -> None:
    """NaN and infinity are no points of R^d: they are refused by name."""
    for region in enumerate_regions(HALVES):
        with pytest.raises(NonFiniteError, match="x must be finite"):
            region.contains(x)


@settings(max_examples=N)
@given(data=st.data(), d=st.integers(1, 3))
def test_the_halfspaces_of_a_box_are_its_finite_sides(data: st.DataObject, d: int) -> None:
    """A point satisfies the half-spaces of a box iff it lies between low and high."""
    box = data.draw(domains(d).filter(lambda domain: isinstance(domain, Box)))
    low, high = (np.broadcast_to(side, d).tolist() for side in (box.low, box.high))
    sides = halfspaces(box, d)
    assert len(sides) == sum(map(np.isfinite, low + high))
    for x in data.draw(points(d, 5)):
        expected = all(lo <= t <= hi for lo, t, hi in zip(low, x, high, strict=True))
        assert satisfied(exact_halfspaces(sides), exact_point(x)) == expected
        assert bool(as_domain(box, d).contains(x)) == expected


def test_a_box_of_two_numbers_serves_points_of_any_dimension() -> None:
    """`Box(-1, 1)` fits every network, so it contains points of every dimension."""
    for d in (1, 2, 3):
        assert Box(-1, 1).contains(np.zeros(d))
        assert Box(-1, 1).contains([[0.5] * d, [2.0] * d]).tolist() == [True, False]


def test_a_domain_does_not_follow_its_arguments() -> None:
    """Domains are values: changing the arrays they were made from changes nothing."""
    low, A, b = np.zeros(2), np.eye(2), np.ones(2)
    box, polytope = Box(low, 1.0), Polytope(A, b)
    low[:], A[:], b[:] = 0.5, 7.0, 7.0
    assert box.low.tolist() == [0, 0]
    assert (polytope.A.tolist(), polytope.b.tolist()) == (np.eye(2).tolist(), [1, 1])


# --- sequences


def test_regions_are_a_sequence() -> None:
    """Indices, negative indices, slices and iteration give the same regions; beyond the end is an IndexError."""
    regions = enumerate_regions(Network.random([2, 4, 1], seed=2))
    n = len(regions)
    patterns = regions.patterns.tolist()
    assert [region.pattern.tolist() for region in regions] == patterns
    assert [region.pattern.tolist() for region in regions[1:4]] == patterns[1:4]
    assert regions[-1].pattern.tolist() == patterns[-1]
    assert regions[np.int64(2)].pattern.tolist() == patterns[2]
    assert regions.patterns.dtype == np.bool_
    assert regions.witnesses.shape == (n, 2)
    with pytest.raises(IndexError):
        regions[n]


# --- files


def check_same(one: Regions, other: Regions) -> None:
    """Everything that a file keeps is equal."""
    assert other.network.fingerprint == one.network.fingerprint
    assert (other.domain.description, repr(other.domain)) == (one.domain.description, repr(one.domain))
    assert other.packed.tolist() == one.packed.tolist()
    assert other.packed_cuts.tolist() == one.packed_cuts.tolist()
    assert other.patterns.tolist() == one.patterns.tolist()
    assert other.witnesses.tolist() == one.witnesses.tolist()
    assert dict(other.rational_witnesses) == dict(one.rational_witnesses)
    assert (other.complete, other.undecided, dict(other.stats)) == (one.complete, one.undecided, dict(one.stats))
    assert [r.certificate.fractions for r in other] == [r.certificate.fractions for r in one]
    assert [r.integer_rows.tolist() for r in other] == [r.integer_rows.tolist() for r in one]


FORMATS = ["parquet", "npz"]


def write(regions: Regions, path: Path) -> Path:
    """Write regions in the format of the suffix."""
    (regions.to_parquet if path.suffix == ".parquet" else regions.to_npz)(path)
    return path


def read(path: Path) -> Regions:
    """Read regions in the format of the suffix."""
    return (Regions.from_parquet if path.suffix == ".parquet" else Regions.from_npz)(path)


@pytest.mark.parametrize("suffix", FORMATS)
@settings(max_examples=N // 2)
@given(problem=problems(max_neurons=5), pivots=st.sampled_from([0, 3, 100_000]))
def test_files_keep_everything(
    suffix: str, problem: Problem, pivots: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What is written is read again: network, domain, patterns, witnesses, rational ones, undecided prefixes, stats."""
    net, domain = problem
    show(net, domain)
    regions = enumerate_regions(net, domain, on_undecided="collect", tolerances=Tolerances(exact_pivots=pivots))
    check_same(regions, read(write(regions, tmp_path_factory.getbasetemp() / f"regions.{suffix}")))


SLIVER = Network.mlp([[[3.0], [1.0]], [[1.0, 1.0]]], [[-1.0, -1 / 3], [0.0]])
AFFINE = Network([Layer({0: [[1.0, 2.0]]}, [0.5])])
KEPT = {
    "a rational witness": (SLIVER, None, {}),
    "a witness beyond the largest float": (Network.mlp([[[1e-200]], [[1.0]]], [[-1e200], [0.0]]), None, {}),
    "undecided prefixes": (COINCIDENT, None, {"tolerances": Tolerances(exact_pivots=0)}),
    "no regions": (AFFINE, Polytope([[1, 0], [-1, 0]], [1e-13, 0]), {"tolerances": Tolerances(exact_pivots=0)}),
    "no hidden layer": (AFFINE, Box(-1, 1), {}),
    "a box open on some sides": (COINCIDENT, Box([-inf, 0], [1, inf]), {}),
    "a polytope": (COINCIDENT, Polytope([[1, 1], [0, 0], [1, 0]], [1, 1, inf]), {}),
    "a polytope whose rows say nothing": (COINCIDENT, Polytope([[0, 0], [1, 0]], [1, inf]), {}),
    "an early stop": (COINCIDENT, None, {"max_regions": 1}),
    "more than eight neurons": (Network.random([2, 9, 2, 1], seed=0), Box(-1, 1), {}),
}


@given(problem=problems(max_neurons=9), facets=st.booleans())
def test_parquet_is_plain_to_other_readers(
    problem: Problem, facets: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """All metadata is text, and the columns hold what is documented: packed bits, coordinates, exact witnesses."""
    net, domain = problem
    show(net, domain)
    regions = enumerate_regions(net, domain, facets=True)
    regions = regions if facets else replace(regions, packed_facets=None)
    path = write(regions, tmp_path_factory.getbasetemp() / "plain.parquet")
    table = pq.read_table(path)
    for stored in (pq.read_metadata(path).metadata, table.schema.metadata):
        for key, text in stored.items():
            assert "\0" not in key.decode() + text.decode()
    assert json.loads(table.schema.metadata[b"tropnet"])["fingerprint"] == net.fingerprint
    network = base64.b64decode(table.schema.metadata[b"tropnet_network"])
    assert Network.load(network).fingerprint == net.fingerprint

    def bits(name: str, count: int) -> list[list[int]]:
        rows = [np.frombuffer(blob, np.uint8) for blob in table[name].to_pylist()]
        return [np.unpackbits(row, bitorder="little", count=count).tolist() for row in rows]

    assert bits("pattern", net.n_neurons) == regions.patterns.tolist()
    assert bits("cuts", net.n_neurons) == [region.cuts.tolist() for region in regions]
    assert ("facets" in table.column_names) == facets
    if facets:
        numbers = regions.domain.row_numbers.tolist()
        for region, row in zip(regions, bits("facets", net.n_neurons + len(numbers)), strict=True):
            named = {j if j < net.n_neurons else -1 - numbers[j - net.n_neurons] for j in np.flatnonzero(row).tolist()}
            assert len(named) == len(region.facets())
            assert named <= set(region.rows.tolist())
    assert np.column_stack([table[f"x{i}"].to_numpy() for i in range(net.n_inputs)]).tolist() == (
        regions.witnesses.tolist()
    )


def test_parquet_of_the_earlier_version_is_read(saved: Regions, tmp_path: Path) -> None:
    """Files whose metadata holds the network's bytes as they are, not as text, still load."""
    columns, path = saved._columns, write(saved, tmp_path / "regions.parquet")
    network = saved.network.to_bytes()
    metadata = {"tropnet": region_files._header(columns, network, 2), "tropnet_network": network}
    pq.write_table(pq.read_table(path).replace_schema_metadata(metadata), path)
    check_same(saved, read(path))


@pytest.mark.parametrize("metadata", [None, {}, {"pandas": "{}"}, {"tropnet": "{}"}])
def test_parquet_written_again_by_another_program(
    metadata: dict[str, str] | None, saved: Regions, tmp_path: Path
) -> None:
    """A table that lost what to_parquet keeps in its metadata says so; a table of something else, too."""
    path = write(saved, tmp_path / "regions.parquet")
    table = pq.read_table(path)
    for other in (table, table.select(["x0"]).rename_columns(["a"])):
        pq.write_table(other.replace_schema_metadata(metadata), path)
        with pytest.raises(FileFormatError, match=r"no entry 'tropnet'.*such as pandas, wrote the table"):
            read(path)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("case", KEPT)
def test_files_keep_the_rare_cases(suffix: str, case: str, tmp_path: Path) -> None:
    """Rational witnesses, undecided prefixes, no regions, no hidden layer, every kind of domain: all survive a file."""
    net, domain, options = KEPT[case]
    regions = enumerate_regions(net, domain, on_undecided="collect", **options)
    assert bool(regions.rational_witnesses) == ("witness" in case)
    assert bool(regions.undecided) == (case in ("undecided prefixes", "no regions"))
    check_same(regions, read(write(regions, tmp_path / f"regions.{suffix}")))


@pytest.fixture(scope="module")
def saved() -> Regions:
    return enumerate_regions(Network.random([2, 3, 2, 1], seed=0), Box(-1, 1))


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_truncated_file_is_refused(suffix: str, saved: Regions, tmp_path: Path) -> None:
    """Every proper beginning of a file is refused by name."""
    path = write(saved, tmp_path / f"regions.{suffix}")
    data = path.read_bytes()
    for size in {*range(0, len(data), 97), len(data) - 1}:
        path.write_bytes(data[:size])
        with pytest.raises(FileFormatError, match=path.name):
            read(path)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("start", range(3))
def test_a_damaged_file_is_refused(suffix: str, start: int, saved: Regions, tmp_path: Path) -> None:
    """A changed bit is refused by name, except where nothing is stored; no other regions, no other error."""
    path = write(saved, tmp_path / f"regions.{suffix}")
    size = path.stat().st_size
    check_damaged(path, read, lambda again: check_same(saved, again), range(start, size, 23))


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("content", [b"", b"regions", b"PK\x03\x04", b"PAR1", b"PAR1PAR1", bytes(1000)])
def test_a_foreign_file_is_refused(suffix: str, content: bytes, tmp_path: Path) -> None:
    """Files that tropnet did not write are refused by name."""
    path = tmp_path / f"regions.{suffix}"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=path.name):
        read(path)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_of_another_kind_is_refused(suffix: str, saved: Regions, tmp_path: Path) -> None:
    """A network is no file of regions, regions are no network, and a missing file is a FileNotFoundError."""
    path = tmp_path / f"regions.{suffix}"
    saved.network.save(path)
    with pytest.raises(FileFormatError, match=path.name):
        read(path)
    write(saved, path)
    with pytest.raises(FileFormatError, match=path.name):
        Network.load(path)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        read(path)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_failed_write_leaves_the_old_file(suffix: str, saved: Regions, tmp_path: Path) -> None:
    """Files are written atomically: when writing fails the earlier file is untouched and nothing else is left."""
    path = write(saved, tmp_path / f"regions.{suffix}")
    before = path.read_bytes()
    broken = Regions(
        saved.network, saved.domain, saved.packed, saved.packed_cuts, saved.witnesses, stats={"x": object()}
    )
    with pytest.raises(TypeError, match="JSON"):
        write(broken, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_distinct_notices_duplicates() -> None:
    """The helper that collects patterns fails on a pattern that comes twice."""
    with pytest.raises(AssertionError, match="twice"):
        distinct([[True], [False], [True]])


@given(st.data(), networks(2, max_neurons=4))
def test_files_keep_the_numbers_of_a_polytopes_rows(data: st.DataObject, net: Network) -> None:
    """Whatever rows that say nothing stand between the others, row -1 - i is the i-th as given, before and after."""
    rows = [([1.0, 0.0], 2.0), ([-1.0, 0.0], 3.0), ([0.0, 1.0], 1.5), ([0.5, -1.0], 1.0)]
    nothing = [([0.0, 0.0], 1.0), ([1.0, 1.0], inf), ([0.0, 0.0], inf), ([0.0, 0.0], 0.0)]
    every = data.draw(st.permutations([*rows, *data.draw(st.lists(st.sampled_from(nothing), max_size=4))]))
    A, b = np.array([a for a, _ in every]), np.array([c for _, c in every])
    domain = Polytope(A, b)
    show(net, domain)
    assert np.array_equal(domain_from(json.loads(json.dumps(domain.description))).row_numbers, domain.row_numbers)
    regions = enumerate_regions(net, domain, facets=data.draw(st.booleans()))
    with TemporaryDirectory() as folder:
        for suffix in ("parquet", "npz"):
            path = f"{folder}/regions.{suffix}"
            getattr(regions, f"to_{suffix}")(path)
            again = getattr(Regions, f"from_{suffix}")(path)
            for found in (regions, again):
                for region in found:
                    for row, a, c in zip(region.rows.tolist(), region.A, region.b, strict=True):
                        assert row >= 0 or (np.array_equal(A[-1 - row], a) and b[-1 - row] == c)
            assert np.array_equal(again.facets().rows, regions.facets().rows)
            assert np.array_equal(again.halfspaces().rows, regions.halfspaces().rows)

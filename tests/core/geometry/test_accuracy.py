"""Volumes, vertices and balls are as exact as documented, at any angle, length and size: against exact oracles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.checks import Row, cell, exact_halfspaces, nearest_float, show
from tests.oracles import polytopes
from tests.strategies import halfspaces, problems
from tropnet import Box, Domain, Network, Polytope, Regions, enumerate_regions

N = settings().max_examples
BULK, ONE = Fraction(1, 10**9), Fraction(1, 10**12)
VERTICES = Fraction(1, 10**8)
FAR_VERTICES = Fraction(1, 10**10)
# Half of the smallest float64: what rounding to subnormal numbers may lose.
LAST = Fraction(5e-324) / 2


def exact(x: float) -> Fraction:
    return Fraction(float(x))


def is_near(value: float, low: Fraction, high: Fraction, accuracy: Fraction) -> bool:
    """Return whether a value is within a relative accuracy of a number between two bounds, as far as float64 goes."""
    if high > Fraction(np.finfo(np.float64).max):
        return bool(value == np.finfo(np.float64).max)
    lost = 2 * LAST if high < Fraction(np.finfo(np.float64).tiny) * 4 else 0
    return low * (1 - accuracy) - lost <= exact(value) <= high * (1 + accuracy) + lost


def check_volumes(regions: Regions, rows: Sequence[list[Row]], bounded: Sequence[bool]) -> None:
    found = regions.volumes()
    for region, system, value, finite in zip(regions, rows, found.tolist(), bounded, strict=True):
        if not finite:
            assert value == region.volume() == np.inf
            continue
        volume = polytopes.volume(system)
        assert is_near(value, volume, volume, BULK)
        # Rounded once.
        assert region.volume() == nearest_float(volume)


def check_vertices(regions: Regions, rows: Sequence[list[Row]]) -> None:
    points, offsets = regions.vertices()
    for i, (region, system) in enumerate(zip(regions, rows, strict=True)):
        expected = polytopes.vertices(system)
        single = region.vertices()
        assert sorted(map(tuple, single.tolist())) == sorted(tuple(map(nearest_float, x)) for x in expected)
        part = [tuple(map(exact, x)) for x in points[offsets[i] : offsets[i + 1]].tolist()]
        assert len(part) == len(expected)
        witness = region.certificate.fractions
        nearest = VERTICES * polytopes.clearance(system, witness)
        for x in expected:
            error = max(nearest, FAR_VERTICES * max(abs(s - u) for s, u in zip(x, witness, strict=True)))
            near = [t for t in part if all(abs(s - u) <= error + _last(u) for s, u in zip(t, x, strict=True))]
            assert near
            part.remove(near[0])


def _last(x: Fraction) -> Fraction:
    """Return what rounding to float64 may lose."""
    return max(abs(x) / 2**53, LAST)


def check_balls(regions: Regions, rows: Sequence[list[Row]]) -> None:
    centres, radii = regions.chebyshev_balls()
    for i, (region, system) in enumerate(zip(regions, rows, strict=True)):
        bounds = polytopes.radius(system)
        one = region.chebyshev_ball()
        if bounds is None:
            assert radii[i] == one.radius == np.inf
            assert np.isnan(centres[i]).all()
            assert np.isnan(one.centre).all()
            continue
        for centre, radius, accuracy in ((centres[i], radii[i], BULK), (one.centre, one.radius, ONE)):
            assert is_near(radius, *bounds, accuracy)
            if bounds[1] < Fraction(np.finfo(np.float64).max):
                rounding = sum(map(_last, map(exact, centre)), Fraction(0))
                for a, b in system:
                    slack = polytopes.clearance([(a, b)], tuple(map(exact, centre)))
                    assert slack >= bounds[0] * (1 - accuracy) - rounding * 2 - 4 * LAST


def check_all(regions: Regions, domain: Domain | None, *, radii: bool = True) -> None:
    net = regions.network
    rows = []
    for region in regions:
        system = cell(net, region.pattern.tolist(), halfspaces(domain, net.n_inputs))
        assert system is not None
        rows.append([row for row in system if any(row[0])])
    check_volumes(regions, rows, regions.bounded().tolist())
    check_vertices(regions, rows)
    if radii:
        check_balls(regions, rows)


def one_region(d: int) -> Network:
    """Return a network of one region: a neuron that reads nothing."""
    return Network.mlp([np.zeros((1, d)), [[1.0]]], [[1.0], [0.0]])


# --- networks


@pytest.mark.parametrize("facets", [True, False])
@settings(max_examples=N)
@given(problem=problems(2, max_neurons=4))
def test_networks_in_the_plane(facets: bool, problem: tuple[Network, Domain | None]) -> None:
    net, domain = problem
    show(net, domain)
    check_all(enumerate_regions(net, domain, facets=facets), domain)


@settings(max_examples=N // 2)
@given(problem=problems(3, max_neurons=3))
def test_networks_in_space(problem: tuple[Network, Domain | None]) -> None:
    net, domain = problem
    show(net, domain)
    check_all(enumerate_regions(net, domain, facets=True, max_regions=6, on_undecided="collect"), domain, radii=False)


@pytest.mark.parametrize("exponent", range(17))
@pytest.mark.parametrize(
    ("base", "turn"), [((0.0, 1.0), (1.0, 0.0)), ((-3.0, -3.0), (1.0, 0.0)), ((1.0, 3.0), (0.3, 1.0))]
)
def test_two_neurons_that_are_nearly_parallel(
    exponent: int, base: tuple[float, float], turn: tuple[float, float]
) -> None:
    """Two hyperplanes that meet at an angle of about 10^-k: fat regions beside slivers."""
    step = 10.0**-exponent * np.array(turn)
    weights = [base + step, base - step]
    net = Network.mlp([weights, [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    for domain in (Box(-1, [1.0, 1.0]), Polytope([[1, 2], [-1, 1], [0, -1]], [2, 2, 1]), None):
        for facets in (True, False):
            check_all(enumerate_regions(net, domain, facets=facets), domain)


@settings(max_examples=N)
@given(
    angle=st.integers(0, 52),
    slope=st.integers(-5, 5),
    shift=st.sampled_from([0.0, 2.0**-50, 1e-9, 0.25]),
    scale=st.sampled_from([1.0, 1e-12, 1e150, 2.0**-600]),
)
def test_the_same_plane_twice_turned_a_little(angle: int, slope: int, shift: float, scale: float) -> None:
    """Any angle down to 2^-52, in space, through deeper layers, at any scale of the weights."""
    first = np.array([[3.0, slope, 1.0], [3.0 + 2.0**-angle, slope, 1.0]]) * scale
    net = Network.mlp([first, [[1.0, -1.0]], [[1.0]]], [[0.0, shift * scale], [-(2.0**-60) * scale], [0.0]])
    domain = Box([-1.0] * 3, 1.0)
    check_all(enumerate_regions(net, domain), domain, radii=False)


@settings(max_examples=N)
@given(size=st.integers(0, 60), cut=st.floats(-0.9, 0.9))
def test_terms_that_cancel(size: int, cut: float) -> None:
    """A second layer in which terms of 2^k leave one of size 1."""
    big = 2.0**size
    net = Network.mlp([[[1.0, big], [0.0, big]], [[1.0, -1.0]], [[1.0]]], [[4 * big, 4 * big], [-cut], [0.0]])
    domain = Box(-1, [1.0, 1.0])
    check_all(enumerate_regions(net, domain), domain)


# --- one region


@settings(max_examples=2 * N)
@given(
    d=st.integers(1, 3),
    exponents=st.lists(st.integers(-900, 900), min_size=3, max_size=3),
    seed=st.integers(0, 10**6),
    n_rows=st.integers(0, 3),
    centre=st.sampled_from([0.0, 0.5, -3.0]),
)
def test_stretched_polytopes(d: int, exponents: list[int], seed: int, n_rows: int, centre: float) -> None:
    """Polytopes with axes from 2^-900 to 2^900, cut by slanted sides; volumes beyond float64 included."""
    rng = np.random.default_rng(seed)
    widths = np.array([2.0**e for e in exponents[:d]])
    slanted = rng.integers(-3, 4, (n_rows, d)).astype(np.float64)
    rows = np.concatenate([np.eye(d), -np.eye(d), slanted[slanted.any(axis=1)]])
    b = rows @ np.full(d, centre) + rng.integers(1, 5, len(rows))
    scale = np.array([2.0 ** max(-1000, min(0, int(e))) for e in rng.integers(-60, 1, len(rows))])
    with np.errstate(all="ignore"):
        A = rows / widths * scale[:, None]
    # Exact: powers of two, unless a coefficient leaves float64.
    domain = Polytope(A, b * scale)
    check_all(enumerate_regions(one_region(d), domain), domain, radii=d < 3)


@pytest.mark.parametrize("t", [10.0**-k for k in (0, 1, 3, 6, 8, 9, 10, 11, 11.5, 12, 13, 15, 16, 30, 100, 200, 300)])
def test_triangles_with_one_small_angle(t: float) -> None:
    """0 <= y <= t x, x <= 1: area t / 2 and inradius (1 + t - sqrt(1 + t^2)) / 2; alone, and cut out by a neuron."""
    domain = Polytope([[0, -1], [-t, 1], [1, 0]], [0, 0, 1])
    check_all(enumerate_regions(one_region(2), domain), domain)
    net = Network.mlp([[[t, -1.0]], [[1.0]]], [[0.0], [0.0]])
    for box in (Box(0, [1.0, 1.0]), Box([0.0, -np.inf], 1.0)):
        check_all(enumerate_regions(net, box), box)


@pytest.mark.parametrize("ratio", [1.0, 1e3, 1e6, 1e12, 1e15, 1e16, 1e100, 1e300])
@pytest.mark.parametrize("d", [1, 2, 3, 4, 5, 6])
def test_long_boxes(ratio: float, d: int) -> None:
    """The inradius is half the shortest side, the volume the product, the vertices are those given."""
    low, high = np.full(d, -1.0 / ratio), np.full(d, 2.0 / ratio)
    high[0], low[-1] = ratio, -ratio
    regions = enumerate_regions(one_region(d), Box(low, high))
    widths = [exact(u) - exact(v) for u, v in zip(high, low, strict=True)]
    volume = math.prod(widths, start=Fraction(1))
    assert is_near(regions.volumes()[0], volume, volume, BULK)
    assert regions[0].volume() == nearest_float(volume)
    for value, accuracy in ((regions.chebyshev_balls().radii[0], BULK), (regions[0].chebyshev_ball().radius, ONE)):
        assert is_near(value, min(widths) / 2, min(widths) / 2, accuracy)
    corners = {tuple(high[i] if bit else low[i] for i, bit in enumerate(bits)) for bits in product([0, 1], repeat=d)}
    assert set(map(tuple, regions[0].vertices().tolist())) == corners
    found = regions.vertices().points
    assert len(found) == len(corners)
    for corner in corners:
        far = np.abs(np.array(corner) - regions.witnesses[0]).max()
        allowed = max(1e-8 * float(min(widths)), 1e-10 * far) + np.abs(corner) * 2.0**-52
        assert (np.abs(found - np.array(corner)) <= allowed).all(axis=1).any()


@pytest.mark.parametrize("d", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("size", [1e-300, 1e-100, 1e-9, 1.0, 1e9, 1e100, 1e300])
def test_simplices(d: int, size: float) -> None:
    """Those of x >= 0 and sum x <= s, turned by a sign matrix in 4-D: volume s^d / d!, inradius s / (d + sqrt d)."""
    turn = np.eye(d) if d != 4 else np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
    rows = np.vstack([-np.eye(d), np.ones((1, d))]) @ turn
    regions = enumerate_regions(one_region(d), Polytope(rows, np.append(np.zeros(d), size)))
    volume = exact(size) ** d / math.factorial(d)
    assert is_near(regions.volumes()[0], volume, volume, BULK)
    assert regions[0].volume() == nearest_float(volume)
    radius = size / (d + d**0.5)
    assert regions.chebyshev_balls().radii[0] == pytest.approx(radius, rel=1e-9, abs=0)
    assert regions[0].chebyshev_ball().radius == pytest.approx(radius, rel=2e-12, abs=0)
    assert regions.vertices().offsets.tolist() == [0, d + 1]


@pytest.mark.parametrize("d", [3, 4])
def test_pyramids_and_cross_polytopes(d: int) -> None:
    """Vertices in which more than d sides meet, stretched: the volume needs no exact arithmetic, and is right."""
    signs = np.array(list(product([1.0, -1.0], repeat=d)))
    cross = Polytope(signs / np.array([2.0**-20, 1.0, 2.0**10, 4.0][:d]), np.ones(len(signs)))
    check_all(enumerate_regions(one_region(d), cross), cross, radii=False)
    net = Network.mlp([signs[: 2 ** (d - 1)], np.ones((1, 2 ** (d - 1)))], [np.zeros(2 ** (d - 1)), [0.0]])
    box = Box([-1.0] * d, 1.0)
    regions = enumerate_regions(net, box, facets=True)
    exact_rows = exact_halfspaces(halfspaces(box, d))
    assert regions.volumes().sum() == pytest.approx(float(polytopes.volume(exact_rows)), rel=1e-9)


def test_far_sides_stay_where_they_are() -> None:
    """A side 1e16, 1e40 and 1e200 times farther than the nearest one."""
    for far in (1e15, 1e16, 1e40, 1e200):
        domain = Polytope([[-1.0, 0.0], [0.0, -1.0], [1.0, 0.0], [1.0, 1.0]], [1.0, 1.0, 1.0, far])
        check_all(enumerate_regions(one_region(2), domain), domain)


def test_estimates_of_thin_and_long_regions() -> None:
    """Within six standard errors, or exact with none."""
    for t in (1e-3, 1e-7, 1e-9, 1e-11, 1e-13, 1e-200):
        regions = enumerate_regions(one_region(2), Polytope([[0, -1], [-t, 1], [1, 0]], [0, 0, 1]))
        (value,), (error,) = regions.volume_estimates(400)
        assert abs(value - t / 2) <= 6 * error + 1e-6 * t
    for widths in ([1e-6, 1e6], [1e-150, 1e150], [1e200, 1e200], [1e-200, 1e-200]):
        regions = enumerate_regions(one_region(2), Box([0.0, 0.0], widths))
        (value,), (error,) = regions.volume_estimates(400)
        truth = nearest_float(exact(widths[0]) * exact(widths[1]))
        assert value == truth or abs(value - truth) <= 6 * error


@pytest.mark.parametrize("near", [1e-6, 1e-12, 1e-30, 1e-100, 1e-300])
@pytest.mark.parametrize("d", [2, 3, 5])
def test_estimates_from_a_witness_next_to_a_side(d: int, near: float) -> None:
    """The centre is found from there, however near: else the volume is missed by far with a small standard error."""
    regions = enumerate_regions(one_region(d), Box([0.0] * d, 1.0))
    close = np.array([[near] + [0.5] * (d - 1)])
    moved = Regions(regions.network, regions.domain, regions.packed, regions.packed_cuts, close)
    (value,), (error,) = moved.volume_estimates(1000)
    assert abs(value - 1) < 5 * error < 0.5

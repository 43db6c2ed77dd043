"""Facets of all regions, found by the engines on the way or in bulk later, are those of exact decisions, row by row."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracles.polytopes import vertices
from tropnet import Box, Network, Polytope, Regions, enumerate_regions
from tropnet.enumeration.engines import REGISTRY
from tropnet.feasibility import Feasible
from tropnet.feasibility.exact import solve_exactly
from tropnet.geometry.centred import centred, seen_along
from tropnet.geometry.facets import DOUBTFUL, FACET, IMPLIED, facets, untouched


def defining(rows):
    """Return which integer rows (a | c) define facets: beyond such a row there are points inside all others."""
    own = []
    for i, row in enumerate(rows):
        # Of coincident rows the first.
        others = [rows[j] for j in range(len(rows)) if j != i and not (j > i and coincident(row, rows[j]))]
        answer = solve_exactly([-row, *others], len(row) - 1, 10**6, central=False)
        if isinstance(answer, Feasible):
            own.append(i)
    return own


def coincident(row, other):
    k = next(k for k, value in enumerate(row) if value)
    return row[k] * other[k] > 0 and all(row * other[k] == other * row[k])


def check(regions):
    """Check the facets that are known, those found without them, and those of single regions."""
    known, found = regions.facets(), replace(regions, packed_facets=None).facets()
    for offsets in (known.offsets, found.offsets):
        assert offsets[0] == 0
        assert offsets[-1] == len(known.rows)
    for i, region in enumerate(regions):
        exact = region.rows[defining(region.integer_rows)].tolist()
        assert exact == known.rows[known.offsets[i] : known.offsets[i + 1]].tolist()
        assert exact == found.rows[found.offsets[i] : found.offsets[i + 1]].tolist()
        assert exact == region.rows[region.facets()].tolist()


DOMAINS = {
    "R^d": lambda d: None,  # noqa: ARG005
    "box": lambda d: Box([-2.0] * d, [1.0] * d),
    "half-space": lambda d: Polytope(np.ones((1, d)), [0.5]),
    "doubled side": lambda d: Polytope(np.vstack([np.eye(d), 2 * np.eye(d), -np.eye(d)]), [1] * d + [2] * d + [1] * d),
}


@pytest.mark.parametrize("domain", DOMAINS)
@given(seed=st.integers(0, 10**6), d=st.integers(1, 3))
def test_facets_of_degenerate_networks(domain, seed, d):
    """Small integers make parallel, coincident and concurrent hyperplanes."""
    rng = np.random.default_rng(seed)
    weights = [rng.integers(-1, 2, (4, d)), rng.integers(-1, 2, (3, 4)), np.ones((1, 3))]
    net = Network.mlp(weights, [rng.integers(-1, 2, 4), rng.integers(-1, 2, 3), [0]], slopes=(-0.5, 1))
    check(enumerate_regions(net, DOMAINS[domain](d), facets=True))


@pytest.mark.parametrize("engine", REGISTRY)
@pytest.mark.parametrize("domain", ["R^d", "box"])
def test_all_engines_find_them(engine, domain):
    net = Network.random([2, 3, 3, 1], seed=4)
    regions = enumerate_regions(net, DOMAINS[domain](2), engine=engine, facets=True)
    assert regions.packed_facets is not None
    check(regions)


@pytest.mark.parametrize(("d", "engine"), [(2, "auto"), (2, "polygon"), (2, "vertex"), (4, "auto"), (4, "vertex")])
@pytest.mark.parametrize("workers", [1, 2])
def test_engines_that_have_them_at_hand_give_them(d, engine, workers):
    net = Network.random([d, 6, 6, 1], seed=2)
    regions = enumerate_regions(net, Box(-1, 1), engine=engine, workers=workers)
    asked = enumerate_regions(net, Box(-1, 1), engine=engine, workers=workers, facets=True)
    assert np.array_equal(regions.packed, asked.packed)
    assert np.array_equal(regions.packed_facets, asked.packed_facets)
    check(regions)


@pytest.mark.parametrize("widths", [[2, 8, 8, 1], [3, 6, 6, 1], [4, 5, 5, 1]])
def test_facets_of_generic_networks(widths):
    net = Network.random(widths, seed=1)
    for domain in (None, Box(-3, 3)):
        regions = enumerate_regions(net, domain, engine="vertex", facets=True)
        check(Regions(net, regions.domain, regions.packed[:30], regions.packed_cuts[:30], regions.witnesses[:30],
                      packed_facets=regions.packed_facets[:30]))  # fmt: skip


@pytest.mark.parametrize("suffix", ["parquet", "npz"])
@pytest.mark.parametrize("facets", [True, False])
def test_files_keep_them(tmp_path, suffix, facets):
    path = tmp_path / f"regions.{suffix}"
    regions = enumerate_regions(Network.random([2, 4, 1], seed=0), Box(-1, 1), engine="lp", facets=facets)
    getattr(regions, f"to_{suffix}")(path)
    again = getattr(Regions, f"from_{suffix}")(path)
    assert (again.packed_facets is None) == (not facets)
    for ours, theirs in zip(regions.facets(), again.facets(), strict=True):
        assert np.array_equal(ours, theirs)


def test_without_a_hidden_layer():
    regions = enumerate_regions(Network.mlp([[[1.0, 2.0]]], [[3.0]]), Box(-1, 1), facets=True)
    assert regions.facets().rows.tolist() == [-1, -2, -3, -4]


def test_the_second_call_is_free_and_its_answer_the_callers_own():
    regions = enumerate_regions(Network.random([2, 4, 1], seed=0), Box(-1, 1))
    first = regions.facets()
    kept = first.rows.copy()
    first.rows[:] = 0
    assert np.array_equal(regions.facets().rows, kept)


def test_regions_whose_point_is_rational():
    """Between x = 2^-1074 k and the next there is no float64 point, so nothing is seen from it."""
    net = Network.mlp([[[1.0], [1.0]], [[1.0, 1.0]]], [[0.0, -(2.0**-1074)], [0.0]])
    regions = enumerate_regions(net, Box([-1.0], [1.0]))
    assert regions.rational_witnesses
    check(regions)


@pytest.mark.parametrize("scale", [1e-150, 1e-8, 1.0, 1e8, 1e150])
@given(seed=st.integers(0, 10**6), d=st.integers(1, 3))
def test_what_is_proven_is_true_at_any_scale(scale, seed, d):
    """Rows through common points and nearly through them, seen from a point inside; no extent is known, or one is."""
    rng = np.random.default_rng(seed)
    A = rng.integers(-2, 3, (9, d)).astype(float)
    A = A[A.any(axis=1)]
    b = A @ np.zeros(d) + rng.choice([1.0, 1.0, 2.0, 1.0 + 2.0**-40], len(A))
    rows = [np.array([*(-int(x) for x in a), int(c * 2**40)], dtype=object) for a, c in zip(A, b, strict=True)]
    for row in rows:
        row[:-1] *= 2**40
    exact = defining(rows)
    offsets = np.array([0, len(A)])
    sides = centred(A, b * scale, offsets, np.zeros((1, d)))
    for extent in (np.inf, 100.0 * scale):
        if extent < np.inf:
            box = np.vstack([np.eye(d), -np.eye(d)])
            A_box, b_box = np.vstack([A, box]), np.concatenate([b, np.full(2 * d, 20.0)]) * scale
            offsets = np.array([0, len(A_box)])
            sides = centred(A_box, b_box, offsets, np.zeros((1, d)))
            far = [np.array([*(-int(x) for x in a), 20], dtype=object) for a in box]
            exact = defining([*rows, *far])
        known = facets(sides, offsets, extent)
        for i, state in enumerate(known.tolist()):
            assert state in (FACET, IMPLIED, DOUBTFUL)
            assert state == DOUBTFUL or (state == FACET) == (i in exact)


@pytest.mark.parametrize("extent", [np.inf, 12.0])
@given(seed=st.integers(0, 10**6), d=st.integers(1, 3), n_shared=st.lists(st.integers(0, 10), min_size=3, max_size=3))
def test_rows_shared_with_the_polyhedron_before(extent, seed, d, n_shared):
    """Polyhedra in the box [-2, 2]^d, each with some first rows of the one before, seen from points of their own."""
    rng = np.random.default_rng(seed)
    A, b, points = [], [], [rng.integers(-3, 4, d) / 4 for _ in range(4)]
    for n, point in zip([0, *n_shared], points, strict=True):
        own = rng.integers(-2, 3, (12, d)).astype(float)
        own[:, 0] += np.where(own.any(axis=1), 0, 1)
        own[-2 * d :] = np.vstack([np.eye(d), -np.eye(d)])
        c = own @ point + rng.choice([0.25, 0.5, 0.5, 1.0, 2.0, 3.0, 6.0], 12)
        c[-2 * d :] = 2.0
        # Only rows that the point fulfils can be shared.
        kept = n if n and (A[-1][:n] @ point < b[-1][:n]).all() else 0
        A.append(np.vstack([A[-1][:kept], own]) if kept else own)
        b.append(np.concatenate([b[-1][:kept], c]) if kept else c)
    shared = [0]
    for i in range(1, 4):
        most = min(len(A[i - 1]), len(A[i]))
        same = (A[i - 1][:most] == A[i][:most]).all(axis=1) & (b[i - 1][:most] == b[i][:most])
        shared.append(int(np.logical_and.accumulate(same).sum()))
    offsets = np.cumsum([0, *map(len, A)])
    rows = centred(np.vstack(A), np.concatenate(b), offsets, np.array(points))
    known = facets(rows, offsets, extent, np.array(shared))
    for i in range(4):
        integers = [np.array([*(-int(4 * x) for x in a), int(4 * c)], object) for a, c in zip(A[i], b[i], strict=True)]
        exact = defining(integers)
        for j, state in enumerate(known[offsets[i] : offsets[i + 1]].tolist()):
            assert state == DOUBTFUL or (state == FACET) == (j in exact)


def test_the_order_of_regions_is_of_no_importance():
    regions = enumerate_regions(Network.random([3, 8, 8, 1], seed=1), Box(-1, 1), engine="simplex")
    order = np.random.default_rng(0).permutation(len(regions))
    columns = (regions.packed[order], regions.packed_cuts[order], regions.witnesses[order])
    found = Regions(regions.network, regions.domain, *columns).facets()
    known, counts = regions.facets(), np.diff(found.offsets)
    assert counts.tolist() == np.diff(known.offsets)[order].tolist()
    for i, j in enumerate(order.tolist()):
        ours, theirs = (slice(each.offsets[k], each.offsets[k + 1]) for each, k in ((found, i), (known, j)))
        assert found.rows[ours].tolist() == known.rows[theirs].tolist()


@pytest.mark.parametrize("scale", [1e-150, 1e-8, 1.0, 1e8, 1e150])
@given(seed=st.integers(0, 10**6), d=st.integers(1, 3))
def test_what_is_not_touched(scale, seed, d):
    """Of a box with corners cut off: rows beyond its exact vertices, through them, within 2^-40 of them, and inside."""
    rng = np.random.default_rng(seed)
    box = np.vstack([np.eye(d), -np.eye(d)])
    A, b = np.vstack([box, rng.integers(-2, 3, (4, d))]), np.concatenate([np.full(2 * d, 2.0), np.full(4, 3.0)])
    A, b = A[A.any(axis=1)], b[A.any(axis=1)]
    corners = vertices([(tuple(map(Fraction, a)), Fraction(c)) for a, c in zip(A.tolist(), b.tolist(), strict=True)])
    further = rng.integers(-3, 4, (8, d)).astype(float)
    farthest = [max(sum(Fraction(p) * q for p, q in zip(a, x, strict=True)) for x in corners) for a in further.tolist()]
    gaps = np.array([0.0, 0.0, 2.0**-40, -(2.0**-40), 1.0, 1.0, -1.0, 0.25])
    c = np.array([float(most) for most in farthest]) + gaps
    exact = [Fraction(value) > most for value, most in zip(c.tolist(), farthest, strict=True)]
    offsets, point = np.array([0, len(A)]), np.zeros((1, d))
    rows = centred(A, b * scale, offsets, point)
    asked = seen_along(rows, further[None], c[None] * scale, point, np.zeros((1, 8, 2)))
    for extent in (np.inf, 7.0 * scale):
        found = untouched(rows, offsets, asked, extent).tolist()
        for proven, true, a, gap in zip(found, exact, further, gaps.tolist(), strict=True):
            assert true or not proven
            # Where there is room, a hyperplane, and an end to all rounding, nothing is left open.
            assert proven or gap < 2.0**-40 or not a.any() or extent == np.inf
    wrong = seen_along(rows, further[None], c[None] * scale, point, np.full((1, 8, 2), [0.0, 0.5 * scale]))
    found = untouched(rows, offsets, wrong, 7.0 * scale).tolist()
    assert [gap == 1.0 and bool(a.any()) for gap, a in zip(gaps.tolist(), further, strict=True)] == found


def test_functions_without_a_slope_are_positive_within_a_domain():
    """Known up to 1e-6, 1 is positive in a box; in the plane a slope of 1e-6 leads below 0 somewhere."""
    net = Network.mlp([[[1.0, 1.0]], [[1.0]]], [[0.0], [0.0]])
    for domain, sure in ((Box(-1, 1), True), (None, False)):
        regions = enumerate_regions(net, domain)
        A, c, errors = np.zeros((2, 2, 2)), np.full((2, 2), [1.0, 0.0]), np.full((2, 2, 2), 1e-6)
        found = regions.measures.surely_positive(np.arange(2), A, c, errors)
        assert found.tolist() == [[sure, False]] * 2


def test_generic_rows_leave_no_doubt():
    """Tangents of spheres, a tenth farther away for every other one: doubt would only cost time, but much of it."""
    rng = np.random.default_rng(0)
    for d in (2, 3, 5, 8):
        A = rng.normal(size=(4 * d, d))
        A /= np.linalg.norm(A, axis=1)[:, None]
        offsets = np.array([0, len(A)])
        known = facets(centred(A, np.ones(len(A)), offsets, np.zeros((1, d))), offsets)
        assert (known == FACET).all()


def test_a_row_known_up_to_its_error_is_in_doubt():
    """Of x <= 1 and x <= 1 + e it is not known which defines the facet if both are wrong by more than e."""
    A, b = np.array([[1.0], [1.0], [-1.0]]), np.array([1.0, 1.0 + 1e-9, 1.0])
    offsets, origin = np.array([0, 3]), np.zeros((1, 1))
    assert facets(centred(A, b, offsets, origin), offsets).tolist() == [FACET, IMPLIED, FACET]
    known = facets(centred(A, b, offsets, origin, np.full((3, 2), 1e-8)), offsets)
    assert known.tolist() == [DOUBTFUL, DOUBTFUL, FACET]

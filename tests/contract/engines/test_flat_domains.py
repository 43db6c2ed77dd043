"""Domains of lower dimension: every engine finds the regions within the affine hull, which is given by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product
from math import sqrt
from operator import mul

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.engines.cases import NETWORKS
from tests.contract.engines.engines import ENGINES, Candidate
from tests.contract.engines.pieces import Pieces
from tests.contract.engines.runs import run
from tests.oracles.brute_force import brute_force_patterns
from tests.oracles.exact import HalfSpace, Vector, coordinate_forms, exact_layers, rational, rationals
from tests.oracles.fourier_motzkin import has_interior
from tests.oracles.polytopes import vertices, volume
from tests.strategies import halfspaces, networks
from tropnet import (
    ActivationRegion,
    Box,
    Domain,
    EmptyRegion,
    Network,
    Polytope,
    count_regions,
    enumerate_regions,
    estimate_regions,
    find_linear_region,
    iter_regions,
)
from tropnet.enumeration.search import Search

COMPILED = {"vertex", "simplex"}
INF = np.inf


def forms(*rows: Sequence[Fraction | float]) -> list[Vector]:
    """Return the inputs as affine forms in t, constant last."""
    return [rationals(row) for row in rows]


Row = tuple[Sequence[Fraction], Fraction]


@dataclass(frozen=True)
class Hull:
    """A domain, its inputs as affine forms in coordinates t of its affine hull, and what is known of it.

    Attributes
    ----------
    volume
        Its k-dimensional volume, by hand.
    engines
        The engines that take it, beside lp and reference.
    """

    domain: Domain
    inputs: list[Vector]
    volume: float
    engines: set[str] = field(default_factory=lambda: COMPILED)

    @property
    def d(self) -> int:
        """The number of inputs."""
        return len(self.inputs)

    @property
    def sides(self) -> list[HalfSpace]:
        """The half-spaces of the domain, in t."""
        return [
            (
                [
                    sum((w * x[k] for w, x in zip(rationals(a), self.inputs, strict=True)), Fraction(0))
                    for k in range(n)
                ],
                rational(b) - sum((w * x[-1] for w, x in zip(rationals(a), self.inputs, strict=True)), Fraction(0)),
            )
            for a, b in halfspaces(self.domain, self.d)
            for n in [len(self.inputs[0]) - 1]
        ]

    def neuron_rows(self, net: Network, pattern: Sequence[bool]) -> dict[int, Row]:
        """Return the row of each neuron that is not constant on the cell of a pattern, in t."""
        outputs, rows, first = [self.inputs], {}, 0
        for layer in exact_layers(net)[:-1]:
            forms = [neuron.pre_activation(outputs, len(self.inputs[0])) for neuron in layer]
            for j, (neuron, (*gradient, constant)) in enumerate(zip(layer, forms, strict=True), start=first):
                sign = -1 if pattern[j] else 1
                if neuron.splits and any(gradient):
                    rows[j] = [sign * value for value in gradient], -sign * constant
            outputs.append([n.output(z, bit) for n, z, bit in zip(layer, forms, pattern[first:], strict=False)])
            first += len(layer)
        return rows


def boxed(rows: list[list[float]], sides: list[float], low: float, high: float, which: Sequence[int]) -> Polytope:
    """Return a polytope of rows and of the sides of a box in some coordinates."""
    eye = np.eye(len(rows[0]))[list(which)]
    return Polytope([*rows, *eye, *-eye], [*sides, *[high] * len(which), *[-low] * len(which)])


def triangle(*sides: tuple[float, float, float]) -> Fraction:
    """Return the area of a triangle of sides a x + b y <= c."""
    return volume([(tuple(rationals(side[:2])), rational(side[2])) for side in sides])


TENTH, THREE, SEVEN = Fraction(0.1), Fraction(0.3), Fraction(0.7)
THIRD = Fraction(1, 3)
PLANE = COMPILED | {"polygon"}
HULLS = {
    "one input fixed": Hull(Box([-1, 0.3, -2], [1, 0.3, 2]), forms((1, 0, 0), (0, 0, 0.3), (0, 1, 0)), 8, PLANE),
    "one input fixed at 0": Hull(Box([-1, 0, -2], [1, 0, 2]), forms((1, 0, 0), (0, 0, 0), (0, 1, 0)), 8, PLANE),
    "two inputs fixed": Hull(Box([0.1, -3, 1e-3], [0.1, 1, 1e-3]), forms((0, 0.1), (1, 0), (0, 1e-3)), 4),
    "fixed at far numbers": Hull(
        Box([1e-300, -3, 1e300], [1e-300, 1, 1e300]), forms((0, 1e-300), (1, 0), (0, 1e300)), 4
    ),
    "a point": Hull(Box([0.1, 0.2, 0.3], [0.1, 0.2, 0.3]), forms((0.1,), (0.2,), (0.3,)), 1),
    "the origin": Hull(Box([0, 0], [0, 0]), forms((0,), (0,)), 1),
    "an open box": Hull(Box([-INF, 0.3, -1], [1, 0.3, INF]), forms((1, 0, 0), (0, 0, 0.3), (0, 1, 0)), INF, PLANE),
    "a segment": Hull(Polytope([[1, 1], [-1, -1], [-1, 0], [0, -1]], [1, -1, 0, 0]), forms((1, 0), (-1, 1)), sqrt(2)),
    "a simplex": Hull(
        Polytope([[1, 1, 1], [-1, -1, -1], *-np.eye(3)], [1, -1, 0, 0, 0]),
        forms((1, 0, 0), (0, 1, 0), (-1, -1, 1)),
        sqrt(3) / 2,
        PLANE,
    ),
    "three rows that meet in a line": Hull(
        boxed([[1, 1, 0], [0, -1, 1], [-1, 0, -1]], [0, 0, 0], -2, 2, [1]), forms((-1, 0), (1, 0), (1, 0)), 4 * sqrt(3)
    ),
    "implied one after the other": Hull(
        # x <= y <= x, and then y + z <= x <= x + z.
        boxed([[1, -1, 0], [-1, 1, 0], [-1, 1, 1], [0, 0, -1]], [0, 0, 0, 0], -1, 2, [0]),
        forms((1, 0), (1, 0), (0, 0)),
        3 * sqrt(2),
    ),
    "a point of contact": Hull(Polytope([[1, 0], [0, 1], [-1, -1]], [0.5, 0.25, -0.75]), forms((0.5,), (0.25,)), 1),
    "decimals": Hull(
        boxed([[0.1, 0.3, 0.7], [-0.1, -0.3, -0.7]], [1, -1], -1, 1, [0, 1]),
        forms((1, 0, 0), (0, 1, 0), (-TENTH / SEVEN, -THREE / SEVEN, 1 / SEVEN)),
        4 * sqrt(1 + (1 / 7) ** 2 + (3 / 7) ** 2),
        PLANE,
    ),
    "no float64 point": Hull(
        boxed([[3, 0, 0], [-3, 0, 0]], [1, -1], -1, 1, [1, 2]), forms((0, 0, THIRD), (1, 0, 0), (0, 1, 0)), 4, PLANE
    ),
    "a point of thirds": Hull(
        Polytope([[3, 0], [-3, 0], [0, 7], [0, -7]], [1, -1, 2, -2]), forms((THIRD,), (Fraction(2, 7),)), 1
    ),
    "sides that are no float64 numbers": Hull(
        boxed([[3, 1, 0], [-3, -1, 0], [0.1, 0.3, 0.7]], [1, -1, 0.5], -1, 1, [0, 2]),
        forms((1, 0, 0), (-3, 0, 1), (0, 1, 0)),
        # Of -1 <= x, z <= 1 what satisfies -0.8 x + 0.7 z <= 0.2: all z for x >= 0.625.
        sqrt(10) * (0.75 + 1.21875 / 0.7),
        PLANE,
    ),
    "a triangle of such sides": Hull(
        Polytope([[3, 3, -7], [-3, -3, 7], [-0.3, 0, 0.1], [0, -0.7, -0.1], [0.1, 0.3, 0.7]], [0, 0, 0.1, 0.3, 0.7]),
        forms((1, 0, 0), (0, 1, 0), (3 / Fraction(7), 3 / Fraction(7), 0)),
        # With z = 3 (x + y) / 7 the sides are -1.8 x + 0.3 y <= 0.7, -0.3 x - 5.2 y <= 2.1 and 0.4 x + 0.6 y <= 0.7.
        sqrt(67) / 7 * float(triangle((-1.8, 0.3, 0.7), (-0.3, -5.2, 2.1), (0.4, 0.6, 0.7))),
        PLANE,
    ),
    "a wedge of such sides": Hull(
        Polytope([[3, 3, -7], [-3, -3, 7], [-0.3, 0, 0.1], [0, -0.7, -0.1]], [0, 0, 0.1, 0.3]),
        forms((1, 0, 0), (0, 1, 0), (3 / Fraction(7), 3 / Fraction(7), 0)),
        INF,
        PLANE,
    ),
    "a plane": Hull(Polytope([[1, 1, 1], [-1, -1, -1]], [1, -1]), forms((1, 0, 0), (0, 1, 0), (-1, -1, 1)), INF, set()),
}
# Of coefficients that float64 composes without overflow.
TAME = [
    "generic",
    "skips",
    "leaky",
    "absolute value",
    "own slopes",
    "dead",
    "antiparallel",
    "small integers",
    "constant",
]
KINDS = [
    kind
    for kind in NETWORKS
    if kind not in ("no hidden layer", "huge row", "beyond floats") and NETWORKS[kind](3).n_neurons <= 6
]
PATTERNS: dict[tuple[str, str], set[tuple[bool, ...]]] = {}


def the_patterns(kind: str, name: str) -> set[tuple[bool, ...]]:
    """Return what the oracle says, worked out once."""
    if (kind, name) not in PATTERNS:
        hull = HULLS[name]
        PATTERNS[kind, name] = brute_force_patterns(NETWORKS[kind](hull.d), hull.sides, hull.inputs)
    return PATTERNS[kind, name]


def asked_of(tested: Candidate, hull: Hull) -> bool:
    """Return whether an engine takes the domain for all networks; the plane's cells may contain lines."""
    return not tested.engine.compiled or (tested.name in hull.engines and hull.volume < INF)


@pytest.mark.parametrize("name", HULLS)
@pytest.mark.parametrize("tested", ENGINES, ids=lambda tested: tested.name)
def test_every_engine_finds_the_patterns_within_the_hull(tested: Candidate, name: str) -> None:
    """The patterns of the regions with interior relative to the hull, each once, and their number."""
    hull = HULLS[name]
    # The reference engine asks all patterns, one linear program each.
    kinds = KINDS[::3] if tested.name == "reference" else KINDS
    for kind in kinds if asked_of(tested, hull) else ():
        net = NETWORKS[kind](hull.d)
        regions = enumerate_regions(net, hull.domain, engine=tested.engine)
        found = [tuple(pattern) for pattern in regions.patterns.tolist()]
        assert len(found) == len(set(found))
        assert set(found) == the_patterns(kind, name), kind
        assert regions.complete
        assert (regions.network, regions.domain.description) == (net, hull.domain.description)
        assert count_regions(net, hull.domain, engine=tested.engine) == len(found)


@pytest.mark.parametrize("seed", [None, 1])
@pytest.mark.parametrize("tested", [tested for tested in ENGINES if tested.engine.compiled], ids=lambda each: each.name)
def test_what_runs_hand_over_keeps_to_the_sides_that_are_neurons(tested: Candidate, seed: int | None) -> None:
    """In pieces, too, every region comes once where sides of the domain are neurons whose bits are fixed."""
    for name in ("sides that are no float64 numbers", "a triangle of such sides"):
        for kind in KINDS:
            search = Search.prepare(NETWORKS[kind](3), HULLS[name].domain, tested.tiny, "highs", None, None)
            assert search.task.fixed
            found = Pieces(search.plan, seed).found
            assert found.patterns == run(search.plan).patterns
            assert len(found.patterns) == len(the_patterns(kind, name))


@pytest.mark.parametrize("name", HULLS)
def test_auto_takes_every_domain(name: str) -> None:
    """So do streams, threads, estimates, other backends, and networks without hidden layers."""
    hull = HULLS[name]
    for kind in KINDS:
        net, expected = NETWORKS[kind](hull.d), the_patterns(kind, name)
        assert {tuple(region.pattern.tolist()) for region in iter_regions(net, hull.domain)} == expected
        assert count_regions(net, hull.domain, workers=2) == len(expected)
        assert estimate_regions(net, hull.domain).n_regions == len(expected)
    assert count_regions(net, hull.domain, backend="exact") == len(expected)
    assert count_regions(NETWORKS["no hidden layer"](hull.d), hull.domain) == 1


@pytest.mark.parametrize("name", HULLS)
def test_witnesses_are_inside_and_measures_add_up(name: str) -> None:
    """Exact witnesses are on the hull and strictly inside; volumes sum to that of the domain."""
    hull = HULLS[name]
    for kind in TAME:
        net = NETWORKS[kind](hull.d)
        regions = enumerate_regions(net, hull.domain, facets=True)
        for i, region in enumerate(regions):
            x = region.certificate.fractions
            assert regions.witnesses[i].tolist() == [float(value) for value in x]
            assert i in regions.rational_witnesses or list(x) == list(map(Fraction, regions.witnesses[i].tolist()))
            for a, b in halfspaces(hull.domain, hull.d):
                assert sum(map(mul, rationals(a), x)) <= rational(b)
            t = [x[hull.inputs.index(form)] for form in coordinate_forms(len(hull.inputs[0]) - 1)]
            for a, b in hull.neuron_rows(net, region.pattern.tolist()).values():
                assert sum(map(mul, a, t)) < b
        volumes = regions.volumes()
        if hull.volume < INF:
            assert volumes.sum() == pytest.approx(hull.volume, rel=1e-9), kind
            assert regions.bounded().all()
        else:
            assert not regions.bounded().all()
        assert volumes.tolist() == pytest.approx([region.volume() for region in regions], rel=1e-9)


def rows_within(hull: Hull, net: Network, region: ActivationRegion) -> list[tuple[int, Row]]:
    """Return the rows a . t < b of a region in coordinates of the hull, named, the first of those that coincide."""
    named = [(-1 - int(i), row) for i, row in zip(hull.domain.row_numbers, hull.sides, strict=True)]
    named += [(j, row) for j, row in hull.neuron_rows(net, region.pattern.tolist()).items() if region.cuts[j]]
    first: dict[tuple[Fraction, ...], tuple[int, Row]] = {}
    for name, (a, b) in named:
        if any(a):
            size = abs(next(value for value in a if value))
            first.setdefault((*(value / size for value in a), b / size), (name, (tuple(a), b)))
    return list(first.values())


@pytest.mark.parametrize("name", [name for name in HULLS if name != "fixed at far numbers"])
def test_facets_and_vertices(name: str) -> None:
    """Facets are the rows beyond which nothing else ends the region; found on the way or afterwards, and by region."""
    hull = HULLS[name]
    for kind in TAME[::2]:
        net = NETWORKS[kind](hull.d)
        for facets in (True, False):
            regions = enumerate_regions(net, hull.domain, facets=facets)
            listed, offsets = regions.facets()
            corners, at = regions.vertices()
            for i, region in enumerate(regions):
                rows = rows_within(hull, net, region)
                expected = {
                    name
                    for name, (a, b) in rows
                    if has_interior([(tuple(-v for v in a), -b), *(row for other, row in rows if other != name)])
                }
                assert set(listed[offsets[i] : offsets[i + 1]].tolist()) == expected
                assert set(region.rows[region.facets()].tolist()) == expected
                inside = vertices([row for _, row in rows]) if rows else {()} if hull.volume == 1 else set()
                points = [[float(sum(map(mul, x, (*t, 1)))) for x in hull.inputs] for t in inside]
                for found in (corners[at[i] : at[i + 1]], region.vertices()):
                    assert len(found) == len(points)
                    np.testing.assert_allclose(
                        sorted(found.round(9).tolist()), sorted(np.round(points, 9).tolist()), atol=1e-8
                    )


@pytest.mark.parametrize("name", HULLS)
def test_single_patterns(name: str) -> None:
    """A pattern that occurs within the hull has its region, any other names a layer of the network."""
    hull = HULLS[name]
    for kind in KINDS[1::3]:
        net = NETWORKS[kind](hull.d)
        for pattern in np.ndindex(*[2] * net.n_neurons):
            found = find_linear_region(net, list(pattern), hull.domain)
            if tuple(map(bool, pattern)) in the_patterns(kind, name):
                assert isinstance(found, ActivationRegion)
                assert found.pattern.tolist() == list(map(bool, pattern))
            else:
                assert isinstance(found, EmptyRegion)
                assert 1 <= found.layer <= len(net.hidden)


def test_sides_of_too_many_digits_are_left_to_linear_programs() -> None:
    """With x = 2^-600 y a side 2^-600 x + z <= 1 is 2^-1200 y + z <= 1; compiled engines say so, and what to take."""
    tiny = 2.0**-600
    domain = boxed([[1, -tiny, 0], [-1, tiny, 0], [tiny, 0, 1]], [0, 0, 1], -1, 1, [1, 2])
    net = Network.mlp([[[0.0, 1, 1], [0, 0, 1]], [[1.0, 1]]], [[0, -0.5], [0]])
    for engine in ("polygon", "vertex", "simplex"):
        with pytest.raises(ValueError, match=f"engine '{engine}' needs sides that are sums of numbers.*take 'auto' or"):
            enumerate_regions(net, domain, engine=engine)
    # The lines y + z = 0 and z = 0.5 cross inside.
    regions = enumerate_regions(net, domain)
    assert regions.stats["engine"] == "lp"
    assert set(map(tuple, regions.patterns.tolist())) == set(product((False, True), repeat=2))


@given(networks(3, max_neurons=5), st.data())
def test_random_boxes(net: Network, data: st.DataObject) -> None:
    """Any inputs fixed, at numbers on hyperplanes or not."""
    number = st.sampled_from([0.0, 1.0, -2.0, 0.1, 1 / 3, -0.7])
    fixed = [data.draw(st.none() | number) for _ in range(3)]
    low = [-2.0 if value is None else value for value in fixed]
    high = [1.0 if value is None else value for value in fixed]
    free = [i for i, value in enumerate(fixed) if value is None]
    inputs = [
        (*(Fraction(i == j) for j in free), Fraction(0) if value is None else Fraction(value))
        for i, value in enumerate(fixed)
    ]
    hull = Hull(Box(low, high), inputs, 3.0 ** len(free))
    expected = brute_force_patterns(net, hull.sides, hull.inputs)
    for engine in ("auto", "lp"):
        regions = enumerate_regions(net, hull.domain, engine=engine)
        assert set(map(tuple, regions.patterns.tolist())) == expected
        assert regions.volumes().sum() == pytest.approx(hull.volume, rel=1e-9)


@given(networks(3, max_neurons=4), st.data())
def test_random_slices(net: Network, data: st.DataObject) -> None:
    """One or two equations, as opposite rows or as a sum of rows, in a box around a point that satisfies them."""
    size = st.sampled_from([1.0, 2.0, -1.0, 3.0, 0.1, 0.3, 0.0, -7.0])
    a = data.draw(st.lists(size, min_size=3, max_size=3).filter(lambda row: row[2] != 0))
    side = data.draw(st.sampled_from([0.0, 1.0, 0.5]))
    if data.draw(st.booleans()):
        # Three rows that add up to 0 x <= 0, exactly: a x <= side, then half of the rest each.
        half = [-0.5 * value for value in a]
        extra = data.draw(st.sampled_from([[1.0, 0, 0], [0, 2.0, 0]]))
        rows = [a, half, half]
        sides = [side, -side / 2, -side / 2]
        rows, sides = [*rows, extra, [-value for value in extra]], [*sides, 1.0, 1.0]
    else:
        rows, sides = [a, [-value for value in a]], [side, -side]
    domain = boxed(rows, sides, -1, 1, [0, 1])
    x = rationals(a)
    inputs = forms((1, 0, 0), (0, 1, 0), (-x[0] / x[2], -x[1] / x[2], Fraction(side) / x[2]))
    hull = Hull(domain, inputs, 0.0)
    expected = brute_force_patterns(net, hull.sides, hull.inputs)
    for engine in ("auto", "lp"):
        regions = enumerate_regions(net, domain, engine=engine)
        assert set(map(tuple, regions.patterns.tolist())) == expected


@given(networks(3, max_neurons=4), st.data())
def test_random_polytopes(net: Network, data: st.DataObject) -> None:
    """An equation of decimals in a box, with more sides around a point of it: few of them are float64 numbers."""
    decimal = st.integers(-9, 9).map(lambda value: value / 10)
    a = data.draw(st.lists(decimal, min_size=3, max_size=3).filter(lambda row: row[2] != 0))
    side = data.draw(st.sampled_from([0.0, 0.1, 0.3]))
    more = data.draw(st.lists(st.lists(decimal, min_size=3, max_size=3).filter(any), max_size=3))
    size = 1 + abs(side / a[2])
    sides = [row[2] * side / a[2] + data.draw(st.sampled_from([0.1, 0.7])) for row in more]
    domain = boxed([a, [-value for value in a], *more], [side, -side, *sides], -size, size, [0, 1, 2])
    x = rationals(a)
    hull = Hull(domain, forms((1, 0, 0), (0, 1, 0), (-x[0] / x[2], -x[1] / x[2], rational(side) / x[2])), 0.0)
    expected = brute_force_patterns(net, hull.sides, hull.inputs)
    for engine in ("auto", "lp", *sorted(PLANE)):
        regions = enumerate_regions(net, domain, engine=engine, facets=True)
        assert set(map(tuple, regions.patterns.tolist())) == expected
        assert len(regions) == len(expected)

"""The regions around a point against full enumeration: patterns, facets, distances in the graph."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.checks import Row, cell, exact_point, neuron_rows, show
from tests.strategies import domains, halfspaces, networks, points
from tropnet import (
    Box,
    Domain,
    DomainError,
    EnumerationInterrupted,
    Network,
    NonFiniteError,
    Polytope,
    Regions,
    ShapeError,
    TropnetError,
    adjacency_graph,
    enumerate_regions,
    regions_near,
)
from tropnet.local_search.near import NearRegions
from tropnet.network.domain import as_domain

Problem = tuple[Network, Domain | None, list[float]]


# --- problems


def _inside(domain: Domain | None, d: int) -> np.ndarray:
    """Return a point of the domain: of its first region."""
    return enumerate_regions(Network.mlp([np.zeros((1, d))], [[0.0]]), domain).witnesses[0]


def _on_a_hyperplane(net: Network, x: np.ndarray, domain: Domain | None) -> np.ndarray:
    """Move x along one input to where a first-layer neuron vanishes, if that stays in the domain."""
    for row, bias in zip(net.layers[0].weights.get(0, np.empty((0, len(x)))), net.layers[0].bias, strict=False):
        for k in np.flatnonzero(row).tolist():
            moved = x.copy()
            rest = bias + row @ x - row[k] * x[k]
            with np.errstate(over="ignore"):
                moved[k] = -rest / row[k]
            if np.isfinite(moved).all() and as_domain(domain, len(x)).contains(moved):
                return moved
    return x


def _on_the_boundary(x: np.ndarray, domain: Domain | None) -> np.ndarray:
    """Move x along the normal of a side of the domain onto it, as far as rounding lets it."""
    fitted = as_domain(domain, len(x))
    A, b = fitted.halfspaces
    for a, c in zip(A, b, strict=True):
        moved = x + a * ((c - a @ x) / (a @ a)) if a.any() else x
        if fitted.contains(moved):
            return moved
    return x


@st.composite
def _problems(draw: st.DrawFn, d: int | None = None) -> Problem:
    """Draw a network, a domain and a point of it: small integers, on a hyperplane, on the boundary or generic."""
    d = draw(st.integers(1, 3)) if d is None else d
    net = draw(networks(d, max_neurons=6 if d <= 3 else 5))
    domain = draw(domains(d))
    x = np.array(draw(points(d, 1))[0])
    if not as_domain(domain, d).contains(x):
        x = _inside(domain, d)
    place = draw(st.sampled_from(["", "hyperplane", "boundary"]))
    if place == "hyperplane":
        x = _on_a_hyperplane(net, x, domain)
    elif place == "boundary":
        x = _on_the_boundary(x, domain)
    assume(as_domain(domain, d).contains(x))
    return net, domain, x.tolist()


# --- by definition


def _closed(rows: Iterable[Row], x: list[float]) -> bool:
    """Return whether x is in the closed cell, exactly."""
    point = exact_point(x)
    return all(sum((a * p for a, p in zip(row, point, strict=True)), Fraction(0)) <= b for row, b in rows)


def _facets(regions: Regions) -> list[list[int]]:
    rows, offsets = regions.facets()
    return [rows[i:j].tolist() for i, j in pairwise(offsets.tolist())]


def check_near(net: Network, domain: Domain | None, x: list[float]) -> NearRegions:
    """Compare a search without bounds with the enumeration of everything and with its graph."""
    show(net, f"{domain}, {x}")
    near = regions_near(net, x, domain, max_regions=10**6)
    regions = near.regions
    assert regions.complete
    every = enumerate_regions(net, domain, facets=True)
    places = {pattern.tobytes(): i for i, pattern in enumerate(every.packed)}
    own = [pattern.tobytes() for pattern in regions.packed]
    assert len(set(own)) == len(own)
    assert set(own) == set(places)

    distances = nx.single_source_shortest_path_length(adjacency_graph(every), places[own[0]])
    assert near.n_flips.tolist() == [distances[places[pattern]] for pattern in own]
    assert near.n_flips.tolist() == sorted(near.n_flips.tolist())
    # Of coincident rows, which one stands for them is up to the engine; here the first.
    sizes = np.diff(every.facets().offsets)
    assert np.diff(regions.facets().offsets).tolist() == [sizes[places[pattern]] for pattern in own]
    assert _facets(regions) == [region.rows[region.facets()].tolist() for region in regions]

    # A point can be in the domain up to rounding only.
    first = neuron_rows(net, regions.patterns[0].tolist())
    assert first is not None
    assert _closed(first.values(), x)
    sides = halfspaces(domain, net.n_inputs)
    for region in regions:
        pattern = region.pattern.tolist()
        rows, own_rows = cell(net, pattern, sides), neuron_rows(net, pattern)
        assert rows is not None
        assert own_rows is not None
        point = region.certificate.fractions
        assert all(sum(a * p for a, p in zip(row, point, strict=True)) < b for row, b in rows)
        assert np.flatnonzero(region.cuts).tolist() == list(own_rows)
    return near


@given(_problems())
def test_everything_is_found_at_its_distance(problem: Problem) -> None:
    """Without bounds: the regions of full enumeration, with their facets, at their distances in the graph."""
    check_near(*problem)


@given(st.data(), st.integers(4, 6))
def test_more_inputs_than_the_network_tells_apart(data: st.DataObject, d: int) -> None:
    """In up to six inputs, often more than the rank of the weights, where the search happens on a slice."""
    check_near(*data.draw(_problems(d)))


@given(seed=st.integers(0, 10**6), d=st.integers(1, 4), data=st.data())
def test_degenerate_networks(seed: int, d: int, data: st.DataObject) -> None:
    """Small integers and no biases: several neurons flip at one facet, and cells are cones at the origin."""
    rng = np.random.default_rng(seed)
    weights = [rng.integers(-1, 2, (3, d)), rng.integers(-1, 2, (2, 3)), rng.integers(-1, 2, (2, 2)), np.ones((1, 2))]
    net = Network.mlp(weights, [np.zeros(3), np.zeros(2), rng.integers(-1, 2, 2), [0]])
    domain = data.draw(domains(d))
    x = np.zeros(d) if as_domain(domain, d).contains(np.zeros(d)) else _inside(domain, d)
    check_near(net, domain, x.tolist())


@pytest.mark.parametrize("widths", [[2, 5, 5, 1], [3, 4, 4, 2], [4, 5, 3, 1], [6, 3, 3, 1], [1, 4, 4, 1], [6, 6, 1, 1]])
@pytest.mark.parametrize("scale", [None, 1.0, 1e-6, 1e6])
def test_random_networks(widths: list[int], scale: float | None) -> None:
    """Cells of all shapes on R^d and in boxes of all sizes."""
    net = Network.random(widths, init="torch", seed=1)
    d = widths[0]
    x = np.random.default_rng(0).uniform(-1, 1, d) * (scale or 1.0)
    check_near(net, None if scale is None else Box([-scale] * d, [scale] * d), x.tolist())


def test_a_domain_in_many_inputs() -> None:
    """A strip in eight inputs of a network of rank two leaves three directions to search."""
    rng = np.random.default_rng(3)
    net = Network.mlp(
        [rng.normal(size=(4, 2)) @ rng.normal(size=(2, 8)), rng.normal(size=(3, 4)), np.ones((1, 3))],
        [rng.normal(size=4), rng.normal(size=3), [0.0]],
    )
    side = rng.normal(size=(1, 8))
    check_near(net, Polytope(np.concatenate([side, -side]), [1.0, 1.0]), [0.0] * 8)


# --- bounds


@given(st.data())
def test_bounds_leave_out_the_farthest(data: st.DataObject) -> None:
    """The first k regions of a search with `max_regions=k` are those of a larger one; `max_flips` keeps a ball."""
    net, domain, x = data.draw(_problems())
    show(net, f"{domain}, {x}")
    every = regions_near(net, x, domain, max_regions=10**6)
    n = data.draw(st.integers(1, len(every) + 1))
    some = regions_near(net, x, domain, max_regions=n)
    k = min(n, len(every))
    assert some.regions.complete == (n >= len(every))
    assert np.array_equal(some.regions.packed, every.regions.packed[:k])
    assert np.array_equal(some.n_flips, every.n_flips[:k])
    assert np.array_equal(some.regions.packed_facets, every.regions.packed_facets[:k])
    assert np.array_equal(some.regions.witnesses, every.regions.witnesses[:k])

    radius = data.draw(st.integers(0, int(every.n_flips.max()) + 1))
    ball = regions_near(net, x, domain, max_regions=10**6, max_flips=radius)
    kept = int((every.n_flips <= radius).sum())
    assert np.array_equal(ball.regions.packed, every.regions.packed[:kept])
    assert ball.regions.complete == (kept == len(every))
    assert np.array_equal(ball.regions.packed_facets, every.regions.packed_facets[:kept])


def test_a_network_far_too_large_to_enumerate() -> None:
    """In 784 inputs: neighbours differ in one neuron, facets are those of the exact decisions, all is repeatable."""
    net = Network.random([784, 16, 16, 16, 2], init="torch", seed=0)
    x = np.random.default_rng(0).random(784)
    near = regions_near(net, x, max_regions=30, progress=True)
    assert len(near) == 30
    assert not near.regions.complete
    assert np.array_equal(near.regions.patterns[0], net.activation_pattern(x[None])[0])
    assert np.array_equal(net.activation_pattern(near.regions.witnesses), near.regions.patterns)
    first = near.regions[0]
    assert _facets(near.regions)[0] == first.rows[first.facets()].tolist()
    flips = (near.regions.patterns ^ near.regions.patterns[0]).sum(axis=1)
    assert flips.tolist() == near.n_flips.tolist()
    again = regions_near(net, x, max_regions=30)
    assert np.array_equal(again.regions.witnesses, near.regions.witnesses)
    assert np.array_equal(again.regions.packed_facets, near.regions.packed_facets)
    assert str(near) == f"NearRegions(30 activation regions up to {near.n_flips.max()} flips away, {net})"


# --- interrupts and misuse


def test_an_interrupt_loses_nothing_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C raises `EnumerationInterrupted` with the regions found so far, not complete."""
    net = Network.random([2, 4, 4, 1], seed=0)
    every = regions_near(net, [0.0, 0.0])
    contains = Network.certain_pattern
    calls = 0

    def interrupted(self: Network, x: object) -> object:
        nonlocal calls
        calls += 1
        if calls > 8:
            raise KeyboardInterrupt
        return contains(self, x)

    monkeypatch.setattr(Network, "certain_pattern", interrupted)
    with pytest.raises(EnumerationInterrupted, match="regions found so far") as caught:
        regions_near(net, [0.0, 0.0])
    partial = caught.value.partial
    assert 0 < len(partial) < len(every)
    assert not partial.regions.complete
    assert np.array_equal(partial.regions.packed, every.regions.packed[: len(partial)])
    assert np.array_equal(partial.n_flips, every.n_flips[: len(partial)])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"max_regions": 0}, ValueError, r"max_regions must be an integer of at least 1, got 0"),
        ({"max_regions": 2.0}, ValueError, r"max_regions must be an integer of at least 1, got 2\.0"),
        ({"max_regions": True}, ValueError, r"max_regions must be an integer of at least 1, got True"),
        ({"max_flips": -1}, ValueError, r"max_flips must be an integer of at least 0, got -1"),
        ({"x": [0.0]}, ShapeError, r"\(2,\)|2 columns|shape"),
        ({"x": [[0.0, 0.0], [1.0, 1.0]]}, ShapeError, r"x must be one point of shape \(2,\), got 2 points"),
        ({"x": [0.0, np.nan]}, NonFiniteError, r"finite, got nan"),
        ({"x": [2.0, 0.0]}, DomainError, r"x is outside the domain"),
        ({"domain": Box([0.0], [1.0])}, DomainError, r"dimension|inputs"),
        ({"x": [0.0, 0.0], "domain": Polytope([[1, 0], [-1, 0]], [0, -1])}, DomainError, r"the domain is empty"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, object], error: type[Exception], message: str) -> None:
    net = Network.random([2, 3, 1], seed=0)
    with pytest.raises(error, match=message) as caught:
        regions_near(net, **{"x": [0.0, 0.0], "domain": Box(-1.0, 1.0), **arguments})
    assert isinstance(caught.value, TropnetError | ValueError)

"""Extreme values, Lipschitz constants, equality and distances, against every region in exact arithmetic."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise

import cvxpy
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.checks import Row, cell, distinct, exact_halfspaces, show, value
from tests.oracles.brute_force import exact_affine_map, exact_forward
from tests.oracles.exact import Vector
from tests.oracles.fourier_motzkin import has_interior
from tests.oracles.polytopes import vertices
from tests.strategies import domains, halfspaces, networks, points, problems
from tropnet import Box, Domain, DomainError, Layer, Network, NonFiniteError, Polytope, ShapeError, enumerate_regions
from tropnet.verification import Extremum, distance_to_boundary, lipschitz_constant, maximum, minimum, same_function

NORMS = [1, 2, math.inf]


def cells(net: Network, domain: Domain | None, form: Sequence[float]) -> Iterator[tuple[list[Row], Vector, Fraction]]:
    """Yield every region's strict inequalities and the form a . x + c there, read by the oracles."""
    for pattern in enumerate_regions(net, domain, engine="lp").patterns.tolist():
        rows = cell(net, pattern, halfspaces(domain, net.n_inputs))
        assert rows is not None
        weights, offsets = exact_affine_map(net, pattern)
        gradient = tuple(value(form, column) for column in zip(*weights, strict=True))
        yield rows, gradient, value(form, offsets)


def exceeds(net: Network, domain: Domain | None, form: Sequence[float], bound: Fraction) -> bool:
    """Return whether the form is larger than the bound somewhere, by eliminating variables region by region."""
    return any(
        # A constant form is no inequality.
        c > bound if not any(a) else has_interior([*rows, (tuple(-t for t in a), c - bound)])
        for rows, a, c in cells(net, domain, form)
    )


def check_maximum(net: Network, domain: Domain | None, form: Sequence[float], top: Extremum) -> None:
    """Check that the maximum is attained where it says, in the closure of that region, and exceeded nowhere."""
    x = top.certificate.fractions
    rows = cell(net, top.pattern.tolist(), halfspaces(domain, net.n_inputs))
    assert rows is not None
    assert has_interior(rows)
    assert all(value(a, x) <= b for a, b in rows)
    assert top.gap == 0
    if top.exact is None:
        assert top.value == math.inf
        assert top.ray is not None
        assert np.linalg.norm(top.ray) == pytest.approx(1)
        assert exceeds(net, domain, form, Fraction(10**9))
    else:
        assert top.value == float(top.exact)
        assert value(form, exact_forward(net, x)[0]) == top.exact
        assert not exceeds(net, domain, form, top.exact)


def draw_form(data: st.DataObject, net: Network) -> list[float]:
    return data.draw(st.lists(st.integers(-2, 2).map(float), min_size=net.n_outputs, max_size=net.n_outputs))


# --- maximum and minimum


@given(st.data(), st.integers(1, 2))
def test_maximum_is_exact(data: st.DataObject, d: int) -> None:
    """On any domain the maximum is attained at its exact point and exceeded in no region; infinite ones are."""
    net, domain = data.draw(problems(d, max_neurons=5))
    show(net, domain)
    form = draw_form(data, net)
    check_maximum(net, domain, form, maximum(net, domain, form, method="enumerate"))


@given(st.data(), st.integers(1, 3))
def test_search_agrees_with_enumeration(data: st.DataObject, d: int) -> None:
    """On any domain, degenerate networks included, what bounds leave out does not hold the extrema."""
    net, domain = data.draw(problems(d, max_neurons=8))
    form = draw_form(data, net)
    show(net, domain)
    for find in (maximum, minimum):
        found, expected = find(net, domain, form), find(net, domain, form, method="enumerate")
        assert found.exact == expected.exact
        assert found.value == expected.value


@pytest.mark.parametrize("widths", [[2, 12, 12, 12, 1], [3, 10, 10, 1], [5, 8, 8, 1]])
@pytest.mark.parametrize("skips", [[], [(1, 3)]])
def test_search_leaves_out_most_regions(widths: list[int], skips: list[tuple[int, int]]) -> None:
    """Few of many regions are solved, and the largest value at their vertices is the maximum."""
    net = Network.random(widths, skips=skips if len(widths) > 4 else [], slopes=(0.125, 1.0), seed=4)
    box = Box(-2, 2)
    regions = enumerate_regions(net, box)
    found = maximum(net, box)
    corners, _ = regions.vertices()
    assert found.value == pytest.approx(net(corners).max(), rel=1e-9)
    assert net(found.point)[0] == pytest.approx(found.value, rel=1e-9)
    assert found.n_solved < len(regions) / 20


@given(st.data())
def test_branch_and_bound_agrees_with_enumeration(data: st.DataObject) -> None:
    """On bounded domains branch and bound finds the same exact extrema, each at a point of the region it names."""
    net = data.draw(networks(max_neurons=6))
    domain = data.draw(domains(net.n_inputs, bounded=True))
    form = draw_form(data, net)
    show(net, domain)
    for find in (maximum, minimum):
        found = find(net, domain, form, method="branch")
        expected = find(net, domain, form, method="enumerate")
        assert found.exact == expected.exact == find(net, domain, form).exact
        assert value(form, exact_forward(net, found.certificate.fractions)[0]) == found.exact
        assert tuple(found.pattern) in distinct(enumerate_regions(net, domain).patterns)
        rows = cell(net, found.pattern.tolist(), halfspaces(domain, net.n_inputs))
        assert rows is not None
        assert all(value(a, found.certificate.fractions) <= b for a, b in rows)


@given(networks(max_neurons=7, nearly_degenerate=False), st.sampled_from([0.0, 1e-6, 0.5]))
def test_gap_tells_the_truth(net: Network, tolerance: float) -> None:
    """With a tolerance the true maximum lies within the gap, and the gap within the tolerance."""
    show(net, tolerance)
    found = maximum(net, Box(-2, 2), 0, method="branch", tolerance=tolerance)
    best = maximum(net, Box(-2, 2), 0, method="enumerate")
    assert found.exact is not None
    assert best.exact is not None
    assert 0 <= best.exact - found.exact <= Fraction(found.gap) * (1 + Fraction(1, 10**12))
    assert found.gap <= tolerance * (1 + 1e-12)


def with_pruned_neurons(net: Network, k: int, kind: str, rng: np.random.Generator) -> Network:
    """Return the same function with k more neurons per layer that matter nowhere.

    "in": no incoming weight or bias. "out": no outgoing weight. "dead": the first layer's are negative on the box, and
    later ones read only them.
    """
    layers = []
    for index, layer in enumerate(net.layers, start=1):
        last = index == len(net.layers)
        n = 0 if last else k
        weights = {}
        for source, weight in layer.weights.items():
            wide = np.zeros((layer.width + n, weight.shape[1] + (k if source else 0)))
            wide[: layer.width, : weight.shape[1]] = weight
            if source and kind != "out":
                wide[: layer.width, weight.shape[1] :] = rng.normal(size=(layer.width, k))
            if n and kind == "out":
                wide[layer.width :, : weight.shape[1]] = rng.normal(size=(n, weight.shape[1]))
            if n and kind == "dead":
                new = wide[layer.width :, weight.shape[1] :] if source else wide[layer.width :]
                new[:] = rng.normal(size=new.shape)
            weights[source] = wide
        bias = np.full(n, -1e3 if kind == "dead" and index == 1 else 0.0)
        slopes = np.concatenate([np.asarray(layer.slopes), np.tile([0.0, 1.0], (n, 1))])
        layers.append(Layer(weights, np.concatenate([layer.bias, bias]), slopes))
    return Network(layers, net.n_inputs)


@pytest.mark.parametrize("kind", ["in", "out", "dead"])
@pytest.mark.parametrize("widths", [[3, 4, 1], [2, 3, 3, 2]])
def test_pruned_neurons_cost_nothing(kind: str, widths: list[int]) -> None:
    """Sixteen more neurons a layer that matter nowhere change neither the extrema nor how many nodes are solved."""
    rng = np.random.default_rng(0)
    net, box = Network.random(widths, seed=1), Box(-1, 1)
    wide = with_pruned_neurons(net, 16, kind, rng)
    for find in (maximum, minimum):
        few, many = find(net, box, 0, method="branch"), find(wide, box, 0, method="branch")
        assert many.exact == few.exact
        assert many.n_solved <= 2 * few.n_solved
        x = many.certificate.fractions
        assert exact_forward(wide, x)[0][0] == many.exact
        rows = cell(wide, many.pattern.tolist(), halfspaces(box, net.n_inputs))
        assert rows is not None
        assert has_interior(rows)
        assert all(value(a, x) <= b for a, b in rows)


def test_branch_and_bound_on_a_larger_network() -> None:
    """With four inputs, skips and leaky slopes the two methods agree; most regions are never solved."""
    net = Network.random([4, 8, 8, 8, 2], skips=[(1, 3)], slopes=(0.125, 1.0), seed=5)
    box = Box(-1, 1)
    found, expected = (maximum(net, box, [1.0, -1.0], method=method) for method in ("branch", "enumerate"))
    assert found.exact == expected.exact
    assert found.gap == 0
    assert expected.n_solved == len(enumerate_regions(net, box))


@pytest.mark.parametrize(("widths", "scale"), [([2, 12, 6, 1], 1e6), ([2, 12, 6, 1], 1e3)])
def test_bounds_by_vertices_lose_no_maximum(widths: list[int], scale: float) -> None:
    """Few of more than a hundred regions are solved; the largest value is that of all vertices of all of them."""
    net, box = Network.random(widths, seed=3), Box(-scale, scale)
    found = maximum(net, box, method="enumerate")
    values = [
        max(value(gradient, vertex) + offset for vertex in vertices(rows))
        for rows, gradient, offset in cells(net, box, [1.0])
    ]
    assert len(values) > 100
    assert found.n_solved < len(values) / 4
    assert found.exact == max(values)


def test_minimum_is_the_negative_maximum() -> None:
    """The minimum of |x| + 1 is 1 at 0; its maximum is infinite, and so is a minimum downwards."""
    net = Network.mlp([[[1.0]], [[1.0]]], [[0.0], [1.0]], slopes=(-1, 1))
    low = minimum(net)
    assert low.exact == 1
    assert low.point.tolist() == [0]
    assert maximum(net).value == math.inf
    assert minimum(Network.mlp([[[1.0]], [[-1.0]]], [[0.0], [1.0]])).value == -math.inf
    assert maximum(net, Polytope([[1.0], [-1.0]], [3.0, 0.5])).exact == 4


def test_arguments_of_maximum_are_checked() -> None:
    """What does not fit raises an error that says what does."""
    net = Network.random([2, 3, 2], seed=0)
    with pytest.raises(ShapeError, match="the network has 2 outputs; pass form"):
        maximum(net)
    with pytest.raises(ShapeError, match="index of an output, 0 to 1, got 2"):
        maximum(net, None, 2)
    with pytest.raises(ShapeError, match=r"or have shape \(2,\).*got \(3,\)"):
        minimum(net, None, [1.0, 2.0, 3.0])
    with pytest.raises(NonFiniteError, match="form must be finite"):
        maximum(net, None, [1.0, np.nan])
    with pytest.raises(ValueError, match="method must be one of auto, search, enumerate, branch, got 'best'"):
        maximum(net, None, 0, method="best")
    with pytest.raises(ValueError, match="method 'branch' needs a bounded domain"):
        maximum(net, None, 0, method="branch")
    with pytest.raises(ValueError, match="tolerance must be a number of at least 0, got -1"):
        maximum(net, None, 0, tolerance=-1)
    empty = Polytope([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]], [0.0, -1.0, 1.0, 1.0])
    for method in ("branch", "enumerate", "auto"):
        with pytest.raises(DomainError, match="the domain is empty: rows"):
            maximum(net, empty, 0, method=method)


# --- Lipschitz constants


@given(problems(max_neurons=6), st.sampled_from(NORMS))
def test_lipschitz_constant_is_the_largest_norm(problem: tuple[Network, Domain | None], norm: float) -> None:
    """It is the largest operator norm over the regions' exact maps, and attained on the region it names."""
    net, domain = problem
    show(net, domain)
    found = lipschitz_constant(net, domain, norm)
    regions = enumerate_regions(net, domain)
    maps = [np.array(exact_affine_map(net, pattern)[0], dtype=np.float64) for pattern in regions.patterns.tolist()]
    norms = [np.linalg.norm(weight, norm) for weight in maps]
    size = 1e-12 * max(np.abs(weight).max() for weight in maps)
    assert found.value == pytest.approx(max(norms), rel=1e-9, abs=size)
    attained = norms[regions.patterns.tolist().index(found.pattern.tolist())]
    assert attained == pytest.approx(found.value, rel=1e-9, abs=size)


def test_no_pair_of_points_is_further_apart() -> None:
    """No difference quotient exceeds the constant, and some come near it."""
    net = Network.random([2, 8, 8, 3], seed=2)
    x, y = np.random.default_rng(0).uniform(-2, 2, (2, 4000, 2))
    y[::2] = x[::2] + 1e-4 * y[::2]
    for norm in NORMS:
        quotients = np.linalg.norm(net(x) - net(y), norm, axis=1) / np.linalg.norm(x - y, norm, axis=1)
        found = lipschitz_constant(net, Box(-2, 2), norm).value
        assert 0.7 * found < quotients.max() <= found * (1 + 1e-9)
    with pytest.raises(ValueError, match="norm must be 1, 2 or inf, got 3"):
        lipschitz_constant(net, norm=3)


# --- equality


def rebuilt(net: Network, order: Sequence[int], factors: Sequence[float]) -> Network:
    """Return the same function with the first layer's neurons in another order and scaled by positive factors."""
    first, *others = net.layers
    scale = np.asarray(factors)[:, None]
    layers = [
        Layer(
            {k: scale * weight[order] for k, weight in first.weights.items()},
            scale[:, 0] * first.bias[order],
            np.asarray(first.slopes)[order],
        )
    ]
    for layer in others:
        weights = {k: weight[:, order] / scale[:, 0] if k == 1 else weight for k, weight in layer.weights.items()}
        layers.append(Layer(weights, layer.bias, layer.slopes))
    return Network(layers, net.n_inputs)


@given(st.data(), problems(max_neurons=4))
def test_rebuilt_networks_are_the_same_function(data: st.DataObject, problem: tuple[Network, Domain | None]) -> None:
    """Neurons permuted and scaled by powers of two change nothing; an output moved by 2**-30 does."""
    net, domain = problem
    show(net, domain)
    if not net.hidden:
        return
    width = net.widths[0]
    order = data.draw(st.permutations(range(width)))
    factors = data.draw(st.lists(st.sampled_from([0.25, 1.0, 2.0]), min_size=width, max_size=width))
    other = rebuilt(net, order, factors)
    assert same_function(net, other, domain).equal
    *hidden, last = other.layers
    moved = Network([*hidden, Layer(last.weights, np.append(last.bias[:-1], last.bias[-1] + 2.0**-3))], net.n_inputs)
    found = same_function(net, moved, domain)
    assert not found
    assert found.output == net.n_outputs - 1
    assert found.difference == abs(Fraction(moved.layers[-1].bias[-1]) - Fraction(last.bias[-1]))


@given(st.data())
def test_difference_is_the_largest(data: st.DataObject) -> None:
    """Two different networks differ by what is found, exactly, at the point found, and nowhere by more."""
    d = data.draw(st.integers(1, 2))
    a, b = (data.draw(networks(d, max_neurons=3, max_hidden=2)) for _ in range(2))
    domain = data.draw(domains(d))
    show(a, domain)
    show(b, domain)
    if a.n_outputs != b.n_outputs:
        with pytest.raises(ShapeError, match="must have the same numbers of inputs and outputs"):
            same_function(a, b, domain)
        return
    found = same_function(a, b, domain)
    joint = [tuple(t) for t in enumerate_regions(a, domain).witnesses] + [
        tuple(t) for t in enumerate_regions(b, domain).witnesses
    ]
    largest = max(
        max(abs(p - q) for p, q in zip(exact_forward(a, x)[0], exact_forward(b, x)[0], strict=True)) for x in joint
    )
    if found:
        assert largest == found.difference == 0
        return
    assert found.extremum is not None
    assert found.output is not None
    if found.extremum.exact is not None:
        x = found.extremum.certificate.fractions
        assert abs(exact_forward(a, x)[0][found.output] - exact_forward(b, x)[0][found.output]) == found.extremum.exact
        assert all(value(u, x) <= v for u, v in exact_halfspaces(halfspaces(domain, d)))
        assert largest <= found.extremum.exact
    assert found.difference > 0


# --- distances


def nearest_by_cvxpy(net: Network, x: Sequence[float], domain: Domain | None, norm: float) -> float:
    """Return the distance to the boundary by one convex program per region and decision."""
    y = exact_forward(net, x)[0]
    if len(y) == 1:
        forms = [[1.0] if y[0] > 0 else [-1.0]]
    else:
        own = max(range(len(y)), key=lambda k: (y[k], -k))
        eye = np.eye(len(y))
        forms = [(eye[own] - eye[k]).tolist() for k in range(len(y)) if k != own]
    best = math.inf
    for form in forms:
        for rows, a, c in cells(net, domain, form):
            p = cvxpy.Variable(net.n_inputs)
            every = [*rows, (a, -c)]
            A = np.array([r for r, _ in every], dtype=np.float64).reshape(-1, net.n_inputs)
            b = np.array([s for _, s in every], dtype=np.float64)
            problem = cvxpy.Problem(cvxpy.Minimize(cvxpy.norm(p - np.asarray(x), norm)), [A @ p <= b])
            problem.solve(solver=cvxpy.CLARABEL)
            if problem.status in (cvxpy.OPTIMAL, cvxpy.OPTIMAL_INACCURATE):
                best = min(best, problem.value)
    return best


@given(st.data(), st.sampled_from(NORMS))
def test_distance_is_the_smallest(data: st.DataObject, norm: float) -> None:
    """The distance is that of one convex program per region, and the decision changes at the point."""
    net = data.draw(networks(data.draw(st.integers(1, 2)), max_neurons=4, nearly_degenerate=False))
    x = data.draw(points(net.n_inputs, 1))[0]
    domain = data.draw(st.sampled_from([None, Box(-9, 9)]))
    show(net, (domain, x, norm))
    found = distance_to_boundary(net, x, domain, norm)
    expected = nearest_by_cvxpy(net, x, domain, norm)
    if expected == math.inf:
        assert found.distance == math.inf
        return
    assert found.distance == pytest.approx(expected, rel=1e-5, abs=1e-5)
    assert np.linalg.norm(found.point - x, norm) == pytest.approx(found.distance)
    y, size = net(found.point), 1e-7 * (1 + lipschitz_constant(net, domain).value) * (1 + np.abs(found.point).max())
    if net.n_outputs == 1:
        assert (y[0] <= size) if found.target == 0 else (y[0] >= -size)
    else:
        assert y[found.target] >= y[int(np.argmax(net(x)))] - size


def test_nearest_points_are_on_the_boundary_of_a_larger_network() -> None:
    """On a larger network the decision changes just past the point, and not on the way there."""
    net = Network.random([3, 8, 8, 3], seed=7, init="kaiming_normal")
    for x in np.random.default_rng(1).uniform(-1, 1, (2, 3)):
        for norm in NORMS:
            found = distance_to_boundary(net, x, Box(-3, 3), norm)
            own = int(np.argmax(net(x)))
            on_the_way = x + np.linspace(0, 0.999, 50)[:, None] * (found.point - x)
            assert (np.argmax(net(on_the_way), axis=1) == own).all()
            y = net(found.point)
            assert y[found.target] == pytest.approx(y[own], abs=1e-9)
            aimed = distance_to_boundary(net, x, Box(-3, 3), norm, target=found.target)
            assert aimed.distance == pytest.approx(found.distance)
        distances = [distance_to_boundary(net, x, Box(-3, 3), norm).distance for norm in NORMS]
        assert all(far >= near * (1 - 1e-9) for far, near in pairwise(distances))


def test_arguments_of_distance_are_checked() -> None:
    """Points outside, batches, wrong targets raise errors; a constant decision has no boundary."""
    net = Network.random([2, 3, 2], seed=0)
    with pytest.raises(DomainError, match="x must lie in the domain"):
        distance_to_boundary(net, [2.0, 0.0], Box(-1, 1))
    with pytest.raises(ShapeError, match=r"one point of shape \(2,\), got shape \(1, 2\)"):
        distance_to_boundary(net, [[2.0, 0.0]])
    with pytest.raises(ShapeError, match="target must be a class from 0 to 1 other than"):
        distance_to_boundary(net, [2.0, 0.0], target=7)
    with pytest.raises(ShapeError, match="target must be None"):
        distance_to_boundary(Network.random([2, 3, 1], seed=0), [2.0, 0.0], target=0)
    never = Network.mlp([[[1.0]], [[1.0]]], [[0.0], [1.0]])
    assert distance_to_boundary(never, [0.0]).distance == math.inf
    assert distance_to_boundary(never, [0.0]).target == -1

"""Verdicts, against every pattern of small networks in exact arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from tests.checks import show
from tests.oracles.brute_force import exact_forward
from tests.oracles.exact import HalfSpace
from tests.oracles.statements import Statement, input_where, largest_value
from tests.strategies import domains, halfspaces, networks
from tropnet import (
    Box,
    Domain,
    DomainError,
    Layer,
    Network,
    Polytope,
    Property,
    ShapeError,
    Verdict,
    is_monotone,
    same_function,
    verify,
)
from tropnet.properties import AllOf, AnyOf, Inequality, parse_vnnlib, vnnlib_text
from tropnet.properties.formula import Formula, alternatives, as_terms
from tropnet.properties.search import find_input

COEFFICIENTS = st.integers(-2, 2).map(Fraction)
CONSTANTS = st.integers(-4, 4).map(Fraction) | st.fractions(-3, 3, max_denominator=10)


@st.composite
def inequalities(draw: st.DrawFn, d: int, m: int) -> Inequality:
    """Draw a statement about inputs and outputs; many are about outputs alone, as in real properties."""
    b = draw(st.lists(COEFFICIENTS, min_size=m, max_size=m))
    a = draw(st.lists(COEFFICIENTS, min_size=d, max_size=d)) if draw(st.booleans()) else [Fraction(0)] * d
    return Inequality(as_terms(dict(enumerate(a))), as_terms(dict(enumerate(b))), draw(CONSTANTS), draw(st.booleans()))


def formulas(d: int, m: int) -> st.SearchStrategy[Formula]:
    parts = inequalities(d, m)
    return st.recursive(
        parts,
        lambda inner: (
            st.builds(AllOf, st.lists(inner, min_size=1, max_size=2).map(tuple))
            | st.builds(AnyOf, st.lists(inner, min_size=1, max_size=2).map(tuple))
        ),
        max_leaves=4,
    )


def by_all_regions(net: Network, statement: Property) -> bool:
    """Return whether some input breaks a property, by the search that leaves out no cells; it must end."""
    for inputs, formula in statement.cases(net):
        found = find_input(net, inputs, formula, most_alternatives=0)
        assert not found.left
        if found.x is not None:
            assert inputs.holds(found.x)
            assert formula.holds(found.x, exact_forward(net, found.x)[0])
            return True
    return False


def statement(each: Inequality, d: int, m: int) -> Statement:
    a, b = dict(each.inputs), dict(each.outputs)
    return Statement(
        tuple(a.get(i, Fraction(0)) for i in range(d)),
        tuple(b.get(j, Fraction(0)) for j in range(m)),
        each.constant,
        each.strict,
    )


def is_broken(net: Network, sides: Sequence[HalfSpace], formula: Formula) -> bool:
    """Return whether the oracle finds an input for one of the conjunctions."""
    d, m = net.n_inputs, net.n_outputs
    return any(
        input_where(net, sides, [statement(each, d, m) for each in conjunction]) is not None
        for conjunction in alternatives(formula)
    )


def check_counterexample(net: Network, sides: Sequence[HalfSpace], formula: Formula, found: Verdict) -> None:
    """Check a counterexample by the oracle's forward pass and the definition of the formula."""
    assert found.counterexample is not None
    x, y = found.counterexample.x, found.counterexample.y
    assert exact_forward(net, x)[0] == y
    assert formula.holds(x, y)
    assert all(sum(Fraction(t) * s for t, s in zip(a, x, strict=True)) <= Fraction(b) for a, b in sides)
    if found.counterexample.confirmed:
        point, values = (
            tuple(map(Fraction, part.tolist())) for part in (found.counterexample.point, found.counterexample.values)
        )
        assert formula.holds(point, values)


@given(st.data(), st.integers(1, 2))
def test_verdicts_are_exact(data: st.DataObject, d: int) -> None:
    """A property is called violated iff brute force finds an input that breaks it; the counterexample is one."""
    net = data.draw(networks(d, max_neurons=4))
    domain = data.draw(domains(d, bounded=True))
    formula = data.draw(formulas(d, net.n_outputs))
    show(net, (domain, formula))
    sides = halfspaces(domain, d)
    found, expected = verify(net, Property(formula, domain)), is_broken(net, sides, formula)
    assert found.status == ("violated" if expected else "holds")
    assert by_all_regions(net, Property(formula, domain)) is expected
    if found.status == "violated":
        check_counterexample(net, sides, formula, found)


@given(st.data(), st.integers(1, 2))
def test_a_bound_at_the_maximum_decides(data: st.DataObject, d: int) -> None:
    """What touches its bound breaks y >= M and not y > M; beyond M, by however little, nothing breaks."""
    net = data.draw(networks(d, max_neurons=4))
    domain = data.draw(domains(d, bounded=True))
    form = tuple(
        Fraction(t) for t in data.draw(st.lists(st.integers(-2, 2), min_size=net.n_outputs, max_size=net.n_outputs))
    )
    show(net, (domain, form))
    top = largest_value(net, halfspaces(domain, d), form)
    terms = as_terms(dict(enumerate(form)))
    for bound, strict, expected in (
        (top, False, "violated"),
        (top, True, "holds"),
        (top - Fraction(1, 10**30), True, "violated"),
        (top + Fraction(1, 10**30), False, "holds"),
        (
            Fraction(math.nextafter(float(top), -math.inf)),
            False,
            "violated" if math.nextafter(float(top), -math.inf) <= top else None,
        ),
        (
            Fraction(math.nextafter(float(top), math.inf)),
            False,
            "holds" if math.nextafter(float(top), math.inf) > top else None,
        ),
    ):
        assert expected is not None
        found = verify(net, Property(Inequality((), terms, -bound, strict), domain))
        assert found.status == expected, (bound, strict)
        broken = by_all_regions(net, Property(Inequality((), terms, -bound, strict), domain))
        assert broken is (expected == "violated"), (bound, strict)
        if expected == "violated":
            check_counterexample(net, halfspaces(domain, d), Inequality((), terms, -bound, strict), found)


@given(st.data(), st.integers(1, 2))
def test_inputs_may_be_any_rational_set(data: st.DataObject, d: int) -> None:
    """Bounds that are no float64 numbers, fixed inputs and equations are taken as they are."""
    net = data.draw(networks(d, max_neurons=3))
    tenths = st.integers(-20, 20).map(lambda k: Fraction(k, 10))
    parts: list[Formula] = []
    sides: list[HalfSpace] = []
    for i in range(d):
        low = data.draw(tenths)
        high = low + data.draw(st.sampled_from([Fraction(0), Fraction(1, 10), Fraction(7, 3)]))
        parts += [
            Inequality(as_terms({i: 1}), (), -low),
            Inequality(as_terms({i: -1}), (), high),
        ]
        unit = [Fraction(i == k) for k in range(d)]
        sides += [([-t for t in unit], -low), (unit, high)]
    if data.draw(st.booleans()):
        row = data.draw(st.lists(st.integers(-3, 3).map(lambda k: Fraction(k, 3)), min_size=d, max_size=d))
        bound = data.draw(tenths)
        for sign in (1, -1) if data.draw(st.booleans()) else (1,):
            parts.append(Inequality(as_terms({i: sign * t for i, t in enumerate(row)}), (), -sign * bound))
            sides.append(([-sign * t for t in row], -sign * bound))
    formula = AllOf((*parts, data.draw(formulas(d, net.n_outputs))))
    show(net, formula)
    found, expected = verify(net, Property(formula)), is_broken(net, sides, formula)
    assert found.status == ("violated" if expected else "holds")
    assert by_all_regions(net, Property(formula)) is expected
    if found.status == "violated":
        check_counterexample(net, sides, formula, found)


def test_a_segment_whose_ends_are_no_floats() -> None:
    """x_0 + x_1 = 3/10 in a box: the sides become neurons of the engines, which are no part of the regions."""
    net = Network.mlp([[[1.0, -1.0]], [[1.0]]], [[0.0], [0.0]])
    diagonal = [Inequality(as_terms({0: t, 1: t}), (), -t * Fraction(3, 10)) for t in (1, -1)]
    sides = [Inequality(as_terms({0: t}), (), Fraction(1, 10)) for t in (1, -1)]
    # relu(x_0 - x_1) = relu(2 x_0 - 3/10) is 0 on all of it.
    for bound, broken in ((Fraction(0), True), (Fraction(1, 10**30), False)):
        formula = AllOf((*diagonal, *sides, Inequality((), as_terms({0: 1}), -bound)))
        assert verify(net, Property(formula)).status == ("violated" if broken else "holds")
        assert by_all_regions(net, Property(formula)) is broken
    segment = Polytope([[10, 10], [-10, -10], [1, 0], [-1, 0]], [3, -3, 0.7, 0.7])
    assert is_monotone(net, segment, of=0).holds  # alone, no input moves along it


def test_sides_may_be_open() -> None:
    """An input set without its boundary is told from one with it: relu reaches 0 only at the end of [0, 1]."""
    net = Network.mlp([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    upper, zero = Inequality(as_terms({0: -1}), (), Fraction(1)), Inequality((), as_terms({0: -1}), Fraction(0))
    for strict, expected in ((False, "violated"), (True, "holds")):
        lower = Inequality(as_terms({0: 1}), (), Fraction(0), strict)
        assert verify(net, Property(AllOf((lower, upper, zero)))).status == expected


@pytest.mark.parametrize(
    "parts",
    [
        (Inequality(as_terms({0: 1}), (), Fraction(-1)), Inequality(as_terms({0: -1}), (), Fraction(0))),
        (
            Inequality(as_terms({0: 1, 1: 1}), (), Fraction(-3)),
            *(Inequality(as_terms({i: -1}), (), Fraction(1)) for i in (0, 1)),
        ),
        (Inequality((), (), Fraction(-1)),),
    ],
    ids=["bounds", "rows", "constant"],
)
def test_contradictory_inputs_are_a_verdict(parts: tuple[Inequality, ...]) -> None:
    """Where no input satisfies what is said of inputs alone, nothing breaks the property, and no region is visited."""
    net = Network.random([2, 3, 1], seed=0)
    found = verify(net, Property(AllOf(parts)))
    assert (found.status, found.n_regions) == ("holds", 0)


@pytest.mark.parametrize(
    "domain",
    [Polytope([[1.0, 0.0], [-1.0, 0.0]], [0.0, -1.0]), Polytope([[1.0, 1.0], [-1.0, -1.0]], [0.0, -1.0])],
    ids=["bounds", "rows"],
)
def test_an_empty_domain_is_a_verdict(domain: Polytope) -> None:
    """So it is where a polytope turns out to be empty; it is written as the contradiction that it is."""
    net = Network.random([2, 3, 1], seed=0)
    statement = Property.unsafe(domain, [[0]], [1])
    assert verify(net, statement).status == "holds"
    assert verify(net, parse_vnnlib(vnnlib_text(statement, 2, 1))).status == "holds"


@pytest.mark.parametrize("size", [10**1000, Fraction(1, 10**1000)], ids=["huge", "tiny"])
def test_numbers_beyond_float64(size: Fraction) -> None:
    """Bounds and coefficients that float64 does not hold are taken as they are."""
    net = Network.mlp([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    sides = [Inequality(as_terms({0: 1}), (), size), Inequality(as_terms({0: -1}), (), size)]
    for factor in (Fraction(1), Fraction(size)):
        touch = Inequality((), as_terms({0: factor}), -factor * size)
        assert verify(net, Property(AllOf((*sides, touch)))).status == "violated"
        beyond = Inequality((), as_terms({0: factor}), -factor * size, strict=True)
        assert verify(net, Property(AllOf((*sides, beyond)))).status == "holds"


def test_a_second_network_may_be_sparse() -> None:
    """Networks of sparse weights are compared as dense ones are."""
    net = Network.random([2, 3, 1], seed=0)
    layers = [Layer({k: csr_array(w) for k, w in each.weights.items()}, each.bias, each.slopes) for each in net.layers]
    assert verify(Network(layers, 2), Property.close_to(Network(layers, 2), Box(-1, 1), 0)).status == "holds"


def test_unbounded_inputs() -> None:
    """A property on all of R^d is decided, too."""
    net = Network.mlp([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    assert verify(net, Property.always(None, [[1]], [0])).status == "holds"
    found = verify(net, Property.always(None, [[-1]], [10**6]))
    assert found.counterexample is not None
    assert found.counterexample.y[0] > 10**6


def test_many_disjunctions_do_not_explode() -> None:
    """Sixty disjunctions of two, 2^60 conjunctions, are decided in one enumeration; contradictory boxes are dropped."""
    net = Network.random([2, 4, 1], seed=1)
    output = AnyOf(tuple(Inequality((), as_terms({0: t}), Fraction(-100)) for t in (1, -1)))
    outputs = AllOf(
        tuple(
            AnyOf((*output.parts, Inequality((), as_terms({0: k + 2}), Fraction(-1000 * k - 1000)))) for k in range(60)
        )
    )
    assert verify(net, Property(outputs, Box(-1, 1))).status == "holds"
    same = AllOf(
        tuple(
            AnyOf(
                (
                    Inequality(as_terms({0: 1}), (), Fraction(-2 - k)),
                    AllOf(
                        (
                            Inequality(as_terms({0: -1}), (), Fraction(-2 - k)),
                            Inequality((), as_terms({0: 1}), Fraction(0)),
                        )
                    ),
                )
            )
            for k in range(60)
        )
    )
    found = verify(net, Property(same, Box(-1, 1)))
    assert (found.status, found.n_cases) == ("holds", 0)


# --- from Python


@given(st.data())
def test_the_class_is_that_of_the_first_largest_output(data: st.DataObject) -> None:
    """A class holds everywhere iff no output before it is as large and none behind it larger, at any input."""
    net = data.draw(networks(2, max_neurons=4))
    domain = data.draw(domains(2, bounded=True))
    m = net.n_outputs
    label = data.draw(st.integers(0, m - 1))
    sides = halfspaces(domain, 2)
    others = [
        Statement(
            (Fraction(0),) * 2, tuple(Fraction((j == k) - (j == label)) for j in range(m)), Fraction(0), k > label
        )
        for k in range(m)
        if k != label
    ]
    expected = any(input_where(net, sides, [each]) is not None for each in others)
    assert verify(net, Property.class_everywhere(domain, label, m)).holds is not expected


@given(st.data())
def test_close_networks(data: st.DataObject) -> None:
    """Two networks are within the exact largest difference of each other, and not within any less."""
    net = data.draw(networks(2, max_neurons=3))
    noise = np.random.default_rng(0)
    last = net.layers[-1]
    other = Network(
        [*net.hidden, type(last)(last.weights, last.bias + noise.integers(0, 2, last.width) / 4, last.slopes)], 2
    )
    other = Network([*other.hidden, other.layers[-1]], 2)
    far = same_function(net, other, Box(-1, 1))
    difference = Fraction(0) if far.extremum is None else far.extremum.exact
    assert difference is not None
    assert verify(net, Property.close_to(other, Box(-1, 1), difference)).status == "holds"
    if difference:
        found = verify(net, Property.close_to(other, Box(-1, 1), difference - Fraction(1, 10**20)))
        assert found.status == "violated"
        assert found.counterexample is not None
        x = found.counterexample.x
        pairs = zip(exact_forward(net, x)[0], exact_forward(other, x)[0], strict=True)
        assert max(abs(a - b) for a, b in pairs) > difference - Fraction(1, 10**20)


@given(st.data(), st.integers(1, 2), st.booleans())
def test_monotone_outputs(data: st.DataObject, d: int, decreasing: bool) -> None:
    """A violated verdict carries two inputs in the wrong order; where it holds, no pair of sampled inputs is."""
    net = data.draw(networks(d, max_neurons=5))
    domain: Domain = data.draw(domains(d, bounded=True)) or Box(-1, 1)
    of, output = data.draw(st.integers(0, d - 1)), data.draw(st.integers(0, net.n_outputs - 1))
    show(net, (domain, of, output))
    found = is_monotone(net, domain, of, output, decreasing=decreasing)
    way = -1 if decreasing else 1
    sides = halfspaces(domain, d)
    if found.status == "violated":
        assert found.counterexample is not None
        assert found.partner is not None
        first, second = found.counterexample, found.partner
        assert [i for i in range(d) if first.x[i] != second.x[i]] == [of]
        assert first.x[of] < second.x[of]
        for each in (first, second):
            assert exact_forward(net, each.x)[0] == each.y
            assert all(sum(Fraction(t) * s for t, s in zip(a, each.x, strict=True)) <= Fraction(b) for a, b in sides)
        assert (second.y[output] - first.y[output]) * way < 0
        return
    assert found.status == "holds"
    rng = np.random.default_rng(0)
    points = rng.uniform(-4, 4, (200, d))
    points = points[domain.contains(points)]
    moved = points.copy()
    moved[:, of] += 0.25
    for x, end in zip(points[domain.contains(moved)].tolist(), moved[domain.contains(moved)].tolist(), strict=True):
        assert (exact_forward(net, end)[0][output] - exact_forward(net, x)[0][output]) * way >= 0


def test_a_fixed_input_is_monotone() -> None:
    """Where the domain fixes an input, nothing moves along it; others may."""
    net = Network.mlp([[[-1.0, 1.0]], [[1.0]]], [[3.0], [0.0]])
    assert is_monotone(net, Box([0, -1], [0, 1]), of=0).holds
    assert is_monotone(net, Box([0, -1], [0, 1]), of=1).holds
    assert is_monotone(net, Box([0, -1], [1, -1]), of=0).holds is False
    diagonal = Polytope([[1, 1], [-1, -1], [1, 0], [-1, 0]], [0, 0, 1, 1])
    assert is_monotone(net, diagonal, of=0).holds


# --- limits and bad input


def test_no_time_is_unknown() -> None:
    """With no time nothing is decided, and what is left is said; a verdict is no truth value."""
    net = Network.random([4, 30, 30, 1], seed=0)
    found = verify(net, Property.always(Box(-1, 1), [[-1]], [1000]), time_limit=0)
    assert (found.status, found.holds, found.counterexample) == ("unknown", None, None)
    assert found.reason == "time ran out"
    assert [each.left for each in found.remaining] == [1.0]
    with pytest.raises(TypeError, match="may be unknown"):
        bool(found)


def test_why_a_verdict_is_unknown() -> None:
    """With a limit, many inputs are only tried at random points: the verdict does not say that time ran out."""
    found = verify(Network.random([129, 4, 1], seed=0), Property.always(Box(-1, 1), [[-1]], [3]), time_limit=60)
    assert (found.status, found.n_regions, found.remaining[0].left) == ("unknown", 0, 1.0)
    assert found.reason == "with a time limit, so many inputs are only tried at random points"
    assert found.reason in repr(found)


def test_workers_find_the_same_verdicts() -> None:
    """Two threads decide as one."""
    net = Network.random([3, 16, 16, 2], seed=2)
    for bound in (0.2, 0.5, 5.0):
        statement = Property.always(Box(-1, 1), [[-1, 1]], [bound])
        assert verify(net, statement, workers=2).status == verify(net, statement).status


NET = Network.random([2, 3, 2], seed=0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: verify(NET, "prop.vnnlib"), TypeError, r"must be a tropnet.Property, got str.*read_vnnlib"),
        (lambda: verify(NET, Property.unsafe(None, [[1, 0, 0]], [0])), ShapeError, "Y_2 is none of them"),
        (lambda: verify(NET, Property.unsafe(None, [[1]], [0])), ShapeError, "Y_1 is missing"),
        (lambda: verify(NET, Property.unsafe(Box([0] * 3, [1] * 3), [[1, 0]], [0])), DomainError, "input dimension 2"),
        (
            lambda: verify(NET, Property(Inequality(as_terms({4: 1}), (), Fraction(0)))),
            ShapeError,
            "names x_4, and Network.* has the inputs x_0 to x_1",
        ),
        (lambda: verify(NET, Property.unsafe(None, [[1, 0]], [0]), time_limit=-1), ValueError, "time_limit must be"),
        (lambda: verify(NET, Property.unsafe(None, [[1, 0]], [0]), workers=0), ValueError, "workers must be"),
        (lambda: Property.unsafe(None, [1, 0], [0]), ShapeError, r"C and d must have shapes"),
        (lambda: Property.unsafe(None, [[1, math.inf]], [0]), ValueError, "C must be finite numbers"),
        (lambda: Property.class_everywhere(None, 2, 2), ShapeError, "0 to 1, got 2"),
        (lambda: Property.close_to(NET, None, -1), ValueError, "epsilon must be at least 0"),
        (lambda: is_monotone(NET, None, 2), ShapeError, "of must be an index from 0 to 1"),
        (lambda: is_monotone(NET, None, 0, True), ShapeError, "output must be an index"),
    ],
)
def test_bad_input_gets_one_line(call, error: type[Exception], message: str) -> None:  # type: ignore[no-untyped-def]
    """What does not fit is refused, with what was required and what came."""
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("digits", ["0.9786907366258517813", "0.1234567890123456789", "0.5000000000000000003"])
def test_decimals_of_nineteen_digits_are_exact(digits: str) -> None:
    """Denominators beyond 2^63: the bound of the input is reached, and anything above it is not."""
    net = Network.mlp([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    text = "(declare-const X_0 Real)(declare-const Y_0 Real)(assert (>= X_0 0))(assert (<= X_0 {}))(assert ({} Y_0 {}))"
    assert verify(net, parse_vnnlib(text.format(digits, ">=", digits))).status == "violated"
    assert verify(net, parse_vnnlib(text.format(digits, ">", digits))).status == "holds"

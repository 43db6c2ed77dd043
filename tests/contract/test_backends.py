"""All feasibility backends: standard problems with known answers, proofs checked twice, and the laws of the stack."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import lcm
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.checks import as_halfspaces, multipliers_are_a_proof, strictly_inside
from tests.oracles.exact import Number, rationals
from tests.oracles.fourier_motzkin import has_interior
from tests.strategies import systems
from tropnet import Tolerances
from tropnet.arrays.types import FloatArray, IntegerArray
from tropnet.exact.certificates import multipliers_prove_empty, witness_is_inside
from tropnet.feasibility import Answer, Backend, Cascade, Feasible, Infeasible, Undecided, make_backend
from tropnet.feasibility.convex import CvxpyBackend
from tropnet.feasibility.exact import ExactBackend
from tropnet.feasibility.floating import FloatingBackend, Proposal
from tropnet.feasibility.highs import HighsBackend

N = settings().max_examples
BACKENDS = ["highs", "cvxpy", "exact"]
FAST_BACKENDS = ["highs", "exact"]


class Problem(NamedTuple):
    """Rows (a | c), each meaning a x + c > 0, and whether they leave interior."""

    dimension: int
    rows: Sequence[Sequence[Number]]
    non_empty: bool


def box(d: int, low: Number, high: Number) -> list[list[Number]]:
    """Return the rows of low < x < high."""
    sides: list[list[Number]] = []
    for i in range(d):
        unit = [int(i == j) for j in range(d)]
        sides += [[*unit, -low], [*(-u for u in unit), high]]
    return sides


def simplex(d: int, size: Number) -> list[list[Number]]:
    """Return the rows of x > 0, sum x < size."""
    return [*([int(i == j) for j in range(d)] + [0] for i in range(d)), [-1] * d + [size]]


def shell(n: int, angle: float, radius: float) -> list[list[float]]:
    """Return `n` tangents of the circle, on the inside."""
    turns = np.linspace(angle, angle + 2 * np.pi, n, endpoint=False)
    return [[-np.cos(t), -np.sin(t), radius] for t in turns]


TINY = Fraction(1, 10**13)
PROBLEMS = {
    # Bounded.
    "no rows": Problem(2, [], True),
    "segment": Problem(1, box(1, -1, 1), True),
    "square": Problem(2, box(2, -1, 1), True),
    "simplex": Problem(3, simplex(3, 1), True),
    "polygon of 40 sides": Problem(2, shell(40, 0.1, 1.0), True),
    "square far out": Problem(2, box(2, 10**9, 10**9 + 1), True),
    "the same row 30 times": Problem(1, [*[[1, 0]] * 30, [-1, 1]], True),
    # Unbounded.
    "half-line": Problem(1, [[1, -5]], True),
    "half-plane": Problem(2, [[1, 1, -5]], True),
    "strip": Problem(2, [[1, 1, 0], [-1, -1, 1]], True),
    "wedge": Problem(2, [[1, 0, 0], [-1, 1, 0]], True),
    "octant": Problem(3, [[1, 0, 0, -1], [0, 1, 0, -1], [0, 0, 1, -1]], True),
    "slab in four dimensions": Problem(4, [[1, 2, 3, 4, 0], [-1, -2, -3, -4, 1]], True),
    "narrow cone": Problem(2, [[1, 0, 0], [-(10**9), 1, 0], [10**9 + 1, -1, 0]], True),
    # The closed cell is a point or a slice: no interior.
    "a point of the line": Problem(1, [[1, 0], [-1, 0]], False),
    "a point by decimals": Problem(1, [[0.1, 0.2], [-0.1, -0.2]], False),
    "the origin": Problem(2, [[1, 0, 0], [0, 1, 0], [-1, -1, 0]], False),
    "the simplex of size 0": Problem(4, simplex(4, 0), False),
    "a line": Problem(2, [[1, 1, -1], [-1, -1, 1]], False),
    "a side of the square": Problem(2, [*box(2, 0, 1), [-1, 0, 0]], False),
    "a corner of the cube": Problem(3, [*box(3, 0, 1), [1, 1, 1, -3]], False),
    "a slice at two scales": Problem(2, [[1e200, 3e200, 0], [-1e200, -3e200, 0], [1e-200, 0, 0]], False),
    # Nothing, not even closed.
    "x > 1 and x < 0": Problem(1, [[1, -1], [-1, 0]], False),
    "parallel half-planes": Problem(2, [[1, 2, -1], [-2, -4, 1]], False),
    "below 0 in the square": Problem(3, [*box(3, 0, 1), [-1, -1, -1, -1]], False),
    "empty, any three not": Problem(3, [[1, 0, 0, -1], [0, 1, 0, -1], [0, 0, 1, -1], [-1, -1, -1, 2]], False),
    "empty by a hair": Problem(1, [[1, -1 - TINY], [-1, 1]], False),
    "simplex of negative size": Problem(4, simplex(4, -TINY), False),
    # Thinner than any tolerance, float64 points inside.
    "sliver at 0": Problem(1, box(1, 0, TINY), True),
    "sliver at 1": Problem(1, [[1, -1], [-1, 1 + TINY]], True),
    "sliver of a strip": Problem(2, [[1, 1, 0], [-1, -1, TINY]], True),
    "slanted sliver": Problem(2, [[0.1, 0.2, -0.3], [-0.1, -0.2, 0.3 + 1e-14]], True),
    "sliver of a simplex": Problem(3, simplex(3, TINY), True),
    "sliver of a wedge": Problem(2, [[1, 1, 0], [-1, -1 + 2.0**-52, 0], [0, -1, 1]], True),
    "smallest square": Problem(2, box(2, -5e-324, 5e-324), True),
    # No float64 point inside.
    "between two floats": Problem(1, box(1, 1, 1 + Fraction(1, 2**52)), True),
    "between a third and its float": Problem(1, [[-3, 1], [1, -(1 / 3)]], True),
    "between 0 and the smallest float": Problem(1, box(1, 0, 5e-324), True),
    "between two floats in the plane": Problem(2, box(2, 1, 1 + Fraction(1, 2**52)), True),
    "beyond the largest float": Problem(1, [[1e-200, -1e200]], True),
    "beyond the smallest float": Problem(2, [[-1e-200, 0, -1e200], [0, 1, 0]], True),
    # Badly scaled.
    "tiny rows": Problem(2, [[1e-200, 0, 1e-200], [0, 1e-200, 1e-200], [-1e-200, -1e-200, 1e-200]], True),
    "huge rows": Problem(2, [[1e200, 0, 1e200], [0, 1e200, 1e200], [-1e200, -1e200, 1e200]], True),
    "tiny against huge": Problem(1, [[1e-200, -1e-200], [-1e200, 2e200]], True),
    "tiny against huge, empty": Problem(1, [[1e-200, -2e-200], [-1e200, 1e200]], False),
    "tiny coefficient": Problem(2, [[1e-200, 1, 0], [1, -1, 0], [-1, -1, 1]], True),
    "tiny coefficient decides": Problem(2, [[0, -1, 0], [1e-200, 1, 0]], True),
    "tiny coefficient decides, empty": Problem(2, [[0, -1, 0], [1e-200, 1, 0], [-1, 0, 0]], False),
    "huge constant": Problem(1, [[1, 1e200], [-1, 1]], True),
    "a cell far out": Problem(1, [[1, -1e200], [-1, 2e200]], True),
    "empty far out": Problem(1, [[1, -1e200], [-1, 1e200]], False),
    "subnormal": Problem(1, [[5e-324, -5e-324], [-5e-324, 1e-323]], True),
}  # fmt: skip
WITHOUT_FLOATS = {name for name in PROBLEMS if "between" in name or name.startswith("beyond")}


def integers(rows: Sequence[Sequence[Number]]) -> list[IntegerArray]:
    """Return the rows as backends take them: each multiplied by its common denominator."""
    out = []
    for row in map(rationals, rows):
        scale = lcm(*(x.denominator for x in row))
        out.append(np.array([int(scale * x) for x in row], dtype=object))
    return out


def check_answer(answer: Answer, rows: Sequence[IntegerArray], *, non_empty: bool) -> None:
    """Check that the answer is the right one and its proof holds, by the library's check and by another one."""
    plain = [row.tolist() for row in rows]
    if non_empty:
        assert isinstance(answer, Feasible), answer
        assert witness_is_inside(rows, answer.witness)
        assert strictly_inside(as_halfspaces(plain), answer.witness.fractions)
        assert answer.witness.homogeneous[-1] > 0
    else:
        assert isinstance(answer, Infeasible), answer
        assert multipliers_prove_empty(rows, answer.multipliers)
        assert multipliers_are_a_proof(plain, answer.multipliers)
        assert all(type(y) is int for y in answer.multipliers.values())


def loaded(backend: Backend, rows: Sequence[IntegerArray]) -> Backend:
    """Return the backend with the rows on its stack."""
    for row in rows:
        backend.push(row)
    assert backend.n_rows == len(rows)
    return backend


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_oracle_confirms_the_standard_answers(name: str) -> None:
    """What the table says of a problem is true by Fourier-Motzkin elimination."""
    problem = PROBLEMS[name]
    assert has_interior((rationals([-a for a in row[:-1]]), row[-1]) for row in problem.rows) == problem.non_empty


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_standard_problems(backend: str, name: str) -> None:
    """Every backend gives the right answer with a proof, also where float64 alone could not."""
    problem = PROBLEMS[name]
    rows = integers(problem.rows)
    answer = loaded(make_backend(backend, problem.dimension, Tolerances()), rows).decide()
    check_answer(answer, rows, non_empty=problem.non_empty)
    if name in WITHOUT_FLOATS:
        assert isinstance(answer, Feasible)
        assert not answer.witness.is_float


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("kind", [HighsBackend, CvxpyBackend])
@pytest.mark.parametrize("pivots", [0, 100_000])
def test_a_floating_backend_alone_never_lies(kind: type[Backend], name: str, pivots: int) -> None:
    """Without the exact backend behind it a floating-point backend may be undecided, but is never wrong."""
    problem = PROBLEMS[name]
    rows = integers(problem.rows)
    answer = loaded(kind(problem.dimension, Tolerances(exact_pivots=pivots)), rows).decide()
    if isinstance(answer, Undecided):
        assert answer.reason
    else:
        check_answer(answer, rows, non_empty=problem.non_empty)


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("backend", FAST_BACKENDS)
def test_the_order_and_the_scale_of_rows_do_not_matter(backend: str, name: str) -> None:
    """Rows in another order, each multiplied by a positive integer, have the same answer."""
    problem = PROBLEMS[name]
    rows = [(10**40 if i % 2 else 3) * row for i, row in enumerate(integers(problem.rows))][::-1]
    answer = loaded(make_backend(backend, problem.dimension, Tolerances()), rows).decide()
    check_answer(answer, rows, non_empty=problem.non_empty)


@pytest.mark.parametrize("backend", BACKENDS)
def test_dropping_rows_restores_the_answer(backend: str) -> None:
    """One stack goes through all problems of a dimension on top of a square; below them the answer stays the same."""
    stack = make_backend(backend, 2, Tolerances())
    below = integers(box(2, -2, 2))
    loaded(stack, below)
    for problem in PROBLEMS.values():
        if problem.dimension != 2:
            continue
        rows = integers(problem.rows)
        for row in rows:
            stack.push(row)
        both = [*below, *rows]
        check_answer(stack.decide(), both, non_empty=has_interior(as_halfspaces(row.tolist() for row in both)))
        stack.truncate(len(below))
        assert stack.n_rows == len(below)
        check_answer(stack.decide(), below, non_empty=True)
    stack.truncate(0)
    check_answer(stack.decide(), [], non_empty=True)


@pytest.mark.parametrize("dimension", [1, 2, 3, 4])
@pytest.mark.parametrize("backend", FAST_BACKENDS)
@settings(max_examples=3 * N)
@given(data=st.data())
def test_random_systems(backend: str, dimension: int, data: st.DataObject) -> None:
    """The answer for random integer systems is that of Fourier-Motzkin elimination, with a proof."""
    plain = data.draw(systems(dimension))
    rows = integers(plain)
    answer = loaded(make_backend(backend, dimension, Tolerances()), rows).decide()
    check_answer(answer, rows, non_empty=has_interior(as_halfspaces(plain)))


@settings(max_examples=N // 3)
@given(data=st.data(), dimension=st.integers(1, 4))
def test_random_systems_over_cvxpy(data: st.DataObject, dimension: int) -> None:
    """The answer of the cvxpy backend for random integer systems is that of Fourier-Motzkin elimination."""
    plain = data.draw(systems(dimension))
    rows = integers(plain)
    answer = loaded(make_backend("cvxpy", dimension, Tolerances()), rows).decide()
    check_answer(answer, rows, non_empty=has_interior(as_halfspaces(plain)))


@pytest.mark.parametrize("backend", FAST_BACKENDS)
@settings(max_examples=N)
@given(data=st.data(), dimension=st.integers(1, 3))
def test_an_answer_depends_on_the_rows_on_the_stack_only(backend: str, data: st.DataObject, dimension: int) -> None:
    """Through any history of pushes and truncations, every answer is right for the rows on the stack."""
    stack = make_backend(backend, dimension, Tolerances())
    now: list[IntegerArray] = []
    for _ in range(data.draw(st.integers(1, 6))):
        kept = data.draw(st.integers(0, len(now)))
        stack.truncate(kept)
        del now[kept:]
        for row in integers(data.draw(systems(dimension))):
            stack.push(row)
            now.append(row)
        assert stack.n_rows == len(now)
        check_answer(stack.decide(), now, non_empty=has_interior(as_halfspaces(row.tolist() for row in now)))


@settings(max_examples=N)
@given(data=st.data(), dimension=st.integers(1, 3), pivots=st.integers(0, 8))
def test_a_bounded_exact_backend_is_right_or_undecided(data: st.DataObject, dimension: int, pivots: int) -> None:
    """With few pivots the exact backend gives up and says so; it never guesses."""
    plain = data.draw(systems(dimension))
    rows = integers(plain)
    answer = loaded(ExactBackend(dimension, Tolerances(exact_pivots=pivots)), rows).decide()
    if isinstance(answer, Undecided):
        assert "exact_pivots" in answer.reason
    else:
        assert pivots > 0
        check_answer(answer, rows, non_empty=has_interior(as_halfspaces(plain)))


class LyingBackend(FloatingBackend):
    """A floating-point backend whose solver returns whatever it was told to."""

    proposal: Proposal | str

    def _solve(self, rows: FloatArray) -> Proposal | str:  # noqa: ARG002 - a liar does not look
        return self.proposal


@settings(max_examples=5 * N)
@given(data=st.data(), dimension=st.integers(1, 3))
def test_a_solver_is_never_believed(data: st.DataObject, dimension: int) -> None:
    """Whatever point, slack and duals a solver proposes, the answer is right or undecided, and settled behind it."""
    plain = data.draw(systems(dimension))
    rows = integers(plain)
    # Small integers lie on hyperplanes, where a witness must not be; the rest should not come from a solver at all.
    number = st.integers(-3, 3).map(float) | st.sampled_from([0.5, 1e-300, 1e99, 1e101, 1e308, np.inf, np.nan])
    point = data.draw(st.lists(number, min_size=dimension, max_size=dimension))
    duals = data.draw(
        st.lists(st.sampled_from([0.0, 0.0, 1.0, 1e-12, np.inf, np.nan]), min_size=len(rows), max_size=len(rows))
    )
    proposal = Proposal(
        np.array(point), data.draw(st.sampled_from([1.0, 1e-8, 0.0, -1.0, np.inf, np.nan])), np.array(duals)
    )
    liar = LyingBackend(dimension, Tolerances())
    liar.proposal = data.draw(st.sampled_from([proposal, "the solver stopped"]))
    non_empty = has_interior(as_halfspaces(plain))
    answer = loaded(liar, rows).decide()
    if not isinstance(answer, Undecided):
        check_answer(answer, rows, non_empty=non_empty)
    liar.truncate(0)
    check_answer(loaded(Cascade(liar, ExactBackend(dimension, Tolerances())), rows).decide(), rows, non_empty=non_empty)


@pytest.mark.parametrize(("name", "expected"), [("highs", 1), ("cvxpy", 1), ("exact", 0)])
def test_the_decisions_left_to_exact_arithmetic_are_counted(name: str, expected: int) -> None:
    """`n_settled` counts what floating point left undecided: not a square, but a cell between two floats."""
    backend = loaded(make_backend(name, 1, Tolerances()), integers(box(1, -1, 1)))
    backend.decide()
    assert backend.n_settled == 0
    loaded_rows = integers(PROBLEMS["between two floats"].rows)
    backend.truncate(0)
    loaded(backend, loaded_rows).decide()
    assert backend.n_settled == expected


def test_the_checks_refuse_what_is_no_proof() -> None:
    """Multipliers that are negative, all zero, do not cancel or leave a positive constant prove nothing."""
    rows = integers([[1, 0], [-1, 0], [1, 1], [-1, -2]])
    proofs = [{0: 1, 1: 1}, {0: 1, 3: 1}, {0: 2, 1: 2, 2: 0}, {1: 3, 0: 3}]
    no_proofs = [{}, {0: 0}, {0: 1}, {0: 1, 1: 2}, {0: -1, 1: -1}, {2: 1, 1: 1}, {0: 1, 1: 1, 2: -1, 3: -1}]
    plain = [row.tolist() for row in rows]
    for multipliers in proofs:
        assert multipliers_prove_empty(rows, multipliers)
        assert multipliers_are_a_proof(plain, multipliers)
    for multipliers in no_proofs:
        assert not multipliers_prove_empty(rows, multipliers)
        assert not multipliers_are_a_proof(plain, multipliers)

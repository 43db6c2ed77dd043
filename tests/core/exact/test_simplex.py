"""The integer dictionary and the programs solved on it, against Fourier-Motzkin elimination."""

from fractions import Fraction

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.oracles.fourier_motzkin import has_interior
from tests.strategies import systems
from tropnet.exact.linear_programs import maximise
from tropnet.exact.simplex import Dictionary
from tropnet.feasibility import Feasible, Infeasible, Undecided
from tropnet.feasibility.exact import solve_exactly


def integers(rows):
    return np.array(rows, dtype=object)


def value(row, point):
    """Return a x + c."""
    return sum((a * x for a, x in zip(row, [*point, 1], strict=True)), Fraction(0))


@given(st.data())
def test_a_dictionary_says_the_same_after_any_pivots(data):
    """Whatever is exchanged, values of all variables that satisfied the first dictionary satisfy it; det stays > 0."""
    m, d = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    entry = data.draw(st.sampled_from([st.integers(-3, 3), st.integers(-(10**30), 10**30)]))
    row = st.lists(entry, min_size=d + 1, max_size=d + 1)
    table = data.draw(st.lists(row, min_size=m, max_size=m))
    dictionary = Dictionary(integers(table), list(range(m)), [-1 - j for j in range(d)])
    x = data.draw(st.lists(st.fractions(-9, 9, max_denominator=9), min_size=d, max_size=d))
    values = {-1 - j: x[j] for j in range(d)} | {i: value(table[i], x) for i in range(m)}
    for _ in range(data.draw(st.integers(0, 5))):
        r, c = data.draw(st.integers(0, m - 1)), data.draw(st.integers(0, d - 1))
        if dictionary.table[r, c]:
            dictionary.pivot(r, c)
        assert sorted([*dictionary.basis, *dictionary.cobasis]) == list(range(-d, m))
        assert dictionary.det > 0
        for name, entries in zip(dictionary.basis, dictionary.table.tolist(), strict=True):
            assert dictionary.det * values[name] == value(entries, [values[other] for other in dictionary.cobasis])


@given(st.integers(1, 3).flatmap(systems), st.data())
def test_a_maximum_is_attained_and_nothing_lies_beyond(rows, data):
    """The point is feasible and has the value, beyond which no interior is left; or a ray leads on for ever."""
    d = len(rows[0]) - 1
    start = solve_exactly(list(integers(rows)), d, 1000, central=data.draw(st.booleans()))
    assume(isinstance(start, Feasible))
    objective = data.draw(st.lists(st.integers(-3, 3), min_size=d + 1, max_size=d + 1))
    found = maximise(integers(rows), start.witness, integers(objective))
    point = found.point.fractions
    assert min(value(row, point) for row in rows) >= 0
    if found.ray:
        assert min(value((*row[:-1], 0), found.ray) for row in rows) >= 0
        assert value([*objective[:-1], 0], found.ray) > 0
    else:
        assert value(objective, point) == found.value
        beyond = [*rows, (*objective[:-1], objective[-1] - found.value)]
        assert not has_interior([([-a for a in normal], c) for *normal, c in beyond])


@given(st.integers(1, 3).flatmap(systems))
def test_more_pivots_only_decide_more(rows):
    """Every limit gives the right answer or none; enough pivots give one, and no pivots none."""
    d = len(rows[0]) - 1
    expected = has_interior([([-a for a in normal], c) for *normal, c in rows])
    answers = [solve_exactly(list(integers(rows)), d, limit, central=True) for limit in range(40)]
    decided = [not isinstance(answer, Undecided) for answer in answers]
    assert decided == sorted(decided)
    assert not decided[0]
    assert decided[-1]
    assert {type(answer) for answer, known in zip(answers, decided, strict=True) if known} == {
        Feasible if expected else Infeasible
    }

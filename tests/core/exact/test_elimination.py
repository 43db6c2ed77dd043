"""Elimination over the integers against Gauss-Jordan elimination over the rationals and Leibniz's formula."""

from fractions import Fraction
from itertools import permutations
from math import prod

from hypothesis import given
from hypothesis import strategies as st

from tropnet.exact.elimination import Echelon, determinant, independent, null_vector, rank, solve


def reduced_over_the_rationals(rows):
    """Return the non-zero rows of the reduced row echelon form."""
    left, done = [list(map(Fraction, row)) for row in rows], []
    for column in range(len(rows[0]) if rows else 0):
        pivot = next((row for row in left if row[column]), None)
        if pivot is None:
            continue
        left.remove(pivot)
        pivot = [value / pivot[column] for value in pivot]
        left, done = (
            [[a - row[column] * b for a, b in zip(row, pivot, strict=True)] for row in part] for part in (left, done)
        )
        done.append(pivot)
    return done


def leibniz(matrix):
    """Return the sum over permutations."""
    n = len(matrix)
    inversions = {p: sum(p[i] > p[j] for i in range(n) for j in range(i, n)) for p in permutations(range(n))}
    return sum((-1) ** count * prod(matrix[i][p[i]] for i in range(n)) for p, count in inversions.items())


@st.composite
def matrices(draw, *, is_square=False):
    """Draw integer matrices: small entries, huge ones, combinations of other rows."""
    n = draw(st.integers(0, 5))
    m = n if is_square else draw(st.integers(1, 5))
    entry = draw(st.sampled_from([st.integers(-2, 2), st.integers(-(10**40), 10**40)]))
    rows = [draw(st.lists(entry, min_size=m, max_size=m)) for _ in range(n)]
    for i in range(1, n):
        if draw(st.booleans()):
            factors = draw(st.lists(st.integers(-3, 3), min_size=i, max_size=i))
            rows[i] = [sum(f * row[k] for f, row in zip(factors, rows, strict=False)) for k in range(m)]
    return rows


@given(matrices())
def test_ranks_and_bases_are_exact(rows):
    """A vector is chosen iff it adds to the rank of those before it, and the rank is that over the rationals."""
    ranks = [len(reduced_over_the_rationals(rows[: i + 1])) for i in range(len(rows))]
    assert rank(rows) == (ranks[-1] if rows else 0)
    chosen = [i for i, (one, before) in enumerate(zip(ranks, [0, *ranks], strict=False)) if one > before]
    assert independent(rows, len(rows[0]) if rows else 3) == chosen


@given(matrices())
def test_rows_in_echelon_form_hold_minors(rows):
    """Row k vanishes on the leads before its own, and its lead is the minor of the first k + 1 independent rows."""
    echelon = Echelon(len(rows[0]) if rows else 1)
    kept = [row for row in rows if echelon.add(row)]
    assert echelon.rank == len(kept)
    for k, (row, lead) in enumerate(zip(echelon.rows, echelon.leads, strict=True)):
        assert [row[other] for other in echelon.leads[:k]] == [0] * k
        assert row[lead] == leibniz([[given[c] for c in echelon.leads[: k + 1]] for given in kept[: k + 1]]) != 0


@given(matrices(is_square=True))
def test_determinants_are_those_of_leibniz(matrix):
    """Singular and empty matrices included."""
    assert determinant(matrix) == leibniz(matrix)


@given(matrices(is_square=True), st.data())
def test_a_solution_solves_and_there_is_none_iff_the_matrix_is_singular(matrix, data):
    """Every equation holds exactly; a singular system is refused, solvable or not."""
    n = len(matrix)
    right = data.draw(st.lists(st.integers(-(10**20), 10**20), min_size=n, max_size=n))
    found = solve(matrix, right)
    if leibniz(matrix) == 0:
        assert found is None
    else:
        assert [sum(a * x for a, x in zip(row, found, strict=True)) for row in matrix] == right


@given(matrices())
def test_all_rows_vanish_on_a_null_vector(rows):
    """Of rows whose rank is one less than their length."""
    n = len(rows[0]) if rows else 1
    basis = [rows[i] for i in independent(rows, n)]
    units = ([int(i == k) for i in range(n)] for k in range(n))
    while len(basis) < n - 1:
        unit = next(units)
        basis += [unit] if rank([*basis, unit]) > len(basis) else []
    basis = basis[: n - 1]
    vector = null_vector([*basis, *basis]) if basis else Echelon(n).null_vector()
    assert any(vector)
    assert all(sum(a * x for a, x in zip(row, vector, strict=True)) == 0 for row in basis)

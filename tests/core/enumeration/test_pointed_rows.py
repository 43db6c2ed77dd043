"""The rows that make cells pointed against ranks over the rationals, nearly dependent rows included."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.core.exact.test_elimination import reduced_over_the_rationals
from tropnet import Layer
from tropnet.enumeration.engines.pointed import inverse_and_defect, pointed_rows, separable_inputs


@st.composite
def float_rows(draw, d, n):
    """Draw float64 rows: generic, of small integers, multiples of others, off by one rounding, of other magnitudes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = rng.normal(size=(n, d)) if draw(st.booleans()) else rng.integers(-2, 3, (n, d)).astype(float)
    for i in range(1, n):
        match draw(st.sampled_from(["", "copy", "nudged", "scaled"])):
            case "copy":
                rows[i] = 3 * rows[draw(st.integers(0, i - 1))]
            case "nudged":
                rows[i] = rows[draw(st.integers(0, i - 1))]
                rows[i, 0] = np.nextafter(rows[i, 0], np.inf)
            case "scaled":
                rows[i] *= 2.0 ** draw(st.integers(-300, 300))
    return rows


@given(st.data())
def test_rows_are_found_iff_there_are_any(data):
    """They are independent, as many as inputs, of neurons that split; there are none iff the rank is smaller."""
    d, m, n = data.draw(st.integers(1, 4)), data.draw(st.integers(0, 3)), data.draw(st.integers(1, 5))
    sides, weights = data.draw(float_rows(d, m)), data.draw(float_rows(d, n))
    affine = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    layer = Layer({0: weights}, np.zeros(n), np.where(affine[:, None], 1.0, [0.0, 1.0]))
    first = data.draw(st.sets(st.integers(0, n - 1)))
    every = [*sides.tolist(), *weights[~affine].tolist()]
    found = pointed_rows(layer, sides, first)
    if found is None:
        assert len(reduced_over_the_rationals(every)) < d
    else:
        chosen = [*sides[found.sides].tolist(), *weights[found.neurons].tolist()]
        assert len(chosen) == d == len(reduced_over_the_rationals(chosen))
        assert not affine[found.neurons].any()


@given(st.data())
def test_inputs_that_are_kept_tell_all_apart(data):
    """The columns kept are a basis of the column space."""
    rows = data.draw(float_rows(data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))))
    kept = separable_inputs(rows, 8)
    assert kept == sorted(set(kept))
    assert len(kept) == len(reduced_over_the_rationals(rows.tolist()))
    assert len(kept) == len(reduced_over_the_rationals(rows[:, kept].tolist() if kept else []))


@given(st.data())
def test_a_small_defect_proves_a_matrix_regular(data):
    """No singular matrix has a defect below 1."""
    d = data.draw(st.integers(1, 4))
    rows = data.draw(float_rows(d, d))
    if inverse_and_defect(rows)[1] < 1:
        assert len(reduced_over_the_rationals(rows.tolist())) == d


def test_hundreds_of_inputs_are_refused_by_a_bound_in_float64():
    """Exact elimination of 512 rows would take hours; that there are more than 128 directions float64 proves."""
    rows = np.random.default_rng(0).normal(size=(512, 784))
    assert separable_inputs(rows, 128) is None
    assert separable_inputs(rows[:20], 128) is not None


def test_duplicates_do_not_hide_how_many_directions_there_are():
    """Twenty directions, each told thirty times, are twenty; a hundred are more than sixty."""
    rng = np.random.default_rng(1)
    few = np.repeat(rng.integers(-3, 4, size=(20, 90)).astype(float), 30, axis=0)
    assert len(separable_inputs(few, 60)) == np.linalg.matrix_rank(few)
    assert separable_inputs(np.repeat(rng.normal(size=(80, 90)), 3, axis=0), 60) is None

"""Affine maps: dense and sparse weights give the same numbers, and sparse stays sparse."""

import pickle

import numpy as np
import pytest
from scipy import sparse

from tropnet import AffineMap, NonFiniteError, ShapeError

A = np.array([[1.0, 0.0, 2.0], [0.0, 0.0, -1.0]])
B = np.array([[0.0, 3.0], [1.0, 0.0], [0.0, 0.0]])
X = np.array([[1.0, 2.0, 3.0], [0.0, -1.0, 4.0]])
BIAS = np.array([0.5, -1.0])
FORMS = {"dense": np.array, "csr array": sparse.csr_array, "coo matrix": sparse.coo_matrix, "csc": sparse.csc_array}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_values_at_points(form):
    """The map is W x + b at one point and at many, whatever the form of W."""
    f = AffineMap(form(A), BIAS)
    np.testing.assert_array_equal(f(X), X @ A.T + BIAS)
    np.testing.assert_array_equal(f(X[0]), A @ X[0] + BIAS)
    assert f(X).flags.writeable
    assert f(np.empty((0, 3))).shape == (0, 2)
    assert (f.n_inputs, f.n_outputs, f.is_sparse) == (3, 2, form is not np.array)
    assert f.weight.dtype == np.float64


@pytest.mark.parametrize("outer", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("inner", FORMS.values(), ids=FORMS)
def test_composition_and_sums(outer, inner):
    """Composition, sum and multiple are those of the matrices; a result is sparse iff both parts are."""
    f, g = AffineMap(outer(A), BIAS), AffineMap(inner(B), [1.0, 2.0, 3.0])
    h = AffineMap(inner(2 * A), [7.0, 0.0])
    both = outer is not np.array and inner is not np.array
    for made, weight, bias in (
        (f @ g, A @ B, [7.5, -4.0]),
        (f + h, 3 * A, [7.5, -1.0]),
        (-2 * h, -4 * A, [-14.0, 0.0]),
        (h * 0.5, A, [3.5, 0.0]),
        (np.float64(0.5) * h, A, [3.5, 0.0]),
    ):
        np.testing.assert_array_equal(made.to_dense().weight, weight)
        np.testing.assert_array_equal(made.bias, bias)
    assert (f @ g).is_sparse == (f + h).is_sparse == both
    assert h.is_sparse == (-2 * h).is_sparse == (inner is not np.array)


def test_conversion_and_pickling():
    """Dense and sparse forms convert into each other, store no zeros, and pickle."""
    f = AffineMap(A, BIAS)
    thin = f.to_sparse()
    assert thin.weight.nnz == 3
    assert isinstance(thin.weight, sparse.csr_array)
    assert f.to_dense() is f
    assert thin.to_sparse() is thin
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(thin)).to_dense().weight, A)  # noqa: S301 (our own bytes)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_compact_form(form):
    """A map is kept in the form that suits it: sparse, without stored zeros, up to a quarter of entries not zero."""
    for n, thin in ((0, True), (4, True), (5, False)):
        matrix = np.zeros((4, 4))
        matrix.ravel()[:n] = 1.0
        made = AffineMap(form(matrix), np.zeros(4)).compacted()
        assert made.is_sparse == thin
        np.testing.assert_array_equal(made.to_dense().weight, matrix)
    stored = sparse.csr_array(np.eye(4))
    stored.data[0] = 0.0
    assert AffineMap(stored, np.zeros(4)).compacted().weight.nnz == 3
    assert stored.nnz == 4


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_refusals(form):
    """What does not fit is refused, and other types are no maps."""
    f = AffineMap(form(A), BIAS)
    with pytest.raises(ShapeError, match=r"weight must have shape \(n_out, n_in\).*got \(2, 3\) and \(3,\)"):
        AffineMap(form(A), np.zeros(3))
    with pytest.raises(ShapeError, match="the outer map takes 3 inputs, the inner one gives 2"):
        f @ f
    with pytest.raises(ShapeError, match=r"weights of one shape, got \(2, 3\) and \(3, 2\)"):
        f + AffineMap(form(B), np.zeros(3))
    with pytest.raises(ShapeError, match=r"x must have shape \(3,\)"):
        f([1.0, 2.0])
    with pytest.raises(NonFiniteError, match="x must be finite"):
        f([1.0, 2.0, np.nan])
    for wrong in (lambda: f @ A, lambda: f + 1, lambda: f * "2", lambda: [1] * f):
        with pytest.raises(TypeError):
            wrong()

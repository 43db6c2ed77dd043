"""Networks with sparse weights: the same network as with dense ones, and a clear refusal where it does not fit."""

import pickle

import numpy as np
import pytest
from scipy import sparse

import tropnet as tn
from tropnet.network.layers import dense_layer


def network(*, skips=((1, 3),)):
    return tn.Network.random([5, 8, 8, 8, 2], skips=skips, seed=0)


def sparsified(net):
    """Return a network with most weights zero, in sparse form."""
    rng = np.random.default_rng(1)
    layers = []
    for layer in net.layers:
        weights = {k: sparse.csr_matrix(w * (rng.random(w.shape) < 0.3)) for k, w in layer.weights.items()}
        layers.append(tn.Layer(weights, layer.bias, layer.slopes))
    return tn.Network(layers)


SPARSE = sparsified(network())
POINTS = np.random.default_rng(2).normal(size=(40, 5))


def test_it_is_the_dense_network():
    """Values, patterns, maps, exact maps and fingerprint agree."""
    dense = SPARSE.dense
    assert SPARSE.is_sparse
    assert not dense.is_sparse
    assert dense.dense is dense
    assert all(isinstance(w, sparse.csr_array) for layer in SPARSE.layers for w in layer.weights.values())
    np.testing.assert_allclose(SPARSE(POINTS), dense(POINTS), rtol=1e-13)
    patterns = SPARSE.activation_pattern(POINTS)
    assert np.array_equal(patterns, dense.activation_pattern(POINTS))
    for found, expected in zip(SPARSE.certain_pattern(POINTS), dense.certain_pattern(POINTS), strict=True):
        assert np.array_equal(found, expected)
    for found, expected in zip(SPARSE.affine_maps(patterns), dense.affine_maps(patterns), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(SPARSE.affine_map(patterns[0]).weight, dense.affine_map(patterns[0]).weight, atol=1e-15)
    assert np.array_equal(SPARSE.integer_maps(patterns[0])[-1], dense.integer_maps(patterns[0])[-1])
    assert SPARSE.fingerprint == dense.fingerprint
    assert tn.region_bounds(SPARSE) == tn.region_bounds(dense)


def test_files_and_pickles_keep_the_form(tmp_path):
    """A sparse network comes back sparse, from files and other processes."""
    SPARSE.save(tmp_path / "net.npz")
    for again in (tn.load(tmp_path / "net.npz"), pickle.loads(pickle.dumps(SPARSE))):  # noqa: S301 (our own)
        assert again.is_sparse
        assert again.fingerprint == SPARSE.fingerprint


def test_engines_take_it():
    """Enumeration works on the dense form; a slice of it is exact."""
    slice_ = SPARSE.restrict(np.ones(5), np.eye(5)[:2])
    assert slice_.fingerprint == SPARSE.dense.restrict(np.ones(5), np.eye(5)[:2]).fingerprint
    box = tn.Box(-3, 3)
    counts = {engine: tn.count_regions(slice_, box, engine=engine) for engine in ("vertex", "simplex", "lp")}
    assert len(set(counts.values())) == 1
    assert counts["lp"] == tn.count_regions(slice_.dense, box) > 1
    assert tn.CachedPredictor(SPARSE)(POINTS[0]) == pytest.approx(SPARSE(POINTS[0]))


def test_a_shared_matrix_stays_shared():
    """Two sources of one matrix are one matrix in dense form, too."""
    matrix = sparse.csr_array(np.eye(3))
    layer = tn.Network([tn.Layer({0: matrix}, np.zeros(3)), tn.Layer({0: matrix, 1: matrix}, np.zeros(3))]).layers[1]
    assert layer.weights[0] is layer.weights[1]
    dense = dense_layer(layer)
    assert dense.weights[0] is dense.weights[1]


def test_what_does_not_fit_is_refused_with_its_size():
    """300,000 x 10,000 entries are 22 GiB; a forward pass takes none of them."""
    wide = tn.Network(
        [
            tn.Layer({0: sparse.csr_array((300_000, 2))}, np.zeros(300_000)),
            tn.Layer({1: sparse.csr_array((10_000, 300_000))}, np.ones(10_000)),
            tn.Layer({2: sparse.csr_array((1, 10_000))}, np.zeros(1)),
        ]
    )
    assert wide([1.0, 2.0]) == 0
    for use in (lambda: wide.dense, lambda: wide.integers, lambda: tn.count_regions(wide, tn.Box(-1, 1))):
        with pytest.raises(
            tn.TooLargeError, match=r"takes 22\.4 GiB \(the largest .* \(10000, 300000\)\), more than 2"
        ):
            use()


@pytest.mark.parametrize(
    ("weight", "error", "message"),
    [
        (sparse.csr_array([[np.nan, 1.0]]), tn.NonFiniteError, r"the entries of layer 1: weights\[0\] must be finite"),
        (sparse.csr_array((2, 1)), tn.ShapeError, r"layer 1: weights\[0\] must have shape .*transpose"),
        (sparse.coo_array(np.ones(2)), tn.ShapeError, r"must be a matrix \(n_out, n_in\), got shape \(2,\)"),
    ],
)
def test_bad_weights(weight, error, message):
    """They are checked like dense ones."""
    with pytest.raises(error, match=message):
        tn.Network([tn.Layer({0: weight}, np.zeros(1))], 2)

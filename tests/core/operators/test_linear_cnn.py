"""Linear CNNs by hand: parallel paths, the theorem's biases, projections, and what is refused."""

import pickle

import numpy as np
import pytest

from tropnet import NonFiniteError, ShapeError, SkipError
from tropnet import operators as ops
from tropnet.operators.linear_cnn import LinearCNN

SCALES = [2.0, 3.0, 5.0, 7.0]


def chain(weights, biases=(1.0, 1.0, 1.0, 1.0), **options):
    """Return a network of one number with layers 2 y + 1, 3 y + 1, 5 y + 1, 7 y + 1."""
    layers = [ops.linear((1,), [[scale]], [bias]) for scale, bias in zip(SCALES, biases, strict=True)]
    return LinearCNN(layers, weights, **options)


def coefficients(affine):
    """Return slope and intercept of a map of one number."""
    return affine.to_dense().weight.item(), affine.bias.item()


def test_without_skips_it_is_the_product():
    """With no weights given the network is a chain: (5) of the paper."""
    expected = 7 * 5 * 3 * 2, ((1 * 3 + 1) * 5 + 1) * 7 + 1
    assert coefficients(chain({}).collapse()) == coefficients(chain({}).compose()) == expected
    assert coefficients(chain(np.eye(4)).collapse()) == expected


def test_parallel_paths():
    """With t[i, i] = 0 there are two paths: layers 1 and 3, layers 2 and 4, mixed by the classifier only."""
    # f_1 = 2 x + 1, f_2 = 3 x + 1, f_3 = 5 f_1 + 1 = 10 x + 6, f_4 = 7 (f_2 + 3 f_3) / 4 + 1.
    paths = chain({(0, 1): 1.0, (1, 2): 1.0, (2, 3): 0.25, (3, 3): 0.75})
    expected = 7 * (3 + 30) / 4, 7 * (1 + 18) / 4 + 1
    assert coefficients(paths.collapse()) == coefficients(paths.compose()) == expected
    assert [value.item() for value in paths.outputs([1.0])] == [1.0, 3.0, 4.0, 16.0, sum(expected)]
    assert coefficients(paths.collapse(latent=True)) == ((3 + 30) / 4, (1 + 18) / 4)


def test_biases_count_once():
    """Theorem 3.1 takes the linear part from the recursion without any bias, not only without the last layer's."""
    assert coefficients(chain({}, biases=(100.0, 0, 0, 0)).collapse()) == (210.0, 100.0 * 105)


def test_constant_padding_counts_as_a_bias():
    """A padding with a constant is affine, and its constant does not enter the linear part."""
    padded = ops.padding((1, 2), 1, value=10.0)
    cnn = LinearCNN([ops.convolution(padded.output_shape, [[[1.0, 1.0, 1.0]]]) @ padded])
    for affine in (cnn.collapse(), cnn.compose()):
        np.testing.assert_array_equal(affine.to_dense().weight, [[1, 1], [1, 1]])
        np.testing.assert_array_equal(affine.bias, [10, 10])


def test_projection_where_channels_differ():
    """An operator given as R[k, i] serves a skip between different channels, as ResNet's projection shortcut."""
    shape = (1, 4)
    widen = ops.convolution(shape, np.ones((2, 1, 1)))
    layers = [widen, ops.selection((2, 4), (slice(0, 1), slice(None)))]
    shortcut = ops.convolution(shape, [[[1.0]], [[-1.0]]])
    cnn = LinearCNN(layers, {(0, 1): 0.5, (1, 1): 0.5}, resamplings={(0, 1): shortcut})
    np.testing.assert_array_equal(cnn([[1.0, 2.0, 3.0, 4.0]]), [[1.0, 2.0, 3.0, 4.0]])
    with pytest.raises(SkipError, match=r"f_0 of shape \(1, 4\) does not fit layer 2.*resamplings={\(0, 1\): ...}"):
        LinearCNN(layers, {(0, 1): 0.5, (1, 1): 0.5})


def test_what_is_mostly_zero_is_sparse():
    """The map of small kernels on a large image is sparse in both ways, that of a classifier dense."""
    image = ops.convolution((1, 12, 12), np.ones((1, 1, 3, 3)), padding="same")
    for cnn, thin in (
        (LinearCNN([image, image]), True),
        (LinearCNN([image, ops.adaptive_average_pooling((1, 12, 12), 1)]), False),
    ):
        assert cnn.collapse().is_sparse == cnn.compose().is_sparse == thin


def test_pickling():
    """A network pickles, with weights and resamplings."""
    image = ops.convolution((1, 6, 6), np.ones((1, 1, 3, 3)))
    cnn = LinearCNN([image, ops.identity((1, 4, 4))], {(0, 1): 0.25, (1, 1): 0.75}, "bilinear")
    again = pickle.loads(pickle.dumps(cnn))  # noqa: S301 (our own bytes)
    x = np.arange(36.0).reshape(1, 6, 6)
    np.testing.assert_array_equal(again(x), cnn(x))


REFUSED = {
    "no layers": (lambda: LinearCNN([]), ShapeError, "layers must be Operators, at least one"),
    "no operator": (lambda: LinearCNN([np.eye(2)]), ShapeError, "layers must be Operators"),
    "sum": (lambda: chain({(0, 1): 0.5}), SkipError, r"t\[k, 1\] for the input of layer 2 must sum to one, got 0.5"),
    "forward": (lambda: chain({(2, 1): 1.0}), SkipError, r"0 <= k <= i < 4 .*got \(2, 1\)"),
    "forward in an array": (lambda: chain(np.ones((4, 4))), SkipError, "weights: a pair"),
    "beyond": (lambda: chain({(4, 4): 1.0}), SkipError, r"got \(4, 4\)"),
    "no pair": (lambda: chain({3: 1.0}), SkipError, r"pairs \(k, i\) of integers"),
    "array": (lambda: chain(np.eye(3)), ShapeError, r"shape \(4, 4\) .*got shape \(3, 3\)"),
    "finite": (lambda: chain({(1, 1): np.nan}), NonFiniteError, r"weights\[\(1, 1\)\] must be finite"),
    "own operator": (
        lambda: chain({}, resamplings={(1, 1): ops.identity((2,))}),
        SkipError,
        r"resamplings\[\(1, 1\)\] must map shape \(1,\) of f_1 to shape \(1,\) that layer 2 reads",
    ),
    "mode": (lambda: chain({}, mode="cubic"), ShapeError, "mode must be one of nearest, nearest-exact, bilinear"),
    "axes": (
        lambda: LinearCNN([ops.selection((1, 4), (0, slice(0, 2))), ops.identity((1, 9))]),
        SkipError,
        "channels or axes differ",
    ),
    "input": (lambda: chain({})([1.0, 2.0]), ShapeError, r"x must have shape \(1,\)"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_refusals(case):
    """What breaks the recursion is refused: what is required, and what was got."""
    make, error, message = case
    with pytest.raises(error, match=message):
        make()

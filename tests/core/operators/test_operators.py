"""Operators: the printed matrices of the paper, what is sparse, and what is refused."""

import numpy as np
import pytest

from tropnet import NonFiniteError, ShapeError
from tropnet import operators as ops

W = np.ones((2, 1, 3, 3))

# (6): rows of the matrix that resamples 2 x 2 to 3 x 4.
PRINTED_RESAMPLING = [0, 0, 1, 1, 2, 2, 3, 3, 2, 2, 3, 3]


def test_printed_resampling_matrix():
    """The transformation matrix (6) is nearest-exact; PyTorch's nearest is another matrix."""
    printed = np.eye(4)[PRINTED_RESAMPLING]
    np.testing.assert_array_equal(ops.resampling((1, 2, 2), (3, 4)).affine.to_dense().weight, printed)
    other = ops.resampling((1, 2, 2), (3, 4), "nearest").affine.to_dense().weight
    np.testing.assert_array_equal(other, np.eye(4)[[0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 3, 3]])


def test_printed_padding_matrix():
    """The transformation matrix (8) pads 2 x 2 by one entry; a [2, 2] kernel then gives 3 x 3, not 2 x 2."""
    printed = np.zeros((16, 4))
    printed[[5, 6, 9, 10], range(4)] = 1
    padded = ops.padding((1, 2, 2), 1)
    np.testing.assert_array_equal(padded.affine.to_dense().weight, printed)
    assert (ops.convolution(padded.output_shape, np.ones((1, 1, 2, 2))) @ padded).output_shape == (1, 3, 3)
    assert ops.convolution((1, 2, 2), np.ones((1, 1, 2, 2)), padding="same").output_shape == (1, 2, 2)


def test_convolution_by_hand():
    """A convolution with two channels, two groups, stride and padding, entry by entry from its definition."""
    rng = np.random.default_rng(0)
    x, weight, bias = rng.normal(size=(2, 5)), rng.normal(size=(4, 1, 3)), rng.normal(size=4)
    y = ops.convolution((2, 5), weight, bias, stride=2, padding=2, groups=2)(x)
    assert y.shape == (4, 4)
    for c in range(4):
        for o in range(4):
            inputs = [(a, 2 * o - 2 + a) for a in range(3)]
            terms = [weight[c, 0, a] * x[c // 2, i] for a, i in inputs if 0 <= i < 5]
            assert y[c, o] == pytest.approx(bias[c] + sum(terms), abs=1e-14)


def test_storage_is_what_the_convolution_computes():
    """A convolution of a large image stores its products only: 3 x 3 entries per output pixel and channel pair."""
    weight = ops.convolution((1, 64, 64), W).affine.weight
    assert weight.nnz == 2 * 62 * 62 * 9
    assert weight.shape == (2 * 62 * 62, 64 * 64)


def test_mapping_of_batches():
    """An operator takes one tensor or a batch, and an empty batch."""
    f = ops.transposition((2, 3), (1, 0))
    x = np.arange(12.0).reshape(2, 2, 3)
    np.testing.assert_array_equal(f(x), x.transpose(0, 2, 1))
    assert f(x[:0]).shape == (0, 3, 2)


REFUSED = {
    "shape of no integers": (lambda: ops.identity((2.5,)), "input_shape must be a sequence of integers"),
    "empty shape": (lambda: ops.identity(()), "positive lengths, at least one, without the batch"),
    "zero length": (lambda: ops.identity((3, 0)), r"positive lengths.*got \(3, 0\)"),
    "sizes": (lambda: ops.reshaping((2, 3), (5,)), r"takes 6 values and gives 6.*output_shape \(5,\)"),
    "composition": (lambda: ops.identity((2, 3)) @ ops.identity((3, 2)), r"takes shape \(2, 3\), the inner one gives"),
    "sum": (lambda: ops.identity((2,)) + ops.selection((2,), [0]), r"must give one shape, got \(2,\) and \(1,\)"),
    "sum of inputs": (lambda: ops.identity((2,)) + ops.selection((3,), [0, 1]), "must take one input shape"),
    "weights": (lambda: ops.weighted_sum([ops.identity((2,))], [1.0, 2.0]), "one weight for each, got 1 and"),
    "no operators": (lambda: ops.weighted_sum([]), "needs operators"),
    "nothing to join": (lambda: ops.concatenation([]), "at least one operator"),
    "axis": (lambda: ops.concatenation([ops.identity((2,))], 1), r"axis must be in \[-1, 1\)"),
    "joined shapes": (
        lambda: ops.concatenation([ops.identity((2, 3)), ops.selection((2, 3), (slice(None), [0]))]),
        "must agree in all others",
    ),
    "key": (lambda: ops.selection((2,), 5), r"key must select from a tensor of shape \(2,\), got 5"),
    "nothing selected": (lambda: ops.selection((2,), slice(0, 0)), "at least one entry"),
    "axes": (lambda: ops.transposition((2, 3), (0, 0)), "each of the 2 axes once"),
    "one tensor": (lambda: ops.identity((2, 3))(np.ones(6)), r"x must have shape \(2, 3\) or \(n, \*\(2, 3\)\)"),
    "no axes": (lambda: ops.padding((3,), 1), "at least one axis after the channels"),
    "kernel axes": (lambda: ops.convolution((1, 9), W), "weight must have 3 axes"),
    "channels": (
        lambda: ops.convolution((3, 9, 9), W),
        "1 channels that weight and groups ask for, got 3",
    ),
    "groups": (lambda: ops.convolution((3, 9, 9), W, groups=2), r"groups must divide the channels in \(3\)"),
    "kernel too large": (lambda: ops.convolution((1, 4, 4), W, dilation=2), r"spans \(5, 5\).*dilation \(2, 2\)"),
    "same with stride": (
        lambda: ops.convolution((1, 4, 4), W, padding="same", stride=2),
        'padding="same" needs stride 1',
    ),
    "padding word": (lambda: ops.convolution((1, 4, 4), W, padding="full"), '"same" or "valid", got'),
    "stride": (lambda: ops.convolution((1, 4, 4), W, stride=0), "stride must be an integer >= 1"),
    "too many strides": (lambda: ops.convolution((1, 4, 4), W, stride=(1, 1, 1)), r"one per axis \(2\)"),
    "fractional stride": (lambda: ops.convolution((1, 4, 4), W, stride=1.5), "stride must be an integer"),
    "bias": (lambda: ops.convolution((1, 4, 4), W, [1.0]), r"one entry per output channel \(2\)"),
    "output padding": (
        lambda: ops.transposed_convolution((2, 4, 4), W, output_padding=1),
        "less than stride or dilation",
    ),
    "nothing left": (lambda: ops.transposed_convolution((2, 1, 1), W, padding=2), "positive lengths.*too large"),
    "negative width": (lambda: ops.padding((1, 4), -1), "widths must be an integer >= 0.*use selection"),
    "widths": (lambda: ops.padding((1, 4), [1, 2, 3]), r"per axis \(1\)"),
    "mirror": (lambda: ops.padding((1, 4), 4, "reflect"), "reflect padding must be less than the length 4"),
    "circle": (lambda: ops.padding((1, 4), 5, "circular"), "circular padding must be at most the length 4"),
    "padding mode": (lambda: ops.padding((1, 4), 1, "edge"), "one of constant, reflect, replicate, circular"),
    "resampling mode": (lambda: ops.resampling((1, 4), 2, "cubic"), "one of nearest, nearest-exact, bilinear"),
    "corners": (lambda: ops.resampling((1, 4), 2, align_corners=True), 'for mode="bilinear" only'),
    "no size": (lambda: ops.resampling((1, 4)), "either size or scale_factor"),
    "factor": (lambda: ops.resampling((1, 4), scale_factor=-1), "scale_factor must be a positive number"),
    "small factor": (lambda: ops.resampling((1, 4), scale_factor=0.1), "leaves nothing"),
    "window padding": (lambda: ops.average_pooling((1, 4), 2, padding=2), "at most half of kernel_size"),
    "window": (lambda: ops.average_pooling((1, 4), 5), "must fit into the input"),
    "divisor": (lambda: ops.average_pooling((1, 4), 2, divisor=0), "divisor must be a positive integer"),
    "adaptive": (lambda: ops.adaptive_average_pooling((1, 4), 0), "output_size must be an integer >= 1"),
    "linear": (lambda: ops.linear((3,), np.ones((3, 2))), "Did you pass the transpose"),
    "linear bias": (lambda: ops.linear((3,), np.ones((2, 3)), [1.0]), r"bias must have shape \(2,\)"),
    "statistics": (lambda: ops.batch_norm((3,), [0.0], [1.0]), r"mean must have one entry per channel \(3\)"),
    "variance": (lambda: ops.batch_norm((2,), [0, 0], [1, -1]), "variance \\+ eps must be positive.*channel 1"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_refusals(case):
    """What does not fit is refused: what is required, and what was got."""
    make, message = case
    with pytest.raises(ShapeError, match=message):
        make()


def test_values_that_are_not_finite():
    """NaN and infinite parameters are refused by name."""
    for make, name in (
        (lambda: ops.convolution((1, 4, 4), W * np.nan), "weight"),
        (lambda: ops.padding((1, 4), 1, value=np.inf), "value"),
        (lambda: ops.batch_norm((1,), [np.inf], [1.0]), "mean"),
        (lambda: ops.weighted_sum([ops.identity((2,))], [np.nan]), "weights"),
    ):
        with pytest.raises(NonFiniteError, match=f"{name} must be finite"):
            make()


def test_other_types_are_no_operators():
    """Operators combine with operators and numbers only."""
    f = ops.identity((2,))
    for wrong in (lambda: f @ f.affine, lambda: f + 1, lambda: f * [2.0]):
        with pytest.raises(TypeError):
            wrong()

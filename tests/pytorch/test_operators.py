"""Each operator is PyTorch's own, on random shapes and options; composition is composition."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.nn import functional

from tests.pytorch.tensors import generator, option, shapes
from tropnet import operators as ops

N_IMAGES = 3


def agree(operator, reference, rng):
    """Check an operator against PyTorch's function of a batch (n, *input_shape), and its stated output shape."""
    x = rng.normal(size=(N_IMAGES, *operator.input_shape))
    expected = reference(torch.from_numpy(x)).numpy()
    assert expected.shape == (N_IMAGES, *operator.output_shape)
    np.testing.assert_allclose(operator(x), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(operator(x[0]), expected[0], rtol=1e-12, atol=1e-12)


def torch_conv(transposed, n_axes):
    return getattr(functional, f"conv{'_transpose' if transposed else ''}{n_axes}d")


@given(st.data())
def test_convolution(data):
    """Convolution with any stride, padding, dilation and groups, with and without bias, along one axis or two."""
    draw, rng = data.draw, generator(data)
    groups = draw(st.integers(1, 3))
    channels, *lengths = draw(shapes(groups))
    n_axes = len(lengths)
    kernel = draw(option(n_axes, 1, 4))
    dilation = draw(option(n_axes, 1, 3))
    stride, padding = draw(option(n_axes, 1, 3)), draw(option(n_axes, 0, 3))
    spans = np.multiply(dilation, np.subtract(kernel, 1)) + 1
    assume((np.add(lengths, np.multiply(2, padding)) >= spans).all())
    n_out = groups * draw(st.integers(1, 2))
    weight = rng.normal(size=(n_out, channels // groups, *np.broadcast_to(kernel, n_axes)))
    bias = draw(st.sampled_from([None, rng.normal(size=n_out)]))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    operator = ops.convolution((channels, *lengths), weight, bias, **options)
    tensors = [torch.from_numpy(weight), None if bias is None else torch.from_numpy(bias)]
    agree(operator, lambda x: torch_conv(False, n_axes)(x, *tensors, **options), rng)
    assert operator.affine.is_sparse


# PyTorch warns that an even kernel needs one entry more at the end: that is what is tested.
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@given(st.data(), st.sampled_from(["zeros", "reflect", "replicate", "circular"]), st.sampled_from(["same", "valid", 1]))
def test_convolution_that_pads(data, mode, padding):
    """Padding by name and all padding modes, as the module nn.Conv1d or nn.Conv2d has them."""
    draw, rng = data.draw, generator(data)
    channels, *lengths = draw(shapes(1, shortest=4))
    kernel = draw(st.integers(1, 4))
    options = {"padding": padding, "dilation": draw(st.integers(1, 2)) if kernel < 3 else 1, "padding_mode": mode}
    kind = [torch.nn.Conv1d, torch.nn.Conv2d][len(lengths) - 1]
    module = kind(channels, 2, kernel, dtype=torch.float64, **options).requires_grad_(False)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.from_numpy(rng.normal(size=parameter.shape)))
    operator = ops.convolution((channels, *lengths), module.weight.numpy(), module.bias.numpy(), **options)
    agree(operator, module, rng)


@given(st.data())
def test_transposed_convolution(data):
    """Transposed convolution with any stride, padding, output padding, dilation and groups."""
    draw, rng = data.draw, generator(data)
    groups = draw(st.integers(1, 3))
    channels, *lengths = draw(shapes(groups))
    n_axes = len(lengths)
    kernel = draw(st.integers(1, 4))
    stride, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    extra = draw(st.integers(0, max(stride, dilation) - 1))
    padding = draw(st.integers(0, 2))
    assume((min(lengths) - 1) * stride - 2 * padding + dilation * (kernel - 1) + extra + 1 >= 1)
    n_out = draw(st.integers(1, 2))
    weight = rng.normal(size=(channels, n_out, *(kernel,) * n_axes))
    bias = draw(st.sampled_from([None, rng.normal(size=n_out * groups)]))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "output_padding": extra}
    operator = ops.transposed_convolution((channels, *lengths), weight, bias, **options)
    tensors = [torch.from_numpy(weight), None if bias is None else torch.from_numpy(bias)]
    agree(operator, lambda x: torch_conv(True, n_axes)(x, *tensors, **options), rng)


@given(st.data(), st.sampled_from(["constant", "reflect", "replicate", "circular"]))
def test_padding(data, mode):
    """Padding by another width on every side, in all modes; PyTorch lists the last axis first."""
    draw, rng = data.draw, generator(data)
    channels, *lengths = draw(shapes(1))
    widest = {"reflect": -1, "circular": 0}.get(mode)
    bounds = [5 if widest is None else length + widest for length in lengths]
    pairs = [(draw(st.integers(0, bound)), draw(st.integers(0, bound))) for bound in bounds]
    value = draw(st.sampled_from([0.0, -1.5])) if mode == "constant" else 0.0
    operator = ops.padding((channels, *lengths), pairs, mode, value)
    flat = [width for pair in reversed(pairs) for width in pair]
    agree(operator, lambda x: functional.pad(x, flat, mode, value if mode == "constant" else None), rng)


@given(st.data(), st.sampled_from(["nearest", "nearest-exact", "bilinear", "aligned"]), st.booleans())
def test_resampling(data, mode, by_factor):
    """Resampling to a size or by a factor, up and down, in all modes."""
    draw, rng = data.draw, generator(data)
    channels, *lengths = draw(shapes(1, longest=11))
    n_axes = len(lengths)
    if by_factor:
        factors = draw(st.lists(st.floats(0.25, 4), min_size=n_axes, max_size=n_axes))
        assume(all(int(length * factor) >= 1 for length, factor in zip(lengths, factors, strict=True)))
        target = {"scale_factor": factors}
    else:
        target = {"size": draw(st.lists(st.integers(1, 25), min_size=n_axes, max_size=n_axes))}
    aligned = mode == "aligned"
    own = "bilinear" if aligned else mode
    theirs = "linear" if own == "bilinear" and n_axes == 1 else own
    operator = ops.resampling((channels, *lengths), mode=own, align_corners=aligned, **target)
    corners = {"align_corners": aligned} if own == "bilinear" else {}
    agree(operator, lambda x: functional.interpolate(x, mode=theirs, **corners, **target), rng)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
@pytest.mark.parametrize("lead", [(1,), (1, 2)])
def test_nearest_entries_for_all_small_sizes(mode, lead):
    """The nearest modes choose PyTorch's entry for every pair of lengths up to 40, its rounding included."""
    for before in range(1, 41):
        x = torch.arange(before, dtype=torch.float64).expand(1, *lead, before)
        for after in range(1, 41):
            size = (*lead[1:], after)
            expected = functional.interpolate(x, size, mode=mode)[0].numpy()
            np.testing.assert_array_equal(ops.resampling((*lead, before), size, mode)(x[0].numpy()), expected)


@given(st.data())
def test_average_pooling(data):
    """Average pooling with any stride, padding, ceil_mode, divisor, and with padding counted or not."""
    draw, rng = data.draw, generator(data)
    channels, *lengths = draw(shapes(1))
    n_axes = len(lengths)
    kernel = np.broadcast_to(draw(option(n_axes, 1, 4)), n_axes).tolist()
    padding = [draw(st.integers(0, size // 2)) for size in kernel]
    assume(all(n + 2 * pad >= size for n, pad, size in zip(lengths, padding, kernel, strict=True)))
    stride = draw(st.one_of(st.none(), option(n_axes, 1, 5)))
    options = {"ceil_mode": draw(st.booleans()), "count_include_pad": draw(st.booleans())}
    divisor = draw(st.sampled_from([None, 3])) if n_axes == 2 else None
    operator = ops.average_pooling(
        (channels, *lengths), kernel, stride=stride, padding=padding, divisor=divisor, **options
    )
    theirs = {"kernel_size": kernel, "stride": stride, "padding": padding, **options}
    if n_axes == 1:
        agree(operator, lambda x: functional.avg_pool1d(x, **theirs), rng)
    else:
        agree(operator, lambda x: functional.avg_pool2d(x, divisor_override=divisor, **theirs), rng)


@given(st.data())
def test_adaptive_average_pooling(data):
    """Average pooling to any size, larger ones and kept ones too."""
    draw, rng = data.draw, generator(data)
    channels, *lengths = draw(shapes(1))
    if len(lengths) == 1:
        size = draw(st.integers(1, 9))
        reference = functional.adaptive_avg_pool1d
    else:
        size = draw(st.lists(st.one_of(st.none(), st.integers(1, 9)), min_size=2, max_size=2))
        reference = functional.adaptive_avg_pool2d
    agree(ops.adaptive_average_pooling((channels, *lengths), size), lambda x: reference(x, size), rng)


@given(st.data(), st.booleans(), st.sampled_from([1e-5, 0.1]))
def test_batch_norm(data, scaled, eps):
    """Batch norm in eval mode, with and without weight and bias, on vectors and images."""
    draw, rng = data.draw, generator(data)
    shape = draw(shapes(1))[: draw(st.integers(1, 3))]
    mean, variance = rng.normal(size=shape[0]), rng.uniform(0.1, 3, size=shape[0])
    parameters = [rng.normal(size=shape[0]) if scaled else None for _ in range(2)]
    operator = ops.batch_norm(shape, mean, variance, *parameters, eps=eps)
    tensors = [None if array is None else torch.from_numpy(array) for array in (mean, variance, *parameters)]
    agree(operator, lambda x: functional.batch_norm(x, *tensors, eps=eps), rng)


@given(st.data(), st.booleans())
def test_linear(data, biased):
    """Fully connected layers on the last axis of vectors and of tensors."""
    draw, rng = data.draw, generator(data)
    shape = draw(shapes(1))[-draw(st.integers(1, 3)) :]
    weight = rng.normal(size=(draw(st.integers(1, 4)), shape[-1]))
    bias = rng.normal(size=len(weight)) if biased else None
    operator = ops.linear(shape, weight, bias)
    tensors = [torch.from_numpy(weight), torch.from_numpy(bias) if biased else None]
    agree(operator, lambda x: functional.linear(x, *tensors), rng)


@given(st.data(), st.booleans())
def test_sums_concatenations_and_compositions(data, dense):
    """Weighted sums, concatenation along any axis and composition are those of tensors; sparse stays sparse."""
    draw, rng = data.draw, generator(data)
    shape = draw(shapes(1))
    size = math.prod(shape)
    parts = [ops.convolution(shape, rng.normal(size=(shape[0], shape[0], *(1,) * (len(shape) - 1)))) for _ in range(3)]
    if dense:
        parts[1] = ops.reshaping((size,), shape) @ ops.linear(
            (size,), rng.normal(size=(size, size)), rng.normal(size=size)
        )
        parts[1] = parts[1] @ ops.reshaping(shape, (size,))
    weights = draw(st.lists(st.sampled_from([0.0, 1.0, 0.3, -2.0]), min_size=3, max_size=3))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    x = rng.normal(size=shape)
    images = [part(x) for part in parts]
    total, joined = ops.weighted_sum(parts, weights), ops.concatenation(parts, axis)
    np.testing.assert_allclose(total(x), sum(w * y for w, y in zip(weights, images, strict=True)), atol=1e-12)
    np.testing.assert_allclose(joined(x), np.concatenate(images, axis=axis), atol=1e-12)
    np.testing.assert_allclose((parts[0] @ parts[1])(x), parts[0](parts[1](x)), atol=1e-10)
    np.testing.assert_allclose((parts[1] @ parts[2])(x), parts[1](parts[2](x)), atol=1e-10)
    assert {f.affine.is_sparse for f in (total, joined, parts[0] @ parts[1], parts[1] @ parts[2])} == {not dense}


KEYS = [
    0,
    -1,
    slice(None, None, 2),
    (slice(None), slice(1, None)),
    (Ellipsis, 0),
    (slice(None), slice(None, None, -1)),
    (0, [2, 0, 0]),
    (Ellipsis, np.array([True, False, True])),
]


@given(st.data(), st.sampled_from(KEYS))
def test_slicing_and_transposition(data, key):
    """Selection is numpy's indexing, transposition PyTorch's permute, reshaping keeps the order of the values."""
    shape = data.draw(st.sampled_from([(2, 3), (4, 3, 3), (1, 3, 3)]))
    x = generator(data).normal(size=shape)
    np.testing.assert_array_equal(ops.selection(shape, key)(x), np.atleast_1d(x[key]))
    axes = data.draw(st.permutations(range(len(shape))))
    moved = ops.transposition(shape, axes)
    np.testing.assert_array_equal(moved(x), torch.from_numpy(x).permute(axes).numpy())
    np.testing.assert_array_equal(ops.reshaping(moved.output_shape, (x.size,))(moved(x)), moved(x).ravel())

"""Linear CNNs with arbitrary weighted skips: recursion, matrices and Theorem 3.1 are one map, and PyTorch's."""

import math

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from tests.pytorch.tensors import generator
from tropnet import operators as ops
from tropnet.operators.linear_cnn import LinearCNN


class Recursion:
    """The recursion (10) in PyTorch's own operations: convolutions with padding, then a fully connected layer."""

    def __init__(self, shape, kernels, biases, strides, pads, classifier, t, mode):
        self.shape, self.kernels, self.biases, self.strides = shape, kernels, biases, strides
        self.pads, self.classifier, self.t, self.mode = pads, classifier, t, mode

    def input_of(self, i, values, lengths):
        """Return sum over k <= i of t[k, i] R[k, i] f_k."""
        corners = {"align_corners": False} if self.mode == "bilinear" else {}
        return sum(
            self.t[k, i] * functional.interpolate(values[k], lengths, mode=self.mode, **corners) for k in range(i + 1)
        )

    def __call__(self, x):
        """Return what the classifier reads, and what it gives."""
        values = [torch.from_numpy(x)]
        for i, (kernel, bias, stride, pad) in enumerate(
            zip(self.kernels, self.biases, self.strides, self.pads, strict=True)
        ):
            read = self.input_of(i, values, values[i].shape[2:])
            padded = functional.pad(read, (pad,) * 4)
            values.append(functional.conv2d(padded, torch.from_numpy(kernel), torch.from_numpy(bias), stride))
        read = self.input_of(len(self.kernels), values, values[-1].shape[2:]).flatten(1).numpy()
        return read, read @ self.classifier[0].T + self.classifier[1]


@st.composite
def problems(draw):
    """Draw a `Recursion` and the `LinearCNN` of the same layers; some t vanish, among them some t[i, i]."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    channels = draw(st.integers(1, 2))
    shape = (channels, draw(st.integers(4, 7)), draw(st.integers(4, 7)))
    n_hidden = draw(st.integers(0, 3))
    mode = draw(st.sampled_from(["nearest-exact", "nearest", "bilinear"]))
    kernels, biases, strides, pads, layers = [], [], [], [], []
    current = shape
    for _ in range(n_hidden):
        size, stride, pad = draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(0, 1))
        size = min(size, min(current[1:]) + 2 * pad)
        kernels.append(rng.normal(size=(channels, channels, size, size)))
        biases.append(rng.normal(size=channels))
        strides.append(stride)
        pads.append(pad)
        padded = ops.padding(current, pad)
        layers.append(ops.convolution(padded.output_shape, kernels[-1], biases[-1], stride=stride) @ padded)
        current = layers[-1].output_shape
    classifier = rng.normal(size=(3, math.prod(current))), rng.normal(size=3)
    flat = (math.prod(current),)
    layers.append(ops.linear(flat, *classifier) @ ops.reshaping(current, flat))
    t = np.triu(rng.normal(size=(n_hidden + 1, n_hidden + 1)))
    for i in range(n_hidden + 1):
        kept = draw(st.sets(st.integers(0, i), min_size=1))
        t[[k for k in range(i + 1) if k not in kept], i] = 0
        t[max(kept), i] += 1 - t[:, i].sum()
    as_mapping = {(k, i): t[k, i] for i in range(n_hidden + 1) for k in range(i + 1)}
    weights = draw(st.sampled_from([t, as_mapping]))
    return Recursion(shape, kernels, biases, strides, pads, classifier, t, mode), LinearCNN(layers, weights, mode)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max())


@given(problems(), st.data())
def test_recursion_matrices_and_theorem_agree(problem, data):
    """The forward pass, the composed matrices and Theorem 3.1 give PyTorch's outputs, and so for the latent map."""
    recursion, cnn = problem
    x = generator(data).normal(size=(4, *recursion.shape))
    latent, expected = recursion(x)
    close(cnn(x), expected)
    close(cnn(x[0]), expected[0])
    flat = x.reshape(len(x), -1)
    for make in (cnn.compose, cnn.collapse):
        close(make()(flat), expected)
        close(make(latent=True)(flat), latent)


@given(problems())
def test_composition_through_the_latent_space(problem):
    """The classifier after the latent map is the whole map."""
    _, cnn = problem
    whole, factored = cnn.collapse(), cnn.layers[-1].affine @ cnn.collapse(latent=True)
    close(factored.to_dense().weight, whole.to_dense().weight)
    close(factored.bias, whole.bias)

"""Bugs fixed in importing models."""

import gzip
import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import tropnet as tn
from analysis.shared import datasets
from tropnet.operators import average_pooling


class _Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (lambda x: functional.adaptive_avg_pool2d(x, 1), (2, 7, 7)),
        (lambda x: functional.avg_pool2d(x, 3), (2, 7, 7)),
        (lambda x: x.mean((2, 3)), (2, 5, 5)),
        (lambda x: x.mean(1), (3,)),
        (lambda x: torch.lerp(x[:, :2], x[:, 2:], 0.5), (4,)),
        (lambda x: x.flip(1) + 1.25, (5,)),
    ],
)
def test_a_mean_is_no_move(function, shape):
    """The mean of 1, ..., 49 is 25: it was taken for the entry number 25."""
    net = tn.from_torch(_Function(function).eval(), shape)
    points = np.random.default_rng(0).normal(size=(4, *shape))
    expected = function(torch.from_numpy(points)).reshape(4, -1).numpy()
    assert net(points.reshape(4, -1)) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_a_pool_of_padding_only_is_refused():
    """Such a window is minus infinity; it was imported as 0."""
    with pytest.raises(tn.TropnetError, match="must give the module's outputs"):
        tn.from_torch(nn.MaxPool2d(2, 1, 1, dilation=3), (1, 2, 5))


def test_a_window_larger_than_the_input_fits_in_ceil_mode():
    """It was refused, as it is without ceil_mode."""
    options = {"stride": (4, 1), "padding": (0, 1), "ceil_mode": True}
    x = np.arange(4.0)
    expected = functional.avg_pool2d(torch.from_numpy(x).reshape(1, 1, 1, 4), (3, 2), **options).numpy().ravel()
    assert average_pooling((1, 1, 4), (3, 2), **options)(x.reshape(1, 1, 4)).ravel() == pytest.approx(expected)


def test_a_large_output_hides_no_other():
    class Random(nn.Module):
        def forward(self, x):
            return torch.cat([x * 1e14, torch.relu(x) + 0.1 * torch.randn(1, dtype=x.dtype)], 1)

    torch.manual_seed(0)
    with pytest.raises(tn.TropnetError, match="must give the module's outputs"):
        tn.from_torch(Random(), (2,))


def test_comparisons_of_multiples_of_one_neuron_keep_their_ties():
    """The differences .7 - .1 and .7 - .3 were rounded, so that two equal entries were no longer equal."""
    factors = torch.tensor([0.1, 0.7, 0.3, 0.7], dtype=torch.float64)
    net = tn.from_torch(_Function(lambda x: (torch.relu(x) * factors).amax(1)), (1,))
    pattern = net.activation_pattern([1.0])
    last = net.integer_maps(pattern)[-2]
    assert [Fraction(int(value)) for value in last.ravel()] == [0, 0]


def test_float64_models_with_operators_that_onnxruntime_lacks(tmp_path):
    model = nn.Conv2d(1, 2, 2).double()
    path = tmp_path / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(model, (torch.zeros(1, 1, 4, 4, dtype=torch.float64),), str(path), dynamo=False)
    x = np.random.default_rng(0).normal(size=(1, 1, 4, 4))
    expected = model(torch.from_numpy(x)).detach().numpy().ravel()
    assert tn.from_onnx(path)(x.ravel()) == pytest.approx(expected, rel=1e-12)


def test_a_damaged_compressed_file_is_refused():
    """Of a changed byte in the compressed part, zlib raised an error of its own."""
    data = bytearray(gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 4, 1, 2, 3, 4])))
    for place in range(10, len(data) - 8):
        damaged = bytes(data[:place]) + bytes([data[place] ^ 0xFF]) + bytes(data[place + 1 :])
        with pytest.raises(tn.FileFormatError):
            datasets._read_idx(damaged)

"""Random affine graphs in PyTorch: the collapsed map is the one that operators compose."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import tropnet as tn
from tests.pytorch.tensors import generator
from tropnet import operators as ops

JOINS = {"chain": lambda _, y: y, "add": torch.add, "cat": lambda x, y: torch.cat([x, y], 1)}


class Graph(nn.Module):
    """Layers in turn; some outputs are added to or joined with the one before."""

    def __init__(self, layers, joins):
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.joins = joins

    def forward(self, x):
        """Return the last layer's output."""
        for layer, join in zip(self.layers, self.joins, strict=True):
            y = layer(x)
            x = JOINS[join](x, y)
        return x


def convolution(draw, shape, rng):
    """Draw a convolution that keeps the shape, as a module and as an operator."""
    groups = draw(st.sampled_from([g for g in (1, 2, 3) if shape[0] % g == 0]))
    mode = draw(st.sampled_from(["zeros", "replicate", "circular"]))
    options = {"padding": 1, "groups": groups, "padding_mode": mode}
    module = nn.Conv2d(shape[0], shape[0], 3, dtype=torch.float64, **options)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.from_numpy(rng.normal(size=parameter.shape)))
    weight, bias = (parameter.detach().numpy() for parameter in module.parameters())
    return module, ops.convolution(shape, weight, bias, **options)


def batch_norm(_, shape, rng):
    """Draw a batch norm in eval mode."""
    module = nn.BatchNorm2d(shape[0], affine=False, dtype=torch.float64).eval()
    module.running_mean.copy_(torch.from_numpy(rng.normal(size=shape[0])))
    module.running_var.copy_(torch.from_numpy(rng.uniform(0.5, 2, size=shape[0])))
    return module, ops.batch_norm(shape, module.running_mean.numpy(), module.running_var.numpy())


def pooling(_, shape, __):
    """Average pooling that keeps the shape."""
    return nn.AvgPool2d(3, 1, 1, count_include_pad=False), ops.average_pooling(
        shape, 3, stride=1, padding=1, count_include_pad=False
    )


def resampling(draw, shape, _):
    """Draw a resampling there and back."""
    mode = draw(st.sampled_from(["nearest", "nearest-exact", "bilinear"]))
    there = ops.resampling(shape, (5, 3), mode)
    module = nn.Sequential(nn.Upsample((5, 3), mode=mode), nn.Upsample(shape[1:], mode=mode))
    return module, ops.resampling(there.output_shape, shape[1:], mode) @ there


@given(st.data())
def test_collapse_is_the_composition_of_operators(data):
    """Matrix and bias are those of the composed operators; matrices that are mostly zero come sparse."""
    draw, rng = data.draw, generator(data)
    shape = (draw(st.integers(1, 2)), draw(st.integers(2, 5)), draw(st.integers(2, 5)))
    whole = ops.identity(shape)
    layers, joins = [], []
    for _ in range(draw(st.integers(1, 4))):
        make = draw(st.sampled_from([convolution, batch_norm, pooling, resampling]))
        module, operator = make(draw, whole.output_shape, rng)
        join = draw(st.sampled_from(["chain", "add", "cat"] if whole.output_shape[0] < 5 else ["chain", "add"]))
        layers.append(module)
        joins.append(join)
        after = operator @ whole
        joined = {"chain": lambda _, g: g, "add": ops.Operator.__add__, "cat": lambda f, g: ops.concatenation([f, g])}
        whole = joined[join](whole, after)
    found = tn.collapse(Graph(layers, joins), shape)
    expected = whole.affine.to_dense()
    size = abs(expected.weight).max() + abs(expected.bias).max()
    np.testing.assert_allclose(found.to_dense().weight, expected.weight, rtol=0, atol=1e-12 * size)
    np.testing.assert_allclose(found.bias, expected.bias, rtol=0, atol=1e-12 * size)
    assert found.is_sparse == (np.count_nonzero(found.to_dense().weight) <= 0.25 * expected.weight.size)

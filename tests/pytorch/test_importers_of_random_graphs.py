"""Random small graphs: the imported network is the module, and to_torch is its inverse."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

import tropnet as tn

UNARY = {
    "relu": torch.relu,
    "leaky": lambda x: functional.leaky_relu(x, 0.25),
    "abs": torch.abs,
    "hardtanh": functional.hardtanh,
    "clamp": lambda x: x.clamp(max=0.5),
    "flip": lambda x: x.flip(1),
    "double": lambda x: 2 * x - 1,
    "pool": lambda x: functional.max_pool1d(x[:, None], 3, 1, 1)[:, 0],
    "mean": lambda x: x - x.mean(dim=1, keepdim=True),
}
BINARY = {
    "add": torch.add,
    "sub": torch.sub,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "cat": lambda x, y: torch.cat([x[:, ::2], y[:, 1::2]], dim=1),
}
WIDTH = 4


class Graph(nn.Module):
    """A random graph of vectors of one width; every step reads any earlier ones."""

    def __init__(self, steps: list[tuple[str, int, int]], seed: int) -> None:
        super().__init__()
        self.steps = steps
        generator = torch.Generator().manual_seed(seed)
        self.linears = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for name, *_ in steps if name == "linear")
        for parameter in self.linears.parameters():
            # Small integers: ties and identically zero neurons are likely.
            parameter.data = torch.randint(-2, 3, parameter.shape, generator=generator).double() / 2

    def forward(self, x: Any) -> Any:
        values, linears = [x], iter(self.linears)
        for name, first, second in self.steps:
            left, right = values[first % len(values)], values[second % len(values)]
            if name == "linear":
                values.append(next(linears)(left))
            else:
                values.append(UNARY[name](left) if name in UNARY else BINARY[name](left, right))
        return values[-1]


names = st.sampled_from(["linear", "linear", "linear", *UNARY, *BINARY])
graphs = st.builds(
    Graph,
    st.lists(st.tuples(names, st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=7),
    st.integers(0, 2**16),
)


@given(graphs)
def test_the_network_is_the_module(module: Graph) -> None:
    """Outputs agree to rounding at random points; the export imports to an equal network."""
    net = tn.from_torch(module, (WIDTH,))
    points = np.random.default_rng(1).normal(size=(20, WIDTH)) * 3
    with torch.no_grad():
        expected = module(torch.from_numpy(points)).numpy()
    scale = 1 + np.abs(expected).max()
    np.testing.assert_allclose(net(points), expected, rtol=1e-12, atol=1e-12 * scale)
    assert tn.from_torch(tn.to_torch(net)).fingerprint == net.fingerprint

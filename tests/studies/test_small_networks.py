"""Small networks trained in compiled loops do what PyTorch does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import tropnet as tn
from analysis.shared.functions import FUNCTIONS, grid, sampled
from analysis.shared.small_networks import SmallNetwork

SKIPS = ((1, 3), (2, 4))
WIDTHS = (2, 4, 4, 4, 4, 1)
ARMS = {"plain": ((), False), "added": (SKIPS, False), "averaged": (SKIPS, True), "input": (((0, 2),), False)}


class Twin:
    """The same network in PyTorch, in float64."""

    def __init__(self, network: SmallNetwork, skips, averaged):
        pairs = list(zip(network.widths, network.widths[1:], strict=False))
        self.weights = [
            torch.tensor(network.weights[i, :m, :n].astype(np.float64), requires_grad=True)
            for i, (n, m) in enumerate(pairs)
        ]
        self.biases = [
            torch.tensor(network.biases[i, :m].astype(np.float64), requires_grad=True) for i, (_, m) in enumerate(pairs)
        ]
        self.skips, self.averaged = skips, averaged

    def __call__(self, x):
        outputs = [x]
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True), start=1):
            read = [outputs[index - 1], *(outputs[k] for k, target in self.skips if target == index)]
            total = sum(read) / (len(read) if self.averaged else 1)
            z = total @ weight.T + bias
            outputs.append(torch.relu(z) if index < len(self.weights) else z)
        return outputs[-1][:, 0]


@pytest.mark.parametrize("arm", ARMS)
def test_steps_are_those_of_pytorch(arm):
    """Full-batch Adam on the mean squared error, at points that fill no whole number of blocks; in two calls as one."""
    skips, averaged = ARMS[arm]
    widths = (2, 2, 4, 4, 4, 1) if arm == "input" else WIDTHS
    points, values, _ = sampled("phi_2", grid(4, 3))
    network = SmallNetwork(widths, skips, averaged=averaged, seed=[1, 2])
    twin = Twin(network, skips, averaged)
    x, y = torch.from_numpy(points), torch.from_numpy(values)
    assert len(points) % 256 != 0
    optimizer = torch.optim.Adam([*twin.weights, *twin.biases], lr=0.01)
    for _ in range(40):
        optimizer.zero_grad()
        loss = ((twin(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
    network.train(points, values, 15, 0.01)
    network.train(points, values, 25, 0.01)
    for index, (weight, bias) in enumerate(zip(twin.weights, twin.biases, strict=True)):
        m, n = weight.shape
        assert np.abs(network.weights[index, :m, :n] - weight.detach().numpy()).max() < 1e-3
        assert np.abs(network.biases[index, :m] - bias.detach().numpy()).max() < 1e-3
        assert not network.weights[index, m:].any()
        assert not network.weights[index, :, n:].any()
    assert network.loss(points, values) == pytest.approx(((twin(x) - y) ** 2).mean().item(), rel=1e-3)
    assert network.steps == 40


@pytest.mark.parametrize("arm", ["plain", "added", "averaged"])
def test_the_network_is_what_was_trained(arm):
    """Its values are those of the loss, and its skips those that were asked for."""
    skips, averaged = ARMS[arm]
    points, values, _ = sampled("phi_1", grid(4, 3))
    network = SmallNetwork(WIDTHS, skips, averaged=averaged, seed=5)
    network.train(points, values, 10, 0.01)
    found = network.network()
    assert found.skips == skips
    assert ((found(points)[:, 0] - values) ** 2).mean() == pytest.approx(network.loss(points, values), rel=1e-5)


def test_first_weights_are_those_of_the_other_studies():
    """PyTorch's default rule, by the seed, whatever the skips."""
    drawn = tn.Network.random(WIDTHS, seed=np.random.default_rng([3, 1]))
    for skips, averaged in (((), False), (SKIPS, True)):
        network = SmallNetwork(WIDTHS, skips, averaged=averaged, seed=[3, 1])
        for index, layer in enumerate(drawn.layers):
            m, n = layer.weights[index].shape
            assert np.array_equal(network.weights[index, :m, :n], layer.weights[index].astype(np.float32))


def test_grids_are_those_of_the_paper():
    """Section 5: 0.1 apart, 401 of them where phi_1 is undefined; section 6.1: 0.2 apart, test points between."""
    fine, coarse, between = grid(10, 10), grid(10, 5), grid(10, 5, 0.1)
    assert [len(points) for points in (fine, coarse, between)] == [201**2, 101**2, 100**2]
    assert [sampled("phi_1", points).n_dropped for points in (fine, coarse, between)] == [401, 201, 0]
    assert not set(map(tuple, coarse.round(6).tolist())) & set(map(tuple, between.round(6).tolist()))
    assert between[0] == pytest.approx([-9.9, -9.9])
    for name in FUNCTIONS:
        assert np.isfinite(sampled(name, fine).values).all()


def test_functions_are_those_of_the_paper():
    """At points where they are easily told."""
    x = np.array([[np.e, -1.0], [3.0, 4.0], [np.pi, 0.5]])
    assert FUNCTIONS["phi_1"](x)[0] == pytest.approx(np.sin(1))
    assert FUNCTIONS["phi_2"](x)[1] == pytest.approx(np.sin(5) + 5)
    assert FUNCTIONS["phi_3"](x)[2] == pytest.approx(0)
    assert FUNCTIONS["phi_4"](np.array([[np.pi / 2, -np.pi / 2]]))[0] == pytest.approx(-(np.sin(1) ** 2))

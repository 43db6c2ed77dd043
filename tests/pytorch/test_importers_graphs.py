"""Importing networks with convolutions, batch norm, shortcuts and pooling: values, layers, slices, and back."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import tropnet as tn
from tests.checks import distinct


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


class Residual(nn.Module):
    """A ResNet block with batch norm and, where the shape changes, a projection shortcut."""

    def __init__(self, channels, out, stride, *, before=True):
        super().__init__()
        self.first, self.second = nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.Conv2d(out, out, 3, 1, 1)
        self.norms = nn.ModuleList([nn.BatchNorm2d(out), nn.BatchNorm2d(out)])
        self.before = before
        self.shortcut = nn.Identity()
        if stride > 1 or channels != out:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, stride), nn.BatchNorm2d(out))

    def forward(self, x):
        y = self.norms[1](self.second(functional.relu(self.norms[0](self.first(x)))))
        return torch.relu(y + self.shortcut(x)) if self.before else torch.relu(y) + self.shortcut(x)


class Dense(nn.Module):
    """A DenseNet-style MLP: every layer reads all earlier outputs."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(3 + 4 * i, 4) for i in range(3))
        self.head = nn.Linear(15, 2)

    def forward(self, x):
        seen = [x]
        for layer in self.layers:
            seen.append(layer(torch.cat(seen, dim=1)).relu())
        return self.head(torch.cat(seen, 1))


def resnet(*, before=True):
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1),
        nn.BatchNorm2d(2),
        nn.ReLU(),
        Residual(2, 2, 1, before=before),
        Residual(2, 3, 2, before=before),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(3, 2),
    )


def pooled():
    return nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2, 3, 2), nn.PReLU(3), nn.Flatten(), nn.Linear(3, 2)
    )


MODELS = {
    "resnet": (resnet, (1, 6, 6)),
    "resnet, addition after the activation": (lambda: resnet(before=False), (1, 6, 6)),
    "densenet": (Dense, (3,)),
    "max-pool": (pooled, (1, 6, 6)),
}


def trained(make, shape):
    """Train for a few steps, so that statistics and biases are not those of the start."""
    module = make()
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    x, labels = torch.randn(32, *shape), torch.randint(0, 2, (32,))
    for _ in range(10):
        optimiser.zero_grad()
        functional.cross_entropy(module(x), labels).backward()
        optimiser.step()
    return module.eval()


def outputs(module, shape, points):
    with torch.no_grad():
        values = deepcopy(module).double()(torch.from_numpy(points.reshape(len(points), *shape)))
    return values.reshape(len(points), -1).numpy()


def check_slice(net, seed=0):
    """Every pattern sampled on a random plane is among the regions that are enumerated there."""
    rng = np.random.default_rng(seed)
    slice_ = net.restrict(rng.normal(size=net.n_inputs), rng.normal(size=(2, net.n_inputs)))
    regions = tn.enumerate_regions(slice_, tn.Box(-1, 1))
    assert regions.complete
    patterns, certain = slice_.certain_pattern(rng.uniform(-1, 1, (300, 2)))
    assert certain.mean() > 0.5
    assert distinct(np.unique(patterns[certain], axis=0)) <= distinct(regions.patterns)
    return regions


@pytest.mark.parametrize("name", MODELS)
def test_trained_models_import_and_enumerate(name):
    """Outputs equal the module's, and a slice has every sampled pattern."""
    make, shape = MODELS[name]
    module = trained(make, shape)
    net = tn.from_torch(module, shape)
    points = np.random.default_rng(1).normal(size=(50, net.n_inputs))
    np.testing.assert_allclose(net(points), outputs(module, shape, points), rtol=1e-10, atol=1e-11)
    assert len(check_slice(net)) > 1


@pytest.mark.parametrize("name", MODELS)
def test_export_to_torch_and_back(name):
    """to_torch computes the same function, in float64, and imports to an equal network."""
    make, shape = MODELS[name]
    net = tn.from_torch(make().eval(), shape)
    module = tn.to_torch(net)
    points = np.random.default_rng(1).normal(size=(20, net.n_inputs))
    assert all(parameter.dtype == torch.float64 for parameter in module.parameters())
    np.testing.assert_allclose(outputs(module, (-1,), points), net(points), rtol=1e-11, atol=1e-12)
    assert tn.from_torch(module).fingerprint == net.fingerprint
    traced = tn.from_torch(nn.Sequential(module), (net.n_inputs,))
    np.testing.assert_allclose(traced(points), net(points), rtol=1e-11, atol=1e-12)


def test_sources_are_those_of_the_graph():
    """An identity shortcut is the weight matrix of the main path's sources, added before the activation."""
    module = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), Wrapped(nn.Linear(3, 3)), nn.ReLU(), nn.Linear(3, 1)).double()
    net = tn.from_torch(module)
    assert repr(net) == "Network(2-3-3-1)"
    expected = module[2].inner.weight.detach().numpy() + np.eye(3)
    assert np.array_equal(net.layers[1].weights[1], expected)
    assert tn.from_torch(Dense()).skips == ((0, 2), (0, 3), (1, 3), (0, 4), (1, 4), (2, 4))


class Wrapped(nn.Module):
    """Adds its input."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x) + x


class Forward(nn.Module):
    """Computes any function after a linear layer."""

    def __init__(self, function):
        super().__init__()
        self.linear = nn.Linear(2, 6)
        self.function = function

    def forward(self, x):
        return self.function(self.linear(x))


STEPS = {
    "relu6": (nn.ReLU6(), "2-12-6"),
    "hardtanh": (nn.Hardtanh(-0.5, 0.25), "2-12-6"),
    "clamp": (lambda x: x.clamp(-0.5, 0.5), "2-12-6"),
    "clamp from below": (lambda x: torch.clamp(x, min=0.5), "2-6-6"),
    "clamp from above": (lambda x: x.clamp(max=0.5), "2-6-6"),
    "clamp with bounds in the wrong order": (lambda x: torch.clamp(x, 1.0, -1.0), "2-12-6"),
    "hardsigmoid": (nn.Hardsigmoid(), "2-12-6"),
    "softshrink": (nn.Softshrink(0.1), "2-12-6"),
    "abs": (lambda x: x.abs() - 1, "2-6-6"),
    "prelu": (nn.PReLU(6, 0.3), "2-6-6"),
    "scalar prelu": (nn.PReLU(), "2-6-6"),
    "rrelu": (nn.RReLU().eval(), "2-6-6"),
    "leaky slope one": (nn.LeakyReLU(1.0), "2-6"),
    "maximum": (lambda x: torch.maximum(x[:, :3], x[:, 3:]), "2-6-3-3, skips 1-3"),
    "minimum": (lambda x: torch.min(x[:, :3], x[:, 3:]), "2-6-3-3, skips 1-3"),
    "maximum with a constant": (lambda x: torch.maximum(x, torch.tensor(0.5).double()), "2-6-6"),
    "maxout": (lambda x: x.view(-1, 3, 2).max(dim=2).values, "2-6-3-3, skips 1-3"),
    "maxout by index": (lambda x: torch.max(x.view(-1, 3, 2), 2)[0], "2-6-3-3, skips 1-3"),
    "amax of three": (lambda x: x.view(x.size(0), 2, 3).amax(-1), "2-6-2-2-2, skips 1-3, 1-4, 2-4"),
    "amin": (lambda x: x.amin(dim=1, keepdim=True), None),
    "max-pool 1d": (lambda x: functional.max_pool1d(x.unsqueeze(1), 3, 2, 1, ceil_mode=True).flatten(1), None),
    "max-pool 2d": (lambda x: functional.max_pool2d(x.view(-1, 1, 2, 3), 2, 1, 1, 1), None),
    "dilated max-pool": (lambda x: functional.max_pool1d(x[:, None], 2, stride=1, dilation=3)[:, 0], None),
    "adaptive max-pool": (lambda x: functional.adaptive_max_pool1d(x[:, None], 4).squeeze(1), None),
    "in place": (lambda x: x.relu_() + x, "2-6-6"),
    "in place through an identity": (lambda x: x.contiguous().relu_() + x, "2-6-6"),
    "in place in a view": (lambda x: x.view(-1, 2, 3).relu_().flatten(1), "2-6-6"),
    "two branches": (lambda x: torch.cat([x.relu(), functional.leaky_relu(-x, 0.2)], 1), "2-12-12"),
    "interpolation": (lambda x: functional.interpolate(x[:, None].relu(), 9, mode="linear")[:, 0], "2-6-9"),
    "chunks": (lambda x: torch.relu(x.chunk(2, 1)[0] * 2 - x.chunk(2, dim=1)[1] / 3), "2-3-3"),
    "unused activation": (lambda x: (x.relu(), x.abs())[1], "2-6-6"),
}


@pytest.mark.parametrize("name", STEPS)
def test_piecewise_linear_steps(name):
    """Each form gives the module's outputs, in the expected layers."""
    function, shape = STEPS[name]
    module = Forward(function)
    net = tn.from_torch(module)
    points = np.random.default_rng(2).normal(size=(200, 2)) * 3
    np.testing.assert_allclose(net(points), outputs(module, (2,), points), rtol=1e-12, atol=1e-12)
    if shape is not None:
        assert repr(net) == f"Network({shape})"


def test_comparisons_compare_exact_copies():
    """Equal entries tie exactly: their difference is identically zero, whatever the rounding of their weights."""
    module = nn.Sequential(nn.Linear(3, 4), nn.Unflatten(1, (1, 4)), nn.MaxPool1d(2)).double()
    with torch.no_grad():
        module[0].weight[1], module[0].bias[1] = module[0].weight[0], module[0].bias[0]
    net = tn.from_torch(module, (3,))
    assert set(np.unique(np.concatenate([net.layers[1].weights[1].ravel(), net.layers[1].bias]))) == {-1.0, 0.0, 1.0}
    maps = net.integer_maps(np.zeros(net.n_neurons, dtype=bool))
    assert not (maps[1][0] != 0).any()
    assert tn.count_regions(net, tn.Box(-1, 1)) == 2


@pytest.mark.parametrize("residual", [False, True])
def test_images_import_in_sparse_form(residual):
    """A CNN on 28 x 28 pixels stays small, and any engine works on a slice."""
    body = [nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(2)]
    if residual:
        body = [Residual(8, 16, 2), nn.AvgPool2d(2)]
    module = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), *body, nn.Flatten(), nn.Linear(784, 10)).eval()
    net = tn.from_torch(module, (1, 28, 28))
    assert net.is_sparse
    stored = sum(getattr(w, "nnz", w.size) for layer in net.layers for w in layer.weights.values())
    assert stored < 1_500_000
    points = np.random.default_rng(0).normal(size=(4, 784))
    np.testing.assert_allclose(net(points), outputs(module, (1, 28, 28), points), rtol=1e-10, atol=1e-11)
    rng = np.random.default_rng(1)
    slice_ = net.restrict(rng.normal(size=784), 1e-4 * rng.normal(size=(2, 784)))
    regions = tn.enumerate_regions(slice_, tn.Box(-1, 1))
    assert regions.complete
    patterns, certain = slice_.certain_pattern(rng.uniform(-1, 1, (50, 2)))
    assert certain.any()
    assert distinct(np.unique(patterns[certain], axis=0)) <= distinct(regions.patterns)

"""Skips carried by further channels: the same function, without sums, and what cannot be carried is refused by name."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import fx, nn
from torch.nn import functional

import tropnet as tn
from tropnet.homotopy import (
    PlainChain,
    PlainSkip,
    WeightedChain,
    WeightedSkip,
    remove_skips,
    resnet18,
    resnet34,
    skip_cnn,
)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def prepared(module, *shape):
    """Return a float64 module in eval mode, whose batch norms are not those of the start, and inputs of both signs."""
    inputs = 2 * torch.randn(6, *shape, dtype=torch.float64)
    module = module.double().train()
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
                part.weight.uniform_(-1, 2)
                part.bias.uniform_(-1, 1)
        module(inputs)
    return module.eval(), inputs


def assert_carried(module, *shape, tolerance=1e-12):
    """Assert that the module with carried skips is a sequence of layers and gives the same outputs; return it."""
    module, inputs = prepared(module, *shape)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    carried = remove_skips(module, method="carry")
    nodes = fx.symbolic_trace(carried).graph.nodes
    assert {node.op for node in nodes} == {"placeholder", "call_module", "output"}
    assert all(len(node.users) == 1 for node in nodes if node.op != "output")
    with torch.no_grad():
        expected, found = module(inputs), carried(inputs)
    assert (found - expected).abs().max() <= tolerance * expected.abs().max()
    for key, value in module.state_dict().items():
        assert torch.equal(value, before[key])
    return carried


def widths(carried):
    return [getattr(m, "out_channels", getattr(m, "out_features", None)) for m in carried if hasattr(m, "weight")]


def linear(*sizes, norm=False):
    layers = []
    for a, b in pairwise(sizes):
        layers += [nn.Linear(a, b), *([nn.BatchNorm1d(b)] if norm else []), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


ARCHITECTURES = {
    "resnet18": lambda *form: resnet18(form[0], t=form[1], width=2),
    "resnet34": lambda *form: resnet34(form[0], t=form[1], width=2),
    "3-layer CNN": lambda *form: skip_cnn(3, form[0], t=form[1], channels=3),
    "6-layer CNN": lambda *form: skip_cnn(6, form[0], t=form[1], channels=3),
}


@pytest.mark.parametrize("form", [("weighted", 0.0), ("weighted", 0.3), ("weighted", 1.0), ("plain", 0.5)])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_papers_networks(name, form):
    """The paper's networks, weighted at any strength and plain, are sequences of layers with the same function."""
    assert_carried(ARCHITECTURES[name](*form), 1, 28, 28)


def test_widths_are_those_of_what_is_alive():
    """A block of 4 channels has 8 within; six layers with all skips have 4 more channels for each layer leapt over."""
    block = PlainSkip(nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1)))
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), block, nn.ReLU())
    assert widths(assert_carried(network, 1, 8, 8)) == [4, 8, 4]
    assert widths(assert_carried(skip_cnn(6, channels=4), 1, 28, 28)) == [4, 8, 12, 16, 20, 4, 10]


def test_carried_kernels_are_identities():
    """The channels that carry have a Dirac kernel and no bias; the others are the module's own."""
    main = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 2, 3, padding=1))
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), PlainSkip(main))
    _, _, wide, _, last = assert_carried(network, 1, 8, 8)
    dirac = nn.init.dirac_(torch.empty(2, 2, 3, 3, dtype=torch.float64))
    assert torch.equal(wide.weight[2:], dirac)
    assert torch.equal(wide.weight[:2], main[0].weight)
    assert torch.equal(wide.bias, torch.cat([main[0].bias, torch.zeros(2)]))
    assert torch.equal(last.weight, torch.cat([main[2].weight, dirac], dim=1))


class BasicBlock(nn.Module):
    """ResNet's block as it is usually written, with functions, in-place sums and one ReLU for two places."""

    def __init__(self, n_in, n_out, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or n_in != n_out:
            self.downsample = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += identity
        return functional.relu(out)


class PreActivation(nn.Module):
    """A block of the second ResNet: its skip has values of either sign."""

    def __init__(self, n):
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm2d(n), nn.BatchNorm2d(n)
        self.conv1, self.conv2 = nn.Conv2d(n, n, 3, 1, 1), nn.Conv2d(n, n, 3, 1, 1)

    def forward(self, x):
        out = self.conv1(torch.relu(self.bn1(x)))
        return x + self.conv2(self.bn2(out).relu())


class Difference(nn.Module):
    """Sums, differences and multiples, of a value with itself too, with a residual of a residual."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2, bias=False)

    def forward(self, x):
        h = torch.relu(self.a(x))
        g = functional.relu(self.b(h) - 2 * h + h / 4) + h
        return self.c(-g + 0.5 * functional.relu(self.b(g) - x)) + self.c(x)


STEM = (nn.Conv2d, 1, 4, 3)
NETWORKS = {
    "identity, from the input": (lambda: PlainSkip(linear(4, 5, 4)), (4,)),
    "projection, from the input": (lambda: PlainSkip(linear(4, 5, 3), nn.Linear(4, 3)), (4,)),
    "weighted, batch norm": (
        lambda: nn.Sequential(linear(4, 6), nn.ReLU(), WeightedSkip(linear(6, 5, 6, norm=True), t=0.4), nn.ReLU()),
        (4,),
    ),
    "skip with layers of its own": (lambda: PlainSkip(linear(4, 5, 5, 3), linear(4, 6, 3)), (4,)),
    "nested": (
        lambda: WeightedSkip(
            nn.Sequential(WeightedSkip(linear(4, 3, 4), t=0.2), nn.ReLU(), PlainSkip(linear(4, 3, 4)))
        ),
        (4,),
    ),
    "chain with the input and a projection": (
        lambda: WeightedChain(
            [linear(4, 5, 4), nn.ReLU(), linear(4, 4), nn.Sequential(nn.BatchNorm1d(4), nn.ReLU()), linear(4, 3)],
            {(0, 2): None, (1, 4): nn.Linear(4, 4), (0, 5): None, (2, 5): nn.BatchNorm1d(4)},
            t=0.3,
        ),
        (4,),
    ),
    "plain chain": (lambda: PlainChain([linear(4, 4), nn.ReLU(), linear(4, 4), nn.ReLU()], [(0, 3), (2, 4)]), (4,)),
    "arithmetic": (Difference, (4,)),
    "basic blocks": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(3, 2, 1), BasicBlock(3, 3),
            BasicBlock(3, 5, 2), BasicBlock(5, 5), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 2),
        ),
        (1, 15, 13),
    ),
    "pre-activation": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1), PreActivation(3), PreActivation(3), nn.BatchNorm2d(3), nn.ReLU(),
            nn.AvgPool2d(2), nn.Flatten(), nn.Linear(48, 2),
        ),
        (1, 8, 8),
    ),
    "sizes, strides and dilations": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 3, 2, stride=2, padding=1), nn.ReLU(),
            PlainSkip(
                nn.Sequential(
                    nn.Conv2d(3, 4, 5, padding=4, dilation=2), nn.ReLU(), nn.Conv2d(4, 4, 3, stride=(2, 1), padding=1)
                ),
                nn.Conv2d(3, 4, 1, stride=(2, 1)),
            ),
            nn.ReLU(), nn.Conv2d(4, 2, 2),
        ),
        (2, 11, 14),
    ),
    "two strides": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 3, 3), nn.ReLU(),
            PlainSkip(
                nn.Sequential(
                    nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU(),
                    nn.Conv2d(4, 4, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1),
                ),
                nn.Sequential(nn.Conv2d(3, 3, 1, stride=2, bias=False), nn.Conv2d(3, 2, 1, stride=2)),
            ),
        ),
        (1, 15, 16),
    ),
    "one axis": (
        lambda: nn.Sequential(
            nn.Conv1d(2, 3, 3), nn.ReLU(),
            WeightedSkip(
                nn.Sequential(nn.Conv1d(3, 3, 3, padding="same"), nn.BatchNorm1d(3), nn.ReLU(), nn.Conv1d(3, 3, 1))
            ),
        ),
        (2, 9),
    ),
    "leaky outside of the skips": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 3, groups=1), nn.LeakyReLU(0.1), PlainSkip(
            nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(2, 2, 3, padding=1))
        ), nn.Hardtanh(), nn.Conv2d(2, 2, 3, groups=2)),
        (1, 9, 9),
    ),
    "convolutions one after another": (
        lambda: PlainSkip(nn.Sequential(
            nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3),
            nn.Conv2d(3, 2, 3, padding=1), nn.ReLU(),
        )),
        (2, 6, 6),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_skips_however_they_are_written(name):
    """Identity and projection skips, nested, of either sign, with strides: the same function without them."""
    make, shape = NETWORKS[name]
    assert_carried(make(), *shape)


@st.composite
def residual_networks(draw):
    """Return blocks of random depths, widths, norms, strides and skips over images, and the seed of their weights."""
    torch.manual_seed(draw(st.integers(0, 2**16)))
    n = draw(st.integers(1, 3))
    layers = [nn.Conv2d(1, n, 3, padding=draw(st.integers(0, 1))), nn.ReLU()]
    for _ in range(draw(st.integers(1, 3))):
        stride, width, depth = draw(st.integers(1, 2)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
        main, n_in = [], n
        for index in range(depth):
            kernel = draw(st.sampled_from([1, 3, 5]))
            main += [nn.Conv2d(n_in, width, kernel, stride if index == 0 else 1, kernel // 2), nn.ReLU()]
            if draw(st.booleans()):
                main.insert(-1, nn.BatchNorm2d(width))
            n_in = width
        keeps = draw(st.booleans())
        skip = None if stride == 1 and width == n else nn.Conv2d(n, width, 1, stride, bias=draw(st.booleans()))
        main = nn.Sequential(*(main if keeps else main[:-1]))
        t = draw(st.sampled_from([None, 0.25, 0.75]))
        layers += [PlainSkip(main, skip) if t is None else WeightedSkip(main, skip, t=t)]
        if draw(st.booleans()):
            layers.append(nn.ReLU())
        n = width
    return nn.Sequential(*layers, nn.Conv2d(n, 2, 1))


@settings(max_examples=40)
@given(network=residual_networks(), height=st.integers(5, 9))
def test_random_residual_networks(network, height):
    """Any such network, its skips of either sign and carried past strides, is carried exactly."""
    assert_carried(network, 1, height, 8, tolerance=1e-11)


def test_the_type_and_mode_stay_and_float32_agrees():
    """Weights come back in the type of the module, and outputs agree to its rounding."""
    module, inputs = prepared(resnet18(width=2), 1, 28, 28)
    carried = remove_skips(module.float(), method="carry")
    assert {p.dtype for p in carried.parameters()} == {torch.float32}
    assert not carried.training
    torch.testing.assert_close(carried(inputs.float()), module(inputs.float()), rtol=1e-4, atol=1e-4)


def test_regions_can_be_enumerated_without_skips():
    """A carried network goes into the region machinery as a chain of layers, with the same outputs."""
    module, inputs = prepared(
        nn.Sequential(linear(2, 3), nn.ReLU(), PlainSkip(linear(3, 3, 3)), nn.ReLU(), linear(3, 1)), 2
    )
    net, chain = tn.from_torch(module), tn.from_torch(remove_skips(module, method="carry"))
    assert net.skips
    assert not chain.skips
    np.testing.assert_allclose(chain(inputs.numpy()), net(inputs.numpy()), rtol=1e-12)


class Called(nn.Module):
    """Calls a function of what came before a skip and what it leaps over."""

    def __init__(self, function):
        super().__init__()
        self.linear, self.function = nn.Linear(4, 4), function

    def forward(self, x):
        return self.function(x, torch.relu(self.linear(x)))


def over(*layers, n=2):
    """Return a skip over some layers, behind a convolution and a ReLU."""
    return nn.Sequential(nn.Conv2d(1, n, 3, padding=1), nn.ReLU(), PlainSkip(nn.Sequential(*layers)))


CONV = {"kernel_size": 3, "padding": 1}
REFUSED = {
    "pooling": (over(nn.MaxPool2d(3, 1, 1)), r"2\.main\.0 \(MaxPool2d\) stands where .* output of 1 "),
    "activation": (over(nn.Conv2d(2, 2, **CONV), nn.Tanh()), r"2\.main\.1 \(Tanh\) stands where a skip leaps"),
    "groups": (over(nn.Conv2d(2, 2, groups=2, **CONV)), r"2\.main\.0 \(Conv2d\) stands where .* without groups"),
    "size": (
        nn.Sequential(
            nn.Conv2d(1, 2, 3), nn.ReLU(), PlainSkip(nn.Sequential(nn.Conv2d(2, 2, 3), nn.ReLU()), nn.Conv2d(2, 2, 3))
        ),
        r"2\.main\.0 \(Conv2d\) must keep the size but for its stride where a skip leaps over it",
    ),
    "stride of a wide kernel": (
        nn.Sequential(
            nn.Conv2d(1, 2, 3), nn.ReLU(),
            PlainSkip(nn.Sequential(nn.Conv2d(2, 2, 3, 2, 1), nn.ReLU()), nn.Conv2d(2, 2, 3, 2, 1)),
        ),
        r"2\.skip \(Conv2d\) reads all pixels of the output of 1 \(ReLU\), of which .* stride 2 leaves one in 2",
    ),
    "training": (nn.Sequential(nn.BatchNorm1d(4), PlainSkip(nn.ReLU())), r"0 \(BatchNorm1d\) is in training mode"),
    "concatenation": (Called(lambda *v: torch.cat(v, 1)), r"'cat' in the forward of the module itself \(Called\) must"),
    "product": (Called(lambda a, b: a * b), r"'mul' in the forward of the module itself"),
    "constant": (
        Called(lambda a, b: a + torch.relu(b + 1)),
        r"'add' in the forward of the module itself \(Called\) stands where a skip leaps with the output of the input",
    ),
    "overwriting": (
        PlainSkip(nn.Sequential(nn.Identity(), nn.ReLU(inplace=True), nn.Linear(4, 4))),
        "overwrites a value that is read again",
    ),
    "control flow": (Called(lambda a, b: a + b if a.sum() > 0 else b), "one that torch.fx can trace"),
    "channels": (PlainSkip(nn.ReLU()), "no layer tells how many channels"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_carried_is_refused_by_name(name):
    """The module or function that a skip cannot be carried past is named, with what can."""
    module, message = REFUSED[name]
    if name != "training":
        module.eval()
    with pytest.raises(tn.UnsupportedModuleError, match=message):
        remove_skips(module, method="carry")


def test_hooks_and_missing_skips_are_refused():
    """Hooks may change values; a network without skips has nothing to carry; other methods are named."""
    hooked = PlainSkip(linear(4, 3, 4)).eval()
    hooked.main[0].register_forward_hook(lambda *_: None)
    with pytest.raises(tn.UnsupportedModuleError, match=r"main\.0 \(Linear\) has forward hooks"):
        remove_skips(hooked, method="carry")
    with pytest.raises(tn.SkipError, match="but Sequential adds no two values"):
        remove_skips(linear(4, 3, 4).eval(), method="carry")
    with pytest.raises(tn.SkipError, match="method must be 'drop' or 'carry', got 'merge'"):
        remove_skips(linear(4, 3, 4), method="merge")

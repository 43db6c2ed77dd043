"""Modules as PyTorch's tools return them: read as the module they were made of, or refused with what to do instead."""

import copy

import numpy as np
import pytest
import torch
from torch import fx, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

import tropnet as tn
from tropnet.homotopy import PlainSkip, remove_skips

ANY_BATCH = ({0: torch.export.Dim.DYNAMIC},)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


class Image(nn.Module):
    """Convolution, norm, slopes by channel, concatenation, padding, clamps, resampling, pooling, sizes, maxima."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.PReLU(2))
        self.pool, self.head = nn.AdaptiveMaxPool2d(2), nn.Linear(8, 3)
        self.layers[1].running_mean.uniform_(-1, 1)
        self.layers[1].running_var.uniform_(1, 2)

    def forward(self, x):
        y = self.layers(x)
        y = torch.cat([y[:, :1], x], 1) + y
        y = functional.hardtanh(functional.pad(y, (1, 1, 0, 0)).clamp(-2, 3))
        y = self.pool(functional.interpolate(y, scale_factor=2))
        z = self.head(y.view(y.size(0), -1))
        return torch.maximum(z, z.mean(1, keepdim=True)).abs() - z.amax(1, keepdim=True)


def mlp():
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Dropout(), nn.Linear(3, 1))


def exported(module, *shape):
    return torch.export.export(module, (torch.zeros(2, *shape),), dynamic_shapes=ANY_BATCH).module()


def assert_same_function(network, module, *shape, tolerance=1e-12):
    """Assert that a network gives the outputs of a module in float64."""
    points = 2 * torch.randn(7, *shape, dtype=torch.float64)
    with torch.no_grad():
        expected = copy.deepcopy(module).double()(points).reshape(7, -1).numpy()
    assert network(points.reshape(7, -1).numpy()) == pytest.approx(expected, abs=tolerance)


def compiled(module):
    return torch.compile(module, backend="eager")  # the usual one is another package of warnings


@pytest.mark.parametrize("wrap", [compiled, fx.symbolic_trace, lambda module: exported(module, 2)])
def test_what_wraps_a_module_is_read_as_the_module(wrap):
    """torch.compile, torch.fx and torch.export leave the network what it is."""
    module = mlp().eval()
    wrapped = wrap(module)
    assert repr(tn.from_torch(wrapped, (2,))) == "Network(2-3-1)"
    assert_same_function(tn.from_torch(wrapped, (2,)), module, 2)


def test_what_wraps_a_part_of_a_module_is_read():
    """But an exported program stands alone: torch has put hooks on it."""
    module, head = mlp().eval(), nn.Sequential(nn.ReLU(), nn.Linear(1, 2))
    for wrapped in (compiled(module), fx.symbolic_trace(module)):
        assert repr(tn.from_torch(nn.Sequential(wrapped, head), (2,))) == "Network(2-3-1-2)"
    with pytest.raises(
        tn.UnsupportedModuleError, match=r"0 \(.*\) is a program of torch\.export within another module"
    ):
        tn.from_torch(nn.Sequential(exported(module, 2), head), (2,))


def test_a_changed_graph_is_read():
    """A graph is what it says, not the module it was traced from."""
    graph = fx.symbolic_trace(mlp().eval())
    last = next(node for node in graph.graph.nodes if node.op == "output")
    with graph.graph.inserting_before(last):
        last.args = (graph.graph.call_function(torch.abs, last.args),)
    graph.recompile()
    assert repr(tn.from_torch(graph)) == "Network(2-3-1-1)"
    assert_same_function(tn.from_torch(graph), graph, 2)


def test_an_exported_program_is_read_operator_by_operator():
    """Operators of ATen have names and orders of arguments of their own, and pools give the places of maxima."""
    module = Image().eval()
    network = tn.from_torch(exported(module, 1, 4, 4), (1, 4, 4))
    assert_same_function(network, module, 1, 4, 4)
    assert repr(network) == repr(tn.from_torch(module, (1, 4, 4)))


def test_a_program_for_one_batch_is_refused():
    """The example's batch is part of such a program."""
    program = torch.export.export(mlp().eval(), (torch.zeros(3, 2),)).module()
    with pytest.raises(tn.UnsupportedModuleError, match=r"exported for batches of 3 only.*dynamic_shapes="):
        tn.from_torch(program, (2,))


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("wrap", [torch.jit.script, lambda module: torch.jit.trace(module, torch.zeros(1, 2))])
@pytest.mark.parametrize("place", [lambda module: module, lambda module: nn.Sequential(nn.Identity(), module)])
@pytest.mark.parametrize("read", [tn.from_torch, lambda module: remove_skips(module, method="carry")])
def test_torchscript_is_refused_with_what_to_do(wrap, place, read):
    """Scripted and traced modules, alone or in another one."""
    with pytest.raises(tn.UnsupportedModuleError, match=r"is TorchScript, .*Pass the module that torch\.jit was given"):
        read(place(wrap(mlp().eval())))


@pytest.mark.parametrize("base", [nn.Module, object])
def test_a_keras_model_is_refused_with_what_to_do(base):
    """Keras' models are modules of PyTorch where that is its backend, else none."""
    model = type("Sequential", (base,), {"__module__": "keras.src.models.sequential"})()
    with pytest.raises(tn.UnsupportedModuleError, match=r"is a Keras model.*model\.export\(path, format='onnx'\)"):
        tn.from_torch(model)


PARAMETRIZATIONS = [parametrizations.spectral_norm, parametrizations.weight_norm, parametrizations.orthogonal]


@pytest.mark.parametrize("parametrize", PARAMETRIZATIONS)
def test_the_value_of_a_parametrisation_is_read(parametrize):
    """It is evaluated in float64, and the module keeps it."""
    module = nn.Sequential(parametrize(nn.Linear(3, 3)), nn.ReLU(), nn.Linear(3, 1)).eval()
    network = tn.from_torch(module)
    assert_same_function(network, module, 3)
    assert torch.nn.utils.parametrize.is_parametrized(module[0])
    assert module(torch.ones(1, 3)).detach().item() == pytest.approx(network(np.ones(3)).item(), abs=1e-6)


@pytest.mark.parametrize("parametrize", PARAMETRIZATIONS)
def test_skips_are_carried_past_parametrised_layers(parametrize):
    """Their value is what is carried; the module keeps its parametrisations."""
    block = nn.Sequential(parametrize(nn.Linear(3, 3)), nn.ReLU(), nn.Linear(3, 3))
    module = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), PlainSkip(block)).eval().double()
    points = torch.randn(5, 2, dtype=torch.float64)
    torch.testing.assert_close(remove_skips(module, method="carry")(points), module(points))
    assert torch.nn.utils.parametrize.is_parametrized(block[0])


def test_a_parametrisation_that_changes_is_refused():
    """spectral_norm takes a step of its iteration with each call in training mode."""
    module = nn.Sequential(parametrizations.spectral_norm(nn.Linear(3, 3)), nn.ReLU())
    with pytest.raises(
        tn.UnsupportedModuleError, match=r"weight of 0 gives another value.*module\.eval\(\).*remove_parametrizations"
    ):
        tn.from_torch(module)


class Constants(nn.Module):
    """Convolves and multiplies with float32 constants that its forward makes, or that are in no buffer."""

    def __init__(self):
        super().__init__()
        self.kernels = [torch.full((1, 1, 2, 2), 0.1)]

    def forward(self, x):
        y = functional.conv2d(x, torch.ones(1, 1, 3, 3) / 9, padding=1)
        y = functional.conv2d(y, self.kernels[0]).relu().flatten(1)
        return functional.linear(y, torch.eye(9) * 0.3) @ torch.ones(9, 2) + torch.ones((x.size(0), 2))


def test_constants_made_in_forward_are_widened():
    """0.1 is that of float32, as it is for a parameter."""
    network = tn.from_torch(Constants(), (1, 4, 4))
    points = torch.randn(5, 1, 4, 4)
    assert network(points.reshape(5, -1).numpy()) == pytest.approx(Constants()(points).numpy(), abs=1e-5)

    class Blur(nn.Module):
        def forward(self, x):
            return functional.conv2d(x, torch.full((1, 1, 1, 2), 0.1))

    affine = tn.collapse(Blur(), (1, 1, 2)).to_dense()
    assert affine.weight.tolist() == [[float(np.float32(0.1))] * 2]


class Scores(nn.Module):
    def __init__(self, last):
        super().__init__()
        self.body, self.last = mlp(), last

    def forward(self, x):
        y = self.body(x)
        return self.last(torch.cat([y, 2 * y], 1))


@pytest.mark.parametrize(
    "last",
    [
        nn.Softmax(1),
        nn.LogSoftmax(dim=1),
        nn.Sequential(nn.Sigmoid(), nn.Flatten()),
        lambda y: functional.softmax(y, dim=1),
        lambda y: torch.softmax(input=y, dim=1).log_softmax(1).unsqueeze(1),
        lambda y: torch.sigmoid(y).view(-1, 2),
        lambda y: y,
    ],
)
def test_a_last_softmax_is_left_off_on_request(last):
    """What remains gives the scores, of a compiled or exported module too."""
    module = Scores(last).eval()
    scores = Scores(lambda y: y).eval()
    scores.load_state_dict(module.state_dict())
    assert_same_function(tn.from_torch(module, output="logits"), scores, 2)
    assert_same_function(tn.from_torch(exported(module, 2), (2,), output="logits"), scores, 2)


def test_the_class_is_left_off_with_the_softmax():
    """A module that gives a class has scores."""
    module = Scores(lambda y: torch.softmax(y, 1).argmax(1)).eval()
    assert tn.from_torch(module, output="logits").n_outputs == 2
    with pytest.raises(tn.UnsupportedModuleError, match=r"'softmax'.*as the last step leave it off.*output='logits'"):
        tn.from_torch(module)


def test_a_softmax_amid_a_network_stays_refused():
    """Leaving it off would be another function."""
    module = nn.Sequential(nn.Linear(2, 2), nn.Softmax(1), nn.Linear(2, 1))
    with pytest.raises(tn.UnsupportedModuleError, match=r"1 .*Softmax.* is not piecewise linear"):
        tn.from_torch(module, output="logits")
    with pytest.raises(ValueError, match=r"output must be 'logits' or None, got 'probabilities'\."):
        tn.from_torch(module, output="probabilities")


# --- carrying skips


class Views(nn.Module):
    """A residual network of images whose head flattens in a way of its own."""

    def __init__(self, flatten, activation=nn.ReLU):
        super().__init__()
        block = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), activation(), nn.Conv2d(3, 3, 3, padding=1))
        self.body = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), activation(), PlainSkip(block), activation())
        self.head, self.flatten = nn.Linear(12, 2), flatten

    def forward(self, x):
        n = x.size(0)
        return self.head(self.flatten(functional.avg_pool2d(self.body(x), 3), n))


def assert_carried(module, *shape):
    """Assert that the module with carried skips gives the same outputs, for batches of other sizes too."""
    module = module.double().eval()
    carried = remove_skips(module, method="carry")
    for n in (1, 4):
        points = torch.randn(n, *shape, dtype=torch.float64)
        torch.testing.assert_close(carried(points), module(points))


@pytest.mark.parametrize(
    "flatten",
    [
        lambda y, _: y.view(y.size(0), -1),
        lambda y, n: y.view(n, -1),
        lambda y, n: y.reshape((n, 12)),
        lambda y, _: y.reshape(y.shape[0], 12),
        lambda y, _: torch.reshape(y, (y.size()[0], -1)),
        lambda y, _: y.view(y.size(0), 3, 4).flatten(1),
    ],
)
def test_flattening_by_the_size_of_the_batch_is_carried(flatten):
    """The commonest way to flatten, behind all skips."""
    assert_carried(Views(flatten), 1, 6, 6)


@pytest.mark.parametrize(
    ("flatten", "message"),
    [
        (lambda y, _: y.view(-1, y.size(1) * 4), r"'mul' .*computes with the sizes of a value\..*torch\.flatten"),
        (lambda y, _: y.view(y.size(1), -1), "'view' .*must be a sum"),
        (lambda y, n: y.transpose(0, 1).view(n, -1), "'view' .*must be a sum"),
    ],
)
def test_other_sizes_are_refused(flatten, message):
    """Only the size of the batch is known to be that of the batch."""
    with pytest.raises(tn.UnsupportedModuleError, match=message):
        remove_skips(Views(flatten).eval(), method="carry")


def slopes(*shape):
    layer = nn.PReLU(*shape)
    nn.init.uniform_(layer.weight, -1, 1)
    return layer


@pytest.mark.parametrize("activation", [slopes, lambda: slopes(3), lambda: nn.LeakyReLU(0.2)])
def test_skips_are_carried_past_two_slopes(activation):
    """relu(z) - a relu(-z), with one slope or one for each channel, of images and of features."""
    assert_carried(Views(lambda y, n: y.view(n, -1), activation), 1, 6, 6)
    block = nn.Sequential(nn.Linear(3, 3), activation(), nn.Linear(3, 3), activation())
    assert_carried(nn.Sequential(nn.Linear(2, 3), activation(), PlainSkip(block), activation(), nn.Linear(3, 1)), 2)


def test_slopes_in_functions_are_carried():
    """The functional forms take their slope by place or by name."""

    class Functions(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(2, 3), nn.Linear(3, 3)
            self.slopes = nn.Parameter(torch.tensor([0.3, -0.2, 0.5]))

        def forward(self, x):
            y = functional.leaky_relu(self.first(x), negative_slope=-0.3)
            z = functional.leaky_relu(functional.prelu(self.second(y), self.slopes), 0.1)
            return self.second(z) + y

    assert_carried(Functions(), 2)


def test_slopes_of_channels_nobody_tells_of_are_refused():
    """Of three features or three channels of pixels the sum with the input is another."""
    with pytest.raises(tn.UnsupportedModuleError, match="no layer tells whether features or pixels come here"):
        remove_skips(PlainSkip(slopes(3)), method="carry")

"""Reading PyTorch modules: the network is the module, and what cannot be read is refused by name."""

from collections import OrderedDict
from copy import deepcopy
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

import tropnet as tn
from tests.pytorch.test_importers_onnx import exported
from tropnet.importers.torch import SkipMLP, from_torch

SEEDED_POINTS = np.random.default_rng(7).uniform(-3, 3, (200, 2))


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def outputs(module, points=SEEDED_POINTS):
    """Return the outputs of a float64 copy of `module` in eval mode."""
    with torch.no_grad():
        return deepcopy(module).double().eval()(torch.from_numpy(points.copy())).numpy()


def mlp(*widths, activation=nn.ReLU):
    """Return Linear and activation in turn, with no activation at the end."""
    layers = [nn.Linear(widths[0], widths[1])]
    for fan_in, fan_out in pairwise(widths[1:]):
        layers += [activation(), nn.Linear(fan_in, fan_out)]
    return nn.Sequential(*layers)


STEPS = torch.tensor([0.0, 1.0, -2.0, 0.5])
CONTINUOUS = {
    "where": lambda x: torch.where(x > 0, x, 0.1 * x),
    "where of constants": lambda x: torch.where(x >= STEPS, x, STEPS),
    "where of two tensors": lambda x: torch.where(x[:, :2] > x[:, 2:], x[:, :2], x[:, 2:]),
    "where with a number": lambda x: torch.where(x > 0, x, 0.0),
    "method where": lambda x: (0.2 * x).where(x <= 0, x),
    "masked_fill": lambda x: x.masked_fill(x < 0, 0),
    "masked_fill in place": lambda x: x.clone().masked_fill_(x < 0, 0.0),
    "masked_fill of a negation": lambda x: x.masked_fill(~(x > 0.5), 0.5),
    "product with a comparison": lambda x: (x > 0) * x,
    "product with a mask of floats": lambda x: x * (x > 0).float(),
    "product with masks": lambda x: x * (x > 0).to(x.dtype) + 0.1 * x * (1 - (x > 0).to(x.dtype)),
    "sign": lambda x: x.sign() * x,
    "norm, p = 1": lambda x: x.norm(p=1, dim=1, keepdim=True),
    "torch.norm": lambda x: torch.norm(x, 1, -1).unsqueeze(1),
    "norm, p infinite": lambda x: x.norm(p=float("inf"), dim=1, keepdim=True),
    "vector norm": lambda x: torch.linalg.vector_norm(x, ord=1, dim=1, keepdim=True),
    "median": lambda x: x.median(dim=1)[0].unsqueeze(1),
    "median, its values": lambda x: torch.median(x[:, :3], 1, keepdim=True).values,
    "kthvalue": lambda x: x.kthvalue(3, dim=1).values.unsqueeze(1),
    "maximum with a constant in front": lambda x: torch.maximum(STEPS, x),
}


@pytest.mark.parametrize("form", ["module", "program"])
@pytest.mark.parametrize("name", CONTINUOUS)
def test_comparisons_that_are_continuous_again(name, form):
    """Traced as it is, and as torch.export writes it."""
    module = nn.Sequential(nn.Linear(2, 4), Forward(CONTINUOUS[name])).eval()
    given = module
    if form == "program":
        batches = ({0: torch.export.Dim.DYNAMIC},)
        given = torch.export.export(module, (torch.zeros(2, 2),), dynamic_shapes=batches).module()
    net = from_torch(given, input_shape=(2,))
    np.testing.assert_allclose(net(SEEDED_POINTS), outputs(module), atol=1e-12)


SHARED = nn.ReLU()

READABLE = {
    "bare linear": (lambda: nn.Linear(2, 3), "2-3"),
    "linear without bias": (lambda: nn.Linear(2, 3, bias=False), "2-3"),
    "plain": (lambda: mlp(2, 5, 4, 1), "2-5-4-1"),
    "leaky": (lambda: mlp(2, 5, 4, 1, activation=lambda: nn.LeakyReLU(0.2)), "2-5-4-1"),
    "absolute value": (lambda: mlp(2, 5, 4, 1, activation=lambda: nn.LeakyReLU(-1.0)), "2-5-4-1"),
    "in place": (lambda: mlp(2, 5, 4, 1, activation=lambda: nn.ReLU(inplace=True)), "2-5-4-1"),
    "nested": (
        lambda: nn.Sequential(nn.Sequential(nn.Linear(2, 4), nn.Sequential(nn.ReLU())), mlp(4, 3, 2)),
        "2-4-3-2",
    ),
    "named": (lambda: nn.Sequential(OrderedDict(a=nn.Linear(2, 4), b=nn.ReLU(), c=nn.Linear(4, 1))), "2-4-1"),
    "one activation used twice": (
        lambda: nn.Sequential(nn.Linear(2, 4), SHARED, nn.Linear(4, 3), SHARED, nn.Linear(3, 1)),
        "2-4-3-1",
    ),
    "one linear used twice": (
        lambda: (lambda square: nn.Sequential(square, nn.ReLU(), square, nn.ReLU(), nn.Linear(2, 1)))(nn.Linear(2, 2)),
        "2-2-2-1",
    ),
    "consecutive linears": (
        lambda: nn.Sequential(nn.Linear(2, 7), nn.Linear(7, 3), nn.ReLU(), nn.Linear(3, 4), nn.Linear(4, 1)),
        "2-3-1",
    ),
    "activation at the input": (lambda: nn.Sequential(nn.ReLU(), mlp(2, 3, 1)), "2-2-3-1"),
    "two activations in a row": (
        lambda: nn.Sequential(nn.Linear(2, 3), nn.LeakyReLU(-0.5), nn.ReLU(), nn.Linear(3, 1)),
        "2-3-3-1",
    ),
    "activation at the end": (lambda: nn.Sequential(nn.Linear(2, 3), nn.ReLU()), "2-3-3"),
    "identity, dropout, flatten": (
        lambda: nn.Sequential(
            nn.Identity(), nn.Flatten(), nn.Linear(2, 3), nn.Dropout(0.9), nn.ReLU(), nn.Linear(3, 1)
        ),
        "2-3-1",
    ),
    "skips": (lambda: SkipMLP([2, 4, 4, 4, 4, 1], [(1, 3), (2, 4), (2, 5)]), "2-4-4-4-4-1, skips 1-3, 2-4, 2-5"),
    "skip from the input": (lambda: SkipMLP([2, 2, 2, 1], [(0, 2), (0, 3)]), "2-2-2-1, skips 0-2, 0-3"),
    "several skips to one layer": (lambda: SkipMLP([2, 3, 3, 3, 1], [(1, 3), (1, 4), (2, 4)]), None),
    "leaky skips": (lambda: SkipMLP([2, 4, 4, 4, 1], [(1, 3)], negative_slope=0.1), "2-4-4-4-1, skips 1-3"),
    "no hidden layer": (lambda: SkipMLP([2, 3]), "2-3"),
    "skips between layers": (
        lambda: nn.Sequential(nn.Linear(2, 3), SkipMLP([3, 3, 3, 2], [(0, 2), (1, 3)]), nn.Linear(2, 2), nn.ReLU()),
        "2-3-3-2-2, skips 0-2, 1-3",
    ),
    "skips twice": (
        lambda: nn.Sequential(SkipMLP([2, 3, 3, 2], [(1, 3)]), SkipMLP([2, 2, 2, 1], [(0, 2), (0, 3)])),
        None,
    ),
}


@pytest.mark.parametrize("name", READABLE)
def test_the_network_gives_the_outputs_of_the_module(name):
    """Outputs agree to rounding, and the layers are the expected ones."""
    make, shape = READABLE[name]
    module = make().eval()
    net = from_torch(module)
    np.testing.assert_allclose(net(SEEDED_POINTS), outputs(module), rtol=1e-12, atol=1e-13)
    if shape is not None:
        assert repr(net) == f"Network({shape})"


@pytest.mark.parametrize("skips", [(), [(1, 3), (2, 4)], [(0, 2), (1, 3), (2, 5)]])
@pytest.mark.parametrize("negative_slope", [0.0, 0.2])
def test_patterns_are_the_signs_of_the_pre_activations(skips, negative_slope):
    """A bit is True where the Linear layer of the module gives a positive number."""
    module = SkipMLP([2, *([2] * 5), 1], skips, negative_slope).double()
    values = []
    for layer in module.layers[:-1]:
        layer.register_forward_hook(lambda _module, _inputs, output: values.append(output.numpy()))
    with torch.no_grad():
        module(torch.from_numpy(SEEDED_POINTS))
    for layer in module.layers[:-1]:
        layer._forward_hooks.clear()
    patterns = from_torch(module).activation_pattern(SEEDED_POINTS)
    assert np.array_equal(patterns, np.concatenate(values, axis=1) > 0)
    assert 0 < patterns.mean() < 1


def test_a_skip_adds_an_output_to_an_input():
    """SkipMLP computes W3 (nu_2 + nu_1) + b3, written out by hand."""
    module = SkipMLP([2, 3, 3, 1], [(1, 3)]).double()
    first, second, third = module.layers
    x = torch.from_numpy(SEEDED_POINTS)
    nu_1 = torch.relu(first(x))
    nu_2 = torch.relu(second(nu_1))
    assert torch.equal(module(x), third(nu_2 + nu_1))


def test_slopes_are_pairs():
    """LeakyReLU(a) has the slopes (a, 1)."""
    net = from_torch(mlp(2, 3, 1, activation=lambda: nn.LeakyReLU(0.25)))
    assert np.asarray(net.layers[0].slopes).tolist() == [[0.25, 1.0]] * 3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_parameters_are_widened_exactly(dtype):
    """The stored float64 weights are the module's own numbers."""
    module = SkipMLP([2, 3, 3, 1], [(1, 3)]).to(dtype)
    net = from_torch(module)
    for layer, linear in zip(net.layers, module.layers, strict=True):
        for weight in layer.weights.values():
            assert np.array_equal(weight, linear.weight.detach().double().numpy())
        assert np.array_equal(layer.bias, linear.bias.detach().double().numpy())


def test_the_module_is_left_alone():
    """Parameters, dtype, mode and gradients stay as they were."""
    module = SkipMLP([2, 3, 3, 1])
    module(torch.ones(1, 2)).sum().backward()
    before = [(parameter.detach().clone(), parameter.grad.clone()) for parameter in module.parameters()]
    from_torch(module)
    assert module.training
    for (value, grad), parameter in zip(before, module.parameters(), strict=True):
        assert torch.equal(parameter, value)
        assert torch.equal(parameter.grad, grad)
        assert parameter.dtype == torch.float32


def test_parameters_made_in_inference_mode_are_read():
    """Such tensors refuse changes elsewhere."""
    with torch.inference_mode():
        module = mlp(2, 3, 1).double()
    assert from_torch(module).widths == (3,)


def test_changing_the_module_later_does_not_change_the_network():
    """The network owns its arrays."""
    module = nn.Linear(2, 1).double()
    net = from_torch(module)
    before = net(SEEDED_POINTS)
    nn.init.zeros_(module.weight)
    assert np.array_equal(net(SEEDED_POINTS), before)


def test_a_flattened_image_is_read_in_row_major_order():
    """Behind nn.Flatten any input shape of the right size does."""
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.ReLU(), nn.Linear(4, 2))
    images = np.random.default_rng(0).normal(size=(5, 1, 3, 4))
    net = from_torch(module, input_shape=(1, 3, 4))
    np.testing.assert_allclose(net(images.reshape(5, -1)), outputs(module, images), rtol=1e-12)


def test_input_shape_replaces_a_missing_linear():
    """A module of activations alone needs to be told its input dimension."""
    assert from_torch(nn.ReLU(), input_shape=(2,))([1.0, -1.0]).tolist() == [1.0, 0.0]
    assert from_torch(nn.Sequential(), input_shape=(2,))([1.0, -1.0]).tolist() == [1.0, -1.0]
    with pytest.raises(
        tn.ShapeError, match=r"does not begin with an nn.Linear that tells its input dimension; pass input_"
    ):
        from_torch(nn.ReLU())


def test_names_resolve_at_top_level_and_files_round_trip(tmp_path):
    """tn.from_torch(tn.SkipMLP(...)).save(...) is what the examples do."""
    net = tn.from_torch(tn.SkipMLP([2, 3, 3, 1], skips=[(1, 3)]), input_shape=(2,))
    net.save(tmp_path / "net.npz")
    assert tn.load(tmp_path / "net.npz").fingerprint == net.fingerprint


def test_sums_that_cancel_are_not_mistaken_for_a_misreading():
    """The composed weight is rounding noise, relative to which nothing agrees."""
    module = nn.Sequential(nn.Linear(1, 3, bias=False), nn.Linear(3, 1, bias=False)).double()
    with torch.no_grad():
        module[0].weight.copy_(torch.tensor([[0.1], [0.2], [0.3]]))
        module[1].weight.copy_(torch.tensor([[1.0, 1.0, -1.0]]))
    assert abs(from_torch(module)([1.0])[0]) < 1e-7


# --- refusals


class Doubled(nn.Sequential):
    def forward(self, x):
        return 2 * super().forward(x)


class Forward(nn.Module):
    """Computes any function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Renamed(nn.Sequential):
    """A subclass with the original forward."""


class DoubledLinear(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


class Callable(nn.Sequential):
    def __call__(self, x):
        return 2 * super().__call__(x)


def hooked(module, register="register_forward_hook"):
    getattr(module, register)(lambda *_: None)
    return module


def with_instance_forward():
    module = mlp(2, 3, 1)
    module[1].forward = torch.tanh
    return module


def parametrized():
    module = mlp(2, 3, 1)
    nn.utils.parametrizations.weight_norm(module[0])
    return module


def skip_mlp_with(**parts):
    module = SkipMLP([2, 3, 3, 1])
    for name, part in parts.items():
        setattr(module, name, part)
    return module


def skip_mlp_layer(index, layer):
    module = SkipMLP([2, 3, 3, 1])
    module.layers[index] = layer
    return module


REFUSED = {
    "smooth activation": (
        lambda: nn.Sequential(
            OrderedDict(blocks=nn.Sequential(nn.Linear(2, 3), nn.Sequential(OrderedDict(act=nn.GELU()))))
        ),
        r"^the module must be piecewise linear, but blocks\.1\.act \(torch\.nn\.modules\.activation\.GELU\) is not"
        r" piecewise linear\.$",
    ),
    "the module itself": (nn.Tanh, r"but the module itself \(torch\.nn\.modules\.activation\.Tanh\) is not piecewise"),
    "batch norm in training mode": (
        lambda: nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)),
        r"but 1 \(.*BatchNorm1d\) normalises by the statistics of its batch, .*call module\.eval\(\) first",
    ),
    "layer norm": (
        lambda: nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3)),
        r"but 1 \(.*LayerNorm\) divides by statistics of its input, which is not piecewise linear",
    ),
    "softmax and sigmoid": (
        lambda: nn.Sequential(nn.Linear(2, 3), nn.Sigmoid(), nn.Softmax(dim=1), nn.Softplus()),
        r"but 1 \(.*Sigmoid\) is not .*; 2 \(.*Softmax\) is not .*; 3 \(.*Softplus\) is not piecewise linear",
    ),
    **{
        f"last {kind.__name__}": (
            lambda kind=kind: nn.Sequential(nn.Linear(2, 3), *([kind()] if kind is nn.Sigmoid else [kind(dim=1)])),
            rf"but 1 \(.*{kind.__name__}\) is not piecewise linear; as the last step leave it off, as from_torch does",
        )
        for kind in (nn.Softmax, nn.LogSoftmax, nn.Sigmoid)
    },
    "module list": (lambda: nn.ModuleList([nn.Linear(2, 1)]), r"the module itself \(.*ModuleList\) is not known to be"),
    "dropout in training mode": (
        lambda: nn.Sequential(nn.Linear(2, 3), nn.Dropout(), nn.ReLU()),
        r"but 1 \(.*Dropout\) acts at random in training mode; call module\.eval\(\) first",
    ),
    "random slopes in training mode": (
        lambda: nn.Sequential(nn.Linear(2, 3), nn.RReLU()),
        r"but 1 \(.*RReLU\) acts at random in training mode; call module\.eval\(\) first",
    ),
    "a jump": (
        lambda: nn.Sequential(nn.Linear(2, 3), nn.Threshold(0.0, 1.0)),
        r"but 1 \(.*Threshold\) jumps at its threshold unless its value is the threshold",
    ),
    "rounding": (lambda: Forward(torch.round), r"but 'round' in the forward of .* jumps, or is piecewise linear in"),
    "an order": (lambda: Forward(lambda x: x.argsort(dim=1)), r"but method 'argsort' in .* orders or compares values"),
    "a comparison": (lambda: Forward(lambda x: x > 0), r"but 'gt' in .* jumps: it is not continuous"),
    "a choice that jumps": (
        lambda: Forward(lambda x: torch.where(x > 0, x, x + 1)),
        r"but 'where' in .* jumps: it is not continuous",
    ),
    "a function of a jump": (
        lambda: Forward(lambda x: torch.relu((x > 0) * 1.0)),
        r"but 'relu' in .* computes with a value that jumps",
    ),
    "a factor that is rounded": (
        lambda: Forward(lambda x: (x > 0).float() * 0.3 * x),
        r"but 'mul' in .* rounds its values to torch\.float32",
    ),
    "a Euclidean norm": (
        lambda: Forward(lambda x: x.norm(dim=1, keepdim=True)),
        r"but method 'norm' in .* takes powers, which is not piecewise linear unless p is 1 or infinite",
    ),
    "the median of a batch": (lambda: Forward(lambda x: x - x.median()), r"'median' in .* orders a whole batch"),
    "the norm of a batch": (
        lambda: Forward(lambda x: x.norm(p=1) * x),
        r"'norm' in .* takes the norm of a whole batch",
    ),
    "places of maxima": (
        lambda: Forward(lambda x: x.max(dim=1)[1]),
        r"but 'getitem' in the forward of .* reads the places of maxima, which are not piecewise linear",
    ),
    "maximum of a batch": (lambda: Forward(lambda x: x.amax(dim=0)), r"'amax' in .* maximum over a whole batch"),
    "control flow": (
        lambda: Forward(lambda x: x if x.sum() > 0 else -x),
        r"^the module itself \(.*Forward\) decides by data or shapes \(control flow\)",
    ),
    "a view changed in place": (
        lambda: Forward(lambda x: (x[:, :1].relu_(), x)[1] + 1),
        r"^the module must be piecewise linear, but method 'relu_' in .* changes in place what another view",
    ),
    "a product": (lambda: Forward(lambda x: x * x), r"'mul' in .* multiplies values that both depend on the input"),
    "flatten of the batch": (
        lambda: nn.Sequential(nn.Flatten(0), nn.Linear(2, 3)),
        r"but 0 \(.*Flatten\) mixes the entries of a batch; keep the batch as the first axis",
    ),
    "overridden call": (lambda: Callable(nn.Linear(2, 1)), r"\(.*Callable\) has a forward or __call__ of its own"),
    "forward of an object": (with_instance_forward, r"^1 \(.*ReLU\) has a forward or __call__ of its own"),
    "forward hook": (
        lambda: nn.Sequential(hooked(nn.Linear(2, 1))),
        r"^0 \(.*Linear\) has forward hooks, which may change its values\. Remove the hooks",
    ),
    "forward pre-hook of the whole": (
        lambda: hooked(mlp(2, 3, 1), "register_forward_pre_hook"),
        r"^the module itself \(.*Sequential\) has forward hooks",
    ),
    "hook in SkipMLP": (
        lambda: skip_mlp_layer(1, hooked(nn.Linear(3, 3))),
        r"^layers\.1 \(.*Linear\) has forward hooks",
    ),
    "other activation of SkipMLP": (
        lambda: nn.Sequential(OrderedDict(body=skip_mlp_with(activation=nn.SiLU()))),
        r"but body\.activation \(.*SiLU\) is not piecewise linear",
    ),
    "other layer of SkipMLP": (
        lambda: skip_mlp_layer(1, nn.Bilinear(3, 3, 3)),
        r"but layers\.1 \(.*Bilinear\) is not known to be piecewise linear",
    ),
    "complex parameters": (
        lambda: nn.Sequential(nn.Linear(2, 1, dtype=torch.complex64)),
        r"^weight of 0 \(.*Linear\) must hold real numbers, got torch\.complex64",
    ),
    "meta parameters": (lambda: nn.Linear(2, 1, device="meta"), r"Linear\) has no data yet"),
    "state dict": (lambda: nn.Linear(2, 1).state_dict(), r"^module must be a torch\.nn\.Module, got .*OrderedDict"),
    "file": (lambda: "model.pt", r"^module must be a torch\.nn\.Module, got builtins\.str\..*load_state_dict first"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name):
    """What is not understood is named, with what is supported and what to do."""
    make, message = REFUSED[name]
    with pytest.raises(tn.UnsupportedModuleError, match=message):
        from_torch(make(), (2,))


OVERRIDDEN = {
    "forward": lambda: Doubled(nn.Linear(2, 1)),
    "forward of a part": lambda: nn.Sequential(nn.ReLU(), Doubled(nn.Linear(2, 1))),
    "forward of a layer": lambda: DoubledLinear(2, 1),
    "parametrization": parametrized,
}


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_forwards_of_the_users_own_are_traced(name):
    """What a subclass computes is read from its forward."""
    module = OVERRIDDEN[name]()
    np.testing.assert_allclose(from_torch(module)(SEEDED_POINTS), outputs(module), rtol=1e-12, atol=1e-14)


def test_a_flatten_between_layers_does_nothing():
    """It used to be refused."""
    module = nn.Sequential(nn.Linear(2, 3), nn.Flatten(), nn.ReLU())
    np.testing.assert_allclose(from_torch(module)(SEEDED_POINTS), outputs(module), rtol=1e-12)


def test_an_empty_place_is_refused():
    """A layer that was set to None is no layer."""
    module = mlp(2, 3, 1)
    module._modules["1"] = None
    with pytest.raises(tn.UnsupportedModuleError, match=r"cannot be traced, .* 'NoneType' object is not callable"):
        from_torch(module)


def test_a_subclass_with_the_original_forward_is_read():
    """Subclassing for construction alone is common."""
    module = Renamed(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    np.testing.assert_allclose(from_torch(module)(SEEDED_POINTS), outputs(module), rtol=1e-12)


@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        (
            mlp(2, 3, 1),
            (3,),
            r"shape \(n, 3\) in float64, but 0 \(.*Linear\) raises.*Is input_shape \(3,\) that of one",
        ),
        (nn.Linear(2, 1), (3,), r"shape \(n, 3\) .* the module itself \(.*Linear\) raises"),
        (SkipMLP([2, 3, 1]), (3,), r"but layers\.0 \(.*Linear\) raises"),
        (nn.Sequential(nn.Flatten(), nn.Linear(4, 1)), (2, 3), r"shape \(n, 2, 3\) .* but 1 \(.*Linear\) raises"),
        (
            nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(4, 1)),
            None,
            r"shape \(n, 2\) .* but 2 \(.*Linear\) raises",
        ),
        (nn.Conv2d(1, 1, 3), None, r"does not begin with an nn\.Linear .* as in \(2,\) or \(1, 28, 28\)"),
    ],
)
def test_shapes_that_do_not_fit(module, shape, message):
    """Widths chain, and input_shape is the first layer's."""
    with pytest.raises(tn.ShapeError, match=message):
        from_torch(module, input_shape=shape)


def test_skips_are_checked_as_in_mlp():
    """SkipMLP speaks the words of Network.mlp."""
    with pytest.raises(tn.SkipError, match=r"needs 0 <= k < l - 1 and l <= 3 \(the output layer\), got \(1, 2\)"):
        SkipMLP([2, 3, 3, 1], [(1, 2)])
    with pytest.raises(tn.SkipError, match=r"the widths must be equal"):
        SkipMLP([2, 3, 4, 1], [(1, 3)])
    with pytest.raises(tn.SkipError, match=r"given twice"):
        SkipMLP([2, 3, 3, 1], [(1, 3), (1, 3)])
    with pytest.raises(tn.ShapeError, match=r"at least two positive numbers \(inputs, ..., outputs\), got \[2\]"):
        SkipMLP([2])


@pytest.mark.parametrize("parameter", ["weight", "bias"])
def test_numbers_that_are_not_finite_are_refused(parameter):
    """A NaN or infinity is reported with its layer, composed or not."""
    module = mlp(2, 3, 3, 1)
    with torch.no_grad():
        getattr(module[2], parameter)[1] = float("inf")
    with pytest.raises(tn.NonFiniteError, match=rf"layer 2: {parameter}.* must be finite, got inf"):
        from_torch(module)
    with pytest.raises(tn.NonFiniteError, match=r"layer 1: .* must be finite"):
        from_torch(nn.Sequential(nn.Linear(2, 3), module[2], nn.ReLU()))


def test_a_slope_that_is_not_finite_is_refused():
    """The slopes of a layer are checked like its weights."""
    with pytest.raises(tn.NonFiniteError, match=r"layer 1: slopes must be finite"):
        from_torch(SkipMLP([2, 3, 1], negative_slope=float("nan")))


def test_a_disagreement_is_an_error():
    """What the layers do not show (here a hook on all modules) is found by the check."""

    def double(module, _inputs, output):
        return 2 * output if isinstance(module, nn.ReLU) else None

    handle = nn.modules.module.register_module_forward_hook(double)
    try:
        with pytest.raises(tn.TropnetError, match=r"must give the module's outputs, but at x = \[.* output 0 differs"):
            from_torch(mlp(2, 3, 1))
    finally:
        handle.remove()


def test_repr_shows_the_skips():
    """The submodules alone would not."""
    assert "skips=[(1, 3)]" in repr(SkipMLP([2, 3, 3, 1], [(1, 3)]))


def test_an_imported_module_compiles_to_its_outputs():
    """From the module to a search tree over its regions, the outputs stay the module's."""
    module = nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(0.1), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    predict = tn.compile_regions(from_torch(module), tn.Box(-3, 3))
    assert predict(SEEDED_POINTS) == pytest.approx(outputs(module), abs=1e-12)


class Steps(nn.Module):
    """A forward made of a function, with a linear layer that it may use."""

    def __init__(self, function, layer):
        super().__init__()
        self.function, self.layer = function, layer

    def forward(self, x):
        return self.function(self.layer, x)


BY_SHAPE = {
    "a decision": (lambda layer, x: layer(x).relu() if x.shape[1] == 2 else x, nn.Linear(2, 3)),
    "a decision by the number of axes": (lambda layer, x: layer(x).relu() if x.dim() == 2 else x, nn.Linear(2, 3)),
    "a loop over columns": (
        lambda layer, x: sum(layer(x[:, i : i + 1]).relu() for i in range(x.shape[1])),
        nn.Linear(1, 3),
    ),
    "a loop over chunks": (lambda layer, x: sum(part.relu() for part in layer(x).chunk(2, 1)), nn.Linear(2, 4)),
    "a loop over parts": (
        lambda layer, x: torch.cat([part.relu() for part in layer(x).split([1, 3], 1)][::-1], 1),
        nn.Linear(2, 4),
    ),
    "zeros for a batch": (
        lambda layer, x: layer(torch.cat([x, torch.ones(x.shape[0], 1)], 1)).relu(),
        nn.Linear(3, 4),
    ),
    "a conversion beside it": (
        lambda layer, x: layer(x + torch.zeros(x.shape[0], 2).to(x.dtype)).relu(),
        nn.Linear(2, 4),
    ),
}


@pytest.mark.parametrize("name", BY_SHAPE)
def test_decisions_by_the_shape_of_the_input(name):
    module = Steps(*BY_SHAPE[name])
    net = from_torch(module, (2,))
    assert net.n_neurons > 0
    np.testing.assert_allclose(net(SEEDED_POINTS), outputs_in_float32(module), rtol=1e-4, atol=1e-5)


def outputs_in_float32(module):
    with torch.no_grad():
        return module(torch.from_numpy(SEEDED_POINTS).float()).numpy()


def test_decisions_by_the_shape_say_that_it_is_wanted():
    with pytest.raises(
        tn.UnsupportedModuleError, match=r"decides by .*\. Pass input_shape if it decides by shapes\. Write [^\n]*$"
    ):
        from_torch(Steps(*BY_SHAPE["a decision"]))


def test_a_decision_by_the_size_of_the_batch_is_refused():
    """The export is for batches of two and more; an input alone tells."""
    module = Steps(lambda layer, x: layer(x).relu() if x.shape[0] > 1 else layer(x), nn.Linear(2, 3))
    with pytest.raises(tn.TropnetError, match="outputs"):
        from_torch(module, (2,))


ORDERS = {
    "sort": lambda layer, x: layer(x).sort(1)[0],
    "sort, descending": lambda layer, x: torch.sort(layer(x), dim=-1, descending=True).values,
    "topk": lambda layer, x: layer(x).topk(2, dim=1)[0],
    "topk, smallest": lambda layer, x: torch.topk(layer(x), 2, largest=False)[0],
    "topk 1 of an inner axis": lambda layer, x: layer(x).reshape(-1, 2, 2).topk(1, 1)[0],
    "sort of an inner axis": lambda layer, x: layer(x).reshape(-1, 2, 2).sort(1)[0],
}


@pytest.mark.parametrize("name", ORDERS)
def test_orders(name):
    module = Steps(ORDERS[name], nn.Linear(2, 4))
    net = from_torch(module, (2,))
    assert net.n_neurons > 0
    expected = outputs(module).reshape(len(SEEDED_POINTS), -1)
    np.testing.assert_allclose(net(SEEDED_POINTS), expected, rtol=1e-12, atol=1e-12)


def test_orders_of_a_batch_are_refused():
    with pytest.raises(tn.UnsupportedModuleError, match=r"orders the inputs of a batch; give an axis after the first"):
        from_torch(Steps(lambda layer, x: layer(x).sort(0)[0], nn.Linear(2, 4)), (2,))


LOGITS = {
    "softmin": (lambda z: torch.softmax(-z, 1), -1.0),
    "nn.functional.softmin": (lambda z: nn.functional.softmin(z, dim=1), -1.0),
    "nn.Softmin": (nn.Softmin(1), -1.0),
    "nn.LogSigmoid": (nn.LogSigmoid(), 1.0),
    "log of softmax": (lambda z: torch.log(torch.softmax(z, 1)), 1.0),
    "log of sigmoid, flattened": (lambda z: torch.sigmoid(z).flatten(1).log(), 1.0),
    "argmin": (lambda z: z.argmin(1), 1.0),
}


@pytest.mark.parametrize("name", LOGITS)
def test_logits_are_those_of_the_probabilities(name, tmp_path):
    """The largest of them is the most likely class, from the module and from its ONNX file alike."""
    last, sign = LOGITS[name]
    hidden = nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 3))
    if isinstance(last, nn.Module):
        module = nn.Sequential(hidden, last)
    else:
        module = Steps(lambda layer, x: last(layer(x)), hidden)
    net = from_torch(module, (2,), output="logits")
    np.testing.assert_allclose(net(SEEDED_POINTS), sign * outputs(hidden), rtol=1e-12, atol=1e-12)
    path = exported(module.eval(), (2,), tmp_path / "m.onnx")
    read = tn.from_onnx(path, output="logits")
    np.testing.assert_allclose(read(SEEDED_POINTS), net(SEEDED_POINTS), rtol=1e-5, atol=1e-5)


def test_a_logarithm_of_scores_stays():
    module = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    with pytest.raises(tn.UnsupportedModuleError, match="'log'"):
        from_torch(Steps(lambda layer, x: layer(x).log(), module), (2,), output="logits")

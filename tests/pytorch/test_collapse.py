"""Collapsing PyTorch modules: the affine map is the module, and what is not affine is refused by name."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from scipy import sparse
from torch import nn
from torch.nn import functional

import tropnet as tn

SHAPE = (2, 6, 6)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


class Call(nn.Module):
    """A module whose forward is a function of itself and the input; parts are its submodules."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = [function]  # in a list, for else it would be a method
        for name, part in parts.items():
            setattr(self, name, part)
        self.register_buffer("mask", torch.randn(6))
        self.scale = nn.Parameter(torch.randn(()))
        self.plain = torch.randn(6, 6)

    def forward(self, x):
        """Return the function of the input."""
        return self.function[0](self, x)


class Block(nn.Module):
    """ResNet's block without activations: two convolutions with batch norm, and a shortcut, with a projection."""

    def __init__(self, n_in, n_out, stride, activation=nn.Identity):
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.relu = activation()
        self.conv2 = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        projected = n_in != n_out or stride > 1
        self.shortcut = (
            nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))
            if projected
            else nn.Identity()
        )

    def forward(self, x):
        """Return the sum of both branches."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return self.relu(out)


def resnet(activation=nn.Identity):
    """Return a small linear ResNet with batch norm that has seen data."""
    module = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        Block(4, 4, 1, activation),
        Block(4, 6, 2, activation),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 3),
    )
    with torch.no_grad():
        for _ in range(3):
            module(torch.randn(8, *SHAPE) * 2 + 1)
    return module.eval()


class DenseLinear(nn.Module):
    """DenseNet's wiring without activations: every layer reads all earlier ones."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4 + 3 * i, 3) for i in range(3))

    def forward(self, x):
        """Return the last layer's outputs."""
        features = [x]
        for layer in self.layers:
            features.append(layer(torch.cat(features, dim=1)))
        return features[-1]


def one_slope():
    """Return a PReLU of slope 1."""
    return nn.PReLU(2, init=1.0)


AFFINE = {
    "resnet": (resnet, SHAPE),
    "densenet": (DenseLinear, (4,)),
    "bare module": (lambda: nn.Linear(4, 2), (4,)),
    "leaf of other": (lambda: nn.Sequential(nn.LeakyReLU(1.0), one_slope(), nn.Dropout(0.0), nn.Identity()), SHAPE),
    "dropout in eval mode": (lambda: nn.Sequential(nn.Dropout(), nn.Dropout2d(), nn.Linear(6, 1)).eval(), SHAPE),
    "paddings": (
        lambda: nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.CircularPad2d(1),
            nn.ReplicationPad2d(2),
            nn.ConstantPad2d(1, 3.5),
            nn.ZeroPad2d(1),
        ),
        SHAPE,
    ),
    "padding modes": (lambda: nn.Conv2d(2, 3, 3, padding=2, padding_mode="reflect", dilation=2), SHAPE),
    "resampling": (
        lambda: nn.Sequential(
            nn.Upsample(size=(5, 4), mode="nearest-exact"),
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
            nn.Upsample(scale_factor=1.5, mode="bicubic"),
            nn.PixelUnshuffle(3),
        ),
        SHAPE,
    ),
    "transposed": (lambda: nn.Sequential(nn.ConvTranspose2d(2, 4, 3, 2, groups=2), nn.AvgPool2d(3, 2, 1)), SHAPE),
    "one axis": (lambda: nn.Sequential(nn.Conv1d(2, 3, 3), nn.AvgPool1d(2), nn.BatchNorm1d(3).eval()), (2, 9)),
    "instance norm by stored statistics": (lambda: nn.InstanceNorm2d(2, track_running_stats=True).eval(), SHAPE),
    "constant": (lambda: Call(lambda self, x: torch.zeros_like(x) + self.mask), SHAPE),
    "views": (
        lambda: Call(
            lambda _, x: (
                x.permute(0, 2, 3, 1).reshape(x.size(0), -1, 2).transpose(1, 2).flatten(1).view(x.shape[0], 2, 36)
            )
        ),
        SHAPE,
    ),
    "slices and chunks": (
        lambda: Call(
            lambda _, x: torch.cat(
                [x.chunk(2, dim=1)[1], x[:, :1, ::2].repeat(1, 1, 2, 1), x[..., [0, 0, 3, 1, 2, 5]]], 1
            )
        ),
        SHAPE,
    ),
    "means": (lambda: Call(lambda _, x: x.mean((2, 3)) - torch.mean(x, dim=(2, 3)) / 3 + x.sum(-1)[:, :, 0]), SHAPE),
    "buffers and parameters": (
        lambda: Call(lambda self, x: self.scale * x @ self.plain + self.mask - 2 * x / self.plain + 1),
        SHAPE,
    ),
    "functions": (
        lambda: Call(
            lambda self, x: functional.avg_pool2d(
                functional.interpolate(
                    functional.pad(functional.conv2d(x, self.conv.weight), (1, 1, 1, 0)), scale_factor=2
                ),
                2,
            ),
            conv=nn.Conv2d(2, 3, 3),
        ),
        SHAPE,
    ),
    "functions with options": (
        lambda: Call(
            lambda self, x: functional.batch_norm(
                functional.leaky_relu(functional.dropout(x, training=False), 1.0), self.m, self.v
            ),
            m=torch.randn(2),
            v=torch.rand(2),
        ),
        SHAPE,
    ),
    "weights of its own": (lambda: Call(lambda self, x: torch.einsum("bchw,wv->bvhc", x, self.plain)), SHAPE),
    "in place": (lambda: Call(lambda _, x: (x + 1).mul_(3).add_(x).sub_(2)), SHAPE),
    "into its input": (lambda: Call(lambda _, x: x.add_(1)), SHAPE),
    "types of others": (lambda: Call(lambda self, x: self.mask.to(x) + x.type_as(self.mask).to(torch.float64)), SHAPE),
    "used twice": (lambda: (lambda square: nn.Sequential(square, square))(nn.Linear(6, 6)), SHAPE),
    "weight norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), (4,)),
    "lists of parameters": (
        lambda: Call(
            lambda self, x: x @ self.a[0] + self.b["b"],
            a=nn.ParameterList([torch.randn(4, 3)]),
            b=nn.ParameterDict({"b": torch.randn(3)}),
        ),
        (4,),
    ),
    "a subclass": (lambda: type("Own", (nn.Linear,), {"__module__": "elsewhere"})(4, 3), (4,)),
    "outputs than inputs, more": (lambda: nn.Linear(3, 50), (3,)),
    "no bias, float16": (lambda: nn.Linear(3, 2, bias=False).half(), (3,)),
    "skips only": (lambda: Call(lambda _, x: sum([x, 2 * x, -x], start=x)), (3,)),
}


def outputs(module, points):
    """Return the outputs of a float64 copy in the module's own mode, flat."""
    copy = deepcopy(module).double()
    for part in copy.modules():
        for key, value in vars(part).items():
            if isinstance(value, torch.Tensor):
                vars(part)[key] = value.double()
    with torch.no_grad():
        return copy(torch.from_numpy(points.copy())).flatten(1).numpy()


@pytest.mark.parametrize("case", AFFINE.values(), ids=AFFINE)
def test_the_map_is_the_module(case):
    """The collapsed map gives the module's outputs at random points."""
    make, shape = case
    module = make()
    affine = tn.collapse(module, shape)
    points = np.random.default_rng(1).normal(size=(20, *shape)) * 5
    np.testing.assert_allclose(affine(points.reshape(20, -1)), outputs(module, points), rtol=1e-10, atol=1e-10)


def test_it_equals_the_operators():
    """A convolution collapses to its operator matrix, sparse, with exact zeros where nothing is read."""
    conv = nn.Conv2d(2, 3, 3, stride=2, padding=1).double()
    weight, bias = (parameter.detach().numpy() for parameter in conv.parameters())
    expected = tn.operators.convolution((2, 20, 20), weight, bias, stride=2, padding=1).affine
    found = tn.collapse(conv, (2, 20, 20))
    assert isinstance(found.weight, sparse.csr_array)
    assert found.weight.nnz == expected.weight.nnz
    assert abs(found.weight - expected.weight).max() < 1e-15
    np.testing.assert_allclose(found.bias, expected.bias, atol=1e-15)


def test_large_biases_leave_exact_zeros():
    """The linear part is evaluated without biases: a large one neither costs digits nor fills the matrix."""
    conv = nn.Conv2d(1, 1, 3).double()
    nn.init.constant_(conv.bias, 1e12)
    found = tn.collapse(nn.Sequential(conv, nn.Conv2d(1, 1, 1).double()), (1, 15, 15))
    assert found.weight.nnz == 13 * 13 * 9


def test_the_module_stays_as_it_is():
    """Parameters, buffers, gradients, modes, types and the random state are those from before."""
    module = resnet()
    module[2].train()
    for part in module[2].modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval()
    module(torch.randn(2, *SHAPE)).sum().backward()
    module.register_full_backward_hook(lambda *_: None)
    before = deepcopy(module.state_dict())
    gradients = [parameter.grad.clone() for parameter in module.parameters()]
    modes = [part.training for part in module.modules()]
    state = torch.get_rng_state()
    tn.collapse(module, SHAPE)
    assert torch.equal(torch.get_rng_state(), state)
    assert [part.training for part in module.modules()] == modes
    assert all(torch.equal(a, b) for a, b in zip(before.values(), module.state_dict().values(), strict=True))
    assert all(torch.equal(p.grad, g) for p, g in zip(module.parameters(), gradients, strict=True))
    assert all(parameter.requires_grad and parameter.dtype == torch.float32 for parameter in module.parameters())
    assert len(module._backward_hooks) == 1


def decides(_, x):
    return x if x.sum() > 0 else -x


def hooked():
    module = nn.Linear(6, 6)
    module.register_forward_hook(lambda *_: None)
    return nn.Sequential(module)


def own_forward():
    module = nn.Linear(6, 6)
    module.forward = lambda x: x * x
    return nn.Sequential(module)


def counting(self, x):
    self.mask.add_(1)
    return x + self.mask


REFUSED = {
    "relu": (lambda: nn.Sequential(nn.Linear(6, 6), nn.ReLU()), r"1 \(torch.nn.modules.activation.ReLU\) is piecewise"),
    "bare relu": (nn.ReLU, r"the module itself \(torch.nn.modules.activation.ReLU\) is piecewise linear"),
    "nested": (
        lambda: resnet(nn.ReLU),
        r"2.relu \(torch.nn.modules.activation.ReLU\) is piecewise linear, not affine; 3.relu \(torch",
    ),
    "leaky": (lambda: nn.Sequential(nn.LeakyReLU(0.5)), r"0 \(.*LeakyReLU\) is piecewise.* unless its slope is 1"),
    "prelu": (lambda: nn.Sequential(nn.PReLU()), r"0 \(.*PReLU\) is piecewise linear.* unless its slope is 1"),
    "max-pool": (lambda: nn.Sequential(nn.MaxPool2d(2)), r"0 \(torch.nn.modules.pooling.MaxPool2d\) compares values"),
    "batch norm": (
        lambda: nn.Sequential(nn.BatchNorm2d(2)),
        r"0 \(.*BatchNorm2d\) normalises by.* batch.*call module.eval",
    ),
    "batch norm without statistics": (
        lambda: nn.Sequential(nn.BatchNorm2d(2, track_running_stats=False)).eval(),
        r"0 \(.*BatchNorm2d\) has no stored statistics",
    ),
    "dropout": (
        lambda: nn.Sequential(nn.Dropout()),
        r"0 \(.*Dropout\) acts at random in training mode; call module.eval",
    ),
    "softmax": (lambda: nn.Sequential(nn.Softmax(1)), r"0 \(.*Softmax\) is not affine"),
    "sigmoid": (lambda: nn.Sequential(nn.Sigmoid()), r"0 \(.*Sigmoid\) is not affine"),
    "layer norm": (lambda: nn.Sequential(nn.LayerNorm(6)), r"0 \(.*LayerNorm\) divides by statistics"),
    "instance norm": (lambda: nn.Sequential(nn.InstanceNorm2d(2)).eval(), r"0 \(.*InstanceNorm2d\) divides by"),
    "unknown module": (lambda: nn.Sequential(nn.CosineSimilarity()), "0 .* is not known to be affine|divides"),
    "functional relu": (
        lambda: Call(lambda _, x: functional.relu(x)),
        "'relu' in the forward of the module itself .*Call",
    ),
    "torch relu": (
        lambda: nn.Sequential(Call(lambda _, x: torch.relu(x))),
        r"'relu' in the forward of 0 \(.*Call\) is piece",
    ),
    "method relu": (lambda: Call(lambda _, x: x.relu()), "method 'relu' in the forward of the module itself"),
    "relu in place": (lambda: Call(lambda _, x: (x + 1).relu_()), "method 'relu_' .* is piecewise linear"),
    "functional max-pool": (lambda: Call(lambda _, x: functional.max_pool2d(x, 2)), "max_pool2d.* compares values"),
    "clamp": (lambda: Call(lambda _, x: x.clamp(min=0)), "method 'clamp' .* is piecewise linear"),
    "maximum": (lambda: Call(lambda _, x: torch.maximum(x, -x)), "'maximum' .* compares values"),
    "functional dropout": (lambda: Call(lambda _, x: functional.dropout(x)), "'dropout' .* at random"),
    "functional batch norm": (
        lambda: Call(lambda _, x: functional.batch_norm(x, None, None, training=True)),
        "'batch_norm' .* normalises",
    ),
    "functional leaky": (lambda: Call(lambda _, x: functional.leaky_relu(x)), "'leaky_relu' .* unless its slope is 1"),
    "product": (lambda: Call(lambda _, x: x * x.mean(-1, keepdim=True)), "'mul' .* multiplies values that both depend"),
    "matrix product": (lambda: Call(lambda _, x: x @ x.transpose(2, 3)), "'matmul' .* multiplies values that both"),
    "product in place": (lambda: Call(lambda _, x: (x + 1).mul_(x)), "method 'mul_' .* multiplies"),
    "einsum": (lambda: Call(lambda _, x: torch.einsum("bchw,bchw->b", x, x)), "'einsum' .* multiplies"),
    "einsum of a list": (lambda: Call(lambda _, x: torch.einsum("bchw,bchw->b", [x, x])), "'einsum' .* multiplies"),
    "filled with data": (lambda: Call(lambda _, x: torch.full_like(x, x.sum())), "'full_like' .* is not known"),
    "made of data": (lambda: Call(lambda self, x: x * self.mask.new_tensor(x)), "'new_tensor' .* is not known"),
    "scale by data": (
        lambda: Call(lambda _, x: functional.batch_norm(x, torch.zeros(2), torch.ones(2), x[0, :, 0, 0])),
        "'batch_norm' .* argument 'weight'",
    ),
    "slope by data": (lambda: Call(lambda _, x: functional.prelu(x, x[0, :, 0, 0])), "'prelu' .* argument 'weight'"),
    "into another's place": (lambda: Call(lambda self, x: torch.add(x, 1, out=self.mask)), "'add' .* is not known"),
    "power": (lambda: Call(lambda _, x: x**2), "'pow' .* is not affine"),
    "quotient": (lambda: Call(lambda _, x: 1 / x), "'truediv' .* argument 'other'"),
    "rounding": (lambda: Call(lambda _, x: torch.div(x, 2, rounding_mode="floor")), "'div' .* piecewise"),
    "floor": (lambda: Call(lambda _, x: x // 2), "'floordiv' .* is piecewise"),
    "index by data": (lambda: Call(lambda self, x: self.mask[x.argmax(-1)]), "'argmax' .* compares values"),
    "mask by data": (
        lambda: Call(lambda _, x: torch.where(x > 0, x, 2 * x)),
        "'gt' .* compares .*; 'where' .*'condition'",
    ),
    "mask by data, as a method": (lambda: Call(lambda _, x: x.where(x > 0, 2 * x)), "'where' .*'condition'"),
    "mixture by data": (lambda: Call(lambda _, x: torch.lerp(x, 2 * x, x)), "'lerp' .*'weight'"),
    "own function": (lambda: Call(lambda _, x: torch.special.expit(x)), "is not"),
    "float32": (lambda: Call(lambda _, x: x.float() * 2), r"method 'float' .* rounds its values to torch.float32"),
    "detach": (lambda: Call(lambda _, x: x.detach()), "method 'detach' .* cuts the derivative"),
    "random numbers of its shape": (lambda: Call(lambda _, x: x + torch.randn_like(x)), "'randn_like' .* is not known"),
    "state": (lambda: Call(counting), "method 'add_' .* changes a tensor of the module in place"),
    "writes into a constant": (lambda: Call(lambda self, x: self.mask.clone().add_(x)), "method 'add_' .* writes into"),
    "control flow": (
        lambda: nn.Sequential(nn.Identity(), Call(decides)),
        r"1 \(.*Call\) decides by data or shapes \(control flow\)",
    ),
    "loop over data": (lambda: Call(lambda _, x: sum(x)), "decides by data"),
    "numbers out of data": (lambda: Call(lambda _, x: x * float(x[0, 0, 0, 0])), "cannot be traced"),
    "hook": (hooked, r"0 \(torch.nn.modules.linear.Linear\) has forward hooks"),
    "spectral norm": (
        lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(6, 6)),
        r"parametrisation of weight of the module itself gives another value each time",
    ),
    "forward of an instance": (own_forward, r"0 \(.*Linear\) has a forward or __call__ of its own"),
    "lazy": (lambda: nn.Sequential(nn.LazyLinear(3)), r"weight of 0 \(.*LazyLinear\) has no data yet"),
    "meta": (lambda: nn.Linear(6, 3, device="meta"), "weight of the module itself .* has no data yet"),
    "complex": (
        lambda: nn.Linear(6, 3, dtype=torch.complex64),
        "weight of .* must hold real numbers, got torch.complex64",
    ),
    "no copy": (lambda: Call(lambda _, x: x, kept=(torch.ones(1, requires_grad=True) * 2,)), "copy.deepcopy"),
    "no module": (lambda: 3, r"module must be a torch.nn.Module, got builtins.int"),
}


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_is_not_affine_is_refused_by_name(case):
    """Every step that is not affine, or not known to be, is refused by its qualified name and with the reason."""
    make, message = case
    with pytest.raises(tn.UnsupportedModuleError, match=message):
        tn.collapse(make(), SHAPE)


def test_many_refusals_are_counted():
    """Of many steps that are not affine the first ones are named, the others counted."""
    with pytest.raises(
        tn.UnsupportedModuleError, match=r"7 \(torch.*ReLU\) is piecewise linear, not affine; and 4 more"
    ):
        tn.collapse(nn.Sequential(*(nn.ReLU() for _ in range(12))), (3,))


SHAPES_REFUSED = {
    "wrong input": (
        lambda: nn.Linear(4, 2),
        (3,),
        r"shape \(n, 3\) .* the module itself .*Linear.* raises.*without the batch\?",
    ),
    "no shape": (lambda: nn.Linear(4, 2), 4, "input_shape must be a sequence"),
    "two outputs": (lambda: Call(lambda _, x: (x, x)), (3,), "must give one tensor .* got tuple"),
    "nothing left": (lambda: Call(lambda _, x: x[:, :0]), (3,), r"got shape \(2, 0\) for 2 inputs"),
    "batch lost": (lambda: Call(lambda _, x: x.sum()), (3,), r"one row per input, got shape \(\) for 2 inputs"),
    "fixed type": (
        lambda: Call(lambda self, x: x @ self.t[0], t=[torch.ones(3, 3, dtype=torch.int64)]),
        (3,),
        "in float64, but 'matmul' .* raises",
    ),
}


@pytest.mark.parametrize("case", SHAPES_REFUSED.values(), ids=SHAPES_REFUSED)
def test_shapes_that_do_not_fit(case):
    """An input shape that the module does not take, or outputs that are not one tensor, are refused."""
    make, shape, message = case
    with pytest.raises(tn.ShapeError, match=message):
        tn.collapse(make(), shape)


def without_derivatives(_, x):
    with torch.no_grad():
        return x + 1


ESCAPED = {
    "mixes a batch": lambda _, x: x - x.mean(0, keepdim=True),
    "turns a batch": lambda _, x: x.flip(0),
    "without derivatives": without_derivatives,
    "depends on the batch's size": lambda _, x: x * x.size(0),
}


@pytest.mark.parametrize("function", ESCAPED.values(), ids=ESCAPED)
def test_verification_catches_what_tracing_cannot(function):
    """A module that treats a batch as a whole, or hides its derivatives, shows at random points."""
    with pytest.raises(tn.TropnetError, match="mix the entries of a batch"):
        tn.collapse(Call(function), (3,))


def test_values_that_are_not_finite():
    """A module with NaN or infinite weights has no map."""
    module = nn.Linear(3, 2)
    nn.init.constant_(module.weight, float("inf"))
    with pytest.raises(tn.NonFiniteError, match="must be finite"):
        tn.collapse(module, (3,))

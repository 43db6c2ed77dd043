"""Modules of which removing skips gave another function, left a skip in the program, or failed without a word why."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional

import tropnet as tn
from tropnet.homotopy import PlainSkip, StackedTrials, WeightedChain, WeightedSkip, remove_skips


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def normed(module):
    """Return a module in eval mode, its norms with statistics that change what comes."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d) and part.track_running_stats:
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
    return module.eval()


def assert_carried(module, *shape):
    """Assert that the module with carried skips gives the same outputs, and return it."""
    inputs = torch.randn(2, *shape)
    carried = remove_skips(module, method="carry")
    with torch.no_grad():
        torch.testing.assert_close(carried(inputs), module(inputs), rtol=1e-4, atol=1e-4)
    return carried


def pre_activation(*layers):
    return PlainSkip(nn.Sequential(nn.ReLU(), *layers))


LINES = {
    "norm after an activation": nn.Sequential(PlainSkip(nn.Conv1d(4, 4, 1)), nn.GELU(), nn.BatchNorm1d(4)),
    "norm after circular padding": nn.Sequential(
        PlainSkip(nn.Conv1d(4, 4, 1)), nn.Conv1d(4, 4, 3, padding=1, padding_mode="circular"), nn.BatchNorm1d(4)
    ),
    "norm first": nn.Sequential(nn.BatchNorm1d(4), PlainSkip(nn.Conv1d(4, 4, 1))),
    "convolution after columns": nn.Sequential(PlainSkip(nn.Linear(4, 4)), nn.Conv1d(4, 4, 1)),
    "columns after a convolution": nn.Sequential(PlainSkip(nn.Conv1d(4, 4, 1)), nn.Linear(4, 4), nn.BatchNorm1d(4)),
    "norm after pooling": nn.Sequential(nn.AvgPool1d(3, 1, 1), nn.BatchNorm1d(4), PlainSkip(nn.Conv1d(4, 4, 1))),
    "norms of another axis": nn.Sequential(nn.GELU(), nn.BatchNorm1d(4), PlainSkip(nn.Conv1d(4, 4, 1)), nn.Flatten()),
}


@pytest.mark.parametrize("name", LINES)
def test_layers_read_the_axis_that_they_read(name):
    """On lines as long as they have channels, no layer takes one axis for the other."""
    assert_carried(normed(LINES[name]), 4, 4)


def test_pooling_of_one_axis_tells_no_axes():
    """Of (n, features) it pools the n rows as channels, and a norm after it still reads features."""
    module = normed(nn.Sequential(nn.AvgPool1d(3, 1, 1), nn.BatchNorm1d(2), PlainSkip(nn.Linear(2, 2))))
    assert_carried(module, 2)


def test_norms_among_linear_layers_refuse_lines():
    """A norm after a linear layer is of (n, features): what nn.Flatten does not say, the result demands."""
    block = PlainSkip(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 4)))
    carried = assert_carried(normed(block), 4)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        carried(torch.randn(2, 4, 4))
    flat = assert_carried(normed(nn.Sequential(nn.Flatten(), block)), 2, 2)
    assert sum(isinstance(layer, nn.Flatten) for layer in flat) == 1


def test_sums_over_different_axes_are_refused():
    """What reads the last axis and what reads the first are not added."""

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.row, self.column = nn.Linear(4, 4), nn.Conv1d(4, 4, 1)

        def forward(self, x):
            return self.row(x) + self.column(x)

    with pytest.raises(
        tn.UnsupportedModuleError, match=r"'add' in the forward .* equally many axes of pixels, got 0 and 1"
    ):
        remove_skips(Both(), method="carry")


FIRST = {
    "pre-activation": pre_activation(nn.Conv2d(4, 4, 3, padding=1)),
    "leaky": nn.Sequential(nn.LeakyReLU(), pre_activation(nn.Conv2d(4, 4, 3, padding=1))),
    "reflected": nn.Sequential(
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), nn.ReLU(), PlainSkip(nn.Conv2d(4, 4, 1))
    ),
    "groups": nn.Sequential(nn.Conv2d(4, 4, 1, groups=2), nn.ReLU(), PlainSkip(nn.Conv2d(4, 4, 3, padding=1))),
    "pooled": nn.Sequential(nn.MaxPool2d(2), nn.ReLU(), PlainSkip(nn.Conv2d(4, 4, 3, padding=1))),
    "statistics of the batch": nn.Sequential(
        nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4, track_running_stats=False), nn.ReLU(), PlainSkip(nn.Conv2d(4, 4, 1))
    ),
}


@pytest.mark.parametrize("name", FIRST)
def test_layers_tell_of_what_comes_before_them(name):
    """Channels and axes before the first layer, and after modules that are not understood, are those it reads."""
    assert_carried(normed(FIRST[name]), 4, 8, 8)


def test_norms_of_unknown_axes_are_not_leapt_over():
    """A norm that no layer places is refused by name, with what to do."""
    with pytest.raises(tn.UnsupportedModuleError, match=r"1\.main\.0 \(BatchNorm1d\) .* nn\.Flatten\(\) before it"):
        remove_skips(
            nn.Sequential(nn.GELU(), PlainSkip(nn.Sequential(nn.BatchNorm1d(4), nn.GELU()))).eval(), method="carry"
        )


class Called(nn.Module):
    """A skip and then a function."""

    def __init__(self, function):
        super().__init__()
        self.linear, self.function = PlainSkip(nn.Linear(3, 3)), function
        self.scale = nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))

    def forward(self, x):
        return self.function(self, self.linear(x))


def test_the_graph_is_that_of_eval_mode():
    """What a forward does in training only is not carried."""
    for function in (
        lambda module, x: functional.dropout(x, training=module.training),
        lambda module, x: functional.tanh(x * (2.0 if module.training else 1.0)),
    ):
        module = Called(function)
        carried = remove_skips(module, method="carry")
        assert module.training
        x = torch.randn(2, 3)
        torch.testing.assert_close(carried(x), module.eval()(x))


def test_tensors_of_functions_belong_to_the_result():
    """They have the type of the module, are in its state, and can be trained where they could."""
    carried = assert_carried(Called(lambda module, x: x * module.scale), 3)
    assert carried(torch.randn(2, 3)).dtype == torch.float32
    assert any(torch.equal(p, torch.tensor([1.0, 2.0, 3.0])) for p in carried.parameters())
    carried = assert_carried(Called(lambda _, x: x + torch.ones(3)), 3)
    assert any(torch.equal(b, torch.ones(3)) for b in carried.buffers())


def test_functions_called_by_keywords():
    """The value may come as input=; two values are refused however they come."""
    assert_carried(Called(lambda _, x: torch.softmax(input=x, dim=1)), 3)
    with pytest.raises(tn.UnsupportedModuleError, match="'matmul' in the forward"):
        remove_skips(Called(lambda _, x: torch.matmul(x, other=x)), method="carry")


class Doubled(WeightedSkip):
    def forward(self, x):
        return 2 * super().forward(x)


class DoubledChain(WeightedChain):
    def forward(self, x):
        return 2 * super().forward(x)


def skip():
    return WeightedSkip(nn.Linear(3, 3), t=0.0)


def hooked():
    module = skip()
    module.register_forward_hook(lambda _module, _inputs, output: 2 * output)
    return module


class Listed(nn.Module):
    """Runs its skip by a list that PyTorch does not see."""

    def __init__(self):
        super().__init__()
        self.block = skip()
        self.order = {"first": [self.block]}

    def forward(self, x):
        return self.order["first"][0](x)


KEPT = {
    "subclass": (Doubled(nn.Linear(3, 3), t=0.0), r"0 \(Doubled\) has a forward of its own"),
    "subclass of a chain": (DoubledChain([nn.ReLU()] * 2, [(0, 2)], t=0.0), r"0 \(DoubledChain\) has a forward"),
    "hook": (hooked(), "0 has forward hooks, which would go with the skip"),
    "list": (Listed(), "0 holds a skip in its attribute 'order', by which it would run on"),
    "meta device": (skip().to("meta"), "must hold data, but 0.main.weight is on the meta device"),
}


@pytest.mark.parametrize("name", KEPT)
def test_what_dropping_would_lose_or_leave_is_refused(name):
    """Forwards and hooks of skips, skips in plain containers, and modules without data are named."""
    module, message = KEPT[name]
    with pytest.raises(tn.UnsupportedModuleError, match=message):
        remove_skips(nn.Sequential(module))


@pytest.mark.parametrize("method", ["drop", "carry"])
def test_what_is_no_network_is_refused(method):
    """Other objects, stacked trials and modules that cannot be copied are refused by name."""
    with pytest.raises(tn.SkipError, match=r"module must be a torch\.nn\.Module, got int"):
        remove_skips(3, method=method)
    with pytest.raises(tn.SkipError, match=r"the module itself is StackedTrials.*\.unstacked\(\)"):
        remove_skips(StackedTrials([nn.Sequential(skip())]), method=method)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        module = WeightedSkip(nn.utils.weight_norm(nn.Linear(3, 3)), t=0.0)
    module(torch.randn(2, 3))
    with pytest.raises(tn.UnsupportedModuleError, match="call remove_weight_norm first"):
        remove_skips(module, method=method)


def test_layers_of_a_chain_keep_their_modes():
    """A frozen norm within a chain that is trained stays in eval mode."""
    chain = WeightedChain([nn.Sequential(nn.BatchNorm1d(2)).eval(), nn.Identity(), nn.Identity()], [(1, 3)], t=0.0)
    x = torch.randn(8, 2)
    removed = remove_skips(chain)
    assert [part.training for part in removed] == [False, True, True]
    assert removed.training
    assert torch.equal(removed(x), chain(x))


@pytest.mark.parametrize("method", ["drop", "carry"])
def test_skips_within_compiled_parts_are_removed(method):
    """A compiled submodule does not run its skip on."""
    compiled = torch.compile(skip(), backend="eager")
    module = nn.Sequential(compiled, nn.ReLU(), compiled)
    removed = remove_skips(module, method=method)
    assert {type(part) for part in removed.modules()} == {nn.Sequential, nn.Linear, nn.ReLU}
    assert isinstance(module[0]._orig_mod, WeightedSkip)
    x = torch.randn(2, 3)
    torch.testing.assert_close(removed(x), module[0]._orig_mod(module[0]._orig_mod(x).relu()))


def test_trials_keep_what_is_frozen():
    """Frozen parameters stay frozen, stacked and not."""
    models = [nn.Linear(2, 2) for _ in range(2)]
    for model in models:
        model.weight.requires_grad_(False)
    trials = StackedTrials(models)
    assert [p.requires_grad for p in trials.parameters()] == [False, True]
    assert [p.requires_grad for p in trials.unstacked()[0].parameters()] == [False, True]
    with pytest.raises(tn.ShapeError, match="what is frozen"):
        StackedTrials([models[0], nn.Linear(2, 2)])


def test_trials_of_strengths_that_look_alike_are_refused():
    """Strengths are compared as numbers, not as printed; and no parameter may stand at two places."""
    with pytest.raises(tn.ShapeError, match="equal strengths of skips, got 2 kinds"):
        StackedTrials([WeightedSkip(nn.ReLU(), t=t) for t in (0.1, 0.1000004)])
    tied = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    tied[1].weight = tied[0].weight
    with pytest.raises(tn.UnsupportedModuleError, match="two modules share one"):
        StackedTrials([tied])

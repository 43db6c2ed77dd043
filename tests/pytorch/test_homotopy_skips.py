"""Weighted skips: what they compute, everywhere PyTorch takes a module, and dropping them."""

import io
import subprocess
import sys
import warnings
from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import fx, nn

import tropnet as tn
from tropnet.homotopy import PlainChain, PlainSkip, WeightedChain, WeightedSkip, remove_skips, set_skip_strength

X = torch.linspace(-2, 2, 20, dtype=torch.float64).reshape(5, 4)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def block(t=0.25, projection=False):
    main = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 4))
    return WeightedSkip(main, nn.Linear(4, 4, bias=False) if projection else None, t=t)


def network(t=0.25):
    """Return a network with two weighted skips, one of them projecting, and a chain."""
    chain = WeightedChain([nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 2)], [(0, 2), (1, 3), (1, 4)], t=t)
    return nn.Sequential(block(t), nn.ReLU(), block(t, projection=True), nn.ReLU(), chain).double()


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("projection", [False, True])
def test_a_weighted_skip_is_the_weighted_sum(t, projection):
    """The output is (1 - t) main(x) + t skip(x); at 0 it is main(x) and at 1 skip(x), exactly."""
    skip = block(t, projection).double()
    set_skip_strength(skip, t)
    torch.testing.assert_close(skip(X), (1 - t) * skip.main(X) + t * skip.skip(X), rtol=0, atol=1e-15)
    if t in (0, 1):
        assert torch.equal(skip(X), skip.skip(X) if t else skip.main(X))


def test_a_chain_is_the_recursion():
    """Each layer reads (1 - t) times the layer before plus t times the mean of its skips, written out by hand."""
    layers = [nn.Linear(4, 4).double() for _ in range(4)]
    half = nn.Linear(4, 4, bias=False).double()
    chain = WeightedChain(layers, {(1, 3): None, (1, 4): half, (2, 4): None}, t=0.5)
    f_1 = layers[0](X)
    f_2 = layers[1](f_1)
    f_3 = layers[2](0.5 * f_2 + 0.5 * f_1)
    expected = layers[3](0.5 * f_3 + 0.25 * (half(f_1) + f_2))
    torch.testing.assert_close(chain(X), expected)
    plain = PlainChain(layers, {(1, 3): None, (1, 4): half, (2, 4): None})
    f_3 = layers[2](f_2 + f_1)
    torch.testing.assert_close(plain(X), layers[3](f_3 + half(f_1) + f_2))


def test_strength_is_saved_moved_copied_and_replicated():
    """The strength is in the state dict, in copies, pickles and replicas, and follows the type of the module."""
    module = network(0.125)
    other = network(0.5)
    other.load_state_dict(module.state_dict())
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    for found in (other, deepcopy(module), loaded):
        assert torch.equal(found(X), module(X))
        assert found[0].t.item() == 0.125
    set_skip_strength(other, 0.75)
    assert (module[0].t.item(), other[0].t.item()) == (0.125, 0.75)
    assert module[0].t.dtype == torch.float64
    assert deepcopy(module).half()[0].t.dtype == torch.float16
    assert "t=0.125" in repr(module)
    assert "t without data" in repr(deepcopy(module).to("meta"))


def test_replicas_of_data_parallel_have_the_strength():
    """What DataParallel copies to each device, parameters and buffers, holds the strength."""
    module = network(0.125)
    buffers = dict(module.named_buffers())
    assert sorted(buffers) == ["0.t", "2.t", "4.t"]
    replica = module._replicate_for_data_parallel()
    assert torch.equal(replica(X), module(X))


def test_autocast_gives_what_a_plain_skip_gives():
    """Under autocast types mix as in main(x) + skip(x), and the values agree to bfloat16."""
    module = block(0.5)
    plain = PlainSkip(module.main, module.skip)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, expected = module(X.float()), plain(X.float())
    assert found.dtype == expected.dtype
    torch.testing.assert_close(2 * found.float(), expected.float(), rtol=0.02, atol=0.02)


def test_graphs_read_the_new_strength():
    """Graphs of torch.jit.trace and torch.export read a strength that is set later; torch.fx keeps that of now."""
    module = network(0.25).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        traced = torch.jit.trace(module, X)
    torch.testing.assert_close(fx.symbolic_trace(module)(X), module(X))
    graphs = {"jit": traced, "export": torch.export.export(module, (X,)).module()}
    for graph in graphs.values():
        torch.testing.assert_close(graph(X), module(X))
        set_skip_strength_of_buffers(graph, 0.75)
    set_skip_strength(module, 0.75)
    for name, graph in graphs.items():
        torch.testing.assert_close(graph(X), module(X), msg=name)


def set_skip_strength_of_buffers(graph, t):
    for name, buffer in graph.named_buffers():
        if name.endswith("t"):
            buffer.fill_(t)


def test_compiled_module_is_compiled_once():
    """torch.compile reads each new strength without compiling again."""
    module = network(0.9)
    compilations = []

    def backend(graph, _):
        compilations.append(graph)
        return graph.forward

    compiled = torch.compile(module, backend=backend)
    for t in (0.9, 0.5, 0.1, 0.0):
        set_skip_strength(compiled, t)
        torch.testing.assert_close(compiled(X), module(X))
    assert len(compilations) == 1
    assert not isinstance(remove_skips(compiled), type(compiled))
    assert torch.equal(remove_skips(compiled)(X), module(X))


def test_shapes_that_would_broadcast_are_refused():
    """A skip that gives one channel for four is refused, not broadcast."""
    with pytest.raises(tn.ShapeError, match=r"shape that it is added to, \(5, 4\), got \(5, 1\)"):
        WeightedSkip(nn.Linear(4, 4), nn.Linear(4, 1)).double()(X)
    with pytest.raises(tn.ShapeError, match=r"\(5, 4\), got \(5, 1\)"):
        PlainChain([nn.Identity(), nn.Identity()], {(0, 2): nn.Linear(4, 1)}).double()(X)


@pytest.mark.parametrize("t", [-0.1, 1.5, float("nan"), "much", None])
def test_strengths_outside_of_the_interval_are_refused(t):
    """A strength is a number in [0, 1]."""
    with pytest.raises(tn.SkipError, match=r"t must be a skip strength in \[0, 1\]"):
        set_skip_strength(block(), t)


@pytest.mark.parametrize("skip", [(1, 2), (-1, 2), (2, 2), (1, 5)])
def test_pairs_that_are_no_skips_are_refused(skip):
    """A skip leaps over at least one of the layers of its chain."""
    with pytest.raises(tn.SkipError, match=r"0 <= k < l - 1 and l <= 3"):
        WeightedChain([nn.Identity()] * 3, [skip])


def test_a_module_without_skips_is_refused():
    """Setting or removing what is not there is refused, not ignored."""
    with pytest.raises(tn.SkipError, match="but Linear holds none"):
        set_skip_strength(nn.Linear(2, 2), 0.0)
    with pytest.raises(tn.SkipError, match="but Linear holds none"):
        remove_skips(nn.Linear(2, 2))


def test_removal_is_exact_and_smaller():
    """At t = 0 the module without skips gives equal outputs, with the same parameters and fewer steps."""
    module = network(0.0)
    removed = remove_skips(module)
    assert torch.equal(removed(X), module(X))
    assert not any(isinstance(part, WeightedSkip | WeightedChain) for part in removed.modules())
    kept = [value for name, value in module.state_dict().items() if ".main." in name or ".layers." in name]
    for value, expected in zip(removed.state_dict().values(), kept, strict=True):
        assert torch.equal(value, expected)
    before, after = (fx.symbolic_trace(m).graph.nodes for m in (module, removed))
    assert len(after) < len(before)
    assert not any(node.op in ("call_function", "get_attr") for node in after)
    assert removed[0][0].weight is not module[0].main[0].weight


def test_removal_keeps_modes_shared_modules_and_nesting():
    """Nested skips go too, a block that stands at two places stays one, and modes stay as they are."""
    inner = block(0.0)
    module = nn.Sequential(WeightedSkip(nn.Sequential(inner, nn.Dropout(0.5)), t=0.0), inner).double().eval()
    removed = remove_skips(module)
    assert removed[1] is removed[0][0]
    assert torch.equal(removed(X), module(X))
    assert not any(part.training for part in removed.modules())


def test_strengths_other_than_zero_are_refused_or_named():
    """Dropping an active skip needs force, which says which skips changed the function."""
    module = network(0.0)
    set_skip_strength(module[2], 0.25)
    with pytest.raises(tn.SkipError, match=r"but 2 \(t = 0.25\) would change the function"):
        remove_skips(module)
    with pytest.warns(UserWarning, match=r"another function than the module: 2 \(t = 0.25\)"):
        removed = remove_skips(module, force=True)
    set_skip_strength(module, 0.0)
    assert torch.equal(removed(X), module(X))
    with pytest.raises(tn.SkipError, match="the module itself"):
        remove_skips(block(1.0))


def test_plain_skips_cannot_be_dropped():
    """A plain skip has no strength; it is named."""
    with pytest.raises(tn.SkipError, match=r"but 1 \(plain skips\) have none"):
        remove_skips(nn.Sequential(block(0.0), PlainSkip(nn.Linear(4, 4))))


@pytest.mark.parametrize("t", [0.0, 0.25, 1.0])
def test_importers_read_weighted_skips(t):
    """from_torch reads a network at its strength, and collapse an affine one; outputs agree."""
    module = network(t)
    net = tn.from_torch(module)
    np.testing.assert_allclose(net(X.numpy()), module(X).detach().numpy(), rtol=1e-12, atol=1e-12)
    affine = WeightedSkip(nn.Linear(4, 4), nn.Linear(4, 4), t=t).double()
    found = tn.collapse(affine, (4,))(X.numpy())
    np.testing.assert_allclose(found, affine(X).detach().numpy(), rtol=1e-12, atol=1e-12)


def test_without_torch_the_extra_is_named():
    """Both ways to the room say which extra is missing."""
    code = """
import sys
sys.modules["torch"] = None
import tropnet as tn
try:
    tn.homotopy
except tn.MissingExtraError as error:
    print(error)
try:
    from tropnet.homotopy import WeightedSkip
except tn.MissingExtraError as error:
    print(error)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.count("pip install 'tropnet[torch]'") == 2

"""The paper's networks: their layers, their skips in three forms, and removing these without changing the function."""

import numpy as np
import pytest
import torch
from torch import fx, nn

import tropnet as tn
from tropnet.homotopy import PlainSkip, WeightedSkip, remove_skips, resnet18, resnet34, set_skip_strength, skip_cnn

ARCHITECTURES = {
    "resnet18": lambda skips="weighted", t=0.5: resnet18(skips, t=t, width=4),
    "resnet34": lambda skips="weighted", t=0.5: resnet34(skips, t=t, width=4),
    "3-layer CNN": lambda skips="weighted", t=0.5: skip_cnn(3, skips, t=t, channels=3),
    "6-layer CNN": lambda skips="weighted", t=0.5: skip_cnn(6, skips, t=t, channels=3),
    "3-layer CNN, resampled": lambda skips="weighted", t=0.5: skip_cnn(3, skips, t=t, channels=3, padded=False),
    "6-layer CNN, resampled": lambda skips="weighted", t=0.5: skip_cnn(6, skips, t=t, channels=3, padded=False),
}
IMAGES = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def trained(network):
    """Return the network with statistics of batch norm that are not those of the start, in eval mode."""
    network.train()(IMAGES)
    return network.eval()


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_removal_at_zero_is_the_same_function(name, training):
    """At t = 0 the network without skips gives equal outputs, in either mode, by fewer steps and no sums."""
    network = trained(ARCHITECTURES[name]()).train(training)
    set_skip_strength(network, 0.0)
    removed = remove_skips(network)
    with torch.no_grad():
        assert torch.equal(removed(IMAGES), network(IMAGES))
    before, after = (fx.symbolic_trace(module).graph.nodes for module in (network, removed))
    assert len(after) < len(before)
    assert not any(node.op == "call_function" for node in after)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_three_forms_share_their_weights(name):
    """Removed skips have the state of the form "none", and weighted ones that of the plain form but for t."""
    weighted = ARCHITECTURES[name](t=0.0)
    none, plain = ARCHITECTURES[name]("none"), ARCHITECTURES[name]("plain")
    none.load_state_dict(remove_skips(weighted).state_dict())
    assert torch.equal(none.eval()(IMAGES), weighted.eval()(IMAGES))
    state = {key: value for key, value in weighted.state_dict().items() if not key.endswith(".t")}
    plain.load_state_dict(state)
    assert plain.eval()(IMAGES).shape == (4, 10)


@pytest.mark.parametrize(("make", "n_layers", "n_parameters"), [(resnet18, 18, 11_689_512), (resnet34, 34, 21_797_672)])
def test_resnets_have_the_layers_of_resnets(make, n_layers, n_parameters):
    """Layers without projections give the name; the parameters are those of ImageNet's but for gray and ten classes."""
    network = make("plain")
    weights = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    projections = [m for m in weights if getattr(m, "kernel_size", None) == (1, 1)]
    assert len(weights) - len(projections) == n_layers
    assert len(projections) == 3
    assert sum(p.numel() for p in network.parameters()) == n_parameters - 2 * 64 * 49 - 990 * 513
    assert sum(isinstance(m, PlainSkip) for m in network.modules()) == (n_layers - 2) // 2


def test_the_cnn_is_the_recursion():
    """The three-layer CNN without padding: layer 3 reads f_2 and f_1 resampled, weighted by 1 - t and t."""
    network = skip_cnn(3, t=0.25, channels=2, padded=False)
    first, second, third = network[0].layers
    with torch.no_grad():
        f_1 = first(IMAGES)
        rows = ((np.arange(24) + 0.5) * 26 / 24).astype(int)
        f_3 = third(0.25 * f_1[:, :, rows][..., rows] + 0.75 * second(f_1))
        torch.testing.assert_close(network(IMAGES), network[2](f_3.flatten(1)))


def test_the_six_layer_cnn_has_a_skip_between_all_layers_that_do_not_follow():
    """Ten skips, and in the plain form layer 4 reads f_3 + f_1 + f_2."""
    network = skip_cnn(6, "plain", channels=2)
    chain = network[0]
    assert set(chain.skips) == {f"{k}-{target}" for target in range(3, 7) for k in range(1, target - 1)}
    with torch.no_grad():
        f = [IMAGES]
        for index, layer in enumerate(chain.layers, start=1):
            f.append(layer(f[-1] + sum(f[k] for k in range(1, index - 1))))
        torch.testing.assert_close(chain(IMAGES), f[-1])


def test_gradients_reach_every_parameter():
    """At a strength between 0 and 1 every parameter learns; at 0 those of the projections do not."""
    network = ARCHITECTURES["resnet18"]()
    network(IMAGES).square().sum().backward()
    assert all(p.grad.abs().max() > 0 for p in network.parameters())
    network.zero_grad()
    set_skip_strength(network, 0.0)
    network(IMAGES).square().sum().backward()
    still = {name for name, p in network.named_parameters() if p.grad.abs().max() == 0}
    assert still
    assert all(".skip." in name for name in still)


def test_linear_forms_collapse():
    """Without activations the CNN is affine at any strength."""
    network = skip_cnn(3, t=0.25, channels=1, padded=False, activation=nn.Identity).double()
    affine = tn.collapse(network, (1, 28, 28))
    expected = network(IMAGES.double()).detach().numpy()
    np.testing.assert_allclose(affine(IMAGES.double().flatten(1).numpy()), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("t", [0.0, 0.25])
def test_importers_read_the_networks(t):
    """from_torch reads a small ResNet block by block and a CNN, at a strength, with the same outputs."""
    resnet = trained(resnet18(width=1, t=t))
    block = nn.Sequential(resnet.blocks[:3], resnet.classifier[1], nn.Linear(32, 2)).double()
    images = torch.rand(3, 1, 8, 8, dtype=torch.float64)
    expected = block(images).detach().numpy()
    net = tn.from_torch(block, (1, 8, 8))
    np.testing.assert_allclose(net(images.flatten(1).numpy()), expected, rtol=1e-10, atol=1e-12)
    chain = skip_cnn(3, t=t, channels=1)[0].double()
    expected = chain(images).detach().flatten(1).numpy()
    net = tn.from_torch(chain, (1, 8, 8))
    np.testing.assert_allclose(net(images.flatten(1).numpy()), expected, rtol=1e-10, atol=1e-12)


def test_other_forms_are_refused():
    """Unknown forms, strengths and depths are named."""
    with pytest.raises(tn.SkipError, match="skips must be 'weighted', 'plain' or 'none', got 'strong'"):
        skip_cnn(3, "strong")
    with pytest.raises(tn.SkipError, match=r"t must be a skip strength in \[0, 1\], got 2"):
        resnet18(t=2, width=1)
    with pytest.raises(tn.ShapeError, match="without padding at most 13, got 14"):
        skip_cnn(14, padded=False)
    assert isinstance(resnet18(width=1).blocks[0][0], WeightedSkip)

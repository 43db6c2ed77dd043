"""Activations with a slope: what they compute, how slopes go to one, and what is read of them."""

import numpy as np
import pytest
import torch
from torch import nn

import tropnet as tn
from tropnet.homotopy.models.activations import ActivationSlope, LinearActivationSlope, activation_slopes

Z = torch.linspace(-2, 2, 24, dtype=torch.float64).reshape(4, 6)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def cnn():
    """Return a small network of two activations: 2 x 3 x 3 and 5 neurons, 5 x 5 images."""
    return nn.Sequential(
        nn.Conv2d(1, 2, 3),
        ActivationSlope((2, 3, 3)),
        nn.Flatten(),
        nn.Linear(18, 5),
        ActivationSlope(5),
        nn.Linear(5, 3),
    ).double()


def test_slopes_from_relu_to_nothing():
    """Slope 0 is ReLU and slope 1 the identity, exactly; in between the negative part is scaled, neuron by neuron."""
    activation = ActivationSlope(6).double()
    assert torch.equal(activation(Z), Z.relu())
    activation.slope.copy_(torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0, 1.0]))
    expected = Z.clamp(min=0) + activation.slope * Z.clamp(max=0)
    assert torch.equal(activation(Z), expected)
    activation.slope.fill_(1.0)
    assert torch.equal(activation(Z), Z)


def test_slopes_are_saved_and_not_trained():
    """They are part of the state dict and no parameters; the representation says how many neurons are nonlinear."""
    activation = ActivationSlope((2, 3))
    activation.slope[0] = 1.0
    other = ActivationSlope((2, 3))
    other.load_state_dict(activation.state_dict())
    assert torch.equal(other.slope, activation.slope)
    assert not list(activation.parameters())
    assert repr(activation) == "ActivationSlope((2, 3), 3 nonlinear)"


def test_other_shapes_are_refused():
    with pytest.raises(tn.ShapeError, match=r"must have shape \(n, 2, 3\), one slope per entry, got \(4, 6\)"):
        ActivationSlope((2, 3))(Z)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_networks_read_and_fold(share):
    """The imported network is the same function, and so is the folded one, of the nonlinear neurons only."""
    model = cnn()
    for part in activation_slopes(model).values():
        part.slope.copy_((torch.rand(part.slope.shape) < share).double())
    n_left = sum(int((part.slope != 1).sum()) for part in activation_slopes(model).values())
    net = tn.from_torch(model, (1, 5, 5)).without_affine_neurons()
    assert net.n_neurons == n_left
    x = torch.randn(20, 1, 5, 5, dtype=torch.float64)
    with torch.no_grad():
        np.testing.assert_allclose(net(x.flatten(1).numpy()), model(x).numpy(), rtol=0, atol=1e-13)


def chosen():
    return {"1": torch.arange(18).reshape(2, 3, 3) % 2 == 0, "4": torch.tensor([True, False, False, False, True])}


def test_the_chosen_neurons_go_and_the_others_stay():
    """Slopes rise by equal steps from where they are, and are exactly 1 at the end; others are not touched."""
    model = cnn()
    activation_slopes(model)["4"].slope[1] = 0.3
    schedule = LinearActivationSlope(model, chosen(), total_iters=3)
    assert activation_slopes(model)["1"].slope.sum() == 0
    for step in (1, 2, 3, 4):
        schedule.step()
        done = min(step / 3, 1)
        slopes = {name: part.slope for name, part in activation_slopes(model).items()}
        torch.testing.assert_close(slopes["1"], done * chosen()["1"].double())
        torch.testing.assert_close(slopes["4"], torch.tensor([done, 0.3, 0, 0, done], dtype=torch.float64))
    assert (slopes["1"][chosen()["1"]] == 1).all()


def test_a_schedule_goes_on_from_its_state():
    """After loading the state, in another module too, the slopes are those of a schedule never stopped."""
    model, other = cnn(), cnn()
    schedule = LinearActivationSlope(model, chosen(), total_iters=5)
    for _ in range(2):
        schedule.step()
    resumed = LinearActivationSlope(other, {}, total_iters=1)
    resumed.load_state_dict(schedule.state_dict())
    for _ in range(2):
        schedule.step()
        resumed.step()
    for name, part in activation_slopes(model).items():
        assert torch.equal(part.slope, activation_slopes(other)[name].slope)


def test_bad_schedules_are_refused():
    """A module without such activations, names and shapes that are not the module's, no steps: each names what is."""
    with pytest.raises(tn.UnsupportedModuleError, match="must hold an ActivationSlope, but Linear holds none"):
        LinearActivationSlope(nn.Linear(2, 2), {}, 3)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        LinearActivationSlope(cnn(), chosen(), 0)
    for neurons in (
        {"2": torch.ones(5, dtype=torch.bool)},
        {"4": torch.ones(4, dtype=torch.bool)},
        {"4": torch.ones(5)},
    ):
        with pytest.raises(tn.ShapeError, match=r"of shapes \{'1': \(2, 3, 3\), '4': \(5,\)\}, by those names; got"):
            LinearActivationSlope(cnn(), neurons, 3)

"""A tracker in a plain PyTorch loop."""

import numpy as np
import torch
from torch import nn

import tropnet as tn


def test_callback_records_the_module_as_it_is():
    """The same as the networks that `from_torch` reads at these epochs; training goes on undisturbed."""

    def loop(record):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 1))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
        x = torch.linspace(-1, 1, 40).reshape(20, 2)
        for epoch in range(30):
            if epoch % 10 == 0:
                record(model, epoch)
            optimizer.zero_grad()
            nn.functional.mse_loss(model(x), x.prod(dim=1, keepdim=True)).backward()
            optimizer.step()
        return [parameter.detach().clone() for parameter in model.parameters()]

    tracker, nets = tn.RegionTracker(tn.Box(-1, 1)), []
    watched = loop(tracker.callback)
    alone = loop(lambda model, _: nets.append(tn.from_torch(model)))
    assert all(torch.equal(one, other) for one, other in zip(watched, alone, strict=True))
    assert tracker.steps.tolist() == [0, 10, 20]
    for i, net in enumerate(nets):
        assert np.array_equal(
            np.unique(tracker.patterns[tracker.numbers(i)], axis=0),
            np.unique(tn.enumerate_regions(net, tn.Box(-1, 1)).patterns, axis=0),
        )


def test_callback_takes_what_from_torch_takes():
    """A shape, where the first layer does not tell it, and the logits of a last sigmoid."""
    body = [nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)]
    alone = tn.RegionTracker(tn.Box(-1, 1)).callback(nn.Sequential(*body))
    module = nn.Sequential(nn.BatchNorm1d(2, affine=False, eps=0.0), *body, nn.Sigmoid()).eval()
    regions = tn.RegionTracker(tn.Box(-1, 1)).callback(module, input_shape=(2,), output="logits")
    assert np.array_equal(np.unique(regions.patterns, axis=0), np.unique(alone.patterns, axis=0))

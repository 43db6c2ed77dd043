"""How far any affine classifier gets: a convex problem, beside which networks are judged."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from analysis.shared.mnist import Data
from tropnet.progress import track

__all__ = ["affine_limit", "share_right"]


def affine_limit(data: Data, test: Data, iterations: int) -> dict[str, Any]:
    """Fit one affine map to the training images by full-batch L-BFGS: how far any affine classifier gets.

    The cross-entropy is convex in the map, so its minimum does not depend on where the fit begins, and no network that
    is affine, however deep, has a smaller one.

    Returns
    -------
    dict
        iterations; loss and train_accuracy on the training images; accuracy on the test images at the end, and
        best_accuracy after any tenth iteration (as if the test images told when to stop).
    """
    linear = nn.Linear(data.images[0].numel(), 10, device=data.images.device)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    images, held_out = data.images.flatten(1), test.images.flatten(1)
    optimiser = torch.optim.LBFGS(linear.parameters(), max_iter=10, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = functional.cross_entropy(linear(images), data.labels)
        value.backward()
        return value

    found: dict[str, Any] = {"iterations": iterations, "best_accuracy": 0.0}
    with track("best affine classifier", "iterations", enabled=True) as update:
        for done in range(10, iterations + 1, 10):
            optimiser.step(loss)
            update(done, done / iterations)
            with torch.no_grad():
                found["accuracy"] = share_right(linear(held_out), test.labels)
            found["best_accuracy"] = max(found["best_accuracy"], found["accuracy"])
    with torch.no_grad():
        logits = linear(images)
    found["loss"] = float(functional.cross_entropy(logits, data.labels))
    found["train_accuracy"] = share_right(logits, data.labels)
    return found


def share_right(logits: Tensor, labels: Tensor) -> float:
    """Return the share of the images whose largest logit is that of their label."""
    return int((logits.argmax(1) == labels).sum()) / len(labels)

"""The general activation of a `Network`, as a PyTorch module."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

__all__ = ["TwoSlopes"]


class TwoSlopes(nn.Module):  # type: ignore[misc]  # mypy does not follow torch, so nn.Module is Any
    """Computes ``positive * z`` for z > 0 and ``negative * z`` otherwise, with two slopes per neuron.

    Parameters
    ----------
    negative, positive
        Tensors of shape (n,).
    """

    def __init__(self, negative: Any, positive: Any) -> None:
        super().__init__()
        self.register_buffer("negative", negative)
        self.register_buffer("positive", positive)

    def forward(self, z: Any) -> Any:
        """Return the activations of z, (n_points, n)."""
        return torch.where(z > 0, self.positive * z, self.negative * z)

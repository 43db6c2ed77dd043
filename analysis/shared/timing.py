"""Prediction times."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["microseconds", "wait"]

_SHORTEST_TIMING = 0.1


def microseconds(model: nn.Module, batches: Sequence[Tensor]) -> float:
    """Return the mean time per image, over as many passes as take a tenth of a second."""
    passes, elapsed = 0, 0.0
    with torch.no_grad():
        for images in batches[:8]:
            model(images)
        wait(batches[0])
        begin = time.perf_counter()
        while elapsed < _SHORTEST_TIMING:
            for images in batches:
                model(images)
            wait(batches[0])
            passes += 1
            elapsed = time.perf_counter() - begin
    return 1e6 * elapsed / (passes * sum(map(len, batches)))


def wait(tensor: Tensor) -> None:
    """Wait until the device of a tensor has done its work."""
    if tensor.is_cuda:
        torch.cuda.synchronize()

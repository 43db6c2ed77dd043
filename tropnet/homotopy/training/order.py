"""The order of the examples in an epoch: a function of seed, epoch and trial alone, so that a run can be repeated."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

__all__ = ["order_of_examples"]


def order_of_examples(n: int, seed: int, epoch: int, n_trials: int | None) -> Any:
    """Return a permutation of n examples, of trials one for each, (n_trials, n)."""
    if n_trials is None:
        return _permutation((seed, epoch), n)
    return torch.stack([_permutation((seed, epoch, trial), n) for trial in range(n_trials)])


def _permutation(entropy: tuple[int, ...], n: int) -> Any:
    seed = np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]
    return torch.randperm(n, generator=torch.Generator().manual_seed(int(seed)))

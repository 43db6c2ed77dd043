"""Random weights and biases, by the rules that training starts from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import sqrt

import numpy as np

from tropnet.arrays.types import FloatArray
from tropnet.errors import ShapeError

__all__ = ["INITS", "random_weights"]

Rule = Callable[[np.random.Generator, int, int], FloatArray]


def random_weights(
    widths: Sequence[int], init: str, rng: np.random.Generator
) -> tuple[list[FloatArray], list[FloatArray]]:
    """Draw weights (n_out, n_in) and biases (n_out,) of layers of these widths; see `Network.random`.

    Raises
    ------
    ValueError
        There is no such `init`.
    ShapeError
        The widths are fewer than two, or not positive.
    """
    if init not in INITS:
        raise ValueError(f"init must be one of {', '.join(INITS)}, got {init!r}.")
    if len(widths) < 2 or any(int(width) < 1 for width in widths):
        raise ShapeError(f"widths must be at least two positive numbers (inputs, ..., outputs), got {list(widths)}.")
    weights, biases = [], []
    for fan_in, fan_out in pairwise(widths):
        weights.append(INITS[init](rng, fan_in, fan_out))
        biases.append(_uniform(rng, 1 / sqrt(fan_in), fan_out))
    return weights, biases


def _uniform(rng: np.random.Generator, limit: float, shape: int | tuple[int, int]) -> FloatArray:
    return rng.uniform(-limit, limit, shape)


# How each rule draws a weight (fan_out, fan_in) from a generator, fan_in and fan_out.
INITS: Mapping[str, Rule] = {
    "torch": lambda rng, n, m: _uniform(rng, 1 / sqrt(n), (m, n)),
    "kaiming_uniform": lambda rng, n, m: _uniform(rng, sqrt(6) * (1 / sqrt(n)), (m, n)),
    "kaiming_normal": lambda rng, n, m: rng.normal(0.0, sqrt(2) * (1 / sqrt(n)), (m, n)),
    "glorot_uniform": lambda rng, n, m: _uniform(rng, sqrt(6 / (n + m)), (m, n)),
    "glorot_normal": lambda rng, n, m: rng.normal(0.0, sqrt(2 / (n + m)), (m, n)),
}

"""Arrangements of hyperplanes that all but one count of: published sequences, by every compiled engine."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

from tropnet import Network, count_regions


def resonance(d: int) -> Network:
    """Return one neuron for each row of zeros and ones but the row of zeros, without biases."""
    rows = np.array([row for row in product((0.0, 1.0), repeat=d) if any(row)])
    return Network.mlp([rows, np.ones((1, len(rows)))], [np.zeros(len(rows)), [0.0]])


def pair_sums(n: int) -> Network:
    """Return neurons for x_i + x_j = 0 and = 1 of all pairs i < j."""
    rows = np.array([[float(k in pair) for k in range(n)] for pair in combinations(range(n), 2)])
    weights, biases = np.vstack([rows, rows]), np.repeat([0.0, -1.0], len(rows))
    return Network.mlp([weights, np.ones((1, len(weights)))], [biases, [0.0]])


@pytest.mark.parametrize("engine", ["vertex", "simplex"])
@pytest.mark.parametrize(("d", "expected"), [(1, 2), (2, 6), (3, 32), (4, 370), (5, 11292)])
def test_resonance_arrangements(d: int, expected: int, engine: str) -> None:
    """All 2^d - 1 hyperplanes of 0/1 rows through the origin: OEIS A034997, the generalised retarded functions."""
    assert count_regions(resonance(d), engine=engine) == expected


@pytest.mark.parametrize("engine", ["vertex", "simplex"])
@pytest.mark.parametrize(("n", "expected"), [(2, 3), (3, 27), (4, 345), (5, 5513), (6, 106619)])
def test_sums_of_pairs(n: int, expected: int, engine: str) -> None:
    """The hyperplanes x_i + x_j = 0 and = 1: OEIS A307650. In the plane they are parallel, and cells hold lines."""
    if n == 2 and engine == "vertex":
        engine = "lp"
    assert count_regions(pair_sums(n), engine=engine) == expected

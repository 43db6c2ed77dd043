"""Cubature on simplices: sums over points that integrate polynomials exactly, with rational points and weights."""

from __future__ import annotations

from functools import cache, cached_property
from itertools import combinations_with_replacement
from math import factorial, lcm
from typing import NamedTuple

import numpy as np

from tropnet.arrays.types import FloatArray, IntegerArray

__all__ = ["Rule", "rule_for"]


class _Numbers(NamedTuple):
    """Integers, and what they are divided by."""

    nodes: IntegerArray
    node_unit: int
    weights: IntegerArray
    weight_unit: int


class Rule:
    """Points of a simplex and weights whose sum is the mean of every polynomial up to some degree, exactly.

    Attributes
    ----------
    exact
        Barycentric coordinates ``nodes / node_unit``, integers (n, d + 1), and ``weights / weight_unit``, (n,).
    """

    def __init__(self, exact: _Numbers) -> None:
        self.exact = exact

    @cached_property
    def nodes(self) -> FloatArray:
        """The barycentric coordinates, float64 of shape (n, d + 1)."""
        return np.asarray(self.exact.nodes / self.exact.node_unit, dtype=np.float64)

    @cached_property
    def weights(self) -> FloatArray:
        """The weights, float64 of shape (n,); their sum is 1, and some are negative."""
        return np.asarray(self.exact.weights / self.exact.weight_unit, dtype=np.float64)

    @cached_property
    def amplification(self) -> float:
        """The sum of the sizes of the weights: by how much errors of values can grow."""
        return float(np.abs(self.weights).sum()) * (1 + 1e-12)


@cache
def rule_for(dimension: int, degree: int) -> Rule:
    """Return the rule of Grundmann and Möller for polynomials of a degree on a simplex.

    With s such that 2 s + 1 >= degree, and i = 0, ..., s: the points (2 b + 1) / (d + 1 + 2 s - 2 i) for all b of d + 1
    non-negative integers that add up to s - i, each of the weight

        (-1)^i d! (d + 1 + 2 s - 2 i)^(2 s + 1) / (4^s i! (d + 1 + 2 s - i)!).

    Notes
    -----
    binomial(d + s + 1, s) points: in four dimensions 6 up to degree three, 56 up to degree seven.

    References
    ----------
    Grundmann and Möller, Invariant integration formulas for the n-simplex by combinatorial methods, 1978,
    doi:10.1137/0715019.

    Examples
    --------
    The mean of x^2 on [0, 1] is 1/3:

    >>> rule = rule_for(1, 2)
    >>> round(float(rule.weights @ rule.nodes[:, 1] ** 2), 15)
    0.333333333333333
    """
    d, s = dimension, max(degree, 0) // 2
    sums = [d + 1 + 2 * (s - i) for i in range(s + 1)]
    node_unit = lcm(*sums)
    # Times this the weights are integers.
    weight_unit = 4**s * factorial(s) * factorial(d + 1 + 2 * s)
    nodes, weights = [], []
    for i, total in enumerate(sums):
        divisor = 4**s * factorial(i) * factorial(d + 1 + 2 * s - i)
        weight = (-1) ** i * factorial(d) * total ** (2 * s + 1) * (weight_unit // divisor)
        for chosen in combinations_with_replacement(range(d + 1), s - i):
            nodes.append([(2 * chosen.count(k) + 1) * (node_unit // total) for k in range(d + 1)])
            weights.append(weight)
    return Rule(_Numbers(np.array(nodes, dtype=object), node_unit, np.array(weights, dtype=object), weight_unit))

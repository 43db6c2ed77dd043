"""Integrals of polynomials over a polytope, exactly, over the rationals."""

from __future__ import annotations

from math import factorial, lcm, prod
from typing import Any, NamedTuple

import numpy as np

from tropnet.arrays.types import IntegerArray
from tropnet.exact.reduction import summed
from tropnet.geometry.cubature import Rule, rule_for
from tropnet.geometry.polyhedron import Polyhedron, Simplex

__all__ = ["RationalRows", "exact_moments"]


class RationalRows(NamedTuple):
    """Affine functions a x + c: integer rows (a | c), shape (n, d + 1), divided by one positive integer."""

    rows: IntegerArray
    denominator: int


def exact_moments(polytope: Polyhedron, maps: RationalRows, factors: RationalRows) -> tuple[IntegerArray, int]:
    """Return the integrals of all products of two of some affine functions, times a product of others, exactly.

    Parameters
    ----------
    polytope
        Bounded, with interior.
    maps
        The n functions of which two are taken.
    factors
        The k functions of which all are taken.

    Returns
    -------
    Integers, shape (n, n), and what they are divided by, not in lowest terms.

    Notes
    -----
    Each simplex of a pulling triangulation costs O((n + k) d) products of long integers for each of the
    binomial(d + s + 1, s) points of a rule, s = (k + 2) // 2.

    References
    ----------
    Grundmann and Möller, doi:10.1137/0715019 (see `rule_for`).

    Examples
    --------
    The integrals of x^2, x and 1 over [0, 3]:

    >>> segment = Polyhedron(np.array([[1, 0], [-1, 3]], dtype=object))
    >>> nothing = RationalRows(np.empty((0, 2), dtype=object), 1)
    >>> values, divisor = exact_moments(segment, RationalRows(np.eye(2, dtype=np.int64).astype(object), 1), nothing)
    >>> (values / divisor).tolist()
    [[9.0, 4.5], [4.5, 3.0]]
    """
    rule = rule_for(polytope.dimension, len(factors.rows) + 2)
    return summed(_over_simplex(simplex, rule, maps, factors) for simplex in polytope.simplices())


def _over_simplex(simplex: Simplex, rule: Rule, maps: RationalRows, factors: RationalRows) -> tuple[Any, int]:
    """Return the integrals over one simplex."""
    exact = rule.exact
    scales = [vector[-1] for vector in simplex.vectors]
    unit = lcm(*scales)
    corners = np.array([[x * (unit // vector[-1]) for x in vector] for vector in simplex.vectors], dtype=object)
    points = exact.nodes @ corners
    unit *= exact.node_unit
    weights = exact.weights
    for row in factors.rows:
        weights = weights * (points @ row)
    values = points @ maps.rows.T
    divisor = exact.weight_unit * (unit * factors.denominator) ** len(factors.rows) * (unit * maps.denominator) ** 2
    divisor *= factorial(len(scales) - 1) * prod(scales)
    return values.T @ (weights[:, None] * values) * simplex.determinant, divisor

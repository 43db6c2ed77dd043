"""Branch and bound on the signs of neurons."""

from __future__ import annotations

import heapq
import math
import sys
from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import BoolArray
from tropnet.arrays.types import FloatArray
from tropnet.enumeration.algorithm_1 import root_backend
from tropnet.errors import DomainError, NonFiniteError
from tropnet.exact.dyadic import nearest_float
from tropnet.exact.linear_programs import maximise
from tropnet.feasibility import Feasible, make_backend
from tropnet.feasibility.tolerances import Tolerances
from tropnet.network.domain import Box, Domain
from tropnet.network.network import Network
from tropnet.verification.extremum import Extremum, as_extremum, objective_rows
from tropnet.verification.relaxation import Relaxation

__all__ = ["bounding_box", "branch_and_bound"]

_EXACTLY = Tolerances(exact_pivots=sys.maxsize)


def bounding_box(domain: Domain) -> tuple[FloatArray, FloatArray] | None:
    """Return float64 bounds on every coordinate, rounded outwards; None if the domain is unbounded."""
    if isinstance(domain, Box):
        bounded = np.isfinite(domain.low).all() and np.isfinite(domain.high).all()
        return (domain.low, domain.high) if bounded else None
    rows = domain.integer_rows
    if len(rows) <= domain.dimension:
        return None
    _, start = root_backend("highs", domain, _EXACTLY)
    if not isinstance(start, Feasible):
        return None
    sides = []
    for row in np.eye(domain.dimension, domain.dimension + 1, dtype=np.int64).astype(object):
        low, high = (maximise(rows, start.witness, sign * row) for sign in (-1, 1))
        if low.ray or high.ray:
            return None
        sides.append((np.nextafter(-float(low.value), -math.inf), np.nextafter(float(high.value), math.inf)))
    lows, highs = np.array(sides).T
    return lows, highs


def branch_and_bound(
    net: Network, domain: Domain, c: FloatArray, bounds: tuple[FloatArray, FloatArray], tolerance: float
) -> Extremum:
    """Maximise best first. A node fixes the signs of some neurons (1, 0; -1 is open); a leaf has none left open."""
    relaxation = Relaxation(net, domain, c, bounds)
    best: Extremum | None = None
    left, n_nodes = -math.inf, 0
    nodes: list[tuple[float, int, NDArray[np.int8]]] = [(-math.inf, 0, np.full(net.n_neurons, -1, dtype=np.int8))]
    while nodes:
        n_nodes += 1
        key, _, fixed = heapq.heappop(nodes)
        node = None if best is not None and _done(-key, best, tolerance) else relaxation.solve(fixed)
        bound = -key if node is None else min(-key, node.bound)
        if best is not None and _done(bound, best, tolerance):
            left = max(left, bound)
            continue
        if node is None:
            continue
        cell = fixed if node.branch is None else None
        if cell is None and node.point is not None and (best is None or _promises(net, c, node.point, best)):
            # Where the relaxation has its maximum there may be a better region than the best so far.
            cell = np.where(net.affine_neurons, -1, net.activation_pattern(node.point)).astype(np.int8)
        found = None if cell is None else _solve_cell(net, domain, c, cell, np.where(cell < 0, node.bits, cell == 1))
        if found is not None and (best is None or _above(found, best)):
            best = found
        if node.branch is not None:
            for bit in (0, 1):
                child = fixed.copy()
                child[node.branch] = bit
                heapq.heappush(nodes, (-bound, -2 * n_nodes - bit, child))
    if best is None:
        raise DomainError(f"the domain is empty or flat (it has no interior): {domain}.")
    gap = Fraction(left) - best.exact if math.isfinite(left) and best.exact is not None else Fraction(0)
    return replace(best, gap=nearest_float(max(gap.numerator, 0), gap.denominator), n_solved=n_nodes)


def _done(bound: float, best: Extremum, tolerance: float) -> bool:
    return best.exact is not None and bound < math.inf and Fraction(bound) <= best.exact + Fraction(tolerance)


def _promises(net: Network, c: FloatArray, point: FloatArray, best: Extremum) -> bool:
    """Return whether float64 puts the form above the best value at a point, or cannot tell."""
    try:
        value = float(c @ net(point))
    except NonFiniteError:
        return True
    return not value <= best.value


def _above(one: Extremum, other: Extremum) -> bool:
    return one.exact is not None and other.exact is not None and one.exact > other.exact


def _solve_cell(
    net: Network, domain: Domain, c: FloatArray, fixed: NDArray[np.int8], bits: BoolArray
) -> Extremum | None:
    """Return the exact maximum over the closed cell of the fixed neurons; None if that has no interior.

    `bits` must hold for all other neurons on that cell.
    """
    objective, scale = objective_rows(net, c)
    maps = net.integer_maps(bits)
    neurons = np.concatenate([np.empty((0, net.n_inputs + 1), dtype=object), *maps[:-1]])
    backend = make_backend("highs", net.n_inputs, _EXACTLY)
    rows = [*domain.integer_rows]
    for j in np.flatnonzero(fixed >= 0):
        row = neurons[j] if fixed[j] else -neurons[j]
        if row[:-1].any():
            rows.append(row)
        elif row[-1] < 0:
            return None
    for row in rows:
        backend.push(row)
    answer = backend.decide()
    if not isinstance(answer, Feasible):
        return None
    optimum = maximise(np.array(rows, dtype=object), answer.witness, objective @ maps[-1])
    # A neuron that vanishes on the whole leaf is False, whatever its bounds said.
    inside = np.array([answer.witness.sign(row.tolist()) > 0 for row in neurons], dtype=np.bool_)
    return as_extremum(optimum, scale, inside & ~net.affine_neurons)

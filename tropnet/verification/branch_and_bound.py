"""Branch and bound on the signs of neurons."""

from __future__ import annotations

import heapq
import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import BoolArray
from tropnet.arrays.types import FloatArray
from tropnet.enumeration.algorithm_1 import root_backend
from tropnet.errors import DomainError, NonFiniteError
from tropnet.exact.certificates import Witness
from tropnet.exact.dyadic import nearest_float
from tropnet.exact.linear_programs import maximise
from tropnet.feasibility import Feasible, deciding_backend
from tropnet.feasibility.tolerances import EXACTLY
from tropnet.network.domain import Box, Domain
from tropnet.network.layers import Layer
from tropnet.network.network import Network
from tropnet.network.recurrence import Composition
from tropnet.polyhedral_complex.exact_decisions import has_interior
from tropnet.progress import Update, track
from tropnet.verification.extremum import Extremum, as_extremum, objective_rows
from tropnet.verification.relaxation import Relaxation

__all__ = ["bounding_box", "branch_and_bound"]


def bounding_box(domain: Domain) -> tuple[FloatArray, FloatArray] | None:
    """Return float64 bounds on every coordinate, rounded outwards; None if the domain is unbounded."""
    if isinstance(domain, Box):
        bounded = np.isfinite(domain.low).all() and np.isfinite(domain.high).all()
        return (domain.low, domain.high) if bounded else None
    rows = domain.integer_rows
    if len(rows) <= domain.dimension:
        return None
    _, start = root_backend("highs", domain, EXACTLY)
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
    net: Network,
    domain: Domain,
    c: FloatArray,
    bounds: tuple[FloatArray, FloatArray],
    tolerance: Fraction,
    *,
    progress: bool = False,
) -> Extremum:
    """Maximise best first; neurons that the form does not depend on are left out."""
    fewer = _relevant_part(net, c)
    with track("bounding", "nodes", enabled=progress) as update:
        top = _search(fewer, domain, c, bounds, tolerance, update)
    return top if fewer is net else replace(top, pattern=_region_at(net, domain, top.certificate))


def _search(
    net: Network,
    domain: Domain,
    c: FloatArray,
    bounds: tuple[FloatArray, FloatArray],
    tolerance: Fraction,
    update: Update,
) -> Extremum:
    """Maximise best first. A node fixes the signs of some neurons (1, 0; -1 is open); a leaf has none left open."""
    relaxation = Relaxation(net, domain, c, bounds)
    best: Extremum | None = None
    left, n_nodes = -math.inf, 0
    nodes: list[tuple[float, int, NDArray[np.int8]]] = [(-math.inf, 0, np.full(net.n_neurons, -1, dtype=np.int8))]
    while nodes:
        n_nodes += 1
        # What part of the work that is, nobody knows.
        update(n_nodes, 0.0)
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
            cell = np.where(net.affine_neurons, -1, net.certain_pattern(node.point)[0][0]).astype(np.int8)
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


def _relevant_part(net: Network, c: FloatArray) -> Network:
    """Return the network without the neurons from which no path of non-zero weights leads to the form."""
    wanted = [np.zeros(layer.width, dtype=np.bool_) for layer in net.hidden]
    for index in range(len(net.layers), 0, -1):
        layer = net.layers[index - 1]
        readers = c != 0 if index == len(net.layers) else wanted[index - 1]
        for source, weight in layer.weights.items():
            if source:
                wanted[source - 1] |= (weight[readers] != 0).any(axis=0)
    if all(each.all() for each in wanted):
        return net
    for each in wanted:
        # A layer has at least one neuron.
        each[0] |= not each.any()
    keep = [np.ones(net.n_inputs, dtype=np.bool_), *wanted, np.ones(net.n_outputs, dtype=np.bool_)]
    layers = [
        Layer(
            {source: weight[rows][:, keep[source]] for source, weight in layer.weights.items()},
            layer.bias[rows],
            np.asarray(layer.slopes)[rows],
        )
        for layer, rows in zip(net.layers, keep[1:], strict=True)
    ]
    return Network(layers, net.n_inputs)


def _region_at(net: Network, domain: Domain, point: Witness) -> BoolArray:
    """Return the pattern of a region whose closure holds a point of the closed domain.

    Next to the point only rows that vanish there count. If those so far leave an open cone, and it meets one side of a
    further one, the point is in the closure of that side.
    """
    at = np.array(point.homogeneous, dtype=object)
    backend = deciding_backend(net.n_inputs)
    tight = [row for row in domain.integer_rows if not row @ at]
    maps = Composition.of(net.integers.layers, net.n_inputs)
    pattern = [np.empty(0, dtype=np.bool_)]
    for layer in net.hidden:
        rows = maps.enter()
        bits = np.asarray(rows @ at > 0, dtype=np.bool_) & ~layer.affine_neurons
        for j in np.flatnonzero(np.asarray(rows @ at == 0, dtype=np.bool_) & ~layer.affine_neurons).tolist():
            if rows[j].any():
                bits[j] = has_interior(backend, [*tight, rows[j]])
                tight.append(rows[j] if bits[j] else -rows[j])
        pattern.append(bits)
        maps.decide(bits)
    return np.concatenate(pattern)


def _done(bound: float, best: Extremum, tolerance: Fraction) -> bool:
    return best.exact is not None and bound < math.inf and Fraction(bound) <= best.exact + tolerance


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
    backend = deciding_backend(net.n_inputs)
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

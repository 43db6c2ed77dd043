"""Cells to start from: pointed ones, by their exact generators."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np

from tropnet.arrays.patterns import BoolArray
from tropnet.arrays.types import IntegerArray
from tropnet.enumeration.engines.pointed import pointed_rows
from tropnet.exact.dyadic import to_integers
from tropnet.exact.elimination import null_vector
from tropnet.geometry.polyhedron import Polyhedron
from tropnet.network.domain import Box, Domain, WholeSpace
from tropnet.network.network import Network

__all__ = ["Root", "dot", "pointed_roots"]


class Root(NamedTuple):
    """A cell to start from.

    Attributes
    ----------
    generators
        Homogeneous integers, exact.
    facets
        On which rows each lies, as masks: bits for the sides of the domain, then the neurons of `bits`, then infinity.
    bits
        Neurons decided to get it.
    """

    generators: list[tuple[int, ...]]
    facets: list[int]
    bits: dict[int, bool]


def dot(row: list[int], vector: list[int]) -> int:
    """Return the sum of products."""
    return sum(a * x for a, x in zip(row, vector, strict=True))


def pointed_roots(net: Network, domain: Domain, max_facets: int | None = None) -> list[Root] | None:
    """Return pointed cells that together make up the domain; None if there are none, or their rows are more.

    If the domain contains lines, as R^d does, neurons of the first layer are decided first: d independent hyperplanes
    leave cells with a vertex, whatever their signs.
    """
    d = net.n_inputs
    if not net.hidden:
        return None
    if isinstance(domain, Box) and np.isfinite([domain.low, domain.high]).all():
        return [_box_root(domain)]
    sides: IntegerArray = domain.integer_rows
    first = net.hidden[0]
    chosen = pointed_rows(first, domain.halfspaces[0])
    if chosen is None or (max_facets is not None and len(sides) + len(chosen.neurons) > max_facets):
        return None
    rows = to_integers(np.column_stack([first.weights[0], first.bias]))[0]
    neurons = [_first_parallel(rows, i, first.affine_neurons) for i in chosen.neurons]
    if isinstance(domain, WholeSpace):
        return _orthants(rows, neurons)
    roots = []
    for signs in product((False, True), repeat=len(neurons)):
        cuts = [rows[i] if bit else -rows[i] for i, bit in zip(neurons, signs, strict=True)]
        cell = np.array([*sides, *cuts], dtype=object).reshape(-1, d + 1)
        generators = Polyhedron(cell).generators()
        if not generators:
            continue
        inside = [sum(values) for values in zip(*(vector for vector, _ in generators), strict=True)]
        if inside[-1] <= 0 or any(dot(row, inside) <= 0 for row in cell.tolist()):
            continue
        vectors, facets = zip(*generators, strict=True)
        # Facets of the cell are numbered as the sides, then the neurons, then infinity.
        roots.append(Root(list(vectors), list(facets), dict(zip(neurons, signs, strict=True))))
    return roots


def _box_root(box: Box) -> Root:
    """Return a bounded box as a cell: its corners, and the d sides on which each lies."""
    d = len(box.low)
    corners = to_integers(np.column_stack([box.low, box.high]))
    one = 1 << corners[1]
    vectors, facets = [], []
    for sides in product((0, 1), repeat=d):
        vectors.append((*(corners[0][k, side] for k, side in enumerate(sides)), one))
        facets.append(sum(1 << (2 * k + side) for k, side in enumerate(sides)))
    return Root(vectors, facets, {})


def _orthants(rows: IntegerArray, neurons: list[int]) -> list[Root]:
    """Return the 2**d cells of d independent hyperplanes: cones with one vertex."""
    d = len(neurons)
    basis = [rows[i].tolist() for i in neurons] + [[0] * d + [1]]
    generators = []
    for k, row in enumerate(basis):
        vector = null_vector([other for m, other in enumerate(basis) if m != k])
        generators.append(vector if dot(row, vector) > 0 else [-x for x in vector])
    everything = (1 << (d + 1)) - 1
    roots = []
    for signs in product((False, True), repeat=d):
        vectors = [
            tuple(vector) if bit else tuple(-x for x in vector)
            for vector, bit in zip(generators, (*signs, True), strict=True)
        ]
        facets = [everything & ~(1 << k) for k in range(d + 1)]
        roots.append(Root(vectors, facets, dict(zip(neurons, signs, strict=True))))
    return roots


def _first_parallel(rows: IntegerArray, neuron: int, affine: BoolArray) -> int:
    """Return the first neuron with the hyperplane of this one: of coincident rows, it is the one that is named."""
    row, others = rows[neuron], rows[: neuron + 1]
    k = np.flatnonzero(row)[0]
    parallel = (others * row[k] == others[:, k : k + 1] * row).all(axis=1) & (others[:, k] != 0)
    return int(np.flatnonzero(parallel & ~affine[: neuron + 1])[0])

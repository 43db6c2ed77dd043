"""Cells to start from: pointed ones, by their exact generators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Protocol, TypeVar

import numpy as np

from tropnet.arrays.patterns import BoolArray
from tropnet.arrays.rounding import UNIT_ROUNDOFF
from tropnet.arrays.types import IntegerArray
from tropnet.enumeration.engines.pointed import pointed_rows
from tropnet.exact.dyadic import to_integers
from tropnet.exact.elimination import null_vector
from tropnet.geometry.polyhedron import Polyhedron
from tropnet.network.domain import Domain, WholeSpace
from tropnet.network.network import Network

__all__ = ["ExactCell", "below", "common_exponent", "dot", "pointed_cells", "rounded_vector"]

# Generators as homogeneous integers, the facets on which they lie (masks: bits for the sides of the domain, then the
# neurons decided, then infinity), neurons decided to get the cell.
ExactCell = tuple[list[tuple[int, ...]], list[int], dict[int, bool]]


def pointed_cells(net: Network, domain: Domain, max_rows: int | None = None) -> list[ExactCell] | None:
    """Return pointed cells that together make up the domain; None if there are none, or if they have more rows.

    If the domain contains lines, as R^d does, neurons of the first layer are decided first: d independent hyperplanes
    leave cells with a vertex, whatever their signs. Of neurons with the same hyperplane, it is the first.
    """
    if isinstance(domain, WholeSpace):
        return net.derived(_cells_of_space)
    return _cells_of_polyhedron(net, domain, max_rows)


def _cells_of_space(net: Network) -> list[ExactCell] | None:
    first = net.hidden[0]
    chosen = pointed_rows(first, np.empty((0, net.n_inputs)))
    if chosen is None:
        return None
    rows = to_integers(np.column_stack([first.weights[0], first.bias]))[0]
    return _orthants(rows, [_first_parallel(rows, i, first.affine_neurons) for i in chosen.neurons])


def _cells_of_polyhedron(net: Network, domain: Domain, max_rows: int | None) -> list[ExactCell] | None:
    d = net.n_inputs
    sides: IntegerArray = domain.integer_rows
    first = net.hidden[0]
    chosen = pointed_rows(first, domain.halfspaces[0])
    if chosen is None or (max_rows is not None and len(sides) + len(chosen.neurons) > max_rows):
        return None
    rows = to_integers(np.column_stack([first.weights[0], first.bias]))[0]
    neurons = [_first_parallel(rows, i, first.affine_neurons) for i in chosen.neurons]
    cells: list[ExactCell] = []
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
        cells.append((list(vectors), list(facets), dict(zip(neurons, signs, strict=True))))
    return cells


def _orthants(rows: IntegerArray, neurons: list[int]) -> list[ExactCell]:
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
        roots.append((vectors, facets, dict(zip(neurons, signs, strict=True))))
    return roots


def _first_parallel(rows: IntegerArray, neuron: int, affine: BoolArray) -> int:
    """Return the first neuron with the hyperplane of this one: of coincident rows, it is the one that is named."""
    row, others = rows[neuron], rows[: neuron + 1]
    k = np.flatnonzero(row)[0]
    parallel = (others * row[k] == others[:, k : k + 1] * row).all(axis=1) & (others[:, k] != 0)
    return int(np.flatnonzero(parallel & ~affine[: neuron + 1])[0])


class _Root(Protocol):
    """A cell to start from, and the neurons decided to get it."""

    @property
    def bits(self) -> dict[int, bool]: ...


_R = TypeVar("_R", bound=_Root)


def below(fixed: Mapping[int, bool], roots: list[_R]) -> list[_R]:
    """Return the cells in which no bit differs from what is fixed, at least one."""
    if not fixed:
        return roots
    return [root for root in roots if all(fixed.get(j, bit) == bit for j, bit in root.bits.items())] or roots[:1]


def common_exponent(cells: list[ExactCell]) -> int:
    """Return the power of two of the scale of all vertices: with it, (x, 1) / 2**exponent has max-norm at most 1."""
    vertices = (vector for vectors, _, _ in cells for vector in vectors if vector[-1])
    return int(max((abs(x) // w for *vector, w in vertices for x in vector), default=0)).bit_length()


def rounded_vector(vector: Sequence[int], exponent: int) -> tuple[list[float], float]:
    """Return a generator rounded once, and a bound on that; a vertex as (x, 1) / 2**exponent."""
    divisor = vector[-1] << exponent
    if divisor == 0 or max(map(abs, vector)) > divisor:
        divisor = 1 << max(map(abs, vector)).bit_length()
    rounded = [value / divisor for value in vector]
    ratios = [x.as_integer_ratio() for x in rounded]
    exact = all(n * divisor == value * m for (n, m), value in zip(ratios, vector, strict=True))
    return rounded, 0.0 if exact else UNIT_ROUNDOFF


def dot(row: Sequence[int], vector: Sequence[int]) -> int:
    """Return the sum of products."""
    return sum(a * x for a, x in zip(row, vector, strict=True))

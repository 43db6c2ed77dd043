"""Where a certificate lives: network and domain in the coordinates of the domain's hull, and the names of all rows."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import PackedArray, pack
from tropnet.arrays.rounding import EPSILON, LARGEST
from tropnet.arrays.types import FloatArray
from tropnet.errors import TropnetError
from tropnet.exact.certificates import Witness
from tropnet.exact.dyadic import float_or_inf, to_fractions
from tropnet.exact.elimination import Echelon
from tropnet.feasibility import Feasible, deciding_backend
from tropnet.network.layers import Layer
from tropnet.network.recurrence import Composition
from tropnet.network.selected_rows import compose_selected
from tropnet.proofs.statement import Hull
from tropnet.regions import Regions
from tropnet.regions.row_index import RowIndex

__all__ = ["ExactRow", "Frame", "Rows", "below", "combined"]


class Rows(NamedTuple):
    """The rows of some regions, each meaning a t + c >= 0, and how wrong they are at most.

    Attributes
    ----------
    values
        float64, shape (R, n, k + 1): (a | c) of every neuron with a kink, on the side of the pattern, then of every
        row of the domain, in the order of `Frame.names`.
    errors
        float64, shape (R, n, 2): of a, in l2, and of c.
    outputs, output_errors
        The same for the outputs of the network; none where nothing is claimed of them.
    """

    values: FloatArray
    errors: FloatArray
    outputs: FloatArray
    output_errors: FloatArray


class ExactRow(NamedTuple):
    """A row (a | c) over the integers, and the positive unit by which it is to be multiplied."""

    values: list[int]
    unit: Fraction

    def is_multiple_of(self, other: ExactRow) -> bool:
        """Return whether the row is a positive multiple of another, which is not 0."""
        lead = next(i for i, value in enumerate(other.values) if value)
        mine, its = self.values[lead], other.values[lead]
        if not (mine > 0 < its or mine < 0 > its):
            return False
        return all(a * its == b * mine for a, b in zip(self.values, other.values, strict=True))


def combined(rows: Sequence[ExactRow], factors: Sequence[Fraction], constant: Fraction) -> ExactRow:
    """Return a sum of multiples of rows and a constant."""
    factors = [factor * row.unit for factor, row in zip(factors, rows, strict=True)]
    columns = zip(*(row.values for row in rows), strict=True)
    total = [sum((p * q for p, q in zip(factors, column, strict=True)), Fraction(0)) for column in columns]
    total[-1] += constant
    *values, common = Witness.from_fractions(total).homogeneous
    return ExactRow(values, Fraction(1, common))


class Frame:
    """The network and the domain of some regions in coordinates t, in which the domain has interior.

    Parameters
    ----------
    regions
        The regions.
    with_outputs
        Whether the maps of the outputs are asked for, too.

    Attributes
    ----------
    network, domain
        As in `Regions.within`.
    dimension
        The number k of coordinates.
    names
        int64, shape (n,): what the file calls the rows of `Rows`: j for neuron j, n_neurons + i for row i of the
        domain.
    """

    def __init__(self, regions: Regions, *, with_outputs: bool = False) -> None:
        self.given = regions
        within, restriction = regions.within, regions.restriction
        self.network, self.domain = within.network.dense, within.domain
        self.dimension = 0 if restriction is not None and restriction.is_point else self.network.n_inputs
        self._scale = Fraction(1) if restriction is None else restriction.scale
        slopes = [np.asarray(layer.slopes) for layer in self.network.hidden]
        bends = np.concatenate([np.empty(0, np.bool_), *(each[:, 0] != each[:, 1] for each in slopes)])
        places = np.concatenate([np.flatnonzero(bends), np.arange(self.network.n_neurons, self._index.n_places)])
        self.names = places if restriction is None else restriction.places(places)
        self._places, self._bends = places, bends
        self._n_outputs = self.network.n_outputs if with_outputs else 0
        self._layers = [*self.network.layers]
        if with_outputs:
            # Outputs are composed as neurons that do not bend.
            last = self._layers[-1]
            self._layers[-1] = Layer(last.weights, last.bias, np.ones((last.width, 2)))
            self._layers.append(Layer({len(self._layers): np.zeros((1, last.width))}, np.zeros(1)))

    @cached_property
    def _index(self) -> RowIndex:
        return RowIndex(self.network.n_neurons, self.domain.row_numbers)

    @property
    def n_neurons(self) -> int:
        """The number of neurons of the network given."""
        return self.given.network.n_neurons

    @cached_property
    def n_kinks(self) -> int:
        """How many of the rows are those of neurons."""
        return int(self._bends.sum())

    def local(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the places in `Rows` of rows as `Regions.facets` of `Regions.within` names them."""
        return np.searchsorted(self._places, self._index.places(rows))

    # --- the domain

    @cached_property
    def exact_sides(self) -> list[ExactRow]:
        """The rows b - a x of the domain as functions of t, exactly."""
        A, b = self.given.domain.halfspaces
        restriction, given = self.given.restriction, to_fractions(np.column_stack([-A, b])).tolist()
        if restriction is not None:
            columns, common = restriction.coordinate_rows.tolist(), restriction.hull.denominator
            chosen = [given[i] for i in restriction.sides.tolist() if i >= 0]
            given = [
                [
                    sum((p * column[j] for p, column in zip(a, columns, strict=True)), Fraction(0)) / common
                    + (c if j == self.dimension else 0)
                    for j in range(self.dimension + 1)
                ]
                for *a, c in chosen
            ]
        found = []
        for row in given:
            *values, common = Witness.from_fractions(row).homogeneous
            found.append(ExactRow(values, Fraction(1, common)))
        return found

    @cached_property
    def sides(self) -> tuple[FloatArray, FloatArray]:
        """The same in float64, shape (m, k + 1), and how wrong it is, (m, 2)."""
        exact = [[value * row.unit for value in row.values] for row in self.exact_sides]
        values = np.array([[float_or_inf(value) for value in row] for row in exact]).reshape(-1, self.dimension + 1)
        errors = np.zeros((len(exact), 2))
        for i, row in enumerate(exact):
            wrong = [
                abs(Fraction(v) - w) if np.isfinite(v) else None for v, w in zip(values[i].tolist(), row, strict=True)
            ]
            sizes = [np.inf if w is None else np.nextafter(float_or_inf(w), np.inf) if w else 0.0 for w in wrong]
            errors[i] = sum(sizes[:-1]), sizes[-1]
        return values, errors

    @cached_property
    def box(self) -> tuple[FloatArray, FloatArray]:
        """The box that rows of the domain with one coefficient give: low and high, (k,), rounded outwards."""
        low, high = np.full(self.dimension, -np.inf), np.full(self.dimension, np.inf)
        for row in self.exact_sides:
            along = [j for j, value in enumerate(row.values[:-1]) if value]
            if len(along) == 1:
                j = along[0]
                bound = Fraction(-row.values[-1], row.values[j])
                if row.values[j] > 0:
                    low[j] = max(low[j], below(bound))
                else:
                    high[j] = min(high[j], -below(-bound))
        return low, high

    # --- the rows of regions

    def rows(self, packed: PackedArray) -> Rows:
        """Return the rows of regions with these patterns, of the network within."""
        R, k, n, m = len(packed), self.dimension, self.n_kinks, self._n_outputs
        wanted = pack(np.concatenate([self._bends, np.ones(m, np.bool_)])[None])
        patterns = np.zeros((R, wanted.shape[1]), np.uint8)
        patterns[:, : packed.shape[1]] = packed
        found = compose_selected(self._layers, patterns, np.repeat(wanted, R, axis=0), k).rows
        # A x <= b.
        composed = found.high.reshape(R, n + m, k + 1)
        composed[:, :, :k] *= -1.0
        composed[:, n:] *= -1.0
        composed_errors = found.error.reshape(R, n + m, 2)
        if self._scale != 1:
            scale = float(self._scale)
            sizes = np.stack([np.abs(composed[:, :, :k]).sum(axis=2), np.abs(composed[:, :, k])], axis=2)
            composed_errors = (composed_errors + 4 * EPSILON * sizes) / scale * (1 + 4 * EPSILON)
            composed /= scale
        sides, side_errors = (np.broadcast_to(each, (R, *each.shape)) for each in self.sides)
        return Rows(
            np.concatenate([composed[:, :n], sides], axis=1),
            np.concatenate([composed_errors[:, :n], side_errors], axis=1),
            composed[:, n:],
            composed_errors[:, n:],
        )

    def exact_rows(self, pattern: NDArray[np.bool_]) -> list[ExactRow]:
        """Return the rows of the region with a pattern (of the network within), exactly."""
        maps = self._maps
        if self.network.hidden:
            maps.follow(pattern, len(self.network.hidden) - 1)
        found, at = [], 0
        for rows, exponent, width in zip(maps.rows, self.network.integers.exponents, self.network.widths, strict=False):
            unit = Fraction(1, 1 << exponent) / self._scale
            for j in np.flatnonzero(self._bends[at : at + width]).tolist():
                row = rows[j].tolist()
                found.append(ExactRow(row if pattern[at + j] else [-value for value in row], unit))
            at += width
        return [*found, *self.exact_sides]

    def exact_outputs(self, pattern: NDArray[np.bool_]) -> list[ExactRow]:
        """Return the outputs on the region with a pattern (of the network within), exactly, as functions of t."""
        rows, exponent = self._maps.follow(pattern, len(self.network.hidden)), self.network.integers.exponents[-1]
        unit = Fraction(1, 1 << exponent) / self._scale
        return [ExactRow(row, unit) for row in rows.tolist()]

    @cached_property
    def _maps(self) -> Composition:
        return Composition.of(self.network.integers.layers, self.network.n_inputs)

    # --- the hull

    @cached_property
    def hull(self) -> Hull | None:
        """The affine hull of a flat domain, and what proves it."""
        restriction = self.given.restriction
        if restriction is None:
            return None
        common, columns = restriction.hull.denominator, restriction.coordinate_rows.tolist()
        point = tuple(Fraction(column[-1], common) for column in columns)
        basis = tuple(tuple(Fraction(column[j], common) for column in columns) for j in range(self.dimension))
        rows = self.given.domain.integer_rows.tolist()
        flat = [
            i
            for i, (*a, c) in enumerate(rows)
            if not _product(a, point) + c and not any(_product(a, way) for way in basis)
        ]
        # Integer rows are those given times one power of two.
        return Hull(point, basis, tuple(flat), tuple(_cancelling([rows[i] for i in flat])))


def _product(a: Sequence[int], x: Sequence[Fraction]) -> Fraction:
    return sum((p * q for p, q in zip(a, x, strict=True)), Fraction(0))


def below(value: Fraction) -> float:
    """Return a float64 number that is not larger, infinite if need be."""
    nearest = float_or_inf(value)
    if not np.isfinite(nearest):
        return nearest if nearest < 0 else LARGEST
    return nearest if Fraction(nearest) <= value else float(np.nextafter(nearest, -np.inf))


def _cancelling(rows: list[list[int]]) -> list[Fraction]:
    """Return positive multipliers with which rows that are equalities together add up to 0."""
    kernel = _null_space([list(column) for column in zip(*rows, strict=True)], len(rows))
    backend = deciding_backend(len(kernel))
    for i in range(len(rows)):
        backend.push(np.array([*(vector[i] for vector in kernel), 0], dtype=object))
    answer = backend.decide()
    if not isinstance(answer, Feasible):
        raise TropnetError("rows of the domain that vanish on its affine hull must prove that together.")
    z = answer.witness.fractions
    return [sum((a * vector[i] for a, vector in zip(z, kernel, strict=True)), Fraction(0)) for i in range(len(rows))]


def _null_space(rows: list[list[int]], n: int) -> list[list[int]]:
    """Return integer vectors that span the vectors of length n on which all rows vanish."""
    echelon = Echelon(n)
    for row in rows:
        echelon.add(row)
    leads, found = echelon.leads, []
    for free in (j for j in range(n) if j not in leads):
        vector = [Fraction(0)] * n
        vector[free] = Fraction(1)
        for row, lead in zip(reversed(echelon.rows), reversed(leads), strict=True):
            rest = sum((row[j] * vector[j] for j in range(n) if j != lead), Fraction(0))
            vector[lead] = -rest / row[lead]
        found.append(list(Witness.from_fractions(vector).homogeneous[:-1]))
    return found

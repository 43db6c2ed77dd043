"""Integrals region by region: on each the network is affine, and every density too.

With y = x - p for a point p of the region, z = (x, outputs, 1) is T (y, 1), so that

    integral of z z' w = T M T',    M = integral of (y, 1) (y, 1)' w,

w being the product of the densities, one factor each. M comes with a bound on its error (`tropnet.geometry.volumes`),
T with one on that of the composed map; both are carried along. What is not proven that way is computed over the
rationals, region by region.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property
from math import isqrt, lcm
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import BoolArray, pack, unpack
from tropnet.arrays.rounding import EPSILON, LARGEST, SMALLEST_NORMAL
from tropnet.arrays.types import FloatArray, IntegerArray
from tropnet.errors import DomainError
from tropnet.exact.dyadic import float_or_inf, nearest_float
from tropnet.exact.elimination import determinant
from tropnet.exact.reduction import summed
from tropnet.geometry.exact_moments import RationalRows, exact_moments
from tropnet.integrals.cells import Cells
from tropnet.integrals.results import Measured, rounded
from tropnet.network.selected_rows import compose_selected
from tropnet.regions import Regions

__all__ = ["over_regions"]

# Regions whose terms are added up one after the other.
_TERMS = 1 << 10
_LEAST_SLOPE = 1e-290
_LEAST = 1e-300


class _Rows(NamedTuple):
    """Affine functions of many regions, rows (a | value at p) of shape (R, n, k + 1), and bounds on their errors."""

    rows: FloatArray
    errors: FloatArray


def over_regions(cells: Cells, regions: Regions, *, with_outputs: bool, exact: bool) -> Measured:
    """Return the integrals over the domain and over each set of outputs: shape (1 + n_sets, n, n).

    Over a domain of lower dimension k, by k-dimensional volume.

    Parameters
    ----------
    cells
        What is told apart; its network is that of the regions.
    regions
        All regions of a bounded domain.
    with_outputs
        Integrate all products of two of (x, outputs, 1), n = d + m + 1; else 1 only, n = 1.
    exact
        Over the rationals.

    Raises
    ------
    DomainError
        Exact integrals are not rational, since k-dimensional volumes in the domain's affine hull are not.
    """
    total = _Sum(cells, regions, with_outputs=with_outputs)
    return total.exactly() if exact else total.with_bounds()


class _Sum:
    """Adds up the regions, in the coordinates t of the domain's affine hull, k of them."""

    def __init__(self, cells: Cells, regions: Regions, *, with_outputs: bool) -> None:
        self.cells, self.regions, self.with_outputs = cells, regions, with_outputs
        self.within, self.restriction = regions.within, regions.restriction
        self.net, self.dimension = self.within.network, self.within.domain.dimension
        n_inputs, n_outputs = regions.network.n_inputs, regions.network.n_outputs
        self.size = n_inputs + n_outputs + 1 if with_outputs else 1
        eye = np.eye(n_inputs, n_inputs + 1, dtype=np.int64).astype(object)
        self.inputs = RationalRows(eye, 1)
        if self.restriction is not None:
            self.inputs = RationalRows(self.restriction.coordinate_rows, self.restriction.hull.denominator)

    # --- exactly

    def exactly(self) -> Measured:
        """Return the sums over the rationals."""
        terms: list[list[tuple[Any, int]]] = []
        for which, pieces, members in self._parts():
            if not terms:
                terms = [[] for _ in members]
            for i, own, each in zip(which.tolist(), pieces.tolist(), members.T.tolist(), strict=True):
                term = self._exact_term(i, own)
                for place in np.flatnonzero(each).tolist():
                    terms[place].append(term)
        factor = self._exact_factor
        found = np.zeros((len(terms), self.size, self.size), dtype=object)
        for place, each in enumerate(terms):
            numerators, denominator = summed(each)
            found[place] += Fraction(0)
            if len(each):
                found[place] = [[factor * Fraction(value, denominator) for value in row] for row in numerators]
        return rounded(found)

    def _exact_term(self, i: int, pieces: list[int]) -> tuple[IntegerArray, int]:
        """Return the integrals over one region."""
        region = self.within[i]
        rows, denominator = self.inputs
        if not self.with_outputs:
            maps = RationalRows(np.array([[0] * self.dimension + [1]], dtype=object), 1)
        else:
            scale = Fraction(1) if self.restriction is None else self.restriction.scale
            outputs = self.net.integer_maps(region.pattern)[-1]
            divisor = scale * (1 << self.net.integers.exponents[-1])
            common = lcm(denominator, divisor.numerator)
            one = np.array([[0] * self.dimension + [common]], dtype=object)
            parts = [
                rows * (common // denominator),
                outputs * (divisor.denominator * (common // divisor.numerator)),
                one,
            ]
            maps = RationalRows(np.concatenate(parts), common)
        functions = []
        for density, number in zip(self.cells.densities, pieces, strict=True):
            slope, base, value = density.pieces[number]
            *a, c = (slope * Fraction(entry, denominator) for entry in rows[density.index].tolist())
            functions.append([*a, c - slope * Fraction(base) + Fraction(value)])
        common = lcm(*(entry.denominator for function in functions for entry in function))
        integers = np.array([[int(entry * common) for entry in function] for function in functions], dtype=object)
        return exact_moments(region.polyhedron, maps, RationalRows(integers.reshape(-1, self.dimension + 1), common))

    @property
    def _exact_factor(self) -> Fraction:
        """By how much volumes in x exceed those in t."""
        if self.restriction is None:
            return Fraction(1)
        gram, square = self.restriction.metric
        squared = Fraction(determinant(gram.tolist()), square ** len(gram))
        root = Fraction(isqrt(squared.numerator), isqrt(squared.denominator))
        if root * root != squared:
            raise DomainError(
                "exact integrals must be rational, but volumes within the affine hull of this domain are multiples of"
                f" the root of {squared}; leave out exact=True."
            )
        return root

    # --- with bounds

    def with_bounds(self) -> Measured:
        """Return the sums in float64, with bounds."""
        sums: list[FloatArray] = []
        for which, pieces, members in self._parts():
            terms, bounds, doubtful = self._in_bulk(which, pieces)
            for place in np.flatnonzero(doubtful).tolist():
                numerators, denominator = self._exact_term(int(which[place]), pieces[place].tolist())
                terms[place] = [[nearest_float(value, denominator) for value in row] for row in numerators]
                sizes = np.abs(terms[place])
                # Beyond float64 the nearest number is not near.
                bounds[place] = np.where(sizes < LARGEST, sizes * EPSILON + SMALLEST_NORMAL, np.inf)
            weights = members.astype(np.float64)
            # Sums of values, of their bounds, and of sizes, which say how much adding up rounds.
            sums.append(np.stack([np.einsum("sr,rij->sij", weights, part) for part in (terms, bounds, np.abs(terms))]))
        values, bounds, sizes = np.sum(sums, axis=0)
        errors = bounds + (_TERMS + len(sums)) * EPSILON * sizes
        factor = 1.0 if self.restriction is None else self.restriction.volume_factor
        with np.errstate(over="ignore", invalid="ignore"):
            errors = (errors * (1 + 1e-6) + 4 * EPSILON * np.abs(values)) * factor
        # Where something overflowed, nothing is known.
        return Measured(values * factor, np.where(np.isnan(errors), np.inf, errors))

    def _parts(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], BoolArray]]:
        """Yield the regions where the density is not 0, some at a time: indices, pieces, and what holds them."""
        for start in range(0, len(self.regions), _TERMS):
            which = np.arange(start, min(start + _TERMS, len(self.regions)))
            patterns = unpack(self.regions.packed[which], self.regions.network.n_neurons)
            pieces = self.cells.pieces(patterns)
            alive = (pieces >= 0).all(axis=1)
            members = np.concatenate([np.ones((1, len(which)), np.bool_), self.cells.members(patterns)])
            yield which[alive], pieces[alive], members[:, alive]

    def _in_bulk(self, which: NDArray[np.int64], pieces: NDArray[np.int64]) -> tuple[FloatArray, FloatArray, BoolArray]:
        """Return the integrals over regions, (R, n, n), bounds on their errors, and where there are none."""
        points = self.within.witnesses[which]
        inputs = self._inputs_at(points)
        found = self.within.measures.moments(which, *self._factors(inputs, pieces))
        rows, wrong = self._functions(which, points, inputs)
        with np.errstate(all="ignore"):
            terms = rows @ found.values @ rows.transpose(0, 2, 1)
            # Sizes of the functions in the region, and by how much they may be wrong there.
            sizes, gaps = (np.einsum("rij,rj->ri", np.abs(each), found.extents) for each in (rows, wrong))
            errors = found.errors + 2 * (self.dimension + 6) * EPSILON
            both = sizes + gaps
            bounds = errors[:, None, None] * both[:, :, None] * both[:, None, :]
            bounds += both[:, :, None] * both[:, None, :] - sizes[:, :, None] * sizes[:, None, :]
            bounds += 8 * EPSILON * sizes[:, :, None] * sizes[:, None, :]
            bounds = bounds * (found.sizes[:, None, None] * (1 + 1e-6)) + SMALLEST_NORMAL
        doubtful = ~(
            np.isfinite(found.errors) & np.isfinite(bounds).all(axis=(1, 2)) & np.isfinite(terms).all(axis=(1, 2))
        )
        return terms, bounds, doubtful

    def _inputs_at(self, points: FloatArray) -> _Rows:
        """Return the inputs as functions of t."""
        rows = self._float_inputs
        coefficients, constants = rows[:, :-1], rows[:, -1]
        values = points @ coefficients.T + constants
        stacked = np.concatenate(
            [np.broadcast_to(coefficients, (len(points), *coefficients.shape)), values[:, :, None]], 2
        )
        if self.restriction is None:
            return _Rows(stacked, np.zeros_like(stacked))
        errors = EPSILON * np.abs(stacked)
        errors[:, :, -1] = (
            (self.dimension + 4) * EPSILON * (np.abs(points) @ np.abs(coefficients).T + np.abs(constants))
        )
        return _Rows(stacked, errors)

    @cached_property
    def _float_inputs(self) -> FloatArray:
        rows, denominator = self.inputs
        return np.array([[nearest_float(entry, denominator) for entry in row] for row in rows.tolist()])

    def _factors(self, inputs: _Rows, pieces: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
        """Return the densities as rows (a | value at p), (R, k', k + 1), and how wrong the values are, (R, k')."""
        n = len(self.cells.densities)
        factors = np.zeros((len(pieces), n, self.dimension + 1))
        errors = np.zeros((len(pieces), n))
        for place, density in enumerate(self.cells.densities):
            numbers = [(float_or_inf(piece.slope), piece.base, piece.value) for piece in density.pieces]
            slope, base, value = np.array(numbers)[pieces[:, place]].T
            rows, wrong = inputs.rows[:, density.index], inputs.errors[:, density.index]
            with np.errstate(all="ignore"):
                factors[:, place, :-1] = slope[:, None] * rows[:, :-1]
                grown = slope * (rows[:, -1] - base)
                factors[:, place, -1] = value + grown
                errors[:, place] = 8 * EPSILON * (value + np.abs(grown)) + 2 * np.abs(slope) * wrong[:, -1] + _LEAST
            errors[(slope != 0) & ~(np.abs(slope) > _LEAST_SLOPE), place] = np.inf
        return factors, errors

    def _functions(self, which: NDArray[np.int64], points: FloatArray, inputs: _Rows) -> _Rows:
        """Return z as functions of t."""
        R, k = points.shape
        one = np.zeros((R, 1, k + 1))
        one[:, :, -1] = 1.0
        if not self.with_outputs:
            return _Rows(one, np.zeros_like(one))
        # The outputs as further neurons, which are inactive: their sides are a y <= -c.
        layers, m = [*self.net.layers, self.net.layers[-1]], self.net.n_outputs
        bits = np.pad(unpack(self.within.packed[which], self.net.n_neurons), ((0, 0), (0, m)))
        wanted = np.zeros_like(bits)
        wanted[:, -m:] = True
        composed = compose_selected(layers, pack(bits), pack(wanted), k).rows
        rows = composed.high.reshape(R, m, k + 1)
        rows[:, :, -1] *= -1.0
        wrong = np.repeat(composed.error.reshape(R, m, 2), [k, 1], axis=2)
        with np.errstate(all="ignore"):
            if self.restriction is not None:
                scale = float(self.restriction.scale)
                rows, wrong = rows / scale, (wrong + 2 * EPSILON * np.abs(rows)) / scale * (1 + 4 * EPSILON)
            sizes = np.einsum("rnk,rk->rn", np.abs(rows[:, :, :-1]), np.abs(points)) + np.abs(rows[:, :, -1])
            wrong[:, :, -1] += np.einsum("rnk,rk->rn", wrong[:, :, :-1], np.abs(points)) + (k + 4) * EPSILON * sizes
            rows[:, :, -1] += np.einsum("rnk,rk->rn", rows[:, :, :-1], points)
        return _Rows(
            np.concatenate([inputs.rows, rows, one], axis=1),
            np.concatenate([inputs.errors, wrong, np.zeros_like(one)], axis=1),
        )

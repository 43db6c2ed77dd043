"""The rows of many regions, composed together, with bounds on their errors."""

from __future__ import annotations

from fractions import Fraction
from math import inf, nextafter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import PackedArray
from tropnet.arrays.rounding import EPSILON, LARGEST
from tropnet.arrays.types import FloatArray
from tropnet.exact.dyadic import float_or_inf, nearest_float
from tropnet.network.domain import Domain, RationalPolytope
from tropnet.network.network import Network
from tropnet.network.selected_rows import compose_selected
from tropnet.network.twofold import Twofold
from tropnet.regions.row_index import RowIndex

__all__ = ["RegionRows", "compose_rows", "compose_unit_rows"]


class RegionRows(NamedTuple):
    """Rows (A | b) of many regions, wrong by no more than their `error`; see `Halfspaces` for `owners`, `offsets`."""

    rows: Twofold
    owners: NDArray[np.int64]
    offsets: NDArray[np.int64]


def compose_rows(
    net: Network, domain: Domain, packed: PackedArray, packed_cuts: PackedArray, *, twofold: bool = False
) -> RegionRows:
    """Return the rows of regions given by their patterns and which neurons contribute a row.

    With `twofold` they have about 30 digits; else their low parts are empty.
    """
    sides, index = domain.derived(_Sides), RowIndex.of(net, domain)
    rows, owners, offsets = compose_selected(
        net.layers, packed, packed_cuts, domain.dimension, gap=len(sides.high), twofold=twofold
    )
    at = offsets[:-1, None] + np.arange(len(sides.high))
    rows.high[at] = sides.high
    rows.error[at] = sides.twofold_error if twofold else sides.error
    if twofold:
        rows.low[at] = sides.low
    owners[at] = index.named(index.sides)
    return RegionRows(rows, owners, offsets)


class _Sides:
    """The sides of a domain (A | b), as `high` or `high` + `low`, and how wrong both are at most, as in `Twofold`."""

    def __init__(self, domain: Domain) -> None:
        self.high = np.column_stack(domain.halfspaces)
        self.low = np.zeros_like(self.high)
        self.error, self.twofold_error = np.zeros((2, len(self.high), 2))
        if not isinstance(domain, RationalPolytope):
            return
        for i, ((*a, c), exponent) in enumerate(zip(domain.integer_rows.tolist(), domain.exponents, strict=True)):
            exact = [Fraction(value, 1 << exponent) for value in (*(-value for value in a), c)]
            rest = _less(exact, self.high[i])
            self.low[i] = [nearest_float(value.numerator, value.denominator) for value in rest]
            self.error[i], self.twofold_error[i] = _sizes(rest), _sizes(_less(rest, self.low[i]))
        beyond = np.abs(self.high).max(axis=1, initial=0.0) >= LARGEST
        self.error[beyond] = self.twofold_error[beyond] = np.inf


def _less(row: list[Fraction], subtracted: FloatArray) -> list[Fraction]:
    """Return the exact differences."""
    return [value - Fraction(other) for value, other in zip(row, subtracted.tolist(), strict=True)]


def _sizes(row: list[Fraction]) -> tuple[float, float]:
    """Return bounds on the length of a, by that in l1, and on the size of b, of a row (a | b)."""
    exact = sum(map(abs, row[:-1]), Fraction(0)), abs(row[-1])
    length, size = (nextafter(float_or_inf(value), inf) if value else 0.0 for value in exact)
    return length, size


class UnitRows(NamedTuple):
    """Normals of many regions: unit rows (n, d), how wrong those of a region may be (R,), and offsets (R + 1,)."""

    units: FloatArray
    errors: FloatArray
    offsets: NDArray[np.int64]


def compose_unit_rows(net: Network, domain: Domain, packed: PackedArray, packed_cuts: PackedArray) -> UnitRows:
    """Return the unit normals of regions, with a rigorous bound on their error in l2 (infinite where there is none)."""
    d = domain.dimension
    rows, _, offsets = compose_rows(net, domain, packed, packed_cuts)
    A = rows.high[:, :d]
    with np.errstate(all="ignore"):
        largest = np.abs(A).max(axis=1)
        scaled = A / largest[:, None]
        norms = np.sqrt((scaled * scaled).sum(axis=1))
        units = scaled / norms[:, None]
        # |a / |a| - a' / |a'|| <= 2 |a - a'| / |a|, and what normalising rounds.
        errors = 2 * (rows.error[:, 0] / largest) / norms * (1 + 1e-9)
        errors += 4 * (d + 4) * EPSILON
    unknown = ~(np.isfinite(units).all(axis=1) & (errors < 1))
    units[unknown], errors[unknown] = 0.0, np.inf
    worst = np.zeros(len(packed))
    filled = np.diff(offsets) > 0
    if filled.any():
        worst[filled] = np.maximum.reduceat(errors, offsets[:-1][filled])
    return UnitRows(units, worst, offsets)

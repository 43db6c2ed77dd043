"""The proofs of one region: in float64 as far as that goes, the rest over the integers."""

from __future__ import annotations

import json
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import BoolArray
from tropnet.arrays.types import FloatArray
from tropnet.errors import TropnetError
from tropnet.exact.certificates import Witness
from tropnet.exact.dyadic import float_or_inf
from tropnet.proofs.bulk_proofs import Cell, Combination, lower_bounds
from tropnet.proofs.exact_cell import ExactCell, Least
from tropnet.proofs.frame import ExactRow, Frame, below
from tropnet.proofs.statement import text

__all__ = ["Counts", "Point", "RegionProof"]

IndexArray = NDArray[np.int64]


class Counts(NamedTuple):
    """How many facets, sides of boxes and implied rows were proven, and how many of each only over the integers."""

    facets: int = 0
    exact_facets: int = 0
    sides: int = 0
    exact_sides: int = 0
    implied: int = 0
    exact_implied: int = 0

    def plus(self, other: Counts) -> Counts:
        """Return the sums."""
        return Counts(*(a + b for a, b in zip(self, other, strict=True)))


class Point(NamedTuple):
    """A point of a facet: float64 coordinates, and texts of fractions where those are not it."""

    values: list[float]
    exact: str | None


class RegionProof:
    """One region, while it is proven.

    Parameters
    ----------
    frame
        Where it lives.
    pattern, witness
        Its pattern, of the network within, and a point strictly inside.
    rows, errors, facets, corners
        See `Cell`.

    Attributes
    ----------
    counts
        What was proven so far.
    """

    def __init__(
        self, frame: Frame, pattern: BoolArray, witness: Witness, rows: FloatArray, errors: FloatArray,
        facets: IndexArray, corners: FloatArray,
    ) -> None:  # fmt: skip
        self.frame, self._pattern, self._witness = frame, pattern, witness
        self._cell = Cell(rows, errors, facets, corners)
        self.counts = Counts()
        self._targets: list[int] = []
        self._sizes: list[int] = []
        self._rows: list[int] = []
        self._values: list[float] = []
        self._exact_proofs: list[Any] = []

    @cached_property
    def _exact(self) -> ExactCell:
        frame = self.frame
        rows = frame.exact_rows(self._pattern)
        return ExactCell(rows, self._cell.facets.tolist(), self._witness, len(frame.exact_sides))

    # --- facets

    def facet_points(self, which: IndexArray) -> list[Point]:
        """Return a point in the relative interior of each of some facets, by their order."""
        found: list[Point] = []
        left: list[BoolArray | None] = [None] * len(which)
        if len(self._cell.vertices) and len(which):
            points, flags = self._cell.facet_points(which)
            left = [*flags]
        for at, unclear in enumerate(left):
            place = int(self._cell.facets[which[at]])
            exact = unclear is None or not all(
                self._is_shared(other, place) for other in np.flatnonzero(unclear).tolist()
            )
            found.append(self._exact_point(place) if exact else Point(points[at].tolist(), None))
            self.counts = self.counts.plus(Counts(facets=1, exact_facets=exact))
        return found

    def _is_shared(self, place: int, facet: int) -> bool:
        """Return whether a row is constant, or a multiple of that of a facet."""
        row = self._exact.rows[place]
        return not any(row.values[:-1]) or row.is_multiple_of(self._exact.rows[facet])

    def _exact_point(self, place: int) -> Point:
        point = self._exact.facet_point(place)
        sizes = [abs(value) for value in self._exact.rows[place].values[:-1]]
        along = sizes.index(max(sizes))
        values = [float_or_inf(value) for value in point]
        finite = all(np.isfinite(values))
        if finite and all(Fraction(a) == b for j, (a, b) in enumerate(zip(values, point, strict=True)) if j != along):
            return Point(values, None)
        return Point([value if np.isfinite(value) else 0.0 for value in values], " ".join(map(text, point)))

    # --- boxes and implied rows

    def proofs(self) -> dict[str, Any]:
        """Return the columns that prove the box and all rows that define no facet."""
        low, high = self._box()
        cell, n = self._cell, self.frame.n_kinks
        bare = Combination(np.zeros((n, 0), np.int64), np.zeros((n, 0)))
        bounds = lower_bounds(cell, cell.rows[:n], cell.errors[:n], bare, low, high)
        unclear = ~(bounds > 0)
        unclear[cell.facets[cell.facets < n]] = False
        self._implied(np.flatnonzero(unclear), low, high)
        return {
            "box": [*low.tolist(), *high.tolist()],
            "proof_targets": self._targets,
            "proof_sizes": self._sizes,
            "proof_rows": self._rows,
            "proof_values": self._values,
            "proof_exact": json.dumps(self._exact_proofs) if self._exact_proofs else None,
        }

    def _box(self) -> tuple[FloatArray, FloatArray]:
        """Prove a box around the region, and return it."""
        k, n = self.frame.dimension, self.frame.n_neurons
        sides = np.full(2 * k, -np.inf)
        if len(self._cell.vertices):
            sides, found = self._cell.box(*self.frame.box)
            self._put(np.where(np.isfinite(sides), np.arange(n, n + 2 * k), -1), found)
        left = np.flatnonzero(~np.isfinite(sides)).tolist()
        if left:
            ways = [[(1 if at < k else -1) * (at % k == j) for j in range(k)] + [0] for at in left]
            least = self._exact.least([ExactRow(way, Fraction(1)) for way in ways])
            for at, bound in zip(left, least, strict=True):
                sides[at] = -np.inf if bound is None else below(bound.value)
                if bound is not None and np.isfinite(sides[at]):
                    self._put_exactly(n + at, bound)
        self.counts = self.counts.plus(Counts(sides=2 * k, exact_sides=len(left)))
        return sides[:k], -sides[k:]

    def _implied(self, places: IndexArray, low: FloatArray, high: FloatArray) -> None:
        """Prove rows that a box does not."""
        if len(places) and len(self._cell.vertices):
            found, proven = self._cell.implied(places, low, high)
            self._put(np.where(proven, self.frame.names[places], -1), found)
            self.counts = self.counts.plus(Counts(implied=int(proven.sum())))
            places = places[~proven]
        if not len(places):
            return
        rows = self._exact.rows
        left = [at for at in places.tolist() if any(rows[at].values[:-1]) and not self._exact.is_tied(at)]
        for at, bound in zip(left, self._exact.least([rows[at] for at in left]), strict=True):
            if bound is None or bound.value < 0:
                raise TropnetError(
                    f"the regions do not fit together: row {at} of one is negative in it. Were they made for this"
                    " network and domain?"
                )
            self._put_exactly(int(self.frame.names[at]), bound)
        self.counts = self.counts.plus(Counts(implied=len(left), exact_implied=len(left)))

    def _put(self, targets: IndexArray, found: Combination) -> None:
        """Write down proofs by float64 multipliers; of targets -1 none."""
        names = self.frame.names[found.places]
        for target, rows, values in zip(targets.tolist(), names, found.multipliers, strict=True):
            if target >= 0:
                used = values > 0
                self._targets.append(target)
                self._sizes.append(int(used.sum()))
                self._rows += rows[used].tolist()
                self._values += values[used].tolist()

    def _put_exactly(self, target: int, bound: Least) -> None:
        """Write down a proof by rational multipliers."""
        named = {int(self.frame.names[place]): value for place, value in bound.multipliers.items()}
        values = [float_or_inf(value) for value in named.values()]
        if all(np.isfinite(values)) and all(Fraction(a) == b for a, b in zip(values, named.values(), strict=True)):
            self._targets.append(target)
            self._sizes.append(len(named))
            self._rows += named
            self._values += values
        else:
            self._exact_proofs.append([target, [[row, text(value)] for row, value in named.items()]])

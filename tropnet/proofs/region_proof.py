"""The proofs of one region: in float64 as far as that goes, the rest over the integers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
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
    """How many facets, sides of boxes and rows that no box implies are proven; how many of each over the integers."""

    facets: int = 0
    exact_facets: int = 0
    sides: int = 0
    exact_sides: int = 0
    rows: int = 0
    exact_rows: int = 0

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
    def exact(self) -> ExactCell:
        """The region over the integers."""
        frame = self.frame
        rows = frame.exact_rows(self._pattern)
        return ExactCell(rows, self._cell.facets.tolist(), self._witness, len(frame.exact_sides))

    @cached_property
    def exact_outputs(self) -> list[ExactRow]:
        """The outputs as functions of t."""
        return self.frame.exact_outputs(self._pattern)

    # --- facets

    def facet_points(self, which: IndexArray) -> list[Point]:
        """Return a point in the relative interior of each of some facets, by their order."""
        found: list[Point] = []
        left: list[BoolArray | None] = [None] * len(which)
        if len(which) and not self._cell.is_open:
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
        row = self.exact.rows[place]
        return not any(row.values[:-1]) or row.is_multiple_of(self.exact.rows[facet])

    def _exact_point(self, place: int) -> Point:
        point = self.exact.facet_point(place)
        sizes = [abs(value) for value in self.exact.rows[place].values[:-1]]
        along = sizes.index(max(sizes))
        values = [float_or_inf(value) for value in point]
        finite = all(np.isfinite(values))
        if finite and all(Fraction(a) == b for j, (a, b) in enumerate(zip(values, point, strict=True)) if j != along):
            return Point(values, None)
        return Point([value if np.isfinite(value) else 0.0 for value in values], " ".join(map(text, point)))

    # --- boxes, implied rows and other functions

    def prove_rows(self) -> None:
        """Prove a box, and all rows of neurons that define no facet."""
        k, n, m, cell = self.frame.dimension, self.frame.n_neurons, self.frame.n_kinks, self._cell
        sides = np.full(2 * k, -np.inf)
        if not cell.is_open:
            sides, found = cell.box(*self.frame.box)
            self._put(np.where(np.isfinite(sides), np.arange(n, n + 2 * k), -1), found)
        left = np.flatnonzero(~np.isfinite(sides)).tolist()
        if left:
            ways = [[(1 if at < k else -1) * (at % k == j) for j in range(k)] + [0] for at in left]
            least = self.exact.least([ExactRow(way, Fraction(1)) for way in ways])
            for at, bound in zip(left, least, strict=True):
                sides[at] = -np.inf if bound is None else below(bound.value)
                if bound is not None and np.isfinite(sides[at]):
                    self._put_exactly(n + at, bound)
        self._low, self._high = sides[:k], -sides[k:]
        unclear = ~(self._on_box(cell.rows[:m], cell.errors[:m]) > 0)
        unclear[cell.facets[cell.facets < m]] = False
        places, n_exact = np.flatnonzero(unclear), 0
        if len(places) and not cell.is_open:
            found, proven = cell.positive(cell.rows[places], cell.errors[places], self._low, self._high)
            self._put(np.where(proven, self.frame.names[places], -1), found)
            places = places[~proven]
        if len(places):
            n_exact = self._implied_exactly(places.tolist())
        self.counts = self.counts.plus(
            Counts(sides=2 * k, exact_sides=len(left), rows=int(unclear.sum()), exact_rows=n_exact)
        )

    def _implied_exactly(self, places: list[int]) -> int:
        """Prove rows over the integers but those that are constant or tied; return how many."""
        rows = self.exact.rows
        left = [at for at in places if any(rows[at].values[:-1]) and not self.exact.is_tied(at)]
        for at, bound in zip(left, self.exact.least([rows[at] for at in left]), strict=True):
            if bound is None or bound.value < 0:
                raise TropnetError(
                    f"the regions do not fit together: row {at} of one is negative in it. Were they made for this"
                    " network and domain?"
                )
            self._put_exactly(int(self.frame.names[at]), bound)
        return len(left)

    def prove(
        self,
        target: int,
        function: FloatArray,
        errors: FloatArray,
        exact: Callable[[], ExactRow] | None,
        *,
        strict: bool = False,
        weights: Sequence[Fraction] | None = None,
    ) -> bool:
        """Prove that a function (k + 1,) of t is not negative, or positive, in the region; return whether it was.

        Parameters
        ----------
        target
            What the file calls it.
        errors
            How wrong it may be, (2,).
        exact
            What returns the exact function; None not to ask for it.
        strict
            Whether it has to be positive.
        weights
            Written down with an exact proof.
        """
        functions, wrong = function[None], errors[None]
        if weights is None:
            if self._on_box(functions, wrong)[0] > 0:
                return True
            if not self._cell.is_open:
                found, proven = self._cell.positive(functions, wrong, self._low, self._high)
                if proven[0]:
                    self._put(np.array([target]), found)
                    return True
        if exact is None:
            return False
        (bound,) = self.exact.least([exact()])
        if bound is None or bound.value < 0 or (strict and not bound.value):
            return False
        self._put_exactly(target, bound, weights)
        return True

    def most_positive(self, functions: FloatArray) -> int | None:
        """Return which function (q, k + 1) is largest, for its slope, where it is least; None if it is not positive."""
        if self._cell.is_open:
            return None
        least = self._cell.least(functions)
        best = int(np.argmax(np.where(np.isnan(least), -np.inf, least)))
        return best if least[best] > 0 else None

    def columns(self) -> dict[str, Any]:
        """Return the columns of all proofs so far."""
        return {
            "box": [*self._low.tolist(), *self._high.tolist()],
            "proof_targets": self._targets,
            "proof_sizes": self._sizes,
            "proof_rows": self._rows,
            "proof_values": self._values,
            "proof_exact": json.dumps(self._exact_proofs) if self._exact_proofs else None,
        }

    def _on_box(self, functions: FloatArray, errors: FloatArray) -> FloatArray:
        """Return lower bounds of functions on the box of the region."""
        nothing = Combination(np.zeros((len(functions), 0), np.int64), np.zeros((len(functions), 0)))
        return lower_bounds(self._cell, functions, errors, nothing, self._low, self._high)

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

    def _put_exactly(self, target: int, bound: Least, weights: Sequence[Fraction] | None = None) -> None:
        """Write down a proof by rational multipliers."""
        named = {int(self.frame.names[place]): value for place, value in bound.multipliers.items()}
        values = [float_or_inf(value) for value in named.values()]
        if (
            weights is None
            and all(np.isfinite(values))
            and all(Fraction(a) == b for a, b in zip(values, named.values(), strict=True))
        ):
            self._targets.append(target)
            self._sizes.append(len(named))
            self._rows += named
            self._values += values
        else:
            terms = [[row, text(value)] for row, value in named.items()]
            self._exact_proofs.append([target, terms, *([] if weights is None else [[*map(text, weights)]])])

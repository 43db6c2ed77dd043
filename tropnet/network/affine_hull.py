"""Affine hulls of domains of lower dimension, exactly: which rows hold with equality, and what is free of them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import lcm
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.types import IntegerArray
from tropnet.errors import DomainError
from tropnet.exact.dyadic import to_integers
from tropnet.exact.reduction import reduced
from tropnet.feasibility import Answer, Feasible, Infeasible, deciding_backend, make_backend
from tropnet.feasibility.tolerances import Tolerances
from tropnet.network.domain import Box, Domain, WholeSpace

__all__ = ["AffineHull", "affine_hull"]

# A power of two is taken as the pivot of an equation unless another coefficient is larger by more than this.
_ALMOST_AS_LARGE = 1 << 10


class AffineHull(NamedTuple):
    """The affine hull of a domain, over some of the coordinates: ``D x[dependent] = rows (t, 1)`` with t = x[free].

    Attributes
    ----------
    free, dependent
        int64: the coordinates t, k of them, and all others.
    rows, denominator
        Integers (d - k, k + 1), and D > 0.
    sides, side_rows
        Which rows of `Domain.halfspaces` are not constant on the hull, and these as integer rows (a | c) in t, each
        meaning a t + c >= 0.

    Examples
    --------
    The segment x + y = 1, x >= 0, y >= 0:

    >>> from tropnet.network.domain import Polytope
    >>> hull = affine_hull(Polytope([[1, 1], [-1, -1], [-1, 0], [0, -1]], [1, -1, 0, 0]))
    >>> hull.free.tolist(), hull.rows.tolist(), hull.denominator, hull.sides.tolist(), hull.side_rows.tolist()
    ([1], [[-1, 1]], 1, [2, 3], [[-1, 1], [1, 0]])
    """

    free: NDArray[np.int64]
    dependent: NDArray[np.int64]
    rows: IntegerArray
    denominator: int
    sides: NDArray[np.int64]
    side_rows: IntegerArray

    @property
    def dimension(self) -> int:
        """The dimension k of the hull."""
        return len(self.free)

    @property
    def is_parallel(self) -> bool:
        """Whether the hull is parallel to coordinate axes, so that t keeps distances and volumes."""
        return not self.rows[:, :-1].any()


def affine_hull(domain: Domain) -> AffineHull | None:
    """Return the affine hull of a domain without interior; None if the domain has interior.

    Kept with the domain. Of a box the sides tell at once; of a polyhedron one decision, and where there is no interior
    one for each dimension that the hull turns out to lack, at most.

    Raises
    ------
    DomainError
        The domain is empty.
    """
    if isinstance(domain, WholeSpace) or (isinstance(domain, Box) and not domain.is_flat):
        return None
    return domain.derived(_hull_of_box if isinstance(domain, Box) else _hull_of_polyhedron)


def _hull_of_box(box: Domain) -> AffineHull:
    """Return the hull of a box: the coordinates with two sides that differ are free."""
    low, high = np.array(box.low), np.array(box.high)  # type: ignore[attr-defined]
    is_free = low < high
    values, exponent = to_integers(low[~is_free])
    free, d = np.flatnonzero(is_free), len(low)
    A, _ = box.halfspaces
    sides = np.flatnonzero((A[:, is_free] != 0).any(axis=1))
    rows = np.zeros((d - len(free), len(free) + 1), dtype=object)
    rows[:, -1] = values
    columns = [*free.tolist(), d]
    return AffineHull(free, np.flatnonzero(~is_free), rows, 1 << exponent, sides, box.integer_rows[sides][:, columns])


def _hull_of_polyhedron(domain: Domain) -> AffineHull | None:
    """Return the hull of a polyhedron: rows that leave only a slice are equations, until the others leave interior.

    Multipliers y >= 0 that prove that there is no interior add up rows to 0 x + c with c <= 0. If c < 0 there is no
    point; if c = 0 all rows with y > 0 are 0 on the whole polyhedron.
    """
    rows = domain.integer_rows
    quick = _decide(rows, Tolerances())
    if isinstance(quick, Feasible):
        return None
    equations: list[int] = []
    hull, left = _solved(rows[[]]), np.arange(len(rows))
    while True:
        inside = _on_hull(rows[left], hull)
        constant = ~np.asarray(inside[:, :-1] != 0, dtype=np.bool_).any(axis=1)
        for i in np.flatnonzero(constant).tolist():
            if inside[i, -1] < 0:
                raise _is_empty(domain, [*equations, int(left[i])])
        left, inside = left[~constant], inside[~constant]
        answer = _decide(inside) if len(left) else None
        if not isinstance(answer, Infeasible):
            return None if not equations else hull._replace(sides=left, side_rows=inside)
        total = sum(y * inside[i, -1] for i, y in answer.multipliers.items())
        tight = left[sorted(i for i, y in answer.multipliers.items() if y)].tolist()
        if total < 0:
            raise _is_empty(domain, [*equations, *tight])
        equations += tight
        left = np.setdiff1d(left, tight)
        hull = _solved(rows[equations])


def _decide(rows: IntegerArray, tolerances: Tolerances | None = None) -> Answer:
    """Return the answer for rows: whether a x + c > 0 has a solution; without tolerances it is never undecided."""
    d = rows.shape[1] - 1
    backend = deciding_backend(d) if tolerances is None else make_backend("highs", d, tolerances)
    for row in rows:
        backend.push(row)
    return backend.decide()


def _is_empty(domain: Domain, rows: Sequence[int]) -> DomainError:
    numbers = domain.row_numbers[sorted(rows)].tolist()
    return DomainError(f"the domain is empty: rows {numbers} of {domain} contradict each other.")


def _solved(equations: IntegerArray) -> AffineHull:
    """Return the solutions of a x + c = 0 for some rows (a | c) that have solutions; no sides."""
    d = equations.shape[1] - 1
    pivots: dict[int, list[Fraction]] = {}
    for equation in equations.tolist():
        row = [Fraction(value) for value in equation]
        for column, solved in pivots.items():
            row = _without(row, column, solved)
        if not any(row[:-1]):
            continue
        column = _pivot(row)
        row = [value / row[column] for value in row]
        pivots = {other: _without(solved, column, row) for other, solved in pivots.items()}
        pivots[column] = row
    dependent, free = sorted(pivots), [j for j in range(d) if j not in pivots]
    columns = [*free, d]
    denominator = lcm(*(pivots[j][k].denominator for j in dependent for k in columns))
    rows = np.zeros((len(dependent), len(columns)), dtype=object)
    for i, j in enumerate(dependent):
        rows[i] = [int(-pivots[j][k] * denominator) for k in columns]
    return AffineHull(
        np.array(free, dtype=np.int64),
        np.array(dependent, dtype=np.int64),
        rows,
        denominator,
        np.empty(0, dtype=np.int64),
        np.empty((0, len(columns)), dtype=object),
    )


def _without(row: list[Fraction], column: int, pivot: list[Fraction]) -> list[Fraction]:
    factor = row[column]
    return [value - factor * other for value, other in zip(row, pivot, strict=True)] if factor else row


def _pivot(row: list[Fraction]) -> int:
    """Return the column to solve an equation for: a large coefficient, and a power of two if one is about as large."""
    scale = lcm(*(value.denominator for value in row))
    sizes = [abs(value) for value in reduced([int(value * scale) for value in row])[:-1]]
    largest = max(sizes)
    halves = [value for value in sizes if value and not value & (value - 1) and value * _ALMOST_AS_LARGE >= largest]
    return sizes.index(max(halves, default=largest))


def _on_hull(rows: IntegerArray, hull: AffineHull) -> IntegerArray:
    """Return rows in x as rows in t, without common divisors."""
    columns = [*hull.free.tolist(), rows.shape[1] - 1]
    inside = rows[:, columns] * hull.denominator + rows[:, hull.dependent] @ hull.rows
    return np.array([reduced(row) for row in inside.tolist()], dtype=object).reshape(inside.shape)

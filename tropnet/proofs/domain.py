"""The domain of a certificate over the integers, in coordinates of its affine hull."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from operator import mul

from tropnet.errors import CertificateError
from tropnet.proofs.rows import Row, Scaled, box_of, integers
from tropnet.proofs.statement import Hull, Statement

__all__ = ["IntegerDomain"]


class IntegerDomain:
    """The rows b_i - a_i x of a domain in t, what they bound by themselves, and that a hull is its affine hull."""

    def __init__(self, statement: Statement) -> None:
        self.inputs, self.unit = _coordinates(statement.hull, statement.n_inputs)
        self.dimension = k = statement.dimension
        self.rows = [self._row(a, side) for a, side in zip(statement.A, statement.b, strict=True)]
        if statement.hull is not None:
            self._check_hull(statement)
        for i, (row, _) in enumerate(self.rows):
            if not any(row[:-1]) and row[-1] < 0:
                raise CertificateError(f"row {i} of the domain is negative everywhere: the domain is empty.")
        # The rows that a point of the interior has to be strictly inside of.
        self.sides = [row for row, _ in self.rows if any(row[:-1])]
        low: list[Fraction | None] = [None] * k
        high: list[Fraction | None] = [None] * k
        for row in self.sides:
            places = [i for i in range(k) if row[i]]
            if len(places) == 1:
                (i,) = places
                side, bounds, choose = Fraction(-row[-1], row[i]), *((low, max) if row[i] > 0 else (high, min))
                known = bounds[i]
                bounds[i] = side if known is None else choose(known, side)
        self.box = box_of([*low, *high])

    def _row(self, a: Sequence[float], side: float) -> Scaled:
        (*coefficients, constant), unit = integers([*a, side])
        terms = [(w, x) for w, x in zip(coefficients, self.inputs, strict=True) if w]
        row = [-sum(w * x[i] for w, x in terms) for i in range(self.dimension + 1)]
        row[-1] += constant * self.unit
        return tuple(row), unit * self.unit

    def _check_hull(self, statement: Statement) -> None:
        """Rule HULL: the equalities hold on the domain, and x = origin + sum t_i basis_i are all their solutions."""
        hull, d = statement.hull, statement.n_inputs
        if hull is None or len(hull.equalities) != len(hull.multipliers):
            raise CertificateError("the hull must have a multiplier for each of its equalities.")
        if any(value <= 0 for value in hull.multipliers):
            raise CertificateError("the multipliers of the hull must be positive.")
        rows = [[*map(Fraction, statement.A[i]), Fraction(statement.b[i])] for i in hull.equalities]
        if any(sum(map(mul, hull.multipliers, column)) for column in zip(*rows, strict=True)):
            raise CertificateError("the equalities of the hull times their multipliers must add up to zero.")
        if any(any(self.rows[i][0]) for i in hull.equalities):
            raise CertificateError("the equalities of the hull must vanish on it.")
        if _rank([row[:-1] for row in rows]) != d - len(hull.basis) or _rank(hull.basis) != len(hull.basis):
            raise CertificateError(
                f"a basis of the hull must have d - k independent equalities beside it and be independent, got"
                f" d = {d}, k = {len(hull.basis)}."
            )


def _rank(rows: Sequence[Sequence[Fraction]]) -> int:
    left, rank = [list(row) for row in rows], 0
    while left:
        pivot = left.pop()
        place = next((i for i, value in enumerate(pivot) if value), None)
        if place is not None:
            rank += 1
            left = [[x - row[place] / pivot[place] * y for x, y in zip(row, pivot, strict=True)] for row in left]
    return rank


def _coordinates(hull: Hull | None, n_inputs: int) -> tuple[list[Row], int]:
    """Return the inputs x_i as rows in t, with one unit."""
    if hull is None:
        return [tuple([int(i == j) for j in range(n_inputs + 1)]) for i in range(n_inputs)], 1
    if any(len(each) != n_inputs for each in (hull.origin, *hull.basis)):
        raise CertificateError(f"origin and basis of the hull must have d = {n_inputs} coordinates.")
    flat, unit = integers([value for each in zip(*hull.basis, hull.origin, strict=True) for value in each])
    k = len(hull.basis) + 1
    return [tuple(flat[i * k : (i + 1) * k]) for i in range(n_inputs)], unit

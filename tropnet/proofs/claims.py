"""What a certificate claims of the outputs, as functions that have to be at least 0 on every region."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from operator import mul
from typing import NamedTuple

from tropnet.errors import CertificateError
from tropnet.proofs.composition import IntegerNetwork
from tropnet.proofs.rows import Row, Scaled, integers
from tropnet.proofs.statement import Bound, Claim, Statement

__all__ = ["ClaimRows", "check_attained"]


class ClaimRows(NamedTuple):
    """A claim as functions of y, coefficients and a constant over one unit: the weights in the file make one of them.

    That one must be at least 0 on every region, or more than 0, where it is `strict`.
    """

    rows: list[list[int]]
    unit: int
    strict: bool

    @classmethod
    def of(cls, claim: Claim, n_outputs: int) -> ClaimRows:
        """Return a claim over the integers; of a bound, how much it is exceeded by."""
        strict = not isinstance(claim, Bound)
        if isinstance(claim, Bound):
            rows = [[*claim.output, claim.constant - claim.value]]
        else:
            rows = [list(row) for row in claim.rows]
        if any(len(row) != n_outputs + 1 for row in rows):
            raise CertificateError(f"a claim must have {n_outputs} coefficients and a constant in each row.")
        flat, unit = integers([value for row in rows for value in row])
        n = n_outputs + 1
        return cls([flat[i * n : (i + 1) * n] for i in range(len(rows))], unit, strict)

    def target(self, outputs: tuple[list[Row], int], weights: Sequence[float | Fraction]) -> Scaled:
        """Return minus the sum of the rows times their weights, as a row in t."""
        if len(weights) != len(self.rows) or not all(weight >= 0 for weight in weights):
            raise CertificateError("weights of a claim must be at least 0, one for each of its rows.")
        y, unit = outputs
        numbers, weight_unit = integers(weights)
        *coefficients, constant = [-sum(map(mul, numbers, column)) for column in zip(*self.rows, strict=True)]
        row = [sum(map(mul, coefficients, column)) for column in zip(*y, strict=True)]
        row[-1] += constant * unit
        return tuple(row), unit * weight_unit * self.unit


def check_attained(statement: Statement, network: IntegerNetwork) -> None:
    """Rule ATTAINED: where a bound names a point, that is in the domain, and the bound is met there."""
    for claim in statement.claims:
        if not isinstance(claim, Bound) or claim.attained is None:
            continue
        x = claim.attained
        if len(x) != statement.n_inputs:
            raise CertificateError(f"a point where a bound is attained must have {statement.n_inputs} coordinates.")
        for row, side in zip(statement.A, statement.b, strict=True):
            if sum(Fraction(a) * value for a, value in zip(row, x, strict=True)) > Fraction(side):
                raise CertificateError("the point where a bound is attained must be in the domain.")
        if sum(map(mul, claim.output, network.at(x)), claim.constant) != claim.value:
            raise CertificateError("a bound must be attained where it is said to be, but the output is another there.")

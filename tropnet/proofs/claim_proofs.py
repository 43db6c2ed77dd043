"""The proofs of what a certificate claims of the outputs, region by region."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import partial

import numpy as np

from tropnet.arrays.rounding import EPSILON
from tropnet.arrays.types import FloatArray
from tropnet.errors import CertificateError
from tropnet.exact.dyadic import float_or_inf
from tropnet.proofs.bulk_proofs import coarse
from tropnet.proofs.frame import ExactRow, combined
from tropnet.proofs.region_proof import RegionProof
from tropnet.proofs.statement import Bound, Claim, Empty

__all__ = ["ClaimProofs", "constant_weights"]


class ClaimProofs:
    """Proves claims of the outputs.

    Parameters
    ----------
    claims
        The claims.
    """

    def __init__(self, claims: Sequence[Claim]) -> None:
        self._claims = claims
        # By claim, functions of y whose nonnegative sum has to be positive, or not negative.
        self._exact = [_functions(claim) for claim in claims]
        self._rows = [np.array([[float_or_inf(value) for value in row] for row in rows]) for rows in self._exact]

    def prove(self, proof: RegionProof, outputs: FloatArray, errors: FloatArray) -> list[float]:
        """Prove all claims in a region, of which outputs (m, k + 1) and their errors are known; return the weights."""
        weights: list[float] = []
        target = proof.frame.n_neurons + 2 * proof.frame.dimension
        for i, (claim, rows) in enumerate(zip(self._claims, self._rows, strict=True)):
            # Functions of t, and how wrong they are, rounding included.
            functions = rows[:, :-1] @ outputs
            functions[:, -1] += rows[:, -1]
            sizes = np.abs(rows[:, :-1]) @ np.abs(outputs)
            sizes[:, -1] += np.abs(rows[:, -1])
            rounding = (len(outputs) + 8) * EPSILON * np.stack([sizes[:, :-1].sum(axis=1), sizes[:, -1]], axis=1)
            wrong = np.abs(rows[:, :-1]) @ errors * (1 + 1e-9) + rounding
            if isinstance(claim, Bound):
                if not proof.prove(target + i, functions[0], wrong[0], partial(self._of_t, i, [Fraction(1)], proof)):
                    raise CertificateError(f"claim {i} must hold in every region: the outputs exceed a bound.")
            else:
                weights += self._empty(target + i, i, functions, wrong, proof)
        return weights

    def _empty(self, target: int, i: int, functions: FloatArray, errors: FloatArray, proof: RegionProof) -> list[float]:
        """Prove that some functions are not all negative or 0 anywhere in a region: a sum of them is positive."""
        best = proof.most_positive(functions)
        if best is not None and proof.prove(target, functions[best], errors[best], None, strict=True):
            return [float(j == best) for j in range(len(functions))]
        exact = proof.exact.largest_of_least(
            [self._of_t(i, _unit(j, len(functions)), proof) for j in range(len(functions))]
        )
        weights = coarse(np.array([float_or_inf(weight) for weight in exact]))
        function, wrong = weights @ functions, weights @ errors
        wrong += (len(weights) + 8) * EPSILON * np.array([np.abs(function[:-1]).sum(), abs(function[-1])])
        given = [Fraction(weight) for weight in weights.tolist()]
        if proof.prove(target, function, wrong, partial(self._of_t, i, given, proof), strict=True):
            return [*map(float, weights)]
        if not proof.prove(
            target, function * np.nan, wrong, partial(self._of_t, i, exact, proof), strict=True, weights=exact
        ):
            raise CertificateError(
                f"claim {i} must hold in every region: at a point of one all its rows are 0 or more."
            )
        return [0.0] * len(exact)

    def _of_t(self, i: int, weights: Sequence[Fraction], proof: RegionProof) -> ExactRow:
        """Return a sum of the functions of a claim, as a function of t."""
        rows = self._exact[i]
        total = [
            sum((w * row[j] for w, row in zip(weights, rows, strict=True)), Fraction(0)) for j in range(len(rows[0]))
        ]
        return combined(proof.exact_outputs, total[:-1], total[-1])


def constant_weights(claims: Sequence[Claim], y: Sequence[Fraction]) -> list[float]:
    """Return the weights of claims where the outputs are constant, as in a domain that is a point."""
    weights: list[float] = []
    for i, claim in enumerate(claims):
        values = [sum((a * value for a, value in zip(row, y, strict=False)), row[-1]) for row in _functions(claim)]
        if isinstance(claim, Bound) and values[0] < 0:
            raise CertificateError(f"claim {i} must hold in every region: the outputs exceed a bound.")
        if isinstance(claim, Empty):
            if max(values) <= 0:
                raise CertificateError(f"claim {i} must hold in every region: all its rows are 0 or more at the point.")
            weights += [float(j == values.index(max(values))) for j in range(len(values))]
    return weights


def _functions(claim: Claim) -> list[list[Fraction]]:
    """Return functions of y, constant last, of which a sum with weights of at least 0 proves a claim."""
    if isinstance(claim, Bound):
        return [[*(-value for value in claim.output), claim.value - claim.constant]]
    return [[-value for value in row] for row in claim.rows]


def _unit(j: int, n: int) -> list[Fraction]:
    return [Fraction(j == i) for i in range(n)]

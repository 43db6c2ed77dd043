"""Which rows make cells pointed: independent ones, of the domain and of the first layer's neurons, for every input."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.rounding import SMALLEST_NORMAL, UNIT_ROUNDOFF
from tropnet.arrays.types import FloatArray
from tropnet.exact.dyadic import to_integers
from tropnet.exact.elimination import independent
from tropnet.network.layers import Layer

__all__ = ["PointedRows", "inverse_and_defect", "pointed_rows", "scaled", "separable_inputs"]

_SMALLEST_PIVOT = 1e-9


class PointedRows(NamedTuple):
    """Rows of the domain and neurons of the first layer whose hyperplanes meet in one point, as few neurons as can be.

    `well_conditioned` says whether floating point found them, by pivots far from 0.
    """

    sides: list[int]
    neurons: list[int]
    well_conditioned: bool


def pointed_rows(layer: Layer, sides: FloatArray, first: Collection[int] = ()) -> PointedRows | None:
    """Return d independent rows of the domain and the first layer; None if there are none: then all cells hold lines.

    Floating point proposes well-conditioned rows, and mostly proves them independent; else exact elimination decides.

    Parameters
    ----------
    layer
        The first hidden layer; its affine neurons are left out.
    sides
        The normals of the domain, float64 of shape (m, d).
    first
        Neurons to choose before others.
    """
    splitting = np.flatnonzero(~layer.affine_neurons).tolist()
    neurons = [i for i in splitting if i in first] + [i for i in splitting if i not in first]
    rows = np.concatenate([sides, layer.weights[0][neurons]])
    if len(rows) < rows.shape[1]:
        return None
    n_first = sum(i in first for i in neurons)
    groups = np.split(np.arange(len(rows)), [len(sides), len(sides) + n_first])
    chosen = _proposed(rows, groups)
    found = len(chosen) == rows.shape[1] and _are_independent(rows[chosen])
    if not found:
        place = {i: k for k, i in enumerate(chosen)}
        order = [i for group in groups for i in sorted(group.tolist(), key=lambda i: place.get(i, len(rows)))]
        chosen = [order[k] for k in independent(to_integers(rows)[0][order].tolist(), rows.shape[1])]
        if len(chosen) < rows.shape[1]:
            return None
    return PointedRows(
        [i for i in chosen if i < len(sides)], [neurons[i - len(sides)] for i in chosen if i >= len(sides)], found
    )


def _are_independent(rows: FloatArray) -> bool:
    """Return whether a square matrix is regular: by a bound in float64, else exactly."""
    if inverse_and_defect(scaled(rows))[1] < 1:
        return True
    return len(independent(to_integers(rows)[0].tolist(), len(rows))) == len(rows)


def separable_inputs(rows: FloatArray, at_most: int) -> list[int] | None:
    """Return columns that form a basis of the column space, exactly: well-conditioned ones if float64 finds them.

    None where float64 proves that there are more than `at_most`: of hundreds, exact elimination takes hours.
    """
    order = _pivoted(rows)
    n = at_most + 1
    if min(rows.shape) >= n:
        some = rows[:, order[:n]]
        if inverse_and_defect(scaled(some[_pivoted(some.T)[:n]]))[1] < 1:
            return None
    columns = to_integers(rows)[0].T[order].tolist()
    return sorted(order[k] for k in independent(columns, len(rows)))


def _pivoted(rows: FloatArray) -> list[int]:
    """Return the columns of a matrix in the order of their part that is independent of those before."""
    largest = np.abs(rows).max(axis=1, initial=0.0)
    from scipy.linalg import qr

    order: list[int] = qr(rows / np.where(largest > 0, largest, 1.0)[:, None], mode="r", pivoting=True)[1].tolist()
    return order


def scaled(rows: FloatArray) -> FloatArray:
    """Return rows divided by powers of two, with 1-norms about 1."""
    # Exponents alone: sums of the largest numbers overflow, and half the least one is 0.
    exponents = np.frexp(np.abs(rows).max(axis=1))[1] - 1
    return np.asarray(np.ldexp(rows, -np.clip(exponents, None, 1000)[:, None]))


def inverse_and_defect(rows: FloatArray) -> tuple[FloatArray, float]:
    """Return the inverse of a square matrix in float64, and a bound on the norm of I - rows @ inverse.

    The norm is the largest row sum. Below 1 it proves the matrix regular; it is infinite where nothing is known.
    """
    with np.errstate(all="ignore"):
        try:
            inverse = np.asarray(np.linalg.inv(rows), dtype=np.float64)
        except np.linalg.LinAlgError:
            return np.full_like(rows, np.nan), np.inf
        rounding = (len(rows) + 4) * 2 * UNIT_ROUNDOFF
        defect = np.abs(np.eye(len(rows)) - rows @ inverse) + rounding * (np.abs(rows) @ np.abs(inverse))
        # What underflows, in the rows' scaling too.
        defect += len(rows) * SMALLEST_NORMAL * (1 + np.abs(inverse).max(initial=0.0))
        size = float(defect.sum(axis=1).max(initial=0.0))
    return inverse, size if size == size else np.inf


def _proposed(rows: FloatArray, groups: Sequence[NDArray[np.int64]]) -> list[int]:
    """Return well-conditioned independent rows: as many as possible of the first group, then of the next."""
    largest = np.abs(rows).max(axis=1, initial=0.0)
    left = rows / np.where(largest > 0, largest, 1.0)[:, None]
    norms = np.linalg.norm(left, axis=1)
    left /= np.where(norms > 0, norms, 1.0)[:, None]
    chosen: list[int] = []
    for group in groups:
        while len(group) and len(chosen) < rows.shape[1]:
            norms = np.linalg.norm(left[group], axis=1)
            best = int(np.argmax(norms))
            if norms[best] < _SMALLEST_PIVOT:
                break
            chosen.append(int(group[best]))
            unit = left[group[best]] / norms[best]
            for _ in range(2):
                left -= np.outer(left @ unit, unit)
    return chosen

"""Numbers of cells of hyperplane arrangements (Zaslavsky's theorem)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import comb

from tests.oracles.exact import Number, Vector, rational, rationals


def zaslavsky(n: int, d: int) -> int:
    """Return the number of cells of `n` hyperplanes in general position in ``R**d``."""
    return sum(comb(n, i) for i in range(d + 1))


def arrangement_cells(normals: Iterable[Sequence[Number]], offsets: Iterable[Number]) -> int:
    """Return the number of cells of the hyperplanes ``normals[i] . x = offsets[i]``.

    This is ``|chi(-1)|`` for the characteristic polynomial, by deletion-restriction; duplicate,
    parallel and concurrent hyperplanes are allowed and zero normals are ignored.
    """
    return _cells((*rationals(a), rational(b)) for a, b in zip(normals, offsets, strict=True))


def _cells(equations: Iterable[Vector]) -> int:
    """Count cells: each hyperplane adds as many as the earlier ones cut it into."""
    hyperplanes = list(dict.fromkeys(_canonical(e) for e in equations if any(e[:-1])))
    return 1 + sum(_cells(_restrict(h, onto) for h in hyperplanes[:i]) for i, onto in enumerate(hyperplanes))


def _canonical(equation: Vector) -> Vector:
    """Scale the first non-zero coefficient to one, so that equal hyperplanes are equal tuples."""
    lead = next(c for c in equation if c)
    return tuple(c / lead for c in equation)


def _restrict(hyperplane: Vector, onto: Vector) -> Vector:
    """Return the trace of a hyperplane on another; a parallel one leaves a zero normal."""
    j = next(i for i, c in enumerate(onto) if c)
    trace = [p - hyperplane[j] * q for p, q in zip(hyperplane, onto, strict=True)]
    return tuple(trace[:j] + trace[j + 1 :])

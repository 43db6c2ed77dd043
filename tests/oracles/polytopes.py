"""Volumes, vertices and inradii of polyhedra {x : a . x <= b for every row (a, b)}, exactly, over the rationals.

Three definitions, each slow and short: Lasserre's recursion for volumes, all d-subsets of rows for vertices, and for
the radius of a largest ball all the rays of the cone of multipliers under which rows cancel (linear programming
duality).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import combinations
from math import isqrt

Vector = tuple[Fraction, ...]
Row = tuple[Vector, Fraction]
# Of the lengths of rows, which are irrational.
_BITS = 200


def volume(rows: Iterable[Row]) -> Fraction:
    """Return the volume of a bounded polyhedron with interior.

    Lasserre 1983, doi:10.1007/BF00935543: 1/d times the sum over rows of b / |a_k| times the volume of the face a . x =
    b without coordinate k.
    """
    system = _without_twins(rows)
    d = len(system[0][0])
    if d == 1:
        return max(Fraction(0), _end(system, 1) + _end(system, -1))
    total = Fraction(0)
    for a, b in system:
        k = next(i for i, value in enumerate(a) if value)
        face = []
        for c, e in system:
            factor = c[k] / a[k]
            normal = tuple(x - factor * y for i, (x, y) in enumerate(zip(c, a, strict=True)) if i != k)
            bound = e - factor * b
            if any(normal):
                face.append((normal, bound))
            elif bound < 0:
                face = []
                break
        if face:
            total += b / abs(a[k]) * volume(face)
    return total / d


def vertices(rows: Iterable[Row]) -> set[Vector]:
    """Return the vertices: the points of the polyhedron where d independent rows meet."""
    system = _without_twins(rows)
    if not system:
        return set()
    d = len(system[0][0])
    found = set()
    for chosen in combinations(system, d):
        x = _solve([[*a, b] for a, b in chosen])
        if x is not None and all(_dot(a, x) <= b for a, b in system):
            found.add(x)
    return found


def radius(rows: Iterable[Row]) -> tuple[Fraction, Fraction] | None:
    """Return bounds on the radius of a largest ball, nearly equal; None if there is no largest one.

    It is the least value of (sum y b) / (sum y |a|) over all y >= 0 with sum y a = 0, y != 0, and the least is taken on
    an extreme ray of these y: rows of which only one combination vanishes.
    """
    system = _without_twins(rows)
    if not system:
        return None
    d = len(system[0][0])
    norms = [_norm(a) for a, _ in system]
    best: tuple[Fraction, Fraction] | None = None
    for size in range(2, d + 2):
        for chosen in combinations(range(len(system)), size):
            y = _only_relation([system[i][0] for i in chosen])
            if y is None or min(y) <= 0:
                continue
            above = sum((t * system[i][1] for t, i in zip(y, chosen, strict=True)), Fraction(0))
            low, high = (
                sum((t * norms[i][end] for t, i in zip(y, chosen, strict=True)), Fraction(0)) for end in (0, 1)
            )
            if best is None or above / high < best[0]:
                best = above / high, above / low
    return best


def clearance(rows: Iterable[Row], x: Sequence[Fraction]) -> Fraction:
    """Return about the distance of a point inside to the nearest side; 0 if there is none."""
    return min(((b - _dot(a, x)) / _norm(a)[1] for a, b in rows if any(a)), default=Fraction(0))


def _without_twins(rows: Iterable[Row]) -> list[Row]:
    """Return the tightest row of each direction, scaled so that its first entry that is not 0 is 1 or -1."""
    tightest: dict[Vector, Fraction] = {}
    for a, b in rows:
        if any(a):
            scale = abs(next(value for value in a if value))
            key = tuple(value / scale for value in a)
            tightest[key] = min(b / scale, tightest.get(key, b / scale))
    return list(tightest.items())


def _end(rows: list[Row], sign: int) -> Fraction:
    return min(b / abs(a) for (a,), b in rows if a * sign > 0)


def _dot(a: Sequence[Fraction], x: Sequence[Fraction]) -> Fraction:
    return sum((s * t for s, t in zip(a, x, strict=True)), Fraction(0))


def _norm(a: Vector) -> tuple[Fraction, Fraction]:
    """Return two numbers around the length of a vector, equal to about 60 digits."""
    square = _dot(a, a)
    # sqrt(p / q) = sqrt(p q) / q
    root = isqrt(square.numerator * square.denominator << 2 * _BITS)
    scale = square.denominator << _BITS
    return Fraction(root, scale), Fraction(root + 1, scale)


def _eliminate(matrix: list[list[Fraction]], n: int) -> list[int]:
    """Reduce rows on their first n columns, Gauss-Jordan, in place; return the pivots' columns."""
    pivots: list[int] = []
    for column in range(n):
        at = next((i for i in range(len(pivots), len(matrix)) if matrix[i][column]), None)
        if at is None:
            continue
        k = len(pivots)
        matrix[k], matrix[at] = matrix[at], matrix[k]
        pivot = matrix[k][column]
        matrix[k] = [value / pivot for value in matrix[k]]
        for i, row in enumerate(matrix):
            if i != k and row[column]:
                factor = row[column]
                matrix[i] = [s - factor * t for s, t in zip(row, matrix[k], strict=True)]
        pivots.append(column)
    return pivots


def _solve(matrix: list[list[Fraction]]) -> Vector | None:
    """Return the only solution of a square system (A | b), None if there is not just one."""
    n = len(matrix)
    return tuple(row[-1] for row in matrix) if len(_eliminate(matrix, n)) == n else None


def _only_relation(vectors: Sequence[Vector]) -> list[Fraction] | None:
    """Return y with sum y_i v_i = 0 and last entry 1, if it is the only one."""
    n = len(vectors)
    columns = [list(row) for row in zip(*vectors, strict=True)]
    if _eliminate(columns, n) != list(range(n - 1)):
        return None
    return [*(-columns[i][n - 1] for i in range(n - 1)), Fraction(1)]

"""Exact feasibility of strict linear inequalities by Fourier-Motzkin elimination."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import gcd, lcm

from tests.oracles.exact import Number, rational, rationals

# The integers (a_1, ..., a_d, b) of the strict inequality a . x < b.
Row = tuple[int, ...]


def has_interior(rows: Iterable[tuple[Sequence[Number], Number]]) -> bool:
    """Decide exactly whether ``{x : a . x < b for every row (a, b)}`` is non-empty.

    The set is open, so it is non-empty iff it has interior. A projection of it is cut out by
    the rows free of the eliminated variable and by the sums of a lower and an upper bound on
    it; with no variable left each row reads ``0 < b``.
    """
    system = _tightest(_integral(a, b) for a, b in rows)
    while system:
        system = _tightest(_eliminate(system))
    return system is not None


def _integral(a: Sequence[Number], b: Number) -> Row:
    row = (*rationals(a), rational(b))
    scale = lcm(*(c.denominator for c in row))
    return tuple(c.numerator * (scale // c.denominator) for c in row)


def _tightest(rows: Iterable[Row]) -> list[Row] | None:
    """Keep the tightest row of each direction; None if some row reads ``0 < b <= 0``."""
    tightest: dict[Row, tuple[int, int]] = {}
    for *a, b in rows:
        scale = gcd(*a)
        if scale == 0:
            if b <= 0:
                return None
            continue
        direction = tuple(c // scale for c in a)
        kept = tightest.get(direction)
        if kept is None or b * kept[0] < kept[1] * scale:
            common = gcd(scale, b)
            tightest[direction] = (scale // common, b // common)
    return [(*(scale * c for c in a), b) for a, (scale, b) in tightest.items()]


def _eliminate(rows: list[Row]) -> Iterable[Row]:
    """Yield the projection of a non-empty system along its cheapest variable."""

    def products(j: int) -> int:
        return sum(r[j] > 0 for r in rows) * sum(r[j] < 0 for r in rows)

    j = min(range(len(rows[0]) - 1), key=products)
    upper = [r for r in rows if r[j] > 0]
    lower = [r for r in rows if r[j] < 0]
    yield from (r[:j] + r[j + 1 :] for r in rows if r[j] == 0)
    for u in upper:
        for v in lower:
            row = [u[j] * q - v[j] * p for p, q in zip(u, v, strict=True)]
            yield tuple(row[:j] + row[j + 1 :])

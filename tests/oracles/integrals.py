"""Integrals of polynomials over polytopes, and over the regions of a network, exactly, by the divergence theorem.

A polynomial f, homogeneous of degree q, has (d + q) times its integral over a polytope {x : a . x <= b for every row}
equal to the sum over rows of b / |a_k| times the integral of f over the face a . x = b, without coordinate k (Euler and
Gauss; Lasserre 1998, doi:10.1090/S0002-9939-98-04454-2). No vertex and no simplex is needed. A polynomial is a mapping
from tuples of exponents to coefficients.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import product

from tests.oracles.brute_force import _cell_rows, _interior_rows, brute_force_patterns, exact_affine_map
from tests.oracles.exact import HalfSpace, NetworkLike, coordinate_forms, exact_layers, rationals
from tests.oracles.polytopes import _without_twins

Vector = tuple[Fraction, ...]
Row = tuple[Vector, Fraction]
Polynomial = dict[tuple[int, ...], Fraction]


def integral(rows: Iterable[Row], polynomial: Polynomial) -> Fraction:
    """Return the integral of a polynomial over a bounded polytope; 0 if that is empty or flat."""
    values = monomials(rows, max(map(sum, polynomial)))
    return sum((c * values[x] for x, c in polynomial.items()), Fraction(0))


def monomials(rows: Iterable[Row], degree: int) -> Polynomial:
    """Return the integrals of all products of so many coordinates, at most, over a bounded polytope."""
    system = _without_twins(rows)
    d = len(system[0][0])
    exponents = [x for x in product(range(degree + 1), repeat=d) if sum(x) <= degree]
    if d == 1:
        low = max(b / a for (a,), b in system if a < 0)
        high = max(low, min(b / a for (a,), b in system if a > 0))
        return {(n,): (high ** (n + 1) - low ** (n + 1)) / (n + 1) for (n,) in exponents}
    found = dict.fromkeys(exponents, Fraction(0))
    for a, b in system:
        k = next(i for i, value in enumerate(a) if value)
        face = []
        for c, e in system:
            factor = c[k] / a[k]
            normal = tuple(x - factor * y for i, (x, y) in enumerate(zip(c, a, strict=True)) if i != k)
            if any(normal):
                face.append((normal, e - factor * b))
            elif e - factor * b < 0:
                face = []
                break
        if not face:
            continue
        inside = monomials(face, degree)
        # x_k is an affine function of the others.
        solved = affine((*(-value / a[k] for i, value in enumerate(a) if i != k), b / a[k]))
        powers: list[Polynomial] = [{(0,) * (d - 1): Fraction(1)}]
        while len(powers) <= degree:
            powers.append(times(powers[-1], solved))
        for x in exponents:
            rest = (*x[:k], *x[k + 1 :])
            total = sum((c * inside[tuple(map(sum, zip(rest, y, strict=True)))] for y, c in powers[x[k]].items()))
            found[x] += b / abs(a[k]) * total / (d + sum(x))
    return found


def times(p: Polynomial, q: Polynomial) -> Polynomial:
    """Return the product of two polynomials."""
    found: Polynomial = {}
    for (x, a), (y, b) in product(p.items(), q.items()):
        key = tuple(map(sum, zip(x, y, strict=True)))
        found[key] = found.get(key, Fraction(0)) + a * b
    return found


def affine(form: Sequence[Fraction]) -> Polynomial:
    """Return the polynomial a x + c of the coefficients (a, c)."""
    d = len(form) - 1
    return {tuple(int(i == j) for j in range(d)): value for i, value in enumerate(form)}


def cells(net: NetworkLike, halfspaces: Sequence[HalfSpace]) -> Iterator[tuple[list[Row], list[Vector]]]:
    """Yield each region of a network by its rows, and the outputs there as affine forms, constant last."""
    domain = _interior_rows(halfspaces) or []
    hidden = exact_layers(net)[:-1]
    for pattern in sorted(brute_force_patterns(net, halfspaces)):
        own = _cell_rows(hidden, coordinate_forms(net.n_inputs), pattern) or []
        weights, offsets = exact_affine_map(net, pattern)
        rows = [(tuple(map(Fraction, a)), Fraction(b)) for a, b in [*domain, *own]]
        yield rows, [(*w, c) for w, c in zip(weights, offsets, strict=True)]


def moments(
    net: NetworkLike,
    halfspaces: Sequence[HalfSpace],
    constraints: Sequence[tuple[Sequence[float], float]] = (),
    density: Sequence[tuple[Sequence[float], Sequence[float]] | None] = (),
) -> list[list[Fraction]]:
    """Return the integrals of z_i z_j w over {x in the domain : a y <= b for all constraints}, z = (x, y, 1)."""
    d = net.n_inputs
    one = (*[Fraction(0)] * d, Fraction(1))
    found: list[list[Fraction]] = []
    for rows, outputs in cells(net, halfspaces):
        functions = [affine(form) for form in [*coordinate_forms(d), *outputs, one]]
        found = found or [[Fraction(0)] * len(functions) for _ in functions]
        cut = list(rows)
        for a, b in constraints:
            terms = [tuple(s * value for value in y) for s, y in zip(rationals(a), outputs, strict=True)]
            *normal, constant = map(sum, zip(*terms, strict=True))
            cut.append((tuple(normal), Fraction(b) - constant))
        if any(not any(a) and b < 0 for a, b in cut):
            continue
        for weight, inside in _weighted(d, density):
            values = monomials([*cut, *inside], 2 + max(map(sum, weight)))
            for i, j in product(range(len(functions)), repeat=2):
                polynomial = times(times(functions[i], functions[j]), weight)
                found[i][j] += sum((c * values[x] for x, c in polynomial.items()), Fraction(0))
    return found


def _weighted(
    d: int, density: Sequence[tuple[Sequence[float], Sequence[float]] | None]
) -> Iterator[tuple[Polynomial, list[Row]]]:
    """Yield the pieces of a density: the polynomial and where it holds."""
    choices = []
    for i, given in enumerate(density):
        pieces: list[tuple[Polynomial, list[Row]]] = []
        points, values = ([], []) if given is None else map(rationals, given)
        unit = tuple(Fraction(i == j) for j in range(d))
        for s, t, u, v in zip(points, points[1:], values, values[1:], strict=False):
            slope = (v - u) / (t - s)
            rows = [(unit, t), (tuple(-x for x in unit), -s)]
            pieces.append((affine((*(slope * x for x in unit), u - slope * s)), rows))
        choices.append(pieces or [({(0,) * d: Fraction(1)}, [])])
    for chosen in product(*choices):
        weight, inside = {(0,) * d: Fraction(1)}, []
        for factor, rows in chosen:
            weight, inside = times(weight, factor), [*inside, *rows]
        yield weight, inside

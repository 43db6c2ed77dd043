"""Certificates by exhaustive search: what proves that given patterns are all, from exact systems of a few rows.

Fourier-Motzkin elimination finds points, trying all small sets of rows finds multipliers. Every number is rational, in
the columns that hold rational numbers as text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import combinations, count

from tests.oracles.brute_force import exact_affine_map
from tests.oracles.exact import (
    HalfSpace,
    NetworkLike,
    Pattern,
    Vector,
    coordinate_forms,
    exact_layers,
    rational,
    rationals,
)

# An affine function of t: coefficients, and then the constant.
Form = Vector


def proof_of(
    net: NetworkLike,
    halfspaces: Iterable[HalfSpace],
    patterns: Sequence[Pattern],
    inputs: Sequence[Form] | None = None,
    claims: Sequence[Vector] = (),
) -> list[dict[str, object]]:
    """Return the columns of a certificate for each of the patterns, as far as there is a proof.

    With `inputs`, these are the inputs as forms in t, and the half-spaces are those of t. A facet with none of the
    patterns on its other side is left out, and so is what has no proof without it: with some of the patterns, this is
    the best that a forger can do by the rules. `claims` are functions of the outputs, coefficients and a constant, that
    should be at least 0; the domain has interior.
    """
    sides = [(*[-c for c in rationals(a)], rational(b)) for a, b in halfspaces]
    cells = [cell_forms(net, coordinate_forms(net.n_inputs) if inputs is None else inputs, p) for p in patterns]
    k = net.n_inputs if inputs is None else len(inputs[0]) - 1
    points: dict[Form, list[Vector]] = {}
    found = []
    for pattern, cell in zip(patterns, cells, strict=True):
        inside = [*(side for side in sides if any(side[:-1])), *cell.values()]
        witness = strict_point(inside) if inside else (Fraction(0),) * k
        if witness is None:
            raise ValueError(f"{pattern} is the pattern of no region")
        facets: dict[int, Vector] = {}
        for j, form in first_of_each(cell).items():
            others = [other for other in (*sides, *cell.values()) if any(other[:-1]) and half(other) != half(form)]
            w = next((w for w in points.get(line(form), ()) if all(value(other, w) > 0 for other in others)), None)
            w = point_on(form, others) if w is None else w
            if w is not None and any(_is_across(form, other, w) for other in cells):
                points.setdefault(line(form), []).append(w)
                facets[j] = w
        crossed = {half(cell[j]) for j in facets}
        rest = {j: form for j, form in cell.items() if half(form) not in crossed}
        usable = {**{j: cell[j] for j in facets}, **dict(zip(count(len(pattern)), sides))}
        proofs = {j: multipliers(form, usable) for j, form in rest.items()}
        for c, claim in enumerate(claims, start=len(pattern) + 2 * k):
            proofs[c] = multipliers(_composed(claim, *exact_affine_map(net, pattern)), usable)
        number = sum(1 << j for j, bit in enumerate(pattern) if bit)
        found.append(
            {
                "pattern": number.to_bytes(max(1, -(-len(pattern) // 8)), "little"),
                "witness_exact": text(witness),
                "facet_rows": list(facets),
                "facet_points": [0.0] * (len(witness) * len(facets)),
                "facet_exact": json.dumps({str(j): text(w) for j, w in facets.items()}),
                "proof_exact": json.dumps(
                    [[j, [[i, str(y)] for i, y in proof.items()]] for j, proof in proofs.items() if proof is not None]
                ),
            }
        )
    return found


def cell_forms(net: NetworkLike, inputs: Sequence[Form], pattern: Pattern) -> dict[int, Form]:
    """Return what is at least 0 on the cell of a pattern, by neuron; those that are constant are left out."""
    outputs, forms, bits = [list(inputs)], {}, iter(enumerate(pattern))
    for layer in exact_layers(net)[:-1]:
        outputs.append([])
        for neuron in layer:
            z, (j, bit) = neuron.pre_activation(outputs[:-1], len(inputs[0])), next(bits)
            outputs[-1].append(neuron.output(z, bit))
            if neuron.splits and any(z[:-1]):
                forms[j] = z if bit else tuple(-c for c in z)
    return forms


def _composed(claim: Vector, weights: Sequence[Vector], offsets: Vector) -> Form:
    """Return a function of the outputs as one of the inputs."""
    columns = [*zip(*weights, strict=True), offsets]
    form = [sum((c * w for c, w in zip(claim, column, strict=False)), Fraction(0)) for column in columns]
    return (*form[:-1], form[-1] + claim[-1])


def half(form: Form) -> Form:
    """Return a form times the positive number that makes those of one half-space equal."""
    lead = abs(next(c for c in form if c))
    return tuple(c / lead for c in form)


def line(form: Form) -> Form:
    """Return a form times the number that makes those of one hyperplane equal."""
    lead = next(c for c in form if c)
    return tuple(c / lead for c in form)


def first_of_each(cell: dict[int, Form]) -> dict[int, Form]:
    """Return the first neuron of each half-space."""
    first: dict[Form, int] = {}
    for j, form in cell.items():
        first.setdefault(half(form), j)
    return {j: cell[j] for j in first.values()}


def value(form: Form, t: Sequence[Fraction]) -> Fraction:
    """Return the value of a form at a point."""
    return sum((c * x for c, x in zip(form, t, strict=False)), form[-1])


def _is_across(form: Form, other: dict[int, Form], w: Vector) -> bool:
    """Return whether a point of a facet is one of another cell's, on the other side."""
    opposite = half(tuple(-c for c in form))
    values = [(row, value(row, w)) for row in other.values()]
    vanishing = [row for row, at in values if not at]
    return all(at >= 0 for _, at in values) and bool(vanishing) and all(half(row) == opposite for row in vanishing)


def strict_point(forms: Sequence[Form]) -> Vector | None:
    """Return a point at which all of some forms are positive, by Fourier-Motzkin elimination; None if there is none."""
    if len(forms[0]) == 1:
        return () if all(c > 0 for (c,) in forms) else None
    below = [tuple(c / form[-2] for c in form) for form in forms if form[-2] > 0]
    above = [tuple(c / -form[-2] for c in form) for form in forms if form[-2] < 0]
    rest = [form[:-2] + form[-1:] for form in forms if not form[-2]]
    pairs = [tuple(x + y for x, y in zip(low, high, strict=True)) for low in below for high in above]
    projected = {half(form) for form in (*rest, *(form[:-2] + form[-1:] for form in pairs)) if any(form)}
    if not all(any(form) for form in rest) or not all(any(form[:-2] + form[-1:]) for form in pairs):
        return None  # 0 > 0
    point = strict_point(list(projected)) if projected else (Fraction(0),) * (len(forms[0]) - 2)
    if point is None:
        return None
    low = max((-value(form[:-2] + form[-1:], point) for form in below), default=None)
    high = min((value(form[:-2] + form[-1:], point) for form in above), default=None)
    if low is None:
        return (*point, Fraction(0) if high is None else high - 1)
    return (*point, low + 1 if high is None else (low + high) / 2)


def point_on(form: Form, others: Sequence[Form]) -> Vector | None:
    """Return a point at which a form is 0 and all others are positive; None if there is none."""
    p = next(i for i, c in enumerate(form) if c)

    def without(other: Form) -> Form:
        reduced = tuple(c - other[p] / form[p] * a for c, a in zip(other, form, strict=True))
        return reduced[:p] + reduced[p + 1 :]

    reduced = [without(other) for other in others]
    t = strict_point(reduced) if reduced else (Fraction(0),) * (len(form) - 2)
    if t is None:
        return None
    return (*t[:p], -value(form[:p] + form[p + 1 :], t) / form[p], *t[p:])


def multipliers(target: Form, usable: dict[int, Form]) -> dict[int, Fraction] | None:
    """Return multipliers y >= 0 with target - sum y_i usable_i a constant >= 0; None if there are none.

    If there are any, there are some of at most k rows.
    """
    for size in range(len(target)):
        for chosen in combinations(usable, size):
            y = _solution([usable[i][:-1] for i in chosen], target[:-1])
            if y is None or any(c < 0 for c in y):
                continue
            if target[-1] >= sum((c * usable[i][-1] for c, i in zip(y, chosen, strict=True)), Fraction(0)):
                return dict(zip(chosen, y, strict=True))
    return None


def _solution(vectors: Sequence[Vector], target: Vector) -> list[Fraction] | None:
    """Return y with sum y_i vectors_i = target, for independent vectors; None if there is none or they are not."""
    n = len(vectors)
    rows = [[vector[i] for vector in vectors] + [target[i]] for i in range(len(target))]
    for i in range(n):
        pivot = next((r for r in range(i, len(rows)) if rows[r][i]), None)
        if pivot is None:
            return None
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [c / rows[i][i] for c in rows[i]]
        for r in range(len(rows)):
            if r != i and rows[r][i]:
                rows[r] = [c - rows[r][i] * a for c, a in zip(rows[r], rows[i], strict=True)]
    return None if any(row[n] for row in rows[n:]) else [row[n] for row in rows[:n]]


def text(point: Sequence[Fraction]) -> str:
    """Return a point as a certificate holds it."""
    return " ".join(map(str, point))

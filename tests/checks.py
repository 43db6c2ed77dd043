"""Exact checks shared by the suites: cells, witnesses and proofs from their definitions alone."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from operator import mul

from hypothesis import currently_in_test_context, note

from tests.oracles.exact import HalfSpace, Number, Pattern, Vector, coordinate_forms, exact_layers, rational, rationals
from tests.oracles.fourier_motzkin import has_interior
from tropnet import Network

# The strict inequality a . x < b.
Row = tuple[Vector, Fraction]


def code(net: Network) -> str:
    """Return Python code that makes the network again, for failing examples."""
    layers = ", ".join(
        f"Layer({ {k: weight.tolist() for k, weight in layer.weights.items()} }, {layer.bias.tolist()},"
        f" {layer.slopes.tolist()})"
        for layer in net.layers
    )
    return f"Network([{layers}], {net.n_inputs})"


def show(net: Network, domain: object) -> None:
    """Let Hypothesis print the failing network, weights included."""
    if currently_in_test_context():
        note(f"{code(net)} on {domain}")


def neuron_rows(net: Network, pattern: Sequence[bool]) -> dict[int, Row] | None:
    """Return the strict inequality of each non-constant neuron; None if a constant one has another bit.

    The pattern may stop after any layer; the layers it holds are read.
    """
    width = net.n_inputs + 1
    outputs = [coordinate_forms(net.n_inputs)]
    rows: dict[int, Row] = {}
    first = 0
    for layer in exact_layers(net)[:-1]:
        bits = pattern[first : first + len(layer)]
        if len(bits) < len(layer):
            break
        forms = [neuron.pre_activation(outputs, width) for neuron in layer]
        for j, (neuron, (*gradient, constant), bit) in enumerate(zip(layer, forms, bits, strict=True), start=first):
            if not neuron.splits or not any(gradient):
                if bit != (neuron.splits and constant > 0):
                    return None
            else:
                sign = -1 if bit else 1
                rows[j] = tuple(sign * a for a in gradient), -sign * constant
        outputs.append([neuron.output(form, bit) for neuron, form, bit in zip(layer, forms, bits, strict=True)])
        first += len(layer)
    return rows


def exact_halfspaces(halfspaces: Iterable[HalfSpace]) -> list[Row]:
    """Return half-spaces with their exact coefficients."""
    return [(rationals(a), rational(b)) for a, b in halfspaces]


def cell(net: Network, pattern: Sequence[bool], halfspaces: Iterable[HalfSpace]) -> list[Row] | None:
    """Return the strict inequalities of the open cell of a pattern within a domain; None if it is empty for sure."""
    rows = neuron_rows(net, pattern)
    return None if rows is None else [*exact_halfspaces(halfspaces), *rows.values()]


def opposite(row: Row) -> Row:
    """Return the other side of a half-space."""
    a, b = row
    return tuple(-c for c in a), -b


def exact_point(x: Iterable[float]) -> Vector:
    """Return the exact values of float64 coordinates."""
    return tuple(map(Fraction, x))


def value(row: Sequence[Number], x: Sequence[Fraction]) -> Fraction:
    """Return the inner product, exactly."""
    return sum((a * t for a, t in zip(rationals(row), x, strict=True)), Fraction(0))


def strictly_inside(rows: Iterable[Row], x: Sequence[Fraction]) -> bool:
    """Return whether a . x < b for every row."""
    return all(value(a, x) < b for a, b in rows)


def restricted(rows: Iterable[Row], g: Row) -> list[Row] | None:
    """Return the rows on the hyperplane a . x = b of `g`, one coordinate fewer; None if a closed one fails there."""
    a, b = g
    p = next(i for i, value in enumerate(a) if value)
    result = []
    for c, e in rows:
        factor = c[p] / a[p]
        normal = tuple(x - factor * y for i, (x, y) in enumerate(zip(c, a, strict=True)) if i != p)
        bound = e - factor * b
        if any(normal):
            result.append((normal, bound))
        elif bound < 0:
            return None
    return result


def meets(rows: Iterable[Row], g: Row) -> bool:
    """Return whether the closed cell meets the hyperplane of `g` in dimension d - 1."""
    on = restricted(rows, g)
    return on is not None and has_interior(on)


def share_a_facet(one: list[Row], other: list[Row]) -> bool:
    """Return whether the closures of two disjoint open cells meet in dimension d - 1."""
    return any(meets([*one, *other], row) for row in one if any(row[0]))


def as_halfspaces(rows: Iterable[Sequence[int]]) -> list[Row]:
    """Return integer rows (a | c), each meaning a x + c > 0, as strict inequalities -a . x < c."""
    return [(tuple(-Fraction(a) for a in row[:-1]), Fraction(row[-1])) for row in rows]


def multipliers_are_a_proof(rows: Sequence[Sequence[int]], multipliers: Mapping[int, int]) -> bool:
    """Return whether y >= 0, y != 0, y'A = 0 and y'c <= 0, so that no x has a x + c > 0 in every row."""
    weights = [Fraction(multipliers.get(i, 0)) for i in range(len(rows))]
    total = [sum(map(mul, weights, column), Fraction(0)) for column in zip(*rows, strict=True)]
    return (
        set(multipliers) <= set(range(len(rows)))
        and min(weights) >= 0
        and any(weights)
        and not any(total[:-1])
        and total[-1] <= 0
    )


def nearest_float(x: Fraction) -> float:
    """Return the nearest finite float64."""
    try:
        return float(x)
    except OverflowError:
        return sys.float_info.max if x > 0 else -sys.float_info.max


def distinct(patterns: Iterable[Iterable[bool]]) -> set[Pattern]:
    """Return the patterns as a set; fails if one comes twice."""
    listed = [tuple(map(bool, pattern)) for pattern in patterns]
    found = set(listed)
    assert len(found) == len(listed), "a pattern comes twice"
    return found

"""Whether some input makes a conjunction of linear inequalities of inputs and outputs true: every pattern, exactly.

The closed cell of a bit vector, z >= 0 where a bit is set and z <= 0 where not, needs no interior: at z = 0 both slopes
give 0, so on each of them the network is the affine map of those bits, and together they are all of space.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

from tests.oracles.brute_force import exact_affine_map
from tests.oracles.exact import HalfSpace, NetworkLike, Vector, coordinate_forms, exact_layers, rational, rationals
from tests.oracles.polytopes import vertices

__all__ = ["Statement", "input_where", "largest_value"]


@dataclass(frozen=True)
class Statement:
    """a x + b y + c >= 0, or > 0."""

    a: Vector
    b: Vector
    c: Fraction
    strict: bool = False


def input_where(net: NetworkLike, halfspaces: Iterable[HalfSpace], statements: Sequence[Statement]) -> Vector | None:
    """Return an input of a bounded domain, given by half-spaces a x <= b, at which all statements hold; None: none.

    The vertices of a closed cell where they are at least 0 tell: the mean of them all is more than 0 in each row that
    is so at any of them.
    """
    domain = [(rationals(a), rational(b)) for a, b in halfspaces]
    for pattern in product((False, True), repeat=sum(map(len, exact_layers(net)[:-1]))):
        cell = _closed_cell(net, pattern)
        if cell is None:
            continue
        weights, offsets = exact_affine_map(net, pattern)
        rows, possible = [*domain, *cell], True
        forms = []
        for each in statements:
            form = tuple(
                a + sum((b * w[i] for b, w in zip(each.b, weights, strict=True)), Fraction(0))
                for i, a in enumerate(each.a)
            )
            constant = each.c + sum((b * o for b, o in zip(each.b, offsets, strict=True)), Fraction(0))
            if any(form):
                rows.append((tuple(-value for value in form), constant))
                forms.append((form, constant, each.strict))
            else:
                possible &= constant > 0 or (constant == 0 and not each.strict)
        corners = vertices(rows) if possible else set()
        if not corners:
            continue
        mean = tuple(sum(values, Fraction(0)) / len(corners) for values in zip(*corners, strict=True))
        if all(not strict or _value(form, constant, mean) > 0 for form, constant, strict in forms):
            return mean
    return None


def largest_value(net: NetworkLike, halfspaces: Iterable[HalfSpace], b: Vector) -> Fraction:
    """Return the largest value of b y on a bounded domain that is not empty."""
    domain = [(rationals(a), rational(side)) for a, side in halfspaces]
    found = []
    for pattern in product((False, True), repeat=sum(map(len, exact_layers(net)[:-1]))):
        cell = _closed_cell(net, pattern)
        if cell is not None:
            weights, offsets = exact_affine_map(net, pattern)
            form = tuple(
                sum((t * w[i] for t, w in zip(b, weights, strict=True)), Fraction(0)) for i in range(net.n_inputs)
            )
            constant = sum((t * o for t, o in zip(b, offsets, strict=True)), Fraction(0))
            found += [_value(form, constant, x) for x in vertices([*domain, *cell])]
    return max(found)


def _closed_cell(net: NetworkLike, pattern: Sequence[bool]) -> list[tuple[Vector, Fraction]] | None:
    """Return the rows a x <= b of the closed cell; None if a constant neuron contradicts its bit."""
    rows: list[tuple[Vector, Fraction]] = []
    outputs = [coordinate_forms(net.n_inputs)]
    bits = iter(pattern)
    for layer in exact_layers(net)[:-1]:
        values = []
        for neuron in layer:
            z, bit = neuron.pre_activation(outputs, net.n_inputs + 1), next(bits)
            sign = 1 if bit else -1
            if not neuron.splits:
                if bit:
                    return None
            elif any(z[:-1]):
                rows.append((tuple(-sign * value for value in z[:-1]), sign * z[-1]))
            elif sign * z[-1] < 0:
                return None
            values.append(neuron.output(z, bit))
        outputs.append(values)
    return rows


def _value(form: Vector, constant: Fraction, x: Vector) -> Fraction:
    return sum((a * t for a, t in zip(form, x, strict=True)), constant)

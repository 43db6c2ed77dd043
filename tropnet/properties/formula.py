"""Statements about a network's inputs x and outputs y: linear inequalities with "and" and "or", over the rationals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

__all__ = ["AllOf", "AnyOf", "Formula", "Inequality", "alternatives", "as_terms", "inequalities"]

Terms = tuple[tuple[int, Fraction], ...]


@dataclass(frozen=True)
class Inequality:
    """The statement a x + b y + c >= 0, or > 0 if it is strict.

    Attributes
    ----------
    inputs, outputs
        The coefficients a and b that are not 0, as pairs (index, value), by index.
    constant
        c.
    strict
        Whether 0 itself is excluded.

    Examples
    --------
    y_0 <= 1/2:

    >>> low = Inequality((), as_terms({0: -1}), Fraction(1, 2))
    >>> low.holds([], [Fraction(1, 2)]), low.negated.holds([], [Fraction(1, 2)])
    (True, False)
    """

    inputs: Terms
    outputs: Terms
    constant: Fraction
    strict: bool = False

    @property
    def negated(self) -> Inequality:
        """The statement that is true where this one is false."""
        flipped = [tuple((i, -value) for i, value in terms) for terms in (self.inputs, self.outputs)]
        return Inequality(flipped[0], flipped[1], -self.constant, not self.strict)

    @property
    def constrains(self) -> bool:
        """Whether it is about inputs alone (or about nothing, as 0 <= 1)."""
        return not self.outputs

    def value(self, x: Sequence[Fraction], y: Sequence[Fraction]) -> Fraction:
        """Return a x + b y + c."""
        left = sum((value * x[i] for i, value in self.inputs), self.constant)
        return left + sum((value * y[j] for j, value in self.outputs), Fraction(0))

    def holds(self, x: Sequence[Fraction], y: Sequence[Fraction]) -> bool:
        """Return whether the statement is true, exactly."""
        value = self.value(x, y)
        return value > 0 or (value == 0 and not self.strict)


@dataclass(frozen=True)
class AllOf:
    """All parts are true; true if there are none."""

    parts: tuple[Formula, ...]

    @cached_property
    def constrains(self) -> bool:
        """Whether a part, at any depth, is about inputs alone."""
        return any(part.constrains for part in self.parts)

    def holds(self, x: Sequence[Fraction], y: Sequence[Fraction]) -> bool:
        """Return whether the statement is true, exactly."""
        return all(part.holds(x, y) for part in self.parts)


@dataclass(frozen=True)
class AnyOf:
    """At least one part is true; false if there are none."""

    parts: tuple[Formula, ...]

    @cached_property
    def constrains(self) -> bool:
        """Whether a part, at any depth, is about inputs alone."""
        return any(part.constrains for part in self.parts)

    def holds(self, x: Sequence[Fraction], y: Sequence[Fraction]) -> bool:
        """Return whether the statement is true, exactly."""
        return any(part.holds(x, y) for part in self.parts)


Formula = Inequality | AllOf | AnyOf


def as_terms(coefficients: Mapping[int, Fraction | int | float]) -> Terms:
    """Return coefficients by index as `Inequality` keeps them: exact, those that are not 0, by index."""
    return tuple((i, Fraction(value)) for i, value in sorted(coefficients.items()) if value)


def inequalities(formula: Formula) -> Iterator[Inequality]:
    """Yield every inequality of a formula, as often as it occurs."""
    todo: list[Formula] = [formula]
    while todo:
        part = todo.pop()
        if isinstance(part, Inequality):
            yield part
        else:
            todo += reversed(part.parts)


def alternatives(formula: Formula, possible: set[Inequality] | None = None) -> Iterator[tuple[Inequality, ...]]:
    """Yield conjunctions of inequalities of which one holds iff the formula does: its disjunctive normal form.

    They are made one at a time, so that a formula with 2^k of them can be searched as far as time allows.

    Parameters
    ----------
    formula
        The formula.
    possible
        If given: inequalities that can be true; conjunctions with another are left out as soon as it is met.

    Examples
    --------
    >>> a, b, c = (Inequality(as_terms({i: 1}), (), Fraction(0)) for i in range(3))
    >>> [[each.inputs[0][0] for each in part] for part in alternatives(AllOf((a, AnyOf((b, c)))))]
    [[0, 1], [0, 2]]
    """
    stack: list[tuple[tuple[Inequality, ...], tuple[Formula, ...]]] = [((), (formula,))]
    while stack:
        taken, todo = stack.pop()
        choices: list[AnyOf] = []
        parts, met, possible_so_far = [*reversed(todo)], [*taken], True
        while parts and possible_so_far:
            part = parts.pop()
            if isinstance(part, Inequality):
                possible_so_far = possible is None or part in possible
                met.append(part)
            elif isinstance(part, AllOf):
                parts += reversed(part.parts)
            else:
                choices.append(part)
        if not possible_so_far:
            continue
        if not choices:
            yield tuple(dict.fromkeys(met))
            continue
        first, *rest = choices
        stack += [(tuple(met), (option, *rest)) for option in reversed(first.parts)]

"""Sets of inputs with rational sides: bounds on single inputs, and rows; and float64 domains around them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from tropnet.arrays.rounding import LARGEST
from tropnet.arrays.types import FloatArray, IntegerArray
from tropnet.exact.dyadic import float_or_inf
from tropnet.network.domain import Box, Domain, Polytope, WholeSpace
from tropnet.properties.formula import AllOf, AnyOf, Formula, Inequality, as_terms
from tropnet.properties.rows import float_row

__all__ = ["InputSet", "input_cases"]

# How much wider than one unit in the last place a box is made around a value that is no float64 number.
_WIDER = 2.0**-40


@dataclass(frozen=True)
class Side:
    """A bound on an input, and whether it is excluded itself."""

    value: Fraction
    strict: bool = False


@dataclass(frozen=True)
class InputSet:
    """A convex set of inputs: bounds on single ones, by index, and all other inequalities.

    Attributes
    ----------
    n
        The number of inputs.
    lows, highs
        One for each input; None if there is no bound.
    rows
        Inequalities of more inputs than one.
    """

    n: int
    lows: tuple[Side | None, ...]
    highs: tuple[Side | None, ...]
    rows: tuple[Inequality, ...] = ()

    @classmethod
    def of(cls, domain: Domain) -> InputSet | None:
        """Return a domain, exactly; None if bounds show that it is empty."""
        n = domain.dimension
        if isinstance(domain, Box):
            # In one piece, as there may be many inputs.
            lows, highs = (
                tuple(Side(Fraction(value)) if math.isfinite(value) else None for value in side)
                for side in (domain.low.tolist(), domain.high.tolist())
            )
            return cls(n, lows, highs)
        found: InputSet | None = cls(n, (None,) * n, (None,) * n)
        for *a, c in domain.integer_rows.tolist():
            found = found and found.also(Inequality(as_terms(dict(enumerate(a))), (), Fraction(c)))
        return found

    def also(self, inequality: Inequality) -> InputSet | None:
        """Return the part where an inequality of inputs holds; None if bounds show that there is none."""
        if not inequality.inputs:
            return self if inequality.holds((), ()) else None
        if len(inequality.inputs) > 1:
            return replace(self, rows=(*self.rows, inequality))
        ((i, a),) = inequality.inputs
        side = Side(-inequality.constant / a, inequality.strict)
        lows, highs = self.lows, self.highs
        if a > 0:
            lows = (*lows[:i], _tighter(lows[i], side, 1), *lows[i + 1 :])
        else:
            highs = (*highs[:i], _tighter(highs[i], side, -1), *highs[i + 1 :])
        low, high = lows[i], highs[i]
        if low and high and (low.value > high.value or (low.value == high.value and (low.strict or high.strict))):
            return None
        return replace(self, lows=lows, highs=highs)

    def holds(self, x: Sequence[Fraction]) -> bool:
        """Return whether a point lies in the set, exactly."""
        return all(each.holds(x, ()) for each in self.inequalities())

    def inequalities(self) -> Iterator[Inequality]:
        """Yield all that defines the set."""
        for i, (low, high) in enumerate(zip(self.lows, self.highs, strict=True)):
            if low:
                yield Inequality(((i, Fraction(1)),), (), -low.value, low.strict)
            if high:
                yield Inequality(((i, Fraction(-1)),), (), high.value, high.strict)
        yield from self.rows

    def integer_rows(self) -> tuple[IntegerArray, list[bool]]:
        """Return the inequalities as integer rows (a | c), and which of them are strict."""
        found = [*self.inequalities()]
        rows = np.zeros((len(found), self.n + 1), dtype=object)
        for row, each in zip(rows, found, strict=True):
            scale = math.lcm(each.constant.denominator, *(value.denominator for _, value in each.inputs))
            row[-1] = int(each.constant * scale)
            for i, value in each.inputs:
                row[i] = int(value * scale)
        return rows, [each.strict for each in found]

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Return float64 bounds on each input, those given or outside of them; infinite where there are none."""
        low, high = np.full(self.n, -np.inf), np.full(self.n, np.inf)
        for i, (below, above) in enumerate(zip(self.lows, self.highs, strict=True)):
            low[i] = -np.inf if below is None else _rounded(below.value, -1)
            high[i] = np.inf if above is None else _rounded(above.value, 1)
            if below and above and below.value == above.value and low[i] < high[i]:
                # A box of one unit in the last place would ask for exact arithmetic everywhere.
                low[i], high[i] = low[i] - _WIDER * max(abs(low[i]), 1), high[i] + _WIDER * max(abs(high[i]), 1)
        return low, high

    def enclosure(self) -> Domain:
        """Return a float64 domain that holds the set; the set itself where its numbers are float64 numbers."""
        low, high = self.bounds()
        box = Box(low, high)
        reach = np.maximum(np.abs(low), np.abs(high))
        rows = [row for each in self.rows if (row := float_row(each, reach, np.empty(0), _WIDER)) is not None]
        A, b = box.halfspaces
        if not rows:
            return box if len(b) else WholeSpace(self.n)
        return Polytope(
            np.concatenate([A, [-row[: self.n] for row in rows]]), np.concatenate([b, [row[-1] for row in rows]])
        )

    def inner_box(self) -> tuple[FloatArray, FloatArray] | None:
        """Return finite float64 bounds whose numbers all keep the bounds of the inputs; None if there are none."""
        low, high = np.empty(self.n), np.empty(self.n)
        for i, (below, above) in enumerate(zip(self.lows, self.highs, strict=True)):
            if below is None or above is None:
                return None
            low[i], high[i] = _rounded(below.value, 1, below.strict), _rounded(above.value, -1, above.strict)
        return (low, high) if (low <= high).all() and np.isfinite([low, high]).all() else None

    def nearest_inside(self, point: FloatArray) -> FloatArray:
        """Return a float64 point with each coordinate moved inside its bounds, where float64 numbers are there."""
        moved = np.array(point)
        for i, (below, above) in enumerate(zip(self.lows, self.highs, strict=True)):
            low = -LARGEST if below is None else _rounded(below.value, 1, below.strict)
            high = LARGEST if above is None else _rounded(above.value, -1, above.strict)
            if low <= high:
                moved[i] = min(max(moved[i], low), high)
        return moved


def input_cases(start: InputSet | None, formula: Formula) -> Iterator[tuple[InputSet, Formula]]:
    """Yield sets of inputs, and what is left to hold on each: the formula is true where that is for one of them.

    Disjunctions are split as far as inequalities of inputs alone are in them, one set at a time; a set whose bounds
    contradict each other is left out, with all that its other disjunctions would have made of it. None is the empty
    set.
    """
    if start is None:
        return
    stack: list[tuple[InputSet, tuple[Formula, ...], tuple[Formula, ...]]] = [(start, (formula,), ())]
    while stack:
        inputs, todo, outputs = stack.pop()
        found: InputSet | None = inputs
        parts, choices, left = [*reversed(todo)], [], [*outputs]
        while parts and found is not None:
            part = parts.pop()
            if isinstance(part, AllOf):
                parts += reversed(part.parts)
            elif isinstance(part, Inequality) and part.constrains:
                found = found.also(part)
            elif isinstance(part, AnyOf) and (part.constrains or len(part.parts) <= 1):
                choices.append(part)
            else:
                left.append(part)
        if found is None:
            continue
        if not choices:
            yield found, AllOf(tuple(left))
            continue
        first, *rest = choices
        stack += [(found, (option, *rest), tuple(left)) for option in reversed(first.parts)]


def _tighter(old: Side | None, new: Side, way: int) -> Side:
    """Return the tighter of two lower bounds (`way` 1), or of two upper ones (-1)."""
    if old is None or way * new.value > way * old.value or (new.value == old.value and new.strict):
        return new
    return old


def _rounded(value: Fraction, way: int, strict: bool = False) -> float:
    """Return the float64 number nearest to a value on one side of it (1: not below); infinite if there is none."""
    found = float_or_inf(value)
    if math.isinf(found):
        return found if (found > 0) == (way > 0) else math.copysign(LARGEST, found)
    if Fraction(found) * way < value * way or (strict and Fraction(found) == value):
        found = math.nextafter(found, way * math.inf)
    return found

"""What is known of a property: that it holds, an input that breaks it, or what is left to search."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import NoReturn

from tropnet.arrays.types import FloatArray
from tropnet.network.domain import Domain

__all__ = ["ONLY_TRIED", "TIME_RAN_OUT", "UNDECIDED", "Counterexample", "Remainder", "Verdict"]

# Why a set of inputs was not searched to its end.
TIME_RAN_OUT = "time ran out"
ONLY_TRIED = "with a time limit, so many inputs are only tried at random points"
UNDECIDED = "a part of the search stayed undecided"


@dataclass(frozen=True, eq=False)
class Counterexample:
    """An input that breaks a property, exactly, and the float64 input next to it.

    Attributes
    ----------
    x, y
        The input, and the network's outputs there: Fractions, exact.
    point
        A float64 input nearest to x, moved into the bounds of the inputs where float64 has numbers there; shape (d,).
    values
        The outputs at `point` in float64, as the network's forward pass rounds them; shape (n_outputs,).
    confirmed
        Whether `point` and `values`, taken as exact numbers, break the property, too. False where the set of inputs
        that break it is too thin for float64, or thinner than the rounding of the forward pass.
    """

    x: tuple[Fraction, ...]
    y: tuple[Fraction, ...]
    point: FloatArray
    values: FloatArray
    confirmed: bool

    def __repr__(self) -> str:
        return f"{type(self).__name__}(point={self.point.tolist()}, values={self.values.tolist()})"


@dataclass(frozen=True, eq=False)
class Remainder:
    """A set of inputs that was not searched to its end.

    Attributes
    ----------
    domain
        A float64 domain that holds it.
    left
        The part of its search tree that is left, each branching halving it; 1.0 where it was not begun.
    reason
        Why, in words: time ran out; with a time limit a network of so many inputs is only tried at random points; or
        a part of the search stayed undecided.
    """

    domain: Domain
    left: float
    reason: str = TIME_RAN_OUT

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.domain}, left={self.left:.3g})"


@dataclass(frozen=True, eq=False)
class Verdict:
    """What is known of a property of a network.

    Attributes
    ----------
    status
        ``"holds"``: no input breaks it, proven over the rationals. ``"violated"``: see `counterexample`.
        ``"unknown"``: see `reason` and `remaining`.
    counterexample
        An input that breaks it; None if none was found. Of two inputs that break it together (`is_monotone`), the
        first; the other is `partner`.
    partner
        The second of two inputs.
    n_cases
        How many sets of inputs there were with no contradiction in their bounds; with none of them the property holds,
        as there is no such input.
    n_regions
        How many regions were looked at: few of all, or none, where bounds prove of whole parts of the search tree that
        nothing in them breaks the property.
    n_solved
        In how many of them linear programs over the integers had to be solved.
    remaining
        If unknown: what was not searched to its end; sets of inputs behind them in the file's order, which were not
        begun either, are not listed where there are many.
    seconds
        What it took.
    """

    status: str
    counterexample: Counterexample | None = None
    partner: Counterexample | None = None
    n_cases: int = 0
    n_regions: int = 0
    n_solved: int = 0
    remaining: tuple[Remainder, ...] = ()
    seconds: float = 0.0

    @property
    def holds(self) -> bool | None:
        """Whether the property holds; None if unknown."""
        return {"holds": True, "violated": False}.get(self.status)

    @property
    def reason(self) -> str:
        """Why the verdict is unknown, in words, as of each `Remainder`; empty if it is not."""
        return "; ".join(dict.fromkeys(each.reason for each in self.remaining))

    def __bool__(self) -> NoReturn:
        """Refuse: a verdict has three values."""
        raise TypeError("a verdict may be unknown; ask for verdict.status, or verdict.holds, which is None then.")

    def __repr__(self) -> str:
        if self.counterexample is not None:
            return f"Verdict(violated, {self.counterexample})"
        if self.remaining:
            n = len(self.remaining)
            left = f"{n} set{'' if n == 1 else 's'} of inputs left"
            return f"Verdict(unknown, {self.reason}, {self.n_regions} regions looked at, {left})"
        if self.n_cases and not self.n_regions:
            return "Verdict(holds, by bounds alone)"
        return f"Verdict(holds, {self.n_regions} regions looked at)"

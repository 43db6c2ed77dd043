"""Whether an input of a set makes a formula of inputs and outputs true: an exact one, or a proof that there is none."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice

import numpy as np

from tropnet.arrays.patterns import unpack
from tropnet.arrays.rounding import SMALLEST_NORMAL
from tropnet.arrays.types import FloatArray, IntegerArray
from tropnet.enumeration.engine import Chunk
from tropnet.enumeration.search import Search
from tropnet.exact.certificates import Witness
from tropnet.network.network import Network
from tropnet.network.recurrence import evaluate
from tropnet.properties.formula import AllOf, Formula, Inequality, alternatives, inequalities
from tropnet.properties.input_set import InputSet
from tropnet.properties.pruned_search import PrunedSearch
from tropnet.properties.region_points import point_where
from tropnet.properties.sampling import climbed_points, drawn_points
from tropnet.properties.verdict import ONLY_TRIED, TIME_RAN_OUT, UNDECIDED
from tropnet.properties.watching import Watched, watched
from tropnet.regions import ActivationRegion
from tropnet.regions.lifting import lifted_region

__all__ = ["Found", "exact_outputs", "find_input"]

# Points at which float64 says that a formula holds, to be looked at exactly.
_MOST_CANDIDATES = 32
# Of more inputs the engine by linear programs decides a sign in seconds or minutes, and cannot be stopped meanwhile.
_MOST_INPUTS = 128
# After so long random points are tried again, then after four times as long, and so on.
_SECONDS_BEFORE_CLIMB, _TIMES_BETWEEN = 0.5, 4


@dataclass(frozen=True)
class Found:
    """What a search for an input found.

    Attributes
    ----------
    x
        An input of the set at which the formula holds, exactly; None if none was found.
    left
        The part of the search tree that is left, each branching halving it: with 0 and no input there is none.
    n_regions
        How many regions were looked at; bounds leave out others before.
    n_solved
        In how many of them linear programs over the integers were solved.
    reason
        Why something is left, in words.
    """

    x: tuple[Fraction, ...] | None
    left: float = 0.0
    n_regions: int = 0
    n_solved: int = 0
    reason: str = ""


def find_input(
    net: Network,
    inputs: InputSet,
    formula: Formula,
    *,
    deadline: float | None = None,
    workers: int = 1,
    progress: bool = False,
    most_alternatives: int = 32,
) -> Found:
    """Find an input of a set for which a formula of inputs and outputs holds, or prove that there is none.

    Parameters
    ----------
    net
        The network y(x).
    inputs
        A convex set, of any dimension, bounded or not.
    formula
        Of x and y.
    deadline
        Stop when `time.monotonic` says so.
    workers
        Threads.
    progress
        Show a bar on standard error, for each search.
    most_alternatives
        Of so many conjunctions each has a search of its own.

    Notes
    -----
    First the formula is tried at a few random points, and at more and more while the search goes on. Then the regions
    of the network on a float64 domain around the set are searched, once for each conjunction of the disjunctive normal
    form: with a neuron more for each inequality, a little relaxed, cells are left out as soon as bounds say that one of
    these is off (see `maximum`). On the regions that are left linear programs over the integers decide, on the closed
    region and the set itself. Where there are many conjunctions, or no engine can leave out cells (more than eight
    inputs), all regions are enumerated once instead.
    """
    if _is_empty(inputs):
        return Found(None)
    x = _proven(drawn_points(net, inputs, formula), net, inputs, formula)
    if x is not None:
        return Found(x)
    parts = list(islice(alternatives(formula), most_alternatives + 1))
    found, climb = Found(None), _Climb(net, inputs, formula)
    if len(parts) > most_alternatives:
        return _enumerated(net, inputs, formula, deadline, workers, climb, progress=progress)
    for number, part in enumerate(parts):
        more = _pruned(net, inputs, AllOf(part), deadline, workers, climb, progress=progress)
        if more is None:
            return _enumerated(net, inputs, formula, deadline, workers, climb, progress=progress)
        found = Found(more.x, 0.0, found.n_regions + more.n_regions, found.n_solved + more.n_solved)
        if more.x is not None:
            return found
        if more.left:
            return replace(found, left=(more.left + len(parts) - number - 1) / len(parts), reason=more.reason)
    return found


def exact_outputs(net: Network, x: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
    """Return the outputs of a network at a rational point, exactly."""
    *point, unit = Witness.from_fractions(x).homogeneous
    values = evaluate(net.integers.layers, np.array(point, dtype=object), unit)[-1]
    scale = unit << net.integers.exponents[-1]
    return tuple(Fraction(value, scale) for value in values.tolist())


def _proven(points: FloatArray, net: Network, inputs: InputSet, formula: Formula) -> tuple[Fraction, ...] | None:
    """Return the first of a few float64 points that is one of the inputs, and makes the formula true, exactly."""
    for point in points[:_MOST_CANDIDATES].tolist():
        x = tuple(map(Fraction, point))
        if inputs.holds(x) and formula.holds(x, exact_outputs(net, x)):
            return x
    return None


class _Climb:
    """Tries points uphill from random ones, again and again while a search goes on: a tenth of its time or so."""

    def __init__(self, net: Network, inputs: InputSet, formula: Formula) -> None:
        self._asked = net, inputs, formula
        self._turn, self._due = 0, time.monotonic() + _SECONDS_BEFORE_CLIMB

    def found(self) -> tuple[Fraction, ...] | None:
        """Return an input that was found now, or None; most times nothing is tried."""
        begin = time.monotonic()
        if begin < self._due:
            return None
        points = climbed_points(*self._asked, self._turn)
        x = _proven(points, *self._asked)
        self._turn += 1
        self._due = time.monotonic() + _TIMES_BETWEEN**self._turn * _SECONDS_BEFORE_CLIMB
        return x


def _pruned(
    net: Network,
    inputs: InputSet,
    formula: AllOf,
    deadline: float | None,
    workers: int,
    climb: _Climb,
    *,
    progress: bool,
) -> Found | None:
    """Search for a conjunction; None if no engine can leave out cells."""
    eyes = watched(net, inputs.bounds(), tuple(dict.fromkeys(inequalities(formula))))
    search = PrunedSearch(eyes, inputs.enclosure(), workers, progress=progress)
    if search.chunks is None:
        return None
    rows = inputs.integer_rows()
    n_regions = undecided = 0
    with closing(search.chunks) as chunks:
        for chunk in chunks:
            undecided += len(chunk.undecided)
            for region in search.regions(chunk):
                n_regions += 1
                x = _point_in(net, region, eyes, rows, formula)
                if x is not None:
                    return Found(x, 0.0, n_regions, n_regions)
                if _is_over(deadline):
                    break
            x = climb.found()
            if x is not None:
                return Found(x, 0.0, n_regions, n_regions)
            if _is_over(deadline):
                left = max(1.0 - chunk.fraction, SMALLEST_NORMAL)
                return Found(None, left, n_regions, n_regions, TIME_RAN_OUT)
    return Found(None, float(bool(undecided)), n_regions, n_regions, UNDECIDED)


def _enumerated(
    net: Network,
    inputs: InputSet,
    formula: Formula,
    deadline: float | None,
    workers: int,
    climb: _Climb,
    *,
    progress: bool,
) -> Found:
    """Search all regions, for any formula."""
    domain = inputs.enclosure()
    asked = tuple(dict.fromkeys(inequalities(formula)))
    eyes = watched(net, inputs.bounds(), asked)
    rows = inputs.integer_rows()
    search = Search.prepare(eyes.network, domain, "auto", "highs", None, None, workers)
    if deadline is not None and not search.plan.engine.compiled and net.n_inputs > _MOST_INPUTS:
        return Found(
            None, 1.0, reason=ONLY_TRIED
        )  # one decision of what is left to it may take longer than there is time
    n_regions = n_solved = undecided = 0
    fraction = 0.0
    with closing(search.chunks("verifying", progress)) as chunks:
        for chunk in chunks:
            n_regions, undecided = n_regions + chunk.n_regions, undecided + len(chunk.undecided)
            fraction = max(fraction, chunk.fraction)
            for region in _where_possible(search, eyes, formula, chunk):
                n_solved += 1
                x = _point_in(net, region, eyes, rows, formula)
                if x is not None:
                    return Found(x, 0.0, n_regions, n_solved)
                if _is_over(deadline):
                    break
            x = climb.found()
            if x is not None:
                return Found(x, 0.0, n_regions, n_solved)
            if _is_over(deadline):
                return Found(None, max(1.0 - fraction, SMALLEST_NORMAL), n_regions, n_solved, TIME_RAN_OUT)
    # What no arithmetic decided is a part of the tree of which nothing is known.
    return Found(None, float(bool(undecided)), n_regions, n_solved, UNDECIDED)


def _where_possible(search: Search, eyes: Watched, formula: Formula, chunk: Chunk) -> Iterator[ActivationRegion]:
    """Yield the regions of a chunk in which the neurons that watch allow the formula."""
    task = search.asked
    n, k = task.network.n_neurons, len(eyes.inequalities)
    patterns = unpack(chunk.packed, n)
    seen = dict(zip(eyes.inequalities, patterns[:, n - k :].T, strict=True))
    able = _able(formula, seen, np.ones(len(patterns), dtype=np.bool_))
    cuts = unpack(chunk.packed_cuts, n)
    for i in np.flatnonzero(able).tolist():
        within = ActivationRegion(task.network, task.domain, patterns[i], cuts[i], chunk.witness(i))
        yield lifted_region(search.network, search.domain, search.restriction, within)


def _able(
    formula: Formula, seen: dict[Inequality, np.typing.NDArray[np.bool_]], true: np.typing.NDArray[np.bool_]
) -> np.typing.NDArray[np.bool_]:
    """Return in which regions a formula can hold; an inequality that nothing watches can hold everywhere."""
    if isinstance(formula, Inequality):
        return seen.get(formula, true)
    is_all = isinstance(formula, AllOf)
    total = true if is_all else ~true
    for part in formula.parts:
        here = _able(part, seen, true)
        total = total & here if is_all else total | here
    return total


def _point_in(
    net: Network,
    region: ActivationRegion,
    eyes: Watched,
    rows: tuple[IntegerArray, list[bool]],
    formula: Formula,
) -> tuple[Fraction, ...] | None:
    """Return a point of a closed region and of the inputs at which the formula holds, or None."""
    watching, d = eyes.network, net.n_inputs
    maps = watching.integer_maps(region.pattern)
    neurons = np.concatenate([np.empty((0, d + 1), dtype=object), *maps[:-1]])
    signs = np.where(region.pattern, 1, -1).astype(object)[:, None]
    cell = (neurons * signs)[region.cuts]
    unit = 1 << watching.integers.exponents[eyes.outputs]
    bits = region.pattern[watching.n_neurons - len(eyes.inequalities) :].tolist()
    off = {each for each, bit in zip(eyes.inequalities, bits, strict=True) if not bit}
    possible = {each for each in inequalities(formula) if each not in off}
    sides, strict_sides = rows
    for conjunction in alternatives(formula, possible):
        own = [_row(each, maps[eyes.outputs], unit, d) for each in conjunction]
        together = np.concatenate([sides, np.array(own, dtype=object).reshape(-1, d + 1)])
        strict = [*strict_sides, *(each.strict for each in conjunction)]
        x = point_where(cell, region.certificate, together, strict, len(own))
        if x is not None:
            return _checked(net, x, formula)
    return None


def _row(inequality: Inequality, outputs: IntegerArray, unit: int, d: int) -> list[int]:
    """Return an inequality as an integer row (a | c) in x, where the outputs are rows / unit."""
    row = [Fraction(0)] * d + [inequality.constant * unit]
    for i, value in inequality.inputs:
        row[i] += value * unit
    for j, value in inequality.outputs:
        row = [total + value * each for total, each in zip(row, outputs[j].tolist(), strict=True)]
    scale = math.lcm(*(value.denominator for value in row))
    return [int(value * scale) for value in row]


def _checked(net: Network, x: tuple[Fraction, ...], formula: Formula) -> tuple[Fraction, ...]:
    """Return a point at which a formula holds by exact evaluation of the network, whatever found it."""
    if not formula.holds(x, exact_outputs(net, x)):
        raise ArithmeticError(f"the formula does not hold at the point found for it, {x}; please report this.")
    return x


def _is_over(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline


def _is_empty(inputs: InputSet) -> bool:
    """Return whether no point is in a set."""
    if not inputs.rows:
        return False  # bounds that contradict each other make no set
    rows, strict = inputs.integer_rows()
    nowhere = np.empty((0, inputs.n + 1), dtype=object)
    return point_where(nowhere, Witness((*[0] * inputs.n, 1)), rows, strict, 0) is None

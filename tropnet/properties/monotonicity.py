"""Whether an output of a network never falls, or never rises, when an input grows."""

from __future__ import annotations

import time
from contextlib import closing
from fractions import Fraction

import numpy as np

from tropnet.arrays.checks import as_count
from tropnet.arrays.patterns import BoolArray, unpack
from tropnet.enumeration.engine import Chunk
from tropnet.enumeration.search import Search
from tropnet.errors import NonFiniteError, ShapeError
from tropnet.exact.dyadic import float_or_inf, nearest_float
from tropnet.network.domain import Domain, as_domain
from tropnet.network.network import Network, dense_network
from tropnet.properties.search import exact_outputs
from tropnet.properties.verdict import UNDECIDED, Counterexample, Remainder, Verdict
from tropnet.properties.verification import as_deadline
from tropnet.regions import ActivationRegion
from tropnet.regions.crossings import bounded_rows, parts
from tropnet.regions.lifting import lifted_region

__all__ = ["is_monotone"]


def is_monotone(
    net: Network,
    domain: Domain | None,
    of: int,
    output: int = 0,
    *,
    decreasing: bool = False,
    time_limit: float | None = None,
    workers: int = 1,
) -> Verdict:
    """Decide whether an output never falls when one input grows and the others stay, everywhere in a domain.

    Domains are convex, so that holds iff the derivative is not negative on any region.

    Parameters
    ----------
    net
        The network y(x).
    domain
        None (all of R^d), `Box` or `Polytope`. Where the input is fixed in it the property holds.
    of
        The index of the input.
    output
        The index of the output.
    decreasing
        Ask whether it never rises.
    time_limit, workers
        As for `verify`.

    Returns
    -------
    Verdict
        If violated, `Verdict.counterexample` and `Verdict.partner` are two inputs of one region that differ in input
        `of` only, by a larger value in the second; the outputs are in the wrong order, exactly.

    Raises
    ------
    ShapeError
        There is no such input or output.
    DomainError
        The domain is empty or of another dimension.
    ValueError
        As for `verify`.

    Notes
    -----
    All regions are enumerated. The sign of a derivative is that of its float64 value where this exceeds a bound on its
    error, else that of the exact one.

    Examples
    --------
    >>> from tropnet.network.domain import Box
    >>> net = Network.mlp([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    >>> is_monotone(net, Box(0, 1), of=0).status
    'holds'
    >>> found = is_monotone(net, Box(-1, 1), of=0)
    >>> found.counterexample.y > found.partner.y
    True
    """
    begin = time.monotonic()
    deadline = as_deadline(time_limit, begin)
    workers = as_count(workers, "workers")
    net = dense_network(net)
    for name, index, n in (("of", of, net.n_inputs), ("output", output, net.n_outputs)):
        if isinstance(index, bool) or not isinstance(index, int | np.integer) or not 0 <= index < n:
            raise ShapeError(f"{name} must be an index from 0 to {n - 1}, got {index!r}.")
    fitted = as_domain(domain, net.n_inputs)
    way = -1 if decreasing else 1
    search = Search.prepare(net, fitted, "auto", "highs", None, None, workers)
    n_regions = undecided = 0
    fraction = 0.0
    with closing(search.chunks("verifying", False)) as chunks:
        for chunk in chunks:
            n_regions, undecided = n_regions + chunk.n_regions, undecided + len(chunk.undecided)
            fraction = max(fraction, chunk.fraction)
            region = _wrong_region(search, net, chunk, of, output, way)
            if region is not None:
                pair = _two_points(net, region, of, output, way)
                if pair is None:
                    break  # the domain fixes the input
                seconds = time.monotonic() - begin
                return Verdict("violated", *pair, n_cases=1, n_regions=n_regions, seconds=seconds)
            if deadline is not None and time.monotonic() >= deadline and fraction < 1:
                return _without_points(n_regions, (Remainder(fitted, 1.0 - fraction),), begin)
    return _without_points(n_regions, (Remainder(fitted, 1.0, UNDECIDED),) if undecided else (), begin)


def _without_points(n_regions: int, remaining: tuple[Remainder, ...], begin: float) -> Verdict:
    """Return the verdict where no two points were found."""
    status = "unknown" if remaining else "holds"
    return Verdict(status, None, None, 1, n_regions, 0, remaining, time.monotonic() - begin)


def _wrong_region(
    search: Search, net: Network, chunk: Chunk, of: int, output: int, way: int
) -> ActivationRegion | None:
    """Return a region of a chunk on which the derivative, times `way`, is negative, exactly; None if there is none."""
    task = search.asked
    n = task.network.n_neurons
    n_helpers = n - net.n_neurons
    patterns = unpack(chunk.packed, n)
    own = np.ascontiguousarray(patterns[:, n_helpers:])
    for part in parts(len(own), net):
        maps, errors = bounded_rows(net, own[part])
        with np.errstate(invalid="ignore"):
            slopes, wrong = maps[:, net.n_neurons + output, of] * way, errors[:, net.n_neurons + output, of]
            surely = slopes >= wrong
        for i in np.flatnonzero(~surely).tolist():
            place = i + part.start
            if not slopes[i] < -wrong[i] and _exact_slope(net, own[place], of, output) * way >= 0:
                continue
            cuts = unpack(chunk.packed_cuts[place : place + 1], n)[0]
            within = ActivationRegion(task.network, task.domain, patterns[place], cuts, chunk.witness(place))
            return lifted_region(search.network, search.domain, search.restriction, within)
    return None


def _exact_slope(net: Network, pattern: BoolArray, of: int, output: int) -> int:
    return int(net.integer_maps(pattern)[-1][output, of])


def _two_points(
    net: Network, region: ActivationRegion, of: int, output: int, way: int
) -> tuple[Counterexample, Counterexample] | None:
    """Return two points of a region that differ in one input, with outputs in the wrong order; None if it is fixed."""
    start = region.certificate.fractions
    far: Fraction | None = None
    for row in region.integer_rows.tolist():
        slack = sum((a * x for a, x in zip(row, start, strict=False)), Fraction(row[-1]))
        if row[of] and not slack:
            return None  # the domain has no points on both sides
        if row[of] < 0:
            reach = -slack / row[of]
            far = reach if far is None else min(far, reach)
    step = Fraction(1) if far is None else far / 2
    ends = [tuple(x + step * (i == of) * k for i, x in enumerate(start)) for k in (0, 1)]
    points = [np.array([nearest_float(x.numerator, x.denominator) for x in end]) for end in ends]
    rounded = [tuple(map(Fraction, point.tolist())) for point in points]
    # Shorter numbers, if they do.
    if all(map(region.contains, points)) and rounded[0][of] < rounded[1][of]:
        ends = rounded
    y = [exact_outputs(net, end) for end in ends]
    try:
        values = [net(point) for point in points]
        confirmed = ends is rounded and bool((values[1][output] - values[0][output]) * way < 0)
    except NonFiniteError:  # the forward pass overflows
        values, confirmed = [np.array([float_or_inf(value) for value in each]) for each in y], False
    first, second = (Counterexample(*each, confirmed) for each in zip(ends, y, points, values, strict=True))
    return first, second

"""Whether a network satisfies a property: an exact verdict."""

from __future__ import annotations

import math
import time
from fractions import Fraction

import numpy as np

from tropnet.arrays.checks import as_count
from tropnet.errors import NonFiniteError
from tropnet.exact.dyadic import float_or_inf, nearest_float
from tropnet.network.network import Network, dense_network
from tropnet.properties.formula import Formula
from tropnet.properties.input_set import InputSet
from tropnet.properties.property import Property, as_property
from tropnet.properties.search import exact_outputs, find_input
from tropnet.properties.verdict import Counterexample, Remainder, Verdict

__all__ = ["as_deadline", "counterexample_at", "verify"]

# Sets of inputs that were not begun are listed up to so many.
_MANY = 1_000


def verify(
    net: Network,
    statement: Property,
    *,
    time_limit: float | None = None,
    workers: int = 1,
    progress: bool = False,
) -> Verdict:
    """Decide whether a network satisfies a property: exactly, or with what is left when time runs out.

    Parameters
    ----------
    net
        The network y(x).
    statement
        A `Property`, as of `read_vnnlib` or `Property.always`, `Property.unsafe`, `Property.class_everywhere`,
        `Property.close_to`.
    time_limit
        Seconds by the clock, compiling of kernels that are first used included; None for no limit. It is looked at a
        few times a second; with a limit, networks of more than 128 inputs are only tried at random points, which
        `Verdict.reason` then says.
    workers
        Threads.
    progress
        Show a progress bar on standard error, for each set of inputs.

    Returns
    -------
    Verdict
        ``"holds"``, ``"violated"`` with an exact rational counterexample, or ``"unknown"``.

    Raises
    ------
    ShapeError
        The property is about inputs or outputs that the network lacks, or about fewer than it has.
    DomainError
        Its domain is of another dimension.
    ValueError
        `time_limit` is no number of at least 0, or `workers` no integer of at least 1.
    TypeError
        `statement` is no `Property`.

    Notes
    -----
    *What is decided.* Inputs are real numbers and the network is a function over them, with its float64 weights as they
    are stored; the numbers of a VNN-LIB file are those it shows, 0.1 a tenth. A counterexample may therefore be no
    float64 point, and a property can be broken where no float64 input breaks it; `Counterexample.confirmed` says
    whether the float64 input next to it breaks the property in the float64 forward pass. What reads bounds as float64
    or float32 numbers, as most programs of the verification competitions do, and allows for tolerances, can differ
    where a maximum comes within rounding of its bound.

    *Strict or not.* The sets that VNN-LIB files describe are closed (<= and >=): an output that touches its bound, at
    one point and exactly, breaks the property. With < and > it does not.

    *How.* The tree of regions around each set of inputs is searched, with a neuron more for each inequality, relaxed by
    about 1e-11; cells are left out where a rigorous bound, or a sign that is certain, says that an inequality which a
    counterexample needs is off. On the regions that are left linear programs over the integers decide. A counterexample
    is evaluated exactly, whatever found it. Up to eight inputs bounds leave out cells (as in `maximum`); with more, all
    regions are visited.

    References
    ----------
    Katz et al., Reluplex, 2017, doi:10.1007/978-3-319-63387-9_5. VNN-LIB, https://www.vnnlib.org.

    Examples
    --------
    ``|x|`` is at most 1 on [-1, 1], and not less than 1 everywhere:

    >>> from tropnet.network.domain import Box
    >>> net = Network.mlp([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    >>> verify(net, Property.always(Box(-1, 1), [[-1]], [1])).status
    'holds'
    >>> strictly = verify(net, Property.always(Box(-1, 1), [[-1]], [1], strict=True))
    >>> strictly.status, strictly.counterexample.y
    ('violated', (Fraction(1, 1),))
    """
    begin = time.monotonic()
    deadline = as_deadline(time_limit, begin)
    workers = as_count(workers, "workers")
    joint, _, _ = as_property(statement).applied(dense_network(net))
    n_cases = n_regions = n_solved = 0
    remaining: list[Remainder] = []
    for inputs, formula in statement.cases(net):
        n_cases += 1
        if deadline is not None and time.monotonic() >= deadline:
            remaining.append(Remainder(inputs.enclosure(), 1.0))
            if len(remaining) >= _MANY:
                break
            continue
        found = find_input(joint, inputs, formula, deadline=deadline, workers=workers, progress=progress)
        n_regions, n_solved = n_regions + found.n_regions, n_solved + found.n_solved
        if found.x is not None:
            broken = counterexample_at(joint, found.x, inputs, formula)
            return Verdict("violated", broken, None, n_cases, n_regions, n_solved, (), time.monotonic() - begin)
        if found.left:
            remaining.append(Remainder(inputs.enclosure(), found.left, found.reason))
    status = "unknown" if remaining else "holds"
    return Verdict(status, None, None, n_cases, n_regions, n_solved, tuple(remaining), time.monotonic() - begin)


def as_deadline(time_limit: float | None, begin: float) -> float | None:
    """Return when a time limit is over, None for no limit.

    Raises
    ------
    ValueError
        It is no number of at least 0.
    """
    if time_limit is None:
        return None
    if isinstance(time_limit, bool) or not isinstance(time_limit, int | float | np.number) or not time_limit >= 0:
        raise ValueError(f"time_limit must be None or a number of seconds of at least 0, got {time_limit!r}.")
    return begin + float(time_limit) if math.isfinite(time_limit) else None


def counterexample_at(net: Network, x: tuple[Fraction, ...], inputs: InputSet, formula: Formula) -> Counterexample:
    """Return an exact counterexample with the float64 input next to it; that itself, if it breaks the property, too."""
    nearest = np.array([nearest_float(value.numerator, value.denominator) for value in x])
    point = inputs.nearest_inside(nearest)
    at = tuple(map(Fraction, point.tolist()))
    there = inputs.holds(at)
    y = exact_outputs(net, at) if there else None
    if y is not None and formula.holds(at, y):
        x = at  # shorter numbers
    else:
        y = exact_outputs(net, x)
    try:
        values = net(point)
        confirmed = there and formula.holds(at, tuple(map(Fraction, values.tolist())))
    except NonFiniteError:  # the forward pass overflows
        values, confirmed = np.array([float_or_inf(value) for value in y]), False
    return Counterexample(x, y, point, values, confirmed)

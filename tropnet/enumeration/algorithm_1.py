"""Algorithm 1: from an activation pattern to its region, or to the first layer at which it is empty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from tropnet.arrays.patterns import BoolArray
from tropnet.errors import DomainError, UndecidedError
from tropnet.exact.certificates import Witness
from tropnet.feasibility import Backend, Feasible, Infeasible, Undecided, make_backend
from tropnet.feasibility.tolerances import Tolerances
from tropnet.network.domain import Domain, as_domain
from tropnet.network.network import Network, dense_network
from tropnet.network.recurrence import Composition
from tropnet.network.restriction import within_hull
from tropnet.regions import ActivationRegion
from tropnet.regions.lifting import lifted_region

__all__ = [
    "EmptyRegion",
    "FoundRegion",
    "UndecidedRegion",
    "find_linear_region",
    "root_backend",
    "run_algorithm_1",
]


@dataclass(frozen=True)
class EmptyRegion:
    """The pattern does not occur: together with the layers before, layer `layer` (from 1) leaves no interior.

    `reason` says whether the inequalities contradict each other or a constant neuron has the other sign.
    An `EmptyRegion` is falsy.
    """

    layer: int
    reason: str

    def __bool__(self) -> bool:
        return False


@dataclass(frozen=True)
class FoundRegion:
    """The pattern occurs: which neurons contribute a row, and a point strictly inside."""

    cuts: BoolArray
    witness: Witness


@dataclass(frozen=True)
class UndecidedRegion:
    """No backend could tell whether layer `layer` leaves interior."""

    layer: int
    reason: str


def find_linear_region(
    net: Network,
    pattern: ArrayLike | Sequence[ArrayLike],
    domain: Domain | None = None,
    *,
    backend: str = "highs",
    tolerances: Tolerances | None = None,
) -> ActivationRegion | EmptyRegion:
    """Find the region of an activation pattern, or the first layer at which it is empty (Algorithm 1).

    Parameters
    ----------
    net
        The network.
    pattern
        bool, shape (n_neurons,), or one array per hidden layer. True means active, z > 0; a neuron that is identically
        zero on the region, or affine (equal slopes), is False. (Theorem 2.2 of the paper gives +1 to the *inactive*
        side, its section 3 to the active one; hence bools here.)
    domain
        None (all of R^d), `Box` or `Polytope`.
    backend
        ``"highs"``, ``"cvxpy"`` or ``"exact"``; all give the same answer.
    tolerances
        See `Tolerances`.

    Returns
    -------
    ActivationRegion or EmptyRegion
        A region has interior; the closed inequalities of (17) alone also hold on slices of measure zero.

    Raises
    ------
    ShapeError, ValueError
        The pattern has the wrong length or entries.
    DomainError
        The domain is empty or of the wrong dimension.
    UndecidedError
        Exact arithmetic ran out of `Tolerances.exact_pivots`.

    Notes
    -----
    One linear program per layer. Exact for the stored float64 network.

    References
    ----------
    Joyce and Verschelde, Computing Linear Regions in Neural Networks with Skip Connections, Theorem 2.2, Algorithm 1.

    Examples
    --------
    >>> net = Network.mlp([[[1.0], [1.0]], [[1.0, 1.0]]], [[0.0, -1.0], [0.0]])
    >>> sorted(find_linear_region(net, [True, False]).vertices().tolist())
    [[0.0], [1.0]]
    >>> find_linear_region(net, [False, True]).layer
    1
    """
    net = dense_network(net)
    flat = net.as_pattern(pattern)
    fitted = as_domain(domain, net.n_inputs)
    within, inside, restriction = within_hull(net, fitted)
    bits = flat if restriction is None else restriction.pattern(flat)
    n_more = len(within.hidden) - len(net.hidden)
    solver, start = root_backend(backend, inside, tolerances or Tolerances())
    answer = (
        run_algorithm_1(within, bits, solver, start)
        if isinstance(start, Feasible)
        else UndecidedRegion(0, start.reason)
    )
    if isinstance(answer, UndecidedRegion):
        where = f"layer {answer.layer - n_more}" if answer.layer > n_more else "the domain"
        raise UndecidedError(f"{where} stayed undecided: {answer.reason}; raise Tolerances.exact_pivots.", None)
    if isinstance(answer, EmptyRegion):
        return replace(answer, layer=answer.layer - n_more)
    return lifted_region(net, fitted, restriction, ActivationRegion(within, inside, bits, answer.cuts, answer.witness))


def root_backend(name: str, domain: Domain, tolerances: Tolerances) -> tuple[Backend, Feasible | Undecided]:
    """Return a backend that holds the rows of the domain, and its answer for them.

    Raises
    ------
    DomainError
        The domain has no interior.
    """
    backend = make_backend(name, domain.dimension, tolerances)
    for row in domain.integer_rows:
        backend.push(row)
    answer = backend.decide()
    if isinstance(answer, Infeasible):
        rows = domain.row_numbers[sorted(answer.multipliers)].tolist()
        raise DomainError(
            f"the domain is empty or flat (it has no interior): rows {rows} of {domain}"
            " contradict each other or leave only a slice."
        )
    return backend, answer


def run_algorithm_1(
    net: Network, pattern: BoolArray, backend: Backend, start: Feasible
) -> FoundRegion | EmptyRegion | UndecidedRegion:
    """Run Algorithm 1 on a backend that holds the domain's rows; the backend is left as it was found.

    Line 10 runs over the neurons of the layer (the print says l).
    """
    n_rows = backend.n_rows
    maps = Composition.of(net.integers.layers, net.n_inputs)
    cuts = np.zeros(net.n_neurons, dtype=np.bool_)
    witness, first = start.witness, 0
    try:
        for index, layer in enumerate(net.hidden, start=1):
            bits = pattern[first : first + layer.width]
            for i, (row, bit) in enumerate(zip(maps.enter(), bits.tolist(), strict=True)):
                if layer.affine_neurons[i]:
                    if bit:
                        return EmptyRegion(index, f"neuron {i} is affine (equal slopes): its bit is always False")
                elif not row[:-1].any():
                    if bit != (row[-1] > 0):
                        return EmptyRegion(index, f"neuron {i} is constant there, with the other sign")
                else:
                    backend.push(row if bit else -row)
                    cuts[first + i] = True
            answer = backend.decide()
            if isinstance(answer, Infeasible):
                return EmptyRegion(index, "the inequalities contradict each other or leave only a slice")
            if isinstance(answer, Undecided):
                return UndecidedRegion(index, answer.reason)
            witness = answer.witness
            maps.decide(bits)
            first += layer.width
        return FoundRegion(cuts, witness)
    finally:
        backend.truncate(n_rows)

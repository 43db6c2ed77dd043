"""The engines under test: a new one gets a line in `ENGINES`, and with it every law of this package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest

from tests.contract.engines.cases import CASES, Case
from tropnet import Domain, Network
from tropnet.enumeration.engine import Ability, Engine
from tropnet.enumeration.engines.lp import LpEngine
from tropnet.enumeration.engines.polygon.engine import PolygonEngine
from tropnet.enumeration.engines.reference import ReferenceEngine
from tropnet.enumeration.engines.simplex.engine import SimplexEngine
from tropnet.enumeration.engines.vertex.engine import VertexEngine
from tropnet.network.domain import as_domain

__all__ = ["ENGINES", "Candidate", "engines", "engines_that"]


@dataclass(frozen=True)
class Candidate:
    """An engine under test.

    Attributes
    ----------
    engine
        As users get it.
    tiny
        The same with next to no room and no time, so that it hands on chunks and is entered again at every place.
    takes
        Which problems it must take; it must refuse all others.
    in_order
        Whether it decides the neurons one after the other, so that nothing else lies under the prefix of an undecided
        subtree; what others decide before its turn is no part of a prefix.
    max_neurons, max_regions
        The largest case that it is fast enough to be asked.
    """

    engine: Engine
    tiny: Engine
    takes: Callable[[Network, Domain | None], bool]
    in_order: bool = False
    max_neurons: int = 1000
    max_regions: int = 100_000

    @property
    def name(self) -> str:
        """How users ask for it."""
        return self.engine.name

    def is_asked(self, net: Network, domain: Domain | None, n_regions: int = 0) -> bool:
        """Return whether it takes the problem, and fast enough."""
        return net.n_neurons <= self.max_neurons and n_regions <= self.max_regions and self.takes(net, domain)


def _well_conditioned_rank(rows: np.ndarray) -> int:
    """Return the rank of rows of any scale up to rounding."""
    largest = np.abs(rows).max(axis=1, keepdims=True, initial=0.0)
    return int(np.linalg.matrix_rank(rows / np.where(largest > 0, largest, 1.0), tol=1e-8)) if len(rows) else 0


def _rank(rows: np.ndarray) -> int:
    """Return the rank of float64 rows over the rationals."""
    left = [[Fraction(value) for value in row] for row in rows.tolist()]
    rank = 0
    for column in range(rows.shape[1]):
        pivot = next((row for row in left[rank:] if row[column]), None)
        if pivot is not None:
            left.remove(pivot)
            left.insert(rank, pivot)
            for i in range(rank + 1, len(left)):
                factor = left[i][column] / pivot[column]
                left[i] = [a - factor * b for a, b in zip(left[i], pivot, strict=True)]
            rank += 1
    return rank


def _first_rows(net: Network, domain: Domain | None) -> np.ndarray:
    """Return the normals of the domain's sides and of the first layer's hyperplanes."""
    first = net.hidden[0]
    rows = first.weights.get(0, np.zeros((first.width, net.n_inputs)))[~first.affine_neurons]
    return np.concatenate([as_domain(domain, net.n_inputs).halfspaces[0], rows])


def _all_rows(net: Network, domain: Domain | None) -> np.ndarray:
    """Return the combinations of the inputs that the domain and the network tell apart."""
    weights = [layer.weights[0] for layer in net.hidden if 0 in layer.weights]
    return np.concatenate([as_domain(domain, net.n_inputs).halfspaces[0], *weights])


def _anything(net: Network, domain: Domain | None) -> bool:  # noqa: ARG001
    return True


def _pointed(net: Network, domain: Domain | None) -> bool:
    """Few inputs and sides, and no line in the cells of the first layer."""
    if not net.hidden or net.n_inputs > 8:
        return False
    sides = as_domain(domain, net.n_inputs).halfspaces[0]
    n_facets = len(sides) + net.n_inputs - _rank(sides)
    return n_facets < 64 and _rank(_first_rows(net, domain)) == net.n_inputs


def _pointed_on_a_slice(net: Network, domain: Domain | None) -> bool:
    """No line, nor nearly one, in the cells of the first layer but those along which nothing changes at all."""
    if not net.hidden:
        return False
    return 0 < _well_conditioned_rank(_first_rows(net, domain)) == _rank(_all_rows(net, domain)) <= 128


def _pointed_in_the_plane(net: Network, domain: Domain | None) -> bool:
    """Two inputs, and no line in the cells of the first layer."""
    return bool(net.hidden) and net.n_inputs == 2 and _rank(_first_rows(net, domain)) == 2


ENGINES = [
    Candidate(PolygonEngine(), PolygonEngine(pool=0, buffer=1, steps=1, seconds_per_chunk=0.0), _pointed_in_the_plane),
    Candidate(VertexEngine(), VertexEngine(pool=0, buffer=7, steps=3, seconds_per_chunk=0.0), _pointed),
    Candidate(SimplexEngine(), SimplexEngine(buffer=3, steps=2), _pointed_on_a_slice),
    Candidate(LpEngine(), LpEngine(seconds_per_chunk=0.0), _anything, in_order=True, max_regions=700),
    Candidate(ReferenceEngine(), ReferenceEngine(seconds_per_chunk=0.0), _anything, in_order=True, max_neurons=8),
]


def engines_that(*abilities: Ability) -> list[Candidate]:
    """Return the engines that are able to do all of this."""
    return [tested for tested in ENGINES if tested.engine.abilities >= set(abilities)]


def engines(*abilities: Ability, net: Network | None = None) -> pytest.MarkDecorator:
    """Run a test with `tested` each engine that is able to do all of this, and takes a network on all of R^d."""
    able = [tested for tested in engines_that(*abilities) if net is None or tested.takes(net, None)]
    return pytest.mark.parametrize("tested", able, ids=lambda tested: tested.name)


def asked(*abilities: Ability, among: Sequence[Case] = CASES, fewer: Sequence[Case] = ()) -> pytest.MarkDecorator:
    """Run a test with `tested` each engine that is able to do all of this, and `cases` those of one kind of network.

    `fewer` are for the engines that are not compiled, where the law is not about what they do on a kind of domain.
    """
    groups: dict[tuple[str, str], tuple[Candidate, list[Case]]] = {}
    for tested in engines_that(*abilities):
        for case in fewer if fewer and not tested.engine.compiled else among:
            if tested.is_asked(case.net, case.domain):
                groups.setdefault((tested.name, case.kind), (tested, []))[1].append(case)
    params = [pytest.param(*group, id="-".join(names)) for names, group in groups.items()]
    return pytest.mark.parametrize(("tested", "cases"), params)

"""The facets of single cells, as local searches ask for them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tropnet.arrays.patterns import BoolArray, unpack
from tropnet.arrays.types import FloatArray
from tropnet.enumeration.engine import ChunkBuilder, Task
from tropnet.enumeration.engines.simplex import cell as cells
from tropnet.enumeration.engines.simplex import kernel
from tropnet.enumeration.engines.simplex.exact import ExactDecisions
from tropnet.enumeration.engines.simplex.roots import RootCells
from tropnet.enumeration.engines.simplex.start import Start
from tropnet.enumeration.engines.simplex.state import SearchState
from tropnet.feasibility.tolerances import Tolerances
from tropnet.network.domain import Domain
from tropnet.network.network import Network

__all__ = ["CellFacets", "CellSearch"]

_STEPS = 1 << 16


class CellFacets(NamedTuple):
    """A point inside a cell, and its facets: bool, by place (`RowIndex`).

    `beyond` holds, for facets of neurons, points that lie beyond that facet only; facets decided exactly have none.
    """

    point: FloatArray
    facets: BoolArray
    beyond: dict[int, FloatArray]


class CellSearch:
    """Finds the facets of cells of a network on a domain, one cell at a time.

    Parameters
    ----------
    net, domain, start
        As `find_start` gives it, all inputs kept.
    tolerances
        See `Tolerances`.

    Attributes
    ----------
    counters
        Totals so far.
    """

    def __init__(self, net: Network, domain: Domain, start: Start, tolerances: Tolerances) -> None:
        task = Task(net, domain, "highs", tolerances, facets=True)
        builder = ChunkBuilder(net.n_neurons, net.n_inputs)
        self.counters = builder.counters
        self._state = SearchState(net, domain, is_box=start.box is not None, keep_beyond=True)
        self._roots = RootCells(self._state, start)
        self._exact = ExactDecisions(self._state, task, builder)

    def facets(self, pattern: BoolArray, point: FloatArray) -> CellFacets | None:
        """Find the facets of the cell of a pattern from a point inside; None if the kernel finds no way in."""
        state = self._state
        bits = dict(enumerate(pattern.tolist()))
        if not self._roots.enter(bits):
            return None
        state.begin(bits, point, 1.0)
        cell, n_words = state.cell, len(state.tree.bits)
        words, cuts = np.zeros((1, n_words), np.uint64), np.zeros((1, n_words), np.uint64)
        facets, unsure = (np.zeros((1, state.index.n_places // 64 + 1), np.uint64) for _ in range(2))
        points = np.zeros((1, state.d))
        kernel.search(
            *state.lent(),
            True,
            words,
            cuts,
            points,
            facets,
            unsure,
            _STEPS,
        )
        if cell.at[cells.N_OUT] != 1:
            return None
        packed, packed_cuts = (array.view(np.uint8)[:, : (len(pattern) + 7) // 8] for array in (words, cuts))
        is_facet = unpack(self._exact.facets(packed, packed_cuts, facets, unsure), state.index.n_places)[0]
        owners = cell.owner[: cell.at[cells.N_ROWS]].tolist()
        beyond = {
            owner: cell.beyond[i, :-1].copy()
            for i, owner in enumerate(owners)
            if 0 <= owner < state.net.n_neurons and cell.known[i] == cells.FACET
        }
        return CellFacets(cell.vectors[cells.P, :-1].copy(), is_facet, beyond)

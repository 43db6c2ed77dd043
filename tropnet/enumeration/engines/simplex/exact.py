"""What the kernel leaves to exact arithmetic: which sides of a neuron a cell meets, and which rows are facets."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import PackedArray, pack, unpack
from tropnet.arrays.types import FloatArray, IntegerArray
from tropnet.enumeration.engine import ChunkBuilder, Task
from tropnet.enumeration.engines.simplex import cell as cells
from tropnet.enumeration.engines.simplex import kernel
from tropnet.enumeration.engines.simplex.state import SearchState
from tropnet.exact.reduction import reduced
from tropnet.feasibility import Answer, Feasible, Infeasible, deciding_backend, make_backend
from tropnet.feasibility.exact import solve_exactly
from tropnet.network.recurrence import Composition
from tropnet.regions.row_index import INFINITY

__all__ = ["ExactDecisions", "Unsettled", "spend"]


def spend(builder: ChunkBuilder, begin: float) -> None:
    """Add the time since `begin` to what exact decisions took."""
    builder.counters["seconds_exact"] = builder.counters.get("seconds_exact", 0) + time.perf_counter() - begin


class Unsettled(NamedTuple):
    """What is left of a query: prefixes that stayed undecided, and perhaps a subtree for another engine.

    `subtree` holds its fixed bits, and `share` what part of the node at hand it is.
    """

    undecided: tuple[tuple[bool, ...], ...]
    subtree: Mapping[int, bool] | None
    share: float


class ExactDecisions:
    """Decisions over the integers on the cell that the kernel is at."""

    def __init__(self, state: SearchState, task: Task, builder: ChunkBuilder) -> None:
        self.state, self.task, self.builder = state, task, builder
        self.maps = Composition.of(state.net.integers.layers, state.d)

    def settle(self) -> Unsettled:
        """Answer a query of the kernel, which sides of a neuron the cell meets; return what it cannot go on with."""
        begin = time.perf_counter()
        builder, cell, tree = self.builder, self.state.cell, self.state.tree
        builder.count("uncertain")
        builder.count("settled_exactly")
        neuron, sign = int(cell.at[cells.NEURON]), int(cell.at[cells.SIGN])
        forced = int(tree.forced[neuron])
        row = self._exact_row(neuron)
        here = cell.vectors[cells.P].copy()
        set_aside: list[bool] = []
        taken: list[bool] = []
        tree.replies[:] = kernel.EMPTY
        if not row[:-1].any():
            self._reply(bool(row[-1] > 0), here)
        else:
            for bit in (False, True):
                if sign == (1 if bit else -1):
                    self._reply(bit, here)
                    continue
                answer = self._ask(row if bit else -row, sign != 0)
                if isinstance(answer, Infeasible):
                    continue
                tree.replies[int(bit)] = kernel.TAKEN
                if not isinstance(answer, Feasible):
                    set_aside.append(bit)
                    continue
                point = np.append(answer.witness.point, 1.0)
                if kernel.is_usable(*self.state.lent()[:3], point, bit):
                    self._reply(bit, point)
                else:
                    taken.append(bit)
            if tree.replies.tolist().count(kernel.EMPTY) == 1 and taken:
                # The hyperplane does not cut, so the point at hand is on the right side of it.
                self._reply(taken.pop(), here)
        if forced != kernel.FREE:
            other = 1 - forced
            if tree.replies[other] != kernel.EMPTY:
                # Where nothing is left of the tree, it is over with this node.
                tree.replies[other] = kernel.OUTSIDE
            set_aside, taken = ([bit for bit in bits if bit == bool(forced)] for bits in (set_aside, taken))
        prefix = self.state.decided()
        spend(builder, begin)
        undecided = tuple((*(prefix[j] for j in range(neuron)), bit) for bit in set_aside)
        n_sides = sum(reply in (kernel.OPEN, kernel.TAKEN) for reply in tree.replies.tolist())
        if not taken:
            return Unsettled(undecided, None, 0.0)
        return Unsettled(undecided, prefix if len(taken) == 2 else {**prefix, neuron: taken[0]}, len(taken) / n_sides)

    def _reply(self, bit: bool, point: FloatArray) -> None:
        """Tell the kernel that a side has interior, and a point in it to go on from."""
        self.state.tree.replies[int(bit)] = kernel.OPEN
        self.state.cell.vectors[cells.ANSWERS + int(bit)] = point

    def _exact_row(self, neuron: int) -> IntegerArray:
        """Return the exact row of a neuron of the layer at hand or one before."""
        self.maps.follow(self.state.pattern(), int(self.state.cell.at[cells.LAYER]))
        return np.asarray(self.maps.row(neuron))

    def _ask(self, row: IntegerArray, has_multipliers: bool) -> Answer:
        """Decide exactly whether the cell meets a half-space."""
        cell, task = self.state.cell, self.task
        pattern, sides = self.state.pattern(), task.domain.integer_rows

        def exact(owner: int) -> IntegerArray:
            """Return the row at a place, positive inside the cell."""
            if owner >= self.state.net.n_neurons:
                return np.asarray(sides[owner - self.state.net.n_neurons])
            return self.maps.row(owner) if pattern[owner] else -self.maps.row(owner)

        owners = [int(owner) for owner in cell.owner[: cell.at[cells.N_ROWS]] if owner != INFINITY]
        if has_multipliers:
            some = []
            for k, y in enumerate(cell.vectors[cells.Y, :-1].tolist()):
                if y > 0:
                    some.append(self.state.index.tight(int(cell.basis[k]), cell.owner))
            subset = [exact(owner) for owner in some if owner != INFINITY]
            answer = solve_exactly([*subset, row], self.state.d, task.tolerances.exact_pivots, central=False)
            if isinstance(answer, Infeasible):
                return answer
        backend = make_backend(task.backend, self.state.d, task.tolerances)
        if self.state.is_box:
            for side in sides:
                backend.push(side)
        for owner in owners:
            backend.push(exact(owner))
        backend.push(row)
        return backend.decide()

    def facets(
        self, packed: PackedArray, cuts: PackedArray, facets: NDArray[np.uint64], unsure: NDArray[np.uint64]
    ) -> PackedArray:
        """Return the facets that the kernel found, packed, after exact decisions on rows of which it was unsure."""
        n = self.state.index.n_places
        flags = facets.view(np.uint8)[:, : -(-n // 8)].copy()
        for i in np.flatnonzero(unsure.any(axis=1)).tolist():
            begin = time.perf_counter()
            sure, open_ = (unpack(words[i : i + 1].view(np.uint8), n)[0] for words in (facets, unsure))
            rows = _region_rows(self.task, packed[i], cuts[i])
            # The other rows are implied by these.
            rows = {place: row for place, row in rows.items() if sure[place] or open_[place]}
            asked = [place for place in rows if open_[place]]
            self.builder.count("exact_facets", len(asked))
            sure[_facets_among(self.task, rows, asked)] = True
            flags[i] = pack(sure[None])[0]
            spend(self.builder, begin)
        return flags


def _region_rows(task: Task, packed: PackedArray, cuts: PackedArray) -> dict[int, IntegerArray]:
    """Return the exact rows of a region, by their places in `Chunk.packed_facets`, those of the domain first."""
    net = task.network
    pattern, cut = (unpack(column[None], net.n_neurons)[0] for column in (packed, cuts))
    maps = np.concatenate(net.integer_maps(pattern)[:-1])
    sides = {net.n_neurons + i: row for i, row in enumerate(task.domain.integer_rows)}
    # A row that is only nearly zero in float64 is no row.
    neurons = (int(j) for j in np.flatnonzero(cut) if maps[j, :-1].any())
    return sides | {j: maps[j] if pattern[j] else -maps[j] for j in neurons}


def _facets_among(task: Task, rows: dict[int, IntegerArray], asked: Iterable[int]) -> list[int]:
    """Return which of the rows asked for define facets, by exact decisions; of coincident rows the first."""
    first: dict[tuple[int, ...], int] = {}
    for place, row in rows.items():
        first.setdefault(reduced(row.tolist()), place)
    kept = set(first.values())
    backend = deciding_backend(task.network.n_inputs, task.backend)
    found = []
    for own in asked:
        if own in kept:
            backend.truncate(0)
            for place in kept:
                backend.push(-rows[place] if place == own else rows[place])
            if isinstance(backend.decide(), Feasible):
                found.append(own)
    return found

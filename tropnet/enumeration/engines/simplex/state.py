"""The arrays of a search: what the kernel reads and writes, allocated, and set to a root."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import BoolArray, unpack
from tropnet.arrays.types import FloatArray
from tropnet.enumeration.engine import NO_SAMPLING, Sample, Sampling
from tropnet.enumeration.engines.composition import count_products, start_composition
from tropnet.enumeration.engines.pointed import scaled
from tropnet.enumeration.engines.residues import NO_RESIDUES, make_residues
from tropnet.enumeration.engines.simplex import cell as cells
from tropnet.enumeration.engines.simplex import kernel
from tropnet.enumeration.engines.simplex.cell import Cell, Tree
from tropnet.kernels import Lender, Record, copied
from tropnet.network.domain import Box, Domain
from tropnet.network.network import Network
from tropnet.regions.row_index import INFINITY, RowIndex

__all__ = ["SearchState"]

# Rows are moved outwards by random multiples of this share of the largest coordinate, so that no two vertices coincide.
_OFFSET = 1e-12
# Of the spaces that hold the rows of a layer; deeper ones are not told apart, which only loses proofs.
_N_LEVELS = 8


class SearchState:
    """A network on a domain as the kernel sees it, the cell at hand, and the path to it.

    The path, as the kernel keeps it::

        root cell: rows of the domain and infinity (or a box, whose sides are no rows)
          | neuron decided, hyperplane does not cut: its bit, nothing else
          | neuron decided, hyperplane cuts:         its bit, a row of the cell, and a frame for the other side
        the cell at hand: rows 0 .. N_ROWS - 1, a vertex (d tight rows `basis`, inverse `T`), a point P inside

        frame (the other side, for later): where (layer, place), how many rows the cell has there, the bits, the cuts,
        the vertex on the hyperplane, which is one of both sides, and a point beyond it

    Popping a frame truncates the rows and pushes that of its neuron the other way around; all rows below stay where
    they are.

    Attributes
    ----------
    problem, rows
        The network, and the composed maps of the layers on the path.
    residues
        Rows modulo primes; modulo none before the first query.
    cell, tree
        The kernel's arrays; see `Cell` and `Tree`.
    index
        Which row is which.
    sides
        Rows of the domain in the kernel's scale, float64 of shape (m, d + 1); none of a box.
    """

    def __init__(
        self,
        net: Network,
        domain: Domain,
        *,
        is_box: bool,
        sampling: Sampling | None = None,
        keep_beyond: bool = False,
    ) -> None:
        self.net, self.domain, self.d, self.is_box = net, domain, net.n_inputs, is_box
        self.index = RowIndex.of(net, domain)
        self.problem, self.rows = start_composition(net)
        self.residues = NO_RESIDUES
        A, b = domain.halfspaces
        self.sides = np.empty((0, self.d + 1)) if is_box else scaled(np.column_stack([-A, b]))
        self.cell, self.tree = self._make_cell(keep_beyond), self._make_tree(sampling)
        self.cell.at[cells.PHASE] = cells.LEAVING
        self.first = np.cumsum([0, *net.widths]).tolist()
        self._lender = Lender()

    @property
    def n_rows(self) -> int:
        """The number of rows of the root cell."""
        return 0 if self.is_box else len(self.sides) + 1

    def lent(self) -> list[Record]:
        """Return what kernels take: problem, rows, cell, tree, residues."""
        return self._lender.lend(self.problem, self.rows, self.cell, self.tree, self.residues)

    # --- to begin

    def set_box(self, box: Box) -> None:
        """Look at cells in a box, whose sides are no rows."""
        low, high = np.asarray(box.low), np.asarray(box.high)
        table = self.cell.box
        table[cells.LOW], table[cells.HIGH] = low, high
        shares = _shares(1, 2 * self.d).reshape(2, self.d)
        table[cells.LOW_OFFSET : cells.HIGH_OFFSET + 1] = (_OFFSET * high - _OFFSET * low) * shares
        self.cell.at[cells.IS_BOX] = 1
        self.set_base(np.eye(self.d + 1)[self.d], 0.0, np.append(np.maximum(np.abs(low), np.abs(high)), 1.0))

    def set_base(self, h: FloatArray, error: float, U: FloatArray) -> None:
        """Look at cells where h . X = 1, in which |X| <= U."""
        cell = self.cell
        cell.vectors[cells.H], cell.vectors[cells.U] = h, U
        cell.numbers[cells.H_NORM], cell.numbers[cells.H_ERROR] = np.abs(h).sum(), error
        cell.numbers[cells.U_MAX] = largest = float(U.max())
        n = self.n_rows
        shares = _shares(0, self.net.n_neurons + n)
        self.tree.offsets[:] = _OFFSET * largest * shares[: self.net.n_neurons]
        cell.about[cells.OFFSET, :n] = _OFFSET * largest * shares[self.net.n_neurons :] * cell.about[cells.NORM, :n]

    def begin(
        self,
        bits: Mapping[int, bool],
        point: FloatArray,
        share: float,
        depth: int = 0,
        weight: float = 1.0,
        *,
        fixed: Mapping[int, bool] = MappingProxyType({}),
    ) -> None:
        """Put the kernel at the root cell of some bits, with a point inside; in its tree, keep to what is fixed."""
        cell, tree = self.cell, self.tree
        tree.forced[:] = kernel.FREE
        for j, bit in fixed.items():
            tree.forced[j] = bit
        for j, bit in bits.items():
            tree.forced[j] = kernel.ROOT + bit
        cell.at[: cells.DECISIONS] = 0
        cell.at[cells.N_ROWS] = self.n_rows
        cell.at[cells.N_SAME] = 0
        cell.implied_by[:] = cells.NEVER
        cell.vectors[cells.P] = np.append(point, 1.0)
        cell.numbers[cells.P_MAX] = max(1.0, float(np.abs(point).max()))
        cell.numbers[cells.SHARE] = share
        cell.at[cells.DEPTH], cell.numbers[cells.WEIGHT] = depth, weight

    # --- to share

    def fresh(self) -> SearchState:
        """Return a state of the same network and domain that has not begun."""
        return SearchState(self.net, self.domain, is_box=self.is_box)

    @property
    def is_at_hand(self) -> bool:
        """Whether there is a node at hand, above all frames."""
        return int(self.cell.at[cells.PHASE]) != cells.LEAVING

    @property
    def n_frames(self) -> int:
        """The number of sides left for later."""
        return int(self.cell.at[cells.N_FRAMES])

    def split_off(self, n: int) -> SearchState:
        """Keep all but the `n` oldest frames; return a copy of all that the kernel writes into, with these only.

        Of more than there are, the node at hand goes, too.
        """
        other = copy(self)
        # What they hold is soon composed again.
        other.residues = make_residues(self.net, self.domain) if len(self.residues.state.primes) else NO_RESIDUES
        other._lender = Lender()
        other.rows, other.cell, other.tree = copied(self.rows), copied(self.cell), copied(self.tree)
        other.cell.at[[cells.DECISIONS, cells.BRANCHINGS, cells.PIVOTS, cells.RECENTRED]] = 0
        other.cell.numbers[cells.FRACTION] = 0.0
        n_frames = self.n_frames
        other._keep_frames(0, min(n, n_frames))
        self._keep_frames(min(n, n_frames), n_frames)
        if n > n_frames:
            # What the other counts as done when it goes on, this has done.
            done = self._share_elsewhere()
            self.cell.numbers[cells.FRACTION] += done
            other.cell.numbers[cells.FRACTION] -= done
        (self if n > n_frames else other).leave()
        return other

    def _keep_frames(self, begin: int, end: int) -> None:
        """Keep some of the frames only."""
        for name in _OF_FRAMES:
            frames = getattr(self.tree, name)
            frames[: end - begin] = frames[begin:end].copy()
        self.cell.at[cells.N_FRAMES] = end - begin

    def leave(self) -> float:
        """Go on with the latest frame, as if there had been no node at hand; return the share that this had."""
        share = float(self.cell.numbers[cells.SHARE])
        self.cell.at[cells.PHASE], self.cell.numbers[cells.SHARE] = cells.LEAVING, 0.0
        return share

    def _share_elsewhere(self) -> float:
        """Return the share of the sides of the neuron at hand that were answered not to be open, but have interior."""
        replies = self.tree.replies.tolist()
        if self.cell.at[cells.PHASE] != cells.ANSWERED or kernel.TAKEN not in replies:
            return 0.0
        return float(self.cell.numbers[cells.SHARE]) / (2 if kernel.OPEN in replies else 1)

    # --- where the kernel is

    def pattern(self) -> BoolArray:
        """Return the bits on the path, those of later neurons undefined."""
        return np.asarray(unpack(self.tree.bits.view(np.uint8)[None], self.net.n_neurons)[0])

    def decided(self) -> dict[int, bool]:
        """Return the bits on the path: all of the earlier layers, and those before the neuron at hand."""
        at = self.cell.at
        # On entering a layer, the list of pending neurons is still that of another cell.
        place = None if at[cells.PHASE] == cells.ENTERING else int(at[cells.PLACE])
        return self._decided(self.pattern(), int(at[cells.LAYER]), place)

    def subtrees(self) -> list[tuple[dict[int, bool], float]]:
        """Return the bits and the shares of all frames, the oldest first, and of the node at hand."""
        tree, found = self.tree, []
        for frame in range(self.n_frames):
            layer, place = tree.frame_at[frame, :2].tolist()
            bits = unpack(tree.frame_bits[frame].view(np.uint8)[None], self.net.n_neurons)[0]
            found.append((self._decided(bits, layer, place), float(tree.frame_share[frame])))
        if self.is_at_hand:
            decided, share = self.decided(), float(self.cell.numbers[cells.SHARE])
            done, neuron = self._share_elsewhere(), int(self.cell.at[cells.NEURON])
            for bit, reply in enumerate(self.tree.replies.tolist()) if done else ():
                decided = {**decided, neuron: bool(bit)} if reply == kernel.OPEN else decided
            if share > done:
                found.append((decided, share - done))
        return found

    def _decided(self, bits: BoolArray, layer: int, place: int | None) -> dict[int, bool]:
        """Return what is decided before a place among the pending neurons of a layer, or (None) before all of it."""
        tree, n = self.tree, self.first[layer]
        if place is not None:
            pending = tree.pending[layer, : tree.n_pending[layer]]
            n = n + int(pending[place]) if place < len(pending) else self.first[layer + 1]
        found = {j: bool(bit & 1) for j, bit in enumerate(tree.forced.tolist()) if bit != kernel.FREE}
        return found | dict(enumerate(bits[:n].tolist()))

    def take_sample(self) -> Sample:
        """Take out what was seen of a sampled tree."""
        tree = self.tree
        sample = Sample(tree.nodes.copy(), *tree.leaves.tolist())
        tree.leaves[:], tree.nodes[:] = 0.0, 0.0
        return sample

    # --- arrays

    def _make_cell(self, keep_beyond: bool) -> Cell:
        """Allocate the cell, with the rows of the domain and infinity in it."""
        D, n_rows = self.d + 1, self.n_rows
        capacity = n_rows + self.net.n_neurons + 1
        cell = Cell(
            at=np.zeros(20, np.int64),
            numbers=np.zeros(13),
            vectors=np.zeros((10, D)),
            T=np.zeros((D, D)),
            basis=np.zeros(self.d, np.int64),
            rows=np.zeros((capacity, D)),
            columns=np.zeros((D, capacity)),
            about=np.zeros((6, capacity)),
            box=np.zeros((6, self.d)),
            owner=np.zeros(capacity, np.int64),
            work=np.zeros((D, 2 * D)),
            known=np.zeros(capacity + 2 * self.d, np.uint8),
            beyond=np.zeros((capacity + 2 * self.d, D if keep_beyond else 0)),
            implied_by=np.zeros(capacity + 2 * self.d, np.int64),
            table=np.zeros((D + 2, capacity + 2 * self.d)),
            spare=np.zeros((D, D)),
            spare_basis=np.zeros(self.d, np.int64),
        )
        cell.numbers[cells.ROUNDING] = self.problem.state.rounding
        if n_rows:
            rows = np.concatenate([self.sides, np.eye(1, D, self.d)])
            cell.rows[:n_rows], cell.columns[:, :n_rows] = rows, rows.T
            cell.about[cells.NORM, :n_rows] = np.abs(rows).sum(axis=1)
            cell.about[cells.ERROR, :n_rows] = cells.UNDERFLOW
            cell.owner[:n_rows] = [*self.index.sides.tolist(), INFINITY]
        return cell

    def _make_tree(self, sampling: Sampling | None) -> Tree:
        """Allocate the path and the sides left for later."""
        net = self.net
        n, L, D = net.n_neurons, len(net.hidden), self.d + 1
        words, frames = (n + 63) // 64, n + 2
        levels, n_levels = net.derived(_levels)
        sampling = sampling or NO_SAMPLING
        return Tree(
            bits=np.zeros(words, np.uint64),
            cuts=np.zeros(words, np.uint64),
            state=np.zeros(n, np.uint8),
            forced=np.full(n, kernel.FREE, np.uint8),
            pending=np.zeros((L, max(net.widths)), np.int64),
            n_pending=np.zeros(L, np.int64),
            n_active=np.zeros(L, np.int64),
            layer_of=np.repeat(np.arange(L), net.widths),
            levels=levels,
            n_levels=n_levels,
            offsets=np.zeros(n),
            replies=np.zeros(2, np.int64),
            frame_at=np.zeros((frames, 7), np.int64),
            frame_share=np.zeros(frames),
            frame_offset=np.zeros(frames),
            frame_inverse=np.zeros((frames, D, D)),
            frame_basis=np.zeros((frames, self.d), np.int64),
            frame_point=np.zeros((frames, D)),
            frame_bits=np.zeros((frames, words), np.uint64),
            frame_cuts=np.zeros((frames, words), np.uint64),
            frame_weight=np.zeros(frames),
            targets=sampling.targets.copy(),
            free=np.array([sampling.free]),
            phase=sampling.phases(),
            nodes=np.zeros(len(sampling.targets)),
            leaves=np.zeros(4),
            prices=net.derived(_prices),
        )


@lru_cache(maxsize=256)
def _shares(seed: int, n: int) -> FloatArray:
    """Return random numbers between a half and one, float64 of shape (n,)."""
    return np.random.default_rng(seed).uniform(0.5, 1, n)


_OF_FRAMES = [name for name in Tree._fields if name.startswith("frame_")]

# Seconds, by fit of the times of many searches (benchmarks/prices.py): a node; a decision, and of each of the D squared
# entries of the inverse; a pivot, of each of these, of each row and coordinate; the same for facets; a product of the
# composition.
PRICES = (6.25e-7, 9.18e-8, 0.0, 2.51e-7, 4.72e-10, 0.0, 6.02e-7, 0.0, 0.0, 0.0)


def _prices(net: Network) -> FloatArray:
    """Return what the steps of the kernel cost in each layer, in seconds; the last column is for facets."""
    node, decision, decision_entry, pivot, entry, row, facet_pivot, facet_entry, facet_row, product = PRICES
    D, n_layers = net.n_inputs + 1, len(net.widths)
    prices = np.zeros((kernel.N_PRICES, n_layers + 1))
    prices[kernel.NODE], prices[kernel.DECISION] = node, decision + decision_entry * D * D
    prices[kernel.PIVOT], prices[kernel.PIVOT_ROW] = pivot + entry * D * D, row * D
    prices[kernel.PIVOT, n_layers] = facet_pivot + facet_entry * D * D
    prices[kernel.PIVOT_ROW, n_layers] = facet_row * D
    entering, completing = count_products(net)
    prices[kernel.ENTERED, :n_layers], prices[kernel.COMPLETED, :n_layers] = product * entering, product * completing
    return prices


def _levels(net: Network) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return which rows are known to lie in the spaces V of each layer, the smallest V first.

    V of level 0 is spanned by the rows of the sources' neurons with a slope; these lie in the span of the rows of their
    own sources' neurons, which is level 1, and so on until a layer reads the input.
    """
    sources = [{source - 1 for source in layer.weights} for layer in net.hidden]
    L = len(sources)
    levels = np.zeros((L, _N_LEVELS, L), np.uint8)
    n_levels = np.zeros(L, np.int64)
    for layer in range(L):
        spanning, within = sources[layer], {layer}
        t = 0
        while -1 not in spanning and t < _N_LEVELS:
            levels[layer, t, list(spanning)] = 1
            levels[layer, t, list(within - spanning)] = 2
            t += 1
            within = within | spanning
            spanning = set().union(*(sources[source] for source in spanning))
        n_levels[layer] = t
    return levels, n_levels

"""The lp engine: the tree of Algorithm 2 one neuron at a time, over a feasibility backend."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np

from tropnet.arrays.types import IntegerArray
from tropnet.enumeration.algorithm_1 import root_backend
from tropnet.enumeration.engine import (
    Ability,
    Chunk,
    ChunkBuilder,
    Engine,
    Plan,
    Refusal,
    Rest,
    Sample,
    Subtree,
    Task,
)
from tropnet.errors import TropnetError
from tropnet.exact.certificates import Witness
from tropnet.feasibility import Answer, Feasible, Infeasible, Undecided
from tropnet.kernels import weight_if_kept
from tropnet.network.recurrence import Composition

__all__ = ["LpEngine", "enumerate_by_lp"]


# About what a linear program takes, for what a sample says of the cost.
_SECONDS_PER_DECISION = 1e-3


@final
@dataclass(frozen=True)
class LpEngine(Engine):
    """The tree of Algorithm 2 one neuron at a time; it can do every task."""

    name = "lp"
    abilities = frozenset({Ability.FIXED, Ability.SAMPLING})
    seconds_per_chunk: float = Engine.seconds_per_chunk

    def _plan(self, task: Task) -> Plan | Refusal:
        return _LpPlan(self, task)


@final
@dataclass(frozen=True)
class _LpPlan(Plan):
    engine: LpEngine
    task: Task

    def run(self, builder: ChunkBuilder) -> Generator[Chunk, None, None]:
        return enumerate_by_lp(self.task, builder)


def enumerate_by_lp(task: Task, builder: ChunkBuilder) -> Generator[Chunk, None, None]:
    """Enumerate depth first, neuron by neuron; only a neuron whose hyperplane cuts the current cell branches.

    A witness of the current cell settles one side of each neuron for free, so a neuron costs one linear program; a
    neuron that is constant on the cell costs none. Any task can be done so, and what other engines cannot start is.
    """
    yield from _Search(task, builder).run()


class _Pending(NamedTuple):
    """A node to be visited later: the other side of a branching at a neuron, or (`bit` None) where that is to come."""

    neuron: int
    bit: bool | None
    witness: Witness
    n_rows: int
    share: float
    depth: int
    weight: float

    def decided(self, bits: list[bool]) -> dict[int, bool]:
        """Return the bits of the node, where those before its neuron are on the path at hand."""
        before = dict(enumerate(bits[: self.neuron]))
        return before if self.bit is None else {**before, self.neuron: self.bit}


class _Search:
    """Depth-first search; `maps` holds the exact maps of all layers on the current path."""

    def __init__(self, task: Task, builder: ChunkBuilder) -> None:
        net = task.network
        self.task, self.builder = task, builder
        self.fixed = task.fixed
        self.backend, self.start = root_backend(task.backend, task.domain, task.tolerances)
        self.affine = net.affine_neurons
        self.places = [(index, i) for index, width in enumerate(net.widths) for i in range(width)]
        self.maps = Composition.of(net.integers.layers, net.n_inputs)
        self.pattern = np.zeros(net.n_neurons, dtype=np.bool_)
        self.cuts = np.zeros(net.n_neurons, dtype=np.bool_)
        self.pending: list[_Pending] = []
        self.sampling = task.sampling
        self.leaves = self.n_left_out = self.cost = self.full_cost = 0.0
        self.nodes = np.zeros(0 if task.sampling is None else len(task.sampling.targets))
        self.phase = np.empty(0) if task.sampling is None else task.sampling.phases()
        self.depth, self.weight = (0, 1.0) if task.sampling is None else (task.sampling.depth, task.sampling.weight)
        if self.fixed:
            self._fix()

    def _fix(self) -> None:
        """Restrict the root cell to the fixed bits."""
        for neuron, bit in sorted(self.fixed.items()):
            row = self._row(neuron)
            self.pattern[neuron] = bit
            if row[:-1].any() and not self.affine[neuron]:
                self._take(neuron, bit, row)
        answer = self.backend.decide()
        if isinstance(answer, Infeasible):
            raise TropnetError(f"the fixed bits leave no interior (rows {sorted(answer.multipliers)}).")
        self.start = answer

    def run(self) -> Generator[Chunk, None, None]:
        """Yield the regions of the whole tree."""
        if isinstance(self.start, Undecided):
            known = next((j for j in range(len(self.pattern)) if j not in self.fixed), len(self.pattern))
            self.builder.set_aside(self.pattern[:known])
            self.builder.fraction += 1.0
        else:
            yield from self._descend(0, self.start.witness, 1.0)
        yield from self._go_on()

    def _go_on(self) -> Generator[Chunk, None, None]:
        """Yield the regions below all that is pending, the latest first."""
        while self.pending:
            neuron, bit, witness, n_rows, share, self.depth, self.weight = self.pending.pop()
            self.backend.truncate(n_rows)
            if bit is not None:
                self._take(neuron, bit, self._row(neuron))
            yield from self._descend(neuron + (bit is not None), witness, share)
        if self.builder.sharing is None:
            self.builder.fraction = 1.0
        yield self._flush()

    def _handed_over(self, neuron: int, witness: Witness, share: float) -> bool:
        """Hand over nodes if somebody wants some, the oldest first; return whether that at hand is among them."""
        sharing = self.builder.sharing
        if sharing is None or not sharing.wanted():
            return False
        here = _Pending(neuron, None, witness, self.backend.n_rows, share, self.depth, self.weight)
        nodes = [*self.pending, here]
        n = sharing.split(len(nodes))
        if n:
            given, self.pending = nodes[:n], nodes[n:-1]
            pattern, cuts = self.pattern.copy(), self.cuts.copy()

            def run(builder: ChunkBuilder) -> Generator[Chunk, None, None]:
                other = _Search(self.task, builder)
                other.pattern, other.cuts, other.pending = pattern, cuts, given
                # The same stack of rows.
                for j in range(given[-1].neuron):
                    if cuts[j] and j not in other.fixed:
                        other._take(j, bool(pattern[j]), other._row(j))
                yield from other._go_on()

            def subtrees() -> list[Subtree]:
                bits = pattern.tolist()
                return [Subtree({**self.fixed, **node.decided(bits)}, node.share) for node in given]

            sharing.hand_over(Rest(run, subtrees))
        return n == len(nodes)

    def _flush(self) -> Chunk:
        """Return what was collected as a chunk, with what was seen of a sampled tree since the last."""
        self.builder.counters["settled_exactly"] = self.backend.n_settled
        sample = None
        if self.sampling is not None:
            sample = Sample(self.nodes, self.leaves, self.n_left_out, self.cost, self.full_cost)
            self.leaves = self.n_left_out = self.cost = self.full_cost = 0.0
            self.nodes = np.zeros(len(self.nodes))
        return self.builder.flush(sample)

    def _descend(self, neuron: int, witness: Witness | None, share: float) -> Iterator[Chunk]:
        """Follow the witness from `neuron` down to a leaf (or what is handed over), leaving other sides pending."""
        while witness is not None and neuron < len(self.places):
            if self.builder.due:
                yield self._flush()
            if neuron in self.fixed:
                neuron += 1
                continue
            row = self._row(neuron)
            self.cuts[neuron] = False
            if self.affine[neuron]:
                self.pattern[neuron] = False
            elif not row[:-1].any():
                self.pattern[neuron] = row[-1] > 0
            else:
                witness, share = self._split(neuron, row, witness, share)
                if witness is not None and self._handed_over(neuron + 1, witness, share):
                    return
            neuron += 1
        self.builder.fraction += share
        if witness is not None:
            self.builder.add(self.pattern, self.cuts, witness)
            self.leaves += self.weight

    def _row(self, neuron: int) -> IntegerArray:
        """Return the exact row of a neuron where the bits of the layers before hold."""
        index, i = self.places[neuron]
        return np.asarray(self.maps.follow(self.pattern, index)[i])

    def _split(self, neuron: int, row: IntegerArray, witness: Witness, share: float) -> tuple[Witness | None, float]:
        """Decide both sides of a neuron; take one, leave the other pending. None if no side is known to have interior.

        At least one side of a hyperplane has interior in every open cell, and each non-empty side gets a witness.
        """
        sign = witness.sign(row.tolist())
        answers: dict[bool, Answer] = {}
        for bit in (True, False):
            known = sign > 0 if bit else sign < 0
            answers[bit] = Feasible(witness) if known else self._ask(row if bit else -row)
        inside = [(bit, answer.witness) for bit, answer in answers.items() if isinstance(answer, Feasible)]
        undecided = [bit for bit, answer in answers.items() if isinstance(answer, Undecided)]
        for bit in undecided:
            self.pattern[neuron] = bit
            self.builder.set_aside(self.pattern[: neuron + 1])
        if not inside:
            return None, share
        inside.sort(key=lambda side: side[1] is not witness)
        n_rows = self.backend.n_rows
        if len(inside) == 2:
            self.builder.count("branchings")
            share /= 2
            self.weight, later = self._weights(neuron)
            if later:
                bit, other = inside[1]
                self.pending.append(_Pending(neuron, bit, other, n_rows, share, self.depth, later))
            if not self.weight:
                return None, share
        bit, witness = inside[0]
        if len(inside) == 2 or undecided:
            self._take(neuron, bit, row)
        else:
            self.pattern[neuron] = bit
        return witness, share

    def _weights(self, neuron: int) -> tuple[float, float]:
        """Return the weights of two new nodes, 0 of one to leave out: that at hand, unless the tree is only sampled."""
        self.depth += 1
        if self.sampling is None:
            return self.weight, self.weight
        self.nodes[neuron + 1] += 2 * self.weight
        if self.depth <= self.sampling.free:
            return self.weight, self.weight
        weights = [weight_if_kept(self.phase, self.sampling.targets, neuron + 1, self.weight) for _ in range(2)]
        self.n_left_out += weights.count(0.0)
        return weights[0], weights[1]

    def _take(self, neuron: int, bit: bool, row: IntegerArray) -> None:
        """Go on with one side of a neuron, whose row cuts the cell."""
        self.pattern[neuron] = bit
        self.cuts[neuron] = True
        self.backend.push(row if bit else -row)

    def _ask(self, row: IntegerArray) -> Answer:
        """Decide whether the cell meets the half-space of a row."""
        self.builder.count("decisions")
        self.cost += _SECONDS_PER_DECISION
        self.full_cost += _SECONDS_PER_DECISION * self.weight
        n_rows = self.backend.n_rows
        self.backend.push(row)
        answer = self.backend.decide()
        self.backend.truncate(n_rows)
        return answer

"""Algorithm 2 as printed: a tree over the patterns of whole layers, pruned by Algorithm 1's failing layer."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import product
from typing import final

import numpy as np

from tropnet.arrays.patterns import BoolArray
from tropnet.enumeration.algorithm_1 import EmptyRegion, FoundRegion, root_backend, run_algorithm_1
from tropnet.enumeration.engine import Chunk, ChunkBuilder, Engine, Plan, Refusal, Task
from tropnet.feasibility import Undecided

__all__ = ["ReferenceEngine"]


@final
@dataclass(frozen=True)
class ReferenceEngine(Engine):
    """Algorithm 2 as printed."""

    name = "reference"
    abilities = frozenset()
    seconds_per_chunk: float = Engine.seconds_per_chunk

    def _plan(self, task: Task) -> Plan | Refusal:
        return _ReferencePlan(self, task)


@final
@dataclass(frozen=True)
class _ReferencePlan(Plan):
    engine: ReferenceEngine
    task: Task

    def run(self, builder: ChunkBuilder) -> Generator[Chunk, None, None]:
        return _enumerate_by_algorithm_2(self.task, builder)


def _enumerate_by_algorithm_2(task: Task, builder: ChunkBuilder) -> Generator[Chunk, None, None]:
    """Enumerate by Algorithm 2: all 2^n_l assignments of every layer, Algorithm 1 at the leaves.

    Layers count from 1 and depth from 0 here, so line 14 reads ``depth >= layer``; the printed ``depth > index``
    gives the same regions and prunes one level less. Exponential in the widths: an oracle for small networks.
    """
    net = task.network
    backend, start = root_backend(task.backend, task.domain, task.tolerances)
    if isinstance(start, Undecided):
        builder.set_aside(np.empty(0, dtype=np.bool_))
        yield builder.flush()
        return

    def traverse(depth: int, prefix: BoolArray, share: float) -> Iterator[Chunk | int]:
        """Yield chunks, and last the failing layer (0 for none)."""
        if depth == len(net.hidden):
            outcome = run_algorithm_1(net, prefix, backend, start)
            builder.count("leaves")
            if isinstance(outcome, EmptyRegion):
                yield outcome.layer
                return
            if isinstance(outcome, FoundRegion):
                builder.add(prefix, outcome.cuts, outcome.witness)
            else:
                builder.set_aside(prefix)
            yield 0
            return
        width = net.widths[depth]
        for n, bits in enumerate(product((False, True), repeat=width)):
            failing = 0
            done = builder.fraction
            for item in traverse(depth + 1, np.concatenate([prefix, np.array(bits)]), share / 2**width):
                if isinstance(item, int):
                    failing = item
                else:
                    yield item
            builder.fraction = done + share / 2**width
            if builder.due:
                builder.counters["settled_exactly"] = backend.n_settled
                yield builder.flush()
            # A failure at an earlier layer does not depend on this layer's bits; none was passed over: n is 0.
            if failing and depth >= failing:
                builder.fraction += share * (1 - (n + 1) / 2**width)
                yield failing
                return
        yield 0

    for item in traverse(0, np.empty(0, dtype=np.bool_), 1.0):
        if not isinstance(item, int):
            yield item
    builder.fraction = 1.0
    builder.counters["settled_exactly"] = backend.n_settled
    yield builder.flush()

"""Runs of plans: what they found, in columns, kept for all laws that look at the same one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from tests.checks import distinct
from tests.contract.engines.cases import Case
from tests.oracles.exact import Pattern
from tropnet import Domain, Network, Tolerances
from tropnet.arrays.patterns import unpack
from tropnet.enumeration.engine import Chunk, ChunkBuilder, Engine, Plan, Refusal, Task
from tropnet.exact.certificates import Witness
from tropnet.network.domain import as_domain

__all__ = ["Run", "prepared", "run", "run_case", "task_of"]


@dataclass(frozen=True, eq=False)
class Run:
    """All chunks of a plan, and the builder as the run left it."""

    net: Network
    chunks: tuple[Chunk, ...]
    builder: ChunkBuilder

    def column(self, name: str) -> np.ndarray:
        """Return an array that all chunks together hold; of facets, those that are there."""
        parts = [getattr(chunk, name) for chunk in self.chunks if getattr(chunk, name) is not None]
        return np.concatenate(parts) if parts else np.empty(0)

    @property
    def listed(self) -> list[Pattern]:
        """The patterns in order."""
        return list(map(tuple, unpack(self.column("packed"), self.net.n_neurons).tolist()))

    @property
    def patterns(self) -> set[Pattern]:
        """The patterns, none of which comes twice."""
        return distinct(self.listed)

    @property
    def witnesses(self) -> list[Witness]:
        """The witnesses in order."""
        return [chunk.witness(i) for chunk in self.chunks for i in range(len(chunk.packed))]

    @property
    def undecided(self) -> list[Pattern]:
        """The prefixes set aside."""
        return [prefix for chunk in self.chunks for prefix in chunk.undecided]

    @property
    def n_regions(self) -> int:
        """The number of regions, listed or counted."""
        return sum(chunk.n_regions for chunk in self.chunks)

    @property
    def leaves(self) -> float:
        """The weighted number of leaves that a sample saw."""
        return sum(chunk.sample.leaves for chunk in self.chunks if chunk.sample is not None)


def task_of(
    net: Network, domain: Domain | None, *, backend: str = "highs", pivots: int = 100_000, **options: Any
) -> Task:
    """Return a task, none of whose arrays can be written into."""
    task = Task(net, as_domain(domain, net.n_inputs), backend, Tolerances(exact_pivots=pivots), **options)
    for array in _arrays(task):
        array.setflags(write=False)
    return task


def _arrays(task: Task) -> Iterable[np.ndarray]:
    for layer in task.network.layers:
        yield from (*layer.weights.values(), layer.bias, layer.slopes)
    yield from task.domain.halfspaces
    if task.sampling is not None:
        yield task.sampling.targets


def prepared(engine: Engine, task: Task) -> Plan:
    """Return the plan of a task that the engine must take."""
    plan = engine.prepare(task)
    assert isinstance(plan, Plan), plan.reason if isinstance(plan, Refusal) else plan
    assert plan.engine == engine
    assert plan.task == task
    return plan


def run(plan: Plan) -> Run:
    """Run a plan to its end."""
    net = plan.task.network
    builder = ChunkBuilder(net.n_neurons, net.n_inputs, seconds_per_chunk=plan.engine.seconds_per_chunk)
    return Run(net, tuple(plan.run(builder)), builder)


@cache
def run_case(engine: Engine, case: Case, **options: Any) -> Run:
    """Run a case, once for all laws."""
    return run(prepared(engine, task_of(case.net, case.domain, **options)))

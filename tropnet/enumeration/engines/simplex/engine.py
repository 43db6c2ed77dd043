"""The simplex engine: cells by their rows, one vertex and one point, in a compiled kernel; any number of inputs."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from tropnet.enumeration.engine import Ability, Chunk, ChunkBuilder, Engine, Plan, Refusal, Task
from tropnet.enumeration.engines.simplex.search import SimplexSearch
from tropnet.enumeration.engines.simplex.start import MAX_INPUTS, Interior, Start, find_start, lift, restrict_inputs
from tropnet.network.network import Network

__all__ = ["SimplexEngine"]


@final
@dataclass(frozen=True)
class SimplexEngine(Engine):
    """Cells by their rows, one vertex and one point, compiled, for any number of inputs.

    Attributes
    ----------
    buffer, steps
        Regions a chunk, and steps of the kernel between two looks at the outside.
    """

    name = "simplex"
    abilities = frozenset(Ability) - {Ability.GOAL}
    compiled = True
    divides = True
    buffer: int = 1 << 13
    steps: int = 1 << 16

    def _plan(self, task: Task) -> Plan | Refusal:
        start = find_start(task.network, task.domain, tuple(sorted(task.fixed)))
        if start is not None and len(start.inputs) == task.network.n_inputs:
            return _SimplexPlan(self, task, start, Interior(task, start.box))
        if start is not None:
            plan = self.prepare(_restricted(task, start.inputs))
            return plan if isinstance(plan, Refusal) else _SlicePlan(self, task, plan, start.inputs)
        return Refusal(
            f"engine 'simplex' needs a hidden layer, at most {MAX_INPUTS} inputs (that the network tells apart), and a"
            " domain that together with the first layer contains no line, nor nearly one; use engine='lp'."
        )


@final
@dataclass(frozen=True)
class _SimplexPlan(Plan):
    engine: SimplexEngine
    task: Task
    start: Start
    interior: Interior

    def run(self, builder: ChunkBuilder) -> Generator[Chunk, None, None]:
        engine = self.engine
        return SimplexSearch(self.task, self.start, self.interior, builder, engine.buffer, engine.steps).run()

    def adapted(self, task: Task) -> Plan | Refusal:
        """Return the plan for another task: from the same start, unless what is fixed makes other root cells."""
        same = task.fixed == self.task.fixed or task.fixed.keys() >= set(self.start.neurons)
        if not same or self.engine.lacks(task.asks_for) is not None:
            return self.engine.prepare(task)
        return replace(self, task=task)


@final
@dataclass(frozen=True)
class _SlicePlan(Plan):
    """The plan where all but some inputs are 0: nothing depends on the others but through these."""

    engine: SimplexEngine
    task: Task
    inner: Plan
    inputs: list[int]

    def run(self, builder: ChunkBuilder) -> Generator[Chunk, None, None]:
        return _lifted(self.inner.run, self.task.network, self.inputs, builder)

    def adapted(self, task: Task) -> Plan | Refusal:
        """Return the plan for another task, in the same slice."""
        inner = self.inner.task
        answer = self.inner.adapted(replace(task, network=inner.network, domain=inner.domain))
        return answer if isinstance(answer, Refusal) else replace(self, task=task, inner=answer)


def _restricted(task: Task, inputs: list[int]) -> Task:
    """Return the task where all but some inputs are 0."""
    net, domain = restrict_inputs(task.network, task.domain, inputs)
    return replace(task, network=net, domain=domain)


def _lifted(
    run: Callable[[ChunkBuilder], Generator[Chunk, None, None]], net: Network, inputs: list[int], builder: ChunkBuilder
) -> Generator[Chunk, None, None]:
    """Run what knows some inputs only, and set the others to 0."""
    sharing = builder.sharing
    if sharing is not None:
        hand_over = sharing.hand_over
        sharing = replace(
            sharing,
            hand_over=lambda rest: hand_over(replace(rest, run=lambda other: _lifted(rest.run, net, inputs, other))),
        )
    # What it collects is only known once it is lifted, but the counters are shared.
    inner = ChunkBuilder(
        net.n_neurons, len(inputs), counters=builder.counters, sharing=sharing, is_trial=builder.is_trial
    )
    for chunk in run(inner):
        builder.fraction, builder.cost = inner.fraction, inner.cost
        points = np.zeros((len(chunk.points), net.n_inputs))
        points[:, inputs] = chunk.points
        yield replace(
            chunk, points=points, rational={i: lift(w, inputs, net.n_inputs) for i, w in chunk.rational.items()}
        )
        inner.is_trial = builder.is_trial

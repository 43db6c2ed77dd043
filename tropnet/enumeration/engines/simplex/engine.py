"""The simplex engine: cells by their rows, one vertex and one point, in a compiled kernel; any number of inputs."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from tropnet.enumeration.engine import Ability, Chunk, ChunkBuilder, Engine, Plan, Refusal, Task
from tropnet.enumeration.engines.simplex.search import SimplexSearch
from tropnet.enumeration.engines.simplex.start import MAX_INPUTS, Start, find_start, lift, restrict_inputs
from tropnet.errors import TropnetError
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
        if start is not None:
            return _SimplexPlan(self, task, start)
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

    def run(self, builder: ChunkBuilder) -> Generator[Chunk, None, None]:
        if len(self.start.inputs) < self.task.network.n_inputs:
            return _enumerate_slice(self.engine, self.task, self.start.inputs, builder)
        engine = self.engine
        return SimplexSearch(self.task, self.start, builder, engine.buffer, engine.steps).run()


def _enumerate_slice(
    engine: SimplexEngine, task: Task, inputs: list[int], builder: ChunkBuilder
) -> Generator[Chunk, None, None]:
    """Enumerate where all but some inputs are 0: nothing depends on the others but through these."""
    net = task.network
    small_net, domain = restrict_inputs(net, task.domain, inputs)
    plan = engine.prepare(replace(task, network=small_net, domain=domain))
    if isinstance(plan, Refusal):
        raise TropnetError(plan.reason)
    return _lifted(plan.run, net, inputs, builder)


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

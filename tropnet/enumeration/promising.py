"""The regions that may hold what is best, and no others."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import replace

from tropnet.arrays.patterns import shifted
from tropnet.enumeration.engine import Chunk, Goal, Plan, Task
from tropnet.enumeration.engines.vertex.engine import MAX_DIMENSION, VertexEngine
from tropnet.enumeration.sharing import enumerate_by_threads
from tropnet.feasibility.tolerances import EXACTLY
from tropnet.network.domain import Domain, RationalPolytope
from tropnet.network.network import Network
from tropnet.network.neuron_sides import neuron_sides_of
from tropnet.progress import track

__all__ = ["MAX_DIMENSION", "promising_regions"]


def promising_regions(
    net: Network,
    domain: Domain,
    goal: Goal,
    fixed: Mapping[int, bool] | None = None,
    *,
    workers: int = 1,
    progress: bool = False,
) -> Generator[Chunk, None, None] | None:
    """Yield the regions that may be better than the best that is known when they are found; None if no engine can.

    Chunks may be empty: a few come every second.

    Parameters
    ----------
    net, domain
        The network, whose last `Goal.n_layers` hidden layers serve the goal, and a domain with interior.
    goal
        What is wanted; whoever reads the chunks may raise `Goal.best` between them.
    fixed
        Neurons with a bit that is decided before.
    workers
        Threads. With more than one, which regions are left out depends on chance, where the goal is no `FEASIBLE` one.
    """
    bits = dict(fixed or {})
    sides = neuron_sides_of(net, domain) if isinstance(domain, RationalPolytope) else None
    if sides is not None:
        bits = {**sides.fixed, **{j + sides.n_helpers: bit for j, bit in bits.items()}}
        net, domain = sides.network, sides.domain
    if not domain.is_exact:
        return None
    plan = VertexEngine(buffer=_BUFFER).prepare(Task(net, domain, "highs", EXACTLY, fixed=bits, goal=goal))
    n_helpers = 0 if sides is None else sides.n_helpers
    return _chunks(plan, n_helpers, workers, progress) if isinstance(plan, Plan) else None


_BUFFER = 1 << 10


def _chunks(plan: Plan, n_helpers: int, workers: int, progress: bool) -> Generator[Chunk, None, None]:
    n_seen, n = 0, plan.task.network.n_neurons
    builder = plan.builder()
    chunks = plan.run(builder) if workers == 1 else enumerate_by_threads(plan, builder, workers, None)
    with track("searching", "regions", enabled=progress) as update, closing(chunks) as run:
        for chunk in run:
            n_seen += chunk.n_regions
            update(n_seen, chunk.fraction)
            yield replace(
                chunk,
                packed=shifted(chunk.packed, n, -n_helpers),
                packed_cuts=shifted(chunk.packed_cuts, n, -n_helpers),
            )

"""The regions that may hold what is best, and no others."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import closing

from tropnet.enumeration.engine import Chunk, Goal, Plan, Task
from tropnet.enumeration.engines.vertex.engine import MAX_DIMENSION, VertexEngine
from tropnet.feasibility.tolerances import EXACTLY
from tropnet.network.domain import Domain
from tropnet.network.network import Network
from tropnet.progress import track

__all__ = ["MAX_DIMENSION", "promising_regions"]


def promising_regions(
    net: Network,
    domain: Domain,
    goal: Goal,
    fixed: Mapping[int, bool] | None = None,
    *,
    progress: bool = False,
) -> Generator[Chunk, None, None] | None:
    """Yield the regions that may be better than the best that is known when they are found; None if no engine can.

    Parameters
    ----------
    net, domain
        The network, whose last `Goal.n_layers` hidden layers serve the goal, and a domain with interior.
    goal
        What is wanted; whoever reads the chunks may raise `Goal.best` between them.
    fixed
        Neurons with a bit that is decided before.
    """
    if not domain.is_exact:
        return None
    plan = VertexEngine(buffer=_BUFFER).prepare(Task(net, domain, "highs", EXACTLY, fixed=fixed or {}, goal=goal))
    return _chunks(plan, progress) if isinstance(plan, Plan) else None


_BUFFER = 1 << 10


def _chunks(plan: Plan, progress: bool) -> Generator[Chunk, None, None]:
    n_seen = 0
    builder = plan.builder()
    with track("searching", "regions", enabled=progress) as update, closing(plan.run(builder)) as run:
        for chunk in run:
            n_seen += chunk.n_regions
            update(n_seen, chunk.fraction)
            yield chunk

"""Subtrees in parallel: a search divided by decision prefixes, run by any executor, put together in order."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import replace
from threading import Event

import numpy as np

from tropnet.arrays.patterns import unpack
from tropnet.enumeration.engine import Chunk, ChunkBuilder, Plan, Refusal, Task
from tropnet.enumeration.engines.lp import LpEngine
from tropnet.network.layers import Layer
from tropnet.network.network import Network

__all__ = ["enumerate_in_parallel"]

# More than there will be workers, as they differ in size; the same for all, so that the order of the result is.
_SUBTREES = 128


def enumerate_in_parallel(
    plan: Plan, builder: ChunkBuilder, workers: int | Executor, max_regions: int | None
) -> Generator[Chunk, None, None]:
    """Divide the tree of a plan into the subtrees of some first decisions and run each.

    The result, and its order, do not depend on the workers. No subtree goes on beyond `max_regions`. On an interrupt
    the subtrees stop (those of a foreign executor that have not begun), and what they found comes before it is raised.
    """
    prefixes, undecided = _prefixes(plan)
    for prefix in undecided:
        builder.set_aside(np.array(prefix, dtype=np.bool_))
    if undecided:
        yield builder.flush()
    totals: dict[str, float] = {}
    stop = Event()
    with ThreadPoolExecutor(workers) if isinstance(workers, int) else nullcontext(workers) as executor:
        signal = stop if isinstance(workers, int) else None
        futures: list[Future[list[Chunk]]] = []
        interrupt: KeyboardInterrupt | None = None
        try:
            for fixed in prefixes:
                futures.append(executor.submit(_run_below, plan, fixed, max_regions, signal))
            for done, future in enumerate(futures, start=1):
                try:
                    chunks = future.result()
                except KeyboardInterrupt as error:
                    interrupt = error
                    stop.set()
                    for other in futures:
                        other.cancel()
                    chunks = [] if future.cancelled() or signal is None else future.result()
                except CancelledError:
                    continue
                for name, value in chunks[-1].counters.items() if chunks else ():
                    totals[name] = totals.get(name, 0) + value
                builder.counters = dict(totals)
                builder.fraction = done / len(futures)
                for chunk in chunks:
                    yield replace(chunk, fraction=builder.fraction, counters=dict(totals))
            if interrupt is not None:
                raise interrupt
        finally:
            stop.set()
            for future in futures:
                future.cancel()


def _run_below(plan: Plan, fixed: dict[int, bool], max_regions: int | None, stop: Event | None) -> list[Chunk]:
    """Run the subtree of some decisions."""
    task = replace(plan.task, fixed=fixed)
    return _run(_or_by_lp(plan.adapted(task), task), max_regions, stop)


def _or_by_lp(answer: Plan | Refusal, task: Task) -> Plan:
    """Return the plan, or that of the lp engine, which refuses nothing but what it is not able to do.

    An engine may fit a network, but not its first neurons alone, or not below some bits: cells can contain a line.
    """
    plan = LpEngine().prepare(task) if isinstance(answer, Refusal) else answer
    if isinstance(plan, Refusal):
        raise TypeError(plan.reason)
    return plan


def _run(plan: Plan, max_regions: int | None = None, stop: Event | None = None) -> list[Chunk]:
    """Return the chunks of a plan, or its first ones if it goes beyond the limit or is stopped."""
    chunks, n_regions = [], 0
    with closing(plan.run(plan.builder())) as search:
        for chunk in search:
            chunks.append(chunk)
            n_regions += chunk.n_regions
            if (max_regions is not None and n_regions > max_regions) or (stop is not None and stop.is_set()):
                break
    return chunks


def _prefixes(plan: Plan) -> tuple[list[dict[int, bool]], list[tuple[bool, ...]]]:
    """Return the decisions on the first neurons that occur, enough of them or all patterns, and the undecided ones."""
    # What is fixed is decided in all of them.
    n_decided = max(4, 1 + max(plan.task.fixed, default=0))
    while True:
        n_decided = min(n_decided, plan.task.network.n_neurons)
        first = replace(plan.task, network=_truncated(plan.task.network, n_decided), only_count=False)
        chunks = _run(_or_by_lp(plan.engine.prepare(first), first))
        packed = np.concatenate([chunk.packed for chunk in chunks])
        if len(packed) >= _SUBTREES or n_decided == plan.task.network.n_neurons:
            patterns = unpack(packed, n_decided).tolist()
            undecided = [prefix for chunk in chunks for prefix in chunk.undecided]
            return [dict(enumerate(pattern)) for pattern in patterns], undecided
        n_decided *= 2


def _truncated(net: Network, n_neurons: int) -> Network:
    """Return the network of the first neurons alone."""
    layers: list[Layer] = []
    for layer in net.hidden:
        n = min(n_neurons - sum(kept.width for kept in layers), layer.width)
        if n > 0:
            weights = {source: weight[:n] for source, weight in layer.weights.items()}
            layers.append(Layer(weights, layer.bias[:n], np.asarray(layer.slopes)[:n]))
    output = Layer({len(layers): np.zeros((1, layers[-1].width))}, np.zeros(1))
    return Network([*layers, output], net.n_inputs)

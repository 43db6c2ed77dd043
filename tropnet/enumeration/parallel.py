"""Subtrees in parallel: a search divided by decision prefixes, run by any executor, put together in order."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import replace
from threading import Event

import numpy as np

from tropnet.arrays.patterns import unpack
from tropnet.enumeration.engine import Chunk, ChunkBuilder, Engine, Task
from tropnet.enumeration.engines.lp import enumerate_by_lp
from tropnet.network.layers import Layer
from tropnet.network.network import Network

__all__ = ["enumerate_in_parallel"]

# More than there will be workers, as they differ in size; the same for all, so that the order of the result is.
_SUBTREES = 128


def enumerate_in_parallel(
    engine: Engine, task: Task, builder: ChunkBuilder, workers: int | Executor, max_regions: int | None
) -> Generator[Chunk, None, None]:
    """Divide the tree into the subtrees of some first decisions and run each with the engine.

    The result, and its order, do not depend on the workers. No subtree goes on beyond `max_regions`. On an interrupt
    the subtrees stop (those of a foreign executor that have not begun), and what they found comes before it is raised.
    """
    prefixes, undecided = _prefixes(engine, task)
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
                futures.append(executor.submit(_run, engine, replace(task, fixed=fixed), max_regions, signal))
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


def _run(engine: Engine, task: Task, max_regions: int | None, stop: Event | None) -> list[Chunk]:
    net = task.network
    chunks, n_regions = [], 0
    with closing(engine(task, ChunkBuilder(net.n_neurons, net.n_inputs))) as search:
        for chunk in search:
            chunks.append(chunk)
            n_regions += chunk.n_regions
            if (max_regions is not None and n_regions > max_regions) or (stop is not None and stop.is_set()):
                break
    return chunks


def _prefixes(engine: Engine, task: Task) -> tuple[list[dict[int, bool]], list[tuple[bool, ...]]]:
    """Return the decisions on the first neurons that occur, enough of them or all patterns, and the undecided ones."""
    n_decided = 4
    while True:
        n_decided = min(n_decided, task.network.n_neurons)
        first = replace(task, network=_truncated(task.network, n_decided), only_count=False)
        try:
            chunks = _run(engine, first, None, None)
        except ValueError:
            # A compiled engine may fit the network, but not its first neurons alone: their cells can contain a line.
            chunks = _run(enumerate_by_lp, first, None, None)
        packed = np.concatenate([chunk.packed for chunk in chunks])
        if len(packed) >= _SUBTREES or n_decided == task.network.n_neurons:
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

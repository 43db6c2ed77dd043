"""Subtrees in parallel: a search divided by decision prefixes, run by any executor, put together in order."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace

import numpy as np

from tropnet.enumeration.contract import Chunk, ChunkBuilder, Engine, Task
from tropnet.layers import Layer
from tropnet.network import Network
from tropnet.patterns import unpack

__all__ = ["enumerate_in_parallel"]

# More than there will be workers, as they differ in size; the same for all, so that the order of the result is.
_SUBTREES = 128


def enumerate_in_parallel(
    engine: Engine, task: Task, builder: ChunkBuilder, workers: int | Executor
) -> Generator[Chunk, None, None]:
    """Divide the tree into the subtrees of some first decisions and run each with the engine.

    The result, and its order, do not depend on the workers.
    """
    prefixes = _prefixes(engine, task)
    totals: dict[str, float] = {}
    with ThreadPoolExecutor(workers) if isinstance(workers, int) else nullcontext(workers) as executor:
        futures: list[Future[list[Chunk]]] = []
        try:
            futures += [executor.submit(_run, engine, replace(task, fixed=fixed)) for fixed in prefixes]
            for done, future in enumerate(futures, start=1):
                chunks = future.result()
                for name, value in chunks[-1].counters.items():
                    totals[name] = totals.get(name, 0) + value
                builder.counters = dict(totals)
                builder.fraction = done / len(futures)
                for chunk in chunks:
                    yield replace(chunk, fraction=builder.fraction, counters=dict(totals))
        finally:
            for future in futures:
                future.cancel()


def _run(engine: Engine, task: Task) -> list[Chunk]:
    net = task.network
    return list(engine(task, ChunkBuilder(net.n_neurons, net.n_inputs)))


def _prefixes(engine: Engine, task: Task) -> list[dict[int, bool]]:
    """Return the decisions on the first neurons that occur: enough of them, or all patterns."""
    n_decided = 4
    while True:
        n_decided = min(n_decided, task.network.n_neurons)
        first = replace(task, network=_truncated(task.network, n_decided), only_count=False)
        packed = np.concatenate([chunk.packed for chunk in _run(engine, first)])
        if len(packed) >= _SUBTREES or n_decided == task.network.n_neurons:
            return [dict(enumerate(pattern)) for pattern in unpack(packed, n_decided).tolist()]
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

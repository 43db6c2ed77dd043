"""Many networks on one domain: a number for each, by several workers."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing, nullcontext

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.checks import as_count
from tropnet.errors import EnumerationInterrupted, UndecidedError
from tropnet.network.network import Network, as_network
from tropnet.progress import track

__all__ = ["count_each"]

# Networks a job: handing on a job takes as long as a small network.
_NETWORKS = 16


def count_each(
    count: Callable[[Network], int], nets: Sequence[Network], workers: int | Executor, *, progress: bool
) -> NDArray[np.int64]:
    """Return `count` of every network, int64 of shape (n,), in order.

    Raises
    ------
    UnsupportedModuleError
        One is no `Network`.
    UndecidedError, EnumerationInterrupted
        Their `partial` are the counts of the networks before the one that stayed undecided or was not finished.
    """
    nets = [as_network(net) for net in nets]
    if not isinstance(workers, Executor):
        workers = as_count(workers, "workers", otherwise=" or a concurrent.futures.Executor")
    counts: list[int] = []
    with track("counting", "networks", enabled=progress) as update, closing(_counted(count, nets, workers)) as results:
        try:
            for n_regions in results:
                counts.append(n_regions)
                update(len(counts), len(counts) / len(nets))
        except UndecidedError as error:
            raise UndecidedError(f"network {len(counts)}: {error}", np.array(counts, np.int64)) from error
        except KeyboardInterrupt as interrupt:
            raise EnumerationInterrupted(np.array(counts, np.int64)) from interrupt
    return np.array(counts, np.int64)


def _counted(
    count: Callable[[Network], int], nets: Sequence[Network], workers: int | Executor
) -> Generator[int, None, None]:
    if workers == 1:
        yield from map(count, nets)
        return
    with ThreadPoolExecutor(workers) if isinstance(workers, int) else nullcontext(workers) as executor:
        jobs = [
            executor.submit(_count_all, count, nets[begin : begin + _NETWORKS])
            for begin in range(0, len(nets), _NETWORKS)
        ]
        try:
            for job in jobs:
                counts, error = job.result()
                yield from counts
                if error is not None:
                    raise error
        finally:
            for job in jobs:
                job.cancel()


def _count_all(count: Callable[[Network], int], nets: Sequence[Network]) -> tuple[list[int], UndecidedError | None]:
    """Return the counts, up to the first network that stays undecided, and the error."""
    counts = []
    for net in nets:
        try:
            counts.append(count(net))
        except UndecidedError as error:
            return counts, error
    return counts, None

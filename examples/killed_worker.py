"""A worker is killed (SIGKILL) in the middle of an enumeration, and the regions are the same: only its piece was lost.

With Dask (the extra `distributed`) the workers are those of a local cluster, else of a pool of processes. A cluster of
many machines takes the same call: docs/guide/long_runs.md.
"""

import multiprocessing
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import tropnet as tn


@contextmanager
def two_workers(folder: str) -> Iterator[tuple[Executor, str]]:
    """Start two processes; give an executor that hands them work, and say what they are."""
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
            yield pool, "a pool of processes"
        return
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, local_directory=folder) as cluster,
        Client(cluster) as client,
    ):
        yield client.get_executor(), "a Dask cluster"


def kill_one(run: Path, executor: Executor) -> None:
    """Kill a process that works at a run, as soon as something of it is written down."""
    worker = executor.submit(os.getpid).result()
    while not (run / "manifest.json").exists() or not len(tn.Run(run)):
        time.sleep(0.01)
    os.kill(worker, signal.SIGKILL)
    print(f"killed worker {worker} after {len(tn.Run(run)):,} regions")


def ordered(packed: np.ndarray) -> np.ndarray:
    """Return packed patterns in order, so that two sets can be compared."""
    return np.sort(packed.view(np.dtype((np.void, packed.shape[1]))).ravel())


def main() -> None:
    """Enumerate in one process, then by two of which one is killed; compare."""
    net, box = tn.Network.random([4, 64, 64, 1], seed=0), tn.Box(-1, 1)
    alone = tn.enumerate_regions(net, box)
    print(f"{len(alone):,} regions of {net} in {box}, found by one process")
    with tempfile.TemporaryDirectory() as folder, two_workers(folder) as (executor, what):
        out = Path(folder) / "run"
        killer = threading.Thread(target=kill_one, args=(out, executor))
        killer.start()
        run = tn.enumerate_regions(net, box, workers=executor, out=out)
        killer.join()
        same = np.array_equal(ordered(run.regions().packed), ordered(alone.packed))
        print(f"{len(run):,} regions, found by {what}, complete: {run.complete}, the same: {same}")


if __name__ == "__main__":
    main()

"""Processes and a Dask cluster do the pieces of a search; what kills a worker costs a piece, and not the result."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from distributed import Client

import tropnet as tn
from tests.children import BOX, fork_server
from tests.cluster import two_workers
from tests.faulty import Faulty, distinct_rows, patterns_in
from tropnet.arrays.patterns import pack, unpack
from tropnet.regions.runs.status import status_of

# Pieces end by the clock: this one takes seconds, and little of the processor.
SLOW = Faulty("sleep")


@pytest.fixture(scope="module")
def net() -> tn.Network:
    """Return a network of 12,954 regions in the box."""
    return tn.Network.random([3, 24, 24, 1], seed=0)


@pytest.fixture(scope="module")
def alone(net: tn.Network) -> set[bytes]:
    """Return what one process finds."""
    return distinct_rows(tn.enumerate_regions(net, BOX).packed)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Start two Dask workers, processes of their own."""
    with two_workers(tmp_path_factory.mktemp("dask")) as client:
        yield client


def processes() -> ProcessPoolExecutor:
    """Return an executor of two processes that come of a fork server."""
    return ProcessPoolExecutor(2, fork_server())


def test_dask_finds_the_same(net: tn.Network, alone: set[bytes], cluster: Client, tmp_path: Path) -> None:
    """As one process does, in memory and on disk."""
    executor = cluster.get_executor()
    assert distinct_rows(tn.enumerate_regions(net, BOX, engine="simplex", workers=executor).packed) == alone
    assert tn.count_regions(net, BOX, engine="simplex", workers=executor) == len(alone)
    run = tn.enumerate_regions(net, BOX, out=tmp_path / "regions", workers=executor)
    assert run.complete
    assert patterns_in(tmp_path / "regions") == alone
    assert tn.count_regions(net, BOX, out=tmp_path / "count", workers=executor) == len(alone)


def killing(regions: Iterator[tn.ActivationRegion], worker: int) -> set[bytes]:
    """Kill a process after the first region; return the packed patterns of all."""
    patterns = [next(regions).pattern]
    os.kill(worker, signal.SIGKILL)
    patterns += [region.pattern for region in regions]
    return distinct_rows(pack(np.array(patterns)))


def test_a_dask_worker_is_killed(net: tn.Network, alone: set[bytes], cluster: Client) -> None:
    """In the middle, while the search waits for whoever takes its regions."""
    worker = min(cluster.run(os.getpid).values())
    regions = tn.iter_regions(net, BOX, engine=SLOW, workers=cluster.get_executor())
    assert killing(regions, worker) == alone
    cluster.wait_for_workers(2)
    assert worker not in cluster.run(os.getpid).values()


def test_a_process_is_killed(net: tn.Network, alone: set[bytes]) -> None:
    """In the middle; the executor is broken by that, and the search goes on with one like it."""
    with ProcessPoolExecutor(2, get_context("spawn")) as executor:
        regions = tn.iter_regions(net, BOX, engine=SLOW, workers=executor)
        first = next(regions)
        worker = min(executor._processes)
        os.kill(worker, signal.SIGKILL)
        found = [first.pattern, *(region.pattern for region in regions)]
        with pytest.raises(RuntimeError, match="terminated abruptly"):
            executor.submit(os.getpid).result()
    assert distinct_rows(pack(np.array(found))) == alone


def check_missing(error: tn.SubtreeError, net: tn.Network, missing: set[bytes], target: bytes) -> None:
    """Fail unless the regions that are missing are few, the target among them, below the decisions of the error."""
    assert target in missing
    assert len(missing) < 1000
    bits = unpack(np.array([list(pattern) for pattern in missing], np.uint8), net.n_neurons)
    decisions = str(error).split("the decisions '")[1].split("'")[0]
    for j, bit in enumerate(decisions):
        assert bit == "." or set(bits[:, j]) == {bit == "1"}


@pytest.mark.parametrize("fault", ["exit", "raise"])
def test_a_poisoned_subtree_is_named_and_the_rest_goes_on(
    fault: str, net: tn.Network, alone: set[bytes], tmp_path: Path
) -> None:
    """What is missing is below the decisions that the error names; a sound engine goes on from there."""
    target = sorted(alone)[len(alone) // 2]
    poisoned = Faulty(fault, target)
    with processes() as executor, pytest.raises(tn.SubtreeError, match="3 times; regions below are missing") as caught:
        tn.enumerate_regions(net, BOX, engine=poisoned, workers=executor, out=tmp_path)
    found = patterns_in(tmp_path)
    assert len(caught.value.partial) == len(found)
    check_missing(caught.value, net, alone - found, target)
    assert status_of(tmp_path).subtrees_failed == status_of(tmp_path).subtrees_open == 1
    run = tn.enumerate_regions(net, BOX, engine=Faulty(), out=tmp_path)
    assert run.complete
    assert patterns_in(tmp_path) == alone


def test_a_poisoned_subtree_in_memory(net: tn.Network, alone: set[bytes]) -> None:
    """The error carries all other regions."""
    poisoned = Faulty("raise", min(alone))
    with processes() as executor, pytest.raises(tn.SubtreeError, match="ArithmeticError: a fault") as caught:
        tn.enumerate_regions(net, BOX, engine=poisoned, workers=executor)
    partial = caught.value.partial
    assert not partial.complete
    check_missing(caught.value, net, alone - distinct_rows(partial.packed), min(alone))


@pytest.mark.parametrize("fault", ["kill", "raise"])
def test_an_error_in_all_places_comes_to_an_end(fault: str, net: tn.Network) -> None:
    """The whole tree fails three times."""
    with processes() as executor, pytest.raises(tn.SubtreeError, match=r"a subtree .* decisions '\(none\)'") as caught:
        tn.count_regions(net, BOX, engine=Faulty(fault), workers=executor)
    assert caught.value.partial == 0

"""Processes that search and die, or run out of room; they come of a fork server, with the kernels loaded."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import tropnet as tn
from tests.faulty import Faulty
from tropnet.enumeration import recorded
from tropnet.regions.runs import journal

BOX = tn.Box(-10, 10)


def fork_server() -> ForkServerContext:
    """Return a context whose processes come of one that has loaded the kernels, and has no threads."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.preloaded"])
    return context


def search(net: tn.Network, kind: str, out: Path, fault: str | None = None) -> int:
    """Enumerate or count in a directory; return the number of regions."""
    call: Callable[..., Any] = tn.enumerate_regions if kind == "regions" else tn.count_regions
    found = call(net, BOX, engine=Faulty(fault), out=out)
    return found if isinstance(found, int) else len(found)


def in_short_pieces() -> None:
    """Let each piece of work be a few hundred nodes, and the journal be written anew whenever it has grown."""
    recorded.ON_DISK = recorded.ON_DISK._replace(least=0.0, share=0.0)
    journal._GROWN_BY, journal._GROWN_TO = 0, 2


def search_and_die(net: tn.Network, kind: str, out: Path, n: int) -> None:
    """Search in short pieces, and be killed before or after a file is put in place or on the disk: the n-th time."""
    in_short_pieces()
    times = 0

    def deadly(call: Callable[..., None]) -> Callable[..., None]:
        def wrapped(*arguments: Any) -> None:
            nonlocal times
            for act in (lambda: None, lambda: call(*arguments)):
                act()
                times += 1
                if times == n:
                    os.kill(os.getpid(), signal.SIGKILL)

        return wrapped

    os.fsync, os.replace = deadly(os.fsync), deadly(os.replace)
    search(net, kind, out)


def search_within(net: tn.Network, kind: str, out: Path, n_bytes: int) -> int:
    """Search in short pieces where no file can have more than so many bytes."""
    in_short_pieces()
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))
    return search(net, kind, out)

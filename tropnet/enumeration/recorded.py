"""A search that outlives its process: every piece of work is written down, and the same call goes on from there."""

from __future__ import annotations

import logging
import math
import os
import sys
import time
from concurrent.futures import BrokenExecutor
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tropnet.enumeration.engine import Engine
from tropnet.enumeration.parallel import ON_DISK, failure_message, search_in_pieces
from tropnet.enumeration.search import Search
from tropnet.errors import SubtreeError
from tropnet.progress import Forecast, duration, expected_total, track
from tropnet.regions.runs.journal import Journal, is_run, read_state, same_manifest, version_of
from tropnet.regions.runs.state import Manifest, RunState

__all__ = ["record"]

_LOG = logging.getLogger("tropnet.runs")
_A_DAY = 86_400.0
# A line of the log comes after so many seconds, or such a share of the time so far.
_SECONDS_PER_LINE, _SHARE_PER_LINE = 10.0, 0.002


def record(search: Search, out: str | os.PathLike[str], engine: str | Engine, *, progress: bool) -> RunState:
    """Run a search in the directory `out`, from where it stands; return the state it leads to.

    Raises
    ------
    RunError
        The directory holds another run or something else, or another process works at it.
    FileFormatError
        The run there is damaged.
    OSError
        It cannot be written, as on a full disk; what was finished is kept.
    SubtreeError
        Subtrees failed three times, or the executor broke; without a partial result.
    """
    counting = search.asked.only_count
    identity = _identity(search, engine)
    kind = "count" if counting else "regions"
    manifest = Manifest(kind, identity)
    if is_run(out):
        same_manifest(Path(out), manifest)
        state = read_state(out)
        if state.finished:
            # Which nobody has to be able to write.
            return state
    with Journal(out, search.network, manifest) as journal:
        if not journal.state.finished:
            _go_on(search, journal, progress=progress)
        return journal.state


def _identity(search: Search, engine: str | Engine) -> dict[str, Any]:
    """Return all that the result depends on."""
    return {
        "network": search.network.fingerprint,
        "domain": search.domain.description,
        "engine": engine.name if isinstance(engine, Engine) else engine,
        "backend": search.asked.backend,
        "tolerances": asdict(search.asked.tolerances),
        "facets": search.asked.facets,
        "version": version_of("tropnet"),
    }


def _go_on(search: Search, journal: Journal, *, progress: bool) -> None:
    """Search what is open, and tell how it goes."""
    if journal.state.engine:
        search.take(journal.state.engine)
    else:
        search.settle()
        journal.choose(search.plan.engine.name)
    n_workers = search.workers if isinstance(search.workers, int) else type(search.workers).__name__
    journal.begin_session(
        {
            "workers": n_workers,
            "engine": search.plan.engine.name,
            "python": sys.version.split()[0],
            **{name: version_of(name) for name in ("tropnet", "numpy", "numba", "highspy")},
        }
    )
    outlook = search.outlook() if not journal.state.n_pieces else None
    if outlook is not None:
        journal.expect(outlook)
    report = _Report(journal, n_workers if isinstance(n_workers, int) else 1)
    report.warn()
    what = "counting" if search.asked.only_count else "enumerating"
    pieces = search_in_pieces(
        search.alone(),
        journal,
        search.workers,
        ON_DISK,
        max_regions=search.max_regions,
        store=not search.asked.only_count,
    )
    shown = track(what, "regions", enabled=progress, forecast=lambda: report.expected, warns=False)
    with shown as update, closing(pieces):
        try:
            for _ in pieces:
                update(journal.state.n_regions, journal.state.fraction, report.note())
                report.tell()
        except BrokenExecutor as error:
            raise SubtreeError(f"the executor broke ({error}); pass a new one, and the run goes on.", None) from error
        finally:
            report.tell(now=True)
    if journal.state.failed:
        raise SubtreeError(failure_message(journal.state), None)


class _Report:
    """How a run goes: lines for its log and for whoever listens to the logger `tropnet.runs`."""

    def __init__(self, journal: Journal, n_workers: int) -> None:
        self.journal, self.n_workers = journal, n_workers
        self.begin = self.told = time.monotonic()
        self.n_before = journal.state.n_regions

    @property
    def expected(self) -> Forecast | None:
        """How many regions there will be, as estimated before the run."""
        estimate = self.journal.state.estimate
        return None if estimate is None else Forecast(estimate["n_regions"], estimate["standard_error"])

    def warn(self) -> None:
        """Say at the start if the run will take more than a day."""
        estimate = self.journal.state.estimate
        if estimate is None:
            return
        seconds = estimate["seconds"] / self.n_workers
        if seconds > _A_DAY:
            _LOG.warning(
                "random probes expect about %.2g +- %.1g regions, which takes about %s with %d worker%s; Ctrl-C stops,"
                " and the same call goes on from '%s'",
                estimate["n_regions"],
                estimate["standard_error"],
                duration(seconds),
                self.n_workers,
                "s" if self.n_workers > 1 else "",
                self.journal.path,
            )

    def note(self) -> str:
        """Return what a bar says besides the number of regions."""
        state = self.journal.state
        memory = _memory()
        return f"{len(state.open)} subtrees open" + ("" if memory is None else f", {memory / 2**20:,.0f} MB")

    def tell(self, *, now: bool = False) -> None:
        """Write a line, if it is time for one."""
        time_now = time.monotonic()
        if not now and time_now - self.told < max(_SECONDS_PER_LINE, _SHARE_PER_LINE * self.journal.elapsed):
            return
        self.told = time_now
        line = self._line(time_now - self.begin)
        self.journal.log(line)
        left = line["seconds_left"]
        _LOG.info(
            "%s regions, %s/s, %.3g %% of the tree, %d done and %d open subtrees, %d failed%s",
            f"{line['n_regions']:,}",
            f"{line['rate']:,.0f}",
            100 * line["fraction"],
            line["subtrees_done"],
            line["subtrees_open"],
            line["subtrees_failed"],
            "" if not left else f", about {duration(left)} left",
            extra={"record": line},
        )

    def _line(self, seconds: float) -> dict[str, Any]:
        """Return how the run goes, as JSON."""
        state = self.journal.state
        rate = (state.n_regions - self.n_before) / max(seconds, 1e-9)
        expected = expected_total(state.n_regions, state.fraction, self.expected)
        left = None
        if expected is not None and rate > 0:
            left = max(expected - state.n_regions, 0.0) / rate
        return {
            "time": round(time.time(), 3),
            "n_regions": state.n_regions,
            "fraction": state.fraction,
            "expected": expected if expected is None or math.isfinite(expected) else None,
            "rate": rate,
            "seconds": state.seconds,
            "elapsed": self.journal.elapsed,
            "seconds_left": left,
            "subtrees_done": state.n_numbered - len(state.open),
            "subtrees_open": len(state.open),
            "subtrees_failed": len(state.failed),
            "n_parts": len(state.parts),
            "memory": _memory(),
        }


def _memory() -> int | None:
    """Return how many bytes this process has held at most; None where nobody says."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else 1024 * peak)

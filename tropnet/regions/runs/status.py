"""How far a run is, told from its directory, whether somebody works at it or not."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from tropnet.progress import Forecast, expected_total
from tropnet.regions.runs.journal import read_log, read_manifest, read_state
from tropnet.regions.runs.lock import is_being_worked_at

__all__ = ["RunStatus", "status_of"]


@dataclass(frozen=True)
class RunStatus:
    """How far a run is.

    Attributes
    ----------
    kind, fingerprint, engine
        What the run is of, see `Run`.
    finished
        Whether nothing is left to search.
    running
        Whether a process works at it now.
    n_regions, n_parts, n_undecided
        What was found, in how many files, and the subtrees that stayed undecided.
    subtrees_done, subtrees_open, subtrees_failed
        A run is a set of open subtrees; `fraction` is the share of the tree that is searched, each branching halving
        it, in [0, 1].
    expected
        About how many regions there will be: what was estimated before the run, corrected by what was found.
    rate, seconds_left
        Regions a second in the last session, and about how long the rest takes at that rate; None if nobody knows.
    seconds, elapsed
        Of all pieces of work together, and by the clock while somebody worked at the run.
    n_sessions
        How many processes worked at it.
    memory
        Bytes that the last of them held at most; None where the system does not say.
    last_line
        Seconds since the last line of the log; None if there is none.
    """

    kind: str
    fingerprint: str
    engine: str
    finished: bool
    running: bool
    n_regions: int
    n_parts: int
    n_undecided: int
    subtrees_done: int
    subtrees_open: int
    subtrees_failed: int
    fraction: float
    expected: float | None
    rate: float | None
    seconds_left: float | None
    seconds: float
    elapsed: float
    n_sessions: int
    memory: int | None
    last_line: float | None


def status_of(path: str | os.PathLike[str]) -> RunStatus:
    """Return how far a run is.

    Raises
    ------
    FileNotFoundError, FileFormatError
        There is no run, or it is damaged.
    """
    manifest, state, line = read_manifest(path), read_state(path), read_log(path) or {}
    estimate = state.estimate
    guess = None if estimate is None else Forecast(estimate["n_regions"], estimate["standard_error"])
    # Of a log that somebody wrote into, numbers are taken where there are some.
    line = {name: value for name, value in line.items() if type(value) in (int, float)}
    expected = expected_total(state.n_regions, state.fraction, guess)
    rate, left = line.get("rate") or None, None
    if state.finished:
        left = 0.0
    elif expected is not None and rate is not None:
        left = max(expected - state.n_regions, 0.0) / rate
    return RunStatus(
        kind=manifest.kind,
        fingerprint=manifest.fingerprint,
        engine=state.engine,
        finished=state.finished,
        running=is_being_worked_at(path),
        n_regions=state.n_regions,
        n_parts=len(state.parts),
        n_undecided=len(state.undecided),
        subtrees_done=state.n_numbered - len(state.open),
        subtrees_open=len(state.open),
        subtrees_failed=len(state.failed),
        fraction=state.fraction,
        expected=expected,
        rate=rate,
        seconds_left=left,
        seconds=state.seconds,
        elapsed=state.elapsed,
        n_sessions=state.n_sessions,
        memory=line.get("memory"),
        last_line=max(time.time() - line["time"], 0.0) if "time" in line else None,
    )

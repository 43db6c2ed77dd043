"""A progress display for work of unknown length, silent for the first second."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from math import exp, inf
from threading import Event, Lock, Thread, Timer
from time import monotonic
from typing import Any, NamedTuple, Protocol

__all__ = ["Forecast", "Update", "duration", "ends_sooner", "expected_total", "track", "warning"]

_PATIENCE_SECONDS = 1.0
# Of calls without a bar: how often to look, when to say something, and how long to be silent then.
_LOOK_SECONDS, _SILENT_SECONDS, _SAID_SECONDS = 2.0, 10.0, 60.0
_HOPELESS_SECONDS = 3600.0
# What is only guessed from the first part of a search is said where it is wrong by no factor that is likely.
_HOPELESS_GUESS_SECONDS = 1e9
# When to ask again for a forecast that there was none of: after so many times as long.
_LATER = 2.0
# Standard errors below an estimate where the truth surely is, in its logarithm.
_SURE = 3.0
# A forecast whose standard error is a larger part of it is not worth saying.
_UNCERTAIN = 0.5
# The part of the work after which the forecast counts as much as what was found so far.
_EQUAL_WEIGHTS = 0.05
# What ends a search sooner, as a caller in Python does it.
_WAYS = "a smaller box, a slice (Network.restrict), regions_near, max_regions"
_UNITS = (("years", 31_557_600.0), ("days", 86_400.0), ("hours", 3600.0), ("minutes", 60.0))


class Forecast(NamedTuple):
    """How many items to expect: by random probes with their standard error, or guessed from what is done (None)."""

    n: float
    standard_error: float | None

    @property
    def at_least(self) -> float:
        """A number that is surely, or for a guess probably, not more than the truth."""
        return self.n if self.standard_error is None else self.n * exp(-_SURE * self.standard_error / max(self.n, 1.0))

    @property
    def certain(self) -> bool:
        """Whether it is worth showing as a total."""
        return self.standard_error is not None and self.standard_error <= _UNCERTAIN * self.n


class Update(Protocol):
    """Reports the state of the work."""

    def __call__(self, count: int, fraction: float, note: str = "") -> None:
        """Show `count` items so far, the `fraction` of the work that is done, and what else there is to say."""


@contextmanager
def track(
    description: str,
    unit: str,
    *,
    enabled: bool,
    forecast: Callable[[], Forecast | None] = lambda: None,
    warns: bool = True,
) -> Iterator[Update]:
    """Show a bar on standard error for work that takes more than a second.

    The bar appears even if nothing was reported by then, on a terminal. `forecast` is asked at the first report after
    that, and as long as there is none again after twice the time; one that is uncertain by more than half is not shown,
    and the others count less the more of the work is done. Where the work will take hours, a line says so, once, on
    standard error, whether that is a terminal or not, unless the caller does (`warns` False). Without a bar, not wanted
    or for want of a terminal, a line says after ten seconds, and once a minute at most, what is going on; not if
    `TROPNET_QUIET` is set. Time in which kernels are compiled does not count. Without a unit no number is said.

    Examples
    --------
    >>> with track("counting", "regions", enabled=False) as update:
    ...     update(1, 0.5)
    """
    if not enabled:
        with _watched(_Call(description, unit, is_seen=False)) as call:
            yield call.update
        return
    # Imported where it is used: a search without a bar need not wait for it.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]:,}{task.fields[expected]} " + unit),
        TextColumn("{task.fields[rate]:,.0f}/s"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        TextColumn("{task.fields[note]}"),
    )
    # Whatever colours are asked for, a bar is for a person who looks.
    console = Console(stderr=True, force_terminal=sys.stderr is not None and sys.stderr.isatty())
    enabled = console.is_terminal or console.is_jupyter
    display = Progress(*columns, console=console, transient=True, disable=not enabled)
    bar = display.add_task(description, total=1.0, count=0, rate=0.0, expected="", left="", note="")
    begin = time.monotonic()
    first: tuple[float, int] | None = None
    shown = False
    lock = Lock()
    silent = _Call(description, unit, is_seen=True)
    expected: Forecast | None = None
    next_look: float = begin + _PATIENCE_SECONDS

    def show() -> None:
        nonlocal shown
        with lock:
            if not shown:
                display.start()
                shown = True

    # Nothing may have been found for long.
    timer = Timer(_PATIENCE_SECONDS, show)
    timer.daemon = True

    def update(count: int, fraction: float, note: str = "") -> None:
        nonlocal first, expected, next_look
        silent.update(count, fraction)
        now = time.monotonic()
        if first is None:
            # What comes before the first items, such as compiling, says nothing of the pace.
            first = now, count
        paced = now > first[0] and count > first[1]
        rate = (count - first[1]) / (now - first[0]) if paced else count / max(now - begin, 1e-9)
        if now > next_look and enabled:
            show()
        # The first items come with what precedes them, so that they say nothing of the pace either.
        if now > next_look and (paced or not count):
            found = forecast()
            next_look = (
                inf if found is not None and found.standard_error is not None else begin + _LATER * (now - begin)
            )
            expected = found if found is not None and found.certain else None
            if warns and found is not None and _is_hopeless(found, count, rate, now - begin):
                console.print(warning(found, unit, rate), soft_wrap=True)
                next_look = inf
        total = expected_total(count, fraction, expected)
        display.update(
            bar,
            completed=fraction if total is None else min(count / max(total, 1.0), 0.99),
            count=count,
            rate=rate,
            expected=f" of about {total:,.2g}" if total is not None and fraction < 1 else "",
            left=f"about {duration((total - count) / max(rate, 1e-9))} left"
            if total is not None and now - begin > _PATIENCE_SECONDS
            else "",
            note=note,
        )

    try:
        if enabled:
            timer.start()
        # Who warns says how far the work is, too.
        with _watched(silent) if warns and not enabled else nullcontext():
            yield update
    finally:
        timer.cancel()
        with lock:
            if shown:
                display.stop()
            shown = True


def _is_hopeless(found: Forecast, count: int, rate: float, seconds: float) -> bool:
    """Return whether the work surely takes hours, or, if that is a guess, years."""
    left = found.at_least / (rate if count else 1 / seconds)
    return left > (_HOPELESS_SECONDS if found.standard_error is not None else _HOPELESS_GUESS_SECONDS)


def expected_total(count: int, fraction: float, expected: Forecast | None) -> float | None:
    """Return how many items to expect in all, or None where nothing is known well enough.

    At the beginning what was forecast; the more of the work is done, the more what its fraction so far says. They are
    given equal weight at a twentieth.

    Examples
    --------
    >>> expected_total(0, 0.0, Forecast(1e6, 1e5)), round(expected_total(500, 0.5, Forecast(1e6, 1e5)), -2)
    (1000000.0, 1900.0)
    >>> expected_total(10, 0.01, None), expected_total(500, 0.5, None)
    (None, 1000.0)
    """
    if fraction >= 1:
        return float(count)
    weight = fraction / (fraction + _EQUAL_WEIGHTS)
    if not count or fraction <= 0:
        return None if expected is None else max(expected.n, float(count))
    if expected is None:
        return count / fraction if fraction >= _EQUAL_WEIGHTS else None
    return max(float(expected.n ** (1 - weight) * (count / fraction) ** weight), float(count))


def warning(expected: Forecast, unit: str, rate: float) -> str:
    """Return a line for a run that will take hours or more: the number as an estimate, the time by its size only.

    Examples
    --------
    >>> warning(Forecast(2.1e9, 3e8), "regions", 5e3)  # doctest: +ELLIPSIS
    'Random probes expect about 2.1e+09 +- 3e+08 regions, which takes days at this pace; ...'
    >>> warning(Forecast(1e300, None), "regions", 0.0)  # doctest: +ELLIPSIS
    'By the part searched so far there are far more than 1e+15 regions, which takes years at this pace; ...'
    """
    if expected.standard_error is None:
        number = f"By the part searched so far there are far more than {min(expected.n / 1e3, 1e15):.0g} {unit}"
    elif expected.certain:
        number = f"Random probes expect about {expected.n:.2g} +- {expected.standard_error:.1g} {unit}"
    else:
        number = f"Random probes expect more than {expected.at_least:.1g} {unit}"
    seconds = expected.at_least / max(rate, 1e-9)
    size = next((name for name, size in _UNITS if seconds >= 2 * size), "hours")
    return (
        f"{number}, which takes {size} at this pace; the bar corrects that as it goes. Ctrl-C stops and keeps what is"
        f" found.{_sooner('; how many there are, estimate_regions tells' if _ways == _WAYS else '')}"
    )


def duration(seconds: float) -> str:
    """Write a number of seconds in the largest unit that it fills.

    Examples
    --------
    >>> duration(7200.0)
    '2 hours'
    """
    for name, size in _UNITS:
        if seconds >= 2 * size or (seconds >= size and size == 60.0):
            return f"{seconds / size:.3g} {name}"
    return "1 second" if round(seconds) == 1 else f"{seconds:.0f} seconds"


_ways = _WAYS


@contextmanager
def ends_sooner(ways: str) -> Iterator[None]:
    """Let the lines that are written in the block name other ways to end a search sooner; an empty text for none.

    Examples
    --------
    >>> with ends_sooner("a smaller --box"):
    ...     print(warning(Forecast(2.1e9, 3e8), "regions", 5e3).rpartition("found. ")[2])
    What ends sooner: a smaller --box.
    """
    global _ways
    before, _ways = _ways, ways
    try:
        yield
    finally:
        _ways = before


def _sooner(more: str = "") -> str:
    return f" What ends sooner: {_ways}{more}." if _ways else ""


class _Call:
    """A call that shows nothing: what it does, and how far it is; whether a bar was wanted."""

    def __init__(self, description: str, unit: str, *, is_seen: bool) -> None:
        self.description, self.unit, self.is_seen, self.count = description, unit, is_seen, 0
        self.begin, self.compiling = monotonic(), _COMPILING.so_far()

    def update(self, count: int, fraction: float, note: str = "") -> None:  # noqa: ARG002 -- as `Update`
        """Note how many items there are."""
        self.count = count

    def seconds(self) -> float:
        """Return how long the call lasts, without compiling."""
        return monotonic() - self.begin - (_COMPILING.so_far() - self.compiling)


class _Compiling:
    """How long kernels were compiled, as numba tells; it tells only once it is there."""

    def __init__(self) -> None:
        self._seconds, self._depth, self._since, self._listens = 0.0, 0, 0.0, False

    def listen(self) -> None:
        """Have numba tell, if something has imported it."""
        if not self._listens and "numba" in sys.modules:
            from numba.core import event

            class Listener(event.Listener):  # type: ignore[misc]
                on_start = staticmethod(self._start)
                on_end = staticmethod(self._stop)

            self._listens = True
            event.register("numba:compile", Listener())

    def _start(self, _event: Any) -> None:
        self._since = self._since if self._depth else monotonic()
        self._depth += 1

    def _stop(self, _event: Any) -> None:
        # One compilation may be in another.
        if self._depth:
            self._depth -= 1
            self._seconds += 0.0 if self._depth else monotonic() - self._since

    def so_far(self) -> float:
        """Return the seconds."""
        return self._seconds + (monotonic() - self._since if self._depth else 0.0)


_COMPILING = _Compiling()


@contextmanager
def _watched(call: _Call) -> Iterator[_Call]:
    _COMPILING.listen()
    _WATCH.begin(call)
    try:
        yield call
    finally:
        _WATCH.end(call)


class _Watch:
    """Says of calls that show nothing, once a minute at most, that they take long: one thread, asleep until then."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._thread: Thread | None = None
        self._said = -inf
        self._asleep = Event()  # nobody sets it

    def begin(self, call: _Call) -> None:
        """Watch a call."""
        self._calls.append(call)
        # A thread does not survive a fork.
        if self._thread is None or not self._thread.is_alive():
            self._thread = Thread(target=self._run, daemon=True, name="tropnet-watch")
            self._thread.start()

    def end(self, call: _Call) -> None:
        """Watch a call no more."""
        with suppress(ValueError):
            self._calls.remove(call)

    def _run(self) -> None:
        while True:
            self._asleep.wait(_LOOK_SECONDS)
            now = monotonic()
            late = [call for call in self._calls[:1] if call.seconds() > _SILENT_SECONDS]
            if late and now - self._said > _SAID_SECONDS:
                self._said = now
                _say(late[0])


def _say(call: _Call) -> None:
    """Write a line on standard error, not if `TROPNET_QUIET` is set."""
    if sys.stderr is not None and not os.environ.get("TROPNET_QUIET"):
        so_far = f", {call.count:,} {call.unit} so far" if call.unit else ""
        bar = "; progress=True shows how it goes" if _ways == _WAYS and not call.is_seen and call.unit else ""
        end = _sooner() if call.unit else ""
        sys.stderr.write(f"tropnet: {call.description} for {call.seconds():.0f} s{so_far}{bar}.{end}\n")
        sys.stderr.flush()


_WATCH = _Watch()

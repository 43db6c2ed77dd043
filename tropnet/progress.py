"""A progress display for work of unknown length, silent for the first second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["Update", "duration", "track"]

_PATIENCE_SECONDS = 1.0
_HOPELESS_SECONDS = 3600.0
_UNITS = (("years", 31_557_600.0), ("days", 86_400.0), ("hours", 3600.0), ("minutes", 60.0))


class Update(Protocol):
    """Reports the state of the work."""

    def __call__(self, count: int, fraction: float) -> None:
        """Show `count` items so far and the `fraction` of the work that is done."""


@contextmanager
def track(
    description: str, unit: str, *, enabled: bool, forecast: Callable[[], float | None] = lambda: None
) -> Iterator[Update]:
    """Show a bar on standard error for work that takes more than a second.

    `forecast` is asked once, when the bar appears, for the number of items to expect; it gives the time left.

    Examples
    --------
    >>> with track("counting", "regions", enabled=False) as update:
    ...     update(1, 0.5)
    """
    if not enabled:
        yield _silent
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]:,}{task.fields[expected]} " + unit),
        TextColumn("{task.fields[rate]:,.0f}/s"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )
    console = Console(stderr=True)
    enabled = console.is_terminal or console.is_jupyter
    display = Progress(*columns, console=console, transient=True, disable=not enabled)
    bar = display.add_task(description, total=1.0, count=0, rate=0.0, expected="", left="")
    begin = time.monotonic()
    shown = False
    expected: float | None = None

    def update(count: int, fraction: float) -> None:
        nonlocal shown, expected
        elapsed = time.monotonic() - begin
        rate = count / max(elapsed, 1e-9)
        if enabled and not shown and elapsed > _PATIENCE_SECONDS:
            expected = forecast()
            left = (expected or 0.0) / max(rate, 1e-9)
            if left > _HOPELESS_SECONDS:
                console.print(
                    f"About {expected:.2g} {unit}: {duration(left)} at {rate:,.0f}/s. Ctrl-C stops and keeps what is"
                    " found; a smaller domain or max_regions shortens the run."
                )
            display.start()
            shown = True
        if expected:
            fraction = min(count / expected, 0.99)
        left = elapsed * (1 / fraction - 1) if fraction > 0 else 0.0
        display.update(
            bar,
            completed=fraction,
            count=count,
            rate=rate,
            expected=f" of about {expected:,.3g}" if expected else "",
            left=f"about {duration(left)} left" if shown else "",
        )

    try:
        yield update
    finally:
        if shown:
            display.stop()


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
    return f"{seconds:.0f} seconds"


def _silent(count: int, fraction: float) -> None:
    pass

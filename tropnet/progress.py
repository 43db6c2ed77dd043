"""A progress display for work of unknown length, silent for the first second."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["Update", "track"]

_PATIENCE_SECONDS = 1.0


class Update(Protocol):
    """Reports the state of the work."""

    def __call__(self, count: int, fraction: float) -> None:
        """Show `count` items so far and the `fraction` of the work that is done."""


@contextmanager
def track(description: str, unit: str, *, enabled: bool) -> Iterator[Update]:
    """Show a bar on standard error for work that takes more than a second.

    Examples
    --------
    >>> with track("counting", "regions", enabled=False) as update:
    ...     update(1, 0.5)
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} % of the tree"),
        TextColumn("{task.fields[count]:,} " + unit),
        TextColumn("{task.fields[rate]:,.0f}/s"),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    enabled = enabled and (console.is_terminal or console.is_jupyter)
    display = Progress(*columns, console=console, transient=True, disable=not enabled)
    bar = display.add_task(description, total=1.0, count=0, rate=0.0)
    begin = time.monotonic()
    shown = False

    def update(count: int, fraction: float) -> None:
        nonlocal shown
        elapsed = time.monotonic() - begin
        if enabled and not shown and elapsed > _PATIENCE_SECONDS:
            display.start()
            shown = True
        display.update(bar, completed=fraction, count=count, rate=count / max(elapsed, 1e-9))

    try:
        yield update
    finally:
        if shown:
            display.stop()

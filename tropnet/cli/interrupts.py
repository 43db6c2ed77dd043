"""Ctrl-C: what it leaves alone, what it leaves behind, and the exit code that tells of it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import IO, Any

import click

__all__ = ["INTERRUPTED", "Interrupted", "interrupted_as", "one_interrupt"]

INTERRUPTED = 130


class Interrupted(click.ClickException):
    """A Ctrl-C, and what it left behind."""

    exit_code = INTERRUPTED

    def __init__(self, left: str = "") -> None:
        super().__init__(f"interrupted; {left}" if left else "interrupted")

    def show(self, file: IO[Any] | None = None) -> None:
        """Say so in a line."""
        click.echo(f"tropnet: {self.format_message()}", file=file, err=file is None)


@contextmanager
def interrupted_as(left: str) -> Iterator[None]:
    """Say of a Ctrl-C in the block what it has left."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(left) from None


@contextmanager
def one_interrupt() -> Iterator[None]:
    """Let the first Ctrl-C raise KeyboardInterrupt here, and ignore further ones, until the block is left."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        click.echo("tropnet: stopping; what was found is written first", err=True)
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

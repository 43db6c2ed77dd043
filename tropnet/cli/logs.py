"""What long runs say while they go on: lines for people or, as JSON, for programs, on standard error."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

__all__ = ["log_of_run"]


class _Lines(logging.Handler):
    """Writes a line for every record; as JSON its values, or its text."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self.as_json = as_json

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        text = record.getMessage()
        if self.as_json:
            text = json.dumps({"level": record.levelname.lower(), **getattr(record, "record", {"message": text})})
        click.echo(text if self.as_json else f"tropnet: {text}", err=True)


@contextmanager
def log_of_run(out: str | None, *, as_json: bool, quiet: bool) -> Iterator[None]:
    """Print what a run logs: with JSON every line; for people what a bar on their terminal does not show."""
    if out is None:
        yield
        return
    logger, handler = logging.getLogger("tropnet.runs"), _Lines(as_json=as_json)
    shown = logging.INFO if as_json or not sys.stderr.isatty() else logging.WARNING
    handler.setLevel(logging.WARNING if quiet else shown)
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]

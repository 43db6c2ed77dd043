"""What goes to standard error beside the answer: --quiet, --verbose, and what long runs say while they go on."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

__all__ = ["is_verbose", "log_of_run", "quiet_option", "shows_progress", "verbose_option"]

# Which also tells the progress of the library, and what compiles kernels, to be silent.
_QUIET = "TROPNET_QUIET"
_VERBOSE = "tropnet.verbose"


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


def _be_quiet(context: click.Context, _option: click.Parameter, quiet: bool) -> None:
    if quiet and is_verbose(context):
        raise click.UsageError("--quiet and --verbose contradict each other; give one.", context)
    if quiet and shows_progress():
        os.environ[_QUIET] = "1"
        context.find_root().call_on_close(lambda: os.environ.pop(_QUIET, None))


def _be_verbose(context: click.Context, _option: click.Parameter, verbose: bool) -> None:
    """Let the library's loggers print, until the command ends."""
    if not verbose:
        return
    context.meta[_VERBOSE] = True
    logger, handler = logging.getLogger("tropnet"), _Lines(as_json=False)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)

    @context.find_root().call_on_close  # which is closed whatever happens
    def stop() -> None:
        logger.removeHandler(handler)
        logger.setLevel(before)


quiet_option = click.option(
    "--quiet", "-q", is_flag=True, expose_value=False, callback=_be_quiet, help="Print the answer and errors only."
)
verbose_option = click.option(
    "--verbose",
    "-v",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_be_verbose,
    help="Say on standard error what is decided: engines, subtrees, where errors come from.",
)


def shows_progress() -> bool:
    """Return whether progress is wanted; it is shown where standard error is a terminal."""
    return not os.environ.get(_QUIET)


def is_verbose(context: click.Context) -> bool:
    """Return whether --verbose was given."""
    return bool(context.meta.get(_VERBOSE))


@contextmanager
def log_of_run(out: str | None, *, as_json: bool) -> Iterator[None]:
    """Print what a run logs: with JSON every line; for people what a bar on their terminal does not show."""
    if out is None:
        yield
        return
    logger, handler = logging.getLogger("tropnet.runs"), _Lines(as_json=as_json)
    shown = logging.INFO if as_json or not sys.stderr.isatty() else logging.WARNING
    if is_verbose(click.get_current_context()):
        shown = logging.DEBUG
    handler.setLevel(shown if shows_progress() else logging.WARNING)
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(min(shown, logging.INFO))
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]

"""Texts of help as pages: lines to paste are code, which no typography changes, and so is what stands in backticks."""

from __future__ import annotations

import re
from itertools import groupby

import click
from sphinx.application import Sphinx

_MARK = "| "  # of the lines of a block that click does not wrap, by sphinx-click


def as_code(_app: Sphinx, _context: click.Context, lines: list[str]) -> None:
    """Rewrite the lines of a description in place."""
    written: list[str] = []
    for in_block, group in groupby(lines, key=lambda line: line.startswith(_MARK)):
        block = [line.removeprefix(_MARK) for line in group]
        if in_block:
            heading = [block.pop(0)] if block[0].endswith(":") else []
            written += [*heading, "", "::", "", *(f"   {line}" for line in block), ""]
        else:
            written += [re.sub(r"`([^`]+)`", r"``\1``", line) for line in block]
    lines[:] = written


def setup(app: Sphinx) -> dict[str, bool]:
    """Listen to sphinx-click."""
    app.setup_extension("sphinx_click")
    app.connect("sphinx-click-process-description", as_code)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

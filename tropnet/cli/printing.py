"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from tropnet.arrays.types import FloatArray

__all__ = ["MANY_DIGITS", "print_json", "print_table", "vector"]

# Longer vectors are cut, to fewer entries, so that a table of two of them fits on a screen.
_MANY_COLUMNS, _FEW_COLUMNS = 4, 3
# Of a table: how narrow a column may become whose entries are broken, and what the frame adds to a column.
_FOLDED, _FRAME = 12, 3
MANY_DIGITS = 4_000  # Python itself, like many readers of JSON, refuses to write longer integers by default


def print_table(names: Sequence[str], rows: Sequence[Sequence[str]], *, folds: str = "") -> None:
    """Print a table; where a terminal is too narrow for one, each of its rows in lines of their own.

    Entries of the column `folds` are broken where they are long. Where the output is no terminal it is as wide as its
    entries are.
    """
    from rich.console import Console
    from rich.table import Column, Table

    # Piped output is not cut to the width of a terminal that is not there.
    console = Console(width=None if sys.stdout is not None and sys.stdout.isatty() else 10_000)
    columns = zip(names, *rows, strict=True)
    widths = [max(len(line) for entry in column for line in entry.splitlines()) for column in columns]
    least = [min(width, _FOLDED) if name == folds else width for name, width in zip(names, widths, strict=True)]
    with console.capture() as capture:
        if sum(least) + _FRAME * len(names) + 1 <= console.width:
            table = Table(*(Column(name, overflow="fold", no_wrap=name != folds) for name in names))
            for row in rows:
                table.add_row(*row)
            console.print(table)
        else:
            for row in rows:
                for name, entry in zip(names, row, strict=True):
                    console.print(f"{name}: {entry}", soft_wrap=True, markup=False, highlight=False)
                console.print()
    click.echo(capture.get(), nl=False, color=console.color_system is not None)


def print_json(record: dict[str, Any]) -> None:
    """Print a record as JSON that every reader takes."""
    click.echo(json.dumps(_finite(record), indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    """Write infinities and NaN, which JSON has not, as null."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def vector(values: FloatArray) -> str:
    """Write a vector in a few digits, and of a long one the beginning."""
    many = len(values) > _MANY_COLUMNS
    shown = [f"{value:.4g}" for value in (values[:_FEW_COLUMNS] if many else values)]
    return ", ".join(shown + ["..."] * many)

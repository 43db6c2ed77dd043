"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.table import Table

    from tropnet.arrays.types import FloatArray

__all__ = ["MANY_DIGITS", "print_json", "print_table", "vector"]

# Longer vectors are cut, to fewer entries, so that a table of two of them fits on a screen.
_MANY_COLUMNS, _FEW_COLUMNS = 4, 3
MANY_DIGITS = 4_000  # Python itself, like many readers of JSON, refuses to write longer integers by default


def print_table(table: Table) -> None:
    """Print a table, in its full width where the output is no terminal."""
    from rich.console import Console

    console = Console()
    # Piped output is not cut to the width of a terminal that is not there.
    Console(width=None if console.is_terminal else 10_000).print(table)


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

"""`tropnet verify`: whether a network satisfies a property in a VNN-LIB file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import click

import tropnet as tn
from tropnet.cli.interrupts import interrupted_as
from tropnet.cli.logs import shows_progress
from tropnet.cli.options import network_argument, output_options, workers_option
from tropnet.cli.printing import MANY_DIGITS, print_json

__all__ = ["UNKNOWN", "VIOLATED", "verify"]

VIOLATED, UNKNOWN = 3, 4
_CODES = {"holds": 0, "violated": VIOLATED, "unknown": UNKNOWN}
_COMPETITION = {"holds": "unsat", "violated": "sat", "unknown": "timeout"}


class _Seconds(click.FloatRange):
    """A time limit."""

    name = "number of seconds"


@click.command()
@network_argument
@click.argument("source", metavar="PROPERTY", type=click.Path(dir_okay=False))
@click.option("--time-limit", type=_Seconds(min=0), metavar="SECONDS", help="Stop after so many seconds.")
@workers_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "vnncomp"]),
    default="text",
    show_default=True,
    help="vnncomp: as the verification competitions take results.",
)
@output_options
def verify(
    path: str,
    reading: dict[str, Any],
    source: str,
    time_limit: float | None,
    workers: int,
    form: str,
    as_json: bool,
) -> None:
    """Decide whether NET satisfies PROPERTY, a VNN-LIB file (.vnnlib), exactly.

    The file describes the inputs that break the property. Exit codes: 0 the property holds, 3 it is violated, 4 it is
    unknown, as time ran out or for another reason that is named; 1 and 2 are errors, as of all commands.

    \b
    Examples:
      tropnet verify phi_1.npz phi_1.vnnlib
      tropnet verify phi_1.npz phi_1.vnnlib --json
      tropnet verify phi_1.npz phi_1.vnnlib --format vnncomp --time-limit 60
    """
    if as_json and form == "vnncomp":
        raise click.UsageError("--json and --format vnncomp are two ways to print; give one.")
    net = tn.load(path, **reading)
    statement = tn.read_vnnlib(source)
    with interrupted_as("there is no verdict; --time-limit SECONDS ends with what is left of the search"):
        verdict = tn.verify(net, statement, time_limit=time_limit, workers=workers, progress=shows_progress())
    found = verdict.counterexample
    again = None if found is None or reading else _by_onnxruntime(path, statement, found)
    if as_json:
        print_json(_record(path, source, verdict, again))
    elif form == "vnncomp":
        click.echo(_COMPETITION[verdict.status])
        if found is not None:
            click.echo(f"({_assignments(found, chr(10))})")
    else:
        click.echo(f"{verdict.status}: {_explained(verdict, again)}")
        if found is not None:
            click.echo(_assignments(found, "\n"))
    sys.exit(_CODES[verdict.status])


def _explained(verdict: tn.Verdict, again: dict[str, Any] | None) -> str:
    """Say in a line what a verdict rests on."""
    seconds = f"{verdict.seconds:.2f} s"
    if verdict.status == "unknown":
        rest = ", ".join(f"{each.left:.0%} of {each.domain}" for each in verdict.remaining[:3])
        more = ", ..." if len(verdict.remaining) > 3 else ""
        return f"{verdict.reason}, {seconds}; left of the search: {rest}{more}"
    if verdict.status == "holds":
        if not verdict.n_cases:
            return "no input satisfies the bounds that the property names"
        n = verdict.n_regions
        how = f"bounds left {n} region{'' if n == 1 else 's'} to look at" if n else "proved by bounds alone"
        return f"no input breaks it ({how}; {seconds})"
    found = verdict.counterexample
    if found is None:
        return f"an input breaks it (exactly; {seconds})"
    tried = [("float64", found.confirmed)] + ([] if again is None else [("onnxruntime", again["confirmed"])])
    if found.x == tuple(map(Fraction, found.point.tolist())):
        told = [f"{'also' if breaks else 'but NOT'} in {where}" for where, breaks in tried]
        return f"the input below breaks it ({'; '.join(['exactly', *told, seconds])})"
    told = [f"{'does' if breaks else 'does NOT'} in {where}" for where, breaks in tried]
    return f"an input next to the one below breaks it (exactly; the one below {', '.join(told)}; {seconds})"


def _assignments(found: tn.Counterexample, separator: str) -> str:
    """Return the float64 input and outputs as lists of names and values."""
    names = [("X", i, value) for i, value in enumerate(found.point.tolist())]
    names += [("Y", j, value) for j, value in enumerate(found.values.tolist())]
    return separator.join(f"({kind}_{i} {value!r})" for kind, i, value in names)


def _by_onnxruntime(path: str, statement: tn.Property, found: tn.Counterexample) -> dict[str, Any] | None:
    """Return what onnxruntime gives at a float64 input, and whether that breaks the property, of an ONNX model."""
    if not path.lower().endswith(".onnx"):
        return None
    from tropnet.importers.onnx.runtime import outputs_by_onnxruntime

    outputs = outputs_by_onnxruntime(path, found.point)
    values = None if outputs is None or len(outputs) != len(found.values) else outputs.tolist()
    if values is None:
        return None
    x, y = (tuple(map(Fraction, part)) for part in (found.point.tolist(), values))
    return {"outputs": values, "confirmed": statement.formula.holds(x, y)}


def _record(path: str, source: str, verdict: tn.Verdict, again: dict[str, Any] | None) -> dict[str, Any]:
    found = verdict.counterexample
    return {
        "network": path,
        "property": source,
        "status": verdict.status,
        "reason": verdict.reason,
        "counterexample": None
        if found is None
        else {
            "x": found.point.tolist(),
            "y": found.values.tolist(),
            "confirmed": found.confirmed,
            "exact_x": _digits(found.x),
            "exact_y": _digits(found.y),
            "onnxruntime": again,
        },
        "n_cases": verdict.n_cases,
        "n_regions": verdict.n_regions,
        "n_solved": verdict.n_solved,
        "remaining": [{"domain": each.domain.description, "left": each.left} for each in verdict.remaining],
        "seconds": verdict.seconds,
    }


def _digits(values: Sequence[Fraction]) -> list[str] | None:
    """Return rational numbers as text; None where one has more digits than readers take."""
    most = 10**MANY_DIGITS
    if any(abs(value.numerator) >= most or value.denominator >= most for value in values):
        return None
    return [str(value) for value in values]

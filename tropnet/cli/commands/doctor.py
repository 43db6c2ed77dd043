"""`tropnet doctor`: whether this installation works, and what to do where it does not."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from tropnet.cli.options import output_options
from tropnet.cli.printing import print_json

if TYPE_CHECKING:
    from tropnet.cli.diagnosis import Diagnosis

__all__ = ["doctor"]


@click.command()
@output_options
def doctor(as_json: bool) -> None:
    """Check this installation, and say what to do about what is wrong or missing.

    It shows versions, extras, cores, memory, disk, and where compiled code is kept, and counts the regions of a tiny
    network with each engine; where that compiles for the first time it takes up to a minute, which later commands are
    spared. Exit code 1 tells of a fault. A missing extra is none.

    \b
    Examples:
      tropnet doctor
      tropnet doctor --json
    """
    from tropnet.cli.diagnosis import diagnose

    found = diagnose()
    if as_json:
        print_json(asdict(found))
    else:
        click.echo("\n".join(_lines(found)))
    for fault in found.faults:
        click.echo(f"tropnet: {fault}", err=True)
    sys.exit(1 if found.faults else 0)


def _lines(found: Diagnosis) -> list[str]:
    from tropnet.cli.diagnosis import FOR_DEVELOPMENT

    extras = {name: extra for name, extra in found.extras.items() if name not in FOR_DEVELOPMENT}
    lines = _section("versions", found.versions | {name: v or "missing" for name, v in found.dependencies.items()})
    lines += _section("extras", {name: _extra(extra) for name, extra in extras.items()})
    lines += _section("machine", _machine(found.machine))
    if found.cache:
        cache = found.cache
        lines += _section(
            "compiled",
            {
                "in": cache["directory"],
                "size": f"{cache['bytes'] / 1e6:.1f} MB, {cache['compiled']} of {cache['kernels']} kernels",
                "writable": "yes" if cache["writable"] else "no",
            },
        )
    lines += _section("engines", {name: _engine(engine) for name, engine in found.engines.items()})
    n = len(found.faults)
    return [*lines, "", f"{n} fault{'s' if n > 1 else ''}:" if n else "All is well."]


def _section(title: str, rows: dict[str, Any]) -> list[str]:
    return [f"{title if not i else '':10} {name:12} {value}" for i, (name, value) in enumerate(rows.items())]


def _extra(extra: dict[str, Any]) -> str:
    if extra["install"]:
        return f"not installed: {extra['install']}"
    return ", ".join(f"{name} {version}" for name, version in extra["packages"].items())


def _machine(machine: dict[str, Any]) -> dict[str, str]:
    memory = machine["memory_available"]
    rows = {
        "cores": f"{machine['cores']} (--workers {machine['cores']} uses them all)",
        "memory": "unknown" if memory is None else f"{memory / 1e9:.1f} GB free",
        "disk": f"{machine['disk_free'] / 1e9:.1f} GB free in {machine['directory']}",
    }
    return rows | {name: f"is set to '{value}'" for name, value in machine["environment"].items()}


def _engine(engine: dict[str, Any]) -> str:
    state = "works" if engine["works"] else "FAILS"
    kept = {True: ", compiled before", False: ", compiled now", None: ""}[engine["compiled_before"]]
    return f"{state}{kept}, {engine['seconds']:.2f} s"

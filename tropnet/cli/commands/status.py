"""`tropnet status`: how far a run in a directory is."""

from __future__ import annotations

from dataclasses import asdict

import click

from tropnet.cli.options import output_options
from tropnet.cli.printing import print_json
from tropnet.progress import duration

__all__ = ["status"]


@click.command()
@click.argument("run", metavar="RUN", type=click.Path())
@output_options
def status(run: str, as_json: bool) -> None:
    """Say how far a run is: RUN, the directory that `count` or `regions` was given as --out.

    It only reads, and does not disturb a process that works at the run.

    \b
    Examples:
      tropnet count phi_1.npz --out run/
      tropnet status run/
      tropnet status run/ --json
    """
    from tropnet.regions.runs.status import status_of

    found = status_of(run)
    if as_json:
        print_json({"run": run, **asdict(found)})
        return
    state = "finished" if found.finished else "running" if found.running else "stopped; the same call goes on"
    done, left, memory = f"{100 * found.fraction:.3g} % of the tree", "", ""
    if found.expected is not None and not found.finished:
        done += f", about {found.expected:,.3g} regions expected"
    if found.seconds_left is not None and not found.finished:
        left = f", about {duration(found.seconds_left)} left"
    if found.memory is not None:
        memory = f", {found.memory / 2**20:,.0f} MB"
    parts = f" in {found.n_parts:,} part{'s' if found.n_parts != 1 else ''}" if found.kind == "regions" else ""
    rate = "" if found.rate is None else f", {found.rate:,.0f}/s in the last session"
    failed = f", {found.subtrees_failed:,} failed" if found.subtrees_failed else ""
    undecided = f", {found.n_undecided:,} undecided" if found.n_undecided else ""
    lines = [
        f"run        {run} ({found.kind}, {found.fingerprint[:16]}, engine {found.engine}): {state}",
        f"regions    {found.n_regions:,}{parts}{rate}",
        f"done       {done}{left}",
        f"subtrees   {found.subtrees_done:,} done, {found.subtrees_open:,} open{failed}{undecided}",
        f"time       {duration(found.elapsed)} in {found.n_sessions:,} session{'s' if found.n_sessions != 1 else ''},"
        f" {duration(found.seconds)} of work{memory}",
    ]
    click.echo("\n".join(lines))

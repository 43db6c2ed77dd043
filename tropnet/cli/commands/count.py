"""`tropnet count`: the number of activation regions."""

from __future__ import annotations

import sys
from typing import Any

import click

import tropnet as tn
from tropnet.cli.interrupts import INTERRUPTED
from tropnet.cli.logs import log_of_run
from tropnet.cli.options import domain_of, network_argument, search_options
from tropnet.cli.printing import print_json

__all__ = ["count"]


@click.command()
@network_argument
@search_options
@click.option(
    "--out",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Keep the run in this directory: killed at any moment, the same command goes on from there.",
)
def count(
    path: str,
    reading: dict[str, Any],
    box: tuple[str, str] | None,
    max_regions: int | None,
    as_json: bool,
    search: dict[str, Any],
    out: str | None,
) -> None:
    """Count the activation regions of NET.

    An activation region is the set of points with one activation pattern; it counts iff it has interior. The count is
    exact for the stored network. With --out, lines on standard error say how the run goes, as JSON with --json;
    `tropnet status DIR` says it at any time.

    \b
    Examples:
      tropnet count phi_1.npz
      tropnet count phi_1.npz --box -10 10 --json
      tropnet count phi_1.npz --box -10,0 10,5
      tropnet count phi_1.npz --out run/
    """
    net = tn.load(path, **reading)
    domain = domain_of(box, net)
    # One more than asked for tells a count that stopped from one that ended there.
    limit = None if max_regions is None else max_regions + 1
    interrupted = False
    with log_of_run(out, as_json=as_json):
        try:
            n = tn.count_regions(net, domain, max_regions=limit, out=out, **search)
        except tn.EnumerationInterrupted as interrupt:
            n, interrupted = interrupt.partial, True
    at_least = interrupted or n == limit
    n = n - 1 if n == limit else n
    if as_json:
        print_json(
            {
                "network": path,
                "domain": domain.description,
                "n_activation_regions": n,
                "complete": not at_least,
                **({} if out is None else {"run": out}),
            }
        )
    else:
        click.echo(f"{'at least ' if at_least else ''}{n} activation regions of {net} in {domain}")
    if interrupted:
        kept = "" if out is None else f"; the run in {out} keeps it, and the same command goes on"
        click.echo(f"tropnet: interrupted; the count is a lower bound{kept}", err=True)
        sys.exit(INTERRUPTED)

"""`tropnet check`: whether a certificate proves what it states."""

from __future__ import annotations

from typing import Any

import click

import tropnet as tn
from tropnet.cli.interrupts import interrupted_as
from tropnet.cli.logs import shows_progress
from tropnet.cli.options import box_option, domain_of, network_argument, output_options
from tropnet.cli.printing import print_json

__all__ = ["check"]


@click.command()
@network_argument
@click.argument("certificate", metavar="CERTIFICATE", type=click.Path())
@box_option
@output_options
def check(path: str, reading: dict[str, Any], certificate: str, box: tuple[str, str] | None, as_json: bool) -> None:
    """Check CERTIFICATE, a file or the directory of its parts, against NET.

    Every row is computed again from the weights of NET, over the integers, by a program that knows no solver and no
    engine. With --box the certificate has to be about that domain; else the output says which one it is about. What is
    not proven, of another network or malformed is refused: exit code 1, and one line that says why.

    \b
    Examples:
      tropnet certify phi_1.npz --box -10 10 -o cert.parquet
      tropnet check phi_1.npz cert.parquet
      tropnet check phi_1.npz cert.parquet --box -10 10 --json
    """
    net = tn.load(path, **reading)
    domain = None if box is None else domain_of(box, net)
    with interrupted_as("nothing is proven"):
        found = tn.check(net, certificate, domain, progress=shows_progress())
    if as_json:
        print_json(
            {
                "network": path,
                "domain": found.domain.description,
                "certificate": certificate,
                "n_activation_regions": found.n_regions,
                "n_linear_regions": found.n_linear_regions,
                "n_facets": found.n_facets,
                "n_implied": found.n_implied,
                "claims": [claim.described() for claim in found.claims],
                "seconds": found.seconds,
            }
        )
        return
    also = "" if found.n_linear_regions is None else f", {found.n_linear_regions} linear regions"
    claims = "".join(f", {claim.described()}" for claim in found.claims)
    click.echo(
        f"proven: {found.n_regions} activation regions{also}{claims} of {net} in {found.domain}"
        f" ({found.n_facets} facets, {found.seconds:.2f} s)"
    )

"""`tropnet certify`: a file that proves that the activation regions are all there are."""

from __future__ import annotations

from typing import Any

import click

import tropnet as tn
from tropnet.cli.interrupts import interrupted_as
from tropnet.cli.logs import shows_progress
from tropnet.cli.options import (
    box_option,
    check_folder,
    domain_of,
    engine_option,
    network_argument,
    not_over,
    output_options,
    workers_option,
)
from tropnet.cli.printing import print_json

__all__ = ["certify"]


@click.command()
@network_argument
@box_option
@click.option("-o", "--out", required=True, type=click.Path(dir_okay=False), metavar="FILE", help="The certificate.")
@click.option("--linear", is_flag=True, help="Certify the number of linear regions, too.")
@click.option(
    "--maximum", type=click.IntRange(min=0), metavar="K", help="Certify the maximum of output K, too (from 0)."
)
@engine_option
@workers_option
@output_options
def certify(
    path: str,
    reading: dict[str, Any],
    box: tuple[str, str] | None,
    out: str,
    linear: bool,
    maximum: int | None,
    engine: str,
    workers: int,
    as_json: bool,
) -> None:
    """Certify the activation regions of NET: find them all, and write a file that proves it.

    `tropnet check` verifies the file from the weights alone, over the integers, without solver or engine.

    \b
    Examples:
      tropnet certify phi_1.npz --box -10 10 -o cert.parquet
      tropnet certify phi_1.npz --box -10 10 -o cert.parquet --linear --maximum 0 --json
    """
    check_folder(out)
    not_over(path, out)
    net = tn.load(path, **reading)
    domain = domain_of(box, net)
    with interrupted_as(f"'{out}' was not written"):
        made = tn.certify(
            net,
            domain,
            out,
            linear=linear,
            maximum=maximum,
            engine=engine,
            workers=workers,
            progress=shows_progress(),
        )
    if as_json:
        print_json(
            {
                "network": path,
                "domain": domain.description,
                "certificate": out,
                "n_activation_regions": made.n_regions,
                "n_linear_regions": made.n_linear_regions,
                "claims": [claim.described() for claim in made.claims],
                **{f"n_{name}": n for name, n in made.counts._asdict().items()},
            }
        )
        return
    also = "" if made.n_linear_regions is None else f", {made.n_linear_regions} linear regions"
    also += "".join(f", {claim.described()}" for claim in made.claims)
    click.echo(f"{made.n_regions} activation regions{also} of {net} in {domain}, certified in {out}")

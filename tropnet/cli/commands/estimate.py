"""`tropnet estimate`: about how many activation regions there are."""

from __future__ import annotations

import math
from typing import Any

import click

import tropnet as tn
from tropnet.cli.interrupts import interrupted_as
from tropnet.cli.logs import shows_progress
from tropnet.cli.options import box_option, domain_of, engine_option, network_argument, output_options
from tropnet.cli.printing import print_json

__all__ = ["estimate"]


@click.command()
@network_argument
@box_option
@engine_option
@click.option("--width", type=click.IntRange(min=1), default=256, show_default=True, help="Most nodes a probe keeps.")
@click.option("--probes", type=click.IntRange(min=2), default=16, show_default=True, help="Number of probes.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the random choices.")
@output_options
def estimate(
    path: str,
    reading: dict[str, Any],
    box: tuple[str, str] | None,
    engine: str,
    width: int,
    probes: int,
    seed: int,
    as_json: bool,
) -> None:
    """Estimate the number of activation regions of NET without enumerating them.

    The mean of random probes of the search tree, with an interval; counted where that takes little longer.

    \b
    Examples:
      tropnet estimate phi_1.npz
      tropnet estimate phi_1.npz --box -10 10 --probes 100 --json
    """
    net = tn.load(path, **reading)
    domain = domain_of(box, net)
    with interrupted_as("there is no estimate"):
        guess = tn.estimate_regions(
            net, domain, engine=engine, width=width, n_probes=probes, seed=seed, progress=shows_progress()
        )
    if as_json:
        print_json(
            {
                "network": path,
                "domain": domain.description,
                "n_activation_regions": guess.n_regions,
                "standard_error": guess.standard_error,
                "interval": list(guess.interval),
                "at_least": guess.at_least,
                "n_probes": guess.n_probes,
                "exact": guess.exact,
                "seed": seed,
            }
        )
    elif guess.exact:
        click.echo(f"{guess.n_regions:.0f} activation regions of {net} in {domain} (counted)")
    elif math.isinf(guess.standard_error):
        click.echo(
            f"at least {guess.at_least:.0f} activation regions of {net} in {domain} (counted; {probes} probes saw too"
            " little of the search tree for an estimate: `tropnet count` goes on)"
        )
    else:
        low, high = guess.interval
        click.echo(
            f"about {guess.n_regions:.4g} +- {guess.standard_error:.2g} activation regions of {net} in {domain}"
            f" (standard error, {probes} probes; 95 % interval {low:.4g} to {high:.4g})"
        )

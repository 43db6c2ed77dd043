"""`tropnet regions`: the activation regions, as a table, as JSON and as a file."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

import click

import tropnet as tn
from tropnet.cli.interrupts import INTERRUPTED, one_interrupt
from tropnet.cli.logs import log_of_run
from tropnet.cli.options import check_folder, domain_of, network_argument, not_over, search_options
from tropnet.cli.printing import print_json, print_table, vector

__all__ = ["SUFFIXES", "regions"]

# Those of `tropnet.regions.files.FORMATS`, which need not be imported to say so.
SUFFIXES = (".parquet", ".npz")
_PATTERN = "activation pattern"


@click.command()
@network_argument
@search_options
@click.option("--limit", type=click.IntRange(min=0), default=10, show_default=True, help="Rows to show.")
@click.option(
    "--out",
    type=click.Path(),
    metavar="FILE|DIR",
    help=f"Write all regions to this {' or '.join(SUFFIXES)} file; or, with no suffix, keep the run in this directory:"
    " memory does not grow with it, and killed at any moment the same command goes on.",
)
def regions(
    path: str,
    reading: dict[str, Any],
    box: tuple[str, str] | None,
    max_regions: int | None,
    as_json: bool,
    search: dict[str, Any],
    limit: int,
    out: str | None,
) -> None:
    """List the activation regions of NET: pattern, a point inside, number of facets, affine map.

    The file is written before anything is printed. On Ctrl-C what was found so far is written and shown, and the exit
    code is 130; until the file is written a second Ctrl-C changes nothing.

    \b
    Examples:
      tropnet regions phi_1.npz --box -10 10
      tropnet regions phi_1.npz --box -10 10 --limit 0 --out regions.parquet
      tropnet regions phi_1.npz --box -10 10 --limit 3 --json
      tropnet regions phi_1.npz --box -10 10 --out run/
    """
    suffix = "" if out is None else Path(out).suffix.lower()
    if suffix not in ("", *SUFFIXES) and not Path(str(out)).is_dir():
        raise click.BadParameter(
            f"must end in {' or '.join(SUFFIXES)}, or in nothing for a directory, got '{out}'.", param_hint="'--out'"
        )
    is_file = suffix in SUFFIXES and not Path(str(out)).is_dir()
    if out is not None and is_file:
        check_folder(out)
    not_over(path, out)
    net = tn.load(path, **reading)
    domain = domain_of(box, net)
    if out is not None and not is_file:
        _keep_run(net, domain, out, max_regions, limit, as_json=as_json, **search)
        return
    interrupted = False
    with one_interrupt() if out is not None else nullcontext():
        try:
            listed = tn.enumerate_regions(net, domain, max_regions=max_regions, on_undecided="collect", **search)
        except tn.EnumerationInterrupted as interrupt:
            listed, interrupted = interrupt.partial, True
        if out is not None:
            # First of all: what is printed below can be interrupted without loss.
            from tropnet.regions.regions import write_regions

            write_regions(listed, out)
    if interrupted:
        kept = f"written to {out}" if out is not None else "below"
        click.echo(f"tropnet: interrupted; the {len(listed)} regions found so far are {kept}", err=True)
    if as_json:
        print_json(_regions_record(listed, limit))
    else:
        _print_regions(listed, limit)
        if out is not None:
            click.echo(f"all {len(listed)} written to {out}")
    if interrupted:
        sys.exit(INTERRUPTED)
    if listed.n_undecided:
        raise tn.TropnetError(f"{listed.n_undecided} subtrees stayed undecided: regions may be missing.")


def _keep_run(
    net: tn.Network, domain: tn.Domain, out: str, max_regions: int | None, limit: int, *, as_json: bool, **search: Any
) -> None:
    """Enumerate into a directory, and say what is there; the first regions are read from it."""
    interrupted = False
    with log_of_run(out, as_json=as_json):
        try:
            run = tn.enumerate_regions(net, domain, out=out, max_regions=max_regions, on_undecided="collect", **search)
        except tn.EnumerationInterrupted as interrupt:
            run, interrupted = interrupt.partial, True
    first = list(islice(run, limit)) if limit else []
    if as_json:
        print_json(
            {
                "n_activation_regions": run.n_regions,
                "domain": run.domain.description,
                "complete": run.complete,
                "n_undecided": len(run.undecided),
                "run": out,
                "stats": dict(run.stats),
                "regions": _records(first),
            }
        )
    else:
        _print_table(first)
        more = f", {len(first)} shown" if run.n_regions > len(first) else ""
        state = "" if run.complete else " (incomplete)"
        click.echo(f"{run.n_regions} activation regions in {run.domain}{state}, in the run {out}{more}")
    if interrupted:
        click.echo(f"tropnet: interrupted; the run in {out} keeps what was found, the same command goes on", err=True)
        sys.exit(INTERRUPTED)
    if run.undecided:
        raise tn.TropnetError(f"{len(run.undecided)} subtrees stayed undecided: regions may be missing.")


def _regions_record(listed: tn.Regions, limit: int) -> dict[str, Any]:
    return {
        "n_activation_regions": len(listed),
        "domain": listed.domain.description,
        "complete": listed.complete,
        "n_undecided": listed.n_undecided,
        "stats": dict(listed.stats),
        "regions": _records(listed[:limit]),
    }


def _records(regions: Iterable[tn.ActivationRegion]) -> list[dict[str, Any]]:
    from tropnet.arrays.patterns import format_pattern

    return [
        {
            "pattern": format_pattern(region.pattern, region.network.widths),
            "witness": region.witness.tolist(),
            "facets": region.rows[region.facets()].tolist(),
            "weight": region.affine.weight.tolist(),
            "bias": region.affine.bias.tolist(),
        }
        for region in regions
    ]


def _print_regions(listed: tn.Regions, limit: int) -> None:
    _print_table(listed[:limit])
    more = f", {min(limit, len(listed))} shown" if len(listed) > limit else ""
    state = "" if listed.complete else " (incomplete)"
    click.echo(f"{len(listed)} activation regions in {listed.domain}{state}{more}")


def _print_table(regions: Sequence[tn.ActivationRegion]) -> None:
    from tropnet.arrays.patterns import format_pattern

    if not len(regions):
        return
    names = ["#", _PATTERN, "point inside", "facets", "affine map: weight | bias"]
    rows = []
    for index, region in enumerate(regions):
        affine = region.affine
        maps = [f"{vector(w)} | {b:.4g}" for w, b in zip(affine.weight, affine.bias, strict=True)]
        rows.append(
            [
                str(index),
                format_pattern(region.pattern, region.network.widths),
                vector(region.witness),
                str(len(region.facets())),
                "\n".join(maps[:3] + ["..."] * (len(maps) > 3)),
            ]
        )
    print_table(names, rows, folds=_PATTERN)

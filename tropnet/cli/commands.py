"""The command line: parse, call the library, print a table or JSON. Errors become one line and an exit code."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TypeVar

import click
import numpy as np
from rich.console import Console
from rich.table import Column, Table

from tropnet.arrays.checks import as_points
from tropnet.arrays.patterns import format_pattern
from tropnet.arrays.types import FloatArray
from tropnet.enumeration import ENGINES, count_regions, enumerate_regions, estimate_regions
from tropnet.errors import EnumerationInterrupted, ShapeError, TropnetError
from tropnet.feasibility import BACKENDS
from tropnet.network.bounds import region_bounds
from tropnet.network.domain import Box, Domain, as_domain
from tropnet.network.network import Network, load
from tropnet.prediction import CachedPredictor
from tropnet.regions import Regions

__all__ = ["command", "main"]

_INTERRUPTED = 130
_HELP = {"help_option_names": ["-h", "--help"]}
_MANY_COLUMNS = 6
_LONG_INTEGER = 10**15
_MANY_DIGITS = 4_000  # Python itself, like many readers of JSON, refuses to write longer integers by default

F = TypeVar("F", bound=Callable[..., Any])


def main() -> NoReturn:
    """Run the command line and exit: 0 success, 1 an error (one line), 2 wrong usage, 130 interrupted."""
    try:
        status = command.main(prog_name="tropnet", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except OSError as error:
        where = f": '{error.filename}'" if error.filename else ""
        click.echo(f"tropnet: {(error.strerror or str(error)).lower()}{where}", err=True)
        sys.exit(1)
    except (TropnetError, ValueError) as error:
        click.echo(f"tropnet: {error}", err=True)
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        click.echo("tropnet: interrupted", err=True)
        sys.exit(_INTERRUPTED)
    sys.exit(status if isinstance(status, int) else 0)


@click.group(context_settings=_HELP)
@click.version_option(package_name="tropnet")
def command() -> None:
    """Find all linear regions of a piecewise-linear network, exactly.

    NET is a network file (.npz) written by Network.save, or an ONNX model (.onnx). Without --box the domain is R^d.

    \b
    Examples:
      tropnet count examples/phi_1.npz --box -10 10
      tropnet regions examples/phi_1.npz --box -10 10 --out regions.parquet
      tropnet estimate examples/phi_1.npz
      tropnet predict examples/phi_1.npz --at 0.5,-2
      tropnet info examples/phi_1.npz --json
    """


def _network(function: F) -> F:
    return click.argument("path", metavar="NET", type=click.Path(dir_okay=False))(function)


_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_box_option = click.option(
    "--box",
    nargs=2,
    metavar="LOW HIGH",
    help="Box domain; LOW and HIGH are one number, or one per input separated by commas.",
)
_engine_option = click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default="auto",
    show_default=True,
    help="Engine; all give the same regions (reference: small networks only).",
)


def _search_options(function: F) -> F:
    for option in reversed(
        [
            _box_option,
            _engine_option,
            click.option(
                "--backend",
                type=click.Choice(BACKENDS),
                default="highs",
                show_default=True,
                help="What proposes decisions; all are proven exactly.",
            ),
            click.option("--max-regions", type=click.IntRange(min=1), help="Stop after so many regions."),
            click.option(
                "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Threads to search with."
            ),
            click.option("--quiet", "-q", is_flag=True, help="No progress bar."),
            _json_option,
        ]
    ):
        function = option(function)
    return function


@command.command()
@_network
@_search_options
def count(
    path: str,
    box: tuple[str, str] | None,
    engine: str,
    backend: str,
    max_regions: int | None,
    workers: int,
    quiet: bool,
    as_json: bool,
) -> None:
    """Count the activation regions of NET.

    An activation region is the set of points with one activation pattern; it counts iff it has interior. The count is
    exact for the stored network.

    \b
    Examples:
      tropnet count examples/phi_1.npz
      tropnet count examples/phi_1.npz --box -10 10 --json
      tropnet count examples/phi_1.npz --box -10,0 10,5
    """
    net = load(path)
    domain = as_domain(_domain(box, net), net.n_inputs)
    # One more than asked for tells a count that stopped from one that ended there.
    limit = None if max_regions is None else max_regions + 1
    interrupted = False
    try:
        n = count_regions(
            net, domain, engine=engine, workers=workers, backend=backend, max_regions=limit, progress=not quiet
        )
    except EnumerationInterrupted as interrupt:
        n, interrupted = interrupt.partial, True
    at_least = interrupted or n == limit
    n = n - 1 if n == limit else n
    if as_json:
        _print_json(
            {
                "network": path,
                "domain": domain.description,
                "n_activation_regions": n,
                "complete": not at_least,
            }
        )
    else:
        click.echo(f"{'at least ' if at_least else ''}{n} activation regions of {net} in {domain}")
    if interrupted:
        click.echo("tropnet: interrupted; the count is a lower bound", err=True)
        sys.exit(_INTERRUPTED)


@command.command()
@_network
@_search_options
@click.option("--limit", type=click.IntRange(min=0), default=10, show_default=True, help="Rows to show.")
@click.option(
    "--out", type=click.Path(dir_okay=False, writable=True), help="Write all regions to this .parquet or .npz file."
)
def regions(
    path: str,
    box: tuple[str, str] | None,
    engine: str,
    backend: str,
    max_regions: int | None,
    workers: int,
    quiet: bool,
    as_json: bool,
    limit: int,
    out: str | None,
) -> None:
    """List the activation regions of NET: pattern, a point inside, number of facets, affine map.

    The file is written before anything is printed. On Ctrl-C what was found so far is written and shown, and the exit
    code is 130; until the file is written a second Ctrl-C changes nothing.

    \b
    Examples:
      tropnet regions examples/phi_1.npz --box -10 10
      tropnet regions examples/phi_1.npz --box -10 10 --limit 0 --out regions.parquet
      tropnet regions examples/phi_1.npz --box -10 10 --limit 3 --json
    """
    if out is not None and Path(out).suffix not in (".parquet", ".npz"):
        raise click.BadParameter(f"must end in .parquet or .npz, got '{out}'.", param_hint="'--out'")
    if out is not None and not os.access(Path(out).absolute().parent, os.W_OK):
        raise click.BadParameter(f"no folder to write to: '{Path(out).absolute().parent}'.", param_hint="'--out'")
    net = load(path)
    domain = _domain(box, net)
    interrupted = False
    with _one_interrupt() if out is not None else nullcontext():
        try:
            found = enumerate_regions(
                net,
                domain,
                engine=engine,
                workers=workers,
                backend=backend,
                max_regions=max_regions,
                on_undecided="collect",
                progress=not quiet,
            )
        except EnumerationInterrupted as interrupt:
            found, interrupted = interrupt.partial, True
        if out is not None:
            # First of all: what is printed below can be interrupted without loss.
            (found.to_parquet if out.endswith(".parquet") else found.to_npz)(out)
    if interrupted:
        kept = f"written to {out}" if out is not None else "below"
        click.echo(f"tropnet: interrupted; the {len(found)} regions found so far are {kept}", err=True)
    if as_json:
        _print_json(_regions_record(found, limit))
    else:
        _print_regions(found, limit)
        if out is not None:
            click.echo(f"all {len(found)} written to {out}")
    if interrupted:
        sys.exit(_INTERRUPTED)
    if found.n_undecided:
        raise TropnetError(f"{found.n_undecided} subtrees stayed undecided: regions may be missing.")


@command.command()
@_network
@_box_option
@_engine_option
@click.option("--width", type=click.IntRange(min=1), default=256, show_default=True, help="Nodes a probe keeps.")
@click.option("--probes", type=click.IntRange(min=2), default=32, show_default=True, help="Number of probes.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the random choices.")
@_json_option
def estimate(
    path: str, box: tuple[str, str] | None, engine: str, width: int, probes: int, seed: int, as_json: bool
) -> None:
    """Estimate the number of activation regions of NET without enumerating them.

    The mean of random probes of the search tree, with its standard error; exact where the tree is small.

    \b
    Examples:
      tropnet estimate examples/phi_1.npz
      tropnet estimate examples/phi_1.npz --box -10 10 --probes 100 --json
    """
    net = load(path)
    domain = as_domain(_domain(box, net), net.n_inputs)
    guess = estimate_regions(net, domain, engine=engine, width=width, n_probes=probes, seed=seed, progress=True)
    if as_json:
        _print_json(
            {
                "network": path,
                "domain": domain.description,
                "n_activation_regions": guess.n_regions,
                "standard_error": guess.standard_error,
                "n_probes": guess.n_probes,
                "exact": guess.exact,
                "seed": seed,
            }
        )
    elif guess.exact:
        click.echo(f"{guess.n_regions:.0f} activation regions of {net} in {domain} (counted)")
    else:
        click.echo(
            f"about {guess.n_regions:.4g} +- {guess.standard_error:.2g} activation regions of {net} in {domain}"
            f" (standard error, {probes} probes)"
        )


@command.command()
@_network
@click.option("--at", "points", multiple=True, metavar="X1,X2,...", help="A point; may be given several times.")
@click.option(
    "--input",
    "source",
    type=click.Path(dir_okay=False),
    help="Points as rows of a .npy file or of comma-separated text.",
)
@_json_option
def predict(path: str, points: tuple[str, ...], source: str | None, as_json: bool) -> None:
    """Evaluate NET through a cache of affine maps, one per activation region met (Algorithm 3).

    \b
    Examples:
      tropnet predict examples/phi_1.npz --at 0.5,-2 --at 3,4
      tropnet predict examples/phi_1.npz --input points.csv --json
    """
    net = load(path)
    predictor = CachedPredictor(net)
    x = _points(points, source, net)
    y = predictor(x)
    patterns = [format_pattern(pattern, net.widths) for pattern in net.activation_pattern(x)]
    info = predictor.info()
    if as_json:
        _print_json(
            {"outputs": y.tolist(), "patterns": patterns, "n_points": len(x), "hits": info.hits, "misses": info.misses}
        )
        return
    table = Table("point", Column("activation pattern", overflow="fold"), "output")
    for point, pattern, output in zip(x, patterns, y, strict=True):
        table.add_row(_vector(point), pattern, _vector(output))
    _print_table(table)
    click.echo(f"points: {len(x)}; activation regions met: {info.misses}")


@command.command()
@_network
@_json_option
def info(path: str, as_json: bool) -> None:
    """Describe NET: shape, skips, activations, parameters, upper bounds on the number of activation regions.

    \b
    Examples:
      tropnet info examples/phi_1.npz
      tropnet info examples/phi_1.npz --json
    """
    net = load(path)
    activations = [_activations(np.asarray(layer.slopes)) for layer in net.hidden]
    bounds = region_bounds(net)._asdict()
    record = {
        "n_inputs": net.n_inputs,
        "hidden_widths": list(net.widths),
        "n_outputs": net.n_outputs,
        "n_neurons": net.n_neurons,
        "skips": [list(skip) for skip in net.skips],
        "activations": activations,
        "n_parameters": _n_parameters(net),
        "region_bounds": bounds,
        "largest_weight": max(float(abs(w).max()) for layer in net.layers for w in layer.weights.values()),
        "fingerprint": net.fingerprint,
    }
    if as_json:
        record["region_bounds"] = {
            name: number if number < 10**_MANY_DIGITS else _integer(number) for name, number in bounds.items()
        }
        _print_json(record)
        return
    table = Table("property", "value", show_header=False)
    for name, value in record.items():
        text = str(value)
        if name == "skips":
            text = ", ".join(f"{k}-{index}" for k, index in net.skips) or "none"
        if name == "activations":
            text = "; ".join(activations)
        if name == "region_bounds":
            text = "; ".join(f"{bound} {_integer(number)}" for bound, number in bounds.items())
        table.add_row(name.replace("_", " "), text)
    _print_table(table)


@contextmanager
def _one_interrupt() -> Iterator[None]:
    """Let the first Ctrl-C raise KeyboardInterrupt here, and ignore further ones, until the block is left."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        click.echo("tropnet: stopping; what was found is written first", err=True)
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _domain(box: tuple[str, str] | None, net: Network) -> Domain | None:
    if box is None:
        return None
    low, high = (_numbers(text, "--box") for text in box)
    for side in (low, high):
        if len(side) not in (1, net.n_inputs):
            raise click.BadParameter(
                f"LOW and HIGH must be one number or {net.n_inputs} (one per input), got {len(side)}.",
                param_hint="'--box'",
            )
    d = net.n_inputs
    return Box(np.broadcast_to(low, d), np.broadcast_to(high, d))


def _numbers(text: str, option: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise click.BadParameter(
            f"must be numbers separated by commas, got '{text}'.", param_hint=f"'{option}'"
        ) from None


def _points(points: tuple[str, ...], source: str | None, net: Network) -> FloatArray:
    if bool(points) == (source is not None):
        raise click.UsageError("give points either with --at or with --input FILE.")
    if source is None:
        rows = [_numbers(point, "--at") for point in points]
        lengths = {len(row) for row in rows}
        if lengths != {net.n_inputs}:
            raise ShapeError(f"every point must have {net.n_inputs} coordinates, got {sorted(lengths)}.")
        return as_points(rows, net.n_inputs)[0]
    try:
        if source.endswith(".npy"):
            return as_points(np.load(source, allow_pickle=False), net.n_inputs)[0]
        text = Path(source).read_text()
        table: Any = np.loadtxt(text.splitlines(), delimiter=",", ndmin=2) if text.strip() else []
        return as_points(table, net.n_inputs)[0]
    except ValueError as error:
        reason = (
            str(error) if isinstance(error, TropnetError) else "a .npy file or rows of numbers with commas are read"
        )
        raise ShapeError(f"'{source}' must hold points of {net.n_inputs} coordinates: {reason}") from error


def _regions_record(found: Regions, limit: int) -> dict[str, Any]:
    return {
        "n_activation_regions": len(found),
        "domain": found.domain.description,
        "complete": found.complete,
        "n_undecided": found.n_undecided,
        "stats": dict(found.stats),
        "regions": [
            {
                "pattern": format_pattern(region.pattern, found.network.widths),
                "witness": region.witness.tolist(),
                "facets": region.rows[region.facets()].tolist(),
                "weight": region.affine.weight.tolist(),
                "bias": region.affine.bias.tolist(),
            }
            for region in found[:limit]
        ],
    }


def _print_regions(found: Regions, limit: int) -> None:
    if limit:
        table = Table(
            "#", Column("activation pattern", overflow="fold"), "point inside", "facets", "affine map: weight | bias"
        )
        for index, region in enumerate(found[:limit]):
            affine = region.affine
            rows = [f"{_vector(w)} | {b:.4g}" for w, b in zip(affine.weight, affine.bias, strict=True)]
            table.add_row(
                str(index),
                format_pattern(region.pattern, found.network.widths),
                _vector(region.witness),
                str(len(region.facets())),
                "\n".join(rows[:3] + ["..."] * (len(rows) > 3)),
            )
        _print_table(table)
    more = f", {min(limit, len(found))} shown" if len(found) > limit else ""
    state = "" if found.complete else " (incomplete)"
    click.echo(f"{len(found)} activation regions in {found.domain}{state}{more}")


def _vector(values: FloatArray) -> str:
    shown = [f"{value:.4g}" for value in values[:_MANY_COLUMNS]]
    return ", ".join(shown + ["..."] * (len(values) > _MANY_COLUMNS))


def _integer(value: int) -> str:
    """Write a long integer in scientific notation, rounded up: it is an upper bound."""
    if value < _LONG_INTEGER:
        return str(value)
    exponent = int(math.log10(value))
    mantissa = -(-value * 100 // 10**exponent)
    return f"{mantissa / 100:.2f}e{exponent}"


def _activations(slopes: FloatArray) -> str:
    names = {(0.0, 1.0): "ReLU", (-1.0, 1.0): "absolute value"}
    kinds, counts = np.unique(slopes, axis=0, return_counts=True)
    parts = []
    for (neg, pos), n in zip(kinds.tolist(), counts.tolist(), strict=True):
        name = "affine" if neg == pos else names.get((neg, pos), f"slopes {neg:g}, {pos:g}")
        parts.append(f"{n} {name}")
    return ", ".join(parts)


def _n_parameters(net: Network) -> int:
    """Count weights once that several sources share, as a skip shares the main path's."""
    shared = ({id(w): w.size for w in layer.weights.values()} for layer in net.layers)
    return sum(layer.bias.size for layer in net.layers) + sum(sum(sizes.values()) for sizes in shared)


def _print_table(table: Table) -> None:
    console = Console()
    # Piped output is not cut to the width of a terminal that is not there.
    Console(width=None if console.is_terminal else 10_000).print(table)


def _print_json(record: dict[str, Any]) -> None:
    click.echo(json.dumps(_finite(record), indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    """Write infinities and NaN, which JSON has not, as null."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

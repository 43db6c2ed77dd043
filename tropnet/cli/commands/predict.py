"""`tropnet predict`: outputs at points, through cached affine maps."""

from __future__ import annotations

from typing import Any

import click

import tropnet as tn
from tropnet.cli.options import network_argument, output_options, points_of
from tropnet.cli.printing import print_json, print_table, vector

__all__ = ["predict"]


@click.command()
@network_argument
@click.option("--at", "points", multiple=True, metavar="X1,X2,...", help="A point; may be given several times.")
@click.option(
    "--input",
    "source",
    type=click.Path(dir_okay=False),
    help="Points as rows of a .npy file or of comma-separated text.",
)
@output_options
def predict(path: str, reading: dict[str, Any], points: tuple[str, ...], source: str | None, as_json: bool) -> None:
    """Evaluate NET through a cache of affine maps, one per activation region met (Algorithm 3).

    \b
    Examples:
      tropnet predict phi_1.npz --at 0.5,-2 --at 3,4
      tropnet predict phi_1.npz --input points.csv --json
    """
    from tropnet.arrays.patterns import format_pattern

    net = tn.load(path, **reading)
    predictor = tn.CachedPredictor(net)
    x = points_of(points, source, net)
    y = predictor(x)
    patterns = [format_pattern(pattern, net.widths) for pattern in net.activation_pattern(x)]
    info = predictor.info()
    if as_json:
        print_json(
            {"outputs": y.tolist(), "patterns": patterns, "n_points": len(x), "hits": info.hits, "misses": info.misses}
        )
        return
    rows = [[vector(point), pattern, vector(output)] for point, pattern, output in zip(x, patterns, y, strict=True)]
    print_table(["point", "activation pattern", "output"], rows, folds="activation pattern")
    click.echo(f"points: {len(x)}; activation regions met: {info.misses}")

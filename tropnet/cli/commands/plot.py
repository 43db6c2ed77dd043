"""`tropnet plot`: a picture of the regions, or a page for a browser."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click

import tropnet as tn
from tropnet.arrays.types import FloatArray
from tropnet.cli.interrupts import interrupted_as
from tropnet.cli.logs import shows_progress
from tropnet.cli.options import box_option, check_folder, domain_of, network_argument, output_options, points_of
from tropnet.cli.pictures import picture_of
from tropnet.cli.printing import print_json
from tropnet.errors import MissingExtraError, ShapeError

__all__ = ["plot"]

# What is written by which suffix, and the extra that it needs.
_EXTRAS: Mapping[str, str] = {".html": "interactive", ".png": "plot", ".svg": "plot", ".pdf": "plot"}
_SUFFIXES = ", ".join(_EXTRAS)
_COLORS = ("pattern", "affine", "output", "gradient", "area", "class")
_LINE, _PLANE, _SPACE = 1, 2, 3


@click.command()
@network_argument
@click.option(
    "-o", "--out", required=True, type=click.Path(dir_okay=False), help=f"File to write; its suffix: {_SUFFIXES}."
)
@box_option
@click.option(
    "--slice",
    "corners",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="Show the plane through the three points of this .npy or comma-separated file, instead of --box.",
)
@click.option(
    "--color", type=click.Choice(_COLORS), default="pattern", show_default=True, help="What the fill of a region tells."
)
@click.option(
    "--output-number", type=click.IntRange(min=0), default=0, show_default=True, help="Which output is meant (from 0)."
)
@click.option("--hyperplanes", is_flag=True, help="Draw the bent hyperplanes of each layer; a page has them anyway.")
@click.option("--boundary", is_flag=True, help="Draw the decision boundary.")
@output_options
def plot(
    path: str,
    reading: dict[str, Any],
    out: str,
    box: tuple[str, str] | None,
    corners: str | None,
    color: str,
    output_number: int,
    hyperplanes: bool,
    boundary: bool,
    as_json: bool,
) -> None:
    """Draw the activation regions of NET: a picture (.png, .svg, .pdf), or a page to explore in a browser (.html).

    Networks of two inputs are drawn as a map; of one, as the graph of the function, in pictures only; of three, as
    polyhedra, in pages only. A --box with LOW = HIGH in all but two inputs, or one, is drawn over these, in pictures
    only; --slice shows a plane. The file is written whole, or not at all.

    \b
    Examples:
      tropnet plot phi_1.npz --box -10 10 -o map.html
      tropnet plot phi_1.npz --box -10 10 --color output --hyperplanes -o map.png
    """
    suffix = Path(out).suffix.lower()
    if suffix not in _EXTRAS:
        raise click.BadParameter(f"must end in one of {_SUFFIXES}, got '{out}'.", param_hint="'--out'")
    check_folder(out)
    net = tn.load(path, **reading)
    try:
        if suffix == ".html":
            from tropnet.plotting import page  # noqa: F401 (its absence is told before the search)
        net, domain, dimension, marked = _drawn(net, box, corners, suffix)
    except ImportError as error:
        raise MissingExtraError.of(f"writing '{out}'", _EXTRAS[suffix]) from error
    if output_number >= net.n_outputs:
        raise ShapeError(f"--output-number must lie in 0, ..., {net.n_outputs - 1}, got {output_number}.")
    if dimension != _PLANE and (boundary or color == "class" or (hyperplanes and dimension == _LINE)):
        raise ShapeError(
            f"--boundary, --hyperplanes and --color class are for maps of the plane; the network has {dimension}"
            f"{'' if dimension == net.n_inputs else ' free'} input{'s' if dimension > 1 else ''}."
        )
    options: dict[str, Any] = {"color": color, "output": output_number}
    with interrupted_as(f"'{out}' was not written"):
        if dimension == _LINE:
            count = _write_function(net, domain, out, suffix, output_number)
        elif suffix == ".html":
            regions = tn.enumerate_regions(net, domain, facets=True, progress=shows_progress())
            tn.write_page(regions, out, boundary=boundary, **options)
            count = len(regions)
        else:
            count = _write_map(net, domain, out, suffix, options, (hyperplanes, boundary), marked)
    size = Path(out).stat().st_size
    if as_json:
        print_json({"network": path, "file": out, "bytes": size, "n_activation_regions": count})
        return
    click.echo(f"{count:,} activation region{'' if count == 1 else 's'} written to {out} ({size / 1e6:.1f} MB)")


class _Drawn(NamedTuple):
    """A network on a domain, over how many free inputs, and the corners of a slice, which are marked."""

    network: tn.Network
    domain: tn.Domain | None
    dimension: int
    marked: FloatArray | None = None


def _drawn(net: tn.Network, box: tuple[str, str] | None, corners: str | None, suffix: str) -> _Drawn:
    """Return what is drawn, the network itself on its domain, or restricted to a plane, and over how many free inputs.

    Of what cannot be drawn, say what could be.
    """
    from tropnet.plotting.slice import slice_through

    if corners is not None:
        if box is not None:
            raise click.UsageError("give either --box or --slice: a slice shows the triangle of its points.")
        sliced = slice_through(net, points_of((), corners, net))
        return _Drawn(sliced.network, sliced.view, _PLANE, sliced.at)
    domain = domain_of(box, net)
    d = net.n_inputs
    if isinstance(domain, tn.Box) and domain.is_flat:
        given = domain.expanded(d)
        d = int((given.low < given.high).sum())
        if d not in (_LINE, _PLANE):
            raise ShapeError(f"one or two inputs can be free where --box fixes others (LOW = HIGH), got {d}.")
        if suffix == ".html":
            raise ShapeError("a --box that fixes inputs is drawn as a picture (-o FILE.png), or give --slice FILE.")
        return _Drawn(net, domain, d)
    if d > _SPACE:
        raise ShapeError(
            f"a network of {d} inputs cannot be drawn whole; give a --box with LOW = HIGH in all but two inputs, or"
            " three points with --slice FILE, such as three inputs of interest, to see the plane through them."
        )
    if d == _SPACE and suffix != ".html":
        raise ShapeError("a network of 3 inputs is drawn as a page (-o FILE.html), or in a plane (--slice FILE).")
    if d == _LINE and suffix == ".html":
        raise ShapeError("a page shows networks of 2 or 3 inputs; of 1 input write a picture (-o FILE.png).")
    if d == _SPACE and box is None:
        raise ShapeError("a network of 3 inputs is drawn in a box; give --box LOW HIGH.")
    return _Drawn(net, domain, d)


def _write_function(net: tn.Network, domain: tn.Domain | None, out: str, suffix: str, output: int) -> int:
    if not isinstance(domain, tn.Box):
        raise ShapeError("a network of 1 input is drawn in a box; give --box LOW HIGH.")
    _save(tn.plot_function(net, domain, output=output), out, suffix)
    return len(tn.enumerate_regions(net, domain))


def _write_map(
    net: tn.Network,
    domain: tn.Domain | None,
    out: str,
    suffix: str,
    options: dict[str, Any],
    flags: tuple[bool, bool],
    marked: FloatArray | None,
) -> int:
    from tropnet.plotting.slice import mark_corners

    hyperplanes, boundary = flags
    progress = shows_progress()
    regions = tn.enumerate_regions(net, domain, facets=True, progress=progress)
    # The boundary comes first, since what is seen of an unbounded domain depends on it.
    ax = tn.plot_boundary(tn.decision_boundary(regions, progress=progress)) if boundary else None
    ax = tn.plot_regions(regions, ax, **options)
    if hyperplanes:
        tn.plot_hyperplanes(regions, ax)
    if marked is not None:
        mark_corners(ax, marked)
    _save(ax, out, suffix)
    return len(regions)


def _save(ax: Any, out: str, suffix: str) -> None:
    from tropnet.archives import write_atomically

    picture = picture_of(ax, suffix)
    write_atomically(out, lambda file: file.write(picture))

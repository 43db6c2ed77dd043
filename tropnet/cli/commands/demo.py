"""`tropnet demo`: a network to try, what is found in it, and its picture."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import BinaryIO

import click

import tropnet as tn
from tropnet.cli.logs import shows_progress
from tropnet.cli.options import output_options
from tropnet.cli.pictures import picture_of
from tropnet.cli.printing import print_json

__all__ = ["demo"]

_NETWORK, _PROPERTY, _PICTURE = "phi_1.npz", "phi_1.vnnlib", "phi_1_regions.png"


@click.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False),
    default=".",
    metavar="DIR",
    help="Where to write the files; by default the current directory.",
)
@click.option("--open", "opens", is_flag=True, help="Open the picture.")
@click.option("--force", is_flag=True, help="Replace files of these names that are others.")
@output_options
def demo(out: str, opens: bool, force: bool, as_json: bool) -> None:
    """Try tropnet on the network that ships with it.

    It writes the network, phi_1.npz, a property of it, phi_1.vnnlib, and a picture of its regions, phi_1_regions.png;
    it says what it found, and which commands to try next. The network has two inputs, five hidden layers of five ReLU
    neurons and two skip connections, and was trained on sin(log|x| + log|y|). The picture needs the extra 'plot'.

    \b
    Examples:
      tropnet demo
      tropnet demo --out tropnet_demo --json
    """
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in (_NETWORK, _PROPERTY)]
    _copy(paths, force)
    net, domain = tn.example_network(), tn.Box(-10, 10)
    regions = tn.enumerate_regions(net, domain, progress=shows_progress())
    n_linear = len(tn.linear_regions(regions))
    top = tn.maximum(net, domain, progress=shows_progress())
    verdict = tn.verify(net, tn.read_vnnlib(paths[1]), progress=shows_progress())
    if not as_json:
        click.echo(
            f"network    {paths[0]}: {net}\n"
            f"regions    {len(regions)} activation regions in {regions.domain}, all there are\n"
            f"           {n_linear} linear regions: neighbours with one affine map are one\n"
            f"maximum    {top.value:.6g}, at ({', '.join(f'{x:.4g}' for x in top.point.tolist())})\n"
            f"property   {paths[1]}, that the output stays below 1: {verdict.status}"
        )
    picture = _draw(regions, folder / _PICTURE, force)
    following = _following(folder)
    if as_json:
        print_json(
            {
                "network": str(paths[0]),
                "property": str(paths[1]),
                "picture": None if picture is None else str(picture),
                "domain": regions.domain.description,
                "n_activation_regions": len(regions),
                "n_linear_regions": n_linear,
                "maximum": top.value,
                "verdict": verdict.status,
                "seconds": regions.stats["seconds"],
                "next": following,
            }
        )
    else:
        if picture is not None:
            click.echo(f"picture    {picture}")
        if shows_progress():
            click.echo("\n".join(["", "Try next:", *(f"  {line}" for line in following)]))
    if opens and picture is not None:
        click.launch(str(picture))


def _copy(paths: list[Path], force: bool) -> None:
    """Write the shipped files.

    Raises
    ------
    FileFormatError
        Others of these names are there, which are left as they are.
    """
    from tropnet.archives import write_atomically
    from tropnet.loading import EXAMPLE

    shipped = {path: (EXAMPLE / path.name).read_bytes() for path in paths}
    others = [path for path, content in shipped.items() if path.exists() and path.read_bytes() != content]
    if others and not force:
        raise tn.FileFormatError(
            f"'{others[0]}' is there, and is not the file that would be written; --out DIR takes another directory,"
            " --force replaces it."
        )
    for path, content in shipped.items():
        write_atomically(path, partial(_write, content))


def _draw(regions: tn.Regions, path: Path, force: bool) -> Path | None:
    """Draw the regions; None if there is no picture."""
    try:
        drawn = picture_of(tn.plot_regions(regions), path.suffix)
    except tn.MissingExtraError as error:
        click.echo(f"tropnet: {error}", err=True)
        return None
    from tropnet.archives import write_atomically

    if path.exists() and path.read_bytes() != drawn and not force:
        click.echo(f"tropnet: '{path}' is there, and another picture: left as it is (--force replaces it)", err=True)
    else:
        write_atomically(path, partial(_write, drawn))
    return path


def _write(content: bytes, file: BinaryIO) -> None:
    file.write(content)


def _following(folder: Path) -> list[str]:
    """Return commands to try next, as they can be pasted."""
    net, statement = (shlex.quote(str(folder / name)) for name in (_NETWORK, _PROPERTY))
    return [
        f"tropnet regions {net} --box -10 10 --limit 5",
        f"tropnet predict {net} --at 0.5,-2",
        f"tropnet verify {net} {statement}",
        f"tropnet plot {net} --box -10 10 --color output -o map.png",
        f"tropnet certify {net} --box -10 10 -o cert.parquet",
        "tropnet --help",
    ]

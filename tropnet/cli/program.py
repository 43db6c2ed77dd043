"""The program `tropnet`: its commands, and what errors and Ctrl-C become."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import NoReturn

import click

from tropnet.cli.interrupts import INTERRUPTED
from tropnet.errors import TropnetError

__all__ = ["command", "main"]

# Commands, each in the module of its name, and the beginnings of their texts of help.
COMMANDS = {
    "certify": "Certify the activation regions of NET: find them all, and...",
    "check": "Check CERTIFICATE, a file or the directory of its parts,...",
    "count": "Count the activation regions of NET.",
    "estimate": "Estimate the number of activation regions of NET without...",
    "info": "Describe NET: shape, skips, activations, parameters,...",
    "plot": "Draw the activation regions of NET: a picture (.png,...",
    "predict": "Evaluate NET through a cache of affine maps, one per...",
    "regions": "List the activation regions of NET: pattern, a point...",
    "status": "Say how far a run is: RUN, the directory that `count` or...",
    "verify": "Decide whether NET satisfies PROPERTY, a VNN-LIB file...",
}
_HELP = {"help_option_names": ["-h", "--help"]}


def main() -> NoReturn:
    """Run the command line and exit: 0 success, 1 an error (one line), 2 wrong usage, 130 interrupted.

    `verify` has codes of its own for its verdicts.
    """
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
        sys.exit(INTERRUPTED)
    sys.exit(status if isinstance(status, int) else 0)


class _Commands(Mapping[str, click.Command]):
    """The commands by name, each imported when it is asked for."""

    def __getitem__(self, name: str) -> click.Command:
        if name not in COMMANDS:
            raise KeyError(name)
        found: click.Command = getattr(import_module(f"tropnet.cli.commands.{name}"), name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _Program(click.Group):
    """Lists the commands without importing them."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Program, commands=_Commands(), context_settings=_HELP)
@click.version_option(package_name="tropnet")
def command() -> None:
    """Find all linear regions of a piecewise-linear network, exactly.

    NET is a network file (.npz) written by Network.save, or an ONNX model (.onnx). Without --box the domain is R^d.

    \b
    Examples:
      tropnet count phi_1.npz --box -10 10
      tropnet regions phi_1.npz --box -10 10 --out regions.parquet
      tropnet plot phi_1.npz --box -10 10 -o map.html
      tropnet estimate phi_1.npz
      tropnet regions phi_1.npz --box -10 10 --out run/
      tropnet status run/
      tropnet predict phi_1.npz --at 0.5,-2
      tropnet info phi_1.npz --json
      tropnet verify phi_1.npz phi_1.vnnlib
      tropnet certify phi_1.npz --box -10 10 -o cert.parquet
      tropnet check phi_1.npz cert.parquet
    """

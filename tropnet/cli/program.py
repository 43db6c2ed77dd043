"""The program `tropnet`: its commands, and what errors and Ctrl-C become."""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from tropnet.cli.commands.count import count
from tropnet.cli.commands.estimate import estimate
from tropnet.cli.commands.info import info
from tropnet.cli.commands.predict import predict
from tropnet.cli.commands.regions import regions
from tropnet.cli.interrupts import INTERRUPTED
from tropnet.errors import TropnetError

__all__ = ["command", "main"]

_HELP = {"help_option_names": ["-h", "--help"]}


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
        sys.exit(INTERRUPTED)
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


for each in (count, regions, estimate, predict, info):
    command.add_command(each)

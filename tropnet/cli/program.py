"""The program `tropnet`: its commands, and what errors and Ctrl-C become."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from tropnet.cli.interrupts import INTERRUPTED, Interrupted
from tropnet.cli.logs import is_verbose
from tropnet.errors import TropnetError
from tropnet.progress import ends_sooner

__all__ = ["COMMANDS", "command", "run"]

# Commands, each in the module of its name, and the beginnings of their texts of help.
COMMANDS = {
    "certify": "Certify the activation regions of NET: find them all, and...",
    "check": "Check CERTIFICATE, a file or the directory of its parts,...",
    "completion": "Print the script that completes tropnet's commands in a...",
    "count": "Count the activation regions of NET.",
    "demo": "Try tropnet on the network that ships with it.",
    "doctor": "Check this installation, and say what to do about what is...",
    "estimate": "Estimate the number of activation regions of NET without...",
    "info": "Describe NET: shape, skips, activations, parameters,...",
    "plot": "Draw the activation regions of NET: a picture (.png,...",
    "predict": "Evaluate NET through a cache of affine maps, one per...",
    "regions": "List the activation regions of NET: pattern, a point...",
    "status": "Say how far a run is: RUN, the directory that `count` or...",
    "verify": "Decide whether NET satisfies PROPERTY, a VNN-LIB file...",
}
_HELP = {"help_option_names": ["-h", "--help"]}
# Options that end a search sooner.
_SOONER = {"--box": "a smaller --box", "--max-regions": "--max-regions", "--time-limit": "--time-limit"}
_OF_COMMANDS = {"--json", "--quiet", "-q", "--verbose", "-v", "--box"}
# As of a program that SIGPIPE ends.
_READER_LEFT = 141


def run() -> int:
    """Run the command line and return its exit code, having said in a line what went wrong.

    With --json standard output then is an object, too: `{"error": ...}`.
    """
    for stream in (sys.stdout, sys.stderr):
        # A character that a terminal lacks is no reason to fail.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if sys.stdout is None:  # of a process that was started without
        click.echo(
            "tropnet: standard output is closed, where the answer goes: leave it open, or send it to a file", err=True
        )
        return 1
    try:
        code = _code_of(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        code = _READER_LEFT
        _forget_output()
    except OSError as error:
        code = 1
        click.echo(f"tropnet: {_line_of(error)}", err=True)
        _forget_output()
    return code


def _code_of(arguments: list[str]) -> int:
    """Run a command, tell of its failure, and return the exit code."""
    try:
        code = command.main(arguments, prog_name="tropnet", standalone_mode=False)
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else 0
    except click.ClickException as error:
        code, line = error.exit_code, error.format_message()
        error.show()
    except (click.Abort, KeyboardInterrupt):
        code, line = INTERRUPTED, "interrupted"
        click.echo(f"tropnet: {line}", err=True)
    except Exception as error:
        code, line = 1, _line_of(error)
        click.echo(f"tropnet: {line}", err=True)
    else:
        return code if isinstance(code, int) else 0
    if "--json" in arguments:
        try:
            click.echo(json.dumps({"error": line}, indent=2))
        except OSError:  # which has been told
            _forget_output()
    return code


def _line_of(error: Exception) -> str:
    """Return what an error says, as one line."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError):
        where = f": '{' '.join(str(error.filename).split())}'" if error.filename else ""
        return f"{error.strerror.lower()}{where}" if error.strerror else text
    if isinstance(error, TropnetError | ValueError):
        return text
    if isinstance(error, MemoryError):
        return f"not enough memory{': ' * bool(text)}{text}"
    return (
        f"{type(error).__name__}: {text}; this should not happen: --verbose shows where it did, and `tropnet doctor`"
        " whether the installation is at fault."
    )


def _forget_output() -> None:
    """Leave nothing that Python would try to write at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command."""
        named = [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]
        return named or super().shell_complete(ctx, incomplete)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options of the program; those of commands stand behind the command."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.option_name in _OF_COMMANDS:
                raise click.UsageError(
                    f"{error.option_name} goes after the command, as its other options.", ctx
                ) from None
            raise

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; what takes long in it then names its options, not Python's."""
        name, found, rest = super().resolve_command(ctx, args)
        if found is not None and not ctx.resilient_parsing:
            own = {option for parameter in found.params for option in parameter.opts}
            ctx.with_resource(ends_sooner(" or ".join(way for option, way in _SOONER.items() if option in own)))
        return name, found, rest

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; with --verbose, show where errors come from."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted from None
        except BrokenPipeError:
            _forget_output()
            ctx.exit(_READER_LEFT)
        except Exception as error:
            if is_verbose(ctx) and not isinstance(error, click.ClickException | TropnetError | OSError):
                traceback.print_exc()
            raise


@click.group(cls=_Program, commands=_Commands(), context_settings=_HELP)
@click.version_option(package_name="tropnet")
def command() -> None:
    """Find all linear regions of a piecewise-linear network, exactly.

    NET is a network file (.npz) written by Network.save, or an ONNX model (.onnx). Without --box the domain is R^d.

    `tropnet demo` writes phi_1.npz and phi_1.vnnlib, which the examples name. Exit codes: 0 success, 1 an error, which
    standard error names in a line, 2 wrong usage, 130 interrupted, 141 who read the output has left; those of `verify`
    are also verdicts.

    \b
    Examples:
      tropnet demo
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
      tropnet doctor
    """

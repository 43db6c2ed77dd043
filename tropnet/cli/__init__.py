"""The command line: parse, call the library, print."""

from tropnet.cli.commands import main

__all__ = ["main"]

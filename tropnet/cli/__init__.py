"""The command line: parse (options), call the library (commands), print (printing)."""

from tropnet.cli.program import command, main

__all__ = ["command", "main"]

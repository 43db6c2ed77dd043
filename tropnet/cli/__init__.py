"""The command line: parse (options), call the library (commands), print (printing)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from tropnet.cli.program import command as command

__all__ = ["command", "main"]


def main() -> NoReturn:
    """Run the command line and exit: 0 success, 1 an error (one line), 2 wrong usage, 130 interrupted.

    `verify` has codes of its own for its verdicts.
    """
    try:
        from tropnet.cli.program import run
    except KeyboardInterrupt:
        # Nothing else is there yet to say so.
        sys.stderr.write("tropnet: interrupted\n")
        if "--json" in sys.argv:
            sys.stdout.write('{"error": "interrupted"}\n')
        sys.exit(130)
    sys.exit(run())


def __getattr__(name: str) -> Any:
    """Import `command`, click's program, when it is asked for: an interrupt before `main` would be a traceback."""
    if name == "command":
        from tropnet.cli.program import command

        return command
    raise AttributeError(f"module 'tropnet.cli' has no attribute {name!r}")

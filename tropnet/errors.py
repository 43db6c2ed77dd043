"""Every error tropnet raises on purpose.

Each class is also the built-in a caller would already catch (`ValueError`, `TypeError`, ...), and each message says
what is required, what came and where, and what to do about it.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "CertificateError",
    "DomainError",
    "EnumerationInterrupted",
    "FileFormatError",
    "MissingExtraError",
    "NonFiniteError",
    "RunError",
    "ShapeError",
    "SkipError",
    "SubtreeError",
    "TooLargeError",
    "TropnetError",
    "UndecidedError",
    "UnsupportedModuleError",
]


class TropnetError(Exception):
    """Base class of all errors of this package."""


class ShapeError(TropnetError, ValueError):
    """An array has the wrong shape or a pattern the wrong length."""


class NonFiniteError(TropnetError, ValueError):
    """A weight, bias, slope or coordinate is NaN or infinite."""


class SkipError(TropnetError, ValueError):
    """A skip (k, l) breaks 0 <= k < l - 1 or joins layers of unequal width, or a skip strength or schedule is none."""


class DomainError(TropnetError, ValueError):
    """A domain is empty or of the wrong dimension, or what is asked has no meaning on it."""


class FileFormatError(TropnetError, ValueError):
    """A file is truncated, was not written by tropnet, or would need pickle."""


class CertificateError(TropnetError, ValueError):
    """A certificate does not prove what it states, states it of another network or domain, or is malformed."""


class RunError(TropnetError, RuntimeError):
    """A directory holds another run than the one asked for, or something else, or another process works at it."""


class SubtreeError(TropnetError, RuntimeError):
    """Some subtrees could not be searched: each killed its worker, or raised an error there, three times.

    Attributes
    ----------
    partial
        What was found in all others: `Regions`, a count, or a `Run`, which tries them again when it is resumed.
    """

    def __init__(self, message: str, partial: Any) -> None:
        # All arguments, so that the error survives pickling on its way back from another process.
        super().__init__(message, partial)
        self.partial = partial

    def __str__(self) -> str:
        return str(self.args[0])


class UnsupportedModuleError(TropnetError, TypeError):
    """A model holds a module that is not piecewise linear or not understood; named by its qualified name."""


class TooLargeError(TropnetError, MemoryError):
    """A computation needs arrays that would not fit into memory; the message names their size."""


class MissingExtraError(TropnetError, ImportError):
    """A feature needs an optional dependency that is not installed; the message names the extra."""

    @classmethod
    def of(cls, what: str, extra: str) -> MissingExtraError:
        """Return the error that says what needs the extra, and how to install it, from an index or in a clone."""
        return cls(
            f"{what} needs the extra '{extra}'; install it with: pip install 'tropnet[{extra}]', in a clone of the"
            f" repository with: pip install '.[{extra}]'"
        )


class UndecidedError(TropnetError, ArithmeticError):
    """Some decision stayed undecided, so the enumeration is not known to be complete.

    Attributes
    ----------
    partial
        The `Regions` without the undecided subtrees, whose `undecided` lists their decision prefixes; from
        `count_regions` the count without them (of many networks: the counts of those before), else None.
    """

    def __init__(self, message: str, partial: Any) -> None:
        # All arguments, so that the error survives pickling on its way back from another process.
        super().__init__(message, partial)
        self.partial = partial

    def __str__(self) -> str:
        return str(self.args[0])


class EnumerationInterrupted(KeyboardInterrupt):
    """An enumeration was interrupted (Ctrl-C); nothing found so far is lost.

    Not a `TropnetError`, so that `except Exception` does not swallow an interrupt.

    Attributes
    ----------
    partial
        The `Regions` found before the interrupt, with `complete` False; from `count_regions` their number
        (of many networks: the numbers of those that were finished).
    """

    def __init__(self, partial: Any) -> None:
        super().__init__(partial)
        self.partial = partial

    def __str__(self) -> str:
        return "interrupted; the regions found so far are in the attribute 'partial'"

"""Values that never change, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self, TypeVar

__all__ = ["Frozen"]

_Result = TypeVar("_Result")


class Frozen:
    """A value that never changes, so that what follows from it alone need be computed only once."""

    def derived(self, make: Callable[[Self], _Result]) -> _Result:
        """Return `make(self)`, computed once and kept with the value (not in copies and pickles).

        Parameters
        ----------
        make
            A function defined in a module, whose result nobody writes into; it stands for what it makes.

        Examples
        --------
        >>> from tropnet.network.domain import Box
        >>> box = Box(-1, 1)
        >>> box.derived(repr) is box.derived(repr)
        True
        """
        kept = self.__dict__.setdefault("_derived", {})
        if make not in kept:
            kept[make] = make(self)
        result: _Result = kept[make]
        return result

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_derived"}

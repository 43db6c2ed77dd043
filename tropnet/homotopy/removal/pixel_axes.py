"""Which values of a network have equally many axes of pixels, and how many, as far as its layers tell."""

from __future__ import annotations

__all__ = ["PixelAxes"]


class PixelAxes:
    """Groups of values with the same number of axes of pixels: 0 where a linear layer reads the last axis.

    Attributes
    ----------
    groups
        By value, the number of its group, which is that of its first value.
    known
        By group, its number of axes of pixels; a group that no layer told of is missing.
    flat
        Groups whose values are known to be (n, features), with no axis between, as nn.Flatten gives them.
    """

    def __init__(self) -> None:
        self.groups: list[int] = []
        self.known: dict[int, int] = {}
        self.flat: set[int] = set()

    def add(self, like: int | None = None) -> None:
        """Add a value, in the group of another or in one of its own."""
        self.groups.append(len(self.groups) if like is None else self.groups[like])

    def of(self, value: int) -> int | None:
        """Return the number of axes of pixels of a value, None if no layer told."""
        return self.known.get(self.groups[value])

    def learn(self, value: int, dims: int, *, is_flat: bool = False) -> None:
        """Set the number of axes of pixels of the group of a value, of which none or the same was known."""
        group = self.groups[value]
        self.known[group] = dims
        if is_flat:
            self.flat.add(group)

    def is_flat(self, value: int) -> bool:
        """Return whether a value is known to be (n, features)."""
        return self.groups[value] in self.flat

    def join(self, one: int, other: int) -> bool:
        """Make one group of those of two values; return False, and leave them, if their numbers differ."""
        first, second = sorted((self.groups[one], self.groups[other]))
        if self.known.get(first, self.known.get(second)) != self.known.get(second, self.known.get(first)):
            return False
        self.groups = [first if group == second else group for group in self.groups]
        if second in self.known:
            self.known[first] = self.known[second]
        if second in self.flat:
            self.flat.add(first)
        return True

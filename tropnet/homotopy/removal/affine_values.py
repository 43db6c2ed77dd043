"""Values of a network as affine maps of atoms, and their arithmetic: what carrying skips is computed with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from tropnet.homotopy.removal.channel_maps import ChannelMap

__all__ = ["ARITHMETIC", "Affine", "Atom", "ResidualGraph", "composed"]


@dataclass(frozen=True, eq=False)
class Affine:
    """A sum of maps of atoms, and a bias: ``sum of map(atom) + bias``; a map that is a number multiplies by it.

    Attributes
    ----------
    terms
        Pairs (number of the atom, ChannelMap or float).
    bias
        float64 per output channel; None is 0.
    """

    terms: tuple[tuple[int, ChannelMap | float], ...]
    bias: Any = None

    @property
    def atom(self) -> int | None:
        """Return the atom that this is, if it is one as it stands."""
        plain = self.bias is None and len(self.terms) == 1 and self.terms[0][1] == 1.0
        return self.terms[0][0] if plain else None

    def scaled(self, factor: float) -> Affine:
        """Return it times a number; times 0 nothing is left."""
        if factor == 0:
            return Affine(())
        terms = tuple((atom, m * factor if isinstance(m, float) else m.scaled(factor)) for atom, m in self.terms)
        return Affine(terms, None if self.bias is None else self.bias * factor)

    def plus(self, other: Affine) -> Affine:
        """Return the sum."""
        biases = [bias for bias in (self.bias, other.bias) if bias is not None]
        return Affine(self.terms + other.terms, sum(biases[1:], start=biases[0]) if biases else None)


@dataclass(frozen=True, eq=False)
class Atom:
    """A value that layers read: the input, the ReLU of an affine value or that value itself, or what a module gives.

    Attributes
    ----------
    source
        What it is made of; of the input, nothing.
    relu
        Whether it is the ReLU of it.
    module
        The module that makes it of its source, which is an atom then; else None.
    is_nonnegative
        Whether no value of it is negative.
    dims
        Axes of pixels, 0 where a linear layer reads the last axis; None if no layer tells.
    name
        The module or function behind it.
    """

    source: Affine
    relu: bool = False
    module: Any = None
    is_nonnegative: bool = False
    dims: int | None = None
    name: str = "the input"


@dataclass(frozen=True, eq=False)
class ResidualGraph:
    """The atoms in order, the first of which is the input, and the output.

    Attributes
    ----------
    atoms, output
        The values.
    flat
        Atoms that must be (n, features), for what reads them to be as it was read.
    """

    atoms: list[Atom]
    output: Affine
    flat: frozenset[int] = frozenset()

    def last_readers(self) -> dict[int, int]:
        """Return the last atom, or len(atoms) for the output, that reads each atom which the output depends on."""
        last: dict[int, int] = {}
        for number in range(len(self.atoms), 0, -1):
            if number < len(self.atoms) and number not in last:
                continue
            source = self.output if number == len(self.atoms) else self.atoms[number].source
            for atom, _ in source.terms:
                last.setdefault(atom, number)
        return last

    def leapt_over(self) -> frozenset[str]:
        """Return the names of the modules and functions over which a value leaps that is read later."""
        last = self.last_readers()
        return frozenset(
            atom.name
            for number, atom in enumerate(self.atoms)
            if atom.module is not None and any(last.get(before, 0) > number for before in range(number))
        )

    def widths(self) -> dict[int, int]:
        """Return the number of channels of each atom, as far as a layer tells.

        A layer tells the width of what it reads and of what it gives, and all that is added up has one width: so what
        is told of one atom tells of others, until nothing new is learned.
        """
        widths: dict[int, int] = {}
        n_known = -1
        while len(widths) > n_known:
            n_known = len(widths)
            for number, source in enumerate([*(atom.source for atom in self.atoms), self.output]):
                maps = [(atom, m) for atom, m in source.terms if isinstance(m, ChannelMap)]
                for atom, m in maps:
                    widths.setdefault(atom, m.weight.shape[1])
                if number < len(self.atoms) and self.atoms[number].module is not None:
                    continue
                alike = [number, *(atom for atom, m in source.terms if isinstance(m, float))]
                told = [m.weight.shape[0] for _, m in maps] + [widths[atom] for atom in alike if atom in widths]
                for atom in alike if told else ():
                    widths.setdefault(atom, told[0])
        return widths


def composed(outer: ChannelMap, value: Affine) -> Affine | None:
    """Return a map of an affine value as an affine value, None if it is none of its atoms."""
    terms: list[tuple[int, ChannelMap | float]] = []
    for atom, inner in value.terms:
        found = outer.scaled(inner) if isinstance(inner, float) else outer.after(inner)
        if found is None:
            return None
        terms.append((atom, found))
    if value.bias is None:
        return Affine(tuple(terms))
    if any(outer.start):
        # Pixels of padding have no bias.
        return None
    return Affine(
        tuple(terms), outer.weight.flatten(2).sum(2) @ value.bias if outer.dims else outer.weight @ value.bias
    )


def _number(value: Any) -> float | None:
    if isinstance(value, torch.Tensor):
        return float(value) if value.numel() == 1 and value.ndim <= 1 else None
    return float(value) if isinstance(value, int | float) else None


def _sum(left: Any, right: Any, sign: float = 1.0) -> Affine | None:
    if isinstance(left, Affine) and isinstance(right, Affine):
        return left.plus(right.scaled(sign))
    if isinstance(left, Affine):
        return left if _number(right) == 0 else None
    return right.scaled(sign) if _number(left) == 0 else None


def _product(left: Any, right: Any) -> Affine | None:
    value, factor = (left, right) if isinstance(left, Affine) else (right, left)
    number = _number(factor)
    return None if number is None or not isinstance(value, Affine) else value.scaled(number)


def _quotient(left: Any, right: Any) -> Affine | None:
    number = _number(right)
    return left.scaled(1 / number) if number and isinstance(left, Affine) else None


# None where the result is not affine.
ARITHMETIC: dict[str, Callable[[Any, Any], Affine | None]] = {
    "add": _sum,
    "sub": lambda left, right: _sum(left, right, -1.0),
    "mul": _product,
    "div": _quotient,
}

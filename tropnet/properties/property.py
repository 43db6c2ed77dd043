"""What a network must satisfy: the inputs that break a property, as a set that must be empty."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tropnet.errors import NonFiniteError, ShapeError
from tropnet.network.domain import Domain, as_domain
from tropnet.network.network import Network, as_network
from tropnet.network.side_by_side import side_by_side
from tropnet.properties.formula import AllOf, AnyOf, Formula, Inequality, as_terms, inequalities
from tropnet.properties.input_set import InputSet, input_cases

__all__ = ["Property"]

ExactRow = ArrayLike | Sequence[float | Fraction]
ExactRows = ArrayLike | Sequence[Sequence[float | Fraction]]


@dataclass(frozen=True, eq=False)
class Property:
    """A property of a network y(x): no x in a domain breaks it.

    It says which inputs break it, as VNN-LIB files do: it is violated iff `formula` holds for some x in the domain and
    its outputs y. Numbers are rational, and strict inequalities are kept apart from others: ``y_0 >= 1/2`` is broken by
    a network that only touches 1/2, ``y_0 > 1/2`` is not.

    Parameters
    ----------
    formula
        Of x and y: an `Inequality`, `AllOf` or `AnyOf`.
    domain
        None (all of R^d), `Box` or `Polytope`; closed.
    n_inputs, n_outputs
        How many the network must have, if that is known.
    beside
        A second network on the same inputs: y is then the outputs of the network followed by those of this one.

    Examples
    --------
    >>> from tropnet.network.domain import Box
    >>> net = Network.mlp([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    >>> Property.always(Box(-1, 1), [[-1]], [1])
    Property(violated where y_0 - 1 > 0, in Box(-1.0, 1.0))
    """

    formula: Formula
    domain: Domain | None = None
    n_inputs: int | None = None
    n_outputs: int | None = None
    beside: Network | None = None

    @classmethod
    def unsafe(cls, domain: Domain | None, C: ExactRows, d: ExactRow, *, strict: bool = False) -> Property:
        """Return the property that no x in the domain has outputs with C y + d >= 0 (> 0 if strict) in every row.

        Parameters
        ----------
        domain
            None (all of R^d), `Box` or `Polytope`.
        C, d
            Shapes (k, n_outputs) and (k,): float64 numbers, taken exactly, or integers or Fractions.
        strict
            Whether the set leaves out its boundary.

        Raises
        ------
        ShapeError, NonFiniteError
            The shapes do not pair up, or an entry is not finite.

        Examples
        --------
        Output 1 is never the largest of two:

        >>> Property.unsafe(None, [[-1, 1]], [0])
        Property(violated where -y_0 + y_1 >= 0)
        """
        rows, n_outputs = _rows(C, d, strict=strict)
        return cls(AllOf(tuple(rows)), domain, n_outputs=n_outputs)

    @classmethod
    def always(cls, domain: Domain | None, C: ExactRows, d: ExactRow, *, strict: bool = False) -> Property:
        """Return the property that C y + d >= 0 (> 0 if strict) holds in every row, on the whole domain.

        Parameters and errors as for `unsafe`.

        Examples
        --------
        0 <= y <= 1:

        >>> Property.always(None, [[1], [-1]], [0, 1])
        Property(violated where -y_0 > 0 or y_0 - 1 > 0)
        """
        rows, n_outputs = _rows(C, d, strict=strict)
        return cls(AnyOf(tuple(row.negated for row in rows)), domain, n_outputs=n_outputs)

    @classmethod
    def class_everywhere(cls, domain: Domain | None, label: int, n_outputs: int) -> Property:
        """Return the property that the class is `label` on the whole domain: the first of the largest outputs.

        A class before it therefore breaks the property where it is as large, one behind it where it is larger.

        Raises
        ------
        ShapeError
            `label` is no index of an output.

        Examples
        --------
        >>> Property.class_everywhere(None, 1, 3)
        Property(violated where y_0 - y_1 >= 0 or -y_1 + y_2 > 0)
        """
        if not 0 <= label < n_outputs:
            raise ShapeError(f"label must be the index of an output, 0 to {n_outputs - 1}, got {label}.")
        others = [
            Inequality((), as_terms({k: 1, label: -1}), Fraction(0), strict=k > label)
            for k in range(n_outputs)
            if k != label
        ]
        return cls(AnyOf(tuple(others)), domain, n_outputs=n_outputs)

    @classmethod
    def close_to(cls, other: Network, domain: Domain | None, epsilon: float | Fraction) -> Property:
        """Return the property that no output differs from that of another network by more than `epsilon`.

        Parameters
        ----------
        other
            A network with as many inputs and outputs; depth and widths may differ.
        domain
            None (all of R^d), `Box` or `Polytope`.
        epsilon
            A number of at least 0, taken exactly: the float64 number 0.1 is a little more than a tenth, which is
            ``Fraction(1, 10)``. With 0 the networks must be the same function; see also `same_function`.

        Raises
        ------
        ValueError
            `epsilon` is no such number.

        Examples
        --------
        >>> net = Network.mlp([[[1.0]], [[1.0]]], [[0.0], [0.0]])
        >>> Property.close_to(net, None, 0.5)
        Property(violated where y_0 - y_1 - 1/2 > 0 or -y_0 + y_1 - 1/2 > 0, beside Network(1-1-1))
        """
        bound = _exact(epsilon, "epsilon")
        if bound < 0:
            raise ValueError(f"epsilon must be at least 0, got {epsilon}.")
        m = as_network(other).n_outputs
        sides = [
            Inequality((), as_terms({k: sign, m + k: -sign}), -bound, strict=True) for k in range(m) for sign in (1, -1)
        ]
        return cls(AnyOf(tuple(sides)), domain, n_inputs=other.n_inputs, n_outputs=m, beside=other)

    def applied(self, net: Network) -> tuple[Network, Domain, Formula]:
        """Return the network whose outputs the formula is about, the domain and the formula, checked.

        Raises
        ------
        ShapeError
            The property is about inputs or outputs that the network lacks, or about fewer than it has.
        DomainError
            The domain is of another dimension.
        """
        for kind, letter, asked, there in (
            ("input", "X", self.n_inputs, net.n_inputs),
            ("output", "Y", self.n_outputs, net.n_outputs),
        ):
            if asked is not None and asked != there:
                extra = f"{letter}_{there} is none of them" if asked > there else f"{letter}_{asked} is missing"
                raise ShapeError(
                    f"the property must be about the {there} {kind}{'s' * (there != 1)} of {net},"
                    f" got one about {asked}: {extra}."
                )
        joint = net if self.beside is None else side_by_side(net, self.beside)
        for kind, letter, there in (("inputs", "x", joint.n_inputs), ("outputs", "y", joint.n_outputs)):
            named = {i for each in inequalities(self.formula) for i, _ in getattr(each, kind)}
            if named and not 0 <= min(named) <= max(named) < there:
                wrong = max(named) if max(named) >= there else min(named)
                raise ShapeError(
                    f"the property names {letter}_{wrong}, and {net} has the {kind} {letter}_0 to {letter}_{there - 1}."
                )
        return joint, as_domain(self.domain, net.n_inputs), self.formula

    def cases(self, net: Network) -> Iterator[tuple[InputSet, Formula]]:
        """Yield sets of inputs, and what breaks the property on each, about inputs and outputs; made one at a time."""
        _, domain, formula = self.applied(net)
        return input_cases(InputSet.of(domain), formula)

    def in_full(self, n_inputs: int | None = None, n_outputs: int | None = None) -> tuple[Formula, int, int]:
        """Return the formula with the domain as a part of it, and the numbers of inputs and outputs.

        Raises
        ------
        ShapeError
            They are not known, or the property is about two networks.
        """
        n = self.n_inputs if n_inputs is None else n_inputs
        m = self.n_outputs if n_outputs is None else n_outputs
        if n is None or m is None or self.beside is not None:
            raise ShapeError(
                "the property of one network can be written, and the numbers of its inputs and outputs must be given,"
                f" got {n} and {m}, {'two networks' if self.beside is not None else 'one network'}."
            )
        rows = as_domain(self.domain, n).integer_rows.tolist()
        sides = [Inequality(as_terms(dict(enumerate(a))), (), Fraction(c)) for *a, c in rows]
        return (AllOf((*sides, self.formula)) if sides else self.formula), n, m

    def __repr__(self) -> str:
        domain = "" if self.domain is None else f", in {self.domain}"
        beside = "" if self.beside is None else f", beside {self.beside}"
        return f"{type(self).__name__}(violated where {_shown(self.formula)}{domain}{beside})"


def _rows(C: ExactRows, d: ExactRow, *, strict: bool) -> tuple[list[Inequality], int]:
    """Return the inequalities C y + d >= 0, and the number of outputs."""
    matrix, constants = np.asarray(C, dtype=object), np.asarray(d, dtype=object)
    if matrix.ndim != 2 or constants.shape != matrix.shape[:1]:
        raise ShapeError(
            f"C and d must have shapes (k, n_outputs) and (k,), got {matrix.shape} and {constants.shape}. Each row is"
            " one inequality C[i] @ y + d[i] >= 0."
        )
    rows = []
    for row, constant in zip(matrix.tolist(), constants.tolist(), strict=True):
        terms = {j: _exact(value, "C") for j, value in enumerate(row)}
        rows.append(Inequality((), as_terms(terms), _exact(constant, "d"), strict))
    return rows, matrix.shape[1]


def _exact(value: Any, name: str) -> Fraction:
    try:
        return Fraction(value.item() if isinstance(value, np.generic) else value)
    except (OverflowError, ValueError, TypeError):
        raise NonFiniteError(f"{name} must be finite numbers, got {value!r}.") from None


def _shown(formula: Formula, *, inner: bool = False) -> str:
    """Return a formula as people write it; of a long one the beginning."""
    if isinstance(formula, Inequality):
        terms = [(f"x_{i}", value) for i, value in formula.inputs] + [(f"y_{j}", value) for j, value in formula.outputs]
        words = [_signed(value, name) for name, value in terms]
        if formula.constant or not words:
            words.append(_signed(formula.constant, ""))
        first = words[0]
        text = " ".join([first[2:] if first[0] == "+" else f"-{first[2:]}", *words[1:]])
        return f"{text} {'>' if formula.strict else '>='} 0"
    if len(formula.parts) == 1:
        return _shown(formula.parts[0], inner=inner)
    word = " and " if isinstance(formula, AllOf) else " or "
    shown = [_shown(part, inner=True) for part in formula.parts[:_FEW]]
    text = word.join([*shown, *(["..."] if len(formula.parts) > _FEW else [])]) or str(isinstance(formula, AllOf))
    return f"({text})" if inner else text


_FEW = 6


def _signed(value: Fraction, name: str) -> str:
    size = "" if abs(value) == 1 and name else f"{abs(value)} " if name else str(abs(value))
    return f"{'-' if value < 0 else '+'} {size}{name}"


def as_property(statement: Any) -> Property:
    """Return a property, or raise an error that says what one is."""
    if not isinstance(statement, Property):
        raise TypeError(
            f"property must be a tropnet.Property, got {type(statement).__name__}. For a VNN-LIB file use"
            " tropnet.read_vnnlib(path)."
        )
    return statement

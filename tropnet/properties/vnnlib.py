"""VNN-LIB 1.0: properties of networks in files, read exactly, and written.

The grammar, with `;` for a comment to the end of the line::

    file       = { command }
    command    = "(" "declare-const" variable "Real" ")" | "(" "assert" formula ")"
               | "(" ( "set-logic" | "set-info" | "set-option" | "check-sat" | "exit" ) { any } ")"     (ignored)
    formula    = "(" ( "and" | "or" ) formula { formula } ")"
               | "(" ( "<=" | ">=" | "<" | ">" | "=" ) term term { term } ")"
    term       = number | variable | "(" "+" term { term } ")" | "(" "-" term { term } ")"
               | "(" "*" term { term } ")" | "(" "/" term number ")"
    variable   = ( "X_" | "Y_" ) index
    number     = [ "-" | "+" ] digits [ "." digits ] [ ( "e" | "E" ) [ "-" | "+" ] digits ], also ".5", "2." and "1/3"

Of the factors of a product at most one may hold variables, and a divisor none. Inputs are X_0, X_1, ..., outputs Y_0,
Y_1, ..., each declared once, before its use, without gaps. All assertions together describe the inputs that *break* the
property: it is violated iff there is an x such that all of them hold for x and y, the outputs at x ("sat").

Numbers are rational: 0.1 is a tenth, not the float64 number next to it.
"""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

from tropnet.errors import FileFormatError
from tropnet.properties.formula import AllOf, AnyOf, Formula, Inequality, as_terms
from tropnet.properties.property import Property

__all__ = ["parse_vnnlib", "read_vnnlib", "vnnlib_text"]

_TOKEN = re.compile(r"\s+|;[^\n]*|[()]|[^\s();]+")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?\d+/\d+", re.ASCII)
_VARIABLE = re.compile(r"([XY])_(0|[1-9]\d{0,8})", re.ASCII)
_IGNORED = frozenset({"set-logic", "set-info", "set-option", "check-sat", "exit"})
_COMPARISONS = ("<=", ">=", "<", ">", "=")
_OPERATORS = ("+", "-", "*", "/")
# Deeper formulas and longer numbers are no properties; both would only use up the stack or the memory.
_DEEPEST, _LONGEST, _LARGEST_EXPONENT = 100, 1_100, 1_100


@dataclass(frozen=True)
class _Node:
    """A word, or a list in parentheses, and where it begins; lines and columns count from 1."""

    line: int
    column: int
    word: str
    parts: tuple[_Node, ...] | None = None

    @property
    def items(self) -> tuple[_Node, ...]:
        """What follows the first word of a list."""
        return (self.parts or ())[1:]

    @property
    def head(self) -> str:
        """The first word of a list; empty if there is none."""
        return self.parts[0].word if self.parts else ""

    def __str__(self) -> str:
        text = self.word if self.parts is None else f"({self.head} ...)" if self.parts else "()"
        return f"{text[:40]}..." if len(text) > 43 else text


@dataclass(frozen=True)
class _Linear:
    """A linear form of the variables, by name."""

    terms: dict[str, Fraction]
    constant: Fraction

    def plus(self, other: _Linear, factor: Fraction) -> _Linear:
        terms = dict(self.terms)
        for name, value in other.terms.items():
            terms[name] = terms.get(name, Fraction(0)) + factor * value
        return _Linear({name: value for name, value in terms.items() if value}, self.constant + factor * other.constant)

    def times(self, factor: Fraction) -> _Linear:
        return _Linear({}, Fraction(0)).plus(self, factor)


def read_vnnlib(path: str | os.PathLike[str]) -> Property:
    """Read a property from a VNN-LIB file (.vnnlib, or .vnnlib.gz).

    Parameters
    ----------
    path
        A file of VNN-LIB 1.0, the form of the verification competitions from 2021 to 2025; see
        `tropnet.properties.vnnlib` for the grammar.

    Returns
    -------
    Property
        Violated where all assertions hold.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    FileFormatError
        The file breaks the grammar; the message names line and column.
    """
    name = os.fspath(path)
    try:
        data = Path(path).read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileFormatError(f"'{name}' must be a whole gzip file: {error}.") from error
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise FileFormatError(
            f"'{name}', line {line}, column {column}: a VNN-LIB file is text in UTF-8, got the byte"
            f" 0x{data[error.start]:02x}."
        ) from error
    return parse_vnnlib(text, f"'{name}'")


def parse_vnnlib(text: str, where: str = "the text") -> Property:
    """Return the property that a text in VNN-LIB 1.0 describes; errors as for `read_vnnlib`, with `where` it is from.

    Examples
    --------
    >>> text = '''
    ... (declare-const X_0 Real)
    ... (declare-const Y_0 Real)
    ... (assert (and (>= X_0 0) (<= X_0 0.1)))  ; 0 <= x <= 1/10
    ... (assert (>= Y_0 (* 2 X_0)))
    ... '''
    >>> found = parse_vnnlib(text)
    >>> found.n_inputs, found.n_outputs, found.formula.parts[0].parts[1]
    (1, 1, Inequality(inputs=((0, Fraction(-1, 1)),), outputs=(), constant=Fraction(1, 10), strict=False))
    """
    return _Reader(where).read(text)


class _Reader:
    """Reads one text; knows which variables are declared."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.declared: dict[str, tuple[int, int]] = {}

    def read(self, text: str) -> Property:
        asserted: list[Formula] = []
        for command in self._nodes(text):
            match command.head:
                case "declare-const":
                    self._declare(command)
                case "assert":
                    if len(command.items) != 1:
                        self._fail(command, f"assert takes one formula, got {len(command.items)}")
                    asserted.append(self._formula(command.items[0], 0))
                case "vnnlib-version" | "declare-network":
                    self._fail(command, "this is VNN-LIB 2.0, and version 1.0 is read")
                case head if head not in _IGNORED:
                    self._fail(command, f"a command is (declare-const NAME Real) or (assert FORMULA), got {command}")
        counts = {kind: self._count(kind) for kind in "XY"}
        if not counts["X"]:
            raise FileFormatError(f"{self.where} must declare the inputs, X_0 and so on; it declares none.")
        return Property(AllOf(tuple(asserted)), None, n_inputs=counts["X"], n_outputs=counts["Y"])

    def _count(self, kind: str) -> int:
        """Return the number of inputs or outputs, declared without gaps."""
        names = [name for name in self.declared if name[0] == kind]
        for i in range(len(names)):
            if f"{kind}_{i}" not in self.declared:
                raise FileFormatError(
                    f"{self.where} must declare {kind}_0, {kind}_1, ... without gaps; it declares {len(names)} of them,"
                    f" and {kind}_{i} is not there."
                )
        return len(names)

    def _declare(self, command: _Node) -> None:
        if len(command.items) != 2 or any(item.parts is not None for item in command.items):
            self._fail(command, "a declaration reads (declare-const NAME Real)")
        name, kind = command.items
        if not _VARIABLE.fullmatch(name.word):
            self._fail(name, f"variables are inputs X_0, X_1, ... and outputs Y_0, Y_1, ..., got {name}")
        if kind.word != "Real":
            self._fail(kind, f"variables are Real, got {kind}")
        if name.word in self.declared:
            line, column = self.declared[name.word]
            self._fail(name, f"{name} is declared twice, first in line {line}, column {column}")
        self.declared[name.word] = name.line, name.column

    def _formula(self, node: _Node, depth: int) -> Formula:
        self._check_depth(node, depth)
        head = node.head
        if head in ("and", "or"):
            if not node.items:
                self._fail(node, f"{head} takes at least one formula, got none")
            parts = tuple(self._formula(item, depth + 1) for item in node.items)
            return parts[0] if len(parts) == 1 else AllOf(parts) if head == "and" else AnyOf(parts)
        if head not in _COMPARISONS:
            self._fail(node, f"a formula begins with one of and, or, {', '.join(_COMPARISONS)}; got {node}")
        if len(node.items) < 2:
            self._fail(node, f"{head} compares two terms, got {len(node.items)}")
        terms = [self._term(item, depth + 1) for item in node.items]
        pairs = [each for left, right in pairwise(terms) for each in _compared(head, left, right)]
        return pairs[0] if len(pairs) == 1 else AllOf(tuple(pairs))

    def _term(self, node: _Node, depth: int) -> _Linear:
        self._check_depth(node, depth)
        if node.parts is None:
            return self._word(node)
        head = node.head
        if head not in _OPERATORS:
            self._fail(node, f"a term begins with one of {', '.join(_OPERATORS)}; got {node}")
        if not node.items:
            self._fail(node, f"{head} takes at least one term, got none")
        terms = [self._term(item, depth + 1) for item in node.items]
        first, *rest = terms
        if head == "+":
            return reduce(lambda total, term: total.plus(term, Fraction(1)), rest, first)
        if head == "-":
            return (
                reduce(lambda total, term: total.plus(term, Fraction(-1)), rest, first)
                if rest
                else first.times(Fraction(-1))
            )
        if head == "*":
            return reduce(lambda left, right: self._product(node, left, right), rest, first)
        if len(terms) != 2 or rest[0].terms or not rest[0].constant:
            self._fail(node, "/ divides a term by one number that is not 0")
        return first.times(1 / rest[0].constant)

    def _product(self, node: _Node, left: _Linear, right: _Linear) -> _Linear:
        if left.terms and right.terms:
            names = f"{min(left.terms)} and {min(right.terms)}"
            self._fail(node, f"a product of variables ({names}) is not linear; multiply variables by numbers only")
        return left.times(right.constant) if left.terms else right.times(left.constant)

    def _word(self, node: _Node) -> _Linear:
        word = node.word
        if word in self.declared:
            return _Linear({word: Fraction(1)}, Fraction(0))
        if _VARIABLE.fullmatch(word):
            self._fail(node, f"{word} is not declared; add (declare-const {word} Real) before its use")
        if not _NUMBER.fullmatch(word):
            self._fail(node, f"a term is a number, a variable X_i or Y_j, or (+ - * / ...), got {node}")
        exponent = re.split("[eE]", word)[1] if "e" in word.lower() else "0"
        if (
            len(word) > _LONGEST
            or len(exponent) > len(str(_LARGEST_EXPONENT)) + 1
            or (abs(int(exponent)) > _LARGEST_EXPONENT)
        ):
            self._fail(
                node,
                f"numbers have at most {_LONGEST} characters and exponents up to {_LARGEST_EXPONENT}, got {node}",
            )
        try:
            return _Linear({}, Fraction(word))
        except ZeroDivisionError:
            self._fail(node, f"the denominator of {node} is 0")

    def _nodes(self, text: str) -> Iterator[_Node]:
        """Yield the lists of the outermost level; all else there is an error."""
        opened: list[tuple[int, int, list[_Node]]] = []
        line, start = 1, 0
        for found in _TOKEN.finditer(text):
            token, column = found.group(), found.start() - start + 1
            if token == "(":  # noqa: S105 - no password
                opened.append((line, column, []))
            elif token == ")":  # noqa: S105
                if not opened:
                    self._fail(_Node(line, column, token), "there is no opening parenthesis for this closing one")
                first_line, first_column, parts = opened.pop()
                node = _Node(first_line, first_column, "", tuple(parts))
                if opened:
                    opened[-1][2].append(node)
                else:
                    yield node
            elif token[0] == ";":
                continue
            elif token.isspace():
                if "\n" in token:
                    line, start = line + token.count("\n"), found.start() + token.rfind("\n") + 1
            elif opened:
                opened[-1][2].append(_Node(line, column, token))
            else:
                node = _Node(line, column, token)
                self._fail(node, f"a command begins with an opening parenthesis, got {node}")
        if opened:
            first_line, first_column, _ = opened[-1]
            self._fail(_Node(first_line, first_column, "("), "this parenthesis is not closed")

    def _check_depth(self, node: _Node, depth: int) -> None:
        if depth > _DEEPEST:
            self._fail(node, f"formulas and terms may be nested {_DEEPEST} deep")

    def _fail(self, node: _Node, message: str) -> NoReturn:
        raise FileFormatError(f"{self.where}, line {node.line}, column {node.column}: {message}.")


def _compared(sign: str, left: _Linear, right: _Linear) -> list[Inequality]:
    """Return the inequalities that a comparison stands for."""
    over, under = left.plus(right, Fraction(-1)), right.plus(left, Fraction(-1))
    sides = {"<=": [under], "<": [under], ">=": [over], ">": [over], "=": [over, under]}[sign]
    found = []
    for side in sides:
        inputs, outputs = (
            as_terms({int(name[2:]): value for name, value in side.terms.items() if name[0] == kind}) for kind in "XY"
        )
        found.append(Inequality(inputs, outputs, side.constant, sign in "<>"))
    return found


def vnnlib_text(statement: Property, n_inputs: int | None = None, n_outputs: int | None = None) -> str:
    """Return a text in VNN-LIB 1.0 that describes a property; `parse_vnnlib` gives it back.

    Parameters
    ----------
    statement
        A property of one network; its domain becomes assertions.
    n_inputs, n_outputs
        How many to declare, where the property does not say.

    Raises
    ------
    ShapeError
        The numbers of inputs and outputs are not known.

    Examples
    --------
    >>> print(vnnlib_text(Property(Inequality((), as_terms({0: 2}), Fraction(-1, 3), True)), 1, 1))
    (declare-const X_0 Real)
    (declare-const Y_0 Real)
    (assert (> (+ (* 2 Y_0) (- (/ 1 3))) 0))
    """
    whole, n_inputs, n_outputs = statement.in_full(n_inputs, n_outputs)
    names = [f"X_{i}" for i in range(n_inputs)] + [f"Y_{j}" for j in range(n_outputs)]
    parts = whole.parts if isinstance(whole, AllOf) else (whole,)
    lines = [f"(declare-const {name} Real)" for name in names]
    return "\n".join([*lines, *(f"(assert {_written(part)})" for part in parts)])


def _written(formula: Formula) -> str:
    if isinstance(formula, Inequality):
        terms = [("X", i, value) for i, value in formula.inputs] + [("Y", j, value) for j, value in formula.outputs]
        words = [f"(* {_number(value)} {kind}_{i})" for kind, i, value in terms]
        return f"({'>' if formula.strict else '>='} (+ {' '.join([*words, _number(formula.constant)])}) 0)"
    if not formula.parts:
        return "(<= 0 0)" if isinstance(formula, AllOf) else "(< 0 0)"
    return f"({'and' if isinstance(formula, AllOf) else 'or'} {' '.join(map(_written, formula.parts))})"


def _number(value: Fraction) -> str:
    size = abs(value)
    text = str(size.numerator) if size.denominator == 1 else f"(/ {size.numerator} {size.denominator})"
    return f"(- {text})" if value < 0 else text

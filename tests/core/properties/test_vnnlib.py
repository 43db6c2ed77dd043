"""VNN-LIB files: numbers read exactly, what is written is read back, and errors with their place."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.core.properties.test_verdicts import formulas
from tropnet import Box, FileFormatError, Network, Property, ShapeError, read_vnnlib, verify
from tropnet.properties import AllOf, AnyOf, Inequality, parse_vnnlib, vnnlib_text
from tropnet.properties.formula import Formula, as_terms

DECLARED = "(declare-const X_0 Real)\n(declare-const X_1 Real)\n(declare-const Y_0 Real)\n"


def read(assertion: str) -> Formula:
    """Return the formula of one assertion about two inputs and an output."""
    found = parse_vnnlib(f"{DECLARED}(assert {assertion})").formula
    assert isinstance(found, AllOf)
    (part,) = found.parts
    return part


def at_least(
    inputs: dict[int, object], outputs: dict[int, object], constant: object, *, strict: bool = False
) -> Inequality:
    return Inequality(as_terms(inputs), as_terms(outputs), Fraction(constant), strict)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1", Fraction(1, 10)),
        ("-0.328422877", Fraction(-328422877, 10**9)),
        ("3.991125645861615", Fraction(3991125645861615, 10**15)),
        ("1e-3", Fraction(1, 1000)),
        ("+2.50E+2", Fraction(250)),
        (".5", Fraction(1, 2)),
        ("7.", Fraction(7)),
        ("1/3", Fraction(1, 3)),
        ("(/ 1 3)", Fraction(1, 3)),
        ("(- 0.25)", Fraction(-1, 4)),
        ("(* 2 (+ 1 0.5) (- 3 1 1))", Fraction(3)),
        ("1e308", Fraction(10**308)),
    ],
)
def test_numbers_are_rational(text: str, value: Fraction) -> None:
    """Decimals, exponents and fractions are what they show, not the float64 numbers next to them."""
    assert read(f"(<= X_0 {text})") == at_least({0: -1}, {}, value)


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        ("(<= X_0 1)", at_least({0: -1}, {}, 1)),
        ("(>= X_0 1)", at_least({0: 1}, {}, -1)),
        ("(< Y_0 X_1)", at_least({1: 1}, {0: -1}, 0, strict=True)),
        ("(> Y_0 X_1)", at_least({1: -1}, {0: 1}, 0, strict=True)),
        ("(= Y_0 2)", AllOf((at_least({}, {0: 1}, -2), at_least({}, {0: -1}, 2)))),
        ("(<= 0 X_0 1)", AllOf((at_least({0: 1}, {}, 0), at_least({0: -1}, {}, 1)))),
        ("(>= (+ (* 2 X_0) (* X_1 -3) Y_0 1) (- X_0 4))", at_least({0: 1, 1: -3}, {0: 1}, 5)),
        ("(<= (- X_0 X_1 1) (/ Y_0 4))", at_least({0: -1, 1: 1}, {0: Fraction(1, 4)}, 1)),
        ("(<= (- X_0 X_0) 1)", at_least({}, {}, 1)),
        (
            "(or (and (<= X_0 1) (>= Y_0 2)) (< Y_0 0)) ; a comment ( not closed",
            AnyOf((AllOf((at_least({0: -1}, {}, 1), at_least({}, {0: 1}, -2))), at_least({}, {0: -1}, 0, strict=True))),
        ),
    ],
)
def test_formulas(text: str, formula: Formula) -> None:
    """Comparisons of linear terms, with and, or and comments."""
    assert parse_vnnlib(f"{DECLARED}(assert\n {text}\n)").formula == AllOf((formula,))


def test_a_published_form(tmp_path: Path) -> None:
    """A file as the competitions publish them, plain and compressed: several boxes, a fixed input, closed sets."""
    text = f"""; a property
{DECLARED}
; unscaled: (0, 0)
(assert (<= X_1 0.0))
(assert (>= X_1 0.0))
(assert (or
    (and (<= X_0 0.7) (>= X_0 0.1))
    (and (<= X_0 -0.1) (>= X_0 -0.7))
))
(assert (or (and (>= Y_0 0.7)) (and (<= Y_0 -5))))
"""
    path, packed = tmp_path / "p.vnnlib", tmp_path / "p.vnnlib.gz"
    path.write_text(text)
    packed.write_bytes(gzip.compress(text.encode()))
    net = Network.mlp([[[1.0, 0.0], [-1.0, 0.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    for name in (path, packed):
        found = verify(net, read_vnnlib(name))
        assert found.status == "violated"
        assert found.counterexample is not None
        # 0.7 is 7/10: a float64 input of this size is less, so the exact counterexample is none of them.
        assert abs(found.counterexample.x[0]) == Fraction(7, 10)
        assert not found.counterexample.confirmed
    strict = verify(net, parse_vnnlib(text.replace(">= Y_0 0.7", "> Y_0 0.7")))
    assert (strict.status, strict.n_cases) == ("holds", 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{DECLARED}(assert (<= X_0 1)", "line 4, column 1: this parenthesis is not closed"),
        (f"{DECLARED}(assert (<= X_0 1)))", "line 4, column 20: there is no opening parenthesis for this closing one"),
        (f"{DECLARED}(assert\n  (<= (* X_0 Y_0) 1))", r"line 5, column 7: a product of variables \(X_0 and Y_0\)"),
        (f"{DECLARED}(assert (<= X_2 1))", r"line 4, column 13: X_2 is not declared; add \(declare-const X_2 Real\)"),
        (f"{DECLARED}(assert (<= (/ 1 X_0) 1))", "line 4, column 13: / divides a term by one number"),
        (f"{DECLARED}(assert (<= (/ X_0 0) 1))", "line 4, column 13: / divides a term by one number that is not 0"),
        (f"{DECLARED}(assert (<= X_0 1/0))", "line 4, column 17: the denominator of 1/0 is 0"),
        (f"{DECLARED}(assert (<= X_0 nan))", "line 4, column 17: a term is a number, a variable"),
        (f"{DECLARED}(assert (<= X_0 1e99999))", "exponents up to 1100"),
        (f"{DECLARED}(assert (<= X_0 {'1' * 2000}))", "at most 1100 characters"),
        (f"{DECLARED}(assert (not (<= X_0 1)))", "line 4, column 9: a formula begins with one of and, or"),
        (f"{DECLARED}(assert X_0)", "line 4, column 9: a formula begins"),
        (f"{DECLARED}(assert (<= X_0))", "line 4, column 9: <= compares two terms, got 1"),
        (f"{DECLARED}(assert (and))", "and takes at least one formula"),
        (f"{DECLARED}(assert (<= (+) 1))", r"\+ takes at least one term"),
        (f"{DECLARED}(assert (<= (exp X_0) 1))", r"a term begins with one of \+, -, \*, /; got \(exp"),
        (f"{DECLARED}(assert)", "assert takes one formula, got 0"),
        (f"{DECLARED}{'(assert (<= ' + '(- ' * 200}X_0{')' * 200} 1))", "nested 100 deep"),
        (f"{DECLARED}(minimize X_0)", r"a command is \(declare-const NAME Real\) or"),
        ("X_0", "line 1, column 1: a command begins with an opening parenthesis"),
        ("(declare-const Z_0 Real)", "line 1, column 16: variables are inputs X_0"),
        ("(declare-const X_0 Int)", "line 1, column 20: variables are Real"),
        ("(declare-const X_0)", r"a declaration reads \(declare-const NAME Real\)"),
        (f"{DECLARED}(declare-const X_1 Real)", "X_1 is declared twice, first in line 2, column 16"),
        ("(declare-const X_0 Real)(declare-const X_2 Real)", "without gaps; it declares 2 of them, and X_1 is not"),
        ("", "must declare the inputs"),
        ("(vnnlib-version <2.0>)", "this is VNN-LIB 2.0"),
    ],
)
def test_errors_name_their_place(text: str, message: str) -> None:
    """What breaks the grammar is one line, with line, column and what to do."""
    with pytest.raises(FileFormatError, match=message) as caught:
        parse_vnnlib(text, "'p.vnnlib'")
    assert str(caught.value).startswith("'p.vnnlib'")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"(declare-const X_0 Real)\n; \xff", "line 2, column 3: a VNN-LIB file is text in UTF-8, got the byte 0xff"),
        (gzip.compress(b"(assert", mtime=0)[:-4], "must be a whole gzip file"),
    ],
)
def test_damaged_files(tmp_path: Path, data: bytes, message: str) -> None:
    """Bytes that are no text, or a part of a file only, are refused."""
    path = tmp_path / "p.vnnlib"
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match=message):
        read_vnnlib(path)


@given(formulas(2, 2))
def test_what_is_written_is_read_back(formula: Formula) -> None:
    """A random formula survives writing and reading: the same formula, but for "and" and "or" of one part."""
    parts = formula.parts if isinstance(formula, AllOf) else (formula,)
    assert parse_vnnlib(vnnlib_text(Property(formula), 2, 2)).formula == AllOf(tuple(map(flat, parts)))


def flat(formula: Formula) -> Formula:
    if isinstance(formula, Inequality):
        return formula
    parts = tuple(map(flat, formula.parts))
    return parts[0] if len(parts) == 1 else type(formula)(parts)


def test_a_domain_is_written_with_the_property() -> None:
    """Box sides become assertions; what is not one network's is refused."""
    net = Network.random([1, 3, 1], seed=0)
    text = vnnlib_text(Property.always(Box(0, 0.5), [[1]], [1]), 1)
    assert "(assert (>= (+ (* (- 2) X_0) 1) 0))" in text
    assert parse_vnnlib(text).n_outputs == 1
    with pytest.raises(ShapeError, match="got None and 1"):
        vnnlib_text(Property.always(None, [[1]], [1]))
    with pytest.raises(ShapeError, match="two networks"):
        vnnlib_text(Property.close_to(net, None, 1))


WORDS = st.sampled_from(
    [
        "(",
        ")",
        "(assert",
        "(declare-const",
        "X_0",
        "Y_0",
        "Real)",
        "and",
        "(or",
        "(<=",
        "(*",
        "(-",
        "(/",
        "1",
        "0",
        "-.5e3",
        "x",
        ";",
        "\n",
    ]
)


@given(st.binary(max_size=200))
@example(b"")
@example(b"((((")
def test_random_bytes_give_our_error_or_a_property(data: bytes) -> None:
    """No bytes raise anything but the error of the format."""
    only_ours(lambda: parse_vnnlib(data.decode("latin-1")))


@given(st.lists(WORDS, max_size=40))
def test_random_words_give_our_error_or_a_property(words: list[str]) -> None:
    """No sequence of words of the language raises anything but the error of the format."""
    only_ours(lambda: parse_vnnlib(f"{DECLARED}{' '.join(words)}"))
    only_ours(lambda: parse_vnnlib(f"{DECLARED}(assert {' '.join(words)})"))


def only_ours(call: Callable[[], Property]) -> None:
    try:
        call()
    except FileFormatError as error:
        assert re.match("the text(, line [0-9]+, column [0-9]+:| must declare)", str(error))  # noqa: PT017 - either is right

"""What a certificate states: of which network, on which domain, how many regions, and which bounds of the outputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isfinite
from typing import Any, NamedTuple

from tropnet.errors import CertificateError

__all__ = ["Bound", "Claim", "Empty", "Hull", "Layers", "PlainLayer", "Statement", "fingerprint", "fraction", "text"]

FORMAT = "tropnet certificate"
VERSION = 1
# Python reads decimal numbers of up to 4,300 digits.
_LONG_BITS = 10_000


class PlainLayer(NamedTuple):
    """One layer as lists of floats: a matrix of shape (n_l, n_k) for each source k, biases, two slopes a neuron."""

    weights: Mapping[int, Sequence[Sequence[float]]]
    bias: Sequence[float]
    slopes: Sequence[Sequence[float]]


Layers = Sequence[PlainLayer]


class Hull(NamedTuple):
    """The affine hull of a domain of lower dimension: x = origin + sum of t_i basis[i].

    The rows `equalities` of the domain, b_i - a_i x, vanish on it, as their sum times `multipliers` > 0 is zero.
    """

    origin: tuple[Fraction, ...]
    basis: tuple[tuple[Fraction, ...], ...]
    equalities: tuple[int, ...]
    multipliers: tuple[Fraction, ...]


class Bound(NamedTuple):
    """A claim: output . y + constant <= value on the whole domain, with equality at `attained`, if that is given."""

    output: tuple[Fraction, ...]
    constant: Fraction
    value: Fraction
    attained: tuple[Fraction, ...] | None = None

    def described(self) -> str:
        """Say in a line what is claimed.

        Examples
        --------
        >>> Bound((Fraction(1), Fraction(-1)), Fraction(0), Fraction(5, 2), (Fraction(1),)).described()
        'maximum 2.5 of y_0 - y_1'
        """
        terms = [
            f"{'-' if c < 0 else '+'} {'' if abs(c) == 1 else f'{_short(abs(c))} '}y_{i}"
            for i, c in enumerate(self.output)
            if c
        ]
        terms += [f"{'-' if self.constant < 0 else '+'} {_short(abs(self.constant))}"] if self.constant else []
        form = " ".join(terms).removeprefix("+ ").replace("- ", "-", 1 if terms and terms[0][0] == "-" else 0) or "0"
        return f"{'bound' if self.attained is None else 'maximum'} {_short(self.value)} of {form}"


class Empty(NamedTuple):
    """A claim: at no point of the domain all of these rows, coefficients of y and then a constant, are >= 0."""

    rows: tuple[tuple[Fraction, ...], ...]

    def described(self) -> str:
        """Say in a line what is claimed."""
        several = f"{len(self.rows)} inequalities hold together" if len(self.rows) > 1 else "an inequality holds"
        return f"no point where {several}"


Claim = Bound | Empty


@dataclass(frozen=True)
class Statement:
    """What a certificate states; its header.

    Attributes
    ----------
    network
        The `fingerprint` of the network.
    n_inputs, n_neurons
        Its inputs and hidden neurons.
    A, b
        The domain, A x <= b: finite floats.
    hull
        None for a domain with interior.
    claims
        What is claimed of the outputs.
    n_regions, n_linear_regions
        How many regions there are, in all parts; None where linear regions were not counted.
    part, n_parts
        Which of the files of the certificate this is, from 0, and how many there are.
    """

    network: str
    n_inputs: int
    n_neurons: int
    A: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    hull: Hull | None = None
    claims: tuple[Claim, ...] = ()
    n_regions: int = 0
    n_linear_regions: int | None = None
    part: int = 0
    n_parts: int = 1

    @property
    def dimension(self) -> int:
        """The dimension k of the domain, and so of witnesses, points and boxes."""
        return self.n_inputs if self.hull is None else len(self.hull.basis)

    @property
    def n_claim_rows(self) -> int:
        """How many rows all claims of the kind "empty" have: the length of `claim_weights`."""
        return sum(len(claim.rows) for claim in self.claims if isinstance(claim, Empty))

    def of_part(self, part: int) -> Statement:
        """Return the header of another part."""
        return replace(self, part=part)

    def to_json(self) -> str:
        """Return the header of a file."""
        hull = self.hull
        return json.dumps(
            {
                "format": FORMAT,
                "version": VERSION,
                "network": self.network,
                "domain": {
                    "A": [[value.hex() for value in row] for row in self.A],
                    "b": [value.hex() for value in self.b],
                },
                "n_inputs": self.n_inputs,
                "n_neurons": self.n_neurons,
                "hull": hull
                and {
                    "origin": _texts(hull.origin),
                    "basis": [_texts(row) for row in hull.basis],
                    "equalities": list(hull.equalities),
                    "multipliers": _texts(hull.multipliers),
                },
                "claims": [_claim_values(claim) for claim in self.claims],
                "n_regions": self.n_regions,
                "n_linear_regions": self.n_linear_regions,
                "part": self.part,
                "n_parts": self.n_parts,
            }
        )

    @classmethod
    def from_json(cls, header: str | bytes) -> Statement:
        """Read the header of a file; whatever is missing or of another type raises one exception or another.

        Raises
        ------
        CertificateError
            It is of another format or version, or numbers do not fit together.
        """
        values = json.loads(header)
        if values["format"] != FORMAT or _count(values["version"]) != VERSION:
            raise CertificateError(
                f"the header must say format '{FORMAT}', version {VERSION}, got '{values['format']}',"
                f" version {values['version']}: check it with the tropnet that wrote it."
            )
        A = tuple(tuple(map(float.fromhex, row)) for row in values["domain"]["A"])
        b = tuple(map(float.fromhex, values["domain"]["b"]))
        hull = values["hull"]
        statement = cls(
            network=str(values["network"]),
            n_inputs=_count(values["n_inputs"]),
            n_neurons=_count(values["n_neurons"]),
            A=A,
            b=b,
            hull=None
            if hull is None
            else Hull(
                _fractions(hull["origin"]),
                tuple(map(_fractions, hull["basis"])),
                tuple(map(_count, hull["equalities"])),
                _fractions(hull["multipliers"]),
            ),
            claims=tuple(map(_claim, values["claims"])),
            n_regions=_count(values["n_regions"]),
            n_linear_regions=None if values["n_linear_regions"] is None else _count(values["n_linear_regions"]),
            part=_count(values["part"]),
            n_parts=_count(values["n_parts"]),
        )
        if len(A) != len(b) or any(len(row) != statement.n_inputs for row in A):
            raise CertificateError("the domain in the header must have a side and n_inputs coefficients for each row.")
        if not all(map(isfinite, [*b, *(value for row in A for value in row)])):
            raise CertificateError("the domain in the header must have finite numbers.")
        return statement


def fingerprint(layers: Layers, n_inputs: int) -> str:
    """Return the SHA-256, hexadecimal, of a text that spells out a network.

    The text has a line for the inputs; then for each layer, in order: its sources, ascending, each with a line for each
    neuron's weights; the biases; for all layers but the last, the slopes. Numbers are written by `float.hex`, zero
    without a sign, and separated by blanks.

    Examples
    --------
    >>> fingerprint([PlainLayer({0: [[1.0]]}, [0.5], [[1.0, 1.0]])], 1)[:16]
    '7c560574107b699d'
    """
    digest = hashlib.sha256(f"inputs {n_inputs}\n".encode())
    for index, layer in enumerate(layers, start=1):
        digest.update(f"layer {index}\n".encode())
        for source in sorted(layer.weights):
            digest.update(f"source {source}\n".encode())
            for row in layer.weights[source]:
                digest.update(_line(row))
        digest.update(b"bias\n" + _line(layer.bias))
        if index < len(layers):
            digest.update(b"slopes\n" + b"".join(map(_line, layer.slopes)))
    return digest.hexdigest()


def _line(values: Sequence[float]) -> bytes:
    return (" ".join([(value + 0.0).hex() for value in values]) + "\n").encode()


def _short(value: Fraction) -> str:
    """Return about what a number is."""
    try:
        return f"{float(value):.6g}"
    except OverflowError:
        return "a number beyond float64"


def text(value: Fraction) -> str:
    """Return a rational number as text: decimal, or hexadecimal, as 0x1f/0x2, where it is long.

    Examples
    --------
    >>> text(Fraction(-1, 2)), fraction("-0x1/0x2")
    ('-1/2', Fraction(-1, 2))
    """
    n, d = value.numerator, value.denominator
    if max(abs(n), d).bit_length() > _LONG_BITS:
        return f"{n:#x}/{d:#x}"
    return str(n) if d == 1 else f"{n}/{d}"


def fraction(written: str) -> Fraction:
    """Undo `text`; nothing but one or two integers is read.

    Raises
    ------
    ValueError, ZeroDivisionError, TypeError
        It is something else.
    """
    numerator, slash, denominator = written.partition("/")
    return Fraction(int(numerator, 0), int(denominator, 0) if slash else 1)


def _texts(values: Sequence[Fraction]) -> list[str]:
    return [text(value) for value in values]


def _fractions(values: Sequence[str]) -> tuple[Fraction, ...]:
    return tuple(map(fraction, values))


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise CertificateError(f"the header must hold integers of at least 0 where it counts, got {value!r}.")
    return value


def _claim_values(claim: Claim) -> dict[str, Any]:
    if isinstance(claim, Empty):
        return {"kind": "empty", "rows": [_texts(row) for row in claim.rows]}
    return {
        "kind": "bound",
        "output": _texts(claim.output),
        "constant": text(claim.constant),
        "value": text(claim.value),
        "attained": None if claim.attained is None else _texts(claim.attained),
    }


def _claim(values: Mapping[str, Any]) -> Claim:
    match values["kind"]:
        case "empty":
            return Empty(tuple(map(_fractions, values["rows"])))
        case "bound":
            attained = None if values["attained"] is None else _fractions(values["attained"])
            return Bound(
                _fractions(values["output"]), fraction(values["constant"]), fraction(values["value"]), attained
            )
    raise CertificateError(f"a claim must be of the kind 'bound' or 'empty', got {values['kind']!r}.")

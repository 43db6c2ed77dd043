"""Check a certificate: that its patterns are all activation regions of a network in a domain, each once.

Plain Python over the integers, made to be read: it uses no solver, no engine and no geometry of this package, but
`rows`, `domain`, `composition`, `cell`, `claims`, `statement` and `files` beside it, and trusts nothing in the file.
The argument that makes these checks a proof is in docs/mathematics/certificates.md, whose rules have their names here.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from tropnet.errors import CertificateError
from tropnet.proofs.cell import Cell, Facet
from tropnet.proofs.claims import ClaimRows, check_attained
from tropnet.proofs.composition import Composition, IntegerNetwork
from tropnet.proofs.domain import IntegerDomain
from tropnet.proofs.files import paths_of, read_regions, read_statement
from tropnet.proofs.rows import Box, Row, Scaled, left_over, primitive
from tropnet.proofs.statement import Layers, Statement, fingerprint, fraction

__all__ = ["Outcome", "check_certificate"]

_DIGEST_BYTES = 32

Outputs = tuple[list[Row], int]  # y as rows in t, and their unit


class Outcome(NamedTuple):
    """What was proven: the statement, and how many facets and implied rows proved it, in how many seconds."""

    statement: Statement
    n_facets: int
    n_implied: int
    seconds: float


def check_certificate(
    layers: Layers,
    n_inputs: int,
    path: str | os.PathLike[str],
    A: Sequence[Sequence[float]] | None = None,
    b: Sequence[float] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Outcome:
    """Check a certificate against a network, and against the domain A x <= b, if that is given.

    Parameters
    ----------
    layers, n_inputs
        The network, as lists of floats; the slopes of the last layer are not read.
    path
        A file, or a directory that holds the parts.
    A, b
        The rows of the domain; None to take that of the file, which the outcome tells.
    progress
        Called with the number of regions checked and that of all.

    Raises
    ------
    CertificateError
        The certificate does not prove what it states, states it of another network or domain, or is malformed.
    FileNotFoundError
        There is no such file or directory.
    """
    start = time.perf_counter()
    network = IntegerNetwork(layers, n_inputs)
    paths = paths_of(path)
    try:
        statements = [read_statement(each) for each in paths]
        statement = _joined(statements)
        _check_network(statement, network, fingerprint(layers, n_inputs))
        _check_domain(statement, A, b)
        check = _Check(network, statement)
        for each in paths:
            for columns in read_regions(each, network.n_neurons):
                check.region(columns)
                if progress is not None:
                    progress(check.n_regions, statement.n_regions)
        check.finish()
    except CertificateError as error:
        raise CertificateError(f"'{os.fspath(path)}' is no proof: {error}") from None
    except Exception as error:
        if _is_of_the_machine(error):
            raise
        with suppress(OSError):
            if any(not _is_parquet(each) for each in paths):
                raise CertificateError(
                    f"'{os.fspath(path)}' is no certificate: it is no Parquet file, as `certify` writes."
                ) from None
        # What is malformed can raise anything, and proves nothing.
        raise CertificateError(f"'{os.fspath(path)}' is {_malformed(error)}") from error
    return Outcome(statement, check.n_facets, check.n_implied, time.perf_counter() - start)


# --- the statement


def _joined(statements: list[Statement]) -> Statement:
    """Return the one statement of all parts, which must be there, each once and in order."""
    first = statements[0]
    for i, each in enumerate(statements):
        if each != first.of_part(i) or first.n_parts != len(statements):
            raise CertificateError(
                f"file {i} must be part {i} of {len(statements)} of the same certificate, got part {each.part} of"
                f" {each.n_parts}{'' if each == first.of_part(each.part) else ' of another'}."
            )
    return first


def _check_network(statement: Statement, network: IntegerNetwork, own: str) -> None:
    if statement.network != own:
        raise CertificateError(
            f"the network must have the fingerprint {statement.network[:16]}..., got {own[:16]}...: it is another"
            " network, if only by one rounding of a weight."
        )
    if (statement.n_inputs, statement.n_neurons) != (network.n_inputs, network.n_neurons):
        raise CertificateError("the header counts inputs or neurons of another network.")


def _check_domain(statement: Statement, A: Sequence[Sequence[float]] | None, b: Sequence[float] | None) -> None:
    if A is not None and b is not None:
        asked = {(*map(float, row), float(side)) for row, side in zip(A, b, strict=True)}
        if asked != {(*row, side) for row, side in zip(statement.A, statement.b, strict=True)}:
            raise CertificateError(
                f"its domain must be the one asked about, of {len(asked)} rows A x <= b, got other rows"
                f" ({len(statement.b)} of them)."
            )


# --- the regions


class _Open(NamedTuple):
    """A facet that waits for the region on its other side."""

    positive: bool
    region: int
    neuron: int
    outputs: bytes


class _Target(NamedTuple):
    """A row that has to be proven, on which box, and whether it has to be more than 0 there."""

    row: Scaled
    box: Box
    name: str
    strict: bool = False


class _Check:
    """What is known after the regions so far."""

    def __init__(self, network: IntegerNetwork, statement: Statement) -> None:
        self._network, self._statement = network, statement
        self._domain = IntegerDomain(statement)
        self._composition = Composition(network, self._domain.inputs, self._domain.unit)
        self._claims = [ClaimRows.of(claim, network.last.width) for claim in statement.claims]
        check_attained(statement, network)
        self._seen: set[bytes] = set()
        self._open: dict[bytes, _Open] = {}
        self._joined: list[int] = []  # by region: one of the same linear region, at last itself
        self.n_regions = self.n_facets = self.n_implied = 0

    def region(self, columns: Mapping[str, Any]) -> None:
        """Check one region; its facets wait for their other sides."""
        try:
            self._region(columns)
        except CertificateError as error:
            raise CertificateError(f"region {self.n_regions}: {error}") from None
        except Exception as error:
            if _is_of_the_machine(error):
                raise
            raise CertificateError(f"region {self.n_regions} is {_malformed(error)}") from error
        self.n_regions += 1

    def _region(self, columns: Mapping[str, Any]) -> None:
        bits = self._bits(columns["pattern"])
        cell = Cell.of(self._composition.rows(bits), columns["box"], self._domain)
        cell.check_witness(columns)
        facets = cell.facets(columns)
        counts_linear = self._statement.n_linear_regions is not None
        outputs = self._composition.outputs() if counts_linear or self._claims else ([], 1)
        self._joined.append(self.n_regions)
        digest = _map_digest(*outputs) if counts_linear else b""
        for facet in facets:
            self._cross(facet, digest)
        vanishing = {j for facet in facets for j in facet.vanishing}
        self._implied(cell, {facet.neuron for facet in facets}, vanishing, outputs, columns)
        self.n_implied += len(cell.rows) - len(vanishing)

    def _bits(self, packed: bytes) -> list[bool]:
        """Rule ONCE: no pattern is listed twice."""
        n, number = self._network.n_neurons, int.from_bytes(packed, "little")
        if number >> n:
            raise CertificateError("the bits of its pattern beyond the last neuron must be 0.")
        key = packed if len(packed) <= _DIGEST_BYTES else sha256(packed).digest()
        if key in self._seen:
            raise CertificateError("its pattern must be listed once, but is there before.")
        self._seen.add(key)
        return [bool(number >> j & 1) for j in range(n)]

    def _cross(self, facet: Facet, outputs: bytes) -> None:
        """Rule CROSSING: the same point must be recorded from the other side of the hyperplane, by one region."""
        positive = next(a for a in facet.hyperplane if a) > 0
        hyperplane = facet.hyperplane if positive else tuple([-a for a in facet.hyperplane])
        key = _digest([*hyperplane, *facet.point])
        other = self._open.pop(key, None)
        if other is None:
            self._open[key] = _Open(positive, self.n_regions, facet.neuron, outputs)
        elif other.positive == positive:
            raise CertificateError(
                f"the facet of neuron {facet.neuron} must be recorded from this side once, but region {other.region} is"
                " on the same side."
            )
        else:
            self.n_facets += 1
            if outputs == other.outputs:
                self._joined[self._class(self.n_regions)] = self._class(other.region)

    def _class(self, region: int) -> int:
        while self._joined[region] != region:
            self._joined[region] = region = self._joined[self._joined[region]]
        return region

    def _implied(
        self, cell: Cell, facets: set[int], vanishing: set[int], outputs: Outputs, columns: Mapping[str, Any]
    ) -> None:
        """Rule IMPLIED: all other rows, the sides of the box, and what is claimed, follow from facets and domain.

        A target minus the multiples of rows in the file must be at least 0 on a box: for the sides of the region's own
        box that of the domain, for all else the region's own. What has no proof in the file is tried without multiples.
        """
        n, k = self._network.n_neurons, self._domain.dimension
        proofs = list(_proofs(columns))
        weights = self._claim_weights(columns["claim_weights"], {t - n - 2 * k: own for t, _, own in proofs if own})
        targets = {n + i: _Target(side, self._domain.box, f"side {i} of the box") for i, side in cell.box.sides()}
        for c, (claim, own) in enumerate(zip(self._claims, weights, strict=True)):
            targets[n + 2 * k + c] = _Target(claim.target(outputs, own), cell.box, f"claim {c}", claim.strict)
        waiting = {*targets, *[j for j in cell.near if j not in vanishing]}
        for j in {j for j, _, _ in proofs if j in cell.rows}.union(cell.near):
            targets[j] = _Target(cell.rows[j], cell.box, f"the row of neuron {j}")
        for place, terms, _ in proofs:
            if place not in targets:
                raise CertificateError(f"a proof must be of a row, a side of the box or a claim, got target {place}.")
            _prove(targets[place], [(self._usable(cell, facets, index), *value) for index, value in terms])
            waiting.discard(place)
        for place in sorted(waiting):
            _prove(targets[place], [])

    def _usable(self, cell: Cell, facets: set[int], index: int) -> Scaled:
        """Rule IMPLIED: return a row that may be used: of a neuron with a facet here, or of the domain."""
        if index >= self._network.n_neurons:
            return self._domain.rows[index - self._network.n_neurons]
        if index not in facets:
            raise CertificateError(
                f"a proof may use rows of facets of the region and of the domain, got neuron {index}."
            )
        return cell.rows[index]

    def _claim_weights(self, numbers: Sequence[float], exact: Mapping[int, Any]) -> list[Sequence[float | Fraction]]:
        """Return the weights of the rows of each claim: exact ones, or those in the column; that of a bound is 1."""
        if len(numbers) != self._statement.n_claim_rows:
            n = self._statement.n_claim_rows
            raise CertificateError(f"claim_weights must have {n} numbers, got {len(numbers)}.")
        left = iter(numbers)
        weights: list[Sequence[float | Fraction]] = [
            [next(left) for _ in claim.rows] if claim.strict else [1.0] for claim in self._claims
        ]
        for c, own in exact.items():
            if not (0 <= c < len(self._claims) and self._claims[c].strict):
                raise CertificateError(f"weights must be those of a claim of the kind 'empty', got some of claim {c}.")
            weights[c] = own
        return weights

    def finish(self) -> None:
        """Rule CLOSED: every facet has met its other side, and the numbers of regions are those stated."""
        for facet in self._open.values():
            raise CertificateError(
                f"region {facet.region}: a region must be listed across the facet of neuron {facet.neuron}, there is"
                f" none ({len(self._open)} such facets)."
            )
        stated, linear = self._statement.n_regions, self._statement.n_linear_regions
        if self.n_regions != stated or not stated:
            raise CertificateError(
                f"there must be as many regions as stated, {stated}, and one at least, got {self.n_regions}."
            )
        if linear is not None:
            counted = sum(self._class(region) == region for region in range(self.n_regions))
            if counted != linear:
                raise CertificateError(f"there must be {linear} linear regions, as stated, got {counted}.")


def _prove(target: _Target, terms: Sequence[tuple[Scaled, int, int]]) -> None:
    if any(numerator < 0 for _, numerator, _ in terms):
        raise CertificateError(f"{target.name} is not proven: its multipliers must be at least 0.")
    least = left_over(target.row, terms, target.box)
    if least is None or least < 0 or (target.strict and not least):
        raise CertificateError(
            f"{target.name} is not proven: what {len(terms)} multiples of rows leave of it must be"
            f" {'positive' if target.strict else 'at least 0'} on the box, and is not."
        )


def _proofs(
    columns: Mapping[str, Any],
) -> Iterator[tuple[int, list[tuple[int, tuple[int, int]]], list[Fraction] | None]]:
    """Yield the proofs of a region: target, terms (row, ratio of the multiplier), weights of a claim's rows or None."""
    targets, sizes = columns["proof_targets"], columns["proof_sizes"]
    terms = list(zip(columns["proof_rows"], columns["proof_values"], strict=True))
    if any(size < 0 for size in sizes) or sum(sizes) != len(terms):
        raise CertificateError("proof_sizes must be the lengths of the proofs in proof_rows.")
    place = 0
    for target, size in zip(targets, sizes, strict=True):
        yield target, [(index, value.as_integer_ratio()) for index, value in terms[place : place + size]], None
        place += size
    for target, exact, *weights in json.loads(columns["proof_exact"] or "[]"):
        if any(type(each) is not int for each in (target, *[index for index, _ in exact])) or len(weights) > 1:
            raise CertificateError("proof_exact must hold [target, [[row, fraction], ...]], perhaps with weights.")
        numbers = [(index, fraction(value).as_integer_ratio()) for index, value in exact]
        yield target, numbers, [fraction(value) for value in weights[0]] if weights else None


def _map_digest(y: list[Row], unit: int) -> bytes:
    """Return a digest of the function y of t: equal iff the functions are."""
    return _digest(primitive((unit, *[value for row in y for value in row])))


def _digest(values: Sequence[int]) -> bytes:
    return sha256(b" ".join([b"%x" % value for value in values])).digest()


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _malformed(error: Exception) -> str:
    return f"malformed ({type(error).__name__}: {' '.join(str(error).split())[:200]})."


def _is_of_the_machine(error: Exception) -> bool:
    """Return whether an error says nothing of the certificate: no memory, or what the system calls by a number."""
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno is not None)

"""Certificates that a property holds: one for each set of inputs that it is about."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from tropnet.enumeration import enumerate_regions
from tropnet.errors import CertificateError
from tropnet.network.domain import Domain
from tropnet.network.network import Network, as_network
from tropnet.proofs.calls import Checked, check
from tropnet.proofs.certify import Certified, write_certificate
from tropnet.proofs.files import new_parts
from tropnet.proofs.statement import Empty
from tropnet.properties import Property, verify
from tropnet.properties.formula import Inequality, alternatives
from tropnet.properties.property import as_property

__all__ = ["certify_property", "check_property"]


def certify_property(
    net: Network, statement: Property, out: str | os.PathLike[str], *, workers: int = 1, progress: bool = False
) -> list[Certified]:
    """Certify that a network satisfies a property.

    For each set of inputs that the property is about, a certificate states all activation regions of a float64 domain
    around it (itself, where its numbers are float64), and of each way to break the property, a conjunction of
    inequalities of outputs, that no point of the domain does; in each region multipliers prove that. No region is left
    out, so that takes longer than `verify`.

    Parameters
    ----------
    net, statement
        As for `verify`.
    out
        A directory, new or without Parquet files: ``case-000000.parquet``, ...
    workers
        Threads.
    progress
        Show bars on standard error.

    Returns
    -------
    list of Certified
        One for each set of inputs.

    Raises
    ------
    CertificateError
        The property is violated, which needs no certificate but the counterexample that `verify` returns; it only
        holds because an inequality is strict, or only inside the domain; `out` holds Parquet files.
    ValueError
        The property is about two networks, or an inequality about inputs and outputs together.
    TropnetError
        As for `verify` and `enumerate_regions`.

    Examples
    --------
    ``|x|`` is at most 1 on [-1, 1]:

    >>> import tempfile
    >>> import tropnet as tn
    >>> net = Network.mlp([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    >>> low = Property.unsafe(tn.Box(-1, 1), [[1]], [-1.5])
    >>> directory = tempfile.mkdtemp()
    >>> [made.n_regions for made in certify_property(net, low, directory)]
    [2]
    >>> len(check_property(net, low, directory))
    1
    """
    net = as_network(net)
    cases = [*_cases(net, statement)]
    verdict = verify(net, statement, workers=workers)
    if verdict.status != "holds":
        raise CertificateError(
            f"a property must hold to be certified, but it is {verdict.status}: verify(net, statement).counterexample"
            " is all that is needed."
        )
    found = []
    with new_parts(out) as directory:
        for path, domain, claims in _named(directory, cases):
            regions = enumerate_regions(net, domain, facets=True, workers=workers, progress=progress)
            found.append(write_certificate(regions, path, claims, linear=False, progress=progress))
    return found


def check_property(
    net: Network, statement: Property, path: str | os.PathLike[str], *, progress: bool = False
) -> list[Checked]:
    """Check certificates that a network satisfies a property, as `certify_property` writes them.

    That the domains hold the sets of inputs, and the claims are all ways to break the property, follows from the
    property; the rest is checked as by `check`.

    Raises
    ------
    CertificateError
        A certificate is missing, refused by `check`, or of another domain or property.
    ValueError
        As for `certify_property`.
    """
    found = []
    for file, domain, claims in _named(Path(path), [*_cases(as_network(net), statement)]):
        if not file.is_file():
            raise CertificateError(
                f"'{path}' must hold a certificate for each set of inputs, but {file.name} is missing."
            )
        checked = check(net, file, domain, progress=progress)
        if not set(claims) <= set(checked.claims):
            raise CertificateError(f"'{file}' must claim that nothing breaks the property, but claims something else.")
        found.append(checked)
    return found


def _cases(net: Network, statement: Property) -> Iterator[tuple[Domain, tuple[Empty, ...]]]:
    """Yield domains around all sets of inputs of a property, and what must be empty in each."""
    if as_property(statement).beside is not None:
        raise ValueError("a property to be certified must be about one network, got one that compares two.")
    for inputs, formula in statement.cases(net):
        claims = (Empty(tuple(_row(each, net.n_outputs) for each in rows)) for rows in alternatives(formula))
        yield inputs.enclosure(), tuple(claims)


def _named(
    directory: Path, cases: list[tuple[Domain, tuple[Empty, ...]]]
) -> Iterator[tuple[Path, Domain, tuple[Empty, ...]]]:
    for number, case in enumerate(cases):
        yield directory / f"case-{number:06d}.parquet", *case


def _row(inequality: Inequality, n_outputs: int) -> tuple[Fraction, ...]:
    """Return an inequality as coefficients of y and a constant."""
    if inequality.inputs:
        raise ValueError(
            f"a property to be certified must have inequalities of inputs, or of outputs, got one of both:"
            f" {inequality}."
        )
    values = dict(inequality.outputs)
    return (*(values.get(j, Fraction(0)) for j in range(n_outputs)), inequality.constant)

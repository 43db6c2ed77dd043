"""Checking certificates of networks."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import numpy as np

from tropnet.network.domain import Box, Domain, Polytope, WholeSpace, as_domain
from tropnet.network.layers import dense_layer
from tropnet.network.network import Network, as_network
from tropnet.progress import track
from tropnet.proofs.checker import check_certificate
from tropnet.proofs.statement import Claim, PlainLayer, Statement

__all__ = ["Checked", "check", "plain_layers"]


@dataclass(frozen=True)
class Checked:
    """What a certificate proves: these are all activation regions of the network in the domain, each once.

    Attributes
    ----------
    n_regions
        How many there are.
    n_linear_regions
        How many linear regions; None where the certificate does not state it.
    claims
        What is proven of the outputs: `tropnet.proofs.statement.Bound` and `Empty`.
    domain
        The domain, in the rows of the certificate.
    n_facets, n_implied
        How many facets between regions were crossed, and how many rows are implied by those of facets and the domain.
    seconds
        How long it took.
    """

    n_regions: int
    n_linear_regions: int | None
    claims: tuple[Claim, ...]
    domain: Domain = field(repr=False)
    n_facets: int
    n_implied: int
    seconds: float

    def __repr__(self) -> str:
        linear = "" if self.n_linear_regions is None else f", {self.n_linear_regions} linear regions"
        claims = "".join(f", {claim.described()}" for claim in self.claims)
        return f"Checked({self.n_regions} activation regions{linear}{claims} in {self.domain})"


def check(
    net: Network, path: str | os.PathLike[str], domain: Domain | None = None, *, progress: bool = False
) -> Checked:
    """Check a certificate: that it proves, for this network, what it states.

    Parameters
    ----------
    net
        The network; its float64 weights are what counts.
    path
        The certificate, a file or the directory of its parts, as of `certify`.
    domain
        The domain that it has to be about; None takes that of the certificate, which `Checked.domain` tells. All of R^d
        is ``WholeSpace(d)``.
    progress
        Show a bar on standard error.

    Returns
    -------
    Checked
        What is proven.

    Raises
    ------
    CertificateError
        Anything is not proven, or stated of another network or domain, or the file is malformed; the message says what
        and where.
    FileNotFoundError
        There is no such file.
    UnsupportedModuleError, DomainError
        `net` is no network; `domain` is no domain, or of another dimension.

    Notes
    -----
    All rows are computed again from the weights, over the integers, in plain Python (`tropnet.proofs.checker` and what
    it imports, some 800 lines that use no other part of this package), one region after another: about 1.3 ms each for
    six layers of 50 neurons. Memory is that of a digest for each region and for each facet that waits for its other
    side.
    The argument, and the format for checkers of one's own, are in docs/mathematics/certificates.md.

    Examples
    --------
    ``|x|`` has two regions, one on each side of 0; ``|x - 1/4|`` has another two:

    >>> import pathlib, tempfile
    >>> import tropnet as tn
    >>> path = pathlib.Path(tempfile.mkdtemp(), "cert.parquet")
    >>> net = Network.mlp([[[1.0]], [[1.0]]], [[0.0], [0.0]], slopes=(-1, 1))
    >>> tn.certify(net, Box(-1, 1), path).n_regions
    2
    >>> checked = check(net, path)
    >>> checked.n_regions, checked.n_facets, checked.domain
    (2, 1, Box([-1.0], [1.0]))
    >>> check(Network.mlp([[[1.0]], [[1.0]]], [[-0.25], [0.0]], slopes=(-1, 1)), path)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    tropnet.errors.CertificateError: ... the network must have the fingerprint ...
    """
    net = as_network(net)
    A, b = (None, None) if domain is None else as_domain(domain, net.n_inputs).halfspaces
    with track("checking", "regions", enabled=progress) as update:
        outcome = check_certificate(
            plain_layers(net),
            net.n_inputs,
            path,
            None if A is None else A.tolist(),
            None if b is None else b.tolist(),
            lambda done, total: update(done, done / total if total else 1.0),
        )
    statement = outcome.statement
    return Checked(
        statement.n_regions,
        statement.n_linear_regions,
        statement.claims,
        _domain_of(statement),
        outcome.n_facets,
        outcome.n_implied,
        outcome.seconds,
    )


def plain_layers(net: Network) -> list[PlainLayer]:
    """Return the layers of a network as lists of floats, as `check_certificate` and `fingerprint` read them."""
    return [
        PlainLayer(
            {source: np.asarray(weight).tolist() for source, weight in layer.weights.items()},
            np.asarray(layer.bias).tolist(),
            np.asarray(layer.slopes).tolist(),
        )
        for layer in map(dense_layer, net.layers)
    ]


def _domain_of(statement: Statement) -> Domain:
    """Return a domain with these rows: a box where they are those of one."""
    d = statement.n_inputs
    if not statement.b:
        return WholeSpace(d)
    A, b = np.array(statement.A).reshape(-1, d), np.array(statement.b)
    low, high = np.full(d, -np.inf), np.full(d, np.inf)
    for row, side in zip(A, b, strict=True):
        places = np.flatnonzero(row)
        if len(places) != 1 or abs(row[places[0]]) != 1:
            return Polytope(A, b)
        i = places[0]
        if row[i] > 0:
            high[i] = side
        else:
            low[i] = -side
    box = Box(low, high)
    same = np.array_equal(box.halfspaces[0], A) and np.array_equal(box.halfspaces[1], b)
    return box if same else Polytope(A, b)

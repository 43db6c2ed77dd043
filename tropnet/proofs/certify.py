"""Writing certificates: the list of all regions, each with what proves that nothing is missing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from tropnet.arrays.patterns import PackedArray
from tropnet.enumeration import enumerate_regions
from tropnet.enumeration.engine import Engine
from tropnet.errors import CertificateError
from tropnet.feasibility.tolerances import Tolerances
from tropnet.network.domain import Domain
from tropnet.network.network import Network, as_network
from tropnet.polyhedral_complex.linear_regions import linear_regions
from tropnet.progress import track
from tropnet.proofs.calls import plain_layers
from tropnet.proofs.certifier import Certifier
from tropnet.proofs.files import Writer, file_to_write, new_parts
from tropnet.proofs.region_proof import Counts
from tropnet.proofs.statement import Bound, Claim, Statement, fingerprint
from tropnet.regions import Regions, Run
from tropnet.regions.row_index import RowIndex
from tropnet.verification import maximum as find_maximum
from tropnet.verification.extremum import output_form

__all__ = ["Certified", "certify", "write_certificate"]


@dataclass(frozen=True)
class Certified:
    """A certificate that was written.

    Attributes
    ----------
    path
        The file, or the directory of its parts.
    n_regions, n_linear_regions
        What it states; None where linear regions were not counted.
    counts
        How many facets, sides of boxes and rows that the box of their region does not imply it proves, and how many of
        them took exact arithmetic (`exact_facets`, ...).
    claims
        What it states of the outputs, such as a maximum.
    """

    path: Path
    n_regions: int
    n_linear_regions: int | None
    counts: Counts
    claims: tuple[Claim, ...] = ()


def certify(
    net: Network | Run,
    domain: Domain | None = None,
    out: str | os.PathLike[str] = "cert.parquet",
    *,
    linear: bool = False,
    maximum: int | ArrayLike | None = None,
    engine: str | Engine = "auto",
    workers: int = 1,
    backend: str = "highs",
    tolerances: Tolerances | None = None,
    progress: bool = False,
) -> Certified:
    """Find all activation regions and write a certificate: a file that proves they are all, each with interior, once.

    `check` verifies it from the network's weights alone, over the integers, with no solver, engine or geometry of this
    package. It holds, for each region, a point inside; for each of its rows a point of the facet that it shares with
    another region, or multipliers that make it a sum of rows of facets and of the domain (the argument is in
    docs/mathematics/certificates.md).

    Parameters
    ----------
    net
        The network; or a `Run` that has finished, whose parts become those of the certificate.
    domain
        As for `enumerate_regions`; not with a run, which has one.
    out
        The file; of a run a directory, new or without Parquet files.
    linear
        Certify the number of linear regions, too.
    maximum
        Certify the maximum of an output or of a linear form of the outputs, too, and where it is attained: an index or
        coefficients, as for `tropnet.maximum`, which finds it.
    engine, workers, backend, tolerances
        As for `enumerate_regions`; what the certificate proves does not depend on them.
    progress
        Show a bar on standard error.

    Returns
    -------
    Certified
        What it states, and what it took.

    Raises
    ------
    ValueError
        A run and a domain were given; or the maximum is infinite.
    CertificateError
        The run is not complete, or its `out` holds Parquet files.
    OSError
        `out` cannot be written.
    TropnetError
        As for `enumerate_regions`, whose regions have to be complete.

    Notes
    -----
    Where a region is bounded and no more than k rows meet at a vertex, its vertices say which multipliers are needed,
    and float64 proves them with bounds on all rounding: about 1 ms in up to six dimensions and for six layers of 50
    neurons, 7 ms in eight. From nine on linear programs say it, in about 50 ms. What these leave open, as in unbounded
    domains and where rows touch a region in less than a facet, is found over the integers: 2 to 10 ms in up to six
    dimensions.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import tropnet as tn
    >>> net = tn.Network.mlp([[[1, 0], [0, 1], [1, 1]], [[1, 1, 1]]], [[0, 0, -1], [0]])
    >>> path = pathlib.Path(tempfile.mkdtemp(), "cert.parquet")
    >>> certify(net, tn.Box(-2, 2), path).n_regions
    7
    >>> tn.check(net, path).n_facets
    9
    """
    if isinstance(net, Run):
        if domain is not None:
            raise ValueError("domain must not be given with a run, which has one: leave it out.")
        return _certify_run(net, Path(out), maximum, linear=linear, progress=progress)
    # Before a search that may take hours.
    target = file_to_write(out)
    claims = _claims(net, domain, maximum, progress=progress)
    regions = enumerate_regions(
        net, domain, engine=engine, workers=workers, facets=True, backend=backend, tolerances=tolerances,
        progress=progress,
    )  # fmt: skip
    return replace(write_certificate(regions, target, claims, linear=linear, progress=progress), path=Path(out))


def write_certificate(
    regions: Regions, out: str | os.PathLike[str], claims: Sequence[Claim], *, linear: bool, progress: bool
) -> Certified:
    """Write a certificate of regions, complete and with facets, in one file.

    Raises
    ------
    CertificateError
        A claim is false in a region.
    """
    certifier = Certifier(regions, claims)
    statement = _statement(certifier, linear=linear)
    with track("certifying", "regions", enabled=progress) as update, Writer(out, statement) as writer:
        for n_done, columns in certifier.columns(regions, 0):
            writer.append(columns)
            update(n_done, n_done / len(regions))
    return Certified(Path(out), len(regions), statement.n_linear_regions, certifier.counts, statement.claims)


def _claims(net: Network, domain: Domain | None, form: int | ArrayLike | None, *, progress: bool) -> tuple[Claim, ...]:
    """Return the claim that a form of the outputs has the maximum it has; none without a form."""
    if form is None:
        return ()
    top = find_maximum(net, domain, form, progress=progress)
    if top.exact is None:
        raise ValueError("the maximum must be finite to be certified, but the form is unbounded on the domain.")
    coefficients = tuple(map(Fraction, output_form(as_network(net), form).tolist()))
    return (Bound(coefficients, Fraction(0), top.exact, top.certificate.fractions),)


def _certify_run(run: Run, out: Path, form: int | ArrayLike | None, *, linear: bool, progress: bool) -> Certified:
    """Write a certificate in parts; the regions of one part are in memory at a time, and the edges of all."""
    if not run.complete:
        raise CertificateError(f"a run must have finished to be certified: {run!r}. Go on with enumerate_regions.")
    with new_parts(out) as directory:
        return replace(_write_parts(run, directory, form, linear=linear, progress=progress), path=out)


def _write_parts(run: Run, out: Path, form: int | ArrayLike | None, *, linear: bool, progress: bool) -> Certified:
    certifier = Certifier(_outline(run), _claims(run.network, run.domain, form, progress=progress))
    parts = [part for part in run.parts if part.n_regions]
    statement = replace(_statement(certifier, linear=linear), n_parts=len(parts))
    with track("certifying", "regions", enabled=progress) as update:
        start = 0
        for number, part in enumerate(parts):
            regions = Regions(*run.read(part))
            with Writer(out / f"part-{number:06d}.parquet", statement.of_part(number)) as writer:
                for n_done, columns in certifier.columns(regions, start):
                    writer.append(columns)
                    update(n_done, n_done / run.n_regions)
            start += len(regions)
    return Certified(out, run.n_regions, statement.n_linear_regions, certifier.counts, statement.claims)


def _outline(run: Run) -> Regions:
    """Return the patterns and the facets of all regions of a run, without witnesses."""
    net, domain = run.network, run.domain
    packed, cuts, facets = [], [], []
    for regions in (Regions(*piece) for part in run.parts for piece in run.pieces(part)):
        packed.append(regions.packed)
        cuts.append(regions.packed_cuts)
        facets.append(regions.packed_facets if regions.packed_facets is not None else _packed_facets(regions))
    nowhere = np.broadcast_to(np.zeros(net.n_inputs), (run.n_regions, net.n_inputs))
    return Regions(
        net, domain, np.concatenate(packed), np.concatenate(cuts), nowhere, packed_facets=np.concatenate(facets)
    )


def _packed_facets(regions: Regions) -> PackedArray:
    """Find the facets of regions; see `Regions.packed_facets`."""
    index, facets = RowIndex.of(regions.network, regions.domain), regions.facets()
    flags = np.zeros((len(regions), index.n_places), dtype=np.bool_)
    flags[np.repeat(np.arange(len(regions)), np.diff(facets.offsets)), index.places(facets.rows)] = True
    return index.pack(flags)


def _statement(certifier: Certifier, *, linear: bool) -> Statement:
    """Return the header of the certificate of all regions."""
    regions = certifier.frame.given
    A, b = regions.domain.halfspaces
    return Statement(
        fingerprint(plain_layers(regions.network), regions.network.n_inputs),
        regions.network.n_inputs,
        regions.network.n_neurons,
        tuple(map(tuple, A.tolist())),
        tuple(b.tolist()),
        certifier.frame.hull,
        tuple(certifier.claims),
        n_regions=len(regions),
        n_linear_regions=len(linear_regions(regions)) if linear else None,
    )

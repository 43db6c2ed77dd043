"""The columns of a certificate, some regions at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import unpack
from tropnet.arrays.types import FloatArray
from tropnet.exact.certificates import Witness
from tropnet.geometry.centred import centred
from tropnet.geometry.vertices import vertices
from tropnet.polyhedral_complex.adjacency import find_edges, neuron_facets
from tropnet.proofs.bulk_proofs import MANY
from tropnet.proofs.claim_proofs import ClaimProofs, constant_weights
from tropnet.proofs.frame import Frame, Rows
from tropnet.proofs.region_proof import Counts, Point, RegionProof
from tropnet.proofs.statement import Claim, text
from tropnet.regions import Regions

__all__ = ["Certifier"]

IndexArray = NDArray[np.int64]

# Rows of so many numbers at a time.
_NUMBERS = 1 << 22
# What vertices may be wrong by, as a part of the distance of the witness to the nearest side, or of the largest
# coordinate of the step from it. What follows from them is proven anew.
_ACCURACY, _OF_FAR_VERTICES = 0.1, 1e-9


class Certifier:
    """Makes the columns of a certificate.

    Parameters
    ----------
    outline
        All regions, complete; patterns and facets are enough, witnesses are not read.
    claims
        What is claimed of the outputs.

    Attributes
    ----------
    frame
        Where they live.
    counts
        What was proven so far.
    """

    def __init__(self, outline: Regions, claims: Sequence[Claim] = ()) -> None:
        self.frame, self.counts = Frame(outline, with_outputs=bool(claims)), Counts()
        self.claims, self._claims = claims, ClaimProofs(claims)
        within = outline.within
        n, facets, edges = max(within.network.n_neurons, 1), within.facets(), find_edges(within)
        self._places, self._offsets = self.frame.local(facets.rows), facets.offsets
        # Each facet of a neuron is one of the two sides of an edge.
        owner, neuron = neuron_facets(within, facets)
        sides = np.concatenate([edges.first, edges.second]) * n + np.tile(edges.neuron, 2)
        order = np.argsort(sides)
        self._edges = np.full(len(facets.rows), -1)
        self._edges[facets.rows >= 0] = order[np.searchsorted(sides[order], owner * n + neuron)] % max(
            len(edges.first), 1
        )
        # Points of facets of which one side was met.
        self._points: dict[int, Point] = {}

    def columns(self, regions: Regions, first: int) -> Iterator[tuple[int, dict[str, list[Any]]]]:
        """Yield how many regions are done, and columns for the next of some regions that follow each other.

        All regions must be asked for, in order; `first` is the number of the first of these.
        """
        size = max(1, _NUMBERS // max(1, len(self.frame.names) * (self.frame.dimension + 3)))
        within = regions.within
        for start in range(0, len(regions), size):
            stop = min(start + size, len(regions))
            which = np.arange(start, stop)
            # A network without neurons has patterns of no bytes.
            columns: dict[str, list[Any]] = {
                "pattern": [regions.packed[i].tobytes().ljust(1, b"\0") for i in which.tolist()]
            }
            if not self.frame.dimension:
                columns["claim_weights"] = [constant_weights(self.claims, self._at_point(within))]
            else:
                with np.errstate(all="ignore"):
                    columns |= self._columns(within, which, first)
            yield first + stop, columns

    def _columns(self, within: Regions, which: IndexArray, first: int) -> dict[str, list[Any]]:
        """Return all columns but the patterns."""
        patterns = unpack(within.packed[which], within.network.n_neurons)
        rows = self.frame.rows(within.packed[which])
        corners = self._corners(within, which, rows, first)
        found: list[dict[str, Any]] = []
        for at, i in enumerate(which.tolist()):
            exact = within.rational_witnesses.get(i)
            facets = slice(self._offsets[first + i], self._offsets[first + i + 1])
            proof = RegionProof(
                self.frame,
                patterns[at],
                Witness.at(within.witnesses[i]) if exact is None else Witness.from_fractions(exact),
                rows.values[at],
                rows.errors[at],
                self._places[facets],
                corners[at],
            )
            proof.prove_rows()
            weights = self._claims.prove(proof, rows.outputs[at], rows.output_errors[at])
            found.append(
                {
                    "witness": within.witnesses[i].tolist(),
                    "witness_exact": None if exact is None else " ".join(map(text, exact)),
                    **self._facets(proof, facets),
                    "claim_weights": weights,
                    **proof.columns(),
                }
            )
            self.counts = self.counts.plus(proof.counts)
        return {name: [each[name] for each in found] for name in found[0]}

    def _at_point(self, within: Regions) -> list[Fraction]:
        """Return the outputs where the domain is a point."""
        return [row.values[-1] * row.unit for row in self.frame.exact_outputs(within.patterns[0])]

    def _corners(self, within: Regions, which: IndexArray, rows: Rows, first: int) -> list[FloatArray]:
        """Return the vertices of regions, none where they are not known or more than k rows meet."""
        k = self.frame.dimension
        if k >= MANY:
            return [np.empty((0, k))] * len(which)
        offsets = self._offsets[first + which[0] : first + which[-1] + 2]
        places, offsets = self._places[offsets[0] : offsets[-1]], offsets - offsets[0]
        owner = np.repeat(np.arange(len(which)), np.diff(offsets))
        values, points = rows.values[owner, places], within.witnesses[which]
        seen = centred(-values[:, :k], values[:, k], offsets, points, rows.errors[owner, places])
        seen.reach[np.isin(which, list(within.rational_witnesses))] = np.nan
        found, counts, _ = vertices(seen, offsets, points, _ACCURACY, _OF_FAR_VERTICES)
        return np.split(found, np.cumsum(counts)[:-1])

    def _facets(self, proof: RegionProof, facets: slice) -> dict[str, Any]:
        """Return the columns of the facets of a region; points that the other side has found are taken from there."""
        places, edges = self._places[facets], self._edges[facets]
        inner = edges >= 0
        new = np.flatnonzero(inner & ~np.isin(edges, [edge for edge in edges.tolist() if edge in self._points]))
        found = dict(zip(edges[new].tolist(), proof.facet_points(new), strict=True))
        points = [found[edge] if edge in found else self._points.pop(edge) for edge in edges[inner].tolist()]
        self._points |= found
        names = self.frame.names[places[inner]].tolist()
        exact = {str(j): point.exact for j, point in zip(names, points, strict=True) if point.exact is not None}
        return {
            "facet_rows": names,
            "facet_points": [value for point in points for value in point.values],
            "facet_exact": json.dumps(exact) if exact else None,
        }

"""The cell of one pattern: its witness, its facets, and the rows that may prove others."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tropnet.errors import CertificateError
from tropnet.proofs.domain import IntegerDomain
from tropnet.proofs.rows import Box, Point, Row, Scaled, box_of, exact_point, moved_onto, primitive, value_at

__all__ = ["Cell", "Facet"]


class Facet(NamedTuple):
    """A facet: its neuron, its hyperplane as a primitive row, a point of it in lowest terms, and whose rows vanish."""

    neuron: int
    hyperplane: Row
    point: Point
    vanishing: list[int]


class Cell(NamedTuple):
    """The cell of a pattern: its rows by neuron, those that are not positive on all of its box, and the box."""

    domain: IntegerDomain
    rows: dict[int, Scaled]
    near: dict[int, Scaled]
    box: Box

    @classmethod
    def of(cls, rows: Sequence[Scaled | None], given: Sequence[float], domain: IntegerDomain) -> Cell:
        """Make a cell from its rows and the box in the file; none there is that of the domain."""
        k, infinity = domain.dimension, float("inf")
        if given and len(given) != 2 * k:
            raise CertificateError(f"the box must have 2 k = {2 * k} sides or none, got {len(given)}.")
        open_sides = [-infinity] * k + [infinity] * k
        sides = [None if side == far else side for side, far in zip(given, open_sides, strict=bool(given))]
        box = box_of(sides) if given else domain.box
        own = {j: row for j, row in enumerate(rows) if row is not None}
        least = {j: box.least(row) for j, (row, _) in own.items()}
        return cls(domain, own, {j: own[j] for j, value in least.items() if value is None or value <= 0}, box)

    def vanishing_at(self, point: Point, what: str) -> list[int]:
        """Return the neurons whose rows are zero at a point; all others, and those of the domain, must be positive.

        A row that is positive on a box that holds the point is positive there.
        """
        if any(value_at(row, point) <= 0 for row in self.domain.sides):
            raise CertificateError(f"{what} must be strictly inside the domain.")
        rows = self.near if self.box.holds(point) else self.rows
        values = {j: value_at(row, point) for j, (row, _) in rows.items()}
        for j, value in values.items():
            if value < 0:
                raise CertificateError(f"{what} is outside: the row of neuron {j} is negative there.")
        return [j for j, value in values.items() if not value]

    def check_witness(self, columns: Mapping[str, Any]) -> None:
        """Rule WITNESS: all rows are positive at a point."""
        point = exact_point(columns["witness_exact"], columns["witness"], self.domain.dimension)
        for j in self.vanishing_at(point, "the witness"):
            raise CertificateError(f"the witness must be strictly inside, but the row of neuron {j} is zero there.")

    def facets(self, columns: Mapping[str, Any]) -> list[Facet]:
        """Rule FACET: return the facets in the file: at a point of each, only multiples of its row are zero."""
        k, neurons, numbers = self.domain.dimension, columns["facet_rows"], columns["facet_points"]
        exact = {} if columns["facet_exact"] is None else json.loads(columns["facet_exact"])
        if len(numbers) != k * len(neurons) or not exact.keys() <= set(map(str, neurons)):
            raise CertificateError("facet_points must have k numbers for each of facet_rows, facet_exact no others.")
        return [
            self._facet(j, numbers[place * k : (place + 1) * k], exact.get(str(j))) for place, j in enumerate(neurons)
        ]

    def _facet(self, j: int, numbers: Sequence[float], exact: str | None) -> Facet:
        if j not in self.rows:
            raise CertificateError(f"facet_rows must name neurons that have a row here, got neuron {j}.")
        hyperplane = primitive(self.rows[j][0])
        k = self.domain.dimension
        point = moved_onto(hyperplane, numbers) if exact is None else exact_point(exact, numbers, k)
        what = f"the point of the facet of neuron {j}"
        vanishing = self.vanishing_at(point, what)
        if j not in vanishing:
            raise CertificateError(f"{what} must be on it, but the row of that neuron is positive there.")
        for other in vanishing:
            if primitive(self.rows[other][0]) != hyperplane:
                raise CertificateError(
                    f"{what} must be on no other hyperplane, but that of neuron {other} holds it, too."
                )
        return Facet(j, hyperplane, point, vanishing)

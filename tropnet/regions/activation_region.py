"""One activation region: its rows, its map and its geometry, exactly."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tropnet.arrays.checks import as_points
from tropnet.arrays.patterns import BoolArray, format_pattern
from tropnet.arrays.rounding import LARGEST
from tropnet.arrays.types import FloatArray, IntegerArray
from tropnet.exact.certificates import Witness
from tropnet.exact.dyadic import to_float, to_integers
from tropnet.geometry.polyhedron import Ball, Polyhedron
from tropnet.network.affine import AffineMap
from tropnet.network.domain import Domain
from tropnet.network.network import Network
from tropnet.network.restriction import Restriction, restriction_of
from tropnet.regions.row_index import RowIndex

__all__ = ["ActivationRegion"]


@dataclass(frozen=True, eq=False)
class ActivationRegion:
    """The set of all points of the domain with one activation pattern; its closure is {x : A x <= b}.

    In a domain of lower dimension, volume, facets, balls and boundedness are those within its affine hull; see
    `enumerate_regions`.

    Attributes
    ----------
    network, domain
        Where the region lives.
    pattern
        bool, shape (n_neurons,); True means active, z > 0.
    cuts
        bool, shape (n_neurons,): the neurons that contribute a row. The others are implied by them: the region is the
        same with their rows or without.
    certificate
        The exact witness; `witness` is the float64 point.
    """

    network: Network
    domain: Domain
    pattern: BoolArray
    cuts: BoolArray
    certificate: Witness

    @property
    def witness(self) -> FloatArray:
        """A point strictly inside, float64 of shape (d,) (nearest to the exact one; see `certificate.is_float`)."""
        return self.certificate.point

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """What each row of `A` is: j for neuron j (layers concatenated), -1 - i for row i of the domain.

        Rows of a polytope count as given; side 2 i of a box is x_i >= low_i, side 2 i + 1 is x_i <= high_i.
        """
        index = RowIndex.of(self.network, self.domain)
        return index.named(np.concatenate([index.sides, np.flatnonzero(self.cuts)]))

    @property
    def A(self) -> FloatArray:
        """Coefficients of the rows, float64 of shape (m, d): the raw ones, nearest to the exact values."""
        return self._float_rows[0]

    @property
    def b(self) -> FloatArray:
        """Right-hand sides of the rows, float64 of shape (m,)."""
        return self._float_rows[1]

    @cached_property
    def integer_rows(self) -> IntegerArray:
        """The rows exactly: integers (a | c), shape (m, d + 1), each a positive multiple of a x + c >= 0."""
        maps = self.network.integer_maps(self.pattern)[:-1]
        signs = np.where(self.pattern, 1, -1).astype(object)[:, None]
        neurons = np.concatenate([np.empty((0, self.domain.dimension + 1), dtype=object), *maps]) * signs
        return np.concatenate([self.domain.integer_rows, neurons[self.cuts]])

    @cached_property
    def affine(self) -> AffineMap:
        """The affine map that the network applies on the region, composed in float64."""
        return self.network.affine_map(self.pattern)

    def contains(self, x: ArrayLike) -> Any:
        """Return whether one point (d,) or each of many (n, d) lies in the closed region: exact, not rounded."""
        points, single = as_points(x, self.domain.dimension)
        integers, exponent = to_integers(points)
        values = integers @ self.integer_rows[:, :-1].T + (self.integer_rows[:, -1] << exponent)
        inside = np.asarray(values >= 0, dtype=np.bool_).all(axis=1)
        return bool(inside.item()) if single else inside

    def facets(self) -> NDArray[np.int64]:
        """Return the indices of the rows of `A` that define facets, ascending; of coincident rows the first."""
        if self._within is None:
            return self.polyhedron.facets()
        restriction, region = self._within
        index, inner = RowIndex.of(self.network, self.domain), RowIndex.of(region.network, region.domain)
        flags = np.zeros((1, inner.n_places), dtype=np.bool_)
        flags[0, inner.places(region.rows[region.polyhedron.facets()])] = True
        places = np.concatenate([index.sides, np.flatnonzero(self.cuts)])
        return np.flatnonzero(restriction.facets(flags)[0, places])

    def vertices(self) -> FloatArray:
        """Return the vertices, float64 of shape (n, d), in no particular order."""
        if self._within is None:
            return self.polyhedron.vertices()
        restriction, region = self._within
        proper = [Witness(vector) for vector, _ in region.polyhedron.generators() if vector[-1]]
        points = [restriction.point(t).point for t in proper[: 1 if restriction.is_point else None]]
        return np.array(points, dtype=np.float64).reshape(-1, self.domain.dimension)

    def volume(self) -> float:
        """Return the volume, infinite if unbounded."""
        if self._within is None:
            return self.polyhedron.volume()
        restriction, region = self._within
        volume = region.polyhedron.volume()
        return volume if volume == np.inf else min(volume * restriction.volume_factor, LARGEST)

    def chebyshev_ball(self) -> Ball:
        """Return a largest inscribed ball (centre, radius); of a point, which holds balls of any size, itself."""
        if self._within is None:
            return self.polyhedron.chebyshev_ball()
        restriction, region = self._within
        if restriction.is_point:
            return Ball(self.witness, np.inf)
        centre, radius = region.polyhedron.chebyshev_ball(
            None if restriction.keeps_lengths else restriction.dual_metric
        )
        inside = np.full(self.domain.dimension, np.nan)
        return Ball(inside if np.isnan(centre).any() else restriction.point(Witness.at(centre)).point, radius)

    def is_bounded(self) -> bool:
        """Return whether the region is bounded, exactly."""
        return (self if self._within is None else self._within[1]).polyhedron.is_bounded()

    def project(self, x: ArrayLike) -> FloatArray:
        """Return the point of the closed region nearest to `x` (d,) in l2, or to each of many (n, d).

        The exact nearest point, rounded once; see `Polyhedron.project`.
        """
        return self.polyhedron.project(x)

    def distance(self, x: ArrayLike) -> Any:
        """Return the l2 distance of `x` (d,) to the closed region, 0.0 iff inside, or (n,) of many; see `project`."""
        return self.polyhedron.distance(x)

    @cached_property
    def polyhedron(self) -> Polyhedron:
        """The closed region as a polyhedron in R^d (which has no interior if the domain has none)."""
        return Polyhedron(self.integer_rows)

    @cached_property
    def _within(self) -> tuple[Restriction, ActivationRegion] | None:
        """The region in the coordinates of the domain's affine hull; None if the domain has interior."""
        restriction = restriction_of(self.network, self.domain)
        if restriction is None:
            return None
        return restriction, ActivationRegion(
            restriction.network,
            restriction.domain,
            restriction.pattern(self.pattern),
            restriction.pattern(self.cuts),
            restriction.coordinates_of(self.certificate.fractions),
        )

    @cached_property
    def _float_rows(self) -> tuple[FloatArray, FloatArray]:
        """`A` and `b`: the exact rows, each layer's divided by the power of two that it was multiplied by."""
        A, b = self.domain.halfspaces
        rows = [np.column_stack([A, b])]
        exponents = self.network.integers.exponents
        for part, exponent, bits, cuts in zip(
            self.network.integer_maps(self.pattern)[:-1],
            exponents[:-1],
            self.network.split_pattern(self.pattern),
            self.network.split_pattern(self.cuts),
            strict=True,
        ):
            signs = np.where(bits[cuts], -1.0, 1.0)[:, None]
            raw = to_float(part[cuts], exponent) * signs
            raw[:, -1] *= -1
            rows.append(raw)
        stacked = np.concatenate(rows) + 0.0
        stacked.setflags(write=False)
        return stacked[:, :-1], stacked[:, -1]

    def __repr__(self) -> str:
        pattern = format_pattern(self.pattern, self.network.widths) if self.network.hidden else ""
        return f"ActivationRegion({pattern}, {len(self.rows)} rows)"

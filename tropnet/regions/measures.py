"""Volumes, balls, vertices and facets of many regions: proven in float64 where possible, else exact.

Three steps, each for what the one before left in doubt. First, all regions at once, compiled, with rows composed in
float64 and a bound on how wrong each is. Second, the same with rows in twofold precision, which are as good as exact
when seen from the witness. Third, region by region over the integers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.chunks import chunks
from tropnet.arrays.patterns import BoolArray, PackedArray, pack, unpack
from tropnet.arrays.rounding import EPSILON, LARGEST, SMALLEST_NORMAL
from tropnet.arrays.types import FloatArray
from tropnet.errors import TropnetError
from tropnet.geometry.balls import balls
from tropnet.geometry.centred import Centred, centred, from_distances, seen_along
from tropnet.geometry.facets import DOUBTFUL, FACET, facets, untouched
from tropnet.geometry.polyhedron import Polyhedron
from tropnet.geometry.sampled_volumes import sampled_volume
from tropnet.geometry.skew_balls import skew_balls
from tropnet.geometry.vertices import vertices
from tropnet.geometry.volumes import MAX_DIMENSION, Moments, moments, volumes
from tropnet.network.domain import Domain
from tropnet.network.network import Network
from tropnet.network.restriction import Restriction
from tropnet.network.twofold import Twofold, slacks
from tropnet.progress import track
from tropnet.regions.arrays import Balls, Vertices, VolumeEstimates
from tropnet.regions.halfspaces import compose_rows
from tropnet.regions.row_index import RowIndex

__all__ = ["ACCURACY", "VERTEX_ACCURACY", "Measures"]

# What is promised of bulk values; see `Regions.volumes`, `chebyshev_balls` and `vertices`.
ACCURACY = 1e-9
VERTEX_ACCURACY, _OF_FAR_VERTICES = 1e-8, 1e-10
# What a sum over regions may lose with each, as a part of their mean.
_OF_ALL = 1e-10
# Up to here the volume of a region too thin to be sampled is computed from its vertices.
_EXACT_DIMENSIONS = 6
# Chunks are parts of what memory holds: rows that stay in the cache are composed faster.
_PARTS = 16


class _Views(NamedTuple):
    """Rows of some regions: those of the i-th are rows offsets[i], ..., offsets[i + 1] - 1, seen from points[i]."""

    rows: Centred
    offsets: NDArray[np.int64]
    points: FloatArray


@dataclass(frozen=True)
class Measures:
    """Measures the regions that these columns describe; see `Regions` for the columns.

    Attributes
    ----------
    polyhedron
        The exact polyhedron of a region.
    without_point
        The regions whose witness is no point inside.
    """

    network: Network
    domain: Domain
    packed: PackedArray
    packed_cuts: PackedArray
    packed_facets: PackedArray | None
    witnesses: FloatArray
    without_point: Collection[int]
    polyhedron: Callable[[int], Polyhedron]

    def volumes(self, bounded: BoolArray, *, progress: bool) -> FloatArray:
        """Return all volumes, infinite where not `bounded`."""
        found = np.full(len(self.packed), np.inf)
        which = np.flatnonzero(bounded)
        for views in (self._quick, self._accurate) if self.domain.dimension <= MAX_DIMENSION else ():
            rows, offsets, _ = views(which)
            found[which], errors = volumes(rows, offsets)
            which = which[~(errors <= ACCURACY)]
        with track("measuring", "volumes", enabled=progress) as update:
            for n_done, i in enumerate(which.tolist()):
                update(n_done, n_done / len(which))
                found[i] = self.polyhedron(i).volume()
        return found

    def moments(self, which: NDArray[np.int64], factors: FloatArray, factor_errors: FloatArray) -> Moments:
        """Return the moments of some bounded regions, seen from their witnesses, with factors of theirs.

        Errors are infinite where nothing is proven, or less than nine digits and, among these regions, less than ten
        of the mean of their sizes; see `tropnet.geometry.volumes.moments`.
        """
        n, d = len(which), self.domain.dimension
        found = Moments(np.zeros((n, d + 1, d + 1)), np.zeros(n), np.zeros((n, d + 1)), np.full(n, np.inf))
        left = np.arange(n)
        for views in (self._quick, self._accurate) if d <= MAX_DIMENSION else ():
            rows, offsets, _ = views(which[left])
            part = moments(rows, offsets, factors[left], factor_errors[left])
            for mine, other in zip(found, part, strict=True):
                mine[left] = other
            known = np.isfinite(found.errors)
            allowed = _OF_ALL * float(found.sizes[known].sum()) / max(int(known.sum()), 1)
            with np.errstate(all="ignore"):
                left = left[~((part.errors <= ACCURACY) | (part.errors * part.sizes <= allowed))]
        found.errors[left] = np.inf
        return found

    def balls(self, endless: BoolArray, skew: Restriction | None = None) -> Balls:
        """Return a largest ball of each; `endless` are known to hold balls of any size.

        By distances in x, if the inputs are skew coordinates t of an affine hull, those of a restriction.
        """
        centres, radii = np.full(self.witnesses.shape, np.nan), np.full(len(self.packed), np.inf)
        which = np.flatnonzero(~endless)
        for views in (self._quick, self._accurate):
            rows, offsets, points = views(which)
            if skew is None:
                centres[which], radii[which], gaps = balls(rows, offsets, points, self._extent)
            else:
                centres[which], radii[which], gaps = skew_balls(rows, offsets, points, self._extent, skew.orthonormal)
            which = which[~(gaps <= ACCURACY)]
        for i in which.tolist():
            centres[i], radii[i] = self.polyhedron(i).chebyshev_ball(None if skew is None else skew.dual_metric)
        return Balls(centres, radii)

    def vertices(self, accuracy: float) -> Vertices:
        """Return the vertices of all; see `Regions.vertices`."""
        which = np.arange(len(self.packed))
        parts, owners = [], []
        for views in (self._quick, self._accurate):
            found, counts, doubtful = vertices(*views(which), accuracy, _OF_FAR_VERTICES)
            parts.append(found)
            owners.append(np.repeat(which, counts))
            which = which[doubtful]
        for i in which.tolist():
            parts.append(self.polyhedron(i).vertices())
            owners.append(np.full(len(parts[-1]), i))
        owner, points = np.concatenate(owners), np.concatenate(parts)
        if (np.diff(owner) < 0).any():
            points = points[np.argsort(owner, kind="stable")]
        return Vertices(points, np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(self.packed)))]))

    def facets(self) -> PackedArray:
        """Return which rows define facets, bits by place (`RowIndex`); not for regions whose facets are known."""
        index = RowIndex.of(self.network, self.domain)
        flags = np.zeros((len(self.packed), index.n_places), dtype=np.bool_)
        for part in chunks(len(self.packed), _PARTS * index.n_places * (self.domain.dimension + 1)):
            which = np.arange(len(self.packed))[part]
            for views in (self._quick, self._accurate):
                rows, offsets, _ = views(which)
                known = facets(rows, offsets, self._extent, self._n_shared(which))
                owner = np.repeat(np.arange(len(which)), np.diff(offsets))
                defines = known == FACET
                flags[which[owner[defines]], self._places(which, index)[defines]] = True
                doubtful = np.zeros(len(which), dtype=np.bool_)
                doubtful[owner[known == DOUBTFUL]] = True
                which = which[doubtful]
            ends = np.cumsum(np.bincount(owner, minlength=len(doubtful)))[doubtful]
            for i, end in zip(which.tolist(), ends.tolist(), strict=True):
                places = self._places(np.array([i]), index)
                flags[i] = False
                flags[i, places[self.polyhedron(i).facets(known[end - len(places) : end])]] = True
        return index.pack(flags)

    def surely_positive(self, which: NDArray[np.int64], A: FloatArray, c: FloatArray, errors: FloatArray) -> BoolArray:
        """Return which affine functions a x + c are proven to be positive on all of a closed region.

        Parameters
        ----------
        which
            Some regions.
        A, c
            float64, shapes (n, k, d) and (n, k): k functions for each.
        errors
            float64, shape (n, k, 2): how wrong a is at most, in l2, and c.
        """
        rows, offsets, points = self._quick(which)
        asked = seen_along(rows, -A, c, points, errors)
        found = untouched(rows, offsets, asked, self._extent).reshape(c.shape)
        # A function without a slope has no hyperplane, but it cannot change much within the domain.
        with np.errstate(all="ignore"):
            size = np.abs(A).sum(axis=2)
            at_point = (A @ points[:, :, None])[:, :, 0] + c
            spread = (size + errors[:, :, 0]) * self._extent
            wrong = errors[:, :, 0] * np.abs(points).sum(axis=1)[:, None] + errors[:, :, 1]
            wrong += (self.domain.dimension + 8) * EPSILON * (size * np.abs(points).max(axis=1)[:, None] + np.abs(c))
            flat = at_point > (spread + wrong) * (1 + 1e-9) + SMALLEST_NORMAL
        inside = ~np.isin(which, list(self.without_point))
        return np.asarray(found | (flat & np.isfinite(at_point) & inside[:, None]))

    def _n_shared(self, which: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many first rows of each of some regions are those of the one before it.

        The row of a neuron depends on the signs of earlier neurons, and is turned by its own.
        """
        n = self.network.n_neurons
        signs, cuts = unpack(self.packed[which], n), unpack(self.packed_cuts[which], n)
        same = np.logical_and.accumulate((signs[1:] == signs[:-1]) & (cuts[1:] == cuts[:-1]), axis=1)
        n_sides = len(RowIndex.of(self.network, self.domain).sides)
        return np.concatenate([[0], n_sides + (same & cuts[1:]).sum(axis=1)])

    def _places(self, which: NDArray[np.int64], index: RowIndex) -> NDArray[np.int64]:
        """Return the places of all rows of some regions, in order."""
        cuts = unpack(self.packed_cuts[which], self.network.n_neurons)
        sides = np.ones((len(which), len(index.sides)), dtype=np.bool_)
        return np.asarray(index.in_order[np.nonzero(np.concatenate([sides, cuts], axis=1))[1]])

    def estimates(
        self, bounded: BoolArray, n_samples: int, rng: np.random.Generator, *, progress: bool
    ) -> VolumeEstimates:
        """Return estimated volumes, infinite where not `bounded`.

        Raises
        ------
        TropnetError
            In more than six dimensions, a region is too thin to be sampled in float64.
        """
        rows, offsets, _ = self._quick(np.arange(len(self.packed)))
        values, errors = np.full(len(self.packed), np.inf), np.zeros(len(self.packed))
        which = np.flatnonzero(bounded).tolist()
        with track("estimating", "volumes", enabled=progress) as update:
            for n_done, i in enumerate(which):
                update(n_done, n_done / len(which))
                one = slice(offsets[i], offsets[i + 1])
                view = Centred(
                    rows.units[one],
                    rows.sides[one],
                    rows.unit_errors[one],
                    rows.side_errors[one],
                    rows.reach[i : i + 1],
                )
                log_value, error = sampled_volume(view, n_samples, rng)
                if not np.isfinite(log_value):
                    log_value, error = sampled_volume(self.polyhedron(i).from_inside(), n_samples, rng)
                if np.isfinite(log_value):
                    with np.errstate(over="ignore", under="ignore"):
                        values[i] = min(np.exp(log_value), LARGEST)
                        errors[i] = min(values[i] * error, LARGEST)
                elif self.domain.dimension <= _EXACT_DIMENSIONS:
                    values[i] = self.polyhedron(i).volume()
                else:
                    raise TropnetError(f"region {i} is too thin for its volume to be estimated in float64.")
        return VolumeEstimates(values, errors)

    def _quick(self, which: NDArray[np.int64]) -> _Views:
        """Return views with rows composed in float64."""
        rows, offsets = self._rows(which, twofold=False)
        A, b = rows.high[:, :-1], rows.high[:, -1]
        return self._marked(which, centred(A, b, offsets, self.witnesses[which], rows.error), offsets)

    def _accurate(self, which: NDArray[np.int64]) -> _Views:
        """Return views with rows composed in twofold precision."""
        rows, offsets = self._rows(which, twofold=True)
        distances, errors = slacks(rows, self.witnesses[which], np.repeat(np.arange(len(which)), np.diff(offsets)))
        return self._marked(
            which, from_distances(rows.high[:, :-1], rows.error[:, 0], distances, errors, offsets), offsets
        )

    def _rows(self, which: NDArray[np.int64], *, twofold: bool) -> tuple[Twofold, NDArray[np.int64]]:
        """Return the rows of some regions, and offsets; of facets only, if they are known."""
        packed, cuts = self.packed[which], self.packed_cuts[which]
        if self.packed_facets is None:
            rows, _, offsets = compose_rows(self.network, self.domain, packed, cuts, twofold=twofold)
            return rows, offsets
        n = self.network.n_neurons
        flags = RowIndex.of(self.network, self.domain).unpack(self.packed_facets[which])
        rows, _, offsets = compose_rows(self.network, self.domain, packed, pack(flags[:, :n]), twofold=twofold)
        # The domain's rows come first, in each region.
        kept, sides = np.ones(offsets[-1], dtype=np.bool_), flags[:, n:]
        kept[offsets[:-1, None] + np.arange(sides.shape[1])] = sides
        return rows.take(kept), np.concatenate([[0], np.cumsum(flags.sum(axis=1))])

    def _marked(self, which: NDArray[np.int64], rows: Centred, offsets: NDArray[np.int64]) -> _Views:
        """Return views; those from a point that is not inside are marked to mean nothing."""
        rows.reach[np.isin(which, list(self.without_point))] = np.nan
        return _Views(rows, offsets, self.witnesses[which])

    @cached_property
    def _extent(self) -> float:
        return Polyhedron(self.domain.integer_rows).extent()

"""Many activation regions, in columns."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.checks import as_count
from tropnet.arrays.patterns import BoolArray, PackedArray, unpack
from tropnet.arrays.rounding import LARGEST
from tropnet.arrays.types import FloatArray
from tropnet.exact.certificates import Witness
from tropnet.geometry.boundedness import directions
from tropnet.geometry.polyhedron import Polyhedron
from tropnet.network.domain import Box, Domain
from tropnet.network.network import Network
from tropnet.network.restriction import Restriction, restriction_of
from tropnet.regions.activation_region import ActivationRegion
from tropnet.regions.arrays import Balls, Facets, Halfspaces, Vertices, VolumeEstimates
from tropnet.regions.files import FORMATS, Columns, part_bytes, read_npz, read_parquet, write_npz, write_parquet
from tropnet.regions.halfspaces import compose_rows, compose_unit_rows
from tropnet.regions.measures import VERTEX_ACCURACY, Measures
from tropnet.regions.row_index import RowIndex
from tropnet.regions.runs.stored import StoredRun

__all__ = ["Regions", "part_of", "write_regions"]


@dataclass(frozen=True, eq=False)
class Regions(Sequence[ActivationRegion]):
    """Activation regions in columns: packed patterns and witnesses. Objects are made only for the regions asked for.

    In a domain of lower dimension k, volumes, facets, balls and boundedness are those within its affine hull, by k-
    dimensional volume and Euclidean distance; points and vertices have d coordinates (see `within`).

    Attributes
    ----------
    network, domain
        Where the regions live.
    packed, packed_cuts
        uint8, shape (R, ceil(n_neurons / 8)): patterns, and which neurons contribute a row (see `ActivationRegion`).
    witnesses
        float64, shape (R, d): a point strictly inside each region, or nearest to one (see `rational_witnesses`).
    rational_witnesses
        For the regions, by index, in which no float64 point was found: exact coordinates of a point strictly inside.
    complete
        Whether these are all regions: nothing left to visit and nothing undecided.
    undecided
        The decision prefixes (bits of the first neurons) of the subtrees that stayed undecided.
    stats
        Counters of the search: decisions, exact decisions, seconds, engine, ...
    packed_facets
        Which rows define facets, if that was asked for: uint8, shape (R, ceil((n_neurons + m) / 8)) for m rows of the
        domain, bits by place (`RowIndex`); see `facets`.
    """

    network: Network
    domain: Domain
    packed: PackedArray
    packed_cuts: PackedArray
    witnesses: FloatArray
    rational_witnesses: Mapping[int, tuple[Fraction, ...]] = field(default_factory=dict)
    complete: bool = True
    undecided: tuple[tuple[bool, ...], ...] = ()
    stats: Mapping[str, Any] = field(default_factory=dict)
    packed_facets: PackedArray | None = None

    def __post_init__(self) -> None:
        for array in (self.packed, self.packed_cuts, self.witnesses, self.packed_facets):
            if array is not None:
                array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.packed)

    @property
    def n_undecided(self) -> int:
        """The number of subtrees that stayed undecided."""
        return len(self.undecided)

    @property
    def patterns(self) -> BoolArray:
        """The activation patterns, bool of shape (R, n_neurons), unpacked."""
        return unpack(self.packed, self.network.n_neurons)

    @overload
    def __getitem__(self, index: int) -> ActivationRegion: ...
    @overload
    def __getitem__(self, index: slice) -> list[ActivationRegion]: ...
    def __getitem__(self, index: int | slice) -> ActivationRegion | list[ActivationRegion]:
        """Return the region at `index`, or a list of regions for a slice."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        try:
            i = range(len(self))[index]
        except IndexError:
            raise IndexError(f"region {index} does not exist: there are {len(self)}.") from None
        n_neurons = self.network.n_neurons
        exact = self.rational_witnesses.get(i)
        return ActivationRegion(
            self.network,
            self.domain,
            unpack(self.packed[i : i + 1], n_neurons)[0],
            unpack(self.packed_cuts[i : i + 1], n_neurons)[0],
            Witness.at(self.witnesses[i]) if exact is None else Witness.from_fractions(exact),
        )

    def __iter__(self) -> Iterator[ActivationRegion]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        state = "complete" if self.complete else f"incomplete, {self.n_undecided} undecided"
        return f"Regions({len(self)} activation regions of {self.network} in {self.domain}, {state})"

    # --- domains of lower dimension

    @cached_property
    def restriction(self) -> Restriction | None:
        """The network on the affine hull of the domain; None if the domain has interior."""
        return restriction_of(self.network, self.domain)

    @cached_property
    def within(self) -> Regions:
        """The same regions in the coordinates of the domain's affine hull; themselves if the domain has interior."""
        restriction = self.restriction
        if restriction is None:
            return self
        points, exact = restriction.coordinates(self.witnesses), {}
        for i, x in self.rational_witnesses.items():
            t = restriction.coordinates_of(x)
            points[i] = t.point
            if not t.is_float:
                exact[i] = t.fractions
        facets = self.packed_facets
        if facets is not None:
            flags = RowIndex.of(self.network, self.domain).unpack(facets)
            facets = RowIndex.of(restriction.network, restriction.domain).pack(restriction.facets_within(flags))
        return Regions(
            restriction.network,
            restriction.domain,
            restriction.widened(self.packed),
            restriction.widened(self.packed_cuts),
            points,
            exact,
            complete=self.complete,
            undecided=tuple((*[False] * restriction.n_helpers, *prefix) for prefix in self.undecided),
            stats=self.stats,
            packed_facets=facets,
        )

    # --- in bulk

    def affine_maps(self) -> tuple[FloatArray, FloatArray]:
        """Return the affine maps of all regions: weights (R, n_outputs, d) and biases (R, n_outputs), float64.

        Composed in float64 for many regions at once; `ActivationRegion.affine` gives the same for one.

        Examples
        --------
        >>> from tropnet.network.domain import WholeSpace
        >>> net = Network.mlp([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
        >>> both = Regions(net, WholeSpace(1), np.array([[1], [2]], np.uint8), np.array([[1], [2]], np.uint8),
        ...     np.array([[1.0], [-1.0]]))
        >>> both.affine_maps()[0].ravel().tolist()
        [1.0, -1.0]
        """
        return self.network.affine_maps(self.patterns)

    def halfspaces(self) -> Halfspaces:
        """Return the rows of all regions at once, as arrays; see `Halfspaces`.

        The coefficients are composed in float64; `ActivationRegion.A` rounds the exact ones once, and
        `ActivationRegion.integer_rows` are exact.
        """
        rows, owners, offsets = compose_rows(self.network, self.domain, self.packed, self.packed_cuts)
        return Halfspaces(rows.high[:, :-1].copy(), rows.high[:, -1].copy(), owners, offsets)

    def facets(self) -> Facets:
        """Return the facets of all regions as arrays; see `Facets`.

        At once if the regions were enumerated with ``facets=True``; else in bulk, once, in float64, in any dimension:
        rays and multipliers prove which rows define facets, with bounds on all errors, those of the composed rows
        included (see `tropnet.geometry.facets`). What is in doubt, as where rows touch a region in less than a facet,
        is decided over the integers, region by region (some milliseconds each).

        Examples
        --------
        >>> from tropnet.network.domain import WholeSpace
        >>> net = Network.mlp([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
        >>> both = Regions(net, WholeSpace(1), np.array([[1], [2]], np.uint8), np.array([[1], [1]], np.uint8),
        ...     np.array([[1.0], [-1.0]]))
        >>> both.facets().rows.tolist()
        [0, 0]
        """
        return Facets(*(array.copy() for array in self._facets))

    @cached_property
    def _facets(self) -> Facets:
        if self.packed_facets is None and self.restriction is not None:
            rows, offsets = self.within._facets
            inner, outer = (RowIndex.of(each.network, each.domain) for each in (self.within, self))
            places = self.restriction.places(inner.places(rows))
            owner = np.repeat(np.arange(len(self)), np.diff(offsets))[places >= 0]
            counts = np.bincount(owner, minlength=len(self))
            return Facets(outer.named(places[places >= 0]), np.concatenate([[0], np.cumsum(counts)]))
        index = RowIndex.of(self.network, self.domain)
        flags = index.unpack(self.measures.facets() if self.packed_facets is None else self.packed_facets)
        places = index.in_order[np.nonzero(flags[:, index.in_order])[1]]
        return Facets(index.named(places), np.concatenate([[0], np.cumsum(flags.sum(axis=1))]))

    def volumes(self, *, progress: bool = False) -> FloatArray:
        """Return the volumes of all regions, float64 of shape (R,), infinite where unbounded.

        Each is within 1e-9 of the exact volume, relatively; typical errors are below 1e-12. Up to four dimensions in
        bulk, in float64, with a bound on all errors, those of the composed rows included (see
        `tropnet.geometry.volumes`); what is not proven by it, and in more dimensions all, over the integers, region by
        region, rounded once (see `Polyhedron.volume`). Infinite only where the region is unbounded, which is decided
        exactly; a volume beyond float64 is its largest number, or the nearest one near 0. A region costs microseconds
        in bulk, about 20 milliseconds in 5 dimensions and seconds in 8; `progress` shows a bar on standard error. For
        many dimensions see `volume_estimates`.

        Examples
        --------
        >>> from tropnet.network.domain import Box
        >>> net = Network.mlp([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
        >>> both = Regions(net, Box([-1.0], [2.0]), np.array([[1], [2]], np.uint8), np.array([[1], [1]], np.uint8),
        ...     np.array([[1.0], [-0.5]]))
        >>> both.volumes().tolist()
        [2.0, 1.0]
        """
        if self.restriction is not None:
            return _times(self.within.volumes(progress=progress), self.restriction.volume_factor)
        return self.measures.volumes(self.bounded(), progress=progress)

    def volume_estimates(self, n_samples: int = 1000, *, seed: int = 0, progress: bool = False) -> VolumeEstimates:
        """Estimate the volumes of all regions from random directions, with standard errors, in any dimension.

        With r(u) the distance from a centre to the boundary in direction u, the volume is w_d E[r(u)^d], w_d being that
        of the unit ball: the mean over random lines through the centre is unbiased for every bounded region, whatever
        its shape. The region is made round first (see `tropnet.geometry.sampled_volumes`), which only lowers the error.

        Parameters
        ----------
        n_samples
            Lines through the centre of each region, at least 2.
        seed
            Of the random numbers; the directions of different regions are independent.
        progress
            Show a progress bar on standard error.

        Returns
        -------
        VolumeEstimates
            Estimates and standard errors. Rounding changes no estimate by more than about 1e-6 of it. Unbounded
            regions are decided exactly; up to six dimensions, the volume of a region too thin or too long to be
            sampled in float64 is computed exactly, with standard error 0.

        Raises
        ------
        ValueError
            Fewer than 2 samples.
        TropnetError
            In more than six dimensions, a region is too thin to be sampled in float64.

        Notes
        -----
        R regions with m rows cost O(R n_samples m d), vectorised over the directions. The relative error grows with d,
        for half a cube from about 1 % in 3 dimensions to 5 % in 10 and 15 % in 20, with 1000 samples; it is larger for
        less round regions. In many dimensions few samples hold most of the mean, so that the standard error is itself
        uncertain. Up to about 5 dimensions `volumes` is better.

        Examples
        --------
        >>> from tropnet.network.domain import Box
        >>> net = Network.mlp([[[1.0, 1.0]], [[1.0]]], [[0.0], [0.0]])
        >>> halves = Regions(net, Box([-1.0, -1.0], 1.0), np.array([[1], [0]], np.uint8), np.ones((2, 1), np.uint8),
        ...     np.array([[0.5, 0.5], [-0.5, -0.5]]))
        >>> values, errors = halves.volume_estimates()
        >>> (abs(values - 2.0) < 5 * errors).tolist()
        [True, True]
        """
        n_samples = as_count(n_samples, "n_samples", 2)
        if self.restriction is not None:
            found = self.within.volume_estimates(n_samples, seed=seed, progress=progress)
            return VolumeEstimates(*(_times(each, self.restriction.volume_factor) for each in found))
        return self.measures.estimates(self.bounded(), n_samples, np.random.default_rng(seed), progress=progress)

    def bounded(self) -> BoolArray:
        """Return which regions are bounded, bool of shape (R,), exactly.

        All are if the domain is. Else float64 proposes multipliers under which the rows cancel, or a direction that
        leads away from all of them, and a bound on all rounding errors, those of the composed maps included, says what
        that proves; the rest is decided over the integers, region by region (some milliseconds each): mostly regions
        between parallel hyperplanes.

        Examples
        --------
        >>> from tropnet.network.domain import WholeSpace
        >>> net = Network.mlp([[[1.0], [-1.0]], [[1.0, 1.0]]], [[1.0, 1.0], [0.0]])
        >>> three = Regions(net, WholeSpace(1), np.array([[1], [3], [2]], np.uint8),
        ...     np.array([[2], [3], [1]], np.uint8), np.array([[2.0], [0.0], [-2.0]]))
        >>> three.bounded().tolist()
        [False, True, False]
        """
        return self._bounded.copy()

    @cached_property
    def _bounded(self) -> BoolArray:
        if self.restriction is not None:
            return self.within._bounded
        bounded, _, unknown = self._boundedness
        bounded = bounded.copy()
        for i in unknown.tolist():
            bounded[i] = self[i].is_bounded()
        return bounded

    def chebyshev_balls(self) -> Balls:
        """Return a largest inscribed ball of every region: centres and inradii, infinite where there is no largest.

        Each radius is within 1e-9 of the exact inradius, relatively, and the ball of the inradius around the centre
        reaches beyond no side by more than 1e-9 of it, before the centre is rounded to float64. Infinite only where
        there is no largest ball, which is decided exactly.

        A domain that is a point holds balls of any size. In one of lower dimension they are those of its affine hull,
        by distances in x.

        In bulk, in float64, in any dimension: one small linear program for each region. The distances of the centre
        from the rows, and multipliers, prove both by weak duality, with bounds on all errors, those of the composed
        rows included (see `tropnet.geometry.balls`). Where they do not, or where it is doubtful whether there is a
        largest, region by region, if need be over the integers (see `Polyhedron.chebyshev_ball`).

        Examples
        --------
        >>> from tropnet.network.domain import Box
        >>> net = Network.mlp([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
        >>> both = Regions(net, Box([-1.0], [2.0]), np.array([[1], [2]], np.uint8), np.array([[1], [1]], np.uint8),
        ...     np.array([[1.0], [-0.5]]))
        >>> both.chebyshev_balls().radii.tolist()
        [1.0, 0.5]
        """
        if self.restriction is None:
            return self.measures.balls(self._boundedness[1])
        if self.restriction.is_point:
            return Balls(self.witnesses.copy(), np.full(len(self), np.inf))
        skew = None if self.restriction.keeps_lengths else self.restriction
        within = self.within.measures.balls(self.within._boundedness[1], skew)
        known = np.isfinite(within.centres).all(axis=1)
        centres = np.full(self.witnesses.shape, np.nan)
        centres[known] = self.restriction.points(within.centres[known], {})[0]
        return Balls(centres, within.radii)

    def vertices(self, accuracy: float = VERTEX_ACCURACY) -> Vertices:
        """Return the vertices of all regions as arrays; see `Vertices`.

        Each coordinate is within `accuracy` times the distance of the witness to the nearest side (and so the inradius,
        in thin regions too) or within 1e-10 of the largest coordinate of the step from the witness to the vertex,
        whichever is more, before it is rounded to float64; typical errors are below 1e-12. No vertex is missing or
        there twice, though two may round to the same numbers. No particular order.

        Parameters
        ----------
        accuracy
            A part of a length, positive. For a picture 1e-4 is enough; what is proven to that accuracy in float64 is
            not composed again in twofold precision, which regions that are small or far from the origin take else.

        Raises
        ------
        ValueError
            `accuracy` is not positive.

        In bulk, in float64, in any dimension, by walking along the edges; every vertex is proven, with bounds on all
        errors, those of the composed rows included (see `tropnet.geometry.vertices`). Where that fails, as where more
        than d rows meet, over the integers, region by region, rounded once (milliseconds in few dimensions, far more
        in many).

        Examples
        --------
        >>> from tropnet.network.domain import Box
        >>> net = Network.mlp([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
        >>> both = Regions(net, Box([-1.0], [2.0]), np.array([[1], [2]], np.uint8), np.array([[1], [1]], np.uint8),
        ...     np.array([[1.0], [-0.5]]))
        >>> points, offsets = both.vertices()
        >>> [sorted(part.ravel().tolist()) for part in np.split(points, offsets[1:-1])]
        [[0.0, 2.0], [-1.0, 0.0]]
        """
        if not isinstance(accuracy, int | float | np.number) or not accuracy > 0:
            raise ValueError(f"accuracy must be a positive part of a length, such as 1e-8, got {accuracy!r}.")
        if self.restriction is None:
            return self.measures.vertices(accuracy)
        if self.restriction.is_point:
            return Vertices(self.witnesses.copy(), np.arange(len(self) + 1))
        points, offsets = self.within.vertices(accuracy)
        return Vertices(self.restriction.points(points, {})[0], offsets)

    @property
    def measures(self) -> Measures:
        """What measures the regions in bulk, in a domain with interior."""
        return Measures(
            self.network, self.domain, self.packed, self.packed_cuts, self.packed_facets, self.witnesses,
            self.rational_witnesses, lambda i: self[i].polyhedron,
        )  # fmt: skip

    @cached_property
    def _boundedness(self) -> tuple[BoolArray, BoolArray, NDArray[np.int64]]:
        """Which regions are surely bounded, which surely hold balls of any size, and the indices of the others."""
        d = self.domain.dimension
        box = self.domain if isinstance(self.domain, Box) else None
        # Of a box the sides tell at once.
        if len(box.integer_rows) == 2 * d if box else Polyhedron(self.domain.integer_rows).is_bounded():
            return np.ones(len(self), np.bool_), np.zeros(len(self), np.bool_), np.empty(0, np.int64)
        units, errors, offsets = compose_unit_rows(self.network, self.domain, self.packed, self.packed_cuts)
        found = directions(units, offsets)
        bounded, endless = found.bounded(errors, d), found.unbounded(errors)
        return bounded, endless, np.flatnonzero(~bounded & ~endless)

    # --- files

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        r"""Write a Parquet file (atomically), one row for each region, that pandas, Polars and DuckDB read, too.

        Notes
        -----
        `pattern` and `cuts` are packed bits (see `Regions`): bit j % 8, counted from the lowest, of byte j // 8 belongs
        to neuron j, layers concatenated. `facets`, if they are known, the same, with bit n_neurons + i for row i of
        `domain.halfspaces`. `x0`, `x1`, ...: the witness, float64; `witness`: exact coordinates as text where
        no float64 point was found inside, else null. In the metadata travel network, domain, completeness and stats, so
        `from_parquet` needs nothing else; it refuses tables that another program wrote again, which have lost them.

        Examples
        --------
        Bits of a column, read without this library:

        >>> column = [b"\x05", b"\x02"]  # such as pandas.read_parquet(path)["pattern"], for three neurons
        >>> rows = np.frombuffer(b"".join(column), np.uint8).reshape(len(column), -1)
        >>> np.unpackbits(rows, axis=1, bitorder="little", count=3).tolist()
        [[1, 0, 1], [0, 1, 0]]
        """
        write_parquet(self._columns, path)

    @classmethod
    def from_parquet(cls, path: str | os.PathLike[str]) -> Regions:
        """Read what `to_parquet` wrote, or all regions of a run in a directory (see `Run`).

        Raises
        ------
        FileNotFoundError
            There is no such file or directory.
        FileFormatError
            The file is truncated or was not written by `to_parquet`; it is one part of a run; a directory holds no
            run, or one that is damaged.
        RunError
            The run only counts.
        """
        return cls(*(StoredRun(path).read_all() if Path(path).is_dir() else read_parquet(path)))

    def to_npz(self, path: str | os.PathLike[str]) -> None:
        """Write the same as `to_parquet` to an `.npz` file of plain arrays (atomically, no pickle)."""
        write_npz(self._columns, path)

    @classmethod
    def from_npz(cls, path: str | os.PathLike[str]) -> Regions:
        """Read what `to_npz` wrote; errors as for `from_parquet`."""
        return cls(*read_npz(path))

    @property
    def _columns(self) -> Columns:
        return Columns(*(getattr(self, each.name) for each in fields(self)))


def _times(values: FloatArray, factor: float) -> FloatArray:
    """Return values times a factor; what was finite stays so."""
    with np.errstate(over="ignore"):
        return np.where(np.isinf(values), values, np.minimum(values * factor, LARGEST))


def write_regions(regions: Regions, path: str | os.PathLike[str]) -> None:
    """Write regions to a file of the format that its suffix, one of `FORMATS`, names."""
    FORMATS[Path(path).suffix.lower()].write(regions._columns, path)


def part_of(regions: Regions) -> bytes:
    """Return regions as the bytes of a part of a run; see `part_bytes`."""
    return part_bytes(regions._columns, regions.network.fingerprint)

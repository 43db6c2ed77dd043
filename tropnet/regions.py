"""Activation regions: one (`ActivationRegion`) and many (`Regions`, columnar). No search happens here."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from tropnet.affine import AffineMap
from tropnet.archives import archive_bytes, read_archive, write_atomically
from tropnet.certificates import Witness
from tropnet.domain import Domain, domain_from
from tropnet.dyadic import FloatArray, IntegerArray, to_float, to_integers
from tropnet.errors import FileFormatError
from tropnet.layers import compose_many
from tropnet.network import Network
from tropnet.patterns import BoolArray, PackedArray, format_pattern, unpack
from tropnet.points import as_points
from tropnet.polyhedron import Ball, Polyhedron
from tropnet.volumes import MAX_DIMENSION, volumes

__all__ = ["ActivationRegion", "Facets", "Halfspaces", "Regions"]

_KIND = "regions"
_VERSION = 2


@dataclass(frozen=True, eq=False)
class ActivationRegion:
    """The set of all points of the domain with one activation pattern; its closure is {x : A x <= b}.

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
        sides = -1 - self.domain.row_numbers
        return np.concatenate([sides, np.flatnonzero(self.cuts)]).astype(np.int64)

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
        return self.polyhedron.facets()

    def vertices(self) -> FloatArray:
        """Return the vertices, float64 of shape (n, d), in no particular order."""
        return self.polyhedron.vertices()

    def volume(self) -> float:
        """Return the volume, infinite if unbounded."""
        return self.polyhedron.volume()

    def chebyshev_ball(self) -> Ball:
        """Return a largest inscribed ball (centre, radius)."""
        return self.polyhedron.chebyshev_ball()

    def is_bounded(self) -> bool:
        """Return whether the region is bounded, exactly."""
        return self.polyhedron.is_bounded()

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
        """The closed region as a polyhedron."""
        return Polyhedron(self.integer_rows)

    @cached_property
    def _float_rows(self) -> tuple[FloatArray, FloatArray]:
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


class Halfspaces(NamedTuple):
    """The rows of many regions: those of region i are ``A[offsets[i]:offsets[i + 1]]`` and so on.

    Attributes
    ----------
    A, b
        float64, shapes (n, d) and (n,): the region is {x : A x <= b}.
    rows
        int64, shape (n,): what each row is, as `ActivationRegion.rows`.
    offsets
        int64, shape (R + 1,).
    """

    A: FloatArray
    b: FloatArray
    rows: NDArray[np.int64]
    offsets: NDArray[np.int64]


class Facets(NamedTuple):
    """The facets of many regions: those of region i are ``rows[offsets[i]:offsets[i + 1]]``.

    Attributes
    ----------
    rows
        int64, shape (n,): the row that defines the facet, as in `ActivationRegion.rows`. Of coincident neurons it is
        the one decided first, which alone contributes a row.
    offsets
        int64, shape (R + 1,).
    """

    rows: NDArray[np.int64]
    offsets: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Regions(Sequence[ActivationRegion]):
    """Activation regions in columns: packed patterns and witnesses. Objects are made only for the regions asked for.

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
        Which rows define facets, if that was asked for: uint8, shape (R, ceil((n_neurons + m) / 8)), bit j for neuron
        j and n_neurons + i for row i of the domain's m; see `facets`.
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

    # --- in bulk

    def affine_maps(self) -> tuple[FloatArray, FloatArray]:
        """Return the affine maps of all regions: weights (R, n_outputs, d) and biases (R, n_outputs), float64.

        Composed in float64 for many regions at once; `ActivationRegion.affine` gives the same for one.

        Examples
        --------
        >>> from tropnet.domain import WholeSpace
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
        patterns, cuts = self.patterns, unpack(self.packed_cuts, self.network.n_neurons)
        A, b = self.domain.halfspaces
        sides = -1 - self.domain.row_numbers
        d, m = self.domain.dimension, len(b)
        counts = m + cuts.sum(axis=1)
        offsets = np.concatenate([[0], np.cumsum(counts)])
        rows = np.empty((offsets[-1], d + 1))
        owners = np.empty(offsets[-1], dtype=np.int64)
        at = offsets[:-1, None] + np.arange(m)
        rows[at] = np.column_stack([A, b])
        owners[at] = sides
        neurons = np.ones(offsets[-1], dtype=np.bool_)
        neurons[at.ravel()] = False
        owners[neurons] = np.nonzero(cuts)[1]
        size = max(1, (1 << 23) // ((d + 1) * max(self.network.n_neurons, 1)))
        parts = [np.empty((0, d + 1))]
        for i in range(0, len(self), size):
            maps = compose_many(self.network.layers, patterns[i : i + size], d)[:-1]
            part = np.concatenate([np.empty((len(patterns[i : i + size]), 0, d + 1)), *maps], axis=1)
            part *= np.where(patterns[i : i + size], -1.0, 1.0)[:, :, None]
            parts.append(part[cuts[i : i + size]])
        rows[neurons] = np.concatenate(parts)
        rows[neurons, -1] *= -1
        return Halfspaces(rows[:, :-1], rows[:, -1], owners, offsets)

    def facets(self) -> Facets:
        """Return the facets of all regions as arrays; see `Facets`.

        At once if the regions were enumerated with ``facets=True``, else by exact decisions, region by region (about a
        millisecond for each row).

        Examples
        --------
        >>> from tropnet.domain import WholeSpace
        >>> net = Network.mlp([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
        >>> both = Regions(net, WholeSpace(1), np.array([[1], [2]], np.uint8), np.array([[1], [1]], np.uint8),
        ...     np.array([[1.0], [-1.0]]))
        >>> both.facets().rows.tolist()
        [0, 0]
        """
        if self.packed_facets is None:
            parts = [region.rows[region.facets()] for region in self]
            rows = np.concatenate([np.empty(0, dtype=np.int64), *parts])
            return Facets(rows, np.cumsum([0, *map(len, parts)]))
        n, sides = self.network.n_neurons, -1 - self.domain.row_numbers
        flags = unpack(self.packed_facets, n + len(sides))
        # The domain's rows come first.
        order = np.concatenate([np.arange(n, n + len(sides)), np.arange(n)])
        owners = np.concatenate([sides, np.arange(n)])
        return Facets(owners[np.nonzero(flags[:, order])[1]], np.concatenate([[0], np.cumsum(flags.sum(axis=1))]))

    def volumes(self) -> FloatArray:
        """Return the volumes of all regions, float64 of shape (R,), infinite where unbounded.

        Up to four dimensions in bulk, in float64 (relative errors of about 1e-12); where that cannot tell whether a
        region is bounded, and in more dimensions, from exact vertices, region by region.

        Examples
        --------
        >>> from tropnet.domain import Box
        >>> net = Network.mlp([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
        >>> both = Regions(net, Box([-1.0], [2.0]), np.array([[1], [2]], np.uint8), np.array([[1], [1]], np.uint8),
        ...     np.array([[1.0], [-0.5]]))
        >>> both.volumes().tolist()
        [2.0, 1.0]
        """
        if self.domain.dimension > MAX_DIMENSION or self.rational_witnesses:
            return np.array([region.volume() for region in self])
        A, b, rows, offsets = self.halfspaces()
        if self.packed_facets is not None:
            # The other rows would only cost time.
            facets, starts = self.facets()
            region = np.repeat(np.arange(len(self)), np.diff(offsets))
            wanted = np.repeat(np.arange(len(self)), np.diff(starts))
            keep = np.isin(_pairs(region, rows), _pairs(wanted, facets))
            A, b, offsets = A[keep], b[keep], starts
        found, doubtful = volumes(A, b, offsets, self.witnesses)
        for i in np.flatnonzero(doubtful).tolist():
            found[i] = self[i].volume()
        return found

    # --- files

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write a Parquet file (atomically): columns `pattern` and `cuts` (packed bits), `x0`, ..., `witness`.

        `witness` holds exact coordinates as text where no float64 point was found inside, else null. Network, domain,
        completeness and stats travel in the file's metadata, so `from_parquet` needs nothing else.
        """
        size = self.packed.shape[1]
        binary = pa.binary(size) if size else pa.binary()
        columns = {
            "pattern": pa.array([row.tobytes() for row in self.packed], type=binary),
            "cuts": pa.array([row.tobytes() for row in self.packed_cuts], type=binary),
            **self._facet_columns(),
            **{f"x{j}": pa.array(self.witnesses[:, j]) for j in range(self.domain.dimension)},
            "witness": pa.array([_text(self.rational_witnesses.get(i)) for i in range(len(self))], type=pa.string()),
        }
        network = self.network.to_bytes()
        metadata = {"tropnet": self._header(network), "tropnet_network": network}
        table = pa.table(columns).replace_schema_metadata(metadata)
        write_atomically(path, lambda file: pq.write_table(table, file, compression="zstd"))

    @classmethod
    def from_parquet(cls, path: str | os.PathLike[str]) -> Regions:
        """Read what `to_parquet` wrote.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        FileFormatError
            The file is truncated or was not written by `to_parquet`.
        """
        data = Path(path).read_bytes()
        try:
            table = pq.read_table(io.BytesIO(data))
            metadata = table.schema.metadata
            network = metadata[b"tropnet_network"]
            size = -(-Network.load(network).n_neurons // 8)
            packed, cuts = (_bytes_column(table[name], size) for name in ("pattern", "cuts"))
            facets = None
            if "facets" in table.column_names:
                kind = table.schema.field("facets").type
                facets = _bytes_column(table["facets"], 0 if kind == pa.binary() else kind.byte_width)
            points = [table[name].to_numpy() for name in table.column_names if name.startswith("x")]
            rational = {i: _fractions(text) for i, text in enumerate(table["witness"].to_pylist()) if text}
            witnesses = np.column_stack(points)
            return cls._restore(metadata[b"tropnet"].decode(), network, packed, cuts, witnesses, rational, facets)
        except Exception as error:  # a damaged file can raise anything, deep in a parser
            raise FileFormatError(
                f"'{os.fspath(path)}' is not a complete Parquet file of tropnet regions ({error})."
            ) from error

    def to_npz(self, path: str | os.PathLike[str]) -> None:
        """Write the same as `to_parquet` to an `.npz` file of plain arrays (atomically, no pickle)."""
        network = self.network.to_bytes()
        arrays: dict[str, NDArray[Any]] = {
            "packed": self.packed,
            "packed_cuts": self.packed_cuts,
            "witnesses": self.witnesses,
            "rational_index": np.array(sorted(self.rational_witnesses), dtype=np.int64),
            "rational": np.array([_text(value) for _, value in sorted(self.rational_witnesses.items())], dtype=str),
            "header": np.array(self._header(network)),
            "network": np.frombuffer(network, dtype=np.uint8),
        }
        if self.packed_facets is not None:
            arrays["packed_facets"] = self.packed_facets
        data = archive_bytes(_KIND, _VERSION, arrays)
        write_atomically(path, lambda file: file.write(data))

    @classmethod
    def from_npz(cls, path: str | os.PathLike[str]) -> Regions:
        """Read what `to_npz` wrote; errors as for `from_parquet`."""
        arrays = read_archive(path, _KIND, _VERSION)
        try:
            rational = {
                int(i): _fractions(str(text))
                for i, text in zip(arrays["rational_index"], arrays["rational"], strict=True)
            }
            return cls._restore(
                str(arrays["header"]),
                arrays["network"].tobytes(),
                arrays["packed"],
                arrays["packed_cuts"],
                arrays["witnesses"],
                rational,
                arrays.get("packed_facets"),
            )
        except Exception as error:  # see from_parquet
            raise FileFormatError(f"'{os.fspath(path)}' is a damaged file of tropnet regions: {error}.") from error

    def _facet_columns(self) -> dict[str, pa.Array]:
        if self.packed_facets is None:
            return {}
        size = self.packed_facets.shape[1]
        binary = pa.binary(size) if size else pa.binary()
        return {"facets": pa.array([row.tobytes() for row in self.packed_facets], type=binary)}

    def _header(self, network: bytes) -> str:
        values = {
            "version": _VERSION,
            "fingerprint": self.network.fingerprint,
            "domain": self.domain.description,
            "complete": self.complete,
            "undecided": ["".join("01"[bit] for bit in prefix) for prefix in self.undecided],
            "stats": dict(self.stats),
        }
        columns = (self.packed, self.packed_cuts, self.witnesses, self.packed_facets)
        digest = _digest(values, network, columns, dict(self.rational_witnesses))
        return json.dumps({**values, "digest": digest})

    @classmethod
    def _restore(
        cls,
        header: str,
        network: bytes,
        packed: PackedArray,
        packed_cuts: PackedArray,
        witnesses: FloatArray,
        rational: Mapping[int, tuple[Fraction, ...]],
        packed_facets: PackedArray | None,
    ) -> Regions:
        values = json.loads(header)
        if values["version"] != _VERSION:
            raise FileFormatError(f"format version {values['version']}, this tropnet reads {_VERSION}")
        digest = values.pop("digest")
        if digest != _digest(values, network, (packed, packed_cuts, witnesses, packed_facets), rational):
            raise FileFormatError("its contents do not match their checksum")
        return cls(
            Network.load(network),
            domain_from(values["domain"]),
            packed,
            packed_cuts,
            witnesses,
            rational,
            values["complete"],
            tuple(tuple(bit == "1" for bit in prefix) for prefix in values["undecided"]),
            values["stats"],
            packed_facets,
        )


def _pairs(regions: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return one number for each pair."""
    return regions * (1 << 32) + rows


def _text(values: Sequence[Fraction] | None) -> str | None:
    return None if values is None else " ".join(map(str, values))


def _fractions(text: str) -> tuple[Fraction, ...]:
    return tuple(Fraction(part) for part in text.split())


def _bytes_column(column: pa.ChunkedArray, size: int) -> PackedArray:
    return np.frombuffer(b"".join(column.to_pylist()), dtype=np.uint8).reshape(len(column), size)


def _digest(
    values: Mapping[str, Any],
    network: bytes,
    columns: Sequence[NDArray[Any] | None],
    rational: Mapping[int, tuple[Fraction, ...]],
) -> str:
    """Return a SHA-256 of everything a file of regions holds: a changed byte is noticed, not read as other regions."""
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    digest.update(network)
    for array in columns:
        digest.update(repr(None if array is None else array.shape).encode())
        digest.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
    digest.update(repr(sorted((i, _text(exact)) for i, exact in rational.items())).encode())
    return digest.hexdigest()

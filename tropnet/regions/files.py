"""Files of regions: Parquet, and `.npz` of plain arrays; no pickle. What is damaged is refused, never misread.

`FORMATS` says which functions write and read files of which suffix.

The metadata of a Parquet file is text, as some readers demand: `tropnet`, JSON of network's fingerprint, domain, stats
and a checksum of all there is, and `tropnet_network`, the bytes of `Network.to_bytes` in base64 (up to version 2 the
bytes themselves, which are still read).

A part of a run (see `Run`) has the same columns, but no network: its `tropnet` tells fingerprint and domain of the run,
and has a checksum for each column, so that one can be read without the others.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.archives import archive_bytes, check_version, read_archive, undamaged, write_atomically
from tropnet.arrays.patterns import PackedArray
from tropnet.arrays.types import FloatArray
from tropnet.errors import FileFormatError
from tropnet.network.domain import Domain, domain_from
from tropnet.network.network import Network
from tropnet.regions.tables import ALL, Rows, flat, fractions, opened, read_rows, text, write_rows

if TYPE_CHECKING:
    import pyarrow.parquet as pq

__all__ = [
    "FORMATS",
    "Columns",
    "Format",
    "iter_part",
    "part_bits",
    "part_bytes",
    "read_npz",
    "read_parquet",
    "read_part",
    "write_npz",
    "write_parquet",
]

_KIND = "regions"
_VERSION = 2  # of the arrays
_PARQUET_VERSION = 3  # 3: metadata is text
_PART = "part of this run"
_CHANGED = "its contents do not match their checksum"


class Columns(NamedTuple):
    """The attributes of `Regions`, in the order in which it takes them."""

    network: Network
    domain: Domain
    packed: PackedArray
    packed_cuts: PackedArray
    witnesses: FloatArray
    rational_witnesses: Mapping[int, tuple[Fraction, ...]]
    complete: bool
    undecided: tuple[tuple[bool, ...], ...]
    stats: Mapping[str, Any]
    packed_facets: PackedArray | None


class Format(NamedTuple):
    """How one kind of file is written and read."""

    write: Callable[[Columns, str | os.PathLike[str]], None]
    read: Callable[[str | os.PathLike[str]], Columns]


def write_parquet(columns: Columns, path: str | os.PathLike[str]) -> None:
    """Write a Parquet file; see `Regions.to_parquet`."""
    network = columns.network.to_bytes()
    header = _header(columns, network, _PARQUET_VERSION)
    metadata = {"tropnet": header, "tropnet_network": base64.b64encode(network).decode()}
    write_atomically(path, lambda file: write_rows(_rows(columns), metadata, file))


def part_bytes(columns: Columns, network_fingerprint: str) -> bytes:
    """Return a part of a run as the bytes of a Parquet file: regions of the network with this fingerprint, without it.

    What `Columns` tells of completeness, undecided subtrees and stats belongs to the run, and is left out.
    """
    rows, sums = _rows(columns), _Checksums()
    sums.add(rows)
    values = {
        "version": _PARQUET_VERSION,
        "part_of_run": True,
        "fingerprint": network_fingerprint,
        "domain": columns.domain.description,
        "checksums": sums.values,
    }
    file = io.BytesIO()
    write_rows(rows, {"tropnet": json.dumps({**values, "digest": _digest(values, b"", (), {})})}, file)
    return file.getvalue()


def read_parquet(path: str | os.PathLike[str]) -> Columns:
    """Read what `write_parquet` wrote; see `Regions.from_parquet`.

    Raises
    ------
    FileNotFoundError, FileFormatError
        There is no such file, or it is damaged or another one.
    """
    with opened(path, "Parquet file of tropnet regions") as parquet:
        metadata = parquet.metadata.metadata or {}
        header = metadata.get(b"tropnet", b"{}").decode()
        if json.loads(header).get("part_of_run"):
            raise FileFormatError("it is one part of a run: pass the directory of the run, which holds manifest.json")
        if not {b"tropnet", b"tropnet_network"} <= metadata.keys():
            raise FileFormatError(
                "its metadata has no entry 'tropnet', which holds network, domain and checksum: Regions.to_parquet did"
                " not write it, or another program, such as pandas, wrote the table again and dropped it"
            )
        network, version = metadata[b"tropnet_network"], json.loads(header)["version"]
        check_version(path, _KIND, version, _PARQUET_VERSION)
        if version >= _PARQUET_VERSION:
            network = base64.b64decode(network, validate=True)
        rows = read_rows(parquet, Network.load(network))
        return _restored(
            header, network, rows["pattern"], rows["cuts"], rows["points"], rows["witness"], rows.get("facets")
        )


def read_part(path: str | os.PathLike[str], network: Network, domain: Domain) -> Columns:
    """Read what `part_bytes` made: a part of a run with this network and domain.

    Raises
    ------
    FileNotFoundError, FileFormatError
        There is no such file, or it is damaged, no part of a run, or one of a run with another network or domain.
    """
    with opened(path, _PART) as parquet:
        expected, sums = _checksums_in(parquet, path, network, domain), _Checksums()
        rows = read_rows(parquet, network)
        sums.add(rows)
        if sums.values != expected:
            raise FileFormatError(_CHANGED)
    return _columns_of(rows, network, domain)


def iter_part(path: str | os.PathLike[str], network: Network, domain: Domain) -> Iterator[Columns]:
    """Read a part of a run, some rows at a time; see `read_part`.

    The last rows come before the checksums are compared: nothing may be told of any before the end.
    """
    for rows in _groups(path, network, domain, ALL):
        yield _columns_of(rows, network, domain)


def part_bits(
    path: str | os.PathLike[str], name: str, network: Network, domain: Domain
) -> Iterator[PackedArray | None]:
    """Read one column of packed bits of a part, some rows at a time, as `iter_part`; None where it is not there."""
    for rows in _groups(path, network, domain, {name}):
        yield rows.get(name)


def write_npz(columns: Columns, path: str | os.PathLike[str]) -> None:
    """Write an `.npz` file; see `Regions.to_npz`."""
    network = columns.network.to_bytes()
    rational = sorted(columns.rational_witnesses.items())
    arrays: dict[str, NDArray[Any]] = {
        "packed": columns.packed,
        "packed_cuts": columns.packed_cuts,
        "witnesses": columns.witnesses,
        "rational_index": np.array([i for i, _ in rational], dtype=np.int64),
        "rational": np.array([text(value) for _, value in rational], dtype=str),
        "header": np.array(_header(columns, network, _VERSION)),
        "network": np.frombuffer(network, dtype=np.uint8),
    }
    if columns.packed_facets is not None:
        arrays["packed_facets"] = columns.packed_facets
    data = archive_bytes(_KIND, _VERSION, arrays)
    write_atomically(path, lambda file: file.write(data))


def read_npz(path: str | os.PathLike[str]) -> Columns:
    """Read what `write_npz` wrote; see `Regions.from_npz`.

    Raises
    ------
    FileNotFoundError, FileFormatError
        As for `read_parquet`.
    """
    arrays = read_archive(path, _KIND, _VERSION)
    with undamaged(path, "file of tropnet regions"):
        rational = {
            int(i): fractions(str(text)) for i, text in zip(arrays["rational_index"], arrays["rational"], strict=True)
        }
        return _restored(
            str(arrays["header"]),
            arrays["network"].tobytes(),
            arrays["packed"],
            arrays["packed_cuts"],
            arrays["witnesses"],
            rational,
            arrays.get("packed_facets"),
        )


def _rows(columns: Columns) -> Rows:
    return {
        "pattern": columns.packed,
        "cuts": columns.packed_cuts,
        **({} if columns.packed_facets is None else {"facets": columns.packed_facets}),
        "points": columns.witnesses,
        "witness": columns.rational_witnesses,
    }


def _columns_of(rows: Rows, network: Network, domain: Domain) -> Columns:
    points, exact = rows["points"], rows["witness"]
    return Columns(network, domain, rows["pattern"], rows["cuts"], points, exact, False, (), {}, rows.get("facets"))


def _groups(path: str | os.PathLike[str], network: Network, domain: Domain, names: Collection[str]) -> Iterator[Rows]:
    """Yield the groups of rows of a part, and raise a FileFormatError at the end if they are not what was written."""
    with opened(path, _PART) as parquet:
        expected, sums = _checksums_in(parquet, path, network, domain), _Checksums()
        for group in range(parquet.num_row_groups):
            rows = read_rows(parquet, network, names, group)
            sums.add(rows)
            yield rows
        if sums.values != {name: value for name, value in expected.items() if name in names}:
            raise FileFormatError(_CHANGED)


def _checksums_in(
    parquet: pq.ParquetFile, path: str | os.PathLike[str], network: Network, domain: Domain
) -> Mapping[str, str]:
    """Return the checksums that a part has, if it is one of a run with this network and domain."""
    values = json.loads((parquet.metadata.metadata or {}).get(b"tropnet", b"{}"))
    if not values.get("part_of_run"):
        raise FileFormatError("its metadata does not say that it is one")
    check_version(path, _PART, values["version"], _PARQUET_VERSION)
    digest = values.pop("digest")
    if digest != _digest(values, b"", (), {}):
        raise FileFormatError(_CHANGED)
    for name, own in (("fingerprint", network.fingerprint), ("domain", domain.description)):
        if json.dumps(values[name]) != json.dumps(own):
            raise FileFormatError(f"its {name} must be that of the run, {own}, but it is {values[name]}")
    return dict(values["checksums"])


class _Checksums:
    """A SHA-256 of each column of a part, row after row, of all coordinates together."""

    def __init__(self) -> None:
        self._digests: dict[str, Any] = {}
        self._exact: dict[int, tuple[Fraction, ...]] = {}
        self._n = 0

    def add(self, rows: Rows) -> None:
        """Take in more rows."""
        for name, column in rows.items():
            if name == "witness":
                self._exact.update((self._n + i, point) for i, point in column.items())
                self._digests[name] = hashlib.sha256(_exact_text(self._exact))
            else:
                digest = self._digests.setdefault(name, hashlib.sha256(repr(column.shape[1:]).encode()))
                digest.update(flat(column))
        self._n += next((len(column) for name, column in rows.items() if name != "witness"), 0)

    @property
    def values(self) -> dict[str, str]:
        """Of the rows so far, by column, hexadecimal."""
        return {name: digest.hexdigest() for name, digest in self._digests.items()}


def _header(columns: Columns, network: bytes, version: int) -> str:
    """Return what is kept as JSON: all but the arrays, and a checksum of everything."""
    values = {
        "version": version,
        "fingerprint": columns.network.fingerprint,
        "domain": columns.domain.description,
        "complete": columns.complete,
        "undecided": ["".join("01"[bit] for bit in prefix) for prefix in columns.undecided],
        "stats": dict(columns.stats),
    }
    arrays = (columns.packed, columns.packed_cuts, columns.witnesses, columns.packed_facets)
    digest = _digest(values, network, arrays, dict(columns.rational_witnesses))
    return json.dumps({**values, "digest": digest})


def _restored(
    header: str,
    network: bytes,
    packed: PackedArray,
    packed_cuts: PackedArray,
    witnesses: FloatArray,
    rational: Mapping[int, tuple[Fraction, ...]],
    packed_facets: PackedArray | None,
) -> Columns:
    values = json.loads(header)
    digest = values.pop("digest")
    if digest != _digest(values, network, (packed, packed_cuts, witnesses, packed_facets), rational):
        raise FileFormatError(_CHANGED)
    return Columns(
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


def _exact_text(rational: Mapping[int, tuple[Fraction, ...]]) -> bytes:
    return repr(sorted((i, text(exact)) for i, exact in rational.items())).encode()


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
        digest.update(b"" if array is None else flat(array))
    digest.update(_exact_text(rational))
    return digest.hexdigest()


FORMATS: Mapping[str, Format] = {
    ".parquet": Format(write_parquet, read_parquet),
    ".npz": Format(write_npz, read_npz),
}

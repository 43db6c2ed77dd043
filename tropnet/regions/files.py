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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.archives import archive_bytes, read_archive, undamaged, write_atomically
from tropnet.arrays.patterns import PackedArray
from tropnet.arrays.types import FloatArray
from tropnet.errors import FileFormatError
from tropnet.network.domain import Domain, domain_from
from tropnet.network.network import Network

if TYPE_CHECKING:
    # Imported where it is used, as little is: it takes a tenth of a second.
    import pyarrow as pa
    import pyarrow.parquet as pq

__all__ = [
    "FORMATS",
    "Columns",
    "Format",
    "part_bytes",
    "part_pieces",
    "read_npz",
    "read_parquet",
    "read_part",
    "write_npz",
    "write_parquet",
]

_KIND = "regions"
_VERSION = 2  # of the arrays
_PARQUET_VERSION = 3  # 3: metadata is text
_GROUP = 1 << 16  # rows that can be read without the others


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
    write_atomically(path, lambda file: _write_table(columns, metadata, file))


def part_bytes(columns: Columns, network_fingerprint: str) -> bytes:
    """Return a part of a run as the bytes of a Parquet file: regions of the network with this fingerprint, without it.

    What `Columns` tells of completeness, undecided subtrees and stats belongs to the run, and is left out.
    """
    values = {
        "version": _PARQUET_VERSION,
        "part_of_run": True,
        "fingerprint": network_fingerprint,
        "domain": columns.domain.description,
        "checksums": _checksums(columns),
    }
    file = io.BytesIO()
    _write_table(columns, {"tropnet": json.dumps({**values, "digest": _digest(values, b"", (), {})})}, file)
    return file.getvalue()


def read_parquet(path: str | os.PathLike[str]) -> Columns:
    """Read what `write_parquet` wrote; see `Regions.from_parquet`.

    Raises
    ------
    FileNotFoundError, FileFormatError
        There is no such file, or it is damaged or another one.
    """
    with _opened(path, "Parquet file of tropnet regions") as parquet:
        metadata = parquet.metadata.metadata or {}
        header = metadata.get(b"tropnet", b"{}").decode()
        if json.loads(header).get("part_of_run"):
            raise FileFormatError("it is one part of a run: pass the directory of the run, which holds manifest.json")
        if not {b"tropnet", b"tropnet_network"} <= metadata.keys():
            raise FileFormatError(
                "its metadata has no entry 'tropnet', which holds network, domain and checksum: Regions.to_parquet did"
                " not write it, or another program, such as pandas, wrote the table again and dropped it"
            )
        network = metadata[b"tropnet_network"]
        if json.loads(header)["version"] >= _PARQUET_VERSION:
            network = base64.b64decode(network, validate=True)
        return _restored(header, network, *_read_table(parquet.read(), Network.load(network)))


def read_part(path: str | os.PathLike[str], network: Network, domain: Domain) -> Columns:
    """Read what `part_bytes` made: a part of a run with this network and domain.

    Raises
    ------
    FileNotFoundError, FileFormatError
        There is no such file, or it is damaged, no part of a run, or one of a run with another network or domain.
    """
    with _opened(path, _PART) as parquet:
        checksums = _checksums_of(parquet, network, domain)
        packed, cuts, witnesses, rational, facets = _read_table(parquet.read(), network)
        columns = Columns(network, domain, packed, cuts, witnesses, rational, False, (), {}, facets)
        if _checksums(columns) != checksums:
            raise FileFormatError(_CHANGED)
        return columns


def part_pieces(
    path: str | os.PathLike[str], name: str, network: Network, domain: Domain
) -> Iterator[PackedArray] | None:
    """Read one column of packed bits of a part, some rows at a time; None if the part has no such column.

    The last piece comes before the column's checksum is compared: nothing may be told of them before the end.

    Raises
    ------
    FileNotFoundError, FileFormatError
        As for `read_part`.
    """
    with _opened(path, _PART) as parquet:
        if name not in _checksums_of(parquet, network, domain):
            return None
    return _pieces(path, name, network, domain)


def _pieces(path: str | os.PathLike[str], name: str, network: Network, domain: Domain) -> Iterator[PackedArray]:
    with _opened(path, _PART) as parquet:
        checksums = _checksums_of(parquet, network, domain)
        size = _size(parquet.schema_arrow.field(name).type)
        digest = hashlib.sha256(repr((parquet.metadata.num_rows, size)).encode())
        for group in range(parquet.num_row_groups):
            piece = _bytes_column(parquet.read_row_group(group, columns=[name])[name], size)
            digest.update(_flat(piece))
            yield piece
        if digest.hexdigest() != checksums[name]:
            raise FileFormatError(_CHANGED)


def write_npz(columns: Columns, path: str | os.PathLike[str]) -> None:
    """Write an `.npz` file; see `Regions.to_npz`."""
    network = columns.network.to_bytes()
    rational = sorted(columns.rational_witnesses.items())
    arrays: dict[str, NDArray[Any]] = {
        "packed": columns.packed,
        "packed_cuts": columns.packed_cuts,
        "witnesses": columns.witnesses,
        "rational_index": np.array([i for i, _ in rational], dtype=np.int64),
        "rational": np.array([_text(value) for _, value in rational], dtype=str),
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
            int(i): _fractions(str(text)) for i, text in zip(arrays["rational_index"], arrays["rational"], strict=True)
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


_PART = "part of this run"
_CHANGED = "its contents do not match their checksum"


@contextmanager
def _opened(path: str | os.PathLike[str], what: str) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file, and raise a FileFormatError for whatever goes wrong within: a parser can raise anything.

    By its name: pyarrow reads Python's files in threads, which can abort the process where it ends soon after.
    """
    import pyarrow.parquet as pq

    with open(path, "rb"):  # else there is no such file
        pass
    try:
        with pq.ParquetFile(os.fspath(path)) as parquet:
            yield parquet
    except Exception as error:
        raise FileFormatError(f"'{os.fspath(path)}' is not a complete {what} ({error}).") from error


def _write_table(columns: Columns, metadata: Mapping[str, str], file: BinaryIO) -> None:
    """Write the columns of regions as a Parquet file.

    Bits repeat from row to row, and zstd makes a tenth to a third of them. Of coordinates the bytes of equal place are
    put together, as only the first ones repeat. Nothing else pays: neither higher levels nor dictionaries.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    points = {f"x{j}": np.ascontiguousarray(column) for j, column in enumerate(columns.witnesses.T)}
    facets = columns.packed_facets
    table = pa.table(
        {
            "pattern": _binary_column(columns.packed),
            "cuts": _binary_column(columns.packed_cuts),
            **({} if facets is None else {"facets": _binary_column(facets)}),
            **{name: pa.array(column) for name, column in points.items()},
            "witness": _text_column(columns.rational_witnesses, len(columns.packed)),
        }
    )
    with pq.ParquetWriter(
        file,
        table.schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=False,
        column_encoding=dict.fromkeys(points, "BYTE_STREAM_SPLIT"),
        write_statistics=False,
        store_schema=False,  # the columns tell their types
    ) as writer:
        writer.add_key_value_metadata(metadata)
        writer.write_table(table, row_group_size=_GROUP)


def _read_table(
    table: pa.Table, network: Network
) -> tuple[PackedArray, PackedArray, FloatArray, Mapping[int, tuple[Fraction, ...]], PackedArray | None]:
    """Return patterns, cuts, points, exact points and, if they are there, facets of a table of regions."""
    size = -(-network.n_neurons // 8)
    packed, cuts = (_bytes_column(table[name], size) for name in ("pattern", "cuts"))
    facets = None
    if "facets" in table.column_names:
        facets = _bytes_column(table["facets"], _size(table.schema.field("facets").type))
    points = np.column_stack([table[f"x{j}"].to_numpy() for j in range(network.n_inputs)])
    exact = np.flatnonzero(table["witness"].is_valid().to_numpy())
    texts = zip(exact.tolist(), table["witness"].take(exact).to_pylist(), strict=True)
    return packed, cuts, points, {i: _fractions(text) for i, text in texts if text}, facets


def _binary_column(packed: PackedArray) -> pa.Array:
    """Return rows of bytes as a column, without a copy. Bytes of no size are none of a fixed one to Parquet."""
    import pyarrow as pa

    n, size = packed.shape
    if size:
        return pa.FixedSizeBinaryArray.from_buffers(pa.binary(size), n, [None, pa.py_buffer(_flat(packed))])
    return pa.array([b""] * n, type=pa.binary())


def _bytes_column(column: pa.ChunkedArray, size: int) -> PackedArray:
    """Undo `_binary_column`; without a copy, if the column is in one piece."""
    import pyarrow as pa

    if column.null_count:
        raise ValueError("a row is missing")
    if not size:
        return np.empty((len(column), 0), dtype=np.uint8)
    chunks = [
        np.frombuffer(chunk.buffers()[1], np.uint8, len(chunk) * size, chunk.offset * size).reshape(-1, size)
        for chunk in column.cast(pa.binary(size)).chunks
        if len(chunk)
    ]
    return chunks[0] if len(chunks) == 1 else np.concatenate([np.empty((0, size), dtype=np.uint8), *chunks])


def _size(kind: pa.DataType) -> int:
    """Return how many bytes a row of `_binary_column` has, by its type."""
    import pyarrow as pa

    return 0 if kind == pa.binary() else int(kind.byte_width)


def _text_column(rational: Mapping[int, tuple[Fraction, ...]], n: int) -> pa.Array:
    """Return a column of exact points as text, null where there is none."""
    import pyarrow as pa

    places, null = np.zeros(n, dtype=np.int64), np.ones(n, dtype=np.bool_)
    for place, i in enumerate(rational):
        places[i], null[i] = place, False
    texts = pa.array([_text(exact) for exact in rational.values()], type=pa.string())
    return texts.take(pa.array(places, mask=null)) if rational else pa.nulls(n, pa.string())


def _checksums_of(parquet: pq.ParquetFile, network: Network, domain: Domain) -> Mapping[str, str]:
    """Return the checksums of the columns of a part of a run with this network and domain."""
    values = json.loads((parquet.metadata.metadata or {}).get(b"tropnet", b"{}"))
    if not values.get("part_of_run"):
        raise FileFormatError("its metadata does not say that it is one")
    if values["version"] != _PARQUET_VERSION:
        raise FileFormatError(f"format version {values['version']}, this tropnet reads {_PARQUET_VERSION}")
    digest = values.pop("digest")
    if digest != _digest(values, b"", (), {}):
        raise FileFormatError(_CHANGED)
    for name, own in (("fingerprint", network.fingerprint), ("domain", domain.description)):
        if json.dumps(values[name]) != json.dumps(own):
            raise FileFormatError(f"its {name} must be that of the run, {own}, but it is {values[name]}")
    return dict(values["checksums"])


def _checksums(columns: Columns) -> dict[str, str]:
    """Return a SHA-256 of each of the columns that are there, of all coordinates together."""
    sums = {"witness": hashlib.sha256(_exact_text(columns.rational_witnesses))}
    arrays = columns.packed, columns.packed_cuts, columns.packed_facets, columns.witnesses
    for name, array in zip(("pattern", "cuts", "facets", "points"), arrays, strict=True):
        if array is not None:
            sums[name] = hashlib.sha256(repr(array.shape).encode())
            sums[name].update(_flat(array))
    return {name: digest.hexdigest() for name, digest in sums.items()}


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
    if values["version"] not in (_VERSION, _PARQUET_VERSION):
        raise FileFormatError(f"format version {values['version']}, this tropnet reads up to {_PARQUET_VERSION}")
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


def _text(values: Sequence[Fraction] | None) -> str | None:
    return None if values is None else " ".join(map(str, values))


def _fractions(text: str) -> tuple[Fraction, ...]:
    return tuple(Fraction(part) for part in text.split())


def _exact_text(rational: Mapping[int, tuple[Fraction, ...]]) -> bytes:
    return repr(sorted((i, _text(exact)) for i, exact in rational.items())).encode()


def _flat(array: NDArray[Any]) -> memoryview:
    """Return the numbers of an array as a buffer, without a copy if they lie in order."""
    return np.ascontiguousarray(array).reshape(-1).data


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
        digest.update(b"" if array is None else _flat(array))
    digest.update(_exact_text(rational))
    return digest.hexdigest()


FORMATS: Mapping[str, Format] = {
    ".parquet": Format(write_parquet, read_parquet),
    ".npz": Format(write_npz, read_npz),
}

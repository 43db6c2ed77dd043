"""Files of regions: Parquet, and `.npz` of plain arrays; no pickle. What is damaged is refused, never misread.

`FORMATS` says which functions write and read files of which suffix.

The metadata of a Parquet file is text, as some readers demand: `tropnet`, JSON of network's fingerprint, domain, stats
and a checksum of all there is, and `tropnet_network`, the bytes of `Network.to_bytes` in base64 (up to version 2 the
bytes themselves, which are still read).
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

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

__all__ = ["FORMATS", "Columns", "Format", "read_npz", "read_parquet", "write_npz", "write_parquet"]

_KIND = "regions"
_VERSION = 2  # of the arrays
_PARQUET_VERSION = 3  # 3: metadata is text


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
    import pyarrow as pa
    import pyarrow.parquet as pq

    size = columns.packed.shape[1]
    binary = pa.binary(size) if size else pa.binary()
    rational = [_text(columns.rational_witnesses.get(i)) for i in range(len(columns.packed))]
    table = {
        "pattern": pa.array([row.tobytes() for row in columns.packed], type=binary),
        "cuts": pa.array([row.tobytes() for row in columns.packed_cuts], type=binary),
        **_facet_columns(columns.packed_facets),
        **{f"x{j}": pa.array(columns.witnesses[:, j]) for j in range(columns.domain.dimension)},
        "witness": pa.array(rational, type=pa.string()),
    }
    network = columns.network.to_bytes()
    metadata = {"tropnet": _header(columns, network, _PARQUET_VERSION), "tropnet_network": base64.b64encode(network)}
    stored = pa.table(table).replace_schema_metadata(metadata)
    write_atomically(path, lambda file: pq.write_table(stored, file, compression="zstd"))


def read_parquet(path: str | os.PathLike[str]) -> Columns:
    """Read what `write_parquet` wrote; see `Regions.from_parquet`.

    Raises
    ------
    FileNotFoundError, FileFormatError
        There is no such file, or it is damaged or another one.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = Path(path).read_bytes()
    try:
        table = pq.read_table(io.BytesIO(data))
        metadata = table.schema.metadata or {}
        if not {b"tropnet", b"tropnet_network"} <= metadata.keys():
            raise FileFormatError(
                "its metadata has no entry 'tropnet', which holds network, domain and checksum: Regions.to_parquet did"
                " not write it, or another program, such as pandas, wrote the table again and dropped it"
            )
        network = metadata[b"tropnet_network"]
        if json.loads(metadata[b"tropnet"])["version"] >= _PARQUET_VERSION:
            network = base64.b64decode(network, validate=True)
        net = Network.load(network)
        size = -(-net.n_neurons // 8)
        packed, cuts = (_bytes_column(table[name], size) for name in ("pattern", "cuts"))
        facets = None
        if "facets" in table.column_names:
            kind = table.schema.field("facets").type
            facets = _bytes_column(table["facets"], 0 if kind == pa.binary() else kind.byte_width)
        points = [table[f"x{j}"].to_numpy() for j in range(net.n_inputs)]
        rational = {i: _fractions(text) for i, text in enumerate(table["witness"].to_pylist()) if text}
        witnesses = np.column_stack(points)
        return _restored(metadata[b"tropnet"].decode(), network, packed, cuts, witnesses, rational, facets)
    except Exception as error:  # a damaged file can raise anything, deep in a parser
        raise FileFormatError(
            f"'{os.fspath(path)}' is not a complete Parquet file of tropnet regions ({error})."
        ) from error


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


def _facet_columns(packed_facets: PackedArray | None) -> dict[str, pa.Array]:
    if packed_facets is None:
        return {}
    import pyarrow as pa

    size = packed_facets.shape[1]
    binary = pa.binary(size) if size else pa.binary()
    return {"facets": pa.array([row.tobytes() for row in packed_facets], type=binary)}


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
        raise FileFormatError("its contents do not match their checksum")
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


FORMATS: Mapping[str, Format] = {
    ".parquet": Format(write_parquet, read_parquet),
    ".npz": Format(write_npz, read_npz),
}

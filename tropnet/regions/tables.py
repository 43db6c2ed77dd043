"""Tables of regions in Parquet: packed bits, coordinates and exact points, by pyarrow's buffers, not row by row."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tropnet.archives import LaterFormatError
from tropnet.arrays.patterns import PackedArray
from tropnet.arrays.types import FloatArray
from tropnet.errors import FileFormatError
from tropnet.network.network import Network

if TYPE_CHECKING:
    # Imported where it is used, as little is: it takes a tenth of a second.
    import pyarrow as pa
    import pyarrow.parquet as pq

__all__ = ["ALL", "ExactPoints", "Rows", "flat", "fractions", "opened", "read_rows", "text", "write_rows"]

ExactPoints = Mapping[int, tuple[Fraction, ...]]
# Columns of some regions by name: packed bits, `points` of shape (R, d), and, by row, exact points as `witness`.
Rows = dict[str, Any]
ALL = frozenset({"pattern", "cuts", "facets", "points", "witness"})
_GROUP = 1 << 16  # rows that can be read without the others


def write_rows(rows: Rows, metadata: Mapping[str, str], file: BinaryIO) -> None:
    """Write columns of regions, `points` as x0, x1, ..., as a Parquet file.

    Bits repeat from row to row, and zstd makes a tenth to a third of them. Of coordinates the bytes of equal place are
    put together, as only the first ones repeat. Nothing else pays: neither higher levels nor dictionaries.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    points = {f"x{j}": _number_column(column) for j, column in enumerate(rows["points"].T)}
    table = pa.table(
        {
            "pattern": _binary_column(rows["pattern"]),
            "cuts": _binary_column(rows["cuts"]),
            **({"facets": _binary_column(rows["facets"])} if "facets" in rows else {}),
            **points,
            "witness": _text_column(rows["witness"], len(rows["pattern"])),
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


@contextmanager
def opened(path: str | os.PathLike[str], what: str) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file, and raise a FileFormatError for whatever goes wrong within: a parser can raise anything.

    By its name: pyarrow reads Python's files in threads, which can abort the process where it ends soon after.
    """
    import pyarrow.parquet as pq

    with open(path, "rb"):  # else there is no such file
        pass
    try:
        with pq.ParquetFile(os.fspath(path)) as parquet:
            yield parquet
    except LaterFormatError as error:
        # Also that of the network within, which has no path.
        raise LaterFormatError.of(path, error.what) from error
    except Exception as error:
        raise FileFormatError(f"'{os.fspath(path)}' is not a complete {what} ({error}).") from error


def read_rows(
    parquet: pq.ParquetFile, network: Network, names: Collection[str] = ALL, group: int | None = None
) -> Rows:
    """Read the columns of these names, all but `facets` of which must be there, whole or one group of rows."""
    wanted = [name for name in parquet.schema_arrow.names if name in names or (name[0] == "x" and "points" in names)]
    table = parquet.read(wanted) if group is None else parquet.read_row_group(group, wanted)
    rows: Rows = {}
    size = -(-network.n_neurons // 8)
    if "pattern" in names:
        rows["pattern"] = _bytes_column(table["pattern"], size)
    if "cuts" in names:
        rows["cuts"] = _bytes_column(table["cuts"], size)
    if "facets" in wanted:
        rows["facets"] = _bytes_column(table["facets"], _size(table.schema.field("facets").type))
    if "points" in names:
        rows["points"] = np.column_stack([table[f"x{j}"].to_numpy() for j in range(network.n_inputs)])
    if "witness" in names:
        exact = np.flatnonzero(table["witness"].is_valid().to_numpy())
        texts = zip(exact.tolist(), table["witness"].take(exact).to_pylist(), strict=True)
        rows["witness"] = {i: fractions(text) for i, text in texts if text}
    return rows


def text(values: Sequence[Fraction]) -> str:
    """Return an exact point as text."""
    return " ".join(map(str, values))


def fractions(text: str) -> tuple[Fraction, ...]:
    """Undo `text`."""
    return tuple(Fraction(part) for part in text.split())


def flat(array: NDArray[Any]) -> memoryview:
    """Return the numbers of an array as a buffer, without a copy if they lie in order."""
    return np.ascontiguousarray(array).reshape(-1).data


def _number_column(numbers: FloatArray) -> pa.Array:
    """Return float64 numbers as a column; `pa.array` would import pandas, where that is installed."""
    import pyarrow as pa

    return pa.Array.from_buffers(pa.float64(), len(numbers), [None, pa.py_buffer(flat(numbers))])


def _binary_column(packed: PackedArray) -> pa.Array:
    """Return rows of bytes as a column, without a copy. Bytes of no size are none of a fixed one to Parquet."""
    import pyarrow as pa

    n, size = packed.shape
    if size:
        return pa.FixedSizeBinaryArray.from_buffers(pa.binary(size), n, [None, pa.py_buffer(flat(packed))])
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


def _text_column(exact: ExactPoints, n: int) -> pa.Array:
    """Return a column of exact points as text, null where there is none."""
    import pyarrow as pa

    if not exact:
        return pa.nulls(n, pa.string())
    places, null = np.zeros(n, dtype=np.int64), np.ones(n, dtype=np.bool_)
    rows = list(exact)
    places[rows], null[rows] = np.arange(len(rows)), False
    return pa.array(map(text, exact.values()), type=pa.string()).take(pa.array(places, mask=null))

"""Files of certificates: Parquet, one row a region, the statement in the metadata; read in groups of rows.

Nothing that is read here is trusted: the checker proves or refuses it.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tropnet.errors import CertificateError
from tropnet.proofs.statement import Statement

if TYPE_CHECKING:
    # Imported where it is used: it takes a tenth of a second.
    import pyarrow as pa

__all__ = ["METADATA", "Writer", "file_to_write", "new_parts", "paths_of", "read_regions", "read_statement"]

METADATA = b"tropnet_certificate"
_GROUP = 4096  # regions that are written, and read, at once
_READ = 256  # and made into lists of Python


def schema(n_neurons: int) -> pa.Schema:
    """Return the columns of a certificate: see docs/mathematics/certificates.md."""
    import pyarrow as pa

    numbers, integers = pa.list_(pa.float64()), pa.list_(pa.int32())
    return pa.schema(
        [
            ("pattern", pa.binary(max(1, -(-n_neurons // 8)))),
            ("witness", numbers),
            ("witness_exact", pa.string()),
            ("facet_rows", integers),
            ("facet_points", numbers),
            ("facet_exact", pa.string()),
            ("box", numbers),
            ("proof_targets", integers),
            ("proof_sizes", integers),
            ("proof_rows", integers),
            ("proof_values", numbers),
            ("proof_exact", pa.string()),
            ("claim_weights", numbers),
        ]
    )


class Writer:
    r"""Write one file of a certificate, region after region; a context manager.

    The file appears under its name when all is written; where the block ends with an error, there is none.

    Parameters
    ----------
    path
        The file.
    statement
        What is certified. In a certificate of one part, `n_regions` may be left 0: it is counted.

    Raises
    ------
    CertificateError
        On closing: a certificate in one part says another number of regions than were appended.

    Examples
    --------
    ``with Writer("cert.parquet", statement) as writer: writer.append({"pattern": [b"\1"], "witness": [[0.5]]})``
    """

    def __init__(self, path: str | os.PathLike[str], statement: Statement) -> None:
        self._path = file_to_write(path)
        self._statement = statement
        self._schema = schema(statement.n_neurons)
        self._tables: list[pa.Table] = []
        self._n_waiting = self._n = 0

    def __enter__(self) -> Self:
        import pyarrow as pa
        import pyarrow.parquet as pq

        handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.", suffix=".part")
        os.close(handle)
        umask = os.umask(0)
        os.umask(umask)
        self._partial = Path(name)
        self._partial.chmod(0o666 & ~umask)
        numbers = [f"{field.name}.list.element" for field in self._schema if field.type == pa.list_(pa.float64())]
        self._writer = pq.ParquetWriter(
            self._partial,
            self._schema,
            compression="zstd",
            use_dictionary=False,
            column_encoding=dict.fromkeys(numbers, "BYTE_STREAM_SPLIT"),
            write_statistics=False,
            store_schema=False,
        )
        return self

    def append(self, columns: Mapping[str, Sequence[Any] | pa.Array]) -> None:
        """Add regions: columns by name, sequences of equal length; absent ones are empty lists and null texts."""
        import pyarrow as pa

        n = len(columns["pattern"])
        arrays = []
        for field in self._schema:
            absent: list[Any] = [None] * n if pa.types.is_string(field.type) else [[]] * n
            values = columns.get(field.name, absent)
            arrays.append(values if isinstance(values, pa.Array) else pa.array(values, field.type))
        self._tables.append(pa.Table.from_arrays(arrays, schema=self._schema))
        self._n_waiting += n
        if self._n_waiting >= _GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._tables:
            self._writer.write_table(pa.concat_tables(self._tables).combine_chunks(), row_group_size=_GROUP)
        self._n += self._n_waiting
        self._tables, self._n_waiting = [], 0

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, trace: TracebackType | None) -> None:
        whole = False
        try:
            if kind is None:
                self._flush()
                self._writer.add_key_value_metadata({METADATA: self._counted().to_json().encode()})
                whole = True
        finally:
            try:
                self._writer.close()
                if whole:
                    self._partial.replace(self._path)
            finally:
                self._partial.unlink(missing_ok=True)

    def _counted(self) -> Statement:
        statement = self._statement
        if statement.n_parts > 1 or statement.n_regions == self._n:
            return statement
        if statement.n_regions:
            raise CertificateError(
                f"the statement must count the regions that are written, {self._n}, but it says {statement.n_regions}."
            )
        return replace(statement, n_regions=self._n)


def file_to_write(path: str | os.PathLike[str]) -> Path:
    """Return the file that a certificate goes to, links followed.

    Raises
    ------
    ValueError
        The name is empty.
    OSError
        It cannot be written: it is a directory or a device, or there is none to write it into.
    """
    if not os.fspath(path):
        raise ValueError("out must name a file, got ''.")
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "a certificate is a file, but this is a directory", os.fspath(path))
    if target.exists() and not target.is_file():
        raise OSError(errno.ENODEV, "a certificate is a file, but this is a device or a pipe", os.fspath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no directory to write a certificate into", os.fspath(path))
    if not os.access(target.parent, os.W_OK):
        raise PermissionError(errno.EACCES, "the directory of the certificate cannot be written", os.fspath(path))
    return target


@contextmanager
def new_parts(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Make a directory for the files of a certificate; whatever ends it early leaves none of them.

    Raises
    ------
    CertificateError
        It holds Parquet files.
    """
    if not os.fspath(path):
        raise ValueError("out must name a directory, got ''.")
    directory = Path(path).absolute()
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.glob("*.parquet")):
        raise CertificateError(f"'{path}' must be a directory without Parquet files: name another, or empty it.")
    try:
        yield directory
    except BaseException:
        for part in directory.glob("*.parquet"):
            part.unlink(missing_ok=True)
        raise


def paths_of(path: str | os.PathLike[str]) -> list[Path]:
    """Return the files of a certificate: that file, or those of a directory in the order of their names.

    Raises
    ------
    FileNotFoundError, CertificateError
        There is no such file or directory, or no Parquet file in it.
    """
    given = Path(path)
    if not given.is_dir():
        with given.open("rb"):  # else there is no such file
            return [given]
    found = sorted(given.glob("*.parquet"))
    if not found:
        raise CertificateError(f"a directory must hold the parts of a certificate, got no .parquet file in '{given}'.")
    return found


def read_statement(path: Path) -> Statement:
    """Read the header of a file; whatever is wrong with it raises one exception or another."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(os.fspath(path)) as parquet:
        metadata = parquet.metadata.metadata or {}
        if METADATA not in metadata:
            raise CertificateError(f"a certificate must have the metadata '{METADATA.decode()}', got another file.")
        return Statement.from_json(metadata[METADATA])


def read_regions(path: Path, n_neurons: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file, each a dict of bytes, texts, lists of floats and of integers, by column.

    Raises
    ------
    CertificateError
        It has other columns. Whatever else is wrong raises one exception or another.
    """
    import pyarrow.parquet as pq

    expected = schema(n_neurons)
    with pq.ParquetFile(os.fspath(path)) as parquet:
        columns = {field.name: field.type for field in parquet.schema_arrow}
        for field in expected:
            if columns.get(field.name) != field.type:
                found = columns.get(field.name, "no such column")
                raise CertificateError(f"column '{field.name}' must be of type {field.type}, got {found}.")
        for batch in parquet.iter_batches(_READ, columns=expected.names):
            yield from batch.to_pylist()

"""Files with a changed byte, and what programs other than tropnet read in them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tropnet import FileFormatError


def contents(path: Path) -> Any:
    """Return what the standard library reads of a zip archive, or pyarrow of a Parquet file; None if it cannot."""
    try:
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            # Beside tropnet's, pyarrow keeps metadata of its own, from which it restores what the columns tell anyway.
            metadata = table.schema.metadata or {}
            return table.to_pylist(), {key: metadata[key] for key in metadata if key.startswith(b"tropnet")}
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        # The end of a zip archive counts its entries, which the standard library does not check.
        end = path.read_bytes()[-22:]
        return members if int.from_bytes(end[10:12], "little") == len(members) else None
    except Exception:  # damaged files raise anything, deep in parsers
        return None


def check_damaged(path: Path, read: Callable[[Path], Any], check: Callable[[Any], None], places: Iterable[int]) -> None:
    """With any of its bits changed, a file is read as before iff others read the same in it, and else refused.

    Parameters
    ----------
    path
        A sound file; it is written over.
    read
        Tropnet's reader of it.
    check
        Called with what `read` returned, fails if it is not what was written.
    places
        The bytes to change, one at a time.
    """
    data, whole = path.read_bytes(), contents(path)
    assert whole is not None
    refused = harmless = 0
    for place in places:
        path.write_bytes(data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :])
        if contents(path) == whole:
            check(read(path))
            harmless += 1
        else:
            with pytest.raises(FileFormatError, match=path.name):
                read(path)
            refused += 1
    assert harmless
    assert refused

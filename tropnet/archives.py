"""`.npz` archives of plain arrays: written atomically, read without pickle, refused clearly when they are not ours."""

from __future__ import annotations

import io
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tropnet.errors import FileFormatError

__all__ = ["LaterFormatError", "archive_bytes", "check_version", "read_archive", "undamaged", "write_atomically"]

_KIND = "tropnet_kind"
_VERSION = "tropnet_version"
_MANY_ENTRIES = 0xFFFF  # and more, which zip counts elsewhere
# What an archive of another kind than was asked for is read by.
_READ_BY = {
    "network": "tropnet.load",
    "regions": "tropnet.Regions.from_npz",
    "compiled predictor": "tropnet.CompiledPredictor.load",
    "cached predictor": "tropnet.CachedPredictor.load",
    "tracked regions": "tropnet.RegionTracker.from_npz",
}


def write_atomically(path: str | os.PathLike[str], write: Callable[[BinaryIO], object]) -> None:
    """Call `write(file)` on a temporary file beside `path` and rename it into place once it is complete.

    A crash, an interrupt or a full disk leaves an earlier file at `path` untouched; what has returned survives a power
    failure. A device or a pipe is written into: it is not to become a file.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file() and not target.is_dir():
        with open(target, "wb") as device:
            write(device)
        return
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    except OSError as error:
        raise _named(error, path) from error
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)
        Path(name).replace(target)
        _settle(target.parent)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise _named(error, path) from error
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _settle(folder: Path) -> None:
    """Let the names in a folder survive a power failure, where the system can say so."""
    if hasattr(os, "O_DIRECTORY"):  # not on Windows
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # Some file systems have no such thing.
            with suppress(OSError):
                os.fsync(handle)
        finally:
            os.close(handle)


def _named(error: OSError, path: str | os.PathLike[str]) -> OSError:
    """Return the error with the name the user gave instead of the temporary one."""
    return type(error)(error.errno, error.strerror, os.fspath(path))


class LaterFormatError(FileFormatError):
    """A file has a format that this version of the package does not know yet."""

    what: str = ""

    @classmethod
    def of(cls, source: str | os.PathLike[str] | bytes, what: str) -> LaterFormatError:
        """Return the error that says what was found where; `what` names both versions."""
        error = cls(f"{_described(source)} has {what}; update tropnet.")
        error.what = what
        return error


def check_version(source: str | os.PathLike[str] | bytes, kind: str, found: Any, newest: int) -> None:
    """Refuse a file of a later format than `newest`; which one it has must be the first that is asked of it.

    Raises
    ------
    LaterFormatError
        It has one.
    FileFormatError
        What it says is no version.
    """
    if not isinstance(found, int) or found < 1:
        raise FileFormatError(f"{_described(source)} is a damaged {kind}: its format version is {found!r}.")
    if found > newest:
        raise LaterFormatError.of(source, f"format version {found} ({kind}), this tropnet reads up to {newest}")


@contextmanager
def undamaged(source: str | os.PathLike[str] | bytes, what: str) -> Iterator[None]:
    """Raise a FileFormatError for whatever goes wrong within: a damaged file can hold anything."""
    try:
        yield
    except LaterFormatError as error:
        # That of something within, such as the network of regions, which has no path.
        raise LaterFormatError.of(source, error.what) from error
    except Exception as error:
        raise FileFormatError(f"{_described(source)} is a damaged {what}: {error}.") from error


def _described(source: str | os.PathLike[str] | bytes) -> str:
    return "the data" if isinstance(source, bytes) else f"'{os.fspath(source)}'"


def archive_bytes(kind: str, version: int, arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return the bytes of an archive of `arrays`, marked with `kind` and format `version`.

    Raises
    ------
    ValueError
        An array holds objects, which only a pickle could keep.
    """
    objects = [name for name, array in arrays.items() if array.dtype.hasobject]
    if objects:
        raise ValueError(f"the arrays of an archive must hold plain numbers and text, {objects[0]} holds objects.")
    buffer = io.BytesIO()
    # To an older numpy allow_pickle=False would be one more array.
    members: dict[str, Any] = {_KIND: np.array(kind), _VERSION: np.array(version), **arrays}
    np.savez_compressed(buffer, **members)
    return buffer.getvalue()


def read_archive(source: str | os.PathLike[str] | bytes, kind: str, version: int) -> dict[str, NDArray[Any]]:
    """Return all arrays of an archive of `kind`.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    FileFormatError
        The file is truncated, not an archive, not of this kind, of a later format, or holds pickled objects.
    """
    where = _described(source)
    data = source if isinstance(source, bytes) else Path(source).read_bytes()
    try:
        archive = np.load(io.BytesIO(data), allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise FileFormatError(f"{where} is a single array, not a tropnet {kind} (.npz).")
        arrays = {name: archive[name] for name in archive.files}
        if len(arrays) != _n_entries(data, len(arrays)):
            raise zipfile.BadZipFile("entries are missing")
    except FileFormatError:
        raise
    except ValueError as error:
        raise FileFormatError(
            f"{where} is not a tropnet {kind}: it is no .npz archive of plain arrays, or reading it would need pickle,"
            " which tropnet never does because a pickle can run any code."
        ) from error
    except Exception as error:  # a damaged file can raise anything, deep in a parser
        raise FileFormatError(f"{where} is truncated or damaged ({error}); write the {kind} again.") from error
    found = str(arrays.pop(_KIND, "something else"))
    if found != kind:
        reader = f", which {_READ_BY[found]} reads" if found in _READ_BY else ""
        raise FileFormatError(f"{where} must hold a tropnet {kind}, but it holds {found}{reader}.")
    written = arrays.pop(_VERSION, np.array(0))
    check_version(source, kind, written.tolist(), version)
    return arrays


def _n_entries(data: bytes, default: int) -> int:
    """Return how many entries the end of a zip archive announces: `zipfile` takes a damaged one for a comment."""
    end = data.rfind(b"PK\5\6")
    announced = int.from_bytes(data[end + 10 : end + 12], "little")
    return default if announced == _MANY_ENTRIES else announced

"""The directory of a run: what it is of, and a line for every piece of work that is done.

    manifest.json     what the run is of, under a fingerprint; written once, before anything else
    network.npz       the network, as `Network.save` writes it
    journal.jsonl     a line for each piece: which open subtrees it took and left, and what it found
    log.jsonl         how the run went: time, rate, memory
    parts/*.parquet   the regions of each piece that found some
    lock              held by the process that works at the run

A run is a set of open subtrees. A piece of work takes some of them, searches, and leaves others: what it found and what
it left is one line, so that whatever is killed between two lines is as if it had never been begun. A part is in place
before the line that names it. Each line carries a checksum; the last one may be torn, which undoes it, and any other
that is damaged is an error. The line after which the journal is replayed is the last one that holds a state: as it
grows, the journal is written anew with that line only.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any, BinaryIO

from tropnet.archives import check_version, undamaged, write_atomically
from tropnet.errors import FileFormatError, RunError
from tropnet.network.network import Network
from tropnet.regions.runs.lines import as_json, content_of, line_of
from tropnet.regions.runs.lock import LOCK, locked
from tropnet.regions.runs.state import Manifest, Part, Piece, RunState, packed_subtrees, state_line

__all__ = [
    "Journal",
    "is_run",
    "part_path",
    "read_log",
    "read_manifest",
    "read_network",
    "read_state",
    "same_manifest",
    "version_of",
]

_FORMAT = "tropnet run"
_VERSION = 1
_MANIFEST, _NETWORK, _JOURNAL, _LOG, _PARTS = (
    "manifest.json", "network.npz", "journal.jsonl", "log.jsonl", "parts",
)  # fmt: skip
# A journal is written anew when it has grown by so many bytes, and to so many times what it was.
_GROWN_BY, _GROWN_TO = 1 << 25, 4


class Journal:
    """A run that this process works at, and nobody else; use it as a context.

    Parameters
    ----------
    path
        The directory, which is made if there is none.
    network, manifest
        Of what. The manifest of a run that exists stays: only what is told of it may differ.

    Raises
    ------
    RunError
        The directory holds another run or something else, or another process works at it.
    FileFormatError
        The run is damaged.
    OSError
        What the file system says.
    """

    def __init__(self, path: str | os.PathLike[str], network: Network, manifest: Manifest) -> None:
        # Whoever changes the working directory meanwhile does not move the run.
        self.path = Path(path).absolute()
        self._make(network, manifest)
        self._lock = locked(self.path)
        try:
            self.manifest = same_manifest(self.path, manifest)
            self.state, good = _replayed(self.path)
            self._check_parts()
            self._sweep()
            self._mend_network(network)
            self._file: BinaryIO = (self.path / _JOURNAL).open("ab")
            self._file.truncate(good)
            self._size_then = good
            self._compact()
        except BaseException:
            self._lock.close()
            raise
        self._began = self._told = time.monotonic()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._lock.close()

    def begin_session(self, about: Mapping[str, Any]) -> None:
        """Note that a process begins to work; `about` says which."""
        self._append({"session": {"host": socket.gethostname(), "pid": os.getpid(), **about}, "time": time.time()})

    def choose(self, engine: str) -> None:
        """Note which engine searches."""
        self._append({"engine": engine})

    def expect(self, estimate: Mapping[str, float]) -> None:
        """Note how many regions there are about; see `RunState.estimate`."""
        self._append({"estimate": dict(estimate)})

    def finish(self, piece: Piece) -> list[int]:
        """Write down a piece of work; return the numbers of the subtrees that it left.

        Raises
        ------
        OSError
            It could not be written, as on a full disk. The run is what it was before.
        """
        name = None
        if piece.regions is not None:
            name = f"{self.state.n_pieces + 1:08d}.parquet"
            data = piece.regions
            self._written(self.path / _PARTS / name, lambda file: file.write(data))
        now, first = time.monotonic(), self.state.n_numbered
        self._append(
            {
                "took": list(piece.took),
                "left": packed_subtrees(piece.left),
                "n_regions": piece.n_regions,
                "part": name,
                "n_bytes": 0 if piece.regions is None else len(piece.regions),
                "undecided": list(piece.undecided),
                "counters": dict(piece.counters),
                "seconds": round(piece.seconds, 6),
                "elapsed": round(now - self._told, 6),
            }
        )
        self._told = now
        if self._size > max(self._size_then + _GROWN_BY, _GROWN_TO * self._size_then):
            self._compact()
        return list(range(first, first + len(piece.left)))

    def fail(self, number: int, error: str) -> None:
        """Write down that a subtree could not be searched."""
        self._append({"failed": number, "error": error})

    def log(self, line: Mapping[str, Any]) -> None:
        """Add a line to the log; what cannot be written there is not missed."""
        with suppress(OSError), (self.path / _LOG).open("a") as file:
            file.write(as_json(dict(line)) + "\n")

    @property
    def elapsed(self) -> float:
        """Seconds by the clock, of all sessions."""
        return self.state.elapsed + time.monotonic() - self._told

    @property
    def _size(self) -> int:
        return self._file.tell()

    def _make(self, network: Network, manifest: Manifest) -> None:
        """Make the directory, unless it is there; the manifest last, as it makes it a run."""
        if os.path.lexists(self.path) and not self.path.is_dir():
            raise RunError(f"'{self.path}' must be a directory, or not exist: it is a file. Name another one.")
        self.path.mkdir(parents=True, exist_ok=True)
        if (self.path / _MANIFEST).exists():
            return
        strange = [entry.name for entry in self.path.iterdir() if not _is_begun(entry)]
        if strange:
            raise RunError(
                f"'{self.path}' must be a new or empty directory, or hold a run: it holds {strange[0]!r} and no"
                f" {_MANIFEST}. Put that back, or name another directory."
            )
        (self.path / _PARTS).mkdir(exist_ok=True)
        with locked(self.path):
            if not (self.path / _MANIFEST).exists():
                self._written(self.path / _NETWORK, lambda file: file.write(network.to_bytes()))
                self._written(self.path / _JOURNAL, lambda file: file.write(line_of(state_line(RunState()))))
                text = json.dumps(
                    {
                        "format": _FORMAT,
                        "version": _VERSION,
                        "fingerprint": manifest.fingerprint,
                        **asdict(manifest),
                        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
                    },
                    indent=1,
                )
                self._written(self.path / _MANIFEST, lambda file: file.write(text.encode()))

    def _written(self, path: Path, write: Callable[[BinaryIO], object]) -> None:
        try:
            write_atomically(path, write)
        except OSError as error:
            raise self._kept(error, path) from error

    def _kept(self, error: OSError, path: Path) -> OSError:
        """Return an error of the file system that says what is kept."""
        if not self._is_there():
            return FileNotFoundError(
                errno.ENOENT, "the directory of the run was removed or replaced while it went on", os.fspath(self.path)
            )
        return type(error)(
            error.errno,
            f"{error.strerror or error}; the run in '{self.path}' keeps what was finished, and goes on from there when"
            " the same call is made again",
            os.fspath(path),
        )

    def _append(self, line: Mapping[str, Any]) -> None:
        """Write a line, wholly or not at all."""
        size = self._size
        if not self._is_there():
            raise self._kept(OSError(), self.path)
        with _undisturbed():
            try:
                self._file.write(line_of(line))
                self._file.flush()
                os.fsync(self._file.fileno())
            except OSError as error:
                # What is left in the buffer must not be written later on.
                self._reopen(size)
                raise self._kept(error, self.path / _JOURNAL) from error
            self.state.replay(json.loads(as_json(line)))

    def _is_there(self) -> bool:
        """Return whether what is written goes into the journal that others find."""
        try:
            return os.path.samestat((self.path / _JOURNAL).stat(), os.fstat(self._file.fileno()))
        except (OSError, AttributeError):
            # Before the journal is open there is nothing to lose.
            return not hasattr(self, "_file")

    def _reopen(self, size: int) -> None:
        with suppress(OSError):
            self._file.close()
        self._file = (self.path / _JOURNAL).open("ab")
        self._file.truncate(size)

    def _compact(self) -> None:
        """Write the journal anew, as the state it leads to; where there is no room for that, it stays."""
        line = line_of(state_line(self.state))
        if len(line) * _GROWN_TO > self._size:
            self._size_then = self._size
            return
        with _undisturbed():
            with suppress(OSError):
                write_atomically(self.path / _JOURNAL, lambda file: file.write(line))
            # Whichever is in place now.
            self._file.close()
            self._file = (self.path / _JOURNAL).open("ab")
            self._size_then = self._size

    def _mend_network(self, network: Network) -> None:
        """Write the network again if its file is missing or damaged."""
        try:
            whole = read_network(self.path).fingerprint == network.fingerprint
        except (OSError, FileFormatError):
            whole = False
        if not whole:
            self._written(self.path / _NETWORK, lambda file: file.write(network.to_bytes()))

    def _sweep(self) -> None:
        """Remove what a killed process left: files half written, and parts that no line names."""
        named, parts = {part.name for part in self.state.parts}, self.path / _PARTS
        unnamed = (path for path in parts.glob("*.parquet") if path.stem.isdigit() and path.name not in named)
        for path in [*unnamed, *parts.glob(".*.part"), *self.path.glob(".*.part")]:
            path.unlink(missing_ok=True)

    def _check_parts(self) -> None:
        """Look whether all parts are there.

        Raises
        ------
        FileFormatError
            One is not, or has another size.
        """
        for part in self.state.parts:
            path = self.path / _PARTS / part.name
            if not path.exists() or path.stat().st_size != part.n_bytes:
                raise FileFormatError(
                    f"'{path}' must be a part of {part.n_bytes} bytes, and is missing or of another size: put it back,"
                    " or begin the run anew in another directory."
                )


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let Ctrl-C wait until the end: half a line, or a line without its effect, would be worse."""
    if current_thread() is not main_thread() or not callable(signal.getsignal(signal.SIGINT)):
        yield
        return
    came: list[int] = []
    usual = signal.signal(signal.SIGINT, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
        if came:
            signal.raise_signal(signal.SIGINT)


def is_run(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is a directory that holds a run."""
    return (Path(path) / _MANIFEST).is_file()


def read_manifest(path: str | os.PathLike[str]) -> Manifest:
    """Return the manifest of a run.

    Raises
    ------
    FileNotFoundError
        There is no such directory.
    FileFormatError
        It holds no run, or the manifest is damaged or of a later version.
    """
    where = Path(path) / _MANIFEST
    if not Path(path).exists():
        raise FileNotFoundError(errno.ENOENT, "no such run", os.fspath(path))
    if not where.exists():
        raise FileFormatError(f"'{os.fspath(path)}' must be the directory of a run: it holds no {_MANIFEST}.")
    with undamaged(where, "manifest of a run"):
        values = json.loads(where.read_text())
        if values["format"] != _FORMAT:
            raise ValueError(f"it says that it is {values['format']!r}")
        check_version(where, "run", values["version"], _VERSION)
        manifest = Manifest(values["kind"], values["identity"])
        if manifest.fingerprint != values["fingerprint"]:
            raise ValueError("its fingerprint is that of another run")
    return manifest


def read_state(path: str | os.PathLike[str]) -> RunState:
    """Return where a run stands, whether somebody works at it or not.

    Raises
    ------
    FileNotFoundError, FileFormatError
        As for `read_manifest`, or the journal is damaged.
    """
    read_manifest(path)
    return _replayed(Path(path))[0]


def read_network(path: str | os.PathLike[str]) -> Network:
    """Return the network of a run."""
    return Network.load(Path(path) / _NETWORK)


def part_path(path: str | os.PathLike[str], part: Part) -> Path:
    """Return where a part of a run lies."""
    return Path(path) / _PARTS / part.name


def read_log(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Return the last whole line of the log, or None."""
    where = Path(path) / _LOG
    if not where.exists():
        return None
    with where.open("rb") as file:
        file.seek(max(where.stat().st_size - (1 << 14), 0))
        lines = file.read().split(b"\n")
    for line in reversed(lines):
        with suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict):
                return found
    return None


def version_of(package: str) -> str | None:
    """Return the version of a package that is installed; None if it is not."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def same_manifest(path: Path, wanted: Manifest) -> Manifest:
    """Return the manifest of the run that is there.

    Raises
    ------
    RunError
        It is another run.
    """
    found = read_manifest(path)
    if found.fingerprint == wanted.fingerprint:
        return found
    here, there = ({"kind": each.kind, **json.loads(as_json(dict(each.identity)))} for each in (found, wanted))
    names = [name for name in {**here, **there} if here.get(name) != there.get(name)]
    differences = "; ".join(f"{name}: {_short(here.get(name))}, not {_short(there.get(name))}" for name in names)
    raise RunError(
        f"'{path}' holds another run, with the fingerprint {found.fingerprint[:16]}, not {wanted.fingerprint[:16]}"
        f" ({differences}). Name another directory, or remove this one."
    )


def _replayed(path: Path) -> tuple[RunState, int]:
    """Return the state after all lines of a journal, and how many of its bytes are whole lines."""
    where = path / _JOURNAL
    state, good = RunState(), 0
    try:
        data = where.read_bytes()
        if b"\n" not in data:
            raise ValueError("it holds no whole line")
        for line in data.splitlines(keepends=True):
            content = content_of(line)
            if content is None:
                if good + len(line) < len(data):
                    raise ValueError(f"line at byte {good} does not match its checksum")
                break
            state.replay(content)
            good += len(line)
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged file can hold anything
        raise FileFormatError(f"'{where}' must be the journal of a run, but is damaged: {error}.") from error
    return state, good


def _short(value: Any) -> str:
    text = as_json(value)
    return text if len(text) <= 80 else f"{text[:60]}... ({hashlib.sha256(text.encode()).hexdigest()[:8]})"


def _is_begun(entry: Path) -> bool:
    """Return whether a file can be left from a run that was killed before it had a manifest: nothing was found yet."""
    if entry.name == _JOURNAL:
        return entry.is_file() and entry.read_bytes() == line_of(state_line(RunState()))
    if entry.name == _PARTS:
        return entry.is_dir() and not any(entry.iterdir())
    return entry.name in (_NETWORK, LOCK) or (entry.name.startswith(".") and entry.name.endswith(".part"))

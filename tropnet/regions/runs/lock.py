"""The lock of a run: held until it is closed or its process ends, however it does."""

from __future__ import annotations

import os
import socket
import time
import weakref
from pathlib import Path
from typing import BinaryIO

from tropnet.errors import RunError

__all__ = ["LOCK", "is_being_worked_at", "locked"]

LOCK = "lock"
# Whoever looks whether a run is worked at holds its lock for an instant.
_SECONDS_OF_LOOKS = 0.5


def locked(path: Path) -> BinaryIO:
    """Return the lock of a run, held until it is closed or the process ends, however it does.

    Raises
    ------
    RunError
        Another process holds it.
    """
    file = (path / LOCK).open("a+b")
    deadline = time.monotonic() + _SECONDS_OF_LOOKS
    while not _lock(file):
        if time.monotonic() > deadline:
            file.seek(0)
            owner = file.read().decode(errors="replace").strip() or "another process"
            file.close()
            if owner == _this_process():
                owner = "this process"
            raise RunError(f"'{path}' is worked at by {owner}: wait until it is done, or stop it.")
        time.sleep(_SECONDS_OF_LOOKS / 20)
    file.truncate(0)
    file.write(_this_process().encode())
    file.flush()
    _HELD.add(file)
    return file


def _this_process() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


def is_being_worked_at(path: str | os.PathLike[str]) -> bool:
    """Return whether a process holds the lock of a run; only reads."""
    try:
        with (Path(path) / LOCK).open("rb") as file:
            return not _lock(file, shared=True)
    except FileNotFoundError:
        return False


# A lock outlives its process in the children that inherit it.
_HELD: weakref.WeakSet[BinaryIO] = weakref.WeakSet()


def _leave_to_parent() -> None:
    for file in list(_HELD):
        file.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)

try:
    import fcntl
except ImportError:  # Windows
    import msvcrt

    def _lock(file: BinaryIO, *, shared: bool = False) -> bool:
        """Lock a file; return False if another process has."""
        del shared
        # Far beyond the text, which others may read.
        file.seek(1 << 30)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        finally:
            file.seek(0)
        return True
else:

    def _lock(file: BinaryIO, *, shared: bool = False) -> bool:
        """Lock a file; return False if another process has."""
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

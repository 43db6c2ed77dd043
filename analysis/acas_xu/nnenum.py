"""nnenum, beside: another program (GPL), run as a process of its own where it is installed, never imported."""

from __future__ import annotations

import re
import resource
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Beside", "by_nnenum", "version_in"]

_GRACE = 60.0
_STARS = re.compile(r"Total Stars: (\d+)")
_RUNTIME = re.compile(r"^Runtime: ([\d.]+) sec", re.MULTILINE)


@dataclass(frozen=True)
class Beside:
    """One instance for nnenum: by its own choice of settings, or enumerating all regions (exact)."""

    python: str
    network: str
    statement: str
    seconds: float
    exact: bool


def by_nnenum(block: Beside) -> dict[str, Any]:
    """Return its verdict, how many sets it had, the seconds that it says, and its processor time with all imports."""
    settings = ["exact"] if block.exact else ["auto"]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "result"
        line = [block.python, "-m", "nnenum.nnenum", block.network, block.statement, str(block.seconds), str(out), "1"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        try:
            done = subprocess.run(  # noqa: S603 - what the user named
                [*line, *settings], capture_output=True, text=True, check=False, timeout=block.seconds + _GRACE
            )
            text, answer = done.stdout, out.read_text().split() if out.exists() else []
        except subprocess.TimeoutExpired:
            text, answer = "", ["timeout"]
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    word = answer[0] if answer else "error"
    runs = [float(value) for value in _RUNTIME.findall(text)]
    return {
        "status": {"holds": "holds", "violated": "violated", "unsat": "holds", "sat": "violated"}.get(word, "unknown"),
        "stars": sum(map(int, _STARS.findall(text))),
        "seconds": round(sum(runs), 2) if runs else None,
        "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2),
    }


def version_in(python: str) -> str | None:
    """Return the version of nnenum that an interpreter has, or None."""
    code = "from importlib.metadata import version; print(version('nnenum'))"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
    except OSError:
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None

"""What an installation is made of, and whether it works: versions, extras, the machine, compiled code, the engines."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from tropnet.cli.options import ENGINES

__all__ = ["Diagnosis", "available_memory", "diagnose", "usable_cores"]

# Extras that those need who work at tropnet itself.
FOR_DEVELOPMENT = {"analysis", "bench", "docs", "test"}
_ROOMS = ("enumeration", "geometry", "prediction", "regions")
# Environment variables that change how tropnet runs.
_VARIABLES = ("NUMBA_CACHE_DIR", "NUMBA_DISABLE_JIT", "OMP_NUM_THREADS", "TROPNET_QUIET", "NO_COLOR")
_LITTLE_MEMORY, _LITTLE_DISK = 2**28, 2**28
# max(|x| + |y| - 1, 0) + max(|x| - |y|, 0): in each of four quadrants two lines cross.
_WEIGHTS = ([[1, 0], [-1, 0], [0, 1], [0, -1]], [[1, 1, 1, 1], [1, 1, -1, -1]], [[1, 1]])
_BIASES = ([0, 0, 0, 0], [-1, 0], [0])
_N_REGIONS = 16


@dataclass
class Diagnosis:
    """What was found.

    Attributes
    ----------
    versions
        Of tropnet, Python, and the system.
    dependencies
        The version of each, None where it is missing.
    extras
        Of each extra, what it needs with versions, and the line that installs what is missing (None: nothing is).
    machine
        Cores that may be used, free memory and disk in bytes, environment variables.
    cache
        Of compiled kernels: directories, bytes, whether they can be written, how many kernels are there.
    engines
        Of each engine, whether it was compiled before, whether its count is right, and how long that took.
    faults
        What is wrong, and what to do about it.
    """

    versions: dict[str, str]
    dependencies: dict[str, str | None] = field(default_factory=dict)
    extras: dict[str, dict[str, Any]] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    cache: dict[str, Any] = field(default_factory=dict)
    engines: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def diagnose() -> Diagnosis:
    """Look at everything; what fails is a fault, and the rest is looked at nevertheless."""
    found = Diagnosis({"python": platform.python_version(), "system": platform.platform()})
    _look_at_packages(found)
    _look_at_machine(found)
    try:
        kernels = list(_kernels())
    except Exception as error:
        found.faults.append(
            f"tropnet cannot be imported: {type(error).__name__}: {_line(error)}. Set NUMBA_CACHE_DIR to a directory"
            " for compiled code, if there is none that can be written; else install tropnet again."
        )
        return found
    _look_at_cache(found, kernels)
    _look_at_engines(found, kernels)
    return found


def _look_at_packages(found: Diagnosis) -> None:
    """Compare what is installed with what tropnet's metadata ask for."""
    try:
        distribution = metadata.distribution("tropnet")
    except metadata.PackageNotFoundError:
        found.faults.append("tropnet is imported from a folder, but is not installed: pip install it.")
        return
    found.versions = {"tropnet": distribution.version, **found.versions}
    needs = [_Requirement.of(text) for text in distribution.requires or ()]
    extras = distribution.metadata.get_all("Provides-Extra") or []
    for need in needs:
        if need.extra is None:
            found.dependencies[need.name] = version = _version(need.name)
            if not need.is_met_by(version):
                has = f"{need.name} {version} is installed" if version else "it is missing"
                found.faults.append(f"tropnet needs {need}, and {has}: pip install '{need}'")
    for extra in extras:
        wanted = list(_needs_of(extra, needs))
        lacks = [str(need) for need in wanted if not need.is_met_by(_version(need.name))]
        found.extras[extra] = {
            "packages": {need.name: _version(need.name) for need in wanted},
            "missing": lacks,
            "install": f"pip install 'tropnet[{extra}]'" if lacks else None,
        }


@dataclass(frozen=True)
class _Requirement:
    """A line of the metadata, such as "torch>=2.3; extra == 'torch'"."""

    name: str
    extras: tuple[str, ...]
    least: str
    extra: str | None

    @classmethod
    def of(cls, text: str) -> _Requirement:
        """Read a line."""
        what, _, marker = text.partition(";")
        name = re.match(r"[\w.-]+", what.strip())
        inner, least, extra = (
            re.search(pattern, part)
            for pattern, part in ((r"\[([\w, -]+)\]", what), (r">=\s*([\w.]+)", what), (r"extra == .([\w-]+).", marker))
        )
        return cls(
            name[0] if name else what.strip(),
            tuple(inner[1].replace(" ", "").split(",")) if inner else (),
            least[1] if least else "0",
            extra[1] if extra else None,
        )

    def is_met_by(self, version: str | None) -> bool:
        """Return whether a version is there, and new enough."""
        return version is not None and _release(version) >= _release(self.least)

    def __str__(self) -> str:
        return f"{self.name}>={self.least}" if self.least != "0" else self.name


def _needs_of(extra: str, needs: Sequence[_Requirement]) -> Iterator[_Requirement]:
    """Yield what an extra needs, and what the extras need that it names."""
    for need in needs:
        if need.extra == extra and need.name == "tropnet":
            for other in need.extras:
                yield from _needs_of(other, needs)
        elif need.extra == extra:
            yield need


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _release(version: str) -> tuple[int, ...]:
    numbers = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, numbers[0].split("."))) if numbers else (0,)


def _look_at_machine(found: Diagnosis) -> None:
    memory, here = available_memory(), Path.cwd()
    disk = shutil.disk_usage(here).free
    found.machine = {
        "cores": usable_cores(),
        "memory_available": memory,
        "disk_free": disk,
        "directory": str(here),
        "environment": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
    }
    if memory is not None and memory < _LITTLE_MEMORY:
        found.faults.append(f"only {memory / 2**20:.0f} MB of memory are free: end other programs.")
    if disk < _LITTLE_DISK:
        found.faults.append(f"only {disk / 2**20:.0f} MB are free on the disk of '{here}': files may not fit.")
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        found.faults.append("NUMBA_DISABLE_JIT is set, which the kernels cannot run with: unset it.")


def usable_cores() -> int:
    """Return how many cores this process may use, by its affinity and by the quota of its container."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _read(Path("/sys/fs/cgroup/cpu.max")).split()
    if len(quota) == 2 and quota[0].isdigit():
        cores = min(cores, max(int(quota[0]) // int(quota[1]), 1))
    return cores


def available_memory() -> int | None:
    """Return how many bytes can still be had, by the system and by the limit of the container; None if nobody says."""
    limits = []
    lines = re.search(r"MemAvailable:\s+(\d+) kB", _read(Path("/proc/meminfo")))
    if lines:
        limits.append(int(lines[1]) * 1024)
    elif sys.platform != "win32" and "SC_AVPHYS_PAGES" in os.sysconf_names:
        limits.append(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    most, used = (_read(Path("/sys/fs/cgroup") / name).strip() for name in ("memory.max", "memory.current"))
    if most.isdigit() and used.isdigit():
        limits.append(int(most) - int(used))
    return min(limits) if limits else None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _kernels() -> Iterator[tuple[str, Any]]:
    """Yield the kernels that are kept on disk, with the modules they belong to."""
    for room in _ROOMS:
        import_module(f"tropnet.{room}")
    for name, module in sorted(sys.modules.items()):
        if name.startswith("tropnet.") and module is not None:
            for kernel in vars(module).values():
                # A numba without this place has another one, which this function does not know.
                is_kept = hasattr(getattr(kernel, "_cache", None), "_cache_file")
                if is_kept and kernel.__module__ == name:
                    yield name, kernel


def _is_kept(kernel: Any) -> bool:
    """Return whether a kernel is there, compiled from the sources as they are."""
    return bool(kernel._cache._cache_file._load_index())


def _look_at_cache(found: Diagnosis, kernels: Sequence[tuple[str, Any]]) -> None:
    folders = sorted({Path(kernel._cache.cache_path) for _, kernel in kernels})
    files = [file for folder in folders for file in folder.glob("*.nb[ic]")]
    barred = [folder for folder in folders if not _can_write(folder)]
    found.cache = {
        "directory": os.path.commonpath(folders) if folders else None,
        "bytes": sum(file.stat().st_size for file in files),
        "writable": not barred,
        "kernels": len(kernels),
        "compiled": sum(_is_kept(kernel) for _, kernel in kernels),
    }
    if barred:
        found.faults.append(
            f"compiled kernels cannot be kept in '{barred[0]}', so that every process compiles them again (some 10 s):"
            " set NUMBA_CACHE_DIR to a directory that can be written."
        )


def _can_write(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _look_at_engines(found: Diagnosis, kernels: Sequence[tuple[str, Any]]) -> None:
    """Count 16 regions with each engine."""
    from numba.core.event import install_recorder

    import tropnet as tn

    net = tn.Network.mlp(_WEIGHTS, _BIASES)
    for engine in ENGINES[1:]:  # but for "auto"
        own = [kernel for name, kernel in kernels if name.startswith(f"tropnet.enumeration.engines.{engine}.")]
        # Some kernels of an engine are only compiled for what few networks need.
        before = any(map(_is_kept, own)) if own else None
        begin = time.perf_counter()
        problem, n = None, None
        with install_recorder("numba:compile") as compiled:
            try:
                n = tn.count_regions(net, engine=engine)
            except Exception as error:
                problem = f"fails: {type(error).__name__}: {_line(error)}"
        if compiled.buffer:
            before = False
        if n is not None and n != _N_REGIONS:
            problem = f"counts {n} regions where there are {_N_REGIONS}"
        seconds = time.perf_counter() - begin
        found.engines[engine] = {"works": problem is None, "compiled_before": before, "seconds": seconds}
        if problem is not None:
            solver = " HiGHS, its solver, comes with highspy: pip install --force-reinstall highspy." * (engine == "lp")
            found.faults.append(f"engine {engine} {problem}; install tropnet again, or report it.{solver}")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())

"""What a machine needs before the studies run on it: packages, a GPU. Imports the standard library only."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_PYTHON = (3, 11)
_EXTRA = "plot"
_FURTHER = ("pooch>=1.8",)  # analysis/shared/datasets.py
# ResNet34 in training, 64 images in float32 and what CUDA itself takes: some 2 GB.
_BYTES_PER_PROCESS = 5 * 2**29


def missing_requirements() -> list[str]:
    """Return what the studies on a GPU need and is not installed; PyTorch, which depends on the machine, is not asked.

    The checkout itself is run as it is, so that it need not be installed.
    """
    project = _project()
    wanted = [*project["dependencies"], *project["optional-dependencies"][_EXTRA], *_FURTHER]
    return [requirement for requirement in wanted if not _is_installed(requirement)]


def _project() -> dict[str, Any]:
    import tomllib  # since Python 3.11, of which `prepare` asks first

    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return found


def _is_installed(requirement: str) -> bool:
    """Return whether a package is there in the least version that is asked for, "name>=version" or "name".

    Examples
    --------
    >>> _is_installed("numpy>=1.26"), _is_installed("numpy>=1000")
    (True, False)
    """
    name, _, least = requirement.partition(">=")
    try:
        found = distribution(name).version
    except PackageNotFoundError:
        return False
    return _numbers(found) >= _numbers(least)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.match(r"[\d.]*", version)[0].split(".") if digits)


def prepare() -> None:
    """Install what is missing, or exit and say what it is."""
    if sys.version_info < _PYTHON:
        sys.exit(f"Python {'.'.join(map(str, _PYTHON))} or newer must be used, this is {sys.version.split()[0]}.")
    torch = _project()["optional-dependencies"]["torch"][0]
    if not _is_installed(torch):
        sys.exit(f"{torch} must be installed, in its build for this machine's GPU; it is not. See pytorch.org.")
    missing = missing_requirements()
    if not missing:
        return
    print(f"Installing {', '.join(missing)}", flush=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *missing]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - what pyproject names
    if result.returncode:
        lines = result.stderr.strip().splitlines() or ["pip said nothing"]
        reason = next((line for line in lines if line.lower().startswith("error")), lines[-1])
        sys.exit(
            f"pip must install {', '.join(missing)}, but it failed: {reason}. Install them by hand; without a network,"
            " from wheels in a folder that PIP_FIND_LINKS names, with PIP_NO_INDEX=1."
        )


def gpu() -> str | None:
    """Return the name of the GPU, None if there is none that PyTorch can use."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def fitting_processes() -> int:
    """Return how many processes that train the largest of the networks fit into what is free of the GPU's memory."""
    import torch

    return max(1, torch.cuda.mem_get_info()[0] // _BYTES_PER_PROCESS) if torch.cuda.is_available() else 1

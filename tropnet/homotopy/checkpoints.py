"""The directory of a training run: its checkpoint and its logs, each written whole or not at all."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from tropnet.archives import write_atomically
from tropnet.errors import FileFormatError
from tropnet.homotopy.schedules import SkipStrengthScheduler

__all__ = ["describe", "random_state", "read_checkpoint", "restore_random_state", "write_checkpoint", "write_logs"]

_CHECKPOINT = "checkpoint.pt"


def describe(model: Any, optimizer: Any, schedulers: Sequence[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a checkpoint must share with the run that goes on from it, in plain values."""
    tensors = [(name, list(value.shape), str(value.dtype)) for name, value in model.state_dict().items()]
    return {
        "model": f"{len(tensors)} tensors, {hashlib.sha256(json.dumps(tensors).encode()).hexdigest()[:12]}",
        "optimizer": f"{type(optimizer).__name__} {optimizer.defaults}",
        "schedulers": [
            # The states of other schedulers may hold functions, which have no lasting name.
            f"{type(one).__name__} {one.state_dict() if isinstance(one, SkipStrengthScheduler) else ''}".strip()
            for one in schedulers
        ],
        **options,
    }


def write_checkpoint(directory: Path, state: Mapping[str, Any]) -> None:
    """Write a state of tensors and plain values atomically."""
    directory.mkdir(parents=True, exist_ok=True)
    write_atomically(directory / _CHECKPOINT, lambda file: torch.save(dict(state), file))


def read_checkpoint(directory: Path, run: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the state that was written for a run, None if there is none.

    Raises
    ------
    FileFormatError
        The file is damaged, or that of another run; the message says what differs.
    """
    path = directory / _CHECKPOINT
    if not path.exists():
        return None
    try:
        # Tensors and plain values only: such a file can run no code.
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        written = state["run"]
        different = [key for key in {**written, **run} if written.get(key) != run.get(key)]
    except Exception as error:  # a damaged file can raise anything
        raise FileFormatError(f"{path} must be a checkpoint of this run: {error}. Remove it to begin anew.") from error
    if different:
        listed = "; ".join(f"{key} was {written.get(key)}, now {run.get(key)}" for key in different)
        raise FileFormatError(
            f"{path} must be a checkpoint of this run, but {listed}. Use another directory, or remove it to begin anew."
        )
    return state


def write_logs(directory: Path, run: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> None:
    """Write `log.csv`, one row per epoch, and `log.json`, the same beside what the run is.

    A list in the history, an entry for each trial, is several columns in the CSV, as loss_0, loss_1, ...
    """
    directory.mkdir(parents=True, exist_ok=True)
    rows = [_flat(entry) for entry in history]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    record = json.dumps({"run": run, "epochs": history}, indent=1) + "\n"
    write_atomically(directory / "log.csv", lambda file: file.write(text.getvalue().encode()))
    write_atomically(directory / "log.json", lambda file: file.write(record.encode()))


def _flat(entry: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in entry.items():
        flat |= {f"{key}_{i}": part for i, part in enumerate(value)} if isinstance(value, list) else {key: value}
    return flat


def random_state(device: Any) -> dict[str, Any]:
    """Return the states of PyTorch's own generators, of the CPU and of the device."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_random_state(state: Mapping[str, Any], device: Any) -> None:
    """Set the states of PyTorch's own generators."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)

"""The directory of a training run: its checkpoint and its logs, each written whole or not at all."""

from __future__ import annotations

import csv
import functools
import io
import json
import math
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tropnet.archives import write_atomically
from tropnet.errors import FileFormatError

__all__ = [
    "alike",
    "clear_unfinished",
    "describe",
    "plain",
    "random_state",
    "read_checkpoint",
    "refuse_unreadable",
    "restore_random_state",
    "seed_random",
    "write_checkpoint",
    "write_logs",
]

_CHECKPOINT = "checkpoint.pt"
_FILES = (_CHECKPOINT, "log.csv", "log.json")


def describe(model: Any, optimizer: Any, schedulers: Sequence[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a checkpoint must share with the run that goes on from it, in plain values."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    members = [[names.get(id(one), "another") for one in group["params"]] for group in optimizer.param_groups]
    return {
        "model": {name: f"{value.dtype} {tuple(value.shape)}" for name, value in model.state_dict().items()},
        "optimizer": {"type": type(optimizer).__name__, "groups": _groups(optimizer.state_dict(), members)},
        "schedulers": [{"type": type(one).__name__, **_described(one.state_dict())} for one in schedulers],
        **_described(options),
    }


def _groups(state: Mapping[str, Any], members: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """Return the options of an optimizer's groups, with the names of their parameters."""
    groups = [{key: value for key, value in group.items() if key != "params"} for group in state["param_groups"]]
    return [{**_described(group), "parameters": names} for group, names in zip(groups, members, strict=True)]


def _described(value: Any) -> Any:
    """Return a value as JSON has them; a function as its name, an object as its type (a module with its options)."""
    if isinstance(value, np.generic | np.ndarray | torch.Tensor):
        return _described(value.tolist())
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): _described(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_described(part) for part in value]
    if isinstance(value, functools.partial):
        return {"partial": _described(value.func), "of": _described([value.args, value.keywords])}
    if isinstance(value, torch.nn.Module):
        options = {key: part for key, part in vars(value).items() if key[0] != "_" and key != "training"}
        return {"type": type(value).__name__, **_described({**options, **value.state_dict()})}
    return str(getattr(value, "__qualname__", type(value).__name__))


def plain(value: Any) -> Any:
    """Return a state with plain values for those of NumPy, which are not read back without running code."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        parts = {plain(key): plain(part) for key, part in value.items()}
        return type(value)(parts) if isinstance(value, Counter | OrderedDict) else parts
    if isinstance(value, list | tuple):
        return [plain(part) for part in value] if isinstance(value, list) else tuple(map(plain, value))
    return value


def alike(saved: Any, present: Any) -> Any:
    """Return a plain state with arrays again where the present state has them."""
    if isinstance(present, np.ndarray):
        return np.asarray(saved, present.dtype)
    if isinstance(saved, dict) and isinstance(present, Mapping):
        for key in saved.keys() & present.keys():
            saved[key] = alike(saved[key], present[key])
    return saved


def refuse_unreadable(state: Mapping[str, Any]) -> None:
    """Refuse a state whose checkpoint could not be written, or not be read back.

    Raises
    ------
    FileFormatError
        So it is; the message names the part.
    """
    for key, part in state.items():
        buffer = io.BytesIO()
        try:
            torch.save(part, buffer)
            buffer.seek(0)
            torch.load(buffer, map_location="cpu", weights_only=True)
        except Exception as error:  # whatever the objects raise that pickle meets
            raise FileFormatError(
                f"the state of '{key}' must be tensors and plain values, or a checkpoint could not be read back:"
                f" {str(error).strip().splitlines()[0]} Leave functions and other objects out of its state_dict()."
            ) from error


def write_checkpoint(directory: Path, state: Mapping[str, Any]) -> None:
    """Write a state of tensors and plain values atomically."""
    directory.mkdir(parents=True, exist_ok=True)
    write_atomically(directory / _CHECKPOINT, lambda file: torch.save(dict(state), file))


def clear_unfinished(directory: Path) -> None:
    """Remove what a process left that was killed while it wrote."""
    for name in _FILES:
        for path in directory.glob(f".{name}.*.part"):
            path.unlink(missing_ok=True)


def read_checkpoint(directory: Path, run: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the state that was written for a run, None if there is none.

    Optimizer and schedulers must be as at the beginning of that run, or as they were when it was written.

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
        written, later = state["run"], _as_written(state)
        different = [
            difference
            for key in {**written, **run}
            if key not in later or later[key] != run.get(key)
            for difference in _differences(key, written.get(key), run.get(key))
        ]
    except Exception as error:  # a damaged file can raise anything
        raise FileFormatError(f"{path} must be a checkpoint of this run: {error}. Remove it to begin anew.") from error
    if different:
        more = f"; and {len(different) - 5} more" if len(different) > 5 else ""
        raise FileFormatError(
            f"{path} must be a checkpoint of this run, but {'; '.join(different[:5])}{more}. Use another directory, or"
            " remove it to begin anew."
        )
    return state


def _as_written(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the description of the optimizer and the schedulers when the checkpoint was written."""
    optimizer, schedulers = state["run"]["optimizer"], state["run"]["schedulers"]
    members = [group["parameters"] for group in optimizer["groups"]]
    pairs = zip(schedulers, state["schedulers"], strict=True)
    return {
        "optimizer": {**optimizer, "groups": _groups(state["optimizer"], members)},
        "schedulers": [{"type": one["type"], **_described(saved)} for one, saved in pairs],
    }


def _differences(name: str, written: Any, now: Any) -> Iterator[str]:
    """Yield what differs, as deep within mappings and lists as both go."""
    if isinstance(written, dict) and isinstance(now, dict):
        for key in {**written, **now}:
            yield from _differences(f"{name}.{key}", written.get(key), now.get(key))
    elif _nested(written) and _nested(now) and len(written) == len(now):
        for index, (one, other) in enumerate(zip(written, now, strict=True)):
            yield from _differences(f"{name}.{index}", one, other)
    elif written != now:
        yield f"{name} was {written}, now {now}"


def _nested(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(part, dict) for part in value)


def write_logs(directory: Path, run: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> None:
    """Write `log.csv`, one row per epoch, and `log.json`, the same beside what the run is.

    A list in the history, an entry for each trial, is several columns in the CSV, as loss_0, loss_1, ... What was not
    measured in an epoch is empty there.
    """
    directory.mkdir(parents=True, exist_ok=True)
    rows = [_flat(entry) for entry in history]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(dict.fromkeys(name for row in rows for name in row)))
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


def seed_random(seed: int, device: Any) -> None:
    """Seed PyTorch's own generators of the CPU and of the device, and of no other device."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index].manual_seed(seed)
    elif device.type != "cpu":
        torch.manual_seed(seed)


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

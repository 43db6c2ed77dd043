"""Files of tracked regions: `.npz` of plain arrays; no pickle. What is damaged is refused."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.archives import archive_bytes, read_archive, undamaged, write_atomically
from tropnet.arrays.patterns import PackedArray
from tropnet.errors import FileFormatError
from tropnet.network.domain import Domain, domain_from
from tropnet.network.network import Network

__all__ = ["Columns", "read", "write"]

_KIND = "tracked regions"
_VERSION = 1


class Columns(NamedTuple):
    """What a file holds of a `RegionTracker`."""

    n_inputs: int
    widths: tuple[int, ...]
    domain: Domain
    options: Mapping[str, Any]
    packed: PackedArray
    steps: Sequence[int]
    numbers: Sequence[NDArray[np.int64]]
    complete: Sequence[bool]
    by_layer: NDArray[np.int64]
    networks: Sequence[Network]


def write(columns: Columns, path: str | os.PathLike[str]) -> None:
    """Write a file; see `RegionTracker.to_npz`."""
    header = {
        "n_inputs": columns.n_inputs,
        "widths": columns.widths,
        "domain": columns.domain.description,
        "options": dict(columns.options),
    }
    networks = [np.frombuffer(net.to_bytes(), dtype=np.uint8) for net in columns.networks]
    arrays: dict[str, NDArray[Any]] = {
        "header": np.array(json.dumps(header)),
        "packed": columns.packed,
        "steps": np.array(columns.steps, dtype=np.int64),
        "complete": np.array(columns.complete, dtype=np.bool_),
        "by_layer": columns.by_layer,
        **_joined("numbers", columns.numbers, np.int64),
        **_joined("networks", networks, np.uint8),
    }
    data = archive_bytes(_KIND, _VERSION, arrays)
    write_atomically(path, lambda file: file.write(data))


def read(path: str | os.PathLike[str]) -> Columns:
    """Read a file; see `RegionTracker.from_npz`."""
    arrays = read_archive(path, _KIND, _VERSION)
    with undamaged(path, "file of tracked regions"):
        header = json.loads(str(arrays["header"]))
        found = Columns(
            int(header["n_inputs"]),
            tuple(map(int, header["widths"])),
            domain_from(header["domain"]),
            header["options"],
            arrays["packed"],
            arrays["steps"].tolist(),
            _parted("numbers", arrays),
            arrays["complete"].tolist(),
            arrays["by_layer"],
            [Network.load(part.tobytes()) for part in _parted("networks", arrays)],
        )
        _check(found)
        return found


def _check(found: Columns) -> None:
    """Raise if the parts do not fit together."""
    n, n_neurons = len(found.steps), sum(found.widths)
    if not n == len(found.numbers) == len(found.complete) == len(found.by_layer) or n < 1:
        raise FileFormatError("its tables have different lengths")
    if len(found.networks) not in (0, n) or any(
        (net.n_inputs, net.widths) != (found.n_inputs, found.widths) for net in found.networks
    ):
        raise FileFormatError("its networks are not those of its steps")
    if found.packed.dtype != np.uint8 or found.packed.shape[1:] != (-(-n_neurons // 8),):
        raise FileFormatError(f"its patterns are not of {n_neurons} neurons")
    if any(len(part) and not 0 <= part.min() <= part.max() < len(found.packed) for part in found.numbers):
        raise FileFormatError("a region has the number of no pattern")


def _joined(name: str, parts: Sequence[NDArray[Any]], dtype: Any) -> dict[str, NDArray[Any]]:
    """Return arrays end to end, and where each begins."""
    offsets = np.cumsum([0, *map(len, parts)], dtype=np.int64)
    return {name: np.concatenate([np.zeros(0, dtype=dtype), *parts]), f"{name}_offsets": offsets}


def _parted(name: str, arrays: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """Undo `_joined`."""
    values, offsets = arrays[name], arrays[f"{name}_offsets"]
    if offsets[0] != 0 or offsets[-1] != len(values) or (np.diff(offsets) < 0).any():
        raise FileFormatError(f"its {name} are not where it says")
    return [values[start:end] for start, end in pairwise(offsets)]

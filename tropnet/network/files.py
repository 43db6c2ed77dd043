"""Files of networks: the arrays of all layers in one `.npz`, sparse ones by their parts; a hash of what they mean.

The array `digest` seals the others: a file that was edited since is refused. Files without it, older ones and such as
are made by hand with `numpy.savez`, hold: `tropnet_kind` = "network", `tropnet_version` = 1, `n_inputs`, `n_layers`
(the output layer included), and for each layer l from 1 `bias_l`, `slopes_l` (n_l, 2) and `weight_l_k` (n_l, n_k) for
every source k it reads; `shared_l_k` = j says that the weight of source k is that of source j. They are checked as
`Network` checks its arguments, and must hold nothing else.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tropnet.archives import archive_bytes, read_archive, undamaged
from tropnet.arrays.chunks import chunks
from tropnet.network.affine import Matrix
from tropnet.network.layers import Layer

__all__ = ["fingerprint", "network_bytes", "read_layers"]

_KIND = "network"
_VERSION = 1
_DIGEST = "digest"
_SPARSE_PARTS = ("data", "indices", "indptr")


def network_bytes(layers: Sequence[Layer], n_inputs: int) -> bytes:
    """Return the contents of a file of these layers."""
    arrays = _arrays(layers, n_inputs)
    for index, layer in enumerate(layers, start=1):
        first: dict[int, int] = {}
        for source, weight in sorted(layer.weights.items()):
            if first.setdefault(id(weight), source) != source:
                del arrays[f"weight_{index}_{source}"]
                arrays[f"shared_{index}_{source}"] = np.array(first[id(weight)])
    stored: dict[str, NDArray[Any]] = {}
    for name, array in arrays.items():
        if isinstance(array, np.ndarray):
            stored[name] = array
            continue
        stored[f"sparse_shape_{name}"] = np.array(array.shape)
        stored |= {f"sparse_{part}_{name}": getattr(array, part) for part in _SPARSE_PARTS}
    return archive_bytes(_KIND, _VERSION, {**stored, _DIGEST: np.array(_digest(stored))})


def read_layers(source: str | os.PathLike[str] | bytes) -> tuple[list[Layer], int]:
    """Return the layers and the number of inputs of a file or of its contents.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    FileFormatError
        The file is truncated, edited since it was written, was not written by `network_bytes`, or would need pickle.
    """
    arrays: dict[str, Any] = dict(read_archive(source, _KIND, _VERSION))
    with undamaged(source, "tropnet network"):
        if _DIGEST in arrays and str(arrays.pop(_DIGEST)) != _digest(arrays):
            raise ValueError(
                "its arrays do not match their checksum; it was edited or damaged. To use it as it is, leave out the"
                f" array '{_DIGEST}'"
            )
        known = {"n_inputs", "n_layers"}
        for key in [key for key in arrays if key.startswith("sparse_shape_")]:
            name = key.removeprefix("sparse_shape_")
            parts = tuple(arrays[f"sparse_{part}_{name}"] for part in _SPARSE_PARTS)
            arrays[name] = sparse.csr_array(parts, shape=tuple(arrays[key].tolist()))
            known |= {key, *(f"sparse_{part}_{name}" for part in _SPARSE_PARTS)}
        layers = []
        for index in range(1, int(arrays["n_layers"]) + 1):
            prefix = f"weight_{index}_"
            weights = {
                int(name.removeprefix(prefix)): array for name, array in arrays.items() if name.startswith(prefix)
            }
            # One matrix may serve several sources, as a skip shares the main path's.
            shared = f"shared_{index}_"
            for name, array in arrays.items():
                if name.startswith(shared):
                    weights[int(name.removeprefix(shared))] = weights[int(array)]
            layers.append(Layer(weights, arrays[f"bias_{index}"], arrays[f"slopes_{index}"]))
            known |= {f"bias_{index}", f"slopes_{index}"}
            known |= {f"{kind}_{index}_{source}" for kind in ("weight", "shared") for source in weights}
        if not known >= arrays.keys():
            raise ValueError(f"it holds arrays of no layer: {', '.join(sorted(arrays.keys() - known))}")
        return layers, int(arrays["n_inputs"])


def _digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return a SHA-256 of all arrays: names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def fingerprint(layers: Sequence[Layer], n_inputs: int) -> str:
    """Return a SHA-256 of shapes, weights, biases and slopes; sparse weights count as the dense ones they stand for."""
    digest = hashlib.sha256()
    for name, array in sorted(_arrays(layers, n_inputs).items(), key=lambda item: item[0]):
        digest.update(f"{name}{array.shape}".encode())
        if isinstance(array, np.ndarray):
            digest.update(np.ascontiguousarray(array + 0.0).tobytes())
            continue
        for rows in chunks(*array.shape):
            digest.update((array[rows].toarray() + 0.0).tobytes())
    return digest.hexdigest()


def _arrays(layers: Sequence[Layer], n_inputs: int) -> dict[str, NDArray[Any] | Matrix]:
    arrays: dict[str, NDArray[Any] | Matrix] = {"n_inputs": np.array(n_inputs), "n_layers": np.array(len(layers))}
    for index, layer in enumerate(layers, start=1):
        arrays[f"bias_{index}"] = layer.bias
        arrays[f"slopes_{index}"] = np.asarray(layer.slopes)
        for source, weight in sorted(layer.weights.items()):
            arrays[f"weight_{index}_{source}"] = weight
    return arrays

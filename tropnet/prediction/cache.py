"""Algorithm 3: predict through the affine maps of the activation regions met so far."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tropnet.archives import archive_bytes, read_archive, undamaged, write_atomically
from tropnet.arrays.checks import as_count, as_points
from tropnet.arrays.patterns import PackedArray, pack, unpack
from tropnet.arrays.types import FloatArray
from tropnet.network.affine import AffineMap
from tropnet.network.network import Network, as_network

__all__ = ["CacheInfo", "CachedPredictor"]

_KIND = "cached predictor"
_VERSION = 1
# Maps composed at a time.
_PART = 256


class CacheInfo(NamedTuple):
    """Points answered from the cache, points whose region was new, maps held, and the bound on them."""

    hits: int
    misses: int
    size: int
    max_size: int


class CachedPredictor:
    """Evaluate a network through a bounded cache of affine maps, keyed by activation pattern (Algorithm 3).

    Parameters
    ----------
    net
        The network.
    max_size
        The number of maps to keep; the least recently used goes first.

    Notes
    -----
    Points of one region are answered together, by one product. Finding the pattern of a point takes a forward pass of
    the hidden layers, so the cache is never faster than the network: it tells how often points share a region, and
    gives the affine map of each. For speed, and few inputs, see `tropnet.compile_regions`.
    A map takes (d + 1) * n_outputs numbers of memory. Safe to call from several threads.

    References
    ----------
    Joyce and Verschelde, Computing Linear Regions in Neural Networks with Skip Connections, Algorithm 3.

    Examples
    --------
    >>> predict = CachedPredictor(Network.mlp([[[1.0]], [[2.0]]], [[0.0], [1.0]]))
    >>> predict([[1.0], [2.0], [-1.0]])
    array([[3.],
           [5.],
           [1.]])
    >>> predict.info()
    CacheInfo(hits=1, misses=2, size=2, max_size=10000)
    """

    def __init__(self, net: Network, max_size: int = 10_000) -> None:
        self.network = as_network(net)
        self.max_size = as_count(max_size, "max_size")
        self._maps: OrderedDict[bytes, AffineMap] = OrderedDict()
        self._lock = threading.Lock()
        self._hits = self._misses = 0

    def __call__(self, x: ArrayLike) -> FloatArray:
        """Return the outputs at one point (d,) or at many (n, d); equal to the network's up to rounding.

        Raises
        ------
        ShapeError, NonFiniteError
            `x` has another shape, or a coordinate is not finite.
        """
        batch, single = as_points(x, self.network.n_inputs)
        keys, inverse, counts = self._grouped(batch)
        outputs = np.empty((len(batch), self.network.n_outputs))
        order = np.argsort(inverse, kind="stable")
        groups = np.split(order, np.cumsum(counts)[:-1]) if len(batch) else []
        with np.errstate(over="ignore", invalid="ignore"):
            for members, found in zip(groups, self._found_or_made(keys, counts), strict=True):
                outputs[members] = batch[members] @ found.weight.T + found.bias
        # The product of a map may overflow where the network does not.
        large = ~np.isfinite(outputs).all(axis=1)
        if large.any():
            outputs[large] = self.network(batch[large])
        return outputs[0] if single else outputs

    def warm(self, x: ArrayLike) -> CachedPredictor:
        """Put the maps of the regions of many points (n, d) into the cache; the statistics stay.

        If there are more than `max_size`, those of the most points. The maps of regions with more points go later.

        Returns
        -------
        CachedPredictor
            Itself.

        Raises
        ------
        ShapeError, NonFiniteError
            As for a call.

        Examples
        --------
        >>> net = Network.mlp([[[1.0]], [[2.0]]], [[0.0], [1.0]])
        >>> predict = CachedPredictor(net).warm([[1.0], [-1.0]])
        >>> predict([3.0]), predict.info().hits
        (array([7.]), 1)
        """
        keys, _, counts = self._grouped(as_points(x, self.network.n_inputs)[0])
        most = np.argsort(counts, kind="stable")[-self.max_size :]
        for _ in self._found_or_made(keys[most], None):
            pass
        return self

    def info(self) -> CacheInfo:
        """Return hits, misses, size and bound."""
        with self._lock:
            return CacheInfo(self._hits, self._misses, len(self._maps), self.max_size)

    def clear(self) -> None:
        """Empty the cache and reset the statistics."""
        with self._lock:
            self._maps.clear()
            self._hits = self._misses = 0

    # --- files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write network, bound and patterns held, in their order of use, to an `.npz` file (atomically, no pickle)."""
        with self._lock:
            keys = list(self._maps)
        arrays: dict[str, NDArray[Any]] = {
            "network": np.frombuffer(self.network.to_bytes(), dtype=np.uint8),
            "max_size": np.array(self.max_size),
            "packed": np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(len(keys), -(-self.network.n_neurons // 8)),
        }
        data = archive_bytes(_KIND, _VERSION, arrays)
        write_atomically(path, lambda file: file.write(data))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> CachedPredictor:
        """Read what `save` wrote: the maps are composed again, the statistics begin at 0.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        FileFormatError
            The file is truncated, damaged, or was not written by `save`.
        """
        stored = read_archive(path, _KIND, _VERSION)
        with undamaged(path, "cached predictor"):
            predictor = cls(Network.load(stored["network"].tobytes()), stored["max_size"].item())
            packed, width = stored["packed"], -(-predictor.network.n_neurons // 8)
            if packed.dtype != np.uint8 or packed.shape != (len(packed), width) or len(packed) > predictor.max_size:
                raise ValueError(
                    f"packed must be uint8 of shape (n, {width}) with n <= {predictor.max_size},"
                    f" got {packed.dtype} of shape {packed.shape}"
                )
        for _ in predictor._found_or_made(packed, None):
            pass
        return predictor

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            return {name: value for name, value in self.__dict__.items() if name != "_lock"} | {
                "_maps": self._maps.copy()
            }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"CachedPredictor({self.network}, {len(self._maps)} of at most {self.max_size} maps)"

    # --- the cache

    def _grouped(self, batch: FloatArray) -> tuple[PackedArray, NDArray[np.int64], NDArray[np.int64]]:
        """Return the different patterns of points, packed, which of them each point has, and how many points each."""
        packed = pack(self.network.activation_pattern(batch))
        keys, inverse, counts = np.unique(packed, axis=0, return_inverse=True, return_counts=True)
        # numpy 2.0.0 returned the inverse as a column.
        return keys, inverse.ravel(), counts

    def _found_or_made(self, packed: PackedArray, counts: NDArray[np.int64] | None) -> Iterator[AffineMap]:
        """Give the map of each pattern, as the one used last, and count so many points for it."""
        for first in range(0, len(packed), _PART):
            part = packed[first : first + _PART]
            keys = [row.tobytes() for row in part]
            points = [0] * len(keys) if counts is None else counts[first : first + _PART].tolist()
            with self._lock:
                found = {key: self._maps[key] for key in keys if key in self._maps}
            new = np.array([key not in found for key in keys], dtype=np.bool_)
            # Composed outside the lock: two threads may do it twice, none waits for it.
            weights, biases = self.network.affine_maps(unpack(part[new], self.network.n_neurons))
            for row, weight, bias in zip(part[new], weights, biases, strict=True):
                # Copies, so that one map does not keep all of them in memory.
                found[row.tobytes()] = AffineMap(weight.copy(), bias.copy())
            with self._lock:
                for key, missed, n_points in zip(keys, new.tolist(), points, strict=True):
                    self._misses += missed and n_points > 0
                    self._hits += n_points - (missed and n_points > 0)
                    self._maps[key] = found[key]
                    self._maps.move_to_end(key)
                    if len(self._maps) > self.max_size:
                        self._maps.popitem(last=False)
            yield from (found[key] for key in keys)

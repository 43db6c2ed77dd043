"""Algorithm 3: predict through the affine maps of the activation regions met so far."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tropnet.affine import AffineMap
from tropnet.archives import archive_bytes, read_archive, write_atomically
from tropnet.dyadic import FloatArray
from tropnet.errors import FileFormatError
from tropnet.network import Network, as_network
from tropnet.patterns import PackedArray, pack, unpack
from tropnet.points import as_points

__all__ = ["CacheInfo", "CachedPredictor"]

_KIND = "cached predictor"
_VERSION = 1


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
        if max_size < 1:
            raise ValueError(f"max_size must be at least 1, got {max_size}.")
        self.network = as_network(net)
        self.max_size = max_size
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
        for key, members in zip(keys, groups, strict=True):
            found = self._map(key, len(members))
            outputs[members] = batch[members] @ found.weight.T + found.bias
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
        wanted = keys[np.argsort(counts, kind="stable")[-self.max_size :]]
        for key, bits in zip(wanted, unpack(wanted, self.network.n_neurons), strict=True):
            if self._find(key, 0) is None:
                self._keep(key, self.network.affine_map(bits))
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
        """Write network, bound and maps, in their order of use, to an `.npz` file (atomically, no pickle)."""
        with self._lock:
            maps = dict(self._maps)
        keys = np.frombuffer(b"".join(maps), dtype=np.uint8).reshape(len(maps), -(-self.network.n_neurons // 8))
        d, n_outputs = self.network.n_inputs, self.network.n_outputs
        arrays: dict[str, NDArray[Any]] = {
            "network": np.frombuffer(self.network.to_bytes(), dtype=np.uint8),
            "max_size": np.array(self.max_size),
            "packed": keys,
            "weights": np.array([each.weight for each in maps.values()]).reshape(-1, n_outputs, d),
            "biases": np.array([each.bias for each in maps.values()]).reshape(-1, n_outputs),
        }
        data = archive_bytes(_KIND, _VERSION, arrays)
        write_atomically(path, lambda file: file.write(data))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> CachedPredictor:
        """Read what `save` wrote; the statistics begin at 0.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        FileFormatError
            The file is truncated, damaged, or was not written by `save`.
        """
        stored = read_archive(path, _KIND, _VERSION)
        try:
            predictor = cls(Network.load(stored["network"].tobytes()), int(stored["max_size"]))
            net = predictor.network
            shapes = {
                "packed": (-(-net.n_neurons // 8),),
                "weights": (net.n_outputs, net.n_inputs),
                "biases": (net.n_outputs,),
            }
            for name, shape in shapes.items():
                if stored[name].shape[1:] != shape or len(stored[name]) > predictor.max_size:
                    raise ValueError(f"{name} have shape {stored[name].shape}, not (n, {str(shape)[1:]}")
            for key, weight, bias in zip(*(stored[name] for name in shapes), strict=True):
                predictor._maps[key.tobytes()] = AffineMap(weight, bias)
        except Exception as error:  # a damaged file can hold anything
            raise FileFormatError(f"'{os.fspath(path)}' is a damaged cached predictor: {error}.") from error
        return predictor

    # --- the cache

    def _grouped(self, batch: FloatArray) -> tuple[PackedArray, NDArray[np.int64], NDArray[np.int64]]:
        """Return the different patterns of points, packed, which of them each point has, and how many points each."""
        packed = pack(self.network.activation_pattern(batch))
        keys, inverse, counts = np.unique(packed, axis=0, return_inverse=True, return_counts=True)
        # numpy 2.0.0 returned the inverse as a column.
        return keys, inverse.ravel(), counts

    def _map(self, packed: PackedArray, n_points: int) -> AffineMap:
        found = self._find(packed, n_points)
        if found is not None:
            return found
        # Composed outside the lock: two threads may do it twice, none waits for it.
        made = self.network.affine_map(unpack(packed[None, :], self.network.n_neurons)[0])
        self._keep(packed, made)
        with self._lock:
            self._misses += 1
            self._hits += n_points - 1
        return made

    def _find(self, packed: PackedArray, n_points: int) -> AffineMap | None:
        """Return the map if it is there, as the one used last, and count the points."""
        key = packed.tobytes()
        with self._lock:
            found = self._maps.get(key)
            if found is not None:
                self._maps.move_to_end(key)
                self._hits += n_points
            return found

    def _keep(self, packed: PackedArray, made: AffineMap) -> None:
        with self._lock:
            self._maps[packed.tobytes()] = made
            if len(self._maps) > self.max_size:
                self._maps.popitem(last=False)

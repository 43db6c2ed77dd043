"""Algorithm 3: predict through the affine maps of the activation regions met so far."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tropnet.affine import AffineMap
from tropnet.dyadic import FloatArray
from tropnet.network import Network, as_network
from tropnet.patterns import pack, unpack
from tropnet.points import as_points

__all__ = ["CacheInfo", "CachedPredictor"]


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
    Finding the pattern of a point takes a forward pass of the hidden layers, so the cache alone is not faster than the
    network; it tells how often points share a region. A map takes (d + 1) * n_outputs numbers of memory.
    Safe to call from several threads.

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
        packed = pack(self.network.activation_pattern(batch))
        keys, inverse, counts = np.unique(packed, axis=0, return_inverse=True, return_counts=True)
        outputs = np.empty((len(batch), self.network.n_outputs))
        # numpy 2.0.0 returned the inverse as a column.
        order = np.argsort(inverse.ravel(), kind="stable")
        groups = np.split(order, np.cumsum(counts)[:-1]) if len(batch) else []
        for key, members in zip(keys, groups, strict=True):
            outputs[members] = self._map(key, len(members))(batch[members])
        return outputs[0] if single else outputs

    def info(self) -> CacheInfo:
        """Return hits, misses, size and bound."""
        with self._lock:
            return CacheInfo(self._hits, self._misses, len(self._maps), self.max_size)

    def clear(self) -> None:
        """Empty the cache and reset the statistics."""
        with self._lock:
            self._maps.clear()
            self._hits = self._misses = 0

    def _map(self, packed: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], n_points: int) -> AffineMap:
        key = packed.tobytes()
        with self._lock:
            found = self._maps.get(key)
            if found is not None:
                self._maps.move_to_end(key)
                self._hits += n_points
                return found
        # Composed outside the lock: two threads may do it twice, none waits for it.
        made = self.network.affine_map(unpack(packed[None, :], self.network.n_neurons)[0])
        with self._lock:
            self._misses += 1
            self._hits += n_points - 1
            self._maps[key] = made
            if len(self._maps) > self.max_size:
                self._maps.popitem(last=False)
        return made

"""Which row of a region is which: one numbering for neurons, rows of the domain, and infinity."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tropnet.arrays.patterns import BoolArray, PackedArray, pack, unpack
from tropnet.network.domain import Domain
from tropnet.network.network import Network

__all__ = ["INFINITY", "RowIndex"]

# The hyperplane at infinity of cells that are unbounded: no row of a region.
INFINITY = -1


class RowIndex(NamedTuple):
    """The places of rows, and what users call them.

    The row of neuron j has place j, layers concatenated; row i of `Domain.halfspaces` has place n_neurons + i; the
    hyperplane at infinity, where an engine needs it, is `INFINITY`. Engines, kernels and packed facets speak of places.
    In a box, whose sides are no rows to it, the simplex kernel counts row i of the domain as tight row -1 - i; `tight`
    says what that is.

    Users read neuron j as j, and a row of the domain as -1 - (its number as it was given): `ActivationRegion.rows`.

    Attributes
    ----------
    n_neurons
        Of the network.
    numbers
        int64, shape (m,): `Domain.row_numbers`.

    Examples
    --------
    A polytope whose row 1 was dropped, as it is always true:

    >>> index = RowIndex(3, np.array([0, 2]))
    >>> index.named([2, 3, 4]).tolist(), index.places([2, -1, -3]).tolist()
    ([2, -1, -3], [2, 3, 4])
    """

    n_neurons: int
    numbers: NDArray[np.int64]

    @classmethod
    def of(cls, net: Network, domain: Domain) -> RowIndex:
        """Return the index of the rows that regions of a network in a domain can have."""
        return cls(net.n_neurons, domain.row_numbers)

    @property
    def n_places(self) -> int:
        """The number of neurons and rows of the domain."""
        return self.n_neurons + len(self.numbers)

    @property
    def sides(self) -> NDArray[np.int64]:
        """The places of the domain's rows, int64 of shape (m,)."""
        return np.arange(self.n_neurons, self.n_places)

    @property
    def in_order(self) -> NDArray[np.int64]:
        """All places in the order in which regions list their rows: those of the domain first, then neurons."""
        return np.concatenate([self.sides, np.arange(self.n_neurons)])

    def tight(self, number: int, owners: NDArray[np.int64]) -> int:
        """Return the place of a tight row of the simplex kernel: a row of the cell, or -1 - i for side i of a box."""
        return int(owners[number]) if number >= 0 else self.n_neurons - 1 - number

    def named(self, places: ArrayLike) -> NDArray[np.int64]:
        """Return what users call the rows at some places."""
        names = np.concatenate([np.arange(self.n_neurons), -1 - self.numbers])
        return np.asarray(names[np.asarray(places, dtype=np.int64)])

    def places(self, rows: ArrayLike) -> NDArray[np.int64]:
        """Return the places of rows that users name; undoes `named`."""
        rows = np.asarray(rows, dtype=np.int64)
        order = np.argsort(self.numbers)
        side = (
            order[np.searchsorted(self.numbers, -1 - rows, sorter=order).clip(max=len(order) - 1)] if len(order) else 0
        )
        return np.where(rows >= 0, rows, self.n_neurons + side)

    def pack(self, flags: BoolArray) -> PackedArray:
        """Pack flags by place, bool of shape (R, n_places)."""
        return pack(flags)

    def unpack(self, packed: PackedArray) -> BoolArray:
        """Return flags by place, bool of shape (R, n_places)."""
        return unpack(packed, self.n_places)

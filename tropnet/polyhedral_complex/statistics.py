"""Statistics of the regions: distributions of sizes and neighbours, and what the neurons do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tropnet.arrays.checks import as_count
from tropnet.arrays.patterns import unpack
from tropnet.arrays.types import FloatArray
from tropnet.errors import ShapeError
from tropnet.polyhedral_complex.adjacency import IndexArray, edges_of, find_edges
from tropnet.regions import Regions

if TYPE_CHECKING:
    # Imported where it is used: it takes 0.2 s, which `import tropnet` need not spend.
    import networkx as nx

__all__ = ["Distribution", "Statistics", "statistics"]


class Distribution(NamedTuple):
    """A histogram of positive sizes, whose bins are equally wide on a logarithmic scale.

    Attributes
    ----------
    counts
        int64, shape (n,): how many regions lie in each bin; the last bin holds its right end.
    edges
        float64, shape (n + 1,), from the smallest finite size to the largest; NaN if there is none.
    n_zero, n_infinite
        The regions in no bin: of size 0 (it underflowed), and infinite.
    """

    counts: IndexArray
    edges: FloatArray
    n_zero: int
    n_infinite: int


@dataclass(frozen=True, eq=False)
class Statistics:
    """What the regions look like, and what the neurons do.

    Attributes
    ----------
    n_facets, n_neighbours
        int64, shape (R,): the facets of each region, sides of the domain included, and its degree in the graph.
    never_active, always_active, never_cut
        For each hidden layer the neurons, counted within the layer, that are active on no region (dead), on all, and
        that contribute a row to none: their hyperplane meets the inside of no cell of the earlier neurons. Affine
        neurons are left out.
    active_share
        float64, shape (n_neurons,): the share of the volume on which each neuron is active; None without volumes.
    volumes, inradii
        As given.
    """

    n_facets: IndexArray
    n_neighbours: IndexArray
    never_active: tuple[IndexArray, ...]
    always_active: tuple[IndexArray, ...]
    never_cut: tuple[IndexArray, ...]
    active_share: FloatArray | None
    volumes: FloatArray | None
    inradii: FloatArray | None = None

    def __repr__(self) -> str:
        known = [name for name in ("volumes", "inradii") if getattr(self, name) is not None]
        dead = sum(map(len, self.never_active))
        return f"Statistics({len(self.n_facets)} regions, {dead} dead neurons{''.join(f', {name}' for name in known)})"

    def facet_distribution(self) -> IndexArray:
        """Return how many regions have 0, 1, 2, ... facets."""
        return np.bincount(self.n_facets)

    def degree_distribution(self) -> IndexArray:
        """Return how many regions have 0, 1, 2, ... neighbours."""
        return np.bincount(self.n_neighbours)

    def volume_distribution(self, n_bins: int = 20) -> Distribution:
        """Return how many regions have volumes in each of `n_bins` bins of equal width on a logarithmic scale.

        Raises
        ------
        ValueError
            No volumes were given, or there are no bins.
        """
        return _distribution("volumes", self.volumes, n_bins)

    def inradius_distribution(self, n_bins: int = 20) -> Distribution:
        """Return how many regions have inradii in each bin; as `volume_distribution`."""
        return _distribution("inradii", self.inradii, n_bins)


def _distribution(name: str, values: FloatArray | None, n_bins: int) -> Distribution:
    if values is None:
        raise ValueError(f"{name} are not known; pass {name}= to statistics.")
    n_bins = as_count(n_bins, "n_bins")
    sizes = values[(values > 0) & (values < np.inf)]
    n_zero, n_infinite = int((values == 0).sum()), int((values == np.inf).sum())
    if not len(sizes):
        return Distribution(np.zeros(n_bins, dtype=np.int64), np.full(n_bins + 1, np.nan), n_zero, n_infinite)
    edges = np.geomspace(sizes.min(), sizes.max(), n_bins + 1)
    # The ends are values of regions: rounding must not push them out.
    edges[0], edges[-1] = sizes.min(), sizes.max()
    at = np.clip(np.searchsorted(edges, sizes, side="right") - 1, 0, n_bins - 1)
    return Distribution(np.bincount(at, minlength=n_bins), edges, n_zero, n_infinite)


def statistics(
    regions: Regions,
    graph: nx.Graph | None = None,
    *,
    volumes: ArrayLike | None = None,
    inradii: ArrayLike | None = None,
) -> Statistics:
    """Return the distributions of facets, neighbours and sizes; and which neurons are dead, always active, never cut.

    Parameters
    ----------
    regions
        Activation regions; statements about neurons hold on these only, so on the domain if they are complete.
    graph
        Their `adjacency_graph`, if it is at hand; else only the edges are computed.
    volumes
        The volumes of the regions, finite, shape (R,), such as ``regions.volumes()``, for `Statistics.active_share`
        and `Statistics.volume_distribution`.
    inradii
        Their inradii, shape (R,), such as ``regions.chebyshev_balls().radii``; may be infinite.

    Raises
    ------
    ShapeError
        `volumes` or `inradii` have another shape.
    ValueError
        `volumes` are not finite, or negative, or all zero; `inradii` are negative or NaN; `graph` is that of other
        regions, or a part of theirs.

    Examples
    --------
    >>> from tropnet.network.domain import Box
    >>> from tropnet.enumeration import enumerate_regions
    >>> from tropnet.network.network import Network
    >>> net = Network.mlp([[[1.0], [0.0]], [[1.0, 1.0]]], [[0.0, -1.0], [0.0]])
    >>> found = statistics(enumerate_regions(net, facets=True))
    >>> found.degree_distribution().tolist(), [neurons.tolist() for neurons in found.never_active]
    ([0, 2], [[1]])
    >>> boxed = enumerate_regions(net, Box(-1, 3), facets=True)
    >>> found = statistics(boxed, volumes=boxed.volumes(), inradii=boxed.chebyshev_balls().radii)
    >>> found.inradius_distribution(2).counts.tolist(), found.volume_distribution(1).edges.tolist()
    ([1, 1], [1.0, 3.0])
    """
    net, patterns = regions.network, regions.patterns
    facets = regions.facets()
    edges = find_edges(regions, facets) if graph is None else edges_of(graph, regions)
    degrees = np.bincount(np.concatenate([edges.first, edges.second]), minlength=len(regions))
    split = ~net.affine_neurons
    cut = unpack(regions.packed_cuts, net.n_neurons).any(axis=0)
    share = None
    sizes, radii = _one_per_region("volumes", volumes, regions), _one_per_region("inradii", inradii, regions)
    if radii is not None and not (radii >= 0).all():
        raise ValueError("inradii must be numbers of at least 0, or infinite.")
    if sizes is not None:
        if not np.isfinite(sizes).all() or (sizes < 0).any() or not sizes.any():
            raise ValueError("volumes must be finite, not negative and not all zero; shares of R^d mean nothing.")
        # Scaled first, so that the sum cannot overflow.
        weights = sizes / sizes.max()
        share = weights @ patterns / weights.sum()

    def by_layer(which: Any) -> tuple[IndexArray, ...]:
        return tuple(np.flatnonzero(part) for part in net.split_pattern(which & split))

    return Statistics(
        np.diff(facets.offsets),
        degrees,
        by_layer(~patterns.any(axis=0)),
        by_layer(patterns.all(axis=0)),
        by_layer(~cut),
        share,
        sizes,
        radii,
    )


def _one_per_region(name: str, values: ArrayLike | None, regions: Regions) -> FloatArray | None:
    if values is None:
        return None
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (len(regions),):
        raise ShapeError(f"{name} must have shape ({len(regions)},), one per region, got {array.shape}.")
    return array

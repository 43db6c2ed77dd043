"""Linear regions: maximal facet-connected unions of activation regions with one output map."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tropnet.arrays.chunks import chunks
from tropnet.arrays.patterns import BoolArray, unpack
from tropnet.arrays.rounding import EPSILON, SMALLEST_NORMAL
from tropnet.arrays.types import IntegerArray
from tropnet.enumeration import enumerate_regions
from tropnet.exact.reduction import reduced
from tropnet.feasibility import Feasible, deciding_backend
from tropnet.network.domain import Domain
from tropnet.network.network import Network
from tropnet.network.recurrence import chosen_slopes
from tropnet.polyhedral_complex.adjacency import Edges, IndexArray, edges_of, find_edges, neuron_facets
from tropnet.regions import Regions
from tropnet.regions.crossings import bounded_rows, parts

if TYPE_CHECKING:
    # Imported where it is used: it takes 0.2 s, which `import tropnet` need not spend.
    import networkx as nx

__all__ = ["LinearRegions", "count_linear_regions", "linear_regions"]


@dataclass(frozen=True, eq=False)
class LinearRegions:
    """Linear regions: maximal facet-connected unions of activation regions with one output affine map.

    Attributes
    ----------
    regions
        The activation regions.
    labels
        int64, shape (R,): the linear region of each activation region; numbered by their first activation regions.

    In a domain of lower dimension maps are compared on its affine hull.
    """

    regions: Regions
    labels: IndexArray
    _edges: Edges

    @cached_property
    def _members(self) -> list[IndexArray]:
        order = np.argsort(self.labels, kind="stable")
        return np.split(order, np.cumsum(np.bincount(self.labels))[:-1]) if len(order) else []

    def __len__(self) -> int:
        return len(self._members)

    def __repr__(self) -> str:
        return f"LinearRegions({len(self)} linear regions of {len(self.labels)} activation regions)"

    def members(self, index: int) -> IndexArray:
        """Return the activation regions of a linear region, ascending."""
        return self._members[index]

    @cached_property
    def convex(self) -> BoolArray:
        """Whether each linear region is convex, bool of shape (n,), exactly.

        A finite union of closed convex cells is convex iff it lies on the inner side of each of its outer facets. One
        witness beyond proves that it does not (found in float64 with an error bound); that it does is decided by one
        exact decision for each activation region and each distinct hyperplane of an outer facet. Of incomplete regions,
        it is the union of those that were found.
        """
        convex, regions = np.ones(len(self), dtype=np.bool_), self.regions.within
        candidates = [i for i, members in enumerate(self._members) if len(members) > 1]
        if candidates:
            edges = self._edges
            inside = np.flatnonzero(self.labels[edges.first] == self.labels[edges.second]).tolist()
            # Of the neurons that flip, only the one that defines the facet occurs below.
            inner = {(int(end[edge]), j) for edge in inside for j in edges.flips(edge) for end in edges[:2]}
            outer: dict[int, list[tuple[int, int]]] = {i: [] for i in candidates}
            for facet in zip(*(part.tolist() for part in neuron_facets(regions)), strict=True):
                label = int(self.labels[facet[0]])
                if label in outer and facet not in inner:
                    outer[label].append(facet)
            for i, facets in outer.items():
                convex[i] = _is_convex(regions, self._members[i], np.array(facets).reshape(-1, 2))
        return convex


def linear_regions(regions: Regions, graph: nx.Graph | None = None) -> LinearRegions:
    """Return the linear regions: neighbours with equal output maps are joined. Exact for the stored float64 network.

    Claim: two neighbours belong together iff their output maps are equal, for all outputs. That they differ is taken
    from float64 only beyond a running error bound. That they are equal is certain where no flipped neuron reaches the
    output: every path from it runs through a zero weight or a zero slope. What is left, such as outputs that cancel, is
    compared over the integers.

    Parameters
    ----------
    regions
        Activation regions; those enumerated with ``facets=True`` have their facets at hand.
    graph
        Their `adjacency_graph`, if it is at hand; else only the edges are computed.

    Raises
    ------
    ValueError
        `graph` is that of other regions, or a part of theirs.

    Notes
    -----
    Costs the edges (see `adjacency_graph`), some composed maps for each region, and about a millisecond for each region
    at an edge left to exact arithmetic. If the regions are incomplete, a linear region may come in several parts.

    Examples
    --------
    relu(x) - relu(-x) is x, which is linear on all of R:

    >>> net = Network.mlp([[[1.0], [-1.0]], [[1.0, -1.0]]], [[0.0, 0.0], [0.0]])
    >>> linear_regions(enumerate_regions(net, facets=True))
    LinearRegions(1 linear regions of 2 activation regions)
    """
    within = regions.within
    if graph is None:
        edges = find_edges(within)
    else:
        edges = edges_of(graph, regions).shifted(regions.restriction.n_helpers if regions.restriction else 0)
    equal = _equal_outputs(within, edges)
    first, second = edges.first[equal], edges.second[equal]
    R = len(regions)
    joined = coo_array((np.ones(len(first), dtype=np.int8), (first, second)), shape=(R, R))
    labels = connected_components(joined, directed=False)[1].astype(np.int64) if R else np.empty(0, dtype=np.int64)
    # Numbered by first members, whatever order scipy visits them in.
    starts, inverse = np.unique(labels, return_index=True, return_inverse=True)[1:]
    labels = np.argsort(np.argsort(starts))[inverse.ravel()]
    return LinearRegions(regions, labels, edges)


def count_linear_regions(net: Network, domain: Domain | None = None, **options: Any) -> int:
    """Count the linear regions of a network on a domain; `options` and errors as for `enumerate_regions`.

    Examples
    --------
    >>> count_linear_regions(Network.mlp([[[1.0], [-1.0]], [[1.0, -1.0]]], [[0.0, 0.0], [0.0]]))
    1
    """
    return len(linear_regions(enumerate_regions(net, domain, **{"facets": True, **options})))


def _equal_outputs(regions: Regions, edges: Edges) -> BoolArray:
    """Return for each edge whether the output maps on both sides are equal, exactly."""
    net, first, second = regions.network, edges.first, edges.second
    patterns = regions.patterns
    shape = (len(regions), net.n_outputs, net.n_inputs + 1)
    maps, errors = np.empty(shape), np.empty(shape)
    for part in parts(len(regions), net):
        values, bounds = bounded_rows(net, patterns[part])
        maps[part], errors[part] = values[:, net.n_neurons :], bounds[:, net.n_neurons :]
    apart = np.zeros(len(first), dtype=np.bool_)
    for part in parts(len(first), net):
        i, j = first[part], second[part]
        with np.errstate(over="ignore", invalid="ignore"):
            sure = np.abs(maps[i] - maps[j]) > (errors[i] + errors[j]) * (1 + 1e-9)
        apart[part] = sure.any(axis=(1, 2))
    unsure = np.flatnonzero(~apart)
    which, inverse = np.unique(first[unsure], return_inverse=True)
    live = np.empty((len(which), net.n_neurons), dtype=np.bool_)
    for part in parts(len(which), net):
        live[part] = _reaches_output(net, patterns[which[part]])
    equal = np.zeros(len(first), dtype=np.bool_)
    exact: dict[int, IntegerArray] = {}
    for edge, row in zip(unsure.tolist(), inverse.ravel().tolist(), strict=True):
        if not live[row, list(edges.flips(edge))].any():
            equal[edge] = True
            continue
        ends = int(first[edge]), int(second[edge])
        for end in ends:
            if end not in exact:
                exact[end] = net.integer_maps(patterns[end])[-1]
        equal[edge] = np.array_equal(exact[ends[0]], exact[ends[1]])
    return equal


def _reaches_output(net: Network, patterns: BoolArray) -> BoolArray:
    """Return which neurons have a path to an output without a zero weight or slope, for many patterns.

    If none of the neurons in which two patterns differ has one under the first pattern, neither has one under the
    second (the last such neuron on a path is followed by slopes that both share), and the output maps are equal.
    """
    reached = [np.zeros((len(patterns), layer.width), dtype=np.bool_) for layer in net.hidden]
    bits = net.split_pattern(patterns)
    for index in range(len(net.layers), 0, -1):
        layer = net.layers[index - 1]
        if index == len(net.layers):
            live = np.ones((len(patterns), layer.width), dtype=np.bool_)
        else:
            live = reached[index - 1] & (chosen_slopes(layer, bits[index - 1]) != 0)
        for source, weight in layer.weights.items():
            if source:
                reached[source - 1] |= live.astype(np.float32) @ (weight != 0).astype(np.float32) > 0
    return np.concatenate([np.empty((len(patterns), 0), dtype=np.bool_), *reached], axis=1)


def _is_convex(regions: Regions, members: IndexArray, facets: IndexArray) -> bool:
    """Return whether the union of `members` lies on the inner side of all outer `facets` (region, neuron)."""
    if not len(facets):
        return True
    net, owner, neuron = regions.network, facets[:, 0], facets[:, 1]
    patterns = unpack(regions.packed[owner], net.n_neurons)
    points = np.column_stack([regions.witnesses[members], np.ones(len(members))])
    # A witness that no float64 point stands for proves nothing here.
    points = points[[i not in regions.rational_witnesses for i in members.tolist()]].T
    for part in chunks(len(owner), (net.n_inputs + 1) * (net.n_neurons + net.n_outputs) + len(members)):
        maps, errors = (rows[:, : net.n_neurons] for rows in bounded_rows(net, patterns[part]))
        at = np.arange(len(maps)), neuron[part]
        signs = np.where(patterns[part][at], 1.0, -1.0)[:, None]
        with np.errstate(over="ignore", invalid="ignore"):
            bound = errors[at] + 2 * (net.n_inputs + 3) * EPSILON * np.abs(maps[at])
            beyond = signs * (maps[at] @ points) < -(bound @ np.abs(points)) * (1 + 1e-9) - SMALLEST_NORMAL
        if beyond.any():
            return False
    hyperplanes = set()
    for i, j in zip(owner.tolist(), neuron.tolist(), strict=True):
        region = regions[i]
        hyperplanes.add(reduced(region.integer_rows[region.rows == j][0].tolist()))
    backend = deciding_backend(net.n_inputs)
    for i in members.tolist():
        rows = regions[i].integer_rows
        own = {reduced(row) for row in rows.tolist()}
        backend.truncate(0)
        for row in rows:
            backend.push(row)
        for hyperplane in sorted(hyperplanes - own):
            backend.truncate(len(rows))
            backend.push(-np.array(hyperplane, dtype=object))
            if isinstance(backend.decide(), Feasible):
                return False
    return True

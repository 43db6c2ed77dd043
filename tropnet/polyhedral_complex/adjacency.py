"""The adjacency graph: which regions share a facet, and what flips across it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import PackedArray, pack, unpack
from tropnet.errors import TropnetError
from tropnet.regions import Facets, Regions
from tropnet.regions.crossings import pattern_beyond, surely_single

if TYPE_CHECKING:
    # Imported where it is used: it takes 0.2 s, which `import tropnet` need not spend.
    import networkx as nx

__all__ = [
    "Edges",
    "IndexArray",
    "adjacency_graph",
    "edges_of",
    "find_edges",
    "flip_path",
    "neuron_facets",
    "positions",
]

IndexArray = NDArray[np.int64]


def adjacency_graph(regions: Regions) -> nx.Graph:
    """Return the graph whose nodes are the indices of the regions and whose edges are the facets they share.

    Each edge has the attribute `neurons`: the neurons that flip across the facet, ascending. It is one neuron, unless
    the pre-activations of several vanish on the facet. The graph has the attributes `complete`, that of the regions
    (where it is False, the neighbour beyond a facet may be missing), `regions`, a fingerprint of network, domain and
    patterns in their order, and `edges`, one of the edges: by these `linear_regions` and `statistics` refuse the graph
    of other regions, and one that was altered or renumbered. Copies and pickles keep them.

    Claim: region P (a pattern) has a facet of neuron j, in the first layer in which anything flips there. If P with bit
    j flipped occurs as a region D, then D is the neighbour: were it another C', take the first layer in which C' and D
    differ, and there a neuron k. Up to that layer both lie in one cell, on one side of z_j = 0, where z_k is one affine
    map and vanishes on the facet, so it is a multiple of z_j and has one sign, the same for C' and D. If P with bit j
    flipped does not occur, the neighbour's pattern is composed over the integers, layer by layer: a neuron whose
    pre-activation beyond the facet is a multiple c h of the facet's hyperplane (h > 0 on this side) is active there iff
    c < 0, every other keeps its bit.

    Notes
    -----
    R regions with F facets in all cost one sorted look-up, O(F log R) in bulk, and about a millisecond for each facet
    across which several neurons flip. Of regions enumerated without ``facets=True`` the facets are found first, in bulk
    (see `Regions.facets`).

    Raises
    ------
    TropnetError
        The two sides of a facet do not agree: the regions are damaged, or not those of the network.

    Examples
    --------
    >>> from tropnet import Network, enumerate_regions
    >>> net = Network.mlp([[[1.0], [-1.0]], [[1.0, -1.0]]], [[0.0, 0.0], [0.0]])
    >>> graph = adjacency_graph(enumerate_regions(net, facets=True))
    >>> list(graph.edges(data="neurons"))
    [(0, 1, (0, 1))]
    """
    import networkx as nx

    edges = find_edges(regions)
    single = [{"neurons": (j,)} for j in range(regions.network.n_neurons)]
    data = [single[j] for j in edges.neuron.tolist()]
    for edge, neurons in edges.several.items():
        data[edge] = {"neurons": neurons}
    graph = nx.Graph(complete=regions.complete, regions=_fingerprint(regions), edges=_edges_fingerprint(edges))
    graph.add_nodes_from(range(len(regions)))
    # networkx copies the attributes, so the edges share only the tuples.
    graph.add_edges_from(zip(edges.first.tolist(), edges.second.tolist(), data, strict=True))
    return graph


def flip_path(graph: nx.Graph, source: int, target: int) -> list[tuple[int, ...]]:
    """Return the flips along a shortest path of regions from `source` to `target`, one tuple of neurons for each facet.

    Costs a breadth-first search from both ends. In a subgraph, the path leads through its regions only.

    Raises
    ------
    ValueError
        There is no such region, no path (in an incomplete enumeration), or the graph is no `adjacency_graph`.

    Examples
    --------
    >>> from tropnet import Network, enumerate_regions
    >>> net = Network.mlp([[[1.0], [1.0]], [[1.0, 1.0]]], [[0.0, -1.0], [0.0]])
    >>> regions = enumerate_regions(net, facets=True)
    >>> low, high = (regions.patterns.tolist().index([bit, bit]) for bit in (False, True))
    >>> flip_path(adjacency_graph(regions), low, high)
    [(0,), (1,)]
    """
    import networkx as nx

    try:
        path = nx.shortest_path(graph, source, target)
    except nx.NodeNotFound as error:
        raise ValueError(f"source and target must be regions 0 to {len(graph) - 1}, got {source}, {target}.") from error
    except nx.NetworkXNoPath as error:
        raise ValueError(f"no path of regions leads from {source} to {target}.") from error
    try:
        return [graph.edges[edge]["neurons"] for edge in pairwise(path)]
    except KeyError:
        raise ValueError("graph must be one that adjacency_graph made; its edges lack 'neurons'.") from None


class Edges(NamedTuple):
    """Facets between two regions, `first` < `second`: the neuron of `Facets.rows`; all flips, where they are more."""

    first: IndexArray
    second: IndexArray
    neuron: IndexArray
    several: Mapping[int, tuple[int, ...]]

    def shifted(self, by: int) -> Edges:
        """Return the edges for neurons that are numbered higher by a number."""
        several = {edge: tuple(neuron + by for neuron in neurons) for edge, neurons in self.several.items()}
        return self._replace(neuron=self.neuron + by, several=several)

    def flips(self, edge: int) -> tuple[int, ...]:
        """Return the neurons that flip across an edge."""
        return self.several.get(edge) or (int(self.neuron[edge]),)


def find_edges(regions: Regions, facets: Facets | None = None) -> Edges:
    """Return the facets that two regions share, in bulk; see `adjacency_graph`.

    Raises
    ------
    TropnetError
        The two sides of a facet do not agree; see `adjacency_graph`.
    """
    if regions.restriction is not None:
        # What flips together is a question of the affine hull.
        helpers = regions.restriction.n_helpers
        if facets is not None:
            facets = Facets(np.where(facets.rows >= 0, facets.rows + helpers, facets.rows), facets.offsets)
        return find_edges(regions.within, facets).shifted(-helpers)
    net, packed, n = regions.network, regions.packed, max(regions.network.n_neurons, 1)
    owner, neuron = neuron_facets(regions, facets)
    # Ascending, since regions and, within a region, neurons are.
    keys = owner * n + neuron
    unmatched = np.ones(len(keys), dtype=np.bool_)

    def match(facet: IndexArray, far: IndexArray) -> None:
        key = far * n + neuron[facet]
        at = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
        wrong = keys[at] != key
        if wrong.any():
            bad = int(np.argmax(wrong))
            raise TropnetError(
                f"the regions do not fit together: region {owner[facet[bad]]} has a facet with region {far[bad]}, which"
                f" lacks it (neuron {neuron[facet[bad]]}). Were they made for this network and domain?"
            )
        unmatched[facet] = unmatched[at] = False

    # Of the two sides of a facet only the one with the active bit needs to ask.
    asking = np.flatnonzero(packed[owner, neuron >> 3] >> (neuron & 7) & 1)
    query = packed[owner[asking]]
    query[np.arange(len(asking)), neuron[asking] >> 3] ^= (1 << (neuron[asking] & 7)).astype(np.uint8)
    far = positions(packed, query)
    found = far >= 0
    match(asking[found], far[found])
    several: list[tuple[int, int, int, tuple[int, ...]]] = []
    rest = np.flatnonzero(unmatched)
    if not regions.complete:
        rest = rest[~surely_single(net, unpack(packed[owner[rest]], net.n_neurons), neuron[rest])]
    index = {row.tobytes(): i for i, row in enumerate(packed)} if len(rest) else {}
    for facet in rest.tolist():
        if not unmatched[facet]:
            continue
        i = int(owner[facet])
        pattern = unpack(packed[i : i + 1], net.n_neurons)[0]
        beyond = pattern_beyond(net, pattern, int(neuron[facet]))
        j = index.get(pack(beyond[None])[0].tobytes())
        if j is None:
            if regions.complete:
                raise TropnetError(
                    f"the regions do not fit together: nothing lies beyond a facet of region {i} (neuron"
                    f" {neuron[facet]}), though they are marked complete. Were they made for this network and domain?"
                )
            continue
        match(np.array([facet]), np.array([j]))
        several.append((i, j, int(neuron[facet]), tuple(np.flatnonzero(pattern != beyond).tolist())))
    settled = np.array([edge[:3] for edge in several], dtype=np.int64).reshape(-1, 3)
    one, other, flipped = np.concatenate([np.stack([owner[asking], far, neuron[asking]], axis=1)[found], settled]).T
    first, second = np.minimum(one, other), np.maximum(one, other)
    order = np.lexsort((second, first))
    n_single = len(first) - len(several)
    more = {
        edge: several[facet - n_single][3]
        for edge, facet in enumerate(order.tolist())
        if facet >= n_single and len(several[facet - n_single][3]) > 1
    }
    return Edges(first[order], second[order], flipped[order], more)


def neuron_facets(regions: Regions, facets: Facets | None = None) -> tuple[IndexArray, IndexArray]:
    """Return region and neuron of every facet that no side of the domain defines."""
    rows, offsets = regions.facets() if facets is None else facets
    owner = np.repeat(np.arange(len(regions)), np.diff(offsets))
    return owner[rows >= 0], rows[rows >= 0]


def positions(table: PackedArray, queries: PackedArray) -> IndexArray:
    """Return where each row of `queries` is in `table`, whose rows are distinct, or -1.

    Word by word: the rank of the words so far among those of the table, times a number of ranks, plus the next rank.
    """
    if not len(table) or not len(queries):
        return np.full(len(queries), -1, dtype=np.int64)
    size = -(-table.shape[1] // 8) * 8
    words, asked = (np.pad(rows, ((0, 0), (0, size - rows.shape[1]))).view(np.uint64).T for rows in (table, queries))
    ranks, at = np.zeros(len(table), dtype=np.int64), np.zeros(len(queries), dtype=np.int64)
    found = np.ones(len(queries), dtype=np.bool_)

    def rank(values: NDArray[Any], wanted: NDArray[Any]) -> tuple[IndexArray, IndexArray, int]:
        distinct, own = np.unique(values, return_inverse=True)
        place = np.minimum(np.searchsorted(distinct, wanted), len(distinct) - 1)
        found[distinct[place] != wanted] = False
        # numpy 2.0.0 shaped the inverse differently.
        return own.ravel(), place, len(distinct)

    for word, sought in zip(words, asked, strict=True):
        own, place, n = rank(word, sought)
        ranks, at, _ = rank(ranks * n + own, at * n + place)
    return np.where(found, np.argsort(ranks)[at], -1)


def edges_of(graph: nx.Graph, regions: Regions) -> Edges:
    """Return the edges of the `adjacency_graph` of some regions as arrays.

    Raises
    ------
    ValueError
        The graph is not the whole `adjacency_graph` of these regions, in this order.
    """
    known = graph.graph.get("regions")
    reason = None
    if known is None:
        reason = "a graph that adjacency_graph did not make"
    elif known != _fingerprint(regions):
        reason = "that of another network, domain or enumeration (engines list regions in different orders)"
    elif len(graph) != len(regions) or not all(i in graph for i in range(len(regions))):
        reason = f"one with {len(graph)} nodes, a part of it or renumbered"
    edges = None if reason else _listed(graph)
    if edges is None or _edges_fingerprint(edges) != graph.graph.get("edges"):
        raise ValueError(
            f"graph must be the adjacency_graph of these {len(regions)} regions, got"
            f" {reason or 'one with other edges, or other neurons on them'}. Pass adjacency_graph(regions), or leave it"
            " out."
        )
    return edges


def _listed(graph: nx.Graph) -> Edges | None:
    """Return the edges of a graph as arrays; None if not all of them name their neurons."""
    listed = list(graph.edges(data="neurons"))
    if not all(isinstance(neurons, tuple) and neurons for *_, neurons in listed):
        return None
    ends = np.array([(i, j, neurons[0]) for i, j, neurons in listed], dtype=np.int64).reshape(-1, 3).T
    several = {edge: neurons for edge, (*_, neurons) in enumerate(listed) if len(neurons) > 1}
    return Edges(ends[:2].min(axis=0), ends[:2].max(axis=0), ends[2], several)


def _edges_fingerprint(edges: Edges) -> str:
    """Return a SHA-256 of edges and the neurons on them, in whatever order they are, and however often."""
    low, high = np.minimum(edges.first, edges.second), np.maximum(edges.first, edges.second)
    neuron = edges.neuron.copy()
    neuron[list(edges.several)] = -1
    rows = np.unique(np.column_stack([low, high, neuron]).astype(np.int64), axis=0)
    several = {(int(low[edge]), int(high[edge]), tuple(map(int, some))) for edge, some in edges.several.items()}
    return hashlib.sha256(rows.tobytes() + repr(sorted(several)).encode()).hexdigest()


def _fingerprint(regions: Regions) -> str:
    """Return a SHA-256 of what a graph's node numbers mean: the network, the domain and the patterns in their order."""
    digest = hashlib.sha256(regions.network.fingerprint.encode())
    digest.update(json.dumps(regions.domain.description, sort_keys=True).encode())
    digest.update(np.ascontiguousarray(regions.packed).tobytes())
    return digest.hexdigest()

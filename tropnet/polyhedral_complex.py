"""The polyhedral complex of a network: adjacency graph, linear regions, decision boundary, statistics.

Facets of activation regions meet facet to facet: across a facet lies one region, or the outside of the domain. (By
induction over the layers: a neuron is affine on both sides of a facet and continuous, so it cuts the facet from both
sides in the same set, or vanishes on it and cuts neither.) Across a facet in the hyperplane h = 0 exactly those neurons
can flip whose pre-activation vanishes on the facet. In the first layer that holds such a neuron with a row, all maps
are the same on both sides, so there they do flip; `Facets.rows` names one of these, from both sides alike: the one at
which the search separated the two. Masden (2022), "Algorithmic determination of the combinatorial structure of the
linear regions of ReLU neural networks", arXiv:2207.07696, treats the generic case, in which no other neuron flips.

Everything is decided exactly; where floating point comes first, a running error bound says what it may decide.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise
from math import gcd, hypot
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tropnet.domain import Domain
from tropnet.dyadic import FloatArray, IntegerArray, nearest_float
from tropnet.enumeration import enumerate_regions
from tropnet.errors import ShapeError, TropnetError
from tropnet.feasibility import Backend, Feasible, make_backend
from tropnet.layers import AFFINE, Layer, activate, identity_map, layer_map
from tropnet.linear_programs import rank
from tropnet.network import Network
from tropnet.patterns import BoolArray, PackedArray, pack, unpack
from tropnet.polyhedron import Polyhedron
from tropnet.regions import ActivationRegion, Facets, Regions
from tropnet.tolerances import Tolerances

if TYPE_CHECKING:
    # Imported where it is used: it takes 0.2 s, which `import tropnet` need not spend.
    import networkx as nx

__all__ = [
    "DecisionBoundary",
    "LinearRegions",
    "Statistics",
    "adjacency_graph",
    "count_linear_regions",
    "decision_boundary",
    "flip_path",
    "linear_regions",
    "statistics",
]

IndexArray = NDArray[np.int64]

# About 64 MB of float64 at a time.
_PART = 1 << 23

# Comparisons of outputs that are enumerated together; each cuts the regions further.
_MAX_PAIRS = 10


# --- adjacency


def adjacency_graph(regions: Regions) -> nx.Graph:
    """Return the graph whose nodes are the indices of the regions and whose edges are the facets they share.

    Each edge has the attribute `neurons`: the neurons that flip across the facet, ascending. It is one neuron, unless
    the pre-activations of several vanish on the facet. The graph has the attribute `complete`, that of the regions:
    where it is False, the neighbour beyond a facet may be missing.

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
    across which several neurons flip. Regions enumerated without ``facets=True`` cost far more: their facets are then
    decided one by one (see `Regions.facets`).

    Raises
    ------
    TropnetError
        The two sides of a facet do not agree: the regions are damaged, or not those of the network.

    Examples
    --------
    >>> net = Network.mlp([[[1.0], [-1.0]], [[1.0, -1.0]]], [[0.0, 0.0], [0.0]])
    >>> graph = adjacency_graph(enumerate_regions(net, facets=True))
    >>> list(graph.edges(data="neurons"))
    [(0, 1, (0, 1))]
    """
    import networkx as nx

    edges = _edges(regions)
    single = [{"neurons": (j,)} for j in range(regions.network.n_neurons)]
    data = [single[j] for j in edges.neuron.tolist()]
    for edge, neurons in edges.several.items():
        data[edge] = {"neurons": neurons}
    graph = nx.Graph(complete=regions.complete)
    graph.add_nodes_from(range(len(regions)))
    # networkx copies the attributes, so the edges share only the tuples.
    graph.add_edges_from(zip(edges.first.tolist(), edges.second.tolist(), data, strict=True))
    return graph


def flip_path(graph: nx.Graph, source: int, target: int) -> list[tuple[int, ...]]:
    """Return the flips along a shortest path of regions from `source` to `target`, one tuple of neurons for each facet.

    Costs a breadth-first search from both ends.

    Raises
    ------
    ValueError
        There is no such region, or no path (in an incomplete enumeration).

    Examples
    --------
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
    return [graph.edges[edge]["neurons"] for edge in pairwise(path)]


class _Edges(NamedTuple):
    """Facets between two regions, `first` < `second`: the neuron of `Facets.rows`; all flips, where they are more."""

    first: IndexArray
    second: IndexArray
    neuron: IndexArray
    several: Mapping[int, tuple[int, ...]]

    def flips(self, edge: int) -> tuple[int, ...]:
        """Return the neurons that flip across an edge."""
        return self.several.get(edge) or (int(self.neuron[edge]),)


def _edges(regions: Regions, facets: Facets | None = None) -> _Edges:
    net, packed, n = regions.network, regions.packed, max(regions.network.n_neurons, 1)
    owner, neuron = _neuron_facets(regions, facets)
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
    far = _positions(packed, query)
    found = far >= 0
    match(asking[found], far[found])
    several: list[tuple[int, int, int, tuple[int, ...]]] = []
    rest = np.flatnonzero(unmatched)
    if not regions.complete:
        rest = rest[~_surely_single(net, unpack(packed[owner[rest]], net.n_neurons), neuron[rest])]
    index = {row.tobytes(): i for i, row in enumerate(packed)} if len(rest) else {}
    for facet in rest.tolist():
        if not unmatched[facet]:
            continue
        i = int(owner[facet])
        pattern = unpack(packed[i : i + 1], net.n_neurons)[0]
        beyond = _pattern_beyond(net, pattern, int(neuron[facet]))
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
    return _Edges(first[order], second[order], flipped[order], more)


def _neuron_facets(regions: Regions, facets: Facets | None = None) -> tuple[IndexArray, IndexArray]:
    """Return region and neuron of every facet that no side of the domain defines."""
    rows, offsets = regions.facets() if facets is None else facets
    owner = np.repeat(np.arange(len(regions)), np.diff(offsets))
    return owner[rows >= 0], rows[rows >= 0]


def _positions(table: PackedArray, queries: PackedArray) -> IndexArray:
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


def _pattern_beyond(net: Network, pattern: BoolArray, neuron: int) -> BoolArray:
    """Return the pattern across the facet of `neuron`, exactly; see `adjacency_graph`."""
    beyond = pattern.copy()
    outputs: list[NDArray[Any]] = [identity_map(net.n_inputs, object)]
    hyperplane: list[int] | None = None
    start = 0
    for layer in net.integers.layers[:-1]:
        rows = layer_map(layer, outputs)
        bits = beyond[start : start + layer.width]
        if hyperplane is None and neuron < start + layer.width:
            row = rows[neuron - start].tolist()
            hyperplane = row if pattern[neuron] else [-value for value in row]
        if hyperplane is not None:
            tied, factor = _multiples(rows, hyperplane)
            bits[tied] = (factor < 0)[tied]
            bits[layer.affine_neurons] = False
        outputs.append(activate(layer, rows, bits))
        start += layer.width
    return beyond


def _multiples(rows: NDArray[Any], hyperplane: Sequence[int]) -> tuple[BoolArray, NDArray[Any]]:
    """Return which integer rows are multiples of `hyperplane`, zero included, and numbers with the factors' signs."""
    pivot = next(i for i, value in enumerate(hyperplane) if value)
    factors = rows[:, pivot] * hyperplane[pivot]
    target = rows[:, pivot, None] * np.array(hyperplane, dtype=object)[None]
    equal = np.asarray(rows * hyperplane[pivot] == target, dtype=np.bool_)
    return np.asarray(equal.all(axis=1)), factors


def _bounded_maps(net: Network, patterns: BoolArray) -> tuple[list[FloatArray], list[FloatArray]]:
    """Return the rows of all layers for many patterns (m, n_neurons), in float64, and bounds on their errors.

    The bounds hold wherever they are finite: each layer adds its rounding to what its sources hand on, multiplied by
    the weights' sizes.
    """
    outputs, output_errors = [np.eye(net.n_inputs, net.n_inputs + 1)[None]], [np.zeros((1, 1, 1))]
    n_terms = 3 + net.n_inputs + sum(layer.width for layer in net.layers)
    unit, tiny = n_terms * np.finfo(np.float64).eps, n_terms * float(np.finfo(np.float64).tiny)
    maps, errors, start = [], [], 0
    with np.errstate(over="ignore", invalid="ignore"):
        for layer in net.layers:
            rows = np.zeros((len(patterns), layer.width, net.n_inputs + 1))
            rows[:, :, -1] = layer.bias
            size, error = np.abs(rows), np.zeros_like(rows)
            for source, weight in layer.weights.items():
                rows += weight @ outputs[source]
                size += np.abs(weight) @ np.abs(outputs[source])
                error += np.abs(weight) @ np.broadcast_to(output_errors[source], outputs[source].shape)
            error = (error + unit * size) * (1 + unit) + tiny
            maps.append(rows)
            errors.append(error)
            bits = patterns[:, start : start + layer.width]
            start += layer.width
            if layer is not net.layers[-1]:
                slopes = np.asarray(layer.slopes)
                chosen = np.where(bits, slopes[:, 1], slopes[:, 0])[:, :, None]
                outputs.append(chosen * rows)
                output_errors.append((np.abs(chosen) * error + unit * np.abs(outputs[-1])) * (1 + unit) + tiny)
    return maps, errors


def _parts(n: int, net: Network) -> Iterator[slice]:
    """Yield slices of n patterns whose composed maps fit in memory together."""
    size = max(1, _PART // ((net.n_inputs + 1) * max(net.n_neurons + net.n_outputs, 1)))
    return (slice(i, i + size) for i in range(0, n, size))


def _surely_single(net: Network, patterns: BoolArray, neurons: IndexArray) -> BoolArray:
    """Return where it is certain that only `neurons[i]` flips beyond the facet of `neurons[i]` of `patterns[i]`."""
    sure = np.zeros(len(patterns), dtype=np.bool_)
    for part in _parts(len(patterns), net):
        flipped = patterns[part].copy()
        m = np.arange(len(flipped))
        flipped[m, neurons[part]] ^= True
        maps, errors = (np.concatenate(arrays[:-1], axis=1) for arrays in _bounded_maps(net, flipped))
        apart = _surely_apart(maps, errors, maps[m, neurons[part]], errors[m, neurons[part]])
        apart[m, neurons[part]] = True
        sure[part] = (apart | net.affine_neurons).all(axis=1)
    return sure


def _surely_apart(maps: FloatArray, errors: FloatArray, h: FloatArray, e: FloatArray) -> BoolArray:
    """Return which rows (m, k, d + 1), known up to `errors`, surely are no multiples of `h` (m, d + 1), up to `e`."""
    m, pivot = np.arange(len(h)), np.argmax(np.abs(h), axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        p, pe = h[m, pivot, None, None], e[m, pivot, None, None]
        q, qe = maps[m, :, pivot, None], errors[m, :, pivot, None]
        h, e = h[:, None], e[:, None]
        gap = np.abs(maps * p - q * h)
        bound = errors * np.abs(p) + (np.abs(maps) + errors) * pe + qe * np.abs(h) + (np.abs(q) + qe) * e
        bound += 8 * np.finfo(np.float64).eps * (np.abs(maps * p) + np.abs(q * h)) + np.finfo(np.float64).tiny
        return np.asarray((gap > bound * (1 + 1e-9)).any(axis=2))


# --- linear regions


@dataclass(frozen=True, eq=False)
class LinearRegions:
    """Linear regions: maximal facet-connected unions of activation regions with one output affine map.

    Attributes
    ----------
    regions
        The activation regions.
    labels
        int64, shape (R,): the linear region of each activation region; numbered by their first activation regions.
    """

    regions: Regions
    labels: IndexArray
    _edges: _Edges

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
        convex = np.ones(len(self), dtype=np.bool_)
        candidates = [i for i, members in enumerate(self._members) if len(members) > 1]
        if candidates:
            edges = self._edges
            inside = np.flatnonzero(self.labels[edges.first] == self.labels[edges.second]).tolist()
            # Of the neurons that flip, only the one that defines the facet occurs below.
            inner = {(int(end[edge]), j) for edge in inside for j in edges.flips(edge) for end in edges[:2]}
            outer: dict[int, list[tuple[int, int]]] = {i: [] for i in candidates}
            for facet in zip(*(part.tolist() for part in _neuron_facets(self.regions)), strict=True):
                label = int(self.labels[facet[0]])
                if label in outer and facet not in inner:
                    outer[label].append(facet)
            for i, facets in outer.items():
                convex[i] = _is_convex(self.regions, self._members[i], np.array(facets).reshape(-1, 2))
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
        Activation regions, enumerated with ``facets=True`` if there are many.
    graph
        Their `adjacency_graph`, if it is at hand; else only the edges are computed.

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
    edges = _edges(regions) if graph is None else _edges_of(graph)
    equal = _equal_outputs(regions, edges)
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


def _edges_of(graph: nx.Graph) -> _Edges:
    listed = [(*sorted(edge[:2]), edge[2]) for edge in graph.edges(data="neurons")]
    ends = np.array([(i, j, neurons[0]) for i, j, neurons in listed], dtype=np.int64).reshape(-1, 3).T
    return _Edges(
        ends[0], ends[1], ends[2], {edge: neurons for edge, (_, _, neurons) in enumerate(listed) if len(neurons) > 1}
    )


def _equal_outputs(regions: Regions, edges: _Edges) -> BoolArray:
    """Return for each edge whether the output maps on both sides are equal, exactly."""
    net, first, second = regions.network, edges.first, edges.second
    patterns = regions.patterns
    shape = (len(regions), net.n_outputs, net.n_inputs + 1)
    maps, errors = np.empty(shape), np.empty(shape)
    for part in _parts(len(regions), net):
        values, bounds = _bounded_maps(net, patterns[part])
        maps[part], errors[part] = values[-1], bounds[-1]
    apart = np.zeros(len(first), dtype=np.bool_)
    for part in _parts(len(first), net):
        i, j = first[part], second[part]
        with np.errstate(over="ignore", invalid="ignore"):
            sure = np.abs(maps[i] - maps[j]) > (errors[i] + errors[j]) * (1 + 1e-9)
        apart[part] = sure.any(axis=(1, 2))
    unsure = np.flatnonzero(~apart)
    which, inverse = np.unique(first[unsure], return_inverse=True)
    live = np.empty((len(which), net.n_neurons), dtype=np.bool_)
    for part in _parts(len(which), net):
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
            slopes = np.asarray(layer.slopes) != 0
            live = reached[index - 1] & np.where(bits[index - 1], slopes[:, 1], slopes[:, 0])
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
    size = max(1, _PART // ((net.n_inputs + 1) * (net.n_neurons + net.n_outputs) + len(members)))
    for start in range(0, len(owner), size):
        part = slice(start, start + size)
        maps, errors = (np.concatenate(arrays[:-1], axis=1) for arrays in _bounded_maps(net, patterns[part]))
        at = np.arange(len(maps)), neuron[part]
        signs = np.where(patterns[part][at], 1.0, -1.0)[:, None]
        with np.errstate(over="ignore", invalid="ignore"):
            bound = errors[at] + 2 * (net.n_inputs + 3) * np.finfo(np.float64).eps * np.abs(maps[at])
            beyond = signs * (maps[at] @ points) < -(bound @ np.abs(points)) * (1 + 1e-9) - np.finfo(np.float64).tiny
        if beyond.any():
            return False
    hyperplanes = set()
    for i, j in zip(owner.tolist(), neuron.tolist(), strict=True):
        region = regions[i]
        hyperplanes.add(_reduced(region.integer_rows[region.rows == j][0].tolist()))
    backend = _backend(net.n_inputs)
    for i in members.tolist():
        rows = regions[i].integer_rows
        own = {_reduced(row) for row in rows.tolist()}
        backend.truncate(0)
        for row in rows:
            backend.push(row)
        for hyperplane in sorted(hyperplanes - own):
            backend.truncate(len(rows))
            backend.push(-np.array(hyperplane, dtype=object))
            if isinstance(backend.decide(), Feasible):
                return False
    return True


def _reduced(row: Sequence[int]) -> tuple[int, ...]:
    divisor = gcd(*row)
    return tuple(value // divisor for value in row)


def _backend(dimension: int) -> Backend:
    """Return a backend that always decides."""
    return make_backend("highs", dimension, Tolerances(exact_pivots=sys.maxsize))


# --- decision boundary


class _Piece(NamedTuple):
    """The part of the hyperplane g = 0 in a polyhedron: all coordinates but the one numbered `pivot`."""

    polyhedron: Polyhedron
    hyperplane: tuple[int, ...]
    pivot: int


@dataclass(frozen=True, eq=False)
class DecisionBoundary:
    """Where two classes tie for the first place, in convex pieces of dimension d - 1.

    Attributes
    ----------
    regions
        The activation regions.
    region, first, second
        int64, shape (n,): piece i is {x in `region[i]` : y_first = y_second >= y_k for all classes k}, first < second.
        A piece on a facet that two regions share is listed once, for the region of the smaller index.
    ties
        int64, shape (m, 3): region and two classes that tie for the first place on a part of it with interior. Such a
        part is no piece.
    """

    regions: Regions
    region: IndexArray
    first: IndexArray
    second: IndexArray
    ties: IndexArray
    _pieces: tuple[_Piece, ...]

    def __len__(self) -> int:
        return len(self._pieces)

    def __repr__(self) -> str:
        return f"DecisionBoundary({len(self)} pieces in {len(set(self.region.tolist()))} regions)"

    @cached_property
    def areas(self) -> FloatArray:
        """The (d-1)-dimensional volume of each piece, float64 of shape (n,), infinite if unbounded; in R^1 it is 1.

        From exact vertices, as `ActivationRegion.volume`.

        Raises
        ------
        TropnetError
            A piece is too flat to triangulate in float64 (not in R^1 and R^2).
        """
        return np.array([_area(piece) for piece in self._pieces], dtype=np.float64)

    def vertices(self, index: int) -> FloatArray:
        """Return the vertices of a piece, float64 of shape (n, d), each coordinate the one nearest to the exact value.

        There are none if the piece contains a line.
        """
        proper = [ray for ray in _generators(self._pieces[index]) if ray[-1]]
        points = [[nearest_float(x, w) for x in coordinates] for *coordinates, w in proper]
        return np.array(points, dtype=np.float64).reshape(-1, self.regions.network.n_inputs)

    def adjacent(self) -> IndexArray:
        """Return the pairs of pieces that meet in dimension d - 2 (a ridge), int64 of shape (m, 2), each ascending.

        Both lie on the ridge with whole faces, so it is spanned by vertices and rays, compared exactly, that they have
        in common: at least one vertex, and d - 1 that are independent in homogeneous coordinates. Costs about the
        number of pairs that share a vertex, of which there are many in high dimension.

        Raises
        ------
        TropnetError
            A piece contains a line (and d > 2): it has no vertices. A bounded domain has none such.
        """
        d = self.regions.network.n_inputs
        generators = [_generators(piece) for piece in self._pieces]
        if d > 2 and not all(generators):
            raise TropnetError("a piece of the decision boundary contains a line; give a bounded domain.")
        around: dict[tuple[int, ...], list[int]] = {}
        for i, rays in enumerate(generators):
            for ray in rays:
                around.setdefault(ray, []).append(i)
        common: dict[tuple[int, int], list[tuple[int, ...]]] = {}
        for ray, pieces in around.items():
            for pair in combinations(pieces, 2):
                common.setdefault(pair, []).append(ray)
        pairs = [
            pair for pair, rays in common.items() if d > 1 and any(ray[-1] for ray in rays) and rank(rays) >= d - 1
        ]
        return np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)

    def one_vs_rest(self, label: int) -> IndexArray:
        """Return the pieces on which class `label` meets another: its boundary against all others."""
        return np.flatnonzero((self.first == label) | (self.second == label))


def decision_boundary(regions: Regions, classes: Sequence[int] | None = None) -> DecisionBoundary:
    """Return where two classes tie for the first place, exactly, region by region.

    The class of a point is the output that is largest there. A network with one output has the classes 0 (y <= 0) and
    1 (y > 0), so its boundary is y = 0.

    Parameters
    ----------
    regions
        Activation regions, all or some.
    classes
        The outputs that compete; None for all. Not for one output.

    Notes
    -----
    On an activation region the outputs are affine, so a piece is a polyhedron in the hyperplane y_i = y_j, and whether
    it has dimension d - 1 is one exact decision in d - 1 dimensions. Before that, one decision for each class rules out
    the classes that are nowhere first in the region. About a millisecond for each region and class; but where the
    regions are complete, have their facets and at most five classes compete, only for the regions that some y_i = y_j
    cuts or may touch along a facet. Those are found by enumerating the network with the comparisons as one more layer.

    Raises
    ------
    ShapeError
        `classes` are not at least two different outputs.

    Examples
    --------
    |x| - 1 changes sign at -1 and 1:

    >>> net = Network.mlp([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [-1.0]])
    >>> boundary = decision_boundary(enumerate_regions(net))
    >>> sorted(boundary.vertices(i).item() for i in range(len(boundary)))
    [-1.0, 1.0]
    """
    net = regions.network
    labels = _classes(net, classes)
    backends = _backend(net.n_inputs), _backend(max(net.n_inputs - 1, 1))
    found: list[tuple[int, int, int]] = []
    pieces: list[_Piece] = []
    facets: list[int | None] = []
    ties: list[tuple[int, int, int]] = []
    for index in np.flatnonzero(_may_hold_a_piece(regions, labels)).tolist():
        region = regions[index]
        outputs = net.integer_maps(region.pattern)[-1]
        if net.n_outputs == 1:
            outputs = np.concatenate([np.zeros_like(outputs), outputs])
        rows, maps = region.integer_rows, outputs[labels]
        for i, j, piece in _pieces_of(region, rows, maps, backends):
            key = index, labels[i], labels[j]
            if piece is None:
                ties.append(key)
                continue
            tied = np.flatnonzero(_multiples(rows, piece.hyperplane)[0])
            found.append(key)
            pieces.append(piece)
            facets.append(int(region.rows[tied[0]]) if len(tied) else None)
    keep = _without_twins(regions, found, facets)
    columns = np.array([found[i] for i in keep], dtype=np.int64).reshape(-1, 3).T
    tied_parts = np.array(ties, dtype=np.int64).reshape(-1, 3)
    return DecisionBoundary(regions, columns[0], columns[1], columns[2], tied_parts, tuple(pieces[i] for i in keep))


def _classes(net: Network, classes: Sequence[int] | None) -> list[int]:
    n = max(net.n_outputs, 2)
    if classes is None:
        return list(range(n))
    labels = sorted(int(label) for label in classes)
    if net.n_outputs == 1 or len(labels) < 2 or len(set(labels)) < len(labels) or not 0 <= labels[0] <= labels[-1] < n:
        raise ShapeError(
            f"classes must be at least two different outputs out of {net.n_outputs}, got {list(classes)}."
            " For a network with one output leave them out: its classes are 0 (y <= 0) and 1 (y > 0)."
        )
    return labels


def _may_hold_a_piece(regions: Regions, labels: Sequence[int]) -> BoolArray:
    """Return for which regions some y_i = y_j meets the closed region in dimension d - 1, or for more than those."""
    net, every = regions.network, np.ones(len(regions), dtype=np.bool_)
    pairs = [[0]] if net.n_outputs == 1 else [list(pair) for pair in combinations(labels, 2)]
    if not regions.complete or regions.packed_facets is None or len(pairs) > _MAX_PAIRS:
        return every
    last, n = net.layers[-1], len(net.layers)
    signs = np.zeros((len(pairs), net.n_outputs))
    for row, pair in zip(signs, pairs, strict=True):
        row[pair] = [1, -1][: len(pair)]
    compared = Network(
        [
            *net.layers[:-1],
            Layer(last.weights, last.bias, AFFINE),
            Layer({n: signs}, np.zeros(len(pairs))),
            Layer({n + 1: np.zeros((1, len(pairs)))}, np.zeros(1)),
        ],
        net.n_inputs,
    )
    cells = enumerate_regions(compared, regions.domain, on_undecided="collect")
    at = _positions(regions.packed, pack(cells.patterns[:, : net.n_neurons]))
    if not cells.complete or (at < 0).any():
        return every
    rows, offsets = regions.facets()
    # Each region holds at least one cell; it holds more iff some y_i = y_j cuts it. All of R^d may be one big tie.
    maybe = np.asarray((np.bincount(at, minlength=len(regions)) != 1) | (np.diff(offsets) == 0), dtype=np.bool_)
    owner = np.repeat(np.arange(len(regions)), np.diff(offsets))
    A, b = regions.domain.halfspaces
    sides = np.column_stack([A, -b])[np.argsort(regions.domain.row_numbers)]
    side = np.searchsorted(np.sort(regions.domain.row_numbers), -1 - rows)
    for part in _parts(len(rows), compared):
        patterns = unpack(regions.packed[owner[part]], net.n_neurons)
        maps, errors = (np.concatenate(arrays, axis=1) for arrays in _bounded_maps(net, patterns))
        gaps = np.abs(signs) @ errors[:, net.n_neurons :]
        with np.errstate(over="ignore", invalid="ignore"):
            values = signs @ maps[:, net.n_neurons :]
            gaps = (gaps + 4 * np.finfo(np.float64).eps * np.abs(values)) * (1 + 1e-9)
        m, neuron = np.arange(len(maps)), rows[part]
        h, e = maps[m, np.maximum(neuron, 0)], errors[m, np.maximum(neuron, 0)]
        outer = neuron < 0
        h[outer], e[outer] = sides[side[part][outer]], 0
        touched = ~_surely_apart(values, gaps, h, e).all(axis=1)
        maybe[owner[part][touched]] = True
    return maybe


def _pieces_of(
    region: ActivationRegion, rows: IntegerArray, maps: IntegerArray, backends: tuple[Backend, Backend]
) -> Iterator[tuple[int, int, _Piece | None]]:
    """Yield pairs of classes with their piece, or None where they tie on a part with interior."""
    at_witness = (maps @ np.array(region.certificate.homogeneous, dtype=object)).tolist()
    top = max(range(len(maps)), key=at_witness.__getitem__)
    rivals = [top]
    for k in range(len(maps)):
        gap = maps[top] - maps[k]
        if k == top:
            continue
        if not gap[:-1].any():
            if not gap[-1]:
                rivals.append(k)
        elif _has_interior(backends[0], [*rows, -gap]) or _multiples(rows, gap.tolist())[0].any():
            rivals.append(k)
    rivals.sort()
    for n, i in enumerate(rivals):
        for j in rivals[n + 1 :]:
            gap = maps[i] - maps[j]
            others = [maps[i] - maps[k] for k in rivals if k not in (i, j)]
            if gap[:-1].any():
                piece = _piece(np.array([*rows, *others]), _reduced(gap.tolist()), backends[1])
                if piece is not None:
                    yield i, j, piece
            elif not gap[-1] and _has_interior(backends[0], [*rows, *(row for row in others if row.any())]):
                yield i, j, None


def _has_interior(backend: Backend, rows: Sequence[IntegerArray]) -> bool:
    """Return whether a x + c > 0 in all rows has a solution; constant rows included."""
    if any(row[-1] <= 0 for row in rows if not row[:-1].any()):
        return False
    backend.truncate(0)
    for row in rows:
        if row[:-1].any():
            backend.push(row)
    return isinstance(backend.decide(), Feasible)


def _piece(rows: IntegerArray, g: tuple[int, ...], backend: Backend) -> _Piece | None:
    """Return the part of g = 0 in the closed polyhedron of `rows`, or None if it has not dimension d - 1."""
    d = len(g) - 1
    rows = rows.reshape(-1, d + 1)
    pivot = max(range(d), key=lambda q: abs(g[q]))
    sign = 1 if g[pivot] > 0 else -1
    restricted = rows * abs(g[pivot]) - rows[:, pivot, None] * np.array(g, dtype=object)[None] * sign
    restricted = np.delete(restricted, pivot, axis=1)
    constant = ~np.asarray(restricted[:, :-1] != 0, dtype=np.bool_).any(axis=1)
    if (restricted[constant, -1] < 0).any():
        return None
    sides = restricted[~constant]
    if len(sides) and not _has_interior(backend, list(sides)):
        return None
    return _Piece(Polyhedron(sides), g, pivot)


def _generators(piece: _Piece) -> list[tuple[int, ...]]:
    """Return vertices and rays in all coordinates: homogeneous integer vectors without a common divisor."""
    polyhedron, g, pivot = piece
    rest, lifted = [*g[:pivot], *g[pivot + 1 :]], []
    for ray, _ in polyhedron.generators():
        # x_pivot = -(sum of the other terms) / g_pivot
        top = -sum(a * x for a, x in zip(rest, ray, strict=True))
        scaled = [x * abs(g[pivot]) for x in ray]
        lifted.append(_reduced([*scaled[:pivot], top if g[pivot] > 0 else -top, *scaled[pivot:]]))
    return lifted


def _area(piece: _Piece) -> float:
    polyhedron, g, pivot = piece
    if polyhedron.dimension == 0:
        return 1.0
    # The projection along the pivot's axis shrinks areas by |g_pivot| / |g|.
    return polyhedron.volume() * hypot(*(nearest_float(value, abs(g[pivot])) for value in g[:-1]))


def _without_twins(regions: Regions, found: Sequence[tuple[int, int, int]], facets: Sequence[int | None]) -> list[int]:
    """Return the pieces to keep: of two on one facet, for the same classes, that of the region of smaller index."""
    on_facet = {(*key, facet) for key, facet in zip(found, facets, strict=True) if facet is not None and facet >= 0}
    if not on_facet:
        return list(range(len(found)))
    edges = _edges(regions)
    smaller = {
        (j, neuron): i
        for i, j, neuron in zip(edges.first.tolist(), edges.second.tolist(), edges.neuron.tolist(), strict=True)
    }
    return [
        n
        for n, ((index, i, j), facet) in enumerate(zip(found, facets, strict=True))
        if (smaller.get((index, facet)), i, j, facet) not in on_facet
    ]


# --- statistics


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
    volumes
        As given.
    """

    n_facets: IndexArray
    n_neighbours: IndexArray
    never_active: tuple[IndexArray, ...]
    always_active: tuple[IndexArray, ...]
    never_cut: tuple[IndexArray, ...]
    active_share: FloatArray | None
    volumes: FloatArray | None

    def facet_distribution(self) -> IndexArray:
        """Return how many regions have 0, 1, 2, ... facets."""
        return np.bincount(self.n_facets)

    def degree_distribution(self) -> IndexArray:
        """Return how many regions have 0, 1, 2, ... neighbours."""
        return np.bincount(self.n_neighbours)


def statistics(regions: Regions, graph: nx.Graph | None = None, *, volumes: ArrayLike | None = None) -> Statistics:
    """Return the distributions of facets and neighbours, and the neurons that are dead, always active or never cut.

    Parameters
    ----------
    regions
        Activation regions; statements about neurons hold on these only, so on the domain if they are complete.
    graph
        Their `adjacency_graph`, if it is at hand; else only the edges are computed.
    volumes
        The volumes of the regions, finite, shape (R,), for `Statistics.active_share`.

    Raises
    ------
    ShapeError
        `volumes` has another shape.
    ValueError
        `volumes` are not finite, or negative, or all zero.

    Examples
    --------
    >>> net = Network.mlp([[[1.0], [0.0]], [[1.0, 1.0]]], [[0.0, -1.0], [0.0]])
    >>> found = statistics(enumerate_regions(net, facets=True))
    >>> found.degree_distribution().tolist(), [neurons.tolist() for neurons in found.never_active]
    ([0, 2], [[1]])
    """
    net, patterns = regions.network, regions.patterns
    facets = regions.facets()
    edges = _edges(regions, facets) if graph is None else _edges_of(graph)
    degrees = np.bincount(np.concatenate([edges.first, edges.second]), minlength=len(regions))
    split = ~net.affine_neurons
    cut = unpack(regions.packed_cuts, net.n_neurons).any(axis=0)
    share = None
    sizes = None if volumes is None else np.asarray(volumes, dtype=np.float64)
    if sizes is not None:
        if sizes.shape != (len(regions),):
            raise ShapeError(f"volumes must have shape ({len(regions)},), one per region, got {sizes.shape}.")
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
    )

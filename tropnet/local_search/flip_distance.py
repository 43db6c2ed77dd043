"""The number of flips from a point to the nearest region that holds data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from tropnet.arrays.checks import as_count, as_points
from tropnet.arrays.hamming import nearest_patterns
from tropnet.arrays.patterns import BoolArray, PackedArray, pack, unpack
from tropnet.arrays.types import FloatArray
from tropnet.enumeration import find_linear_region
from tropnet.errors import DomainError, ShapeError, UndecidedError
from tropnet.feasibility.tolerances import Tolerances
from tropnet.local_search.flip_search import Goals, flips_to_goals, lone_bits
from tropnet.local_search.flip_segments import n_crossings
from tropnet.local_search.walk import Step, Walk
from tropnet.network.domain import Domain, as_domain
from tropnet.network.network import Network, dense_network
from tropnet.network.restriction import restriction_of
from tropnet.polyhedral_complex.adjacency import find_edges, positions
from tropnet.progress import track
from tropnet.regions import ActivationRegion, Regions

__all__ = ["FlipBounds", "FlipDistance"]

# Points at a time, so that many inputs fit in memory.
_PART = 4096
_TRIES = 4
_HALVINGS = 40

IndexArray = NDArray[np.int64]


class FlipBounds(NamedTuple):
    """Bounds on the number of flips: int64, shape (n,), or numbers for one point. They agree where it is exact."""

    lower: IndexArray
    upper: IndexArray

    @property
    def exact(self) -> BoolArray:
        """Where the number is known, bool of the same shape."""
        return np.asarray(self.lower == self.upper)


class FlipDistance:
    """Count the flips from points to the nearest activation region that holds data: an out-of-distribution score.

    A flip crosses a facet, to the region beyond. The score is the length of a shortest path in the adjacency graph of
    the regions: 0 in a region that holds data. It depends on a point only through its region; bounds on it, where it is
    not known, may depend on which point of a region is asked first.

    Parameters
    ----------
    net_or_regions
        All regions of a domain, from `enumerate_regions(net, domain, facets=True)`: every score is exact, by one
        breadth-first search. Or a network too large for that: every score is bounded.
    data
        float64, shape (n, d): the points of the distribution, in the domain.
    domain
        None (all of R^d), `Box` or `Polytope`; regions bring their own.
    max_regions
        Without enumeration: look at so many regions around a point, at most.
    n_segments
        Without enumeration: to so many regions with data, the nearest in Hamming distance, draw a segment and count the
        facets that it crosses, for a first upper bound; 0 leaves it to the search alone.
    general_position
        Assume that no facet flips several neurons. For every choice of weights this holds for almost all biases, and
        the Hamming distance of patterns is then a lower bound; that the floats of a given network are no exception is
        not proven, except at the regions looked at. Without it a lower bound rests on what is proven in every network.
        See Notes.
    tolerances
        See `Tolerances`.

    Attributes
    ----------
    network, domain
        Where the regions live.
    packed
        The patterns of the regions that hold data, distinct, packed: uint8, shape (m, ceil(n_neurons / 8)).

    Raises
    ------
    DomainError
        Data or points outside the domain (see `regions_near`), a domain beside regions, or one that is empty.
    ShapeError, NonFiniteError
        Data or points of another shape, no data, or coordinates that are not finite.
    ValueError
        The regions are not complete, or a number is no positive integer.
    TropnetError
        `general_position` is assumed, and the search meets a facet at which several neurons flip.
    UndecidedError
        Exact arithmetic ran out of `Tolerances.exact_pivots`, or no path to the data was found, for points or data on
        faces of few dimensions; move them a little.

    Notes
    -----
    *Which region a point is in.* That of its activation pattern, where a pre-activation of zero is inactive; within
    rounding of a hyperplane the bit follows the rounded value. Where no region with interior has this pattern, the
    point is on a facet or a smaller face; then it is in one of the regions that touch it, always the same, the first
    one along a segment into the domain. This holds for data and points alike, so that data always score 0.

    *Upper bounds* are paths: a segment between two points, whose pieces are exact; those that meet a face of fewer than
    d - 1 dimensions do not count. Then a search from region to region, each with its exact facets, led by the Hamming
    distance to the nearest patterns of data.

    *Lower bounds.* The Hamming distance is none in general: where hyperplanes coincide, or a pre-activation is zero
    on a whole side of a hyperplane (a neuron that reads one other and has no bias), one flip changes several bits. But
    neurons that read the input alone flip together only if their hyperplanes are the same, so the number of distinct
    hyperplanes of the first layer that separate two regions is a lower bound always. Added to how far the search got,
    this proves two flips when one region was looked at, three after its neighbours, and so on. That almost all biases
    are in general position, with or without skips: a coincidence at a facet fixes the bias of one neuron when all
    other parameters are given, and there are finitely many patterns.

    *Cost.* Enumerated: for F facets of R regions O(F log R) once, then a forward pass and a look-up. Without: a forward
    pass; for points outside the regions with data a segment and a region with its facets cost milliseconds each (see
    `regions_near`), so a score costs from that to `max_regions` times that, once for all points of a region. In general
    position, as a rule, one region for each flip is enough. On R^d the rank of the weights that read the input counts,
    not d; but there a facet that reaches to infinity can take seconds of exact arithmetic. A bounded box in few inputs,
    around what the network reads (`Network.restrict` to an orthonormal basis of the first weights), avoids that.

    References
    ----------
    Joyce and Verschelde, Computing Linear Regions in Neural Networks with Skip Connections, section 7.1 (b).

    Examples
    --------
    >>> from tropnet import enumerate_regions
    >>> stairs = Network.mlp([np.ones((4, 1)), np.ones((1, 4))], [[0.0, -1.0, -2.0, -3.0], [0.0]])
    >>> flips = FlipDistance(enumerate_regions(stairs, facets=True), data=[[-0.5], [1.5]])
    >>> flips([[-3.0], [0.5], [3.5]]).lower
    array([0, 1, 2])
    >>> bounds = FlipDistance(stairs, data=[[-0.5], [1.5]])([[-3.0], [0.5], [3.5]])
    >>> bounds.lower, bounds.upper, bounds.exact
    (array([0, 1, 2]), array([0, 1, 2]), array([ True,  True,  True]))
    """

    def __init__(
        self,
        net_or_regions: Network | Regions,
        data: ArrayLike,
        domain: Domain | None = None,
        *,
        max_regions: int = 100,
        n_segments: int = 2,
        general_position: bool = False,
        tolerances: Tolerances | None = None,
    ) -> None:
        max_regions, n_segments = as_count(max_regions, "max_regions"), as_count(n_segments, "n_segments", 0)
        self._regions = net_or_regions if isinstance(net_or_regions, Regions) else None
        if self._regions is None:
            self.network = dense_network(net_or_regions)
            self.domain = as_domain(domain, self.network.n_inputs)
        else:
            if domain is not None:
                raise DomainError(f"regions bring their domain, {self._regions.domain}; leave out {domain}.")
            if not self._regions.complete:
                raise ValueError("regions must be complete, or paths may be missing; pass the network for bounds.")
            self.network, self.domain = self._regions.network, self._regions.domain
        points = as_points(data, self.network.n_inputs)[0]
        if not len(points):
            raise ShapeError("data must hold at least one point, got none.")
        self.packed: PackedArray
        self._restriction = restriction_of(self.network, self.domain)
        if self._restriction is not None:
            self._within = FlipDistance(
                self._restriction.network if self._regions is None else self._regions.within,
                self._coordinates(points, "data"),
                self._restriction.domain if self._regions is None else None,
                max_regions=max_regions,
                n_segments=n_segments,
                general_position=general_position,
                tolerances=tolerances,
            )
            self.packed = self._restriction.stripped(self._within.packed)
            self._raw = np.unique(pack(self.network.activation_pattern(points)), axis=0)
            return
        self._max_regions, self._n_segments = max_regions, n_segments
        self._general_position = general_position
        self._tolerances = tolerances or Tolerances()
        self._made: Walk | None = None
        self._settled: dict[bytes, bytes | None] = {}
        raw, own = self._patterns(points, "data")
        self._raw = np.unique(raw, axis=0)
        self.packed, first = np.unique(own, axis=0, return_index=True)
        if self._regions is not None:
            self._flips = _flips(self._regions, positions(self._regions.packed, self.packed))
            return
        lone = np.ones(self.network.n_neurons, dtype=np.bool_) if general_position else lone_bits(self.network)
        keys = {row.tobytes() for row in self.packed}
        self._goals = Goals(self.packed, keys, pack(lone[None])[0], general_position)
        # One point of each region, to draw segments to.
        self._points = points[first].copy()

    def __repr__(self) -> str:
        inner = self if self._restriction is None else self._within
        how = "enumerated" if self._regions is not None else f"up to {inner._max_regions} regions around a point"
        return f"FlipDistance({len(self.packed)} regions with data, {how}, {self.network})"

    def __call__(self, x: ArrayLike, *, progress: bool = False) -> FlipBounds:
        """Return the number of flips at one point (d,) or at many (n, d), or bounds on it.

        Points of one region share one search; `progress` shows a bar over the regions that points are in.
        """
        points, single = as_points(x, self.network.n_inputs)
        if self._restriction is not None:
            inside = self._coordinates(points, "x")
            return self._within(inside[0] if single else inside, progress=progress)
        own = self._patterns(points, "x")[1]
        if self._regions is not None:
            lower = upper = self._flips[positions(self._regions.packed, own)]
        else:
            distinct, places, inverse = np.unique(own, axis=0, return_index=True, return_inverse=True)
            bounds = np.zeros((len(distinct), 2), dtype=np.int64)
            with track("searching", "regions", enabled=progress) as update:
                for i, (pattern, place) in enumerate(zip(distinct, places.tolist(), strict=True)):
                    bounds[i] = self._bounds(pattern, points[place])
                    update(i + 1, (i + 1) / len(distinct))
            # numpy 2.0.0 returned the inverse as a column.
            lower, upper = bounds[inverse.ravel()].T
        return FlipBounds(lower[0], upper[0]) if single else FlipBounds(lower, upper)

    def hamming(self, x: ArrayLike) -> IndexArray:
        """Return the Hamming distance from the pattern at each point to the nearest pattern of the data, int64.

        The cheap companion of the number of flips: one forward pass, and m bitwise comparisons of patterns. Neither
        bounds the other: one flip can change several bits, and a shortest path can flip a neuron there and back. The
        domain is not asked: points outside have a pattern too.
        """
        points, single = as_points(x, self.network.n_inputs)
        raw = [pack(self.network.activation_pattern(part)) for part in _parts(points)]
        distances = nearest_patterns(np.concatenate([self._raw[:0], *raw]), self._raw)[0]
        return distances[0] if single else distances

    # --- which region a point is in

    def _patterns(self, points: FloatArray, name: str) -> tuple[PackedArray, PackedArray]:
        """Return the patterns at points, and those of the regions that they are in, packed."""
        self._check_inside(np.asarray(self.domain.contains(points)), name)
        raws, owns = [np.empty((0, -(-self.network.n_neurons // 8)), dtype=np.uint8)], []
        for part in _parts(points):
            bits, sure = self._known(part)
            raw = pack(bits)
            own = raw.copy()
            for i in np.flatnonzero(~sure).tolist():
                own[i] = self._settle(raw[i], part[i])
            raws.append(raw)
            owns.append(own)
        return np.concatenate(raws), np.concatenate([raws[0], *owns])

    def _coordinates(self, points: FloatArray, name: str) -> FloatArray:
        """Return points in the coordinates of the domain's affine hull."""
        restriction, domain = self._restriction, self.domain
        if restriction is None:
            return points
        self._check_inside(np.array([restriction.holds(domain, point) for point in points], dtype=np.bool_), name)
        return restriction.coordinates(points)

    def _check_inside(self, inside: BoolArray, name: str) -> None:
        """Raise DomainError unless all points are in the domain."""
        outside = np.flatnonzero(~inside)
        if len(outside):
            raise DomainError(
                f"{name} must be in the domain {self.domain}; point {outside[0]} is not"
                f" ({len(outside)} such point{'' if len(outside) == 1 else 's'})."
            )

    def _known(self, points: FloatArray) -> tuple[BoolArray, BoolArray]:
        """Return the patterns at points, and which surely are those of regions."""
        if self._regions is not None:
            bits = self.network.activation_pattern(points)
            return bits, positions(self._regions.packed, pack(bits)) >= 0
        bits, sure = self.network.certain_pattern(points)
        # A zero is certain, too, if every term is.
        zero = (self.network.pre_activations(points) == 0) & ~self.network.affine_neurons
        return bits, sure & ~zero.any(axis=1)

    def _settle(self, packed: PackedArray, x: FloatArray) -> PackedArray:
        """Return the pattern of the region of x; `packed` is the one at x, perhaps of no region."""
        key = packed.tobytes()
        if key not in self._settled:
            self._settled[key] = key if self._regions is None and self._occurs(packed) else None
        if self._settled[key] is not None:
            return packed
        return np.asarray(pack(self._walk.first_step(x).pattern[None])[0])

    def _occurs(self, packed: PackedArray) -> bool:
        pattern = unpack(packed[None], self.network.n_neurons)[0]
        found = find_linear_region(self._walk.net, pattern, self._walk.domain, tolerances=self._tolerances)
        return isinstance(found, ActivationRegion)

    @property
    def _walk(self) -> Walk:
        if self._made is None:
            self._made = Walk(self.network, self.domain, self._tolerances)
        return self._made

    # --- bounds without enumeration

    def _bounds(self, packed: PackedArray, x: FloatArray) -> tuple[int, int]:
        """Return lower and upper bound for the region of x, whose pattern this is."""
        if packed.tobytes() in self._goals.keys:
            return 0, 0
        self._walk.centre_on(x)
        pattern, origin = unpack(packed[None], self.network.n_neurons)[0], self._inside(packed, x)
        known = self._segments(pattern, origin)
        start = Step(pattern, 0, origin, None)
        lower, upper = flips_to_goals(self._walk, start, self._goals, known, self._max_regions)
        if not np.isfinite(upper):
            raise UndecidedError("no path to the data was found; raise max_regions, or move x a little.", None)
        return int(lower), int(upper)

    def _inside(self, packed: PackedArray, x: FloatArray) -> FloatArray:
        """Return a point strictly inside a region that x is in: x, if it surely is, else a witness."""
        pattern = unpack(packed[None], self.network.n_neurons)[0]
        found = self._walk.point_inside(Step(pattern, 0, self._walk.reduced(x), None))
        if found is None:
            raise UndecidedError("the region of a point was not found; move it a little.", None)
        return found[0]

    def _segments(self, pattern: BoolArray, origin: FloatArray) -> float:
        """Return the fewest facets that a segment to a region with data crosses; infinite if none tells."""
        distances = np.unpackbits(self.packed ^ pack(pattern[None]), axis=1).sum(axis=1, dtype=np.int64)
        nearest = np.argsort(distances, kind="stable")[: self._n_segments]
        fewest = np.inf
        for i in nearest.tolist():
            end = self._inside(self.packed[i], self._points[i])
            for start in self._origins(pattern, origin):
                n = n_crossings(self._walk.net, start, end, self._goals.keys, single=self._general_position)
                if n is not None:
                    fewest = min(fewest, n)
                    break
        return fewest

    def _origins(self, pattern: BoolArray, origin: FloatArray) -> Iterator[FloatArray]:
        """Yield points strictly inside a region: the one given, then others in general position."""
        yield origin
        rng = np.random.default_rng(0)
        size = max(1.0, float(np.abs(origin).max(initial=0.0)))
        for _ in range(_TRIES):
            points = origin + rng.normal(size=len(origin)) * size * 0.5 ** np.arange(_HALVINGS)[:, None]
            inside = np.flatnonzero(self._walk.surely_inside(points, pattern))
            if len(inside):
                yield points[inside[0]]


def _flips(regions: Regions, with_data: IndexArray) -> IndexArray:
    """Return the number of flips from each region to the nearest of some."""
    edges = find_edges(regions)
    shape = (len(regions), len(regions))
    graph = csr_array((np.ones(len(edges.first), dtype=np.int8), (edges.first, edges.second)), shape=shape)
    flips = dijkstra(graph, directed=False, indices=with_data, unweighted=True, min_only=True)
    return np.asarray(flips, dtype=np.int64)


def _parts(points: FloatArray) -> Iterator[FloatArray]:
    return (points[i : i + _PART] for i in range(0, len(points), _PART))

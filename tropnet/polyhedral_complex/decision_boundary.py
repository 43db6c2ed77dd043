"""The decision boundary: where two classes tie for the first place, in convex pieces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import combinations
from math import hypot, inf
from typing import NamedTuple

import numpy as np

from tropnet.arrays.chunks import chunks
from tropnet.arrays.patterns import BoolArray, PackedArray, pack, unpack
from tropnet.arrays.rounding import EPSILON, LARGEST
from tropnet.arrays.types import FloatArray, IntegerArray
from tropnet.errors import ShapeError, TropnetError
from tropnet.exact.certificates import Witness
from tropnet.exact.dyadic import nearest_float
from tropnet.exact.elimination import rank
from tropnet.exact.projection import square_root
from tropnet.exact.reduction import reduced
from tropnet.feasibility import Backend, deciding_backend
from tropnet.geometry.polyhedron import Polyhedron
from tropnet.network.domain import Domain, as_domain
from tropnet.network.network import Network
from tropnet.network.recurrence import Composition
from tropnet.network.restriction import Restriction
from tropnet.network.selected_rows import compose_selected
from tropnet.polyhedral_complex.adjacency import IndexArray, find_edges
from tropnet.polyhedral_complex.exact_decisions import has_interior, put, reaches
from tropnet.progress import track
from tropnet.regions import Regions
from tropnet.regions.crossings import multiples
from tropnet.regions.row_index import RowIndex

__all__ = ["DecisionBoundary", "decision_boundary"]

# In more dimensions compiled linear programs would take minutes; those of HiGHS take less.
_MAX_DIMENSION = 128
# Chunks are parts of what memory holds: rows that stay in the cache are composed faster.
_PARTS = 16


class _Piece(NamedTuple):
    """The part of the hyperplane g = 0 in a polyhedron: all coordinates but the one numbered `pivot`."""

    polyhedron: Polyhedron
    hyperplane: tuple[int, ...]
    pivot: int


@dataclass(frozen=True, eq=False)
class DecisionBoundary:
    """Where two classes tie for the first place, in convex pieces of dimension d - 1.

    In a domain of lower dimension k, d - 1 is k - 1, and hyperplanes are those of its affine hull.

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
        return np.array([_area(piece, self.regions.restriction) for piece in self._pieces], dtype=np.float64)

    def vertices(self, index: int, within: Domain | None = None) -> FloatArray:
        """Return the vertices of a piece, float64 of shape (n, d), each coordinate the one nearest to the exact value.

        There are none if the piece contains a line. Those of its part in the domain `within`, if one is given.
        """
        piece, restriction = self._pieces[index], self.regions.restriction
        if within is not None:
            given = as_domain(within, self.regions.network.n_inputs).integer_rows
            sides = _in_hyperplane(given if restriction is None else restriction.rows(given), *piece[1:])
            if (sides[~_non_constant(sides), -1] < 0).any():
                return np.empty((0, self.regions.network.n_inputs))
            rows = np.concatenate([piece.polyhedron.rows, sides[_non_constant(sides)]])
            piece = piece._replace(polyhedron=Polyhedron(rows))
        proper = [ray for ray in _generators(piece) if ray[-1]]
        if restriction is not None:
            proper = [tuple(restriction.vector(ray)) for ray in proper]
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
        d = self.regions.within.network.n_inputs
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


def decision_boundary(
    regions: Regions, classes: Sequence[int] | None = None, *, progress: bool = False
) -> DecisionBoundary:
    """Return where two classes tie for the first place, exactly, region by region.

    The class of a point is the output that is largest there. A network with one output has the classes 0 (y <= 0) and
    1 (y > 0), so its boundary is y = 0.

    Parameters
    ----------
    regions
        Activation regions, all or some.
    classes
        The outputs that compete; None for all. Not for one output.
    progress
        Show a progress bar on standard error.

    Notes
    -----
    On an activation region the outputs are affine, so a piece is a polyhedron in the hyperplane y_i = y_j, and whether
    it has dimension d - 1 is one exact decision in d - 1 dimensions. Before that, up to 128 dimensions, multipliers
    prove in float64, with bounds on all errors, which classes are nowhere first in a closed region: some microseconds
    for each region and class (see `tropnet.geometry.facets.untouched`). Exact decisions, about a millisecond each, are
    for the classes that are left, in the regions where more than one is.

    Raises
    ------
    ShapeError
        `classes` are not at least two different outputs.

    Examples
    --------
    ``|x| - 1`` changes sign at -1 and 1:

    >>> net = Network.mlp([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [-1.0]])
    >>> from tropnet import enumerate_regions
    >>> boundary = decision_boundary(enumerate_regions(net))
    >>> sorted(boundary.vertices(i).item() for i in range(len(boundary)))
    [-1.0, 1.0]
    """
    if regions.restriction is not None:
        return replace(decision_boundary(regions.within, classes, progress=progress), regions=regions)
    net = regions.network
    labels = _classes(net, classes)
    backends = deciding_backend(net.n_inputs), deciding_backend(max(net.n_inputs - 1, 1))
    found: list[tuple[int, int, int]] = []
    pieces: list[_Piece] = []
    facets: list[int | None] = []
    ties: list[tuple[int, int, int]] = []
    maybe = _may_be_first(regions, labels)
    left, exact = np.flatnonzero(maybe.sum(axis=1) > 1), _ExactRows(regions)
    with track("comparing classes", "regions", enabled=progress) as update:
        for n_done, index in enumerate(left.tolist()):
            update(n_done, n_done / len(left))
            names, rows, outputs = exact.of(index)
            rivals = np.flatnonzero(maybe[index]).tolist()
            for i, j, piece in _pieces_of(regions[index].certificate, rows, outputs[labels], rivals, backends):
                key = index, labels[i], labels[j]
                if piece is None:
                    ties.append(key)
                    continue
                tied = np.flatnonzero(multiples(rows, piece.hyperplane)[0])
                found.append(key)
                pieces.append(piece)
                facets.append(int(names[tied[0]]) if len(tied) else None)
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


def _may_be_first(regions: Regions, labels: Sequence[int]) -> BoolArray:
    """Return which classes tie for the first place somewhere in each closed region, or may: bool, shape (R, n)."""
    net, d, measures = regions.network, regions.domain.dimension, regions.measures
    maybe = np.ones((len(regions), len(labels)), dtype=np.bool_)
    if d > _MAX_DIMENSION:
        return maybe
    for part in chunks(len(regions), _PARTS * (net.n_neurons + len(labels)) * (d + 1)):
        maps, wrong = (values[:, labels] for values in _outputs(net, regions.packed[part]))
        m = np.arange(len(maps))
        with np.errstate(all="ignore"):
            # Whatever is below one class throughout is first nowhere, whichever class that is.
            values = (maps[:, :, :d] @ regions.witnesses[part][:, :, None])[:, :, 0] + maps[:, :, d]
            top = np.argmax(values, axis=1)
            gaps = maps[m, top][:, None] - maps
            errors, sizes = wrong[m, top][:, None] + wrong, np.abs(gaps)
            errors = (errors + EPSILON * np.stack([sizes[:, :, :d].sum(axis=2), sizes[:, :, d]], axis=2)) * (1 + 1e-9)
        which = np.arange(len(regions))[part]
        maybe[part] = ~measures.surely_positive(which, gaps[:, :, :d], gaps[:, :, d], errors)
    return maybe


def _outputs(net: Network, packed: PackedArray) -> tuple[FloatArray, FloatArray]:
    """Return the outputs (a | c) in many regions, 0 before a single one, and how wrong a and c are at most, in l2."""
    d, m, n = net.n_inputs, len(packed), net.n_outputs
    # To be composed as hidden neurons that are not active: a x <= -c.
    patterns = np.pad(unpack(packed, net.n_neurons), ((0, 0), (0, n)))
    wanted = np.arange(patterns.shape[1]) >= net.n_neurons
    rows = compose_selected(
        [*net.layers, net.layers[-1]], pack(patterns), pack(np.broadcast_to(wanted, patterns.shape)), d
    ).rows
    maps, errors = rows.high.reshape(m, n, d + 1), rows.error.reshape(m, n, 2)
    maps[:, :, d] *= -1
    if n > 1:
        return maps, errors
    return np.pad(maps, ((0, 0), (1, 0), (0, 0))), np.pad(errors, ((0, 0), (1, 0), (0, 0)))


class _ExactRows:
    """Composes exact rows of regions; of neighbours in the list, only what they do not share."""

    def __init__(self, regions: Regions) -> None:
        net = regions.network
        self.regions, self.facets, self.index = regions, regions.facets(), RowIndex.of(net, regions.domain)
        self.maps = Composition.of(net.integers.layers, net.n_inputs)

    def of(self, index: int) -> tuple[IndexArray, IntegerArray, IntegerArray]:
        """Return what the rows are that define facets, these rows, and the outputs, 0 before a single one."""
        net = self.regions.network
        pattern = unpack(self.regions.packed[index : index + 1], net.n_neurons)[0]
        outputs = self.maps.follow(pattern, len(net.layers) - 1)
        if net.n_outputs == 1:
            outputs = np.concatenate([np.zeros_like(outputs), outputs])
        names = self.facets.rows[self.facets.offsets[index] : self.facets.offsets[index + 1]]
        places = self.index.places(names)
        rows = []
        for place in places.tolist():
            if place < net.n_neurons:
                row = self.maps.row(place)
                rows.append(row if pattern[place] else -row)
            else:
                rows.append(self.regions.domain.integer_rows[place - net.n_neurons])
        return names, np.array(rows, dtype=object).reshape(-1, net.n_inputs + 1), outputs


def _pieces_of(
    witness: Witness, rows: IntegerArray, maps: IntegerArray, rivals: list[int], backends: tuple[Backend, Backend]
) -> Iterator[tuple[int, int, _Piece | None]]:
    """Yield pairs of classes with their piece, or None where they tie on a part with interior.

    Of all classes, only `rivals` may be first somewhere.
    """
    at_witness = (maps @ np.array(witness.homogeneous, dtype=object)).tolist()
    top = max(rivals, key=at_witness.__getitem__)
    # Two are asked below whether they meet.
    if len(rivals) > 2:
        # The rows of the region stay on the stack, whichever class is asked about.
        n_rows = put(backends[0], list(rows))
        asked, rivals = rivals, [top]
        for k in asked:
            gap = maps[top] - maps[k]
            if k == top:
                continue
            if not gap[:-1].any():
                if not gap[-1]:
                    rivals.append(k)
            elif reaches(backends[0], n_rows, -gap) or multiples(rows, gap.tolist())[0].any():
                rivals.append(k)
        rivals.sort()
    for n, i in enumerate(rivals):
        for j in rivals[n + 1 :]:
            gap = maps[i] - maps[j]
            others = [maps[i] - maps[k] for k in rivals if k not in (i, j)]
            if gap[:-1].any():
                piece = _piece(np.array([*rows, *others]), reduced(gap.tolist()), backends[1])
                if piece is not None:
                    yield i, j, piece
            elif not gap[-1] and has_interior(backends[0], [*rows, *(row for row in others if row.any())]):
                yield i, j, None


def _piece(rows: IntegerArray, g: tuple[int, ...], backend: Backend) -> _Piece | None:
    """Return the part of g = 0 in the closed polyhedron of `rows`, or None if it has not dimension d - 1."""
    d = len(g) - 1
    rows = rows.reshape(-1, d + 1)
    pivot = max(range(d), key=lambda q: abs(g[q]))
    restricted = _in_hyperplane(rows, g, pivot)
    cuts = _non_constant(restricted)
    if (restricted[~cuts, -1] < 0).any():
        return None
    sides = restricted[cuts]
    if len(sides) and not has_interior(backend, list(sides)):
        return None
    return _Piece(Polyhedron(sides), g, pivot)


def _in_hyperplane(rows: IntegerArray, g: tuple[int, ...], pivot: int) -> IntegerArray:
    """Return rows where g = 0, as rows in all coordinates but `pivot`."""
    sign = 1 if g[pivot] > 0 else -1
    restricted = rows * abs(g[pivot]) - rows[:, pivot, None] * np.array(g, dtype=object)[None] * sign
    return np.delete(restricted, pivot, axis=1)


def _non_constant(rows: IntegerArray) -> BoolArray:
    """Return which rows (a | c) have a != 0, bool of shape (m,)."""
    return np.array([any(row) for row in rows[:, :-1].tolist()], dtype=np.bool_)


def _generators(piece: _Piece) -> list[tuple[int, ...]]:
    """Return vertices and rays in all coordinates: homogeneous integer vectors without a common divisor."""
    polyhedron, g, pivot = piece
    rest, lifted = [*g[:pivot], *g[pivot + 1 :]], []
    for ray, _ in polyhedron.generators():
        # x_pivot = -(sum of the other terms) / g_pivot
        top = -sum(a * x for a, x in zip(rest, ray, strict=True))
        scaled = [x * abs(g[pivot]) for x in ray]
        lifted.append(reduced([*scaled[:pivot], top if g[pivot] > 0 else -top, *scaled[pivot:]]))
    return lifted


def _area(piece: _Piece, restriction: Restriction | None) -> float:
    polyhedron, g, pivot = piece
    if polyhedron.dimension == 0:
        return 1.0
    # The projection along the pivot's axis shrinks areas by |g_pivot| / |g|.
    volume = polyhedron.volume()
    if restriction is None or restriction.keeps_lengths:
        area = volume * hypot(*(nearest_float(value, abs(g[pivot])) for value in g[:-1]))
    else:
        # |g| is the slope of g, and areas are larger as volumes are.
        square, scale = restriction.dual_metric
        normal = np.array(g[:-1], dtype=object)
        slope = square_root(Fraction(int(normal @ square @ normal), scale * g[pivot] ** 2))
        area = volume * slope * restriction.volume_factor
    return area if volume == inf else min(area, LARGEST)


def _without_twins(regions: Regions, found: Sequence[tuple[int, int, int]], facets: Sequence[int | None]) -> list[int]:
    """Return the pieces to keep: of two on one facet, for the same classes, that of the region of smaller index."""
    on_facet = {(*key, facet) for key, facet in zip(found, facets, strict=True) if facet is not None and facet >= 0}
    if not on_facet:
        return list(range(len(found)))
    edges = find_edges(regions)
    smaller = {
        (j, neuron): i
        for i, j, neuron in zip(edges.first.tolist(), edges.second.tolist(), edges.neuron.tolist(), strict=True)
    }
    return [
        n
        for n, ((index, i, j), facet) in enumerate(zip(found, facets, strict=True))
        if (smaller.get((index, facet)), i, j, facet) not in on_facet
    ]

"""The regions around a point, by crossing facets: for networks too large to enumerate."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tropnet.arrays.checks import as_count, as_points
from tropnet.arrays.patterns import BoolArray, pack
from tropnet.arrays.types import FloatArray
from tropnet.enumeration.engines.simplex.start import lift
from tropnet.errors import DomainError, EnumerationInterrupted, ShapeError, UndecidedError
from tropnet.feasibility.tolerances import Tolerances
from tropnet.local_search.walk import CellAround, Walk
from tropnet.network.domain import Domain, as_domain
from tropnet.network.network import Network, dense_network
from tropnet.network.restriction import within_hull
from tropnet.progress import track
from tropnet.regions import Regions
from tropnet.regions.lifting import lifted_regions
from tropnet.regions.row_index import RowIndex

__all__ = ["NearRegions", "regions_near"]


@dataclass(frozen=True, eq=False)
class NearRegions:
    """The activation regions around a point, in the order of the number of facets to cross.

    Attributes
    ----------
    regions
        With their facets; the first one holds the point (or touches it). `Regions.complete` says whether these are all
        regions of the domain.
    n_flips
        int64, shape (R,): how many facets a shortest path from the first region crosses.
    """

    regions: Regions
    n_flips: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.n_flips)

    def __repr__(self) -> str:
        farthest = int(self.n_flips.max(initial=0))
        return f"NearRegions({len(self)} activation regions up to {farthest} flips away, {self.regions.network})"


def regions_near(
    net: Network,
    x: ArrayLike,
    domain: Domain | None = None,
    *,
    max_regions: int = 1000,
    max_flips: int | None = None,
    tolerances: Tolerances | None = None,
    progress: bool = False,
) -> NearRegions:
    """Find the activation regions around a point, nearest first, by crossing facets (breadth first).

    Regions are exact as in `enumerate_regions`, and so is the list of facets of each; the distance is the number of
    facets that a path of regions crosses, of which one can flip several neurons (coincident hyperplanes).

    Parameters
    ----------
    net
        The network; it may be far too large to enumerate.
    x
        float64, shape (d,), in the domain. On a hyperplane, the search starts at one of the regions that touch x. In a
        domain of lower dimension that holds few float64 points, x may be off its affine hull by 1e-9 of its largest
        coordinate.
    domain
        None (all of R^d), `Box` or `Polytope`.
    max_regions, max_flips
        Stop after so many regions, or at this distance (None: no bound).
    tolerances
        See `Tolerances`.
    progress
        Show a progress bar on standard error.

    Raises
    ------
    DomainError
        x is outside the domain, or the domain is empty or of the wrong dimension.
    ShapeError, NonFiniteError
        x is not one finite point of the network's dimension.
    ValueError
        `max_regions` or `max_flips` is no such number.
    UndecidedError, EnumerationInterrupted
        Exact arithmetic ran out of `Tolerances.exact_pivots`, or Ctrl-C; `partial` is what was found.

    Notes
    -----
    On R^d everything happens in as many inputs as the network can tell apart, the rank r of the weights that read the
    input, so a first layer of 32 neurons makes it a search in 32 dimensions, whatever d. There a region with its facets
    takes about eight milliseconds (r = 32, about a hundred neurons). Where that method cannot start (r > 128, or a box
    in more than 128 dimensions), facets are decided one by one with exact arithmetic, which at some hundred inputs is
    too slow to be useful.

    Examples
    --------
    >>> net = Network.mlp([[[1.0], [1.0]], [[1.0, 1.0]]], [[0.0, -1.0], [0.0]])
    >>> near = regions_near(net, [-3.0])
    >>> near.n_flips.tolist(), near.regions.patterns.tolist()
    ([0, 1, 2], [[False, False], [True, False], [True, True]])
    """
    max_regions = as_count(max_regions, "max_regions")
    max_flips = None if max_flips is None else as_count(max_flips, "max_flips", 0)
    net = dense_network(net)
    fitted = as_domain(domain, net.n_inputs)
    limits = tolerances or Tolerances()
    within, inside, restriction = within_hull(net, fitted)
    point = as_points(x, net.n_inputs)[0]
    if len(point) != 1:
        raise ShapeError(f"x must be one point of shape ({net.n_inputs},), got {len(point)} points.")
    if not (fitted.contains(point[0]) if restriction is None else restriction.holds(fitted, point[0])):
        raise DomainError(f"x is outside the domain {fitted}; give a point of the domain.")
    search = _BreadthFirst(Walk(within, inside, limits))

    def found() -> NearRegions:
        near = search.found()
        return replace(near, regions=lifted_regions(net, fitted, restriction, near.regions))

    start = point[0] if restriction is None else restriction.coordinates(point)[0]
    try:
        with track("searching", "regions", enabled=progress) as update:
            for n in search.run(start, max_regions, max_flips):
                update(n, n / max_regions)
    except KeyboardInterrupt as interrupt:
        raise EnumerationInterrupted(found()) from interrupt
    except UndecidedError as error:
        raise UndecidedError(str(error), found()) from error
    return found()


class _BreadthFirst:
    """A walk from a point outwards, the regions of fewest flips first."""

    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        self.patterns: list[BoolArray] = []
        self.n_flips: list[int] = []
        self.cells: list[CellAround] = []
        self.truncated = False
        self.finished = False

    def run(self, x: FloatArray, max_regions: int, max_flips: int | None) -> Iterator[int]:
        """Search, yielding the number of regions found so far."""
        walk = self.walk
        walk.centre_on(x)
        start = walk.first_step(x)
        seen = {start.pattern.tobytes()}
        queue = deque([start])
        while queue:
            step = queue.popleft()
            cell = walk.explore(step)
            self.patterns.append(step.pattern)
            self.n_flips.append(step.n_flips)
            self.cells.append(cell)
            yield len(self.cells)
            if self.truncated:
                continue
            for beyond in walk.neighbours(step, cell):
                key = beyond.pattern.tobytes()
                if key in seen:
                    continue
                # Those found first are looked at first, so no more than `max_regions` need to be remembered.
                if len(seen) == max_regions or step.n_flips == max_flips:
                    self.truncated = True
                    break
                seen.add(key)
                queue.append(beyond)
        self.finished = not self.truncated

    def found(self) -> NearRegions:
        """Return what was found so far."""
        walk = self.walk
        n, index = walk.full.n_neurons, RowIndex.of(walk.full, walk.full_domain)
        n_found = len(self.cells)
        points = np.zeros((n_found, walk.full.n_inputs))
        for i, cell in enumerate(self.cells):
            points[i, walk.inputs] = cell.point
        exact = {
            i: lift(cell.witness, walk.inputs, walk.full.n_inputs).fractions
            for i, cell in enumerate(self.cells)
            if cell.witness is not None and not cell.witness.is_float
        }
        patterns = np.array(self.patterns[:n_found], dtype=np.bool_).reshape(n_found, n)
        packed = pack(patterns)
        regions = Regions(
            walk.full,
            walk.full_domain,
            packed,
            pack(walk.cuts(patterns)),
            points,
            exact,
            complete=self.finished,
            stats={} if walk.cells is None else dict(walk.cells.counters),
            packed_facets=index.pack(
                np.array([cell.facets for cell in self.cells], dtype=np.bool_).reshape(n_found, index.n_places)
            ),
        )
        return NearRegions(regions, np.array(self.n_flips[:n_found], dtype=np.int64))

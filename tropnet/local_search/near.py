"""The regions around a point, by crossing facets: for networks too large to enumerate."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tropnet.arrays.checks import as_count, as_points
from tropnet.arrays.patterns import BoolArray, pack
from tropnet.arrays.rounding import EPSILON, SMALLEST_NORMAL
from tropnet.arrays.types import FloatArray
from tropnet.enumeration.algorithm_1 import find_linear_region, require_interior, root_backend
from tropnet.enumeration.engine import ChunkBuilder, Task
from tropnet.enumeration.engines.simplex.engine import SimplexEngine, SimplexSearch, find_start, lift, restrict_inputs
from tropnet.errors import DomainError, EnumerationInterrupted, ShapeError, UndecidedError
from tropnet.exact.certificates import Witness
from tropnet.feasibility import Feasible
from tropnet.feasibility.tolerances import Tolerances
from tropnet.local_search.segment import regions_on_segment
from tropnet.network.domain import Domain, as_domain
from tropnet.network.network import Network, dense_network
from tropnet.progress import track
from tropnet.regions import ActivationRegion, Regions
from tropnet.regions.crossings import bounded_rows, parts, pattern_beyond, surely_single
from tropnet.regions.row_index import RowIndex

__all__ = ["NearRegions", "Step", "Walk", "regions_near"]

_TRIES = 8
_HALVINGS = 40
_SHARE = 0.5
_NEWTON_STEPS = 30
_ALMOST = 0.9
# Far beyond, points would lose the constants of the rows, and with them all proofs.
_REACH = 0.05
_CLOSE = 0.1
# Smaller bounds on errors are those of zeros.
_NEGLIGIBLE = 1e-300


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
        float64, shape (d,), in the domain. On a hyperplane, the search starts at one of the regions that touch x.
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
        x is outside the domain, or the domain is empty, flat or of the wrong dimension.
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
    require_interior(fitted, limits)
    point = as_points(x, net.n_inputs)[0]
    if len(point) != 1:
        raise ShapeError(f"x must be one point of shape ({net.n_inputs},), got {len(point)} points.")
    if not fitted.contains(point[0]):
        raise DomainError(f"x is outside the domain {fitted}; give a point of the domain.")
    search = Walk(net, fitted, limits)
    try:
        with track("searching", "regions", enabled=progress) as update:
            for n in search.run(point[0], max_regions, max_flips):
                update(n, n / max_regions)
    except KeyboardInterrupt as interrupt:
        raise EnumerationInterrupted(search.found()) from interrupt
    except UndecidedError as error:
        raise UndecidedError(str(error), search.found()) from error
    return search.found()


class Step(NamedTuple):
    """A region to look at: from `origin`, on the facet to it, along `direction` if these are known."""

    pattern: BoolArray
    n_flips: int
    origin: FloatArray | None
    direction: FloatArray | None


class _Known(NamedTuple):
    """A region with its facets, as `CellFacets`, and its rows (a | c), those of the domain last.

    `witness` is None where the point, strictly inside, needs no other proof than bounds on rounding.
    """

    point: FloatArray
    witness: Witness | None
    rows: FloatArray
    facets: BoolArray
    beyond: dict[int, FloatArray]


class Walk:
    """Regions and what lies beyond their facets, in the inputs that matter; `run` searches them breadth first.

    One object serves many searches: each begins with `aim`.
    """

    def __init__(self, net: Network, domain: Domain, tolerances: Tolerances) -> None:
        self.full, self.full_domain = net, domain
        self.tolerances = tolerances
        plan = find_start(net, domain)
        self.inputs = list(range(net.n_inputs)) if plan is None else plan.inputs
        self.net, self.domain = net, domain
        if len(self.inputs) < net.n_inputs:
            self.net, self.domain = restrict_inputs(net, domain, self.inputs)
            plan = find_start(self.net, self.domain)
        task = Task(self.net, self.domain, "highs", tolerances, facets=True)
        self.builder = ChunkBuilder(self.net.n_neurons, self.net.n_inputs)
        self.search = (
            None if plan is None else SimplexSearch(SimplexEngine(), task, self.builder, plan, keep_beyond=True)
        )
        self.patterns: list[BoolArray] = []
        self.n_flips: list[int] = []
        self.known: list[_Known] = []
        self.truncated = False
        self.finished = False

    def aim(self, x: FloatArray) -> None:
        """Look for points amid regions around x from now on."""
        self.centre = self.shrink(x)
        self.reach = max(1.0, _REACH * float(np.linalg.norm(self.centre)))

    def run(self, x: FloatArray, max_regions: int, max_flips: int | None) -> Iterator[int]:
        """Search, yielding the number of regions found so far."""
        self.aim(x)
        start = self.first(x)
        seen = {start.pattern.tobytes()}
        queue = deque([start])
        while queue:
            step = queue.popleft()
            known = self.look(step)
            self.patterns.append(step.pattern)
            self.n_flips.append(step.n_flips)
            self.known.append(known)
            yield len(self.known)
            if self.truncated:
                continue
            for beyond in self.neighbours(step, known):
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
        n, index = self.full.n_neurons, RowIndex.of(self.full, self.full_domain)
        n_found = len(self.known)
        points = np.zeros((n_found, self.full.n_inputs))
        for i, known in enumerate(self.known):
            points[i, self.inputs] = known.point
        exact = {
            i: lift(known.witness, self.inputs, self.full.n_inputs).fractions
            for i, known in enumerate(self.known)
            if known.witness is not None and not known.witness.is_float
        }
        patterns = np.array(self.patterns[:n_found], dtype=np.bool_).reshape(n_found, n)
        packed = pack(patterns)
        regions = Regions(
            self.full,
            self.full_domain,
            packed,
            pack(self._cuts(patterns)),
            points,
            exact,
            complete=self.finished,
            stats=dict(self.builder.counters),
            packed_facets=index.pack(
                np.array([known.facets for known in self.known], dtype=np.bool_).reshape(n_found, index.n_places)
            ),
        )
        return NearRegions(regions, np.array(self.n_flips[:n_found], dtype=np.int64))

    def first(self, x: FloatArray) -> Step:
        """Return the region of x, or one that touches x: the first one on a segment into the domain."""
        net, domain = self.full, self.full_domain
        start = root_backend("highs", domain, self.tolerances)[1]
        if not isinstance(start, Feasible):
            raise UndecidedError(f"the domain stayed undecided: {start.reason}; raise Tolerances.exact_pivots.", None)
        inside, size = start.witness.point, max(1.0, float(np.abs(x).max(initial=0.0)))
        rng = np.random.default_rng(0)
        for attempt in range(_TRIES):
            # In general position, so that it runs inside no hyperplane.
            ends = inside + size * rng.normal(size=(_HALVINGS, len(x))) * 0.5 ** np.arange(_HALVINGS)[:, None]
            end = ends[np.argmax(domain.contains(ends) & (ends != x).any(axis=1))]
            near = x + (end - x) * 0.5 ** (4 * attempt)
            end = near if domain.contains(near) and (near != x).any() else end
            pieces = regions_on_segment(net, x, end)
            middle = x + (end - x) * float(sum(pieces.exact_breakpoints[:2]) / 2)
            step = Step(pieces.patterns[0], 0, self.shrink(middle), None)
            if self.inside(step) is not None:
                return step
        raise UndecidedError("no region was found at x; move x a little.", None)

    def shrink(self, point: FloatArray) -> FloatArray:
        """Return the inputs that matter of a point that the network does not tell from `point`."""
        if len(self.inputs) == self.full.n_inputs:
            return point
        weights = [layer.weights[0] for layer in self.full.hidden if 0 in layer.weights]
        rows = np.concatenate([self.full_domain.halfspaces[0], *weights])
        return np.asarray(np.linalg.lstsq(rows[:, self.inputs], rows @ point, rcond=None)[0])

    # --- one region

    def look(self, step: Step) -> _Known:
        """Return a region with its facets."""
        found = self.inside(step)
        if found is None:
            # Its neighbour has a facet with it.
            raise UndecidedError("a region beyond a facet was not found.", None)
        point, witness = found
        rows = self._rows(step.pattern)
        if self.search is not None:
            middle = self._middle(rows, point)
            if self.certain(middle[None], step.pattern)[0]:
                point, witness = middle, None
            cell = self.search.cell_facets(step.pattern, point)
            if cell is not None:
                return _Known(point, witness, rows, cell.facets, cell.beyond)
        cuts = self._cuts(step.pattern[None])[0]
        region = ActivationRegion(self.net, self.domain, step.pattern, cuts, witness or Witness.at(point))
        index = RowIndex.of(self.net, self.domain)
        flags = np.zeros(index.n_places, dtype=np.bool_)
        flags[index.places(region.rows[region.facets()])] = True
        return _Known(point, witness, rows, flags, {})

    def _rows(self, pattern: BoolArray) -> FloatArray:
        """Return the rows of a region in float64: positive inside, those of the domain last."""
        maps = bounded_rows(self.net, pattern[None])[0][0, : self.net.n_neurons]
        A, b = self.domain.halfspaces
        return np.concatenate([np.where(pattern, 1.0, -1.0)[:, None] * maps, np.column_stack([-A, b])])

    def _middle(self, rows: FloatArray, point: FloatArray) -> FloatArray:
        """Return a point amid a region and not far from x: Newton's method from a point inside.

        It minimises the sum of -log of the distances from the hyperplanes, and of (distance from x / reach)^2 / 2.
        """
        with np.errstate(all="ignore"):
            norms = np.linalg.norm(rows[:, :-1], axis=1)
            rows = rows[norms > 0] / norms[norms > 0, None]
            a, c = rows[:, :-1], rows[:, -1]
            weight = self.reach**-2
            for _ in range(_NEWTON_STEPS):
                slacks = a @ point + c
                if not (slacks > 0).all():
                    break
                scaled = a / slacks[:, None]
                gradient = weight * (point - self.centre) - scaled.sum(axis=0)
                try:
                    step = np.linalg.solve(scaled.T @ scaled + weight * np.eye(len(point)), -gradient)
                except np.linalg.LinAlgError:
                    # A cell too thin for that.
                    break
                fastest = float(-(scaled @ step).min(initial=0.0))
                moved = point + min(1.0, _ALMOST / max(fastest, _NEGLIGIBLE)) * step
                if not np.isfinite(moved).all():
                    break
                point = moved
                if np.abs(scaled @ step).max(initial=0.0) < _CLOSE:
                    break
        return point

    def inside(self, step: Step) -> tuple[FloatArray, Witness | None] | None:
        """Return a point strictly inside, with its proof as in `_Known`; None if there is none."""
        if step.origin is not None:
            points = step.origin[None]
            if step.direction is not None:
                points = points + np.multiply.outer(0.5 ** np.arange(_HALVINGS), step.direction)
            good = np.flatnonzero(self.certain(points, step.pattern))
            if len(good):
                # Not next to where another hyperplane begins.
                return points[good[min(1, len(good) - 1)]], None
        found = find_linear_region(self.net, step.pattern, self.domain, tolerances=self.tolerances)
        return (found.witness, found.certificate) if isinstance(found, ActivationRegion) else None

    def certain(self, points: FloatArray, pattern: BoolArray) -> BoolArray:
        """Return which points certainly are strictly inside the region of a pattern."""
        A, b = self.domain.halfspaces
        with np.errstate(over="ignore", invalid="ignore"):
            patterns, sure = self.net.certain_pattern(points)
            inside = (points @ A.T < b - self._rounding(A, b, points)).all(axis=1)
        inside &= sure & (patterns == pattern).all(axis=1)
        zero = self.net.pre_activations(points[inside]) == 0
        if zero.any():
            # The bit is certain on the hyperplane, too, if every term is zero there.
            inside[inside] = ~(zero & self._cuts(pattern[None])).any(axis=1)
        return np.asarray(inside)

    @staticmethod
    def _rounding(A: FloatArray, b: FloatArray, points: FloatArray) -> FloatArray:
        unit = (A.shape[1] + 4) * EPSILON
        lost = (A.shape[1] + 4) * SMALLEST_NORMAL  # by products that underflow
        return np.asarray(unit * (np.abs(points) @ np.abs(A).T + np.abs(b)) + lost)

    def _cuts(self, patterns: BoolArray) -> BoolArray:
        """Return which neurons have a row that is not constant, exactly."""
        cuts = np.zeros(patterns.shape, dtype=np.bool_)
        for part in parts(len(patterns), self.net):
            maps, errors = bounded_rows(self.net, patterns[part])
            maps, errors = maps[:, : self.net.n_neurons, :-1], errors[:, : self.net.n_neurons, :-1]
            cuts[part] = (np.abs(maps) > errors).any(axis=2)
            # Rows of zeros that nothing was added to need no second look.
            doubtful = ~cuts[part] & ((maps != 0) | (errors > _NEGLIGIBLE)).any(axis=2)
            for i in np.flatnonzero(doubtful.any(axis=1)).tolist():
                exact = np.concatenate(self.net.integer_maps(patterns[part][i])[:-1])
                cuts[part.start + i] = (exact[:, :-1] != 0).any(axis=1)
        return cuts & ~self.net.affine_neurons

    # --- its neighbours

    def neighbours(self, step: Step, known: _Known) -> Iterator[Step]:
        """Yield a step across each facet that no side of the domain defines."""
        pattern, inside = step.pattern, known.point
        neurons = np.flatnonzero(known.facets[: self.net.n_neurons])
        single = surely_single(self.net, np.broadcast_to(pattern, (len(neurons), len(pattern))), neurons)
        far = np.array([known.beyond.get(j, inside) for j in neurons.tolist()]).reshape(-1, self.net.n_inputs)
        origins, directions = self._across(known.rows, inside, neurons, far)
        for i, neuron in enumerate(neurons.tolist()):
            if single[i]:
                flipped = pattern.copy()
                flipped[neuron] ^= True
            else:
                flipped = pattern_beyond(self.net, pattern, neuron)
            known_at = bool(np.isfinite(origins[i]).all())
            yield Step(flipped, step.n_flips + 1, *((origins[i], directions[i]) if known_at else (None, None)))

    def _across(
        self, rows: FloatArray, inside: FloatArray, neurons: NDArray[np.int64], far: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return points on facets, and steps across, as long as `inside` is far from the facet; not finite if unknown.

        The line to a point beyond the facet only, `far`, meets the facet, perhaps far away. From there we go back on it
        towards the point next to `inside`, almost as far as the facet reaches.
        """
        a, c = rows[:, :-1], rows[:, -1]
        own = np.arange(len(neurons)), neurons
        with np.errstate(all="ignore"):
            here, there = a[neurons] @ inside + c[neurons], (far @ a.T + c)[own]
            crossing = inside + (here / (here - there))[:, None] * (far - inside)
            steps = -(here / (a[neurons] ** 2).sum(axis=1))[:, None] * a[neurons]
            back = inside + steps - crossing
            slacks, rates = np.maximum(crossing @ a.T + c, 0.0), back @ a.T
            rates[own] = 0.0
            room = np.where(rates < 0, slacks / -rates, np.inf).min(axis=1, initial=np.inf)
            return crossing + np.minimum(_SHARE * room, 1.0)[:, None] * back, steps

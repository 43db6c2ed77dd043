"""From region to region across facets: what local searches walk on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import BoolArray
from tropnet.arrays.rounding import EPSILON, SMALLEST_NORMAL
from tropnet.arrays.types import FloatArray
from tropnet.enumeration.algorithm_1 import find_linear_region, root_backend
from tropnet.enumeration.engines.simplex.cell_search import CellSearch
from tropnet.enumeration.engines.simplex.start import find_start, restrict_inputs
from tropnet.errors import UndecidedError
from tropnet.exact.certificates import Witness
from tropnet.feasibility import Feasible
from tropnet.feasibility.tolerances import Tolerances
from tropnet.local_search.segment import regions_on_segment
from tropnet.network.domain import Domain
from tropnet.network.network import Network
from tropnet.regions import ActivationRegion
from tropnet.regions.crossings import bounded_rows, parts, pattern_beyond, surely_single
from tropnet.regions.row_index import RowIndex

__all__ = ["CellAround", "Step", "Walk"]

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


class Step(NamedTuple):
    """A region to look at: from `origin`, on the facet to it, along `direction` if these are known."""

    pattern: BoolArray
    n_flips: int
    origin: FloatArray | None
    direction: FloatArray | None


class CellAround(NamedTuple):
    """A region with its facets, as `CellFacets`, and its rows (a | c), those of the domain last.

    `witness` is None where the point, strictly inside, needs no other proof than bounds on rounding.
    """

    point: FloatArray
    witness: Witness | None
    rows: FloatArray
    facets: BoolArray
    beyond: dict[int, FloatArray]


class Walk:
    """Regions and what lies beyond their facets, in the inputs that the network can tell apart.

    One object serves many searches: each begins with `centre_on`.

    Parameters
    ----------
    full, full_domain
        The network and the domain as given.
    tolerances
        See `Tolerances`.

    Attributes
    ----------
    inputs
        The inputs that are kept; the others are 0.
    net, domain
        The network and the domain in these.
    """

    def __init__(self, full: Network, full_domain: Domain, tolerances: Tolerances) -> None:
        self.full, self.full_domain = full, full_domain
        self.tolerances = tolerances
        # Sides that are rounded are left to exact decisions.
        start = find_start(full, full_domain) if full_domain.is_exact else None
        self.inputs = list(range(full.n_inputs)) if start is None else start.inputs
        self.net, self.domain = full, full_domain
        if len(self.inputs) < full.n_inputs:
            self.net, self.domain = restrict_inputs(full, full_domain, self.inputs)
            start = find_start(self.net, self.domain)
        self.cells = None if start is None else CellSearch(self.net, self.domain, start, tolerances)

    def centre_on(self, x: FloatArray) -> None:
        """Look for points amid regions around x from now on."""
        self.centre = self.reduced(x)
        self.reach = max(1.0, _REACH * float(np.linalg.norm(self.centre)))

    def first_step(self, x: FloatArray) -> Step:
        """Return the region of x, or one that touches x: the first one on a segment into the domain.

        Raises
        ------
        UndecidedError
            The domain stayed undecided, or no region was found at x.
        """
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
            step = Step(pieces.patterns[0], 0, self.reduced(middle), None)
            if self.point_inside(step) is not None:
                return step
        raise UndecidedError("no region was found at x; move x a little.", None)

    def reduced(self, point: FloatArray) -> FloatArray:
        """Return the inputs that matter of a point that the network does not tell from `point`."""
        if len(self.inputs) == self.full.n_inputs:
            return point
        weights = [layer.weights[0] for layer in self.full.hidden if 0 in layer.weights]
        rows = np.concatenate([self.full_domain.halfspaces[0], *weights])
        return np.asarray(np.linalg.lstsq(rows[:, self.inputs], rows @ point, rcond=None)[0])

    # --- one region

    def explore(self, step: Step) -> CellAround:
        """Return a region with its facets.

        Raises
        ------
        UndecidedError
            No point inside the region was found.
        """
        found = self.point_inside(step)
        if found is None:
            # Its neighbour has a facet with it.
            raise UndecidedError("a region beyond a facet was not found.", None)
        point, witness = found
        rows = self._rows(step.pattern)
        if self.cells is not None:
            middle = self._middle(rows, point)
            if self.surely_inside(middle[None], step.pattern)[0]:
                point, witness = middle, None
            cell = self.cells.facets(step.pattern, point)
            if cell is not None:
                return CellAround(point, witness, rows, cell.facets, cell.beyond)
        cuts = self.cuts(step.pattern[None])[0]
        region = ActivationRegion(self.net, self.domain, step.pattern, cuts, witness or Witness.at(point))
        index = RowIndex.of(self.net, self.domain)
        flags = np.zeros(index.n_places, dtype=np.bool_)
        flags[index.places(region.rows[region.facets()])] = True
        return CellAround(point, witness, rows, flags, {})

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

    def point_inside(self, step: Step) -> tuple[FloatArray, Witness | None] | None:
        """Return a point strictly inside, with its proof as in `CellAround`; None if there is none."""
        if step.origin is not None:
            points = step.origin[None]
            if step.direction is not None:
                points = points + np.multiply.outer(0.5 ** np.arange(_HALVINGS), step.direction)
            good = np.flatnonzero(self.surely_inside(points, step.pattern))
            if len(good):
                # Not next to where another hyperplane begins.
                return points[good[min(1, len(good) - 1)]], None
        found = find_linear_region(self.net, step.pattern, self.domain, tolerances=self.tolerances)
        return (found.witness, found.certificate) if isinstance(found, ActivationRegion) else None

    def surely_inside(self, points: FloatArray, pattern: BoolArray) -> BoolArray:
        """Return which points certainly are strictly inside the region of a pattern."""
        A, b = self.domain.halfspaces
        with np.errstate(over="ignore", invalid="ignore"):
            patterns, sure = self.net.certain_pattern(points)
            inside = (points @ A.T < b - self._rounding(A, b, points)).all(axis=1)
        inside &= sure & (patterns == pattern).all(axis=1)
        zero = self.net.pre_activations(points[inside]) == 0
        if zero.any():
            # The bit is certain on the hyperplane, too, if every term is zero there.
            inside[inside] = ~(zero & self.cuts(pattern[None])).any(axis=1)
        return np.asarray(inside)

    @staticmethod
    def _rounding(A: FloatArray, b: FloatArray, points: FloatArray) -> FloatArray:
        unit = (A.shape[1] + 4) * EPSILON
        lost = (A.shape[1] + 4) * SMALLEST_NORMAL  # by products that underflow
        return np.asarray(unit * (np.abs(points) @ np.abs(A).T + np.abs(b)) + lost)

    def cuts(self, patterns: BoolArray) -> BoolArray:
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

    def neighbours(self, step: Step, cell: CellAround) -> Iterator[Step]:
        """Yield a step across each facet that no side of the domain defines."""
        pattern, inside = step.pattern, cell.point
        neurons = np.flatnonzero(cell.facets[: self.net.n_neurons])
        single = surely_single(self.net, np.broadcast_to(pattern, (len(neurons), len(pattern))), neurons)
        far = np.array([cell.beyond.get(j, inside) for j in neurons.tolist()]).reshape(-1, self.net.n_inputs)
        origins, directions = self._across(cell.rows, inside, neurons, far)
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
        """Return points on facets, and steps across, as long as `inside` is far from the facet; not finite if uncell.

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

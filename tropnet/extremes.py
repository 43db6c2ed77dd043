"""What regions are enumerated for: extreme values, Lipschitz constants, equality, distance to a decision boundary."""

from __future__ import annotations

import heapq
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

import highspy
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_matrix, hstack, identity, vstack

from tropnet.certificates import Witness
from tropnet.domain import Box, Domain, as_domain
from tropnet.dyadic import FloatArray, IntegerArray, nearest_float, to_integers, unit_rows
from tropnet.enumeration import enumerate_regions
from tropnet.enumeration.linear_region import root_backend
from tropnet.errors import DomainError, ShapeError, TropnetError
from tropnet.feasibility import Feasible, make_backend
from tropnet.layers import Layer
from tropnet.linear_programs import Optimum, maximise
from tropnet.network import Network, as_network
from tropnet.patterns import BoolArray
from tropnet.points import as_points, finite_array
from tropnet.projection import Projection, nearest_point
from tropnet.regions import ActivationRegion, Regions
from tropnet.tolerances import Tolerances

__all__ = [
    "BoundaryPoint",
    "Comparison",
    "Extremum",
    "LipschitzConstant",
    "distance_to_boundary",
    "lipschitz_constant",
    "maximum",
    "minimum",
    "same_function",
]

_METHODS = ("auto", "enumerate", "branch")
# Up to here enumeration takes about a second, less than branch and bound.
_FEW_REGIONS, _FEW_INPUTS = 2_000, 10
_NORMS = (1, 2, math.inf)
_DUAL = {1: math.inf, 2: 2, math.inf: 1}
_EPS = float(np.finfo(np.float64).eps)
_TINY = float(np.finfo(np.float64).tiny)
_EXACTLY = Tolerances(exact_pivots=sys.maxsize)


# --- extreme values


@dataclass(frozen=True, eq=False)
class Extremum:
    """A maximum or minimum, and where it is.

    Attributes
    ----------
    value
        float64, nearest to the exact value; infinite if there is no bound.
    exact
        The exact value; None if infinite.
    certificate
        The exact point of the closed domain at which the value is attained; if infinite, one from which it is left
        along `ray`.
    pattern
        bool, shape (n_neurons,): an activation region whose closure holds the point (and the ray).
    ray
        Unit vector, float64 of shape (d,), along which the value becomes infinite; None if it is finite.
    gap
        The true extremum is at most so much beyond `value`; 0.0 if `value` is proven to be it.
    n_solved
        How many regions (or, in branch and bound, nodes) were solved.
    """

    value: float
    exact: Fraction | None
    certificate: Witness
    pattern: BoolArray
    ray: FloatArray | None = None
    gap: float = 0.0
    n_solved: int = 0

    @property
    def point(self) -> FloatArray:
        """The float64 point nearest to the exact one, shape (d,)."""
        return self.certificate.point


def maximum(
    net: Network,
    domain: Domain | None = None,
    form: int | ArrayLike | None = None,
    *,
    method: str = "auto",
    tolerance: float = 0.0,
) -> Extremum:
    """Find the exact maximum over the closed domain of an output, or of a linear form c . y of the outputs.

    Parameters
    ----------
    net
        The network y(x).
    domain
        None (all of R^d), `Box` or `Polytope`; where it is unbounded the supremum may be infinite.
    form
        The index of an output, or c, float64 of shape (n_outputs,); may be left out if there is one output.
    method
        ``"enumerate"``: all regions, one exact linear program each. ``"branch"``: branch and bound on the signs of
        neurons, for bounded domains; most regions are never visited. ``"auto"``: enumerate small networks (up to ten
        inputs and 2000 regions) and unbounded domains, else branch.
    tolerance
        Let branch and bound leave a subtree whose bound exceeds the best value found by at most this; `Extremum.gap`
        says how much was left. Worth setting where many regions share the maximum: 0.0 solves each of them.

    Returns
    -------
    Extremum
        Value, point (a vertex of a region, or a point of a face on which the form is constant) and pattern.

    Raises
    ------
    ShapeError, NonFiniteError
        `form` does not fit the outputs.
    ValueError
        `method` or `tolerance` is none of the above, or ``"branch"`` on an unbounded domain.
    DomainError
        The domain is empty, flat or of the wrong dimension.

    Notes
    -----
    On a region the form is affine: a primal simplex over the integers, started at the region's witness, finds the exact
    maximum over its closure. A node of branch and bound costs one linear program in HiGHS over the triangle relaxation
    of its open neurons; its bound is made rigorous by weighing the rows with the dual values, whatever their error,
    and bounding what is left over a box. Only regions, solved exactly, give the value. The exact programs are meant for
    up to some tens of inputs.

    References
    ----------
    Ehlers, Formal verification of piece-wise linear feed-forward neural networks, 2017,
    doi:10.1007/978-3-319-68167-2_19. Neumaier and Shcherbina, Safe bounds in linear and mixed-integer linear
    programming, 2004, doi:10.1007/s10107-003-0433-3.

    Examples
    --------
    >>> net = Network.mlp([[[1.0], [-1.0]], [[-1.0, -1.0]]], [[-1.0, 1.0], [3.0]])
    >>> top = maximum(net, Box(-4, 4))
    >>> top.exact, top.point
    (Fraction(3, 1), array([1.]))
    >>> minimum(net).value, maximum(net).value
    (-inf, 3.0)
    """
    if method not in _METHODS:
        raise ValueError(f"method must be one of {', '.join(_METHODS)}, got {method!r}.")
    if not 0 <= tolerance < math.inf:
        raise ValueError(f"tolerance must be a number of at least 0, got {tolerance!r}.")
    net = as_network(net)
    c = _form(net, form)
    fitted = as_domain(domain, net.n_inputs)
    bounds = None if method == "enumerate" else _bounding_box(fitted)
    if method == "branch" and bounds is None:
        raise ValueError(f"method 'branch' needs a bounded domain, got {fitted}; use 'enumerate'.")
    if method == "auto" and bounds is not None and net.n_inputs <= _FEW_INPUTS:
        regions = enumerate_regions(net, fitted, max_regions=_FEW_REGIONS)
        if regions.complete:
            return _over_regions(regions, [c])[1]
    if bounds is not None:
        return _branch_and_bound(net, fitted, c, bounds, tolerance)
    return _over_regions(enumerate_regions(net, fitted), [c])[1]


def minimum(
    net: Network,
    domain: Domain | None = None,
    form: int | ArrayLike | None = None,
    *,
    method: str = "auto",
    tolerance: float = 0.0,
) -> Extremum:
    """Find the exact minimum over the closed domain; parameters, errors and cost as for `maximum`.

    Examples
    --------
    >>> net = Network.mlp([[[1.0], [-1.0]], [[1.0, 1.0]]], [[-1.0, 1.0], [3.0]])
    >>> minimum(net).exact
    Fraction(3, 1)
    """
    top = maximum(net, domain, -_form(as_network(net), form), method=method, tolerance=tolerance)
    return replace(top, value=0.0 - top.value, exact=None if top.exact is None else -top.exact)


def _form(net: Network, form: int | ArrayLike | None) -> FloatArray:
    """Return the coefficients of a form of the outputs."""
    m = net.n_outputs
    if form is None and m > 1:
        raise ShapeError(f"the network has {m} outputs; pass form, the index of one or coefficients of shape ({m},).")
    if form is None or isinstance(form, int | np.integer):
        index = 0 if form is None else int(form)
        if not 0 <= index < m:
            raise ShapeError(f"form must be the index of an output, 0 to {m - 1}, got {index}.")
        return np.array(np.eye(m)[index])
    c = finite_array(form, "form")
    if c.shape != (m,):
        raise ShapeError(f"form must be an index or have shape ({m},), one coefficient per output, got {c.shape}.")
    return c


def _over_regions(regions: Regions, forms: Sequence[FloatArray]) -> tuple[int, Extremum]:
    """Return the largest of the forms' maxima, and which form that is: one exact program per form and region."""
    best: tuple[int, Extremum] | None = None
    net = regions.network
    objectives = [_objective(net, c) for c in forms]
    for region in regions:
        rows, outputs = region.integer_rows, net.integer_maps(region.pattern)[-1]
        for i, (objective, scale) in enumerate(objectives):
            optimum = maximise(rows, region.certificate, objective @ outputs)
            if best is None or best[1].exact is None or optimum.ray or optimum.value > best[1].exact * scale:
                best = i, replace(_extremum(optimum, scale, region.pattern), n_solved=len(regions))
            if optimum.ray:
                return best
    if best is None:
        raise TropnetError("the enumeration found no region to maximise over.")
    return best


def _objective(net: Network, c: FloatArray) -> tuple[IntegerArray, int]:
    """Return integer coefficients for the rows of `net.integer_maps` and by how much they multiply the form."""
    integers, exponent = to_integers(c)
    return integers, 1 << (exponent + net.integers.exponents[-1])


def _extremum(optimum: Optimum, scale: int, pattern: BoolArray) -> Extremum:
    if optimum.ray:
        direction = unit_rows(np.array([[*optimum.ray, 0]], dtype=object), len(optimum.ray))[0, :-1]
        return Extremum(math.inf, None, optimum.point, pattern, direction)
    exact = optimum.value / scale
    return Extremum(nearest_float(exact.numerator, exact.denominator), exact, optimum.point, pattern)


def _bounding_box(domain: Domain) -> tuple[FloatArray, FloatArray] | None:
    """Return float64 bounds on every coordinate, rounded outwards; None if the domain is unbounded."""
    if isinstance(domain, Box):
        bounded = np.isfinite(domain.low).all() and np.isfinite(domain.high).all()
        return (domain.low, domain.high) if bounded else None
    rows = domain.integer_rows
    if len(rows) <= domain.dimension:
        return None
    _, start = root_backend("highs", domain, _EXACTLY)
    if not isinstance(start, Feasible):
        return None
    sides = []
    for row in np.eye(domain.dimension, domain.dimension + 1, dtype=np.int64).astype(object):
        low, high = (maximise(rows, start.witness, sign * row) for sign in (-1, 1))
        if low.ray or high.ray:
            return None
        sides.append((np.nextafter(-float(low.value), -math.inf), np.nextafter(float(high.value), math.inf)))
    lows, highs = np.array(sides).T
    return lows, highs


# --- branch and bound


def _branch_and_bound(
    net: Network, domain: Domain, c: FloatArray, bounds: tuple[FloatArray, FloatArray], tolerance: float
) -> Extremum:
    """Maximise best first. A node fixes the signs of some neurons (1, 0; -1 is open); a leaf has none left open."""
    relaxation = _Relaxation(net, domain, c, bounds)
    best: Extremum | None = None
    left, n_nodes = -math.inf, 0
    nodes: list[tuple[float, int, NDArray[np.int8]]] = [(-math.inf, 0, np.full(net.n_neurons, -1, dtype=np.int8))]
    while nodes:
        n_nodes += 1
        key, _, fixed = heapq.heappop(nodes)
        node = None if best is not None and _done(-key, best, tolerance) else relaxation.solve(fixed)
        bound = -key if node is None else min(-key, node.bound)
        if best is not None and _done(bound, best, tolerance):
            left = max(left, bound)
            continue
        if node is None:
            continue
        cell = fixed if node.branch is None else None
        if cell is None and node.point is not None and (best is None or c @ net(node.point) > best.value):
            # Where the relaxation has its maximum there may be a better region than the best so far.
            cell = np.where(net.affine_neurons, -1, net.activation_pattern(node.point)).astype(np.int8)
        found = None if cell is None else _solve_cell(net, domain, c, cell, np.where(cell < 0, node.bits, cell == 1))
        if found is not None and (best is None or _above(found, best)):
            best = found
        if node.branch is not None:
            for bit in (0, 1):
                child = fixed.copy()
                child[node.branch] = bit
                heapq.heappush(nodes, (-bound, -2 * n_nodes - bit, child))
    if best is None:
        raise DomainError(f"the domain is empty or flat (it has no interior): {domain}.")
    gap = Fraction(left) - best.exact if math.isfinite(left) and best.exact is not None else Fraction(0)
    return replace(best, gap=nearest_float(max(gap.numerator, 0), gap.denominator), n_solved=n_nodes)


def _done(bound: float, best: Extremum, tolerance: float) -> bool:
    return best.exact is not None and bound < math.inf and Fraction(bound) <= best.exact + Fraction(tolerance)


def _above(one: Extremum, other: Extremum) -> bool:
    return one.exact is not None and other.exact is not None and one.exact > other.exact


def _solve_cell(
    net: Network, domain: Domain, c: FloatArray, fixed: NDArray[np.int8], bits: BoolArray
) -> Extremum | None:
    """Return the exact maximum over the closed cell of the fixed neurons; None if that has no interior.

    `bits` must hold for all other neurons on that cell.
    """
    objective, scale = _objective(net, c)
    maps = net.integer_maps(bits)
    neurons = np.concatenate([np.empty((0, net.n_inputs + 1), dtype=object), *maps[:-1]])
    backend = make_backend("highs", net.n_inputs, _EXACTLY)
    rows = [*domain.integer_rows]
    for j in np.flatnonzero(fixed >= 0):
        row = neurons[j] if fixed[j] else -neurons[j]
        if row[:-1].any():
            rows.append(row)
        elif row[-1] < 0:
            return None
    for row in rows:
        backend.push(row)
    answer = backend.decide()
    if not isinstance(answer, Feasible):
        return None
    optimum = maximise(np.array(rows, dtype=object), answer.witness, objective @ maps[-1])
    # A neuron that vanishes on the whole leaf is False, whatever its bounds said.
    inside = np.array([answer.witness.sign(row.tolist()) > 0 for row in neurons], dtype=np.bool_)
    return _extremum(optimum, scale, inside & ~net.affine_neurons)


class _Node(NamedTuple):
    """A rigorous upper bound, bits of settled neurons, an open neuron to branch on (None at a leaf), and a point."""

    bound: float
    bits: BoolArray
    branch: int | None
    point: FloatArray | None = None


class _Relaxed(NamedTuple):
    """A node's program, the bits of settled neurons, and which neurons are open."""

    program: _Program
    bits: BoolArray
    open: BoolArray


class _Relaxation:
    """Rigorous bounds on c . y over a box and domain rows, given the signs of some neurons.

    The program has the variables (x, z, nu): z of all layers, outputs last, nu of the hidden ones. Rows: the layers
    ``z - W nu = b``, the domain, and of each neuron ``nu - s z`` for both its slopes and the chord over its bounds.
    """

    def __init__(self, net: Network, domain: Domain, c: FloatArray, bounds: tuple[FloatArray, FloatArray]) -> None:
        self.net, self.bounds = net, bounds
        d, n, m = net.n_inputs, net.n_neurons, net.n_outputs
        self.slopes = np.concatenate([np.empty((0, 2)), *(np.asarray(layer.slopes) for layer in net.hidden)])
        starts = np.cumsum([0, *net.widths])
        columns = [slice(0, d)] + [slice(d + n + m + a, d + n + m + b) for a, b in pairwise(starts)]
        blocks = np.zeros((n + m, d + n + m + n))
        for layer, start in zip(net.layers, starts, strict=True):
            for source, weight in layer.weights.items():
                blocks[start : start + layer.width, columns[source]] = -weight
        blocks[:, d : d + n + m] += np.eye(n + m)
        bias = np.concatenate([layer.bias for layer in net.layers])
        A, b = (np.empty((0, d)), np.empty(0)) if isinstance(domain, Box) else domain.halfspaces
        rows = np.concatenate([blocks, np.hstack([A, np.zeros((len(b), n + m + n))])])
        self.fixed_rows = vstack([csr_matrix(rows), *(self._activation_rows(s) for s in self.slopes.T)])
        self.row_low = np.concatenate([bias, np.full(len(b), -np.inf)])
        self.row_high = np.concatenate([bias, b])
        self.cost = np.concatenate([np.zeros(d + n), c, np.zeros(n)])
        self.z_low, self.z_high = np.full(n, -np.inf), np.full(n, np.inf)
        self.highs = highspy.Highs()
        for name, value in {"output_flag": False, "presolve": "off", "solver": "simplex", "threads": 1}.items():
            self.highs.setOptionValue(name, value)
        self.tighten()

    def _activation_rows(self, slopes: FloatArray) -> Any:
        """Return the rows nu - s z, one per neuron."""
        n, d, m = self.net.n_neurons, self.net.n_inputs, self.net.n_outputs
        minus = csr_matrix((-slopes, (np.arange(n), d + np.arange(n))), shape=(n, d + n + m))
        return hstack([minus, identity(n)], format="csr")

    def tighten(self) -> None:
        """Bound the pre-activations that intervals leave open by two programs each, layer by layer."""
        nothing = np.full(self.net.n_neurons, -1, dtype=np.int8)
        d, start = self.net.n_inputs, 0
        for layer in self.net.hidden:
            node = self._node(nothing)
            if node is None:
                return
            for j in (start + np.flatnonzero(node.open[start : start + layer.width])).tolist():
                for sign, sides in ((1.0, self.z_high), (-1.0, self.z_low)):
                    cost = np.zeros_like(self.cost)
                    cost[d + j] = sign
                    sides[j] = sign * min(sign * sides[j], replace(node.program, cost=cost).solve(self.highs)[1])
            start += layer.width

    def solve(self, fixed: NDArray[np.int8]) -> _Node | None:
        """Bound a node; None if it is proven to hold no point."""
        node = self._node(fixed)
        if node is None:
            return None
        values, bound = node.program.solve(self.highs)
        if bound == -math.inf:
            return None
        if not node.open.any():
            return _Node(bound, node.bits, None)
        d, n = self.net.n_inputs, self.net.n_neurons
        score = np.where(node.open, np.minimum(-node.program.low[d : d + n], node.program.high[d : d + n]), -1.0)
        if values is not None:
            z, nu = values[d : d + n], values[len(values) - n :]
            violation = np.where(
                node.open, np.abs(nu - np.where(z > 0, self.slopes[:, 1], self.slopes[:, 0]) * z), -1.0
            )
            score = violation if violation.max() > 1e-9 else score
        point = None if values is None else np.clip(values[:d], *self.bounds)
        return _Node(bound, node.bits, int(np.argmax(score)), point)

    def _node(self, fixed: NDArray[np.int8]) -> _Relaxed | None:
        """Return a node's program; None if its intervals contradict each other."""
        intervals = self._intervals(fixed)
        if intervals is None:
            return None
        z_low, z_high, low, high = intervals
        n = self.net.n_neurons
        lower, upper = z_low[:n], z_high[:n]
        active = (fixed == 1) | (lower >= 0)
        open_ = ~active & (fixed != 0) & (upper > 0) & ~self.net.affine_neurons
        bits = np.asarray(active & ~self.net.affine_neurons, dtype=np.bool_)
        s_neg, s_pos = self.slopes.T
        sides = []
        # Where an activation is convex it lies above both its lines and below the chord, else the other way round.
        convex = s_pos > s_neg
        for taken in (~bits, bits):
            sides.append(
                (
                    np.where(np.where(open_, convex, taken), 0.0, -np.inf),
                    np.where(np.where(open_, ~convex, taken), 0.0, np.inf),
                )
            )
        ends = np.where(open_, np.stack([lower, upper]), 0.0)
        values = self.slopes.T * ends
        with np.errstate(over="ignore", invalid="ignore"):
            chord = (values[1] - values[0]) / np.where(open_, ends[1] - ends[0], 1.0)
            over = values - chord * ends
            margin = 4 * _EPS * (np.abs(self.slopes).max(axis=1, initial=0) + np.abs(chord)) * np.abs(ends).max(axis=0)
        sides.append(
            (
                np.where(open_ & ~convex, over.min(axis=0) - margin - _TINY, -np.inf),
                np.where(open_ & convex, over.max(axis=0) + margin + _TINY, np.inf),
            )
        )
        program = _Program(
            self.cost,
            vstack([self.fixed_rows, self._activation_rows(chord)], format="csr"),
            np.concatenate([self.row_low, *(side[0] for side in sides)]),
            np.concatenate([self.row_high, *(side[1] for side in sides)]),
            np.concatenate([self.bounds[0], z_low, low]),
            np.concatenate([self.bounds[1], z_high, high]),
        )
        return _Relaxed(program, bits, np.asarray(open_, dtype=np.bool_))

    def _intervals(self, fixed: NDArray[np.int8]) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray] | None:
        """Return bounds on z of all layers and on nu of the hidden ones, rounded outwards; None if contradictory."""
        outputs = [self.bounds]
        z: list[tuple[FloatArray, FloatArray]] = []
        start = 0
        for layer in self.net.layers:
            low = high = layer.bias
            size, n_terms = np.abs(layer.bias), 2
            for source, weight in layer.weights.items():
                below, above = outputs[source]
                plus, minus = np.maximum(weight, 0), np.minimum(weight, 0)
                low, high = low + plus @ below + minus @ above, high + plus @ above + minus @ below
                size = size + np.abs(weight) @ np.maximum(np.abs(below), np.abs(above))
                n_terms += 2 * weight.shape[1] + 2
            error = n_terms * _EPS * size * 2 + _TINY
            low, high = low - error, high + error
            if layer is not self.net.layers[-1]:
                here = slice(start, start + layer.width)
                bits, low, high = fixed[here], np.maximum(low, self.z_low[here]), np.minimum(high, self.z_high[here])
                low, high = np.where(bits == 1, np.maximum(low, 0), low), np.where(bits == 0, np.minimum(high, 0), high)
                start += layer.width
                if (low > high).any():
                    return None
                s_neg, s_pos = np.asarray(layer.slopes).T
                ends = np.stack([np.where(end > 0, s_pos, s_neg) * end for end in (low, high)])
                ends = np.concatenate([ends, np.where((low < 0) & (high > 0), 0.0, ends[:1])])
                outputs.append((np.nextafter(ends.min(axis=0), -np.inf), np.nextafter(ends.max(axis=0), np.inf)))
            z.append((low, high))
        none = np.empty(0)
        return (
            np.concatenate([low for low, _ in z]),
            np.concatenate([high for _, high in z]),
            np.concatenate([none, *(low for low, _ in outputs[1:])]),
            np.concatenate([none, *(high for _, high in outputs[1:])]),
        )


@dataclass(frozen=True)
class _Program:
    """Maximise cost . v over row_low <= rows v <= row_high and low <= v <= high."""

    cost: FloatArray
    rows: Any
    row_low: FloatArray
    row_high: FloatArray
    low: FloatArray
    high: FloatArray

    def solve(self, highs: Any) -> tuple[FloatArray | None, float]:
        """Return HiGHS's solution, if any, and a rigorous bound: -inf if proven infeasible, inf if nothing is known."""
        program = highspy.HighsLp()
        program.num_row_, program.num_col_ = self.rows.shape
        program.col_cost_, program.col_lower_, program.col_upper_ = -self.cost, self.low, self.high
        program.row_lower_, program.row_upper_ = self.row_low, self.row_high
        program.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        program.a_matrix_.start_, program.a_matrix_.index_ = self.rows.indptr, self.rows.indices
        program.a_matrix_.value_ = self.rows.data
        highs.passModel(program)
        highs.run()
        trivial = self.bound(self.cost, np.zeros(len(self.row_low)))
        match highs.getModelStatus():
            case highspy.HighsModelStatus.kOptimal:
                solution = highs.getSolution()
                duals = -np.array(solution.row_dual)
                return np.array(solution.col_value), min(trivial, self.bound(self.cost, duals))
            case highspy.HighsModelStatus.kInfeasible:
                _, exists, ray = highs.getDualRay()
                if exists:
                    weights = np.array(ray)
                    nothing = np.zeros_like(self.cost)
                    # A combination of the rows that no v satisfies proves that there is none.
                    if min(self.bound(nothing, weights), self.bound(nothing, -weights)) < 0:
                        return None, -math.inf
        return None, trivial

    def bound(self, cost: FloatArray, duals: FloatArray) -> float:
        """Return a number that cost . v exceeds nowhere, for any `duals` y.

        cost . v = y . (rows v) + (cost - y rows) . v, where each term is bounded by its sides; what float64 may lose
        is added.
        """
        usable = np.where(duals > 0, np.isfinite(self.row_high), np.isfinite(self.row_low)) & np.isfinite(duals)
        y = np.where(usable, duals, 0.0)
        side = np.where(y > 0, self.row_high, self.row_low)
        with np.errstate(over="ignore", invalid="ignore"):
            first = np.where(y == 0, 0.0, y) * np.where(y == 0, 0.0, side)
            rest = cost - self.rows.T @ y
            error = (len(y) + 4) * _EPS * (np.abs(cost) + abs(self.rows).T @ np.abs(y))
            second = np.maximum(rest * self.low, rest * self.high)
            size = np.maximum(np.abs(self.low), np.abs(self.high))
            lost = error @ size + (len(y) + len(cost) + 4) * _EPS * (np.abs(first).sum() + np.abs(rest) @ size)
            total = float(first.sum() + second.sum() + 2 * lost + _TINY)
        return total if total == total else math.inf


# --- Lipschitz constants


class LipschitzConstant(NamedTuple):
    """A Lipschitz constant, and the region (its index and pattern) whose affine map attains it."""

    value: float
    region: int
    pattern: BoolArray


def lipschitz_constant(net: Network, domain: Domain | None = None, norm: float = 2) -> LipschitzConstant:
    """Compute the best Lipschitz constant of a network on a domain.

    The smallest K with ``|y(x) - y(x')| <= K |x - x'|`` for all x, x' of the domain: since the network is continuous
    and the domain convex, the largest operator norm of the affine maps of its activation regions.

    Parameters
    ----------
    net
        The network.
    domain
        None (all of R^d), `Box` or `Polytope`.
    norm
        1, 2 or infinity, on inputs and outputs alike: the operator norm is the largest column sum of absolute values,
        the largest singular value, or the largest row sum.

    Raises
    ------
    ValueError
        Another norm.
    DomainError
        The domain is empty, flat or of the wrong dimension.

    Notes
    -----
    All regions are enumerated, exactly; the norms are float64, of weights rounded in O(depth) products.

    References
    ----------
    Jordan and Dimakis, Exactly computing the local Lipschitz constant of ReLU networks, 2020, arXiv:2003.01219.

    Examples
    --------
    >>> net = Network.mlp([[[1.0, 0.0], [1.0, 1.0]], [[3.0, 4.0]]], [[0.0, 0.0], [0.0]])
    >>> lipschitz_constant(net, norm=1).value, lipschitz_constant(net, norm=np.inf).value
    (7.0, 11.0)
    """
    _check_norm(norm)
    net = as_network(net)
    patterns = enumerate_regions(net, domain).patterns
    size = max(1, (1 << 22) // (net.n_inputs * net.n_outputs))
    parts = [net.affine_maps(patterns[i : i + size])[0] for i in range(0, len(patterns), size)]
    values = np.concatenate([np.linalg.norm(part, norm, axis=(1, 2)) for part in parts])
    best = int(np.argmax(values))
    return LipschitzConstant(float(values[best]), best, patterns[best])


def _check_norm(norm: float) -> None:
    if norm not in _NORMS:
        raise ValueError(f"norm must be 1, 2 or inf, got {norm!r}.")


# --- equality


@dataclass(frozen=True, eq=False)
class Comparison:
    """Whether two networks are the same function on a domain; truthy iff they are.

    Attributes
    ----------
    difference
        The largest absolute difference of an output: 0.0 iff the networks are equal, may be infinite.
    output
        The output that differs most; None if the networks are equal.
    extremum
        Where, with exact value and point (see `Extremum`); None if the networks are equal. The pattern is that of the
        first network followed by that of the second.
    """

    difference: float
    output: int | None = None
    extremum: Extremum | None = None

    @property
    def equal(self) -> bool:
        """Whether the networks are equal on the whole domain, exactly."""
        return self.extremum is None

    def __bool__(self) -> bool:
        return self.equal


def same_function(net_a: Network, net_b: Network, domain: Domain | None = None) -> Comparison:
    """Decide whether two networks are the same function on a domain, or find where they differ most.

    Both are put into one network, whose outputs are those of the first and then those of the second. They are equal
    iff on each of its regions the two affine maps are, which is decided over the integers.

    Parameters
    ----------
    net_a, net_b
        Networks with as many inputs and outputs as each other; their depths and widths may differ.
    domain
        None (all of R^d), `Box` or `Polytope`.

    Returns
    -------
    Comparison
        Exact for the stored float64 networks: networks that differ by rounding differ.

    Raises
    ------
    ShapeError
        The networks have different numbers of inputs or outputs.
    DomainError
        The domain is empty, flat or of the wrong dimension.

    Notes
    -----
    All regions of the joint network are enumerated; where they differ each costs two exact programs per output.

    Examples
    --------
    max(0, x) + max(0, -x) is |x|:

    >>> two = Network.mlp([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    >>> one = Network.mlp([[[1.0]], [[1.0]]], [[0.0], [0.0]], slopes=(-1, 1))
    >>> bool(same_function(two, one))
    True
    >>> relu = Network.mlp([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> same_function(one, relu).difference, same_function(one, relu, Box(-3, 5)).extremum.point
    (inf, array([-3.]))
    """
    joint = _joint(as_network(net_a), as_network(net_b))
    n_outputs = joint.n_outputs // 2
    regions = enumerate_regions(joint, domain)
    maps = (joint.integer_maps(pattern)[-1] for pattern in regions.patterns)
    different = np.zeros(n_outputs, dtype=np.bool_)
    for rows in maps:
        different |= np.asarray(rows[:n_outputs] != rows[n_outputs:], dtype=np.bool_).any(axis=1)
    outputs = np.flatnonzero(different).tolist()
    if not outputs:
        return Comparison(0.0)
    eye = np.eye(n_outputs)
    forms = [sign * np.concatenate([eye[i], -eye[i]]) for i in outputs for sign in (1.0, -1.0)]
    which, extremum = _over_regions(regions, forms)
    return Comparison(extremum.value, outputs[which // 2], extremum)


def _joint(a: Network, b: Network) -> Network:
    """Return the network with the outputs of both: the hidden layers of `a`, those of `b`, and both output layers."""
    if (a.n_inputs, a.n_outputs) != (b.n_inputs, b.n_outputs):
        raise ShapeError(
            "the networks must have the same numbers of inputs and outputs, got"
            f" {a.n_inputs} and {a.n_outputs}, {b.n_inputs} and {b.n_outputs}."
        )
    shift = len(a.hidden)

    def moved(layer: Layer) -> dict[int, FloatArray]:
        return {k + shift if k else 0: weight for k, weight in layer.weights.items()}

    hidden = [*a.hidden, *(replace(layer, weights=moved(layer)) for layer in b.hidden)]
    upper, lower = a.layers[-1].weights, moved(b.layers[-1])
    weights = {}
    for source in sorted({*upper, *lower}):
        width = hidden[source - 1].width if source else a.n_inputs
        nothing = np.zeros((a.n_outputs, width))
        weights[source] = np.concatenate([upper.get(source, nothing), lower.get(source, nothing)])
    last = Layer(weights, np.concatenate([a.layers[-1].bias, b.layers[-1].bias]))
    return Network([*hidden, last], a.n_inputs)


# --- distance to a decision boundary


@dataclass(frozen=True, eq=False)
class BoundaryPoint:
    """A nearest point at which a decision changes.

    Attributes
    ----------
    distance
        In the norm asked for; infinite if the decision changes nowhere in the domain.
    point
        float64, shape (d,); NaN if there is none.
    target
        The class that is reached there; for one output, 1 if it becomes positive and 0 if not; -1 if there is none.
    pattern
        The pattern of a region whose closure holds the point; empty if there is none.
    """

    distance: float
    point: FloatArray
    target: int
    pattern: BoolArray


def distance_to_boundary(
    net: Network, x: ArrayLike, domain: Domain | None = None, norm: float = 2, *, target: int | None = None
) -> BoundaryPoint:
    """Find a nearest point of the domain at which the decision of a network changes, and its distance.

    With several outputs the decision at x is the class i of the largest output (the first of equals), and the nearest
    point with ``y_k >= y_i`` for another class k is sought; with one output the sign, and the nearest point with
    ``y <= 0`` (from y(x) > 0) or ``y >= 0``.

    Parameters
    ----------
    net
        The network.
    x
        float64, shape (d,), a point of the domain.
    domain
        None (all of R^d), `Box` or `Polytope`. A box around x keeps the number of regions down, and the answer is the
        global one as long as the distance found is smaller than that to the sides of the box.
    norm
        1, 2 or infinity.
    target
        Consider only this class k.

    Raises
    ------
    ShapeError, NonFiniteError
        `x` does not fit the network, or `target` is no other class.
    ValueError
        Another norm.
    DomainError
        The domain is empty, flat, of the wrong dimension, or does not hold x.

    Notes
    -----
    All regions of the domain are enumerated, then visited in the order of a lower bound on their distance (the most
    violated row), each with an exact projection (norm 2, see `Polyhedron.project`) or a linear program in float64,
    until the bound exceeds the best distance. In l2 distance and point are exact but for a rounding, else to 1e-9.

    References
    ----------
    Jordan, Lewis and Dimakis, Provable certificates for adversarial examples, 2019, arXiv:1903.08778.

    Examples
    --------
    >>> net = Network.mlp([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [-2.0]])
    >>> near = distance_to_boundary(net, [0.0, 0.0], norm=1)
    >>> near.distance, near.target
    (2.0, 1)
    """
    _check_norm(norm)
    net = as_network(net)
    fitted = as_domain(domain, net.n_inputs)
    points, single = as_points(x, net.n_inputs)
    if not single:
        raise ShapeError(f"x must be one point of shape ({net.n_inputs},), got shape {points.shape}.")
    start = points[0]
    if not fitted.contains(start):
        raise DomainError(f"x must lie in the domain {fitted}, got {start.tolist()}.")
    forms = _decision_forms(net(start), target)
    regions = enumerate_regions(net, fitted)
    A, b, _, offsets = regions.halfspaces()
    weights, biases = regions.affine_maps()
    gradients = np.stack([np.tensordot(weights, form, axes=(1, 0)) for _, form in forms])
    sides = np.stack([-(biases @ form) for _, form in forms])
    dual = _DUAL[norm]
    rows = _distances(A, b, start, dual)
    region = np.array([rows[i:j].max(initial=0.0) for i, j in pairwise(offsets)])
    lower = np.maximum(region, _distances(gradients, sides, start, dual))
    best = BoundaryPoint(math.inf, np.full(net.n_inputs, np.nan), -1, np.empty(0, dtype=np.bool_))
    for place in np.argsort(lower, axis=None, kind="stable"):
        k, i = divmod(int(place), len(regions))
        if not lower[k, i] < best.distance:
            break
        if norm == 2:
            near = _nearest_in_l2(regions[i], forms[k][1], start)
        else:
            own = slice(offsets[i], offsets[i + 1])
            near = _nearest(np.vstack([A[own], gradients[k, i]]), np.append(b[own], sides[k, i]), start, norm)
        if near is not None and near.distance < best.distance:
            best = BoundaryPoint(near.distance, near.point, forms[k][0], regions.patterns[i])
    return best


def _decision_forms(y: FloatArray, target: int | None) -> list[tuple[int, FloatArray]]:
    """Return, for every decision that may be reached, the form of the outputs that is <= 0 where it is."""
    if len(y) == 1:
        if target is not None:
            raise ShapeError("target must be None for a network with one output, whose decision is its sign.")
        return [(0, np.ones(1)) if y[0] > 0 else (1, -np.ones(1))]
    own = int(np.argmax(y))
    others = [k for k in range(len(y)) if k != own and target in (None, k)]
    if not others:
        raise ShapeError(f"target must be a class from 0 to {len(y) - 1} other than that of x, {own}; got {target}.")
    eye = np.eye(len(y))
    return [(k, eye[own] - eye[k]) for k in others]


def _distances(A: FloatArray, b: FloatArray, x: FloatArray, dual: float) -> FloatArray:
    """Return the distances of x to the half-spaces a . x <= b, rounded down; inf where a half-space is empty."""
    norms, excess = np.linalg.norm(A, dual, axis=-1), A @ x - b
    excess = excess - 1e-12 * (np.abs(A) @ np.abs(x) + np.abs(b))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(excess > 0, excess / norms, 0.0)


def _nearest_in_l2(region: ActivationRegion, form: FloatArray, x: FloatArray) -> Projection | None:
    """Return the nearest point of the closed region at which `form` of the outputs is <= 0, exactly, or None."""
    coefficients = np.array([int(value) for value in form], dtype=object)
    rows, decision = region.integer_rows, -(coefficients @ region.network.integer_maps(region.pattern)[-1])
    if decision[:-1].any():
        rows = np.concatenate([rows, decision[None]])
    elif decision[-1] < 0:
        return None
    return nearest_point(rows, x)


def _nearest(A: FloatArray, b: FloatArray, x: FloatArray, norm: float) -> Projection | None:
    """Return a point of {p : A p <= b} nearest to x in l1 or l-infinity, or None if there is none."""
    d = len(x)
    sizes = np.linalg.norm(A, axis=1)
    if (b[sizes == 0] < 0).any():
        return None
    A, b = A[sizes > 0] / sizes[sizes > 0, None], b[sizes > 0] / sizes[sizes > 0]
    slack = b - A @ x
    if (slack >= 0).all():
        return Projection(x.copy(), 0.0)
    n_extra = d if norm == 1 else 1
    extra = np.eye(d) if norm == 1 else np.ones((d, 1))
    eye = np.eye(d)
    rows = np.block([[A, np.zeros((len(A), n_extra))], [eye, -extra], [-eye, -extra]])
    cost = np.append(np.zeros(d), np.ones(n_extra))
    bounds = [(None, None)] * d + [(0, None)] * n_extra
    result = linprog(cost, A_ub=rows, b_ub=np.append(slack, np.zeros(2 * d)), bounds=bounds, method="highs")
    if result.status != 0:
        return None
    return Projection(np.asarray(x + result.x[:d]), float(np.linalg.norm(result.x[:d], norm)))

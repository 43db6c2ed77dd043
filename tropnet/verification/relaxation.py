"""Rigorous bounds on an output over a box, given the signs of some neurons: linear relaxations."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import highspy
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack, identity, vstack

from tropnet.arrays.patterns import BoolArray
from tropnet.arrays.rounding import EPSILON, SMALLEST_NORMAL
from tropnet.arrays.types import FloatArray
from tropnet.feasibility.highs import QuietHighs
from tropnet.network.domain import Box, Domain
from tropnet.network.intervals import output_interval, pre_activation_interval, times
from tropnet.network.network import Network

__all__ = ["Relaxation"]


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


class Relaxation:
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
        if not domain.is_exact:
            # Each entry was rounded once.
            b = b + 2 * EPSILON * (np.abs(A) @ np.abs(bounds).max(axis=0) + np.abs(b)) + SMALLEST_NORMAL
        rows = np.concatenate([blocks, np.hstack([A, np.zeros((len(b), n + m + n))])])
        self.fixed_rows = vstack([csr_matrix(rows), *(self._activation_rows(s) for s in self.slopes.T)])
        self.row_low = np.concatenate([bias, np.full(len(b), -np.inf)])
        self.row_high = np.concatenate([bias, b])
        self.cost = np.concatenate([np.zeros(d + n), c, np.zeros(n)])
        self.z_low, self.z_high = np.full(n, -np.inf), np.full(n, np.inf)
        self.highs = QuietHighs()
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
        values = times(self.slopes.T, ends)
        with np.errstate(over="ignore", invalid="ignore"):
            chord = (values[1] - values[0]) / np.where(open_, ends[1] - ends[0], 1.0)
            # Any line would do.
            chord = np.where(np.isfinite(chord), chord, 0.0)
            over = values - times(np.stack([chord, chord]), ends)
            steepest, farthest = np.abs(self.slopes).max(axis=1, initial=0) + np.abs(chord), np.abs(ends).max(axis=0)
            margin = 4 * EPSILON * steepest * farthest + 4 * SMALLEST_NORMAL
            under, over = over.min(axis=0) - margin, over.max(axis=0) + margin
            # Where this overflows the line says nothing.
            under, over = np.where(np.isnan(under), -np.inf, under), np.where(np.isnan(over), np.inf, over)
        sides.append(
            (
                np.where(open_ & ~convex, under, -np.inf),
                np.where(open_ & convex, over, np.inf),
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
            low, high = pre_activation_interval(layer, outputs)
            if layer is not self.net.layers[-1]:
                here = slice(start, start + layer.width)
                bits, low, high = fixed[here], np.maximum(low, self.z_low[here]), np.minimum(high, self.z_high[here])
                low, high = np.where(bits == 1, np.maximum(low, 0), low), np.where(bits == 0, np.minimum(high, 0), high)
                start += layer.width
                if (low > high).any():
                    return None
                outputs.append(output_interval(layer, (low, high)))
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
            # A product that underflows loses less than the smallest normal number, and is multiplied by a side below.
            error = (len(y) + 4) * (EPSILON * (np.abs(cost) + abs(self.rows).T @ np.abs(y)) + SMALLEST_NORMAL)
            second = np.maximum(rest * self.low, rest * self.high)
            size = np.maximum(np.abs(self.low), np.abs(self.high))
            lost = error @ size + (len(y) + len(cost) + 4) * EPSILON * (np.abs(first).sum() + np.abs(rest) @ size)
            total = float(first.sum() + second.sum() + 2 * lost + 4 * (len(y) + len(cost)) * SMALLEST_NORMAL)
        return total if total == total else math.inf

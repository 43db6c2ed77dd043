"""Small networks as explicit tropical rational functions: lists of monomials, evaluated in max-plus arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tropnet.arrays.types import FloatArray, IntegerArray
from tropnet.errors import TropnetError
from tropnet.exact.dyadic import to_float
from tropnet.feasibility import Infeasible, Undecided, make_backend
from tropnet.feasibility.tolerances import Tolerances
from tropnet.network.network import Network
from tropnet.network.recurrence import identity_map
from tropnet.tropical.recurrences import convex_terms

__all__ = ["TropicalPolynomial", "TropicalRational", "tropical_rational"]


@dataclass(frozen=True, eq=False)
class TropicalPolynomial:
    """A tropical polynomial: the maximum over its monomials of exponent . x + coefficient.

    Exponents are real (a signomial). Over the integers: each row (exponent | coefficient) is divided by 2**scale.

    Parameters
    ----------
    rows
        Integers, shape (m, d + 1), at least one row.
    scale
        The common power of two, 0 or more.

    Examples
    --------
    max(x, -x, 0) has a redundant monomial:

    >>> p = TropicalPolynomial(np.array([[1, 0], [-1, 0], [0, 0]], dtype=object), 0)
    >>> p([[2.0], [-3.0]]), len(p), len(p.reduced())
    (array([2., 3.]), 3, 2)
    """

    rows: IntegerArray
    scale: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def exponents(self) -> FloatArray:
        """The exponents, float64 of shape (m, d)."""
        return to_float(self.rows[:, :-1], self.scale)

    @cached_property
    def coefficients(self) -> FloatArray:
        """The coefficients, float64 of shape (m,)."""
        return to_float(self.rows[:, -1], self.scale)

    def __call__(self, x: ArrayLike) -> Any:
        """Return the value at one point (d,) or at many (n, d), in float64."""
        return np.max(np.asarray(x, dtype=np.float64) @ self.exponents.T + self.coefficients, axis=-1)

    def at(self, x: Sequence[Fraction | int]) -> Fraction:
        """Return the exact value at a rational point."""
        point = [*map(Fraction, x), Fraction(1)]
        values = (sum((a * t for a, t in zip(row, point, strict=True)), Fraction(0)) for row in self.rows.tolist())
        return max(values) / (1 << self.scale)

    def __mul__(self, factor: int) -> TropicalPolynomial:
        """Return the tropical power: every value times an integer factor >= 0."""
        if factor < 0:
            raise ValueError(f"a tropical power must be 0 or more, got {factor}: -F is no tropical polynomial.")
        return TropicalPolynomial(self.rows * factor, self.scale) if factor else zero_like(self)

    __rmul__ = __mul__

    def __add__(self, other: TropicalPolynomial) -> TropicalPolynomial:
        """Return the tropical product (the ordinary sum of values): all pairwise sums of monomials, reduced."""
        self._check_scale(other)
        sums = self.rows[:, None, :] + other.rows[None, :, :]
        return TropicalPolynomial(sums.reshape(-1, self.rows.shape[1]), self.scale).reduced()

    def maximum(self, other: TropicalPolynomial) -> TropicalPolynomial:
        """Return the tropical sum (the maximum of values), reduced."""
        self._check_scale(other)
        return TropicalPolynomial(np.concatenate([self.rows, other.rows]), self.scale).reduced()

    def _check_scale(self, other: TropicalPolynomial) -> None:
        if self.scale != other.scale:
            raise ValueError(f"the scales of the two polynomials must agree, got {self.scale} and {other.scale}.")

    def reduced(self, tolerances: Tolerances | None = None) -> TropicalPolynomial:
        """Return the polynomial without the monomials that are nowhere the only maximum.

        Notes
        -----
        Clarkson's output-sensitive scheme (doi:10.1109/SFCS.1994.365723): each of the m monomials is tested by one
        linear program against the monomials already known to be needed, decided exactly.
        """
        best: dict[tuple[int, ...], int] = {}
        for *exponent, coefficient in self.rows.tolist():
            key = tuple(exponent)
            best[key] = max(coefficient, best.get(key, coefficient))
        left = [(*key, coefficient) for key, coefficient in best.items()]
        needed: list[tuple[int, ...]] = []
        # In (x, t): t lies above every needed monomial; a probe asks for t below one more.
        backend = make_backend("highs", self.rows.shape[1], tolerances or Tolerances())
        while left:
            backend.push(_between(left[-1], 1))
            answer = backend.decide()
            backend.truncate(len(needed))
            if isinstance(answer, Infeasible):
                left.pop()
                continue
            # Without a proof the monomial itself is kept, which changes no value.
            top = left[-1] if isinstance(answer, Undecided) else _top(left, answer.witness.homogeneous)
            left.remove(top)
            needed.append(top)
            backend.push(_between(top, -1))
        rows = np.empty((len(needed), self.rows.shape[1]), dtype=object)
        rows[:] = needed
        return TropicalPolynomial(rows, self.scale)


def _between(monomial: tuple[int, ...], side: int) -> IntegerArray:
    """Return the row, in (x, t), of monomial > t (side 1) or t > monomial (side -1)."""
    *exponent, coefficient = (side * value for value in monomial)
    return np.array([*exponent, -side, coefficient], dtype=object)


def _top(monomials: list[tuple[int, ...]], point: tuple[int, ...]) -> tuple[int, ...]:
    """Return the largest monomial at a point (x, t), of several the one with the largest exponent: it leads beside."""
    *x, _, w = point
    return max(monomials, key=lambda row: (sum(a * t for a, t in zip(row, [*x, w], strict=True)), row))


@dataclass(frozen=True, eq=False)
class TropicalRational:
    """A network's outputs as differences F - G of tropical polynomials, one pair per output.

    Examples
    --------
    >>> net = Network.mlp([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    >>> absolute = tropical_rational(net)
    >>> absolute([[2.0], [-3.0]])
    array([[2.],
           [3.]])
    """

    F: tuple[TropicalPolynomial, ...]
    G: tuple[TropicalPolynomial, ...]

    def __call__(self, x: ArrayLike) -> FloatArray:
        """Return F(x) - G(x) at one point (d,) or at many (n, d), in float64 (the difference cancels digits)."""
        return np.stack([f(x) - g(x) for f, g in zip(self.F, self.G, strict=True)], axis=-1)

    def at(self, x: Sequence[Fraction | int]) -> tuple[Fraction, ...]:
        """Return the exact value at a rational point."""
        return tuple(f.at(x) - g.at(x) for f, g in zip(self.F, self.G, strict=True))


def tropical_rational(net: Network, *, max_monomials: int = 2_000) -> TropicalRational:
    """Write a small network as an explicit tropical rational function F - G.

    Parameters
    ----------
    net
        The network; skips and two slopes included.
    max_monomials
        Refuse to go on when a polynomial exceeds this size.

    Raises
    ------
    TropnetError
        A polynomial exceeds `max_monomials`.

    Notes
    -----
    Exact: equal to the network at every rational point. The number of monomials grows exponentially with depth.

    References
    ----------
    Zhang, Naitzat and Lim, Tropical Geometry of Deep Neural Networks, 2018, Proposition 5.1 and Theorem 5.4;
    Joyce and Verschelde, Proposition 2.1.
    """
    d = net.n_inputs
    coordinates = identity_map(d, object)
    outputs = [[(_monomial(row), _monomial(0 * row)) for row in coordinates]]
    scale = 0
    integers = net.integers
    for index, layer in enumerate(integers.layers, start=1):
        current = []
        for i in range(layer.width):
            start = _monomial(np.array([0] * d + [layer.bias[i]], dtype=object))
            H, G = start, zero_like(start)
            for source, weight in layer.weights.items():
                for w, (F, E) in zip(weight[i].tolist(), outputs[source], strict=True):
                    if w:
                        H += abs(w) * (F if w > 0 else E)
                        G += abs(w) * (E if w > 0 else F)
                        _check_size(index, max_monomials, H, G)
            if index <= len(net.hidden):
                H, G = _activated(H, G, *np.asarray(layer.slopes)[i].tolist())
                _check_size(index, max_monomials, H, G)
            current.append((H, G))
        outputs.append(current)
        scale = integers.exponents[index - 1]
    pairs = outputs[-1]
    return TropicalRational(
        tuple(TropicalPolynomial(F.rows, scale) for F, _ in pairs),
        tuple(TropicalPolynomial(E.rows, scale) for _, E in pairs),
    )


def zero_like(polynomial: TropicalPolynomial) -> TropicalPolynomial:
    """Return the tropical one, the constant 0, with the same number of variables."""
    return TropicalPolynomial(0 * polynomial.rows[:1], polynomial.scale)


def _monomial(row: IntegerArray) -> TropicalPolynomial:
    return TropicalPolynomial(row[None, :])


def _activated(
    H: TropicalPolynomial, G: TropicalPolynomial, s_neg: int, s_pos: int
) -> tuple[TropicalPolynomial, TropicalPolynomial]:
    if s_neg == s_pos:
        plus, minus = max(s_pos, 0), max(-s_pos, 0)
        return plus * H + minus * G, minus * H + plus * G
    first, second, rest = convex_terms(H, G, s_neg, s_pos)
    largest = first.maximum(second)
    return (rest, largest) if s_neg > s_pos else (largest, rest)


def _check_size(index: int, limit: int, *polynomials: TropicalPolynomial) -> None:
    size = max(map(len, polynomials))
    if size > limit:
        raise TropnetError(
            f"layer {index} needs a tropical polynomial of {size} monomials, more than max_monomials={limit};"
            " explicit tropical polynomials are for small networks."
        )

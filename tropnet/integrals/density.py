"""Piecewise-linear densities, one per input: their pieces, as neurons tell them apart, and points drawn from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.checks import finite_array
from tropnet.arrays.patterns import BoolArray
from tropnet.arrays.types import FloatArray
from tropnet.errors import DomainError, ShapeError
from tropnet.network.domain import Box, Domain, WholeSpace

__all__ = ["Density", "Piece", "as_densities", "within_support"]


class Piece(NamedTuple):
    """The function ``slope (x - base) + value`` of one input; base is the end of the piece where it is smallest."""

    slope: Fraction
    base: float
    value: float


class Density:
    """The density of one input, linear between breakpoints and 0 beyond the first and the last.

    Parameters
    ----------
    index
        Which input.
    points, values
        float64, shape (k,), k >= 2: the breakpoints, ascending, and the values there, not negative.

    Examples
    --------
    >>> tent = Density(0, np.array([0.0, 1.0, 3.0]), np.array([0.0, 1.0, 0.0]))
    >>> tent(np.array([-1.0, 0.5, 2.0])).tolist()
    [0.0, 0.5, 0.5]
    """

    def __init__(self, index: int, points: FloatArray, values: FloatArray) -> None:
        self.index, self.points, self.values = index, points, values

    def __call__(self, x: FloatArray) -> FloatArray:
        """Return the density at points (n,)."""
        return np.asarray(np.interp(x, self.points, self.values, left=0.0, right=0.0))

    @property
    def neurons(self) -> tuple[FloatArray, FloatArray]:
        """Signs s and biases c of neurons s x + c that tell the pieces apart: x < first, x > second, x > third, ...

        Where x is the first or the last breakpoint on a whole domain they vanish and are False: that is the support.
        """
        signs = np.ones(len(self.points))
        signs[0] = -1.0
        return signs, -signs * self.points

    @staticmethod
    def numbers(bits: BoolArray) -> NDArray[np.int64]:
        """Return the number of the piece where these neurons have some bits, (R, k); -1 outside the support."""
        return np.where(bits[:, 0] | bits[:, -1], -1, bits[:, 1:-1].sum(axis=1))

    @cached_property
    def pieces(self) -> list[Piece]:
        """The pieces, exactly."""
        ends = list(zip(self.points.tolist(), self.values.tolist(), strict=True))
        found = []
        for (x, u), (y, v) in pairwise(ends):
            slope = (Fraction(v) - Fraction(u)) / (Fraction(y) - Fraction(x))
            found.append(Piece(slope, x, u) if u <= v else Piece(slope, y, v))
        return found

    def draw(self, low: float, high: float, n: int, rng: np.random.Generator) -> tuple[FloatArray, float]:
        """Return n points of [low, high], which must meet the support, drawn from the density, and its integral there.

        By inversion: between two points of equal distance h, with values u and v, the part t h with t u + t^2 (v - u) /
        2 equal to a number drawn.
        """
        points = np.concatenate([[low], self.points[(self.points > low) & (self.points < high)], [high]])
        values = self(points)
        # A density may jump at its ends.
        inside = (points >= self.points[0]) & (points <= self.points[-1])
        points, values = points[inside], values[inside]
        masses = np.diff(points) * (values[:-1] + values[1:]) / 2
        total = float(masses.sum())
        if not total > 0:
            raise _vanishes()
        which = rng.choice(len(masses), n, p=masses / total)
        u, v = values[which], values[which + 1]
        # The root of t u + t^2 (v - u) / 2 = r (u + v) / 2 that lies in [0, 1].
        wanted = rng.random(n) * (u + v)
        root = u + np.sqrt(np.maximum(u * u + (v - u) * wanted, 0.0))
        t = np.where(root > 0, wanted / np.where(root > 0, root, 1.0), 0.0)
        return points[which] + t * (points[which + 1] - points[which]), total


def as_densities(given: Sequence[Any] | None, n_inputs: int) -> list[Density]:
    """Return the densities of the inputs that have one.

    Raises
    ------
    ShapeError, NonFiniteError
        There is not one entry per input, or an entry is no pair of arrays of one length, at least 2, of finite numbers.
    ValueError
        Breakpoints do not ascend, a value is negative, or all are 0.
    """
    if given is None:
        return []
    if isinstance(given, str) or not isinstance(given, Sequence | np.ndarray) or len(given) != n_inputs:
        length = f"{len(given)} entries" if isinstance(given, Sequence | np.ndarray) else type(given).__name__
        raise ShapeError(
            f"density must have one entry per input, {n_inputs}, each None or a pair (points, values), got {length}."
        )
    found = []
    for index, entry in enumerate(given):
        if entry is None:
            continue
        where = f"density[{index}]"
        if not isinstance(entry, Sequence | np.ndarray) or len(entry) != 2:
            raise ShapeError(f"{where} must be None or a pair (points, values), got {entry!r}.")
        points, values = finite_array(entry[0], f"{where}: points"), finite_array(entry[1], f"{where}: values")
        if points.ndim != 1 or points.shape != values.shape or len(points) < 2:
            raise ShapeError(
                f"{where}: points and values must have one shape (k,), k >= 2, got {points.shape} and {values.shape}."
            )
        if not (np.diff(points) > 0).all():
            raise ValueError(f"{where}: points must ascend, got {points.tolist()}.")
        if (values < 0).any() or not values.any():
            raise ValueError(f"{where}: values must be at least 0, and not all 0, got {values.tolist()}.")
        found.append(Density(index, points, values))
    return found


def within_support(domain: Domain, densities: Iterable[Density]) -> Domain:
    """Return the part of a box, or of all space, where no density is 0 beyond its ends; another domain as it is.

    Raises
    ------
    DomainError
        There is none, or one of no volume within the domain.
    """
    given = list(densities)
    if not given or not isinstance(domain, Box | WholeSpace):
        return domain
    everything = np.full(domain.dimension, np.inf)
    low, high = (domain.low.copy(), domain.high.copy()) if isinstance(domain, Box) else (-everything, everything)
    for density in given:
        i = density.index
        is_fixed = low[i] == high[i]
        low[i], high[i] = max(low[i], density.points[0]), min(high[i], density.points[-1])
        if low[i] > high[i] or (low[i] == high[i] and not is_fixed):
            raise _vanishes()
    return Box(low, high)


def _vanishes() -> DomainError:
    return DomainError("the density is 0 on the whole domain, or on all but a part without volume.")

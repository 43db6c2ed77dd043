"""The root cells: cones of independent rows, in which homogeneous points are bounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from tropnet.arrays.rounding import UNIT_ROUNDOFF
from tropnet.arrays.types import FloatArray
from tropnet.enumeration.engines.pointed import inverse_and_defect, scaled
from tropnet.enumeration.engines.simplex.start import Start
from tropnet.enumeration.engines.simplex.state import SearchState

__all__ = ["RootCells", "RootPoints"]

# An approximate inverse that is farther from the inverse bounds nothing usefully.
_MAX_DEFECT = 1e-2


class RootPoints(NamedTuple):
    """Points inside the root cells: from where the hyperplanes of the chosen neurons meet, a step to a side of each."""

    meeting: FloatArray
    steps: FloatArray
    reach: FloatArray

    def inside(self, signs: Sequence[bool]) -> FloatArray:
        """Return a point inside the cell in which the chosen neurons have these signs, or nearly so."""
        return np.asarray(self.meeting + self.steps @ np.where(signs, self.reach, -self.reach))


class RootCells:
    """The cells that the chosen rows make: cones in homogeneous coordinates, one for each choice of signs.

    `bounds` are weights of the rows, and U: |X| <= U where all rows are >= 0 and their weighted sum is 1; None where
    floating point finds none.
    """

    def __init__(self, state: SearchState, start: Start) -> None:
        self.state, self.start = state, start
        self.layer = state.net.hidden[0]
        self.weights = self.layer.weights.get(0, np.empty((self.layer.width, state.d)))

    @cached_property
    def rows(self) -> FloatArray:
        """The chosen rows, those of the domain first, and that of infinity."""
        state, start = self.state, self.start
        neurons = scaled(np.column_stack([self.weights, self.layer.bias])[start.neurons])
        return np.concatenate([state.sides[start.sides], neurons, np.eye(1, state.d + 1, state.d)])

    @cached_property
    def bounds(self) -> tuple[FloatArray, FloatArray] | None:
        """Weights of the rows, and the bounds."""
        return _simplex_bounds(self.rows)

    def enter(self, bits: Mapping[int, bool]) -> bool:
        """Look at cells in the root cell of these bits; False if it has no bounds, or there is a box instead of it."""
        state, start = self.state, self.start
        if start.box is not None:
            state.set_box(start.box)
            return True
        if self.bounds is None:
            return False
        generators, U = self.bounds
        orientation = [1.0] * len(start.sides) + [1.0 if bits[j] else -1.0 for j in start.neurons] + [1.0]
        parts = self.rows * (generators * np.array(orientation))[:, None]
        # Where this overflows, the root is decided in exact arithmetic.
        with np.errstate(over="ignore"):
            size, total = float(np.abs(parts).sum()), parts.sum(axis=0)
        state.set_base(total, (len(self.rows) + 4) * 2 * UNIT_ROUNDOFF * size, U)
        return True

    def points(self, inside: FloatArray) -> RootPoints:
        """Return points inside the cells that the chosen neurons make, from a point inside the domain."""
        state, start = self.state, self.start
        known = scaled(state.sides[:, :-1])
        known /= np.where(known.any(axis=1), np.linalg.norm(known, axis=1), 1.0)[:, None]
        directions = np.linalg.svd(known)[2] if len(known) else np.eye(state.d)
        lines = directions[state.d - len(start.neurons) :].T
        rows = self.rows[len(start.sides) : -1]
        with np.errstate(all="ignore"):
            # From where all the hyperplanes meet, as far as that is from the origin.
            steps = lines @ np.linalg.pinv(rows[:, :-1] @ lines) if self.bounds else lines
            meeting = inside - steps @ (rows @ np.append(inside, 1.0))
            reach = np.linalg.norm(rows[:, :-1], axis=1) * np.abs(meeting).max(initial=1.0)
        return RootPoints(meeting, steps, reach)


def _simplex_bounds(rows: FloatArray) -> tuple[FloatArray, FloatArray] | None:
    """Return weights and bounds U: |X| <= U where all rows are >= 0 and their weighted sum is 1. None if ill-posed."""
    inverse, size = inverse_and_defect(rows)
    if not size < _MAX_DEFECT:
        return None
    with np.errstate(all="ignore"):
        largest = np.abs(inverse).max(axis=0)
        # The exact inverse is that times the inverse of I - defect.
        wrong = np.abs(inverse).sum(axis=1).max() * size / (1 - size)
        bounds = ((np.abs(inverse) + wrong) / largest).max(axis=1) * (1 + 1e-12)
    return (largest, bounds) if np.isfinite(bounds).all() else None

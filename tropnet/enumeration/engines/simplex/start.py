"""Where the simplex engine starts: the inputs that matter, and rows that make root cells pointed."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from tropnet.arrays.types import FloatArray
from tropnet.enumeration.algorithm_1 import root_backend
from tropnet.enumeration.engine import Task
from tropnet.enumeration.engines.pointed import pointed_rows, separable_inputs
from tropnet.exact.certificates import Witness
from tropnet.feasibility import Feasible
from tropnet.network.domain import Box, Domain, Polytope
from tropnet.network.network import Network

__all__ = ["MAX_INPUTS", "Interior", "Start", "find_start", "lift", "restrict_inputs"]

# A pivot costs the square of it, and a frame holds as many numbers.
MAX_INPUTS = 128


class Start(NamedTuple):
    """How to start: inputs to keep, and independent rows (of the domain, of the first layer) that make cells pointed.

    A bounded box needs none.
    """

    inputs: list[int]
    sides: list[int]
    neurons: list[int]
    box: Box | None = None


class Interior:
    """A point inside the domain of a task, looked for once; None where no backend finds one."""

    def __init__(self, task: Task, box: Box | None) -> None:
        self.task, self.box = task, box

    @cached_property
    def point(self) -> FloatArray | None:
        """The point, or nearly so: float64 of shape (d,)."""
        if self.box is not None:
            return np.asarray(self.box.low / 2 + self.box.high / 2)
        answer = root_backend(self.task.backend, self.task.domain, self.task.tolerances)[1]
        return answer.witness.point if isinstance(answer, Feasible) else None


def find_start(net: Network, domain: Domain, fixed: tuple[int, ...] = ()) -> Start | None:
    """Return how to start with some neurons fixed; None if the engine cannot."""
    d = net.n_inputs
    if not net.hidden:
        return None
    if d <= MAX_INPUTS and isinstance(domain, Box) and np.isfinite(domain.low).all() and np.isfinite(domain.high).all():
        return Start(list(range(d)), [], [], domain)
    if d > MAX_INPUTS and isinstance(domain, Box) and (np.isfinite(domain.low) | np.isfinite(domain.high)).all():
        return None  # the box tells all inputs apart
    sides, first, inputs = domain.halfspaces[0], net.hidden[0], list(range(d))
    rows = pointed_rows(first, sides, fixed)
    if rows is None:
        weights = [layer.weights[0] for layer in net.hidden if 0 in layer.weights]
        separable = separable_inputs(np.concatenate([sides, *weights]), MAX_INPUTS)
        if separable is None or not 0 < len(separable) < d:
            return None
        inputs = separable
        rows = pointed_rows(replace(first, weights={0: first.weights[0][:, inputs]}), sides[:, inputs], fixed)
    if rows is None or not rows.well_conditioned or len(inputs) > MAX_INPUTS:
        return None
    return Start(inputs, rows.sides, rows.neurons)


def restrict_inputs(net: Network, domain: Domain, inputs: list[int]) -> tuple[Network, Domain]:
    """Return the network and the domain where all but some inputs are 0."""
    layers = [
        replace(layer, weights={k: w[:, inputs] if k == 0 else w for k, w in layer.weights.items()})
        for layer in net.layers
    ]
    A, b = domain.halfspaces
    return Network(layers, len(inputs)), Polytope(A[:, inputs], b)


def lift(witness: Witness, inputs: list[int], n_inputs: int) -> Witness:
    """Return the point whose other inputs are 0."""
    values = [0] * n_inputs
    for k, value in zip(inputs, witness.homogeneous, strict=False):
        values[k] = value
    return Witness((*values, witness.homogeneous[-1]))

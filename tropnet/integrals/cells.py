"""Sets of outputs, and networks whose regions lie within or without them, and within one piece of every density."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import BoolArray
from tropnet.arrays.types import FloatArray
from tropnet.errors import ShapeError
from tropnet.integrals.density import Density
from tropnet.network.domain import Polytope
from tropnet.network.layers import AFFINE, Layer
from tropnet.network.network import Network

__all__ = ["Cells", "OutputSet", "OutputSets"]

OutputSet: TypeAlias = int | Polytope | Sequence[Polytope]


class OutputSets:
    """Sets of outputs: classes, polytopes {y : A y <= b}, and unions of polytopes.

    The class of y is the first of the largest outputs; of one output it is 1 if y > 0, else 0.

    Parameters
    ----------
    n_outputs
        The number of outputs.
    sets
        What is told apart.

    Raises
    ------
    ShapeError
        A set is none of these, of another number of outputs, or no class.
    """

    def __init__(self, n_outputs: int, sets: Sequence[OutputSet]) -> None:
        self.n_outputs = n_outputs
        self.n_classes = max(n_outputs, 2)
        self._sets: list[int | list[int]] = []
        polytopes: list[Polytope] = []
        for each in sets:
            if isinstance(each, int | np.integer) and not isinstance(each, bool) and 0 <= each < self.n_classes:
                self._sets.append(int(each))
                continue
            parts: list[Any] = (
                [each] if isinstance(each, Polytope) else list(each) if isinstance(each, Sequence) else []
            )
            if not parts or not all(isinstance(part, Polytope) and part.dimension == n_outputs for part in parts):
                raise ShapeError(
                    f"a set of outputs must be a class below {self.n_classes}, a Polytope(A, b) with A of shape"
                    f" (m, {n_outputs}), or a list of such polytopes, which means their union, got {each!r}."
                )
            self._sets.append([*range(len(polytopes), len(polytopes) + len(parts))])
            polytopes += parts
        self._polytopes = polytopes
        self._ends = np.cumsum([0, *(len(polytope.b) for polytope in polytopes)])

    @cached_property
    def _rows(self) -> tuple[FloatArray, FloatArray]:
        A = np.concatenate([np.empty((0, self.n_outputs)), *(polytope.A for polytope in self._polytopes)])
        return A, np.concatenate([np.empty(0), *(polytope.b for polytope in self._polytopes)])

    def layers(self, read: int) -> list[Layer]:
        """Return the layers that tell the sets apart: they read layer `read`, the outputs, and follow it.

        One neuron for each row, active where it is broken. For classes one layer of one neuron each, but for class 0:
        it is what y_j exceeds the largest output before it, y_0 + sum relu of the neurons before, so that it is active
        where class j beats all before it.
        """
        A, b = self._rows
        found = [Layer({read: A}, -b)] if len(b) else []
        first = read + len(found)
        for j in range(1, self.n_classes) if any(isinstance(each, int) for each in self._sets) else ():
            row = np.zeros((1, self.n_outputs))
            row[0, -1 if self.n_outputs == 1 else j] = 1.0
            if self.n_outputs > 1:
                row[0, 0] = -1.0
            before = {first + i: np.array([[-1.0]]) for i in range(1, j)}
            found.append(Layer({read: row, **before}, np.zeros(1)))
        return found

    def of_bits(self, bits: BoolArray) -> BoolArray:
        """Return which sets hold the regions where the neurons of `layers` have some bits, (R, k): (n_sets, R)."""
        n_rows = int(self._ends[-1])
        winners = bits[:, n_rows:]
        places = np.arange(1, winners.shape[1] + 1)
        return self._members(~bits[:, :n_rows], (winners * places).max(axis=1, initial=0))

    def of_outputs(self, y: FloatArray) -> BoolArray:
        """Return which sets hold some outputs, (n, n_outputs), in float64: (n_sets, n)."""
        A, b = self._rows
        classes = y.argmax(axis=1) if self.n_outputs > 1 else (y[:, 0] > 0).astype(np.int64)
        return self._members(y @ A.T <= b, classes)

    def _members(self, kept: BoolArray, classes: NDArray[np.int64]) -> BoolArray:
        """Return the same from which rows are kept, and classes."""
        pairs = zip(self._ends[:-1].tolist(), self._ends[1:].tolist(), strict=True)
        inside = [kept[:, start:end].all(axis=1) for start, end in pairs]
        found = np.zeros((len(self._sets), len(kept)), dtype=np.bool_)
        for place, each in enumerate(self._sets):
            found[place] = classes == each if isinstance(each, int) else np.any([inside[i] for i in each], axis=0)
        return found


class Cells:
    """A network with neurons that tell pieces of densities and sets of outputs apart, of the same outputs.

    Attributes
    ----------
    network
        The neurons of the network given come first.
    """

    def __init__(self, net: Network, densities: Sequence[Density], sets: OutputSets) -> None:
        self.densities, self._sets = densities, sets
        hidden, last = list(net.hidden), net.layers[-1]
        if densities:
            signs, biases = (np.concatenate(parts) for parts in zip(*(each.neurons for each in densities), strict=True))
            weight = np.zeros((len(signs), net.n_inputs))
            weight[
                np.arange(len(signs)), np.repeat([d.index for d in densities], [len(d.points) for d in densities])
            ] = signs
            hidden.append(Layer({0: weight}, biases))
        self._ends = net.n_neurons + np.cumsum([0, *(len(density.points) for density in densities)])
        added = sets.layers(len(hidden) + 1)
        if added:
            # The outputs as neurons that split nothing: differences of their weights would be rounded.
            hidden += [Layer(last.weights, last.bias, AFFINE), *added]
        self._first = int(self._ends[-1]) + (net.n_outputs if added else 0)
        self.network = Network([*hidden, last], net.n_inputs)

    def pieces(self, patterns: BoolArray) -> NDArray[np.int64]:
        """Return the pieces of all densities on regions of some patterns, (R, n_densities); -1 outside a support."""
        pairs = zip(self.densities, self._ends[:-1].tolist(), self._ends[1:].tolist(), strict=True)
        found = [density.numbers(patterns[:, start:end]) for density, start, end in pairs]
        return np.array(found, dtype=np.int64).reshape(len(found), len(patterns)).T

    def members(self, patterns: BoolArray) -> BoolArray:
        """Return which sets hold regions of some patterns: (n_sets, R)."""
        return self._sets.of_bits(patterns[:, self._first :])

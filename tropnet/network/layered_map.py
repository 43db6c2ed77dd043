"""What a network is at heart: layers that read earlier layers, evaluated, decided into patterns, composed to maps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from tropnet.arrays.checks import as_points
from tropnet.arrays.chunks import chunks
from tropnet.arrays.patterns import BoolArray, as_bools, split
from tropnet.arrays.types import FloatArray, IntegerArray
from tropnet.errors import ShapeError, TooLargeError
from tropnet.exact.dyadic import to_float
from tropnet.network.affine import AffineMap
from tropnet.network.forward import certain_bits, pre_activations
from tropnet.network.frozen import Frozen
from tropnet.network.integers import IntegerNetwork, over_integers, underflows
from tropnet.network.layers import Layer, checked_layer, dense_layer, finite_matrix
from tropnet.network.recurrence import compose, compose_many

__all__ = ["LayeredMap"]

_DENSE_BYTES = 2**31


class LayeredMap(Frozen):
    """Layers and an input dimension, frozen, and what follows: values, patterns, maps; parameters as of `Network`."""

    def __init__(self, layers: Iterable[Layer], n_inputs: int | None = None) -> None:
        given = [*layers]
        if not given:
            raise ShapeError("layers must hold at least the output layer, got none.")
        if n_inputs is None:
            inputs = [layer.weights[0] for layer in given if isinstance(layer, Layer) and 0 in layer.weights]
            if not inputs:
                raise ShapeError("no layer reads the input (source 0); pass n_inputs.")
            n_inputs = finite_matrix(inputs[0], "weights of source 0").shape[1]
        widths = [n_inputs]
        checked = []
        for index, layer in enumerate(given, start=1):
            last = index == len(given)
            checked.append(checked_layer(layer, index, widths, affine=last))
            widths.append(checked[-1].width)
        self._layers = tuple(checked)
        self._n_inputs = n_inputs

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._layers, self._n_inputs)

    # --- shape

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The hidden layers and the output layer."""
        return self._layers

    @property
    def n_inputs(self) -> int:
        """The input dimension d."""
        return self._n_inputs

    @property
    def n_outputs(self) -> int:
        """The output dimension."""
        return self.layers[-1].width

    @cached_property
    def hidden(self) -> tuple[Layer, ...]:
        """The hidden layers 1, ..., L."""
        return self.layers[:-1]

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """The widths of the hidden layers."""
        return tuple(layer.width for layer in self.hidden)

    @cached_property
    def n_neurons(self) -> int:
        """The number of hidden neurons, which is the length of a pattern."""
        return sum(self.widths)

    @property
    def is_sparse(self) -> bool:
        """Whether some weights are a `scipy.sparse.csr_array`."""
        return any(sparse.issparse(weight) for layer in self.layers for weight in layer.weights.values())

    @cached_property
    def dense(self) -> Self:
        """The same network with numpy arrays as its weights, on which engines and exact arithmetic work.

        Raises
        ------
        TooLargeError
            They would take more than 2 GiB.
        """
        if not self.is_sparse:
            return self
        matrices = {id(weight): weight for layer in self.layers for weight in layer.weights.values()}.values()
        size = 8 * sum(math.prod(matrix.shape) for matrix in matrices)
        if size > _DENSE_BYTES:
            widest = max(matrices, key=lambda matrix: math.prod(matrix.shape))
            raise TooLargeError(
                f"{self!r} holds sparse weights, which engines and exact arithmetic need in dense form: that takes"
                f" {size / 2**30:.1f} GiB (the largest matrix has shape {widest.shape}), more than"
                f" {_DENSE_BYTES / 2**30:.0f} GiB. Forward passes, patterns, files and restrict work on the sparse"
                " form; use a smaller network."
            )
        return type(self)(map(dense_layer, self.layers), self.n_inputs)

    @property
    def skips(self) -> tuple[tuple[int, int], ...]:
        """All pairs (k, l), k < l - 1, such that layer l reads the output of layer k."""
        return tuple(
            (source, index)
            for index, layer in enumerate(self.layers, start=1)
            for source in sorted(layer.weights)
            if source < index - 1
        )

    def __repr__(self) -> str:
        shape = "-".join(map(str, (self.n_inputs, *self.widths, self.n_outputs)))
        skips = ", ".join(f"{k}-{index}" for k, index in self.skips)
        return f"Network({shape}{', skips ' + skips if skips else ''})"

    # --- values

    def __call__(self, x: ArrayLike) -> FloatArray:
        """Return the outputs at one point (d,) or at many (n, d), in float64.

        Raises
        ------
        ShapeError, NonFiniteError
            `x` has another shape or is not finite, or the network overflows float64 there.
        """
        points, single = as_points(x, self.n_inputs)
        output = pre_activations(self.layers, points)[-1]
        return output[0] if single else output

    def pre_activations(self, x: ArrayLike) -> FloatArray:
        """Return z of all hidden neurons, layers concatenated: (n_neurons,) or (n, n_neurons), in float64."""
        points, single = as_points(x, self.n_inputs)
        hidden = np.concatenate([np.empty((len(points), 0)), *pre_activations(self.layers, points)[:-1]], axis=1)
        return hidden[0] if single else hidden

    def activation_pattern(self, x: ArrayLike) -> BoolArray:
        """Return the activation pattern at one point or many: True where z > 0 in float64 (active).

        Affine neurons are False. Within rounding of a neuron's hyperplane the bit follows the rounded value.

        Returns
        -------
        bool array, (n_neurons,) or (n, n_neurons), layers concatenated; `split_pattern` splits it.
        """
        return np.asarray((self.pre_activations(x) > 0) & ~self.affine_neurons)

    def certain_pattern(self, x: ArrayLike) -> tuple[BoolArray, BoolArray]:
        """Return the activation patterns at many points (n, d), and for which points every bit is proven.

        A bit is proven when the float64 pre-activation exceeds a running bound on its rounding error, underflow
        included (or is affine, or every term of it is exactly zero).
        """
        return certain_bits(self.hidden, as_points(x, self.n_inputs)[0])

    @cached_property
    def affine_neurons(self) -> BoolArray:
        """Which hidden neurons have equal slopes, bool of shape (n_neurons,)."""
        return np.concatenate([np.empty(0, dtype=np.bool_), *(layer.affine_neurons for layer in self.hidden)])

    def split_pattern(self, pattern: ArrayLike) -> tuple[BoolArray, ...]:
        """Split a flat pattern, or many (n, n_neurons), into one array per hidden layer.

        Raises
        ------
        ShapeError
            The pattern has another number of neurons.
        """
        flat = np.asarray(pattern)
        if flat.shape[-1:] != (self.n_neurons,):
            raise ShapeError(f"pattern must end in {self.n_neurons} neurons, got shape {flat.shape}.")
        return split(as_bools(flat), self.widths) if self.hidden else ()

    def as_pattern(self, pattern: ArrayLike | Sequence[ArrayLike]) -> BoolArray:
        """Return a flat bool pattern from a flat one or from one array per layer.

        Raises
        ------
        ShapeError
            The length, or a layer's length, does not match the network.
        ValueError
            An entry is neither a bool nor 0 or 1 (the papers' -1 and +1 change their meaning between pages).
        """
        nested = isinstance(pattern, Sequence) and any(np.ndim(part) > 0 for part in pattern)
        parts = [np.asarray(part) for part in pattern] if nested else [np.asarray(pattern)]  # type: ignore[union-attr]
        lengths = [part.shape for part in parts]
        expected = [(width,) for width in self.widths] if nested else [(self.n_neurons,)]
        if lengths != expected:
            raise ShapeError(
                f"pattern must have {self.n_neurons} entries, or one array per hidden layer of lengths"
                f" {list(self.widths)}; got shape{'s' if nested else ''} {', '.join(map(str, lengths))}."
            )
        flat = np.concatenate([np.empty(0, dtype=np.bool_), *parts])
        return as_bools(flat)

    def affine_map(self, pattern: ArrayLike | Sequence[ArrayLike]) -> AffineMap:
        """Return the affine map that the network applies where `pattern` holds, composed in float64.

        Where that overflows, or products of weights are too small for float64, it is composed exactly and rounded once.

        Costs O(sum over layers and sources of n_l n_k d). The pattern need not occur.
        """
        weights, biases = self.affine_maps(self.as_pattern(pattern)[None])
        return AffineMap(weights[0], biases[0])

    def affine_maps(self, patterns: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return the affine maps of many patterns (m, n_neurons) at once; see `affine_map`.

        Returns
        -------
        weights (m, n_outputs, d) and biases (m, n_outputs), float64.

        Raises
        ------
        ShapeError
            `patterns` has another shape.
        """
        flat = np.asarray(patterns, dtype=np.bool_)
        if flat.ndim != 2 or flat.shape[1] != self.n_neurons:
            raise ShapeError(f"patterns must have shape (m, {self.n_neurons}), got {flat.shape}.")
        with np.errstate(over="ignore", invalid="ignore"):
            parts = [
                compose_many(self.layers, flat[part], self.n_inputs)[-1]
                for part in chunks(len(flat), (self.n_inputs + 1) * self.n_neurons)
            ]
        rows = np.concatenate([np.empty((0, self.n_outputs, self.n_inputs + 1)), *parts])
        wrong = ~np.isfinite(rows).all(axis=(1, 2)) | self._underflows
        for i in np.flatnonzero(wrong).tolist():
            rows[i] = to_float(self.integer_maps(flat[i])[-1], self.integers.exponents[-1])
        return rows[:, :, :-1], rows[:, :, -1]

    @cached_property
    def _underflows(self) -> bool:
        return underflows(self.layers)

    def composed_maps(self, pattern: ArrayLike | Sequence[ArrayLike]) -> list[FloatArray]:
        """Return the rows (a | c) of z_1, ..., z_{L+1} where `pattern` holds, in float64."""
        return compose(self.layers, self.as_pattern(pattern), self.n_inputs)

    def integer_maps(self, pattern: ArrayLike | Sequence[ArrayLike]) -> list[IntegerArray]:
        """Return the rows of `composed_maps` exactly: integers, those of z_l multiplied by 2**exponents[l - 1]."""
        return compose(self.integers.layers, self.as_pattern(pattern), self.n_inputs)

    @cached_property
    def integers(self) -> IntegerNetwork:
        """The same network over the integers, for exact signs; sparse weights become dense (see `dense`)."""
        return over_integers(self.dense.layers)

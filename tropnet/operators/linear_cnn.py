"""Linear convolutional networks with weighted skip connections, and their collapse to one affine map."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from tropnet.arrays.checks import finite_array
from tropnet.arrays.types import FloatArray
from tropnet.errors import ShapeError, SkipError
from tropnet.network.affine import AffineMap
from tropnet.operators import RESAMPLING_MODES, Operator, identity, resampling, weighted_sum

__all__ = ["LinearCNN"]

_SUM_TOLERANCE = 1e-9
# Columns of the identity that are evaluated at once: enough for fast products, few enough for large images.
_BATCH = 64

Pair: TypeAlias = tuple[int, int]


@dataclass(frozen=True, eq=False)
class LinearCNN:
    """A linear CNN whose layers read weighted sums of all earlier outputs: the recursion (10) of the reference.

    With f_0(x) = x, layer i = 1, ..., L computes

    ``f_i(x) = W_i P_i (sum over k < i of t[k, i - 1] R[k, i - 1] f_k(x)) + B_i``.

    P_i pads and W_i convolves; R[k, i - 1] resamples f_k(x) to the shape that layer i reads. All of it is affine, so
    the network is one affine map, whatever its skips.

    Parameters
    ----------
    layers
        The maps y -> W_i P_i y + B_i, `tropnet.operators.Operator`s; the last one is the classifier.
    weights
        The t[k, i], 0 <= k <= i < L, for the input of layer i + 1: a mapping from pairs (k, i), or an array (L, L) with
        entry [k, i]. For each i they sum to one. Pairs that are left out are zero, and an i of which nothing is given
        is a plain chain, t[i, i] = 1. With t[i, i] = 0 layer i does not feed layer i + 1: parallel paths.
    mode
        How R resamples: "nearest-exact" as in (6), "nearest" or "bilinear".
    resamplings
        Operators to use as R[k, i] for some pairs, instead of resampling: where channels differ, resampling alone does
        not fit.

    Raises
    ------
    ShapeError
        There is no layer, one is no `Operator`, or `mode` is unknown.
    SkipError
        A pair breaks 0 <= k <= i < L, the weights for an i do not sum to one, or f_k does not fit layer i + 1.
    NonFiniteError
        A weight is not finite.

    Notes
    -----
    The print takes the weights t[k, i - 1] over k < i, R to the shape of f_{i-1}, and calls that the input shape of
    layer i. Where paths are parallel the two differ; R resamples to what layer i reads.

    References
    ----------
    J. Joyce and J. Verschelde, arXiv:2408.07815, section 3.2, (10).

    Examples
    --------
    f_1 = 2 x + 1 and f_2 = 3 (x / 2 + f_1 / 2) = 4.5 x + 1.5:

    >>> from tropnet.operators import linear
    >>> cnn = LinearCNN([linear((1,), [[2.0]], [1.0]), linear((1,), [[3.0]])], {(0, 1): 0.5, (1, 1): 0.5})
    >>> cnn([10.0])
    array([46.5])
    >>> collapsed = cnn.collapse()
    >>> collapsed.weight, collapsed.bias
    (array([[4.5]]), array([1.5]))
    """

    layers: Sequence[Operator]
    weights: Mapping[Pair, float] | ArrayLike = field(default_factory=dict)
    mode: str = "nearest-exact"
    resamplings: Mapping[Pair, Operator] = field(default_factory=dict)

    def __post_init__(self) -> None:
        layers = tuple(self.layers)
        if not layers or not all(isinstance(layer, Operator) for layer in layers):
            raise ShapeError("layers must be Operators, at least one; see tropnet.operators.")
        if self.mode not in RESAMPLING_MODES:
            raise ShapeError(f"mode must be one of {', '.join(RESAMPLING_MODES)}, got {self.mode!r}.")
        object.__setattr__(self, "layers", layers)
        object.__setattr__(self, "weights", MappingProxyType(_checked_weights(self.weights, len(layers))))
        object.__setattr__(self, "resamplings", MappingProxyType(self._fitting()))

    def __reduce__(self) -> tuple[Any, ...]:
        # The checked mappings are read-only views, which do not pickle.
        return LinearCNN, (self.layers, dict(self.weights), self.mode, dict(self.resamplings))  # type: ignore[arg-type]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        return self.layers[0].input_shape

    def outputs(self, x: ArrayLike) -> list[FloatArray]:
        """Return f_0(x), f_1(x), ..., f_L(x) by the recursion, each as a tensor or, for many x, a batch of tensors.

        Raises
        ------
        ShapeError, NonFiniteError
            `x` has neither the shape `input_shape` nor (n, *input_shape), or an entry is not finite.
        """
        tensors = finite_array(x, "x")
        single = tensors.shape == self.input_shape
        if not single and tensors.shape[1:] != self.input_shape:
            raise ShapeError(f"x must have shape {self.input_shape} or (n, *{self.input_shape}), got {tensors.shape}.")
        n = 1 if single else len(tensors)
        values, _ = self._forward(tensors.reshape(n, math.prod(self.input_shape)), biased=True)
        shapes = [self.input_shape, *(layer.output_shape for layer in self.layers)]
        return [value.reshape(shape if single else (n, *shape)) for value, shape in zip(values, shapes, strict=True)]

    def __call__(self, x: ArrayLike) -> FloatArray:
        """Return f_L(x), the outputs at one tensor or at many (n, *input_shape); see `outputs`."""
        return self.outputs(x)[-1]

    def compose(self, *, latent: bool = False) -> AffineMap:
        """Return the affine map of the network from products and sums of its matrices.

        Parameters
        ----------
        latent
            Return what the last layer reads, sum over k of t[k, L - 1] R[k, L - 1] f_k(x), instead of f_L(x).

        Returns
        -------
        AffineMap
            On inputs flattened in C order; sparse if at most a quarter of the matrix is not zero.

        Notes
        -----
        Sparse products; fast where kernels and depth are small against the image. Else `collapse` is faster.
        """
        maps = [identity(self.input_shape)]
        for i, layer in enumerate(self.layers):
            # A sum of one identity and its multiples stays sparse; so does each product of sparse matrices.
            terms = [(t, self._resampled(maps[k], (k, i))) for k, t in self._sources(i)]
            total = weighted_sum([term for _, term in terms], [t for t, _ in terms])
            if latent and layer is self.layers[-1]:
                return total.affine.compacted()
            maps.append(layer @ total)
        return maps[-1].affine.compacted()

    def collapse(self, *, latent: bool = False) -> AffineMap:
        """Return the affine map of the network by Theorem 3.1: evaluate it on the identity and on zero.

        ``f(x) = f_W(1) x + f(0)``, where f_W is the recursion without biases, all the way down: f_W,i reads the f_W,k
        (the print has f_k, which would count biases twice).

        Parameters
        ----------
        latent
            As in `compose`.

        Returns
        -------
        AffineMap
            On inputs flattened in C order; sparse if at most a quarter of the matrix is not zero.

        Notes
        -----
        One forward pass for each input entry, 64 at a time, so memory is that of 64 images in all layers and of the
        result.

        References
        ----------
        J. Joyce and J. Verschelde, arXiv:2408.07815, Theorem 3.1.
        """
        n_inputs = math.prod(self.input_shape)
        columns = []
        for start in range(0, n_inputs, _BATCH):
            rows = np.eye(min(_BATCH, n_inputs - start), n_inputs, k=start)
            values, read = self._forward(rows, biased=False)
            columns.append(sparse.csr_array(read if latent else values[-1]))
        values, read = self._forward(np.zeros((1, n_inputs)), biased=True)
        weight = sparse.csr_array(sparse.vstack(columns).T)
        return AffineMap(weight, (read if latent else values[-1])[0]).compacted()

    def _sources(self, i: int) -> list[tuple[int, float]]:
        """Return the k and t[k, i] that layer i + 1 reads."""
        pairs: Mapping[Pair, float] = self.weights  # type: ignore[assignment]  # checked and frozen in __post_init__
        return [(k, t) for (k, target), t in pairs.items() if target == i]

    def _resampled(self, value: Operator, pair: Pair) -> Operator:
        return self.resamplings[pair] @ value if pair in self.resamplings else value

    def _forward(self, points: FloatArray, *, biased: bool) -> tuple[list[FloatArray], FloatArray]:
        """Return all f_k at flat points (n, size), with or without every bias, and what the last layer reads."""
        values = [points]
        read = points
        for i, layer in enumerate(self.layers):
            read = np.zeros((len(points), layer.affine.n_inputs))
            for k, t in self._sources(i):
                own = self.resamplings.get((k, i))
                read += t * (values[k] if own is None else _apply(own.affine, values[k], biased=biased))
            values.append(_apply(layer.affine, read, biased=biased))
        return values, read

    def _fitting(self) -> dict[Pair, Operator]:
        """Return R[k, i] for every pair that needs one: those given, checked, and resamplings to the reader's shape."""
        shapes = [self.input_shape, *(layer.output_shape for layer in self.layers)]
        found = {}
        for pair, given in self.resamplings.items():
            k, i = _checked_pair(pair, len(self.layers), "resamplings")
            target = self.layers[i].input_shape
            if (given.input_shape, given.output_shape) != (shapes[k], target):
                raise SkipError(
                    f"resamplings[{k, i}] must map shape {shapes[k]} of f_{k} to shape {target} that layer {i + 1}"
                    f" reads, got {given.input_shape} to {given.output_shape}."
                )
            found[pair] = given
        for i, layer in enumerate(self.layers):
            target = layer.input_shape
            for k, _ in self._sources(i):
                if (k, i) in found or shapes[k] == target:
                    continue
                if len(shapes[k]) < 2 or (len(shapes[k]), shapes[k][0]) != (len(target), target[0]):
                    raise SkipError(
                        f"f_{k} of shape {shapes[k]} does not fit layer {i + 1}, which reads {target}, by resampling:"
                        f" channels or axes differ. Give an operator for it, resamplings={{{(k, i)}: ...}}."
                    )
                found[k, i] = resampling(shapes[k], target[1:], self.mode)
        return found


def _apply(affine: AffineMap, points: FloatArray, *, biased: bool) -> FloatArray:
    return affine(points) if biased else AffineMap(affine.weight, np.zeros(affine.n_outputs))(points)


def _checked_pair(pair: Any, n_layers: int, name: str) -> Pair:
    try:
        k, i = (int(index) for index in pair)
    except (TypeError, ValueError) as error:
        raise SkipError(f"{name} must have pairs (k, i) of integers as keys, got {pair!r}.") from error
    if not 0 <= k <= i < n_layers:
        raise SkipError(f"{name}: a pair (k, i) needs 0 <= k <= i < {n_layers} (the number of layers), got {(k, i)}.")
    return k, i


def _checked_weights(weights: Any, n_layers: int) -> dict[Pair, float]:
    """Return the t[k, i] that are not zero, by i and k."""
    if not isinstance(weights, Mapping):
        table = finite_array(weights, "weights")
        if table.shape != (n_layers, n_layers):
            raise ShapeError(
                f"weights must be a mapping from pairs (k, i), or an array of shape {(n_layers, n_layers)} (the number"
                f" of layers), got shape {table.shape}."
            )
        weights = {(k, i): t for (k, i), t in np.ndenumerate(table) if t != 0 or k <= i}
    values: dict[Pair, float] = {}
    for pair, t in weights.items():
        k, i = _checked_pair(pair, n_layers, "weights")
        values[k, i] = float(finite_array(t, f"weights[{k, i}]"))
    for i in range(n_layers):
        column = [t for (_, target), t in values.items() if target == i]
        if not column:
            values[i, i] = 1.0
        elif abs(math.fsum(column) - 1.0) > _SUM_TOLERANCE:
            raise SkipError(
                f"the weights t[k, {i}] for the input of layer {i + 1} must sum to one, got {math.fsum(column)!r}."
            )
    return {pair: values[pair] for pair in sorted(values, key=lambda pair: pair[::-1]) if values[pair] != 0.0}

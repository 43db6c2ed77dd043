"""Fully connected layers and batch normalisation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from tropnet.arrays.checks import finite_array
from tropnet.errors import ShapeError
from tropnet.network.affine import AffineMap, Matrix
from tropnet.operators.operator import Operator, as_shape, sparse_identity

__all__ = ["batch_norm", "linear"]


def linear(input_shape: Sequence[int], weight: ArrayLike, bias: ArrayLike | None = None) -> Operator:
    """Return the map x -> weight @ x + bias along the last axis, as `torch.nn.Linear` computes it.

    Parameters
    ----------
    input_shape
        (n_in,) or (..., n_in), without the batch. For a tensor as one vector, compose with `reshaping`.
    weight
        float64, shape (n_out, n_in).
    bias
        float64, shape (n_out,); none is zero.

    Returns
    -------
    Operator
        Dense for a vector, sparse where the matrix acts at several places.

    Raises
    ------
    ShapeError
        Shapes do not fit one another.
    NonFiniteError
        A weight or bias is not finite.

    Examples
    --------
    >>> linear((2,), [[1.0, -1.0]], [0.5])([3.0, 1.0])
    array([2.5])
    """
    *lead, n_in = as_shape(input_shape)
    matrix = finite_array(weight, "weight")
    if matrix.ndim != 2 or matrix.shape[1] != n_in or not len(matrix):
        hint = " Did you pass the transpose?" if matrix.ndim == 2 and matrix.shape[0] == n_in else ""
        raise ShapeError(
            f"weight must have shape (n_out, {n_in}), the last axis of input_shape, got {matrix.shape}.{hint}"
        )
    constant = np.zeros(len(matrix)) if bias is None else finite_array(bias, "bias")
    if constant.shape != (len(matrix),):
        raise ShapeError(f"bias must have shape ({len(matrix)},), got {constant.shape}.")
    places = math.prod(lead)
    block: Matrix = matrix
    if places > 1:
        block = sparse.kron(sparse_identity(places), sparse.csr_array(matrix), format="csr")
    return Operator(AffineMap(block, np.tile(constant, places)), (*lead, n_in), (*lead, len(matrix)))


def batch_norm(
    input_shape: Sequence[int],
    mean: ArrayLike,
    variance: ArrayLike,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    *,
    eps: float = 1e-5,
) -> Operator:
    """Return batch normalisation by stored statistics, as `torch.nn.BatchNorm2d` computes it in eval mode.

    ``y[c] = (x[c] - mean[c]) / sqrt(variance[c] + eps) * weight[c] + bias[c]``. In training mode, where the mean and
    the variance are those of the batch, it is not affine.

    Parameters
    ----------
    input_shape
        Channels first, then any axes, without the batch.
    mean, variance, weight, bias
        float64, shape (channels,); without them weight is one and bias zero.
    eps
        Added to the variance; the sum must be positive.

    Returns
    -------
    Operator
        Sparse and diagonal.

    Raises
    ------
    ShapeError
        A parameter has not one entry per channel, or a variance plus `eps` is not positive.
    NonFiniteError
        A parameter is not finite.

    Examples
    --------
    >>> batch_norm((2,), [1.0, 0.0], [4.0, 1.0], [1.0, 3.0], [0.0, 1.0], eps=0.0)([5.0, 2.0])
    array([2., 7.])
    """
    shape = as_shape(input_shape)
    given = {
        "mean": mean,
        "variance": variance,
        "weight": np.ones(shape[0]) if weight is None else weight,
        "bias": np.zeros(shape[0]) if bias is None else bias,
    }
    parameters = {name: finite_array(values, name) for name, values in given.items()}
    for name, values in parameters.items():
        if values.shape != shape[:1]:
            raise ShapeError(f"{name} must have one entry per channel ({shape[0]}), got shape {values.shape}.")
    spread = parameters["variance"] + eps
    if not (spread > 0).all():
        raise ShapeError(f"variance + eps must be positive, got {spread.min():.3g} in channel {spread.argmin()}.")
    scale = parameters["weight"] / np.sqrt(spread)
    shift = parameters["bias"] - parameters["mean"] * scale
    places = math.prod(shape[1:])
    matrix = sparse.csr_array(sparse.diags_array(np.repeat(scale, places)))
    return Operator(AffineMap(matrix, np.repeat(shift, places)), shape, shape)

"""Collapsing an affine PyTorch module, of whatever depth and with whatever skips, to one affine map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy import sparse

from tropnet.arrays.types import FloatArray
from tropnet.errors import NonFiniteError, TropnetError, UnsupportedModuleError
from tropnet.importers.torch.interpreter import AffineInterpreter
from tropnet.importers.torch.tracing import Widening, float64_copy, trace
from tropnet.network.affine import AffineMap
from tropnet.operators.operator import as_shape

__all__ = ["affine_part", "collapse"]

_TOLERANCE = 1e-10
_N_CHECKED_POINTS = 5
_MEMORY_BYTES = 2**28
# Of each value: itself, two derivatives, and what PyTorch lays out beside them.
_BYTES_PER_ENTRY = 64


def collapse(module: Any, input_shape: Sequence[int]) -> AffineMap:
    """Return the affine map that a PyTorch module computes, refusing modules that are not affine.

    By Theorem 3.1, ``f(x) = f_W(1) x + f(0)``: evaluate the module on zero for the bias, and without its biases on the
    identity for the matrix.

    Parameters
    ----------
    module
        Any torch.nn.Module of one tensor whose graph is affine: convolutions, linear layers, batch norm and dropout in
        eval mode, average pooling, padding, resampling, sums, concatenations, slices, reshapes, products with
        constants. It is not changed.
    input_shape
        Shape of one input, without the batch, as in (1, 28, 28).

    Returns
    -------
    AffineMap
        From the input flattened in C order to the output flattened likewise, float64; sparse if at most a quarter of
        the matrix is not zero.

    Raises
    ------
    UnsupportedModuleError
        A step is not affine, is not known to be, or the forward decides by its data. The message gives the qualified
        name of every such module, or the function and in whose forward, and why.
    ShapeError
        `input_shape` is no shape, or the module does not take it or does not give one tensor per input.
    NonFiniteError
        The map holds NaN or infinities.
    TropnetError
        At a random point the map differs from the module by more than 1e-10 of the largest sum ``|W| |x| + |b|`` of its
        outputs: the module mixes the entries of a batch, acts at random, changes with every call, or cancels.

    Notes
    -----
    The graph is known to be affine from tracing (torch.fx); random points only check that nothing escaped. The
    bias-free recursion f_W of the theorem is the module's derivative, the same at every point; that is evaluated, not a
    difference of rounded values, so that zeros of the matrix are exact zeros. On the identity of the outputs it gives
    the rows of the matrix, on that of the inputs the columns: one evaluation per output or input, whichever are fewer,
    in batches of about 256 MB beside the matrix.

    Parameters are widened to float64 exactly: the outputs of a float32 module differ from the map by their rounding.

    References
    ----------
    J. Joyce and J. Verschelde, arXiv:2408.07815, Theorem 3.1.

    Examples
    --------
    >>> from torch import nn
    >>> module = nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.LeakyReLU(1.0))
    >>> collapse(module, (1, 2, 4)).to_dense().weight
    array([[0.25, 0.25, 0.  , 0.  , 0.25, 0.25, 0.  , 0.  ],
           [0.  , 0.  , 0.25, 0.25, 0.  , 0.  , 0.25, 0.25]])
    >>> collapse(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), (2,))
    Traceback (most recent call last):
    ...
    tropnet.errors.UnsupportedModuleError: the module must be affine, but 1 (torch.nn.modules.activation.ReLU) is
    piecewise linear, not affine.
    """
    shape = as_shape(input_shape)
    copy = float64_copy(module)
    # A dropout that is refused still draws; the caller's random numbers are not ours.
    with torch.random.fork_rng(devices=[]), torch.no_grad(), Widening():
        reader = AffineInterpreter(trace(copy, shape))
        reader.read(shape)
        try:
            affine = affine_part(copy, shape, reader.entries)
        except RuntimeError as error:  # what the graph does not show: forward turns derivatives off, overwrites values
            raise UnsupportedModuleError(
                f"the module must have derivatives in PyTorch, which raises: {error}"
            ) from error
        _verify(affine, copy, shape)
    return affine


def affine_part(copy: Any, shape: tuple[int, ...], entries: int) -> AffineMap:
    """Return the map of an affine module or function of a batch, from its value on zero and its derivative.

    The derivative is evaluated on the identity of the smaller side.

    Parameters
    ----------
    copy
        Takes a tensor (n, *shape) of float64 and returns one with n rows.
    shape
        Of one input.
    entries
        How many numbers the values on the way hold for one input; batches are made so that they fit into memory.
    """
    bias = copy(torch.zeros(1, *shape, dtype=torch.float64))
    n_inputs, n_outputs = math.prod(shape), bias.numel()
    by_rows = n_outputs <= n_inputs
    n = n_outputs if by_rows else n_inputs
    batch = max(1, min(n, _MEMORY_BYTES // (_BYTES_PER_ENTRY * max(entries, n_inputs, n_outputs))))
    blocks: list[Any] = []
    for start in range(0, n, batch):
        directions = torch.zeros(min(batch, n - start), n, dtype=torch.float64)
        directions[:, start : start + batch].fill_diagonal_(1.0)
        products = _products(copy, directions, shape, tuple(bias.shape[1:]), by_rows=by_rows)
        blocks.append(AffineMap(products, np.zeros(len(products))).compacted().weight)
    if all(sparse.issparse(block) for block in blocks):
        weight = sparse.vstack(blocks, format="csr")
    else:
        weight = np.concatenate([block.toarray() if sparse.issparse(block) else block for block in blocks])
    constant = np.asarray(bias.numpy().ravel())
    if not (np.isfinite(weight.sum()) and np.isfinite(constant).all()):
        raise NonFiniteError("the affine map of the module must be finite, but it holds NaN or infinities.")
    return AffineMap(weight if by_rows else weight.T, constant).compacted()


def _products(
    copy: Any, directions: Any, shape: tuple[int, ...], output_shape: tuple[int, ...], *, by_rows: bool
) -> FloatArray:
    """Return directions @ W, or directions @ W.T, where W is the linear part of the module; one row per direction.

    The derivative of an affine map is its linear part at every point, so the bias-free recursion f_W. Backwards it
    gives v -> v W; that is linear in v, and its own derivative gives u -> u W.T.
    """
    n = len(directions)
    with torch.enable_grad():
        x = torch.zeros(n, *shape, dtype=torch.float64, requires_grad=True)
        outputs = copy(x.clone())  # a module may write into its input, but not into a leaf of the derivative
        if not outputs.requires_grad:
            return np.zeros((n, math.prod(shape if by_rows else output_shape)))
        if by_rows:
            rows_or_columns = torch.autograd.grad(outputs, x, directions.reshape(outputs.shape))[0]
        else:
            v = torch.zeros_like(outputs, requires_grad=True)
            backwards = torch.autograd.grad(outputs, x, v, create_graph=True)[0]
            rows_or_columns = torch.autograd.grad(backwards, v, directions.reshape(x.shape))[0]
    return np.asarray(rows_or_columns.detach().reshape(n, -1).numpy())


def _verify(affine: AffineMap, copy: Any, shape: tuple[int, ...]) -> None:
    """Compare map and module at random points, in a batch and alone."""
    points = np.random.default_rng(0).normal(size=(_N_CHECKED_POINTS, *shape))
    points[::2] *= 10
    flat = points.reshape(len(points), -1)
    terms = AffineMap(abs(affine.weight), abs(affine.bias))(abs(flat))
    mapped = affine(flat)
    for rows in (slice(None), slice(0, 1)):
        expected = _outputs(copy, points[rows])
        error = abs(mapped[rows] - expected) if expected.shape == mapped[rows].shape else np.full((1, 1), np.inf)
        allowed = _TOLERANCE * terms[rows]
        if not (error <= allowed).all():
            raise TropnetError(
                f"the affine map must give the module's outputs, but for a batch of {len(points[rows])} random inputs"
                f" they differ by {np.nanmax(error):.3g} (allowed {allowed.max():.3g}). Does the module mix the entries"
                " of a batch, act at random, keep a state, turn derivatives off, or cancel large values? Else please"
                " report the module."
            )


def _outputs(copy: Any, points: FloatArray) -> FloatArray:
    outputs = copy(torch.from_numpy(points.copy()))
    return np.asarray(outputs.reshape(len(outputs), -1).numpy())

"""Padding as a sparse matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from tropnet.arrays.checks import finite_array
from tropnet.errors import ShapeError
from tropnet.operators.operator import Operator, as_channels, separable

__all__ = ["padding"]

_MODES = ("constant", "reflect", "replicate", "circular")


def padding(
    input_shape: Sequence[int], widths: int | Sequence[Any], mode: str = "constant", value: float = 0.0
) -> Operator:
    """Return the padding of every axis but the channels, as `torch.nn.functional.pad` computes it.

    Parameters
    ----------
    input_shape
        (channels, length) or (channels, height, width), without the batch.
    widths
        How many entries to add: one number for all sides, or one per axis, or one pair (before, after) per axis.
        PyTorch lists the pairs the other way round, last axis first.
    mode
        "constant"; "reflect" (mirror at the outermost entry, which is not repeated, as in 2 1 [0 1 2] 1 0);
        "replicate" (repeat the outermost entry); "circular" (continue at the other end).
    value
        The constant.

    Returns
    -------
    Operator
        Sparse with one entry per row; rows of a constant are empty, and a constant other than zero is the bias there.

    Raises
    ------
    ShapeError
        A width is negative, or there are not as many as axes; a mirrored width is not less than the axis' length, a
        circular one is more; or the mode is unknown.
    NonFiniteError
        `value` is not finite.

    Notes
    -----
    A convolution keeps the size of its input if k - 1 entries are added in total along an axis with kernel size k
    (section 3.1.2 of the reference says: on each side).

    References
    ----------
    J. Joyce and J. Verschelde, arXiv:2408.07815, (8)-(9).

    Examples
    --------
    >>> padding((1, 3), [(2, 1)], "reflect")([[0.0, 1.0, 2.0]])
    array([[2., 1., 0., 1., 2., 1.]])
    """
    channels, lengths = as_channels(input_shape)
    pairs = _pairs(widths, len(lengths))
    if mode not in _MODES:
        raise ShapeError(f"mode must be one of {', '.join(_MODES)}, got {mode!r}.")
    constant = float(finite_array(value, "value"))
    matrices = [_matrix(length, *pair, mode) for length, pair in zip(lengths, pairs, strict=True)]
    return separable((channels, *lengths), matrices, constant)


def _pairs(widths: Any, n_axes: int) -> list[tuple[int, int]]:
    try:
        pairs = np.broadcast_to(np.asarray(widths).T, (2, n_axes)).T
    except ValueError:
        pairs = np.empty((0, 2), dtype=np.float64)
    if pairs.dtype.kind not in "iu" or (pairs < 0).any():
        raise ShapeError(
            f"widths must be an integer >= 0, one per axis, or a pair (before, after) per axis ({n_axes}), got"
            f" {widths!r}. To cut entries off, use selection."
        )
    return [(int(before), int(after)) for before, after in pairs]


def _matrix(length: int, before: int, after: int, mode: str) -> sparse.csr_array:
    """Return the matrix (before + length + after, length) along one axis."""
    widest = max(before, after)
    if mode in ("reflect", "circular") and widest > length - (mode == "reflect"):
        bound = "less than" if mode == "reflect" else "at most"
        raise ShapeError(f"{mode} padding must be {bound} the length {length} of its axis, got {(before, after)}.")
    places = np.arange(-before, length + after)
    if mode == "reflect":
        places = np.abs(places)
        columns = np.where(places >= length, 2 * (length - 1) - places, places)
    elif mode == "circular":
        columns = places % length
    else:
        columns = np.clip(places, 0, length - 1)
    rows = np.arange(len(places))
    if mode == "constant":
        inside = places == columns
        rows, columns = rows[inside], columns[inside]
    return sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(places), length))

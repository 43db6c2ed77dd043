"""Resampling (interpolation to another size) as a sparse matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tropnet.arrays.checks import finite_array
from tropnet.errors import ShapeError
from tropnet.operators.operator import Operator, as_channels, one_per_axis, separable

__all__ = ["RESAMPLING_MODES", "resampling"]

RESAMPLING_MODES = ("nearest", "nearest-exact", "bilinear")


def resampling(
    input_shape: Sequence[int],
    size: int | Sequence[int] | None = None,
    mode: str = "nearest-exact",
    *,
    scale_factor: float | Sequence[float] | None = None,
    align_corners: bool = False,
) -> Operator:
    """Return the resampling of every axis but the channels, as `torch.nn.functional.interpolate` computes it.

    With scale = length before / length after, output o reads

    - "nearest": input floor(o * scale);
    - "nearest-exact": input floor((o + 1/2) * scale), the input whose cell holds the centre of the output's cell;
    - "bilinear" (along one axis: linear): the two inputs beside (o + 1/2) * scale - 1/2, by their distance, cut off at
      the first and last; with `align_corners` those beside o * (length before - 1) / (length after - 1).

    The transformation matrix (6) of the reference is "nearest-exact", which is also what Pillow and scikit-image do.

    Parameters
    ----------
    input_shape
        (channels, length) or (channels, height, width), without the batch.
    size
        Lengths after: one for all axes, or one per axis.
    mode
        "nearest", "nearest-exact" or "bilinear".
    scale_factor
        Instead of `size`, one positive number or one per axis: the length after is floor(length * scale_factor), and
        the scale above 1 / scale_factor.
    align_corners
        For "bilinear": the first and the last entry stay where they are.

    Returns
    -------
    Operator
        Sparse; one entry per row for the nearest modes, at most two to the number of axes for "bilinear".

    Raises
    ------
    ShapeError
        Neither or both of `size` and `scale_factor` are given, they do not fit, or the mode is unknown.

    Notes
    -----
    Where o * scale or (o + 1/2) * scale is an integer, rounding decides between two entries. Along one axis PyTorch
    takes that integer; for images it rounds the scale to float32, whatever the type of the image, and can take the
    entry before it (26 pixels to 11, "nearest-exact": the one in the middle is 12, not 13). So does this operator,
    because another entry is another map.

    References
    ----------
    J. Joyce and J. Verschelde, arXiv:2408.07815, (6)-(7).

    Examples
    --------
    >>> image = [[[1.0, 2.0], [3.0, 4.0]]]
    >>> resampling((1, 2, 2), (3, 4))(image)
    array([[[1., 1., 2., 2.], [3., 3., 4., 4.], [3., 3., 4., 4.]]])
    >>> resampling((1, 2, 2), (3, 4), "nearest")(image)
    array([[[1., 1., 2., 2.], [1., 1., 2., 2.], [3., 3., 4., 4.]]])
    """
    channels, lengths = as_channels(input_shape)
    n_axes = len(lengths)
    if mode not in RESAMPLING_MODES:
        raise ShapeError(f"mode must be one of {', '.join(RESAMPLING_MODES)}, got {mode!r}.")
    if align_corners and mode != "bilinear":
        raise ShapeError(f'align_corners has a meaning for mode="bilinear" only, got {mode!r}.')
    if (size is None) == (scale_factor is None):
        raise ShapeError(f"give either size or scale_factor, got {size} and {scale_factor}.")
    factors: list[float | None] = [None] * n_axes
    if scale_factor is None:
        sizes = one_per_axis(size, n_axes, "size", 1)
    else:
        given = finite_array(scale_factor, "scale_factor")
        if given.shape not in ((), (n_axes,)) or (given <= 0).any():
            raise ShapeError(f"scale_factor must be a positive number, or one per axis ({n_axes}), got {scale_factor}.")
        factors = np.broadcast_to(given, (n_axes,)).tolist()
        sizes = tuple(int(length * factor) for length, factor in zip(lengths, factors, strict=True) if factor)
        if min(sizes) < 1:
            raise ShapeError(f"scale_factor {scale_factor} leaves nothing of the lengths {lengths}.")
    axes = zip(lengths, sizes, factors, strict=True)
    if mode == "bilinear":
        matrices = [_linear(*axis, align_corners=align_corners) for axis in axes]
    else:
        matrices = [_nearest(*axis, centred=mode == "nearest-exact", rounded=n_axes > 1) for axis in axes]
    return separable((channels, *lengths), matrices)


def _nearest(length: int, size: int, factor: float | None, *, centred: bool, rounded: bool) -> sparse.csr_array:
    """Return the matrix of a nearest mode; `rounded` takes scale and places in float32."""
    outputs = np.arange(size)
    if rounded and not centred and size in (length, 2 * length):
        columns = outputs // (size // length)  # PyTorch's shortcut, whatever the factor that gave the size
    elif rounded:
        scale = np.float32(length) / np.float32(size) if factor is None else np.float32(1.0 / factor)
        columns = np.floor((outputs.astype(np.float32) + np.float32(0.5 * centred)) * scale).astype(np.int64)
    elif factor is None:
        columns = (2 * outputs + centred) * length // (2 * size)
    else:
        columns = np.floor(((outputs + 0.5 * centred) * (1.0 / factor)).astype(np.float32)).astype(np.int64)
    columns = np.minimum(columns, length - 1)
    return sparse.csr_array((np.ones(size), columns, np.arange(size + 1)), shape=(size, length))


def _linear(length: int, size: int, factor: float | None, *, align_corners: bool) -> sparse.csr_array:
    outputs = np.arange(size)
    places: NDArray[Any]
    if size == length:
        places = outputs.astype(np.float64)  # PyTorch copies, whatever the factor that gave the size
    elif align_corners:
        places = outputs * ((length - 1) / (size - 1) if size > 1 else 0.0)
    else:
        scale = length / size if factor is None else 1.0 / factor
        places = np.maximum((outputs + 0.5) * scale - 0.5, 0.0)
    below = np.minimum(np.floor(places).astype(np.int64), length - 1)
    share = np.where(below < length - 1, places - below, 0.0)
    shares = np.concatenate([1.0 - share, share])
    columns = np.concatenate([below, np.minimum(below + 1, length - 1)])
    kept = shares != 0.0
    rows = np.tile(outputs, 2)[kept]
    return sparse.csr_array((shares[kept], (rows, columns[kept])), shape=(size, length))

"""Average pooling as a sparse matrix; max-pooling is not affine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tropnet.errors import ShapeError
from tropnet.operators.operator import Operator, as_channels, one_per_axis, separable

__all__ = ["adaptive_average_pooling", "average_pooling"]


def average_pooling(
    input_shape: Sequence[int],
    kernel_size: int | Sequence[int],
    *,
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: int | None = None,
) -> Operator:
    """Return average pooling over windows, as `torch.nn.AvgPool1d` and `AvgPool2d` compute it.

    Parameters
    ----------
    input_shape
        (channels, length) or (channels, height, width), without the batch.
    kernel_size
        Lengths of a window, one for all axes or one per axis.
    stride
        From a window to the next; the kernel size if none is given.
    padding
        Zeros added on each side of each axis, at most half the kernel size.
    ceil_mode
        Whether a last window that is cut off by the end of an axis counts; it must start within the input or the
        padding before it.
    count_include_pad
        Whether the zeros of the padding count in the mean.
    divisor
        Divide each sum by this number instead of the number of entries in the window.

    Returns
    -------
    Operator
        Sparse.

    Raises
    ------
    ShapeError
        A length is not positive, the padding is more than half a window, or no window fits.

    Examples
    --------
    >>> average_pooling((1, 4), 2)([[1.0, 3.0, 5.0, 9.0]])
    array([[2., 7.]])
    """
    channels, lengths = as_channels(input_shape)
    n_axes = len(lengths)
    sizes = one_per_axis(kernel_size, n_axes, "kernel_size", 1)
    steps = sizes if stride is None else one_per_axis(stride, n_axes, "stride", 1)
    pads = one_per_axis(padding, n_axes, "padding", 0)
    if any(2 * pad > size for pad, size in zip(pads, sizes, strict=True)):
        raise ShapeError(f"padding must be at most half of kernel_size {sizes}, got {pads}.")
    if divisor is not None and divisor < 1:
        raise ShapeError(f"divisor must be a positive integer, got {divisor}.")
    matrices = []
    for length, size, step, pad in zip(lengths, sizes, steps, pads, strict=True):
        free = length + 2 * pad - size
        n_out = (-(-free // step) if ceil_mode else free // step) + 1
        if ceil_mode and (n_out - 1) * step >= length + pad:
            n_out -= 1
        if (free < 0 and not ceil_mode) or n_out < 1:
            raise ShapeError(f"a window of kernel_size {sizes} must fit into the input {lengths} padded by {pads}.")
        starts = np.arange(n_out) * step - pad
        ends = np.minimum(starts + size, length + pad)
        counts = ends - starts
        starts, ends = np.maximum(starts, 0), np.minimum(ends, length)
        if divisor is not None:
            counts = np.ones(n_out, dtype=np.int64)
        elif not count_include_pad:
            counts = ends - starts
        matrices.append(_means(length, starts, ends, counts))
    pooled = separable((channels, *lengths), matrices)
    return pooled if divisor is None else (1.0 / divisor) * pooled


def adaptive_average_pooling(input_shape: Sequence[int], output_size: int | Sequence[int | None]) -> Operator:
    """Return average pooling to a given size, as `torch.nn.AdaptiveAvgPool1d` and `AdaptiveAvgPool2d` compute it.

    Output o averages the inputs from floor(o n / m) up to, not including, ceil((o + 1) n / m), for length n before and
    m after.

    Parameters
    ----------
    input_shape
        (channels, length) or (channels, height, width), without the batch.
    output_size
        Lengths after, one for all axes or one per axis; None keeps the length of its axis.

    Returns
    -------
    Operator
        Sparse.

    Raises
    ------
    ShapeError
        There are not as many lengths as axes, or one is not positive.

    Examples
    --------
    >>> adaptive_average_pooling((1, 3), 2)([[1.0, 3.0, 7.0]])
    array([[2., 5.]])
    """
    channels, lengths = as_channels(input_shape)
    if isinstance(output_size, Sequence) and len(output_size) == len(lengths):
        output_size = [length if size is None else size for size, length in zip(output_size, lengths, strict=True)]
    sizes = one_per_axis(output_size, len(lengths), "output_size", 1)
    matrices = []
    for length, size in zip(lengths, sizes, strict=True):
        outputs = np.arange(size)
        starts, ends = outputs * length // size, -(-(outputs + 1) * length // size)
        matrices.append(_means(length, starts, ends, ends - starts))
    return separable((channels, *lengths), matrices)


def _means(
    length: int, starts: NDArray[np.int64], ends: NDArray[np.int64], counts: NDArray[np.int64]
) -> sparse.csr_array:
    """Return the matrix whose row o sums the inputs from starts[o] to ends[o] and divides by counts[o]."""
    widths = ends - starts
    pointers = np.concatenate([[0], np.cumsum(widths)])
    columns = np.arange(pointers[-1]) - np.repeat(pointers[:-1] - starts, widths)
    values = np.repeat(1.0 / counts, widths)
    return sparse.csr_array((values, columns, pointers), shape=(len(starts), length))

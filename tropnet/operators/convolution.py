"""Convolution (cross-correlation, as networks use the word) and its transpose as sparse matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from tropnet.arrays.checks import finite_array
from tropnet.arrays.types import FloatArray
from tropnet.errors import ShapeError
from tropnet.network.affine import AffineMap
from tropnet.operators.operator import Operator, Shape, as_channels, one_per_axis
from tropnet.operators.padding import padding as padding_operator

__all__ = ["convolution", "transposed_convolution"]

Indices: TypeAlias = NDArray[np.int64]


def convolution(
    input_shape: Sequence[int],
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: int | Sequence[int] = 1,
    padding: int | str | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
) -> Operator:
    """Return a convolution over any number of axes, as `torch.nn.Conv1d` and `Conv2d` compute it.

    ``y[c, o] = bias[c] + sum over i, a of weight[c, i, a] x[g + i, stride o - padding + dilation a]``, where g is the
    first channel of the group of c.

    Parameters
    ----------
    input_shape
        (channels, length) or (channels, height, width), without the batch.
    weight
        float64, shape (channels out, channels in / groups, kernel size along each axis).
    bias
        float64, shape (channels out,); none is zero.
    stride, dilation
        One positive integer, or one per axis.
    padding
        Entries added on each side of each axis, or "valid" (none), or "same" (the output keeps the input's size; where
        dilation * (kernel size - 1) is odd, the extra entry comes last).
    groups
        Output channels read the input channels of their own group only.
    padding_mode
        "zeros", "reflect", "replicate" or "circular".

    Returns
    -------
    Operator
        Sparse, one stored entry for each product that the convolution computes.

    Raises
    ------
    ShapeError
        Shapes or options do not fit one another, or the kernel is larger than the padded input.
    NonFiniteError
        A weight or bias is not finite.

    References
    ----------
    J. Joyce and J. Verschelde, arXiv:2408.07815, section 2.

    Examples
    --------
    >>> difference = convolution((1, 4), [[[-1.0, 1.0]]])
    >>> difference([[1.0, 2.0, 4.0, 8.0]])
    array([[1., 2., 4.]])
    """
    channels, lengths = as_channels(input_shape)
    kernel = _kernel(weight, len(lengths))
    _check_groups(groups, channels, kernel.shape[1] * groups, kernel.shape[0])
    n_axes = len(lengths)
    steps = one_per_axis(stride, n_axes, "stride", 1)
    gaps = one_per_axis(dilation, n_axes, "dilation", 1)
    pads = _pads(padding, kernel.shape[2:], gaps, steps)
    if padding_mode != "zeros":
        padded = padding_operator(input_shape, pads, padding_mode)
        inner = convolution(padded.output_shape, kernel, bias, stride=steps, dilation=gaps, groups=groups)
        return inner @ padded
    spans = [gap * (size - 1) + 1 for gap, size in zip(gaps, kernel.shape[2:], strict=True)]
    free = [length + sum(pad) - span for length, pad, span in zip(lengths, pads, spans, strict=True)]
    if min(free) < 0:
        raise ShapeError(
            f"the kernel must fit into the padded input, but it spans {tuple(spans)} (size {kernel.shape[2:]}, dilation"
            f" {gaps}) and the input {lengths} is padded by {pads}."
        )
    outputs = tuple(room // step + 1 for room, step in zip(free, steps, strict=True))
    taps = [
        _taps(*axis) for axis in zip(lengths, outputs, kernel.shape[2:], steps, [p for p, _ in pads], gaps, strict=True)
    ]
    matrix = _assemble(kernel, groups, taps, lengths, outputs)
    return Operator(
        AffineMap(matrix, _spread(bias, kernel.shape[0], outputs)), (channels, *lengths), (kernel.shape[0], *outputs)
    )


def transposed_convolution(
    input_shape: Sequence[int],
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Operator:
    """Return a transposed convolution, as `torch.nn.ConvTranspose1d` and `ConvTranspose2d` compute it.

    Its matrix is the transpose of that of the convolution with the same kernel and options, from the output's shape
    to the input's.

    Parameters
    ----------
    input_shape
        (channels, length) or (channels, height, width), without the batch.
    weight
        float64, shape (channels in, channels out / groups, kernel size along each axis).
    bias
        float64, shape (channels out,); none is zero.
    stride, padding, dilation, groups
        Those of the convolution that is transposed.
    output_padding
        Entries added at the end of each axis of the output; less than stride or dilation.

    Returns
    -------
    Operator
        Sparse; the output has (length - 1) * stride - 2 padding + dilation * (kernel size - 1) + output_padding + 1
        entries along each axis.

    Raises
    ------
    ShapeError
        Shapes or options do not fit one another, or nothing is left of the output.
    NonFiniteError
        A weight or bias is not finite.

    Examples
    --------
    >>> transposed_convolution((1, 2), [[[1.0, 10.0]]], stride=2)([[3.0, 4.0]])
    array([[ 3., 30.,  4., 40.]])
    """
    channels, lengths = as_channels(input_shape)
    kernel = _kernel(weight, len(lengths))
    _check_groups(groups, channels, kernel.shape[0], kernel.shape[1] * groups)
    n_axes = len(lengths)
    steps = one_per_axis(stride, n_axes, "stride", 1)
    gaps = one_per_axis(dilation, n_axes, "dilation", 1)
    pads = one_per_axis(padding, n_axes, "padding", 0)
    extras = one_per_axis(output_padding, n_axes, "output_padding", 0)
    options = list(zip(lengths, kernel.shape[2:], steps, pads, gaps, extras, strict=True))
    for _, _, step, _, gap, extra in options:
        if extra >= max(step, gap):
            raise ShapeError(f"output_padding must be less than stride or dilation, got {extras} with {steps}, {gaps}.")
    outputs = tuple(
        (length - 1) * step - 2 * pad + gap * (size - 1) + extra + 1 for length, size, step, pad, gap, extra in options
    )
    if min(outputs) < 1:
        raise ShapeError(f"the output must have positive lengths, got {outputs}; is padding {pads} too large?")
    taps = [
        _taps(output, length, size, step, pad, gap)
        for output, (length, size, step, pad, gap, _) in zip(outputs, options, strict=True)
    ]
    # The forward convolution reads the output's shape and gives the input's.
    matrix = sparse.csr_array(_assemble(kernel, groups, taps, outputs, lengths).T)
    n_out = kernel.shape[1] * groups
    return Operator(AffineMap(matrix, _spread(bias, n_out, outputs)), (channels, *lengths), (n_out, *outputs))


def _kernel(weight: ArrayLike, n_axes: int) -> FloatArray:
    kernel = finite_array(weight, "weight")
    if kernel.ndim != n_axes + 2 or not kernel.size:
        raise ShapeError(
            f"weight must have {n_axes + 2} axes (two of channels, {n_axes} of the kernel) without zero lengths,"
            f" got shape {kernel.shape}."
        )
    return kernel


def _check_groups(groups: int, channels: int, expected: int, n_strided: int) -> None:
    """Raise ShapeError unless the input's channels are those of the kernel, and both ends divide into groups."""
    if groups < 1 or channels % groups or n_strided % groups:
        raise ShapeError(f"groups must divide the channels in ({channels}) and out ({n_strided}), got {groups}.")
    if channels != expected:
        raise ShapeError(f"the input must have the {expected} channels that weight and groups ask for, got {channels}.")


def _pads(padding: Any, sizes: Sequence[int], gaps: Shape, steps: Shape) -> tuple[tuple[int, int], ...]:
    """Return (before, after) along each axis."""
    if not isinstance(padding, str):
        return tuple((pad, pad) for pad in one_per_axis(padding, len(sizes), "padding", 0))
    if padding not in ("same", "valid"):
        raise ShapeError(f'padding must be an integer, one per axis, "same" or "valid", got {padding!r}.')
    if padding == "valid":
        return ((0, 0),) * len(sizes)
    if max(steps) > 1:
        raise ShapeError(f'padding="same" needs stride 1, got {steps}.')
    totals = [gap * (size - 1) for gap, size in zip(gaps, sizes, strict=True)]
    return tuple((total // 2, total - total // 2) for total in totals)


def _taps(n_in: int, n_out: int, size: int, step: int, pad: int, gap: int) -> tuple[Indices, Indices, Indices]:
    """Return all (kernel entry, output, input) along one axis where the kernel meets an input and not the padding."""
    entries, outputs = np.indices((size, n_out)).reshape(2, -1)
    inputs = outputs * step - pad + entries * gap
    inside = (inputs >= 0) & (inputs < n_in)
    return entries[inside], outputs[inside], inputs[inside]


def _assemble(
    kernel: FloatArray,
    groups: int,
    taps: Sequence[tuple[Indices, Indices, Indices]],
    lengths: Sequence[int],
    outputs: Sequence[int],
) -> sparse.csr_array:
    """Return the matrix of a convolution without bias: channels and the taps of each axis in all combinations."""
    n_out, n_within = kernel.shape[:2]
    to, within = np.indices((n_out, n_within)).reshape(2, -1)
    rows, columns = to, within + n_within * (to // (n_out // groups))
    entries = to * n_within + within
    for (entry, output, input_), size, n_output, length in zip(taps, kernel.shape[2:], outputs, lengths, strict=True):
        rows = (rows[:, None] * n_output + output).ravel()
        columns = (columns[:, None] * length + input_).ravel()
        entries = (entries[:, None] * size + entry).ravel()
    shape = (n_out * math.prod(outputs), groups * n_within * math.prod(lengths))
    return sparse.csr_array(sparse.coo_array((kernel.ravel()[entries], (rows, columns)), shape=shape))


def _spread(bias: ArrayLike | None, channels: int, lengths: Sequence[int]) -> FloatArray:
    """Return one bias per channel at every place of the flattened output."""
    values = np.zeros(channels) if bias is None else finite_array(bias, "bias")
    if values.shape != (channels,):
        raise ShapeError(f"bias must have one entry per output channel ({channels}), got shape {values.shape}.")
    return np.repeat(values, math.prod(lengths))

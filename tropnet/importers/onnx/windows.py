"""Convolution, pooling and normalisation as ONNX's operators define them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from tropnet.importers.common.expression import Expression, Indices
from tropnet.importers.common.lowering import RefusedError, sliding_windows, windows_of
from tropnet.importers.onnx.steps import Step, along_axes
from tropnet.network.affine import Matrix
from tropnet.operators import batch_norm, convolution, padding, transposed_convolution
from tropnet.operators.operator import Operator, Shape, sparse_identity

__all__ = ["average_pool", "batch_normalised", "convolved", "max_pool", "transposed_convolved"]

_EPSILON = float(np.float32(1e-5))


def _each(x: Expression, operator: Callable[[Shape], Operator]) -> Expression:
    """Return the images of the entries of the first axis, under an operator on tensors of one."""
    made = operator(x.shape[1:])
    n = x.shape[0]
    weight: Matrix = made.affine.weight
    if n > 1:
        weight = sparse.csr_array(sparse.kron(sparse_identity(n), sparse.csr_array(weight)))
    bias = np.tile(made.affine.bias, n) if made.affine.bias.any() else None
    return x.mapped(weight, bias, (n, *made.output_shape))


def _pads(step: Step, sizes: Sequence[int], steps: Sequence[int], gaps: Sequence[int]) -> list[tuple[int, int]]:
    """Return the padding before and after each axis."""
    n_axes, mode = len(sizes), step.attributes.get("auto_pad", b"NOTSET").decode()
    if mode in ("NOTSET", "VALID"):
        pads = step.attributes.get("pads", [0] * 2 * n_axes) if mode == "NOTSET" else [0] * 2 * n_axes
        return list(zip(pads[:n_axes], pads[n_axes:], strict=True))
    found = []
    for length, size, stride, gap in zip(step.x.shape[-n_axes:], sizes, steps, gaps, strict=True):
        whole = max(0, (-(-length // stride) - 1) * stride + gap * (size - 1) + 1 - length)
        less, more = whole // 2, whole - whole // 2
        found.append((less, more) if mode == "SAME_UPPER" else (more, less))
    return found


def _window(step: Step, sizes: Sequence[int]) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    steps = list(step.attributes.get("strides", [1] * len(sizes)))
    gaps = list(step.attributes.get("dilations", [1] * len(sizes)))
    return steps, gaps, _pads(step, sizes, steps, gaps)


def convolved(step: Step) -> Expression:
    """Return Conv."""
    weight, bias = step.fixed(1), step.fixed(2)
    steps, gaps, pads = _window(step, weight.shape[2:])
    x = step.x
    if any(before or after for before, after in pads):
        x = _each(x, lambda shape: padding(shape, pads))
    groups = step.attributes.get("group", 1)
    return _each(x, lambda shape: convolution(shape, weight, bias, stride=steps, dilation=gaps, groups=groups))


def transposed_convolved(step: Step) -> Expression:
    """Return ConvTranspose: the whole transposed convolution, cut to the output's places."""
    weight, bias = step.fixed(1), step.fixed(2)
    sizes, lengths = weight.shape[2:], step.x.shape[2:]
    n_axes = len(sizes)
    steps = list(step.attributes.get("strides", [1] * n_axes))
    gaps = list(step.attributes.get("dilations", [1] * n_axes))
    more = list(step.attributes.get("output_padding", [0] * n_axes))
    groups = step.attributes.get("group", 1)
    mode = step.attributes.get("auto_pad", b"NOTSET").decode()
    wanted = step.attributes.get("output_shape")
    if mode in ("SAME_UPPER", "SAME_LOWER") and wanted is None:
        wanted = [length * stride for length, stride in zip(lengths, steps, strict=True)]
    pads = step.attributes.get("pads", [0] * 2 * n_axes) if mode == "NOTSET" else [0] * 2 * n_axes
    before, after = list(pads[:n_axes]), list(pads[n_axes:])
    wholes = [(n - 1) * s + g * (k - 1) + 1 for n, s, g, k in zip(lengths, steps, gaps, sizes, strict=True)]
    if wanted is not None:
        total = [max(0, w + m - n) for w, m, n in zip(wholes, more, list(wanted)[-n_axes:], strict=True)]
        before = [t // 2 if mode == "SAME_UPPER" else t - t // 2 for t in total]
        after = [t - b for t, b in zip(total, before, strict=True)]
        outputs = list(wanted)[-n_axes:]
    else:
        outputs = [w + m - b - a for w, m, b, a in zip(wholes, more, before, after, strict=True)]
    full = _each(
        step.x, lambda shape: transposed_convolution(shape, weight, None, stride=steps, dilation=gaps, groups=groups)
    )
    places = np.arange(full.size).reshape(full.shape)
    for axis, (n, b) in enumerate(zip(outputs, before, strict=True), start=2):
        at = np.arange(n) + b
        inside = (at >= 0) & (at < full.shape[axis])
        taken = np.take(places, np.where(inside, at, 0), axis=axis)
        places = np.where(inside.reshape([-1 if i == axis else 1 for i in range(places.ndim)]), taken, -1)
    image = full.gathered(places)
    return image if bias is None else image.shifted(np.reshape(bias, (-1, *[1] * n_axes)))


def batch_normalised(step: Step) -> Expression:
    """Return BatchNormalization by stored statistics."""
    if step.attributes.get("training_mode", 0):
        raise RefusedError(
            "normalises by the statistics of its batch, which is not piecewise linear; export in eval mode"
        )
    scale, bias, mean, variance = (step.fixed(place) for place in range(1, 5))
    eps = step.attributes.get("epsilon", _EPSILON)
    if np.ndim(scale) > 1:  # spatial=0 of older versions: statistics of each place
        factors = scale / np.sqrt(variance + eps)
        return step.x.scaled(factors).shifted(bias - mean * factors)
    return _each(step.x, lambda shape: batch_norm(shape, mean, variance, scale, bias, eps=eps))


def _tables(step: Step) -> tuple[list[Indices], list[tuple[int, int]], list[int], list[int]]:
    sizes = step.attributes["kernel_shape"]
    steps, gaps, pads = _window(step, sizes)
    ceil_mode = bool(step.attributes.get("ceil_mode", 0)) and step.attributes.get("auto_pad", b"NOTSET") == b"NOTSET"
    lengths = step.x.shape[-len(sizes) :]
    tables = [
        sliding_windows(length, size, stride, pad, gap, ceil_mode=ceil_mode)
        for length, size, stride, pad, gap in zip(lengths, sizes, steps, pads, gaps, strict=True)
    ]
    return tables, pads, steps, gaps


def max_pool(step: Step) -> list[Any]:
    """Return MaxPool; the places of the maxima are not read."""
    tables = _tables(step)[0]
    if any((table < 0).all(axis=1).any() for table in tables):
        raise RefusedError("has a window that lies in the padding only, whose maximum is minus infinity")
    return [step.to.maximum_over(step.x, *windows_of(step.x.shape, tables))]


def average_pool(step: Step) -> Expression:
    """Return AveragePool: sums along each axis, divided by how many places count in a window."""
    tables, pads, steps, gaps = _tables(step)
    lengths = step.x.shape[-len(tables) :]
    counted = bool(step.attributes.get("count_include_pad", 0))
    sums, counts = [], np.ones(())
    for table, length, (before, after), stride, gap in zip(tables, lengths, pads, steps, gaps, strict=True):
        rows, entries = np.nonzero(table >= 0)
        ones = np.ones(len(rows))
        sums.append(sparse.csr_array((ones, (rows, table[rows, entries])), shape=(len(table), length)))
        places = np.arange(len(table))[:, None] * stride - before + np.arange(table.shape[1]) * gap
        inside = (places < length + after) if counted else table >= 0
        counts = counts[..., None] * inside.sum(axis=1)
    if (counts == 0).any():
        raise RefusedError("has a window that lies in the padding only, whose mean is not a number")
    return along_axes(step.x, sums).scaled(1.0 / counts)

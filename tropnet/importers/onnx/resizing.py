"""Resizing as ONNX's Resize and Upsample define it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from tropnet.importers.common.expression import Expression
from tropnet.importers.common.lowering import RefusedError
from tropnet.importers.onnx.steps import Step, along_axes
from tropnet.network.affine import Matrix
from tropnet.operators.operator import sparse_identity

__all__ = ["resized"]

_CUBIC = float(np.float32(-0.75))


def resized(step: Step) -> Expression:
    """Return Resize or Upsample: weights along each axis, at places that the coordinate mode tells."""
    options = step.attributes
    n_axes = len(step.x.shape)
    axes = [int(axis) % n_axes for axis in options.get("axes", range(n_axes))]
    upsample = "scales" in options or len(step.inputs) < 3
    scales, sizes = _sizes(step, axes, 1 if upsample else 2)
    roi = None if upsample else step.fixed(1)
    old = upsample or step.opset < 11
    modes = {
        "mode": options.get("mode", b"nearest").decode(),
        "coordinates": "asymmetric" if old else options.get("coordinate_transformation_mode", b"half_pixel").decode(),
        "rounding": "simple" if old else options.get("nearest_mode", b"round_prefer_floor").decode(),
        "cubic": options.get("cubic_coeff_a", _CUBIC),
        "excludes": bool(options.get("exclude_outside", 0)),
    }
    outside, matrices = np.zeros((), dtype=bool), []
    for axis, length in enumerate(step.x.shape):
        if axis in axes:
            i = axes.index(axis)
            ends = (0.0, 1.0) if roi is None or not np.size(roi) else (float(roi[i]), float(roi[i + len(axes)]))
            matrix, out = _axis_weights(length, sizes[i], scales[i], ends, **modes)
        else:
            matrix, out = sparse_identity(length), np.zeros(length, dtype=bool)
        matrices.append(matrix)
        outside = outside[..., None] | out
    image = along_axes(step.x, matrices)
    if not outside.any():
        return image
    value = options.get("extrapolation_value", 0.0)
    return image.scaled(np.where(outside, 0.0, 1.0)).shifted(np.where(outside, value, 0.0))


def _sizes(step: Step, axes: Sequence[int], place: int) -> tuple[list[float], list[int]]:
    """Return the scales and the lengths after, along the axes."""
    lengths = [step.x.shape[axis] for axis in axes]
    given = step.fixed(place, "scales")
    if given is not None and np.size(given):
        scales = [float(scale) for scale in np.ravel(given)]
        return scales, [int(np.floor(np.float32(n) * np.float32(s))) for n, s in zip(lengths, scales, strict=True)]
    sizes = [int(size) for size in np.ravel(step.fixed(3))]
    scales = [size / length for size, length in zip(sizes, lengths, strict=True)]
    policy = step.attributes.get("keep_aspect_ratio_policy", b"stretch").decode()
    if policy != "stretch":
        scale = min(scales) if policy == "not_larger" else max(scales)
        scales, sizes = [scale] * len(scales), [int(np.floor(scale * length + 0.5)) for length in lengths]
    return scales, sizes


def _axis_weights(
    length: int,
    size: int,
    scale: float,
    ends: tuple[float, float],
    *,
    mode: str,
    coordinates: str,
    rounding: str,
    cubic: float,
    excludes: bool,
) -> tuple[Matrix, Any]:
    """Return the matrix (size, length) of resizing along an axis, and which outputs lie outside."""
    # The nearest entry is told in float32, as onnxruntime does: rounding decides between two of equal distance.
    places = _places(length, size, scale, ends, coordinates, np.float32 if mode == "nearest" else np.float64)
    crops = coordinates == "tf_crop_and_resize"
    inside = (places >= 0) & (places <= length - 1) if crops else np.ones(size, dtype=bool)
    below = np.floor(places)
    match mode:
        case "nearest":
            taps = [(_nearest(places, scale, rounding), np.ones(size))]
        case "linear":
            clamped = np.clip(places, 0, length - 1)
            below = np.floor(clamped)
            taps = [(below, 1.0 - (clamped - below)), (below + 1, clamped - below)]
        case "cubic":
            taps = [(below + k, _cubic(np.abs(places - below - k), cubic)) for k in range(-1, 3)]
            if excludes:
                taps = [(at, np.where((at >= 0) & (at < length), share, 0.0)) for at, share in taps]
                total = sum(share for _, share in taps)
                taps = [(at, share / total) for at, share in taps]
        case _:
            raise RefusedError(f"resizes with the mode {mode!r}, which is not known")
    return _matrix(taps, size, length), ~inside


def _places(
    length: int, size: int, scale: float, ends: tuple[float, float], coordinates: str, number: type[Any]
) -> Any:
    """Return where along the axis each output lies, computed in numbers of a type."""
    o = np.arange(size).astype(number)
    s, half, last = number(scale), number(0.5), number(length - 1)
    if scale == 1 and size == length and coordinates != "tf_crop_and_resize":
        return o
    centred = (o + half) / s - half
    match coordinates:
        case "half_pixel":
            return centred
        case "pytorch_half_pixel":
            return centred if size > 1 else np.zeros_like(o)
        case "half_pixel_symmetric":
            n = number(length)
            return n * half * (number(1) - number(size) / (s * n)) + centred
        case "asymmetric":
            return o / s
        case "tf_half_pixel_for_nn":
            return (o + half) / s
        case "align_corners":
            return o * last / number(size - 1) if size > 1 else np.zeros_like(o)
        case "tf_crop_and_resize":
            start, end = (number(part) for part in ends)
            if size == 1:
                return o + half * (start + end) * last
            return start * last + o * (end - start) * last / number(size - 1)
        case _:
            raise RefusedError(f"resizes with the coordinate mode {coordinates!r}, which is not known")


def _nearest(places: Any, scale: float, rounding: str) -> Any:
    match rounding:
        case "round_prefer_floor":
            return np.ceil(places - places.dtype.type(0.5))
        case "round_prefer_ceil":
            return np.floor(places + places.dtype.type(0.5))
        case "ceil":
            return np.ceil(places)
        case "simple":  # of versions before 11, as onnxruntime reads them
            return np.ceil(places) if scale < 1 else np.trunc(places)
        case _:
            return np.floor(places)


def _cubic(distance: Any, a: float) -> Any:
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))


def _matrix(taps: Sequence[tuple[Any, Any]], size: int, length: int) -> Matrix:
    rows = np.tile(np.arange(size), len(taps))
    columns = np.clip(np.concatenate([at for at, _ in taps]).astype(np.int64), 0, length - 1)
    shares = np.concatenate([share for _, share in taps]).astype(np.float64)
    kept = shares != 0
    return sparse.csr_array((shares[kept], (rows[kept], columns[kept])), shape=(size, length))

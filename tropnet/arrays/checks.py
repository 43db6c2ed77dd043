"""Numbers and points as users give them: checked at the door, float64 inside."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tropnet.arrays.types import FloatArray
from tropnet.errors import NonFiniteError, ShapeError

__all__ = ["as_count", "as_points", "finite_array", "real_array"]


def real_array(values: ArrayLike, name: str) -> FloatArray:
    """Return `values` as a new float64 array.

    Raises
    ------
    ShapeError
        They are ragged, or no real numbers; the message calls them `name`.

    Examples
    --------
    >>> real_array([1, 2], "x")
    array([1., 2.])
    """
    try:
        given = np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:  # RuntimeError: a torch tensor that requires grad
        raise ShapeError(f"{name} must be an array of real numbers: {error}") from error
    if given.dtype.kind not in "biuf":
        raise ShapeError(f"{name} must be an array of real numbers, got dtype {given.dtype}.")
    return given.astype(np.float64)


def finite_array(values: ArrayLike, name: str) -> FloatArray:
    """Return `values` as a new read-only float64 array without NaN or infinities.

    Raises
    ------
    ShapeError, NonFiniteError
        They are no real numbers, or not finite; the message says where.
    """
    array = real_array(values, name)
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        place = "".join(f"[{i}]" for i in bad[0].tolist())
        raise NonFiniteError(
            f"{name} must be finite, got {array[tuple(bad[0])]} at {name}{place}"
            f" ({len(bad)} such entr{'y' if len(bad) == 1 else 'ies'})."
        )
    array.setflags(write=False)
    return array


def as_count(
    value: Any,
    name: str,
    least: int = 1,
    *,
    below: int | None = None,
    otherwise: str = "",
    error: type[ValueError] = ValueError,
) -> int:
    """Return an integer argument of at least `least`, and less than `below`, as a Python integer.

    Raises
    ------
    ValueError
        It is out of range or no integer, Python's or NumPy's; True and False are none. The message calls it `name`, and
        `otherwise` names what else the caller takes; `error` is what is raised.

    Examples
    --------
    >>> as_count(np.int64(3), "max_regions")
    3
    """
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < least or (below is not None and value >= below):
        limit = "" if below is None else f" and below {below}"
        raise error(f"{name} must be an integer of at least {least}{limit}{otherwise}, got {value!r}.")
    return int(value)


def as_points(x: ArrayLike, dimension: int) -> tuple[FloatArray, bool]:
    """Return points as a float64 array (n, d), and whether it was a single point.

    Raises
    ------
    ShapeError
        `x` has neither shape (d,) nor (n, d), or holds no real numbers.
    NonFiniteError
        A coordinate is NaN or infinite.

    Examples
    --------
    >>> as_points([1.0, 2.0], 2)
    (array([[1., 2.]]), True)
    """
    points = finite_array(x, "x")
    if points.ndim not in (1, 2) or points.shape[-1] != dimension:
        raise ShapeError(f"x must have shape ({dimension},) or (n, {dimension}), got {points.shape}.")
    return np.atleast_2d(points), points.ndim == 1

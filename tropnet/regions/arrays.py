"""What is known of many regions at once, as arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.types import FloatArray

__all__ = ["Balls", "Facets", "Halfspaces", "Vertices", "VolumeEstimates"]


class Halfspaces(NamedTuple):
    """The rows of many regions: those of region i are ``A[offsets[i]:offsets[i + 1]]`` and so on.

    Attributes
    ----------
    A, b
        float64, shapes (n, d) and (n,): the region is {x : A x <= b}.
    rows
        int64, shape (n,): what each row is, as `ActivationRegion.rows`.
    offsets
        int64, shape (R + 1,).
    """

    A: FloatArray
    b: FloatArray
    rows: NDArray[np.int64]
    offsets: NDArray[np.int64]


class Facets(NamedTuple):
    """The facets of many regions: those of region i are ``rows[offsets[i]:offsets[i + 1]]``.

    Attributes
    ----------
    rows
        int64, shape (n,): the row that defines the facet, as in `ActivationRegion.rows`. Of coincident neurons it is
        the one decided first, which alone contributes a row.
    offsets
        int64, shape (R + 1,).
    """

    rows: NDArray[np.int64]
    offsets: NDArray[np.int64]


class Vertices(NamedTuple):
    """The vertices of many regions: those of region i are ``points[offsets[i]:offsets[i + 1]]``.

    Attributes
    ----------
    points
        float64, shape (n, d).
    offsets
        int64, shape (R + 1,).
    """

    points: FloatArray
    offsets: NDArray[np.int64]


class Balls(NamedTuple):
    """Largest inscribed balls of many regions.

    Attributes
    ----------
    centres
        float64, shape (R, d); NaN where there is no largest ball.
    radii
        float64, shape (R,): the inradii; infinite where there is no largest ball.
    """

    centres: FloatArray
    radii: FloatArray


class VolumeEstimates(NamedTuple):
    """Estimated volumes of many regions.

    Attributes
    ----------
    values
        float64, shape (R,): infinite where the region is unbounded.
    standard_errors
        float64, shape (R,): estimated from the same samples; 0.0 where unbounded, which is decided exactly.
    """

    values: FloatArray
    standard_errors: FloatArray

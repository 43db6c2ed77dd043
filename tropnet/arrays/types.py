"""The types of arrays that the package passes around: float64, and Python integers as objects."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["FloatArray", "IntegerArray"]

FloatArray = NDArray[np.float64]
IntegerArray = NDArray[np.object_]

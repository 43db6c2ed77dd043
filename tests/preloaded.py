"""For fork servers to import: what comes of them has the kernels of the vertex engine loaded, and is there at once."""

import pyarrow as pa
import pytest  # noqa: F401 (the main module, which each process imports)
import scipy.special  # noqa: F401 (tropnet imports it late)

import tests.children  # noqa: F401 (and all that it imports)
import tropnet as tn

# This lets pyarrow import pandas, if there is one.
pa.array([None])
tn.enumerate_regions(tn.Network.random([3, 2, 1], seed=0), tn.Box(-1, 1), engine="vertex")

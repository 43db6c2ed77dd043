"""For fork servers to import: what comes of them has the kernels of the vertex engine loaded, and is there at once."""

import tests.faulty  # noqa: F401 (and all that it imports)
import tropnet as tn

tn.enumerate_regions(tn.Network.random([3, 2, 1], seed=0), tn.Box(-1, 1), engine="vertex")

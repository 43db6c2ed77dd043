"""Pre-activations that are zero at a point because all their terms are, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

from tropnet.kernels import compiled, popcount
from tropnet.regions.row_index import INFINITY

__all__ = ["vanishes"]


@compiled()
def vanishes(problem: Any, silent: Any, bits: Any, owners: Any, tight: Any, origin: bool, layer: int, j: int) -> bool:
    """Return whether z of neuron j, of a layer, is zero at a point because bias, input and earlier outputs are there.

    Parameters
    ----------
    silent
        Scratch, by layer: whether all its outputs are zero at the point.
    bits, owners, tight
        The path; the place of the row of each bit; the bits of the rows that vanish at the point.
    origin
        Whether the point is the origin.
    """
    infinite = False
    mask = tight
    while mask:
        infinite = infinite or owners[popcount((mask & (~mask + np.uint64(1))) - np.uint64(1))] == INFINITY
        mask &= mask - np.uint64(1)
    found = False
    for m in range(layer + 1):
        loud = False
        for source in range(m):
            if not silent[source]:
                for block in range(problem.first_block[source], problem.first_block[source + 1]):
                    loud = loud or problem.reader[block] == m
        silent[m] = 1
        for i in range(problem.first_neuron[m], problem.first_neuron[m + 1]):
            zero = not loud and (infinite or problem.bias_is_zero[i]) and (origin or problem.input_is_zero[i])
            mask = tight
            while mask and not zero:
                zero = owners[popcount((mask & (~mask + np.uint64(1))) - np.uint64(1))] == i
                mask &= mask - np.uint64(1)
            if i == j:
                found = zero
            elif not zero:
                active = np.int64((bits[i >> 6] >> np.uint64(i & 63)) & np.uint64(1))
                if problem.slopes[i, active] != 0.0:
                    silent[m] = 0
    return found

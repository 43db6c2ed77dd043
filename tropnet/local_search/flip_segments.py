"""The facets that a segment crosses on its way to a region."""

from __future__ import annotations

from collections.abc import Container
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import BoolArray, pack
from tropnet.arrays.types import FloatArray
from tropnet.errors import TropnetError
from tropnet.exact.dyadic import to_integers
from tropnet.local_search.segment import SegmentRegions, regions_on_segment
from tropnet.network.network import Network
from tropnet.network.recurrence import evaluate
from tropnet.regions.crossings import multiples

__all__ = ["check_single", "n_crossings"]


def n_crossings(
    net: Network, start: FloatArray, end: FloatArray, goals: Container[bytes], *, single: bool = False
) -> int | None:
    """Return how many facets the segment crosses up to the first region in `goals`; None if that is not known.

    A piece ends on one facet iff the pre-activations that vanish there vanish on one hyperplane: then nothing else
    bounds the region near that point. Where the segment meets a face of fewer dimensions, it tells no path of facets.

    Parameters
    ----------
    net
        The network.
    start, end
        float64, shape (d,); `start` strictly inside a region.
    goals
        Packed patterns of regions, as bytes.
    single
        Whether it is assumed that one neuron flips at each facet.

    Raises
    ------
    TropnetError
        `single` is assumed, and several flip.
    """
    if (start == end).all():
        return None
    pieces = regions_on_segment(net, start, end)
    for n, pattern in enumerate(pack(pieces.patterns)):
        if pattern.tobytes() in goals:
            return n
        if n + 1 == len(pieces) or not _ends_on_a_facet(pieces, n):
            break
        if single:
            check_single(pieces.patterns[n] ^ pieces.patterns[n + 1])
    return None


def check_single(flipped: BoolArray) -> None:
    """Raise an error unless one neuron flips at a facet."""
    if flipped.sum() > 1:
        neurons = np.flatnonzero(flipped).tolist()
        raise TropnetError(
            f"the network is not in general position: neurons {neurons} flip at one facet. Use general_position=False."
        )


def _ends_on_a_facet(pieces: SegmentRegions, n: int) -> bool:
    """Return whether piece n ends inside a facet, not on a face of fewer dimensions."""
    net = pieces.network
    vanishing = _vanishing(pieces, pieces.exact_breakpoints[n + 1])
    if len(vanishing) == 1:
        return True
    rows = np.concatenate(net.integer_maps(pieces.patterns[n])[:-1])[vanishing]
    facet = rows[(rows[:, :-1] != 0).any(axis=1)]
    return len(facet) > 0 and bool(multiples(rows, facet[0].tolist())[0].all())


def _vanishing(pieces: SegmentRegions, t: Fraction) -> NDArray[np.int64]:
    """Return the neurons whose pre-activation is 0 at x(t), exactly: over the integers, all times one number."""
    net = pieces.network
    (start, end), exponent = to_integers(np.stack([pieces.start, pieces.end]))
    scale = t.denominator << exponent
    point = (t.denominator - t.numerator) * start + t.numerator * end
    values = np.concatenate(evaluate(net.integers.layers[:-1], point, scale))
    return np.flatnonzero((values == 0) & ~net.affine_neurons)

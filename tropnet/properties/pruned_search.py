"""Regions in which a conjunction of inequalities may hold: cells are left out as soon as bounds say that one fails."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tropnet.arrays.patterns import unpack
from tropnet.enumeration.engine import Chunk, Goal, GoalKind
from tropnet.enumeration.promising import promising_regions
from tropnet.network.domain import Domain
from tropnet.network.restriction import within_hull
from tropnet.properties.watching import Watched
from tropnet.regions import ActivationRegion
from tropnet.regions.lifting import lifted_region

__all__ = ["PrunedSearch"]


class PrunedSearch:
    """A search for regions in which all neurons that watch are on; `chunks` are of the restriction to the hull.

    Attributes
    ----------
    chunks
        Regions, some at a time, or none; None if no engine can leave out cells.
    """

    def __init__(self, eyes: Watched, domain: Domain, workers: int, *, progress: bool) -> None:
        self.network, self.domain = eyes.network, domain
        within, inside, self.restriction = within_hull(eyes.network, domain)
        self.within, self.inside = within, inside
        n, k = within.n_neurons, len(eyes.inequalities)
        goal = Goal(GoalKind.FEASIBLE, 1 + bool(k), np.array([-np.inf]))
        fixed = dict.fromkeys(range(n - k, n), True)
        self.chunks = promising_regions(within, inside, goal, fixed, workers=workers, progress=progress)

    def regions(self, chunk: Chunk) -> Iterator[ActivationRegion]:
        """Yield the regions of a chunk, of the network that watches."""
        columns = (unpack(packed, self.within.n_neurons) for packed in (chunk.packed, chunk.packed_cuts))
        for i, (pattern, cuts) in enumerate(zip(*columns, strict=True)):
            region = ActivationRegion(self.within, self.inside, pattern, cuts, chunk.witness(i))
            yield lifted_region(self.network, self.domain, self.restriction, region)

"""How many regions will there be? A tree-size estimate with its standard error, before the search is run."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tropnet.arrays.types import FloatArray
from tropnet.enumeration.engine import Sample, Sampling
from tropnet.progress import Update

__all__ = ["Estimate", "estimate_tree"]

_PILOTS = 4


class Estimate(NamedTuple):
    """A number of regions, estimated without bias.

    Attributes
    ----------
    n_regions
        The estimate.
    standard_error
        Of the estimate; 0 if nothing was left out, which makes the number exact.
    n_probes
        The number of independent probes that it is the mean of.
    """

    n_regions: float
    standard_error: float
    n_probes: int

    @property
    def exact(self) -> bool:
        """Whether the tree was small enough to be walked in full."""
        return self.standard_error == 0 and self.n_probes == 1


def estimate_tree(
    probe: Callable[[Sampling], Sample], n_neurons: int, width: int, n_probes: int, seed: int, update: Update
) -> Estimate:
    """Estimate the number of leaves of a tree from what probes of it see; see `estimate_regions`."""
    seeds = np.random.SeedSequence(seed).generate_state(_PILOTS + n_probes, np.uint64).tolist()
    depths = np.arange(n_neurons + 2)
    # Knuth's paths, after as many full branchings as fill the width.
    keep = np.where(depths <= np.log2(width), 1.0, 0.5)
    nodes = np.zeros(len(depths))
    for pilot in range(_PILOTS):
        sampling = Sampling(keep, seeds[pilot])
        sample = probe(sampling)
        if sample.is_exact(sampling):
            return Estimate(sample.leaves, 0.0, 1)
        nodes += sample.nodes
        keep = _schedule(nodes / (pilot + 1), width)
        update(pilot + 1, (pilot + 1) / len(seeds))
    leaves = np.empty(n_probes)
    for i, probe_seed in enumerate(seeds[_PILOTS:]):
        leaves[i] = probe(Sampling(keep, probe_seed)).leaves
        update(_PILOTS + i + 1, (_PILOTS + i + 1) / len(seeds))
    return Estimate(float(leaves.mean()), float(leaves.std(ddof=1) / np.sqrt(n_probes)), n_probes)


def _schedule(nodes: FloatArray, width: int) -> FloatArray:
    """Return the probabilities by depth with which about `width` of so many nodes are kept at every depth."""
    reached = np.minimum.accumulate(np.minimum(width / np.maximum(nodes, 1.0), 1.0))
    keep = np.ones(len(nodes))
    keep[1:] = reached[1:] / reached[:-1]
    # Nothing is known of depths that no pilot saw.
    keep[nodes == 0] = 0.5
    keep[0] = 1.0
    return keep

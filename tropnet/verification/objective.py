"""What is asked of a network's outputs as further layers of it, and the regions in which the answer may lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from tropnet.arrays.patterns import BoolArray, pack, unpack
from tropnet.arrays.types import FloatArray
from tropnet.enumeration.engine import Chunk, Goal, GoalKind
from tropnet.enumeration.promising import promising_regions
from tropnet.network.domain import Domain
from tropnet.network.layers import AFFINE, RELU, Layer
from tropnet.network.network import Network
from tropnet.regions import Regions
from tropnet.verification.extremum import Extremum, over_regions

__all__ = ["Candidates", "candidates", "largest_value", "with_condition", "with_outputs", "with_values"]


def with_values(net: Network, forms: FloatArray) -> tuple[Network, int]:
    """Return the network with the forms (k, n_outputs) of its outputs as a last hidden layer, and how many it adds.

    It is the same function up to there, exactly: forms that are outputs or their negatives take one layer, others read
    the outputs, which take another.
    """
    last = net.layers[-1]
    whole = np.asarray((np.abs(forms) == 1) | (forms == 0)).all() and (np.count_nonzero(forms, axis=1) == 1).all()
    if whole:
        which, signs = np.abs(forms).argmax(axis=1), forms.sum(axis=1)
        added = [
            Layer({k: signs[:, None] * weight[which] for k, weight in last.weights.items()}, signs * last.bias[which])
        ]
    else:
        added = [replace(last), Layer({len(net.layers): forms}, np.zeros(len(forms)))]
    return _longer(net, [replace(layer, slopes=AFFINE) for layer in added]), len(added)


def with_outputs(net: Network) -> Network:
    """Return the network with its outputs as a last hidden layer."""
    return _longer(net, [replace(net.layers[-1], slopes=AFFINE)])


def with_condition(net: Network, form: FloatArray, slack: float) -> tuple[Network, dict[int, bool]]:
    """Return the network with two more layers, and the bit by which one neuron there says form . y + slack > 0.

    Where the slack is positive, every region whose closure has a point with form . y >= 0 has one with that bit inside.
    """
    outputs = replace(net.layers[-1], slopes=AFFINE)
    condition = Layer({len(net.layers): form[None]}, np.array([slack]), RELU)
    return _longer(net, [outputs, condition]), {net.n_neurons + net.n_outputs: True}


def _longer(net: Network, added: list[Layer]) -> Network:
    """Return the network with further hidden layers, and no output that anybody wants."""
    layers = [*net.hidden, *added]
    nothing = Layer({len(layers): np.zeros((1, layers[-1].width))}, np.zeros(1))
    return Network([*layers, nothing], net.n_inputs)


@dataclass
class Candidates:
    """Regions in which the best may lie, and what bounds them: float64 of shape (R,), infinite where nobody knows."""

    regions: Regions
    upper: FloatArray

    @classmethod
    def of(cls, net: Network, domain: Domain, chunks: Sequence[Chunk], best: float = -np.inf) -> Candidates:
        """Return those that are not certainly worse than `best`, of chunks of a network that continues `net`."""
        n_bytes = -(-net.n_neurons // 8)
        none = np.empty((0, n_bytes), np.uint8)
        columns = [(none, none, np.empty((0, net.n_inputs)), np.empty(0))]
        rational: dict[int, tuple[Fraction, ...]] = {}
        n = 0
        for chunk in chunks:
            upper = np.full(chunk.n_regions, np.inf) if chunk.upper is None else chunk.upper
            keep = np.flatnonzero(upper >= best)
            for place, i in enumerate(keep.tolist(), start=n):
                if i in chunk.rational:
                    rational[place] = chunk.rational[i].fractions
            patterns, cuts = (pack(unpack(packed[keep], net.n_neurons)) for packed in (chunk.packed, chunk.packed_cuts))
            columns.append((patterns, cuts, chunk.points[keep], upper[keep]))
            n += len(keep)
        packed, packed_cuts, points, bounds = (np.concatenate(parts) for parts in zip(*columns, strict=True))
        return cls(Regions(net, domain, packed, packed_cuts, points, rational), bounds)

    def only(self, keep: BoolArray) -> Candidates:
        """Return some of them."""
        (at,) = np.nonzero(keep)
        regions, places = self.regions, {int(i): place for place, i in enumerate(at.tolist())}
        rational = {places[i]: t for i, t in regions.rational_witnesses.items() if i in places}
        packed, cuts, witnesses = regions.packed[at], regions.packed_cuts[at], regions.witnesses[at]
        return Candidates(Regions(regions.network, regions.domain, packed, cuts, witnesses, rational), self.upper[at])


def largest_value(
    net: Network, domain: Domain, forms: Sequence[FloatArray], *, progress: bool = False
) -> tuple[int, Extremum] | None:
    """Return the largest of the forms' maxima over a domain with interior, and which form that is.

    None if the vertex engine cannot search it.
    """
    found, _ = candidates(net, domain, forms, progress=progress)
    return None if found is None else over_regions(found.regions, forms, found.upper)


def candidates(
    net: Network, domain: Domain, forms: Sequence[FloatArray], least: float = -np.inf, *, progress: bool = False
) -> tuple[Candidates | None, float]:
    """Return the regions that may hold the largest of the forms' maxima, and a value that is attained.

    None if the vertex engine cannot search the domain. `least` is known to be attained.
    """
    longer, n_layers = with_values(net, np.array(forms))
    goal = Goal(GoalKind.VALUE, n_layers, np.array([least]))
    chunks = promising_regions(longer, domain, goal, progress=progress)
    if chunks is None:
        return None, least
    found = list(chunks)
    best = float(goal.best[0])
    return Candidates.of(net, domain, found, best), best

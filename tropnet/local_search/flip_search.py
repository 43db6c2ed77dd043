"""A search across facets towards the nearest of many regions, with proven bounds on how far it is."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from heapq import heappop, heappush

import numpy as np

from tropnet.arrays.hamming import nearest_patterns
from tropnet.arrays.patterns import BoolArray, PackedArray, pack
from tropnet.exact.reduction import reduced
from tropnet.local_search.flip_segments import check_single
from tropnet.local_search.walk import Step, Walk
from tropnet.network.network import Network

__all__ = ["Goals", "flips_to_goals", "lone_bits"]

# In one heap the estimate is a bound, in the other a guess: (estimate, guess, pattern, flips so far).
Entry = tuple[int, int, bytes, int]


def lone_bits(net: Network) -> BoolArray:
    """Return neurons, no two of which can flip at one facet: one for each hyperplane of those that read only the input.

    The facet lies in the hyperplane of every such neuron that flips there. So the number of these bits in which two
    regions differ is a lower bound on the flips between them, whatever the network; exact.
    """
    lone = np.zeros(net.n_neurons, dtype=np.bool_)
    seen = set()
    start = 0
    for layer in net.integers.layers[:-1]:
        if layer.weights.keys() <= {0}:
            weight = layer.weights.get(0, np.zeros((layer.width, net.n_inputs), dtype=object))
            for i in np.flatnonzero(~layer.affine_neurons).tolist():
                row = [*weight[i].tolist(), layer.bias[i]]
                if not any(row[:-1]):
                    continue
                # One key for both sides of a hyperplane.
                key = max(reduced(row), reduced([-value for value in row]))
                lone[start + i] = key not in seen
                seen.add(key)
        start += layer.width
    return lone


@dataclass(frozen=True)
class Goals:
    """Regions to look for.

    Attributes
    ----------
    packed, keys
        Their patterns, distinct, uint8 of shape (m, b), and as bytes.
    lone
        Packed, shape (b,): of these bits no two flip at one facet.
    all_lone
        Whether that is assumed of all bits (general position).
    """

    packed: PackedArray
    keys: Set[bytes]
    lone: PackedArray
    all_lone: bool


@dataclass
class _Open:
    """What the search knows: all by pattern, as bytes.

    Attributes
    ----------
    steps, flips, bounds, guesses
        How to look at a region; the fewest flips to it so far; a lower bound on those from it to a goal, and a guess.
    beyond
        The neighbours of the regions looked at.
    done
        With how many flips the neighbours of a region were reached from it.
    """

    steps: dict[bytes, Step] = field(default_factory=dict)
    flips: dict[bytes, int] = field(default_factory=dict)
    bounds: dict[bytes, int] = field(default_factory=dict)
    guesses: dict[bytes, int] = field(default_factory=dict)
    beyond: dict[bytes, list[bytes]] = field(default_factory=dict)
    done: dict[bytes, int] = field(default_factory=dict)
    guided: list[Entry] = field(default_factory=list)
    proven: list[Entry] = field(default_factory=list)

    def push(self, key: bytes) -> None:
        n, bound, guess = self.flips[key], self.bounds[key], self.guesses[key]
        heappush(self.guided, (n + guess, guess, key, n))
        heappush(self.proven, (n + bound, guess, key, n))

    def top(self, heap: list[Entry]) -> Entry | None:
        """Return the first entry that is still to be looked at."""
        while heap and (self.flips[heap[0][2]] < heap[0][3] or self.done.get(heap[0][2], heap[0][3] + 1) <= heap[0][3]):
            heappop(heap)
        return heap[0] if heap else None


def flips_to_goals(walk: Walk, start: Step, goals: Goals, upper: float, max_regions: int) -> tuple[float, float]:
    """Return bounds on the flips from a region, which is no goal, to the nearest goal; the upper one can be infinite.

    A region at g flips from the start, from which every goal is at least h flips away, is on no path of fewer than
    g + h; h is the least number of differing lone bits. First those regions are looked at whose Hamming distance g + h'
    promises the shortest path, which finds one soon; then those that leave the bound lowest, until no open region can
    improve on what was found. A path from the start to a goal passes an open region that it reached by its fewest
    flips, hence the least g + h of these is a lower bound.

    Parameters
    ----------
    walk
        Centred on the start.
    start
        Its pattern, and a point in it if one is known.
    goals
        At least one; with `all_lone` the two heaps agree, so the second search is not needed.
    upper
        A path of so many flips is known; infinite if none is.
    max_regions
        Look at no more regions than these.

    Raises
    ------
    TropnetError
        Several bits flip at a facet, though `all_lone` says that none do.
    """
    known = _Open()
    near = _within(start.pattern, goals, upper)
    _meet([start], known, near, goals)
    first = pack(start.pattern[None])[0].tobytes()
    known.flips[first] = 0
    known.push(first)
    half = max_regions if goals.all_lone else (max_regions + 1) // 2
    for heap, limit in ((known.guided, half), (known.proven, max_regions)):
        while (entry := known.top(heap)) and entry[0] < upper:
            key = entry[2]
            if key not in known.beyond:
                if len(known.beyond) == limit:
                    break
                _look(walk, key, known, near, goals)
            upper = _reach(key, known, goals, upper)
    best = known.top(known.proven)
    lower = upper if best is None else min(upper, best[0])
    return lower, upper


def _within(pattern: BoolArray, goals: Goals, upper: float) -> PackedArray:
    """Return the goals that can be nearer than `upper` (all, if none can, for the bounds are minima)."""
    distances = np.bitwise_xor(goals.packed, pack(pattern[None])) & goals.lone
    near = np.unpackbits(distances, axis=1).sum(axis=1) < upper
    return goals.packed[near] if near.any() else goals.packed


def _look(walk: Walk, key: bytes, known: _Open, near: PackedArray, goals: Goals) -> None:
    """Find the neighbours of a region."""
    step = known.steps.pop(key)
    steps = list(walk.neighbours(step, walk.explore(step)))
    patterns = np.array([beyond.pattern for beyond in steps], dtype=np.bool_).reshape(len(steps), len(step.pattern))
    if goals.all_lone:
        for flipped in patterns ^ step.pattern:
            check_single(flipped)
    known.beyond[key] = [row.tobytes() for row in pack(patterns)]
    _meet(steps, known, near, goals)


def _meet(steps: list[Step], known: _Open, near: PackedArray, goals: Goals) -> None:
    """Note how to look at regions, and how far the goals are from them."""
    packed = pack(np.array([step.pattern for step in steps], dtype=np.bool_)) if steps else goals.packed[:0]
    guesses = nearest_patterns(packed, near)[0]
    bounds = guesses if goals.all_lone else nearest_patterns(packed, near, goals.lone)[0]
    for step, row, guess, bound in zip(steps, packed, guesses.tolist(), bounds.tolist(), strict=True):
        key = row.tobytes()
        if key not in known.guesses and key not in goals.keys:
            known.steps[key], known.guesses[key], known.bounds[key] = step, max(guess, 1), max(bound, 1)


def _reach(key: bytes, known: _Open, goals: Goals, upper: float) -> float:
    """Reach the neighbours of a region from it; return the fewest flips known to any goal."""
    n = known.done[key] = known.flips[key]
    for beyond in known.beyond[key]:
        if n + 1 >= known.flips.get(beyond, upper):
            continue
        if beyond in goals.keys:
            upper = n + 1
            continue
        known.flips[beyond] = n + 1
        known.push(beyond)
    return upper

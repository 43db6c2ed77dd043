"""What every engine takes and gives: a `Task` and a `ChunkBuilder` in, a stream of `Chunk`s out."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from tropnet.arrays.patterns import BoolArray, PackedArray, pack
from tropnet.arrays.types import FloatArray
from tropnet.exact.certificates import Witness
from tropnet.feasibility.tolerances import Tolerances
from tropnet.network.domain import Domain
from tropnet.network.network import Network

__all__ = ["Chunk", "ChunkBuilder", "Engine", "Sampling", "Task"]

_SECONDS_PER_CHUNK = 0.2


@dataclass(frozen=True)
class Sampling:
    """What a probe of the tree keeps, and what it saw: see `estimate_regions`.

    Attributes
    ----------
    keep
        float64: the probability to keep a node after t branchings, for t = 0, 1, ....
    seed
        Of the choices.
    depth, weight
        Branchings above the tree at hand, and the inverse of the probability that it was kept.
    leaves
        The weighted number of leaves found, float64 of shape (1,).
    nodes
        The weighted number of nodes met after t branchings, kept or not, same shape as `keep`.
    """

    keep: FloatArray
    seed: int
    depth: int
    weight: float
    leaves: FloatArray
    nodes: FloatArray

    @classmethod
    def start(cls, keep: FloatArray, seed: int) -> Sampling:
        """Return a sampling that has seen nothing yet."""
        return cls(keep, seed, 0, 1.0, np.zeros(1), np.zeros(len(keep)))

    @property
    def complete(self) -> bool:
        """Whether every node met was kept for sure, so that `leaves` is exact."""
        return bool((self.keep[self.nodes > 0] == 1.0).all())


@dataclass(frozen=True)
class Task:
    """Everything that determines a search: the result is a pure function of it.

    Attributes
    ----------
    network, domain
        What to enumerate; the domain has the network's input dimension.
    backend
        Name of the feasibility backend.
    tolerances
        See `Tolerances`.
    fixed
        Bits decided before, by neuron: all of the earlier layers and some of one more. The task is their subtree.
    only_count
        Regions need not be listed: `Chunk.n_regions` is enough.
    facets
        List every region's facets, too.
    sampling
        If given, walk only a random part of the tree and report it there.
    """

    network: Network
    domain: Domain
    backend: str
    tolerances: Tolerances
    fixed: Mapping[int, bool] = field(default_factory=dict)
    only_count: bool = False
    facets: bool = False
    sampling: Sampling | None = None


@dataclass(frozen=True)
class Chunk:
    """Some regions, and how far the search is.

    Attributes
    ----------
    packed, packed_cuts
        Patterns and cuts, packed as by `patterns.pack`: uint8, shape (n, ceil(n_neurons / 8)).
    points
        float64, shape (n, d): a point strictly inside each region, or nearest to the one in `rational`.
    rational
        By index, the witnesses that are no float64 points.
    undecided
        Decision prefixes set aside because no backend settled them.
    fraction
        The part of the search tree done so far, each branching halving the share of its subtrees; in [0, 1].
    counters
        Totals so far.
    n_counted
        Regions that were counted but are not listed, where the task asks only for that.
    packed_facets
        Which rows define facets, where the task asks for it: uint8, shape (n, ceil((n_neurons + m) / 8)), bit j for
        neuron j and n_neurons + i for row i of the domain's m; of coincident rows the first. None if the engine leaves
        that to others.
    """

    packed: PackedArray
    packed_cuts: PackedArray
    points: FloatArray
    rational: dict[int, Witness]
    undecided: tuple[tuple[bool, ...], ...]
    fraction: float
    counters: dict[str, float]
    n_counted: int = 0
    packed_facets: PackedArray | None = None

    @property
    def n_regions(self) -> int:
        """The number of regions, listed or counted."""
        return len(self.packed) + self.n_counted

    def first(self, n: int) -> Chunk:
        """Return the chunk with its first `n` regions only."""
        return replace(
            self,
            packed=self.packed[:n],
            packed_cuts=self.packed_cuts[:n],
            points=self.points[:n],
            rational={i: witness for i, witness in self.rational.items() if i < n},
            n_counted=min(self.n_counted, max(n - len(self.packed), 0)),
            packed_facets=None if self.packed_facets is None else self.packed_facets[:n],
        )

    def witness(self, i: int) -> Witness:
        """Return the exact witness of region `i`."""
        return self.rational.get(i) or Witness.at(self.points[i])


@dataclass
class ChunkBuilder:
    """Collects regions until a chunk is due (a fifth of a second), so that progress and streams stay lively."""

    n_neurons: int
    n_inputs: int
    fraction: float = 0.0
    counters: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._reset()

    def add(self, pattern: BoolArray, cuts: BoolArray, witness: Witness) -> None:
        """Add a region (the arrays are copied)."""
        # One append, so that an interrupt leaves all of a region or nothing.
        self._regions.append((pattern.copy(), cuts.copy(), witness))

    def set_aside(self, prefix: BoolArray) -> None:
        """Add the decision prefix of an undecided subtree."""
        self._undecided.append(tuple(prefix.tolist()))

    def count(self, name: str, n: int = 1) -> None:
        """Increase a counter."""
        self.counters[name] = self.counters.get(name, 0) + n

    @property
    def due(self) -> bool:
        """Whether it is time to hand on a chunk."""
        return time.monotonic() >= self._deadline

    def flush(self) -> Chunk:
        """Return what was collected as a chunk and start the next."""
        shape = (len(self._regions), self.n_neurons)
        witnesses = [witness for _, _, witness in self._regions]
        chunk = Chunk(
            pack(np.array([pattern for pattern, _, _ in self._regions], dtype=np.bool_).reshape(shape)),
            pack(np.array([cuts for _, cuts, _ in self._regions], dtype=np.bool_).reshape(shape)),
            np.array([witness.point for witness in witnesses]).reshape(-1, self.n_inputs),
            {i: witness for i, witness in enumerate(witnesses) if not witness.is_float},
            tuple(self._undecided),
            self.fraction,
            dict(self.counters),
        )
        self._reset()
        return chunk

    def _reset(self) -> None:
        self._regions: list[tuple[BoolArray, BoolArray, Witness]] = []
        self._undecided: list[tuple[bool, ...]] = []
        self._deadline = time.monotonic() + _SECONDS_PER_CHUNK


# The caller owns the builder, so that what an interrupt finds in it is not lost.
Engine = Callable[[Task, ChunkBuilder], Generator[Chunk, None, None]]

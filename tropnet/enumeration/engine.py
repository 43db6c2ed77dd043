"""What every engine takes and gives.

An `Engine` says what it supports, and answers a `Task` by a `Plan` to run or by a `Refusal` with its reason. A plan
runs with a `ChunkBuilder` and yields `Chunk`s; all that a run finds, samples of the tree included, is in its chunks.
Tasks, plans and chunks are values: nobody writes into them.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import ClassVar, NamedTuple, final

import numpy as np

from tropnet.arrays.patterns import BoolArray, PackedArray, pack
from tropnet.arrays.types import FloatArray
from tropnet.exact.certificates import Witness
from tropnet.feasibility.tolerances import Tolerances
from tropnet.network.domain import Domain
from tropnet.network.network import Network

__all__ = [
    "NO_SAMPLING",
    "Ability",
    "Chunk",
    "ChunkBuilder",
    "Engine",
    "Goal",
    "GoalKind",
    "Pace",
    "Plan",
    "Refusal",
    "Rest",
    "Sample",
    "Sampling",
    "Sharing",
    "Subtree",
    "Task",
    "run_within",
]

_SECONDS_PER_CHUNK = 0.2
_STEPS_OF_TRIAL, _SECONDS_PER_SLICE_OF_TRIAL = 256, 0.004
_FIRST_STEPS, _FIRST_PRODUCTS = 16, 1 << 22
_SECONDS_PER_SLICE, _SECONDS_PER_SHARED_SLICE = 0.05, 0.008


class Ability(Enum):
    """What a task may ask for that not every engine can do; the value completes "the engine cannot"."""

    FIXED = "search below fixed bits"
    SAMPLING = "sample its tree"
    FACETS = "list facets"
    GOAL = "search for what is best"


@dataclass(frozen=True)
class Sampling:
    """Which part of the tree a probe keeps: see `estimate_regions`.

    The stratum of a node is the number of neurons that come before those it leaves undecided: all of the earlier layers
    and the decided ones of its own.

    Attributes
    ----------
    targets
        float64, shape (n_neurons + 1,): the weight that kept nodes of each stratum should have. A node of less weight
        is kept with probability weight / target, but at least 1/2; see `kernels.weight_if_kept`.
    seed
        Of the choices.
    free
        Keep all nodes after up to so many branchings.
    depth, weight
        Branchings above the tree at hand, and the inverse of the probability that it was kept.
    """

    targets: FloatArray
    seed: int
    free: int = 0
    depth: int = 0
    weight: float = 1.0

    def phases(self) -> FloatArray:
        """Return where the choices begin in each stratum, random in [0, 1)."""
        n = len(self.targets)
        return np.random.default_rng([self.seed, self.depth]).random(n) if n else self.targets


NO_SAMPLING = Sampling(np.empty(0), 0)


@dataclass(frozen=True)
class Sample:
    """What a probe of the tree saw.

    Attributes
    ----------
    nodes
        The weighted number of nodes met in each stratum, kept or not, same shape as `Sampling.targets`.
    leaves
        The weighted number of leaves found.
    n_left_out
        The number of nodes that were not kept; of 0, `leaves` is the number of leaves.
    cost, full_cost
        What the probe cost, and weighted: what a walk of the whole tree would. Operations are counted, at the engine's
        prices in seconds, so that it does not depend on what else the machine does; 0 if the engine counts none.
    """

    nodes: FloatArray
    leaves: float = 0.0
    n_left_out: float = 0.0
    cost: float = 0.0
    full_cost: float = 0.0

    def __add__(self, other: Sample) -> Sample:
        """Return what two parts of a probe saw together."""
        return Sample(
            self.nodes + other.nodes,
            self.leaves + other.leaves,
            self.n_left_out + other.n_left_out,
            self.cost + other.cost,
            self.full_cost + other.full_cost,
        )

    def scaled(self, factor: float) -> Sample:
        """Return the sample with all that is weighted times a factor, to give a probe its part in a mean."""
        return replace(self, nodes=factor * self.nodes, leaves=factor * self.leaves, full_cost=factor * self.full_cost)


class GoalKind(Enum):
    """What a search makes as large as it can be, in the closed domain."""

    FEASIBLE = 0
    """Nothing: regions in which neurons have the bits that were decided before."""
    VALUE = 1
    """The largest pre-activation of the neurons of the last layer, which are affine."""
    NORM = 2
    """The operator norm of the last layer's rows, which are affine neurons."""
    DISTANCE = 3
    """Minus the distance from a point."""


@dataclass(frozen=True, eq=False)
class Goal:
    """What is wanted of the regions: only those that may be better than the best.

    Attributes
    ----------
    kind
        What is to be large.
    n_layers
        How many of the last hidden layers of the network serve only the goal; their neurons are affine or have a bit
        that is decided before.
    best
        float64, shape (1,): what is known to be attained. Searches raise it (only `GoalKind.VALUE`), and whoever looks
        at what they list may, at any time.
    point, norm
        float64 of shape (d,), from which distances are, and 1, 2 or infinity, in which distances and operator norms
        are.
    """

    kind: GoalKind
    n_layers: int
    best: FloatArray
    point: FloatArray = field(default_factory=lambda: np.empty(0))
    norm: float = 2.0


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
        If given, walk only a random part of the tree; the chunks carry what was seen of it.
    goal
        If given, leave out regions that cannot be better than the best.
    """

    network: Network
    domain: Domain
    backend: str
    tolerances: Tolerances
    fixed: Mapping[int, bool] = field(default_factory=dict)
    only_count: bool = False
    facets: bool = False
    sampling: Sampling | None = None
    goal: Goal | None = None

    @property
    def asks_for(self) -> frozenset[Ability]:
        """What an engine must be able to do for this task; facets of single regions can also be found afterwards."""
        if not self.fixed and self.sampling is None and self.goal is None:
            return frozenset()
        asked = {
            Ability.FIXED: bool(self.fixed),
            Ability.SAMPLING: self.sampling is not None,
            Ability.GOAL: self.goal is not None,
        }
        return frozenset(ability for ability, needed in asked.items() if needed)


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
        Which rows define facets: uint8, shape (n, ceil((n_neurons + m) / 8)) for m rows of the domain, bits by place
        (`RowIndex`); of coincident rows the first. Engines that have them at hand list them, asked or not; None if the
        engine leaves that to others.
    sample
        Where the task asks for a sample: what was seen since the chunk before.
    upper
        Where the task has a goal: what no point of a region exceeds, float64 of shape (n,); None if nobody knows.
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
    sample: Sample | None = None
    upper: FloatArray | None = None

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
            upper=None if self.upper is None else self.upper[:n],
        )

    def witness(self, i: int) -> Witness:
        """Return the exact witness of region `i`."""
        return self.rational.get(i) or Witness.at(self.points[i])


class Subtree(NamedTuple):
    """A part of the tree of a task that can be searched anywhere, any time: the task with these `fixed` bits.

    Attributes
    ----------
    fixed
        As in `Task`: those of the task, all of the earlier layers, and some of one more.
    share
        Of the tree of the run that handed it over, each branching halving the share of its subtrees.
    """

    fixed: Mapping[int, bool]
    share: float


@dataclass(frozen=True)
class Rest:
    """A part of a run that it hands over: what comes in its order after all that it keeps.

    Attributes
    ----------
    run
        Goes on with it in this process, once, from copied arrays, so that it finds just what the run would have found.
    subtrees
        The same work as subtrees, the oldest, which are the largest where the tree is even, first. To be asked for
        before `run` begins; a subtree that is searched again lists the same regions, perhaps by other points and cuts.
    """

    run: Callable[[ChunkBuilder], Generator[Chunk, None, None]]
    subtrees: Callable[[], list[Subtree]]

    def within(self, share: float) -> Rest:
        """Return what a part of a run hands over as what the run does, of whose tree the part has a `share`."""

        def run(builder: ChunkBuilder) -> Generator[Chunk, None, None]:
            yield from run_within(self.run, share, builder)

        return Rest(run, lambda: [Subtree(fixed, share * inner) for fixed, inner in self.subtrees()])


@dataclass(frozen=True)
class Sharing:
    """How a run gives a part of its work to others while it goes on, or all of it, to come to an end.

    Attributes
    ----------
    wanted
        Whether somebody has nothing to do, or the run is to end. Runs look every few hundredths of a second, and may
        before anything is decided: who always wants everything gets the task itself for ever.
    hand_over
        Takes the rest of a run: what comes in its order after all that it keeps.
    split
        Of so many parts that are left, the one at hand among them and the oldest first, how many to hand over; of all,
        the run ends with what it has found, of 0 it goes on.
    """

    wanted: Callable[[], bool]
    hand_over: Callable[[Rest], None]
    split: Callable[[int], int]


def run_within(
    run: Callable[[ChunkBuilder], Generator[Chunk, None, None]],
    share: float,
    builder: ChunkBuilder,
    split: Callable[[int], int] | None = None,
) -> Generator[Chunk, None, float]:
    """Run a part of a run that another engine searches, and return how much of it was done there, in [0, 1].

    The part has a `share` of the tree, and hands over as the run does. `split` hands over what the run itself has left,
    all of which is older, and returns how many of so many parts of the part to hand over, too.
    """
    inner, sharing = builder.sibling(), builder.sharing
    if sharing is not None:
        hand_over = sharing.hand_over
        inner.sharing = Sharing(sharing.wanted, lambda rest: hand_over(rest.within(share)), split or sharing.split)
    before = builder.fraction
    for chunk in run(inner):
        builder.fraction = min(before + share * inner.fraction, 1.0)
        yield replace(chunk, fraction=builder.fraction, counters=dict(builder.counters))
    return inner.fraction


class Pace:
    """How many steps of a kernel to take at once, so that it comes back in time to report and to share.

    Parameters
    ----------
    most
        Never more than so many.
    builder
        Of the run; with others to share with it comes back more often.
    """

    def __init__(self, most: int, builder: ChunkBuilder) -> None:
        self._most, self._seconds = most, _SECONDS_PER_SLICE if builder.sharing is None else _SECONDS_PER_SHARED_SLICE
        # A layer that is entered takes about the square of its width.
        self.steps = min(max(_FIRST_PRODUCTS // builder.n_neurons**2, _FIRST_STEPS), most)
        self._builder, self._steps_of_trial, self._cost = builder, min(_STEPS_OF_TRIAL, most), builder.cost
        self._begin = time.perf_counter()

    def begin(self) -> int:
        """Begin a slice; return how many steps."""
        self._begin = time.perf_counter()
        return self._steps_of_trial if self._builder.is_trial else self.steps

    def end(self, *, took_all: bool) -> None:
        """End a slice, and what it left to do, so that the next is half as long if this one was far too long.

        Or twice as long, if it was far too short although it `took_all` its steps. In a trial no clock is asked: long
        is what counted operations say.
        """
        if self._builder.is_trial:
            cost, self._cost = self._builder.cost - self._cost, self._builder.cost
            self._steps_of_trial = self._next(self._steps_of_trial, cost, _SECONDS_PER_SLICE_OF_TRIAL, took_all)
        else:
            seconds = time.perf_counter() - self._begin
            self.steps = self._next(self.steps, seconds, self._seconds, took_all)

    def _next(self, steps: int, seconds: float, wanted: float, took_all: bool) -> int:
        if seconds < wanted / 2 and took_all:
            return min(2 * steps, self._most)
        return max(steps // 2, 1) if seconds > 2 * wanted else steps


@dataclass
class ChunkBuilder:
    """Collects regions until a chunk is due (a fifth of a second), so that progress and streams stay lively.

    The caller of a run owns it, so that what an interrupt finds in it is not lost. With `sharing`, a run of an engine
    that is able to search below fixed bits hands over parts, and `fraction` is that of what it did itself. In a trial
    (`is_trial`) a compiled run comes back after the same steps whatever the time, and `cost` is what these cost, as in
    `Sample`.
    """

    n_neurons: int
    n_inputs: int
    fraction: float = 0.0
    counters: dict[str, float] = field(default_factory=dict)
    seconds_per_chunk: float = _SECONDS_PER_CHUNK
    sharing: Sharing | None = None
    is_trial: bool = False
    cost: float = 0.0

    def __post_init__(self) -> None:
        self._reset()

    def sibling(self) -> ChunkBuilder:
        """Return an empty builder for a part of the same run, which counts for itself."""
        return ChunkBuilder(self.n_neurons, self.n_inputs, seconds_per_chunk=self.seconds_per_chunk)

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

    def flush(self, sample: Sample | None = None) -> Chunk:
        """Return what was collected as a chunk, with what was seen of a sampled tree, and start the next."""
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
            sample=sample,
        )
        self._reset()
        return chunk

    def _reset(self) -> None:
        self._regions: list[tuple[BoolArray, BoolArray, Witness]] = []
        self._undecided: list[tuple[bool, ...]] = []
        self._deadline = time.monotonic() + self.seconds_per_chunk


@dataclass(frozen=True)
class Refusal:
    """Why an engine cannot do a task, as a sentence; `missing` is what it is not able to do, if that is why."""

    reason: str
    missing: Ability | None = None


class Plan(ABC):
    """A task that an engine can do, with what the engine has prepared for that.

    Attributes
    ----------
    engine, task
        Whose plan it is, and for what.
    """

    engine: Engine
    task: Task

    @abstractmethod
    def run(self, builder: ChunkBuilder) -> Generator[Chunk, None, None]:
        """Yield the regions of the task, each once, and what is undecided; `builder` holds what is not yielded yet.

        Raises
        ------
        DomainError
            The domain has no interior.
        """

    def builder(self) -> ChunkBuilder:
        """Return an empty builder for a run."""
        net = self.task.network
        return ChunkBuilder(net.n_neurons, net.n_inputs, seconds_per_chunk=self.engine.seconds_per_chunk)

    def adapted(self, task: Task) -> Plan | Refusal:
        """Return the plan for another task on the same network and domain: a subtree, a sample, a count."""
        return self.engine.prepare(task)


class Engine(ABC):
    """A way to search the tree of activation patterns.

    Laws: the plans of all engines yield the same set of patterns; a plan can be run more than once; what an engine does
    not do it refuses, by a value.

    Attributes
    ----------
    name
        How users ask for it.
    abilities
        What it supports beyond listing regions, which is all that counting needs.
    compiled
        Whether a walk of a few hundred nodes takes milliseconds, so that it can tell beforehand how long a run takes.
    divides
        Whether threads are to share its runs (`ChunkBuilder.sharing`), as those of compiled kernels run side by side.
    seconds_per_chunk
        How often a run that collects its regions in a `ChunkBuilder` hands them on.
    """

    name: ClassVar[str]
    abilities: ClassVar[frozenset[Ability]]
    compiled: ClassVar[bool] = False
    divides: ClassVar[bool] = False
    seconds_per_chunk: float = _SECONDS_PER_CHUNK

    @final
    def prepare(self, task: Task) -> Plan | Refusal:
        """Return the plan for a task, or why there is none."""
        missing = self.lacks(task.asks_for)
        return self._plan(task) if missing is None else missing

    @final
    def lacks(self, asked: frozenset[Ability]) -> Refusal | None:
        """Return what is refused of the abilities that are asked for, or None."""
        for ability in Ability if asked else ():
            if ability in asked - self.abilities:
                return Refusal(f"engine {self.name!r} cannot {ability.value}.", ability)
        return None

    @abstractmethod
    def _plan(self, task: Task) -> Plan | Refusal:
        """Return the plan for a task that asks for nothing but the engine's abilities, or why there is none."""

"""The public calls: enumerate, count, stream or estimate the activation regions of a network."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.checks import as_count
from tropnet.arrays.patterns import unpack
from tropnet.enumeration.batch import count_each
from tropnet.enumeration.engine import Ability, Chunk, Engine
from tropnet.enumeration.estimate import Estimate
from tropnet.enumeration.recorded import record
from tropnet.enumeration.search import Search
from tropnet.errors import EnumerationInterrupted, SubtreeError, UndecidedError
from tropnet.feasibility.tolerances import Tolerances
from tropnet.network.domain import Domain
from tropnet.network.network import Network
from tropnet.regions import ActivationRegion, Regions
from tropnet.regions.lifting import lifted_region
from tropnet.regions.runs.journal import is_run, read_state
from tropnet.regions.runs.run import Run
from tropnet.regions.runs.state import RunState

__all__ = ["count_regions", "enumerate_regions", "estimate_regions", "iter_regions"]


@overload
def enumerate_regions(
    net: Network,
    domain: Domain | None = None,
    *,
    out: None = None,
    engine: str | Engine = "auto",
    workers: int | Executor = 1,
    facets: bool = False,
    backend: str = "highs",
    on_undecided: str = "raise",
    max_regions: int | None = None,
    tolerances: Tolerances | None = None,
    progress: bool = False,
) -> Regions: ...
@overload
def enumerate_regions(
    net: Network,
    domain: Domain | None = None,
    *,
    out: str | os.PathLike[str],
    engine: str | Engine = "auto",
    workers: int | Executor = 1,
    facets: bool = False,
    backend: str = "highs",
    on_undecided: str = "raise",
    max_regions: int | None = None,
    tolerances: Tolerances | None = None,
    progress: bool = False,
) -> Run: ...
def enumerate_regions(
    net: Network,
    domain: Domain | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    engine: str | Engine = "auto",
    workers: int | Executor = 1,
    facets: bool = False,
    backend: str = "highs",
    on_undecided: str = "raise",
    max_regions: int | None = None,
    tolerances: Tolerances | None = None,
    progress: bool = False,
) -> Regions | Run:
    """Find all activation regions of a network on a domain.

    An activation region is the set of points with one activation pattern, counted iff it has interior. The regions are
    exact for the stored float64 network: floating point only proposes, rational arithmetic decides.
    (A linear region, a maximal connected set with one affine map, can be a union of several of them.)

    Parameters
    ----------
    net
        The network.
    domain
        None (all of R^d), `Box(low, high)` or `Polytope(A, b)`, unbounded too, and of lower dimension too (see Notes).
    out
        A directory in which the run is kept (see Notes): memory does not grow with the number of regions, and whatever
        ends the process, the same call goes on from there. The result is a `Run`. None keeps all in memory.
    engine
        ``"polygon"``: compiled, for two inputs; cells by their corners in cyclic order. ``"vertex"``: compiled, for few
        inputs; cells by their vertices and rays. ``"simplex"``: compiled, any number of inputs; cells by their rows and
        one vertex. ``"lp"``: depth first, one neuron at a time, a linear program each. ``"reference"``: Algorithm 2 of
        the paper, exponential in the widths. ``"auto"``: polygon for two inputs; for more, vertex or simplex, whichever
        is faster in a pilot, if the first to try (vertex up to six inputs) is not done after about a tenth of a second;
        the pilot counts operations, so the same call takes the same engine (`Regions.stats`). lp where none of them can
        start (no hidden layer, more than 128 inputs, cells that contain a line) or for another backend. All return the
        same set, in orders of their own. An `Engine` object serves, too.
    workers
        How many subtrees to search at a time: a number of threads (the compiled engines release the interpreter lock),
        or any `concurrent.futures.Executor`. Threads of the compiled engines take work from one another while they run
        and find the same regions in the same order as one (points may differ in the last digits). An executor, as any
        workers with ``"lp"``, gets pieces of work (see Notes); the regions are put into the order of their patterns.
        (``"reference"`` uses one.)
    facets
        Find every region's facets, too. The polygon and the vertex engine have them at hand, and give them in any case;
        others take longer. `Regions.facets` finds what was not asked for.
    backend
        What proposes the decisions: ``"highs"``, ``"cvxpy"`` (extra) or ``"exact"`` (rational from the start).
    on_undecided
        ``"raise"`` or ``"collect"``: what to do when exact arithmetic ran out of `Tolerances.exact_pivots`.
    max_regions
        Stop after so many regions; `Regions.complete` is then False.
    tolerances
        See `Tolerances`.
    progress
        Show a progress bar on standard error.

    Returns
    -------
    Regions
        Packed patterns, uint8 of shape (R, ceil(n_neurons / 8)), and a witness strictly inside each region, float64 of
        shape (R, d); `Regions.to_parquet` saves them. With `out` a `Run`, which reads them from the directory.

    Raises
    ------
    DomainError
        The domain is empty or of the wrong dimension.
    UnsupportedModuleError
        `net` is no `Network`.
    ValueError
        `engine`, `backend`, `on_undecided` or `max_regions` is none of the above, or the engine does not fit.
    UndecidedError
        A decision stayed undecided; carries the partial result.
    TooLargeError
        A layer is so wide that the arrays of the search do not fit into memory.
    EnumerationInterrupted
        On Ctrl-C; carries the partial result.
    SubtreeError
        With an executor or `out`: subtrees killed their worker, or raised an error there, three times; carries what was
        found in all others.
    RunError
        `out` holds another run (of another network, domain, option or version; the message says what differs) or
        something else, or another process works at it.
    OSError
        `out` cannot be written, as on a full disk; what was finished is kept, and the same call goes on.
    MissingExtraError
        ``backend="cvxpy"`` without cvxpy.

    Notes
    -----
    *Pieces of work.* A worker searches some subtrees for some time, and hands back what is left of them, as subtrees:
    so trees of any shape keep all workers busy, and one that dies costs the piece at hand, which is done again. A piece
    lasts 0.1 to 2 seconds; with `out` a quarter of a second at first, then a hundredth of the time so far, up to 30
    seconds: that is what a process that is killed loses. In the directory each piece is a line of a journal and, if it
    found regions, a Parquet file (``docs/guide/long_runs.md``, ``docs/files.md``). With `max_regions` a run keeps,
    beyond that number, what the last pieces found, so that it can go on.

    The compiled engines work in float64 with a rigorous error bound for every decision; what a bound does not settle
    is decided over the integers (`Regions.stats`: `uncertain`, `settled_exactly`, `seconds_exact`). A region costs
    about a microsecond with two inputs and a few up to ten. The lp engine solves one linear program per neuron and
    cell, plus O(n_l n_k d) integer products per layer and cell.

    *Domains of lower dimension*, as a box with low = high in some inputs or a polytope with an equation as two rows, or
    implied by more: regions are those with interior relative to the affine hull of the domain, which is found exactly.
    A neuron that vanishes on the whole hull is False there, as one that is zero everywhere; a point is one region.
    Patterns, witnesses and vertices are of the network and in the coordinates given, other measures those within the
    hull. It is searched in k coordinates, without rounding (`tropnet.network.restriction`): other inputs become affine
    neurons, which cost what neurons of a layer cost. Compiled engines refuse two rare cases, which auto leaves to lp:
    polytopes whose sides are no float64 numbers in these coordinates, and unbounded domains whose cells need neurons
    of the first layer to be pointed.

    References
    ----------
    Joyce and Verschelde, Computing Linear Regions in Neural Networks with Skip Connections, Algorithm 2.

    Examples
    --------
    Three lines in general position cut the plane into seven cells:

    >>> net = Network.mlp([[[1, 0], [0, 1], [1, 1]], [[1, 1, 1]]], [[0, 0, -1], [0]])
    >>> len(enumerate_regions(net))
    7
    """
    if on_undecided not in ("raise", "collect"):
        raise ValueError(f"on_undecided must be 'raise' or 'collect', got {on_undecided!r}.")
    search = Search.prepare(net, domain, engine, backend, tolerances, max_regions, workers, facets=facets)
    if out is not None:
        where = _absolute(out)
        state = _recorded(search, where, engine, Run, progress=progress)
        if state.undecided and on_undecided == "raise":
            raise UndecidedError(_undecided_message(len(state.undecided)), Run(where))
        return Run(where)
    chunks: list[Chunk] = []
    try:
        chunks.extend(search.chunks("enumerating", progress))
    except KeyboardInterrupt as interrupt:
        chunks.append(search.builder.flush())
        raise EnumerationInterrupted(search.collect(chunks, finished=False)) from interrupt
    except SubtreeError as error:
        raise SubtreeError(str(error), search.collect(chunks, finished=False)) from error
    regions = search.collect(chunks, finished=True)
    if regions.n_undecided and on_undecided == "raise":
        raise UndecidedError(_undecided_message(regions.n_undecided), regions)
    return regions


@overload
def count_regions(
    net: Network,
    domain: Domain | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    engine: str | Engine = "auto",
    workers: int | Executor = 1,
    backend: str = "highs",
    max_regions: int | None = None,
    tolerances: Tolerances | None = None,
    progress: bool = False,
) -> int: ...
@overload
def count_regions(
    net: Sequence[Network],
    domain: Domain | None = None,
    *,
    out: None = None,
    engine: str | Engine = "auto",
    workers: int | Executor = 1,
    backend: str = "highs",
    max_regions: int | None = None,
    tolerances: Tolerances | None = None,
    progress: bool = False,
) -> NDArray[np.int64]: ...
def count_regions(
    net: Network | Sequence[Network],
    domain: Domain | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    engine: str | Engine = "auto",
    workers: int | Executor = 1,
    backend: str = "highs",
    max_regions: int | None = None,
    tolerances: Tolerances | None = None,
    progress: bool = False,
) -> int | NDArray[np.int64]:
    """Count the activation regions of a network, or of each of many networks; memory does not depend on the count.

    Parameters and errors as for `enumerate_regions`; with `out` the directory keeps the count of each piece of work
    (one network only). The count stops at `max_regions`. The `partial` of an
    `UndecidedError` or `EnumerationInterrupted` is the count so far.

    Of a list of networks, of the same input dimension, all are counted on the one domain: the result is int64 of shape
    (n,). Then `workers` divide the networks among them, not each tree; `max_regions` holds for each; and `partial` is
    the counts of the networks before the one that stayed undecided.

    Notes
    -----
    What comes before and after the search takes less than 0.1 ms for a network that was counted before, and less
    than 0.2 ms for a new one; what depends on the network, on the domain or on the shape alone is kept with it.

    Examples
    --------
    >>> count_regions(Network.mlp([[[1], [-1]], [[1, -1]]], [[0, 0], [0]]))
    2
    >>> count_regions([Network.random([2, 3, 1], seed=seed) for seed in range(3)])
    array([7, 7, 7])
    """
    if isinstance(net, Sequence):
        if out is not None:
            raise ValueError("out= keeps the count of one network, got a list of networks; call it for each.")
        each = partial(
            _count,
            domain=domain,
            engine=engine,
            backend=backend,
            max_regions=max_regions,
            tolerances=tolerances,
        )
        return count_each(each, net, workers, progress=progress)
    return _count(net, domain, engine, backend, max_regions, tolerances, workers, out, progress=progress)


def _count(
    net: Network,
    domain: Domain | None,
    engine: str | Engine,
    backend: str,
    max_regions: int | None,
    tolerances: Tolerances | None,
    workers: int | Executor = 1,
    out: str | os.PathLike[str] | None = None,
    *,
    progress: bool = False,
) -> int:
    search = Search.prepare(net, domain, engine, backend, tolerances, max_regions, workers, only_count=True)
    count = undecided = 0
    if out is not None:
        where = _absolute(out)
        state = _recorded(search, where, engine, lambda path: read_state(path).n_regions, progress=progress)
        count = state.n_regions if max_regions is None else min(state.n_regions, max_regions)
        undecided = len(state.undecided)
    else:
        try:
            for chunk in search.chunks("counting", progress):
                count += chunk.n_regions
                undecided += len(chunk.undecided)
        except KeyboardInterrupt as interrupt:
            raise EnumerationInterrupted(count) from interrupt
        except SubtreeError as error:
            raise SubtreeError(str(error), count) from error
    if undecided:
        raise UndecidedError(_undecided_message(undecided), count)
    return count


def iter_regions(
    net: Network,
    domain: Domain | None = None,
    *,
    engine: str | Engine = "auto",
    workers: int | Executor = 1,
    backend: str = "highs",
    max_regions: int | None = None,
    tolerances: Tolerances | None = None,
    progress: bool = False,
) -> Iterator[ActivationRegion]:
    """Yield the activation regions of a network on a domain while they are found.

    Parameters and errors as for `enumerate_regions`; an `UndecidedError` (without partial result) comes after the last
    region, an interrupt is a plain `KeyboardInterrupt`.

    Examples
    --------
    >>> net = Network.mlp([[[1], [-1]], [[1, -1]]], [[0, 0], [0]])
    >>> sorted(region.pattern.tolist() for region in iter_regions(net))
    [[False, True], [True, False]]
    """
    search = Search.prepare(net, domain, engine, backend, tolerances, max_regions, workers)
    return _stream(search, progress)


def _stream(search: Search, progress: bool) -> Iterator[ActivationRegion]:
    undecided = 0
    with closing(search.chunks("enumerating", progress)) as chunks:
        for chunk in chunks:
            undecided += len(chunk.undecided)
            columns = (unpack(packed, search.asked.network.n_neurons) for packed in (chunk.packed, chunk.packed_cuts))
            for i, (pattern, cuts) in enumerate(zip(*columns, strict=True)):
                region = ActivationRegion(search.asked.network, search.asked.domain, pattern, cuts, chunk.witness(i))
                yield lifted_region(search.network, search.domain, search.restriction, region)
    if undecided:
        raise UndecidedError(_undecided_message(undecided), None)


def estimate_regions(
    net: Network,
    domain: Domain | None = None,
    *,
    engine: str | Engine = "auto",
    width: int = 256,
    n_probes: int = 16,
    seed: int = 0,
    backend: str = "highs",
    tolerances: Tolerances | None = None,
    progress: bool = False,
) -> Estimate:
    """Estimate the number of activation regions from random probes of the search tree.

    A probe walks the tree of the engine, but keeps a node only with some probability, and counts what it finds below
    with the inverse of the product of these on the path, its weight. The mean is unbiased for every choice of them.
    Knuth's estimator is 1/2, a single path. Here nodes are in strata by the number of neurons decided, as Chen's, and
    pilot probes tell which weight leaves about `width` nodes in each; a node of less weight is kept with probability
    weight / that, at least 1/2, every so-many-th in the order of the search, so that alike ones balance.

    An estimate costs about a tenth of the count it forecasts, or less. Where that is too little for any, because the
    count takes a fraction of a second, the regions are counted, and `Estimate.exact` says so. In any case 20,000 are
    counted first, or what costs no more than the probes: where parallel neurons are in the order of their thresholds,
    probes see too little of the tree, and this takes their place or refutes them (`Estimate.interval`).

    Parameters
    ----------
    net, domain, engine, backend, tolerances, progress
        As for `enumerate_regions`.
    width
        The most nodes for a probe to keep in a stratum; the standard error falls with it.
    n_probes
        Number of probes, at least 2; each costs a millisecond or more.
    seed
        Seed of the random choices: the same seed gives the same estimate.

    Returns
    -------
    Estimate
        Mean, standard error (standard deviation of the probes over the root of their number), and `interval`, which
        holds the number with 95 % confidence, except for trees that `Estimate.interval` describes; `at_least` were
        counted.

    Raises
    ------
    ValueError
        `width`, `n_probes` or `seed` is too small or no integer, the engine cannot sample its tree (``"reference"``),
        and as for `enumerate_regions`.

    Notes
    -----
    Costs at most about `n_probes * width` nodes for each of the n_neurons strata, whatever the number of regions.

    References
    ----------
    Knuth, Estimating the efficiency of backtrack programs, 1975, doi:10.1090/S0025-5718-1975-0373371-6.
    Chen, Heuristic sampling: a method for predicting the performance of tree searching programs, 1992,
    doi:10.1137/0221022.

    Examples
    --------
    >>> net = Network.random([2, 5, 5, 1], seed=0)
    >>> estimate_regions(net).exact
    True
    """
    width, n_probes, seed = as_count(width, "width"), as_count(n_probes, "n_probes", 2), as_count(seed, "seed", 0)
    needs = frozenset({Ability.SAMPLING})
    search = Search.prepare(net, domain, engine, backend, tolerances, None, only_count=True, needs=needs)
    return search.estimate(width, n_probes, seed, progress=progress)


def _absolute(out: str | os.PathLike[str]) -> str:
    """Return where a run is kept: whoever changes the working directory meanwhile does not move it.

    Raises
    ------
    ValueError
        It is empty.
    """
    if not os.fspath(out):
        raise ValueError("out must name a directory, got '' ('.' is the current one).")
    return os.fspath(Path(out).absolute())


def _recorded(
    search: Search,
    out: str,
    engine: str | Engine,
    partial_of: Callable[[str | os.PathLike[str]], Any],
    *,
    progress: bool,
) -> RunState:
    """Run a search in a directory; what ends it early carries what there is."""
    try:
        return record(search, out, engine, progress=progress)
    except KeyboardInterrupt as interrupt:
        if not is_run(out):
            raise
        raise EnumerationInterrupted(partial_of(out)) from interrupt
    except SubtreeError as error:
        raise SubtreeError(str(error), partial_of(out)) from error


def _undecided_message(n: int) -> str:
    return (
        f"{n} subtree{'s' if n > 1 else ''} stayed undecided, so regions may be missing; raise"
        " Tolerances.exact_pivots, or take the partial result of enumerate_regions(..., on_undecided='collect')."
    )

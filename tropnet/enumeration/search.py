"""The public calls: enumerate, count or stream the activation regions of a network."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from tropnet.domain import Domain, as_domain
from tropnet.enumeration.contract import Chunk, ChunkBuilder, Engine, Task
from tropnet.enumeration.lp import enumerate_by_lp
from tropnet.enumeration.reference import enumerate_by_algorithm_2
from tropnet.enumeration.vertex import enumerate_by_vertices, vertex_engine_fits
from tropnet.errors import EnumerationInterrupted, UndecidedError
from tropnet.feasibility import BACKENDS
from tropnet.network import Network, as_network
from tropnet.patterns import pack, unpack
from tropnet.progress import track
from tropnet.regions import ActivationRegion, Regions
from tropnet.tolerances import Tolerances

__all__ = ["ENGINES", "count_regions", "enumerate_regions", "iter_regions"]

_ENGINES: dict[str, Engine] = {
    "vertex": enumerate_by_vertices,
    "lp": enumerate_by_lp,
    "reference": enumerate_by_algorithm_2,
}
ENGINES = ("auto", *_ENGINES)
# With more inputs the generators lose their accuracy from split to split, and too much is left to exact arithmetic.
_VERTEX_INPUTS = 3


def enumerate_regions(
    net: Network,
    domain: Domain | None = None,
    *,
    engine: str = "auto",
    backend: str = "highs",
    on_undecided: str = "raise",
    max_regions: int | None = None,
    tolerances: Tolerances | None = None,
    progress: bool = False,
) -> Regions:
    """Find all activation regions of a network on a domain.

    An activation region is the set of points with one activation pattern, counted iff it has interior. The regions are
    exact for the stored float64 network: floating point only proposes, rational arithmetic decides.
    (A linear region, a maximal connected set with one affine map, can be a union of several of them.)

    Parameters
    ----------
    net
        The network.
    domain
        None (all of R^d), `Box(low, high)` or `Polytope(A, b)`, unbounded too.
    engine
        ``"vertex"``: compiled, for few inputs; cells by their vertices and rays, each sign with an error bound, the
        rest settled exactly. ``"lp"``: depth first, one neuron at a time, a linear program each. ``"reference"``:
        Algorithm 2 of the paper, exponential in the widths. ``"auto"``: vertex for up to three inputs where it fits
        (and no other backend is asked for), else lp. All return the same set.
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
        shape (R, d); `Regions.to_parquet` saves them.

    Raises
    ------
    DomainError
        The domain is empty, flat or of the wrong dimension.
    UnsupportedModuleError
        `net` is no `Network`.
    ValueError
        `engine`, `backend`, `on_undecided` or `max_regions` is none of the above, or the engine does not fit.
    UndecidedError
        A decision stayed undecided; carries the partial result.
    EnumerationInterrupted
        On Ctrl-C; carries the partial result.
    MissingExtraError
        ``backend="cvxpy"`` without cvxpy.

    Notes
    -----
    The vertex engine evaluates each neuron at the vertices of each cell: about 1e5 regions per second and core with two
    inputs. The lp engine solves one linear program per neuron and cell, plus O(n_l n_k d) integer products per layer
    and cell.

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
    search = _Search.prepare(net, domain, engine, backend, tolerances, max_regions)
    chunks: list[Chunk] = []
    try:
        chunks.extend(search.chunks("enumerating", progress))
    except KeyboardInterrupt as interrupt:
        chunks.append(search.builder.flush())
        raise EnumerationInterrupted(search.collect(chunks, finished=False)) from interrupt
    regions = search.collect(chunks, finished=True)
    if regions.n_undecided and on_undecided == "raise":
        raise UndecidedError(_undecided_message(regions.n_undecided), regions)
    return regions


def count_regions(
    net: Network,
    domain: Domain | None = None,
    *,
    engine: str = "auto",
    backend: str = "highs",
    max_regions: int | None = None,
    tolerances: Tolerances | None = None,
    progress: bool = False,
) -> int:
    """Count the activation regions of a network on a domain; memory does not depend on the count.

    Parameters and errors as for `enumerate_regions`; the count stops at `max_regions`. The `partial` of an
    `UndecidedError` or `EnumerationInterrupted` is the count so far.

    Examples
    --------
    >>> count_regions(Network.mlp([[[1], [-1]], [[1, -1]]], [[0, 0], [0]]))
    2
    """
    search = _Search.prepare(net, domain, engine, backend, tolerances, max_regions)
    count = undecided = 0
    try:
        for chunk in search.chunks("counting", progress):
            count += chunk.n_regions
            undecided += len(chunk.undecided)
    except KeyboardInterrupt as interrupt:
        raise EnumerationInterrupted(count) from interrupt
    if undecided:
        raise UndecidedError(_undecided_message(undecided), count)
    return count


def iter_regions(
    net: Network,
    domain: Domain | None = None,
    *,
    engine: str = "auto",
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
    search = _Search.prepare(net, domain, engine, backend, tolerances, max_regions)
    return _stream(search, progress)


def _stream(search: _Search, progress: bool) -> Iterator[ActivationRegion]:
    undecided = 0
    with closing(search.chunks("enumerating", progress)) as chunks:
        for chunk in chunks:
            undecided += len(chunk.undecided)
            columns = (unpack(packed, search.task.network.n_neurons) for packed in (chunk.packed, chunk.packed_cuts))
            for i, (pattern, cuts) in enumerate(zip(*columns, strict=True)):
                yield ActivationRegion(search.task.network, search.task.domain, pattern, cuts, chunk.witness(i))
    if undecided:
        raise UndecidedError(_undecided_message(undecided), None)


@dataclass
class _Search:
    task: Task
    engine: str
    max_regions: int | None
    builder: ChunkBuilder
    seconds: float = 0.0
    truncated: bool = False

    @classmethod
    def prepare(
        cls,
        net: Network,
        domain: Domain | None,
        engine: str,
        backend: str,
        tolerances: Tolerances | None,
        max_regions: int | None,
    ) -> _Search:
        if engine not in ENGINES:
            raise ValueError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}.")
        if backend not in BACKENDS:
            raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, got {backend!r}.")
        if max_regions is not None and (not isinstance(max_regions, int | np.integer) or max_regions < 1):
            raise ValueError(f"max_regions must be an integer of at least 1 (or None), got {max_regions!r}.")
        net = as_network(net)
        task = Task(net, as_domain(domain, net.n_inputs), backend, tolerances or Tolerances())
        if engine == "auto":
            small = net.n_inputs <= _VERTEX_INPUTS and backend == "highs"
            engine = "vertex" if small and vertex_engine_fits(net, task.domain) else "lp"
        return cls(task, engine, max_regions, ChunkBuilder(net.n_neurons, net.n_inputs))

    def chunks(self, description: str, progress: bool) -> Any:
        """Yield chunks, cut off at `max_regions`."""
        begin = time.perf_counter()
        count = 0
        with track(description, "regions", enabled=progress) as update:
            for chunk in _ENGINES[self.engine](self.task, self.builder):
                if self.max_regions is not None and count + chunk.n_regions > self.max_regions:
                    self.truncated = True
                    chunk = chunk.first(self.max_regions - count)
                count += chunk.n_regions
                update(count, chunk.fraction)
                self.seconds = time.perf_counter() - begin
                yield chunk
                if self.truncated:
                    return

    def collect(self, chunks: list[Chunk], *, finished: bool) -> Regions:
        """Stack the chunks into columns."""
        net = self.task.network
        empty = pack(np.empty((0, net.n_neurons), dtype=np.bool_))
        undecided = tuple(prefix for chunk in chunks for prefix in chunk.undecided)
        starts = np.cumsum([0, *(len(chunk.packed) for chunk in chunks)]).tolist()
        return Regions(
            net,
            self.task.domain,
            np.concatenate([empty, *(chunk.packed for chunk in chunks)]),
            np.concatenate([empty, *(chunk.packed_cuts for chunk in chunks)]),
            np.concatenate([np.empty((0, net.n_inputs)), *(chunk.points for chunk in chunks)]),
            {
                start + i: witness.fractions
                for start, chunk in zip(starts, chunks, strict=False)
                for i, witness in chunk.rational.items()
            },
            complete=finished and not self.truncated and not undecided,
            undecided=undecided,
            stats={
                "engine": self.engine,
                "backend": self.task.backend,
                "seconds": self.seconds,
                **(chunks[-1].counters if chunks else {}),
            },
        )


def _undecided_message(n: int) -> str:
    return (
        f"{n} subtree{'s' if n > 1 else ''} stayed undecided, so regions may be missing; raise"
        " Tolerances.exact_pivots, or take the partial result of enumerate_regions(..., on_undecided='collect')."
    )

"""From what a kernel lists to chunks: where its point is not proven to lie inside a region, an exact one is found."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tropnet.arrays.patterns import BoolArray, unpack
from tropnet.arrays.types import FloatArray
from tropnet.enumeration.engine import Chunk, ChunkBuilder, Sample, Task
from tropnet.exact.certificates import Witness, witness_is_inside
from tropnet.feasibility import Feasible, make_backend
from tropnet.regions.row_index import RowIndex

__all__ = ["FIRST_BUFFER", "Out", "chunk_of", "room_for", "unpacked"]

# Rows of the first output; many runs need no more.
FIRST_BUFFER = 1 << 9


class Out(NamedTuple):
    """Where regions go."""

    bits: NDArray[np.uint64]  # (n, words)
    cuts: NDArray[np.uint64]
    points: NDArray[np.float64]  # (n, d)
    inside: NDArray[np.bool_]  # (n,) whether the point is proven to lie strictly inside
    facets: NDArray[np.uint64]  # (n, words) bit j for neuron j, n_neurons + i for row i of the domain
    upper: NDArray[np.float64]  # (n,) what no point of the region exceeds; or (0,)


def room_for(task: Task, size: int) -> Out:
    """Return room for so many regions."""
    net = task.network
    words, n_places = -(-net.n_neurons // 64), net.n_neurons + len(task.domain.halfspaces[1])
    return Out(
        np.empty((size, words), np.uint64),
        np.empty((size, words), np.uint64),
        np.empty((size, net.n_inputs)),
        np.empty(size, np.bool_),
        np.empty((size, -(-n_places // 64)), np.uint64),
        np.empty(size if task.goal else 0),
    )


def unpacked(words: NDArray[np.uint64], n: int) -> BoolArray:
    """Return `n` bits from uint64 words."""
    bits: BoolArray = unpack(words.reshape(1, -1).view(np.uint8), n)[0]
    return bits


def chunk_of(task: Task, builder: ChunkBuilder, out: Out, n: int, sample: Sample | None) -> Chunk:
    """Copy the kernel's output; find an exact witness where its point is not proven to lie inside."""
    net = task.network
    if task.only_count:
        empty = np.empty((0, -(-net.n_neurons // 8)), np.uint8)
        points = np.empty((0, net.n_inputs))
        return Chunk(empty, empty, points, {}, (), builder.fraction, dict(builder.counters), n, sample=sample)
    packed, cuts = (words[:n].view(np.uint8)[:, : -(-net.n_neurons // 8)].copy() for words in (out.bits, out.cuts))
    points, inside = out.points[:n].copy(), out.inside[:n].copy()
    facets = out.facets[:n].view(np.uint8)[:, : -(-RowIndex.of(net, task.domain).n_places // 8)].copy()
    upper = out.upper[:n].copy() if task.goal else None
    rational = {}
    for i in np.flatnonzero(~inside).tolist():
        pattern, cut = (unpack(columns[i : i + 1], net.n_neurons)[0] for columns in (packed, cuts))
        witness = _exact_witness(task, pattern, cut, points[i])
        builder.count("exact_witnesses")
        if witness is None:
            continue
        inside[i] = True
        points[i] = witness.point
        if not witness.is_float:
            rational[i] = witness
    undecided: tuple[tuple[bool, ...], ...] = ()
    if not inside.all():
        undecided = tuple(map(tuple, unpack(packed[~inside], net.n_neurons).tolist()))
        new_index = np.cumsum(inside) - 1
        rational = {int(new_index[i]): witness for i, witness in rational.items()}
        packed, cuts, points = packed[inside], cuts[inside], points[inside]
        facets = facets[inside]
        upper = None if upper is None else upper[inside]
    return Chunk(
        packed,
        cuts,
        points,
        rational,
        undecided,
        builder.fraction,
        dict(builder.counters),
        packed_facets=facets,
        sample=sample,
        upper=upper,
    )


def _exact_witness(task: Task, pattern: BoolArray, cuts: BoolArray, guess: FloatArray) -> Witness | None:
    """Return a proven point inside a region: the guess if exact signs prove it, else by a linear program."""
    maps = np.concatenate(task.network.integer_maps(pattern)[:-1])
    rows = [*task.domain.integer_rows, *(maps * np.where(pattern, 1, -1).astype(object)[:, None])[cuts]]
    if np.isfinite(guess).all():
        witness = Witness.at(guess)
        if witness_is_inside(rows, witness):
            return witness
    backend = make_backend(task.backend, len(guess), task.tolerances)
    for row in rows:
        backend.push(row)
    answer = backend.decide()
    return answer.witness if isinstance(answer, Feasible) else None

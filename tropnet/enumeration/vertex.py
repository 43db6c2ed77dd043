"""The vertex engine: cells by their generators in a compiled kernel, what it cannot certify settled exactly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import NamedTuple

import numpy as np

from tropnet.certificates import Witness, witness_is_inside
from tropnet.domain import Domain
from tropnet.dyadic import FloatArray, IntegerArray
from tropnet.enumeration.contract import Chunk, ChunkBuilder, Task
from tropnet.enumeration.linear_region import root_backend
from tropnet.enumeration.lp import enumerate_by_lp
from tropnet.enumeration.vertex_kernel import DONE, FULL, GROW, UNDECIDED, Problem, Stack, search
from tropnet.network import Network
from tropnet.patterns import BoolArray, pack
from tropnet.polyhedron import Polyhedron

__all__ = ["enumerate_by_vertices", "vertex_engine_fits"]

_MAX_FACETS = 64
_MAX_DIMENSION = 8
_POOL = 4096
_BUFFER = 1 << 14
_STEPS = 1 << 16
_EPS = 2.0**-53


class _Root(NamedTuple):
    """A cell to start from: exact generators (homogeneous integers), their facets, neurons decided to get it."""

    generators: list[tuple[int, ...]]
    facets: list[int]
    bits: dict[int, bool]


def vertex_engine_fits(net: Network, domain: Domain) -> bool:
    """Return whether the vertex engine can start: low dimension, and cells with vertices to begin with."""
    return _roots(net, domain) is not None


def enumerate_by_vertices(task: Task, builder: ChunkBuilder) -> Iterator[Chunk]:
    """Enumerate with generators of cells; bounded and unbounded domains of low dimension.

    Raises
    ------
    ValueError
        The dimension is too high, or domain and first layer leave no cell with a vertex: use another engine.
    """
    net = task.network
    roots = _roots(net, task.domain)
    if roots is None:
        raise ValueError(
            f"engine 'vertex' needs at most {_MAX_DIMENSION} inputs, a hidden layer, and a domain that is simple and,"
            " together with the first layer, contains no line; use engine='lp'."
        )
    if not roots:
        # Nothing to start from means that the domain has no interior, which this says.
        root_backend(task.backend, task.domain, task.tolerances)
    problem, stack = _problem(net), _stack(net, task.domain, roots)
    n = net.n_neurons
    bits, cuts = np.empty((_BUFFER, n), np.uint8), np.empty((_BUFFER, n), np.uint8)
    points, aside = np.empty((_BUFFER, net.n_inputs + 1)), np.empty((256, n), np.uint8)
    status = FULL
    while status != DONE:
        status, n_regions, n_aside = search(problem, stack, True, bits, cuts, points, aside, _STEPS)
        if status == GROW:
            stack = _grown(stack)
        builder.fraction = min(float(stack.done[0]), 1.0) if status != DONE else 1.0
        builder.counters["decisions"] = int(stack.totals[3])
        builder.counters["branchings"] = int(stack.totals[4])
        builder.count("settled_exactly", n_aside)
        yield _chunk(task, builder, bits[:n_regions] == 1, cuts[:n_regions] == 1, points[:n_regions])
        for row in aside[:n_aside]:
            fixed = {j: bool(bit) for j, bit in enumerate(row.tolist()) if bit != UNDECIDED}
            for chunk in enumerate_by_lp(replace(task, fixed=fixed), ChunkBuilder(n, net.n_inputs)):
                yield replace(chunk, fraction=builder.fraction, counters=dict(builder.counters))


def _chunk(task: Task, builder: ChunkBuilder, patterns: BoolArray, cuts: BoolArray, points: FloatArray) -> Chunk:
    """Turn sums of generators into points proven inside their regions; set aside where no proof is found."""
    net = task.network
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        x = points[:, :-1] / points[:, -1:]
    x[~np.isfinite(x).all(axis=1)] = 0.0
    found, certain = net.certain_pattern(x)
    A, b = task.domain.halfspaces
    bound = (net.n_inputs + 4) * 2 * _EPS * (np.abs(b) + np.abs(x) @ np.abs(A).T)
    inside = certain & (found == patterns).all(axis=1) & (b - x @ A.T > bound).all(axis=1)
    rational = {}
    for i in np.flatnonzero(~inside).tolist():
        witness = _exact_witness(task, patterns[i], cuts[i], x[i])
        if witness is None:
            continue
        inside[i] = True
        x[i] = witness.point
        if not witness.is_float:
            rational[i] = witness
    undecided = tuple(map(tuple, patterns[~inside].tolist()))
    new_index = np.cumsum(inside) - 1
    return Chunk(
        pack(patterns[inside]),
        pack(cuts[inside]),
        x[inside],
        {int(new_index[i]): witness for i, witness in rational.items()},
        undecided,
        builder.fraction,
        dict(builder.counters),
    )


def _exact_witness(task: Task, pattern: BoolArray, cuts: BoolArray, guess: FloatArray) -> Witness | None:
    maps = np.concatenate(task.network.integer_maps(pattern)[:-1])
    rows = [*task.domain.integer_rows, *(maps * np.where(pattern, 1, -1).astype(object)[:, None])[cuts]]
    witness = Witness.at(guess)
    if witness_is_inside(rows, witness):
        return witness
    fixed = dict(enumerate(pattern.tolist()))
    (chunk,) = enumerate_by_lp(replace(task, fixed=fixed), ChunkBuilder(len(pattern), len(guess)))
    return chunk.witness(0) if len(chunk.packed) else None


# --- from a network and a domain to arrays


def _roots(net: Network, domain: Domain) -> list[_Root] | None:
    """Return simple pointed cells that together make up the domain, or None.

    If the domain contains lines, as R^d does, neurons of the first layer are decided first: d independent hyperplanes
    leave cells with a vertex, whatever their signs.
    """
    d = net.n_inputs
    if not net.hidden or d > _MAX_DIMENSION:
        return None
    sides: IntegerArray = domain.integer_rows
    rows = net.integer_maps(np.zeros(net.n_neurons, dtype=np.bool_))[0]
    splitting = [i for i in range(len(rows)) if not net.hidden[0].affine_neurons[i]]
    chosen = _complete_basis(sides[:, :-1].tolist(), rows[splitting, :-1].tolist(), d)
    if chosen is None or len(sides) + len(chosen) >= _MAX_FACETS:
        return None
    neurons = [splitting[i] for i in chosen]
    roots = []
    for signs in product((False, True), repeat=len(neurons)):
        cuts = [rows[i] if bit else -rows[i] for i, bit in zip(neurons, signs, strict=True)]
        cell = np.array([*sides, *cuts], dtype=object).reshape(-1, d + 1)
        generators = Polyhedron(cell).generators()
        inside = [sum(values) for values in zip(*(vector for vector, _ in generators), strict=True)]
        if inside[-1] <= 0 or any(sum(a * x for a, x in zip(row, inside, strict=True)) <= 0 for row in cell.tolist()):
            continue
        if any(zeros.bit_count() != d for _, zeros in generators):
            return None
        vectors, facets = zip(*generators, strict=True)
        roots.append(_Root(list(vectors), list(facets), dict(zip(neurons, signs, strict=True))))
    return roots


def _complete_basis(given: list[list[int]], candidates: list[list[int]], d: int) -> list[int] | None:
    """Return indices of candidates that complete the span of `given` to all d dimensions, or None."""
    basis: list[list[int]] = []

    def add(row: list[int]) -> bool:
        for pivot in basis:
            lead = next(k for k, value in enumerate(pivot) if value)
            if row[lead]:
                row = [pivot[lead] * a - row[lead] * b for a, b in zip(row, pivot, strict=True)]
        if any(row):
            basis.append(row)
            return True
        return False

    for row in given:
        add(row)
    chosen = [i for i, row in enumerate(candidates) if len(basis) < d and add(row)]
    return chosen if len(basis) == d else None


def _problem(net: Network) -> Problem:
    blocks, first_block, weights, offset = [], [0], [], 0
    for layer in net.hidden:
        for source, weight in layer.weights.items():
            blocks.append((source, offset, weight.shape[1]))
            weights.append(weight.ravel())
            offset += weight.size
        first_block.append(len(blocks))
    longest = max(sum(w.shape[1] for w in layer.weights.values()) for layer in net.hidden)
    return Problem(
        np.array(net.widths),
        np.cumsum([0, *net.widths]),
        np.array(blocks),
        np.array(first_block),
        np.concatenate(weights),
        np.concatenate([layer.bias for layer in net.hidden]),
        np.concatenate([np.asarray(layer.slopes) for layer in net.hidden]),
        (longest + net.n_inputs + 12) * 2 * _EPS,
    )


def _stack(net: Network, domain: Domain, roots: list[_Root]) -> Stack:
    D, n, L = net.n_inputs + 1, net.n_neurons, len(net.hidden)
    widest = max(*net.widths, net.n_inputs)
    n_generators = sum(len(root.generators) for root in roots)
    P, F = _POOL + 4 * n_generators, len(roots) + n + 8
    A, b = domain.halfspaces
    sides = np.concatenate([np.column_stack([-A, b]), np.eye(1, D, D - 1)])
    stack = Stack(
        X=np.zeros((P, D)),
        radius=np.zeros(P),
        facets=np.zeros(P, np.uint64),
        owner=np.zeros((F, _MAX_FACETS), np.int64),
        sides=sides,
        layer=np.zeros(F, np.int64),
        start=np.zeros(F, np.int64),
        size=np.zeros(F, np.int64),
        n_left=np.zeros(F, np.int64),
        left=np.zeros((F, widest), np.int32),
        share=np.zeros(F),
        bits=np.full((F, n), UNDECIDED, np.uint8),
        cuts=np.zeros((F, n), np.uint8),
        forms=np.zeros((L, widest, D)),
        form_norm=np.zeros((L, widest)),
        form_error=np.zeros((L, widest)),
        outputs=np.zeros((L + 1, widest, D)),
        output_norm=np.zeros((L + 1, widest)),
        output_error=np.zeros((L + 1, widest)),
        values=np.zeros(P),
        rows=np.zeros((D + 1, D)),
        totals=np.zeros(5, np.int64),
        done=np.zeros(1),
    )
    stack.outputs[0, : D - 1] = np.eye(D - 1, D)
    stack.output_norm[0, : D - 1] = 1.0
    top = 0
    for frame, root in enumerate(roots):
        stack.layer[frame], stack.start[frame], stack.size[frame] = -1, top, len(root.generators)
        stack.share[frame] = 1 / len(roots)
        owners = [-1 - i for i in range(len(sides) - 1)] + list(root.bits) + [-len(sides)]
        stack.owner[frame, : len(owners)] = owners
        for neuron, bit in root.bits.items():
            stack.bits[frame, neuron], stack.cuts[frame, neuron] = bit, 1
        for vector, zeros in zip(root.generators, root.facets, strict=True):
            largest = max(map(abs, vector)).bit_length()
            # Divided by a power of two, rounded once.
            stack.X[top] = [value / (1 << largest) for value in vector]
            exact = all(
                int(x * 2.0**53) << largest == value << 53 for x, value in zip(stack.X[top], vector, strict=True)
            )
            stack.radius[top] = 0.0 if exact else _EPS
            stack.facets[top] = zeros
            top += 1
    stack.totals[0] = len(roots)
    return stack


def _grown(stack: Stack) -> Stack:
    """Return the stack with twice the room for frames and generators."""
    fixed = {
        "sides",
        "rows",
        "forms",
        "form_norm",
        "form_error",
        "outputs",
        "output_norm",
        "output_error",
        "totals",
        "done",
    }
    grown = {
        name: array if name in fixed else np.concatenate([array, np.zeros_like(array)])
        for name, array in stack._asdict().items()
    }
    return Stack(**grown)

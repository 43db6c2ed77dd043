"""Activation patterns by trying every bit vector."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, product, repeat

from tests.oracles.exact import (
    HalfSpace,
    NetworkLike,
    Neuron,
    Number,
    Pattern,
    Vector,
    coordinate_forms,
    exact_layers,
    rational,
    rationals,
)
from tests.oracles.fourier_motzkin import has_interior

StrictRow = tuple[Vector, Number]


def brute_force_patterns(
    net: NetworkLike, halfspaces: Iterable[HalfSpace], inputs: Sequence[Vector] | None = None
) -> set[Pattern]:
    """Return every pattern whose cell in the interior of the domain is non-empty.

    With `inputs`, these are the inputs as affine forms in other coordinates t, and the half-spaces are given in t.

    All ``2**N`` bit vectors are tried, each on its own: a vector counts iff its constant neurons
    agree with their bits and the strict inequalities of the others have a common solution.
    """
    domain = _interior_rows(halfspaces)
    hidden = exact_layers(net)[:-1]
    patterns: set[Pattern] = set()
    if domain is None:
        return patterns
    for pattern in product((False, True), repeat=sum(map(len, hidden))):
        rows = _cell_rows(hidden, coordinate_forms(net.n_inputs) if inputs is None else inputs, pattern)
        if rows is not None and has_interior(domain + rows):
            patterns.add(pattern)
    return patterns


def exact_forward(net: NetworkLike, x: Sequence[Number]) -> tuple[Vector, Pattern]:
    """Return the outputs of `net` at the point `x` and the bits ``z > 0`` there.

    On a breakpoint the bits need not be the pattern of any cell.
    """
    *hidden, last = exact_layers(net)
    outputs: list[list[Vector]] = [[(c,) for c in rationals(x)]]
    bits: list[bool] = []
    for layer in hidden:
        pre_activations = [neuron.pre_activation(outputs, 1) for neuron in layer]
        signs = [n.splits and z[0] > 0 for n, z in zip(layer, pre_activations, strict=True)]
        outputs.append([n.output(z, s) for n, z, s in zip(layer, pre_activations, signs, strict=True)])
        bits += signs
    return tuple(neuron.pre_activation(outputs, 1)[0] for neuron in last), tuple(bits)


def exact_affine_map(net: NetworkLike, pattern: Sequence[bool]) -> tuple[tuple[Vector, ...], Vector]:
    """Return the rows ``W`` and the offsets ``c`` with output ``W x + c`` on the pattern.

    The pattern need not be that of a non-empty cell.
    """
    layers = exact_layers(net)
    if len(pattern) != (n_neurons := sum(map(len, layers[:-1]))):
        raise ValueError(f"the pattern has {len(pattern)} bits for {n_neurons} hidden neurons")
    *_, forms = _forms(layers, coordinate_forms(net.n_inputs), pattern)
    return tuple(form[:-1] for form in forms), tuple(form[-1] for form in forms)


def _forms(layers: list[list[Neuron]], inputs: Sequence[Vector], pattern: Sequence[bool]) -> Iterator[list[Vector]]:
    """Yield the pre-activations of layer after layer as affine forms in the coordinates of the inputs."""
    outputs = [list(inputs)]
    # The output layer has no bits, and its two slopes are the same.
    bits = chain(pattern, repeat(False))
    for layer in layers:
        forms = [neuron.pre_activation(outputs, len(inputs[0])) for neuron in layer]
        yield forms
        outputs.append([n.output(z, next(bits)) for n, z in zip(layer, forms, strict=True)])


def _cell_rows(hidden: list[list[Neuron]], inputs: Sequence[Vector], pattern: Pattern) -> list[StrictRow] | None:
    """Return the strict inequalities of the cell, or None if a bit contradicts its neuron."""
    rows: list[StrictRow] = []
    forms = chain.from_iterable(_forms(hidden, inputs, pattern))
    for neuron, form, bit in zip(chain(*hidden), forms, pattern, strict=True):
        gradient, constant = form[:-1], form[-1]
        if not neuron.splits or not any(gradient):
            if bit != (neuron.splits and constant > 0):
                return None
        elif bit:
            rows.append((tuple(-c for c in gradient), constant))
        else:
            rows.append((gradient, -constant))
    return rows


def _interior_rows(halfspaces: Iterable[HalfSpace]) -> list[StrictRow] | None:
    """Return the strict inequalities of the interior, or None if the domain is empty.

    A half-space with zero normal is everything or nothing; it is open in both cases, so
    ``0 <= 0`` must not turn into ``0 < 0``.
    """
    rows: list[StrictRow] = []
    for a, b in halfspaces:
        normal, bound = rationals(a), rational(b)
        if any(normal):
            rows.append((normal, bound))
        elif bound < 0:
            return None
    return rows

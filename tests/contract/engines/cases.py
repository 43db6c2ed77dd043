"""The cases that all engines are asked: kinds of networks on kinds of domains, each with its exact answers.

The answers come from the oracles alone, are worked out once, and serve every engine and every law.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy as np

from tests.checks import Row, exact_halfspaces, meets, neuron_rows
from tests.oracles.brute_force import brute_force_patterns
from tests.oracles.exact import Pattern
from tests.oracles.planar import planar_patterns
from tests.strategies import halfspaces
from tests.trained import trained
from tropnet import Box, Domain, Layer, Network, Polytope
from tropnet.network.layers import AFFINE

__all__ = [
    "CASES",
    "COINCIDENT",
    "DOMAINS",
    "EMPTY",
    "FEW",
    "NETWORKS",
    "PLAIN",
    "SMALL",
    "Case",
    "polygon",
    "scaled",
    "the_case",
]

ABSOLUTE = (-1.0, 1.0)
PLAIN_NETWORKS = ("generic", "small integers", "duplicates", "own slopes")
PLAIN_DOMAINS = ("R^d", "box", "repeated sides", "cross-polytope")


@dataclass(frozen=True, eq=False)
class Case:
    """A network on a domain, and what the oracles know of it."""

    name: str
    net: Network
    domain: Domain | None

    @property
    def kind(self) -> str:
        """The kind of network."""
        return self.name.split(",")[0]

    @property
    def plain(self) -> bool:
        """Whether the network is of a plain kind, or the domain is, or the case is one of its own."""
        network, *domain = self.name.split(", ")[:2]
        return network in PLAIN_NETWORKS or not {*domain}.isdisjoint(PLAIN_DOMAINS) or not domain

    @cached_property
    def sides(self) -> list[tuple[Sequence[float], float]]:
        """The half-spaces of the domain."""
        return halfspaces(self.domain, self.net.n_inputs)

    @cached_property
    def patterns(self) -> frozenset[Pattern]:
        """All patterns that occur, by clipping polygons in the plane and by trying all bits elsewhere."""
        oracle = planar_patterns if self.net.n_inputs == 2 else brute_force_patterns
        return frozenset(oracle(self.net, self.sides))

    @cached_property
    def _cells(self) -> dict[Pattern, tuple[list[Row], dict[int, Row]]]:
        return {}

    def rows(self, pattern: Pattern) -> tuple[list[Row], dict[int, Row]]:
        """Return the exact rows of the domain, and those of the neurons on a cell, as strict inequalities."""
        if pattern not in self._cells:
            neurons = neuron_rows(self.net, pattern)
            assert neurons is not None, "a constant neuron has another bit"
            self._cells[pattern] = exact_halfspaces(self.sides), neurons
        return self._cells[pattern]

    @cached_property
    def implied(self) -> set[tuple[Pattern, frozenset[int]]]:
        """The cells, each with neurons whose rows are known to imply all others."""
        return set()

    @cached_property
    def _facets(self) -> dict[Pattern, frozenset[Row]]:
        return {}

    def facets(self, pattern: Pattern) -> frozenset[Row]:
        """Return the hyperplanes that the closed cell meets in a facet, each scaled as by `scaled`."""
        if pattern not in self._facets:
            sides, neurons = self.rows(pattern)
            rows = list({scaled(row) for row in (*sides, *neurons.values())})
            self._facets[pattern] = frozenset(row for row in rows if meets(rows, row))
        return self._facets[pattern]


def scaled(row: Row) -> Row:
    """Return a row times the positive number that makes rows of one half-space equal."""
    a, b = row
    lead = abs(next(value for value in a if value))
    return tuple(value / lead for value in a), b / lead


# --- networks


def _random(d: int, seed: int, *, integers: bool = False, slopes: object = (0.0, 1.0)) -> Network:
    """Return two hidden layers of three neurons, of normal weights or of -1, 0 and 1."""
    rng = np.random.default_rng([seed, d])

    def draw(*shape: int) -> np.ndarray:
        return rng.integers(-1, 2, shape).astype(float) if integers else rng.normal(size=shape)

    return Network(
        [
            Layer({0: draw(3, d)}, draw(3), slopes),
            Layer({1: draw(3, 3)}, draw(3), slopes),
            Layer({2: np.ones((1, 3))}, np.zeros(1)),
        ],
        d,
    )


def _copied(net: Network, factor: float, *, shift: float = 0.0, rounding: float = 1.0) -> Network:
    """Make the second neuron of every hidden layer a multiple of the first, moved, or off by one rounding."""
    layers = []
    for layer in net.hidden:
        weights = {k: weight.copy() for k, weight in layer.weights.items()}
        bias = layer.bias.copy()
        for weight in weights.values():
            weight[1] = factor * weight[0]
            weight[1, 0] *= rounding
        bias[1] = factor * bias[0] + shift
        layers.append(replace(layer, weights=weights, bias=bias))
    return Network([*layers, net.layers[-1]], net.n_inputs)


def _row(d: int, weight: float, bias: float) -> Network:
    """Return weight x_1 + bias, the other coordinates and the sum of all as neurons of one layer, below one more."""
    weights = np.concatenate([np.eye(d), np.ones((1, d))])
    weights[0] *= weight
    return Network.mlp([weights, np.ones((1, d + 1)), [[1.0]]], [[bias, *[0.0] * d], [-1.0], [0]])


def _dense(d: int) -> Network:
    """Every layer reads all before it, the input among them."""
    rng = np.random.default_rng([3, d])
    sizes = [d, 2, 2, 2]
    layers = [
        Layer({k: rng.normal(size=(sizes[m], sizes[k])) for k in range(m)}, rng.normal(size=sizes[m]))
        for m in (1, 2, 3)
    ]
    return Network([*layers, Layer({3: np.ones((1, 2)), 0: np.ones((1, d))}, np.zeros(1))], d)


def _own_slopes(d: int) -> Network:
    """Every neuron has slopes of its own, one of them is affine, and the second layer reads the input, too."""
    rng = np.random.default_rng([4, d])
    slopes = np.array([[0.0, 1.0], [1.0, 1.0], [-2.0, 0.5]])
    return Network(
        [
            Layer({0: rng.normal(size=(3, d))}, rng.normal(size=3), slopes),
            Layer({1: rng.normal(size=(3, 3)), 0: rng.normal(size=(3, d))}, rng.normal(size=3), slopes[::-1]),
            Layer({2: np.ones((1, 3))}, np.zeros(1)),
        ],
        d,
    )


def _affine_layer(d: int) -> Network:
    """Return a network with a hidden layer that splits nothing between two that do."""
    first, second = _random(d, 5).hidden
    between = Layer({1: np.eye(3) + 1.0}, np.ones(3), AFFINE)
    return Network([first, between, Layer({2: second.weights[1]}, second.bias), Layer({3: np.ones((1, 3))}, [0.0])], d)


def _dead(d: int) -> Network:
    """Neurons that read nothing, with biases of all signs, come first in both layers."""
    rng = np.random.default_rng([6, d])
    first = np.concatenate([np.zeros((1, d)), rng.normal(size=(d, d))])
    second = np.concatenate([np.zeros((2, d + 1)), rng.normal(size=(2, d + 1))])
    return Network.mlp(
        [first, second, np.ones((1, 4))], [[1.0, *rng.normal(size=d)], [0.0, -1.0, *rng.normal(size=2)], [0]]
    )


def _chain(d: int, weights: Sequence[float], biases: Sequence[float], affine: Sequence[int]) -> Network:
    """Return one neuron a layer, the first of which reads the first input, and some of which are affine."""
    layers = [
        Layer({m: [[w] if m else [w, *[0.0] * (d - 1)]]}, [b], AFFINE if m in affine else (0.0, 1.0))
        for m, (w, b) in enumerate(zip(weights, biases, strict=True))
    ]
    return Network([*layers, Layer({len(layers): [[1.0]]}, [0.0])], d)


def _underflow(d: int) -> Network:
    """Return a network in which a subnormal bias, scaled down and up again, decides about the cells."""
    net = _chain(d, [1.0, 1.0, 0.25, 1e300, 1e25], [0.0, 5e-324, 0.0, 0.0, 0.0], [1, 3])
    last = Layer({4: [[1e25]], 0: [[1.0, *[0.0] * (d - 1)]]}, [0.0])
    return Network([*net.hidden[:-1], last, net.layers[-1]], d)


def _cancelling(d: int) -> Network:
    """0.1 + 0.2 exceeds 0.3 by less than float64 shows: relu(0.1 x) + relu(0.2 x) - 0.3 x > 0 wherever x > 0."""
    rest = [0.0] * (d - 1)
    return Network(
        [
            Layer({0: [[0.1, *rest], [0.2, *rest]]}, [0.0, 0.0]),
            Layer({1: [[1.0, 1.0]], 0: [[-0.3, *rest]]}, [0.0]),
            Layer({2: [[1.0]]}, [0.0]),
        ],
        d,
    )


def _few_combinations(d: int) -> Network:
    """Return a network of one combination of the inputs only: all cells on R^d contain lines, if d > 1."""
    combination = np.arange(1.0, d + 1)
    return Network.mlp([np.outer([1.0, -2.0, 3.0], combination), np.ones((2, 3)), np.ones((1, 2))],
                       [[0.0, 1.0, -1.0], [-1.0, -4.0], [0]])  # fmt: skip


def _late_inputs(d: int) -> Network:
    """Return a network whose first layer reads one input: its cells contain lines, which the second layer cuts."""
    return Network(
        [
            Layer({0: np.eye(1, d)}, [1.0]),
            Layer({0: np.eye(d), 1: np.ones((d, 1))}, np.ones(d)),
            Layer({2: np.ones((1, d))}, [0.0]),
        ],
        d,
    )


def _no_biases(net: Network) -> Network:
    return Network([replace(layer, bias=np.zeros(layer.width)) for layer in net.layers], net.n_inputs)


# At most eight neurons each, so that brute force and the reference engine can do them all.
NETWORKS: dict[str, Callable[[int], Network]] = {
    "generic": lambda d: _random(d, 1),
    "one layer": lambda d: Network.random([d, 5, 1], seed=d),
    "skips": lambda d: Network.random([d, 2, 2, 2, 1], skips=[(1, 3)], seed=2),
    "dense sources": _dense,
    "leaky": lambda d: _random(d, 2, slopes=(0.1, 1.0)),
    "absolute value": lambda d: _random(d, 3, slopes=ABSOLUTE),
    "negative slope": lambda d: _random(d, 4, slopes=(1.0, -0.5)),
    "negative slopes": lambda d: _random(d, 5, slopes=(-0.5, -2.0)),
    "own slopes": _own_slopes,
    "affine layer": _affine_layer,
    "dead": _dead,
    "duplicates": lambda d: _copied(_random(d, 7), 2.0),
    "antiparallel": lambda d: _copied(_random(d, 8), -1.0),
    "rounded duplicates": lambda d: _copied(_random(d, 9), 0.1),
    "parallel": lambda d: _copied(_random(d, 10), 1.0, shift=0.5),
    "nearly parallel": lambda d: _copied(_random(d, 11), 1.0, rounding=1 + 2**-52),
    "fan": lambda d: _no_biases(_random(d, 12)),
    "leaky fan": lambda d: _no_biases(_random(d, 13, slopes=(0.1, 1.0))),
    "small integers": lambda d: _random(d, 14, integers=True),
    "other small integers": lambda d: _random(d, 15, integers=True, slopes=(-0.5, 1.0)),
    "few combinations": _few_combinations,
    "late inputs": _late_inputs,
    "one neuron": lambda d: Network.mlp([np.ones((1, d)), [[1.0]]], [[-0.5], [0]]),
    "nothing splits": lambda d: Network.random([d, 3, 2, 1], seed=0, slopes=(1.0, 1.0)),
    "constant": lambda d: Network.mlp([np.zeros((2, d)), [[1.0, 1.0]]], [[1.0, 0.0], [0]]),
    "no hidden layer": lambda d: Network.mlp([np.ones((1, d))], [[0.0]]),
    "subnormal row": lambda d: _row(d, 5e-324, 5e-324),
    "tiny row": lambda d: _row(d, 1e-200, 1e-200),
    "huge row": lambda d: _row(d, 1e200, 1e200),
    "between floats": lambda d: Network.mlp(
        [np.concatenate([3 * np.eye(1, d), np.eye(d)]), np.ones((1, d + 1))], [[-1.0, -1 / 3, *[0.0] * (d - 1)], [0.0]]
    ),
    "beyond floats": lambda d: _row(d, 1e-200, -1e200),
    "underflow": _underflow,
    "cancelling": _cancelling,
}

# The x axis cut at 0 three times: hyperplanes that floating point alone cannot tell apart.
COINCIDENT = Network.mlp([[[1, 0], [3, 0], [-1, 0], [0, 1]], np.ones((1, 4))], [np.zeros(4), [0]])


# --- domains


def polygon(n: int) -> Polytope:
    """Return a regular polygon of n sides around the origin."""
    angles = 2 * np.pi * np.arange(n) / n
    return Polytope(np.column_stack([np.cos(angles), np.sin(angles)]), np.ones(n))


def _polyhedron(d: int) -> Polytope:
    """Random sides around the origin, and a simplex that bounds them."""
    rng = np.random.default_rng([0, d])
    sides = np.concatenate([rng.normal(size=(3, d)), -np.eye(d), np.ones((1, d))])
    return Polytope(sides, rng.uniform(0.5, 2.0, d + 4))


DOMAINS: dict[str, Callable[[int], Domain | None]] = {
    "R^d": lambda d: None,  # noqa: ARG005
    "box": lambda d: Box([-2.0] * d, [1.0] * d),
    "thin box": lambda d: Box([-1e-9] + [-1] * (d - 1), [1e-9] + [1] * (d - 1)),
    "huge box": lambda d: Box([-1e6] * d, [1e6] * d),
    "largest box": lambda d: Box([-1e308] * d, [1e308] * d),
    "tiny box": lambda d: Box([0.5] * d, [0.5 + 1e-6] * d),
    "small box": lambda d: Box([-1e-300] * d, [1e-300] * d),
    "subnormal box": lambda d: Box([-5e-324] * d, [5e-324] * d),
    "open box": lambda d: Box([-1] + [-np.inf] * (d - 1), [np.inf] * d),
    "half-space": lambda d: Polytope(np.ones((1, d)), [1.0]),
    "slab": lambda d: Polytope(np.vstack([np.ones(d), -np.ones(d)]), [1.0, 1.0]),
    "thin slab": lambda d: Polytope(np.vstack([np.ones(d), -np.ones(d)]), [1.0, 2.0**-40 - 1.0]),
    "wedge": lambda d: Polytope(np.eye(d) - 0.125, np.full(d, 2.0)),
    "cone at a vertex": lambda d: Polytope(np.vstack([-np.eye(d), -2 * np.eye(d)]), np.zeros(2 * d)),
    "polyhedron": _polyhedron,
    "cross-polytope": lambda d: Polytope(np.array(list(product([-1.0, 1.0], repeat=d))), np.ones(2**d)),
    "repeated sides": lambda d: Polytope(
        np.vstack([np.eye(d), 2 * np.eye(d), np.ones((1, d)), -np.eye(d)]), [1] * d + [2] * d + [float(d)] + [1] * d
    ),
}

# Domains without points, and what the message names.
EMPTY: dict[str, tuple[Polytope, str]] = {
    "opposite rows": (Polytope([[1, 0], [-1, 0], [0, 1]], [0, -1, 1]), r"rows \[0, 1\]"),
    "a triangle of none": (Polytope([[1, 0], [0, 1], [-1, -1]], [0, 0, -1]), r"rows \[0, 1, 2\]"),
    "none on a line": (Polytope([[1, 1], [-1, -1], [1, 0], [0, 1]], [1, -1, 0, 0.5]), r"rows \[1, 2, 3\]"),
    "none at a point": (Polytope([[1, 0], [-1, 0], [0, 1], [0, -1], [1, 1]], [1, -1, 1, -1, 1]), r"rows \[1, 3, 4\]"),
}


# --- all together


def the_case(network: str, domain: str, d: int) -> Case:
    """Return the case of a kind of network on a kind of domain in d dimensions."""
    return BY_NAME[f"{network}, {domain}, {d}"]


def _cases() -> list[Case]:
    """Return all kinds of networks on all kinds of domains in the plane, and the plain ones in R and R^3."""
    names = [(network, domain, 2) for network, domain in product(NETWORKS, DOMAINS)]
    for d in (1, 3):
        names += [(network, domain, d) for network, domain in product(NETWORKS, ("R^d", "box"))]
        names += [(network, domain, d) for network, domain in product(("generic", "small integers"), DOMAINS)]
    cases = [
        Case(f"{network}, {domain}, {d}", NETWORKS[network](d), DOMAINS[domain](d))
        for network, domain, d in dict.fromkeys(names)
    ]
    # What brute force and the reference engine cannot do, the plane's oracle can.
    turns = np.linspace(0, 2 * np.pi, 70, endpoint=False) + 0.1
    around = Network.mlp([np.column_stack([np.cos(turns), np.sin(turns)]), np.ones((1, 70))], [-np.ones(70), [0]])
    rng = np.random.default_rng(8)
    weights = [rng.integers(-3, 4, (5, 2)), rng.integers(-3, 4, (5, 5)), np.ones((1, 5))]
    integers = Network.mlp(weights, [np.zeros(5), np.zeros(5), [0]])
    deep = Network.random([2, *[3] * 8, 1], skips=[(1, 3), (4, 7)], init="kaiming_normal", seed=3)
    return [
        *cases,
        Case("coincident, R^d, 2", COINCIDENT, None),
        Case("polygon of 20 sides", _random(2, 1), polygon(20)),
        Case("70 lines around a disc", around, Polytope(polygon(20).A, np.full(20, 1.0001))),
        Case("eight layers", deep, Box(-9, 9)),
        Case("eight layers on the plane", deep, None),
        Case("two layers of six", Network.random([2, 6, 6, 1], seed=2), None),
        Case("integers of two layers of five", integers, Box(-3, 3)),
        Case("trained on moons", trained("moons"), Box(-2, 2)),
        Case("trained with a skip", trained("moons with a skip"), None),
        Case("pruned", trained("pruned"), Box(-2, 2)),
        Case("quantised to eight bits", trained("int8"), Box(-2, 2)),
        Case("trained on three inputs", trained("three inputs, small"), None),
        Case("trained on four inputs", trained("four inputs, small"), Box([-2] * 4, 2)),
    ]


CASES = _cases()
BY_NAME = {item.name: item for item in CASES}
# The plain kinds of networks on all domains, and all kinds on the plain domains.
PLAIN = [item for item in CASES if item.plain]
SMALL = [item for item in PLAIN if item.net.n_neurons <= 8]
FEW = [the_case(network, domain, 2) for network in NETWORKS for domain in ("R^d", "repeated sides")]

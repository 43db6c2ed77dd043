"""The oracles against each other and against cases counted by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import accumulate
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.oracles.brute_force import brute_force_patterns, exact_affine_map, exact_forward
from tests.oracles.exact import HalfSpace, Pattern, rational
from tests.oracles.fourier_motzkin import has_interior
from tests.oracles.planar import planar_areas, planar_patterns, planar_pieces
from tests.oracles.zaslavsky import arrangement_cells, zaslavsky

RELU, ABS, LEAKY, AFFINE = (0.0, 1.0), (-1.0, 1.0), (0.125, 1.0), (0.5, 0.5)
BOX: list[HalfSpace] = [((1, 0), 2), ((0, 1), 2), ((-1, 0), 2), ((0, -1), 2)]
DOMAINS: dict[str, list[HalfSpace]] = {
    "plane": [],
    "box": BOX,
    "half-plane": [((1.0, -2.0), 0.5)],
    "wedge at the origin": [((1, 1), 0), ((1, -2), 0)],
    "strip": [((1, 1), 1), ((-1, -1), Fraction(1, 3))],
    "segment": [((1, 0), 0), ((-1, 0), 0), ((0, 1), 1), ((0, -1), 1)],
    "trivial row": [((0, 0), 0), ((0, 1), 1)],
    "impossible row": [((0, 0), -1)],
}


def make_layer(
    weights: Mapping[int, Any],
    bias: Sequence[float] | np.ndarray,
    slopes: tuple[float, float] | list[tuple[float, float]] = RELU,
) -> SimpleNamespace:
    """Return one layer; a single pair of slopes is shared by all neurons."""
    shared = slopes if isinstance(slopes, list) else [slopes] * len(bias)
    return SimpleNamespace(
        weights={k: np.array(w, dtype=float) for k, w in weights.items()},
        bias=np.array(bias, dtype=float),
        slopes=np.array(shared, dtype=float).reshape(-1, 2),
    )


def make_net(n_inputs: int, *layers: SimpleNamespace) -> SimpleNamespace:
    """Return the network of these layers, the last of them the output layer."""
    return SimpleNamespace(layers=layers, n_inputs=n_inputs, n_outputs=len(layers[-1].bias))


def summed(n_inputs: int, *hidden: SimpleNamespace) -> SimpleNamespace:
    """Return the network with these hidden layers and the sum of the last one as output."""
    width = len(hidden[-1].bias)
    output = make_layer({len(hidden): np.ones((1, width))}, [0], (1.0, 1.0))
    return make_net(n_inputs, *hidden, output)


def random_net(seed: int, n_inputs: int) -> SimpleNamespace:
    """Return a network of at most seven hidden neurons, with skips in one case out of two.

    Small integer weights make dead, duplicate, antiparallel and concurrent neurons common;
    every third network has generic floats instead.
    """
    rng = np.random.default_rng(seed)
    hidden = [[4], [3, 2], [2, 2, 2], [4, 3], [3, 2, 2]][int(rng.integers(5))]
    widths = [n_inputs, *hidden, 2]

    def draw(*shape: int) -> np.ndarray:
        if seed % 3 == 0:
            return rng.normal(size=shape)
        return rng.integers(-1, 2, size=shape).astype(float) * (1 if seed % 3 == 1 else 0.1)

    layers = []
    for layer, width in enumerate(widths[1:], start=1):
        sources = range(layer) if seed % 2 else [layer - 1]
        choices = [RELU, ABS, LEAKY, AFFINE] if seed % 4 == 0 else [RELU]
        slopes = [choices[int(rng.integers(len(choices)))] for _ in range(width)]
        if layer == len(widths) - 1:
            slopes = [(1.0, 1.0)] * width
        bias = np.zeros(width) if seed % 5 == 0 else draw(width)
        layers.append(make_layer({k: draw(width, widths[k]) for k in sources}, bias, slopes))
    return make_net(n_inputs, *layers)


def float_forward(net: SimpleNamespace, x: np.ndarray) -> np.ndarray:
    """Evaluate a network in floating point, with matrices instead of neurons."""
    nu = [x]
    for layer in net.layers:
        z = sum((w @ nu[k] for k, w in layer.weights.items()), start=layer.bias)
        nu.append(np.where(z > 0, layer.slopes[:, 1], layer.slopes[:, 0]) * z)
    return nu[-1]


def bits(*words: str) -> set[Pattern]:
    """Return the patterns written as words of 0 and 1."""
    return {tuple(c == "1" for c in word) for word in words}


# Fourier-Motzkin


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], True),
        ([((0, 0), 1)], True),
        ([((0, 0), 0)], False),
        ([((1,), 0), ((-1,), 0)], False),
        ([((1,), 1e-300), ((-1,), 0)], True),
        ([((1, 1), 1), ((-1, 0), 0), ((0, -1), 0)], True),
        ([((1, 1), 0), ((-1, 0), 0), ((0, -1), 0)], False),
        ([((0.1, 0.2), 0.3), ((-0.1, -0.2), -0.3)], False),
        ([((2, 4), 6), ((-1, -2), Fraction(-3))], False),
        ([((2, 4), 6), ((-1, -2), Fraction(-299, 100))], True),
        ([((1, 1, 1), 1), ((-1, 0, 0), 0), ((0, -1, 0), 0), ((0, 0, -1), -1)], False),
        ([((), 1)], True),
        ([((), 0)], False),
    ],
)
def test_has_interior(rows: list[HalfSpace], expected: bool) -> None:
    assert has_interior(rows) is expected


def test_has_interior_of_simplices_that_shrink_to_a_point() -> None:
    """The simplex ``x_i > 1, sum x < d + t`` is non-empty iff ``t > 0``."""
    for d in range(1, 5):
        corner = [(tuple(-int(i == j) for j in range(d)), -1) for i in range(d)]
        for t in (Fraction(-1, 10**30), Fraction(0), Fraction(1, 10**30)):
            assert has_interior([*corner, ((1,) * d, d + t)]) == (t > 0)


def test_has_interior_is_true_around_a_known_point_and_false_with_a_positive_combination() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        normals = rng.integers(-5, 6, size=(8, 3)).tolist()
        point = rng.integers(-5, 6, size=3).tolist()
        slack = rng.integers(1, 4, size=8).tolist()
        rows = [
            (a, sum(p * q for p, q in zip(a, point, strict=True)) + Fraction(s, 1000))
            for a, s in zip(normals, slack, strict=True)
        ]
        assert has_interior(rows)
        factors = rng.integers(1, 4, size=8).tolist()
        opposite = [-sum(f * a[j] for f, a in zip(factors, normals, strict=True)) for j in range(3)]
        total = sum(f * b for f, (_, b) in zip(factors, rows, strict=True))
        assert not has_interior([*rows, (opposite, -total)])


# Networks counted by hand


def by_both(net: SimpleNamespace, halfspaces: list[HalfSpace]) -> set[Pattern]:
    """Return the patterns by brute force, checked against the planar oracle where it applies."""
    patterns = brute_force_patterns(net, halfspaces)
    if net.n_inputs == 2:
        assert planar_patterns(net, halfspaces) == patterns
    return patterns


@pytest.mark.parametrize(
    ("weights", "bias", "slopes", "expected"),
    [
        ([[1]], [0], RELU, bits("0", "1")),
        ([[1]], [0], LEAKY, bits("0", "1")),
        ([[1]], [0], AFFINE, bits("0")),
        ([[1], [-1]], [0, 0], RELU, bits("01", "10")),
        ([[1], [-1]], [0, -1], RELU, bits("00", "01", "10")),
        ([[1], [-1]], [0, 1], RELU, bits("01", "10", "11")),
        ([[1], [1]], [0, 0], RELU, bits("00", "11")),
        ([[1], [2]], [0.5, 1], RELU, bits("00", "11")),
        ([[0]], [0], RELU, bits("0")),
        ([[0]], [-0.0], RELU, bits("0")),
        ([[0]], [-1], RELU, bits("0")),
        ([[0]], [1], RELU, bits("1")),
        ([[0]], [1], AFFINE, bits("0")),
    ],
)
def test_one_layer_on_the_line(
    weights: list[list[float]],
    bias: list[float],
    slopes: tuple[float, float],
    expected: set[Pattern],
) -> None:
    assert by_both(summed(1, make_layer({0: weights}, bias, slopes)), []) == expected
    padded = [[0, *row] for row in weights]
    assert by_both(summed(2, make_layer({0: padded}, bias, slopes)), []) == expected


def test_the_domain_counts_only_by_its_interior() -> None:
    net = summed(1, make_layer({0: [[1]]}, [0]))
    assert brute_force_patterns(net, [((1,), 0)]) == bits("0")
    assert brute_force_patterns(net, [((-1,), 0)]) == bits("1")
    assert brute_force_patterns(net, [((1,), 5e-324)]) == bits("0", "1")
    assert brute_force_patterns(net, [((1,), 0), ((-1,), 0)]) == set()
    assert brute_force_patterns(net, [((0,), 0)]) == bits("0", "1")
    assert brute_force_patterns(net, [((0,), -1)]) == set()


def test_a_skip_connection_cancels_on_one_cell_only() -> None:
    """``relu(x) - x`` is identically zero, hence off, for ``x > 0`` and positive for ``x < 0``."""
    net = summed(1, make_layer({0: [[1]]}, [0]), make_layer({0: [[-1]], 1: [[1]]}, [0]))
    assert brute_force_patterns(net, []) == bits("10", "01")


def test_a_rounding_error_does_not_cancel() -> None:
    """As exact rationals ``0.1 + 0.2`` exceeds ``0.3``, by less than a float can show."""
    hidden = make_layer({0: [[0.1], [0.2]]}, [0, 0])
    net = summed(1, hidden, make_layer({0: [[-0.3]], 1: [[1, 1]]}, [0]))
    assert Fraction(0.1) + Fraction(0.2) > Fraction(0.3)
    assert brute_force_patterns(net, []) == bits("111", "001")


def test_a_dead_neuron_leaves_the_next_layer_constant() -> None:
    for bias, bit in ((0, "0"), (1, "1"), (-1, "0")):
        net = summed(1, make_layer({0: [[0]]}, [-1]), make_layer({1: [[3]]}, [bias]))
        assert brute_force_patterns(net, []) == bits("0" + bit)


def test_tent_map() -> None:
    """The tent map twice folds the unit interval into four pieces."""
    first = make_layer({0: [[1], [1]]}, [0, -0.5])
    second = make_layer({1: [[2, -4], [2, -4]]}, [0, -0.5])
    output = make_layer({2: [[2, -4]]}, [0], (1.0, 1.0))
    net = make_net(1, first, second, output)
    patterns = brute_force_patterns(net, [((-1,), 0), ((1,), 1)])
    assert patterns == bits("1010", "1011", "1111", "1110")
    slopes = [exact_affine_map(net, p)[0][0][0] for p in sorted(patterns)]
    assert slopes == [4, -4, -4, 4]
    assert exact_forward(net, [Fraction(1, 3)])[0] == (Fraction(2, 3),)


@pytest.mark.parametrize(
    ("normals", "offsets", "expected"),
    [
        ([[1, 0], [0, 1], [1, 1]], [0, 0, 1], 7),
        ([[1, 0], [0, 1], [1, 1]], [0, 0, 0], 6),
        ([[1, 0], [2, 0], [-1, 0]], [1, 2, -1], 2),
        ([[1, 0], [1, 0], [1, 0]], [0, 1, 2], 4),
        ([[1, 0], [1, 0], [0, 1]], [0, 1, 0], 6),
        ([[1, 0], [0, 0], [0, 0]], [0, 1, 0], 2),
        ([[0.1, 0.2], [0.2, 0.4], [1, 2]], [0.3, 0.6, 3], 3),
    ],
)
def test_lines_of_the_plane(normals: list[list[float]], offsets: list[float], expected: int) -> None:
    assert arrangement_cells(normals, offsets) == expected
    net = summed(2, make_layer({0: normals}, [-c for c in offsets]))
    assert len(by_both(net, [])) == expected


def test_classical_arrangements() -> None:
    """Coordinate hyperplanes have ``2**d`` cells and the braid arrangement has ``d!``."""
    for d, factorial in enumerate(accumulate(range(1, 6), int.__mul__), start=1):
        identity = np.eye(d)
        assert arrangement_cells(identity, np.zeros(d)) == 2**d
        braid = [identity[i] - identity[j] for i in range(d) for j in range(i)]
        assert arrangement_cells(braid, [0] * len(braid)) == factorial
    assert arrangement_cells([], []) == 1


def test_zaslavsky() -> None:
    assert [zaslavsky(n, 2) for n in range(6)] == [1, 2, 4, 7, 11, 16]
    assert zaslavsky(10, 3) == 176
    rng = np.random.default_rng(1)
    for n, d in ((5, 1), (9, 2), (8, 3), (7, 4)):
        assert arrangement_cells(rng.normal(size=(n, d)), rng.normal(size=n)) == zaslavsky(n, d)


def test_areas_of_the_quadrants() -> None:
    net = summed(2, make_layer({0: [[1, 0], [0, 1]]}, [0, 0]))
    areas = planar_areas(net, -1, Fraction(1, 2))
    quarter, half = Fraction(1, 4), Fraction(1, 2)
    assert areas == {
        (False, False): 1,
        (False, True): half,
        (True, False): half,
        (True, True): quarter,
    }
    assert planar_areas(net, 1, 1) == {}


# Random networks


@pytest.mark.parametrize("seed", range(60))
def test_planar_agrees_with_brute_force(seed: int) -> None:
    net = random_net(seed, 2)
    # Each domain in turn meets generic, integer and decimal weights.
    by_both(net, list(DOMAINS.values())[seed // 3 % 5])
    areas = planar_areas(net, -2, 2)
    assert areas.keys() == planar_patterns(net, BOX)
    assert sum(areas.values()) == 16
    assert min(areas.values()) > 0


@pytest.mark.parametrize("domain", DOMAINS.values(), ids=DOMAINS)
def test_domains(domain: list[HalfSpace]) -> None:
    for seed in (2, 5, 8):
        by_both(random_net(seed, 2), domain)


@pytest.mark.parametrize("seed", range(60))
def test_a_point_inside_each_piece_has_its_pattern_and_its_affine_map(seed: int) -> None:
    net = random_net(seed, 2)
    for pattern, polygon in planar_pieces(net, []):
        x, y, w = (sum(c) for c in zip(*polygon, strict=True))
        point = Fraction(x, w), Fraction(y, w)
        outputs, found = exact_forward(net, point)
        assert found == pattern
        rows, offsets = exact_affine_map(net, pattern)
        assert outputs == tuple(a * point[0] + b * point[1] + c for (a, b), c in zip(rows, offsets, strict=True))
        expected = float_forward(net, np.array(point, dtype=float))
        scale = 1 + max(map(abs, point))
        assert np.array(outputs, dtype=float) == pytest.approx(expected, abs=1e-12 * float(scale))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("n_inputs", [1, 3])
def test_generic_points_have_patterns_of_the_brute_force(n_inputs: int, seed: int) -> None:
    net = random_net(seed, n_inputs)
    patterns = brute_force_patterns(net, [])
    points = np.random.default_rng(seed).normal(scale=3, size=(40, n_inputs))
    # Generic floats lie on no breakpoint, up to the constant neurons, which are well-defined.
    assert {exact_forward(net, x)[1] for x in points} <= patterns


@pytest.mark.parametrize("n_inputs", [1, 2, 3])
def test_one_layer_has_the_cells_of_its_arrangement(n_inputs: int) -> None:
    rng = np.random.default_rng(n_inputs)
    for _ in range(8):
        normals = rng.integers(-1, 2, size=(6, n_inputs))
        offsets = rng.integers(-1, 2, size=6)
        net = summed(n_inputs, make_layer({0: normals}, -offsets, LEAKY))
        assert len(by_both(net, [])) == arrangement_cells(normals, offsets)


def test_planar_subdivides_a_few_hundred_cells() -> None:
    rng = np.random.default_rng(3)
    normals, offsets = rng.normal(size=(24, 2)), rng.normal(size=24)
    net = summed(2, make_layer({0: normals}, -offsets))
    assert len(planar_patterns(net, [])) == zaslavsky(24, 2) == 301
    central = summed(2, make_layer({0: normals}, np.zeros(24)))
    assert len(planar_patterns(central, [])) == 48


# Reading of the input


def test_numpy_integers_do_not_wrap_around() -> None:
    assert rational(np.int64(2**62)) * 4 == 2**64
    assert rational(np.float32(0.1)) == Fraction(float(np.float32(0.1)))


def test_wrong_shapes_are_refused() -> None:
    net = summed(1, make_layer({0: [[1]]}, [0]))
    with pytest.raises(ValueError, match="2 inputs"):
        planar_patterns(net, [])
    with pytest.raises(ValueError, match="2 bits for 1 hidden"):
        exact_affine_map(net, (True, False))
    with pytest.raises(ValueError, match="longer"):
        exact_forward(net, [1, 2])

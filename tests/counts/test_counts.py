"""Counts that are known from elsewhere: Zaslavsky's theorem, polygon clipping, and networks solved by hand."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.checks import distinct, show
from tests.oracles.exact import Pattern
from tests.oracles.planar import planar_patterns
from tests.oracles.zaslavsky import arrangement_cells, zaslavsky
from tests.strategies import halfspaces, networks
from tropnet import Box, Domain, Layer, Network, Polytope, count_regions, enumerate_regions

N = settings().max_examples
ABSOLUTE = (-1.0, 1.0)


# The search without special cases, and whatever is fastest for a network.
ENGINES = ["lp", "auto"]


def patterns(net: Network, domain: Domain | None = None) -> set[Pattern]:
    """Return the patterns on a domain, which all engines find, each once."""
    first, *others = (distinct(enumerate_regions(net, domain, engine=engine).patterns) for engine in ENGINES)
    assert all(other == first for other in others)
    return first


def count(net: Network, domain: Domain | None = None) -> int:
    """Return the count on a domain, on which all engines agree."""
    first, *others = (count_regions(net, domain, engine=engine) for engine in ENGINES)
    assert all(other == first for other in others)
    return first


def one_layer(weights: Sequence[Sequence[float]], biases: Sequence[float]) -> Network:
    """Return a network with one hidden ReLU layer."""
    return Network.mlp([weights, np.ones((1, len(biases)))], [biases, [0.0]])


def bits(*words: str) -> set[Pattern]:
    """Return the patterns written as words of 0 and 1."""
    return {tuple(c == "1" for c in word) for word in words}


# --- one hidden layer: hyperplane arrangements


@pytest.mark.parametrize(("d", "n"), [(1, 1), (1, 8), (2, 1), (2, 2), (2, 8), (3, 3), (3, 7), (4, 4), (4, 6), (5, 5)])
def test_one_layer_in_general_position_has_zaslavskys_count(d: int, n: int) -> None:
    """In R^d n generic hyperplanes make sum over i <= d of C(n, i) regions."""
    net = Network.random([d, n, 1], seed=10 * d + n)
    assert len(patterns(net)) == count(net) == zaslavsky(n, d)


def test_a_wider_layer_in_three_dimensions_has_zaslavskys_count() -> None:
    """Nine generic planes cut R^3 into 130 regions; the bias-free ones, through one point, into 2 (1 + 8 + 28)."""
    net = Network.random([3, 9, 1], seed=0)
    assert count(net) == zaslavsky(9, 3) == 130
    central = Network.mlp([net.layers[0].weights[0], np.ones((1, 9))], [np.zeros(9), [0.0]])
    assert count(central) == 2 * zaslavsky(8, 2) == 74


@pytest.mark.parametrize("d", [1, 2, 3, 4])
@settings(max_examples=N)
@given(data=st.data())
def test_one_layer_has_the_cells_of_its_arrangement(d: int, data: st.DataObject) -> None:
    """Parallel, coincident, concurrent and dead hyperplanes are counted as deletion-restriction counts them."""
    small = st.integers(-2, 2)
    n = data.draw(st.integers(1, 7 if d < 4 else 6))
    weights = data.draw(st.lists(st.lists(small, min_size=d, max_size=d), min_size=n, max_size=n))
    biases = data.draw(st.lists(small, min_size=n, max_size=n))
    expected = arrangement_cells(weights, [-b for b in biases])
    assert count(one_layer(weights, biases)) == expected


@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_coordinate_hyperplanes_make_orthants(d: int) -> None:
    """The coordinate hyperplanes have 2^d regions on R^d and on a cube around 0, one on a cube beside it."""
    net = one_layer(np.eye(d), np.zeros(d))
    assert count(net) == count(net, Box(-1, 1)) == 2**d
    assert count(net, Box(1, 2)) == 1
    # Touching the hyperplanes from one side is not crossing them.
    assert count(net, Box(0, 1)) == count(net, Box(-1, 0)) == 1


@pytest.mark.parametrize(("d", "expected"), [(2, 2), (3, 6), (4, 24)])
def test_the_braid_arrangement_makes_permutations(d: int, expected: int) -> None:
    """The hyperplanes x_i = x_j cut R^d into d! regions, one for each order of the coordinates."""
    rows = [np.eye(d)[i] - np.eye(d)[j] for i in range(d) for j in range(i)]
    assert count(one_layer(rows, np.zeros(len(rows)))) == expected


def test_the_decimal_biases_of_a_concurrent_arrangement_decide() -> None:
    """As float64 numbers 0.1 + 0.2 is not 0.3, so x = 0.1, y = 0.2 and x + y = 0.3 are not concurrent: 7, not 6."""
    weights = [[1, 0], [0, 1], [1, 1]]
    assert count(one_layer(weights, [-0.1, -0.2, -0.3])) == 7
    assert count(one_layer(weights, [-0.25, -0.5, -0.75])) == 6


# --- two inputs: polygon clipping


def planar_net(seed: int, widths: Sequence[int], skips: Sequence[tuple[int, int]]) -> Network:
    """Return a network with integer weights -3..3, and zero biases, duplicates and opposite neurons by the seed."""
    rng = np.random.default_rng(seed)
    weights = [rng.integers(-3, 4, size=(m, n)).astype(np.float64) for n, m in pairwise(widths)]
    biases = [rng.integers(-3, 4, size=m).astype(np.float64) for m in widths[1:]]
    if seed % 3 == 1:
        biases = [np.zeros_like(bias) for bias in biases]
    if seed % 3 == 2:
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            for copy, factor in ((1, 1.0), (2, -1.0)):
                if copy < len(bias):
                    weight[copy], bias[copy] = factor * weight[0], factor * bias[0]
    return Network.mlp(weights, biases, skips)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "domain", [None, Box(-2, 2), Polytope([[1, 1], [-1, -2]], [1, 1])], ids=["plane", "box", "wedge"]
)
@pytest.mark.parametrize(
    ("widths", "skips"),
    [([2, 10, 1], []), ([2, 6, 6, 1], []), ([2, 5, 5, 5, 1], [(1, 3)]), ([2, 2, 4, 4, 4, 1], [(0, 2), (2, 4)])],
    ids=["wide", "chain", "skip", "skips"],
)
def test_planar_networks(seed: int, domain: Domain | None, widths: list[int], skips: list[tuple[int, int]]) -> None:
    """The patterns of integer networks of two inputs are those of polygon clipping, degenerate ones included."""
    net = planar_net(seed, widths, skips)
    assert patterns(net, domain) == planar_patterns(net, halfspaces(domain, 2))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("domain", [None, Box(-2, 2)], ids=["plane", "box"])
def test_deep_planar_networks(seed: int, domain: Domain | None) -> None:
    """Three hidden layers of eight with a skip: a few hundred regions, all of them."""
    net = planar_net(seed, [2, 8, 8, 8, 1], [(1, 3)])
    found = patterns(net, domain)
    assert found == planar_patterns(net, halfspaces(domain, 2))
    assert len(found) > 20


@settings(max_examples=N)
@given(net=networks(2, max_neurons=10), domain=st.sampled_from([None, Box(-1, 2), Box([0, -1], [np.inf, 1])]))
def test_any_planar_network(net: Network, domain: Domain | None) -> None:
    """Whatever network of two inputs Hypothesis draws, the patterns are those of polygon clipping."""
    show(net, domain)
    assert patterns(net, domain) == planar_patterns(net, halfspaces(domain, 2))


# --- networks solved by hand


def test_the_identity_as_two_relus_has_two_regions() -> None:
    """relu(x) - relu(-x) = x has two activation regions, though it is one linear function."""
    net = Network.mlp([[[1.0], [-1.0]], [[1.0, -1.0]]], [[0.0, 0.0], [0.0]])
    assert patterns(net) == bits("01", "10")


def test_the_absolute_value_has_two_regions() -> None:
    """|x| as one neuron has two regions, on the half-line x > 0 one."""
    net = Network.mlp([[[1.0]], [[1.0]]], [[0.0], [0.0]], slopes=ABSOLUTE)
    assert patterns(net) == bits("0", "1")
    assert patterns(net, Box(0, np.inf)) == bits("1")
    assert patterns(net, Box(-np.inf, 0)) == bits("0")


@pytest.mark.parametrize(
    ("slopes", "expected"), [((0.5, 0.5), 1), ((0, 0), 1), ((1, 0), 2), ((-1, -2), 2), ((0.5, 1), 2)]
)
def test_equal_slopes_split_nothing(slopes: tuple[float, float], expected: int) -> None:
    """A neuron with equal slopes is affine: one region, its bit False, on either side of its hyperplane."""
    net = Network.mlp([[[1.0]], [[1.0]]], [[0.0], [0.0]], slopes=slopes)
    assert patterns(net) == (bits("0") if expected == 1 else bits("0", "1"))


def test_folding_the_line_twice() -> None:
    """||x| - 1| has breakpoints -1, 0, 1: four regions on the line, two within [-1, 1], three within [-2, 0.5]."""
    net = Network.mlp([[[1.0]], [[1.0]], [[1.0]]], [[0.0], [-1.0], [0.0]], slopes=ABSOLUTE)
    assert patterns(net) == bits("00", "01", "10", "11")
    assert patterns(net, Box(-1, 1)) == bits("00", "10")
    assert patterns(net, Box(-2, 0.5)) == bits("01", "00", "10")


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_the_tent_map_doubles_with_every_layer(depth: int) -> None:
    """The tent map 2 relu(x) - 4 relu(x - 1/2), composed `depth` times, has 2^depth regions on the unit interval."""
    fold = [[2.0, -4.0], [2.0, -4.0]]
    weights = [[[1.0], [1.0]], *[fold] * (depth - 1), [[2.0, -4.0]]]
    net = Network.mlp(weights, [*[[0.0, -0.5]] * depth, [0.0]])
    assert count(net, Box(0, 1)) == 2**depth


def test_a_residual_that_cancels_is_inactive() -> None:
    """relu(x) - x is 0 for x > 0, so its neuron is inactive there, and positive for x < 0: two regions."""
    net = Network([Layer({0: [[1.0]]}, [0.0]), Layer({1: [[1.0]], 0: [[-1.0]]}, [0.0]), Layer({2: [[1.0]]}, [0.0])])
    assert patterns(net) == bits("10", "01")


def test_a_residual_that_cancels_up_to_a_constant_follows_the_constant() -> None:
    """relu(x) - x + c is the constant c for x > 0: active there iff c > 0, cut nowhere but at x = c < 0."""

    def found(c: float) -> set[Pattern]:
        layers = [Layer({0: [[1.0]]}, [0.0]), Layer({1: [[1.0]], 0: [[-1.0]]}, [c]), Layer({2: [[1.0]]}, [0.0])]
        return patterns(Network(layers))

    assert found(1.0) == bits("11", "01")
    assert found(-1.0) == bits("10", "00", "01")


def test_the_papers_skip_adds_the_earlier_output() -> None:
    """With all weights 1 and the skip (0, 2), layer 2 computes relu(relu(x) + x - 1): breakpoints 0 and 1/2."""
    net = Network.mlp([[[1.0]], [[1.0]], [[1.0]]], [[0.0], [-1.0], [0.0]], skips=[(0, 2)])
    regions = enumerate_regions(net)
    assert patterns(net) == bits("00", "10", "11")
    breakpoints = {vertex for region in regions for vertex in region.vertices().ravel().tolist()}
    assert breakpoints == {0.0, 0.5}


@pytest.mark.parametrize(("bias", "bit"), [(0.0, "0"), (1.0, "1"), (-1.0, "0")])
def test_a_dead_layer_leaves_the_next_one_constant(bias: float, bit: str) -> None:
    """Where a layer is zero everywhere the next one is its bias: one region, active iff the bias is positive."""
    net = Network.mlp([[[0.0, 0.0]], [[3.0]], [[1.0]]], [[-1.0], [bias], [0.0]])
    assert patterns(net) == bits("0" + bit)


def test_a_layer_that_dies_on_one_side_only() -> None:
    """Behind relu(x) the neuron relu(x) - 1 is constant for x < 0 and cut at 1 for x > 0: three regions."""
    net = Network.mlp([[[1.0]], [[1.0]], [[1.0]]], [[0.0], [-1.0], [0.0]])
    assert patterns(net) == bits("00", "10", "11")


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("domain", [None, Box(-1, 1), Box(0, np.inf)], ids=["all", "box", "orthant"])
def test_without_hidden_layers_there_is_one_region(d: int, domain: Domain | None) -> None:
    """An affine network has one region, with the empty pattern: the domain itself."""
    net = Network.mlp([np.ones((1, d))], [[0.0]])
    regions = enumerate_regions(net, domain)
    assert regions.patterns.shape == (1, 0)
    assert regions.complete
    assert count(net, domain) == 1
    assert len(regions[0].rows) == len(halfspaces(domain, d))


def test_a_neuron_of_the_output_layer_splits_nothing() -> None:
    """The output layer is affine, whatever slopes it is given."""
    net = Network([Layer({0: [[1.0], [2.0]]}, [0.0, 1.0], (0.0, 1.0))])
    assert count(net) == 1
    assert net([-1.0]).tolist() == [-1.0, -1.0]


def test_an_exponential_pattern_space_is_not_searched() -> None:
    """Forty parallel lines have 41 regions of 2^40 patterns."""
    net = one_layer(np.tile([1.0, 2.0], (40, 1)), np.arange(40.0))
    assert count(net) == 41
